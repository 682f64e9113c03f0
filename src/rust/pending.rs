//! Waiting for what happens for a ticket.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::broker::{Broker, CompileError, Event, Ticket};
use super::cost::Cost;
use super::frame::{Ending, Failure};
use super::text::Text;
use super::writing;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::run_context::{RunContext, Stop};

/// How often the person's stop flag is looked at.
pub const LOOK: Duration = Duration::from_millis(20);

/// Waits for what happens for a ticket, and ends it where the person stops it.
pub struct PendingRun {
    pub ticket: Ticket,
    events: Arc<Mutex<Receiver<Event>>>,
    pub broker: Arc<Broker>,
    stop: Stop,
    pub text: Text,
    pub library: String,
    pub function: String,
    pub start: Duration,
    pub compile: Duration,
    pub running: bool,
    /// Whether the ticket ends with it.
    owns: bool,
    /// What the compiler said, where it was quicker than the news of the run's end.
    pub result: Option<Result<(), CompileError>>,
}

impl PendingRun {
    pub fn new(
        ticket: Ticket,
        events: Receiver<Event>,
        broker: Arc<Broker>,
        text: Text,
        context: &RunContext,
    ) -> PendingRun {
        PendingRun {
            ticket,
            events: Arc::new(Mutex::new(events)),
            broker,
            stop: context.stop.clone(),
            text,
            library: String::new(),
            function: String::new(),
            start: Duration::ZERO,
            compile: Duration::ZERO,
            running: false,
            owns: true,
            result: None,
        }
    }

    /// The same ticket, for who serves in it.
    pub fn again(&self) -> PendingRun {
        PendingRun {
            ticket: self.ticket.clone(),
            events: self.events.clone(),
            broker: self.broker.clone(),
            stop: self.stop.clone(),
            text: self.text.clone(),
            library: self.library.clone(),
            function: self.function.clone(),
            start: self.start,
            compile: self.compile,
            running: self.running,
            owns: false,
            result: None,
        }
    }

    fn receive(&self, patience: Duration) -> Result<Event, RecvTimeoutError> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(patience)
    }

    pub fn next(&mut self) -> Fallible<Event> {
        loop {
            match self.receive(LOOK) {
                Ok(Event::Lost) if self.running => return Err(killed()),
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) => self.look()?,
            }
        }
    }

    /// Ends the ticket where the person has stopped it.
    pub fn look(&mut self) -> Fallible<()> {
        let Err(stopped) = self.stop.check() else { return Ok(()) };
        // Cancelling ends what waits or compiles; a cell that runs looks at nothing, and its process must go.
        self.ticket.cancel();
        if self.running {
            self.broker.kill(&self.ticket);
            self.until_done(Duration::from_millis(100));
        }
        Err(stopped)
    }

    /// How the run ended, if it does soon.
    pub fn until_done(&mut self, patience: Duration) -> Option<Ending> {
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

    /// Waits until the compiler is through with this ticket.
    pub fn compiled(&mut self) -> Fallible<()> {
        let mut result = self.result.take();
        while result.is_none() {
            if let Event::Compiled(told) = self.next()? {
                result = Some(told);
            }
        }
        result.map_or(Ok(()), |result| result.map_err(|refusal| refusal.error))
    }

    /// What a run cost, or why it failed.
    pub fn ended(&mut self, ending: &Ending, cost: &mut Cost) -> Fallible<()> {
        self.running = false;
        // What the cell printed comes before its result.
        self.broker.printers.wait();
        match &ending.failure {
            None => {
                cost.run = ending.cost.clone();
                Ok(())
            }
            Some(failure) => Err(self.explain(failure)),
        }
    }

    fn explain(&self, failure: &Failure) -> Box<Diagnostic> {
        // Our own check of a closure ends the cell as a panic, but it is not the user's.
        let check = failure.message.strip_prefix("panic: ").filter(|text| text.contains(writing::NOT_ASSOCIATIVE));
        let mut diagnostic = match check {
            Some(text) => {
                Diagnostic::new(Kind::Type, text).hint("`fold` goes through the rows in order, whatever the expression")
            }
            None => Diagnostic::new(Kind::Rust, failure.message.clone()),
        };
        diagnostic.span = failure.place.and_then(|place| self.place(place));
        diagnostic
    }

    /// The place in a cell of a line and a column of the compiled text.
    fn place(&self, (line, column): (u32, u32)) -> Option<Span> {
        let root = self.library.split_once("/target/")?.0;
        let source = std::fs::read_to_string(Path::new(root).join("src/lib.rs")).ok()?;
        self.text.word_like(source.lines().nth(line.checked_sub(1)? as usize)?, column.checked_sub(1)? as usize)
    }
}

impl Drop for PendingRun {
    fn drop(&mut self) {
        if self.owns {
            self.broker.leave(&self.ticket);
        }
    }
}

pub fn gone() -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, "the process that runs Rust has ended").hint("run the cell again to restart it")
}

pub fn killed() -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, "the process that held the Rust variables was killed")
        .hint("variables are lost; functions and types are still there")
}
