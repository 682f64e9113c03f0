use std::collections::{BTreeSet, HashSet};

use crate::data::{Order, Type, Value};

use super::Class::{Constant, Linear, Log};
use super::{Facts, Random, Shape, Typed, column, ints, variant};

/// The same numbers in four structures, built beforehand, and what is looked up in them.
pub struct Shelf {
    list: Vec<i64>,
    sorted: Vec<i64>,
    hashed: HashSet<i64>,
    tree: BTreeSet<i64>,
    wanted: Vec<i64>,
}

/// How many numbers are looked up in a call: enough for a clock, the same for every size.
const LOOK_UPS: usize = 100;

pub static MEMBERSHIP: Typed<Shelf, Vec<bool>> = Typed {
    facts: Facts {
        name: "membership",
        about: "whether each of 100 numbers is among n others; the structures are built beforehand",
        counts: "numbers",
        sizes: &[100, 1_000, 10_000, 100_000],
        stages: None,
        text: include_str!("membership.rs"),
    },
    shapes: &[
        Shape { name: "present", about: "all are there", make: |n, rng| shelf(n, rng, |_| true) },
        Shape { name: "absent", about: "none is there", make: |n, rng| shelf(n, rng, |_| false) },
        Shape { name: "half", about: "every second one is there", make: |n, rng| shelf(n, rng, |i| i % 2 == 0) },
    ],
    variants: &[
        variant("list", "looks at one after the other", Linear, Constant, 1_000_000, list)
            .best("present")
            .worst("absent"),
        variant("sorted_list", "halves a sorted list again and again", Log, Constant, 1_000_000, sorted_list),
        variant("hash_set", "goes where the hash says", Constant, Constant, 1_000_000, hash_set),
        variant("tree", "goes down a B-tree", Log, Constant, 1_000_000, tree),
    ],
    input: |shelf| ints(shelf.wanted.iter().copied()),
    output: |_, found| column("found", Type::Bool, Order::Kept, found.into_iter().map(Value::Bool).collect()),
};

/// Even numbers on the shelf, in any order; what is absent is odd.
fn shelf(n: usize, rng: &mut Random, is_there: fn(usize) -> bool) -> Box<Shelf> {
    let mut list: Vec<i64> = (0..n as i64).map(|i| i * 2).collect();
    let wanted = (0..LOOK_UPS).map(|i| 2 * rng.below(n.max(1)) as i64 + i64::from(!is_there(i))).collect();
    let sorted = list.clone();
    rng.shuffle(&mut list);
    let (hashed, tree) = (list.iter().copied().collect(), list.iter().copied().collect());
    Box::new(Shelf { list, sorted, hashed, tree, wanted })
}

fn list(shelf: &Shelf) -> Vec<bool> {
    shelf.wanted.iter().map(|number| shelf.list.contains(number)).collect()
}

fn sorted_list(shelf: &Shelf) -> Vec<bool> {
    shelf.wanted.iter().map(|number| shelf.sorted.binary_search(number).is_ok()).collect()
}

fn hash_set(shelf: &Shelf) -> Vec<bool> {
    shelf.wanted.iter().map(|number| shelf.hashed.contains(number)).collect()
}

fn tree(shelf: &Shelf) -> Vec<bool> {
    shelf.wanted.iter().map(|number| shelf.tree.contains(number)).collect()
}
