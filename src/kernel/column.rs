//! Columns of a batch: typed, shared, with constants that take no room.

use std::sync::Arc;

use crate::data::{Type, Value};

/// The values of a column: one for all rows, or one for each.
#[derive(Debug, Clone)]
pub enum Slots<T> {
    One(T),
    Each(Arc<Vec<T>>),
}

impl<T: Clone> Slots<T> {
    pub fn each(values: Vec<T>) -> Slots<T> {
        Slots::Each(Arc::new(values))
    }

    #[inline(always)]
    pub fn at(&self, row: usize) -> &T {
        match self {
            Slots::One(value) => value,
            Slots::Each(values) => &values[row],
        }
    }

    fn gathered(&self, rows: &[u32]) -> Slots<T> {
        match self {
            Slots::One(value) => Slots::One(value.clone()),
            Slots::Each(values) => Slots::each(rows.iter().map(|row| values[*row as usize].clone()).collect()),
        }
    }

    fn part(&self, start: usize, rows: usize) -> Slots<T> {
        match self {
            Slots::One(value) => Slots::One(value.clone()),
            Slots::Each(values) if start == 0 && rows == values.len() => Slots::Each(values.clone()),
            Slots::Each(values) => Slots::each(values[start..start + rows].to_vec()),
        }
    }
}

/// Which rows are null. What stands in the slot of such a row means nothing.
#[derive(Debug, Clone)]
pub enum Nulls {
    None,
    All,
    /// True where the row is null.
    Some(Arc<Vec<bool>>),
}

impl Nulls {
    /// Null where the flag is up.
    pub fn of(flags: Vec<bool>) -> Nulls {
        if flags.contains(&true) { Nulls::Some(Arc::new(flags)) } else { Nulls::None }
    }

    #[inline(always)]
    pub fn at(&self, row: usize) -> bool {
        match self {
            Nulls::None => false,
            Nulls::All => true,
            Nulls::Some(flags) => flags[row],
        }
    }

    /// Null where one of the two is.
    pub fn or(&self, other: &Nulls) -> Nulls {
        match (self, other) {
            (Nulls::All, _) | (_, Nulls::All) => Nulls::All,
            (Nulls::None, nulls) | (nulls, Nulls::None) => nulls.clone(),
            (Nulls::Some(a), Nulls::Some(b)) => {
                Nulls::Some(Arc::new(a.iter().zip(b.iter()).map(|(a, b)| a | b).collect()))
            }
        }
    }

    fn gathered(&self, rows: &[u32]) -> Nulls {
        match self {
            Nulls::None => Nulls::None,
            Nulls::All => Nulls::All,
            Nulls::Some(flags) => Nulls::of(rows.iter().map(|row| flags[*row as usize]).collect()),
        }
    }

    fn part(&self, start: usize, rows: usize) -> Nulls {
        match self {
            Nulls::None => Nulls::None,
            Nulls::All => Nulls::All,
            Nulls::Some(flags) => Nulls::of(flags[start..start + rows].to_vec()),
        }
    }
}

/// Ints, and bounds on all slots where they are known: then arithmetic need not be checked.
#[derive(Debug, Clone)]
pub struct Ints {
    pub slots: Slots<i64>,
    /// The least and the largest that a slot may hold.
    pub bounds: Option<(i64, i64)>,
}

/// A text's place in its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    pub start: usize,
    pub len: u32,
}

/// Texts as places in shared bytes, which are often those that were read from a file.
#[derive(Debug, Clone)]
pub struct Texts {
    /// UTF-8 at every place, and at least [`PADDING`] bytes after the end of each.
    bytes: Arc<Vec<u8>>,
    pub places: Slots<Place>,
    /// No byte of any text is over 127.
    pub ascii: bool,
    /// The places are in order, and nothing but white space stands between them.
    pub spaced: bool,
}

/// Sixteen bytes may be read at the start of every text.
pub const PADDING: usize = 16;

impl Texts {
    /// # Safety
    /// `bytes` hold UTF-8 at every place.
    pub unsafe fn new(bytes: Arc<Vec<u8>>, places: Slots<Place>, ascii: bool) -> Texts {
        Texts { bytes, places, ascii, spaced: false }
    }

    pub fn one(text: &str) -> Texts {
        let mut made = Made::default();
        made.push(text);
        let texts = made.finish();
        Texts { places: Slots::One(Place { start: 0, len: text.len() as u32 }), ..texts }
    }

    #[inline(always)]
    pub fn at(&self, row: usize) -> &str {
        self.text(*self.places.at(row))
    }

    #[inline(always)]
    pub fn text(&self, place: Place) -> &str {
        let bytes = &self.bytes[place.start..place.start + place.len as usize];
        // SAFETY: `new` was promised UTF-8 at every place.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }

    /// The same, with or without other things than white space between the texts.
    pub fn spaced(self, spaced: bool) -> Texts {
        Texts { spaced, ..self }
    }

    pub fn bytes(&self) -> &Arc<Vec<u8>> {
        &self.bytes
    }

    /// The same texts at other places, each of which is a text of these bytes.
    ///
    /// # Safety
    /// The bytes hold UTF-8 at every place.
    pub unsafe fn at_places(&self, places: Vec<Place>) -> Texts {
        // SAFETY: the caller promises it.
        unsafe { Texts::new(self.bytes.clone(), Slots::each(places), self.ascii) }
    }
}

/// Texts that are being made, one after the other.
#[derive(Default)]
pub struct Made {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Made {
    pub fn with_capacity(texts: usize, bytes: usize) -> Made {
        Made { bytes: Vec::with_capacity(bytes + PADDING), places: Vec::with_capacity(texts) }
    }

    #[inline]
    pub fn push(&mut self, text: &str) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(text.as_bytes());
        self.places.push(Place { start, len: text.len() as u32 });
    }

    /// Adds what `write` writes at the end.
    pub fn write(&mut self, write: impl FnOnce(&mut String)) {
        let start = self.bytes.len();
        // SAFETY: all of `bytes` are whole texts.
        let mut text = unsafe { String::from_utf8_unchecked(std::mem::take(&mut self.bytes)) };
        write(&mut text);
        self.bytes = text.into_bytes();
        self.places.push(Place { start, len: (self.bytes.len() - start) as u32 });
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn text(&self, row: usize) -> &str {
        let place = self.places[row];
        // SAFETY: only whole texts are pushed.
        unsafe { std::str::from_utf8_unchecked(&self.bytes[place.start..place.start + place.len as usize]) }
    }

    pub fn finish(mut self) -> Texts {
        let ascii = self.bytes.is_ascii();
        self.bytes.resize(self.bytes.len() + PADDING, 0);
        // SAFETY: only whole texts were pushed.
        unsafe { Texts::new(Arc::new(self.bytes), Slots::each(self.places), ascii) }
    }
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
                let mut made = Made::with_capacity(values.len(), 0);
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
            Data::Text(texts) => {
                Data::Text(Texts { places: texts.places.gathered(rows), spaced: false, ..texts.clone() })
            }
            Data::List(values) => Data::List(values.gathered(rows)),
        };
        Column { data, nulls: self.nulls.gathered(rows) }
    }

    /// `rows` rows from `start`.
    pub fn part(&self, start: usize, rows: usize) -> Column {
        let data = match &self.data {
            Data::Int(ints) => Data::Int(Ints { slots: ints.slots.part(start, rows), bounds: ints.bounds }),
            Data::Float(floats) => Data::Float(floats.part(start, rows)),
            Data::Bool(bools) => Data::Bool(bools.part(start, rows)),
            Data::Text(texts) => Data::Text(Texts { places: texts.places.part(start, rows), ..texts.clone() }),
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
    pub fn gathered(&self, rows: &[u32]) -> Batch {
        Batch { rows: rows.len(), columns: self.columns.iter().map(|column| column.gathered(rows)).collect() }
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
