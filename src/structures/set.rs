use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::Class::{Constant, Linear};
use super::Keys::{Absent, New, Once, Present};
use super::{Kind, RANGE, Typed, each, op};

pub static SET: Kind = Kind {
    name: "set",
    about: "a hash table of keys only (Rust's HashSet, Python's set)",
    pick: "checking for membership, and keeping each value once",
    parts: &[&KEYS],
    text: include_str!("set.rs"),
};

type Set = HashSet<i64, BuildHasherDefault<DefaultHasher>>;

static KEYS: Typed<Set> = Typed {
    new: HashSet::default,
    fill: |set, keys| set.extend(keys),
    copy: HashSet::clone,
    operations: &[
        op("insert", Constant, New, |set: &mut Set, keys| each(keys, |key| i64::from(set.insert(key))))
            .changes()
            .amortised()
            .why("occasionally all elements move to a table of twice the size"),
        op("contains_key", Constant, Present, |set: &mut Set, keys| each(keys, |key| i64::from(set.contains(&key)))),
        op("contains_key", Constant, Absent, |set: &mut Set, keys| each(keys, |key| i64::from(set.contains(&key))))
            .absent(),
        op("iterate", Linear, New, |set: &mut Set, keys| {
            each(keys, |_| set.iter().fold(0i64, |sum, key| sum.wrapping_add(*key)))
        }),
        op("range", Linear, Present, |set: &mut Set, keys| {
            each(keys, |key| set.iter().filter(|other| (key..key + 2 * RANGE as i64).contains(*other)).sum::<i64>())
        })
        .why("keys have no order: it looks at all of them"),
        op("remove", Constant, Once, |set: &mut Set, keys| each(keys, |key| i64::from(set.remove(&key)))).changes(),
    ],
};
