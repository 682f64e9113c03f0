//! The random attack, through the binary and under low limits: mutated cells with extreme arguments over damaged files,
//! scripts that try to leave their folder, signals in a pseudo-terminal. The long run is `benches/attack.sh`;
//! `TIMELAB_CASES` and `TIMELAB_SEED` choose the cases.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::fuzz;
use crate::random::{Random, seeds};

use super::{folder, run};

/// What a process that was attacked came to.
pub struct Ended {
    pub status: i32,
    /// The most memory that it had at once, in bytes, as the system tells it.
    pub peak: u64,
    pub out: String,
    pub err: String,
    /// It did not even end after Ctrl-C.
    pub hangs: bool,
}

/// Runs cells in a process of their own.
pub fn attack(folder: &Path, engine: &str, memory: &str, cells: &[String]) -> Ended {
    attack_within(4 << 30, NEVER_SO_LONG, folder, engine, memory, cells)
}

/// What ends by itself has so much time, also on a busy machine.
pub const NEVER_SO_LONG: Duration = Duration::from_secs(300);

/// The same where the process may map so many bytes, and is stopped by Ctrl-C after some time.
pub fn attack_within(space: u64, long: Duration, folder: &Path, engine: &str, memory: &str, cells: &[String]) -> Ended {
    const TOO_LONG: Duration = Duration::from_secs(30);
    let (out, err) = (folder.join("stdout"), folder.join("stderr"));
    let file = |path: &PathBuf| Stdio::from(File::create(path).expect("the folder can be written"));
    let limit = |resource, bytes: u64| {
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        // SAFETY: a system call on a whole structure.
        unsafe { libc::setrlimit(resource, &raw const limit) };
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
    command.current_dir(folder).env("HOME", folder).env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command.args(["--keep-going", "--engine", engine, "-c", &format!("%set memory {memory}")]);
    command.args(cells.iter().flat_map(|cell| ["-c", cell])).stdout(file(&out)).stderr(file(&err));
    // SAFETY: the child makes system calls only.
    unsafe {
        command.pre_exec(move || {
            limit(libc::RLIMIT_AS, space);
            limit(libc::RLIMIT_CORE, 0);
            limit(libc::RLIMIT_FSIZE, 256 << 20);
            Ok(())
        });
    }
    #[expect(clippy::zombie_processes, reason = "`wait4` collects it, and tells what it used")]
    let child = command.spawn().expect("timelab starts");
    let pid = child.id() as i32;
    let (done, watched) = channel::<()>();
    let watch = std::thread::spawn(move || {
        let still_runs = |time| watched.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
        // SAFETY: the child is not collected as long as the other end is open.
        let send = |signal| unsafe { libc::kill(pid, signal) };
        let mut hangs = still_runs(long);
        if hangs {
            send(libc::SIGINT);
            hangs = still_runs(TOO_LONG);
        }
        if hangs {
            send(libc::SIGKILL);
        }
        hangs
    });
    let mut status = 0;
    // SAFETY: all-zero structures are valid ones, and the system fills them.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::wait4(pid, &raw mut status, 0, &raw mut usage), pid, "it is our child");
        usage
    };
    drop(done);
    let hangs = watch.join().expect("it only waits");
    let read = |path: &PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    Ended { status, peak: usage.ru_maxrss as u64 * 1024, out: read(&out), err: read(&err), hangs }
}

/// What is wrong with how a process ended.
pub fn wrong(ended: &Ended) -> Option<String> {
    if ended.hangs {
        return Some("it does not stop after Ctrl-C".to_string());
    }
    if libc::WIFSIGNALED(ended.status) {
        return Some(format!("signal {}: {}", libc::WTERMSIG(ended.status), last(&ended.err)));
    }
    let defects = ["timelab itself fails", "panicked at", "has overflowed its stack", "memory allocation of"];
    if let Some(line) = ended.err.lines().find(|line| defects.iter().any(|defect| line.contains(defect))) {
        return Some(line.to_string());
    }
    match libc::WEXITSTATUS(ended.status) {
        0 | 1 | 3 | 130 => None,
        status => Some(format!("status {status}: {}", last(&ended.err))),
    }
}

fn last(text: &str) -> String {
    text.lines().rev().take(3).collect::<Vec<_>>().join(" / ")
}

/// A cell of the language with a few changes, extreme numbers, or files that are not as they should be.
fn cell(chance: &mut Random) -> String {
    const NUMBERS: [&str; 10] =
        ["0", "-1", "1G", "10M", "9223372036854775807", "-9223372036854775808", "1e308", "100k", "4294967296", "1.5"];
    const SOURCES: [&str; 8] = [
        "1..10M",
        "1..1000 | flat_map range(0, 1M)",
        "1..100k | map range(it, it + 1000)",
        "letters 1M",
        "random 1M",
        "read \"d.csv\" as text",
        "read \"lines.txt\"",
        "1..1M | map text(it) * 1",
    ];
    const STAGES: [&str; 18] = [
        "sort it",
        "count by it",
        "distinct",
        "pairs | count",
        "persist | count",
        "map text(it)",
        "map range(0, it)",
        "flat_map range(0, it)",
        "fold \"x\" replace(acc, \"\", acc)",
        "reverse",
        "sample 100k",
        "chars",
        "map it + it",
        "join (1..1M) on it == it | count",
        "concat (1..10M) | median",
        "zip (1..10M) | count",
        "enumerate | top 3",
        "peek 2 | sum",
    ];
    match chance.below(5) {
        0 => {
            let file = chance.word(&["d.csv", "d.jsonl", "d.parquet", "d.arrow", "d.csv.gz", "d.txt", "d.csv.zst"]);
            let stage =
                chance.word(&["count", "take 3", "head", "persist | count", "distinct | count", "sort it | count"]);
            let how = chance.word(&["", "", " as text", " as csv", " as json", " lossy true", " header false"]);
            format!("read \"{file}\"{how} | {stage}")
        }
        1 => {
            let stages: Vec<&str> = (0..1 + chance.below(3)).map(|_| chance.word(&STAGES)).collect();
            format!("{} | {}", chance.word(&SOURCES), stages.join(" | "))
        }
        _ => {
            let text = fuzz::text(chance);
            if !chance.one_in(3) {
                return text;
            }
            let mut out = String::new();
            let mut in_number = false;
            for c in text.chars() {
                match c.is_ascii_digit() {
                    true if !in_number && chance.one_in(2) => out.push_str(chance.word(&NUMBERS)),
                    true if in_number => {}
                    _ => out.push(c),
                }
                in_number = c.is_ascii_digit();
            }
            out
        }
    }
}

/// Whether a cell would leave the folder or the language, or measures for as long as it is told to.
fn is_kept_out(cell: &str) -> bool {
    const NOT: [&str; 14] = [
        "!",
        "rust",
        "native",
        "write",
        "%save",
        "%cd",
        "%run",
        "%compare",
        "%bigo",
        "%structures",
        "%latency",
        "%magnitudes",
        "%edit",
        "\"-\"",
    ];
    let measures = ["%concurrency", "%async", "%amdahl", "%contention", "race", "%time"];
    cell.contains('\0') || NOT.iter().chain(&measures).any(|not| cell.contains(not))
}

/// Files of every format, as they should be.
fn good_files(folder: &Path) {
    let rows = "1..2000 | map n = it, name = text(it % 7), x = it / 3";
    let cells: Vec<String> = ["csv", "jsonl", "parquet", "arrow", "csv.gz", "csv.zst"]
        .iter()
        .map(|format| format!("{rows} | write \"good.{format}\""))
        .collect();
    let ended = attack(folder, "batch", "1GB", &cells);
    assert_eq!(ended.status, 0, "{}", ended.err);
    let lines: String = (0..100_000).map(|i| format!("the quick brown fox {i} jumps\n")).collect();
    std::fs::write(folder.join("lines.txt"), lines).expect("the folder can be written");
}

/// The same with bytes that are changed, cut off, or others.
fn damage(folder: &Path, chance: &mut Random) {
    for format in ["csv", "jsonl", "parquet", "arrow", "csv.gz", "csv.zst"] {
        let mut bytes = std::fs::read(folder.join(format!("good.{format}"))).expect("it was written");
        if format == "csv" && chance.one_in(2) {
            bytes = fuzz::csv(chance);
        }
        for _ in 0..chance.below(6) {
            let length = bytes.len().max(1);
            match (chance.below(4), bytes.is_empty()) {
                (0, _) => bytes.truncate(chance.below(length)),
                (1, false) => bytes[chance.below(length)] = chance.below(256) as u8,
                (2, false) => {
                    // The directories of parquet and arrow stand at the end.
                    let from_end = 1 + chance.below(length.min(64));
                    let at = length - from_end;
                    bytes[at] = chance.below(256) as u8;
                }
                _ => bytes.push(chance.below(256) as u8),
            }
        }
        std::fs::write(folder.join(format!("d.{format}")), bytes).expect("the folder can be written");
    }
    std::fs::write(folder.join("d.txt"), fuzz::csv(chance)).expect("the folder can be written");
}

/// How much a process may have above one that does nothing, for a limit of so many bytes.
fn allowed(limit: u64) -> u64 {
    limit / 4 * 5 + (64 << 20)
}

/// Neither a panic, nor a signal, nor a hang, nor more memory than there is leave for.
#[test]
fn cells_end_within_their_limits() {
    const AT_ONCE: usize = 8;
    let folder = folder();
    let folder = folder.path();
    good_files(folder);
    let idle = attack(folder, "batch", "100MB", &["1 + 1".to_string()]).peak;
    let mut kinds: Vec<String> = Vec::new();
    let all: Vec<u64> = seeds(48).collect();
    for part in all.chunks(AT_ONCE) {
        let chance = &mut Random::new(part[0]);
        damage(folder, chance);
        let engine = chance.word(&["batch", "rows", "polars"]);
        let mut cells: Vec<String> = Vec::new();
        while cells.len() < part.len() {
            let cell = cell(chance);
            if !is_kept_out(&cell) {
                cells.push(cell);
            }
        }
        let found = |cells: &[String]| {
            // A cell may have no end by right.
            let long = Duration::from_secs(10);
            let ended = attack_within(4 << 30, long, folder, engine, "100MB", cells);
            let over = engine != "polars" && ended.peak > idle + allowed(100_000_000 * cells.len() as u64);
            wrong(&ended).or(over.then(|| format!("{} MB at its peak", ended.peak >> 20)))
        };
        if let Some(all) = found(&cells) {
            // One alone, or what came before has its part in it.
            let alone = cells.iter().find_map(|cell| Some((cell, found(std::slice::from_ref(cell))?)));
            let kind = match alone {
                Some((cell, what)) => format!("seed {} on {engine}: {what}\n› {cell}\n  {cell:?}", part[0]),
                None => format!("seed {} on {engine}: {all}\n  together: {cells:?}", part[0]),
            };
            eprintln!("{kind}");
            kinds.push(kind);
        }
    }
    assert!(kinds.is_empty(), "{} kinds of defects:\n{}", kinds.len(), kinds.join("\n"));
}

/// However what needs trust is wrapped: without it nothing runs, and nothing outside of the folder changes.
#[test]
fn no_script_does_what_needs_trust() {
    let (folder, outside) = (folder(), folder());
    let (folder, outside) = (folder.path(), outside.path());
    let marker = outside.join("marker");
    std::os::unix::fs::symlink(outside, folder.join("link")).expect("a link can be made");
    let touch = format!("touch {}", marker.display());
    let write = format!("1..3 | write {:?}", marker.display().to_string());
    let rust = format!("rust {{ std::fs::write({:?}, \"\").is_ok() }}", marker.display().to_string());
    let pipelines = [&*write, "1..3 | write \"link/marker\"", "1..3 | write \"./link/../link/marker\"", &rust];
    for seed in seeds(40) {
        let chance = &mut Random::new(seed);
        let pipeline = *chance.pick(&pipelines);
        let cell = match chance.below(12) {
            0 => pipeline.to_string(),
            1 => format!("%time {pipeline}"),
            2 => format!("%timeit -n 1 -r 1 {pipeline}"),
            3 => format!("%%time\n{pipeline}\n%%"),
            4 => format!("%timeit -n 1 -r 1 --setup ({pipeline}) 1 + 1"),
            5 => format!("%compare:\n  a: 1..3 | sum\n  b: {pipeline}"),
            6 => format!("%explain {pipeline}"),
            7 => format!("let x = !{touch}"),
            8 => format!("!{touch}"),
            9 => format!("1..3 | tee a: (sum), b: ({})", pipeline.trim_start_matches("1..3 | ")),
            10 => format!("fn f(x: int) -> int = {rust}\n1..3 | map f(it)"),
            _ => format!("%%rust\nstd::fs::write({:?}, \"\").unwrap();\n%%", marker.display().to_string()),
        };
        let before: String = (0..chance.below(3)).map(|i| format!("let n{i} = {i}\n")).collect();
        let script = if chance.one_in(3) {
            std::fs::write(folder.join("inner.txt"), format!("{before}{cell}\n")).expect("it is written");
            format!("{before}%run inner.txt\n")
        } else {
            format!("{before}{cell}\n")
        };
        std::fs::write(folder.join("evil.txt"), &script).expect("it is written");
        let output = run(folder, &["--keep-going", "evil.txt"]);
        assert!(!marker.exists(), "seed {seed}: {script}");
        let explains = cell.starts_with("%explain");
        assert!(explains || output.status.code() == Some(1), "seed {seed}: {script}\n{output:?}");
    }
}

/// A file that is cut while it is read is an error or was read before: never a part of it.
#[test]
fn a_shrinking_file_is_no_smaller_result() {
    let folder = folder();
    let folder = folder.path();
    let rows = "1..60k | map n = it, name = text(it % 1000), x = it / 3";
    let formats = ["csv", "jsonl", "parquet", "arrow", "csv.gz", "csv.zst"];
    let cells: Vec<String> = formats.iter().map(|format| format!("{rows} | write \"good.{format}\"")).collect();
    assert_eq!(attack(folder, "batch", "1GB", &cells).status, 0);
    std::fs::copy(folder.join("good.csv"), folder.join("good.txt")).expect("it was written");
    for seed in seeds(21) {
        let chance = &mut Random::new(seed);
        let format = chance.word(&["csv", "jsonl", "parquet", "arrow", "csv.gz", "csv.zst", "txt"]);
        let engine = chance.word(&["batch", "rows", "polars"]);
        let path = folder.join(format!("shrinks.{format}"));
        std::fs::copy(folder.join(format!("good.{format}")), &path).expect("it was written");
        let length = std::fs::metadata(&path).expect("it is there").len();
        let cell = format!("read \"shrinks.{format}\" | peek 1 | count");
        let mut child = Command::new(env!("CARGO_BIN_EXE_timelab"))
            .args(["--format", "csv", "--engine", engine, "-c", &cell])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("timelab starts");
        // Cut when the run has begun: polars tells of the first row in the end only, so there it may be before that.
        let mut err = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        let mut looks = chance.below(100);
        let is_polars = engine == "polars";
        while is_polars && looks > 0 && std::fs::read_link(format!("/proc/{}/exe", child.id())).is_ok() {
            let mut entries = std::fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
            let is_open = |entry: std::fs::DirEntry| std::fs::read_link(entry.path()).is_ok_and(|to| to == path);
            looks -= usize::from(entries.any(is_open));
            std::thread::yield_now();
        }
        if !is_polars {
            err.read_line(&mut said).expect("it is text");
        }
        let cut = length * chance.below(95) as u64 / 100;
        File::options().write(true).open(&path).and_then(|file| file.set_len(cut)).expect("it is ours");
        err.read_to_string(&mut said).expect("it is text");
        let output = child.wait_with_output().expect("timelab ends");
        let out = String::from_utf8_lossy(&output.stdout);
        let expected = if format == "txt" { "60000" } else { "59999" };
        match output.status.code() {
            Some(0) if is_polars => {}
            Some(0) => assert_eq!(out.trim(), format!("count\n{expected}"), "seed {seed}: {format} on {engine}"),
            code => assert_eq!(code, Some(1), "seed {seed}: {format} on {engine}: {output:?} {said}"),
        }
    }
}

/// Whatever runs when a signal comes: the terminal is as before, and the shell ends by that signal.
#[test]
fn signals_leave_the_terminal_as_it_was() {
    const CELLS: [&str; 7] = [
        "",
        "1..100G | sum | on rows",
        "1..100G | sort it % 7 | sum",
        "1..30M | sort text(it) | count | on polars",
        "!sleep 1000; true",
        "%timeit 1..1M | sum",
        "let x = ",
    ];
    const SIGNALS: [i32; 8] = [
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGALRM,
        libc::SIGXCPU,
        libc::SIGABRT,
        libc::SIGSEGV,
    ];
    let folder = folder();
    for seed in seeds(8) {
        let chance = &mut Random::new(seed);
        let signal = *chance.pick(&SIGNALS);
        let cell = chance.word(&CELLS);
        let (mut terminal, theirs) = terminal();
        let before = state(&terminal);
        let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
        command.current_dir(folder.path()).env("HOME", folder.path()).env("TERM", "xterm");
        let stream = || Stdio::from(theirs.try_clone().expect("a descriptor can be doubled"));
        command.stdin(stream()).stdout(stream()).stderr(stream());
        // SAFETY: the child makes system calls only.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0);
                libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
                Ok(())
            });
        }
        let mut child = command.spawn().expect("timelab starts");
        see(&mut terminal, "]› ");
        if !cell.is_empty() {
            terminal.write_all(format!("{cell}\r").as_bytes()).expect("the shell reads");
            // The cell is repeated on its line; then the shell is somewhere in it.
            see(&mut terminal, "\n");
        }
        // SAFETY: the child was not collected yet.
        unsafe { libc::kill(child.id() as i32, signal) };
        let status = child.wait().expect("it ends");
        assert_eq!(status.signal(), Some(signal), "seed {seed}: {cell}");
        assert_eq!(state(&terminal), before, "seed {seed}: {cell}");
        if cell.is_empty() && signal != libc::SIGABRT {
            // Nor does it mark what is pasted any more. Without the other end, a text that never comes is an error.
            drop(theirs);
            see(&mut terminal, "\x1b[?2004l");
        }
    }
}

/// Ctrl-\ ends the command that has the terminal; the same signal of somebody else ends the shell.
#[test]
fn ctrl_backslash_is_for_the_command() {
    let folder = folder();
    let (mut terminal, theirs) = terminal();
    let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
    command.current_dir(folder.path()).env("HOME", folder.path()).env("TERM", "xterm");
    let stream = || Stdio::from(theirs.try_clone().expect("a descriptor can be doubled"));
    command.stdin(stream()).stdout(stream()).stderr(stream());
    // SAFETY: the child makes system calls only.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0);
            libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
            Ok(())
        });
    }
    let mut child = command.spawn().expect("timelab starts");
    let type_in = |terminal: &mut File, text: &str| terminal.write_all(text.as_bytes()).expect("the shell reads");
    see(&mut terminal, "]\u{203a} ");
    for number in 2..4 {
        // The echo of the line does not hold what the command prints.
        type_in(&mut terminal, "!printf 'it is %s' up; sleep 1000\r");
        see(&mut terminal, "it is up");
        type_in(&mut terminal, "\u{1c}");
        see(&mut terminal, &format!("[{number}]\u{203a} "));
    }
    type_in(&mut terminal, "!printf 'it is %s' up; sleep 1000\r");
    see(&mut terminal, "it is up");
    // SAFETY: the child was not collected yet.
    unsafe { libc::kill(child.id() as i32, libc::SIGQUIT) };
    assert_eq!(child.wait().expect("it ends").signal(), Some(libc::SIGQUIT));
}

/// Both ends of a pseudo-terminal.
fn terminal() -> (File, File) {
    let (mut ours, mut theirs) = (0, 0);
    let none = std::ptr::null_mut();
    // SAFETY: the system fills both numbers, and the descriptors are nobody else's.
    unsafe {
        assert_eq!(libc::openpty(&raw mut ours, &raw mut theirs, none, none.cast(), none.cast()), 0);
        libc::fcntl(ours, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(theirs, libc::F_SETFD, libc::FD_CLOEXEC);
        (File::from_raw_fd(ours), File::from_raw_fd(theirs))
    }
}

/// Whether a terminal echoes, edits lines, and so on.
fn state(terminal: &File) -> [u32; 4] {
    // SAFETY: an all-zero structure is a valid one, and the system fills it.
    unsafe {
        let mut found: libc::termios = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(terminal.as_raw_fd(), &raw mut found), 0);
        [found.c_iflag, found.c_oflag, found.c_cflag, found.c_lflag]
    }
}

/// Reads until a text was seen.
fn see(terminal: &mut File, text: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let read = terminal.read(&mut buffer).expect("the shell writes");
        seen.extend_from_slice(&buffer[..read]);
    }
}
