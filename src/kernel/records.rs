//! The records of a file as batches, read one by one.

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible};
use crate::files::Records;
use crate::plan::Read;

use super::column::{Batch, Column};

/// Records that are read one by one.
pub struct OneByOne<'a> {
    records: Box<dyn Records + 'a>,
    read: &'a Read,
    /// What comes after the rows that were given.
    failed: Option<Box<Diagnostic>>,
}

impl<'a> OneByOne<'a> {
    pub fn new(records: Box<dyn Records + 'a>, read: &'a Read) -> OneByOne<'a> {
        OneByOne { records, read, failed: None }
    }

    /// The next rows, at most so many. An error comes after the rows before it.
    pub fn next(&mut self, most: usize) -> Fallible<Option<Batch>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut columns: Vec<Vec<Value>> = vec![Vec::new(); self.read.wanted.len()];
        let mut row = Vec::new();
        let mut rows = 0;
        while rows < most {
            match self.records.next(&mut row) {
                Ok(true) => columns.iter_mut().zip(row.drain(..)).for_each(|(column, value)| column.push(value)),
                Ok(false) => break,
                Err(error) if rows == 0 => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
            rows += 1;
        }
        let types = self.read.wanted.iter().map(|index| &self.read.fields[*index].ty);
        let columns = columns.into_iter().zip(types).map(|(values, ty)| Column::from_values(values, ty)).collect();
        Ok((rows > 0).then_some(Batch { rows, columns }))
    }
}
