use std::sync::Arc;

use crate::data::{Sameness, Table, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{self, Choice};
use crate::lang::{self, Argument, MagicSyntax, Pipeline, Takes};
use crate::plan::Binding;
use crate::report::{Block, Report};
use crate::run_context::RunContext;
use crate::session::{Bound, Session, only_table, value_table};

use super::{Answer, Magic, Offers};

pub static SAME: Magic = Magic {
    syntax: MagicSyntax {
        name: "same",
        usage: "%same PIPELINE, PIPELINE — or: %same PIPELINE (on all engines)",
        takes: Takes::Pipelines,
        options: &[],
    },
    about: "whether two pipelines give the same table, or one pipeline the same on all engines",
    examples: &[
        "%same (1..10 | reverse | reverse), (1..10)",
        "%same read \"samples/kjv.txt\" | words | count by word | top 5",
    ],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let lines =
        match &magic.subject {
            Argument::Pipelines(pipelines) => match &pipelines[..] {
                [one] => engines_agree(session, one, context)?,
                [a, b] => {
                    let (here, there) = (table(session, a, context)?, table(session, b, context)?);
                    vec![verdict(&here.same(&there))]
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
    let agree = lines.iter().all(|(_, same)| *same);
    let text: Vec<String> = lines.into_iter().map(|(line, _)| line).collect();
    let report = Report { blocks: vec![Block::Text(text.join("\n"))], status_line: Vec::new() };
    let fields = vec![("agree".to_string(), Value::Bool(agree))];
    let result = Binding::Result { table: None, fields, tables: Vec::new() };
    Ok(Answer { report, result: Some(result), ..Answer::default() })
}

/// Runs one pipeline on every engine and holds each against the reference.
fn engines_agree(session: &mut Session, pipeline: &Pipeline, context: &RunContext) -> Fallible<Vec<(String, bool)>> {
    let reference = engines::reference();
    let bound = session.bind(pipeline)?;
    let Bound::Table(plan) = bound else {
        return Ok(vec![("a value: no engine is asked".to_string(), true)]);
    };
    only_table(&plan)?;
    let expected = session.run(plan.clone(), Choice::only(reference), context)?.table;
    let mut lines = Vec::new();
    for engine in &engines::ALL[1..] {
        let name = engine.name();
        lines.push(match session.run(plan.clone(), Choice::only(*engine), context) {
            Ok(ran) => {
                let (said, same) = verdict(&expected.same(&ran.table));
                (format!("{} and {name}: {said}", reference.name()), same)
            }
            // What compiles it may not be there.
            Err(error) if error.kind == Kind::System && engine.code().is_some() => {
                (format!("{name}: not run: {}", error.message), true)
            }
            Err(error) if error.kind == Kind::Objection => (format!("{name}: {}", error.message), true),
            Err(error) => return Err(error),
        });
    }
    Ok(lines)
}

fn table(session: &mut Session, pipeline: &Pipeline, context: &RunContext) -> Fallible<Arc<Table>> {
    let engine = session.engine(pipeline.on.as_ref())?;
    match session.bind(pipeline)? {
        Bound::Table(plan) => {
            only_table(&plan)?;
            Ok(session.run(plan, engine, context)?.table)
        }
        Bound::Value(value, ty) => Ok(Arc::new(value_table(value, ty))),
    }
}

fn verdict(sameness: &Sameness) -> (String, bool) {
    match sameness {
        Sameness::Same => ("✓ the same table".to_string(), true),
        Sameness::Different(how) => (format!("✗ different: {how}"), false),
        Sameness::CannotTell(why) => (format!("? cannot tell: {why}"), false),
    }
}
