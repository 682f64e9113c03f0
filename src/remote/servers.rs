//! Servers of engines that are started here: pinned packages in an environment of their own, and a process that serves
//! on loopback until its input ends, so that it ends with this one, however that ends.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::hidden_tokens;
use crate::run_context::RunContext;

use super::reach::{HostPort, reach};

/// What `%engine start` can start.
#[derive(Debug)]
pub struct Service {
    pub name: &'static str,
    /// The engine that it serves.
    pub engine: &'static str,
    pub scheme: &'static str,
    /// The packages, each at the version that it was tried with.
    pub packages: &'static [&'static str],
    /// About what they take, installed with all that they need.
    pub size: &'static str,
    pub needs_java: bool,
    /// A program in Python: it serves at the port that it is given until its standard input ends.
    text: &'static str,
}

pub static ALL: &[Service] = &[
    Service {
        name: "sail",
        engine: "spark",
        scheme: "sc",
        packages: &["pysail==0.7.2"],
        size: "190 MB",
        needs_java: false,
        text: include_str!("services/sail.py"),
    },
    Service {
        name: "spark",
        engine: "spark",
        scheme: "sc",
        packages: &["pyspark[connect]==4.3.0"],
        size: "1 GB",
        needs_java: true,
        text: include_str!("services/spark.py"),
    },
    Service {
        name: "dask",
        engine: "dask",
        scheme: "tcp",
        packages: &["dask==2026.8.0", "distributed==2026.8.0", "pyarrow==26.0.1"],
        size: "260 MB",
        needs_java: false,
        text: include_str!("services/dask.py"),
    },
    Service {
        name: "ray",
        engine: "ray",
        scheme: "ray",
        packages: &["ray[client]==2.60.0", "pyarrow==26.0.1"],
        size: "450 MB",
        needs_java: false,
        text: include_str!("services/ray.py"),
    },
];

pub fn find(name: &str) -> Option<&'static Service> {
    ALL.iter().find(|service| service.name == name)
}

/// How often the stop flag is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long a server may take to begin.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long it has to end by itself.
const FAREWELL: Duration = Duration::from_secs(3);

/// The file that an environment has when all is installed: what it was made of.
const MARK: &str = "timelab-installed";

/// A server that runs. It ends when this is dropped.
pub struct Server {
    pub service: &'static Service,
    pub address: String,
    /// The program that runs drivers for it.
    pub python: PathBuf,
    child: Child,
    input: Option<ChildStdin>,
}

impl Service {
    /// Where its packages are, or would be.
    ///
    /// # Errors
    /// There is no cache folder.
    pub fn folder(&self) -> Fallible<PathBuf> {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
        let cache = folder("XDG_CACHE_HOME")
            .or_else(|| Some(folder("HOME")?.join(".cache")))
            .ok_or_else(|| Diagnostic::new(Kind::System, "no cache folder is known: set HOME or XDG_CACHE_HOME"))?;
        Ok(cache.join("timelab/engines").join(self.name))
    }

    /// Whether these versions are there.
    pub fn is_installed(&self) -> bool {
        let mark = self.folder().ok().and_then(|folder| fs::read_to_string(folder.join(MARK)).ok());
        mark.is_some_and(|mark| mark == self.packages.join("\n"))
    }

    /// Whether it lacks something that is not installed here.
    ///
    /// # Errors
    /// What it lacks.
    pub fn check(&self) -> Fallible<()> {
        let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has_java = home.into_iter().chain(std::env::split_paths(&path)).any(|folder| folder.join("java").is_file());
        if !self.needs_java || has_java {
            return Ok(());
        }
        let error = Diagnostic::new(Kind::System, format!("{} needs Java 17 or later, and there is none", self.name));
        Err(error.hint("install one with the system's package manager, or: %engine start sail"))
    }

    /// Makes its environment anew, with a Python that is there.
    ///
    /// # Errors
    /// A program cannot be started or fails; also [`Kind::Stopped`].
    pub fn install(&self, python: &str, context: &RunContext) -> Fallible<()> {
        let folder = self.folder()?;
        let failed = |what: String| Diagnostic::new(Kind::System, format!("{} cannot be installed: {what}", self.name));
        let shown = folder.display();
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| failed(format!("{shown}: {error}")))?;
        }
        let parent = folder.parent().expect("it is inside the cache folder");
        fs::create_dir_all(parent).map_err(|error| failed(format!("{}: {error}", parent.display())))?;
        context.progress.tell(format!("{}: an environment in {shown}", self.name));
        let installed = (|| {
            finish(Command::new(python).args(["-m", "venv"]).arg(&folder), context, &failed)?;
            context.progress.tell(format!("{}: pip install {}", self.name, self.packages.join(" ")));
            let mut pip = Command::new(folder.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
            finish(pip.args(self.packages), context, &failed)?;
            fs::write(folder.join(MARK), self.packages.join("\n")).map_err(|error| failed(error.to_string()))
        })();
        if installed.is_err() {
            // Half of an environment would be taken for a whole one by nobody, but it takes space.
            let _ = fs::remove_dir_all(&folder);
        }
        installed
    }

    /// Starts it on a free port of this machine, and waits until it listens.
    ///
    /// # Errors
    /// It ends or does not listen in time; also [`Kind::Stopped`].
    pub fn start(&'static self, workers: usize, context: &RunContext) -> Fallible<Server> {
        let failed = |what: String| Diagnostic::new(Kind::System, format!("{} cannot be started: {what}", self.name));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.map_err(|error| failed(error.to_string()))?.port();
        let folder = self.folder()?;
        let python = folder.join("bin/python");
        let log = folder.join("server.log");
        let output = fs::File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (out, err) = output.map_err(|error| failed(format!("{}: {error}", log.display())))?;
        let mut command = Command::new(&python);
        command.args(["-c", self.text, &port.to_string(), &workers.to_string()]).current_dir(&folder);
        command.stdin(Stdio::piped()).stdout(out).stderr(err);
        // Ctrl-C in the terminal is for the shell.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| failed(format!("{}: {error}", python.display())))?;
        let input = child.stdin.take();
        let address = format!("{}://127.0.0.1:{port}", self.scheme);
        let mut server = Server { service: self, address, python, child, input };
        let until = Instant::now() + PATIENCE;
        let at = HostPort { host: "127.0.0.1".to_string(), port };
        context.progress.tell(format!("{}: waits for {}", self.name, server.address));
        loop {
            context.check()?;
            if reach(self.engine, &server.address, &at, &context.stop).is_ok() {
                return Ok(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(failed(format!("it ended ({status}); {}", last_line(&log))));
            }
            if Instant::now() >= until {
                return Err(failed(format!("it does not listen after {} s; {}", PATIENCE.as_secs(), last_line(&log))));
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Server {
    /// Whether it still runs.
    pub fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input ends it, and all that it has started.
        drop(self.input.take());
        let until = Instant::now() + FAREWELL;
        while self.lives() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        if self.lives() {
            let group = -(self.child.id() as i32);
            // SAFETY: a plain system call; the group is that of the child, which was not waited for yet.
            unsafe { libc::kill(group, libc::SIGKILL) };
        }
        let _ = self.child.wait();
    }
}

/// Runs a command to its end; its last words are those of the error.
fn finish(command: &mut Command, context: &RunContext, failed: &dyn Fn(String) -> Box<Diagnostic>) -> Fallible<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let said = tempfile().map_err(|error| failed(error.to_string()))?;
    let output = said.1.try_clone().map_err(|error| failed(error.to_string()))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).process_group(0);
    let mut child = command.spawn().map_err(|error| failed(format!("`{program}` cannot be started: {error}")))?;
    loop {
        if let Err(stopped) = context.check() {
            let group = -(child.id() as i32);
            // SAFETY: a plain system call; the group is that of the child, which was not waited for yet.
            unsafe { libc::kill(group, libc::SIGKILL) };
            let _ = child.wait();
            return Err(stopped);
        }
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(failed(format!("`{program}` ended ({status}); {}", last_line(&said.0)))),
            Ok(None) => std::thread::sleep(LOOK),
            Err(error) => return Err(failed(error.to_string())),
        }
    }
}

/// A file for the words of a command, which is gone with it.
fn tempfile() -> std::io::Result<(PathBuf, fs::File)> {
    use std::os::fd::AsRawFd;

    // SAFETY: a system call with a constant name; the descriptor is owned below.
    let number = unsafe { libc::memfd_create(c"timelab-words".as_ptr(), libc::MFD_CLOEXEC) };
    if number < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and nobody else has it.
    let file = unsafe { <fs::File as std::os::fd::FromRawFd>::from_raw_fd(number) };
    Ok((PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())), file))
}

fn last_line(path: &Path) -> String {
    const MOST: usize = 300;
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing");
    hidden_tokens(&line.chars().take(MOST).collect::<String>())
}
