//! What several clocks say of the same work: whether CPU time of one thread is all that was done for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::added_queued;
use super::{Clocks, process_cpu};

/// Clocks that differ by less than this say the same.
const NEAR: f64 = 0.05;
/// Also where they differ by less than these nanoseconds: so much the reading itself takes.
const READING: u64 = 20_000;

/// The readings of all clocks at a moment, or what passed between two: nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readings {
    pub wall: u64,
    /// CPU time of the thread.
    pub thread: u64,
    pub system: System,
}

/// What the system knows of a process and of the thread that asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// CPU time of the threads of the process, without those that work for the shell itself.
    pub process: u64,
    /// What of that the rest of this reading has taken.
    pub reading: u64,
    /// CPU time of processes that it started and that have ended.
    pub children: u64,
    /// How long the thread could have run but had to wait for a processor; none where the system does not say.
    pub queued: Option<u64>,
    /// How often it gave up the processor by itself, to wait for something.
    pub waits: u64,
}

/// What CPU time of one thread leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// Other threads, or other processes that this one started.
    Others,
    /// The thread waited: for another process, for a file, for time to pass.
    Waiting,
}

impl Missed {
    /// What the work does that is left out.
    pub fn said(self) -> &'static str {
        match self {
            Missed::Others => "works on several threads or in several processes",
            Missed::Waiting => "waits for something, or for another process",
        }
    }
}

impl Readings {
    pub fn now(clocks: &Clocks) -> Readings {
        // The wall is read last, and first when it is over: what reading takes is then in the others, not in it.
        let system = (clocks.system)();
        let thread = clocks.cpu.now();
        Readings { system, thread, wall: clocks.wall.now() }
    }

    /// What has passed since `start`.
    pub fn since(clocks: &Clocks, start: &Readings) -> Readings {
        let wall = clocks.wall.now() - start.wall;
        let thread = clocks.cpu.now() - start.thread;
        let (end, start) = ((clocks.system)(), &start.system);
        let queued = end.queued.zip(start.queued).map(|(end, start)| end.saturating_sub(start));
        let system = System {
            process: end.process.saturating_sub(start.process + start.reading),
            reading: 0,
            children: end.children.saturating_sub(start.children),
            queued,
            waits: end.waits.saturating_sub(start.waits),
        };
        Readings { wall, thread, system }
    }

    /// What CPU time of the thread leaves out of it; nothing where all clocks agree.
    pub fn missed(&self) -> Option<Missed> {
        let Readings { wall, thread, system } = self;
        let over = |more: u64, less: u64| {
            let difference = more.saturating_sub(less);
            difference > READING && difference as f64 > NEAR * more as f64
        };
        if over(system.process.max(*thread) + system.children, *thread) {
            return Some(Missed::Others);
        }
        // A thread that never gave up the processor has not waited, whatever the wall says on a busy machine.
        let waited = match system.queued {
            _ if system.waits == 0 => false,
            Some(queued) => over(wall.saturating_sub(queued), *thread),
            None => over(*wall, *thread),
        };
        waited.then_some(Missed::Waiting)
    }

    /// One piece of work and then another.
    pub fn and(self, other: Readings) -> Readings {
        let (one, two) = (self.system, other.system);
        let system = System {
            process: one.process + two.process,
            reading: 0,
            children: one.children + two.children,
            queued: one.queued.zip(two.queued).map(|(one, two)| one + two),
            waits: one.waits + two.waits,
        };
        Readings { wall: self.wall + other.wall, thread: self.thread + other.thread, system }
    }
}

/// Threads of the shell that are no part of what is measured, by their names.
const OWN: [&str; 2] = ["rust compiler", "rust broker"];

impl System {
    /// Of this process and this thread.
    pub fn read() -> System {
        let time =
            |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000).as_nanos() as u64;
        // First, so that what the rest takes can be told: a file for each thread.
        let process = process_cpu().as_nanos() as u64;
        let (children, waits) = (usage(libc::RUSAGE_CHILDREN), usage(libc::RUSAGE_THREAD));
        let (own, queued) = (own_threads(), thread_queued());
        System {
            process: process.saturating_sub(own),
            reading: process_cpu().as_nanos() as u64 - process,
            children: time(children.ru_utime) + time(children.ru_stime),
            queued: queued.map(|queued| queued + added_queued()),
            waits: waits.ru_nvcsw as u64,
        }
    }
}

/// How long this thread has waited for a processor; none where the system does not say.
pub fn thread_queued() -> Option<u64> {
    schedule("/proc/thread-self/schedstat").map(|(_, queued)| queued)
}

/// What the system has counted of this process, this thread, or children that have ended.
pub fn usage(whose: libc::c_int) -> libc::rusage {
    // SAFETY: getrusage writes a whole rusage for a valid pointer, and an all-zero rusage is a valid one.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(whose, &mut usage);
        usage
    }
}

/// Nanoseconds on a processor, and those that a thread waited for one, from its `schedstat`: `on_processor queued
/// slices`, as proc(5) has it.
pub fn schedule(path: &str) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// CPU time of the threads of the shell that only work for itself.
fn own_threads() -> u64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let own = threads.flatten().filter(|thread| {
        let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        OWN.contains(&name.trim_end())
    });
    own.filter_map(|thread| schedule(thread.path().join("schedstat").to_str()?)).map(|(cpu, _)| cpu).sum()
}
