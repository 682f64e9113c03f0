//! Groups and their aggregates: what polars reduces, and what is made of it afterwards.

use polars::prelude::*;

use crate::data::{self, Type, Value};
use crate::diagnostic::Span;
use crate::plan::aggregates::OfNumbers;
use crate::plan::{Agg, AggFunc, Named};

use super::bounds::{self, Bounds};
use super::exprs::{Columns, constant, name};
use super::flow::{Flow, Lowerer, key_of};
use super::kernels;

/// One row for each key, or one row in all.
pub fn aggregate(flow: Flow, keys: &[Named], aggs: &[Agg], lowerer: &mut Lowerer) -> Flow {
    let rows = flow.rows;
    // First the keys `c…` and the arguments after them, so that every column is there for each row.
    let args: Vec<_> = aggs.iter().filter_map(|agg| agg.arg.as_ref()).collect();
    let exprs: Vec<_> = keys.iter().map(|key| &key.expr).chain(args).collect();
    let flow = if exprs.is_empty() { flow } else { lowerer.project(flow, &exprs) };
    let mut place = keys.len();
    let mut first = Vec::new();
    let mut last = Vec::new();
    let mut columns: Columns = flow.columns[..keys.len()].to_vec();
    for (i, agg) in aggs.iter().enumerate() {
        let (arg, ty, bounds, span) = match &agg.arg {
            Some(arg) => {
                place += 1;
                let (ty, bounds) = &flow.columns[place - 1];
                (col(name("c", place - 1)), ty.clone(), *bounds, arg.span)
            }
            None => (lit(NULL), Type::Int, bounds::ANY, Span::default()),
        };
        let reduced = reduce(agg, Arg { expr: arg, ty, bounds, rows, span }, &name("a", i));
        first.extend(reduced.first);
        last.push(reduced.last);
        columns.push((agg.ty.clone(), reduced.bounds));
    }
    let finished =
        |offset: usize| last.iter().enumerate().map(move |(i, expr)| expr.clone().alias(name("c", offset + i)));
    if keys.is_empty() {
        let frame = flow.frame.select(first).select(finished(0).collect::<Vec<_>>());
        return Flow { frame, columns, rows: Some(1), large: flow.large };
    }
    // Groups are found by keys that are equal where the values are; each takes the value of its first row.
    let ids: Vec<Expr> = (0..keys.len()).map(|i| key_of(col(name("c", i)), &flow.columns[i].0)).collect();
    let plain = flow.columns[..keys.len()].iter().all(|(ty, _)| !matches!(ty, Type::Float | Type::List(_)));
    // What is small comes in the order of the first rows, which is pleasant but not promised.
    let large = flow.large;
    let grouped = |frame: LazyFrame, by: Vec<Expr>| if large { frame.group_by(by) } else { frame.group_by_stable(by) };
    let frame = if plain {
        grouped(flow.frame, ids).agg(first)
    } else {
        let named = ids.into_iter().enumerate().map(|(i, id)| id.alias(name("k", i))).collect::<Vec<_>>();
        let by: Vec<Expr> = (0..keys.len()).map(|i| col(name("k", i))).collect();
        first.extend((0..keys.len()).map(|i| col(name("c", i)).first()));
        grouped(flow.frame.with_columns(named), by).agg(first)
    };
    let select: Vec<Expr> = (0..keys.len()).map(|i| col(name("c", i))).chain(finished(keys.len())).collect();
    Flow { frame: frame.select(select), columns, rows, large: flow.large }
}

struct Arg {
    expr: Expr,
    ty: Type,
    bounds: Bounds,
    /// The most values that there can be.
    rows: Option<u64>,
    span: Span,
}

struct Reduced {
    /// What is computed for each group.
    first: Vec<Expr>,
    /// What is made of that, row by row.
    last: Expr,
    bounds: Bounds,
}

fn reduce(agg: &Agg, arg: Arg, name: &PlSmallStr) -> Reduced {
    let out = col(name.clone());
    let one = |first: Expr, last: Expr| Reduced { first: vec![first.alias(name.clone())], last, bounds: bounds::ANY };
    let counted = Bounds::new(0, u32::MAX);
    // An argument that is null alone has no type of its own.
    let open = arg.ty == Type::Open;
    let Arg { expr, ty, bounds, rows, span } = arg;
    match &agg.func {
        AggFunc::Rows => Reduced { bounds: counted, ..one(len(), out.cast(DataType::Int64)) },
        AggFunc::Count => Reduced { bounds: counted, ..one(expr.count(), out.cast(DataType::Int64)) },
        AggFunc::Sum if open => one(len(), constant(&Value::Int(0), &Type::Int).expr),
        AggFunc::Sum if ty == Type::Int => match bounds.summed(rows) {
            Some(bounds) if bounds.fits() => Reduced { bounds, ..one(expr.sum(), out) },
            _ => one(expr.cast(DataType::Int128).sum(), kernels::int_from_sum(out, span)),
        },
        AggFunc::Sum => one(expr.sum(), unsigned(out)),
        AggFunc::Mean | AggFunc::Median | AggFunc::Quantile(_) | AggFunc::Std | AggFunc::NumbersToFloat(_) if open => {
            one(len(), constant(&Value::Null, &agg.ty).expr)
        }
        AggFunc::Mean if ty == Type::Int => {
            let fits = bounds.summed(rows).is_some_and(Bounds::fits);
            let values = if fits { expr.clone() } else { expr.clone().cast(DataType::Int128) };
            let count = PlSmallStr::from_string(format!("{name}n"));
            let mean = out.cast(DataType::Float64) / col(count.clone()).cast(DataType::Float64);
            let last =
                when(col(count.clone()).gt(lit(0u32))).then(mean).otherwise(lit(Scalar::null(DataType::Float64)));
            let first = vec![values.sum().alias(name.clone()), expr.count().alias(count)];
            Reduced { first, last, bounds: bounds::ANY }
        }
        AggFunc::Mean => one(expr.mean(), unsigned(out)),
        AggFunc::Min | AggFunc::First | AggFunc::Last | AggFunc::Max if matches!(ty, Type::Int) => {
            let first = match agg.func {
                AggFunc::Min => expr.min(),
                AggFunc::Max => expr.max(),
                AggFunc::First => expr.first(),
                _ => expr.last(),
            };
            Reduced { bounds, ..one(first, out) }
        }
        AggFunc::Min if matches!(ty, Type::List(_)) => aggregate_group(expr, ty, &agg.ty, name, least),
        AggFunc::Max if matches!(ty, Type::List(_)) => aggregate_group(expr, ty, &agg.ty, name, largest),
        AggFunc::Min => one(expr.min(), out),
        AggFunc::Max if ty == Type::Float => {
            // NaN is above all; polars leaves it out.
            let any = PlSmallStr::from_string(format!("{name}n"));
            let first = vec![expr.clone().max().alias(name.clone()), expr.is_nan().any(true).alias(any.clone())];
            Reduced { first, last: when(col(any)).then(lit(f64::NAN)).otherwise(out), bounds: bounds::ANY }
        }
        AggFunc::Max => one(expr.max(), out),
        AggFunc::Median => quantile(expr, ty, &agg.ty, name, 0.5),
        AggFunc::Quantile(q) => quantile(expr, ty, &agg.ty, name, *q),
        AggFunc::NumbersToFloat(function) => of_numbers(expr, &agg.ty, name, OfNumbers::Function(function)),
        AggFunc::Std => spread(expr, &ty, name),
        AggFunc::First => one(expr.first(), out),
        AggFunc::Last => one(expr.last(), out),
        AggFunc::Distinct => {
            let distinct = key_of(expr, &ty).drop_nulls().n_unique();
            Reduced { bounds: counted, ..one(distinct, out.cast(DataType::Int64)) }
        }
        AggFunc::Collect => one(expr.implode(true), out),
        AggFunc::JoinText(between) => {
            let between = between.clone();
            aggregate_group(expr, ty, &agg.ty, name, move |items| {
                let texts =
                    items.iter().filter_map(|item| if let Value::Text(text) = item { Some(&**text) } else { None });
                Value::text(&texts.collect::<Vec<_>>().join(&between))
            })
        }
        AggFunc::Reduce(_) => unreachable!("it was objected to"),
    }
}

/// `-0.0` as `0.0`: a sum begins with it, but polars begins with the first value.
fn unsigned(sum: Expr) -> Expr {
    kernels::float_operator("add", |a, b| a + b, sum, lit(Scalar::from(0.0f64)))
}

/// The standard deviation, of the differences from the least value: of these, what rounding takes is small beside the
/// spread. Equal values have none; where the squares of floats are beyond them, those of smaller ones tell.
fn spread(expr: Expr, ty: &Type, name: &PlSmallStr) -> Reduced {
    if *ty == Type::Int {
        // Two ints may differ by more than an int.
        let wide = expr.cast(DataType::Int128);
        let off = (wide.clone() - wide.min()).cast(DataType::Float64);
        return Reduced { first: vec![off.std(1).alias(name.clone())], last: col(name.clone()), bounds: bounds::ANY };
    }
    // 2^480 and 2^-600.
    const LARGE: f64 = f64::from_bits((1023 + 480) << 52);
    const SCALE: f64 = f64::from_bits((1023 - 600) << 52);
    let part = |letter: &str| PlSmallStr::from_string(format!("{name}{letter}"));
    let expr = expr.cast(DataType::Float64);
    let scaled = expr.clone() * lit(Scalar::from(SCALE));
    let first = vec![
        (expr.clone() - expr.clone().min()).std(1).alias(name.clone()),
        (scaled.clone() - scaled.min()).std(1).alias(part("s")),
        expr.clone().min().alias(part("l")),
        expr.clone().max().alias(part("h")),
        expr.is_nan().any(true).alias(part("n")),
    ];
    let std = col(name.clone());
    let (least, largest) = (col(part("l")), col(part("h")));
    // The least and the largest leave out NaN.
    let numbers = least.clone().is_finite().and(largest.clone().is_finite()).and(col(part("n")).not());
    let equal = least.clone().eq(largest.clone()).and(numbers.clone()).and(std.clone().is_not_null());
    let is_large = least.lt_eq(lit(Scalar::from(-LARGE))).or(largest.gt_eq(lit(Scalar::from(LARGE)))).and(numbers);
    let of_large = col(part("s")) / lit(Scalar::from(SCALE));
    let last = when(equal).then(lit(Scalar::from(0.0f64))).when(is_large).then(of_large).otherwise(std);
    Reduced { first, last, bounds: bounds::ANY }
}

/// An aggregate of ours over all values of a group.
fn aggregate_group<F>(expr: Expr, ty: Type, result: &Type, name: &PlSmallStr, function: F) -> Reduced
where
    F: Fn(&[Value]) -> Value + Send + Sync + 'static,
{
    let (lists, result) = (Type::list(ty), result.clone());
    let dtype = data::dtype(&result);
    let last = kernels::elementwise("of_group", &[col(name.clone())], dtype, move |series| {
        let each = data::values(&series[0], &lists).into_iter().map(|list| match list {
            Value::List(items) => function(&items),
            _ => Value::Null,
        });
        Ok(data::series("", &result, &each.collect::<Vec<_>>()))
    });
    Reduced { first: vec![expr.implode(true).alias(name.clone())], last, bounds: bounds::ANY }
}

fn least(items: &[Value]) -> Value {
    items.iter().filter(|item| !item.is_null()).min_by(|a, b| a.compare(b)).cloned().unwrap_or_default()
}

fn largest(items: &[Value]) -> Value {
    items.iter().filter(|item| !item.is_null()).max_by(|a, b| a.compare(b)).cloned().unwrap_or_default()
}

/// Of ints as polars has it; floats may be infinite, where its interpolation gives NaN.
fn quantile(expr: Expr, ty: Type, result: &Type, name: &PlSmallStr, q: f64) -> Reduced {
    if ty == Type::Int {
        let first = expr.cast(DataType::Float64).quantile(lit(q), QuantileMethod::Linear);
        return Reduced { first: vec![first.alias(name.clone())], last: col(name.clone()), bounds: bounds::ANY };
    }
    of_numbers(expr, result, name, OfNumbers::Quantile(q))
}

/// What becomes of all numbers of a group.
fn of_numbers(expr: Expr, result: &Type, name: &PlSmallStr, of: OfNumbers) -> Reduced {
    aggregate_group(expr.cast(DataType::Float64), Type::Float, result, name, move |items| {
        let numbers = items.iter().filter_map(|item| if let Value::Float(x) = item { Some(*x) } else { None });
        of.apply(numbers.collect()).map_or(Value::Null, Value::Float)
    })
}
