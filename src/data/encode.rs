//! Values as csv and json text.

use std::fmt::Write;

use crate::data::{Value, scalar};

/// A row of csv, without its line break. Null is an empty field, empty text is `""`.
pub fn csv_row(out: &mut String, row: &[Value]) {
    for (i, value) in row.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        match value {
            Value::Null => {}
            Value::Text(text) => csv_text(out, text),
            Value::List(_) => csv_text(out, &value.to_string()),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => push(out, value),
        }
    }
}

/// The header of a csv file.
pub fn csv_header<'a>(out: &mut String, names: impl Iterator<Item = &'a str>) {
    for (i, name) in names.enumerate() {
        if i > 0 {
            out.push(',');
        }
        csv_text(out, name);
    }
}

/// A field in quotes where it must be, or where it is empty, which is not null.
fn csv_text(out: &mut String, text: &str) {
    // A text that would be read as another value stands in quotes, which say that it is text.
    let number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'i' | 'N'))
        && scalar::float_from_text(text).is_ok();
    let other = number || matches!(text, "true" | "false");
    if text.is_empty() || other || text.contains([',', '"', '\n', '\r', '\u{feff}']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

/// An object of a row; `names` are json texts already.
pub fn json_row(out: &mut String, names: &[String], row: &[Value]) {
    out.push('{');
    for (i, (name, value)) in names.iter().zip(row).enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        out.push_str(name);
        out.push_str(": ");
        json_value(out, value);
    }
    out.push('}');
}

/// A value as json, which has no NaN and no infinity: they are null.
pub fn json_value(out: &mut String, value: &Value) {
    match value {
        Value::Float(x) if !x.is_finite() => out.push_str("null"),
        Value::Text(text) => out.push_str(&json_text(text)),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                json_value(out, item);
            }
            out.push(']');
        }
        Value::Null | Value::Int(_) | Value::Float(_) | Value::Bool(_) => push(out, value),
    }
}

pub fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn push(out: &mut String, value: &Value) {
    write!(out, "{value}").expect("a text grows as it is asked to");
}
