//! The processes that run Rust again and again: all blocks and compiled plans of a comparison in the same ones.
//!
//! What was tried on a shared machine with two processors, whose load was 12 to 20, with kernels such as those of
//! `benches/verdicts` (arithmetic, calls, sorting, hashing, copies, boxes, chased pointers …):
//! - A fork for each variant: forks of the same code differ by up to 7 %, where the interval inside one says 0.2 %. 38
//!   of 120 verdicts on identical code were false, without a load.
//! - One process for all variants, and one copy of each one's code: where code lies makes as much of a difference. The
//!   copies of a loop that appends to a text took either 2.44 µs or 3.93 µs, half of them each, and nothing between.
//! - One process and sixteen copies, each turn with another one of both: 0 of 26 false, but wide intervals; that loop
//!   had [0.62 1.61], and nothing about it could ever be found.
//! - One process and the four fastest of sixteen copies, which are found before: where code lies only adds time, so the
//!   fastest are those that lie well. 1 of 24 false, and 23 of 24 intervals hold 1.0.
//! - The same, and how far the four lie apart is in the interval: 0 of 76 false, and all 76 intervals hold 1.0; 2 %
//!   more work was found in 44 of 56 comparisons of 2 s, 150 times the work as 149.8. This is how it is done.
//! - The same, with the shell and its processes pinned to one processor (`taskset`), beside others at a load of 14: the
//!   intervals of 18 comparisons of compiled plans reach ±1.5 % in the median and without that ±1.7 %, those of 8
//!   blocks ±0.4 % both times; verdicts in 10 and in 12 of the 26. So nothing is pinned: it does not help, and a
//!   process that may not leave a busy processor waits.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Fallible};
use crate::measure::{Clock, Clocks, Overhead, Readings, ThreadCpu, Wall, Workload};
use crate::run_context::RunContext;
use crate::rust::{Opener, Worker};

/// Processes that have the same library loaded, in which each subject is there in several copies. One that has ended is
/// opened anew when it is needed.
pub struct Workers {
    opener: Opener,
    inputs: Vec<Vec<u8>>,
    pub copies: usize,
    each: RefCell<Vec<Option<Worker>>>,
    /// For a subject its fastest copies, once they were looked for.
    fastest: RefCell<HashMap<usize, Vec<usize>>>,
    /// What measuring costs there, by the clock of the wall and that of the thread.
    overheads: Cell<Option<[Overhead; 2]>>,
    context: RunContext,
}

impl Workers {
    pub fn new(opener: Opener, inputs: Vec<Vec<u8>>, copies: usize, processes: usize, context: &RunContext) -> Workers {
        let each = RefCell::new((0..processes).map(|_| None).collect());
        let (fastest, overheads) = (RefCell::default(), Cell::new(None));
        Workers { opener, inputs, copies, each, fastest, overheads, context: context.clone() }
    }

    /// How many processes take part in turns.
    pub fn processes(&self) -> usize {
        self.each.borrow().len()
    }

    /// How many copies of each subject take part in turns.
    pub fn chosen(&self) -> usize {
        self.copies.min(CHOSEN)
    }

    /// Finds the fastest copies of some subjects, in a time of about `budget`; they all take turns meanwhile. Where
    /// that is too short for two looks at each, fewer are looked at.
    ///
    /// # Errors
    /// Those of the subjects, with the place of the one that failed.
    pub fn choose(
        &self,
        subjects: &[Screened],
        budget: Duration,
        rng: &mut fastrand::Rng,
    ) -> Result<(), (usize, Box<Diagnostic>)> {
        let round: f64 = subjects.iter().map(|one| one.sample).sum();
        let affordable = budget.as_nanos() as f64 / round.max(1.0);
        let copies = self.copies.min((affordable / 2.0) as usize);
        if copies <= self.chosen() {
            return Ok(());
        }
        let looks = ((affordable / copies as f64) as usize).clamp(2, LOOKS);
        let mut least = vec![vec![u64::MAX; copies]; subjects.len()];
        for _ in 0..looks {
            let mut order: Vec<(usize, usize)> =
                (0..subjects.len()).flat_map(|one| (0..copies).map(move |copy| (one, copy))).collect();
            // A disturbance that lasts must not always hit the same copies.
            rng.shuffle(&mut order);
            for (one, copy) in order {
                let Screened { subject, clock, calls, warm, .. } = subjects[one];
                let number = subject * self.copies + copy;
                let time = self.ask(0, |worker| worker.sample(number, calls, clock.is_cpu(), warm));
                let time = time.map_err(|error| (one, error))?;
                // Interruptions only add time: the least of a few looks is what a copy can do.
                least[one][copy] = least[one][copy].min(time);
            }
        }
        for (one, least) in subjects.iter().zip(least) {
            let mut order: Vec<usize> = (0..copies).collect();
            order.sort_by_key(|copy| least[*copy]);
            order.truncate(self.chosen());
            self.fastest.borrow_mut().insert(one.subject, order);
        }
        Ok(())
    }

    /// Asks something of a process.
    pub fn ask<T>(&self, process: usize, ask: impl FnOnce(&mut Worker) -> Fallible<T>) -> Fallible<T> {
        let mut each = self.each.borrow_mut();
        let worker = &mut each[process];
        if worker.as_ref().is_none_or(|worker| !worker.is_alive()) {
            // The dead one is dropped first, so that two never hold the inputs at once.
            *worker = None;
            *worker = Some(self.opener.open(&self.inputs, &self.context)?);
        }
        ask(worker.as_mut().expect("it was just opened"))
    }

    /// What measuring costs in them, by a clock.
    pub fn overhead(&self, clock: &dyn Clock) -> Fallible<Overhead> {
        if self.overheads.get().is_none() {
            let subject = self.ask(0, |worker| Ok(worker.nothing()))?;
            let mut nothing = Remote { workers: self, number: subject, chosen: vec![0], now: (0, 0) };
            self.overheads.set(Some([Overhead::of(&Wall, &mut nothing)?, Overhead::of(&ThreadCpu, &mut nothing)?]));
        }
        let overheads = self.overheads.get().expect("they were just measured");
        Ok(overheads[usize::from(clock.is_cpu())])
    }

    /// A subject of the library as what is timed.
    pub fn workload(&self, subject: usize) -> Remote<'_> {
        let fastest = self.fastest.borrow().get(&subject).cloned();
        let chosen = fastest.unwrap_or_else(|| (0..self.chosen()).collect());
        Remote { workers: self, number: subject * self.copies, chosen, now: (0, 0) }
    }
}

/// Copies of each subject that take part in turns, of those that there are.
const CHOSEN: usize = 4;
/// The most looks at each copy to find the fastest.
const LOOKS: usize = 7;

/// A subject whose fastest copies are looked for, and how it is sampled.
#[derive(Clone, Copy)]
pub struct Screened<'a> {
    pub subject: usize,
    pub clock: &'a dyn Clock,
    pub calls: u64,
    /// Whether each sample comes behind a call that is not timed.
    pub warm: bool,
    /// The nanoseconds of a sample, roughly.
    pub sample: f64,
}

/// What is timed in one of the processes.
pub struct Remote<'a> {
    workers: &'a Workers,
    /// The number of its first copy.
    number: usize,
    /// The copies that take part.
    chosen: Vec<usize>,
    /// Which of these, and in which process, the next sample is of.
    now: (usize, usize),
}

impl Remote<'_> {
    fn now(&self) -> (usize, usize) {
        (self.number + self.chosen[self.now.0], self.now.1)
    }

    /// The process itself makes the call that is not timed: between two questions another program would run.
    fn sample(&self, clock: &dyn Clock, calls: u64, warm: bool) -> Fallible<u64> {
        let (number, process) = self.now();
        self.workers.ask(process, |worker| worker.sample(number, calls, clock.is_cpu(), warm))
    }
}

impl Workload<Box<Diagnostic>> for Remote<'_> {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Fallible<u64> {
        self.sample(clock, calls, false)
    }

    fn time_warm(&mut self, clock: &dyn Clock, calls: u64) -> Fallible<u64> {
        self.sample(clock, calls, true)
    }

    fn readings(&mut self, _: &Clocks, calls: u64) -> Fallible<Readings> {
        let (number, process) = self.now();
        self.workers.ask(process, |worker| worker.readings(number, calls))
    }

    fn overhead(&self, clock: &dyn Clock) -> Option<Overhead> {
        self.workers.overhead(clock).ok()
    }

    fn replicate(&mut self, units: &[usize]) {
        let [copy, process] = units else { return };
        self.now = (*copy % self.chosen.len(), *process);
    }
}
