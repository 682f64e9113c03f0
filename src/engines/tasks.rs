//! Plans in tasks, whoever runs these: what the engines that have tasks share.

use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::{self, Batch, Rows};
use crate::plan::{ExternalPlace, Op, Prepared, op_text, source_text};
use crate::run_context::{RunContext, TableSink};
use crate::schedule::{self, Runner, Stage};

/// Runs a plan; its table.
pub fn run(plan: &Prepared, runner: &dyn Runner, context: &RunContext) -> Fallible<Table> {
    let mut rows = Rows::of(plan.schema());
    schedule::run(plan, runner, context, &mut |batch| rows.push(&batch).map(|()| true))?;
    table(rows.finish(), plan)
}

/// The same, where the rows also go to a sink as they come; the table as far as the sink wants it.
pub fn stream(
    plan: &Prepared,
    runner: &dyn Runner,
    sink: &mut dyn TableSink,
    context: &RunContext,
) -> Fallible<Option<Table>> {
    let mut rows = sink.keeps().then(|| Rows::of(plan.schema()));
    schedule::run(plan, runner, context, &mut |batch| {
        if let Some(rows) = &mut rows {
            rows.push(&batch)?;
        }
        let wants_more = sink.take(&table(batch, plan)?)?;
        rows = rows.take().filter(|_| sink.keeps());
        Ok(wants_more)
    })?;
    rows.map(|rows| table(rows.finish(), plan)).transpose()
}

/// The stages and what tasks do in each, a line for each step.
pub fn explain(plan: &Prepared) -> Vec<String> {
    let stages = schedule::stages(plan);
    let mut lines: Vec<String> =
        stages.iter().enumerate().flat_map(|(number, stage)| explained(number, stage, plan)).collect();
    lines.push("the rows of tasks are taken in the order of the input".to_string());
    if !plan.external_places().iter().all(ExternalPlace::is_command) {
        lines.push("one process serves the functions in Rust: tasks take turns".to_string());
    }
    lines
}

/// Rows of the plan's result.
fn table(batch: Batch, plan: &Prepared) -> Fallible<Table> {
    kernel::table(batch, plan.schema())
        .map_err(|what| Diagnostic::new(Kind::System, format!("the kernel gave another table than was meant: {what}")))
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
