//! What an expression sees, and what it gives.

use crate::rowwise::{Program, RowError};
use crate::run_context::Stop;

use super::column::{Batch, Column};

pub type Out = Result<Column, Box<RowError>>;

/// What an expression sees.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub batch: &'a Batch,
    pub parameters: &'a [Column],
    /// The rows for which a value is needed: of others no fault is told.
    pub active: Option<&'a [bool]>,
    pub program: &'a Program,
    pub stop: &'a Stop,
}

impl<'a> Scope<'a> {
    pub fn new(batch: &'a Batch, program: &'a Program, stop: &'a Stop) -> Scope<'a> {
        Scope { batch, parameters: &[], active: None, program, stop }
    }

    pub fn rows(&self) -> usize {
        self.batch.rows
    }

    #[inline(always)]
    pub fn is_active(&self, row: usize) -> bool {
        self.active.is_none_or(|active| active[row])
    }

    /// The same for some of the rows.
    pub(super) fn at<'b>(self, active: &'b [bool]) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope { active: Some(active), ..self }
    }
}
