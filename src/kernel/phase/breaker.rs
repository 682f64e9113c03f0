//! The pipeline breakers, as one kind of partial.

use crate::data::{Schema, generate};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::partial::Partial;
use crate::kernel::{Aggregates, Batch, Column, Compiler, Rows, Scope, Sorted};
use crate::plan::Op;
use crate::rowwise::Program;
use crate::run_context::RunContext;

use super::operator::Batches;

/// What an op that breaks a pipeline has of its input.
pub enum Breaker<'a> {
    Groups(Box<Aggregates<'a>>),
    Sorted(Box<Sorted<'a>>),
    /// All rows in their order, for an op whose result is not made of those of parts.
    All(Rows, Whole),
}

/// To spread groups over parts takes about as long as to merge them: for fewer of these one thread is quick enough.
pub const MANY_GROUPS: usize = 1 << 15;

/// What becomes of all rows.
#[derive(Clone, Copy)]
pub enum Whole {
    Reverse,
    Sample {
        count: u64,
        seed: i64,
    },
    /// They stay as they are: their pairs are made of them one batch after the other.
    Pairs,
}

impl<'a> Breaker<'a> {
    /// That of an op, into which a table of `input` flows; none where the op gives rows as it takes them.
    pub fn new(
        op: &'a Op,
        input: &'a Schema,
        compiler: &Compiler,
        program: &'a Program,
        context: &'a RunContext,
    ) -> Option<Breaker<'a>> {
        let all = |what| Some(Breaker::All(Rows::of(input), what));
        match op {
            Op::Aggregate { keys, aggs } => {
                Some(Breaker::Groups(Box::new(Aggregates::new(keys, aggs, compiler, program))))
            }
            Op::Sort { keys, limit } => {
                let types = input.columns.iter().map(|column| column.ty.clone());
                Some(Breaker::Sorted(Box::new(Sorted::new(keys, *limit, types, compiler, context))))
            }
            Op::Reverse => all(Whole::Reverse),
            Op::Sample { count, seed } => all(Whole::Sample { count: *count, seed: *seed }),
            Op::Pairs => all(Whole::Pairs),
            Op::Project(_)
            | Op::Filter(_)
            | Op::Explode(_)
            | Op::Slice { .. }
            | Op::Number
            | Op::Distinct(_)
            | Op::Fold { .. }
            | Op::Join { .. }
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Peek { .. }
            | Op::Tally(_) => None,
        }
    }

    /// Does what need not wait for other parts of the input: rows are sorted.
    pub fn settle(&mut self) -> Fallible<()> {
        match self {
            Breaker::Sorted(sorted) => sorted.settle(),
            Breaker::Groups(_) | Breaker::All(..) => Ok(()),
        }
    }

    /// Whether it has so many groups that several threads should merge them.
    pub fn has_many_groups(&self) -> bool {
        self.groups() > MANY_GROUPS
    }

    /// How many groups it has by keys.
    pub fn groups(&self) -> usize {
        match self {
            Breaker::Groups(groups) => groups.keyed_groups(),
            Breaker::Sorted(_) | Breaker::All(..) => 0,
        }
    }

    /// As [`Aggregates::merges_in_any_order`].
    pub fn merges_in_any_order(&self) -> bool {
        match self {
            Breaker::Groups(groups) => groups.merges_in_any_order(),
            Breaker::Sorted(_) | Breaker::All(..) => false,
        }
    }

    /// As [`Aggregates::singles`], where it is one of groups.
    pub fn singles(&self, scope: Scope) -> Fallible<Batch> {
        match self {
            Breaker::Groups(groups) => groups.singles(scope),
            Breaker::Sorted(_) | Breaker::All(..) => Ok(scope.batch.clone()),
        }
    }

    /// To which of `parts` parts each row of a batch belongs, by its key: as in [`Partial::split`].
    pub fn places(&self, scope: Scope, parts: usize) -> Fallible<Vec<usize>> {
        match self {
            Breaker::Groups(groups) => groups.places(scope, parts),
            Breaker::Sorted(_) | Breaker::All(..) => Ok(vec![0; scope.rows()]),
        }
    }

    /// Its flat columns in parts by key, with the place of each group in two more: as in
    /// [`Aggregates::split_numbered`]. What has no groups is one part, without them.
    pub fn split_numbered(self, parts: usize, first: i64) -> Fallible<(Vec<Batch>, usize)> {
        match self {
            Breaker::Groups(groups) => groups.split_numbered(parts, first),
            Breaker::Sorted(_) | Breaker::All(..) => Ok((self.split(parts)?, 0)),
        }
    }

    /// Its rows, in batches.
    pub fn batches(self, context: &'a RunContext) -> Fallible<Box<dyn Batches + 'a>> {
        let pairs = matches!(self, Breaker::All(_, Whole::Pairs));
        let all = self.finish()?;
        Ok(match pairs {
            true => Box::new(Pairs::new(all, 0, u32::MAX, context)),
            false => Box::new(Parts { all, at: 0, context }),
        })
    }
}

impl Partial for Breaker<'_> {
    type Whole = Batch;

    fn take(&mut self, scope: Scope) -> Fallible<()> {
        match self {
            Breaker::Groups(groups) => groups.take(scope),
            Breaker::Sorted(sorted) => sorted.take(scope),
            Breaker::All(rows, _) => rows.push(scope.batch),
        }
    }

    fn merge(&mut self, later: Self, context: &RunContext) -> Fallible<()> {
        match (self, later) {
            (Breaker::Groups(groups), Breaker::Groups(later)) => groups.merge(*later, context),
            (Breaker::Sorted(sorted), Breaker::Sorted(later)) => sorted.merge(*later, context),
            (all @ Breaker::All(..), Breaker::All(later, _)) => all.take_columns(later.finish(), context).map(drop),
            _ => Err(Diagnostic::new(Kind::System, "only partials of one op can be merged")),
        }
    }

    fn size(&self) -> usize {
        match self {
            Breaker::Groups(groups) => groups.size(),
            Breaker::Sorted(sorted) => sorted.size(),
            Breaker::All(rows, _) => rows.size(),
        }
    }

    fn columns(self) -> Fallible<Batch> {
        match self {
            Breaker::Groups(groups) => groups.columns(),
            Breaker::Sorted(sorted) => sorted.columns(),
            Breaker::All(rows, _) => Ok(rows.finish()),
        }
    }

    fn take_columns(&mut self, flat: Batch, context: &RunContext) -> Fallible<Vec<u32>> {
        match self {
            Breaker::Groups(groups) => groups.take_columns(flat, context),
            Breaker::Sorted(sorted) => sorted.take_columns(flat, context),
            Breaker::All(rows, _) => {
                rows.push_all(&flat, context)?;
                Ok(Vec::new())
            }
        }
    }

    fn split(self, parts: usize) -> Fallible<Vec<Batch>> {
        match self {
            Breaker::Groups(groups) => groups.split(parts),
            Breaker::Sorted(sorted) => sorted.split(parts),
            Breaker::All(rows, _) => Ok(vec![rows.finish()]),
        }
    }

    fn finish(self) -> Fallible<Batch> {
        match self {
            Breaker::Groups(groups) => groups.finish(),
            Breaker::Sorted(sorted) => sorted.finish(),
            Breaker::All(rows, what) => {
                let all = rows.finish();
                let rows = all.rows as u32;
                Ok(match what {
                    Whole::Reverse => all.gathered(&(0..rows).rev().collect::<Vec<u32>>()),
                    Whole::Sample { count, seed } => {
                        // Each row has its random number by its place, so that every engine draws the same ones.
                        let mut order: Vec<u32> = (0..rows).collect();
                        order.sort_by_key(|row| (generate::mix(seed, u64::from(*row)), *row));
                        order.truncate(usize::try_from(count).unwrap_or(usize::MAX));
                        order.sort_unstable();
                        all.gathered(&order)
                    }
                    Whole::Pairs => all,
                })
            }
        }
    }
}

/// A large batch in parts of the usual size.
struct Parts<'a> {
    all: Batch,
    at: usize,
    context: &'a RunContext,
}

impl Batches for Parts<'_> {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        self.context.check()?;
        let rows = (self.all.rows - self.at).min(self.context.chunk_sizes.rows);
        let part = (rows > 0).then(|| self.all.part(self.at, rows));
        self.at += rows;
        Ok(part)
    }
}

/// The pairs of the rows of one column, in order of the first and then of the second.
pub struct Pairs<'a> {
    all: Batch,
    left: u32,
    /// Behind the last row that is a first of a pair.
    end: u32,
    right: u32,
    context: &'a RunContext,
}

impl<'a> Pairs<'a> {
    /// Those whose first one is a row from `left` up to, but without, `end`.
    pub fn new(all: Batch, left: u32, end: u32, context: &'a RunContext) -> Pairs<'a> {
        Pairs { end: end.min(all.rows as u32), right: left.saturating_add(1).min(all.rows as u32), all, left, context }
    }
}

impl Batches for Pairs<'_> {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        self.context.check()?;
        let count = self.all.rows as u32;
        let (mut lefts, mut rights) = (Vec::new(), Vec::new());
        while self.left < self.end && lefts.len() < self.context.chunk_sizes.rows {
            // As many as this row has left, or as there is room for.
            let room = (self.context.chunk_sizes.rows - lefts.len()) as u32;
            let end = count.min(self.right.saturating_add(room));
            lefts.resize(lefts.len() + (end - self.right) as usize, self.left);
            rights.extend(self.right..end);
            self.right = end;
            if end == count {
                self.left += 1;
                self.right = (self.left + 1).min(count);
            }
        }
        let columns: Vec<Column> = [&lefts, &rights].map(|rows| self.all.columns[0].gathered(rows)).into();
        Ok((!lefts.is_empty()).then_some(Batch { rows: lefts.len(), columns }))
    }
}
