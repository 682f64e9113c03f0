//! The processes below this one: what cells have started, and what that has started. They end with the shell.

use std::ffi::{CStr, c_int};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};

/// A child that ends by itself when this process ends, and then ends all below itself.
static SPARED: AtomicI32 = AtomicI32::new(0);

pub fn spare(pid: i32) {
    SPARED.store(pid, Ordering::SeqCst);
}

/// The most that are found.
const MOST: usize = 512;
/// How long they have to end by themselves.
static PATIENCE: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Ends all processes below this one: by a signal, and where that is not enough, by force. A signal handler may call
/// it.
pub fn end(signal: c_int) {
    let mut found = Processes { pids: [0; MOST], length: 0 };
    // SAFETY: a system call without arguments.
    found.add_below(unsafe { libc::getpid() }, 0);
    let pids = &found.pids[..found.length];
    if pids.is_empty() {
        return;
    }
    // SAFETY: plain system calls. A number may be another process's only where all numbers were used since.
    unsafe {
        pids.iter().for_each(|pid| _ = libc::kill(*pid, signal));
        // One that was stopped takes the signal only when it goes on.
        pids.iter().for_each(|pid| _ = libc::kill(*pid, libc::SIGCONT));
        libc::nanosleep(&raw const PATIENCE, std::ptr::null_mut());
        pids.iter().for_each(|pid| _ = libc::kill(*pid, libc::SIGKILL));
    }
}

/// A command that is sent a signal when this process ends, also where that is killed. The thread that starts it must
/// be one that lasts.
pub fn ends_with_us(command: &mut Command) -> &mut Command {
    // SAFETY: the child makes system calls only.
    unsafe {
        let parent = libc::getpid();
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            // The shell ignores this one; a command need not.
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
            if libc::getppid() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
        })
    }
}

struct Processes {
    pids: [i32; MOST],
    length: usize,
}

impl Processes {
    /// Adds what is below a process. It allocates nothing.
    fn add_below(&mut self, pid: i32, depth: usize) {
        const DEEPEST: usize = 16;
        if depth == DEEPEST {
            return;
        }
        // What a thread has started is listed with that thread.
        let mut entries = [0; 2048];
        let folder = open(format_args!("/proc/{pid}/task\0"));
        loop {
            // SAFETY: the buffer is as long as it says.
            let length = unsafe { libc::syscall(libc::SYS_getdents64, folder, entries.as_mut_ptr(), entries.len()) };
            let Some(read) = usize::try_from(length).ok().filter(|read| *read > 0) else { break };
            let mut at = 0;
            while at + NAME < read {
                let size = usize::from(u16::from_ne_bytes([entries[at + SIZE], entries[at + SIZE + 1]]));
                let name = CStr::from_bytes_until_nul(&entries[at + NAME..read]).unwrap_or_default();
                if let Some(thread) = name.to_str().ok().and_then(|name| name.parse::<i32>().ok()) {
                    self.add_children(pid, thread, depth);
                }
                at += size.max(1);
            }
        }
        // SAFETY: it was opened above, or is no descriptor.
        unsafe { libc::close(folder) };
    }

    fn add_children(&mut self, pid: i32, thread: i32, depth: usize) {
        let mut text = [0; 4096];
        let file = open(format_args!("/proc/{pid}/task/{thread}/children\0"));
        // SAFETY: the buffer is as long as it says; the descriptor was just opened, or is none.
        let length = unsafe {
            let length = libc::read(file, text.as_mut_ptr().cast(), text.len());
            libc::close(file);
            length
        };
        let text = &text[..usize::try_from(length).unwrap_or(0)];
        for number in text.split(|byte| *byte == b' ') {
            let child = std::str::from_utf8(number).ok().and_then(|number| number.parse::<i32>().ok());
            let Some(child) = child.filter(|child| *child != SPARED.load(Ordering::SeqCst)) else { continue };
            if self.length < MOST {
                self.pids[self.length] = child;
                self.length += 1;
                self.add_below(child, depth + 1);
            }
        }
    }
}

/// Where the length and the name stand in an entry of a folder.
const SIZE: usize = 16;
const NAME: usize = 19;

/// Opens a path that ends with a zero; -1 where that fails.
fn open(path: std::fmt::Arguments) -> c_int {
    let mut text = [0_u8; 64];
    let mut rest = &mut text[..];
    if io::Write::write_fmt(&mut rest, path).is_err() {
        return -1;
    }
    // SAFETY: the text ends with a zero.
    unsafe { libc::open(text.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) }
}
