use std::collections::VecDeque;

use super::Class::{Constant, Linear};
use super::Keys::{Absent, New, Places, Present};
use super::{Kind, RANGE, Typed, each, op};

pub static DEQUE: Kind = Kind {
    name: "deque",
    about: "a ring buffer: a list whose front can lie anywhere (Rust's VecDeque)",
    pick: "queues: adding and removing at both ends, and reading by index",
    parts: &[&RING],
    text: include_str!("deque.rs"),
};

type Ring = VecDeque<i64>;

static RING: Typed<Ring> = Typed {
    new: VecDeque::new,
    fill: |ring, keys| keys.iter().for_each(|key| ring.push_back(*key)),
    copy: |ring| {
        let mut copy = VecDeque::with_capacity(ring.capacity());
        copy.extend(ring.iter());
        copy
    },
    operations: &[
        op("push_back", Constant, New, |ring: &mut Ring, keys| {
            each(keys, |key| {
                ring.push_back(key);
                0
            })
        })
        .changes()
        .amortised()
        .why("occasionally all elements move to a block of twice the size"),
        op("push_front", Constant, New, |ring: &mut Ring, keys| {
            each(keys, |key| {
                ring.push_front(key);
                0
            })
        })
        .changes()
        .amortised()
        .why("occasionally all elements move to a block of twice the size"),
        op("insert_middle", Linear, New, |ring: &mut Ring, keys| {
            each(keys, |key| {
                ring.insert(ring.len() / 2, key);
                0
            })
        })
        .changes()
        .why("half of the elements move by one"),
        op("pop_front", Constant, New, |ring: &mut Ring, keys| each(keys, |_| ring.pop_front().unwrap_or(0))).changes(),
        op("pop_back", Constant, New, |ring: &mut Ring, keys| each(keys, |_| ring.pop_back().unwrap_or(0))).changes(),
        op("get", Constant, Places, |ring: &mut Ring, keys| {
            each(keys, |place| ring.get(place as usize).copied().unwrap_or(0))
        })
        .why("a position in a ring is computed; a deque of nodes or chunks has to walk there: O(n)"),
        op("contains_value", Linear, Present, |ring: &mut Ring, keys| each(keys, |key| i64::from(ring.contains(&key)))),
        op("contains_value", Linear, Absent, |ring: &mut Ring, keys| each(keys, |key| i64::from(ring.contains(&key))))
            .absent(),
        op("iterate", Linear, New, |ring: &mut Ring, keys| {
            each(keys, |_| ring.iter().fold(0i64, |sum, element| sum.wrapping_add(*element)))
        }),
        op("range", Constant, Places, |ring: &mut Ring, keys| {
            each(keys, |place| {
                let end = ring.len().min(place as usize + RANGE);
                ring.range(place as usize..end).sum::<i64>()
            })
        }),
        op("remove", Linear, Places, |ring: &mut Ring, keys| {
            each(keys, |place| {
                let place = place as usize % ring.len().max(1);
                ring.remove(place).unwrap_or(0)
            })
        })
        .changes()
        .why("the elements on the shorter side of it move by one"),
    ],
};
