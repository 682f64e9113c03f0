//! The functions of a pipeline on the engine `rows`, which calls them one by one.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Pipeline};
use crate::meters::{CallNode, Calls, Meters, NO_FUNCTION};
use crate::profiles::{Function, Profile, Stacks, Unit};
use crate::run_context::RunContext;
use crate::session::Session;

use super::super::Answer;
use super::pipeline::table_plan;
use super::table::Shape;

pub fn calls(
    session: &mut Session,
    magic: &lang::Magic,
    subject: &Pipeline,
    shape: &Shape,
    context: &RunContext,
) -> Fallible<Answer> {
    let choice = session.engine(subject.on.as_ref())?;
    let plan = table_plan(session, subject)?;
    session.settle(context)?;
    let noted = Arc::new(Calls::default());
    let meters = Meters { calls: Some(noted.clone()), ..Meters::default() };
    session.run(plan, choice, &RunContext { meters, ..context.clone() })?;
    let nodes = noted.each();
    if nodes.len() < 2 {
        let message = "on `rows` the calls of each `fn` are measured, but this pipeline calls none";
        return Err(Diagnostic::at(Kind::Objection, subject.span, message)
            .hint("end it with | on batch to measure its operators"));
    }
    let notes = vec!["each call is timed, so that a function of little work looks slower than it is".into()];
    Ok(super::answer(session, magic, profile(&nodes, &noted.names()), shape, notes, true))
}

fn profile(nodes: &[CallNode], names: &[String]) -> Profile {
    let mut stacks = Stacks::default();
    let rest = stacks.function(Function { module: "rows".to_string(), ..Function::named("the stages themselves") });
    let functions: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let of_it = nodes.iter().filter(|node| node.function == number);
            let calls = of_it.fold((0, 0), |(all, first), node| (all + node.calls.0, first + node.calls.1));
            stacks.function(Function { module: "fn".to_string(), calls: Some(calls), ..Function::named(name) })
        })
        .collect();
    for (at, node) in nodes.iter().enumerate() {
        let mut stack = Vec::new();
        let mut up = at;
        while nodes[up].function != NO_FUNCTION {
            stack.push(functions[nodes[up].function]);
            up = nodes[up].parent;
        }
        stack.push(rest);
        stacks.add(stack.into_iter().rev(), node.own.as_secs_f64());
    }
    stacks.profile("the functions of rows", Unit::Seconds)
}
