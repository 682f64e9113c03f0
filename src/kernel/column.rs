//! Columns of a batch.

use crate::data::{Type, Value};

use super::rows::value_size;
use super::slots::{Nulls, Slots};
use super::texts::{GeneratedTexts, Texts};

/// Ints, and bounds on all slots where they are known: then arithmetic need not be checked.
#[derive(Debug, Clone)]
pub struct Ints {
    pub slots: Slots<i64>,
    /// The least and the largest that a slot may hold.
    pub bounds: Option<(i64, i64)>,
}

#[derive(Debug, Clone)]
pub enum Data {
    Int(Ints),
    Float(Slots<f64>),
    Bool(Slots<bool>),
    Text(Texts),
    /// Lists, as values.
    List(Slots<Value>),
}

/// One column of a batch. Cloning is cheap: slots are shared.
#[derive(Debug, Clone)]
pub struct Column {
    pub data: Data,
    pub nulls: Nulls,
}

impl Column {
    pub fn ints(values: Vec<i64>, bounds: Option<(i64, i64)>) -> Column {
        Column { data: Data::Int(Ints { slots: Slots::each(values), bounds }), nulls: Nulls::None }
    }

    pub fn floats(values: Vec<f64>) -> Column {
        Column { data: Data::Float(Slots::each(values)), nulls: Nulls::None }
    }

    pub fn bools(values: Vec<bool>) -> Column {
        Column { data: Data::Bool(Slots::each(values)), nulls: Nulls::None }
    }

    pub fn texts(texts: Texts) -> Column {
        Column { data: Data::Text(texts), nulls: Nulls::None }
    }

    pub fn with_nulls(self, nulls: Nulls) -> Column {
        Column { data: self.data, nulls }
    }

    /// The same value in every row.
    pub fn constant(value: &Value, ty: &Type) -> Column {
        let data = match (value, ty) {
            (Value::Int(i), Type::Float) => Data::Float(Slots::One(*i as f64)),
            (Value::Int(i), _) => Data::Int(Ints { slots: Slots::One(*i), bounds: Some((*i, *i)) }),
            (Value::Float(x), _) => Data::Float(Slots::One(*x)),
            (Value::Bool(b), _) => Data::Bool(Slots::One(*b)),
            (Value::Text(text), _) => Data::Text(Texts::one(text)),
            (Value::List(_), _) => Data::List(Slots::One(value.clone())),
            (Value::Null, Type::Int) => Data::Int(Ints { slots: Slots::One(0), bounds: Some((0, 0)) }),
            (Value::Null, Type::Float) => Data::Float(Slots::One(0.0)),
            (Value::Null, Type::Bool) => Data::Bool(Slots::One(false)),
            (Value::Null, Type::Text | Type::Open | Type::Never) => Data::Text(Texts::one("")),
            (Value::Null, Type::List(_)) => Data::List(Slots::One(Value::Null)),
        };
        Column { data, nulls: if value.is_null() { Nulls::All } else { Nulls::None } }
    }

    /// A column of `ty` from its values.
    pub fn from_values(values: Vec<Value>, ty: &Type) -> Column {
        let nulls = Nulls::of(values.iter().map(Value::is_null).collect());
        let data = match ty {
            Type::Int => {
                let int = |value: &Value| if let Value::Int(i) = value { *i } else { 0 };
                Data::Int(Ints { slots: Slots::each(values.iter().map(int).collect()), bounds: None })
            }
            Type::Float => {
                let float = |value: &Value| match value {
                    Value::Float(x) => *x,
                    Value::Int(i) => *i as f64,
                    Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) => 0.0,
                };
                Data::Float(Slots::each(values.iter().map(float).collect()))
            }
            Type::Bool => Data::Bool(Slots::each(values.iter().map(|value| *value == Value::Bool(true)).collect())),
            Type::Text | Type::Open | Type::Never => {
                let mut made = GeneratedTexts::with_capacity(values.len());
                for value in &values {
                    made.push(if let Value::Text(text) = value { text } else { "" });
                }
                Data::Text(made.finish())
            }
            Type::List(_) => Data::List(Slots::each(values)),
        };
        Column { data, nulls }
    }

    #[inline]
    pub fn value(&self, row: usize) -> Value {
        if self.nulls.at(row) {
            return Value::Null;
        }
        match &self.data {
            Data::Int(ints) => Value::Int(*ints.slots.at(row)),
            Data::Float(floats) => Value::Float(*floats.at(row)),
            Data::Bool(bools) => Value::Bool(*bools.at(row)),
            Data::Text(texts) => Value::text(texts.at(row)),
            Data::List(values) => values.at(row).clone(),
        }
    }

    /// These rows, in this order.
    pub fn gathered(&self, rows: &[u32]) -> Column {
        let data = match &self.data {
            Data::Int(ints) => Data::Int(Ints { slots: ints.slots.gathered(rows), bounds: ints.bounds }),
            Data::Float(floats) => Data::Float(floats.gathered(rows)),
            Data::Bool(bools) => Data::Bool(bools.gathered(rows)),
            Data::Text(texts) => Data::Text(texts.gathered(rows)),
            Data::List(values) => Data::List(values.gathered(rows)),
        };
        Column { data, nulls: self.nulls.gathered(rows) }
    }

    fn bytes(&self, rows: usize) -> u64 {
        let bytes = match &self.data {
            Data::Int(_) | Data::Float(_) => 8 * rows,
            Data::Bool(_) => rows,
            Data::Text(texts) => (0..rows).map(|row| size_of::<u128>() + texts.at(row).len()).sum(),
            Data::List(values) => (0..rows).map(|row| value_size(values.at(row))).sum(),
        };
        bytes as u64
    }

    /// `rows` rows from `start`.
    pub fn part(&self, start: usize, rows: usize) -> Column {
        let data = match &self.data {
            Data::Int(ints) => Data::Int(Ints { slots: ints.slots.part(start, rows), bounds: ints.bounds }),
            Data::Float(floats) => Data::Float(floats.part(start, rows)),
            Data::Bool(bools) => Data::Bool(bools.part(start, rows)),
            Data::Text(texts) => Data::Text(texts.cut(start, rows)),
            Data::List(values) => Data::List(values.part(start, rows)),
        };
        Column { data, nulls: self.nulls.part(start, rows) }
    }
}

/// Some rows of a table, by column.
#[derive(Debug, Clone)]
pub struct Batch {
    pub rows: usize,
    pub columns: Vec<Column>,
}

impl Batch {
    /// The bytes of its values, about: as if no column had one value for all rows.
    pub fn bytes(&self) -> u64 {
        self.columns.iter().map(|column| column.bytes(self.rows)).sum()
    }

    pub fn gathered(&self, rows: &[u32]) -> Batch {
        Batch { rows: rows.len(), columns: self.columns.iter().map(|column| column.gathered(rows)).collect() }
    }

    /// The bytes that it takes, some of which may be shared. It walks over lists.
    pub fn size(&self) -> usize {
        let data = |column: &Column| match &column.data {
            Data::Int(_) | Data::Float(_) => 8 * self.rows,
            Data::Bool(_) => self.rows,
            Data::Text(texts) => 16 * self.rows + texts.buffers().list.iter().map(|bytes| bytes.len()).sum::<usize>(),
            Data::List(slots) => (0..self.rows).map(|row| value_size(slots.at(row))).sum(),
        };
        self.columns.iter().map(data).sum()
    }

    pub fn part(&self, start: usize, rows: usize) -> Batch {
        if start == 0 && rows == self.rows {
            return self.clone();
        }
        Batch { rows, columns: self.columns.iter().map(|column| column.part(start, rows)).collect() }
    }
}

/// One slot of the same kind, for a column that is null everywhere.
pub(super) fn empty_slot(data: &Data) -> Data {
    match data {
        Data::Int(_) => Data::Int(Ints { slots: Slots::One(0), bounds: Some((0, 0)) }),
        Data::Float(_) => Data::Float(Slots::One(0.0)),
        Data::Bool(_) => Data::Bool(Slots::One(false)),
        Data::Text(_) => Data::Text(Texts::one("")),
        Data::List(_) => Data::List(Slots::One(Value::Null)),
    }
}
