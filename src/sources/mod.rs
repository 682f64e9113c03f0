//! Sources whose rows are made by their numbers and a seed, one file each: `name n [seed s]`. Every engine can have any
//! row without those before it. They know nothing of plans or engines.

/// Rows of a kind by a function of the seed and the row's number. The loop over many has the function in it.
macro_rules! made_by {
    ($kind:ident, $make:path) => {
        $crate::sources::Generate::$kind { one: $make, many: |seed, rows| rows.map(|row| $make(seed, row)).collect() }
    };
}

mod letters;
mod random;

use std::ops::Range;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

use crate::data::{Type, Value};

/// All of them, in the order in which they are listed.
pub static ALL: &[&Source] = &[&letters::LETTERS, &random::RANDOM];

#[derive(Debug)]
pub struct Source {
    pub name: &'static str,
    pub usage: &'static str,
    pub about: &'static str,
    /// A cell, and what it prints as csv.
    pub examples: &'static [(&'static str, &'static str)],
    /// What its rows are: letters.
    pub rows: &'static str,
    pub value: Generate,
    /// The function of [`crate::data::generate`] that makes a row, which compiled code has too; without one, the rows
    /// go in as a table.
    pub compiled: Option<&'static str>,
}

/// The value of the row of a number, by a seed; and those of many rows.
#[derive(Debug, Clone, Copy)]
pub enum Generate {
    Char { one: fn(i64, u64) -> char, many: fn(i64, Range<u64>) -> Vec<char> },
    Float { one: fn(i64, u64) -> f64, many: fn(i64, Range<u64>) -> Vec<f64> },
    Int { one: fn(i64, u64) -> i64, many: fn(i64, Range<u64>) -> Vec<i64> },
}

impl Generate {
    pub fn ty(self) -> Type {
        match self {
            Generate::Char { .. } => Type::Text,
            Generate::Float { .. } => Type::Float,
            Generate::Int { .. } => Type::Int,
        }
    }

    pub fn value(self, seed: i64, row: u64) -> Value {
        match self {
            Generate::Char { one, .. } => Value::text(one(seed, row).encode_utf8(&mut [0; 4])),
            Generate::Float { one, .. } => Value::Float(one(seed, row)),
            Generate::Int { one, .. } => Value::Int(one(seed, row)),
        }
    }
}

/// One name is one source.
impl PartialEq for Source {
    fn eq(&self, other: &Source) -> bool {
        self.name == other.name
    }
}

pub fn find(name: &str) -> Option<&'static Source> {
    ALL.iter().copied().find(|source| source.name == name)
}

/// A source in serialised form: its name.
pub fn serialize<S: Serializer>(source: &&'static Source, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(source.name)
}

/// The source of such a name.
///
/// # Errors
/// There is none.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Source, D::Error> {
    let name = String::deserialize(deserializer)?;
    find(&name).ok_or_else(|| D::Error::custom(format!("unknown source `{name}`")))
}
