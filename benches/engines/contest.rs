//! One row, in a process of its own: all ways give the same table, then each is run in turn and the least cost counts.

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use polars::prelude::{DataFrame, DataType, Engine as Plain};
use serde::{Deserialize, Serialize};

use timelab::console::{Console, Sink};
use timelab::data::{Column, Order, Sameness, Schema, Table, Type, dtype};
use timelab::diagnostic::{Diagnostic, Fallible};
use timelab::engines::{self, Choice, Engine};
use timelab::lang::{self, Cell, Statement};
use timelab::magics::Tables;
use timelab::measure::Meter;
use timelab::plan::Plan;
use timelab::run_context::RunContext;
use timelab::rust::Rust;
use timelab::session::{Bound, Session};

use crate::inputs::Scale;
use crate::rows::{Contest, Row, Way};

pub const BY_HAND: &str = "by hand";
pub const UNCHECKED: &str = "unchecked";
/// Plain polars on either of its engines.
pub const IN_MEMORY: &str = "in memory";
pub const STREAMING: &str = "streaming";

/// The names of all ways, in the order of the table.
pub fn ways() -> Vec<&'static str> {
    [BY_HAND, UNCHECKED, IN_MEMORY, STREAMING]
        .into_iter()
        .chain(engines::ALL.iter().map(|engine| engine.name()))
        .collect()
}

/// What a row's process found out.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measurement {
    pub cell: String,
    /// What each way cost, in the row's unit; none where it cannot say this.
    pub costs: Vec<(String, Option<f64>)>,
}

type Outcome<T> = Result<T, String>;

/// The least CPU time of each way in several rounds.
pub fn times(row: &Row, scale: Scale, rounds: u32) -> Outcome<Measurement> {
    let contest = (row.contest)(scale).map_err(|error| error.to_string())?;
    let cell = contest.cell.clone();
    let (schema, ways) = prepared(contest)?;
    prove(&schema, &ways)?;
    let mut costs: Vec<(String, Option<f64>)> = ways.iter().map(|(name, _)| (name.to_string(), None)).collect();
    for _ in 0..rounds {
        for ((_, way), (_, least)) in ways.iter().zip(&mut costs) {
            let Some(way) = way else { continue };
            let (frame, cpu) = black_box(way()?);
            drop(frame);
            *least = Some(least.map_or(cpu, |least| least.min(cpu)));
        }
    }
    Ok(Measurement { cell, costs })
}

/// The peak of resident memory above that at the start, of one way, which runs once. The loop by hand comes after it,
/// to prove its table.
pub fn peak(row: &Row, scale: Scale, name: &str) -> Outcome<Measurement> {
    let contest = (row.contest)(scale).map_err(|error| error.to_string())?;
    let cell = contest.cell.clone();
    let (schema, mut ways) = prepared(contest)?;
    ways.retain(|(way, _)| *way == name || *way == BY_HAND);
    // Compiled code runs in another process.
    let compiled = engines::find(name).is_some_and(|engine| engine.is_compiled());
    let cost = match ways.iter().find(|(way, _)| *way == name) {
        Some((_, Some(way))) if !compiled => {
            let start = resident("VmRSS")?;
            drop(black_box(way()?));
            Some(resident("VmHWM")? - start)
        }
        _ => None,
    };
    prove(&schema, &ways)?;
    Ok(Measurement { cell, costs: vec![(name.to_string(), cost)] })
}

/// A figure of this process in bytes, as Linux tells it.
fn resident(figure: &str) -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0).ok_or_else(|| format!("the system tells no {figure}"))
}

/// A way by its name, ready to be run; none where it cannot say this.
type Runner = (&'static str, Option<Run>);
/// The result, and the CPU seconds that it took.
type Run = Box<dyn Fn() -> Outcome<(DataFrame, f64)>>;

/// The schema of the result, and all ways to it.
fn prepared(contest: Contest) -> Outcome<(Schema, Vec<Runner>)> {
    let Contest { cell, tables, by_hand, unchecked, plain, streams } = contest;
    let run = |way: Way| -> Run { Box::new(move || metered(|| way().map_err(|error| error.to_string()))) };
    let on = |engine: Plain| {
        let plain = plain.clone()?;
        Some(run(Box::new(move || plain()?.collect_with_engine(engine).map(|result| result.unwrap_single()))))
    };
    let mut ways = vec![
        (BY_HAND, Some(run(by_hand))),
        (UNCHECKED, unchecked.map(run)),
        (IN_MEMORY, if streams { None } else { on(Plain::InMemory) }),
        (STREAMING, on(Plain::Streaming)),
    ];
    let said = |error: Box<Diagnostic>| error.message;
    let mut session = Session::new(None, console());
    for (name, frame) in tables {
        give(&mut session, name, frame)?;
    }
    let plan = bound(&mut session, &cell).map_err(said)?.ok_or("the cell is no pipeline")?;
    // What is compiled lives as long as its session.
    session.rust = Rust::new(Path::new(env!("CARGO_BIN_EXE_timelab")), session.console.clone());
    let session = Box::leak(Box::new(session));
    for engine in engines::ALL {
        let context = session.context();
        let run = on_engine(session, *engine, plan.clone(), context).map_err(said)?;
        ways.push((engine.name(), run));
    }
    Ok((plan.schema().clone(), ways))
}

fn on_engine(session: &Session, engine: &'static dyn Engine, plan: Plan, context: RunContext) -> Fallible<Option<Run>> {
    let prepared = session.prepared(plan.clone(), Choice::only(engine), &context)?;
    if engine.objection(&prepared).is_some() {
        return Ok(None);
    }
    if engine.is_compiled() {
        let subject = session.subject_of_plan(plan, Choice::only(engine), &context)?;
        return Ok(Some(Box::new(move || match subject.table(&context) {
            Ok((table, cost)) => Ok((table.frame().clone(), cost.cpu().as_secs_f64())),
            Err(error) => Err(error.message),
        })));
    }
    Ok(Some(Box::new(move || {
        metered(|| match engine.run(&prepared, &context) {
            Ok(run) => Ok(run.table.frame().clone()),
            Err(error) => Err(error.message),
        })
    })))
}

/// A run in this process with the CPU seconds that it took.
fn metered(run: impl FnOnce() -> Outcome<DataFrame>) -> Outcome<(DataFrame, f64)> {
    let meter = Meter::start();
    let frame = black_box(run());
    let cpu = meter.stop().cpu().as_secs_f64();
    Ok((frame?, cpu))
}

/// Gives a table a name in the session.
fn give(session: &mut Session, name: &str, frame: DataFrame) -> Outcome<()> {
    let columns = frame.columns().iter().map(|column| {
        let ty = match column.dtype() {
            DataType::Int64 => Type::Int,
            DataType::Float64 => Type::Float,
            _ => Type::Text,
        };
        Column { name: column.name().to_string(), ty }
    });
    let schema = Schema::new(columns.collect(), Order::Kept);
    let table = Arc::new(Table::new(frame, schema)?);
    session.give_table(name, table);
    Ok(())
}

/// What the runner says of its troubles is seen.
fn console() -> Console {
    let err = Sink::new(|bytes| drop(std::io::stderr().write_all(bytes)));
    Console::new(err.clone(), err, Console::cannot_ask())
}

/// What the last pipeline of a cell means; other statements are run.
fn bound(session: &mut Session, cell: &str) -> Fallible<Option<Plan>> {
    let id = session.remember(cell);
    let Cell::Statements(statements) = lang::parse(id, cell, &Tables)? else { return Ok(None) };
    let context = session.context();
    let mut last = None;
    for statement in &statements {
        match statement {
            Statement::Pipeline(pipeline) => last = Some(session.bind(pipeline)?),
            Statement::Let(..)
            | Statement::LetCommand(..)
            | Statement::LetStore(..)
            | Statement::Spawn(..)
            | Statement::Function(_)
            | Statement::RustFunction(_) => {
                session.statement(statement, &context)?;
            }
        }
    }
    Ok(last.and_then(|bound| if let Bound::Table(plan) = bound { Some(plan) } else { None }))
}

/// Runs each way once: all must give the table of the first.
fn prove(schema: &Schema, ways: &[Runner]) -> Outcome<()> {
    let mut first = None;
    for (name, way) in ways {
        let Some(way) = way else { continue };
        let table = way().and_then(|(frame, _)| brought(frame, schema)).map_err(|error| format!("{name}: {error}"))?;
        let Some((other, first)) = &first else {
            first = Some((name, table));
            continue;
        };
        if let Sameness::Different(what) | Sameness::CannotTell(what) = table.same(first) {
            return Err(format!("{name} here, {other} there: {what}"));
        }
    }
    Ok(())
}

/// A result as a table of the language: polars counts and measures in smaller ints.
fn brought(mut frame: DataFrame, schema: &Schema) -> Outcome<Table> {
    for column in &schema.columns {
        let cast = frame.try_apply(&column.name, |values| values.strict_cast(&dtype(&column.ty)));
        cast.map_err(|error| error.to_string())?;
    }
    Table::new(frame, schema.clone())
}
