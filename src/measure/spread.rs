//! What is kept of a subject's samples, and what it tells beside samples of another time.

use serde::{Deserialize, Serialize};

use super::compare::SAME;
use super::{LOOKS, Samples, Verdict};

/// Medians of the same code may differ by as much from process to process: code and memory lie elsewhere.
const PROCESSES: f64 = 0.1;
/// So many medians of earlier processes say by themselves how much they differ.
pub const ENOUGH: usize = 5;
/// So many are kept.
pub const MOST: usize = 20;
/// Student's t for a two-sided chance of 0.1 %, from 4 to 19 degrees of freedom (Fisher and Yates, table III).
const T: [f64; 16] =
    [8.610, 6.869, 5.959, 5.408, 5.041, 4.781, 4.587, 4.437, 4.318, 4.221, 4.140, 4.073, 4.015, 3.965, 3.922, 3.883];

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

    /// What it says beside what was kept: samples of another time, which were not taken in turns with these. What the
    /// machine did meanwhile is in the ratio and in no interval of samples. So the interval is that of processes:
    /// `medians` are those of earlier ones that ran the same, and a new one lies where a prediction interval of them
    /// says (Student's t, of the logarithms, but for a chance of 0.1 %), or where one of them did lie. With fewer than
    /// five there is a weaker rule: the times must lie apart, the middle 90 % of both, with fewer than 25 samples the
    /// whole ranges, with fewer than four by more than both are wide; and the medians must differ by over 10 %, as
    /// those of the same code in two processes may. `benches/false_baselines.sh` counts how often that is wrong.
    pub fn beside(&self, kept: &Spread, medians: &[f64]) -> Beside {
        let medians: Vec<f64> = medians.iter().copied().filter(|median| *median > 0.0).collect();
        if medians.len() < ENOUGH || self.median <= 0.0 {
            let verdict = self.beside_one(kept);
            return Beside { then: kept.median, speedup: self.speedup(kept), interval: None, verdict };
        }
        let logs: Vec<f64> = medians.iter().map(|median| median.ln()).collect();
        let (count, now) = (logs.len() as f64, self.median.ln());
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let t = T[(logs.len() - ENOUGH).min(T.len() - 1)];
        let reach = t * (variance * (1.0 + 1.0 / count)).sqrt();
        let (least, greatest) = logs.iter().fold((mean, mean), |(low, high), log| (low.min(*log), high.max(*log)));
        let low = ((mean - reach).min(least) - now).exp();
        let high = ((mean + reach).max(greatest) - now).exp();
        let verdict = if low > 1.0 + SAME {
            Verdict::Faster
        } else if high < 1.0 / (1.0 + SAME) {
            Verdict::Slower
        } else {
            Verdict::NotResolved
        };
        Beside { then: mean.exp(), speedup: (mean - now).exp(), interval: Some((low, high)), verdict }
    }

    /// Beside a single one that was kept.
    fn beside_one(&self, kept: &Spread) -> Verdict {
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

/// What a subject's times are beside those that were kept of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beside {
    /// The median then, in nanoseconds; of several, their geometric mean.
    pub then: f64,
    /// How many times as fast it is now.
    pub speedup: f64,
    /// Where the speed-up lies, by what processes differ; none where too few are known.
    pub interval: Option<(f64, f64)>,
    pub verdict: Verdict,
}
