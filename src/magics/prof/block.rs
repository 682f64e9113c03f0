//! Profiles of blocks of Rust: samples of the process that runs them.

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Pipeline, RustBlock};
use crate::report::Note;
use crate::run_context::RunContext;
use crate::session::Session;

use super::super::Answer;
use super::command::sampler;
use super::table::Shape;

pub fn block(
    session: &mut Session,
    magic: &lang::Magic,
    (subject, written): (&Pipeline, &RustBlock),
    shape: &Shape,
    context: &RunContext,
) -> Fallible<Answer> {
    let kind = sampler(magic)?;
    session.settle(context)?;
    let (_, cost, profile) = session.sample_block(written, kind, context)?;
    if profile.nodes.len() < 2 {
        let message = "the block took no sample: it used less than a millisecond of CPU time";
        return Err(Diagnostic::at(Kind::Domain, subject.span, message).hint("give it more to do"));
    }
    let notes = vec![Note::from("run once, in ").seconds(cost.run.wall.as_secs_f64()).text(
        "; compiled as for %time, but with frame pointers, so that callers can be seen. What was inlined is told \
             apart by the lines that it comes from",
    )];
    Ok(super::answer(session, magic, profile, shape, notes, true))
}
