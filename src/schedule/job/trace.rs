//! A job over a few rows, whose records are seen as they move from step to step.

use crate::data::{Schema, Value};
use crate::diagnostic::Fallible;
use crate::kernel::{self, Batch, Part, Rows};
use crate::plan::{Op, Prepared};
use crate::run_context::RunContext;
use crate::schedule::run::{computed, kept};
use crate::schedule::stage::Stage;
use crate::schedule::{JobLog, Threads};

use super::bad::Bad;
use super::work::{Handed, Shape, Work};
use super::{JobOptions, StepKind, run_job};

/// What is at one place of a step: in a task, in a partition, or on the way from one to the other.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceBox {
    pub round: usize,
    pub step: StepKind,
    /// None for a place of its own, such as the output.
    pub task: Option<usize>,
    pub partition: Option<usize>,
    /// The names of the columns.
    pub columns: Vec<String>,
    pub records: Vec<Vec<Value>>,
}

/// Few, so that the picture is small.
const TASKS: usize = 2;
const PARTITIONS: usize = 3;

/// Runs a plan as a job of two tasks, and gives what is at each place.
///
/// # Errors
/// What the plan runs into.
pub fn trace(plan: &Prepared, context: &RunContext) -> Fallible<Vec<TraceBox>> {
    let (mut source, mut pairs, mut left) = (plan.source.clone(), false, &plan.steps[..]);
    let mut boxes = Vec::new();
    for round in 1.. {
        let (mut stage, taken) = Stage::first(source.clone(), pairs, left, &plan.functions, true);
        let after = stage.steps_of_groups(&left[taken..]);
        let taken = taken + after.len();
        let here = Prepared { source, steps: left[..taken].to_vec(), ..plan.clone() };
        let schema = here.schema().clone();
        left = &left[taken..];
        for step in stage.tasks.steps.iter_mut().chain(&mut stage.in_order.steps) {
            if let Op::Join { right, .. } = &mut step.op {
                **right = computed(right, &Threads(1), context)?;
            }
        }
        let parts = kernel::parts(&stage.tasks.source.op, TASKS, context);
        let input = stage.tasks.source.clone();
        let has_steps = stage.tasks.steps.len() > usize::from(stage.has_partials());
        let shape = |is_keyed| Shape {
            partitions: if is_keyed { PARTITIONS } else { 1 },
            is_keyed,
            combine: true,
            counted: false,
            most: None,
            reduced_in: None,
            folder: None,
        };
        let work = Work::new(stage, after, shape, Bad::Fail, context)?;
        let put = |boxes: &mut Vec<TraceBox>, step, task, partition, columns: &Schema, batch: &Batch| {
            let columns: Vec<String> = columns.columns.iter().map(|column| column.name.clone()).collect();
            let record = |row| batch.columns.iter().take(columns.len()).map(|column| column.value(row)).collect();
            let records = (0..batch.rows).map(record).collect();
            boxes.push(TraceBox { round, step, task, partition, columns, records });
        };
        if !pairs {
            for (task, part) in parts.iter().enumerate() {
                let batch = kernel::source(&input, part.clone(), context)?.next(usize::MAX)?;
                let batch = batch.unwrap_or(Batch { rows: 0, columns: Vec::new() });
                put(&mut boxes, StepKind::Slice, Some(task), None, &input.schema, &batch);
            }
        }
        let mapped = work.map_stage().stage().tasks.schema().clone();
        if has_steps || pairs {
            for (task, part) in parts.iter().enumerate() {
                put(&mut boxes, StepKind::Map, Some(task), None, &mapped, &rows(&work, part, &mapped)?);
            }
        }
        if let Some(shuffle) = work.shuffle() {
            let result = shuffle.combiner().stage().tasks.schema().clone();
            let tasks = parts.iter().enumerate().map(|(task, part)| Ok(work.map(part, task)?.pairs));
            let tasks = tasks.collect::<Fallible<Vec<Vec<Vec<Handed>>>>>()?;
            for (task, of_partition) in tasks.iter().enumerate() {
                for (partition, handed) in of_partition.iter().enumerate() {
                    let batch = shuffle.groups(handed)?;
                    if batch.rows > 0 {
                        put(&mut boxes, StepKind::Shuffle, Some(task), Some(partition), &result, &batch);
                    }
                }
            }
            for partition in 0..shuffle.shape().partitions {
                let handed: Vec<Handed> = tasks.iter().flat_map(|task| task[partition].iter().cloned()).collect();
                let rows = shuffle.reduce(&handed, Bad::Fail)?.rows;
                put(&mut boxes, StepKind::Reduce, None, Some(partition), &schema, &rows);
            }
        }
        let options = JobOptions { tasks: Some(TASKS), partitions: Some(PARTITIONS), ..JobOptions::default() };
        let all = run_job(&here, &options, None, context, &mut JobLog::default())?;
        put(&mut boxes, StepKind::Output, None, None, &schema, &all);
        if left.is_empty() {
            return Ok(boxes);
        }
        pairs = false;
        source = kept(all, &schema, &schema, plan)?;
    }
    unreachable!("a job has a last round")
}

fn rows(work: &Work, part: &Part, columns: &Schema) -> Fallible<Batch> {
    let mut rows = Rows::of(columns);
    work.map_stage().run_into(part, &mut |batch| rows.push(&batch))?;
    Ok(rows.finish())
}
