//! Plans as Rust: one function that a person might have written for the pipeline, over a prelude that is the same for
//! all. Nothing is compiled or run here.

mod aggregate;
mod calls;
mod code;
mod exprs;
mod functions;
mod keys;
mod layout;
mod names;
mod objection;
mod segment;
mod shape;
mod signatures;
mod writer;

use crate::plan::{Kept, Prepared};

pub use objection::objection;
pub use shape::{Kind, ValueLayout};

/// A plan as Rust.
#[derive(Debug)]
pub struct GeneratedCode {
    /// `pub fn native(inputs…) -> Result<Vec<row>, RowError>`, over what [`prelude`] has. An input is a slice of rows,
    /// a row a tuple; the result may borrow from it.
    pub text: String,
    /// The tables that go in as arguments, in order.
    pub inputs: Vec<Input>,
    /// The columns of the rows that come out.
    pub columns: Vec<ValueLayout>,
    /// Whether calls may nest so deep that they want a stack of [`DEEP_STACK`] bytes.
    pub is_deep: bool,
}

/// A table as an argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The name of the parameter.
    pub name: String,
    pub table: Kept,
    /// What its columns are: they may be null only where there is a null.
    pub columns: Vec<ValueLayout>,
}

/// A stack on which all calls fit that a person's functions may have open.
pub const DEEP_STACK: usize = 1 << 30;

/// The texts of the prelude, and the imports of the last.
const PARTS: [&str; 4] = [
    include_str!("../data/scalar.rs"),
    include_str!("../data/generate.rs"),
    include_str!("../data/store.rs"),
    include_str!("prelude.rs"),
];

const IMPORTS: &str = "\
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::io::{ErrorKind, Read};

pub use super::generate::*;
pub use super::scalar::*;
pub use super::store::get_value;
";

/// What every function is written over, as items; `use native::*;` brings it into sight.
pub fn prelude() -> String {
    // They stand in another crate than what calls them: without this a call would stay a call.
    let inlined =
        |part: &str| part.replace("#[inline]\npub fn ", "pub fn ").replace("\npub fn ", "\n#[inline]\npub fn ");
    let [scalar, generate, store, prelude] = PARTS.map(inlined);
    format!(
        "pub mod scalar {{\n{scalar}}}\n\npub mod generate {{\n{generate}}}\n\n\
         pub mod store {{\n{store}}}\n\n\
         pub mod native {{\n{IMPORTS}\n{prelude}}}\n"
    )
}

/// Writes a pruned plan, to which there is no objection.
pub fn code(plan: &Prepared) -> GeneratedCode {
    functions::settled(plan)
}

/// The type of the rows of a table of these columns that goes in.
pub fn row_type(columns: &[ValueLayout]) -> String {
    segment::tuple(columns.iter().map(ValueLayout::given))
}
