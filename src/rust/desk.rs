//! Where the shell, the compiler and the runner meet: the socket, and whose turn it is.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::frame::{self, Ending, Order};
use super::printer::Printer;
use super::runner::SOCKET;
use crate::diagnostic::Diagnostic;
use crate::job::Say;

/// What happens in a turn.
pub enum Event {
    /// The library and its function were loaded; from here on it runs.
    Loaded(String, String),
    /// A worker that serves.
    Worker(UnixStream),
    Done(Ending),
    /// The compiler is through with it, the run too.
    Compiled(Result<(), Refusal>),
    /// The runner is gone.
    Lost,
}

/// Why a text cannot be compiled.
pub struct Refusal {
    pub error: Box<Diagnostic>,
    /// The variable that cannot be kept.
    pub keeps: Option<String>,
}

impl From<Box<Diagnostic>> for Refusal {
    fn from(error: Box<Diagnostic>) -> Refusal {
        Refusal { error, keeps: None }
    }
}

/// Somebody who waits for a run.
#[derive(Clone)]
pub struct Turn {
    events: Sender<Event>,
    /// What the next loaded library may do; its names are filled in. None where nothing may be loaded.
    order: Option<Order>,
    cancelled: Arc<AtomicBool>,
    loaded: Arc<AtomicBool>,
}

impl Turn {
    pub fn new(events: Sender<Event>, order: Option<Order>) -> Turn {
        Turn { events, order, cancelled: Arc::default(), loaded: Arc::default() }
    }

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
}

pub struct Desk {
    pub say: Say,
    pub printer: Printer,
    folder: OnceLock<PathBuf>,
    turn: Mutex<Option<Turn>>,
    supervisor: Mutex<Option<UnixStream>>,
    lost: AtomicBool,
}

impl Desk {
    pub fn new(say: Say) -> Desk {
        Desk {
            say,
            printer: Printer::default(),
            folder: OnceLock::new(),
            turn: Mutex::new(None),
            supervisor: Mutex::new(None),
            lost: AtomicBool::new(false),
        }
    }

    /// The folder of all that is compiled, with the socket; it is made and listened to at the first call. The runner
    /// removes it when it ends.
    pub fn open(self: &Arc<Desk>) -> std::io::Result<PathBuf> {
        let folder = tempfile::Builder::new().prefix("timelab-rust-").tempdir()?.keep();
        let listener = UnixListener::bind(folder.join(SOCKET))?;
        let desk = self.clone();
        std::thread::Builder::new().name("rust desk".to_string()).spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                desk.welcome(connection);
            }
        })?;
        let _ = self.folder.set(folder.clone());
        Ok(folder)
    }

    /// The folder, once it is open.
    pub fn folder(&self) -> Option<&PathBuf> {
        self.folder.get()
    }

    fn welcome(self: &Arc<Desk>, mut connection: UnixStream) {
        let Ok((kind, _)) = frame::receive(&mut connection) else { return };
        match kind {
            frame::SUPERVISOR => {
                let Ok(listens) = connection.try_clone() else { return };
                *lock(&self.supervisor) = Some(connection);
                let desk = self.clone();
                std::thread::spawn(move || desk.listen(listens));
            }
            frame::WORKER => self.tell(Event::Worker(connection)),
            _ => {
                let desk = self.clone();
                std::thread::spawn(move || desk.printer.print_all(connection));
            }
        }
    }

    /// Hears the supervisor until it is gone.
    fn listen(&self, mut supervisor: UnixStream) {
        while let Ok((kind, bytes)) = frame::receive(&mut supervisor) {
            match kind {
                frame::LOADED => self.loaded(&String::from_utf8_lossy(&bytes)),
                frame::DONE => self.tell(Event::Done(serde_json::from_slice(&bytes).unwrap_or_default())),
                _ => {}
            }
        }
        *lock(&self.supervisor) = None;
        self.lost.store(true, Ordering::SeqCst);
        self.tell(Event::Lost);
    }

    /// A library was loaded: whose turn it is decides whether it runs.
    fn loaded(&self, names: &str) {
        let (library, function) = names.split_once(' ').unwrap_or((names, ""));
        let turn = lock(&self.turn).clone();
        let order = turn.as_ref().filter(|turn| !turn.is_cancelled()).and_then(|turn| turn.order.clone());
        match (turn, order) {
            (Some(turn), Some(order)) => {
                turn.loaded.store(true, Ordering::SeqCst);
                turn.tell(Event::Loaded(library.to_string(), function.to_string()));
                self.run(&Order { library: library.to_string(), function: function.to_string(), ..order });
            }
            _ => self.send(|supervisor| frame::send(supervisor, frame::REFUSE, b"")),
        }
    }

    /// Gives somebody the turn.
    pub fn give(&self, turn: Turn) {
        *lock(&self.turn) = Some(turn);
    }

    /// What is loaded next is ours and stays.
    pub fn open_for_us(&self) {
        let order = Order { library: String::new(), function: String::new(), commits: true, inputs: Vec::new(), apart: false, silent: true };
        let (events, _) = std::sync::mpsc::channel();
        self.give(Turn::new(events, Some(order)));
    }

    pub fn run(&self, order: &Order) {
        self.send(|supervisor| frame::send_value(supervisor, frame::RUN, order));
    }

    /// Ends what runs.
    pub fn kill(&self) {
        self.send(|supervisor| frame::send(supervisor, frame::KILL, b""));
    }

    fn send(&self, send: impl Fn(&mut UnixStream) -> std::io::Result<()>) {
        let sent = lock(&self.supervisor).as_mut().is_some_and(|supervisor| send(supervisor).is_ok());
        if !sent {
            self.tell(Event::Lost);
        }
    }

    fn tell(&self, event: Event) {
        if let Some(turn) = &*lock(&self.turn) {
            turn.tell(event);
        }
    }

    /// Whether the runner was lost since this was last asked.
    pub fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
