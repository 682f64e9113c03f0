//! Sorting: runs of rows in order, which are merged.

use std::cmp::Ordering;

use crate::diagnostic::Fallible;
use crate::job::Job;
use crate::plan::SortKey;

use super::column::{Batch, Column, Data};
use super::expr::{Code, Compiler, Scope};
use super::partial::Partial;
use super::rows::Rows;
use super::text::order;

/// The rows in order of their keys, or the first so many of these.
pub struct Sorted<'a> {
    keys: Vec<Code>,
    descending: Vec<bool>,
    limit: Option<usize>,
    /// The keys, then the columns of the input.
    rows: Rows,
    types: Vec<crate::data::Type>,
    /// With a limit: rows whose rank of the first key is above are out.
    worst: Option<u64>,
    job: &'a Job,
}

/// So many rows are sorted at a time before the stop flag is looked at.
const RUN_ROWS: usize = 1 << 17;

impl<'a> Sorted<'a> {
    /// `input` are the types of the rows that are sorted.
    pub fn new(
        keys: &[SortKey],
        limit: Option<u64>,
        input: impl Iterator<Item = crate::data::Type>,
        compiler: &Compiler,
        job: &'a Job,
    ) -> Sorted<'a> {
        let types: Vec<_> = keys.iter().map(|key| key.expr.ty.clone()).chain(input).collect();
        Sorted {
            keys: keys.iter().map(|key| compiler.compile(&key.expr)).collect(),
            descending: keys.iter().map(|key| key.descending).collect(),
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            rows: Rows::new(&types),
            types,
            worst: None,
            job,
        }
    }

    /// Keeps only the first rows of those that there are.
    fn cut(&mut self, limit: usize) -> Fallible<()> {
        let all = std::mem::replace(&mut self.rows, Rows::new(&self.types)).finish();
        let mut in_order = self.in_order(&all)?;
        in_order.truncate(limit);
        if let (Some(last), true) = (in_order.last(), in_order.len() == limit) {
            self.worst = Some(rank(&all.columns[0], *last as usize, self.descending[0]));
        }
        self.rows.push_rows(&all, &in_order);
        Ok(())
    }

    /// The row numbers in order.
    fn in_order(&self, all: &Batch) -> Fallible<Vec<u32>> {
        let Some(first) = all.columns.first().filter(|_| !self.keys.is_empty()) else {
            return Ok((0..all.rows as u32).collect());
        };
        let ranks = |row: u32| (rank(first, row as usize, self.descending[0]), row);
        let mut ranked: Vec<(u64, u32)> = (0..all.rows as u32).map(ranks).collect();
        let rest = |a: u32, b: u32| self.compare(&all.columns, a as usize, b as usize);
        for run in ranked.chunks_mut(RUN_ROWS) {
            self.job.check()?;
            run.sort_unstable_by_key(|(rank, _)| *rank);
            for ties in run.chunk_by_mut(|a, b| a.0 == b.0).filter(|ties| ties.len() > 1) {
                ties.sort_unstable_by(|a, b| rest(a.1, b.1));
            }
        }
        let before = |a: &(u64, u32), b: &(u64, u32)| a.0.cmp(&b.0).then_with(|| rest(a.1, b.1)).is_le();
        let mut length = RUN_ROWS;
        while length < ranked.len() {
            let mut merged = Vec::with_capacity(ranked.len());
            for pair in ranked.chunks(2 * length) {
                self.merge_runs(pair, length, &before, &mut merged)?;
            }
            ranked = merged;
            length *= 2;
        }
        Ok(ranked.into_iter().map(|(_, row)| row).collect())
    }

    fn merge_runs(
        &self,
        pair: &[(u64, u32)],
        length: usize,
        before: &impl Fn(&(u64, u32), &(u64, u32)) -> bool,
        merged: &mut Vec<(u64, u32)>,
    ) -> Fallible<()> {
        let (mut a, mut b) = pair.split_at(length.min(pair.len()));
        while let ([first, rest @ ..], [second, others @ ..]) = (a, b) {
            if before(first, second) {
                merged.push(*first);
                a = rest;
            } else {
                merged.push(*second);
                b = others;
            }
            if merged.len().is_multiple_of(RUN_ROWS) {
                self.job.check()?;
            }
        }
        merged.extend_from_slice(a);
        merged.extend_from_slice(b);
        Ok(())
    }

    fn compare(&self, columns: &[Column], a: usize, b: usize) -> Ordering {
        let keys = columns.iter().zip(&self.descending);
        let orders = keys.map(|(column, descending)| directed(column, a, b, *descending));
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// Nulls last in both directions.
fn directed(column: &Column, a: usize, b: usize, descending: bool) -> Ordering {
    match (column.nulls.at(a), column.nulls.at(b)) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) if descending => order(column, b, column, a),
        (false, false) => order(column, a, column, b),
    }
}

/// A number in the order of the key, as far as eight bytes tell it.
#[inline(always)]
fn rank(column: &Column, row: usize, descending: bool) -> u64 {
    if column.nulls.at(row) {
        return u64::MAX;
    }
    let rank = match &column.data {
        Data::Int(ints) => (*ints.slots.at(row) as u64) ^ (1 << 63),
        Data::Float(slots) => {
            let x = *slots.at(row);
            if x.is_nan() {
                u64::MAX
            } else {
                let bits = (x + 0.0).to_bits();
                if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
            }
        }
        Data::Bool(slots) => u64::from(*slots.at(row)),
        Data::Text(texts) => {
            let bytes = texts.at(row).as_bytes();
            let mut first = [0; 8];
            let length = bytes.len().min(8);
            first[..length].copy_from_slice(&bytes[..length]);
            u64::from_be_bytes(first)
        }
        Data::List(_) => 0,
    };
    if descending { !rank } else { rank }
}

impl Partial for Sorted<'_> {
    fn take(&mut self, scope: Scope) -> Fallible<()> {
        let keys: Result<Vec<Column>, _> = self.keys.iter().map(|key| key.value(scope)).collect();
        let mut columns = keys.map_err(|fault| fault.diagnostic(None))?;
        columns.extend(scope.batch.columns.iter().cloned());
        let batch = Batch { rows: scope.rows(), columns };
        let Some(limit) = self.limit else {
            self.rows.push(&batch);
            return Ok(());
        };
        match (self.worst, batch.columns.first()) {
            (Some(worst), Some(first)) => {
                let descending = self.descending[0];
                let near = (0..batch.rows as u32).filter(|row| rank(first, *row as usize, descending) <= worst);
                self.rows.push_rows(&batch, &near.collect::<Vec<u32>>());
            }
            _ => self.rows.push(&batch),
        }
        if self.rows.len() >= limit.saturating_mul(2).max(2 * self.job.portion.rows) {
            self.cut(limit)?;
        }
        Ok(())
    }

    fn merge(&mut self, later: Self) -> Fallible<()> {
        self.rows.push(&later.rows.finish());
        match self.limit {
            Some(limit) => self.cut(limit),
            None => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Fallible<Batch> {
        let all = std::mem::replace(&mut self.rows, Rows::new(&self.types)).finish();
        let mut in_order = self.in_order(&all)?;
        in_order.truncate(self.limit.unwrap_or(usize::MAX));
        let wanted = Batch { rows: all.rows, columns: all.columns[self.keys.len()..].to_vec() };
        Ok(wanted.gathered(&in_order))
    }
}
