//! Flat columns as they are read again, one after the other.

use crate::data::Value;

use super::column::{Batch, Column, Data};

/// The columns of a partial that were not read yet.
pub struct Flat {
    pub rows: usize,
    columns: std::vec::IntoIter<Column>,
}

impl Flat {
    pub fn new(flat: Batch) -> Flat {
        Flat { rows: flat.rows, columns: flat.columns.into_iter() }
    }

    pub fn column(&mut self) -> Column {
        self.columns.next().expect("a partial takes the columns of the same op")
    }

    pub fn columns(&mut self, count: usize) -> Vec<Column> {
        (0..count).map(|_| self.column()).collect()
    }

    pub fn ints(&mut self) -> Vec<i64> {
        match self.column().data {
            Data::Int(ints) => (0..self.rows).map(|row| *ints.slots.at(row)).collect(),
            Data::Float(_) | Data::Bool(_) | Data::Text(_) | Data::List(_) => Vec::new(),
        }
    }

    pub fn floats(&mut self) -> Vec<f64> {
        match self.column().data {
            Data::Float(slots) => (0..self.rows).map(|row| *slots.at(row)).collect(),
            Data::Int(_) | Data::Bool(_) | Data::Text(_) | Data::List(_) => Vec::new(),
        }
    }

    pub fn bools(&mut self) -> Vec<bool> {
        match self.column().data {
            Data::Bool(slots) => (0..self.rows).map(|row| *slots.at(row)).collect(),
            Data::Int(_) | Data::Float(_) | Data::Text(_) | Data::List(_) => Vec::new(),
        }
    }

    pub fn values(&mut self) -> Vec<Value> {
        let column = self.column();
        (0..self.rows).map(|row| column.value(row)).collect()
    }

    /// The items of lists.
    pub fn lists(&mut self) -> Vec<Vec<Value>> {
        let items = |value| if let Value::List(items) = value { items.to_vec() } else { Vec::new() };
        self.values().into_iter().map(items).collect()
    }
}
