//! The engine `threads`: the tasks of a plan's stages on several threads.

use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::{self, Batch, Rows};
use crate::lang::{Expr, Privileges, Word};
use crate::plan::{Op, Prepared, op_text, source_text};
use crate::run_context::{RunContext, TableSink};
use crate::schedule::{self, Stage};

use super::{Engine, EngineOutput, Limit, MEMORY, Objection, StreamOutput, WORKERS};

pub struct Threads;

/// With a limit of memory no more tasks at a time.
const MOST_IN_LIMIT: usize = 4;

fn runner(context: &RunContext) -> schedule::Threads {
    let most = if context.spill.is_some() { MOST_IN_LIMIT } else { usize::MAX };
    schedule::Threads(context.workers.min(most))
}

/// Rows of the plan's result.
fn table(batch: Batch, plan: &Prepared) -> Fallible<Table> {
    kernel::table(batch, plan.schema())
        .map_err(|what| Diagnostic::new(Kind::System, format!("the kernel gave another table than was meant: {what}")))
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
        let mut rows = Rows::of(plan.schema());
        schedule::run(plan, &runner(context), context, &mut |batch| rows.push(&batch).map(|()| true))?;
        Ok(EngineOutput { table: table(rows.finish(), plan)?, steps: None, compile: None, cost: Vec::new() })
    }

    fn stream(&self, plan: &Prepared, sink: &mut dyn TableSink, context: &RunContext) -> Fallible<StreamOutput> {
        let mut rows = sink.keeps().then(|| Rows::of(plan.schema()));
        schedule::run(plan, &runner(context), context, &mut |batch| {
            if let Some(rows) = &mut rows {
                rows.push(&batch)?;
            }
            let wants_more = sink.take(&table(batch, plan)?)?;
            rows = rows.take().filter(|_| sink.keeps());
            Ok(wants_more)
        })?;
        let table = rows.map(|rows| table(rows.finish(), plan)).transpose()?;
        Ok(StreamOutput { table, steps: None, compile: None, cost: Vec::new() })
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        let mut lines = Vec::new();
        let stages = schedule::stages(plan);
        for (number, stage) in stages.iter().enumerate() {
            lines.extend(explained(number, stage, plan));
        }
        lines.push("the rows of tasks are taken in the order of the input".to_string());
        if plan.calls_external() {
            lines.push("one process serves the functions in Rust: tasks take turns".to_string());
        }
        lines
    }
}

/// What a stage does, a line for each step.
fn explained(number: usize, stage: &Stage, plan: &Prepared) -> Vec<String> {
    let mut lines = vec![match number {
        0 => format!("stage 1: tasks over parts of {}", source_text(&plan.source.op)),
        _ if stage.pairs => format!("stage {}: tasks over pairs of the rows of stage {number}", number + 1),
        _ => format!("stage {}: tasks over rows of stage {number}", number + 1),
    }];
    let has_partials = stage.has_partials();
    let last = stage.tasks.steps.len();
    for (place, (step, input)) in stage.tasks.steps().enumerate() {
        let text = op_text(&step.op, input, &stage.tasks);
        lines.push(match &step.op {
            _ if has_partials && place + 1 == last => format!("  each task, merged in order: {text}"),
            Op::Distinct(_) => format!("  each task, of its rows: {text}"),
            _ => format!("  each task: {text}"),
        });
    }
    let in_order = stage.in_order.steps().map(|(step, input)| op_text(&step.op, input, &stage.in_order));
    lines.extend(in_order.map(|text| format!("  one thread, all rows in order: {text}")));
    lines
}
