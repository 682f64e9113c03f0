//! Rust cells: texts that are compiled and loaded into a child process, and run there. The child survives what a cell
//! does; the shell waits for it and can stop it. Nothing starts before the first use, or before [`Rust::warm`].

mod compiler;
mod desk;
mod frame;
mod heap;
mod names;
mod printer;
mod runner;
mod text;
mod toolchain;
mod wire;
mod writing;

use std::cell::OnceCell;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::data::{Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::job::{Job, Say, Stop};

use compiler::{Known, Request};
use desk::{Desk, Event, Refusal, Turn};
use frame::{Ending, Failure, Sample};

pub use text::Text;
pub use wire::{Shape, put as put_value, rows_bytes, rust_type, table_bytes};

use writing::{cell_text, parts, subjects_text};

/// This program, as a process may start it again.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// How often the person's stop flag is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The compiler of Rust cells and the child that runs them.
pub struct Rust {
    /// The program that is started as the runner: this one.
    program: PathBuf,
    say: Say,
    works: OnceCell<Works>,
    /// Cells that stayed so far: what was compiled before the last of them must be compiled again.
    cells: std::cell::Cell<u64>,
}

struct Works {
    desk: Arc<Desk>,
    requests: Sender<Request>,
    known: Arc<Mutex<Known>>,
}

/// What a cell cost: compiling and running apart.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    pub compile: Duration,
    /// Seconds of the run, wall, user and system.
    pub wall: f64,
    pub user: f64,
    pub system: f64,
    pub allocations: u64,
    pub allocated: u64,
    pub peak: u64,
}

/// A value or a table that came out of a cell.
#[derive(Debug, Clone)]
pub enum Given {
    Nothing,
    Value(Value, Type),
    Table(Table),
    /// What has no form as a table, as the text of its `Debug`.
    Text(String),
}

/// Compiled subjects, which can be run in a fork of the variables any number of times.
#[derive(Debug, Clone)]
pub struct Library {
    library: String,
    function: String,
    pub shapes: Vec<Shape>,
    /// How many inputs there are, and where those of each subject begin.
    pub inputs: usize,
    pub first_inputs: Vec<usize>,
    pub compile: Duration,
    text: Text,
    /// [`Rust::cells`] when it was compiled.
    cells: u64,
}

/// A Rust expression of a cell, and what of the session goes into it.
#[derive(Debug, Clone)]
pub struct Subject {
    pub body: Text,
    pub inputs: Vec<Input>,
    /// Where it is a function: what it takes and gives.
    pub function: Option<(Vec<(String, Type)>, Type)>,
}

/// A name of the session that goes into Rust.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub name: String,
    pub form: InputForm,
}

#[derive(Debug, Clone, PartialEq)]
pub enum InputForm {
    Value(Type),
    Table(Schema),
    /// Rows as tuples of these types in Rust.
    Tuples(Vec<String>),
}

impl Rust {
    /// `program` is started as the runner; what cells print on standard error goes to `say`.
    pub fn new(program: &Path, say: Say) -> Rust {
        Rust { program: program.to_path_buf(), say, works: OnceCell::new(), cells: std::cell::Cell::new(0) }
    }

    /// Starts the compiler in the background, so that the first cell need not wait for it.
    pub fn warm(&self) {
        self.works();
    }

    /// Variables with their types, and items; empty before the first cell.
    pub fn known(&self) -> (Vec<(String, String)>, Vec<String>) {
        self.works.get().map_or_else(Default::default, |works| {
            let known = works.known.lock().unwrap_or_else(PoisonError::into_inner);
            let variables = known.variables.iter().map(|(name, ty)| (name.clone(), names::short(ty))).collect();
            (variables, known.items.clone())
        })
    }

    /// Variables with their whole types.
    fn variables(&self) -> Vec<(String, String)> {
        self.works.get().map_or_else(Vec::new, |works| {
            let known = works.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.variables.iter().map(|(name, ty)| (name.clone(), ty.clone())).collect()
        })
    }

    /// Writes down what a cell kept, and what it took away.
    fn keep(&self, kept: &[String], lost: &[String]) {
        let mut known = self.works().known.lock().unwrap_or_else(PoisonError::into_inner);
        known.variables.retain(|name, _| !lost.contains(name));
        let told = kept.iter().filter_map(|told| told.split_once(' '));
        known.variables.extend(told.map(|(name, ty)| (name.to_string(), ty.to_string())));
    }

    fn works(&self) -> &Works {
        self.works.get_or_init(|| {
            let (requests, receiver) = channel();
            let desk = Arc::new(Desk::new(self.say.clone()));
            let known = Arc::new(Mutex::new(Known::default()));
            let (theirs, program, noted) = (desk.clone(), self.program.clone(), known.clone());
            // rust-analyzer descends deep.
            let thread = std::thread::Builder::new().name("rust compiler".to_string()).stack_size(32 << 20);
            let started = thread.spawn(move || compiler::serve(&theirs, &program, &receiver, &noted));
            drop(started);
            Works { desk, requests, known }
        })
    }

    /// Runs a cell whose items and variables stay; where it fails, nothing of it does.
    pub fn cell(&self, body: &str, span: Span, job: &Job) -> Fallible<(Given, Cost)> {
        let parts = parts(body, span);
        let variables = self.variables();
        let mut lost: Vec<String> = Vec::new();
        let mut turn = loop {
            let text = cell_text(&parts, &variables, &lost);
            match self.compile(&text, true, job) {
                Ok(turn) => break turn,
                // A variable that was moved, or that borrows from another, does not stay.
                Err(Refusal { keeps: Some(name), .. }) if !lost.contains(&name) => lost.push(name),
                Err(refusal) => return Err(refusal.error),
            }
        };
        let mut cost = Cost { compile: turn.compile, ..Cost::default() };
        let mut given = Given::Nothing;
        loop {
            match turn.next()? {
                Event::Worker(stream) => {
                    let mut worker =
                        Worker { turn: turn.again(), stream, shapes: Vec::new(), paths: Vec::new(), over: false };
                    worker.shapes = vec![worker.shape(0)?];
                    given = worker.call(0)?.0;
                    worker.tell(frame::END, b"")?;
                    worker.over = true;
                }
                Event::Done(ending) => {
                    turn.ended(&ending, &mut cost)?;
                    turn.compiled()?;
                    self.cells.set(self.cells.get() + 1);
                    self.keep(&ending.kept, &lost);
                    return Ok((given, cost));
                }
                Event::Compiled(result) => turn.result = Some(result),
                Event::Loaded(..) | Event::Lost => {}
            }
        }
    }

    /// Compiles expressions into one library and finds out what each gives. None of them is called.
    pub fn library(&self, subjects: &[Subject], job: &Job) -> Fallible<Library> {
        let text = subjects_text(subjects, &self.variables());
        let mut library = self.library_of(text, subjects.len(), job)?;
        for subject in subjects {
            library.first_inputs.push(library.inputs);
            library.inputs += subject.inputs.len();
        }
        Ok(library)
    }

    /// Whether nothing that a library may use has changed since it was compiled.
    pub fn is_fresh(&self, library: &Library) -> bool {
        library.cells == self.cells.get()
    }

    fn library_of(&self, text: Text, count: usize, job: &Job) -> Fallible<Library> {
        let mut turn = self.compile(&text, false, job).map_err(|refusal| refusal.error)?;
        let (library, function, compile) = (turn.library.clone(), turn.function.clone(), turn.compile);
        let mut shapes = Vec::new();
        loop {
            match turn.next()? {
                Event::Worker(stream) => {
                    let mut worker =
                        Worker { turn: turn.again(), stream, shapes: Vec::new(), paths: Vec::new(), over: false };
                    for subject in 0..count {
                        shapes.push(worker.shape(subject)?);
                    }
                    worker.tell(frame::END, b"")?;
                    worker.over = true;
                }
                Event::Done(ending) => {
                    turn.ended(&ending, &mut Cost::default())?;
                    turn.compiled()?;
                    let (inputs, first_inputs, cells) = (0, Vec::new(), self.cells.get());
                    return Ok(Library { library, function, shapes, inputs, first_inputs, compile, text, cells });
                }
                Event::Compiled(result) => turn.result = Some(result),
                Event::Loaded(..) | Event::Lost => {}
            }
        }
    }

    /// A fork of the variables that runs the subjects of a library on these inputs, until it is dropped.
    pub fn open(&self, library: &mut Library, inputs: &[Vec<u8>], job: &Job) -> Fallible<Worker> {
        if !self.is_fresh(library) {
            let new = self.library_of(library.text.clone(), library.shapes.len(), job)?;
            if new.shapes != library.shapes {
                let message = "what this Rust expression gives has changed since it was entered";
                return Err(Diagnostic::new(Kind::Type, message).hint("enter it again"));
            }
            *library = Library { inputs: library.inputs, first_inputs: library.first_inputs.clone(), ..new };
        }
        let desk = self.works().desk.clone();
        let (turn, receiver) = desk.turn(false, false);
        let mut paths = Vec::new();
        let folder = desk.folder().ok_or_else(gone)?;
        for (number, bytes) in inputs.iter().enumerate() {
            let path = folder.join(format!("input-{}-{number}", turn.number));
            std::fs::write(&path, bytes)
                .map_err(|error| Diagnostic::new(Kind::System, format!("{}: {error}", path.display())))?;
            paths.push(path.display().to_string());
        }
        desk.run(&turn, &library.library, &library.function, paths.clone());
        let mut turn = Waiting::new(turn, receiver, desk, library.text.clone(), job);
        turn.running = true;
        // It is told with the first run alone.
        turn.compile = std::mem::take(&mut library.compile);
        turn.library = library.library.clone();
        match turn.next()? {
            Event::Worker(stream) => Ok(Worker { turn, stream, shapes: library.shapes.clone(), paths, over: false }),
            Event::Done(ending) => {
                turn.ended(&ending, &mut Cost::default())?;
                Err(gone())
            }
            _ => Err(gone()),
        }
    }

    /// Adds a package that cells may use: its name and version, or a table as in Cargo.toml.
    pub fn depend(&self, name: &str, spec: &str, job: &Job) -> Fallible<()> {
        let (name, spec) = (name.to_string(), spec.to_string());
        self.ask(|done| Request::Depend { name, spec, done }, job)?
    }

    /// Forgets all items and variables.
    pub fn reset(&self, job: &Job) -> Fallible<()> {
        if self.works.get().is_none() {
            return Ok(());
        }
        self.cells.set(self.cells.get() + 1);
        self.ask(|done| Request::Reset { done }, job)?
    }

    /// What may stand at a byte of a Rust text: names with their kinds. Empty where the compiler is busy for longer than
    /// `patience`.
    pub fn complete(&self, text: &str, at: usize, patience: Duration) -> Vec<(String, &'static str)> {
        let Some(works) = self.works.get() else { return Vec::new() };
        let (done, found) = channel();
        let request = Request::Complete { text: text.to_string(), at, done };
        if works.requests.send(request).is_err() {
            return Vec::new();
        }
        found.recv_timeout(patience).unwrap_or_default()
    }

    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Request, job: &Job) -> Fallible<T> {
        let (done, answer) = channel();
        self.works().requests.send(request(done)).map_err(|_| gone())?;
        loop {
            match answer.recv_timeout(LOOK) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => job.stop.check()?,
            }
        }
    }

    /// Has a text compiled; it was loaded when this returns, and runs.
    fn compile(&self, text: &Text, commits: bool, job: &Job) -> Result<Waiting, Refusal> {
        let works = self.works();
        let (turn, receiver) = works.desk.turn(commits, false);
        let request = Request::Compile { text: text.clone(), turn: turn.clone() };
        works.requests.send(request).map_err(|_| gone())?;
        let start = Instant::now();
        let mut waiting = Waiting::new(turn, receiver, works.desk.clone(), text.clone(), job);
        job.progress.tell("compiling Rust".to_string());
        loop {
            match waiting.next()? {
                Event::Loaded(library, function) => {
                    job.progress.tell(String::new());
                    waiting.compile = start.elapsed();
                    waiting.running = true;
                    (waiting.library, waiting.function) = (library, function);
                    return Ok(waiting);
                }
                Event::Compiled(result) => {
                    // Ctrl-C in a terminal ends the compiler too.
                    waiting.look()?;
                    result?;
                    return Err(Diagnostic::new(Kind::System, "the compiler made nothing of this").into());
                }
                Event::Worker(_) | Event::Done(_) | Event::Lost => {}
            }
        }
    }
}

fn gone() -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, "the process that runs Rust is gone").hint("run the cell again: it starts anew")
}

/// Waits for what happens in a turn, and ends it where the person stops it.
struct Waiting {
    turn: Turn,
    events: Arc<Mutex<Receiver<Event>>>,
    desk: Arc<Desk>,
    stop: Stop,
    text: Text,
    library: String,
    function: String,
    compile: Duration,
    running: bool,
    /// Whether the turn ends with it.
    owns: bool,
    /// What the compiler said, where it was quicker than the news of the run's end.
    result: Option<Result<(), Refusal>>,
}

impl Waiting {
    fn new(turn: Turn, events: Receiver<Event>, desk: Arc<Desk>, text: Text, job: &Job) -> Waiting {
        Waiting {
            turn,
            events: Arc::new(Mutex::new(events)),
            desk,
            stop: job.stop.clone(),
            text,
            library: String::new(),
            function: String::new(),
            compile: Duration::ZERO,
            running: false,
            owns: true,
            result: None,
        }
    }

    /// The same turn, for who serves in it.
    fn again(&self) -> Waiting {
        Waiting {
            turn: self.turn.clone(),
            events: self.events.clone(),
            desk: self.desk.clone(),
            stop: self.stop.clone(),
            text: self.text.clone(),
            library: self.library.clone(),
            function: self.function.clone(),
            compile: self.compile,
            running: self.running,
            owns: false,
            result: None,
        }
    }

    fn receive(&self, patience: Duration) -> Result<Event, RecvTimeoutError> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(patience)
    }

    fn next(&mut self) -> Fallible<Event> {
        loop {
            match self.receive(LOOK) {
                Ok(Event::Lost) if self.running => return Err(killed()),
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => self.look()?,
            }
        }
    }

    /// Ends the turn where the person has stopped it.
    fn look(&mut self) -> Fallible<()> {
        if !self.stop.is_raised() {
            return Ok(());
        }
        self.turn.cancel();
        if self.running {
            self.desk.kill(&self.turn);
            self.until_done(Duration::from_millis(100));
        }
        self.stop.check()
    }

    /// How the run ended, if it does soon.
    fn until_done(&mut self, patience: Duration) -> Option<Ending> {
        let start = Instant::now();
        while let Some(left) = patience.checked_sub(start.elapsed()) {
            match self.receive(left) {
                Ok(Event::Done(ending)) => return Some(ending),
                Ok(Event::Lost) | Err(_) => return None,
                Ok(_) => {}
            }
        }
        None
    }

    /// Waits until the compiler is through with this turn.
    fn compiled(&mut self) -> Fallible<()> {
        let mut result = self.result.take();
        while result.is_none() {
            if let Event::Compiled(told) = self.next()? {
                result = Some(told);
            }
        }
        result.map_or(Ok(()), |result| result.map_err(|refusal| refusal.error))
    }

    /// What a run cost, or why it failed.
    fn ended(&mut self, ending: &Ending, cost: &mut Cost) -> Fallible<()> {
        self.running = false;
        self.desk.printer.wait();
        match &ending.failure {
            None => {
                *cost = Cost::of(ending, cost.compile);
                Ok(())
            }
            Some(failure) => Err(self.failed(failure)),
        }
    }

    fn failed(&self, failure: &Failure) -> Box<Diagnostic> {
        let mut diagnostic = Diagnostic::new(Kind::Rust, failure.message.clone());
        diagnostic.span = failure.line.and_then(|line| self.place(line));
        diagnostic
    }

    /// The line of a cell that a line of the compiled text is.
    fn place(&self, line: u32) -> Option<Span> {
        let root = self.library.split_once("/target/")?.0;
        let source = std::fs::read_to_string(Path::new(root).join("src/lib.rs")).ok()?;
        self.text.line_like(source.lines().nth(line.checked_sub(1)? as usize)?)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.owns {
            self.desk.leave(&self.turn);
        }
    }
}

fn killed() -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, "the process that held the Rust variables was killed")
        .hint("variables are gone; functions and types are still there")
}

impl Cost {
    /// The cost of the run alone.
    pub fn run(&self) -> crate::measure::Cost {
        crate::measure::Cost {
            wall: Duration::from_secs_f64(self.wall),
            user: Duration::from_secs_f64(self.user),
            system: Duration::from_secs_f64(self.system),
            peak: self.peak,
            allocations: self.allocations,
            allocated: self.allocated,
        }
    }

    fn of(ending: &Ending, compile: Duration) -> Cost {
        Cost {
            compile,
            wall: ending.wall,
            user: ending.user,
            system: ending.system,
            allocations: ending.allocations,
            allocated: ending.allocated,
            peak: ending.peak,
        }
    }
}

/// A process that answers for the subjects of a library.
pub struct Worker {
    turn: Waiting,
    stream: UnixStream,
    shapes: Vec<Shape>,
    /// The files of its inputs.
    paths: Vec<String>,
    over: bool,
}

impl Worker {
    fn shape(&mut self, subject: usize) -> Fallible<Shape> {
        let bytes = self.ask(frame::SHAPE, &(subject as u32).to_le_bytes())?;
        Shape::read(&String::from_utf8_lossy(&bytes)).ok_or_else(gone)
    }

    /// Runs a subject once.
    ///
    /// # Errors
    /// What went wrong in it; where its process ended, nothing more can be asked.
    pub fn call(&mut self, subject: usize) -> Fallible<(Given, Cost)> {
        self.tell(frame::CALL, &(subject as u32).to_le_bytes())?;
        let cost = self.answer()?.1;
        let ending: Ending = serde_json::from_slice(&cost).map_err(|_| gone())?;
        self.turn.desk.printer.expect();
        let (kind, bytes) = self.answer()?;
        self.turn.desk.printer.wait();
        if kind == frame::WRONG {
            return Err(Diagnostic::new(Kind::Rust, String::from_utf8_lossy(&bytes).into_owned()));
        }
        let compile = std::mem::take(&mut self.turn.compile);
        let mut reader = wire::Reader(&bytes);
        let given = match &self.shapes[subject] {
            Shape::Nothing => Some(Given::Nothing),
            Shape::Value(ty) => reader.value(ty).map(|value| Given::Value(value, ty.clone())),
            Shape::Rows(schema) => reader.table(schema).map(Given::Table),
            Shape::Text => reader.value(&Type::Text).map(|value| match value {
                Value::Text(text) => Given::Text(text.to_string()),
                _ => Given::Nothing,
            }),
            Shape::Opaque(name) => Some(Given::Text(format!("a {name}, which has no Debug"))),
        };
        Ok((given.ok_or_else(gone)?, Cost::of(&ending, compile)))
    }

    /// Calls a function for so many rows of arguments.
    pub fn apply(&mut self, subject: usize, arguments: &[Vec<Value>], rows: usize) -> Fallible<Vec<Value>> {
        let Shape::Value(ty) = self.shapes[subject].clone() else { return Err(gone()) };
        let mut bytes = (subject as u32).to_le_bytes().to_vec();
        bytes.extend((rows as u64).to_le_bytes());
        for row in 0..rows {
            arguments.iter().for_each(|argument| wire::put(&argument[row], &mut bytes));
        }
        let bytes = self.ask(frame::APPLY, &bytes)?;
        let mut reader = wire::Reader(&bytes);
        (0..rows).map(|_| reader.value(&ty)).collect::<Option<Vec<Value>>>().ok_or_else(gone)
    }

    /// Whether nothing has ended it.
    pub fn is_alive(&self) -> bool {
        !self.over
    }

    /// The number of a subject that does nothing, behind all others.
    pub fn nothing(&self) -> usize {
        self.shapes.len()
    }

    /// Nanoseconds that so many calls take.
    pub fn sample(&mut self, subject: usize, calls: u64, cpu: bool) -> Fallible<u64> {
        let sample = Sample { subject: subject as u32, calls, cpu };
        let bytes = self.ask(frame::SAMPLE, &serde_json::to_vec(&sample).map_err(|_| gone())?)?;
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| gone())
    }

    fn ask(&mut self, kind: u8, bytes: &[u8]) -> Fallible<Vec<u8>> {
        self.tell(kind, bytes)?;
        self.answer().map(|(_, bytes)| bytes)
    }

    fn tell(&mut self, kind: u8, bytes: &[u8]) -> Fallible<()> {
        frame::send(&mut self.stream, kind, bytes).map_err(|_| self.died())
    }

    fn answer(&mut self) -> Fallible<(u8, Vec<u8>)> {
        while !readable(&self.stream) {
            if let Err(stopped) = self.turn.look() {
                self.over = true;
                return Err(stopped);
            }
        }
        frame::receive(&mut self.stream).map_err(|_| self.died())
    }

    /// Why the process ended.
    fn died(&mut self) -> Box<Diagnostic> {
        self.over = true;
        match self.turn.until_done(Duration::from_secs(2)) {
            Some(ending) => self.turn.ended(&ending, &mut Cost::default()).err().unwrap_or_else(gone),
            None => killed(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.over && frame::send(&mut self.stream, frame::END, b"").is_ok() {
            self.turn.until_done(Duration::from_millis(200));
        }
        for path in &self.paths {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Whether something can be read, waiting a little for it.
fn readable(stream: &UnixStream) -> bool {
    use std::os::fd::AsRawFd;
    let mut polled = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the structure is whole.
    unsafe { libc::poll(&raw mut polled, 1, LOOK.as_millis() as i32) > 0 }
}

/// Where rust-analyzer looks for the sources of the standard library. The folder is there only where the toolchain has
/// none: else rust-analyzer would install them without a word.
fn no_sources() -> PathBuf {
    std::env::temp_dir().join(format!("{NO_SOURCES}{}", std::process::id()))
}

/// Whether a process that this program starts would become a runner.
static PREPARED: AtomicBool = AtomicBool::new(false);

const NO_SOURCES: &str = "timelab-no-sources-";
const SOURCES: &str = "RUST_SRC_PATH";

/// Prepares the process for Rust cells: becomes the runner, where it was started as one. Before anything else happens.
pub fn prepare() {
    runner::hook();
    PREPARED.store(true, Ordering::Relaxed);
    if std::env::var_os(SOURCES).is_none() {
        // SAFETY: the process has one thread yet.
        unsafe { std::env::set_var(SOURCES, no_sources()) };
    }
}

/// Gives a command of the person's the environment that the person gave.
pub fn without_ours(command: &mut std::process::Command) -> &mut std::process::Command {
    if std::env::var_os(SOURCES).is_some_and(|path| path == *no_sources().as_os_str()) {
        command.env_remove(SOURCES);
    }
    command
}
