//! Aggregates: what is computed of the column of an argument, and what is made of the result.

use crate::data::Type;
use crate::diagnostic::Span;
use crate::plan::{Agg, AggFunc, Prepared};

use super::super::translate::{Refusal, Translated};
use super::build::*;
use super::expressions::{Exprs, floor, one_form, sorted_lists};
use super::messages::*;

/// What makes a column of the result.
pub type After = Box<dyn Fn(Expression) -> Expression>;

/// Whether the result depends on the order of the rows.
pub fn needs_order(agg: &Agg) -> bool {
    matches!(agg.func, AggFunc::First | AggFunc::Last | AggFunc::Collect | AggFunc::JoinText(_) | AggFunc::Reduce(_))
}

/// An aggregate of the column `a…`; `n` numbers the rows where one needs their order.
pub fn aggregate(plan: &Prepared, agg: &Agg, number: usize, span: Span) -> Translated<(Expression, After)> {
    let refuse = |reason| Err(Refusal { reason, span });
    let arg = || attribute(format!("a{number}"));
    let ty = agg.arg.as_ref().map_or(Type::Int, |arg| arg.ty.clone());
    let is_float = ty == Type::Float;
    let as_int = |expr| cast(expr, "BIGINT");
    Ok(match &agg.func {
        AggFunc::Rows => (call("count", vec![small(1)]), Box::new(as_int)),
        AggFunc::Count => (call("count", vec![arg()]), Box::new(as_int)),
        AggFunc::Distinct => {
            let of = one_form(arg(), &ty);
            let count = Function { name: "count".to_string(), arguments: vec![of], is_distinct: true };
            (expression(ExprType::Function(count)), Box::new(as_int))
        }
        AggFunc::Sum if is_float => {
            (call("sum", vec![arg()]), Box::new(|sum| call("coalesce", vec![sum, double(0.0)])))
        }
        AggFunc::Sum => {
            // Exact; the cast of a sum that is not an int is an error.
            let or_zero = |sum| call("coalesce", vec![cast(sum, "BIGINT"), long(0)]);
            (call("sum", vec![exact(arg())]), Box::new(or_zero))
        }
        AggFunc::Mean if is_float => (call("avg", vec![arg()]), Box::new(|mean| mean)),
        AggFunc::Mean => {
            let count = || cast(call("count", vec![arg()]), "DOUBLE");
            let sum = cast(call("sum", vec![exact(arg())]), "DOUBLE");
            let mean = when(vec![equal(count(), double(0.0)), null(&Type::Float), call("/", vec![sum, count()])]);
            (mean, Box::new(|mean| mean))
        }
        AggFunc::Min | AggFunc::Max => {
            let is_min = agg.func == AggFunc::Min;
            if matches!(ty, Type::List(_)) {
                let chosen = move |found: Expression| {
                    let last = call("-", vec![call("size", vec![found.clone()]), small(1)]);
                    let lists = sorted_lists(found, &ty);
                    call("get", vec![lists, if is_min { small(0) } else { last }])
                };
                return Ok((call("collect_list", vec![arg()]), Box::new(chosen)));
            }
            let name = if is_min { "min" } else { "max" };
            (call(name, vec![one_form(arg(), &ty)]), Box::new(|found| found))
        }
        AggFunc::Median => (numbers(arg()), Box::new(|found| quantile(found, 0.5))),
        AggFunc::Quantile(q) => {
            let q = *q;
            (numbers(arg()), Box::new(move |found| quantile(found, q)))
        }
        AggFunc::Std => (deviation(arg()), Box::new(|found| found)),
        AggFunc::NumbersToFloat(function) if function.name == "iqr" => {
            let range = |found: Expression| call("-", vec![quantile(found.clone(), 0.75), quantile(found, 0.25)]);
            (numbers(arg()), Box::new(range))
        }
        AggFunc::NumbersToFloat(_) => return refuse("this aggregate is only here"),
        AggFunc::First => (call("min_by", vec![arg(), attribute("n")]), Box::new(|found| found)),
        AggFunc::Last => (call("max_by", vec![arg(), attribute("n")]), Box::new(|found| found)),
        AggFunc::Collect => (pairs(arg()), Box::new(in_order)),
        AggFunc::JoinText(between) => {
            let between = between.to_string();
            (pairs(arg()), Box::new(move |found| call("array_join", vec![in_order(found), text(&between)])))
        }
        AggFunc::Reduce(step) => {
            let step = Exprs::of_reduce(plan).expr(step)?;
            (pairs(arg()), Box::new(move |found| reduced(in_order(found), step.clone(), &ty)))
        }
    })
}

/// An int as a decimal, in which no sum overflows.
pub fn exact(int: Expression) -> Expression {
    cast(cast(int, "BIGINT"), "DECIMAL(19,0)")
}

/// All values, each with the number of its row: what is collected has no order, and no nulls.
fn pairs(arg: Expression) -> Expression {
    let pair = call("named_struct", vec![text("n"), attribute("n"), text("x"), arg]);
    call("collect_list", vec![pair])
}

fn in_order(pairs: Expression) -> Expression {
    each("transform", call("array_sort", vec![pairs]), "p", field(variable("p"), "x"))
}

/// The values that are not null, combined in their order.
fn reduced(values: Expression, step: Expression, ty: &Type) -> Expression {
    let present = each("filter", values, "v", not(is_null(variable("v"))));
    let length = call("greatest", vec![call("size", vec![present.clone()]), small(0)]);
    let rest = call("slice", vec![present.clone(), small(2), length]);
    let arguments = ["acc", "it"].map(|name| Variable { name: vec![name.to_string()] }).to_vec();
    let lambda = expression(ExprType::Lambda(Box::new(Lambda { function: Some(step), arguments })));
    let first = call("get", vec![present, small(0)]);
    cast(call("aggregate", vec![rest, first, lambda]), &type_text(ty))
}

/// The numbers that are not null, smallest first.
fn numbers(arg: Expression) -> Expression {
    call("array_sort", vec![call("collect_list", vec![one_form(cast(arg, "DOUBLE"), &Type::Float)])])
}

/// With linear interpolation, of sorted numbers.
fn quantile(numbers: Expression, q: f64) -> Expression {
    let size = || cast(call("size", vec![numbers.clone()]), "DOUBLE");
    let place = || call("*", vec![double(q), call("-", vec![size(), double(1.0)])]);
    let down = || floor(place());
    let share = || call("-", vec![place(), down()]);
    let is_between = || call(">", vec![share(), double(0.0)]);
    let at = |place: Expression| call("get", vec![numbers.clone(), cast(place, "INT")]);
    let low = || at(down());
    let high = || at(call("+", vec![down(), when(vec![is_between(), double(1.0), double(0.0)])]));
    let distance = || call("-", vec![high(), low()]);
    let is_finite = |x: Expression| {
        and(call("<", vec![x.clone(), double(f64::INFINITY)]), call(">", vec![x, double(f64::NEG_INFINITY)]))
    };
    // The distance of two floats may be beyond all floats.
    let is_far = and(not(is_finite(distance())), and(is_finite(low()), is_finite(high())));
    let rest = call("-", vec![double(1.0), share()]);
    let far = call("+", vec![call("*", vec![low(), rest]), call("*", vec![high(), share()])]);
    let near = call("+", vec![low(), call("*", vec![distance(), share()])]);
    let is_low = call("or", vec![equal(low(), high()), not(is_between())]);
    let found = when(vec![is_low, low(), is_far, far, near]);
    when(vec![equal(size(), double(0.0)), null(&Type::Float), found])
}

/// The standard deviation of a sample, where the way in which it is computed there is exact enough.
fn deviation(arg: Expression) -> Expression {
    let value = || one_form(cast(arg.clone(), "DOUBLE"), &Type::Float);
    let spread = || call("stddev_samp", vec![value()]);
    let least = || call("min", vec![value()]);
    let most = || call("max", vec![value()]);
    // NaN is above all.
    let has_other =
        call("or", vec![call(">=", vec![most(), double(f64::INFINITY)]), equal(least(), double(f64::NEG_INFINITY))]);
    let size = call("greatest", vec![call("abs", vec![least()]), call("abs", vec![most()])]);
    let is_wide = call(">=", vec![spread(), call("*", vec![size.clone(), double(1e-4)])]);
    let is_small = call("<", vec![size, double(1e150)]);
    let count = call("count", vec![arg.clone()]);
    when(vec![
        call("<", vec![count, long(2)]),
        null(&Type::Float),
        has_other,
        double(f64::NAN),
        equal(least(), most()),
        double(0.0),
        and(is_wide, is_small),
        spread(),
        raise("objection", "`std` of such values is less exact there", &Type::Float),
    ])
}
