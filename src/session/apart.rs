//! Runs that may not stop when they are told: on a thread of their own, which is left behind where it takes too long.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{Engine, Run};
use crate::job::{Job, Stop};
use crate::measure;
use crate::plan::{Op, Plan};

use super::Session;
use super::run::{known_rows, run_on};

/// How often the person's stop flag is looked at, and how long a run then has. Both together are under 100 ms.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_millis(70);

/// A timed run that takes longer may be left behind; to start a thread for it takes no thousandth of its time.
const LONG: Duration = Duration::from_millis(50);

/// The run that was stopped and has not ended yet; the session shares it with what is run again and again.
#[derive(Clone, Default)]
pub struct Left(Rc<RefCell<Option<Receiver<Fallible<Run>>>>>);

impl Session {
    /// Runs a plan on an engine; where somebody types and it may take long, so that the prompt can come back.
    pub(super) fn run_stoppably(&self, plan: &Plan, engine: &'static dyn Engine, job: &Job) -> Fallible<Run> {
        if !self.interactive || is_short(plan) {
            return run_on(plan, engine, job);
        }
        self.left.run(&Arc::new(plan.clone()), engine, job)
    }

    /// How a plan is run again and again where somebody types: what uses several threads is timed by the time that passes,
    /// which a thread of its own does not harm.
    pub(super) fn apart(&self, plan: &Plan, engine: &dyn Engine) -> Option<Apart> {
        let may_stay = self.interactive && engine.is_parallel() && !is_short(plan);
        may_stay.then(|| Apart { left: self.left.clone(), long: Cell::new(true) })
    }

    /// Waits for the end of a run that was left behind: beside it nothing can be measured.
    ///
    /// # Errors
    /// [`Kind::Stopped`], where the person does not want to wait.
    pub fn settle(&self, job: &Job) -> Fallible<()> {
        let Some(left) = self.left.0.take() else { return Ok(()) };
        if !matches!(left.try_recv(), Err(TryRecvError::Empty)) {
            return Ok(());
        }
        (job.say)("waiting for the end of the run that was stopped");
        while matches!(left.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout)) {
            if job.stop.is_raised() {
                self.left.0.replace(Some(left));
                return Err(Diagnostic::new(Kind::Stopped, "stopped: the earlier run has not ended yet"));
            }
        }
        Ok(())
    }
}

/// Runs of one plan that is timed.
pub struct Apart {
    left: Left,
    /// Whether the last one took long; not known before the first.
    long: Cell<bool>,
}

impl Apart {
    pub fn run(&self, plan: &Arc<Plan>, engine: &'static dyn Engine, job: &Job) -> Fallible<Run> {
        if !self.long.get() {
            return run_on(plan, engine, job);
        }
        let start = Instant::now();
        let run = self.left.run(plan, engine, job);
        self.long.set(start.elapsed() >= LONG);
        run
    }
}

impl Left {
    /// Runs a plan on a thread of its own.
    fn run(&self, plan: &Arc<Plan>, engine: &'static dyn Engine, job: &Job) -> Fallible<Run> {
        // The flag of the session is lowered for the next cell, that of this run stays up.
        let stop = Stop::default();
        let (plan, theirs) = (plan.clone(), Job { stop: stop.clone(), ..job.clone() });
        let (done, result) = channel();
        let run = move || {
            let result = run_on(&plan, engine, &theirs);
            let result = theirs.stop.check().and(result);
            measure::flush();
            // Nobody may be there any more to take it.
            let _ = done.send(result);
        };
        std::thread::Builder::new()
            .name(engine.name().to_string())
            .spawn(run)
            .map_err(|error| Diagnostic::new(Kind::System, format!("no thread can be started: {error}")))?;
        let mut stopped: Option<Instant> = None;
        loop {
            match result.recv_timeout(LOOK) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Diagnostic::new(Kind::System, format!("the engine `{}` broke down", engine.name())));
                }
                Err(RecvTimeoutError::Timeout) if !job.stop.is_raised() => {}
                Err(RecvTimeoutError::Timeout) => {
                    stop.raise();
                    if stopped.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                        self.0.replace(Some(result));
                        let message = format!(
                            "stopped: `{}` is still in a step that it cannot leave; the next run waits for its end",
                            engine.name()
                        );
                        return Err(Diagnostic::new(Kind::Stopped, message));
                    }
                }
            }
        }
    }
}

/// Whether a plan has so few rows that a thread would be noticed in its time.
fn is_short(plan: &Plan) -> bool {
    let multiplies = |op: &Op| matches!(op, Op::Join { .. } | Op::Explode(_) | Op::Pairs | Op::Concat(_) | Op::Zip(_));
    let rows = plan.steps.first().and_then(|step| known_rows(&step.op));
    rows.is_some_and(|rows| rows <= 10_000) && !plan.steps.iter().any(|step| multiplies(&step.op))
}
