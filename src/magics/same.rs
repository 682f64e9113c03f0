use std::sync::Arc;

use crate::data::{Sameness, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{self, Choice};
use crate::lang::{self, Argument, MagicSyntax, Pipeline, Takes};
use crate::plan::{Binding, Plan, Prepared};
use crate::report::{Field, Report, Unit};
use crate::run_context::RunContext;
use crate::rust;
use crate::session::{Bound, Session, only_table, value_table};

use super::{Answer, CellStatus, Magic, Offers, told};

pub static SAME: Magic = Magic {
    syntax: MagicSyntax {
        name: "same",
        usage: "%same PIPELINE, PIPELINE — or: %same PIPELINE (on all engines)",
        takes: Takes::Pipelines,
        options: &[],
    },
    about: "checks whether two pipelines return the same table, or one pipeline the same on all engines",
    examples: &[
        "%same (1..10 | reverse | reverse), (1..10)",
        "%same read \"samples/kjv.txt\" | words | count by word | top 5",
    ],
    offers: Offers::Nothing,
    // One pipeline alone runs on all engines.
    privileges: |magic| match &magic.subject {
        Argument::Pipelines(pipelines) if pipelines.len() == 1 => {
            engines::ALL.iter().map(|engine| engine.privileges(&[])).collect()
        }
        _ => lang::Privileges::NONE,
    },
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let lines =
        match &magic.subject {
            Argument::Pipelines(pipelines) => match &pipelines[..] {
                [one] => engines_agree(session, one, context)?,
                [a, b] => {
                    let ((here, a), (there, b)) = (table(session, a, context)?, table(session, b, context)?);
                    let plans = a.into_iter().chain(b).map(|plan| anew(session, plan, context));
                    vec![verdict(session.same([&here, &there], plans, context)?)]
                }
                _ => {
                    return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%same` compares two pipelines")
                        .hint(SAME.syntax.usage));
                }
            },
            _ => {
                return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%same` needs something to compare")
                    .hint(SAME.syntax.usage));
            }
        };
    let failed = lines.iter().any(|line| line.failed);
    let agree = !failed && lines.iter().all(|line| matches!(line.found, None | Some(Sameness::Same)));
    let differ = lines.iter().any(|line| matches!(line.found, Some(Sameness::Different(_))));
    let row = |line: &Line| {
        let same = match &line.found {
            Some(Sameness::Same) => Value::Bool(true),
            Some(Sameness::Different(_)) => Value::Bool(false),
            Some(Sameness::CannotTell(_)) | None => Value::Null,
        };
        vec![line.engine.map_or(Value::Null, Value::text), same, Value::text(&line.text)]
    };
    let rows: Vec<Vec<Value>> = lines.iter().map(row).collect();
    let columns = [("engine", Type::Text), ("same", Type::Bool), ("said", Type::Text)];
    let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let report = Report { blocks: vec![told(text.join("\n"), &columns, &rows)], ..Report::default() };
    let fields = vec![Field::counted("agree", Value::Bool(agree), Unit::Plain)];
    let result = Binding::Result { table: None, fields, tables: Vec::new() };
    let status = match (failed, differ) {
        (true, _) => CellStatus::Failed,
        (_, true) => CellStatus::Different,
        _ => CellStatus::Good,
    };
    Ok(Answer { report, result: Some(result), status, ..Answer::default() })
}

/// What is told of a comparison, and what it found, where there was one.
struct Line {
    text: String,
    /// The engine that is held against the reference.
    engine: Option<&'static str>,
    found: Option<Sameness>,
    /// The engine ended with an error that is no objection.
    failed: bool,
}

/// Runs one pipeline on every engine and holds each against the reference.
fn engines_agree(session: &mut Session, pipeline: &Pipeline, context: &RunContext) -> Fallible<Vec<Line>> {
    let reference = engines::REFERENCE;
    let bound = session.bind(pipeline)?;
    let Bound::Table(plan) = bound else {
        return Ok(vec![Line {
            text: "a value: no engine is asked".to_string(),
            engine: None,
            found: None,
            failed: false,
        }]);
    };
    only_table(&plan)?;
    let expected = session.run(plan.clone(), Choice::only(reference), context)?.table;
    let mut lines = Vec::new();
    for engine in engines::ALL.iter().filter(|engine| engine.name() != reference.name()) {
        let name = engine.name();
        lines.push(match session.run(plan.clone(), Choice::only(*engine), context) {
            Ok(ran) => {
                let plans = std::iter::once_with(|| anew(session, plan.clone(), context));
                let line = verdict(session.same([&expected, &ran.table], plans, context)?);
                Line { text: format!("{} and {name}: {}", reference.name(), line.text), engine: Some(name), ..line }
            }
            Err(error) if error.kind == Kind::Stopped => return Err(error),
            Err(error) if error.kind == Kind::Objection => {
                Line { text: format!("{name}: {}", error.message), engine: Some(name), found: None, failed: false }
            }
            // What compiles it may not be there.
            Err(error) if engine.is_compiled() && rust::library_folder().is_err() => Line {
                text: format!("{name}: not run: {}", error.message),
                engine: Some(name),
                found: None,
                failed: false,
            },
            // The reference could run it.
            Err(error) => Line {
                text: format!("✗ {name} failed: {}", error.message),
                engine: Some(name),
                found: None,
                failed: true,
            },
        });
    }
    Ok(lines)
}

/// The table of a pipeline, and its plan.
fn table(session: &mut Session, pipeline: &Pipeline, context: &RunContext) -> Fallible<(Arc<Table>, Option<Plan>)> {
    let engine = session.engine(pipeline.on.as_ref())?;
    match session.bind(pipeline)? {
        Bound::Table(plan) => {
            only_table(&plan)?;
            Ok((session.run(plan.clone(), engine, context)?.table, Some(plan)))
        }
        Bound::Value(value, ty) => Ok((Arc::new(value_table(value, ty)), None)),
    }
}

/// What computes a whole plan once more, also what was kept of it.
fn anew(session: &Session, plan: Plan, context: &RunContext) -> Fallible<Prepared> {
    session.prepared(plan.without_persist(), Choice::only(engines::REFERENCE), context)
}

fn verdict(found: Sameness) -> Line {
    let text = match &found {
        Sameness::Same => "✓ the same table".to_string(),
        Sameness::Different(how) => format!("✗ different: {how}"),
        Sameness::CannotTell(why) => format!("? cannot tell: {why}"),
    };
    Line { text, engine: None, found: Some(found), failed: false }
}
