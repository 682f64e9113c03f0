//! A job of which one part is done by one thread and the rest by all: how much faster several threads are.

use std::io;
use std::time::{Duration, Instant};

use crate::interleave::barrier::{SpinBarrier, cores};
use crate::run_context::RunContext;

use super::team::team;
use super::work::{spin_until, units_in};

/// One thread does the whole job in so long.
const JOB: Duration = Duration::from_millis(10);
const ROUNDS: usize = 11;
/// On a busy machine a few rounds will do.
const FEW_ROUNDS: usize = 5;
const BUDGET: Duration = Duration::from_secs(4);

/// Seconds of complete rounds: in each round every number of threads does the job once.
#[derive(Debug, Default)]
pub struct Times {
    pub alone: Vec<f64>,
    /// For each number of threads that was asked for.
    pub together: Vec<Vec<f64>>,
    /// A job that needs nothing in common, by one thread and by two.
    pub pure_alone: Vec<f64>,
    pub pure_pair: Vec<f64>,
}

/// Measures a job of which the share `serial` is done by one thread, on each number of threads. It may be stopped: then
/// there are fewer rounds.
///
/// # Errors
/// Where the system starts no more threads.
pub fn measure(serial: f64, threads: &[usize], context: &RunContext) -> io::Result<Times> {
    let stopped = || context.stop.is_raised();
    let units = units_in(JOB);
    let mut times = Times { together: vec![Vec::new(); threads.len()], ..Times::default() };
    let begin = Instant::now();
    // Each run of a round: its number of threads, and its serial share.
    let mut runs: Vec<(usize, f64)> = vec![(1, serial), (1, 0.0), (2, 0.0)];
    runs.extend(threads.iter().map(|threads| (*threads, serial)));
    let mut order: Vec<usize> = (0..runs.len()).collect();
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..ROUNDS {
        if round >= FEW_ROUNDS && begin.elapsed() > BUDGET {
            break;
        }
        context.progress.tell(format!("round {} of {ROUNDS}", round + 1));
        // In another order each time, so that a disturbance does not always meet the same run.
        random.shuffle(&mut order);
        let mut took = vec![0.0; runs.len()];
        for run in &order {
            let (threads, serial) = runs[*run];
            let alone = (units as f64 * serial) as u64;
            took[*run] = job(threads, alone, units - alone, &stopped)?.as_secs_f64();
        }
        if stopped() {
            break;
        }
        times.alone.push(took[0]);
        times.pure_alone.push(took[1]);
        times.pure_pair.push(took[2]);
        times.together.iter_mut().zip(&took[3..]).for_each(|(all, took)| all.push(*took));
    }
    Ok(times)
}

/// One thread does the first units while the others wait; then all share the rest.
fn job(threads: usize, alone: u64, shared: u64, stopped: &(dyn Fn() -> bool + Sync)) -> io::Result<Duration> {
    let barrier = SpinBarrier::new(threads, cores().len());
    let took = team(threads, |thread| {
        barrier.wait();
        let start = Instant::now();
        if thread == 0 {
            spin_until(alone, stopped);
        }
        barrier.wait();
        spin_until(shared / threads as u64, stopped);
        barrier.wait();
        start.elapsed()
    })?;
    Ok(took.first().copied().unwrap_or_default())
}
