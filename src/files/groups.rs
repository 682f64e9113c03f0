//! Rows as row groups of parquet and record batches of arrow files.

use std::io::Write;

use polars::io::{ipc, parquet};
use polars::prelude::{CompatLevel, IpcWriter, ParquetWriter, PolarsResult, SchemaExt, SerWriter};
use polars_arrow::io::ipc::write::default_ipc_fields;

use crate::data::{Schema, Table};
use crate::diagnostic::Fallible;
use crate::plan::Format;
use crate::run_context::RunContext;

/// The limits of a row group, in rows and in bytes of data: a writer or a reader holds one group at a time.
const MOST_ROWS: usize = 1_000_000;
const MOST_BYTES: usize = 32 << 20;
/// The part of a run's memory that a group may fill: while it is written there are copies of it, and pages made of it.
const SHARE: u64 = 16;
const LEAST_BYTES: u64 = 1 << 20;

/// The most bytes of data that wait until they are written.
pub fn most_bytes(context: &RunContext) -> usize {
    let memory = context.spill.as_ref().map_or(context.memory, |spill| spill.budget);
    (memory / SHARE).clamp(LEAST_BYTES, MOST_BYTES as u64) as usize
}

/// Rows of a large table that are added at a time.
const PART_ROWS: usize = 1 << 16;

/// The groups of a file that is being written.
pub struct RowGroups {
    groups: Box<dyn Groups>,
    schema: Schema,
    /// Of the group that is not written yet.
    tables: Vec<Table>,
    rows: usize,
    bytes: usize,
    most_bytes: usize,
}

/// What writes groups.
trait Groups {
    fn write(&mut self, table: &Table) -> PolarsResult<()>;

    /// What follows the last group.
    fn end(self: Box<Self>) -> PolarsResult<()>;
}

impl RowGroups {
    pub fn new(
        schema: &Schema,
        format: &Format,
        out: impl Write + 'static,
        most_bytes: usize,
    ) -> PolarsResult<RowGroups> {
        let none = Table::stacked(schema, []);
        let columns = none.frame().schema();
        let groups: Box<dyn Groups> = match format {
            Format::Arrow => {
                let fields = columns.to_arrow(CompatLevel::newest());
                Box::new(IpcWriter::new(out).batched(columns, default_ipc_fields(fields.iter_values()))?)
            }
            _ => Box::new(ParquetWriter::new(out).batched(columns)?),
        };
        Ok(RowGroups { groups, schema: schema.clone(), tables: Vec::new(), rows: 0, bytes: 0, most_bytes })
    }

    /// Adds rows, and writes each group that is full.
    pub fn add(&mut self, table: &Table, context: &RunContext) -> Fallible<PolarsResult<()>> {
        // Rows may be wide.
        let each = table.data_bytes() / table.height().max(1);
        let rows = (self.most_bytes / each.max(1)).clamp(1, PART_ROWS);
        for start in (0..table.height()).step_by(rows) {
            context.check()?;
            let part = table.part(start, rows).compact();
            self.rows += part.height();
            self.bytes += part.data_bytes();
            self.tables.push(part);
            if self.rows >= MOST_ROWS || self.bytes >= self.most_bytes {
                let written = self.write();
                if written.is_err() {
                    return Ok(written);
                }
            }
        }
        Ok(Ok(()))
    }

    fn write(&mut self) -> PolarsResult<()> {
        if self.rows == 0 {
            return Ok(());
        }
        (self.rows, self.bytes) = (0, 0);
        self.groups.write(&Table::stacked(&self.schema, self.tables.drain(..)))
    }

    pub fn finish(mut self) -> PolarsResult<()> {
        self.write()?;
        self.groups.end()
    }
}

impl<W: Write> Groups for parquet::write::BatchedWriter<W> {
    fn write(&mut self, table: &Table) -> PolarsResult<()> {
        self.write_batch(table.frame())
    }

    fn end(self: Box<Self>) -> PolarsResult<()> {
        self.finish().map(drop)
    }
}

impl<W: Write> Groups for ipc::BatchedWriter<W> {
    fn write(&mut self, table: &Table) -> PolarsResult<()> {
        self.write_batch(table.frame())
    }

    fn end(mut self: Box<Self>) -> PolarsResult<()> {
        self.finish()
    }
}
