//! Expressions of a plan as polars expressions with the same meaning. What polars cannot say exactly runs row by row.

use std::sync::Arc;

use polars::prelude::*;

use crate::data::{self, Type, Value, scalar};
use crate::diagnostic::{Kind, Span};
use crate::functions::Func;
use crate::lang::{Comparison, Operator};
use crate::measure;
use crate::plan::{self, ExternalFunction, Function, Link, Node};
use crate::rowwise::{Compiled, Frame, Program};
use crate::run_context::Stop;

use super::bounds::{self, Bounds};
use super::kernels::{self, IntOperator};

/// A column of the table that flows, under a name of ours: a person's may be anything, even a pattern to polars.
pub fn column(index: usize) -> Expr {
    col(name("c", index))
}

pub fn name(letter: &str, index: usize) -> PlSmallStr {
    PlSmallStr::from_string(format!("{letter}{index}"))
}

/// What flows: the type and the bounds of each column.
pub type Columns = Vec<(Type, Bounds)>;

/// A polars expression and what is known of it.
#[derive(Clone)]
pub struct Lowered {
    pub expr: Expr,
    pub bounds: Bounds,
    /// Whether it may fail for some row.
    pub fallible: bool,
    /// Whether it has a value for each row; else it is one value for all.
    pub varies: bool,
}

/// What all expressions of a plan share.
pub struct Shared {
    pub program: Arc<Program>,
    /// What each of the person's functions is that runs in another process.
    elsewhere: Vec<Option<plan::Shared<dyn ExternalFunction>>>,
    pub stop: Stop,
}

impl Shared {
    pub fn new(functions: &[Function], stop: Stop) -> Shared {
        let elsewhere = |function: &Function| match &function.body.node {
            Node::ExternalFunction(code, args) if args.len() == function.parameters.len() => Some(code.clone()),
            _ => None,
        };
        let elsewhere = functions.iter().map(elsewhere).collect();
        Shared { program: Arc::new(Program::new(functions)), elsewhere, stop }
    }
}

/// Beyond this many parts, those of repeated conditions counted, an expression runs row by row.
const LARGEST: usize = 1000;
/// Likewise for parts inside parts: polars recurses.
const DEEPEST: usize = 100;

/// An expression over `columns`. Those that run row by row are put into `slow`.
pub fn lower(expr: &plan::Expr, columns: &Columns, shared: &Shared, slow: &mut Vec<plan::Expr>) -> Lowered {
    let mut found = Vec::new();
    let mut lowering = Lowering { columns, shared, slow: &mut found, size: 0 };
    if depth(expr) <= DEEPEST {
        let lowered = lowering.lower(expr, None);
        if lowering.size <= LARGEST {
            slow.append(&mut found);
            return lowered;
        }
    }
    Lowering { columns, shared, slow, size: 0 }.by_row(expr, None)
}

fn depth(expr: &plan::Expr) -> usize {
    stacker::maybe_grow(64 << 10, 2 << 20, || {
        let inside = expr.parts().into_iter().map(depth).max().unwrap_or(0);
        match &expr.node {
            Node::Chain(_, items) => items.len() + inside,
            Node::And(items) | Node::Or(items) => items.len() + inside,
            Node::If(arms, _) => arms.len() + inside,
            _ => 1 + inside,
        }
    })
}

struct Lowering<'a> {
    columns: &'a Columns,
    shared: &'a Shared,
    slow: &'a mut Vec<plan::Expr>,
    size: usize,
}

/// Where an expression is needed: a condition that is never null, and its size.
#[derive(Clone)]
struct Mask {
    holds: Expr,
    varies: bool,
    size: usize,
}

impl Lowering<'_> {
    fn lower(&mut self, expr: &plan::Expr, mask: Option<&Mask>) -> Lowered {
        self.size += 1;
        if self.size > LARGEST {
            return constant(&Value::Null, &expr.ty);
        }
        match &expr.node {
            Node::Const(value) => return constant(value, &expr.ty),
            Node::Column(index) => {
                let bounds = self.columns[*index].1;
                return Lowered { expr: column(*index), bounds, fallible: false, varies: true };
            }
            _ => {}
        }
        if expr.columns().is_empty() {
            return self.without_columns(expr, mask);
        }
        match &expr.node {
            Node::Chain(first, links) => self.chain(first, links, expr, mask),
            Node::Compare(a, sign, b) => self.compare(a, *sign, b, expr, mask),
            Node::In(item, list) => self.lower_contains(item, list, expr, mask),
            Node::And(items) => self.logical(items, false, mask),
            Node::Or(items) => self.logical(items, true, mask),
            Node::Not(inner) => {
                let inner = self.lower(inner, mask);
                Lowered { expr: inner.expr.not(), ..inner }
            }
            Node::Negate(inner) => self.negate(inner, expr, mask),
            Node::If(arms, otherwise) => self.choice(arms, otherwise, mask),
            Node::Index(list, index) => self.index(list, index, expr, mask),
            Node::Call(func, args) => self.call(*func, args, expr, mask),
            Node::Widen(inner) => self.widen(inner, expr, mask),
            Node::Apply(index, args) => match self.shared.elsewhere[*index].clone() {
                Some(code) if !args.is_empty() => self.foreign(code, args, expr, mask),
                _ => self.by_row(expr, mask),
            },
            Node::List(_) | Node::ExternalFunction(..) => self.by_row(expr, mask),
            Node::Const(_) | Node::Column(_) => unreachable!("they were matched before"),
            Node::Parameter(_) | Node::Acc | Node::ScalarSubquery(_) => {
                unreachable!("only inside a function, a fold, or before the session has computed it")
            }
        }
    }

    /// The same for every row: computed now, if that is quick and goes well.
    fn without_columns(&mut self, expr: &plan::Expr, mask: Option<&Mask>) -> Lowered {
        let mut calls = false;
        expr.walk(&mut |part| calls |= matches!(part.node, Node::Apply(..) | Node::Call(Func::Get, _)));
        if !calls {
            let mut frame = Frame::new(&self.shared.program);
            if let Ok(value) = Compiled::new(expr).value(&mut frame) {
                return constant(&value.widen(&expr.ty), &expr.ty);
            }
        }
        self.by_row(expr, mask)
    }

    /// `lowered` where the mask holds, else null: the operand of something that may fail.
    fn mask_operand(&mut self, lowered: Lowered, ty: &Type, mask: Option<&Mask>) -> Lowered {
        let Some(mask) = mask else { return lowered };
        self.size += mask.size;
        let null = constant(&Value::Null, ty).expr;
        let expr = when(mask.holds.clone()).then(lowered.expr).otherwise(null);
        Lowered { expr, varies: lowered.varies || mask.varies, ..lowered }
    }

    /// A narrower mask: where `test` is true, or where it is anything but that.
    fn narrow_mask(&self, mask: Option<&Mask>, test: &Lowered, size: usize, wanted: Wanted) -> Mask {
        let holds = match wanted {
            Wanted::True => test.expr.clone().fill_null(lit(false)),
            Wanted::NotTrue => test.expr.clone().fill_null(lit(false)).not(),
            Wanted::NotFalse => test.expr.clone().fill_null(lit(true)),
        };
        match mask {
            None => Mask { holds, varies: test.varies, size: size + 1 },
            Some(outer) => Mask {
                holds: outer.holds.clone().and(holds),
                varies: outer.varies || test.varies,
                size: outer.size + size + 2,
            },
        }
    }

    /// Lowers a part and says how large it is.
    fn lower_sized(&mut self, expr: &plan::Expr, mask: Option<&Mask>) -> (Lowered, usize) {
        let before = self.size;
        let lowered = self.lower(expr, mask);
        (lowered, self.size - before)
    }

    fn chain(&mut self, first: &plan::Expr, links: &[Link], expr: &plan::Expr, mask: Option<&Mask>) -> Lowered {
        match expr.ty {
            Type::Int | Type::Float => {}
            Type::Text => {
                let mut whole = self.lower(first, mask);
                for link in links {
                    let right = self.lower(&link.operand, mask);
                    whole = join_parts(whole, right, |a, b| a + b);
                }
                return whole;
            }
            Type::Bool | Type::List(_) | Type::Open | Type::Never => return self.by_row(expr, mask),
        }
        let mut left = self.lower(first, mask);
        for (i, link) in links.iter().enumerate() {
            let right = self.lower(&link.operand, mask);
            if expr.ty == Type::Int && !left.varies && !right.varies {
                // Constants fail only where there is a row.
                let start = Node::Chain(Box::new(first.clone()), links[..=i].to_vec());
                left = self.without_columns(&plan::Expr::new(start, Type::Int, link.span), mask);
                continue;
            }
            left = match expr.ty {
                Type::Int => self.int_link(left, link, right, mask),
                _ => float_link(left, link.operator, right, &link.operand),
            };
        }
        left
    }

    fn int_link(&mut self, left: Lowered, link: &Link, right: Lowered, mask: Option<&Mask>) -> Lowered {
        let bounds = left.bounds.operated(link.operator, right.bounds);
        let safe = bounds.is_some_and(Bounds::fits);
        let bounds = bounds.unwrap_or(bounds::ANY).clipped();
        let operator = match link.operator {
            Operator::Add => IntOperator::Add,
            Operator::Subtract => IntOperator::Subtract,
            Operator::Multiply => IntOperator::Multiply,
            Operator::FloorDivide => IntOperator::FloorDivide,
            Operator::Remainder => IntOperator::Remainder,
            Operator::Divide => unreachable!("`/` gives a float"),
        };
        if safe {
            let plain = |a: Expr, b: Expr| match operator {
                IntOperator::Add => a + b,
                IntOperator::Subtract => a - b,
                IntOperator::Multiply => a * b,
                IntOperator::FloorDivide => a.floor_div(b),
                IntOperator::Remainder => a % b,
                IntOperator::Power | IntOperator::Round => unreachable!("no operator of a chain"),
            };
            return Lowered { bounds, ..join_parts(left, right, plain) };
        }
        let left = self.mask_operand(left, &Type::Int, mask);
        let checked = join_parts(left, right, |a, b| kernels::int_operator(operator, a, b, link.span));
        Lowered { bounds, fallible: true, ..checked }
    }

    fn compare(
        &mut self,
        a: &plan::Expr,
        sign: Comparison,
        b: &plan::Expr,
        expr: &plan::Expr,
        mask: Option<&Mask>,
    ) -> Lowered {
        match a.ty {
            Type::Int | Type::Float | Type::Bool | Type::Text => {}
            Type::List(_) | Type::Open | Type::Never => return self.by_row(expr, mask),
        }
        let (a, b) = (self.lower(a, mask), self.lower(b, mask));
        // A constant on the left of a column that has one value for all rows gives polars one row.
        let (a, sign, b) = if a.varies { (a, sign, b) } else { (b, exchange_sides(sign), a) };
        join_parts(a, b, |a, b| match sign {
            Comparison::Equal => a.eq(b),
            Comparison::NotEqual => a.neq(b),
            Comparison::Less => a.lt(b),
            Comparison::LessEqual => a.lt_eq(b),
            Comparison::Greater => a.gt(b),
            Comparison::GreaterEqual => a.gt_eq(b),
        })
    }

    fn lower_contains(
        &mut self,
        item: &plan::Expr,
        list: &plan::Expr,
        expr: &plan::Expr,
        mask: Option<&Mask>,
    ) -> Lowered {
        match (&list.node, &item.ty) {
            // Whether null is in an empty list is null too; polars says no.
            (Node::Const(Value::List(items)), Type::Int | Type::Float | Type::Text) if !items.is_empty() => {
                // A null among them is never found.
                let items: Vec<Value> = items.iter().filter(|item| !item.is_null()).cloned().collect();
                let list = constant(&Value::List(items.into()), &Type::list(item.ty.clone()));
                let item = self.lower(item, mask);
                join_parts(item, list, |item, list| item.is_in(list, false))
            }
            _ => self.by_row(expr, mask),
        }
    }

    /// `and` where `decisive` is false, `or` where it is true. A part is needed where none before it was decisive.
    fn logical(&mut self, items: &[plan::Expr], decisive: bool, mask: Option<&Mask>) -> Lowered {
        let wanted = if decisive { Wanted::NotTrue } else { Wanted::NotFalse };
        let (mut whole, mut size) = self.lower_sized(&items[0], mask);
        for item in &items[1..] {
            let narrow = self.narrow_mask(mask, &whole, size, wanted);
            let (right, more) = self.lower_sized(item, Some(&narrow));
            size += more + 1;
            whole = join_parts(whole, right, |a, b| if decisive { a.or(b) } else { a.and(b) });
        }
        whole
    }

    fn negate(&mut self, inner: &plan::Expr, expr: &plan::Expr, mask: Option<&Mask>) -> Lowered {
        let inner = self.lower(inner, mask);
        if expr.ty != Type::Int {
            return Lowered { expr: -inner.expr, ..inner };
        }
        let bounds = inner.bounds.negated();
        if bounds.fits() {
            return Lowered { expr: -inner.expr, bounds, ..inner };
        }
        let inner = self.mask_operand(inner, &Type::Int, mask);
        let checked = kernels::int_function("checked_neg", scalar::negate, inner.expr, expr.span);
        Lowered { expr: checked, bounds: bounds.clipped(), fallible: true, varies: inner.varies }
    }

    fn choice(&mut self, arms: &[(plan::Expr, plan::Expr)], otherwise: &plan::Expr, mask: Option<&Mask>) -> Lowered {
        let mut lowered = Vec::new();
        let mut mask = mask.cloned();
        for (test, then) in arms {
            let (test, size) = self.lower_sized(test, mask.as_ref());
            let here = self.narrow_mask(mask.as_ref(), &test, size, Wanted::True);
            let then = self.lower(then, Some(&here));
            mask = Some(self.narrow_mask(mask.as_ref(), &test, size, Wanted::NotTrue));
            lowered.push((test, then));
        }
        let otherwise = self.lower(otherwise, mask.as_ref());
        lowered.into_iter().rev().fold(otherwise, |otherwise, (test, then)| Lowered {
            bounds: then.bounds.with(otherwise.bounds),
            fallible: test.fallible || then.fallible || otherwise.fallible,
            varies: test.varies || then.varies || otherwise.varies,
            expr: when(test.expr).then(then.expr).otherwise(otherwise.expr),
        })
    }

    fn index(&mut self, list: &plan::Expr, index: &plan::Expr, expr: &plan::Expr, mask: Option<&Mask>) -> Lowered {
        match index.node {
            // Polars counts elements in 32 bits.
            Node::Const(Value::Int(place)) if i32::try_from(place).is_ok() && list.ty != Type::list(Type::Open) => {
                let (list, index) = (self.lower(list, mask), self.lower(index, mask));
                let element = join_parts(list, index, |list, index| list.list().get(index, true));
                Lowered { bounds: bounds::ANY, ..element }
            }
            _ => self.by_row(expr, mask),
        }
    }

    fn widen(&mut self, inner: &plan::Expr, expr: &plan::Expr, mask: Option<&Mask>) -> Lowered {
        match (&inner.ty, &expr.ty) {
            (Type::Int, Type::Float) => {
                let inner = self.lower(inner, mask);
                Lowered { expr: inner.expr.cast(DataType::Float64), bounds: bounds::ANY, ..inner }
            }
            _ => self.by_row(expr, mask),
        }
    }

    fn call(&mut self, func: Func, args: &[plan::Expr], expr: &plan::Expr, mask: Option<&Mask>) -> Lowered {
        let constant_text = |arg: &plan::Expr| match &arg.node {
            Node::Const(Value::Text(text)) => Some(text.to_string()),
            _ => None,
        };
        let constant_int = |arg: &plan::Expr| if let Node::Const(Value::Int(i)) = arg.node { Some(i) } else { None };
        macro_rules! unary {
            ($of:expr) => {{
                let arg = self.lower(&args[0], mask);
                Lowered { expr: $of(arg.expr), bounds: bounds::ANY, ..arg }
            }};
        }
        /// Of a first argument that is masked, since some values have no result.
        macro_rules! partial {
            ($of:expr) => {{
                let arg = self.lower(&args[0], mask);
                let arg = self.mask_operand(arg, &args[0].ty, mask);
                Lowered { expr: $of(arg.expr, expr.span), bounds: bounds::ANY, fallible: true, ..arg }
            }};
        }
        match func {
            Func::Lower => unary!(|text: Expr| text.str().to_lowercase()),
            Func::Upper => unary!(|text: Expr| text.str().to_uppercase()),
            Func::Trim => unary!(|text: Expr| text.str().strip_chars(lit(NULL))),
            Func::LenText => {
                let length = unary!(|text: Expr| text.str().len_chars().cast(DataType::Int64));
                Lowered { bounds: Bounds::new(0, u32::MAX), ..length }
            }
            Func::LenList => {
                let length = unary!(|list: Expr| list.list().len().cast(DataType::Int64));
                Lowered { bounds: Bounds::new(0, u32::MAX), ..length }
            }
            Func::Split => match constant_text(&args[1]) {
                Some(separator) if !separator.is_empty() => {
                    unary!(|text: Expr| text.str().split(lit(separator)))
                }
                _ => self.by_row(expr, mask),
            },
            Func::Words => unary!(|text: Expr| kernels::text_parts("words", words, text)),
            Func::Chars => unary!(|text: Expr| kernels::text_parts("chars", chars, text)),
            Func::ContainsText => match constant_text(&args[1]) {
                Some(part) => unary!(|text: Expr| text.str().contains_literal(lit(part))),
                None => self.by_row(expr, mask),
            },
            Func::StartsWith => match constant_text(&args[1]) {
                Some(part) => unary!(|text: Expr| text.str().starts_with(lit(part))),
                None => self.by_row(expr, mask),
            },
            Func::EndsWith => match constant_text(&args[1]) {
                Some(part) => unary!(|text: Expr| text.str().ends_with(lit(part))),
                None => self.by_row(expr, mask),
            },
            Func::Replace => match (constant_text(&args[1]), constant_text(&args[2])) {
                (Some(part), Some(by)) if !part.is_empty() => {
                    unary!(|text: Expr| text.str().replace_all(lit(part), lit(by), true))
                }
                _ => self.by_row(expr, mask),
            },
            Func::Matches => match constant_text(&args[1]) {
                Some(pattern) => unary!(|text: Expr| text.str().contains(lit(pattern), true)),
                None => self.by_row(expr, mask),
            },
            Func::SliceText => match (constant_int(&args[1]), constant_int(&args[2])) {
                (Some(start @ 0..), Some(count @ 0..)) => {
                    unary!(|text: Expr| text.str().slice(lit(start), lit(count as u64)))
                }
                _ => self.by_row(expr, mask),
            },
            Func::ReverseText => unary!(|text: Expr| kernels::text_function("reverse", scalar::reverse, text)),
            Func::SortedText => unary!(|text: Expr| kernels::text_function("sorted", scalar::sorted, text)),
            Func::AbsInt => {
                let arg = self.lower(&args[0], mask);
                let bounds = arg.bounds.absolute();
                if bounds.fits() {
                    return Lowered { expr: arg.expr.abs(), bounds, ..arg };
                }
                let arg = self.mask_operand(arg, &Type::Int, mask);
                let checked = kernels::int_function("checked_abs", scalar::absolute, arg.expr, expr.span);
                Lowered { expr: checked, bounds: bounds.clipped(), fallible: true, varies: arg.varies }
            }
            Func::PowInt => {
                let (base, exponent) = (self.lower(&args[0], mask), self.lower(&args[1], mask));
                let base = self.mask_operand(base, &Type::Int, mask);
                let power =
                    join_parts(base, exponent, |a, b| kernels::int_operator(IntOperator::Power, a, b, expr.span));
                Lowered { fallible: true, ..power }
            }
            Func::Get => self.by_row(expr, mask),
            Func::PowFloat => {
                let (base, exponent) = (self.lower(&args[0], mask), self.lower(&args[1], mask));
                join_parts(base, exponent, |a, b| kernels::float_operator("pow", f64::powf, a, b))
            }
            Func::AbsFloat => unary!(|x: Expr| x.abs()),
            Func::Round => unary!(|x: Expr| x.round(0, RoundMode::HalfAwayFromZero)),
            Func::RoundInt => {
                let (number, digits) = (self.lower(&args[0], mask), self.lower(&args[1], mask));
                let number = self.mask_operand(number, &Type::Int, mask);
                let round = |a, b| kernels::int_operator(IntOperator::Round, a, b, expr.span);
                Lowered { fallible: true, ..join_parts(number, digits, round) }
            }
            Func::RoundFloat => {
                let (number, digits) = (self.lower(&args[0], mask), self.lower(&args[1], mask));
                join_parts(number, digits, kernels::round_to)
            }
            Func::Sqrt => unary!(|x: Expr| x.sqrt()),
            Func::FloatToFloat(function) => unary!(|x: Expr| kernels::float_function(function, x)),
            Func::Same => self.lower(&args[0], mask),
            Func::IntFromFloat => partial!(kernels::int_from_float),
            Func::IntFromText => partial!(kernels::int_from_text),
            Func::FloatFromText => partial!(kernels::float_from_text),
            Func::IntFromBool => {
                let int = unary!(|x: Expr| x.cast(DataType::Int64));
                Lowered { bounds: Bounds::new(0, 1), ..int }
            }
            Func::FloatFromInt => unary!(|x: Expr| x.cast(DataType::Float64)),
            Func::TextFrom if matches!(args[0].ty, Type::Int | Type::Bool) => {
                unary!(|x: Expr| x.cast(DataType::String))
            }
            Func::BoolFromInt => unary!(|x: Expr| x.neq(lit(0i64))),
            Func::IsNull => unary!(|x: Expr| x.is_null()),
            Func::Coalesce => self.coalesce(args, mask),
            Func::TextFrom
            | Func::BoolFromText
            | Func::ContainsList
            | Func::SliceList
            | Func::ReverseList
            | Func::SortedList
            | Func::JoinList
            | Func::SumInts
            | Func::SumFloats
            | Func::MinList
            | Func::MaxList
            | Func::Range
            | Func::Format => self.by_row(expr, mask),
        }
    }

    /// A later argument is needed where all before it are null.
    fn coalesce(&mut self, args: &[plan::Expr], mask: Option<&Mask>) -> Lowered {
        let (mut whole, mut size) = self.lower_sized(&args[0], mask);
        for arg in &args[1..] {
            let missing = Lowered { expr: whole.expr.clone().is_null(), ..whole.clone() };
            let narrow = self.narrow_mask(mask, &missing, size, Wanted::True);
            let (next, more) = self.lower_sized(arg, Some(&narrow));
            size += more;
            let bounds = whole.bounds.with(next.bounds);
            whole = Lowered { bounds, ..join_parts(whole, next, |a, b| coalesce(&[a, b])) };
        }
        whole
    }

    /// A function in another process: one call for many rows, those that are asked for and have all arguments.
    fn foreign(
        &mut self,
        code: plan::Shared<dyn ExternalFunction>,
        args: &[plan::Expr],
        expr: &plan::Expr,
        mask: Option<&Mask>,
    ) -> Lowered {
        const ROWS: usize = 4096;
        let mut inputs: Vec<Expr> = args.iter().map(|arg| self.lower(arg, mask).expr).collect();
        if let Some(mask) = mask {
            self.size += mask.size;
            inputs.push(mask.holds.clone());
        }
        let types: Vec<Type> = args.iter().map(|arg| arg.ty.clone()).collect();
        let (ty, span, stop, masked) = (expr.ty.clone(), expr.span, self.shared.stop.clone(), mask.is_some());
        let run = move |series: &[Series]| {
            let columns: Vec<Vec<Value>> =
                types.iter().zip(series).map(|(ty, series)| data::values(series, ty)).collect();
            let mask = if masked { Some(series[types.len()].bool()?) } else { None };
            let height = kernels::height(series);
            let place = |length: usize, row: usize| if length == 1 { 0 } else { row };
            let value = |column: &Vec<Value>, row: usize| column[place(column.len(), row)].clone();
            let asked = |row: &usize| mask.is_none_or(|mask| mask.get(place(mask.len(), *row)) == Some(true));
            let whole = |row: &usize| columns.iter().all(|column| !column[place(column.len(), *row)].is_null());
            let rows: Vec<usize> = (0..height).filter(asked).filter(whole).collect();
            let mut results = vec![Value::Null; height];
            for rows in rows.chunks(ROWS) {
                if stop.is_raised() {
                    return Err(kernels::failed(Kind::Stopped, Span::default(), "stopped"));
                }
                let passed: Vec<Vec<Value>> =
                    columns.iter().map(|column| rows.iter().map(|row| value(column, *row)).collect()).collect();
                let given = code.0.call(&passed, rows.len());
                let given =
                    given.map_err(|error| kernels::failed(error.kind, error.span.unwrap_or(span), &error.message))?;
                rows.iter().zip(given).for_each(|(row, value)| results[*row] = value);
            }
            Ok(data::series("", &ty, &results))
        };
        let run = kernels::elementwise("rust", &inputs, data::dtype(&expr.ty), run);
        Lowered { expr: run, bounds: bounds::ANY, fallible: true, varies: true }
    }

    /// Runs an expression one row at a time, as `map_elements` does in Python.
    fn by_row(&mut self, expr: &plan::Expr, mask: Option<&Mask>) -> Lowered {
        self.slow.push(expr.clone());
        let used = expr.columns();
        // Without a column of its own it takes the first, for the number of rows.
        let taken = if used.is_empty() { vec![0] } else { used };
        let mut inputs: Vec<Expr> = taken.iter().map(|index| column(*index)).collect();
        if let Some(mask) = mask {
            self.size += mask.size;
            inputs.push(mask.holds.clone());
        }
        let places: Vec<(usize, Type)> = taken.iter().map(|index| (*index, self.columns[*index].0.clone())).collect();
        let (code, ty, masked) = (Compiled::new(expr), expr.ty.clone(), mask.is_some());
        let (program, stop, width) = (self.shared.program.clone(), self.shared.stop.clone(), self.columns.len());
        let run = move |series: &[Series]| {
            let columns: Vec<Vec<Value>> =
                places.iter().zip(series).map(|((_, ty), series)| data::values(series, ty)).collect();
            let mask = if masked { Some(series[places.len()].bool()?) } else { None };
            let height = kernels::height(&series[..places.len()]);
            let mut frame = Frame::new(&program).stopping_at(&stop);
            frame.row = vec![Value::Null; width];
            let mut results = Vec::with_capacity(height);
            for row in 0..height {
                if row % 1024 == 0 && stop.is_raised() {
                    return Err(kernels::failed(Kind::Stopped, Span::default(), "stopped"));
                }
                // Each value alone may be small.
                if row % 1024 == 0 && !measure::may_allocate(0) {
                    let message = "its values need more memory than the run may have";
                    return Err(kernels::failed(Kind::System, Span::default(), message));
                }
                let needed = mask.is_none_or(|mask| mask.get(if mask.len() == 1 { 0 } else { row }) == Some(true));
                if !needed {
                    results.push(Value::Null);
                    continue;
                }
                for ((place, _), column) in places.iter().zip(&columns) {
                    frame.row[*place] = column[row].clone();
                }
                let value = code.value(&mut frame);
                let value = value.map_err(|fault| kernels::failed(fault.kind, fault.span, &fault.message))?;
                results.push(value.widen(&ty));
            }
            Ok(data::series("", &ty, &results))
        };
        let run = kernels::elementwise("row_by_row", &inputs, data::dtype(&expr.ty), run);
        Lowered { expr: run, bounds: bounds::ANY, fallible: true, varies: true }
    }
}

#[derive(Clone, Copy)]
enum Wanted {
    True,
    NotTrue,
    NotFalse,
}

/// The comparison with its sides exchanged.
fn exchange_sides(sign: Comparison) -> Comparison {
    match sign {
        Comparison::Equal | Comparison::NotEqual => sign,
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
    }
}

/// Two parts as one; its bounds are not known.
fn join_parts(a: Lowered, b: Lowered, whole: impl FnOnce(Expr, Expr) -> Expr) -> Lowered {
    Lowered {
        fallible: a.fallible || b.fallible,
        varies: a.varies || b.varies,
        bounds: bounds::ANY,
        expr: whole(a.expr, b.expr),
    }
}

/// Polars divides by a constant by multiplying with its inverse, and leaves out the addition of zero: both can be seen.
fn float_link(left: Lowered, operator: Operator, right: Lowered, operand: &plan::Expr) -> Lowered {
    let zero = |lowered: &Lowered| !lowered.varies;
    let constant = matches!(operand.node, Node::Const(_)) || zero(&right);
    let either = constant || zero(&left);
    match operator {
        Operator::Add if either => join_parts(left, right, |a, b| kernels::float_operator("add", |a, b| a + b, a, b)),
        Operator::Subtract if either => {
            join_parts(left, right, |a, b| kernels::float_operator("sub", |a, b| a - b, a, b))
        }
        Operator::Divide if constant => {
            join_parts(left, right, |a, b| kernels::float_operator("div", |a, b| a / b, a, b))
        }
        Operator::FloorDivide => {
            join_parts(left, right, |a, b| kernels::float_operator("floor_div", scalar::floor_divide_floats, a, b))
        }
        Operator::Remainder => {
            join_parts(left, right, |a, b| kernels::float_operator("rem", scalar::remainder_floats, a, b))
        }
        Operator::Add => join_parts(left, right, |a, b| a + b),
        Operator::Subtract => join_parts(left, right, |a, b| a - b),
        Operator::Multiply => join_parts(left, right, |a, b| a * b),
        Operator::Divide => join_parts(left, right, |a, b| a / b),
    }
}

/// A value for all rows.
pub fn constant(value: &Value, ty: &Type) -> Lowered {
    let expr = match value {
        Value::Null => lit(Scalar::null(data::dtype(ty))),
        Value::Int(i) => lit(Scalar::from(*i)),
        Value::Float(x) => lit(Scalar::from(*x)),
        Value::Bool(b) => lit(*b),
        Value::Text(text) => lit(text.to_string()),
        Value::List(items) => {
            let Type::List(of) = ty else { unreachable!("a list has the type of one") };
            let items = data::series("", of, items);
            lit(Scalar::new(data::dtype(ty), AnyValue::List(items)))
        }
    };
    let bounds = if let Value::Int(i) = value { Bounds::one(*i) } else { bounds::ANY };
    Lowered { expr, bounds, fallible: false, varies: false }
}

fn words(text: &str, places: &mut Vec<(usize, usize)>) {
    let base = text.as_ptr() as usize;
    places.extend(scalar::words(text).map(|word| {
        let start = word.as_ptr() as usize - base;
        (start, start + word.len())
    }));
}

fn chars(text: &str, places: &mut Vec<(usize, usize)>) {
    places.extend(text.char_indices().map(|(start, c)| (start, start + c.len_utf8())));
}
