//! Race programs: a tiny language for threads that share variables, all their schedules under three memory models,
//! and the same programs on real threads. It knows places in its own text only.

pub mod barrier;
mod compile;
mod explore;
mod lexer;
mod live;
mod machine;
mod parser;
mod program;
mod syntax;

pub use explore::{Count, DataRace, Exploration, Failing, Limit, Livelock, Outcome, Told, Verdict, explore, replay};
pub use live::{MOST_STEPS, Rounds, Seen, run};
pub use machine::{BUFFER, Choice, Machine, Model, Silent, Story};
pub use parser::WORDS;
pub use program::{Ending, Fault, FaultKind, Program};
pub use syntax::{Order, Problem, ProblemKind, Span};

/// A program from its text: the declarations on the first line, threads and checks below.
pub fn read(text: &str) -> Result<Program, Problem> {
    let source = parser::parse(text)?;
    compile::compile(&source, text)
}
