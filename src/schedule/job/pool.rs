//! The tasks of a step on threads of this process, each attempt of which is recorded.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};
use std::time::Instant;

use crate::data::generate;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::measure::{self, Clock, ThreadCpu};
use crate::run_context::{Counters, RunContext};

use super::log::{Attempt, StepKind};

/// Who does the tasks of a job.
pub struct Pool<'c> {
    pub context: &'c RunContext,
    /// When the job has begun.
    pub start: Instant,
    /// The chance that an attempt is lost, and the seed of these losses.
    pub chaos: f64,
    pub seed: i64,
}

/// Tasks whose place is known before they begin.
#[derive(Clone, Copy)]
pub struct Tasks {
    pub round: usize,
    pub kind: StepKind,
    pub count: usize,
}

impl Pool<'_> {
    /// Does all tasks; what they give is in their order.
    ///
    /// # Errors
    /// Of the tasks that fail, that of the first one in their order.
    pub fn run<T: Send>(
        &self,
        tasks: Tasks,
        work: impl Fn(usize) -> Fallible<T> + Sync,
    ) -> Fallible<(Vec<T>, Vec<Attempt>)> {
        let (outputs, attempts) = self.run_each(tasks, work)?;
        Ok((outputs.into_iter().collect::<Fallible<Vec<T>>>()?, attempts))
    }

    /// The same, where it may be that what comes after a failure is not wanted.
    ///
    /// # Errors
    /// [`Kind::Stopped`].
    pub fn run_each<T: Send>(
        &self,
        tasks: Tasks,
        work: impl Fn(usize) -> Fallible<T> + Sync,
    ) -> Fallible<(Vec<Fallible<T>>, Vec<Attempt>)> {
        let Tasks { round, kind, count } = tasks;
        let (next, failed, finished) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX), AtomicUsize::new(0));
        let outputs: Mutex<Vec<Option<Fallible<T>>>> = Mutex::new((0..count).map(|_| None).collect());
        let attempts: Mutex<Vec<Attempt>> = Mutex::default();
        let panic = Mutex::new(None);
        let stop = &self.context.stop;
        let tell = |done: usize| {
            self.context.progress.tell(format!("round {round} · {}: {done} of {count} tasks", kind.name()));
        };
        tell(0);
        if let Some(watch) = &self.context.monitor {
            watch.stage(kind.name(), Some(count));
        }
        let work_on = |worker: usize| {
            let _limited = self.context.limited();
            loop {
                let task = next.fetch_add(1, Ordering::Relaxed);
                // Tasks before one that failed were all begun: the first error is known when they end.
                if task >= count || failed.load(Ordering::Relaxed) < task || stop.is_raised() {
                    break;
                }
                let output = match catch_unwind(AssertUnwindSafe(|| self.attempts(tasks, task, worker, &work))) {
                    Ok((output, made)) => {
                        attempts.lock().unwrap_or_else(PoisonError::into_inner).extend(made);
                        output
                    }
                    Err(payload) => {
                        *panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
                        failed.store(0, Ordering::Relaxed);
                        break;
                    }
                };
                if output.is_err() {
                    failed.fetch_min(task, Ordering::Relaxed);
                }
                outputs.lock().unwrap_or_else(PoisonError::into_inner)[task] = Some(output);
                tell(finished.fetch_add(1, Ordering::Relaxed) + 1);
            }
            measure::flush();
        };
        let workers = self.context.workers.min(count);
        if workers <= 1 {
            work_on(0);
        } else {
            scope(|scope| {
                let start = |number: usize| {
                    let builder = Builder::new().name(format!("task-{number}"));
                    builder.spawn_scoped(scope, move || work_on(number)).is_ok()
                };
                // Where the system allows no more threads, fewer do it.
                if (0..workers).take_while(|number| start(*number)).count() == 0 {
                    work_on(0);
                }
            });
        }
        if let Some(payload) = panic.into_inner().unwrap_or_else(PoisonError::into_inner) {
            resume_unwind(payload);
        }
        stop.check()?;
        let outputs = outputs.into_inner().unwrap_or_else(PoisonError::into_inner);
        let not_done = || Diagnostic::new(Kind::System, "a task of the job was not done");
        // Those after one that failed were not begun.
        let outputs = outputs.into_iter().map(|output| output.unwrap_or_else(|| Err(not_done()))).collect();
        let mut attempts = attempts.into_inner().unwrap_or_else(PoisonError::into_inner);
        attempts.sort_by_key(|attempt| (attempt.task, attempt.attempt));
        Ok((outputs, attempts))
    }

    /// Does a task until an attempt is not lost.
    fn attempts<T>(
        &self,
        tasks: Tasks,
        task: usize,
        worker: usize,
        work: &impl Fn(usize) -> Fallible<T>,
    ) -> (Fallible<T>, Vec<Attempt>) {
        let mut made = Vec::new();
        loop {
            let attempt = made.len() + 1;
            let (start, cpu) = (self.start.elapsed(), ThreadCpu.now());
            let work = || Counters::attempt(|| self.context.stop.check().and_then(|()| work(task)));
            let (output, counted) = match &self.context.monitor {
                Some(watch) => {
                    watch.task(worker, task, work, |(output, _)| output.is_ok() && !self.is_lost(tasks, task, attempt))
                }
                None => work(),
            };
            let lost = output.is_ok() && self.is_lost(tasks, task, attempt);
            made.push(Attempt {
                round: tasks.round,
                kind: tasks.kind,
                task,
                attempt,
                worker,
                start,
                end: self.start.elapsed(),
                cpu: std::time::Duration::from_nanos(ThreadCpu.now().saturating_sub(cpu)),
                lost,
            });
            if !lost {
                // Nothing of an attempt that was lost counts.
                self.context.counters.commit(&counted);
                return (output, made);
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
