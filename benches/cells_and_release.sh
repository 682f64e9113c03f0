#!/usr/bin/env bash
# What a cell of Rust costs, in two figures.
# 1. The same loops under `%timeit` in a cell and in a program of its own that `cargo build --release` makes: the sum of
#    squares, a sort and inserts into a hash map of the same 4096 numbers, a list of a box for each, and a string for
#    each. Both take samples of as many calls, in turns within one
#    shell; the best of all rounds of each, and their ratio. To reach: within 2 %. Both are one codegen unit. With the sixteen
#    that cargo takes where nothing is said, chance decides what can be inlined: the program is then slower by 4 % in the sort and
#    by 8 % in the inserts (UNITS=16 shows it), and cells were too, by 3 % and by more than 30 %.
# 2. CPU time of a warm one-line cell from Enter to its result: of the shell, the compiler's processes and the runner, over
#    cells that all differ; the median. To reach: at most 0.3 s.
# Usage: [UNITS=1] benches/cells_and_release.sh [path of timelab] [rounds] [cells]
set -euo pipefail
timelab=$(realpath "$(command -v "${1:-timelab}")")
rounds=${2:-7}
cells=${3:-15}
units=${UNITS:-1}
project=$(mktemp -d)
shell=
trap '[ -z "$shell" ] || kill "$shell" 2>/dev/null || true; rm -rf "$project"' EXIT
mkdir "$project/src"
cat >"$project/Cargo.toml" <<TOML
[package]
name = "release"
version = "0.0.0"
edition = "2024"

[profile.release]
codegen-units = $units
TOML
cat >"$project/loops.rs" <<'RUST'
fn numbers() -> Vec<u64> {
    let mut x = 42u64;
    let next = |_| {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        x >> 33
    };
    (0..4096).map(next).collect()
}

fn squares(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |sum, x| (sum + x * x) % 1_000_003)
}

fn sort(numbers: &[u64]) -> Vec<u64> {
    let mut sorted = numbers.to_vec();
    sorted.sort();
    sorted
}

fn inserts(numbers: &[u64]) -> std::collections::HashMap<u64, u64> {
    let mut places = std::collections::HashMap::new();
    for (place, x) in numbers.iter().enumerate() {
        places.insert(x % 1000, place as u64);
    }
    places
}

pub struct Node {
    value: u64,
    next: Option<Box<Node>>,
}

fn boxes(numbers: &[u64]) -> u64 {
    let mut list: Option<Box<Node>> = None;
    for value in numbers {
        list = Some(Box::new(Node { value: *value, next: list.take() }));
    }
    let mut sum = 0;
    while let Some(node) = list {
        sum ^= node.value;
        list = node.next;
    }
    sum
}

fn strings(numbers: &[u64]) -> u64 {
    numbers.iter().map(|x| std::hint::black_box(format!("{x} is {}", x % 10)).len() as u64).sum()
}
RUST
cat - "$project/loops.rs" >"$project/src/main.rs" <<'RUST'
use std::hint::black_box;
use std::time::Instant;

/// The nanoseconds of a call in the best sample.
fn best<T>(calls: u32, samples: u32, mut call: impl FnMut() -> T) -> f64 {
    let sample = |_| {
        let start = Instant::now();
        for _ in 0..calls {
            black_box(call());
        }
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    (0..samples).map(sample).fold(f64::INFINITY, f64::min)
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let number = |at: usize| words[at].parse().expect("a number");
    let (calls, samples) = (number(2), number(3));
    let numbers = numbers();
    let nanoseconds = match words[1].as_str() {
        "squares" => best(calls, samples, || squares(black_box(&numbers))),
        "sort" => best(calls, samples, || sort(black_box(&numbers))),
        "inserts" => best(calls, samples, || inserts(black_box(&numbers))),
        "boxes" => best(calls, samples, || boxes(black_box(&numbers))),
        "strings" => best(calls, samples, || strings(black_box(&numbers))),
        other => panic!("{other} is none of the loops"),
    };
    println!("release {} {nanoseconds}", words[1]);
}

RUST
(cd "$project" && CARGO_TARGET_DIR="$project/target" cargo build --release --quiet)

# Calls of a sample, and samples: both take some 0.3 s.
declare -A calls=([squares]=10 [sort]=10 [inserts]=10 [boxes]=10 [strings]=10)
declare -A samples=([squares]=500 [sort]=500 [inserts]=400 [boxes]=800 [strings]=150)
{
  printf '%%%%rust\n%s\nlet all = numbers();\n%%%%\n' "$(cat "$project/loops.rs")"
  for _ in $(seq "$rounds"); do
    for loop in squares sort inserts boxes strings; do
      echo "%timeit --clock wall -n ${calls[$loop]} -r ${samples[$loop]} rust { $loop(std::hint::black_box(&all)) }"
      echo "format(\"cell $loop {}\", _.best * 1e9)"
      echo "!$project/target/release/release $loop ${calls[$loop]} ${samples[$loop]}"
    done
  done
} | "$timelab" | awk '
  $1 == "cell" || $1 == "release" { if (!(($1, $2) in best) || $3 < best[$1, $2]) best[$1, $2] = $3; rounds[$1, $2]++ }
  END {
    for (i = split("squares sort inserts boxes strings", loops, " "); i > 0; i--) {
      cell = best["cell", loops[i]]; release = best["release", loops[i]]
      if (!cell || !release) { print loops[i] ": not measured"; exit 1 }
      printf "%-8s cell %.2f µs · release %.2f µs · ratio %.3f · rounds %d\n", loops[i], cell / 1e3, release / 1e3, cell / release, rounds["cell", loops[i]]
    }
  }'

# The processes that come from one.
tree() {
  echo "$1"
  local child
  for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do tree "$child"; done
}
# CPU time of them so far, with those that have ended, in ms.
cpu() {
  local pid
  for pid in $(tree "$shell"); do sed 's/.*) //' /proc/"$pid"/stat 2>/dev/null || true; done |
    awk -v hertz="$(getconf CLK_TCK)" '{ ticks += $12 + $13 + $14 + $15 } END { printf "%d\n", ticks * 1000 / hertz }'
}
mkfifo "$project/typed" "$project/shown"
"$timelab" <"$project/typed" >"$project/shown" 2>/dev/null &
shell=$!
exec 3>"$project/typed" 4<"$project/shown"
# A cell runs when the next one begins; this one gives what is waited for.
result() {
  local line
  printf 'rust { %d + 1 }\n0\n' "$1" >&3
  while read -r line <&4; do [ "$line" = "$(($1 + 1))" ] && return; done
  return 1
}
for warm in 1001 1002 1003; do result "$warm"; done
for cell in $(seq "$cells"); do
  # What the cell before it left to do is not counted here.
  sleep 0.5
  before=$(cpu)
  result "$cell"
  echo $(($(cpu) - before))
done | sort -n | awk '{ all[NR] = $1 } END { printf "a one-line cell: median %d ms CPU · least %d · most %d · %d cells\n", all[int((NR + 1) / 2)], all[1], all[NR], NR }'
exec 3>&-
