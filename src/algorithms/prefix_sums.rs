use std::num::NonZero;
use std::thread;

use super::Class::{Linear, Linearithmic, Quadratic};
use super::{Facts, Shape, Typed, ints, variant};

pub static PREFIX_SUMS: Typed<[i64], Vec<i64>> = Typed {
    facts: Facts {
        name: "prefix_sums",
        about: "for each number the sum of all up to it",
        counts: "numbers",
        sizes: &[100, 1_000, 10_000, 100_000],
        stages: Some("scan 0 acc + it"),
        text: include_str!("prefix_sums.rs"),
    },
    shapes: &[Shape {
        name: "random",
        about: "ints between -1000 and 1000",
        make: |n, rng| (0..n).map(|_| rng.int(-1_000, 1_001)).collect(),
    }],
    variants: &[
        variant("again", "adds up from the start for each number", Quadratic, Linear, 100_000, again),
        variant("running", "adds to the sum before", Linear, Linear, 10_000_000, running),
        variant("scan", "the same as an iterator", Linear, Linear, 10_000_000, scan),
        variant("doubling", "adds what lies 1, 2, 4, … before", Linearithmic, Linear, 5_000_000, doubling),
        variant("threads", "on threads: sums of parts, then each part", Linear, Linear, 10_000_000, threads).threaded(),
    ],
    input: |numbers| ints(numbers.iter().copied()),
    output: |_, sums| ints(sums),
};

fn again(numbers: &[i64]) -> Vec<i64> {
    (0..numbers.len()).map(|i| numbers[..=i].iter().sum()).collect()
}

fn running(numbers: &[i64]) -> Vec<i64> {
    let mut sums = Vec::with_capacity(numbers.len());
    let mut sum = 0;
    for number in numbers {
        sum += number;
        sums.push(sum);
    }
    sums
}

fn scan(numbers: &[i64]) -> Vec<i64> {
    let add = |sum: &mut i64, number: &i64| {
        *sum += number;
        Some(*sum)
    };
    numbers.iter().scan(0, add).collect()
}

/// Hillis and Steele 1986: more additions, but those of a step do not wait for each other.
fn doubling(numbers: &[i64]) -> Vec<i64> {
    let mut sums = numbers.to_vec();
    let mut next = sums.clone();
    let mut distance = 1;
    while distance < sums.len() {
        for i in distance..sums.len() {
            next[i] = sums[i] + sums[i - distance];
        }
        sums.copy_from_slice(&next);
        distance *= 2;
    }
    sums
}

fn threads(numbers: &[i64]) -> Vec<i64> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let part = numbers.len().div_ceil(workers).max(1);
    let mut sums = vec![0; numbers.len()];
    let totals: Vec<i64> = thread::scope(|scope| {
        let running: Vec<_> = numbers.chunks(part).map(|numbers| scope.spawn(|| numbers.iter().sum::<i64>())).collect();
        running.into_iter().map(|worker| worker.join().expect("a sum does not panic")).collect()
    });
    thread::scope(|scope| {
        let mut start = 0;
        for ((numbers, sums), total) in numbers.chunks(part).zip(sums.chunks_mut(part)).zip(totals) {
            scope.spawn(move || {
                let mut sum = start;
                for (number, place) in numbers.iter().zip(sums) {
                    sum += number;
                    *place = sum;
                }
            });
            start += total;
        }
    });
    sums
}
