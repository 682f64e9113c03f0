//! What the parts of this machine take: one file for each group of probes. It knows no reports: each probe gives
//! seconds, or why there are none.

mod arithmetic;
mod caches;
mod disk;
mod elsewhere;
mod hand_over;
mod threads;

use std::time::{Duration, Instant};

use crate::measure::Clock;
use crate::run_context::RunContext;

pub use caches::{LARGEST, access, level, working_set};

/// One thing that takes time.
pub struct Probe {
    /// Also what it is chosen by, with `_` for spaces and without commas.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// A number that is handed on among programmers.
    pub published: Option<Published>,
    /// Whether it stands in the chart: not each of many that are alike.
    pub in_chart: bool,
    /// None where it cannot be measured on one machine.
    pub run: Option<fn(&Means) -> Outcome>,
}

#[derive(Clone, Copy)]
pub struct Published {
    pub seconds: f64,
    pub year: i64,
    pub source: &'static str,
}

/// Seconds.
pub type Outcome = Result<f64, Missing>;

/// Why there is no time.
#[derive(Debug, Clone, PartialEq)]
pub enum Missing {
    Because(String),
    Stopped,
}

pub struct Group {
    pub name: &'static str,
    pub about: &'static str,
    pub probes: &'static [Probe],
}

/// All groups, in the order of the help.
pub static ALL: &[&Group] = &[
    &caches::CACHES,
    &arithmetic::ARITHMETIC,
    &threads::THREADS,
    &disk::DISK,
    &hand_over::HAND_OVER,
    &elsewhere::ELSEWHERE,
];

impl Probe {
    /// What it is chosen by.
    pub fn key(&self) -> String {
        self.name.replace(',', "").replace(' ', "_").to_lowercase()
    }
}

/// What a probe may use.
pub struct Means<'a> {
    /// How long it may sample.
    pub limit: Duration,
    pub clock: &'a dyn Clock,
    pub context: &'a RunContext,
}

/// How often something is sampled.
const SAMPLES: usize = 25;
const FEWEST: usize = 5;

impl Means<'_> {
    pub fn check(&self) -> Result<(), Missing> {
        if self.context.stop.is_raised() { Err(Missing::Stopped) } else { Ok(()) }
    }

    /// Seconds of what is sampled, as `time` gives them: sorted, the least first. Each sample lasts a few milliseconds
    /// at most, or cannot be shorter.
    pub fn samples(&self, mut time: impl FnMut() -> Result<f64, Missing>) -> Result<Vec<f64>, Missing> {
        let start = Instant::now();
        let mut times = Vec::new();
        while times.len() < SAMPLES && (times.len() < FEWEST || start.elapsed() < self.limit) {
            self.check()?;
            times.push(time()?);
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    /// The least: of what hardware alone does, all else makes it longer.
    pub fn least(&self, time: impl FnMut() -> Result<f64, Missing>) -> Outcome {
        Ok(self.samples(time)?[0])
    }

    /// The median: of what the system does, which differs.
    pub fn median(&self, time: impl FnMut() -> Result<f64, Missing>) -> Outcome {
        let times = self.samples(time)?;
        Ok(times[times.len() / 2])
    }

    /// Seconds that one of `count` calls takes, all in one sample.
    pub fn each(&self, count: u64, mut call: impl FnMut()) -> f64 {
        let start = self.clock.now();
        for _ in 0..count {
            call();
        }
        (self.clock.now() - start) as f64 / 1e9 / count as f64
    }

    /// Seconds of one run.
    pub fn once<T>(&self, run: impl FnOnce() -> T) -> (f64, T) {
        let start = self.clock.now();
        let done = run();
        ((self.clock.now() - start) as f64 / 1e9, done)
    }
}

fn because<T>(why: impl Into<String>) -> Result<T, Missing> {
    Err(Missing::Because(why.into()))
}

/// Of a system call that failed.
fn failed(error: std::io::Error) -> Missing {
    Missing::Because(error.to_string())
}

/// J. Dean, "Designs, Lessons and Advice from Building Large Distributed Systems", LADIS 2009.
const fn dean(seconds: f64) -> Option<Published> {
    Some(Published { seconds, year: 2009, source: "Dean, LADIS" })
}

/// J. Bonér, "Latency Numbers Every Programmer Should Know", 2012: Dean's with those of an SSD.
const fn boner(seconds: f64) -> Option<Published> {
    Some(Published { seconds, year: 2012, source: "Bonér, gist" })
}
