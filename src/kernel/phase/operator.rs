//! An op at work, and what all of them share.

use crate::diagnostic::Fallible;
use crate::kernel::Batch;
use crate::plan::Prepared;

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
