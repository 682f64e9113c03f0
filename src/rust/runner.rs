//! The process that runs Rust: the child of the compiler's host. Three processes share the work, so that no cell can take
//! the variables with it. The *supervisor* is the child that the host started: it hears from the host's library which
//! shared library to load, asks the shell whether it may, and tells how it ended. The *holder* keeps the variables. A
//! *worker* is a fork of the holder that runs one cell: where the cell ends well and commits, the worker is the next
//! holder; else it is gone, and the holder is as it was before.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_int, c_void};
use std::io::{BufRead, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering::Relaxed};

use crate::measure::{Clock, Meter, ThreadCpu, Wall};

use super::frame::{self, Ending, Failure, Order, Sample};
use super::heap;
use super::lane::{Lane, ROOM};
use super::printer::MARK;

/// In the environment of the runner: the folder of its socket and of all that the host compiles.
pub const FOLDER: &str = "TIMELAB_RUST_FOLDER";
/// In the environment of the runner: the process of the shell.
pub const SHELL: &str = "TIMELAB_RUST_SHELL";
/// The name of the socket in that folder.
pub const SOCKET: &str = "shell.sock";
/// What the host's library waits for when a cell has run.
const COMPLETE: &[u8] = b"EVCXR_EXECUTION_COMPLETE\n";
/// No text: the host's library then takes back all that the cell changed.
const TAKE_BACK: &[u8] = b"\xff\n";

/// Becomes the runner, where this process was started as one.
pub fn hook() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = PathBuf::from(folder);
        supervise(&folder);
        if shell_is_gone() {
            super::remove(&folder);
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

// ---- the supervisor -------------------------------------------------------------------------------------------------

/// Serves until the host or the shell is gone.
fn supervise(folder: &Path) {
    // SAFETY: plain system calls on this process itself.
    unsafe {
        libc::setpgid(0, 0);
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
    let Ok(mut shell) = UnixStream::connect(folder.join(SOCKET)) else { return };
    let Some((holder, theirs)) = pair() else { return };
    let supervisor = std::process::id() as i32;
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        -1 => return,
        0 => {
            drop((holder, shell));
            hold(theirs, folder, supervisor);
        }
        _ => drop(theirs),
    }
    let hello = frame::send(&mut shell, frame::SUPERVISOR, &std::process::id().to_le_bytes());
    let mut supervisor = Supervisor { shell, holder, running: HashMap::new(), loading: None };
    if hello.is_ok() {
        let _ = supervisor.serve();
    }
    // The holder, and a worker with it, end with their supervisor.
}

/// Hears the host, the shell, and the holder with its workers.
struct Supervisor {
    shell: UnixStream,
    holder: OwnedFd,
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
            match ready([libc::STDIN_FILENO, self.shell.as_raw_fd(), self.holder.as_raw_fd()]) {
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
                    let packet = read_packet(&self.holder)?;
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
                if let (Some(Loading::Asked), false) = (&self.loading, order.apart) {
                    let Order { number, commits, silent, .. } = order;
                    self.loading = Some(Loading::Runs { number, commits, silent });
                }
                self.running.insert(order.number, Running { silent: order.silent, ..Running::default() });
                write_all(&self.holder, bytes)
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

    /// `KIND NUMBER REST`, from a worker or, where that can say nothing any more, from the holder.
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

// ---- the holder and its workers -------------------------------------------------------------------------------------

/// Keeps the variables and forks a worker for each run. A worker that commits goes on as the holder.
fn hold(supervisor: OwnedFd, folder: &Path, parent: i32) -> ! {
    follow(parent);
    heap::count();
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
        // SAFETY: plain system calls on this process itself. Its parent, the holder so far, ends now.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, 0);
            libc::signal(libc::SIGINT, libc::SIG_IGN);
        }
        let _ = write_all(&tells, b"holds");
        drop(tells);
        follow(parent);
    }
}

/// A fork of the holder.
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
    limit_memory();
    catch_signals();
    NUMBER.store(order.number, Relaxed);
    SUPERVISOR.store(supervisor.as_raw_fd(), Relaxed);
    send(b'W', std::process::id().to_string().as_bytes());
    if order.apart
        && let Ok(mut output) = UnixStream::connect(folder.join(SOCKET))
        && frame::send(&mut output, frame::OUTPUT, b"").is_ok()
    {
        // SAFETY: both are open descriptors of this process.
        unsafe { libc::dup2(output.as_raw_fd(), libc::STDOUT_FILENO) };
    }
    THIS.replace(This { folder: folder.to_path_buf(), inputs: order.inputs.clone(), ..This::default() });
    match loaded(order) {
        Ok(function) => {
            THIS.with_borrow_mut(|this| this.whole = Some(Meter::start()));
            *store = function(*store);
            run_is_over();
            let (cost, kept) = THIS.with_borrow_mut(|this| (this.spent.take(), std::mem::take(&mut this.kept)));
            let ending = Ending { kept, ..cost.unwrap_or_default() };
            // The end of a connection of its own is mark enough.
            if !order.silent && !order.apart {
                mark();
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

impl Ending {
    fn of(meter: Meter) -> Ending {
        let cost = meter.stop();
        Ending {
            failure: None,
            wall: cost.wall.as_secs_f64(),
            user: cost.user.as_secs_f64(),
            system: cost.system.as_secs_f64(),
            allocations: cost.allocations,
            allocated: cost.allocated,
            peak: cost.peak,
            kept: Vec::new(),
        }
    }
}

/// What a cell does costs until it has its result, not until the shell has been told that.
fn run_is_over() {
    let whole = THIS.with_borrow_mut(|this| this.whole.take());
    if let Some(cost) = whole.map(Ending::of) {
        THIS.with_borrow_mut(|this| this.spent = Some(cost));
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

/// A cell may have as much memory as the machine has.
fn limit_memory() {
    // SAFETY: plain system calls; all-zero structures are valid ones.
    unsafe {
        let pages = libc::sysconf(libc::_SC_PHYS_PAGES).max(1) as u64;
        let bytes = pages.saturating_mul(libc::sysconf(libc::_SC_PAGESIZE).max(1) as u64);
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
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

fn exit_now(code: c_int) -> ! {
    // SAFETY: ends this process; nothing of the program's is to be run any more.
    unsafe { libc::_exit(code) }
}

// ---- what goes wrong in a worker ------------------------------------------------------------------------------------

/// Where failures are told, and of which run.
static SUPERVISOR: AtomicI32 = AtomicI32::new(-1);
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Tells why this worker fails, and ends it.
fn fail(message: &str, place: Option<(u32, u32)>) -> ! {
    note(message, place);
    exit_now(101)
}

fn note(message: &str, place: Option<(u32, u32)>) {
    let failure = Failure { message: message.to_string(), place };
    send(b'N', &serde_json::to_vec(&failure).unwrap_or_default());
}

/// Tells the supervisor something of this run. No memory is asked for, so that a signal handler may do it.
fn send(kind: u8, rest: &[u8]) {
    let mut head = [0; 32];
    let mut left = &mut head[..];
    let _ = write!(left, "{}{} ", kind as char, NUMBER.load(Relaxed));
    let length = 32 - left.len();
    let part = |bytes: &[u8]| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let parts = [part(&head[..length]), part(rest)];
    // SAFETY: the parts are whole, and the descriptor is open as long as this process lives.
    unsafe { libc::writev(SUPERVISOR.load(Relaxed), parts.as_ptr(), 2) };
}

/// Has the signals that end a worker tell their reason first.
fn catch_signals() {
    static mut STACK: [u8; 64 << 10] = [0; 64 << 10];
    // SAFETY: the stack is used by the handler alone, the structures are whole, and the handler makes system calls only.
    unsafe {
        let stack = libc::stack_t { ss_sp: (&raw mut STACK).cast(), ss_flags: 0, ss_size: 64 << 10 };
        libc::sigaltstack(&raw const stack, std::ptr::null_mut());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT] {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let mut buffer = [0; 200];
    let mut rest = &mut buffer[..];
    let refused = heap::refused();
    // SAFETY: the system gives whole structures.
    let at = unsafe { (*info).si_addr() } as usize;
    let _ = match signal {
        libc::SIGSEGV if stack_pointer(context).abs_diff(at) < 1 << 20 => {
            write!(rest, "{{\"message\":\"stack overflow\"}}")
        }
        libc::SIGSEGV => write!(rest, "{{\"message\":\"segmentation fault at address {at:#x}\"}}"),
        libc::SIGBUS => write!(rest, "{{\"message\":\"bus error\"}}"),
        libc::SIGILL => write!(rest, "{{\"message\":\"illegal instruction\"}}"),
        libc::SIGFPE => write!(rest, "{{\"message\":\"arithmetic fault\"}}"),
        _ if refused > 0 => {
            write!(rest, "{{\"message\":\"out of memory: {refused} bytes were refused\"}}")
        }
        _ => write!(rest, "{{\"message\":\"abort\"}}"),
    };
    let left = rest.len();
    send(b'N', &buffer[..200 - left]);
    // SAFETY: the handler was reset, so this signal ends the process.
    unsafe { libc::raise(signal) };
}

#[cfg(target_arch = "x86_64")]
fn stack_pointer(context: *mut c_void) -> usize {
    // SAFETY: the system gives a whole structure.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RSP as usize] as usize }
}

#[cfg(target_arch = "aarch64")]
fn stack_pointer(context: *mut c_void) -> usize {
    // SAFETY: the system gives a whole structure.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.sp as usize }
}

// ---- what a cell may ask of the worker that runs it -----------------------------------------------------------------

/// The declaration of [`API`] in the text that cells are linked with.
#[repr(C)]
struct Api {
    serve: extern "C" fn(*mut c_void, *const Answers),
    called: extern "C" fn(),
    reply: extern "C" fn(*const u8, usize),
    input: extern "C" fn(u32, *mut usize) -> *const u8,
    store: extern "C" fn() -> *mut *mut c_void,
    kept: extern "C" fn(*const u8, usize),
    failed: extern "C" fn(*const u8, usize, u32, u32),
    fatal: extern "C" fn(),
}

#[repr(C)]
struct Answers {
    run: extern "C" fn(*mut c_void, u32, u64),
    call: extern "C" fn(*mut c_void, u32),
    shape: extern "C" fn(*mut c_void, u32),
    apply: extern "C" fn(*mut c_void, u32, *const u8, usize),
    flush: extern "C" fn(),
}

static API: Api = Api { serve, called, reply, input, store, kept, failed, fatal };

/// What the worker knows of its run.
#[derive(Default)]
struct This {
    folder: PathBuf,
    inputs: Vec<String>,
    reply: Vec<u8>,
    kept: Vec<String>,
    /// The run that is going on, and what it cost once it is over.
    whole: Option<Meter>,
    spent: Option<Ending>,
    /// The same of a call in it.
    meter: Option<Meter>,
    cost: Option<Ending>,
    failure: Option<Failure>,
}

thread_local! {
    static THIS: RefCell<This> = RefCell::default();
}

/// Answers the shell until it has enough.
extern "C" fn serve(subjects: *mut c_void, answers: *const Answers) {
    run_is_over();
    // SAFETY: the cell passes its own table, which lives until this returns.
    let answers = unsafe { &*answers };
    if let Err(error) = answered(subjects, answers) {
        fail(&format!("the shell does not listen any more: {error}"), None);
    }
}

fn answered(subjects: *mut c_void, answers: &Answers) -> std::io::Result<()> {
    let path = THIS.with_borrow(|this| this.folder.join(SOCKET));
    let mut shell = UnixStream::connect(path)?;
    frame::send(&mut shell, frame::WORKER, &NUMBER.load(Relaxed).to_le_bytes())?;
    let mut lane: Option<Lane> = None;
    loop {
        if let Some(lane) = &mut lane
            && lane.is_asked()
        {
            applied_on(lane, subjects, answers, &mut shell)?;
            continue;
        }
        let (kind, bytes) = frame::receive(&mut shell)?;
        let subject = || bytes.get(..4).map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")));
        match kind {
            frame::SHAPE => {
                (answers.shape)(subjects, subject());
                send_reply(&mut shell)?;
            }
            frame::CALL => {
                THIS.with_borrow_mut(|this| this.meter = Some(Meter::start()));
                (answers.call)(subjects, subject());
                let cost = THIS.with_borrow_mut(|this| this.cost.take()).unwrap_or_default();
                mark();
                frame::send_value(&mut shell, frame::COST, &cost)?;
                send_reply(&mut shell)?;
            }
            frame::APPLY => {
                (answers.apply)(subjects, subject(), bytes[4..].as_ptr(), bytes.len() - 4);
                send_reply(&mut shell)?;
            }
            frame::LANE => {
                lane = Some(Lane::open(Path::new(&*String::from_utf8_lossy(&bytes)))?);
                frame::send(&mut shell, frame::GOOD, b"")?;
            }
            // What woke it is on the lane, unless it was awake already and has answered.
            frame::WAKE => {
                if let Some(lane) = lane.as_mut().filter(|lane| lane.has_call()) {
                    applied_on(lane, subjects, answers, &mut shell)?;
                }
            }
            frame::SAMPLE => {
                let sample: Sample = serde_json::from_slice(&bytes)?;
                let nanos = sampled(&sample, |calls| (answers.run)(subjects, sample.subject, calls));
                frame::send(&mut shell, frame::GOOD, &nanos.to_le_bytes())?;
            }
            _ => {
                (answers.flush)();
                return Ok(());
            }
        }
    }
}

/// Calls a function with what is on the lane, and answers there, or over the socket where there is no room for it.
fn applied_on(
    lane: &mut Lane,
    subjects: *mut c_void,
    answers: &Answers,
    shell: &mut UnixStream,
) -> std::io::Result<()> {
    let bytes = lane.bytes();
    let subject = bytes.get(..4).map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")));
    let arguments = bytes.get(4..).unwrap_or_default();
    (answers.apply)(subjects, subject, arguments.as_ptr(), arguments.len());
    let mut reply = THIS.with_borrow_mut(|this| std::mem::take(&mut this.reply));
    if reply.is_empty() {
        reply.push(frame::WRONG);
    }
    let fits = reply.len() <= ROOM;
    if lane.answer(if fits { &reply } else { &[] }) {
        frame::send(shell, frame::WAKE, b"")?;
    }
    match reply.split_first() {
        Some((kind, bytes)) if !fits => frame::send(shell, *kind, bytes),
        _ => Ok(()),
    }
}

/// Nanoseconds for so many calls. Allocations are not counted meanwhile: that takes time.
fn sampled(sample: &Sample, run: impl FnOnce(u64)) -> u64 {
    let clock: &dyn Clock = if sample.cpu { &ThreadCpu } else { &Wall };
    heap::pause(true);
    let start = clock.now();
    run(sample.calls);
    let nanos = clock.now() - start;
    heap::pause(false);
    nanos
}

/// Ends what was printed so far; the cell has handed it out.
fn mark() {
    // SAFETY: the text is as long as is said.
    unsafe { libc::write(libc::STDOUT_FILENO, MARK.as_ptr().cast(), MARK.len()) };
}

fn send_reply(shell: &mut UnixStream) -> std::io::Result<()> {
    let reply = THIS.with_borrow_mut(|this| std::mem::take(&mut this.reply));
    let (kind, bytes) = reply.split_first().unwrap_or((&frame::WRONG, b""));
    frame::send(shell, *kind, bytes)
}

extern "C" fn called() {
    let meter = THIS.with_borrow_mut(|this| this.meter.take());
    let cost = meter.map(Ending::of);
    THIS.with_borrow_mut(|this| this.cost = cost);
}

extern "C" fn reply(bytes: *const u8, length: usize) {
    // SAFETY: the cell passes bytes of its own.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, length) };
    THIS.with_borrow_mut(|this| this.reply = bytes.to_vec());
}

/// The bytes of an input, for as long as this process lives.
extern "C" fn input(number: u32, length: *mut usize) -> *const u8 {
    let path = THIS.with_borrow(|this| this.inputs.get(number as usize).cloned());
    let bytes = path.map_or_else(Vec::new, |path| match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => fail(&format!("the input {path} cannot be read: {error}"), None),
    });
    let bytes: &'static mut [u8] = bytes.leak();
    // SAFETY: the cell passes the place of a number.
    unsafe { *length = bytes.len() };
    bytes.as_ptr()
}

/// The place of the variables, for the code that knows their form.
extern "C" fn store() -> *mut *mut c_void {
    static PLACE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    PLACE.as_ptr()
}

extern "C" fn kept(told: *const u8, length: usize) {
    // SAFETY: the cell passes a text of its own.
    let told = unsafe { std::slice::from_raw_parts(told, length) };
    let told = String::from_utf8_lossy(told).into_owned();
    THIS.with_borrow_mut(|this| this.kept.push(told));
}

extern "C" fn failed(message: *const u8, length: usize, line: u32, column: u32) {
    // SAFETY: the cell passes a text of its own.
    let message = unsafe { std::slice::from_raw_parts(message, length) };
    let message = String::from_utf8_lossy(message).into_owned();
    let place = (line > 0).then_some((line, column));
    THIS.with_borrow_mut(|this| this.failure = Some(Failure { message, place }));
}

/// What was noted last ends the cell.
extern "C" fn fatal() {
    let failure = THIS.with_borrow_mut(|this| this.failure.take());
    let failure = failure.unwrap_or(Failure { message: "a failure without a message".to_string(), place: None });
    fail(&failure.message, failure.place)
}

// ---- descriptors ----------------------------------------------------------------------------------------------------

/// Two ends over which whole packets go.
fn pair() -> Option<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [0; 2];
    // SAFETY: the system fills two descriptors, which nobody else owns.
    unsafe {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        (libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) == 0)
            .then(|| (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Waits until something can be read.
fn ready<const N: usize>(descriptors: [RawFd; N]) -> [bool; N] {
    ready_of(&descriptors).try_into().unwrap_or([false; N])
}

fn ready_of(descriptors: &[RawFd]) -> Vec<bool> {
    let polled = |fd: &RawFd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<libc::pollfd> = descriptors.iter().map(polled).collect();
    // SAFETY: the list is whole.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
    polled.iter().map(|polled| polled.revents != 0).collect()
}

/// The next packet; none where the other end is gone.
fn read_packet(from: &OwnedFd) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        // SAFETY: the buffer is as long as is said.
        let read = unsafe { libc::read(from.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        if read > 0 {
            buffer.truncate(read as usize);
            return Some(buffer);
        }
        if read == 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return None;
        }
    }
}

fn write_all(to: &OwnedFd, packet: &[u8]) -> Option<()> {
    // SAFETY: the packet is as long as is said.
    let sent = unsafe { libc::send(to.as_raw_fd(), packet.as_ptr().cast(), packet.len(), libc::MSG_NOSIGNAL) };
    (sent == packet.len() as isize).then_some(())
}
