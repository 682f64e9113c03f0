use std::collections::BinaryHeap;

use super::Class::{Constant, Linear, Log};
use super::Keys::{Absent, New, Once, Present};
use super::{Kind, Typed, each, op};

pub static HEAP: Kind = Kind {
    name: "heap",
    about: "a list in the order of a tree, whose first element is the largest (Rust's BinaryHeap)",
    pick: "repeatedly removing the largest or the smallest: priority queues",
    parts: &[&LIST],
    text: include_str!("heap.rs"),
};

type Heap = BinaryHeap<i64>;

static LIST: Typed<Heap> = Typed {
    new: BinaryHeap::new,
    fill: |heap, keys| keys.iter().for_each(|key| heap.push(*key)),
    copy: |heap| {
        let mut copy = heap.clone();
        copy.reserve(heap.capacity() - heap.len());
        copy
    },
    operations: &[
        op("insert", Log, New, |heap: &mut Heap, keys| {
            each(keys, |key| {
                heap.push(key);
                0
            })
        })
        .changes()
        .measures(Constant, "keys in random order seldom rise far: O(1) on average, O(log n) for rising keys"),
        op("pop_front", Log, New, |heap: &mut Heap, keys| each(keys, |_| heap.pop().unwrap_or(0)))
            .changes()
            .why("it removes the largest"),
        op("contains_value", Linear, Present, |heap: &mut Heap, keys| {
            each(keys, |key| i64::from(heap.iter().any(|element| *element == key)))
        }),
        op("contains_value", Linear, Absent, |heap: &mut Heap, keys| {
            each(keys, |key| i64::from(heap.iter().any(|element| *element == key)))
        })
        .absent(),
        op("iterate", Linear, New, |heap: &mut Heap, keys| {
            each(keys, |_| heap.iter().fold(0i64, |sum, element| sum.wrapping_add(*element)))
        })
        .why("in no meaningful order"),
        op("remove", Linear, Once, |heap: &mut Heap, keys| {
            each(keys, |key| {
                heap.retain(|element| *element != key);
                0
            })
        })
        .changes()
        .why("it looks at all elements"),
    ],
};
