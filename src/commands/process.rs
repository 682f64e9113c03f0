//! The process that starts programs. It has one thread and holds nearly nothing, so that what it starts begins with as
//! little memory; it adopts what these leave behind, and ends it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::packets::{receive, send};
use super::perf_event::{Event, OF_PROGRAM};

/// In the environment of a process that is one.
pub const NAME: &str = "TIMELAB_STARTER";
/// What the shell asks.
pub const START: u8 = b'S';
pub const STOP: u8 = b'K';
pub const GO: u8 = b'G';
/// Flags of a start: count instructions; wait until the shell says go.
pub const COUNTS: u8 = 1;
pub const WAITS: u8 = 2;
/// What it is told.
pub const READY: u64 = 0;
pub const ENDED: u64 = 1;
pub const REFUSED: u64 = 2;
pub const STARTED: u64 = 3;
/// The numbers of an answer.
pub const NUMBERS: usize = 14;

/// How long a program has to end by itself once it was told to.
const PATIENCE: Duration = Duration::from_millis(40);
/// How long what it left behind may take to be gone.
const LONGEST: Duration = Duration::from_secs(2);

/// Becomes the starter, where this process was started as one. Before anything else happens.
pub fn hook() {
    if std::env::var_os(NAME).is_none() {
        return;
    }
    // SAFETY: there is one thread, and nobody has looked at the environment yet.
    unsafe { std::env::remove_var(NAME) };
    // SAFETY: standard input is the socket that the shell gave; nobody else uses it.
    let socket = unsafe { UnixStream::from_raw_fd(libc::STDIN_FILENO) };
    let served = serve(&socket);
    end_all(Instant::now() + LONGEST);
    std::process::exit(i32::from(served.is_err()));
}

fn serve(socket: &UnixStream) -> io::Result<()> {
    // SAFETY: plain system calls on sets and numbers of our own.
    let ended = unsafe {
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        // What is typed at the terminal is for the shell, which tells it on.
        libc::setsid();
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        libc::fcntl(libc::STDIN_FILENO, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if ended < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened.
    let ended = unsafe { OwnedFd::from_raw_fd(ended) };
    answer(socket, &[READY, own_memory()])?;
    while let Some((bytes, files)) = receive(socket)? {
        // A stop may come when all is over.
        if bytes.first() == Some(&START)
            && let Ok(files) = <[OwnedFd; 3]>::try_from(files)
        {
            run(socket, &ended, &bytes[1..], files)?;
        }
    }
    Ok(())
}

fn answer(socket: &UnixStream, numbers: &[u64]) -> io::Result<()> {
    let mut all = [0; NUMBERS];
    all[..numbers.len()].copy_from_slice(numbers);
    let bytes: Vec<u8> = all.iter().flat_map(|number| number.to_le_bytes()).collect();
    send(socket, &bytes, &[])
}

/// The memory in bytes with which a program begins: that of a child that does nothing.
fn own_memory() -> u64 {
    // SAFETY: the child ends at once. The structure is written by the system before it is read.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::_exit(0);
        }
        let mut usage: libc::rusage = std::mem::zeroed();
        if child < 0 || libc::wait4(child, std::ptr::null_mut(), 0, &raw mut usage) != child {
            return 0;
        }
        usage.ru_maxrss as u64 * 1024
    }
}

/// What the shell wants to have started: flags, the folder, where the program lies, its words.
fn parts(bytes: &[u8]) -> Option<(u8, Vec<CString>)> {
    let (flag, rest) = bytes.split_first()?;
    let parts = rest.split(|byte| *byte == 0).map(|part| CString::new(part).unwrap_or_default());
    let mut parts: Vec<CString> = parts.collect();
    // Each part ends with a zero.
    parts.pop();
    (parts.len() >= 3).then_some((*flag, parts))
}

fn run(socket: &UnixStream, ended: &OwnedFd, bytes: &[u8], files: [OwnedFd; 3]) -> io::Result<()> {
    let refused = |error: i32| answer(socket, &[REFUSED, error as u64]);
    let Some((flags, parts)) = parts(bytes) else { return refused(libc::EINVAL) };
    let [folder, path, words @ ..] = &parts[..] else { return refused(libc::EINVAL) };
    let mut words: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    words.push(std::ptr::null());
    // What has no line that says who reads it is read by the system's shell, as execvp does it.
    let shell = c"/bin/sh";
    let by_shell: Vec<*const libc::c_char> =
        [shell.as_ptr(), path.as_ptr()].into_iter().chain(words[1..].iter().copied()).collect();
    let Ok((heard, said)) = pipe() else { return refused(last_error()) };
    let gate = if flags != 0 { pipe().ok() } else { None };
    let own = own_times();
    let start = now();
    // SAFETY: between fork and exec the child makes system calls only, on memory that is there; everything that it
    // needs was made before.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return refused(last_error());
    }
    if child == 0 {
        // SAFETY: as above.
        unsafe {
            if let Some((wait, _)) = &gate {
                let mut byte = 0_u8;
                libc::read(wait.as_raw_fd(), (&raw mut byte).cast(), 1);
            }
            become_program(folder.as_ptr(), path.as_ptr(), &words, &by_shell, &files);
            let error = last_error();
            libc::write(said.as_raw_fd(), (&raw const error).cast(), 4);
            libc::_exit(127);
        }
    }
    drop((said, files));
    let mut wanted = true;
    if flags & WAITS != 0 {
        answer(socket, &[STARTED, child as u64])?;
        wanted = matches!(receive(socket)?, Some((bytes, _)) if bytes.first() == Some(&GO));
    }
    if !wanted {
        // SAFETY: a plain system call: the child was not waited for yet.
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
    let counter = gate.and_then(|(_, go)| {
        let counter = if flags & COUNTS != 0 { instructions(child) } else { None };
        // SAFETY: the descriptor is open, and one byte is there.
        unsafe { libc::write(go.as_raw_fd(), [0_u8].as_ptr().cast(), 1) };
        counter
    });
    let mut stopped: Option<Instant> = None;
    let (status, usage, end) = loop {
        let mut polled = [(socket.as_raw_fd(), libc::POLLIN), (ended.as_raw_fd(), libc::POLLIN)]
            .map(|(fd, events)| libc::pollfd { fd, events, revents: 0 });
        // SAFETY: there are so many.
        unsafe { libc::poll(polled.as_mut_ptr(), 2, if stopped.is_some() { 5 } else { -1 }) };
        if polled[1].revents != 0 {
            clear(ended);
        }
        let thread = thread_times(child);
        if let Some((status, usage)) = reap(child) {
            break (status, usage, (now(), thread));
        }
        if polled[0].revents != 0 {
            // The shell is gone, or wants it to stop: what was asked for is not needed any more.
            let told = receive(socket)?;
            if told.is_none() {
                return Ok(());
            }
            // SAFETY: plain system calls: the child was not waited for yet.
            unsafe { libc::kill(-child, libc::SIGINT) };
            stopped.get_or_insert_with(Instant::now);
        }
        if stopped.is_some_and(|since| since.elapsed() >= PATIENCE) {
            // SAFETY: as above.
            unsafe { (libc::kill(-child, libc::SIGKILL), libc::kill(child, libc::SIGKILL)) };
        }
    };
    let own = own_times().saturating_sub(own);
    let ((end, thread), left) = (end, end_all(Instant::now() + LONGEST));
    let mut error = 0_i32;
    // SAFETY: a read into memory of our own; nobody has the other end any more.
    if unsafe { libc::read(heard.as_raw_fd(), (&raw mut error).cast(), 4) } == 4 {
        return refused(error);
    }
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
    let (on_processor, queued) = thread.unwrap_or_default();
    // What this process took, or waited for a processor, to start the program and to see its end is no wait of the
    // program: on a busy machine that is some milliseconds.
    let queued = queued + own;
    let instructions = counter.and_then(|counter| read_counter(&counter));
    answer(
        socket,
        &[
            ENDED,
            status as u32 as u64,
            end - start,
            micros(usage.ru_utime),
            micros(usage.ru_stime),
            usage.ru_maxrss as u64 * 1024,
            u64::from(thread.is_some()),
            on_processor,
            queued,
            usage.ru_nvcsw as u64,
            usage.ru_nivcsw as u64,
            u64::from(instructions.is_some()),
            instructions.unwrap_or_default(),
            left,
        ],
    )
}

/// Only returns where the program cannot be started.
///
/// # Safety
/// Between fork and exec. All pointers are to texts, and the last of the words is null.
unsafe fn become_program(
    folder: *const libc::c_char,
    path: *const libc::c_char,
    words: &[*const libc::c_char],
    by_shell: &[*const libc::c_char],
    files: &[OwnedFd; 3],
) {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: as the caller says.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::setsid();
        for (place, file) in files.iter().enumerate() {
            libc::dup2(file.as_raw_fd(), place as i32);
        }
        for signal in [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP] {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        if libc::chdir(folder) != 0 {
            return;
        }
        libc::execve(path, words.as_ptr(), environ);
        if last_error() == libc::ENOEXEC {
            libc::execve(by_shell[0], by_shell.as_ptr(), environ);
        }
    }
}

fn last_error() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// A pipe that no program inherits: the end to read from and the end to write to.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: there is room for two numbers; each is a descriptor of nobody else.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// The time that passes, in nanoseconds.
fn now() -> u64 {
    // SAFETY: clock_gettime writes a whole timespec, and an all-zero one is valid.
    unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

/// Takes the signals that have come.
fn clear(signals: &OwnedFd) {
    let mut room = [0_u8; 1024];
    // SAFETY: the buffer is as long as it says.
    while unsafe { libc::read(signals.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) } > 0 {}
}

/// What the system says of a child that has ended.
fn reap(child: i32) -> Option<(i32, libc::rusage)> {
    let mut status = 0;
    // SAFETY: both are written by the system where it says that the child has ended.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(child, &raw mut status, libc::WNOHANG, &raw mut usage) == child).then_some((status, usage))
    }
}

/// Nanoseconds that the first thread of a process was on a processor, and that it waited for one: also of one that has
/// ended and was not waited for.
fn thread_times(process: i32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{process}/schedstat")).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Nanoseconds that this process has been on a processor, or has waited for one.
fn own_times() -> u64 {
    thread_times(std::process::id() as i32).map_or(0, |(on_processor, queued)| on_processor + queued)
}

/// Ends all children, also those that were adopted; how many there were. Some may be stuck in the system.
fn end_all(until: Instant) -> u64 {
    let mut ended = 0;
    loop {
        // SAFETY: plain system calls.
        match unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } {
            0 if Instant::now() > until => return ended,
            0 => {
                children().for_each(|child| _ = unsafe { libc::kill(child, libc::SIGKILL) });
                std::thread::sleep(Duration::from_micros(200));
            }
            -1 if last_error() == libc::EINTR => {}
            -1 => return ended,
            _ => ended += 1,
        }
    }
}

/// The processes whose parent this one is.
fn children() -> impl Iterator<Item = i32> {
    let this = std::process::id();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(move |entry| {
        let number: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        // The name in brackets may hold anything.
        let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (parent == this).then_some(number)
    })
}

/// Counts the instructions of a process that is about to become a program, and of all that it starts.
fn instructions(process: i32) -> Option<OwnedFd> {
    const INSTRUCTIONS: u64 = 1;
    Event { config: INSTRUCTIONS, flags: OF_PROGRAM, ..Event::default() }.open(process, -1).ok()
}

fn read_counter(counter: &OwnedFd) -> Option<u64> {
    let mut count = 0_u64;
    // SAFETY: eight bytes are there.
    let read = unsafe { libc::read(counter.as_raw_fd(), (&raw mut count).cast(), 8) };
    (read == 8 && count > 0).then_some(count)
}
