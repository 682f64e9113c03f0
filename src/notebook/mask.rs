//! A report as the pattern of what it prints: a mark stands in the place of each measured figure. The marks come from
//! the report alone, never from the text.

use crate::data::{Column, Schema, Table, Type, Value};
use crate::report::{Across, Axis, Block, Field, Figures, Note, Piece, Plot, Report, Unit};
use crate::show::{self, Style};

/// Marks, which no text of a person holds: characters for private use.
pub const MARKS: std::ops::RangeInclusive<char> = '\u{e000}'..='\u{e01f}';

/// At the start of a line: the file may leave it out.
pub const OPTIONAL: char = '\u{e001}';
/// At the start of a line whose parts may come and go.
pub const LOOSE: char = '\u{e002}';
/// In the place of lines whose first contains the rest of this one.
pub const DRAWN: char = '\u{e003}';
/// In the place of a map: boxes, and a last line that begins with the rest of this one.
pub const MAP: char = '\u{e006}';
/// At the start of the status line.
pub const STATUS: char = '\u{e004}';
/// In the place of lines that another run has said.
pub const MORE: char = '\u{e005}';

/// What kind of figure a mark stands for.
pub fn mark(unit: Unit) -> char {
    match unit {
        Unit::Seconds => '\u{e010}',
        Unit::Bytes => '\u{e011}',
        Unit::Count(_) => '\u{e012}',
        Unit::PerSecond(_) | Unit::BytesPerSecond => '\u{e013}',
        Unit::Share | Unit::Bar => '\u{e014}',
        Unit::Ratio(_) | Unit::Low | Unit::High | Unit::Times => '\u{e015}',
        Unit::Plain => '\u{e016}',
    }
}

fn mark_of(ty: &Type) -> char {
    if ty.is_number() { '\u{e017}' } else { mark(Unit::Plain) }
}

/// How a mark is shown to people.
pub fn word(mark: char) -> &'static str {
    match mark {
        '\u{e010}' => "‹time›",
        '\u{e011}' => "‹bytes›",
        '\u{e012}' => "‹count›",
        '\u{e013}' => "‹throughput›",
        '\u{e014}' => "‹share›",
        '\u{e015}' => "‹ratio›",
        '\u{e016}' => "‹words›",
        '\u{e017}' => "‹number›",
        DRAWN | MAP => "‹drawn› ",
        _ => "",
    }
}

/// The lines of a report with marks, drawn in this style: what goes to standard output, then what goes to standard
/// error.
pub fn masked(report: &Report, style: &Style) -> String {
    let is_measured = report.blocks.iter().any(holds_measured);
    let mut blocks = Vec::new();
    for block in &report.blocks {
        match block {
            // Between them another run may say more.
            Block::Notes(notes) if is_measured => {
                let each =
                    mask_notes(notes).into_iter().flat_map(|note| [Note::default().text(MORE.to_string()), note]);
                blocks.push(Block::Notes(each.collect()));
            }
            _ => blocks.extend(mask(block, style)),
        }
        if is_measured && matches!(block, Block::Notes(_) | Block::Timing(_) | Block::Measured(_)) {
            blocks.push(Block::Text(MORE.to_string()));
        }
    }
    let parts: Vec<Note> = report.status_line.iter().filter(|note| !note.is_optional).map(mask_note).collect();
    let show::Drawn { mut out, err } = show::report(&Report { blocks, status_line: Vec::new() }, style);
    // Whether floats are rounded belongs to the status line, and hangs on what was measured.
    out.push_str(err.strip_suffix(&format!("{}\n", show::ROUNDED)).unwrap_or(&err));
    if !parts.is_empty() {
        let line = parts.iter().map(show::note).collect::<Vec<_>>().join(" · ");
        out.push_str(&format!("{STATUS}{line}\n"));
    }
    out
}

fn holds_measured(block: &Block) -> bool {
    match block {
        Block::Table { measured, .. } | Block::Whole { measured, .. } | Block::Value { measured, .. } => *measured,
        Block::Text(_) | Block::Told { .. } | Block::Printed(_) | Block::Flow(_) => false,
        Block::Measured(_) | Block::Timing(_) => true,
        Block::Figures(figures) | Block::Data(figures) | Block::Aside(figures) => {
            figures.meanings.iter().any(|meaning| meaning.measured)
        }
        Block::Notes(notes) => notes.iter().any(|note| note.is_optional),
        Block::Plot(plot) => is_plot_measured(plot),
        Block::Map(_) => true,
    }
}

fn mask(block: &Block, style: &Style) -> Vec<Block> {
    match block {
        Block::Table { table, measured: true } => {
            vec![Block::Table { table: masked_table(table).into(), measured: true }]
        }
        Block::Whole { table, measured: true } => {
            vec![Block::Whole { table: masked_table(table).into(), measured: true }]
        }
        Block::Value { ty, measured: true, .. } => vec![Block::Text(mark_of(ty).to_string())],
        Block::Table { .. }
        | Block::Whole { .. }
        | Block::Value { .. }
        | Block::Text(_)
        | Block::Told { .. }
        | Block::Flow(_)
        | Block::Printed(_) => vec![block.clone()],
        Block::Measured(fields) => {
            let masked = Block::Measured(fields.iter().map(mask_field).collect());
            let drawn = show::report(&Report { blocks: vec![masked], status_line: Vec::new() }, style);
            let lines = drawn.out.lines().map(|line| format!("{LOOSE}{line}"));
            vec![Block::Text(lines.collect::<Vec<_>>().join("\n"))]
        }
        Block::Figures(found) => vec![Block::Figures(mask_figures(found))],
        Block::Data(_) => Vec::new(),
        Block::Aside(found) => vec![Block::Aside(mask_figures(found))],
        Block::Notes(notes) => vec![Block::Notes(mask_notes(notes))],
        // Its lines are drawn from samples.
        Block::Timing(timing) => {
            vec![Block::Text(format!("{DRAWN}sample")), Block::Notes(mask_notes(&timing.notes))]
        }
        Block::Map(map) => vec![Block::Text(format!("{MAP}{} = ", show::map_measure(map)))],
        Block::Plot(plot) if is_plot_measured(plot) => vec![Block::Text(format!("{DRAWN}{}", plot.title))],
        Block::Plot(plot) => vec![Block::Plot(Plot { in_table: false, ..plot.clone() })],
    }
}

fn is_plot_measured(plot: &Plot) -> bool {
    let axis = |axis: &Axis| axis.measured;
    axis(&plot.y) || matches!(&plot.x, Across::Numbers(x) if axis(x))
}

fn mask_notes(notes: &[Note]) -> Vec<Note> {
    let mask = |note: &Note| {
        let masked = mask_note(note);
        if note.is_optional { masked.after(&OPTIONAL.to_string()) } else { masked }
    };
    notes.iter().map(mask).collect()
}

fn mask_note(note: &Note) -> Note {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => Piece::Text(text.clone()),
        Piece::Figure(field) => Piece::Figure(mask_field(field)),
    };
    Note { pieces: note.pieces.iter().map(piece).collect(), ..note.clone() }
}

fn mask_field(field: &Field) -> Field {
    if !field.measured || field.value.is_null() {
        return field.clone();
    }
    Field { value: Value::text(&mark(field.unit).to_string()), ..field.clone() }
}

/// A measured column is one of marks; where a ratio lies is drawn with the ratio.
fn mask_figures(found: &Figures) -> Figures {
    let Figures { table, meanings, is_whole } = found;
    let height = table.height();
    let (mut columns, mut values, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (column, meaning)) in table.schema().columns.iter().zip(meanings).enumerate() {
        if !meaning.measured {
            columns.push(column.clone());
            values.push(table.values(i, 0, height));
            kept.push(*meaning);
        } else if !matches!(meaning.unit, Unit::Low | Unit::High) {
            columns.push(Column { name: column.name.clone(), ty: Type::Text });
            values.push(vec![Value::text(&mark(meaning.unit).to_string()); height]);
            kept.push(Unit::Plain.measured());
        }
    }
    let table = Table::from_columns(Schema::new(columns, table.schema().order), height, &values);
    Figures { table, meanings: kept, is_whole: *is_whole }
}

fn masked_table(table: &Table) -> Table {
    let height = table.height();
    let schema = table.schema();
    let columns = schema.columns.iter().map(|column| Column { name: column.name.clone(), ty: Type::Text }).collect();
    let values: Vec<Vec<Value>> =
        schema.columns.iter().map(|column| vec![Value::text(&mark_of(&column.ty).to_string()); height]).collect();
    Table::from_columns(Schema::new(columns, schema.order), height, &values)
}
