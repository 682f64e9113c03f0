//! The engines: each runs any plan that it does not object to, and all give the same table.

mod batch;
mod driver;
pub mod mapreduce;
mod native;
mod polars;
mod rows;
mod spark;
mod tasks;
mod threads;
mod workers;

use std::time::Duration;

use crate::data::Table;
use crate::diagnostic::{Fallible, Span};
use crate::lang::{Expr, Privileges, Word};
use crate::measure::Cost;
use crate::native::GeneratedCode;
use crate::plan::{Limits, Prepared, Source};
use crate::run_context::{RunContext, TableSink};

/// The reference: it runs everything.
pub static REFERENCE: &dyn Engine = &rows::Rows;

/// The engine of cells that choose none.
pub static DEFAULT: &dyn Engine = &batch::Kernel;

/// All engines, in the order in which they are listed.
pub static ALL: &[&dyn Engine] =
    &[&rows::Rows, &polars::Polars, &native::Native, &batch::Kernel, &threads::Threads, &workers::Workers];

/// Runs plans as jobs of map and reduce tasks. It is chosen by name alone: its tasks are those of `threads`, so that a
/// comparison of all engines would learn nothing from it, and would wait for it. `%mapreduce` says what it does.
pub static MAPREDUCE: &dyn Engine = &mapreduce::MapReduce;

/// Engines that run elsewhere. They are chosen by name alone too: they need a server, or something to be installed.
pub static REMOTE: &[&dyn Engine] = &[&spark::Spark, &driver::DASK, &driver::RAY, &driver::BEAM];

/// An engine for a run, and whether the person chose it: where nobody did, `rows` may stand in for one that objects.
#[derive(Clone, Copy)]
pub struct Choice {
    pub engine: &'static dyn Engine,
    pub chosen: bool,
    pub limits: Limits,
}

impl Choice {
    /// This engine and no other.
    pub fn only(engine: &'static dyn Engine) -> Choice {
        Choice { engine, chosen: true, limits: Limits::default() }
    }
}

/// The engines of this program, also that which is chosen by its name alone.
pub fn here() -> impl Iterator<Item = &'static dyn Engine> {
    ALL.iter().copied().chain([MAPREDUCE])
}

/// The engines that have a name, also those elsewhere.
pub fn every() -> impl Iterator<Item = &'static dyn Engine> {
    here().chain(REMOTE.iter().copied())
}

pub fn find(name: &str) -> Option<&'static dyn Engine> {
    every().find(|engine| engine.name() == name)
}

/// Why an engine cannot run a plan, or a round of a block in it.
pub fn objection(engine: &dyn Engine, plan: &Prepared) -> Option<Objection> {
    let sources = plan.with_inner().into_iter().map(|plan| &plan.source.op);
    let iterated = sources.filter_map(|source| if let Source::Iterated(found) = source { Some(found) } else { None });
    let mut plans = iterated.flat_map(|iterated| std::iter::once(&iterated.input).chain(iterated.rounds.plans()));
    plans.find_map(|plan| engine.objection(plan)).or_else(|| engine.objection(plan))
}

pub trait Engine: Sync {
    fn name(&self) -> &'static str;

    /// One line for help.
    fn about(&self) -> &'static str;

    /// What a run on it with these options may do that needs trust, whatever the pipeline is.
    fn privileges(&self, options: &[(Word, Expr)]) -> Privileges;

    /// The limits that `on` may set for a run on it.
    fn limits(&self) -> &'static [Limit] {
        &[]
    }

    /// What is known of its place, where it runs elsewhere.
    fn elsewhere(&self) -> Option<&'static Elsewhere> {
        None
    }

    /// Whether it uses several threads.
    fn is_parallel(&self) -> bool;

    /// Why this engine cannot run the plan, if it cannot.
    fn objection(&self, plan: &Prepared) -> Option<Objection>;

    /// Whether it has a plan compiled before it runs, which takes a part of a second.
    fn is_compiled(&self) -> bool {
        false
    }

    /// Makes a plan ready to run in another process, where that is what this engine does.
    ///
    /// # Errors
    /// Those of the compiler, and of what starts the process.
    fn open(&self, _: &Prepared, _: &dyn Host, _: &RunContext) -> Fallible<Option<Box<dyn OpenPlan>>> {
        Ok(None)
    }

    /// Runs a plan in this process.
    ///
    /// # Errors
    /// What the plan runs into; where the row is not known to this engine, it is left out.
    fn run(&self, plan: &Prepared, context: &RunContext) -> Fallible<EngineOutput>;

    /// The same, where the rows also go to `sink`: as they come where the engine can do that, else all in the end.
    ///
    /// # Errors
    /// Also those of the sink.
    fn stream(&self, plan: &Prepared, sink: &mut dyn TableSink, context: &RunContext) -> Fallible<StreamOutput> {
        self.run(plan, context)?.streamed(sink)
    }

    /// What this engine makes of the plan, in its own terms, a line each.
    fn explain(&self, plan: &Prepared) -> Vec<String>;
}

/// How the place of an engine is said that runs elsewhere.
#[derive(Debug)]
pub struct Elsewhere {
    /// What its addresses begin with, before `://`.
    pub schemes: &'static [&'static str],
    pub example: &'static str,
    /// The variable of the environment that has its address, where nothing else says it.
    pub variable: Option<&'static str>,
    /// Whether it starts on this machine where no address is known.
    pub starts_here: bool,
}

/// A limit of one run, as an option of `on`.
pub struct Limit {
    pub name: &'static str,
    /// What it takes.
    pub values: &'static str,
    pub set: fn(&mut Limits, LimitValue) -> bool,
}

/// What is given for a limit.
#[derive(Debug, Clone, Copy)]
pub enum LimitValue<'a> {
    Int(u64),
    Float(f64),
    Word(&'a str),
}

impl LimitValue<'_> {
    fn int(self) -> Option<u64> {
        if let LimitValue::Int(number) = self { Some(number) } else { None }
    }

    /// Sets a limit to a number from 1 on; whether it is one.
    fn count_into(self, limit: &mut Option<usize>, most: usize) -> bool {
        let number = self.int().and_then(|number| usize::try_from(number).ok());
        *limit = number.filter(|number| (1..=most).contains(number));
        limit.is_some()
    }
}

/// How many tasks may run at a time.
pub const MOST_WORKERS: usize = 1024;

pub const WORKERS: Limit = Limit {
    name: "workers",
    values: "1 to 1024",
    set: |limits, value| value.count_into(&mut limits.workers, MOST_WORKERS),
};

/// The least memory that a run may be given, in bytes.
pub const LEAST_MEMORY: u64 = 8_000_000;

pub const MEMORY: Limit = Limit {
    name: "memory",
    values: "at least 8MB",
    set: |limits, value| {
        limits.memory = value.int().filter(|bytes| *bytes >= LEAST_MEMORY);
        limits.memory.is_some()
    },
};

/// What a session lends to an engine whose plans are compiled.
pub trait Host {
    /// Compiles a plan that was written as Rust, and opens a process that can run it.
    ///
    /// # Errors
    /// Those of the compiler, and of what starts the process.
    fn open_rust(&self, plan: &Prepared, code: &GeneratedCode, context: &RunContext) -> Fallible<Box<dyn OpenPlan>>;
}

/// A plan that is ready to run in a process of its own.
pub trait OpenPlan {
    /// Runs it, with what that cost the process. The stop flag that it was opened with ends it at once.
    ///
    /// # Errors
    /// As [`Engine::run`].
    fn run(&mut self) -> Fallible<EngineOutput>;
}

#[derive(Debug, Clone, PartialEq)]
pub struct Objection {
    pub reason: &'static str,
    /// The step that it cannot run.
    pub span: Span,
}

/// What is left of a run whose rows went to a sink.
#[derive(Debug)]
pub struct StreamOutput {
    /// The whole table, where the sink wanted it to be kept to the end, or where it had to be.
    pub table: Option<Table>,
    /// The rest is as in [`EngineOutput`].
    pub steps: Option<u64>,
    pub compile: Option<Duration>,
    pub cost: Vec<(&'static str, Cost)>,
}

impl EngineOutput {
    /// The same, with all rows handed to a sink.
    pub fn streamed(self, sink: &mut dyn TableSink) -> Fallible<StreamOutput> {
        sink.take(&self.table)?;
        let EngineOutput { table, steps, compile, cost } = self;
        Ok(StreamOutput { table: Some(table), steps, compile, cost })
    }
}

/// A table and what the engine saw on the way.
#[derive(Debug)]
pub struct EngineOutput {
    pub table: Table,
    /// Evaluation steps, where the engine counts them.
    pub steps: Option<u64>,
    /// What it took to compile the plan, where it was compiled for this run.
    pub compile: Option<Duration>,
    /// What other processes than this one cost that did the work, each with its name. What this one costs, its own
    /// meter sees.
    pub cost: Vec<(&'static str, Cost)>,
}
