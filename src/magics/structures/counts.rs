//! The class of an operation: steps of n operations on n elements, for growing n.

use std::cell;
use std::time::{Duration, Instant};

use crate::diagnostic::Diagnostic;
use crate::measure::Clock;
use crate::measure::growth::{Answer, Point, Question, answer, usual, walk};
use crate::run_context::RunContext;
use crate::rust::{Counted, Uncounted};
use crate::structures::{self, Cell, SEED};

/// Smaller sizes show what is constant about an operation.
const LEAST: i64 = 16;
const MOST: i64 = 65_536;
/// The time of one operation at all sizes, in nanoseconds.
const LIMIT: u64 = 120_000_000;

/// The CPU time of the program: on a busy machine it counts the same sizes as on an idle one.
#[derive(Default)]
struct Spent(cell::Cell<u64>);

impl Clock for Spent {
    fn now(&self) -> u64 {
        self.0.get()
    }
}

/// The program that counts, and what it took to compile; else why there is none.
pub fn start(context: &RunContext) -> Result<(Counted, Duration), String> {
    let start = Instant::now();
    match Counted::start(&structures::counted(), context) {
        Ok(program) => Ok((program, start.elapsed())),
        Err(Uncounted::Because(why)) => Err(why),
        Err(Uncounted::Stopped(_)) => Err("stopped".to_string()),
    }
}

/// What the counts say of one operation; nothing where the program fails or was stopped.
pub fn class(program: &mut Counted, cell: &Cell, context: &RunContext) -> Option<Answer> {
    let sizes: Vec<i64> = usual(MOST).into_iter().filter(|size| *size >= LEAST).collect();
    let mut points = Vec::new();
    let spent = Spent::default();
    walk(&spent, &sizes, LIMIT, |at| {
        let n = sizes[at];
        let counts = program.count(&cell.line(n, SEED), context)?;
        points.push(Point { n: n as f64, cost: counts.steps().max(1.0) });
        spent.0.set(spent.0.get() + counts.spent as u64);
        Ok::<u64, Box<Diagnostic>>(counts.spent as u64)
    });
    (!context.stop.is_raised()).then(|| answer(Question::Steps, &points).of_each())
}
