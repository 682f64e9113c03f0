use std::collections::BTreeMap;

use super::Class::{Linear, Log};
use super::Keys::{Absent, Mixed, New, Once, Present};
use super::{Kind, RANGE, Typed, each, op};

pub static TREE: Kind = Kind {
    name: "tree",
    about: "keys and values in the order of the keys, in a tree of wide nodes (Rust's BTreeMap)",
    pick: "finding by key where the order matters: ranges, the smallest, the largest",
    parts: &[&VALUES, &LISTS],
    text: include_str!("tree.rs"),
};

type Tree = BTreeMap<i64, i64>;
type TreeOfLists = BTreeMap<i64, Vec<i64>>;

static VALUES: Typed<Tree> = Typed {
    new: BTreeMap::new,
    fill: |tree, keys| tree.extend(keys.iter().map(|key| (*key, *key))),
    copy: BTreeMap::clone,
    operations: &[
        op("insert", Log, New, |tree: &mut Tree, keys| each(keys, |key| tree.insert(key, key).unwrap_or(0))).changes(),
        op("pop_front", Log, New, |tree: &mut Tree, keys| each(keys, |_| tree.pop_first().map_or(0, |(key, _)| key)))
            .changes(),
        op("pop_back", Log, New, |tree: &mut Tree, keys| each(keys, |_| tree.pop_last().map_or(0, |(key, _)| key)))
            .changes(),
        op("get", Log, Present, |tree: &mut Tree, keys| each(keys, |key| tree.get(&key).copied().unwrap_or(0))),
        op("contains_key", Log, Present, |tree: &mut Tree, keys| each(keys, |key| i64::from(tree.contains_key(&key)))),
        op("contains_key", Log, Absent, |tree: &mut Tree, keys| each(keys, |key| i64::from(tree.contains_key(&key))))
            .absent(),
        op("contains_value", Linear, Present, |tree: &mut Tree, keys| {
            each(keys, |key| i64::from(tree.values().any(|value| *value == key)))
        })
        .why("only keys are in order: it looks at one value after the other"),
        op("contains_value", Linear, Absent, |tree: &mut Tree, keys| {
            each(keys, |key| i64::from(tree.values().any(|value| *value == key)))
        })
        .absent()
        .why("only keys are in order: it looks at all values"),
        op("iterate", Linear, New, |tree: &mut Tree, keys| {
            each(keys, |_| tree.values().fold(0i64, |sum, value| sum.wrapping_add(*value)))
        }),
        op("range", Log, Present, |tree: &mut Tree, keys| {
            each(keys, |key| tree.range(key..).take(RANGE).map(|(key, _)| *key).sum::<i64>())
        })
        .why("it finds the first; the others follow"),
        op("remove", Log, Once, |tree: &mut Tree, keys| each(keys, |key| tree.remove(&key).unwrap_or(0))).changes(),
        op("count", Log, Mixed, |tree: &mut Tree, keys| {
            each(keys, |key| {
                *tree.entry(key).or_insert(0) += 1;
                0
            })
        })
        .changes(),
    ],
};

static LISTS: Typed<TreeOfLists> = Typed {
    new: BTreeMap::new,
    fill: |tree, keys| keys.iter().for_each(|key| tree.entry(*key).or_default().push(*key)),
    copy: BTreeMap::clone,
    operations: &[op("insert_or_append", Log, Mixed, |tree: &mut TreeOfLists, keys| {
        each(keys, |key| {
            tree.entry(key).or_default().push(key);
            0
        })
    })
    .changes()],
};
