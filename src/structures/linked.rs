use std::collections::LinkedList;

use super::Class::{Constant, Linear};
use super::Keys::{Absent, New, Places, Present};
use super::{Kind, RANGE, Typed, each, op};

pub static LINKED: Kind = Kind {
    name: "linked",
    about: "a list of nodes that point to the next and the previous node (Rust's LinkedList)",
    pick: "joining whole lists; otherwise a deque does the same with less memory",
    parts: &[&NODES],
    text: include_str!("linked.rs"),
};

type Nodes = LinkedList<i64>;

static NODES: Typed<Nodes> = Typed {
    new: LinkedList::new,
    fill: |nodes, keys| keys.iter().for_each(|key| nodes.push_back(*key)),
    copy: LinkedList::clone,
    operations: &[
        op("push_back", Constant, New, |nodes: &mut Nodes, keys| {
            each(keys, |key| {
                nodes.push_back(key);
                0
            })
        })
        .changes()
        .why("each node is allocated"),
        op("push_front", Constant, New, |nodes: &mut Nodes, keys| {
            each(keys, |key| {
                nodes.push_front(key);
                0
            })
        })
        .changes()
        .why("each node is allocated"),
        op("insert_middle", Linear, New, |nodes: &mut Nodes, keys| {
            each(keys, |key| {
                let mut rest = nodes.split_off(nodes.len() / 2);
                nodes.push_back(key);
                nodes.append(&mut rest);
                0
            })
        })
        .changes()
        .why("it walks to the middle; the insertion itself is O(1)"),
        op("pop_front", Constant, New, |nodes: &mut Nodes, keys| each(keys, |_| nodes.pop_front().unwrap_or(0)))
            .changes(),
        op("pop_back", Constant, New, |nodes: &mut Nodes, keys| each(keys, |_| nodes.pop_back().unwrap_or(0)))
            .changes(),
        op("get", Linear, Places, |nodes: &mut Nodes, keys| {
            each(keys, |place| nodes.iter().nth(place as usize).copied().unwrap_or(0))
        })
        .why("it walks there, and each node may lie anywhere in memory"),
        op("contains_value", Linear, Present, |nodes: &mut Nodes, keys| {
            each(keys, |key| i64::from(nodes.contains(&key)))
        }),
        op("contains_value", Linear, Absent, |nodes: &mut Nodes, keys| {
            each(keys, |key| i64::from(nodes.contains(&key)))
        })
        .absent(),
        op("iterate", Linear, New, |nodes: &mut Nodes, keys| {
            each(keys, |_| nodes.iter().fold(0i64, |sum, element| sum.wrapping_add(*element)))
        }),
        op("range", Linear, Places, |nodes: &mut Nodes, keys| {
            each(keys, |place| nodes.iter().skip(place as usize).take(RANGE).sum::<i64>())
        })
        .why("it walks to the first"),
        op("remove", Linear, Places, |nodes: &mut Nodes, keys| {
            each(keys, |place| {
                let mut rest = nodes.split_off(place as usize % nodes.len().max(1));
                let element = rest.pop_front().unwrap_or(0);
                nodes.append(&mut rest);
                element
            })
        })
        .changes()
        .why("it walks there; the removal itself is O(1)"),
    ],
};
