//! The engine `threads`: the tasks of a plan's stages on several threads.

use crate::diagnostic::Fallible;
use crate::lang::{Expr, Privileges, Word};
use crate::plan::Prepared;
use crate::run_context::{RunContext, TableSink};
use crate::schedule;

use super::{Engine, EngineOutput, Limit, MEMORY, Objection, StreamOutput, WORKERS, tasks};

pub struct Threads;

/// With a limit of memory no more tasks at a time.
const MOST_IN_LIMIT: usize = 4;

fn runner(context: &RunContext) -> schedule::Threads {
    let most = if context.spill.is_some() { MOST_IN_LIMIT } else { usize::MAX };
    schedule::Threads(context.workers.min(most))
}

impl Engine for Threads {
    fn name(&self) -> &'static str {
        "threads"
    }

    fn about(&self) -> &'static str {
        "runs the loops of `batch` over parts of the input on several threads (%set workers N)"
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        Privileges::NONE
    }

    fn limits(&self) -> &'static [Limit] {
        &[WORKERS, MEMORY]
    }

    fn is_parallel(&self) -> bool {
        true
    }

    fn objection(&self, plan: &Prepared) -> Option<Objection> {
        schedule::objection(plan).map(|(reason, span)| Objection { reason, span })
    }

    fn run(&self, plan: &Prepared, context: &RunContext) -> Fallible<EngineOutput> {
        let table = tasks::run(plan, &runner(context), context)?;
        Ok(EngineOutput { table, steps: None, compile: None, cost: Vec::new() })
    }

    fn stream(&self, plan: &Prepared, sink: &mut dyn TableSink, context: &RunContext) -> Fallible<StreamOutput> {
        let table = tasks::stream(plan, &runner(context), sink, context)?;
        Ok(StreamOutput { table, steps: None, compile: None, cost: Vec::new() })
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        tasks::explain(plan)
    }
}
