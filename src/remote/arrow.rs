//! A table from the Arrow streams that an engine sends. What is damaged is an error, never fewer rows.

use std::io::Cursor;
use std::sync::Arc;

use polars::prelude::{Column as Series, CompatLevel, DataFrame, DataType, PlSmallStr, Series as OneSeries};
use polars_arrow::array::{Array, ListArray, PrimitiveArray, Utf8Array};
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field};
use polars_arrow::io::ipc::read::{StreamReader, StreamState, read_stream_metadata};
use polars_arrow::io::ipc::write::{StreamWriter, WriteOptions};
use polars_arrow::offset::OffsetsBuffer;
use polars_arrow::record_batch::RecordBatch;

use crate::data::{Schema, Table, Type, dtype};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::panics;

/// The rows of some streams, one after the other, as a table of `schema`. `engine` is named in errors.
///
/// # Errors
/// A stream is damaged, or has other columns.
pub fn table(engine: &str, streams: &[Vec<u8>], schema: &Schema) -> Fallible<Table> {
    let bad =
        |what: String| Diagnostic::new(Kind::System, format!("{engine} sent a result that cannot be read: {what}"));
    let mut tables = Vec::new();
    for stream in streams {
        // A damaged stream must not end the shell, wherever the reader finds it out.
        let frames = panics::caught(|| frames(stream, schema)).unwrap_or_else(Err).map_err(bad)?;
        for frame in frames {
            tables.push(Table::new(frame, schema.clone()).map_err(bad)?);
        }
    }
    Ok(Table::stacked(schema, tables))
}

/// A table as one Arrow stream, its columns called `c0`, `c1`, …, with a last one that numbers its rows, `o0`.
pub fn numbered(table: &Table) -> Vec<u8> {
    let mut columns = Vec::new();
    let mut fields = ArrowSchema::default();
    for (i, column) in table.frame().columns().iter().enumerate() {
        let series = column.as_materialized_series().rechunk();
        let array = plain(series.to_arrow(0, CompatLevel::oldest()));
        fields.insert(format!("c{i}").into(), Field::new(format!("c{i}").into(), array.dtype().clone(), true));
        columns.push(array);
    }
    let numbers: Vec<Option<i64>> = (0..table.height() as i64).map(Some).collect();
    fields.insert("o0".into(), Field::new("o0".into(), ArrowDataType::Int64, true));
    columns.push(PrimitiveArray::<i64>::from(numbers).boxed());
    let mut stream = Vec::new();
    let mut writer = StreamWriter::new(&mut stream, WriteOptions { compression: None });
    let batch = RecordBatch::new(table.height(), Arc::new(fields.clone()), columns);
    let written = writer.start(&fields, None).and_then(|()| writer.write(&batch, None)).and_then(|()| writer.finish());
    written.expect("a vector takes all that is written");
    stream
}

/// Texts and lists in the form that all readers know: with 32 bits for each place. There are at most 64 MiB of them.
fn plain(array: Box<dyn Array>) -> Box<dyn Array> {
    if let Some(texts) = array.as_any().downcast_ref::<Utf8Array<i64>>() {
        let values: Vec<Option<&str>> = texts.iter().collect();
        return Utf8Array::<i32>::from(values).boxed();
    }
    let Some(lists) = array.as_any().downcast_ref::<ListArray<i64>>() else { return array };
    let values = plain(lists.values().clone());
    let places: Vec<i32> = lists.offsets().iter().map(|place| *place as i32).collect();
    let offsets = OffsetsBuffer::try_from(places).expect("they were in order");
    let ty = ListArray::<i32>::default_datatype(values.dtype().clone());
    ListArray::<i32>::new(ty, offsets, values, lists.validity().cloned()).boxed()
}

fn frames(stream: &[u8], schema: &Schema) -> Result<Vec<DataFrame>, String> {
    let mut bytes = Cursor::new(stream);
    let metadata = read_stream_metadata(&mut bytes).map_err(|error| error.to_string())?;
    let width = metadata.schema.len();
    if width != schema.columns.len() {
        return Err(format!("{width} columns instead of {}", schema.columns.len()));
    }
    let mut frames = Vec::new();
    for state in StreamReader::new(bytes, metadata, None) {
        let StreamState::Some(batch) = state.map_err(|error| error.to_string())? else {
            return Err("the stream ends in the middle".to_string());
        };
        let height = batch.len();
        let mut columns = Vec::new();
        for (array, column) in batch.into_arrays().into_iter().zip(&schema.columns) {
            let name = PlSmallStr::from_str(&column.name);
            let series = OneSeries::try_from((name, array)).map_err(|error| error.to_string())?;
            let wanted = dtype(&column.ty);
            let series = match *series.dtype() == wanted {
                true => series,
                false if holds(&column.ty, series.dtype()) => {
                    series.strict_cast(&wanted).map_err(|error| error.to_string())?
                }
                false => return Err(format!("column {}: {} instead of {}", column.name, series.dtype(), column.ty)),
            };
            columns.push(Series::from(series));
        }
        frames.push(DataFrame::new(height, columns).map_err(|error| error.to_string())?);
    }
    Ok(frames)
}

/// Whether a column of another type has values of `ty` only.
fn holds(ty: &Type, found: &DataType) -> bool {
    match (ty, found) {
        (_, DataType::Null) => true,
        (Type::Int, found) => found.is_integer(),
        (Type::Float, found) => found.is_float(),
        (Type::List(of), DataType::List(found)) => **found == dtype(of) || holds(of, found),
        _ => false,
    }
}
