//! Phases: what becomes of batches from one pipeline breaker to the next. A phase does not know who runs it, or on
//! which part of its input: that is a schedule. [`Stream`] is the simplest one, a phase after the other on one thread.

mod breaker;
mod explode;
mod operator;
mod ops;
mod spilling;
mod stream;

use std::collections::VecDeque;

use crate::diagnostic::Fallible;
use crate::plan::{Prepared, op_text};
use crate::rowwise::Program;
use crate::run_context::RunContext;

use super::{Batch, Compiler, Scope};

use operator::{Metered, Sink};

pub use breaker::{Breaker, MANY_GROUPS, Pairs};
pub use explode::of_text;
pub use operator::{Batches, Inner, Right};
pub use spilling::Spilling;
pub use stream::{OneThread, Stream, first_rows};

/// Steps that take one batch after the other, and at most one breaker at their end, which has seen them all before it
/// gives a row.
pub struct Phase<'a> {
    operators: Vec<Metered<'a>>,
    /// So many of them have given all, since the input has come to its end.
    closed: usize,
    /// Without one, what the steps give is the result of the plan.
    breaker: Option<Spilling<'a>>,
    /// The number of the breaker, where somebody asks what each operator takes.
    number: Option<usize>,
    program: &'a Program,
    context: &'a RunContext,
}

/// The phases of a plan, in order; the first one takes what its source has.
pub fn phases<'a>(
    plan: &'a Prepared,
    program: &'a Program,
    context: &'a RunContext,
    inner: &dyn Inner<'a>,
) -> Fallible<VecDeque<Phase<'a>>> {
    let compiler = Compiler::new(&plan.functions);
    let none = || Phase { operators: Vec::new(), closed: 0, breaker: None, number: None, program, context };
    let (mut done, mut phase) = (VecDeque::new(), none());
    for (step, input) in plan.steps() {
        let meter = context.meters.operators.as_deref();
        let number = meter.map(|meter| meter.add(op_text(&step.op, input, plan)));
        match Spilling::new(step, input, plan, program, context) {
            Some(breaker) => {
                done.push_back(Phase { breaker: Some(breaker), number, ..phase });
                phase = none();
            }
            None => {
                // It may compute a right side before the first row comes.
                let before = meter.zip(number).map(|(meter, number)| meter.go_on(number));
                let operator = ops::operator(step, input, plan, &compiler, program, context, inner)?;
                meter.zip(before).iter().for_each(|(meter, before)| meter.leave(*before));
                phase.operators.extend(operator.map(|operator| Metered { operator, meter: meter.zip(number) }));
            }
        }
    }
    done.push_back(phase);
    Ok(done)
}

impl<'a> Phase<'a> {
    /// Takes a batch of its input, and puts what it gives at once into `ready`; false when it wants no more.
    pub fn take(&mut self, batch: Batch, ready: &mut VecDeque<Batch>) -> Fallible<bool> {
        let Phase { operators, breaker, number, program, context, .. } = self;
        push(operators, batch, &mut |batch| end(breaker, *number, batch, program, context, ready))
    }

    /// Its input has come to its end: each step in turn gives what it kept to those after it. Where that comes out of
    /// the phase, some of it is put into `ready`; true until that was all.
    pub fn close(&mut self, ready: &mut VecDeque<Batch>) -> Fallible<bool> {
        let Phase { operators, closed, breaker, number, program, context } = self;
        while let Some((operator, rest)) = operators[*closed..].split_first_mut() {
            let meter = operator.meter;
            let has_more = operator.give_kept(&mut |batch| {
                Metered::gave(meter, batch.rows);
                push(rest, batch, &mut |batch| end(breaker, *number, batch, program, context, ready))
            })?;
            *closed += usize::from(!has_more);
            if !ready.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same phase with a breaker that has seen other rows, if any is given.
    pub fn going_on_with(self, breaker: Option<Spilling<'a>>) -> Phase<'a> {
        Phase { breaker: breaker.or(self.breaker), ..self }
    }

    /// The number of its breaker, where somebody asks what each operator takes.
    pub fn number(&self) -> Option<usize> {
        self.number
    }

    /// Whether it may give many rows for each that it takes.
    pub fn multiplies(&self) -> bool {
        self.breaker.is_none() && self.operators.iter().any(|step| step.operator.multiplies())
    }

    /// Whether what flows in is sorted before anything else becomes of it: then it may come in any order.
    pub fn sorts_first(&self) -> bool {
        self.operators.is_empty() && self.breaker.as_ref().is_some_and(Spilling::is_sort)
    }

    /// What its breaker has of all the input, once that has come to its end.
    pub fn into_breaker(self) -> Option<Spilling<'a>> {
        self.breaker
    }
}

/// The end of a phase.
fn end(
    breaker: &mut Option<Spilling>,
    number: Option<usize>,
    batch: Batch,
    program: &Program,
    context: &RunContext,
    ready: &mut VecDeque<Batch>,
) -> Fallible<bool> {
    match breaker {
        Some(breaker) => {
            let meter = context.meters.operators.as_deref().zip(number);
            let before = meter.map(|(meter, number)| meter.enter(number, batch.rows));
            let taken = breaker.take(Scope::new(&batch, program, &context.stop));
            meter.zip(before).iter().for_each(|((meter, _), before)| meter.leave(*before));
            taken?;
        }
        None => ready.push_back(batch),
    }
    Ok(true)
}

fn push(operators: &mut [Metered], batch: Batch, end: &mut Sink) -> Fallible<bool> {
    if batch.rows == 0 {
        return Ok(true);
    }
    match operators.split_first_mut() {
        None => end(batch),
        Some((first, rest)) => {
            let meter = first.meter;
            stacker::maybe_grow(128 << 10, 4 << 20, || {
                first.push(batch, &mut |batch| {
                    Metered::gave(meter, batch.rows);
                    push(rest, batch, end)
                })
            })
        }
    }
}
