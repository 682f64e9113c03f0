//! What a cell cost.

use std::time::Duration;

use super::frame::Ending;

/// What a cell cost: compiling and running apart.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// Until the compiler was there.
    pub start: Duration,
    pub compile: Duration,
    /// Seconds of the run, wall, user and system.
    pub wall: f64,
    pub user: f64,
    pub system: f64,
    pub allocations: u64,
    pub allocated: u64,
    pub peak: u64,
}

impl Cost {
    /// The cost of the run alone.
    pub fn run(&self) -> crate::measure::Cost {
        crate::measure::Cost {
            wall: Duration::from_secs_f64(self.wall),
            user: Duration::from_secs_f64(self.user),
            system: Duration::from_secs_f64(self.system),
            peak: self.peak,
            allocations: self.allocations,
            allocated: self.allocated,
        }
    }

    pub fn of(ending: &Ending, start: Duration, compile: Duration) -> Cost {
        Cost {
            start,
            compile,
            wall: ending.wall,
            user: ending.user,
            system: ending.system,
            allocations: ending.allocations,
            allocated: ending.allocated,
            peak: ending.peak,
        }
    }
}
