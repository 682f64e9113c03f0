//! The fork server, which keeps the variables, and its workers.

use std::ffi::{CStr, CString, c_int, c_void};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use crate::rust::frame::{self, Order, SOCKET};
use crate::rust::heap;

use super::api::{self, API};
use super::faults::{NUMBER, SUPERVISOR, catch_signals, exit_now, fail, send};
use super::packets::{pair, read_packet, ready_of, write_all};

/// Keeps the variables and forks a worker for each run. A worker that commits goes on as the fork server.
pub fn hold(supervisor: OwnedFd, folder: &Path, parent: i32) -> ! {
    follow(parent);
    // A cell that reads finds nothing, instead of waiting for what the host sends to the supervisor.
    if let Ok(nothing) = std::fs::File::open("/dev/null") {
        // SAFETY: both are open descriptors of this process.
        unsafe { libc::dup2(nothing.as_raw_fd(), libc::STDIN_FILENO) };
    }
    // SAFETY: this process has one thread.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        std::env::set_var("TIMELAB_API", (&raw const API).addr().to_string());
        std::env::set_var("RUST_BACKTRACE", "0");
    }
    let mut store: *mut c_void = std::ptr::null_mut();
    let mut workers: Vec<Worker> = Vec::new();
    loop {
        let mut watched = vec![supervisor.as_raw_fd()];
        watched.extend(workers.iter().map(|worker| worker.waits.as_raw_fd()));
        let readable = ready_of(&watched);
        if let Some(at) = readable[1..].iter().position(|readable| *readable) {
            match workers.swap_remove(at).ended() {
                // The worker holds the variables from now on.
                None => exit_now(0),
                Some(packet) if write_all(&supervisor, &packet).is_none() => exit_now(0),
                Some(_) => continue,
            }
        }
        if !readable[0] {
            continue;
        }
        let Some(message) = read_packet(&supervisor) else { exit_now(0) };
        let Ok(order) = serde_json::from_slice::<Order>(&message) else { exit_now(0) };
        let Some((waits, tells)) = pair() else { exit_now(0) };
        // SAFETY: this process has one thread: a worker whose cell left others behind forks once more before it holds.
        let pid = unsafe { libc::fork() };
        if pid > 0 {
            workers.push(Worker { number: order.number, pid, waits });
            continue;
        }
        drop(waits);
        workers.clear();
        work(&order, &mut store, &supervisor, folder);
        if !order.commits {
            let _ = write_all(&tells, b"gone");
            exit_now(0);
        }
        leave_threads();
        // SAFETY: plain system calls on this process itself. Its parent, the fork server so far, ends now.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, 0);
            libc::signal(libc::SIGINT, libc::SIG_IGN);
        }
        let _ = write_all(&tells, b"holds");
        drop(tells);
        follow(parent);
    }
}

/// A fork of the fork server.
struct Worker {
    number: u64,
    pid: i32,
    /// Says how it ended, or nothing.
    waits: OwnedFd,
}

impl Worker {
    /// What the supervisor is to be told; nothing where this worker holds the variables now.
    fn ended(self) -> Option<Vec<u8>> {
        match read_packet(&self.waits).as_deref() {
            Some(b"holds") => None,
            Some(_) => {
                wait(self.pid);
                // The worker has told it.
                Some(format!("G{} ", self.number).into_bytes())
            }
            None => Some(format!("D{} {}", self.number, told(wait(self.pid))).into_bytes()),
        }
    }
}

/// Runs one cell in this fork and tells the supervisor how it ended, where it did.
fn work(order: &Order, store: &mut *mut c_void, supervisor: &OwnedFd, folder: &Path) {
    // SAFETY: plain system calls on this process itself.
    unsafe {
        libc::setpgid(0, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::signal(libc::SIGINT, libc::SIG_DFL);
    }
    limit_memory(order.memory);
    catch_signals();
    NUMBER.store(order.number, Relaxed);
    SUPERVISOR.store(supervisor.as_raw_fd(), Relaxed);
    send(b'W', std::process::id().to_string().as_bytes());
    if order.detached {
        for (kind, stream) in [(frame::OUTPUT, libc::STDOUT_FILENO), (frame::ERRORS, libc::STDERR_FILENO)] {
            if let Ok(mut connection) = UnixStream::connect(folder.join(SOCKET))
                && frame::send(&mut connection, kind, b"").is_ok()
            {
                // SAFETY: both are open descriptors of this process.
                unsafe { libc::dup2(connection.as_raw_fd(), stream) };
            }
        }
    }
    api::prepare(folder, &order.inputs);
    match loaded(order) {
        Ok(function) => {
            heap::count();
            api::run_begins();
            *store = function(*store);
            let ending = api::ending();
            // The end of a connection of its own is mark enough.
            if !order.silent && !order.detached {
                api::mark();
            }
            send(b'K', &serde_json::to_vec(&ending).unwrap_or_default());
        }
        Err(message) => fail(&message, None),
    }
}

type Function = extern "C" fn(*mut c_void) -> *mut c_void;

/// Loads a library, which stays loaded, and finds its function.
fn loaded(order: &Order) -> Result<Function, String> {
    let text = |text: &str| CString::new(text).map_err(|_| "a zero byte in a name".to_string());
    let (library, function) = (text(&order.library)?, text(&order.function)?);
    // SAFETY: the host compiled this library, whose function takes and gives the variables.
    unsafe {
        let handle = libc::dlopen(library.as_ptr(), libc::RTLD_NOW);
        if handle.is_null() {
            return Err(CStr::from_ptr(libc::dlerror()).to_string_lossy().into_owned());
        }
        let symbol = libc::dlsym(handle, function.as_ptr());
        if symbol.is_null() {
            return Err(format!("{} has no function {}", order.library, order.function));
        }
        Ok(std::mem::transmute::<*mut c_void, Function>(symbol))
    }
}

/// Asks to be killed when the supervisor ends, once it is this process's parent.
fn follow(supervisor: i32) {
    for _ in 0..1000 {
        // SAFETY: plain system calls on this process itself.
        if unsafe { libc::getppid() } == supervisor {
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    exit_now(0)
}

/// Threads that a cell left running end here: of several threads only the one that forks lives on in a fork.
fn leave_threads() {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    // SAFETY: the fork goes on with what this thread was doing, and this process ends.
    if threads > 1 && unsafe { libc::fork() } > 0 {
        exit_now(0);
    }
}

/// Lets this process have so much memory above what it has mapped now, and no more than the machine has.
fn limit_memory(memory: u64) {
    /// For stacks and what the allocator keeps in reserve.
    const ROOM: u64 = 32 << 20;
    let mapped = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mapped: u64 = mapped.split(' ').next().and_then(|pages| pages.parse().ok()).unwrap_or(0);
    // SAFETY: plain system calls on whole structures.
    unsafe {
        let page = libc::sysconf(libc::_SC_PAGESIZE).max(1) as u64;
        let machine = (libc::sysconf(libc::_SC_PHYS_PAGES).max(1) as u64).saturating_mul(page);
        let bytes = mapped.saturating_mul(page).saturating_add(memory).saturating_add(memory / 8 + ROOM).min(machine);
        let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        libc::getrlimit(libc::RLIMIT_AS, &raw mut limit);
        // Only the soft one: this process may be the fork server of the next cells.
        limit.rlim_cur = bytes.min(limit.rlim_max);
        libc::setrlimit(libc::RLIMIT_AS, &raw const limit);
    }
}

/// What a wait status says.
fn told(status: c_int) -> String {
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        let name = match signal {
            libc::SIGKILL => " (SIGKILL)",
            libc::SIGABRT => " (SIGABRT)",
            libc::SIGSEGV => " (SIGSEGV)",
            libc::SIGTERM => " (SIGTERM)",
            _ => "",
        };
        return format!("the cell was ended by signal {signal}{name}");
    }
    format!("the cell ended its process with exit code {}", libc::WEXITSTATUS(status))
}

fn wait(child: i32) -> c_int {
    let mut status = 0;
    // SAFETY: waits for a child of this process; asked again where a signal came between.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0
        && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
    {}
    status
}
