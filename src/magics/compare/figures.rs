//! Tables of a comparison: a row for each variant, or for each point of a sweep.

use crate::algorithms::Class;
use crate::data::{Column, Order, Sameness, Schema, Table, Type, Value};
use crate::magics::against::{Against, Beside};
use crate::measure::Finding;
use crate::report::{Bounds, Figures, Unit};

use super::family::Asker;
use super::rounds::{Entry, Outcome, Round};
use super::ways::{Way, What};

impl Round {
    /// A row for each variant.
    pub fn figures(&self, against: Option<&Against>) -> Figures {
        let mut rows = Grid::default();
        let ratio = Unit::Ratio(bounds([self]));
        for (entry, place) in self.placed() {
            let finding = self.finding(entry, place);
            let times = self.median(entry, place);
            let cost = if let Outcome::RunResult(_, cost) = &entry.outcome { Some(cost) } else { None };
            let float = |x: Option<f64>| x.filter(|x| !x.is_nan()).map_or(Value::Null, Value::Float);
            let (low, high) = (finding.map(|found| found.low), finding.map(|found| found.high));
            rows.put("variant", Type::Text, Unit::Plain, Value::text(&entry.name));
            rows.put("median", Type::Float, Unit::Seconds, float(times.map(|times| times.0)));
            rows.put("iqr", Type::Float, Unit::Seconds, float(times.map(|times| times.1)));
            let speedup = finding.map(|found| found.speedup);
            rows.put("speedup", Type::Float, ratio, float(speedup.or(self.own(entry, place))));
            rows.put("low", Type::Float, Unit::Low, float(low));
            rows.put("high", Type::Float, Unit::High, float(high));
            rows.put("verdict", Type::Text, Unit::Plain, Value::text(&self.verdict(entry, place)));
            if let Some(against) = against {
                let beside = self.beside(against, entry, place);
                let (then, speedup) =
                    (beside.as_ref().map(|beside| beside.then), beside.as_ref().map(|beside| beside.speedup));
                let said = beside.map_or(Value::Null, |beside| Value::text(beside.said()));
                rows.put("kept", Type::Float, Unit::Seconds, float(then));
                rows.put("since", Type::Float, Unit::Times, float(speedup));
                rows.put("against", Type::Text, Unit::Plain, said);
            }
            if self.parallel {
                rows.put("cpu", Type::Float, Unit::Seconds, float(cost.map(|cost| cost.cpu().as_secs_f64())));
            }
            let allocated = cost.map_or(Value::Null, |cost| Value::Int(cost.allocated as i64));
            rows.put("alloc", Type::Int, Unit::Bytes, allocated);
            rows.put("lines", Type::Int, Unit::Plain, Value::Int(entry.lines as i64));
        }
        rows.figures()
    }

    /// The speed-up of the first is 1.
    fn own(&self, entry: &Entry, place: Option<usize>) -> Option<f64> {
        (place == Some(0) && self.agrees() && entry.removed.is_none()).then_some(1.0)
    }
}

/// A row for each point, a column for each variant, and the verdicts.
pub fn sweep_figures(name: &str, points: &[i64], rounds: &[Round], against: Option<&Against>) -> Figures {
    let mut rows = Grid::default();
    let ratio = Unit::Ratio(bounds(rounds));
    let float = |x: Option<f64>| x.filter(|x| !x.is_nan()).map_or(Value::Null, Value::Float);
    for (point, round) in points.iter().zip(rounds) {
        rows.put(name, Type::Int, Unit::Plain, Value::Int(*point));
        for (entry, place) in round.placed() {
            let median = float(round.median(entry, place).map(|times| times.0));
            rows.put(&entry.name, Type::Float, Unit::Seconds, median);
        }
        let mut verdicts = Vec::new();
        for (i, (entry, place)) in round.placed().enumerate() {
            let finding = round.finding(entry, place);
            let first = matches!(entry.outcome, Outcome::RunResult(Sameness::Same, _)) && place == Some(0);
            if !first || entry.removed.is_some() {
                verdicts.push((entry.name.as_str(), round.verdict(entry, place)));
            }
            if i > 0 {
                let (low, high) = (finding.map(|found| found.low), finding.map(|found| found.high));
                let column = |what: &str| format!("{} {what}", entry.name);
                rows.put(&column("speedup"), Type::Float, ratio, float(finding.map(|found| found.speedup)));
                rows.put(&column("low"), Type::Float, Unit::Low, float(low));
                rows.put(&column("high"), Type::Float, Unit::High, float(high));
            }
        }
        rows.put("verdict", Type::Text, Unit::Plain, Value::text(&grouped_by_verdict(verdicts)));
        if let Some(against) = against {
            let mut said = Vec::new();
            for (entry, place) in round.placed() {
                let beside = round.beside(against, entry, place);
                let speedup = beside.as_ref().map(|beside| beside.speedup);
                rows.put(&format!("{} since", entry.name), Type::Float, Unit::Times, float(speedup));
                let verdict = beside.filter(Beside::is_apart);
                said.extend(verdict.map(|beside| (entry.name.as_str(), beside.said().to_string())));
            }
            let said = if said.is_empty() { Value::Null } else { Value::text(&grouped_by_verdict(said)) };
            rows.put("against", Type::Text, Unit::Plain, said);
        }
    }
    rows.figures()
}

/// What the bounds of the speed-ups are: too few pairs give a range.
fn bounds<'a>(rounds: impl IntoIterator<Item = &'a Round>) -> Bounds {
    let findings = rounds.into_iter().flat_map(|round| {
        round.placed().filter_map(|(entry, place)| round.finding(entry, place)).collect::<Vec<Finding>>()
    });
    Bounds::of(findings.map(|found| found.is_weak()))
}

/// `faster: a, b; same: c`
fn grouped_by_verdict(verdicts: Vec<(&str, String)>) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
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
pub fn claimed(family: &Asker, ways: &[Way], rounds: &[Round]) -> Figures {
    let mut rows = Grid::default();
    for (i, way) in ways.iter().enumerate() {
        let claims = if let What::Algorithm(claims) = &way.what { Some(claims) } else { None };
        let time = claims.map(|claims| {
            let here = claims.except.iter().find(|(shape, _)| *shape == family.shape);
            here.map_or(claims.time, |(_, class)| *class)
        });
        let said = |class: Option<Class>| class.map_or(Value::Null, |class| Value::text(&class.to_string()));
        let last = rounds.iter().rev().find_map(|round| {
            let (entry, place) = round.placed().nth(i)?;
            let Outcome::RunResult(_, cost) = &entry.outcome else { return None };
            Some((round.point?, round.median(entry, place)?.0, cost.allocated))
        });
        rows.put("variant", Type::Text, Unit::Plain, Value::text(&way.name));
        rows.put("claimed_time", Type::Text, Unit::Plain, said(time));
        rows.put("claimed_space", Type::Text, Unit::Plain, said(claims.map(|claims| claims.space)));
        rows.put("n", Type::Int, Unit::Plain, last.map_or(Value::Null, |last| Value::Int(last.0)));
        rows.put("median", Type::Float, Unit::Seconds, last.map_or(Value::Null, |last| Value::Float(last.1)));
        rows.put("alloc", Type::Int, Unit::Bytes, last.map_or(Value::Null, |last| Value::Int(last.2 as i64)));
        rows.put("lines", Type::Int, Unit::Plain, Value::Int(way.lines as i64));
    }
    rows.figures()
}

/// A table that grows by its cells, row after row.
#[derive(Default)]
pub struct Grid {
    columns: Vec<Column>,
    units: Vec<Unit>,
    values: Vec<Vec<Value>>,
}

impl Grid {
    /// Puts a cell into the column of this name, which is added where there is none.
    pub fn put(&mut self, name: &str, ty: Type, unit: Unit, value: Value) {
        match self.columns.iter().position(|column| column.name == name) {
            Some(at) => self.values[at].push(value),
            None => {
                self.columns.push(Column { name: name.to_string(), ty });
                self.units.push(unit);
                self.values.push(vec![value]);
            }
        }
    }

    pub fn figures(self) -> Figures {
        let height = self.values.first().map_or(0, Vec::len);
        let schema = Schema::new(self.columns, Order::Kept);
        Figures { table: Table::from_columns(schema, height, &self.values), units: self.units }
    }
}
