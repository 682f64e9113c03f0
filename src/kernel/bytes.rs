//! Batches as bytes, for files that are spilled and for other processes on the same machine: column after column. Ints
//! take as many bytes as their range needs (frame of reference), and a float that all rows share stands once: to write
//! and to read fewer bytes costs less than to make them fewer.

use crate::data::Value;

use super::column::{Batch, Column, Data, Ints};
use super::slots::{Nulls, Slots};
use super::texts::{GeneratedTexts, Texts};

/// The bytes of a batch: its rows and its columns.
pub fn to_bytes(batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_batch(batch, &mut bytes);
    bytes
}

/// Adds the same to what is there.
pub fn put_batch(batch: &Batch, bytes: &mut Vec<u8>) {
    put_size(batch.rows, bytes);
    put_size(batch.columns.len(), bytes);
    for column in &batch.columns {
        put_column(column, batch.rows, bytes);
    }
}

/// The batch of such bytes; none where they are not those of one.
pub fn from_bytes(bytes: &[u8]) -> Option<Batch> {
    let mut bytes = bytes;
    let (rows, columns) = (size(&mut bytes)?, size(&mut bytes)?);
    let columns = (0..columns).map(|_| column(rows, &mut bytes)).collect::<Option<_>>()?;
    bytes.is_empty().then_some(Batch { rows, columns })
}

fn put_size(size: usize, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(size as u64).to_le_bytes());
}

fn put_column(column: &Column, rows: usize, bytes: &mut Vec<u8>) {
    match &column.nulls {
        Nulls::None => bytes.push(0),
        Nulls::All => bytes.push(1),
        Nulls::Some(flags) => {
            bytes.push(2);
            bytes.extend(flags.iter().map(|null| u8::from(*null)));
        }
    }
    match &column.data {
        Data::Int(ints) => {
            bytes.push(0);
            match &ints.slots {
                Slots::One(value) => put_ints(&vec![*value; rows.min(1)], bytes),
                Slots::Each(values) => put_ints(values, bytes),
            }
        }
        Data::Float(slots) => {
            let first = if rows > 0 { *slots.at(0) } else { 0.0 };
            let is_one = match slots {
                Slots::One(_) => true,
                Slots::Each(values) => values.iter().all(|value| value.to_bits() == first.to_bits()),
            };
            if is_one {
                bytes.push(5);
                bytes.extend_from_slice(&first.to_le_bytes());
            } else {
                bytes.push(1);
                (0..rows).for_each(|row| bytes.extend_from_slice(&slots.at(row).to_le_bytes()));
            }
        }
        Data::Bool(slots) => {
            bytes.push(2);
            bytes.extend((0..rows).map(|row| u8::from(*slots.at(row))));
        }
        Data::Text(texts) => {
            bytes.push(3);
            let lengths: Vec<i64> = (0..rows).map(|row| texts.at(row).len() as i64).collect();
            put_ints(&lengths, bytes);
            bytes.reserve(lengths.iter().sum::<i64>() as usize);
            (0..rows).for_each(|row| bytes.extend_from_slice(texts.at(row).as_bytes()));
        }
        Data::List(slots) => {
            bytes.push(4);
            (0..rows).for_each(|row| put_value(slots.at(row), bytes));
        }
    }
}

/// The least of them and how many bytes each takes above it, then these.
fn put_ints(values: &[i64], bytes: &mut Vec<u8>) {
    let least = values.iter().copied().min().unwrap_or(0);
    let range = values.iter().copied().max().unwrap_or(0).wrapping_sub(least) as u64;
    let width = WIDTHS.into_iter().find(|width| range >> (4 * width) >> (4 * width) == 0).unwrap_or(8);
    bytes.push(width as u8);
    bytes.extend_from_slice(&least.to_le_bytes());
    let start = bytes.len();
    bytes.resize(start + values.len() * width, 0);
    let rest = &mut bytes[start..];
    match width {
        0 => {}
        1 => put_narrow(values, least, rest, |value| [value as u8]),
        2 => put_narrow(values, least, rest, |value| (value as u16).to_le_bytes()),
        4 => put_narrow(values, least, rest, |value| (value as u32).to_le_bytes()),
        _ => put_narrow(values, least, rest, u64::to_le_bytes),
    }
}

/// How many bytes an int may take.
const WIDTHS: [usize; 5] = [0, 1, 2, 4, 8];

fn put_narrow<const N: usize>(values: &[i64], least: i64, bytes: &mut [u8], narrow: impl Fn(u64) -> [u8; N]) {
    let places = bytes.as_chunks_mut::<N>().0;
    places.iter_mut().zip(values).for_each(|(place, value)| *place = narrow(value.wrapping_sub(least) as u64));
}

fn put_text(text: &str, bytes: &mut Vec<u8>) {
    put_size(text.len(), bytes);
    bytes.extend_from_slice(text.as_bytes());
}

fn put_value(value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::Null => bytes.push(0),
        Value::Int(i) => {
            bytes.push(1);
            bytes.extend_from_slice(&i.to_le_bytes());
        }
        Value::Float(x) => {
            bytes.push(2);
            bytes.extend_from_slice(&x.to_le_bytes());
        }
        Value::Bool(b) => bytes.extend_from_slice(&[3, u8::from(*b)]),
        Value::Text(text) => {
            bytes.push(4);
            put_text(text, bytes);
        }
        Value::List(items) => {
            bytes.push(5);
            put_size(items.len(), bytes);
            items.iter().for_each(|item| put_value(item, bytes));
        }
    }
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn eight(bytes: &mut &[u8]) -> Option<[u8; 8]> {
    take(bytes, 8)?.try_into().ok()
}

fn size(bytes: &mut &[u8]) -> Option<usize> {
    // What is longer than all that follows is a mistake, for which no memory is asked.
    let size = usize::try_from(u64::from_le_bytes(eight(bytes)?)).ok()?;
    (size <= u32::MAX as usize).then_some(size)
}

fn flags(rows: usize, bytes: &mut &[u8]) -> Option<Vec<bool>> {
    Some(take(bytes, rows)?.iter().map(|flag| *flag != 0).collect())
}

/// As [`put_ints`] has written them.
fn ints(rows: usize, bytes: &mut &[u8]) -> Option<Slots<i64>> {
    let width = usize::from(*take(bytes, 1)?.first()?);
    let least = i64::from_le_bytes(eight(bytes)?);
    let narrow = take(bytes, rows.checked_mul(width)?)?;
    Some(Slots::each(match width {
        0 => return Some(Slots::One(least)),
        1 => narrow.iter().map(|byte| least.wrapping_add(i64::from(*byte))).collect(),
        2 => wide(narrow, least, |two| u64::from(u16::from_le_bytes(two))),
        4 => wide(narrow, least, |four| u64::from(u32::from_le_bytes(four))),
        8 => wide(narrow, least, u64::from_le_bytes),
        _ => return None,
    }))
}

fn wide<const N: usize>(narrow: &[u8], least: i64, wide: impl Fn([u8; N]) -> u64) -> Vec<i64> {
    narrow.as_chunks::<N>().0.iter().map(|place| least.wrapping_add(wide(*place) as i64)).collect()
}

fn words<T>(rows: usize, bytes: &mut &[u8], word: fn([u8; 8]) -> T) -> Option<Vec<T>> {
    let words = take(bytes, rows.checked_mul(8)?)?.chunks_exact(8);
    Some(words.map(|eight| word(eight.try_into().expect("these are eight"))).collect())
}

fn column(rows: usize, bytes: &mut &[u8]) -> Option<Column> {
    let nulls = match take(bytes, 1)? {
        [0] => Nulls::None,
        [1] => Nulls::All,
        [2] => Nulls::of(flags(rows, bytes)?),
        _ => return None,
    };
    let data = match take(bytes, 1)? {
        [0] => Data::Int(Ints { slots: ints(rows, bytes)?, bounds: None }),
        [1] => Data::Float(Slots::each(words(rows, bytes, f64::from_le_bytes)?)),
        [2] => Data::Bool(Slots::each(flags(rows, bytes)?)),
        [3] => {
            let lengths = ints(rows, bytes)?;
            if let Slots::One(0) = lengths {
                return Some(Column { data: Data::Text(Texts::one("")), nulls });
            }
            let length = |row: usize| usize::try_from(*lengths.at(row)).ok();
            let all = (0..rows).try_fold(0_usize, |all, row| all.checked_add(length(row)?))?;
            let mut rest = std::str::from_utf8(take(bytes, all)?).ok()?;
            let mut made = GeneratedTexts::with_capacity(rows);
            for row in 0..rows {
                let (text, after) = rest.split_at_checked(length(row)?)?;
                made.push(text);
                rest = after;
            }
            Data::Text(made.finish())
        }
        [5] => Data::Float(Slots::One(f64::from_le_bytes(eight(bytes)?))),
        [4] => Data::List(Slots::each((0..rows).map(|_| value(bytes)).collect::<Option<_>>()?)),
        _ => return None,
    };
    Some(Column { data, nulls })
}

fn text<'b>(bytes: &mut &'b [u8]) -> Option<&'b str> {
    let length = size(bytes)?;
    std::str::from_utf8(take(bytes, length)?).ok()
}

fn value(bytes: &mut &[u8]) -> Option<Value> {
    Some(match take(bytes, 1)? {
        [0] => Value::Null,
        [1] => Value::Int(i64::from_le_bytes(eight(bytes)?)),
        [2] => Value::Float(f64::from_le_bytes(eight(bytes)?)),
        [3] => Value::Bool(*take(bytes, 1)?.first()? != 0),
        [4] => Value::text(text(bytes)?),
        [5] => {
            let items = size(bytes)?;
            Value::List((0..items).map(|_| value(bytes)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
