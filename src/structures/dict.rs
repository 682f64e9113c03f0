use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use super::Class::{Constant, Linear};
use super::Keys::{Absent, Mixed, New, Once, Present};
use super::{Kind, RANGE, Typed, each, op};

pub static DICT: Kind = Kind {
    name: "dict",
    about: "a hash table of keys and values (Rust's HashMap, Python's dict)",
    pick: "finding by key, counting, grouping; it has no meaningful order",
    parts: &[&VALUES, &LISTS],
    text: include_str!("dict.rs"),
};

/// Rust's usual hash function, with the same start in each run.
type Fixed = BuildHasherDefault<DefaultHasher>;

type Dict = HashMap<i64, i64, Fixed>;
type DictOfLists = HashMap<i64, Vec<i64>, Fixed>;

static VALUES: Typed<Dict> = Typed {
    new: HashMap::default,
    fill: |dict, keys| dict.extend(keys.iter().map(|key| (*key, *key))),
    copy: HashMap::clone,
    operations: &[
        op("insert", Constant, New, |dict: &mut Dict, keys| each(keys, |key| dict.insert(key, key).unwrap_or(0)))
            .changes()
            .amortised()
            .why("occasionally all elements move to a table of twice the size"),
        op("get", Constant, Present, |dict: &mut Dict, keys| each(keys, |key| dict.get(&key).copied().unwrap_or(0))),
        op("contains_key", Constant, Present, |dict: &mut Dict, keys| {
            each(keys, |key| i64::from(dict.contains_key(&key)))
        }),
        op("contains_key", Constant, Absent, |dict: &mut Dict, keys| {
            each(keys, |key| i64::from(dict.contains_key(&key)))
        })
        .absent(),
        op("contains_value", Linear, Present, |dict: &mut Dict, keys| {
            each(keys, |key| i64::from(dict.values().any(|value| *value == key)))
        })
        .why("only keys are hashed: it looks at one value after the other"),
        op("contains_value", Linear, Absent, |dict: &mut Dict, keys| {
            each(keys, |key| i64::from(dict.values().any(|value| *value == key)))
        })
        .absent()
        .why("only keys are hashed: it looks at all values"),
        op("iterate", Linear, New, |dict: &mut Dict, keys| {
            each(keys, |_| dict.values().fold(0i64, |sum, value| sum.wrapping_add(*value)))
        }),
        op("range", Linear, Present, |dict: &mut Dict, keys| {
            each(keys, |key| dict.keys().filter(|other| (key..key + 2 * RANGE as i64).contains(*other)).sum::<i64>())
        })
        .why("keys have no order: it looks at all of them"),
        op("remove", Constant, Once, |dict: &mut Dict, keys| each(keys, |key| dict.remove(&key).unwrap_or(0)))
            .changes(),
        op("count", Constant, Mixed, |dict: &mut Dict, keys| {
            each(keys, |key| {
                *dict.entry(key).or_insert(0) += 1;
                0
            })
        })
        .changes()
        .amortised()
        .why("the counter: adds one to the value of the key"),
    ],
};

static LISTS: Typed<DictOfLists> = Typed {
    new: HashMap::default,
    fill: |dict, keys| keys.iter().for_each(|key| dict.entry(*key).or_default().push(*key)),
    copy: HashMap::clone,
    operations: &[op("insert_or_append", Constant, Mixed, |dict: &mut DictOfLists, keys| {
        each(keys, |key| {
            dict.entry(key).or_default().push(key);
            0
        })
    })
    .changes()
    .amortised()
    .why("the default dict: appends to the list of the key, or to a new list")],
};
