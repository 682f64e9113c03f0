//! What is run again and again: bound and prepared once.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use crate::data::{Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{self, Choice, Engine, EngineOutput};
use crate::lang::{Pipeline, RustBlock, Word};
use crate::measure::{Clock, Cost, Meter, Overhead, ThreadCpu, Wall, Workload};
use crate::plan::{Binding, Evaluator, File, Op, Plan};
use crate::run_context::RunContext;
use crate::rust::Worker;

use super::Session;
use super::bind::{Bound, Ready, View};
use super::detached::Detached;
use super::run::{found_again, run_on};
use super::rust::{Block, lone_block};

/// A pipeline or an expression that can be run any number of times.
pub struct Subject {
    work: Work,
    /// Why it is not the engine that was meant, where nobody chose one.
    pub instead: Option<&'static str>,
    /// Rows and bytes that come out of its sources, where known.
    pub rows_read: Option<u64>,
    pub bytes_read: u64,
    /// The files that it reads.
    pub files: Vec<File>,
}

/// What runs a block of Rust, in a word.
pub const RUST: &str = "rust";

enum Work {
    Plan(Arc<Plan>, &'static dyn Engine, Option<Detached>),
    /// An expression alone: no engine is asked.
    Expr(Evaluator, Type),
    /// Rust, of a cell or of the engine that compiles plans.
    Rust(Box<Timed>, Option<&'static dyn Engine>),
}

/// A block of Rust in a process that can run it again and again.
struct Timed {
    worker: RefCell<Worker>,
    block: Rc<Block>,
    /// The plan that it is.
    plan: Option<Plan>,
    /// What measuring costs there, by the clock of the wall and that of the thread.
    overheads: [Overhead; 2],
}

impl Timed {
    fn table(&self, context: &RunContext) -> Fallible<(Table, Cost)> {
        let mut worker = self.worker.borrow_mut();
        match &self.plan {
            None => {
                let (given, cost) = worker.call(self.block.subject)?;
                Ok((Session::rust_table(given), cost.run()))
            }
            Some(plan) => {
                let called = Session::call_plan(&mut worker, &self.block, plan);
                called.map(|(table, cost)| (table, cost.run())).or_else(|error| found_again(plan, error, context))
            }
        }
    }
}

/// One that is timed in its own process.
struct Remote<'a> {
    timed: &'a Timed,
    subject: usize,
}

impl Workload<Box<Diagnostic>> for Remote<'_> {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Fallible<u64> {
        self.timed.worker.borrow_mut().sample(self.subject, calls, clock.is_cpu())
    }

    fn overhead(&self, clock: &dyn Clock) -> Option<Overhead> {
        Some(self.timed.overheads[usize::from(clock.is_cpu())])
    }
}

impl Session {
    /// A pipeline with what must be known before it can run: types, kept tables, values. What is left is the engine's run.
    ///
    /// # Errors
    /// Also where it writes files or names several results, and an objection of the engine.
    pub fn repeated(&mut self, pipeline: &Pipeline, choice: Choice, context: &RunContext) -> Fallible<Subject> {
        if let Some(block) = lone_block(pipeline) {
            return self.repeated_block(block, context);
        }
        match self.ready(pipeline)? {
            Ready::Expr(evaluator, ty) => Ok(Subject::value(evaluator, ty)),
            Ready::Bound(Bound::Value(value, ty)) => Ok(Subject::value(Box::new(move |_, _| Ok(value.clone())), ty)),
            Ready::Bound(Bound::Table(plan)) => {
                only_table(&plan)?;
                self.repeated_plan(plan, choice, context)
            }
        }
    }

    fn repeated_block(&self, block: &RustBlock, context: &RunContext) -> Fallible<Subject> {
        let block = self.compile_blocks(&View { session: self }, &[block], context)?.remove(0);
        Ok(Subject::of(Work::Rust(Box::new(self.timed(&block, None, context)?), None)))
    }

    /// A process that runs a block, and what measuring costs in it.
    fn timed(&self, block: &Rc<Block>, plan: Option<Plan>, context: &RunContext) -> Fallible<Timed> {
        let worker = self.open_block(block, Choice::only(engines::default()), context)?;
        let subject = worker.nothing();
        let none = Overhead { read: 0.0, call: 0.0, precision: 0.0 };
        let mut timed = Timed { worker: RefCell::new(worker), block: block.clone(), plan, overheads: [none; 2] };
        let overhead = |clock: &dyn Clock| Overhead::of(clock, &mut Remote { timed: &timed, subject });
        timed.overheads = [overhead(&Wall)?, overhead(&ThreadCpu)?];
        Ok(timed)
    }

    /// The same for a plan that is bound already and writes nothing.
    pub fn repeated_plan(&self, plan: Plan, choice: Choice, context: &RunContext) -> Fallible<Subject> {
        let files = plan.files();
        let (rows_read, bytes_read) = self.reads(&plan);
        let plan = self.prepared(plan, choice, context)?;
        let (engine, instead) = self.engine_for(&plan, choice)?;
        if let Some(write) = engine.code() {
            let block = self.compile_plan(&plan, &write(&plan), context)?;
            let timed = self.timed(&block, Some(plan), context)?;
            return Ok(Subject {
                work: Work::Rust(Box::new(timed), Some(engine)),
                instead,
                rows_read,
                bytes_read,
                files,
            });
        }
        let apart = self.detached_for(&plan);
        Ok(Subject { work: Work::Plan(Arc::new(plan), engine, apart), instead, rows_read, bytes_read, files })
    }

    /// Gives a name to a point of a sweep, before those that `let` gave.
    pub fn give_point(&mut self, name: &Word, point: i64) {
        self.give(name, Binding::Value(Value::Int(point), Type::Int));
    }
}

impl Subject {
    fn value(evaluator: Evaluator, ty: Type) -> Subject {
        Subject::of(Work::Expr(evaluator, ty))
    }

    fn of(work: Work) -> Subject {
        Subject { work, instead: None, rows_read: None, bytes_read: 0, files: Vec::new() }
    }

    /// Runs it; the table of a value is one row. With what the run cost.
    pub fn table(&self, context: &RunContext) -> Fallible<(Table, Cost)> {
        let meter = Meter::start();
        let table = match &self.work {
            Work::Plan(plan, engine, apart) => run_plan(plan, *engine, apart, context)?.table,
            Work::Expr(evaluator, ty) => value_table(evaluator(None, None)?, ty.clone()),
            Work::Rust(timed, _) => return timed.table(context),
        };
        Ok((table, meter.stop()))
    }

    /// Runs it and throws its result away.
    pub fn run(&self, context: &RunContext) -> Fallible<()> {
        match &self.work {
            Work::Plan(plan, engine, apart) => run_plan(plan, *engine, apart, context).map(|run| drop(black_box(run))),
            Work::Expr(evaluator, _) => evaluator(None, None).map(|value| drop(black_box(value))),
            Work::Rust(timed, _) => timed.table(context).map(drop),
        }
    }

    /// The same as what is timed: here, or in its own process.
    pub fn subject<'a>(&'a self, context: &'a RunContext) -> Box<dyn Workload<Box<Diagnostic>> + 'a> {
        match &self.work {
            Work::Rust(timed, _) => Box::new(Remote { timed, subject: timed.block.subject }),
            Work::Plan(..) | Work::Expr(..) => Box::new(|| self.run(context)),
        }
    }

    /// What one run costs.
    pub fn cost(&self, context: &RunContext) -> Fallible<Cost> {
        if let Work::Rust(timed, _) = &self.work {
            return timed.table(context).map(|(_, cost)| cost);
        }
        let meter = Meter::start();
        self.run(context).map(|()| meter.stop())
    }

    /// The engine that runs it; none for an expression alone.
    /// The plan, where it is one.
    pub fn plan(&self) -> Option<&Plan> {
        match &self.work {
            Work::Plan(plan, ..) => Some(plan),
            Work::Rust(timed, _) => timed.plan.as_ref(),
            Work::Expr(..) => None,
        }
    }

    pub fn engine(&self) -> Option<&'static dyn Engine> {
        match &self.work {
            Work::Plan(_, engine, _) => Some(*engine),
            Work::Rust(_, engine) => *engine,
            Work::Expr(..) => None,
        }
    }

    /// Whether it runs in another process, which times it.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self.work, Work::Rust(..))
    }

    /// What runs it, in a word.
    pub fn runs_on(&self) -> &'static str {
        match &self.work {
            Work::Plan(_, engine, _) => engine.name(),
            Work::Expr(..) => "no engine",
            Work::Rust(_, engine) => engine.map_or(RUST, |engine| engine.name()),
        }
    }
}

fn run_plan(
    plan: &Arc<Plan>,
    engine: &'static dyn Engine,
    apart: &Option<Detached>,
    context: &RunContext,
) -> Fallible<EngineOutput> {
    match apart {
        Some(apart) if apart.is_long() => {
            let plan = plan.clone();
            apart.run(engine.name(), context, move |context| run_on(&plan, engine, context))
        }
        _ => run_on(plan, engine, context),
    }
}

/// A value as a table of one row.
pub fn value_table(value: Value, ty: Type) -> Table {
    Table::from_columns(Schema::one("it", ty.closed()), 1, &[vec![value]])
}

/// Refuses what must not be run more than once.
pub fn only_table(plan: &Plan) -> Fallible<()> {
    match plan.steps.last() {
        Some(step) if plan.is_final() => {
            let what = if matches!(step.op, Op::Tee(_)) { "`tee`" } else { "`write`" };
            let message = format!("this is run more than once: it takes no {what}");
            Err(Diagnostic::at(Kind::Syntax, step.span, message).hint("leave the last stage out"))
        }
        _ => Ok(()),
    }
}
