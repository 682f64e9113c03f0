//! A plot as lines of characters.

use crate::report::{Across, Plot};

use super::super::{Role, Style, wrap};
use super::drawing::Drawing;
use super::names;

pub fn drawn(plot: &Plot, style: &Style) -> String {
    let drawing = Drawing::of(plot, style);
    let mut out = String::new();
    if !plot.title.is_empty() {
        out.push_str(&style.paint_out(&drawing.pen.cut(&plot.title, drawing.width), Role::Heading));
        out.push('\n');
    }
    let (body, shares) = match (drawing.found.up(plot), &plot.x) {
        (None, _) => ("no points to draw\n".to_string(), false),
        (Some(up), Across::Numbers(axis)) => drawing.grid(axis, &up),
        (Some(up), Across::Names { label, names }) => (names::drawn(&drawing, label, names, &up), false),
    };
    out.push_str(&body);
    if drawing.found.points().next().is_some() {
        out.push_str(&drawing.legend(shares));
    }
    if let Some(note) = drawing.found.note() {
        for line in wrap::wrapped(&note, drawing.width).lines() {
            out.push_str(&style.paint_out(line, Role::Quiet));
            out.push('\n');
        }
    }
    out
}
