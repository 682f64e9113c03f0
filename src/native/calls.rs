//! The scalar functions as calls of the prelude and of std.

use crate::functions::{self, Func, Shown};

use super::code::{Hold, Piece, Strength};
use super::shape::{Kind, ValueLayout};

/// A call with arguments that are not null.
pub fn call(func: Func, args: &[Piece]) -> Piece {
    let arg = |i: usize| args[i].argument();
    let view = |i: usize| args[i].view();
    let on = |i: usize| args[i].receiver();
    let int = |text: String| Piece::tight(text, ValueLayout::plain(Kind::Int));
    let float = |text: String| Piece::tight(text, ValueLayout::plain(Kind::Float));
    let bool = |text: String| Piece::tight(text, ValueLayout::plain(Kind::Bool));
    let text = |text: String| Piece::tight(text, ValueLayout::plain(Kind::Text));
    let method = |name: &str| float(format!("f64::{name}({})", arg(0)));
    let texts = || {
        Piece::tight(
            format!("{}.map(str::to_string).collect::<Vec<_>>()", parts(func, args).text),
            ValueLayout::list(Kind::Text),
        )
    };
    match func {
        Func::Lower => text(format!("lower({})", arg(0))),
        Func::Upper => text(format!("upper({})", arg(0))),
        Func::Trim => part_of(&args[0], format!("{}.trim()", on(0)), "to_string"),
        Func::LenText => int(format!("length({})", arg(0))),
        Func::LenList => Piece::loose(format!("{}.len() as i64", on(0)), ValueLayout::plain(Kind::Int)),
        Func::Split | Func::Words | Func::Chars => texts(),
        Func::ContainsText => bool(format!("{}.contains({})", on(0), view(1))),
        Func::ContainsList => contains(&args[0], &args[1], false),
        Func::StartsWith => bool(format!("{}.starts_with({})", on(0), view(1))),
        Func::EndsWith => bool(format!("{}.ends_with({})", on(0), view(1))),
        Func::Replace => text(format!("{}.replace({}, {})", on(0), view(1), arg(2))),
        Func::Matches => unreachable!("the engine objects to `matches`"),
        Func::SliceText => part_of(&args[0], format!("slice({}, {}, {})", arg(0), arg(1), arg(2)), "to_string"),
        Func::SliceList => part_of(&args[0], format!("slice_list({}, {}, {})", arg(0), arg(1), arg(2)), "to_vec"),
        Func::ReverseText => text(format!("reverse({})", arg(0))),
        Func::ReverseList => Piece::tight(format!("reversed({})", arg(0)), args[0].shape.clone()),
        Func::SortedText => text(format!("sorted({})", arg(0))),
        Func::SortedList => Piece::tight(format!("sorted_list({})", arg(0)), args[0].shape.clone()),
        Func::JoinList => text(format!("join({}, {})", present(&args[0]), arg(1))),
        Func::SumInts => int(format!("sum_ints({})?", present(&args[0]))),
        Func::SumFloats => float(format!("sum_floats({}.copied())", present(&args[0]))),
        Func::MinList => Piece::tight(format!("least_of({})", present(&args[0])), args[0].shape.item().or_null()),
        Func::MaxList => Piece::tight(format!("largest_of({})", present(&args[0])), args[0].shape.item().or_null()),
        Func::Range => {
            Piece::tight(format!("range({}, {})?.collect::<Vec<_>>()", arg(0), arg(1)), ValueLayout::list(Kind::Int))
        }
        Func::AbsInt => int(format!("absolute({})?", arg(0))),
        Func::PowInt => int(format!("power({}, {})?", arg(0), arg(1))),
        Func::PowFloat => float(format!("f64::powf({}, {})", arg(0), arg(1))),
        Func::AbsFloat => method("abs"),
        Func::Round => float(format!("round({})", arg(0))),
        Func::RoundInt => int(format!("round_int_to({}, {})?", arg(0), arg(1))),
        Func::RoundFloat => float(format!("round_to({}, {})", arg(0), arg(1))),
        Func::Sqrt => method("sqrt"),
        Func::FloatToFloat(function) => method(function.method),
        Func::Same => args[0].clone(),
        Func::IntFromFloat => int(format!("int_from_float({})?", arg(0))),
        Func::IntFromText => int(format!("int_from_text({})?", arg(0))),
        Func::IntFromBool => int(format!("i64::from({})", arg(0))),
        Func::FloatFromInt => args[0].fit(&ValueLayout::plain(Kind::Float)),
        Func::FloatFromText => float(format!("float_from_text({})?", arg(0))),
        Func::TextFrom => text(write_text(&args[0], true)),
        Func::BoolFromInt => {
            let text = format!("{} != 0", args[0].at(Strength::Sum));
            Piece { strength: Strength::Comparison, ..bool(text) }
        }
        Func::BoolFromText => bool(format!("bool_from_text({})?", arg(0))),
        Func::Get => {
            let value = ValueLayout::plain(Kind::Int).or_null();
            Piece::tight(format!("get_value({}, {})?", view(0), arg(1)), value)
        }
        Func::IsNull | Func::Coalesce => unreachable!("they take nulls and are written apart"),
        Func::Format => unreachable!("its pattern is needed, and it is written apart"),
    }
}

/// The iterator over the parts of a text.
pub fn parts(func: Func, args: &[Piece]) -> Piece {
    let text = match func {
        Func::Split => format!("split({}, {})?", args[0].argument(), args[1].argument()),
        Func::Words => format!("words({})", args[0].argument()),
        Func::Chars => format!("chars({})", args[0].argument()),
        _ => unreachable!("only these make parts of a text"),
    };
    Piece::tight(text, ValueLayout::list(Kind::Text))
}

/// A borrowed part of `whole`, or, where that is gone after the expression, a copy of it.
fn part_of(whole: &Piece, text: String, copy: &str) -> Piece {
    let shape = whole.shape.clone();
    match whole.hold {
        Hold::Own => Piece::tight(format!("{text}.{copy}()"), shape),
        hold => Piece::tight(text, shape).holding(hold),
    }
}

/// Whether a list has an item, which is computed before the list where `item_first`.
pub fn contains(list: &Piece, item: &Piece, item_first: bool) -> Piece {
    if matches!(item.shape.kind, Kind::List(_)) {
        let both = list.shape.item().never_null().meet(&item.shape);
        if both.owned() != item.shape.owned() {
            return contains(list, &item.owned_fit(&both), item_first);
        }
    }
    if !item.is_simple() {
        let named = |name: &str, piece: &Piece| Piece { hold: piece.hold, ..Piece::tight(name, piece.shape.clone()) };
        let found = contains(&named("list", list), &named("item", item), item_first);
        let parts = match item_first {
            true => format!("(item, list) = ({}, {})", item.text, list.text),
            false => format!("(list, item) = ({}, {})", list.text, item.text),
        };
        return Piece::loose(format!("{{ let {parts}; {} }}", found.text), found.shape);
    }
    let flat = if list.shape.item().nulls { ".flatten()" } else { "" };
    let is_same = match item.shape.kind {
        Kind::Int | Kind::Bool => format!("*each == {}", item.at(Strength::Sum)),
        Kind::Float => format!("is_equal(*each, {})", item.text),
        Kind::Text | Kind::Open => format!("each == {}", item.view()),
        Kind::List(_) => {
            let each = Piece::tight("each.clone()", list.shape.item().never_null());
            let each = if each.shape.owned() == item.shape.owned() {
                "each.as_slice()".to_string()
            } else {
                each.owned_fit(&item.shape).view()
            };
            format!("compare({each}, {}).is_eq()", item.view())
        }
    };
    let text = format!("{}.iter(){flat}.any(|each| {is_same})", list.receiver());
    let text = match list.shape.item().kind {
        Kind::Open if item.shape.kind != Kind::Open => list.discarded("false".to_string(), &list.shape).text,
        _ => text,
    };
    Piece::tight(text, ValueLayout::plain(Kind::Bool))
}

/// The items of a list that are not null, borrowed.
fn present(list: &Piece) -> String {
    let flat = if list.shape.item().nulls { ".flatten()" } else { "" };
    format!("{}.iter(){flat}", list.receiver())
}

/// A value as text: in an expression, or as what `format!` shows.
fn write_text(value: &Piece, alone: bool) -> String {
    match value.shape.kind {
        Kind::Float => format!("float_text({})", value.text),
        Kind::List(_) => format!("shown({})", value.argument()),
        Kind::Int if alone && !value.is_simple() => format!("i64::to_string(&{})", value.at(Strength::Tight)),
        Kind::Int if value.strength == Strength::Loose => format!("i64::from({})", value.text),
        Kind::Int | Kind::Bool | Kind::Text | Kind::Open if alone => format!("{}.to_string()", value.receiver()),
        Kind::Int | Kind::Bool | Kind::Text | Kind::Open => value.text.clone(),
    }
}

/// `format` of values that are not null.
pub fn format_call(pattern: &str, values: &[Piece]) -> Piece {
    let escaped = |text: &str| text.replace('{', "{{").replace('}', "}}");
    let (mut rest, mut text, mut shown) = (pattern, String::new(), Vec::new());
    for value in values {
        let (before, how, after) = functions::next_place(rest).expect("binding counted the places");
        text.push_str(&escaped(before));
        text.push_str("{}");
        shown.push(match (how, &value.shape.kind) {
            (Shown::Places(places), Kind::Int) => format!("fixed_int({}, {places})", value.argument()),
            (Shown::Places(places), Kind::Float) => format!("fixed_float({}, {places})", value.argument()),
            (_, _) => write_text(value, false),
        });
        rest = after;
    }
    text.push_str(&escaped(rest));
    let comma = if shown.is_empty() { "" } else { ", " };
    Piece::tight(format!("format!({text:?}{comma}{})", shown.join(", ")), ValueLayout::plain(Kind::Text))
}
