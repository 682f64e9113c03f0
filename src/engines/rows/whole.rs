//! Steps that need all rows before they can give one.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::data::{Value, generate};
use crate::diagnostic::Fallible;
use crate::rowwise::{Compiled, Frame};
use crate::run_context::{RunContext, Stop};

use super::flow::{Flow, Whole, at_row, leave, more};

fn all_rows(input: &mut dyn Flow, frame: &mut Frame) -> Fallible<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    while more(input.next(frame))? {
        rows.push(std::mem::take(&mut frame.row));
        frame.steps += 1;
    }
    Ok(rows)
}

pub struct Sort {
    /// Each with whether it is descending.
    pub keys: Vec<(Compiled, bool)>,
    pub limit: Option<u64>,
}

impl Whole for Sort {
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, context: &RunContext) -> Fallible<VecDeque<Vec<Value>>> {
        const LOOK: usize = 1 << 12;
        let mut rows = Vec::new();
        if let Err(error) = self.gather(&mut rows, input, frame, context) {
            leave(rows, &context.stop);
            return Err(error);
        }
        let mut sorted = VecDeque::with_capacity(rows.len());
        let mut rest = rows.into_iter();
        while let Some((_, row)) = rest.next() {
            sorted.push_back(row);
            // The keys are freed here.
            if sorted.len().is_multiple_of(LOOK) && context.stop.is_raised() {
                leave((rest, sorted), &context.stop);
                return context.stop.check().map(|()| VecDeque::new());
            }
        }
        Ok(sorted)
    }
}

/// A row behind the values that it is sorted by.
type Keyed = (Vec<Value>, Vec<Value>);

impl Sort {
    /// All rows, or the first, in order.
    fn gather(
        &self,
        rows: &mut Vec<Keyed>,
        input: &mut dyn Flow,
        frame: &mut Frame,
        context: &RunContext,
    ) -> Fallible<()> {
        let mut seen = 0;
        let limit = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        while more(input.next(frame))? {
            seen += 1;
            frame.steps += 1;
            let key: Result<Vec<Value>, _> = self.keys.iter().map(|(code, _)| code.value(frame)).collect();
            rows.push((key.map_err(at_row(seen))?, std::mem::take(&mut frame.row)));
            // With a limit no more than twice its rows are kept.
            if rows.len() >= limit.saturating_mul(2).max(1024) {
                frame.steps += self.keep_first(rows, limit, &context.stop)?;
            }
        }
        context.stop.check()?;
        frame.steps += self.keep_first(rows, limit, &context.stop)?;
        Ok(())
    }

    /// Sorts and keeps the first; how many comparisons that took, and rows that were moved.
    fn keep_first(&self, rows: &mut Vec<Keyed>, limit: usize, stop: &Stop) -> Fallible<u64> {
        let comparisons = sort(rows, stop, |(a, _), (b, _)| {
            let pairs = a.iter().zip(b).zip(&self.keys);
            let orders = pairs.map(|((a, b), (_, descending))| a.compare_directed(b, *descending));
            orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        })?;
        let steps = rows.len() as u64 + comparisons;
        rows.truncate(limit);
        Ok(steps)
    }
}

/// What ends a sort from within.
struct Stopped;

/// Sorts by the library's own sort, which asks nobody whether to go on: a million rows take longer than anyone waits
/// after Ctrl-C. So it is left by an unwinding of our own, which reaches no hook. How many comparisons it took.
fn sort<T>(rows: &mut [T], stop: &Stop, mut compare: impl FnMut(&T, &T) -> Ordering) -> Fallible<u64> {
    const LOOK: u64 = 1 << 12;
    let mut comparisons = 0;
    let sorting = || {
        rows.sort_by(|a, b| {
            comparisons += 1;
            if comparisons % LOOK == 0 && stop.is_raised() {
                resume_unwind(Box::new(Stopped));
            }
            compare(a, b)
        });
    };
    match catch_unwind(AssertUnwindSafe(sorting)) {
        Ok(()) => Ok(comparisons),
        Err(end) if end.is::<Stopped>() => stop.check().map(|()| comparisons),
        Err(panic) => resume_unwind(panic),
    }
}

pub struct Reverse;

impl Whole for Reverse {
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, _: &RunContext) -> Fallible<VecDeque<Vec<Value>>> {
        let rows = all_rows(input, frame)?;
        // Each is moved.
        frame.steps += rows.len() as u64;
        Ok(rows.into_iter().rev().collect())
    }
}

pub struct Pairs;

impl Whole for Pairs {
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, context: &RunContext) -> Fallible<VecDeque<Vec<Value>>> {
        let rows = all_rows(input, frame)?;
        let mut pairs = VecDeque::new();
        for (i, a) in rows.iter().enumerate() {
            context.check()?;
            frame.steps += (rows.len() - i - 1) as u64;
            pairs.extend(rows[i + 1..].iter().map(|b| vec![a[0].clone(), b[0].clone()]));
        }
        Ok(pairs)
    }
}

pub struct Sample {
    pub count: u64,
    pub seed: i64,
}

impl Whole for Sample {
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, context: &RunContext) -> Fallible<VecDeque<Vec<Value>>> {
        let rows = all_rows(input, frame)?;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let place = |row: &usize| (generate::mix(self.seed, *row as u64), *row);
        frame.steps += sort(&mut order, &context.stop, |a, b| place(a).cmp(&place(b)))?;
        let mut chosen = vec![false; rows.len()];
        for row in order.into_iter().take(usize::try_from(self.count).unwrap_or(usize::MAX)) {
            chosen[row] = true;
        }
        Ok(rows.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(row, _)| row).collect())
    }
}
