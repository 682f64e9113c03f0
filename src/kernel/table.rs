//! Between batches and tables.

use std::sync::Arc;

use polars::prelude::{
    ArrowDataType, BooleanChunked, Column as Series, DataFrame, Float64Chunked, Int64Chunked, IntoSeries,
    NewChunkedArray, PlSmallStr, Series as Values, StringChunked,
};

use polars_arrow::array::{PrimitiveArray, Utf8ViewArray};
use polars_arrow::bitmap::Bitmap;
use polars_buffer::Buffer;

use crate::data::{self, Schema, Table, Type, Value};

use super::column::{Batch, Column, Data, Ints};
use super::slots::{Nulls, Slots};
use super::texts::{Buffers, Texts};

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
        ($chunked:ty, $dtype:expr, $slots:expr) => {
            match (nulls, $slots) {
                (Nulls::None, Slots::Each(values)) => {
                    let array = PrimitiveArray::new($dtype, values, None);
                    <$chunked>::with_chunk(name, array).into_series()
                }
                (nulls, slots) => {
                    let value = |row: usize| (!nulls.at(row)).then(|| *slots.at(row));
                    <$chunked>::from_iter_options(name, (0..rows).map(value)).into_series()
                }
            }
        };
    }
    match (column.data, ty) {
        (Data::Int(ints), _) => plain!(Int64Chunked, ArrowDataType::Int64, ints.slots),
        (Data::Float(slots), _) => plain!(Float64Chunked, ArrowDataType::Float64, slots),
        (Data::Bool(slots), _) => {
            let value = |row: usize| (!nulls.at(row)).then(|| *slots.at(row));
            BooleanChunked::from_iter_options(name, (0..rows).map(value)).into_series()
        }
        (Data::Text(texts), _) => {
            let views = match texts.views() {
                Slots::One(view) => vec![*view; rows].into(),
                Slots::Each(views) => views.clone(),
            };
            let validity = match nulls {
                Nulls::None => None,
                nulls => Some((0..rows).map(|row| !nulls.at(row)).collect::<Bitmap>()),
            };
            let buffers = Buffer::from_vec(texts.buffers().list.clone());
            // SAFETY: texts are UTF-8, and each long one stands in its buffer.
            let array =
                unsafe { Utf8ViewArray::new_unchecked(ArrowDataType::Utf8View, views, buffers, validity, None, 0) };
            StringChunked::with_chunk(name, array).into_series()
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
    columns: Vec<(Values, Type, Arc<Buffers>)>,
    rows: usize,
    at: usize,
}

impl Cut {
    /// Of the columns of `schema`.
    pub fn new(frame: &DataFrame, types: impl Iterator<Item = Type>) -> Cut {
        let columns = frame.columns().iter().zip(types);
        let columns = columns
            .map(|(column, ty)| {
                let series = column.as_materialized_series().rechunk();
                let list = match series.str() {
                    Ok(texts) => texts.downcast_as_array().data_buffers().iter().cloned().collect(),
                    Err(_) => Vec::new(),
                };
                (series, ty, Arc::new(Buffers { list, lasting: true }))
            })
            .collect();
        Cut { columns, rows: frame.height(), at: 0 }
    }

    /// The next rows, at most so many.
    pub fn next(&mut self, most: usize) -> Option<Batch> {
        let rows = (self.rows - self.at).min(most);
        if rows == 0 {
            return None;
        }
        let columns = self.columns.iter();
        let columns = columns.map(|(series, ty, buffers)| column_of(series, ty, buffers, self.at, rows)).collect();
        self.at += rows;
        Some(Batch { rows, columns })
    }
}

/// Slots that stay where they are.
fn share_slots<T: Clone>(values: &Buffer<T>, start: usize, rows: usize) -> Slots<T> {
    Slots::Each(values.clone().sliced(start..start + rows))
}

fn column_of(series: &Values, ty: &Type, buffers: &Arc<Buffers>, start: usize, rows: usize) -> Column {
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
            Column {
                data: Data::Int(Ints { slots: share_slots(array.values(), start, rows), bounds: None }),
                nulls: Nulls::None,
            }
        }
        Type::Float => {
            let array = series.f64().expect(WRONG).downcast_as_array();
            Column { data: Data::Float(share_slots(array.values(), start, rows)), nulls: Nulls::None }
        }
        Type::Bool => {
            let array = series.bool().expect(WRONG).downcast_as_array();
            let values = array.values();
            Column::bools((start..start + rows).map(|row| values.get_bit(row)).collect())
        }
        Type::Text | Type::Open | Type::Never => {
            let array = series.str().expect(WRONG).downcast_as_array();
            // SAFETY: the array's views are UTF-8, in its buffers.
            Column::texts(unsafe { Texts::new(share_slots(array.views(), start, rows), buffers.clone()) })
        }
        Type::List(_) => Column::from_values(data::values(&series.slice(start as i64, rows), ty), ty),
    };
    if let Type::List(_) = ty { column } else { column.with_nulls(nulls) }
}
