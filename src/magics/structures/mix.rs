//! Kinds ranked for a mix of operations.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::data::generate::unit;
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Word};
use crate::magics::compare::Grid;
use crate::magics::timing::Telling;
use crate::magics::{Answer, figures_plan, passed};
use crate::measure::Overhead;
use crate::plan::Binding;
use crate::report::{Across, Axis, Block, Drawn, Note, Plot, Report, Scale, Series, Unit};
use crate::run_context::RunContext;
use crate::session::Session;
use crate::show::grouped;
use crate::structures::{self, Cell};

use super::filled::{SEED, filled};
use super::{asked_names, kind_names, named, nanoseconds, operation_names};

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

const ROUNDS: usize = 9;
/// The operations of a round, and how long it lasts at most.
const OPERATIONS: usize = 20_000;
const ROUND: Duration = Duration::from_millis(40);

pub fn run(session: &mut Session, magic: &lang::Magic, size: usize, context: &RunContext) -> Fallible<Answer> {
    let start = Instant::now();
    let word = magic.option("--mix").flatten().expect("it was asked for");
    let (shares, sum) = shares(word)?;
    let kinds = asked_names(magic, "--kinds", &kind_names())?;
    let telling = Telling::new(&context.progress);
    let (mut ranked, mut lacking): (Vec<Ranked>, Vec<String>) = (Vec::new(), Vec::new());
    for kind in structures::ALL.iter().filter(|kind| kinds.as_ref().is_none_or(|names| names.contains(&kind.name))) {
        telling.tell(|| format!("{} · {} ranked", kind.name, ranked.len()));
        let cells = kind.cells();
        // Membership is that of keys which are there.
        let of = |share: &Share| cells.iter().find(|cell| cell.facts.name == share.operation).copied();
        match shares.iter().map(|share| of(share).ok_or(share.operation)).collect::<Result<Vec<Cell>, _>>() {
            Ok(cells) => match measured(session, &shares, &cells, size, context)? {
                Some(found) => ranked.push(found),
                None => break,
            },
            Err(missing) => lacking.push(format!("{} has no {missing}", kind.name)),
        }
    }
    if ranked.is_empty() {
        context.stop.check()?;
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
        rows.put("kind", Type::Text, Unit::Plain.measured(), Value::text(one.name));
        rows.put("ns", Type::Float, Unit::Plain.measured(), nanoseconds(Some(one.median())));
        rows.put("bytes", Type::Float, Unit::Plain.measured(), Value::Float((one.bytes * 10.0).round() / 10.0));
        rows.put("bytes_rank", Type::Int, Unit::Plain.measured(), Value::Int(smaller as i64 + 1));
    }
    let figures = rows.figures();
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
    if context.stop.is_raised() {
        notes.push(Note::from("stopped: the kinds measured so far are kept").optional());
    }
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

/// Rounds of the same operations in the same order; none where it was stopped.
fn measured(
    session: &mut Session,
    shares: &[Share],
    cells: &[Cell],
    size: usize,
    context: &RunContext,
) -> Fallible<Option<Ranked>> {
    // So many operations pass between two looks at the clock and the stop flag.
    const LOOK: usize = 16;
    let kind = cells[0].kind;
    let mut parts: Vec<usize> = cells.iter().map(|cell| cell.part).collect();
    parts.sort_unstable();
    parts.dedup();
    let mut all = Vec::new();
    for part in &parts {
        match filled(kind, *part, size, context) {
            Ok(filled) => all.push(filled),
            Err(_) if context.stop.is_raised() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let bytes = all.iter().map(|filled| filled.bytes as f64).sum::<f64>() / size as f64;
    let keys: Vec<Vec<i64>> = cells.iter().map(|cell| cell.facts.keys.drawn(size, SEED + 1)).collect();
    let order: Vec<usize> = (0..OPERATIONS as u64).map(|i| chosen(shares, unit(SEED + 2, i))).collect();
    let clock = &*session.clocks.cpu.clone();
    let overhead = Overhead::measure(clock);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        all.iter_mut().for_each(|filled| filled.held.reset());
        let mut next = vec![0usize; cells.len()];
        let (mut spent, mut done) = (0.0, 0usize);
        let started = Instant::now();
        for steps in order.chunks(LOOK) {
            let before = clock.now();
            for step in steps {
                let (cell, keys) = (&cells[*step], &keys[*step]);
                let key = next[*step] % keys.len();
                next[*step] += 1;
                let filled = &mut all[parts.iter().position(|part| *part == cell.part).expect("it was filled")];
                black_box(filled.held.run_changed(cell.operation, black_box(&keys[key..key + 1])));
            }
            spent += (clock.now() - before) as f64 - overhead.read;
            done += steps.len();
            if context.stop.is_raised() {
                return Ok(None);
            }
            if started.elapsed() > ROUND {
                break;
            }
        }
        times.push(spent.max(0.0) / done as f64);
    }
    times.sort_by(f64::total_cmp);
    Ok(Some(Ranked { name: kind.name, times, bytes }))
}

fn chosen(shares: &[Share], at: f64) -> usize {
    let mut left = at;
    for (place, share) in shares.iter().enumerate() {
        if left < share.part {
            return place;
        }
        left -= share.part;
    }
    shares.len() - 1
}
