//! Data structures and what can be done with them, with what textbooks claim of each operation. It knows no clock:
//! whoever measures fills a structure and does an operation with many keys.

mod chunked;
mod deque;
mod dict;
mod heap;
mod linked;
mod part;
mod set;
mod sorted;
mod tree;
mod vec;

use crate::data::generate::mix;
use crate::measure::growth::Class;

pub use part::{Facts, Held, Keys, Kind, elements};

use part::{RANGE, Typed, each, op};

/// All structures, in the order of the help.
pub static ALL: &[&Kind] = &[
    &vec::VEC,
    &deque::DEQUE,
    &linked::LINKED,
    &chunked::CHUNKED,
    &dict::DICT,
    &tree::TREE,
    &set::SET,
    &heap::HEAP,
    &sorted::SORTED,
];

/// All operations, in the order of the help, each with a line about it.
pub static OPERATIONS: &[(&str, &str)] = &[
    ("push_back", "adds an element at the end"),
    ("push_front", "adds an element at the beginning"),
    ("insert_middle", "adds an element in the middle"),
    ("insert", "adds a key, or an element at the position of its value"),
    ("pop_front", "removes the first element: the largest of a heap, the smallest of an ordered structure"),
    ("pop_back", "removes the last element: the largest of an ordered structure"),
    ("get", "reads the element at an index, or the value of a key"),
    ("contains_key", "looks for a key that is present or absent"),
    ("contains_value", "looks for a value that is present or absent"),
    ("iterate", "goes through all elements"),
    ("range", "reads eight elements, starting at an index or a key"),
    ("remove", "removes the element at an index, or a key"),
    ("insert_or_append", "the default dict: appends to the list of a key, or to a new list"),
    ("count", "the counter: adds one to the value of a key, or to 0"),
];

/// The seed of all elements that are measured; that of keys is the next one.
pub const SEED: i64 = 0;

pub fn find(name: &str) -> Option<&'static Kind> {
    ALL.iter().copied().find(|kind| kind.name == name)
}

/// One operation of a structure: which of its parts and which of their operations it is.
#[derive(Clone, Copy)]
pub struct Cell {
    pub kind: &'static Kind,
    pub part: usize,
    pub operation: usize,
    pub facts: &'static Facts,
}

impl Cell {
    /// As it is shown: `contains_key, absent`.
    pub fn name(&self) -> String {
        format!("{}{}", self.facts.name, if self.facts.is_absent { ", absent" } else { "" })
    }

    /// Its work for the program of [`counted`].
    pub fn line(&self, size: i64, seed: i64) -> String {
        let kind = ALL.iter().position(|kind| kind.name == self.kind.name).unwrap_or_default();
        format!("{kind} {} {} {size} {seed}", self.part, self.operation)
    }
}

impl Kind {
    /// All its operations, in the order of the help.
    pub fn cells(&'static self) -> Vec<Cell> {
        let of = |part: usize| {
            let facts = self.parts[part].operations().into_iter().enumerate();
            facts.map(move |(operation, facts)| Cell { kind: self, part, operation, facts })
        };
        let mut cells: Vec<Cell> = (0..self.parts.len()).flat_map(of).collect();
        cells.sort_by_key(|cell| OPERATIONS.iter().position(|(name, _)| *name == cell.facts.name));
        cells
    }
}

const CLASS: &str = include_str!("../measure/growth/class.rs");
const GENERATE: &str = include_str!("../data/generate.rs");
const PART: &str = include_str!("part.rs");

/// The text of a program that counts what operations do: lines of [`Cell::line`] are its work, all keys of a size each.
pub fn counted() -> String {
    // Comments on a whole file stand only at the top of one.
    let inner = |text: &str| text.split_inclusive('\n').filter(|line| !line.starts_with("//!")).collect::<String>();
    let own = |kind: &Kind| {
        let (name, text) =
            (kind.name, inner(kind.text).replace(&format!("include_str!(\"{}.rs\")", kind.name), "\"\""));
        format!("    pub mod {name} {{\n{text}\n    }}\n")
    };
    let modules: String = ALL.iter().map(|kind| own(kind)).collect();
    let all: Vec<String> = ALL.iter().map(|kind| format!("&{}::{}", kind.name, kind.name.to_uppercase())).collect();
    format!(
        "#![allow(warnings)]\nmod class {{\n{}\n}}\nmod generate {{\n{}\n}}\nmod structures {{\n    pub use \
         super::class::Class;\n    pub use super::generate::mix;\n    pub use part::*;\n    mod part {{\n{}\n    \
         }}\n{modules}    pub static ALL: &[&Kind] = &[{}];\n}}\n{MAIN}",
        inner(CLASS),
        inner(GENERATE),
        inner(PART),
        all.join(", ")
    )
}

const MAIN: &str = r#"
fn main() {
    support::serve(|line| {
        let numbers: Vec<usize> = line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let [kind, part, operation, size, seed] = numbers[..] else { panic!("five numbers") };
        let part = structures::ALL[kind].parts[part];
        let mut held = part.empty();
        held.fill(&structures::elements(size, seed as i64));
        held.reset();
        let keys = part.operations()[operation].keys.drawn(size, seed as i64 + 1);
        Box::new(move || drop(std::hint::black_box(held.run(operation, std::hint::black_box(&keys)))))
    })
}
"#;
