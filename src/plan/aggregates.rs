//! Ordinary aggregates: a function of all numbers of a group at once. Engines need to know no more of one: with a line
//! here, and its function in [`scalar`], it is there on all of them.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

use crate::data::scalar;

/// A function of numbers, ints as floats, without nulls; none of nothing.
#[derive(Debug, Clone, Copy)]
pub struct NumbersToFloat {
    /// As the language names it.
    pub name: &'static str,
    pub about: &'static str,
    /// The same in [`scalar`], which compiled code has too.
    pub function: &'static str,
    pub apply: fn(Vec<f64>) -> Option<f64>,
}

pub static ALL: &[NumbersToFloat] = &[NumbersToFloat {
    name: "iqr",
    about: "the interquartile range: quantile(x, 0.75) less quantile(x, 0.25)",
    function: "interquartile_range",
    apply: scalar::interquartile_range,
}];

/// One name is one aggregate.
impl PartialEq for NumbersToFloat {
    fn eq(&self, other: &NumbersToFloat) -> bool {
        self.name == other.name
    }
}

pub fn find(name: &str) -> Option<&'static NumbersToFloat> {
    ALL.iter().find(|aggregate| aggregate.name == name)
}

/// What becomes of the numbers of a group.
#[derive(Debug, Clone, Copy)]
pub enum OfNumbers {
    Quantile(f64),
    Function(&'static NumbersToFloat),
}

impl OfNumbers {
    pub fn apply(self, numbers: Vec<f64>) -> Option<f64> {
        match self {
            OfNumbers::Quantile(q) => scalar::quantile(numbers, q),
            OfNumbers::Function(function) => (function.apply)(numbers),
        }
    }
}

/// An aggregate in serialised form: its name.
pub fn serialize<S: Serializer>(aggregate: &&'static NumbersToFloat, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(aggregate.name)
}

/// The aggregate of such a name.
///
/// # Errors
/// There is none.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static NumbersToFloat, D::Error> {
    let name = String::deserialize(deserializer)?;
    find(&name).ok_or_else(|| D::Error::custom(format!("unknown aggregate `{name}`")))
}
