//! Files as batches: text straight from blocks of lines, csv and json as [`super::csv`] and
//! [`super::json`] do it, all else through the readers of `files`.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files::{self, Block, Blocks, Split};
use crate::plan::{Format, Read};
use crate::run_context::RunContext;

use super::column::{Batch, Column};
use super::csv::Csv;
use super::json::Json;
use super::records::OneByOne;
use super::slots::Slots;
use super::table::Cut;
use super::texts::{Buffers, GeneratedTexts, Stretch, Texts, view};

/// The rows of splits of the files of a source, one after the other.
pub struct Reading<'a> {
    read: &'a Read,
    context: &'a RunContext,
    splits: std::vec::IntoIter<Split>,
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
    Json(Json<'a>),
    Rows(OneByOne<'a>),
    /// Row groups, and the one whose rows were not all given out yet.
    Groups {
        groups: files::Groups<'a>,
        cut: Option<Cut>,
    },
}

impl<'a> Reading<'a> {
    /// # Errors
    /// Where the first file cannot be opened.
    pub fn new(read: &'a Read, splits: Vec<Split>, context: &'a RunContext) -> Fallible<Reading<'a>> {
        for split in &splits {
            context.progress.expect_bytes(split.bytes(read.files[split.file].seen.0));
        }
        let mut reading = Reading { read, context, splits: splits.into_iter(), current: None };
        reading.advance()?;
        Ok(reading)
    }

    fn advance(&mut self) -> Fallible<()> {
        self.current = self.splits.next().map(|split| self.reader(split)).transpose()?;
        Ok(())
    }

    fn reader(&self, split: Split) -> Fallible<Reader<'a>> {
        let (read, context) = (self.read, self.context);
        Ok(match &read.format {
            Format::Text { lossy } => {
                Reader::Text { blocks: files::blocks(read, &split, context)?, lossy: *lossy, block: None }
            }
            Format::Csv(options) if Csv::knows(options) => Reader::Csv(Csv::new(read, options, split, context)?),
            Format::Json { .. } if Json::knows(read) => Reader::Json(Json::new(read, split, context)?),
            Format::Csv(_) | Format::Json { .. } => {
                Reader::Rows(OneByOne::new(files::reader(read, &split, context)?, read))
            }
            Format::Parquet | Format::Arrow => {
                Reader::Groups { groups: files::groups(read, &split, context)?, cut: None }
            }
        })
    }

    /// The next rows, at most so many.
    pub fn next(&mut self, most: usize) -> Fallible<Option<Batch>> {
        while let Some(current) = &mut self.current {
            let batch = match current {
                Reader::Text { blocks, lossy, block } => next_lines(blocks, *lossy, block, most)?,
                Reader::Csv(csv) => csv.next(most)?,
                Reader::Json(json) => json.next(most)?,
                Reader::Rows(records) => records.next(most)?,
                Reader::Groups { groups, cut } => next_of_groups(groups, cut, self.read, most, self.context)?,
            };
            if batch.is_some() {
                return Ok(batch);
            }
            self.advance()?;
        }
        Ok(None)
    }
}

fn next_of_groups(
    groups: &mut files::Groups,
    held: &mut Option<Cut>,
    read: &Read,
    most: usize,
    context: &RunContext,
) -> Fallible<Option<Batch>> {
    loop {
        if let Some(batch) = held.as_mut().and_then(|cut| cut.next(most)) {
            return Ok(Some(batch));
        }
        // It is freed before the next one is read.
        *held = None;
        let Some(frame) = groups.next(context)? else { return Ok(None) };
        *held = Some(Cut::new(&frame, read.wanted.iter().map(|index| read.fields[*index].ty.clone())));
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
            return Err(Diagnostic::new(Kind::File, "a line is longer than 4 GiB"));
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
    let mut lossy = (lossy && !lines.ascii).then(GeneratedTexts::default);
    for end in memchr::memchr_iter(b'\n', &bytes[first..]).take(most) {
        let line = &bytes[lines.at..first + end];
        let length = line.len() - usize::from(line.ends_with(b"\r"));
        match &mut lossy {
            Some(made) => made.push(&String::from_utf8_lossy(&line[..length])),
            None => views.push(view(shared, lines.at, length, 0)),
        }
        lines.at = first + end + 1;
    }
    let rows = views.len() + lossy.as_ref().map_or(0, GeneratedTexts::count);
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
