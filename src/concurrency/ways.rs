//! The same tasks done in several ways: tasks that work, and tasks that wait.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::run_context::RunContext;

use super::team::team;
use super::work::{spin, spin_until, units_in};

/// What a task is.
#[derive(Debug, Clone, Copy)]
pub enum Task {
    /// So many units of work.
    Work(u64),
    /// As one that reads from a disk or a network does.
    Wait(Duration),
}

/// How tasks are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Serial,
    Threads,
    GilThreads,
    Processes,
    Async,
    AsyncThatBlocks,
}

impl Way {
    pub const ALL: [Way; 6] =
        [Way::Serial, Way::Threads, Way::GilThreads, Way::Processes, Way::Async, Way::AsyncThatBlocks];

    pub fn name(self) -> &'static str {
        match self {
            Way::Serial => "serial",
            Way::Threads => "threads",
            Way::GilThreads => "threads under a GIL",
            Way::Processes => "processes",
            Way::Async => "async",
            Way::AsyncThatBlocks => "async that blocks",
        }
    }

    /// Threads of this process that do tasks, and processes.
    pub fn workers(self, tasks: usize) -> (usize, usize) {
        match self {
            Way::Serial | Way::Async | Way::AsyncThatBlocks => (1, 1),
            Way::Threads | Way::GilThreads => (tasks, 1),
            Way::Processes => (1, tasks),
        }
    }

    /// Does so many tasks, each by a worker of its own where there are several; how long it took.
    ///
    /// # Errors
    /// Where the system starts no more threads or processes.
    pub fn run(self, task: Task, tasks: usize, context: &RunContext) -> io::Result<Duration> {
        let stopped = || context.stop.is_raised();
        let start = Instant::now();
        match self {
            Way::Serial => (0..tasks).for_each(|_| task.perform(&stopped)),
            Way::Threads => Pool::Threads.map(tasks, &|_| task.perform(&stopped), &stopped)?,
            Way::Processes => Pool::Processes.map(tasks, &|_| task.perform(&|| false), &stopped)?,
            Way::GilThreads => {
                let gil = Gil::default();
                Pool::Threads.map(tasks, &|_| task.perform_under(&gil, &stopped), &stopped)?;
            }
            Way::Async => on_event_loop(tasks, || task.perform_async(&stopped))?,
            // A function that blocks inside `async` blocks the thread, and with it all other tasks.
            Way::AsyncThatBlocks => on_event_loop(tasks, || async { task.perform(&stopped) })?,
        }
        Ok(start.elapsed())
    }
}

/// Between two looks whether it is stopped.
const MOMENT: Duration = Duration::from_millis(10);

impl Task {
    pub fn work(time: Duration) -> Task {
        Task::Work(units_in(time))
    }

    /// A forked process calls it too, so it allocates nothing.
    fn perform(self, stopped: &(dyn Fn() -> bool + Sync)) {
        match self {
            Task::Work(units) => spin_until(units, stopped),
            Task::Wait(time) => {
                let end = Instant::now() + time;
                while !stopped() {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    std::thread::sleep(left.min(MOMENT));
                }
            }
        }
    }

    /// Holds the lock while it works, hands it over every 5 ms, and releases it while it waits.
    fn perform_under(self, gil: &Gil, stopped: &(dyn Fn() -> bool + Sync)) {
        const PART: u64 = 100_000;
        match self {
            Task::Work(units) => {
                let mut held = gil.hold();
                let mut since = Instant::now();
                let mut left = units;
                while left > 0 && !stopped() {
                    let now = left.min(PART);
                    spin(now);
                    left -= now;
                    if since.elapsed() >= Gil::INTERVAL {
                        drop(held);
                        held = gil.hold();
                        since = Instant::now();
                    }
                }
            }
            Task::Wait(_) => {
                drop(gil.hold());
                self.perform(stopped);
                drop(gil.hold());
            }
        }
    }

    async fn perform_async(self, stopped: &(dyn Fn() -> bool + Sync)) {
        match self {
            Task::Work(_) => self.perform(stopped),
            Task::Wait(time) => {
                let end = Instant::now() + time;
                while !stopped() {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    tokio::time::sleep(left.min(MOMENT)).await;
                }
            }
        }
    }
}

/// Workers behind one interface, as `concurrent.futures` of Python has it: a worker for each task.
#[derive(Debug, Clone, Copy)]
pub enum Pool {
    Threads,
    Processes,
}

impl Pool {
    /// Calls `work` with the number of each task. Processes must not allocate in it: they are forks.
    ///
    /// # Errors
    /// Where the system starts no more workers.
    pub fn map(
        self,
        tasks: usize,
        work: &(dyn Fn(usize) + Sync),
        stopped: &(dyn Fn() -> bool + Sync),
    ) -> io::Result<()> {
        match self {
            Pool::Threads => team(tasks, work).map(|_| ()),
            Pool::Processes => forked(tasks, work, stopped),
        }
    }
}

/// A process for each task. They are killed where it is stopped.
fn forked(tasks: usize, work: &dyn Fn(usize), stopped: &dyn Fn() -> bool) -> io::Result<()> {
    let mut children: Vec<libc::pid_t> = Vec::with_capacity(tasks);
    let mut failed = None;
    for task in 0..tasks {
        // SAFETY: the child keeps to what a fork of a process with threads may do: `work` allocates nothing and takes
        // no lock, and `_exit` ends it.
        match unsafe { libc::fork() } {
            0 => {
                // SAFETY: a system call; the child must not outlive this process.
                #[cfg(target_os = "linux")]
                unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                }
                work(task);
                // SAFETY: it ends this process at once, without what else would be done at an exit.
                unsafe { libc::_exit(0) }
            }
            -1 => {
                failed = Some(io::Error::last_os_error());
                break;
            }
            child => children.push(child),
        }
    }
    while !children.is_empty() {
        if failed.is_some() || stopped() {
            for child in &children {
                // SAFETY: it is our own child and has not been waited for.
                unsafe { libc::kill(*child, libc::SIGKILL) };
            }
        }
        children.retain(|child| {
            let mut status = 0;
            // SAFETY: the status is ours.
            unsafe { libc::waitpid(*child, &mut status, libc::WNOHANG) == 0 }
        });
        std::thread::sleep(Duration::from_micros(500));
    }
    failed.map_or(Ok(()), Err)
}

/// A global interpreter lock, given to those who wait in the order in which they came.
#[derive(Default)]
pub struct Gil {
    tickets: Mutex<Tickets>,
    moved_on: Condvar,
}

#[derive(Default)]
struct Tickets {
    next: u64,
    serving: u64,
}

struct Held<'a>(&'a Gil);

impl Gil {
    /// As long as CPython lets a thread run while others wait.
    const INTERVAL: Duration = Duration::from_millis(5);

    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self) -> Held<'_> {
        let mut tickets = self.tickets();
        let own = tickets.next;
        tickets.next += 1;
        while tickets.serving != own {
            tickets = self.moved_on.wait(tickets).unwrap_or_else(PoisonError::into_inner);
        }
        Held(self)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.tickets().serving += 1;
        self.0.moved_on.notify_all();
    }
}

/// All tasks on one thread: while one waits, the event loop goes on with another.
fn on_event_loop<F: Future<Output = ()>>(tasks: usize, task: impl Fn() -> F) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut open: Vec<_> = (0..tasks).map(|_| Some(Box::pin(task()))).collect();
    runtime.block_on(std::future::poll_fn(|context| {
        for slot in &mut open {
            if slot.as_mut().is_some_and(|task| task.as_mut().poll(context).is_ready()) {
                *slot = None;
            }
        }
        if open.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }));
    Ok(())
}
