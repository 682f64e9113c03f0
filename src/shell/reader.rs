//! Whether anybody still reads standard output, while a run goes on.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::run_context::Stop;

/// A thread that stops the run when nobody does; it ends when this is dropped.
pub struct Watch {
    end: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    left: Arc<AtomicBool>,
}

impl Watch {
    pub fn start(stop: Stop) -> io::Result<Watch> {
        let (end, ended) = UnixStream::pair()?;
        let left = Arc::new(AtomicBool::new(false));
        let seen = left.clone();
        let look = move || {
            if is_left(&ended) {
                seen.store(true, Ordering::SeqCst);
                stop.raise();
            }
        };
        let thread = std::thread::Builder::new().name("reader".to_string()).spawn(look)?;
        Ok(Watch { end: Some(end), thread: Some(thread), left })
    }

    /// Whether the reader has gone.
    pub fn is_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // Looking cannot fail the cell.
            let _ = thread.join();
        }
    }
}

/// Waits until the other end of standard output is closed, or that of `ended`.
fn is_left(ended: &UnixStream) -> bool {
    // Errors are told unasked: a pipe or socket that nobody reads any more.
    let watched = |fd, events| libc::pollfd { fd, events, revents: 0 };
    let mut both = [watched(libc::STDOUT_FILENO, 0), watched(ended.as_raw_fd(), libc::POLLIN)];
    loop {
        // SAFETY: the array has as many entries as is said.
        let found = unsafe { libc::poll(both.as_mut_ptr(), both.len() as libc::nfds_t, -1) };
        let [output, end] = both.map(|watched| watched.revents);
        if found < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        if found <= 0 || end != 0 {
            return false;
        }
        return output & (libc::POLLERR | libc::POLLHUP) != 0;
    }
}
