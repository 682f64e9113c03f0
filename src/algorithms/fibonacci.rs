use std::collections::HashMap;

use super::Class::{Constant, Exponential, Linear, Log};
use super::{Facts, Shape, Typed, ints, variant};

pub static FIBONACCI: Typed<u64, u64> = Typed {
    facts: Facts {
        name: "fibonacci",
        about: "the n-th number of 0, 1, 1, 2, 3, 5, …, each the sum of the two before",
        counts: "steps",
        sizes: &[5, 10, 15, 20, 25, 30],
        stages: None,
        text: include_str!("fibonacci.rs"),
    },
    shapes: &[Shape { name: "number", about: "n itself", make: |n, _| Box::new(n as u64) }],
    variants: &[
        variant("naive", "as it is defined: the same numbers again and again", Exponential, Linear, 40, |n| naive(*n)),
        variant("memo", "as it is defined, but each number is kept in a map", Linear, Linear, 92, |n| memo(*n)),
        variant("steps", "from below, with the last two numbers", Linear, Constant, 92, |n| steps(*n)),
        variant("matrix", "a power of a matrix, by squaring", Log, Constant, 92, |n| matrix(*n)),
    ],
    input: |n| ints([*n as i64]),
    output: |_, number| ints([number as i64]),
};

fn naive(n: u64) -> u64 {
    if n < 2 { n } else { naive(n - 1) + naive(n - 2) }
}

fn memo(n: u64) -> u64 {
    remember(n, &mut HashMap::new())
}

fn remember(n: u64, known: &mut HashMap<u64, u64>) -> u64 {
    if n < 2 {
        return n;
    }
    if let Some(number) = known.get(&n) {
        return *number;
    }
    let number = remember(n - 1, known) + remember(n - 2, known);
    known.insert(n, number);
    number
}

fn steps(n: u64) -> u64 {
    let (mut number, mut next) = (0, 1);
    for _ in 0..n {
        (number, next) = (next, number + next);
    }
    number
}

/// The n-th power of (1 1 / 1 0) holds the number at its side.
fn matrix(n: u64) -> u64 {
    let (mut power, mut result) = ([1, 1, 0], [1, 0, 1]);
    let mut left = n;
    while left > 0 {
        if left % 2 == 1 {
            result = product(result, power);
        }
        left /= 2;
        if left > 0 {
            power = product(power, power);
        }
    }
    result[1]
}

/// Of two matrices (a b / b c), which are powers of one: it has that form too.
fn product([a, b, c]: [u64; 3], [x, y, z]: [u64; 3]) -> [u64; 3] {
    [a * x + b * y, a * y + b * z, b * y + c * z]
}
