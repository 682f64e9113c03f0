mod store;

use std::time::{Duration, Instant};

use crate::concurrency::ways::{Task, Way};
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Privileges, Takes};
use crate::plan::Binding;
use crate::races::busy_note;
use crate::report::{Block, Figures, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::session::Session;

use super::race::{refuse, refuse_words};
use super::timing::asked_count;
use super::{Answer, Magic, Offers, figures_plan, passed};

pub static CONCURRENCY: Magic = Magic {
    syntax: MagicSyntax {
        name: "concurrency",
        usage: "%concurrency [--tasks N] [--each TIME] · %concurrency store NAME [--tasks N]",
        takes: Takes::Words,
        options: &[("--tasks", true), ("--each", true)],
    },
    about: "runs the same tasks serially, on threads, in processes and on an event loop; tasks compute or wait\n\n\
            The tasks\n  \
            8 tasks of 20 ms each (--tasks, --each), run three times; the shortest time counts. A CPU task\n  \
            computes. An I/O task waits, as for a disk or a network\n\n\
            The ways\n  \
            serial               one task after the other\n  \
            threads              a thread for each task\n  \
            threads under a GIL  a global interpreter lock, as in CPython: one thread computes at a time\n  \
            \x20                    and hands the lock over every 5 ms; a waiting thread releases it\n  \
            processes            a process for each task, behind the same interface as the threads\n  \
            async                all tasks on one thread: an event loop runs another task while one waits\n  \
            async that blocks    the same, but the tasks block the event loop while they wait\n\n\
            Concurrency, parallelism, asynchrony\n  \
            Concurrent tasks are begun before others have ended: all ways but serial. Parallel ones run at the same\n  \
            time: threads and processes, on several cores. Asynchronous ones give their thread away while they wait\n\n\
            A store\n  \
            `%concurrency store kv` reads 1,000 keys of a store that answers late (`let kv = store delay 5ms`):\n  \
            one by one with an interpreter and with compiled code, with 32 threads (--tasks), and with 1,000 tasks\n  \
            on one thread. A faster language does not help who waits",
    examples: &["%concurrency", "%concurrency --tasks 4 --each 10ms"],
    offers: Offers::Stores,
    privileges: Privileges::none,
    run,
};

const TASKS: u64 = 8;
const MOST_TASKS: u64 = 64;
const EACH: f64 = 0.02;
/// The shortest of so many counts.
const TRIES: usize = 3;
/// All tasks of one kind, one after the other.
const MOST_TIME: f64 = 2.0;

/// Seconds of each way, at work and at waiting.
struct Row {
    way: Way,
    work: f64,
    wait: f64,
}

fn is_about_store(magic: &lang::Magic) -> bool {
    matches!(&magic.subject, Argument::Words(words) if words.first().is_some_and(|word| word.text == STORE))
}

const STORE: &str = "store";
const STORE_THREADS: u64 = 32;

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    if let (true, Argument::Words(words)) = (is_about_store(magic), &magic.subject) {
        refuse(magic, &["--each"], "`%concurrency` without a store, which has a delay of its own")?;
        let asked = asked_tasks(magic)?;
        let threads = asked.unwrap_or(STORE_THREADS) as usize;
        return match &words[1..] {
            [name] => store::run(session, name, threads, asked.is_some(), context),
            [] => Err(Diagnostic::at(Kind::Syntax, words[0].span, "`%concurrency store` needs the name of a store")
                .hint("let kv = store delay 5ms, then %concurrency store kv")),
            [_, second, ..] => Err(Diagnostic::at(Kind::Syntax, second.span, format!("unexpected `{}`", second.text))
                .hint("%concurrency store kv")),
        };
    }
    refuse_words(magic, "%concurrency --tasks 4 · %concurrency store NAME")?;
    let start = Instant::now();
    let place = |option: &str| magic.option(option).flatten().map_or(magic.span, |word| word.span);
    let tasks = asked_tasks(magic)?.unwrap_or(TASKS);
    let each = match magic.option("--each").flatten() {
        None => EACH,
        Some(word) => lang::seconds(&word.text).filter(|each| *each > 0.0 && each.is_finite()).ok_or_else(|| {
            let message = format!("`--each` must be a positive time, got `{}`", word.text);
            Diagnostic::at(Kind::Type, word.span, message).hint("--each 20ms; the units are ms, s and min")
        })?,
    };
    if each * tasks as f64 > MOST_TIME {
        let message = format!(
            "{tasks} tasks of {each} s take {} s one after the other; the limit is {MOST_TIME} s",
            each * tasks as f64
        );
        return Err(Diagnostic::at(Kind::Type, place("--each"), message).hint("--each 20ms"));
    }
    let (tasks, each) = (tasks as usize, Duration::from_secs_f64(each));
    let kinds = [Task::work(each), Task::Wait(each)];
    let mut rows = Vec::new();
    let mut failed: Vec<Note> = Vec::new();
    for way in Way::ALL {
        context.progress.tell(format!("{} tasks: {}", tasks, way.name()));
        let mut seconds = [0.0; 2];
        let ran = kinds.iter().zip(&mut seconds).try_for_each(|(task, seconds)| {
            *seconds = f64::INFINITY;
            for _ in 0..TRIES {
                *seconds = seconds.min(way.run(*task, tasks, context)?.as_secs_f64());
            }
            Ok::<(), std::io::Error>(())
        });
        if context.stop.is_raised() {
            break;
        }
        match ran {
            Ok(()) => rows.push(Row { way, work: seconds[0], wait: seconds[1] }),
            Err(error) => failed.push(Note::default().found(format!("cannot run {}: {error}", way.name())).optional()),
        }
    }
    if rows.is_empty() {
        context.stop.check()?;
    }
    let mut answer = told(&rows, tasks, failed);
    if context.stop.is_raised() {
        let ways = format!("stopped: {} of {} ways", rows.len(), Way::ALL.len());
        answer.report.blocks.push(Block::Notes(vec![Note::default().found(ways).optional()]));
    }
    answer.report.status_line.push(passed(start.elapsed()));
    Ok(answer)
}

/// What else the notes may say.
pub const SAYS: &[&str] = &[
    "cannot run {word}: {words}",
    "{word} cannot be run: {words}",
    "stopped: {count} of {count} ways",
    "{count} keys are read, not {count}: one after the other they wait {number} s",
    "{count} threads, not {count}: the system starts no more",
    "{count} threads: --tasks N says how many",
];

fn asked_tasks(magic: &lang::Magic) -> Fallible<Option<u64>> {
    let asked = asked_count(magic, "--tasks")?;
    match asked {
        Some(tasks) if tasks > MOST_TASKS => {
            let span = magic.option("--tasks").flatten().map_or(magic.span, |word| word.span);
            Err(Diagnostic::at(Kind::Type, span, format!("`--tasks` is at most {MOST_TASKS}, got {tasks}")))
        }
        asked => Ok(asked),
    }
}

fn told(rows: &[Row], tasks: usize, mut notes: Vec<Note>) -> Answer {
    let serial = rows.iter().find(|row| row.way == Way::Serial);
    let over_serial = |time: fn(&Row) -> f64, row: &Row| {
        serial.map_or(Value::Null, |serial| Value::Float(time(serial) / time(row).max(1e-9)))
    };
    let row = |row: &Row| {
        let (threads, processes) = row.way.workers(tasks);
        vec![
            Value::text(row.way.name()),
            Value::Float(row.work),
            over_serial(|row| row.work, row),
            Value::Float(row.wait),
            over_serial(|row| row.wait, row),
            Value::Int(threads as i64),
            Value::Int(processes as i64),
        ]
    };
    let figures = Figures::of_rows(
        &[
            ("way", Type::Text, Unit::Plain.counted()),
            ("cpu_time", Type::Float, Unit::Seconds.measured()),
            ("cpu_speed_up", Type::Float, Unit::Times.measured()),
            ("io_time", Type::Float, Unit::Seconds.measured()),
            ("io_speed_up", Type::Float, Unit::Times.measured()),
            ("threads", Type::Int, Unit::Plain.counted()),
            ("processes", Type::Int, Unit::Plain.counted()),
        ],
        &rows.iter().map(row).collect::<Vec<_>>(),
    );
    notes.extend(busy_note().map(|text| Note::default().found(text).optional()));
    notes.push(
        "computing gets faster only on several cores; waiting gets faster wherever all tasks wait at the same time"
            .into(),
    );
    let mut report = Report::default();
    let table = Some(figures_plan(&figures, Default::default()));
    report.blocks.push(Block::Figures(figures));
    report.blocks.push(Block::Notes(notes));
    Answer {
        report,
        result: Some(Binding::Result { table, fields: Vec::new(), tables: Vec::new() }),
        ..Answer::default()
    }
}
