//! Patterns of files: `*`, `?` and `[…]` within a name, `**` for folders at any depth. `**` does not follow links to
//! folders: a link to a folder above itself would give its files without end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glob::Pattern;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::file_name;
use crate::run_context::Stop;

/// The paths that a pattern names and that are no folders, in their order.
pub fn matching(pattern: &str, stop: &Stop) -> Fallible<Vec<PathBuf>> {
    let failed = |error: glob::PatternError| {
        Diagnostic::new(Kind::File, format!("\"{pattern}\" is not a pattern of files: {}", error.msg))
            .hint("`*` and `?` stand for parts of names, `**` for folders")
    };
    let part = |text: &str| match text {
        "**" => Ok(Part::Folders),
        text if text.contains(['*', '?', '[']) => Pattern::new(text).map(Part::Pattern),
        text => Ok(Part::Name(text.to_string())),
    };
    let mut parts = Vec::new();
    for text in pattern.split('/').filter(|text| !text.is_empty()) {
        let part = part(text).map_err(failed)?;
        // One stands for any depth already.
        if !(matches!(part, Part::Folders) && matches!(parts.last(), Some(Part::Folders))) {
            parts.push(part);
        }
    }
    let start = if pattern.starts_with('/') { Path::new("/") } else { Path::new("") };
    let mut found = Vec::new();
    walk(start, &parts, &mut found, stop)?;
    found.sort();
    found.dedup();
    match found.iter().find(|path| path.to_str().is_none()) {
        None => Ok(found),
        Some(path) => {
            let message = format!("the name of \"{}\" is not UTF-8 text, so that no cell can name it", file_name(path));
            Err(Diagnostic::new(Kind::File, message).hint("rename the file, or name the others"))
        }
    }
}

/// One name of a pattern.
enum Part {
    Name(String),
    Pattern(Pattern),
    /// Folders at any depth, also none.
    Folders,
}

fn walk(folder: &Path, parts: &[Part], found: &mut Vec<PathBuf>, stop: &Stop) -> Fallible<()> {
    stop.check()?;
    let Some((first, rest)) = parts.split_first() else {
        if !folder.is_dir() && folder.symlink_metadata().is_ok() {
            found.push(folder.to_path_buf());
        }
        return Ok(());
    };
    match first {
        Part::Name(name) => {
            let path = folder.join(name);
            if path.symlink_metadata().is_ok() {
                walk(&path, rest, found, stop)?;
            }
        }
        Part::Pattern(pattern) => {
            for entry in entries(folder)? {
                if pattern.matches(&entry.file_name().to_string_lossy()) {
                    walk(&folder.join(entry.file_name()), rest, found, stop)?;
                }
            }
        }
        Part::Folders => {
            walk(folder, rest, found, stop)?;
            for entry in entries(folder)? {
                // Of a link this says that it is one.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    walk(&folder.join(entry.file_name()), parts, found, stop)?;
                }
            }
        }
    }
    Ok(())
}

/// What stands in a folder; nothing in what is no folder.
fn entries(folder: &Path) -> Fallible<Vec<fs::DirEntry>> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let read = fs::read_dir(here).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    match read {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::NotFound) => Ok(Vec::new()),
        read => read.map_err(|error| {
            Diagnostic::new(Kind::File, format!("the folder \"{}\" cannot be read: {error}", file_name(here)))
        }),
    }
}
