//! Files as batches: text and csv straight from blocks of lines, everything else through the readers of `files`.

use std::sync::Arc;

use polars_arrow::array::View;

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files::{self, Block, Blocks, Records};
use crate::job::Job;
use crate::plan::{CsvOptions, File, Format, Read};

use super::column::{Batch, Column, Data, Ints, Nulls, Slots};
use super::simd::simd;
use super::table::Cut;
use super::texts::{Buffers, Made, Stretch, Texts, view};
use super::words::mask;

/// The rows of the files of a source, one file after the other.
pub struct Reading<'a> {
    read: &'a Read,
    job: &'a Job,
    next: usize,
    current: Option<Reader<'a>>,
}

enum Reader<'a> {
    /// Lines, and those of the last block that were not given out yet.
    Text {
        blocks: Blocks,
        lossy: bool,
        block: Option<Lines>,
    },
    Csv(Csv<'a>),
    Rows(OneByOne<'a>),
    Frame(Cut),
}

impl<'a> Reading<'a> {
    /// # Errors
    /// Where the first file cannot be opened.
    pub fn new(read: &'a Read, job: &'a Job) -> Fallible<Reading<'a>> {
        for file in &read.files {
            job.progress.expect_bytes(file.seen.0);
        }
        let mut reading = Reading { read, job, next: 0, current: None };
        reading.advance()?;
        Ok(reading)
    }

    fn advance(&mut self) -> Fallible<()> {
        self.current = match self.read.files.get(self.next) {
            Some(file) => Some(self.reader(file)?),
            None => None,
        };
        self.next += 1;
        Ok(())
    }

    fn reader(&self, file: &'a File) -> Fallible<Reader<'a>> {
        let (read, job) = (self.read, self.job);
        Ok(match &read.format {
            Format::Text { lossy } => {
                Reader::Text { blocks: files::blocks(read, file, job)?, lossy: *lossy, block: None }
            }
            Format::Csv(options) if Csv::knows(options) => {
                Reader::Csv(Csv::new(read, options, file, job, files::blocks(read, file, job)?))
            }
            Format::Csv(_) | Format::Json => Reader::Rows(OneByOne::new(files::reader(read, file, job)?, read)),
            Format::Parquet | Format::Arrow => {
                let one = Read { files: vec![file.clone()], ..read.clone() };
                let types = read.wanted.iter().map(|index| read.fields[*index].ty.clone());
                Reader::Frame(Cut::new(&files::frame(&one, None, job)?, types))
            }
        })
    }

    /// The next rows, at most so many.
    pub fn next(&mut self, most: usize) -> Fallible<Option<Batch>> {
        while let Some(current) = &mut self.current {
            let batch = match current {
                Reader::Text { blocks, lossy, block } => next_lines(blocks, *lossy, block, most)?,
                Reader::Csv(csv) => csv.next(most)?,
                Reader::Rows(records) => records.next(most)?,
                Reader::Frame(cut) => cut.next(most),
            };
            if batch.is_some() {
                return Ok(batch);
            }
            self.advance()?;
        }
        Ok(None)
    }
}

/// Records that are read one by one.
struct OneByOne<'a> {
    records: Box<dyn Records + 'a>,
    read: &'a Read,
    /// What comes after the rows that were given.
    failed: Option<Box<Diagnostic>>,
}

impl<'a> OneByOne<'a> {
    fn new(records: Box<dyn Records + 'a>, read: &'a Read) -> OneByOne<'a> {
        OneByOne { records, read, failed: None }
    }

    fn next(&mut self, most: usize) -> Fallible<Option<Batch>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut columns: Vec<Vec<Value>> = vec![Vec::new(); self.read.wanted.len()];
        let mut row = Vec::new();
        let mut rows = 0;
        while rows < most {
            match self.records.next(&mut row) {
                Ok(true) => columns.iter_mut().zip(row.drain(..)).for_each(|(column, value)| column.push(value)),
                Ok(false) => break,
                Err(error) if rows == 0 => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
            rows += 1;
        }
        let types = self.read.wanted.iter().map(|index| &self.read.fields[*index].ty);
        let columns = columns.into_iter().zip(types).map(|(values, ty)| Column::from_values(values, ty)).collect();
        Ok((rows > 0).then_some(Batch { rows, columns }))
    }
}

/// Lines of a block that were not given out yet.
struct Lines {
    block: Block,
    at: usize,
    ascii: bool,
    /// What stands after the lines is no text.
    fails: bool,
}

fn next_lines(blocks: &mut Blocks, lossy: bool, held: &mut Option<Lines>, most: usize) -> Fallible<Option<Batch>> {
    if let Some(lines) = held.take_if(|lines| lines.at == lines.block.end)
        && lines.fails
    {
        return Err(not_text());
    }
    if held.is_none() {
        let Some(mut block) = blocks.read()? else { return Ok(None) };
        if u32::try_from(block.end).is_err() {
            return Err(Diagnostic::new(Kind::File, "a line is over 4 GiB long"));
        }
        let ascii = block.lines().is_ascii();
        let wrong = if ascii || lossy { None } else { std::str::from_utf8(block.lines()).err() };
        if let Some(wrong) = &wrong {
            let text = &block.lines()[..wrong.valid_up_to()];
            block.end = block.start + memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
            if block.end == block.start {
                return Err(not_text());
            }
        }
        *held = Some(Lines { at: block.start, block, ascii, fails: wrong.is_some() });
    }
    let Some(lines) = held else { return Ok(None) };
    let bytes = &lines.block.bytes[..lines.block.end];
    let (first, shared) = (lines.at, &lines.block.bytes);
    let mut views = Vec::with_capacity(most);
    let mut lossy = (lossy && !lines.ascii).then(Made::default);
    for end in memchr::memchr_iter(b'\n', &bytes[first..]).take(most) {
        let line = &bytes[lines.at..first + end];
        let length = line.len() - usize::from(line.ends_with(b"\r"));
        match &mut lossy {
            Some(made) => made.push(&String::from_utf8_lossy(&line[..length])),
            None => views.push(view(shared, lines.at, length, 0)),
        }
        lines.at = first + end + 1;
    }
    let rows = views.len() + lossy.as_ref().map_or(0, Made::count);
    let texts = match lossy {
        Some(made) => made.finish(),
        None => {
            let stretch = Stretch { start: first, end: lines.at, ascii: lines.ascii };
            let buffers = Arc::new(Buffers::of(shared.clone()));
            // SAFETY: the whole block is UTF-8, and lines end at line breaks.
            unsafe { Texts::new(Slots::each(views), buffers) }.in_stretch(stretch)
        }
    };
    if lines.at == lines.block.end && !lines.fails {
        // Nobody holds the block while the next is read into its buffer.
        *held = None;
    }
    Ok(Some(Batch { rows, columns: vec![Column::texts(texts)] }))
}

/// The place is found by the reader that goes line by line.
fn not_text() -> Box<Diagnostic> {
    Diagnostic::new(Kind::File, "not UTF-8 text")
}

/// A csv file without quotes, from blocks; the records from the first quote on, or from whatever else is out of the
/// ordinary, are read one by one.
struct Csv<'a> {
    read: &'a Read,
    options: &'a CsvOptions,
    file: &'a File,
    job: &'a Job,
    /// None once the records are read one by one.
    blocks: Option<Blocks>,
    records: Option<OneByOne<'a>>,
    /// No block was read yet.
    is_first: bool,
    header_read: bool,
    block: Option<Block>,
    /// Where the fields of the block end, row after row; the next one that was not given out.
    ends: Vec<u32>,
    given: usize,
    ascii: bool,
}

impl<'a> Csv<'a> {
    fn knows(options: &CsvOptions) -> bool {
        options.comment.is_none() && !options.ragged && !options.lossy && options.separator.is_ascii()
    }

    fn new(read: &'a Read, options: &'a CsvOptions, file: &'a File, job: &'a Job, blocks: Blocks) -> Csv<'a> {
        Csv {
            read,
            options,
            file,
            job,
            blocks: Some(blocks),
            records: None,
            is_first: true,
            header_read: !options.header,
            block: None,
            ends: Vec::new(),
            given: 0,
            ascii: false,
        }
    }

    fn next(&mut self, most: usize) -> Fallible<Option<Batch>> {
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
        let separator = self.options.separator;
        if std::mem::replace(&mut self.is_first, false) && block.lines().starts_with(b"\xef\xbb\xbf") {
            block.start += 3;
        }
        let has_quote = memchr::memchr(b'"', block.lines()).is_some();
        self.ascii = block.lines().is_ascii();
        let too_long = u32::try_from(block.end).is_err();
        if has_quote || too_long || (!self.ascii && std::str::from_utf8(block.lines()).is_err()) {
            return self.one_by_one(&block);
        }
        if !self.header_read {
            let end = memchr::memchr(b'\n', block.lines()).map_or(block.end, |at| block.start + at + 1);
            let line = std::str::from_utf8(&block.bytes[block.start..end]).unwrap_or_default();
            let line = line.trim_end_matches('\n').trim_end_matches('\r');
            if line.is_empty() || !files::has_header(line, char::from(separator), &self.read.fields) {
                return self.one_by_one(&block);
            }
            self.header_read = true;
            block.start = end;
        }
        self.ends.clear();
        self.given = 0;
        marks(&block.bytes, block.start, block.end, separator, &mut self.ends);
        let width = self.read.fields.len();
        let is_row = |row: &[u32]| {
            row.iter().enumerate().all(|(i, end)| (block.bytes[*end as usize] == b'\n') == (i + 1 == width))
        };
        if self.ends.len().is_multiple_of(width) && self.ends.chunks_exact(width).all(is_row) {
            self.block = Some(block);
            return Ok(());
        }
        self.ends.clear();
        self.one_by_one(&block)
    }

    /// Reads from the start of `block` on record by record.
    fn one_by_one(&mut self, block: &Block) -> Fallible<()> {
        let Some(blocks) = self.blocks.take() else { return Ok(()) };
        let records = if self.header_read {
            files::csv_records(self.read, self.options, blocks.unread(block), &self.file.shown, self.job)
        } else {
            files::reader(self.read, self.file, self.job)?
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
        let columns = wanted.map(|index| fields.column(*index, &self.read.fields[*index].ty, &buffers));
        if let Some(columns) = columns.collect() {
            return Ok(Some(Batch { rows, columns }));
        }
        let rest = Block { bytes: block.bytes.clone(), start, end: block.end };
        self.ends.clear();
        self.given = 0;
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
    /// The bytes of each row's field; empty ones are null.
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

    /// None where a field does not fit.
    fn column(&self, index: usize, ty: &Type, buffers: &Arc<Buffers>) -> Option<Column> {
        let rows = self.ends.len() / self.width;
        let mut nulls = vec![false; rows];
        let mut any_null = false;
        macro_rules! parsed {
            ($parse:expr) => {{
                let mut values = vec![Default::default(); rows];
                for (row, (start, end)) in self.places(index).enumerate() {
                    if start == end {
                        nulls[row] = true;
                        any_null = true;
                    } else {
                        values[row] = $parse(&self.bytes[start..end])?;
                    }
                }
                values
            }};
        }
        let data = match ty {
            Type::Int => Data::Int(Ints { slots: Slots::each(parsed!(int)), bounds: None }),
            Type::Float => Data::Float(Slots::each(parsed!(float))),
            Type::Bool => Data::Bool(Slots::each(parsed!(boolean))),
            Type::Text | Type::List(_) | Type::Open | Type::Never => {
                let mut views = vec![View::default(); rows];
                for (row, (start, end)) in self.places(index).enumerate() {
                    nulls[row] = start == end;
                    any_null |= start == end;
                    views[row] = view(self.bytes, start, end - start, 0);
                }
                // SAFETY: the block is UTF-8, and fields end at ASCII characters.
                Data::Text(unsafe { Texts::new(Slots::each(views), buffers.clone()) })
            }
        };
        Some(Column { data, nulls: if any_null { Nulls::of(nulls) } else { Nulls::None } })
    }
}

simd! {
    /// Where separators and line breaks stand.
    fn marks(bytes: &[u8], start: usize, end: usize, separator: u8, marks: &mut Vec<u32>) {
        let mut at = start;
        while at < end {
            let rest = &bytes[at..end];
            let chunk = rest.first_chunk::<64>().copied().unwrap_or_else(|| {
                let mut chunk = [0; 64];
                chunk[..rest.len()].copy_from_slice(rest);
                chunk
            });
            let mut found = mask(&chunk, |byte| (byte == separator) | (byte == b'\n'));
            if rest.len() < 64 {
                found &= (1 << rest.len()) - 1;
            }
            while found != 0 {
                marks.push((at + found.trailing_zeros() as usize) as u32);
                found &= found - 1;
            }
            at += 64;
        }
    }
}

/// A field as an int, as Rust's `parse` takes it.
fn int(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return std::str::from_utf8(bytes).ok()?.parse().ok();
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return std::str::from_utf8(bytes).ok()?.parse().ok();
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// A field as a float. Up to fifteen digits with a point among them are an int over a power of ten, both exact as floats, so
/// that one division rounds right; all else goes to the standard library.
fn float(bytes: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let slow = || files::float_field(std::str::from_utf8(bytes).ok()?);
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 16 || !digits.first().is_some_and(u8::is_ascii_digit) {
        return slow();
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
            return slow();
        }
    }
    if count > 15 {
        return slow();
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
