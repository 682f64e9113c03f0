//! Which sizes are measured: a list is planned, and it is walked up as far as the time allows.

use crate::measure::Clock;

/// The least and the largest size where nobody chose sizes.
pub const LEAST: i64 = 2;
pub const LARGEST: i64 = 1_000_000;

/// From [`LEAST`] by a factor of √2 to `most`, which is the last.
pub fn usual(most: i64) -> Vec<i64> {
    let steps = (0..).map(|step| (LEAST as f64 * 2f64.powf(f64::from(step) / 2.0)).round() as i64);
    let mut sizes: Vec<i64> = steps.take_while(|size| *size < most).collect();
    sizes.push(most.max(1));
    sizes
}

/// Doubling points with one more between each two: steps of √2.
pub fn denser(points: &[i64]) -> Vec<i64> {
    let mut sizes = Vec::with_capacity(2 * points.len());
    for (at, point) in points.iter().enumerate() {
        if let Some(before) = at.checked_sub(1).map(|before| points[before]) {
            let between = ((before as f64) * (*point as f64)).sqrt().round() as i64;
            if before < between && between < *point {
                sizes.push(between);
            }
        }
        sizes.push(*point);
    }
    sizes
}

/// How far a walk came.
#[derive(Debug, PartialEq)]
pub struct Walk<E> {
    /// So many sizes were run, from the least on.
    pub done: usize,
    /// What ended it, where that was not the end of the sizes.
    pub end: Option<End<E>>,
}

#[derive(Debug, PartialEq)]
pub enum End<E> {
    /// The next size would exceed the time.
    Time,
    /// The next size failed.
    Failed(E),
}

/// What a walk may spend.
pub struct Budget<'a> {
    /// Nanoseconds of the clock of the walk.
    pub limit: u64,
    /// Nanoseconds by the wall, however busy the machine is.
    pub wall: Option<(&'a dyn Clock, u64)>,
}

impl From<u64> for Budget<'_> {
    fn from(limit: u64) -> Self {
        Budget { limit, wall: None }
    }
}

/// Runs sizes, the least first, until the next would exceed the budget. What the next costs is extrapolated from those
/// before, so that no exponential runs away: `run` says what it cost, in nanoseconds, without what else happened on the
/// machine meanwhile.
pub fn walk<'a, E>(
    clock: &dyn Clock,
    sizes: &[i64],
    budget: impl Into<Budget<'a>>,
    mut run: impl FnMut(usize) -> Result<u64, E>,
) -> Walk<E> {
    /// The share of the limit from which on the speed of the machine is known.
    const KNOWN: f64 = 0.05;
    let Budget { limit, wall } = budget.into();
    let (start, wall_start) = (clock.now(), wall.map_or(0, |(wall, _)| wall.now()));
    let mut costs: Vec<(f64, f64)> = Vec::new();
    for (at, size) in sizes.iter().enumerate() {
        // Before it is run, not after: the next size of an exponential may take longer than all so far together.
        let next = predicted(&costs, *size as f64);
        let is_late = wall.is_some_and(|(wall, most)| {
            let passed = (wall.now() - wall_start) as f64;
            // The machine goes on to give as much of its time as so far; of a moment nothing is known.
            let spent = costs.iter().map(|(_, cost)| cost).sum::<f64>().max(limit as f64 * KNOWN);
            passed + next * (passed / spent.max(1.0)).max(1.0) > most as f64
        });
        if is_late && at > 0 || (clock.now() - start) as f64 + next > limit as f64 {
            return Walk { done: at, end: Some(End::Time) };
        }
        match run(at) {
            Ok(cost) => costs.push((*size as f64, cost as f64)),
            Err(error) => return Walk { done: at, end: Some(End::Failed(error)) },
        }
    }
    Walk { done: sizes.len(), end: None }
}

/// Up to this size a cost may be a power of c or a factorial, as far as so many times the size. Farther on noise would
/// grow beyond all time, and what does not end is stopped.
const SMALL: f64 = 64.0;
const NEAR: f64 = 4.0;

/// What a size costs if the cost goes on to grow as over the last three: as a power of n, or while sizes are small, as
/// a power of c. No less than the last. Over two sizes that lie near each other, noise would look like a steep power.
fn predicted(costs: &[(f64, f64)], next: f64) -> f64 {
    let Some(((last, most), before)) = costs.split_last() else { return 0.0 };
    let Some((n, cost)) = before.get(before.len().saturating_sub(2)) else { return *most };
    let ratio = (most / cost.max(1.0)).max(1.0);
    let is_exponential = last <= &SMALL && next <= NEAR * last;
    let power = if is_exponential { (next - last) / (last - n) } else { (next / last).ln() / (last / n.max(0.5)).ln() };
    most * ratio.powf(power.max(0.0))
}
