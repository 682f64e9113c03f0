//! A plan as a map/reduce job: in rounds of load, slice, map, combine, shuffle, reduce and output, each of which is
//! recorded. The tasks are those of all schedules; only what happens between them is seen here, so that the result is
//! the same as that of other engines.

mod log;
mod pool;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::data::{Schema, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::phase::{Batches, Breaker, Pairs, Spilling};
use crate::kernel::{self, Batch, Part, Partial, Rows, from_bytes, to_bytes};
use crate::plan::{Agg, AggFunc, Op, Prepared, Read, Source, Step};
use crate::run_context::RunContext;

pub use log::{Attempt, JobLog, KeyRecord, StepKind, StepRecord};

use super::Threads;
use super::run::{computed, kept};
use super::stage::Stage;
use super::task::{OpenStage, parts};
use pool::{Pool, Tasks};

/// How a job is done; its result does not depend on it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobOptions {
    /// Map tasks of each round; else as many as the input is large.
    pub tasks: Option<usize>,
    /// Reduce partitions of a round that has keys; else one for each worker, but at least [`LEAST_PARTITIONS`].
    pub partitions: Option<usize>,
    /// Whether a map task makes one pair of all pairs of a key before it hands them over.
    pub combine: bool,
    /// Whether what tasks hand over goes through files.
    pub on_disk: bool,
    /// The bytes that the tasks which run at a time may hold together; then what they hand over goes through files too.
    pub memory: Option<u64>,
    /// The chance that an attempt at a task is lost, below 1, and the seed of these losses.
    pub chaos: f64,
    pub seed: i64,
    /// Whether the records of each key are counted, for [`JobLog::keys`].
    pub counts_keys: bool,
}

impl Default for JobOptions {
    fn default() -> JobOptions {
        JobOptions {
            tasks: None,
            partitions: None,
            combine: true,
            on_disk: false,
            memory: None,
            chaos: 0.0,
            seed: 0,
            counts_keys: false,
        }
    }
}

/// A job has at least two tasks, so that what is wrong with many shows with little input too.
const LEAST_TASKS: usize = 2;
pub const LEAST_PARTITIONS: usize = 8;
/// With a limit of memory, so that what a reduce task holds is a small part of all.
const PARTITIONS_IN_LIMIT: usize = 64;
/// What a map task holds is looked at after so many batches.
const LOOKED_BATCHES: usize = 8;
/// So many keys are listed.
const TOP_KEYS: usize = 10;

/// Runs a plan as a job. The rows of the result are in one batch.
///
/// # Errors
/// What the plan runs into: of several tasks the first in their order tells it.
pub fn run_job(plan: &Prepared, options: &JobOptions, context: &RunContext, log: &mut JobLog) -> Fallible<Batch> {
    for read in plan.reads() {
        context.progress.expect_bytes(read.bytes());
    }
    // What does not fit goes through files of the job itself.
    let context = &RunContext { progress: context.progress.of_parts(), spill: None, ..context.clone() };
    let start = Instant::now();
    let on_disk = options.on_disk || options.memory.is_some();
    let folder = on_disk.then(TempDir::new).transpose();
    let folder = folder.map_err(|error| Diagnostic::new(Kind::File, format!("cannot make a folder: {error}")))?;
    let pool = Pool { context, start, chaos: options.chaos, seed: options.seed };
    let job = Job { options, context, pool, folder };
    let (mut source, mut pairs, mut left) = (plan.source.clone(), false, &plan.steps[..]);
    for round in 1.. {
        let begun = Instant::now();
        let (mut stage, taken) = Stage::first(source, pairs, left, &plan.functions, true);
        let schema = if taken == 0 { plan.input(plan.steps.len() - left.len()) } else { &left[taken - 1].schema };
        left = &left[taken..];
        for step in stage.tasks.steps.iter_mut().chain(&mut stage.in_order.steps) {
            if let Op::Join { right, .. } = &mut step.op {
                **right = computed(right, &Threads(context.workers), context)?;
            }
        }
        let last_input = stage.last_input().clone();
        let (all, are_pairs) = job.round(round, stage, begun, log)?;
        if left.is_empty() {
            log.wall = start.elapsed();
            log.workers = context.workers;
            return if are_pairs { all_pairs(all, schema, context) } else { Ok(all) };
        }
        pairs = are_pairs;
        // Pairs are made of their rows by the tasks of the next round.
        source = kept(all, if pairs { &last_input } else { schema }, schema, plan)?;
    }
    unreachable!("a job has a last round")
}

fn all_pairs(all: Batch, schema: &Schema, context: &RunContext) -> Fallible<Batch> {
    let (mut pairs, mut rows) = (Pairs::new(all, 0, u32::MAX, context), Rows::of(schema));
    while let Some(batch) = pairs.next()? {
        rows.push(&batch)?;
    }
    Ok(rows.finish())
}

struct Job<'j> {
    options: &'j JobOptions,
    context: &'j RunContext,
    pool: Pool<'j>,
    /// Where what tasks hand over is written.
    folder: Option<TempDir>,
}

/// What a map task hands over, and what it saw.
struct Mapped {
    /// For each partition; more than once where they do not fit into memory.
    pairs: Vec<Vec<Handed>>,
    records_in: u64,
    records: u64,
    /// How long its parts took: map, combine, shuffle.
    times: [Duration; 3],
}

/// What goes from a map task to a reduce task.
struct Handed {
    rows: u64,
    bytes: u64,
    /// None where it is in a file.
    batch: Option<Batch>,
}

/// What a map task holds of its pairs.
enum Held<'s> {
    Combined(Box<Breaker<'s>>),
    /// For each partition.
    Rows(Box<Breaker<'s>>, Vec<Rows>),
}

impl<'s> Held<'s> {
    fn new(combine: bool, breaker: &'s OpenStage, partitions: usize, columns: &Schema) -> Fallible<Held<'s>> {
        let empty = Box::new(breaker.no_partial()?.expect("its only step is a breaker"));
        Ok(match combine {
            true => Held::Combined(empty),
            false => Held::Rows(empty, (0..partitions).map(|_| Rows::of(columns)).collect()),
        })
    }

    fn take(&mut self, breaker: &OpenStage, batch: &Batch, partitions: usize) -> Fallible<()> {
        match self {
            Held::Combined(partial) => breaker.fill(partial, batch),
            Held::Rows(partial, rows) => {
                let mut of_part: Vec<Vec<u32>> = vec![Vec::new(); partitions];
                let places = breaker.places(partial, batch, partitions)?;
                places.into_iter().enumerate().for_each(|(row, part)| of_part[part].push(row as u32));
                rows.iter_mut().zip(&of_part).try_for_each(|(rows, of_part)| rows.push_rows(batch, of_part))
            }
        }
    }

    fn size(&self) -> u64 {
        match self {
            Held::Combined(partial) => partial.size() as u64,
            Held::Rows(_, rows) => rows.iter().map(|rows| rows.size() as u64).sum(),
        }
    }

    fn split(self, partitions: usize) -> Fallible<Vec<Batch>> {
        match self {
            Held::Combined(mut partial) => {
                partial.settle()?;
                partial.split(partitions)
            }
            Held::Rows(_, rows) => Ok(rows.into_iter().map(Rows::finish).collect()),
        }
    }
}

impl Job<'_> {
    /// The rows that a round gives, and whether their pairs are meant.
    fn round(&self, round: usize, stage: Stage, begun: Instant, log: &mut JobLog) -> Fallible<(Batch, bool)> {
        let mut load = StepRecord::new(round, StepKind::Load, 1);
        if let Source::Read(read) = &stage.tasks.source.op {
            load.tasks = read.files.len();
            load.bytes_in = Some(read.bytes());
        }
        load.wall = begun.elapsed();
        log.steps.push(load);
        let begun = Instant::now();
        let parts = self.parts(&stage);
        let mut slice = StepRecord::new(round, StepKind::Slice, parts.len());
        let part_bytes: Option<Vec<u64>> = parts.iter().map(|part| bytes_of(part, &stage.tasks.source)).collect();
        slice.bytes_out = part_bytes.as_ref().map(|bytes| bytes.iter().sum());
        slice.wall = begun.elapsed();
        let bytes = slice.bytes_out;
        log.steps.push(slice);
        if stage.has_partials() {
            return self.map_reduce(round, stage, &parts, bytes, log);
        }
        let begun = Instant::now();
        let open = OpenStage::new(stage, self.context)?;
        let tasks = Tasks { round, kind: StepKind::Map, count: parts.len() };
        let (outputs, attempts) = self.pool.run_each(tasks, |task| {
            let mut batches = Vec::new();
            let records_in = open.run_into(&parts[task], &mut |batch| {
                batches.push(batch);
                Ok(())
            })?;
            Ok((records_in, batches))
        })?;
        let rows = |batches: &[Batch]| batches.iter().map(|batch| batch.rows as u64).sum::<u64>();
        let mut map = StepRecord::new(round, StepKind::Map, parts.len());
        let done = || outputs.iter().flatten();
        map.records_in = Some(done().map(|(records, _)| records).sum());
        map.bytes_in = bytes;
        map.records_out = Some(done().map(|(_, batches)| rows(batches)).sum());
        map.loads = done().map(|(records, _)| *records).collect();
        spent(&mut map, &attempts, begun.elapsed());
        log.steps.push(map);
        log.attempts.extend(attempts);
        self.output(round, &open, outputs.into_iter().map(|output| output.map(|(_, batches)| batches)), log)
    }

    /// The parts of the source, a task for each.
    fn parts(&self, stage: &Stage) -> Vec<Part> {
        let cut = |most| kernel::parts(&stage.tasks.source.op, most, self.context);
        match self.options.tasks {
            Some(tasks) if !stage.pairs => cut(tasks),
            _ => {
                let found: Vec<Part> = parts(stage, self.context).collect();
                if found.len() < LEAST_TASKS { cut(LEAST_TASKS) } else { found }
            }
        }
    }

    /// Puts rows through the steps that need all of them in order.
    fn output(
        &self,
        round: usize,
        open: &OpenStage,
        outputs: impl Iterator<Item = Fallible<Vec<Batch>>>,
        log: &mut JobLog,
    ) -> Fallible<(Batch, bool)> {
        let begun = Instant::now();
        let mut output = StepRecord::new(round, StepKind::Output, 1);
        let mut phase = open.in_order(self.context)?;
        let mut rows = Rows::of(open.stage().in_order.schema());
        let (mut ready, mut records) = (VecDeque::new(), 0);
        'tasks: for output in outputs {
            for batch in output? {
                self.context.check()?;
                records += batch.rows as u64;
                let wants_more = phase.take(batch, &mut ready)?;
                ready.drain(..).try_for_each(|batch| rows.push(&batch))?;
                if !wants_more {
                    // An error in a later task is one in rows that nobody needs.
                    break 'tasks;
                }
            }
        }
        phase.close(&mut ready)?;
        ready.drain(..).try_for_each(|batch| rows.push(&batch))?;
        let pairs = open.stage().in_order.steps.last().is_some_and(|step| step.op == Op::Pairs);
        let (all, pairs) = match phase.into_breaker().and_then(Spilling::into_breaker) {
            Some(breaker) => (breaker.finish()?, pairs),
            None => (rows.finish(), false),
        };
        output.records_in = Some(records);
        output.records_out = Some(all.rows as u64);
        output.bytes_out = Some(all.bytes());
        output.wall = begun.elapsed();
        log.steps.push(output);
        Ok((all, pairs))
    }

    /// A round whose tasks give parts of what the breaker at the end has.
    fn map_reduce(
        &self,
        round: usize,
        mut stage: Stage,
        parts: &[Part],
        bytes: Option<u64>,
        log: &mut JobLog,
    ) -> Fallible<(Batch, bool)> {
        let mut last = stage.tasks.steps.pop().expect("a stage with partials has a breaker at its end");
        let keys = if let Op::Aggregate { keys, .. } = &last.op { keys.len() } else { 0 };
        let is_keyed = keys > 0;
        let counts = is_keyed && self.options.counts_keys && log.keys.is_empty();
        if let (true, Op::Aggregate { aggs, .. }) = (counts, &mut last.op) {
            aggs.push(Agg { name: String::new(), func: AggFunc::Rows, arg: None, ty: Type::Int });
        }
        let mapped_columns = stage.tasks.schema().clone();
        let partitions = match is_keyed {
            true => self.options.partitions.unwrap_or_else(|| match self.options.memory {
                Some(_) => PARTITIONS_IN_LIMIT,
                None => self.context.workers.max(LEAST_PARTITIONS),
            }),
            false => 1,
        };
        let breaker = OpenStage::new(Stage::of_step(last, &mapped_columns, &stage), self.context)?;
        let map = OpenStage::new(Stage::of_tasks(stage.tasks, stage.pairs), self.context)?;

        let begun = Instant::now();
        let tasks = Tasks { round, kind: StepKind::Map, count: parts.len() };
        let (outputs, attempts) = self
            .pool
            .run(tasks, |task| self.mapped(&map, &breaker, &parts[task], partitions, &mapped_columns, (round, task)))?;
        self.log_map(round, &outputs, &attempts, bytes, begun.elapsed(), log);
        log.attempts.extend(attempts);

        let begun = Instant::now();
        let tasks = Tasks { round, kind: StepKind::Reduce, count: partitions };
        let (reduced, attempts) = self.pool.run(tasks, |partition| {
            let mut partial = breaker.no_partial()?.expect("its only step is a breaker");
            for (task, output) in outputs.iter().enumerate() {
                for (piece, handed) in output.pairs[partition].iter().enumerate() {
                    let batch = self.received(handed, [round, task, partition, piece])?;
                    self.merge(&breaker, &mut partial, batch)?;
                }
            }
            partial.settle()?;
            partial.finish()
        })?;
        let mut reduce = StepRecord::new(round, StepKind::Reduce, partitions);
        let handed = |partition: usize| outputs.iter().flat_map(move |output| &output.pairs[partition]);
        reduce.records_in = Some((0..partitions).flat_map(handed).map(|handed| handed.rows).sum());
        reduce.bytes_in = Some((0..partitions).flat_map(handed).map(|handed| handed.bytes).sum());
        reduce.records_out = Some(reduced.iter().map(|batch| batch.rows as u64).sum());
        reduce.loads = (0..partitions).map(|partition| handed(partition).map(|handed| handed.rows).sum()).collect();
        spent(&mut reduce, &attempts, begun.elapsed());
        log.steps.push(reduce);
        log.attempts.extend(attempts);

        let begun = Instant::now();
        let pairs = breaker.stage().tasks.steps.last().is_some_and(|step| step.op == Op::Pairs);
        let mut batches: Vec<Batch> = reduced;
        if counts {
            log.keys = count_keys(&mut batches, keys);
        }
        let mut output = StepRecord::new(round, StepKind::Output, 1);
        output.records_in = Some(batches.iter().map(|batch| batch.rows as u64).sum());
        let all = match &batches[..] {
            [one] => one.clone(),
            _ => {
                let types: Vec<Type> = breaker.stage().tasks.schema().columns.iter().map(|c| c.ty.clone()).collect();
                let mut rows = Rows::new(&types[..batches[0].columns.len()]);
                batches.iter().try_for_each(|batch| rows.push(batch))?;
                rows.finish()
            }
        };
        output.records_out = Some(all.rows as u64);
        output.bytes_out = Some(all.bytes());
        output.wall = begun.elapsed();
        log.steps.push(output);
        Ok((all, pairs))
    }

    /// Takes what a task has handed over.
    fn merge<'s>(&self, breaker: &'s OpenStage, partial: &mut Breaker<'s>, batch: Batch) -> Fallible<()> {
        if self.options.combine {
            return partial.take_columns(batch, self.context).map(drop);
        }
        for start in (0..batch.rows).step_by(self.context.chunk_sizes.rows) {
            self.context.check()?;
            let rows = self.context.chunk_sizes.rows.min(batch.rows - start);
            breaker.fill(partial, &batch.part(start, rows))?;
        }
        Ok(())
    }

    /// One map task.
    fn mapped(
        &self,
        map: &OpenStage,
        breaker: &OpenStage,
        part: &Part,
        partitions: usize,
        columns: &Schema,
        (round, task): (usize, usize),
    ) -> Fallible<Mapped> {
        let begun = Instant::now();
        let mut held = Held::new(self.options.combine, breaker, partitions, columns)?;
        let mut pairs: Vec<Vec<Handed>> = (0..partitions).map(|_| Vec::new()).collect();
        // Several tasks run at a time, and while one writes there are copies of what it holds.
        let most = self.options.memory.map(|bytes| bytes / (4 * self.context.workers.max(1) as u64));
        let (mut records, mut batches) = (0, 0);
        let (mut combining, mut shuffling) = (Duration::ZERO, Duration::ZERO);
        let mut hand_over = |held: Held| -> Fallible<()> {
            let begun = Instant::now();
            for (partition, batch) in held.split(partitions)?.into_iter().enumerate() {
                let piece = pairs[partition].len();
                if piece == 0 || batch.rows > 0 {
                    pairs[partition].push(self.handed(batch, [round, task, partition, piece])?);
                }
            }
            shuffling += begun.elapsed();
            Ok(())
        };
        let records_in = map.run_into(part, &mut |batch| {
            records += batch.rows as u64;
            batches += 1;
            let begun = Instant::now();
            held.take(breaker, &batch, partitions)?;
            combining += begun.elapsed();
            if let Some(most) = most.filter(|_| batches % LOOKED_BATCHES == 0)
                && held.size() > most
            {
                let full = std::mem::replace(&mut held, Held::new(self.options.combine, breaker, partitions, columns)?);
                hand_over(full)?;
            }
            Ok(())
        })?;
        hand_over(held)?;
        let mapping = begun.elapsed().saturating_sub(combining + shuffling);
        let times = match self.options.combine {
            true => [mapping, combining, shuffling],
            false => [mapping, Duration::ZERO, combining + shuffling],
        };
        Ok(Mapped { pairs, records_in, records, times })
    }

    /// Puts what a task gives to another where that finds it.
    fn handed(&self, batch: Batch, place: [usize; 4]) -> Fallible<Handed> {
        let rows = batch.rows as u64;
        let Some(folder) = &self.folder else {
            return Ok(Handed { rows, bytes: batch.bytes(), batch: Some(batch) });
        };
        let bytes = to_bytes(&batch);
        std::fs::write(folder.path().join(file_name(place)), &bytes)
            .map_err(|error| Diagnostic::new(Kind::File, format!("cannot write what a task hands over: {error}")))?;
        Ok(Handed { rows, bytes: bytes.len() as u64, batch: None })
    }

    fn received(&self, handed: &Handed, place: [usize; 4]) -> Fallible<Batch> {
        if let Some(batch) = &handed.batch {
            return Ok(batch.clone());
        }
        let folder = self.folder.as_ref().expect("what is not in memory is in the folder");
        let bytes = std::fs::read(folder.path().join(file_name(place)))
            .map_err(|error| Diagnostic::new(Kind::File, format!("cannot read what a task handed over: {error}")))?;
        from_bytes(&bytes).ok_or_else(|| Diagnostic::new(Kind::System, "a file that a task handed over is broken"))
    }

    /// Map, combine and shuffle are parts of the same tasks: the time of these is divided among them.
    fn log_map(
        &self,
        round: usize,
        outputs: &[Mapped],
        attempts: &[Attempt],
        bytes: Option<u64>,
        wall: Duration,
        log: &mut JobLog,
    ) {
        let mut whole = StepRecord::new(round, StepKind::Map, outputs.len());
        spent(&mut whole, attempts, wall);
        let sum = |at: usize| outputs.iter().map(|output| output.times[at]).sum::<Duration>().as_secs_f64();
        let all = (sum(0) + sum(1) + sum(2)).max(1e-12);
        let share = |record: &mut StepRecord, at: usize| {
            record.cpu = whole.cpu.mul_f64(sum(at) / all);
            record.wall = whole.wall.mul_f64(sum(at) / all);
        };
        let records: Vec<u64> = outputs.iter().map(|output| output.records).collect();
        let handed = |output: &Mapped| output.pairs.iter().flatten().map(|handed| handed.rows).sum::<u64>();
        let bytes_handed: u64 =
            outputs.iter().flat_map(|output| output.pairs.iter().flatten()).map(|handed| handed.bytes).sum();
        let partitions = outputs.first().map_or(0, |output| output.pairs.len());

        let mut map = StepRecord::new(round, StepKind::Map, outputs.len());
        map.records_in = Some(outputs.iter().map(|output| output.records_in).sum());
        map.bytes_in = bytes;
        map.records_out = Some(records.iter().sum());
        map.loads = outputs.iter().map(|output| output.records_in).collect();
        map.retries = whole.retries;
        share(&mut map, 0);
        log.steps.push(map);
        if self.options.combine {
            let mut combine = StepRecord::new(round, StepKind::Combine, outputs.len());
            combine.records_in = Some(records.iter().sum());
            combine.records_out = Some(outputs.iter().map(handed).sum());
            combine.bytes_out = Some(bytes_handed);
            combine.loads = records;
            share(&mut combine, 1);
            log.steps.push(combine);
        }
        let mut shuffle = StepRecord::new(round, StepKind::Shuffle, outputs.len() * partitions);
        shuffle.records_in = Some(outputs.iter().map(handed).sum());
        shuffle.records_out = shuffle.records_in;
        shuffle.bytes_in = Some(bytes_handed);
        shuffle.bytes_out = Some(bytes_handed);
        let of_partition =
            |at: usize| outputs.iter().flat_map(|output| &output.pairs[at]).map(|handed| handed.rows).sum();
        shuffle.loads = (0..partitions).map(of_partition).collect();
        share(&mut shuffle, 2);
        log.steps.push(shuffle);
    }
}

fn file_name([round, task, partition, piece]: [usize; 4]) -> String {
    format!("round-{round}-task-{task}-partition-{partition}-{piece}")
}

/// What the attempts of a step cost together.
fn spent(record: &mut StepRecord, attempts: &[Attempt], wall: Duration) {
    record.cpu = attempts.iter().map(|attempt| attempt.cpu).sum();
    record.retries = attempts.iter().filter(|attempt| attempt.lost).count();
    record.wall = wall;
}

/// The bytes of a part of files; none where it is no such part.
fn bytes_of(part: &Part, source: &Step<Source>) -> Option<u64> {
    let Source::Read(read) = &source.op else { return None };
    let length = |read: &Read, file: usize| read.files[file].seen.0;
    Some(match part {
        Part::Files(splits) => splits.iter().map(|split| split.bytes(length(read, split.file))).sum(),
        Part::Whole | Part::Rows { .. } => read.bytes(),
    })
}

/// Takes the last column, the records of each key, from all partitions, and gives the keys that have the most.
/// The first `width` columns are the key.
fn count_keys(partitions: &mut [Batch], width: usize) -> Vec<KeyRecord> {
    let mut found: Vec<(u64, usize, usize)> = Vec::new();
    let mut all = 0;
    for (partition, batch) in partitions.iter_mut().enumerate() {
        let counts = batch.columns.pop().expect("the records were counted last");
        let mut here: Vec<(u64, usize, usize)> = (0..batch.rows)
            .map(|row| match counts.value(row) {
                Value::Int(count) => (count.max(0) as u64, partition, row),
                _ => (0, partition, row),
            })
            .collect();
        all += here.iter().map(|(count, ..)| count).sum::<u64>();
        here.sort_unstable_by_key(|(count, _, row)| (std::cmp::Reverse(*count), *row));
        found.extend(here.into_iter().take(TOP_KEYS));
    }
    found.sort_unstable_by_key(|(count, partition, row)| (std::cmp::Reverse(*count), *partition, *row));
    let fair = all as f64 / partitions.len().max(1) as f64;
    let key = |(records, partition, row): (u64, usize, usize)| KeyRecord {
        key: match &partitions[partition].columns[..width] {
            [one] => one.value(row),
            several => {
                let values: Vec<String> = several.iter().map(|column| column.value(row).to_string()).collect();
                Value::text(&values.join(", "))
            }
        },
        records,
        share: records as f64 / (all as f64).max(1.0),
        partition,
        is_hot: partitions.len() > 1 && records as f64 > 2.0 * fair,
    };
    found.into_iter().take(TOP_KEYS).map(key).collect()
}
