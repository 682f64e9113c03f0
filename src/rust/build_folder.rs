//! The folder of all that is compiled. It lies under the user's own cache folder and not under a shared one: cargo
//! looks for `.cargo/config.toml` in all folders above, and what stands in one names programs that it runs.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::escape::file_name;

const PREFIX: &str = "rust-";
/// In each folder, held as long as its shell lives.
const LOCK: &str = "in-use";
/// The longest path of a folder in which a socket can be: the system takes 107 bytes for the whole path.
const LONGEST: usize = 90;

/// Makes a folder that only the user can enter, and removes those of shells that were killed.
///
/// # Errors
/// What is wrong with the place, in words.
pub fn new() -> io::Result<PathBuf> {
    let place = place()?;
    if runs_nothing(&place) {
        let place = file_name(place);
        let message = format!("\"{place}\" is on a file system that runs no programs (noexec): set XDG_CACHE_HOME");
        return Err(io::Error::other(message));
    }
    // It may take long, and nobody waits for it.
    let leftovers = place.clone();
    let _ = std::thread::Builder::new().spawn(move || remove_leftovers(&leftovers));
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&place)?.keep();
    if folder.as_os_str().len() > LONGEST {
        let _ = fs::remove_dir(&folder);
        let message = format!("the path \"{}\" is too long for a socket: set XDG_CACHE_HOME", file_name(&folder));
        return Err(io::Error::other(message));
    }
    let lock = locked(&folder)?;
    // It is held until the process ends.
    std::mem::forget(lock);
    Ok(folder)
}

/// Whether what is built there cannot be loaded.
fn runs_nothing(place: &Path) -> bool {
    let Ok(path) = CString::new(place.as_os_str().as_bytes()) else { return false };
    // SAFETY: an all-zero structure is a valid one, and the system fills it.
    unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        libc::statvfs(path.as_ptr(), &raw mut found) == 0 && found.f_flag & libc::ST_NOEXEC != 0
    }
}

/// `timelab` in the user's cache folder, where nobody else can write.
fn place() -> io::Result<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    let cache = cache.ok_or_else(|| io::Error::other("they need a folder that you own: set HOME or XDG_CACHE_HOME"))?;
    fs::create_dir_all(&cache)?;
    let place = cache.join("timelab");
    match DirBuilder::new().mode(0o700).create(&place) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // SAFETY: a system call without arguments.
    let user = unsafe { libc::geteuid() };
    let metadata = fs::symlink_metadata(&place)?;
    if !metadata.is_dir() || metadata.uid() != user {
        return Err(io::Error::other(format!("\"{}\" is not a folder that you own", file_name(place))));
    }
    if metadata.mode() & 0o077 != 0 {
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700))?;
    }
    Ok(place)
}

fn locked(folder: &Path) -> io::Result<File> {
    let lock = OpenOptions::new().append(true).create(true).mode(0o600).open(folder.join(LOCK))?;
    lock.try_lock().map_err(io::Error::from)?;
    Ok(lock)
}

/// Removes the folders whose shells have gone without removing them.
fn remove_leftovers(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for folder in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let is_ours = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        // One that was just made has no lock yet.
        let is_old = || {
            let changed = fs::metadata(&folder).and_then(|metadata| metadata.modified());
            changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age.as_secs() > 60))
        };
        if is_ours && is_old() && locked(&folder).is_ok() {
            let _ = fs::remove_dir_all(&folder);
        }
    }
}
