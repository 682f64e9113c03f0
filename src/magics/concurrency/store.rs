//! `%concurrency store NAME`: the keys of a store, read by an interpreter, by compiled code, by threads and by tasks.

use std::io::ErrorKind;
use std::time::Instant;

use crate::concurrency::requests::{self, Reading};
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{self, Choice};
use crate::lang::{Cell, Statement, Word, parse};
use crate::measure::Cost;
use crate::plan::{Binding, KeyValueStore};
use crate::races::busy_note;
use crate::report::{Block, Figures, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::service::OpenFiles;
use crate::session::Session;

use super::super::{Answer, Tables, figures_plan, passed};

/// Keys that are read, where that does not take too long.
const KEYS: u64 = 1_000;
/// The time in which one reads them after the other, by the store's delay.
const ONE_BY_ONE: f64 = 6.0;

/// How the keys are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Rows,
    Native,
    Threads,
    Async,
}

impl Way {
    const ALL: [Way; 4] = [Way::Rows, Way::Native, Way::Threads, Way::Async];

    fn name(self) -> &'static str {
        match self {
            Way::Rows => "rows: an interpreter",
            Way::Native => "native: compiled",
            Way::Threads => "threads",
            Way::Async => "async",
        }
    }
}

struct Row {
    way: Way,
    cost: Cost,
    threads: usize,
    /// Requests that wait at the same time.
    at_once: usize,
}

/// The store that a name of the session is.
fn store_of(session: &Session, name: &Word) -> Fallible<KeyValueStore> {
    match session.lookup(&name.text) {
        Some(Binding::Table(plan)) => plan.store().cloned(),
        _ => None,
    }
    .ok_or_else(|| {
        Diagnostic::at(Kind::Name, name.span, format!("`{}` is not a store", name.text))
            .hint(format!("let {} = store delay 5ms", name.text))
    })
}

pub fn run(
    session: &mut Session,
    name: &Word,
    threads: usize,
    is_said: bool,
    context: &RunContext,
) -> Fallible<Answer> {
    let start = Instant::now();
    let store = store_of(session, name)?;
    let in_time = (ONE_BY_ONE / store.delay.max(1e-9)).max(1.0) as u64;
    let wanted = KEYS.min(store.keys);
    let keys = wanted.min(in_time);
    // As a task of the event loop costs next to nothing, there is one for each key.
    let tasks = keys.min(OpenFiles::connections(OpenFiles::limits().here)) as usize;
    let wanted_threads = threads.min(keys as usize);
    let mut threads = wanted_threads;
    let stopped = || context.stop.is_raised();
    let (mut rows, mut sums, mut notes): (Vec<Row>, Vec<i64>, Vec<Note>) = Default::default();
    let mut failed = None;
    for way in Way::ALL {
        context.progress.tell(format!("{keys} keys: {}", way.name()));
        let of_threads = |reading: std::io::Result<Reading>| {
            reading.map_err(|error| Diagnostic::at(Kind::System, name.span, error.to_string()))
        };
        let (reading, threads, at_once) = match way {
            Way::Rows => (on_engine(session, &name.text, keys, engines::REFERENCE.name(), context), 1, 1),
            Way::Native => (on_engine(session, &name.text, keys, "native", context), 1, 1),
            Way::Threads => {
                let mut reading = requests::on_threads(&store.address, keys, threads);
                // The system may allow fewer threads.
                while matches!(&reading, Err(error) if error.kind() == ErrorKind::WouldBlock) && threads > 1 {
                    threads /= 2;
                    reading = requests::on_threads(&store.address, keys, threads);
                }
                (of_threads(reading), threads, threads)
            }
            Way::Async => (of_threads(requests::on_event_loop(&store.address, keys, tasks, &stopped)), 1, tasks),
        };
        if stopped() {
            break;
        }
        match reading {
            Ok(Reading { sum, cost }) => {
                sums.push(sum);
                rows.push(Row { way, cost, threads, at_once });
            }
            Err(error) => {
                let why = format!("{} cannot be run: {}", way.name(), error.message);
                notes.push(Note::default().found(why).optional());
                failed.get_or_insert(error);
            }
        }
    }
    if rows.is_empty() {
        context.stop.check()?;
        // No way has reached the store.
        if let Some(error) = failed {
            return Err(error);
        }
    }
    if sums.windows(2).any(|pair| pair[0] != pair[1]) {
        notes.push("the ways have read different values, so their times say nothing".into());
    }
    if keys < wanted {
        let why = format!("{keys} keys are read, not {wanted}: one after the other they wait {ONE_BY_ONE} s");
        notes.push(Note::from(why.as_str()).optional());
    }
    if stopped() {
        let ways = format!("stopped: {} of {} ways", rows.len(), Way::ALL.len());
        notes.push(Note::default().found(ways).optional());
    }
    if threads < wanted_threads {
        let why = format!("{threads} threads, not {wanted_threads}: the system starts no more");
        notes.push(Note::default().found(why).optional());
    } else if !is_said {
        notes.push(Note::from(format!("{threads} threads: --tasks N says how many").as_str()).optional());
    }
    let mut answer = told(&rows, keys, notes);
    answer.report.status_line.push(passed(start.elapsed()));
    Ok(answer)
}

/// Reads the keys by a pipeline.
fn on_engine(
    session: &mut Session,
    store: &str,
    keys: u64,
    engine: &'static str,
    context: &RunContext,
) -> Fallible<Reading> {
    let text = format!("0..{keys} | map get(`{store}`, it) | sum");
    let id = session.remember(&text);
    let Cell::Statements(statements) = parse(id, &text, &Tables)? else { unreachable!("it is a pipeline") };
    let [Statement::Pipeline(pipeline)] = &statements[..] else { unreachable!("it is one pipeline") };
    let engine = engines::find(engine).expect("it is in the table");
    let subject = session.subject(pipeline, Choice::only(engine), context)?;
    let (table, cost) = subject.table(context)?;
    match table.values(0, 0, 1).first() {
        Some(Value::Int(sum)) => Ok(Reading { sum: *sum, cost }),
        _ => Err(Diagnostic::at(Kind::System, pipeline.span, "the values have no sum")),
    }
}

fn told(rows: &[Row], keys: u64, mut notes: Vec<Note>) -> Answer {
    let first = rows.iter().find(|row| row.way == Way::Rows).map(|row| row.cost.wall.as_secs_f64());
    let row = |Row { way, cost, threads, at_once }: &Row| {
        let wall = cost.wall.as_secs_f64().max(1e-9);
        vec![
            Value::text(way.name()),
            Value::Int(keys as i64),
            Value::Float(wall),
            first.map_or(Value::Null, |first| Value::Float(first / wall)),
            Value::Float(cost.cpu.as_secs_f64()),
            Value::Float((cost.cpu.as_secs_f64() / wall).min(1.0)),
            Value::Int(*threads as i64),
            Value::Int(*at_once as i64),
        ]
    };
    let figures = Figures::of_rows(
        &[
            ("way", Type::Text, Unit::Plain.counted()),
            ("keys", Type::Int, Unit::Plain.counted()),
            ("time", Type::Float, Unit::Seconds.measured()),
            ("speed_up", Type::Float, Unit::Times.measured()),
            ("cpu_time", Type::Float, Unit::Seconds.measured()),
            ("busy", Type::Float, Unit::Share.measured()),
            ("threads", Type::Int, Unit::Plain.counted()),
            ("at_once", Type::Int, Unit::Plain.counted()),
        ],
        &rows.iter().map(row).collect::<Vec<_>>(),
    );
    notes.extend(busy_note().map(|text| Note::default().found(text).optional()));
    notes.push("a faster language does not help who waits: what helps is to let many requests wait at once".into());
    let table = Some(figures_plan(&figures, Default::default()));
    let blocks = vec![Block::Figures(figures), Block::Notes(notes)];
    Answer {
        report: Report { blocks, ..Report::default() },
        result: Some(Binding::Result { table, fields: Vec::new(), tables: Vec::new() }),
        ..Answer::default()
    }
}
