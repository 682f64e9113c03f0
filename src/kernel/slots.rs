//! The values and the nulls of a column, shared, with constants that take no room.

use std::sync::Arc;

use polars_buffer::Buffer;

/// The values of a column: one for all rows, or one for each.
#[derive(Debug, Clone)]
pub enum Slots<T> {
    One(T),
    /// Shared with the table that they come from or go to.
    Each(Buffer<T>),
}

impl<T: Clone> Slots<T> {
    pub fn each(values: Vec<T>) -> Slots<T> {
        Slots::Each(Buffer::from_vec(values))
    }

    #[inline(always)]
    pub fn at(&self, row: usize) -> &T {
        match self {
            Slots::One(value) => value,
            Slots::Each(values) => &values[row],
        }
    }

    pub(super) fn gathered(&self, rows: &[u32]) -> Slots<T> {
        match self {
            Slots::One(value) => Slots::One(value.clone()),
            Slots::Each(values) => {
                let values = values.as_slice();
                Slots::each(rows.iter().map(|row| values[*row as usize].clone()).collect())
            }
        }
    }

    pub(super) fn part(&self, start: usize, rows: usize) -> Slots<T> {
        match self {
            Slots::One(value) => Slots::One(value.clone()),
            Slots::Each(values) => Slots::Each(values.clone().sliced(start..start + rows)),
        }
    }
}

/// Which rows are null. What stands in the slot of such a row means nothing.
#[derive(Debug, Clone)]
pub enum Nulls {
    None,
    All,
    /// True where the row is null.
    Some(Arc<Vec<bool>>),
}

impl Nulls {
    /// Null where the flag is up.
    pub fn of(flags: Vec<bool>) -> Nulls {
        if flags.contains(&true) { Nulls::Some(Arc::new(flags)) } else { Nulls::None }
    }

    #[inline(always)]
    pub fn at(&self, row: usize) -> bool {
        match self {
            Nulls::None => false,
            Nulls::All => true,
            Nulls::Some(flags) => flags[row],
        }
    }

    /// Null where one of the two is.
    pub fn or(&self, other: &Nulls) -> Nulls {
        match (self, other) {
            (Nulls::All, _) | (_, Nulls::All) => Nulls::All,
            (Nulls::None, nulls) | (nulls, Nulls::None) => nulls.clone(),
            (Nulls::Some(a), Nulls::Some(b)) => {
                Nulls::Some(Arc::new(a.iter().zip(b.iter()).map(|(a, b)| a | b).collect()))
            }
        }
    }

    pub(super) fn gathered(&self, rows: &[u32]) -> Nulls {
        match self {
            Nulls::None => Nulls::None,
            Nulls::All => Nulls::All,
            Nulls::Some(flags) => Nulls::of(rows.iter().map(|row| flags[*row as usize]).collect()),
        }
    }

    pub(super) fn part(&self, start: usize, rows: usize) -> Nulls {
        match self {
            Nulls::None => Nulls::None,
            Nulls::All => Nulls::All,
            Nulls::Some(flags) => Nulls::of(flags[start..start + rows].to_vec()),
        }
    }
}
