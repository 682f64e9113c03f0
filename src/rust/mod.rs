//! Rust cells: texts that are compiled and loaded into a child process, and run there. The child survives what a cell
//! does; the shell waits for it and can stop it. Nothing starts before the first use, or before [`Rust::warm`].

mod broker;
mod build_folder;
mod compiler;
mod cost;
mod counted;
mod frame;
mod heap;
mod names;
mod pending;
mod prepared;
mod printer;
mod runner;
mod shared_channel;
mod text;
mod toolchain;
mod wire;
mod worker;
mod writing;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::console::Console;
use crate::data::{Schema, Type};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::escape::file_name;
use crate::measure::leave_out;
use crate::plan::ExternalPlace;
use crate::run_context::RunContext;

use broker::{Broker, CompileError, Event};
use compiler::{FOR_SAMPLES, Question, Request};
use pending::{LOOK, PendingRun, gone};
use writing::{cell_text, parts, subjects_text, unparsed};

pub use cost::Cost;
pub use counted::{Counted, Counts, Uncounted, block_program};
pub use prepared::without_ours;
pub use text::Text;
pub use toolchain::library_folder;
pub use wire::{ResultKind, put as put_value, rows_bytes, rust_type, table_bytes};
use worker::Files;
pub use worker::{BlockValue, Worker};
pub use writing::{block, fetches_nothing, function, stage_code};

/// Prepares the process for Rust cells: becomes the runner, where it was started as one. Before anything else happens.
pub fn prepare() {
    runner::hook();
    prepared::set_up();
}

/// The compiler of Rust cells and the child that runs them. The child removes its folder when it ends.
pub struct Rust {
    /// The program that is started as the runner: this one, but in tests.
    program: PathBuf,
    console: Console,
    works: OnceCell<Works>,
    /// Cells that stayed so far: what was compiled before the last of them must be compiled again.
    cells: std::cell::Cell<u64>,
    built: std::cell::Cell<Built>,
}

/// How long it took, all together, until what was to be run could be run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Built {
    /// Until the compiler was there, and until processes were that run what it compiled.
    pub start: Duration,
    pub compile: Duration,
}

impl Built {
    pub fn since(&self, earlier: &Built) -> Built {
        Built { start: self.start - earlier.start, compile: self.compile - earlier.compile }
    }
}

struct Works {
    broker: Arc<Broker>,
    requests: Sender<Request>,
}

/// Compiled subjects, which can be run in a fork of the variables any number of times.
#[derive(Debug, Clone)]
pub struct Library {
    library: String,
    function: String,
    pub shapes: Vec<ResultKind>,
    /// Which of the library's inputs those of each subject are.
    pub places: Vec<Vec<usize>>,
    /// How often each subject is there.
    pub copies: usize,
    pub start: Duration,
    pub compile: Duration,
    text: Text,
    /// [`Rust::age`] when it was compiled.
    age: u64,
}

impl Library {
    /// Where a function is of which it was compiled.
    pub fn place(&self, name: &str) -> ExternalPlace {
        ExternalPlace { name: name.to_string(), library: self.library.clone().into(), symbol: self.function.clone() }
    }
}

/// Opens forks of the variables, each of which runs the subjects of a library.
pub struct Opener {
    broker: Arc<Broker>,
    library: String,
    function: String,
    text: Text,
    shapes: Vec<ResultKind>,
}

impl Opener {
    pub fn open(&self, inputs: &[Vec<u8>], context: &RunContext) -> Fallible<Worker> {
        self.broker.limit(context);
        let (ticket, receiver) = self.broker.ticket(false, false);
        let mut ticket = PendingRun::new(ticket, receiver, self.broker.clone(), self.text.clone(), context);
        let mut files = Files::default();
        let folder = self.broker.folder().ok_or_else(gone)?;
        for (number, bytes) in inputs.iter().enumerate() {
            let path = folder.join(format!("input-{}-{number}", ticket.ticket.number));
            files.0.push(path.display().to_string());
            std::fs::write(&path, bytes)
                .map_err(|error| Diagnostic::new(Kind::System, format!("{}: {error}", file_name(&path))))?;
        }
        self.broker.run(&ticket.ticket, &self.library, &self.function, files.0.clone());
        ticket.running = true;
        ticket.library = self.library.clone();
        match ticket.next()? {
            Event::Worker(stream) => Ok(Worker::new(ticket, stream, self.shapes.clone(), files)),
            Event::Done(ending) => {
                ticket.ended(&ending, &mut Cost::default())?;
                Err(gone())
            }
            _ => Err(gone()),
        }
    }
}

/// A Rust expression of a cell, and what of the session goes into it.
#[derive(Debug, Clone)]
pub struct BlockSource {
    pub body: Text,
    pub inputs: Vec<Input>,
    pub function: Option<Signature>,
}

/// Of a function in Rust: its name, what it takes and what it gives.
#[derive(Debug, Clone)]
pub struct Signature {
    pub name: String,
    pub takes: Vec<(String, Type)>,
    pub gives: Type,
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
    /// The program whose processes run what is compiled.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// `program` is started as the runner; what cells print goes to the console.
    pub fn new(program: &Path, console: Console) -> Rust {
        Rust {
            program: program.to_path_buf(),
            console,
            works: OnceCell::new(),
            cells: std::cell::Cell::new(0),
            built: std::cell::Cell::default(),
        }
    }

    /// Starts the compiler in the background, so that the first cell need not wait for it.
    pub fn warm(&self) {
        self.works();
    }

    /// Variables with their types, and items; empty before the first cell.
    pub fn known(&self) -> (Vec<(String, String)>, Vec<String>) {
        self.works.get().map_or_else(Default::default, |works| {
            let known = works.broker.known();
            let variables = known.variables.iter().map(|(name, ty)| (name.clone(), names::short(ty))).collect();
            (variables, known.items.clone())
        })
    }

    /// Packages that cells may use, each with how it was asked for.
    pub fn packages(&self) -> Vec<(String, String)> {
        self.works.get().map_or_else(Vec::new, |works| works.broker.known().packages.clone().into_iter().collect())
    }

    /// Variables with their whole types, as these can be written.
    fn variables(&self) -> Vec<(String, String)> {
        self.works.get().map_or_else(Vec::new, |works| {
            let known = works.broker.known();
            let spelled = |ty: &String| match known.spelled.get(ty) {
                Some(place) => names::spellings(ty)[*place].clone(),
                None => ty.clone(),
            };
            known.variables.iter().map(|(name, ty)| (name.clone(), spelled(ty))).collect()
        })
    }

    /// Has the type of a variable written in another way from now on.
    ///
    /// # Errors
    /// None is left.
    fn respell(&self, name: &str, text: &Text) -> Fallible<()> {
        let mut known = self.works().broker.known();
        let ty = known.variables.get(name).cloned().unwrap_or_default();
        let next = known.spelled.get(&ty).map_or(1, |place| place + 1);
        if next < names::spellings(&ty).len() {
            known.spelled.insert(ty, next);
            return Ok(());
        }
        known.spelled.remove(&ty);
        let message = format!("`{name}` cannot be used in another cell: its type {} is private", names::short(&ty));
        let error = Diagnostic::new(Kind::Name, message);
        let place = text.mention(name);
        Err(Box::new(Diagnostic { span: place, ..*error }).hint("create and use it in one cell, or in a function"))
    }

    /// Writes down what a cell kept of what it defined, and what it took away.
    fn keep(&self, kept: &[String], defined: &[String], lost: &[String]) {
        let mut known = self.works().broker.known();
        let known = &mut *known;
        known.variables.retain(|name, _| !lost.contains(name));
        let unnamed = "was not kept: the name of its type cannot be written, as with closures";
        let moved = "was not kept: a cell moved it, or it borrowed from another variable";
        known.gone.extend(defined.iter().map(|name| (name.clone(), unnamed)));
        known.gone.extend(lost.iter().map(|name| (name.clone(), moved)));
        for (name, ty) in kept.iter().filter_map(|told| told.split_once(' ')) {
            known.gone.remove(name);
            known.variables.insert(name.to_string(), ty.to_string());
        }
    }

    fn works(&self) -> &Works {
        self.works.get_or_init(|| {
            let (requests, receiver) = channel();
            let broker = Arc::new(Broker::new(&self.console));
            let (theirs, program) = (broker.clone(), self.program.clone());
            // rust-analyzer descends deep.
            let thread = std::thread::Builder::new().name("rust compiler".to_string()).stack_size(32 << 20);
            let started = thread.spawn(move || compiler::serve(&theirs, &program, &receiver));
            drop(started);
            Works { broker, requests }
        })
    }

    /// How long compiling and starting took so far. No meter and no stopwatch counts it.
    pub fn built(&self) -> Built {
        self.built.get()
    }

    fn add_built(&self, start: Duration, compile: Duration) {
        let built = self.built.get();
        self.built.set(Built { start: built.start + start, compile: built.compile + compile });
    }

    /// Runs a cell whose items and variables stay; where it fails, nothing of it does.
    pub fn cell(&self, body: &str, span: Span, context: &RunContext) -> Fallible<(BlockValue, Cost)> {
        fetches_nothing(body, span)?;
        let parts = parts(body, span);
        let mut lost: Vec<String> = Vec::new();
        let mut ticket = loop {
            let text = || cell_text(&parts, &self.variables(), &lost);
            match self.compile(&text, true, context) {
                Ok(ticket) => break ticket,
                Err(CompileError { takes: Some(name), .. }) => self.respell(&name, &text())?,
                // A variable that was moved, or that borrows from another, does not stay.
                Err(CompileError { keeps: Some(name), .. }) if !lost.contains(&name) => lost.push(name),
                Err(refusal) => return Err(place_error(refusal.error, &Text::default().theirs(body, span))),
            }
        };
        let mut cost = Cost { start: ticket.start, compile: ticket.compile, ..Cost::default() };
        let mut given = BlockValue::Nothing;
        loop {
            match ticket.next()? {
                Event::Worker(stream) => {
                    let mut worker = Worker::new(ticket.again(), stream, Vec::new(), Files::default());
                    worker.shapes = vec![worker.shape(0)?];
                    given = match worker.call(0) {
                        Ok((given, _)) => given,
                        // It would go on to its end, and what it did would stay.
                        Err(error) => {
                            worker.abandon();
                            return Err(error);
                        }
                    };
                    worker.end()?;
                }
                Event::Done(ending) => {
                    ticket.ended(&ending, &mut cost)?;
                    ticket.compiled()?;
                    self.cells.set(self.cells.get() + 1);
                    self.keep(&ending.kept, parts.defined(), &lost);
                    return Ok((given, cost));
                }
                Event::Compiled(result) => ticket.result = Some(result),
                Event::Begins(_) | Event::Loaded(..) | Event::Lost => {}
            }
        }
    }

    /// Compiles expressions into one library, with so many copies of each, and finds out what each gives. None of them
    /// is called. `places` says which of the library's inputs those of each expression are.
    pub fn library(
        &self,
        subjects: &[BlockSource],
        places: Vec<Vec<usize>>,
        copies: usize,
        context: &RunContext,
    ) -> Fallible<Library> {
        let bodies = || subjects.iter().fold(Text::default(), |all, subject| all.all(&subject.body));
        let mut copies = copies;
        loop {
            let text = || {
                let variables = self.variables();
                let lending: Vec<BlockSource> = subjects.iter().map(|subject| subject.lending(&variables)).collect();
                subjects_text(&lending, &places, copies, &variables)
            };
            match self.library_of(&text, subjects.len(), copies, context) {
                Ok(library) => return Ok(Library { places, ..library }),
                Err(CompileError { takes: Some(name), .. }) => self.respell(&name, &bodies())?,
                // What stands once in a cell may not be there twice: a variable is changed, a name is exported.
                Err(refusal) if copies > 1 && refusal.error.kind != Kind::Stopped => copies = 1,
                Err(refusal) => {
                    return Err(subjects.iter().fold(refusal.error, |error, one| place_error(error, &one.body)));
                }
            }
        }
    }

    /// The same of one expression, compiled so that samples of it have stacks and lines.
    pub fn library_for_samples(&self, subject: &BlockSource, context: &RunContext) -> Fallible<Library> {
        let places = vec![(0..subject.inputs.len()).collect()];
        loop {
            let text = || {
                let variables = self.variables();
                let text = subjects_text(&[subject.lending(&variables)], &places, 1, &variables);
                Text::default().ours(FOR_SAMPLES).all(&text)
            };
            match self.library_of(&text, 1, 1, context) {
                Ok(library) => return Ok(Library { places, ..library }),
                Err(CompileError { takes: Some(name), .. }) => self.respell(&name, &subject.body)?,
                Err(refusal) => return Err(place_error(refusal.error, &subject.body)),
            }
        }
    }

    /// Grows with each cell that stays and each runner that is lost.
    fn age(&self) -> u64 {
        self.cells.get() + self.works.get().map_or(0, |works| works.broker.losses())
    }

    /// Whether nothing that a library may use has changed since it was compiled.
    pub fn is_fresh(&self, library: &Library) -> bool {
        library.age == self.age()
    }

    fn library_of(
        &self,
        text: &dyn Fn() -> Text,
        count: usize,
        copies: usize,
        context: &RunContext,
    ) -> Result<Library, CompileError> {
        let (library, wall) = leave_out(|| self.compiled_library(text, count, copies, context));
        // To ask what each subject gives is a part of compiling.
        library.inspect(|library| self.add_built(library.start, wall.saturating_sub(library.start)))
    }

    fn compiled_library(
        &self,
        text: &dyn Fn() -> Text,
        count: usize,
        copies: usize,
        context: &RunContext,
    ) -> Result<Library, CompileError> {
        let mut ticket = self.compile(text, false, context)?;
        let (library, function, text) = (ticket.library.clone(), ticket.function.clone(), ticket.text.clone());
        let (start, compile) = (ticket.start, ticket.compile);
        let mut shapes = Vec::new();
        loop {
            match ticket.next()? {
                Event::Worker(stream) => {
                    let mut worker = Worker::new(ticket.again(), stream, Vec::new(), Files::default());
                    for subject in 0..count {
                        shapes.push(worker.shape(subject * copies)?);
                    }
                    worker.end()?;
                }
                Event::Done(ending) => {
                    ticket.ended(&ending, &mut Cost::default())?;
                    ticket.compiled()?;
                    let (places, age) = (Vec::new(), self.age());
                    return Ok(Library { library, function, shapes, places, copies, start, compile, text, age });
                }
                Event::Compiled(result) => ticket.result = Some(result),
                Event::Begins(_) | Event::Loaded(..) | Event::Lost => {}
            }
        }
    }

    /// A fork of the variables that runs the subjects of a library on these inputs, until it is dropped.
    pub fn open(&self, library: &mut Library, inputs: &[Vec<u8>], context: &RunContext) -> Fallible<Worker> {
        let opener = self.opener(library, context)?;
        // It is told with the first run alone.
        let (start, compile) = (std::mem::take(&mut library.start), std::mem::take(&mut library.compile));
        // What goes in is read by then; without that it is nothing but a process that starts.
        let worker = match inputs.is_empty() {
            true => {
                let (worker, wall) = leave_out(|| opener.open(inputs, context));
                self.add_built(wall, Duration::ZERO);
                worker
            }
            false => opener.open(inputs, context),
        };
        let mut worker = worker?;
        worker.began(start, compile);
        Ok(worker)
    }

    /// What opens such forks, for as long as no cell changes anything.
    pub fn opener(&self, library: &mut Library, context: &RunContext) -> Fallible<Opener> {
        if !self.is_fresh(library) {
            let new = self.library_of(&|| library.text.clone(), library.shapes.len(), library.copies, context);
            let new = new.map_err(|refusal| refusal.error)?;
            if new.shapes != library.shapes {
                let message = "the type of this Rust expression has changed since it was entered";
                return Err(Diagnostic::new(Kind::Type, message).hint("enter it again"));
            }
            *library = Library { places: library.places.clone(), ..new };
        }
        Ok(Opener {
            broker: self.works().broker.clone(),
            library: library.library.clone(),
            function: library.function.clone(),
            text: library.text.clone(),
            shapes: library.shapes.iter().flat_map(|shape| vec![shape.clone(); library.copies]).collect(),
        })
    }

    /// Adds a package that cells may use: its name and version, or a table as in Cargo.toml.
    pub fn depend(&self, name: &str, spec: &str, context: &RunContext) -> Fallible<()> {
        let (name, spec) = (name.to_string(), spec.to_string());
        self.ask(|done| Request::Compiler(Question::Depend { name, spec, done }), context)?
    }

    /// Forgets all items and variables.
    pub fn reset(&self, context: &RunContext) -> Fallible<()> {
        if self.works.get().is_none() {
            return Ok(());
        }
        self.cells.set(self.cells.get() + 1);
        self.ask(Request::Reset, context)?
    }

    /// What may stand at a byte of a Rust text: names with their kinds. Empty where the compiler is busy for longer
    /// than `patience`.
    pub fn complete(&self, text: &str, at: usize, patience: Duration) -> Vec<(String, &'static str)> {
        let Some(works) = self.works.get() else { return Vec::new() };
        let (done, found) = channel();
        // The compiler's library does not know the variables, which are ours.
        let typed = |(name, ty): (String, String)| format!("let {name}: {}; ", names::nameable(&ty));
        let variables: String = self.variables().into_iter().map(typed).collect();
        let request = Request::Compiler(Question::Complete {
            text: format!("{variables}{text}"),
            at: variables.len() + at,
            done,
        });
        if works.requests.send(request).is_err() {
            return Vec::new();
        }
        found.recv_timeout(patience).unwrap_or_default()
    }

    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Request, context: &RunContext) -> Fallible<T> {
        let (done, answer) = channel();
        self.works().requests.send(request(done)).map_err(|_| gone())?;
        loop {
            match answer.recv_timeout(LOOK) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => context.stop.check()?,
            }
        }
    }

    /// Has a text compiled; it was loaded when this returns, and runs. It is written anew where the runner is lost
    /// before that.
    fn compile(
        &self,
        text: &dyn Fn() -> Text,
        commits: bool,
        context: &RunContext,
    ) -> Result<PendingRun, CompileError> {
        /// A runner that is lost more often than this does not start.
        const TRIES: usize = 3;
        let mut tried = 1;
        loop {
            match self.try_compile(text, commits, context) {
                Err(refusal) if refusal.lost && tried < TRIES => tried += 1,
                ended => return ended,
            }
        }
    }

    fn try_compile(
        &self,
        text: &dyn Fn() -> Text,
        commits: bool,
        context: &RunContext,
    ) -> Result<PendingRun, CompileError> {
        let works = self.works();
        works.broker.limit(context);
        let (ticket, receiver) = works.broker.ticket(commits, false);
        let text = text();
        let request = Request::Compiler(Question::Compile { text: text.clone(), ticket: ticket.clone() });
        works.requests.send(request).map_err(|_| gone())?;
        let mut start = Instant::now();
        let mut waiting = PendingRun::new(ticket, receiver, works.broker.clone(), text, context);
        let does = if works.broker.has_runner() { "waiting for" } else { "starting" };
        context.progress.tell(format!("{does} the Rust compiler"));
        loop {
            match waiting.next()? {
                Event::Begins(news) => {
                    context.progress.tell("compiling Rust".to_string());
                    if news {
                        waiting.start = start.elapsed();
                    }
                    start = Instant::now();
                }
                Event::Loaded(library, function) => {
                    context.progress.tell(String::new());
                    waiting.compile = start.elapsed();
                    waiting.running = true;
                    (waiting.library, waiting.function) = (library, function);
                    return Ok(waiting);
                }
                Event::Compiled(result) => {
                    // Ctrl-C in a terminal ends the compiler too.
                    waiting.look()?;
                    result?;
                    return Err(Diagnostic::new(Kind::System, "the compiler returned nothing for this").into());
                }
                Event::Worker(_) | Event::Done(_) | Event::Lost => {}
            }
        }
    }
}

/// An error of the compiler where it knows no place in the cell, at the place where the cell is not Rust.
fn place_error(error: Box<Diagnostic>, body: &Text) -> Box<Diagnostic> {
    match error.span {
        None => Box::new(Diagnostic { span: unparsed(body), ..*error }),
        Some(_) => error,
    }
}

impl Drop for Rust {
    fn drop(&mut self) {
        if let Some(works) = self.works.get()
            && !works.broker.has_runner()
            && let Some(folder) = works.broker.folder()
        {
            prepared::remove(folder);
        }
    }
}
