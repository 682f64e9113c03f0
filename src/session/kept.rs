//! What the cells that were run leave behind: results and reports, as far as there is room for them.

use std::collections::HashSet;
use std::sync::Arc;

use crate::data::{Table, Value};
use crate::plan::{Binding, BoundOp, Plan, Source};
use crate::report::{Block, Field, Figures, Note, Piece, Report};

/// What results and reports may hold in all, in bytes.
pub const MOST_BYTES: u64 = 256 << 20;

/// A cell that was run.
#[derive(Debug, Clone)]
pub struct Entered {
    pub text: String,
    pub failed: bool,
    pub outcome: Outcome,
    /// What it showed; none where that had to go with the result.
    pub report: Option<Report>,
    /// What result and report hold, or held until they had to go.
    pub bytes: u64,
    held: Held,
}

/// What a cell gave.
#[derive(Debug, Clone)]
pub enum Outcome {
    Nothing,
    Kept(Binding),
    /// Tables had to go; figures stay.
    Dropped(Vec<Field>),
}

impl Outcome {
    /// What `_` stands for after it.
    pub fn binding(&self) -> Option<Binding> {
        match self {
            Outcome::Nothing => None,
            Outcome::Kept(binding) => Some(binding.clone()),
            Outcome::Dropped(fields) => {
                Some(Binding::Result { table: None, fields: fields.clone(), tables: Vec::new() })
            }
        }
    }
}

/// The memory of one cell.
#[derive(Debug, Clone, Default)]
struct Held {
    /// Tables by their addresses: what several cells show is there once.
    tables: Vec<(usize, u64)>,
    rest: u64,
}

impl Entered {
    pub fn new(text: &str, failed: bool, result: Option<Binding>, report: Report) -> Entered {
        let mut held = Held::default();
        if let Some(binding) = &result {
            held.binding(binding);
        }
        // The value of a result is the one that the report shows.
        let value_is_held = matches!(result, Some(Binding::Value(..)));
        report.blocks.iter().for_each(|block| held.block(block, value_is_held));
        report.status_line.iter().for_each(|note| held.note(note));
        let bytes = held.tables.iter().map(|(_, bytes)| bytes).sum::<u64>() + held.rest;
        let outcome = result.map_or(Outcome::Nothing, Outcome::Kept);
        Entered { text: text.to_string(), failed, outcome, report: Some(report), bytes, held }
    }

    /// Forgets the result, not what was shown.
    pub fn forget_result(&mut self) {
        self.outcome = Outcome::Nothing;
    }

    /// For a table of so many bytes that was never kept.
    pub fn forget_table(&mut self, bytes: u64) {
        self.drop_held();
        self.bytes = bytes;
    }

    fn drop_held(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Nothing);
        self.outcome = match outcome {
            Outcome::Kept(Binding::Result { fields, .. }) => Outcome::Dropped(fields),
            Outcome::Kept(Binding::Value(..) | Binding::Table(_)) => Outcome::Dropped(Vec::new()),
            Outcome::Nothing | Outcome::Dropped(_) => outcome,
        };
        self.report = None;
        self.held = Held::default();
    }
}

/// Drops results and reports that do not fit any more, oldest first.
pub fn make_room(cells: &mut [Entered]) {
    let mut seen = HashSet::new();
    let mut all = 0;
    for cell in cells.iter_mut().rev().filter(|cell| cell.report.is_some()) {
        let tables = || cell.held.tables.iter().filter(|(address, _)| !seen.contains(address));
        let bytes = tables().map(|(_, bytes)| bytes).sum::<u64>() + cell.held.rest;
        if all + bytes <= MOST_BYTES {
            all += bytes;
            seen.extend(cell.held.tables.iter().map(|(address, _)| *address));
        } else {
            cell.drop_held();
        }
    }
}

impl Held {
    fn binding(&mut self, binding: &Binding) {
        let mut plan = |plan: &Arc<Plan>| {
            if let BoundOp::Source(Source::Kept(kept)) = &plan.steps[0].op {
                self.table(kept.table());
            }
        };
        match binding {
            Binding::Value(value, ..) => self.rest += value_bytes(value),
            Binding::Table(table) => plan(table),
            Binding::Result { table, tables, fields } => {
                table.iter().chain(tables.iter().map(|(_, plan)| plan)).for_each(plan);
                self.rest += fields.iter().map(|field| value_bytes(&field.value)).sum::<u64>();
            }
        }
    }

    fn block(&mut self, block: &Block, value_is_held: bool) {
        match block {
            Block::Table { table, .. } | Block::Whole { table, .. } => self.table(table),
            Block::Value { value, .. } if !value_is_held => self.rest += value_bytes(value),
            Block::Value { .. } => {}
            Block::Printed(printed) => {
                self.rest += printed.pieces.iter().map(|(_, text)| text.len() as u64).sum::<u64>();
            }
            Block::Text(text) => self.rest += text.len() as u64,
            Block::Told { text, table } => self.rest += text.len() as u64 + table.bytes() as u64,
            Block::Measured(fields) => self.rest += fields.iter().map(|field| value_bytes(&field.value)).sum::<u64>(),
            Block::Figures(Figures { table, .. })
            | Block::Data(Figures { table, .. })
            | Block::Aside(Figures { table, .. }) => {
                self.rest += table.bytes() as u64;
            }
            Block::Notes(notes) => notes.iter().for_each(|note| self.note(note)),
            Block::Timing(timing) => {
                self.rest += std::mem::size_of_val(timing.samples.each()) as u64;
                timing.notes.iter().for_each(|note| self.note(note));
            }
            Block::Flow(flow) => {
                let records = flow.nodes.iter().flat_map(|node| &node.records);
                self.rest += records.map(String::len).sum::<usize>() as u64;
            }
            Block::Map(map) => self.rest += std::mem::size_of_val(&map.profile.nodes[..]) as u64,
            Block::Plot(plot) => {
                let points = plot.series.iter().map(|series| std::mem::size_of_val(&series.points[..]));
                self.rest += points.sum::<usize>() as u64;
            }
        }
    }

    fn note(&mut self, note: &Note) {
        let bytes = |piece: &Piece| match piece {
            Piece::Text(text) => text.len() as u64,
            Piece::Figure(field) => value_bytes(&field.value),
        };
        self.rest += note.pieces.iter().map(bytes).sum::<u64>();
    }

    fn table(&mut self, table: &Arc<Table>) {
        let address = Arc::as_ptr(table) as usize;
        if self.tables.iter().all(|(known, _)| *known != address) {
            self.tables.push((address, table.bytes() as u64));
        }
    }
}

fn value_bytes(value: &Value) -> u64 {
    let own = size_of::<Value>() as u64;
    match value {
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => own,
        Value::Text(text) => own + text.len() as u64,
        Value::List(items) => own + items.iter().map(value_bytes).sum::<u64>(),
    }
}
