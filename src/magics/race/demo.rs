//! A demo of the catalogue: its versions in one table, racy beside safe.

use std::time::{Duration, Instant};

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::interleave::{self, Count, Exploration, Model, Rounds, Verdict, explore};
use crate::lang::{self, Word};
use crate::plan::Binding;
use crate::races::{self, Asked, Demo, DemoResult, MOST_THREADS, Native, Version, Versions};
use crate::report::{Block, Figures, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::show::grouped;

use super::super::timing::asked_count;
use super::super::{Answer, figures_plan, passed};
use super::program::{asked_live, asked_models, failing_schedule};
use super::{demo, refuse};

const STATES: usize = 300_000;
/// All versions together run on real threads for about a second.
const LIVE: Duration = Duration::from_millis(1_000);
const ROUNDS: u64 = 10_000;
const NATIVE_ONLY: [&str; 4] = ["--each", "--threads", "--checkpoint", "--gil"];

pub fn run(magic: &lang::Magic, name: &Word, context: &RunContext) -> Fallible<Answer> {
    let demo = demo(name)?;
    refuse(magic, &["--moves"], "`%race play`")?;
    let start = Instant::now();
    let mut answer = match &demo.versions {
        Versions::Native(native) => {
            refuse(magic, &["--model", "--rounds", "--states", "--live"], "programs: `%%race x = 0`, `%race ticket`")?;
            native_answer(demo, (native.run)(&asked(magic, demo, native, name)?, context)?)
        }
        Versions::Programs(versions) => {
            refuse(magic, &NATIVE_ONLY, "`%race counter` and `%race lists`")?;
            let only = asked_versions(magic, demo)?;
            let wanted =
                versions.iter().filter(|version| only.is_empty() || only.iter().any(|one| one == version.name));
            program_answer(demo, &wanted.collect::<Vec<_>>(), magic, context)?
        }
    };
    answer.report.status_line.push(passed(start.elapsed()));
    Ok(answer)
}

/// The options of a demo in Rust.
fn asked(magic: &lang::Magic, demo: &Demo, native: &Native, name: &Word) -> Fallible<Asked> {
    let at = |option: &str| magic.option(option).flatten().map_or(name.span, |word| word.span);
    let each = asked_count(magic, "--each")?.unwrap_or(native.each);
    if each > native.most_each {
        let message =
            format!("`--each` is at most {} for `{}`, got {}", grouped(native.most_each), demo.name, grouped(each));
        return Err(Diagnostic::at(Kind::Type, at("--each"), message));
    }
    let threads = asked_count(magic, "--threads")?.unwrap_or(2);
    if threads > MOST_THREADS as u64 {
        let message = format!("`--threads` is at most {MOST_THREADS}, got {threads}");
        return Err(Diagnostic::at(Kind::Type, at("--threads"), message));
    }
    if native.is_pair && threads != 2 {
        let message = format!("`{}` needs two threads, one for each direction, got {threads}", demo.name);
        return Err(Diagnostic::at(Kind::Type, at("--threads"), message));
    }
    let mut only = asked_versions(magic, demo)?;
    if let Some(word) = magic.option("--gil").flatten() {
        let kind = match word.text.as_str() {
            "bytecode" | "calls" => word.text.as_str(),
            other => {
                let message = format!("`--gil` must be bytecode or calls, got `{other}`");
                return Err(Diagnostic::at(Kind::Type, word.span, message).near(other, ["bytecode", "calls"]));
            }
        };
        let under = demo
            .version_names()
            .into_iter()
            .filter(|version| *version == "gil" || version.starts_with(&format!("gil, {kind}")));
        only.extend(under.map(str::to_string));
    }
    let checkpoint = asked_count(magic, "--checkpoint")?;
    if let Some(every) = checkpoint.filter(|every| each / every > 100_000) {
        let message = format!("`--checkpoint {every}` would plot more than 100,000 points");
        return Err(Diagnostic::at(Kind::Type, at("--checkpoint"), message));
    }
    Ok(Asked { each, threads: threads as usize, only, checkpoint })
}

/// The versions that `--only` names; a name without its spaces will do, and commas inside names are those of the names.
fn asked_versions(magic: &lang::Magic, demo: &Demo) -> Fallible<Vec<String>> {
    let Some(word) = magic.option("--only").flatten() else { return Ok(Vec::new()) };
    let plain = |text: &str| text.replace([' ', '_'], "").to_lowercase();
    let names = demo.version_names();
    let mut left = plain(&word.text);
    let mut only = Vec::new();
    while !left.is_empty() {
        // The longest name that fits: `racy,functional` is one version, `racy,mutex` are two.
        let fits = |name: &&str| {
            let rest = left.strip_prefix(&plain(name));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
        };
        let Some(name) = names.iter().copied().filter(fits).max_by_key(|name| name.len()) else {
            let first = left.split(',').next().unwrap_or_default().to_string();
            let error = Diagnostic::at(Kind::Name, word.span, format!("`{}` has no version `{first}`", demo.name));
            let error = error.near(&first, names.iter().copied());
            return Err(if error.hint.is_some() { error } else { error.hint(names.join(" · ")) });
        };
        only.push(name.to_string());
        left = left[plain(name).len()..].trim_start_matches(',').to_string();
    }
    Ok(only)
}

fn native_answer(demo: &Demo, ran: DemoResult) -> Answer {
    let mut report = Report::default();
    let DemoResult { figures, mut notes, plot } = ran;
    notes.push(demo.lesson.into());
    let table = Some(figures_plan(&figures, Default::default()));
    report.blocks.push(Block::Figures(figures));
    report.blocks.extend(plot.map(Block::Plot));
    report.blocks.push(Block::Notes(notes));
    Answer {
        report,
        result: Some(Binding::Result { table, fields: Vec::new(), tables: Vec::new() }),
        ..Answer::default()
    }
}

/// Explores each version, runs it on real threads, and puts them into one table.
fn program_answer(demo: &Demo, versions: &[&Version], magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let stopped = || context.stop.is_raised();
    let models = asked_models(magic)?;
    let most = asked_count(magic, "--states")?.unwrap_or(STATES as u64) as usize;
    let rounds = asked_count(magic, "--rounds")?;
    let is_live = asked_live(magic)?;
    let budget = if rounds.is_some() { Duration::from_secs(20) } else { LIVE } / versions.len().max(1) as u32;
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let mut schedule = None;
    let mut unseen = Vec::new();
    for version in versions {
        context.progress.tell(format!("{}: {}", demo.name, version.name));
        let program = races::program(version.program);
        let found: Vec<Exploration> = models.iter().map(|model| explore(program, *model, most, &stopped)).collect();
        if stopped() {
            break;
        }
        let seen = match is_live {
            true => {
                let rounds = rounds.map_or(Rounds::AtLeast(ROUNDS), Rounds::Exactly);
                Some(
                    interleave::run(program, rounds, budget, &stopped)
                        .map_err(|error| Diagnostic::new(Kind::System, format!("cannot start the threads: {error}")))?,
                )
            }
            false => None,
        };
        if stopped() {
            break;
        }
        let sc = found.iter().find(|found| found.model == Model::Sc && found.limit.is_none());
        let (schedules, share) = match sc {
            Some(sc) => {
                let fails = sc.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Passes);
                let known = matches!(sc.schedules, Some(Count::Exact(_) | Count::About(_)));
                (
                    sc.schedules,
                    known.then(|| fails.filter_map(|outcome| outcome.share).fold(0.0, |sum, share| sum + share)),
                )
            }
            None => (None, None),
        };
        let failing = seen.as_ref().map(|seen| {
            let fails = seen.endings.iter().filter(|(ending, _)| {
                let outcome = found.iter().flat_map(|found| &found.outcomes).find(|outcome| outcome.ending == **ending);
                outcome.is_some_and(|outcome| outcome.verdict != Verdict::Passes)
            });
            fails.map(|(_, times)| *times).sum::<u64>()
        });
        let can_fail_here = sc.is_some_and(|sc| sc.outcomes.iter().any(|outcome| outcome.verdict != Verdict::Passes));
        if failing == Some(0) && can_fail_here {
            unseen.push(version.name);
        }
        let of_all = failing.zip(seen.as_ref()).map(|(times, seen)| times as f64 / seen.rounds.max(1) as f64);
        let mut row = vec![
            Value::text(version.name),
            match schedules {
                Some(Count::Exact(count)) => i64::try_from(count).map_or(Value::Null, Value::Int),
                Some(Count::About(_) | Count::Infinite) | None => Value::Null,
            },
            share.map_or(Value::Null, Value::Float),
        ];
        row.extend(Model::ALL.map(|model| Value::text(verdict(&found, model))));
        row.extend([
            seen.as_ref().map_or(Value::Null, |seen| Value::Int(seen.rounds as i64)),
            failing.map_or(Value::Null, |times| Value::Int(times as i64)),
            of_all.map_or(Value::Null, Value::Float),
            Value::text(if version.is_safe { "yes" } else { "no" }),
        ]);
        rows.push(row);
        if schedule.is_none() {
            schedule = failing_schedule(program, version.program, &found)
                .map(|(title, figures)| (format!("{}: {title}", version.name), figures));
        }
    }
    let mut report = Report::default();
    if rows.is_empty() {
        context.stop.check()?;
    }
    let figures = figures(&rows);
    let table = Some(figures_plan(&figures, Default::default()));
    report.blocks.push(Block::Figures(figures));
    let mut notes: Vec<Note> = Vec::new();
    if rows.len() < versions.len() {
        notes.push(Note::default().found(format!("stopped: {} of {} versions", rows.len(), versions.len())).optional());
    }
    if !unseen.is_empty() {
        let told = format!("possible, but not seen this time: {}", unseen.join("; "));
        notes.push(Note::default().found(told).optional());
    }
    notes.push(demo.lesson.into());
    let mut tables = Vec::new();
    if let Some((title, figures)) = schedule {
        notes.push(title.into());
        report.blocks.push(Block::Notes(notes));
        tables.push(("schedule".to_string(), figures_plan(&figures, Default::default())));
        report.blocks.push(Block::Aside(figures));
    } else {
        report.blocks.push(Block::Notes(notes));
    }
    Ok(Answer { report, result: Some(Binding::Result { table, fields: Vec::new(), tables }), ..Answer::default() })
}

fn verdict(explored: &[Exploration], model: Model) -> &'static str {
    let failure = |found: &Exploration| {
        let fails = found.outcomes.iter().any(|outcome| outcome.verdict != Verdict::Passes);
        if fails { Some("can fail") } else { found.livelock.as_ref().map(|_| "livelock") }
    };
    let found = explored.iter().find(|found| found.model == model);
    // Each schedule of SC is one of every model.
    let sc = explored.iter().find(|found| found.model == Model::Sc);
    match found.and_then(failure).or_else(|| sc.and_then(failure)) {
        Some(failure) => failure,
        None if found.is_some_and(|found| found.limit.is_none()) => "never fails",
        None => "not explored",
    }
}

fn figures(rows: &[Vec<Value>]) -> Figures {
    let heads = [
        ("version", Type::Text, Unit::Plain.counted()),
        ("schedules", Type::Int, Unit::Plain.counted()),
        ("failing", Type::Float, Unit::Share.counted()),
        ("sc", Type::Text, Unit::Plain.counted()),
        ("tso", Type::Text, Unit::Plain.counted()),
        ("pso", Type::Text, Unit::Plain.counted()),
        ("rounds", Type::Int, Unit::Plain.measured()),
        ("failed", Type::Int, Unit::Plain.measured()),
        ("failed_share", Type::Float, Unit::Bar.measured()),
        ("safe", Type::Text, Unit::Plain.counted()),
    ];
    Figures::of_rows(&heads, rows)
}
