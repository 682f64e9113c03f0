//! A plan, stage by stage.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::data::Schema;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::phase::{Batches, MANY_GROUPS, Spilling, Stream};
use crate::kernel::{self, Batch, Part, Partial, Parts, Radix, Rows, Segment};
use crate::measure::Meter;
use crate::meters::{StageTime, Stages};
use crate::plan::{Kept, Op, Prepared, Source, Step};
use crate::rowwise::Programs;
use crate::run_context::RunContext;

use super::stage::{Stage, without_source};
use super::task::{OpenStage, Output, parts};
use super::threads::in_parallel;

/// What takes the outputs of tasks; false when it wants no more.
pub type Take<'t, 's> = dyn FnMut(Output<'s>) -> Fallible<bool> + 't;

/// Who runs the tasks of a stage.
pub trait Runner {
    /// Does a task for each part, and hands the outputs to `take` in the order of parts, each one once, until it wants
    /// no more. The stop flag of the stage's context is this stage's alone: it may be raised when outputs are not
    /// wanted.
    ///
    /// # Errors
    /// The first one in the order of parts, and that of `take`.
    fn run<'s>(
        &self,
        stage: &'s OpenStage,
        parts: Box<dyn Iterator<Item = Part> + Send>,
        take: &mut Take<'_, 's>,
    ) -> Fallible<()>;

    /// How many tasks run at a time.
    fn workers(&self) -> usize;

    /// CPU time that tasks have taken in other processes so far.
    fn cpu(&self) -> Duration {
        Duration::ZERO
    }

    /// Does other work of this process on threads: a job for each number.
    ///
    /// # Errors
    /// The first one in the order of jobs.
    fn each(&self, jobs: usize, work: &Job, context: &RunContext) -> Fallible<Vec<(Batch, Vec<usize>)>> {
        let context = &RunContext { stop: context.stop.part(), ..context.clone() };
        if let Some(watch) = &context.monitor {
            watch.stage("merge", Some(jobs));
        }
        let mut all = Vec::with_capacity(jobs);
        let take = &mut |one| {
            all.push(one);
            Ok(true)
        };
        in_parallel(self.workers(), Box::new(0..jobs), &|job| work(*job), take, context)?;
        Ok(all)
    }
}

/// Merges a part of partials: results, and the number of the first row of each.
pub type Job<'j> = dyn Fn(usize) -> Fallible<(Batch, Vec<usize>)> + Sync + 'j;

/// Runs a plan; its rows go to `sink`, in their order, until it wants no more.
///
/// # Errors
/// What the plan runs into: of several tasks the first in their order tells it.
pub fn run(
    plan: &Prepared,
    runner: &dyn Runner,
    context: &RunContext,
    sink: &mut dyn FnMut(Batch) -> Fallible<bool>,
) -> Fallible<()> {
    for read in plan.reads() {
        context.progress.expect_bytes(read.bytes());
    }
    let mut context = RunContext { progress: context.progress.of_parts(), ..context.clone() };
    if let Some(spill) = &context.spill {
        // Several tasks at a time, and what they gave, take no more than a part of the memory.
        let task = usize::try_from(spill.budget / 256).unwrap_or(usize::MAX).max(LEAST_TASK);
        context.chunk_sizes.task = context.chunk_sizes.task.min(task);
    }
    let context = &context;
    run_told(plan, runner, context, sink)
}

/// Tasks are not made smaller than this, in bytes, for the sake of memory.
const LEAST_TASK: usize = 64 << 10;

fn run_told(
    plan: &Prepared,
    runner: &dyn Runner,
    context: &RunContext,
    sink: &mut dyn FnMut(Batch) -> Fallible<bool>,
) -> Fallible<()> {
    let (mut source, mut pairs, mut left) = (plan.source.clone(), false, &plan.steps[..]);
    // A right side that is too large goes to a file, where one thread joins it.
    let joins = context.spill.is_none();
    loop {
        let (mut stage, taken) = Stage::first(source, pairs, left, &plan.functions, joins);
        let last = left[..taken].last();
        left = &left[taken..];
        let noting = Noting::begin(&stage, runner, context);
        let sink = &mut |batch: Batch| {
            noting.gives(batch.rows);
            sink(batch)
        };
        for step in stage.tasks.steps.iter_mut().chain(&mut stage.in_order.steps) {
            if let Op::Join { right, .. } = &mut step.op
                && joins
            {
                **right = computed(right, runner, context)?;
            }
        }
        let mine = RunContext { stop: context.stop.part(), spill: None, ..context.clone() };
        let open = OpenStage::new(stage, &mine)?;
        let open = if context.spill.is_none() { open.giving_parts()? } else { open };
        // What is sorted next may come in any order.
        let in_order = !matches!(left.first(), Some(Step { op: Op::Sort { .. }, .. }));
        let given = run_stage(&open, runner, in_order, &noting, context, sink)?;
        let Some(last) = last else { return Ok(()) };
        let breaker = match given {
            Merged::Nothing => return Ok(()),
            Merged::Whole(all) if left.is_empty() => return give_parts(&all, sink, context),
            Merged::Whole(all) => {
                noting.gives(all.rows);
                (source, pairs) = (kept(all, &last.schema, &last.schema, plan)?, false);
                continue;
            }
            Merged::Breaker(breaker) if left.is_empty() => return give_all(&mut *breaker.batches(true)?, sink),
            Merged::Breaker(breaker) => breaker,
        };
        if breaker.has_written() {
            // What did not fit into memory is no table: one thread goes on with its rows as they are merged.
            let rest = without_source(&last.schema, left.to_vec(), &plan.functions);
            let programs = Programs::new(&rest);
            return give_all(&mut Stream::over(breaker.batches(in_order)?, &rest, &programs, context)?, sink);
        }
        pairs = last.op == Op::Pairs;
        let all = breaker.into_breaker().expect("nothing was written").finish()?;
        noting.gives(all.rows);
        // Pairs are made of their rows by the tasks of the next stage.
        let columns = if pairs { open.stage().last_input() } else { &last.schema };
        source = kept(all, columns, &last.schema, plan)?;
    }
}

/// Notes what a stage took, when it is over, where somebody asks.
struct Noting<'a> {
    stages: Option<&'a Stages>,
    name: String,
    runner: &'a dyn Runner,
    context: &'a RunContext,
    meter: Option<Meter>,
    /// CPU time of the runner's own processes at the start.
    elsewhere: Duration,
    tasks: Arc<AtomicU64>,
    /// Of a table that was there, else those that the run had read at the start.
    rows_in: Result<u64, u64>,
    rows_out: Cell<u64>,
}

impl<'a> Noting<'a> {
    fn begin(stage: &Stage, runner: &'a dyn Runner, context: &'a RunContext) -> Noting<'a> {
        let stages = context.meters.stages.as_deref();
        let name = stages.map_or_else(String::new, |_| stage.text());
        let rows_in = match &stage.tasks.source.op {
            Source::Kept(kept) => Ok(kept.table().height() as u64),
            _ => Err(context.progress.rows()),
        };
        let (tasks, rows_out, meter) = (Arc::default(), Cell::new(0), stages.map(|_| Meter::start()));
        Noting { stages, name, runner, context, meter, elsewhere: runner.cpu(), tasks, rows_in, rows_out }
    }

    fn gives(&self, rows: usize) {
        self.rows_out.set(self.rows_out.get() + rows as u64);
    }

    fn counted(&self, parts: Box<dyn Iterator<Item = Part> + Send>) -> Box<dyn Iterator<Item = Part> + Send> {
        let tasks = self.tasks.clone();
        match self.stages {
            Some(_) => Box::new(parts.inspect(move |_| _ = tasks.fetch_add(1, Ordering::Relaxed))),
            None => parts,
        }
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        let Some((stages, meter)) = self.stages.zip(self.meter.take()) else { return };
        let cost = meter.stop();
        stages.add(StageTime {
            name: std::mem::take(&mut self.name),
            tasks: self.tasks.load(Ordering::Relaxed),
            rows_in: Some(self.rows_in.unwrap_or_else(|before| self.context.progress.rows() - before)),
            rows_out: Some(self.rows_out.get()),
            wall: cost.wall,
            cpu: cost.cpu + self.runner.cpu().saturating_sub(self.elsewhere),
        });
    }
}

/// What is left of a stage when all of its tasks are done.
enum Merged<'s> {
    /// Its rows were handed on.
    Nothing,
    /// What the breaker at its end has of all of them.
    Breaker(Box<Spilling<'s>>),
    /// What comes of all groups.
    Whole(Batch),
}

/// Runs a stage; rows of which nothing else comes go to `sink`. Groups may be given in any order, unless they are
/// wanted in order.
fn run_stage<'s>(
    open: &'s OpenStage,
    runner: &dyn Runner,
    in_order: bool,
    noting: &Noting,
    context: &'s RunContext,
    sink: &mut dyn FnMut(Batch) -> Fallible<bool>,
) -> Fallible<Merged<'s>> {
    let tasks = noting.counted(parts(open.stage(), open.context()));
    if let Some(watch) = &context.monitor {
        let (least, most) = tasks.size_hint();
        watch.stage(
            if open.stage().has_partials() { "tasks, merged" } else { "tasks" },
            most.filter(|most| *most == least),
        );
    }
    if open.stage().has_partials() {
        return merge_all(open, tasks, runner, in_order, context);
    }
    let mut phase = open.in_order(context)?;
    let mut ready = VecDeque::new();
    runner.run(open, tasks, &mut |output| {
        let Output::Rows(batches) = output else {
            return Err(Diagnostic::new(Kind::System, "a task gave a partial in the place of rows"));
        };
        for batch in batches {
            let wants_more = phase.take(batch, &mut ready)?;
            if !give(&mut ready, sink)? || !wants_more {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    while phase.close(&mut ready)? && give(&mut ready, sink)? {}
    Ok(phase.into_breaker().map_or(Merged::Nothing, |breaker| Merged::Breaker(Box::new(breaker))))
}

/// Runs a stage whose tasks give partials, and merges these.
fn merge_all<'s>(
    open: &'s OpenStage,
    tasks: Box<dyn Iterator<Item = Part> + Send>,
    runner: &dyn Runner,
    in_order: bool,
    context: &'s RunContext,
) -> Fallible<Merged<'s>> {
    let keys = open.stage().keys();
    let mut merged = open.merged(context)?.ok_or_else(not_a_partial)?;
    // Of many groups, and those of a few groups that several tasks have.
    let (mut many, mut few): (Vec<Parts>, Vec<(Batch, Vec<Segment>)>) = (Vec::new(), Vec::new());
    let mut number = 0;
    runner.run(open, tasks, &mut |output| {
        match output {
            Output::Partial(later) if many.is_empty() => merged.merge(*later, context)?,
            Output::Partial(later) => {
                many.push(Parts::of(later.columns()?, keys, vec![Segment { task: number, start: 0 }]));
            }
            Output::Parts(later) => {
                if many.is_empty() && number > 0 && few.is_empty() {
                    // What was merged so far is of the tasks before this one.
                    let empty = open.merged(context)?.ok_or_else(not_a_partial)?;
                    let first = std::mem::replace(&mut merged, empty).into_breaker().ok_or_else(not_a_partial)?;
                    many.push(Parts::of(first.columns()?, keys, vec![Segment { task: 0, start: 0 }]));
                }
                many.push(later);
            }
            Output::Groups(flat, segments) => few.push((flat, segments)),
            Output::Held => {}
            Output::Rows(_) => return Err(not_a_partial()),
        }
        number += 1;
        Ok(true)
    })?;
    let groups: usize = few.iter().map(|(flat, _)| flat.rows).sum();
    if many.is_empty() && groups <= MANY_GROUPS {
        let mut pieces: Vec<(usize, Batch)> =
            few.iter().flat_map(|(flat, segments)| kernel::pieces(flat, segments)).collect();
        pieces.sort_by_key(|(task, _)| *task);
        pieces.into_iter().try_for_each(|(_, piece)| merged.take_columns(piece, context))?;
        return Ok(Merged::Breaker(Box::new(merged)));
    }
    many.extend(few.into_iter().map(|(flat, segments)| Parts::of(flat, keys, segments)));
    merge_parts(open, &Radix::new(many), runner, in_order, context).map(Merged::Whole)
}

fn not_a_partial() -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, "a task gave rows in the place of a partial")
}

/// Merges many groups, each part on the next thread that is free.
fn merge_parts(
    open: &OpenStage,
    radix: &Radix,
    runner: &dyn Runner,
    in_order: bool,
    context: &RunContext,
) -> Fallible<Batch> {
    let merge = |part| {
        let empty = open.merged(context)?.and_then(Spilling::into_breaker).ok_or_else(not_a_partial)?;
        radix.merged(part, empty, context)
    };
    let (results, firsts): (Vec<Batch>, Vec<Vec<usize>>) =
        runner.each(radix.parts(), &merge, context)?.into_iter().unzip();
    let mut rows = Rows::of(open.stage().tasks.schema());
    results.iter().try_for_each(|part| rows.push(part))?;
    let all = rows.finish();
    Ok(if in_order { all.gathered(&radix.order(&firsts)) } else { all })
}

fn give_parts(all: &Batch, sink: &mut dyn FnMut(Batch) -> Fallible<bool>, context: &RunContext) -> Fallible<()> {
    let rows = context.chunk_sizes.rows;
    for start in (0..all.rows).step_by(rows) {
        context.check()?;
        if !sink(all.part(start, rows.min(all.rows - start)))? {
            break;
        }
    }
    Ok(())
}

fn give(ready: &mut VecDeque<Batch>, sink: &mut dyn FnMut(Batch) -> Fallible<bool>) -> Fallible<bool> {
    while let Some(batch) = ready.pop_front() {
        if !sink(batch)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn give_all(batches: &mut dyn Batches, sink: &mut dyn FnMut(Batch) -> Fallible<bool>) -> Fallible<()> {
    while let Some(batch) = batches.next()?
        && sink(batch)?
    {}
    Ok(())
}

/// The table of a plan in the plan's place, if it is not one yet.
pub(super) fn computed(plan: &Prepared, runner: &dyn Runner, context: &RunContext) -> Fallible<Prepared> {
    if plan.steps.is_empty() && !matches!(plan.source.op, Source::Read(_)) {
        return Ok(plan.clone());
    }
    let mut rows = Rows::of(plan.schema());
    run_told(plan, runner, context, &mut |batch| rows.push(&batch).map(|()| true))?;
    let source = kept(rows.finish(), plan.schema(), plan.schema(), plan)?;
    Ok(Prepared { source, steps: Vec::new(), ..plan.clone() })
}

pub(super) fn kept(all: Batch, columns: &Schema, schema: &Schema, plan: &Prepared) -> Fallible<Step<Source>> {
    let table = kernel::table(all, columns).map_err(|what| Diagnostic::new(Kind::System, what))?;
    Ok(Step { op: Source::Kept(Kept::new(Arc::new(table))), schema: schema.clone(), span: plan.span() })
}
