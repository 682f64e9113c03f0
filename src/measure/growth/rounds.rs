//! Times at many sizes: rounds in which each size is sampled once, in random order, so that what happens to the machine
//! meanwhile does not happen to one size alone.

use crate::measure::{Clock, Overhead, Workload};

use super::Point;

/// How long a sample lasts, in nanoseconds; one call where that is longer.
pub const SAMPLE: u64 = 200_000;
/// More rounds find no shorter time.
pub const ROUNDS: usize = 15;
/// The most calls of a sample.
const MOST_CALLS: u64 = 1 << 24;

/// A size as it is sampled.
pub struct Sampled<'a, E> {
    pub subject: Box<dyn Workload<E> + 'a>,
    /// What measuring it costs.
    pub overhead: Overhead,
}

/// The times of one size, in nanoseconds a call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Times {
    pub calls: u64,
    pub each: Vec<f64>,
    /// What the instrument can tell of a call.
    pub resolution: f64,
}

impl Times {
    /// The least: all that disturbs a run makes it longer. No less than the instrument can tell.
    pub fn least(&self) -> Option<f64> {
        self.each.iter().copied().reduce(f64::min).map(|least| least.max(self.resolution))
    }
}

/// Samples all sizes in rounds for so many nanoseconds of `wall`; each size at least once. Sizes that take long are in
/// as many rounds as their share of the time allows. `go_on` is asked between samples. What was measured before a
/// failure stays.
pub fn rounds<E>(
    wall: &dyn Clock,
    clock: &dyn Clock,
    sizes: &mut [Sampled<E>],
    limit: u64,
    random: &mut fastrand::Rng,
    mut go_on: impl FnMut() -> bool,
) -> (Vec<Times>, Option<E>) {
    let start = wall.now();
    let mut all: Vec<Times> = vec![Times::default(); sizes.len()];
    for (at, size) in sizes.iter_mut().enumerate() {
        match calibrated(clock, size) {
            Ok(times) => all[at] = times,
            Err(error) => return (all, Some(error)),
        }
        if !go_on() {
            return (all, None);
        }
    }
    // Each size has the same time, not the same number of rounds: else the largest alone would use it up.
    let share = limit.saturating_sub(wall.now() - start) / sizes.len().max(1) as u64;
    let most = |times: &Times| {
        let sample = (times.calls as f64 * times.each.first().copied().unwrap_or(0.0)).max(1.0);
        ((share as f64 / sample) as usize).min(ROUNDS - 1)
    };
    let allowed: Vec<usize> = all.iter().map(most).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    for round in 1..ROUNDS {
        random.shuffle(&mut order);
        for at in order.iter().copied().filter(|at| allowed[*at] >= round) {
            if wall.now() - start > limit || !go_on() {
                return (all, None);
            }
            let Sampled { subject, overhead } = &mut sizes[at];
            match subject.time(clock, all[at].calls) {
                Ok(elapsed) => {
                    let time = overhead.of_call(elapsed, all[at].calls);
                    all[at].each.push(time);
                }
                Err(error) => return (all, Some(error)),
            }
        }
    }
    (all, None)
}

/// The first sample of the right length.
fn calibrated<E>(clock: &dyn Clock, size: &mut Sampled<E>) -> Result<Times, E> {
    let mut calls = 1;
    loop {
        let elapsed = size.subject.time(clock, calls)?;
        if elapsed >= SAMPLE / 2 || calls >= MOST_CALLS {
            let time = size.overhead.of_call(elapsed, calls);
            let resolution = size.overhead.call.max(size.overhead.precision / calls as f64);
            return Ok(Times { calls, each: vec![time], resolution });
        }
        // A first guess from a very short time may be far off.
        let wanted = (SAMPLE as f64 * calls as f64 / elapsed.max(1) as f64).ceil() as u64;
        calls = wanted.clamp(2 * calls, 100 * calls).min(MOST_CALLS);
    }
}

/// A size with its least time, and the bytes that it works on, where known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worked {
    pub point: Point,
    pub bytes: Option<f64>,
}

/// The points that a class by time is fitted to. Where enough sizes lie in a quarter of the second cache, only these:
/// in larger ones the memory grows slower, which looks like a logarithm. And no size costs more than a larger one: what
/// does was disturbed, unless so many do that the cost is like that.
pub fn timed(sizes: &[Worked], cache: u64) -> Vec<Point> {
    const LEAST: f64 = 4.0;
    const ENOUGH: usize = 8;
    const RANGE: f64 = 16.0;
    const DISTURBED: f64 = 1.3;
    const MANY: usize = 5;
    let fits = |size: &&Worked| size.point.n >= LEAST && size.bytes.is_some_and(|bytes| bytes <= cache as f64 / 4.0);
    let mut points: Vec<Point> = sizes.iter().map(|size| size.point).collect();
    // From the end: a larger size that took less shows what the smaller one takes without what disturbed it.
    for at in (1..points.len()).rev() {
        points[at - 1].cost = points[at - 1].cost.min(points[at].cost);
    }
    let lowered = sizes.iter().zip(&points).filter(|(size, point)| size.point.cost > DISTURBED * point.cost).count();
    if MANY * lowered > sizes.len() {
        points = sizes.iter().map(|size| size.point).collect();
    }
    let near: Vec<Point> = sizes.iter().zip(&points).filter(|(size, _)| fits(size)).map(|(_, point)| *point).collect();
    match (&near[..], points.last()) {
        ([first, .., last], Some(largest))
            if near.len() >= ENOUGH && last.n >= RANGE * first.n && is_memory(&near, *last, *largest) =>
        {
            near
        }
        _ => points,
    }
}

/// Whether the memory alone may be why sizes beyond `last` cost more, where the near ones hardly grow: from a cache to
/// memory, an access costs some fifty times as much over a thousand times the size. What rises by more does other work,
/// and must be seen.
fn is_memory(near: &[Point], last: Point, largest: Point) -> bool {
    const FLAT: f64 = 0.3;
    const STEEP: f64 = 0.8;
    let slope = |from: Point, to: Point| (to.cost / from.cost).ln() / (to.n / from.n).ln();
    largest.n <= last.n || slope(near[near.len() / 2], last) > FLAT || slope(last, largest) <= STEEP
}
