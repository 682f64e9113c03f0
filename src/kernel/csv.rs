//! Csv files from blocks of lines: masks of 64 bytes tell separators and line breaks that stand outside quotes, and
//! fields are read where they stand. What is out of the ordinary is read record by record.

use std::borrow::Cow;
use std::sync::Arc;

use polars_arrow::array::View;
use polars_buffer::Buffer;

use crate::data::{Type, Value};
use crate::diagnostic::Fallible;
use crate::files::{self, Block, Blocks, Meaning, Rule, Split};
use crate::plan::{CsvOptions, Read};
use crate::run_context::RunContext;

use super::column::{Batch, Column, Data, Ints};
use super::delimiters::{Quotes, plain_marks, quoted_marks};
use super::records::OneByOne;
use super::slots::{Nulls, Slots};
use super::texts::{Buffers, PADDING, Texts, view};

pub struct Csv<'a> {
    read: &'a Read,
    options: &'a CsvOptions,
    split: Split,
    context: &'a RunContext,
    /// None once the records are read one by one.
    blocks: Option<Blocks>,
    records: Option<OneByOne<'a>>,
    /// The next block begins the file.
    is_first: bool,
    header_read: bool,
    /// Its records are whole.
    block: Option<Block>,
    /// Where the fields of the block end, row after row.
    ends: Vec<u32>,
    /// Carriage returns stand in the block that may not be part of `\r\n`.
    has_returns: bool,
    /// How many of them were given out.
    given: usize,
}

impl<'a> Csv<'a> {
    /// Whether files with these options can be read so.
    pub fn knows(options: &CsvOptions) -> bool {
        options.comment.is_none() && !options.ragged && !options.lossy && options.separator.is_ascii()
    }

    /// # Errors
    /// Where the file cannot be opened.
    pub fn new(read: &'a Read, options: &'a CsvOptions, split: Split, context: &'a RunContext) -> Fallible<Csv<'a>> {
        Ok(Csv {
            read,
            options,
            context,
            blocks: Some(files::blocks(read, &split, context)?),
            records: None,
            is_first: split.start == 0,
            header_read: !options.header || split.start > 0,
            block: None,
            ends: Vec::new(),
            has_returns: false,
            given: 0,
            split,
        })
    }

    /// The next rows, at most so many.
    pub fn next(&mut self, most: usize) -> Fallible<Option<Batch>> {
        loop {
            if let Some(records) = &mut self.records {
                return records.next(most);
            }
            if self.given < self.ends.len() {
                match self.part(most)? {
                    Some(batch) => return Ok(Some(batch)),
                    None => continue,
                }
            }
            self.block = None;
            let Some(blocks) = &mut self.blocks else { return Ok(None) };
            let Some(block) = blocks.read()? else { return Ok(None) };
            self.look(block)?;
        }
    }

    /// Finds the fields of a block.
    fn look(&mut self, mut block: Block) -> Fallible<()> {
        if std::mem::replace(&mut self.is_first, false) && block.lines().starts_with(b"\xef\xbb\xbf") {
            block.start += 3;
        }
        self.ends.clear();
        self.given = 0;
        if !block.lines().ends_with(b"\n") {
            // Carriage returns end the records.
            return self.one_by_one(&block);
        }
        let is_text = block.lines().is_ascii() || std::str::from_utf8(block.lines()).is_ok();
        if !is_text || u32::try_from(block.end).is_err() {
            return self.one_by_one(&block);
        }
        match self.marks(&block) {
            Quotes::Closed => {}
            Quotes::Odd => return self.one_by_one(&block),
            // The last record goes on in the next block.
            Quotes::Open => {
                let is_break = |end: &u32| block.bytes[*end as usize] == b'\n';
                let whole = self.ends.iter().rposition(is_break).map_or(0, |last| last + 1);
                self.ends.truncate(whole);
                let end = self.ends.last().map_or(block.start, |end| *end as usize + 1);
                let Some(blocks) = &mut self.blocks else { return Ok(()) };
                if blocks.is_at_end() {
                    return self.one_by_one(&block);
                }
                blocks.give_back(end);
                block.end = end;
            }
        }
        if !self.header_read && !self.take_header(&mut block) {
            return self.one_by_one(&block);
        }
        let width = self.read.fields.len();
        let is_row = |row: &[u32]| {
            row.iter().enumerate().all(|(i, end)| (block.bytes[*end as usize] == b'\n') == (i + 1 == width))
        };
        // Each stands before a line feed that ends a record, or there are more of them.
        let is_returned = |row: &[u32]| {
            let end = row[width - 1] as usize;
            end > block.start && block.bytes[end - 1] == b'\r'
        };
        let has_lone_return = || {
            let returned = self.ends.chunks_exact(width).filter(|row| is_returned(row)).count();
            memchr::memchr_iter(b'\r', block.lines()).count() != returned
        };
        if self.ends.len().is_multiple_of(width)
            && self.ends.chunks_exact(width).all(is_row)
            && !(self.has_returns && has_lone_return())
        {
            self.block = Some(block);
            return Ok(());
        }
        self.ends.clear();
        self.one_by_one(&block)
    }

    fn marks(&mut self, block: &Block) -> Quotes {
        let separator = self.options.separator;
        self.has_returns = false;
        // Most files have neither quotes nor carriage returns.
        let odd = memchr::memchr2(b'"', b'\r', block.lines()).map(|at| block.start + at);
        if odd.is_none_or(|at| memchr::memchr(b'"', &block.bytes[at..block.end]).is_none()) {
            self.has_returns = odd.is_some();
            plain_marks(&block.bytes, block.start, block.end, separator, &mut self.ends);
            return Quotes::Closed;
        }
        quoted_marks(&block.bytes, block.start, block.end, separator, &mut self.ends)
    }

    /// Takes the header off a block, if it begins with that of the first file.
    fn take_header(&mut self, block: &mut Block) -> bool {
        let Some(last) = self.ends.iter().position(|end| block.bytes[*end as usize] == b'\n') else {
            // The block holds no whole record.
            return block.start == block.end;
        };
        let end = self.ends[last] as usize + 1;
        let record = &block.bytes[block.start..end];
        let is_cut = || record.strip_suffix(b"\r\n").unwrap_or(record).contains(&b'\r');
        if (self.has_returns && is_cut()) || !files::has_header(record, self.options, &self.read.fields) {
            return false;
        }
        self.header_read = true;
        block.start = end;
        self.ends.drain(..=last);
        true
    }

    /// Reads from the start of `block` on record by record.
    fn one_by_one(&mut self, block: &Block) -> Fallible<()> {
        self.ends.clear();
        self.given = 0;
        let Some(blocks) = self.blocks.take() else { return Ok(()) };
        let records = if self.header_read {
            files::csv_records(
                self.read,
                self.options,
                blocks.unread(block),
                &self.read.files[self.split.file].shown,
                self.context,
            )
        } else {
            files::reader(self.read, &self.split, self.context)?
        };
        self.records = Some(OneByOne::new(records, self.read));
        Ok(())
    }

    /// The next rows of the block. None where a field does not fit its column: then they are read one by one, as far as
    /// they are right.
    fn part(&mut self, most: usize) -> Fallible<Option<Batch>> {
        let Some(block) = &self.block else { return Ok(None) };
        let width = self.read.fields.len();
        let rows = ((self.ends.len() - self.given) / width).min(most);
        let start = match self.given {
            0 => block.start,
            given => self.ends[given - 1] as usize + 1,
        };
        let ends = &self.ends[self.given..self.given + rows * width];
        self.given += rows * width;
        let fields = Fields { bytes: &block.bytes, start, ends, width };
        let buffers = Arc::new(Buffers::of(block.bytes.clone()));
        let wanted = self.read.wanted.iter();
        let column = |index: &usize| {
            let field = &self.read.fields[*index];
            let (column, null_texts) = fields.column(*index, Rule::new(self.options, field), &buffers)?;
            for place in (0..u8::BITS).filter(|place| null_texts >> place & 1 == 1) {
                self.context.read_notes.add_null_text(&field.name, place as usize);
            }
            Some(column)
        };
        if let Some(columns) = wanted.map(column).collect() {
            return Ok(Some(Batch { rows, columns }));
        }
        let rest = Block { bytes: block.bytes.clone(), start, end: block.end };
        self.one_by_one(&rest)?;
        Ok(None)
    }
}

/// The fields of some rows.
struct Fields<'a> {
    bytes: &'a [u8],
    /// Where the first one begins.
    start: usize,
    ends: &'a [u32],
    width: usize,
}

impl Fields<'_> {
    /// The bytes of each row's field.
    #[inline(always)]
    fn places(&self, index: usize) -> impl Iterator<Item = (usize, usize)> {
        let is_last = index + 1 == self.width;
        let end_before = move |row: usize| match row * self.width + index {
            0 => self.start,
            place => self.ends[place - 1] as usize + 1,
        };
        self.ends.chunks_exact(self.width).enumerate().map(move |(row, ends)| {
            let (start, end) = (end_before(row), ends[index] as usize);
            let is_broken = is_last && end > start && self.bytes[end - 1] == b'\r';
            (start, end - usize::from(is_broken))
        })
    }

    /// The column, and the usual null texts in it, a bit each. None where a field does not fit.
    fn column(&self, index: usize, rule: Rule, buffers: &Arc<Buffers>) -> Option<(Column, u8)> {
        let rows = self.ends.len() / self.width;
        let mut nulls = vec![false; rows];
        let mut any_null = false;
        let mut null_texts = 0;
        macro_rules! parsed {
            ($parse:ident, $of:ident) => {{
                let mut values = vec![Default::default(); rows];
                for (row, (start, end)) in self.places(index).enumerate() {
                    if start == end {
                        nulls[row] = true;
                        any_null = true;
                        continue;
                    }
                    let field = &self.bytes[start..end];
                    let plain = match (field[0], rule.nulls) {
                        (b'"', None) => $parse(&field[1..field.len() - 1]),
                        (_, None) => $parse(field),
                        (_, Some(_)) => None,
                    };
                    if let Some(value) = plain {
                        values[row] = value;
                        continue;
                    }
                    match meaning(rule, field)? {
                        Meaning::Value(Value::$of(value)) => {
                            values[row] = value;
                            continue;
                        }
                        Meaning::NullText(place) => null_texts |= 1 << place,
                        Meaning::Null => {}
                        Meaning::Value(_) | Meaning::Mismatch => return None,
                    }
                    nulls[row] = true;
                    any_null = true;
                }
                values
            }};
        }
        let data = match rule.ty {
            Type::Int => Data::Int(Ints { slots: Slots::each(parsed!(int, Int)), bounds: None }),
            Type::Float => Data::Float(Slots::each(parsed!(float, Float))),
            Type::Bool => Data::Bool(Slots::each(parsed!(boolean, Bool))),
            // Nothing but nulls.
            Type::Open => {
                for (row, (start, end)) in self.places(index).enumerate() {
                    match meaning(rule, &self.bytes[start..end])? {
                        Meaning::NullText(place) => null_texts |= 1 << place,
                        Meaning::Null => {}
                        Meaning::Value(_) | Meaning::Mismatch => return None,
                    }
                    nulls[row] = true;
                    any_null = true;
                }
                // SAFETY: an empty view lies in any buffer.
                Data::Text(unsafe { Texts::new(Slots::each(vec![View::default(); rows]), buffers.clone()) })
            }
            Type::Text | Type::List(_) | Type::Never => {
                let mut views = vec![View::default(); rows];
                // Texts with quotes in them, which do not stand in the file as they are.
                let mut made = Vec::new();
                for (row, (start, end)) in self.places(index).enumerate() {
                    nulls[row] = start == end;
                    any_null |= start == end;
                    views[row] = match self.bytes[start] {
                        b'"' if end > start => match unquoted(&self.bytes[start..end]) {
                            Cow::Borrowed(text) => view(self.bytes, start + 1, text.len(), 0),
                            Cow::Owned(text) => {
                                let offset = made.len() as u32;
                                made.extend_from_slice(&text);
                                View::new_from_bytes(&text, 1, offset)
                            }
                        },
                        _ => view(self.bytes, start, end - start, 0),
                    };
                }
                if rule.nulls.is_some() {
                    for (row, (start, end)) in self.places(index).enumerate() {
                        let field = &self.bytes[start..end];
                        let is_quoted = field.first() == Some(&b'"');
                        let is_listed =
                            if is_quoted { rule.is_listed(&unquoted(field)) } else { rule.is_listed(field) };
                        nulls[row] |= is_listed;
                        any_null |= is_listed;
                    }
                }
                let buffers = if made.is_empty() { buffers.clone() } else { with_second(buffers, made) };
                // SAFETY: the block is UTF-8, and fields end at ASCII characters.
                Data::Text(unsafe { Texts::new(Slots::each(views), buffers) })
            }
        };
        let nulls = if any_null { Nulls::of(nulls) } else { Nulls::None };
        Some((Column { data, nulls }, null_texts))
    }
}

/// What a field of text means where that is not plain.
fn meaning(rule: Rule, field: &[u8]) -> Option<Meaning> {
    let is_quoted = field.first() == Some(&b'"');
    let text = if is_quoted { unquoted(field) } else { field.into() };
    Some(rule.meaning(str::from_utf8(&text).ok()?, is_quoted))
}

fn with_second(buffers: &Buffers, mut second: Vec<u8>) -> Arc<Buffers> {
    second.resize(second.len() + PADDING, 0);
    let list = buffers.list.iter().cloned().chain([Buffer::from_vec(second)]).collect();
    Arc::new(Buffers { list, lasting: false })
}

/// What stands between the quotes of a field; two quotes are one.
fn unquoted(field: &[u8]) -> Cow<'_, [u8]> {
    let inner = &field[1..field.len() - 1];
    if memchr::memchr(b'"', inner).is_none() {
        return inner.into();
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'"', rest) {
        text.extend_from_slice(&rest[..=at]);
        rest = &rest[(at + 2).min(rest.len())..];
    }
    text.extend_from_slice(rest);
    text.into()
}

/// A field as an int, where it is plainly one.
fn int(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 || begins_with_zero(digits) {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// Whether a zero stands before another digit.
#[inline(always)]
fn begins_with_zero(digits: &[u8]) -> bool {
    digits[0] == b'0' && digits.len() > 1 && digits[1].is_ascii_digit()
}

/// A field as a float, where it is plainly one. Up to fifteen digits with a point among them are an int over a power of
/// ten, both exact as floats, so that one division rounds right; all else goes to the standard library.
fn float(bytes: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 16 || !digits.first().is_some_and(u8::is_ascii_digit) || begins_with_zero(digits) {
        return None;
    }
    let (mut value, mut count, mut point) = (0u64, 0, None);
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + u64::from(digit);
            count += 1;
        } else if *byte == b'.' && point.is_none() {
            point = Some(count);
        } else {
            return None;
        }
    }
    if count > 15 {
        return None;
    }
    let after = point.map_or(0, |point| count - point);
    let x = value as f64 / POWERS[after];
    Some(if negative { -x } else { x })
}

fn boolean(bytes: &[u8]) -> Option<bool> {
    match bytes {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}
