mod commands;
mod export;
mod family;
mod figures;
mod rounds;
mod variants;
mod words;

use std::time::{Duration, Instant};

use crate::baselines::{self, Baseline, Point};
use crate::data::{Sameness, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files;
use crate::lang::{self, Argument, MagicSyntax, Privileges, Sweep, Takes, Variants};
use crate::measure::{Spread, Turns};
use crate::plan::Binding;
use crate::report::{Block, Field, Figures, Report, Unit};
use crate::run_context::{Progress, RunContext};
use crate::session::{Session, lone_command};
use crate::show::duration_text;

use super::command_options::{self, command_help};
use super::privileges::of_engines;
use super::timing::{self, Telling};
use super::{Answer, CellStatus, Magic, Offers, against, baseline, figures_plan, passed};

pub use family::{Asker, family, lone_name};
pub use figures::Grid;
pub use rounds::table_of;
pub use variants::{Variant, What, written};
pub use words::SAYS;

use figures::{claimed, sweep_drawn, sweep_plot, sweep_rows};
use rounds::{Asked, Entry, Input, Live, Outcome, Round, round};
use variants::{asked_base, variants};
use words::{so_far, sweep_notes};

pub static COMPARE: Magic = Magic {
    syntax: MagicSyntax {
        name: "compare",
        usage: "%compare [--on ENGINES] [--base NAME] [--for TIME] [--clock wall|cpu] [--setup CELL] [--shape SHAPE] \
                [--against NAME] [n in A..B:] [PIPELINE or FAMILY [only NAMES]] [: and a block]",
        takes: Takes::Variants,
        options: &[
            ("--on", true),
            ("--base", true),
            ("--for", true),
            ("--clock", true),
            ("--setup", true),
            ("--shape", true),
            ("--against", true),
            ("--prepare", true),
            ("--cleanup", true),
            ("--warmup", true),
            ("--runs", true),
            ("--input", true),
            ("--ok", true),
            ("--as", true),
            ("--export", true),
        ],
    },
    about: concat!(
        "shows which of several variants is faster, with interleaved samples\n\n\
            Variants\n  \
            A first line that ends with `:` opens a block. Each indented line below it is a variant, `name: \
            pipeline`.\n  \
            The first variant is the baseline, unless --base names another. At sizes where it does not run, there is \
            no speed-up.\n  \
            A pipeline on the first line is computed once and is not timed. Variants that begin with a stage continue \
            from it.\n  \
            --on rows,batch compares engines on one pipeline.\n  \
            The name of an algorithm family (`%algorithms`) compares its variants, together with those of a block, on \
            inputs of --shape. `only quick, merge` after the name chooses some of them.\n\n\
            Sizes\n  \
            `n in 100..3200:` compares at 100, 200, 400 and so on; `by 100`, `times 4` and `n in [1, 5]:` choose other \
            sizes.\n  \
            A family has sizes of its own.\n\n\
            Verdicts\n  \
            same            the interval of the speed-up lies within ±1 %\n  \
            faster, slower  the interval lies outside ±1 %: smaller differences change from process to process. For \
            commands ±0.5 %, because each sample is a process of its own\n  \
            not resolved    anything else; less than 20 ms of samples; or later samples contradict the first ones\n  \
            no verdict      --clock cpu was chosen, but misses work\n  \
            below the resolution  a call takes at most twice the overhead of calling, so there is no ratio\n  \
            no work left    the time is below the overhead of a call, for example because the compiler knew the result \
            of a Rust block; nothing is compared with it\n  \
            Results are compared too. If they differ, there is no winner.\n\n\
            Time\n  \
            It ends when all verdicts are settled, but not before 300 ms; at the latest after --for, 10 s unless \
            specified.\n  \
            Each variant first runs once, however long that takes; Ctrl-C keeps what was measured of the others and \
            names the one that did not end.\n  \
            --clock wall|cpu chooses the clock. --setup CELL runs once, untimed, and the variants see its names.\n\n\
            Baselines\n  \
            --against NAME also compares each variant with the saved variant of the same name and n (`%baseline \
            save`), by the same clock. One variant is then enough.\n  \
            The saved samples were not interleaved with the new ones. With at least five saves of the same code, \
            faster and slower mean a difference larger than the one between saves. With fewer saves, the medians must \
            differ by over 10 %, because the same code may differ as much in two processes, and the middle 90 % of \
            both times must not overlap (all times with fewer than 25 samples).",
        command_help!(
            "\n  --warmup N    uncounted runs; 1 unless specified; with 0 the first run counts\n  \
             --runs N      exactly N samples of each\n  \
             --as text|csv|json|lines  how outputs are compared: by bytes, or as tables\n  \
             --export FILE  writes every sample; the extension decides: csv, json, md\n  \
             _.outputs has what each printed. If outputs differ, there is no winner. If one changes from run to run, \
             there is no answer.\n  \
             The clock is CPU time if a command never waits, and wall time otherwise."
        )
    ),
    examples: &[
        "%compare letters 2k seed 7:\n  fold: fold \"\" acc + it\n  join: join \"\"",
        "%compare --on rows,batch,polars 1..100k | map it * it | sum",
        "%compare n in 100..400:\n  sort: 1..n | sort by it desc | take 3\n  top: 1..n | top 3",
        "%compare n in 100..400: anagrams",
        "%compare --for 2s:\n  grep: !grep -c the samples/kjv.txt\n  \
         awk: !awk '/the/{n++} END{print n}' samples/kjv.txt",
        "%compare --base merge n in [100, 200]: sorting only quick, merge",
        "%compare n in [100, 200]: anagrams:\n  stages: group by key = sorted(word) | filter len(word) > 1 \
         | map group = word",
    ],
    offers: Offers::Families,
    privileges: |magic| {
        let engines = magic.option("--on").flatten().map(|names| of_engines(&names.text));
        let leaves = magic.option("--export").flatten().is_some_and(|path| files::leads_outside(&path.text));
        engines.unwrap_or_default() | Privileges::WRITES_ELSEWHERE.only_if(leaves)
    },
    run,
};

const LONGEST: Duration = Duration::from_secs(10);

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let Argument::Variants(variants) = &magic.subject else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%compare` needs variants")
            .hint("%compare --on rows,polars 1..1M | sum, or a block of variants: `%help compare`"));
    };
    let before = session.snapshot();
    let answer = compare(session, magic, variants, context);
    session.restore(before);
    answer
}

fn compare(session: &mut Session, magic: &lang::Magic, asked: &Variants, context: &RunContext) -> Fallible<Answer> {
    let has_commands = asked.pipelines().any(|pipeline| lone_command(pipeline).is_some());
    if !has_commands {
        command_options::only_for_commands(magic)?;
    }
    let export = export::asked(session, magic)?;
    session.programs.told = command_options::told(session, magic)?;
    // What a shell runs is held against what a shell runs.
    let mut commands = asked.pipelines().filter_map(lone_command);
    session.programs.told.shell = commands.any(|word| session.needs_shell(word));
    let limit = timing::asked_time(magic)?.unwrap_or(LONGEST);
    let clock = timing::asked_clock(magic)?;
    let against = against::asked(session, magic)?;
    let family = family(session, magic, asked)?;
    let variants = match &family {
        Some(family) => family.variants(session, asked)?,
        None => variants(session, magic, asked)?,
    };
    if variants.len() < 2 && against.is_none() {
        return Err(Diagnostic::at(
            Kind::Syntax,
            magic.span,
            "there is only one variant, so there is nothing to compare it with",
        )
        .hint("%compare sorting only quick, merge"));
    }
    let base = asked_base(magic, asked, &variants)?;
    session.settle(context)?;
    timing::set_up(session, magic, context)?;
    let points = match (&asked.sweep, &family) {
        (Some(sweep), _) => Some(session.points(sweep)?),
        (None, Some(family)) => Some(family.sizes()),
        (None, None) => None,
    };
    let input = match (&asked.shared, &family) {
        (_, Some(family)) => Input::Family(family),
        (Some(shared), None) if !asked.block.is_empty() => Input::Shared(shared),
        _ => Input::None,
    };
    if let Some(against) = &against {
        let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
        against.check(&names, &each(&points))?;
    }
    // All is typed before the first runs.
    for point in each(&points) {
        give(session, &asked.sweep, point);
        let input = match input {
            Input::Shared(shared) => Some(table_of(session, shared)?),
            Input::Family(family) if variants.iter().any(Variant::continues) => Some(family.input(1)?),
            Input::Family(_) | Input::None => None,
        };
        variants.iter().try_for_each(|variant| variant.draft(session, input.as_ref()).map(drop))?;
    }
    let telling = Telling::new(&context.progress);
    let context = &RunContext { progress: Progress::default(), ..context.clone() };
    let start = Instant::now();
    let all = each(&points);
    let base = base.or_else(|| points.is_some().then(|| variants[0].name.clone()));
    let runs = session.programs.told.runs;
    let wanted = Asked { clock, limit: limit / all.len() as u32, against, base, runs };
    let mut rounds: Vec<Round> = Vec::new();
    for point in all {
        give(session, &asked.sweep, point);
        let place = match (&asked.sweep, point) {
            (Some(sweep), Some(point)) => format!("{} = {point} · ", sweep.name.text),
            (None, Some(point)) => format!("n = {point} · "),
            (_, None) => String::new(),
        };
        let live = Shown { telling: &telling, place: &place, base: wanted.base.as_deref() };
        match round(session, &variants, &input, point, &wanted, context, &live) {
            Ok(round) if rounds.is_empty() && round.first().is_none() && context.stop.is_raised() => {
                return Err(stopped_in_first_run(&round));
            }
            Ok(round) => rounds.push(round),
            Err(error) if error.kind == Kind::Stopped && !rounds.is_empty() => break,
            Err(error) => return Err(error),
        }
        if context.stop.is_raised() {
            break;
        }
    }
    let name = asked.sweep.as_ref().map_or("n", |sweep| sweep.name.text.as_str());
    let mut notes = match (&points, &rounds[..]) {
        (None, [round]) => round.notes(),
        _ => sweep_notes(&points, &rounds),
    };
    let measured = kept_baseline(session, magic, asked, &family, &rounds);
    if let Some(against) = &wanted.against {
        against.differences(&measured).into_iter().for_each(|difference| session.warn(against.span, difference));
        notes.extend(against.notes(&measured));
    }
    session.hold_measured(measured);
    if let Some(family) = &family {
        notes.push(family.note());
    }
    notes.extend(commands::notes(session, asked, &rounds));
    if let Some(export) = &export {
        notes.push(export.write(name, &points, &rounds, context)?);
    }
    if let Input::Shared(shared) = input
        && variants.iter().any(Variant::continues)
    {
        notes.push(format!("{} was computed once and not timed", session.words(shared.span)).into());
    }
    if context.stop.is_raised() {
        notes.push(timing::stopped(start.elapsed()));
    }
    let against = wanted.against.as_ref();
    let figures = match &points {
        Some(points) => sweep_rows(name, points, &rounds, against),
        None => rounds[0].figures(against),
    };
    let agree = rounds.iter().all(Round::agrees);
    let mut fields = vec![Field::counted("agree", Value::Bool(agree), Unit::Plain)];
    if let [round] = &rounds[..]
        && let [one, other] = &round.entries[..]
        && let Some(found) = round.finding(one).or(round.finding(other))
    {
        fields.push(Field::measured("speedup", Value::Float(found.speedup), Unit::Times));
        fields.push(Field::measured("pairs", Value::Int(found.pairs as i64), Unit::Count("pairs")));
    }
    let plan = |figures: &Figures| figures_plan(figures, magic.span);
    let table = Some(plan(&figures));
    let mut blocks = match &points {
        Some(points) => {
            let drawn = Block::Aside(sweep_drawn(name, points, &rounds, against));
            let plot = sweep_plot(name, points, &rounds).map(Block::Plot);
            [Some(Block::Data(figures)), Some(drawn), plot].into_iter().flatten().collect()
        }
        None => vec![Block::Figures(figures)],
    };
    let mut tables = Vec::new();
    if has_commands {
        tables.push(("outputs".to_string(), plan(&commands::outputs(name, &points, &rounds))));
    }
    if let Some(family) = &family {
        let claims = claimed(family, &variants, &rounds);
        tables.push(("variants".to_string(), plan(&claims)));
        blocks.push(Block::Aside(claims));
    }
    blocks.push(Block::Notes(notes));
    let report = Report { blocks, status_line: vec![passed(start.elapsed())] };
    let status = status(&rounds);
    Ok(Answer { report, result: Some(Binding::Result { table, fields, tables }), status, ..Answer::default() })
}

/// Where somebody watches.
struct Shown<'a> {
    telling: &'a Telling<'a>,
    /// The point of a sweep, in words.
    place: &'a str,
    base: Option<&'a str>,
}

impl Live for Shown<'_> {
    fn sampled(&self, entries: &[Entry], turns: &Turns, places: &[usize]) {
        self.telling.tell(|| format!("{}{}", self.place, so_far(entries, turns, places, self.base)));
    }

    fn first_run(&self, name: &str) {
        self.telling.tell_now(format!("{}first run of {name}", self.place));
    }
}

/// Nothing was measured: what is known is the variant that ran.
fn stopped_in_first_run(round: &Round) -> Box<Diagnostic> {
    let ran = round.entries.iter().find_map(|entry| match entry.outcome {
        Outcome::Stopped(passed) => Some((&entry.variant.name, passed)),
        Outcome::Failed(_) | Outcome::TooLarge(_) | Outcome::NotRun | Outcome::Ran(_) => None,
    });
    let message = ran.map_or("stopped".to_string(), |(name, passed)| {
        let passed = duration_text(passed.as_secs_f64());
        format!("stopped: the first run of {name} had not ended after {passed}, so nothing was measured")
    });
    Diagnostic::new(Kind::Stopped, message)
}

/// What a script is told: a variant that failed counts more than results that differ.
fn status(rounds: &[Round]) -> CellStatus {
    let entries = || rounds.iter().flat_map(|round| &round.entries);
    let differs = |entry: &Entry| entry.ran().is_some_and(|ran| matches!(ran.sameness, Sameness::Different(_)));
    if entries().any(|entry| matches!(entry.outcome, Outcome::Failed(_))) {
        CellStatus::Failed
    } else if entries().any(differs) {
        CellStatus::Different
    } else {
        CellStatus::Good
    }
}

/// What was measured, as it can be kept.
fn kept_baseline(
    session: &Session,
    magic: &lang::Magic,
    asked: &Variants,
    family: &Option<Asker>,
    rounds: &[Round],
) -> Baseline {
    let input = match (family, &asked.shared) {
        (Some(family), _) => format!("{} of shape {}", family.family.facts().name, family.shape),
        (None, Some(shared)) => session.words(shared.span).to_string(),
        (None, None) => String::new(),
    };
    let text = |variant: &Variant| match variant.what {
        What::Pipeline { pipeline, .. } if !asked.block.is_empty() => session.words(pipeline.span).to_string(),
        What::Pipeline { .. } | What::Algorithm(_) => String::new(),
    };
    let point = |round: &Round| {
        let variant = |entry: &Entry| {
            let ran = entry.ran()?;
            Some(baselines::Variant {
                name: entry.variant.name.clone(),
                text: text(entry.variant),
                engine: entry.engine.clone(),
                times: Spread::of(ran.samples.as_ref()?)?,
                removed: ran.removed.is_some(),
                clock: ran.time.name().to_string(),
                medians: Vec::new(),
            })
        };
        let variants = round.entries.iter().filter_map(variant).collect();
        Point { n: round.point, rows: round.rows, variants }
    };
    let files = rounds.iter().flat_map(|round| round.files.clone()).collect();
    baseline::taken(session, magic, input, files, rounds.iter().map(point).collect())
}

/// Each point of a sweep; one without a number where there is none.
fn each(points: &Option<Vec<i64>>) -> Vec<Option<i64>> {
    points.as_ref().map_or(vec![None], |points| points.iter().copied().map(Some).collect())
}

fn give(session: &mut Session, sweep: &Option<Sweep>, point: Option<i64>) {
    if let (Some(sweep), Some(point)) = (sweep, point) {
        session.give_point(&sweep.name, point);
    }
}
