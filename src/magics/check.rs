use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, Cell, MagicSyntax, Statement, Takes, parse};
use crate::report::{Note, Report};
use crate::run_context::RunContext;
use crate::session::{CellValue, Session};

use super::{Answer, Magic, Offers, Tables};

pub static CHECK: Magic = Magic {
    syntax: MagicSyntax { name: "check", usage: "%check EXPRESSION", takes: Takes::Statement, options: &[] },
    about: "claims that an expression is true; else the cell fails and shows the values that it read\n\n\
            Claims\n  \
            In a notebook a claim stands for what you want to be sure of: %check _.speedup > 3.\n  \
            Leave room: on a busy machine, what takes ten times as long may look like five times.\n  \
            `timelab test` measures once more before it lets a claim fail.\n  \
            null, and any type but bool, is an error.",
    examples: &["%check 0.1 + 0.2 != 0.3", "%check sum(range(1, 10)) == 45"],
    offers: Offers::Names,
    privileges: lang::Privileges::none,
    run,
};

/// The values that a claim has read.
pub const SAYS: &[&str] = &["~: {words} = {words}"];

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let Argument::Statement(statement) = &magic.subject else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%check` needs an expression")
            .hint("for example: %check _.median < 1ms"));
    };
    let Statement::Pipeline(pipeline) = &**statement else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%check` needs an expression, not a definition")
            .hint("for example: %check _.median < 1ms"));
    };
    let text = session.words(pipeline.span).to_string();
    let given = session.statement(statement, context)?;
    let (value, ty) = match given {
        CellValue::Value(value, ty, _) => (value, ty),
        CellValue::Table(ran) if ran.table.height() == 1 && ran.table.schema().columns.len() == 1 => {
            (ran.table.values(0, 0, 1).remove(0), ran.table.schema().columns[0].ty.clone())
        }
        _ => {
            return Err(Diagnostic::at(Kind::Type, pipeline.span, "`%check` needs one value, and this is a table")
                .hint("name it first: let n = … | count, then %check n > 0"));
        }
    };
    let read = values_read(session, &text, context);
    let shown = if read.is_empty() { String::new() } else { format!(": {}", read.join(", ")) };
    match (value, ty) {
        (Value::Bool(true), _) => {
            let line = Note::from("✓ the claim holds").found(shown);
            Ok(Answer { report: Report { status_line: vec![line], ..Report::default() }, ..Answer::default() })
        }
        (Value::Bool(false), _) => {
            Err(Diagnostic::at(Kind::Claim, pipeline.span, format!("the claim does not hold{shown}")))
        }
        (Value::Null, _) => {
            let message = format!("the claim is null: what it reads is not there{shown}");
            Err(Diagnostic::at(Kind::Type, pipeline.span, message))
        }
        (_, ty) => {
            let message = format!("`%check` needs true or false, got {}{shown}", ty_name(&ty));
            Err(Diagnostic::at(Kind::Type, pipeline.span, message).hint("compare it with something: == < >"))
        }
    }
}

fn ty_name(ty: &Type) -> String {
    ty.to_string()
}

/// The names of an expression and their fields, each with its value: `_.median = 1.2e-3`.
fn values_read(session: &mut Session, text: &str, context: &RunContext) -> Vec<String> {
    const MOST: usize = 120;
    let mut read: Vec<String> = Vec::new();
    for name in names(text) {
        let id = session.remember(&name);
        let Ok(Cell::Statements(statements)) = parse(id, &name, &Tables) else { continue };
        let [statement] = &statements[..] else { continue };
        // What is not a value of the session, such as a function, says nothing.
        let Ok(CellValue::Value(value, ..)) = session.statement(statement, context) else { continue };
        let value: String = value.to_string().chars().take(MOST).collect();
        let line = format!("{name} = {value}");
        if !read.contains(&line) {
            read.push(line);
        }
    }
    read
}

/// What may be a name, with its fields; not what stands in quotes, and not what is called.
fn names(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c == '"' || c == '\'' || c.is_alphanumeric() || c == '_') {
        let word = &rest[start..];
        let quote = word.chars().next().filter(|c| matches!(c, '"' | '\''));
        if let Some(quote) = quote {
            let end = word[1..].find(quote).map_or(word.len(), |end| end + 2);
            rest = &word[end..];
            continue;
        }
        let end = word.find(|c: char| !is_part(c)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if is_name && !after.trim_start().starts_with('(') {
            found.push(name.trim_end_matches('.').to_string());
        }
        rest = after;
    }
    found
}
