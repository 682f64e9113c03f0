//! What a structure is and what it can do. This file and those of the structures are also compiled as text, as a
//! program that counts: they know nothing of the shell but what the imports name.

use super::{Class, mix};

/// A structure.
pub struct Kind {
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// What to pick it for.
    pub pick: &'static str,
    /// Where operations need elements of another type, there are several.
    pub parts: &'static [&'static dyn Part],
    /// The text of its file.
    pub text: &'static str,
}

/// A structure with elements of one type, and the operations on it.
pub trait Part: Sync {
    fn operations(&self) -> Vec<&Facts>;

    /// One without elements.
    fn empty(&'static self) -> Box<dyn Held>;
}

/// One that is held, to be filled and used.
pub trait Held {
    /// Adds elements.
    fn fill(&mut self, keys: &[i64]);

    /// Makes what operations change a copy of what was filled in.
    fn reset(&mut self);

    /// Does an operation with each key. What changes the structure does so to the copy.
    fn run(&mut self, operation: usize, keys: &[i64]) -> i64;

    /// The same, and always with the copy: other operations have changed it.
    fn run_changed(&mut self, operation: usize, keys: &[i64]) -> i64;
}

/// What is said of an operation: theory, to be checked by measuring.
#[derive(Clone, Copy)]
pub struct Facts {
    pub name: &'static str,
    /// Whether the key is not in it.
    pub is_absent: bool,
    /// The time of one that textbooks claim.
    pub claimed: Class,
    /// Whether that holds for the mean of many, and single ones cost more.
    pub is_amortised: bool,
    pub keys: Keys,
    /// Whether the structure is another afterwards.
    pub changes: bool,
    /// What is known about it.
    pub why: &'static str,
    /// A class that is measured instead, and why.
    pub except: Option<(Class, &'static str)>,
}

/// Which keys an operation is done with. The elements of a structure of size n are the even numbers below 2n.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// From 0 to below n.
    Places,
    /// Elements.
    Present,
    /// Elements, each once.
    Once,
    /// Numbers that are no elements.
    Absent,
    /// The same, each once.
    New,
    /// In turn an element and a number that is none, each once.
    Mixed,
}

impl Keys {
    /// As many keys as there are elements, or twice as many where half of them are new: then each size grows as often.
    pub fn drawn(self, size: usize, seed: i64) -> Vec<i64> {
        let any = |below: usize| (0..size as u64).map(move |i| below_of(mix(seed, i), below)).collect::<Vec<i64>>();
        let odd = |keys: Vec<i64>| keys.into_iter().map(|key| key + 1).collect();
        match self {
            Keys::Places => any(size),
            Keys::Mixed => elements(size, seed).into_iter().flat_map(|key| [key, key + 1]).collect(),
            Keys::Present => any(size).into_iter().map(|key| 2 * key).collect(),
            Keys::Absent => any(size).into_iter().map(|key| 2 * key + 1).collect(),
            Keys::Once => elements(size, seed),
            Keys::New => odd(elements(size, seed)),
        }
    }
}

fn below_of(bits: u64, below: usize) -> i64 {
    ((u128::from(bits) * below as u128) >> 64) as i64
}

/// The elements of a structure of this size, in random order (Fisher and Yates).
pub fn elements(size: usize, seed: i64) -> Vec<i64> {
    let mut all: Vec<i64> = (0..size as i64).map(|i| 2 * i).collect();
    for i in (1..size).rev() {
        all.swap(i, below_of(mix(seed, i as u64), i + 1) as usize);
    }
    all
}

/// A structure with its type.
pub struct Typed<S: 'static> {
    pub new: fn() -> S,
    pub fill: fn(&mut S, &[i64]),
    /// A copy with the same room for more.
    pub copy: fn(&S) -> S,
    pub operations: &'static [Operation<S>],
}

pub struct Operation<S> {
    pub facts: Facts,
    pub run: fn(&mut S, &[i64]) -> i64,
}

/// A row of a structure's table of operations.
pub const fn op<S>(name: &'static str, claimed: Class, keys: Keys, run: fn(&mut S, &[i64]) -> i64) -> Operation<S> {
    let facts =
        Facts { name, is_absent: false, claimed, is_amortised: false, keys, changes: false, why: "", except: None };
    Operation { facts, run }
}

impl<S> Operation<S> {
    pub const fn changes(mut self) -> Operation<S> {
        self.facts.changes = true;
        self
    }

    pub const fn amortised(mut self) -> Operation<S> {
        self.facts.is_amortised = true;
        self
    }

    pub const fn absent(mut self) -> Operation<S> {
        self.facts.is_absent = true;
        self
    }

    pub const fn why(mut self, why: &'static str) -> Operation<S> {
        self.facts.why = why;
        self
    }

    pub const fn measures(mut self, class: Class, why: &'static str) -> Operation<S> {
        self.facts.except = Some((class, why));
        self
    }
}

impl<S: 'static> Part for Typed<S> {
    fn operations(&self) -> Vec<&Facts> {
        self.operations.iter().map(|operation| &operation.facts).collect()
    }

    fn empty(&'static self) -> Box<dyn Held> {
        Box::new(Filled { part: self, whole: (self.new)(), copy: None })
    }
}

struct Filled<S: 'static> {
    part: &'static Typed<S>,
    whole: S,
    copy: Option<S>,
}

impl<S> Held for Filled<S> {
    fn fill(&mut self, keys: &[i64]) {
        (self.part.fill)(&mut self.whole, keys);
    }

    fn reset(&mut self) {
        // The old one goes first: two are enough.
        self.copy = None;
        self.copy = Some((self.part.copy)(&self.whole));
    }

    fn run(&mut self, operation: usize, keys: &[i64]) -> i64 {
        let Operation { facts, run } = &self.part.operations[operation];
        match &mut self.copy {
            Some(copy) if facts.changes => run(copy, keys),
            _ => run(&mut self.whole, keys),
        }
    }

    fn run_changed(&mut self, operation: usize, keys: &[i64]) -> i64 {
        (self.part.operations[operation].run)(self.copy.as_mut().unwrap_or(&mut self.whole), keys)
    }
}

/// Does something with each key; what it finds is added up, so that none of it is left out.
pub fn each(keys: &[i64], mut find: impl FnMut(i64) -> i64) -> i64 {
    keys.iter().fold(0, |sum: i64, key| sum.wrapping_add(find(*key)))
}

/// How many elements a range has.
pub const RANGE: usize = 8;
