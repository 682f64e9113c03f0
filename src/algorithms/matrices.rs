use std::num::NonZero;
use std::thread;

use crate::data::{Order, Type, Value};

use super::Class::{Cubic, Quadratic};
use super::{Facts, Random, Shape, Typed, column, table, variant};

/// Two square matrices, row after row.
pub struct Factors {
    n: usize,
    a: Vec<f64>,
    b: Vec<f64>,
}

pub static MATRICES: Typed<Factors, Vec<f64>> = Typed {
    facts: Facts {
        name: "matrices",
        about: "the product of two square matrices of n rows",
        counts: "rows",
        sizes: &[16, 32, 64, 128, 256],
        stages: None,
        text: include_str!("matrices.rs"),
    },
    shapes: &[
        Shape { name: "random", about: "floats in [0, 1)", make: random },
        Shape { name: "identity", about: "the second one changes nothing", make: identity },
    ],
    variants: &[
        variant("naive", "as it is defined: goes down the columns of the second", Cubic, Quadratic, 800, naive),
        variant("transposed", "turns the second first: both are read along rows", Cubic, Quadratic, 1_500, transposed),
        variant("by_rows", "adds multiples of whole rows: no step waits for another", Cubic, Quadratic, 2_000, by_rows),
        variant("blocked", "in blocks that stay in the cache", Cubic, Quadratic, 2_000, blocked),
        variant("threads", "by rows, on all cores", Cubic, Quadratic, 2_000, threads).threaded(),
    ],
    input: |factors| {
        let values = |matrix: &[f64]| matrix.iter().copied().map(Value::Float).collect();
        table(Order::Kept, vec![("a", Type::Float, values(&factors.a)), ("b", Type::Float, values(&factors.b))])
    },
    output: |_, product| column("it", Type::Float, Order::Kept, product.into_iter().map(Value::Float).collect()),
};

fn random(n: usize, rng: &mut Random) -> Box<Factors> {
    let mut matrix = || (0..n * n).map(|_| rng.unit()).collect();
    Box::new(Factors { n, a: matrix(), b: matrix() })
}

fn identity(n: usize, rng: &mut Random) -> Box<Factors> {
    let a = (0..n * n).map(|_| rng.unit()).collect();
    let b = (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect();
    Box::new(Factors { n, a, b })
}

fn naive(Factors { n, a, b }: &Factors) -> Vec<f64> {
    let mut product = vec![0.0; n * n];
    for row in 0..*n {
        for column in 0..*n {
            let mut sum = 0.0;
            for k in 0..*n {
                sum += a[row * n + k] * b[k * n + column];
            }
            product[row * n + column] = sum;
        }
    }
    product
}

fn transposed(Factors { n, a, b }: &Factors) -> Vec<f64> {
    let mut turned = vec![0.0; n * n];
    for row in 0..*n {
        for column in 0..*n {
            turned[column * n + row] = b[row * n + column];
        }
    }
    let mut product = Vec::with_capacity(n * n);
    for row in 0..*n {
        let left = &a[row * n..(row + 1) * n];
        for column in 0..*n {
            let right = &turned[column * n..(column + 1) * n];
            product.push(left.iter().zip(right).map(|(x, y)| x * y).sum());
        }
    }
    product
}

fn by_rows(Factors { n, a, b }: &Factors) -> Vec<f64> {
    let mut product = vec![0.0; n * n];
    for row in 0..*n {
        add_rows(&a[row * n..(row + 1) * n], b, &mut product[row * n..(row + 1) * n]);
    }
    product
}

fn blocked(Factors { n, a, b }: &Factors) -> Vec<f64> {
    const SIDE: usize = 64;
    let mut product = vec![0.0; n * n];
    for first in (0..*n).step_by(SIDE) {
        for left in (0..*n).step_by(SIDE) {
            let (last, right) = ((first + SIDE).min(*n), (left + SIDE).min(*n));
            for row in 0..*n {
                let sums = &mut product[row * n + left..row * n + right];
                for k in first..last {
                    let factor = a[row * n + k];
                    for (sum, y) in sums.iter_mut().zip(&b[k * n + left..k * n + right]) {
                        *sum += factor * y;
                    }
                }
            }
        }
    }
    product
}

fn threads(Factors { n, a, b }: &Factors) -> Vec<f64> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let part = n.div_ceil(workers).max(1) * n;
    let mut product = vec![0.0; n * n];
    thread::scope(|scope| {
        for (rows, sums) in a.chunks(part.max(1)).zip(product.chunks_mut(part.max(1))) {
            scope.spawn(move || {
                for (row, sums) in rows.chunks(*n).zip(sums.chunks_mut(*n)) {
                    add_rows(row, b, sums);
                }
            });
        }
    });
    product
}

/// Adds to `sums` each row of `b`, times the factor at its place.
fn add_rows(factors: &[f64], b: &[f64], sums: &mut [f64]) {
    for (factor, row) in factors.iter().zip(b.chunks(factors.len())) {
        for (sum, y) in sums.iter_mut().zip(row) {
            *sum += factor * y;
        }
    }
}
