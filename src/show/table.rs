//! Tables: drawn for people, written for programs.

use comfy_table::{
    Attribute, Cell, CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table as Grid, TableStyle,
};
use nu_ansi_term::Style as Ansi;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::data::{Table, Type, Value, encode};

use super::{Style, is_unsafe, numbers, paint};

/// Longer tables show this many rows; the rest is counted.
const MOST_ROWS: usize = 40;
/// Wider cells are cut.
const WIDEST_CELL: usize = 60;

const LINES: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('┌', '─', '┬', '┐'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('└', '─', '┴', '┘'));

/// A table fitted to the width: what does not fit is counted below.
pub fn drawn(table: &Table, style: &Style) -> String {
    let height = table.height();
    let shown = if height > MOST_ROWS { MOST_ROWS / 2 } else { height };
    fitted(table, shown, style.width, style)
}

/// All rows and columns, however wide.
pub fn whole(table: &Table, style: &Style) -> String {
    fitted(table, table.height(), usize::MAX, style)
}

fn fitted(table: &Table, shown: usize, width: usize, style: &Style) -> String {
    let height = table.height();
    let columns = &table.schema().columns;
    let mut drawn: Vec<(Vec<String>, usize)> = Vec::new();
    let mut room = width.saturating_sub(1);
    for (i, column) in columns.iter().enumerate() {
        let values = table.values(i, 0, shown);
        let widest = if columns.len() == 1 || width == usize::MAX { width.max(WIDEST_CELL) } else { WIDEST_CELL };
        let mut cells: Vec<String> = vec![cut(&visible(&column.name), widest)];
        cells.extend(values.iter().map(|value| cut(&cell(value), widest)));
        let wide = |cells: &[String]| cells.iter().map(|cell| cell.width()).max().unwrap_or(0);
        let mut width = wide(&cells);
        if width + 3 > room {
            // The first column is cut to what there is; later ones are cut only to a width that can still be read.
            let least = if i == 0 { 4 } else { 12 };
            if room < least + 3 && i > 0 {
                break;
            }
            width = room.saturating_sub(3).max(least);
            cells.iter_mut().for_each(|cell| *cell = cut(cell, width));
            width = wide(&cells);
        }
        room = room.saturating_sub(width + 3);
        drawn.push((cells, i));
    }
    let mut grid = Grid::new();
    grid.load_style(LINES);
    grid.set_content_arrangement(ContentArrangement::Disabled);
    let cells = |row: usize| drawn.iter().map(move |(cells, i)| (cells[row].clone(), *i));
    let aligned = |(text, i): (String, usize)| {
        let number = columns[i].ty.is_number();
        Cell::new(text).set_alignment(if number { CellAlignment::Right } else { CellAlignment::Left })
    };
    let head =
        cells(0).map(aligned).map(|cell| if style.color_out { cell.add_attribute(Attribute::Bold) } else { cell });
    grid.set_header(head);
    for row in 1..=shown {
        grid.add_row(cells(row).map(aligned));
    }
    let mut out = format!("{grid}\n");
    let mut hidden = Vec::new();
    if shown < height {
        let more = (height - shown) as u64;
        hidden.push(format!("{} more {}", numbers::grouped(more), if more == 1 { "row" } else { "rows" }));
    }
    if drawn.len() < columns.len() {
        let names: Vec<&str> = columns[drawn.len()..].iter().map(|column| column.name.as_str()).collect();
        hidden.push(cut(
            &format!(
                "{} more {}: {}",
                names.len(),
                if names.len() == 1 { "column" } else { "columns" },
                names.join(", ")
            ),
            style.width.saturating_sub(3),
        ));
    }
    if !hidden.is_empty() {
        out.push_str(&paint(&format!("… {}", hidden.join(", ")), Ansi::new().dimmed(), style.color_out));
        out.push('\n');
    }
    out
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "·".to_string(),
        Value::Int(i) => crate::data::scalar::grouped(&i.to_string()),
        Value::Float(x) => numbers::float(*x),
        Value::Text(text) => visible(text),
        Value::Bool(_) => value.to_string(),
        Value::List(items) => {
            // No more than can be seen.
            let first: Vec<String> = items.iter().take(WIDEST_CELL).map(|item| item.to_string()).collect();
            visible(&format!("[{}{}]", first.join(", "), if items.len() > WIDEST_CELL { ", …" } else { "" }))
        }
    }
}

/// Control characters shown as what they are, so that no cell moves the cursor.
fn visible(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(4 * WIDEST_CELL) {
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

/// Calls `row` for each row with its values.
fn each_row(table: &Table, mut row: impl FnMut(&[Value])) {
    const CHUNK: usize = 4096;
    let width = table.schema().columns.len();
    for start in (0..table.height()).step_by(CHUNK) {
        let columns: Vec<Vec<Value>> = (0..width).map(|i| table.values(i, start, CHUNK)).collect();
        let mut values = Vec::with_capacity(width);
        for i in 0..columns.first().map_or(0, Vec::len) {
            values.clear();
            values.extend(columns.iter().map(|column| column[i].clone()));
            row(&values);
        }
    }
}

pub fn csv(table: &Table) -> String {
    let mut out = String::new();
    encode::csv_header(&mut out, table.schema().names());
    out.push('\n');
    each_row(table, |row| {
        encode::csv_row(&mut out, row);
        out.push('\n');
    });
    out
}

pub fn json(table: &Table) -> String {
    let names: Vec<String> = table.schema().names().map(encode::json_text).collect();
    let mut out = String::from("[");
    each_row(table, |row| {
        out.push_str(if out.len() > 1 { ",\n " } else { "" });
        encode::json_row(&mut out, &names, row);
    });
    out.push_str("]\n");
    out
}

pub fn markdown(table: &Table) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
    let mut out = String::new();
    let names: Vec<String> = table.schema().names().map(escaped).collect();
    out.push_str(&format!("| {} |\n", names.join(" | ")));
    let rules = table.schema().columns.iter().map(|column| match column.ty {
        Type::Int | Type::Float => "---:",
        Type::Bool | Type::Text | Type::List(_) | Type::Open | Type::Never => "---",
    });
    out.push_str(&format!("|{}|\n", rules.collect::<Vec<_>>().join("|")));
    each_row(table, |row| {
        let cells = row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::Text(text) => escaped(text),
            other => escaped(&other.to_string()),
        });
        out.push_str(&format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ")));
    });
    out
}
