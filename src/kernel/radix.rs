//! Partials with many keys, in parts of which each has its own keys: threads merge one part each.

use crate::diagnostic::Fallible;
use crate::run_context::RunContext;

use super::column::{Batch, Column, Data};
use super::external::{KeysAt, ranked};
use super::groups::{Groups, Packed};
use super::partial::{Partial, spread};

const PARTS: usize = 64;

/// The parts of one partial, in their flat columns; the last one is the number of the row in the partial.
pub struct Parts(pub Vec<Batch>);

impl Parts {
    pub fn of(flat: Batch, keys: KeysAt) -> Parts {
        let places = Packed::new(keys.of(&flat.columns), flat.rows).parts(PARTS, 0);
        let ranks = (0..flat.rows as i64).collect();
        Parts(spread(&ranked(flat, ranks), places, PARTS))
    }

    fn rows(&self) -> usize {
        self.0.iter().map(|part| part.rows).sum()
    }
}

/// The parts of all partials, in the order of these.
pub struct Radix {
    keys: KeysAt,
    /// By part: what each partial has of it, and the number of that partial's first row among all.
    parts: Vec<Vec<(usize, Batch)>>,
    rows: usize,
}

impl Radix {
    pub fn new(keys: KeysAt) -> Radix {
        Radix { keys, parts: vec![Vec::new(); PARTS], rows: 0 }
    }

    /// Takes a later partial.
    pub fn push(&mut self, later: Parts) {
        let first = self.rows;
        self.rows += later.rows();
        for (part, rows) in self.parts.iter_mut().zip(later.0).filter(|(_, rows)| rows.rows > 0) {
            part.push((first, rows));
        }
    }

    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// What comes of a part of all partials, and of each of its rows the number of the first row that has its key.
    pub fn merged<P: Partial<Whole = Batch>>(
        &self,
        part: usize,
        mut partial: P,
        context: &RunContext,
    ) -> Fallible<(Batch, Vec<usize>)> {
        let (mut groups, mut firsts, mut ids) = (Groups::default(), Vec::new(), Vec::new());
        for (first, rows) in &self.parts[part] {
            let mut flat = rows.clone();
            let numbers = flat.columns.pop().expect("the number of the row is the last column");
            let keys = Packed::new(self.keys.of(&flat.columns), flat.rows);
            // The partial numbers its keys in the same order.
            for row in groups.take(&keys, &mut ids) {
                firsts.push(first + number_at(&numbers, row as usize));
            }
            partial.take_columns(flat, context)?;
        }
        Ok((partial.finish()?, firsts))
    }

    /// For each row of all results, which stand one after the other, its place: they come in the order of the first
    /// rows that have their keys.
    pub fn order(&self, firsts: &[Vec<usize>]) -> Vec<u32> {
        const NONE: u32 = u32::MAX;
        let mut rows = vec![NONE; self.rows];
        let all = firsts.iter().flatten();
        all.enumerate().for_each(|(row, first)| rows[*first] = row as u32);
        rows.retain(|row| *row != NONE);
        rows
    }
}

fn number_at(numbers: &Column, row: usize) -> usize {
    match &numbers.data {
        Data::Int(ints) => *ints.slots.at(row) as usize,
        Data::Float(_) | Data::Bool(_) | Data::Text(_) | Data::List(_) => unreachable!("numbers of rows are ints"),
    }
}
