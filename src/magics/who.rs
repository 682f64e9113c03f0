use std::sync::Arc;

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Takes};
use crate::plan::{Binding, BoundOp, Source};
use crate::report::{Block, Measured, MeasuredRows, Report};
use crate::run_context::RunContext;
use crate::session::{Entered, Outcome, Persisted, Session};

use super::{Answer, Magic, Offers, said};

pub static WHO: Magic = Magic {
    syntax: MagicSyntax { name: "who", usage: "%who", takes: Takes::Words, options: &[] },
    about: "lists the names of this session: kind, rows where they are known, bytes where they are kept",
    examples: &["%who"],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run: |session, _, _| {
        let named = names(session);
        let measured = session.names().any(|(_, binding)| binding.is_measured());
        let without_what = |mut row: Vec<Value>| {
            row.remove(2);
            row
        };
        Ok(table(&["name", "kind", "rows", "bytes"], named.into_iter().map(without_what).collect(), measured))
    },
};

pub static WHOS: Magic = Magic {
    syntax: MagicSyntax { name: "whos", usage: "%whos", takes: Takes::Words, options: &[] },
    about: "lists names and results: type, rows, bytes in memory, lazy or kept",
    examples: &["%whos"],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run: |session, _, _| {
        let results_measured = session.entered().iter().any(|entered| match &entered.outcome {
            Outcome::Kept(binding) => binding.is_measured(),
            Outcome::Nothing | Outcome::Dropped(_) => false,
        });
        let measured = results_measured || session.names().any(|(_, binding)| binding.is_measured());
        let rows = names(session).into_iter().chain(results(session)).collect();
        Ok(table(&["name", "kind", "what", "rows", "bytes"], rows, measured))
    },
};

pub static DEL: Magic = Magic {
    syntax: MagicSyntax { name: "del", usage: "%del NAME …", takes: Takes::Words, options: &[] },
    about: "removes names; what was built with them is kept",
    examples: &[],
    offers: Offers::Names,
    privileges: lang::Privileges::none,
    run: del,
};

pub static RESET: Magic = Magic {
    syntax: MagicSyntax { name: "reset", usage: "%reset", takes: Takes::Words, options: &[] },
    about: "removes all names, functions, results and kept tables, also of Rust cells; settings are kept",
    examples: &["%reset"],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run: |session, _, context| {
        session.reset();
        session.reset_rust(context)?;
        Ok(Answer::default())
    },
};

/// A row for each name: kind, what it is, rows where known, bytes in memory.
fn names(session: &Session) -> Vec<Vec<Value>> {
    let mut rows = Vec::new();
    for (name, binding) in session.names() {
        let (kind, count, bytes) = match binding {
            Binding::Value(..) => ("value", Value::Null, Value::Null),
            Binding::Table(plan) => match (&plan.steps[0].op, session.kept_table(plan)) {
                (_, Some(table)) => (kept(&table), Value::Int(table.rows as i64), Value::Int(table.bytes as i64)),
                (BoundOp::Source(Source::Kept(kept)), None) if plan.steps.len() == 1 => {
                    ("kept table", Value::Int(kept.table().height() as i64), Value::Int(kept.table().bytes() as i64))
                }
                _ => match plan.store() {
                    Some(store) => ("store", Value::Int(store.keys as i64), Value::Null),
                    None if plan.job().is_some() => ("job", Value::Null, Value::Null),
                    None => ("lazy table", Value::Null, Value::Null),
                },
            },
            Binding::Result { .. } => ("result", Value::Null, Value::Null),
        };
        rows.push(vec![Value::text(name), Value::text(kind), Value::text(&said(binding)), count, bytes]);
    }
    let mut here = session.newest_function();
    let mut seen: Vec<String> = Vec::new();
    while let Some(definition) = here {
        let name = &definition.function.name.text;
        if !seen.contains(name) {
            let about = Value::text(&definition.signature());
            rows.push(vec![Value::text(name), Value::text("function"), about, Value::Null, Value::Null]);
            seen.push(name.clone());
        }
        here = definition.before.clone();
    }
    let (variables, items) = session.rust.known();
    let rust = |name: &str, kind: &str, about: &str| {
        vec![Value::text(name), Value::text(kind), Value::text(about), Value::Null, Value::Null]
    };
    rows.extend(variables.iter().map(|(name, ty)| rust(name, "rust variable", ty)));
    rows.extend(items.iter().map(|name| rust(name, "rust item", "")));
    rows
}

/// How a table is kept, in words.
fn kept(table: &Persisted) -> &'static str {
    match (table.storage.compressed, table.storage.on_disk) {
        (false, false) => "kept table",
        (true, false) => "compressed table",
        (false, true) => "table on disk",
        (true, true) => "compressed table on disk",
    }
}

/// A row for each result that is kept or was dropped.
fn results(session: &Session) -> Vec<Vec<Value>> {
    let row = |(i, entered): (usize, &Entered)| {
        let (kind, what, rows) = match &entered.outcome {
            Outcome::Nothing => return None,
            Outcome::Kept(binding) => {
                let (what, rows) = match binding {
                    Binding::Result { table: Some(plan), fields, .. } => {
                        let rows = fields.iter().find(|field| field.name == "rows");
                        (plan.schema().to_string(), rows.map_or(Value::Null, |rows| rows.value.clone()))
                    }
                    Binding::Result { table: None, fields, tables } => {
                        let tables = tables.iter().map(|(name, _)| name.as_str());
                        let names: Vec<&str> = fields.iter().map(|field| field.name).chain(tables).collect();
                        (names.join(", "), Value::Null)
                    }
                    Binding::Value(..) | Binding::Table(_) => (said(binding), Value::Null),
                };
                ("result", what, rows)
            }
            Outcome::Dropped(_) => ("dropped", "its figures are kept".to_string(), Value::Null),
        };
        let name = format!("_{}", i + 1);
        Some(vec![Value::text(&name), Value::text(kind), Value::text(&what), rows, Value::Int(entered.bytes as i64)])
    };
    session.entered().iter().enumerate().filter_map(row).collect()
}

fn none() -> Answer {
    Answer::text("no names yet: let name = …, fn name(x) = …".to_string())
}

fn table(columns: &[&str], rows: Vec<Vec<Value>>, measured: bool) -> Answer {
    if rows.is_empty() {
        return none();
    }
    let schema = columns.iter().map(|name| {
        let ty = if matches!(*name, "rows" | "bytes") { Type::Int } else { Type::Text };
        Column { name: name.to_string(), ty }
    });
    let schema = Schema::new(schema.collect(), Order::Kept);
    let by_column: Vec<Vec<Value>> =
        (0..columns.len()).map(|i| rows.iter().map(|row| row[i].clone()).collect()).collect();
    let table = Arc::new(Table::from_columns(schema, rows.len(), &by_column));
    // Names and kinds are the same in each run.
    let is_counted = |name: &&str| matches!(*name, "name" | "kind");
    let measured = Measured {
        columns: columns.iter().map(|name| measured && !is_counted(name)).collect(),
        rows: MeasuredRows::default(),
    };
    Answer {
        report: Report { blocks: vec![Block::Table { table, measured }], ..Report::default() },
        ..Answer::default()
    }
}

fn del(session: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    let Argument::Words(words) = &magic.subject else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%del` needs a name").hint("%who lists them"));
    };
    for word in words {
        if !session.forget(&word.text) {
            let names: Vec<String> = session.names().map(|(name, _)| name.clone()).collect();
            return Err(Diagnostic::at(Kind::Name, word.span, format!("unknown name `{}`", word.text))
                .near(&word.text, names.iter().map(String::as_str)));
        }
    }
    Ok(Answer::default())
}
