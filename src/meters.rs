//! What a run notes of itself where somebody asks: the time of operators, of stages, and of functions. It knows no
//! plan.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is to be noted; nothing unless somebody asks.
#[derive(Debug, Clone, Default)]
pub struct Meters {
    pub operators: Option<Arc<Operators>>,
    pub stages: Option<Arc<Stages>>,
    pub calls: Option<Arc<Calls>>,
}

/// What each operator of a run took, by two readings of the clock for each batch. Where batches are so quick that this
/// would be felt, only some of them, chosen at random, are measured operator by operator: of the others the time is
/// known as a whole, and is divided in the same proportions. One thread at a time works on it: so that the measuring
/// itself takes next to nothing, the numbers are loaded and stored without a lock.
#[derive(Debug)]
pub struct Operators {
    names: Mutex<Vec<String>>,
    slots: Box<[Slot]>,
    /// Whose time runs, and since when, in ticks.
    current: AtomicUsize,
    since: AtomicU64,
    /// Whether the time is that of the current operator, or of no operator in particular.
    is_watching: AtomicBool,
    untold: AtomicU64,
    /// Streams that are asked for a batch, one inside the other.
    depth: AtomicUsize,
    batches: AtomicU64,
    readings: AtomicU64,
    /// One batch of so many is measured operator by operator, and so many come before the next one.
    every: AtomicU64,
    left: AtomicU64,
    random: AtomicU64,
    /// Ticks that a reading takes.
    reading: f64,
    ticks: Ticks,
}

#[derive(Debug, Default)]
struct Slot {
    calls: AtomicU64,
    rows_in: AtomicU64,
    rows_out: AtomicU64,
    own: AtomicU64,
    /// What was measured since the untold time was divided last.
    fresh: AtomicU64,
}

/// What one operator took.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorTime {
    pub name: String,
    /// Batches that it took, or gave where it is a source.
    pub calls: u64,
    pub rows_in: u64,
    pub rows_out: u64,
    /// In itself.
    pub own: Duration,
}

impl Default for Operators {
    /// The first one is what no operator does: what the engine does with the result.
    fn default() -> Operators {
        const TRIALS: u64 = 64;
        let ticks = Ticks::default();
        let last = (0..TRIALS).fold(0, |_, _| ticks.now());
        Operators {
            names: Mutex::new(vec!["the result".to_string()]),
            slots: (0..Operators::MOST).map(|_| Slot::default()).collect(),
            current: AtomicUsize::new(0),
            since: AtomicU64::new(ticks.now()),
            is_watching: AtomicBool::new(true),
            untold: AtomicU64::new(0),
            depth: AtomicUsize::new(0),
            batches: AtomicU64::new(0),
            readings: AtomicU64::new(0),
            every: AtomicU64::new(1),
            left: AtomicU64::new(0),
            random: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            reading: last.saturating_sub(ticks.first) as f64 / TRIALS as f64,
            ticks,
        }
    }
}

impl Operators {
    /// So many are told apart; all beyond count as the last.
    const MOST: usize = 512;
    /// The first batches of a phase are all measured; they tell what measuring costs.
    const FIRST: u64 = 32;
    /// The share of the time that may go into reading the clock.
    const SHARE: f64 = 0.0025;

    /// Adds an operator; its number.
    pub fn add(&self, name: String) -> usize {
        let mut names = lock(&self.names);
        if names.len() < Operators::MOST {
            names.push(name);
        }
        names.len() - 1
    }

    /// From here on the time counts for an operator, which takes `rows` rows; the number of the one before.
    #[inline]
    pub fn enter(&self, operator: usize, rows: usize) -> usize {
        let before = self.switch(operator);
        let slot = &self.slots[operator];
        add(&slot.calls, 1);
        add(&slot.rows_in, rows as u64);
        before
    }

    /// The same where it takes no rows yet.
    pub fn go_on(&self, operator: usize) -> usize {
        self.switch(operator)
    }

    /// The time is again that of the one before.
    #[inline]
    pub fn leave(&self, before: usize) {
        self.switch(before);
    }

    /// Notes that an operator gave rows.
    #[inline]
    pub fn gave(&self, operator: usize, rows: usize) {
        add(&self.slots[operator].rows_out, rows as u64);
    }

    /// A stream is asked for a batch. One inside another's is always measured: it may do all of its work at once.
    pub fn begin_stream(&self) {
        let depth = self.depth.load(Ordering::Relaxed) + 1;
        self.depth.store(depth, Ordering::Relaxed);
        if depth > 1 {
            self.watch(true);
        }
    }

    pub fn end_stream(&self) {
        self.depth.store(self.depth.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
    }

    /// The stream that was asked first goes on to its next batch.
    #[inline]
    pub fn begin_batch(&self) {
        if self.depth.load(Ordering::Relaxed) != 1 {
            return;
        }
        let batches = self.batches.load(Ordering::Relaxed) + 1;
        self.batches.store(batches, Ordering::Relaxed);
        if batches <= Operators::FIRST {
            if batches == Operators::FIRST {
                self.choose();
            }
            return;
        }
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            // From 1 to 2 · every − 1 batches, which is `every` in the mean.
            let every = self.every.load(Ordering::Relaxed);
            self.left.store(self.random() % (2 * every - 1), Ordering::Relaxed);
        } else {
            self.left.store(left - 1, Ordering::Relaxed);
        }
        self.watch(left == 0);
    }

    /// The stream that was asked first comes to a pipeline breaker, or begins to give what that has.
    pub fn begin_phase(&self) {
        if self.depth.load(Ordering::Relaxed) == 1 {
            self.divide();
            self.batches.store(0, Ordering::Relaxed);
        }
    }

    /// What is known by now.
    pub fn each(&self) -> Vec<OperatorTime> {
        self.divide();
        let scale = self.ticks.nanos();
        let names = lock(&self.names);
        let known = names.iter().zip(self.slots.iter()).map(|(name, slot)| {
            let [calls, rows_in, rows_out, own] =
                [&slot.calls, &slot.rows_in, &slot.rows_out, &slot.own].map(|number| number.load(Ordering::Relaxed));
            let own = Duration::from_nanos((own as f64 * scale) as u64);
            OperatorTime { name: name.clone(), calls, rows_in, rows_out, own }
        });
        known.collect()
    }

    /// How many of all batches are measured, by what those so far took.
    fn choose(&self) {
        self.divide();
        let passed: u64 = self.slots.iter().map(|slot| slot.own.load(Ordering::Relaxed)).sum();
        let share = self.readings.load(Ordering::Relaxed) as f64 * self.reading / passed.max(1) as f64;
        self.every.store((share / Operators::SHARE).ceil().clamp(1.0, 64.0) as u64, Ordering::Relaxed);
    }

    /// Divides the time of no operator in particular as that of the batches around was.
    fn divide(&self) {
        self.watch(true);
        self.switch(self.current.load(Ordering::Relaxed));
        let untold = self.untold.swap(0, Ordering::Relaxed) as f64;
        let measured: u64 = self.slots.iter().map(|slot| slot.fresh.load(Ordering::Relaxed)).sum();
        let scale = 1.0 + untold / measured.max(1) as f64;
        for slot in &self.slots {
            add(&slot.own, (slot.fresh.swap(0, Ordering::Relaxed) as f64 * scale) as u64);
        }
    }

    /// Whether the time from here on is that of single operators.
    fn watch(&self, watches: bool) {
        if self.is_watching.load(Ordering::Relaxed) == watches {
            return;
        }
        match watches {
            true => add(&self.untold, self.pass()),
            false => add(&self.slots[self.current.load(Ordering::Relaxed)].fresh, self.pass()),
        }
        self.is_watching.store(watches, Ordering::Relaxed);
    }

    #[inline]
    fn switch(&self, to: usize) -> usize {
        let before = self.current.load(Ordering::Relaxed);
        if self.is_watching.load(Ordering::Relaxed) {
            add(&self.slots[before].fresh, self.pass());
        }
        self.current.store(to, Ordering::Relaxed);
        before
    }

    /// The ticks since the clock was read last.
    #[inline]
    fn pass(&self) -> u64 {
        let now = self.ticks.now();
        add(&self.readings, 1);
        let since = self.since.load(Ordering::Relaxed);
        self.since.store(now, Ordering::Relaxed);
        now.saturating_sub(since)
    }

    /// Xorshift: which batches are measured must not go with how files are read.
    fn random(&self) -> u64 {
        let mut x = self.random.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.store(x, Ordering::Relaxed);
        x >> 16
    }
}

fn add(number: &AtomicU64, more: u64) {
    number.store(number.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// A clock that is read in a third of the time that the system's clock takes, where the system itself trusts the
/// processor's counter; else nanoseconds of that clock.
#[derive(Debug)]
struct Ticks {
    by_counter: bool,
    first: u64,
    start: Instant,
}

impl Default for Ticks {
    fn default() -> Ticks {
        let source = || std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        let by_counter = cfg!(target_arch = "x86_64") && source().is_ok_and(|source| source.trim() == "tsc");
        let start = Instant::now();
        let mut ticks = Ticks { by_counter, first: 0, start };
        ticks.first = ticks.now();
        ticks
    }
}

impl Ticks {
    #[inline]
    fn now(&self) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if self.by_counter {
            // SAFETY: each processor of this kind has the instruction.
            return unsafe { std::arch::x86_64::_rdtsc() };
        }
        self.start.elapsed().as_nanos() as u64
    }

    /// The nanoseconds of a tick, by how many of both have passed since the start.
    fn nanos(&self) -> f64 {
        if !self.by_counter {
            return 1.0;
        }
        self.start.elapsed().as_nanos() as f64 / (self.now().saturating_sub(self.first)).max(1) as f64
    }
}

/// What each stage of a run took, on engines that have stages.
#[derive(Debug, Default)]
pub struct Stages(Mutex<Vec<StageTime>>);

/// What one stage took.
#[derive(Debug, Clone, PartialEq)]
pub struct StageTime {
    pub name: String,
    pub tasks: u64,
    /// None where nobody counts them.
    pub rows_in: Option<u64>,
    pub rows_out: Option<u64>,
    pub wall: Duration,
    /// Of all threads and processes that work on it.
    pub cpu: Duration,
}

impl Stages {
    pub fn add(&self, stage: StageTime) {
        lock(&self.0).push(stage);
    }

    /// Those that are over.
    pub fn each(&self) -> Vec<StageTime> {
        lock(&self.0).clone()
    }
}

/// What functions of the person took: a tree of who called whom. A function that calls itself is followed once.
#[derive(Debug)]
pub struct Calls(Mutex<CallTree>);

#[derive(Debug)]
struct CallTree {
    names: Vec<String>,
    nodes: Vec<CallNode>,
    open: Vec<usize>,
    since: u64,
    ticks: Ticks,
}

/// A function with a way to it.
#[derive(Debug, Clone, PartialEq)]
pub struct CallNode {
    /// Its number; the first node is no function, but what calls the others.
    pub function: usize,
    pub parent: usize,
    /// All calls, and those that are no recursion.
    pub calls: (u64, u64),
    /// In itself.
    pub own: Duration,
}

/// The function of the first node.
pub const NO_FUNCTION: usize = usize::MAX;

impl Default for Calls {
    fn default() -> Calls {
        let ticks = Ticks::default();
        let root = CallNode { function: NO_FUNCTION, parent: 0, calls: (0, 0), own: Duration::ZERO };
        Calls(Mutex::new(CallTree { names: Vec::new(), nodes: vec![root], open: vec![0], since: ticks.first, ticks }))
    }
}

impl Calls {
    /// The number of a function, which may stand in several plans of a run.
    pub fn number(&self, name: &str) -> usize {
        let names = &mut lock(&self.0).names;
        names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_string());
            names.len() - 1
        })
    }

    /// The names of all functions, by their numbers.
    pub fn names(&self) -> Vec<String> {
        lock(&self.0).names.clone()
    }

    /// A function begins.
    pub fn enter(&self, function: usize) {
        let tree = &mut *lock(&self.0);
        let at = tree.pass();
        let is_recursion = tree.nodes[at].function == function;
        let next = if is_recursion { at } else { tree.child(at, function) };
        let calls = &mut tree.nodes[next].calls;
        *calls = (calls.0 + 1, calls.1 + u64::from(!is_recursion));
        tree.open.push(next);
    }

    /// The function that began last ends.
    pub fn leave(&self) {
        let tree = &mut *lock(&self.0);
        tree.pass();
        tree.open.pop();
    }

    /// What is known by now; parents come before what they called.
    pub fn each(&self) -> Vec<CallNode> {
        let tree = &mut *lock(&self.0);
        tree.pass();
        let scale = tree.ticks.nanos();
        let scaled = |node: &CallNode| CallNode { own: node.own.mul_f64(scale), ..node.clone() };
        tree.nodes.iter().map(scaled).collect()
    }
}

impl CallTree {
    /// The time until now is that of the innermost open function; its node. Ticks are kept as nanoseconds until the
    /// end.
    fn pass(&mut self) -> usize {
        let now = self.ticks.now();
        let at = *self.open.last().expect("the first node stays open");
        self.nodes[at].own += Duration::from_nanos(now.saturating_sub(self.since));
        self.since = now;
        at
    }

    fn child(&mut self, parent: usize, function: usize) -> usize {
        let known = self.nodes.iter().skip(1).position(|node| node.parent == parent && node.function == function);
        known.map_or_else(
            || {
                self.nodes.push(CallNode { function, parent, calls: (0, 0), own: Duration::ZERO });
                self.nodes.len() - 1
            },
            |place| place + 1,
        )
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
