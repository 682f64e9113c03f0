//! A process that runs subjects, as the shell sees it: what is asked of it, and what comes back.

use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::cost::Cost;
use super::frame::{self, Ending, Sample};
use super::names;
use super::pending::{LOOK, PendingRun, gone, killed};
use super::shared_channel::{ROOM, SharedChannel};
use super::wire::{self, ResultKind};
use crate::data::{Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::file_name;
use crate::measure::{self, Readings};

/// A value or a table that came out of a cell.
#[derive(Debug, Clone)]
pub enum BlockValue {
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
    ticket: PendingRun,
    stream: UnixStream,
    pub shapes: Vec<ResultKind>,
    /// Those of its inputs.
    _files: Files,
    /// Where functions are called, once one was.
    channel: Option<SharedChannel>,
    /// Why nothing can be asked any more.
    over: Option<Box<Diagnostic>>,
}

impl Worker {
    pub fn new(ticket: PendingRun, stream: UnixStream, shapes: Vec<ResultKind>, files: Files) -> Worker {
        Worker { ticket, stream, shapes, _files: files, channel: None, over: None }
    }

    /// What its first run is told to have waited for: the compiler, and compiling.
    pub fn began(&mut self, start: Duration, compile: Duration) {
        (self.ticket.start, self.ticket.compile) = (start, compile);
    }

    pub fn shape(&mut self, subject: usize) -> Fallible<ResultKind> {
        let bytes = self.ask(frame::SHAPE, &(subject as u32).to_le_bytes())?;
        ResultKind::read(&String::from_utf8_lossy(&bytes)).ok_or_else(gone)
    }

    /// Runs a subject once.
    ///
    /// # Errors
    /// What went wrong in it; where its process ended, nothing more can be asked.
    pub fn call(&mut self, subject: usize) -> Fallible<(BlockValue, Cost)> {
        self.call_and_look(subject, &mut || {})
    }

    /// The same; something is looked at again and again meanwhile.
    pub fn call_and_look(&mut self, subject: usize, look: &mut dyn FnMut()) -> Fallible<(BlockValue, Cost)> {
        self.tell(frame::CALL, &(subject as u32).to_le_bytes())?;
        while !readable_in(&self.stream, Duration::from_millis(5)) {
            look();
            self.must_go_on()?;
        }
        let cost = self.answer()?.1;
        let ending: Ending = serde_json::from_slice(&cost).map_err(|_| gone())?;
        self.ticket.broker.printers.expect();
        let (kind, bytes) = self.answer()?;
        self.ticket.broker.printers.wait();
        let bytes = good((kind, bytes))?;
        let start = std::mem::take(&mut self.ticket.start);
        let compile = std::mem::take(&mut self.ticket.compile);
        let mut reader = wire::Reader(&bytes);
        let given = match &self.shapes[subject] {
            ResultKind::Nothing => Some(BlockValue::Nothing),
            ResultKind::Value(ty) => reader.value(ty).map(|value| BlockValue::Value(value, ty.clone())),
            ResultKind::Rows(schema) => reader.table(schema).map(BlockValue::Table),
            ResultKind::Text => reader.value(&Type::Text).map(|value| match value {
                Value::Text(text) => BlockValue::Text(text.to_string()),
                _ => BlockValue::Nothing,
            }),
            ResultKind::Opaque(name) => {
                Some(BlockValue::Text(format!("a {}, which does not implement Debug", names::short(name))))
            }
        };
        Ok((given.ok_or_else(gone)?, Cost { start, compile, run: ending.cost }))
    }

    /// What its process has cost since the run began, or since this was last asked.
    pub fn spent(&mut self) -> Fallible<measure::Cost> {
        serde_json::from_slice(&self.ask(frame::SPENT, b"")?).map_err(|_| gone())
    }

    /// Tells it that nothing more is asked of it.
    pub fn end(mut self) -> Fallible<()> {
        self.tell(frame::END, b"")?;
        self.over = Some(gone());
        Ok(())
    }

    /// Ends its process, which has not come to its end.
    pub fn abandon(mut self) {
        self.ticket.broker.kill(&self.ticket.ticket);
        self.over = Some(gone());
    }

    /// Calls a function for so many rows of arguments.
    pub fn apply(&mut self, subject: usize, arguments: &[Vec<Value>], rows: usize) -> Fallible<Vec<Value>> {
        let ResultKind::Value(ty) = self.shapes[subject].clone() else { return Err(gone()) };
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
        let mut channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.make_channel()?,
        };
        if channel.ask(bytes) {
            self.tell(frame::WAKE, b"")?;
        }
        if !channel.is_answered() {
            self.answer()?;
        }
        let answer = match channel.bytes().split_first() {
            Some((kind, bytes)) => (*kind, bytes.to_vec()),
            // It has no room there.
            None => self.answer()?,
        };
        self.channel = Some(channel);
        good(answer)
    }

    fn make_channel(&mut self) -> Fallible<SharedChannel> {
        let path = self.ticket.broker.folder().ok_or_else(gone)?.join(format!("channel-{}", self.ticket.ticket.number));
        let channel = SharedChannel::make(&path)
            .map_err(|error| Diagnostic::new(Kind::System, format!("{}: {error}", file_name(&path))))?;
        let answer = self.ask(frame::CHANNEL, path.display().to_string().as_bytes());
        let _ = std::fs::remove_file(&path);
        answer.map(|_| channel)
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
    pub fn sample(&mut self, subject: usize, calls: u64, cpu: bool, warm: bool) -> Fallible<u64> {
        let sample = Sample { subject: subject as u32, calls, cpu, warm };
        let bytes = self.ask(frame::SAMPLE, &serde_json::to_vec(&sample).map_err(|_| gone())?)?;
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| gone())
    }

    /// What all clocks there say of so many calls.
    pub fn readings(&mut self, subject: usize, calls: u64) -> Fallible<Readings> {
        let sample = Sample { subject: subject as u32, calls, cpu: false, warm: false };
        let bytes = self.ask(frame::READINGS, &serde_json::to_vec(&sample).map_err(|_| gone())?)?;
        serde_json::from_slice(&bytes).map_err(|_| gone())
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
            self.must_go_on()?;
        }
        frame::receive(&mut self.stream).map_err(|_| self.died())
    }

    fn must_go_on(&mut self) -> Fallible<()> {
        let looked = self.ticket.look();
        if let Err(stopped) = &looked {
            self.over = Some(stopped.clone());
        }
        looked
    }

    /// The number of its process.
    pub fn process(&self) -> i32 {
        let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        let socket = self.stream.as_raw_fd();
        // SAFETY: the structure has the length that is said, and the system fills it.
        unsafe {
            let place = (&raw mut peer).cast();
            libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, place, &raw mut length);
        }
        peer.pid
    }

    /// Has its process load a library that samples it into a file.
    pub fn load_sampler(&mut self, library: &Path, samples: &Path) -> Fallible<()> {
        let parts = [samples.as_os_str().as_bytes(), library.as_os_str().as_bytes()];
        good(self.told(frame::SAMPLER, &parts.join(&0))?).map(drop)
    }

    /// Why the process ended.
    fn died(&mut self) -> Box<Diagnostic> {
        let why = match self.ticket.until_done(Duration::from_secs(2)) {
            Some(ending) => self.ticket.ended(&ending, &mut Cost::default()).err().unwrap_or_else(gone),
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
            self.ticket.until_done(Duration::from_millis(200));
        }
    }
}

/// Whether something can be read, waiting a little for it.
fn readable(stream: &UnixStream) -> bool {
    readable_in(stream, LOOK)
}

fn readable_in(stream: &UnixStream, time: Duration) -> bool {
    let mut polled = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the structure is whole.
    unsafe { libc::poll(&raw mut polled, 1, time.as_millis() as i32) > 0 }
}
