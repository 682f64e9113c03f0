use polars::prelude::{Column as Series, DataFrame};

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
            return Err(format!("{} columns where {} were promised", frame.width(), schema.columns.len()));
        }
        for (have, want) in frame.columns().iter().zip(&schema.columns) {
            if have.name().as_str() != want.name || *have.dtype() != columns::dtype(&want.ty) {
                return Err(format!(
                    "column {}: {} where {}: {} was promised",
                    have.name(),
                    have.dtype(),
                    want.name,
                    want.ty
                ));
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
}
