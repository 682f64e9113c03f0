//! What runs do at the moment, for who watches: steps, tasks on workers, rows, memory, scratch files, hot keys, lines
//! of log. It knows no engine: engines tell it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// So many runs, tasks and lines are remembered; older ones are forgotten.
const MOST_RUNS: usize = 20;
const MOST_TASKS: usize = 600;
const MOST_LINES: usize = 200;

/// The runs of a session, oldest first.
#[derive(Default)]
pub struct Monitor {
    runs: Mutex<Runs>,
}

#[derive(Default)]
struct Runs {
    begun: u64,
    all: VecDeque<Arc<RunWatch>>,
}

/// One run as it is seen.
pub struct RunWatch {
    number: u64,
    name: String,
    started: Instant,
    gauges: Box<dyn Fn() -> Gauges + Send + Sync>,
    seen: Mutex<Seen>,
}

/// What can be read at any time.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Gauges {
    pub rows: u64,
    pub bytes: u64,
    /// Of all files that are read.
    pub all_bytes: u64,
}

/// Reads the bytes, the writes and the passes of what was written to scratch files.
type SpillGauge = Box<dyn Fn() -> (u64, u64, u64) + Send + Sync>;

#[derive(Default)]
struct Seen {
    engine: String,
    stages: Vec<StageSeen>,
    tasks: VecDeque<TaskSeen>,
    keys: Vec<KeySeen>,
    log: VecDeque<String>,
    budget: Option<u64>,
    /// Of the run that goes on now, and of those before it.
    spill: Option<SpillGauge>,
    spilled: (u64, u64),
    ended: Option<(Duration, String)>,
}

/// A step whose tasks are told apart.
#[derive(Debug, Clone, Serialize)]
pub struct StageSeen {
    pub name: String,
    /// How many tasks there are, where that is known before the end.
    pub tasks: Option<usize>,
    pub done: usize,
    pub failed: usize,
    /// Seconds of all its tasks together.
    pub seconds: f64,
}

/// An attempt at a task, in seconds after the start of the run.
#[derive(Debug, Clone, Serialize)]
pub struct TaskSeen {
    pub stage: usize,
    pub worker: usize,
    pub task: usize,
    pub start: f64,
    /// None while it goes on.
    pub end: Option<f64>,
    pub failed: bool,
}

/// A key with many records.
#[derive(Debug, Clone, Serialize)]
pub struct KeySeen {
    pub key: String,
    pub records: u64,
    pub share: f64,
    pub partition: usize,
    pub hot: bool,
}

/// Everything about a run.
#[derive(Debug, Clone, Serialize)]
pub struct RunSeen {
    pub number: u64,
    pub name: String,
    pub engine: String,
    /// `running`, `done`, or how it ended otherwise.
    pub state: String,
    pub elapsed: f64,
    #[serde(flatten)]
    pub gauges: Gauges,
    /// The memory that the run may use, in bytes; none where only the machine limits it.
    pub budget: Option<u64>,
    pub spilled: u64,
    pub passes: u64,
    pub stages: Vec<StageSeen>,
    pub tasks: Vec<TaskSeen>,
    pub keys: Vec<KeySeen>,
    pub log: Vec<String>,
}

impl Monitor {
    /// Begins to watch a run.
    pub fn begin(&self, name: &str, gauges: impl Fn() -> Gauges + Send + Sync + 'static) -> Arc<RunWatch> {
        let mut runs = lock(&self.runs);
        runs.begun += 1;
        let run = Arc::new(RunWatch {
            number: runs.begun,
            name: name.to_string(),
            started: Instant::now(),
            gauges: Box::new(gauges),
            seen: Mutex::default(),
        });
        runs.all.push_back(run.clone());
        if runs.all.len() > MOST_RUNS {
            // One that goes on is not forgotten before one that has ended.
            let place = runs.all.iter().position(|run| !run.is_running()).unwrap_or(0);
            runs.all.remove(place);
        }
        run
    }

    /// All that is known of each run that has begun to work, oldest first.
    pub fn runs(&self) -> Vec<RunSeen> {
        let all: Vec<Arc<RunWatch>> = lock(&self.runs).all.iter().cloned().collect();
        all.iter().map(|run| run.seen()).filter(|run| !run.engine.is_empty()).collect()
    }
}

impl RunWatch {
    /// The engine that works now.
    pub fn on(&self, engine: &str) {
        lock(&self.seen).engine = engine.to_string();
    }

    /// What goes to scratch files from now on, of a run that may use so many bytes of memory.
    pub fn spilling(&self, budget: u64, gauge: impl Fn() -> (u64, u64, u64) + Send + Sync + 'static) {
        let mut seen = lock(&self.seen);
        seen.budget = Some(budget);
        seen.keep_spilled();
        seen.spill = Some(Box::new(gauge));
    }

    /// A step begins; `tasks` is how many it has, where that is known.
    pub fn stage(&self, name: &str, tasks: Option<usize>) {
        const MOST_STAGES: usize = 500;
        let mut seen = lock(&self.seen);
        if seen.stages.len() < MOST_STAGES {
            seen.stages.push(StageSeen { name: name.to_string(), tasks, done: 0, failed: 0, seconds: 0.0 });
        }
    }

    /// Does a task of the step that began last; what it gives is good or not, as `is_good` says.
    pub fn task<T>(&self, worker: usize, task: usize, work: impl FnOnce() -> T, is_good: impl Fn(&T) -> bool) -> T {
        let begun = Instant::now();
        let start = (begun - self.started).as_secs_f64();
        let stage = {
            let mut seen = lock(&self.seen);
            let stage = seen.stages.len().saturating_sub(1);
            seen.tasks.push_back(TaskSeen { stage, worker, task, start, end: None, failed: false });
            if seen.tasks.len() > MOST_TASKS {
                seen.tasks.pop_front();
            }
            stage
        };
        let given = work();
        let (taken, good) = (begun.elapsed().as_secs_f64(), is_good(&given));
        let mut seen = lock(&self.seen);
        if let Some(known) = seen.stages.get_mut(stage) {
            known.seconds += taken;
            if good { known.done += 1 } else { known.failed += 1 }
        }
        let is_it = |known: &&mut TaskSeen| {
            known.end.is_none() && (known.stage, known.worker, known.task) == (stage, worker, task)
        };
        if let Some(known) = seen.tasks.iter_mut().rev().find(is_it) {
            known.end = Some(start + taken);
            known.failed = !good;
        }
        given
    }

    /// The keys with the most records.
    pub fn keys(&self, keys: Vec<KeySeen>) {
        lock(&self.seen).keys = keys;
    }

    pub fn log(&self, line: &str) {
        let mut seen = lock(&self.seen);
        seen.log.push_back(line.to_string());
        if seen.log.len() > MOST_LINES {
            seen.log.pop_front();
        }
    }

    /// It has ended, and how.
    pub fn end(&self, how: &str) {
        let mut seen = lock(&self.seen);
        seen.keep_spilled();
        seen.spill = None;
        seen.ended.get_or_insert_with(|| (self.started.elapsed(), how.to_string()));
    }

    fn is_running(&self) -> bool {
        lock(&self.seen).ended.is_none()
    }

    fn seen(&self) -> RunSeen {
        let gauges = (self.gauges)();
        let seen = lock(&self.seen);
        let now = seen.spill.as_ref().map_or((0, 0), |gauge| {
            let (bytes, _, passes) = gauge();
            (bytes, passes)
        });
        let (elapsed, state) = match &seen.ended {
            Some((elapsed, how)) => (*elapsed, how.clone()),
            None => (self.started.elapsed(), "running".to_string()),
        };
        RunSeen {
            number: self.number,
            name: self.name.clone(),
            engine: seen.engine.clone(),
            state,
            elapsed: elapsed.as_secs_f64(),
            gauges,
            budget: seen.budget,
            spilled: seen.spilled.0 + now.0,
            passes: seen.spilled.1 + now.1,
            stages: seen.stages.clone(),
            tasks: seen.tasks.iter().cloned().collect(),
            keys: seen.keys.clone(),
            log: seen.log.iter().cloned().collect(),
        }
    }
}

impl Seen {
    /// What was written so far stays when another gauge takes its place.
    fn keep_spilled(&mut self) {
        if let Some(gauge) = self.spill.take() {
            let (bytes, _, passes) = gauge();
            self.spilled = (self.spilled.0 + bytes, self.spilled.1 + passes);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
