//! The cells that a person entered, in a file that several shells may add to at once. A line of it is a cell, or tells
//! that the cell of this text failed. Lines are only ever added, but for a file that has grown far too long.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::escape::{file_name, hidden_tokens};

/// The most cells that are remembered.
pub const MOST: usize = 10_000;
/// So many lines make it worth to write the file anew.
const TOO_LONG: usize = 2 * MOST;

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub cell: String,
    /// It is kept all the same: the next try begins with it.
    pub failed: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Cell(String),
    Failed(String),
}

/// What a person's sessions leave behind stands here: `$XDG_STATE_HOME/timelab`, or under `~/.local/state`.
pub fn own_folder() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")));
    state.map(|state| state.join("timelab"))
}

/// Where the cells are kept; nowhere, where nobody types.
#[derive(Debug, Default)]
pub struct History {
    path: Option<PathBuf>,
}

impl History {
    /// The person's own: `history.jsonl` in [`own_folder`].
    pub fn own() -> History {
        History { path: own_folder().map(|folder| folder.join("history.jsonl")) }
    }

    pub fn at(path: &Path) -> History {
        History { path: Some(path.to_path_buf()) }
    }

    /// The cells of all sessions, oldest first, at most [`MOST`].
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let Some(path) = &self.path else { return Ok(Vec::new()) };
        regular(path)?;
        let (text, is_too_long) = match last_lines(path) {
            Ok(read) => read,
            // A first start has none.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if is_too_long && let Ok(shortened) = shorten(path) {
            return Ok(shortened);
        }
        // Where it could not be shortened it is long the next time, too.
        Ok(entries(&text))
    }

    /// Adds a cell, before it runs: also one that ends the shell is there the next time.
    pub fn add(&self, cell: &str) -> io::Result<()> {
        self.append(&Line::Cell(hidden_tokens(cell)))
    }

    /// Tells that the last cell of this text failed.
    pub fn failed(&self, cell: &str) -> io::Result<()> {
        self.append(&Line::Failed(hidden_tokens(cell)))
    }

    fn append(&self, line: &Line) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let _lock = locked(path)?;
        regular(path)?;
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut text = serde_json::to_string(line)? + "\n";
        let metadata = file.metadata()?;
        if metadata.permissions().mode() & 0o077 != 0 {
            // It may be older than this rule: cells are nobody else's.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        if metadata.len() > 0 {
            // A line that was cut off by a full disk must not swallow this one.
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                text.insert(0, '\n');
            }
        }
        file.write_all(text.as_bytes())
    }
}

/// Writes the file anew with the cells that are remembered, whole or not at all.
fn shorten(path: &Path) -> io::Result<Vec<Entry>> {
    let _lock = locked(path)?;
    let entries = entries(&last_lines(path)?.0);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut anew = tempfile::NamedTempFile::new_in(folder)?;
    let mut lines = String::new();
    for Entry { cell, failed } in &entries {
        let text = serde_json::to_string(cell)?;
        lines.push_str(&format!("{{\"cell\":{text}}}\n"));
        if *failed {
            lines.push_str(&format!("{{\"failed\":{text}}}\n"));
        }
    }
    anew.write_all(lines.as_bytes())?;
    anew.persist(path)?;
    Ok(entries)
}

/// The last lines of the file, at least [`TOO_LONG`] if it has so many, and whether it has more: what stands before
/// them is not read, so that a start costs no more with a long history.
fn last_lines(path: &Path) -> io::Result<(String, bool)> {
    const PIECE: u64 = 256 << 10;
    let file = File::open(path)?;
    let mut start = file.metadata()?.len();
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    let mut breaks = 0;
    while start > 0 && breaks <= TOO_LONG {
        let length = start.min(PIECE);
        start -= length;
        let mut piece = vec![0; length as usize];
        file.read_exact_at(&mut piece, start)?;
        breaks += memchr::memchr_iter(b'\n', &piece).count();
        pieces.push(piece);
    }
    pieces.reverse();
    Ok((String::from_utf8_lossy(&pieces.concat()).into_owned(), breaks > TOO_LONG))
}

/// A lock beside the file, since the file itself may be replaced. It ends with the handle. Nobody holds it for longer
/// than a moment, unless something is wrong: Enter must not wait for that.
fn locked(path: &Path) -> io::Result<File> {
    const MOMENTS: usize = 20;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("lock");
    regular(&beside)?;
    let lock = OpenOptions::new().append(true).create(true).mode(0o600).open(&beside)?;
    for _ in 0..MOMENTS {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(4)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other(format!("another process uses \"{}\"", file_name(&beside))))
}

/// An error where something else than a file stands there: to open a pipe would wait for its other end.
fn regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            Err(io::Error::other(format!("\"{}\" is not a regular file", file_name(path))))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What the lines tell; a line that tells nothing is passed over.
fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    // Where each text was entered last.
    let mut places: HashMap<String, usize> = HashMap::new();
    // Those before the last ones are forgotten anyway, but for what is told of a cell after them.
    let most = text.lines().count().saturating_sub(2 * MOST);
    for line in text.lines().skip(most) {
        match serde_json::from_str(line) {
            Ok(Line::Cell(cell)) => {
                places.insert(cell.clone(), entries.len());
                entries.push(Entry { cell, failed: false });
            }
            Ok(Line::Failed(cell)) => {
                if let Some(place) = places.get(&cell) {
                    entries[*place].failed = true;
                }
            }
            Err(_) => {}
        }
    }
    entries.drain(..entries.len().saturating_sub(MOST));
    entries
}
