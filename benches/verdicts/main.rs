//! Whether `%compare` lies: verdicts on code that is the same, and on code that takes 2 % longer, many times over.
//!
//! `cargo bench --locked --bench verdicts -- --trials 200 --load 4` does so beside 4 threads that keep the processors busy.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;

use timelab::measure::{
    Clock, Counting, Finding, INTERRUPTED, Overhead, ThreadCpu, Verdict, Wall, Workload, calibrate, calls_for, compare,
    noise, sample,
};

// As the program has it.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Parser)]
#[command(name = "cargo bench --locked --bench verdicts --")]
struct Arguments {
    /// Comparisons of each kind
    #[arg(long, default_value_t = 200, value_name = "N")]
    trials: u32,
    /// The longest time of a comparison, in milliseconds
    #[arg(long, default_value_t = 400, value_name = "MS")]
    limit: u64,
    /// How much longer the second subject takes, in percent
    #[arg(long, default_value_t = 2.0, value_name = "PERCENT")]
    difference: f64,
    /// Threads that keep the processors busy meanwhile
    #[arg(long, default_value_t = 0, value_name = "N")]
    load: usize,
    /// Cargo says this
    #[arg(long, hide = true)]
    bench: bool,
}

/// Steps of the loop that is the subject: from under a microsecond to over the time from which CPU time counts.
const SIZES: [u64; 3] = [500, 20_000, 400_000];

fn main() {
    let arguments = Arguments::parse();
    let busy = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for _ in 0..arguments.load {
            scope.spawn(|| {
                while busy.load(Ordering::Relaxed) {
                    work(1000);
                }
            });
        }
        told(&arguments);
        busy.store(false, Ordering::Relaxed);
    });
}

/// Prints the table.
fn told(arguments: &Arguments) {
    let overhead = Overhead::measure(&Wall);
    let (nothing, _) = sample(&Wall, &overhead, &mut || Ok::<(), Infallible>(()), 50_000, |taken| taken < 200);
    let noise = noise(&Wall, &overhead);
    println!(
        "an empty call: {:+.3} ns after subtracting {:.3} ns · noise {:.1} % · {} busy threads beside it",
        nothing.median(),
        overhead.call,
        noise.spread * 100.0,
        arguments.load
    );
    println!(
        "{:>11} {:>9} {:>6} {:>6} {:>7} {:>6} {:>13} {:>12} {:>9}",
        "call", "second", "same", "faster", "slower", "open", "median ratio", "median pairs", "mean time"
    );
    for steps in SIZES {
        for difference in [0.0, arguments.difference] {
            let longer = (steps as f64 * (1.0 + difference / 100.0)).round() as u64;
            let start = Instant::now();
            let found: Vec<(f64, Finding)> = (0..arguments.trials).map(|_| trial(steps, longer, arguments)).collect();
            let mean = start.elapsed().as_secs_f64() / f64::from(arguments.trials);
            let count = |verdict| found.iter().filter(|(_, finding)| finding.verdict == verdict).count();
            let middle = |of: &dyn Fn(&(f64, Finding)) -> f64| {
                let mut all: Vec<f64> = found.iter().map(of).collect();
                all.sort_by(f64::total_cmp);
                all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
            };
            println!(
                "{:>8.1} µs {:>+8.1}% {:>6} {:>6} {:>7} {:>6} {:>13.4} {:>12.0} {:>6.0} ms",
                middle(&|(call, _)| *call) / 1e3,
                difference,
                count(Verdict::Same),
                count(Verdict::Faster),
                count(Verdict::Slower),
                count(Verdict::NotResolved),
                middle(&|(_, finding)| 1.0 / finding.speedup),
                middle(&|(_, finding)| finding.pairs as f64),
                mean * 1e3
            );
        }
    }
}

/// One comparison, as `%compare` does it; the nanoseconds of a call of the first, and what was found about the second.
fn trial(steps: u64, longer: u64, arguments: &Arguments) -> (f64, Finding) {
    let mut first = || subject(steps);
    let mut second = || subject(longer);
    let Ok(calibration) = calibrate(&Wall, &mut first, u64::MAX);
    let clock: &dyn Clock = if calibration.call > INTERRUPTED { &ThreadCpu } else { &Wall };
    let overhead = Overhead::measure(clock);
    let limit = Duration::from_millis(arguments.limit);
    let start = Instant::now();
    let subjects: &mut [&mut dyn Workload<Infallible>] = &mut [&mut first, &mut second];
    let chance = &mut fastrand::Rng::new();
    let calls = calls_for(calibration.call);
    let (turns, _) = compare(clock, &overhead, subjects, calls, chance, |_| start.elapsed() < limit);
    (calibration.call, turns.finding(1))
}

fn subject(steps: u64) -> Result<(), Infallible> {
    work(black_box(steps));
    Ok(())
}

/// A chain of steps that wait for each other: its time is that of its steps, wherever it lies in memory.
#[inline(never)]
fn work(steps: u64) {
    let step = |x: u64, i: u64| (x ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    black_box((0..steps).fold(1, step));
}
