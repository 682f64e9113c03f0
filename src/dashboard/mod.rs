//! The page of `%dashboard`: runs as they are, for a browser on this machine. It shows what the monitor knows, and
//! changes nothing.

mod page;
mod server;
mod text;

use std::sync::Arc;

use serde::Serialize;

use crate::measure;
use crate::monitor::{Monitor, RunSeen};

pub use server::Server;
pub use text::board;

/// What the page asks for again and again.
#[derive(Serialize)]
struct State {
    /// The live heap of the shell, in bytes.
    live: u64,
    runs: Vec<RunSeen>,
}

fn state(monitor: &Arc<Monitor>) -> State {
    State { live: measure::live(), runs: monitor.runs() }
}
