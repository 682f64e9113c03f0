//! Blocks that are run in rounds: each round is a plan of its own for the engine.

use std::sync::Arc;

use crate::data::Table;
use crate::diagnostic::Fallible;
use crate::engines::{Engine, EngineOutput};
use crate::measure::Cost;
use crate::plan::{Iterated, JobLimits, Kept, Limits, Prepared, Source};
use crate::run_context::RunContext;

use super::run::run_on;

/// What rounds have cost so far, as engines tell it.
#[derive(Default)]
pub(super) struct Spent {
    steps: Option<u64>,
    cost: Vec<(&'static str, Cost)>,
}

impl Spent {
    fn add(&mut self, run: EngineOutput) -> Table {
        self.steps = self.together(run.steps);
        self.cost.extend(run.cost);
        run.table
    }

    /// The steps of a run and those before it.
    pub(super) fn together(&self, steps: Option<u64>) -> Option<u64> {
        match (self.steps, steps) {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        }
    }

    pub(super) fn cost(self) -> Vec<(&'static str, Cost)> {
        self.cost
    }
}

/// The plan with tables in the places of its rounds, which this runs.
///
/// # Errors
/// Those of a round.
pub(super) fn run_rounds(
    plan: &Prepared,
    engine: &'static dyn Engine,
    context: &RunContext,
) -> Fallible<(Prepared, Spent)> {
    let (mut plan, mut spent) = (plan.clone(), Spent::default());
    let mut left = vec![&mut plan];
    while let Some(plan) = left.pop() {
        if let Source::Iterated(iterated) = &plan.source.op {
            let table = last_table(iterated, &plan.limits, engine, context, &mut spent)?;
            plan.source.op = Source::Kept(Kept::new(table));
        }
        left.extend(plan.steps.iter_mut().flat_map(|step| step.op.plans_mut()));
    }
    Ok((plan, spent))
}

/// What the last round gives.
fn last_table(
    Iterated { input, rounds }: &Iterated,
    limits: &Limits,
    engine: &'static dyn Engine,
    context: &RunContext,
    spent: &mut Spent,
) -> Fallible<Arc<Table>> {
    let mut run = |plan: Prepared, limits: &Limits| {
        run_on(&Prepared { limits: *limits, ..plan }, engine, context).map(|run| spent.add(run))
    };
    // A row for which `until` is an error is not one in which it is true.
    let for_until = Limits { job: JobLimits { skips_bad: false, ..limits.job }, ..*limits };
    let mut table = Arc::new(run(input.clone(), limits)?);
    for round in 0..=rounds.most {
        context.stop.check()?;
        let is_done = match &rounds.until {
            Some(until) => run(until.with_passed(&table), &for_until)?.height() == 0,
            None => false,
        };
        if is_done {
            context.read_notes.add_status(counted(round));
            return Ok(table);
        }
        if round < rounds.most {
            context.progress.tell(format!(
                "round {} of {}{}",
                round + 1,
                if rounds.until.is_some() { "at most " } else { "" },
                rounds.most
            ));
            table = Arc::new(run(rounds.block.with_passed(&table), limits)?);
        }
    }
    context.progress.tell(String::new());
    if rounds.until.is_some() {
        context.read_notes.add_note(format!(
            "`iterate` ended after {}: its `until` is not true in every row; `max` allows more",
            counted(rounds.most)
        ));
    }
    Ok(table)
}

fn counted(rounds: u64) -> String {
    if rounds == 1 { "1 round".to_string() } else { format!("{rounds} rounds") }
}
