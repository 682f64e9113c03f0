//! Taking samples of anything that can be called: how many calls a sample has, and what the instrument itself costs.

use std::hint::black_box;

use super::{Clock, Clocks, Readings, Samples};

/// What is timed: anything that can be called, whose result must be used up inside, or the compiler removes the work;
/// or something that times itself, in another process.
pub trait Workload<E> {
    /// The nanoseconds of so many calls together.
    ///
    /// # Errors
    /// Those of the subject.
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Result<u64, E>;

    /// The same behind a call that is not timed. What ran before a sample, another subject or another program, has
    /// taken the caches: one call brings back what it needs.
    ///
    /// # Errors
    /// Those of the subject.
    fn time_warm(&mut self, clock: &dyn Clock, calls: u64) -> Result<u64, E> {
        self.time(clock, 1)?;
        self.time(clock, calls)
    }

    /// What measuring costs by this clock, where the subject times itself.
    fn overhead(&self, _: &dyn Clock) -> Option<Overhead> {
        None
    }

    /// What all clocks say of so many calls.
    ///
    /// # Errors
    /// Those of the subject.
    fn readings(&mut self, clocks: &Clocks, calls: u64) -> Result<Readings, E> {
        let start = Readings::now(clocks);
        self.time(&*clocks.wall, calls)?;
        Ok(Readings::since(clocks, &start))
    }

    /// Which of its copies, in which of its processes, the next samples are of; for a subject that has such.
    fn replicate(&mut self, _: &[usize]) {}
}

impl<E, F: FnMut() -> Result<(), E>> Workload<E> for F {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Result<u64, E> {
        let mut failed = None;
        let mut goes_well = || match self() {
            Ok(()) => true,
            Err(error) => {
                failed = Some(error);
                false
            }
        };
        let nanos = time_calls(clock, &mut goes_well, calls);
        failed.map_or(Ok(nanos), Err)
    }
}

/// A subject each of whose samples comes behind a call that is not timed.
pub struct Warmed<'a, E>(pub &'a mut dyn Workload<E>);

impl<E> Workload<E> for Warmed<'_, E> {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Result<u64, E> {
        self.0.time_warm(clock, calls)
    }

    fn overhead(&self, clock: &dyn Clock) -> Option<Overhead> {
        self.0.overhead(clock)
    }
}

/// How long a sample lasts, in nanoseconds: short ones fit between the interruptions of a busy machine. One call where
/// that is longer.
pub const SAMPLE: u64 = 50_000;

/// Above this many nanoseconds a sample, work on one thread is timed by its CPU time: it will be interrupted.
pub const INTERRUPTED: f64 = 200_000.0;

/// A call of so many nanoseconds or more needs none before it that warms the caches: filling them takes some ten
/// microseconds, which is under one percent of that. Without that call, blocks of Rust that allocate were 2 to 4 %
/// slower in the median than in a program of their own on a machine of load 13 (a list of 10,000 boxes 1.03 times, a
/// B-tree 1.03 times), as before each sample the shell had asked for it; with it, 0 to 1 %.
const LONG_CALL: f64 = 2e6;

/// Tries in a calibration; the least of them counts, since all else only adds time.
const TRIES: usize = 9;

/// The most calls of a sample.
const MOST_CALLS: u64 = 1 << 30;

/// What measuring costs by one clock, in nanoseconds; it is subtracted from each sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overhead {
    /// Of asking the clock twice.
    pub read: f64,
    /// Of each call in the loop of a sample.
    pub call: f64,
    /// The shortest time that the clock can tell.
    pub precision: f64,
}

impl Overhead {
    /// Measures them with a subject that does nothing.
    pub fn measure(clock: &dyn Clock) -> Overhead {
        let mut nothing = || Ok::<(), std::convert::Infallible>(());
        let Ok(overhead) = Overhead::of(clock, &mut nothing);
        overhead
    }

    /// Measures them with `nothing`, a subject that does nothing.
    ///
    /// # Errors
    /// Those of the subject.
    pub fn of<E>(clock: &dyn Clock, nothing: &mut dyn Workload<E>) -> Result<Overhead, E> {
        let precision = (0..100).map(|_| step(clock)).min().unwrap_or_default() as f64;
        let mut time = |calls| nothing.time(clock, calls).map(|elapsed| elapsed as f64);
        let mut reads = (0..99).map(|_| time(0)).collect::<Result<Vec<f64>, E>>()?;
        reads.sort_by(f64::total_cmp);
        let read = reads[reads.len() / 2];
        const CALLS: u64 = 10_000;
        let loops = (0..TRIES).map(|_| time(CALLS)).collect::<Result<Vec<f64>, E>>()?;
        let least = loops.into_iter().fold(f64::INFINITY, f64::min);
        Ok(Overhead { read, call: ((least - read) / CALLS as f64).max(0.0), precision })
    }

    /// The nanoseconds of one call in a sample of `calls` that lasted `elapsed`. Below zero where the subject costs
    /// less than the instrument can tell.
    pub fn of_call(&self, elapsed: u64, calls: u64) -> f64 {
        (elapsed as f64 - self.read) / calls as f64 - self.call
    }

    /// Whether so many nanoseconds of a call, as `of_call` gives them, are no more than the instrument costs itself:
    /// then no work is left that could be timed.
    pub fn hides(&self, call: f64) -> bool {
        call <= self.call
    }
}

/// The least step that the clock makes.
fn step(clock: &dyn Clock) -> u64 {
    let start = clock.now();
    loop {
        let passed = clock.now() - start;
        if passed > 0 {
            return passed;
        }
    }
}

/// One sample: the nanoseconds of so many calls together, or until one fails. There is one such loop in the program,
/// and the call goes through a pointer that the compiler cannot see through: it is the same for a subject as for
/// nothing at all. It lies apart, so that it is as far from one subject as from another: a copy for each type, or one
/// near to some, was seen to differ by over a nanosecond a call.
#[cfg_attr(target_os = "linux", unsafe(link_section = "timelab_loop"))]
#[inline(never)]
fn time_calls(clock: &dyn Clock, subject: &mut dyn FnMut() -> bool, calls: u64) -> u64 {
    let subject = black_box(subject);
    let start = clock.now();
    for _ in 0..calls {
        if !subject() {
            break;
        }
    }
    clock.now() - start
}

/// What a calibration found out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// How many calls make a sample of the right length.
    pub calls: u64,
    /// The nanoseconds of one call, roughly.
    pub call: f64,
    /// Whether it was interrupted each time, so that samples may be too short to tell anything.
    pub interrupted: bool,
}

impl Calibration {
    /// Whether a sample comes behind a call that is not timed.
    pub fn is_warmed(&self) -> bool {
        self.call < LONG_CALL
    }

    /// The nanoseconds of a sample, roughly.
    pub fn sample(&self) -> f64 {
        self.call * self.calls as f64
    }
}

/// How often a calibration starts again.
const RESTARTS: usize = 5;
/// Samples that check a calibration.
const CHECKS: usize = 3;

/// Finds how many calls a sample has. A subject that uses up the `patience` (in nanoseconds) is not tried nine times.
/// What was found is checked: where a sample then takes less than half the time, something else ran meanwhile, and it
/// starts again.
///
/// # Errors
/// Those of the subject.
pub fn calibrate<E>(clock: &dyn Clock, subject: &mut dyn Workload<E>, patience: u64) -> Result<Calibration, E> {
    let mut found = calibrate_once(clock, subject, patience)?;
    for restart in 0..=RESTARTS {
        if !is_shorter(clock, subject, found.calls, found.sample() / 2.0, patience)? {
            return Ok(found);
        }
        if restart < RESTARTS {
            found = calibrate_once(clock, subject, patience)?;
        }
    }
    Ok(Calibration { interrupted: true, ..found })
}

/// Whether a sample of so many calls takes less than `expected` nanoseconds.
fn is_shorter<E>(
    clock: &dyn Clock,
    subject: &mut dyn Workload<E>,
    calls: u64,
    expected: f64,
    patience: u64,
) -> Result<bool, E> {
    let start = clock.now();
    for _ in 0..CHECKS {
        if (subject.time(clock, calls)? as f64) < expected {
            return Ok(true);
        }
        if clock.now() - start > patience {
            break;
        }
    }
    Ok(false)
}

fn calibrate_once<E>(clock: &dyn Clock, subject: &mut dyn Workload<E>, patience: u64) -> Result<Calibration, E> {
    let start = clock.now();
    let found = |calls, call| Calibration { calls, call, interrupted: false };
    let mut calls = 1;
    loop {
        let mut least = u64::MAX;
        for _ in 0..TRIES {
            least = least.min(subject.time(clock, calls)?);
            if clock.now() - start > patience {
                break;
            }
        }
        let call = least as f64 / calls as f64;
        if calls == 1 && least >= SAMPLE {
            return Ok(found(calls, call));
        }
        if least >= SAMPLE / 2 || calls >= MOST_CALLS {
            return Ok(found(calls_for(call), call));
        }
        // A first guess from a very short time may be far off: it is tried, and at most a hundredfold.
        calls = calls_for(call).clamp(calls * 2, calls * 100);
    }
}

/// The calls of a sample where one takes so many nanoseconds.
pub fn calls_for(call: f64) -> u64 {
    ((SAMPLE as f64 / call).round() as u64).clamp(1, MOST_CALLS)
}

/// Takes samples until `go_on`, which is told how many there are, says no; at least one. Where the subject fails, what
/// was measured before stays.
pub fn sample<E>(
    clock: &dyn Clock,
    overhead: &Overhead,
    subject: &mut dyn Workload<E>,
    calls: u64,
    mut go_on: impl FnMut(usize) -> bool,
) -> (Samples, Option<E>) {
    let mut each = Vec::new();
    let mut failed = None;
    let overhead = subject.overhead(clock).unwrap_or(*overhead);
    loop {
        match subject.time(clock, calls) {
            Ok(elapsed) => each.push(overhead.of_call(elapsed, calls)),
            Err(error) => failed = Some(error),
        }
        if failed.is_some() || !go_on(each.len()) {
            return (Samples::new(calls, each), failed);
        }
    }
}
