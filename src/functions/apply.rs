//! A function applied to values: what the one-row-at-a-time engine runs for all but the hottest functions.

use std::mem::MaybeUninit;
use std::sync::Arc;

use crate::data::Value;
use crate::data::scalar::{self, ScalarError};
use crate::data::store;
use crate::measure;

use super::Func;
use super::pattern::{Shown, next_place};

/// The value of `func` for arguments that are not null (for `Coalesce` and `IsNull` they may be).
///
/// # Panics
/// Where the arguments are not of the types that `func` was resolved for, and for `Matches`, whose pattern is compiled
/// by the engine.
pub fn apply(func: Func, args: &[Value]) -> Result<Value, ScalarError> {
    request(bytes_needed(func, args))?;
    Ok(match func {
        Func::Lower => text_value(scalar::lower(text(&args[0]))),
        Func::Upper => text_value(text(&args[0]).to_uppercase()),
        Func::Trim => Value::text(text(&args[0]).trim()),
        Func::LenText => Value::Int(scalar::length(text(&args[0]))),
        Func::LenList => Value::Int(list(&args[0]).len() as i64),
        Func::Split => texts(scalar::split(text(&args[0]), text(&args[1]))?),
        Func::Words => texts(scalar::words(text(&args[0]))),
        Func::Chars => Value::List(text(&args[0]).chars().map(|c| Value::text(c.encode_utf8(&mut [0; 4]))).collect()),
        Func::ContainsText => Value::Bool(text(&args[0]).contains(text(&args[1]))),
        Func::ContainsList => Value::Bool(list(&args[0]).contains(&args[1])),
        Func::StartsWith => Value::Bool(text(&args[0]).starts_with(text(&args[1]))),
        Func::EndsWith => Value::Bool(text(&args[0]).ends_with(text(&args[1]))),
        Func::Replace => text_value(text(&args[0]).replace(text(&args[1]), text(&args[2]))),
        Func::Matches => unreachable!("an engine compiles the pattern of `matches`"),
        Func::SliceText => Value::text(scalar::slice(text(&args[0]), int(&args[1]), int(&args[2]))),
        Func::SliceList => {
            let items = list(&args[0]);
            Value::List(items[scalar::slice_range(items.len(), int(&args[1]), int(&args[2]))].into())
        }
        Func::ReverseText => text_value(scalar::reverse(text(&args[0]))),
        Func::ReverseList => Value::List(list(&args[0]).iter().rev().cloned().collect()),
        Func::SortedText => text_value(scalar::sorted(text(&args[0]))),
        Func::SortedList => {
            let mut items = list(&args[0]).to_vec();
            items.sort_by(Value::compare);
            Value::List(items.into())
        }
        Func::JoinList => {
            let parts: Vec<&str> = list(&args[0]).iter().filter(|item| !item.is_null()).map(text).collect();
            text_value(parts.join(text(&args[1])))
        }
        Func::SumInts => {
            let total: i128 = present(&args[0]).map(|item| i128::from(int(item))).sum();
            Value::Int(i64::try_from(total).map_err(|_| ScalarError::Overflow)?)
        }
        Func::SumFloats => Value::Float(scalar::sum_floats(present(&args[0]).map(float))),
        Func::MinList => present(&args[0]).min_by(|a, b| a.compare(b)).cloned().unwrap_or_default(),
        Func::MaxList => present(&args[0]).max_by(|a, b| a.compare(b)).cloned().unwrap_or_default(),
        Func::Range => Value::List(scalar::range(int(&args[0]), int(&args[1]))?.map(Value::Int).collect()),
        Func::AbsInt => Value::Int(scalar::absolute(int(&args[0]))?),
        Func::Get => store::get_value(text(&args[0]), int(&args[1]))?.map_or(Value::Null, Value::Int),
        Func::PowInt => Value::Int(scalar::power(int(&args[0]), int(&args[1]))?),
        Func::PowFloat => Value::Float(float(&args[0]).powf(float(&args[1]))),
        Func::RoundInt => Value::Int(scalar::round_int_to(int(&args[0]), int(&args[1]))?),
        Func::RoundFloat => Value::Float(scalar::round_to(float(&args[0]), int(&args[1]))),
        Func::AbsFloat | Func::Round | Func::Sqrt | Func::FloatToFloat(_) => {
            Value::Float(float_function(func)(float(&args[0])))
        }
        Func::Same => args[0].clone(),
        Func::IntFromFloat => Value::Int(scalar::int_from_float(float(&args[0]))?),
        Func::IntFromText => Value::Int(scalar::int_from_text(text(&args[0]))?),
        Func::IntFromBool => Value::Int(i64::from(boolean(&args[0]))),
        Func::FloatFromInt => Value::Float(int(&args[0]) as f64),
        Func::FloatFromText => Value::Float(scalar::float_from_text(text(&args[0]))?),
        Func::TextFrom => text_value(plain_text(&args[0])),
        Func::BoolFromInt => Value::Bool(int(&args[0]) != 0),
        Func::BoolFromText => Value::Bool(scalar::bool_from_text(text(&args[0]))?),
        Func::IsNull => Value::Bool(args[0].is_null()),
        Func::Coalesce => args.iter().find(|value| !value.is_null()).cloned().unwrap_or_default(),
        Func::Format => {
            let mut out = String::new();
            let mut rest = text(&args[0]);
            for value in &args[1..] {
                let (before, shown, after) = next_place(rest).expect("binding counted the places");
                out.push_str(before);
                out.push_str(&match (shown, value) {
                    (Shown::Places(places), Value::Int(i)) => scalar::fixed_int(*i, places),
                    (Shown::Places(places), Value::Float(x)) => scalar::fixed_float(*x, places),
                    (_, value) => plain_text(value),
                });
                rest = after;
            }
            out.push_str(rest);
            text_value(out)
        }
    })
}

/// Asks for the memory of a value before it is made.
pub fn request(bytes: usize) -> Result<(), ScalarError> {
    if bytes <= SMALL || measure::may_allocate(bytes) {
        return Ok(());
    }
    let mib = bytes as f64 / f64::from(1 << 20);
    Err(ScalarError::Domain(format!("a value of {mib:.1} MiB needs more memory than this run is allowed")))
}

/// Between pieces of this many bytes Ctrl-C is looked at.
const PIECE: usize = 4 << 20;

/// Texts one after the other, in one allocation.
pub fn joined_text(parts: &[&str]) -> Arc<str> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut made: Arc<[MaybeUninit<u8>]> = Arc::new_uninit_slice(length);
    let mut room = Arc::get_mut(&mut made).expect("nobody else has it yet");
    for piece in parts.iter().flat_map(|part| part.as_bytes().chunks(PIECE)) {
        if piece.len() == PIECE {
            measure::end_if_stopped();
        }
        let (here, rest) = room.split_at_mut(piece.len());
        here.write_copy_of_slice(piece);
        room = rest;
    }
    // SAFETY: all of it was written, and the parts are whole texts.
    unsafe { Arc::from_raw(Arc::into_raw(made.assume_init()) as *const str) }
}

/// Lists one after the other.
pub fn joined_list(parts: &[&[Value]]) -> Arc<[Value]> {
    const ITEMS: usize = PIECE / size_of::<Value>();
    let mut items = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    for piece in parts.iter().flat_map(|part| part.chunks(ITEMS)) {
        if piece.len() == ITEMS {
            measure::end_if_stopped();
        }
        items.extend_from_slice(piece);
    }
    items.into()
}

/// Adds a text at the end of another.
pub fn append(text: &mut String, mut more: &str) {
    text.reserve(more.len());
    while more.len() > PIECE {
        measure::end_if_stopped();
        let (piece, rest) = more.split_at(more.floor_char_boundary(PIECE));
        text.push_str(piece);
        more = rest;
    }
    text.push_str(more);
}

/// What is not asked for: the run looks at its memory between steps.
const SMALL: usize = 64 << 10;

/// About how much memory the value takes, where it may be much more than its arguments.
fn bytes_needed(func: Func, args: &[Value]) -> usize {
    let each = size_of::<Value>();
    match (func, args) {
        (Func::Range, [Value::Int(a), Value::Int(b)]) => {
            usize::try_from(b.saturating_sub(*a)).unwrap_or(0).min(scalar::LONGEST_RANGE as usize).saturating_mul(each)
        }
        // A short text has an allocation of its own.
        (Func::Chars | Func::Words, [Value::Text(text)]) => text.len().saturating_mul(each + 32),
        (Func::Split, [Value::Text(text), ..]) => text.len().saturating_mul(each + 32) / 2,
        (Func::Replace, [Value::Text(text), Value::Text(part), Value::Text(with)]) if text.len() >= 256 => {
            let most = (text.len() + 1) / part.len().max(1) + 1;
            text.len().saturating_add(match with.len() > part.len() && most.saturating_mul(with.len()) > SMALL {
                true => text.matches(&**part).count().saturating_mul(with.len()),
                false => 0,
            })
        }
        (Func::JoinList, [Value::List(items), Value::Text(between)]) => {
            let texts = items.iter().map(|item| if let Value::Text(text) = item { text.len() } else { 0 });
            texts.sum::<usize>().saturating_add(items.len().saturating_mul(between.len()))
        }
        (Func::SliceList | Func::ReverseList | Func::SortedList, [Value::List(items), ..]) => items.len() * each,
        _ => 0,
    }
}

/// The functions from a float to a float.
///
/// # Panics
/// For any other function.
pub fn float_function(func: Func) -> fn(f64) -> f64 {
    match func {
        Func::AbsFloat => f64::abs,
        Func::Round => scalar::round,
        Func::Sqrt => f64::sqrt,
        Func::FloatToFloat(function) => function.apply,
        _ => unreachable!("not a function from a float to a float"),
    }
}

/// A value as `text(x)` and `format` write it: texts as they are.
fn plain_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        other => other.to_string(),
    }
}

const MISTYPED: &str = "the plan's types hold";

fn text(value: &Value) -> &str {
    if let Value::Text(text) = value { text } else { panic!("{MISTYPED}") }
}

fn int(value: &Value) -> i64 {
    if let Value::Int(int) = value { *int } else { panic!("{MISTYPED}") }
}

fn float(value: &Value) -> f64 {
    if let Value::Float(float) = value { *float } else { panic!("{MISTYPED}") }
}

fn boolean(value: &Value) -> bool {
    if let Value::Bool(bool) = value { *bool } else { panic!("{MISTYPED}") }
}

fn list(value: &Value) -> &[Value] {
    if let Value::List(items) = value { items } else { panic!("{MISTYPED}") }
}

fn present(value: &Value) -> impl Iterator<Item = &Value> {
    list(value).iter().filter(|item| !item.is_null())
}

fn text_value(text: String) -> Value {
    Value::Text(Arc::from(text))
}

fn texts<'a>(parts: impl Iterator<Item = &'a str>) -> Value {
    Value::List(parts.map(Value::text).collect())
}
