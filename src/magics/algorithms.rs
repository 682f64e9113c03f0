use std::sync::Arc;

use crate::algorithms::{self, Claims, Family};
use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, MagicSyntax, Takes};
use crate::plan::Binding;
use crate::run_context::RunContext;
use crate::session::{Session, kept_plan};
use crate::show::grouped;

use super::{Answer, Magic, Offers, ranges};

pub static ALGORITHMS: Magic = Magic {
    syntax: MagicSyntax { name: "algorithms", usage: "%algorithms [NAME]", takes: Takes::Words, options: &[] },
    about: "lists the algorithm families, or one: variants, claimed complexity, inputs; `NAME??` shows the sources",
    examples: &["%algorithms", "%algorithms sorting"],
    offers: Offers::Families,
    privileges: lang::Privileges::none,
    run,
};

fn run(_: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    let (text, families) = match ranges::words(magic) {
        [] => (list(), algorithms::ALL.to_vec()),
        [word] => {
            let family = algorithms::find(&word.text).ok_or_else(|| {
                let names = algorithms::ALL.iter().map(|family| family.facts().name);
                let message = format!("unknown algorithm family `{}`", word.text);
                let error = Diagnostic::at(Kind::Name, word.span, message).near(&word.text, names);
                if error.hint.is_some() { error } else { error.hint("%algorithms lists them") }
            })?;
            (describe(family), vec![family])
        }
        _ => {
            return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%algorithms` takes only one family")
                .hint(ALGORITHMS.syntax.usage));
        }
    };
    let table = Some(Arc::new(kept_plan(Arc::new(claims(&families)), Default::default())));
    Ok(Answer { result: Some(Binding::Result { table, fields: Vec::new(), tables: Vec::new() }), ..Answer::text(text) })
}

/// All families, three lines each.
pub fn list() -> String {
    let width = algorithms::ALL.iter().map(|family| family.facts().name.len()).max().unwrap_or(0);
    let each = algorithms::ALL.iter().map(|family| {
        let facts = family.facts();
        let variants: Vec<String> =
            family.variants().iter().map(|claims| format!("{} {}", claims.name, claims.time)).collect();
        let shapes: Vec<&str> = family.shapes().iter().map(|(name, _)| *name).collect();
        let (name, variants, shapes) = (facts.name, variants.join(" · "), shapes.join(", "));
        format!("{name:width$}  {}\n{:width$}  {variants}\n{:width$}  shapes: {shapes}", facts.about, "", "")
    });
    format!(
        "{}\n\nThe classes are claimed by theory, for the first shape. `%compare sorting` measures them.",
        each.collect::<Vec<_>>().join("\n")
    )
}

/// Variants, claims and shapes of one family.
pub fn describe(family: &'static dyn Family) -> String {
    let (facts, variants, shapes) = (family.facts(), family.variants(), family.shapes());
    let mut lines = vec![format!("{}  (algorithm family)", facts.name), format!("  {}", facts.about)];
    if let Some((takes, gives)) = schemas(family) {
        lines.push(format!("  takes {takes}"));
        lines.push(format!("  returns {gives}"));
    }
    if let Some(stages) = facts.stages {
        lines.push(format!("  as a pipeline: {stages}"));
    }
    lines.push(String::new());
    let mut rows = vec![[
        "variant".to_string(),
        "claimed time".to_string(),
        "claimed space".to_string(),
        "up to n".to_string(),
        String::new(),
    ]];
    rows.extend(variants.iter().map(|claims| {
        let most = grouped(claims.most as u64);
        [claims.name.to_string(), claims.time.to_string(), claims.space.to_string(), most, claims.about.to_string()]
    }));
    lines.extend(aligned(&rows));
    lines.push(format!(
        "  n counts {}; time and space are claimed by theory, for the shape `{}`",
        facts.counts, shapes[0].0
    ));
    for claims in &variants {
        let others = claims.except.iter().map(|(shape, time)| format!("{time} for {shape}"));
        let others: Vec<String> = others.collect();
        if !others.is_empty() {
            lines.push(format!("  {}: {}", claims.name, others.join(", ")));
        }
        if claims.threaded {
            lines.push(format!("  {}: runs on several threads", claims.name));
        }
        lines.extend(claims.bound.map(|why| format!("  {}: at most {}: {why}", claims.name, claims.time)));
    }
    lines.push(String::new());
    let mut rows = vec![["shape".to_string(), String::new()]];
    rows.extend(shapes.iter().map(|(name, about)| [name.to_string(), about.to_string()]));
    lines.extend(aligned(&rows));
    lines.join("\n")
}

/// How each variant is written; what several of them use stands at the first.
pub fn sources(family: &dyn Family) -> String {
    let facts = family.facts();
    let mut parts = vec![format!("// {}: {}", facts.name, facts.about)];
    let mut shown: Vec<&str> = Vec::new();
    for claims in family.variants() {
        let Claims { name, about, time, space, .. } = claims;
        let mut source = family.source(name).unwrap_or_default();
        source.retain(|item| !shown.contains(item));
        parts.push(format!("// {name}: {about}; claimed time {time}, space {space}\n{}", source.join("\n\n")));
        shown.extend(source);
    }
    parts.join("\n\n")
}

/// The columns of the input and of the results.
fn schemas(family: &'static dyn Family) -> Option<(Schema, Schema)> {
    let case = family.case(1, 0, family.shapes().first()?.0).ok()?;
    let result = case.result(family.variants().first()?.name).ok()?;
    Some((case.input().schema().clone(), result.schema().clone()))
}

/// Columns of texts, as wide as they must be.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// A row for each variant, for later cells.
fn claims(families: &[&'static dyn Family]) -> Table {
    let heads = [
        ("family", Type::Text),
        ("variant", Type::Text),
        ("claimed_time", Type::Text),
        ("claimed_space", Type::Text),
        ("most", Type::Int),
    ];
    let mut columns: [Vec<Value>; 5] = Default::default();
    for family in families {
        for claims in family.variants() {
            let row = [
                Value::text(family.facts().name),
                Value::text(claims.name),
                Value::text(&claims.time.to_string()),
                Value::text(&claims.space.to_string()),
                Value::Int(claims.most as i64),
            ];
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
    }
    let schema = heads.map(|(name, ty)| Column { name: name.to_string(), ty }).to_vec();
    Table::from_columns(Schema::new(schema, Order::Kept), columns[0].len(), &columns)
}
