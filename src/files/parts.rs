//! A table as a folder of files, in which each has as many rows as the others, and a list of them. The folder is there
//! as a whole or not at all: it is made under another name and renamed.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use polars::prelude::DataFrame;
use polars_arrow::io::ipc::read::{FileReader, read_file_metadata};
use serde_json::json;

use crate::data::{Schema, Table};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::plan::{Format, Write};
use crate::run_context::{RunContext, TableSink};

use super::groups;
use super::open;
use super::write::{Complete, Draft, Written, WrittenFile, beside, failed};

/// Files that are complete and still have no name, so that a kill leaves nothing.
const MOST_HELD: usize = 200;

const LIST_NAME: &str = "manifest.json";

/// Rows that wait until it is known how many there are, and so how many each part has.
pub struct Parts<'a> {
    write: &'a Write,
    count: u32,
    target: PathBuf,
    schema: &'a Schema,
    context: &'a RunContext,
    rows: usize,
    waiting: Vec<Table>,
    bytes: usize,
    /// The rows before those that wait in memory.
    spool: Option<Draft<'a>>,
}

impl<'a> Parts<'a> {
    pub fn new(
        write: &'a Write,
        count: u32,
        target: PathBuf,
        schema: &'a Schema,
        context: &'a RunContext,
    ) -> Parts<'a> {
        Parts { write, count, target, schema, context, rows: 0, waiting: Vec::new(), bytes: 0, spool: None }
    }

    pub fn take(&mut self, rows: &Table) -> Fallible<bool> {
        let compact = rows.compact();
        self.rows += compact.height();
        self.bytes += compact.data_bytes();
        self.waiting.push(compact);
        // More of them wait in a file until their number is known.
        if self.bytes >= groups::most_bytes(self.context) {
            let spool = match &mut self.spool {
                Some(spool) => spool,
                none => {
                    let write = Write { format: Format::Arrow, parts: None, ..self.write.clone() };
                    none.insert(Draft::new(write, self.schema, beside(&self.target), self.context)?)
                }
            };
            for table in self.waiting.drain(..) {
                spool.take(&table)?;
            }
            self.bytes = 0;
        }
        Ok(true)
    }

    /// Writes the parts and puts the folder in its place.
    pub fn finish(mut self) -> Fallible<Written> {
        let failed = |error| failed(&self.write.shown, error);
        let spool = self.spool.take().map(Draft::complete).transpose()?;
        let spooled = spool.as_ref().map(|spool| Spooled::new(spool, self.schema)).transpose().map_err(failed)?;
        let waiting = std::mem::take(&mut self.waiting);
        let mut tables = spooled.into_iter().flatten().chain(waiting.into_iter().map(Ok));
        let mut files = Files { parts: &self, held: Vec::new(), folder: None, placed: Vec::new(), notes: Vec::new() };
        // What is left of the last table.
        let mut rest: Option<Table> = None;
        let mut start = 0;
        for number in 0..self.count as usize {
            // The first ones have a row more where it does not come out even.
            let (each, more) = (self.rows / self.count as usize, self.rows % self.count as usize);
            let mut missing = each + usize::from(number < more);
            let mut draft = Draft::new(files.part(number), self.schema, beside(&self.target), self.context)?;
            let in_all = |mut error: Box<Diagnostic>| {
                error.row = error.row.map(|row| row + start as u64);
                error
            };
            while missing > 0 {
                let table = match rest.take() {
                    Some(table) => table,
                    None => tables.next().expect("all rows are there").map_err(failed)?,
                };
                let now = missing.min(table.height());
                draft.take(&table.part(0, now)).map_err(in_all)?;
                missing -= now;
                rest = (now < table.height()).then(|| table.part(now, table.height() - now));
            }
            start += each + usize::from(number < more);
            let complete = draft.complete()?;
            files.add(number, complete).map_err(failed)?;
            self.context.stop.check()?;
        }
        files.finish()
    }
}

/// The files of a folder that is being made.
struct Files<'a> {
    parts: &'a Parts<'a>,
    /// The number of each, and itself.
    held: Vec<(usize, Complete)>,
    folder: Option<Folder>,
    placed: Vec<WrittenFile>,
    notes: Vec<String>,
}

impl Files<'_> {
    fn name(&self, number: usize) -> String {
        let extension = match &self.parts.write.format {
            Format::Text { .. } => "txt",
            Format::Json { only_lines: true } => "jsonl",
            other => other.name(),
        };
        format!("part-{number:05}.{extension}")
    }

    /// A part as a file of its own.
    fn part(&self, number: usize) -> Write {
        let write = self.parts.write;
        let name = self.name(number);
        let shown = format!("{}/{name}", write.shown.trim_end_matches('/'));
        Write { path: write.path.join(name), shown, parts: None, format: write.format.clone() }
    }

    fn add(&mut self, number: usize, complete: Complete) -> io::Result<()> {
        self.held.push((number, complete));
        if self.held.len() < most_held() { Ok(()) } else { self.place() }
    }

    /// Gives those that are held their names.
    fn place(&mut self) -> io::Result<()> {
        // The slow part comes first: a kill before the folder is made leaves nothing.
        self.held.iter().try_for_each(|(_, complete)| complete.file()?.sync_all())?;
        let folder = match &mut self.folder {
            Some(folder) => folder.path.clone(),
            none => none.insert(Folder::new(beside(&self.parts.target))?).path.clone(),
        };
        for (number, complete) in std::mem::take(&mut self.held) {
            let write = self.part(number);
            let (file, notes) = complete.place(&folder.join(self.name(number)), &write.shown)?;
            // Types come from the first file that has rows.
            if file.rows > 0 && self.placed.iter().all(|file| file.rows == 0) {
                self.notes = notes;
            }
            self.placed.push(file);
        }
        Ok(())
    }

    fn finish(mut self) -> Fallible<Written> {
        let (write, stop) = (self.parts.write, &self.parts.context.stop);
        self.place().map_err(|error| failed(&write.shown, error))?;
        let folder = self.folder.take().expect("there is a part");
        let list = self.list();
        let written = File::create_new(folder.path.join(LIST_NAME)).and_then(|mut file| {
            file.write_all(list.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| failed(&write.shown, error))?;
        stop.check()?;
        folder.finish(&self.parts.target).map_err(|error| failed(&write.shown, error))?;
        Ok(Written { files: self.placed, notes: self.notes })
    }

    /// The parts and their columns. Paths start in the folder, so that it can be moved.
    fn list(&self) -> String {
        let columns = self.parts.schema.columns.iter();
        let columns: Vec<_> =
            columns.map(|column| json!({"name": column.name, "type": column.ty.to_string()})).collect();
        let parts = self.placed.iter().enumerate();
        let parts: Vec<_> =
            parts.map(|(i, file)| json!({"path": self.name(i), "rows": file.rows, "bytes": file.bytes})).collect();
        let list = json!({"format": self.parts.write.format.name(), "schema": columns, "parts": parts});
        serde_json::to_string_pretty(&list).expect("it is plain data") + "\n"
    }
}

/// A folder that is not in its place yet; it goes if it does not get there.
struct Folder {
    path: PathBuf,
    is_placed: bool,
}

impl Folder {
    fn new(beside: &Path) -> io::Result<Folder> {
        let mut number = 0;
        loop {
            let path = beside.join(format!(".timelab-parts-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o777).create(&path) {
                Ok(()) => return Ok(Folder { path, is_placed: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 100 => number += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the place of `target`, which is not there or an empty folder, whose permissions are kept.
    fn finish(mut self, target: &Path) -> io::Result<()> {
        if let Ok(old) = fs::metadata(target) {
            fs::set_permissions(&self.path, old.permissions())?;
        }
        fs::rename(&self.path, target)?;
        self.is_placed = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_placed {
            // Nobody is left to be told.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// The tables of a file of ours that rows wait in.
struct Spooled<'a> {
    reader: FileReader<File>,
    schema: &'a Schema,
}

impl<'a> Spooled<'a> {
    fn new(spool: &Complete, schema: &'a Schema) -> io::Result<Spooled<'a>> {
        let mut file = spool.file()?;
        let metadata = read_file_metadata(&mut file).map_err(io::Error::other)?;
        Ok(Spooled { reader: FileReader::new(file, metadata, None, None), schema })
    }
}

impl Iterator for Spooled<'_> {
    type Item = io::Result<Table>;

    fn next(&mut self) -> Option<io::Result<Table>> {
        let batch = self.reader.next()?.map_err(io::Error::other);
        Some(batch.and_then(|batch| Table::new(DataFrame::from(batch), self.schema.clone()).map_err(io::Error::other)))
    }
}

/// The folder that is made, or the empty one that is replaced: behind a link, the one that it points to.
pub fn target(write: &Write, confined: bool) -> Fallible<PathBuf> {
    let (path, shown) = (trimmed(&write.path), &write.shown);
    if confined && open::leads_outside(&trimmed(Path::new(shown)).to_string_lossy()) {
        let message = format!("\"{shown}\" leads out of the current folder, or to a hidden folder in it");
        return Err(Diagnostic::new(Kind::File, message).hint("--trust lets a file of cells write there"));
    }
    let refused = |what: &str| Diagnostic::new(Kind::File, format!("\"{shown}\" cannot be written: {what}"));
    let Ok(metadata) = fs::metadata(&path) else {
        return Ok(fs::read_link(&path).map_or(path.clone(), |to| path.with_file_name(to)));
    };
    if !metadata.is_dir() {
        return Err(refused("it is a file, and parts need a folder"));
    }
    let found = fs::canonicalize(&path).map_err(|error| failed(&write.shown, error))?;
    if std::env::current_dir().is_ok_and(|here| here.starts_with(&found)) {
        return Err(refused("it is the current folder, or one around it").hint("name a new folder in it"));
    }
    let mut entries = fs::read_dir(&found).map_err(|error| failed(&write.shown, error))?;
    if entries.next().is_some() {
        return Err(refused("the folder is not empty").hint("name a new folder, or an empty one"));
    }
    if metadata.permissions().mode() & 0o222 == 0 {
        return Err(refused("the folder is read-only").hint(format!("!chmod u+w \"{shown}\"")));
    }
    Ok(found)
}

/// A path without slashes at its end: a link with one behind it is what it points to.
pub fn trimmed(path: &Path) -> PathBuf {
    path.components().collect()
}

/// A process may have only so many open files, often 1,024.
fn most_held() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid and ours.
    let is_known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    if is_known { MOST_HELD.min(usize::try_from(limit.rlim_cur / 4).unwrap_or(MOST_HELD)) } else { 1 }
}
