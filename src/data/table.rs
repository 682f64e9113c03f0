use polars::prelude::{Column as Series, DataFrame, IntoSeries, StringChunked};
use polars_arrow::array::{Utf8ViewArray, View};

use crate::data::columns;
use crate::data::{Schema, Value};

/// Rows with named, typed columns. The columns of the frame have the names and types of the schema.
#[derive(Debug, Clone)]
pub struct Table {
    frame: DataFrame,
    schema: Schema,
}

impl Table {
    /// A table over `frame`, or, where the frame's columns are not those of `schema`, what is different.
    pub fn new(frame: DataFrame, schema: Schema) -> Result<Table, String> {
        if frame.width() != schema.columns.len() {
            return Err(format!("{} columns instead of {}", frame.width(), schema.columns.len()));
        }
        for (have, want) in frame.columns().iter().zip(&schema.columns) {
            if have.name().as_str() != want.name || *have.dtype() != columns::dtype(&want.ty) {
                return Err(format!("column {}: {} instead of {}: {}", have.name(), have.dtype(), want.name, want.ty));
            }
        }
        Ok(Table { frame, schema })
    }

    /// A table from its columns' values, one vector a column, all of `height`.
    pub fn from_columns(schema: Schema, height: usize, columns: &[Vec<Value>]) -> Table {
        let each = schema.columns.iter().zip(columns);
        let series = each.map(|(column, values)| Series::from(columns::series(&column.name, &column.ty, values)));
        let frame = DataFrame::new(height, series.collect()).expect("a schema has no name twice");
        Table { frame, schema }
    }

    /// The same rows with only those columns whose flag is up; nothing is copied.
    pub fn only(&self, wanted: &[bool]) -> Table {
        fn chosen<T: Clone>(all: &[T], wanted: &[bool]) -> Vec<T> {
            all.iter().zip(wanted).filter(|(_, wanted)| **wanted).map(|(one, _)| one.clone()).collect()
        }
        let frame = DataFrame::new(self.height(), chosen(self.frame.columns(), wanted));
        let schema = Schema::new(chosen(&self.schema.columns, wanted), self.schema.order);
        Table { frame: frame.expect("some columns of a frame are a frame"), schema }
    }

    /// The same rows under the names and the order of `schema`, whose types these columns have.
    pub fn named(&self, schema: &Schema) -> Table {
        let names = schema.columns.iter().map(|column| column.name.as_str().into());
        let columns = self.frame.columns().iter().zip(names).map(|(column, name)| column.clone().with_name(name));
        let frame = DataFrame::new(self.height(), columns.collect()).expect("a schema has no name twice");
        Table { frame, schema: schema.clone() }
    }

    /// All rows of tables with the columns of `schema`, in one chunk; without any, no rows.
    pub fn stacked(schema: &Schema, tables: impl IntoIterator<Item = Table>) -> Table {
        let mut all: Option<DataFrame> = None;
        for table in tables {
            match &mut all {
                None => all = Some(table.frame),
                Some(all) => {
                    all.vstack_mut_owned(table.frame).expect("the tables have the same columns");
                }
            }
        }
        let none = || Table::from_columns(schema.clone(), 0, &vec![Vec::new(); schema.columns.len()]).frame;
        let mut frame = all.unwrap_or_else(none);
        frame.rechunk_mut();
        Table { frame, schema: schema.clone() }
    }

    /// At most `count` rows from row `start`; nothing is copied.
    pub fn part(&self, start: usize, count: usize) -> Table {
        Table { frame: self.frame.slice(start as i64, count), schema: self.schema.clone() }
    }

    /// The same rows without bytes that none of their texts has: a few rows may hold all of a large file in memory.
    pub fn compact(&self) -> Table {
        let columns = self.frame.columns().iter().map(|column| match column.as_materialized_series().str() {
            Ok(texts) if texts.downcast_iter().any(is_wasteful) => {
                let chunks = texts.downcast_iter().map(|chunk| chunk.clone().gc());
                Series::from(StringChunked::from_chunk_iter(texts.name().clone(), chunks).into_series())
            }
            _ => column.clone(),
        });
        let frame = DataFrame::new(self.height(), columns.collect()).expect("they are the columns of a frame");
        Table { frame, schema: self.schema.clone() }
    }

    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    pub fn frame(&self) -> &DataFrame {
        &self.frame
    }

    pub fn height(&self) -> usize {
        self.frame.height()
    }

    /// The values of column `index`, from row `start`, at most `count`.
    pub fn values(&self, index: usize, start: usize, count: usize) -> Vec<Value> {
        let column = self.frame.columns()[index].slice(start as i64, count);
        columns::values(column.as_materialized_series(), &self.schema.columns[index].ty)
    }

    /// What the columns hold, in bytes, as far as polars knows.
    pub fn bytes(&self) -> usize {
        self.frame.estimated_size()
    }

    /// What the rows need, in bytes, where nothing else is kept beside them.
    pub fn data_bytes(&self) -> usize {
        let bytes = |column: &Series| {
            let series = column.as_materialized_series();
            match series.str() {
                Ok(texts) => texts.downcast_iter().map(|chunk| text_bytes(chunk).0).sum(),
                Err(_) => series.estimated_size(),
            }
        };
        self.frame.columns().iter().map(bytes).sum()
    }
}

/// The bytes that the texts of a chunk need, and those that it holds.
fn text_bytes(chunk: &Utf8ViewArray) -> (usize, usize) {
    let views = chunk.len() * size_of::<View>();
    (views + chunk.total_bytes_len(), views + chunk.total_buffer_len())
}

fn is_wasteful(chunk: &Utf8ViewArray) -> bool {
    const LITTLE: usize = 64 << 10;
    let (needed, held) = text_bytes(chunk);
    held > LITTLE && held / 2 > needed
}
