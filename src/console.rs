//! Where a session prints while its cells run, and where it asks. It knows no terminal: the shell hands in a console
//! that does, and where nobody watches, what cells print is kept for their reports.

use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone)]
pub struct Console {
    /// What cells print on standard output: Rust and commands.
    pub out: Sink,
    /// The same for standard error, and what `peek` shows.
    pub err: Sink,
    pub ask: Ask,
    /// Whether standard error is a terminal: what comes from data must not reach it as it is.
    pub err_is_terminal: bool,
    captured: Option<Capture>,
}

/// Shows a question and waits for an answer, unless the function says that the user has stopped the cell.
pub type Ask = Arc<dyn Fn(&str, &dyn Fn() -> bool) -> Reply + Send + Sync>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The line that was typed, without its end.
    Line(String),
    /// The end of the input in place of a line: Ctrl-D.
    End,
    Stopped,
    /// Nobody sees a question, or nobody can answer it.
    CannotAsk,
}

/// Nobody watches: what is printed is kept, and nothing can be asked.
impl Default for Console {
    fn default() -> Console {
        Console::capturing(Console::cannot_ask())
    }
}

impl Console {
    /// Passes output on as it comes.
    pub fn new(out: Sink, err: Sink, ask: Ask) -> Console {
        Console { out, err, ask, err_is_terminal: false, captured: None }
    }

    /// The same where standard error is a terminal, or not.
    pub fn with_terminal(self, err_is_terminal: bool) -> Console {
        Console { err_is_terminal, ..self }
    }

    /// Keeps what is printed until [`Console::take_printed`].
    pub fn capturing(ask: Ask) -> Console {
        let capture = Capture::default();
        let (out, err) = (capture.sink(Stream::Out), capture.sink(Stream::Err));
        Console { out, err, ask, err_is_terminal: false, captured: Some(capture) }
    }

    /// For a session that nobody can answer.
    pub fn cannot_ask() -> Ask {
        Arc::new(|_, _| Reply::CannotAsk)
    }

    /// What was printed since the last call, where it is kept.
    pub fn take_printed(&self) -> Printed {
        self.captured.as_ref().map(Capture::take).unwrap_or_default()
    }
}

type Write = dyn Fn(&[u8]) + Send + Sync;

/// Takes what is printed. Threads may print at the same time: a call's bytes stay together.
#[derive(Clone)]
pub struct Sink {
    write: Arc<Write>,
    is_inherited: bool,
}

impl Sink {
    pub fn new(write: impl Fn(&[u8]) + Send + Sync + 'static) -> Sink {
        Sink { write: Arc::new(write), is_inherited: false }
    }

    /// Writes to a standard stream of this process. A child process may write to it by itself, and so has the terminal.
    pub fn inherited(write: impl Fn(&[u8]) + Send + Sync + 'static) -> Sink {
        Sink { write: Arc::new(write), is_inherited: true }
    }

    pub fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    pub fn write(&self, bytes: &[u8]) {
        (self.write)(bytes);
    }

    pub fn write_line(&self, line: &str) {
        self.write(format!("{line}\n").as_bytes());
    }
}

/// The most that is kept of what one cell prints, in bytes.
pub const MOST_PRINTED: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// What a cell printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Printed {
    /// In the order in which it came.
    pub pieces: Vec<(Stream, String)>,
    /// Bytes that had no room.
    pub left_out: u64,
}

impl Printed {
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.left_out == 0
    }
}

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Kept>>);

/// Bytes, not texts: one call may end within a character.
#[derive(Default)]
struct Kept {
    pieces: Vec<(Stream, Vec<u8>)>,
    bytes: usize,
    left_out: u64,
}

impl Capture {
    fn sink(&self, stream: Stream) -> Sink {
        let capture = self.clone();
        Sink::new(move |bytes| capture.0.lock().unwrap_or_else(PoisonError::into_inner).add(stream, bytes))
    }

    fn take(&self) -> Printed {
        let kept = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let pieces = kept.pieces.into_iter().map(|(stream, bytes)| (stream, text(bytes))).collect();
        Printed { pieces, left_out: kept.left_out }
    }
}

impl Kept {
    fn add(&mut self, stream: Stream, bytes: &[u8]) {
        // After the first byte without room nothing is kept: what is shown is the beginning, without gaps.
        let room = if self.left_out > 0 { 0 } else { MOST_PRINTED - self.bytes };
        let mut fits = room.min(bytes.len());
        let is_inside_character = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
        while fits > 0 && is_inside_character(fits) {
            fits -= 1;
        }
        self.left_out += (bytes.len() - fits) as u64;
        self.bytes += fits;
        match self.pieces.last_mut() {
            _ if fits == 0 => {}
            Some((last, piece)) if *last == stream => piece.extend_from_slice(&bytes[..fits]),
            _ => self.pieces.push((stream, bytes[..fits].to_vec())),
        }
    }
}
