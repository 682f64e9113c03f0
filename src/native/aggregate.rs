//! Aggregates: what each gathers, and what it makes of that at the end.

use crate::plan::{Agg, AggFunc};

use super::code::{Hold, Piece};
use super::exprs::{Scope, constant};
use super::keys;
use super::segment::Segment;
use super::shape::{Kind, ValueLayout};

/// One aggregate in Rust. In `lines` and `result` stands [`PLACE`] where it is read or written, [`RECEIVER`] where a
/// method is called on it.
pub struct Slot {
    /// Its type, which has a default, and the default as it is written.
    pub ty: String,
    pub start: String,
    pub lines: Vec<String>,
    pub result: Piece,
}

pub const PLACE: &str = "\u{1}";
pub const RECEIVER: &str = "\u{2}";

/// Puts a variable into a line: `place` is its value, `name` its name.
pub fn filled(line: &str, place: &str, name: &str) -> String {
    line.replace("&mut \u{1}", &if place.starts_with('*') { name.to_string() } else { format!("&mut {place}") })
        .replace(PLACE, place)
        .replace(RECEIVER, name)
}

/// Writes an aggregate. `arg` is its argument's value.
pub fn slot(agg: &Agg, arg: Option<&Piece>, segment: &Segment, scope: &Scope) -> Slot {
    let Some(arg) = arg else { return counting(vec!["\u{1} += 1;".to_string()]) };
    let place = || PLACE.to_string();
    let of = arg.shape.never_null();
    match &agg.func {
        AggFunc::Rows => counting(vec!["\u{1} += 1;".to_string()]),
        AggFunc::Count => counting(match (arg.shape.nulls, arg.is_simple()) {
            (true, _) => vec![format!("\u{1} += i64::from({}.is_some());", arg.receiver())],
            (false, true) => vec!["\u{1} += 1;".to_string()],
            (false, false) => vec![format!("let _ = {};", arg.text), "\u{1} += 1;".to_string()],
        }),
        AggFunc::Sum if of.kind == Kind::Float => {
            let lines = each(arg, |x| format!("\u{2}.add({});", x.text));
            let result = Piece::tight("\u{2}.total()", of);
            Slot { ty: "FloatSum".to_string(), start: "FloatSum::default()".to_string(), lines, result }
        }
        AggFunc::Sum => {
            let lines = match of.kind {
                Kind::Int => each(arg, |x| format!("\u{1} += i128::from({});", x.text)),
                _ => vec![format!("let _ = {};", arg.text)],
            };
            let result = Piece::tight("whole(\u{1})?", ValueLayout::plain(Kind::Int));
            Slot { ty: "i128".to_string(), start: "0".to_string(), lines, result }
        }
        AggFunc::Mean => {
            let ty = if of.kind == Kind::Float { "FloatSum" } else { "IntMean" };
            let lines = match of.kind {
                Kind::Int | Kind::Float => each(arg, |x| format!("\u{2}.add({});", x.text)),
                _ => vec![format!("let _ = {};", arg.text)],
            };
            let result = Piece::tight("\u{2}.mean()", ValueLayout::new(Kind::Float, true));
            Slot { ty: ty.to_string(), start: format!("{ty}::default()"), lines, result }
        }
        AggFunc::Min => extreme("keep_least", arg),
        AggFunc::Max => extreme("keep_largest", arg),
        AggFunc::Median => of_numbers(arg, "quantile(\u{1}, 0.5)"),
        AggFunc::Quantile(q) => of_numbers(arg, &format!("quantile(\u{1}, {q:?})")),
        AggFunc::NumbersToFloat(of) => of_numbers(arg, &format!("{}(\u{1})", of.function)),
        AggFunc::Std => {
            let lines = match of.kind {
                Kind::Int => each(arg, |x| format!("\u{2}.add_int({});", x.text)),
                Kind::Float => each(arg, |x| format!("\u{2}.add({});", x.text)),
                _ => vec![format!("let _ = {};", arg.text)],
            };
            let result = Piece::tight("\u{2}.deviation()", ValueLayout::new(Kind::Float, true));
            Slot { ty: "Spread".to_string(), start: "Spread::default()".to_string(), lines, result }
        }
        AggFunc::First => {
            let set = |text: &str| format!("\u{2}.get_or_insert_with(|| {text});");
            let lines = match arg.is_simple() {
                true => vec![set(&arg.owned().text)],
                false => vec![format!("let value = {};", arg.owned().text), set("value")],
            };
            let flat = if arg.shape.nulls { "\u{2}.flatten()" } else { PLACE };
            optional(arg.shape.owned(), lines, Piece::tight(flat, arg.shape.or_null()))
        }
        AggFunc::Last => {
            let value = arg.owned_fit(&arg.shape.or_null());
            Slot {
                ty: arg.shape.or_null().owned(),
                start: "None".to_string(),
                lines: vec![format!("\u{1} = {};", value.text)],
                result: Piece::tight(place(), arg.shape.or_null()),
            }
        }
        AggFunc::Distinct => {
            let key = |x: &Piece| {
                // What a group holds is its own.
                let x = if x.hold.lasts() { x.clone().holding(Hold::Row) } else { x.clone() };
                keys::keys(segment, &[x], std::slice::from_ref(arg), true)
            };
            let lines = each(arg, |x| match key(x) {
                keys::Keys { borrowed: Some(text), .. } => format!("is_new(&mut \u{1}, {text});"),
                key => format!("\u{2}.insert({});", key.text),
            });
            let plain = Piece { shape: of, ..arg.clone() };
            let result = Piece::tight("(\u{2}.len() as i64)", ValueLayout::plain(Kind::Int));
            Slot { ty: format!("Set<{}>", key(&plain).ty), start: "Set::default()".to_string(), lines, result }
        }
        AggFunc::Collect => {
            let lines = vec![format!("\u{2}.push({});", arg.owned().text)];
            let result = Piece::tight(place(), ValueLayout::plain(Kind::List(Box::new(arg.shape.clone()))));
            Slot { ty: format!("Vec<{}>", arg.shape.owned()), start: "Vec::new()".to_string(), lines, result }
        }
        AggFunc::Reduce(step) => {
            let value = Piece { owner: None, ..Piece::owning("value", of.clone(), 0) };
            let (shape, next) = settled(of.clone(), |acc| {
                let acc = Piece { owner: None, ..Piece::owning("acc", acc.clone(), 0) };
                let scope = Scope {
                    columns: vec![value.clone()],
                    parameters: Vec::new(),
                    acc: Some(acc),
                    signatures: scope.signatures,
                    depth: scope.depth,
                };
                scope.piece(step)
            });
            let start = Piece::tight("value", of.clone()).owned_fit(&shape);
            let update = |x: &Piece| {
                let (first, next) = (&start.text, &next.text);
                vec![
                    format!("let value = {};", x.owned().text),
                    format!("\u{1} = Some(match \u{2}.take() {{ None => {first}, Some(acc) => {next} }});"),
                ]
            };
            let lines = match arg.shape.nulls {
                true => {
                    let inner = Piece::tight("value", of.clone());
                    let lines = update(&inner);
                    vec![format!("if let Some(value) = {} {{ {} }}", arg.owned().text, lines[1])]
                }
                false => update(arg),
            };
            let flat = if shape.nulls { "\u{2}.flatten()" } else { PLACE };
            optional(shape.owned(), lines, Piece::tight(flat, shape.or_null()))
        }
        AggFunc::JoinText(between) => {
            let between = constant(&crate::data::Value::text(between), &crate::data::Type::Text).text;
            let lines = each(arg, |x| format!("\u{2}.add({}, {between});", x.argument()));
            let result = Piece::tight("\u{2}.text", ValueLayout::plain(Kind::Text));
            Slot { ty: "Glued".to_string(), start: "Glued::default()".to_string(), lines, result }
        }
    }
}

/// The least shape of `acc` from `start` on that holds what a step makes of it, and that step.
pub fn settled(start: ValueLayout, step: impl Fn(&ValueLayout) -> Piece) -> (ValueLayout, Piece) {
    let mut shape = start;
    loop {
        let next = step(&shape);
        let met = shape.meet(&next.shape);
        if met == shape {
            let next = next.owned_fit(&shape);
            return (shape, next);
        }
        shape = met;
    }
}

fn float() -> ValueLayout {
    ValueLayout::plain(Kind::Float)
}

fn counting(lines: Vec<String>) -> Slot {
    let result = Piece::tight(PLACE, ValueLayout::plain(Kind::Int));
    Slot { ty: "i64".to_string(), start: "0".to_string(), lines, result }
}

fn optional(of: String, lines: Vec<String>, result: Piece) -> Slot {
    Slot { ty: format!("Option<{of}>"), start: "None".to_string(), lines, result }
}

/// The line for a value that is not null.
fn each(arg: &Piece, line: impl Fn(&Piece) -> String) -> Vec<String> {
    if !arg.shape.nulls {
        return vec![line(arg)];
    }
    let name = arg.variable().unwrap_or("value");
    let value = Piece { hold: arg.hold, ..Piece::tight(name, arg.shape.never_null()) };
    vec![format!("if let Some({name}) = {} {{ {} }}", arg.text, line(&value))]
}

fn extreme(function: &str, arg: &Piece) -> Slot {
    let of = arg.shape.never_null();
    let lines = each(arg, |x| match of.kind {
        Kind::Text | Kind::Open => format!("{function}_text(&mut \u{1}, {});", x.argument()),
        _ => format!("{function}(&mut \u{1}, {});", x.owned().text),
    });
    optional(of.owned(), lines, Piece::tight(PLACE, of.or_null()))
}

/// All numbers in a vector, and what becomes of them.
fn of_numbers(arg: &Piece, result: &str) -> Slot {
    let lines = match arg.shape.kind {
        Kind::Int | Kind::Float => each(arg, |x| format!("\u{2}.push({});", x.fit(&float()).text)),
        _ => vec![format!("let _ = {};", arg.text)],
    };
    let result = Piece::tight(result, ValueLayout::new(Kind::Float, true));
    Slot { ty: "Vec<f64>".to_string(), start: "Vec::new()".to_string(), lines, result }
}
