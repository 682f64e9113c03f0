//! Where batches come from.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::plan::{self, Iterated, Step};
use crate::run_context::RunContext;
use crate::sources::Generate;

use super::column::{Batch, Column};
use super::parts::Part;
use super::reading::Reading;
use super::splits::splits;
use super::table::Cut;
use super::texts::GeneratedTexts;

pub enum Source<'a> {
    Range {
        at: i64,
        end: i64,
        open: bool,
    },
    /// A column of rows that are made by their numbers.
    Generated {
        column: Box<dyn Fn(u64, usize) -> Column + 'a>,
        at: u64,
        count: u64,
    },
    Files {
        reading: Box<Reading<'a>>,
        span: Span,
    },
    Kept(Cut),
}

/// The rows of a part of a source.
pub fn source<'a>(step: &'a Step<plan::Source>, part: Part, context: &'a RunContext) -> Fallible<Source<'a>> {
    let ty = &step.schema.columns[0].ty;
    let generated = |column: Box<dyn Fn(u64, usize) -> Column + 'a>, count: u64| {
        let rows = part.rows(count);
        Source::Generated { column, at: rows.start, count: rows.end }
    };
    Ok(match &step.op {
        plan::Source::Range { start, end } => match part {
            Part::Rows { start: first, end: last } => {
                let at = |row: u64| (i128::from(*start) + i128::from(row)) as i64;
                Source::Range { at: at(first), end: at(last), open: false }
            }
            Part::Whole | Part::Files(_) => {
                Source::Range { at: *start, end: end.unwrap_or(i64::MAX), open: end.is_none() }
            }
        },
        plan::Source::Values(values) => {
            let column = move |at, rows| Column::from_values(values[at as usize..][..rows].to_vec(), ty);
            generated(Box::new(column), values.len() as u64)
        }
        plan::Source::Generated { what, count, seed } => {
            let column = move |at, rows| column_of(what.value, *seed, at..at + rows as u64);
            generated(Box::new(column), *count)
        }
        plan::Source::Read(read) => {
            let splits = match part {
                Part::Files(splits) => splits,
                Part::Whole | Part::Rows { .. } => splits(read, context),
            };
            let reading = Reading::new(read, splits, context).map_err(|error| error.or_at(step.span))?;
            Source::Files { reading: Box::new(reading), span: step.span }
        }
        plan::Source::Iterated(_) => return Err(Iterated::not_run().or_at(step.span)),
        plan::Source::Kept(kept) => {
            let rows = part.rows(kept.table().height() as u64);
            let table = kept.table().part(rows.start as usize, (rows.end - rows.start) as usize);
            Source::Kept(Cut::new(table.frame(), table.schema().columns.iter().map(|column| column.ty.clone())))
        }
    })
}

/// The rows of these numbers.
fn column_of(made_by: Generate, seed: i64, rows: Range<u64>) -> Column {
    match made_by {
        Generate::Char { many, .. } => {
            let mut made = GeneratedTexts::with_capacity((rows.end - rows.start) as usize);
            many(seed, rows).iter().for_each(|c| made.push(c.encode_utf8(&mut [0; 4])));
            Column::texts(made.finish())
        }
        Generate::Float { many, .. } => Column::floats(many(seed, rows)),
        Generate::Int { many, .. } => Column::ints(many(seed, rows), None),
    }
}

impl Source<'_> {
    /// The next rows, at most so many.
    pub fn next(&mut self, most: usize) -> Fallible<Option<Batch>> {
        match self {
            Source::Range { at, end, open } => {
                if *at >= *end {
                    return match open {
                        true => {
                            Err(Diagnostic::new(Kind::Overflow, "int overflow: the range has reached the largest int"))
                        }
                        false => Ok(None),
                    };
                }
                let to = at.saturating_add(most as i64).min(*end);
                let values: Vec<i64> = (*at..to).collect();
                let column = Column::ints(values, Some((*at, to - 1)));
                let rows = (to - *at) as usize;
                *at = to;
                Ok(Some(Batch { rows, columns: vec![column] }))
            }
            Source::Generated { column, at, count } => {
                let rows = (*count - *at).min(most as u64) as usize;
                let made = column(*at, rows);
                *at += rows as u64;
                Ok((rows > 0).then(|| Batch { rows, columns: vec![made] }))
            }
            Source::Files { reading, span } => reading.next(most).map_err(|error| error.or_at(*span)),
            Source::Kept(cut) => Ok(cut.next(most)),
        }
    }
}
