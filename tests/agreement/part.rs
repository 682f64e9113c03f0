//! The text of a cell as parts, so that a cell that fails can be made smaller piece by piece. It knows nothing of what
//! is true of a cell: a smaller one that makes no sense does not fail in the way that is looked for, and is forgotten.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use timelab::data::{Type, Value, scalar};
use timelab::lang::bare_name;

#[derive(Debug, Clone)]
pub enum Part {
    Words(String),
    /// One after the other.
    Row(Vec<Part>),
    /// With the same words between them; any may be left out, but for the last `least` ones.
    Many {
        parts: Vec<Part>,
        between: &'static str,
        least: usize,
    },
    /// An expression. A loose one stands in brackets inside another loose one.
    Value {
        parts: Vec<Part>,
        ty: Type,
        loose: bool,
    },
    Table(Data),
}

/// A table as it is written down: its columns and its rows.
#[derive(Debug, Clone)]
pub struct Data {
    pub columns: Vec<(String, Type)>,
    pub rows: Vec<Vec<Value>>,
    pub form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// A list for each column.
    Lists,
    /// A file with a separator, with or without names; `uneven`: its last row has a field too many.
    Csv { separator: char, header: bool, uneven: bool },
    /// A file of texts.
    Lines,
}

pub fn words(words: impl Into<String>) -> Part {
    Part::Words(words.into())
}

/// `name(a, b)`
pub fn call(name: &str, ty: &Type, args: Vec<Part>) -> Part {
    let args = Part::Many { least: args.len(), parts: args, between: ", " };
    Part::Value { parts: vec![words(format!("{name}(")), args, words(")")], ty: ty.clone(), loose: false }
}

/// Operators and operands.
pub fn operation(ty: &Type, parts: Vec<Part>) -> Part {
    Part::Value { parts, ty: ty.clone(), loose: true }
}

pub fn literal(value: &Value, ty: &Type) -> Part {
    let text = written(value);
    let loose = text.contains(" / ") && !text.starts_with(['[', '"']);
    Part::Value { parts: vec![words(text)], ty: ty.clone(), loose }
}

/// A value as it would be typed.
fn written(value: &Value) -> String {
    match value {
        Value::Float(x) if x.is_nan() => "0 / 0".to_string(),
        Value::Float(x) if x.is_infinite() => format!("{} / 0", x.signum() as i64),
        Value::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}

/// A column's name as it would be typed.
pub fn name(name: &str) -> String {
    if bare_name(name) { name.to_string() } else { format!("`{name}`") }
}

/// The text of a cell and the files that it reads.
#[derive(Default)]
pub struct Rendered {
    pub text: String,
    pub files: BTreeMap<PathBuf, String>,
}

impl Part {
    /// The text, with its files in `folder`.
    pub fn render(&self, folder: &Path) -> Rendered {
        let mut out = Rendered::default();
        self.add(&mut out, folder, false);
        out
    }

    fn add(&self, out: &mut Rendered, folder: &Path, tight: bool) {
        match self {
            Part::Words(words) => out.text.push_str(words),
            Part::Row(parts) => parts.iter().for_each(|part| part.add(out, folder, tight)),
            Part::Many { parts, between, .. } => {
                for (i, part) in parts.iter().enumerate() {
                    out.text.push_str(if i == 0 { "" } else { between });
                    part.add(out, folder, tight);
                }
            }
            Part::Value { parts, loose, .. } => {
                let brackets = *loose && tight;
                out.text.push_str(if brackets { "(" } else { "" });
                parts.iter().for_each(|part| part.add(out, folder, *loose));
                out.text.push_str(if brackets { ")" } else { "" });
            }
            Part::Table(data) => data.add(out, folder),
        }
    }

    /// The same cell with one thing less, in every way there is, the largest things first.
    pub fn smaller(&self) -> Vec<Part> {
        let mut all = Vec::new();
        match self {
            Part::Words(_) => {}
            Part::Row(parts) => inside(parts, &mut all, &|parts| Part::Row(parts)),
            Part::Many { parts, between, least } => {
                let many = |parts| Part::Many { parts, between, least: *least };
                let free = parts.len().saturating_sub(*least);
                all.extend(fewer(parts, free).into_iter().map(many));
                inside(parts, &mut all, &many);
            }
            Part::Value { parts, ty, loose } => {
                let simple = literal(&simple(ty), ty);
                let written = |part: &Part| part.render(Path::new("")).text;
                if written(&simple).len() < written(self).len() {
                    all.push(simple);
                }
                parts.iter().for_each(|part| part.values(&mut all));
                inside(parts, &mut all, &|parts| Part::Value { parts, ty: ty.clone(), loose: *loose });
            }
            Part::Table(data) => all.extend(data.smaller().into_iter().map(Part::Table)),
        }
        all
    }

    /// The expressions right inside.
    fn values(&self, found: &mut Vec<Part>) {
        match self {
            Part::Words(_) | Part::Table(_) => {}
            Part::Row(parts) | Part::Many { parts, .. } => parts.iter().for_each(|part| part.values(found)),
            Part::Value { .. } => found.push(self.clone()),
        }
    }
}

/// `whole` with each part in its smaller ways.
fn inside(parts: &[Part], all: &mut Vec<Part>, whole: &dyn Fn(Vec<Part>) -> Part) {
    for (i, part) in parts.iter().enumerate() {
        for smaller in part.smaller() {
            let mut parts = parts.to_vec();
            parts[i] = smaller;
            all.push(whole(parts));
        }
    }
}

/// The items without a half, a quarter, … and each one of the first `free`.
fn fewer<T: Clone>(items: &[T], free: usize) -> Vec<Vec<T>> {
    let mut all = Vec::new();
    let mut length = free;
    while length > 0 {
        for start in (0..free).step_by(length) {
            let end = (start + length).min(free);
            all.push([&items[..start], &items[end..]].concat());
        }
        length /= 2;
    }
    all
}

fn simple(ty: &Type) -> Value {
    match ty {
        Type::Int => Value::Int(1),
        Type::Float => Value::Float(0.5),
        Type::Bool => Value::Bool(true),
        Type::Text | Type::Open | Type::Never => Value::text("a"),
        Type::List(of) => Value::List([simple(of)].into()),
    }
}

impl Data {
    fn add(&self, out: &mut Rendered, folder: &Path) {
        if self.form == Form::Lists {
            return out.text.push_str(&self.lists());
        }
        let content = self.content();
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let extension = if self.form == Form::Lines { "txt" } else { "csv" };
        let path = folder.join(format!("{:016x}.{extension}", hasher.finish()));
        out.text.push_str(&format!("read {path:?}"));
        if let Form::Csv { separator, header, .. } = self.form {
            out.text.push_str(if header { "" } else { " header false" });
            out.text.push_str(&if separator == ',' { String::new() } else { format!(" sep {separator:?}") });
        }
        out.files.insert(path, content);
    }

    /// A pipeline of lists.
    fn lists(&self) -> String {
        let column = |i: usize| {
            let (called, ty) = &self.columns[i];
            let values: Vec<String> = self.rows.iter().map(|row| written(&row[i])).collect();
            // An empty list has no type of its own.
            let list = match self.rows[..] {
                [] => format!("slice({}, 1, 1)", written(&simple(&Type::list(ty.clone())))),
                _ => format!("[{}]", values.join(", ")),
            };
            if called == "it" { list } else { format!("{list} | map {} = it", name(called)) }
        };
        let rest: Vec<String> = (1..self.columns.len()).map(|i| format!("({})", column(i))).collect();
        if rest.is_empty() { column(0) } else { format!("{} | zip {}", column(0), rest.join(", ")) }
    }

    fn content(&self) -> String {
        let Form::Csv { separator, header, uneven } = self.form else {
            let lines = self.rows.iter().map(|row| if let Value::Text(text) = &row[0] { text } else { "" });
            return lines.map(|line| format!("{}\n", line.replace(['\n', '\r'], " "))).collect();
        };
        let field = |value: &Value| match value {
            Value::Null => String::new(),
            Value::Float(x) => scalar::float_text(*x),
            Value::Text(text) => {
                let plain = !text.is_empty() && !text.contains(['"', '\n', '\r', ' ', separator]);
                if plain { text.to_string() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
            }
            value => value.to_string(),
        };
        let names: Vec<Value> = self.columns.iter().map(|(name, _)| Value::text(name)).collect();
        let rows = header.then_some(&names).into_iter().chain(&self.rows);
        let line = |row: &Vec<Value>| row.iter().map(field).collect::<Vec<_>>().join(&separator.to_string());
        let mut lines: Vec<String> = rows.map(line).collect();
        if uneven && let Some(last) = lines.last_mut() {
            last.push(separator);
        }
        lines.join("\n")
    }

    fn smaller(&self) -> Vec<Data> {
        let mut all: Vec<Data> = Vec::new();
        if self.form != Form::Lists {
            all.push(Data { form: Form::Lists, ..self.clone() });
        }
        all.extend(fewer(&self.rows, self.rows.len()).into_iter().map(|rows| Data { rows, ..self.clone() }));
        for (i, (_, ty)) in self.columns.iter().enumerate() {
            if self.columns.len() > 1 {
                let mut data = self.clone();
                data.columns.remove(i);
                data.rows.iter_mut().for_each(|row| drop(row.remove(i)));
                all.push(data);
            }
            for (r, row) in self.rows.iter().enumerate() {
                let simple = simple(ty);
                if written(&simple).len() < written(&row[i]).len() {
                    let mut data = self.clone();
                    data.rows[r][i] = simple;
                    all.push(data);
                }
            }
        }
        all
    }
}
