//! Tables and values as bytes, as the crate that cells are linked with writes and reads them: a count of rows, then row
//! by row the columns' values, each after a byte that tells whether it is there.

use std::sync::Arc;

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};

/// What a subject gives.
#[derive(Debug, Clone, PartialEq)]
pub enum ResultKind {
    Nothing,
    Value(Type),
    Rows(Schema),
    /// The text of its `Debug`.
    Text,
    /// A type that cannot be shown.
    Opaque(String),
}

impl ResultKind {
    /// What the cell says of itself.
    pub fn read(text: &str) -> Option<ResultKind> {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        Some(match first {
            "nothing" => ResultKind::Nothing,
            "value" => ResultKind::Value(ty(rest)?),
            "text" => ResultKind::Text,
            "opaque" => ResultKind::Opaque(rest.to_string()),
            "rows" => {
                let mut parts = rest.split('\t');
                let order = if parts.next()? == "ordered" { Order::Kept } else { Order::Lost };
                let mut columns = Vec::new();
                while let (Some(name), Some(text)) = (parts.next(), parts.next()) {
                    columns.push(Column { name: name.to_string(), ty: ty(text)? });
                }
                ResultKind::Rows(Schema::new(columns, order))
            }
            _ => return None,
        })
    }
}

fn ty(text: &str) -> Option<Type> {
    Some(match text {
        "int" => Type::Int,
        "float" => Type::Float,
        "bool" => Type::Bool,
        "text" => Type::Text,
        _ => Type::list(ty(text.strip_prefix("list<")?.strip_suffix('>')?)?),
    })
}

/// The type in Rust of a value that goes in.
pub fn rust_type(ty: &Type) -> String {
    match ty {
        Type::Int => "i64".to_string(),
        Type::Float => "f64".to_string(),
        Type::Bool => "bool".to_string(),
        Type::List(of) => format!("Vec<{}>", rust_type(of)),
        Type::Text | Type::Open | Type::Never => "String".to_string(),
    }
}

/// A table that goes in where a person's code takes it.
///
/// # Errors
/// A null, which has no place in the types of that code.
pub fn table_bytes(table: &Table, name: &str) -> Fallible<Vec<u8>> {
    for (series, column) in table.frame().columns().iter().zip(&table.schema().columns) {
        if series.null_count() > 0 {
            let message =
                format!("the column `{}` of `{name}` has a null, which cannot be passed to Rust", column.name);
            return Err(Diagnostic::new(Kind::Type, message).hint("coalesce(x, 0), or filter not is_null(x)"));
        }
    }
    Ok(rows_bytes(table))
}

/// The rows of a table, with their nulls.
pub fn rows_bytes(table: &Table) -> Vec<u8> {
    const ROWS: usize = 4096;
    let mut bytes = (table.height() as u64).to_le_bytes().to_vec();
    let columns = table.schema().columns.len();
    for start in (0..table.height()).step_by(ROWS) {
        let parts: Vec<Vec<Value>> = (0..columns).map(|at| table.values(at, start, ROWS)).collect();
        for row in 0..ROWS.min(table.height() - start) {
            parts.iter().for_each(|part| put(&part[row], &mut bytes));
        }
    }
    bytes
}

/// A value that goes in.
pub fn put(value: &Value, bytes: &mut Vec<u8>) {
    let length = |length: usize, bytes: &mut Vec<u8>| bytes.extend((length as u64).to_le_bytes());
    bytes.push(u8::from(!value.is_null()));
    match value {
        Value::Null => {}
        Value::Int(int) => bytes.extend(int.to_le_bytes()),
        Value::Float(float) => bytes.extend(float.to_bits().to_le_bytes()),
        Value::Bool(bool) => bytes.push(u8::from(*bool)),
        Value::Text(text) => {
            length(text.len(), bytes);
            bytes.extend(text.as_bytes());
        }
        Value::List(items) => {
            length(items.len(), bytes);
            items.iter().for_each(|item| put(item, bytes));
        }
    }
}

/// Reads values in their order.
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    fn bytes(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn word(&mut self) -> Option<u64> {
        self.bytes(8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("these are eight")))
    }

    pub fn value(&mut self, ty: &Type) -> Option<Value> {
        if self.bytes(1)? == [0] {
            return Some(Value::Null);
        }
        Some(match ty {
            Type::Int => Value::Int(self.word()? as i64),
            Type::Float => Value::Float(f64::from_bits(self.word()?)),
            Type::Bool => Value::Bool(self.bytes(1)? == [1]),
            Type::List(of) => {
                let length = self.word()? as usize;
                let items = (0..length).map(|_| self.value(of)).collect::<Option<Vec<Value>>>()?;
                Value::List(Arc::from(items))
            }
            Type::Text | Type::Open | Type::Never => {
                let length = self.word()? as usize;
                Value::text(std::str::from_utf8(self.bytes(length)?).ok()?)
            }
        })
    }

    /// A whole table.
    pub fn table(&mut self, schema: &Schema) -> Option<Table> {
        let height = self.word()? as usize;
        let mut columns: Vec<Vec<Value>> = schema.columns.iter().map(|_| Vec::new()).collect();
        for _ in 0..height {
            for (values, column) in columns.iter_mut().zip(&schema.columns) {
                values.push(self.value(&column.ty)?);
            }
        }
        Some(Table::from_columns(schema.clone(), height, &columns))
    }
}
