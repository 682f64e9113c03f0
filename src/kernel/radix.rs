//! Partials with many keys, in parts of which each has its own keys: threads merge one part each.

use crate::diagnostic::Fallible;
use crate::run_context::RunContext;

use super::column::{Batch, Column, Data};
use super::external::{KeysAt, ranked};
use super::groups::Packed;
use super::partial::{Partial, spread};

const PARTS: usize = 64;

/// Rows of a partial that come from one task: those from `start` up to the start of the next segment.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// The number of the task, in the order of the input.
    pub task: usize,
    pub start: usize,
}

/// Flat columns of a partial cut at its segments, each with its task; none of them is empty.
pub fn pieces<'b>(flat: &'b Batch, segments: &'b [Segment]) -> impl Iterator<Item = (usize, Batch)> + 'b {
    let ends = segments.iter().skip(1).map(|next| next.start).chain([flat.rows]);
    let cut = segments.iter().zip(ends).filter(|(segment, end)| segment.start < *end);
    cut.map(|(segment, end)| (segment.task, flat.part(segment.start, end - segment.start)))
}

/// The parts of one partial, in their flat columns; the last one is the number of the row in the partial.
pub struct Parts {
    parts: Vec<Batch>,
    segments: Vec<Segment>,
}

impl Parts {
    /// Those of a partial whose rows come from the tasks of these segments, the first of which starts at 0.
    pub fn of(flat: Batch, keys: KeysAt, segments: Vec<Segment>) -> Parts {
        let places = Packed::new(keys.of(&flat.columns), flat.rows).parts(PARTS, 0);
        let ranks = (0..flat.rows as i64).collect();
        Parts { parts: spread(&ranked(flat, ranks), places, PARTS), segments }
    }

    fn rows(&self) -> usize {
        self.parts.iter().map(|part| part.rows).sum()
    }
}

/// The parts of all partials.
pub struct Radix {
    /// By part: what each task has of it, and what makes the number of a row its place among all.
    parts: Vec<Vec<(i64, Batch)>>,
    rows: usize,
}

impl Radix {
    /// No two partials have rows of one task.
    pub fn new(all: Vec<Parts>) -> Radix {
        let rows = all.iter().map(Parts::rows).sum();
        // The rows of the first task come first, whichever partial has them.
        let mut segments: Vec<(Segment, usize, usize)> = Vec::new();
        for (partial, parts) in all.iter().enumerate() {
            let ends = parts.segments.iter().skip(1).map(|next| next.start).chain([parts.rows()]);
            segments.extend(parts.segments.iter().zip(ends).map(|(segment, end)| (*segment, partial, end)));
        }
        segments.sort_by_key(|(segment, ..)| segment.task);
        let mut parts = vec![Vec::new(); PARTS];
        let mut first = 0;
        for (segment, partial, end) in segments {
            for (part, rows) in parts.iter_mut().zip(&all[partial].parts) {
                let place = |number: usize| first_at(&rows.columns[rows.columns.len() - 1], rows.rows, number);
                let (from, to) = (place(segment.start), place(end));
                if from < to {
                    // Its rows are numbered within the partial.
                    part.push((first as i64 - segment.start as i64, rows.part(from, to - from)));
                }
            }
            first += end - segment.start;
        }
        Radix { parts, rows }
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
        let mut firsts = Vec::new();
        for (first, rows) in &self.parts[part] {
            let mut flat = rows.clone();
            let numbers = flat.columns.pop().expect("the number of the row is the last column");
            for row in partial.take_columns(flat, context)? {
                firsts.push((first + number_at(&numbers, row as usize)) as usize);
            }
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

/// The first of so many rows whose number, which ascends, is not below `number`.
fn first_at(numbers: &Column, rows: usize, number: usize) -> usize {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = low.midpoint(high);
        if number_at(numbers, middle) < number as i64 { low = middle + 1 } else { high = middle }
    }
    low
}

fn number_at(numbers: &Column, row: usize) -> i64 {
    match &numbers.data {
        Data::Int(ints) => *ints.slots.at(row),
        Data::Float(_) | Data::Bool(_) | Data::Text(_) | Data::List(_) => unreachable!("numbers of rows are ints"),
    }
}
