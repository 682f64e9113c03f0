//! Engines that run elsewhere: a plan in their words, what carries it to them, and the table that comes back. It knows
//! no session, and no engine of ours.

mod arrow;
mod driver;
mod pattern;
mod reach;
pub mod servers;
pub mod spark;
mod translate;

pub use arrow::table;
pub use driver::{Driver, python, run as run_driver};
pub use pattern::{Dialect, in_common};
pub use reach::{HostPort, host_port, is_loopback, patience, reach};
pub use translate::{Refusal, objection, translate};
