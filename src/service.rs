//! Child processes of this program that serve something on loopback. One ends with the value that stands for it, and
//! with this process, however that ends: its standard input is a pipe whose other end nobody else has.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// This program, as a process may start it again.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Where servers listen: nobody outside of this machine reaches them. The system chooses a free port.
pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What a child process may be.
pub struct Program {
    pub name: &'static str,
    /// Takes the arguments of its process, and runs until the work is done or the process is ended.
    pub run: fn(&[String]) -> io::Result<()>,
}

/// In the environment of a child: which program it is.
const NAME: &str = "TIMELAB_SERVICE";
static PREPARED: AtomicBool = AtomicBool::new(false);

/// Becomes one of the programs, where this process was started as one. Before anything else happens.
pub fn hook(programs: &[&Program]) {
    PREPARED.store(true, Ordering::Relaxed);
    let Ok(name) = std::env::var(NAME) else { return };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    raise_open_files();
    let ended = match programs.iter().find(|program| program.name == name) {
        Some(program) => watch_parent().and_then(|()| (program.run)(&arguments)),
        None => Err(io::Error::other(format!("there is no service `{name}`"))),
    };
    if let Err(error) = &ended {
        // Nobody may be there any more to read it.
        let _ = tell(&format!("{FAILED}{error}"));
    }
    std::process::exit(i32::from(ended.is_err()));
}

/// Before the words of a child that cannot go on.
const FAILED: &str = "error: ";

/// What a child says to the process that started it: one line.
///
/// # Errors
/// Where that process is gone.
pub fn tell(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Ends this process as soon as the one that started it is gone or has dropped it: then standard input ends.
fn watch_parent() -> io::Result<()> {
    const STACK: usize = 32 << 10;
    let watch = || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // SAFETY: it ends this process at once, whatever its other threads do.
        unsafe { libc::_exit(0) }
    };
    std::thread::Builder::new().name("watch".to_string()).stack_size(STACK).spawn(watch).map(drop)
}

/// Threads of a child that are not those of its program.
pub const OWN_THREADS: usize = 1;

/// Lets this process open as many files as the system allows it.
fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the system fills the structure, and reads it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// How many files may be open.
#[derive(Debug, Clone, Copy)]
pub struct OpenFiles {
    /// In this process, and in a child.
    pub here: u64,
    pub in_child: u64,
}

impl OpenFiles {
    pub fn limits() -> OpenFiles {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the system fills the structure.
        let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
        let (here, in_child) = if known { (limit.rlim_cur, limit.rlim_max) } else { (u64::MAX, u64::MAX) };
        OpenFiles { here, in_child }
    }

    /// The connections for which so many files are enough, beside others that are open.
    pub fn connections(files: u64) -> u64 {
        const OTHERS: u64 = 100;
        files.saturating_sub(OTHERS.min(files / 2)).max(1)
    }
}

/// What starts a child of this program, which ends when its standard input does.
///
/// # Errors
/// Where this program is not one that has [`hook`], and did not say which is.
pub fn command(name: &str, arguments: &[String]) -> io::Result<Command> {
    command_of(INSTEAD.get().map_or(Path::new(THIS_PROGRAM), PathBuf::as_path), name, arguments)
}

/// For a program that has no [`hook`], such as one of tests: another one that is started in its place.
pub fn start_instead(program: &Path) {
    // The first word counts.
    let _ = INSTEAD.set(program.to_path_buf());
}

static INSTEAD: OnceLock<PathBuf> = OnceLock::new();

fn command_of(program: &Path, name: &str, arguments: &[String]) -> io::Result<Command> {
    if program == Path::new(THIS_PROGRAM) && !PREPARED.load(Ordering::Relaxed) {
        return Err(io::Error::other("this program has not prepared for it"));
    }
    let mut command = Command::new(program);
    command
        // For who lists processes.
        .arg0(format!("timelab-{name}"))
        .args(arguments)
        .env(NAME, name)
        .current_dir("/")
        // Ctrl-C in the terminal is for the shell.
        .process_group(0);
    Ok(command)
}

/// A child process. It is killed when this is dropped.
pub struct Service {
    child: Child,
    _input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Service {
    /// Starts a child of `program`, which is this one, but in tests.
    ///
    /// # Errors
    /// Where the system starts no more processes.
    pub fn start(program: &Path, name: &str, arguments: &[String]) -> io::Result<Service> {
        let mut child = command_of(program, name, arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it was just asked for"));
        Ok(Service { child, _input: input, output })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The next line that the child tells; none where it was stopped before.
    ///
    /// # Errors
    /// Where the child cannot go on, or has ended.
    pub fn line(&mut self, stopped: &dyn Fn() -> bool) -> io::Result<Option<String>> {
        const LOOK: libc::c_int = 10;
        while self.output.buffer().is_empty() {
            if stopped() {
                return Ok(None);
            }
            let mut file = libc::pollfd { fd: self.output.get_ref().as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one structure, which outlives the call.
            if unsafe { libc::poll(&raw mut file, 1, LOOK) } > 0 {
                break;
            }
        }
        let mut line = String::new();
        // A child writes a line at once.
        if self.output.by_ref().take(LONGEST).read_line(&mut line)? == 0 {
            return Err(io::Error::other("its process has ended"));
        }
        let line = line.trim_end();
        match line.strip_prefix(FAILED) {
            Some(why) => Err(io::Error::other(why.to_string())),
            None => Ok(Some(line.to_string())),
        }
    }
}

/// Of a line, in bytes.
const LONGEST: u64 = 1 << 20;

/// How long the end of a process is waited for: one of ten thousand threads takes its time, and somebody else reaps it.
const PATIENCE: Duration = Duration::from_millis(20);

impl Drop for Service {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a process that nobody else waits for.
pub fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let begin = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if begin.elapsed() >= PATIENCE {
            let process = child.id() as libc::pid_t;
            // Where there are no more threads, the system reaps it when this process ends.
            let _ = std::thread::Builder::new().spawn(move || {
                // SAFETY: it is our own child, and nobody else waits for it any more.
                unsafe { libc::waitpid(process, std::ptr::null_mut(), 0) };
            });
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
