//! Worker processes in the hands of a job: a thread of the job has one, and asks it for one task after the other.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::measure::Cost;
use crate::run_context::{MEMORY_HINT, RunContext, Stop};
use crate::schedule::job::{Given, Task};

use super::message::Order;
use super::order::Ordered;
use super::process::{Missing, Process, another, ready};
use super::{not_started, stopped};

/// Those that a job uses.
pub struct Processes {
    free: Mutex<Vec<Process>>,
    /// What each may hold above what an idle one holds, in bytes.
    pub memory: u64,
    cost: Mutex<Cost>,
}

/// One of them, of a thread of the job.
pub struct Hand<'p> {
    all: &'p Processes,
    process: Option<Process>,
    /// Whether the process is to be killed while it does the next task.
    pub is_killed: bool,
    /// CPU time of the last task.
    pub cpu: Duration,
}

/// Why a task gave nothing.
pub enum Failure {
    Error(Box<Diagnostic>),
    /// Its process is gone; how it ended.
    Lost(String),
}

impl From<Box<Diagnostic>> for Failure {
    fn from(error: Box<Diagnostic>) -> Failure {
        Failure::Error(error)
    }
}

impl Processes {
    /// So many that are ready.
    ///
    /// # Errors
    /// Where the system starts none, and where the run is stopped.
    pub fn start(count: usize, memory: u64, stop: &Stop) -> Fallible<Processes> {
        let free = ready(count, stop).map_err(|error| not_started(&error, stop))?;
        Ok(Processes { free: Mutex::new(free), memory, cost: Mutex::default() })
    }

    pub fn hand(&self) -> Hand<'_> {
        let process = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Hand { all: self, process, is_killed: false, cpu: Duration::ZERO }
    }

    /// The round is over: what the tasks so far cost.
    pub fn finish(&self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cost = self.cost.lock().unwrap_or_else(PoisonError::into_inner);
        free.retain_mut(|process| match process.finish() {
            Ok(spent) => {
                *cost = cost.beside(&spent.cost);
                true
            }
            Err(_) => false,
        });
    }

    pub fn cost(&self) -> Cost {
        self.cost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.finish();
        let free = self.free.get_mut().unwrap_or_else(PoisonError::into_inner);
        free.drain(..).for_each(Process::release);
    }
}

impl Hand<'_> {
    /// Has a task done.
    ///
    /// # Errors
    /// That of the task, or that its process is gone.
    pub fn ask(
        &mut self,
        ordered: &Ordered,
        task: Task,
        bytes: &[u8],
        context: &RunContext,
    ) -> Result<(Given, Vec<u8>), Failure> {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => another(&context.stop).map_err(|error| not_started(&error, &context.stop))?,
        };
        let order = Order::JobTask(task);
        self.cpu = Duration::ZERO;
        let answer = match std::mem::take(&mut self.is_killed) {
            true => Err(process.task_and_kill(ordered, &order, bytes)),
            false => process.task(ordered, &order, bytes, &context.stop),
        };
        match answer {
            Ok((done, output)) => {
                self.process = Some(process);
                self.cpu = done.cpu;
                done.note(context);
                context.counters.commit(&done.counters);
                match (done.error, done.given) {
                    (Some(error), _) => Err(self.of_job(error, context).into()),
                    (None, Some(given)) => Ok((given, output)),
                    (None, None) => Err(Diagnostic::new(Kind::System, "a worker gave nothing").into()),
                }
            }
            Err(Missing::Stopped) => Err(stopped(&context.stop).into()),
            Err(Missing::Lost(how)) => Err(Failure::Lost(how)),
        }
    }
}

impl Hand<'_> {
    /// The error of a task; where it is that of the process's limit, with what it is of the job's.
    fn of_job(&self, error: Box<Diagnostic>, context: &RunContext) -> Box<Diagnostic> {
        match (error.kind, error.span) {
            (Kind::Memory, None) => {
                let part = self.all.memory as f64 / 1e6;
                let message =
                    format!("a worker process was stopped: it needs more than its part of the memory ({part:.1} MB)");
                Diagnostic::new(Kind::Memory, message).hint(context.memory_hint)
            }
            (Kind::Memory, Some(_)) if error.hint.as_deref() == Some(MEMORY_HINT) => error.hint(context.memory_hint),
            _ => error,
        }
    }
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.all.free.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        }
    }
}
