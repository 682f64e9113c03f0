mod contenders;
mod family;
mod figures;
mod rounds;
mod ways;
mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::baselines::{Baseline, Point, Variant};
use crate::data::{Sameness, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Privileges, Sweep, Takes, Variants};
use crate::measure::{Spread, Turns};
use crate::plan::Binding;
use crate::report::{Block, Figures, Report};
use crate::run_context::{Progress, RunContext};
use crate::session::{Session, kept_plan};
use crate::show::duration_text;

use super::privileges::of_engines;
use super::timing::{self, Telling};
use super::{Answer, CellStatus, Magic, Offers, against, baseline};

use family::{Asker, family};
use figures::{claimed, sweep_figures};
use rounds::{Asked, Entry, Input, Outcome, Round, round, table_of};
use ways::{Way, What, ways};
use words::{so_far, sweep_notes};

pub static COMPARE: Magic = Magic {
    syntax: MagicSyntax {
        name: "compare",
        usage: "%compare [--on ENGINES] [--for TIME] [--clock wall|cpu] [--setup CELL] [--shape SHAPE] [--against NAME] [n in A..B:] [PIPELINE or FAMILY] [: and a block]",
        takes: Takes::Variants,
        options: &[
            ("--on", true),
            ("--for", true),
            ("--clock", true),
            ("--setup", true),
            ("--shape", true),
            ("--against", true),
        ],
    },
    about: "which of several variants is faster, by interleaved samples: the first is the measure of the others. Variants \
            are the indented lines `name: pipeline` below a first line that ends with `:`; a pipeline on that line is \
            computed once, is not timed, and the variants that begin with a stage go on from it. Or the engines of --on on \
            one pipeline; or a family of algorithms (`%algorithms`) at each size of the sweep or at its own sizes, with an \
            input of --shape, and with the block's variants as more of the family. `n in 100..3200:` (doubling; by 100; \
            times 4; or n in [1, 5]:) compares at each n. Results are compared too: where they differ nobody wins. same: the \
            interval of the speed-up lies within ±1 %; faster, slower: it lies outside ±0.5 %; else not resolved. no work left: the \
            time lies under the overhead of a call, as where the compiler knew the result of a Rust block; nothing is held \
            against that. It ends \
            when all is settled, but not before 300ms, or after --for, at most 10s. --against NAME also holds each variant \
            against the one of its name, and of its n, that %baseline kept, by the same clock; one variant is then enough. \
            Those samples were not taken in turns with these, so that no interval is right: faster and slower are told only \
            where the medians differ by over 10 %, as those of the same code in two processes may, and the middle 90 % of \
            both times are apart (with fewer than 25 samples all)",
    examples: &[
        "%compare letters 2k seed 7:\n  fold: fold \"\" acc + it\n  join: join \"\"",
        "%compare --on rows,batch,polars 1..100k | map it * it | sum",
        "%compare n in 100..400:\n  sort: 1..n | sort by it desc | take 3\n  top: 1..n | top 3",
        "%compare n in 100..400: anagrams",
        "%compare n in [100, 200]: anagrams:\n  stages: group by key = sorted(word) | filter len(word) > 1 | map group = word",
    ],
    offers: Offers::Families,
    privileges: |magic| {
        let engines = magic.option("--on").flatten();
        engines.map_or(Privileges::NONE, |names| of_engines(&names.text))
    },
    run,
};

const LONGEST: Duration = Duration::from_secs(10);

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let Argument::Variants(variants) = &magic.subject else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%compare` needs something to compare")
            .hint("%compare --on rows,polars 1..1M | sum, or a block of variants: `%help compare`"));
    };
    let before = session.snapshot();
    let answer = compared(session, magic, variants, context);
    session.restore(before);
    answer
}

fn compared(session: &mut Session, magic: &lang::Magic, variants: &Variants, context: &RunContext) -> Fallible<Answer> {
    let limit = timing::asked_time(magic)?.unwrap_or(LONGEST);
    let clock = timing::asked_clock(magic)?;
    let against = against::asked(session, magic)?;
    let family = family(session, magic, variants)?;
    let ways = match &family {
        Some(family) => family.ways(session, variants)?,
        None => ways(session, magic, variants)?,
    };
    session.settle(context)?;
    timing::set_up(session, magic, context)?;
    let points = match (&variants.sweep, &family) {
        (Some(sweep), _) => Some(session.points(sweep)?),
        (None, Some(family)) => Some(family.sizes()),
        (None, None) => None,
    };
    let input = match (&variants.shared, &family) {
        (_, Some(family)) => Input::Family(family),
        (Some(shared), None) if !variants.block.is_empty() => Input::Shared(shared),
        _ => Input::None,
    };
    if let Some(against) = &against {
        let names: Vec<&str> = ways.iter().map(|way| way.name.as_str()).collect();
        against.check(&names, &each(&points))?;
    }
    // All is typed before the first runs.
    for point in each(&points) {
        give(session, &variants.sweep, point);
        let input = match input {
            Input::Shared(shared) => Some(table_of(session, shared)?),
            Input::Family(family) if ways.iter().any(Way::continues) => Some(family.input(1)?),
            Input::Family(_) | Input::None => None,
        };
        // All Rust is compiled into one library: its code then lies in one place.
        session.compile_together(ways.iter().filter_map(Way::pipeline), context)?;
        for way in &ways {
            way.check(session, input.as_ref())?;
        }
    }
    let telling = Telling::new(&context.progress);
    let context = &RunContext { progress: Progress::default(), ..context.clone() };
    let start = Instant::now();
    let all = each(&points);
    let asked = Asked { clock, limit: limit / all.len() as u32, against };
    let mut rounds: Vec<Round> = Vec::new();
    for point in all {
        give(session, &variants.sweep, point);
        let place = match (&variants.sweep, point) {
            (Some(sweep), Some(point)) => format!("{} = {point} · ", sweep.name.text),
            (None, Some(point)) => format!("n = {point} · "),
            (_, None) => String::new(),
        };
        let live = |entries: &[Entry], turns: &Turns| telling.tell(|| format!("{place}{}", so_far(entries, turns)));
        match round(session, &ways, &input, point, &asked, context, &live) {
            Ok(round) => rounds.push(round),
            Err(error) if error.kind == Kind::Stopped && !rounds.is_empty() => break,
            Err(error) => return Err(error),
        }
        if context.stop.is_raised() {
            break;
        }
    }
    let mut notes = match (&points, &rounds[..]) {
        (None, [round]) => round.notes(),
        _ => sweep_notes(&points, &rounds),
    };
    let measured = measured(session, magic, variants, &family, &ways, &rounds);
    if let Some(against) = &asked.against {
        against.differences(&measured).into_iter().for_each(|difference| session.warn(against.span, difference));
        notes.extend(against.notes(&measured));
    }
    session.hold_measured(measured);
    if let Some(family) = &family {
        notes.push(family.note());
    }
    if let Input::Shared(shared) = input
        && ways.iter().any(Way::continues)
    {
        notes.push(format!("{} was computed once and not timed", session.words(shared.span)));
    }
    if context.stop.is_raised() {
        let passed = duration_text(start.elapsed().as_secs_f64());
        notes.push(format!("stopped after {passed}: what was measured until then is kept"));
    }
    let figures = match (&variants.sweep, &points, &rounds[..]) {
        (sweep, Some(points), rounds) => {
            let name = sweep.as_ref().map_or("n", |sweep| sweep.name.text.as_str());
            sweep_figures(name, points, rounds, asked.against.as_ref())
        }
        (_, None, rounds) => rounds[0].figures(asked.against.as_ref()),
    };
    let agree = rounds.iter().all(Round::agrees);
    let mut fields = vec![("agree".to_string(), Value::Bool(agree))];
    if let [round] = &rounds[..]
        && let [_, (second, place)] = round.placed().collect::<Vec<_>>()[..]
        && let Some(found) = round.finding(second, place)
    {
        fields.push(("speedup".to_string(), Value::Float(found.speedup)));
        fields.push(("pairs".to_string(), Value::Int(found.pairs as i64)));
    }
    let plan = |figures: &Figures| Arc::new(kept_plan(Arc::new(figures.table.clone()), magic.span));
    let table = Some(plan(&figures));
    let mut blocks = vec![Block::Figures(figures)];
    let mut tables = Vec::new();
    if let Some(family) = &family {
        let claims = claimed(family, &ways, &rounds);
        tables.push(("variants".to_string(), plan(&claims)));
        blocks.push(Block::Aside(claims));
    }
    blocks.push(Block::Notes(notes));
    let report = Report { blocks, status_line: vec![duration_text(start.elapsed().as_secs_f64())] };
    let status = status(&rounds);
    Ok(Answer { report, result: Some(Binding::Result { table, fields, tables }), status, ..Answer::default() })
}

/// What a script is told: a variant that failed counts more than results that differ.
fn status(rounds: &[Round]) -> CellStatus {
    let outcomes = || rounds.iter().flat_map(|round| &round.entries).map(|entry| &entry.outcome);
    if outcomes().any(|outcome| matches!(outcome, Outcome::Failed(_))) {
        CellStatus::VariantFailed
    } else if outcomes().any(|outcome| matches!(outcome, Outcome::RunResult(Sameness::Different(_), _))) {
        CellStatus::Different
    } else {
        CellStatus::Good
    }
}

/// What was measured, as it can be kept.
fn measured(
    session: &Session,
    magic: &lang::Magic,
    variants: &Variants,
    family: &Option<Asker>,
    ways: &[Way],
    rounds: &[Round],
) -> Baseline {
    let input = match (family, &variants.shared) {
        (Some(family), _) => format!("{} of shape {}", family.family.facts().name, family.shape),
        (None, Some(shared)) => session.words(shared.span).to_string(),
        (None, None) => String::new(),
    };
    let text = |way: &Way| match way.what {
        What::Pipeline { pipeline, .. } if !variants.block.is_empty() => session.words(pipeline.span).to_string(),
        What::Pipeline { .. } | What::Algorithm(_) => String::new(),
    };
    let point = |round: &Round| {
        let variant = |(way, (entry, place)): (&Way, (&Entry, Option<usize>))| {
            let times = Spread::of(&round.turns.as_ref()?.samples(place?))?;
            Some(Variant {
                name: entry.name.clone(),
                text: text(way),
                engine: entry.engine.clone(),
                times,
                removed: entry.removed.is_some(),
            })
        };
        let variants = ways.iter().zip(round.placed()).filter_map(variant).collect();
        Point { n: round.point, clock: round.time.name().to_string(), rows: round.rows, variants }
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
