//! JSON lines: an object a line. Nested objects give columns `a.b`.

use std::collections::HashMap;

use serde_json::Value as Json_;

use crate::data::{Column, Type, Value};
use crate::diagnostic::Fallible;

use super::Records;
use super::lines::{Lines, without_break};

/// The columns of a file, from the lines that begin in its first `sample` bytes, in order of their first appearance.
pub fn infer(mut lines: Lines, sample: u64) -> Fallible<Vec<Column>> {
    let mut fields: Vec<Column> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut line = Vec::new();
    let mut objects = 0;
    while lines.offset < sample || objects == 0 {
        line.clear();
        let offset = match lines.next(&mut line) {
            Ok(Some(offset)) => offset,
            Ok(None) => break,
            Err(_) if objects > 0 => break,
            Err(error) => return Err(error),
        };
        let record = match record(&lines, &line, offset) {
            Ok(Some(record)) => record,
            Ok(None) => continue,
            // It will be told when the file is read.
            Err(_) if objects > 0 => break,
            Err(error) => return Err(error),
        };
        objects += 1;
        for (name, value) in record {
            let ty = type_of(&value);
            match places.get(&name) {
                Some(place) => {
                    let field = &mut fields[*place];
                    field.ty = field.ty.meet(&ty).unwrap_or(Type::Text);
                }
                None => {
                    places.insert(name.clone(), fields.len());
                    fields.push(Column { name, ty });
                }
            }
        }
    }
    if fields.is_empty() {
        return Err(lines
            .file_error("there is no object: a json file has one on each line")
            .hint("`as text` reads any file as lines"));
    }
    for field in &mut fields {
        field.ty = field.ty.closed();
    }
    Ok(fields)
}

/// The fields of the object on the line at `offset`, nested ones by their paths; none for a blank line.
fn record(lines: &Lines, line: &[u8], offset: u64) -> Fallible<Option<Vec<(String, Json_)>>> {
    let line = without_break(line);
    let line = if offset == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let object = match serde_json::from_slice(line) {
        Ok(Json_::Object(object)) => object,
        Ok(other) => {
            let what = format!("an object is wanted, but here is {}", kind(&other));
            let error = lines.error(lines.number, &what);
            return Err(if other.is_array() {
                error.hint("json lines have one object on each line, no list around them")
            } else {
                error
            });
        }
        Err(error) => {
            let what = format!("not json at character {}: {}", error.column(), cause(&error));
            return Err(lines.error(lines.number, &what).hint("json lines have one object on each line"));
        }
    };
    let mut fields: Vec<(String, Json_)> = Vec::new();
    flatten(String::new(), object, &mut fields);
    let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(lines.error(lines.number, &format!("two values are called `{}`", pair[0])));
    }
    Ok(Some(fields))
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

fn type_of(value: &Json_) -> Type {
    match value {
        Json_::Null => Type::Open,
        Json_::Bool(_) => Type::Bool,
        Json_::Number(number) if number.is_i64() => Type::Int,
        Json_::Number(_) => Type::Float,
        Json_::String(_) | Json_::Object(_) => Type::Text,
        Json_::Array(items) => {
            let of = items.iter().try_fold(Type::Open, |ty, item| ty.meet(&type_of(item)));
            of.map_or(Type::Text, Type::list)
        }
    }
}

/// A json value as one of `ty`; what is no text stands in a text column as json.
fn value_of(value: &Json_, ty: &Type) -> Option<Value> {
    Some(match (value, ty) {
        (Json_::Null, _) => Value::Null,
        (Json_::Bool(b), Type::Bool) => Value::Bool(*b),
        (Json_::Number(number), Type::Int) => Value::Int(number.as_i64()?),
        (Json_::Number(number), Type::Float) => Value::Float(number.as_f64()?),
        (Json_::String(text), Type::Text) => Value::text(text),
        (Json_::Array(items), Type::List(of)) => {
            Value::List(items.iter().map(|item| value_of(item, of)).collect::<Option<Vec<Value>>>()?.into())
        }
        (other, Type::Text) => Value::text(&other.to_string()),
        _ => return None,
    })
}

pub struct Json<'a> {
    lines: Lines,
    fields: &'a [Column],
    places: HashMap<&'a str, usize>,
    wanted: &'a [usize],
    line: Vec<u8>,
}

impl<'a> Json<'a> {
    pub fn new(lines: Lines, fields: &'a [Column], wanted: &'a [usize]) -> Json<'a> {
        let places = fields.iter().enumerate().map(|(i, field)| (field.name.as_str(), i)).collect();
        Json { lines, fields, places, wanted, line: Vec::new() }
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
        let mut values = vec![None; self.fields.len()];
        for (name, value) in &record {
            match self.places.get(name.as_str()) {
                Some(place) => values[*place] = Some(value),
                None => {
                    let what = format!("the key `{name}` is not among the columns");
                    return Err(self
                        .lines
                        .error(self.lines.number, &what)
                        .hint("columns come from the first MiB of the first file"));
                }
            }
        }
        row.clear();
        for index in self.wanted {
            let field = &self.fields[*index];
            row.push(match values[*index] {
                None => Value::Null,
                Some(value) => value_of(value, &field.ty).ok_or_else(|| {
                    let what = format!("column `{}` is {}, but here is {}", field.name, field.ty, kind(value));
                    self.lines.error(self.lines.number, &what).hint("types come from the first MiB of the first file")
                })?,
            });
        }
        Ok(true)
    }
}
