//! Tables: drawn for people, written for programs.

use std::io::{self, Write};

use comfy_table::{
    Attribute, Cell, CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table as Grid, TableStyle,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::data::{Column, Schema, Table, Type, Value, encode};
use crate::escape::is_unsafe;

use super::{Format, Role, Style, numbers, written};

/// Longer tables show this many rows; the rest is counted.
pub const MOST_ROWS: usize = 40;
pub const FIRST_ROWS: usize = MOST_ROWS / 2;
/// Wider cells are cut.
const WIDEST_CELL: usize = 60;

const LINES: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('┌', '─', '┬', '┐'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('└', '─', '┴', '┘'));

/// A table fitted to the width, where what does not fit is counted below; and whether it shows rounded floats. The
/// `named` columns come first where there is no room for all.
pub fn drawn(table: &Table, named: &[String], style: &Style) -> (String, bool) {
    let shown = shown(table.height());
    let first = first_rows(table, shown, named, style);
    (first.text + &below((table.height() - shown) as u64, &first.left_out, style), first.rounded)
}

/// The first rows of a table, drawn.
pub struct FirstRows {
    pub text: String,
    /// The columns that had no room.
    pub left_out: Vec<String>,
    /// Whether they show rounded floats.
    pub rounded: bool,
}

pub fn first_rows(table: &Table, shown: usize, named: &[String], style: &Style) -> FirstRows {
    let columns = &table.schema().columns;
    let mut order: Vec<usize> = (0..columns.len()).collect();
    let first = rows_in_order(table, shown, &order, style);
    if first.left_out.is_empty() || named.is_empty() {
        return first;
    }
    order.sort_by_key(|i| !named.contains(&columns[*i].name));
    rows_in_order(table, shown, &order, style)
}

fn rows_in_order(table: &Table, shown: usize, order: &[usize], style: &Style) -> FirstRows {
    let columns: Vec<&Column> = order.iter().map(|i| &table.schema().columns[*i]).collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let right: Vec<bool> = columns.iter().map(|column| column.ty.is_number()).collect();
    let widest = if columns.len() == 1 { style.width.max(WIDEST_CELL) } else { WIDEST_CELL };
    let rounded = std::cell::Cell::new(false);
    let cells = |i: usize, shown: usize| {
        let values = table.values(order[i], 0, shown);
        let floats: Vec<f64> =
            values.iter().filter_map(|value| if let Value::Float(x) = value { Some(*x) } else { None }).collect();
        let (floats, is_rounded) = numbers::floats(&floats);
        rounded.set(rounded.get() || is_rounded);
        let mut floats = floats.into_iter();
        let text = |value: &Value| match value {
            Value::Float(_) => floats.next().expect("it is one of those above"),
            other => cut(&cell(other, widest), widest),
        };
        values.iter().map(text).collect()
    };
    let (text, drawn) = grid(&names, &right, widest, shown, &cells, style);
    let left_out = names[drawn..].iter().map(|name| name.to_string()).collect();
    FirstRows { text, left_out, rounded: rounded.get() }
}

/// How many rows of a table of this height are shown.
pub fn shown(height: usize) -> usize {
    if height > MOST_ROWS { FIRST_ROWS } else { height }
}

/// Draws columns by their names, alignment and cells of the rows that are shown; what does not fit is counted below.
pub fn fitted(
    names: &[&str],
    right: &[bool],
    widest: usize,
    (shown, height): (usize, usize),
    first: &dyn Fn(usize, usize) -> Vec<String>,
    style: &Style,
) -> String {
    let (out, drawn) = grid(names, right, widest, shown, first, style);
    let left_out: Vec<String> = names[drawn..].iter().map(|name| name.to_string()).collect();
    out + &below((height - shown) as u64, &left_out, style)
}

/// The first rows, and how many columns had room.
fn grid(
    names: &[&str],
    right: &[bool],
    widest: usize,
    shown: usize,
    first: &dyn Fn(usize, usize) -> Vec<String>,
    style: &Style,
) -> (String, usize) {
    let mut drawn: Vec<(Vec<String>, usize)> = Vec::new();
    let mut room = style.width.saturating_sub(1);
    for (i, name) in names.iter().enumerate() {
        let mut cells: Vec<String> = vec![cut(&visible(name, widest), widest)];
        cells.extend(first(i, shown));
        // A cell may have several lines.
        let wide = |cells: &[String]| cells.iter().flat_map(|cell| cell.lines()).map(|line| line.width()).max();
        let mut width = wide(&cells).unwrap_or(0);
        if width + 3 > room {
            // The first column is cut to what there is; later ones are cut only to a width that can still be read.
            let least = if i == 0 { 4 } else { 12 };
            if room < least + 3 && i > 0 {
                break;
            }
            width = room.saturating_sub(3).max(least);
            cells.iter_mut().for_each(|cell| *cell = cut(cell, width));
            width = wide(&cells).unwrap_or(0);
        }
        room = room.saturating_sub(width + 3);
        drawn.push((cells, i));
    }
    let mut grid = Grid::new();
    grid.load_style(LINES);
    grid.set_content_arrangement(ContentArrangement::Disabled);
    let cells = |row: usize| drawn.iter().map(move |(cells, i)| (cells[row].clone(), *i));
    let aligned = |(text, i): (String, usize)| {
        Cell::new(text).set_alignment(if right[i] { CellAlignment::Right } else { CellAlignment::Left })
    };
    let head =
        cells(0).map(aligned).map(|cell| if style.color_out { cell.add_attribute(Attribute::Bold) } else { cell });
    grid.set_header(head);
    for row in 1..=shown {
        grid.add_row(cells(row).map(aligned));
    }
    (format!("{grid}\n"), drawn.len())
}

/// The line below a table that says what had no room; nothing where all had.
pub fn below(more: u64, columns: &[String], style: &Style) -> String {
    let mut hidden = Vec::new();
    if more > 0 {
        hidden.push(format!("{} more {}", numbers::grouped(more), if more == 1 { "row" } else { "rows" }));
    }
    if !columns.is_empty() {
        let noun = if columns.len() == 1 { "column" } else { "columns" };
        let said = format!("{} more {noun}: {}", columns.len(), columns.join(", "));
        hidden.push(cut(&said, style.width.saturating_sub(3)));
    }
    if hidden.is_empty() {
        return String::new();
    }
    format!("{}\n", style.paint_out(&format!("… {}", hidden.join(", ")), Role::Quiet))
}

/// Writes all rows and columns, however wide; a long table is never drawn as a whole. Ends early once `stopped` says
/// so.
pub fn whole(table: &Table, style: &Style, stopped: &dyn Fn() -> bool, out: &mut dyn Write) -> io::Result<()> {
    if style.format != Format::Table {
        return out.write_all(style.outward(&written(table, style)).as_bytes());
    }
    let columns = &table.schema().columns;
    let names: Vec<String> = columns.iter().map(|column| visible(&column.name, usize::MAX)).collect();
    let mut widths: Vec<usize> = names.iter().map(|name| name.width()).collect();
    each_row(table, stopped, |row| {
        for (width, value) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell(value, usize::MAX).width());
        }
        Ok(())
    })?;
    let rule = |left: &str, between: &str, right: &str| {
        let lines: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        format!("{left}{}{right}\n", lines.join(between))
    };
    let line = |cells: Vec<String>| {
        let padded = cells.iter().zip(&widths).zip(columns).map(|((cell, width), column)| {
            let room = " ".repeat(width.saturating_sub(cell.width()));
            if column.ty.is_number() { format!(" {room}{cell} ") } else { format!(" {cell}{room} ") }
        });
        format!("│{}│\n", padded.collect::<Vec<_>>().join("│"))
    };
    out.write_all(rule("┌", "┬", "┐").as_bytes())?;
    out.write_all(line(names).as_bytes())?;
    out.write_all(rule("├", "┼", "┤").as_bytes())?;
    each_row(table, stopped, |row| {
        out.write_all(line(row.iter().map(|value| cell(value, usize::MAX)).collect()).as_bytes())
    })?;
    out.write_all(rule("└", "┴", "┘").as_bytes())
}

/// A float with all its digits.
fn float(x: f64) -> String {
    let exact = crate::data::scalar::float_text(x);
    match exact.split_once('.') {
        Some((whole, fraction)) if whole.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{}.{fraction}", crate::data::scalar::grouped(whole))
        }
        _ => exact,
    }
}

/// A value in at most some `widest` characters.
fn cell(value: &Value, widest: usize) -> String {
    match value {
        Value::Null => "·".to_string(),
        Value::Int(i) => crate::data::scalar::grouped(&i.to_string()),
        Value::Float(x) => float(*x),
        Value::Text(text) => visible(text, widest),
        Value::Bool(_) => value.to_string(),
        Value::List(items) => {
            // No more than can be seen.
            let first: Vec<String> = items.iter().take(widest).map(|item| item.to_string()).collect();
            visible(&format!("[{}{}]", first.join(", "), if items.len() > widest { ", …" } else { "" }), widest)
        }
    }
}

/// Control characters shown as what they are, so that no cell moves the cursor.
fn visible(text: &str, widest: usize) -> String {
    let mut out = String::new();
    // A character may take no room at all.
    for c in text.chars().take(widest.saturating_mul(4)) {
        if is_unsafe(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// At most `width` columns of the terminal, with `…` where something is left out.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_string();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// Calls `row` for each row with its values, until it fails or `stopped` says so.
fn each_row(
    table: &Table,
    stopped: &dyn Fn() -> bool,
    mut row: impl FnMut(&[Value]) -> io::Result<()>,
) -> io::Result<()> {
    const CHUNK: usize = 4096;
    let width = table.schema().columns.len();
    for start in (0..table.height()).step_by(CHUNK) {
        if stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let columns: Vec<Vec<Value>> = (0..width).map(|i| table.values(i, start, CHUNK)).collect();
        let mut values = Vec::with_capacity(width);
        for i in 0..columns.first().map_or(0, Vec::len) {
            values.clear();
            values.extend(columns.iter().map(|column| column[i].clone()));
            row(&values)?;
        }
    }
    Ok(())
}

/// The same for what cannot fail.
fn every_row(table: &Table, mut row: impl FnMut(&[Value])) {
    let all = each_row(table, &|| false, |values| {
        row(values);
        Ok(())
    });
    all.expect("nothing stops it");
}

pub fn csv(table: &Table) -> String {
    all_text(TextFormat::Csv, table)
}

pub fn json(table: &Table) -> String {
    all_text(TextFormat::Json, table)
}

pub fn markdown(table: &Table) -> String {
    all_text(TextFormat::Markdown, table)
}

fn all_text(format: TextFormat, table: &Table) -> String {
    let mut out = String::new();
    let mut text = Text::start(format, table.schema(), &mut out);
    text.rows(table, &mut out);
    text.end(&mut out);
    out
}

/// The formats whose rows do not depend on each other.
#[derive(Clone, Copy)]
pub enum TextFormat {
    Csv,
    Json,
    Markdown,
}

/// A table on its way into such a format.
pub struct Text {
    format: TextFormat,
    /// Of the columns, as json texts.
    names: Vec<String>,
    is_empty: bool,
}

impl Text {
    /// Adds what stands before the first row to `out`.
    pub fn start(format: TextFormat, schema: &Schema, out: &mut String) -> Text {
        match format {
            TextFormat::Csv => {
                encode::csv_header(out, schema.names(), ',');
                out.push('\n');
            }
            TextFormat::Json => out.push('['),
            TextFormat::Markdown => {
                let names: Vec<String> = schema.names().map(markdown_cell).collect();
                out.push_str(&format!("| {} |\n", names.join(" | ")));
                let rules = schema.columns.iter().map(|column| match column.ty {
                    Type::Int | Type::Float => "---:",
                    Type::Bool | Type::Text | Type::List(_) | Type::Open | Type::Never => "---",
                });
                out.push_str(&format!("|{}|\n", rules.collect::<Vec<_>>().join("|")));
            }
        }
        Text { format, names: schema.names().map(encode::json_text).collect(), is_empty: true }
    }

    pub fn rows(&mut self, table: &Table, out: &mut String) {
        every_row(table, |row| {
            match self.format {
                TextFormat::Csv => {
                    encode::csv_row(out, row, ',');
                    out.push('\n');
                }
                TextFormat::Json => {
                    out.push_str(if self.is_empty { "" } else { ",\n " });
                    encode::json_row(out, &self.names, row);
                }
                TextFormat::Markdown => {
                    let cells = row.iter().map(|value| match value {
                        Value::Null => String::new(),
                        Value::Text(text) => markdown_cell(text),
                        other => markdown_cell(&other.to_string()),
                    });
                    out.push_str(&format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ")));
                }
            }
            self.is_empty = false;
        });
    }

    /// Adds what stands after the last row.
    pub fn end(&self, out: &mut String) {
        match self.format {
            TextFormat::Json => out.push_str("]\n"),
            TextFormat::Csv | TextFormat::Markdown => {}
        }
    }
}

fn markdown_cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}
