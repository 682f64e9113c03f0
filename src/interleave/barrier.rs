//! What makes threads really run at the same time: a place on a core of their own, and a start together.

use std::sync::atomic::{AtomicU32, Ordering};

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

/// Lets threads go on together within nanoseconds. It may lie in memory that processes share: nothing points anywhere.
///
/// Who waits long sleeps. On a busy machine a thread that yields instead is put behind all others, and two such threads
/// are hardly ever on their cores at the same time; one that slept comes back at once.
pub struct SpinBarrier {
    threads: u32,
    /// Looks before a waiting thread sleeps.
    spins: u32,
    arrived: AtomicU32,
    generation: AtomicU32,
    sleepers: AtomicU32,
}

impl SpinBarrier {
    /// For so many threads on so many cores.
    pub fn new(threads: usize, cores: usize) -> SpinBarrier {
        // More than a sleeper needs to come back, so that the two meet again; where threads share a core, spinning only
        // delays the one that is waited for.
        let spins = if threads > cores { 1 } else { 20_000 };
        let zero = || AtomicU32::new(0);
        SpinBarrier { threads: threads as u32, spins, arrived: zero(), generation: zero(), sleepers: zero() }
    }

    /// Waits for all threads.
    pub fn wait(&self) {
        let generation = self.generation.load(Ordering::SeqCst);
        if self.arrived.fetch_add(1, Ordering::SeqCst) + 1 == self.threads {
            self.arrived.store(0, Ordering::SeqCst);
            self.generation.store(generation.wrapping_add(1), Ordering::SeqCst);
            if self.sleepers.load(Ordering::SeqCst) > 0 {
                wake_all(&self.generation);
            }
            return;
        }
        for _ in 0..self.spins {
            if self.generation.load(Ordering::Acquire) != generation {
                return;
            }
            std::hint::spin_loop();
        }
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while self.generation.load(Ordering::SeqCst) == generation {
            sleep_while(&self.generation, generation);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sleeps until `wake_all`, unless the word is another one by now. It may return early.
fn sleep_while(word: &AtomicU32, value: u32) {
    #[cfg(target_os = "linux")]
    {
        // A child that was killed wakes nobody: look again now and then.
        let patience = libc::timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        // SAFETY: the word lives as long as the call; not private, since processes may share it.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, &patience) };
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (word, value);
        std::thread::yield_now();
    }
}

fn wake_all(word: &AtomicU32) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the word lives as long as the call.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = word;
    }
}

/// What a thread does that has waited in vain for a while: it sleeps for a moment, for the reason given above.
pub fn pause() {
    std::thread::sleep(std::time::Duration::from_micros(20));
}

/// A value with cache lines of its own: processors fetch lines in pairs.
#[repr(align(128))]
#[derive(Debug, Default)]
pub struct Padded<T>(pub T);
