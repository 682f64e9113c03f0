use super::Class::{Constant, Linear};
use super::Keys::{Absent, New, Places, Present};
use super::{Kind, RANGE, Typed, each, op};

pub static VEC: Kind = Kind {
    name: "vec",
    about: "a list: its elements lie side by side (Rust's Vec, Python's list)",
    pick: "nearly everything: appending, reading by index, iterating",
    parts: &[&LIST],
    text: include_str!("vec.rs"),
};

type List = Vec<i64>;

static LIST: Typed<List> = Typed {
    new: Vec::new,
    fill: |list, keys| keys.iter().for_each(|key| list.push(*key)),
    copy: |list| {
        let mut copy = Vec::with_capacity(list.capacity());
        copy.extend_from_slice(list);
        copy
    },
    operations: &[
        op("push_back", Constant, New, |list: &mut List, keys| {
            each(keys, |key| {
                list.push(key);
                0
            })
        })
        .changes()
        .amortised()
        .why("occasionally all elements move to a block of twice the size: `%structures growth vec push_back`"),
        op("push_front", Linear, New, |list: &mut List, keys| {
            each(keys, |key| {
                list.insert(0, key);
                0
            })
        })
        .changes()
        .why("all elements move by one"),
        op("insert_middle", Linear, New, |list: &mut List, keys| {
            each(keys, |key| {
                list.insert(list.len() / 2, key);
                0
            })
        })
        .changes()
        .why("half of the elements move by one"),
        op("pop_front", Linear, New, |list: &mut List, keys| {
            each(keys, |_| if list.is_empty() { 0 } else { list.remove(0) })
        })
        .changes()
        .why("all elements move by one"),
        op("pop_back", Constant, New, |list: &mut List, keys| each(keys, |_| list.pop().unwrap_or(0))).changes(),
        op("get", Constant, Places, |list: &mut List, keys| {
            each(keys, |place| list.get(place as usize).copied().unwrap_or(0))
        }),
        op("contains_value", Linear, Present, |list: &mut List, keys| each(keys, |key| i64::from(list.contains(&key)))),
        op("contains_value", Linear, Absent, |list: &mut List, keys| each(keys, |key| i64::from(list.contains(&key))))
            .absent(),
        op("iterate", Linear, New, |list: &mut List, keys| each(keys, |_| each(list, |element| element))),
        op("range", Constant, Places, |list: &mut List, keys| {
            each(keys, |place| each(&list[place as usize..list.len().min(place as usize + RANGE)], |element| element))
        }),
        op("remove", Linear, Places, |list: &mut List, keys| {
            each(keys, |place| if list.is_empty() { 0 } else { list.remove(place as usize % list.len()) })
        })
        .changes()
        .why("the elements after it move by one"),
    ],
};
