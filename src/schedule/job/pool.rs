//! The tasks of a step, on threads of this process or on worker processes, each attempt of which is recorded.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, Scope, scope};
use std::time::{Duration, Instant};

use crate::data::generate;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::measure::{self, Clock, ThreadCpu};
use crate::run_context::{Counters, RunContext};
use crate::schedule::workers::{Failure, Hand, Processes};

use super::log::{Attempt, StepKind};
use super::memory::of_task;

/// Who does the tasks of a job.
pub struct Pool<'c> {
    pub context: &'c RunContext,
    /// When the job has begun.
    pub start: Instant,
    /// The chance that an attempt is lost, and the seed of these losses.
    pub chaos: f64,
    pub seed: i64,
    /// How often a task is tried.
    pub tries: usize,
    /// Whether the number of workers follows that of the tasks that wait, up to the most.
    pub grows: bool,
    /// None: threads of this process.
    pub processes: Option<Processes>,
}

/// Tasks whose place is known before they begin.
#[derive(Clone, Copy)]
pub struct Tasks<'t> {
    pub round: usize,
    pub kind: StepKind,
    pub count: usize,
    /// What a task works on, for errors.
    pub input: &'t (dyn Fn(usize) -> String + Sync),
}

/// Does a task; with a hand, where worker processes do it.
pub type Do<'w, T> = dyn Fn(usize, Option<&mut Hand>) -> Result<T, Failure> + Sync + 'w;

/// What the threads of a step share.
struct Step<'s, T> {
    tasks: Tasks<'s>,
    work: &'s Do<'s, T>,
    next: AtomicUsize,
    /// The first task that failed.
    failed: AtomicUsize,
    finished: AtomicUsize,
    /// Threads that were started, and that have not ended.
    started: AtomicUsize,
    active: AtomicUsize,
    outputs: Mutex<Vec<Option<Fallible<T>>>>,
    attempts: Mutex<Vec<Attempt>>,
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

impl Pool<'_> {
    /// Does all tasks; what they give is in their order.
    ///
    /// # Errors
    /// Of the tasks that fail, that of the first one in their order.
    pub fn run<T: Send>(&self, tasks: Tasks, work: &Do<T>) -> Fallible<(Vec<T>, Vec<Attempt>)> {
        let (outputs, attempts) = self.run_each(tasks, work)?;
        Ok((outputs.into_iter().collect::<Fallible<Vec<T>>>()?, attempts))
    }

    /// The same, where it may be that what comes after a failure is not wanted.
    ///
    /// # Errors
    /// [`Kind::Stopped`].
    pub fn run_each<T: Send>(&self, tasks: Tasks, work: &Do<T>) -> Fallible<(Vec<Fallible<T>>, Vec<Attempt>)> {
        let step = Step {
            tasks,
            work,
            next: AtomicUsize::new(0),
            failed: AtomicUsize::new(usize::MAX),
            finished: AtomicUsize::new(0),
            started: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            outputs: Mutex::new((0..tasks.count).map(|_| None).collect()),
            attempts: Mutex::default(),
            panic: Mutex::default(),
        };
        self.tell(&step, 0);
        if let Some(watch) = &self.context.monitor {
            watch.stage(tasks.kind.name(), Some(tasks.count));
        }
        let most = self.context.workers.min(tasks.count);
        if most <= 1 && self.processes.is_none() {
            self.work_on(&step, 0, None);
        } else {
            scope(|scope| {
                let first = if self.grows { 1 } else { most.max(1) };
                // Where the system allows no more threads, fewer do it.
                if (0..first).take_while(|_| self.start(&step, scope)).count() == 0 {
                    self.work_on(&step, 0, None);
                }
            });
        }
        if let Some(payload) = step.panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(payload);
        }
        self.context.stop.check()?;
        let outputs = step.outputs.into_inner().unwrap_or_else(PoisonError::into_inner);
        let not_done = || Diagnostic::new(Kind::System, "a task of the job was not done");
        // Those after one that failed were not begun.
        let outputs = outputs.into_iter().map(|output| output.unwrap_or_else(|| Err(not_done()))).collect();
        let mut attempts = step.attempts.into_inner().unwrap_or_else(PoisonError::into_inner);
        attempts.sort_by_key(|attempt| (attempt.task, attempt.attempt));
        Ok((outputs, attempts))
    }

    fn tell<T>(&self, step: &Step<T>, done: usize) {
        let Tasks { round, kind, count, .. } = step.tasks;
        self.context.progress.tell(format!("round {round} · {}: {done} of {count} tasks", kind.name()));
    }

    /// Starts one more worker; whether the system allows it.
    fn start<'scope, 'env: 'scope, T: Send>(
        &'env self,
        step: &'env Step<T>,
        scope: &'scope Scope<'scope, 'env>,
    ) -> bool {
        let number = step.started.fetch_add(1, Ordering::Relaxed);
        step.active.fetch_add(1, Ordering::Relaxed);
        let work = move || {
            self.work_on(step, number, Some(scope));
            step.active.fetch_sub(1, Ordering::Relaxed);
            measure::flush();
        };
        let has_started = Builder::new().name(format!("task-{number}")).spawn_scoped(scope, work).is_ok();
        if !has_started {
            step.active.fetch_sub(1, Ordering::Relaxed);
        }
        has_started
    }

    /// Does one task after the other, until none is left.
    fn work_on<'scope, 'env: 'scope, T: Send>(
        &'env self,
        step: &'env Step<T>,
        worker: usize,
        scope: Option<&'scope Scope<'scope, 'env>>,
    ) {
        let _limited = self.context.limited();
        let mut hand = self.processes.as_ref().map(Processes::hand);
        loop {
            let task = step.next.fetch_add(1, Ordering::Relaxed);
            let count = step.tasks.count;
            // Tasks before one that failed were all begun: the first error is known when they end.
            if task >= count || step.failed.load(Ordering::Relaxed) < task || self.context.stop.is_raised() {
                break;
            }
            if let Some(scope) = scope.filter(|_| self.grows)
                && count - task - 1 > 0
                && step.active.load(Ordering::Relaxed) < self.context.workers
            {
                self.start(step, scope);
            }
            let done = catch_unwind(AssertUnwindSafe(|| {
                let (output, made) =
                    self.context.within_limit(|| Ok(self.attempts(step, task, worker, hand.as_mut())))?;
                step.attempts.lock().unwrap_or_else(PoisonError::into_inner).extend(made);
                output
            }));
            let output = match done {
                Ok(output) => output.map_err(|error| of_task(error, step.tasks, task, self.context)),
                Err(payload) => {
                    *step.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
                    step.failed.store(0, Ordering::Relaxed);
                    break;
                }
            };
            if output.is_err() {
                step.failed.fetch_min(task, Ordering::Relaxed);
            }
            step.outputs.lock().unwrap_or_else(PoisonError::into_inner)[task] = Some(output);
            self.tell(step, step.finished.fetch_add(1, Ordering::Relaxed) + 1);
        }
    }

    /// Does a task until an attempt is not lost, and does not fail for a reason that another may not meet.
    fn attempts<T>(
        &self,
        step: &Step<T>,
        task: usize,
        worker: usize,
        mut hand: Option<&mut Hand>,
    ) -> (Fallible<T>, Vec<Attempt>) {
        let (mut made, mut tries) = (Vec::new(), 0);
        loop {
            let attempt = made.len() + 1;
            let (start, cpu) = (self.start.elapsed(), ThreadCpu.now());
            let is_killed = self.is_lost(step.tasks, task, attempt);
            if let Some(hand) = &mut hand {
                hand.is_killed = is_killed;
            }
            let mut work = || {
                Counters::attempt(|| match self.context.stop.check() {
                    Ok(()) => (step.work)(task, hand.as_deref_mut()),
                    Err(error) => Err(error.into()),
                })
            };
            let (output, counted) = match &self.context.monitor {
                Some(watch) => watch.task(worker, task, work, |(output, _)| output.is_ok() && !is_killed),
                None => work(),
            };
            let cpu = Duration::from_nanos(ThreadCpu.now().saturating_sub(cpu));
            let again = match &output {
                Ok(_) => is_killed,
                Err(_) if is_killed && hand.is_some() => true,
                Err(Failure::Lost(_)) => true,
                Err(Failure::Error(error)) => self.may_be_tried_again(error),
            };
            tries += usize::from(again && !is_killed);
            made.push(Attempt {
                round: step.tasks.round,
                kind: step.tasks.kind,
                task,
                attempt,
                worker,
                start,
                end: self.start.elapsed(),
                cpu: cpu + hand.as_ref().map_or(Duration::ZERO, |hand| hand.cpu),
                lost: again,
            });
            if !again {
                // Nothing of an attempt that was lost counts.
                self.context.counters.commit(&counted);
            }
            match output {
                Ok(output) if !again => return (Ok(output), made),
                Err(Failure::Error(error)) if !again => return (Err(error), made),
                Err(failure) if tries >= self.tries => return (Err(self.given_up(step.tasks, task, failure)), made),
                _ => {}
            }
        }
    }

    /// Whether what failed may do better the next time: not where the data is wrong.
    fn may_be_tried_again(&self, error: &Diagnostic) -> bool {
        match error.kind {
            Kind::Rust | Kind::System => true,
            Kind::Syntax
            | Kind::File
            | Kind::Name
            | Kind::Type
            | Kind::Overflow
            | Kind::ZeroDivision
            | Kind::Domain
            | Kind::Depth
            | Kind::Shape
            | Kind::Stopped
            | Kind::Claim
            | Kind::Objection
            | Kind::Memory
            | Kind::Warning => false,
        }
    }

    /// The error of a task that was tried often enough, with what it works on.
    fn given_up(&self, tasks: Tasks, task: usize, failure: Failure) -> Box<Diagnostic> {
        let tried = match self.tries {
            1 => "once".to_string(),
            tries => format!("{tries} times"),
        };
        let (kind, input) = (tasks.kind.name(), (tasks.input)(task));
        match failure {
            Failure::Lost(how) => {
                let message = format!("the worker process of a {kind} task ended {tried} ({how}): {input}");
                Diagnostic::new(Kind::System, message).hint("--on threads runs it in this process")
            }
            Failure::Error(error) => {
                let message = format!("{} (a {kind} task, tried {tried}: {input})", error.message);
                Box::new(Diagnostic { message, ..*error })
            }
        }
    }

    /// Whether nothing is left of an attempt: the same ones in each run with the same seed.
    fn is_lost(&self, tasks: Tasks, task: usize, attempt: usize) -> bool {
        let place = [tasks.round, tasks.kind as usize, task, attempt];
        let mixed = place.iter().fold(self.seed, |seed, number| generate::mix(seed, *number as u64) as i64);
        ((mixed as u64 >> 11) as f64) / ((1u64 << 53) as f64) < self.chaos
    }
}
