//! Tables of measurements: with units for people, as plain numbers for programs.

use std::collections::HashSet;

use unicode_width::UnicodeWidthStr;

use crate::data::{Value, scalar};
use crate::escape::escaped;
use crate::report::{Bounds, Field, Figures, Meaning, Unit};

use super::numbers::{lone_ratio, ratio_within};
use super::wrap::wrapped;
use super::{Format, Style, figure, table};

/// A verdict over several variants is long.
const WIDEST: usize = 80;

pub fn written(figures: &Figures, style: &Style) -> String {
    match style.format {
        Format::Table => draw(figures, style),
        Format::Csv => table::csv(&figures.table),
        Format::Json => table::json(&figures.table),
        Format::Markdown => table::markdown(&figures.table),
    }
}

/// A ratio and where it lies are drawn as one column, and so are all calls and those that are not recursive.
fn draw(figures: &Figures, style: &Style) -> String {
    let Figures { table, meanings, is_whole, .. } = figures;
    let height = table.height();
    let shown = if *is_whole { height } else { table::shown(height) };
    // What nothing was measured of has no columns either.
    if meanings.is_empty() {
        return String::new();
    }
    let (mut names, mut right, mut cells): (Vec<String>, Vec<bool>, Vec<Vec<String>>) = Default::default();
    for (i, (column, Meaning { unit, .. })) in table.schema().columns.iter().zip(meanings).enumerate() {
        let of = |place: usize| table.values(place, 0, height);
        let (name, texts) = match unit {
            Unit::Low | Unit::High | Unit::Primitive => continue,
            Unit::Ratio(kind) => {
                let bounds = of(i + 1).into_iter().zip(of(i + 2));
                let texts = of(i).iter().zip(bounds).map(|(ratio, (low, high))| interval(ratio, &low, &high)).collect();
                let said = match kind {
                    Bounds::Interval => "95% CI",
                    Bounds::Range => "least greatest",
                    Bounds::Either => "CI or range",
                };
                (format!("{} [{said}]", column.name), texts)
            }
            Unit::Calls => {
                let texts = of(i).iter().zip(of(i + 1)).map(|(all, primitive)| calls(all, &primitive)).collect();
                (column.name.clone(), texts)
            }
            Unit::Plain
            | Unit::Bar
            | Unit::Times
            | Unit::Seconds
            | Unit::Bytes
            | Unit::Share
            | Unit::Count(_)
            | Unit::PerSecond(_)
            | Unit::BytesPerSecond => {
                let texts = of(i).iter().map(|value| escaped(&text(value, *unit))).collect();
                (escaped(&column.name), texts)
            }
        };
        names.push(name);
        right.push(column.ty.is_number());
        cells.push(texts);
    }
    let wide = |i: usize| cells[i].iter().chain([&names[i]]).map(|cell| cell.width().min(WIDEST)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..names.len()).map(wide).collect();
    let mut out = String::new();
    for part in parts(&widths, naming(&cells, &right, height), style.width) {
        if let Some((last, others)) = part.split_last().filter(|(last, _)| !right[**last]) {
            let used = 1 + others.iter().map(|i| widths[*i] + 3).sum::<usize>() + 3;
            in_lines(&mut cells[*last], style.width.saturating_sub(used));
        }
        let heads: Vec<&str> = part.iter().map(|i| names[*i].as_str()).collect();
        let right: Vec<bool> = part.iter().map(|i| right[*i]).collect();
        let cut = |cell: &String| cell.lines().map(|line| table::cut(line, WIDEST)).collect::<Vec<_>>().join("\n");
        let first = |i: usize, shown: usize| cells[part[i]][..shown].iter().map(cut).collect();
        out.push_str(&table::fitted(&heads, &right, WIDEST, (shown, height), &first, style));
    }
    out
}

/// Breaks cells of words that are wider than the room for them.
fn in_lines(cells: &mut [String], room: usize) {
    // In less, there are too few words in a line to be read.
    const LEAST: usize = 16;
    if room < LEAST {
        return;
    }
    for cell in cells.iter_mut().filter(|cell| cell.width() > room) {
        *cell = wrapped(cell, room).trim_end().to_string();
    }
}

/// How many columns name a row: the first ones in words whose cells are together in no other row.
fn naming(cells: &[Vec<String>], are_numbers: &[bool], height: usize) -> usize {
    let words = are_numbers.iter().take_while(|is_number| !**is_number).count();
    let is_distinct = |count: &usize| {
        let row = |at: usize| cells[..*count].iter().map(move |column| &column[at]).collect::<Vec<_>>();
        (0..height).map(row).collect::<HashSet<_>>().len() == height
    };
    (1..=words).find(is_distinct).unwrap_or(1).min(cells.len())
}

/// Which columns stand side by side: those that do not fit go on below, each part behind the columns that name a row,
/// or behind the first one alone where these would leave little room.
fn parts(widths: &[usize], naming: usize, width: usize) -> Vec<Vec<usize>> {
    let wide = |columns: &[usize]| 1 + columns.iter().map(|column| column + 3).sum::<usize>();
    const ROOM: usize = 20;
    let naming = if wide(&widths[..naming]) + ROOM > width { 1 } else { naming };
    let named: Vec<usize> = (0..naming).collect();
    let mut parts = vec![named.clone()];
    let first = wide(&widths[..naming]);
    let mut used = first;
    for (i, column) in widths.iter().enumerate().skip(naming) {
        let last = parts.last_mut().expect("there is a part");
        if used + column + 3 > width && last.len() > naming {
            parts.push([named.as_slice(), &[i]].concat());
            used = first + column + 3;
        } else {
            last.push(i);
            used += column + 3;
        }
    }
    parts
}

fn text(value: &Value, unit: Unit) -> String {
    match value {
        Value::Null => "·".to_string(),
        Value::Int(i) if matches!(unit, Unit::Plain | Unit::Calls) => scalar::grouped(&i.to_string()),
        value => figure(&Field::counted("", value.clone(), unit)),
    }
}

/// All calls, and those that are no recursion where these are fewer: `8 361/1`
fn calls(all: &Value, primitive: &Value) -> String {
    let all_text = text(all, Unit::Calls);
    if all == primitive { all_text } else { format!("{all_text}/{}", text(primitive, Unit::Calls)) }
}

/// `134× [131 138]`
fn interval(ratio: &Value, low: &Value, high: &Value) -> String {
    match (ratio, low, high) {
        (Value::Float(ratio), Value::Float(low), Value::Float(high)) => {
            let [ratio, low, high] = ratio_within(*ratio, *low, *high);
            format!("{ratio}× [{low} {high}]")
        }
        // The baseline's own.
        (Value::Float(1.0), ..) => text(ratio, Unit::Times),
        (Value::Float(ratio), ..) => format!("{}×", lone_ratio(*ratio)),
        _ => text(ratio, Unit::Times),
    }
}
