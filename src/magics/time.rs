use std::sync::Arc;
use std::time::Duration;

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Statement, Takes};
use crate::measure::{Cost, Limit, Meter, told_apart};
use crate::plan::Binding;
use crate::report::{Block, Field, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::rust::Built;
use crate::session::{CellValue, RunResult, Session, lone_command};
use crate::show::{bytes_text, duration_text, percent};

use super::command_options::{self, command_help};
use super::{Answer, CellStatus, Magic, Offers, given_answer, status_line, table_result};

pub static TIME: Magic = Magic {
    syntax: MagicSyntax {
        name: "time",
        usage: "%time STATEMENT or !COMMAND",
        takes: Takes::Statement,
        options: &[("--prepare", true), ("--cleanup", true), ("--input", true), ("--ok", true)],
    },
    about: concat!(
        "runs a statement once and shows its cost: wall and CPU time, memory, allocations, throughput\n\n\
            Processes\n  \
            CPU time and allocations are those of the shell and of the processes that run Rust or a command for it.\n  \
            CPU time of programs that these start and wait for is counted; what memory such programs use is not \
            known.\n  \
            If another process worked, a note shows the CPU time and the peak of each; _.peak is the sum of the \
            peaks.\n\n\
            Compiling\n  \
            Compiling and starting are shown separately (_.compile, _.start). They are not in _.wall or the \
            throughput.\n\n\
            Waiting\n  \
            What it waits for is shown where the system tells how long every thread waited for a processor.\n  \
            _.queued is the sum of that over all threads, so that it may be longer than _.wall. _.preempted counts \
            involuntary switches.\n\n\
            User and system time\n  \
            They are shown if the CPU time is long enough to tell them apart; otherwise _.user and _.system are null.",
        command_help!()
    ),
    examples: &[
        "%time read \"samples/kjv.txt\" | words | count by lower(word) | top 10",
        "%time !seq 100000",
        "%time let big = read \"samples/kjv.txt\" | words | persist",
    ],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let Argument::Statement(statement) = &magic.subject else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%time` needs a statement")
            .hint("for example: %time 1..1M | sum"));
    };
    if let Statement::Pipeline(pipeline) = &**statement
        && lone_command(pipeline).is_some()
    {
        let before = session.snapshot();
        let answer = time_command(session, magic, pipeline, context);
        session.restore(before);
        return answer;
    }
    command_options::only_for_commands(magic)?;
    session.settle(context)?;
    session.begin_spent();
    let built = session.built();
    let meter = Meter::start();
    let given = session.statement(statement, context)?;
    let given = match (&**statement, given) {
        // `let` is lazy; timing it asks for its table.
        (Statement::Let(name, pipeline), CellValue::Nothing) => match session.lookup(&name.text) {
            Some(Binding::Table(plan)) => {
                let engine = session.engine(pipeline.on.as_ref())?;
                CellValue::Table(session.run((*plan).clone(), engine, context)?)
            }
            _ => CellValue::Nothing,
        },
        (_, given) => given,
    };
    let shell = meter.stop();
    let built = session.built().since(&built);
    let others = session.take_spent();
    let cost = others.iter().fold(shell.clone(), |sum, (_, cost)| sum.beside(cost));
    let named = matches!(**statement, Statement::Let(..));
    let ran = if let CellValue::Table(ran) = &given { Some(ran.clone()) } else { None };
    let fields = fields(&cost, &built, ran.as_ref());
    let mut answer = if named { Answer::default() } else { given_answer(given) };
    answer.report.blocks.push(Block::Measured(fields.clone()));
    answer.report.blocks.extend(whose(&shell, &others).map(|note| Block::Notes(vec![Note::default().found(note)])));
    if let Some(ran) = &ran {
        answer.report.status_line = status_line(ran, ran.table.height() as u64);
    }
    answer.result = Some(match &ran {
        Some(ran) => table_result(ran, fields),
        None => Binding::Result { table: None, fields, tables: Vec::new() },
    });
    Ok(answer)
}

/// Runs a command once.
fn time_command(
    session: &mut Session,
    magic: &lang::Magic,
    pipeline: &lang::Pipeline,
    context: &RunContext,
) -> Fallible<Answer> {
    session.programs.told = command_options::told(session, magic)?;
    session.settle(context)?;
    let choice = session.engine(None)?;
    let subject = session.subject(pipeline, choice, context)?;
    let command = subject.command().expect("a command was drafted");
    let (ran, is_good) = command.once(context)?;
    let seconds = |name, time: Duration| Field::measured(name, Value::Float(time.as_secs_f64()), Unit::Seconds);
    let part = |name, time: Duration| match told_apart(ran.cpu()) {
        true => seconds(name, time),
        false => Field::measured(name, Value::Null, Unit::Seconds),
    };
    let fields = vec![
        seconds("wall", ran.wall),
        seconds("cpu", ran.cpu()),
        part("user", ran.user),
        part("system", ran.system),
        Field::measured("preempted", Value::Int(ran.preempted as i64), Unit::Count("involuntary switches")),
        Field::measured("peak", Value::Int(ran.peak as i64), Unit::Bytes),
    ];
    let mut notes = vec![Note::from(ran.ending())];
    if !is_good {
        let said = command.output().and_then(|output| output.last_errors());
        notes = vec![Note::from(format!("✗ failed: {}", ran.ending()))];
        notes.extend(said.map(|said| Note::from(format!("its standard error ends: {said}"))));
    }
    if command.is_shell() {
        notes.push("run by `sh -c`, whose own start is in the times".into());
    }
    notes.extend(command_options::notes(command, session.programs.floor()).into_iter().filter(|_| !command.is_shell()));
    let mut values = fields.clone();
    values.extend(command_options::values(command));
    drop(subject);
    notes.extend(session.programs.take_complaints().into_iter().map(Note::from));
    let report = Report { blocks: vec![Block::Measured(fields), Block::Notes(notes)], ..Report::default() };
    let result = Binding::Result { table: None, fields: values, tables: Vec::new() };
    let status = if is_good { CellStatus::Good } else { CellStatus::Failed };
    Ok(Answer { report, result: Some(result), status, ..Answer::default() })
}

/// The figures of one run.
fn fields(cost: &Cost, built: &Built, ran: Option<&RunResult>) -> Vec<Field> {
    let seconds = |name, duration: Option<Duration>| {
        let value = duration.map_or(Value::Null, |duration| Value::Float(duration.as_secs_f64()));
        Field::measured(name, value, Unit::Seconds)
    };
    let int = |name, value: u64, unit| Field::measured(name, Value::Int(value as i64), unit);
    let mut fields = vec![
        seconds("wall", Some(cost.wall)),
        seconds("cpu", Some(cost.cpu)),
        seconds("user", cost.parts.map(|(user, _)| user)),
        seconds("system", cost.parts.map(|(_, system)| system)),
        seconds("queued", cost.queued),
        int("preempted", cost.preempted, Unit::Count("involuntary switches")),
        seconds("start", Some(built.start)),
        seconds("compile", Some(built.compile)),
        int("peak", cost.peak, Unit::Bytes),
        int("allocations", cost.allocations, Unit::Count("allocations")),
        int("allocated", cost.allocated, Unit::Bytes),
    ];
    let wall = cost.wall.as_secs_f64().max(1e-9);
    if let Some(ran) = ran {
        if let Some(rows) = ran.rows_read {
            let value = Value::Float(rows as f64 / wall);
            fields.push(Field::measured("rows_per_second", value, Unit::PerSecond("rows")));
        }
        if ran.bytes_read > 0 {
            let value = Value::Float(ran.bytes_read as f64 / wall);
            fields.push(Field::measured("bytes_per_second", value, Unit::BytesPerSecond));
        }
        if let Some(steps) = ran.steps.filter(|steps| *steps > 0) {
            fields.push(Field::counted("steps", Value::Int(steps as i64), Unit::Count("steps")));
        }
    }
    fields.push(Field::measured("bound", Value::Text(Arc::from(bound(cost))), Unit::Plain));
    fields
}

/// What limits a run, and whose figures were added up.
pub const SAYS: &[&str] = &[
    "~too short to show what it waits for",
    "~CPU-bound[ on {number} cores][, {share} of the time waiting for a processor]",
    "~waiting",
    "~{share} CPU, [{share} waiting for a processor, ]the rest waiting",
    "~on a processor for {share} of the time",
    "~sums of processes: CPU {word} {time}[, {word} {time}]*; peak heap {word} {bytes}[[, {word} {bytes}]*, so \
     that at most the sum was in use at once][; programs that were started took {time} of the CPU time, their \
     memory is not known]",
];

/// What limits a run, in words.
fn bound(cost: &Cost) -> String {
    let on_cores = |cores: f64| match cores >= 1.3 {
        true => format!("CPU-bound on {cores:.1} cores"),
        false => "CPU-bound".to_string(),
    };
    match cost.limit() {
        Limit::TooShort => "too short to show what it waits for".to_string(),
        Limit::Processor { cores, queued } if queued >= 0.1 => {
            format!("{}, {} of the time waiting for a processor", on_cores(cores), percent(queued))
        }
        Limit::Processor { cores, queued: _ } => on_cores(cores),
        Limit::Waiting { busy, queued } if busy + queued < 0.1 => "waiting".to_string(),
        Limit::Waiting { busy, queued } if queued < 0.02 => format!("{} CPU, the rest waiting", percent(busy)),
        Limit::Waiting { busy, queued } => {
            format!("{} CPU, {} waiting for a processor, the rest waiting", percent(busy), percent(queued))
        }
        Limit::Unknown { busy } => format!("on a processor for {} of the time", percent(busy)),
    }
}

/// Whose figures were added up, where another process worked for the shell.
fn whose(shell: &Cost, others: &[(&'static str, Cost)]) -> Option<String> {
    if others.is_empty() {
        return None;
    }
    let all: Vec<(&str, &Cost)> =
        [("shell", shell)].into_iter().chain(others.iter().map(|(name, cost)| (*name, cost))).collect();
    let each = |all: &[(&str, &Cost)], figure: &dyn Fn(&Cost) -> String| {
        all.iter().map(|(name, cost)| format!("{name} {}", figure(cost))).collect::<Vec<_>>().join(", ")
    };
    let cpu = each(&all, &|cost| duration_text(cost.cpu.as_secs_f64()));
    // A command is a program and nothing else: it counts no memory.
    let counts_memory = |(_, cost): &&(&str, &Cost)| cost.programs.is_zero() || cost.allocations > 0;
    let counted: Vec<(&str, &Cost)> = all.iter().filter(counts_memory).copied().collect();
    let peak = each(&counted, &|cost| bytes_text(cost.peak as f64));
    let peak = match counted.len() {
        1 => format!("peak heap {peak}"),
        _ => format!("peak heap {peak}, so that at most the sum was in use at once"),
    };
    let programs: Duration = all.iter().map(|(_, cost)| cost.programs).sum();
    let programs = match programs.is_zero() {
        true => String::new(),
        false => {
            let time = duration_text(programs.as_secs_f64());
            format!("; programs that were started took {time} of the CPU time, their memory is not known")
        }
    };
    Some(format!("sums of processes: CPU {cpu}; {peak}{programs}"))
}
