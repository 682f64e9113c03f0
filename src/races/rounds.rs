//! Threads, or processes, that do the same number of operations in rounds that start together: otherwise the threads of
//! a busy machine hardly overlap. It knows nothing of what is counted.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::interleave::barrier::{SpinBarrier, cores, pin};

pub const MOST_THREADS: usize = 64;
pub const MOST_EACH: u64 = 10_000_000_000;
/// Operations of a thread between two starts.
pub const ROUND: u64 = 100_000;
/// The first round is short; the next ones are longer as long as they end soon, so that Ctrl-C ends any version within
/// 100 ms. On a busy machine even a short round takes a while, because the threads wait for their cores.
const FIRST_ROUND: u64 = 100;
const SHORT: Duration = Duration::from_millis(10);
const MEDIUM: Duration = Duration::from_millis(40);
const LONG: Duration = Duration::from_millis(80);
/// Between these parts of a round a thread looks whether it is stopped.
const SLICES: u64 = 8;
/// For all versions of a demo together, and the most for one of them; a version that takes longer does fewer
/// operations.
const DEMO: Duration = Duration::from_secs(16);
const MOST_SHARE: Duration = Duration::from_millis(1_200);
/// The part of its share in which a version runs on one thread, for the speed-up.
const SINGLE_PART: u32 = 6;

/// The time of each version, where so many are to run.
pub fn share(versions: usize) -> Duration {
    (DEMO / versions.max(1) as u32).min(MOST_SHARE)
}

pub struct Rounds<'a> {
    pub threads: usize,
    pub each: u64,
    budget: Duration,
    checkpoint: Option<u64>,
    /// A run that is not the real one is not looked at.
    watch: &'a (dyn Fn(u64, &[i64]) + Sync),
    stopped: &'a (dyn Fn() -> bool + Sync),
    pub cores: Vec<usize>,
}

/// What was done.
#[derive(Debug, Clone, Copy)]
pub struct Played {
    /// Operations of each thread.
    pub each: u64,
    pub wall: Duration,
    /// Whether it was stopped while threads had work to do: they may have done different numbers of operations.
    pub is_cut: bool,
}

/// A run of a version: how long it took, and what it left.
pub struct Measured<T> {
    pub played: Played,
    pub result: T,
    /// How many times as many operations in a second as one thread alone.
    pub speed_up: Option<f64>,
}

/// One run of a version: it makes its state, plays, and says what is left.
pub type Run<'r, T> = dyn Fn(&Rounds) -> io::Result<(Played, T)> + 'r;

/// How a version is to be run.
pub struct Wanted {
    pub threads: usize,
    pub each: u64,
    pub share: Duration,
    pub checkpoint: u64,
    /// Whether one thread runs it alone before all do.
    pub has_speed_up: bool,
}

/// Runs a version, as long as there is time.
pub fn measure<T>(
    wanted: &Wanted,
    watch: &(dyn Fn(u64, &[i64]) + Sync),
    stopped: &(dyn Fn() -> bool + Sync),
    run: &Run<T>,
) -> io::Result<Measured<T>> {
    let Wanted { threads, each, share, checkpoint, has_speed_up } = *wanted;
    let rounds = |threads: usize, budget: Duration| Rounds {
        threads,
        each,
        budget,
        checkpoint: None,
        watch: &|_, _| {},
        stopped,
        cores: cores(),
    };
    let mut single = None;
    let single_share = if has_speed_up && threads > 1 { share / SINGLE_PART } else { Duration::ZERO };
    if !single_share.is_zero() {
        let (alone, _) = run(&rounds(1, single_share))?;
        single = (alone.each > 0).then(|| alone.wall.as_secs_f64() / alone.each as f64);
    }
    let checkpoint = Some(checkpoint);
    let (played, result) = run(&Rounds { checkpoint, watch, ..rounds(threads, share - single_share) })?;
    let all = played.wall.as_secs_f64() / (played.each.max(1) * threads as u64) as f64;
    Ok(Measured { played, result, speed_up: single.filter(|_| played.each > 0).map(|single| single / all) })
}

impl Rounds<'_> {
    /// Each thread calls `work(thread, operations)` until it has done its share; `look` is what is shared, for those
    /// who watch.
    pub fn play(&self, work: &(dyn Fn(usize, u64) + Sync), look: &(dyn Fn() -> Vec<i64> + Sync)) -> io::Result<Played> {
        let track = Track::new(self.threads, self.cores.len());
        let gate = Mutex::new(true);
        std::thread::scope(|scope| {
            // A thread that cannot be started must not leave the others at the barrier: they wait for this word first.
            let mut all_start = gate.lock().unwrap_or_else(PoisonError::into_inner);
            for thread in 0..self.threads {
                let (track, gate) = (&track, &gate);
                let spawned = std::thread::Builder::new().spawn_scoped(scope, move || {
                    if *gate.lock().unwrap_or_else(PoisonError::into_inner) {
                        self.run(track, thread, work, look);
                    }
                });
                if let Err(error) = spawned {
                    *all_start = false;
                    return Err(error);
                }
            }
            Ok(())
        })?;
        Ok(track.played())
    }

    pub fn unwatched(&self) -> Rounds<'_> {
        let Rounds { threads, each, budget, stopped, .. } = *self;
        Rounds { threads, each, budget, checkpoint: None, watch: &|_, _| {}, stopped, cores: self.cores.clone() }
    }

    pub fn is_stopped(&self) -> bool {
        (self.stopped)()
    }

    /// What one thread, or one process, does.
    pub fn run(
        &self,
        track: &Track,
        thread: usize,
        work: &(dyn Fn(usize, u64) + Sync),
        look: &(dyn Fn() -> Vec<i64> + Sync),
    ) {
        pin(self.cores[thread % self.cores.len()]);
        let mut done = 0;
        let mut begin = None;
        loop {
            if thread == 0 {
                let late = begin.is_some_and(|begin: Instant| begin.elapsed() >= self.budget);
                let is_stopped = done < self.each && (self.stopped)();
                if is_stopped {
                    track.is_cut.store(true, Ordering::Relaxed);
                }
                let is_over = done >= self.each || late || is_stopped;
                track.is_over.store(is_over, Ordering::Relaxed);
            }
            track.barrier.wait();
            if track.is_over.load(Ordering::Relaxed) {
                break;
            }
            let begin = *begin.get_or_insert_with(Instant::now);
            let start = Instant::now();
            let round = track.round.load(Ordering::Relaxed);
            let end = (done + round).min(self.each);
            let slice = round.div_ceil(SLICES);
            while done < end {
                // Processes are not told of a stop: they are killed.
                if (self.stopped)() {
                    track.is_cut.store(true, Ordering::Relaxed);
                    break;
                }
                let next = self.checkpoint.map_or(end, |every| ((done / every + 1) * every).min(end));
                let next = next.min(done + slice);
                work(thread, next - done);
                done = next;
                if thread == 0 && self.checkpoint.is_some_and(|every| done % every == 0) {
                    (self.watch)(done, &look());
                }
            }
            // All have read the length of this round; none reads that of the next before thread 0 is at the barrier.
            track.barrier.wait();
            if thread == 0 {
                track.each.store(done, Ordering::Relaxed);
                track.nanos.store(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
                let took = start.elapsed();
                let next = match took {
                    took if took < SHORT => 4 * round,
                    took if took < MEDIUM => 2 * round,
                    took if took > LONG => round / 2,
                    _ => round,
                };
                track.round.store(next.clamp(1, ROUND), Ordering::Relaxed);
            }
        }
    }
}

/// What threads or processes share about a run. It may lie in memory that processes share: nothing points anywhere.
pub struct Track {
    barrier: SpinBarrier,
    is_over: AtomicBool,
    is_cut: AtomicBool,
    /// Operations of the next round.
    round: AtomicU64,
    each: AtomicU64,
    nanos: AtomicU64,
}

impl Track {
    pub fn new(threads: usize, cores: usize) -> Track {
        Track {
            barrier: SpinBarrier::new(threads, cores),
            is_over: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            round: AtomicU64::new(FIRST_ROUND),
            each: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
        }
    }

    pub fn played(&self) -> Played {
        Played {
            each: self.each.load(Ordering::Relaxed),
            wall: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
            is_cut: self.is_cut.load(Ordering::Relaxed),
        }
    }
}

/// What demos say only of some runs.
pub const SAYS: &[&str] = &[
    "the machine is busy (load {number}, <one core|{count} cores>): times and speed-ups are mostly waiting",
    "stopped: {count} of {count} versions",
    "possible, but not seen this time: {names}[; and {count} more]",
    "each version has {number} s and does as many {word} as fit: see `each`",
    "~[{count} × {count}]",
];

/// What is to be known about times where other programs want the cores too.
pub fn busy_note() -> Option<String> {
    busy().map(|busy| format!("{busy}: times and speed-ups are mostly waiting"))
}

/// Whether other programs want the cores too, and how many.
pub fn busy() -> Option<String> {
    let (mut load, cores) = ([0f64; 1], cores().len());
    // SAFETY: there is room for the one number that is asked for.
    let known = unsafe { libc::getloadavg(load.as_mut_ptr(), 1) } == 1;
    (known && load[0] > cores as f64).then(|| {
        let cores = if cores == 1 { "one core".to_string() } else { format!("{cores} cores") };
        format!("the machine is busy (load {:.1}, {cores})", load[0])
    })
}

/// +1 for the threads that increment, -1 for those that decrement.
pub fn direction(thread: usize) -> i64 {
    if thread.is_multiple_of(2) { 1 } else { -1 }
}

/// What all threads together do to a counter.
pub fn expected(threads: usize, each: u64) -> i64 {
    (0..threads).map(direction).sum::<i64>() * each as i64
}

/// What a load and a store of a counter do apart; relaxed, so that it is a race but never undefined.
pub fn load_and_store(x: &AtomicI64, by: i64) {
    x.store(x.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}
