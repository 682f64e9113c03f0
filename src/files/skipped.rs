//! Row groups of parquet files that need not be read: their statistics say that no row of them is wanted.

use polars::prelude::{ArrowDataType, ArrowSchema, FileMetadataRef};

use crate::data::Value;
use crate::lang::Comparison;
use crate::plan::{Bound, Read};

use super::dates;

/// Texts of statistics that are longer may have been cut short.
const MOST_LETTERS: usize = 32;

/// For each row group whether it is read. Without bounds, and where a wanted column may hold a value that is an error,
/// all are.
pub fn needed(read: &Read, metadata: &FileMetadataRef, schema: &ArrowSchema) -> Vec<bool> {
    let never_fails =
        |index: &usize| schema.get(&read.fields[*index].name).is_some_and(|field| is_simple(field.dtype()));
    let groups = metadata.row_groups.len();
    if read.bounds.is_empty() || !read.wanted.iter().all(never_fails) {
        return vec![true; groups];
    }
    (0..groups).map(|group| read.bounds.iter().all(|bound| may_hold(read, bound, metadata, schema, group))).collect()
}

/// Whether every value of this type has a place in a table.
fn is_simple(dtype: &ArrowDataType) -> bool {
    use ArrowDataType::{
        Boolean, Date32, Decimal, Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, UInt8, UInt16, UInt32, Utf8,
        Utf8View,
    };
    matches!(
        dtype,
        Boolean
            | Date32
            | Decimal(..)
            | Float32
            | Float64
            | Int8
            | Int16
            | Int32
            | Int64
            | UInt8
            | UInt16
            | UInt32
            | Utf8
            | LargeUtf8
            | Utf8View
    )
}

/// Whether a row group may have a row within a bound, by the least and the largest value of the column.
fn may_hold(read: &Read, bound: &Bound, metadata: &FileMetadataRef, schema: &ArrowSchema, group: usize) -> bool {
    let name = &*read.fields[bound.field].name;
    let found = || {
        let dtype = schema.get(name)?.dtype();
        let columns = metadata.row_groups[group].parquet_columns();
        let column =
            columns.iter().find(|column| matches!(&column.descriptor().path_in_schema[..], [only] if only == name))?;
        let statistics = column.statistics(&metadata.footer_buf)?.ok()?;
        let whole = |least: i64, most: i64| ends_of_ints(dtype, least.into(), most.into());
        if let Some(ints) = statistics.as_int32() {
            whole(ints.min_value?.into(), ints.max_value?.into())
        } else if let Some(ints) = statistics.as_int64() {
            whole(ints.min_value?, ints.max_value?)
        } else if let Some(floats) = statistics.as_double() {
            ends_of_floats(floats.min_value?)
        } else if let Some(floats) = statistics.as_float() {
            ends_of_floats(floats.min_value?.into())
        } else if let Some(bytes) = statistics.as_fixedlen() {
            let is_decimal = matches!(dtype, ArrowDataType::Decimal(..));
            let int = |bytes: &Option<Vec<u8>>| bytes.as_deref().filter(|_| is_decimal).and_then(big_endian);
            ends_of_ints(dtype, int(&bytes.min_value)?, int(&bytes.max_value)?)
        } else {
            let texts = statistics.as_binary()?;
            let text = |bytes: &Option<Vec<u8>>| {
                let bytes = bytes.as_ref().filter(|bytes| bytes.len() <= MOST_LETTERS)?;
                std::str::from_utf8(bytes).ok().map(Value::text)
            };
            let is_text = matches!(dtype, ArrowDataType::Utf8 | ArrowDataType::LargeUtf8 | ArrowDataType::Utf8View);
            is_text.then(|| (text(&texts.min_value), text(&texts.max_value)))
        }
    };
    // Without statistics it may.
    let Some((least, most)) = found() else { return true };
    let (below, above) = (|least: &Value| order(least, &bound.value), |most: &Value| order(most, &bound.value));
    let starts = |is: fn(std::cmp::Ordering) -> bool| least.as_ref().and_then(below).is_none_or(is);
    let ends = |is: fn(std::cmp::Ordering) -> bool| most.as_ref().and_then(above).is_none_or(is);
    match bound.comparison {
        Comparison::Less => starts(std::cmp::Ordering::is_lt),
        Comparison::LessEqual => starts(std::cmp::Ordering::is_le),
        Comparison::Greater => ends(std::cmp::Ordering::is_gt),
        Comparison::GreaterEqual => ends(std::cmp::Ordering::is_ge),
        Comparison::Equal => starts(std::cmp::Ordering::is_le) && ends(std::cmp::Ordering::is_ge),
        Comparison::NotEqual => true,
    }
}

/// An int of at most 16 bytes, the first of which has the sign.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()? as i8;
    let rest = |so_far: i128, byte: &u8| so_far << 8 | i128::from(*byte);
    (bytes.len() <= 16).then(|| bytes[1..].iter().fold(i128::from(first), rest))
}

type Ends = (Option<Value>, Option<Value>);

/// The ends of what is stored as ints, as values of the language.
fn ends_of_ints(dtype: &ArrowDataType, least: i128, most: i128) -> Option<Ends> {
    use ArrowDataType::{Date32, Decimal, Int8, Int16, Int32, Int64};
    match dtype {
        Int8 | Int16 | Int32 | Int64 => {
            let int = |number: i128| i64::try_from(number).ok().map(Value::Int);
            Some((Some(int(least)?), Some(int(most)?)))
        }
        Date32 => {
            // Text of years with four digits has the order of its days.
            let text = |day: i128| {
                let day = i64::try_from(day).ok().filter(|day| dates::is_plain(*day))?;
                Some(Value::text(&dates::text(day)))
            };
            Some((Some(text(least)?), Some(text(most)?)))
        }
        Decimal(_, scale) => {
            // As floats they are rounded: the ends move apart by more than that.
            let float = |number: i128| number as f64 / 10f64.powi(*scale as i32);
            let (least, most) = (float(least), float(most));
            Some((Some(Value::Float(least - least.abs() * 1e-9)), Some(Value::Float(most + most.abs() * 1e-9))))
        }
        _ => None,
    }
}

/// NaN is no end of statistics and is over every other float.
fn ends_of_floats(least: f64) -> Option<Ends> {
    (!least.is_nan()).then_some((Some(Value::Float(least)), None))
}

/// The order of two values of one type; none where there is no plain one.
fn order(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) if !b.is_nan() => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        _ => None,
    }
}
