//! The versions of a demo in Rust, one after the other, in one table. It knows nothing of what they share.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::report::{Across, Axis, Drawn, Figures, Meaning, Note, Plot, Scale, Series, Unit};
use crate::run_context::RunContext;

use super::gil::BYTECODES;
use super::rounds::{self, Measured, Played, ROUND, Rounds, Wanted};
use super::{Asked, DemoResult, Described, Safety};

/// How the table of a demo looks.
pub struct Layout {
    pub demo: &'static str,
    pub versions: &'static [Described],
    /// What a thread does again and again, in the plural.
    pub operations: &'static str,
    /// The columns that say what is left, between `each` and `time`.
    pub left: &'static [(&'static str, Type, Meaning)],
    pub has_speed_up: bool,
    /// What is watched while it runs: the title of the plot, and a name for each number.
    pub plot: &'static str,
    pub watched: &'static [&'static str],
}

/// What a version left.
pub struct Judged {
    /// For `Layout::left`.
    pub cells: Vec<Value>,
    /// Whether nothing went wrong, though it can.
    pub is_unseen: bool,
}

/// Runs the versions that are asked for. `run` gets the number of the version; `judge` says what is left, unless it was
/// stopped meanwhile.
///
/// # Errors
/// Those of `judge`, a version that the system cannot run, and a stop before the first row.
pub fn run_all<T>(
    layout: &Layout,
    asked: &Asked,
    context: &RunContext,
    run: impl Fn(usize, &Rounds) -> io::Result<(Played, T)>,
    judge: impl Fn(&Described, &Played, T) -> Fallible<Option<Judged>>,
) -> Fallible<DemoResult> {
    let stopped = || context.stop.is_raised();
    let Layout { demo, operations, watched, .. } = layout;
    let is_wanted = |name: &str| asked.only.is_empty() || asked.only.iter().any(|only| only == name);
    let wanted: Vec<(usize, &Described)> =
        layout.versions.iter().enumerate().filter(|(_, version)| is_wanted(version.name)).collect();
    let share = rounds::share(wanted.len());
    // What is watched is shown while it runs, and plotted where that was asked for.
    let checkpoint = asked.checkpoint.unwrap_or_else(|| (asked.each / 10).max(1));
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let (mut series, mut unseen, mut fewer) = (Vec::new(), Vec::new(), false);
    for (number, described) in &wanted {
        let name = described.name;
        if stopped() {
            break;
        }
        context.progress.tell(format!("{demo}: {name}"));
        let points = Mutex::new(Vec::new());
        let watch = |done: u64, now: &[i64]| {
            let now_text = watched.iter().zip(now).map(|(what, value)| format!("{what} {value}"));
            let now_text = now_text.collect::<Vec<_>>().join(", ");
            context.progress.tell(format!("{demo}: {name}: {now_text} after {done} {operations}"));
            if asked.checkpoint.is_some() {
                points.lock().unwrap_or_else(PoisonError::into_inner).push((done, now.to_vec()));
            }
        };
        let (threads, each, has_speed_up) = (asked.threads, asked.each, layout.has_speed_up);
        let wanted = Wanted { threads, each, share, checkpoint, has_speed_up };
        let measured = rounds::measure(&wanted, &watch, &stopped, &|rounds| run(*number, rounds));
        let Measured { played, result, speed_up } =
            measured.map_err(|error| Diagnostic::new(Kind::System, format!("cannot run {name}: {error}")))?;
        if played.is_cut {
            break;
        }
        let Some(Judged { cells, is_unseen }) = judge(described, &played, result)? else { break };
        if is_unseen && described.safety != Safety::Safe {
            unseen.push(name);
        }
        fewer |= played.each < asked.each;
        let mut row = vec![Value::text(name), Value::Int(played.each as i64)];
        row.extend(cells);
        row.push(Value::Float(played.wall.as_secs_f64()));
        if layout.has_speed_up {
            row.push(speed_up.map_or(Value::Null, Value::Float));
        }
        row.push(Value::text(described.safety.said()));
        rows.push(row);
        series.extend(lines(name, watched, &points.into_inner().unwrap_or_else(PoisonError::into_inner)));
    }
    if rows.is_empty() {
        context.stop.check()?;
    }
    let mut notes: Vec<Note> = Vec::new();
    let found = |text: String| Note::default().found(text).optional();
    if rows.len() < wanted.len() {
        notes.push(found(format!("stopped: {} of {} versions", rows.len(), wanted.len())));
    }
    if !unseen.is_empty() {
        notes.push(found(format!("possible, but not seen this time: {}", unseen.join("; "))));
    }
    notes.extend(rounds::busy_note().map(found));
    if fewer {
        let seconds = share.as_secs_f64();
        let note = format!("each version has {seconds:.1} s and does as many {operations} as fit: see `each`");
        notes.push(Note::from(note).optional());
    }
    notes
        .push(format!("{} threads, in rounds of up to {ROUND} {operations} that start together", asked.threads).into());
    let has = |start: &str| rows.iter().any(|row| matches!(&row[0], Value::Text(name) if name.starts_with(start)));
    if has("gil") {
        notes.push(format!("gil: the lock changes hands every {BYTECODES} bytecodes on average").into());
    }
    Ok(DemoResult { figures: figures(layout, &rows), notes, plot: plot(layout, series) })
}

/// A line for each number that was watched.
fn lines(version: &str, watched: &[&str], points: &[(u64, Vec<i64>)]) -> Vec<Series> {
    if points.is_empty() {
        return Vec::new();
    }
    let line = |(number, what): (usize, &&str)| Series {
        label: if watched.len() == 1 { version.to_string() } else { format!("{version}: {what}") },
        drawn: Drawn::Line,
        points: points.iter().map(|(done, now)| (*done as f64, now[number] as f64)).collect(),
    };
    watched.iter().enumerate().map(line).collect()
}

fn plot(layout: &Layout, series: Vec<Series>) -> Option<Plot> {
    let axis = |label: String| Axis { label, unit: Unit::Plain, scale: Scale::Linear, measured: true };
    (!series.is_empty()).then(|| Plot {
        title: layout.plot.to_string(),
        x: Across::Numbers(axis(format!("{} of each thread", layout.operations))),
        y: axis(if layout.watched.len() == 1 { layout.watched[0].to_string() } else { "length".to_string() }),
        series,
        in_table: false,
    })
}

fn figures(layout: &Layout, rows: &[Vec<Value>]) -> Figures {
    let mut heads = vec![("version", Type::Text, Unit::Plain.counted()), ("each", Type::Int, Unit::Plain.measured())];
    heads.extend_from_slice(layout.left);
    heads.push(("time", Type::Float, Unit::Seconds.measured()));
    if layout.has_speed_up {
        heads.push(("speed_up", Type::Float, Unit::Times.measured()));
    }
    heads.push(("safe", Type::Text, Unit::Plain.counted()));
    Figures::of_rows(&heads, rows)
}
