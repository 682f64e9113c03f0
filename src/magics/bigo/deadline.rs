//! A time after which a run is stopped: for one that would never end.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::run_context::Stop;

/// How often the time is looked at.
const LOOK: Duration = Duration::from_millis(20);
const NEVER: u64 = u64::MAX;

/// Raises the stop flag when the time of a subject is over.
pub struct Deadline {
    start: Instant,
    /// Milliseconds after the start.
    at: Arc<AtomicU64>,
    /// Whether it was this that raised the flag.
    raised: Arc<AtomicBool>,
    stop: Stop,
    thread: Cell<Option<JoinHandle<()>>>,
    end: Cell<Option<Sender<()>>>,
}

impl Deadline {
    pub fn new(stop: &Stop) -> Deadline {
        let (at, raised, start) = (Arc::new(AtomicU64::new(NEVER)), Arc::new(AtomicBool::new(false)), Instant::now());
        let (end, ended) = channel();
        let look = {
            let (at, raised, stop) = (at.clone(), raised.clone(), stop.clone());
            move || {
                while matches!(ended.recv_timeout(LOOK), Err(RecvTimeoutError::Timeout)) {
                    let passed = start.elapsed().as_millis() as u64;
                    if passed > at.load(Ordering::SeqCst) && !stop.is_raised() {
                        at.store(NEVER, Ordering::SeqCst);
                        raised.store(true, Ordering::SeqCst);
                        stop.raise();
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("deadline".to_string()).spawn(look).ok();
        Deadline { start, at, raised, stop: stop.clone(), thread: Cell::new(thread), end: Cell::new(Some(end)) }
    }

    /// From now on so much time is left.
    pub fn set(&self, left: Duration) {
        self.at.store((self.start.elapsed() + left).as_millis() as u64, Ordering::SeqCst);
    }

    pub fn clear(&self) {
        self.at.store(NEVER, Ordering::SeqCst);
    }

    /// Whether the last run was stopped by this. Then the flag is lowered: nobody asked for an end of the cell.
    pub fn was_reached(&self) -> bool {
        let reached = self.raised.swap(false, Ordering::SeqCst);
        if reached {
            self.stop.clear();
        }
        reached
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It only looks at a clock.
            let _ = thread.join();
        }
    }
}
