//! Sorting: row numbers by the first key's rank, ties by the keys after it.

use std::cmp::Ordering;
use std::ops::Range;

use crate::data::Type;
use crate::diagnostic::Fallible;
use crate::plan::{Node, SortKey};
use crate::run_context::RunContext;

use super::calls::order;
use super::column::{Batch, Column, Data, Ints};
use super::expr::{Compiled, Compiler};
use super::loops;
use super::partial::{CHECKED_ROWS, Partial};
use super::rows::Rows;
use super::scope::Scope;
use super::slots::{Nulls, Slots};

/// The rows in order of their keys, or the first so many of these.
pub struct Sorted<'a> {
    keys: Vec<Key>,
    limit: Option<usize>,
    /// The columns of the input, then the keys that are none of them; in no order yet.
    rows: Rows,
    /// Rows that are in order already, in parts.
    runs: Vec<Batch>,
    types: Vec<Type>,
    /// How many columns the input has.
    width: usize,
    /// With a limit: rows whose rank of the first key is above are out.
    worst: Option<u64>,
    context: &'a RunContext,
}

struct Key {
    /// Its place among the kept columns, and how it is made where the input does not have it.
    column: usize,
    code: Option<Compiled>,
    descending: bool,
}

/// A rank in the order of a key, and the number of the row.
type Ranked = (u64, u32);

/// Up to so many rows are sorted by comparing.
const COMPARED_ROWS: usize = 1 << 12;

/// Larger parts go into two to the power of that many buckets.
const BUCKET_BITS: u32 = 10;

impl<'a> Sorted<'a> {
    /// `input` are the types of the rows that are sorted.
    pub fn new(
        keys: &[SortKey],
        limit: Option<u64>,
        input: impl Iterator<Item = Type>,
        compiler: &Compiler,
        context: &'a RunContext,
    ) -> Sorted<'a> {
        let mut types: Vec<Type> = input.collect();
        let width = types.len();
        let key = |key: &SortKey| {
            let (column, code) = match key.expr.node {
                Node::Column(index) => (index, None),
                _ => {
                    types.push(key.expr.ty.clone());
                    (types.len() - 1, Some(compiler.compile(&key.expr)))
                }
            };
            Key { column, code, descending: key.descending }
        };
        let keys = keys.iter().map(key).collect();
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Sorted { keys, limit, rows: Rows::new(&types), runs: Vec::new(), types, width, worst: None, context }
    }

    /// The columns by which its rows are ordered, whether each descends, and the types of all columns.
    pub fn into_order(self) -> (Vec<(usize, bool)>, Vec<Type>) {
        (self.keys.iter().map(|key| (key.column, key.descending)).collect(), self.types)
    }

    /// Keeps only the first rows of those that there are.
    fn cut(&mut self, limit: usize) -> Fallible<()> {
        let all = std::mem::replace(&mut self.rows, Rows::new(&self.types)).finish();
        let mut in_order = self.in_order(&all)?;
        in_order.truncate(limit);
        if let (Some(last), Some(key), true) = (in_order.last(), self.keys.first(), in_order.len() == limit) {
            self.worst = Some(rank(&all.columns[key.column], *last as usize, key.descending, 0));
        }
        self.rows.push_rows(&all, &in_order)
    }

    /// Puts the rows that are in no order yet into one, as a run of their own. The few of a limit wait.
    pub fn settle(&mut self) -> Fallible<()> {
        if self.limit.is_none() && self.rows.count() > 0 {
            let all = std::mem::replace(&mut self.rows, Rows::new(&self.types)).finish();
            let in_order = self.in_order(&all)?;
            self.runs.push(Rows::gathered(&all, &in_order, self.context)?);
        }
        Ok(())
    }

    /// All rows, in any order, and their numbers in order.
    fn all_in_order(mut self) -> Fallible<(Batch, Vec<u32>)> {
        if self.runs.is_empty() {
            let all = std::mem::replace(&mut self.rows, Rows::new(&self.types)).finish();
            let in_order = self.in_order(&all)?;
            return Ok((all, in_order));
        }
        self.settle()?;
        let mut ends = Vec::new();
        for run in std::mem::take(&mut self.runs) {
            self.rows.push_all(&run, self.context)?;
            ends.push(self.rows.count() as u32);
        }
        let all = std::mem::replace(&mut self.rows, Rows::new(&self.types)).finish();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let rank = |row: u32| match self.keys.first() {
            Some(key) => rank(&all.columns[key.column], row as usize, key.descending, 0),
            None => 0,
        };
        let mut runs =
            starts.zip(&ends).map(|(start, end)| self.ranked(start..*end, rank)).collect::<Fallible<Vec<_>>>()?;
        // Neighbours are merged until one is left: each row is looked at as often as the number of runs can be halved.
        while runs.len() > 1 {
            let mut merged = Vec::with_capacity(runs.len().div_ceil(2));
            let mut left = runs.into_iter();
            while let Some(run) = left.next() {
                merged.push(match left.next() {
                    Some(next) => self.merged(&run, &next, &all.columns)?,
                    None => run,
                });
            }
            runs = merged;
        }
        let in_order = self.numbers(&runs.pop().unwrap_or_default())?;
        Ok((all, in_order))
    }

    /// Two runs as one.
    fn merged(&self, a: &[Ranked], b: &[Ranked], columns: &[Column]) -> Fallible<Vec<Ranked>> {
        let mut merged = Vec::with_capacity(a.len() + b.len());
        let (mut a, mut b) = (a, b);
        while let ([first, rest @ ..], [other, others @ ..]) = (a, b) {
            if merged.len().is_multiple_of(CHECKED_ROWS) {
                self.context.check()?;
            }
            let order = first.0.cmp(&other.0);
            let order = order.then_with(|| compare(&self.keys, columns, first.1 as usize, other.1 as usize));
            if order.is_gt() {
                merged.push(*other);
                b = others;
            } else {
                merged.push(*first);
                a = rest;
            }
        }
        merged.extend_from_slice(a);
        merged.extend_from_slice(b);
        Ok(merged)
    }

    /// Rows with their ranks.
    fn ranked(&self, rows: Range<u32>, rank: impl Fn(u32) -> u64) -> Fallible<Vec<Ranked>> {
        let mut ranked = Vec::with_capacity(rows.len());
        for start in rows.clone().step_by(CHECKED_ROWS) {
            self.context.check()?;
            let end = rows.end.min(start.saturating_add(CHECKED_ROWS as u32));
            ranked.extend((start..end).map(|row| (rank(row), row)));
        }
        Ok(ranked)
    }

    /// The numbers of ranked rows.
    fn numbers(&self, ranked: &[Ranked]) -> Fallible<Vec<u32>> {
        let mut numbers = Vec::with_capacity(ranked.len());
        for part in ranked.chunks(CHECKED_ROWS) {
            self.context.check()?;
            numbers.extend(part.iter().map(|(_, row)| *row));
        }
        Ok(numbers)
    }

    /// The row numbers in order.
    fn in_order(&self, all: &Batch) -> Fallible<Vec<u32>> {
        let mut ranked = self.ranked(0..all.rows as u32, |_| 0)?;
        // Memory that the system clears where it is first written.
        let mut scratch = vec![(0, 0); all.rows];
        let sort = Sort { keys: &self.keys, columns: &all.columns, context: self.context };
        sort.rows(&mut ranked, &mut scratch, 0, 0)?;
        self.numbers(&ranked)
    }
}

/// What is sorted by what.
struct Sort<'a> {
    keys: &'a [Key],
    columns: &'a [Column],
    context: &'a RunContext,
}

impl Sort<'_> {
    /// Sorts rows by the keys from number `from` on; `scratch` is as long. Of a text the first `seen` bytes are equal.
    fn rows(&self, rows: &mut [Ranked], scratch: &mut [Ranked], from: usize, seen: usize) -> Fallible<()> {
        let Some(key) = self.keys.get(from) else { return Ok(()) };
        let column = &self.columns[key.column];
        let ranks = |part: &mut [Ranked]| {
            for (slot, row) in part {
                *slot = rank(column, *row as usize, key.descending, seen);
            }
        };
        self.each_part(rows, ranks)?;
        self.by_rank(rows, scratch)?;
        let plain = matches!(column.nulls, Nulls::None) && !matches!(column.data, Data::List(_));
        let is_text = matches!(column.data, Data::Text(_));
        if plain && !is_text && from + 1 == self.keys.len() {
            return Ok(());
        }
        for ties in rows.chunk_by_mut(|a, b| a.0 == b.0).filter(|ties| ties.len() > 1) {
            let scratch = &mut scratch[..ties.len()];
            match &column.data {
                // Few are compared at once; nulls have the rank of the last value.
                _ if ties.len() <= 8 || !plain => self.sort_by_comparing(ties, from),
                Data::Text(texts) => {
                    let lengths = || ties.iter().map(|(_, row)| texts.at(*row as usize).len());
                    let (shortest, longest) = (lengths().min(), lengths().max());
                    match longest {
                        Some(longest) if longest > seen + RANK_BYTES => {
                            self.rows(ties, scratch, from, seen + RANK_BYTES)?;
                        }
                        _ if shortest == longest => self.rows(ties, scratch, from + 1, 0)?,
                        // Zero bytes at the end have the rank of no bytes.
                        _ => self.sort_by_comparing(ties, from),
                    }
                }
                _ => self.rows(ties, scratch, from + 1, 0)?,
            }
        }
        Ok(())
    }

    fn sort_by_comparing(&self, rows: &mut [Ranked], from: usize) {
        let keys = &self.keys[from..];
        rows.sort_unstable_by(|a, b| compare(keys, self.columns, a.1 as usize, b.1 as usize));
    }

    /// Sorts rows by their ranks: large parts are spread over buckets by the bits in which they differ, small ones are
    /// compared.
    fn by_rank(&self, rows: &mut [Ranked], scratch: &mut [Ranked]) -> Fallible<()> {
        if rows.len() <= COMPARED_ROWS {
            rows.sort_unstable_by_key(|(rank, _)| *rank);
            return Ok(());
        }
        let (mut least, mut most) = (u64::MAX, 0);
        self.each_part(rows, |part| {
            least = part.iter().fold(least, |least, (rank, _)| least.min(*rank));
            most = part.iter().fold(most, |most, (rank, _)| most.max(*rank));
        })?;
        let range = most - least;
        if range == 0 {
            return Ok(());
        }
        let shift = (64 - range.leading_zeros()).saturating_sub(BUCKET_BITS);
        let bucket = |rank: u64| ((rank - least) >> shift) as usize;
        let mut ends = vec![0; 1 << BUCKET_BITS];
        self.each_part(rows, |part| part.iter().for_each(|(rank, _)| ends[bucket(*rank)] += 1))?;
        let mut end = 0;
        for count in &mut ends {
            end += std::mem::replace(count, end);
        }
        self.each_part(rows, |part| {
            for row in part {
                let place = &mut ends[bucket(row.0)];
                scratch[*place] = *row;
                *place += 1;
            }
        })?;
        let mut sorted = &scratch[..];
        self.each_part(rows, |part| {
            let (first, rest) = sorted.split_at(part.len());
            part.copy_from_slice(first);
            sorted = rest;
        })?;
        let mut start = 0;
        for end in ends.into_iter().filter(|_| shift > 0) {
            self.by_rank(&mut rows[start..end], &mut scratch[start..end])?;
            start = end;
        }
        Ok(())
    }

    /// Goes through rows. Where they are many, the stop flag is looked at before each part of them.
    fn each_part(&self, rows: &mut [Ranked], mut take: impl FnMut(&mut [Ranked])) -> Fallible<()> {
        if rows.len() <= COMPARED_ROWS {
            take(rows);
            return Ok(());
        }
        for part in rows.chunks_mut(CHECKED_ROWS) {
            self.context.check()?;
            take(part);
        }
        Ok(())
    }
}

fn compare(keys: &[Key], columns: &[Column], a: usize, b: usize) -> Ordering {
    let orders = keys.iter().map(|key| {
        let column = &columns[key.column];
        compare_directed((column, a), (column, b), key.descending)
    });
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Nulls last in both directions.
fn compare_directed(a: (&Column, usize), b: (&Column, usize), descending: bool) -> Ordering {
    match (a.0.nulls.at(a.1), b.0.nulls.at(b.1)) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) if descending => order(b.0, b.1, a.0, a.1),
        (false, false) => order(a.0, a.1, b.0, b.1),
    }
}

/// The order of rows of two batches by these columns, some of which descend.
pub(super) fn compare_rows(keys: &[(usize, bool)], a: (&Batch, usize), b: (&Batch, usize)) -> Ordering {
    let orders = keys.iter().map(|(column, descending)| {
        compare_directed((&a.0.columns[*column], a.1), (&b.0.columns[*column], b.1), *descending)
    });
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// A number in the order of a key, as far as one tells it.
pub(super) fn rank_of(column: &Column, row: usize, descending: bool) -> u64 {
    rank(column, row, descending, 0)
}

/// How many bytes of a text a rank tells.
const RANK_BYTES: usize = 8;

/// A number in the order of the key; of texts whose first `seen` bytes are equal, as far as the next eight tell it.
#[inline(always)]
fn rank(column: &Column, row: usize, descending: bool, seen: usize) -> u64 {
    if column.nulls.at(row) {
        return u64::MAX;
    }
    let rank = match &column.data {
        Data::Int(ints) => loops::int_rank(*ints.slots.at(row)),
        Data::Float(slots) => loops::float_rank(*slots.at(row)),
        Data::Bool(slots) => u64::from(*slots.at(row)),
        Data::Text(texts) => {
            let bytes = texts.at(row).as_bytes();
            let rest = bytes.get(seen..).unwrap_or_default();
            let mut first = [0; RANK_BYTES];
            let length = rest.len().min(RANK_BYTES);
            first[..length].copy_from_slice(&rest[..length]);
            u64::from_be_bytes(first)
        }
        Data::List(_) => 0,
    };
    if descending { !rank } else { rank }
}

/// The rows whose rank is not above `worst`.
fn not_above(column: &Column, worst: u64, descending: bool, rows: usize) -> Vec<u32> {
    let mask = match (&column.data, &column.nulls) {
        (Data::Int(Ints { slots: Slots::Each(values), .. }), Nulls::None) => {
            loops::ints_ranked(values, worst, descending)
        }
        (Data::Float(Slots::Each(values)), Nulls::None) => loops::floats_ranked(values, worst, descending),
        _ => (0..rows).map(|row| rank(column, row, descending, 0) <= worst).collect(),
    };
    loops::selected(&mask)
}

impl Partial for Sorted<'_> {
    type Whole = Batch;

    fn take(&mut self, scope: Scope) -> Fallible<()> {
        let mut batch = scope.batch.clone();
        for code in self.keys.iter().filter_map(|key| key.code.as_ref()) {
            batch.columns.push(code.value(scope).map_err(|fault| fault.diagnostic(None))?);
        }
        let Some(limit) = self.limit else {
            return self.rows.push(&batch);
        };
        match (self.worst, self.keys.first()) {
            (Some(worst), Some(key)) => {
                let first = &batch.columns[key.column];
                self.rows.push_rows(&batch, &not_above(first, worst, key.descending, batch.rows))?;
            }
            _ => self.rows.push(&batch)?,
        }
        if self.rows.count() >= limit.saturating_mul(2).max(2 * self.context.chunk_sizes.rows) {
            self.cut(limit)?;
        }
        Ok(())
    }

    fn merge(&mut self, mut later: Self, _: &RunContext) -> Fallible<()> {
        if let Some(limit) = self.limit {
            self.rows.push(&later.rows.finish())?;
            return self.cut(limit);
        }
        // Each sorts its own rows; the runs are merged when all are there.
        later.settle()?;
        self.settle()?;
        self.runs.append(&mut later.runs);
        Ok(())
    }

    fn size(&self) -> usize {
        // To put a row in order takes two ranks with its number, and its place: more than a row of one number has.
        const BESIDE: usize = 2 * size_of::<Ranked>() + size_of::<u32>();
        let held = self.rows.size() + self.runs.iter().map(Batch::size).sum::<usize>();
        let rows = self.rows.count() + self.runs.iter().map(|run| run.rows).sum::<usize>();
        if self.limit.is_none() { held + rows * BESIDE } else { held }
    }

    fn columns(mut self) -> Fallible<Batch> {
        if let Some(limit) = self.limit {
            self.cut(limit)?;
            return Ok(self.rows.finish());
        }
        let context = self.context;
        let (all, in_order) = self.all_in_order()?;
        Rows::gathered(&all, &in_order, context)
    }

    fn take_columns(&mut self, flat: Batch, _: &RunContext) -> Fallible<Vec<u32>> {
        if let Some(limit) = self.limit {
            self.rows.push(&flat)?;
            self.cut(limit)?;
            return Ok(Vec::new());
        }
        self.settle()?;
        self.runs.push(flat);
        Ok(Vec::new())
    }

    fn split(self, _: usize) -> Fallible<Vec<Batch>> {
        Ok(vec![self.columns()?])
    }

    fn finish(self) -> Fallible<Batch> {
        let (limit, width, context) = (self.limit, self.width, self.context);
        let (all, mut in_order) = self.all_in_order()?;
        in_order.truncate(limit.unwrap_or(usize::MAX));
        let wanted = Batch { rows: all.rows, columns: all.columns[..width].to_vec() };
        Rows::gathered(&wanted, &in_order, context)
    }
}
