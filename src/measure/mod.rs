//! Clocks, sampling, comparison, memory, and what a piece of work cost. It knows no plan.

mod alloc;
mod clock;
mod compare;
mod noise;
mod samples;
mod sampling;
mod spread;

use std::time::{Duration, Instant};

pub use alloc::{Counting, flush_thread as flush, live, note as note_heap};
pub use clock::{Clock, ThreadCpu, Wall, add_thread_cpu, process_cpu};
pub use compare::{Finding, LOOKS, Turns, Verdict, compare, judge, linger, median_rank, square};
pub use noise::{Noise, noise};
pub use samples::{Histogram, Samples};
pub use sampling::{Calibration, INTERRUPTED, Overhead, SAMPLE, Workload, calibrate, calls_for, sample};
pub use spread::Spread;

/// The shortest time that the clock can tell: the least step that it made while it was asked again and again.
pub fn timer_precision() -> Duration {
    let step = |_| {
        let start = Instant::now();
        loop {
            let passed = start.elapsed();
            if passed > Duration::ZERO {
                return passed;
            }
        }
    };
    (0..100).map(step).min().unwrap_or_default()
}

/// What a piece of work cost this process.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    pub wall: Duration,
    /// CPU time of all threads of the process, in the program and in the system.
    pub user: Duration,
    pub system: Duration,
    /// The most live heap above that at the start, in bytes, to 64 KiB a thread.
    pub peak: u64,
    /// Allocations, and the bytes that they asked for in all.
    pub allocations: u64,
    pub allocated: u64,
}

impl Cost {
    pub fn cpu(&self) -> Duration {
        self.user + self.system
    }

    /// This piece of work and then another one.
    pub fn and(self, other: Cost) -> Cost {
        Cost {
            wall: self.wall + other.wall,
            user: self.user + other.user,
            system: self.system + other.system,
            peak: self.peak.max(other.peak),
            allocations: self.allocations + other.allocations,
            allocated: self.allocated + other.allocated,
        }
    }

    /// CPU time as a share of wall time: about 0 for waiting, 1 for one busy core.
    pub fn busy(&self) -> f64 {
        self.cpu().as_secs_f64() / self.wall.as_secs_f64().max(1e-9)
    }
}

/// A measurement that goes on.
pub struct Meter {
    start: Instant,
    cpu: Duration,
    parts: (Duration, Duration),
    heap: alloc::Reading,
}

impl Meter {
    pub fn start() -> Meter {
        Meter { heap: alloc::start(), parts: cpu_times(), cpu: process_cpu(), start: Instant::now() }
    }

    pub fn stop(self) -> Cost {
        let wall = self.start.elapsed();
        let cpu = process_cpu().saturating_sub(self.cpu);
        let (user, system) = cpu_times();
        let (user, system) = (user.saturating_sub(self.parts.0), system.saturating_sub(self.parts.1));
        let share = system.as_secs_f64() / (user + system).as_secs_f64().max(1e-9);
        let system = cpu.mul_f64(share.clamp(0.0, 1.0));
        let heap = alloc::read();
        Cost {
            wall,
            user: cpu.saturating_sub(system),
            system,
            peak: (heap.peak - self.heap.live).max(0) as u64,
            allocations: heap.count - self.heap.count,
            allocated: heap.bytes - self.heap.bytes,
        }
    }
}

/// User and system CPU time of this process so far.
fn cpu_times() -> (Duration, Duration) {
    // SAFETY: getrusage writes a whole rusage for a valid pointer, and an all-zero rusage is a valid one.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let duration = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    (duration(usage.ru_utime), duration(usage.ru_stime))
}
