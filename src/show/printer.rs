//! A result that is printed while its rows come: csv, json and Markdown row by row, a drawn table as soon as the rows
//! that it shows are known.

use std::io::{self, Write};

use crate::data::{Schema, Table};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::run_context::{Progress, TableSink};

use super::table::{self, FIRST_ROWS, MOST_ROWS, Text, TextFormat};
use super::{Format, Style};

/// Rows that are written at a time.
const PART_ROWS: usize = 4096;

pub struct Printer {
    style: Style,
    /// Columns that come first where there is no room for all.
    named: Vec<String>,
    out: Box<dyn Write>,
    /// What is drawn on the same terminal, if it is one.
    progress: Option<Progress>,
    /// Called once, after something was printed that is not the whole result.
    on_start: Option<Box<dyn FnOnce()>>,
    state: State,
    /// Whether rounded floats were shown.
    rounded: bool,
    failure: Option<io::Error>,
}

/// What was printed.
#[derive(Debug, Clone, Copy)]
pub struct Printed {
    /// Whether it shows rounded floats.
    pub rounded: bool,
}

enum State {
    Nothing,
    Rows(Text),
    /// No more rows than are shown of a table.
    First {
        tables: Vec<Table>,
        rows: usize,
    },
    /// The table is drawn; rows and columns that it does not show.
    Drawn {
        more: u64,
        columns: Vec<String>,
    },
    Finished,
}

impl Printer {
    pub fn new(
        style: Style,
        named: Vec<String>,
        out: Box<dyn Write>,
        progress: Option<Progress>,
        on_start: impl FnOnce() + 'static,
    ) -> Printer {
        Printer {
            style,
            named,
            out,
            progress,
            on_start: Some(Box::new(on_start)),
            state: State::Nothing,
            rounded: false,
            failure: None,
        }
    }

    /// Whether it draws a table, of which it needs the number of rows.
    pub fn draws(&self) -> bool {
        text_format(self.style.format).is_none()
    }

    /// What was printed; nothing where that was neither a row, nor that there are none.
    pub fn printed(&self) -> Option<Printed> {
        match self.state {
            State::Nothing | State::First { .. } => None,
            State::Rows(_) | State::Drawn { .. } | State::Finished => Some(Printed { rounded: self.rounded }),
        }
    }

    /// Why it could not print on.
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// Prints what follows the last row.
    pub fn finish(&mut self, schema: &Schema) -> Fallible<()> {
        let mut out = String::new();
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Nothing => match text_format(self.style.format) {
                Some(format) => Text::start(format, schema, &mut out).end(&mut out),
                None => out = self.drawn(&Table::stacked(schema, [])),
            },
            State::Rows(text) => text.end(&mut out),
            State::First { tables, .. } => out = self.drawn(&Table::stacked(schema, tables)),
            State::Drawn { more, columns } => out = table::below(more, &columns, &self.style),
            State::Finished => {}
        }
        self.print(&out)
    }

    fn drawn(&mut self, table: &Table) -> String {
        let (text, rounded) = table::drawn(table, &self.named, &self.style);
        self.rounded = rounded;
        text
    }

    fn print(&mut self, text: &str) -> Fallible<()> {
        if let Some(progress) = &self.progress {
            progress.hide();
        }
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(|error| {
            self.failure = Some(error);
            Diagnostic::new(Kind::Stopped, "the output was closed")
        })
    }

    fn start(&mut self) {
        if let Some(on_start) = self.on_start.take() {
            on_start();
        }
    }
}

impl TableSink for Printer {
    fn take(&mut self, rows: &Table) -> Fallible<bool> {
        if rows.height() == 0 {
            return Ok(true);
        }
        let mut out = String::new();
        if let State::Nothing = self.state {
            self.state = match text_format(self.style.format) {
                Some(format) => State::Rows(Text::start(format, rows.schema(), &mut out)),
                None => State::First { tables: Vec::new(), rows: 0 },
            };
        }
        match &mut self.state {
            State::Rows(_) => {
                for start in (0..rows.height()).step_by(PART_ROWS) {
                    if let State::Rows(text) = &mut self.state {
                        text.rows(&rows.part(start, PART_ROWS), &mut out);
                    }
                    self.print(&out)?;
                    out.clear();
                    self.start();
                }
            }
            State::First { tables, rows: count } => {
                if *count <= MOST_ROWS {
                    tables.push(rows.part(0, MOST_ROWS + 1 - *count));
                }
                *count += rows.height();
                if *count > MOST_ROWS {
                    let more = (*count - FIRST_ROWS) as u64;
                    let first = Table::stacked(rows.schema(), tables.drain(..));
                    let first = table::first_rows(&first, FIRST_ROWS, &self.named, &self.style);
                    self.state = State::Drawn { more, columns: first.left_out };
                    self.rounded = first.rounded;
                    self.print(&first.text)?;
                    self.start();
                    // Below it the progress of the rest may be drawn.
                    if let Some(progress) = &self.progress {
                        progress.show();
                    }
                }
            }
            State::Drawn { more, .. } => *more += rows.height() as u64,
            State::Nothing | State::Finished => {}
        }
        Ok(true)
    }
}

fn text_format(format: Format) -> Option<TextFormat> {
    match format {
        Format::Table => None,
        Format::Csv => Some(TextFormat::Csv),
        Format::Json => Some(TextFormat::Json),
        Format::Markdown => Some(TextFormat::Markdown),
    }
}
