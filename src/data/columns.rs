//! Between values and polars columns.

use polars::prelude::*;

use crate::data::{Type, Value};

/// A column of `ty` from its values.
pub fn series(name: &str, ty: &Type, values: &[Value]) -> Series {
    let name = PlSmallStr::from_str(name);
    match ty {
        Type::Int => Int64Chunked::from_iter_options(name, values.iter().map(int)).into_series(),
        Type::Float => Float64Chunked::from_iter_options(name, values.iter().map(float)).into_series(),
        Type::Bool => BooleanChunked::from_iter_options(name, values.iter().map(boolean)).into_series(),
        Type::Text | Type::Open | Type::Never => {
            StringChunked::from_iter_options(name, values.iter().map(text)).into_series()
        }
        Type::List(of) => lists(name, of, values),
    }
}

fn int(value: &Value) -> Option<i64> {
    if let Value::Int(i) = value { Some(*i) } else { None }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(f) => Some(*f),
        Value::Int(i) => Some(*i as f64),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) => None,
    }
}

fn boolean(value: &Value) -> Option<bool> {
    if let Value::Bool(b) = value { Some(*b) } else { None }
}

fn text(value: &Value) -> Option<&str> {
    if let Value::Text(text) = value { Some(text) } else { None }
}

fn lists(name: PlSmallStr, of: &Type, values: &[Value]) -> Series {
    let items = |value: &Value| if let Value::List(items) = value { Some(items.clone()) } else { None };
    let total = values.iter().map(|value| items(value).map_or(0, |items| items.len())).sum();
    macro_rules! build {
        ($builder:expr, $append:ident, $of:expr) => {{
            let mut builder = $builder;
            for value in values {
                match items(value) {
                    Some(items) => builder.$append(items.iter().map($of)),
                    None => builder.append_null(),
                }
            }
            builder.finish().into_series()
        }};
    }
    match of {
        Type::Int => {
            let builder = ListPrimitiveChunkedBuilder::<Int64Type>::new(name, values.len(), total, DataType::Int64);
            build!(builder, append_iter, int)
        }
        Type::Float => {
            let builder = ListPrimitiveChunkedBuilder::<Float64Type>::new(name, values.len(), total, DataType::Float64);
            build!(builder, append_iter, float)
        }
        Type::Bool => build!(ListBooleanChunkedBuilder::new(name, values.len(), total), append_iter, boolean),
        Type::Text | Type::Open | Type::Never => {
            build!(ListStringChunkedBuilder::new(name, values.len(), total), append_trusted_len_iter, text)
        }
        Type::List(inner) => {
            let parts = values.iter().map(|value| items(value).map(|items| lists(PlSmallStr::EMPTY, inner, &items)));
            let dtype = DataType::List(Box::new(dtype(inner)));
            let mut builder = polars::chunked_array::builder::get_list_builder(&dtype, total, values.len(), name);
            for part in parts {
                match part {
                    Some(part) => builder.append_series(&part).expect("the parts are all of the builder's type"),
                    None => builder.append_null(),
                }
            }
            builder.finish().into_series()
        }
    }
}

/// The polars type that holds values of `ty`.
pub fn dtype(ty: &Type) -> DataType {
    match ty {
        Type::Int => DataType::Int64,
        Type::Float => DataType::Float64,
        Type::Bool => DataType::Boolean,
        Type::Text | Type::Open | Type::Never => DataType::String,
        Type::List(of) => DataType::List(Box::new(dtype(of))),
    }
}

/// The values of a column that holds a `ty`.
pub fn values(series: &Series, ty: &Type) -> Vec<Value> {
    let wrong = "a table's columns have the types of its schema";
    macro_rules! each {
        ($column:expr, $make:expr) => {
            $column.expect(wrong).iter().map(|value| value.map_or(Value::Null, $make)).collect()
        };
    }
    match ty {
        Type::Int => each!(series.i64(), Value::Int),
        Type::Float => each!(series.f64(), Value::Float),
        Type::Bool => each!(series.bool(), Value::Bool),
        Type::Text | Type::Open | Type::Never => each!(series.str(), Value::text),
        Type::List(of) => {
            let lists = series.list().expect(wrong);
            let each = |list: Option<Series>| list.map_or(Value::Null, |list| Value::List(values(&list, of).into()));
            lists.series_iter().map(each).collect()
        }
    }
}
