use crate::data::Value;

use super::Func;

/// What a call does beside being a call, as it is counted in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Elements of lists that are looked at, and comparisons of a sort.
    pub elements: u64,
    /// Bytes of texts that are read, and bytes copied into a text or a list.
    pub bytes: u64,
}

/// The work of one call.
pub fn work(func: Func, args: &[Value], result: &Value) -> Work {
    match func {
        Func::Lower
        | Func::Upper
        | Func::Trim
        | Func::LenText
        | Func::ContainsText
        | Func::Replace
        | Func::Matches
        | Func::SliceText
        | Func::ReverseText
        | Func::IntFromText
        | Func::FloatFromText
        | Func::BoolFromText
        | Func::TextFrom
        | Func::Format
        | Func::Split
        | Func::Words
        | Func::Chars => Work { elements: 0, bytes: args.iter().map(size).sum::<u64>() + size(result) },
        // Only as far as the second argument is long.
        Func::StartsWith | Func::EndsWith => Work { elements: 0, bytes: size(&args[1]) },
        Func::SortedText => Work { elements: comparisons(size(&args[0])), bytes: 2 * size(result) },
        Func::SortedList => Work { elements: comparisons(length(&args[0])), bytes: size(result) },
        Func::JoinList => Work { elements: length(&args[0]), bytes: size(result) },
        Func::ContainsList => {
            let Value::List(items) = &args[0] else { return Work::default() };
            let found = items.iter().position(|item| *item == args[1]);
            Work { elements: found.map_or(items.len(), |at| at + 1) as u64, bytes: 0 }
        }
        Func::SumInts | Func::SumFloats | Func::MinList | Func::MaxList => {
            Work { elements: length(&args[0]), bytes: 0 }
        }
        Func::SliceList | Func::ReverseList | Func::Range => Work { elements: 0, bytes: size(result) },
        Func::LenList
        | Func::AbsInt
        | Func::AbsFloat
        | Func::Round
        | Func::RoundInt
        | Func::RoundFloat
        | Func::FloatToFloat(_)
        | Func::Sqrt
        | Func::PowInt
        | Func::Get
        | Func::PowFloat
        | Func::Same
        | Func::IntFromFloat
        | Func::IntFromBool
        | Func::FloatFromInt
        | Func::BoolFromInt
        | Func::IsNull
        | Func::Coalesce => Work::default(),
    }
}

/// The bytes of a text, or of the places of a list.
pub fn size(value: &Value) -> u64 {
    match value {
        Value::Text(text) => text.len() as u64,
        Value::List(items) => size_of_val(&**items) as u64,
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => 0,
    }
}

fn length(value: &Value) -> u64 {
    if let Value::List(items) = value { items.len() as u64 } else { 0 }
}

/// What a sort of so many values is counted as: sorts inside a value do not tell how often they compared.
pub fn comparisons(count: u64) -> u64 {
    count * u64::from(count.max(1).next_power_of_two().ilog2())
}
