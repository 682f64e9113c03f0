//! A join whose right side does not fit into memory: both sides are spread by the hashes of their keys, and each part
//! is joined alone.

use std::sync::Arc;

use crate::data::Type;
use crate::diagnostic::{Fallible, Span};
use crate::kernel::column::{Batch, Column};
use crate::kernel::join::RightSide;
use crate::kernel::partial::Partial;
use crate::kernel::rows::Rows;
use crate::plan::JoinKind;
use crate::run_context::{RunContext, Spill, Whole};

use super::keyed::{KeysAt, MOST_LEVELS, PARTS, ranked, write_parts};
use super::merge::{Merge, Run, WIDE};
use super::scratch::{Place, Scratch};

/// The right side in a scratch file.
pub struct ExternalRight {
    scratch: Arc<Scratch>,
    keys: usize,
    parts: Vec<Vec<Place>>,
    span: Span,
}

impl ExternalRight {
    /// `keys` is how many columns the key has.
    pub fn new(spill: &Spill, keys: usize, span: Span) -> Fallible<ExternalRight> {
        spill.add_pass();
        let scratch = Arc::new(Scratch::new(spill)?);
        Ok(ExternalRight { scratch, keys, parts: vec![Vec::new(); PARTS], span })
    }

    /// Puts more of its rows into the file.
    pub fn push(&mut self, side: RightSide) -> Fallible<()> {
        let flat = side.columns()?;
        let ranks = vec![0; flat.rows];
        write_parts(ranked(flat, ranks), KeysAt::End(self.keys), 0, &mut self.parts, &self.scratch)
    }
}

/// All right rows of one key are joined with each left one.
const ONE_KEY: &str = "one key on the right side of this join takes";

const LOOKED_BATCHES: usize = 8;

/// A join that waits for all left rows.
pub struct ExternalJoin {
    right: ExternalRight,
    kind: JoinKind,
    /// Left rows, their keys and their numbers, that were not written yet.
    held: Rows,
    types: Vec<Type>,
    left: Vec<Vec<Place>>,
    next: i64,
    /// Batches since the size of `held` was looked at.
    batches: usize,
    /// How many columns the left side has.
    width: usize,
}

impl ExternalJoin {
    /// `types` are those of the left columns and then of the keys.
    pub fn new(right: ExternalRight, kind: JoinKind, mut types: Vec<Type>) -> ExternalJoin {
        let width = types.len() - right.keys;
        types.push(Type::Int);
        let held = Rows::new(&types);
        ExternalJoin { right, kind, held, types, left: vec![Vec::new(); PARTS], next: 0, batches: 0, width }
    }

    pub fn take(&mut self, batch: &Batch, keys: Vec<Column>) -> Fallible<()> {
        let mut columns = batch.columns.clone();
        columns.extend(keys);
        let ranks = (self.next..self.next + batch.rows as i64).collect();
        self.next += batch.rows as i64;
        self.held.push(&ranked(Batch { rows: batch.rows, columns }, ranks))?;
        self.batches += 1;
        if self.batches == LOOKED_BATCHES {
            self.batches = 0;
            if self.held.size() > self.right.scratch.spill().limit() {
                self.write()?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Fallible<()> {
        let held = std::mem::replace(&mut self.held, Rows::new(&self.types)).finish();
        write_parts(held, KeysAt::End(self.right.keys), 0, &mut self.left, &self.right.scratch)
    }

    /// All joined rows in the order of the left ones; column `width` is the number of the left row. `types` are those
    /// of the result.
    pub fn finish(
        mut self,
        make: &dyn Fn() -> RightSide,
        mut types: Vec<Type>,
        context: &RunContext,
    ) -> Fallible<Merge> {
        self.write()?;
        let (mut runs, width) = (Vec::new(), self.width);
        for (left, right) in self.left.iter().zip(&self.right.parts) {
            self.part(left, right, 0, make, &mut runs, context)?;
        }
        types.insert(width, Type::Int);
        Merge::new(self.right.scratch, runs, vec![(width, false)], types, context)
    }

    pub fn width(&self) -> usize {
        self.width
    }

    fn part(
        &self,
        left: &[Place],
        right: &[Place],
        level: u32,
        make: &dyn Fn() -> RightSide,
        runs: &mut Vec<Run>,
        context: &RunContext,
    ) -> Fallible<()> {
        let (scratch, spill) = (&self.right.scratch, self.right.scratch.spill());
        let mut side = make();
        for (at, place) in right.iter().enumerate() {
            context.check()?;
            let mut flat = scratch.read(*place)?;
            flat.columns.pop();
            side.take_columns(flat, context)?;
            let size = side.size();
            if size <= spill.limit_of_part() {
                continue;
            }
            if side.keys() <= 1 || level == MOST_LEVELS {
                context.hold_whole(Whole { what: ONE_KEY, key: None, bytes: size, span: self.right.span })?;
                continue;
            }
            spill.add_pass();
            let (mut rights, mut lefts) = (vec![Vec::new(); PARTS], vec![Vec::new(); PARTS]);
            let flat = side.columns()?;
            let ranks = vec![0; flat.rows];
            let keys = KeysAt::End(self.right.keys);
            write_parts(ranked(flat, ranks), keys, level + 1, &mut rights, scratch)?;
            for (places, parts) in [(&right[at + 1..], &mut rights), (left, &mut lefts)] {
                for place in places {
                    context.check()?;
                    write_parts(scratch.read(*place)?, keys, level + 1, parts, scratch)?;
                }
            }
            let mut both = lefts.iter().zip(&rights);
            return both.try_for_each(|(left, right)| self.part(left, right, level + 1, make, runs, context));
        }
        let matches = side.finish()?;
        // Of many columns fewer rows are made at once.
        let most = spill.budget as usize / WIDE / ((self.width + matches.width()).max(1) * size_of::<u128>());
        let most = most.clamp(64, 1 << 13);
        let mut run = Run::default();
        for place in left {
            let Batch { rows, mut columns } = scratch.read(*place)?;
            let rank = columns.pop().expect("the rank is the last column");
            let keys = columns.split_off(self.width);
            columns.push(rank);
            matches.join(self.kind, &keys, &Batch { rows, columns }, most, &mut |batch| {
                context.check()?;
                run.push(&batch, scratch)?;
                Ok(true)
            })?;
        }
        runs.push(run);
        Ok(())
    }
}
