//! Where rows come from.

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::files::{self, Records};
use crate::plan::{Iterated, Source};
use crate::rowwise::Frame;
use crate::run_context::RunContext;

use super::flow::{Flow, Input, Next};

pub fn source_flow<'a>(source: &'a Source, span: Span, context: &'a RunContext) -> Fallible<Input<'a>> {
    let counted = |make: Box<dyn Fn(u64) -> Option<Value> + 'a>| Box::new(Generated { make, at: 0, context });
    Ok(match source {
        Source::Range { start, end } => {
            Box::new(Range { at: *start, end: end.unwrap_or(i64::MAX), open: end.is_none(), context })
        }
        Source::Values(values) => counted(Box::new(|row| values.get(row as usize).cloned())),
        Source::Generated { what, count, seed } => {
            counted(Box::new(|row| (row < *count).then(|| what.value.value(*seed, row))))
        }
        Source::Read(read) => {
            let records = files::open(read, context).map_err(|error| error.or_at(span))?;
            Box::new(File { records, rows: 0, span, context })
        }
        Source::Kept(kept) => Box::new(Kept { table: kept.table(), at: 0, chunk: Vec::new(), context }),
        Source::Iterated(_) => return Err(Iterated::not_run().or_at(span)),
    })
}

/// Counts a row, and looks at the stop flag now and then.
#[inline]
fn count_row(rows: u64, context: &RunContext) -> Fallible<()> {
    if rows.is_multiple_of(1024) {
        context.progress.add_rows(1024);
        context.check()?;
    }
    Ok(())
}

struct Range<'a> {
    at: i64,
    end: i64,
    open: bool,
    context: &'a RunContext,
}

impl Flow for Range<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.at >= self.end {
            if self.open {
                return Err(Some(Diagnostic::new(
                    Kind::Overflow,
                    "int overflow: the range has reached the largest int",
                )));
            }
            return Err(None);
        }
        match &mut frame.row[..] {
            [Value::Int(slot)] => *slot = self.at,
            _ => frame.row = vec![Value::Int(self.at)],
        }
        self.at += 1;
        count_row(self.at as u64, self.context)?;
        Ok(())
    }
}

struct Generated<'a> {
    make: Box<dyn Fn(u64) -> Option<Value> + 'a>,
    at: u64,
    context: &'a RunContext,
}

impl Flow for Generated<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        let Some(value) = (self.make)(self.at) else { return Err(None) };
        frame.row.clear();
        frame.row.push(value);
        frame.count_texts();
        self.at += 1;
        count_row(self.at, self.context)?;
        Ok(())
    }
}

struct File<'a> {
    records: Box<dyn Records + 'a>,
    rows: u64,
    span: Span,
    context: &'a RunContext,
}

impl Flow for File<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        self.rows += 1;
        count_row(self.rows, self.context)?;
        let more = self.records.next(&mut frame.row).map_err(|error| error.or_at(self.span))?;
        if !more {
            return Err(None);
        }
        frame.count_texts();
        Ok(())
    }
}

struct Kept<'a> {
    table: &'a crate::data::Table,
    at: usize,
    /// Columns of the rows that come next, from the end.
    chunk: Vec<Vec<Value>>,
    context: &'a RunContext,
}

impl Flow for Kept<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        const ROWS: usize = 1024;
        if self.at == self.table.height() {
            return Err(None);
        }
        if self.at.is_multiple_of(ROWS) {
            let columns = 0..self.table.schema().columns.len();
            self.chunk = columns.map(|i| self.table.values(i, self.at, ROWS)).collect();
            self.chunk.iter_mut().for_each(|column| column.reverse());
        }
        self.at += 1;
        count_row(self.at as u64, self.context)?;
        frame.row.clear();
        frame.row.extend(self.chunk.iter_mut().map(|column| column.pop().expect("a chunk has all its rows")));
        frame.count_texts();
        Ok(())
    }
}
