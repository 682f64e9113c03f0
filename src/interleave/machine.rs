//! One step of a race program after another, under a memory model. A state is a row of words; nothing else is kept,
//! so a state can be compared, stored and gone back to.
//!
//! Words: the shared memory, all registers, a word per thread (twice the number of its next op, plus 1 if it sleeps
//! in a `wait`), the owner of each lock (0 or thread + 1), and under TSO and PSO each thread's store buffer: how many
//! stores, then location and value of each, oldest first (under PSO the locations in order, each oldest first, and a
//! barrier between stores that a release store or fence keeps in order).

use std::collections::BTreeSet;

use super::program::{Blocked, Ending, Fault, FaultKind, Location, MOST_LOCAL, Op, Operand, Program, binary, resolve};
use super::syntax::Order;

/// In which order the stores of a thread reach memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Sequential consistency: at once.
    Sc,
    /// Total store order, as on x86: later, in the order of the program.
    Tso,
    /// Partial store order: later, and those of different variables in any order.
    Pso,
}

impl Model {
    pub const ALL: [Model; 3] = [Model::Sc, Model::Tso, Model::Pso];

    pub const fn name(self) -> &'static str {
        match self {
            Model::Sc => "sc",
            Model::Tso => "tso",
            Model::Pso => "pso",
        }
    }
}

impl Model {
    pub const fn about(self) -> &'static str {
        match self {
            Model::Sc => "sequential consistency: every write is in memory at once",
            Model::Tso => "total store order, as on x86: writes wait in a buffer of their thread",
            Model::Pso => "partial store order: writes to different variables can swap",
        }
    }
}

/// What can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// A thread takes its next step.
    Step(u8),
    /// The same for a `notify`, with the thread that it wakes.
    Wake(u8, u8),
    /// Memory takes the oldest store to this location from the buffer of the thread.
    Drain(u8, u16),
}

impl Choice {
    /// The thread that moves; a drain is a move of the memory.
    pub fn thread(self) -> Option<usize> {
        match self {
            Choice::Step(thread) | Choice::Wake(thread, _) => Some(usize::from(thread)),
            Choice::Drain(..) => None,
        }
    }
}

/// Stores that a thread can have on their way. Real processors have 40 to 100; a program that fills even this few is
/// explored only in part, and that is said.
pub const BUFFER: usize = 32;

/// In the place of a location: stores before it reach memory before those behind it. It is less than every location.
const BARRIER: i64 = -1;

/// Is told what a step does.
pub trait Observer {
    /// In words.
    fn note(&mut self, words: impl FnOnce() -> String);
    /// An access to the shared memory.
    fn access(&mut self, location: usize, writes: bool);
}

/// Nobody listens.
pub struct Silent;

impl Observer for Silent {
    fn note(&mut self, _: impl FnOnce() -> String) {}
    fn access(&mut self, _: usize, _: bool) {}
}

/// Collects the words.
#[derive(Default)]
pub struct Story(pub Vec<String>);

impl Observer for Story {
    fn note(&mut self, words: impl FnOnce() -> String) {
        self.0.push(words());
    }
    fn access(&mut self, _: usize, _: bool) {}
}

/// Collects locations, and whether they are written, each once.
#[derive(Default)]
struct Accesses(BTreeSet<(usize, bool)>);

impl Observer for Accesses {
    fn note(&mut self, _: impl FnOnce() -> String) {}
    fn access(&mut self, location: usize, writes: bool) {
        self.0.insert((location, writes));
    }
}

/// An access that a thread could make next.
pub struct NextAccess {
    pub thread: usize,
    pub location: usize,
    pub writes: bool,
    pub is_plain: bool,
    pub op: usize,
}

pub struct Machine<'a> {
    pub program: &'a Program,
    pub model: Model,
    /// Whether registers that nothing reads any more keep their values: for people who look at them.
    keeps_registers: bool,
    registers: usize,
    counters: usize,
    owners: usize,
    buffers: usize,
}

impl<'a> Machine<'a> {
    pub fn new(program: &'a Program, model: Model) -> Machine<'a> {
        let registers = program.start.len();
        let counters = registers + program.registers;
        let owners = counters + program.threads.len();
        let buffers = owners + program.locks.len();
        Machine { program, model, keeps_registers: false, registers, counters, owners, buffers }
    }

    pub fn keeping_registers(mut self) -> Machine<'a> {
        self.keeps_registers = true;
        self
    }

    /// The state before the first step: local work that needs no step is done.
    pub fn start(&self) -> Result<Vec<i64>, Fault> {
        let mut words = self.program.start.clone();
        words.resize(self.buffers, 0);
        if self.model != Model::Sc {
            words.resize(self.buffers + self.program.threads.len(), 0);
        }
        for thread in 0..self.program.threads.len() {
            self.settle(&mut words, thread, 0, &mut Silent)?;
        }
        Ok(words)
    }

    pub fn memory<'w>(&self, words: &'w [i64]) -> &'w [i64] {
        &words[..self.registers]
    }

    pub fn register(&self, words: &[i64], register: usize) -> i64 {
        words[self.registers + register]
    }

    /// The next op of a thread.
    pub fn counter(&self, words: &[i64], thread: usize) -> usize {
        (words[self.counters + thread] >> 1) as usize
    }

    pub fn sleeps(&self, words: &[i64], thread: usize) -> bool {
        words[self.counters + thread] & 1 == 1
    }

    pub fn owner(&self, words: &[i64], lock: usize) -> Option<usize> {
        usize::try_from(words[self.owners + lock] - 1).ok()
    }

    pub fn is_done(&self, words: &[i64], thread: usize) -> bool {
        matches!(self.next_op(words, thread), Op::End)
    }

    fn next_op(&self, words: &[i64], thread: usize) -> &'a Op {
        &self.program.threads[thread].code[self.counter(words, thread)]
    }

    /// The stores of a thread that have not reached memory: location and value.
    pub fn buffer<'w>(&self, words: &'w [i64], thread: usize) -> impl DoubleEndedIterator<Item = (usize, i64)> + 'w {
        let (start, len) = self.buffer_place(words, thread);
        let stores = words[start..start + 2 * len].chunks_exact(2).filter(|store| store[0] != BARRIER);
        stores.map(|store| (store[0] as usize, store[1]))
    }

    /// The locations of the stores of a thread that no barrier holds back, oldest first; under PSO in order.
    fn before_barrier<'w>(&self, words: &'w [i64], thread: usize) -> impl Iterator<Item = usize> + 'w {
        let (start, len) = self.buffer_place(words, thread);
        let stores = words[start..start + 2 * len].chunks_exact(2).take_while(|store| store[0] != BARRIER);
        stores.map(|store| store[0] as usize)
    }

    /// Where the stores of a thread begin, and how many they are, with barriers.
    fn buffer_place(&self, words: &[i64], thread: usize) -> (usize, usize) {
        if self.model == Model::Sc {
            return (self.buffers, 0);
        }
        let mut at = self.buffers;
        for _ in 0..thread {
            at += 1 + 2 * words[at] as usize;
        }
        (at + 1, words[at] as usize)
    }

    /// What can happen next. Whether a full store buffer held a thread back is the answer.
    pub fn choices(&self, words: &[i64], all: &mut Vec<Choice>) -> bool {
        all.clear();
        let mut held_back = false;
        for thread in 0..self.program.threads.len() {
            let (_, stores) = self.buffer_place(words, thread);
            match self.is_enabled(words, thread, stores) {
                Enabled::Yes => match *self.next_op(words, thread) {
                    Op::Notify(lock) if self.sleepers(words, lock).next().is_some() => {
                        let woken = self.sleepers(words, lock);
                        all.extend(woken.map(|sleeper| Choice::Wake(thread as u8, sleeper as u8)));
                    }
                    _ => all.push(Choice::Step(thread as u8)),
                },
                Enabled::No => {}
                Enabled::BufferFull => held_back = true,
            }
        }
        if self.model != Model::Sc {
            for thread in 0..self.program.threads.len() {
                let mut last = usize::MAX;
                for location in self.before_barrier(words, thread) {
                    // Under TSO only the oldest store can drain, under PSO the oldest of each location.
                    if location != last {
                        all.push(Choice::Drain(thread as u8, location as u16));
                    }
                    last = location;
                    if self.model == Model::Tso {
                        break;
                    }
                }
            }
        }
        held_back
    }

    /// Threads that sleep until a `notify` of this lock.
    fn sleepers(&self, words: &[i64], lock: usize) -> impl Iterator<Item = usize> {
        let threads = 0..self.program.threads.len();
        threads.filter(move |thread| {
            self.sleeps(words, *thread) && matches!(self.next_op(words, *thread), Op::Retake(own) if *own == lock)
        })
    }

    fn is_enabled(&self, words: &[i64], thread: usize, stores: usize) -> Enabled {
        if self.sleeps(words, thread) {
            return Enabled::No;
        }
        let drained = stores == 0;
        let enabled = match *self.next_op(words, thread) {
            Op::End => false,
            Op::Lock(lock) | Op::Retake(lock) => drained && words[self.owners + lock] == 0,
            Op::Swap { .. } | Op::Cas { .. } | Op::FetchAdd { .. } | Op::Atomic { .. } => drained,
            Op::TryLock { .. } | Op::Unlock(_) | Op::Wait(_) => drained,
            Op::Fence(order) => self.model == Model::Sc || drained || order != Order::SeqCst,
            Op::Store { order, .. } => match self.model {
                Model::Sc => true,
                Model::Tso | Model::Pso if order == Order::SeqCst => drained,
                Model::Tso | Model::Pso if stores >= BUFFER => return Enabled::BufferFull,
                Model::Tso | Model::Pso => true,
            },
            _ => true,
        };
        if enabled { Enabled::Yes } else { Enabled::No }
    }

    /// Makes a choice that is among `choices`. A fault ends the schedule.
    pub fn apply(&self, words: &mut Vec<i64>, choice: Choice, observer: &mut impl Observer) -> Result<(), Fault> {
        match choice {
            Choice::Drain(thread, location) => {
                self.drain(words, usize::from(thread), usize::from(location), observer);
                Ok(())
            }
            Choice::Wake(thread, sleeper) => {
                let (thread, sleeper) = (usize::from(thread), usize::from(sleeper));
                words[self.counters + sleeper] &= !1;
                let (woken, lock) = (&self.program.threads[sleeper].name, self.next_op(words, thread));
                observer.note(|| match lock {
                    Op::Notify(lock) => format!("notify {} → wakes {woken}", self.program.locks[*lock]),
                    _ => String::new(),
                });
                let at = self.counter(words, thread) + 1;
                self.settle(words, thread, at, observer)
            }
            Choice::Step(thread) => self.step(words, usize::from(thread), observer),
        }
    }

    fn drain(&self, words: &mut Vec<i64>, thread: usize, location: usize, observer: &mut impl Observer) {
        let (start, len) = self.buffer_place(words, thread);
        let oldest = words[start..start + 2 * len].chunks_exact(2).position(|store| store[0] as usize == location);
        let at = start + 2 * oldest.expect("only a store that is there can drain");
        let value = words[at + 1];
        words[location] = value;
        words.drain(at..at + 2);
        // A barrier before all that is left orders nothing.
        let barriers = words[start..start + 2 * (len - 1)].chunks_exact(2).take_while(|store| store[0] == BARRIER);
        let barriers = barriers.count();
        words.drain(start..start + 2 * barriers);
        words[start - 1] -= 1 + barriers as i64;
        let names = self.program;
        observer.note(|| format!("{}: {} ← {value}", names.threads[thread].name, names.location_name(location)));
    }

    fn step(&self, words: &mut Vec<i64>, thread: usize, observer: &mut impl Observer) -> Result<(), Fault> {
        let at = self.counter(words, thread);
        let fault = |kind| Fault { kind, thread: Some(thread), op: at };
        let lock_name = |lock: usize| &self.program.locks[lock];
        let mut next = at + 1;
        match *self.next_op(words, thread) {
            Op::Lock(lock) => {
                words[self.owners + lock] = thread as i64 + 1;
                observer.note(|| format!("lock {}", lock_name(lock)));
            }
            Op::Retake(lock) => {
                words[self.owners + lock] = thread as i64 + 1;
                observer.note(|| format!("wakes and locks {}", lock_name(lock)));
            }
            Op::TryLock { to, lock } => {
                let is_free = words[self.owners + lock] == 0;
                if is_free {
                    words[self.owners + lock] = thread as i64 + 1;
                }
                words[self.registers + to] = i64::from(is_free);
                observer.note(|| format!("try_lock {} → {is_free}", lock_name(lock)));
            }
            Op::Unlock(lock) => {
                let owner = self.owner(words, lock);
                if owner != Some(thread) {
                    return Err(fault(FaultKind::NotOwner { lock, owner }));
                }
                words[self.owners + lock] = 0;
                observer.note(|| format!("unlock {}", lock_name(lock)));
            }
            Op::Wait(lock) => {
                if self.owner(words, lock) != Some(thread) {
                    return Err(fault(FaultKind::WaitsWithout(lock)));
                }
                words[self.owners + lock] = 0;
                words[self.counters + thread] = (next as i64) << 1 | 1;
                observer.note(|| format!("unlock {0}, sleeps until notify {0}", lock_name(lock)));
                return Ok(());
            }
            Op::Notify(lock) => observer.note(|| format!("notify {} → no thread sleeps", lock_name(lock))),
            Op::NotifyAll(lock) => {
                let sleepers: Vec<usize> = self.sleepers(words, lock).collect();
                sleepers.iter().for_each(|sleeper| words[self.counters + sleeper] &= !1);
                observer.note(|| match &sleepers[..] {
                    [] => format!("notify_all {} → no thread sleeps", lock_name(lock)),
                    all => {
                        let names = all.iter().map(|sleeper| self.program.threads[*sleeper].name.as_str());
                        format!("notify_all {} → wakes {}", lock_name(lock), names.collect::<Vec<_>>().join(", "))
                    }
                });
            }
            Op::Fence(order) => {
                if order.releases() {
                    self.barrier(words, thread);
                }
                observer.note(|| "fence".to_string());
            }
            Op::Atomic { end } => {
                next = end;
                self.atomic(words, thread, at + 1, end, observer)?;
            }
            Op::Load { .. } | Op::Store { .. } | Op::Swap { .. } | Op::Cas { .. } | Op::FetchAdd { .. } => {
                self.access(words, thread, at, false, observer).map_err(fault)?;
            }
            ref local => unreachable!("{local:?} is not a step"),
        }
        self.settle(words, thread, next, observer)
    }

    /// The ops of an `atomic` block, which see and change memory directly: the buffer is empty.
    fn atomic(
        &self,
        words: &mut Vec<i64>,
        thread: usize,
        mut at: usize,
        end: usize,
        observer: &mut impl Observer,
    ) -> Result<(), Fault> {
        observer.note(|| "atomic:".to_string());
        let mut work = 0;
        while at != end {
            let fault = |kind| Fault { kind, thread: Some(thread), op: at };
            work += 1;
            if work > MOST_LOCAL {
                return Err(fault(FaultKind::Endless));
            }
            let op = &self.program.threads[thread].code[at];
            at = if op.is_local() {
                local(op, at, &mut words[self.registers..]).map_err(fault)?
            } else {
                self.access(words, thread, at, true, observer).map_err(fault)?;
                at + 1
            };
        }
        Ok(())
    }

    /// One access to the shared memory; a `direct` store does not wait in the buffer.
    fn access(
        &self,
        words: &mut Vec<i64>,
        thread: usize,
        at: usize,
        direct: bool,
        observer: &mut impl Observer,
    ) -> Result<(), FaultKind> {
        let value = |words: &[i64], operand: Operand| operand_value(operand, &words[self.registers..]);
        let place = |words: &[i64], at: &Location| resolve(at, |operand| value(words, operand));
        let name = |location: usize| self.program.location_name(location);
        match &self.program.threads[thread].code[at] {
            Op::Load { to, at, .. } => {
                let location = place(words, at)?;
                observer.access(location, false);
                let buffered = self.buffer(words, thread).rev().find(|(stored, _)| *stored == location);
                let read = buffered.map_or(words[location], |(_, value)| value);
                words[self.registers + to] = read;
                let from = if buffered.is_some() { " (own buffer)" } else { "" };
                observer.note(|| format!("read {} → {read}{from}", name(location)));
            }
            Op::Store { at, value: stored, order } => {
                let location = place(words, at)?;
                observer.access(location, true);
                let stored = value(words, *stored);
                let is_buffered = match self.model {
                    Model::Sc => false,
                    Model::Tso | Model::Pso => *order != Order::SeqCst && !direct,
                };
                if is_buffered {
                    if order.releases() {
                        self.barrier(words, thread);
                    }
                    self.buffer_store(words, thread, location, stored);
                } else {
                    words[location] = stored;
                }
                let where_to = if is_buffered { " (buffer)" } else { "" };
                observer.note(|| format!("write {} ← {stored}{where_to}", name(location)));
            }
            Op::Swap { to, at, value: stored } => {
                let location = place(words, at)?;
                observer.access(location, true);
                let stored = value(words, *stored);
                let read = std::mem::replace(&mut words[location], stored);
                words[self.registers + to] = read;
                observer.note(|| format!("swap {} ← {stored} → {read}", name(location)));
            }
            Op::Cas { to, at, old, new } => {
                let location = place(words, at)?;
                observer.access(location, true);
                let (old, new) = (value(words, *old), value(words, *new));
                let swaps = words[location] == old;
                if swaps {
                    words[location] = new;
                }
                words[self.registers + to] = i64::from(swaps);
                observer.note(|| format!("cas {} {old} ⇒ {new} → {swaps}", name(location)));
            }
            Op::FetchAdd { to, at, value: added, subtract } => {
                let location = place(words, at)?;
                observer.access(location, true);
                let (read, added) = (words[location], value(words, *added));
                let sum = if *subtract { read.checked_sub(added) } else { read.checked_add(added) };
                words[location] = sum.ok_or(FaultKind::Overflow)?;
                words[self.registers + to] = read;
                let call = if *subtract { "fetch_sub" } else { "fetch_add" };
                observer.note(|| format!("{call} {} {added} → {read}", name(location)));
            }
            other => unreachable!("{other:?} is not an access"),
        }
        Ok(())
    }

    fn buffer_store(&self, words: &mut Vec<i64>, thread: usize, location: usize, value: i64) {
        let (start, len) = self.buffer_place(words, thread);
        let mut at = start + 2 * len;
        if self.model == Model::Pso {
            while at > start && words[at - 2] > location as i64 {
                at -= 2;
            }
        }
        words.splice(at..at, [location as i64, value]);
        words[start - 1] += 1;
    }

    /// Keeps the stores of a thread that wait under PSO before those that follow.
    fn barrier(&self, words: &mut Vec<i64>, thread: usize) {
        let (start, len) = self.buffer_place(words, thread);
        let end = start + 2 * len;
        if self.model == Model::Pso && len > 0 && words[end - 2] != BARRIER {
            words.splice(end..end, [BARRIER, 0]);
            words[start - 1] += 1;
        }
    }

    /// Local work up to the thread's next step.
    fn settle(
        &self,
        words: &mut [i64],
        thread: usize,
        mut at: usize,
        observer: &mut impl Observer,
    ) -> Result<(), Fault> {
        let code = &self.program.threads[thread].code;
        let mut work = 0;
        while code[at].is_local() {
            let fault = |kind| Fault { kind, thread: Some(thread), op: at };
            work += 1;
            if work > MOST_LOCAL {
                return Err(fault(FaultKind::Endless));
            }
            at = local(&code[at], at, &mut words[self.registers..]).map_err(fault)?;
        }
        words[self.counters + thread] = (at as i64) << 1;
        if !self.keeps_registers {
            for register in &self.program.threads[thread].dead[at] {
                words[self.registers + register] = 0;
            }
        }
        if let Op::End = code[at] {
            observer.note(|| "done".to_string());
        }
        Ok(())
    }

    /// How the schedule ended, in a state where nothing can happen.
    pub fn ending(&self, words: &[i64]) -> Ending {
        let threads = 0..self.program.threads.len();
        let stuck: Vec<(usize, Blocked)> = threads
            .filter(|thread| !self.is_done(words, *thread))
            .map(|thread| {
                let blocked = match *self.next_op(words, thread) {
                    Op::Retake(lock) if self.sleeps(words, thread) => Blocked::Asleep(lock),
                    Op::Lock(lock) | Op::Retake(lock) => Blocked::Lock {
                        lock,
                        owner: self.owner(words, lock).expect("a thread only waits for a lock that is taken"),
                    },
                    ref op => unreachable!("{op:?} can always go on"),
                };
                (thread, blocked)
            })
            .collect();
        if !stuck.is_empty() {
            return Ending::Deadlock(stuck);
        }
        let shown = self.program.shown.iter().map(|named| self.program.named[*named].register);
        let registers = shown.map(|register| self.register(words, register));
        Ending::Values(self.memory(words).iter().copied().chain(registers).collect())
    }

    /// The first check that does not hold in a final state, or what goes wrong in one.
    pub fn failed_check(&self, words: &[i64]) -> Result<Option<usize>, Fault> {
        failed_check(self.program, &words[..self.registers], &words[self.registers..self.counters])
    }

    /// The accesses that threads could make next.
    pub fn next_accesses(&self, words: &[i64], all: &mut Vec<NextAccess>) {
        all.clear();
        for thread in 0..self.program.threads.len() {
            let (_, stores) = self.buffer_place(words, thread);
            if self.is_enabled(words, thread, stores) != Enabled::Yes {
                continue;
            }
            let op = self.counter(words, thread);
            let (at, writes, is_plain) = match self.next_op(words, thread) {
                Op::Load { at, order, .. } => (at, false, *order == Order::Plain),
                Op::Store { at, order, .. } => (at, true, *order == Order::Plain),
                Op::Swap { at, .. } | Op::Cas { at, .. } | Op::FetchAdd { at, .. } => (at, true, false),
                Op::Atomic { .. } => {
                    let mut inside = Accesses::default();
                    let mut copy = words.to_vec();
                    // What goes wrong inside the block is found when it is made.
                    let _ = self.step(&mut copy, thread, &mut inside);
                    let each = inside.0.into_iter();
                    let is_plain = false;
                    all.extend(each.map(|(location, writes)| NextAccess { thread, location, writes, is_plain, op }));
                    continue;
                }
                _ => continue,
            };
            if let Ok(location) = resolve(at, |operand| operand_value(operand, &words[self.registers..])) {
                all.push(NextAccess { thread, location, writes, is_plain, op });
            }
        }
    }

    /// What a thread does next, in a few words.
    pub fn next_words(&self, words: &[i64], thread: usize) -> String {
        let names = self.program;
        let place = |at: &Location| match resolve(at, |operand| operand_value(operand, &words[self.registers..])) {
            Ok(location) => names.location_name(location),
            Err(_) => format!("{}[outside]", names.shared[at.variable].name),
        };
        match self.next_op(words, thread) {
            Op::Retake(lock) if self.sleeps(words, thread) => format!("sleeps until notify {}", names.locks[*lock]),
            Op::Load { at, .. } => format!("read {}", place(at)),
            Op::Store { at, value, .. } => {
                format!("write {} ← {}", place(at), operand_value(*value, &words[self.registers..]))
            }
            Op::Swap { at, .. } => format!("swap {}", place(at)),
            Op::Cas { at, .. } => format!("cas {}", place(at)),
            Op::FetchAdd { at, subtract: false, .. } => format!("fetch_add {}", place(at)),
            Op::FetchAdd { at, .. } => format!("fetch_sub {}", place(at)),
            Op::Lock(lock) | Op::Retake(lock) => format!("lock {}", names.locks[*lock]),
            Op::TryLock { lock, .. } => format!("try_lock {}", names.locks[*lock]),
            Op::Unlock(lock) => format!("unlock {}", names.locks[*lock]),
            Op::Wait(lock) => format!("wait {}", names.locks[*lock]),
            Op::Notify(lock) => format!("notify {}", names.locks[*lock]),
            Op::NotifyAll(lock) => format!("notify_all {}", names.locks[*lock]),
            Op::Fence(_) => "fence".to_string(),
            Op::Atomic { .. } => "atomic".to_string(),
            Op::End => "done".to_string(),
            local => unreachable!("{local:?} is not a step"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Enabled {
    Yes,
    No,
    BufferFull,
}

/// The first check that these values fail.
pub fn failed_check(program: &Program, memory: &[i64], registers: &[i64]) -> Result<Option<usize>, Fault> {
    let mut all: Vec<i64> = registers.to_vec();
    for (number, check) in program.checks.iter().enumerate() {
        all.resize(program.registers + program.check_registers, 0);
        let mut at = 0;
        while !matches!(check.code[at], Op::End) {
            let fault = |kind| Fault { kind, thread: None, op: at };
            at = match &check.code[at] {
                Op::Load { to, at: place, .. } => {
                    let location = resolve(place, |operand| operand_value(operand, &all)).map_err(fault)?;
                    all[*to] = memory[location];
                    at + 1
                }
                op => local(op, at, &mut all).map_err(fault)?,
            };
        }
        if operand_value(check.result, &all) == 0 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

pub fn operand_value(operand: Operand, registers: &[i64]) -> i64 {
    match operand {
        Operand::Register(register) => registers[register],
        Operand::Const(value) => value,
    }
}

/// Carries out an op that only touches registers, and gives the number of the next one.
pub fn local(op: &Op, at: usize, registers: &mut [i64]) -> Result<usize, FaultKind> {
    match *op {
        Op::Set { to, value } => registers[to] = operand_value(value, registers),
        Op::Not { to, value } => registers[to] = i64::from(operand_value(value, registers) == 0),
        Op::Negate { to, value } => {
            registers[to] = operand_value(value, registers).checked_neg().ok_or(FaultKind::Overflow)?;
        }
        Op::Binary { op, to, left, right } => {
            registers[to] = binary(op, operand_value(left, registers), operand_value(right, registers))?;
        }
        Op::Jump(to) => return Ok(to),
        Op::Unless(value, to) if operand_value(value, registers) == 0 => return Ok(to),
        Op::Assert(value) if operand_value(value, registers) == 0 => return Err(FaultKind::Assert),
        Op::Unless(..) | Op::Assert(_) | Op::Yield => {}
        ref step => unreachable!("{step:?} is not local work"),
    }
    Ok(at + 1)
}
