use crate::data::{Order, Type, Value};

use super::Class::{Constant, Linear, Log, LogLog, Root};
use super::{Facts, Random, Shape, Typed, column, ints, variant};

/// Distinct numbers in order, and what is looked for among them.
pub struct Search {
    sorted: Vec<i64>,
    wanted: Vec<i64>,
}

/// How many numbers are looked for in a call: enough for a clock, the same for every size.
const LOOK_UPS: usize = 100;

pub static SEARCHING: Typed<Search, Vec<Option<usize>>> = Typed {
    facts: Facts {
        name: "searching",
        about: "the places of 100 numbers in a sorted list of n",
        counts: "numbers",
        sizes: &[100, 1_000, 10_000, 100_000],
        stages: None,
        text: include_str!("searching.rs"),
    },
    shapes: &[
        Shape { name: "even", about: "the numbers are spread evenly, and all are there", make: even },
        Shape { name: "absent", about: "spread evenly, and none is there", make: absent },
        Shape { name: "early", about: "those that are looked for stand among the first ten", make: early },
        Shape {
            name: "outlier",
            about: "spread evenly, but the last one, which nobody looks for, is far off",
            make: outlier,
        },
    ],
    variants: &[
        variant("linear", "one after the other", Linear, Constant, 1_000_000, linear).except(&[("early", Constant)]),
        variant("jump", "in steps of √n, then one after the other", Root, Constant, 1_000_000, jump)
            .except(&[("early", Constant)]),
        variant("binary", "halves what is left", Log, Constant, 1_000_000, binary),
        variant("library", "halves too: the library's own", Log, Constant, 1_000_000, library),
        variant("galloping", "doubles the step from the start, then halves", Log, Constant, 1_000_000, galloping)
            .except(&[("early", Constant)]),
        variant("interpolation", "guesses the place from the value", LogLog, Constant, 1_000_000, interpolation)
            .except(&[("outlier", Linear)]),
    ],
    input: |search| ints(search.wanted.iter().copied()),
    output: |_, places| {
        let value = |place: Option<usize>| place.map_or(Value::Null, |place| Value::Int(place as i64));
        column("place", Type::Int, Order::Kept, places.into_iter().map(value).collect())
    },
};

fn even(n: usize, rng: &mut Random) -> Box<Search> {
    let sorted = spread(n, rng);
    let wanted = picked(&sorted, n, rng);
    Box::new(Search { sorted, wanted })
}

fn absent(n: usize, rng: &mut Random) -> Box<Search> {
    let sorted = spread(n, rng);
    let wanted = picked(&sorted, n, rng).into_iter().map(|number| number + 1).collect();
    Box::new(Search { sorted, wanted })
}

fn early(n: usize, rng: &mut Random) -> Box<Search> {
    let sorted = spread(n, rng);
    let wanted = picked(&sorted, n.min(10), rng);
    Box::new(Search { sorted, wanted })
}

fn outlier(n: usize, rng: &mut Random) -> Box<Search> {
    let mut sorted = spread(n, rng);
    let wanted = picked(&sorted, n.saturating_sub(1), rng);
    if let Some(last) = sorted.last_mut() {
        *last = i64::MAX / 2;
    }
    Box::new(Search { sorted, wanted })
}

/// Even numbers about ten apart.
fn spread(n: usize, rng: &mut Random) -> Vec<i64> {
    (0..n as i64).map(|i| i * 10 + 2 * rng.int(0, 5)).collect()
}

/// Some of the first `among` numbers; where there is none, numbers that are nowhere.
fn picked(sorted: &[i64], among: usize, rng: &mut Random) -> Vec<i64> {
    (0..LOOK_UPS).map(|i| if among == 0 { i as i64 } else { sorted[rng.below(among)] }).collect()
}

fn linear(search: &Search) -> Vec<Option<usize>> {
    let place = |wanted: &i64| search.sorted.iter().position(|number| number == wanted);
    search.wanted.iter().map(place).collect()
}

fn jump(search: &Search) -> Vec<Option<usize>> {
    let step = search.sorted.len().isqrt().max(1);
    let place = |wanted: &i64| {
        let mut start = 0;
        for block in search.sorted.chunks(step) {
            if block[block.len() - 1] >= *wanted {
                return block.iter().position(|number| number == wanted).map(|inside| start + inside);
            }
            start += block.len();
        }
        None
    };
    search.wanted.iter().map(place).collect()
}

fn binary(search: &Search) -> Vec<Option<usize>> {
    search.wanted.iter().map(|wanted| halve(&search.sorted, *wanted)).collect()
}

fn library(search: &Search) -> Vec<Option<usize>> {
    search.wanted.iter().map(|wanted| search.sorted.binary_search(wanted).ok()).collect()
}

fn galloping(search: &Search) -> Vec<Option<usize>> {
    let sorted = &search.sorted;
    let place = |wanted: &i64| {
        let mut end = 1;
        while end < sorted.len() && sorted[end - 1] < *wanted {
            end *= 2;
        }
        let start = end / 2;
        halve(&sorted[start..end.min(sorted.len())], *wanted).map(|inside| start + inside)
    };
    search.wanted.iter().map(place).collect()
}

fn interpolation(search: &Search) -> Vec<Option<usize>> {
    search.wanted.iter().map(|wanted| guess(&search.sorted, *wanted)).collect()
}

/// The place of `wanted`: the middle of what is left tells which half to go on with.
fn halve(sorted: &[i64], wanted: i64) -> Option<usize> {
    let (mut start, mut end) = (0, sorted.len());
    while start < end {
        let middle = start + (end - start) / 2;
        if sorted[middle] < wanted {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    (sorted.get(start) == Some(&wanted)).then_some(start)
}

/// The place of `wanted`, as if the numbers grew evenly between the ends of what is left.
fn guess(sorted: &[i64], wanted: i64) -> Option<usize> {
    let (mut start, mut end) = (0, sorted.len());
    while start < end && sorted[start] <= wanted && wanted <= sorted[end - 1] {
        let (low, high) = (sorted[start], sorted[end - 1]);
        let width = i128::from(high - low).max(1);
        let at = start + (i128::from(wanted - low) * (end - 1 - start) as i128 / width) as usize;
        if sorted[at] == wanted {
            return Some(at);
        }
        if sorted[at] < wanted {
            start = at + 1;
        } else {
            end = at;
        }
    }
    None
}
