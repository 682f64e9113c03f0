//! A global interpreter lock: one thread at a time runs, and gives the lock away after some bytecodes.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::interleave::barrier::pause;

/// Bytecodes between two hand-overs, on average. CPython's 5 ms are more; that would be a few hand-overs in all.
pub const BYTECODES: u64 = 2_000;

const FREE: usize = usize::MAX;

pub struct Gil {
    /// The thread that may run.
    turn: AtomicUsize,
    /// Threads that run or wait for their turn.
    present: Vec<AtomicBool>,
}

impl Gil {
    pub fn new(threads: usize) -> Gil {
        Gil { turn: AtomicUsize::new(FREE), present: (0..threads).map(|_| AtomicBool::new(false)).collect() }
    }

    /// Waits for the lock. The thread has it as long as it keeps what it gets, but for hand-overs.
    pub fn hold(&self, thread: usize) -> Held<'_> {
        let seed = (thread as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.present[thread].store(true, Ordering::SeqCst);
        let held = Held { gil: self, thread, left: Cell::new(0), random: Cell::new(seed) };
        held.wait();
        held
    }

    /// The next thread after this one that is there.
    fn next(&self, thread: usize) -> Option<usize> {
        let threads = self.present.len();
        let others = (1..threads).map(|step| (thread + step) % threads);
        others.into_iter().find(|other| self.present[*other].load(Ordering::SeqCst))
    }
}

pub struct Held<'a> {
    gil: &'a Gil,
    thread: usize,
    /// Bytecodes until the next hand-over.
    left: Cell<u64>,
    random: Cell<u64>,
}

impl Held<'_> {
    /// Between two bytecodes: here the lock can change hands.
    #[inline]
    pub fn between(&self) {
        match self.left.get() {
            0 => {
                if let Some(next) = self.gil.next(self.thread) {
                    self.gil.turn.store(next, Ordering::SeqCst);
                }
                self.wait();
            }
            left => self.left.set(left - 1),
        }
    }

    #[cold]
    fn wait(&self) {
        const SPINS: u32 = 2_000;
        let turn = &self.gil.turn;
        let mut spins = 0;
        while turn.load(Ordering::SeqCst) != self.thread
            && turn.compare_exchange(FREE, self.thread, Ordering::SeqCst, Ordering::SeqCst).is_err()
        {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { pause() }
        }
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        self.left.set(random % (2 * BYTECODES));
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.gil.present[self.thread].store(false, Ordering::SeqCst);
        let next = self.gil.next(self.thread).unwrap_or(FREE);
        self.gil.turn.store(next, Ordering::SeqCst);
    }
}
