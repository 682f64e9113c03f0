//! The comparison at one point: results first, then samples in turns.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::algorithms::{Case, Claims};
use crate::commands;
use crate::data::Sameness;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::Pipeline;
use crate::magics::against::Against;
use crate::magics::timing::{self, Time};
use crate::measure::{
    Beside, Calibration, Clock, Clocks, Cost, Design, Finding, INTERRUPTED, Missed, Overhead, ProcessCpu, Sampled,
    Samples, Spread, Turns, UnitKind, Units, Workload, compare, linger, sample,
};
use crate::plan::{File, Plan, Prepared};
use crate::run_context::RunContext;
use crate::session::programs::Command;
use crate::session::{
    Bound, Draft, Replicas, Screened, Session, Subject, VariantOutput, kept_plan, lone_command, only_table, value_plan,
};

use super::family::Asker;
use super::variants::{Variant, What};

/// Samples are taken for so long, even where all is settled earlier: a moment is not like the next one, and medians of
/// it alone would differ from run to run. A verdict is also held against as much time again, but not more than that,
/// and withdrawn where the turns of both together do not support it.
const LEAST: Duration = Duration::from_millis(300);
const LONGEST_CHECK: Duration = Duration::from_secs(1);
/// A first run that takes longer is not calibrated: it is long enough.
const SLOW: Duration = Duration::from_millis(20);

/// Shows how far it has come.
pub trait Live {
    /// What is known while samples are taken; the places of those that are sampled are among the entries.
    fn sampled(&self, entries: &[Entry], turns: &Turns, places: &[usize]);

    /// A variant runs for the first time, for nobody knows how long.
    fn first_run(&self, name: &str);
}

/// What was asked for.
pub struct Asked {
    pub clock: Option<Time>,
    pub limit: Duration,
    pub against: Option<Against>,
    /// The variant that all others are held against; without one it is the first that runs. A sweep always has one, the
    /// same at all points, or their speed-ups could not stand in one column.
    pub base: Option<String>,
    /// Exactly so many samples of each.
    pub runs: Option<u64>,
}

/// What stands on the first line.
pub enum Input<'a> {
    None,
    Shared(&'a Pipeline),
    Family(&'a Asker),
}

/// A comparison at one point.
pub struct Round<'a> {
    pub point: Option<i64>,
    /// Rows that come out of sources, where known, and files that are read.
    pub rows: Option<u64>,
    pub files: Vec<File>,
    pub entries: Vec<Entry<'a>>,
    /// The name of the variant that all others are held against, and its place among the entries where it ran here.
    pub base: String,
    pub base_place: Option<usize>,
    /// Whether the baseline was known before anything ran.
    pub named: bool,
    pub parallel: bool,
    /// Whether it was stopped while samples were taken, or before.
    pub stopped: bool,
    /// Whether it was stopped before each variant had a sample: then all that is known of one is a run.
    pub is_unsampled: bool,
    /// A variant that was sampled when it was stopped, where that sample had gone on for far longer than others of it.
    pub hung: Option<(String, Duration)>,
    /// For how long it was to be sampled.
    pub limit: Duration,
    /// Why all are timed by the clock of the wall though some calls are long: the variant, and what CPU time leaves
    /// out.
    pub missed: Option<(String, Missed)>,
}

/// A variant and what became of it.
pub struct Entry<'a> {
    pub variant: &'a Variant<'a>,
    /// Empty without one.
    pub engine: String,
    /// Why it does not run on the engine that was meant.
    pub instead: Option<String>,
    pub outcome: Outcome,
}

pub enum Outcome {
    /// Why it has no result.
    Failed(String),
    /// It is not run at this size: its largest one.
    TooLarge(usize),
    /// Its first run had gone on for so long when it was stopped.
    Stopped(Duration),
    /// It was stopped before this one ran.
    NotRun,
    Ran(Box<Measurement>),
}

/// What is known of a variant that ran.
pub struct Measurement {
    /// How its result stands to that of the first that ran.
    pub sameness: Sameness,
    /// What one run cost.
    pub cost: Cost,
    /// CPU time of a call on all its threads, in seconds, where one of those that are compared has several.
    pub cpu: Option<f64>,
    /// The nanoseconds that a call costs beside its work, where no work is left that could be timed.
    pub removed: Option<f64>,
    /// Whether each of its calibrations was interrupted, so that nothing is told of it.
    pub interrupted: bool,
    /// Its samples and their clock; none where nothing was sampled.
    pub samples: Option<Samples>,
    pub time: Time,
    /// What its clock leaves out, where that was asked for: then there is no verdict.
    pub misses: Option<Missed>,
    /// How it stands to the baseline by its samples; none for the baseline.
    pub finding: Option<Finding>,
    /// What is known of it where it is a command.
    pub command: Option<CommandRan>,
}

/// What is known of a command that ran.
pub struct CommandRan {
    /// As it was run, its values put in.
    pub text: String,
    pub output: Rc<commands::Output>,
    pub status: i32,
    /// Each sample.
    pub runs: Vec<commands::ProcessRun>,
    /// The seconds that a shell takes to start, where one runs it: they are subtracted.
    pub shell: Option<f64>,
    /// The seconds that a process takes which does nothing, where another variant is no command.
    pub nothing: Option<f64>,
}

impl CommandRan {
    /// The middle of a figure over all samples.
    pub fn median(&self, figure: fn(&commands::ProcessRun) -> f64) -> Option<f64> {
        let samples = Samples::new(1, self.runs.iter().map(figure).collect());
        (!self.runs.is_empty()).then(|| samples.median())
    }

    /// The most memory of any run.
    pub fn peak(&self) -> Option<u64> {
        self.runs.iter().map(|ran| ran.peak).max()
    }
}

impl<'a> Entry<'a> {
    fn new(variant: &'a Variant<'a>, outcome: Outcome) -> Entry<'a> {
        Entry { variant, engine: String::new(), instead: None, outcome }
    }

    pub fn ran(&self) -> Option<&Measurement> {
        if let Outcome::Ran(ran) = &self.outcome { Some(ran) } else { None }
    }
}

/// What is sampled: a subject that has run, and the place of its entry.
struct Ready<'c> {
    place: usize,
    subject: Subject<'c>,
    calibration: Calibration,
    time: Time,
}

pub fn round<'a>(
    session: &mut Session,
    variants: &'a [Variant<'a>],
    input: &Input,
    point: Option<i64>,
    asked: &Asked,
    context: &RunContext,
    live: &dyn Live,
) -> Fallible<Round<'a>> {
    let size = point.unwrap_or_default();
    let case = if let Input::Family(family) = input { Some(family.case(size)?) } else { None };
    let mut round = Round {
        point,
        rows: None,
        files: Vec::new(),
        entries: Vec::new(),
        base: asked.base.clone().unwrap_or_default(),
        base_place: None,
        named: asked.base.is_some(),
        parallel: false,
        stopped: false,
        is_unsampled: false,
        hung: None,
        limit: asked.limit,
        missed: None,
    };
    let input = match (input, &case) {
        (Input::Shared(shared), _) => {
            let plan = table_of(session, shared)?;
            round.files.extend(plan.files());
            let choice = session.engine(None)?;
            let table = session.run(plan, choice, context)?.table;
            round.rows = Some(table.height() as u64);
            Some(kept_plan(table, shared.span))
        }
        (Input::Family(family), Some(case)) if variants.iter().any(Variant::continues) => {
            Some(kept_plan(Arc::new(case.input()), family.span))
        }
        _ => None,
    };
    let at = At { variants, input, case, asked, context, live };
    // One that ends its process, as a crash of Rust does, takes nothing of the others with it: these are compared once
    // more, without it.
    let mut crashed: Vec<(usize, String)> = Vec::new();
    while let Some(failure) = at.attempt(session, &crashed, &mut round)? {
        crashed.push(failure);
    }
    Ok(round)
}

/// What is compared at a point.
struct At<'a, 'r> {
    variants: &'a [Variant<'a>],
    /// The table of the first line, computed.
    input: Option<Plan>,
    case: Option<Arc<dyn Case>>,
    asked: &'r Asked,
    context: &'r RunContext,
    live: &'r dyn Live,
}

impl<'a> At<'a, '_> {
    /// Runs all variants but those that have crashed, and samples them; gives the place of one that fails while it is
    /// sampled, and why.
    fn attempt(
        &self,
        session: &mut Session,
        crashed: &[(usize, String)],
        round: &mut Round<'a>,
    ) -> Fallible<Option<(usize, String)>> {
        let At { variants, input, case, asked, context, live } = self;
        let size = round.point.unwrap_or_default();
        let clocks = session.clocks.clone();
        round.entries = variants.iter().map(|variant| Entry::new(variant, Outcome::Failed(String::new()))).collect();
        let mut subjects = Vec::new();
        let mut drafts: Vec<(usize, Draft)> = Vec::new();
        for (place, variant) in variants.iter().enumerate() {
            if let Some((_, why)) = crashed.iter().find(|(other, _)| *other == place) {
                round.entries[place].outcome = Outcome::Failed(why.clone());
                continue;
            }
            match (&variant.what, case.as_ref()) {
                (What::Algorithm(Claims { most, .. }), _) if size > *most as i64 => {
                    round.entries[place].outcome = Outcome::TooLarge(*most);
                }
                (What::Algorithm(claims), Some(case)) => subjects.push((place, session.algorithm(case, *claims))),
                (What::Algorithm(_), None) => unreachable!("a family has a case at each point"),
                (What::Pipeline { .. }, _) => match variant.draft(session, input.as_ref()) {
                    Ok(draft) => drafts.extend(draft.map(|draft| (place, draft))),
                    Err(error) => subjects.push((place, Err(error))),
                },
            }
        }
        let (places, drafts): (Vec<usize>, Vec<Draft>) = drafts.into_iter().unzip();
        let others = subjects.iter().any(|(_, subject)| subject.is_ok());
        let made = session.subjects(drafts, REPLICAS, others, context)?;
        subjects.extend(places.into_iter().zip(made));
        subjects.sort_by_key(|(place, _)| *place);
        let mut ready: Vec<Ready> = Vec::new();
        let mut first: Option<(VariantOutput, Option<Prepared>)> = None;
        for (place, subject) in subjects {
            let entry = &mut round.entries[place];
            if context.stop.is_raised() {
                entry.outcome = Outcome::NotRun;
                continue;
            }
            live.first_run(&entry.variant.name);
            let start = clocks.wall.now();
            let ran = subject.and_then(|subject| {
                let found = FirstRuns::of(&subject, &clocks, context)?;
                Ok((subject, found))
            });
            match ran {
                Ok((subject, FirstRuns { given, cost, calibration })) => {
                    let plan = subject.plan().cloned();
                    let (first, first_plan) = first.get_or_insert_with(|| (given.clone(), plan.clone()));
                    let plans: Vec<&Prepared> = first_plan.iter().chain(&plan).collect();
                    let sameness = match same(session, [&*first, &given], &plans, context) {
                        Err(error) if error.kind == Kind::Stopped => {
                            Sameness::CannotTell("it was stopped before they were compared".to_string())
                        }
                        sameness => sameness?,
                    };
                    round.rows = round.rows.or(subject.rows_read);
                    // Those of an attempt before are there already.
                    let new = |file: &&File| !round.files.contains(file);
                    let new: Vec<File> = subject.files.iter().filter(new).cloned().collect();
                    round.files.extend(new);
                    entry.engine = subject.runs_on().to_string();
                    entry.instead = subject.instead.map(|why| format!("ran on {}: {why}", entry.engine));
                    let is_whole = !context.stop.is_raised();
                    let removed = is_whole.then(|| find_removed(&clocks, &subject, &calibration, context)).flatten();
                    entry.outcome = Outcome::Ran(Box::new(Measurement {
                        sameness,
                        cost,
                        cpu: None,
                        removed,
                        interrupted: calibration.interrupted,
                        samples: None,
                        time: Time::Wall,
                        misses: None,
                        finding: None,
                        command: subject.command().and_then(|command| {
                            let (text, output) = (command.text.clone(), command.output()?);
                            let start = || command.start(context).ok();
                            let shell = command.is_shell().then(start).flatten();
                            let mixed = variants.iter().any(|variant| {
                                variant.pipeline().is_none_or(|pipeline| lone_command(pipeline).is_none())
                            });
                            let nothing = (mixed && shell.is_none()).then(start).flatten();
                            let status = command.status().unwrap_or_default();
                            Some(CommandRan { text, output, status, runs: Vec::new(), shell, nothing })
                        }),
                    }));
                    ready.push(Ready { place, subject, calibration, time: Time::Wall });
                }
                Err(error) if error.kind == Kind::Stopped => {
                    entry.outcome = Outcome::Stopped(Duration::from_nanos(clocks.wall.now() - start));
                }
                Err(error) => entry.outcome = Outcome::Failed(error.message.clone()),
            }
        }
        drop(first);
        if asked.base.is_none() {
            round.base = round.first().map_or_else(String::new, |first| first.variant.name.clone());
        }
        let base = ready.iter().find(|one| round.entries[one.place].variant.name == round.base);
        round.base_place = base.map(|base| base.place);
        round.parallel = ready.iter().any(|one| one.subject.is_parallel());
        let sampled = match context.stop.is_raised() {
            true => Ok(None),
            false => choose_clocks(&clocks, &mut ready, round, asked, context).and_then(|()| {
                let failed = sample_in_turns(&clocks, &ready, round, asked, context, *live)?;
                match failed.is_none() && !context.stop.is_raised() && turn_to_wall(&mut ready, round, asked) {
                    true => sample_in_turns(&clocks, &ready, round, asked, context, *live),
                    false => Ok(failed),
                }
            }),
        };
        keep_commands(&ready, round);
        if sampled.as_ref().map_or_else(|error| error.kind == Kind::Stopped, |_| context.stop.is_raised()) {
            keep_single_runs(&ready, round);
            return Ok(None);
        }
        sampled
    }
}

/// Takes the clock of the wall for all where a command has waited in its samples, though it did not in its first run;
/// whether that is so.
fn turn_to_wall(ready: &mut [Ready], round: &mut Round, asked: &Asked) -> bool {
    let misses = |entry: &Entry| Some((entry.variant.name.clone(), entry.ran()?.misses?));
    let found = round.entries.iter().find_map(misses).filter(|_| asked.clock.is_none());
    if found.is_none() {
        return false;
    }
    round.missed = found;
    for one in ready {
        one.time = Time::Wall;
        if let Outcome::Ran(ran) = &mut round.entries[one.place].outcome {
            (ran.time, ran.misses) = (Time::Wall, None);
        }
        if let Some(command) = one.subject.command() {
            command.forget_samples();
        }
    }
    true
}

/// What is known of commands once they were sampled; one that prints something else each time is like no other.
fn keep_commands(ready: &[Ready], round: &mut Round) {
    for one in ready {
        let Outcome::Ran(ran) = &mut round.entries[one.place].outcome else { continue };
        let (Some(command), Some(known)) = (one.subject.command(), &mut ran.command) else { continue };
        known.runs = command.samples();
        if command.changes() {
            ran.sameness = Sameness::CannotTell("its output changes from run to run".to_string());
        }
    }
}

/// Where it was stopped before a turn was over, what is known of each variant is a run.
fn keep_single_runs(ready: &[Ready], round: &mut Round) {
    round.stopped = true;
    for one in ready {
        let Outcome::Ran(ran) = &mut round.entries[one.place].outcome else { continue };
        if ran.samples.is_none() {
            ran.samples = Some(Samples::new(one.calibration.calls, vec![one.calibration.call]));
            round.is_unsampled = true;
        }
    }
}

/// How often the same Rust is there in a comparison: `session::workers` says why.
const REPLICAS: Replicas = Replicas { copies: 16, processes: 5 };
/// A turn that was stopped after so long, and after so many times what turns take, is said to hang.
const HUNG: Duration = Duration::from_secs(1);
const UNUSUAL: f64 = 10.0;
/// The part of the time in which the fastest copies of Rust are looked for.
const CHOOSING: u32 = 10;

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

/// What is known of a subject before it is sampled.
struct FirstRuns {
    given: VariantOutput,
    /// Of one run.
    cost: Cost,
    calibration: Calibration,
}

impl FirstRuns {
    fn of(subject: &Subject, clocks: &Clocks, context: &RunContext) -> Fallible<FirstRuns> {
        let (given, first) = subject.given(context)?;
        if subject.command().is_some() {
            // A process is started for each sample, and one call is enough for that.
            let call = first.wall.as_nanos() as f64;
            let calibration = Calibration { calls: 1, call, interrupted: false };
            return Ok(FirstRuns { given, cost: first, calibration });
        }
        let more = || -> Fallible<(Cost, Calibration)> {
            // The first run also pays for what is made only once.
            let cost = if first.wall >= SLOW { first.clone() } else { subject.cost(context)? };
            let calibration = timing::calibrated(clocks, &mut *subject.workload(context), cost.wall, SLOW)?;
            Ok((cost, calibration))
        };
        let (cost, calibration) = match more() {
            Ok(known) => known,
            Err(error) if error.kind == Kind::Stopped => {
                (first.clone(), Calibration { calls: 1, call: first.wall.as_nanos() as f64, interrupted: false })
            }
            Err(error) => return Err(error),
        };
        Ok(FirstRuns { given, cost, calibration })
    }
}

/// How a result stands to the first one; where somebody types, long tables are compared so that it can be stopped.
fn same(
    session: &mut Session,
    both: [&VariantOutput; 2],
    plans: &[&Prepared],
    context: &RunContext,
) -> Fallible<Sameness> {
    let [VariantOutput::Table(first), VariantOutput::Table(table)] = both else {
        return session.same_outputs(both, context);
    };
    let plain = match session.detached().filter(|_| table.height() > 100_000) {
        Some(detached) => {
            let (first, table) = (first.clone(), table.clone());
            detached.run("the comparison of results", context, move |_| Ok(first.same(&table)))?
        }
        None => first.same(table),
    };
    session.judged(plain, [first, table], plans.iter().map(|plan| Ok((*plan).clone())), context)
}

/// What a call costs beside its work, where no work is left.
fn find_removed(clocks: &Clocks, subject: &Subject, calibration: &Calibration, context: &RunContext) -> Option<f64> {
    if subject.command().is_some() {
        return None;
    }
    let wall = &*clocks.wall;
    let overhead = subject.workload(context).overhead(wall).unwrap_or_else(|| Overhead::measure(wall));
    overhead.hides(calibration.call - overhead.call).then_some(overhead.call)
}

/// The clock of each: CPU time of the thread for long calls, but only where it misses no work of any variant.
fn choose_clocks(
    clocks: &Clocks,
    ready: &mut [Ready],
    round: &mut Round,
    asked: &Asked,
    context: &RunContext,
) -> Fallible<()> {
    // The clock that a kept measurement had does not count where it would be wrong.
    let then = |one: &Ready| asked.against.as_ref()?.clock(round.point, &round.entries[one.place].variant.name);
    let then: Vec<Option<Time>> = ready.iter().map(then).collect();
    let long = ready.iter().any(|one| one.calibration.sample() > INTERRUPTED);
    let is_cpu = |time: Option<Time>| time == Some(Time::Cpu);
    let asks = is_cpu(asked.clock) || asked.clock.is_none() && (then.iter().any(|then| is_cpu(*then)) || long);
    let mut any = None;
    for one in ready.iter().filter(|_| asks) {
        let mut work = one.subject.workload(context);
        let missed = match one.subject.works_elsewhere() {
            true => Some(Missed::Others),
            false => timing::missed(clocks, &mut *work, one.calibration.call)?,
        };
        let entry = &mut round.entries[one.place];
        if let (Some(missed), Outcome::Ran(ran)) = (missed, &mut entry.outcome) {
            ran.misses = Some(missed).filter(|_| is_cpu(asked.clock));
            any.get_or_insert((entry.variant.name.clone(), missed));
        }
    }
    for (one, then) in ready.iter_mut().zip(then) {
        let wanted = asked.clock.or(then.filter(|_| any.is_none()));
        one.time = Time::chosen(wanted, one.calibration.sample(), any.is_some());
        if let Outcome::Ran(ran) = &mut round.entries[one.place].outcome {
            ran.time = one.time;
        }
    }
    round.missed = any.filter(|_| asked.clock.is_none());
    Ok(())
}

/// Samples in turns, at most for the time of the `limit`; gives the place of one that failed.
fn sample_in_turns(
    clocks: &Clocks,
    ready: &[Ready],
    round: &mut Round,
    asked: &Asked,
    context: &RunContext,
    live: &dyn Live,
) -> Fallible<Option<(usize, String)>> {
    // So many samples may take as long as they like.
    let limit = if asked.runs.is_some() { Duration::MAX } else { round.limit };
    let enough = |turns: &Turns| asked.runs.is_some_and(|runs| turns.pairs() as u64 >= runs);
    let places: Vec<usize> = ready.iter().map(|one| one.place).collect();
    let base = places.iter().position(|place| Some(*place) == round.base_place);
    if ready.is_empty() {
        return Ok(None);
    }
    let rng = &mut fastrand::Rng::new();
    match choose_copies(clocks, ready, limit / CHOOSING, rng) {
        Ok(()) => {}
        Err((_, error)) if error.kind == Kind::Stopped => return Err(error),
        Err((place, error)) => return Ok(Some((place, error.message.clone()))),
    }
    let mut works: Vec<_> = ready.iter().map(|one| one.subject.workload(context)).collect();
    let mut subjects: Vec<Sampled<Box<Diagnostic>>> = Vec::new();
    for (work, one) in works.iter_mut().zip(ready) {
        let clock = one.time.clock(clocks);
        let overhead = work.overhead(clock).unwrap_or_else(|| Overhead::measure(clock));
        let workload: &mut dyn Workload<Box<Diagnostic>> = &mut **work;
        let Calibration { calls, .. } = one.calibration;
        subjects.push(Sampled { workload, clock, overhead, calls, warm: one.calibration.is_warmed() });
    }
    let wall = &*clocks.wall;
    let start = wall.now();
    let passed = || Duration::from_nanos(wall.now() - start);
    // Where results differ, or change from run to run, nobody wins: then there is nothing to be settled.
    let changes = || ready.iter().any(|one| one.subject.command().is_some_and(Command::changes));
    // Then all is sampled anew, by another clock.
    let missed = |one: &Ready| one.subject.command().filter(|_| one.time == Time::Cpu)?.missed(context);
    let is_lost = |turns: &Turns| {
        const LOOKED: usize = 8;
        asked.clock.is_none()
            && turns.pairs() >= LOOKED
            && turns.pairs().is_power_of_two()
            && ready.iter().any(|one| missed(one).is_some())
    };
    let is_open = || asked.runs.is_some() || asked.against.is_some() || agree(&round.entries) && !changes();
    let limit = || if is_open() { limit } else { limit.min(LEAST) };
    let go_on = |turns: &Turns| {
        live.sampled(&round.entries, turns, &places);
        let next = passed() / turns.pairs() as u32;
        !context.stop.is_raised() && passed().saturating_add(next) <= limit() && !enough(turns) && !is_lost(turns)
    };
    let design = Design { base: base.unwrap_or(0), units: units(ready) };
    let (mut turns, mut failed) = compare(wall, &mut subjects, design, rng, go_on);
    let settled = passed();
    let short = LEAST.max(settled * 2).min(settled + LONGEST_CHECK).min(limit());
    let more = |turns: &Turns| if asked.runs.is_some() { !enough(turns) } else { passed() < short };
    if failed.is_none() && !context.stop.is_raised() && more(&turns) {
        failed = linger(wall, &mut subjects, rng, &mut turns, |turns| {
            live.sampled(&round.entries, turns, &places);
            !context.stop.is_raised() && more(turns)
        });
    }
    if let Some((subject, error)) = failed {
        if error.kind != Kind::Stopped {
            return Ok(Some((places[subject], error.message.clone())));
        }
        let expected: f64 = ready.iter().map(|one| one.calibration.sample()).sum();
        let turn = passed().saturating_sub(Duration::from_nanos(turns.passed()));
        if turn >= HUNG && turn.as_nanos() as f64 > UNUSUAL * expected {
            round.hung = Some((round.entries[places[subject]].variant.name.clone(), turn));
        }
        if turns.pairs() == 0 {
            return Err(error);
        }
    }
    for (subject, place) in places.iter().enumerate() {
        let Outcome::Ran(ran) = &mut round.entries[*place].outcome else { continue };
        let samples = turns.samples(subject);
        ran.samples = Some(samples);
        let one = &ready[subject];
        ran.misses = ran.misses.or(missed(one));
        ran.finding = base.filter(|base| *base != subject).map(|_| turns.finding(subject));
    }
    drop(subjects);
    for (work, one) in works.iter_mut().zip(ready).filter(|_| round.parallel) {
        let Outcome::Ran(ran) = &mut round.entries[one.place].outcome else { continue };
        ran.cpu = cpu(clocks, &mut **work, one, context).or(Some(ran.cost.cpu().as_secs_f64()));
    }
    round.stopped = context.stop.is_raised();
    Ok(None)
}

/// CPU time of a call in seconds, of warm runs of this variant alone: in turns with others, their threads may still be
/// on a processor. None where one run tells as much, or where another process works.
fn cpu(clocks: &Clocks, work: &mut dyn Workload<Box<Diagnostic>>, one: &Ready, context: &RunContext) -> Option<f64> {
    const SAMPLES: usize = 25;
    let Ready { subject, calibration, .. } = one;
    if calibration.sample() >= SLOW.as_nanos() as f64 || subject.workers().is_some() || context.stop.is_raised() {
        return None;
    }
    let clock: &dyn Clock = if subject.is_parallel() { &ProcessCpu } else { &*clocks.cpu };
    // The threads of the one before come to rest meanwhile.
    work.time(clock, calibration.calls).ok()?;
    let (start, wall) = (clocks.wall.now(), &*clocks.wall);
    let go_on = |taken| {
        let passed = Duration::from_nanos(wall.now() - start);
        taken < SAMPLES && passed < SLOW && !context.stop.is_raised()
    };
    let (samples, failed) = sample(clock, &Overhead::measure(clock), work, calibration.calls, go_on);
    failed.is_none().then(|| samples.median() / 1e9)
}

/// Finds the copies of Rust that lie well; an error comes with the place of the entry.
fn choose_copies(
    clocks: &Clocks,
    ready: &[Ready],
    budget: Duration,
    rng: &mut fastrand::Rng,
) -> Result<(), (usize, Box<Diagnostic>)> {
    let mut places = Vec::new();
    let mut screened = Vec::new();
    for one in ready {
        let Some((_, subject)) = one.subject.workers() else { continue };
        let Calibration { calls, .. } = one.calibration;
        let (sample, warm) = (one.calibration.sample(), one.calibration.is_warmed());
        screened.push(Screened { subject, clock: one.time.clock(clocks), calls, warm, sample });
        places.push(one.place);
    }
    match ready.iter().find_map(|one| one.subject.workers()) {
        Some((workers, _)) => workers.choose(&screened, budget, rng).map_err(|(one, error)| (places[one], error)),
        None => Ok(()),
    }
}

/// What takes part in turns beside the subjects: the copies of Rust, and the processes that run it.
fn units(ready: &[Ready]) -> Vec<Units> {
    if ready.iter().all(|one| one.subject.command().is_some()) {
        return vec![Units { count: 1, each: 1, kind: UnitKind::Own }];
    }
    let Some((workers, _)) = ready.iter().find_map(|one| one.subject.workers()) else { return Vec::new() };
    let one_sided = ready.iter().any(|one| one.subject.workers().is_none());
    let copies = Units { count: workers.chosen(), each: 1, kind: UnitKind::Fastest };
    let kind = if one_sided { UnitKind::OneSided } else { UnitKind::Shared };
    let processes = Units { count: workers.processes(), each: workers.chosen(), kind };
    vec![copies, processes]
}

impl Round<'_> {
    /// Whether all that ran gave the same.
    pub fn agrees(&self) -> bool {
        agree(&self.entries)
    }

    /// The first that ran: results are held against its one.
    pub fn first(&self) -> Option<&Entry<'_>> {
        self.entries.iter().find(|entry| entry.ran().is_some())
    }

    /// The variant that the others are held against, where it ran here.
    pub fn baseline(&self) -> Option<&Entry<'_>> {
        self.base_place.map(|place| &self.entries[place])
    }

    /// Whether an entry can be held against the baseline: the results are the same, work is left on both sides, and
    /// both were calibrated.
    pub fn is_held(&self, entry: &Entry) -> bool {
        let fits = |entry: &Entry| entry.ran().is_some_and(|ran| ran.removed.is_none() && !ran.interrupted);
        self.agrees() && fits(entry) && self.baseline().is_some_and(fits)
    }

    /// What is known about an entry beside the baseline; nothing about that itself, nothing without the same results,
    /// and nothing where no work is left.
    pub fn finding<'e>(&self, entry: &'e Entry) -> Option<&'e Finding> {
        entry.ran().filter(|_| self.is_held(entry))?.finding.as_ref()
    }

    /// What a clock that was asked for leaves out of an entry or of the baseline: then there is no verdict.
    pub fn misses(&self, entry: &Entry) -> Option<Missed> {
        let of = |entry: &Entry| entry.ran()?.misses;
        of(entry).or_else(|| self.baseline().and_then(of))
    }

    pub fn is_baseline(&self, entry: &Entry) -> bool {
        entry.ran().is_some() && entry.variant.name == self.base
    }

    /// How an entry stands beside what was kept of it; nothing where no work is left.
    pub fn beside(&self, against: &Against, entry: &Entry) -> Option<Beside> {
        let now = Spread::of(entry.ran().filter(|ran| ran.removed.is_none())?.samples.as_ref()?)?;
        against.beside(self.point, &entry.variant.name, &now)
    }
}

impl Measurement {
    /// Median and IQR in seconds; none where no work is left, which beside slow ones would be those of the clock.
    pub fn median(&self) -> Option<(f64, f64)> {
        let samples = self.samples.as_ref().filter(|_| self.removed.is_none())?;
        // One run has no error bar.
        let spread = if samples.each().len() > 1 { samples.iqr() / 1e9 } else { f64::NAN };
        Some((samples.median() / 1e9, spread))
    }
}

/// Whether all that ran gave the same.
pub fn agree(entries: &[Entry]) -> bool {
    let same = |ran: &Measurement| matches!(ran.sameness, Sameness::Same);
    entries.iter().filter_map(Entry::ran).all(same)
}
