//! Clocks, sampling, comparison, memory, and what a piece of work cost. It knows no plan.

mod alloc;
mod cache;
mod clock;
mod compare;
mod cost;
pub mod growth;
mod noise;
mod readings;
mod refused;
mod samples;
mod sampling;
pub mod scaling;
mod spread;
mod steps;

use std::time::{Duration, Instant};

pub use alloc::{
    Counting, Limited, PoolLimited, allocated, allocations_are_stopped, end_if_stopped, limited, limited_apart, live,
    may_allocate, note_allocated, note_freed, pool_limited, stop_allocations,
};
pub use cache::second_cache;
pub use clock::{Clock, Clocks, ProcessCpu, ThreadCpu, Wall, add_thread_cpu, add_thread_queued, process_cpu};
pub use compare::{
    Design, Finding, LEAST_TIME, LOOKS, Level, Sampled, Side, Turns, UnitKind, Units, Verdict, compare, judge, linger,
    median_rank, square,
};
pub use cost::{Cost, Limit, Meter, Programs, Stopwatch, flush, leave_out, told_apart};
pub use noise::{Noise, noise};
pub use readings::{Missed, Readings, System, thread_queued};
pub use refused::{OUT_OF_MEMORY, keep_reserve, panics as refusals, prepare_for_limit, stack_is_small};
pub use samples::{Histogram, Samples};
pub use sampling::{Calibration, INTERRUPTED, Overhead, SAMPLE, Warmed, Workload, calibrate, calls_for, sample};
pub use spread::{Beside, ENOUGH as ENOUGH_SAVES, MOST as MOST_SAVES, Spread};
pub use steps::step_time;

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
