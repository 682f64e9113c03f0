//! Pipeline breakers: what an op keeps of the rows that it has seen, so that several may be merged.

use crate::diagnostic::Fallible;

use super::scope::Scope;

/// What a breaker has seen of its input. One takes all batches, or each of many takes a part of them and they are
/// merged: how the input is split changes nothing.
pub trait Partial: Send + Sized {
    /// What comes of all rows.
    type Whole;

    /// Takes the rows of one more batch.
    fn take(&mut self, scope: Scope) -> Fallible<()>;

    /// Takes what a later part of the input gave.
    fn merge(&mut self, later: Self) -> Fallible<()>;

    /// The result; rows are in one batch, however many.
    fn finish(self) -> Fallible<Self::Whole>;
}
