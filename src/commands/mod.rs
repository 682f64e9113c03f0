//! Programs of the system as something that is measured: a small process of our own starts them one by one, and what
//! they print is taken through pipes. It knows no plan and no session.
//!
//! Linux carries the peak memory of a process that forks through `exec`: `true`, started from a process that holds 300
//! MiB, reports 313 MiB. So the shell does not start what it measures: the starter does, which holds nearly nothing.

mod output;
mod packets;
mod perf_event;
mod process;
mod sampler;
mod starter;
mod streaming;
mod words;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

pub use output::{Compared, Gathered, KEPT, Output};
pub use process::hook;
pub use sampler::{Outermost, Sampler, preloaded};
pub use starter::{Failure, Listener, Starter};
pub use streaming::{Part, Streaming};
pub use words::{Filled, braces, quoted, resolve, through_shell};

/// A library that samples the program into which it is loaded, as text for rustc.
pub const PRELOAD: &str = include_str!("preload.rs.txt");
/// In the environment of such a program: the file that the library writes.
pub const SAMPLES: &str = "TIMELAB_SAMPLES";

/// What is started.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Where it lies.
    pub path: PathBuf,
    /// Its name and its words.
    pub words: Vec<OsString>,
    /// Whether it is the system's shell, which runs the words of the person.
    pub is_shell: bool,
}

/// What one run of a program cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessRun {
    pub status: ExitStatus,
    pub wall: Duration,
    /// Of it and of what it started and waited for.
    pub user: Duration,
    pub system: Duration,
    /// The most memory that it or one of those had at once, in bytes. Never less than the starter has itself.
    pub peak: u64,
    /// Of its first thread alone, to the nanosecond: how long that was on a processor, and how long it waited for one,
    /// or for the process that starts it.
    pub thread: Option<(u64, u64)>,
    /// How often it gave up the processor to wait for something.
    pub waits: u64,
    /// How often it had to leave it.
    pub preempted: u64,
    /// Instructions in user space, where they were asked for and the system counts them.
    pub instructions: Option<u64>,
    /// Processes that it left behind, which were ended.
    pub left: u64,
}

impl ProcessRun {
    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }

    /// How it ended, in words.
    pub fn ending(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("killed by signal {signal} ({})", signal_name(signal)),
            (None, None) => "no exit status".to_string(),
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        _ => "see signal(7)",
    }
}
