//! What was measured of each operation: its class by counts, its time by a clock.

use std::time::{Duration, Instant};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::harness::Harness;
use crate::magics::bigo::{Agrees, agrees, classes};
use crate::measure::growth::{Answer, Verdict};
use crate::run_context::RunContext;
use crate::structures::{self, Cell};

use super::counts;

/// An operation with what was found.
pub struct MeasuredCell {
    pub cell: Cell,
    /// Nanoseconds.
    pub time: f64,
    /// Of one of n operations.
    pub answer: Option<Answer>,
}

pub struct Measured {
    pub cells: Vec<MeasuredCell>,
    /// The heap of an element of each kind.
    pub bytes: Vec<(&'static structures::Kind, f64)>,
    pub compiled: Option<Duration>,
    /// Why no classes were measured.
    pub uncounted: Option<String>,
    /// What was not measured, and why it ended before.
    pub left_out: Vec<Cell>,
    pub failed: Option<Box<Diagnostic>>,
}

impl MeasuredCell {
    pub fn measured(&self) -> Option<String> {
        self.answer.as_ref().map(classes)
    }

    pub fn agrees(&self) -> Option<Agrees> {
        self.answer.as_ref().map(|answer| agrees(self.cell.facts.claimed, answer))
    }

    /// What is to be known: of an expected exception, else of a difference that nobody expected, else of the operation.
    pub fn why(&self) -> String {
        let facts = self.cell.facts;
        let class = self.answer.as_ref().map(|answer| answer.verdict);
        match (facts.except, class) {
            (Some((except, why)), Some(Verdict::Class(class))) if class == except => return why.to_string(),
            _ => {}
        }
        match self.agrees() {
            Some(Agrees::No | Agrees::CannotTell | Agrees::Bound | Agrees::NoClaim) => {
                "the sizes that were counted do not show the claimed class".to_string()
            }
            Some(Agrees::Yes | Agrees::Below) | None => facts.why.to_string(),
        }
    }
}

/// Measures operations, those of a kind one after the other, until the time is over. What was measured before a stop or
/// a failure is kept.
///
/// # Errors
/// Where there is nothing to keep.
pub fn measure(
    cells: &[Cell],
    size: usize,
    limit: Option<Duration>,
    context: &RunContext,
    live: &dyn Fn(String),
) -> Fallible<Measured> {
    let mut measured = Measured {
        cells: Vec::new(),
        bytes: Vec::new(),
        compiled: None,
        uncounted: None,
        left_out: Vec::new(),
        failed: None,
    };
    live("compiling with counters".to_string());
    let mut program = match counts::start(context) {
        Ok((program, time)) => {
            measured.compiled = Some(time);
            Some(program)
        }
        Err(why) => {
            measured.uncounted = Some(why);
            None
        }
    };
    context.stop.check()?;
    let harness = Harness::new(context);
    let start = Instant::now();
    for (done, cell) in cells.iter().enumerate() {
        live(format!("{} {} · {} of {}", cell.kind.name, cell.name(), done + 1, cells.len()));
        // The first one is measured in any case.
        if limit.is_some_and(|limit| done > 0 && start.elapsed() >= limit) {
            measured.left_out = cells[done..].to_vec();
            break;
        }
        let timed = match harness.time(cell, size, &context.stop) {
            Ok(timed) => timed,
            Err(error) => {
                measured.left_out = cells[done..].to_vec();
                measured.failed = Some(error).filter(|error| error.kind != Kind::Stopped);
                break;
            }
        };
        if measured.bytes.last().is_none_or(|(kind, _)| kind.name != cell.kind.name) {
            measured.bytes.push((cell.kind, timed.bytes));
        }
        let answer = program.as_mut().and_then(|program| counts::class(program, cell, context));
        // Its time is there, and nothing is claimed of it.
        measured.cells.push(MeasuredCell { cell: *cell, time: timed.time, answer });
        if context.stop.is_raised() {
            measured.left_out = cells[done + 1..].to_vec();
            break;
        }
    }
    if !measured.cells.is_empty() {
        return Ok(measured);
    }
    context.stop.check()?;
    Err(measured.failed.take().expect("nothing was measured, so something failed"))
}
