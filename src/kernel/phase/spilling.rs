//! A breaker that goes on in a scratch file when what it holds would not fit into memory.

use std::sync::Arc;

use crate::data::{Schema, Type};
use crate::diagnostic::Fallible;
use crate::kernel::external::{Keyed, KeysAt, Merge, Place, Run, Scratch, too_large};
use crate::kernel::{Batch, Compiler, Partial, Scope};
use crate::measure;
use crate::plan::{Op, Prepared, Step};
use crate::rowwise::Program;
use crate::run_context::{RunContext, Spill};

use super::breaker::{Breaker, Whole};
use super::operator::Batches;

/// What a breaker has in memory, and what it has written.
pub struct Spilling<'a> {
    now: Breaker<'a>,
    written: Option<Written>,
    of: Of<'a>,
    /// Rows since its size was last looked at, and the live heap then.
    rows: usize,
    live: u64,
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

impl<'a> Of<'a> {
    fn breaker(&self) -> Option<Breaker<'a>> {
        let compiler = Compiler::new(&self.plan.functions);
        Breaker::new(&self.step.op, self.input, &compiler, self.program, self.context)
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
        Some(Spilling { now: of.breaker()?, written: None, of, rows: 0, live: measure::live() })
    }

    pub fn take(&mut self, scope: Scope) -> Fallible<()> {
        self.rows += scope.rows();
        self.now.take(scope)?;
        self.look()
    }

    /// Takes what a later part of the input gave.
    pub fn merge(&mut self, later: Breaker<'a>, context: &RunContext) -> Fallible<()> {
        self.rows = LOOKED_ROWS;
        self.now.merge(later, context)?;
        self.look()
    }

    /// What it has of all rows, where nothing was written.
    pub fn into_breaker(self) -> Option<Breaker<'a>> {
        if self.written.is_none() { Some(self.now) } else { None }
    }

    pub fn has_written(&self) -> bool {
        self.written.is_some()
    }

    pub fn is_pairs(&self) -> bool {
        matches!(self.now, Breaker::All(_, Whole::Pairs))
    }

    /// Its rows, in batches.
    pub fn batches(mut self) -> Fallible<Box<dyn Batches + 'a>> {
        let context = self.of.context;
        if self.written.is_none() {
            return self.now.batches(context);
        }
        self.write()?;
        let types: Vec<Type> = self.of.step.schema.columns.iter().map(|column| column.ty.clone()).collect();
        let width = types.len();
        let (of, now) = (self.of, self.now);
        Ok(match self.written.expect("something was written") {
            Written::Groups(keyed) => {
                drop(now);
                let make = || match of.breaker() {
                    Some(Breaker::Groups(groups)) => *groups,
                    _ => unreachable!("a breaker of the same step is of the same kind"),
                };
                let merge = keyed.finish(&make, types, context)?;
                Box::new(Merged { merge, left_out: width, context })
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
            self.write()?;
            self.live = measure::live();
            return Ok(());
        }
        if size > spill.most() { Err(too_large(size, spill, self.of.step.span)) } else { Ok(()) }
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
        if self.written.is_none() {
            self.written = Some(self.of.written(spill)?);
        }
        match self.written.as_mut().expect("it was just made") {
            Written::Groups(keyed) => keyed.push(full.columns()?),
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
