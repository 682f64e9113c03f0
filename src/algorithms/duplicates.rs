use std::collections::{BTreeMap, HashMap};

use crate::data::{Order, Type, Value};

use super::Class::{Linear, Linearithmic, Quadratic};
use super::{Facts, Random, Shape, Typed, column, ints, variant};

pub static DUPLICATES: Typed<[i64], Vec<i64>> = Typed {
    facts: Facts {
        name: "duplicates",
        about: "the numbers that occur more than once, each told once",
        counts: "numbers",
        sizes: &[100, 200, 400, 800, 1_600, 3_200],
        stages: Some("count by it | filter count > 1 | map it"),
        text: include_str!("duplicates.rs"),
    },
    shapes: &[
        Shape { name: "some", about: "about a third of the numbers occur again", make: some },
        Shape { name: "none", about: "all are different", make: none },
        Shape { name: "few_distinct", about: "ten different numbers", make: few_distinct },
    ],
    variants: &[
        variant("pairs", "looks back at all earlier ones", Quadratic, Linear, 50_000, pairs)
            .except(&[("few_distinct", Linear)]),
        variant("sorted", "sorts a copy: equal numbers are neighbours", Linearithmic, Linear, 5_000_000, sorted)
            .except(&[("few_distinct", Linear)]),
        variant("tree", "counts in a B-tree", Linearithmic, Linear, 5_000_000, tree)
            .except(&[("few_distinct", Linear)]),
        variant("hashed", "counts in a hash map", Linear, Linear, 5_000_000, hashed),
    ],
    input: |numbers| ints(numbers.iter().copied()),
    output: |_, found| column("it", Type::Int, Order::Lost, found.into_iter().map(Value::Int).collect()),
};

fn some(n: usize, rng: &mut Random) -> Box<[i64]> {
    (0..n).map(|_| rng.int(0, 2 * n as i64)).collect()
}

fn none(n: usize, rng: &mut Random) -> Box<[i64]> {
    let mut numbers: Box<[i64]> = (0..n as i64).map(|i| 7 * i + 3).collect();
    rng.shuffle(&mut numbers);
    numbers
}

fn few_distinct(n: usize, rng: &mut Random) -> Box<[i64]> {
    (0..n).map(|_| rng.int(0, 10)).collect()
}

fn pairs(numbers: &[i64]) -> Vec<i64> {
    let mut found = Vec::new();
    for (i, number) in numbers.iter().enumerate() {
        // The second one of its kind tells it: exactly one stands before.
        if numbers[..i].iter().filter(|earlier| *earlier == number).take(2).count() == 1 {
            found.push(*number);
        }
    }
    found
}

fn sorted(numbers: &[i64]) -> Vec<i64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    let runs = numbers.chunk_by(|a, b| a == b);
    runs.filter(|run| run.len() > 1).map(|run| run[0]).collect()
}

fn tree(numbers: &[i64]) -> Vec<i64> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for number in numbers {
        *counts.entry(*number).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(number, _)| number).collect()
}

fn hashed(numbers: &[i64]) -> Vec<i64> {
    let mut counts: HashMap<i64, usize> = HashMap::new();
    for number in numbers {
        *counts.entry(*number).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(number, _)| number).collect()
}
