//! Map, reduce and combine as commands of the system's shell, as in Hadoop streaming: a row on each line of standard
//! input, with tabs between its columns; a pair on each line of standard output, `key TAB value`.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::plan::{ExternalFunction, ExternalPlace};
use crate::run_context::Stop;

/// What the command makes of its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Rows to pairs. Its arguments are the columns, as lists.
    Map,
    /// Pairs to pairs, those of one key after the other. Its arguments are a list of keys and one of their values.
    Combine,
    /// The same with the keys, and for each one the list of its values.
    Reduce,
}

/// A command as a function of columns. One call runs it once for each row.
pub struct Streaming {
    part: Part,
    command: String,
    span: Span,
    stop: Mutex<Stop>,
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").field("command", &self.command).finish_non_exhaustive()
    }
}

impl Streaming {
    pub fn new(part: Part, command: &str, span: Span) -> Streaming {
        Streaming { part, command: command.to_string(), span, stop: Mutex::default() }
    }

    /// That of a place, if one is meant: see [`ExternalFunction::place`].
    pub fn at(place: &ExternalPlace, stop: &Stop) -> Option<Streaming> {
        if !place.is_command() {
            return None;
        }
        let part = [Part::Map, Part::Combine, Part::Reduce].into_iter().find(|part| part.name() == place.name)?;
        let streaming = Streaming::new(part, &place.symbol, Span::default());
        streaming.prepare(stop);
        Some(streaming)
    }

    /// The pairs that the command makes of its lines.
    fn pairs(&self, lines: Vec<u8>) -> Fallible<Value> {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (status, output, said) = run(&self.command, lines, &stop).map_err(|error| match error {
            Failed::Stopped(error) => error,
            Failed::System(error) => {
                Diagnostic::at(Kind::System, self.span, format!("the command cannot be run: {error}"))
            }
        })?;
        if !status.success() {
            let ended = match (status.code(), status.signal()) {
                (Some(code), _) => format!("status {code}"),
                (None, signal) => format!("signal {}", signal.unwrap_or_default()),
            };
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            let message = format!("the {} command ended with {ended}{said}", self.part.name());
            return Err(Diagnostic::at(Kind::Rust, self.span, message));
        }
        let text = String::from_utf8(output)
            .map_err(|_| Diagnostic::at(Kind::Rust, self.span, "the command printed bytes that are not UTF-8"))?;
        let pair = |line: &str| {
            let (key, value) = line.split_once('\t').unwrap_or((line, ""));
            Value::List([key, value].map(|text| Value::text(&unescaped(text))).into())
        };
        Ok(Value::List(text.lines().map(pair).collect()))
    }

    fn lines(&self, arguments: &[&Value]) -> Vec<u8> {
        let lists: Vec<&[Value]> =
            arguments.iter().map(|list| if let Value::List(items) = list { &items[..] } else { &[] }).collect();
        let mut out = String::new();
        match self.part {
            Part::Map => {
                for row in 0..lists.first().map_or(0, |list| list.len()) {
                    line(lists.iter().map(|list| &list[row]), &mut out);
                }
            }
            Part::Combine => {
                let (keys, values) = (lists[0], lists[1]);
                let mut order: Vec<usize> = (0..keys.len()).collect();
                order.sort_by(|a, b| keys[*a].compare(&keys[*b]));
                order.into_iter().for_each(|row| line([&keys[row], &values[row]], &mut out));
            }
            Part::Reduce => {
                for (key, values) in lists[0].iter().zip(lists[1]) {
                    let Value::List(values) = values else { continue };
                    values.iter().for_each(|value| line([key, value], &mut out));
                }
            }
        }
        out.into_bytes()
    }
}

impl Part {
    pub fn name(self) -> &'static str {
        match self {
            Part::Map => "map",
            Part::Combine => "combine",
            Part::Reduce => "reduce",
        }
    }
}

impl ExternalFunction for Streaming {
    fn call(&self, arguments: &[Vec<Value>], rows: usize) -> Fallible<Vec<Value>> {
        let call = |row: usize| {
            let arguments: Vec<&Value> = arguments.iter().map(|values| &values[row]).collect();
            self.pairs(self.lines(&arguments))
        };
        (0..rows).map(call).collect()
    }

    fn source(&self) -> Option<&str> {
        None
    }

    /// No library: the command is the symbol.
    fn place(&self) -> ExternalPlace {
        ExternalPlace { name: self.part.name().to_string(), library: PathBuf::new(), symbol: self.command.clone() }
    }

    fn prepare(&self, stop: &Stop) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop.clone();
    }
}

fn line<'v>(columns: impl IntoIterator<Item = &'v Value>, out: &mut String) {
    for (at, value) in columns.into_iter().enumerate() {
        if at > 0 {
            out.push('\t');
        }
        match value {
            Value::Null => {}
            Value::Text(text) => escape(text, out),
            other => escape(&other.to_string(), out),
        }
    }
    out.push('\n');
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\\' => out.push_str("\\\\"),
            other => out.push(other),
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some(next @ ('t' | 'n' | '\\'))) => {
                chars.next();
                out.push(match next {
                    't' => '\t',
                    'n' => '\n',
                    other => other,
                });
            }
            (other, _) => out.push(other),
        }
    }
    out
}

enum Failed {
    Stopped(Box<Diagnostic>),
    System(io::Error),
}

/// How long the flag is not looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Of what the command says on standard error, so much is told.
const MOST_SAID: usize = 300;

/// Runs a command; how it ended, what it printed, and the end of what it said on standard error.
fn run(command: &str, input: Vec<u8>, stop: &Stop) -> Result<(ExitStatus, Vec<u8>, String), Failed> {
    stop.check().map_err(Failed::Stopped)?;
    let mut child = Running::start(command).map_err(Failed::System)?;
    let mut to = child.0.stdin.take().expect("it is piped");
    // Who reads only a part of its lines is not at fault.
    let writer = thread(move || {
        let _ = to.write_all(&input);
        Vec::new()
    });
    let from = child.0.stdout.take().expect("it is piped");
    let errors = child.0.stderr.take().expect("it is piped");
    let (output, said) = (thread(|| read(from)), thread(|| read(errors)));
    let threads = [writer, output, said].into_iter().collect::<io::Result<Vec<_>>>().map_err(Failed::System)?;
    let status = loop {
        if let Some(status) = child.0.try_wait().map_err(Failed::System)? {
            break status;
        }
        stop.check().map_err(Failed::Stopped)?;
        // A short command is not waited for longer than it takes.
        wait_for(&child.0, LOOK);
    };
    // What it left behind may hold its output open.
    child.end_group();
    let mut outputs = threads.into_iter().map(|thread| thread.join().unwrap_or_default());
    let (_, output, said) = (outputs.next(), outputs.next().unwrap_or_default(), outputs.next().unwrap_or_default());
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(MOST_SAID)..]).trim().replace('\n', "; ");
    Ok((status, output, said))
}

/// A command that is ended with all that it started, when it is dropped.
struct Running(Child);

impl Running {
    fn start(command: &str) -> io::Result<Running> {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: a plain system call in the new process, which ends with the thread that waits for it.
        unsafe {
            shell.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        shell.spawn().map(Running)
    }

    fn end_group(&self) {
        // SAFETY: a plain system call; the group is that of the command alone.
        unsafe { libc::kill(-(self.0.id() as i32), libc::SIGKILL) };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.end_group();
            let _ = self.0.wait();
        }
    }
}

fn thread(work: impl FnOnce() -> Vec<u8> + Send + 'static) -> io::Result<JoinHandle<Vec<u8>>> {
    Builder::new().name("command".to_string()).spawn(work)
}

fn read(mut from: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = from.read_to_end(&mut all);
    all
}

/// Waits until a child ends, but not longer than this.
fn wait_for(child: &Child, most: Duration) {
    // SAFETY: a plain system call; the descriptor is closed below.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) } as i32;
    if descriptor < 0 {
        return std::thread::sleep(most);
    }
    let mut file = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, which outlives the call; the descriptor is nobody else's.
    unsafe {
        libc::poll(&raw mut file, 1, most.as_millis() as libc::c_int);
        libc::close(descriptor);
    }
}
