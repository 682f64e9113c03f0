//! Sources cut into parts, which tasks read apart.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::files::{self, Split};
use crate::plan::{Format, Read, Source};
use crate::run_context::RunContext;

use super::splits::cut;

/// Which rows of a source one task reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// All of them, also where they never end.
    Whole,
    /// Those from a number up to, but without, another.
    Rows { start: u64, end: u64 },
    /// Those of splits of its files.
    Files(Vec<Split>),
}

impl Part {
    /// The numbers of the rows, of so many.
    pub fn rows(&self, count: u64) -> Range<u64> {
        match self {
            Part::Rows { start, end } => *start..*end,
            Part::Whole | Part::Files(_) => 0..count,
        }
    }
}

/// At most `most` parts of about one size, in order, which together are the source. None has no row, as far as is known
/// without reading records: a source without rows has no part. What cannot be cut is one part.
pub fn parts(source: &Source, most: usize, context: &RunContext) -> Vec<Part> {
    let most = most.max(1);
    match source {
        Source::Range { end: None, .. } | Source::Iterated(_) => vec![Part::Whole],
        Source::Range { start, end: Some(end) } => {
            even((i128::from(*end) - i128::from(*start)).clamp(0, i128::from(u64::MAX)) as u64, most)
        }
        Source::Values(values) => even(values.len() as u64, most),
        Source::Generated { count, .. } => even(*count, most),
        Source::Kept(kept) => even(kept.table().height() as u64, most),
        Source::Read(read) => of_files(read, most, context),
    }
}

/// Rows in parts whose lengths differ by at most one.
fn even(rows: u64, most: usize) -> Vec<Part> {
    let parts = rows.min(most as u64);
    let place = |part: u64| (u128::from(rows) * u128::from(part) / u128::from(parts)) as u64;
    (0..parts).map(|part| Part::Rows { start: place(part), end: place(part + 1) }).collect()
}

/// Files cut at records, and together where they are small.
fn of_files(read: &Read, most: usize, context: &RunContext) -> Vec<Part> {
    let all = read.bytes();
    let place = |part: usize| (u128::from(all) * part as u128 / most as u128) as u64;
    let mut parts: Vec<(usize, Vec<Split>)> = Vec::new();
    let mut before = 0;
    for (file, found) in read.files.iter().enumerate() {
        let length = found.seen.0;
        let inside = (1..most).map(place).filter(|place| *place > before && *place < before + length);
        let places: Vec<u64> = inside.map(|place| place - before).collect();
        for split in at_records(read, file, &places, context) {
            let start = before + split.start;
            // The last part that begins no later than the split does.
            let part = (1..most).rev().find(|part| place(*part) <= start).unwrap_or(0);
            match parts.last_mut() {
                Some((last, splits)) if *last == part => splits.push(split),
                _ => parts.push((part, vec![split])),
            }
        }
        before += length;
    }
    parts.into_iter().map(|(_, splits)| Part::Files(splits)).collect()
}

/// A file in splits of which each has a record.
fn at_records(read: &Read, file: usize, places: &[u64], context: &RunContext) -> Vec<Split> {
    let found = &read.files[file];
    if places.is_empty() {
        return vec![Split::whole(file)];
    }
    let is_inside = |place: &u64| *place < found.seen.0;
    match &read.format {
        Format::Text { .. } | Format::Json { .. } => {
            // Who reads the file tells what is wrong with it.
            let starts = files::line_starts(found, places).unwrap_or_default();
            cut(read, file, &starts.into_iter().filter(is_inside).collect::<Vec<_>>(), context)
        }
        Format::Csv(options) => {
            let begin: &[u64] = if options.header { &[1] } else { &[] };
            let mut splits = cut(read, file, &[begin, places].concat(), context);
            splits.retain(|split| is_inside(&split.start));
            if options.header && splits.len() > 1 {
                // The first record belongs to the header, which alone has no row.
                splits[0].end = splits[1].end;
                splits.remove(1);
            }
            if let Some(last) = splits.last_mut() {
                last.end = u64::MAX;
            }
            splits
        }
        Format::Parquet => {
            // A row group is read by the task in whose part it starts.
            let starts = files::group_starts(found).unwrap_or_default();
            let next = |place: &u64| starts.iter().find(|start| *start >= place && **start > starts[0]).copied();
            Split::cut(file, &places.iter().filter_map(next).collect::<Vec<_>>())
        }
        Format::Arrow => cut(read, file, places, context),
    }
}
