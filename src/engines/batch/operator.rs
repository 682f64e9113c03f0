//! An op at work, and what all of them share.

use crate::diagnostic::Fallible;
use crate::kernel::{Batch, Partial, Scope};
use crate::plan::Prepared;
use crate::rowwise::Program;
use crate::run_context::RunContext;

/// What takes batches; the answer says whether it wants more.
pub type Sink<'s> = dyn FnMut(Batch) -> Fallible<bool> + 's;

/// An op at work. Batches are never empty.
pub trait Operator {
    /// Takes a batch and gives what comes of it to `next`; false when it wants no more.
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool>;

    /// The input has come to its end: gives what was kept.
    fn finish(&mut self, _: &mut Sink) -> Fallible<()> {
        Ok(())
    }
}

/// What gives batches, one after the other, none at the end.
pub trait Batches {
    fn next(&mut self) -> Fallible<Option<Batch>>;
}

/// Makes the batches of a plan that stands inside an op.
pub type Inner<'m, 'a> = dyn Fn(&'a Prepared) -> Fallible<Box<dyn Batches + 'a>> + 'm;

/// A pipeline breaker as an op: it takes all batches, then gives its rows.
pub struct Breaker<'a, P> {
    /// None once it has given its rows.
    partial: Option<P>,
    program: &'a Program,
    context: &'a RunContext,
}

impl<'a, P: Partial<Whole = Batch>> Breaker<'a, P> {
    pub fn new(partial: P, program: &'a Program, context: &'a RunContext) -> Breaker<'a, P> {
        Breaker { partial: Some(partial), program, context }
    }
}

impl<P: Partial<Whole = Batch>> Operator for Breaker<'_, P> {
    fn push(&mut self, batch: Batch, _: &mut Sink) -> Fallible<bool> {
        if let Some(partial) = &mut self.partial {
            partial.take(Scope::new(&batch, self.program, &self.context.stop))?;
        }
        Ok(true)
    }

    fn finish(&mut self, next: &mut Sink) -> Fallible<()> {
        match self.partial.take() {
            Some(partial) => in_parts(&partial.finish()?, self.context, next),
            None => Ok(()),
        }
    }
}

/// Gives a large batch in parts of the usual size.
pub fn in_parts(all: &Batch, context: &RunContext, next: &mut Sink) -> Fallible<()> {
    let mut start = 0;
    while start < all.rows {
        context.check()?;
        let rows = (all.rows - start).min(context.chunk_sizes.rows);
        if !next(all.part(start, rows))? {
            return Ok(());
        }
        start += rows;
    }
    Ok(())
}
