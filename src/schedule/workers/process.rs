//! Worker processes, as the shell has them. They start with the first run that needs them and are kept until the shell
//! ends.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::measure;
use crate::run_context::Stop;
use crate::schedule::ATTEMPTS;
use crate::service;

use super::frame::{receive, send, send_shared};
use super::message::{Answer, Done, Order, Ready, Spent};
use super::order::Ordered;

/// Those that nobody uses.
static IDLE: Mutex<Vec<Process>> = Mutex::new(Vec::new());

/// How long it took until processes were there, in all.
static STARTED: Mutex<Duration> = Mutex::new(Duration::ZERO);

/// How long a task may take to notice that it is not wanted. Then its process is ended.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long a process may take until it is there: it is loaded from disk, on a machine that may be busy.
const START: Duration = Duration::from_secs(30);

/// Tables that are kept in each worker beside those of its stage, in bytes.
const MOST_BESIDE: usize = 256 << 20;

/// How long starting processes took so far.
pub fn started() -> Duration {
    *lock(&STARTED)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct Process {
    child: Child,
    _life: Option<ChildStdin>,
    socket: UnixStream,
    /// The stage that it was told last.
    stage: u64,
    /// The tables that it has, with their bytes; those used last come last.
    tables: Vec<(u64, usize)>,
}

/// Why there is no answer.
pub enum Missing {
    /// The run was stopped. The process may go on.
    Stopped,
    /// The process is gone.
    Lost(String),
}

/// So many processes that are ready. Those that must be started first cost the run no time that counts.
///
/// # Errors
/// Where the system starts none, and where the run is stopped.
pub fn ready(count: usize, stop: &Stop) -> io::Result<Vec<Process>> {
    let mut found = Vec::new();
    {
        let mut idle = lock(&IDLE);
        while found.len() < count
            && let Some(mut process) = idle.pop()
        {
            if process.is_alive() {
                found.push(process);
            }
        }
    }
    if found.len() == count {
        return Ok(found);
    }
    let (result, wall) = measure::leave_out(|| {
        let mut new: Vec<Process> = Vec::new();
        while found.len() + new.len() < count {
            match Process::start() {
                Ok(process) => new.push(process),
                // Fewer do it.
                Err(_) if !(found.is_empty() && new.is_empty()) => break,
                Err(error) => return Err(error),
            }
        }
        for process in new {
            found.push(process.ready_or_another(stop)?);
        }
        Ok(())
    });
    *lock(&STARTED) += wall;
    result.map(|()| found)
}

/// One in the place of one that was lost.
///
/// # Errors
/// As [`ready`].
pub fn another(stop: &Stop) -> io::Result<Process> {
    let idle = lock(&IDLE).pop();
    if let Some(mut process) = idle
        && process.is_alive()
    {
        return Ok(process);
    }
    Process::start()?.ready_or_another(stop)
}

impl Process {
    fn start() -> io::Result<Process> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut child = service::command("worker", &[])?
            .stdin(Stdio::piped())
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()?;
        let life = child.stdin.take();
        Ok(Process { child, _life: life, socket, stage: 0, tables: Vec::new() })
    }

    /// Waits until it is there. One that ends before is replaced, but not again and again.
    fn ready_or_another(mut self, stop: &Stop) -> io::Result<Process> {
        for _ in 1..ATTEMPTS {
            match self.wait_until_ready(stop) {
                Ok(()) => return Ok(self),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                Err(_) => self = Process::start()?,
            }
        }
        self.wait_until_ready(stop).map(|()| self)
    }

    fn wait_until_ready(&mut self, stop: &Stop) -> io::Result<()> {
        let begun = Instant::now();
        while !self.has_answer() {
            if stop.is_raised() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if begun.elapsed() > START {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        receive::<Ready>(&self.socket).map(drop)
    }

    fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Does a task of a stage, of which it is told at the first one; what the task gave.
    pub fn task(
        &mut self,
        stage: &Ordered,
        order: &Order,
        bytes: &[u8],
        stop: &Stop,
    ) -> Result<(Done, Vec<u8>), Missing> {
        let asked = self.tell(stage).and_then(|()| send(&self.socket, order, bytes));
        asked.map_err(|error| self.lost(&error))?;
        self.answer(stage, stop)
    }

    /// The same, where the process is killed before it can answer; how it ended.
    pub fn task_and_kill(&mut self, stage: &Ordered, order: &Order, bytes: &[u8]) -> Missing {
        let _ = self.tell(stage).and_then(|()| send(&self.socket, order, bytes));
        self.lost(&io::ErrorKind::BrokenPipe.into())
    }

    /// What the task gave, after the calls that it needs.
    fn answer(&mut self, stage: &Ordered, stop: &Stop) -> Result<(Done, Vec<u8>), Missing> {
        let mut since: Option<Instant> = None;
        loop {
            while !self.has_answer() {
                if since.is_none() && stop.is_raised() {
                    since = Some(Instant::now());
                    let _ = send(&self.socket, &Order::Stop { stage: stage.id() }, &[]);
                }
                if since.is_some_and(|since| since.elapsed() > PATIENCE) {
                    let _ = self.child.kill();
                    return Err(Missing::Stopped);
                }
            }
            let (answer, bytes) = receive(&self.socket).map_err(|error| self.lost(&error))?;
            let (error, bytes) = match answer {
                Answer::Done(done) => return Ok((done, bytes)),
                Answer::Call { function, rows } => match stage.call(&function, rows, &bytes) {
                    Ok(values) => (None, values),
                    Err(error) => (Some(error), Vec::new()),
                },
            };
            send(&self.socket, &Order::Called { error }, &bytes).map_err(|error| self.lost(&error))?;
        }
    }

    /// What the stage cost it.
    pub fn finish(&mut self) -> io::Result<Spent> {
        send(&self.socket, &Order::Finish, &[])?;
        self.stage = 0;
        receive(&self.socket).map(|(spent, _)| spent)
    }

    /// Keeps it for other runs.
    pub fn release(mut self) {
        if self.is_alive() {
            lock(&IDLE).push(self);
        }
    }

    /// Tells it of a stage and of the tables that this reads.
    fn tell(&mut self, stage: &Ordered) -> io::Result<()> {
        if self.stage == stage.id() {
            return Ok(());
        }
        for table in stage.tables() {
            match self.tables.iter().position(|(id, _)| *id == table.id) {
                Some(place) => {
                    let last = self.tables.remove(place);
                    self.tables.push(last);
                }
                None => {
                    let shared = table.shared()?;
                    let head = Order::Table { id: table.id, schema: table.table.schema().clone() };
                    send_shared(&self.socket, &head, shared)?;
                    self.tables.push((table.id, table.table.data_bytes()));
                }
            }
        }
        self.forget(stage.tables().len());
        send(&self.socket, &stage.order(self.tables.iter().map(|(id, _)| *id).collect()), &[])?;
        self.stage = stage.id();
        Ok(())
    }

    /// Forgets tables that were not used for long, but not the last ones.
    fn forget(&mut self, used: usize) {
        let others = self.tables.len().saturating_sub(used);
        let mut left = MOST_BESIDE;
        let mut first = others;
        while first > 0 && self.tables[first - 1].1 <= left {
            left -= self.tables[first - 1].1;
            first -= 1;
        }
        self.tables.drain(..first);
    }

    /// Whether there is something to receive, if only that it has ended. Waits for a moment.
    fn has_answer(&self) -> bool {
        const LOOK: libc::c_int = 5;
        let mut file = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one structure, which outlives the call.
        unsafe { libc::poll(&raw mut file, 1, LOOK) > 0 }
    }

    /// It is gone, or will be.
    fn lost(&mut self, error: &io::Error) -> Missing {
        let _ = self.child.kill();
        let ended = self.child.wait();
        Missing::Lost(ended.map_or_else(|_| error.to_string(), ended_by))
    }
}

fn ended_by(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("status {code}"),
        (None, None) => "it is not known how".to_string(),
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
