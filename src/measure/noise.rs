//! How quiet the machine is.

use std::hint::black_box;

use super::sampling::{calibrate, sample};
use super::steps::simple_loop;
use super::{Clock, Overhead};

/// How a loop that always does the same work was disturbed, as shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// The IQR of its samples beside their median.
    pub spread: f64,
    /// Samples that took half as long again as the median.
    pub disturbed: f64,
}

/// Samples of the loop: at 50 µs each some 20 ms in all.
const SAMPLES: usize = 400;

/// Measures the noise of the machine.
pub fn noise(clock: &dyn Clock, overhead: &Overhead) -> Noise {
    let mut work = || {
        black_box(simple_loop(black_box(1000)));
        Ok::<(), std::convert::Infallible>(())
    };
    let Ok(calibration) = calibrate(clock, &mut work, u64::MAX);
    let (samples, _) = sample(clock, overhead, &mut work, calibration.calls, |taken| taken < SAMPLES);
    let median = samples.median();
    let disturbed = samples.each().iter().filter(|time| **time > 1.5 * median).count();
    Noise { spread: samples.iqr() / median, disturbed: disturbed as f64 / samples.each().len() as f64 }
}
