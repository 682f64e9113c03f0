//! A process that runs subjects, as the shell sees it: what is asked of it, and what comes back.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::cost::Cost;
use super::frame::{self, Ending, Sample};
use super::lane::{Lane, ROOM};
use super::names;
use super::waiting::{LOOK, Waiting, gone, killed};
use super::wire::{self, Shape};
use crate::data::{Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};

/// A value or a table that came out of a cell.
#[derive(Debug, Clone)]
pub enum Given {
    Nothing,
    Value(Value, Type),
    Table(Table),
    /// What has no form as a table, as the text of its `Debug`.
    Text(String),
}

/// Files that go with what they are for.
#[derive(Default)]
pub struct Files(pub Vec<String>);

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A process that answers for the subjects of a library.
pub struct Worker {
    turn: Waiting,
    stream: UnixStream,
    pub shapes: Vec<Shape>,
    /// Those of its inputs.
    _files: Files,
    /// Where functions are called, once one was.
    lane: Option<Lane>,
    /// Why nothing can be asked any more.
    over: Option<Box<Diagnostic>>,
}

impl Worker {
    pub fn new(turn: Waiting, stream: UnixStream, shapes: Vec<Shape>, files: Files) -> Worker {
        Worker { turn, stream, shapes, _files: files, lane: None, over: None }
    }

    pub fn shape(&mut self, subject: usize) -> Fallible<Shape> {
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
        let bytes = good((kind, bytes))?;
        let start = std::mem::take(&mut self.turn.start);
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
            Shape::Opaque(name) => Some(Given::Text(format!("a {}, which has no Debug", names::short(name)))),
        };
        Ok((given.ok_or_else(gone)?, Cost::of(&ending, start, compile)))
    }

    /// Tells it that nothing more is asked of it.
    pub fn end(mut self) -> Fallible<()> {
        self.tell(frame::END, b"")?;
        self.over = Some(gone());
        Ok(())
    }

    /// Ends its process, which has not come to its end.
    pub fn abandon(mut self) {
        self.turn.desk.kill(&self.turn.turn);
        self.over = Some(gone());
    }

    /// Calls a function for so many rows of arguments.
    pub fn apply(&mut self, subject: usize, arguments: &[Vec<Value>], rows: usize) -> Fallible<Vec<Value>> {
        let Shape::Value(ty) = self.shapes[subject].clone() else { return Err(gone()) };
        let mut bytes = (subject as u32).to_le_bytes().to_vec();
        bytes.extend((rows as u64).to_le_bytes());
        for row in 0..rows {
            arguments.iter().for_each(|argument| wire::put(&argument[row], &mut bytes));
        }
        let bytes = self.applied(&bytes)?;
        let mut reader = wire::Reader(&bytes);
        (0..rows).map(|_| reader.value(&ty)).collect::<Option<Vec<Value>>>().ok_or_else(gone)
    }

    /// What a function answers; over shared memory where there is room.
    fn applied(&mut self, bytes: &[u8]) -> Fallible<Vec<u8>> {
        if bytes.len() > ROOM || self.over.is_some() {
            return good(self.told(frame::APPLY, bytes)?);
        }
        let mut lane = match self.lane.take() {
            Some(lane) => lane,
            None => self.make_lane()?,
        };
        if lane.ask(bytes) {
            self.tell(frame::WAKE, b"")?;
        }
        if !lane.is_answered() {
            self.answer()?;
        }
        let answer = match lane.bytes().split_first() {
            Some((kind, bytes)) => (*kind, bytes.to_vec()),
            // It has no room there.
            None => self.answer()?,
        };
        self.lane = Some(lane);
        good(answer)
    }

    fn make_lane(&mut self) -> Fallible<Lane> {
        let path = self.turn.desk.folder().ok_or_else(gone)?.join(format!("lane-{}", self.turn.turn.number));
        let lane =
            Lane::make(&path).map_err(|error| Diagnostic::new(Kind::System, format!("{}: {error}", path.display())))?;
        let answer = self.ask(frame::LANE, path.display().to_string().as_bytes());
        let _ = std::fs::remove_file(&path);
        answer.map(|_| lane)
    }

    /// Whether nothing has ended it.
    pub fn is_alive(&self) -> bool {
        self.over.is_none()
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
        self.told(kind, bytes).map(|(_, bytes)| bytes)
    }

    fn told(&mut self, kind: u8, bytes: &[u8]) -> Fallible<(u8, Vec<u8>)> {
        self.tell(kind, bytes)?;
        self.answer()
    }

    fn tell(&mut self, kind: u8, bytes: &[u8]) -> Fallible<()> {
        // Several threads may call a function: the second finds what the first has met.
        if let Some(why) = &self.over {
            return Err(why.clone());
        }
        frame::send(&mut self.stream, kind, bytes).map_err(|_| self.died())
    }

    fn answer(&mut self) -> Fallible<(u8, Vec<u8>)> {
        while !readable(&self.stream) {
            if let Err(stopped) = self.turn.look() {
                self.over = Some(stopped.clone());
                return Err(stopped);
            }
        }
        frame::receive(&mut self.stream).map_err(|_| self.died())
    }

    /// Why the process ended.
    fn died(&mut self) -> Box<Diagnostic> {
        let why = match self.turn.until_done(Duration::from_secs(2)) {
            Some(ending) => self.turn.ended(&ending, &mut Cost::default()).err().unwrap_or_else(gone),
            None => killed(),
        };
        self.over = Some(why.clone());
        why
    }
}

/// An answer, where it does not say what is wrong.
fn good((kind, bytes): (u8, Vec<u8>)) -> Fallible<Vec<u8>> {
    match kind {
        frame::WRONG => Err(Diagnostic::new(Kind::Rust, String::from_utf8_lossy(&bytes).into_owned())),
        _ => Ok(bytes),
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.over.is_none() && frame::send(&mut self.stream, frame::END, b"").is_ok() {
            self.turn.until_done(Duration::from_millis(200));
        }
    }
}

/// Whether something can be read, waiting a little for it.
fn readable(stream: &UnixStream) -> bool {
    let mut polled = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the structure is whole.
    unsafe { libc::poll(&raw mut polled, 1, LOOK.as_millis() as i32) > 0 }
}
