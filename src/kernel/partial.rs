//! Pipeline breakers: what an op keeps of the rows that it has seen, so that several may be merged.

use crate::diagnostic::Fallible;
use crate::run_context::RunContext;

use super::column::Batch;
use super::scope::Scope;

/// What a breaker has seen of its input. One takes all batches, or each of many takes a part of them and they are
/// merged: how the input is split changes nothing.
///
/// It can also be had as flat columns: a row for each group or row that it holds. These can be cut, turned into bytes
/// and taken by a partial of the same op, here or in another process.
pub trait Partial: Send + Sized {
    /// What comes of all rows.
    type Whole;

    /// Takes the rows of one more batch.
    fn take(&mut self, scope: Scope) -> Fallible<()>;

    /// Takes what a later part of the input gave.
    ///
    /// # Errors
    /// Also [`Stopped`](crate::diagnostic::Kind::Stopped): the flag is looked at again and again.
    fn merge(&mut self, later: Self, context: &RunContext) -> Fallible<()>;

    /// The bytes that it holds, about.
    fn size(&self) -> usize;

    /// What it holds, as flat columns.
    fn columns(self) -> Fallible<Batch>;

    /// Takes the flat columns of a later part of the input. The rows of these whose keys it had not, in their order;
    /// none where it numbers no keys.
    ///
    /// # Errors
    /// As [`Partial::merge`].
    fn take_columns(&mut self, flat: Batch, context: &RunContext) -> Fallible<Vec<u32>>;

    /// Its flat columns in `parts` parts, each of which has its own keys: the same ones in every partial, whichever
    /// process has it. Where there are no keys, all of it is one part.
    fn split(self, parts: usize) -> Fallible<Vec<Batch>>;

    /// The result; rows are in one batch, however many.
    fn finish(self) -> Fallible<Self::Whole>;
}

/// So many groups or rows are merged between two looks at the stop flag.
pub(super) const CHECKED_ROWS: usize = 1 << 15;

/// The rows of a batch by the part to which each belongs.
pub(super) fn spread(flat: &Batch, place: impl IntoIterator<Item = usize>, parts: usize) -> Vec<Batch> {
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); parts];
    for (row, part) in place.into_iter().enumerate() {
        rows[part].push(row as u32);
    }
    rows.iter().map(|rows| flat.gathered(rows)).collect()
}
