//! Expressions, kept to what Spark and Sail both do as the language means it: ints are checked by exact decimals where
//! they may overflow, floats are compared after `-0.0` and NaN have one form, patterns mean the same to both. What may
//! fail is computed for the rows only that ask for it.

use prost::Message;

use crate::data::{Type, Value};
use crate::diagnostic::Span;
use crate::functions::{Func, Shown, next_place};
use crate::lang::{Comparison, Operator};
use crate::plan::{Expr, Named, Node, Prepared, SortKey};

use super::super::pattern::{Dialect, UNCOMMON, in_common};
use super::super::translate::{Refusal, Translated};
use super::build::*;
use super::messages::*;

/// Longer expressions are not sent, in bytes.
const MOST_BYTES: usize = 256 << 10;

pub const WHITE: &str = "\t\n\u{b}\u{c}\r \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\
                     \u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";

/// Characters whose case all versions of Unicode agree on, as a class of what is not among them.
const UNKNOWN_CASE: &str = "[^\u{0}-\u{17f}\u{370}-\u{377}\u{37a}-\u{37f}\u{384}-\u{3ff}\u{400}-\u{52f}\u{5d0}-\u{64a}\
                            \u{2000}-\u{206f}\u{20a0}-\u{20bf}\u{2190}-\u{21ff}\u{2500}-\u{25ff}\u{3000}-\u{9fff}\
                            \u{ac00}-\u{d7a3}\u{1f300}-\u{1f64f}]";

/// The least and the largest value of an int, where they are known.
pub type Bounds = Option<(i128, i128)>;

/// What an int may be: an overflow that cannot happen needs no check.
pub fn bounds_of(expr: &Expr, columns: &[Bounds]) -> Bounds {
    if expr.ty != Type::Int {
        return None;
    }
    match &expr.node {
        Node::Const(Value::Int(i)) => Some((i128::from(*i), i128::from(*i))),
        Node::Column(index) => columns.get(*index).copied().flatten(),
        Node::Chain(first, links) => {
            let mut bounds = bounds_of(first, columns)?;
            for link in links {
                bounds = chained(bounds, link.operator, bounds_of(&link.operand, columns)?)?;
            }
            Some(bounds)
        }
        Node::Call(Func::LenText | Func::LenList, _) => Some((0, 1 << 40)),
        _ => None,
    }
}

fn chained((a, b): (i128, i128), operator: Operator, (c, d): (i128, i128)) -> Bounds {
    let found = match operator {
        Operator::Add => (a + c, b + d),
        Operator::Subtract => (a - d, b - c),
        Operator::Multiply => {
            let corners = [a * c, a * d, b * c, b * d];
            (corners.into_iter().min()?, corners.into_iter().max()?)
        }
        Operator::Remainder if c == d && c > 0 => (0, c - 1),
        Operator::FloorDivide if c == d && c > 0 => (a.div_euclid(c), b.div_euclid(c)),
        Operator::Remainder | Operator::FloorDivide | Operator::Divide => return None,
    };
    is_int(found).then_some(found)
}

fn is_int((least, most): (i128, i128)) -> bool {
    least >= i128::from(i64::MIN) && most <= i128::from(i64::MAX)
}

/// A value in the one form that it is grouped, sorted and compared in: floats have one zero and one NaN.
pub fn one_form(expr: Expression, ty: &Type) -> Expression {
    fn has_floats(ty: &Type) -> bool {
        match ty {
            Type::Float => true,
            Type::List(of) => has_floats(of),
            _ => false,
        }
    }
    match ty {
        Type::Float => {
            let plain = call("+", vec![expr.clone(), double(0.0)]);
            when(vec![call("isnan", vec![expr]), double(f64::NAN), plain])
        }
        Type::List(of) if has_floats(of) => {
            let name = format!("f{}", depth(ty));
            each("transform", expr, &name, one_form(variable(&name), of))
        }
        _ => expr,
    }
}

fn depth(ty: &Type) -> usize {
    if let Type::List(of) = ty { 1 + depth(of) } else { 0 }
}

/// What rows are ordered by: of lists each element with whether it is null, since nulls stand last.
pub fn order_form(expr: Expression, ty: &Type) -> Expression {
    let Type::List(of) = ty else { return one_form(expr, ty) };
    let name = format!("k{}", depth(ty));
    let element = || variable(&name);
    let pair = vec![text("n"), is_null(element()), text("x"), order_form(element(), of)];
    each("transform", expr, &name, call("named_struct", pair))
}

/// A float rounded down; there it becomes an int on the way.
pub fn floor(x: Expression) -> Expression {
    let down = |x: Expression| cast(call("floor", vec![x]), "DOUBLE");
    when_fractional(x, down)
}

/// Floats from 2^52 on are whole, and some are no ints.
fn when_fractional(x: Expression, made: impl Fn(Expression) -> Expression) -> Expression {
    const WHOLE: f64 = (1u64 << 52) as f64;
    let is_between = || and(call(">", vec![x.clone(), double(-WHOLE)]), call("<", vec![x.clone(), double(WHOLE)]));
    let small = when(vec![is_between(), x.clone(), double(0.0)]);
    when(vec![is_between(), made(small), x.clone()])
}

/// An int of a text that is nothing but a sign and digits; `misfit` where it is beyond 64 bits.
pub fn int_of_plain_text(digits: Expression, misfit: Expression) -> Expression {
    const NARROW: &str = "^[+-]?0*[0-9]{1,18}\\z";
    const WIDE: &str = "^[+-]?0*[0-9]{19}\\z";
    let fits = |pattern: &str| call("rlike", vec![digits.clone(), text(pattern)]);
    // A constant is computed when the plan is made, whether it is asked for or not: it must not fail then.
    let unsigned = |pattern: &str| {
        let unsigned = call("replace", vec![digits.clone(), text("+"), text("")]);
        when(vec![fits(pattern), unsigned, text("0")])
    };
    let wide = || cast(unsigned(WIDE), "DECIMAL(20,0)");
    let limit = |value: i64| cast(text(&value.to_string()), "DECIMAL(20,0)");
    let is_inside = and(call(">=", vec![wide(), limit(i64::MIN)]), call("<=", vec![wide(), limit(i64::MAX)]));
    let checked = when(vec![is_inside, cast(wide(), "BIGINT"), misfit.clone()]);
    when(vec![fits(NARROW), cast(unsigned(NARROW), "BIGINT"), fits(WIDE), checked, misfit])
}

/// How a float is written.
const FLOAT: &str = "^[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?\\z";

/// A float of a text in the form of a number; `misfit` where it is beyond all floats.
pub fn float_of_plain_text(number: Expression, misfit: Expression) -> Expression {
    let safe = when(vec![call("rlike", vec![number.clone(), text(FLOAT)]), number, text("0")]);
    let made = || cast(safe.clone(), "DOUBLE");
    let is_finite =
        and(call("<", vec![made(), double(f64::INFINITY)]), call(">", vec![made(), double(f64::NEG_INFINITY)]));
    let unread = raise("objection", "a number is written in a form that is not read there", &Type::Float);
    when(vec![is_null(made()), unread, is_finite, made(), misfit])
}

/// Expressions of one plan.
pub struct Exprs<'a> {
    pub plan: &'a Prepared,
    pub bounds: &'a [Bounds],
    /// What its columns are called.
    pub prefix: char,
    /// The arguments of the calls of functions that are being written, with what they may be.
    parameters: Vec<Vec<(Expression, Bounds)>>,
    open: Vec<usize>,
    /// Variables of lambdas so far.
    variables: usize,
    /// What a `reduce` has so far, and its next value.
    folding: Option<(Expression, Expression)>,
}

impl<'a> Exprs<'a> {
    pub fn new(plan: &'a Prepared, bounds: &'a [Bounds], prefix: char) -> Exprs<'a> {
        Exprs { plan, bounds, prefix, parameters: Vec::new(), open: Vec::new(), variables: 0, folding: None }
    }

    /// The same for the step of a `reduce`.
    pub fn of_reduce(plan: &'a Prepared) -> Exprs<'a> {
        Exprs { folding: Some((variable("acc"), variable("it"))), ..Exprs::new(plan, &[], 'c') }
    }
}

impl Exprs<'_> {
    pub fn named(&mut self, named: &[Named]) -> Translated<Vec<Expression>> {
        let each = named.iter().enumerate();
        each.map(|(i, named)| Ok(alias(self.expr(&named.expr)?, format!("c{i}")))).collect()
    }

    /// What rows are sorted by, and whether downwards.
    pub fn sort_key(&mut self, key: &SortKey) -> Translated<(Expression, bool)> {
        Ok((order_form(self.expr(&key.expr)?, &key.expr.ty), key.descending))
    }

    /// What an int may be here, where columns have other names and parameters have values.
    fn known(&self, expr: &Expr) -> Bounds {
        match &expr.node {
            Node::Parameter(index) => {
                self.parameters.last().and_then(|given| given.get(*index)).and_then(|given| given.1)
            }
            _ if self.parameters.is_empty() => bounds_of(expr, self.bounds),
            Node::Const(_) => bounds_of(expr, &[]),
            _ => None,
        }
    }

    /// Whether it may end the run for some value.
    fn may_fail(&self, expr: &Expr) -> bool {
        let any = |exprs: &[Expr]| exprs.iter().any(|expr| self.may_fail(expr));
        match &expr.node {
            Node::Const(_) | Node::Column(_) => false,
            Node::Parameter(_) | Node::Acc | Node::ScalarSubquery(_) => true,
            Node::ExternalFunction(..) | Node::Apply(..) => true,
            Node::List(items) | Node::And(items) | Node::Or(items) => any(items),
            Node::Chain(first, links) => {
                let operands = links.iter().any(|link| self.may_fail(&link.operand));
                (expr.ty == Type::Int && self.known(expr).is_none()) || self.may_fail(first) || operands
            }
            Node::Negate(inner) => expr.ty == Type::Int || self.may_fail(inner),
            Node::Not(inner) | Node::Widen(inner) => self.may_fail(inner),
            Node::Compare(a, _, b) | Node::In(a, b) | Node::Index(a, b) => self.may_fail(a) || self.may_fail(b),
            Node::If(arms, last) => {
                arms.iter().any(|(test, then)| self.may_fail(test) || self.may_fail(then)) || self.may_fail(last)
            }
            Node::Call(func, args) => {
                let fails = matches!(
                    func,
                    Func::Lower
                        | Func::Upper
                        | Func::SumInts
                        | Func::Range
                        | Func::AbsInt
                        | Func::PowInt
                        | Func::IntFromFloat
                        | Func::IntFromText
                        | Func::FloatFromText
                        | Func::BoolFromText
                        | Func::TextFrom
                        | Func::Replace
                        | Func::Format
                );
                fails || any(args)
            }
        }
    }

    pub fn expr(&mut self, expr: &Expr) -> Translated<Expression> {
        let made = self.made(expr)?;
        // Some parts are written more than once.
        if made.encoded_len() > MOST_BYTES {
            return Err(Refusal { reason: "this expression has more parts than are sent", span: expr.span });
        }
        Ok(made)
    }

    fn made(&mut self, expr: &Expr) -> Translated<Expression> {
        let refuse = |reason| Err(Refusal { reason, span: expr.span });
        let parts = operands(&expr.node);
        if parts.iter().any(|part| is_always_null(part)) && parts.iter().any(|part| self.may_fail(part)) {
            return refuse("a server does not compute what stands beside a null, and it may fail");
        }
        Ok(match &expr.node {
            Node::Const(value) => constant(value, &expr.ty),
            Node::Column(index) => match &self.folding {
                Some((_, item)) => item.clone(),
                None => attribute(format!("{}{index}", self.prefix)),
            },
            Node::Acc => match &self.folding {
                Some((acc, _)) => acc.clone(),
                None => return refuse("this is computed in the process of the shell only"),
            },
            Node::Parameter(index) => {
                let given = self.parameters.last().and_then(|given| given.get(*index)).cloned();
                given.expect("a body is written with its arguments").0
            }
            Node::ScalarSubquery(_) | Node::ExternalFunction(..) => {
                return refuse("this is computed in the process of the shell only");
            }
            Node::List(items) => {
                let of = element_of(&expr.ty);
                let items = items.iter().map(|item| self.expr(item)).collect::<Translated<Vec<_>>>()?;
                array(items, &of)
            }
            Node::Index(list, index) => {
                let (list, index) = (self.expr(list)?, self.expr(index)?);
                let length = || cast(call("size", vec![list.clone()]), "BIGINT");
                let from_end = call("+", vec![length(), index.clone()]);
                let at = || {
                    let is_negative = call("<", vec![index.clone(), long(0)]);
                    when(vec![is_negative, from_end.clone(), index.clone()])
                };
                let is_inside = and(call(">=", vec![at(), long(0)]), call("<", vec![at(), length()]));
                let place = cast(when(vec![is_inside, at(), long(-1)]), "INT");
                let unknown = call("or", vec![is_null(list.clone()), is_null(index.clone())]);
                when(vec![unknown, null(&expr.ty), call("get", vec![list.clone(), place])])
            }
            Node::Chain(first, links) => {
                let mut left = self.expr(first)?;
                let mut bounds = self.known(first);
                for link in links {
                    let right = self.expr(&link.operand)?;
                    let other = self.known(&link.operand);
                    let after = bounds.zip(other).and_then(|(a, b)| chained(a, link.operator, b));
                    left = match expr.ty {
                        Type::Int => int_link(left, link.operator, right, after, other),
                        Type::Float => float_link(left, link.operator, right, &link.operand),
                        Type::List(_) => {
                            let unknown = call("or", vec![is_null(left.clone()), is_null(right.clone())]);
                            when(vec![unknown, null(&expr.ty), call("concat", vec![left, right])])
                        }
                        _ => call("concat", vec![left, right]),
                    };
                    if left.encoded_len() > MOST_BYTES {
                        return refuse("this expression has more parts than are sent");
                    }
                    bounds = after;
                }
                left
            }
            Node::Compare(left, comparison, right) => {
                let is_order = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
                let form = if is_order { order_form } else { one_form };
                let (a, b) = (form(self.expr(left)?, &left.ty), form(self.expr(right)?, &right.ty));
                match comparison {
                    Comparison::NotEqual => not(equal(a, b)),
                    _ => call(comparison.sign(), vec![a, b]),
                }
            }
            Node::In(item, list) => {
                let (found, list_made) = (self.expr(item)?, self.expr(list)?);
                contains(list_made, &list.ty, found, &item.ty)
            }
            Node::And(items) => self.folded("and", items)?,
            Node::Or(items) => self.folded("or", items)?,
            Node::Not(inner) => not(self.expr(inner)?),
            Node::Negate(inner) => {
                let value = self.expr(inner)?;
                match expr.ty {
                    Type::Float => call("negative", vec![value]),
                    // Zero less it, checked.
                    _ => {
                        let after = self.known(inner).and_then(|bounds| chained((0, 0), Operator::Subtract, bounds));
                        int_link(long(0), Operator::Subtract, value, after, self.known(inner))
                    }
                }
            }
            Node::If(arms, otherwise) => {
                let mut all = Vec::new();
                for (test, then) in arms {
                    all.push(self.expr(test)?);
                    all.push(self.expr(then)?);
                }
                all.push(self.expr(otherwise)?);
                let is_chosen = expr.ty == Type::Bool && self.may_fail(expr);
                if is_chosen { chosen_bool(all) } else { when(all) }
            }
            Node::Widen(inner) => widened(self.expr(inner)?, &inner.ty, &expr.ty),
            Node::Call(func, args) => self.call(*func, args, &expr.ty, expr.span)?,
            Node::Apply(index, args) => {
                if self.open.contains(index) {
                    return refuse("a function that calls itself runs here only");
                }
                let given = args.iter().map(|arg| Ok((self.expr(arg)?, self.known(arg)))).collect::<Translated<_>>()?;
                let body = self.plan.functions[*index].body.clone();
                self.open.push(*index);
                self.parameters.push(given);
                let made = self.expr(&body);
                self.parameters.pop();
                self.open.pop();
                made?
            }
        })
    }

    /// `and` and `or`: what may fail is computed only where what stands before it leaves the result open.
    fn folded(&mut self, name: &str, items: &[Expr]) -> Translated<Expression> {
        let is_and = name == "and";
        let mut made: Option<Expression> = None;
        for item in items {
            let part = self.expr(item)?;
            made = Some(match made {
                None => part,
                Some(before) if self.may_fail(item) => {
                    let decides = if is_and { not(before.clone()) } else { before.clone() };
                    chosen_bool(vec![decides, boolean(!is_and), call(name, vec![before, part])])
                }
                Some(before) => call(name, vec![before, part]),
            });
            if made.as_ref().is_some_and(|made| made.encoded_len() > MOST_BYTES) {
                return Err(Refusal { reason: "this expression has more parts than are sent", span: item.span });
            }
        }
        Ok(made.unwrap_or_else(|| boolean(is_and)))
    }

    fn variable(&mut self) -> String {
        self.variables += 1;
        format!("v{}", self.variables)
    }

    fn call(&mut self, func: Func, args: &[Expr], ty: &Type, span: Span) -> Translated<Expression> {
        let refuse = |reason| Err(Refusal { reason, span });
        let differs = "this function differs there, or is only here";
        let constant_int = |expr: &Expr| if let Node::Const(Value::Int(i)) = &expr.node { Some(*i) } else { None };
        // Written first: the others are made of them.
        let made = match func {
            Func::Coalesce | Func::Format => Vec::new(),
            _ => args.iter().map(|arg| self.expr(arg)).collect::<Translated<Vec<_>>>()?,
        };
        let value = || made[0].clone();
        Ok(match func {
            Func::Lower | Func::Upper => {
                let unknown = call("rlike", vec![value(), text(UNKNOWN_CASE)]);
                let says = "the text has characters whose case versions of Unicode disagree on";
                let name = if func == Func::Lower { "lower" } else { "upper" };
                when(vec![unknown, raise("objection", says, &Type::Text), call(name, vec![value()])])
            }
            Func::LenText => cast(call("length", vec![value()]), "BIGINT"),
            Func::LenList => cast(call("size", vec![value()]), "BIGINT"),
            Func::Trim => trimmed(value()),
            Func::ReverseText | Func::ReverseList => call("reverse", vec![value()]),
            Func::ContainsText => call("contains", made),
            Func::StartsWith => call("startswith", made),
            Func::EndsWith => call("endswith", made),
            Func::ContainsList => contains(value(), &args[0].ty, made[1].clone(), &args[1].ty),
            Func::Replace => match &args[1].node {
                Node::Const(Value::Text(part)) if !part.is_empty() => call("replace", made),
                _ => {
                    let is_empty = equal(made[1].clone(), text(""));
                    let unknown = call("or", vec![is_null(value()), is_null(made[2].clone())]);
                    let fails = raise("objection", "`replace` of an empty text differs there", &Type::Text);
                    when(vec![unknown, null(&Type::Text), is_empty, fails, call("replace", made)])
                }
            },
            Func::Matches => {
                let pattern = if let Node::Const(Value::Text(pattern)) = &args[1].node { Some(pattern) } else { None };
                match pattern.and_then(|pattern| in_common(pattern, Dialect::Java)) {
                    Some(pattern) => call("rlike", vec![value(), text(&pattern)]),
                    None => return refuse(UNCOMMON),
                }
            }
            Func::Words => {
                let parts = call("split", vec![value(), text(&format!("[{WHITE}]+"))]);
                let word = self.variable();
                each("filter", parts, &word, not(equal(variable(&word), text(""))))
            }
            Func::Split => match &args[1].node {
                Node::Const(Value::Text(separator)) if !separator.is_empty() => {
                    let escape = |c: char| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() };
                    let pattern: String = separator.chars().map(escape).collect();
                    call("split", vec![value(), text(&pattern)])
                }
                _ => return refuse("`split` takes only a constant separator there"),
            },
            Func::Chars => self.chars(value()),
            Func::SortedText => call("array_join", vec![call("array_sort", vec![self.chars(value())]), text("")]),
            Func::SliceText | Func::SliceList => {
                let is_text = func == Func::SliceText;
                let length = cast(call(if is_text { "length" } else { "size" }, vec![value()]), "BIGINT");
                let (from, count) = slice(&length, made[1].clone(), made[2].clone());
                let from = cast(call("+", vec![from, long(1)]), "INT");
                let part = call(if is_text { "substring" } else { "slice" }, vec![value(), from, cast(count, "INT")]);
                let unknown = call("or", vec![is_null(made[1].clone()), is_null(made[2].clone())]);
                when(vec![call("or", vec![is_null(value()), unknown]), null(ty), part])
            }
            Func::SortedList => match element_of(&args[0].ty) {
                of @ Type::List(_) => sorted_lists(value(), &of),
                _ => call("array_sort", vec![one_form(value(), &args[0].ty)]),
            },
            Func::MinList | Func::MaxList => match element_of(&args[0].ty) {
                of @ Type::List(_) => {
                    let item = self.variable();
                    let present = each("filter", value(), &item, not(is_null(variable(&item))));
                    let last = call("-", vec![call("size", vec![present.clone()]), small(1)]);
                    let place = if func == Func::MinList { small(0) } else { last };
                    let found = call("get", vec![sorted_lists(present, &of), place]);
                    when(vec![is_null(value()), null(ty), found])
                }
                _ => {
                    let name = if func == Func::MinList { "array_min" } else { "array_max" };
                    call(name, vec![one_form(value(), &args[0].ty)])
                }
            },
            Func::JoinList => {
                let unknown = call("or", vec![is_null(value()), is_null(made[1].clone())]);
                when(vec![unknown, null(&Type::Text), call("array_join", made)])
            }
            Func::SumInts => {
                let sum = |a, b| cast(call("+", vec![a, b]), "DECIMAL(38,0)");
                let (acc, item) = (self.variable(), self.variable());
                let each = cast(variable(&item), "DECIMAL(38,0)");
                let start = cast(long(0), "DECIMAL(38,0)");
                cast(self.aggregated(value(), start, &acc, &item, sum(variable(&acc), each)), "BIGINT")
            }
            Func::SumFloats => {
                let (acc, item) = (self.variable(), self.variable());
                let sum = call("+", vec![variable(&acc), variable(&item)]);
                self.aggregated(value(), double(0.0), &acc, &item, sum)
            }
            Func::Range => {
                let (from, to) = (value(), made[1].clone());
                let last = call("-", vec![to.clone(), long(1)]);
                let distance = call("-", vec![exact_int(to.clone()), exact_int(from.clone())]);
                let long_one = call(">", vec![distance, cast(long(100_000), "DECIMAL(19,0)")]);
                let unknown = call("or", vec![is_null(from.clone()), is_null(to.clone())]);
                when(vec![
                    unknown,
                    null(ty),
                    call(">=", vec![from.clone(), to]),
                    array(Vec::new(), &Type::Int),
                    long_one,
                    raise("objection", "a list of more than 100,000 ints is made here only", ty),
                    call("sequence", vec![from, last]),
                ])
            }
            Func::AbsInt => cast(call("abs", vec![cast(value(), "DECIMAL(19,0)")]), "BIGINT"),
            Func::AbsFloat => call("abs", vec![value()]),
            Func::Round => {
                let half_up = |x: Expression| {
                    let size = || call("abs", vec![x.clone()]);
                    let down = || cast(call("floor", vec![size()]), "DOUBLE");
                    let is_up = call(">=", vec![call("-", vec![size(), down()]), double(0.5)]);
                    let rounded = || call("+", vec![down(), when(vec![is_up.clone(), double(1.0), double(0.0)])]);
                    let is_negative = call("<", vec![x.clone(), double(0.0)]);
                    when(vec![is_negative, call("negative", vec![rounded()]), rounded()])
                };
                when_fractional(value(), half_up)
            }
            Func::RoundInt if constant_int(&args[1]).is_some_and(|digits| digits >= 0) => value(),
            Func::Sqrt => call("sqrt", vec![value()]),
            Func::FloatToFloat(function) => match function.name {
                "exp" | "sin" | "cos" | "tan" => call(function.name, made),
                "floor" => floor(value()),
                "ceil" => when_fractional(value(), |x| cast(call("ceil", vec![x]), "DOUBLE")),
                "ln" | "log2" => {
                    let is_zero = equal(call("+", vec![value(), double(0.0)]), double(0.0));
                    when(vec![
                        call(">", vec![value(), double(0.0)]),
                        call(function.name, vec![value()]),
                        is_zero,
                        double(f64::NEG_INFINITY),
                        is_null(value()),
                        null(&Type::Float),
                        double(f64::NAN),
                    ])
                }
                _ => return refuse(differs),
            },
            Func::PowFloat => {
                let (base, exponent) = (value(), made[1].clone());
                let is = |x: &Expression, n: f64| equal(x.clone(), double(n));
                let is_endless = call("or", vec![is(&exponent, f64::INFINITY), is(&exponent, f64::NEG_INFINITY)]);
                // Not so in Java: one to the power of anything is one.
                when(vec![
                    call("or", vec![is_null(base.clone()), is_null(exponent.clone())]),
                    null(&Type::Float),
                    is(&base, 1.0),
                    double(1.0),
                    and(is(&base, -1.0), is_endless),
                    double(1.0),
                    call("pow", made),
                ])
            }
            Func::PowInt => match constant_int(&args[1]) {
                Some(0) => when(vec![is_null(value()), null(&Type::Int), long(1)]),
                Some(exponent @ 1..=8) => {
                    let bounds = self.known(&args[0]);
                    let (mut power, mut so_far) = (value(), bounds);
                    for _ in 1..exponent {
                        so_far = so_far.zip(bounds).and_then(|(a, b)| chained(a, Operator::Multiply, b));
                        power = int_link(power, Operator::Multiply, value(), so_far, bounds);
                    }
                    power
                }
                _ => return refuse("`pow` of ints takes only a constant exponent from 0 to 8 there"),
            },
            Func::Same => value(),
            Func::IntFromBool => cast(value(), "BIGINT"),
            Func::FloatFromInt => cast(value(), "DOUBLE"),
            Func::IntFromFloat => {
                const LIMIT: f64 = 9_223_372_036_854_775_808.0;
                let is_inside = and(call(">=", vec![value(), double(-LIMIT)]), call("<", vec![value(), double(LIMIT)]));
                let fails = raise("domain", "int(x): a value does not fit into an int", &Type::Int);
                // A constant is computed when the plan is made, whether it is asked for or not.
                let safe = cast(when(vec![is_inside.clone(), value(), double(0.0)]), "BIGINT");
                when(vec![is_inside, safe, is_null(value()), null(&Type::Int), fails])
            }
            Func::IntFromText => {
                let misfit = raise("domain", "int(x): a text is not an int", &Type::Int);
                let fits = call("rlike", vec![trimmed(value()), text("^[+-]?[0-9]+\\z")]);
                let made = int_of_plain_text(trimmed(value()), misfit.clone());
                when(vec![is_null(value()), null(&Type::Int), fits, made, misfit])
            }
            Func::FloatFromText => {
                let misfit = raise("domain", "float(x): a text is not a number", &Type::Float);
                let fits = |pattern: &str| call("rlike", vec![trimmed(value()), text(pattern)]);
                when(vec![
                    is_null(value()),
                    null(&Type::Float),
                    fits(FLOAT),
                    float_of_plain_text(trimmed(value()), misfit.clone()),
                    fits("^[+-]?[nN][aA][nN]\\z"),
                    double(f64::NAN),
                    fits("^\\+?[iI][nN][fF]([iI][nN][iI][tT][yY])?\\z"),
                    double(f64::INFINITY),
                    fits("^-[iI][nN][fF]([iI][nN][iI][tT][yY])?\\z"),
                    double(f64::NEG_INFINITY),
                    misfit,
                ])
            }
            Func::BoolFromText => {
                let is = |word: &str| equal(trimmed(value()), text(word));
                let fails = raise("domain", "bool(x): a text is neither true nor false", &Type::Bool);
                let no = is_null(value());
                chosen_bool(vec![no, null(&Type::Bool), is("true"), boolean(true), is("false"), boolean(false), fails])
            }
            Func::BoolFromInt => not(equal(value(), long(0))),
            Func::TextFrom => match as_text(value(), &args[0].ty) {
                Some(made) => made,
                None => return refuse("a list as text is written here only"),
            },
            Func::Format => {
                let Node::Const(Value::Text(pattern)) = &args[0].node else {
                    return refuse("the pattern of `format` is not a constant");
                };
                let (mut rest, mut parts) = (&**pattern, Vec::new());
                for arg in &args[1..] {
                    let Some((before, Shown::Plain, after)) = next_place(rest) else {
                        return refuse("a number of decimal places is written here only");
                    };
                    parts.push(text(before));
                    match as_text(self.expr(arg)?, &arg.ty) {
                        Some(made) => parts.push(made),
                        None => return refuse("a list as text is written here only"),
                    }
                    rest = after;
                }
                parts.push(text(rest));
                call("concat", parts)
            }
            Func::IsNull => is_null(value()),
            Func::Coalesce => {
                let mut made: Option<Expression> = None;
                for arg in args.iter().rev() {
                    let value = self.expr(arg)?;
                    made = Some(match made {
                        None => value,
                        Some(after) => {
                            let all = vec![is_null(value.clone()), after, value];
                            if *ty == Type::Bool { chosen_bool(all) } else { when(all) }
                        }
                    });
                }
                made.expect("it has arguments")
            }
            Func::RoundInt | Func::RoundFloat | Func::Get => return refuse(differs),
        })
    }

    /// A list without its nulls, folded.
    fn aggregated(
        &mut self,
        list: Expression,
        start: Expression,
        acc: &str,
        item: &str,
        step: Expression,
    ) -> Expression {
        let kept = self.variable();
        let present = each("filter", list, &kept, not(is_null(variable(&kept))));
        let arguments = [acc, item].map(|name| Variable { name: vec![name.to_string()] }).to_vec();
        let lambda = expression(ExprType::Lambda(Box::new(Lambda { function: Some(step), arguments })));
        call("aggregate", vec![present, start, lambda])
    }

    /// The characters of a text: a split at nothing gives others on each server.
    fn chars(&mut self, value: Expression) -> Expression {
        let at = self.variable();
        let length = || call("length", vec![value.clone()]);
        let places = call("sequence", vec![small(1), call("greatest", vec![length(), small(1)])]);
        let each = each("transform", places, &at, call("substring", vec![value.clone(), variable(&at), small(1)]));
        let none = array(Vec::new(), &Type::Text);
        when(vec![is_null(value.clone()), null(&Type::list(Type::Text)), equal(length(), small(0)), none, each])
    }
}

/// A value in a wider type. What is open is null, which a cast to a list would put into one.
fn widened(value: Expression, from: &Type, to: &Type) -> Expression {
    match (from, to) {
        (Type::List(from), Type::List(to)) if matches!(**to, Type::List(_)) => {
            let name = format!("w{}", depth(to));
            each("transform", value, &name, widened(variable(&name), from, to))
        }
        (Type::List(_), Type::List(_)) => cast(value, &type_text(to)),
        (_, Type::List(_)) => null(to),
        _ => cast(value, &type_text(to)),
    }
}

/// The parts of which one that is null makes the whole null.
fn operands(node: &Node) -> Vec<&Expr> {
    match node {
        Node::Chain(first, links) => std::iter::once(&**first).chain(links.iter().map(|link| &link.operand)).collect(),
        Node::Compare(a, _, b) | Node::In(a, b) | Node::Index(a, b) => vec![a, b],
        Node::Negate(inner) | Node::Not(inner) | Node::Widen(inner) => vec![inner],
        Node::Call(Func::IsNull | Func::Coalesce, _) => Vec::new(),
        Node::Call(_, args) => args.iter().collect(),
        _ => Vec::new(),
    }
}

fn is_always_null(expr: &Expr) -> bool {
    matches!(expr.node, Node::Const(Value::Null)) || operands(&expr.node).into_iter().any(is_always_null)
}

fn element_of(list: &Type) -> Type {
    if let Type::List(of) = list { (**of).clone() } else { Type::Text }
}

fn constant(value: &Value, ty: &Type) -> Expression {
    match value {
        Value::Null => null(ty),
        Value::Int(i) if *ty == Type::Float => double(*i as f64),
        Value::Int(i) => long(*i),
        Value::Float(x) => double(*x),
        Value::Bool(b) => boolean(*b),
        Value::Text(value) => text(value),
        Value::List(items) => {
            let of = element_of(ty);
            array(items.iter().map(|item| constant(item, &of)).collect(), &of)
        }
    }
}

fn array(items: Vec<Expression>, of: &Type) -> Expression {
    cast(call("array", items), &format!("ARRAY<{}>", type_text(of)))
}

/// A list of lists of type `of`, sorted: nulls last.
pub fn sorted_lists(list: Expression, of: &Type) -> Expression {
    let item = || variable("s");
    let key = order_form(item(), of);
    let pair = vec![text("n"), is_null(item()), text("k"), key, text("x"), item()];
    let keyed = each("transform", list, "s", call("named_struct", pair));
    each("transform", call("array_sort", vec![keyed]), "s", field(variable("s"), "x"))
}

fn trimmed(value: Expression) -> Expression {
    call("btrim", vec![value, text(WHITE)])
}

fn exact_int(int: Expression) -> Expression {
    cast(int, "DECIMAL(19,0)")
}

/// Null for a null item or list; nulls in the list are not looked at.
fn contains(list: Expression, list_type: &Type, item: Expression, item_type: &Type) -> Expression {
    let is_unknown = call("or", vec![is_null(item.clone()), is_null(list.clone())]);
    let found = call("array_contains", vec![one_form(list, list_type), one_form(item, item_type)]);
    when(vec![is_unknown, null(&Type::Bool), call("coalesce", vec![found, boolean(false)])])
}

/// Where a slice begins, from 0, and how long it is: what lies outside is left out.
fn slice(length: &Expression, start: Expression, count: Expression) -> (Expression, Expression) {
    let least = |a: Expression, b: Expression| call("least", vec![a, b]);
    let most = |a: Expression, b: Expression| call("greatest", vec![a, b]);
    let from_end = call("+", vec![length.clone(), most(start.clone(), long(-(1 << 40)))]);
    let raw = when(vec![call("<", vec![start.clone(), long(0)]), from_end, least(start, long(1 << 40))]);
    let wanted = most(least(count, long(1 << 41)), long(0));
    // Where something is null, its limits are not looked at.
    let clip = |x: Expression| most(least(least(x, length.clone()), long(i64::from(i32::MAX - 1))), long(0));
    let from = clip(raw.clone());
    let to = clip(call("+", vec![raw, wanted]));
    let count = most(call("-", vec![to, from.clone()]), long(0));
    (from, count)
}

/// A value as text; floats only where both servers write them as the language does.
fn as_text(value: Expression, ty: &Type) -> Option<Expression> {
    let is = |x: f64| equal(value.clone(), double(x));
    let plain = cast(value.clone(), "STRING");
    match ty {
        Type::Int | Type::Bool | Type::Text | Type::Open | Type::Never => Some(plain),
        Type::Float => {
            let limit = || double(1e6);
            let is_small = and(
                call(">", vec![value.clone(), call("negative", vec![limit()])]),
                call("<", vec![value.clone(), limit()]),
            );
            let safe = || when(vec![is_small.clone(), call("*", vec![value.clone(), double(8.0)]), double(0.5)]);
            let is_eighths = equal(floor(safe()), safe());
            Some(when(vec![
                is_null(value.clone()),
                null(&Type::Text),
                call("isnan", vec![value.clone()]),
                text("NaN"),
                is(f64::INFINITY),
                text("inf"),
                is(f64::NEG_INFINITY),
                text("-inf"),
                and(is_small.clone(), is_eighths),
                plain,
                raise("objection", "such a float is written in another way there", &Type::Text),
            ]))
        }
        Type::List(_) => None,
    }
}

/// An operator on ints. Where the result may not fit, it is computed in decimals, whose cast to an int is checked.
fn int_link(left: Expression, operator: Operator, right: Expression, after: Bounds, divisor: Bounds) -> Expression {
    match operator {
        Operator::Add | Operator::Subtract | Operator::Multiply => {
            let sign = operator.sign();
            if after.is_some() {
                return call(sign, vec![left, right]);
            }
            cast(call(sign, vec![exact_int(left), exact_int(right)]), "BIGINT")
        }
        Operator::FloorDivide | Operator::Remainder => {
            const LARGEST: i128 = 1 << 62;
            if divisor.is_some_and(|(least, most)| least == most && least > 0 && least < LARGEST) {
                let rest = call("pmod", vec![left.clone(), right.clone()]);
                if operator == Operator::Remainder {
                    return rest;
                }
                // Towards zero, then down: the difference itself may not fit.
                let whole = call("div", vec![left.clone(), right.clone()]);
                let is_below = and(call("<", vec![left, long(0)]), call(">", vec![rest, long(0)]));
                return call("-", vec![whole, when(vec![is_below, long(1), long(0)])]);
            }
            let is = |x: i64| equal(right.clone(), long(x));
            let unknown = call("or", vec![is_null(left.clone()), is_null(right.clone())]);
            // Whatever is computed for all rows must not fail.
            let safe = || when(vec![call("or", vec![is(0), is(-1)]), long(1), right.clone()]);
            let rest = || call("%", vec![left.clone(), safe()]);
            let has_rest = || not(equal(rest(), long(0)));
            let is_negative = |x: Expression| call("<", vec![x, long(0)]);
            let differ = || not(equal(is_negative(rest()), is_negative(safe())));
            let zero = raise("zero", "division by zero", &Type::Int);
            let (for_minus_one, other) = if operator == Operator::Remainder {
                let moved = call("+", vec![rest(), safe()]);
                (long(0), when(vec![and(has_rest(), differ()), moved, rest()]))
            } else {
                let down = when(vec![and(has_rest(), differ()), long(1), long(0)]);
                let whole = call("div", vec![left.clone(), safe()]);
                let negated = cast(call("-", vec![exact_int(long(0)), exact_int(left.clone())]), "BIGINT");
                (negated, call("-", vec![whole, down]))
            };
            when(vec![unknown, null(&Type::Int), is(0), zero, is(-1), for_minus_one, other])
        }
        Operator::Divide => unreachable!("`/` gives a float"),
    }
}

/// An operator on floats.
fn float_link(left: Expression, operator: Operator, right: Expression, divisor: &Expr) -> Expression {
    match operator {
        Operator::Add | Operator::Subtract | Operator::Multiply => call(operator.sign(), vec![left, right]),
        Operator::Divide => match &divisor.node {
            Node::Const(Value::Float(x)) if *x != 0.0 => call("/", vec![left, right]),
            Node::Const(Value::Int(i)) if *i != 0 => call("/", vec![left, right]),
            _ => divided(left, right),
        },
        Operator::Remainder => remainder(left, right),
        Operator::FloorDivide => {
            // What is left of `left` is exact, so that the quotient of the rest is near to a whole number.
            let quotient = || divided(left.clone(), right.clone());
            let rest = remainder(left.clone(), right.clone());
            let exact =
                floor(call("+", vec![divided(call("-", vec![left.clone(), rest]), right.clone()), double(0.5)]));
            let is_small = and(call("<", vec![quotient(), double(4e15)]), call(">", vec![quotient(), double(-4e15)]));
            let unknown = call("or", vec![is_null(left.clone()), is_null(right.clone())]);
            let is_endless = |x: &Expression| {
                call("or", vec![equal(x.clone(), double(f64::INFINITY)), equal(x.clone(), double(f64::NEG_INFINITY))])
            };
            let is_other = call("or", vec![is_endless(&left), is_endless(&right)]);
            let says = "`//` of such floats is less exact there";
            let is_zero = equal(call("+", vec![right.clone(), double(0.0)]), double(0.0));
            when(vec![
                unknown,
                null(&Type::Float),
                is_zero,
                quotient(),
                is_other,
                raise("objection", says, &Type::Float),
                call("isnan", vec![quotient()]),
                double(f64::NAN),
                is_small,
                exact,
                raise("objection", says, &Type::Float),
            ])
        }
    }
}

/// A quotient of floats: by zero it is infinite, by the sign of both.
fn divided(left: Expression, right: Expression) -> Expression {
    let is_zero = || equal(call("+", vec![right.clone(), double(0.0)]), double(0.0));
    let is_negative = equal(cast(right.clone(), "STRING"), text("-0.0"));
    let infinity = when(vec![is_negative, double(f64::NEG_INFINITY), double(f64::INFINITY)]);
    let safe = when(vec![is_zero(), double(1.0), right.clone()]);
    when(vec![is_zero(), call("*", vec![left.clone(), infinity]), call("/", vec![left, safe])])
}

/// The remainder of floats, with the divisor's sign.
fn remainder(left: Expression, right: Expression) -> Expression {
    let is_zero = || equal(call("+", vec![right.clone(), double(0.0)]), double(0.0));
    let unknown = call("or", vec![is_null(left.clone()), is_null(right.clone())]);
    let safe = || when(vec![is_zero(), double(1.0), right.clone()]);
    let rest = || call("%", vec![left.clone(), safe()]);
    let is_negative = |x: Expression| call("<", vec![x, double(0.0)]);
    let has_rest = not(equal(call("+", vec![rest(), double(0.0)]), double(0.0)));
    let differ = not(equal(is_negative(rest()), is_negative(safe())));
    when(vec![
        unknown,
        null(&Type::Float),
        is_zero(),
        double(f64::NAN),
        and(has_rest, differ),
        call("+", vec![rest(), safe()]),
        rest(),
    ])
}
