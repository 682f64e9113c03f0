//! Threads that begin together.

use std::io;
use std::sync::{Mutex, PoisonError};

/// Calls `work` with the number of each thread, on all of them; what each gives.
///
/// # Errors
/// Where the system starts no more threads. Then none has worked.
pub fn team<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> io::Result<Vec<T>> {
    // A thread that cannot be started must not leave the others waiting for it: they wait for this word first.
    let gate = Mutex::new(true);
    std::thread::scope(|scope| {
        let mut all_start = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let mut started = Vec::new();
        for thread in 0..threads {
            let (gate, work) = (&gate, &work);
            let spawned = std::thread::Builder::new().spawn_scoped(scope, move || {
                let begin = *gate.lock().unwrap_or_else(PoisonError::into_inner);
                begin.then(|| work(thread))
            });
            match spawned {
                Ok(handle) => started.push(handle),
                Err(error) => {
                    *all_start = false;
                    return Err(error);
                }
            }
        }
        drop(all_start);
        let joined = started.into_iter().map(|handle| handle.join());
        let given = joined.map(|given| given.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        Ok(given.flatten().collect())
    })
}
