use std::time::{Duration, Instant};

use crate::concurrency::c10k::{self, MESSAGES, Run, Server};
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Privileges, Takes, whole_number};
use crate::plan::Binding;
use crate::races::busy_note;
use crate::report::{Block, Figures, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::service::OpenFiles;
use crate::session::Session;
use crate::show::{duration_text, grouped};

use super::{Answer, Magic, Offers, figures_plan, passed};

pub static C10K: Magic = Magic {
    syntax: MagicSyntax { name: "c10k", usage: "%c10k [N]", takes: Takes::Words, options: &[] },
    about: "opens thousands of connections to an echo server, written in four ways: what each connection costs\n\n\
            The servers\n  \
            event loop             all connections on one thread, which goes on while one waits (tokio)\n  \
            event loop per core    the same on a thread for each core\n  \
            thread per connection  each with a stack of 64 KiB\n  \
            serial                 one connection after the other; it gets 20 of them at most\n\n\
            The connections\n  \
            N of them (1,000 unless specified, 20,000 at most), on loopback. All stay open, and each sends three\n  \
            messages of 32 bytes; before each it thinks for 20 to 29 ms. Server and client are processes of their\n  \
            own, so that each has its own limit of open files: where that is lower, there are fewer connections\n\n\
            Columns\n  \
            connections     those that got all their answers; errors: those that did not, within 10 s\n  \
            connect         until the last connection was greeted by the server\n  \
            round_trip      a message and its answer: the median\n  \
            memory          of the server while all are connected: resident, without the kernel's buffers\n  \
            per_connection  what of it came with the connections: without what the server had after a first one\n  \
            cpu             CPU time of the server",
    examples: &["%c10k", "%c10k 200"],
    offers: Offers::Nothing,
    privileges: Privileges::none,
    run,
};

const CONNECTIONS: u64 = 1_000;
/// A client has about 28,000 ports for one server.
const MOST_CONNECTIONS: u64 = 20_000;
const MOST_SERIAL: u64 = 20;
const WITHIN: Duration = Duration::from_secs(10);

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let start = Instant::now();
    let (wanted, is_asked) = match asked(magic)? {
        Some(wanted) => (wanted, true),
        None => (CONNECTIONS, false),
    };
    let files = OpenFiles::limits().in_child;
    let connections = wanted.min(OpenFiles::connections(files)).min(files.saturating_sub(c10k::own_files()).max(1));
    let stopped = || context.stop.is_raised();
    let (mut runs, mut notes): (Vec<Run>, Vec<Note>) = Default::default();
    for server in Server::ALL {
        let number = if server == Server::Serial { connections.min(MOST_SERIAL) } else { connections };
        let told = |phase: &str| {
            context.progress.tell(format!("{}: {} connections: {phase}", server.name(), grouped(number)));
        };
        told("starting");
        match c10k::run(session.rust.program(), server, number, WITHIN, &stopped, &told) {
            Ok(Some(run)) => runs.push(run),
            Ok(None) => break,
            Err(error) => {
                notes.push(Note::default().found(format!("{} cannot be run: {error}", server.name())).optional());
            }
        }
    }
    if runs.is_empty() {
        context.stop.check()?;
    }
    if connections < wanted {
        let why = format!(
            "{} connections, not {}: a process may open {} files here (ulimit -Hn)",
            grouped(connections),
            grouped(wanted),
            grouped(OpenFiles::limits().in_child)
        );
        notes.push(Note::default().found(why).optional());
    }
    if stopped() {
        let servers = format!("stopped: {} of {} servers", runs.len(), Server::ALL.len());
        notes.push(Note::default().found(servers).optional());
    }
    let mut answer = told(&runs, connections, notes);
    if !is_asked {
        answer
            .report
            .blocks
            .push(Block::Notes(vec![Note::from("%c10k 10k opens ten thousand connections").optional()]));
    }
    answer.report.status_line.push(passed(start.elapsed()));
    Ok(answer)
}

/// What else the notes may say.
pub const SAYS: &[&str] = &[
    "{word} cannot be run: {words}",
    "{count} connections, not {count}: a process may open {count} files here (ulimit -Hn)",
    "stopped: {count} of {count} servers",
    "%c10k 10k opens ten thousand connections",
    "{name}: most errors were: {words}",
    "serial: {count} connections, one after the other, took {time}; {count} would take {time} (model)",
];

/// The number of connections, where one is asked for.
fn asked(magic: &lang::Magic) -> Fallible<Option<u64>> {
    let Argument::Words(words) = &magic.subject else { return Ok(None) };
    if let [_, second, ..] = &words[..] {
        return Err(
            Diagnostic::at(Kind::Syntax, second.span, format!("unexpected `{}`", second.text)).hint("%c10k 10k")
        );
    }
    let Some(word) = words.first() else { return Ok(None) };
    let number = whole_number(&word.text).filter(|number| (1..=MOST_CONNECTIONS).contains(number));
    number.map(Some).ok_or_else(|| {
        let most = grouped(MOST_CONNECTIONS);
        let message = format!("`%c10k` opens 1 to {most} connections, got `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).hint("%c10k 10k")
    })
}

fn told(runs: &[Run], connections: u64, mut notes: Vec<Note>) -> Answer {
    let count = |number: Option<u64>| number.map_or(Value::Null, |number| Value::Int(number as i64));
    let seconds = |seconds: Option<f64>| seconds.map_or(Value::Null, Value::Float);
    let row = |run: &Run| {
        let own = run.memory_of_connections.filter(|_| run.connections > 0 && run.server != Server::Serial);
        let each = own.map(|memory| memory / run.connections);
        vec![
            Value::text(run.server.name()),
            Value::Int(run.connections as i64),
            Value::Int(run.errors as i64),
            Value::Float(run.connect),
            seconds(run.round_trip),
            count(run.memory),
            count(each),
            count(run.threads),
            seconds(run.cpu),
        ]
    };
    let figures = Figures::of_rows(
        &[
            ("server", Type::Text, Unit::Plain.counted()),
            ("connections", Type::Int, Unit::Plain.measured()),
            ("errors", Type::Int, Unit::Plain.measured()),
            ("connect", Type::Float, Unit::Seconds.measured()),
            ("round_trip", Type::Float, Unit::Seconds.measured()),
            ("memory", Type::Int, Unit::Bytes.measured()),
            ("per_connection", Type::Int, Unit::Bytes.measured()),
            ("threads", Type::Int, Unit::Plain.measured()),
            ("cpu", Type::Float, Unit::Seconds.measured()),
        ],
        &runs.iter().map(row).collect::<Vec<_>>(),
    );
    for run in runs {
        if let Some(error) = &run.error {
            let why = format!("{}: most errors were: {error}", run.server.name());
            notes.push(Note::default().found(why).optional());
        }
    }
    if let Some(serial) = runs.iter().find(|run| run.server == Server::Serial && run.connections > 0)
        && serial.connections < connections
    {
        let all = serial.connect / serial.connections as f64 * connections as f64;
        notes.push(
            Note::default()
                .found(format!(
                    "serial: {} connections, one after the other, took {}; {} would take {} (model)",
                    serial.connections,
                    duration_text(serial.connect),
                    grouped(connections),
                    duration_text(all)
                ))
                .optional(),
        );
    }
    notes.extend(busy_note().map(|text| Note::default().found(text).optional()));
    notes.push(
        format!(
            "each connection sends {MESSAGES} messages and mostly waits: an event loop keeps a small task for it, a \
             thread has a stack of its own (per_connection)"
        )
        .into(),
    );
    let table = Some(figures_plan(&figures, Default::default()));
    let blocks = vec![Block::Figures(figures), Block::Notes(notes)];
    Answer {
        report: Report { blocks, ..Report::default() },
        result: Some(Binding::Result { table, fields: Vec::new(), tables: Vec::new() }),
        ..Answer::default()
    }
}
