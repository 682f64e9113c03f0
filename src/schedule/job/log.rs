//! What is seen of a job: each step of each round, each attempt at a task, the keys with the most records.

use std::time::Duration;

use crate::data::Value;
use crate::measure::Cost;
use crate::monitor::KeySeen;

use super::bad::BadRow;

/// What a job did.
#[derive(Debug, Default)]
pub struct JobLog {
    pub steps: Vec<StepRecord>,
    pub attempts: Vec<Attempt>,
    /// Those with the most records, most first, of the first round that has keys.
    pub keys: Vec<KeyRecord>,
    pub wall: Duration,
    pub workers: usize,
    /// Rows that were left out and are listed: each with its file, its line or number from 1, as far as it has these.
    pub bad: Vec<(Option<String>, Option<u64>, BadRow)>,
    /// Tasks that an earlier run of the job had done.
    pub resumed: usize,
    /// What the worker processes cost, where they did the tasks.
    pub cost: Option<Cost>,
}

/// A part of a round, in the order in which records pass them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepKind {
    /// The source is opened, and the right sides of joins are computed.
    Load,
    /// The source is cut into the parts that tasks read.
    Slice,
    Map,
    /// The pairs of a task become one for each key.
    Combine,
    /// The pairs of a task are divided among the partitions.
    Shuffle,
    Reduce,
    /// The rows are put together, by steps that need all of them in order too.
    Output,
    /// Of a partition that has far more than others, several tasks reduce a part each. Before the reduce tasks.
    Split,
    /// What adjacent tasks have of a partition becomes one. Before the reduce tasks.
    Merge,
}

impl StepKind {
    pub fn name(self) -> &'static str {
        match self {
            StepKind::Load => "load",
            StepKind::Slice => "slice",
            StepKind::Map => "map",
            StepKind::Combine => "combine",
            StepKind::Shuffle => "shuffle",
            StepKind::Split => "split",
            StepKind::Merge => "merge",
            StepKind::Reduce => "reduce",
            StepKind::Output => "output",
        }
    }
}

/// What a step did. Where nothing is known, there is none.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// From 1.
    pub round: usize,
    pub kind: StepKind,
    pub tasks: usize,
    pub records_in: Option<u64>,
    pub bytes_in: Option<u64>,
    pub records_out: Option<u64>,
    pub bytes_out: Option<u64>,
    pub cpu: Duration,
    pub wall: Duration,
    /// The records of each task; of the shuffle, those of each partition.
    pub loads: Vec<u64>,
    /// Bytes that were written to files, for other tasks.
    pub spill: u64,
    /// Attempts that were lost, and done again.
    pub retries: usize,
    /// Rows that were left out, because of an error in them.
    pub bad: u64,
}

impl StepRecord {
    pub fn new(round: usize, kind: StepKind, tasks: usize) -> StepRecord {
        StepRecord {
            round,
            kind,
            tasks,
            records_in: None,
            bytes_in: None,
            records_out: None,
            bytes_out: None,
            cpu: Duration::ZERO,
            wall: Duration::ZERO,
            loads: Vec::new(),
            spill: 0,
            retries: 0,
            bad: 0,
        }
    }

    /// The least, the median and the largest load; none for a single one.
    pub fn spread(&self) -> Option<(u64, u64, u64)> {
        let mut loads = self.loads.clone();
        loads.sort_unstable();
        match &loads[..] {
            [] | [_] => None,
            [least, .., most] => Some((*least, loads[(loads.len() - 1) / 2], *most)),
        }
    }

    /// How many times the median the largest load is.
    pub fn skew(&self) -> Option<f64> {
        let (_, median, most) = self.spread()?;
        (median > 0).then(|| most as f64 / median as f64)
    }
}

/// One attempt at a task.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub round: usize,
    pub kind: StepKind,
    pub task: usize,
    /// From 1.
    pub attempt: usize,
    pub worker: usize,
    /// Since the job has begun.
    pub start: Duration,
    pub end: Duration,
    pub cpu: Duration,
    /// Whether nothing is left of it: it was killed, or failed for a reason that another may not meet.
    pub lost: bool,
}

/// A key and its records.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    pub key: Value,
    pub records: u64,
    /// Of all records.
    pub share: f64,
    pub partition: usize,
    /// Whether it alone is over twice what a partition has where all have the same.
    pub is_hot: bool,
}

impl KeyRecord {
    /// As it is shown to whoever watches the run.
    pub fn seen(&self) -> KeySeen {
        let key = if let Value::Text(text) = &self.key { text.to_string() } else { self.key.to_string() };
        KeySeen { key, records: self.records, share: self.share, partition: self.partition, hot: self.is_hot }
    }
}
