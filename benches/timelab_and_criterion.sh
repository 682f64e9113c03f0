#!/usr/bin/env bash
# The median of one known loop as timelab's sampling finds it and as criterion does, in one process, in turns: five rounds,
# the ratio of each, and the ratio of the medians. criterion comes from the registry, into a throw-away project; timelab's
# part is the source of `measure` itself, which knows no plan.
# Usage: benches/timelab_and_criterion.sh [iterations of the loop]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
loop=${1:-1000}
project=$(mktemp -d)
trap 'rm -rf "$project"' EXIT
mkdir "$project/src"
cat >"$project/Cargo.toml" <<'TOML'
[package]
name = "timelab-and-criterion"
version = "0.0.0"
edition = "2024"

[dependencies]
criterion = { version = "0.8", default-features = false }
fastrand = "2"
libc = "0.2"
serde = { version = "1", features = ["derive"] }
serde_json = "1"

[profile.release]
codegen-units = 1
TOML
cat >"$project/src/main.rs" <<RUST
#[allow(dead_code, unused_imports)]
#[path = "$root/src/measure/mod.rs"]
mod measure;

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use measure::{Overhead, Wall, calibrate, sample};

/// The work that both time: a chain of multiplications, so that its time is known to be even.
#[inline(never)]
fn work(steps: u64) -> u64 {
    (0..black_box(steps)).fold(1, |x, i| (x ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23))
}

fn by_criterion(folder: &std::path::Path, steps: u64) -> f64 {
    let mut criterion = Criterion::default()
        .output_directory(folder)
        .without_plots()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    criterion.bench_function("loop", |bencher| bencher.iter(|| work(steps)));
    let text = std::fs::read_to_string(folder.join("loop/new/estimates.json")).expect("criterion wrote its estimates");
    let estimates: serde_json::Value = serde_json::from_str(&text).expect("they are json");
    estimates["median"]["point_estimate"].as_f64().expect("there is a median")
}

fn by_timelab(steps: u64) -> f64 {
    let mut run = || {
        black_box(work(steps));
        Ok::<(), ()>(())
    };
    let calibration = calibrate(&Wall, &mut run, 50_000_000).expect("it cannot fail");
    let overhead = Overhead::measure(&Wall);
    let start = std::time::Instant::now();
    let (samples, _) =
        sample(&Wall, &overhead, &mut run, calibration.calls, |_| start.elapsed() < Duration::from_millis(1200));
    samples.median()
}

fn main() {
    let steps = std::env::args().nth(1).and_then(|word| word.parse().ok()).expect("a number of steps");
    let folder = std::path::PathBuf::from(std::env::args().nth(2).expect("a folder"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..5 {
        // Who comes first changes, so that what a machine does over time harms both alike.
        let (mut mine, mut other) = (0.0, 0.0);
        for turn in 0..2 {
            if (round + turn) % 2 == 0 { mine = by_timelab(steps) } else { other = by_criterion(&folder, steps) }
        }
        eprintln!("round {}: timelab {mine:.1} ns · criterion {other:.1} ns · ratio {:.4}", round + 1, mine / other);
        ours.push(mine);
        theirs.push(other);
    }
    let middle = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let (mine, other) = (middle(ours), middle(theirs));
    println!("timelab {mine:.1} ns · criterion {other:.1} ns · ratio {:.4}", mine / other);
}
RUST
cd "$project"
export CARGO_TARGET_DIR="$project/target"
cargo fetch --quiet
cargo build --release --quiet
./target/release/timelab-and-criterion "$loop" "$project/criterion" | tail -n 1
