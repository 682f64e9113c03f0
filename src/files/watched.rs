//! Files that become shorter, or are changed or replaced, while they are read: an error, whoever reads them and how.
//!
//! A reader that asks for bytes meets the end too early, and would take a part for the whole. One that maps the file
//! into memory is sent a signal that ends the process, when it touches what is no longer there: such a page is replaced
//! by an empty one, and the run fails in the end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::SystemTime;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::plan::File;

use super::stdin;

/// The files of a run as they were when it began.
pub struct Watched {
    files: Vec<(File, Stamp)>,
    missed: u64,
}

/// What tells one state of a file from another: which one it is, its length, and the time of its last change.
type Stamp = ((u64, u64), u64, Option<SystemTime>);

impl Watched {
    pub fn new(files: Vec<File>) -> Watched {
        if !files.is_empty() {
            guard_maps();
        }
        let files = files.into_iter().filter(|file| !stdin::is(file));
        let files = files.filter_map(|file| stamp(&file).map(|stamp| (file, stamp))).collect();
        Watched { files, missed: MISSED.load(Ordering::SeqCst) }
    }

    /// What a run gives, or an error where one of them is not what it was.
    pub fn judge<T>(&self, result: Fallible<T>) -> Fallible<T> {
        match result {
            Err(error) if error.kind == Kind::Stopped => Err(error),
            result => self.check().and(result),
        }
    }

    /// # Errors
    /// One of the files is shorter now, another one, or changed at the same length. One that grew is as it was, with
    /// more behind it.
    pub fn check(&self) -> Fallible<()> {
        let changed = |shown: &str, how: &str, hint: String| {
            let message = format!("{shown} {how} while it was read, so that there is no result");
            Err(Diagnostic::new(Kind::File, message).hint(hint))
        };
        for (file, (is, length, time)) in &self.files {
            let shown = format!("\"{}\"", file.shown);
            match stamp(file) {
                Some((now, ..)) if now != *is => {
                    return changed(&shown, "was replaced", "run the cell again".to_string());
                }
                Some((_, now, _)) if now < *length => {
                    let hint = format!("it had {length} bytes and has {now} now");
                    return changed(&shown, "became shorter", hint);
                }
                Some((_, now, changed_at)) if now == *length && changed_at != *time => {
                    return changed(&shown, "was changed", "run the cell again".to_string());
                }
                Some(_) | None => {}
            }
        }
        if self.files.is_empty() || MISSED.load(Ordering::SeqCst) == self.missed {
            return Ok(());
        }
        changed("a file", "became shorter", "it has its old length again: run the cell again".to_string())
    }
}

fn stamp(file: &File) -> Option<Stamp> {
    let metadata = fs::metadata(&file.path).ok()?;
    Some(((metadata.dev(), metadata.ino()), metadata.len(), metadata.modified().ok()))
}

/// How many pages were touched that a file no longer has.
static MISSED: AtomicU64 = AtomicU64::new(0);

/// What handled the signal before.
static BEFORE: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());

/// From here on a page that a file no longer has is an empty one.
pub fn guard_maps() {
    static GUARDED: Once = Once::new();
    GUARDED.call_once(|| {
        // SAFETY: an all-zero structure is a valid one; the handler does only what a signal handler may do.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_missing_page as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            let before = Box::into_raw(Box::new(std::mem::zeroed::<libc::sigaction>()));
            BEFORE.store(before, Ordering::SeqCst);
            libc::sigaction(libc::SIGBUS, &raw const action, before);
        }
    });
}

extern "C" fn on_missing_page(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    const PAGE: usize = 4096;
    // SAFETY: the system hands in valid structures; the page is one that the process has mapped and cannot read.
    unsafe {
        if (*info).si_code == libc::BUS_ADRERR {
            let page = ((*info).si_addr() as usize & !(PAGE - 1)) as *mut libc::c_void;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            if libc::mmap(page, PAGE, access, kind, -1, 0) != libc::MAP_FAILED {
                MISSED.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
        let before = BEFORE.load(Ordering::SeqCst);
        match (*before).sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                // It comes again when this returns, and ends the process.
                libc::signal(signal, libc::SIG_DFL);
            }
            handler => {
                let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    std::mem::transmute(handler);
                handler(signal, info, context);
            }
        }
    }
}
