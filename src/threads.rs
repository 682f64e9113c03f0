//! Whether threads can be started. A library that starts a pool of them cannot be asked again once it has failed, and
//! where only some could be started it waits for the others without end: so that is tried first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::Builder;

/// Tries, unless it was found before, whether the pools of polars have room.
///
/// # Errors
/// What stands in the way, in words.
pub fn room_for_pools() -> Result<(), String> {
    static FOUND: AtomicBool = AtomicBool::new(false);
    if FOUND.load(Ordering::Relaxed) {
        return Ok(());
    }
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    // One pool for tables, one for streams, one for files, and a few more.
    let wanted = 3 * cores + 4;
    let mut waiting = Vec::new();
    for started in 0..wanted {
        let (end, ended) = channel::<()>();
        match Builder::new().stack_size(64 << 10).spawn(move || _ = ended.recv()) {
            Ok(thread) => waiting.push((end, thread)),
            Err(_) => {
                finish(waiting);
                return Err(format!("polars starts {wanted} threads, and the system lets timelab start {started}"));
            }
        }
    }
    finish(waiting);
    FOUND.store(true, Ordering::Relaxed);
    Ok(())
}

fn finish(waiting: Vec<(std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>)>) {
    for (end, thread) in waiting {
        drop(end);
        // It did nothing that could fail.
        let _ = thread.join();
    }
}
