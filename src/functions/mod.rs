//! The scalar functions: name, usage, examples and types. Their code is [`crate::data::scalar`] and, where it needs
//! whole values, [`apply`].

mod apply;
mod pattern;
mod table;
mod work;

pub use apply::{append, apply, float_function, joined_list, joined_text, request};
pub use pattern::{MOST_PLACES, Shown, next_place, unknown_place};
pub use table::ALL;
pub use work::{Work, comparisons, size, work};

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::data::Type;

/// A function of the language; what it means may differ by the types of its arguments.
pub struct Function {
    pub name: &'static str,
    pub usage: &'static str,
    pub about: &'static str,
    /// A cell, and what it prints as csv.
    pub examples: &'static [(&'static str, &'static str)],
    /// The function for these argument types. Open types fit anywhere.
    pub resolve: fn(&[Type]) -> Result<Resolved, TypeMismatch>,
}

/// One function at one choice of types.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    pub func: Func,
    /// The type that each argument is brought to.
    pub takes: Vec<Type>,
    pub gives: Type,
}

/// Why a function does not take such arguments.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeMismatch {
    /// How many it takes.
    Count(&'static str),
    /// Which argument, from 0, and what it should be.
    Type(usize, &'static str),
}

/// A function with fixed types: what an engine must know. A null argument gives null, except to `IsNull` and
/// `Coalesce`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Func {
    Lower,
    Upper,
    Trim,
    LenText,
    LenList,
    Split,
    Words,
    Chars,
    ContainsText,
    ContainsList,
    StartsWith,
    EndsWith,
    Replace,
    /// The second argument is a constant pattern.
    Matches,
    SliceText,
    SliceList,
    ReverseText,
    ReverseList,
    SortedText,
    SortedList,
    JoinList,
    /// Of the ints of a list; the floats.
    SumInts,
    SumFloats,
    MinList,
    MaxList,
    Range,
    AbsInt,
    AbsFloat,
    Round,
    /// To so many decimal places: an int, a float.
    RoundInt,
    RoundFloat,
    Sqrt,
    /// An ordinary function of a float.
    FloatToFloat(#[serde(with = "by_name")] &'static FloatToFloat),
    PowInt,
    PowFloat,
    /// The value itself.
    Same,
    IntFromFloat,
    IntFromText,
    IntFromBool,
    FloatFromInt,
    FloatFromText,
    TextFrom,
    BoolFromInt,
    BoolFromText,
    IsNull,
    /// The first that is not null; the later ones are not computed.
    Coalesce,
    /// The first argument is a constant pattern.
    Format,
    /// The value of a key, null where there is none. The first argument is the constant address of a store.
    Get,
}

/// A function from a float to a float that has a value for each. Engines need to know no more of it: with a line in the
/// table it is there on all of them.
#[derive(Debug, Clone, Copy)]
pub struct FloatToFloat {
    pub name: &'static str,
    /// The same as a method of Rust's `f64`.
    pub method: &'static str,
    pub apply: fn(f64) -> f64,
}

/// One name is one function.
impl PartialEq for FloatToFloat {
    fn eq(&self, other: &FloatToFloat) -> bool {
        self.name == other.name
    }
}

impl Eq for FloatToFloat {}

impl Hash for FloatToFloat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// A function of a float in serialised form.
mod by_name {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::data::Type;

    use super::{FloatToFloat, Func, find};

    pub fn serialize<S: Serializer>(function: &&'static FloatToFloat, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(function.name)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static FloatToFloat, D::Error> {
        let name = String::deserialize(deserializer)?;
        match find(&name).and_then(|function| (function.resolve)(&[Type::Float]).ok()).map(|resolved| resolved.func) {
            Some(Func::FloatToFloat(function)) => Ok(function),
            _ => Err(D::Error::custom(format!("unknown function `{name}`"))),
        }
    }
}

pub fn find(name: &str) -> Option<&'static Function> {
    ALL.iter().find(|function| function.name == name)
}

impl Func {
    /// As the language names it.
    pub fn name(self) -> &'static str {
        match self {
            Func::Lower => "lower",
            Func::Upper => "upper",
            Func::Trim => "trim",
            Func::LenText | Func::LenList => "len",
            Func::Split => "split",
            Func::Words => "words",
            Func::Chars => "chars",
            Func::ContainsText | Func::ContainsList => "contains",
            Func::StartsWith => "starts_with",
            Func::EndsWith => "ends_with",
            Func::Replace => "replace",
            Func::Matches => "matches",
            Func::SliceText | Func::SliceList => "slice",
            Func::ReverseText | Func::ReverseList => "reverse",
            Func::SortedText | Func::SortedList => "sorted",
            Func::JoinList => "join",
            Func::SumInts | Func::SumFloats => "sum",
            Func::MinList => "min",
            Func::MaxList => "max",
            Func::Range => "range",
            Func::AbsInt | Func::AbsFloat => "abs",
            Func::Round | Func::RoundInt | Func::RoundFloat => "round",
            Func::Sqrt => "sqrt",
            Func::FloatToFloat(function) => function.name,
            Func::PowInt | Func::PowFloat => "pow",
            Func::Same => "same",
            Func::IntFromFloat | Func::IntFromText | Func::IntFromBool => "int",
            Func::FloatFromInt | Func::FloatFromText => "float",
            Func::TextFrom => "text",
            Func::BoolFromInt | Func::BoolFromText => "bool",
            Func::IsNull => "is_null",
            Func::Coalesce => "coalesce",
            Func::Format => "format",
            Func::Get => "get",
        }
    }
}
