//! What the text of a csv field means: the types that it fits, and its value as one of them.

use crate::data::{Type, Value, scalar};
use crate::plan::{CsvOptions, Field};

/// What a field is in its column.
#[derive(Debug, PartialEq)]
pub enum Meaning {
    Value(Value),
    Null,
    /// A null by its text, of that place in [`CsvOptions::NULL_TEXTS`].
    NullText(usize),
    /// It does not fit the column.
    Mismatch,
}

/// How the fields of one column are read.
#[derive(Clone, Copy)]
pub struct Rule<'a> {
    pub ty: &'a Type,
    /// Its texts that are null in every type; without them the usual ones are, in numbers and bools.
    pub nulls: Option<&'a [String]>,
    is_stated: bool,
}

impl<'a> Rule<'a> {
    pub fn new(options: &'a CsvOptions, field: &'a Field) -> Rule<'a> {
        Rule { ty: &field.ty, nulls: options.nulls.as_deref(), is_stated: field.is_stated() }
    }

    /// Quotes do not make text: they only tell an empty text from nothing.
    pub fn meaning(&self, text: &str, is_quoted: bool) -> Meaning {
        if (text.is_empty() && !is_quoted) || self.is_listed(text.as_bytes()) {
            return Meaning::Null;
        }
        let value = match self.ty {
            Type::Text | Type::List(_) | Type::Never => return Meaning::Value(Value::text(text)),
            _ if text.is_empty() => return Meaning::Null,
            Type::Int => int(text, self.is_stated).map(Value::Int),
            Type::Float => float(text, self.is_stated).map(Value::Float),
            Type::Bool => text.parse().ok().map(Value::Bool),
            Type::Open => None,
        };
        match value {
            Some(value) => Meaning::Value(value),
            None => self.null_text(text).map_or(Meaning::Mismatch, Meaning::NullText),
        }
    }

    /// Whether the user lists the text as null.
    #[inline]
    pub fn is_listed(&self, text: &[u8]) -> bool {
        self.nulls.is_some_and(|nulls| nulls.iter().any(|null| null.as_bytes() == text))
    }

    fn null_text(&self, text: &str) -> Option<usize> {
        if self.nulls.is_some() { None } else { null_text(text) }
    }
}

/// The place of a text among those that usually stand for null.
fn null_text(text: &str) -> Option<usize> {
    CsvOptions::NULL_TEXTS.iter().position(|null| *null == text)
}

/// Whether a number begins with a plus, or with a zero before another digit: a code or a telephone number, not a
/// number.
fn is_code(text: &str) -> bool {
    match text.as_bytes() {
        [b'+', rest @ ..] => !matches!(rest.first(), Some(byte) if byte.is_ascii_alphabetic()),
        [b'-', b'0', next, ..] | [b'0', next, ..] => next.is_ascii_digit(),
        _ => false,
    }
}

/// Whether these are the digits of an int, of any length.
fn is_int(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn int(text: &str, is_stated: bool) -> Option<i64> {
    if !is_stated && is_code(text) { None } else { text.parse().ok() }
}

/// A float; an int beyond 64 bits must not become one by itself. White space around it is none.
fn float(text: &str, is_stated: bool) -> Option<f64> {
    // Every int of fewer digits fits 64 bits: most fields are not looked through for this.
    const DIGITS: usize = 19;
    let is_large = || text.len() >= DIGITS && is_int(text) && text.parse::<i64>().is_err();
    if !is_stated && (is_code(text) || is_large()) {
        return None;
    }
    match text.strip_prefix('-').unwrap_or(text).as_bytes() {
        // The usual case: the parser takes neither white space nor words after a digit.
        [b'0'..=b'9', ..] => text.parse().ok().filter(|x: &f64| x.is_finite()),
        _ if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) => None,
        _ => scalar::float_from_text(text).ok(),
    }
}

const INT: u8 = 1;
const FLOAT: u8 = 2;
const BOOL: u8 = 4;

/// The types that fit all values of a column so far.
#[derive(Debug, Clone)]
pub struct Fitting {
    /// A bit for each type but text, which fits everything.
    types: u8,
    /// The same where ints may have any length.
    without_limit: u8,
    has_value: bool,
    large: Option<String>,
    /// The first text that is null in a column of numbers or bools.
    null_text: Option<&'static str>,
}

impl Default for Fitting {
    fn default() -> Fitting {
        let all = INT | FLOAT | BOOL;
        Fitting { types: all, without_limit: all, has_value: false, large: None, null_text: None }
    }
}

impl Fitting {
    /// Takes a field into account; an empty one or a null says nothing.
    pub fn add(&mut self, text: &str, nulls: Option<&[String]>) {
        if text.is_empty() || (self.has_value && self.without_limit == 0) {
            return;
        }
        match nulls {
            Some(nulls) if nulls.iter().any(|null| null == text) => return,
            Some(_) => {}
            None => {
                if let Some(place) = null_text(text) {
                    self.null_text = self.null_text.or(Some(CsvOptions::NULL_TEXTS[place]));
                    return;
                }
            }
        }
        self.has_value = true;
        let fits = match text {
            "true" | "false" => BOOL,
            _ if self.types & INT != 0 && int(text, false).is_some() => INT | FLOAT,
            _ if float(text, false).is_some() => FLOAT,
            _ => 0,
        };
        let is_large = fits == 0 && is_int(text) && !is_code(text);
        if is_large && self.large.is_none() {
            self.large = Some(text.to_string());
        }
        self.types &= fits;
        self.without_limit &= if is_large { INT | FLOAT } else { fits };
    }

    pub fn has_value(&self) -> bool {
        self.has_value
    }

    /// The first type that fits; open without any value.
    pub fn ty(&self) -> Type {
        match self.types {
            _ if !self.has_value => Type::Open,
            types if types & INT != 0 => Type::Int,
            types if types & FLOAT != 0 => Type::Float,
            types if types & BOOL != 0 => Type::Bool,
            _ => Type::Text,
        }
    }

    /// The text that stands for null in it, where it has no value.
    pub fn only_null_text(&self) -> Option<&'static str> {
        if self.has_value { None } else { self.null_text }
    }

    /// An int beyond 64 bits without which the column would be one of numbers.
    pub fn large_int(self) -> Option<String> {
        if self.without_limit != 0 { self.large } else { None }
    }
}

/// The least type of a column of `ty` that holds this field too.
pub fn wider(ty: &Type, text: &str) -> Type {
    let mut fitting = Fitting::default();
    fitting.add(text, Some(&[]));
    match (ty, fitting.ty()) {
        (Type::Int | Type::Float, Type::Int | Type::Float) => Type::Float,
        (Type::Open, found) => found,
        _ => Type::Text,
    }
}
