//! `%mapreduce show`: the records of a small input, as they move through the steps of a job.

use std::sync::Arc;

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{self, Choice};
use crate::plan::{Kept, Op, Plan, Prepared, Source, Step};
use crate::report::{Block, Flow, FlowNode, Note, Report};
use crate::run_context::RunContext;
use crate::schedule::{StepKind, TraceBox, trace};
use crate::session::Session;

use super::super::Answer;

/// How many rows of the input are shown.
const MOST_ROWS: u64 = 20;
/// So many records are drawn at one place.
const MOST_DRAWN: usize = 12;
/// So many characters of a value are drawn.
const MOST_TEXT: usize = 32;

pub fn shown(session: &Session, plan: Plan, context: &RunContext) -> Fallible<Answer> {
    let engine = engines::MAPREDUCE;
    let plan = session.prepared(plan, Choice::only(engine), context)?;
    if let Some(objection) = engine.objection(&plan).filter(|_| !is_endless(&plan)) {
        let message = format!("the engine `{}` cannot run this: {}", engine.name(), objection.reason);
        return Err(Diagnostic::at(Kind::Objection, objection.span, message).hint("| on rows runs everything"));
    }
    let (plan, is_sample) = sample(plan, context)?;
    let boxes = trace(&plan, context)?;
    let mut notes: Vec<Note> = Vec::new();
    if is_sample {
        notes.push(format!("a sample: the first {MOST_ROWS} rows of the input").into());
    }
    notes.push("after combine, before reduce: what each task has of a partition, as if it were all".into());
    let blocks = vec![Block::Flow(flow(&boxes)), Block::Notes(notes)];
    Ok(Answer { report: Report { blocks, ..Report::default() }, ..Answer::default() })
}

fn is_endless(plan: &Prepared) -> bool {
    matches!(plan.source.op, Source::Range { end: None, .. })
}

/// The plan over the first rows of its source, and whether there are more.
fn sample(plan: Prepared, context: &RunContext) -> Fallible<(Prepared, bool)> {
    let slice = Op::Slice { offset: 0, length: Some(MOST_ROWS + 1) };
    let first = Step { op: slice, schema: plan.source.schema.clone(), span: plan.source.span };
    let first = Prepared { source: plan.source.clone(), steps: vec![first], ..plan.clone() };
    let rows_of = |plan: &Prepared| engines::REFERENCE.run(plan, context).map(|run| run.table);
    let mut table = rows_of(&first)?;
    let is_sample = table.height() as u64 > MOST_ROWS;
    if is_sample {
        let mut first = first;
        first.steps[0].op = Op::Slice { offset: 0, length: Some(MOST_ROWS) };
        table = rows_of(&first)?;
    }
    let op = Source::Kept(Kept::new(Arc::new(table)));
    Ok((Prepared { source: Step { op, ..plan.source.clone() }, ..plan }, is_sample))
}

/// The places as columns: one for each step of each round.
fn flow(boxes: &[TraceBox]) -> Flow {
    let several = boxes.iter().any(|one| one.round > 1);
    let (mut nodes, mut links): (Vec<FlowNode>, Vec<(usize, usize)>) = (Vec::new(), Vec::new());
    let mut head = None;
    let mut column = 0;
    for (at, one) in boxes.iter().enumerate() {
        if head.is_some_and(|head| head != (one.round, one.step)) {
            column += 1;
        }
        head = Some((one.round, one.step));
        let columns = one.columns.join(", ");
        let step = match several {
            true => format!("{} {} ({columns})", one.round, step_name(one.step)),
            false => format!("{} ({columns})", step_name(one.step)),
        };
        let place = match (one.task, one.partition) {
            (Some(task), None) => format!("task {task}"),
            (None, Some(partition)) => format!("partition {partition}"),
            (Some(task), Some(partition)) => format!("task {task} → partition {partition}"),
            (None, None) => "all".to_string(),
        };
        let records = one.records.iter().take(MOST_DRAWN).map(|record| text_of(record)).collect();
        let more = one.records.len().saturating_sub(MOST_DRAWN);
        nodes.push(FlowNode { column, step, place, records, more });
        // From the nearest step before it that has the same task or partition.
        let before = boxes[..at].iter().enumerate().filter(|(from, _)| nodes[*from].column + 1 == column);
        links.extend(before.filter(|(_, other)| leads_to(other, one)).map(|(from, _)| (from, at)));
    }
    Flow { title: "records of a job".to_string(), nodes, links }
}

fn leads_to(from: &TraceBox, to: &TraceBox) -> bool {
    let same = |a: Option<usize>, b: Option<usize>| a.is_none() || b.is_none() || a == b;
    same(from.task, to.task) && same(from.partition, to.partition)
}

fn step_name(step: StepKind) -> &'static str {
    match step {
        StepKind::Shuffle => "combine and shuffle",
        other => other.name(),
    }
}

fn text_of(record: &[Value]) -> String {
    let plain = |value: &Value| {
        let text = if let Value::Text(text) = value { text.to_string() } else { value.to_string() };
        match text.char_indices().nth(MOST_TEXT) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        }
    };
    let values: Vec<String> = record.iter().map(plain).collect();
    if values.len() == 1 { values[0].clone() } else { format!("({})", values.join(", ")) }
}
