//! Rows that are kept, by column: what a pipeline breaker holds of its input.

use crate::data::{Schema, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::run_context::RunContext;

use super::column::{Batch, Column, Data};
use super::partial::CHECKED_ROWS;
use super::slots::{Nulls, Slots};
use super::texts;

/// Rows of many batches in one.
pub struct Rows {
    columns: Vec<Kept>,
    rows: usize,
}

struct Kept {
    data: Slot,
    /// As long as there are nulls.
    nulls: Vec<bool>,
}

enum Slot {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
    Text(texts::Kept),
    List(Vec<Value>),
}

impl Rows {
    pub fn new<'a>(types: impl IntoIterator<Item = &'a Type>) -> Rows {
        let kept = |ty: &Type| Kept {
            data: match ty {
                Type::Int => Slot::Int(Vec::new()),
                Type::Float => Slot::Float(Vec::new()),
                Type::Bool => Slot::Bool(Vec::new()),
                Type::Text | Type::Open | Type::Never => Slot::Text(texts::Kept::default()),
                Type::List(_) => Slot::List(Vec::new()),
            },
            nulls: Vec::new(),
        };
        Rows { columns: types.into_iter().map(kept).collect(), rows: 0 }
    }

    /// None yet, in columns of the kinds that these have.
    pub fn like(batch: &Batch) -> Rows {
        let ty = |column: &Column| match column.data {
            Data::Int(_) => Type::Int,
            Data::Float(_) => Type::Float,
            Data::Bool(_) => Type::Bool,
            Data::Text(_) => Type::Text,
            Data::List(_) => Type::list(Type::Open),
        };
        Rows::new(&batch.columns.iter().map(ty).collect::<Vec<Type>>())
    }

    pub fn of(schema: &Schema) -> Rows {
        Rows::new(schema.columns.iter().map(|column| &column.ty))
    }

    pub fn count(&self) -> usize {
        self.rows
    }

    /// The bytes that they take. It walks over lists.
    pub fn size(&self) -> usize {
        let data = |kept: &Kept| match &kept.data {
            Slot::Int(values) => size_of_val(&values[..]),
            Slot::Float(values) => size_of_val(&values[..]),
            Slot::Bool(values) => size_of_val(&values[..]),
            Slot::Text(texts) => texts.size(),
            Slot::List(values) => values.iter().map(value_size).sum(),
        };
        self.columns.iter().map(|kept| data(kept) + kept.nulls.len()).sum()
    }

    /// # Errors
    /// Where there are more rows than a table may have.
    pub fn push(&mut self, batch: &Batch) -> Fallible<()> {
        if self.rows + batch.rows >= u32::MAX as usize {
            let message = format!("these are more than {} rows, the limit of a table", self.rows);
            return Err(
                Diagnostic::new(Kind::System, message).hint("keep fewer rows with an aggregate, `top` or `take`")
            );
        }
        for (kept, column) in self.columns.iter_mut().zip(&batch.columns) {
            kept.push(column, self.rows, batch.rows);
        }
        self.rows += batch.rows;
        Ok(())
    }

    pub fn push_rows(&mut self, batch: &Batch, rows: &[u32]) -> Fallible<()> {
        if rows.is_empty() { Ok(()) } else { self.push(&batch.gathered(rows)) }
    }

    /// All of a large batch, with a look at the stop flag before each part of it.
    pub(super) fn push_all(&mut self, batch: &Batch, context: &RunContext) -> Fallible<()> {
        for start in (0..batch.rows).step_by(CHECKED_ROWS) {
            context.check()?;
            self.push(&batch.part(start, CHECKED_ROWS.min(batch.rows - start)))?;
        }
        Ok(())
    }

    /// These rows of a large batch, in this order, with a look at the stop flag before each part of them.
    pub(super) fn gathered(batch: &Batch, rows: &[u32], context: &RunContext) -> Fallible<Batch> {
        let mut kept = Rows::like(batch);
        kept.reserve(rows.len());
        for part in rows.chunks(CHECKED_ROWS) {
            context.check()?;
            kept.push_rows(batch, part)?;
        }
        Ok(kept.finish())
    }

    fn reserve(&mut self, rows: usize) {
        for kept in &mut self.columns {
            match &mut kept.data {
                Slot::Int(values) => values.reserve(rows),
                Slot::Float(values) => values.reserve(rows),
                Slot::Bool(values) => values.reserve(rows),
                Slot::Text(texts) => texts.reserve(rows),
                Slot::List(values) => values.reserve(rows),
            }
        }
    }

    /// All rows as one batch, however many.
    pub fn finish(self) -> Batch {
        let rows = self.rows;
        Batch { rows, columns: self.columns.into_iter().map(|kept| kept.finish(rows)).collect() }
    }
}

impl Kept {
    fn push(&mut self, column: &Column, before: usize, rows: usize) {
        match &column.nulls {
            Nulls::None if self.nulls.is_empty() => {}
            nulls => {
                self.nulls.resize(before, false);
                self.nulls.extend((0..rows).map(|row| nulls.at(row)));
            }
        }
        // A column that is null everywhere may be of no type.
        if matches!(column.nulls, Nulls::All) {
            return self.skip(rows);
        }
        match (&mut self.data, &column.data) {
            (Slot::Int(kept), Data::Int(ints)) => push_slots(kept, &ints.slots, rows),
            (Slot::Float(kept), Data::Float(slots)) => push_slots(kept, slots, rows),
            (Slot::Bool(kept), Data::Bool(slots)) => push_slots(kept, slots, rows),
            (Slot::Text(kept), Data::Text(texts)) => kept.push(texts, rows),
            (Slot::List(kept), Data::List(slots)) => push_slots(kept, slots, rows),
            _ => unreachable!("the plan's types hold"),
        }
    }

    fn skip(&mut self, rows: usize) {
        match &mut self.data {
            Slot::Int(kept) => kept.resize(kept.len() + rows, 0),
            Slot::Float(kept) => kept.resize(kept.len() + rows, 0.0),
            Slot::Bool(kept) => kept.resize(kept.len() + rows, false),
            Slot::Text(kept) => kept.push_empty(rows),
            Slot::List(kept) => kept.resize(kept.len() + rows, Value::Null),
        }
    }

    fn finish(self, rows: usize) -> Column {
        let mut nulls = self.nulls;
        let nulls = if nulls.is_empty() {
            Nulls::None
        } else {
            nulls.resize(rows, false);
            Nulls::of(nulls)
        };
        let column = match self.data {
            Slot::Int(values) => Column::ints(values, None),
            Slot::Float(values) => Column::floats(values),
            Slot::Bool(values) => Column::bools(values),
            Slot::Text(kept) => Column::texts(kept.finish()),
            Slot::List(values) => Column { data: Data::List(Slots::each(values)), nulls: Nulls::None },
        };
        column.with_nulls(nulls)
    }
}

/// The bytes of a value, with those that stand elsewhere.
pub(super) fn value_size(value: &Value) -> usize {
    let elsewhere = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.iter().map(value_size).sum(),
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => 0,
    };
    size_of::<Value>() + elsewhere
}

fn push_slots<T: Clone>(kept: &mut Vec<T>, slots: &Slots<T>, rows: usize) {
    match slots {
        Slots::One(value) => kept.resize(kept.len() + rows, value.clone()),
        Slots::Each(values) => kept.extend_from_slice(values),
    }
}
