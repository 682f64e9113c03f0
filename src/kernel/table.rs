//! Between batches and tables.

use polars::prelude::{
    BooleanChunked, Column as Series, DataFrame, Float64Chunked, Int64Chunked, IntoSeries, NewChunkedArray, PlSmallStr,
    Series as Values, StringChunked,
};

use crate::data::{self, Schema, Table, Type, Value};

use super::column::{Batch, Column, Data, Made, Nulls, Slots};

/// A table of all rows of `batch`, whose columns are those of `schema`.
pub fn table(batch: Batch, schema: &Schema) -> Result<Table, String> {
    let series = schema.columns.iter().zip(batch.columns);
    let series = series.map(|(column, values)| Series::from(series_of(&column.name, &column.ty, values, batch.rows)));
    let frame = DataFrame::new(batch.rows, series.collect()).map_err(|error| error.to_string())?;
    Table::new(frame, schema.clone())
}

fn series_of(name: &str, ty: &Type, column: Column, rows: usize) -> Values {
    let name = PlSmallStr::from_str(name);
    let nulls = column.nulls;
    macro_rules! plain {
        ($chunked:ty, $slots:expr) => {
            match (nulls, $slots) {
                (Nulls::None, Slots::Each(values)) => {
                    let values = std::sync::Arc::unwrap_or_clone(values);
                    <$chunked>::from_vec(name, values).into_series()
                }
                (nulls, slots) => {
                    let value = |row: usize| (!nulls.at(row)).then(|| *slots.at(row));
                    <$chunked>::from_iter_options(name, (0..rows).map(value)).into_series()
                }
            }
        };
    }
    match (column.data, ty) {
        (Data::Int(ints), _) => plain!(Int64Chunked, ints.slots),
        (Data::Float(slots), _) => plain!(Float64Chunked, slots),
        (Data::Bool(slots), _) => {
            let value = |row: usize| (!nulls.at(row)).then(|| *slots.at(row));
            BooleanChunked::from_iter_options(name, (0..rows).map(value)).into_series()
        }
        (Data::Text(texts), _) => {
            let value = |row: usize| (!nulls.at(row)).then(|| texts.at(row));
            StringChunked::from_iter_options(name, (0..rows).map(value)).into_series()
        }
        (Data::List(slots), ty) => {
            let values: Vec<Value> =
                (0..rows).map(|row| if nulls.at(row) { Value::Null } else { slots.at(row).clone() }).collect();
            data::series(&name, ty, &values)
        }
    }
}

/// The columns of a frame, cut into batches.
pub struct Cut {
    /// Each in one chunk.
    columns: Vec<(Values, Type)>,
    rows: usize,
    at: usize,
}

impl Cut {
    /// Of the columns of `schema`.
    pub fn new(frame: &DataFrame, types: impl Iterator<Item = Type>) -> Cut {
        let columns = frame.columns().iter().zip(types);
        let columns = columns.map(|(column, ty)| (column.as_materialized_series().rechunk(), ty)).collect();
        Cut { columns, rows: frame.height(), at: 0 }
    }

    /// The next rows, at most so many.
    pub fn next(&mut self, most: usize) -> Option<Batch> {
        let rows = (self.rows - self.at).min(most);
        if rows == 0 {
            return None;
        }
        let columns = self.columns.iter().map(|(series, ty)| column_of(series, ty, self.at, rows)).collect();
        self.at += rows;
        Some(Batch { rows, columns })
    }
}

fn column_of(series: &Values, ty: &Type, start: usize, rows: usize) -> Column {
    const WRONG: &str = "a table's columns have the types of its schema";
    let nulls = if series.null_count() == 0 {
        Nulls::None
    } else {
        let missing = series.slice(start as i64, rows).is_null();
        Nulls::of(missing.iter().map(|null| null == Some(true)).collect())
    };
    let column = match ty {
        Type::Int => {
            let array = series.i64().expect(WRONG).downcast_as_array();
            Column::ints(array.values()[start..start + rows].to_vec(), None)
        }
        Type::Float => {
            let array = series.f64().expect(WRONG).downcast_as_array();
            Column::floats(array.values()[start..start + rows].to_vec())
        }
        Type::Bool => {
            let array = series.bool().expect(WRONG).downcast_as_array();
            let values = array.values();
            Column::bools((start..start + rows).map(|row| values.get_bit(row)).collect())
        }
        Type::Text | Type::Open | Type::Never => {
            let array = series.str().expect(WRONG).downcast_as_array();
            let mut made = Made::with_capacity(rows, rows * 16);
            (start..start + rows).for_each(|row| made.push(array.value(row)));
            Column::texts(made.finish())
        }
        Type::List(_) => Column::from_values(data::values(&series.slice(start as i64, rows), ty), ty),
    };
    if let Type::List(_) = ty { column } else { column.with_nulls(nulls) }
}
