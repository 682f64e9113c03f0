//! Comma-separated values. Our own splitter: the rules tell `""` (empty text) from an empty field (null), and the `csv`
//! crate does not say which fields were quoted.

use std::collections::{HashMap, HashSet};

use crate::data::{Column, Type, Value, scalar};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::plan::CsvOptions;
use crate::run_context::Stop;

use super::Records;
use super::lines::{Lines, without_break};

/// A field of a record: where it stands in [`Record::text`], and whether it was quoted.
#[derive(Clone, Copy)]
struct Field {
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
    fields: Vec<Field>,
    /// The line where the record began, and the offset of its last line.
    number: u64,
    offset: u64,
    /// No record was read yet.
    is_header: bool,
}

impl Splitter {
    fn new(lines: Lines, options: CsvOptions) -> Splitter {
        Splitter {
            lines,
            options,
            line: Vec::new(),
            text: Vec::new(),
            fields: Vec::new(),
            number: 0,
            offset: 0,
            is_header: true,
        }
    }

    /// Reads the next record; false at the end.
    fn next(&mut self) -> Fallible<bool> {
        loop {
            self.line.clear();
            let Some(offset) = self.lines.next(&mut self.line)? else { return Ok(false) };
            self.number = self.lines.number;
            self.offset = offset;
            if offset == 0 && self.is_header && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
                self.offset += 3;
            }
            if self.options.comment.is_some_and(|comment| self.line.first() == Some(&comment)) {
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

    /// Adds the fields of `line` to the record. `open`: where in the text a field began whose quotes are open at the start of
    /// the line; the result is the same for the end of the line.
    fn split(&mut self, open: Option<usize>) -> Option<usize> {
        let line = without_break(&self.line);
        let separator = self.options.separator;
        if open.is_none() && memchr::memchr(b'"', line).is_none() {
            self.text.extend_from_slice(line);
            let mut start = 0;
            for end in memchr::memchr_iter(separator, line).chain([line.len()]) {
                self.fields.push(Field { start, end, quoted: false });
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
            self.fields.push(Field { start, end: self.text.len(), quoted });
            if at > line.len() {
                return None;
            }
        }
    }

    /// A line of nothing: no record, unless the file has one column, where it is a null.
    fn is_blank(&self) -> bool {
        self.text.is_empty() && self.fields.len() == 1 && !self.fields[0].quoted
    }

    fn bytes(&self, field: Field) -> &[u8] {
        &self.text[field.start..field.end]
    }

    /// The texts of all fields.
    fn texts(&self) -> Fallible<Vec<Option<String>>> {
        self.fields.iter().map(|field| Ok(self.field(*field)?.map(|text| text.into_owned()))).collect()
    }

    /// The text of a field; none where it is null.
    fn field(&self, field: Field) -> Fallible<Option<std::borrow::Cow<'_, str>>> {
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

/// The columns of a file, from its header and the records that begin in its first `sample` bytes.
pub fn infer(lines: Lines, options: &CsvOptions, sample: u64) -> Fallible<Vec<Column>> {
    let mut splitter = Splitter::new(lines, options.clone());
    let mut names: Vec<String> = Vec::new();
    let mut kinds: Vec<Option<Type>> = Vec::new();
    let mut first = true;
    loop {
        match splitter.next() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) if first => return Err(error),
            // It will be told when the file is read.
            Err(_) => break,
        }
        if splitter.is_blank() && (first || names.len() != 1) {
            continue;
        }
        let fields = splitter.texts()?;
        if first {
            first = false;
            names = headers(&fields, options.header);
            kinds = vec![None; names.len()];
        }
        if !(options.header && splitter.is_header) {
            widen(&mut kinds, &fields, &splitter.fields);
        }
        splitter.is_header = false;
        if splitter.offset >= sample {
            break;
        }
    }
    if names.is_empty() {
        return Err(splitter
            .lines
            .file_error("there is no header: the file is empty")
            .hint("`as text` reads any file as lines"));
    }
    let columns = names.into_iter().zip(kinds);
    Ok(columns.map(|(name, ty)| Column { name, ty: ty.unwrap_or(Type::Text) }).collect())
}

/// Whether a record is the header of a file with these columns.
pub fn has_header(record: &[u8], options: &CsvOptions, fields: &[Column]) -> bool {
    let bytes = super::open::buffered(Box::new(std::io::Cursor::new(record.to_vec())));
    let mut splitter = Splitter::new(Lines::new(bytes, "", Stop::default()), options.clone());
    let texts = splitter.next().and_then(|_| splitter.texts());
    !splitter.is_blank()
        && texts.is_ok_and(|texts| headers(&texts, true).iter().eq(fields.iter().map(|field| &field.name)))
}

/// Names that are empty or stand twice get one of their own: `column_3`, `x_2`.
fn headers(fields: &[Option<String>], header: bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut taken = HashSet::new();
    // The number that the next column of that name tries.
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (i, field) in fields.iter().enumerate() {
        let base = match field {
            Some(name) if header && !name.is_empty() => name.clone(),
            _ => format!("column_{}", i + 1),
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

/// Widens the types so that they hold this record too: int → float → bool → text. What stands in quotes is text.
fn widen(kinds: &mut [Option<Type>], record: &[Option<String>], fields: &[Field]) {
    for ((kind, text), field) in kinds.iter_mut().zip(record).zip(fields) {
        let Some(text) = text else { continue };
        let fits = |ty: &Type| !field.quoted && parse(text, ty).is_some();
        let candidates = [Type::Int, Type::Float, Type::Bool, Type::Text];
        let start = match kind {
            None | Some(Type::Int) => 0,
            Some(Type::Float) => 1,
            // A bool among numbers, or a number among bools, is text.
            Some(Type::Bool) if fits(&Type::Bool) => 2,
            Some(_) => 3,
        };
        let found = candidates[start..3].iter().find(|ty| fits(ty)).cloned().unwrap_or(Type::Text);
        let mixed = matches!(kind, Some(Type::Int | Type::Float)) && found == Type::Bool;
        *kind = Some(if mixed { Type::Text } else { found });
    }
}

/// A field that is not null as a value of `ty`.
fn parse(text: &str, ty: &Type) -> Option<Value> {
    match ty {
        Type::Int => text.parse().ok().map(Value::Int),
        Type::Float => float_field(text).map(Value::Float),
        Type::Bool => text.parse().ok().map(Value::Bool),
        Type::Text | Type::List(_) | Type::Open | Type::Never => Some(Value::text(text)),
    }
}

/// A field as a float; white space around it is none.
pub fn float_field(text: &str) -> Option<f64> {
    let spaced = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    if spaced { None } else { scalar::float_from_text(text).ok() }
}

pub struct Csv<'a> {
    splitter: Splitter,
    fields: &'a [Column],
    wanted: &'a [usize],
    header_read: bool,
}

impl<'a> Csv<'a> {
    pub fn new(lines: Lines, options: CsvOptions, fields: &'a [Column], wanted: &'a [usize]) -> Csv<'a> {
        let header_read = !options.header;
        Csv { splitter: Splitter::new(lines, options), fields, wanted, header_read }
    }

    /// The records after a header that was read before.
    pub fn after_header(lines: Lines, options: CsvOptions, fields: &'a [Column], wanted: &'a [usize]) -> Csv<'a> {
        let mut csv = Csv::new(lines, options, fields, wanted);
        csv.header_read = true;
        csv.splitter.is_header = false;
        csv
    }

    /// Every file of a pattern has the columns of the first one.
    fn check_header(&self) -> Fallible<()> {
        let names = headers(&self.splitter.texts()?, true);
        let first = (0..names.len().max(self.fields.len()))
            .find(|i| names.get(*i) != self.fields.get(*i).map(|field| &field.name));
        let Some(place) = first else { return Ok(()) };
        let said = |name: Option<&String>| name.map_or("missing".to_string(), |name| format!("`{name}`"));
        let what = format!(
            "column {} is {}, but in the first file it is {}",
            place + 1,
            said(names.get(place)),
            said(self.fields.get(place).map(|field| &field.name))
        );
        Err(self.splitter.lines.error(self.splitter.number, &what))
    }

    fn value(&self, index: usize) -> Fallible<Value> {
        let Some(field) = self.splitter.fields.get(index) else { return Ok(Value::Null) };
        let Some(text) = self.splitter.field(*field)? else { return Ok(Value::Null) };
        let column = &self.fields[index];
        parse(&text, &column.ty).ok_or_else(|| {
            let what = format!("column `{}` is {}, but here is {:?}", column.name, column.ty, scalar::shortened(&text));
            self.splitter
                .lines
                .error(self.splitter.number, &what)
                .hint("types come from the first MiB of the first file; `as text` reads any line")
        })
    }
}

impl Records for Csv<'_> {
    fn next(&mut self, row: &mut Vec<Value>) -> Fallible<bool> {
        loop {
            if !self.splitter.next()? {
                return Ok(false);
            }
            if self.splitter.is_blank() && (!self.header_read || self.fields.len() != 1) {
                continue;
            }
            if self.header_read {
                break;
            }
            self.check_header()?;
            self.header_read = true;
        }
        let (have, want) = (self.splitter.fields.len(), self.fields.len());
        if have != want && !self.splitter.options.ragged {
            let plural = if have == 1 { "" } else { "s" };
            let what = format!("{have} field{plural} where the table has {want} columns");
            return Err(self
                .splitter
                .lines
                .error(self.splitter.number, &what)
                .hint("`ragged true` takes missing fields as null and leaves out the rest"));
        }
        row.clear();
        for index in self.wanted {
            row.push(self.value(*index)?);
        }
        Ok(true)
    }
}

/// The separator that an option names: one byte.
pub fn one_byte(text: &str) -> Result<u8, Box<Diagnostic>> {
    match text.as_bytes() {
        [byte] if *byte != b'"' && *byte != b'\n' => Ok(*byte),
        _ => Err(Diagnostic::new(Kind::Type, "this must be one ASCII character, and no quote or line break")),
    }
}
