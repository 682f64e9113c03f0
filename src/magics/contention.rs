use std::time::Instant;

use crate::concurrency::contention::{Point, bound, break_even, measure};
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::interleave::barrier::cores;
use crate::lang::{self, MagicSyntax, Privileges, Takes};
use crate::plan::Binding;
use crate::races::busy_note;
use crate::report::{Across, Axis, Block, Drawn, Field, Figures, Note, Plot, Report, Scale, Series, Unit};
use crate::run_context::RunContext;

use super::race::refuse_words;
use super::timing::asked_count;
use super::{Answer, Magic, Offers, figures_plan, passed};

pub static CONTENTION: Magic = Magic {
    syntax: MagicSyntax {
        name: "contention",
        usage: "%contention [--threads N]",
        takes: Takes::Words,
        options: &[("--threads", true)],
    },
    about: "shows how much work outside a lock makes several threads faster than one\n\n\
            The job\n  \
            Each thread repeatedly takes the same lock, works under it for 200 ns, then outside it for a\n  \
            multiple of that time: 0× to 64×. Two threads unless specified with --threads\n\n\
            Columns\n  \
            work_outside  in multiples of the work under the lock\n  \
            speed_up      over one thread that does all the work: the median of paired rounds\n  \
            waiting       the share of their time that threads waited for the lock\n  \
            bound         the highest speed-up that the lock allows: 1 + work_outside, but at most the number\n  \
            \x20             of threads (model)\n\n\
            Break-even\n  \
            The smallest work_outside from which on all threads together were faster than one in every round",
    examples: &["%contention", "%contention --threads 4"],
    offers: Offers::Nothing,
    privileges: Privileges::none,
    run: |_, magic, context| run(magic, context),
};

const THREADS: u64 = 2;
const MOST_THREADS: u64 = 64;
const OUTSIDES: [u64; 8] = [0, 1, 2, 4, 8, 16, 32, 64];

/// What else the notes may say.
pub const SAYS: &[&str] = &[
    "stopped: {count} of {count} rows",
    "break-even: not resolved, because the machine is busy",
    "break-even: {count} threads are faster than one even without work outside the lock",
    "break-even: with {count}× as much work outside the lock or more, {count} threads are faster than one",
    "break-even: not reached; there is no row from which on {count} threads were faster in every round",
    "∀speed_up >= 1 ← break-even: {count} threads are faster than one even without work outside the lock",
    "∃work_outside = figure ← break-even: with {figure}× as much work outside the lock or more, {words}",
    "∀2 * work_outside <= figure or speed_up >= 1 ← break-even: with {figure}× as much work outside the lock or more, \
     {words}",
];

fn run(magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    refuse_words(magic, "%contention --threads 4")?;
    let start = Instant::now();
    let threads = asked_count(magic, "--threads")?.unwrap_or(THREADS);
    if !(2..=MOST_THREADS).contains(&threads) {
        let span = magic.option("--threads").flatten().map_or(magic.span, |word| word.span);
        let message = format!("`--threads` must be from 2 to {MOST_THREADS}, got {threads}");
        return Err(Diagnostic::at(Kind::Type, span, message));
    }
    let points = measure(threads as usize, &OUTSIDES, context)
        .map_err(|error| Diagnostic::new(Kind::System, format!("cannot start the threads: {error}")))?;
    if points.is_empty() {
        context.stop.check()?;
    }
    let mut answer = told(threads as usize, &points);
    answer.report.status_line.push(passed(start.elapsed()));
    Ok(answer)
}

fn told(threads: usize, points: &[Point]) -> Answer {
    let row = |point: &Point| {
        vec![
            Value::Float(point.outside as f64),
            Value::Float(point.speed_up),
            Value::Float(point.waiting),
            Value::Float(bound(threads, point.outside)),
        ]
    };
    let figures = Figures::of_rows(
        &[
            ("work_outside", Type::Float, Unit::Times.counted()),
            ("speed_up", Type::Float, Unit::Times.measured()),
            ("waiting", Type::Float, Unit::Bar.measured()),
            ("bound", Type::Float, Unit::Times.counted()),
        ],
        &points.iter().map(row).collect::<Vec<_>>(),
    );
    let found = |text: String| Note::default().found(text).optional();
    let mut notes: Vec<Note> = Vec::new();
    if points.len() < OUTSIDES.len() {
        notes.push(found(format!("stopped: {} of {} rows", points.len(), OUTSIDES.len())));
    }
    let busy = busy_note();
    let is_busy = busy.is_some();
    notes.extend(busy.map(found));
    if cores().len() == 1 {
        notes.push("one core: threads only take turns, so there is no speed-up".into());
    }
    // Where other programs want the cores, a round says more about them than about the lock.
    let even = break_even(points).filter(|_| !is_busy);
    notes.push(found(match even {
        None if is_busy => "break-even: not resolved, because the machine is busy".to_string(),
        Some(0) => format!("break-even: {threads} threads are faster than one even without work outside the lock"),
        Some(outside) => {
            format!(
                "break-even: with {outside}× as much work outside the lock or more, {threads} threads are faster \
                 than one"
            )
        }
        None => {
            format!(
                "break-even: not reached; there is no row from which on {threads} threads were faster in every round"
            )
        }
    }));
    let mut report = Report::default();
    let table = Some(figures_plan(&figures, Default::default()));
    report.blocks.push(Block::Figures(figures));
    report.blocks.push(Block::Plot(plot(threads, points)));
    report.blocks.push(Block::Notes(notes));
    let fields = even.map(|outside| Field::measured("break_even", Value::Float(outside as f64), Unit::Times));
    let fields = fields.into_iter().collect();
    Answer { report, result: Some(Binding::Result { table, fields, tables: Vec::new() }), ..Answer::default() }
}

/// On a log scale 0 has no place: the row without work outside stands in the table only.
fn plot(threads: usize, points: &[Point]) -> Plot {
    let line = |label: &str, drawn, y: &dyn Fn(&Point) -> f64| Series {
        label: label.to_string(),
        drawn,
        points: points.iter().filter(|point| point.outside > 0).map(|point| (point.outside as f64, y(point))).collect(),
    };
    let axis = |label: &str, scale, measured| Axis { label: label.to_string(), unit: Unit::Times, scale, measured };
    Plot {
        title: format!("speed-up of {threads} threads by work outside the lock"),
        x: Across::Numbers(axis("work outside, in multiples of the work under the lock", Scale::Log, false)),
        y: axis("speed-up", Scale::Linear, true),
        series: vec![
            line("measured", Drawn::Line, &|point| point.speed_up),
            line("bound (model)", Drawn::Line, &|point| bound(threads, point.outside)),
        ],
        in_table: true,
    }
}
