//! Files as rows: one reader for each format behind one small trait. It knows nothing of plans but their sources.

mod csv;
mod lines;

pub use csv::one_byte;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use polars::prelude::{Column as Series, DataFrame};

use crate::data::{Column, Type, Value, series};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::job::Job;
use crate::plan::{CsvOptions, Format, Read};

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
/// The size of a read.
const BUFFER_BYTES: usize = 128 << 10;

/// Opens a file for reading, if it is still the one that the plan was made for.
pub fn open(read: &Read, job: &Job) -> Fallible<Box<dyn Records>> {
    let file = open_file(&read.path, &read.shown)?;
    let seen = stamp(&file);
    if seen != read.seen {
        return Err(Diagnostic::new(
            Kind::File,
            format!("\"{}\" has changed since its columns were looked at", read.shown),
        )
        .hint("enter the pipeline again"));
    }
    job.progress.expect_bytes(seen.0);
    let lines = lines::Lines::new(BufReader::with_capacity(BUFFER_BYTES, file), &read.shown, job);
    Ok(match &read.format {
        Format::Text { lossy } => Box::new(lines::Text::new(lines, *lossy)),
        Format::Csv(options) => {
            Box::new(csv::Csv::new(lines, options.clone(), read.fields.clone(), read.wanted.clone())?)
        }
    })
}

/// The wanted columns of a whole file.
pub fn frame(read: &Read, job: &Job) -> Fallible<DataFrame> {
    let mut records = open(read, job)?;
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); read.wanted.len()];
    let mut row = Vec::new();
    let mut height: usize = 0;
    while records.next(&mut row)? {
        for (column, value) in columns.iter_mut().zip(row.drain(..)) {
            column.push(value);
        }
        height += 1;
        if height.is_multiple_of(1024) {
            job.stop.check()?;
        }
    }
    let wanted = read.wanted.iter().map(|index| &read.fields[*index]).zip(&columns);
    let series = wanted.map(|(field, values)| Series::from(series(&field.name, &field.ty, values)));
    DataFrame::new(height, series.collect())
        .map_err(|error| Diagnostic::new(Kind::File, format!("\"{}\": {error}", read.shown)))
}

/// What binding finds out about a file: how it is to be read.
pub fn look(path: &Path, shown: &str, format: Format) -> Fallible<Read> {
    let file = open_file(path, shown)?;
    let seen = stamp(&file);
    let fields = match &format {
        Format::Text { .. } => vec![Column { name: "line".to_string(), ty: Type::Text }],
        Format::Csv(options) => csv_fields(file, shown, options)?,
    };
    let wanted = (0..fields.len()).collect();
    Ok(Read { path: path.to_path_buf(), shown: shown.to_string(), format, fields, wanted, seen })
}

fn csv_fields(file: File, shown: &str, options: &CsvOptions) -> Fallible<Vec<Column>> {
    use std::io::Read as _;
    let lines = lines::Lines::quiet(BufReader::with_capacity(BUFFER_BYTES, file.take(SAMPLE_BYTES)), shown);
    csv::infer(lines, options)
}

fn open_file(path: &Path, shown: &str) -> Fallible<File> {
    let failed = |error: std::io::Error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file \"{shown}\""),
            std::io::ErrorKind::PermissionDenied => format!("\"{shown}\" may not be read"),
            _ => format!("\"{shown}\" cannot be opened: {error}"),
        };
        let near = near_file(path);
        let error = Diagnostic::new(Kind::File, message);
        match near {
            Some(near) if !path.exists() => error.hint(format!("did you mean \"{near}\"?")),
            _ => error,
        }
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(Diagnostic::new(Kind::File, format!("\"{shown}\" is a directory, not a file")));
    }
    Ok(file)
}

/// A file in the same folder with nearly that name.
fn near_file(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name()?.to_str()?;
    let entries = std::fs::read_dir(folder).ok()?.take(10_000);
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let near = crate::diagnostic::nearest(name, names.iter().map(String::as_str))?;
    path.with_file_name(near).to_str().map(str::to_string)
}

/// What tells one state of a file from another.
fn stamp(file: &File) -> (u64, Option<std::time::SystemTime>) {
    match file.metadata() {
        Ok(metadata) => (metadata.len(), metadata.modified().ok()),
        Err(_) => (0, None),
    }
}
