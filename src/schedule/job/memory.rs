//! Where a job runs out of memory: the error names the step, and the key where one is to blame, and says what helps.

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::run_context::RunContext;

use super::log::{JobLog, StepKind};
use super::pool::Tasks;

/// A worker process does nothing useful with less, in bytes.
const LEAST_OF_PROCESS: u64 = 2_000_000;
/// Of its memory, a run may have used so much before it begins.
const USED_BEFORE: u64 = 1_000_000;

/// Refuses memory that is too little for so many worker processes, which get half of it. `asked` is what was asked for.
///
/// # Errors
/// It is too little.
pub fn enough_for(workers: usize, memory: u64, asked: Option<u64>) -> Fallible<()> {
    let (least, needed) = (2 * LEAST_OF_PROCESS, 2 * LEAST_OF_PROCESS * workers as u64);
    if memory + USED_BEFORE >= needed {
        return Ok(());
    }
    let megabytes = |bytes: u64| format!("{:.0} MB", bytes as f64 / 1e6);
    let (given, needed) = (asked.unwrap_or(memory), megabytes(needed));
    let message =
        format!("{} of memory is too little for {workers} worker processes, which need {needed}", megabytes(given));
    let fewer = if given >= least { format!("--workers {}", given / least) } else { "--on threads".to_string() };
    Err(Diagnostic::new(Kind::Memory, message).hint(format!("--memory {}, or {fewer}", needed.replace(' ', ""))))
}

/// Does what a step does beside its tasks.
///
/// # Errors
/// Those of the work.
pub fn in_step<T>(
    round: usize,
    kind: StepKind,
    context: &RunContext,
    work: impl FnOnce() -> Fallible<T>,
) -> Fallible<T> {
    context.within_limit(work).map_err(|error| named(error, round, kind, ""))
}

/// The error of a task.
pub fn of_task(error: Box<Diagnostic>, tasks: Tasks, task: usize, context: &RunContext) -> Box<Diagnostic> {
    let helps = match tasks.kind {
        _ if error.kind != Kind::Memory || error.hint.as_deref() != Some(context.memory_hint) => None,
        StepKind::Reduce if tasks.count > 1 => Some(format!("--partitions {} makes smaller tasks", 4 * tasks.count)),
        _ if context.workers > 1 => Some("--workers 1 leaves more to each task".to_string()),
        _ => None,
    };
    let error = match helps {
        Some(helps) => error.hint(format!("{helps}; {}", context.memory_hint)),
        None => error,
    };
    named(error, tasks.round, tasks.kind, &format!(" ({})", (tasks.input)(task)))
}

fn named(error: Box<Diagnostic>, round: usize, kind: StepKind, place: &str) -> Box<Diagnostic> {
    match error.kind {
        Kind::Memory => {
            let message = format!("{}, in the {} step of round {round}{place}", error.message, kind.name());
            Box::new(Diagnostic { message, ..*error })
        }
        _ => error,
    }
}

/// A key with so large a share of all records is to blame where the values of each are held.
const BLAMED: f64 = 0.5;

/// The error of a round, where groups are lists of all values: with the key that has most of them.
pub fn with_key(error: Box<Diagnostic>, log: &JobLog) -> Box<Diagnostic> {
    match log.keys.first() {
        Some(top) if error.kind == Kind::Memory && top.share >= BLAMED => {
            let share = 100.0 * top.share;
            let message = format!("{}: the key {} has {share:.0} % of all values", error.message, top.key);
            Box::new(Diagnostic { message, ..*error })
        }
        _ => error,
    }
}
