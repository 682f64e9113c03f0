//! What a cell cost.

use std::time::Duration;

use crate::measure;

/// What a cell cost: compiling and running apart.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// Until the compiler was there.
    pub start: Duration,
    pub compile: Duration,
    /// The run alone, in the process of Rust.
    pub run: measure::Cost,
}

impl Cost {
    /// The cost of the run alone.
    pub fn run(&self) -> measure::Cost {
        self.run.clone()
    }
}
