//! Programs in Python that stand between this one and an engine of that language. A driver gets plans as JSON lines on
//! its standard input, tells events as JSON lines on standard error, and writes results to standard output. It stays
//! for the next plan, and ends when its input does: with this process, however that ends.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::{hidden_tokens, without_token};
use crate::measure;
use crate::plan::Prepared;
use crate::run_context::RunContext;

use super::reach::{host_port, reach};
use super::{arrow, translate};

/// A driver: how its engine is called, and what its text is made of.
#[derive(Debug)]
pub struct Driver {
    pub engine: &'static str,
    /// What follows the text that all drivers share.
    pub text: &'static str,
    /// What installs it.
    pub install: &'static str,
    pub default_port: u16,
}

const KIT: &str = include_str!("drivers/kit.py");
const COMMON: &str = include_str!("drivers/common.py");
const PLANNER: &str = include_str!("drivers/planner.py");

/// How often the stop flag is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long a driver has to stop what runs.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many of its last lines are kept, for messages.
const TAIL: usize = 40;

/// Statuses with which a driver tells, or ends.
const UNSUPPORTED: i32 = 4;
const MISSING: i32 = 10;
const NO_CONNECTION: i32 = 11;
const FAILED: i32 = 20;

/// What a driver tells.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    event: String,
    run: u64,
    status: i32,
    kind: String,
    module: String,
    message: String,
    there: String,
    version: String,
    bytes: u64,
    done: u64,
    all: u64,
    tasks: u64,
    workers: u64,
}

enum Told {
    Event(Event),
    Ended,
}

/// One driver that runs.
struct Process {
    child: Child,
    input: ChildStdin,
    told: Receiver<Told>,
    results: Receiver<Vec<u8>>,
    /// What was read of the next result.
    rest: Vec<u8>,
    tail: Arc<Mutex<VecDeque<String>>>,
    runs: u64,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Key = (&'static str, String);

/// The drivers that run, by engine and program.
static RUNNING: Mutex<Option<HashMap<Key, Process>>> = Mutex::new(None);

fn running() -> MutexGuard<'static, Option<HashMap<Key, Process>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The program that runs drivers: the one that was said, that of the active virtual environment, or the system's.
pub fn python(said: Option<&str>) -> String {
    if let Some(said) = said {
        return said.to_string();
    }
    let active = std::env::var("VIRTUAL_ENV").ok().filter(|folder| !folder.is_empty());
    let inside = active.map(|folder| format!("{folder}/bin/python")).filter(|path| Path::new(path).exists());
    inside.unwrap_or_else(|| "python3".to_string())
}

/// Runs a plan by a driver.
///
/// # Errors
/// What the plan runs into, an objection, a driver that cannot start or ends; [`Kind::Stopped`] says what became of
/// the run there.
pub fn run(driver: &Driver, plan: &Prepared, context: &RunContext) -> Fallible<Table> {
    // A stopped run may still say so there. What comes from there is looked at as it comes.
    let _unlimited = measure::limited(u64::MAX);
    let words = plan.limits.place.map(|place| place.words());
    let address = words.and_then(|words| words.address.as_deref());
    if let Some(address) = address {
        let shown = without_token(address);
        let at = host_port(address, driver.default_port).ok_or_else(|| {
            Diagnostic::new(Kind::Type, format!("{shown} is not an address of {}: it has no host", driver.engine))
        })?;
        reach(driver.engine, &shown, &at, &context.stop)?;
    }
    let translated =
        translate::translate(plan).map_err(|refusal| Diagnostic::at(Kind::Objection, refusal.span, refusal.reason))?;
    let key = (driver.engine, python(words.and_then(|words| words.python.as_deref())));
    let known = running().get_or_insert_default().remove(&key);
    let lives = |process: &mut Process| matches!(process.child.try_wait(), Ok(None));
    let mut process = match known.and_then(|mut known| lives(&mut known).then_some(known)) {
        Some(process) => process,
        None => start(driver, &key.1)?,
    };
    let options = words.map(|words| &words.options[..]).unwrap_or_default();
    let options: HashMap<&str, &str> = options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    process.runs += 1;
    let request = json!({
        "run": process.runs, "address": address, "workers": context.workers, "options": options, "plan": translated,
    });
    let outcome = process.ask(driver, &key.1, &request, plan, context);
    // Of one that has failed it is not known what it still does.
    if process.is_well() {
        running().get_or_insert_default().insert(key, process);
    }
    outcome
}

fn start(driver: &Driver, python: &str) -> Fallible<Process> {
    let kit = serde_json::to_string(KIT).expect("a text is JSON");
    // A module in the current folder must not be taken for one of a library.
    let text = format!(
        "import sys\nsys.path[:] = [p for p in sys.path if p]\nKIT = {kit}\n{COMMON}\n{PLANNER}\n{}",
        driver.text
    );
    let mut command = Command::new(python);
    command.args(["-u", "-c", &text]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Ctrl-C in the terminal is for the shell.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| {
        let message = format!("{} needs Python, and `{python}` cannot be started: {error}", driver.engine);
        Diagnostic::new(Kind::System, message).hint("%set python PATH chooses another one")
    })?;
    let input = child.stdin.take().expect("it is a pipe");
    let (mut output, errors) = (child.stdout.take().expect("it is a pipe"), child.stderr.take().expect("it is a pipe"));
    let (tell, told) = channel();
    // A result waits here until it is asked for, a few pieces of it.
    let (give, results) = sync_channel(16);
    let tail = Arc::new(Mutex::new(VecDeque::new()));
    let theirs = tail.clone();
    let listen = move || {
        for line in BufReader::new(errors).split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line).into_owned();
            match serde_json::from_str::<Event>(&line) {
                Ok(event) if !event.event.is_empty() => {
                    if tell.send(Told::Event(event)).is_err() {
                        return;
                    }
                }
                _ => {
                    let mut tail = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                    if tail.len() == TAIL {
                        tail.pop_front();
                    }
                    tail.push_back(line);
                }
            }
        }
        let _ = tell.send(Told::Ended);
    };
    let collect = move || {
        const PIECE: usize = 256 << 10;
        loop {
            let mut piece = vec![0; PIECE];
            match output.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(length) => piece.truncate(length),
            }
            if give.send(piece).is_err() {
                return;
            }
        }
    };
    let thread = |name: &str, work: Box<dyn FnOnce() + Send>| {
        let spawned = std::thread::Builder::new().name(name.to_string()).spawn(work);
        spawned.map(drop).map_err(|error| Diagnostic::new(Kind::System, format!("no thread can be started: {error}")))
    };
    let process = Process { child, input, told, results, rest: Vec::new(), tail, runs: 0 };
    thread("driver-events", Box::new(listen))?;
    thread("driver-results", Box::new(collect))?;
    Ok(process)
}

impl Process {
    /// Whether it can take another plan.
    fn is_well(&mut self) -> bool {
        self.rest.is_empty() && matches!(self.child.try_wait(), Ok(None))
    }

    fn send(&mut self, line: &serde_json::Value) -> std::io::Result<()> {
        let mut text = line.to_string();
        text.push('\n');
        self.input.write_all(text.as_bytes())?;
        self.input.flush()
    }

    fn ask(
        &mut self,
        driver: &Driver,
        python: &str,
        request: &serde_json::Value,
        plan: &Prepared,
        context: &RunContext,
    ) -> Fallible<Table> {
        let engine = driver.engine;
        let number = self.runs;
        // What it tells where it cannot take the request stands in its events.
        let _ = self.send(request);
        loop {
            if context.stop.is_raised() {
                return Err(self.stopped(engine));
            }
            context.check()?;
            let event = match self.told.recv_timeout(LOOK) {
                Ok(Told::Event(event)) if event.run == number || event.run == 0 => event,
                Ok(Told::Event(_)) | Err(RecvTimeoutError::Timeout) => continue,
                Ok(Told::Ended) | Err(RecvTimeoutError::Disconnected) => return Err(self.ended(driver, python)),
            };
            match event.event.as_str() {
                "ready" => context.progress.tell(format!("{engine} {}", event.version)),
                "submitted" => {
                    let plural = if event.workers == 1 { "" } else { "s" };
                    let status = format!("{} tasks on {} worker{plural}", event.tasks, event.workers);
                    context.progress.tell(format!("{engine}: {status}"));
                    context.read_notes.add_status(status);
                }
                "progress" => context.progress.tell(format!("{engine}: {} of {} tasks", event.done, event.all)),
                "error" => return Err(failure(driver, python, &event, request)),
                "result" => {
                    let stream = self.result(engine, event.bytes, context)?;
                    return arrow::table(engine, &[stream], plan.schema());
                }
                "stopped" => return Err(told_stopped(engine, &event.there)),
                _ => {}
            }
        }
    }

    /// The bytes of a result.
    fn result(&mut self, engine: &str, bytes: u64, context: &RunContext) -> Fallible<Vec<u8>> {
        let wanted = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut stream = std::mem::take(&mut self.rest);
        while stream.len() < wanted {
            if context.stop.is_raised() {
                // The rest of it would be taken for the next one.
                let _ = self.child.kill();
                return Err(told_stopped(engine, "its result was given up"));
            }
            context.check()?;
            match self.results.recv_timeout(LOOK) {
                Ok(piece) => stream.extend_from_slice(&piece),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let message =
                        format!("{engine} sent a result that ends in the middle: {} of {bytes} bytes", stream.len());
                    return Err(Diagnostic::new(Kind::System, message));
                }
            }
        }
        self.rest = stream.split_off(wanted);
        Ok(stream)
    }

    /// Asks it to stop what runs; the error says whether it did.
    fn stopped(&mut self, engine: &str) -> Box<Diagnostic> {
        let number = self.runs;
        let asked = self.send(&json!({ "stop": number })).is_ok();
        let until = Instant::now() + PATIENCE + Duration::from_millis(200);
        while asked && Instant::now() < until {
            match self.told.recv_timeout(LOOK) {
                Ok(Told::Event(event)) if event.run == number => match event.event.as_str() {
                    "stopped" => return told_stopped(engine, &event.there),
                    "error" => return told_stopped(engine, "it had ended there with an error"),
                    "result" => {
                        let _ = self.child.kill();
                        return told_stopped(engine, "it had just ended there");
                    }
                    _ => {}
                },
                Ok(Told::Event(_)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Told::Ended) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // What is left of it must not run on.
        let _ = self.child.kill();
        told_stopped(engine, "its driver did not answer and was ended")
    }

    /// Why a driver has ended.
    fn ended(&mut self, driver: &Driver, python: &str) -> Box<Diagnostic> {
        let engine = driver.engine;
        let status = self.child.wait().ok();
        let code = status.and_then(|status| status.code());
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let last = tail.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty()).unwrap_or_default();
        let event = Event { status: code.unwrap_or(-1), message: last.to_string(), ..Event::default() };
        match code {
            Some(UNSUPPORTED | MISSING | NO_CONNECTION | FAILED) => failure(driver, python, &event, &json!({})),
            _ => {
                let status = status.map_or("an unknown status".to_string(), |status| status.to_string());
                let said = if last.is_empty() { String::new() } else { format!("; its last line: {last}") };
                let message = format!("the driver of {engine} ended unexpectedly ({status}){said}");
                Diagnostic::new(Kind::System, hidden_tokens(&message))
            }
        }
    }
}

fn told_stopped(engine: &str, there: &str) -> Box<Diagnostic> {
    Diagnostic::new(Kind::Stopped, format!("stopped; {engine}: {there}"))
}

/// What a driver tells of a failure, as an error.
fn failure(driver: &Driver, python: &str, event: &Event, request: &serde_json::Value) -> Box<Diagnostic> {
    let engine = driver.engine;
    let message = hidden_tokens(&event.message);
    match event.status {
        MISSING => {
            let module = if event.module.is_empty() { engine } else { &event.module };
            let message = format!("{engine} needs the Python module `{module}`, which `{python}` does not have");
            let hint = format!("!{python} -m pip install {}; %set python PATH chooses another Python", driver.install);
            Diagnostic::new(Kind::System, message).hint(hint)
        }
        NO_CONNECTION => {
            let place = request["address"].as_str().map(|address| format!(" at {}", without_token(address)));
            let place = place.unwrap_or_default();
            Diagnostic::new(Kind::System, format!("{engine} cannot be reached{place}: {message}"))
        }
        UNSUPPORTED => Diagnostic::new(Kind::Objection, format!("the engine `{engine}` cannot run this: {message}")),
        _ => match event.kind.as_str() {
            "overflow" => Diagnostic::new(Kind::Overflow, message),
            "zero_division" => Diagnostic::new(Kind::ZeroDivision, message),
            "domain" => Diagnostic::new(Kind::Domain, message),
            "shape" => Diagnostic::new(Kind::Shape, message),
            "file" => Diagnostic::new(Kind::File, message),
            "objection" => {
                Diagnostic::new(Kind::Objection, format!("the engine `{engine}` cannot run this: {message}"))
            }
            _ => Diagnostic::new(Kind::System, format!("{engine} failed: {message}")),
        },
    }
}
