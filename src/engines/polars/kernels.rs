//! Functions of ours inside polars expressions: where polars has none, or one that means something else.

use polars::prelude::*;

use crate::data::scalar::{self, ScalarError};
use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::functions::FloatToFloat;

/// An expression that runs `function` over columns of one length; constants among them have length 1. The name is what
/// `explain` shows.
pub fn elementwise<F>(name: &'static str, inputs: &[Expr], dtype: DataType, function: F) -> Expr
where
    F: Fn(&[Series]) -> PolarsResult<Series> + Send + Sync + 'static,
{
    let run = move |columns: &mut [Column]| {
        let name = columns[0].name().clone();
        let series: Vec<Series> = columns.iter().map(|column| column.as_materialized_series().clone()).collect();
        function(&series).map(|result| result.with_name(name).into_column())
    };
    let output = move |_: &Schema, fields: &[Field]| Ok(Field::new(fields[0].name().clone(), dtype.clone()));
    let (first, rest) = inputs.split_first().expect("a function has an argument");
    let mut whole = first.clone().map_many(run, rest, output);
    if let Expr::AnonymousFunction { fmt_str, .. } = &mut whole {
        **fmt_str = PlSmallStr::from_static(name);
    }
    whole
}

/// The common length of columns, of which constants have length 1.
pub fn height(series: &[Series]) -> usize {
    series.iter().map(|series| series.len()).find(|length| *length != 1).unwrap_or(1)
}

/// Tells our errors from those of polars, on their way through it.
const MARK: &str = "\u{1}timelab\u{1}";

/// An error of ours as one of polars.
pub fn failed(kind: Kind, span: Span, message: &str) -> PolarsError {
    // An error of polars has room for a text alone.
    let Span { cell, start, end } = span;
    let text = format!("{MARK}{}\u{1}{cell}\u{1}{start}\u{1}{end}\u{1}{message}{MARK}", kind as u8);
    PolarsError::ComputeError(text.into())
}

pub fn wrong(wrong: ScalarError, span: Span) -> PolarsError {
    match wrong {
        ScalarError::Overflow => failed(Kind::Overflow, span, "int overflow"),
        ScalarError::ZeroDivision => failed(Kind::ZeroDivision, span, "division by zero"),
        ScalarError::Domain(message) => failed(Kind::Domain, span, &message),
    }
}

/// The error of ours that polars hands back, if it is one.
pub fn recognised(text: &str) -> Option<Box<Diagnostic>> {
    const KINDS: [Kind; 8] = [
        Kind::Overflow,
        Kind::ZeroDivision,
        Kind::Domain,
        Kind::Depth,
        Kind::Shape,
        Kind::Stopped,
        Kind::System,
        Kind::Rust,
    ];
    let (_, said) = text.split_once(MARK)?;
    let (said, _) = said.split_once(MARK)?;
    let parts: Vec<&str> = said.splitn(5, '\u{1}').collect();
    let [kind, cell, start, end, message] = parts[..] else { return None };
    let number = |text: &str| text.parse::<u32>().ok();
    let kind = KINDS.into_iter().find(|known| number(kind) == Some(*known as u32))?;
    let span = Span { cell: number(cell)?, start: number(start)?, end: number(end)? };
    // Ctrl-C is about no place in the cell.
    if kind == Kind::Stopped { Some(Diagnostic::new(kind, message)) } else { Some(Diagnostic::at(kind, span, message)) }
}

/// The values of a column of ints, or of a constant.
fn ints(series: &Series) -> PolarsResult<Operand<'_, i64>> {
    let column = series.i64()?;
    Ok(match (column.len(), column.cont_slice()) {
        (1, _) => Operand::One(column.get(0)),
        (_, Ok(values)) => Operand::Full(values),
        (_, Err(_)) => Operand::Some(column.iter().collect()),
    })
}

fn floats(series: &Series) -> PolarsResult<Operand<'_, f64>> {
    let column = series.f64()?;
    Ok(match (column.len(), column.cont_slice()) {
        (1, _) => Operand::One(column.get(0)),
        (_, Ok(values)) => Operand::Full(values),
        (_, Err(_)) => Operand::Some(column.iter().collect()),
    })
}

enum Operand<'a, T> {
    One(Option<T>),
    /// Without nulls.
    Full(&'a [T]),
    Some(Vec<Option<T>>),
}

impl<T: Copy> Operand<'_, T> {
    fn at(&self, row: usize) -> Option<T> {
        match self {
            Operand::One(value) => *value,
            Operand::Full(values) => Some(values[row]),
            Operand::Some(values) => values[row],
        }
    }
}

/// An operator of ints that has no value for some operands.
#[derive(Debug, Clone, Copy)]
pub enum IntOperator {
    Add,
    Subtract,
    Multiply,
    FloorDivide,
    Remainder,
    Power,
    /// To so many digits.
    Round,
}

impl IntOperator {
    fn name(self) -> &'static str {
        match self {
            IntOperator::Add => "checked_add",
            IntOperator::Subtract => "checked_sub",
            IntOperator::Multiply => "checked_mul",
            IntOperator::FloorDivide => "checked_floor_div",
            IntOperator::Remainder => "checked_rem",
            IntOperator::Power => "checked_pow",
            IntOperator::Round => "checked_round",
        }
    }
}

/// `a operator b`, checked.
pub fn int_operator(operator: IntOperator, a: Expr, b: Expr, span: Span) -> Expr {
    elementwise(operator.name(), &[a, b], DataType::Int64, move |series| {
        let height = height(series);
        let (a, b) = (ints(&series[0])?, ints(&series[1])?);
        let result = match operator {
            IntOperator::Add => check_all(&a, &b, height, i64::overflowing_add, scalar::add),
            IntOperator::Subtract => check_all(&a, &b, height, i64::overflowing_sub, scalar::subtract),
            IntOperator::Multiply => check_all(&a, &b, height, i64::overflowing_mul, scalar::multiply),
            IntOperator::FloorDivide => each(&a, &b, height, scalar::floor_divide),
            IntOperator::Remainder => each(&a, &b, height, scalar::remainder),
            IntOperator::Power => each(&a, &b, height, scalar::power),
            IntOperator::Round => each(&a, &b, height, scalar::round_int_to),
        };
        result.map(IntoSeries::into_series).map_err(|why| wrong(why, span))
    })
}

/// The whole column with one flag for all rows, which the compiler vectorises.
fn check_all(
    a: &Operand<'_, i64>,
    b: &Operand<'_, i64>,
    height: usize,
    quick: fn(i64, i64) -> (i64, bool),
    slow: fn(i64, i64) -> Result<i64, ScalarError>,
) -> Result<Int64Chunked, ScalarError> {
    let mut over = false;
    let mut quickly = |a: i64, b: i64| {
        let (value, overflowed) = quick(a, b);
        over |= overflowed;
        value
    };
    let values: Vec<i64> = match (a, b) {
        (Operand::Full(a), Operand::Full(b)) => a.iter().zip(b.iter()).map(|(a, b)| quickly(*a, *b)).collect(),
        (Operand::Full(a), Operand::One(Some(b))) => a.iter().map(|a| quickly(*a, *b)).collect(),
        (Operand::One(Some(a)), Operand::Full(b)) => b.iter().map(|b| quickly(*a, *b)).collect(),
        _ => return each(a, b, height, slow),
    };
    if over { Err(ScalarError::Overflow) } else { Ok(Int64Chunked::from_vec(PlSmallStr::EMPTY, values)) }
}

fn each(
    a: &Operand<'_, i64>,
    b: &Operand<'_, i64>,
    height: usize,
    operator: fn(i64, i64) -> Result<i64, ScalarError>,
) -> Result<Int64Chunked, ScalarError> {
    let value = |row: usize| match (a.at(row), b.at(row)) {
        (Some(a), Some(b)) => operator(a, b).map(Some),
        _ => Ok(None),
    };
    let values: Vec<Option<i64>> = (0..height).map(value).collect::<Result<_, _>>()?;
    Ok(Int64Chunked::from_iter_options(PlSmallStr::EMPTY, values.into_iter()))
}

/// A function of one int that has no value for some.
pub fn int_function(name: &'static str, function: fn(i64) -> Result<i64, ScalarError>, a: Expr, span: Span) -> Expr {
    elementwise(name, &[a], DataType::Int64, move |series| {
        let result: Result<Int64Chunked, ScalarError> = series[0].i64()?.try_apply_nonnull_values_generic(function);
        result.map(IntoSeries::into_series).map_err(|why| wrong(why, span))
    })
}

/// `function(a, b)` of floats.
pub fn float_operator(name: &'static str, function: fn(f64, f64) -> f64, a: Expr, b: Expr) -> Expr {
    elementwise(name, &[a, b], DataType::Float64, move |series| {
        let height = height(series);
        let (a, b) = (floats(&series[0])?, floats(&series[1])?);
        let value = |row: usize| Some(function(a.at(row)?, b.at(row)?));
        Ok(Float64Chunked::from_iter_options(PlSmallStr::EMPTY, (0..height).map(value)).into_series())
    })
}

/// A function of a float: polars' own where it has one that means the same. Its logarithm to the base 2 divides two
/// logarithms, which is not exact for powers of two.
pub fn float_function(function: &'static FloatToFloat, x: Expr) -> Expr {
    match function.name {
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "exp" => x.exp(),
        "ln" => x.log(lit(std::f64::consts::E)),
        "sin" => x.sin(),
        "cos" => x.cos(),
        name => elementwise(name, &[x], DataType::Float64, move |series| {
            Ok(series[0].f64()?.apply_values(function.apply).into_series())
        }),
    }
}

/// Floats to so many decimal places.
pub fn round_to(a: Expr, digits: Expr) -> Expr {
    elementwise("round", &[a, digits], DataType::Float64, |series| {
        let height = height(series);
        let (a, digits) = (floats(&series[0])?, ints(&series[1])?);
        let value = |row: usize| Some(scalar::round_to(a.at(row)?, digits.at(row)?));
        Ok(Float64Chunked::from_iter_options(PlSmallStr::EMPTY, (0..height).map(value)).into_series())
    })
}

pub fn int_from_float(a: Expr, span: Span) -> Expr {
    elementwise("int", &[a], DataType::Int64, move |series| {
        let result: Result<Int64Chunked, ScalarError> =
            series[0].f64()?.try_apply_nonnull_values_generic(scalar::int_from_float);
        result.map(IntoSeries::into_series).map_err(|why| wrong(why, span))
    })
}

pub fn int_from_text(a: Expr, span: Span) -> Expr {
    elementwise("int", &[a], DataType::Int64, move |series| {
        let result: Result<Int64Chunked, ScalarError> =
            series[0].str()?.try_apply_nonnull_values_generic(scalar::int_from_text);
        result.map(IntoSeries::into_series).map_err(|why| wrong(why, span))
    })
}

pub fn float_from_text(a: Expr, span: Span) -> Expr {
    elementwise("float", &[a], DataType::Float64, move |series| {
        let result: Result<Float64Chunked, ScalarError> =
            series[0].str()?.try_apply_nonnull_values_generic(scalar::float_from_text);
        result.map(IntoSeries::into_series).map_err(|why| wrong(why, span))
    })
}

/// A function from a text to a text.
pub fn text_function(name: &'static str, function: fn(&str) -> String, a: Expr) -> Expr {
    elementwise(name, &[a], DataType::String, move |series| {
        Ok(series[0].str()?.apply_into_string_amortized(|text, out| out.push_str(&function(text))).into_series())
    })
}

/// The parts of a text; `parts` adds where each starts and ends.
pub fn text_parts(name: &'static str, parts: fn(&str, &mut Vec<(usize, usize)>), a: Expr) -> Expr {
    elementwise(name, &[a], DataType::List(Box::new(DataType::String)), move |series| {
        let texts = series[0].str()?;
        let mut builder = ListStringChunkedBuilder::new(PlSmallStr::EMPTY, texts.len(), texts.len());
        let mut places = Vec::new();
        for text in texts.iter() {
            match text {
                None => builder.append_null(),
                Some(text) => {
                    places.clear();
                    parts(text, &mut places);
                    builder.append_values_iter(places.iter().map(|(start, end)| &text[*start..*end]));
                }
            }
        }
        Ok(builder.finish().into_series())
    })
}

/// A sum in 128 bits as an int.
pub fn int_from_sum(a: Expr, span: Span) -> Expr {
    elementwise("int", &[a], DataType::Int64, move |series| {
        let sums = series[0].i128()?;
        let result: Result<Int64Chunked, std::num::TryFromIntError> =
            sums.try_apply_nonnull_values_generic(i64::try_from);
        let over = |_| failed(Kind::Overflow, span, "int overflow: the sum does not fit into an int");
        result.map(IntoSeries::into_series).map_err(over)
    })
}

/// Ints that are equal where the floats are: NaN equals NaN, `-0.0` equals `0.0`.
pub fn float_key(a: Expr) -> Expr {
    elementwise("key", &[a], DataType::Int64, |series| {
        let key = |x: f64| if x.is_nan() { f64::NAN.to_bits() as i64 } else { (x + 0.0).to_bits() as i64 };
        let keys: Int64Chunked = series[0].f64()?.apply_nonnull_values_generic(DataType::Int64, key);
        Ok(keys.into_series())
    })
}
