//! What a piece of work cost this process: time, processors, memory.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::readings::{schedule, usage};
use super::{alloc, process_cpu};

/// What a piece of work cost a process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub wall: Duration,
    /// CPU time of all threads of the process.
    pub cpu: Duration,
    /// What of it was spent in the program and in the system; none where the two cannot be told apart.
    pub parts: Option<(Duration, Duration)>,
    /// What of it was spent in programs that it started and waited for. What memory they had, and what they waited for,
    /// is not known.
    pub programs: Duration,
    /// How long threads were ready to run and waited for a processor, added up, so that it may be longer than the wall
    /// time; none where the system does not tell that of all threads that ran.
    pub queued: Option<Duration>,
    /// How often a thread had to leave its processor to another one.
    pub preempted: u64,
    /// The most live heap above that at the start, in bytes, to 64 KiB a thread.
    pub peak: u64,
    /// Allocations, and the bytes that they asked for in all.
    pub allocations: u64,
    pub allocated: u64,
}

impl Cost {
    pub fn cpu(&self) -> Duration {
        self.cpu
    }

    /// What limits it, as far as that can be told.
    pub fn limit(&self) -> Limit {
        if self.wall < Duration::from_millis(1) {
            return Limit::TooShort;
        }
        let busy = self.busy();
        let Some(queued) = self.queued.map(|queued| queued.as_secs_f64() / self.wall.as_secs_f64()) else {
            // Nobody knows what kind of waiting the rest is.
            return if busy >= MOSTLY {
                Limit::Processor { cores: busy, queued: 0.0 }
            } else {
                Limit::Unknown { busy }
            };
        };
        // Two that wait for each other's results may be queued at once: that costs no more time than there is.
        let queued = if busy < 1.0 { queued.min(1.0 - busy) } else { queued };
        match busy + queued >= MOSTLY {
            true => Limit::Processor { cores: busy, queued: queued / (busy + queued) },
            false => Limit::Waiting { busy, queued },
        }
    }

    /// CPU time as a share of wall time: about 0 for waiting, 1 for one busy core.
    pub fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }

    /// This piece of work and then another one.
    pub fn and(self, other: Cost) -> Cost {
        let (wall, peak) = (self.wall + other.wall, self.peak.max(other.peak));
        Cost { wall, peak, ..self.beside(&other) }
    }

    /// What this process and another one cost that worked for it. Both peaks may have come at once: their sum is an
    /// upper bound.
    pub fn beside(&self, other: &Cost) -> Cost {
        Cost {
            wall: self.wall,
            cpu: self.cpu + other.cpu,
            parts: parts_of_both(self, other),
            programs: self.programs + other.programs,
            queued: self.queued.zip(other.queued).map(|(one, other)| one + other),
            preempted: self.preempted + other.preempted,
            peak: self.peak + other.peak,
            allocations: self.allocations + other.allocations,
            allocated: self.allocated + other.allocated,
        }
    }
}

/// What limits a piece of work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    TooShort,
    /// It is nearly always on so many processors, or waits for one: for that share of the time in which it could run.
    Processor {
        cores: f64,
        queued: f64,
    },
    /// It waits for something else, except for the shares of wall time that it is on a processor or waits for one.
    Waiting {
        busy: f64,
        queued: f64,
    },
    /// It is on a processor for a share of wall time, and the system does not tell what it waits for.
    Unknown {
        busy: f64,
    },
}

/// The least share of wall time at which work that could run is limited by processors.
const MOSTLY: f64 = 0.7;

/// What both spent in the program and in the system. One that has too little CPU time to tell changes no share.
fn parts_of_both(one: &Cost, other: &Cost) -> Option<(Duration, Duration)> {
    const LITTLE: f64 = 0.05;
    let cpu = one.cpu + other.cpu;
    let parts = match (one.parts, other.parts) {
        (Some(one), Some(other)) => (one.0 + other.0, one.1 + other.1),
        (Some(parts), None) if other.cpu.as_secs_f64() <= LITTLE * cpu.as_secs_f64() => parts,
        (None, Some(parts)) if one.cpu.as_secs_f64() <= LITTLE * cpu.as_secs_f64() => parts,
        _ => return None,
    };
    Some(shared_out(cpu, parts))
}

/// CPU time in the proportion of these parts.
fn shared_out(cpu: Duration, (user, system): (Duration, Duration)) -> (Duration, Duration) {
    let share = system.as_secs_f64() / (user + system).as_secs_f64().max(1e-9);
    let system = cpu.mul_f64(share.clamp(0.0, 1.0));
    (cpu.saturating_sub(system), system)
}

/// A measurement that goes on. One may go on within another.
pub struct Meter {
    start: Reading,
    left_out: Reading,
    /// What had been the peak before it.
    peak: i64,
}

impl Meter {
    pub fn start() -> Meter {
        let peak = alloc::restart_peak();
        Meter { left_out: left_out(), start: Reading::before(), peak }
    }

    pub fn stop(self) -> Cost {
        let end = Reading::after();
        let spent = end.since(&self.start).since(&left_out().since(&self.left_out));
        let peak = alloc::raise_peak(self.peak);
        Cost {
            wall: spent.wall,
            cpu: spent.cpu,
            parts: told_apart(spent.cpu).then(|| shared_out(spent.cpu, (spent.user, spent.system))),
            programs: Duration::ZERO,
            queued: spent.queued(),
            preempted: spent.preempted,
            peak: (peak - (end.live - spent.live)).max(0) as u64,
            allocations: spent.allocations,
            allocated: spent.allocated,
        }
    }
}

/// Does something that is no part of what is measured meanwhile: such as to have something compiled. Gives its wall
/// time too.
pub fn leave_out<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let peak = alloc::peak();
    let start = Reading::after();
    let result = work();
    let spent = Reading::before().since(&start);
    // What it has left in memory is there from now on; how high it came meanwhile does not count.
    alloc::set_peak(peak + spent.live);
    let wall = spent.wall;
    let mut all = LEFT_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    *all = Some(spent.and(&all.take().unwrap_or_default()));
    (result, wall)
}

static LEFT_OUT: Mutex<Option<Reading>> = Mutex::new(None);

/// All that was left out so far.
fn left_out() -> Reading {
    LEFT_OUT.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
}

/// A measurement of programs that this process starts and waits for.
pub struct Programs {
    start: Instant,
    user: Duration,
    system: Duration,
    preempted: u64,
}

impl Programs {
    pub fn start() -> Programs {
        let usage = usage(libc::RUSAGE_CHILDREN);
        let (user, system) = (duration(usage.ru_utime), duration(usage.ru_stime));
        Programs { start: Instant::now(), user, system, preempted: usage.ru_nivcsw as u64 }
    }

    /// What those cost that have ended. Of their memory, and of what they waited for, nothing is known.
    pub fn stop(self) -> Cost {
        let (wall, now) = (self.start.elapsed(), Programs::start());
        let parts = (now.user.saturating_sub(self.user), now.system.saturating_sub(self.system));
        let cpu = parts.0 + parts.1;
        let parts = told_apart(cpu).then_some(parts);
        let preempted = now.preempted.saturating_sub(self.preempted);
        Cost { wall, cpu, programs: cpu, parts, preempted, ..Cost::default() }
    }
}

/// Wall time without what is left out.
pub struct Stopwatch {
    start: Instant,
    left_out: Duration,
}

impl Stopwatch {
    pub fn start() -> Stopwatch {
        Stopwatch { left_out: left_out().wall, start: Instant::now() }
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed().saturating_sub(left_out().wall.saturating_sub(self.left_out))
    }
}

/// What this process has spent until some moment, or between two.
#[derive(Debug, Clone, Default)]
struct Reading {
    /// Since the first reading.
    wall: Duration,
    cpu: Duration,
    user: Duration,
    system: Duration,
    /// Of all threads whose times the system tells; none where it tells no times.
    threads: Option<Threads>,
    preempted: u64,
    allocations: u64,
    allocated: u64,
    live: i64,
}

/// Times of threads, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Threads {
    on_processor: u64,
    queued: u64,
    count: u64,
}

impl Reading {
    /// Before what is measured: what reading costs itself comes first.
    fn before() -> Reading {
        let reading = Reading::after();
        let heap = alloc::read();
        let (allocations, allocated, live) = (heap.count, heap.bytes, heap.live);
        Reading { allocations, allocated, live, cpu: process_cpu(), wall: now(), ..reading }
    }

    /// After what is measured: what reading costs itself comes last.
    fn after() -> Reading {
        let (wall, cpu) = (now(), process_cpu());
        let heap = alloc::read();
        let usage = usage(libc::RUSAGE_SELF);
        Reading {
            wall,
            cpu,
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            threads: threads(),
            preempted: usage.ru_nivcsw as u64,
            allocations: heap.count,
            allocated: heap.bytes,
            live: heap.live,
        }
    }

    fn since(&self, earlier: &Reading) -> Reading {
        let threads = |(now, then): (Threads, Threads)| Threads {
            on_processor: now.on_processor.saturating_sub(then.on_processor),
            queued: now.queued.saturating_sub(then.queued),
            count: now.count.max(then.count),
        };
        Reading {
            wall: self.wall.saturating_sub(earlier.wall),
            cpu: self.cpu.saturating_sub(earlier.cpu),
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            threads: match (self.threads, earlier.threads) {
                (Some(now), then) => Some(threads((now, then.unwrap_or_default()))),
                (None, _) => None,
            },
            preempted: self.preempted.saturating_sub(earlier.preempted),
            allocations: self.allocations.saturating_sub(earlier.allocations),
            allocated: self.allocated.saturating_sub(earlier.allocated),
            live: self.live - earlier.live,
        }
    }

    fn and(&self, other: &Reading) -> Reading {
        let threads = |(one, other): (Threads, Threads)| Threads {
            on_processor: one.on_processor + other.on_processor,
            queued: one.queued + other.queued,
            count: one.count.max(other.count),
        };
        Reading {
            wall: self.wall + other.wall,
            cpu: self.cpu + other.cpu,
            user: self.user + other.user,
            system: self.system + other.system,
            threads: self.threads.map(|one| threads((one, other.threads.unwrap_or_default()))),
            preempted: self.preempted + other.preempted,
            allocations: self.allocations + other.allocations,
            allocated: self.allocated + other.allocated,
            live: self.live + other.live,
        }
    }

    /// How long threads waited for a processor. A thread that has ended without a word took its times with it: then the
    /// others' do not add up to the CPU time of the process.
    fn queued(&self) -> Option<Duration> {
        let threads = self.threads?;
        // The system writes the time of a thread that runs down once a tick.
        let late = tick()?.as_nanos() as u64 * 2 * threads.count;
        let covered = (threads.on_processor + late) as f64 >= 0.9 * self.cpu.as_nanos() as f64;
        covered.then(|| Duration::from_nanos(threads.queued))
    }
}

/// Wall time since the first reading.
fn now() -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

/// Whether so much CPU time can be told apart into that of the program and that of the system: most systems note at
/// each tick of a clock where a thread is, and share the time out by that. Of 25 ticks the shares are right within some
/// 10 %.
pub fn told_apart(cpu: Duration) -> bool {
    const TICKS: u32 = 25;
    tick().is_some_and(|tick| cpu >= tick * TICKS)
}

/// The time from one tick of the system's clock to the next.
fn tick() -> Option<Duration> {
    // SAFETY: clock_getres writes a whole timespec for a valid pointer, and an all-zero timespec is a valid one.
    let (result, time) = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        (libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut time), time)
    };
    (result == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

fn duration(time: libc::timeval) -> Duration {
    Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000)
}

/// Threads that have said that they end.
#[derive(Default)]
struct Ended {
    times: Threads,
    /// Those that the system may still list.
    threads: Vec<String>,
}

static ENDED: Mutex<Option<Ended>> = Mutex::new(None);

/// Adds what this thread has counted, and the times that the system tells of it, to those of the process: for a thread
/// that ends.
pub fn flush() {
    alloc::flush_thread();
    // SAFETY: a system call without arguments.
    let number = unsafe { libc::syscall(libc::SYS_gettid) };
    if let Some(times) = times("/proc/thread-self/schedstat") {
        let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = ended.get_or_insert_default();
        ended.times.on_processor += times.on_processor;
        ended.times.queued += times.queued;
        ended.threads.push(number.to_string());
    }
}

/// The times of all threads of this process; none where the system does not tell them.
fn threads() -> Option<Threads> {
    let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = ended.get_or_insert_default();
    let mut all = ended.times;
    let listed: Vec<String> = std::fs::read_dir("/proc/self/task")
        .ok()?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    ended.threads.retain(|thread| listed.contains(thread));
    for thread in listed.iter().filter(|thread| !ended.threads.contains(thread)) {
        // It may have ended since.
        let Some(found) = times(&format!("/proc/self/task/{thread}/schedstat")) else { continue };
        all.on_processor += found.on_processor;
        all.queued += found.queued;
        all.count += 1;
    }
    (all.count > 0).then_some(all)
}

fn times(path: &str) -> Option<Threads> {
    schedule(path).map(|(on_processor, queued)| Threads { on_processor, queued, count: 1 })
}
