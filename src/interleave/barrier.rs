//! What makes threads really run at the same time: a place on a core of their own, and a start together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The cores that this process may use.
pub fn cores() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the set is plain bytes, and its size is passed along.
        let set = unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            (libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) == 0).then_some(set)
        };
        if let Some(set) = set {
            // SAFETY: the index is below the size of the set.
            return (0..libc::CPU_SETSIZE as usize).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect();
        }
    }
    (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
}

/// Keeps the calling thread on one core. Whether the system did it is the answer.
pub fn pin(core: usize) -> bool {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the set is plain bytes, the core is below its size, and 0 means the calling thread.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(core, &mut set);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) == 0
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = core;
        false
    }
}

/// Lets threads go on together within nanoseconds. Who waits long gives its core away: there may be more threads than
/// cores, and a thread that another one keeps from arriving would never come.
pub struct SpinBarrier {
    threads: usize,
    /// Looks before a waiting thread gives its core away.
    spins: u32,
    arrived: AtomicUsize,
    generation: AtomicUsize,
}

impl SpinBarrier {
    /// For so many threads on so many cores.
    pub fn new(threads: usize, cores: usize) -> SpinBarrier {
        // Where threads share a core, spinning only delays the one that is waited for.
        let spins = if threads > cores { 1 } else { 2_000 };
        SpinBarrier { threads, spins, arrived: AtomicUsize::new(0), generation: AtomicUsize::new(0) }
    }

    /// Waits for all threads.
    pub fn wait(&self) {
        let generation = self.generation.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.arrived.store(0, Ordering::Relaxed);
            self.generation.store(generation.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut spins = 0;
        while self.generation.load(Ordering::Acquire) == generation {
            spins += 1;
            if spins < self.spins { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// A value with cache lines of its own: processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Debug, Default)]
pub struct Padded<T>(pub T);
