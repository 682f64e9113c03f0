use std::hint::black_box;
use std::time::Instant;

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::interleave::barrier::cores;
use crate::lang::{self, Argument, MagicSyntax, Privileges, Statement, Takes};
use crate::plan::Binding;
use crate::report::{Block, Field, Figures, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::session::Session;

use super::cost::{asked, asked_hours, bytes_of, bytes_text, core_rate};
use super::{Answer, Magic, Offers, figures_plan};

pub static NEED: Magic = Magic {
    syntax: MagicSyntax {
        name: "need",
        usage: "%need --volume SIZE [--rate SIZE/s] [--within TIME] [--formats LIST] [--disk SIZE/s] [PIPELINE]",
        takes: Takes::Statement,
        options: &[("--volume", true), ("--rate", true), ("--within", true), ("--formats", true), ("--disk", true)],
    },
    about: "says whether data is too large, too fast or too varied for one machine: the first way that is enough\n\n\
            Options\n  \
            --volume SIZE   how much data there is: 500GB, 150TB, 2PB\n  \
            --rate SIZE/s   how fast more of it comes: 50MB/s (velocity)\n  \
            --within TIME   how long the work on all of it may take: 24h unless specified\n  \
            --formats LIST  what it consists of: csv,json (variety)\n  \
            --disk SIZE/s   how fast the disks of a machine read: 500MB/s unless specified\n  \
            PIPELINE        the work: it runs once on one thread, and its rate is measured. Without it the data is\n  \
            \x20               only read from memory, which is the least that any work does\n\n\
            Ways\n  \
            one process    one core, with all data in memory\n  \
            all cores      all cores of this machine, with all data in memory\n  \
            out of core    all cores, a part of the data in memory at a time\n  \
            cluster of N   as many machines as this one as are needed\n\n\
            A model: every core is as fast as one here, the network keeps up, and nothing fails.",
    examples: &[
        "%need --volume 150TB --within 24h",
        "%need --volume 500GB --rate 50MB/s read \"samples/kjv.txt\" | words | count by word",
    ],
    offers: Offers::Nothing,
    privileges: Privileges::none,
    run,
};

/// Hours.
const WITHIN: f64 = 24.0;
/// Bytes per second that the disks of a machine read.
const DISK: f64 = 500e6;
/// What `read` understands.
const FORMATS: [&str; 7] = ["csv", "tsv", "json", "jsonl", "parquet", "arrow", "text"];

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let Some(volume) = asked(magic, "--volume", "an amount of data", "150TB", bytes_of)? else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%need` needs `--volume`").hint(NEED.examples[0]));
    };
    let per_second = |option| {
        asked(magic, option, "an amount of data per second", "50MB/s", |text| bytes_of(text.strip_suffix("/s")?))
    };
    let (velocity, disk) = (per_second("--rate")?, per_second("--disk")?.unwrap_or(DISK));
    let within = asked_hours(magic, "--within")?.unwrap_or(WITHIN);
    if let Some(word) = magic.option("--within").flatten().filter(|_| within <= 0.0) {
        let message = format!("`--within` must be a time over 0, got `{}`", word.text);
        return Err(Diagnostic::at(Kind::Type, word.span, message).hint("--within 24h"));
    }
    let (rate, work) = match &magic.subject {
        Argument::Nothing => (reading_rate(), "reading from memory alone"),
        Argument::Statement(statement) => match &**statement {
            Statement::Pipeline(pipeline) => {
                let rate = core_rate(session, pipeline, context).map_err(|mut error| {
                    let is_ours = error.hint.as_deref().is_some_and(|hint| hint.starts_with("%cost"));
                    error.hint = if is_ours { Some(NEED.examples[1].to_string()) } else { error.hint };
                    error
                });
                (rate?, "the pipeline")
            }
            _ => {
                return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%need` needs a pipeline, or options alone")
                    .hint(NEED.examples[1]));
            }
        },
        Argument::Pipelines(_) | Argument::Words(_) | Argument::Variants(_) | Argument::Body(_) => {
            unreachable!("the parser reads a statement")
        }
    };
    let (cores, memory) = (cores().len() as f64, context.memory as f64);
    // All data comes from disks once, whatever is done with it then.
    let speed = |way: &Way| (rate * way.cores).min(disk * way.machines);
    let machine = (rate * cores).min(disk);
    let by_time = volume / (within.max(1e-9) * 3600.0) / machine;
    let by_rate = velocity.map_or(0.0, |velocity| velocity / machine);
    let machines = by_time.max(by_rate).ceil().max(2.0);
    let fits = volume <= memory;
    let ways = [
        Way { name: "one process".to_string(), cores: 1.0, machines: 1.0, memory: volume, fits },
        Way { name: "all cores".to_string(), cores, machines: 1.0, memory: volume, fits },
        Way { name: "out of core".to_string(), cores, machines: 1.0, memory: memory.min(volume), fits: true },
        Way {
            name: format!("cluster of {machines}"),
            cores: cores * machines,
            machines,
            memory: memory.min(volume / machines),
            fits: true,
        },
    ];
    let limit = |way: &Way| {
        let is_slow = volume / speed(way) / 3600.0 > within;
        match (way.fits, is_slow, velocity.is_some_and(|velocity| speed(way) < velocity)) {
            (false, ..) => "memory",
            (_, true, _) if disk * way.machines < rate * way.cores => "disk",
            (_, true, _) => "time",
            (.., true) => "rate",
            (true, false, false) => "",
        }
    };
    let enough: Vec<bool> = ways.iter().map(|way| limit(way).is_empty()).collect();
    let row = |(way, enough): (&Way, &bool)| {
        vec![
            Value::text(&way.name),
            Value::Float(volume / speed(way)),
            Value::Int(way.memory as i64),
            Value::text(limit(way)),
            Value::Bool(*enough),
        ]
    };
    let rows: Vec<Vec<Value>> = ways.iter().zip(&enough).map(row).collect();
    let figures = Figures::of_rows(
        &[
            ("way", Type::Text, Unit::Plain.measured()),
            ("time", Type::Float, Unit::Seconds.measured()),
            ("memory", Type::Int, Unit::Bytes.measured()),
            ("limit", Type::Text, Unit::Plain.measured()),
            ("enough", Type::Bool, Unit::Plain.measured()),
        ],
        &rows,
    );
    let found = |text: String| Note::default().found(text);
    let first = enough.iter().position(|enough| *enough);
    let mut notes = vec![found(match first {
        Some(at) => format!("{} is enough", ways[at].name),
        None => "none of these is enough".to_string(),
    })];
    let measured = found(format!("measured: {work} handles {}/s on one core; {cores} cores here, ", bytes_text(rate)));
    // The unit of the table: another one would look like another amount.
    let measured = measured.measured(memory, Unit::Bytes);
    notes.push(measured.text(format!(" of memory free; --disk: {}/s", bytes_text(disk))));
    notes.extend(varieties(magic)?.map(Note::from));
    notes.push("a model: every core is as fast as one here, the network keeps up, and nothing fails".into());
    let table = Some(figures_plan(&figures, Default::default()));
    let way = first.map_or(Value::Null, |at| Value::text(&ways[at].name));
    let fields = vec![
        Field::measured("way", way, Unit::Plain),
        Field::measured("rate", Value::Float(rate), Unit::BytesPerSecond),
        Field::measured("machines", Value::Float(machines), Unit::Plain),
    ];
    let report = Report { blocks: vec![Block::Figures(figures), Block::Notes(notes)], ..Report::default() };
    Ok(Answer { report, result: Some(Binding::Result { table, fields, tables: Vec::new() }), ..Answer::default() })
}

/// What hangs on what was measured.
pub const SAYS: &[&str] = &[
    "~one process[ is enough]",
    "~all cores[ is enough]",
    "~out of core[ is enough]",
    "~cluster of {number}[ is enough]",
    "~none of these is enough",
    "=true ← {row} is enough",
    // The first of them.
    "∀enough@'one process' = 'false' ← <all cores|out of core|cluster of {number}> is enough",
    "∀enough@'all cores' = 'false' ← <out of core|cluster of {number}> is enough",
    "∀enough@'out of core' = 'false' ← cluster of {number} is enough",
    "∀enough = 'false' ← none of these is enough",
    "∀enough = 'true' or limit = 'memory' or limit = 'disk' or limit = 'time' or limit = 'rate'",
    "∀enough = 'false' or limit = ''",
    "~",
    "~memory",
    "~disk",
    "~time",
    "~rate",
    "~measured: {words} handles {bytes}/s on one core; {number} cores here, ",
];

/// A way to do the work.
struct Way {
    name: String,
    /// Of all machines.
    cores: f64,
    machines: f64,
    /// Bytes on each machine.
    memory: f64,
    fits: bool,
}

/// Bytes per second that one core can look at.
fn reading_rate() -> f64 {
    const NUMBERS: usize = 16 << 20;
    const TIMES: usize = 5;
    let numbers: Vec<u64> = (0..NUMBERS as u64).collect();
    let once = || {
        let start = Instant::now();
        black_box(black_box(&numbers).iter().fold(0u64, |sum, number| sum.wrapping_add(*number)));
        start.elapsed().as_secs_f64()
    };
    let best = (0..TIMES).map(|_| once()).fold(f64::INFINITY, f64::min);
    (8 * NUMBERS) as f64 / best.max(1e-9)
}

/// What is to be said of the formats.
fn varieties(magic: &lang::Magic) -> Fallible<Option<String>> {
    let Some(word) = magic.option("--formats").flatten() else { return Ok(None) };
    let all: Vec<&str> = word.text.split(',').map(str::trim).filter(|format| !format.is_empty()).collect();
    if all.is_empty() {
        let message = format!("`--formats` must be a list of formats, got `{}`", word.text);
        return Err(Diagnostic::at(Kind::Type, word.span, message).hint("--formats csv,json"));
    }
    let unknown: Vec<&str> = all.iter().filter(|format| !FORMATS.contains(format)).copied().collect();
    Ok(Some(match &unknown[..] {
        [] => format!("variety: `read` understands all of {}", all.join(", ")),
        _ => format!("variety: `read` does not understand {}: convert first", unknown.join(", ")),
    }))
}
