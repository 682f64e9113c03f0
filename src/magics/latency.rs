//! `%latency`: what the parts of this machine take, beside the numbers that every programmer should know.

use std::time::{Duration, Instant};

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Privileges, Takes, Word};
use crate::latency::{self, LARGEST, Means, Missing, Probe, access, level, working_set};
use crate::plan::Binding;
use crate::races::busy;
use crate::report::{Across, Axis, Block, Drawn, Note, Plot, Report, Scale, Series, Unit};
use crate::run_context::RunContext;
use crate::session::Session;
use crate::show::bytes_text;

use super::compare::Grid;
use super::timing::{Telling, asked_time};
use super::{Answer, Magic, Offers, figures_plan, passed};

pub static LATENCY: Magic = Magic {
    syntax: MagicSyntax {
        name: "latency",
        usage: "%latency [--only LIST] [--for TIME] [--working-set]",
        takes: Takes::Words,
        options: &[("--only", true), ("--for", true), ("--working-set", false)],
    },
    about: "measures the latencies of this machine, beside the numbers every programmer should know\n\n\
            Groups\n  \
            caches      an access to each cache and to memory, along a chain of pointers; reading 1 MiB\n  \
            arithmetic  int and float: latency, throughput, in wide registers; a mispredicted branch\n  \
            threads     a mutex, a system call, the start of a thread and of a process\n  \
            disk        reads of a test file that is not in memory and of one that is, fsync\n  \
            hand_over   8 B and 1 MiB to another thread by shared memory, pipe, Unix socket and TCP (loopback only)\n  \
            elsewhere   what cannot be measured here: published only\n\n\
            Columns\n  \
            measured   here and now; the minimum for hardware, the median for system calls\n  \
            published  numbers every programmer should know; ratio is measured by published\n  \
            A note below the table explains each row without a time.\n\n\
            Traces\n  \
            The disk rows write a test file under ~/.cache/timelab and remove it; the hand_over rows listen on \
            127.0.0.1\n\n\
            Options\n  \
            --only LIST    groups and rows, separated by commas: --only caches,mutex,pipe_8_b\n  \
            --for TIME     the time for all rows together: 10s unless specified\n  \
            --working-set  plots the time of an access by the size of the working set, from 1 KiB to 1 GiB, at most a \
            quarter of the memory limit: it shows the size of each cache",
    examples: &["%latency --only L1,mutex,int_add --for 300ms", "%latency --only elsewhere"],
    offers: Offers::Nothing,
    privileges: |_| Privileges::NONE,
    run,
};

const USUAL: Duration = Duration::from_secs(10);

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    if let Argument::Words(words) = &magic.subject
        && let Some(word) = words.first()
    {
        let message = format!("`%latency` takes only options, got `{}`", word.text);
        let hint = match chosen(word) {
            _ if magic.option("--working-set").is_some() => {
                "`--working-set` takes no value: it shows all sizes".to_string()
            }
            Ok(_) if magic.options.is_empty() => format!("%latency --only {}", word.text),
            Ok(_) => "remove it".to_string(),
            Err(unknown) => unknown.hint.unwrap_or_default(),
        };
        return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint(hint));
    }
    let limit = asked_time(magic)?;
    let time = limit.unwrap_or(USUAL);
    let clock = session.clocks.wall.clone();
    if magic.option("--working-set").is_some() {
        if let Some((word, _)) = magic.options.iter().find(|(word, _)| word.text == "--only") {
            let message = "`--only` chooses rows of the table, but `--working-set` has its own table";
            return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint("remove one of them"));
        }
        let means = |limit| Means { limit, clock: &*clock, context };
        return working_sets(magic, &means, limit, context);
    }
    let probes = asked(magic)?;
    let start = Instant::now();
    let telling = Telling::new(&context.progress);
    let runs = probes.iter().filter(|probe| probe.run.is_some()).count();
    let mut found: Vec<(&Probe, Option<f64>)> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    let mut done = 0;
    for probe in probes {
        let Some(run) = probe.run else {
            found.push((probe, None));
            continue;
        };
        done += 1;
        telling.tell(|| format!("{} · {done} of {runs}", probe.name));
        // What one does not use is for those that follow.
        let left = time.saturating_sub(start.elapsed()) / (runs - done + 1) as u32;
        match run(&Means { limit: left, clock: &*clock, context }) {
            Ok(seconds) => found.push((probe, Some(seconds))),
            Err(Missing::Because(why)) => {
                missing.push(format!("{}: {why}", probe.name));
                found.push((probe, None));
            }
            Err(Missing::Stopped) => break,
        }
    }
    if found.is_empty() {
        context.stop.check()?;
    }
    let mut rows = Grid::default();
    for (probe, measured) in &found {
        let published = probe.published;
        let float = |value: Option<f64>| value.map_or(Value::Null, Value::Float);
        rows.put("what", Type::Text, Unit::Plain.counted(), Value::text(probe.name));
        rows.put("measured", Type::Float, Unit::Seconds.measured(), float(*measured));
        rows.put("published", Type::Float, Unit::Seconds.counted(), float(published.map(|known| known.seconds)));
        rows.put(
            "year",
            Type::Int,
            Unit::Plain.counted(),
            published.map_or(Value::Null, |known| Value::Int(known.year)),
        );
        let source = published.map_or(Value::Null, |known| Value::text(known.source));
        rows.put("source", Type::Text, Unit::Plain.counted(), source);
        let ratio = measured.zip(published).map(|(measured, known)| measured / known.seconds);
        rows.put("ratio", Type::Float, Unit::Times.measured(), float(ratio));
    }
    let figures = rows.figures().whole();
    let mut notes: Vec<Note> = vec![
        "published: numbers every programmer should know, for machines of their time; ratio: measured / published"
            .into(),
    ];
    let named = (1..=3).filter(|of| found.iter().any(|(probe, _)| probe.name == format!("L{of}")));
    let sets: Vec<String> =
        named.filter_map(|of| Some(format!("L{of} {}", bytes_text(working_set(of)? as f64)))).collect();
    if !sets.is_empty() {
        let line = Note::from("working sets of the caches: ").found(sets.join(", "));
        notes.push(line.text("; --working-set shows all sizes").optional());
    }
    if found.iter().any(|(probe, _)| probe.run.is_none()) {
        notes.push("a row without a measured time and without a reason below cannot be measured on one machine".into());
    }
    notes.extend(busy_note());
    notes.extend(missing.into_iter().map(|why| Note::from("not measured: ").found(why).optional()));
    if context.stop.is_raised() {
        notes.push(Note::from("stopped: the measurements so far are kept").optional());
    }
    let table = Some(figures_plan(&figures, magic.span));
    let plot = chart(&found);
    let mut blocks = vec![Block::Figures(figures)];
    blocks.extend(plot.map(Block::Plot));
    blocks.push(Block::Notes(notes));
    let report = Report { blocks, status_line: vec![passed(start.elapsed())] };
    Ok(Answer {
        report,
        result: Some(Binding::Result { table, fields: Vec::new(), tables: Vec::new() }),
        ..Answer::default()
    })
}

/// The rows that were asked for, by their names or those of their groups.
fn asked(magic: &lang::Magic) -> Fallible<Vec<&'static Probe>> {
    let all = || latency::ALL.iter().flat_map(|group| group.probes.iter());
    match magic.option("--only").flatten() {
        Some(word) => chosen(word),
        None => Ok(all().collect()),
    }
}

/// Those of a list of names.
fn chosen(word: &Word) -> Fallible<Vec<&'static Probe>> {
    let all = || latency::ALL.iter().flat_map(|group| group.probes.iter().map(move |probe| (group.name, probe)));
    let mut wanted: Vec<String> = Vec::new();
    for name in word.text.split(',').map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty()) {
        if !all().any(|(group, probe)| group == name || probe.key() == name) {
            let keys: Vec<String> = all().map(|(_, probe)| probe.key()).collect();
            let known = latency::ALL.iter().map(|group| group.name).chain(keys.iter().map(String::as_str));
            let error = Diagnostic::at(Kind::Name, word.span, format!("unknown row or group `{name}`"));
            let error = error.near(&name, known);
            let groups: Vec<&str> = latency::ALL.iter().map(|group| group.name).collect();
            return Err(if error.hint.is_some() {
                error
            } else {
                error.hint(format!("groups: {}", groups.join(", ")))
            });
        }
        wanted.push(name);
    }
    if wanted.is_empty() {
        return Err(Diagnostic::at(Kind::Syntax, word.span, "`--only` is empty").hint("--only caches,mutex"));
    }
    let is_asked = |(group, probe): &(&str, &Probe)| wanted.iter().any(|name| name == group || *name == probe.key());
    Ok(all().filter(is_asked).map(|(_, probe)| probe).collect())
}

/// A bar for each time, and one for what is published.
fn chart(found: &[(&Probe, Option<f64>)]) -> Option<Plot> {
    let shown: Vec<_> = found
        .iter()
        .filter(|(probe, measured)| probe.in_chart && (measured.is_some() || probe.published.is_some()))
        .collect();
    let bars = |label: &str, times: Vec<Option<f64>>| {
        let points = times.into_iter().enumerate().filter_map(|(at, time)| Some((at as f64, time?)));
        let points = points.filter(|(_, seconds)| *seconds > 0.0).collect();
        Series { label: label.to_string(), drawn: Drawn::Bars, points }
    };
    if shown.is_empty() {
        return None;
    }
    let measured = bars("measured", shown.iter().map(|(_, measured)| *measured).collect());
    let known = shown.iter().map(|(probe, _)| Some(probe.published?.seconds));
    let published = bars("published", known.collect());
    let series = [measured, published].into_iter().filter(|series| !series.points.is_empty());
    Some(Plot {
        title: "latency".to_string(),
        x: Across::Names {
            label: "what".to_string(),
            names: shown.iter().map(|(probe, _)| probe.name.to_string()).collect(),
        },
        y: Axis { label: "time".to_string(), unit: Unit::Seconds, scale: Scale::Log, measured: true },
        series: series.collect(),
        in_table: true,
    })
}

/// What hangs on what was measured.
pub const SAYS: &[&str] = &[
    "~L1 {bytes}[, L2 {bytes}][, L3 {bytes}]",
    "working sets of the caches: L1 {bytes}[, L2 {bytes}][, L3 {bytes}]; --working-set shows all sizes",
    "working sets of the caches: <L2|L3> {bytes}[, L3 {bytes}]; --working-set shows all sizes",
    "not measured: <{name}|{bytes}[ and more]>: {words}",
    "stopped: the measurements so far are kept",
    "the machine is busy (load {number}, <one core|{count} cores>): times that need another thread, the system or \
     a cache that processors share may be longer",
    "larger working sets are not measured: a quarter of the memory limit is {bytes}",
];

/// What is to be known about times that wait for other programs.
fn busy_note() -> Option<Note> {
    let said = format!(
        "{}: times that need another thread, the system or a cache that processors share may be longer",
        busy()?
    );
    Some(Note::default().found(said).optional())
}

/// The time of an access by the size of the working set.
fn working_sets<'a>(
    magic: &lang::Magic,
    means: &dyn Fn(Duration) -> Means<'a>,
    limit: Option<Duration>,
    context: &RunContext,
) -> Fallible<Answer> {
    const LEAST: usize = 1 << 10;
    let time = limit.unwrap_or(USUAL);
    let start = Instant::now();
    let most = usize::try_from(context.memory / 4).unwrap_or(usize::MAX).min(LARGEST);
    // Each power of two, and one between each two.
    let sizes = (0..).map(|step| (LEAST << (step / 2)) + (LEAST << (step / 2)) / 2 * (step % 2));
    let sizes: Vec<usize> = sizes.take_while(|size| *size <= most).collect();
    let telling = Telling::new(&context.progress);
    let mut points: Vec<(usize, f64)> = Vec::new();
    let mut why = None;
    // A size is mostly made ready, which takes longer the larger it is.
    const LONGER: u32 = 2;
    let mut before = start.elapsed();
    for (at, size) in sizes.iter().enumerate() {
        let now = start.elapsed();
        if at > 0 && limit.is_some() && now + (now - before) * LONGER > time {
            why = Some(format!("{} and more: they do not fit into --for {time:?}", bytes_text(*size as f64)));
            break;
        }
        before = now;
        telling.tell(|| format!("{} · {} of {}", bytes_text(*size as f64), at + 1, sizes.len()));
        let left = time.saturating_sub(start.elapsed()) / (sizes.len() - at) as u32;
        match access(&means(left), *size) {
            Ok(seconds) => points.push((*size, seconds)),
            Err(Missing::Because(reason)) => {
                why = Some(format!("{}: {reason}", bytes_text(*size as f64)));
                break;
            }
            Err(Missing::Stopped) => break,
        }
    }
    if points.is_empty() {
        context.stop.check()?;
        let message = format!("the memory limit is too low: a quarter of it is {}", bytes_text(most as f64));
        return Err(Diagnostic::at(Kind::Domain, magic.span, message));
    }
    let mut rows = Grid::default();
    for (size, seconds) in &points {
        rows.put("working_set", Type::Int, Unit::Bytes.counted(), Value::Int(*size as i64));
        rows.put("access", Type::Float, Unit::Seconds.measured(), Value::Float(*seconds));
    }
    let figures = rows.figures();
    let axis = |label: &str, unit, measured| Axis { label: label.to_string(), unit, scale: Scale::Log, measured };
    let series = points.iter().map(|(size, seconds)| (*size as f64, *seconds)).collect();
    let plot = Plot {
        title: "time of an access by working set".to_string(),
        x: Across::Numbers(axis("working set", Unit::Bytes, false)),
        y: axis("access", Unit::Seconds, true),
        series: vec![Series { label: String::new(), drawn: Drawn::Line, points: series }],
        in_table: true,
    };
    let levels: Vec<String> =
        (1..=3).filter_map(|of| Some(format!("L{of} {}", bytes_text(level(of)? as f64)))).collect();
    let mut notes: Vec<Note> = Vec::new();
    if !levels.is_empty() {
        notes.push(Note::from("the system names these caches: ").found(levels.join(", ")));
    }
    notes.push("each access needs the address that the previous access has read, in random order".into());
    if sizes.last().is_some_and(|last| *last < LARGEST) {
        let said = format!(
            "larger working sets are not measured: a quarter of the memory limit is {}",
            bytes_text(most as f64)
        );
        notes.push(Note::default().found(said).optional());
    }
    notes.extend(busy_note());
    notes.extend(why.map(|why| Note::from("not measured: ").found(why).optional()));
    if context.stop.is_raised() {
        notes.push(Note::from("stopped: the measurements so far are kept").optional());
    }
    let table = Some(figures_plan(&figures, magic.span));
    let blocks = vec![Block::Figures(figures), Block::Plot(plot), Block::Notes(notes)];
    let report = Report { blocks, status_line: vec![passed(start.elapsed())] };
    Ok(Answer {
        report,
        result: Some(Binding::Result { table, fields: Vec::new(), tables: Vec::new() }),
        ..Answer::default()
    })
}
