//! The engine `rows`: one row at a time, every stage asks the one before it for its next row. The reference that the
//! others are tested against, and the picture of what an interpreter costs.

mod aggregate;
mod flow;

use crate::data::{Table, Value};
use crate::diagnostic::Fallible;
use crate::job::Job;
use crate::plan::{Plan, op_text};
use crate::rowwise::{Frame, Program};

use super::{Engine, Objection, Run};

pub struct Rows;

impl Engine for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn about(&self) -> &'static str {
        "one row at a time, like an interpreter's loop: the reference"
    }

    fn objection(&self, _: &Plan) -> Option<Objection> {
        None
    }

    fn run(&self, plan: &Plan, job: &Job) -> Fallible<Run> {
        let (columns, height, steps) = collect(plan, job)?;
        let table = Table::from_columns(plan.schema().clone(), height, &columns);
        Ok(Run { table, steps: Some(steps) })
    }

    fn explain(&self, plan: &Plan) -> Vec<String> {
        let inputs = std::iter::once(plan.schema()).chain(plan.steps.iter().map(|step| &step.schema));
        let steps = plan.steps.iter().zip(inputs).map(|(step, input)| op_text(&step.op, input, plan));
        let row = |line: String| format!("for each row: {line}");
        let source = |line: String| format!("a loop over {line}");
        steps.enumerate().map(|(i, line)| if i == 0 { source(line) } else { row(line) }).collect()
    }
}

/// The result of a plan as columns of values, its height, and the evaluation steps.
fn collect(plan: &Plan, job: &Job) -> Fallible<(Vec<Vec<Value>>, usize, u64)> {
    let program = Program::new(&plan.functions);
    let mut frame = Frame::new(&program).stopping_at(&job.stop);
    let mut flow = flow::build(plan, job)?;
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); plan.schema().columns.len()];
    let mut height: usize = 0;
    while flow::more(flow.next(&mut frame))? {
        for (column, value) in columns.iter_mut().zip(frame.row.iter_mut()) {
            column.push(std::mem::take(value));
        }
        height += 1;
        if height.is_multiple_of(1024) {
            flow::look(job)?;
        }
    }
    Ok((columns, height, frame.steps))
}
