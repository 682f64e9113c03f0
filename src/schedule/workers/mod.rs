//! Tasks in processes of their own: this program again, as a worker. One that dies takes nothing with it but its task,
//! which another one does.

mod frame;
mod hand;
mod message;
mod order;
mod process;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::Part;
use crate::measure::{self, Cost};
use crate::plan::Source;
use crate::run_context::{Counts128, Stop};

use super::board::{ATTEMPTS, Board, Claim};
use super::run::{Runner, Take};
use super::stage::Stage;
use super::task::{OpenStage, Output};

use message::Order;
use process::{Missing, Process};

pub use frame::{receive, send};
pub use hand::{Failure, Hand, Processes};
pub use order::Ordered;
pub use process::started;
pub use worker::{PROGRAM, own_socket};

/// So many worker processes.
pub struct Workers {
    count: usize,
    /// The memory that they may take together, in bytes.
    memory: u64,
    cost: Mutex<Cost>,
}

impl Workers {
    pub fn new(count: usize, memory: u64) -> Workers {
        Workers { count, memory, cost: Mutex::default() }
    }

    /// What tasks cost the processes so far.
    pub fn cost(&self) -> Cost {
        self.cost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add_cost(&self, cost: &Cost) {
        let mut all = self.cost.lock().unwrap_or_else(PoisonError::into_inner);
        *all = all.beside(cost);
    }

    /// Works on a board until nothing is left to do there.
    fn work<'s>(
        &self,
        number: usize,
        board: &Board<Part, (Output<'s>, Counts128)>,
        stage: &'s OpenStage,
        ordered: &Ordered,
        process: Process,
    ) {
        let context = stage.context();
        let mut mine = Some(process);
        while let Some(claim) = board.claim() {
            let mut process = match mine.take().map_or_else(|| process::another(&context.stop), Ok) {
                Ok(process) => process,
                Err(error) => {
                    board.commit(&claim, Err(not_started(&error, &context.stop)));
                    continue;
                }
            };
            let order = Order::Task { part: claim.part.clone() };
            let mut task = || process.task(ordered, &order, &[], &context.stop);
            let done = match &context.monitor {
                Some(watch) => watch.task(number, claim.number, task, Result::is_ok),
                None => task(),
            };
            match done {
                Ok((done, bytes)) => {
                    done.note(context);
                    let output = match done.error {
                        Some(error) => Err(error),
                        None => stage.output(&bytes).map(|output| (output, done.counters)),
                    };
                    board.commit(&claim, output);
                    mine = Some(process);
                }
                Err(Missing::Stopped) => board.commit(&claim, Err(stopped(&context.stop))),
                Err(Missing::Lost(how)) => {
                    let error = lost(stage.stage(), &claim, &how);
                    board.lose(claim, error);
                }
            }
        }
        if let Some(mut process) = mine
            && let Ok(spent) = process.finish()
        {
            self.add_cost(&spent.cost);
            process.release();
        }
    }
}

impl Runner for Workers {
    fn run<'s>(
        &self,
        stage: &'s OpenStage,
        mut parts: Box<dyn Iterator<Item = Part> + Send>,
        take: &mut Take<'_, 's>,
    ) -> Fallible<()> {
        let first: Vec<Part> = parts.by_ref().take(self.count).collect();
        if first.is_empty() {
            return Ok(());
        }
        let context = stage.context();
        let ordered = Ordered::of(stage, self.memory / self.count.max(1) as u64)?;
        let processes =
            process::ready(first.len(), &context.stop).map_err(|error| not_started(&error, &context.stop))?;
        let window = 2 * processes.len();
        let board: Board<Part, (Output, Counts128)> =
            Board::new(Box::new(first.into_iter().chain(parts)), window, context.stop.clone());
        scope(|scope| {
            let mut started = 0;
            for (number, process) in processes.into_iter().enumerate() {
                let (board, ordered) = (&board, &ordered);
                let work = move || {
                    let _limited = context.limited();
                    // What a task gave may need more memory than there is, when it is taken here.
                    let done = catch_unwind(AssertUnwindSafe(|| self.work(number, board, stage, ordered, process)));
                    if done.is_err() {
                        board.abandon(context.out_of_memory());
                    }
                    measure::flush();
                };
                started +=
                    usize::from(Builder::new().name(format!("worker-{number}")).spawn_scoped(scope, work).is_ok());
            }
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

    fn workers(&self) -> usize {
        self.count
    }

    fn cpu(&self) -> Duration {
        self.cost().cpu()
    }
}

fn stopped(stop: &Stop) -> Box<Diagnostic> {
    stop.check().err().unwrap_or_else(|| Diagnostic::new(Kind::Stopped, "stopped"))
}

fn not_started(error: &std::io::Error, stop: &Stop) -> Box<Diagnostic> {
    if stop.is_raised() {
        return stopped(stop);
    }
    Diagnostic::new(Kind::System, format!("no worker process can be started: {error}"))
        .hint("| on threads runs it in this process")
}

/// A task whose process has ended, and where its input is.
fn lost(stage: &Stage, claim: &Claim<Part>, how: &str) -> Box<Diagnostic> {
    let input = match (&stage.tasks.source.op, &claim.part) {
        (Source::Read(read), Part::Files(splits)) => {
            let place = |split: &crate::files::Split| {
                let file = &read.files[split.file];
                let end = split.end.min(file.seen.0);
                format!("\"{}\", bytes {} to {end}", file.shown, split.start)
            };
            splits.iter().map(place).collect::<Vec<_>>().join("; ")
        }
        (_, Part::Rows { start, end }) => format!("rows {start} to {end}"),
        (_, Part::Whole | Part::Files(_)) => "all rows".to_string(),
    };
    let message = format!("a task ended its worker process {ATTEMPTS} times ({how}): {input}");
    Diagnostic::at(Kind::System, stage.tasks.source.span, message).hint("| on batch runs it in this process")
}
