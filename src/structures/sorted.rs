use super::Class::{Constant, Linear, Log};
use super::Keys::{Absent, New, Once, Places, Present};
use super::{Kind, RANGE, Typed, each, op};

pub static SORTED: Kind = Kind {
    name: "sorted",
    about: "a list that is kept in order, with binary search",
    pick: "data that changes seldom and is searched often: ranges, neighbours, minimal memory",
    parts: &[&LIST],
    text: include_str!("sorted.rs"),
};

type List = Vec<i64>;

static LIST: Typed<List> = Typed {
    new: Vec::new,
    fill: |list, keys| {
        keys.iter().for_each(|key| list.push(*key));
        list.sort_unstable();
    },
    copy: |list| {
        let mut copy = Vec::with_capacity(list.capacity());
        copy.extend_from_slice(list);
        copy
    },
    operations: &[
        op("insert", Linear, New, |list: &mut List, keys| {
            each(keys, |key| {
                let place = list.partition_point(|element| *element < key);
                list.insert(place, key);
                0
            })
        })
        .changes()
        .why("the larger elements move by one"),
        op("pop_front", Linear, New, |list: &mut List, keys| {
            each(keys, |_| if list.is_empty() { 0 } else { list.remove(0) })
        })
        .changes()
        .why("all elements move by one"),
        op("pop_back", Constant, New, |list: &mut List, keys| each(keys, |_| list.pop().unwrap_or(0))).changes(),
        op("get", Constant, Places, |list: &mut List, keys| {
            each(keys, |place| list.get(place as usize).copied().unwrap_or(0))
        }),
        op("contains_key", Log, Present, |list: &mut List, keys| {
            each(keys, |key| i64::from(list.binary_search(&key).is_ok()))
        }),
        op("contains_key", Log, Absent, |list: &mut List, keys| {
            each(keys, |key| i64::from(list.binary_search(&key).is_ok()))
        })
        .absent(),
        op("iterate", Linear, New, |list: &mut List, keys| each(keys, |_| each(list, |element| element))),
        op("range", Log, Present, |list: &mut List, keys| {
            each(keys, |key| {
                let place = list.partition_point(|element| *element < key);
                each(&list[place..list.len().min(place + RANGE)], |element| element)
            })
        })
        .why("it finds the first; the others follow"),
        op("remove", Linear, Once, |list: &mut List, keys| {
            each(keys, |key| list.binary_search(&key).map_or(0, |place| list.remove(place)))
        })
        .changes()
        .why("the larger elements move by one"),
    ],
};
