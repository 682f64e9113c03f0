//! Expression → closures.

use std::sync::Arc;

use crate::data::scalar::{self, Wrong};
use crate::data::{Type, Value, compare_floats};
use crate::diagnostic::{Kind, Span};
use crate::functions::{self, Func};
use crate::lang::{Comparison, Operator};
use crate::plan::{Expr, Link, Node};

use super::{Code, DEEPEST_CALLS, Eval, EvalValue, Fault, Frame, Out};

/// Chains beyond this many operators run as a loop over values: closures inside closures would cost stack.
const LONGEST_NESTED_CHAIN: usize = 32;

pub(super) fn compile(expr: &Expr) -> Code {
    stacker::maybe_grow(128 << 10, 4 << 20, || compiled(expr))
}

fn compiled(expr: &Expr) -> Code {
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
        Node::Only(_) => unreachable!("the session puts the value of a table in its place before a run"),
        Node::List(items) => list(items),
        Node::Chain(first, links) => chain(first, links, &expr.ty),
        Node::Compare(a, sign, b) => compare(a, *sign, b),
        Node::In(item, list) => contained(compile(item), compile(list)),
        Node::And(items) => Code::Bool(logical(items, false)),
        Node::Or(items) => Code::Bool(logical(items, true)),
        Node::Not(inner) => {
            let inner = bool_eval(compile(inner));
            Code::Bool(Box::new(move |frame| {
                frame.steps += 1;
                Ok(inner(frame)?.map(|b| !b))
            }))
        }
        Node::Negate(inner) => negate(compile(inner), span),
        Node::If(arms, otherwise) => choice(arms, otherwise),
        Node::Index(list, index) => typed(index_eval(compile(list), int_eval(compile(index))), &expr.ty),
        Node::Call(func, args) => call(*func, args, &expr.ty, span),
        Node::Apply(index, args) => apply(*index, args, &expr.ty, span),
        Node::Widen(inner) => widen(inner, &expr.ty),
    }
}

fn constant(value: Value) -> Code {
    match value {
        Value::Int(i) => Code::Int(Box::new(move |_| Ok(Some(i)))),
        Value::Float(x) => Code::Float(Box::new(move |_| Ok(Some(x)))),
        Value::Bool(b) => Code::Bool(Box::new(move |_| Ok(Some(b)))),
        Value::Null | Value::Text(_) | Value::List(_) => Code::Other(Box::new(move |_| Ok(value.clone()))),
    }
}

/// Code that takes a value from where `place` says.
fn load<P>(ty: &Type, place: P) -> Code
where
    P: for<'f, 'a> Fn(&'f Frame<'a>) -> &'f Value + Send + Sync + Copy + 'static,
{
    match ty {
        Type::Int => Code::Int(Box::new(move |frame| Ok(as_int(place(frame))))),
        Type::Float => Code::Float(Box::new(move |frame| Ok(as_float(place(frame))))),
        Type::Bool => Code::Bool(Box::new(move |frame| Ok(as_bool(place(frame))))),
        Type::Text | Type::List(_) | Type::Open | Type::Never => {
            Code::Other(Box::new(move |frame| Ok(place(frame).clone())))
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
fn int_eval(code: Code) -> Eval<i64> {
    match code {
        Code::Int(eval) => eval,
        other => Box::new(move |frame| Ok(as_int(&other.value(frame)?))),
    }
}

fn float_eval(code: Code) -> Eval<f64> {
    match code {
        Code::Float(eval) => eval,
        other => Box::new(move |frame| Ok(as_float(&other.value(frame)?))),
    }
}

fn bool_eval(code: Code) -> Eval<bool> {
    match code {
        Code::Bool(eval) => eval,
        other => Box::new(move |frame| Ok(as_bool(&other.value(frame)?))),
    }
}

/// Untyped code as code of `ty`.
fn typed(eval: EvalValue, ty: &Type) -> Code {
    match ty {
        Type::Int => Code::Int(Box::new(move |frame| Ok(as_int(&eval(frame)?)))),
        Type::Float => Code::Float(Box::new(move |frame| Ok(as_float(&eval(frame)?)))),
        Type::Bool => Code::Bool(Box::new(move |frame| Ok(as_bool(&eval(frame)?)))),
        Type::Text | Type::List(_) | Type::Open | Type::Never => Code::Other(eval),
    }
}

fn list(items: &[Expr]) -> Code {
    let items: Vec<Code> = items.iter().map(compile).collect();
    Code::Other(Box::new(move |frame| {
        frame.steps += 1;
        let values: Result<Vec<Value>, _> = items.iter().map(|item| item.value(frame)).collect();
        Ok(Value::List(values?.into()))
    }))
}

fn wrong(wrong: Wrong, span: Span, said: impl FnOnce() -> String) -> Box<Fault> {
    let (kind, message, hint) = match wrong {
        Wrong::Overflow => {
            let hint = "ints have 64 bits and never wrap; float(x) has a larger range".to_string();
            (Kind::Overflow, format!("int overflow: {}", said()), Some(hint))
        }
        Wrong::ZeroDivision => {
            let hint = "if b != 0 then a // b else null".to_string();
            (Kind::ZeroDivision, format!("division by zero: {}", said()), Some(hint))
        }
        Wrong::Domain(message) => (Kind::Domain, message, None),
    };
    Box::new(Fault { kind, message, hint, span })
}

/// `left op right`, null where one is null.
fn binary<T, R, L, Q, F>(left: L, right: Q, sign: &'static str, op: F, span: Span) -> Eval<R>
where
    T: Copy + std::fmt::Display,
    L: Fn(&mut Frame) -> Out<T> + Send + Sync + 'static,
    Q: Fn(&mut Frame) -> Out<T> + Send + Sync + 'static,
    F: Fn(T, T) -> Result<R, Wrong> + Send + Sync + 'static,
{
    Box::new(move |frame| {
        frame.steps += 1;
        let (Some(a), Some(b)) = (left(frame)?, right(frame)?) else { return Ok(None) };
        match op(a, b) {
            Ok(value) => Ok(Some(value)),
            Err(why) => Err(wrong(why, span, || format!("{a} {sign} {b}"))),
        }
    })
}

/// The frequent operands, a column and a constant, without a call of their own.
enum Operand<T> {
    Column(usize),
    Const(T),
    Code(Eval<T>),
}

fn int_operand(expr: &Expr) -> Operand<i64> {
    match &expr.node {
        Node::Column(index) => Operand::Column(*index),
        Node::Const(Value::Int(i)) => Operand::Const(*i),
        _ => Operand::Code(int_eval(compile(expr))),
    }
}

fn float_operand(expr: &Expr) -> Operand<f64> {
    match &expr.node {
        Node::Column(index) => Operand::Column(*index),
        Node::Const(Value::Float(x)) => Operand::Const(*x),
        _ => Operand::Code(float_eval(compile(expr))),
    }
}

/// Chooses the closure by what the operands are.
macro_rules! with_operands {
    ($left:expr, $right:expr, $get:expr, $sign:expr, $op:expr, $span:expr) => {
        match ($left, $right) {
            (Operand::Column(a), Operand::Const(b)) => {
                binary(move |frame: &mut Frame| Ok($get(&frame.row[a])), move |_: &mut Frame| Ok(Some(b)), $sign, $op, $span)
            }
            (Operand::Column(a), Operand::Code(b)) => {
                binary(move |frame: &mut Frame| Ok($get(&frame.row[a])), b, $sign, $op, $span)
            }
            (Operand::Column(a), Operand::Column(b)) => binary(
                move |frame: &mut Frame| Ok($get(&frame.row[a])),
                move |frame: &mut Frame| Ok($get(&frame.row[b])),
                $sign,
                $op,
                $span,
            ),
            (Operand::Const(a), Operand::Const(b)) => {
                binary(move |_: &mut Frame| Ok(Some(a)), move |_: &mut Frame| Ok(Some(b)), $sign, $op, $span)
            }
            (Operand::Const(a), Operand::Column(b)) => {
                binary(move |_: &mut Frame| Ok(Some(a)), move |frame: &mut Frame| Ok($get(&frame.row[b])), $sign, $op, $span)
            }
            (Operand::Const(a), Operand::Code(b)) => binary(move |_: &mut Frame| Ok(Some(a)), b, $sign, $op, $span),
            (Operand::Code(a), Operand::Column(b)) => {
                binary(a, move |frame: &mut Frame| Ok($get(&frame.row[b])), $sign, $op, $span)
            }
            (Operand::Code(a), Operand::Const(b)) => binary(a, move |_: &mut Frame| Ok(Some(b)), $sign, $op, $span),
            (Operand::Code(a), Operand::Code(b)) => binary(a, b, $sign, $op, $span),
        }
    };
}

fn chain(first: &Expr, links: &[Link], ty: &Type) -> Code {
    if links.len() > LONGEST_NESTED_CHAIN {
        return long_chain(first, links, ty);
    }
    match ty {
        Type::Int => {
            let mut left = int_operand(first);
            for link in links {
                left = Operand::Code(int_link(left, link));
            }
            Code::Int(finished(left))
        }
        Type::Float => {
            let mut left = float_operand(first);
            for link in links {
                left = Operand::Code(float_link(left, link));
            }
            Code::Float(finished(left))
        }
        Type::Bool | Type::Text | Type::List(_) | Type::Open | Type::Never => glue(first, links),
    }
}

fn finished<T: Copy>(operand: Operand<T>) -> Eval<T> {
    match operand {
        Operand::Code(eval) => eval,
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
fn glue(first: &Expr, links: &[Link]) -> Code {
    let parts: Vec<Code> = std::iter::once(first).chain(links.iter().map(|link| &link.operand)).map(compile).collect();
    Code::Other(Box::new(move |frame| {
        frame.steps += parts.len() as u64 - 1;
        let values: Result<Vec<Value>, _> = parts.iter().map(|part| part.value(frame)).collect();
        Ok(glued(&values?))
    }))
}

fn glued(values: &[Value]) -> Value {
    let mut text = String::new();
    let mut items = Vec::new();
    for value in values {
        match value {
            Value::Text(part) => text.push_str(part),
            Value::List(part) => items.extend_from_slice(part),
            Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => return Value::Null,
        }
    }
    match values.first() {
        Some(Value::List(_)) => Value::List(items.into()),
        _ => Value::Text(Arc::from(text)),
    }
}

fn long_chain(first: &Expr, links: &[Link], ty: &Type) -> Code {
    if !ty.is_number() {
        return glue(first, links);
    }
    let first = compile(first);
    let links: Vec<(Operator, Code, Span)> =
        links.iter().map(|link| (link.operator, compile(&link.operand), link.span)).collect();
    let eval: EvalValue = Box::new(move |frame| {
        let mut left = first.value(frame)?;
        for (operator, right, span) in &links {
            frame.steps += 1;
            let right = right.value(frame)?;
            left = operate(*operator, &left, &right)
                .map_err(|why| wrong(why, *span, || format!("{left} {} {right}", operator.sign())))?;
        }
        Ok(left)
    });
    typed(eval, ty)
}

fn operate(operator: Operator, left: &Value, right: &Value) -> Result<Value, Wrong> {
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

fn compare(left: &Expr, sign: Comparison, right: &Expr) -> Code {
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
                frame.steps += 1;
                let (a, b) = (left.value(frame)?, right.value(frame)?);
                if a.is_null() || b.is_null() {
                    return Ok(None);
                }
                let order = a.compare(&b);
                Ok(Some(match sign {
                    Comparison::Equal => order.is_eq(),
                    Comparison::NotEqual => order.is_ne(),
                    Comparison::Less => order.is_lt(),
                    Comparison::LessEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    Comparison::GreaterEqual => order.is_ge(),
                }))
            })
        }
    };
    Code::Bool(eval)
}

fn contained(item: Code, list: Code) -> Code {
    Code::Bool(Box::new(move |frame| {
        frame.steps += 1;
        let (item, list) = (item.value(frame)?, list.value(frame)?);
        match list {
            Value::List(items) if !item.is_null() => Ok(Some(items.contains(&item))),
            _ => Ok(None),
        }
    }))
}

/// `and` where `decisive` is false, `or` where it is true; what stands after a decisive value is not asked.
fn logical(items: &[Expr], decisive: bool) -> Eval<bool> {
    let items: Vec<Eval<bool>> = items.iter().map(|item| bool_eval(compile(item))).collect();
    Box::new(move |frame| {
        let mut result = Some(!decisive);
        for item in &items {
            frame.steps += 1;
            match item(frame)? {
                Some(value) if value == decisive => return Ok(Some(decisive)),
                Some(_) => {}
                None => result = None,
            }
        }
        Ok(result)
    })
}

fn negate(inner: Code, span: Span) -> Code {
    match inner {
        Code::Float(inner) => Code::Float(Box::new(move |frame| {
            frame.steps += 1;
            Ok(inner(frame)?.map(|x| -x))
        })),
        inner => {
            let inner = int_eval(inner);
            Code::Int(Box::new(move |frame| {
                frame.steps += 1;
                let Some(i) = inner(frame)? else { return Ok(None) };
                scalar::negate(i).map(Some).map_err(|why| wrong(why, span, || format!("-({i})")))
            }))
        }
    }
}

fn choice(arms: &[(Expr, Expr)], otherwise: &Expr) -> Code {
    let ty = &otherwise.ty;
    let tests: Vec<Eval<bool>> = arms.iter().map(|(test, _)| bool_eval(compile(test))).collect();
    macro_rules! choose {
        ($eval:expr, $code:path) => {{
            let results: Vec<_> = arms.iter().map(|(_, then)| $eval(compile(then))).collect();
            let arms: Vec<_> = tests.into_iter().zip(results).collect();
            let otherwise = $eval(compile(otherwise));
            $code(Box::new(move |frame| {
                for (test, then) in &arms {
                    frame.steps += 1;
                    if test(frame)? == Some(true) {
                        return then(frame);
                    }
                }
                otherwise(frame)
            }))
        }};
    }
    match ty {
        Type::Int => choose!(int_eval, Code::Int),
        Type::Float => choose!(float_eval, Code::Float),
        Type::Bool => choose!(bool_eval, Code::Bool),
        Type::Text | Type::List(_) | Type::Open | Type::Never => choose!(value_eval, Code::Other),
    }
}

fn value_eval(code: Code) -> EvalValue {
    match code {
        Code::Other(eval) => eval,
        other => Box::new(move |frame| other.value(frame)),
    }
}

fn index_eval(list: Code, index: Eval<i64>) -> EvalValue {
    Box::new(move |frame| {
        frame.steps += 1;
        let (list, index) = (list.value(frame)?, index(frame)?);
        let (Value::List(items), Some(index)) = (list, index) else { return Ok(Value::Null) };
        Ok(scalar::place(items.len(), index).map_or(Value::Null, |at| items[at].clone()))
    })
}

fn call(func: Func, args: &[Expr], ty: &Type, span: Span) -> Code {
    match func {
        Func::Coalesce => {
            let args: Vec<Code> = args.iter().map(compile).collect();
            let eval: EvalValue = Box::new(move |frame| {
                for arg in &args {
                    frame.steps += 1;
                    let value = arg.value(frame)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Value::Null)
            });
            typed(eval, ty)
        }
        Func::IsNull => {
            let arg = compile(&args[0]);
            Code::Bool(Box::new(move |frame| {
                frame.steps += 1;
                Ok(Some(arg.value(frame)?.is_null()))
            }))
        }
        Func::Matches => {
            let Node::Const(Value::Text(pattern)) = &args[1].node else { unreachable!("the pattern was computed when typed") };
            let regex = regex::Regex::new(pattern).expect("the pattern was tried when typed");
            let text = compile(&args[0]);
            Code::Bool(Box::new(move |frame| {
                frame.steps += 1;
                let Value::Text(text) = text.value(frame)? else { return Ok(None) };
                Ok(Some(regex.is_match(&text)))
            }))
        }
        _ => {
            let args: Vec<Code> = args.iter().map(compile).collect();
            let eval: EvalValue = Box::new(move |frame| {
                frame.steps += 1;
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
                functions::apply(func, values).map_err(|why| {
                    let said: Vec<String> = values.iter().map(|value| value.to_string()).collect();
                    wrong(why, span, || format!("{func:?}({})", said.join(", ")))
                })
            });
            typed(eval, ty)
        }
    }
}

/// A call of a person's function. The stack grows in pieces as recursion asks for it.
fn apply(index: usize, args: &[Expr], ty: &Type, span: Span) -> Code {
    let args: Vec<Code> = args.iter().map(compile).collect();
    let enter = move |frame: &mut Frame| -> Result<(usize, usize), Box<Fault>> {
        frame.steps += 1;
        let start = frame.locals.len();
        for arg in &args {
            let value = arg.value(frame)?;
            frame.locals.push(value);
        }
        if frame.depth == DEEPEST_CALLS {
            return Err(Box::new(Fault {
                kind: Kind::Depth,
                message: format!("over {DEEPEST_CALLS} calls are open: the recursion is too deep"),
                hint: Some("does every call come nearer to a base case? `fold` goes through any number of steps".to_string()),
                span,
            }));
        }
        if frame.steps & 0x3ff < 4 && frame.stop.is_some_and(|stop| stop.is_raised()) {
            return Err(Box::new(Fault { kind: Kind::Stopped, message: "stopped".to_string(), hint: None, span }));
        }
        frame.depth += 1;
        Ok((start, std::mem::replace(&mut frame.base, start)))
    };
    macro_rules! calls {
        ($variant:path, $fallback:expr) => {
            $variant(Box::new(move |frame| {
                let (start, base) = enter(frame)?;
                let program = frame.program;
                let result = stacker::maybe_grow(256 << 10, 4 << 20, || match &program.functions[index] {
                    $variant(eval) => eval(frame),
                    other => other.value(frame).map($fallback),
                });
                frame.base = base;
                frame.depth -= 1;
                frame.locals.truncate(start);
                result
            }))
        };
    }
    match ty {
        Type::Int => calls!(Code::Int, |value| as_int(&value)),
        Type::Float => calls!(Code::Float, |value| as_float(&value)),
        Type::Bool => calls!(Code::Bool, |value| as_bool(&value)),
        Type::Text | Type::List(_) | Type::Open | Type::Never => calls!(Code::Other, |value| value),
    }
}

fn widen(inner: &Expr, ty: &Type) -> Code {
    match (&inner.ty, ty) {
        (Type::Int, Type::Float) => {
            let inner = int_eval(compile(inner));
            Code::Float(Box::new(move |frame| Ok(inner(frame)?.map(|i| i as f64))))
        }
        _ => {
            let (inner, to) = (compile(inner), ty.clone());
            typed(Box::new(move |frame| Ok(inner.value(frame)?.widen(&to))), ty)
        }
    }
}
