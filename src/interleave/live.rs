//! A race program on real threads: many short rounds that start together, each with fresh variables.
//!
//! Every access is an atomic operation of the hardware, so nothing here is undefined: plain accesses are relaxed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::barrier::{Padded, SpinBarrier, cores, pause, pin};
use super::machine::{local, operand_value};
use super::program::{Blocked, Ending, Fault, FaultKind, Location, Op, Operand, Program, resolve};
use super::syntax::Order;

/// What real threads did.
#[derive(Debug, Clone)]
pub struct Seen {
    pub rounds: u64,
    /// How many were to be played, where that was said exactly.
    pub wanted: Option<u64>,
    /// How often each ending came out.
    pub endings: BTreeMap<Ending, u64>,
    /// Rounds that were given up after too many steps.
    pub given_up: u64,
    /// The share of rounds in which at least two threads ran at the same time.
    pub overlap: f64,
    /// Whether the system kept each thread on one core.
    pub pinned: bool,
    pub cores: usize,
    pub wall: Duration,
    pub stopped: bool,
}

/// Steps of one thread in one round. A loop that waits for another thread gives its core away now and then.
pub const MOST_STEPS: u64 = 100_000;
const STEPS_BETWEEN_PAUSES: u64 = 2_000;
/// Rounds without a pause; between them the outcomes are collected.
const BATCH: usize = 64;
/// Below this share the threads hardly met, so rounds go on as long as there is time.
const LITTLE_OVERLAP: f64 = 0.2;

/// How many rounds to play.
#[derive(Debug, Clone, Copy)]
pub enum Rounds {
    Exactly(u64),
    /// So many, and more as long as there is time where the threads hardly meet.
    AtLeast(u64),
}

/// Runs the rounds, but not longer than `budget`.
pub fn run(
    program: &Program,
    rounds: Rounds,
    budget: Duration,
    stopped: &(dyn Fn() -> bool + Sync),
) -> std::io::Result<Seen> {
    let threads = program.threads.len();
    let cores = cores();
    let epoch = Instant::now();
    let (most, wanted) = match rounds {
        Rounds::Exactly(rounds) => (rounds, Some(rounds)),
        Rounds::AtLeast(_) => (u64::MAX, None),
    };
    let can_meet = threads > 1 && cores.len() > 1;
    let stage = Stage {
        program,
        cores: &cores,
        has_atomic: program.threads.iter().any(|thread| thread.code.iter().any(|op| matches!(op, Op::Atomic { .. }))),
        barrier: SpinBarrier::new(threads, cores.len()),
        cut: AtomicUsize::new(BATCH.min(most as usize)),
        is_up: AtomicBool::new(false),
        is_late: &|| stopped() || epoch.elapsed() >= budget,
        rounds: (0..BATCH).map(|_| Round::new(program)).collect(),
        is_over: AtomicBool::new(false),
        all_pinned: AtomicBool::new(true),
        epoch,
    };
    let mut seen = Seen {
        rounds: 0,
        wanted,
        endings: BTreeMap::new(),
        given_up: 0,
        overlap: 0.0,
        pinned: false,
        cores: cores.len(),
        wall: Duration::ZERO,
        stopped: false,
    };
    let mut overlapping = 0;
    let collect = || {
        let played = stage.cut.load(Ordering::Relaxed);
        for round in &stage.rounds[..played] {
            seen.rounds += 1;
            match round.ending(program) {
                Some(ending) => *seen.endings.entry(ending).or_default() += 1,
                None => seen.given_up += 1,
            }
            overlapping += u64::from(round.overlaps());
            round.reset(program);
        }
        seen.overlap = if seen.rounds > 0 { overlapping as f64 / seen.rounds as f64 } else { 0.0 };
        seen.stopped = stopped();
        let enough = match rounds {
            Rounds::Exactly(rounds) => seen.rounds >= rounds,
            Rounds::AtLeast(rounds) => seen.rounds >= rounds && (seen.overlap >= LITTLE_OVERLAP || !can_meet),
        };
        let left = usize::try_from(most.saturating_sub(seen.rounds)).unwrap_or(BATCH);
        stage.cut.store(BATCH.min(left), Ordering::Relaxed);
        enough || stage.is_up.load(Ordering::Relaxed)
    };
    // Threads wait for a word whether all of them could be started: a barrier for fewer would hold them for ever.
    let gate = Gate::default();
    let started = std::thread::scope(|scope| {
        let mut first = Some(collect);
        for thread in 0..threads {
            let (stage, gate) = (&stage, &gate);
            let collect = first.take();
            let spawned = std::thread::Builder::new().spawn_scoped(scope, move || match collect {
                _ if !gate.wait() => {}
                Some(collect) => stage.play(thread, collect),
                None => stage.play(thread, || false),
            });
            if let Err(error) = spawned {
                gate.open(false);
                return Err(error);
            }
        }
        gate.open(true);
        Ok(())
    });
    started?;
    seen.pinned = stage.all_pinned.load(Ordering::Relaxed);
    seen.wall = stage.epoch.elapsed();
    Ok(seen)
}

/// Holds threads until a word is given.
#[derive(Default)]
struct Gate(AtomicU32);

impl Gate {
    fn open(&self, go_on: bool) {
        self.0.store(if go_on { 1 } else { 2 }, Ordering::Release);
    }

    fn wait(&self) -> bool {
        loop {
            match self.0.load(Ordering::Acquire) {
                0 => pause(),
                word => return word == 1,
            }
        }
    }
}

/// What all threads share.
struct Stage<'a> {
    program: &'a Program,
    cores: &'a [usize],
    has_atomic: bool,
    barrier: SpinBarrier,
    rounds: Vec<Round>,
    /// How many rounds of this batch are played: fewer at the end, and once time is up.
    cut: AtomicUsize,
    is_up: AtomicBool,
    is_late: &'a (dyn Fn() -> bool + Sync),
    is_over: AtomicBool,
    all_pinned: AtomicBool,
    epoch: Instant,
}

/// The variables of one round.
struct Round {
    memory: Vec<Padded<AtomicI64>>,
    /// 0, or the thread that holds the lock + 1.
    owners: Vec<Padded<AtomicU32>>,
    /// 0, or the lock + 1 whose notify the thread sleeps for.
    asleep: Vec<Padded<AtomicU32>>,
    /// What each thread does, see `Status`.
    statuses: Vec<Padded<AtomicU64>>,
    registers: Vec<AtomicI64>,
    /// When each thread began and ended, in nanoseconds.
    times: Vec<Padded<(AtomicU64, AtomicU64)>>,
    /// Makes an `atomic` block one step: every access of a program with such blocks takes it.
    whole: Padded<AtomicBool>,
    /// Makes `wait` and `notify` one step.
    monitor: Padded<AtomicBool>,
    is_over: Padded<AtomicBool>,
    /// The end of the round, unless all threads get through.
    broken: Mutex<Option<Broken>>,
}

#[derive(Debug, Clone)]
enum Broken {
    Ending(Ending),
    GivenUp,
}

/// A thread's status is a word: what it does, the lock that it waits for, and how often it has waited, so that two
/// looks at the same word mean that nothing happened in between.
mod status {
    pub const RUNS: u64 = 0;
    pub const DONE: u64 = 1;
    pub const WANTS: u64 = 2;
    /// It wants a lock that it holds itself.
    pub const WANTS_OWN: u64 = 3;
    pub const SLEEPS: u64 = 4;

    pub fn word(what: u64, lock: usize, times: u64) -> u64 {
        what | (lock as u64) << 8 | times << 32
    }

    pub fn what(word: u64) -> (u64, usize) {
        (word & 0xff, (word >> 8 & 0xff_ffff) as usize)
    }
}

impl Round {
    fn new(program: &Program) -> Round {
        let threads = program.threads.len();
        Round {
            memory: program.start.iter().map(|value| Padded(AtomicI64::new(*value))).collect(),
            owners: program.locks.iter().map(|_| Padded::default()).collect(),
            asleep: (0..threads).map(|_| Padded::default()).collect(),
            statuses: (0..threads).map(|_| Padded::default()).collect(),
            registers: (0..program.registers).map(|_| AtomicI64::new(0)).collect(),
            times: (0..threads).map(|_| Padded::default()).collect(),
            whole: Padded::default(),
            monitor: Padded::default(),
            is_over: Padded::default(),
            broken: Mutex::new(None),
        }
    }

    fn reset(&self, program: &Program) {
        let zero = |all: &[Padded<AtomicU32>]| all.iter().for_each(|one| one.0.store(0, Ordering::Relaxed));
        self.memory.iter().zip(&program.start).for_each(|(cell, value)| cell.0.store(*value, Ordering::Relaxed));
        zero(&self.owners);
        zero(&self.asleep);
        self.statuses.iter().for_each(|one| one.0.store(status::RUNS, Ordering::Relaxed));
        self.registers.iter().for_each(|one| one.store(0, Ordering::Relaxed));
        self.is_over.0.store(false, Ordering::Relaxed);
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn ending(&self, program: &Program) -> Option<Ending> {
        match self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Some(Broken::GivenUp) => None,
            Some(Broken::Ending(ending)) => Some(ending),
            None => {
                let memory = self.memory.iter().map(|cell| cell.0.load(Ordering::Relaxed));
                let shown = program.shown.iter().map(|named| program.named[*named].register);
                let registers = shown.map(|register| self.registers[register].load(Ordering::Relaxed));
                Some(Ending::Values(memory.chain(registers).collect()))
            }
        }
    }

    fn overlaps(&self) -> bool {
        let time = |time: &AtomicU64| time.load(Ordering::Relaxed);
        let mut spans: Vec<(u64, u64)> = self.times.iter().map(|span| (time(&span.0.0), time(&span.0.1))).collect();
        spans.sort_unstable();
        spans.windows(2).any(|pair| pair[1].0 < pair[0].1)
    }

    fn breaks(&self, broken: Broken) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(broken);
        self.is_over.0.store(true, Ordering::Release);
    }

    /// The deadlock that all threads are in, if they are. Sound because a thread that waits changes nothing: the
    /// statuses are read twice, and each lock is seen in the hands of a thread that waits as well, or is done.
    fn deadlock(&self) -> Option<Ending> {
        let look = || self.statuses.iter().map(|status| status.0.load(Ordering::SeqCst)).collect::<Vec<u64>>();
        let before = look();
        let mut stuck = Vec::new();
        for (thread, word) in before.iter().enumerate() {
            let (what, lock) = status::what(*word);
            let blocked = match what {
                status::DONE => continue,
                status::WANTS => {
                    let owner = self.owners[lock].0.load(Ordering::SeqCst).checked_sub(1)? as usize;
                    if owner == thread {
                        return None;
                    }
                    Blocked::Lock { lock, owner }
                }
                status::WANTS_OWN => Blocked::Lock { lock, owner: thread },
                status::SLEEPS if self.asleep[thread].0.load(Ordering::SeqCst) != 0 => Blocked::Asleep(lock),
                _ => return None,
            };
            stuck.push((thread, blocked));
        }
        (look() == before).then_some(Ending::Deadlock(stuck))
    }
}

/// Ends a round for a thread: it is over for all.
struct Over;

impl Stage<'_> {
    /// One thread's part in all rounds. Thread 0 collects between batches and says when it is enough.
    fn play(&self, thread: usize, mut collect: impl FnMut() -> bool) {
        if !pin(self.cores[thread % self.cores.len()]) {
            self.all_pinned.store(false, Ordering::Relaxed);
        }
        let mut registers = vec![0; self.program.registers];
        let mut random = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(thread as u64 + 1);
        loop {
            for (number, round) in self.rounds.iter().enumerate() {
                // At least one round is played, however little time there is.
                if thread == 0 && number > 0 && number < self.cut.load(Ordering::Relaxed) && (self.is_late)() {
                    self.cut.store(number, Ordering::Relaxed);
                    self.is_up.store(true, Ordering::Relaxed);
                }
                self.barrier.wait();
                if self.cut.load(Ordering::Relaxed) <= number {
                    break;
                }
                // Threads that always start alike would always meet alike.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (0..random % 128).for_each(|spin| {
                    std::hint::black_box(spin);
                });
                registers.fill(0);
                let begin = self.epoch.elapsed().as_nanos() as u64;
                let mut player = Player { stage: self, round, thread, registers: &mut registers, steps: 0, waits: 0 };
                let _ = player.run();
                let end = self.epoch.elapsed().as_nanos() as u64;
                let times = &round.times[thread].0;
                times.0.store(begin, Ordering::Relaxed);
                times.1.store(end, Ordering::Relaxed);
                let own = self.program.shown.iter().map(|named| &self.program.named[*named]);
                for named in own.filter(|named| named.thread == thread) {
                    round.registers[named.register].store(registers[named.register], Ordering::Relaxed);
                }
            }
            self.barrier.wait();
            if thread == 0 {
                let is_over = collect();
                self.is_over.store(is_over, Ordering::Relaxed);
            }
            self.barrier.wait();
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// One thread in one round.
struct Player<'a> {
    stage: &'a Stage<'a>,
    round: &'a Round,
    thread: usize,
    registers: &'a mut Vec<i64>,
    steps: u64,
    waits: u64,
}

impl Player<'_> {
    fn run(&mut self) -> Result<(), Over> {
        let code = &self.stage.program.threads[self.thread].code;
        let mut at = 0;
        loop {
            let op = &code[at];
            self.tick()?;
            at = match op {
                Op::End => {
                    self.set_status(status::DONE, 0);
                    return Ok(());
                }
                // Giving the core away would keep the threads apart on a busy machine; `tick` does it now and then.
                Op::Yield => {
                    std::hint::spin_loop();
                    at + 1
                }
                Op::Atomic { end } => self.atomic(at + 1, *end)?,
                op if op.is_local() => match local(op, at, self.registers) {
                    Ok(next) => next,
                    Err(kind) => return Err(self.fault(kind, at)),
                },
                Op::Lock(lock) | Op::Retake(lock) => {
                    self.lock(*lock)?;
                    at + 1
                }
                Op::TryLock { to, lock } => {
                    self.registers[*to] = i64::from(self.try_lock(*lock));
                    at + 1
                }
                Op::Unlock(lock) => {
                    let owner = self.owner(*lock);
                    if owner != Some(self.thread) {
                        return Err(self.fault(FaultKind::NotOwner { lock: *lock, owner }, at));
                    }
                    self.round.owners[*lock].0.store(0, Ordering::SeqCst);
                    at + 1
                }
                Op::Wait(lock) => {
                    if self.owner(*lock) != Some(self.thread) {
                        return Err(self.fault(FaultKind::WaitsWithout(*lock), at));
                    }
                    self.sleep(*lock)?;
                    at + 1
                }
                Op::Notify(lock) => {
                    self.notify(*lock, 1);
                    at + 1
                }
                Op::NotifyAll(lock) => {
                    self.notify(*lock, usize::MAX);
                    at + 1
                }
                Op::Fence(order) => {
                    fence(ordering(*order));
                    at + 1
                }
                _ => {
                    let guard = self.stage.has_atomic.then(|| spin_lock(&self.round.whole.0));
                    let done = self.access(at);
                    drop(guard);
                    if let Err(kind) = done {
                        return Err(self.fault(kind, at));
                    }
                    at + 1
                }
            };
        }
    }

    /// Counts steps, and sees whether the round is over for another reason.
    fn tick(&mut self) -> Result<(), Over> {
        self.steps += 1;
        if self.steps.is_multiple_of(64) && self.round.is_over.0.load(Ordering::Acquire) {
            return Err(Over);
        }
        if self.steps.is_multiple_of(STEPS_BETWEEN_PAUSES) {
            pause();
        }
        if self.steps > MOST_STEPS {
            self.round.breaks(Broken::GivenUp);
            return Err(Over);
        }
        Ok(())
    }

    fn fault(&self, kind: FaultKind, op: usize) -> Over {
        let fault = Fault { kind, thread: Some(self.thread), op };
        self.round.breaks(Broken::Ending(Ending::Fault(fault)));
        Over
    }

    fn set_status(&mut self, what: u64, lock: usize) {
        self.waits += 1;
        self.round.statuses[self.thread].0.store(status::word(what, lock, self.waits), Ordering::SeqCst);
    }

    fn owner(&self, lock: usize) -> Option<usize> {
        self.round.owners[lock].0.load(Ordering::SeqCst).checked_sub(1).map(|owner| owner as usize)
    }

    fn try_lock(&self, lock: usize) -> bool {
        let me = self.thread as u32 + 1;
        self.round.owners[lock].0.compare_exchange(0, me, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn lock(&mut self, lock: usize) -> Result<(), Over> {
        if self.try_lock(lock) {
            return Ok(());
        }
        let own = self.owner(lock) == Some(self.thread);
        self.set_status(if own { status::WANTS_OWN } else { status::WANTS }, lock);
        self.block(|player| !own && player.try_lock(lock))?;
        self.set_status(status::RUNS, 0);
        Ok(())
    }

    /// Releases the lock and sleeps, in one step; the lock is taken again by the op behind this one.
    fn sleep(&mut self, lock: usize) -> Result<(), Over> {
        // Whoever takes the lock now cannot notify before this thread sleeps. The other way round it would seem to
        // sleep with the lock in its hands, a deadlock that is none.
        let guard = spin_lock(&self.round.monitor.0);
        self.round.owners[lock].0.store(0, Ordering::SeqCst);
        self.round.asleep[self.thread].0.store(lock as u32 + 1, Ordering::SeqCst);
        self.set_status(status::SLEEPS, lock);
        drop(guard);
        self.block(|player| player.round.asleep[player.thread].0.load(Ordering::SeqCst) == 0)?;
        self.set_status(status::RUNS, 0);
        Ok(())
    }

    fn notify(&mut self, lock: usize, most: usize) {
        let _guard = spin_lock(&self.round.monitor.0);
        let threads = self.round.asleep.len();
        // Which one wakes is nobody's to know: begin at another thread each time.
        let first = (self.steps as usize).wrapping_add(self.stage.epoch.elapsed().subsec_nanos() as usize);
        let mut woken = 0;
        for number in 0..threads {
            let sleeper = &self.round.asleep[(first + number) % threads].0;
            if woken < most && sleeper.load(Ordering::SeqCst) == lock as u32 + 1 {
                sleeper.store(0, Ordering::SeqCst);
                woken += 1;
            }
        }
    }

    /// Waits until something holds, or the round is over; looks now and then whether all threads are stuck.
    fn block(&mut self, holds: impl Fn(&Self) -> bool) -> Result<(), Over> {
        let most = if self.stage.cores.len() < self.round.statuses.len() { 1 } else { 200 };
        let mut spins = 0u32;
        loop {
            if holds(self) {
                return Ok(());
            }
            if self.round.is_over.0.load(Ordering::Acquire) {
                return Err(Over);
            }
            spins += 1;
            if spins < most {
                std::hint::spin_loop();
                continue;
            }
            if let Some(deadlock) = self.round.deadlock() {
                self.round.breaks(Broken::Ending(deadlock));
                return Err(Over);
            }
            pause();
        }
    }

    /// The ops of an `atomic` block up to `end`.
    fn atomic(&mut self, mut at: usize, end: usize) -> Result<usize, Over> {
        let guard = spin_lock(&self.round.whole.0);
        while at != end {
            self.tick()?;
            let op = &self.stage.program.threads[self.thread].code[at];
            let next = if op.is_local() { local(op, at, self.registers) } else { self.access(at).map(|()| at + 1) };
            at = match next {
                Ok(next) => next,
                Err(kind) => return Err(self.fault(kind, at)),
            };
        }
        drop(guard);
        Ok(end)
    }

    fn access(&mut self, at: usize) -> Result<(), FaultKind> {
        let registers = &mut *self.registers;
        let value = |registers: &[i64], operand: Operand| operand_value(operand, registers);
        let cell = |registers: &[i64], at: &Location| {
            resolve(at, |operand| value(registers, operand)).map(|location| &self.round.memory[location].0)
        };
        match &self.stage.program.threads[self.thread].code[at] {
            Op::Load { to, at, order } => registers[*to] = cell(registers, at)?.load(ordering(*order)),
            Op::Store { at, value: stored, order } => {
                cell(registers, at)?.store(value(registers, *stored), ordering(*order));
            }
            Op::Swap { to, at, value: stored } => {
                registers[*to] = cell(registers, at)?.swap(value(registers, *stored), Ordering::SeqCst);
            }
            Op::Cas { to, at, old, new } => {
                let (old, new) = (value(registers, *old), value(registers, *new));
                let swapped = cell(registers, at)?.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
                registers[*to] = i64::from(swapped.is_ok());
            }
            Op::FetchAdd { to, at, value: added, subtract } => {
                let added = value(registers, *added);
                let add = |read: i64| if *subtract { read.checked_sub(added) } else { read.checked_add(added) };
                let cell = cell(registers, at)?;
                // An int must not wrap, so this is a loop instead of the instruction of that name.
                let read = cell.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
                registers[*to] = read.map_err(|_| FaultKind::Overflow)?;
            }
            other => unreachable!("{other:?} is not an access"),
        }
        Ok(())
    }
}

fn ordering(order: Order) -> Ordering {
    match order {
        Order::Plain | Order::Relaxed => Ordering::Relaxed,
        Order::Acquire => Ordering::Acquire,
        Order::Release => Ordering::Release,
        Order::AcqRel => Ordering::AcqRel,
        Order::SeqCst => Ordering::SeqCst,
    }
}

struct SpinGuard<'a>(&'a AtomicBool);

fn spin_lock(flag: &AtomicBool) -> SpinGuard<'_> {
    const SPINS: u32 = 200;
    let mut spins = 0;
    while flag.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        spins += 1;
        if spins < SPINS { std::hint::spin_loop() } else { pause() }
    }
    SpinGuard(flag)
}

impl Drop for SpinGuard<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
