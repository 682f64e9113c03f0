//! Streams: batches are pulled from a source, pushed through the ops, and wait in a queue for whoever asks.

use std::collections::VecDeque;

use crate::diagnostic::Fallible;
use crate::kernel::{self, Batch, Compiler, Part};
use crate::plan::{Op, Prepared, Step};
use crate::rowwise::Programs;
use crate::run_context::RunContext;

use super::operator::{Batches, Operator};
use super::ops;

/// The batches of a plan.
pub struct Stream<'a> {
    source: kernel::Source<'a>,
    operators: Vec<Box<dyn Operator + 'a>>,
    ready: VecDeque<Batch>,
    /// The source has no more, or nobody wants more.
    ended: bool,
    /// The most rows that are taken from the source next; with none, nobody wants any.
    most: usize,
    context: &'a RunContext,
}

impl Batches for Stream<'_> {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            self.context.check()?;
            let batch = if self.most == 0 { None } else { self.source.next(self.most)? };
            match batch {
                Some(batch) => {
                    self.most = (2 * self.most).min(self.context.chunk_sizes.rows);
                    self.context.progress.add_rows(batch.rows as u64);
                    self.ended = !push(&mut self.operators, batch, &mut self.ready)?;
                }
                None => self.ended = true,
            }
            if self.ended {
                self.finish()?;
            }
        }
    }
}

impl<'a> Stream<'a> {
    pub fn new(plan: &'a Prepared, programs: &'a Programs, context: &'a RunContext) -> Fallible<Stream<'a>> {
        let source = kernel::source(&plan.source, Part::Whole, context)?;
        let compiler = Compiler::new(&plan.functions);
        let inner = |plan: &'a Prepared| -> Fallible<Box<dyn Batches + 'a>> {
            Ok(Box::new(Stream::new(plan, programs, context)?))
        };
        let mut operators = Vec::new();
        for (step, input) in plan.steps() {
            operators.push(ops::operator(step, input, programs.of(plan), &compiler, context, &inner)?);
        }
        let most = first_rows(&plan.steps).map_or(context.chunk_sizes.rows, |rows| rows.min(context.chunk_sizes.rows));
        Ok(Stream { source, operators, ready: VecDeque::new(), ended: false, most, context })
    }

    /// The same, with a limit on the rows of the first batch.
    pub fn starting_with(mut self, rows: usize) -> Stream<'a> {
        self.most = self.most.min(rows);
        self
    }

    /// Each op in turn gives what it kept to those after it.
    fn finish(&mut self) -> Fallible<()> {
        for i in 0..self.operators.len() {
            let (operator, rest) = self.operators[i..].split_first_mut().expect("it is one of them");
            let ready = &mut self.ready;
            operator.finish(&mut |batch| push(rest, batch, ready))?;
        }
        Ok(())
    }
}

/// How many rows a `take` asks for that no pipeline breaker stands before: no more are read at first, so that rows that
/// nobody asked for are not computed.
fn first_rows(steps: &[Step]) -> Option<usize> {
    for step in steps {
        match &step.op {
            Op::Slice { offset, length: Some(length) } => return usize::try_from(offset.saturating_add(*length)).ok(),
            Op::Sort { .. } | Op::Reverse | Op::Aggregate { .. } | Op::Pairs | Op::Sample { .. } => return None,
            Op::Fold { each: false, .. } => return None,
            Op::Project(_)
            | Op::Filter(_)
            | Op::Explode(_)
            | Op::Slice { length: None, .. }
            | Op::Number
            | Op::Distinct(_)
            | Op::Fold { each: true, .. }
            | Op::Join { .. }
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Peek { .. } => {}
        }
    }
    None
}

fn push(operators: &mut [Box<dyn Operator + '_>], batch: Batch, ready: &mut VecDeque<Batch>) -> Fallible<bool> {
    if batch.rows == 0 {
        return Ok(true);
    }
    match operators.split_first_mut() {
        None => {
            ready.push_back(batch);
            Ok(true)
        }
        Some((first, rest)) => {
            stacker::maybe_grow(128 << 10, 4 << 20, || first.push(batch, &mut |batch| push(rest, batch, ready)))
        }
    }
}
