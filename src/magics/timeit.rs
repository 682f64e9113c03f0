use std::time::{Duration, Instant};

use crate::baselines::{Point, Variant};
use crate::commands::ProcessRun;
use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Statement, Takes};
use crate::measure::{
    Calibration, Clock, Clocks, Cost, INTERRUPTED, Missed, Overhead, Readings, Samples, Spread, Warmed, Workload,
    process_cpu, sample,
};
use crate::plan::Binding;
use crate::report::{Block, Field, Note, Report, Timing, Unit};
use crate::run_context::{Progress, RunContext};
use crate::session::programs::Command;
use crate::session::{Draft, RUST, Replicas, Session, Subject, lone_command};
use crate::show::{duration_text, grouped};

use super::command_options::{self, command_help};
use super::timing::{self, Telling, Time};
use super::{Answer, Magic, Offers, baseline};

pub static TIMEIT: Magic = Magic {
    syntax: MagicSyntax {
        name: "timeit",
        usage: "%timeit [-n CALLS] [-r SAMPLES] [--setup CELL] [--clock wall|cpu] [--for TIME] PIPELINE or \
                !COMMAND",
        takes: Takes::StatementOrBody,
        options: &[
            ("-n", true),
            ("-r", true),
            ("--setup", true),
            ("--clock", true),
            ("--for", true),
            ("--prepare", true),
            ("--cleanup", true),
            ("--warmup", true),
            ("--runs", true),
            ("--input", true),
            ("--ok", true),
        ],
    },
    about: concat!(
        "runs a pipeline or an expression many times: median, spread and best of one run\n\n\
            Samples\n  \
            The pipeline is bound and prepared once; only its run on the engine is timed. The cost of the loop and\n  \
            the clock is measured and subtracted.\n  \
            A sample is 50 µs of calls, or -n calls. Samples are taken for half a second, or -r samples, or for \
            --for.\n  \
            --setup runs once before and is not timed.\n  \
            The clock is wall time, or CPU time if a sample on one thread takes over 200 µs; --clock chooses.\n\n\
            Values\n  \
            _.median, _.samples and others; type `_.` and Tab to list them. --format csv or json prints every \
            sample.\n\n\
            As %%timeit\n  \
            The rest of the first line runs once before, like --setup. The pipelines of the lines below are timed\n  \
            together, one after the other. `let` and `fn` among them are bound once; a table that `let` names is\n  \
            computed each time it is used.\n  \
            A line %% ends it.",
        command_help!(
            "\n  --warmup N    uncounted runs; 1 unless specified; with 0 the first run counts\n  \
             --runs N      exactly N samples"
        )
    ),
    examples: &[
        "%timeit 1..1M | map it * it | sum",
        "%timeit -r 20 --setup (let words = [\"a\", \"b\"]) words | join \"-\"",
        "%timeit -n 10 -r 5 --clock wall 1..10k | sort by it desc",
        "%timeit --runs 5 !seq 100000",
        "%%timeit -r 20 let n = 1k\nlet squares = 1..n | map it * it\nsquares | filter it % 3 == 1 | sum",
    ],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

/// How long samples are taken where nothing was said.
const USUAL: Duration = Duration::from_millis(500);
/// Slow subjects get at least so many samples, if they fit into the longest time.
const FEWEST: usize = 5;
const LONGEST: Duration = Duration::from_secs(10);

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let (first, body) = match &magic.subject {
        Argument::Statement(statement) if matches!(**statement, Statement::Pipeline(_)) => {
            (Vec::new(), vec![(**statement).clone()])
        }
        Argument::Statement(_) => {
            let message = "`%timeit` runs a pipeline or an expression many times, so it cannot define names";
            return Err(Diagnostic::at(Kind::Syntax, magic.span, message).hint("to time it once, use: %time let x = …"));
        }
        Argument::Body(body) => (timing::statements(session, &body.line)?, timing::statements(session, &body.text)?),
        Argument::Nothing | Argument::Pipelines(_) | Argument::Words(_) | Argument::Variants(_) => {
            (Vec::new(), Vec::new())
        }
    };
    if !body.iter().any(|statement| matches!(statement, Statement::Pipeline(_))) {
        let example = match &magic.subject {
            Argument::Body(_) => "the first line runs once; put the pipelines on the lines below: 1..1M | sum",
            _ => "for example: %timeit 1..1M | sum",
        };
        return Err(
            Diagnostic::at(Kind::Syntax, magic.span, "`%timeit` needs a pipeline or an expression").hint(example)
        );
    }
    let before = session.snapshot();
    let answer = time_subject(session, magic, &first, &body, context);
    session.restore(before);
    answer
}

/// Pipelines and expressions that are timed together.
struct Body {
    all: Vec<Subject<'static>>,
    /// What it is called in a baseline, where nobody has named it.
    name: String,
    /// As written.
    text: String,
}

impl Body {
    /// Binds statements in their order: names are given, the rest is made ready to be run again and again.
    fn new(session: &mut Session, statements: &[Statement], context: &RunContext) -> Fallible<Body> {
        let (mut drafts, mut name, mut texts): (Vec<Draft>, _, _) = (Vec::new(), String::new(), Vec::new());
        for statement in statements {
            match statement {
                Statement::Pipeline(pipeline) => {
                    let choice = session.engine(pipeline.on.as_ref())?;
                    name = timing::variant_name(pipeline, choice).to_string();
                    texts.push(session.words(pipeline.span).to_string());
                    drafts.push(session.draft(pipeline, choice)?);
                }
                Statement::Let(..) | Statement::Function(_) | Statement::RustFunction(_) => {
                    session.statement(statement, context).map(drop)?
                }
                // As a command, it is done once.
                Statement::Spawn(name, _) => {
                    return Err(Diagnostic::at(
                        Kind::Syntax,
                        name.span,
                        "a job is not timed: it would start only once",
                    )
                    .hint("leave `spawn` out"));
                }
                Statement::LetStore(name, _) => {
                    return Err(Diagnostic::at(
                        Kind::Syntax,
                        name.span,
                        "a store is not timed, and would start only once",
                    )
                    .hint("start it in a cell of its own"));
                }
                Statement::LetCommand(_, command) => {
                    let message = "`%%timeit` cannot time a command";
                    return Err(Diagnostic::at(Kind::Syntax, command.span, message)
                        .hint("to run it once before, put it on the first line, after %%timeit"));
                }
            }
        }
        let subjects = session.subjects(drafts, Replicas::NONE, false, context)?;
        let all = subjects.into_iter().collect::<Fallible<Vec<Subject>>>()?;
        Ok(Body { all, name, text: texts.join("\n") })
    }

    /// As what is timed: one alone as itself, several one after the other.
    fn workload<'a>(&'a self, context: &'a RunContext) -> Box<dyn Workload<Box<Diagnostic>> + 'a> {
        match &self.all[..] {
            [only] => only.workload(context),
            // What times itself in another process is not asked for call after call: that takes longer than most calls.
            all if all.iter().any(|subject| subject.workers().is_some()) => {
                Box::new(Several(all.iter().map(|subject| subject.workload(context)).collect()))
            }
            all => Box::new(|| all.iter().try_for_each(|subject| subject.run(context))),
        }
    }

    /// What one run of all costs.
    fn cost(&self, context: &RunContext) -> Fallible<Cost> {
        let costs = self.all.iter().map(|subject| subject.cost(context)).collect::<Fallible<Vec<Cost>>>()?;
        Ok(costs.into_iter().reduce(Cost::and).expect("something is timed"))
    }

    /// The command that it is.
    fn command(&self) -> Option<&Command> {
        if let [only] = &self.all[..] { only.command() } else { None }
    }

    fn is_parallel(&self) -> bool {
        self.all.iter().any(Subject::is_parallel)
    }

    fn works_elsewhere(&self) -> bool {
        self.all.iter().any(Subject::works_elsewhere)
    }

    /// Rows that come out of all sources, where that is known of each.
    fn rows_read(&self) -> Option<u64> {
        self.all.iter().map(|subject| subject.rows_read).sum()
    }

    fn bytes_read(&self) -> u64 {
        self.all.iter().map(|subject| subject.bytes_read).sum()
    }

    /// The engines, and why they are not those that were meant.
    fn engines(&self) -> String {
        let mut engines: Vec<String> = self.all.iter().map(engine).collect();
        engines.dedup();
        engines.join(", ")
    }
}

/// Subjects of which each takes all calls of a sample before the next one does.
struct Several<'a>(Vec<Box<dyn Workload<Box<Diagnostic>> + 'a>>);

impl Workload<Box<Diagnostic>> for Several<'_> {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Fallible<u64> {
        self.0.iter_mut().map(|subject| subject.time(clock, calls)).sum()
    }

    fn readings(&mut self, clocks: &Clocks, calls: u64) -> Fallible<Readings> {
        self.0.iter_mut().try_fold(Readings::default(), |all, subject| Ok(all.and(subject.readings(clocks, calls)?)))
    }

    fn overhead(&self, clock: &dyn Clock) -> Option<Overhead> {
        let here = Overhead::measure(clock);
        let each = self.0.iter().map(|subject| subject.overhead(clock).unwrap_or(here));
        each.reduce(|a, b| Overhead { read: a.read + b.read, call: a.call + b.call, ..a })
    }
}

fn engine(subject: &Subject) -> String {
    match subject.instead {
        Some(why) => format!("{} ({why})", subject.runs_on()),
        None => subject.runs_on().to_string(),
    }
}

fn time_subject(
    session: &mut Session,
    magic: &lang::Magic,
    first: &[Statement],
    body: &[Statement],
    context: &RunContext,
) -> Fallible<Answer> {
    let is_command =
        |statement: &Statement| matches!(statement, Statement::Pipeline(pipeline) if lone_command(pipeline).is_some());
    if !body.iter().any(is_command) {
        command_options::only_for_commands(magic)?;
    }
    session.programs.told = command_options::told(session, magic)?;
    let limits = Limits {
        calls: timing::asked_count(magic, "-n")?,
        samples: timing::asked_count(magic, "-r")?.or(session.programs.told.runs),
        time: timing::asked_time(magic)?,
    };
    let asked = timing::asked_clock(magic)?;
    session.settle(context)?;
    timing::set_up(session, magic, context)?;
    first.iter().try_for_each(|statement| session.statement(statement, context).map(drop))?;
    let subject = Body::new(session, body, context)?;
    let noise = timing::new_noise(session);
    let clocks = session.clocks.clone();
    let start = Instant::now();
    let telling = Telling::new(&context.progress);
    // Rows of run after run would tell nothing about how far it has come.
    let context = &RunContext { progress: Progress::default(), ..context.clone() };
    let found = measure(&subject, &limits, asked, &clocks, context, &telling).map_err(|error| match error.kind {
        Kind::System | Kind::Memory => error.or_at(magic.span),
        _ => error,
    })?;
    hold(session, magic, &subject, &found);
    let is_clock_sure = asked.is_some() || found.is_clock_sure();
    let passed = start.elapsed();
    let mut answer = answer(&subject, &limits, found, is_clock_sure, noise, passed, session.programs.floor());
    drop(subject);
    let complaints = session.programs.take_complaints().into_iter().map(Note::from).collect::<Vec<_>>();
    if !complaints.is_empty() {
        answer.report.blocks.push(Block::Notes(complaints));
    }
    Ok(answer)
}

/// What was asked for.
struct Limits {
    calls: Option<u64>,
    samples: Option<u64>,
    time: Option<Duration>,
}

impl Limits {
    fn go_on(&self, taken: usize, passed: Duration) -> bool {
        let more = self.samples.is_none_or(|samples| (taken as u64) < samples);
        let time = match (self.time, self.samples) {
            (Some(time), _) => passed < time,
            (None, Some(_)) => true,
            (None, None) => passed < USUAL || (taken < FEWEST && passed < LONGEST),
        };
        more && time
    }
}

struct Measurement {
    samples: Samples,
    time: Time,
    overhead: Overhead,
    /// Of one run.
    cost: Cost,
    /// What its clock leaves out.
    missed: Option<Missed>,
    /// Whether each of its calibrations was interrupted.
    interrupted: bool,
    /// Seconds of a call on all processors together, where the engine uses several threads.
    cpu: Option<f64>,
    /// Whether no work is left that could be timed.
    removed: bool,
    stopped: bool,
}

fn measure(
    subject: &Body,
    limits: &Limits,
    asked: Option<Time>,
    clocks: &Clocks,
    context: &RunContext,
    telling: &Telling,
) -> Fallible<Measurement> {
    let start = clocks.wall.now();
    telling.tell_now("first run".to_string());
    let first = match subject.command() {
        Some(command) => command.first(context).map(|(_, ran)| Command::cost(&ran)),
        None => subject.cost(context),
    };
    let first = first.map_err(|error| match error.kind {
        Kind::Stopped => {
            let passed = duration_text((clocks.wall.now() - start) as f64 / 1e9);
            Diagnostic::new(Kind::Stopped, format!("stopped: the first run had not ended after {passed}"))
        }
        _ => error,
    })?;
    match measure_on(first.clone(), subject, limits, asked, clocks, context, telling) {
        Err(error) if error.kind == Kind::Stopped => Ok(Measurement::of_one(first)),
        measured => measured,
    }
}

impl Measurement {
    /// Whether samples are so short that no disturbance makes the clock another. Long ones may seem to wait on a busy
    /// machine, and are timed by the wall then.
    fn is_clock_sure(&self) -> bool {
        const FAR: f64 = 3.0;
        self.time == Time::Wall && self.samples.median() * (self.samples.calls as f64) < INTERRUPTED / FAR
    }

    /// Of a run that was alone when it was stopped.
    fn of_one(cost: Cost) -> Measurement {
        Measurement {
            samples: Samples::new(1, vec![cost.wall.as_nanos() as f64]),
            time: Time::Wall,
            overhead: Overhead { read: 0.0, call: 0.0, precision: 0.0 },
            cost,
            missed: None,
            interrupted: false,
            cpu: None,
            removed: false,
            stopped: true,
        }
    }
}

/// The same after the first run.
fn measure_on(
    first: Cost,
    subject: &Body,
    limits: &Limits,
    asked: Option<Time>,
    clocks: &Clocks,
    context: &RunContext,
    telling: &Telling,
) -> Fallible<Measurement> {
    let parallel = subject.is_parallel();
    let mut work = subject.workload(context);
    let patience = limits.time.unwrap_or(USUAL) / 10;
    let is_command = subject.command().is_some();
    let cost = if first.wall >= patience || is_command { first } else { subject.cost(context)? };
    let calibration = match limits.calls {
        calls if is_command => {
            let call = cost.wall.as_nanos() as f64;
            Calibration { calls: calls.unwrap_or(1), call, interrupted: false }
        }
        Some(calls) => {
            let slow = cost.wall >= patience;
            let call = if slow { cost.wall.as_nanos() as u64 } else { work.time(&*clocks.wall, 1)? };
            Calibration { calls, call: call as f64, interrupted: false }
        }
        None => timing::calibrated(clocks, &mut *work, cost.wall, patience)?,
    };
    let missed = match asked {
        _ if subject.works_elsewhere() => Some(Missed::Others),
        Some(Time::Cpu) => timing::missed(clocks, &mut *work, calibration.call)?,
        None if calibration.sample() > INTERRUPTED => timing::missed(clocks, &mut *work, calibration.call)?,
        Some(Time::Wall) | None => None,
    };
    let time = Time::chosen(asked, calibration.sample(), missed.is_some());
    let clock = time.clock(clocks);
    let overhead = work.overhead(clock).unwrap_or_else(|| Overhead::measure(clock));
    let (start, cpu) = (clocks.wall.now(), process_cpu());
    let go_on = |taken| {
        telling.tell(|| format!("{} samples", grouped(taken as u64)));
        !context.stop.is_raised() && limits.go_on(taken, Duration::from_nanos(clocks.wall.now() - start))
    };
    // Between two samples of another process the shell has worked; one of its own follows the one before.
    let elsewhere = subject.all.iter().any(|subject| subject.workers().is_some());
    let (samples, failed) = match elsewhere && calibration.is_warmed() {
        true => sample(clock, &overhead, &mut Warmed(&mut *work), calibration.calls, go_on),
        false => sample(clock, &overhead, &mut *work, calibration.calls, go_on),
    };
    let calls = samples.calls as f64 * samples.each().len() as f64;
    let cpu = parallel.then(|| process_cpu().saturating_sub(cpu).as_secs_f64() / calls);
    let stopped = context.stop.is_raised();
    match failed {
        // A process has costs that differ from run to run: those of the samples count.
        None if is_command => {
            let ran = subject.command().map_or(Vec::new(), Command::samples);
            let peak = ran.iter().map(|ran| ran.peak).max().unwrap_or(cost.peak);
            let later = subject.command().filter(|_| time == Time::Cpu).and_then(|command| command.missed(context));
            let missed = missed.filter(|_| time == Time::Cpu).or(later);
            let (samples, time) = match (later, asked, subject.command()) {
                // Its first runs were not like the later ones.
                (Some(_), None, Some(command)) if samples.calls == 1 => (Samples::new(1, command.walls()), Time::Wall),
                _ => (samples, time),
            };
            let cost = Cost { peak, ..cost };
            let (interrupted, removed) = (false, samples.median() <= 0.0);
            Ok(Measurement { samples, time, overhead, cost, missed, interrupted, cpu, removed, stopped })
        }
        Some(error) if !stopped || samples.each().is_empty() => Err(error),
        _ => {
            let removed = overhead.hides(samples.median());
            let missed = missed.filter(|_| time == Time::Cpu);
            let interrupted = calibration.interrupted;
            Ok(Measurement { samples, time, overhead, cost, missed, interrupted, cpu, removed, stopped })
        }
    }
}

/// Holds what was found for `%baseline save`, as a comparison of one variant.
fn hold(session: &mut Session, magic: &lang::Magic, subject: &Body, found: &Measurement) {
    let Some(times) = Spread::of(&found.samples) else { return };
    let engine = subject.engines();
    let (name, clock) = (subject.name.clone(), found.time.name().to_string());
    let variant =
        Variant { name, text: String::new(), engine, times, removed: found.removed, clock, medians: Vec::new() };
    let point = Point { n: None, rows: subject.rows_read(), variants: vec![variant] };
    let files = subject.all.iter().flat_map(|subject| subject.files.clone()).collect();
    let baseline = baseline::taken(session, magic, subject.text.clone(), files, vec![point]);
    session.hold_measured(baseline);
}

/// What else the notes below samples may say.
pub const SAYS: &[&str] = &[
    "this <works on several threads or in several processes|waits for something, or for another process>, which CPU \
     time of the thread does not include: --clock wall counts it",
    "every calibration was interrupted, so samples may be too short: set the calls with -n CALLS",
    "one sample has no error bar: take more with --for TIME or -r SAMPLES",
];

fn answer(
    subject: &Body,
    limits: &Limits,
    found: Measurement,
    is_clock_sure: bool,
    noise: Option<Note>,
    passed: Duration,
    floor: u64,
) -> Answer {
    let Measurement { samples, time, overhead, cost, missed, interrupted, cpu, removed, stopped } = found;
    let seconds = |nanoseconds: f64| nanoseconds / 1e9;
    let float = |name, value: f64, unit| Field::measured(name, Value::Float(value), unit);
    let int = |name, value: u64, unit| Field::measured(name, Value::Int(value as i64), unit);
    let median = seconds(samples.median());
    let mut fields = vec![
        float("median", median, Unit::Seconds),
        float("iqr", seconds(samples.iqr()), Unit::Seconds),
        float("best", seconds(samples.best()), Unit::Seconds),
        Field { measured: limits.calls.is_none(), ..int("calls", samples.calls, Unit::Count("calls per sample")) },
        int("outliers", samples.outliers() as u64, Unit::Count("outliers")),
    ];
    match subject.command() {
        Some(command) => {
            let ran = command.samples();
            let middle = |of: fn(&ProcessRun) -> f64| Samples::new(1, ran.iter().map(of).collect()).median();
            fields.push(float("user", middle(|ran| ran.user.as_secs_f64()), Unit::Seconds));
            fields.push(float("system", middle(|ran| ran.system.as_secs_f64()), Unit::Seconds));
        }
        None => {
            fields.push(int("allocations", cost.allocations, Unit::Count("allocations")));
            fields.push(int("allocated", cost.allocated, Unit::Bytes));
        }
    }
    fields.push(int("peak", cost.peak, Unit::Bytes));
    fields.extend(limits.calls.map(|calls| float("total", median * calls as f64, Unit::Seconds)));
    fields.extend(cpu.map(|cpu| float("cpu", cpu, Unit::Seconds)));
    if !removed {
        let rows = subject.rows_read().map(|rows| rows as f64 / median);
        fields.extend(rows.map(|rows| float("rows_per_second", rows, Unit::PerSecond("rows"))));
        if subject.bytes_read() > 0 {
            fields.push(float("bytes_per_second", subject.bytes_read() as f64 / median, Unit::BytesPerSecond));
        }
    }
    let mut values = fields.clone();
    let each: Vec<Value> = samples.each().iter().map(|time| Value::Float(seconds(*time))).collect();
    values.push(Field::measured("samples", Value::List(each.into()), Unit::Seconds));
    let mut notes = Vec::new();
    if let Some(command) = subject.command() {
        values.extend(command_options::values(command));
        notes.extend(command_options::notes(command, floor));
    }
    if removed {
        notes.push(timing::no_work(seconds(overhead.call)));
    }
    let is_rust = subject.all.iter().all(|subject| subject.runs_on() == RUST);
    if is_rust && (removed || median < timing::SHORT) {
        notes.push(Note::from(timing::KEPT_WORK).optional());
    }
    let missing = missed.map(|missed| format!("{}: --clock wall counts it", timing::missing("this", missed)));
    notes.extend(missing.map(|told| Note::default().found(told).optional()));
    if interrupted {
        let told = "every calibration was interrupted, so samples may be too short: set the calls with -n CALLS";
        notes.push(Note::from(told).optional());
    }
    if samples.each().len() == 1 {
        notes.push(Note::from("one sample has no error bar: take more with --for TIME or -r SAMPLES").optional());
    }
    if stopped {
        notes.push(timing::stopped(passed));
    }
    let clock = time.said();
    notes.extend(noise);
    let report = Report {
        blocks: vec![Block::Timing(Timing { samples, fields, clock, is_clock_sure, notes })],
        status_line: vec![subject.engines().into(), super::passed(passed)],
    };
    let result = Binding::Result { table: None, fields: values, tables: Vec::new() };
    Answer { report, result: Some(result), ..Answer::default() }
}
