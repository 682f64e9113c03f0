//! Values as csv and json text.

use std::fmt::Write;

use crate::data::Value;

/// A row of csv, without its line break. Null is an empty field, empty text is `""`.
pub fn csv_row(out: &mut String, row: &[Value], separator: char) {
    for (i, value) in row.iter().enumerate() {
        if i > 0 {
            out.push(separator);
        }
        match value {
            Value::Null => {}
            Value::Text(text) => csv_text(out, text, separator),
            Value::List(_) => csv_text(out, &value.to_string(), separator),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => push(out, value),
        }
    }
}

/// The header of a csv file.
pub fn csv_header<'a>(out: &mut String, names: impl Iterator<Item = &'a str>, separator: char) {
    for (i, name) in names.enumerate() {
        if i > 0 {
            out.push(separator);
        }
        csv_text(out, name, separator);
    }
}

/// A field in quotes where it must be, or where it is empty, which is not null. Quotes do not make text: a text that
/// looks like a number needs none.
fn csv_text(out: &mut String, text: &str, separator: char) {
    if text.is_empty() || text.contains(['"', '\n', '\r', '\u{feff}', separator]) {
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
