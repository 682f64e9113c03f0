//! Expression → closures.

use crate::data::scalar::{self, ScalarError};
use crate::data::{Type, Value, compare_floats};
use crate::diagnostic::{Kind, Span};
use crate::functions::{self, Func, Work};
use crate::lang::{Comparison, Operator};
use crate::plan::{Expr, ExternalFunction, Link, Node, Shared};

use super::{Body, DEEPEST_CALLS, Eval, EvalValue, Frame, Out, RowError, present};

/// Chains beyond this many operators run as a loop over values: closures inside closures would cost stack.
const LONGEST_NESTED_CHAIN: usize = 32;

pub(super) fn compile(expr: &Expr) -> Body {
    stacker::maybe_grow(128 << 10, 4 << 20, || compile_expr(expr))
}

/// The steps that evaluating `expr` always takes: one for each operator and function that is not in a branch. Counting
/// them together costs one addition; an addition at each operator would make the closures wait for each other.
pub(super) fn certain_steps(expr: &Expr) -> u64 {
    let parts = |parts: &[&Expr]| parts.iter().map(|part| certain_steps(part)).sum::<u64>();
    stacker::maybe_grow(64 << 10, 4 << 20, || match &expr.node {
        Node::Const(_) | Node::Column(_) | Node::Parameter(_) | Node::Acc | Node::ScalarSubquery(_) => 0,
        Node::And(items) | Node::Or(items) | Node::Call(Func::Coalesce, items) => {
            1 + items.first().map_or(0, certain_steps)
        }
        Node::If(arms, _) => 1 + certain_steps(&arms[0].0),
        Node::Chain(_, links) => links.len() as u64 + parts(&expr.parts()),
        // A call counts itself, since it may be one of many.
        Node::Apply(..) | Node::Widen(_) => parts(&expr.parts()),
        Node::ExternalFunction(..)
        | Node::List(_)
        | Node::Compare(..)
        | Node::In(..)
        | Node::Not(_)
        | Node::Negate(_)
        | Node::Index(..)
        | Node::Call(..) => 1 + parts(&expr.parts()),
    })
}

/// Expressions of which only the first is always evaluated, each with the steps to add when its turn comes.
fn lazy<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> impl Iterator<Item = (u64, &'e Expr)> {
    exprs.into_iter().enumerate().map(|(i, expr)| (if i == 0 { 0 } else { 1 + certain_steps(expr) }, expr))
}

fn compile_expr(expr: &Expr) -> Body {
    let span = expr.span;
    match &expr.node {
        Node::Const(value) => constant(value.clone()),
        Node::Column(index) => {
            let index = *index;
            load(&expr.ty, move |frame| &frame.row[index])
        }
        Node::Parameter(index) => {
            let index = *index;
            load(&expr.ty, move |frame| &frame.locals[frame.base + index])
        }
        Node::Acc => load(&expr.ty, |frame| &frame.acc),
        Node::ScalarSubquery(_) => unreachable!("the session puts the value of a table in its place before a run"),
        Node::List(items) => list(items),
        Node::Chain(first, links) => chain(first, links, &expr.ty),
        Node::Compare(a, sign, b) => compare(a, *sign, b),
        Node::In(item, list) => compile_contains(compile(item), compile(list)),
        Node::And(items) => Body::Bool(logical(items, false)),
        Node::Or(items) => Body::Bool(logical(items, true)),
        Node::Not(inner) => {
            let inner = bool_eval(compile(inner));
            Body::Bool(Box::new(move |frame| inner(frame).map(|b| !b)))
        }
        Node::Negate(inner) => negate(compile(inner), span),
        Node::If(arms, otherwise) => choice(arms, otherwise),
        Node::Index(list, index) => give_type(index_eval(compile(list), int_eval(compile(index))), &expr.ty),
        Node::Call(func, args) => call(*func, args, &expr.ty, span),
        Node::Apply(index, args) => apply(*index, args, &expr.ty, span),
        Node::ExternalFunction(code, args) => give_type(foreign(code, args, span), &expr.ty),
        Node::Widen(inner) => widen(inner, &expr.ty),
    }
}

fn foreign(code: &Shared<dyn ExternalFunction>, args: &[Expr], span: Span) -> EvalValue {
    let code = code.clone();
    let args: Vec<Body> = args.iter().map(compile).collect();
    Box::new(move |frame| {
        let mut passed = Vec::with_capacity(args.len());
        for arg in &args {
            let value = arg.value(frame)?;
            // Code from outside takes no null; a call with one is null, as of our own functions.
            if value.is_null() {
                return Ok(Value::Null);
            }
            passed.push(vec![value]);
        }
        let given = code.0.call(&passed, 1).map_err(|error| RowError::elsewhere(*error, span))?;
        Ok(given.into_iter().next().unwrap_or_default())
    })
}

fn constant(value: Value) -> Body {
    match value {
        Value::Int(i) => Body::Int(Box::new(move |_| Ok(i))),
        Value::Float(x) => Body::Float(Box::new(move |_| Ok(x))),
        Value::Bool(b) => Body::Bool(Box::new(move |_| Ok(b))),
        Value::Null | Value::Text(_) | Value::List(_) => Body::Other(Box::new(move |_| Ok(value.clone()))),
    }
}

/// Code that takes a value from where `place` says.
fn load<P>(ty: &Type, place: P) -> Body
where
    P: for<'f, 'a> Fn(&'f Frame<'a>) -> &'f Value + Send + Sync + Copy + 'static,
{
    match ty {
        Type::Int => Body::Int(Box::new(move |frame| as_int(place(frame)).ok_or(None))),
        Type::Float => Body::Float(Box::new(move |frame| as_float(place(frame)).ok_or(None))),
        Type::Bool => Body::Bool(Box::new(move |frame| as_bool(place(frame)).ok_or(None))),
        Type::Text | Type::List(_) | Type::Open | Type::Never => {
            Body::Other(Box::new(move |frame| Ok(place(frame).clone())))
        }
    }
}

fn as_int(value: &Value) -> Option<i64> {
    if let Value::Int(i) = value { Some(*i) } else { None }
}

fn as_float(value: &Value) -> Option<f64> {
    if let Value::Float(x) = value { Some(*x) } else { None }
}

fn as_bool(value: &Value) -> Option<bool> {
    if let Value::Bool(b) = value { Some(*b) } else { None }
}

/// Null alone has no type of its own: these give it the type that its neighbours ask for.
fn int_eval(code: Body) -> Eval<i64> {
    match code {
        Body::Int(eval) => eval,
        other => Box::new(move |frame| as_int(&other.value(frame)?).ok_or(None)),
    }
}

fn float_eval(code: Body) -> Eval<f64> {
    match code {
        Body::Float(eval) => eval,
        other => Box::new(move |frame| as_float(&other.value(frame)?).ok_or(None)),
    }
}

fn bool_eval(code: Body) -> Eval<bool> {
    match code {
        Body::Bool(eval) => eval,
        other => Box::new(move |frame| as_bool(&other.value(frame)?).ok_or(None)),
    }
}

/// Untyped code as code of `ty`.
fn give_type(eval: EvalValue, ty: &Type) -> Body {
    match ty {
        Type::Int => Body::Int(Box::new(move |frame| as_int(&eval(frame)?).ok_or(None))),
        Type::Float => Body::Float(Box::new(move |frame| as_float(&eval(frame)?).ok_or(None))),
        Type::Bool => Body::Bool(Box::new(move |frame| as_bool(&eval(frame)?).ok_or(None))),
        Type::Text | Type::List(_) | Type::Open | Type::Never => Body::Other(eval),
    }
}

fn list(items: &[Expr]) -> Body {
    let items: Vec<Body> = items.iter().map(compile).collect();
    Body::Other(Box::new(move |frame| {
        let values: Result<Vec<Value>, _> = items.iter().map(|item| item.value(frame)).collect();
        let list = Value::List(values?.into());
        frame.bytes += functions::size(&list);
        Ok(list)
    }))
}

/// The fault of a function; `said` is the call with its values, for the message.
#[cold]
#[inline(never)]
pub fn wrong(wrong: ScalarError, span: Span, said: impl FnOnce() -> String) -> Box<RowError> {
    let (kind, message, hint) = match wrong {
        ScalarError::Overflow => {
            let hint = "ints have 64 bits and never wrap; float(x) has a larger range".to_string();
            (Kind::Overflow, format!("int overflow: {}", said()), Some(hint))
        }
        ScalarError::ZeroDivision => {
            let hint = "guard it: if b != 0 then … else null".to_string();
            (Kind::ZeroDivision, format!("division by zero: {}", said()), Some(hint))
        }
        ScalarError::Domain(message) => (Kind::Domain, message, None),
    };
    Box::new(RowError { kind, message, hint, span })
}

/// `left op right`, null where one is null.
fn binary<T, R, L, Q, F>(left: L, right: Q, sign: &'static str, op: F, span: Span) -> Eval<R>
where
    T: Copy + std::fmt::Display,
    L: Fn(&mut Frame) -> Out<T> + Send + Sync + 'static,
    Q: Fn(&mut Frame) -> Out<T> + Send + Sync + 'static,
    F: Fn(T, T) -> Result<R, ScalarError> + Send + Sync + 'static,
{
    Box::new(move |frame| {
        let a = match left(frame) {
            Ok(a) => a,
            // The right side may still have a fault.
            Err(None) => return right(frame).and(Err(None)),
            Err(fault) => return Err(fault),
        };
        let b = right(frame)?;
        match op(a, b) {
            Ok(value) => Ok(value),
            Err(why) => Err(Some(wrong(why, span, || format!("{a} {sign} {b}")))),
        }
    })
}

/// The frequent operands, a column and a constant, without a call of their own.
enum Operand<T> {
    Column(usize),
    Const(T),
    Compiled(Eval<T>),
}

fn int_operand(expr: &Expr) -> Operand<i64> {
    match &expr.node {
        Node::Column(index) => Operand::Column(*index),
        Node::Const(Value::Int(i)) => Operand::Const(*i),
        _ => Operand::Compiled(int_eval(compile(expr))),
    }
}

fn float_operand(expr: &Expr) -> Operand<f64> {
    match &expr.node {
        Node::Column(index) => Operand::Column(*index),
        Node::Const(Value::Float(x)) => Operand::Const(*x),
        _ => Operand::Compiled(float_eval(compile(expr))),
    }
}

/// Chooses the closure by what the operands are.
macro_rules! with_operands {
    ($left:expr, $right:expr, $get:expr, $sign:expr, $op:expr, $span:expr) => {
        match ($left, $right) {
            (Operand::Column(a), Operand::Const(b)) => binary(
                move |frame: &mut Frame| $get(&frame.row[a]).ok_or(None),
                move |_: &mut Frame| Ok(b),
                $sign,
                $op,
                $span,
            ),
            (Operand::Column(a), Operand::Compiled(b)) => {
                binary(move |frame: &mut Frame| $get(&frame.row[a]).ok_or(None), b, $sign, $op, $span)
            }
            (Operand::Column(a), Operand::Column(b)) => binary(
                move |frame: &mut Frame| $get(&frame.row[a]).ok_or(None),
                move |frame: &mut Frame| $get(&frame.row[b]).ok_or(None),
                $sign,
                $op,
                $span,
            ),
            (Operand::Const(a), Operand::Const(b)) => {
                binary(move |_: &mut Frame| Ok(a), move |_: &mut Frame| Ok(b), $sign, $op, $span)
            }
            (Operand::Const(a), Operand::Column(b)) => binary(
                move |_: &mut Frame| Ok(a),
                move |frame: &mut Frame| $get(&frame.row[b]).ok_or(None),
                $sign,
                $op,
                $span,
            ),
            (Operand::Const(a), Operand::Compiled(b)) => binary(move |_: &mut Frame| Ok(a), b, $sign, $op, $span),
            (Operand::Compiled(a), Operand::Column(b)) => {
                binary(a, move |frame: &mut Frame| $get(&frame.row[b]).ok_or(None), $sign, $op, $span)
            }
            (Operand::Compiled(a), Operand::Const(b)) => binary(a, move |_: &mut Frame| Ok(b), $sign, $op, $span),
            (Operand::Compiled(a), Operand::Compiled(b)) => binary(a, b, $sign, $op, $span),
        }
    };
}

fn chain(first: &Expr, links: &[Link], ty: &Type) -> Body {
    if links.len() > LONGEST_NESTED_CHAIN {
        return long_chain(first, links, ty);
    }
    match ty {
        Type::Int => {
            let mut left = int_operand(first);
            for link in links {
                left = Operand::Compiled(int_link(left, link));
            }
            Body::Int(finished(left))
        }
        Type::Float => {
            let mut left = float_operand(first);
            for link in links {
                left = Operand::Compiled(float_link(left, link));
            }
            Body::Float(finished(left))
        }
        Type::Bool | Type::Text | Type::List(_) | Type::Open | Type::Never => glue(first, links),
    }
}

fn finished<T: Copy>(operand: Operand<T>) -> Eval<T> {
    match operand {
        Operand::Compiled(eval) => eval,
        Operand::Column(_) | Operand::Const(_) => unreachable!("a chain has a link"),
    }
}

fn int_link(left: Operand<i64>, link: &Link) -> Eval<i64> {
    let (right, span) = (int_operand(&link.operand), link.span);
    match link.operator {
        Operator::Add => with_operands!(left, right, as_int, "+", scalar::add, span),
        Operator::Subtract => with_operands!(left, right, as_int, "-", scalar::subtract, span),
        Operator::Multiply => with_operands!(left, right, as_int, "*", scalar::multiply, span),
        Operator::FloorDivide => with_operands!(left, right, as_int, "//", scalar::floor_divide, span),
        Operator::Remainder => with_operands!(left, right, as_int, "%", scalar::remainder, span),
        Operator::Divide => unreachable!("`/` gives a float"),
    }
}

fn float_link(left: Operand<f64>, link: &Link) -> Eval<f64> {
    let (right, span) = (float_operand(&link.operand), link.span);
    match link.operator {
        Operator::Add => with_operands!(left, right, as_float, "+", |a, b| Ok(a + b), span),
        Operator::Subtract => with_operands!(left, right, as_float, "-", |a, b| Ok(a - b), span),
        Operator::Multiply => with_operands!(left, right, as_float, "*", |a, b| Ok(a * b), span),
        Operator::Divide => with_operands!(left, right, as_float, "/", |a, b| Ok(a / b), span),
        Operator::FloorDivide => {
            with_operands!(left, right, as_float, "//", |a, b| Ok(scalar::floor_divide_floats(a, b)), span)
        }
        Operator::Remainder => {
            with_operands!(left, right, as_float, "%", |a, b| Ok(scalar::remainder_floats(a, b)), span)
        }
    }
}

/// Texts and lists with `+`.
fn glue(first: &Expr, links: &[Link]) -> Body {
    let span = first.span;
    let parts: Vec<Body> = std::iter::once(first).chain(links.iter().map(|link| &link.operand)).map(compile).collect();
    Body::Other(Box::new(move |frame| {
        let values = parts.iter().map(|part| part.value(frame)).collect::<Result<Vec<Value>, _>>()?;
        let size: usize = values.iter().map(|value| functions::size(value) as usize).sum();
        functions::request(size).map_err(|why| wrong(why, span, || "+".to_string()))?;
        let glued = join_texts(&values);
        frame.bytes += functions::size(&glued);
        Ok(glued)
    }))
}

fn join_texts(values: &[Value]) -> Value {
    let mut texts = Vec::with_capacity(values.len());
    let mut lists = Vec::new();
    for value in values {
        match value {
            Value::Text(part) => texts.push(&**part),
            Value::List(part) => lists.push(&**part),
            Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => return Value::Null,
        }
    }
    match values.first() {
        Some(Value::List(_)) => Value::List(functions::joined_list(&lists)),
        _ => Value::Text(functions::joined_text(&texts)),
    }
}

fn long_chain(first: &Expr, links: &[Link], ty: &Type) -> Body {
    if !ty.is_number() {
        return glue(first, links);
    }
    let first = compile(first);
    let links: Vec<(Operator, Body, Span)> =
        links.iter().map(|link| (link.operator, compile(&link.operand), link.span)).collect();
    let eval: EvalValue = Box::new(move |frame| {
        let mut left = first.value(frame)?;
        for (operator, right, span) in &links {
            let right = right.value(frame)?;
            left = operate(*operator, &left, &right)
                .map_err(|why| wrong(why, *span, || format!("{left} {} {right}", operator.sign())))?;
        }
        Ok(left)
    });
    give_type(eval, ty)
}

fn operate(operator: Operator, left: &Value, right: &Value) -> Result<Value, ScalarError> {
    Ok(match (left, right) {
        (Value::Int(a), Value::Int(b)) => Value::Int(match operator {
            Operator::Add => scalar::add(*a, *b)?,
            Operator::Subtract => scalar::subtract(*a, *b)?,
            Operator::Multiply => scalar::multiply(*a, *b)?,
            Operator::FloorDivide => scalar::floor_divide(*a, *b)?,
            Operator::Remainder => scalar::remainder(*a, *b)?,
            Operator::Divide => unreachable!("`/` gives a float"),
        }),
        (Value::Float(a), Value::Float(b)) => Value::Float(match operator {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            Operator::Divide => a / b,
            Operator::FloorDivide => scalar::floor_divide_floats(*a, *b),
            Operator::Remainder => scalar::remainder_floats(*a, *b),
        }),
        _ => Value::Null,
    })
}

fn compare(left: &Expr, sign: Comparison, right: &Expr) -> Body {
    let span = left.span;
    macro_rules! by_sign {
        ($build:ident, $order:expr) => {
            match sign {
                Comparison::Equal => $build!(move |a, b| Ok($order(a, b).is_eq())),
                Comparison::NotEqual => $build!(move |a, b| Ok($order(a, b).is_ne())),
                Comparison::Less => $build!(move |a, b| Ok($order(a, b).is_lt())),
                Comparison::LessEqual => $build!(move |a, b| Ok($order(a, b).is_le())),
                Comparison::Greater => $build!(move |a, b| Ok($order(a, b).is_gt())),
                Comparison::GreaterEqual => $build!(move |a, b| Ok($order(a, b).is_ge())),
            }
        };
    }
    let eval: Eval<bool> = match left.ty {
        Type::Int => {
            macro_rules! ints {
                ($op:expr) => {
                    with_operands!(int_operand(left), int_operand(right), as_int, sign.sign(), $op, span)
                };
            }
            by_sign!(ints, |a: i64, b: i64| a.cmp(&b))
        }
        Type::Float => {
            macro_rules! floats {
                ($op:expr) => {
                    with_operands!(float_operand(left), float_operand(right), as_float, sign.sign(), $op, span)
                };
            }
            by_sign!(floats, compare_floats)
        }
        Type::Bool | Type::Text | Type::List(_) | Type::Open | Type::Never => {
            let (left, right) = (compile(left), compile(right));
            Box::new(move |frame| {
                let (a, b) = (left.value(frame)?, right.value(frame)?);
                if a.is_null() || b.is_null() {
                    return Err(None);
                }
                Ok(sign.holds(a.compare(&b)))
            })
        }
    };
    Body::Bool(eval)
}

fn compile_contains(item: Body, list: Body) -> Body {
    Body::Bool(Box::new(move |frame| {
        let (item, list) = (item.value(frame)?, list.value(frame)?);
        match list {
            Value::List(items) if !item.is_null() => {
                let found = items.iter().position(|other| *other == item);
                frame.steps += found.map_or(items.len(), |at| at + 1) as u64;
                Ok(found.is_some())
            }
            _ => Err(None),
        }
    }))
}

/// `and` where `decisive` is false, `or` where it is true; what stands after a decisive value is not asked.
fn logical(items: &[Expr], decisive: bool) -> Eval<bool> {
    let items: Vec<(u64, Eval<bool>)> = lazy(items).map(|(steps, item)| (steps, bool_eval(compile(item)))).collect();
    Box::new(move |frame| {
        let mut result = Ok(!decisive);
        for (steps, item) in &items {
            frame.steps += steps;
            match item(frame) {
                Ok(value) if value == decisive => return Ok(decisive),
                Ok(_) => {}
                Err(None) => result = Err(None),
                Err(fault) => return Err(fault),
            }
        }
        result
    })
}

fn negate(inner: Body, span: Span) -> Body {
    match inner {
        Body::Float(inner) => Body::Float(Box::new(move |frame| inner(frame).map(|x| -x))),
        inner => {
            let inner = int_eval(inner);
            Body::Int(Box::new(move |frame| {
                let i = inner(frame)?;
                scalar::negate(i).map_err(|why| Some(wrong(why, span, || format!("-({i})"))))
            }))
        }
    }
}

fn choice(arms: &[(Expr, Expr)], otherwise: &Expr) -> Body {
    let ty = &otherwise.ty;
    let tests = lazy(arms.iter().map(|(test, _)| test));
    let tests: Vec<(u64, Eval<bool>)> = tests.map(|(steps, test)| (steps, bool_eval(compile(test)))).collect();
    macro_rules! choose {
        ($eval:expr, $code:path) => {{
            let results: Vec<_> = arms.iter().map(|(_, then)| (certain_steps(then), $eval(compile(then)))).collect();
            let arms: Vec<_> = tests.into_iter().zip(results).collect();
            let (last_steps, otherwise) = (certain_steps(otherwise), $eval(compile(otherwise)));
            $code(Box::new(move |frame| {
                for ((test_steps, test), (steps, then)) in &arms {
                    frame.steps += test_steps;
                    if present(test(frame))? == Some(true) {
                        frame.steps += steps;
                        return then(frame);
                    }
                }
                frame.steps += last_steps;
                otherwise(frame)
            }))
        }};
    }
    match ty {
        Type::Int => choose!(int_eval, Body::Int),
        Type::Float => choose!(float_eval, Body::Float),
        Type::Bool => choose!(bool_eval, Body::Bool),
        Type::Text | Type::List(_) | Type::Open | Type::Never => choose!(value_eval, Body::Other),
    }
}

fn value_eval(code: Body) -> EvalValue {
    match code {
        Body::Other(eval) => eval,
        other => Box::new(move |frame| other.value(frame)),
    }
}

fn index_eval(list: Body, index: Eval<i64>) -> EvalValue {
    Box::new(move |frame| {
        let (list, index) = (list.value(frame)?, present(index(frame))?);
        let (Value::List(items), Some(index)) = (list, index) else { return Ok(Value::Null) };
        Ok(scalar::place(items.len(), index).map_or(Value::Null, |at| items[at].clone()))
    })
}

fn call(func: Func, args: &[Expr], ty: &Type, span: Span) -> Body {
    match func {
        Func::Coalesce => {
            let args: Vec<(u64, Body)> = lazy(args).map(|(steps, arg)| (steps, compile(arg))).collect();
            let eval: EvalValue = Box::new(move |frame| {
                for (steps, arg) in &args {
                    frame.steps += steps;
                    let value = arg.value(frame)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Value::Null)
            });
            give_type(eval, ty)
        }
        Func::IsNull => {
            let arg = compile(&args[0]);
            Body::Bool(Box::new(move |frame| Ok(arg.value(frame)?.is_null())))
        }
        Func::Matches => {
            let Node::Const(Value::Text(pattern)) = &args[1].node else {
                unreachable!("the pattern was computed when typed")
            };
            let regex = regex::Regex::new(pattern).expect("the pattern was tried when typed");
            let text = compile(&args[0]);
            Body::Bool(Box::new(move |frame| {
                let Value::Text(text) = text.value(frame)? else { return Err(None) };
                frame.bytes += text.len() as u64;
                Ok(regex.is_match(&text))
            }))
        }
        _ => {
            let args: Vec<Body> = args.iter().map(compile).collect();
            let eval: EvalValue = Box::new(move |frame| {
                let mut few: [Value; 3] = Default::default();
                let mut many = Vec::new();
                let values = if args.len() <= few.len() {
                    &mut few[..args.len()]
                } else {
                    many.resize(args.len(), Value::Null);
                    &mut many[..]
                };
                for (arg, value) in args.iter().zip(values.iter_mut()) {
                    *value = arg.value(frame)?;
                }
                if values.iter().any(Value::is_null) {
                    return Ok(Value::Null);
                }
                let result = functions::apply(func, values).map_err(|why| {
                    let said: Vec<String> = values.iter().map(|value| value.to_string()).collect();
                    wrong(why, span, || format!("{}({})", func.name(), said.join(", ")))
                })?;
                let Work { elements, bytes } = functions::work(func, values, &result);
                frame.steps += elements;
                frame.bytes += bytes;
                // A few such values take as long as many rows.
                if elements.max(bytes) > LARGE && frame.stop.is_some_and(|stop| stop.is_raised()) {
                    return Err(RowError::stopped(span));
                }
                Ok(result)
            });
            give_type(eval, ty)
        }
    }
}

/// From so many elements or bytes on a value is worth a look at the stop flag.
const LARGE: u64 = 1 << 14;

/// A call of a person's function. The stack grows in pieces as recursion asks for it.
fn apply(index: usize, args: &[Expr], ty: &Type, span: Span) -> Body {
    let args: Vec<Body> = args.iter().map(compile).collect();
    let enter = move |frame: &mut Frame| -> Result<(usize, usize), Box<RowError>> {
        frame.steps += 1;
        frame.calls += 1;
        let start = frame.locals.len();
        for arg in &args {
            let value = arg.value(frame)?;
            frame.locals.push(value);
        }
        if frame.depth == DEEPEST_CALLS {
            return Err(RowError::too_deep(span));
        }
        if frame.calls & 0x3ff == 0 && frame.stop.is_some_and(|stop| stop.is_raised()) {
            return Err(RowError::stopped(span));
        }
        frame.depth += 1;
        Ok((start, std::mem::replace(&mut frame.base, start)))
    };
    macro_rules! calls {
        ($variant:path, $fallback:expr) => {
            $variant(Box::new(move |frame| {
                let (start, base) = enter(frame)?;
                let program = frame.program;
                let body = &program.functions[index];
                frame.steps += body.steps;
                if let Some((calls, numbers)) = &program.meter {
                    calls.enter(numbers[index]);
                }
                let result = stacker::maybe_grow(256 << 10, 4 << 20, || match &body.body {
                    $variant(eval) => eval(frame),
                    other => $fallback(other.value(frame)?),
                });
                if let Some((calls, _)) = &program.meter {
                    calls.leave();
                }
                frame.base = base;
                frame.depth -= 1;
                frame.locals.truncate(start);
                result
            }))
        };
    }
    match ty {
        Type::Int => calls!(Body::Int, |value| as_int(&value).ok_or(None)),
        Type::Float => calls!(Body::Float, |value| as_float(&value).ok_or(None)),
        Type::Bool => calls!(Body::Bool, |value| as_bool(&value).ok_or(None)),
        Type::Text | Type::List(_) | Type::Open | Type::Never => calls!(Body::Other, Ok),
    }
}

fn widen(inner: &Expr, ty: &Type) -> Body {
    match (&inner.ty, ty) {
        (Type::Int, Type::Float) => {
            let inner = int_eval(compile(inner));
            Body::Float(Box::new(move |frame| inner(frame).map(|i| i as f64)))
        }
        _ => {
            let (inner, to) = (compile(inner), ty.clone());
            give_type(Box::new(move |frame| Ok(inner.value(frame)?.widen(&to))), ty)
        }
    }
}
