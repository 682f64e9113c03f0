//! Work on threads of this process.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::Part;
use crate::measure;
use crate::run_context::{Counters, Counts128, RunContext};

use super::board::Board;
use super::run::{Runner, Take};
use super::task::{Held, OpenStage};

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
        if stage.holds_groups() {
            let work = |held: &mut Held<'s>, number: usize, part: &Part| stage.run_held(held, number, part);
            return in_parallel_holding(self.0, parts, &work, &|held| stage.given(held), take, stage.context());
        }
        let work = |(): &mut (), number: usize, part: &Part| stage.run(number, part);
        in_parallel_holding(self.0, parts, &work, &|()| Ok(None), take, stage.context())
    }

    fn workers(&self) -> usize {
        self.0
    }
}

/// Works on each item, on so many threads, and hands what comes of them to `take` in their order, until it wants no
/// more. The context's stop flag is of this work alone.
pub fn in_parallel<I: Send + 'static, T: Send>(
    workers: usize,
    items: Box<dyn Iterator<Item = I> + Send>,
    work: &(dyn Fn(&I) -> Fallible<T> + Sync),
    take: &mut dyn FnMut(T) -> Fallible<bool>,
    context: &RunContext,
) -> Fallible<()> {
    let work = |(): &mut (), _: usize, item: &I| work(item);
    in_parallel_holding(workers, items, &work, &|()| Ok(None), take, context)
}

/// The same where each thread holds something from one of its items to the next, which come in their order; what is
/// given of it at last comes after all else, in no order.
fn in_parallel_holding<I: Send + 'static, T: Send, H: Default>(
    workers: usize,
    mut items: Box<dyn Iterator<Item = I> + Send>,
    work: &(dyn Fn(&mut H, usize, &I) -> Fallible<T> + Sync),
    give: &(dyn Fn(H) -> Fallible<Option<T>> + Sync),
    take: &mut dyn FnMut(T) -> Fallible<bool>,
    context: &RunContext,
) -> Fallible<()> {
    let first: Vec<I> = items.by_ref().take(2).collect();
    let is_alone = workers <= 1 || first.len() < 2;
    let items = first.into_iter().chain(items);
    if is_alone {
        let mut held = H::default();
        for (number, item) in items.enumerate() {
            let output = match &context.monitor {
                Some(watch) => watch.task(0, number, || work(&mut held, number, &item), Result::is_ok),
                None => work(&mut held, number, &item),
            };
            if !take(output?)? {
                return Ok(());
            }
        }
        return give(held)?.map_or(Ok(()), |last| take(last).map(drop));
    }
    let board: Board<I, (T, Counts128)> = Board::new(Box::new(items), 2 * workers, context.stop.clone());
    let given = Mutex::new(Vec::new());
    let watch = context.monitor.as_deref();
    let claims = |worker: usize| {
        let _limited = context.limited();
        let mut held = H::default();
        while let Some(claim) = board.claim() {
            let mut attempt = || Counters::attempt(|| work(&mut held, claim.number, &claim.part));
            let watched = || match watch {
                Some(watch) => watch.task(worker, claim.number, attempt, |(output, _)| output.is_ok()),
                None => attempt(),
            };
            match catch_unwind(AssertUnwindSafe(watched)) {
                Ok((output, counted)) => board.commit(&claim, output.map(|output| (output, counted))),
                Err(panic) => board.panicked(&claim, panic),
            }
        }
        if !context.stop.is_raised() {
            let last = catch_unwind(AssertUnwindSafe(|| give(held)));
            given.lock().unwrap_or_else(PoisonError::into_inner).push(last);
        }
        measure::flush();
    };
    let mut wants_more = true;
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
            wants_more = take(output)?;
            Ok(wants_more)
        })
    })?;
    if !wants_more {
        return Ok(());
    }
    // Who is stopped has given nothing.
    context.stop.check()?;
    for last in given.into_inner().unwrap_or_else(PoisonError::into_inner) {
        if let Some(last) = last.unwrap_or_else(|panic| resume_unwind(panic))? {
            take(last)?;
        }
    }
    Ok(())
}
