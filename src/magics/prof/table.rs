//! The table of a profile: functions, modules or files, sorted and cut as asked.

use std::collections::HashMap;

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Word};
use crate::magics::compare::Grid;
use crate::magics::timing;
use crate::profiles::{self, Profile};
use crate::report::{Field, Figures, Meaning, MeasuredRows, Note, Unit};
use crate::show::{grouped, percent, weight_text};

/// What was asked for.
pub struct Shape {
    pub sort: Sort,
    pub top: usize,
    pub by: By,
    pub find: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    Own,
    Cumulative,
    Calls,
    Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Function,
    Module,
    File,
}

const SORTS: [(&str, Sort); 4] =
    [("own", Sort::Own), ("cumulative", Sort::Cumulative), ("calls", Sort::Calls), ("name", Sort::Name)];
const KINDS: [(&str, By); 3] = [("function", By::Function), ("module", By::Module), ("file", By::File)];

impl Shape {
    pub fn asked(magic: &lang::Magic) -> Fallible<Shape> {
        Ok(Shape {
            sort: magic.option("--sort").flatten().map_or(Ok(Sort::Own), |word| chosen(word, "--sort", &SORTS))?,
            top: timing::asked_count(magic, "--top")?.map_or(20, |top| top as usize),
            by: magic.option("--by").flatten().map_or(Ok(By::Function), |word| chosen(word, "--by", &KINDS))?,
            find: magic.option("--find").flatten().map(|word| word.text.clone()),
        })
    }
}

fn chosen<T: Copy>(word: &Word, option: &str, known: &[(&str, T)]) -> Fallible<T> {
    known.iter().find(|(name, _)| *name == word.text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        let message = format!("`{option}` must be one of {}, got `{}`", names.join(", "), word.text);
        Diagnostic::at(Kind::Type, word.span, message).near(&word.text, names)
    })
}

/// The rows that are shown, all rows, and what is to be known about them.
pub struct Told {
    pub shown: Figures,
    pub all: Figures,
    pub notes: Vec<Note>,
}

/// A row before it is one.
struct Row {
    name: String,
    place: String,
    module: String,
    calls: Option<(u64, u64)>,
    own: f64,
    cumulative: f64,
}

/// The functions of a profile, or what they add up to.
pub fn functions(profile: &Profile, shape: &Shape, measured: bool) -> Told {
    let mut rows = match shape.by {
        By::Function => each(profile),
        By::Module => grouped_by(profile, |function| function.module.clone()),
        By::File => grouped_by(profile, |function| function.file.clone().unwrap_or_else(|| function.module.clone())),
    };
    let mut notes = Vec::new();
    if shape.by != By::Function && profile.is_tree_smaller() {
        notes.push(Note::from(ESTIMATED).optional());
    }
    if profile.unit != profiles::Unit::Seconds && rows.iter().any(|row| row.own.fract() != 0.0) {
        notes.push("the weights are not whole numbers, and are rounded in the table".into());
    }
    let all_rows = rows.len();
    if let Some(text) = &shape.find {
        let wanted = text.to_lowercase();
        let has =
            |row: &Row| [&row.name, &row.place, &row.module].iter().any(|part| part.to_lowercase().contains(&wanted));
        rows.retain(has);
        notes.push(found(profile, &rows, text));
    }
    match shape.sort {
        Sort::Own => rows.sort_by(|a, b| b.own.total_cmp(&a.own)),
        Sort::Cumulative => rows.sort_by(|a, b| b.cumulative.total_cmp(&a.cumulative)),
        Sort::Calls => rows.sort_by_key(|row| std::cmp::Reverse(row.calls.map_or(0, |(calls, _)| calls))),
        Sort::Name => rows.sort_by(|a, b| a.name.cmp(&b.name)),
    }
    let what = match shape.by {
        By::Function => "functions",
        By::Module => "modules",
        By::File => "files",
    };
    let count = rows.len().min(shape.top);
    let of =
        if rows.len() < all_rows { format!(" that match, of {}", grouped(all_rows as u64)) } else { String::new() };
    notes.push(Note::default().found(format!(
        "{} in all, of {}; {count} of {} {what}{of} by {}{}",
        weight_text(profile, profile.total),
        profile.tool,
        grouped(rows.len() as u64),
        SORTS.iter().find(|(_, sort)| *sort == shape.sort).map_or("own", |(name, _)| name),
        if count < rows.len() { "; --top N shows more, %last all" } else { "" },
    )));
    let order = measured && matches!(shape.sort, Sort::Own | Sort::Cumulative);
    let table = |rows: &[Row]| Figures {
        rows: MeasuredRows { order, ..MeasuredRows::default() },
        ..table(profile, rows, shape.by, measured)
    };
    Told { shown: table(&rows[..count]), all: table(&rows), notes }
}

/// Of what was counted for callers, not for stacks.
pub const ESTIMATED: &str = "callers were counted, not stacks: where functions call each other in a circle, only their \
                             own times are certain";

fn each(profile: &Profile) -> Vec<Row> {
    let row = |function: &profiles::Function| Row {
        name: function.name.clone(),
        place: function.place(),
        module: function.module.clone(),
        calls: function.calls,
        own: function.own,
        cumulative: function.cumulative,
    };
    profile.functions.iter().map(row).collect()
}

/// What functions add up to that have the same key. Calls from one to another of a group count once.
fn grouped_by(profile: &Profile, key: impl Fn(&profiles::Function) -> String) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let keys: Vec<usize> = profile
        .functions
        .iter()
        .map(|function| {
            let name = key(function);
            *places.entry(name.clone()).or_insert_with(|| {
                let module = function.module.clone();
                rows.push(Row { name, place: String::new(), module, calls: None, own: 0.0, cumulative: 0.0 });
                rows.len() - 1
            })
        })
        .collect();
    for (function, row) in profile.functions.iter().zip(&keys) {
        let row = &mut rows[*row];
        row.own += function.own;
        if let Some((calls, primitive)) = function.calls {
            let known = row.calls.unwrap_or((0, 0));
            row.calls = Some((known.0 + calls, known.1 + primitive));
        }
    }
    let cumulative = profile.cumulative_of(&keys, rows.len());
    for (row, cumulative) in rows.iter_mut().zip(cumulative) {
        row.cumulative = cumulative.max(row.own);
        if row.name.is_empty() {
            row.name = "unknown".to_string();
        }
    }
    rows
}

/// What all that was found adds up to.
fn found(profile: &Profile, rows: &[Row], text: &str) -> Note {
    if rows.is_empty() {
        return Note::default().found(format!("`{text}` is in no name and no place"));
    }
    let own: f64 = rows.iter().map(|row| row.own).sum();
    let calls: u64 = rows.iter().filter_map(|row| Some(row.calls?.0)).sum();
    let calls = match rows.iter().any(|row| row.calls.is_some()) {
        true => format!("{} calls, ", grouped(calls)),
        false => String::new(),
    };
    Note::default().found(format!(
        "`{text}`: {calls}{} of {} ({})",
        weight_text(profile, own),
        weight_text(profile, profile.total),
        percent(profile.share(own))
    ))
}

/// The unit of weights, and weights in it.
fn unit(profile: &Profile) -> Unit {
    match profile.unit {
        profiles::Unit::Seconds => Unit::Seconds,
        profiles::Unit::Bytes => Unit::Bytes,
        profiles::Unit::Samples | profiles::Unit::Events(_) => Unit::Plain,
    }
}

pub fn weight(profile: &Profile, weight: f64) -> (Type, Value) {
    match profile.unit {
        profiles::Unit::Seconds => (Type::Float, Value::Float(weight)),
        _ => (Type::Int, Value::Int(weight.round() as i64)),
    }
}

pub fn total_field(profile: &Profile, measured: bool) -> Field {
    let (_, value) = weight(profile, profile.total);
    Field { name: "total", value, unit: unit(profile), measured }
}

pub fn meaning(profile: &Profile, measured: bool) -> Meaning {
    Meaning { unit: unit(profile), measured }
}

fn table(profile: &Profile, rows: &[Row], by: By, measured: bool) -> Figures {
    let mut grid = Grid::default();
    let counted = rows.iter().any(|row| row.calls.is_some());
    let plain = Unit::Plain.counted();
    for row in rows {
        if counted {
            let count = |of: fn((u64, u64)) -> u64| row.calls.map_or(Value::Null, |calls| Value::Int(of(calls) as i64));
            grid.put("calls", Type::Int, Unit::Calls.counted(), count(|(all, _)| all));
            grid.put("primitive", Type::Int, Unit::Primitive.counted(), count(|(_, primitive)| primitive));
        }
        let figure = meaning(profile, measured);
        let (ty, own) = weight(profile, row.own);
        grid.put("own", ty.clone(), figure, own);
        grid.put("cumulative", ty, figure, weight(profile, row.cumulative).1);
        let share = Meaning { unit: Unit::Share, measured };
        grid.put("share", Type::Float, share, Value::Float(profile.share(row.own)));
        match by {
            By::Function => {
                grid.put("function", Type::Text, plain, Value::text(&row.name));
                grid.put("place", Type::Text, plain, Value::text(&row.place));
            }
            By::Module => grid.put("module", Type::Text, plain, Value::text(&row.name)),
            By::File => grid.put("file", Type::Text, plain, Value::text(&row.name)),
        }
    }
    if rows.is_empty() {
        return Figures::of_rows(&[("own", Type::Float, plain), ("function", Type::Text, plain)], &[]);
    }
    grid.figures()
}
