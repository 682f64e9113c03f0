//! Plans cut into stages.

use std::sync::Arc;

use crate::data::Schema;
use crate::diagnostic::Span;
use crate::kernel::KeysAt;
use crate::plan::{AggFunc, Function, Limits, Op, Prepared, Source, Step, op_text, source_text};

/// A part of a plan that many tasks do. It is plain data: another process that has `tasks` (see [`Prepared::to_json`])
/// and `pairs` can run a task too.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// What each task does: the source, of which it reads a part, and steps. Where the last one is a pipeline breaker,
    /// a task gives what that has of its rows; else it gives rows.
    pub tasks: Prepared,
    /// Whether the first step takes the pairs of the source's rows; the schema of the source is that of the pairs.
    pub pairs: bool,
    /// Steps that take the rows of all tasks in their order, on one thread. Their source says which columns these have.
    pub in_order: Prepared,
}

impl Stage {
    /// The stage of tasks that another process has described.
    pub fn of_tasks(tasks: Prepared, pairs: bool) -> Stage {
        let in_order = without_source(tasks.schema(), Vec::new(), &[]);
        Stage { tasks, pairs, in_order }
    }

    /// A stage whose tasks do only this step, with rows of these columns, after `before`.
    pub fn of_step(step: Step, columns: &Schema, before: &Stage) -> Stage {
        let tasks = without_source(columns, vec![step], &before.tasks.functions);
        Stage::of_tasks(tasks, false)
    }

    /// The first stage of these steps, and how many of them are in it. `joins` says whether tasks may hold right sides.
    pub fn first(
        source: Step<Source>,
        pairs: bool,
        steps: &[Step],
        functions: &[Function],
        joins: bool,
    ) -> (Stage, usize) {
        let mut is_numbered = !pairs && !matches!(source.op, Source::Read(_));
        let mut tasks =
            Prepared { source, steps: Vec::new(), functions: functions.to_vec(), limits: Limits::default() };
        let mut taken = 0;
        for step in steps {
            match &step.op {
                Op::Project(_) | Op::Tally(_) => {}
                Op::Number if is_numbered => {}
                Op::Filter(_) | Op::Explode(_) => is_numbered = false,
                Op::Join { .. } if joins => is_numbered = false,
                Op::Aggregate { .. } | Op::Sort { .. } | Op::Reverse | Op::Pairs | Op::Sample { .. } => {
                    tasks.steps.push(step.clone());
                    let in_order = without_source(tasks.schema(), Vec::new(), functions);
                    return (Stage { tasks, pairs, in_order }, taken + 1);
                }
                // What a task need not give is left out by itself; the rest is done with the rows of all.
                Op::Distinct(_) => {
                    tasks.steps.push(step.clone());
                    break;
                }
                Op::Slice { offset, length: Some(length) } => {
                    let op = Op::Slice { offset: 0, length: Some(offset.saturating_add(*length)) };
                    tasks.steps.push(Step { op, ..step.clone() });
                    break;
                }
                Op::Slice { length: None, .. }
                | Op::Join { .. }
                | Op::Number
                | Op::Peek { .. }
                | Op::Fold { .. }
                | Op::Concat(_)
                | Op::Zip(_) => break,
            }
            tasks.steps.push(step.clone());
            taken += 1;
        }
        let rest = &steps[taken..];
        let last = rest.iter().position(|step| step.op.is_breaker()).map_or(rest.len(), |last| last + 1);
        let in_order = without_source(tasks.schema(), rest[..last].to_vec(), functions);
        (Stage { tasks, pairs, in_order }, taken + last)
    }

    /// What it does, in the words of its steps.
    pub fn text(&self) -> String {
        let of_tasks = self.tasks.steps().map(|(step, input)| op_text(&step.op, input, &self.tasks));
        let in_order = self.in_order.steps().map(|(step, input)| op_text(&step.op, input, &self.in_order));
        let source = std::iter::once(source_text(&self.tasks.source.op));
        source.chain(of_tasks).chain(in_order).collect::<Vec<_>>().join(" → ")
    }

    /// The columns that flow into its last step.
    pub fn last_input(&self) -> &Schema {
        let plan = if self.in_order.steps.is_empty() { &self.tasks } else { &self.in_order };
        plan.input(plan.steps.len().saturating_sub(1))
    }

    /// Which of the flat columns of a partial are its keys, where each task gives one of groups.
    pub fn keys(&self) -> KeysAt {
        match self.tasks.steps.last() {
            Some(Step { op: Op::Aggregate { keys, .. }, .. }) => KeysAt::Start(keys.len()),
            _ => KeysAt::All,
        }
    }

    /// How many keys the groups of its last step have.
    pub fn keys_count(&self) -> usize {
        match self.tasks.steps.last() {
            Some(Step { op: Op::Aggregate { keys, .. }, .. }) => keys.len(),
            _ => 0,
        }
    }

    /// Of the steps that follow, those that take its groups one by one: who has all of some groups can do them.
    pub fn steps_of_groups<'p>(&self, left: &'p [Step]) -> &'p [Step] {
        if self.keys_count() == 0 {
            return &[];
        }
        let is_row_wise =
            |step: &&Step| matches!(step.op, Op::Project(_) | Op::Filter(_) | Op::Explode(_) | Op::Tally(_));
        &left[..left.iter().take_while(is_row_wise).count()]
    }

    /// Whether a part of what the breaker at its end has is less than its rows: not where groups are lists of all of
    /// their values.
    pub fn combines(&self) -> bool {
        let lists = |step: &Step| match &step.op {
            Op::Aggregate { keys, aggs } => !keys.is_empty() && aggs.iter().any(|agg| agg.func == AggFunc::Collect),
            _ => false,
        };
        !self.tasks.steps.last().is_some_and(lists)
    }

    /// Whether each task gives a part of what the breaker at the end has.
    pub fn has_partials(&self) -> bool {
        self.tasks.steps.last().is_some_and(|step| step.op.is_breaker())
    }
}

/// The stages of a plan; those after the first read what the one before gives, in whose place an empty source stands.
pub fn stages(plan: &Prepared) -> Vec<Stage> {
    cut(plan, |_, _| 0).into_iter().map(|(stage, _)| stage).collect()
}

/// The same as rounds of a job: behind each stage are the steps that its reduce tasks do with their groups.
pub fn rounds(plan: &Prepared) -> Vec<(Stage, Prepared)> {
    cut(plan, |stage, left| stage.steps_of_groups(left).len())
}

/// Cuts a plan into stages, each with as many of the steps after it as are asked for.
fn cut(plan: &Prepared, more: impl Fn(&Stage, &[Step]) -> usize) -> Vec<(Stage, Prepared)> {
    let (mut source, mut pairs, mut left) = (plan.source.clone(), false, &plan.steps[..]);
    let mut stages = Vec::new();
    loop {
        let (stage, taken) = Stage::first(source, pairs, left, &plan.functions, true);
        let (own, rest) = left.split_at(taken);
        let (after, rest) = rest.split_at(more(&stage, rest));
        pairs = after.is_empty() && own.last().is_some_and(|step| step.op == Op::Pairs);
        let given = own.last().map_or(&stage.tasks.source.schema, |step| &step.schema);
        let after = without_source(given, after.to_vec(), &plan.functions);
        source = no_rows(after.schema());
        left = rest;
        stages.push((stage, after));
        if left.is_empty() {
            return stages;
        }
    }
}

/// Why a plan has no tasks, in words, and the place of the step.
pub fn objection(plan: &Prepared) -> Option<(&'static str, Span)> {
    let in_step = |step: &Step| match &step.op {
        Op::Fold { each, .. } => {
            let reason = match each {
                true => "`scan` needs the result of the row before, so its rows cannot be split between threads",
                false => "`fold` needs the result of the row before, so its rows cannot be split between threads",
            };
            Some((reason, step.span))
        }
        _ => None,
    };
    plan.with_inner().into_iter().flat_map(|plan| &plan.steps).find_map(in_step)
}

pub fn without_source(schema: &Schema, steps: Vec<Step>, functions: &[Function]) -> Prepared {
    Prepared { source: no_rows(schema), steps, functions: functions.to_vec(), limits: Limits::default() }
}

fn no_rows(schema: &Schema) -> Step<Source> {
    Step { op: Source::Values(Arc::new([])), schema: schema.clone(), span: Span::default() }
}
