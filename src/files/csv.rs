//! Comma-separated values. Our own splitter: the rules tell `""` (empty text) from an empty field (null), and the `csv`
//! crate does not say which fields were quoted.

use std::collections::{HashMap, HashSet};

use crate::data::{Type, Value, scalar};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::plan::{Basis, CsvOptions, Field, Read};
use crate::run_context::{ReadNotes, RunContext, Stop};

use super::field::{self, Fitting, Meaning, Rule};
use super::lines::{Lines, without_break};
use super::{Records, name_as_written};

/// Where a field of a record stands in [`Splitter::text`], and whether it was quoted.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
    quoted: bool,
}

/// Records of a file: lines, but for line breaks inside quotes.
struct Splitter {
    lines: Lines,
    options: CsvOptions,
    line: Vec<u8>,
    text: Vec<u8>,
    fields: Vec<Place>,
    /// The line where the record began, and the offset of its last line.
    number: u64,
    offset: u64,
    /// No record was read yet.
    is_header: bool,
    /// The last line ended with a carriage return alone.
    after_return: bool,
}

impl Splitter {
    fn new(lines: Lines, options: CsvOptions) -> Splitter {
        Splitter {
            lines: lines.ending_at_returns(),
            options,
            line: Vec::new(),
            text: Vec::new(),
            fields: Vec::new(),
            number: 0,
            offset: 0,
            is_header: true,
            after_return: false,
        }
    }

    /// Reads the next record; false at the end.
    fn next(&mut self) -> Fallible<bool> {
        loop {
            self.line.clear();
            let Some(offset) = self.lines.next(&mut self.line)? else { return Ok(false) };
            // A conversion done twice leaves `\r\r\n`: that is one line break.
            if std::mem::take(&mut self.after_return) && self.line == b"\r\n" {
                continue;
            }
            self.number = self.lines.number;
            self.offset = offset;
            if offset == 0 && self.is_header && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
                self.offset += 3;
            }
            if self.options.comment.is_some_and(|comment| self.line.first() == Some(&comment)) {
                self.after_return = self.line.ends_with(b"\r");
                continue;
            }
            self.text.clear();
            self.fields.clear();
            let mut open = None;
            loop {
                if !self.options.lossy {
                    self.lines.text(&self.line, self.offset)?;
                }
                open = self.split(open);
                if open.is_none() {
                    self.after_return = self.line.ends_with(b"\r");
                    return Ok(true);
                }
                // The last field is open inside its quotes: it goes on in the next line.
                self.line.clear();
                match self.lines.next(&mut self.line)? {
                    Some(offset) => self.offset = offset,
                    None => return Err(self.lines.error(self.number, "a quote is opened and never closed")),
                }
            }
        }
    }

    /// Adds the fields of `line` to the record. `open`: where in the text a field began whose quotes are open at the
    /// start of the line; the result is the same for the end of the line.
    fn split(&mut self, open: Option<usize>) -> Option<usize> {
        let line = without_break(&self.line);
        let separator = self.options.separator;
        if open.is_none() && memchr::memchr(b'"', line).is_none() {
            self.text.extend_from_slice(line);
            let mut start = 0;
            for end in memchr::memchr_iter(separator, line).chain([line.len()]) {
                self.fields.push(Place { start, end, quoted: false });
                start = end + 1;
            }
            return None;
        }
        let mut at = 0;
        let mut open = open;
        loop {
            let start = open.unwrap_or(self.text.len());
            let quoted = open.is_some() || line.get(at) == Some(&b'"');
            if quoted {
                at += usize::from(open.is_none());
                loop {
                    let Some(length) = memchr::memchr(b'"', &line[at..]) else {
                        // With its line break, which belongs to the field.
                        self.text.extend_from_slice(&self.line[at..]);
                        return Some(start);
                    };
                    self.text.extend_from_slice(&line[at..at + length]);
                    at += length + 1;
                    if line.get(at) != Some(&b'"') {
                        break;
                    }
                    self.text.push(b'"');
                    at += 1;
                }
            }
            open = None;
            let length = memchr::memchr(separator, &line[at..]).unwrap_or(line.len() - at);
            self.text.extend_from_slice(&line[at..at + length]);
            at += length + 1;
            self.fields.push(Place { start, end: self.text.len(), quoted });
            if at > line.len() {
                return None;
            }
        }
    }

    /// A line of nothing: no record, unless the file has one column, where it is a null.
    fn is_blank(&self) -> bool {
        self.text.is_empty() && self.fields.len() == 1 && !self.fields[0].quoted
    }

    fn bytes(&self, field: Place) -> &[u8] {
        &self.text[field.start..field.end]
    }

    /// The texts of all fields.
    fn texts(&self) -> Fallible<Vec<Option<String>>> {
        self.fields.iter().map(|field| Ok(self.field(*field)?.map(|text| text.into_owned()))).collect()
    }

    /// The text of a field; none where it is null.
    fn field(&self, field: Place) -> Fallible<Option<std::borrow::Cow<'_, str>>> {
        if field.start == field.end && !field.quoted {
            return Ok(None);
        }
        let bytes = self.bytes(field);
        if self.options.lossy {
            return Ok(Some(String::from_utf8_lossy(bytes)));
        }
        let text = self.lines.text(bytes, self.offset + field.start as u64)?;
        Ok(Some(text.into()))
    }
}

/// What the first records of files tell about their columns.
pub struct Sample<'a> {
    options: &'a CsvOptions,
    /// The names of the columns, once a file has told them.
    names: Vec<String>,
    columns: Vec<Fitting>,
}

impl<'a> Sample<'a> {
    pub fn new(options: &'a CsvOptions) -> Sample<'a> {
        Sample { options, names: Vec::new(), columns: Vec::new() }
    }

    /// Takes the records into account that begin in the first `length` bytes of a file.
    ///
    /// # Errors
    /// Where the first record cannot be read, or the user stops it. Who reads the file tells of other mistakes.
    pub fn add(&mut self, lines: Lines, length: u64) -> Fallible<()> {
        let mut splitter = Splitter::new(lines, self.options.clone());
        let mut is_first = true;
        loop {
            match splitter.next() {
                Ok(true) => {}
                Err(error) if is_first || error.kind == Kind::Stopped => return Err(error),
                Ok(false) | Err(_) => return Ok(()),
            }
            if splitter.is_blank() && (is_first || self.names.len() != 1) {
                continue;
            }
            if is_first && (self.options.header || self.names.is_empty()) {
                let names = headers(&splitter.texts()?, self.options);
                if self.names.is_empty() {
                    self.columns = vec![Fitting::default(); names.len()];
                    self.names = names;
                } else if names != self.names {
                    return Ok(());
                }
            }
            if !(is_first && self.options.header) {
                for (column, field) in self.columns.iter_mut().zip(&splitter.fields) {
                    if let Some(text) = splitter.field(*field)? {
                        column.add(&text, self.options.nulls.as_deref());
                    }
                }
            }
            is_first = false;
            splitter.is_header = false;
            if splitter.offset >= length {
                return Ok(());
            }
        }
    }

    /// Whether each column has a value, or a type that the user states.
    pub fn is_complete(&self, stated: &[(String, Type)]) -> bool {
        let is_stated = |name: &String| stated.iter().any(|(other, _)| other == name);
        let mut columns = self.names.iter().zip(&self.columns);
        !self.names.is_empty() && columns.all(|(name, column)| column.has_value() || is_stated(name))
    }

    /// The columns; none where no file has a record.
    pub fn fields(self) -> Vec<Field> {
        let field = |(name, column): (String, Fitting)| {
            let ty = column.ty();
            let null_text = column.only_null_text().map(|text| Basis::NullText(text.to_string()));
            let large = column.large_int().filter(|_| ty == Type::Text).map(Basis::LargeInt);
            Field { name, ty, basis: null_text.or(large).unwrap_or(Basis::Inferred) }
        };
        self.names.into_iter().zip(self.columns).map(field).collect()
    }
}

/// How many records tell the separator.
pub const SEPARATOR_RECORDS: usize = 10;

/// How much of a file is looked at for it: a quote that opens nothing would go on to its end.
const SEPARATOR_BYTES: u64 = 1 << 20;

/// The separator of a file that has a record: the first of `,` `;` tab and `|` that splits the first records into the
/// same number of fields, two or more; `,` where none does. Of a ragged file only the first record tells. `open` gives
/// the first bytes of the file.
pub fn separator(open: &dyn Fn(u64) -> Fallible<Lines>, options: &CsvOptions) -> Fallible<Option<u8>> {
    let mut has_record = false;
    for separator in [b',', b';', b'\t', b'|'] {
        let options = CsvOptions { separator, ..options.clone() };
        let most = if options.ragged { 1 } else { SEPARATOR_RECORDS };
        let mut splitter = Splitter::new(open(SEPARATOR_BYTES)?, options);
        let mut width = None;
        let mut records = 0;
        let splits = loop {
            match splitter.next() {
                // It may be cut.
                Ok(true) if records > 0 && splitter.lines.offset >= SEPARATOR_BYTES => break true,
                Ok(true) if splitter.is_blank() => {}
                Ok(true) if width.is_some_and(|width| width != splitter.fields.len()) => break false,
                Ok(true) => {
                    width = Some(splitter.fields.len());
                    records += 1;
                }
                Ok(false) => break true,
                Err(error) if error.kind == Kind::Stopped => return Err(error),
                Err(_) => break false,
            }
            splitter.is_header = false;
            if records == most {
                break true;
            }
        };
        if splits && width.is_some_and(|width| width >= 2) {
            return Ok(Some(separator));
        }
        has_record |= width.is_some();
    }
    Ok(has_record.then_some(b','))
}

/// Whether a record is the header of a file with these columns.
pub fn has_header(record: &[u8], options: &CsvOptions, fields: &[Field]) -> bool {
    let bytes = super::open::buffered(Box::new(std::io::Cursor::new(record.to_vec())));
    let mut splitter = Splitter::new(Lines::new(bytes, "", Stop::default()), options.clone());
    let texts = splitter.next().and_then(|_| splitter.texts());
    !splitter.is_blank()
        && texts.is_ok_and(|texts| headers(&texts, options).iter().eq(fields.iter().map(|field| &field.name)))
}

/// Names that are empty or stand twice get one of their own: `column_3`, `x_2`. Where the user names the columns of a
/// file without a header, these are their names.
fn headers(fields: &[Option<String>], options: &CsvOptions) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut taken = HashSet::new();
    // The number that the next column of that name tries.
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (i, field) in fields.iter().enumerate() {
        let given = options.names.as_ref().and_then(|names| names.get(i));
        let base = match field {
            Some(name) if options.header && !name.is_empty() => name.clone(),
            _ => given.cloned().unwrap_or_else(|| format!("column_{}", i + 1)),
        };
        let count = counts.entry(base.clone()).or_insert(2);
        let mut name = base.clone();
        while !taken.insert(name.clone()) {
            name = format!("{base}_{count}");
            *count += 1;
        }
        names.push(name);
    }
    names
}

pub struct Csv<'a> {
    splitter: Splitter,
    read: &'a Read,
    header_read: bool,
    /// The texts that were taken for null, a bit each, by column.
    null_texts: Vec<u8>,
    notes: ReadNotes,
}

impl<'a> Csv<'a> {
    pub fn new(lines: Lines, options: &CsvOptions, read: &'a Read, context: &RunContext) -> Csv<'a> {
        Csv {
            splitter: Splitter::new(lines, options.clone()),
            read,
            header_read: !options.header,
            null_texts: vec![0; read.fields.len()],
            notes: context.read_notes.clone(),
        }
    }

    /// The records after a header that was read before.
    pub fn after_header(lines: Lines, options: &CsvOptions, read: &'a Read, context: &RunContext) -> Csv<'a> {
        let mut csv = Csv::new(lines, options, read, context);
        csv.header_read = true;
        csv.splitter.is_header = false;
        csv
    }

    /// Every file of a pattern has the columns of the first one.
    fn check_header(&self) -> Fallible<()> {
        let names = headers(&self.splitter.texts()?, &self.splitter.options);
        let first = (0..names.len().max(self.read.fields.len()))
            .find(|i| names.get(*i) != self.read.fields.get(*i).map(|field| &field.name));
        let Some(place) = first else { return Ok(()) };
        let said = |name: Option<&String>| name.map_or("missing".to_string(), |name| format!("`{name}`"));
        let what = format!(
            "column {} is {}, but in the first file it is {}",
            place + 1,
            said(names.get(place)),
            said(self.read.fields.get(place).map(|field| &field.name))
        );
        Err(self.splitter.lines.error(self.splitter.number, &what))
    }

    fn value(&mut self, index: usize) -> Fallible<Value> {
        let Some(field) = self.splitter.fields.get(index) else { return Ok(Value::Null) };
        let Some(text) = self.splitter.field(*field)? else { return Ok(Value::Null) };
        let column = &self.read.fields[index];
        match Rule::new(&self.splitter.options, column).meaning(&text, field.quoted) {
            Meaning::Value(value) => Ok(value),
            Meaning::Null => Ok(Value::Null),
            Meaning::NullText(place) => {
                if self.null_texts[index] & 1 << place == 0 {
                    self.null_texts[index] |= 1 << place;
                    self.notes.add_null_text(&column.name, place);
                }
                Ok(Value::Null)
            }
            Meaning::Mismatch => Err(self.misfit(column, &text)),
        }
    }

    fn misfit(&self, column: &Field, text: &str) -> Box<Diagnostic> {
        let has = if column.ty == Type::Open {
            "has no known type (no value in the sample)".into()
        } else {
            format!("is {}", column.ty)
        };
        let what = format!("column `{}` {has}, got {:?}", column.name, scalar::shortened(text));
        let hint = format!("types {}: {}", name_as_written(&column.name), field::wider(&column.ty, text));
        self.splitter.lines.error(self.splitter.number, &what).hint(hint)
    }
}

impl Records for Csv<'_> {
    fn next(&mut self, row: &mut Vec<Value>) -> Fallible<bool> {
        loop {
            if !self.splitter.next()? {
                return Ok(false);
            }
            if self.splitter.is_blank() && (!self.header_read || self.read.fields.len() != 1) {
                continue;
            }
            if self.header_read {
                break;
            }
            self.check_header()?;
            self.header_read = true;
        }
        let (have, want) = (self.splitter.fields.len(), self.read.fields.len());
        if have != want && !self.splitter.options.ragged {
            let plural = if have == 1 { "" } else { "s" };
            let columns = if want == 1 { "column" } else { "columns" };
            let what = format!("{have} field{plural}, but the table has {want} {columns}");
            return Err(self
                .splitter
                .lines
                .error(self.splitter.number, &what)
                .hint("`ragged true` reads missing fields as null and ignores extra ones"));
        }
        row.clear();
        for index in &self.read.wanted {
            row.push(self.value(*index)?);
        }
        Ok(true)
    }
}

/// The separator that an option names: one byte.
pub fn one_byte(text: &str) -> Result<u8, Box<Diagnostic>> {
    match text.as_bytes() {
        [byte] if !matches!(byte, b'"' | b'\n' | b'\r') && byte.is_ascii() => Ok(*byte),
        _ => Err(Diagnostic::new(Kind::Type, "this must be one ASCII character other than a quote or a line break")),
    }
}
