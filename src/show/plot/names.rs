//! A plot over names, as lines of characters: a bar to the right for each name and series.

use unicode_width::UnicodeWidthStr;

use crate::data::Value;
use crate::report::{Drawn, Field};

use super::super::{Role, figure, grouped};
use super::axis::Projection;
use super::canvas::column;
use super::drawing::Drawing;

/// More names than this are counted, not drawn.
const MOST: usize = 40;

pub fn drawn(drawing: &Drawing, label: &str, names: &[String], along: &Projection) -> String {
    let Drawing { plot, found, pen, style, width, .. } = drawing;
    let shown = names.len().min(MOST);
    let gutter =
        names[..shown].iter().chain([&label.to_string()]).map(|name| pen.text(name).width()).max().unwrap_or(0);
    let gutter = gutter.min(width / 3);
    let figures = |y: f64| pen.text(&figure(&Field::counted("", Value::Float(y), plot.y.unit)));
    let bars = || found.series.iter().enumerate().flat_map(|(i, points)| points.iter().flatten().map(move |p| (i, p)));
    let widest = bars().map(|(_, point)| figures(point.1).width()).max().unwrap_or(0).min(width / 4);
    let columns = width - gutter - 2 - widest - 1;
    let mut out = String::new();
    let mut heading = |text: &str| {
        if !text.is_empty() {
            out.push_str(&style.paint_out(&pen.cut(text, gutter), Role::Quiet));
            out.push('\n');
        }
    };
    heading(label);
    for (at, name) in names[..shown].iter().enumerate() {
        let mut name = pen.cut(name, gutter);
        for (series, point) in bars().filter(|(_, point)| point.0 == at as f64) {
            let room = " ".repeat(gutter - name.width());
            out.push_str(&format!("{room}{name} {}", style.paint_out(&pen.side.to_string(), Role::Quiet)));
            let bar = match plot.series[series].drawn {
                Drawn::Bars => bar(drawing, series, along, point.1, columns),
                Drawn::Points | Drawn::Line | Drawn::Zone(_) => {
                    let at = column(along.place(point.1), columns);
                    format!("{}{}", " ".repeat(at), pen.mark(series))
                }
            };
            out.push_str(&style.paint_out(&bar, Role::Series(series)));
            out.push_str(&format!(" {}\n", pen.cut(&figures(point.1), widest)));
            name.clear();
        }
        if !name.is_empty() {
            out.push_str(&format!("{}{name} {}\n", " ".repeat(gutter - name.width()), pen.side));
        }
    }
    out.push_str(&drawing.floor(along, &plot.y, gutter, columns));
    if shown < names.len() {
        let more = format!("{} more names are not drawn", grouped((names.len() - shown) as u64));
        out.push_str(&style.paint_out(&more, Role::Quiet));
        out.push('\n');
    }
    out
}

/// A bar from the ground to a value, in eighths of a character where there are such.
fn bar(drawing: &Drawing, series: usize, along: &Projection, value: f64, columns: usize) -> String {
    let (pen, fill) = (&drawing.pen, drawing.pen.fill(series));
    let (ground, end) = (along.ground() * columns as f64, along.place(value) * columns as f64);
    let (from, to) = if end >= ground { (ground, end) } else { (end, ground) };
    let start = from.round() as usize;
    let eighths = ((to - start as f64).max(0.0) * 8.0).round() as usize;
    let (full, part) = (eighths / 8, eighths % 8);
    let last = if pen.has_parts(fill) { pen.part(part) } else { (part >= 4).then_some(fill) };
    let body: String = std::iter::repeat_n(fill, full).chain(last).collect();
    // What is too short to be drawn is there all the same.
    let body = if body.is_empty() { pen.side.to_string() } else { body };
    format!("{}{body}", " ".repeat(start.min(columns.saturating_sub(1))))
}
