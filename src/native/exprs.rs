//! Expressions as Rust.

use std::cell::RefCell;

use crate::data::{Type, Value};
use crate::functions::Func;
use crate::lang::{Comparison, Operator};
use crate::plan::{Expr, Link, Node};

use super::calls;
use super::code::{Hold, Piece, Strength};
use super::shape::{Kind, ValueLayout};

/// A person's function as it stands in the code.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    pub name: String,
    pub parameters: Vec<ValueLayout>,
    pub result: ValueLayout,
}

/// The functions of a plan. Calls tell what may be null in them, and they what may be null in calls: the code is
/// written again until nothing grows.
#[derive(Debug)]
pub struct Signatures {
    pub all: RefCell<Vec<Signature>>,
    /// Whether one of them calls itself: then all count the open calls.
    pub deep: bool,
}

/// What an expression sees.
pub struct Scope<'s> {
    pub columns: Vec<Piece>,
    pub parameters: Vec<Piece>,
    pub acc: Option<Piece>,
    pub signatures: &'s Signatures,
    /// The number of open calls, in Rust.
    pub depth: &'s str,
}

impl Scope<'_> {
    pub fn piece(&self, expr: &Expr) -> Piece {
        match &expr.node {
            Node::Const(value) => constant(value, &expr.ty),
            Node::Column(index) => seen_as(&self.columns[*index], &expr.ty),
            Node::Parameter(index) => seen_as(&self.parameters[*index], &expr.ty),
            Node::Acc => seen_as(self.acc.as_ref().expect("`acc` stands only where there is one"), &expr.ty),
            Node::ScalarSubquery(_) => unreachable!("the session puts the value of a table in its place before a run"),
            Node::List(items) => self.list(items),
            Node::Chain(first, links) => self.chain(first, links, &expr.ty),
            Node::Compare(a, sign, b) => {
                let sides = [self.piece(a), self.piece(b)];
                let shape = sides[0].shape.meet(&sides[1].shape);
                let sides = sides.map(|side| {
                    let nulls = side.shape.nulls;
                    side.fit(&ValueLayout::new(shape.kind.clone(), nulls))
                });
                lift(&sides, |sides| compare(&sides[0], *sign, &sides[1]))
            }
            Node::In(item, list) => self.write_contains(item, list),
            Node::And(items) => self.logical(items, true),
            Node::Or(items) => self.logical(items, false),
            Node::Not(inner) => lift(&[self.piece(inner)], |inner| {
                let text = format!("!{}", inner[0].at(Strength::Tight));
                Piece { strength: Strength::Unary, ..Piece::tight(text, ValueLayout::plain(Kind::Bool)) }
            }),
            Node::Negate(inner) => lift(&[self.piece(inner)], |inner| write_negation(&inner[0])),
            Node::If(arms, otherwise) => self.choice(arms, otherwise),
            Node::Index(list, index) => self.index(list, index),
            Node::Call(Func::Coalesce, args) => self.coalesce(args),
            Node::Call(func, args) => self.call(*func, args),
            Node::Apply(index, args) => self.apply(*index, args),
            Node::ExternalFunction(code, args) => {
                let args: Vec<Piece> = args.iter().map(|arg| self.piece(arg)).collect();
                lift(&args, |args| {
                    let passed: Vec<String> = args.iter().map(|arg| arg.owned_fit(&arg.shape).text).collect();
                    let source = code.0.source().expect("the engine objects to others");
                    Piece::tight(format!("{source}({})", passed.join(", ")), ValueLayout::of_values([], &expr.ty))
                })
            }
            Node::Widen(inner) => {
                let inner = self.piece(inner);
                inner.fit(&inner.shape.widened(&expr.ty))
            }
        }
    }

    fn list(&self, items: &[Expr]) -> Piece {
        let pieces: Vec<Piece> = items.iter().map(|item| self.piece(item)).collect();
        let of = pieces.iter().fold(ValueLayout::plain(Kind::Open), |of, piece| of.meet(&piece.shape));
        let texts: Vec<String> = pieces.iter().map(|piece| piece.owned_fit(&of).text).collect();
        Piece::tight(format!("vec![{}]", texts.join(", ")), ValueLayout::plain(Kind::List(Box::new(of))))
    }

    fn chain(&self, first: &Expr, links: &[Link], ty: &Type) -> Piece {
        let mut left = self.piece(first);
        if !ty.is_number() {
            return self.glue(left, links);
        }
        for link in links {
            let right = self.piece(&link.operand);
            left = lift(&[left, right], |sides| operate(&sides[0], link.operator, &sides[1]));
        }
        left
    }

    /// Texts or lists, one behind the other.
    fn glue(&self, first: Piece, links: &[Link]) -> Piece {
        let rest = links.iter().map(|link| self.piece(&link.operand));
        let parts: Vec<Piece> = std::iter::once(first).chain(rest).collect();
        let met = parts.iter().fold(ValueLayout::plain(Kind::Open), |met, part| met.meet(&part.shape));
        let fitted = |part: &Piece| part.fit(&ValueLayout::new(met.kind.clone(), part.shape.nulls));
        let parts: Vec<Piece> = parts.iter().map(fitted).collect();
        lift(&parts, |parts| {
            let texts: Vec<String> = parts.iter().map(Piece::view).collect();
            Piece::tight(format!("[{}].concat()", texts.join(", ")), met.never_null())
        })
    }

    fn write_contains(&self, item: &Expr, list: &Expr) -> Piece {
        let item = self.piece(item);
        if let (Node::Const(Value::List(items)), Type::List(of)) = (&list.node, &list.ty) {
            let known = matches!(**of, Type::Int | Type::Bool | Type::Text);
            let has_nulls = items.iter().any(Value::is_null);
            // `contains` compares with `==`, which is wrong for NaN and for nulls; such lists go the general way.
            if known && !has_nulls && !items.is_empty() && item.shape.kind != Kind::Open {
                let items: Vec<String> = items.iter().map(|item| constant(item, of).text).collect();
                return lift(&[item], |item| {
                    let text = format!("[{}].contains(&{})", items.join(", "), item[0].view());
                    Piece::tight(text, ValueLayout::plain(Kind::Bool))
                });
            }
        }
        let list = self.piece(list);
        lift(&[item, list], |both| calls::contains(&both[1], &both[0], true))
    }

    /// `and` or `or`: what stands after a decisive value is not asked.
    fn logical(&self, items: &[Expr], is_and: bool) -> Piece {
        let (sign, strength) = if is_and { ("&&", Strength::And) } else { ("||", Strength::Or) };
        let pieces = items.iter().map(|item| self.piece(item));
        let joined = |left: Piece, right: Piece| match (left.shape.nulls, right.shape.nulls) {
            (false, false) => {
                let text = format!("{} {sign} {}", left.at(strength), right.at(Strength::Comparison));
                Piece { strength, ..Piece::tight(text, ValueLayout::plain(Kind::Bool)) }
            }
            (false, true) => {
                let (then, otherwise) =
                    if is_and { (&*right.text, "Some(false)") } else { ("Some(true)", &*right.text) };
                Piece::loose(format!("if {} {{ {then} }} else {{ {otherwise} }}", left.text), right.shape)
            }
            (true, _) => {
                let word = if is_and { "and" } else { "or" };
                let right = right.fit(&left.shape);
                let decided = format!("Some({})", !is_and);
                let text =
                    format!("match {} {{ {decided} => {decided}, left => {word}(left, {}) }}", left.text, right.text);
                Piece::loose(text, left.shape)
            }
        };
        pieces.reduce(joined).expect("`and` has two sides")
    }

    fn choice(&self, arms: &[(Expr, Expr)], otherwise: &Expr) -> Piece {
        let results = arms.iter().map(|(_, then)| then).chain([otherwise]).map(|result| self.piece(result)).collect();
        let (results, shape, hold) = together(results);
        let mut text = String::new();
        for ((test, _), result) in arms.iter().zip(&results) {
            let test = self.piece(test).condition();
            text.push_str(&format!("if {} {{ {} }} else ", test.text, result.text));
        }
        let last = results.last().expect("there is an `else`");
        text.push_str(&format!("{{ {} }}", last.text));
        Piece::loose(text, shape).holding(hold)
    }

    fn index(&self, list: &Expr, index: &Expr) -> Piece {
        if let (Node::Call(func @ (Func::Split | Func::Words), args), Node::Const(Value::Int(place @ 0..))) =
            (&list.node, &index.node)
        {
            let args: Vec<Piece> = args.iter().map(|arg| self.piece(arg)).collect();
            return lift(&args, |args| {
                let parts = calls::parts(*func, args);
                let text = format!("{}.nth({place})", parts.text);
                let shape = ValueLayout::new(Kind::Text, true);
                match args.iter().map(|arg| arg.hold).min() {
                    Some(Hold::Own) => Piece::tight(format!("{text}.map(str::to_string)"), shape),
                    hold => Piece::tight(text, shape).holding(hold.unwrap_or(Hold::Own)),
                }
            });
        }
        lift(&[self.piece(list), self.piece(index)], |both| {
            let (list, item) = (&both[0], both[0].shape.item());
            let found = format!("element({}, {})", list.argument(), both[1].text);
            let own = list.hold == Hold::Own || item.is_copy();
            let text = match (own, item.nulls, &item.kind) {
                (true, false, _) => format!("{found}.cloned()"),
                (true, true, _) => format!("{found}.cloned().flatten()"),
                (false, true, _) => format!("{found}.and_then(Option::as_deref)"),
                (false, false, Kind::List(_)) => format!("{found}.map(Vec::as_slice)"),
                (false, false, _) => format!("{found}.map(String::as_str)"),
            };
            Piece::tight(text, item.or_null()).holding(if own { Hold::Own } else { list.hold })
        })
    }

    /// The first that is not null; the later ones are not computed.
    fn coalesce(&self, args: &[Expr]) -> Piece {
        let mut pieces: Vec<Piece> = args.iter().map(|arg| self.piece(arg)).collect();
        // A value that is never null is not an `Option` in Rust, and nothing behind it is asked.
        if let Some(last) = pieces.iter().position(|piece| !piece.shape.nulls) {
            pieces.truncate(last + 1);
        }
        let met = pieces.iter().fold(ValueLayout::plain(Kind::Open), |met, piece| met.meet(&piece.shape));
        let nulls = pieces.iter().all(|piece| piece.shape.nulls);
        let fitted = pieces.iter().map(|piece| piece.fit(&ValueLayout::new(met.kind.clone(), piece.shape.nulls)));
        let fitted: Vec<Piece> = fitted.collect();
        let hold = fitted.iter().map(|piece| piece.hold).min().unwrap_or(Hold::Own);
        let mut fitted: Vec<Piece> = if hold == Hold::Own { fitted.iter().map(Piece::owned).collect() } else { fitted };
        let mut rest = fitted.pop().expect("`coalesce` has an argument");
        while let Some(piece) = fitted.pop() {
            let found = if nulls { "Some(value)" } else { "value" };
            let text = format!("match {} {{ Some(value) => {found}, None => {} }}", piece.text, rest.text);
            rest = Piece::loose(text, ValueLayout::new(met.kind.clone(), nulls)).holding(hold);
        }
        Piece { shape: ValueLayout::new(met.kind, nulls), ..rest }
    }

    fn call(&self, func: Func, args: &[Expr]) -> Piece {
        if let (Func::LenList, Node::Call(inner @ (Func::Split | Func::Words | Func::Chars), args)) =
            (func, &args[0].node)
        {
            let args: Vec<Piece> = args.iter().map(|arg| self.piece(arg)).collect();
            return lift(&args, |args| {
                let text = format!("{}.count() as i64", calls::parts(*inner, args).text);
                Piece::loose(text, ValueLayout::plain(Kind::Int))
            });
        }
        if let (Func::Format, [Expr { node: Node::Const(Value::Text(pattern)), .. }, values @ ..]) = (func, args) {
            let values: Vec<Piece> = values.iter().map(|value| self.piece(value)).collect();
            return lift(&values, |values| calls::format_call(pattern, values));
        }
        let args: Vec<Piece> = args.iter().map(|arg| self.piece(arg)).collect();
        if func == Func::IsNull {
            let shape = ValueLayout::plain(Kind::Bool);
            return match args[0].shape.nulls {
                true => Piece::tight(format!("{}.is_none()", args[0].receiver()), shape),
                false => args[0].discarded("false".to_string(), &shape),
            };
        }
        lift(&args, |args| calls::call(func, args))
    }

    fn apply(&self, index: usize, args: &[Expr]) -> Piece {
        let args: Vec<Piece> = args.iter().map(|arg| self.piece(arg)).collect();
        let mut all = self.signatures.all.borrow_mut();
        let signature = &mut all[index];
        let mut texts = Vec::new();
        for (arg, parameter) in args.iter().zip(&mut signature.parameters) {
            // Written again from the start where this makes a parameter wider: see `functions::settled`.
            *parameter = parameter.meet(&arg.shape);
            texts.push(arg.fit(parameter).argument());
        }
        if self.signatures.deep {
            texts.push(self.depth.to_string());
        }
        Piece::tight(format!("{}({})?", signature.name, texts.join(", ")), signature.result.clone())
    }
}

fn seen_as(piece: &Piece, ty: &Type) -> Piece {
    Piece { shape: piece.shape.seen_as(ty), ..piece.clone() }
}

pub fn constant(value: &Value, ty: &Type) -> Piece {
    let shape = ValueLayout::of_value(value, ty);
    match (value, ty) {
        (Value::Null, _) => {
            Piece::tight(format!("None::<{}>", shape.never_null().borrowed()), shape).holding(Hold::Program)
        }
        (Value::Int(i), Type::Float) => float(*i as f64),
        (Value::Int(i64::MIN), _) => Piece::tight("i64::MIN", shape),
        // What no 32 bits hold needs its type wherever it stands.
        (Value::Int(i), _) if i32::try_from(*i).is_err() => signed(format!("{i}_i64"), shape),
        (Value::Int(i), _) => signed(i.to_string(), shape),
        (Value::Float(x), _) => float(*x),
        (Value::Bool(b), _) => Piece::tight(b.to_string(), shape),
        (Value::Text(text), _) => Piece::tight(format!("{text:?}"), shape).holding(Hold::Program),
        (Value::List(items), Type::List(of)) => {
            let item = shape.item();
            let items: Vec<String> = items.iter().map(|value| constant(value, of).owned_fit(&item).text).collect();
            if items.is_empty() {
                return Piece::tight(format!("Vec::<{}>::new()", item.owned()), shape);
            }
            Piece::tight(format!("vec![{}]", items.join(", ")), shape)
        }
        (Value::List(_), _) => unreachable!("a list has the type of a list"),
    }
}

fn float(x: f64) -> Piece {
    let shape = ValueLayout::plain(Kind::Float);
    match x {
        _ if x.is_nan() => Piece::tight("f64::NAN", shape),
        f64::INFINITY => Piece::tight("f64::INFINITY", shape),
        f64::NEG_INFINITY => Piece::tight("f64::NEG_INFINITY", shape),
        _ => signed(format!("{x:?}"), shape),
    }
}

fn signed(text: String, shape: ValueLayout) -> Piece {
    let strength = if text.starts_with('-') { Strength::Unary } else { Strength::Tight };
    Piece { strength, ..Piece::tight(text, shape) }
}

/// Pieces of one shape and one hold, which are those of the whole.
pub fn together(pieces: Vec<Piece>) -> (Vec<Piece>, ValueLayout, Hold) {
    let met = pieces.iter().fold(ValueLayout::plain(Kind::Open), |met, piece| met.meet(&piece.shape));
    let fitted: Vec<Piece> = pieces.iter().map(|piece| piece.fit(&met)).collect();
    let hold = fitted.iter().map(|piece| piece.hold).min().unwrap_or(Hold::Own);
    if hold == Hold::Own {
        return (pieces.iter().map(|piece| piece.owned_fit(&met)).collect(), met, hold);
    }
    (fitted, met, hold)
}

const PLACES: [&str; 4] = ["first", "second", "third", "fourth"];

/// What `build` makes of arguments that are not null; null where one of them is. All are computed, from left to right.
pub fn lift(args: &[Piece], build: impl FnOnce(&[Piece]) -> Piece) -> Piece {
    if args.iter().all(|arg| !arg.shape.nulls) {
        return build(args);
    }
    let places: &[&str] = match args.len() {
        1 => &["value"],
        2 => &["left", "right"],
        _ => &PLACES,
    };
    let (mut inner, mut asked, mut patterns): (Vec<Piece>, Vec<String>, Vec<String>) = Default::default();
    for (i, arg) in args.iter().enumerate() {
        if !arg.shape.nulls && arg.is_simple() {
            inner.push(arg.clone());
            continue;
        }
        let variable = arg.variable();
        let is_new = |name: &&str| !inner.iter().any(|other| other.text == **name);
        let numbered = format!("value_{}", i + 1);
        let name = match variable.filter(is_new) {
            Some(name) => name,
            None => places.get(i).copied().unwrap_or(&numbered),
        };
        patterns.push(if arg.shape.nulls { format!("Some({name})") } else { name.to_string() });
        asked.push(arg.text.clone());
        inner.push(Piece { hold: arg.hold, ..Piece::tight(name, arg.shape.never_null()) });
    }
    let result = build(&inner);
    let given = if result.shape.nulls { result.text.clone() } else { format!("Some({})", result.text) };
    let shape = result.shape.or_null();
    if let ([asked], [name]) = (&asked[..], &patterns[..]) {
        let nullable = args.iter().find(|arg| arg.shape.nulls).expect("one is null");
        let name = name.trim_start_matches("Some(").trim_end_matches(')');
        if result.text == name {
            return Piece { shape, ..nullable.clone() };
        }
        if !result.text.contains('?') {
            let method = if result.shape.nulls { "and_then" } else { "map" };
            let text = format!("{}.{method}(|{name}| {})", nullable.receiver(), result.text);
            return Piece::tight(text, shape).holding(result.hold);
        }
        return Piece::loose(format!("match {asked} {{ Some({name}) => {given}, None => None }}"), shape)
            .holding(result.hold);
    }
    let text = format!("match ({}) {{ ({}) => {given}, _ => None }}", asked.join(", "), patterns.join(", "));
    Piece::loose(text, shape).holding(result.hold)
}

fn write_negation(inner: &Piece) -> Piece {
    match inner.shape.kind {
        Kind::Float => {
            let text = format!("-{}", inner.at(Strength::Tight));
            Piece { strength: Strength::Unary, ..Piece::tight(text, inner.shape.clone()) }
        }
        _ => Piece::tight(format!("negate({})?", inner.text), inner.shape.clone()),
    }
}

fn operate(left: &Piece, operator: Operator, right: &Piece) -> Piece {
    let is_float = left.shape.kind == Kind::Float || right.shape.kind == Kind::Float || operator == Operator::Divide;
    let shape = ValueLayout::plain(if is_float { Kind::Float } else { Kind::Int });
    let called =
        |name: &str, mark: &str| Piece::tight(format!("{name}({}, {}){mark}", left.text, right.text), shape.clone());
    let signed = |sign: &str, strength: Strength, above: Strength| {
        let text = format!("{} {sign} {}", left.at(strength), right.at(above));
        Piece { strength, ..Piece::tight(text, shape.clone()) }
    };
    match (operator, is_float) {
        (Operator::Add, false) => called("add", "?"),
        (Operator::Subtract, false) => called("subtract", "?"),
        (Operator::Multiply, false) => called("multiply", "?"),
        (Operator::FloorDivide, false) => called("floor_divide", "?"),
        (Operator::Remainder, false) => called("remainder", "?"),
        (Operator::Add, true) => signed("+", Strength::Sum, Strength::Product),
        (Operator::Subtract, true) => signed("-", Strength::Sum, Strength::Product),
        (Operator::Multiply, true) => signed("*", Strength::Product, Strength::Unary),
        (Operator::Divide, _) => signed("/", Strength::Product, Strength::Unary),
        (Operator::FloorDivide, true) => called("floor_divide_floats", ""),
        (Operator::Remainder, true) => called("remainder_floats", ""),
    }
}

/// Both sides have one kind and are not null.
fn compare(left: &Piece, sign: Comparison, right: &Piece) -> Piece {
    let shape = ValueLayout::plain(Kind::Bool);
    let (a, b) = (left.argument(), right.argument());
    match left.shape.kind {
        Kind::Int | Kind::Bool => {
            let text = format!("{} {} {}", left.at(Strength::Sum), sign.sign(), right.at(Strength::Sum));
            Piece { strength: Strength::Comparison, ..Piece::tight(text, shape) }
        }
        Kind::Text | Kind::Open => {
            let text = format!("{} {} {}", left.view(), sign.sign(), right.view());
            Piece { strength: Strength::Comparison, ..Piece::tight(text, shape) }
        }
        Kind::Float => {
            let name = match sign {
                Comparison::Equal => "is_equal",
                Comparison::NotEqual => "is_unequal",
                Comparison::Less => "is_less",
                Comparison::LessEqual => "is_at_most",
                Comparison::Greater => "is_greater",
                Comparison::GreaterEqual => "is_at_least",
            };
            Piece::tight(format!("{name}({a}, {b})"), shape)
        }
        Kind::List(_) => {
            let method = match sign {
                Comparison::Equal => "is_eq",
                Comparison::NotEqual => "is_ne",
                Comparison::Less => "is_lt",
                Comparison::LessEqual => "is_le",
                Comparison::Greater => "is_gt",
                Comparison::GreaterEqual => "is_ge",
            };
            Piece::tight(format!("compare({}, {}).{method}()", left.view(), right.view()), shape)
        }
    }
}
