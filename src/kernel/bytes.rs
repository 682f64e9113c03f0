//! Batches as bytes, for files that are spilled and for other processes on the same machine: column after column, as
//! their slots stand in memory.

use crate::data::Value;

use super::column::{Batch, Column, Data, Ints};
use super::slots::{Nulls, Slots};
use super::texts::GeneratedTexts;

/// The bytes of a batch: its rows and its columns.
pub fn to_bytes(batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_size(batch.rows, &mut bytes);
    put_size(batch.columns.len(), &mut bytes);
    for column in &batch.columns {
        put_column(column, batch.rows, &mut bytes);
    }
    bytes
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
            (0..rows).for_each(|row| bytes.extend_from_slice(&ints.slots.at(row).to_le_bytes()));
        }
        Data::Float(slots) => {
            bytes.push(1);
            (0..rows).for_each(|row| bytes.extend_from_slice(&slots.at(row).to_le_bytes()));
        }
        Data::Bool(slots) => {
            bytes.push(2);
            bytes.extend((0..rows).map(|row| u8::from(*slots.at(row))));
        }
        Data::Text(texts) => {
            bytes.push(3);
            (0..rows).for_each(|row| put_text(texts.at(row), bytes));
        }
        Data::List(slots) => {
            bytes.push(4);
            (0..rows).for_each(|row| put_value(slots.at(row), bytes));
        }
    }
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
        [0] => Data::Int(Ints { slots: Slots::each(words(rows, bytes, i64::from_le_bytes)?), bounds: None }),
        [1] => Data::Float(Slots::each(words(rows, bytes, f64::from_le_bytes)?)),
        [2] => Data::Bool(Slots::each(flags(rows, bytes)?)),
        [3] => {
            let mut made = GeneratedTexts::default();
            for _ in 0..rows {
                made.push(text(bytes)?);
            }
            Data::Text(made.finish())
        }
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
