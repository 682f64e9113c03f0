//! Tables of a comparison: a row for each variant, or for each point of a sweep.

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::magics::against::{self, Against};
use crate::measure::growth::Class;
use crate::report::{Across, Axis, Bounds, Drawn, Figures, Meaning, Plot, Scale, Series, Unit};
use crate::show::duration_text;

use super::family::Asker;
use super::rounds::{Entry, Measurement, Round};
use super::variants::{Variant, What};
use super::words::speedup_text;

impl Round<'_> {
    /// A row for each variant.
    pub fn figures(&self, against: Option<&Against>) -> Figures {
        let mut rows = Grid::default();
        let ratio = Unit::Ratio(bounds([self]));
        for entry in &self.entries {
            let finding = self.finding(entry);
            let times = entry.ran().and_then(Measurement::median);
            let cost = entry.ran().map(|ran| &ran.cost);
            let (low, high) = (finding.map(|found| found.low), finding.map(|found| found.high));
            rows.put("variant", Type::Text, Unit::Plain.counted(), Value::text(&entry.variant.name));
            rows.put("median", Type::Float, Unit::Seconds.measured(), float(times.map(|times| times.0)));
            rows.put("iqr", Type::Float, Unit::Seconds.measured(), float(times.map(|times| times.1)));
            let speedup = finding.map(|found| found.speedup);
            rows.put("speedup", Type::Float, ratio.measured(), float(speedup.or(self.own(entry))));
            rows.put("low", Type::Float, Unit::Low.measured(), float(low));
            rows.put("high", Type::Float, Unit::High.measured(), float(high));
            rows.put("verdict", Type::Text, Unit::Plain.measured(), Value::text(&self.verdict(entry)));
            if let Some(against) = against {
                self.put_kept(&mut rows, against, entry);
            }
            if self.parallel {
                let cpu = float(entry.ran().and_then(|ran| ran.cpu));
                rows.put("cpu", Type::Float, Unit::Seconds.measured(), cpu);
            }
            let has = |is_command: bool| {
                self.entries.iter().filter_map(Entry::ran).any(|ran| ran.command.is_some() == is_command)
            };
            if has(true) {
                let of = |figure| float(entry.ran().and_then(|ran| ran.command.as_ref()?.median(figure)));
                rows.put("user", Type::Float, Unit::Seconds.measured(), of(|ran| ran.user.as_secs_f64()));
                rows.put("system", Type::Float, Unit::Seconds.measured(), of(|ran| ran.system.as_secs_f64()));
                let peak = entry.ran().and_then(|ran| ran.command.as_ref()?.peak());
                let peak = peak.map_or(Value::Null, |peak| Value::Int(peak as i64));
                rows.put("peak", Type::Int, Unit::Bytes.measured(), peak);
            }
            if has(false) || !has(true) {
                let counted = cost.filter(|_| entry.ran().is_some_and(|ran| ran.command.is_none()));
                let allocated = counted.map_or(Value::Null, |cost| Value::Int(cost.allocated as i64));
                rows.put("alloc", Type::Int, Unit::Bytes.measured(), allocated);
            }
            if has(false) || !has(true) {
                rows.put("lines", Type::Int, Unit::Plain.counted(), Value::Int(entry.variant.lines as i64));
            }
        }
        rows.figures()
    }

    /// What a baseline keeps of a variant, and how it stands to that now.
    fn put_kept(&self, rows: &mut Grid, against: &Against, entry: &Entry) {
        let beside = self.beside(against, entry);
        let said = beside.map_or(Value::Null, |beside| Value::text(&against::said(&beside)));
        rows.put("kept", Type::Float, Unit::Seconds.measured(), float(beside.map(|beside| beside.then / 1e9)));
        rows.put("since", Type::Float, Unit::Times.measured(), float(beside.map(|beside| beside.speedup)));
        rows.put("against", Type::Text, Unit::Plain.measured(), said);
    }

    /// The speed-up of the baseline is 1.
    fn own(&self, entry: &Entry) -> Option<f64> {
        (self.is_baseline(entry) && self.is_held(entry)).then_some(1.0)
    }
}

fn float(x: Option<f64>) -> Value {
    x.filter(|x| !x.is_nan()).map_or(Value::Null, Value::Float)
}

/// A row for each point and variant, for programs and later cells.
pub fn sweep_rows(name: &str, points: &[i64], rounds: &[Round], against: Option<&Against>) -> Figures {
    let mut rows = Grid::default();
    for (point, round) in points.iter().zip(rounds) {
        for entry in &round.entries {
            let finding = round.finding(entry);
            let median = entry.ran().and_then(Measurement::median).map(|times| times.0);
            rows.put(name, Type::Int, Unit::Plain.counted(), Value::Int(*point));
            rows.put("variant", Type::Text, Unit::Plain.counted(), Value::text(&entry.variant.name));
            rows.put("median", Type::Float, Unit::Seconds.measured(), float(median));
            rows.put("low", Type::Float, Unit::Times.measured(), float(finding.map(|found| found.low)));
            rows.put("high", Type::Float, Unit::Times.measured(), float(finding.map(|found| found.high)));
            let ratio = finding.map(|found| found.speedup).or(round.own(entry));
            rows.put("ratio", Type::Float, Unit::Times.measured(), float(ratio));
            rows.put("verdict", Type::Text, Unit::Plain.measured(), Value::text(&round.verdict(entry)));
            if let Some(against) = against {
                round.put_kept(&mut rows, against, entry);
            }
        }
    }
    rows.figures()
}

/// A row for each point, a column for each variant with its time and speed-up, and what is no difference. For people.
pub fn sweep_drawn(name: &str, points: &[i64], rounds: &[Round], against: Option<&Against>) -> Figures {
    let mut rows = Grid::default();
    for (point, round) in points.iter().zip(rounds) {
        rows.put(name, Type::Int, Unit::Plain.counted(), Value::Int(*point));
        let (mut open, mut since) = (Vec::new(), Vec::new());
        for entry in &round.entries {
            let name = &entry.variant.name;
            let ratio = round.finding(entry).and_then(speedup_text);
            let time = entry.ran().and_then(Measurement::median).map(|times| duration_text(times.0));
            let cell = match (time, ratio) {
                (Some(time), Some(speedup)) => Value::text(&format!("{time} {speedup}×")),
                (Some(time), None) => Value::text(&time),
                (None, _) => Value::Null,
            };
            rows.put(name, Type::Text, Unit::Plain.measured(), cell);
            let verdict = round.verdict(entry);
            if !matches!(verdict.as_str(), "faster" | "slower" | "·") {
                open.push((name.clone(), verdict));
            }
            let beside = against.and_then(|against| round.beside(against, entry)).filter(against::is_apart);
            since.extend(beside.map(|beside| (name.clone(), against::said(&beside))));
        }
        rows.put("verdict", Type::Text, Unit::Plain.measured(), words(open));
        if against.is_some() {
            rows.put("against", Type::Text, Unit::Plain.measured(), words(since));
        }
    }
    rows.figures()
}

/// The medians of each variant, on log axes. None where there is one point.
pub fn sweep_plot(name: &str, points: &[i64], rounds: &[Round]) -> Option<Plot> {
    let (first, _) = rounds.first().zip(rounds.get(1))?;
    let series = (0..first.entries.len()).map(|place| {
        let median =
            |round: &Round| round.entries[place].ran().and_then(Measurement::median).map_or(f64::NAN, |times| times.0);
        let points = points.iter().zip(rounds).map(|(point, round)| (*point as f64, median(round))).collect();
        Series { label: first.entries[place].variant.name.clone(), drawn: Drawn::Line, points }
    });
    let axis = |label: &str, unit, measured| Axis { label: label.to_string(), unit, scale: Scale::Log, measured };
    Some(Plot {
        title: format!("time by {name}"),
        x: Across::Numbers(axis(name, Unit::Plain, false)),
        y: axis("time", Unit::Seconds, true),
        series: series.collect(),
        in_table: true,
    })
}

/// Names by what is said of them; null where nothing is.
fn words(said: Vec<(String, String)>) -> Value {
    if said.is_empty() { Value::Null } else { Value::text(&grouped_by_verdict(said)) }
}

/// What the bounds of the speed-ups are: too few pairs give a range.
fn bounds<'a>(rounds: impl IntoIterator<Item = &'a Round<'a>>) -> Bounds {
    let findings = rounds.into_iter().flat_map(|round| round.entries.iter().filter_map(|entry| round.finding(entry)));
    Bounds::of(findings.map(|found| found.is_weak()))
}

/// `faster: a, b; same: c`
fn grouped_by_verdict(verdicts: Vec<(String, String)>) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (name, verdict) in verdicts {
        match groups.iter_mut().find(|(known, _)| *known == verdict) {
            Some((_, names)) => names.push(name),
            None => groups.push((verdict, vec![name])),
        }
    }
    let said = groups.into_iter().map(|(verdict, names)| format!("{verdict}: {}", names.join(", ")));
    said.collect::<Vec<_>>().join("; ")
}

/// What theory claims of each variant, beside what it cost at the largest size that it was run with.
pub fn claimed(family: &Asker, variants: &[Variant], rounds: &[Round]) -> Figures {
    let mut rows = Grid::default();
    for (place, variant) in variants.iter().enumerate() {
        let claims = if let What::Algorithm(claims) = &variant.what { Some(claims) } else { None };
        let time = claims.map(|claims| {
            let here = claims.except.iter().find(|(shape, _)| *shape == family.shape);
            here.map_or(claims.time, |(_, class)| *class)
        });
        let said = |class: Option<Class>| class.map_or(Value::Null, |class| Value::text(&class.to_string()));
        let last = rounds.iter().rev().find_map(|round| {
            let ran = round.entries[place].ran()?;
            Some((round.point?, ran.median()?.0, ran.cost.allocated))
        });
        rows.put("variant", Type::Text, Unit::Plain.counted(), Value::text(&variant.name));
        rows.put("claimed_time", Type::Text, Unit::Plain.counted(), said(time));
        rows.put("claimed_space", Type::Text, Unit::Plain.counted(), said(claims.map(|claims| claims.space)));
        rows.put("n", Type::Int, Unit::Plain.counted(), last.map_or(Value::Null, |last| Value::Int(last.0)));
        rows.put(
            "median",
            Type::Float,
            Unit::Seconds.measured(),
            last.map_or(Value::Null, |last| Value::Float(last.1)),
        );
        rows.put(
            "alloc",
            Type::Int,
            Unit::Bytes.measured(),
            last.map_or(Value::Null, |last| Value::Int(last.2 as i64)),
        );
        rows.put("lines", Type::Int, Unit::Plain.counted(), Value::Int(variant.lines as i64));
    }
    rows.figures()
}

/// A table that grows by its cells, row after row.
#[derive(Default)]
pub struct Grid {
    columns: Vec<Column>,
    meanings: Vec<Meaning>,
    values: Vec<Vec<Value>>,
}

impl Grid {
    /// Puts a cell into the column of this name, which is added where there is none.
    pub fn put(&mut self, name: &str, ty: Type, meaning: Meaning, value: Value) {
        match self.columns.iter().position(|column| column.name == name) {
            Some(at) => self.values[at].push(value),
            None => {
                self.columns.push(Column { name: name.to_string(), ty });
                self.meanings.push(meaning);
                self.values.push(vec![value]);
            }
        }
    }

    pub fn figures(self) -> Figures {
        let height = self.values.first().map_or(0, Vec::len);
        let schema = Schema::new(self.columns, Order::Kept);
        let table = Table::from_columns(schema, height, &self.values);
        Figures::new(table, self.meanings)
    }
}
