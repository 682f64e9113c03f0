//! Partials spread over parts by the hashes of their keys (grace hashing; Kitsuregawa, Tanaka, Moto-oka 1983). Each
//! part is merged alone, and split again by other bits where it is still too large.

use std::sync::Arc;

use crate::data::Type;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::kernel::column::{Batch, Column, Data};
use crate::kernel::groups::{Groups, Packed};
use crate::kernel::partial::{Partial, spread};
use crate::run_context::{RunContext, Spill};

use super::merge::{Merge, Run};
use super::scratch::{Place, Scratch};

pub const PARTS: usize = 32;
/// Each level looks at bits of the hash that those before have not seen.
pub const MOST_LEVELS: u32 = 10;

/// Which of a partial's flat columns are its keys.
#[derive(Debug, Clone, Copy)]
pub enum KeysAt {
    Start(usize),
    End(usize),
    All,
}

impl KeysAt {
    pub fn of(self, columns: &[Column]) -> &[Column] {
        match self {
            KeysAt::Start(count) => &columns[..count],
            KeysAt::End(count) => &columns[columns.len() - count..],
            KeysAt::All => columns,
        }
    }
}

/// Partials of one op in a scratch file. Each row has a rank, by which results come in the order that they would have
/// in memory: the one of the first row that has its key.
pub struct Keyed {
    scratch: Arc<Scratch>,
    keys: KeysAt,
    parts: Vec<Vec<Place>>,
    next: i64,
    span: Span,
}

impl Keyed {
    /// `span` is the place of the op.
    pub fn new(spill: &Spill, keys: KeysAt, span: Span) -> Fallible<Keyed> {
        spill.add_pass();
        let parts = vec![Vec::new(); PARTS];
        Ok(Keyed { scratch: Arc::new(Scratch::new(spill)?), keys, parts, next: 0, span })
    }

    /// Puts what a partial has into the file; it comes after all that is there.
    pub fn push(&mut self, flat: Batch) -> Fallible<()> {
        let ranks = (self.next..self.next + flat.rows as i64).collect();
        self.next += flat.rows as i64;
        write_parts(ranked(flat, ranks), self.keys, 0, &mut self.parts, &self.scratch)
    }

    /// The same for what was given out already: its keys count, but no rows come of it.
    pub fn push_given(&mut self, flat: Batch) -> Fallible<()> {
        let ranks = vec![-1; flat.rows];
        write_parts(ranked(flat, ranks), self.keys, 0, &mut self.parts, &self.scratch)
    }

    /// What comes of all partials; the last column is the rank. `types` are those of the results.
    pub fn finish<P: Partial<Whole = Batch>>(
        self,
        make: &dyn Fn() -> P,
        types: Vec<Type>,
        context: &RunContext,
    ) -> Fallible<Merge> {
        let mut runs = Vec::new();
        for places in &self.parts {
            self.part(places, 0, make, &mut runs, context)?;
        }
        let rank = types.len();
        let types = types.into_iter().chain([Type::Int]).collect();
        Merge::new(self.scratch, runs, vec![(rank, false)], types, context)
    }

    fn part<P: Partial<Whole = Batch>>(
        &self,
        places: &[Place],
        level: u32,
        make: &dyn Fn() -> P,
        runs: &mut Vec<Run>,
        context: &RunContext,
    ) -> Fallible<()> {
        let spill = self.scratch.spill();
        let (mut partial, mut groups) = (make(), Groups::default());
        let (mut ranks, mut ids) = (Vec::new(), Vec::new());
        for (at, place) in places.iter().enumerate() {
            context.check()?;
            let mut flat = self.scratch.read(*place)?;
            let theirs = flat.columns.pop().expect("the rank is the last column");
            let keys = Packed::new(self.keys.of(&flat.columns), flat.rows);
            // The partial numbers its keys in the same order.
            for row in groups.take(&keys, &mut ids) {
                ranks.push(rank_at(&theirs, row as usize));
            }
            partial.take_columns(flat, context)?;
            let size = partial.size() + groups.size() + size_of_val(&ranks[..]);
            if size <= spill.limit_of_part() {
                continue;
            }
            if groups.len() <= 1 || level == MOST_LEVELS {
                if size > spill.most() {
                    return Err(too_large(size, spill, self.span));
                }
                continue;
            }
            spill.add_pass();
            let mut deeper = vec![Vec::new(); PARTS];
            drop(groups);
            write_parts(ranked(partial.columns()?, ranks), self.keys, level + 1, &mut deeper, &self.scratch)?;
            for place in &places[at + 1..] {
                context.check()?;
                write_parts(self.scratch.read(*place)?, self.keys, level + 1, &mut deeper, &self.scratch)?;
            }
            return deeper.iter().try_for_each(|places| self.part(places, level + 1, make, runs, context));
        }
        drop(groups);
        let wanted: Vec<u32> = (0..ranks.len() as u32).filter(|row| ranks[*row as usize] >= 0).collect();
        let all = ranked(partial.finish()?, ranks);
        if !wanted.is_empty() {
            let mut run = Run::default();
            let all = if wanted.len() < all.rows { all.gathered(&wanted) } else { all };
            run.push(&all, &self.scratch)?;
            runs.push(run);
        }
        Ok(())
    }
}

/// The error of a key whose rows alone do not fit.
pub fn too_large(size: usize, spill: &Spill, span: Span) -> Box<Diagnostic> {
    let (size, budget) = (size >> 20, spill.budget >> 20);
    let message = format!("one group of this stage takes {size} MiB, too much for a run with {budget} MiB of memory");
    Diagnostic::at(Kind::System, span, message).hint("a group is held in memory as a whole: %set memory gives it more")
}

/// Writes each row to the part of its key.
pub fn write_parts(flat: Batch, keys: KeysAt, level: u32, parts: &mut [Vec<Place>], scratch: &Scratch) -> Fallible<()> {
    let width = flat.columns.len() - 1;
    let places = Packed::new(keys.of(&flat.columns[..width]), flat.rows).parts(parts.len(), level);
    for (part, rows) in parts.iter_mut().zip(spread(&flat, places, PARTS)) {
        if rows.rows > 0 {
            part.push(scratch.write(&rows)?);
        }
    }
    Ok(())
}

/// The same with a column of ranks at the end.
pub fn ranked(mut flat: Batch, ranks: Vec<i64>) -> Batch {
    flat.columns.push(Column::ints(ranks, None));
    flat
}

fn rank_at(ranks: &Column, row: usize) -> i64 {
    match &ranks.data {
        Data::Int(ints) => *ints.slots.at(row),
        Data::Float(_) | Data::Bool(_) | Data::Text(_) | Data::List(_) => unreachable!("ranks are ints"),
    }
}
