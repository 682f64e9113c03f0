use crate::data::{Order, Type, Value};

use super::Class::{Exponential, Linear, Quadratic};
use super::{Facts, Random, Shape, Typed, ints, table, variant};

/// Two texts.
pub struct Pair {
    from: Vec<u8>,
    to: Vec<u8>,
}

pub static EDIT_DISTANCE: Typed<Pair, usize> = Typed {
    facts: Facts {
        name: "edit_distance",
        about: "the fewest letters to put in, take out or change that make one text the other",
        counts: "letters",
        sizes: &[4, 6, 8, 64, 128, 256, 512, 1_024],
        stages: None,
        text: include_str!("edit_distance.rs"),
    },
    shapes: &[
        Shape { name: "random", about: "two random texts of four letters", make: random },
        Shape { name: "near", about: "one in fifty letters is another", make: near },
        Shape { name: "equal", about: "the same text twice", make: equal },
    ],
    variants: &[
        variant("naive", "tries all three at each letter", Exponential, Linear, 11, naive),
        variant("whole_table", "a table of the distances of all beginnings", Quadratic, Quadratic, 10_000, whole_table),
        variant("two_rows", "only the last row of the table and the next", Quadratic, Linear, 30_000, two_rows),
        variant("band", "the table near its diagonal; wider until it is enough", Quadratic, Linear, 30_000, band)
            .except(&[("equal", Linear)]),
    ],
    input: |pair| {
        let text = |bytes: &[u8]| vec![Value::text(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>())];
        table(Order::Kept, vec![("from", Type::Text, text(&pair.from)), ("to", Type::Text, text(&pair.to))])
    },
    output: |_, distance| ints([distance as i64]),
};

fn random(n: usize, rng: &mut Random) -> Box<Pair> {
    let mut text = || (0..n).map(|_| b"acgt"[rng.below(4)]).collect();
    Box::new(Pair { from: text(), to: text() })
}

fn near(n: usize, rng: &mut Random) -> Box<Pair> {
    let mut pair = equal(n, rng);
    for letter in &mut pair.to {
        if rng.one_in(50) {
            *letter = b"acgt"[rng.below(4)];
        }
    }
    pair
}

fn equal(n: usize, rng: &mut Random) -> Box<Pair> {
    let from: Vec<u8> = (0..n).map(|_| b"acgt"[rng.below(4)]).collect();
    Box::new(Pair { to: from.clone(), from })
}

fn naive(pair: &Pair) -> usize {
    distance(&pair.from, &pair.to)
}

fn distance(from: &[u8], to: &[u8]) -> usize {
    let (Some((a, from_rest)), Some((b, to_rest))) = (from.split_first(), to.split_first()) else {
        return from.len() + to.len();
    };
    let changed = distance(from_rest, to_rest) + usize::from(a != b);
    changed.min(1 + distance(from_rest, to)).min(1 + distance(from, to_rest))
}

fn whole_table(Pair { from, to }: &Pair) -> usize {
    let width = to.len() + 1;
    let mut distances = vec![0; (from.len() + 1) * width];
    for (column, place) in distances[..width].iter_mut().enumerate() {
        *place = column;
    }
    for row in 1..=from.len() {
        distances[row * width] = row;
        for column in 1..width {
            let at = row * width + column;
            let changed = distances[at - width - 1] + usize::from(from[row - 1] != to[column - 1]);
            distances[at] = changed.min(1 + distances[at - width]).min(1 + distances[at - 1]);
        }
    }
    distances[distances.len() - 1]
}

/// Wagner and Fischer 1974, with the space of one row.
fn two_rows(Pair { from, to }: &Pair) -> usize {
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut row = above.clone();
    for (i, a) in from.iter().enumerate() {
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = above[j] + usize::from(a != b);
            row[j + 1] = changed.min(1 + above[j + 1]).min(1 + row[j]);
        }
        std::mem::swap(&mut above, &mut row);
    }
    above[to.len()]
}

/// Ukkonen 1985: a distance of d stays within d of the diagonal.
fn band(pair: &Pair) -> usize {
    let mut width = 1;
    loop {
        let found = within(pair, width);
        if found <= width {
            return found;
        }
        width *= 2;
    }
}

/// The distance, if it is `width` or less; more than `width` otherwise.
fn within(Pair { from, to }: &Pair, width: usize) -> usize {
    let far = from.len() + to.len() + 1;
    if from.len().abs_diff(to.len()) > width {
        return far;
    }
    let mut above: Vec<usize> = (0..=to.len()).map(|j| if j <= width { j } else { far }).collect();
    let mut row = vec![far; to.len() + 1];
    for (i, a) in from.iter().enumerate() {
        let (first, last) = ((i + 1).saturating_sub(width), (i + 1 + width).min(to.len()));
        // The places beside the band count as far away.
        if first > 0 {
            row[first - 1] = far;
        }
        for j in first..=last {
            row[j] = match j.checked_sub(1) {
                None => i + 1,
                Some(left) => (above[left] + usize::from(*a != to[left])).min(1 + above[j]).min(1 + row[left]),
            };
        }
        if last < to.len() {
            row[last + 1] = far;
        }
        std::mem::swap(&mut above, &mut row);
    }
    above[to.len()]
}
