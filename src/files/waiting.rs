//! Files that keep their reader waiting without being a pipe, as `/proc/kmsg` does: Ctrl-C ends the wait.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

use crate::run_context::Stop;

/// Whoever waits gives up when this is raised.
static STOP: Mutex<Option<Stop>> = Mutex::new(None);

/// Names the flag of the session whose files are read.
pub fn stopped_by(stop: &Stop) {
    *STOP.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop.clone());
}

/// A file that is read when it has something.
pub struct Waiting {
    file: File,
    can_wait: bool,
}

impl Waiting {
    pub fn new(file: File) -> Waiting {
        // An ordinary file is always ready, also to be written.
        const ALWAYS: i16 = libc::POLLIN | libc::POLLOUT;
        let can_wait = ready(&file, ALWAYS, 0) & ALWAYS != ALWAYS;
        Waiting { file, can_wait }
    }
}

impl Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.can_wait {
            let stop = STOP.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default();
            wait(&self.file, &stop)?;
        }
        self.file.read(buffer)
    }
}

/// Until there are bytes, or the end.
///
/// # Errors
/// [`was_stopped`].
pub fn wait(file: &impl AsRawFd, stop: &Stop) -> io::Result<()> {
    const LOOK_MILLISECONDS: i32 = 20;
    loop {
        if stop.is_raised() {
            return Err(stopped());
        }
        if ready(file, libc::POLLIN, LOOK_MILLISECONDS) != 0 {
            return Ok(());
        }
    }
}

/// What a file is ready for.
fn ready(file: &impl AsRawFd, events: i16, milliseconds: i32) -> i16 {
    let mut poll = libc::pollfd { fd: file.as_raw_fd(), events, revents: 0 };
    // SAFETY: it is one valid entry.
    if unsafe { libc::poll(&mut poll, 1, milliseconds) } > 0 { poll.revents } else { 0 }
}

/// The error of reading that the user stopped.
pub fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "stopped")
}

/// Whether the user stopped what waited.
pub fn was_stopped(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
}
