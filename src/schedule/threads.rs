//! Work on threads of this process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, scope};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::Part;
use crate::measure;
use crate::run_context::RunContext;

use super::board::Board;
use super::run::{Runner, Take};
use super::task::OpenStage;

/// So many threads.
#[derive(Debug, Clone, Copy)]
pub struct Threads(pub usize);

impl Runner for Threads {
    fn run<'s>(
        &self,
        stage: &'s OpenStage,
        parts: Box<dyn Iterator<Item = Part> + Send>,
        take: &mut Take<'_, 's>,
    ) -> Fallible<()> {
        in_parallel(self.0, parts, &|part| stage.run(part), take, stage.context())
    }

    fn workers(&self) -> usize {
        self.0
    }
}

/// Works on each item, on so many threads, and hands what comes of them to `take` in their order, until it wants no
/// more. The context's stop flag is of this work alone.
pub fn in_parallel<I: Send + 'static, T: Send>(
    workers: usize,
    mut items: Box<dyn Iterator<Item = I> + Send>,
    work: &(dyn Fn(&I) -> Fallible<T> + Sync),
    take: &mut dyn FnMut(T) -> Fallible<bool>,
    context: &RunContext,
) -> Fallible<()> {
    let first: Vec<I> = items.by_ref().take(2).collect();
    let is_alone = workers <= 1 || first.len() < 2;
    let items = first.into_iter().chain(items);
    if is_alone {
        for item in items {
            if !take(work(&item)?)? {
                break;
            }
        }
        return Ok(());
    }
    let board: Board<I, T> = Board::new(Box::new(items), 2 * workers, context.stop.clone());
    let claims = || {
        let _limited = measure::limited(context.memory);
        while let Some(claim) = board.claim() {
            match catch_unwind(AssertUnwindSafe(|| work(&claim.part))) {
                Ok(output) => board.commit(&claim, output),
                Err(panic) => board.panicked(&claim, panic),
            }
        }
        measure::flush();
    };
    scope(|scope| {
        let start = |number| {
            let builder = Builder::new().name(format!("task-{number}"));
            builder.spawn_scoped(scope, claims).is_ok()
        };
        // Where the system allows no more threads, fewer do it.
        let started = (0..workers).take_while(|number| start(*number)).count();
        if started == 0 {
            let error = "the system lets timelab start no thread";
            board.abandon(Diagnostic::new(Kind::System, error).hint("| on batch runs it on one thread"));
        }
        board.collect(take)
    })
}
