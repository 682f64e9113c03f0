//! Folders and files that no end of the process leaves behind: a signal that ends it removes them too.

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{self, Path};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

use tempfile::{Builder, NamedTempFile, TempDir};

/// A folder that is gone with all in it when this is dropped, and when the process ends by a signal.
#[derive(Debug)]
pub struct Folder {
    // It is dropped first: until it is gone a signal finds its path.
    folder: TempDir,
    listed: Listed,
}

impl Drop for Folder {
    /// Without memory: a run that was stopped may get none.
    fn drop(&mut self) {
        self.listed.remove();
    }
}

impl Folder {
    /// # Errors
    /// Where no folder can be made there.
    pub fn new_in(builder: &Builder<'_, '_>, place: &Path) -> io::Result<Folder> {
        let folder = builder.tempdir_in(place)?;
        let listed = Listed::new(folder.path());
        Ok(Folder { folder, listed })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The same of a file.
#[derive(Debug)]
pub struct NamedFile {
    file: NamedTempFile,
    _listed: Listed,
}

impl NamedFile {
    /// # Errors
    /// Where no file can be made there.
    pub fn new_in(builder: &Builder<'_, '_>, place: &Path) -> io::Result<NamedFile> {
        let file = builder.tempfile_in(place)?;
        let listed = Listed::new(file.path());
        Ok(NamedFile { file, _listed: listed })
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

impl io::Write for NamedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Removes all that there are now. A signal handler may call it: it makes system calls and allocates nothing. What
/// other threads and processes still write into a folder meanwhile goes with it.
pub fn remove_all() {
    ENDS.store(true, Ordering::SeqCst);
    // SAFETY: a system call without arguments.
    if OWNER.load(Ordering::SeqCst) != unsafe { libc::getpid() } {
        return;
    }
    for path in &PATHS {
        let path = path.load(Ordering::SeqCst);
        if !path.is_null() {
            // SAFETY: a path is listed as long as it lives, and none is freed from here on.
            remove(libc::AT_FDCWD, unsafe { CStr::from_ptr(path) }, 0);
        }
    }
}

/// The absolute paths of what is removed. There is one for each job that runs at a time; what finds no place here is
/// removed when it is dropped, and not by a signal.
static PATHS: [AtomicPtr<c_char>; 64] = [const { AtomicPtr::new(null_mut()) }; 64];
/// The process that they belong to: a fork of it removes nothing.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Whether somebody may read the paths.
static ENDS: AtomicBool = AtomicBool::new(false);

/// A place among the paths.
#[derive(Debug)]
struct Listed(Option<usize>);

impl Listed {
    fn new(path: &Path) -> Listed {
        // SAFETY: a system call without arguments.
        OWNER.store(unsafe { libc::getpid() }, Ordering::SeqCst);
        let path = path::absolute(path).ok().and_then(|path| CString::new(path.as_os_str().as_bytes()).ok());
        let Some(path) = path.map(CString::into_raw) else { return Listed(None) };
        let is_free = |place: &AtomicPtr<c_char>| {
            place.compare_exchange(null_mut(), path, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        };
        let place = PATHS.iter().position(is_free);
        if place.is_none() {
            free(path);
        }
        Listed(place)
    }

    /// Removes what stands there.
    fn remove(&self) {
        if let Some(place) = self.0 {
            // SAFETY: the path is listed until this is dropped.
            remove(libc::AT_FDCWD, unsafe { CStr::from_ptr(PATHS[place].load(Ordering::SeqCst)) }, 0);
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let Some(place) = self.0 else { return };
        let path = PATHS[place].swap(null_mut(), Ordering::SeqCst);
        // A handler that has begun may read it still. One that begins now does not find it any more.
        if !ENDS.load(Ordering::SeqCst) {
            free(path);
        }
    }
}

fn free(path: *mut c_char) {
    // SAFETY: `into_raw` gave it, and it is listed nowhere.
    drop(unsafe { CString::from_raw(path) });
}

/// The most folders in each other.
const DEEPEST: usize = 8;
/// How often a folder is emptied into which others write.
const TRIES: usize = 200;
static MOMENT: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// Removes a file, or a folder and what is in it; links are not followed.
fn remove(parent: c_int, name: &CStr, depth: usize) {
    // SAFETY: plain system calls on a path that ends with a zero, and on a descriptor that was just opened.
    unsafe {
        if libc::unlinkat(parent, name.as_ptr(), 0) == 0 || depth == DEEPEST {
            return;
        }
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let folder = libc::openat(parent, name.as_ptr(), flags);
        if folder < 0 {
            return;
        }
        for _ in 0..TRIES {
            empty(folder, depth);
            if libc::unlinkat(parent, name.as_ptr(), libc::AT_REMOVEDIR) == 0
                || *libc::__errno_location() != libc::ENOTEMPTY
            {
                break;
            }
            libc::nanosleep(&raw const MOMENT, null_mut());
        }
        libc::close(folder);
    }
}

/// Where the length and the name stand in an entry of a folder.
const SIZE: usize = 16;
const NAME: usize = 19;

fn empty(folder: c_int, depth: usize) {
    let mut entries = [0_u8; 2048];
    // SAFETY: plain system calls; the buffer is as long as it says.
    let next = |entries: &mut [u8]| unsafe {
        libc::syscall(libc::SYS_getdents64, folder, entries.as_mut_ptr(), entries.len())
    };
    // SAFETY: a plain system call.
    unsafe { libc::lseek(folder, 0, libc::SEEK_SET) };
    while let Some(read) = usize::try_from(next(&mut entries)).ok().filter(|read| *read > 0) {
        let mut at = 0;
        while at + NAME < read {
            let size = usize::from(u16::from_ne_bytes([entries[at + SIZE], entries[at + SIZE + 1]]));
            let name = CStr::from_bytes_until_nul(&entries[at + NAME..read]).unwrap_or_default();
            if !matches!(name.to_bytes(), b"" | b"." | b"..") {
                remove(folder, name, depth + 1);
            }
            at += size.max(1);
        }
    }
}
