//! The shell's side: asks the starter for a run, and takes what the program prints while it runs.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::packets::{receive, send};
use super::process::{COUNTS, ENDED, GO, NAME, NUMBERS, READY, REFUSED, START, STARTED, STOP, WAITS, pipe};
use super::{ProcessRun, Program, Sampler};
use crate::run_context::Stop;

/// Takes what a program prints.
pub trait Listener {
    fn out(&mut self, bytes: &[u8]);
    fn err(&mut self, bytes: &[u8]);
}

/// Why there was no run.
#[derive(Debug)]
pub enum Failure {
    /// The person stopped it, or its time was up.
    Stopped,
    /// The system does not start it.
    Refused(io::Error),
    /// The system does not let it be sampled.
    NotSampled(io::Error),
    /// The starter itself cannot be used.
    Broken(io::Error),
}

/// Starts programs through a process of our own, which is there from the first of them on.
pub struct Starter {
    /// What is started as that process: this program, but in tests.
    program: PathBuf,
    /// Gives the environment that the person gave.
    clean: fn(&mut Command) -> &mut Command,
    process: RefCell<Option<Process>>,
    /// What a program has at least, in bytes.
    floor: Cell<u64>,
}

struct Process {
    child: Child,
    socket: UnixStream,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends by itself once nobody can ask any more, and ends all that it has started.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(50) {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often the stop flag is looked at.
const LOOK: i32 = 20;
/// How often samples are taken over, in ms: there is room for some thirty of each processor.
const SAMPLED: i32 = 5;
/// A program and all that it started are gone so long after the starter was told to end them.
const ENDING: Duration = Duration::from_secs(3);
/// What a pipe holds, where the system allows it: fewer changes between the program and who reads.
const PIPE: i32 = 1 << 20;

impl Starter {
    pub fn new(program: &Path, clean: fn(&mut Command) -> &mut Command) -> Starter {
        Starter { program: program.to_path_buf(), clean, process: RefCell::new(None), floor: Cell::new(0) }
    }

    /// The memory in bytes with which each program begins, so that less cannot be seen; 0 before the first run.
    pub fn floor(&self) -> u64 {
        self.floor.get()
    }

    /// Runs a program to its end, and samples what it does.
    ///
    /// # Errors
    /// A program that fails is none. Where the system refuses to sample it, the program is not run.
    pub fn sample(
        &self,
        program: &Program,
        input: Option<&Path>,
        listener: &mut dyn Listener,
        stop: &Stop,
    ) -> Result<(ProcessRun, Sampler), Failure> {
        let mut slot = self.process.borrow_mut();
        if slot.is_none() {
            *slot = Some(self.start().map_err(Failure::Broken)?);
        }
        let process = slot.as_ref().expect("it was just started");
        let mut sampler = None;
        let ran = ask(process, program, input, WAITS, listener, stop, None, &mut sampler);
        if matches!(ran, Err(Failure::Broken(_))) {
            *slot = None;
        }
        Ok((ran?, sampler.expect("it was there before the program ran")))
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// A program that fails is none.
    pub fn run(
        &self,
        program: &Program,
        input: Option<&Path>,
        counts: bool,
        listener: &mut dyn Listener,
        stop: &Stop,
        limit: Option<Duration>,
    ) -> Result<ProcessRun, Failure> {
        let mut slot = self.process.borrow_mut();
        if slot.is_none() {
            *slot = Some(self.start().map_err(Failure::Broken)?);
        }
        let process = slot.as_ref().expect("it was just started");
        let flags = if counts { COUNTS } else { 0 };
        let ran = ask(process, program, input, flags, listener, stop, limit, &mut None);
        if matches!(ran, Err(Failure::Broken(_))) {
            *slot = None;
        }
        ran
    }

    fn start(&self) -> io::Result<Process> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&self.program);
        (self.clean)(&mut command).env(NAME, "1").stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn()?;
        let process = Process { child, socket: ours };
        process.socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        let hello = numbers(&process.socket)?;
        process.socket.set_read_timeout(None)?;
        if hello[0] != READY {
            return Err(io::Error::other("the process that starts commands did not begin"));
        }
        self.floor.set(hello[1]);
        Ok(process)
    }
}

fn numbers(socket: &UnixStream) -> io::Result<[u64; NUMBERS]> {
    let gone = || io::Error::other("the process that starts commands has ended");
    let (bytes, _) = receive(socket)?.ok_or_else(gone)?;
    let mut numbers = [0; NUMBERS];
    for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
        *number = u64::from_le_bytes(bytes.try_into().expect("there are eight"));
    }
    Ok(numbers)
}

#[allow(clippy::too_many_arguments)]
fn ask(
    process: &Process,
    program: &Program,
    input: Option<&Path>,
    flags: u8,
    listener: &mut dyn Listener,
    stop: &Stop,
    limit: Option<Duration>,
    sampler: &mut Option<Sampler>,
) -> Result<ProcessRun, Failure> {
    let broken = |error: io::Error| Failure::Broken(error);
    let input = File::open(input.unwrap_or(Path::new("/dev/null"))).map_err(Failure::Refused)?;
    let (out, out_end) = pipe().map_err(Failure::Refused)?;
    let (err, err_end) = pipe().map_err(Failure::Refused)?;
    for end in [&out, &err] {
        // SAFETY: the descriptor is open; a pipe that stays small is as good.
        unsafe {
            libc::fcntl(end.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
            libc::fcntl(end.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE);
        }
    }
    let folder = std::env::current_dir().map_err(Failure::Refused)?;
    let mut bytes = vec![START, flags];
    let parts = [folder.as_os_str(), program.path.as_os_str()].into_iter();
    for part in parts.chain(program.words.iter().map(|word| word.as_os_str())) {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(0);
    }
    let files = [input.as_raw_fd(), out_end.as_raw_fd(), err_end.as_raw_fd()];
    send(&process.socket, &bytes, &files).map_err(broken)?;
    drop((input, out_end, err_end));
    if flags & WAITS != 0 {
        let numbers = numbers(&process.socket).map_err(broken)?;
        if numbers[0] != STARTED {
            return Err(Failure::Refused(io::Error::from_raw_os_error(numbers[1] as i32)));
        }
        match Sampler::watch(numbers[1] as i32) {
            Ok(watching) => {
                *sampler = Some(watching);
                send(&process.socket, &[GO], &[]).map_err(broken)?;
            }
            Err(error) => {
                send(&process.socket, &[STOP], &[]).map_err(broken)?;
                self::numbers(&process.socket).map_err(broken)?;
                return Err(Failure::NotSampled(error));
            }
        }
    }
    let start = Instant::now();
    let mut told: Option<Instant> = None;
    let mut room = vec![0; 256 << 10];
    let (mut out, mut err) = (Some(File::from(out)), Some(File::from(err)));
    loop {
        let fd = |file: &Option<File>| file.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let mut polled = [process.socket.as_raw_fd(), fd(&out), fd(&err)].map(|fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        });
        // SAFETY: there are so many.
        unsafe { libc::poll(polled.as_mut_ptr(), 3, if sampler.is_some() { SAMPLED } else { LOOK }) };
        sampler.iter_mut().for_each(Sampler::take);
        if polled[1].revents != 0 {
            take(&mut out, &mut room, 4, |bytes| listener.out(bytes));
        }
        if polled[2].revents != 0 {
            take(&mut err, &mut room, 4, |bytes| listener.err(bytes));
        }
        if polled[0].revents != 0 {
            let numbers = numbers(&process.socket).map_err(broken)?;
            // What it has left in the pipes; it and all below it are gone.
            take(&mut out, &mut room, usize::MAX, |bytes| listener.out(bytes));
            take(&mut err, &mut room, usize::MAX, |bytes| listener.err(bytes));
            return match numbers[0] {
                _ if told.is_some() => Err(Failure::Stopped),
                ENDED => Ok(ran(&numbers)),
                REFUSED => Err(Failure::Refused(io::Error::from_raw_os_error(numbers[1] as i32))),
                _ => Err(Failure::Broken(io::Error::other("the process that starts commands made no sense"))),
            };
        }
        let late = limit.is_some_and(|limit| start.elapsed() > limit);
        if told.is_none() && (stop.is_raised() || late) {
            send(&process.socket, &[STOP], &[]).map_err(broken)?;
            told = Some(Instant::now());
        }
        if told.is_some_and(|since| since.elapsed() > ENDING) {
            return Err(Failure::Broken(io::Error::other("the command cannot be ended")));
        }
    }
}

/// Takes what is in a pipe, in so many portions at most; forgets it where nobody writes any more.
fn take(pipe: &mut Option<File>, room: &mut [u8], most: usize, mut to: impl FnMut(&[u8])) {
    for _ in 0..most {
        let Some(file) = pipe else { return };
        match file.read(room) {
            Ok(0) => *pipe = None,
            Ok(read) => to(&room[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => *pipe = None,
        }
    }
}

fn ran(numbers: &[u64; NUMBERS]) -> ProcessRun {
    let [_, status, wall, user, system, peak, rest @ ..] = *numbers;
    let [has_thread, on_processor, queued, waits, preempted, counted, count, left] = rest;
    ProcessRun {
        status: ExitStatus::from_raw(status as u32 as i32),
        wall: Duration::from_nanos(wall),
        user: Duration::from_nanos(user),
        system: Duration::from_nanos(system),
        peak,
        thread: (has_thread != 0).then_some((on_processor, queued)),
        waits,
        preempted,
        instructions: (counted != 0).then_some(count),
        left,
    }
}
