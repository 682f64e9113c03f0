//! Running what was bound: values that must be known first, kept tables, the engine.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::data::{Column, Order, Sameness, Schema, Summed, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::engines::{self, Choice, Engine, EngineOutput, OpenPlan, StreamOutput};
use crate::files::{self, Written};
use crate::measure::{self, Cost, Stopwatch};
use crate::plan::{self, BoundOp, Kept, Op, Plan, Prepared, Source, Step, Write, prune};
use crate::report::Measured;
use crate::run_context::{Largest, RunContext, Spill, TableSink};
use crate::schedule::{JobFolder, JobLog, JobOptions, KeyRecord, SavedJob, mark};
use crate::show::bytes_text;

use super::kept::MOST_BYTES;
use super::rounds::run_rounds;
use super::{Persisted, Session, reading, settings};

/// A table and how it came about.
#[derive(Debug, Clone)]
pub struct RunResult {
    pub table: Arc<Table>,
    pub engine: &'static str,
    /// Why it was not the default engine, where nobody chose one.
    pub instead: Option<&'static str>,
    /// Evaluation steps, where the engine counts them.
    pub steps: Option<u64>,
    pub wall: Duration,
    /// What it took to compile the plan, where it was compiled, and until the compiler and the process of the run were
    /// there. No part of `wall`.
    pub compile: Option<Duration>,
    pub start: Duration,
    /// What other processes than this one cost that did the work, each with its name.
    pub cost: Vec<(&'static str, Cost)>,
    /// Rows and bytes that came out of sources, where known.
    pub rows_read: Option<u64>,
    pub bytes_read: u64,
    /// How files were read where nobody said it, for the status line.
    pub reading: Vec<String>,
    /// What may surprise, for lines under the table.
    pub notes: Vec<String>,
    /// What it has counted, by the labels.
    pub counters: Vec<(String, i64)>,
    /// What of its table differs from run to run.
    pub measured: Measured,
}

/// A run whose rows were handed on as they came.
#[derive(Debug, Clone)]
pub struct RunPrinted {
    /// Its table is empty where the rows are dropped.
    pub run: RunResult,
    pub rows: u64,
    /// The bytes of the rows, where these are more than results may hold in all.
    pub dropped: Option<u64>,
}

/// A job that is kept under a name, and its pipeline as it was written.
#[derive(Debug, Clone)]
pub struct JobName {
    pub name: String,
    pub pipeline: String,
    pub span: Span,
}

impl Session {
    /// Runs a plan on an engine.
    ///
    /// # Errors
    /// Also an objection of the engine. An error whose row the engine does not know is looked for again on `rows`.
    pub fn run(&self, plan: Plan, choice: Choice, context: &RunContext) -> Fallible<RunResult> {
        let (plan, end) = plan.split_end();
        if let Some(Step { op: BoundOp::Write(write), span, .. }) = &end {
            return self.run_and_write(plan, write, *span, choice, context);
        }
        self.settle(context)?;
        let (watch, built) = (Stopwatch::start(), self.built());
        let (rows_read, bytes_read) = self.reads(&plan);
        let measured = plan.measured.clone();
        let written = self.written(&plan).map(str::to_string);
        let plan = self.prepared(plan, choice, context)?;
        let (run, engine, instead) = self.run_once(&plan, choice, context)?;
        let wall = watch.elapsed();
        self.note_wall(written.filter(|_| engine.name() == engines::DEFAULT.name()), wall);
        Ok(RunResult {
            table: Arc::new(run.table),
            engine: engine.name(),
            instead,
            steps: run.steps,
            wall,
            compile: run.compile,
            start: self.built().since(&built).start,
            cost: run.cost,
            rows_read,
            bytes_read,
            reading: reading::status(context),
            counters: counted(&plan, context)?,
            notes: context.read_notes.notes(),
            measured,
        })
    }

    /// Runs a plan as a map/reduce job, and gives what that did. One with a name is kept until it is done; where a job
    /// of that name is there, it goes on.
    ///
    /// # Errors
    /// As [`Session::run`]; also where the job of that name has another plan, or its input has changed.
    pub fn run_job(
        &self,
        plan: Plan,
        options: &JobOptions,
        name: Option<&JobName>,
        context: &RunContext,
    ) -> Fallible<(RunResult, JobLog)> {
        self.settle(context)?;
        let choice = Choice::only(engines::MAPREDUCE);
        let (rows_read, bytes_read) = self.reads(&plan);
        let measured = plan.measured.clone();
        let plan = self.prepared(plan, choice, context)?;
        self.engine_for(&plan, choice)?;
        let kept = name.map(|name| kept_job(&plan, options, name, context)).transpose()?;
        let (options, workers, folder) = match kept {
            Some((job, folder)) => (job.options, job.workers, Some(Arc::new(folder))),
            None => (options.clone(), context.workers, None),
        };
        let memory_hint = job_memory_hint(options.memory.is_some());
        let context = &RunContext { workers, memory_hint, ..context.clone() };
        let watch = Stopwatch::start();
        let (inner, kept_in) = (plan.clone(), folder.clone());
        let run = self.do_stoppably(&plan, choice.engine, context, move |context| {
            // The rounds of a block are jobs of their own; the log is that of the last one.
            let inner = match inner.iterates() {
                true => {
                    let mut inner = inner;
                    inner.limits.job = engines::mapreduce::job_limits(&options);
                    run_rounds(&inner, engines::MAPREDUCE, context)?.0
                }
                false => inner,
            };
            let watched = files::Watched::new(inner.files());
            tell_watch(engines::MAPREDUCE, context);
            let mut log = JobLog::default();
            let run = context
                .within_limit(|| engines::mapreduce::run_job(&inner, &options, kept_in.as_deref(), context, &mut log));
            if let Some(watch) = &context.monitor {
                watch.keys(log.keys.iter().map(KeyRecord::seen).collect());
            }
            watched
                .judge(run.or_else(|error| {
                    context.stop.check()?;
                    found_again(&inner, error, context)
                }))
                .map(|run| (run, log))
        });
        let (run, log) = run.map_err(|error| match name {
            Some(name) if error.hint.is_none() => {
                error.hint(format!("what was done is kept: %mapreduce resume {}", name.name))
            }
            _ => error,
        })?;
        if let Some(folder) = folder.and_then(Arc::into_inner) {
            folder.remove();
        }
        self.add_spent(&run.cost);
        reading::add(&plan, context);
        let result = RunResult {
            table: Arc::new(run.table),
            engine: choice.engine.name(),
            instead: None,
            steps: None,
            wall: watch.elapsed(),
            compile: None,
            start: Duration::ZERO,
            cost: Vec::new(),
            rows_read,
            bytes_read,
            reading: reading::status(context),
            counters: counted(&plan, context)?,
            notes: context.read_notes.notes(),
            measured,
        };
        Ok((result, log))
    }

    /// The same, where the rows also go to a sink as they come. They are kept as far as results may be.
    pub(super) fn run_into(
        &self,
        plan: Plan,
        choice: Choice,
        sink: &mut dyn TableSink,
        context: &RunContext,
    ) -> Fallible<RunPrinted> {
        self.settle(context)?;
        let (watch, built) = (Stopwatch::start(), self.built());
        let (rows_read, bytes_read) = self.reads(&plan);
        let measured = plan.measured.clone();
        let written = self.written(&plan).map(str::to_string);
        let plan = self.prepared(plan, choice, context)?;
        let (engine, instead) = self.engine_for(&plan, choice)?;
        let (run, given) = match engine.open(&plan, self, context)? {
            Some(mut open) => {
                let mut counted = Counted { sink, given: Delivered::of(&plan, context) };
                let run = run_open(&plan, &mut *open, context)?.streamed(&mut counted)?;
                (run, counted.given)
            }
            None => self.stream_stoppably(&plan, engine, sink, context)?,
        };
        self.add_spent(&run.cost);
        reading::add(&plan, context);
        let wall = watch.elapsed().saturating_sub(given.spent);
        self.note_wall(written.filter(|_| engine.name() == engines::DEFAULT.name()), wall);
        let dropped = (!given.fits()).then_some(given.bytes);
        let table = run.table.filter(|_| dropped.is_none()).unwrap_or_else(|| Table::stacked(plan.schema(), []));
        let run = RunResult {
            table: Arc::new(table),
            engine: engine.name(),
            instead,
            steps: run.steps,
            wall,
            compile: run.compile,
            start: self.built().since(&built).start,
            cost: run.cost,
            rows_read,
            bytes_read,
            reading: reading::status(context),
            counters: counted(&plan, context)?,
            notes: context.read_notes.notes(),
            measured,
        };
        Ok(RunPrinted { run, rows: given.rows, dropped })
    }

    /// Runs a plan and writes its table; gives path, rows and bytes.
    fn run_and_write(
        &self,
        plan: Plan,
        write: &Write,
        span: Span,
        choice: Choice,
        context: &RunContext,
    ) -> Fallible<RunResult> {
        not_a_source(&plan, write, span)?;
        if plan.is_endless() {
            return Err(without_end(span));
        }
        // Told before the work is done.
        files::Writer::target(write, context).map_err(|error| placed(error, span))?;
        self.settle(context)?;
        let (watch, built) = (Stopwatch::start(), self.built());
        let (rows_read, bytes_read) = self.reads(&plan);
        let measured = plan.measured.clone();
        let plan = self.prepared(plan, choice, context)?;
        let (engine, instead) = self.engine_for(&plan, choice)?;
        let (run, written) = match engine.open(&plan, self, context)? {
            Some(mut open) => {
                let EngineOutput { table, steps, compile, cost } = run_open(&plan, &mut *open, context)?;
                let written = write_table(&table, write, span, context)?;
                (StreamOutput { table: None, steps, compile, cost }, written)
            }
            None => {
                let (inner, write) = (plan.clone(), write.clone());
                let work = move |context: &RunContext| write_rows(&inner, engine, &write, span, context);
                self.do_stoppably(&plan, engine, context, work)?
            }
        };
        self.add_spent(&run.cost);
        reading::add(&plan, context);
        Ok(RunResult {
            table: Arc::new(listed(&written)),
            engine: engine.name(),
            instead,
            steps: run.steps,
            wall: watch.elapsed(),
            compile: run.compile,
            start: self.built().since(&built).start,
            cost: run.cost,
            rows_read,
            bytes_read,
            reading: reading::status(context),
            counters: counted(&plan, context)?,
            notes: [context.read_notes.notes(), written.notes].concat(),
            measured,
        })
    }

    /// Runs a plan that ends with `tee`: its input once, then each branch on that table.
    pub fn run_branches(
        &self,
        mut plan: Plan,
        branches: Vec<(String, Plan)>,
        choice: Choice,
        context: &RunContext,
    ) -> Fallible<Vec<(String, RunResult)>> {
        plan::close_files(&mut plan);
        for (_, branch) in &branches {
            if let Some(Step { op: BoundOp::Write(write), span, .. }) = branch.steps.last() {
                not_a_source(&plan, write, *span)?;
            }
        }
        plan.steps.pop();
        let input = self.run(plan, choice, context)?;
        // All is computed before anything is written: a branch that fails leaves every file as it was.
        let mut results = Vec::new();
        let shared = Kept::new(input.table.clone());
        for (name, branch) in branches {
            let (mut branch, end) = branch.split_end();
            let write = match end {
                Some(Step { op: BoundOp::Write(write), span, .. }) => Some((write, span)),
                _ => None,
            };
            branch.steps[0].op = BoundOp::Source(Source::Kept(shared.clone()));
            let mut ran = self.run(branch, choice, context)?;
            if !results.is_empty() {
                // Said once.
                ran.notes.clear();
            }
            results.push((name, RunResult { rows_read: input.rows_read, bytes_read: input.bytes_read, ..ran }, write));
        }
        let finished = results.into_iter().map(|(name, ran, write)| match write {
            None => Ok((name, ran)),
            Some((write, span)) => {
                let written = write_table(&ran.table, &write, span, context)?;
                let table = Arc::new(listed(&written));
                Ok((name, RunResult { table, notes: [ran.notes, written.notes].concat(), ..ran }))
            }
        });
        finished.collect()
    }

    /// Whether the tables that some plans gave are the same. Where floats differ that are sums, the reference engine
    /// finds in another run how large what was summed is, and that decides.
    ///
    /// # Errors
    /// [`Kind::Stopped`].
    pub fn same(
        &self,
        tables: [&Table; 2],
        plans: impl IntoIterator<Item = Fallible<Prepared>>,
        context: &RunContext,
    ) -> Fallible<Sameness> {
        self.judged(tables[0].same(tables[1]), tables, plans, context)
    }

    /// The same, where it is known how they compare without that.
    ///
    /// # Errors
    /// [`Kind::Stopped`].
    pub fn judged(
        &self,
        plain: Sameness,
        [here, there]: [&Table; 2],
        plans: impl IntoIterator<Item = Fallible<Prepared>>,
        context: &RunContext,
    ) -> Fallible<Sameness> {
        let comparable = here.schema().columns == there.schema().columns && here.height() == there.height();
        if !comparable || !matches!(plain, Sameness::Different(_)) {
            return Ok(plain);
        }
        let mut found = Vec::new();
        for plan in plans {
            let Some(magnitudes) = plan::magnitudes(&plan?) else { continue };
            match self.run_once(&magnitudes.plan, Choice::only(engines::REFERENCE), context) {
                Ok((run, ..)) => found.push((run.table, magnitudes.places)),
                Err(error) if error.kind == Kind::Stopped => return Err(error),
                // Without them they differ.
                Err(_) => {}
            }
        }
        let summed: Vec<Summed> = found.iter().map(|(table, places)| Summed { table, places }).collect();
        Ok(if summed.is_empty() { plain } else { here.same_sums(there, &summed) })
    }

    /// The rows that the source of a plan has, where that is known without reading, and the bytes of the files that it
    /// will read. What `persist` has kept already is not read again.
    pub(super) fn reads(&self, plan: &Plan) -> (Option<u64>, u64) {
        let early = |step: &Step<BoundOp>| matches!(step.op, BoundOp::Op(Op::Slice { length: Some(_), .. }));
        if plan.steps.iter().any(early) {
            // It may stop before the end.
            return (None, 0);
        }
        let kept = |step: &Step<BoundOp>| {
            if let BoundOp::Persist(id, _) = step.op { self.kept.borrow().get(&id).cloned() } else { None }
        };
        let mut bytes = 0;
        for step in plan.steps.iter().rev() {
            if let Some(table) = kept(step) {
                return (Some(table.rows), bytes);
            }
            if let BoundOp::Source(Source::Read(read)) = &step.op {
                bytes += read.bytes();
            }
            bytes += step.op.plans().into_iter().map(|plan| self.reads(plan).1).sum::<u64>();
        }
        let rows = match plan.steps.first().map(|step| &step.op) {
            Some(BoundOp::Source(source)) => known_rows(source),
            Some(BoundOp::Store(store)) => Some(store.keys),
            _ => None,
        };
        (rows, bytes)
    }

    /// What an engine gets of a plan: pruned, with kept tables and values in their places.
    pub fn prepared(&self, mut plan: Plan, choice: Choice, context: &RunContext) -> Fallible<Prepared> {
        has_end(&plan)?;
        let open = plan.schema().columns.iter().any(|column| column.ty.is_open());
        if open {
            close(&mut plan);
        }
        prune(&mut plan);
        plan::close_files(&mut plan);
        self.keep_persisted(&mut plan, choice, context)?;
        self.fill_blocks(&mut plan, context)?;
        // Of the tables that are in their places now, only some columns may be wanted.
        prune(&mut plan);
        self.fill(&mut plan, &mut HashMap::new(), choice, context)?;
        let mut limits = choice.limits;
        if limits.place.is_none() {
            limits.place = settings::place(&self.settings, choice.engine, None)?;
        }
        Ok(Prepared { limits, ..Prepared::of(plan)? })
    }

    /// Puts kept tables in the place of what stands before a `persist`, computing those that are not there yet.
    fn keep_persisted(&self, plan: &mut Plan, choice: Choice, context: &RunContext) -> Fallible<()> {
        let id = |step: &Step<BoundOp>| match step.op {
            BoundOp::Persist(id, storage) => Some((id, storage)),
            _ => None,
        };
        let last = plan.steps.iter().enumerate().rev().find_map(|(at, step)| Some((at, id(step)?)));
        if let Some((at, (id, storage))) = last {
            let known = self.kept.borrow().get(&id).cloned();
            let table = match known {
                Some(persisted) => persisted.table(context)?,
                None => {
                    let before = Plan { steps: plan.steps[..at].to_vec(), ..plan.clone() };
                    let before = self.prepared(before, choice, context)?;
                    // What is kept is the same whoever computes it.
                    let objects = engines::objection(choice.engine, &before).is_some();
                    let default = Choice { chosen: false, ..Choice::only(engines::DEFAULT) };
                    let choice = if objects { default } else { choice };
                    let table = Arc::new(self.run_once(&before, choice, context)?.0.table);
                    let persisted = Persisted::new(table.clone(), storage, &context.scratch, context)?;
                    self.kept.borrow_mut().insert(id, Rc::new(persisted));
                    table
                }
            };
            let Step { schema, span, .. } = plan.steps[at].clone();
            plan.steps.drain(..at);
            plan.steps[0] = Step { op: BoundOp::Source(Source::Kept(Kept::new(table))), schema, span };
        }
        for step in &mut plan.steps {
            for inner in step.op.plans_mut() {
                self.keep_persisted(inner, choice, context)?;
            }
        }
        Ok(())
    }

    /// The run, the engine that ran it, and why it is not the default one.
    fn run_once(
        &self,
        plan: &Prepared,
        choice: Choice,
        context: &RunContext,
    ) -> Fallible<(EngineOutput, &'static dyn Engine, Option<&'static str>)> {
        let (engine, instead) = self.engine_for(plan, choice)?;
        let run = match engine.open(plan, self, context)? {
            Some(mut open) => run_open(plan, &mut *open, context)?,
            None => self.run_stoppably(plan, engine, context)?,
        };
        self.add_spent(&run.cost);
        reading::add(plan, context);
        Ok((run, engine, instead))
    }

    /// The engine that runs a plan, and why it is not the default one.
    pub(super) fn engine_for(
        &self,
        plan: &Prepared,
        choice: Choice,
    ) -> Fallible<(&'static dyn Engine, Option<&'static str>)> {
        let engine = choice.engine;
        match engines::objection(engine, plan) {
            None => Ok((engine, None)),
            Some(objection) if choice.chosen => {
                let message = format!("the engine `{}` cannot run this: {}", engine.name(), objection.reason);
                Err(Diagnostic::at(Kind::Objection, objection.span, message).hint("| on rows runs everything"))
            }
            Some(objection) => Ok((engines::REFERENCE, Some(objection.reason))),
        }
    }
}

/// Gives the open columns of a result their type: what stays open is text.
fn close(plan: &mut Plan) {
    for step in &mut plan.steps {
        for column in &mut step.schema.columns {
            column.ty = column.ty.closed();
        }
        step.op.plans_mut().into_iter().for_each(close);
    }
}

/// Runs a plan in its own process; an error is looked for again on `rows`, which knows its row.
fn run_open(plan: &Prepared, open: &mut dyn OpenPlan, context: &RunContext) -> Fallible<EngineOutput> {
    open.run().or_else(|error| found_again(plan, error, context))
}

/// Runs a plan; an error whose row the engine does not know is looked for again on `rows`.
pub(super) fn run_on(plan: &Prepared, engine: &'static dyn Engine, context: &RunContext) -> Fallible<EngineOutput> {
    if plan.iterates() {
        let (plan, spent) = run_rounds(plan, engine, context)?;
        let run = run_on(&plan, engine, context)?;
        return Ok(EngineOutput { steps: spent.together(run.steps), cost: [spent.cost(), run.cost].concat(), ..run });
    }
    let context = &within_limits(plan, engine, context);
    tell_watch(engine, context);
    let watched = files::Watched::new(plan.files());
    let result = context.within_limit(|| engine.run(plan, context));
    note_spilled(context);
    watched.judge(match result {
        // An engine elsewhere says what became of the run there.
        Err(error) if error.kind == Kind::Stopped => Err(error),
        Err(error) => {
            // Who waits for a store ends with an error of its own.
            context.stop.check()?;
            if engine.name() == engines::REFERENCE.name() { Err(error) } else { found_on(plan, engine, error, context) }
        }
        result => result,
    })
}

/// The means of a run, as its plan or else the session says how much it may use.
fn within_limits(plan: &Prepared, engine: &'static dyn Engine, context: &RunContext) -> RunContext {
    let mut own = RunContext { workers: plan.limits.workers.unwrap_or(context.workers), ..context.clone() };
    own.spill = context.spill.as_ref().map(Spill::anew);
    own.largest = Largest::default();
    if let Some(bytes) = plan.limits.memory {
        own.memory = bytes.saturating_add(measure::live());
        own.spill = Some(Spill::new(bytes, context.scratch.clone()));
    }
    if !engine.limits().iter().any(|limit| limit.name == engines::MEMORY.name) {
        // It holds all in memory; the error at the limit says which engines do not.
        own.spill = None;
    }
    if engine.name() == engines::MAPREDUCE.name() {
        own.memory_hint = job_memory_hint(own.spill.is_some());
    }
    own
}

fn job_memory_hint(has_limit: bool) -> &'static str {
    if has_limit { engines::mapreduce::LIMITED_MEMORY_HINT } else { engines::mapreduce::MEMORY_HINT }
}

/// Tells who watches what works now.
fn tell_watch(engine: &'static dyn Engine, context: &RunContext) {
    if let Some(watch) = &context.monitor {
        watch.on(engine.name());
        if let Some(spill) = context.spill.clone() {
            watch.spilling(spill.budget, move || spill.written());
        }
    }
}

/// Says what did not fit into the memory of a run.
fn note_spilled(context: &RunContext) {
    let Some((bytes, _, passes)) = context.spill.as_ref().map(Spill::written).filter(|written| written.0 > 0) else {
        return;
    };
    let passes = if passes == 1 { "1 pass".to_string() } else { format!("{passes} passes") };
    context.read_notes.add_status(format!("{} spilled in {passes}", bytes_text(bytes as f64)));
}

/// The same, where the rows go to a sink.
fn stream_on(
    plan: &Prepared,
    engine: &'static dyn Engine,
    sink: &mut dyn TableSink,
    context: &RunContext,
) -> Fallible<StreamOutput> {
    if plan.iterates() {
        let (plan, spent) = run_rounds(plan, engine, context)?;
        let run = stream_on(&plan, engine, sink, context)?;
        return Ok(StreamOutput { steps: spent.together(run.steps), cost: [spent.cost(), run.cost].concat(), ..run });
    }
    let context = &within_limits(plan, engine, context);
    tell_watch(engine, context);
    let watched = files::Watched::new(plan.files());
    let mut sink = Watched { sink, files: &watched, begun: false, failed: false };
    let result = context.within_limit(|| engine.stream(plan, &mut sink, context));
    note_spilled(context);
    watched.judge(match result {
        Err(error) if error.kind == Kind::Stopped => Err(error),
        Err(error) => {
            context.stop.check()?;
            let is_known = engine.name() == engines::REFERENCE.name() || sink.failed;
            if is_known { Err(error) } else { found_on(plan, engine, error, context) }
        }
        result => result,
    })
}

/// A sink that tells whether it was what failed. What an op makes of all its input begins when all was read: then the
/// files must be as they were.
struct Watched<'a> {
    sink: &'a mut dyn TableSink,
    files: &'a files::Watched,
    begun: bool,
    failed: bool,
}

impl TableSink for Watched<'_> {
    fn take(&mut self, rows: &Table) -> Fallible<bool> {
        let checked = if std::mem::replace(&mut self.begun, true) { Ok(()) } else { self.files.check() };
        checked.and_then(|()| self.sink.take(rows)).inspect_err(|_| self.failed = true)
    }

    fn keeps(&self) -> bool {
        self.sink.keeps()
    }
}

/// Rows that were handed to a sink, their bytes, and the time that this took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Delivered {
    rows: u64,
    bytes: u64,
    spent: Duration,
    /// The memory of the run, where that was said.
    memory: Option<u64>,
}

impl Delivered {
    /// Nothing yet of the rows of a plan.
    fn of(plan: &Prepared, context: &RunContext) -> Delivered {
        let memory = plan.limits.memory.or(context.spill.as_ref().map(|spill| spill.budget));
        Delivered { memory, ..Delivered::default() }
    }

    /// Whether the rows may be kept as a result: they are no more than a small part of the run's memory.
    fn fits(&self) -> bool {
        self.bytes <= self.memory.map_or(MOST_BYTES, |memory| MOST_BYTES.min(memory / 8))
    }
}

/// What a run has counted. Where it may have ended before all rows were counted, a note says so.
fn counted(plan: &Prepared, context: &RunContext) -> Fallible<Vec<(String, i64)>> {
    let is_open = |plan: &Prepared| {
        let tally = plan.steps.iter().position(|step| matches!(step.op, Op::Tally(_)));
        let after = tally.map(|tally| &plan.steps[tally..]).unwrap_or_default();
        let mut passing = after.iter().take_while(|step| !step.op.is_breaker());
        passing.any(|step| matches!(step.op, Op::Slice { length: Some(_), .. }))
    };
    if plan.with_inner().into_iter().any(is_open) {
        context.read_notes.add_note(
            "counted up to where `take` ended the run: how many rows that are depends on the engine".to_string(),
        );
    }
    let of_label = |(label, sum): (String, i128)| match i64::try_from(sum) {
        Ok(sum) => Ok((label, sum)),
        Err(_) => Err(Diagnostic::new(Kind::Overflow, format!("int overflow: the counter \"{label}\" is {sum}"))
            .hint("count fewer rows, or sum floats: agg sum(float(x))")),
    };
    // One that no row has reached is there too.
    let steps = plan.with_inner().into_iter().flat_map(|plan| &plan.steps);
    for step in steps {
        if let Op::Tally(counters) = &step.op {
            counters.iter().for_each(|counter| context.counters.add(&counter.name, 0));
        }
    }
    context.counters.each().into_iter().map(of_label).collect()
}

/// Whether no step waits for the last of rows that have none.
fn has_end(plan: &Plan) -> Fallible<()> {
    plan.waits_without_end().map_or(Ok(()), |span| Err(without_end(span)))
}

fn without_end(span: Span) -> Box<Diagnostic> {
    Diagnostic::at(Kind::Domain, span, "this needs all rows, but the range before it has no end")
        .hint("give the range an end, as in 1..1000, or `take` so many rows first")
}

/// A sink that counts what it hands on.
struct Counted<'a> {
    sink: &'a mut dyn TableSink,
    given: Delivered,
}

impl TableSink for Counted<'_> {
    fn take(&mut self, rows: &Table) -> Fallible<bool> {
        let watch = Stopwatch::start();
        self.given.rows += rows.height() as u64;
        self.given.bytes += rows.data_bytes() as u64;
        let taken = self.sink.take(rows);
        self.given.spent += watch.elapsed();
        taken
    }

    fn keeps(&self) -> bool {
        self.given.fits()
    }
}

/// Runs a plan whose rows go to a sink, and counts them.
pub(super) fn stream_counted(
    plan: &Prepared,
    engine: &'static dyn Engine,
    sink: &mut dyn TableSink,
    context: &RunContext,
) -> Fallible<(StreamOutput, Delivered)> {
    let mut counted = Counted { sink, given: Delivered::of(plan, context) };
    let run = stream_on(plan, engine, &mut counted, context)?;
    Ok((run, counted.given))
}

/// A sink that takes all rows and keeps none.
pub(super) struct Nowhere;

impl TableSink for Nowhere {
    fn take(&mut self, _: &Table) -> Fallible<bool> {
        Ok(true)
    }
}

/// The same for an engine that may be elsewhere. Servers compute constants and values that no row needs: what fails
/// there and nowhere else is no error of the pipeline.
fn found_on<T>(
    plan: &Prepared,
    engine: &'static dyn Engine,
    error: Box<Diagnostic>,
    context: &RunContext,
) -> Fallible<T> {
    if engine.elsewhere().is_none() || error.row.is_some() || !is_of_data(&error) {
        return found_again(plan, error, context);
    }
    context.within_limit(|| engines::REFERENCE.stream(plan, &mut Nowhere, context))?;
    let message = format!("the engine `{}` cannot run this: it fails in what no row needs", engine.name());
    Err(Diagnostic::new(Kind::Objection, format!("{message}: {}", error.message)))
}

fn is_of_data(error: &Diagnostic) -> bool {
    use Kind::{Depth, Domain, File, Overflow, Shape, ZeroDivision};

    matches!(error.kind, Overflow | ZeroDivision | Domain | Depth | Shape | File)
}

/// An error with its row: the reference stops at the first failing row and knows its number.
pub(super) fn found_again<T>(plan: &Prepared, error: Box<Diagnostic>, context: &RunContext) -> Fallible<T> {
    if is_of_data(&error) && error.row.is_none() {
        let again = context.within_limit(|| engines::REFERENCE.stream(plan, &mut Nowhere, context));
        // It holds all in memory, which may be too little for it: then the row stays unknown.
        again.map(drop).or_else(|found| if found.kind == Kind::Memory { Ok(()) } else { Err(found) })?;
    }
    Err(error)
}

/// What becomes of the rows: path, rows and bytes of each file.
pub(super) fn listed(written: &Written) -> Table {
    let named = [("path", Type::Text), ("rows", Type::Int), ("bytes", Type::Int)];
    let columns = named.map(|(name, ty)| Column { name: name.to_string(), ty });
    let files = &written.files;
    let values = [
        files.iter().map(|file| Value::text(&file.shown)).collect(),
        files.iter().map(|file| Value::Int(file.rows as i64)).collect(),
        files.iter().map(|file| Value::Int(file.bytes as i64)).collect(),
    ];
    Table::from_columns(Schema::new(columns.to_vec(), Order::Kept), files.len(), &values)
}

/// Writes a table; errors are told at `span`.
fn write_table(table: &Table, write: &Write, span: Span, context: &RunContext) -> Fallible<Written> {
    let written = || {
        let mut writer = files::Writer::new(write, table.schema(), context)?;
        writer.take(table)?;
        writer.finish()
    };
    written().map_err(|error| placed(error, span))
}

/// The same again and again, for what is written only.
pub(super) fn write_once(
    plan: &Prepared,
    engine: &'static dyn Engine,
    write: &Write,
    span: Span,
    context: &RunContext,
) -> Fallible<()> {
    write_rows(plan, engine, write, span, context).map(drop)
}

/// Runs a plan and writes its rows as they come.
pub(super) fn write_rows(
    plan: &Prepared,
    engine: &'static dyn Engine,
    write: &Write,
    span: Span,
    context: &RunContext,
) -> Fallible<(StreamOutput, Written)> {
    let at_span = |error| placed(error, span);
    let mut writer = files::Writer::new(write, plan.schema(), context).map_err(at_span)?;
    let mut run = stream_on(plan, engine, &mut Placed { sink: &mut writer, span }, context)?;
    run.table = None;
    Ok((run, writer.finish().map_err(at_span)?))
}

/// A sink whose errors are told at a place.
struct Placed<'a> {
    sink: &'a mut dyn TableSink,
    span: Span,
}

impl TableSink for Placed<'_> {
    fn take(&mut self, rows: &Table) -> Fallible<bool> {
        self.sink.take(rows).map_err(|error| placed(error, self.span))
    }
}

fn placed(mut error: Box<Diagnostic>, span: Span) -> Box<Diagnostic> {
    error.span.get_or_insert(span);
    error
}

/// Refuses to write onto a file that the plan reads.
pub(super) fn not_a_source(plan: &Plan, write: &Write, span: Span) -> Fallible<()> {
    match source_at(plan, &write.path) {
        None => Ok(()),
        Some(source) => {
            let message = format!("\"{}\" is read by the same pipeline", source.shown);
            Err(Diagnostic::at(Kind::File, span, message).hint("write another file, then rename it"))
        }
    }
}

/// A file that the plan reads and that `path` would replace.
fn source_at(plan: &Plan, path: &Path) -> Option<plan::File> {
    let real = std::fs::canonicalize(path).ok()?;
    let is_real = |file: &plan::File| std::fs::canonicalize(&file.path).is_ok_and(|path| path == real);
    plan.files().into_iter().find(is_real)
}

/// How many rows a source has, where that is known without reading.
pub(super) fn known_rows(source: &Source) -> Option<u64> {
    match source {
        Source::Range { start, end } => end.map(|end| end.saturating_sub(*start).max(0) as u64),
        Source::Values(values) => Some(values.len() as u64),
        Source::Generated { count, .. } => Some(*count),
        Source::Kept(kept) => Some(kept.table().height() as u64),
        Source::Read(_) | Source::Iterated(_) => None,
    }
}

/// The job of that name: a new one of this plan, or the one that is there, which must have it.
fn kept_job(
    plan: &Prepared,
    options: &JobOptions,
    name: &JobName,
    context: &RunContext,
) -> Fallible<(SavedJob, JobFolder)> {
    let folder = JobFolder::open(&name.name).map_err(|error| error.or_at(name.span))?;
    let mark = mark(plan)?;
    match folder.job()? {
        Some(job) if job.mark == mark => Ok((job, folder)),
        Some(job) => {
            let message = match job.pipeline == name.pipeline {
                true => format!("the input of the job `{}` has changed since it began", name.name),
                false => format!("the job `{}` has another plan: {}", name.name, job.pipeline),
            };
            let hint = format!("choose another name, or remove {}", folder.path().display());
            Err(Diagnostic::at(Kind::File, name.span, message).hint(hint))
        }
        None => {
            let (options, pipeline) = (options.clone(), name.pipeline.clone());
            let job = SavedJob { pipeline, options, workers: context.workers, mark };
            folder.begin(&job)?;
            Ok((job, folder))
        }
    }
}
