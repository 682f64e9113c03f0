//! Standard input as a file. It can be read only once, while a plan reads its files when it is bound and each time that
//! it runs: what was read stays in a temporary file. No more is read than somebody asks for, so that a plan that needs
//! a prefix ends although standard input does not.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::plan::File;
use crate::run_context::Stop;

use super::waiting;

/// Its name in `read`.
pub const NAME: &str = "-";

/// What was read of standard input.
struct Kept {
    file: fs::File,
    length: u64,
    at_end: bool,
    /// Whoever waits for more gives up when this is raised.
    stop: Stop,
}

static KEPT: OnceLock<Mutex<Kept>> = OnceLock::new();

/// Standard input for plans.
pub fn file(stop: &Stop) -> Fallible<File> {
    let failed = |error: io::Error| {
        Diagnostic::new(Kind::File, format!("cannot store standard input in a temporary file: {error}"))
    };
    if KEPT.get().is_none() {
        let file = tempfile::tempfile().map_err(failed)?;
        KEPT.get_or_init(|| Mutex::new(Kept { file, length: 0, at_end: false, stop: stop.clone() }));
    }
    let path = with_kept(|kept| PathBuf::from(format!("/proc/self/fd/{}", kept.file.as_raw_fd())));
    Ok(File { path: path.map_err(failed)?, shown: NAME.to_string(), seen: (0, None) })
}

/// Whether a file of a plan is standard input.
pub fn is(file: &File) -> bool {
    file.shown == NAME
}

/// All of it, at its start.
pub fn whole() -> io::Result<fs::File> {
    with_kept(|kept| {
        let mut buffer = vec![0; 128 << 10];
        while kept.read_more(&mut buffer)? > 0 {}
        let mut file = kept.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    })?
}

/// Its bytes from the first on; waits for those that are not there yet.
#[derive(Default)]
pub struct Bytes {
    at: u64,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = with_kept(|kept| {
            let there = (kept.length - self.at).min(buffer.len() as u64) as usize;
            if there > 0 { kept.file.read_at(&mut buffer[..there], self.at) } else { kept.read_more(buffer) }
        })??;
        self.at += length as u64;
        Ok(length)
    }
}

fn with_kept<T>(act: impl FnOnce(&mut Kept) -> T) -> io::Result<T> {
    let kept = KEPT.get().ok_or_else(|| io::Error::other("standard input was not opened"))?;
    Ok(act(&mut kept.lock().unwrap_or_else(PoisonError::into_inner)))
}

impl Kept {
    /// Waits for more and keeps it; 0 at the end.
    fn read_more(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at_end || buffer.is_empty() {
            return Ok(0);
        }
        let stdin = io::stdin();
        waiting::wait(&stdin, &self.stop)?;
        // Past the buffer of the standard library, in which bytes would be lost to others.
        // SAFETY: the buffer is writable for its whole length, and the descriptor is open.
        let length = unsafe { libc::read(stdin.as_fd().as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        self.at_end = length == 0;
        self.file.write_all_at(&buffer[..length], self.length)?;
        self.length += length as u64;
        Ok(length)
    }
}
