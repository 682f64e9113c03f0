//! A plan, stage by stage.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::data::Schema;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::phase::{Breaker, Whole};
use crate::kernel::{self, Batch, Part, Partial, Rows};
use crate::plan::{Kept, Op, Prepared, Source, Step};
use crate::run_context::RunContext;

use super::stage::Stage;
use super::task::{OpenStage, Output, parts};

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
}

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
    let context = &RunContext { progress: context.progress.of_parts(), ..context.clone() };
    run_told(plan, runner, context, sink)
}

fn run_told(
    plan: &Prepared,
    runner: &dyn Runner,
    context: &RunContext,
    sink: &mut dyn FnMut(Batch) -> Fallible<bool>,
) -> Fallible<()> {
    let (mut source, mut pairs, mut left) = (plan.source.clone(), false, &plan.steps[..]);
    loop {
        let (mut stage, taken) = Stage::first(source, pairs, left, &plan.functions);
        let schema = if taken == 0 { plan.input(plan.steps.len() - left.len()) } else { &left[taken - 1].schema };
        left = &left[taken..];
        for step in stage.tasks.steps.iter_mut().chain(&mut stage.in_order.steps) {
            if let Op::Join { right, .. } = &mut step.op {
                **right = computed(right, runner, context)?;
            }
        }
        let mine = RunContext { stop: context.stop.part(), ..context.clone() };
        let open = OpenStage::new(stage, &mine)?;
        if left.is_empty() {
            let given = run_stage(&open, runner, context, sink)?;
            return match given {
                Some(breaker) => give_all(breaker, context, sink),
                None => Ok(()),
            };
        }
        let mut rows = Rows::of(schema);
        let given = run_stage(&open, runner, context, &mut |batch| rows.push(&batch).map(|()| true))?;
        let all = match given {
            Some(breaker) => {
                pairs = matches!(breaker, Breaker::All(_, Whole::Pairs));
                breaker.finish()?
            }
            None => {
                pairs = false;
                rows.finish()
            }
        };
        // Pairs are made of their rows by the tasks of the next stage.
        let columns = if pairs { open.stage().last_input() } else { schema };
        source = kept(all, columns, schema, plan)?;
    }
}

/// Runs a stage: its rows go to `sink`, or it gives what the breaker at its end has of all of them.
fn run_stage<'s>(
    open: &'s OpenStage,
    runner: &dyn Runner,
    context: &'s RunContext,
    sink: &mut dyn FnMut(Batch) -> Fallible<bool>,
) -> Fallible<Option<Breaker<'s>>> {
    let tasks = parts(open.stage(), open.context());
    if open.stage().has_partials() {
        let mut merged = open.no_partial()?;
        runner.run(open, tasks, &mut |output| match (&mut merged, output) {
            (Some(merged), Output::Partial(later)) => merged.merge(*later, open.context()).map(|()| true),
            _ => Err(Diagnostic::new(Kind::System, "a task gave rows in the place of a partial")),
        })?;
        return Ok(merged);
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
    phase.close(&mut ready)?;
    give(&mut ready, sink)?;
    Ok(phase.into_breaker())
}

fn give(ready: &mut VecDeque<Batch>, sink: &mut dyn FnMut(Batch) -> Fallible<bool>) -> Fallible<bool> {
    while let Some(batch) = ready.pop_front() {
        if !sink(batch)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn give_all(breaker: Breaker, context: &RunContext, sink: &mut dyn FnMut(Batch) -> Fallible<bool>) -> Fallible<()> {
    let mut batches = breaker.batches(context)?;
    while let Some(batch) = batches.next()?
        && sink(batch)?
    {}
    Ok(())
}

/// The table of a plan in the plan's place, if it is not one yet.
fn computed(plan: &Prepared, runner: &dyn Runner, context: &RunContext) -> Fallible<Prepared> {
    if plan.steps.is_empty() && !matches!(plan.source.op, Source::Read(_)) {
        return Ok(plan.clone());
    }
    let mut rows = Rows::of(plan.schema());
    run_told(plan, runner, context, &mut |batch| rows.push(&batch).map(|()| true))?;
    let source = kept(rows.finish(), plan.schema(), plan.schema(), plan)?;
    Ok(Prepared { source, steps: Vec::new(), ..plan.clone() })
}

fn kept(all: Batch, columns: &Schema, schema: &Schema, plan: &Prepared) -> Fallible<Step<Source>> {
    let table = kernel::table(all, columns).map_err(|what| Diagnostic::new(Kind::System, what))?;
    Ok(Step { op: Source::Kept(Kept::new(Arc::new(table))), schema: schema.clone(), span: plan.span() })
}
