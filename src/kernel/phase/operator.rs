//! An op at work, and what all of them share.

use std::sync::Arc;

use crate::diagnostic::{Fallible, Span};
use crate::kernel::external::ExternalRight;
use crate::kernel::{Batch, Compiler, Matches, Partial, RightSide, Scope};
use crate::meters::Operators;
use crate::plan::{Expr, Prepared};
use crate::rowwise::Program;
use crate::run_context::RunContext;

/// What takes batches; the answer says whether it wants more.
pub type Sink<'s> = dyn FnMut(Batch) -> Fallible<bool> + 's;

/// An op at work. Batches are never empty.
pub trait Operator {
    /// Takes a batch and gives what comes of it to `next`; false when it wants no more.
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool>;

    /// The input has come to its end: gives some of what was kept. True as long as there is more of it, which it gives
    /// the next time: what stands behind it takes the rows meanwhile.
    fn give_kept(&mut self, _: &mut Sink) -> Fallible<bool> {
        Ok(false)
    }

    /// Whether many rows may come of one.
    fn multiplies(&self) -> bool {
        false
    }
}

/// What gives batches, one after the other, none at the end.
pub trait Batches {
    fn next(&mut self) -> Fallible<Option<Batch>>;
}

/// The right side of a join.
pub enum Right {
    Here(Arc<Matches>),
    /// It does not fit into memory.
    External(ExternalRight),
}

/// After so many batches one looks how large a right side is.
const LOOKED_BATCHES: usize = 8;

/// What operators are given of the plans that stand inside ops, and of where their input begins.
pub trait Inner<'a> {
    /// The batches of a plan.
    fn batches(&self, plan: &'a Prepared) -> Fallible<Box<dyn Batches + 'a>>;

    /// The right side of a join, whose keys are the second ones of `on`, with these columns.
    fn matches(
        &self,
        right: &'a Prepared,
        on: &[(Expr, Expr)],
        wanted: &[usize],
        span: Span,
        context: &RunContext,
    ) -> Fallible<Right> {
        let compiler = Compiler::new(&right.functions);
        let types: Vec<_> = right.schema().columns.iter().map(|column| column.ty.clone()).collect();
        let mut side = RightSide::new(on, wanted, &types, &compiler);
        let program = Program::new(&right.functions);
        let mut batches = self.batches(right)?;
        let mut external: Option<ExternalRight> = None;
        let mut looked = 0;
        while let Some(batch) = batches.next()? {
            side.take(Scope::new(&batch, &program, &context.stop))?;
            looked += 1;
            if let Some(spill) = context.spill.as_ref().filter(|_| looked % LOOKED_BATCHES == 0)
                && side.size() > spill.limit()
            {
                let full = std::mem::replace(&mut side, RightSide::new(on, wanted, &types, &compiler));
                if external.is_none() {
                    external = Some(ExternalRight::new(spill, on.len(), span)?);
                }
                external.as_mut().expect("it was just made").push(full)?;
            }
        }
        match external {
            None => side.finish().map(|matches| Right::Here(Arc::new(matches))),
            Some(mut external) => {
                external.push(side)?;
                Ok(Right::External(external))
            }
        }
    }

    /// The number of the first row that flows in.
    fn first_row(&self) -> u64 {
        0
    }
}

/// An operator with its number where somebody asks what each takes. It is measured in place: with one call more for
/// each operator the calls would be so deep that processors no longer predict where they return to.
pub struct Metered<'a> {
    pub operator: Box<dyn Operator + 'a>,
    pub meter: Option<(&'a Operators, usize)>,
}

impl Metered<'_> {
    #[inline]
    pub fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool> {
        let Metered { operator, meter } = self;
        let before = meter.map(|(meter, number)| meter.enter(number, batch.rows));
        let pushed = operator.push(batch, next);
        meter.zip(before).iter().for_each(|((meter, _), before)| meter.leave(*before));
        pushed
    }

    pub fn give_kept(&mut self, next: &mut Sink) -> Fallible<bool> {
        let Metered { operator, meter } = self;
        let before = meter.map(|(meter, number)| meter.enter(number, 0));
        let has_more = operator.give_kept(next);
        meter.zip(before).iter().for_each(|((meter, _), before)| meter.leave(*before));
        has_more
    }

    /// What it gives is counted by who takes it.
    #[inline]
    pub fn gave(meter: Option<(&Operators, usize)>, rows: usize) {
        meter.iter().for_each(|(meter, number)| meter.gave(*number, rows));
    }
}
