//! Tables and the plot of a growth.

use crate::data::{Type, Value};
use crate::magics::compare::Grid;
use crate::measure::growth::{Fit, Question, Verdict};
use crate::report::{Across, Axis, Block, Drawn, Figures, Meaning, MeasuredRows, Plot, Scale, Series, Unit};

use super::Answers;
use super::subjects::{Measured, Row};

/// A row for each subject and size.
pub fn sizes(name: &str, all: &[Measured], questions: &[Question]) -> Figures {
    let mut rows = Grid::default();
    let asked = |question| questions.contains(&question);
    let steps = if differs(all) { Unit::Plain.measured() } else { Unit::Plain.counted() };
    for measured in all {
        let mut before: Option<f64> = None;
        for row in &measured.rows {
            if all.len() > 1 {
                rows.put("variant", Type::Text, Unit::Plain.counted(), Value::text(&measured.name));
            }
            rows.put(name, Type::Int, Unit::Plain.counted(), Value::Int(row.n));
            if asked(Question::Time) {
                let median = row.median();
                let ratio = median.zip(before).map(|(median, before)| median / before);
                rows.put("median", Type::Float, Unit::Seconds.measured(), float(median));
                rows.put("ratio", Type::Float, Unit::Times.measured(), float(ratio));
                before = median;
            }
            let int = |value: Option<f64>| value.map_or(Value::Null, |value| Value::Int(value as i64));
            if asked(Question::Steps) {
                rows.put("steps", Type::Int, steps, int(row.steps));
            }
            if asked(Question::Space) {
                rows.put("space", Type::Int, Unit::Bytes.measured(), int(row.space));
            }
            if asked(Question::Allocs) {
                rows.put("allocs", Type::Int, Unit::Bytes.measured(), int(row.allocs));
            }
        }
    }
    Figures { rows: MeasuredRows { count: is_cut_short(all), ..MeasuredRows::default() }, ..rows.figures() }
}

/// Whether steps differ from run to run: Rust draws the seeds of its hash tables anew, and a command begins with work
/// of the system.
fn differs(all: &[Measured]) -> bool {
    all.iter().any(|measured| !measured.repeats)
}

/// Whether there was no time for some sizes.
fn is_cut_short(all: &[Measured]) -> bool {
    all.iter().any(|measured| !measured.left_out.is_empty())
}

fn float(value: Option<f64>) -> Value {
    value.filter(|value| value.is_finite()).map_or(Value::Null, Value::Float)
}

impl Row {
    /// In seconds.
    fn median(&self) -> Option<f64> {
        let mut sorted = self.times.each.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.get(sorted.len() / 2)?;
        Some(middle.max(self.times.resolution) / 1e9)
    }
}

/// A row for each subject and question.
pub fn answers(all: &[Measured], found: &[Answers]) -> Figures {
    let mut rows = Grid::default();
    // What follows from counts repeats with them.
    let mut asked = found.iter().flat_map(|found| &found.answers);
    let is_measured = differs(all) || is_cut_short(all) || asked.any(|(asked, _)| *asked != Question::Steps);
    let plain = Meaning { unit: Unit::Plain, measured: is_measured };
    for (measured, found) in all.iter().zip(found) {
        for (question, answer) in &found.answers {
            let class = match answer.verdict {
                Verdict::Class(class) if !measured.is_cut() => Value::text(&class.to_string()),
                Verdict::Class(_) | Verdict::Power | Verdict::NoClaim(_) => Value::Null,
            };
            let exponent = answer.claimed_exponent().filter(|_| !measured.is_cut());
            let base = answer.curve.as_ref().filter(|_| !class.is_null()).and_then(|curve| curve.base);
            rows.put("variant", Type::Text, Unit::Plain.counted(), Value::text(&measured.name));
            rows.put("question", Type::Text, Unit::Plain.counted(), Value::text(question.name()));
            rows.put("class", Type::Text, plain, class);
            rows.put("exponent", Type::Float, plain, float(exponent.map(|exponent| exponent.middle())));
            rows.put("low", Type::Float, plain, float(exponent.map(|exponent| exponent.low)));
            rows.put("high", Type::Float, plain, float(exponent.map(|exponent| exponent.high)));
            rows.put("c", Type::Float, plain, float(base));
            rows.put("sizes", Type::Int, plain, Value::Int(answer.used.len() as i64));
        }
    }
    rows.figures()
}

/// The first question that was asked, on log scales: of one subject with its curve and the runner-up, of several as
/// they were measured.
pub fn plot(name: &str, all: &[Measured], found: &[Answers], questions: &[Question]) -> Option<Block> {
    const FEWEST: usize = 2;
    let measured = |question: &&Question| found.iter().any(|found| found.answer(**question).is_some());
    let question = *questions.iter().find(measured)?;
    let points = |measured: &Measured| -> Vec<(f64, f64)> {
        let cost = |row: &Row| match question {
            Question::Time => row.median(),
            Question::Steps => row.steps,
            Question::Space => row.space,
            Question::Allocs => row.allocs,
        };
        let points = measured.rows.iter().filter_map(|row| Some((row.n as f64, cost(row)?)));
        points.filter(|(n, cost)| *n > 0.0 && *cost > 0.0).collect()
    };
    let mut series = Vec::new();
    for (measured, found) in all.iter().zip(found) {
        let points = points(measured);
        if points.len() < FEWEST {
            continue;
        }
        if all.len() > 1 {
            series.push(Series { label: measured.name.clone(), drawn: Drawn::Line, points });
            continue;
        }
        let ends = (points[0].0, points[points.len() - 1].0);
        series.push(Series { label: "measured".to_string(), drawn: Drawn::Points, points });
        let answer = found.answer(question).filter(|answer| matches!(answer.verdict, Verdict::Class(_)));
        let Some(answer) = answer.filter(|_| !measured.is_cut()) else { continue };
        let scale = if question == Question::Time { 1e-9 } else { 1.0 };
        series.extend(answer.curve.iter().chain(&answer.runner_up).map(|fit| curve(fit, ends, scale)));
    }
    if series.is_empty() {
        return None;
    }
    let (label, unit) = match question {
        Question::Time => ("median time", Unit::Seconds),
        Question::Steps => ("steps", Unit::Plain),
        Question::Space => ("space", Unit::Bytes),
        Question::Allocs => ("allocs", Unit::Bytes),
    };
    let axis = |label: &str, unit, measured| Axis { label: label.to_string(), unit, scale: Scale::Log, measured };
    let y = axis(label, unit, question != Question::Steps || differs(all) || is_cut_short(all));
    let x = Across::Numbers(axis(name, Unit::Plain, false));
    Some(Block::Plot(Plot { title: format!("{label} by {name}"), x, y, series, in_table: true }))
}

/// A fitted curve between two sizes.
fn curve(fit: &Fit, (first, last): (f64, f64), scale: f64) -> Series {
    const PARTS: i32 = 60;
    let at = |part: i32| first * (last / first).powf(f64::from(part) / f64::from(PARTS));
    let points = (0..=PARTS).map(|part| (at(part), fit.at(at(part)) * scale)).collect();
    Series { label: fit.class.inner().to_string(), drawn: Drawn::Line, points }
}
