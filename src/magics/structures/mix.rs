//! Kinds ranked for a mix of operations.

use std::time::{Duration, Instant};

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::harness::{Harness, ROUNDS};
use crate::lang::{self, Word};
use crate::magics::compare::Grid;
use crate::magics::timing::Telling;
use crate::magics::{Answer, figures_plan, passed};
use crate::plan::Binding;
use crate::report::{Across, Axis, Block, Drawn, Figures, MeasuredRows, Note, Plot, Report, Scale, Series, Unit};
use crate::run_context::RunContext;
use crate::show::grouped;
use crate::structures::{self, Cell};

use super::{LATE, asked_names, kind_names, left_out, named, nanoseconds, operation_names};

/// An operation and its part of 1.
struct Share {
    operation: &'static str,
    part: f64,
}

/// What one kind costs.
struct Ranked {
    name: &'static str,
    /// Nanoseconds of an operation in each round, sorted.
    times: Vec<f64>,
    bytes: f64,
}

impl Ranked {
    fn median(&self) -> f64 {
        self.times[self.times.len() / 2]
    }

    /// Where the median lies: of nine rounds, the second of each end leave 96 % between them (order statistics).
    fn interval(&self) -> (f64, f64) {
        let last = self.times.len() - 1;
        let beside = usize::from(last + 1 >= ROUNDS);
        (self.times[beside], self.times[last - beside])
    }
}

pub fn run(magic: &lang::Magic, size: usize, limit: Option<Duration>, context: &RunContext) -> Fallible<Answer> {
    let start = Instant::now();
    let word = magic.option("--mix").flatten().expect("it was asked for");
    let (shares, sum) = shares(word)?;
    let kinds = asked_names(magic, "--kinds", &kind_names())?;
    let telling = Telling::new(&context.progress);
    let (mut ranked, mut lacking): (Vec<Ranked>, Vec<String>) = (Vec::new(), Vec::new());
    let harness = Harness::new(context);
    // What was not measured, and why it ended.
    let (mut others, mut failed): (Vec<String>, Option<Box<Diagnostic>>) = (Vec::new(), None);
    for kind in structures::ALL.iter().filter(|kind| kinds.as_ref().is_none_or(|names| names.contains(&kind.name))) {
        telling.tell_now(format!("{} · {} ranked", kind.name, ranked.len()));
        let cells = kind.cells();
        // Membership is that of keys which are there.
        let of = |share: &Share| cells.iter().find(|cell| cell.facts.name == share.operation).copied();
        let is_late = !ranked.is_empty() && limit.is_some_and(|limit| start.elapsed() >= limit);
        let with_part = |share: &Share| Ok((of(share).ok_or(share.operation)?, share.part));
        match shares.iter().map(with_part).collect::<Result<Vec<(Cell, f64)>, &str>>() {
            Ok(_) if is_late || failed.is_some() => others.push(kind.name.to_string()),
            Ok(cells) => match harness.mix(&cells, size, &context.stop) {
                Ok(mixed) => ranked.push(Ranked { name: kind.name, times: mixed.times, bytes: mixed.bytes }),
                Err(error) => {
                    failed = Some(error);
                    others.push(kind.name.to_string());
                }
            },
            Err(missing) => lacking.push(format!("{} has no {missing}", kind.name)),
        }
    }
    if ranked.is_empty() {
        if let Some(error) = failed {
            return Err(error);
        }
        let message = "no kind has all these operations";
        return Err(Diagnostic::at(Kind::Domain, word.span, message).hint(lacking.join(", ")));
    }
    ranked.sort_by(|a, b| a.median().total_cmp(&b.median()));
    let mut rows = Grid::default();
    for one in &ranked {
        // Only those that are certainly faster stand before it.
        let before = ranked.iter().filter(|other| other.interval().1 < one.interval().0).count();
        let smaller = ranked.iter().filter(|other| other.bytes.round() < one.bytes.round()).count();
        rows.put("rank", Type::Int, Unit::Plain.measured(), Value::Int(before as i64 + 1));
        rows.put("kind", Type::Text, Unit::Plain.counted(), Value::text(one.name));
        rows.put("ns", Type::Float, Unit::Plain.measured(), nanoseconds(Some(one.median())));
        rows.put("bytes", Type::Float, Unit::Plain.measured(), Value::Float((one.bytes * 10.0).round() / 10.0));
        rows.put("bytes_rank", Type::Int, Unit::Plain.measured(), Value::Int(smaller as i64 + 1));
    }
    let ranks = MeasuredRows { order: true, count: !others.is_empty() };
    let figures = Figures { rows: ranks, ..rows.figures() };
    let said: Vec<String> =
        shares.iter().map(|share| format!("{} {:.0} %", share.operation, share.part * 100.0)).collect();
    let mut notes = vec![Note::from(format!(
        "ns: the median of one operation in {ROUNDS} rounds of the same random mix ({}), on {} elements",
        said.join(", "),
        grouped(size as u64)
    ))];
    if (sum - 100.0).abs() > 1e-9 {
        notes.push(format!("the shares add up to {sum}, so they were scaled to 100").into());
    }
    notes.push("kinds share a rank if the 96 % intervals of their medians overlap; bytes are per element".into());
    if !lacking.is_empty() {
        notes.push(format!("left out: {}", lacking.join(", ")).into());
    }
    let why = failed.is_none().then_some(LATE);
    match failed {
        Some(error) if error.kind == Kind::Stopped => {
            notes.push(Note::from("stopped: the kinds measured so far are kept").optional());
        }
        Some(error) => notes.push(error.message.as_str().into()),
        None => {}
    }
    notes.extend(left_out(others.into_iter(), why));
    let plot = bars(&ranked);
    let table = Some(figures_plan(&figures, magic.span));
    let blocks = vec![Block::Figures(figures), Block::Plot(plot), Block::Notes(notes)];
    let report = Report { blocks, status_line: vec![passed(start.elapsed())] };
    Ok(Answer {
        report,
        result: Some(Binding::Result { table, fields: Vec::new(), tables: Vec::new() }),
        ..Answer::default()
    })
}

fn bars(ranked: &[Ranked]) -> Plot {
    // In the order of the help: the ranks change from run to run.
    let mut ranked: Vec<&Ranked> = ranked.iter().collect();
    ranked.sort_by_key(|one| kind_names().iter().position(|name| *name == one.name));
    let names = ranked.iter().map(|one| one.name.to_string()).collect();
    let points = ranked.iter().enumerate().map(|(at, one)| (at as f64, one.median() / 1e9)).collect();
    let y = Axis { label: "time of one operation".to_string(), unit: Unit::Seconds, scale: Scale::Log, measured: true };
    Plot {
        title: "time of one operation by kind".to_string(),
        x: Across::Names { label: "kind".to_string(), names },
        y,
        series: vec![Series { label: String::new(), drawn: Drawn::Bars, points }],
        in_table: true,
    }
}

/// `push_back=40,get=20`, and what the shares add up to.
fn shares(word: &Word) -> Fallible<(Vec<Share>, f64)> {
    let hint = "--mix push_front=40,push_back=40,get=20";
    let mut all: Vec<Share> = Vec::new();
    for part in word.text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let wrong = |message: String| Diagnostic::at(Kind::Syntax, word.span, message).hint(hint);
        let Some((name, share)) = part.split_once('=') else {
            return Err(wrong(format!("expected OPERATION=SHARE in `--mix`, got `{part}`")));
        };
        let name = if name.trim() == "push" { "push_back" } else { name.trim() };
        let operation = named(word, name, &operation_names())?;
        let value =
            share.trim().trim_end_matches('%').parse::<f64>().ok().filter(|share| *share > 0.0 && share.is_finite());
        let Some(value) = value else {
            return Err(wrong(format!("a share of `--mix` must be a positive number, got `{}`", share.trim())));
        };
        if all.iter().any(|known| known.operation == operation) {
            return Err(wrong(format!("`{operation}` is given twice")));
        }
        all.push(Share { operation, part: value });
    }
    if all.is_empty() {
        return Err(Diagnostic::at(Kind::Syntax, word.span, "`--mix` is empty").hint(hint));
    }
    let sum: f64 = all.iter().map(|share| share.part).sum();
    if !sum.is_finite() {
        return Err(Diagnostic::at(Kind::Syntax, word.span, "the shares of `--mix` are too large").hint(hint));
    }
    all.iter_mut().for_each(|share| share.part /= sum);
    Ok((all, sum))
}
