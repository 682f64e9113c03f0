//! The process, as the shell has it.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Stdio};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::run_context::Stop;
use crate::schedule::workers::{receive, send};
use crate::service;

use super::order::{Answer, Order};

pub struct Process {
    child: Child,
    _life: Option<ChildStdin>,
    socket: UnixStream,
}

impl Process {
    /// Starts one that may have so many bytes of address space.
    ///
    /// # Errors
    /// Where the system starts none.
    pub fn start(memory: u64) -> io::Result<Process> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut child = service::command("harness", &[memory.to_string()])?
            .stdin(Stdio::piped())
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()?;
        let life = child.stdin.take();
        Ok(Process { child, _life: life, socket })
    }

    /// What it answers, with bytes beside.
    ///
    /// # Errors
    /// [`Kind::Stopped`], and where it has ended. Then it is not to be asked again.
    pub fn ask(&mut self, order: &Order, stop: &Stop) -> Fallible<(Answer, Vec<u8>)> {
        send(&self.socket, order, &[]).map_err(|_| ended())?;
        while !self.has_answer() {
            stop.check()?;
        }
        receive(&self.socket).map_err(|_| ended())
    }

    /// Whether there is something to receive, if only that it has ended. Waits for a moment.
    fn has_answer(&self) -> bool {
        const LOOK: libc::c_int = 5;
        let mut file = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure, which outlives the call.
        unsafe { libc::poll(&raw mut file, 1, LOOK) > 0 }
    }
}

fn ended() -> Box<Diagnostic> {
    let message = "the process that ran it has ended: it crashed, or there was no memory for it";
    Diagnostic::new(Kind::System, message).hint("try smaller sizes")
}

impl Drop for Process {
    fn drop(&mut self) {
        service::end(&mut self.child);
    }
}
