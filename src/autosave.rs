//! The cells of the running shell in a file, so that a crash loses at most the one that runs: in `sessions` of the
//! state folder, one file a session, the last ten.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::history::own_folder;

/// So many ended sessions are kept.
const KEPT: usize = 10;
/// How the file of a session ends that still runs, of one that was noticed to have died, and of one that ended.
const OPEN: &str = ".open.md";
const LOST: &str = ".lost.md";
const ENDED: &str = ".md";

/// The file of the running session.
pub struct Autosave {
    folder: PathBuf,
    /// Its name without what its state adds.
    name: String,
}

impl Autosave {
    /// Of this process; none where there is no home.
    pub fn own() -> Option<Autosave> {
        Some(Autosave::at(&own_folder()?.join("sessions")))
    }

    pub fn at(folder: &Path) -> Autosave {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
        Autosave { folder: folder.to_path_buf(), name: format!("session-{now:012}-{}", std::process::id()) }
    }

    /// Replaces what was saved before.
    pub fn write(&self, text: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        // A temporary file is the owner's alone, 0600, and stays so.
        let mut file = tempfile::Builder::new().prefix(&temporary(std::process::id())).tempfile_in(&self.folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(self.folder.join(format!("{}{OPEN}", self.name)))?;
        Ok(())
    }

    /// The session ended as it should; older ones make room.
    pub fn end(&self) {
        let path = |state: &str| self.folder.join(format!("{}{state}", self.name));
        // Where nothing was saved there is nothing to rename.
        let _ = fs::rename(path(OPEN), path(ENDED));
        let ended = files(&self.folder, |name| !name.ends_with(OPEN));
        for old in ended.iter().rev().skip(KEPT) {
            let _ = fs::remove_file(old);
        }
    }

    /// The newest session that died, where this is the first to notice it.
    pub fn notice(&self) -> Option<PathBuf> {
        self.remove_unfinished();
        let dead = |name: &str| {
            let process = name.strip_suffix(OPEN)?.rsplit('-').next()?.parse::<i32>().ok()?;
            is_dead(process).then_some(())
        };
        let open = files(&self.folder, |name| dead(name).is_some());
        let mut newest = None;
        for path in open {
            let name = path.to_string_lossy();
            let lost = PathBuf::from(format!("{}{LOST}", name.strip_suffix(OPEN)?));
            newest = fs::rename(&path, &lost).is_ok().then_some(lost).or(newest);
        }
        newest
    }

    /// What processes were writing when they were killed.
    fn remove_unfinished(&self) {
        let writer = |name: &str| name.strip_prefix(UNFINISHED)?.split('-').next()?.parse::<i32>().ok();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_name().to_str().and_then(writer).is_some_and(is_dead) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The newest session that died.
    pub fn lost(&self) -> Option<PathBuf> {
        files(&self.folder, |name| name.ends_with(LOST)).pop()
    }
}

/// How the names of files begin that this process is writing.
fn temporary(process: u32) -> String {
    format!("{UNFINISHED}{process}-")
}

const UNFINISHED: &str = ".saving-";

/// Whether a process has ended, be it that its parent has not asked for it yet.
fn is_dead(process: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let is_zombie = stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']));
    // SAFETY: signal 0 is sent to nobody; it only asks.
    is_zombie || unsafe { libc::kill(process, 0) != 0 }
}

/// The files of sessions, the oldest first.
fn files(folder: &Path, is: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut found: Vec<String> =
        names.filter(|name| name.starts_with("session-") && name.ends_with(ENDED) && is(name)).collect();
    found.sort_unstable();
    found.into_iter().map(|name| folder.join(name)).collect()
}
