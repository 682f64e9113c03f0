use std::time::{Duration, Instant};

use crate::concurrency::speed_up;
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{self, Choice, MOST_WORKERS};
use crate::interleave::barrier::cores;
use crate::lang::{self, Argument, MagicSyntax, Pipeline, Statement, Takes, whole_number};
use crate::measure::median_rank;
use crate::measure::scaling::{UNDISTURBED, amdahl, fan, karp_flatt, paired};
use crate::plan::{Binding, Limits};
use crate::races::busy_note;
use crate::report::{Block, Bounds, Field, Figures, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::schedule;
use crate::session::{Session, Subject};
use crate::show::ratio;

use super::amdahl::plot;
use super::timing::asked_time;
use super::{Answer, Magic, Offers, figures_plan, passed};

pub static SPEEDUP: Magic = Magic {
    syntax: MagicSyntax {
        name: "speedup",
        usage: "%speedup [--workers LIST] [--on threads|workers|mapreduce] [--for TIME] PIPELINE",
        takes: Takes::Statement,
        options: &[("--workers", true), ("--on", true), ("--for", true)],
    },
    about: "measures how much faster several workers run a pipeline, and says whether more would help\n\n\
            How it is measured\n  \
            In each round every number of workers runs the pipeline once, in random order. 5 rounds at least, 21 at\n  \
            most, in 10 s unless specified with --for. Of --on workers, starting the processes is not timed\n\n\
            Columns\n  \
            kind          measured: at most as many workers as cores. oversubscribed: more workers than cores.\n  \
            \x20             predicted (model): by Amdahl's law, from the measured serial share\n  \
            median        of the wall times\n  \
            speed_up      over one worker: the median of the rounds, with its 95 % interval from 6 rounds on\n  \
            efficiency    the speed-up per worker\n  \
            serial_share  the share that cannot be split, computed from the speed-up (Karp and Flatt)\n\n\
            When nothing is predicted\n  \
            First two threads do work that shares nothing. If they are less than 1.9× as fast as one, other\n  \
            programs use the cores; then nothing is fitted or predicted",
    examples: &["%speedup --for 1s --workers 1,2 1..2M | map it * it | sum"],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

const LEAST_ROUNDS: usize = 5;
const MOST_ROUNDS: usize = 21;
const USUAL: Duration = Duration::from_secs(10);
/// Cores that nobody here has, in multiples of those that are there.
const MORE_CORES: [usize; 3] = [2, 4, 16];

/// Seconds of each round.
struct Times {
    workers: Vec<usize>,
    /// For each number of workers, a time for each round.
    all: Vec<Vec<f64>>,
    probe: Option<f64>,
    /// The tasks of the first stage, if fewer than the most workers.
    few_tasks: Option<usize>,
}

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let start = Instant::now();
    let pipeline = pipeline(magic)?;
    let workers = asked_workers(magic, cores().len())?;
    let engine = asked_engine(magic)?;
    let limit = asked_time(magic)?.unwrap_or(USUAL);
    session.settle(context)?;
    let subjects = workers.iter().map(|workers| {
        let limits = Limits { workers: Some(*workers), ..Limits::default() };
        session.subject(pipeline, Choice { limits, ..Choice::only(engine) }, context)
    });
    let subjects = subjects.collect::<Fallible<Vec<Subject>>>()?;
    let most = *workers.last().expect("one worker at least");
    let few_tasks = subjects[0].plan().and_then(|plan| {
        let stages = schedule::stages(plan);
        let tasks = schedule::parts(stages.first()?, context).take(most).count();
        (tasks < most).then_some(tasks)
    });
    let probe = speed_up::measure(0.0, &[], context)
        .map_err(|error| Diagnostic::new(Kind::System, format!("cannot start the threads: {error}")))?;
    let probe = paired(&probe.pure_alone, &probe.pure_pair);
    let all = measure(&subjects, &workers, limit, context)?;
    let times = Times { workers, all, probe, few_tasks };
    let mut answer = told(&times, cores().len());
    answer.report.status_line.push(engine.name().into());
    answer.report.status_line.push(passed(start.elapsed()));
    Ok(answer)
}

/// The seconds of rounds that are complete.
fn measure(subjects: &[Subject], workers: &[usize], limit: Duration, context: &RunContext) -> Fallible<Vec<Vec<f64>>> {
    let begin = Instant::now();
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); subjects.len()];
    let mut order: Vec<usize> = (0..subjects.len()).collect();
    let mut random = fastrand::Rng::with_seed(7);
    // Files come into the page cache, code into the other ones, and worker processes are started.
    subjects[subjects.len() - 1].run(context)?;
    for round in 0..MOST_ROUNDS {
        if round >= LEAST_ROUNDS && begin.elapsed() > limit {
            break;
        }
        // In another order each time, so that a disturbance does not always meet the same number of workers.
        random.shuffle(&mut order);
        let mut took = vec![0.0; subjects.len()];
        for subject in &order {
            context.progress.tell(format!("round {} · {} workers", round + 1, workers[*subject]));
            let start = Instant::now();
            match subjects[*subject].run(context) {
                Ok(()) => took[*subject] = start.elapsed().as_secs_f64(),
                // The rounds before this one stay.
                Err(error) if error.kind == Kind::Stopped && round > 0 => return Ok(all),
                Err(error) => return Err(error),
            }
        }
        all.iter_mut().zip(&took).for_each(|(all, took)| all.push(*took));
    }
    Ok(all)
}

fn told(times: &Times, cores: usize) -> Answer {
    let Times { workers, all, probe, few_tasks } = times;
    let alone = &all[0];
    let is_undisturbed = cores > 1 && probe.is_some_and(|probe| probe >= UNDISTURBED);
    let measured: Vec<(usize, f64)> = workers
        .iter()
        .zip(all)
        .skip(1)
        .filter_map(|(workers, together)| Some((*workers, paired(alone, together)?)))
        .collect();
    let on_cores: Vec<(f64, f64)> =
        measured.iter().filter(|(n, _)| *n <= cores).map(|(n, speed_up)| (*n as f64, *speed_up)).collect();
    let serial = on_cores.last().and_then(|(n, speed_up)| karp_flatt(*speed_up, *n)).filter(|_| is_undisturbed);
    let laws = fan(&on_cores).filter(|_| is_undisturbed);
    let intervals: Vec<Option<(f64, f64)>> = all.iter().map(|together| interval(alone, together)).collect();
    let row = |workers: usize, kind: &str, median: Option<f64>, speed_up: f64, interval: Option<(f64, f64)>, serial| {
        let float = |value: Option<f64>| value.map_or(Value::Null, Value::Float);
        vec![
            Value::Int(workers as i64),
            Value::text(kind),
            float(median),
            Value::Float(speed_up),
            float(interval.map(|(low, _)| low)),
            float(interval.map(|(_, high)| high)),
            Value::Float(speed_up / workers as f64),
            float(serial),
        ]
    };
    let mut rows = vec![row(1, "measured", middle(alone), 1.0, None, None)];
    for (at, (n, speed_up)) in measured.iter().enumerate() {
        let (median, interval) = (middle(&all[at + 1]), intervals[at + 1]);
        rows.push(match *n <= cores {
            true => {
                let serial = karp_flatt(*speed_up, *n as f64).filter(|_| is_undisturbed);
                row(*n, "measured", median, *speed_up, interval, serial)
            }
            false => row(*n, "oversubscribed", median, *speed_up, interval, None),
        });
    }
    if let Some(serial) = serial {
        rows.extend(
            MORE_CORES
                .map(|times| times * cores)
                .into_iter()
                .map(|n| row(n, "predicted (model)", None, amdahl(serial.max(0.0), n as f64), None, Some(serial))),
        );
    }
    let figures = Figures::of_rows(
        &[
            ("workers", Type::Int, Unit::Plain.counted()),
            ("kind", Type::Text, Unit::Plain.counted()),
            ("median", Type::Float, Unit::Seconds.measured()),
            ("speed_up", Type::Float, Unit::Ratio(Bounds::Interval).measured()),
            ("low", Type::Float, Unit::Low.measured()),
            ("high", Type::Float, Unit::High.measured()),
            ("efficiency", Type::Float, Unit::Share.measured()),
            ("serial_share", Type::Float, Unit::Share.measured()),
        ],
        &rows,
    );
    let found = |text: String| Note::default().found(text).optional();
    let mut notes: Vec<Note> = busy_note().into_iter().map(found).collect();
    if let Some(probe) = probe.filter(|_| !is_undisturbed) {
        notes.push(found(format!(
            "work that shares nothing is only {}× as fast on two threads: no serial share and no prediction",
            ratio(probe)
        )));
    }
    notes.push(found(advice(&measured, &intervals, cores, serial, *few_tasks)));
    let most = MORE_CORES.last().map(|times| times * cores).filter(|_| serial.is_some());
    let table = Some(figures_plan(&figures, Default::default()));
    let best = measured.iter().map(|(_, speed_up)| *speed_up).max_by(f64::total_cmp);
    let mut fields = vec![Field::measured("rounds", Value::Int(alone.len() as i64), Unit::Count("rounds"))];
    fields.extend(best.map(|best| Field::measured("best", Value::Float(best), Unit::Times)));
    fields.extend(serial.map(|serial| Field::measured("serial", Value::Float(serial), Unit::Share)));
    let mut blocks = vec![Block::Figures(figures)];
    if !measured.is_empty() {
        blocks.push(Block::Plot(plot("workers", &measured, cores, serial, laws.as_ref(), most)));
    }
    blocks.push(Block::Notes(notes));
    let report = Report { blocks, ..Report::default() };
    Answer { report, result: Some(Binding::Result { table, fields, tables: Vec::new() }), ..Answer::default() }
}

/// What hangs on what was measured.
pub const SAYS: &[&str] = &[
    "#predicted (model)",
    "•contention (model)",
    "•coherency (model)",
    "-work that shares nothing is only {ratio} as fast on two threads: no serial share and no prediction",
    "work that shares nothing is only {ratio} as fast on two threads: no serial share and no prediction",
    "the input is empty: there is nothing to do",
    "the input is only large enough for <one task|{count} tasks>: more workers have nothing to do",
    "one worker alone: --workers 1,2 compares",
    "too few rounds for an interval: --for 30s takes more",
    "several workers are slower than one here: starting and merging takes longer than the work",
    "not resolved whether several workers are faster: an interval includes 1",
    "{count} workers are the fastest of these: {ratio} one worker[; by Amdahl's law no number of workers gives \
     more than {ratio}|; more workers than cores only take turns]",
    "∀efficiency = speed_up / workers",
    // Karp and Flatt; of the rows that are predicted this is Amdahl's law.
    "∀serial_share <= 0 or serial_share = (1 / speed_up - 1 / workers) / (1 - 1 / workers)",
    "∀figure <= 1.9 and serial_share < 0 ← work that shares nothing is only {figure}× as fast on two threads: {words}",
    "∀low < 0 ← too few rounds for an interval: {words}",
    "∀high <= 1 ← several workers are slower than one here: {words}",
    "∀low <= 1 ← not resolved whether several workers are faster: {words}",
    "∃high >= 1 ← not resolved whether several workers are faster: {words}",
    "∃workers = row and speed_up = figure and low >= 1 ← {row} workers are the fastest of these: {figure}× one \
     worker[; {words}]",
    "∀low <= 1 or speed_up <= figure ← {count} workers are the fastest of these: {figure}× one worker[; {words}]",
    "∃1 / serial_share = figure ← {words}; by Amdahl's law no number of workers gives more than {figure}×",
];

/// What to do, in a sentence.
fn advice(
    measured: &[(usize, f64)],
    intervals: &[Option<(f64, f64)>],
    cores: usize,
    serial: Option<f64>,
    few_tasks: Option<usize>,
) -> String {
    if few_tasks == Some(0) {
        return "the input is empty: there is nothing to do".to_string();
    }
    if let Some(tasks) = few_tasks {
        let tasks = if tasks == 1 { "one task".to_string() } else { format!("{tasks} tasks") };
        return format!("the input is only large enough for {tasks}: more workers have nothing to do");
    }
    // Faster by more than the rounds differ.
    let clear = measured.iter().zip(&intervals[1..]).filter_map(|((workers, speed_up), interval)| {
        interval.filter(|(low, _)| *low > 1.0).map(|_| (*workers, *speed_up))
    });
    let Some((workers, speed_up)) = clear.max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return match measured {
            [] => "one worker alone: --workers 1,2 compares".to_string(),
            _ if intervals[1..].iter().all(Option::is_none) => {
                "too few rounds for an interval: --for 30s takes more".to_string()
            }
            _ if intervals[1..].iter().flatten().all(|(_, high)| *high < 1.0) => {
                "several workers are slower than one here: starting and merging takes longer than the work".to_string()
            }
            _ => "not resolved whether several workers are faster: an interval includes 1".to_string(),
        };
    };
    let more = match serial {
        Some(serial) if serial > 0.0 => {
            format!("; by Amdahl's law no number of workers gives more than {}×", ratio(1.0 / serial))
        }
        _ if workers >= cores => "; more workers than cores only take turns".to_string(),
        _ => String::new(),
    };
    format!("{workers} workers are the fastest of these: {}× one worker{more}", ratio(speed_up))
}

fn middle(times: &[f64]) -> Option<f64> {
    let mut times = times.to_vec();
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}

/// The 95 % interval of the median ratio of the rounds; none for few of them.
fn interval(alone: &[f64], together: &[f64]) -> Option<(f64, f64)> {
    let mut ratios: Vec<f64> = alone.iter().zip(together).map(|(alone, together)| alone / together).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let rank = median_rank(ratios.len(), 0.05)?;
    Some((ratios[rank - 1], ratios[ratios.len() - rank]))
}

fn pipeline(magic: &lang::Magic) -> Fallible<&Pipeline> {
    let statement = if let Argument::Statement(statement) = &magic.subject { Some(&**statement) } else { None };
    match statement {
        Some(Statement::Pipeline(pipeline)) => match &pipeline.on {
            None => Ok(pipeline),
            Some(on) => Err(Diagnostic::at(Kind::Syntax, on.engine.span, "`%speedup` chooses the engine itself")
                .hint("%speedup --on mapreduce PIPELINE")),
        },
        _ => Err(Diagnostic::at(Kind::Syntax, magic.span, "`%speedup` needs a pipeline")
            .hint("for example: %speedup 1..10M | map it * it | sum")),
    }
}

/// The numbers of workers, least first; the first is 1. Without `--workers` 1, 2, 4, … and the cores.
fn asked_workers(magic: &lang::Magic, cores: usize) -> Fallible<Vec<usize>> {
    let mut all = vec![1];
    match magic.option("--workers").flatten() {
        None => {
            all.extend(std::iter::successors(Some(2), |n| Some(n * 2)).take_while(|n| *n <= cores));
            all.push(cores);
        }
        Some(word) => {
            for part in word.text.split(',') {
                let number = whole_number(part).and_then(|number| usize::try_from(number).ok());
                let number = number.filter(|number| (1..=MOST_WORKERS).contains(number)).ok_or_else(|| {
                    let message = format!("`--workers` must be numbers from 1 to {MOST_WORKERS}, got `{part}`");
                    Diagnostic::at(Kind::Type, word.span, message).hint("--workers 1,2,4")
                })?;
                all.push(number);
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn asked_engine(magic: &lang::Magic) -> Fallible<&'static dyn engines::Engine> {
    const NAMES: [&str; 3] = ["threads", "workers", "mapreduce"];
    let word = magic.option("--on").flatten();
    let name = word.map_or(NAMES[0], |word| &word.text);
    match (NAMES.contains(&name).then(|| engines::find(name)).flatten(), word) {
        (Some(engine), _) => Ok(engine),
        (None, Some(word)) => {
            let message = format!("`--on` must be threads, workers or mapreduce, got `{name}`");
            Err(Diagnostic::at(Kind::Type, word.span, message).near(name, NAMES))
        }
        (None, None) => Err(Diagnostic::new(Kind::System, "the engine `threads` is missing")),
    }
}
