//! Json lines from blocks of lines: values go straight into columns. What is out of the ordinary (lists, a value that
//! does not fit its column, a key twice, a mistake) is read record by record.

use std::collections::HashMap;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::data::Type;
use crate::diagnostic::Fallible;
use crate::files::{self, Block, Blocks, Split};
use crate::plan::{Basis, Field, Read};
use crate::run_context::RunContext;

use super::column::{Batch, Column};
use super::records::OneByOne;
use super::slots::Nulls;
use super::texts::GeneratedTexts;

pub struct Json<'a> {
    read: &'a Read,
    split: Split,
    context: &'a RunContext,
    /// None once the records are read one by one.
    blocks: Option<Blocks>,
    records: Option<OneByOne<'a>>,
    /// The next block begins the file.
    is_first: bool,
    /// Lines that were not given out yet.
    block: Option<Block>,
    /// Whether an int beyond 64 bits may stand among them.
    has_many_digits: bool,
    object: Object<'a>,
}

impl<'a> Json<'a> {
    /// Whether the wanted columns of such files can be read so.
    pub fn knows(read: &Read) -> bool {
        let mut wanted = read.wanted.iter().map(|index| &read.fields[*index].ty);
        !wanted.any(|ty| matches!(ty, Type::List(_) | Type::Open))
    }

    /// # Errors
    /// Where the file cannot be opened.
    pub fn new(read: &'a Read, split: Split, context: &'a RunContext) -> Fallible<Json<'a>> {
        Ok(Json {
            read,
            context,
            blocks: Some(files::blocks(read, &split, context)?),
            records: None,
            is_first: split.start == 0,
            block: None,
            has_many_digits: false,
            object: Object::new(read),
            split,
        })
    }

    /// The next rows, at most so many.
    pub fn next(&mut self, most: usize) -> Fallible<Option<Batch>> {
        loop {
            if let Some(records) = &mut self.records {
                return records.next(most);
            }
            if let Some(block) = self.block.take() {
                match self.part(block, most) {
                    Some(batch) if batch.rows == 0 => {}
                    Some(batch) => return Ok(Some(batch)),
                    None => continue,
                }
            }
            let Some(blocks) = &mut self.blocks else { return Ok(None) };
            let Some(mut block) = blocks.read()? else { return Ok(None) };
            if std::mem::replace(&mut self.is_first, false) && block.lines().starts_with(b"\xef\xbb\xbf") {
                block.start += 3;
            }
            self.has_many_digits = files::has_many_digits(block.lines());
            self.block = Some(block);
        }
    }

    /// The next rows of a block. None where one is out of the ordinary: then they are read one by one.
    fn part(&mut self, mut block: Block, most: usize) -> Option<Batch> {
        let start = block.start;
        while self.object.rows < most && block.start < block.end {
            let lines = block.lines();
            let length = memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
            let line = &lines[..length];
            // The parser would make a float of such an int.
            let has_large_int = self.has_many_digits && !files::large_ints(line).is_empty();
            let is_blank = line.iter().all(u8::is_ascii_whitespace);
            if has_large_int || (!is_blank && !self.object.read(line)) {
                self.one_by_one(&Block { start, ..block });
                return None;
            }
            block.start += length;
        }
        if block.start < block.end {
            self.block = Some(block);
        }
        Some(self.object.finish())
    }

    fn one_by_one(&mut self, block: &Block) {
        let Some(blocks) = self.blocks.take() else { return };
        let shown = &self.read.files[self.split.file].shown;
        let records = files::json_records(self.read, blocks.unread(block), shown, self.context);
        self.records = Some(OneByOne::new(records, self.read));
    }
}

/// The objects of some lines, by column.
struct Object<'a> {
    read: &'a Read,
    places: HashMap<&'a str, usize>,
    kept: Vec<Kept>,
    rows: usize,
    /// The column after that of the last value: most lines have their keys in one order.
    next: usize,
    /// The key that is being read, with those that it stands in.
    path: String,
    /// Those of the row that had an object as their value.
    opened: Vec<String>,
}

struct Kept {
    values: Values,
    /// As long as there are nulls.
    nulls: Vec<bool>,
    /// How many rows have a value or a null: up to the last one with its key. The rows after it get theirs when that is
    /// known, so that a row costs what its keys cost, however many columns there are.
    rows: usize,
}

enum Values {
    /// Nothing uses them: their rows are only counted.
    Unused,
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
    Text(GeneratedTexts),
}

impl<'a> Object<'a> {
    fn new(read: &'a Read) -> Object<'a> {
        let places = read.fields.iter().enumerate().map(|(i, field)| (field.name.as_str(), i)).collect();
        let (path, opened) = (String::new(), Vec::new());
        Object { read, places, kept: Kept::of_all(read), rows: 0, next: 0, path, opened }
    }

    /// Adds the object on a line; false where that is not done.
    fn read(&mut self, line: &[u8]) -> bool {
        let mut json = serde_json::Deserializer::from_slice(line);
        self.next = 0;
        self.path.clear();
        self.opened.clear();
        if json.deserialize_map(&mut *self).is_err() || json.end().is_err() {
            return false;
        }
        self.rows += 1;
        true
    }

    /// The wanted columns of all rows so far, which are forgotten.
    fn finish(&mut self) -> Batch {
        let rows = std::mem::take(&mut self.rows);
        let fresh = Kept::of_all(self.read);
        let mut kept: Vec<Option<Kept>> = std::mem::replace(&mut self.kept, fresh).into_iter().map(Some).collect();
        let column = |index: &usize| kept[*index].take().map(|kept| kept.finish(rows));
        Batch { rows, columns: self.read.wanted.iter().filter_map(column).collect() }
    }

    /// Whether the key that is being read had a value in this row: the last one counts, which is not done here.
    fn is_known(&self, place: Option<usize>) -> bool {
        place.is_some_and(|place| self.kept[place].rows > self.rows) || self.opened.contains(&self.path)
    }

    /// The column of the value that is being read.
    fn column<E: Error>(&mut self) -> Result<&mut Kept, E> {
        let place = match self.read.fields.get(self.next) {
            Some(field) if field.name == self.path => self.next,
            _ => *self.places.get(self.path.as_str()).ok_or_else(|| E::custom("no column"))?,
        };
        self.next = place + 1;
        if self.is_known(Some(place)) {
            return Err(E::custom("a key twice"));
        }
        let kept = &mut self.kept[place];
        kept.add_nulls_up_to(self.rows);
        kept.rows += 1;
        Ok(kept)
    }
}

impl Values {
    fn new(ty: &Type) -> Values {
        match ty {
            Type::Int => Values::Int(Vec::new()),
            Type::Float => Values::Float(Vec::new()),
            Type::Bool => Values::Bool(Vec::new()),
            Type::Text | Type::List(_) | Type::Open | Type::Never => Values::Text(GeneratedTexts::default()),
        }
    }
}

impl Kept {
    /// For each column of a file.
    fn of_all(read: &Read) -> Vec<Kept> {
        let mut is_wanted = vec![false; read.fields.len()];
        read.wanted.iter().for_each(|index| is_wanted[*index] = true);
        let kept = |(i, field): (usize, &Field)| {
            let is_used = is_wanted[i] && field.basis != Basis::Unused;
            Kept { values: if is_used { Values::new(&field.ty) } else { Values::Unused }, nulls: Vec::new(), rows: 0 }
        };
        read.fields.iter().enumerate().map(kept).collect()
    }

    /// Nulls for the rows without a value before `row`.
    fn add_nulls_up_to(&mut self, row: usize) {
        let (before, missing) = (self.rows, row - self.rows);
        self.rows = row;
        if missing == 0 || matches!(self.values, Values::Unused) {
            return;
        }
        self.nulls.resize(before, false);
        self.nulls.resize(row, true);
        match &mut self.values {
            Values::Unused => {}
            Values::Int(ints) => ints.resize(row, 0),
            Values::Float(floats) => floats.resize(row, 0.0),
            Values::Bool(bools) => bools.resize(row, false),
            Values::Text(made) => (0..missing).for_each(|_| made.push("")),
        }
    }

    /// The row was counted before.
    fn add_null(&mut self) {
        if matches!(self.values, Values::Unused) {
            return;
        }
        self.nulls.resize(self.rows - 1, false);
        self.nulls.push(true);
        match &mut self.values {
            Values::Unused => {}
            Values::Int(ints) => ints.push(0),
            Values::Float(floats) => floats.push(0.0),
            Values::Bool(bools) => bools.push(false),
            Values::Text(made) => made.push(""),
        }
    }

    /// The column with this many rows: those that are missing at its end are null.
    fn finish(mut self, rows: usize) -> Column {
        self.add_nulls_up_to(rows);
        let nulls = if self.nulls.is_empty() {
            Nulls::None
        } else {
            self.nulls.resize(self.rows, false);
            Nulls::of(self.nulls)
        };
        let column = match self.values {
            // Its text is nobody's.
            Values::Unused => {
                let mut texts = GeneratedTexts::default();
                (0..self.rows).for_each(|_| texts.push(""));
                Column::texts(texts.finish())
            }
            Values::Int(ints) => Column::ints(ints, None),
            Values::Float(floats) => Column::floats(floats),
            Values::Bool(bools) => Column::bools(bools),
            Values::Text(made) => Column::texts(made.finish()),
        };
        column.with_nulls(nulls)
    }
}

/// A value, or an object whose keys go on with the path.
impl<'de> DeserializeSeed<'de> for &mut Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Object<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a value that fits its column")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let length = self.path.len();
        if length > 0 {
            if self.is_known(self.places.get(self.path.as_str()).copied()) {
                return Err(A::Error::custom("a key twice"));
            }
            self.opened.push(self.path.clone());
        }
        while map.next_key_seed(Key(&mut self.path))?.is_some() {
            map.next_value_seed(&mut *self)?;
            self.path.truncate(length);
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.column::<E>()?.add_null();
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match &mut self.column::<E>()?.values {
            Values::Unused => {}
            Values::Bool(bools) => bools.push(value),
            Values::Int(_) | Values::Float(_) | Values::Text(_) => return Err(E::custom("a bool")),
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        match &mut self.column::<E>()?.values {
            Values::Unused => {}
            Values::Int(ints) => ints.push(value),
            Values::Float(floats) => floats.push(value as f64),
            Values::Bool(_) | Values::Text(_) => return Err(E::custom("an int")),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(E::custom("an int beyond 64 bits")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        match self.column::<A::Error>()?.values {
            // Its mistakes are still mistakes: a number that no float holds is one.
            Values::Unused => while items.next_element::<serde_json::Value>()?.is_some() {},
            Values::Int(_) | Values::Float(_) | Values::Bool(_) | Values::Text(_) => {
                return Err(A::Error::custom("a list"));
            }
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match &mut self.column::<E>()?.values {
            Values::Unused => {}
            Values::Float(floats) => floats.push(value),
            Values::Int(_) | Values::Bool(_) | Values::Text(_) => return Err(E::custom("a float")),
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        match &mut self.column::<E>()?.values {
            Values::Unused => {}
            Values::Text(made) => made.push(value),
            Values::Int(_) | Values::Float(_) | Values::Bool(_) => return Err(E::custom("a text")),
        }
        Ok(())
    }
}

/// A key, which is added to the path.
struct Key<'p>(&'p mut String);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        if key.is_empty() {
            return Err(E::custom("a key of nothing"));
        }
        if !self.0.is_empty() {
            self.0.push('.');
        }
        self.0.push_str(key);
        Ok(())
    }
}
