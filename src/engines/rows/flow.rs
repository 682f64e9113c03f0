//! A flow: a thing that leaves its next row in the frame, and what all flows share.

use std::collections::VecDeque;

use crate::data::{Key, Value};
use crate::diagnostic::{Diagnostic, Fallible};
use crate::rowwise::{Compiled, Frame, RowError};
use crate::run_context::{RunContext, Stop};

pub trait Flow {
    /// Puts the next row into `frame.row`.
    fn next(&mut self, frame: &mut Frame) -> Next;
}

/// A row; else nothing at the end, or what went wrong. Flat, so that it travels in registers.
pub type Next = Result<(), Option<Box<Diagnostic>>>;

/// Whether there was a row.
#[inline]
pub fn more(next: Next) -> Fallible<bool> {
    match next {
        Ok(()) => Ok(true),
        Err(None) => Ok(false),
        Err(Some(error)) => Err(error),
    }
}

pub type Input<'a> = Box<dyn Flow + 'a>;

/// A fault as a message about row `rows - 1`.
pub fn at_row(rows: u64) -> impl FnOnce(Box<RowError>) -> Box<Diagnostic> {
    move |fault| fault.diagnostic(Some(rows - 1))
}

pub fn key(codes: &[Compiled], frame: &mut Frame) -> Result<Key, Box<RowError>> {
    codes.iter().map(|code| code.value(frame)).collect()
}

/// An op that needs all rows before it can give one.
pub trait Whole {
    /// Goes through all of `input` and gives the rows of the result.
    fn run(&mut self, input: &mut dyn Flow, frame: &mut Frame, context: &RunContext) -> Fallible<VecDeque<Vec<Value>>>;
}

struct Blocking<'a, W> {
    input: Input<'a>,
    whole: W,
    rows: Option<VecDeque<Vec<Value>>>,
    context: &'a RunContext,
}

pub fn blocking<'a, W: Whole + 'a>(input: Input<'a>, context: &'a RunContext, whole: W) -> Input<'a> {
    Box::new(Blocking { input, whole, rows: None, context })
}

impl<W: Whole> Flow for Blocking<'_, W> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.rows.is_none() {
            self.rows = Some(self.whole.run(&mut *self.input, frame, self.context)?);
        }
        let rows = self.rows.as_mut().expect("they were just computed");
        match rows.pop_front() {
            Some(row) => {
                frame.row = row;
                Ok(())
            }
            None => Err(None),
        }
    }
}

impl<W> Drop for Blocking<'_, W> {
    fn drop(&mut self) {
        if let Some(rows) = self.rows.take() {
            leave(rows, &self.context.stop);
        }
    }
}

/// Drops rows, after Ctrl-C on another thread: to free a million takes longer than anyone waits for a prompt.
pub fn leave<T: Send + 'static>(rows: T, stop: &Stop) {
    if stop.is_raised() {
        // Where there is no further thread, the rows are dropped here.
        let _ = std::thread::Builder::new().name("leave".to_string()).spawn(move || drop(rows));
    }
}
