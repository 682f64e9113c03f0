//! A report without what differs from run to run: only what was counted is left.

use timelab::data::{Column, Schema, Table, Type, Value};
use timelab::report::{Across, Axis, Block, Field, Figures, Note, Piece, Plot, Report, Unit};

/// The same report with a word in place of each measured figure, and without notes that another run may not have.
pub fn masked(report: &Report) -> Report {
    Report {
        blocks: report.blocks.iter().map(block).collect(),
        status_line: report.status_line.iter().filter(|note| !note.is_optional).map(note).collect(),
    }
}

/// What stands in the place of a figure, after its unit.
fn word(unit: Unit) -> String {
    let what = match unit {
        Unit::Seconds => "time",
        Unit::Bytes => "bytes",
        Unit::Count(of) => of,
        Unit::PerSecond(_) | Unit::BytesPerSecond => "throughput",
        Unit::Share | Unit::Bar => "share",
        Unit::Ratio(_) | Unit::Low | Unit::High | Unit::Times => "ratio",
        Unit::Plain => "words",
    };
    format!("‹{what}›")
}

fn block(block: &Block) -> Block {
    match block {
        Block::Table { table, measured: true } | Block::Whole { table, measured: true } => {
            Block::Text(format!("‹table {}›", table.schema()))
        }
        Block::Value { ty, measured: true, .. } => Block::Text(format!("‹{ty}›")),
        Block::Table { .. }
        | Block::Whole { .. }
        | Block::Value { .. }
        | Block::Text(_)
        | Block::Told { .. }
        | Block::Printed(_) => block.clone(),
        Block::Measured(fields) => Block::Measured(fields.iter().map(field).collect()),
        Block::Figures(found) => Block::Figures(figures(found)),
        Block::Data(found) => Block::Data(figures(found)),
        Block::Aside(found) => Block::Aside(figures(found)),
        Block::Notes(notes) => Block::Notes(kept(notes)),
        // Its histogram is drawn from samples: its figures are told by their names.
        Block::Timing(timing) => {
            let told = |known: &Field| Note {
                pieces: vec![Piece::Text(format!("{} ", known.name)), Piece::Figure(field(known))],
                is_optional: false,
            };
            // Which one it is may hang on how long a call took.
            let clock = Note::from(word(Unit::Plain));
            Block::Notes(timing.fields.iter().map(told).chain([clock]).chain(kept(&timing.notes)).collect())
        }
        Block::Plot(plot) => Block::Text(plot_words(plot)),
        Block::Map(map) => Block::Text(format!("‹map {}›", map.title)),
        Block::Flow(_) => block.clone(),
    }
}

fn kept(notes: &[Note]) -> Vec<Note> {
    notes.iter().filter(|note| !note.is_optional).map(note).collect()
}

fn note(note: &Note) -> Note {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => Piece::Text(text.clone()),
        Piece::Figure(known) => Piece::Figure(field(known)),
    };
    Note { pieces: note.pieces.iter().map(piece).collect(), ..note.clone() }
}

fn field(known: &Field) -> Field {
    if known.measured { Field { value: Value::text(&word(known.unit)), ..known.clone() } } else { known.clone() }
}

/// A measured column is one of words.
fn figures(found: &Figures) -> Figures {
    let Figures { table, meanings } = found;
    let height = table.height();
    let schema = table.schema();
    let (mut columns, mut values) = (Vec::new(), Vec::new());
    let mut kept = Vec::new();
    for (i, (column, meaning)) in schema.columns.iter().zip(meanings).enumerate() {
        if meaning.measured {
            columns.push(Column { name: column.name.clone(), ty: Type::Text });
            values.push(vec![Value::text(&word(meaning.unit)); height]);
            kept.push(Unit::Plain.measured());
        } else {
            columns.push(column.clone());
            values.push(table.values(i, 0, height));
            kept.push(*meaning);
        }
    }
    Figures { table: Table::from_columns(Schema::new(columns, schema.order), height, &values), meanings: kept }
}

fn plot_words(plot: &Plot) -> String {
    let axis = |axis: &Axis| format!("{}{}", axis.label, if axis.measured { " ‹measured›" } else { "" });
    let x = match &plot.x {
        Across::Numbers(x) => axis(x),
        Across::Names { label, names } => format!("{label}: {}", names.join(", ")),
    };
    let series: Vec<&str> = plot.series.iter().map(|series| series.label.as_str()).collect();
    format!("‹plot {}: {x}; {}; {}›", plot.title, axis(&plot.y), series.join(", "))
}
