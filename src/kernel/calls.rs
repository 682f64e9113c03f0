//! Functions over columns: those of texts make new bytes or places in the old ones.

use std::fmt::Write;
use std::sync::Arc;

use polars_arrow::array::View;

use crate::data::scalar::{self, ScalarError};
use crate::data::{Type, Value, compare_floats};
use crate::diagnostic::Span;
use crate::functions::{self, Func, Shown};
use crate::rowwise::{RowError, wrong};

use super::arithmetic::{self, each_pair};
use super::column::{Column, Data, Ints};
use super::loops;
use super::scope::{Out, Scope};
use super::slots::{Nulls, Slots};
use super::texts::{GeneratedTexts, Texts, from_bits};

/// Whether [`call`] knows the function.
pub fn has_loop(func: Func) -> bool {
    match func {
        Func::Lower
        | Func::Upper
        | Func::Trim
        | Func::LenText
        | Func::ContainsText
        | Func::StartsWith
        | Func::EndsWith
        | Func::Replace
        | Func::Matches
        | Func::SliceText
        | Func::ReverseText
        | Func::SortedText
        | Func::AbsInt
        | Func::AbsFloat
        | Func::Round
        | Func::RoundInt
        | Func::RoundFloat
        | Func::FloatToFloat(_)
        | Func::Sqrt
        | Func::PowInt
        | Func::PowFloat
        | Func::IntFromFloat
        | Func::IntFromText
        | Func::IntFromBool
        | Func::FloatFromInt
        | Func::FloatFromText
        | Func::BoolFromInt
        | Func::BoolFromText
        | Func::TextFrom
        | Func::Format
        | Func::Same
        | Func::IsNull
        | Func::Coalesce => true,
        Func::LenList
        | Func::Split
        | Func::Words
        | Func::Chars
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
        | Func::Get => false,
    }
}

/// The arguments of a call, and for which of their rows it is to be made.
struct Call<'a> {
    func: Func,
    args: &'a [Column],
    nulls: &'a Nulls,
    scope: Scope<'a>,
    span: Span,
    /// One where every argument is the same in all rows.
    rows: usize,
}

/// The value of `func`, which is of type `ty`, null where an argument is.
pub fn call(func: Func, args: &[Column], ty: &Type, scope: Scope, span: Span) -> Out {
    let nulls = args.iter().fold(Nulls::None, |nulls, arg| nulls.or(&arg.nulls));
    if matches!(nulls, Nulls::All) {
        return Ok(Column::constant(&Value::Null, ty));
    }
    let constant = args.iter().all(|arg| match &arg.data {
        Data::Int(ints) => matches!(ints.slots, Slots::One(_)),
        Data::Float(slots) => matches!(slots, Slots::One(_)),
        Data::Bool(slots) => matches!(slots, Slots::One(_)),
        Data::Text(texts) => matches!(texts.views(), Slots::One(_)),
        Data::List(_) => false,
    });
    let rows = if constant && matches!(nulls, Nulls::None) { 1 } else { scope.rows() };
    let call = Call { func, args, nulls: &nulls, scope, span, rows };
    let data = match func {
        Func::Lower | Func::Upper | Func::Trim | Func::Replace | Func::ReverseText | Func::SortedText => call.texts(),
        Func::SliceText => call.slices(),
        Func::LenText => Data::Int(call.lengths()),
        Func::ContainsText => call.contains(),
        Func::StartsWith => call.pairs(|text, start| text.starts_with(start)),
        Func::EndsWith => call.pairs(|text, end| text.ends_with(end)),
        Func::AbsInt => return arithmetic::absolute(&args[0], scope, span),
        Func::PowInt => {
            let (base, exponent) = (call.ints(0), call.ints(1));
            call.make_values(|row| scalar::power(*base.at(row), *exponent.at(row)), ints)?
        }
        Func::RoundInt => {
            let (number, digits) = (call.ints(0), call.ints(1));
            call.make_values(|row| scalar::round_int_to(*number.at(row), *digits.at(row)), ints)?
        }
        Func::RoundFloat => Data::Float(each_pair(call.floats(0), call.ints(1), scalar::round_to)),
        Func::AbsFloat => Data::Float(loops::absolute_floats(call.floats(0))),
        Func::Sqrt => Data::Float(loops::sqrt(call.floats(0))),
        Func::PowFloat => Data::Float(each_pair(call.floats(0), call.floats(1), f64::powf)),
        Func::Round | Func::FloatToFloat(_) => {
            let f = functions::float_function(func);
            Data::Float(each_pair(call.floats(0), &Slots::One(()), |x, ()| f(x)))
        }
        Func::IntFromFloat => {
            let x = call.floats(0);
            call.make_values(|row| scalar::int_from_float(*x.at(row)), ints)?
        }
        Func::IntFromText => {
            let texts = call.text(0);
            call.make_values(|row| scalar::int_from_text(texts.at(row)), ints)?
        }
        Func::FloatFromText => {
            let texts = call.text(0);
            call.make_values(|row| scalar::float_from_text(texts.at(row)), |values| Data::Float(Slots::each(values)))?
        }
        Func::BoolFromText => {
            let texts = call.text(0);
            call.make_values(|row| scalar::bool_from_text(texts.at(row)), |values| Data::Bool(Slots::each(values)))?
        }
        Func::BoolFromInt => Data::Bool(loops::not(&loops::ints_equal(call.ints(0), &Slots::One(0)))),
        Func::IntFromBool => {
            let Data::Bool(slots) = &args[0].data else { unreachable!("the plan's types hold") };
            Data::Int(Ints { slots: each_pair(slots, &Slots::One(()), |b, ()| i64::from(b)), bounds: Some((0, 1)) })
        }
        Func::TextFrom => call.format_rows("{}", args),
        Func::Format => {
            let Data::Text(pattern) = &args[0].data else { unreachable!("the plan's types hold") };
            call.format_rows(pattern.at(0), &args[1..])
        }
        _ => unreachable!("`has_loop` leaves these out"),
    };
    // The one value of constants may stand for all rows.
    let data = if rows == 1 && scope.rows() != 1 { repeat(data) } else { data };
    Ok(Column { data, nulls })
}

fn ints(values: Vec<i64>) -> Data {
    Data::Int(Ints { slots: Slots::each(values), bounds: None })
}

fn repeat(data: Data) -> Data {
    fn one<T: Clone>(slots: Slots<T>) -> Slots<T> {
        Slots::One(slots.at(0).clone())
    }
    match data {
        Data::Int(ints) => Data::Int(Ints { slots: one(ints.slots), bounds: ints.bounds }),
        Data::Float(slots) => Data::Float(one(slots)),
        Data::Bool(slots) => Data::Bool(one(slots)),
        Data::Text(texts) => Data::Text(texts.repeated()),
        Data::List(slots) => Data::List(one(slots)),
    }
}

impl Call<'_> {
    fn text(&self, arg: usize) -> &Texts {
        if let Data::Text(texts) = &self.args[arg].data { texts } else { unreachable!("the plan's types hold") }
    }

    fn ints(&self, arg: usize) -> &Slots<i64> {
        if let Data::Int(ints) = &self.args[arg].data { &ints.slots } else { unreachable!("the plan's types hold") }
    }

    fn floats(&self, arg: usize) -> &Slots<f64> {
        if let Data::Float(slots) = &self.args[arg].data { slots } else { unreachable!("the plan's types hold") }
    }

    /// Whether the value of a row is asked for.
    fn counts(&self, row: usize) -> bool {
        (self.rows == 1 || self.scope.is_active(row)) && !self.nulls.at(row)
    }

    /// Values of a function that may have none.
    fn make_values<T: Clone + Default>(
        &self,
        value: impl Fn(usize) -> Result<T, ScalarError>,
        finish: impl Fn(Vec<T>) -> Data,
    ) -> Result<Data, Box<RowError>> {
        let mut values = vec![T::default(); self.rows];
        for (row, slot) in values.iter_mut().enumerate() {
            if self.counts(row) {
                *slot = value(row).map_err(|why| {
                    let said: Vec<String> = self.args.iter().map(|arg| arg.value(row).to_string()).collect();
                    wrong(why, self.span, || format!("{}({})", self.func.name(), said.join(", ")))
                })?;
            }
        }
        Ok(finish(values))
    }

    fn contains(&self) -> Data {
        match self.text(1).views() {
            Slots::One(_) => {
                let finder = memchr::memmem::Finder::new(self.text(1).at(0));
                self.pairs(|text, _| finder.find(text.as_bytes()).is_some())
            }
            Slots::Each(_) => self.pairs(|text, part| text.contains(part)),
        }
    }

    fn pairs(&self, holds: impl Fn(&str, &str) -> bool) -> Data {
        let (a, b) = (self.text(0), self.text(1));
        Data::Bool(Slots::each((0..self.rows).map(|row| self.counts(row) && holds(a.at(row), b.at(row))).collect()))
    }

    fn lengths(&self) -> Ints {
        let texts = self.text(0);
        let length = |row: usize| match texts.views().at(row) {
            // All but continuation bytes begin a character.
            view if view.is_inline() => {
                let bytes = view.as_u128() >> 32;
                let high = bytes >> 7 & REPEATED;
                let second = !bytes >> 6 & REPEATED;
                i64::from(view.length) - i64::from((high & second).count_ones())
            }
            _ => scalar::length(texts.at(row)),
        };
        Ints { slots: Slots::each((0..self.rows).map(length).collect()), bounds: Some((0, i64::from(u32::MAX))) }
    }

    fn texts(&self) -> Data {
        let texts = self.text(0);
        if self.func == Func::Trim {
            // SAFETY: a trimmed text is a text.
            return Data::Text(unsafe { texts.others(self.views(|row| texts.part(row, texts.at(row).trim()))) });
        }
        let mut made = GeneratedTexts::with_capacity(self.rows);
        for row in 0..self.rows {
            if !self.counts(row) {
                made.push("");
                continue;
            }
            let text = texts.at(row);
            match self.func {
                Func::Lower | Func::Upper => {
                    let view = texts.views().at(row);
                    match other_case(view, self.func == Func::Lower) {
                        Some(view) => made.push_short(view),
                        None if self.func == Func::Lower => made.push(&scalar::lower(text)),
                        None => made.push(&text.to_uppercase()),
                    }
                }
                Func::Replace => made.push(&text.replace(self.text(1).at(row), self.text(2).at(row))),
                Func::ReverseText => made.push(&scalar::reverse(text)),
                Func::SortedText => made.push(&scalar::sorted(text)),
                _ => unreachable!("these were taken before"),
            }
        }
        Data::Text(made.finish())
    }

    fn slices(&self) -> Data {
        let (texts, starts, counts) = (self.text(0), self.ints(1), self.ints(2));
        let sliced = |row: usize| texts.part(row, scalar::slice(texts.at(row), *starts.at(row), *counts.at(row)));
        // SAFETY: a slice of a text is a text.
        Data::Text(unsafe { texts.others(self.views(sliced)) })
    }

    fn views(&self, view: impl Fn(usize) -> View) -> Vec<View> {
        (0..self.rows).map(view).collect()
    }

    /// The arguments in the places of a pattern.
    fn format_rows(&self, pattern: &str, args: &[Column]) -> Data {
        let (mut places, mut rest) = (Vec::new(), pattern);
        while let Some((before, shown, after)) = functions::next_place(rest) {
            places.push((before, shown));
            rest = after;
        }
        let mut made = GeneratedTexts::with_capacity(self.rows);
        for row in 0..self.rows {
            made.write(|out| {
                if !self.counts(row) {
                    return;
                }
                for (arg, (before, shown)) in args.iter().zip(&places) {
                    out.push_str(before);
                    match (shown, &arg.data) {
                        (Shown::Places(places), Data::Int(ints)) => {
                            out.push_str(&scalar::fixed_int(*ints.slots.at(row), *places));
                        }
                        (Shown::Places(places), Data::Float(floats)) => {
                            out.push_str(&scalar::fixed_float(*floats.at(row), *places));
                        }
                        (_, _) => write_plain(arg, row, out),
                    }
                }
                out.push_str(rest);
            });
        }
        Data::Text(made.finish())
    }
}

/// A value as `text(x)` writes it.
fn write_plain(column: &Column, row: usize, out: &mut String) {
    let written = match &column.data {
        Data::Int(ints) => write!(out, "{}", ints.slots.at(row)),
        Data::Float(floats) => write!(out, "{}", scalar::float_text(*floats.at(row))),
        Data::Bool(bools) => write!(out, "{}", bools.at(row)),
        Data::Text(texts) => {
            out.push_str(texts.at(row));
            Ok(())
        }
        Data::List(values) => write!(out, "{}", values.at(row)),
    };
    written.expect("a string takes all that is written");
}

const REPEATED: u128 = 0x0101_0101_0101_0101_0101_0101_0101_0101;

/// A short ASCII text in lower or upper case, all its bytes at once; none for other texts.
#[inline(always)]
fn other_case(view: &View, lower: bool) -> Option<View> {
    let bits = view.as_u128();
    let bytes = bits >> 32;
    if !view.is_inline() || bytes & (REPEATED << 7) != 0 {
        return None;
    }
    let (first, last) = if lower { (b'A', b'Z') } else { (b'a', b'z') };
    // The high bit of each byte that is at least the first letter, and of each that is over the last: no sum goes into
    // the next byte.
    let at_least = bytes + REPEATED * u128::from(0x80 - first);
    let over = bytes + REPEATED * u128::from(0x7f - last);
    let letters = (at_least & !over & (REPEATED << 7)) >> 2;
    Some(from_bits(bits ^ letters << 32))
}

/// Texts one after the other, null where one is null.
pub fn glue(parts: &[Column], scope: Scope) -> Column {
    let nulls = parts.iter().fold(Nulls::None, |nulls, part| nulls.or(&part.nulls));
    let texts: Vec<&Texts> =
        parts.iter().filter_map(|part| if let Data::Text(texts) = &part.data { Some(texts) } else { None }).collect();
    if matches!(nulls, Nulls::All) || texts.len() != parts.len() {
        return Column { data: Data::Text(Texts::one("")), nulls: Nulls::All };
    }
    let mut made = GeneratedTexts::with_capacity(scope.rows());
    for row in 0..scope.rows() {
        made.write(|out| {
            if scope.is_active(row) && !nulls.at(row) {
                texts.iter().for_each(|texts| functions::append(out, texts.at(row)));
            }
        });
    }
    Column { data: Data::Text(made.finish()), nulls }
}

/// Where the mask holds, the one, else the other.
pub fn chosen(mask: &[bool], a: &Texts, b: &Texts) -> Texts {
    if Arc::ptr_eq(a.buffers(), b.buffers()) {
        let view = |(row, mask): (usize, &bool)| *if *mask { a.views().at(row) } else { b.views().at(row) };
        // SAFETY: each view is one of a text in these buffers.
        return unsafe { a.others(mask.iter().enumerate().map(view).collect()) };
    }
    let mut made = GeneratedTexts::with_capacity(mask.len());
    for (row, mask) in mask.iter().enumerate() {
        made.push(if *mask { a.at(row) } else { b.at(row) });
    }
    made.finish()
}

/// `split(text, separator)[index]`.
pub fn field(args: &[Column; 3], scope: Scope, span: Span) -> Out {
    let nulls = args.iter().fold(Nulls::None, |nulls, arg| nulls.or(&arg.nulls));
    let (Data::Text(texts), Data::Text(separators), Data::Int(indexes)) = (&args[0].data, &args[1].data, &args[2].data)
    else {
        return Ok(Column { data: Data::Text(Texts::one("")), nulls: Nulls::All });
    };
    let rows = scope.rows();
    let mut views = vec![View::default(); rows];
    let mut missing = vec![false; rows];
    for (row, slot) in views.iter_mut().enumerate() {
        if nulls.at(row) || !scope.is_active(row) {
            missing[row] = nulls.at(row);
            continue;
        }
        let (text, separator, index) = (texts.at(row), separators.at(row), *indexes.slots.at(row));
        let parts = scalar::split(text, separator)
            .map_err(|why| wrong(why, span, || format!("split({text:?}, {separator:?})")))?;
        let found = match usize::try_from(index) {
            Ok(index) => parts.clone().nth(index),
            Err(_) => usize::try_from(!index).ok().and_then(|index| {
                let all: Vec<&str> = parts.collect();
                all.into_iter().nth_back(index)
            }),
        };
        match found {
            Some(part) => *slot = texts.part(row, part),
            None => missing[row] = true,
        }
    }
    // SAFETY: a part of a text is a text.
    Ok(Column { data: Data::Text(unsafe { texts.others(views) }), nulls: Nulls::of(missing) })
}

pub fn matches(column: &Column, regex: &regex::Regex, scope: Scope) -> Column {
    let Data::Text(texts) = &column.data else {
        return Column { data: Data::Bool(Slots::One(false)), nulls: Nulls::All };
    };
    let holds = |row: usize| scope.is_active(row) && !column.nulls.at(row) && regex.is_match(texts.at(row));
    Column { data: Data::Bool(Slots::each((0..scope.rows()).map(holds).collect())), nulls: column.nulls.clone() }
}

/// Whether a value comes before another in the order of `sort`, both not null and of one type.
pub fn order(a: &Column, row: usize, b: &Column, other: usize) -> std::cmp::Ordering {
    match (&a.data, &b.data) {
        (Data::Int(a), Data::Int(b)) => a.slots.at(row).cmp(b.slots.at(other)),
        (Data::Float(a), Data::Float(b)) => compare_floats(*a.at(row), *b.at(other)),
        (Data::Bool(a), Data::Bool(b)) => a.at(row).cmp(b.at(other)),
        (Data::Text(a), Data::Text(b)) => a.at(row).as_bytes().cmp(b.at(other).as_bytes()),
        (Data::List(a), Data::List(b)) => Value::compare(a.at(row), b.at(other)),
        _ => unreachable!("a column has one type"),
    }
}
