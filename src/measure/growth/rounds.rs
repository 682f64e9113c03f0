//! Times at many sizes: rounds in which each size is sampled once, in random order, so that what happens to the machine
//! meanwhile does not happen to one size alone.

use crate::measure::{Clock, Overhead, Workload};

use super::FEWEST;

/// How long a sample lasts, in nanoseconds; one call where that is longer.
pub const SAMPLE: u64 = 200_000;
/// More rounds find no shorter time.
pub const ROUNDS: usize = 15;
/// The most calls of a sample.
const MOST_CALLS: u64 = 1 << 24;
/// Before fewer calls, one that is not timed brings back what the other sizes took from the caches: where a sample is
/// one call, a search in 3 MB was seen to take six times as long as one in 2 MB, of which a sample has many calls.
const FEW_CALLS: u64 = 16;
/// A call of so many nanoseconds fills the caches by itself.
const LONG: u64 = 50 * SAMPLE;

/// A size as it is sampled.
pub struct Sampled<'a, E> {
    pub subject: Box<dyn Workload<E> + 'a>,
    /// What measuring it costs.
    pub overhead: Overhead,
}

impl<E> Sampled<'_, E> {
    fn time(&mut self, clock: &dyn Clock, calls: u64, warm: bool) -> Result<u64, E> {
        if warm { self.subject.time_warm(clock, calls) } else { self.subject.time(clock, calls) }
    }
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

    /// Whether its samples are taken behind a call that is not timed.
    fn is_warmed(&self) -> bool {
        let first = self.each.first().copied().unwrap_or_default();
        self.calls < FEW_CALLS && first * (self.calls as f64) < LONG as f64
    }
}

/// Samples all sizes in rounds for so many nanoseconds of `wall`; each size at least once, as far as that allows. Sizes
/// that take long are in as many rounds as their share of the time allows. `go_on` is asked between samples. What was
/// measured before a failure stays.
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
    let mut last = 0;
    for (at, size) in sizes.iter_mut().enumerate() {
        let before = wall.now();
        // A larger size takes no less than the one before it.
        if at >= FEWEST && before - start + last > limit {
            return (all, None);
        }
        match calibrated(clock, size) {
            Ok(times) => all[at] = times,
            Err(error) => return (all, Some(error)),
        }
        last = wall.now() - before;
        if !go_on() {
            return (all, None);
        }
    }
    // Each size has the same time, not the same number of rounds: else the largest alone would use it up.
    let share = limit.saturating_sub(wall.now() - start) / sizes.len().max(1) as u64;
    let most = |times: &Times| {
        let calls = times.calls + u64::from(times.is_warmed());
        let sample = (calls as f64 * times.each.first().copied().unwrap_or(0.0)).max(1.0);
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
            let (size, times) = (&mut sizes[at], &mut all[at]);
            match size.time(clock, times.calls, times.is_warmed()) {
                Ok(elapsed) => times.each.push(size.overhead.of_call(elapsed, times.calls)),
                Err(error) => return (all, Some(error)),
            }
        }
    }
    (all, None)
}

/// The first sample of the right length.
fn calibrated<E>(clock: &dyn Clock, size: &mut Sampled<E>) -> Result<Times, E> {
    let mut calls = 1;
    let mut elapsed = size.time(clock, calls, false)?;
    if elapsed < LONG {
        elapsed = size.time(clock, calls, false)?;
    }
    while elapsed < SAMPLE / 2 && calls < MOST_CALLS {
        // A first guess from a very short time may be far off.
        let wanted = (SAMPLE as f64 * calls as f64 / elapsed.max(1) as f64).ceil() as u64;
        calls = wanted.clamp(2 * calls, 100 * calls).min(MOST_CALLS);
        elapsed = size.time(clock, calls, false)?;
    }
    let time = size.overhead.of_call(elapsed, calls);
    let resolution = size.overhead.call.max(size.overhead.precision / calls as f64);
    Ok(Times { calls, each: vec![time], resolution })
}
