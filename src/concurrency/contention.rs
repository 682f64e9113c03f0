//! Threads that need one lock again and again: how much work outside the lock makes them worth their while.

use std::io;
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crate::interleave::barrier::{Padded, SpinBarrier, cores};
use crate::measure::scaling;
use crate::run_context::RunContext;

use super::team::team;
use super::work::{spin, units_in};

/// The work that is done under the lock each time.
const INSIDE: Duration = Duration::from_nanos(200);
/// One thread does all in about so long.
const JOB: Duration = Duration::from_millis(10);
const ROUNDS: usize = 7;
const BETWEEN_LOOKS: u64 = 64;

/// What threads got out of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The work outside the lock, in multiples of that under it.
    pub outside: u64,
    /// Over one thread that does it all, by the median of paired rounds.
    pub speed_up: f64,
    /// The least and the greatest of the rounds.
    pub range: (f64, f64),
    /// The share of their time that threads waited for the lock.
    pub waiting: f64,
}

/// A point for each amount of work outside the lock; fewer where it was stopped.
///
/// # Errors
/// Where the system starts no more threads.
pub fn measure(threads: usize, outsides: &[u64], context: &RunContext) -> io::Result<Vec<Point>> {
    let stopped = || context.stop.is_raised();
    let inside = units_in(INSIDE);
    let mut points = Vec::new();
    for outside in outsides {
        context.progress.tell(format!("work outside the lock: {outside}×"));
        let each = INSIDE.as_secs_f64() * (1 + outside) as f64;
        let times = (JOB.as_secs_f64() / each) as u64 / threads as u64 * threads as u64;
        let (mut alone, mut together, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (one, _) = play(1, times, inside, inside * outside, &stopped)?;
            let (all, waited) = play(threads, times, inside, inside * outside, &stopped)?;
            if stopped() {
                return Ok(points);
            }
            alone.push(one);
            together.push(all);
            waiting.push(waited);
        }
        let ratios = || alone.iter().zip(&together).map(|(alone, together)| alone / together);
        let Some(speed_up) = scaling::paired(&alone, &together) else { continue };
        waiting.sort_by(f64::total_cmp);
        points.push(Point {
            outside: *outside,
            speed_up,
            range: (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max)),
            waiting: waiting[waiting.len() / 2],
        });
    }
    Ok(points)
}

/// From how much work outside the lock on several threads are faster than one: the first point from which on they were
/// in every round.
pub fn break_even(points: &[Point]) -> Option<u64> {
    let good = points.iter().rev().take_while(|point| point.range.0 > 1.0);
    good.last().map(|point| point.outside)
}

/// The most that threads can gain: while one of them holds the lock, the others have only their work outside it.
pub fn bound(threads: usize, outside: u64) -> f64 {
    (threads as f64).min(1.0 + outside as f64)
}

/// Seconds, and the share of its time that a thread waited.
fn play(
    threads: usize,
    times: u64,
    inside: u64,
    outside: u64,
    stopped: &(dyn Fn() -> bool + Sync),
) -> io::Result<(f64, f64)> {
    let lock = Padded(Mutex::new(()));
    let barrier = SpinBarrier::new(threads, cores().len());
    let took = team(threads, |_| {
        barrier.wait();
        let (start, mut waited) = (Instant::now(), Duration::ZERO);
        for time in 0..times / threads as u64 {
            if time.is_multiple_of(BETWEEN_LOOKS) && stopped() {
                break;
            }
            let guard = match lock.0.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    let from = Instant::now();
                    let guard = lock.0.lock().unwrap_or_else(PoisonError::into_inner);
                    waited += from.elapsed();
                    guard
                }
            };
            spin(inside);
            drop(guard);
            spin(outside);
        }
        (start.elapsed(), waited)
    })?;
    let wall = took.iter().map(|(took, _)| *took).max().unwrap_or_default().as_secs_f64();
    let waited = took.iter().map(|(_, waited)| waited.as_secs_f64()).sum::<f64>();
    Ok((wall, waited / (wall * threads as f64).max(1e-9)))
}
