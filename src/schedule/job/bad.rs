//! Rows with an error in them: which ones these are in the input of a task, and the parts without them.

use std::fs::File;
use std::io::{Read as _, Seek, SeekFrom};

use serde::{Deserialize, Serialize};

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files::{self, Split};
use crate::kernel::{self, Batch, Column, Part};
use crate::plan::{Format, Read, Source, Step};
use crate::run_context::RunContext;

/// What becomes of rows with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bad {
    Fail,
    Skip,
    /// They are left out, and listed.
    Keep,
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BadRow {
    pub place: BadPlace,
    pub reason: String,
    /// What stands there, or a part of that.
    pub text: String,
}

/// Where a row stands that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BadPlace {
    /// In a file, by its place in the source, at this byte.
    File(usize, u64),
    /// In a table, by its number from 0.
    Row(u64),
    /// It is a group of other rows.
    Group,
}

/// So many characters of a row are kept.
const MOST_TEXT: usize = 200;

/// Whether an error is one of a row, and not of the machine or of the person.
pub fn is_of_row(error: &Diagnostic) -> bool {
    match error.kind {
        Kind::Type | Kind::File | Kind::Overflow | Kind::ZeroDivision | Kind::Domain | Kind::Depth => true,
        Kind::Syntax
        | Kind::Name
        | Kind::Shape
        | Kind::Rust
        | Kind::Stopped
        | Kind::Claim
        | Kind::Objection
        | Kind::Memory
        | Kind::System
        | Kind::Warning => false,
    }
}

/// A part of the input in records.
enum Records {
    /// Rows by their numbers.
    Rows { start: u64, end: u64 },
    /// Of each file its place, and the bytes at which its records start, and the end of the last one.
    Files(Vec<(usize, Vec<u64>)>),
}

/// Looks for the rows of a part with which `attempt` fails: the parts without them, in order, and the rows.
///
/// # Errors
/// Those that are of no row; and where the input cannot be cut at its records, the error that was met.
pub fn without_bad(
    source: &Step<Source>,
    part: &Part,
    error: &Diagnostic,
    context: &RunContext,
    attempt: &dyn Fn(&Part) -> Fallible<()>,
) -> Fallible<(Vec<Part>, Vec<BadRow>)> {
    let Some(records) = Records::of(&source.op, part, context) else {
        let why = "rows can be left out of text, csv and lines of json that are not compressed";
        return Err(Box::new(Diagnostic { hint: Some(why.to_string()), ..error.clone() }));
    };
    let mut search = Search { source, context, attempt, good: Vec::new(), bad: Vec::new() };
    match records {
        Records::Rows { start, end } => search.rows(start, end)?,
        Records::Files(files) => {
            for (file, starts) in &files {
                search.file(*file, starts)?;
            }
        }
    }
    Ok((search.good, search.bad))
}

impl Records {
    fn of(source: &Source, part: &Part, context: &RunContext) -> Option<Records> {
        match (source, part) {
            (Source::Read(read), Part::Files(splits)) => {
                let starts = |split: &Split| Some((split.file, record_starts(read, split, context)?));
                splits.iter().map(starts).collect::<Option<_>>().map(Records::Files)
            }
            (Source::Read(_), _) => None,
            (_, Part::Rows { start, end }) => Some(Records::Rows { start: *start, end: *end }),
            (Source::Values(values), Part::Whole) => Some(Records::Rows { start: 0, end: values.len() as u64 }),
            (Source::Kept(kept), Part::Whole) => Some(Records::Rows { start: 0, end: kept.table().height() as u64 }),
            (_, Part::Whole | Part::Files(_)) => None,
        }
    }
}

/// Where the records of a split start; last its end.
fn record_starts(read: &Read, split: &Split, context: &RunContext) -> Option<Vec<u64>> {
    let found = &read.files[split.file];
    if files::packing(found).is_some() {
        return None;
    }
    let is_lines = match &read.format {
        Format::Text { .. } | Format::Csv(_) => true,
        Format::Json { .. } => !files::is_array(read, found),
        Format::Parquet | Format::Arrow => false,
    };
    let end = split.end.min(found.seen.0);
    if !is_lines || split.start >= end {
        return is_lines.then(|| vec![split.start, end]);
    }
    let mut bytes = vec![0; (end - split.start) as usize];
    let mut file = File::open(&found.path).ok()?;
    file.seek(SeekFrom::Start(split.start)).and_then(|_| file.read_exact(&mut bytes)).ok()?;
    let breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let after = breaks.map(|(at, _)| split.start + at as u64 + 1).filter(|start| *start < end);
    let mut starts: Vec<u64> = after.collect();
    if let Format::Csv(options) = &read.format {
        if starts.is_empty() {
            return Some(vec![split.start, end]);
        }
        let splits = kernel::cut(read, split.file, &starts, context);
        starts = splits.into_iter().map(|found| found.start).filter(|start| *start > split.start).collect();
        starts.retain(|start| *start < end);
        // The first record belongs to the header.
        if options.header && split.start == 0 && !starts.is_empty() {
            starts.remove(0);
        }
    }
    Some([vec![split.start], starts, vec![end]].concat())
}

struct Search<'s> {
    source: &'s Step<Source>,
    context: &'s RunContext,
    attempt: &'s dyn Fn(&Part) -> Fallible<()>,
    good: Vec<Part>,
    bad: Vec<BadRow>,
}

impl Search<'_> {
    /// The error of a part, where it fails because of a row.
    fn fault(&self, part: &Part) -> Fallible<Option<Box<Diagnostic>>> {
        self.context.check()?;
        match (self.attempt)(part) {
            Ok(()) => Ok(None),
            Err(error) if is_of_row(&error) => Ok(Some(error)),
            Err(error) => Err(error),
        }
    }

    fn rows(&mut self, start: u64, end: u64) -> Fallible<()> {
        if start >= end {
            return Ok(());
        }
        let part = Part::Rows { start, end };
        let Some(error) = self.fault(&part)? else {
            self.good.push(part);
            return Ok(());
        };
        if end - start == 1 {
            let text = self.text_of_row(start);
            self.bad.push(BadRow { place: BadPlace::Row(start), reason: error.message, text });
            return Ok(());
        }
        let middle = start + (end - start) / 2;
        self.rows(start, middle)?;
        self.rows(middle, end)
    }

    fn text_of_row(&self, row: u64) -> String {
        let part = Part::Rows { start: row, end: row + 1 };
        let batch = kernel::source(self.source, part, self.context).and_then(|mut source| source.next(1));
        let Ok(Some(batch)) = batch else { return String::new() };
        text_of(&batch.columns)
    }

    fn file(&mut self, file: usize, starts: &[u64]) -> Fallible<()> {
        let [start, between @ .., end] = starts else { return Ok(()) };
        let part = Part::Files(vec![Split { file, start: *start, end: *end }]);
        let Some(error) = self.fault(&part)? else {
            // Parts that follow each other are read as one.
            if let Some(Part::Files(last)) = self.good.last_mut()
                && let Some(split) = last.last_mut().filter(|split| split.file == file && split.end == *start)
            {
                split.end = *end;
                return Ok(());
            }
            self.good.push(part);
            return Ok(());
        };
        if between.is_empty() {
            let (place, text) = self.record(file, *start, *end);
            let place = BadPlace::File(file, place);
            self.bad.push(BadRow { place, reason: without_place(error.message), text });
            return Ok(());
        }
        let middle = starts.len() / 2;
        self.file(file, &starts[..=middle])?;
        self.file(file, &starts[middle..])
    }

    /// Where a record starts, and what stands there; a header before it is no part of it.
    fn record(&self, file: usize, start: u64, end: u64) -> (u64, String) {
        let Source::Read(read) = &self.source.op else { return (start, String::new()) };
        let bytes = self.bytes_of(read, file, start, end);
        let has_header = start == 0 && matches!(&read.format, Format::Csv(options) if options.header);
        let header = bytes.iter().position(|byte| *byte == b'\n').filter(|_| has_header).map_or(0, |at| at + 1);
        let text = String::from_utf8_lossy(&bytes[header..]);
        (start + header as u64, text.trim_end_matches(['\r', '\n']).chars().take(MOST_TEXT).collect())
    }

    fn bytes_of(&self, read: &Read, file: usize, start: u64, end: u64) -> Vec<u8> {
        let mut bytes = vec![0; (end - start).min(4 * MOST_TEXT as u64) as usize];
        let opened = File::open(&read.files[file].path).and_then(|mut opened| {
            opened.seek(SeekFrom::Start(start))?;
            opened.read_exact(&mut bytes)
        });
        opened.map_or_else(|_| Vec::new(), |()| bytes)
    }
}

/// A message without the file and the line in front of it: a part counts lines from its own start.
fn without_place(message: String) -> String {
    let behind = message.split_once("\", line ").map(|(_, rest)| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    behind.and_then(|rest| rest.strip_prefix(": ")).map_or(message.clone(), str::to_string)
}

impl BadRow {
    /// The only group of a batch, whose last column is its place.
    pub fn of_group(group: &Batch, reason: String) -> BadRow {
        BadRow { place: BadPlace::Group, reason, text: text_of(&group.columns[..group.columns.len() - 1]) }
    }
}

/// The values of the first row.
fn text_of(columns: &[Column]) -> String {
    let values: Vec<String> = columns.iter().map(|column| plain(&column.value(0))).collect();
    values.join(", ").chars().take(MOST_TEXT).collect()
}

fn plain(value: &Value) -> String {
    if let Value::Text(text) = value { text.to_string() } else { value.to_string() }
}

/// Each row with the name of its file and its line there, or its number, from 1. A group has neither.
pub fn with_lines(mut bad: Vec<BadRow>, source: &Source) -> Vec<(Option<String>, Option<u64>, BadRow)> {
    bad.sort_by_key(|row| row.place);
    let mut all = Vec::with_capacity(bad.len());
    let mut counted: Option<(usize, Lines)> = None;
    for row in bad {
        let (file, line) = match (source, row.place) {
            (Source::Read(read), BadPlace::File(file, place)) => {
                if counted.as_ref().is_none_or(|(other, _)| *other != file) {
                    counted = Some((file, Lines { file: File::open(&read.files[file].path).ok(), at: 0, lines: 1 }));
                }
                let line = counted.as_mut().map(|(_, lines)| lines.up_to(place));
                (Some(read.files[file].shown.clone()), line)
            }
            (_, BadPlace::File(_, number) | BadPlace::Row(number)) => (None, Some(number + 1)),
            (_, BadPlace::Group) => (None, None),
        };
        all.push((file, line, row));
    }
    all
}

/// Counts the lines of a file.
struct Lines {
    file: Option<File>,
    at: u64,
    lines: u64,
}

impl Lines {
    /// The number of the line in which a byte stands, which is not before the last one that was asked for.
    fn up_to(&mut self, place: u64) -> u64 {
        let mut buffer = [0; 64 << 10];
        while self.at < place
            && let Some(file) = &mut self.file
        {
            let wanted = (place - self.at).min(buffer.len() as u64) as usize;
            match file.read(&mut buffer[..wanted]) {
                Ok(read) if read > 0 => {
                    self.lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
                    self.at += read as u64;
                }
                _ => break,
            }
        }
        self.lines
    }
}
