//! Tasks on threads of this process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, scope};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::Part;
use crate::measure;

use super::board::Board;
use super::run::{Runner, Take};
use super::task::{OpenStage, Output};

/// So many threads.
#[derive(Debug, Clone, Copy)]
pub struct Threads(pub usize);

impl Runner for Threads {
    fn run<'s>(
        &self,
        stage: &'s OpenStage,
        mut parts: Box<dyn Iterator<Item = Part> + Send>,
        take: &mut Take<'_, 's>,
    ) -> Fallible<()> {
        let first: Vec<Part> = parts.by_ref().take(2).collect();
        let is_alone = self.0 <= 1 || first.len() < 2;
        let mut parts = first.into_iter().chain(parts);
        if is_alone {
            return one_by_one(stage, &mut parts, take);
        }
        let context = stage.context();
        let board: Board<Part, Output> = Board::new(Box::new(parts), 2 * self.0, context.stop.clone());
        let work = || {
            let _limited = measure::limited(context.memory);
            while let Some(claim) = board.claim() {
                match catch_unwind(AssertUnwindSafe(|| stage.run(&claim.part))) {
                    Ok(output) => board.commit(&claim, output),
                    Err(panic) => board.panicked(&claim, panic),
                }
            }
            measure::flush();
        };
        scope(|scope| {
            let start = |number| {
                let builder = Builder::new().name(format!("task-{number}"));
                builder.spawn_scoped(scope, work).is_ok()
            };
            // Where the system allows no more threads, fewer do it.
            let started = (0..self.0).take_while(|number| start(*number)).count();
            if started == 0 {
                let error = "the system lets timelab start no thread";
                board.abandon(Diagnostic::new(Kind::System, error).hint("| on batch runs it on one thread"));
            }
            board.collect(take)
        })
    }

    fn workers(&self) -> usize {
        self.0
    }
}

fn one_by_one<'s>(
    stage: &'s OpenStage,
    parts: &mut dyn Iterator<Item = Part>,
    take: &mut Take<'_, 's>,
) -> Fallible<()> {
    for part in parts {
        if !take(stage.run(&part)?)? {
            break;
        }
    }
    Ok(())
}
