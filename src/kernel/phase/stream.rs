//! The schedule of one thread: batches are pulled from a source, pushed through a phase, and wait in a queue for
//! whoever asks. What a breaker gives is the input of the next phase.

use std::collections::VecDeque;

use crate::diagnostic::Fallible;
use crate::kernel::{self, Batch, Part};
use crate::plan::{Op, Prepared, Step, source_text};
use crate::rowwise::Programs;
use crate::run_context::RunContext;

use super::operator::{Batches, Inner};
use super::{Phase, phases};

/// The batches of a plan.
pub struct Stream<'a> {
    input: Input<'a>,
    /// The one that runs, and those after it.
    phases: VecDeque<Phase<'a>>,
    ready: VecDeque<Batch>,
    /// What the phase has not taken yet of a batch, and the most rows that it takes at once: many may come of each, and
    /// all of these wait in the queue.
    left: Option<Batch>,
    few: usize,
    /// The most rows that are taken from the source next; with none, nobody wants any.
    most: usize,
    context: &'a RunContext,
    /// The number of what is read from, where somebody asks what each operator takes.
    number: Option<usize>,
}

/// What the phase that runs takes.
enum Input<'a> {
    Source(kernel::Source<'a>),
    /// What the breaker before it gives.
    Breaker(Box<dyn Batches + 'a>),
    /// It has come to its end, or nobody wants more.
    Ended,
}

impl Batches for Stream<'_> {
    fn next(&mut self) -> Fallible<Option<Batch>> {
        let context = self.context;
        let Some(meter) = context.meters.operators.as_deref() else { return self.next_batch() };
        meter.begin_stream();
        let batch = self.next_batch();
        meter.end_stream();
        batch
    }
}

impl Stream<'_> {
    fn next_batch(&mut self) -> Fallible<Option<Batch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            let Some(phase) = self.phases.front_mut() else { return Ok(None) };
            self.context.check()?;
            let meter = self.context.meters.operators.as_deref().zip(self.number);
            meter.iter().for_each(|(meter, _)| meter.begin_batch());
            let before = meter.map(|(meter, number)| meter.enter(number, 0));
            let left = self.left.take();
            let is_left = left.is_some();
            let batch = match &mut self.input {
                _ if is_left => left,
                Input::Source(source) if self.most > 0 => {
                    let batch = source.next(self.most)?;
                    self.most = (2 * self.most).min(self.context.chunk_sizes.rows);
                    self.context.progress.add_rows(batch.as_ref().map_or(0, |batch| batch.rows as u64));
                    batch
                }
                Input::Breaker(batches) => batches.next()?,
                Input::Source(_) | Input::Ended => None,
            };
            if let Some(((meter, number), before)) = meter.zip(before) {
                meter.gave(number, batch.as_ref().filter(|_| !is_left).map_or(0, |batch| batch.rows));
                meter.leave(before);
            }
            let wants_more = match batch {
                Some(batch) => {
                    let (now, left) = cut(batch, self.few);
                    let rows = now.rows;
                    let wants_more = phase.take(now, &mut self.ready)?;
                    self.left = left.filter(|_| wants_more);
                    self.few = fewer(self.few, rows, self.ready.iter().map(|batch| batch.rows).sum());
                    wants_more
                }
                None => false,
            };
            if !wants_more {
                let begin_phase = || self.context.meters.operators.iter().for_each(|meter| meter.begin_phase());
                // Nothing more is asked of it, and what it holds is not needed any more.
                if !matches!(std::mem::replace(&mut self.input, Input::Ended), Input::Ended) {
                    begin_phase();
                }
                if phase.close(&mut self.ready)? {
                    continue;
                }
                let phase = self.phases.pop_front();
                self.few = self.phases.front().map_or(usize::MAX, few_at_first);
                self.number = phase.as_ref().and_then(Phase::number);
                let meter = self.context.meters.operators.as_deref().zip(self.number);
                let before = meter.map(|(meter, number)| meter.enter(number, 0));
                self.input = match phase.and_then(Phase::into_breaker) {
                    Some(breaker) => {
                        let in_order = !self.phases.front().is_some_and(Phase::sorts_first);
                        Input::Breaker(breaker.batches(in_order)?)
                    }
                    None => Input::Ended,
                };
                meter.zip(before).iter().for_each(|((meter, _), before)| meter.leave(*before));
                begin_phase();
            }
        }
    }
}

/// About so many rows wait in the queue at most, but for those that come of one row.
const MANY_READY: usize = 1 << 14;

/// How many rows a phase takes at first, before it is known how many come of each.
fn few_at_first(phase: &Phase) -> usize {
    if phase.multiplies() { 1 } else { usize::MAX }
}

/// How many rows are taken next, where so many were given for those that were taken.
fn fewer(few: usize, taken: usize, given: usize) -> usize {
    match given {
        _ if few == usize::MAX => few,
        given if given > MANY_READY => (taken * (MANY_READY / 2) / given).max(1),
        given if given < MANY_READY / 4 => few.saturating_mul(2).min(1 << 20),
        _ => few,
    }
}

fn cut(batch: Batch, rows: usize) -> (Batch, Option<Batch>) {
    if batch.rows <= rows {
        return (batch, None);
    }
    let left = batch.part(rows, batch.rows - rows);
    (batch.part(0, rows), Some(left))
}

/// The plans inside ops are run when they are asked for batches.
#[derive(Clone, Copy)]
pub struct OneThread<'a> {
    pub programs: &'a Programs,
    pub context: &'a RunContext,
}

impl<'a> Inner<'a> for OneThread<'a> {
    fn batches(&self, plan: &'a Prepared) -> Fallible<Box<dyn Batches + 'a>> {
        Ok(Box::new(Stream::new(plan, self.programs, self.context)?))
    }
}

impl<'a> Stream<'a> {
    pub fn new(plan: &'a Prepared, programs: &'a Programs, context: &'a RunContext) -> Fallible<Stream<'a>> {
        let number = context.meters.operators.as_ref().map(|meter| meter.add(source_text(&plan.source.op)));
        let source = kernel::source(&plan.source, Part::Whole, context)?;
        let phases = phases(plan, programs.of(plan), context, &OneThread { programs, context })?;
        let most = first_rows(&plan.steps).map_or(context.chunk_sizes.rows, |rows| rows.min(context.chunk_sizes.rows));
        let (ready, few) = (VecDeque::new(), phases.front().map_or(usize::MAX, few_at_first));
        Ok(Stream { input: Input::Source(source), phases, ready, left: None, few, most, context, number })
    }

    /// The steps of a plan over batches that take the place of its source.
    pub fn over(
        batches: Box<dyn Batches + 'a>,
        plan: &'a Prepared,
        programs: &'a Programs,
        context: &'a RunContext,
    ) -> Fallible<Stream<'a>> {
        let phases = phases(plan, programs.of(plan), context, &OneThread { programs, context })?;
        let (ready, few) = (VecDeque::new(), phases.front().map_or(usize::MAX, few_at_first));
        let (most, number) = (context.chunk_sizes.rows, None);
        Ok(Stream { input: Input::Breaker(batches), phases, ready, left: None, few, most, context, number })
    }

    /// The same, with a limit on the rows of the first batch.
    pub fn starting_with(mut self, rows: usize) -> Stream<'a> {
        self.most = self.most.min(rows);
        self
    }
}

/// How many rows a `take` asks for that no pipeline breaker stands before: no more are read at first, so that rows that
/// nobody asked for are not computed.
pub fn first_rows(steps: &[Step]) -> Option<usize> {
    let is_late = |op: &Op| op.is_breaker() || matches!(op, Op::Fold { each: false, .. });
    let takes = steps.iter().take_while(|step| !is_late(&step.op)).find_map(|step| match &step.op {
        Op::Slice { offset, length: Some(length) } => Some(offset.saturating_add(*length)),
        _ => None,
    });
    takes.and_then(|rows| usize::try_from(rows).ok())
}
