//! The engine `rows`: one row at a time, every stage asks the one before it for its next row. The reference that the
//! others are tested against, and the picture of what an interpreter costs.

mod aggregate;
mod flow;
mod join;
mod source;
mod steps;
mod whole;

use crate::data::{Schema, Table};
use crate::diagnostic::Fallible;
use crate::lang::{Expr, Privileges, Word};
use crate::plan::{Prepared, Step, op_text, source_text};
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

    fn objection(&self, _: &Prepared) -> Option<Objection> {
        None
    }

    fn run(&self, plan: &Prepared, context: &RunContext) -> Fallible<EngineOutput> {
        let (columns, height, steps) = steps::collect(plan, context)?;
        let table = Table::from_columns(plan.schema().clone(), height, &columns);
        Ok(EngineOutput { table, steps: Some(steps), compile: None, cost: Vec::new() })
    }

    fn stream(&self, plan: &Prepared, sink: &mut dyn TableSink, context: &RunContext) -> Fallible<StreamOutput> {
        let (table, steps) = steps::stream(plan, sink, context)?;
        Ok(StreamOutput { table, steps: Some(steps), compile: None, cost: Vec::new() })
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        let source = format!("a loop over {}", source_text(&plan.source.op));
        let row = |(step, input): (&Step, &Schema)| format!("for each row: {}", op_text(&step.op, input, plan));
        std::iter::once(source).chain(plan.steps().map(row)).collect()
    }
}
