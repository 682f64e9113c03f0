use crate::data::{Order, Type, Value};

use super::Class::Factorial;
use super::{Facts, Shape, Typed, column, ints, variant};

pub static PERMUTATIONS: Typed<[i64], Vec<Vec<i64>>> = Typed {
    facts: Facts {
        name: "permutations",
        about: "all orders of n different numbers",
        counts: "numbers",
        sizes: &[2, 3, 4, 5, 6, 7, 8],
        stages: None,
        text: include_str!("permutations.rs"),
    },
    shapes: &[Shape {
        name: "shuffled",
        about: "the numbers from 1 to n in any order",
        make: |n, rng| {
            let mut numbers: Box<[i64]> = (1..=n as i64).collect();
            rng.shuffle(&mut numbers);
            numbers
        },
    }],
    variants: &[
        variant("inserted", "puts the next number everywhere into all shorter ones", Factorial, Factorial, 9, inserted),
        variant("picked", "picks each of the rest as the next, in lists of their own", Factorial, Factorial, 9, picked),
        variant("swapped", "swaps in place, and back", Factorial, Factorial, 9, swapped),
        variant("heap", "one swap from each to the next", Factorial, Factorial, 9, heap),
        variant("next", "from each the next in the order of a dictionary", Factorial, Factorial, 9, next),
    ],
    input: |numbers| ints(numbers.iter().copied()),
    output: |_, all| {
        let list = |numbers: Vec<i64>| Value::List(numbers.into_iter().map(Value::Int).collect());
        column("it", Type::list(Type::Int), Order::Lost, all.into_iter().map(list).collect())
    },
};

fn inserted(numbers: &[i64]) -> Vec<Vec<i64>> {
    let mut all = vec![Vec::new()];
    for number in numbers {
        let mut longer = Vec::new();
        for shorter in &all {
            for place in 0..=shorter.len() {
                let mut permutation: Vec<i64> = shorter.clone();
                permutation.insert(place, *number);
                longer.push(permutation);
            }
        }
        all = longer;
    }
    all
}

fn picked(numbers: &[i64]) -> Vec<Vec<i64>> {
    if numbers.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (i, first) in numbers.iter().enumerate() {
        let rest = [&numbers[..i], &numbers[i + 1..]].concat();
        for after in picked(&rest) {
            let mut permutation = vec![*first];
            permutation.extend(after);
            all.push(permutation);
        }
    }
    all
}

fn swapped(numbers: &[i64]) -> Vec<Vec<i64>> {
    let mut all = Vec::new();
    swap_from(0, &mut numbers.to_vec(), &mut all);
    all
}

fn swap_from(start: usize, numbers: &mut [i64], all: &mut Vec<Vec<i64>>) {
    if start == numbers.len() {
        all.push(numbers.to_vec());
        return;
    }
    for i in start..numbers.len() {
        numbers.swap(start, i);
        swap_from(start + 1, numbers, all);
        numbers.swap(start, i);
    }
}

/// B. R. Heap 1963.
fn heap(numbers: &[i64]) -> Vec<Vec<i64>> {
    let mut numbers = numbers.to_vec();
    let mut all = vec![numbers.clone()];
    let mut swaps = vec![0; numbers.len()];
    let mut i = 1;
    while i < numbers.len() {
        if swaps[i] < i {
            let other = if i % 2 == 0 { 0 } else { swaps[i] };
            numbers.swap(other, i);
            all.push(numbers.clone());
            swaps[i] += 1;
            i = 1;
        } else {
            swaps[i] = 0;
            i += 1;
        }
    }
    all
}

fn next(numbers: &[i64]) -> Vec<Vec<i64>> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    let mut all = vec![numbers.clone()];
    while let Some(fall) = numbers.windows(2).rposition(|pair| pair[0] < pair[1]) {
        let larger = numbers.iter().rposition(|number| *number > numbers[fall]).expect("the one behind is larger");
        numbers.swap(fall, larger);
        numbers[fall + 1..].reverse();
        all.push(numbers.clone());
    }
    all
}
