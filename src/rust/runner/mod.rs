//! The process that runs Rust: the child of the compiler's host. Three processes share the work, so that no cell can
//! take the variables with it. The *supervisor* is the child that the host started: it hears from the host's library
//! which shared library to load, asks the shell whether it may, and tells how it ended. The *fork server* keeps the
//! variables. A *worker* is a fork of the fork server that runs one cell: where the cell ends well and commits, the
//! worker is the next fork server; else it is gone, and the fork server is as it was before.

mod api;
mod faults;
mod fork_server;
mod packets;

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::exit;

use crate::descendants;

use super::frame::{self, Ending, Failure, Order, SOCKET};
use super::printer::MARK;

use fork_server::hold;
use packets::{pair, read_packet, ready, write_all};

/// In the environment of the runner: the folder of its socket and of all that the host compiles.
pub const FOLDER: &str = "TIMELAB_RUST_FOLDER";
/// In the environment of the runner: the process of the shell.
pub const SHELL: &str = "TIMELAB_RUST_SHELL";
/// What the host's library waits for when a cell has run.
const COMPLETE: &[u8] = b"EVCXR_EXECUTION_COMPLETE\n";
/// No text: the host's library then takes back all that the cell changed.
const TAKE_BACK: &[u8] = b"\xff\n";

/// Becomes the runner, where this process was started as one.
pub fn hook() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = PathBuf::from(folder);
        supervise(&folder);
        // What cells have started and left running ends with the shell.
        descendants::end(libc::SIGKILL);
        if shell_is_gone() {
            super::prepared::remove(&folder);
        }
        exit(0);
    }
}

/// Whether the shell, which started this process, is gone or goes within a moment; else it may start another runner.
fn shell_is_gone() -> bool {
    const MOMENTS: usize = 30;
    let shell = std::env::var(SHELL).ok().and_then(|shell| shell.parse().ok());
    (0..MOMENTS).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        // SAFETY: a system call without arguments.
        shell != Some(unsafe { libc::getppid() })
    })
}

/// Serves until the host or the shell is gone.
fn supervise(folder: &Path) {
    // SAFETY: plain system calls on this process itself.
    unsafe {
        libc::setpgid(0, 0);
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
    let Ok(mut shell) = UnixStream::connect(folder.join(SOCKET)) else { return };
    let Some((fork_server, theirs)) = pair() else { return };
    let supervisor = std::process::id() as i32;
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        -1 => return,
        0 => {
            drop((fork_server, shell));
            hold(theirs, folder, supervisor);
        }
        _ => drop(theirs),
    }
    let hello = frame::send(&mut shell, frame::SUPERVISOR, &std::process::id().to_le_bytes());
    let mut supervisor = Supervisor { shell, fork_server, running: HashMap::new(), loading: None };
    if hello.is_ok() {
        let _ = supervisor.serve();
    }
    // The fork server, and a worker with it, end with their supervisor.
}

/// Hears the host, the shell, and the fork server with its workers.
struct Supervisor {
    shell: UnixStream,
    fork_server: OwnedFd,
    running: HashMap<u64, Running>,
    /// The library that the host waits for.
    loading: Option<Loading>,
}

/// A worker.
#[derive(Default)]
struct Running {
    pid: Option<i32>,
    silent: bool,
    /// What it said of its failure.
    failure: Option<Failure>,
}

enum Loading {
    /// The shell was asked.
    Asked,
    Runs {
        number: u64,
        commits: bool,
        silent: bool,
    },
}

impl Supervisor {
    /// Serves until somebody is gone.
    fn serve(&mut self) -> Option<()> {
        let input = std::io::stdin();
        loop {
            match ready([libc::STDIN_FILENO, self.shell.as_raw_fd(), self.fork_server.as_raw_fd()]) {
                // The host sends one line and waits.
                [true, ..] => {
                    let mut line = String::new();
                    input.lock().read_line(&mut line).ok().filter(|read| *read > 0)?;
                    let asked = line.strip_prefix("LOAD_AND_RUN ")?.trim_end();
                    frame::send(&mut self.shell, frame::LOADED, asked.as_bytes()).ok()?;
                    self.loading = Some(Loading::Asked);
                }
                [_, true, _] => {
                    let (kind, bytes) = frame::receive(&mut self.shell).ok()?;
                    self.hear_shell(kind, &bytes)?;
                }
                [_, _, true] => {
                    let packet = read_packet(&self.fork_server)?;
                    self.hear_worker(&packet)?;
                }
                _ => {}
            }
        }
    }

    fn hear_shell(&mut self, kind: u8, bytes: &[u8]) -> Option<()> {
        match kind {
            frame::RUN => {
                let order: Order = serde_json::from_slice(bytes).ok()?;
                if let (Some(Loading::Asked), false) = (&self.loading, order.detached) {
                    let Order { number, commits, silent, .. } = order;
                    self.loading = Some(Loading::Runs { number, commits, silent });
                }
                self.running.insert(order.number, Running { silent: order.silent, ..Running::default() });
                write_all(&self.fork_server, bytes)
            }
            frame::REFUSE => self.loaded(false),
            frame::KILL => {
                let number = u64::from_le_bytes(bytes.try_into().ok()?);
                if let Some(running) = self.running.get_mut(&number) {
                    running.failure = Some(Failure { message: "stopped".to_string(), place: None });
                    running.pid.into_iter().for_each(kill);
                }
                Some(())
            }
            _ => Some(()),
        }
    }

    /// `KIND NUMBER REST`, from a worker or, where that can say nothing any more, from the fork server.
    fn hear_worker(&mut self, packet: &[u8]) -> Option<()> {
        let text = String::from_utf8_lossy(packet);
        let (number, rest) = text.get(1..)?.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        let Some(running) = self.running.get_mut(&number) else { return Some(()) };
        match packet[0] {
            b'W' => {
                running.pid = rest.parse().ok();
                // It was stopped before it could be known.
                running.pid.filter(|_| running.failure.is_some()).into_iter().for_each(kill);
                return Some(());
            }
            b'N' => {
                // The person's word comes first.
                running.failure = running.failure.take().or_else(|| serde_json::from_str(rest).ok());
                return Some(());
            }
            _ => {}
        }
        let running = self.running.remove(&number)?;
        let ending = if packet[0] == b'K' {
            serde_json::from_str(rest).ok()?
        } else {
            let failure = running.failure.unwrap_or(Failure { message: rest.to_string(), place: None });
            Ending { failure: Some(failure), ..Ending::default() }
        };
        // SAFETY: collects children that were left to this process.
        unsafe { while libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) > 0 {} }
        frame::send_value(&mut self.shell, frame::DONE, &(number, running.silent, &ending)).ok()?;
        match self.loading {
            Some(Loading::Runs { number: loading, commits, silent }) if loading == number => {
                if ending.failure.is_some() && !silent {
                    std::io::stdout().write_all(MARK.as_bytes()).ok()?;
                    std::io::stderr().write_all(MARK.as_bytes()).ok()?;
                }
                self.loaded(commits && ending.failure.is_none())
            }
            _ => Some(()),
        }
    }

    /// Tells the host that its library has run.
    fn loaded(&mut self, stays: bool) -> Option<()> {
        self.loading = None;
        let mut out = std::io::stdout().lock();
        out.write_all(if stays { COMPLETE } else { TAKE_BACK }).ok()?;
        out.flush().ok()
    }
}

/// Ends a worker and what it started.
fn kill(worker: i32) {
    // SAFETY: a worker leads a process group of its own.
    unsafe {
        libc::kill(-worker, libc::SIGKILL);
        libc::kill(worker, libc::SIGKILL);
    }
}
