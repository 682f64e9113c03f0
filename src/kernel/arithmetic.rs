//! Arithmetic over columns. Ints never wrap: where the bounds of the operands prove it, the loop is the unchecked one;
//! where they do not, every row is checked.

use crate::data::scalar::{self, ScalarError};
use crate::diagnostic::Span;
use crate::lang::Operator;
use crate::rowwise::{RowError, wrong};

use super::column::{Column, Data, Ints};
use super::loops;
use super::scope::{Out, Scope};
use super::slots::{Nulls, Slots};

impl Ints {
    /// The least and the largest slot, or wider bounds.
    fn bounds(&self) -> (i64, i64) {
        self.bounds.unwrap_or_else(|| match &self.slots {
            Slots::One(value) => (*value, *value),
            Slots::Each(values) => loops::bounds(values),
        })
    }

    /// The bounds as they are now, where those that are known say too little.
    fn exact(&self) -> Ints {
        let bounds = match &self.slots {
            Slots::One(value) => (*value, *value),
            Slots::Each(values) => loops::bounds(values),
        };
        Ints { slots: self.slots.clone(), bounds: Some(bounds) }
    }
}

/// `left operator right`, null where one is null.
pub fn operate(operator: Operator, left: Column, right: Column, scope: Scope, span: Span) -> Out {
    let nulls = left.nulls.or(&right.nulls);
    let data = match (&left.data, &right.data) {
        _ if matches!(nulls, Nulls::All) => return Ok(Column { data: left.data, nulls }),
        (Data::Int(a), Data::Int(b)) => Data::Int(ints(operator, a, b, &nulls, scope, span)?),
        (Data::Float(a), Data::Float(b)) => Data::Float(floats(operator, a, b)),
        _ => unreachable!("the plan's types hold"),
    };
    Ok(Column { data, nulls })
}

fn ints(
    operator: Operator,
    a: &Ints,
    b: &Ints,
    nulls: &Nulls,
    scope: Scope,
    span: Span,
) -> Result<Ints, Box<RowError>> {
    if let Some(result) = unchecked(operator, a, b) {
        return Ok(result);
    }
    // Derived bounds widen with each operator: a look at the values may still spare the loop that tests every row.
    // Where no bounds were known, the first try has looked already.
    let known = a.bounds.is_some() || b.bounds.is_some();
    if let Some(result) = known.then(|| unchecked(operator, &a.exact(), &b.exact())).flatten() {
        return Ok(result);
    }
    let operate = scalar_operator(operator);
    check_rows(&a.slots, &b.slots, nulls, scope, operate, |why, a, b| {
        wrong(why, span, || format!("{a} {} {b}", operator.sign()))
    })
}

fn scalar_operator(operator: Operator) -> fn(i64, i64) -> Result<i64, ScalarError> {
    match operator {
        Operator::Add => scalar::add,
        Operator::Subtract => scalar::subtract,
        Operator::Multiply => scalar::multiply,
        Operator::FloorDivide => scalar::floor_divide,
        Operator::Remainder => scalar::remainder,
        Operator::Divide => unreachable!("`/` gives a float"),
    }
}

/// The result where the bounds prove that nothing overflows.
fn unchecked(operator: Operator, a: &Ints, b: &Ints) -> Option<Ints> {
    let (x, y) = (a.bounds(), b.bounds());
    let wide = |value: i64| i128::from(value);
    let fits = |least: i128, largest: i128| Some((i64::try_from(least).ok()?, i64::try_from(largest).ok()?));
    match operator {
        Operator::Add => {
            let bounds = fits(wide(x.0) + wide(y.0), wide(x.1) + wide(y.1))?;
            Some(Ints { slots: loops::add(&a.slots, &b.slots), bounds: Some(bounds) })
        }
        Operator::Subtract => {
            let bounds = fits(wide(x.0) - wide(y.1), wide(x.1) - wide(y.0))?;
            Some(Ints { slots: loops::subtract(&a.slots, &b.slots), bounds: Some(bounds) })
        }
        Operator::Multiply => {
            let corners = [x.0, x.1].map(|x| [y.0, y.1].map(|y| wide(x) * wide(y)));
            let corners = corners.as_flattened();
            let bounds = fits(*corners.iter().min()?, *corners.iter().max()?)?;
            let narrow = |(least, largest): (i64, i64)| i32::try_from(least).is_ok() && i32::try_from(largest).is_ok();
            let multiply = if narrow(x) && narrow(y) { loops::multiply_narrow } else { loops::multiply };
            Some(Ints { slots: multiply(&a.slots, &b.slots), bounds: Some(bounds) })
        }
        Operator::FloorDivide | Operator::Remainder => {
            let Slots::One(divisor @ 1..) = b.slots else { return None };
            let small = |bound: i64| bound.unsigned_abs() < 1 << 50;
            if !small(x.0) || !small(x.1) || !small(divisor) {
                return None;
            }
            let quotients = (x.0.div_euclid(divisor), x.1.div_euclid(divisor));
            if operator == Operator::FloorDivide {
                return Some(Ints { slots: loops::floor_divide(&a.slots, divisor), bounds: Some(quotients) });
            }
            let narrow = |value: i64| i32::try_from(value).is_ok_and(|value| value < i32::MAX);
            let all_narrow = narrow(quotients.0) && narrow(quotients.1) && narrow(divisor);
            let remainder = if all_narrow { loops::remainder_narrow } else { loops::remainder };
            Some(Ints { slots: remainder(&a.slots, divisor), bounds: Some((0, divisor - 1)) })
        }
        Operator::Divide => unreachable!("`/` gives a float"),
    }
}

/// Each row by itself. Rows that are null or not asked for have no faults.
fn check_rows(
    a: &Slots<i64>,
    b: &Slots<i64>,
    nulls: &Nulls,
    scope: Scope,
    operate: impl Fn(i64, i64) -> Result<i64, ScalarError>,
    fault: impl Fn(ScalarError, i64, i64) -> Box<RowError>,
) -> Result<Ints, Box<RowError>> {
    let mut values = vec![0; scope.rows()];
    for (row, value) in values.iter_mut().enumerate() {
        let (a, b) = (*a.at(row), *b.at(row));
        match operate(a, b) {
            Ok(result) => *value = result,
            // What lies in the slot of a null, or of a row that `if` left out, is arbitrary.
            Err(why) if scope.is_active(row) && !nulls.at(row) => return Err(fault(why, a, b)),
            Err(_) => {}
        }
    }
    Ok(Ints { slots: Slots::each(values), bounds: None })
}

fn floats(operator: Operator, a: &Slots<f64>, b: &Slots<f64>) -> Slots<f64> {
    match operator {
        Operator::Add => loops::add_floats(a, b),
        Operator::Subtract => loops::subtract_floats(a, b),
        Operator::Multiply => loops::multiply_floats(a, b),
        Operator::Divide => loops::divide_floats(a, b),
        Operator::FloorDivide => each_pair(a, b, scalar::floor_divide_floats),
        Operator::Remainder => each_pair(a, b, scalar::remainder_floats),
    }
}

pub(super) fn each_pair<A: Copy, B: Copy, R: Clone>(a: &Slots<A>, b: &Slots<B>, f: impl Fn(A, B) -> R) -> Slots<R> {
    match (a, b) {
        (Slots::One(a), Slots::One(b)) => Slots::One(f(*a, *b)),
        (Slots::Each(a), b) => Slots::each(a.iter().enumerate().map(|(row, a)| f(*a, *b.at(row))).collect()),
        (Slots::One(a), Slots::Each(b)) => Slots::each(b.iter().map(|b| f(*a, *b)).collect()),
    }
}

pub fn negate(column: Column, scope: Scope, span: Span) -> Out {
    let data = match &column.data {
        Data::Float(floats) => Data::Float(loops::negate_floats(floats)),
        Data::Int(ints) => Data::Int(one_sided(
            ints,
            &column.nulls,
            scope,
            loops::negate,
            |least, largest| (-largest, -least),
            scalar::negate,
            |why, i| wrong(why, span, || format!("-({i})")),
        )?),
        _ => return Ok(column),
    };
    Ok(Column { data, nulls: column.nulls })
}

pub fn absolute(column: &Column, scope: Scope, span: Span) -> Out {
    let Data::Int(ints) = &column.data else { unreachable!("the plan's types hold") };
    let largest = |least: i64, largest: i64| (0, least.abs().max(largest.abs()));
    let data = one_sided(ints, &column.nulls, scope, loops::absolute, largest, scalar::absolute, |why, i| {
        wrong(why, span, || format!("abs({i})"))
    })?;
    Ok(Column { data: Data::Int(data), nulls: column.nulls.clone() })
}

/// A function of one int that only the least int has no value for.
fn one_sided(
    ints: &Ints,
    nulls: &Nulls,
    scope: Scope,
    whole: fn(&Slots<i64>) -> Slots<i64>,
    bounds: impl Fn(i64, i64) -> (i64, i64),
    operate: fn(i64) -> Result<i64, ScalarError>,
    fault: impl Fn(ScalarError, i64) -> Box<RowError>,
) -> Result<Ints, Box<RowError>> {
    let (least, largest) = ints.bounds();
    if least != i64::MIN {
        return Ok(Ints { slots: whole(&ints.slots), bounds: Some(bounds(least, largest)) });
    }
    check_rows(&ints.slots, &Slots::One(0), nulls, scope, |a, _| operate(a), |why, a, _| fault(why, a))
}
