//! Files as rows, and rows as files: one reader and one writer for each format, behind one small trait each. It knows
//! nothing of plans but their sources.

mod array;
mod blocks;
mod columnar;
mod csv;
mod dates;
mod field;
mod groups;
mod home;
mod json;
mod lines;
mod open;
mod parts;
mod pattern;
mod skipped;
mod split;
mod stdin;
mod text;
mod waiting;
mod watched;
mod write;

use std::io::Read as _;
use std::path::Path;

use polars::prelude::{Column as Series, DataFrame};

use crate::data::{Type, Value, series};
use crate::diagnostic::{Diagnostic, Fallible, Kind, listed};
use crate::lang::{Word, bare_name};
use crate::plan::{Basis, CsvOptions, Field, File, Format, Read};
use crate::run_context::{RunContext, Stop};

pub use blocks::{Block, Blocks};
pub use columnar::Groups;
pub use csv::{has_header, one_byte};
pub use field::{Meaning, Rule};
pub use home::expanded;
pub use json::{has_many_digits, large_ints};
pub use open::{Bytes, found, leads_outside, packing};
pub use parts::trimmed;
pub use split::Split;
pub use stdin::{file as standard_input, is as is_standard_input};
pub use watched::{Watched, guard_maps};
pub use write::{Growing, Writer, Written, fits, folder_of, is_writable, replace, same_place, target, write_bytes};

use lines::Lines;

/// The rows of a file, one after the other.
pub trait Records {
    /// Puts the wanted columns of the next row into `row`; false at the end.
    ///
    /// # Errors
    /// [`Kind::File`], with file and line or offset.
    fn next(&mut self, row: &mut Vec<Value>) -> Fallible<bool>;
}

const EMPTY_ARRAY_HINT: &str = "to state its columns, add `types a: int, b: text` after the path";

/// How much of a file is looked at to find the types of its columns.
const SAMPLE_BYTES: u64 = 1 << 20;

/// Completion reads no further: a record may be as long as its file.
const GLANCE_BYTES: u64 = 2 * SAMPLE_BYTES;

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
fn check_unchanged(read: &Read, file: &File, context: &RunContext) -> Fallible<()> {
    let Some(now) = open::changed(file)? else { return Ok(()) };
    if read.files[0] != *file {
        return Ok(());
    }
    let files = [&[now], &read.files[1..]].concat();
    let stated: Vec<(String, Type)> = read.stated().map(|field| (field.name.clone(), field.ty.clone())).collect();
    let named: Vec<String> = read.fields.iter().map(|field| field.name.clone()).collect();
    let look = Look { stop: &context.stop, first_file_only: false, named: &named };
    let found = look.at(files, &read.shown, read.format.clone(), &stated)?;
    // Where there is no value in it, every type is right.
    let fits = |was: &Field, is: &Field| was.ty == is.ty || is.ty == Type::Open || was.basis == Basis::Unused;
    let is_same = |(was, is): (&Field, &Field)| was.name == is.name && fits(was, is);
    let same_columns = found.fields.len() == read.fields.len() && read.fields.iter().zip(&found.fields).all(is_same);
    if !same_columns || found.format != read.format {
        let message = format!("the columns of \"{}\" have changed since the pipeline was entered", file.shown);
        return Err(Diagnostic::new(Kind::File, message).hint("enter it again"));
    }
    Ok(())
}

/// The bytes of one split, and whether they were elements of an array and not lines.
fn bytes(read: &Read, split: &Split, context: &RunContext) -> Fallible<(Bytes, bool)> {
    let file = &read.files[split.file];
    check_unchanged(read, file, context)?;
    for field in read.wanted.iter().map(|index| &read.fields[*index]) {
        if let Basis::Unreadable(why) = &field.basis {
            return Err(Diagnostic::new(Kind::File, format!("\"{}\": {why}", file.shown)).hint(EMPTY_ARRAY_HINT));
        }
    }
    let bytes = open::bytes(file, split, context)?;
    if split.start == 0 { as_lines(bytes, &read.format, file) } else { Ok((bytes, false)) }
}

/// The bytes as lines where the format may be another.
fn as_lines(bytes: Bytes, format: &Format, file: &File) -> Fallible<(Bytes, bool)> {
    if !matches!(format, Format::Json { only_lines: false }) {
        return Ok((bytes, false));
    }
    array::as_lines(bytes).map_err(|error| open::unreadable(file, &error))
}

/// Whether a file is an array of objects, which is read as a whole.
pub fn is_array(read: &Read, file: &File) -> bool {
    let found = open::unpacked_bytes(file).and_then(|bytes| as_lines(bytes, &read.format, file));
    found.is_ok_and(|(_, is_array)| is_array)
}

/// The lines of one split, a block at a time.
pub fn blocks(read: &Read, split: &Split, context: &RunContext) -> Fallible<Blocks> {
    let (bytes, _) = bytes(read, split, context)?;
    let file = &read.files[split.file];
    let blocks = Blocks::new(bytes, &file.shown, context.chunk_sizes.bytes);
    let blocks = if stdin::is(file) { blocks.as_they_come() } else { blocks };
    Ok(if matches!(read.format, Format::Csv(_)) { blocks.ending_at_returns() } else { blocks })
}

/// The lines of a csv file for a look at them: they count as no progress.
pub fn blocks_to_look_at(file: &File, context: &RunContext) -> Fallible<Blocks> {
    Ok(Blocks::new(open::unpacked_bytes(file)?, &file.shown, context.chunk_sizes.bytes).ending_at_returns())
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
    Box::new(csv::Csv::after_header(lines, options, read, context))
}

/// The records of json lines that stand in `bytes`, which do not begin their file.
pub fn json_records<'a>(read: &'a Read, bytes: Bytes, shown: &str, context: &RunContext) -> Box<dyn Records + 'a> {
    let lines = Lines::new(bytes, shown, context.stop.clone()).starting_at(1);
    Box::new(json::Json::new(lines, read))
}

/// For each place in a file, which is not its start, the start of the line there or after it.
pub fn line_starts(file: &File, places: &[u64]) -> Fallible<Vec<u64>> {
    split::line_starts(&open::plain(file)?, places)
        .map_err(|error| Diagnostic::new(Kind::File, format!("\"{}\" cannot be read: {error}", file.shown)))
}

/// Where the row groups of a parquet file start.
pub fn group_starts(file: &File) -> Option<Vec<u64>> {
    columnar::group_starts(file)
}

/// The row groups of a parquet or arrow file.
pub fn groups<'a>(read: &'a Read, split: &Split, context: &RunContext) -> Fallible<Groups<'a>> {
    let file = &read.files[split.file];
    check_unchanged(read, file, context)?;
    Groups::new(read, split, true)
}

/// The reader of one split.
pub fn reader<'a>(read: &'a Read, split: &Split, context: &RunContext) -> Fallible<Box<dyn Records + 'a>> {
    let file = &read.files[split.file];
    let lines = || -> Fallible<Lines> {
        let (bytes, is_array) = bytes(read, split, context)?;
        let lines = Lines::new(bytes, &file.shown, context.stop.clone()).starting_at(split.start);
        Ok(if is_array { lines.called("object") } else { lines })
    };
    Ok(match &read.format {
        Format::Text { lossy } => Box::new(text::Text::new(lines()?, *lossy)),
        Format::Csv(options) if split.start == 0 => Box::new(csv::Csv::new(lines()?, options, read, context)),
        Format::Csv(options) => Box::new(csv::Csv::after_header(lines()?, options, read, context)),
        Format::Json { .. } => Box::new(json::Json::new(lines()?, read)),
        Format::Parquet | Format::Arrow => {
            check_unchanged(read, file, context)?;
            Box::new(columnar::Rows::new(read, split.file, context)?)
        }
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

/// How binding looks at files.
pub struct Look<'a> {
    pub stop: &'a Stop,
    /// For completion, which must not wait.
    pub first_file_only: bool,
    /// The columns that the user names: an empty array has these.
    pub named: &'a [String],
}

impl Look<'_> {
    /// What binding finds out about files: how they are to be read. Types come from the first one, and from the next
    /// ones as long as a column has no value.
    pub fn at(&self, files: Vec<File>, shown: &str, format: Format, stated: &[(String, Type)]) -> Fallible<Read> {
        // An empty file of a pattern says nothing of its columns.
        let first = files.iter().position(|file| file.seen.0 > 0).unwrap_or(0);
        let mut format = format;
        let mut is_array = false;
        let mut fields = match &mut format {
            Format::Text { .. } => {
                if !stdin::is(&files[first]) {
                    open::plain(&files[first])?;
                }
                vec![Field { name: "line".to_string(), ty: Type::Text, basis: Basis::Inferred }]
            }
            Format::Csv(options) => {
                if options.is_detected {
                    options.separator = self.separator(&files[first..], options)?;
                }
                let mut sample = csv::Sample::new(options);
                self.each(&files[first..], &Format::Text { lossy: false }, |lines| {
                    sample.add(lines, SAMPLE_BYTES)?;
                    Ok(sample.is_complete(stated))
                })?;
                sample.fields()
            }
            Format::Json { .. } => {
                let mut sample = json::Sample::default();
                self.each(&files[first..], &format, |lines| {
                    is_array |= !lines.is_of_lines();
                    sample.add(lines, SAMPLE_BYTES)?;
                    Ok(sample.is_complete(stated))
                })?;
                sample.fields()
            }
            Format::Parquet | Format::Arrow => columnar::fields(&files[first], &format)?,
        };
        if fields.is_empty() && is_array {
            fields = self.of_empty_array(stated);
        }
        if fields.is_empty() {
            let what = match format {
                Format::Json { .. } => "there is no object: a json file has one object per line",
                _ => "there is no header: the file is empty",
            };
            let message = format!("\"{}\": {what}", files[first].shown);
            return Err(Diagnostic::new(Kind::File, message).hint("`as text` reads any file as lines"));
        }
        for field in &mut fields {
            if let Some((_, ty)) = stated.iter().find(|(name, _)| *name == field.name) {
                field.ty = ty.clone();
                field.basis = Basis::Stated;
            }
        }
        let wanted = (0..fields.len()).collect();
        Ok(Read { files, shown: shown.to_string(), format, fields, wanted, bounds: Vec::new() })
    }

    /// The columns of an array without an object. Where nobody names them there is one that nobody can read: its rows
    /// can be counted, there are none.
    fn of_empty_array(&self, stated: &[(String, Type)]) -> Vec<Field> {
        let is_stated = |name: &&String| stated.iter().any(|(other, _)| other == *name);
        let stated_names = stated.iter().map(|(name, _)| name);
        let names = stated_names.chain(self.named.iter().filter(|name| !is_stated(name)));
        let open = |name: &String| Field { name: name.clone(), ty: Type::Open, basis: Basis::Inferred };
        let fields: Vec<Field> = names.map(open).collect();
        if !fields.is_empty() {
            return fields;
        }
        let basis = Basis::Unreadable("the array is empty, so its columns are unknown".to_string());
        vec![Field { name: "(empty array)".to_string(), ty: Type::Text, basis }]
    }

    /// The separator that the first file with a record tells.
    fn separator(&self, files: &[File], options: &CsvOptions) -> Fallible<u8> {
        let most = if self.first_file_only { 1 } else { files.len() };
        for file in &files[..most] {
            let start = |length| -> Fallible<Lines> {
                let bytes = open::buffered(Box::new(open::unpacked_bytes(file)?.take(length)));
                Ok(Lines::new(bytes, &file.shown, self.stop.clone()))
            };
            if let Some(separator) = csv::separator(&start, options)? {
                return Ok(separator);
            }
        }
        Ok(b',')
    }

    /// Hands out the lines of one file after the other until that is enough. What is wrong with a later file is told
    /// when it is read.
    fn each(&self, files: &[File], format: &Format, mut add: impl FnMut(Lines) -> Fallible<bool>) -> Fallible<()> {
        let most = if self.first_file_only { 1 } else { files.len() };
        for (i, file) in files[..most].iter().enumerate() {
            self.stop.check()?;
            let lines = || -> Fallible<Lines> {
                let bytes = open::unpacked_bytes(file)?;
                let bytes =
                    if self.first_file_only { open::buffered(Box::new(bytes.take(GLANCE_BYTES))) } else { bytes };
                let (bytes, is_array) = as_lines(bytes, format, file)?;
                let lines = Lines::new(bytes, &file.shown, self.stop.clone());
                Ok(if is_array { lines.called("object") } else { lines })
            };
            match lines().and_then(&mut add) {
                Ok(true) => break,
                Err(error) if i == 0 || error.kind == Kind::Stopped => return Err(error),
                Ok(false) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// The name of a column as a cell has it.
fn name_as_written(name: &str) -> String {
    if bare_name(name) { name.to_string() } else { format!("`{name}`") }
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
        // A name of a file alone says so much.
        Some("tsv" | "tab") if said.is_none() => Format::Csv(CsvOptions::separated(Some(b'\t'))),
        Some("jsonl" | "ndjson") => Format::Json { only_lines: true },
        Some("csv") => Format::Csv(CsvOptions::separated(None)),
        Some("json") => Format::Json { only_lines: false },
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
