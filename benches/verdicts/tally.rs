//! What the comparisons of a row come to.

use std::time::Duration;

use timelab::measure::Noise;

use super::driver::{Finding, Outcome};
use super::rows::{Comparison, Row, Subject, Test};

pub struct Tally {
    test: Test,
    same: usize,
    faster: usize,
    slower: usize,
    open: usize,
    /// Verdicts that name the right one as the faster.
    found: usize,
    /// Intervals, and those that contain the ratio of the work; for A/A and far rows, whose ratio is known.
    intervals: usize,
    contain: usize,
    /// Figures, and those within 5 % of the ratio of the work.
    near: usize,
    ratios: Vec<f64>,
    seconds: f64,
    /// False verdicts, each in words.
    pub wrong: Vec<String>,
    pub failed: Vec<String>,
    /// How long the last comparison took.
    pub last: Duration,
}

impl Tally {
    pub fn new(test: Test) -> Tally {
        Tally {
            test,
            same: 0,
            faster: 0,
            slower: 0,
            open: 0,
            found: 0,
            intervals: 0,
            contain: 0,
            near: 0,
            ratios: Vec::new(),
            seconds: 0.0,
            wrong: Vec::new(),
            failed: Vec::new(),
            last: Duration::ZERO,
        }
    }

    pub fn add(&mut self, comparison: &Comparison, outcome: Outcome, took: Duration) {
        self.last = took;
        self.seconds += took.as_secs_f64();
        match outcome {
            Outcome::Compared(finding) => self.count(comparison, &finding),
            Outcome::Failed(why) | Outcome::Lost(why) => self.failed.push(format!("{comparison} {why}")),
        }
    }

    fn count(&mut self, comparison: &Comparison, finding: &Finding) {
        let expected = comparison.speedup();
        // Some verdicts are labelled weaker behind the word.
        let says = |word: &str| finding.verdict.starts_with(word);
        let (is_same, is_faster, is_slower) = (says("same"), says("faster"), says("slower"));
        let right = match self.test {
            Test::Same => is_same,
            Test::More(_) | Test::Times(_) => {
                if expected > 1.0 {
                    is_faster
                } else {
                    is_slower
                }
            }
        };
        let is_open = !(is_same || is_faster || is_slower);
        self.same += usize::from(is_same);
        self.faster += usize::from(is_faster);
        self.slower += usize::from(is_slower);
        self.open += usize::from(is_open);
        self.found += usize::from(right);
        if !right && !is_open {
            self.wrong.push(format!("{comparison} {finding}"));
        }
        if let Some((low, high)) = finding.interval {
            self.intervals += 1;
            self.contain += usize::from(low <= expected && expected <= high);
        }
        if let Some(speedup) = finding.speedup {
            self.near += usize::from((speedup / expected - 1.0).abs() <= 0.05);
            // Of the slower to the faster, in whatever order they were.
            self.ratios.push(if expected > 1.0 { speedup } else { 1.0 / speedup });
        }
    }

    /// How many were compared or failed.
    pub fn all(&self) -> usize {
        self.same + self.faster + self.slower + self.open + self.failed.len()
    }

    /// At most 1 % of the verdicts are false (of fewer than 100, one), and something was compared.
    pub fn is_good(&self) -> bool {
        let compared = self.all() - self.failed.len();
        compared > 0 && self.failed.is_empty() && self.wrong.len() <= (compared / 100).max(1)
    }

    pub fn head() -> String {
        format!(
            "{:24} {:>5} {:>5} {:>6} {:>6} {:>5} {:>6} {:>6} {:>8} {:>9} {:>7} {:>13}  {}",
            "row",
            "all",
            "same",
            "faster",
            "slower",
            "open",
            "failed",
            "FALSE",
            "found",
            "interval",
            "ratio",
            "noise",
            "each"
        )
    }

    pub fn line(&self, row: &Row, noise: Noise) -> String {
        let compared = self.all() - self.failed.len();
        let share = |part: usize, all: usize| match all {
            0 => "·".to_string(),
            all => format!("{:.1}%", part as f64 * 100.0 / all as f64),
        };
        let mut ratios = self.ratios.clone();
        ratios.sort_by(f64::total_cmp);
        let ratio = ratios.get(ratios.len() / 2).map_or("·".to_string(), |ratio| format!("{ratio:.3}"));
        // The ratio of the work is that of the time where nothing but the rounds costs time.
        let interval = match self.test {
            Test::More(_) => "·".to_string(),
            Test::Same | Test::Times(_) => share(self.contain, self.intervals),
        };
        format!(
            "{:24} {:5} {:5} {:6} {:6} {:5} {:6} {:>6} {:>8} {:>9} {:>7} {:>13}  {:.1} s{}",
            row.to_string(),
            self.all(),
            self.same,
            self.faster,
            self.slower,
            self.open,
            self.failed.len(),
            share(self.wrong.len(), compared),
            share(self.found, compared),
            interval,
            ratio,
            format!("{:.1}% +{:.1}%", noise.spread * 100.0, noise.disturbed * 100.0),
            self.seconds / self.all().max(1) as f64,
            self.missed(row),
        )
    }

    /// What of the goals this row does not reach.
    fn missed(&self, row: &Row) -> String {
        let compared = (self.all() - self.failed.len()) as f64;
        let least_found = match (self.test, row.subject) {
            (Test::Same, _) => 0.0,
            (Test::More(2), Subject::Rust) => 0.8,
            (Test::More(_) | Test::Times(_), _) => 0.9,
        };
        let mut missed = Vec::new();
        if !self.is_good() {
            missed.push("✗ false verdicts or failures");
        }
        if (self.found as f64) < least_found * compared {
            missed.push("found too seldom");
        }
        if self.test == Test::Same && (self.contain as f64) < 0.95 * self.intervals as f64 {
            missed.push("intervals too narrow");
        }
        if matches!(self.test, Test::Times(_)) && (self.near as f64) < compared {
            missed.push("not all within 5 %");
        }
        if missed.is_empty() { String::new() } else { format!("  {}", missed.join(", ")) }
    }
}
