//! The engine `mapreduce`: a plan as a job of map tasks, a shuffle and reduce tasks.

use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::interleave::barrier::cores;
use crate::kernel;
use crate::lang::{Expr, Privileges, Word};
use crate::meters::StageTime;
use crate::plan::{JobLimits, Op, Prepared, Source, op_text, source_text};
use crate::run_context::RunContext;
use crate::schedule::{self, Bad, JobFolder, JobLog, JobOptions, LEAST_PARTITIONS, Stage, StepRecord, TRIES};

use super::{Engine, EngineOutput, Limit, LimitValue, MEMORY, MOST_WORKERS, Objection};

pub struct MapReduce;

/// So many tasks or partitions at most.
pub const MOST_TASKS: usize = 1 << 16;

/// How a job needs less memory that was given no limit.
pub const MEMORY_HINT: &str = "%mapreduce --memory 64MB, or | on mapreduce memory 64MB, has pairs go through files; an \
                               aggregate, `top` or `take` keeps fewer rows";
/// The same where its pairs go through files already.
pub const LIMITED_MEMORY_HINT: &str = "more memory, as in --memory 256MB; a sort and the result must fit: an \
                                       aggregate, `top` or `take` keeps fewer rows";
/// So often a task is tried at most.
pub const MOST_TRIES: usize = 100;
/// The chance that an attempt is lost at most.
pub const MOST_CHAOS: f64 = 0.9;

/// What `on` may say of a job: the options of `%mapreduce` that are not about what it shows and keeps.
const LIMITS: &[Limit] = &[
    Limit {
        name: "workers",
        values: "1 to 1024, or auto",
        set: |limits, value| {
            limits.job.grows = matches!(value, LimitValue::Word("auto"));
            limits.workers = limits.job.grows.then(|| cores().len().max(2));
            limits.job.grows || value.count_into(&mut limits.workers, MOST_WORKERS)
        },
    },
    MEMORY,
    Limit {
        name: "tasks",
        values: "1 to 65536",
        set: |limits, value| value.count_into(&mut limits.job.tasks, MOST_TASKS),
    },
    Limit {
        name: "partitions",
        values: "1 to 1024",
        set: |limits, value| value.count_into(&mut limits.job.partitions, MOST_WORKERS),
    },
    Limit {
        name: "combine",
        values: "on or off",
        set: |limits, value| either(&mut limits.job.without_combine, value, ["on", "off"]),
    },
    Limit {
        name: "on",
        values: "threads or workers",
        set: |limits, value| either(&mut limits.job.on_workers, value, ["threads", "workers"]),
    },
    Limit {
        name: "retries",
        values: "1 to 100",
        set: |limits, value| value.count_into(&mut limits.job.tries, MOST_TRIES),
    },
    Limit {
        name: "bad",
        values: "fail or skip",
        set: |limits, value| either(&mut limits.job.skips_bad, value, ["fail", "skip"]),
    },
    Limit {
        name: "merge",
        values: "tree or flat",
        set: |limits, value| either(&mut limits.job.flat, value, ["tree", "flat"]),
    },
    Limit {
        name: "via",
        values: "memory or disk",
        set: |limits, value| either(&mut limits.job.on_disk, value, ["memory", "disk"]),
    },
    Limit {
        name: "chaos",
        values: "a chance from 0 to 0.9",
        set: |limits, value| {
            let chance = match value {
                LimitValue::Int(number) => number as f64,
                LimitValue::Float(chance) => chance,
                LimitValue::Word(_) => return false,
            };
            limits.job.chaos = chance;
            (0.0..=MOST_CHAOS).contains(&chance)
        },
    },
];

/// Sets a limit to whether a word is the second of the two that it may be.
fn either(limit: &mut bool, value: LimitValue, words: [&str; 2]) -> bool {
    let place = words.iter().position(|word| matches!(value, LimitValue::Word(given) if given == *word));
    *limit = place == Some(1);
    place.is_some()
}

/// The job of a plan with its own limits, and with those of a run.
fn options(plan: &Prepared, context: &RunContext) -> JobOptions {
    let JobLimits {
        tasks,
        partitions,
        without_combine,
        on_disk,
        on_workers,
        grows,
        tries,
        flat,
        skips_bad,
        chaos,
        seed,
    } = plan.limits.job;
    JobOptions {
        tasks,
        partitions,
        combine: !without_combine,
        on_disk,
        memory: context.spill.as_ref().map(|spill| spill.budget),
        on_workers,
        grows,
        tries: tries.unwrap_or(TRIES),
        tree: !flat,
        bad: if skips_bad { Bad::Skip } else { Bad::Fail },
        chaos,
        seed,
        ..JobOptions::default()
    }
}

/// The same for the rounds of a block in a plan, which are jobs of their own. What they leave out is counted.
pub fn job_limits(options: &JobOptions) -> JobLimits {
    JobLimits {
        tasks: options.tasks,
        partitions: options.partitions,
        without_combine: !options.combine,
        on_disk: options.on_disk,
        on_workers: options.on_workers,
        grows: options.grows,
        tries: Some(options.tries),
        flat: !options.tree,
        skips_bad: options.bad != Bad::Fail,
        chaos: options.chaos,
        seed: options.seed,
    }
}

/// Runs a plan as a job; what it did is in the log.
///
/// # Errors
/// As [`Engine::run`].
pub fn run_job(
    plan: &Prepared,
    options: &JobOptions,
    kept_in: Option<&JobFolder>,
    context: &RunContext,
    log: &mut JobLog,
) -> Fallible<EngineOutput> {
    let before = log.steps.len();
    let rows = schedule::run_job(plan, options, kept_in, context, log)?;
    if let Some(stages) = &context.meters.stages {
        log.steps[before..].iter().for_each(|step| stages.add(stage_time(step)));
    }
    let table: Table = kernel::table(rows, plan.schema()).map_err(|what| {
        Diagnostic::new(Kind::System, format!("the kernel gave another table than was meant: {what}"))
    })?;
    let cost = log.cost.iter().map(|cost| ("workers", cost.clone())).collect();
    Ok(EngineOutput { table, steps: None, compile: None, cost })
}

fn stage_time(step: &StepRecord) -> StageTime {
    StageTime {
        name: format!("round {}: {}", step.round, step.kind.name()),
        tasks: step.tasks as u64,
        rows_in: step.records_in,
        rows_out: step.records_out,
        wall: step.wall,
        cpu: step.cpu,
    }
}

impl Engine for MapReduce {
    fn name(&self) -> &'static str {
        "mapreduce"
    }

    fn about(&self) -> &'static str {
        "runs a job in steps: slice, map, combine, shuffle, reduce, output (%mapreduce shows them)"
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        Privileges::NONE
    }

    fn limits(&self) -> &'static [Limit] {
        LIMITS
    }

    fn is_parallel(&self) -> bool {
        true
    }

    fn objection(&self, plan: &Prepared) -> Option<Objection> {
        if let Source::Range { end: None, .. } = plan.source.op {
            let reason = "a job cuts its input into tasks before it begins, and this range has no end";
            return Some(Objection { reason, span: plan.source.span });
        }
        schedule::objection(plan).map(|(reason, span)| Objection { reason, span })
    }

    fn run(&self, plan: &Prepared, context: &RunContext) -> Fallible<EngineOutput> {
        let mut log = JobLog::default();
        let run = run_job(plan, &options(plan, context), None, context, &mut log)?;
        context.read_notes.add_left_out(log.steps.iter().map(|step| step.bad).sum());
        Ok(run)
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        let rounds = schedule::rounds(plan);
        let several = rounds.len() > 1;
        let round =
            |(number, (stage, after)): (usize, &(Stage, Prepared))| explained(number, several, stage, after, plan);
        rounds.iter().enumerate().flat_map(round).collect()
    }
}

/// A right side of so many bytes or less is broadcast.
const BROADCAST: u64 = 16_000_000;

/// How tasks get the right side of a join.
fn right_side(right: &Prepared) -> String {
    // What steps make of it is known when they have run.
    let bytes = match &right.source.op {
        Source::Kept(kept) if right.steps.is_empty() => Some(kept.table().data_bytes() as u64),
        Source::Values(_) | Source::Kept(_) | Source::Range { .. } | Source::Generated { .. } | Source::Iterated(_) => {
            None
        }
        Source::Read(read) => Some(read.bytes()),
    };
    let shared = "a table by the key, which all threads share; with --on workers each process gets a copy";
    match bytes {
        Some(bytes) if bytes <= BROADCAST => {
            format!("the right side of the join, from {bytes} bytes: broadcast, each task gets all of it")
        }
        Some(bytes) => format!("the right side of the join, from {bytes} bytes, too many to broadcast: {shared}"),
        None => format!("the right side of the join: broadcast up to {} MB, else {shared}", BROADCAST / 1_000_000),
    }
}

/// Which part of a plan became which step of a round.
fn explained(number: usize, several: bool, stage: &Stage, after: &Prepared, plan: &Prepared) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |step: &str, text: String| lines.push(format!("{step:8} {text}"));
    if several {
        line("round", (number + 1).to_string());
    }
    line(
        "load",
        match number {
            0 => source_text(&plan.source.op),
            _ if stage.pairs => format!("pairs of the rows of round {number}"),
            _ => format!("the rows of round {number}"),
        },
    );
    line("slice", "into tasks of about 8 MiB, two at least".to_string());
    let last = stage.tasks.steps.len();
    let has_partials = stage.has_partials();
    let mut has_map = false;
    for (place, (step, input)) in stage.tasks.steps().enumerate() {
        let text = op_text(&step.op, input, &stage.tasks);
        if !(has_partials && place + 1 == last) {
            has_map = true;
            if let Op::Join { right, .. } = &step.op {
                line("load", right_side(right));
            }
            line("map", text);
            continue;
        }
        if !has_map {
            line("map", "the rows as they are".to_string());
        }
        if stage.combines() {
            line("combine", format!("{text}, of the rows of each task"));
        }
        line(
            "shuffle",
            match &step.op {
                Op::Aggregate { keys, .. } if !keys.is_empty() => {
                    format!("by the hash of the key, into as many partitions as workers, {LEAST_PARTITIONS} at least")
                }
                _ => "into one partition: there is no key".to_string(),
            },
        );
        line(
            "reduce",
            match stage.combines() {
                true => "what the tasks have of each partition, merged in the order of the tasks".to_string(),
                false => format!("{text}, of the rows of each partition"),
            },
        );
    }
    for (step, input) in after.steps() {
        line("reduce", format!("{}, of the groups of each partition", op_text(&step.op, input, after)));
    }
    if !has_partials && !has_map {
        line("map", "the rows as they are".to_string());
    }
    let in_order = stage.in_order.steps().map(|(step, input)| op_text(&step.op, input, &stage.in_order));
    for text in in_order {
        line("output", format!("{text}, of all rows in order on one thread"));
    }
    if stage.in_order.steps.is_empty() {
        line("output", "the rows of all tasks".to_string());
    }
    lines
}
