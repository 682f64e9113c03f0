//! The speed of this machine at simple work.

use std::convert::Infallible;
use std::hint::black_box;

use super::sampling::{calibrate, sample};
use super::{Clock, Overhead};

/// A loop whose steps need each other's results: an exclusive or, a multiplication and a rotation each.
pub fn simple_loop(steps: u64) -> u64 {
    let step = |x: u64, i: u64| (x ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    (0..steps).fold(1, step)
}

/// Samples of the loop: at 50 µs each some 5 ms in all.
const SAMPLES: usize = 101;
const STEPS: u64 = 1000;

/// The nanoseconds of one step of [`simple_loop`]: the median of samples.
pub fn step_time(clock: &dyn Clock) -> f64 {
    let mut work = || {
        black_box(simple_loop(black_box(STEPS)));
        Ok::<(), Infallible>(())
    };
    let overhead = Overhead::measure(clock);
    let Ok(calibration) = calibrate(clock, &mut work, u64::MAX);
    let (samples, _) = sample(clock, &overhead, &mut work, calibration.calls, |taken| taken < SAMPLES);
    samples.median() / STEPS as f64
}
