//! What the process is asked and what it answers.

use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::measure::{Cost, Readings};
use crate::structures::{self, Cell};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// Makes an input, which is kept.
    Input(Input),
    /// Runs a variant once.
    Run {
        input: Input,
        variant: String,
    },
    /// Times calls by the clock of the wall or that of the thread, on so many inputs in turn.
    Sample {
        input: Input,
        turns: usize,
        variant: String,
        calls: u64,
        is_cpu: bool,
    },
    /// What all clocks say of calls.
    Readings {
        input: Input,
        variant: String,
        calls: u64,
    },
    Overhead {
        is_cpu: bool,
    },
    Time {
        cell: CellId,
        size: usize,
    },
    Mix {
        cells: Vec<(CellId, f64)>,
        size: usize,
    },
    Additions {
        cell: CellId,
        size: usize,
        together: bool,
    },
    Allocations {
        cell: CellId,
        size: usize,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    Held(u64),
    Cost(Cost),
    Nanoseconds(u64),
    Readings(Readings),
    Overhead {
        read: f64,
        call: f64,
        precision: f64,
    },
    Timed(Timed),
    Mixed(Mixed),
    /// They come as bytes beside it.
    Numbers,
    Failed(Box<Diagnostic>),
}

/// Which input of a family: the same each time it is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Input {
    pub family: String,
    pub shape: String,
    pub size: i64,
    pub seed: i64,
}

/// What one operation on a structure takes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Timed {
    /// Nanoseconds.
    pub time: f64,
    /// The heap of an element.
    pub bytes: f64,
}

/// What one operation of a mix takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mixed {
    /// Nanoseconds of an operation in each round, sorted.
    pub times: Vec<f64>,
    /// The heap of an element.
    pub bytes: f64,
}

/// A [`Cell`] in a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CellId {
    kind: String,
    part: usize,
    operation: usize,
}

impl CellId {
    pub fn of(cell: &Cell) -> CellId {
        CellId { kind: cell.kind.name.to_string(), part: cell.part, operation: cell.operation }
    }

    pub fn cell(&self) -> Option<Cell> {
        let is_it = |cell: &Cell| cell.part == self.part && cell.operation == self.operation;
        structures::find(&self.kind)?.cells().into_iter().find(is_it)
    }
}
