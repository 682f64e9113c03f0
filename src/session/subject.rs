//! What is run again and again: pipelines, expressions, blocks of Rust, algorithms of a family. It is bound and
//! prepared once; whoever measures gets something that can be called.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use crate::algorithms::{Case, Claims};
use crate::data::{Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::engines::{self, Choice, Engine, EngineOutput};
use crate::lang::{self, Pipeline, Word};
use crate::measure::{Clock, Cost, Meter, Workload};
use crate::native;
use crate::plan::{Binding, BoundOp, Evaluator, File, Plan, Prepared, unused};
use crate::run_context::RunContext;

use super::Session;
use super::bind::{Bound, Ready, View};
use super::detached::Detached;
use super::programs::{Command, VariantOutput, lines, lone_command};
use super::run::{found_again, run_on};
use super::rust::{Block, Opened, Part, block_part, lone_block, plan_part};
use super::workers::Workers;

/// What can be run any number of times.
pub struct Subject<'c> {
    work: Work<'c>,
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

enum Work<'c> {
    Plan(Arc<Prepared>, &'static dyn Engine, Option<Detached>),
    /// An expression alone: no engine is asked. It may call functions that run in another process.
    Expr(Evaluator, Type, bool),
    /// Rust, of a cell or of the engine that compiles plans.
    Rust {
        workers: Rc<Workers>,
        block: Rc<Block>,
        compiled: Option<Box<(Prepared, &'static dyn Engine)>>,
    },
    Algorithm(Algorithm<'c>),
    Command(Box<Command>),
}

/// A variant of a family on one input.
struct Algorithm<'c> {
    call: Box<dyn Fn() + 'c>,
    case: Arc<dyn Case>,
    claims: Claims,
    detached: Option<Detached>,
}

/// What becomes a [`Subject`]: its types are known, but nothing of it is compiled or computed yet.
pub struct Draft(Drafted);

enum Drafted {
    Plan(Plan, Choice),
    Expr(Evaluator, Type),
    Value(Value, Type),
    Block(Part),
    Command(Box<Command>),
}

/// How often the same Rust is there, so that it can be seen how much depends on where it lies and on what runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicas {
    /// Copies of the code.
    pub copies: usize,
    /// Processes that run it where it is held against something that runs here; otherwise there is one for all.
    pub processes: usize,
}

/// All copies of Rust are compiled, which takes time: of long texts there are fewer, so that they have so many bytes
/// together. Sixteen copies of a compiled pipeline of 2 KB took 4 s more than one.
const TEXT: usize = 16 << 10;
const FEWEST_COPIES: usize = 4;
/// Where more bytes than these go into Rust, there are at most [`FEW`] processes that hold them.
const LARGE: usize = 32 << 20;
const FEW: usize = 3;

impl Replicas {
    /// Everything once.
    pub const NONE: Replicas = Replicas { copies: 1, processes: 1 };
}

impl Draft {
    /// The expressions of a pipeline that nothing uses.
    pub fn unused(&self) -> Vec<Span> {
        if let Drafted::Plan(plan, _) = &self.0 { unused(plan) } else { Vec::new() }
    }
}

impl Session {
    /// What a pipeline means, where it can be run again and again.
    ///
    /// # Errors
    /// Also where it writes files or names several results.
    pub fn draft(&mut self, pipeline: &Pipeline, choice: Choice) -> Fallible<Draft> {
        if let Some(word) = lone_command(pipeline) {
            return Ok(Draft(Drafted::Command(Box::new(self.command(word)?))));
        }
        if let Some(block) = lone_block(pipeline) {
            return Ok(Draft(Drafted::Block(block_part(&View::of(self), block)?)));
        }
        Ok(Draft(match self.ready(pipeline)? {
            Ready::Expr(evaluator, ty) => Drafted::Expr(evaluator, ty),
            Ready::Bound(Bound::Value(value, ty)) => Drafted::Value(value, ty),
            Ready::Bound(Bound::Table(plan)) => {
                only_table(&plan)?;
                Drafted::Plan(plan, choice)
            }
        }))
    }

    /// The same of stages that go on from a plan.
    pub fn draft_on(&mut self, input: Plan, stages: &[lang::Stage], choice: Choice) -> Fallible<Draft> {
        let plan = self.bind_on(input, stages)?;
        only_table(&plan)?;
        Ok(Draft(Drafted::Plan(plan, choice)))
    }

    /// One subject alone.
    pub fn subject(&mut self, pipeline: &Pipeline, choice: Choice, context: &RunContext) -> Fallible<Subject<'static>> {
        let draft = self.draft(pipeline, choice)?;
        self.subjects(vec![draft], Replicas::NONE, false, context)?.remove(0)
    }

    /// The same for a plan that is bound already and writes nothing.
    pub fn subject_of_plan(&self, plan: Plan, choice: Choice, context: &RunContext) -> Fallible<Subject<'static>> {
        self.subjects(vec![Draft(Drafted::Plan(plan, choice))], Replicas::NONE, false, context)?.remove(0)
    }

    /// Makes drafts ready to be run: each is done or has failed by itself. All Rust is compiled into one library and
    /// runs in the same processes, so that nothing but the code is different. `others` says whether it is held against
    /// something beside these drafts.
    ///
    /// # Errors
    /// Those of the compiler.
    pub fn subjects(
        &self,
        drafts: Vec<Draft>,
        replicas: Replicas,
        others: bool,
        context: &RunContext,
    ) -> Fallible<Vec<Fallible<Subject<'static>>>> {
        let mut parts = Vec::new();
        let halves: Vec<Fallible<Half>> =
            drafts.into_iter().map(|draft| self.half(draft, &mut parts, context)).collect();
        if parts.is_empty() {
            return Ok(halves.into_iter().map(|half| half.map(|half| half.of(None))).collect());
        }
        let length: usize = parts.iter().map(|(subject, ..)| subject.body.as_str().len()).sum();
        let copies = replicas.copies.min((TEXT / length.max(1)).max(FEWEST_COPIES));
        let blocks = self.compile_compared(parts, copies, context)?;
        let Opened { opener, inputs, filled } = self.opener(&blocks, Choice::only(engines::DEFAULT), context)?;
        let here = others || halves.iter().any(|half| half.as_ref().is_ok_and(|half| !half.is_rust()));
        let large = inputs.iter().map(Vec::len).sum::<usize>() > LARGE;
        // Only what runs elsewhere differs from process to process; where all subjects are Rust, they share one.
        let processes = match (here, large) {
            (false, _) => 1,
            (true, false) => replicas.processes,
            (true, true) => replicas.processes.min(FEW),
        };
        let workers = Rc::new(Workers::new(opener, inputs, blocks[0].copies(), processes, context));
        let mut blocks = blocks.into_iter().zip(filled);
        let mut whole = |half: Half| {
            if !half.is_rust() {
                return Ok(half.of(None));
            }
            let (block, filled) = blocks.next().expect("there is one for each");
            filled.map(|()| half.of(Some((workers.clone(), block))))
        };
        Ok(halves.into_iter().map(|half| half.and_then(&mut whole)).collect())
    }

    /// A draft, prepared but not compiled; what must be compiled is one of the `parts` then.
    fn half(&self, draft: Draft, parts: &mut Vec<Part>, context: &RunContext) -> Fallible<Half> {
        let alone = |work| Half { work, instead: None, rows_read: None, bytes_read: 0, files: Vec::new() };
        match draft.0 {
            Drafted::Value(value, ty) => {
                Ok(alone(HalfWork::Done(Work::Expr(Box::new(move |_, _| Ok((value.clone(), 0))), ty, false))))
            }
            Drafted::Expr(evaluator, ty) => {
                let mut here = self.newest_function();
                let functions = std::iter::from_fn(move || {
                    let definition = here.take()?;
                    here = definition.before.clone();
                    Some(definition)
                });
                let has_rust = functions.into_iter().any(|definition| definition.elsewhere.is_some());
                Ok(alone(HalfWork::Done(Work::Expr(evaluator, ty, has_rust))))
            }
            Drafted::Command(command) => Ok(alone(HalfWork::Done(Work::Command(command)))),
            Drafted::Block(part) => {
                parts.push(part);
                Ok(alone(HalfWork::Block))
            }
            Drafted::Plan(plan, choice) => {
                let files = plan.files();
                let (rows_read, bytes_read) = self.reads(&plan);
                // The engine is chosen for the plan as it runs: preparing may have taken away what an engine refuses.
                let plan = self.prepared(plan, choice, context)?;
                let (engine, instead) = self.engine_for(&plan, choice)?;
                let work = match engine.is_compiled() {
                    // It is compiled together with the other Rust that it is compared with.
                    true => {
                        parts.push(plan_part(&plan, &native::code(&plan)));
                        HalfWork::Compiled(Box::new((plan, engine)))
                    }
                    false => {
                        let detached = self.detached_for(&plan);
                        HalfWork::Done(Work::Plan(Arc::new(plan), engine, detached))
                    }
                };
                Ok(Half { work, instead, rows_read, bytes_read, files })
            }
        }
    }

    /// A variant of a family on an input.
    pub fn algorithm<'c>(&self, case: &'c Arc<dyn Case>, claims: Claims) -> Fallible<Subject<'c>> {
        let call = case.call(claims.name)?;
        let algorithm = Algorithm { call, case: case.clone(), claims, detached: self.detached() };
        let work = Work::Algorithm(algorithm);
        Ok(Subject { work, instead: None, rows_read: None, bytes_read: 0, files: Vec::new() })
    }

    /// Gives a name to a point of a sweep, before those that `let` gave.
    pub fn give_point(&mut self, name: &Word, point: i64) {
        self.give(name, Binding::Value(Value::Int(point), Type::Int, false));
    }
}

/// A subject whose Rust is not compiled yet.
struct Half {
    work: HalfWork,
    instead: Option<&'static str>,
    rows_read: Option<u64>,
    bytes_read: u64,
    files: Vec<File>,
}

enum HalfWork {
    Done(Work<'static>),
    Block,
    Compiled(Box<(Prepared, &'static dyn Engine)>),
}

impl Half {
    fn is_rust(&self) -> bool {
        !matches!(self.work, HalfWork::Done(_))
    }

    fn of(self, rust: Option<(Rc<Workers>, Rc<Block>)>) -> Subject<'static> {
        let Half { work, instead, rows_read, bytes_read, files } = self;
        let work = match (work, rust) {
            (HalfWork::Done(work), _) => work,
            (HalfWork::Block, Some((workers, block))) => Work::Rust { workers, block, compiled: None },
            (HalfWork::Compiled(plan), Some((workers, block))) => Work::Rust { workers, block, compiled: Some(plan) },
            (HalfWork::Block | HalfWork::Compiled(..), None) => unreachable!("what is Rust was compiled"),
        };
        Subject { work, instead, rows_read, bytes_read, files }
    }
}

impl Subject<'_> {
    /// Runs it, for what it gives: a table, or what a command prints. With what the run cost.
    pub fn given(&self, context: &RunContext) -> Fallible<(VariantOutput, Cost)> {
        match &self.work {
            Work::Command(command) => {
                let (output, ran) = command.first(context)?;
                Ok((VariantOutput::Output(output), Command::cost(&ran)))
            }
            _ => self.table(context).map(|(table, cost)| (VariantOutput::Table(table), cost)),
        }
    }

    /// The command that it is.
    pub fn command(&self) -> Option<&Command> {
        if let Work::Command(command) = &self.work { Some(command) } else { None }
    }

    /// Runs it; the table of a value is one row. With what the run cost.
    pub fn table(&self, context: &RunContext) -> Fallible<(Table, Cost)> {
        let meter = Meter::start();
        let table = match &self.work {
            Work::Plan(plan, engine, detached) => run_plan(plan, *engine, detached, context)?.table,
            Work::Expr(evaluator, ty, _) => value_table(evaluator(None, None)?.0, ty.clone()),
            Work::Rust { workers, block, compiled } => return call_once(workers, block, compiled, context),
            Work::Algorithm(Algorithm { case, claims, detached, .. }) => {
                let (case, name) = (case.clone(), claims.name);
                match detached {
                    Some(detached) => detached.run(name, context, move |_| case.result(name))?,
                    None => case.result(name)?,
                }
            }
            Work::Command(command) => {
                let (output, ran) = command.first(context)?;
                return Ok((lines(&output)?, Command::cost(&ran)));
            }
        };
        Ok((table, meter.stop()))
    }

    /// Runs it and throws its result away.
    pub fn run(&self, context: &RunContext) -> Fallible<()> {
        match &self.work {
            Work::Plan(plan, engine, detached) => {
                run_plan(plan, *engine, detached, context).map(|run| drop(black_box(run)))
            }
            Work::Expr(evaluator, ..) => evaluator(None, None).map(|value| drop(black_box(value))),
            Work::Rust { workers, block, compiled } => call_once(workers, block, compiled, context).map(drop),
            Work::Algorithm(algorithm) => {
                // The algorithm itself knows no flag.
                context.stop.check()?;
                algorithm.run(context)
            }
            Work::Command(command) => command.sample(context).map(drop),
        }
    }

    /// What is timed: the same as [`Subject::run`], here or in another process.
    pub fn workload<'a>(&'a self, context: &'a RunContext) -> Box<dyn Workload<Box<Diagnostic>> + 'a> {
        match &self.work {
            Work::Rust { workers, block, .. } => Box::new(workers.workload(block.subject)),
            Work::Algorithm(algorithm) => Box::new(Called { algorithm, context }),
            Work::Plan(..) | Work::Expr(..) => Box::new(|| self.run(context)),
            Work::Command(command) => Box::new(command.workload(context)),
        }
    }

    /// The steps of one run; 0 where nobody counts them.
    pub fn steps(&self, context: &RunContext) -> Fallible<u64> {
        match &self.work {
            Work::Plan(plan, engine, detached) => {
                Ok(run_plan(plan, *engine, detached, context)?.steps.unwrap_or_default())
            }
            Work::Expr(evaluator, ..) => evaluator(None, None).map(|(_, steps)| steps),
            Work::Rust { .. } | Work::Algorithm(_) | Work::Command(_) => Ok(0),
        }
    }

    /// What one run costs.
    pub fn cost(&self, context: &RunContext) -> Fallible<Cost> {
        if let Work::Rust { workers, block, compiled } = &self.work {
            return call_once(workers, block, compiled, context).map(|(_, cost)| cost);
        }
        if let Work::Command(command) = &self.work {
            return command.again(context).map(|ran| Command::cost(&ran));
        }
        let meter = Meter::start();
        self.run(context).map(|()| meter.stop())
    }

    /// The plan, where it is one.
    pub fn plan(&self) -> Option<&Prepared> {
        match &self.work {
            Work::Plan(plan, ..) => Some(plan),
            Work::Rust { compiled, .. } => compiled.as_ref().map(|compiled| &compiled.0),
            Work::Expr(..) | Work::Algorithm(_) | Work::Command(_) => None,
        }
    }

    /// Whether it is known to use several threads.
    pub fn is_parallel(&self) -> bool {
        match &self.work {
            Work::Plan(_, engine, _) => engine.is_parallel(),
            Work::Rust { compiled, .. } => compiled.as_ref().is_some_and(|compiled| compiled.1.is_parallel()),
            Work::Algorithm(algorithm) => algorithm.claims.threaded,
            Work::Expr(..) | Work::Command(_) => false,
        }
    }

    /// Whether other threads or processes are known to work for it: CPU time of one thread misses that.
    pub fn works_elsewhere(&self) -> bool {
        let calls = match &self.work {
            // One that is compiled is a block of Rust here, which has its functions in it.
            Work::Plan(plan, ..) => plan.calls_external(),
            Work::Expr(_, _, calls) => *calls,
            Work::Rust { .. } | Work::Algorithm(_) | Work::Command(_) => false,
        };
        calls || self.is_parallel()
    }

    /// The processes that run it, where it runs in such, which time it; and its number there.
    pub fn workers(&self) -> Option<(&Rc<Workers>, usize)> {
        if let Work::Rust { workers, block, .. } = &self.work { Some((workers, block.subject)) } else { None }
    }

    /// What runs it, in a word; nothing for an algorithm of a family.
    pub fn runs_on(&self) -> &'static str {
        match &self.work {
            Work::Plan(_, engine, _) => engine.name(),
            Work::Expr(..) => "no engine",
            Work::Rust { compiled, .. } => compiled.as_ref().map_or(RUST, |compiled| compiled.1.name()),
            Work::Algorithm(_) => "",
            Work::Command(command) if command.is_shell() => "sh -c",
            Work::Command(_) => "no shell",
        }
    }
}

/// Calls a block once in the first of its processes.
fn call_once(
    workers: &Workers,
    block: &Block,
    compiled: &Option<Box<(Prepared, &'static dyn Engine)>>,
    context: &RunContext,
) -> Fallible<(Table, Cost)> {
    let number = block.subject * workers.copies;
    match compiled {
        None => {
            let (given, cost) = workers.ask(0, |worker| worker.call(number))?;
            Ok((Session::rust_table(given), cost.run()))
        }
        Some(compiled) => {
            let plan = &compiled.0;
            // An error of compiled code has no row: it is looked for with the reference engine.
            let called = workers.ask(0, |worker| Session::call_plan(worker, number, block, plan));
            called.map(|(table, cost)| (table, cost.run())).or_else(|error| found_again(plan, error, context))
        }
    }
}

impl Algorithm<'_> {
    fn run(&self, context: &RunContext) -> Fallible<()> {
        match &self.detached {
            Some(detached) if detached.is_long() => {
                let (case, name) = (self.case.clone(), self.claims.name);
                detached.run(name, context, move |_| {
                    case.call(name)?();
                    Ok(())
                })
            }
            _ => {
                (self.call)();
                Ok(())
            }
        }
    }
}

/// An algorithm as it is timed: one asks once a sample whether to stop, since a call may be shorter than the question.
struct Called<'a> {
    algorithm: &'a Algorithm<'a>,
    context: &'a RunContext,
}

impl Workload<Box<Diagnostic>> for Called<'_> {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Fallible<u64> {
        self.context.stop.check()?;
        let Algorithm { call, detached, .. } = self.algorithm;
        match detached {
            Some(detached) if detached.is_long() => (|| self.algorithm.run(self.context)).time(clock, calls),
            _ => (|| {
                call();
                Ok(())
            })
            .time(clock, calls),
        }
    }
}

fn run_plan(
    plan: &Arc<Prepared>,
    engine: &'static dyn Engine,
    detached: &Option<Detached>,
    context: &RunContext,
) -> Fallible<EngineOutput> {
    match detached {
        Some(detached) if detached.is_long() => {
            let plan = plan.clone();
            detached.run(engine.name(), context, move |context| run_on(&plan, engine, context))
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
            let what = if matches!(step.op, BoundOp::Tee(_)) { "`tee`" } else { "`write`" };
            let message = format!("this is run more than once: it takes no {what}");
            Err(Diagnostic::at(Kind::Syntax, step.span, message).hint("leave the last stage out"))
        }
        _ => Ok(()),
    }
}
