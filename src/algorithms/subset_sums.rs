use std::collections::HashMap;

use super::Class::{Exponential, Linear, Quadratic};
use super::{Facts, Random, Shape, Typed, ints, variant};

/// Positive numbers up to 100, and the sum that is wanted.
pub struct Wanted {
    numbers: Vec<i64>,
    sum: i64,
}

pub static SUBSET_SUMS: Typed<Wanted, u64> = Typed {
    facts: Facts {
        name: "subset_sums",
        about: "how many choices of the numbers add up to a wanted sum",
        counts: "numbers",
        sizes: &[4, 8, 12, 16, 20, 24],
        stages: None,
        text: include_str!("subset_sums.rs"),
    },
    shapes: &[
        Shape { name: "half", about: "wanted is half of what all add up to: many choices do", make: half },
        Shape { name: "absent", about: "all numbers are even, and the wanted sum is not", make: absent },
    ],
    variants: &[
        variant("all", "tries every choice", Exponential, Linear, 28, all),
        variant("pruned", "gives up where the rest is too much or too little", Exponential, Linear, 28, pruned),
        variant("halves", "the sums of each half, then what fits together", Exponential, Exponential, 40, halves),
        variant("counted", "for each sum how many choices give it, number by number", Quadratic, Linear, 60, counted),
    ],
    input: |wanted| ints(wanted.numbers.iter().copied()),
    output: |_, choices| ints([choices as i64]),
};

fn half(n: usize, rng: &mut Random) -> Box<Wanted> {
    let numbers = spread(n, 100, rng);
    Box::new(Wanted { sum: numbers.iter().sum::<i64>() / 2, numbers })
}

/// One random number from each nth part of 1 to `most`, in random order: what they add up to, and with it the work of
/// `counted`, hardly depends on the seed.
fn spread(n: usize, most: usize, rng: &mut Random) -> Vec<i64> {
    let part = |i: usize| {
        let (low, high) = (most * i / n, most * (i + 1) / n);
        rng.int(low as i64, high.max(low + 1) as i64) + 1
    };
    let mut numbers: Vec<i64> = (0..n).map(part).collect();
    rng.shuffle(&mut numbers);
    numbers
}

fn absent(n: usize, rng: &mut Random) -> Box<Wanted> {
    let numbers: Vec<i64> = spread(n, 50, rng).into_iter().map(|number| 2 * number).collect();
    Box::new(Wanted { sum: (numbers.iter().sum::<i64>() / 2) | 1, numbers })
}

fn all(Wanted { numbers, sum }: &Wanted) -> u64 {
    choices(numbers, *sum)
}

/// With the first number and without it.
fn choices(numbers: &[i64], missing: i64) -> u64 {
    match numbers.split_first() {
        None => u64::from(missing == 0),
        Some((first, rest)) => choices(rest, missing - first) + choices(rest, missing),
    }
}

fn pruned(Wanted { numbers, sum }: &Wanted) -> u64 {
    let mut largest_first = numbers.clone();
    largest_first.sort_unstable_by(|a, b| b.cmp(a));
    fitting(&largest_first, *sum, numbers.iter().sum())
}

/// `left` is what all these numbers add up to.
fn fitting(numbers: &[i64], missing: i64, left: i64) -> u64 {
    if missing == 0 {
        return 1;
    }
    if missing < 0 || left < missing {
        return 0;
    }
    match numbers.split_first() {
        None => 0,
        Some((first, rest)) => fitting(rest, missing - first, left - first) + fitting(rest, missing, left - first),
    }
}

/// Horowitz and Sahni 1974.
fn halves(Wanted { numbers, sum }: &Wanted) -> u64 {
    let (left, right) = numbers.split_at(numbers.len() / 2);
    let mut counts: HashMap<i64, u64> = HashMap::new();
    for sum in sums(left) {
        *counts.entry(sum).or_default() += 1;
    }
    sums(right).into_iter().filter_map(|other| counts.get(&(sum - other))).sum()
}

/// Of each choice.
fn sums(numbers: &[i64]) -> Vec<i64> {
    let mut sums = vec![0];
    for number in numbers {
        for i in 0..sums.len() {
            sums.push(sums[i] + number);
        }
    }
    sums
}

fn counted(Wanted { numbers, sum }: &Wanted) -> u64 {
    let mut choices = vec![0; *sum as usize + 1];
    choices[0] = 1;
    for number in numbers {
        let number = *number as usize;
        // From above, so that no number is taken twice.
        for sum in (number..choices.len()).rev() {
            choices[sum] += choices[sum - number];
        }
    }
    choices[*sum as usize]
}
