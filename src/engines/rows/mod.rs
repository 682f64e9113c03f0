//! The engine `rows`: one row at a time, every stage asks the one before it for its next row. The reference that the
//! others are tested against, and the picture of what an interpreter costs.

mod aggregate;
mod flow;
mod join;
mod source;
mod steps;
mod whole;

use crate::data::Table;
use crate::diagnostic::Fallible;
use crate::lang::{Expr, Privileges, Word};
use crate::plan::{Plan, op_text};
use crate::run_context::{RunContext, TableSink};

use super::{Engine, EngineOutput, Objection, StreamOutput};

pub struct Rows;

impl Engine for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }

    fn about(&self) -> &'static str {
        "processes one row at a time, like the loop of an interpreter: the reference"
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        Privileges::NONE
    }

    fn is_parallel(&self) -> bool {
        false
    }

    fn objection(&self, _: &Plan) -> Option<Objection> {
        None
    }

    fn run(&self, plan: &Plan, context: &RunContext) -> Fallible<EngineOutput> {
        let (columns, height, steps) = steps::collect(plan, context)?;
        let table = Table::from_columns(plan.schema().clone(), height, &columns);
        Ok(EngineOutput { table, steps: Some(steps), compile: None, cost: Vec::new() })
    }

    fn stream(&self, plan: &Plan, sink: &mut dyn TableSink, context: &RunContext) -> Fallible<StreamOutput> {
        let (table, steps) = steps::stream(plan, sink, context)?;
        Ok(StreamOutput { table, steps: Some(steps), compile: None, cost: Vec::new() })
    }

    fn explain(&self, plan: &Plan) -> Vec<String> {
        let inputs = std::iter::once(plan.schema()).chain(plan.steps.iter().map(|step| &step.schema));
        let steps = plan.steps.iter().zip(inputs).map(|(step, input)| op_text(&step.op, input, plan));
        let row = |line: String| format!("for each row: {line}");
        let source = |line: String| format!("a loop over {line}");
        steps.enumerate().map(|(i, line)| if i == 0 { source(line) } else { row(line) }).collect()
    }
}
