//! What the parts of a plot of characters share: its pen, its width, its axes, its legend.

use unicode_width::UnicodeWidthStr;

use crate::report::{Axis, Drawn, Plot, Series, Unit};

use super::super::{Role, Style};
use super::axis::{Projection, Tick};
use super::canvas::{Canvas, Marked, column, row};
use super::pen::Pen;
use super::{Drawable, axis_words};

/// A wider plot is no easier to read.
const WIDEST: usize = 120;
/// A narrower one cannot be read.
const NARROWEST: usize = 24;
/// A piece of a line, in the legend.
const LEGEND_DOTS: u8 = 0x04 | 0x20;

/// What is drawn, and how.
pub struct Drawing<'a> {
    pub plot: &'a Plot,
    pub found: Drawable,
    pub pen: Pen,
    pub style: &'a Style,
    pub width: usize,
    /// Whether points are dots, not marks.
    is_cloud: bool,
    /// Whether there are several things of dots, so that lines need marks to be told apart without colour.
    marks_lines: bool,
}

impl<'a> Drawing<'a> {
    pub fn of(plot: &'a Plot, style: &'a Style) -> Drawing<'a> {
        // The last column stays free: some terminals break the line there.
        let width = style.width.saturating_sub(1).clamp(NARROWEST, WIDEST);
        let count = |drawn: Drawn| plot.series.iter().filter(|series| series.drawn == drawn).count();
        let points = plot.series.iter().filter(|series| series.drawn == Drawn::Points);
        // One cloud of many points needs no marks, and more of it is seen as dots.
        let is_cloud = count(Drawn::Points) == 1 && points.map(|series| series.points.len()).sum::<usize>() > 2 * width;
        let lines = plot.series.iter().filter(|series| series.drawn.is_line()).count();
        let marks_lines = lines + usize::from(is_cloud) > 1;
        Drawing { plot, found: Drawable::of(plot), pen: Pen::new(style.ascii), style, width, is_cloud, marks_lines }
    }

    /// Marks between two axes; and whether some stand for several series.
    pub fn grid(&self, axis: &Axis, up: &Projection) -> (String, bool) {
        let Drawing { pen, style, .. } = self;
        let across = self.found.across(self.plot, axis).expect("there is a point: it has a height");
        let rows = (self.width / 5).clamp(10, 20);
        let row = |tick: &Tick| row(up.place(tick.value), rows);
        let heights = fitting(up, self.plot.y.unit, rows / 2, |ticks| {
            ticks.windows(2).all(|pair| row(&pair[0]) >= row(&pair[1]) + 2)
        });
        let gutter = heights.iter().map(|tick| pen.text(&tick.text).width()).max().unwrap_or(0).min(self.width / 3);
        let columns = self.width - gutter - 2;
        let mut canvas = Canvas::new(columns, rows);
        self.draw(&mut canvas, columns, &across, up);
        let mut out = String::new();
        let words = axis_words(&self.plot.y);
        if !words.is_empty() {
            out.push_str(&style.paint_out(&pen.cut(&words, self.width), Role::Quiet));
            out.push('\n');
        }
        for (i, line) in canvas.lines(pen, style, |series| role(self.plot, series)).iter().enumerate() {
            let tick = heights.iter().find(|tick| row(tick) == i);
            let text = tick.map_or(String::new(), |tick| pen.cut(&tick.text, gutter));
            let room = " ".repeat(gutter - text.width());
            let side = if tick.is_some() { pen.side_tick } else { pen.side };
            out.push_str(&style.paint_out(&format!("{room}{text} {side}"), Role::Quiet));
            out.push_str(line);
            out.push('\n');
        }
        out.push_str(&self.floor(&across, axis, gutter, columns));
        (out, canvas.shares)
    }

    /// The x axis below: its line, its labels and its name. Columns are counted from behind the side.
    pub fn floor(&self, across: &Projection, axis: &Axis, gutter: usize, columns: usize) -> String {
        let Drawing { pen, style, .. } = self;
        let place = |tick: &Tick| {
            let (width, column) =
                (pen.text(&tick.text).width(), gutter + 2 + column(across.place(tick.value), columns));
            let start = column.saturating_sub(width / 2).min(self.width.saturating_sub(width));
            (column, start, start + width)
        };
        let ticks = fitting(across, axis.unit, columns / 6 + 1, |ticks| {
            ticks.windows(2).all(|pair| place(&pair[0]).2 + 2 <= place(&pair[1]).1)
        });
        let mut line = vec![pen.floor; columns];
        let mut labels = String::new();
        for tick in &ticks {
            let (column, start, _) = place(tick);
            line[column - gutter - 2] = pen.floor_tick;
            labels.push_str(&" ".repeat(start.saturating_sub(labels.width())));
            labels.push_str(&pen.text(&tick.text));
        }
        let line: String = line.into_iter().collect();
        let line = format!("{} {}{line}", " ".repeat(gutter), pen.corner);
        let words = pen.cut(&axis_words(axis), self.width);
        let room = " ".repeat((gutter + 2 + columns.saturating_sub(words.width()) / 2).min(self.width - words.width()));
        let name = if words.is_empty() { String::new() } else { format!("{room}{words}") };
        let lines = [line, labels, name].into_iter().filter(|line| !line.is_empty());
        lines.map(|line| format!("{}\n", style.paint_out(&line, Role::Quiet))).collect()
    }

    fn draw(&self, canvas: &mut Canvas, columns: usize, across: &Projection, up: &Projection) {
        let Drawing { plot, found, pen, .. } = self;
        let of = |drawn: Drawn| {
            plot.series.iter().zip(&found.series).enumerate().filter(move |(_, (s, _))| s.drawn == drawn)
        };
        let place = |(x, y): &(f64, f64)| (across.place(*x), up.place(*y));
        // Bars first, then lines and points before them.
        let room = found.bar_room(plot, across) * columns as f64;
        let beside = of(Drawn::Bars).count();
        let wide = ((room * 0.8 / beside.max(1) as f64) as usize).max(1);
        for (at, (series, (_, points))) in of(Drawn::Bars).enumerate() {
            for point in points.iter().flatten() {
                let (x, y) = place(point);
                let first = (x * columns as f64 - (wide * beside) as f64 / 2.0).round().max(0.0) as usize;
                let start = (first + at * wide).min(columns - 1);
                canvas.bar(series, start..start + wide, (up.ground(), y), pen);
            }
        }
        for (series, (_, points)) in of(Drawn::Points) {
            let places = points.iter().flatten().map(place);
            if self.is_cloud {
                canvas.dots(series, places);
            } else {
                places.for_each(|place| canvas.point(series, pen.mark(series), pen.several, place));
            }
        }
        let all = plot.series.iter().zip(&found.series).enumerate().filter(|(_, (series, _))| series.drawn.is_line());
        let lines = all.clone().count();
        for (at, (series, (_, points))) in all.enumerate() {
            let marked = self.marks_lines.then(|| Marked { mark: pen.mark(series), place: at, of: lines });
            canvas.line(series, points.iter().map(|point| point.as_ref().map(place)), marked);
        }
    }

    /// Which mark is which series.
    pub fn legend(&self, shares: bool) -> String {
        let Drawing { plot, pen, style, width, .. } = self;
        let dots = pen.dots(LEGEND_DOTS);
        let entry = |(i, series): (usize, &Series)| {
            let sign = match series.drawn {
                Drawn::Points if self.is_cloud => dots.to_string(),
                Drawn::Points => pen.mark(i).to_string(),
                Drawn::Line | Drawn::Zone(_) if self.marks_lines => format!("{dots}{}{dots}", pen.mark(i)),
                Drawn::Line | Drawn::Zone(_) => format!("{dots}{dots}"),
                Drawn::Bars => pen.fill(i).to_string(),
            };
            (i, sign, pen.cut(&series.label, width - 4))
        };
        let mut entries: Vec<(usize, String, String)> = plot.series.iter().enumerate().map(entry).collect();
        if entries.len() == 1 {
            entries.retain(|(_, _, label)| !label.is_empty());
        }
        if shares {
            entries.push((usize::MAX, pen.several.to_string(), "several series".to_string()));
        }
        let mut out = String::new();
        let mut used = 0;
        for (series, sign, label) in entries {
            let wide = sign.width() + 1 + label.width();
            if used > 0 {
                let gap = if used + 3 + wide > *width { "\n" } else { "   " };
                used = if gap == "\n" { 0 } else { used + 3 };
                out.push_str(gap);
            }
            used += wide;
            out.push_str(&style.paint_out(&sign, role(plot, series)));
            out.push_str(&format!(" {label}"));
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out
    }
}

/// The colour of a series.
fn role(plot: &Plot, series: usize) -> Role {
    match plot.series.get(series).map(|series| series.drawn) {
        Some(Drawn::Zone(tone)) => Role::Tone(tone),
        Some(Drawn::Points | Drawn::Line | Drawn::Bars) | None => Role::Series(series),
    }
}

/// The most ticks, at most so many, that have room.
fn fitting(projection: &Projection, unit: Unit, most: usize, have_room: impl Fn(&[Tick]) -> bool) -> Vec<Tick> {
    let tries = (2..=most.max(2)).rev().map(|most| projection.ticks(unit, most));
    let mut last = Vec::new();
    for ticks in tries {
        if have_room(&ticks) {
            return ticks;
        }
        last = ticks;
    }
    last.truncate(1);
    last
}
