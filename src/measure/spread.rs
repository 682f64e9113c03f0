//! What is kept of a subject's samples, and what it tells beside samples of another time.

use serde::{Deserialize, Serialize};

use super::{LOOKS, Samples, Verdict};

/// Medians of the same code may differ by as much from process to process: code and memory lie elsewhere.
const PROCESSES: f64 = 0.1;

/// Where the times of one subject lie, in nanoseconds a call.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub samples: usize,
    pub least: f64,
    /// Below it and above `high` lie 5 % each.
    pub low: f64,
    pub median: f64,
    pub high: f64,
    pub greatest: f64,
}

impl Spread {
    /// None without samples.
    pub fn of(samples: &Samples) -> Option<Spread> {
        let [least, low, median, high, greatest] = [0.0, 0.05, 0.5, 0.95, 1.0].map(|share| samples.quantile(share));
        let count = samples.each().len();
        (count > 0).then_some(Spread { samples: count, least, low, median, high, greatest })
    }

    /// How many times as fast as `then` it is now.
    pub fn speedup(&self, then: &Spread) -> f64 {
        then.median.max(f64::MIN_POSITIVE) / self.median.max(f64::MIN_POSITIVE)
    }

    /// Whether it is faster or slower than samples that were not taken in turns with these. What the machine did
    /// meanwhile is in the ratio and in no interval. So the times must lie apart, the middle 90 % of both; with fewer than
    /// 25 samples the whole ranges, with fewer than four by more than both are wide. And the medians must differ by more
    /// than those of the same code usually do from one process to the next. `benches/false_baselines.sh` counts how often
    /// that is wrong.
    pub fn beside(&self, kept: &Spread) -> Verdict {
        let fewest = self.samples.min(kept.samples);
        let range = |of: &Spread| if fewest < LOOKS[0] { (of.least, of.greatest) } else { (of.low, of.high) };
        let (now, then) = (range(self), range(kept));
        let gap = if fewest < 4 { (now.1 - now.0) + (then.1 - then.0) } else { 0.0 };
        let speedup = self.speedup(kept);
        if fewest < 2 || (1.0 / (1.0 + PROCESSES)..=1.0 + PROCESSES).contains(&speedup) {
            Verdict::NotResolved
        } else if then.0 - now.1 > gap {
            Verdict::Faster
        } else if now.0 - then.1 > gap {
            Verdict::Slower
        } else {
            Verdict::NotResolved
        }
    }
}
