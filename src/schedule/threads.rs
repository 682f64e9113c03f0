//! Work on threads of this process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, scope};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::Part;
use crate::measure;
use crate::run_context::{Counters, Counts128, RunContext};

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
        for (number, item) in items.enumerate() {
            let output = match &context.monitor {
                Some(watch) => watch.task(0, number, || work(&item), Result::is_ok),
                None => work(&item),
            };
            if !take(output?)? {
                break;
            }
        }
        return Ok(());
    }
    let board: Board<I, (T, Counts128)> = Board::new(Box::new(items), 2 * workers, context.stop.clone());
    let watch = context.monitor.as_deref();
    let claims = |worker: usize| {
        let _limited = context.limited();
        while let Some(claim) = board.claim() {
            let attempt = || Counters::attempt(|| work(&claim.part));
            let watched = || match watch {
                Some(watch) => watch.task(worker, claim.number, attempt, |(output, _)| output.is_ok()),
                None => attempt(),
            };
            match catch_unwind(AssertUnwindSafe(watched)) {
                Ok((output, counted)) => board.commit(&claim, output.map(|output| (output, counted))),
                Err(panic) => board.panicked(&claim, panic),
            }
        }
        measure::flush();
    };
    scope(|scope| {
        let claims = &claims;
        let start = |number| {
            let builder = Builder::new().name(format!("task-{number}"));
            builder.spawn_scoped(scope, move || claims(number)).is_ok()
        };
        // Where the system allows no more threads, fewer do it.
        let started = (0..workers).take_while(|number| start(*number)).count();
        if started == 0 {
            let error = "the system lets timelab start no thread";
            board.abandon(Diagnostic::new(Kind::System, error).hint("| on batch runs it on one thread"));
        }
        board.collect(&mut |(output, counted)| {
            context.counters.commit(&counted);
            take(output)
        })
    })
}
