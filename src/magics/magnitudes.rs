//! The orders of magnitude: the classes in one chart, and how far each gets on this machine.

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Takes};
use crate::measure::growth::Class;
use crate::measure::step_time;
use crate::plan::Binding;
use crate::report::{Across, Axis, Block, Drawn, Field, Note, Plot, Report, Scale, Series, Tone, Unit};
use crate::run_context::RunContext;
use crate::session::Session;

use super::compare::Grid;
use super::{Answer, Magic, Offers, figures_plan};

pub static MAGNITUDES: Magic = Magic {
    syntax: MagicSyntax { name: "magnitudes", usage: "%magnitudes", takes: Takes::Words, options: &[] },
    about: "shows the classes from O(1) to O(n!) in one chart, and the largest n per second, minute and day\n\n\
            Chart\n  \
            Operations by the number of elements, from green (best) to red (horrible), without any factor.\n\n\
            Table\n  \
            The speed of this machine is measured: the time of a step of a simple loop, in which each step needs the \
            previous result. A cell shows the largest n whose steps fit into the time; it is empty if every n below \
            2^63 does.\n  \
            _.step is the time of a step.",
    examples: &["%magnitudes"],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

/// The classes of the chart, each with its word.
const CLASSES: [(Class, &str, Tone); 8] = [
    (Class::Constant, "best", Tone::Best),
    (Class::Log, "good", Tone::Good),
    (Class::Linear, "still good", Tone::StillGood),
    (Class::Linearithmic, "fair", Tone::Fair),
    (Class::Quadratic, "bad", Tone::Bad),
    (Class::Cubic, "bad", Tone::Bad),
    (Class::Exponential, "horrible", Tone::Horrible),
    (Class::Factorial, "horrible", Tone::Horrible),
];

const TIMES: [(&str, f64); 3] = [("second", 1.0), ("minute", 60.0), ("day", 86_400.0)];

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    if let Argument::Words(words) = &magic.subject
        && let Some(word) = words.first()
    {
        let message = format!("`%magnitudes` takes no arguments, got `{}`", word.text);
        return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint("%magnitudes"));
    }
    let step = step_time(&*session.clocks.wall) / 1e9;
    context.stop.check()?;
    let mut rows = Grid::default();
    for (class, word, _) in CLASSES {
        rows.put("class", Type::Text, Unit::Plain.counted(), Value::text(&class_name(class)));
        rows.put("word", Type::Text, Unit::Plain.counted(), Value::text(word));
        for (name, seconds) in TIMES {
            let most = largest(class, seconds / step).map(three_digits);
            rows.put(name, Type::Int, Unit::Plain.measured(), most.map_or(Value::Null, Value::Int));
        }
    }
    let figures = rows.figures();
    let note = Note::from("n is the largest whose steps fit into the time, at ").seconds(step);
    let notes = vec![
        note.text(" per step of a simple loop, measured here; n is shown with three digits"),
        Note::from("an empty cell: every n below 2^63 fits; memory may limit n earlier"),
    ];
    let table = Some(figures_plan(&figures, magic.span));
    let fields = vec![Field::measured("step", Value::Float(step), Unit::Seconds)];
    let blocks = vec![Block::Plot(chart()), Block::Figures(figures), Block::Notes(notes)];
    let report = Report { blocks, ..Report::default() };
    Ok(Answer { report, result: Some(Binding::Result { table, fields, tables: Vec::new() }), ..Answer::default() })
}

/// The c of the chart's cⁿ is 2.
fn class_name(class: Class) -> String {
    if class == Class::Exponential { "O(2ⁿ)".to_string() } else { class.to_string() }
}

/// The steps of a class without any factor.
fn steps(class: Class, n: f64) -> f64 {
    match class {
        Class::Exponential => n.exp2(),
        // It is beyond every float from 171 on.
        Class::Factorial => (2..=n.min(200.0) as u64).map(|i| i as f64).product(),
        class => class.at(n).expect("the other classes of the chart are powers"),
    }
}

/// The largest n with at most so many steps; none where every int is.
fn largest(class: Class, most: f64) -> Option<i64> {
    if steps(class, i64::MAX as f64) <= most {
        return None;
    }
    let (mut fits, mut exceeds) = (0, i64::MAX);
    while exceeds - fits > 1 {
        let middle = fits + (exceeds - fits) / 2;
        *(if steps(class, middle as f64) <= most { &mut fits } else { &mut exceeds }) = middle;
    }
    Some(fits)
}

/// Rounded down: the time of a step is known no better.
fn three_digits(n: i64) -> i64 {
    let unit = 10i64.pow(n.checked_ilog10().unwrap_or(0).saturating_sub(2));
    n / unit * unit
}

/// The classes as zones.
fn chart() -> Plot {
    const ELEMENTS: f64 = 100.0;
    const OPERATIONS: f64 = 1000.0;
    const PARTS: u32 = 400;
    let axis =
        |label: &str| Axis { label: label.to_string(), unit: Unit::Plain, scale: Scale::Linear, measured: false };
    let series = CLASSES.map(|(class, word, tone)| {
        let at = |part: u32| 1.0 + (ELEMENTS - 1.0) * f64::from(part) / f64::from(PARTS);
        // A factorial between two ints lies on the line between theirs.
        let cost = |n: f64| {
            let (low, high) = (steps(class, n.floor()), steps(class, n.ceil()));
            if class == Class::Factorial { low + (high - low) * n.fract() } else { steps(class, n) }
        };
        let mut points: Vec<(f64, f64)> = Vec::new();
        for n in (0..=PARTS).map(at) {
            if cost(n) <= OPERATIONS {
                points.push((n, cost(n)));
                continue;
            }
            // To the edge.
            if let Some((before, low)) = points.last().copied() {
                points.push((before + (n - before) * (OPERATIONS - low) / (cost(n) - low), OPERATIONS));
            }
            break;
        }
        Series { label: format!("{} {word}", class_name(class)), drawn: Drawn::Zone(tone), points }
    });
    Plot {
        title: "operations by elements".to_string(),
        x: Across::Numbers(axis("elements")),
        y: axis("operations"),
        series: series.to_vec(),
        in_table: true,
    }
}
