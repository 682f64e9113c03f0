//! A plan as a map/reduce job: in rounds of load, slice, map, combine, shuffle, reduce and output, each of which is
//! recorded. The tasks are those of all schedules; only what happens between them is seen here, so that the result is
//! the same as that of other engines.

mod bad;
mod keys;
mod log;
mod memory;
mod pool;
mod saved;
mod spills;
mod trace;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::data::Schema;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::files;
use crate::kernel::phase::{Batches, Pairs, Spilling};
use crate::kernel::{self, Batch, Column, Part, Partial, Rows};
use crate::measure;
use crate::plan::{Op, Prepared, Read, Source, Step};
use crate::run_context::{Counters, RunContext};
use crate::temporary::Folder;

pub use bad::{Bad, BadRow};
pub use log::{Attempt, JobLog, KeyRecord, StepKind, StepRecord};
pub use saved::{JobFolder, SavedJob, mark};
pub use trace::{TraceBox, trace};
pub use work::{Given, Shape, ShuffleStages, Task, Work};

use super::Threads;
use super::run::{computed, kept};
use super::stage::Stage;
use super::task::{OpenStage, parts};
use super::workers::{Failure, Hand, Ordered, Processes};
use keys::{HOT, TopKeys, ranked};
use memory::{enough_for, in_step, with_key};
use pool::{Do, Pool, Tasks};
use saved::Place;
use work::{Handed, Mapped, Sent, Shuffle, Took, place_at};

/// How a job is done; its result does not depend on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Whether tasks run in worker processes; else on threads of this one.
    pub on_workers: bool,
    /// Whether there are as many workers as tasks that wait, up to those of the context.
    pub grows: bool,
    /// How often a task is tried.
    pub tries: usize,
    /// Whether what many tasks have of a partition is merged by tasks of their own first.
    pub tree: bool,
    /// Whether a partition that has far more than others is reduced by several tasks first.
    pub split_hot: bool,
    /// What becomes of rows with an error.
    pub bad: Bad,
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
            on_workers: false,
            grows: false,
            tries: TRIES,
            tree: true,
            split_hot: false,
            bad: Bad::Fail,
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
/// A reduce task may always hold so many bytes: to write less costs more than it saves.
const LEAST_REDUCED: u64 = 256 << 10;
pub const TRIES: usize = 3;
/// So many things that tasks have of a partition are merged by one task.
const MERGED: usize = 16;
/// Rows between two looks at the stop flag, where all are put in order.
const GATHERED: usize = 1 << 16;
/// Of rows that are left out, so many are listed.
const MOST_LISTED: usize = 100_000;

/// Runs a plan as a job. The rows of the result are in one batch. With a folder, what tasks give is kept there until
/// the job is done, and what is there already is not done again.
///
/// # Errors
/// What the plan runs into: of several tasks the first in their order tells it.
pub fn run_job(
    plan: &Prepared,
    options: &JobOptions,
    kept_in: Option<&JobFolder>,
    context: &RunContext,
    log: &mut JobLog,
) -> Fallible<Batch> {
    if let Some((reason, span)) = worker_objection(plan).filter(|_| options.on_workers) {
        return Err(Diagnostic::at(Kind::Objection, span, reason).hint("--on threads runs it in this process"));
    }
    for read in plan.reads() {
        context.progress.expect_bytes(read.bytes());
    }
    // What does not fit goes through files of the job itself.
    let mut context = RunContext { progress: context.progress.of_parts(), spill: None, ..context.clone() };
    let start = Instant::now();
    let mut processes = None;
    if options.on_workers {
        // Half of the memory is for what is put together here, the other half for the processes.
        let live = measure::live();
        let half = context.memory.saturating_sub(live) / 2;
        context.memory = live + half;
        enough_for(context.workers, 2 * half, options.memory)?;
        let first = if options.grows { 1 } else { context.workers };
        processes = Some(Processes::start(first, half / context.workers.max(1) as u64, &context.stop)?);
    }
    let context = &context;
    let on_disk = (options.on_disk || options.memory.is_some()) && kept_in.is_none();
    let folder = on_disk.then(|| new_folder(&context.scratch)).transpose();
    let folder = folder.map_err(|error| Diagnostic::new(Kind::System, format!("cannot make a folder: {error}")))?;
    let JobOptions { chaos, seed, tries, grows, .. } = *options;
    let pool = Pool { context, start, chaos, seed, tries, grows, processes };
    let job = Job { options, context, pool, folder, kept_in, resumed: AtomicUsize::new(0) };
    let (mut source, mut pairs, mut left) = (plan.source.clone(), false, &plan.steps[..]);
    // Whether the groups of the round whose keys are known are lists of all of their values.
    let mut has_lists = false;
    for round in 1.. {
        let begun = Instant::now();
        let (mut stage, taken) = Stage::first(source, pairs, left, &plan.functions, true);
        let after = stage.steps_of_groups(&left[taken..]);
        let taken = taken + after.len();
        let schema = if taken == 0 { plan.input(plan.steps.len() - left.len()) } else { &left[taken - 1].schema };
        left = &left[taken..];
        for step in stage.tasks.steps.iter_mut().chain(&mut stage.in_order.steps) {
            if let Op::Join { right, .. } = &mut step.op {
                let table = || computed(right, &Threads(context.workers), context);
                **right = in_step(round, StepKind::Load, context, table)?;
            }
        }
        let last_input = stage.last_input().clone();
        if log.keys.is_empty() {
            has_lists = !stage.combines();
        }
        // What is sorted next may come in any order.
        let in_order = !matches!(left.first(), Some(Step { op: Op::Sort { .. }, .. }));
        let given = job.round(round, (stage, after), in_order, begun, log);
        let (all, are_pairs) = given.map_err(|error| if has_lists { with_key(error, log) } else { error })?;
        if left.is_empty() {
            log.wall = start.elapsed();
            log.workers = context.workers;
            log.resumed = job.resumed.load(Ordering::Relaxed);
            log.cost = job.pool.processes.as_ref().map(Processes::cost);
            let rows = || if are_pairs { all_pairs(all, schema, context) } else { Ok(all) };
            return in_step(round, StepKind::Output, context, rows);
        }
        pairs = are_pairs;
        // Pairs are made of their rows by the tasks of the next round.
        let columns = if pairs { &last_input } else { schema };
        source = in_step(round, StepKind::Output, context, || kept(all, columns, schema, plan))?;
    }
    unreachable!("a job has a last round")
}

/// Before the number of the process in the name of a folder.
const FOLDER: &str = "timelab-job-";

/// A folder for what tasks hand over. Those of processes that were killed go away.
fn new_folder(scratch: &Path) -> io::Result<Folder> {
    let is_left = |name: &str| {
        let process = name.strip_prefix(FOLDER).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists())
    };
    for entry in fs::read_dir(scratch)?.flatten() {
        if entry.file_name().to_str().is_some_and(is_left) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Folder::new_in(tempfile::Builder::new().prefix(&format!("{FOLDER}{}-", std::process::id())), scratch)
}

/// Why a plan cannot run in worker processes, in words, and the place.
pub fn worker_objection(plan: &Prepared) -> Option<(&'static str, Span)> {
    let reads_input = plan.files().iter().any(files::is_standard_input);
    reads_input.then_some(("standard input is only in the process of the shell, not in its workers", plan.source.span))
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
    /// Where what tasks hand over is written, unless the job is kept.
    folder: Option<Folder>,
    kept_in: Option<&'j JobFolder>,
    /// Tasks that were done already.
    resumed: AtomicUsize,
}

/// A round: its number, what its tasks do, and how worker processes are told of that.
struct Round {
    number: usize,
    work: Work,
    ordered: Option<Ordered>,
    parts: Vec<Part>,
    /// The bytes of the parts, of files.
    bytes: Option<u64>,
}

impl Job<'_> {
    /// The rows that a round gives, and whether their pairs are meant.
    fn round(
        &self,
        number: usize,
        (stage, after): (Stage, &[Step]),
        in_order: bool,
        begun: Instant,
        log: &mut JobLog,
    ) -> Fallible<(Batch, bool)> {
        let mut load = StepRecord::new(number, StepKind::Load, 1);
        if let Source::Read(read) = &stage.tasks.source.op {
            load.tasks = read.files.len();
            load.bytes_in = Some(read.bytes());
        }
        load.wall = begun.elapsed();
        log.steps.push(load);
        let begun = Instant::now();
        let parts = self.parts(&stage);
        let mut slice = StepRecord::new(number, StepKind::Slice, parts.len());
        let part_bytes: Option<Vec<u64>> = parts.iter().map(|part| bytes_of(part, &stage.tasks.source)).collect();
        slice.bytes_out = part_bytes.as_ref().map(|bytes| bytes.iter().sum());
        slice.wall = begun.elapsed();
        let bytes = slice.bytes_out;
        log.steps.push(slice);

        let counts = self.options.counts_keys && log.keys.is_empty();
        let bad = self.options.bad;
        let shape = |is_keyed| self.shape(is_keyed, counts);
        let work = || Work::new(stage, after, shape, bad, self.context);
        let work = in_step(number, StepKind::Load, self.context, work)?;
        let processes = self.pool.processes.as_ref();
        let ordered = processes.map(|processes| Ordered::of_work(&work, processes.memory)).transpose()?;
        let round = Round { number, work, ordered, parts, bytes };
        let given = match round.work.shuffle().is_some() {
            true => self.map_reduce(&round, in_order, log),
            false => self.map_only(&round, log),
        };
        if let Some(processes) = processes {
            processes.finish();
        }
        given
    }

    fn shape(&self, is_keyed: bool, counts: bool) -> Shape {
        let workers = self.context.workers.max(1) as u64;
        // Several tasks run at a time, and while one writes there are copies of what it holds.
        let (most, reduced_in) = match (&self.pool.processes, self.options.memory) {
            (Some(processes), Some(_)) => (Some(processes.memory / 6), Some(processes.memory / 2)),
            (None, Some(bytes)) => (Some(bytes / (4 * workers)), Some(bytes / (2 * workers))),
            (_, None) => (None, None),
        };
        let partitions = self.options.partitions.unwrap_or(match self.options.memory {
            Some(_) => PARTITIONS_IN_LIMIT,
            None => self.context.workers.max(LEAST_PARTITIONS),
        });
        Shape {
            partitions: if is_keyed { partitions } else { 1 },
            is_keyed,
            combine: self.options.combine,
            counted: counts && is_keyed,
            most,
            reduced_in: reduced_in.map(|bytes| bytes.max(LEAST_REDUCED)),
            folder: match (self.kept_in, &self.folder) {
                (Some(kept), _) => Some(kept.path().to_path_buf()),
                (None, folder) => folder.as_ref().map(|folder| folder.path().to_path_buf()),
            },
        }
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

    /// A round whose tasks give rows.
    fn map_only(&self, round: &Round, log: &mut JobLog) -> Fallible<(Batch, bool)> {
        let begun = Instant::now();
        let Round { number, work, parts, .. } = round;
        let input = |task: usize| part_text(&parts[task], work.map_stage().stage());
        let tasks = Tasks { round: *number, kind: StepKind::Map, count: parts.len(), input: &input };
        let (outputs, attempts) = self.pool.run_each(tasks, &|task, hand| {
            let place = (*number, StepKind::Map, task);
            if let Some((given, bytes)) = self.done_before(place)? {
                return Ok(given.into_rows(&bytes)?);
            }
            let asked = Task::Rows { part: parts[task].clone() };
            match (hand, self.kept_in) {
                (None, None) => Ok(work.rows(&parts[task])?),
                (hand, _) => {
                    let (given, bytes) = self.ask_and_keep(hand, round, place, asked, &[])?;
                    Ok(given.into_rows(&bytes)?)
                }
            }
        })?;
        let rows = |batches: &[Batch]| batches.iter().map(|batch| batch.rows as u64).sum::<u64>();
        let mut map = StepRecord::new(*number, StepKind::Map, parts.len());
        let done = || outputs.iter().flatten();
        map.records_in = Some(done().map(|(seen, _)| seen.records_in).sum());
        map.bytes_in = round.bytes;
        map.records_out = Some(done().map(|(_, batches)| rows(batches)).sum());
        map.loads = done().map(|(seen, _)| seen.records_in).collect();
        map.bad = done().map(|(seen, _)| seen.bad.len() as u64).sum();
        self.list_bad(round, done().flat_map(|(seen, _)| &seen.bad), log);
        spent(&mut map, &attempts, begun.elapsed());
        log.steps.push(map);
        log.attempts.extend(attempts);
        let outputs = outputs.into_iter().map(|output| output.map(|(_, batches)| batches));
        self.output(*number, work.map_stage(), outputs, log)
    }

    /// Has a task done, by a worker process where there is one.
    fn ask(
        &self,
        hand: Option<&mut Hand>,
        round: &Round,
        task: Task,
        bytes: &[u8],
    ) -> Result<(Given, Vec<u8>), Failure> {
        match (hand, &round.ordered) {
            (Some(hand), Some(ordered)) => hand.ask(ordered, task, bytes, self.context),
            _ => Ok(round.work.done(task, bytes)?),
        }
    }

    /// What a task gave in an earlier run of the job.
    fn done_before(&self, place: Place) -> Fallible<Option<(Given, Vec<u8>)>> {
        let Some(kept_in) = self.kept_in else { return Ok(None) };
        let Some((given, counted, bytes)) = kept_in.done(place)? else { return Ok(None) };
        self.resumed.fetch_add(1, Ordering::Relaxed);
        self.context.counters.commit(&counted);
        Ok(Some((given, bytes)))
    }

    /// Has a task done, and keeps what it gives where the job is kept.
    fn ask_and_keep(
        &self,
        hand: Option<&mut Hand>,
        round: &Round,
        place: Place,
        task: Task,
        bytes: &[u8],
    ) -> Result<(Given, Vec<u8>), Failure> {
        let (given, counted) = Counters::attempt(|| self.ask(hand, round, task, bytes));
        self.context.counters.commit(&counted);
        let (given, bytes) = given?;
        if let Some(kept_in) = self.kept_in {
            kept_in.keep(place, &given, &counted, &bytes)?;
        }
        Ok((given, bytes))
    }

    /// Lists rows that were left out, where they are wanted.
    fn list_bad<'b>(&self, round: &Round, bad: impl Iterator<Item = &'b BadRow>, log: &mut JobLog) {
        if self.options.bad != Bad::Keep {
            return;
        }
        let room = MOST_LISTED.saturating_sub(log.bad.len());
        let all: Vec<BadRow> = bad.take(room).cloned().collect();
        log.bad.extend(bad::with_lines(all, &round.work.map_stage().stage().tasks.source.op));
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
        let mut take = |batches: Vec<Batch>| {
            for batch in batches {
                self.context.check()?;
                records += batch.rows as u64;
                let wants_more = phase.take(batch, &mut ready)?;
                ready.drain(..).try_for_each(|batch| rows.push(&batch))?;
                if !wants_more {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        for output in outputs {
            let batches = output?;
            if !in_step(round, StepKind::Output, self.context, || take(batches))? {
                // An error in a later task is one in rows that nobody needs.
                break;
            }
        }
        let pairs = open.stage().in_order.steps.last().is_some_and(|step| step.op == Op::Pairs);
        let (all, pairs) = in_step(round, StepKind::Output, self.context, || {
            while phase.close(&mut ready)? {
                ready.drain(..).try_for_each(|batch| rows.push(&batch))?;
            }
            Ok(match phase.into_breaker().and_then(Spilling::into_breaker) {
                Some(breaker) => (breaker.finish()?, pairs),
                None => (rows.finish(), false),
            })
        })?;
        output.records_in = Some(records);
        output.records_out = Some(all.rows as u64);
        output.bytes_out = Some(all.bytes());
        output.wall = begun.elapsed();
        log.steps.push(output);
        Ok((all, pairs))
    }

    /// A round whose tasks give parts of what the breaker at the end has.
    fn map_reduce(&self, round: &Round, in_order: bool, log: &mut JobLog) -> Fallible<(Batch, bool)> {
        let Round { number, work, parts, .. } = round;
        let shuffle = work.shuffle().expect("the round has a shuffle");
        let begun = Instant::now();
        let input = |task: usize| part_text(&parts[task], work.map_stage().stage());
        let tasks = Tasks { round: *number, kind: StepKind::Map, count: parts.len(), input: &input };
        let (outputs, attempts) = self.pool.run(tasks, &|task, hand| {
            let place = (*number, StepKind::Map, task);
            if let Some((given, bytes)) = self.done_before(place)? {
                return Ok(given.into_mapped(&bytes)?);
            }
            match (hand, self.kept_in) {
                (None, None) => Ok(work.map(&parts[task], task)?),
                (hand, _) => {
                    let (given, bytes) =
                        self.ask_and_keep(hand, round, place, Task::Map { part: parts[task].clone(), task }, &[])?;
                    Ok(given.into_mapped(&bytes)?)
                }
            }
        })?;
        self.log_map(round, &outputs, &attempts, begun.elapsed(), log);
        self.list_bad(round, outputs.iter().flat_map(|output| &output.seen.bad), log);
        log.attempts.extend(attempts);
        let records = outputs.iter().map(|output| output.seen.records).sum();

        let mut handed: Vec<Vec<Handed>> = vec![Vec::new(); shuffle.shape().partitions];
        for output in outputs {
            handed.iter_mut().zip(output.pairs).for_each(|(all, pairs)| all.extend(pairs));
        }
        if self.options.split_hot {
            self.split(round, &mut handed, log)?;
        }
        // Rows that were not combined would only be copied.
        if self.options.tree && shuffle.shape().combine {
            self.merge(round, &mut handed, log)?;
        }

        let begun = Instant::now();
        let load = |partition: usize| handed[partition].iter().map(|one| one.rows).sum::<u64>();
        let all: u64 = (0..handed.len()).map(load).sum();
        let input = |partition: usize| {
            let share = 100.0 * load(partition) as f64 / all.max(1) as f64;
            format!("partition {partition}, which gets {share:.0} % of the pairs")
        };
        let tasks = Tasks { round: *number, kind: StepKind::Reduce, count: handed.len(), input: &input };
        let counted = shuffle.shape().counted;
        let watched = self.context.monitor.as_ref().filter(|_| counted);
        let tops: Mutex<BTreeMap<usize, TopKeys>> = Mutex::default();
        let (reduced, attempts) = self.pool.run(tasks, &|partition, hand| {
            let place = (*number, StepKind::Reduce, partition);
            let reduced = match (self.done_before(place)?, hand, self.kept_in) {
                (Some((given, bytes)), ..) => given.into_reduced(&bytes)?,
                (None, None, None) => shuffle.reduce(&handed[partition], work.bad())?,
                (None, hand, _) => {
                    let (sent, bytes) = send(&handed[partition]);
                    let (given, bytes) =
                        self.ask_and_keep(hand, round, place, Task::Reduce { handed: sent }, &bytes)?;
                    given.into_reduced(&bytes)?
                }
            };
            // Whoever watches sees the keys of the partitions that are done while others are not.
            if let Some(watch) = watched {
                let mut tops = tops.lock().unwrap_or_else(PoisonError::into_inner);
                tops.insert(partition, reduced.seen.top.clone());
                let keys = ranked(tops.iter().map(|(partition, top)| (*partition, top)), records, handed.len());
                watch.keys(keys.iter().map(KeyRecord::seen).collect());
            }
            Ok(reduced)
        })?;
        let mut reduce = StepRecord::new(*number, StepKind::Reduce, handed.len());
        took(&mut reduce, &handed);
        reduce.records_out = Some(reduced.iter().map(|one| one.rows.rows as u64).sum());
        reduce.loads = (0..handed.len()).map(load).collect();
        reduce.spill = reduced.iter().map(|one| one.seen.spilled).sum();
        reduce.bad = reduced.iter().map(|one| one.seen.bad.len() as u64).sum();
        self.list_bad(round, reduced.iter().flat_map(|one| &one.seen.bad), log);
        spent(&mut reduce, &attempts, begun.elapsed());
        log.steps.push(reduce);
        log.attempts.extend(attempts);

        let begun = Instant::now();
        let pairs = shuffle.combiner().stage().tasks.steps.last().is_some_and(|step| step.op == Op::Pairs);
        if counted {
            let all = reduced.iter().map(|one| one.seen.top.records).sum();
            log.keys = ranked(reduced.iter().map(|one| &one.seen.top).enumerate(), all, reduced.len());
        }
        let batches: Vec<Batch> = reduced.into_iter().map(|one| one.rows).collect();
        let mut output = StepRecord::new(*number, StepKind::Output, 1);
        output.records_in = Some(batches.iter().map(|batch| batch.rows as u64).sum());
        let all = || self.put_together(batches, shuffle, in_order);
        let all = in_step(*number, StepKind::Output, self.context, all)?;
        output.records_out = Some(all.rows as u64);
        output.bytes_out = Some(all.bytes());
        output.wall = begun.elapsed();
        log.steps.push(output);
        Ok((all, pairs))
    }

    /// The rows of all partitions; with keys, in the order of the places in their last column if that is wanted.
    fn put_together(&self, mut batches: Vec<Batch>, shuffle: &Shuffle, in_order: bool) -> Fallible<Batch> {
        let is_keyed = shuffle.shape().is_keyed;
        let places: Option<Vec<Column>> =
            is_keyed.then(|| batches.iter_mut().filter_map(|batch| batch.columns.pop()).collect());
        if batches.len() == 1 {
            return Ok(batches.remove(0));
        }
        let places = places.filter(|_| in_order);
        let order = places.map(|places| in_places(&places, &batches, self.context)).transpose()?;
        let mut rows = Rows::new(shuffle.given());
        for batch in batches {
            self.context.check()?;
            rows.push(&batch)?;
        }
        let all = rows.finish();
        let Some(order) = order else { return Ok(all) };
        let mut rows = Rows::new(shuffle.given());
        for order in order.chunks(GATHERED) {
            self.context.check()?;
            rows.push_rows(&all, order)?;
        }
        Ok(rows.finish())
    }

    /// Merges what adjacent tasks have of a partition, until it is not much any more.
    fn merge(&self, round: &Round, handed: &mut [Vec<Handed>], log: &mut JobLog) -> Fallible<()> {
        let most = round.work.shuffle().and_then(|shuffle| shuffle.shape().most).unwrap_or(u64::MAX);
        for level in 0.. {
            // What does not become less, such as lists of all values, stays in pieces that fit.
            let is_merged = |handed: &Vec<Handed>| {
                let held: u64 = handed.iter().map(|one| one.held).sum();
                handed.len() > MERGED && held / handed.len() as u64 <= most / MERGED as u64
            };
            let merged: Vec<bool> = handed.iter().map(is_merged).collect();
            if !merged.contains(&true) {
                return Ok(());
            }
            let size = |partition: usize| if merged[partition] { MERGED } else { usize::MAX };
            self.merge_groups(round, (StepKind::Merge, level), handed, &size, log)?;
        }
        Ok(())
    }

    /// The first of two phases for partitions that have far more than others: several tasks each make a partial of
    /// what some map tasks gave. The reduce task then merges these.
    fn split(&self, round: &Round, handed: &mut [Vec<Handed>], log: &mut JobLog) -> Fallible<()> {
        let loads: Vec<u64> = handed.iter().map(|handed| handed.iter().map(|one| one.rows).sum()).collect();
        let fair = loads.iter().sum::<u64>().div_ceil(loads.len().max(1) as u64).max(1);
        if loads.len() < 2 || loads.iter().all(|load| *load <= HOT * fair) {
            return Ok(());
        }
        let lengths: Vec<usize> = handed.iter().map(Vec::len).collect();
        let size = |partition: usize| {
            let parts = if loads[partition] > HOT * fair { loads[partition].div_ceil(fair) } else { 1 };
            lengths[partition].div_ceil((parts as usize).max(1)).max(1)
        };
        self.merge_groups(
            round,
            (StepKind::Split, 0),
            handed,
            &|partition| match size(partition) {
                // What is not split stays as it is.
                size if size == lengths[partition].max(1) => usize::MAX,
                size => size,
            },
            log,
        )
    }

    /// Makes one of each group of things that tasks have of a partition, of which `size` go together. With
    /// `usize::MAX` they are left as they are.
    fn merge_groups(
        &self,
        round: &Round,
        (kind, level): (StepKind, usize),
        handed: &mut [Vec<Handed>],
        size: &dyn Fn(usize) -> usize,
        log: &mut JobLog,
    ) -> Fallible<()> {
        let shuffle = round.work.shuffle().expect("the round has a shuffle");
        let begun = Instant::now();
        let groups: Vec<(usize, &[Handed])> = handed
            .iter()
            .enumerate()
            .filter(|(partition, _)| size(*partition) != usize::MAX)
            .flat_map(|(partition, handed)| handed.chunks(size(partition)).map(move |group| (partition, group)))
            .collect();
        let input = |task: usize| format!("partition {}", groups[task].0);
        let tasks = Tasks { round: round.number, kind, count: groups.len(), input: &input };
        let merge: &Do<Handed> = &|task, hand| {
            let (_, group) = groups[task];
            if let ([one], true) = (group, kind == StepKind::Merge) {
                return Ok(one.clone());
            }
            let place = (round.number, kind, level << 32 | task);
            if let Some((given, bytes)) = self.done_before(place)? {
                return Ok(given.into_merged(&bytes)?);
            }
            match (hand, self.kept_in) {
                (None, None) => Ok(shuffle.merge(group)?),
                (hand, _) => {
                    let (sent, bytes) = send(group);
                    let (given, bytes) = self.ask_and_keep(hand, round, place, Task::Merge { handed: sent }, &bytes)?;
                    Ok(given.into_merged(&bytes)?)
                }
            }
        };
        let (outputs, attempts) = self.pool.run(tasks, merge)?;
        let mut record = StepRecord::new(round.number, kind, groups.len());
        record.records_in = Some(groups.iter().flat_map(|(_, group)| *group).map(|one| one.rows).sum());
        record.bytes_in = Some(groups.iter().flat_map(|(_, group)| *group).map(|one| one.bytes).sum());
        record.records_out = Some(outputs.iter().map(|one| one.rows).sum());
        record.bytes_out = Some(outputs.iter().map(|one| one.bytes).sum());
        record.spill = written(&outputs);
        record.loads = groups.iter().map(|(_, group)| group.iter().map(|one| one.rows).sum()).collect();
        spent(&mut record, &attempts, begun.elapsed());
        log.steps.push(record);
        log.attempts.extend(attempts);
        let mut merged: Vec<Vec<Handed>> = vec![Vec::new(); handed.len()];
        groups.iter().zip(outputs).for_each(|((partition, _), one)| merged[*partition].push(one));
        for (partition, merged) in merged.into_iter().enumerate() {
            if size(partition) != usize::MAX {
                handed[partition] = merged;
            }
        }
        Ok(())
    }

    /// Map, combine and shuffle are parts of the same tasks, whose time is divided by what each part took.
    fn log_map(&self, round: &Round, outputs: &[Mapped], attempts: &[Attempt], wall: Duration, log: &mut JobLog) {
        let number = round.number;
        let mut whole = StepRecord::new(number, StepKind::Map, outputs.len());
        spent(&mut whole, attempts, wall);
        let part = |at: usize, of: fn(&Took) -> Duration| {
            let sum = |at: usize| outputs.iter().map(|output| of(&output.seen.took[at]).as_secs_f64()).sum::<f64>();
            sum(at) / (sum(0) + sum(1) + sum(2)).max(1e-12)
        };
        let share = |record: &mut StepRecord, at: usize| {
            record.cpu = whole.cpu.mul_f64(part(at, |took| took.cpu));
            record.wall = whole.wall.mul_f64(part(at, |took| took.wall));
        };
        let records: Vec<u64> = outputs.iter().map(|output| output.seen.records).collect();
        let handed = |output: &Mapped| output.pairs.iter().flatten().map(|handed| handed.rows).sum::<u64>();
        let bytes_handed: u64 =
            outputs.iter().flat_map(|output| output.pairs.iter().flatten()).map(|handed| handed.bytes).sum();
        let shape = round.work.shuffle().map(Shuffle::shape);
        let partitions = shape.map_or(0, |shape| shape.partitions);

        let mut map = StepRecord::new(number, StepKind::Map, outputs.len());
        map.records_in = Some(outputs.iter().map(|output| output.seen.records_in).sum());
        map.bytes_in = round.bytes;
        map.records_out = Some(records.iter().sum());
        map.loads = outputs.iter().map(|output| output.seen.records_in).collect();
        map.retries = whole.retries;
        map.bad = outputs.iter().map(|output| output.seen.bad.len() as u64).sum();
        share(&mut map, 0);
        log.steps.push(map);
        if shape.is_some_and(|shape| shape.combine) {
            let mut combine = StepRecord::new(number, StepKind::Combine, outputs.len());
            combine.records_in = Some(records.iter().sum());
            combine.records_out = Some(outputs.iter().map(handed).sum());
            combine.bytes_out = Some(bytes_handed);
            combine.loads = records;
            share(&mut combine, 1);
            log.steps.push(combine);
        }
        let mut shuffle = StepRecord::new(number, StepKind::Shuffle, outputs.len() * partitions);
        shuffle.records_in = Some(outputs.iter().map(handed).sum());
        shuffle.records_out = shuffle.records_in;
        shuffle.bytes_in = Some(bytes_handed);
        shuffle.bytes_out = Some(bytes_handed);
        shuffle.spill = outputs.iter().flat_map(|output| &output.pairs).map(|handed| written(handed)).sum();
        let of_partition =
            |at: usize| outputs.iter().flat_map(|output| &output.pairs[at]).map(|handed| handed.rows).sum();
        shuffle.loads = (0..partitions).map(of_partition).collect();
        share(&mut shuffle, 2);
        log.steps.push(shuffle);
    }
}

/// What is handed over as a message.
fn send(handed: &[Handed]) -> (Vec<Sent>, Vec<u8>) {
    let mut bytes = Vec::new();
    (handed.iter().map(|one| Sent::of(one, &mut bytes)).collect(), bytes)
}

/// The bytes of what is in files.
fn written(handed: &[Handed]) -> u64 {
    handed.iter().map(Handed::spilled).sum()
}

/// What a step takes from others.
fn took(record: &mut StepRecord, handed: &[Vec<Handed>]) {
    record.records_in = Some(handed.iter().flatten().map(|one| one.rows).sum());
    record.bytes_in = Some(handed.iter().flatten().map(|one| one.bytes).sum());
}

/// The rows of all partitions, which stand one after the other, by the places of the first rows of their keys.
fn in_places(places: &[Column], batches: &[Batch], context: &RunContext) -> Fallible<Vec<u32>> {
    let mut order: Vec<(i64, u32)> = Vec::new();
    // Where the rows of each partition end: they are in order.
    let mut ends = Vec::new();
    for (column, batch) in places.iter().zip(batches) {
        context.check()?;
        let first = order.len();
        order.extend((0..batch.rows).map(|row| (place_at(column, row), (first + row) as u32)));
        ends.push(order.len());
    }
    while ends.len() > 1 {
        let mut start = 0;
        ends = ends.chunks(2).filter_map(|pair| pair.last().copied()).collect();
        for end in &ends {
            context.check()?;
            // The sort finds the two runs that there are, and merges them.
            order[start..*end].sort();
            start = *end;
        }
    }
    Ok(order.into_iter().map(|(_, row)| row).collect())
}

/// What the attempts of a step cost together.
fn spent(record: &mut StepRecord, attempts: &[Attempt], wall: Duration) {
    record.cpu = attempts.iter().map(|attempt| attempt.cpu).sum();
    record.retries = attempts.iter().filter(|attempt| attempt.lost).count();
    record.wall = wall;
}

/// The place of a part in its input, for errors.
fn part_text(part: &Part, stage: &Stage) -> String {
    match (&stage.tasks.source.op, part) {
        (Source::Read(read), Part::Files(splits)) => {
            let place = |split: &files::Split| {
                let file = &read.files[split.file];
                format!("\"{}\", bytes {} to {}", file.shown, split.start, split.end.min(file.seen.0))
            };
            splits.iter().map(place).collect::<Vec<_>>().join("; ")
        }
        (_, Part::Rows { start, end }) => format!("rows {start} to {end}"),
        (_, Part::Whole | Part::Files(_)) => "all rows".to_string(),
    }
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
