//! What an engine receives: a plan of which nothing is left that only the session can do.

use crate::data::Schema;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};

use super::{BoundOp, File, Function, Plan, Reach, Read, Source, Step};

/// A source and the steps after it, pruned, with tables and values in the places of what was computed before. Only
/// [`Session::prepared`](crate::session::Session::prepared) makes one of what was bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    pub source: Step<Source>,
    pub steps: Vec<Step>,
    /// The person's functions that expressions of this plan call, by number.
    pub functions: Vec<Function>,
}

impl Prepared {
    /// A bound plan as one for engines.
    ///
    /// # Errors
    /// The session has left something in it that it should have done itself.
    pub fn of(plan: Plan) -> Fallible<Prepared> {
        stacker::maybe_grow(128 << 10, 4 << 20, || {
            let mut steps = plan.steps.into_iter();
            let source = match steps.next() {
                Some(Step { op: BoundOp::Source(op), schema, span }) => Step { op, schema, span },
                other => return Err(left(other.as_ref())),
            };
            let step = |step: Step<BoundOp>| match step {
                Step { op: BoundOp::Op(op), schema, span } => {
                    Ok(Step { op: op.with_plans(Prepared::of)?, schema, span })
                }
                other => Err(left(Some(&other))),
            };
            Ok(Prepared { source, steps: steps.map(step).collect::<Fallible<_>>()?, functions: plan.functions })
        })
    }

    /// The columns of the result.
    pub fn schema(&self) -> &Schema {
        self.input(self.steps.len())
    }

    /// The columns that flow into a step.
    pub fn input(&self, step: usize) -> &Schema {
        match step {
            0 => &self.source.schema,
            _ => &self.steps[step - 1].schema,
        }
    }

    /// The steps, each with the columns that flow into it.
    pub fn steps(&self) -> impl Iterator<Item = (&Step, &Schema)> {
        self.steps.iter().enumerate().map(|(i, step)| (step, self.input(i)))
    }

    /// The place of the last step.
    pub fn span(&self) -> Span {
        self.steps.last().map_or(self.source.span, |step| step.span)
    }

    /// The reach of the source and of each step.
    pub fn reaches(&self) -> Vec<Reach> {
        // Where a row of a file stands among the others is known only when those before it were read.
        let mut is_numbered = !matches!(self.source.op, Source::Read(_));
        let reach = |step: &Step| {
            let reach = step.op.reach(is_numbered);
            is_numbered = is_numbered && step.op.keeps_numbers();
            reach
        };
        std::iter::once(Reach::Source).chain(self.steps.iter().map(reach)).collect()
    }

    /// This plan and those inside its ops, each before those inside it.
    pub fn with_inner(&self) -> Vec<&Prepared> {
        let (mut all, mut left) = (Vec::new(), vec![self]);
        while let Some(plan) = left.pop() {
            all.push(plan);
            left.extend(plan.steps.iter().rev().flat_map(|step| step.op.plans().into_iter().rev()));
        }
        all
    }

    /// What it reads from files.
    pub fn reads(&self) -> Vec<&Read> {
        let sources = self.with_inner().into_iter().map(|plan| &plan.source.op);
        sources.filter_map(|source| if let Source::Read(read) = source { Some(read) } else { None }).collect()
    }

    /// The files that it reads.
    pub fn files(&self) -> Vec<File> {
        self.reads().into_iter().flat_map(|read| read.files.iter().cloned()).collect()
    }

    /// Whether it calls functions that run in another process, or in another language.
    pub fn calls_external(&self) -> bool {
        self.with_inner().into_iter().any(|plan| {
            let in_steps = plan.steps.iter().flat_map(|step| step.op.exprs());
            plan.functions.iter().map(|function| &function.body).chain(in_steps).any(|expr| expr.calls_external())
        })
    }
}

fn left(step: Option<&Step<BoundOp>>) -> Box<Diagnostic> {
    let span = step.map(|step| step.span).unwrap_or_default();
    Diagnostic::at(Kind::System, span, "this step is the session's: no engine can run it")
}
