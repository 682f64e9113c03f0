//! Plots: drawn with characters for a terminal or as SVG, and their data for programs.

mod axis;
mod canvas;
mod drawing;
mod names;
mod pen;
mod svg;
mod terminal;

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::escape::escaped;
use crate::report::{Across, Axis, Drawn, Plot, Scale, Unit};

use super::{Format, Style, grouped, table};

use axis::{Projection, Zero};

pub use svg::svg;

pub fn written(plot: &Plot, style: &Style) -> String {
    match style.format {
        Format::Table => terminal::drawn(plot, style),
        Format::Csv => table::csv(&data(plot)),
        Format::Json => table::json(&data(plot)),
        Format::Markdown => table::markdown(&data(plot)),
    }
}

/// All points, also those that cannot be drawn.
fn data(plot: &Plot) -> Table {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let (x_type, x) = match &plot.x {
        Across::Numbers(axis) => numbers(axis, points().map(|point| point.0)),
        Across::Names { names, .. } => {
            let name = |x: f64| place(x, names.len()).map_or(Value::Null, |at| Value::text(&names[at]));
            (Type::Text, points().map(|point| name(point.0)).collect())
        }
    };
    let (y_type, y) = numbers(&plot.y, points().map(|point| point.1));
    let labels = plot.series.iter().flat_map(|series| vec![Value::text(&series.label); series.points.len()]);
    let series: Vec<Value> = labels.collect();
    let columns = [("series", Type::Text), ("x", x_type), ("y", y_type)];
    let columns = columns.map(|(name, ty)| Column { name: name.to_string(), ty });
    Table::from_columns(Schema::new(columns.to_vec(), Order::Kept), series.len(), &[series, x, y])
}

/// Counts and bytes are ints where all of them are whole.
fn numbers(axis: &Axis, values: impl Iterator<Item = f64> + Clone) -> (Type, Vec<Value>) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = |x: f64| x.fract() == 0.0 && x.abs() <= EXACT;
    if matches!(axis.unit, Unit::Count(_) | Unit::Bytes) && values.clone().all(whole) {
        (Type::Int, values.map(|x| Value::Int(x as i64)).collect())
    } else {
        (Type::Float, values.map(Value::Float).collect())
    }
}

/// The place among `count` names that `x` is.
fn place(x: f64, count: usize) -> Option<usize> {
    (x >= 0.0 && x < count as f64 && x.fract() == 0.0).then_some(x as usize)
}

/// The points of a plot that have a place in it.
struct Drawable {
    /// For each series; where a point cannot be drawn there is none.
    series: Vec<Vec<Option<(f64, f64)>>>,
    all: usize,
    not_finite: usize,
    not_positive: usize,
    nameless: usize,
}

impl Drawable {
    fn of(plot: &Plot) -> Drawable {
        let mut found = Drawable { series: Vec::new(), all: 0, not_finite: 0, not_positive: 0, nameless: 0 };
        for series in &plot.series {
            found.all += series.points.len();
            let points = series.points.iter().map(|(x, y)| found.point(plot, *x, *y)).collect();
            found.series.push(points);
        }
        found
    }

    fn point(&mut self, plot: &Plot, x: f64, y: f64) -> Option<(f64, f64)> {
        let on_log = |axis: &Axis, value: f64| axis.scale == Scale::Log && value <= 0.0;
        let (unnamed, below) = match &plot.x {
            Across::Numbers(axis) => (false, on_log(axis, x)),
            Across::Names { names, .. } => (place(x, names.len()).is_none(), false),
        };
        let reason = if !x.is_finite() || !y.is_finite() {
            &mut self.not_finite
        } else if below || on_log(&plot.y, y) {
            &mut self.not_positive
        } else if unnamed {
            &mut self.nameless
        } else {
            return Some((x, y));
        };
        *reason += 1;
        None
    }

    fn points(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        self.series.iter().flatten().flatten().copied()
    }

    /// What is left out of the drawing and why.
    fn note(&self) -> Option<String> {
        let reasons = [
            (self.not_finite, "not finite"),
            (self.not_positive, "not above 0 on a log axis"),
            (self.nameless, "without a name on the x axis"),
        ];
        let left: usize = reasons.iter().map(|(count, _)| count).sum();
        let reasons = reasons.iter().filter(|(count, _)| *count > 0);
        let reasons: Vec<String> = reasons.map(|(count, why)| format!("{} {why}", grouped(*count as u64))).collect();
        let (points, verb) = (if self.all == 1 { "point" } else { "points" }, if left == 1 { "is" } else { "are" });
        let (left_out, all) = (grouped(left as u64), grouped(self.all as u64));
        (left > 0).then(|| format!("{left_out} of {all} {points} {verb} not drawn: {}", reasons.join(", ")))
    }

    /// How the y axis lies; none without a point.
    fn up(&self, plot: &Plot) -> Option<Projection> {
        let zero = if has_bars(plot) { Zero::Needed } else { Zero::Near };
        Projection::over(self.points().map(|point| point.1), plot.y.scale, zero)
    }

    /// How an x axis of numbers lies; none without a point.
    fn across(&self, plot: &Plot, axis: &Axis) -> Option<Projection> {
        let zero = if has_bars(plot) { Zero::No } else { Zero::Near };
        let projection = Projection::over(self.points().map(|point| point.0), axis.scale, zero)?;
        // Half a bar stands beside the first and the last place.
        Some(if has_bars(plot) { projection.padded(self.bar_room(plot, &projection) / 2.0) } else { projection })
    }

    /// How much of the x axis each place with bars has for them.
    fn bar_room(&self, plot: &Plot, across: &Projection) -> f64 {
        let bars = plot.series.iter().zip(&self.series).filter(|(series, _)| series.drawn == Drawn::Bars);
        let places = bars.flat_map(|(_, points)| points.iter().flatten().map(|point| across.place(point.0)));
        narrowest(places.collect()).unwrap_or(0.5)
    }
}

fn has_bars(plot: &Plot) -> bool {
    plot.series.iter().any(|series| series.drawn == Drawn::Bars)
}

/// The least distance between two places that differ.
fn narrowest(mut places: Vec<f64>) -> Option<f64> {
    const SAME: f64 = 1e-9;
    places.sort_by(f64::total_cmp);
    let gaps = places.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > SAME);
    gaps.min_by(f64::total_cmp)
}

/// An axis in words: `median time (log)`.
fn axis_words(axis: &Axis) -> String {
    let what = match axis.unit {
        Unit::Count(what) if what != axis.label => format!(", {what}"),
        Unit::PerSecond(what) => format!(", {what}/s"),
        _ => String::new(),
    };
    let scale = match axis.scale {
        Scale::Linear => "",
        Scale::Log => " (log)",
    };
    let words = format!("{}{what}{scale}", axis.label);
    words.trim_start_matches([',', ' ']).to_string()
}

/// Text that moves no cursor and breaks no line.
fn safe(text: &str) -> String {
    escaped(text).replace('\n', "\\n").replace('\t', " ")
}
