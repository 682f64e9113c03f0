//! JSON lines: an object a line. Nested objects give columns `a.b`.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value as Json_;

use crate::data::{Type, Value, scalar};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::plan::{Basis, Field, Read};

use super::lines::{Lines, without_break};
use super::{Records, name_as_written};

/// What the first objects of files tell about their columns.
#[derive(Default)]
pub struct Sample {
    /// In order of their first appearance.
    fields: Vec<SampledField>,
    places: HashMap<String, usize>,
}

struct SampledField {
    name: String,
    ty: Type,
    /// The type that it would have if ints could have any length, and one that is too long.
    without_limit: Type,
    large: Option<String>,
}

impl Sample {
    /// Takes the lines into account that begin in the first `length` bytes of a file. Keys that the files before it do
    /// not have are told by who reads it.
    ///
    /// # Errors
    /// Where the first object cannot be read, or the user stops it. Who reads the file tells of other mistakes.
    pub fn add(&mut self, mut lines: Lines, length: u64) -> Fallible<()> {
        let is_first_file = self.fields.is_empty();
        let mut line = Vec::new();
        let mut objects = 0;
        while lines.offset < length || objects == 0 {
            line.clear();
            let found = match lines.next(&mut line) {
                Ok(Some(offset)) => record(&lines, &line, offset),
                Ok(None) => return Ok(()),
                Err(error) => Err(error),
            };
            let record = match found {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(error) if objects == 0 || error.kind == Kind::Stopped => return Err(error),
                Err(_) => return Ok(()),
            };
            objects += 1;
            for (name, value) in &record.fields {
                let place = match self.places.get(name) {
                    Some(place) => *place,
                    None if !is_first_file => return Ok(()),
                    None => {
                        let (ty, without_limit) = (Type::Open, Type::Open);
                        self.fields.push(SampledField { name: name.clone(), ty, without_limit, large: None });
                        self.places.insert(name.clone(), self.fields.len() - 1);
                        self.fields.len() - 1
                    }
                };
                let field = &mut self.fields[place];
                let (ty, without_limit) = record.types_of(value);
                if ty != without_limit && field.large.is_none() {
                    field.large = record.large_int(value).map(str::to_string);
                }
                field.ty = field.ty.meet(&ty).unwrap_or(Type::Text);
                field.without_limit = field.without_limit.meet(&without_limit).unwrap_or(Type::Text);
            }
        }
        Ok(())
    }

    /// Whether each column has a value, or a type that the user states.
    pub fn is_complete(&self, stated: &[(String, Type)]) -> bool {
        let has_value =
            |field: &SampledField| field.ty != Type::Open || stated.iter().any(|(name, _)| *name == field.name);
        !self.fields.is_empty() && self.fields.iter().all(has_value)
    }

    /// The columns; none where no file has an object.
    pub fn fields(self) -> Vec<Field> {
        let field = |found: SampledField| {
            let large = found.large.filter(|_| found.ty == Type::Text && found.without_limit.is_number());
            let ty = if found.ty == Type::Open { Type::Open } else { found.ty.closed() };
            Field { name: found.name, ty, basis: large.map_or(Basis::Inferred, Basis::LargeInt) }
        };
        self.fields.into_iter().map(field).collect()
    }
}

/// The fields of an object, nested ones by their paths.
struct Record {
    fields: Vec<(String, Json_)>,
    /// What texts begin with that stand for ints beyond 64 bits, which the parser would make floats of; empty without
    /// any.
    mark: String,
}

impl Record {
    fn large_int<'v>(&self, value: &'v Json_) -> Option<&'v str> {
        if self.mark.is_empty() { None } else { value.as_str()?.strip_prefix(&self.mark) }
    }

    /// The type of a value, and that which it would have if ints could have any length.
    fn types_of(&self, value: &Json_) -> (Type, Type) {
        let both = |ty: Type| (ty.clone(), ty);
        match value {
            Json_::Null => both(Type::Open),
            Json_::Bool(_) => both(Type::Bool),
            Json_::Number(number) if number.is_i64() => both(Type::Int),
            Json_::Number(_) => both(Type::Float),
            Json_::String(_) if self.large_int(value).is_some() => (Type::Text, Type::Int),
            Json_::String(_) | Json_::Object(_) => both(Type::Text),
            Json_::Array(items) => {
                // With such an int in it, a list is text as a whole: nothing of it may change.
                let of = items.iter().try_fold(Type::Open, |ty, item| match self.types_of(item) {
                    (of, without_limit) if of == without_limit => ty.meet(&of),
                    _ => None,
                });
                both(of.map_or(Type::Text, Type::list))
            }
        }
    }

    /// A json value as one of a column; what is no text stands in a text column as json.
    fn value_of(&self, value: &Json_, ty: &Type, is_stated: bool) -> Option<Value> {
        if let Some(large) = self.large_int(value) {
            return match ty {
                Type::Text => Some(Value::text(large)),
                Type::Float if is_stated => large.parse().ok().map(Value::Float),
                _ => None,
            };
        }
        Some(match (value, ty) {
            (Json_::Null, _) => Value::Null,
            (Json_::Bool(b), Type::Bool) => Value::Bool(*b),
            (Json_::Number(number), Type::Int) => Value::Int(number.as_i64()?),
            (Json_::Number(number), Type::Float) => Value::Float(number.as_f64()?),
            (Json_::String(text), Type::Text) => Value::text(text),
            (Json_::Array(items), Type::List(of)) => {
                let items = items.iter().map(|item| self.value_of(item, of, is_stated));
                Value::List(items.collect::<Option<Vec<Value>>>()?.into())
            }
            (other, Type::Text) => Value::text(&self.json_text(other)),
            _ => return None,
        })
    }

    fn json_text(&self, value: &Json_) -> String {
        let text = value.to_string();
        if self.mark.is_empty() {
            return text;
        }
        // The ints as they stood in the file.
        let mark = Json_::from(self.mark.as_str()).to_string();
        let mark = &mark[..mark.len() - 1];
        let mut parts = text.split(mark);
        let mut shown = parts.next().unwrap_or_default().to_string();
        for part in parts {
            shown.push_str(&part.replacen('"', "", 1));
        }
        shown
    }
}

/// The ints beyond 64 bits in a line of json, where they stand.
pub fn large_ints(line: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if !has_many_digits(line) {
        return found;
    }
    let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let mut at = 0;
    while let Some(byte) = line.get(at) {
        let rest = &line[at..];
        at += match byte {
            b'"' => {
                let mut end = 1;
                while end < rest.len() && rest[end] != b'"' {
                    end += if rest[end] == b'\\' { 2 } else { 1 };
                }
                end + 1
            }
            byte if is_number(byte) => {
                let length = rest.iter().position(|byte| !is_number(byte)).unwrap_or(rest.len());
                let digits = rest[..length].strip_prefix(b"-").unwrap_or(&rest[..length]);
                let is_int = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
                // A leading zero is a mistake, which stays one.
                let is_valid = is_int && (digits[0] != b'0' || digits.len() == 1);
                if is_valid && str::from_utf8(&rest[..length]).is_ok_and(|int| int.parse::<i64>().is_err()) {
                    found.push(at..at + length);
                }
                length
            }
            _ => 1,
        };
    }
    found
}

/// Whether as many digits stand in a row as an int beyond 64 bits has. Every nineteenth byte is looked at.
pub fn has_many_digits(text: &[u8]) -> bool {
    const LEAST: usize = 19;
    (LEAST - 1..text.len()).step_by(LEAST).any(|at| {
        let before = text[..at].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let after = text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        after > 0 && before + after >= LEAST
    })
}

/// The line with texts in the place of these ints, and what the texts begin with: as many zero characters as stand
/// nowhere else in the line.
fn marked(line: &[u8], ints: &[Range<usize>]) -> (Vec<u8>, String) {
    const ZERO: &str = "\\u0000";
    let mut count = 1;
    while memchr::memmem::find(line, ZERO.repeat(count).as_bytes()).is_some() {
        count += 1;
    }
    let mut text = Vec::with_capacity(line.len() + ints.len() * (8 + count * ZERO.len()));
    let mut from = 0;
    for int in ints {
        text.extend_from_slice(&line[from..int.start]);
        text.push(b'"');
        text.extend_from_slice(ZERO.repeat(count).as_bytes());
        text.extend_from_slice(&line[int.clone()]);
        text.push(b'"');
        from = int.end;
    }
    text.extend_from_slice(&line[from..]);
    (text, "\0".repeat(count))
}

const ARRAY_HINT: &str = "the array must contain objects: [{\"a\": 1}, {\"a\": 2}]";

/// The object on the line at `offset`; none for a blank line.
fn record(lines: &Lines, line: &[u8], offset: u64) -> Fallible<Option<Record>> {
    if let Some(error) = lines.utf16(line, offset) {
        return Err(error);
    }
    let line = without_break(line);
    let line = if offset == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let ints = large_ints(line);
    let marked = if ints.is_empty() { None } else { Some(marked(line, &ints)) };
    let parsed = match &marked {
        Some((text, _)) => serde_json::from_slice(text),
        None => serde_json::from_slice(line),
    };
    let object = match parsed {
        Ok(Json_::Object(object)) => object,
        Ok(other) => {
            let what = format!("expected an object, got {}", kind(&other));
            let error = lines.error(lines.number, &what);
            return Err(error.hint(match (lines.is_of_lines(), other.is_array()) {
                (true, true) => "json lines have one object on each line; `as json` reads an array of objects",
                (true, false) => "json lines have one object on each line: {\"a\": 1}",
                (false, _) => ARRAY_HINT,
            }));
        }
        Err(error) => {
            let what = format!("invalid json at character {}: {}", error.column(), cause(&error));
            let error = lines.error(lines.number, &what);
            return Err(error.hint(match lines.is_of_lines() {
                true => "json lines have one object on each line",
                false => ARRAY_HINT,
            }));
        }
    };
    let mut fields: Vec<(String, Json_)> = Vec::new();
    flatten(String::new(), object, &mut fields);
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(lines.error(lines.number, &format!("duplicate key `{}`", pair[0])));
    }
    let mark = marked.map_or(String::new(), |(_, mark)| mark);
    Ok(Some(Record { fields, mark }))
}

/// What the parser says, without the place, which is told apart.
fn cause(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.split(" at line").next().unwrap_or(&said).to_string()
}

fn flatten(prefix: String, object: serde_json::Map<String, Json_>, fields: &mut Vec<(String, Json_)>) {
    for (key, value) in object {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Json_::Object(inner) => flatten(name, inner, fields),
            value => fields.push((name, value)),
        }
    }
}

fn kind(value: &Json_) -> &'static str {
    match value {
        Json_::Null => "null",
        Json_::Bool(_) => "a bool",
        Json_::Number(_) => "a number",
        Json_::String(_) => "a text",
        Json_::Array(_) => "a list",
        Json_::Object(_) => "an object",
    }
}

pub struct Json<'a> {
    lines: Lines,
    read: &'a Read,
    places: HashMap<&'a str, usize>,
    line: Vec<u8>,
}

impl<'a> Json<'a> {
    pub fn new(lines: Lines, read: &'a Read) -> Json<'a> {
        let places = read.fields.iter().enumerate().map(|(i, field)| (field.name.as_str(), i)).collect();
        Json { lines, read, places, line: Vec::new() }
    }

    fn misfit(&self, field: &Field, record: &Record, value: &Json_) -> Box<Diagnostic> {
        let has = if field.ty == Type::Open {
            "has no known type (no value in the sample)".into()
        } else {
            format!("is {}", field.ty)
        };
        let what = match record.large_int(value) {
            Some(large) => format!("the int {large}, which does not fit into 64 bits"),
            None => match value {
                Json_::Null | Json_::Object(_) => kind(value).to_string(),
                _ => format!("{} {}", kind(value), scalar::shortened(&record.json_text(value))),
            },
        };
        let what = format!("column `{}` {has}, got {what}", field.name);
        let wider = match (&field.ty, record.types_of(value).0) {
            (Type::Open, ty @ (Type::Int | Type::Float | Type::Bool)) => ty,
            (Type::Int, Type::Float) => Type::Float,
            _ => Type::Text,
        };
        let hint = format!("types {}: {wider}", name_as_written(&field.name));
        self.lines.error(self.lines.number, &what).hint(hint)
    }
}

impl Records for Json<'_> {
    fn next(&mut self, row: &mut Vec<Value>) -> Fallible<bool> {
        let record = loop {
            self.line.clear();
            let Some(offset) = self.lines.next(&mut self.line)? else { return Ok(false) };
            if let Some(record) = record(&self.lines, &self.line, offset)? {
                break record;
            }
        };
        let mut values = vec![None; self.read.fields.len()];
        for (name, value) in &record.fields {
            match self.places.get(name.as_str()) {
                Some(place) => values[*place] = Some(value),
                None => {
                    let what = format!("the key `{name}` is not a column");
                    return Err(self
                        .lines
                        .error(self.lines.number, &what)
                        .hint("the columns are the keys found in the first MiB of the first file"));
                }
            }
        }
        row.clear();
        for index in &self.read.wanted {
            let field = &self.read.fields[*index];
            row.push(match values[*index] {
                Some(_) if field.basis == Basis::Unused => Value::Null,
                None => Value::Null,
                Some(value) => record
                    .value_of(value, &field.ty, field.is_stated())
                    .ok_or_else(|| self.misfit(field, &record, value))?,
            });
        }
        Ok(true)
    }
}
