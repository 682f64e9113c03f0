use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines;
use crate::lang::{self, Argument, MagicSyntax, Statement, Takes};
use crate::plan::{Plan, Reach, Step, op_text};
use crate::run_context::RunContext;
use crate::session::{Bound, Session};

use super::{Answer, Magic, Offers};

pub static EXPLAIN: Magic = Magic {
    syntax: MagicSyntax { name: "explain", usage: "%explain PIPELINE", takes: Takes::Statement, options: &[] },
    about: "shows the plan with its types, and how each engine runs it; runs nothing but what the plan needs to \
            know",
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
            let text = format!("a value: {value}, {ty}; no engine is asked");
            return Ok(Answer::text(text));
        }
    };
    let engine = session.engine(pipeline.on.as_ref())?;
    let plan = session.prepared(plan, engine, context)?;
    let mut lines = vec!["plan".to_string()];
    lines.extend(steps(&plan));
    // The session itself writes, and hands a table to branches.
    let mut plan = plan;
    if plan.is_final() {
        plan.steps.pop();
    }
    for engine in engines::ALL {
        lines.push(String::new());
        lines.push(format!("{}: {}", engine.name(), engine.about()));
        match engine.objection(&plan) {
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
                     of a row, a comparison of a sort, a probe of a hash table, a row that is moved; \
                     1/8 for a byte that is copied or read";

/// What stands before each step.
const REACHES: &str = "reach: a `row` step works on any part of its rows by itself; the parts of an `all` step are \
                       merged; a `seq` step needs its whole input in order";

/// Each step with its reach and the columns that flow out of it.
fn steps(plan: &Plan) -> Vec<String> {
    let inputs = std::iter::once(plan.schema()).chain(plan.steps.iter().map(|step| &step.schema));
    let said: Vec<String> = plan.steps.iter().zip(inputs).map(|(step, input)| op_text(&step.op, input, plan)).collect();
    let width = said.iter().map(|line| line.chars().count()).max().unwrap_or(0).min(60);
    let each = said.iter().zip(&plan.steps).zip(plan.reaches());
    let line = |((line, step), reach): ((&String, &Step), Reach)| {
        format!("  {:6}  {line:width$}  → {}", reach.name(), step.schema)
    };
    each.map(line).collect()
}
