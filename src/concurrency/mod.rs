//! Work and waiting on threads, processes and event loops, measured side by side. It knows no cells.

pub mod c10k;
pub mod contention;
pub mod generators;
mod opening;
pub mod requests;
pub mod speed_up;
pub mod store;
pub mod styles;
mod team;
pub mod ways;
mod work;

use crate::service::Program;

/// What child processes may be.
pub static PROGRAMS: [&Program; 3] = [&store::PROGRAM, &c10k::SERVER, &c10k::CLIENT];
