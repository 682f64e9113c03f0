//! A breaker that goes on in a scratch file when what it holds would not fit into memory.

use std::sync::Arc;

use crate::data::{Schema, Type};
use crate::diagnostic::Fallible;
use crate::kernel::external::{Keyed, KeysAt, Merge, Numbered, ONE_GROUP, PartByPart, Place, Run, Scratch};
use crate::kernel::{Aggregates, Batch, Compiler, Partial, Scope};
use crate::measure;
use crate::plan::{Op, Prepared, Step};
use crate::rowwise::Program;
use crate::run_context::{RunContext, Spill, Whole};

use super::breaker::Breaker;
use super::operator::Batches;

/// What a breaker has in memory, and what it has written.
pub struct Spilling<'a> {
    now: Breaker<'a>,
    written: Option<Written>,
    of: Of<'a>,
    /// Rows since its size was last looked at, and the live heap then.
    rows: usize,
    live: u64,
    /// Rows, or groups of partials, since something was written.
    taken: usize,
    /// So many times rows are still written without a look for equal keys: few of them have been equal.
    unmerged: usize,
}

/// What an empty breaker of the same step is made of.
#[derive(Clone, Copy)]
struct Of<'a> {
    step: &'a Step,
    input: &'a Schema,
    plan: &'a Prepared,
    program: &'a Program,
    context: &'a RunContext,
}

/// What does not fit.
enum Written {
    Groups(Keyed),
    Runs(Arc<Scratch>, Vec<Run>),
    /// Rows that will be read backwards.
    Backwards(Arc<Scratch>, Vec<Place>),
}

/// Its size is looked at after so many rows, or when the heap has grown by an eighth of what the run may use.
const LOOKED_ROWS: usize = 1 << 14;

/// Each of these may be a large part of what does not fit.
const FEW_GROUPS: usize = 32;

/// Where less than every second row had a key that was there already, rows are written so many times without a look for
/// equal keys, before it is tried again.
const UNMERGED: usize = 8;

impl<'a> Of<'a> {
    fn breaker(&self) -> Option<Breaker<'a>> {
        let compiler = Compiler::new(&self.plan.functions);
        Breaker::new(&self.step.op, self.input, &compiler, self.program, self.context)
    }

    /// What the op keeps in memory and cannot write.
    fn kept_whole(&self) -> &'static str {
        match &self.step.op {
            Op::Aggregate { .. } => ONE_GROUP,
            Op::Sort { .. } => "the first rows in this order take",
            Op::Sample { .. } => "the input of `sample` takes",
            Op::Pairs => "the input of `pairs` takes",
            _ => "the input of this stage takes",
        }
    }

    fn groups(&self) -> Aggregates<'a> {
        match self.breaker() {
            Some(Breaker::Groups(groups)) => *groups,
            _ => unreachable!("only groups are written by key"),
        }
    }
}

impl<'a> Spilling<'a> {
    /// That of a step into which a table of `input` flows; none where the op gives rows as it takes them.
    pub fn new(
        step: &'a Step,
        input: &'a Schema,
        plan: &'a Prepared,
        program: &'a Program,
        context: &'a RunContext,
    ) -> Option<Spilling<'a>> {
        let of = Of { step, input, plan, program, context };
        let live = measure::live();
        Some(Spilling { now: of.breaker()?, written: None, of, rows: 0, live, taken: 0, unmerged: 0 })
    }

    pub fn take(&mut self, scope: Scope) -> Fallible<()> {
        if self.unmerged > 0 {
            return self.hold(self.now.singles(scope)?);
        }
        self.rows += scope.rows();
        self.taken += scope.rows();
        self.now.take(scope)?;
        self.look()
    }

    /// Takes what a later part of the input gave.
    pub fn merge(&mut self, later: Breaker<'a>, context: &RunContext) -> Fallible<()> {
        if self.unmerged > 0 {
            return self.hold(later.columns()?);
        }
        self.rows = LOOKED_ROWS;
        self.taken += later.groups();
        self.now.merge(later, context)?;
        self.look()
    }

    /// Takes the flat columns of a later part of the input.
    pub fn take_columns(&mut self, flat: Batch, context: &RunContext) -> Fallible<()> {
        self.rows = LOOKED_ROWS;
        self.taken += flat.rows;
        self.now.take_columns(flat, context)?;
        self.look()
    }

    /// What it has of all rows, where nothing was written.
    pub fn into_breaker(self) -> Option<Breaker<'a>> {
        if self.written.is_none() { Some(self.now) } else { None }
    }

    pub fn has_written(&self) -> bool {
        self.written.is_some()
    }

    /// How many groups it has by keys, in memory.
    pub fn groups(&self) -> usize {
        self.now.groups()
    }

    pub fn is_sort(&self) -> bool {
        matches!(self.now, Breaker::Sorted(_))
    }

    /// Keeps flat columns, and writes them with others.
    fn hold(&mut self, flat: Batch) -> Fallible<()> {
        let Some(Written::Groups(keyed)) = &mut self.written else { unreachable!("groups were written") };
        let of = &self.of;
        if keyed.hold(flat, || of.groups().columns())? {
            self.unmerged -= 1;
        }
        Ok(())
    }

    /// Its rows, in batches; those of groups come in any order, unless they are wanted in order.
    pub fn batches(mut self, in_order: bool) -> Fallible<Box<dyn Batches + 'a>> {
        let context = self.of.context;
        if self.written.is_none() {
            let batches = self.now.batches(context)?;
            context.largest.forget(self.of.step.span);
            return Ok(batches);
        }
        self.write()?;
        let types: Vec<Type> = self.of.step.schema.columns.iter().map(|column| column.ty.clone()).collect();
        let width = types.len();
        let (of, now) = (self.of, self.now);
        Ok(match self.written.expect("something was written") {
            Written::Groups(keyed) => {
                drop(now);
                let make = || of.groups();
                if !in_order {
                    let ready = Batch { rows: 0, columns: Vec::new() };
                    return Ok(Box::new(InParts { parts: keyed.part_by_part()?, of, ready, given: 0 }));
                }
                let rows = keyed.finish(&make, types, context)?;
                Box::new(InOrder { rows, left_out: width, context })
            }
            Written::Runs(scratch, runs) => {
                let Breaker::Sorted(sorted) = now else { unreachable!("runs are of a sort") };
                let (keys, types) = sorted.into_order();
                let merge = Merge::new(scratch, runs, keys, types, context)?;
                Box::new(Merged { merge, left_out: width, context })
            }
            Written::Backwards(scratch, places) => Box::new(Backwards { scratch, places, context }),
        })
    }

    fn look(&mut self) -> Fallible<()> {
        let Some(spill) = &self.of.context.spill else { return Ok(()) };
        let grown = measure::live().saturating_sub(self.live);
        if self.rows < LOOKED_ROWS && grown < spill.budget / 8 {
            return Ok(());
        }
        (self.rows, self.live) = (0, measure::live());
        let size = self.now.size();
        if size <= spill.limit() {
            return Ok(());
        }
        if self.can_write() {
            if self.now.groups() <= FEW_GROUPS {
                // To write them takes as much again.
                let what = "a few large groups of this stage take";
                self.of.context.largest.note(Whole { what, key: None, bytes: size, span: self.of.step.span });
            }
            self.write()?;
            self.live = measure::live();
            return Ok(());
        }
        let (what, span) = (self.of.kept_whole(), self.of.step.span);
        self.of.context.hold_whole(Whole { what, key: None, bytes: size, span })
    }

    fn can_write(&self) -> bool {
        match &self.of.step.op {
            Op::Aggregate { keys, .. } => !keys.is_empty(),
            Op::Sort { limit, .. } => limit.is_none(),
            Op::Reverse => true,
            _ => false,
        }
    }

    fn write(&mut self) -> Fallible<()> {
        let Some(spill) = &self.of.context.spill else { return Ok(()) };
        let Some(empty) = self.of.breaker() else { return Ok(()) };
        let full = std::mem::replace(&mut self.now, empty);
        let (taken, groups) = (std::mem::take(&mut self.taken), full.groups());
        if self.written.is_none() {
            self.written = Some(self.of.written(spill)?);
        }
        match self.written.as_mut().expect("it was just made") {
            Written::Groups(keyed) => {
                keyed.push(full.columns()?)?;
                self.unmerged = if taken < 2 * groups { UNMERGED } else { 0 };
                Ok(())
            }
            Written::Runs(scratch, runs) => {
                let mut run = Run::default();
                run.push(&full.columns()?, scratch)?;
                runs.push(run);
                Ok(())
            }
            Written::Backwards(scratch, places) => {
                let all = full.columns()?;
                for start in (0..all.rows).step_by(ROWS_BACKWARDS) {
                    places.push(scratch.write(&all.part(start, ROWS_BACKWARDS.min(all.rows - start)))?);
                }
                Ok(())
            }
        }
    }
}

const ROWS_BACKWARDS: usize = 1 << 11;

impl Of<'_> {
    fn written(&self, spill: &Spill) -> Fallible<Written> {
        if let Op::Aggregate { keys, .. } = &self.step.op {
            return Ok(Written::Groups(Keyed::new(spill, KeysAt::Start(keys.len()), self.step.span)?));
        }
        spill.add_pass();
        let scratch = Arc::new(Scratch::new(spill)?);
        Ok(match &self.step.op {
            Op::Reverse => Written::Backwards(scratch, Vec::new()),
            _ => Written::Runs(scratch, Vec::new()),
        })
    }
}

/// Groups, part by part.
struct InParts<'a> {
    parts: PartByPart,
    of: Of<'a>,
    ready: Batch,
    given: usize,
}

impl Batches for InParts<'_> {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        let context = self.of.context;
        context.check()?;
        if self.given == self.ready.rows {
            self.ready = Batch { rows: 0, columns: Vec::new() };
            self.given = 0;
            let of = self.of;
            let Some(mut next) = self.parts.next(&|| of.groups(), context)? else { return Ok(None) };
            next.columns.truncate(of.step.schema.columns.len());
            self.ready = next;
        }
        let rows = context.chunk_sizes.rows.min(self.ready.rows - self.given);
        let part = self.ready.part(self.given, rows);
        self.given += rows;
        Ok(Some(part))
    }
}

/// Rows in the order of their ranks, without these.
pub struct InOrder<'a> {
    pub rows: Numbered,
    /// The column of the ranks.
    pub left_out: usize,
    pub context: &'a RunContext,
}

impl Batches for InOrder<'_> {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        let mut batch = self.rows.next(self.context.chunk_sizes.rows, self.context)?;
        if let Some(batch) = &mut batch {
            batch.columns.truncate(self.left_out);
        }
        Ok(batch)
    }
}

/// Merged rows, without the columns that only order them.
pub struct Merged<'a> {
    pub merge: Merge,
    /// These begin here.
    pub left_out: usize,
    pub context: &'a RunContext,
}

impl Batches for Merged<'_> {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        let mut batch = self.merge.next(self.context.chunk_sizes.rows, self.context)?;
        if let Some(batch) = &mut batch {
            batch.columns.truncate(self.left_out);
        }
        Ok(batch)
    }
}

/// Batches of a scratch file, the last one first, and of each the last row first.
struct Backwards<'a> {
    scratch: Arc<Scratch>,
    places: Vec<Place>,
    context: &'a RunContext,
}

impl Batches for Backwards<'_> {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        self.context.check()?;
        let Some(place) = self.places.pop() else { return Ok(None) };
        let batch = self.scratch.read(place)?;
        Ok(Some(batch.gathered(&(0..batch.rows as u32).rev().collect::<Vec<u32>>())))
    }
}
