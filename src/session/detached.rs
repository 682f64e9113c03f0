//! Runs that may not stop when they are told: on a thread of their own, which is left behind where it takes too long.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::data::{Table, Type};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{self, Engine, EngineOutput, StreamOutput};
use crate::measure::{self, Clock};
use crate::plan::{Expr, Node, Op, Prepared};
use crate::run_context::{RunContext, Stop, TableSink};

use super::Session;
use super::run::{Delivered, Nowhere, known_rows, run_on, stream_counted};

/// How often the person's stop flag is looked at, and how long a run then has. Both together are under 100 ms.
const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_millis(50);
/// Where nobody types the process ends with the cell, which takes its time too.
const PATIENCE_ALONE: Duration = Duration::from_millis(10);
const PATIENCE_ELSEWHERE: Duration = Duration::from_millis(2500);

/// Work that is repeated and takes longer may be left behind; to start a thread for it takes no thousandth of its time.
const LONG: Duration = Duration::from_millis(50);

/// The work that was stopped and has not ended yet: the other end is dropped when it does. The session shares it with
/// what is run again and again.
#[derive(Clone, Default)]
pub struct Left(Rc<RefCell<Option<Receiver<()>>>>);

impl Session {
    /// Runs a plan on an engine; where somebody waits and it may take long, so that the prompt can come back.
    pub(super) fn run_stoppably(
        &self,
        plan: &Prepared,
        engine: &'static dyn Engine,
        context: &RunContext,
    ) -> Fallible<EngineOutput> {
        let inner = plan.clone();
        self.do_stoppably(plan, engine, context, move |context| run_on(&inner, engine, context))
    }

    /// Does the work of a plan on an engine; where somebody waits and it may take long, so that the prompt can come
    /// back.
    pub(super) fn do_stoppably<T: Send + 'static>(
        &self,
        plan: &Prepared,
        engine: &'static dyn Engine,
        context: &RunContext,
        work: impl FnOnce(&RunContext) -> Fallible<T> + Send + 'static,
    ) -> Fallible<T> {
        match self.patience(plan, engine) {
            Some(patience) => self.left.run(engine.name(), context, patience, work),
            None => work(context),
        }
    }

    /// How long a run of a plan is waited for once it is stopped; none where it is done here, to its end.
    fn patience(&self, plan: &Prepared, engine: &'static dyn Engine) -> Option<Duration> {
        // To free what many threads or calls of code hold may take long; whatever they do ends with the process.
        let is_left = self.attended || engine.is_parallel() || plan.calls_external();
        let patience = match (engine.elsewhere(), self.attended) {
            // An engine elsewhere is told to stop, and says whether it did.
            (Some(_), _) => PATIENCE_ELSEWHERE,
            (None, true) => PATIENCE,
            (None, false) => PATIENCE_ALONE,
        };
        (is_left && !is_short(plan)).then_some(patience)
    }

    /// Runs a plan on an engine, whose rows go to a sink as they come; where somebody waits and it may take long, so
    /// that the prompt can come back.
    pub(super) fn stream_stoppably(
        &self,
        plan: &Prepared,
        engine: &'static dyn Engine,
        sink: &mut dyn TableSink,
        context: &RunContext,
    ) -> Fallible<(StreamOutput, Delivered)> {
        let Some(patience) = self.patience(plan, engine) else {
            return stream_counted(plan, engine, sink, context);
        };
        let inner = plan.clone();
        let work = move |context: &RunContext, sink: &mut dyn TableSink| stream_counted(&inner, engine, sink, context);
        self.left.stream(engine.name(), context, patience, work, sink)
    }

    /// For work that is run again and again where somebody waits.
    pub fn detached(&self) -> Option<Detached> {
        self.attended.then(|| Detached { left: self.left.clone(), long: Cell::new(true) })
    }

    /// The same for a plan, if it may take long.
    pub(super) fn detached_for(&self, plan: &Prepared) -> Option<Detached> {
        self.detached().filter(|_| !is_short(plan))
    }

    /// Waits for the end of a run that was left behind: beside it nothing can be measured.
    ///
    /// # Errors
    /// [`Kind::Stopped`], where the person does not want to wait.
    pub fn settle(&self, context: &RunContext) -> Fallible<()> {
        let Some(left) = self.left.0.take() else { return Ok(()) };
        if !matches!(left.try_recv(), Err(TryRecvError::Empty)) {
            return Ok(());
        }
        (context.log)("waiting until the stopped run ends");
        while matches!(left.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout)) {
            if context.stop.is_raised() {
                self.left.0.replace(Some(left));
                return Err(Diagnostic::new(Kind::Stopped, "stopped: the earlier run has not ended yet"));
            }
        }
        Ok(())
    }
}

/// Work of one kind, as often as it is asked for.
pub struct Detached {
    left: Left,
    /// Whether the last time took long; not known before the first.
    long: Cell<bool>,
}

impl Detached {
    /// Whether the next time should go through [`Detached::run`]; otherwise it is better done here.
    pub fn is_long(&self) -> bool {
        self.long.get()
    }

    /// Does it on a thread of its own, whose CPU time counts as that of this thread.
    ///
    /// # Errors
    /// Its own, and [`Kind::Stopped`] where it was left behind.
    pub fn run<T: Send + 'static>(
        &self,
        name: &str,
        context: &RunContext,
        work: impl FnOnce(&RunContext) -> Fallible<T> + Send + 'static,
    ) -> Fallible<T> {
        let start = Instant::now();
        let is_elsewhere = engines::find(name).is_some_and(|engine| engine.elsewhere().is_some());
        let patience = if is_elsewhere { PATIENCE_ELSEWHERE } else { PATIENCE };
        let result = self.left.run(name, context, patience, work);
        self.long.set(start.elapsed() >= LONG);
        result
    }
}

impl Left {
    fn run<T: Send + 'static>(
        &self,
        name: &str,
        context: &RunContext,
        patience: Duration,
        work: impl FnOnce(&RunContext) -> Fallible<T> + Send + 'static,
    ) -> Fallible<T> {
        self.stream(name, context, patience, |context, _| work(context), &mut Nowhere)
    }

    /// The same, where the work hands rows to a sink, which takes them on this thread.
    fn stream<T: Send + 'static>(
        &self,
        name: &str,
        context: &RunContext,
        patience: Duration,
        work: impl FnOnce(&RunContext, &mut dyn TableSink) -> Fallible<T> + Send + 'static,
        sink: &mut dyn TableSink,
    ) -> Fallible<T> {
        // The flag of the session is lowered for the next cell, that of this work stays up.
        let stop = Stop::default();
        let theirs = RunContext { stop: stop.clone(), ..context.clone() };
        // Rows wait for the sink, not the sink for rows.
        let ((told, tells), (alive, end)) = (sync_channel(WAITING), channel());
        let run = move |sink: &mut dyn TableSink| {
            let _alive = alive;
            let result = work(&theirs, sink);
            let result = match result {
                Err(error) if error.kind == Kind::Stopped => Err(error),
                result => theirs.stop.check().and(result),
            };
            measure::flush();
            result
        };
        let system = |message: String| Diagnostic::new(Kind::System, message);
        let run = Arc::new(Mutex::new(Some(run)));
        let take = |run: &Mutex<Option<_>>| run.lock().unwrap_or_else(PoisonError::into_inner).take();
        let theirs = run.clone();
        let thread = std::thread::Builder::new().name(name.to_string()).spawn(move || {
            if let Some(run) = take(&theirs) {
                let result = run(&mut Handed(told.clone()));
                // Nobody may be there any more to take it.
                let _ = told.send(Told::Done(result, measure::ThreadCpu.now(), measure::thread_queued()));
            }
        });
        // Where no thread can be started it is done here: then it cannot be left behind.
        if let Some(run) = thread.err().and_then(|_| take(&run)) {
            return run(sink);
        }
        let mut stopped: Option<Instant> = None;
        let mut failure = None;
        loop {
            // A run that was stopped has no more than its patience, however often that is looked at.
            let rest = stopped.map_or(LOOK, |since| patience.saturating_sub(since.elapsed()).min(LOOK));
            match tells.recv_timeout(rest) {
                Ok(Told::Done(result, cpu, queued)) => {
                    measure::add_thread_cpu(cpu);
                    measure::add_thread_queued(queued.unwrap_or_default());
                    return failure.map_or(result, Err);
                }
                Ok(Told::Rows(rows)) if failure.is_none() && !context.stop.is_raised() => {
                    failure = sink.take(&rows).err();
                    if failure.is_some() {
                        stop.raise();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(system(format!("`{name}` ended unexpectedly"))),
                Err(RecvTimeoutError::Timeout) if !context.stop.is_raised() => {}
                Ok(Told::Rows(_)) | Err(RecvTimeoutError::Timeout) => {
                    stop.raise();
                    if stopped.get_or_insert_with(Instant::now).elapsed() >= patience {
                        self.0.replace(Some(end));
                        let message = match patience {
                            PATIENCE_ALONE => "stopped".to_string(),
                            _ => format!(
                                "stopped: `{name}` is in a step that cannot be interrupted; the next run waits until \
                                 it ends"
                            ),
                        };
                        return Err(Diagnostic::new(Kind::Stopped, message));
                    }
                }
            }
        }
    }
}

/// So many tables wait for a sink.
const WAITING: usize = 4;

/// What a thread tells the one that waits for it.
enum Told<T> {
    Rows(Table),
    /// The result, and the thread's CPU time and the time that it waited for a processor.
    Done(Fallible<T>, u64, Option<u64>),
}

/// A sink on another thread.
struct Handed<T>(SyncSender<Told<T>>);

impl<T> TableSink for Handed<T> {
    fn take(&mut self, rows: &Table) -> Fallible<bool> {
        let left = |_| Diagnostic::new(Kind::Stopped, "stopped: nobody takes the rows any more");
        self.0.send(Told::Rows(rows.clone())).map_err(left).map(|()| true)
    }
}

/// Whether a plan has so few rows that a thread would be noticed in its time.
fn is_short(plan: &Prepared) -> bool {
    let multiplies = |op: &Op| matches!(op, Op::Join { .. } | Op::Explode(_) | Op::Pairs | Op::Concat(_) | Op::Zip(_));
    let rows = known_rows(&plan.source.op);
    rows.is_some_and(|rows| rows <= 10_000)
        && !plan.steps.iter().any(|step| multiplies(&step.op) || step.op.exprs().into_iter().any(makes_long_values))
        && !plan.functions.iter().any(|function| makes_long_values(&function.body))
}

/// Whether few rows may be much work all the same: what makes texts or lists may make long ones.
fn makes_long_values(expr: &Expr) -> bool {
    let mut makes = false;
    expr.walk(&mut |part| {
        let is_made = !matches!(part.node, Node::Const(_) | Node::Column(_) | Node::Parameter(_) | Node::Acc);
        makes |= is_made && matches!(part.ty, Type::Text | Type::List(_));
    });
    makes
}
