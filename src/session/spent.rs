//! What other processes than the shell have cost that worked for a cell.

use crate::measure::Cost;

use super::Session;

/// A process that runs Rust, as figures call it.
pub const RUST_PROCESS: &str = "Rust";

impl Session {
    /// Begins to add up what other processes cost.
    pub fn begin_spent(&mut self) {
        self.spent_by_functions();
        self.spent.get_mut().clear();
    }

    /// What each other process has cost since then.
    pub fn take_spent(&mut self) -> Vec<(&'static str, Cost)> {
        let functions = self.spent_by_functions();
        self.spent.get_mut().extend(functions.into_iter().map(|cost| (RUST_PROCESS, cost)));
        std::mem::take(self.spent.get_mut())
    }

    /// Adds what a run cost in other processes.
    pub(super) fn add_spent(&self, costs: &[(&'static str, Cost)]) {
        self.spent.borrow_mut().extend_from_slice(costs);
    }
}
