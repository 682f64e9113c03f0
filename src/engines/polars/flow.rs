//! A table on its way through a plan as polars sees it, and what is noted on the way.

use std::sync::{Arc, Mutex};

use polars::prelude::*;

use crate::data::{self, Type, Value};
use crate::diagnostic::Span;
use crate::plan::Prepared;
use crate::run_context::RunContext;

use super::exprs::{Columns, Shared};
use super::kernels;

/// A table that is still to be computed: its columns are `c0`, `c1`, ….
#[derive(Clone)]
pub struct Flow {
    pub frame: LazyFrame,
    pub columns: Columns,
    /// The most rows that it can have.
    pub rows: Option<u64>,
    /// Whether it is worth streaming.
    pub large: bool,
}

/// What was found out on the way.
#[derive(Default)]
pub struct Notes {
    /// Whether some expression may fail: then polars must not move, merge or drop any.
    pub fallible: bool,
    /// Whether some aggregate needs the rows of a group in their order.
    pub ordered: bool,
    /// Whether rows are left out, which must be computed all the same.
    pub skips: bool,
    /// Whether rows are sorted.
    pub sorts: bool,
    /// Whether tables are concatenated: polars counts their rows in a type that it does not cast to.
    pub concatenates: bool,
    /// The last `zip`, whose tables may be of different lengths.
    pub zipped: Option<Span>,
    /// The expressions that run row by row, as text.
    pub slow: Vec<String>,
    /// The first rows that each `peek` saw, in the order of the plan.
    pub peeked: Vec<Arc<Mutex<Option<Peeked>>>>,
    /// The labels of counters, and what they are.
    pub tallied: Vec<(Vec<String>, Sums)>,
}

/// Known when the query has run.
pub type Sums = Arc<Mutex<Option<Vec<i128>>>>;

pub struct Peeked {
    pub label: String,
    pub rows: Vec<Vec<Value>>,
}

/// What a value is grouped and joined by: equal where the values are. Texts, ints and bools are their own keys.
pub fn key_of(value: Expr, ty: &Type) -> Expr {
    match ty {
        Type::Float => kernels::float_key(value),
        Type::List(_) => {
            let ty = ty.clone();
            kernels::elementwise("key", &[value], DataType::String, move |series| {
                let keys = data::values(&series[0], &ty).into_iter().map(|value| match value {
                    Value::Null => None,
                    value => Some(canonical(value).to_string()),
                });
                Ok(StringChunked::from_iter_options(PlSmallStr::EMPTY, keys).into_series())
            })
        }
        Type::Int | Type::Bool | Type::Text | Type::Open | Type::Never => value,
    }
}

/// `-0.0` as `0.0`, at any depth.
fn canonical(value: Value) -> Value {
    match value {
        Value::Float(x) => Value::Float(x + 0.0),
        Value::List(items) => Value::List(items.iter().cloned().map(canonical).collect()),
        value => value,
    }
}

/// Lowers one step of a plan.
pub struct Lowerer<'a> {
    pub plan: &'a Prepared,
    /// The table that flows in, for words about its expressions.
    pub input: &'a data::Schema,
    pub shared: &'a Shared,
    pub context: Option<&'a RunContext>,
    pub notes: &'a mut Notes,
}
