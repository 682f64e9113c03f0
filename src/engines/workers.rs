//! The engine `workers`: the tasks of a plan's stages in processes of their own.

use crate::diagnostic::Fallible;
use crate::lang::{Expr, Privileges, Word};
use crate::measure;
use crate::plan::Prepared;
use crate::run_context::{RunContext, TableSink};
use crate::schedule;

use super::{Engine, EngineOutput, Limit, MEMORY, Objection, StreamOutput, WORKERS, tasks};

pub struct Workers;

/// Half of the memory is for what is merged here, the other half for the processes.
fn divided(context: &RunContext) -> (schedule::Workers, RunContext) {
    let live = measure::live();
    let half = context.memory.saturating_sub(live) / 2;
    let mut own = RunContext { memory: live + half, ..context.clone() };
    if let Some(spill) = &mut own.spill {
        spill.budget /= 2;
    }
    (schedule::Workers::new(context.workers, half), own)
}

impl Engine for Workers {
    fn name(&self) -> &'static str {
        "workers"
    }

    fn about(&self) -> &'static str {
        "runs the same tasks as `threads` in processes of their own, which may crash (%set workers N)"
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
        if let Some((reason, span)) = schedule::objection(plan) {
            return Some(Objection { reason, span });
        }
        schedule::worker_objection(plan).map(|(reason, span)| Objection { reason, span })
    }

    fn run(&self, plan: &Prepared, context: &RunContext) -> Fallible<EngineOutput> {
        let (runner, context) = divided(context);
        let table = tasks::run(plan, &runner, &context)?;
        Ok(EngineOutput { table, steps: None, compile: None, cost: vec![("workers", runner.cost())] })
    }

    fn stream(&self, plan: &Prepared, sink: &mut dyn TableSink, context: &RunContext) -> Fallible<StreamOutput> {
        let (runner, context) = divided(context);
        let table = tasks::stream(plan, &runner, sink, &context)?;
        Ok(StreamOutput { table, steps: None, compile: None, cost: vec![("workers", runner.cost())] })
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        let mut lines = vec!["each task runs in one of the worker processes, which get the plan once".to_string()];
        lines.extend(tasks::explain(plan));
        lines.push("a task whose process dies runs again in another one, at most 3 times".to_string());
        lines
    }
}
