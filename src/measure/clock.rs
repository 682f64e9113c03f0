//! Clocks: what time is asked of, so that all sampling can be tested with one that is set by hand.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::System;

/// Something that tells time.
pub trait Clock {
    /// Nanoseconds since some moment of its own; never less than at an earlier call.
    fn now(&self) -> u64;

    /// Whether it stands still while its thread waits.
    fn is_cpu(&self) -> bool {
        false
    }
}

/// The clocks of a session: those of the system, or in tests others.
#[derive(Clone)]
pub struct Clocks {
    pub wall: Arc<dyn Clock>,
    /// That of the thread.
    pub cpu: Arc<dyn Clock>,
    /// What else the system knows.
    pub system: fn() -> System,
}

impl Default for Clocks {
    fn default() -> Clocks {
        Clocks { wall: Arc::new(Wall), cpu: Arc::new(ThreadCpu), system: System::read }
    }
}

/// The time that passes.
pub struct Wall;

/// The time that this thread spends on a processor, and those threads that work for it while it waits.
pub struct ThreadCpu;

thread_local! {
    /// Nanoseconds of other threads, on a processor and waiting for one.
    static ADDED: Cell<u64> = const { Cell::new(0) };
    static ADDED_QUEUED: Cell<u64> = const { Cell::new(0) };
}

/// Counts nanoseconds of another thread, which did this one's work, as this one's.
pub fn add_thread_cpu(nanoseconds: u64) {
    ADDED.set(ADDED.get() + nanoseconds);
}

/// The same of the time that it waited for a processor.
pub fn add_thread_queued(nanoseconds: u64) {
    ADDED_QUEUED.set(ADDED_QUEUED.get() + nanoseconds);
}

/// What was counted so of this thread.
pub fn added_queued() -> u64 {
    ADDED_QUEUED.get()
}

impl Clock for Wall {
    fn now(&self) -> u64 {
        read(libc::CLOCK_MONOTONIC).as_nanos() as u64
    }
}

impl Clock for ThreadCpu {
    fn now(&self) -> u64 {
        read(libc::CLOCK_THREAD_CPUTIME_ID).as_nanos() as u64 + ADDED.get()
    }

    fn is_cpu(&self) -> bool {
        true
    }
}

/// The time that all threads of this process spend on processors together.
pub struct ProcessCpu;

impl Clock for ProcessCpu {
    fn now(&self) -> u64 {
        process_cpu().as_nanos() as u64
    }

    fn is_cpu(&self) -> bool {
        true
    }
}

/// CPU time of all threads of this process so far, to the nanosecond. That of `getrusage` is spread over user and
/// system by samples: it is too coarse for a short run.
pub fn process_cpu() -> Duration {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> Duration {
    // SAFETY: clock_gettime writes a whole timespec for a valid pointer, and an all-zero timespec is a valid one.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(clock, &mut time);
        time
    };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
