//! The comparison at one point: results first, then samples in turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::algorithms::Claims;
use crate::data::{Sameness, Table};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::Pipeline;
use crate::magics::against::{Against, Beside};
use crate::magics::timing::Time;
use crate::measure::{self, Cost, Finding, Overhead, Spread, Turns, Wall, calibrate, calls_for, compare, linger};
use crate::plan::{File, Plan};
use crate::run_context::RunContext;
use crate::session::{Bound, Session, Subject, kept_plan, only_table, value_plan};

use super::contenders::Contender;
use super::family::Asker;
use super::ways::{Way, What};

/// Samples are taken for so long, even where all is settled earlier: a moment is not like the next one, and medians of it
/// alone would differ from run to run.
const LEAST: Duration = Duration::from_millis(300);
/// A first run that takes longer is not calibrated: it is long enough.
const SLOW: Duration = Duration::from_millis(20);
/// A sample of the slowest variant lasts no longer than this, in nanoseconds, where it has several calls.
const LONG_SAMPLE: f64 = 10e6;

/// What was asked for.
pub struct Asked {
    pub clock: Option<Time>,
    pub limit: Duration,
    pub against: Option<Against>,
}

/// What stands on the first line.
pub enum Input<'a> {
    None,
    Shared(&'a Pipeline),
    Family(&'a Asker),
}

/// A comparison at one point.
pub struct Round {
    pub point: Option<i64>,
    /// Rows that come out of sources, where known, and files that are read.
    pub rows: Option<u64>,
    pub files: Vec<File>,
    pub entries: Vec<Entry>,
    /// The samples of those that did not fail, in order.
    pub turns: Option<Turns>,
    pub time: Time,
    pub parallel: bool,
}

pub struct Entry {
    pub name: String,
    pub lines: usize,
    /// Empty without one.
    pub engine: String,
    /// Why it does not run on the engine that was meant.
    pub instead: Option<String>,
    pub outcome: Outcome,
    /// The nanoseconds that a call costs beside its work, where no work is left that could be timed.
    pub removed: Option<f64>,
}

pub enum Outcome {
    /// Why it has no result.
    Failed(String),
    /// It is not run at this size: its largest one.
    TooLarge(usize),
    /// How its result stands to the first one, and what one run cost.
    RunResult(Sameness, Cost),
}

pub fn round(
    session: &mut Session,
    ways: &[Way],
    input: &Input,
    point: Option<i64>,
    asked: &Asked,
    context: &RunContext,
    live: &dyn Fn(&[Entry], &Turns),
) -> Fallible<Round> {
    let size = point.unwrap_or_default();
    let case = if let Input::Family(family) = input { Some(family.case(size)?) } else { None };
    let (mut rows, mut files) = (None, Vec::new());
    let input = match (input, &case) {
        (Input::Shared(shared), _) => {
            let plan = table_of(session, shared)?;
            files.extend(plan.files());
            let choice = session.engine(None)?;
            let table = session.run(plan, choice, context)?.table;
            rows = Some(table.height() as u64);
            Some(kept_plan(table, shared.span))
        }
        (Input::Family(family), Some(case)) if ways.iter().any(Way::continues) => {
            Some(kept_plan(Arc::new(case.input()), family.span))
        }
        _ => None,
    };
    let mut entries = Vec::new();
    let mut ready: Vec<Ready> = Vec::new();
    let mut first: Option<(Table, Option<Plan>)> = None;
    for way in ways {
        if let What::Algorithm(Claims { most, .. }) = way.what
            && size > most as i64
        {
            entries.push(Entry::new(way, None, Outcome::TooLarge(most)));
            continue;
        }
        let ran = way.ready(session, input.as_ref(), case.as_ref(), context).and_then(|work| {
            let (table, cost) = first_run(&*work, context)?;
            let work = Ready::new(work, &cost, context)?;
            Ok((work, table, cost))
        });
        match ran {
            Ok((one, table, cost)) => {
                let plan = one.work.repeated().and_then(Subject::plan).cloned();
                let (first, first_plan) = first.get_or_insert_with(|| (table.clone(), plan.clone()));
                let plans: Vec<&Plan> = first_plan.iter().chain(&plan).collect();
                let same = same(session, [&*first, &table], &plans, context)?;
                if let Some(repeated) = one.work.repeated() {
                    rows = rows.or(repeated.rows_read);
                    files.extend(repeated.files.iter().cloned());
                }
                let entry = Entry::new(way, one.work.repeated(), Outcome::RunResult(same, cost));
                entries.push(Entry { removed: one.removed, ..entry });
                ready.push(one);
            }
            Err(error) if error.kind == Kind::Stopped => return Err(error),
            Err(error) => entries.push(Entry::new(way, None, Outcome::Failed(error.message.clone()))),
        }
    }
    drop(first);
    let parallel = ready.iter().any(|one| one.work.is_parallel());
    let slowest = ready.iter().map(|one| one.call).fold(0.0, f64::max);
    // The clock that a kept measurement had does not count where it would be wrong.
    let then = asked.against.as_ref().filter(|_| !parallel).and_then(|against| against.clock(point));
    let time = Time::chosen(asked.clock.or(then), slowest, parallel)?;
    let turns = turns(&ready, time, slowest, asked.limit, context, &|turns| live(&entries, turns))?;
    Ok(Round { point, rows, files, entries, turns, time, parallel })
}

/// What the first line's pipeline means, as a table.
pub fn table_of(session: &mut Session, pipeline: &Pipeline) -> Fallible<Plan> {
    match session.bind(pipeline)? {
        Bound::Table(plan) => {
            only_table(&plan)?;
            Ok(plan)
        }
        Bound::Value(value, ty) => Ok(value_plan(value, ty, pipeline.span)),
    }
}

/// How a result stands to the first one; where somebody types, long tables are compared so that it can be stopped.
fn same(session: &Session, [first, table]: [&Table; 2], plans: &[&Plan], context: &RunContext) -> Fallible<Sameness> {
    let plain = match session.detached().filter(|_| table.height() > 100_000) {
        Some(detached) => {
            let (first, table) = (first.clone(), table.clone());
            detached.run("the comparison of results", context, move |_| Ok(first.same(&table)))?
        }
        None => first.same(table),
    };
    session.judged(plain, [first, table], plans, context)
}

/// The result of a way, and what a run costs.
fn first_run(work: &dyn Contender, context: &RunContext) -> Fallible<(Table, Cost)> {
    let (table, cost) = work.table(context)?;
    // The first run also pays for what is made only once.
    let cost = if cost.wall >= SLOW { cost } else { work.cost(context)? };
    Ok((table, cost))
}

/// What has run once and can be sampled.
struct Ready<'c> {
    work: Box<dyn Contender + 'c>,
    /// The nanoseconds of a run, roughly.
    call: f64,
    /// As of an entry.
    removed: Option<f64>,
}

impl Ready<'_> {
    fn new<'c>(work: Box<dyn Contender + 'c>, cost: &Cost, context: &RunContext) -> Fallible<Ready<'c>> {
        if cost.wall >= SLOW {
            return Ok(Ready { work, call: cost.wall.as_nanos() as f64, removed: None });
        }
        let mut subject = work.subject(context);
        // By itself: beside slow ones a sample may have a single call, in which nothing so short is seen.
        let call = calibrate(&Wall, &mut *subject, SLOW.as_nanos() as u64)?.call;
        let overhead = subject.overhead(&Wall).unwrap_or_else(|| Overhead::measure(&Wall));
        drop(subject);
        let removed = overhead.hides(call - overhead.call).then_some(overhead.call);
        Ok(Ready { work, call, removed })
    }
}

/// Samples in turns, at most for the time of the `limit`; none where nobody is left.
fn turns(
    ready: &[Ready],
    time: Time,
    slowest: f64,
    limit: Duration,
    context: &RunContext,
    live: &dyn Fn(&Turns),
) -> Fallible<Option<Turns>> {
    if ready.is_empty() {
        return Ok(None);
    }
    // Where nothing is left to be timed, no number of calls is enough.
    let fastest = ready.iter().filter(|one| one.removed.is_none()).map(|one| one.call).fold(slowest, f64::min);
    let calls = calls_for(fastest).min(((LONG_SAMPLE / slowest) as u64).max(1));
    let overhead = Overhead::measure(time.clock());
    let mut works: Vec<_> = ready.iter().map(|one| one.work.subject(context)).collect();
    let mut subjects: Vec<&mut dyn measure::Workload<Box<Diagnostic>>> =
        works.iter_mut().map(|work| &mut **work as &mut dyn measure::Workload<Box<Diagnostic>>).collect();
    let start = Instant::now();
    let go_on = |turns: &Turns| {
        live(turns);
        let passed = start.elapsed();
        let next = passed / turns.pairs() as u32;
        !context.stop.is_raised() && passed + next <= limit
    };
    let chance = &mut fastrand::Rng::new();
    let (mut turns, mut failed) = compare(time.clock(), &overhead, &mut subjects, calls, chance, go_on);
    let short = LEAST.min(limit);
    if failed.is_none() && !context.stop.is_raised() && start.elapsed() < short {
        failed = linger(time.clock(), &overhead, &mut subjects, chance, &mut turns, |turns| {
            live(turns);
            !context.stop.is_raised() && start.elapsed() < short
        });
    }
    match failed {
        Some(error) if !context.stop.is_raised() || turns.pairs() == 0 => Err(error),
        _ => Ok(Some(turns)),
    }
}

impl Entry {
    fn new(way: &Way, repeated: Option<&Subject>, outcome: Outcome) -> Entry {
        let engine = repeated.map(|repeated| repeated.runs_on().to_string()).unwrap_or_default();
        let why = repeated.and_then(|repeated| repeated.instead);
        let instead = why.map(|why| format!("ran on {engine}: {why}"));
        Entry { name: way.name.clone(), lines: way.lines, engine, instead, outcome, removed: None }
    }
}

/// Whether all that ran gave the same.
fn agree(entries: &[Entry]) -> bool {
    entries.iter().all(|entry| match &entry.outcome {
        Outcome::Failed(_) | Outcome::TooLarge(_) | Outcome::RunResult(Sameness::Same, _) => true,
        Outcome::RunResult(Sameness::Different(_) | Sameness::CannotTell(_), _) => false,
    })
}

/// The first that ran.
fn first(entries: &[Entry]) -> Option<&Entry> {
    entries.iter().find(|entry| matches!(entry.outcome, Outcome::RunResult(..)))
}

/// Whether an entry can be held against the first: the results are the same, and work is left on both sides.
pub fn is_held(entry: &Entry, entries: &[Entry]) -> bool {
    agree(entries) && entry.removed.is_none() && first(entries).is_some_and(|first| first.removed.is_none())
}

impl Round {
    /// Whether all that ran gave the same.
    pub fn agrees(&self) -> bool {
        agree(&self.entries)
    }

    /// Each entry with its place among the samples.
    pub fn placed(&self) -> impl Iterator<Item = (&Entry, Option<usize>)> {
        let mut next = 0;
        self.entries.iter().map(move |entry| match entry.outcome {
            Outcome::Failed(_) | Outcome::TooLarge(_) => (entry, None),
            Outcome::RunResult(..) => {
                next += 1;
                (entry, Some(next - 1))
            }
        })
    }

    /// The measure of all others: the first that ran.
    pub fn first(&self) -> Option<&Entry> {
        first(&self.entries)
    }

    /// What is known about the entry at a place among the samples; nothing about the first, nothing without the same
    /// results, and nothing where no work is left.
    pub fn finding(&self, entry: &Entry, place: Option<usize>) -> Option<Finding> {
        let place = place.filter(|place| *place > 0 && is_held(entry, &self.entries))?;
        self.turns.as_ref().map(|turns| turns.finding(place))
    }

    /// Median and IQR in seconds; none where no work is left, which beside slow ones would be those of the clock.
    pub fn median(&self, entry: &Entry, place: Option<usize>) -> Option<(f64, f64)> {
        if entry.removed.is_some() {
            return None;
        }
        let samples = self.turns.as_ref()?.samples(place?);
        // One run has no error bar.
        let spread = if samples.each().len() > 1 { samples.iqr() / 1e9 } else { f64::NAN };
        Some((samples.median() / 1e9, spread))
    }

    /// How the entry at a place stands beside what was kept of it; nothing where no work is left.
    pub fn beside(&self, against: &Against, entry: &Entry, place: Option<usize>) -> Option<Beside> {
        if entry.removed.is_some() {
            return None;
        }
        let now = Spread::of(&self.turns.as_ref()?.samples(place?))?;
        against.beside(self.point, &entry.name, &now)
    }
}
