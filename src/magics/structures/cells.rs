//! What was measured of each operation: its class by counts, its time by a clock.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::diagnostic::Fallible;
use crate::magics::bigo::{Agrees, agrees, classes};
use crate::magics::timing::Time;
use crate::measure::growth::{Answer, Verdict};
use crate::measure::{Clocks, Overhead};
use crate::run_context::RunContext;
use crate::session::Session;
use crate::structures::{Cell, Kind};

use super::counts;
use super::filled::{Filled, SEED, filled};

/// An operation with what was found.
pub struct MeasuredCell {
    pub cell: Cell,
    /// Nanoseconds.
    pub time: Option<f64>,
    /// Of one of n operations.
    pub answer: Option<Answer>,
}

pub struct Measured {
    pub cells: Vec<MeasuredCell>,
    /// The heap of an element of each kind.
    pub bytes: Vec<(&'static Kind, Option<f64>)>,
    pub compiled: Option<Duration>,
    /// Why no classes were measured.
    pub uncounted: Option<String>,
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

/// Measures operations of these kinds. What was measured before a stop is kept.
pub fn measure(
    session: &mut Session,
    kinds: &[&'static Kind],
    cells: &[Cell],
    size: usize,
    context: &RunContext,
    live: &dyn Fn(String),
) -> Fallible<Measured> {
    let clocks = session.clocks.clone();
    let mut measured = Measured { cells: Vec::new(), bytes: Vec::new(), compiled: None, uncounted: None };
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
    let mut done = 0;
    for kind in kinds {
        let mut parts: HashMap<usize, Filled> = HashMap::new();
        let own = cells.iter().filter(|cell| cell.kind.name == kind.name);
        for cell in own {
            done += 1;
            live(format!("{} {} · {done} of {}", kind.name, cell.name(), cells.len()));
            let filled = match parts.entry(cell.part) {
                Entry::Occupied(filled) => filled.into_mut(),
                Entry::Vacant(place) => match filled(kind, cell.part, size, context) {
                    Ok(filled) => place.insert(filled),
                    Err(_) => break,
                },
            };
            let time = time(&clocks, cell, filled, size, context);
            let answer = program.as_mut().and_then(|program| counts::class(program, cell, context));
            if context.stop.is_raised() {
                break;
            }
            measured.cells.push(MeasuredCell { cell: *cell, time, answer });
        }
        let bytes = parts.get(&0).map(|filled| filled.bytes as f64 / size as f64);
        measured.bytes.push((kind, bytes));
        if context.stop.is_raised() {
            break;
        }
    }
    // With nothing at all there is nothing to keep.
    if measured.cells.is_empty() { context.stop.check().map(|()| measured) } else { Ok(measured) }
}

/// A sample lasts so many nanoseconds, if there are enough keys.
const SAMPLE: f64 = 200_000.0;
const SAMPLES: usize = 15;
const FEWEST: usize = 3;
/// Copies and samples of one operation take no longer.
const PATIENCE: Duration = Duration::from_millis(150);

/// The nanoseconds of one operation: the median of samples with many keys each. What changes the structure gets a new
/// copy for each sample, outside the time.
fn time(clocks: &Clocks, cell: &Cell, filled: &mut Filled, size: usize, context: &RunContext) -> Option<f64> {
    let keys = cell.facts.keys.drawn(size, SEED + 1);
    let start = Instant::now();
    let mut sample = |keys: &[i64], clock: Time| {
        if cell.facts.changes {
            filled.held.reset();
        }
        let clock = clock.clock(clocks);
        let before = clock.now();
        black_box(filled.held.run(cell.operation, black_box(keys)));
        (clock.now() - before) as f64
    };
    let mut count = 1;
    let mut last = sample(&keys[..1], Time::Wall);
    while last < SAMPLE / 2.0 && count < keys.len() && start.elapsed() < PATIENCE {
        let wanted = (SAMPLE * count as f64 / last.max(10.0)) as usize;
        count = wanted.clamp(2 * count, 50 * count).min(keys.len());
        last = sample(&keys[..count], Time::Wall);
        if context.stop.is_raised() {
            return None;
        }
    }
    let clock = Time::chosen(None, last, false);
    let overhead = Overhead::measure(clock.clock(clocks));
    let mut times = Vec::new();
    // Other keys in each sample, where there are more.
    let mut at = 0;
    while times.len() < SAMPLES && (times.len() < FEWEST || start.elapsed() < PATIENCE) {
        if at + count > keys.len() {
            at = 0;
        }
        times.push((sample(&keys[at..at + count], clock) - overhead.read).max(0.0) / count as f64);
        at += count;
        if context.stop.is_raised() {
            return None;
        }
    }
    times.sort_by(f64::total_cmp);
    Some(times[times.len() / 2])
}
