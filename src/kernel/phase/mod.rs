//! Phases: what becomes of batches from one pipeline breaker to the next. A phase does not know who runs it, or on
//! which part of its input: that is a schedule. [`Stream`] is the simplest one, a phase after the other on one thread.

mod breaker;
mod explode;
mod operator;
mod ops;
mod stream;

use std::collections::VecDeque;

use crate::diagnostic::Fallible;
use crate::plan::Prepared;
use crate::rowwise::Program;
use crate::run_context::RunContext;

use super::{Batch, Compiler, Partial, Scope};

use operator::{Operator, Sink};

pub use breaker::{Breaker, Pairs, Whole};
pub use explode::of_text;
pub use operator::{Batches, Inner};
pub use stream::{OneThread, Stream, first_rows};

/// Steps that take one batch after the other, and at most one breaker at their end, which has seen them all before it
/// gives a row.
pub struct Phase<'a> {
    operators: Vec<Box<dyn Operator + 'a>>,
    /// Without one, what the steps give is the result of the plan.
    breaker: Option<Breaker<'a>>,
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
    let none = || Phase { operators: Vec::new(), breaker: None, program, context };
    let (mut done, mut phase) = (VecDeque::new(), none());
    for (step, input) in plan.steps() {
        match Breaker::new(&step.op, input, &compiler, program, context) {
            Some(breaker) => {
                done.push_back(Phase { breaker: Some(breaker), ..phase });
                phase = none();
            }
            None => phase.operators.extend(ops::operator(step, &compiler, program, context, inner)?),
        }
    }
    done.push_back(phase);
    Ok(done)
}

impl<'a> Phase<'a> {
    /// Takes a batch of its input, and puts what it gives at once into `ready`; false when it wants no more.
    pub fn take(&mut self, batch: Batch, ready: &mut VecDeque<Batch>) -> Fallible<bool> {
        let Phase { operators, breaker, program, context } = self;
        push(operators, batch, &mut |batch| end(breaker, batch, program, context, ready))
    }

    /// Its input has come to its end: each step in turn gives what it kept to those after it.
    pub fn close(&mut self, ready: &mut VecDeque<Batch>) -> Fallible<()> {
        let Phase { operators, breaker, program, context } = self;
        for i in 0..operators.len() {
            let (operator, rest) = operators[i..].split_first_mut().expect("it is one of them");
            operator
                .finish(&mut |batch| push(rest, batch, &mut |batch| end(breaker, batch, program, context, ready)))?;
        }
        Ok(())
    }

    /// What its breaker has of all the input, once that has come to its end.
    pub fn into_breaker(self) -> Option<Breaker<'a>> {
        self.breaker
    }
}

/// The end of a phase.
fn end(
    breaker: &mut Option<Breaker>,
    batch: Batch,
    program: &Program,
    context: &RunContext,
    ready: &mut VecDeque<Batch>,
) -> Fallible<bool> {
    match breaker {
        Some(breaker) => breaker.take(Scope::new(&batch, program, &context.stop))?,
        None => ready.push_back(batch),
    }
    Ok(true)
}

fn push(operators: &mut [Box<dyn Operator + '_>], batch: Batch, end: &mut Sink) -> Fallible<bool> {
    if batch.rows == 0 {
        return Ok(true);
    }
    match operators.split_first_mut() {
        None => end(batch),
        Some((first, rest)) => {
            stacker::maybe_grow(128 << 10, 4 << 20, || first.push(batch, &mut |batch| push(rest, batch, end)))
        }
    }
}
