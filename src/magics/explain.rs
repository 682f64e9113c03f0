use std::sync::Arc;

use crate::data::{Schema, Table};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines;
use crate::lang::{self, Argument, MagicSyntax, Statement, Takes};
use crate::plan::{BoundOp, Kept, Prepared, Reach, Source, Step, Write, op_text, rounds_text, source_text};
use crate::run_context::RunContext;
use crate::session::{Bound, Session};

use super::{Answer, Magic, Offers};

pub static EXPLAIN: Magic = Magic {
    syntax: MagicSyntax { name: "explain", usage: "%explain PIPELINE", takes: Takes::Statement, options: &[] },
    about: "shows the plan with its types and how each engine runs it; runs only what the plan needs to know",
    examples: &["%explain 1..1M | map it * 3 | filter it % 2 == 0 | sum"],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let statement = if let Argument::Statement(statement) = &magic.subject { Some(&**statement) } else { None };
    let pipeline = match statement {
        Some(Statement::Pipeline(pipeline)) => pipeline,
        _ => {
            return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%explain` needs a pipeline")
                .hint("for example: %explain 1..10 | sum"));
        }
    };
    let plan = match session.bind(pipeline)? {
        Bound::Table(plan) => plan,
        Bound::Value(value, ty) => {
            let text = format!("a value: {value}, {ty}; no engine is needed");
            return Ok(Answer::text(text));
        }
    };
    let engine = session.engine(pipeline.on.as_ref())?;
    // The session itself writes, and hands a table to branches.
    let (plan, end) = plan.split_end();
    let plan = session.prepared(plan, engine, context)?;
    let mut lines = vec!["plan".to_string()];
    lines.extend(steps(&plan));
    match end {
        Some(Step { op: BoundOp::Write(write), schema, .. }) => lines.push(write_line(&write, &schema)),
        Some(Step { op: BoundOp::Tee(branches), .. }) => {
            let table = Kept::new(Arc::new(Table::stacked(plan.schema(), [])));
            for (name, branch) in branches {
                let (mut branch, end) = branch.without_persist().split_end();
                branch.steps[0].op = BoundOp::Source(Source::Kept(table.clone()));
                let branch = session.prepared(branch, engine, context)?;
                lines.push(format!("tee {name}"));
                lines.extend(steps(&branch).into_iter().skip(1));
                if let Some(Step { op: BoundOp::Write(write), schema, .. }) = end {
                    lines.push(write_line(&write, &schema));
                }
            }
        }
        _ => {}
    }
    // Those elsewhere are told of where they are asked for.
    let elsewhere = Some(engine.engine).filter(|engine| engine.elsewhere().is_some());
    for engine in engines::ALL.iter().copied().chain(elsewhere) {
        lines.push(String::new());
        lines.push(format!("{}: {}", engine.name(), engine.about()));
        match engines::objection(engine, &plan) {
            Some(objection) => lines.push(format!("  cannot run this: {}", objection.reason)),
            None => lines.extend(engine.explain(&plan).into_iter().map(|line| format!("  {line}"))),
        }
    }
    lines.push(String::new());
    lines.push(REACHES.to_string());
    lines.push(STEPS.to_string());
    Ok(Answer::text(lines.join("\n")))
}

/// What `rows` counts, for `%time` and `%bigo`.
const STEPS: &str = "steps, as `rows` counts them: 1 for a row that passes a stage, an operator, a call, an aggregate \
                     of a row, a comparison in a sort, a probe of a hash table, a row that is moved; 1/8 for a byte \
                     that is copied or read";

/// What stands before each step.
const REACHES: &str = "reach: a `row` step can run on any part of the rows separately; the parts of an `all` step are \
                       merged; a `seq` step needs its whole input in order";

/// Each step with its reach and the columns that flow out of it.
fn steps(plan: &Prepared) -> Vec<String> {
    let mut before = Vec::new();
    let source = match &plan.source.op {
        Source::Iterated(iterated) => {
            before = steps(&iterated.input);
            before.push(format!("  {:6}  {} {{", Reach::All.name(), rounds_text(iterated)));
            before.extend(steps(&iterated.rounds.block).into_iter().skip(1).map(|line| format!("  {line}")));
            "} gives what its last round gives".to_string()
        }
        source => source_text(source),
    };
    let said: Vec<String> =
        std::iter::once(source).chain(plan.steps().map(|(step, input)| op_text(&step.op, input, plan))).collect();
    let width = said.iter().map(|line| line.chars().count()).max().unwrap_or(0).min(60);
    let schemas = std::iter::once(&plan.source.schema).chain(plan.steps.iter().map(|step| &step.schema));
    let line = |((line, schema), reach): ((&String, &Schema), Reach)| {
        format!("  {:6}  {line:width$}  → {schema}", reach.name())
    };
    before.into_iter().chain(said.iter().zip(schemas).zip(plan.reaches()).map(line)).collect()
}

fn write_line(write: &Write, schema: &Schema) -> String {
    let parts = write.parts.map(|parts| format!(" parts {parts}")).unwrap_or_default();
    format!("  {:6}  write {:?}{parts} as {}  → {schema}", Reach::Seq.name(), write.shown, write.format.name())
}
