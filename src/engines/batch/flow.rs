//! Streams: batches are pulled from a source, pushed through the ops, and wait in a queue for whoever asks.

use std::collections::{HashMap, VecDeque};

use crate::diagnostic::Fallible;
use crate::job::Job;
use crate::kernel::{Batch, Compiler, Partial, Scope};
use crate::plan::{Op, Plan, Step};
use crate::rowwise::Program;

use super::ops;
use super::source::{Source, source};

/// What takes batches; the answer says whether it wants more.
pub type Sink<'s> = dyn FnMut(Batch) -> Fallible<bool> + 's;

/// An op at work. Batches are never empty.
pub trait Operator {
    /// Takes a batch and gives what comes of it to `next`; false when it wants no more.
    fn push(&mut self, batch: Batch, next: &mut Sink) -> Fallible<bool>;

    /// The input has come to its end: gives what was kept.
    fn finish(&mut self, _: &mut Sink) -> Fallible<()> {
        Ok(())
    }
}

/// The functions of a plan and of the plans inside it, compiled.
pub struct Programs(HashMap<*const Plan, Program>);

impl Programs {
    pub fn new(plan: &Plan) -> Programs {
        let mut programs = Programs(HashMap::new());
        programs.add(plan);
        programs
    }

    fn add(&mut self, plan: &Plan) {
        self.0.insert(plan, Program::new(&plan.functions));
        for step in &plan.steps {
            match &step.op {
                Op::Join { right, .. } => self.add(right),
                Op::Concat(plans) | Op::Zip(plans) => plans.iter().for_each(|plan| self.add(plan)),
                _ => {}
            }
        }
    }

    pub fn of(&self, plan: &Plan) -> &Program {
        self.0.get(&std::ptr::from_ref(plan)).expect("every plan was added before its stream is built")
    }
}

/// The batches of a plan.
pub struct Stream<'a> {
    source: Source<'a>,
    operators: Vec<Box<dyn Operator + 'a>>,
    ready: VecDeque<Batch>,
    /// The source has no more, or nobody wants more.
    ended: bool,
    /// The most rows that are taken from the source next.
    most: usize,
    job: &'a Job,
}

impl<'a> Stream<'a> {
    pub fn new(plan: &'a Plan, programs: &'a Programs, job: &'a Job) -> Fallible<Stream<'a>> {
        let (first, steps) = plan.steps.split_first().expect("a plan has a source");
        let source = source(first, job)?;
        let compiler = Compiler::new(&plan.functions);
        let mut operators = Vec::new();
        let mut input = &first.schema;
        for step in steps {
            operators.push(ops::operator(step, input, plan, &compiler, programs, job)?);
            input = &step.schema;
        }
        let most = first_rows(steps).map_or(job.portion.rows, |rows| rows.clamp(1, job.portion.rows));
        Ok(Stream { source, operators, ready: VecDeque::new(), ended: false, most, job })
    }

    pub fn next(&mut self) -> Fallible<Option<Batch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            self.job.check()?;
            match self.source.next(self.most)? {
                Some(batch) => {
                    self.most = (2 * self.most).min(self.job.portion.rows);
                    self.job.progress.add_rows(batch.rows as u64);
                    self.ended = !push(&mut self.operators, batch, &mut self.ready)?;
                }
                None => self.ended = true,
            }
            if self.ended {
                self.finish()?;
            }
        }
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
            Op::Source(_)
            | Op::Project(_)
            | Op::Filter(_)
            | Op::Explode(_)
            | Op::Slice { length: None, .. }
            | Op::Number
            | Op::Distinct(_)
            | Op::Fold { each: true, .. }
            | Op::Join { .. }
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Peek { .. }
            | Op::Persist(_)
            | Op::Write(_)
            | Op::Tee(_) => {}
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

/// A pipeline breaker as an op: it takes all batches, then gives its rows.
pub struct Breaker<'a, P> {
    /// None once it has given its rows.
    partial: Option<P>,
    program: &'a Program,
    job: &'a Job,
}

impl<'a, P: Partial<Whole = Batch>> Breaker<'a, P> {
    pub fn new(partial: P, program: &'a Program, job: &'a Job) -> Breaker<'a, P> {
        Breaker { partial: Some(partial), program, job }
    }
}

impl<P: Partial<Whole = Batch>> Operator for Breaker<'_, P> {
    fn push(&mut self, batch: Batch, _: &mut Sink) -> Fallible<bool> {
        if let Some(partial) = &mut self.partial {
            partial.take(Scope::new(&batch, self.program, &self.job.stop))?;
        }
        Ok(true)
    }

    fn finish(&mut self, next: &mut Sink) -> Fallible<()> {
        match self.partial.take() {
            Some(partial) => in_parts(&partial.finish()?, self.job, next),
            None => Ok(()),
        }
    }
}

/// Gives a large batch in parts of the usual size.
pub fn in_parts(all: &Batch, job: &Job, next: &mut Sink) -> Fallible<()> {
    let mut start = 0;
    while start < all.rows {
        job.check()?;
        let rows = (all.rows - start).min(job.portion.rows);
        if !next(all.part(start, rows))? {
            return Ok(());
        }
        start += rows;
    }
    Ok(())
}
