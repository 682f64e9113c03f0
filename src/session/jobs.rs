//! Jobs: pipelines that run on threads of their own while other cells are entered.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, listed};
use crate::engines::Engine;
use crate::lang::{Pipeline, Word};
use crate::measure;
use crate::meters::Meters;
use crate::panics;
use crate::plan::{Binding, BoundOp, Kept, Plan, Prepared, Source, Step, Write};
use crate::run_context::{Counters, Counts128, Largest, Progress, ReadNotes, RunContext, Stop};
use crate::show::grouped;

use super::Session;
use super::bind::{Bound, rows_of};
use super::run::{listed as listed_files, not_a_source, run_on, write_rows};

/// The jobs of a session. Each is stopped when nothing can reach it any more.
#[derive(Default)]
pub struct Jobs {
    /// Shared, since a plan is prepared by who has the session only to read.
    all: RefCell<Vec<Rc<Job>>>,
    begun: u64,
}

/// A pipeline that runs, or has run.
pub struct Job {
    number: u64,
    pub name: String,
    pub engine: &'static str,
    pub progress: Progress,
    span: Span,
    /// Whether it writes a file, so that it is of use without a name.
    writes: bool,
    started: Instant,
    stop: Stop,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    has_ended: Condvar,
}

#[derive(Default)]
struct State {
    outcome: Option<(Fallible<Arc<Table>>, Duration)>,
    /// What it has counted, until somebody sees it.
    counted: Counts128,
    /// What it has said, such as the rows of a `peek`, which nobody has seen yet.
    said: Vec<String>,
}

/// How a job is getting on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Running,
    Done,
    Failed,
    Stopped,
}

impl JobState {
    pub fn name(self) -> &'static str {
        match self {
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Failed => "failed",
            JobState::Stopped => "stopped",
        }
    }
}

/// How often who waits for a job looks whether the user wants to wait no longer.
const LOOK: Duration = Duration::from_millis(20);

/// So many run at a time.
const MOST_JOBS: usize = 64;

impl Job {
    pub fn state(&self) -> JobState {
        match &self.shared.lock().outcome {
            None => JobState::Running,
            Some((Ok(_), _)) => JobState::Done,
            Some((Err(error), _)) if error.kind == Kind::Stopped => JobState::Stopped,
            Some((Err(_), _)) => JobState::Failed,
        }
    }

    /// Since it began, or until it ended.
    pub fn elapsed(&self) -> Duration {
        self.shared.lock().outcome.as_ref().map_or_else(|| self.started.elapsed(), |(_, wall)| *wall)
    }

    /// Of the result, once it is there.
    pub fn rows(&self) -> Option<u64> {
        let state = self.shared.lock();
        state.outcome.as_ref().and_then(|(result, _)| result.as_ref().ok()).map(|table| table.height() as u64)
    }

    pub fn stop(&self) {
        self.stop.raise();
    }

    /// Waits for its end, and gives what came of it.
    ///
    /// # Errors
    /// Its own, and [`Kind::Stopped`] where the user does not want to wait.
    fn wait(&self, context: &RunContext) -> Fallible<Arc<Table>> {
        let mut state = self.shared.lock();
        loop {
            for line in std::mem::take(&mut state.said) {
                (context.log)(&line);
            }
            context.counters.commit(&std::mem::take(&mut state.counted));
            if let Some((result, _)) = &state.outcome {
                return result.clone().map_err(|error| self.failure(*error));
            }
            if context.stop.is_raised() {
                let message = format!("stopped: the job `{0}` goes on; %jobs stop {0} ends it", self.name);
                return Err(Diagnostic::new(Kind::Stopped, message));
            }
            context.progress.tell(format!("waiting for the job {}: {}", self.name, self.so_far().unwrap_or_default()));
            let waited = self.shared.has_ended.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Its error for who uses it: that it was stopped is no stop of the cell.
    fn failure(&self, error: Diagnostic) -> Box<Diagnostic> {
        match error.kind {
            Kind::Stopped => Diagnostic::at(Kind::System, self.span, format!("the job `{}` was stopped", self.name))
                .hint(format!("start it again: let {} = spawn …", self.name)),
            _ => Box::new(error),
        }
    }

    /// How far it has come, in words.
    pub fn said_progress(&self) -> String {
        match self.state() {
            JobState::Done => "100 %".to_string(),
            JobState::Running | JobState::Failed | JobState::Stopped => {
                self.so_far().unwrap_or_else(|| "0 %".to_string())
            }
        }
    }

    /// What it has read, in words.
    fn so_far(&self) -> Option<String> {
        let ((done, all), rows) = (self.progress.bytes(), self.progress.rows());
        match () {
            () if all > 0 && done > 0 => Some(format!("{:.0} %", 100.0 * done.min(all) as f64 / all as f64)),
            () if rows > 0 => Some(format!("{} rows", grouped(rows))),
            () => None,
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.stop.raise();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread of a job does.
struct Work {
    plan: Prepared,
    engine: &'static dyn Engine,
    write: Option<(Write, Span)>,
    /// What was written behind `spawn`.
    span: Span,
}

impl Work {
    fn run(&self, context: &RunContext) -> Fallible<Arc<Table>> {
        let table = match &self.write {
            None => run_on(&self.plan, self.engine, context)?.table,
            Some((write, span)) => {
                let (_, written) = write_rows(&self.plan, self.engine, write, *span, context)?;
                listed_files(&written)
            }
        };
        context.stop.check()?;
        Ok(Arc::new(table))
    }
}

impl Session {
    /// `let name = spawn PIPELINE`
    pub(super) fn spawn(&mut self, name: &Word, pipeline: &Pipeline, context: &RunContext) -> Fallible<()> {
        let mut running = self.jobs.all.borrow().iter().filter(|job| job.state() == JobState::Running).count();
        running += 1;
        if running > MOST_JOBS {
            let message = format!("{MOST_JOBS} jobs run already, and no more can");
            return Err(Diagnostic::at(Kind::System, name.span, message).hint("%jobs stop NAME ends one"));
        }
        let choice = self.engine(pipeline.on.as_ref())?;
        let plan = match self.bind_marked(pipeline)?.0 {
            Bound::Table(plan) => plan,
            Bound::Value(value, ty) => rows_of(value, ty, pipeline.span),
        };
        let (schema, measured) = (plan.schema().clone(), plan.measured.clone());
        let (plan, end) = plan.split_end();
        let write = match end {
            None => None,
            Some(Step { op: BoundOp::Write(write), span, .. }) => {
                not_a_source(&plan, &write, span)?;
                Some((write, span))
            }
            Some(Step { span, .. }) => {
                return Err(Diagnostic::at(Kind::Syntax, span, "a job gives one table, so it cannot contain `tee`")
                    .hint("start a job for each: let a = spawn …; let b = spawn …"));
            }
        };
        // What is kept already is used; what is not is the job's own to compute.
        let plan = self.without_unkept(plan);
        let plan = self.prepared(plan, choice, context)?;
        let (engine, _) = self.engine_for(&plan, choice)?;
        if let Some(reason) = cannot_be_a_job(&plan, engine) {
            return Err(Diagnostic::at(Kind::Objection, pipeline.span, reason).hint("run it without `spawn`"));
        }
        let work = Work { plan, engine, write, span: pipeline.span };
        let job = self.start_job(name, work, context)?;
        let step = Step { op: BoundOp::Job(job), schema, span: name.span };
        self.give(name, Binding::Table(Arc::new(Plan { measured, ..Plan::of(vec![step]) })));
        Ok(())
    }

    /// Starts the thread; the number of the job.
    fn start_job(&mut self, name: &Word, work: Work, context: &RunContext) -> Fallible<u64> {
        let shared = Arc::new(Shared::default());
        let (stop, progress) = (Stop::default(), Progress::default());
        let theirs = shared.clone();
        let log = Arc::new(move |line: &str| theirs.lock().said.push(line.to_string()));
        let own = RunContext {
            stop: stop.clone(),
            progress: progress.clone(),
            read_notes: ReadNotes::default(),
            counters: Counters::default(),
            log,
            is_job: true,
            meters: Meters::default(),
            largest: Largest::default(),
            monitor: None,
            ..context.clone()
        };
        let own = self.watched(&format!("{} = {}", name.text, self.words(work.span)), &own);
        self.jobs.begun += 1;
        let job = Job {
            number: self.jobs.begun,
            name: name.text.clone(),
            engine: work.engine.name(),
            progress,
            span: name.span,
            writes: work.write.is_some(),
            started: Instant::now(),
            stop,
            shared: shared.clone(),
        };
        let started = job.started;
        let run = move || {
            let result = panics::caught(|| work.run(&own)).unwrap_or_else(|panic| {
                Err(Diagnostic::new(Kind::System, format!("timelab itself fails at this job: {panic}")))
            });
            // Whatever it ran into, it was the stop that was meant.
            let result = own.stop.check().and(result);
            measure::flush();
            if let Some(watch) = &own.monitor {
                watch.end(match &result {
                    Ok(_) => "done",
                    Err(error) if error.kind == Kind::Stopped => "stopped",
                    Err(_) => "failed",
                });
            }
            let mut state = shared.lock();
            state.counted = own.counters.each();
            state.outcome = Some((result, started.elapsed()));
            drop(state);
            shared.has_ended.notify_all();
        };
        std::thread::Builder::new().name(format!("job-{}", job.number)).spawn(run).map_err(|error| {
            Diagnostic::at(Kind::System, name.span, format!("the system lets timelab start no thread: {error}"))
        })?;
        let number = job.number;
        self.jobs.all.borrow_mut().push(Rc::new(job));
        Ok(number)
    }

    /// `wait name`: waits for the end of a job.
    ///
    /// # Errors
    /// Its own, and that there is no such job.
    pub(super) fn wait_for(&self, name: &Word, context: &RunContext) -> Fallible<()> {
        let number = match self.lookup(&name.text) {
            Some(Binding::Table(plan)) => plan.job(),
            _ => None,
        };
        match number {
            Some(number) => self.job(number, name.span)?.wait(context).map(drop),
            None => Err(not_a_job(name)),
        }
    }

    /// Puts the table of a job in the place where a plan reads it.
    pub(super) fn fill_job(&self, step: &mut Step<BoundOp>, context: &RunContext) -> Fallible<()> {
        let BoundOp::Job(number) = step.op else { return Ok(()) };
        let table = self.job(number, step.span)?.wait(context)?;
        step.op = BoundOp::Source(Source::Kept(Kept::new(table)));
        Ok(())
    }

    fn job(&self, number: u64, span: Span) -> Fallible<Rc<Job>> {
        let all = self.jobs.all.borrow();
        let found = all.iter().find(|job| job.number == number).cloned();
        found.ok_or_else(|| Diagnostic::at(Kind::Name, span, "this job is not there any more"))
    }

    /// All jobs that a name needs, and those that still write.
    pub fn jobs(&self) -> Vec<Rc<Job>> {
        self.jobs.all.borrow().clone()
    }

    /// The names of the jobs that run.
    pub fn running_jobs(&self) -> Vec<String> {
        let all = self.jobs.all.borrow();
        all.iter().filter(|job| job.state() == JobState::Running).map(|job| job.name.clone()).collect()
    }

    /// Stops the jobs that nothing can reach any more, and forgets them.
    pub(super) fn end_jobs(&mut self) {
        if self.jobs.all.borrow().is_empty() {
            return;
        }
        let mut needed: HashSet<u64> = HashSet::new();
        for binding in self.names.values() {
            if let Binding::Table(plan) = binding {
                plan.walk(&mut |step| {
                    if let BoundOp::Job(number) = step.op {
                        needed.insert(number);
                    }
                });
            }
        }
        let mut stopped = Vec::new();
        self.jobs.all.borrow_mut().retain(|job| {
            let is_running = job.state() == JobState::Running;
            let stays = needed.contains(&job.number) || (is_running && job.writes);
            if !stays && is_running {
                stopped.push(job.name.clone());
            }
            stays
        });
        if !stopped.is_empty() {
            let names: Vec<&str> = stopped.iter().map(String::as_str).collect();
            self.console.err.write_line(&format!("stopped: no name needs the job {} any more", listed(&names)));
        }
    }

    /// Stops all jobs that run, and waits a moment for their ends, so that no file is left half written. Their names.
    pub fn stop_jobs(&mut self) -> Vec<String> {
        const PATIENCE: Duration = Duration::from_secs(2);
        let running: Vec<Rc<Job>> = self.jobs().into_iter().filter(|job| job.state() == JobState::Running).collect();
        running.iter().for_each(|job| job.stop());
        let begun = Instant::now();
        for job in &running {
            let mut state = job.shared.lock();
            while state.outcome.is_none() && begun.elapsed() < PATIENCE {
                let waited = job.shared.has_ended.wait_timeout(state, LOOK);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        running.iter().map(|job| job.name.clone()).collect()
    }

    /// The plan without those `persist`s whose tables are not there yet.
    fn without_unkept(&self, mut plan: Plan) -> Plan {
        let kept = self.kept.borrow();
        plan.steps.retain(|step| !matches!(step.op, BoundOp::Persist(id, _) if !kept.contains_key(&id)));
        drop(kept);
        for inner in plan.steps.iter_mut().flat_map(|step| step.op.plans_mut()) {
            *inner = self.without_unkept(std::mem::replace(inner, Plan::of(Vec::new())));
        }
        plan
    }
}

/// The error of who waits for what is no job.
pub(super) fn not_a_job(name: &Word) -> Box<Diagnostic> {
    Diagnostic::at(Kind::Name, name.span, format!("`{}` is not a job", name.text))
        .hint(format!("let {} = spawn … starts one; %jobs lists them", name.text))
}

/// Why a plan cannot run beside other cells, if it cannot.
fn cannot_be_a_job(plan: &Prepared, engine: &'static dyn Engine) -> Option<String> {
    if engine.is_compiled() {
        return Some(format!("a job cannot run on `{}`: its compiler serves one cell at a time", engine.name()));
    }
    if plan.calls_external() {
        return Some("a job cannot call Rust functions: their process serves one cell at a time".to_string());
    }
    None
}
