//! Files as rows, and rows as files: one reader and one writer for each format, behind one small trait each. It knows
//! nothing of plans but their sources.

mod blocks;
mod columnar;
mod csv;
mod json;
mod lines;
mod open;
mod split;
mod text;
mod write;

use std::path::Path;

use polars::prelude::{Column as Series, DataFrame};

use crate::data::{Column, Type, Value, series};
use crate::diagnostic::{Diagnostic, Fallible, Kind, listed};
use crate::lang::Word;
use crate::plan::{CsvOptions, File, Format, Read};
use crate::run_context::{RunContext, Stop};

pub use blocks::{Block, Blocks};
pub use csv::{float_field, has_header, one_byte};
pub use open::{Bytes, found, packing, spooled};
pub use split::Split;
pub use write::{fits, write};

use lines::Lines;

/// The rows of a file, one after the other.
pub trait Records {
    /// Puts the wanted columns of the next row into `row`; false at the end.
    ///
    /// # Errors
    /// [`Kind::File`], with file and line or offset.
    fn next(&mut self, row: &mut Vec<Value>) -> Fallible<bool>;
}

/// How much of a file is looked at to find the types of its columns.
const SAMPLE_BYTES: u64 = 1 << 20;

/// Opens what a plan reads: its files, one after the other, if they are still those that the plan was made for.
pub fn open<'a>(read: &'a Read, context: &'a RunContext) -> Fallible<Box<dyn Records + 'a>> {
    for file in &read.files {
        context.progress.expect_bytes(file.seen.0);
    }
    let mut files = Files { read, context, next: 0, current: None };
    // A missing file is told before the first row.
    files.advance()?;
    Ok(Box::new(files))
}

/// The files of a source as one.
struct Files<'a> {
    read: &'a Read,
    context: &'a RunContext,
    next: usize,
    current: Option<Box<dyn Records + 'a>>,
}

impl Files<'_> {
    /// Goes on to the next file; none is left after the last.
    fn advance(&mut self) -> Fallible<()> {
        let more = self.next < self.read.files.len();
        self.current = more.then(|| reader(self.read, &Split::whole(self.next), self.context)).transpose()?;
        self.next += 1;
        Ok(())
    }
}

impl Records for Files<'_> {
    fn next(&mut self, row: &mut Vec<Value>) -> Fallible<bool> {
        while let Some(current) = &mut self.current {
            if current.next(row)? {
                return Ok(true);
            }
            self.advance()?;
        }
        Ok(false)
    }
}

/// An error where the columns of a file are no longer those that the plan was made for.
fn check_unchanged(read: &Read, file: &File) -> Fallible<()> {
    if let Some(now) = open::changed(file)? {
        let fields = look(vec![now], &read.shown, read.format.clone())?.fields;
        if fields != read.fields && read.files[0] == *file {
            let message = format!("the columns of \"{}\" have changed since the pipeline was entered", file.shown);
            return Err(Diagnostic::new(Kind::File, message).hint("enter it again"));
        }
    }
    Ok(())
}

/// The lines of one split, a block at a time.
pub fn blocks(read: &Read, split: &Split, context: &RunContext) -> Fallible<Blocks> {
    let file = &read.files[split.file];
    check_unchanged(read, file)?;
    Ok(Blocks::new(open::bytes(file, split, context)?, &file.shown, context.chunk_sizes.bytes))
}

/// The lines of a file for a look at them: they count as no progress.
pub fn blocks_to_look_at(file: &File, context: &RunContext) -> Fallible<Blocks> {
    Ok(Blocks::new(open::unpacked_bytes(file)?, &file.shown, context.chunk_sizes.bytes))
}

/// The records of a csv file that stand in `bytes`, after its header.
pub fn csv_records<'a>(
    read: &'a Read,
    options: &CsvOptions,
    bytes: Bytes,
    shown: &str,
    context: &RunContext,
) -> Box<dyn Records + 'a> {
    let lines = Lines::new(bytes, shown, context.stop.clone());
    Box::new(csv::Csv::after_header(lines, options.clone(), &read.fields, &read.wanted))
}

/// The records of json lines that stand in `bytes`, which do not begin their file.
pub fn json_records<'a>(read: &'a Read, bytes: Bytes, shown: &str, context: &RunContext) -> Box<dyn Records + 'a> {
    let lines = Lines::new(bytes, shown, context.stop.clone()).starting_at(1);
    Box::new(json::Json::new(lines, &read.fields, &read.wanted))
}

/// The reader of one split.
pub fn reader<'a>(read: &'a Read, split: &Split, context: &RunContext) -> Fallible<Box<dyn Records + 'a>> {
    let file = &read.files[split.file];
    check_unchanged(read, file)?;
    let lines = || -> Fallible<Lines> {
        let bytes = open::bytes(file, split, context)?;
        Ok(Lines::new(bytes, &file.shown, context.stop.clone()).starting_at(split.start))
    };
    Ok(match &read.format {
        Format::Text { lossy } => Box::new(text::Text::new(lines()?, *lossy)),
        Format::Csv(options) if split.start == 0 => {
            Box::new(csv::Csv::new(lines()?, options.clone(), &read.fields, &read.wanted))
        }
        Format::Csv(options) => Box::new(csv::Csv::after_header(lines()?, options.clone(), &read.fields, &read.wanted)),
        Format::Json => Box::new(json::Json::new(lines()?, &read.fields, &read.wanted)),
        Format::Parquet | Format::Arrow => Box::new(columnar::Frame::new(columnar::frame(read, file, context)?, read)),
    })
}

/// The wanted columns of all files of a source; with a limit at least as many rows as it says, if there are.
pub fn frame(read: &Read, limit: Option<u64>, context: &RunContext) -> Fallible<DataFrame> {
    if matches!(read.format, Format::Parquet | Format::Arrow) {
        let mut frames = read.files.iter().map(|file| columnar::frame(read, file, context));
        let mut all = frames.next().expect("a source has a file")?;
        for frame in frames {
            all.vstack_mut(&frame?).map_err(|error| Diagnostic::new(Kind::File, error.to_string()))?;
        }
        return Ok(all);
    }
    let mut records = open(read, context)?;
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); read.wanted.len()];
    let mut row = Vec::new();
    let mut height: usize = 0;
    while limit.is_none_or(|limit| (height as u64) < limit) && records.next(&mut row)? {
        for (column, value) in columns.iter_mut().zip(row.drain(..)) {
            column.push(value);
        }
        height += 1;
        if height.is_multiple_of(1024) {
            context.check()?;
        }
    }
    let wanted = read.wanted.iter().map(|index| &read.fields[*index]).zip(&columns);
    let series = wanted.map(|(field, values)| Series::from(series(&field.name, &field.ty, values)));
    DataFrame::new(height, series.collect())
        .map_err(|error| Diagnostic::new(Kind::File, format!("\"{}\": {error}", read.shown)))
}

/// What binding finds out about files: how they are to be read. Types come from the first one.
pub fn look(files: Vec<File>, shown: &str, format: Format) -> Fallible<Read> {
    // An empty file of a pattern says nothing of its columns.
    let first = files.iter().find(|file| file.seen.0 > 0).unwrap_or(&files[0]);
    let lines = || -> Fallible<Lines> { Ok(Lines::new(open::unpacked_bytes(first)?, &first.shown, Stop::default())) };
    let fields = match &format {
        Format::Text { .. } => {
            open::plain(first)?;
            vec![Column { name: "line".to_string(), ty: Type::Text }]
        }
        Format::Csv(options) => csv::infer(lines()?, options, SAMPLE_BYTES)?,
        Format::Json => json::infer(lines()?, SAMPLE_BYTES)?,
        Format::Parquet | Format::Arrow => columnar::fields(first, &format)?,
    };
    let wanted = (0..fields.len()).collect();
    Ok(Read { files, shown: shown.to_string(), format, fields, wanted })
}

/// What a path's name says about its content: the extension without `gz` and `zst`, and which of these it had.
pub fn extension(path: &Path) -> (Option<&str>, Option<Packing>) {
    let of = |path: &'_ Path| path.extension().and_then(|extension| extension.to_str()).map(str::to_string);
    let packing = match of(path).as_deref() {
        Some("gz") => Some(Packing::Gzip),
        Some("zst") => Some(Packing::Zstd),
        _ => None,
    };
    let name = if packing.is_some() { path.file_stem().map(Path::new) } else { Some(path) };
    (name.and_then(|name| name.extension()).and_then(|extension| extension.to_str()), packing)
}

/// The format of a file: what `as` says, else what its extension says, else text.
pub fn format(path: &str, said: Option<&Word>) -> Fallible<Format> {
    const NAMES: [&str; 5] = ["csv", "json", "parquet", "arrow", "text"];
    let extension = if path == "-" { None } else { extension(Path::new(path)).0 };
    Ok(match said.map(|word| word.text.as_str()).or(extension) {
        Some("csv") => Format::Csv(CsvOptions::default()),
        Some("json" | "jsonl" | "ndjson") => Format::Json,
        Some("parquet") => Format::Parquet,
        Some("arrow" | "ipc") => Format::Arrow,
        Some("text") | None => Format::Text { lossy: false },
        Some(other) => match said {
            // An extension that says nothing.
            None => Format::Text { lossy: false },
            Some(word) => {
                let error =
                    Diagnostic::at(Kind::Name, word.span, format!("unknown format `{other}`")).near(other, NAMES);
                let all = format!("formats are {}", listed(&NAMES));
                return Err(if error.hint.is_some() { error } else { error.hint(all) });
            }
        },
    })
}

/// How the bytes of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Gzip,
    Zstd,
}
