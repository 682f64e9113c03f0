//! Rust that counts what it does: a text is compiled as a program of its own with `-C profile-generate`, whose counters
//! are read around each call, with its allocations, the bytes that it moved, and its stack.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::file_name;
use crate::run_context::RunContext;

use super::without_ours;

/// What stands beside the text, compiled without counters.
const SUPPORT: &str = include_str!("support.rs");
/// Begins each line that is an answer of the program; as in the support.
const MARK: &str = "\u{1}timelab ";
/// How often the stop flag is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// An allocation costs as much as so many counters.
const ALLOCATION: f64 = 20.0;
/// Room for the program and its threads beside what it works on.
const ROOM: u64 = 2 << 30;
/// Programs of more bytes together are not kept. One of a few lines has half a million.
const KEPT: u64 = 64 << 20;
/// What was used within this time may be about to start.
const RECENT: Duration = Duration::from_secs(60);

/// What one call did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counts {
    /// How often the pieces of the code were run.
    pub counters: f64,
    pub moved: f64,
    pub allocations: f64,
    pub allocated: f64,
    /// The most live heap above that at the start, and the depth of the stack.
    pub peak: f64,
    pub stack: f64,
    /// Nanoseconds of CPU time; to say what the next size will take, and nothing else: counting is slow.
    pub spent: f64,
}

impl Counts {
    /// All of it as steps: eight bytes are moved in one.
    pub fn steps(&self) -> f64 {
        self.counters + self.moved / 8.0 + ALLOCATION * self.allocations
    }

    pub fn space(&self) -> f64 {
        self.peak + self.stack
    }
}

/// The text of a program that calls a block of Rust with an int of this name: each line is one.
pub fn block_program(name: &str, body: &str) -> String {
    format!(
        "#![allow(warnings)]\nfn main() {{\n    support::serve_anew(|line| {{\n        \
         let {name}: i64 = line.trim().parse().expect(\"an int\");\n        \
         Box::new(move || {{\n            let mut subject = |{name}: i64| {{\n{body}\n            }};\n            \
         std::hint::black_box(subject(std::hint::black_box({name})));\n        }})\n    }})\n}}\n"
    )
}

/// A program that counts, waiting for work.
pub struct Counted {
    child: Child,
    work: Option<ChildStdin>,
    answers: Receiver<String>,
}

/// Why there are no counts.
pub enum Uncounted {
    /// In words that complete "not counted: …".
    Because(String),
    Stopped(Box<Diagnostic>),
}

impl Counted {
    /// Compiles a text and starts it. It calls `support::serve` or `serve_anew` with what makes the work of a line. The
    /// program is kept in the cache of the user, by the hash of its text, as long as there is room for it.
    ///
    /// # Errors
    /// Where the toolchain cannot, or the text does not stand alone.
    pub fn start(text: &str, context: &RunContext) -> Result<Counted, Uncounted> {
        let program = program(text, context)?;
        let memory = context.memory.saturating_add(ROOM);
        let mut command = Command::new(program);
        without_ours(&mut command).env("LLVM_PROFILE_FILE", "/dev/null");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // SAFETY: between fork and exec only system calls are made.
        unsafe {
            command.pre_exec(move || {
                let limit = libc::rlimit { rlim_cur: memory, rlim_max: memory };
                libc::setrlimit(libc::RLIMIT_AS, &limit);
                // The terminal's Ctrl-C is for the shell, which then ends this.
                libc::setpgid(0, 0);
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let mut child = command.spawn().map_err(|error| because(format!("the program cannot start: {error}")))?;
        let out = child.stdout.take().expect("it was piped");
        let (sender, answers) = channel();
        let read = move || {
            // What the text prints is not asked for.
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            for line in lines.filter_map(|line| line.strip_prefix(MARK).map(str::to_string)) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        };
        let reader = std::thread::Builder::new().name("counts".to_string()).spawn(read);
        reader.map_err(|error| because(format!("cannot start a thread: {error}")))?;
        let work = child.stdin.take();
        Ok(Counted { child, work, answers })
    }

    /// What the work of a line does.
    ///
    /// # Errors
    /// Where it panics or ends the program, and [`Kind::Stopped`].
    pub fn count(&mut self, line: &str, context: &RunContext) -> Fallible<Counts> {
        let ended = || Diagnostic::new(Kind::System, "the counting program ended: it panicked or ran out of memory");
        let work = self.work.as_mut().ok_or_else(ended)?;
        writeln!(work, "{line}").and_then(|()| work.flush()).map_err(|_| ended())?;
        let answer = loop {
            match self.answers.recv_timeout(LOOK) {
                Ok(answer) => break answer,
                Err(RecvTimeoutError::Disconnected) => return Err(ended()),
                Err(RecvTimeoutError::Timeout) => context.stop.check()?,
            }
        };
        let numbers: Vec<f64> = answer.split(' ').filter_map(|number| number.parse().ok()).collect();
        let [counters, moved, allocations, allocated, peak, stack, spent] = numbers[..] else { return Err(ended()) };
        Ok(Counts { counters, moved, allocations, allocated, peak, stack, spent })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        drop(self.work.take());
        // It may be in the middle of a call that does not end, in a fork of its own.
        // SAFETY: a plain system call; the child leads a group and has not been waited for.
        unsafe { libc::kill(-(self.child.id() as libc::pid_t), libc::SIGKILL) };
        let _ = self.child.wait();
    }
}

fn because(why: impl Into<String>) -> Uncounted {
    Uncounted::Because(why.into())
}

/// The compiled program of a text, from the cache or new.
fn program(text: &str, context: &RunContext) -> Result<PathBuf, Uncounted> {
    let mut hasher = DefaultHasher::new();
    (SUPPORT, text).hash(&mut hasher);
    let cache = cache().ok_or_else(|| because("there is no folder for compiled code: HOME is not set"))?;
    let folder = cache.join(format!("{:016x}", hasher.finish()));
    let (source, program) = (folder.join("main.rs"), folder.join("main"));
    let is_there = || program.is_file() && fs::read_to_string(&source).is_ok_and(|known| known == text);
    if is_there() {
        note_use(&folder);
        return Ok(program);
    }
    make_room(&cache);
    let failed = |error: std::io::Error| because(format!("{}: {error}", file_name(&folder)));
    // Two threads may compile the same text.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let new = cache.join(format!("new-{}-{next}-{:016x}", std::process::id(), hasher.finish()));
    private(&new).map_err(failed)?;
    let compiled = compile(&new, text, context);
    // Where another one was quicker, its program is there and may be starting: it must stay. Only what is broken goes.
    if compiled.is_ok() && fs::rename(&new, &folder).is_err() && !is_there() {
        let _ = fs::remove_dir_all(&folder);
        let _ = fs::rename(&new, &folder);
    }
    let _ = fs::remove_dir_all(&new);
    compiled.map(|()| program)
}

/// `~/.cache/timelab/counted`, or where `XDG_CACHE_HOME` says.
fn cache() -> Option<PathBuf> {
    let own = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    own.or_else(home).map(|folder| folder.join("timelab").join("counted"))
}

/// What was used last is kept longest.
fn note_use(folder: &Path) {
    // Where it cannot be noted, the program is compiled again some day.
    let _ = File::open(folder).and_then(|folder| folder.set_modified(SystemTime::now()));
}

/// Removes the programs that were not used for the longest time, until those that are left, with a new one, take at
/// most [`KEPT`]. What shells have left that were killed while they compiled goes in the same way.
fn make_room(cache: &Path) {
    const NEW: u64 = 2 << 20;
    let Ok(entries) = fs::read_dir(cache) else { return };
    let bytes = |folder: &Path| -> u64 {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    };
    let used = |folder: &Path| fs::metadata(folder).and_then(|metadata| metadata.modified()).ok();
    let known = entries.flatten().map(|entry| entry.path());
    let mut known: Vec<(SystemTime, PathBuf)> = known.filter_map(|folder| Some((used(&folder)?, folder))).collect();
    known.sort();
    let mut room = KEPT.saturating_sub(NEW);
    for (used, folder) in known.into_iter().rev() {
        let bytes = bytes(&folder);
        let is_recent = used.elapsed().is_ok_and(|age| age < RECENT);
        if bytes <= room {
            room -= bytes;
        } else {
            // All that are older go too.
            room = 0;
            if !is_recent {
                let _ = fs::remove_dir_all(&folder);
            }
        }
    }
}

fn private(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn compile(folder: &Path, text: &str, context: &RunContext) -> Result<(), Uncounted> {
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).map_err(|error| because(format!("{}: {error}", file_name(folder))))
    };
    write("support.rs", SUPPORT)?;
    write("main.rs", text)?;
    let common = ["--edition", "2024", "-C", "opt-level=3", "-C", "codegen-units=1", "--cap-lints", "allow"];
    rustc(folder, &common, &["--crate-type", "rlib", "support.rs", "-o", "libsupport.rlib"], context)?;
    // Nobody debugs it: with symbols it is five times as large.
    let mut counted = vec!["-C", "profile-generate=/dev/null", "-C", "strip=symbols"];
    counted.extend(["--extern", "support=libsupport.rlib", "main.rs", "-o", "main"]);
    // Threads would lose each other's counts. What has one counts without locks, which is several times as fast.
    if names_threads(text) {
        counted.extend(["-C", "llvm-args=-instrprof-atomic-counter-update-all"]);
    }
    rustc(folder, &common, &counted, context)?;
    // It is part of the program now.
    let _ = fs::remove_file(folder.join("libsupport.rlib"));
    Ok(())
}

/// Whether the word `thread` stands in a text: nothing starts one without it.
fn names_threads(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "thread")
}

fn rustc(folder: &Path, common: &[&str], more: &[&str], context: &RunContext) -> Result<(), Uncounted> {
    let mut command = Command::new("rustc");
    without_ours(&mut command).current_dir(folder).args(common).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| because(format!("rustc cannot run: {error}")))?;
    let mut errors = child.stderr.take().expect("it was piped");
    let said = std::thread::spawn(move || {
        let mut said = String::new();
        let _ = std::io::Read::read_to_string(&mut errors, &mut said);
        said
    });
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => std::thread::sleep(LOOK),
            Err(error) => return Err(because(format!("rustc: {error}"))),
        }
        if let Err(stopped) = context.stop.check() {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Uncounted::Stopped(stopped));
        }
    };
    if status.success() {
        return Ok(());
    }
    let said = said.join().unwrap_or_default();
    Err(because(if said.contains("can't find crate for `profiler_builtins`") {
        "this toolchain has no profiler_builtins, which counting needs".to_string()
    } else {
        let first = said.lines().find(|line| line.starts_with("error")).unwrap_or("rustc failed").to_string();
        format!("it does not compile separately ({first})")
    }))
}
