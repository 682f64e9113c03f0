//! The cost of each single addition while a structure grows from nothing.

use std::time::{Duration, Instant};

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::harness::{Harness, MANY};
use crate::lang::{self, Word};
use crate::magics::timing::Telling;
use crate::magics::{Answer, figures_plan, passed};
use crate::plan::Binding;
use crate::report::{Across, Axis, Block, Drawn, Field, Figures, Meaning, Note, Plot, Report, Scale, Series, Unit};
use crate::run_context::RunContext;
use crate::show::grouped;
use crate::structures::{self, Cell};

use super::{kind_names, named, operation_names};

/// The median of so many passes is free of what the machine did meanwhile, and not of what the allocator does.
const PASSES: usize = 7;
/// A plot has so many points: of the additions between two, the dearest.
const POINTS: usize = 600;
/// The rows of the table.
const ROWS: usize = 40;

pub fn run(
    magic: &lang::Magic,
    kind: &Word,
    operation: &Word,
    size: usize,
    limit: Option<Duration>,
    context: &RunContext,
) -> Fallible<Answer> {
    let start = Instant::now();
    let known = structures::find(named(kind, &kind.text, &kind_names())?).expect("it is a known kind");
    let cell = addition(known, operation)?;
    let telling = Telling::new(&context.progress);
    let harness = Harness::new(context);
    telling.tell(|| format!("allocations of {} elements", grouped(size as u64)));
    let allocated = harness.allocations(&cell, size, &context.stop)?;
    let overhead = harness.overhead(false, &context.stop)?;
    // Of each addition, and of so many together.
    let (mut single, mut together): (Vec<Vec<f64>>, Vec<Vec<f64>>) = Default::default();
    let mut ended = None;
    while single.len() < PASSES && ended.is_none() {
        telling.tell_now(format!("pass {} of {PASSES} · {} elements", single.len() + 1, grouped(size as u64)));
        let pass = |in_one| harness.additions(&cell, size, in_one, &context.stop).map(floats);
        match pass(false).and_then(|each| Ok((each, pass(true)?))) {
            Ok((each, all)) => {
                single.push(each);
                together.push(all);
            }
            Err(error) if single.is_empty() => return Err(error),
            Err(error) => ended = Some(error.message),
        }
        if ended.is_none() && single.len() < PASSES && limit.is_some_and(|limit| start.elapsed() >= limit) {
            ended = Some("the time of --for is over".to_string());
        }
    }
    let passes = single.len();
    // What reading the clock takes is no time of an addition, but none is shorter than what the clock can tell.
    let seen = overhead.read.max(overhead.precision);
    let without = |times: Vec<f64>, least: f64| times.into_iter().map(move |time| (time - overhead.read).max(least));
    let times: Vec<f64> = without(medians(&single), seen).collect();
    let together: Vec<f64> = without(medians(&together), 0.0).collect();
    let mut sorted = times.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let mean = together.iter().sum::<f64>() / size as f64;
    let most = sorted[sorted.len() - 1];
    let mut spikes: Vec<usize> = (0..size).filter(|at| allocated[*at] > 0).collect();
    let all = spikes.len();
    spikes.sort_by(|a, b| times[*b].total_cmp(&times[*a]));
    spikes.truncate(ROWS);
    spikes.sort_unstable();
    let column = |of: &dyn Fn(usize) -> Value| spikes.iter().map(|at| of(*at)).collect::<Vec<Value>>();
    let columns = [
        column(&|at| Value::Int(at as i64 + 1)),
        column(&|at| Value::Float(times[at] / 1e9)),
        column(&|at| Value::Float(times[at] / mean)),
        column(&|at| Value::Int(allocated[at] as i64)),
    ];
    let heads = [("n", Type::Int), ("time", Type::Float), ("ratio", Type::Float), ("allocated", Type::Int)];
    let heads = heads.map(|(name, ty)| Column { name: name.to_string(), ty }).to_vec();
    // Of more than there is room for, the slowest are shown.
    let is_chosen = all > ROWS;
    let of = |unit| Meaning { unit, measured: is_chosen };
    let meanings = vec![of(Unit::Plain), Unit::Seconds.measured(), Unit::Times.measured(), of(Unit::Bytes)];
    let table = Table::from_columns(Schema::new(heads, Order::Kept), spikes.len(), &columns);
    let figures = Figures::new(table, meanings);
    let subject = format!("{} {}", known.name, cell.name());
    let said = Note::from(format!("{subject}: ")).seconds(mean / 1e9).text(" per addition on average, ");
    let mut notes = vec![
        said.seconds(most / 1e9).text(" for the slowest; ratio: to the average"),
        Note::from(format!(
            "{} for each of {} additions to an empty {}; the clock cannot resolve single additions below ",
            if passes == 1 { "one pass".to_string() } else { format!("the median of {passes} passes") },
            grouped(size as u64),
            known.name
        ))
        .seconds(seen / 1e9),
    ];
    if let Some(why) = ended {
        notes.push(Note::default().found(format!("{why}: {passes} of {PASSES} passes are kept")).optional());
    }
    if all > spikes.len() {
        let shown = format!("{} additions allocated memory; the {ROWS} slowest are shown", grouped(all as u64));
        notes.push(Note::from(shown));
    } else {
        notes.push("the table has the additions that allocated memory".into());
    }
    notes.push("if the allocator finds space after a block, the block grows in place and nothing is moved".into());
    let plot = plot(&subject, &times, &together, MANY);
    let field = |name, nanoseconds: f64| Field::measured(name, Value::Float(nanoseconds / 1e9), Unit::Seconds);
    let fields = vec![field("mean", mean), field("median", median), field("most", most)];
    let table = Some(figures_plan(&figures, magic.span));
    let blocks = vec![Block::Figures(figures), Block::Plot(plot), Block::Notes(notes)];
    let report = Report { blocks, status_line: vec![passed(start.elapsed())] };
    Ok(Answer { report, result: Some(Binding::Result { table, fields, tables: Vec::new() }), ..Answer::default() })
}

fn floats(numbers: Vec<u64>) -> Vec<f64> {
    numbers.into_iter().map(|number| number as f64).collect()
}

/// The median of each place.
fn medians(passes: &[Vec<f64>]) -> Vec<f64> {
    let median = |at: usize| {
        let mut all: Vec<f64> = passes.iter().map(|pass| pass[at]).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    (0..passes[0].len()).map(median).collect()
}

/// The operation, which adds an element; `push` is the usual one of its kind.
fn addition(kind: &'static structures::Kind, word: &Word) -> Fallible<Cell> {
    const ADDITIONS: [&str; 6] = ["push_back", "insert", "push_front", "insert_middle", "insert_or_append", "count"];
    let cells = kind.cells();
    let find = |name: &str| cells.iter().find(|cell| cell.facts.name == name).copied();
    if word.text == "push" {
        return Ok(ADDITIONS.into_iter().find_map(find).expect("each kind has an addition"));
    }
    let name = named(word, &word.text, &operation_names())?;
    let own: Vec<&str> = ADDITIONS.into_iter().filter(|name| find(name).is_some()).collect();
    if !ADDITIONS.contains(&name) {
        let message = format!("`growth` needs an operation that adds an element, got `{name}`");
        return Err(Diagnostic::at(Kind::Domain, word.span, message).hint(own.join(", ")));
    }
    find(name).ok_or_else(|| {
        let message = format!("`{}` has no `{name}`", kind.name);
        Diagnostic::at(Kind::Domain, word.span, message).hint(own.join(", "))
    })
}

/// Each addition, and the mean of all until then: it stays low where the spikes are rare enough.
fn plot(subject: &str, times: &[f64], together: &[f64], many: usize) -> Plot {
    let wide = times.len().div_ceil(POINTS).max(1);
    let dearest = times.chunks(wide).enumerate().map(|(at, part)| {
        let first = (0, part[0]);
        let dearer = |best: (usize, f64), (i, time): (usize, &f64)| if *time > best.1 { (i, *time) } else { best };
        let (place, most) = part.iter().enumerate().fold(first, dearer);
        ((at * wide + place + 1) as f64, most / 1e9)
    });
    let dearest: Vec<(f64, f64)> = dearest.collect();
    let mut sum = 0.0;
    let means = together.iter().enumerate().map(|(at, time)| {
        sum += time;
        let done = ((at + 1) * many).min(times.len()) as f64;
        (done, sum / done / 1e9)
    });
    let means: Vec<(f64, f64)> = means.filter(|(_, mean)| *mean > 0.0).collect();
    let axis = |label: &str, unit, scale, measured| Axis { label: label.to_string(), unit, scale, measured };
    let label = if wide > 1 { format!("the slowest of {wide} additions") } else { "one addition".to_string() };
    Plot {
        title: format!("{subject}: time of each addition"),
        x: Across::Numbers(axis("n", Unit::Count("n"), Scale::Linear, false)),
        y: axis("time", Unit::Seconds, Scale::Log, true),
        series: vec![
            Series { label, drawn: Drawn::Points, points: dearest },
            Series { label: "mean of all so far".to_string(), drawn: Drawn::Line, points: means },
        ],
        in_table: true,
    }
}
