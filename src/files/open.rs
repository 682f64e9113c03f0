//! Opening: paths, patterns, what changed, packed bytes.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::SystemTime;

use crate::diagnostic::{Diagnostic, Fallible, Kind, nearest};
use crate::escape::file_name;
use crate::lang::is_outside;
use crate::plan::File;
use crate::run_context::{Progress, RunContext, Stop};

use super::home::expanded;
use super::split::{self, Split};
use super::waiting::{self, Waiting};
use super::{Packing, extension, pattern, stdin};

/// The bytes of a file, unpacked.
pub type Bytes = BufReader<Box<dyn Read>>;

/// The size of a read.
const BUFFER_BYTES: usize = 128 << 10;

/// The files that a path or pattern names, in order of their paths.
pub fn found(shown: &str, stop: &Stop) -> Fallible<Vec<File>> {
    waiting::stopped_by(stop);
    let expanded = expanded(shown);
    let path = expanded.as_path();
    if !shown.contains(['*', '?', '[']) || path.exists() {
        return Ok(vec![look_at(path, shown)?]);
    }
    let mut files = Vec::new();
    for path in pattern::matching(&path.to_string_lossy(), stop)? {
        files.push(look_at(&path, &named(&path))?);
    }
    if files.is_empty() {
        let folder = std::env::current_dir().map(file_name).unwrap_or_default();
        return Err(Diagnostic::new(Kind::File, format!("no file matches \"{shown}\" (looked in {folder})")));
    }
    Ok(files)
}

/// How a file that a pattern found is named: not as standard input is.
fn named(path: &Path) -> String {
    if path == Path::new(stdin::NAME) { format!("./{}", stdin::NAME) } else { file_name(path) }
}

fn look_at(path: &Path, shown: &str) -> Fallible<File> {
    let file = open_file(path, shown)?;
    // The plan means this file, also from another folder.
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    Ok(File { path: whole, shown: shown.to_string(), seen: stamp(&file) })
}

/// What tells one state of a file from another: its length and the time of its last change.
fn stamp(file: &fs::File) -> (u64, Option<SystemTime>) {
    match file.metadata() {
        Ok(metadata) => (metadata.len(), metadata.modified().ok()),
        Err(_) => (0, None),
    }
}

fn open_file(path: &Path, shown: &str) -> Fallible<fs::File> {
    // Not opened first: a pipe without a writer would wait for one.
    if let Ok(metadata) = fs::metadata(path)
        && !metadata.is_file()
        && !metadata.is_dir()
    {
        return Err(Diagnostic::new(
            Kind::File,
            format!("\"{shown}\" is not a regular file; `read` needs one, because it reads the file twice"),
        )
        .hint("timelab -c 'read \"-\" | …' < PIPE reads standard input"));
    }
    let failed = |error: io::Error| {
        let message = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no file \"{shown}\""),
            io::ErrorKind::PermissionDenied => format!("no permission to read \"{shown}\""),
            _ => format!("\"{shown}\" cannot be opened: {error}"),
        };
        let error = Diagnostic::new(Kind::File, message);
        match near_file(path) {
            Some(near) if !path.exists() => error.hint(format!("did you mean \"{near}\"?")),
            _ => error,
        }
    };
    let file = fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Diagnostic::new(Kind::File, format!("\"{shown}\" is a directory, not a file"))
            .hint(format!("\"{}/*\" reads the files in it", shown.trim_end_matches('/'))));
    }
    Ok(file)
}

/// A file in the same folder with nearly that name.
fn near_file(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name()?.to_str()?;
    let entries = fs::read_dir(folder).ok()?.take(10_000);
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let near = nearest(name, names.iter().map(String::as_str))?;
    path.with_file_name(near).to_str().map(str::to_string)
}

/// Whether a path leads out of the current folder, or to a hidden file in it: by its text, or by links on its way.
pub fn leads_outside(shown: &str) -> bool {
    if is_outside(shown) {
        return true;
    }
    let (Ok(here), path) = (fs::canonicalize("."), Path::new(shown)) else { return true };
    // A link at its end is followed, also where what it points to is not there yet.
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) && !path.exists() {
        return true;
    }
    let mut known = path;
    let found = loop {
        if known.as_os_str().is_empty() {
            break Some(here.clone());
        }
        match fs::canonicalize(known) {
            Ok(found) => break Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => break None,
        }
        match known.parent() {
            Some(parent) => known = parent,
            None => break None,
        }
    };
    let Some(found) = found else { return true };
    let Ok(inside) = found.strip_prefix(&here) else { return true };
    inside.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."))
}

/// The file as it is, to be looked at.
pub fn plain(file: &File) -> Fallible<fs::File> {
    if stdin::is(file) {
        return stdin::whole().map_err(|error| unreadable(file, &error));
    }
    open_file(&file.path, &file.shown)
}

/// The file as it is now, where it has changed since a plan was made for it.
pub fn changed(file: &File) -> Fallible<Option<File>> {
    if stdin::is(file) {
        return Ok(None);
    }
    let now = stamp(&plain(file)?);
    Ok(if now == file.seen { None } else { Some(File { seen: now, ..file.clone() }) })
}

/// All bytes of a file, unpacked, for a look at its start: they count as no progress.
pub fn unpacked_bytes(file: &File) -> Fallible<Bytes> {
    if stdin::is(file) {
        return standard_input(Box::new(stdin::Bytes::default()), file);
    }
    Ok(buffered(unpack(Box::new(Waiting::new(plain(file)?)), packing(file), file)?))
}

/// The bytes of a split of a file, unpacked; a packed one has only one split.
pub fn bytes(file: &File, split: &Split, context: &RunContext) -> Fallible<Bytes> {
    if stdin::is(file) {
        let counted = Counted { bytes: stdin::Bytes::default(), progress: context.progress.clone() };
        return standard_input(Box::new(counted), file);
    }
    let failed = |error| Diagnostic::new(Kind::File, format!("\"{}\" cannot be read: {error}", file.shown));
    let lines = split::Lines::new(plain(file)?, split).map_err(failed)?;
    let counted = Counted { bytes: lines, progress: context.progress.clone() };
    Ok(buffered(unpack(Box::new(counted), packing(file), file)?))
}

/// Standard input has no name that says how it is packed: its first bytes do.
fn standard_input(bytes: Box<dyn Read>, file: &File) -> Fallible<Bytes> {
    let mut bytes = buffered(bytes);
    let packing = match bytes.fill_buf().map_err(|error| unreadable(file, &error))? {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        _ => return Ok(bytes),
    };
    Ok(buffered(unpack(Box::new(bytes), Some(packing), file)?))
}

/// What is told where a file cannot be read; that of the user, where the user stopped it.
pub fn unreadable(file: &File, error: &io::Error) -> Box<Diagnostic> {
    unreadable_at(&file.shown, "", error)
}

/// The same with a place, such as ` after line 3`.
pub fn unreadable_at(shown: &str, place: &str, error: &io::Error) -> Box<Diagnostic> {
    if waiting::was_stopped(error) {
        return Diagnostic::new(Kind::Stopped, "stopped");
    }
    Diagnostic::new(Kind::File, format!("\"{shown}\" cannot be read{place}: {error}"))
}

/// Bytes that are read in large pieces.
pub fn buffered(bytes: Box<dyn Read>) -> Bytes {
    BufReader::with_capacity(BUFFER_BYTES, bytes)
}

/// How a file is packed, by its name; standard input has none.
pub fn packing(file: &File) -> Option<Packing> {
    if stdin::is(file) { None } else { extension(&file.path).1 }
}

fn unpack(bytes: Box<dyn Read>, packing: Option<Packing>, file: &File) -> Fallible<Box<dyn Read>> {
    Ok(match packing {
        None => bytes,
        Some(Packing::Gzip) => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        Some(Packing::Zstd) => Box::new(zstd::stream::read::Decoder::new(bytes).map_err(|error| {
            Diagnostic::new(Kind::File, format!("\"{}\" cannot be decompressed: {error}", file.shown))
        })?),
    })
}

/// A file that tells how far it has been read.
struct Counted<R> {
    bytes: R,
    progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.bytes.read(buffer)?;
        self.progress.add_bytes(length as u64);
        Ok(length)
    }
}
