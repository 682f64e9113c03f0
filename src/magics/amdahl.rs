use std::time::Instant;

use crate::concurrency::speed_up::{Times, measure};
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::interleave::barrier::cores;
use crate::lang::{self, MagicSyntax, Privileges, Takes};
use crate::measure::scaling::{Fan, UNDISTURBED, amdahl, fan, karp_flatt, paired};
use crate::plan::Binding;
use crate::races::busy_note;
use crate::report::{Across, Axis, Block, Drawn, Field, Figures, Note, Plot, Report, Scale, Series, Unit};
use crate::run_context::RunContext;
use crate::show::ratio;

use super::race::refuse_words;
use super::timing::asked_count;
use super::{Answer, Magic, Offers, figures_plan, passed};

pub static AMDAHL: Magic = Magic {
    syntax: MagicSyntax {
        name: "amdahl",
        usage: "%amdahl [--serial SHARE] [--threads N]",
        takes: Takes::Words,
        options: &[("--serial", true), ("--threads", true)],
    },
    about: "shows the speed-up of a job that can only partly be split, and predicts it for more threads\n\n\
            The job\n  \
            One thread does a tenth of it alone (--serial 0.3: three tenths), then all threads share the rest\n\n\
            Columns\n  \
            kind          measured: at most as many threads as cores. oversubscribed: more threads than cores.\n  \
            \x20             predicted (model): by Amdahl's law, from the measured serial share\n  \
            speed_up      over one thread: the median of paired rounds\n  \
            efficiency    the speed-up per thread\n  \
            serial_share  the share that cannot be split, computed from the speed-up (Karp and Flatt)\n\n\
            When nothing is predicted\n  \
            First two threads do work that shares nothing. If they are less than 1.9× as fast as one, other \
            programs\n  \
            use the cores; then nothing is fitted or predicted",
    examples: &["%amdahl", "%amdahl --serial 0.3 --threads 4"],
    offers: Offers::Nothing,
    privileges: Privileges::none,
    run: |_, magic, context| run(magic, context),
};

const SERIAL: f64 = 0.1;
const MOST_THREADS: u64 = 64;
/// Cores that nobody here has, in multiples of those that are there.
const MORE_CORES: [usize; 4] = [2, 4, 16, 256];

fn run(magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    refuse_words(magic, "%amdahl --serial 0.2")?;
    let start = Instant::now();
    let serial = asked_share(magic, "--serial")?.unwrap_or(SERIAL);
    let cores = cores().len();
    let most = asked_count(magic, "--threads")?.unwrap_or(4 * cores as u64);
    if most > MOST_THREADS {
        let span = magic.option("--threads").flatten().map_or(magic.span, |word| word.span);
        let message = format!("`--threads` is at most {MOST_THREADS}, got {most}");
        return Err(Diagnostic::at(Kind::Type, span, message));
    }
    let threads = thread_counts(most as usize, cores);
    let times = measure(serial, &threads, context)
        .map_err(|error| Diagnostic::new(Kind::System, format!("cannot start the threads: {error}")))?;
    if times.alone.is_empty() {
        context.stop.check()?;
    }
    let mut answer = told(&threads, cores, &times);
    if context.stop.is_raised() {
        let rounds = format!("stopped after {} rounds", times.alone.len());
        answer.report.blocks.push(Block::Notes(vec![Note::default().found(rounds).optional()]));
    }
    answer.report.status_line.push(passed(start.elapsed()));
    Ok(answer)
}

/// 2, 4, 8, … up to the cores, the cores themselves, and on up to the most.
fn thread_counts(most: usize, cores: usize) -> Vec<usize> {
    let doubling = std::iter::successors(Some(2), |threads| Some(threads * 2)).take_while(|threads| *threads <= most);
    let mut all: Vec<usize> = doubling.chain([cores, most]).filter(|threads| (2..=most).contains(threads)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The value of an option that is a share of a whole.
fn asked_share(magic: &lang::Magic, option: &str) -> Fallible<Option<f64>> {
    let Some(word) = magic.option(option).flatten() else { return Ok(None) };
    let share = lang::seconds(&word.text).filter(|share| (0.0..=1.0).contains(share));
    share.map(Some).ok_or_else(|| {
        let message = format!("`{option}` must be a share from 0 to 1, got `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).hint(format!("{option} 0.2"))
    })
}

/// What times say: the rows, the fit where the machine allows one, and why not where it does not.
pub fn told(threads: &[usize], cores: usize, times: &Times) -> Answer {
    let probe = paired(&times.pure_alone, &times.pure_pair);
    let measured: Vec<(usize, f64)> = threads
        .iter()
        .zip(&times.together)
        .filter_map(|(threads, together)| Some((*threads, paired(&times.alone, together)?)))
        .collect();
    let on_cores: Vec<(f64, f64)> =
        measured.iter().filter(|(n, _)| *n <= cores).map(|(n, speed_up)| (*n as f64, *speed_up)).collect();
    let is_undisturbed = cores > 1 && probe.is_some_and(|probe| probe >= UNDISTURBED);
    let serial = on_cores.last().and_then(|(n, speed_up)| karp_flatt(*speed_up, *n)).filter(|_| is_undisturbed);
    let laws = fan(&on_cores).filter(|_| is_undisturbed);
    let mut rows = vec![row(1, "measured", 1.0, None)];
    rows.extend(measured.iter().map(|(n, speed_up)| match *n <= cores {
        true => row(*n, "measured", *speed_up, karp_flatt(*speed_up, *n as f64).filter(|_| is_undisturbed)),
        false => row(*n, "oversubscribed", *speed_up, None),
    }));
    let more: Vec<usize> = MORE_CORES.map(|times| times * cores).to_vec();
    if let Some(serial) = serial {
        rows.extend(
            more.iter().map(|n| row(*n, "predicted (model)", amdahl(serial.max(0.0), *n as f64), Some(serial))),
        );
    }
    let figures = Figures::of_rows(
        &[
            ("threads", Type::Int, Unit::Plain.counted()),
            ("kind", Type::Text, Unit::Plain.counted()),
            ("speed_up", Type::Float, Unit::Times.measured()),
            ("efficiency", Type::Float, Unit::Share.measured()),
            ("serial_share", Type::Float, Unit::Share.measured()),
        ],
        &rows,
    );
    let mut report = Report::default();
    let table = Some(figures_plan(&figures, Default::default()));
    let plot =
        plot("threads", &measured, cores, serial, laws.as_ref(), more.last().copied().filter(|_| serial.is_some()));
    report.blocks.push(Block::Figures(figures));
    report.blocks.push(Block::Plot(plot));
    let mut notes = notes(cores, probe, is_undisturbed, serial, laws.as_ref());
    if measured.iter().any(|(_, speed_up)| *speed_up > cores as f64) {
        let why = format!("faster than {cores} cores allow: many threads get more of a busy machine than one");
        notes.push(Note::default().found(why).optional());
    }
    report.blocks.push(Block::Notes(notes));
    let mut fields = vec![Field::counted("cores", Value::Int(cores as i64), Unit::Count("cores"))];
    fields.extend(probe.map(|probe| Field::measured("probe", Value::Float(probe), Unit::Times)));
    fields.extend(serial.map(|serial| Field::measured("serial", Value::Float(serial), Unit::Share)));
    Answer { report, result: Some(Binding::Result { table, fields, tables: Vec::new() }), ..Answer::default() }
}

/// What else the notes may say.
pub const SAYS: &[&str] = &[
    "#predicted (model)",
    "•contention (model)",
    "•coherency (model)",
    "-work that shares nothing is {ratio} as fast on two threads: other programs use the cores, {words}",
    "stopped after {count} rounds",
    "faster than {count} cores allow: many threads get more of a busy machine than one",
    "~: other programs use the cores, so there is no serial share and no prediction",
    "Amdahl's law: with any number of threads, at most {ratio} as fast",
    "one number of threads does not show why speed is lost: {count} cores would give {ratio} if threads only wait \
     for each other (contention, Amdahl's law), {ratio} if they only keep their caches consistent (coherency)",
    "∀efficiency = speed_up / threads",
    // Karp and Flatt; of the rows that are predicted this is Amdahl's law.
    "∀serial_share <= 0 or serial_share = (1 / speed_up - 1 / threads) / (1 - 1 / threads)",
    "∃1 / serial_share = figure ← Amdahl's law: with any number of threads, at most {figure}× as fast",
    "∃threads = row and speed_up = figure ← one number of threads does not show why speed is lost: {row} cores would \
     give {figure}× if {words}",
    "∃speed_up >= figure ← faster than {figure} cores allow: {words}",
    "∀figure <= 1.9 and serial_share < 0 ← work that shares nothing is {figure}× as fast on two threads: {words}",
    "∀figure >= 1.9 ← work that shares nothing is {figure}× as fast on two threads",
];

fn row(threads: usize, kind: &str, speed_up: f64, serial: Option<f64>) -> Vec<Value> {
    vec![
        Value::Int(threads as i64),
        Value::text(kind),
        Value::Float(speed_up),
        Value::Float(speed_up / threads as f64),
        serial.map_or(Value::Null, Value::Float),
    ]
}

fn notes(cores: usize, probe: Option<f64>, is_undisturbed: bool, serial: Option<f64>, laws: Option<&Fan>) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    let found = |text: String| Note::default().found(text).optional();
    notes.extend(busy_note().map(found));
    if cores == 1 {
        notes.push("one core: threads can only take turns, so nothing is fitted".into());
        return notes;
    }
    if let Some(probe) = probe {
        let end = if is_undisturbed {
            ""
        } else {
            ": other programs use the cores, so there is no serial share and no prediction"
        };
        notes.push(
            Note::from("work that shares nothing is ")
                .measured(probe, Unit::Times)
                .text(" as fast on two threads")
                .found(end),
        );
    }
    if let Some(serial) = serial.filter(|serial| *serial > 0.0) {
        let limit =
            Note::from("Amdahl's law: with any number of threads, at most ").measured(1.0 / serial, Unit::Times);
        notes.push(limit.text(" as fast").optional());
    }
    if let Some(Fan { best, worst }) = laws.filter(|laws| laws.best != laws.worst) {
        let at = (4 * cores) as f64;
        notes.push(found(format!(
            "one number of threads does not show why speed is lost: {at} cores would give {}× if threads only wait \
             for each other (contention, Amdahl's law), {}× if they only keep their caches consistent (coherency)",
            ratio(best.speed_up(at)),
            ratio(worst.speed_up(at))
        )));
    }
    notes
}

/// Speed-ups as points, and as lines what two laws say of more threads.
pub(super) fn plot(
    by: &str,
    measured: &[(usize, f64)],
    cores: usize,
    serial: Option<f64>,
    laws: Option<&Fan>,
    most: Option<usize>,
) -> Plot {
    let points = |is_wanted: &dyn Fn(usize) -> bool| -> Vec<(f64, f64)> {
        let fits = measured.iter().filter(|(threads, _)| is_wanted(*threads));
        fits.map(|(threads, speed_up)| (*threads as f64, *speed_up)).collect()
    };
    let series = |label: &str, drawn, points| Series { label: label.to_string(), drawn, points };
    let mut on_cores = vec![(1.0, 1.0)];
    on_cores.extend(points(&|threads| threads <= cores));
    let mut all = vec![series("measured", Drawn::Points, on_cores)];
    let beyond = points(&|threads| threads > cores);
    if !beyond.is_empty() {
        all.push(series("oversubscribed", Drawn::Points, beyond));
    }
    if let (Some(serial), Some(laws), Some(most)) = (serial, laws, most) {
        let xs = || std::iter::successors(Some(1.0), |x| Some(x * 2.0)).take_while(move |x| *x <= most as f64);
        let line = |law: &dyn Fn(f64) -> f64| xs().map(|x| (x, law(x))).collect();
        all.push(series("contention (model)", Drawn::Line, line(&|x| amdahl(serial.max(0.0), x))));
        all.push(series("coherency (model)", Drawn::Line, line(&|x| laws.worst.speed_up(x))));
    }
    let axis = |label: &str, unit, measured| Axis { label: label.to_string(), unit, scale: Scale::Log, measured };
    Plot {
        title: format!("speed-up by {by}"),
        x: Across::Numbers(axis(by, Unit::Plain, false)),
        y: axis("speed-up", Unit::Times, true),
        series: all,
        in_table: true,
    }
}
