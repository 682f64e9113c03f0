use std::sync::Arc;

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Kind};
use crate::lang::{Argument, MagicSyntax, Privileges, Takes};
use crate::plan::Binding;
use crate::races::{self, Demo, Versions};
use crate::report::{Block, Report};
use crate::session::kept_plan;

use super::{Answer, Magic, Offers};

pub static RACES: Magic = Magic {
    syntax: MagicSyntax { name: "races", usage: "%races", takes: Takes::Words, options: &[] },
    about: "lists the races of the catalogue: what goes wrong in each, its versions and its lesson\n\n\
            Use\n  \
            `%race NAME` runs one, `NAME?` describes it, `NAME??` shows the source of every version.",
    examples: &["%races", "counter?", "ticket??"],
    offers: Offers::Nothing,
    privileges: Privileges::none,
    run: |_, magic, _| {
        if let Argument::Words(words) = &magic.subject
            && let Some(word) = words.first()
        {
            let name = word.text.trim_end_matches('?');
            let hint = match races::find(name) {
                Some(_) => format!("%race {name} runs it, {name}? describes it"),
                None => "%races".to_string(),
            };
            let message = format!("`%races` takes no arguments, got `{}`", word.text);
            return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint(hint));
        }
        let rows = races::ALL.iter().map(|demo| {
            [
                demo.name.to_string(),
                demo.wrong.to_string(),
                demo.version_names().len().to_string(),
                demo.lesson.to_string(),
            ]
        });
        let mut columns: [Vec<Value>; 4] = Default::default();
        for [name, wrong, versions, lesson] in rows {
            let row = [
                Value::text(&name),
                Value::text(&wrong),
                versions.parse().map_or(Value::Null, Value::Int),
                Value::text(&lesson),
            ];
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
        let heads = [("name", Type::Text), ("goes_wrong", Type::Text), ("versions", Type::Int), ("lesson", Type::Text)];
        let schema = heads.map(|(name, ty)| Column { name: name.to_string(), ty }).to_vec();
        let table = Arc::new(Table::from_columns(Schema::new(schema, Order::Kept), columns[0].len(), &columns));
        let result = Binding::Result {
            table: Some(Arc::new(kept_plan(table.clone(), Default::default()))),
            fields: Vec::new(),
            tables: Vec::new(),
        };
        let report = Report { blocks: vec![Block::counted(table)], ..Report::default() };
        Ok(Answer { report, result: Some(result), ..Answer::default() })
    },
};

/// A demo for the help: what goes wrong, its lesson, its versions.
pub fn describe(demo: &Demo) -> String {
    let mut lines = vec![format!("{}  (race)", demo.name), format!("  goes wrong: {}", demo.wrong)];
    lines.push(format!("  {}", demo.lesson));
    lines.push(String::new());
    let described = demo.described();
    let width = described.iter().map(|(name, _, _)| name.chars().count()).max().unwrap_or(0);
    lines.extend(described.iter().map(|(name, about, safe)| format!("  {name:width$}  safe: {safe:9}  {about}")));
    if let Versions::Native(native) = &demo.versions {
        lines.extend(native.left_out.iter().map(|(name, why)| format!("  no {name}: {why}")));
    }
    lines.push(String::new());
    lines.push(format!("  › %race {}", demo.name));
    lines.push(format!("  › %race play {}", demo.name));
    lines.join("\n")
}
