//! Where the shell, the compiler and the runner meet: the socket, and whose ticket it is.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::build_folder;
use super::frame::{self, Ending, Order, SOCKET};
use super::printer::Printers;
use crate::console::Console;
use crate::descendants;
use crate::diagnostic::Diagnostic;
use crate::measure;
use crate::run_context::RunContext;

/// What happens for a ticket.
pub enum Event {
    /// The compiler begins with this ticket, after it has started where that is true.
    Begins(bool),
    /// The library and its function were loaded; from here on it runs.
    Loaded(String, String),
    /// A worker that serves.
    Worker(UnixStream),
    Done(Ending),
    /// The compiler is through with it, the run too.
    Compiled(Result<(), CompileError>),
    /// The runner is gone.
    Lost,
}

/// Why a text cannot be compiled.
pub struct CompileError {
    pub error: Box<Diagnostic>,
    /// The variable that cannot be kept.
    pub keeps: Option<String>,
    /// The variable whose type cannot be written as it was.
    pub takes: Option<String>,
    /// Whether the runner was lost before the text could be loaded: written anew, it can be.
    pub lost: bool,
}

impl CompileError {
    pub fn lost() -> CompileError {
        CompileError { lost: true, ..super::pending::killed().into() }
    }
}

impl From<CompileError> for Box<Diagnostic> {
    fn from(error: CompileError) -> Box<Diagnostic> {
        error.error
    }
}

impl From<Box<Diagnostic>> for CompileError {
    fn from(error: Box<Diagnostic>) -> CompileError {
        CompileError { error, keeps: None, takes: None, lost: false }
    }
}

/// Somebody who waits for a run.
#[derive(Clone)]
pub struct Ticket {
    pub number: u64,
    events: Sender<Event>,
    /// Whether what it does to the variables stays.
    commits: bool,
    /// Whether nobody listens to what it prints.
    silent: bool,
    cancelled: Arc<AtomicBool>,
    loaded: Arc<AtomicBool>,
    /// How many runners had been lost when its text was written.
    pub losses: u64,
}

impl Ticket {
    pub fn tell(&self, event: Event) {
        // Who has stopped waiting is not told any more.
        let _ = self.events.send(event);
    }

    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    pub fn was_loaded(&self) -> bool {
        self.loaded.load(Ordering::SeqCst)
    }

    fn order(&self, library: &str, function: &str, inputs: Vec<String>, detached: bool, memory: u64) -> Order {
        let (library, function) = (library.to_string(), function.to_string());
        let Ticket { number, commits, silent, .. } = *self;
        Order { number, library, function, commits, inputs, detached, silent, memory }
    }
}

/// What is known of the cells so far; it can be asked while the compiler works.
#[derive(Default)]
pub struct Known {
    /// Variables with their types, by name.
    pub variables: BTreeMap<String, String>,
    /// Variables that are not there any more, and why.
    pub gone: BTreeMap<String, &'static str>,
    pub items: Vec<String>,
    /// Which of the spellings of a type can be written, by the type's name.
    pub spelled: BTreeMap<String, usize>,
    /// Packages that cells may use, and how they were asked for.
    pub packages: BTreeMap<String, String>,
}

impl Known {
    fn kill(&mut self) {
        let killed = std::mem::take(&mut self.variables).into_keys();
        self.gone.extend(killed.map(|name| (name, "was lost, because the process that held it was killed")));
    }
}

pub struct Broker {
    pub printers: Printers,
    folder: OnceLock<PathBuf>,
    numbers: AtomicU64,
    turns: Mutex<HashMap<u64, Ticket>>,
    /// Whose library is loaded next.
    loads: Mutex<Option<Ticket>>,
    supervisor: Mutex<Option<UnixStream>>,
    /// How many supervisors came so far.
    came: AtomicU64,
    /// The last of them that is known to be gone. One at a time is there, so that all before it are gone too.
    last_lost: AtomicU64,
    losses: AtomicU64,
    lost: AtomicBool,
    known: Mutex<Known>,
    /// The most memory that what is run from here on may have, in bytes.
    pub memory: AtomicU64,
}

impl Broker {
    pub fn new(console: &Console) -> Broker {
        Broker {
            printers: Printers::new(console),
            folder: OnceLock::new(),
            numbers: AtomicU64::new(0),
            turns: Mutex::default(),
            loads: Mutex::default(),
            supervisor: Mutex::default(),
            came: AtomicU64::new(0),
            last_lost: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            lost: AtomicBool::new(false),
            known: Mutex::default(),
            memory: AtomicU64::new(u64::MAX),
        }
    }

    pub fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    /// Makes the folder of all that is compiled, again in its place where it is gone, and listens on the socket in it.
    /// The runner removes it when it ends with the shell.
    pub fn open(self: &Arc<Broker>) -> std::io::Result<PathBuf> {
        let folder = match self.folder.get() {
            Some(folder) => {
                let _ = std::fs::remove_dir_all(folder);
                std::fs::create_dir(folder)?;
                folder.clone()
            }
            None => build_folder::new()?,
        };
        let listener = UnixListener::bind(folder.join(SOCKET))?;
        let broker = self.clone();
        std::thread::Builder::new().name("rust broker".to_string()).spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                broker.welcome(connection);
            }
        })?;
        let _ = self.folder.set(folder.clone());
        Ok(folder)
    }

    /// The folder, once it is open.
    pub fn folder(&self) -> Option<&PathBuf> {
        self.folder.get()
    }

    fn welcome(self: &Arc<Broker>, mut connection: UnixStream) {
        let Ok((kind, bytes)) = frame::receive(&mut connection) else { return };
        match kind {
            frame::SUPERVISOR => {
                let Ok(listens) = connection.try_clone() else { return };
                // It ends when this process does, and then ends what is below it.
                bytes.try_into().into_iter().map(u32::from_le_bytes).for_each(|pid| descendants::spare(pid as i32));
                let number = {
                    let mut supervisor = lock(&self.supervisor);
                    *supervisor = Some(connection);
                    self.came.fetch_add(1, Ordering::SeqCst) + 1
                };
                self.note_loss(number - 1);
                let broker = self.clone();
                std::thread::spawn(move || broker.listen(listens, number));
            }
            frame::WORKER => {
                if let Ok(number) = bytes.try_into().map(u64::from_le_bytes) {
                    self.tell(number, Event::Worker(connection));
                }
            }
            _ => {
                let broker = self.clone();
                std::thread::spawn(move || {
                    let Printers { out, err } = &broker.printers;
                    if kind == frame::ERRORS { err } else { out }.print_all(connection);
                });
            }
        }
    }

    /// Hears a supervisor until it is gone; `number` is how many had come then.
    fn listen(&self, mut supervisor: UnixStream, number: u64) {
        while let Ok((kind, bytes)) = frame::receive(&mut supervisor) {
            match kind {
                frame::LOADED => self.note_loaded(&String::from_utf8_lossy(&bytes)),
                frame::DONE => {
                    if let Ok((number, silent, ending)) = serde_json::from_slice::<(u64, bool, Ending)>(&bytes) {
                        if !silent {
                            self.printers.expect();
                        }
                        self.tell(number, Event::Done(ending));
                    }
                }
                _ => {}
            }
        }
        self.note_loss(number);
    }

    /// How many supervisors came so far.
    pub fn came(&self) -> u64 {
        self.came.load(Ordering::SeqCst)
    }

    /// Notes once that the supervisor that came as this number is gone, with the variables; whoever finds it out first.
    pub fn note_loss(&self, number: u64) {
        {
            let mut supervisor = lock(&self.supervisor);
            if self.last_lost.fetch_max(number, Ordering::SeqCst) >= number {
                return;
            }
            if self.came() == number {
                *supervisor = None;
            }
        }
        self.known().kill();
        self.losses.fetch_add(1, Ordering::SeqCst);
        self.lost.store(true, Ordering::SeqCst);
        lock(&self.turns).values().for_each(|ticket| ticket.tell(Event::Lost));
    }

    /// A library was loaded: who asked for it decides whether it runs.
    fn note_loaded(&self, names: &str) {
        let (library, function) = names.split_once(' ').unwrap_or((names, ""));
        match lock(&self.loads).take().filter(|ticket| !ticket.is_cancelled()) {
            Some(ticket) => {
                ticket.loaded.store(true, Ordering::SeqCst);
                ticket.tell(Event::Loaded(library.to_string(), function.to_string()));
                self.send(|supervisor| {
                    frame::send_value(
                        supervisor,
                        frame::RUN,
                        &ticket.order(library, function, Vec::new(), false, self.memory.load(Ordering::SeqCst)),
                    )
                });
            }
            None => _ = self.send(|supervisor| frame::send(supervisor, frame::REFUSE, b"")),
        }
    }

    /// What is run from here on has the memory of this run.
    pub fn limit(&self, context: &RunContext) {
        self.memory.store(context.memory.saturating_sub(measure::live()), Ordering::SeqCst);
    }

    /// A new ticket, which is told what happens in it until it is left.
    pub fn ticket(&self, commits: bool, silent: bool) -> (Ticket, Receiver<Event>) {
        let (events, receiver) = channel();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (cancelled, loaded) = (Arc::default(), Arc::default());
        let ticket = Ticket { number, events, commits, silent, cancelled, loaded, losses: self.losses() };
        lock(&self.turns).insert(number, ticket.clone());
        (ticket, receiver)
    }

    /// Ends a ticket.
    pub fn leave(&self, ticket: &Ticket) {
        lock(&self.turns).remove(&ticket.number);
    }

    /// What is loaded next is loaded for this ticket.
    pub fn expect(&self, ticket: Ticket) {
        *lock(&self.loads) = Some(ticket);
    }

    /// What is loaded next is ours and stays.
    pub fn expect_ours(&self) {
        let (ticket, _) = self.ticket(true, true);
        self.leave(&ticket);
        self.expect(ticket);
    }

    /// Runs a library that was loaded before.
    pub fn run(&self, ticket: &Ticket, library: &str, function: &str, inputs: Vec<String>) {
        let order = ticket.order(library, function, inputs, true, self.memory.load(Ordering::SeqCst));
        if !self.send(|supervisor| frame::send_value(supervisor, frame::RUN, &order)) {
            ticket.tell(Event::Lost);
        }
    }

    /// Ends what runs for a ticket.
    pub fn kill(&self, ticket: &Ticket) {
        self.send(|supervisor| frame::send(supervisor, frame::KILL, &ticket.number.to_le_bytes()));
    }

    fn send(&self, send: impl Fn(&mut UnixStream) -> std::io::Result<()>) -> bool {
        lock(&self.supervisor).as_mut().is_some_and(|supervisor| send(supervisor).is_ok())
    }

    fn tell(&self, number: u64, event: Event) {
        if let Some(ticket) = lock(&self.turns).get(&number) {
            ticket.tell(event);
        }
    }

    /// How many runners were lost so far, with all that they had loaded.
    pub fn losses(&self) -> u64 {
        self.losses.load(Ordering::SeqCst)
    }

    /// Whether there is a runner.
    pub fn has_runner(&self) -> bool {
        lock(&self.supervisor).is_some()
    }

    /// Whether the runner was lost since this was last asked.
    pub fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
