//! The engine `batch`: the kernel's columns of about two thousand rows, pushed through the ops on one thread.

use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible, Kind, listed};
use crate::kernel::phase::{self, Batches, Stream};
use crate::kernel::{self, Batch, Compiler, Fallback, Rows};
use crate::lang::{Expr, Privileges, Word};
use crate::plan::{Format, Op, Prepared, Source, expr_text, op_text, source_text};
use crate::rowwise::Programs;
use crate::run_context::{RunContext, TableSink};

use super::{Engine, EngineOutput, Limit, MEMORY, Objection, StreamOutput};

pub struct Kernel;

/// Of the first batch of a result that somebody waits for; the next ones are larger.
const FIRST_ROWS: usize = 16;

/// Rows of the plan's result.
fn table(batch: Batch, plan: &Prepared) -> Fallible<Table> {
    kernel::table(batch, plan.schema())
        .map_err(|what| Diagnostic::new(Kind::System, format!("the kernel gave another table than was meant: {what}")))
}

impl Engine for Kernel {
    fn name(&self) -> &'static str {
        "batch"
    }

    fn about(&self) -> &'static str {
        "runs vectorised loops over columns of two thousand rows, on one thread"
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        Privileges::NONE
    }

    fn limits(&self) -> &'static [Limit] {
        &[MEMORY]
    }

    fn is_parallel(&self) -> bool {
        false
    }

    fn objection(&self, _: &Prepared) -> Option<Objection> {
        None
    }

    fn run(&self, plan: &Prepared, context: &RunContext) -> Fallible<EngineOutput> {
        let programs = Programs::new(plan);
        let mut stream = Stream::new(plan, &programs, context)?;
        let mut rows = Rows::of(plan.schema());
        while let Some(batch) = stream.next()? {
            rows.push(&batch)?;
        }
        let table = table(rows.finish(), plan)?;
        Ok(EngineOutput { table, steps: None, compile: None, cost: Vec::new() })
    }

    fn stream(&self, plan: &Prepared, sink: &mut dyn TableSink, context: &RunContext) -> Fallible<StreamOutput> {
        let programs = Programs::new(plan);
        let mut stream = Stream::new(plan, &programs, context)?.starting_with(FIRST_ROWS);
        let mut rows = sink.keeps().then(|| Rows::of(plan.schema()));
        while let Some(batch) = stream.next()? {
            if let Some(rows) = &mut rows {
                rows.push(&batch)?;
            }
            if !sink.take(&table(batch, plan)?)? {
                break;
            }
            rows = rows.filter(|_| sink.keeps());
        }
        let table = rows.map(|rows| table(rows.finish(), plan)).transpose()?;
        Ok(StreamOutput { table, steps: None, compile: None, cost: Vec::new() })
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        let compiler = Compiler::new(&plan.functions);
        let mut lines = vec![format!("batches of {}", source_text(&plan.source.op))];
        if let Source::Read(read) = &plan.source.op
            && read.format == Format::Parquet
            && !read.bounds.is_empty()
        {
            let bounds: Vec<&str> = read.bounds.iter().map(|bound| &*read.fields[bound.field].name).collect();
            lines.push(format!("row groups are skipped where their statistics of {} allow it", listed(&bounds)));
        }
        let mut known = 0;
        for (step, input) in plan.steps() {
            let what = op_text(&step.op, input, plan);
            for expr in step.op.input_exprs() {
                compiler.compile(phase::of_text(&step.op).unwrap_or(expr));
            }
            let found = compiler.fallbacks();
            let fallbacks: Vec<String> = found[known..]
                .iter()
                .map(|(how, expr)| match how {
                    Fallback::RowByRow => format!("row by row {}", expr_text(expr, input, plan)),
                    Fallback::RegisterCode => format!("as register code {}", expr_text(expr, input, plan)),
                })
                .collect();
            known = found.len();
            let how = match &step.op {
                Op::Fold { .. } => "row by row:".to_string(),
                _ if fallbacks.is_empty() => "vectorised:".to_string(),
                _ => format!("vectorised, but {}:", fallbacks.join(", ")),
            };
            lines.push(format!("{how} {what}"));
        }
        lines.push(format!("loops compiled for {}", kernel::level().name()));
        lines
    }
}
