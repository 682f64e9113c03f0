//! Work and waiting on threads, processes and event loops, measured side by side. It knows no cells.

pub mod contention;
pub mod generators;
pub mod speed_up;
pub mod styles;
mod team;
pub mod ways;
mod work;
