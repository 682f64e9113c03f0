//! Whether threads can be started. A library that starts a pool of them cannot be asked again once it has failed, and
//! where only some could be started it waits for the others without end: so that is tried first.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::Builder;

use polars::prelude::{DataFrame, Engine, IntoLazy};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::panics;

/// Makes sure, at the first call, that the pools of polars have room. Where memory or threads have a limit they are
/// started at once, before data takes the room.
///
/// # Errors
/// What stands in the way.
pub fn room_for_pools() -> Fallible<()> {
    static FOUND: AtomicBool = AtomicBool::new(false);
    if FOUND.load(Ordering::Relaxed) {
        return Ok(());
    }
    try_files()?;
    try_threads()?;
    const MANY_PROCESSES: u64 = 4096;
    if limit(libc::RLIMIT_AS) != libc::RLIM_INFINITY || limit(libc::RLIMIT_NPROC) < MANY_PROCESSES {
        panics::caught(start_pools).map_err(|why| {
            Diagnostic::new(Kind::System, format!("the threads of polars cannot be started: {why}")).hint(LIMITS)
        })?;
    }
    FOUND.store(true, Ordering::Relaxed);
    Ok(())
}

const LIMITS: &str =
    "`ulimit -u` and `ulimit -v` show the limits of processes and memory; `rows` and `batch` need less";

/// The event loop of polars has files of its own.
fn try_files() -> Fallible<()> {
    const WANTED: usize = 8;
    let open: Vec<File> = (0..WANTED).map_while(|_| File::open("/dev/null").ok()).collect();
    if open.len() == WANTED {
        return Ok(());
    }
    let message = format!("polars opens {WANTED} files of its own, and the system lets timelab open {}", open.len());
    let hint = "`ulimit -n` shows how many files may be open; `rows` and `batch` need fewer";
    Err(Diagnostic::new(Kind::System, message).hint(hint))
}

fn try_threads() -> Fallible<()> {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    // One pool for tables, one for streams, one for files, and a few more.
    let wanted = 3 * cores + 4;
    let mut waiting = Vec::new();
    for started in 0..wanted {
        let (end, ended) = channel::<()>();
        // With stacks of the size that the pools have.
        match Builder::new().spawn(move || _ = ended.recv()) {
            Ok(thread) => waiting.push((end, thread)),
            Err(_) => {
                finish(waiting);
                let message = format!("polars starts {wanted} threads, and the system lets timelab start {started}");
                return Err(Diagnostic::new(Kind::System, message).hint(LIMITS));
            }
        }
    }
    finish(waiting);
    Ok(())
}

fn finish(waiting: Vec<(std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>)>) {
    for (end, thread) in waiting {
        drop(end);
        // It did nothing that could fail.
        let _ = thread.join();
    }
}

/// Queries of no rows: each way of polars to run one starts its threads.
fn start_pools() {
    for way in [Engine::InMemory, Engine::Streaming] {
        // Only the threads matter.
        drop(DataFrame::empty().lazy().collect_with_engine(way));
    }
}

fn limit(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the system fills the structure.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    limit.rlim_cur
}
