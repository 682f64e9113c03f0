//! A race program of the user: explored, run on real threads, and told in one table.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::interleave::{
    self, BUFFER, Choice, Count, Ending, Exploration, Fault, FaultKind, Limit, Machine, Model, Problem, ProblemKind,
    Program, Rounds, Seen, Verdict, explore, replay,
};
use crate::lang::{self, Body};
use crate::plan::{Binding, Plan};
use crate::report::{Block, Field, Figures, Measured, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::session::{Session, kept_plan};
use crate::show::{duration_text, grouped, percent};

use super::super::timing::asked_count;
use super::super::{Answer, passed};
use super::refuse;

const STATES: usize = 300_000;
const MOST_STATES: u64 = 5_000_000;
const ROUNDS: u64 = 20_000;
/// For rounds that nobody asked for, and for those that somebody did.
const BUDGET: Duration = Duration::from_millis(700);
const ASKED_BUDGET: Duration = Duration::from_secs(20);

pub fn run(session: &mut Session, magic: &lang::Magic, body: &Body, context: &RunContext) -> Fallible<Answer> {
    let start = Instant::now();
    refuse(magic, &["--moves"], "`%race play`")?;
    refuse(magic, &["--each", "--threads", "--only", "--checkpoint", "--gil"], "the demos, such as `%race counter`")?;
    let models = asked_models(magic)?;
    let most = asked_count(magic, "--states")?.unwrap_or(STATES as u64);
    if most > MOST_STATES {
        let message = format!("`--states` is at most {}", grouped(MOST_STATES));
        let span = magic.option("--states").flatten().map_or(magic.span, |word| word.span);
        return Err(Diagnostic::at(Kind::Type, span, message));
    }
    let rounds = asked_count(magic, "--rounds")?;
    let is_live = asked_live(magic)?;
    let place = Span { start: body.line.span.start, ..body.text.span };
    let source = session.words(place).to_string();
    let told = Source { text: &source, place };
    let program = interleave::read(&source).map_err(|problem| told.diagnostic(problem))?;
    session.race = Some(source.clone());

    let stopped = || context.stop.is_raised();
    let mut explored = Vec::new();
    for model in models {
        context.progress.tell(format!("exploring under {}", model.name().to_uppercase()));
        explored.push(explore(&program, model, most as usize, &stopped));
        context.check()?;
    }
    if let Some(error) = always_faulty(&program, &explored, &told) {
        return Err(error);
    }
    let seen = match is_live {
        false => None,
        true => {
            context.progress.tell("running on real threads".to_string());
            let budget = if rounds.is_some() { ASKED_BUDGET } else { BUDGET };
            let rounds = rounds.map_or(Rounds::AtLeast(ROUNDS), Rounds::Exactly);
            let seen = interleave::run(&program, rounds, budget, &stopped);
            Some(seen.map_err(|error| {
                Diagnostic::at(Kind::System, magic.span, format!("cannot start the threads: {error}"))
                    .hint("--live off explores without them")
            })?)
        }
    };
    for fault in sometimes_faulty(&explored) {
        if let Some(span) = program.fault_span(&fault) {
            let some = "in some schedules";
            session.warn(told.span(span), format!("{} {some}", program.fault_text(&fault, &source)));
        }
    }
    Ok(answer(&program, &source, &explored, seen.as_ref(), start))
}

/// The text of a program and where it stands in its cell.
struct Source<'a> {
    text: &'a str,
    place: Span,
}

impl Source<'_> {
    fn span(&self, span: interleave::Span) -> Span {
        let start = self.place.start as usize;
        Span::new(self.place.cell, start + span.start, start + span.end)
    }

    fn diagnostic(&self, problem: Problem) -> Box<Diagnostic> {
        let kind = match problem.kind {
            ProblemKind::Syntax => Kind::Syntax,
            ProblemKind::Name => Kind::Name,
            ProblemKind::Type | ProblemKind::Size => Kind::Type,
        };
        let error = Diagnostic::at(kind, self.span(problem.span), problem.message);
        match problem.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// The value of `--model`.
pub fn asked_models(magic: &lang::Magic) -> Fallible<Vec<Model>> {
    let Some(word) = magic.option("--model").flatten() else { return Ok(Model::ALL.to_vec()) };
    let mut models = Vec::new();
    for name in word.text.split(',') {
        let Some(model) = Model::ALL.into_iter().find(|model| model.name() == name.trim().to_lowercase()) else {
            let error = Diagnostic::at(Kind::Type, word.span, format!("unknown memory model `{name}`"));
            return Err(error.hint("--model sc,tso,pso"));
        };
        if !models.contains(&model) {
            models.push(model);
        }
    }
    Ok(models)
}

/// The value of `--live`.
pub fn asked_live(magic: &lang::Magic) -> Fallible<bool> {
    let Some(word) = magic.option("--live").flatten() else { return Ok(true) };
    match word.text.as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        other => {
            let message = format!("`--live` must be on or off, got `{other}`");
            Err(Diagnostic::at(Kind::Type, word.span, message).near(other, ["on", "off"]))
        }
    }
}

/// Faults that no user means, as an `assert` is meant.
fn is_mistake(fault: &Fault) -> bool {
    fault.kind != FaultKind::Assert
}

/// The error of a program that goes wrong in every schedule in the same way.
fn always_faulty(program: &Program, explored: &[Exploration], told: &Source) -> Option<Box<Diagnostic>> {
    let first = explored.iter().find(|found| found.limit.is_none())?;
    let [only] = &first.outcomes[..] else { return None };
    let Ending::Fault(fault) = only.ending else { return None };
    if !is_mistake(&fault) || first.livelock.is_some() {
        return None;
    }
    let span = program.fault_span(&fault)?;
    let kind = match fault.kind {
        FaultKind::Overflow => Kind::Overflow,
        FaultKind::ZeroDivision => Kind::ZeroDivision,
        FaultKind::Endless => Kind::Depth,
        FaultKind::Assert | FaultKind::Index(..) | FaultKind::NotOwner { .. } | FaultKind::WaitsWithout(_) => {
            Kind::Domain
        }
    };
    let message = format!("{}, in every schedule", program.fault_text(&fault, told.text));
    let error = Diagnostic::at(kind, told.span(span), message);
    Some(match fault.kind {
        FaultKind::Endless => {
            error.hint("a loop that waits for another thread reads a shared variable in its condition")
        }
        FaultKind::WaitsWithout(lock) => error.hint(format!("lock {0} {{ wait {0} }}", program.locks[lock])),
        _ => error,
    })
}

fn sometimes_faulty(explored: &[Exploration]) -> BTreeSet<Fault> {
    let outcomes = explored.iter().flat_map(|found| &found.outcomes);
    outcomes
        .filter_map(|outcome| match outcome.ending {
            Ending::Fault(fault) if is_mistake(&fault) => Some(fault),
            _ => None,
        })
        .collect()
}

fn answer(program: &Program, source: &str, explored: &[Exploration], seen: Option<&Seen>, start: Instant) -> Answer {
    let mut report = Report::default();
    let outcomes = outcome_table(program, source, explored, seen);
    let mut lines: Vec<String> = explored.iter().map(|found| model_line(program, found)).collect();
    lines.extend(data_races(program, explored));
    let mut told: Vec<Note> = seen.map(|seen| Note::default().found(seen_line(seen))).into_iter().collect();
    // What was seen this time, another time may not be.
    let notes = notes(program, source, explored, seen);
    told.extend(notes.into_iter().map(|note| Note::default().found(note).optional()));
    report.blocks.push(Block::Figures(outcomes.clone()));
    report.blocks.push(Block::Notes(lines.into_iter().map(Note::from).collect()));
    if !told.is_empty() {
        report.blocks.push(Block::Notes(told));
    }
    let mut tables = Vec::new();
    if let Some((title, schedule)) = failing_schedule(program, source, explored) {
        report.blocks.push(Block::Notes(vec![title.into()]));
        tables
            .push(("schedule".to_string(), Arc::new(kept_plan(Arc::new(schedule.table.clone()), Default::default()))));
        report.blocks.push(Block::Aside(schedule));
    }
    report.status_line.push(passed(start.elapsed()));
    let first = &explored[0];
    let count = |name, count: i64, of| Field::counted(name, Value::Int(count), Unit::Count(of));
    let mut fields = vec![
        Field::counted("fails", Value::Bool(explored.iter().any(can_fail)), Unit::Plain),
        count("states", explored.iter().map(|found| found.states as i64).sum(), "states"),
        count("data_races", first.data_races.len() as i64, "data races"),
    ];
    if let Some(Count::Exact(schedules)) = first.schedules {
        fields.extend(i64::try_from(schedules).ok().map(|schedules| count("schedules", schedules, "schedules")));
    }
    if let Some(seen) = seen {
        fields.push(Field::measured("rounds", Value::Int(seen.rounds as i64), Unit::Count("rounds")));
        fields.push(Field::measured("overlap", Value::Float(seen.overlap), Unit::Share));
    }
    let measured = if seen.is_some() { outcomes.measured() } else { Measured::nothing(outcomes.meanings.len()) };
    let outcomes = kept_plan(Arc::new(outcomes.table), Default::default());
    let table = Some(Arc::new(Plan { measured, ..outcomes }));
    Answer { report, result: Some(Binding::Result { table, fields, tables }), ..Answer::default() }
}

fn can_fail(found: &Exploration) -> bool {
    found.livelock.is_some() || found.outcomes.iter().any(|outcome| outcome.verdict != Verdict::Passes)
}

/// A row for each outcome that is possible or was seen.
fn outcome_table(program: &Program, source: &str, explored: &[Exploration], seen: Option<&Seen>) -> Figures {
    let mut endings: BTreeSet<&Ending> =
        explored.iter().flat_map(|found| &found.outcomes).map(|outcome| &outcome.ending).collect();
    endings.extend(seen.iter().flat_map(|seen| seen.endings.keys()));
    let sc = explored.iter().find(|found| found.model == Model::Sc);
    let counts: Vec<Option<Count>> = endings
        .iter()
        .map(|ending| match sc {
            Some(sc) if sc.limit.is_none() => find(sc, ending).map_or(Some(Count::Exact(0)), |found| found.schedules),
            _ => None,
        })
        .collect();
    let all_ints = counts.iter().flatten().all(|count| as_int(count).is_some());
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for (ending, count) in endings.iter().zip(&counts) {
        let verdict = explored.iter().find_map(|found| find(found, ending)).map(|outcome| outcome.verdict);
        let share = sc.filter(|sc| sc.limit.is_none()).and_then(|sc| match find(sc, ending) {
            Some(outcome) => outcome.share,
            None => matches!(sc.schedules, Some(Count::Exact(_) | Count::About(_))).then_some(0.0),
        });
        let times = seen.map(|seen| seen.endings.get(*ending).copied().unwrap_or(0));
        let of_all = seen.zip(times).map(|(seen, times)| times as f64 / seen.rounds.max(1) as f64);
        let mut row = vec![
            Value::text(&program.ending_text(ending, source)),
            verdict.map_or(Value::Null, |verdict| check_value(program, source, verdict)),
            match count {
                None => Value::Null,
                Some(count) if all_ints => as_int(count).map_or(Value::Null, Value::Int),
                Some(count) => Value::text(&count_text(count)),
            },
            share.map_or(Value::Null, Value::Float),
        ];
        row.extend(Model::ALL.map(|model| Value::text(possibility(explored, model, ending))));
        row.push(times.map_or(Value::Null, |times| Value::Int(times as i64)));
        row.push(of_all.map_or(Value::Null, Value::Float));
        rows.push(row);
    }
    let schedules = if all_ints { Type::Int } else { Type::Text };
    let heads = [
        ("outcome", Type::Text, Unit::Plain.counted()),
        ("check", Type::Text, Unit::Plain.counted()),
        ("schedules", schedules, Unit::Plain.counted()),
        ("share", Type::Float, Unit::Share.counted()),
        ("sc", Type::Text, Unit::Plain.counted()),
        ("tso", Type::Text, Unit::Plain.counted()),
        ("pso", Type::Text, Unit::Plain.counted()),
        ("seen", Type::Int, Unit::Plain.measured()),
        ("seen_share", Type::Float, Unit::Bar.measured()),
    ];
    Figures::of_rows(&heads, &rows)
}

fn find<'a>(found: &'a Exploration, ending: &Ending) -> Option<&'a interleave::Outcome> {
    found.outcomes.iter().find(|outcome| outcome.ending == *ending)
}

fn possibility(explored: &[Exploration], model: Model, ending: &Ending) -> &'static str {
    let has = |found: &Exploration| find(found, ending).is_some();
    match explored.iter().find(|found| found.model == model) {
        Some(found) if has(found) => "possible",
        // Stores may reach memory at once under every model, so each schedule of SC is one of it.
        _ if explored.iter().any(|found| found.model == Model::Sc && has(found)) => "possible",
        Some(found) if found.limit.is_none() => "impossible",
        Some(_) | None => "not explored",
    }
}

fn check_value(program: &Program, source: &str, verdict: Verdict) -> Value {
    match verdict {
        Verdict::Passes if program.checks.is_empty() => Value::Null,
        Verdict::Passes => Value::text("✓"),
        Verdict::FailsCheck(number) => Value::text(&format!("✗ {}", program.checks[number].text)),
        Verdict::FaultyCheck(fault) => Value::text(&format!("✗ {}", program.fault_text(&fault, source))),
        Verdict::Broken => Value::text("✗"),
    }
}

fn as_int(count: &Count) -> Option<i64> {
    match count {
        Count::Exact(count) => i64::try_from(*count).ok(),
        Count::About(_) | Count::Infinite => None,
    }
}

fn count_text(count: &Count) -> String {
    match count {
        Count::Exact(count) => match u64::try_from(*count) {
            Ok(count) => grouped(count),
            Err(_) => count.to_string(),
        },
        Count::About(count) => format!("about {count:.1e}"),
        Count::Infinite => "infinitely many".to_string(),
    }
}

/// `SC: 6 schedules · 13 states · can fail`
fn model_line(program: &Program, found: &Exploration) -> String {
    let mut parts = Vec::new();
    match &found.schedules {
        Some(Count::Exact(1)) => parts.push("1 schedule".to_string()),
        Some(count) => parts.push(format!("{} schedules", count_text(count))),
        None => parts.push("explored in part".to_string()),
    }
    let states = if found.states == 1 { "state" } else { "states" };
    parts.push(format!("{} {states}", grouped(found.states as u64)));
    parts.extend(found.limit.map(|limit| match limit {
        Limit::States(_) => "--states raises the limit".to_string(),
        Limit::Memory => "the states need too much memory".to_string(),
        Limit::Buffer => {
            format!("a thread had {BUFFER} stores that had not reached memory; more of them are not explored")
        }
        Limit::Stopped => "stopped".to_string(),
    }));
    let fails = found.outcomes.iter().any(|outcome| outcome.verdict != Verdict::Passes);
    let deadlocks = found.outcomes.iter().any(|outcome| matches!(outcome.ending, Ending::Deadlock(_)));
    let checks = !program.checks.is_empty();
    match (fails, found.limit) {
        (true, _) if deadlocks => parts.push("can deadlock".to_string()),
        (true, _) => parts.push("can fail".to_string()),
        (false, Some(_)) => parts.push("no failure in the explored part".to_string()),
        (false, None) if found.livelock.as_ref().is_some_and(|livelock| livelock.inescapable) => {}
        (false, None) if checks => parts.push("never fails".to_string()),
        (false, None) => {}
    }
    if let Some(livelock) = &found.livelock {
        let names: Vec<&str> = livelock.threads.iter().map(|thread| program.threads[*thread].name.as_str()).collect();
        let end = if livelock.inescapable { ", and no schedule ends it" } else { "" };
        parts.push(format!("livelock: {} can go on forever{end}", names.join(" and ")));
    }
    format!("{}: {}", found.model.name().to_uppercase(), parts.join(" · "))
}

/// `data race on x: up and down`
fn data_races(program: &Program, explored: &[Exploration]) -> Vec<String> {
    let Some(sc) = explored.iter().find(|found| found.model == Model::Sc) else { return Vec::new() };
    let mut lines: Vec<String> = Vec::new();
    let mut last = usize::MAX;
    for race in &sc.data_races {
        let pair = format!("{} and {}", program.threads[race.first.0].name, program.threads[race.second.0].name);
        match lines.last_mut() {
            Some(line) if last == race.location => line.push_str(&format!(", {pair}")),
            _ => lines.push(format!("data race on {}: {pair}", program.location_name(race.location))),
        }
        last = race.location;
    }
    if lines.is_empty() && sc.limit.is_none() && !program.shared.is_empty() {
        lines.push("no data race".to_string());
    }
    lines
}

fn seen_line(seen: &Seen) -> String {
    let cores = if seen.cores == 1 { "1 core".to_string() } else { format!("{} cores", seen.cores) };
    let of_wanted = match seen.wanted {
        Some(wanted) if wanted > seen.rounds => format!(" of {}", grouped(wanted)),
        Some(_) | None => String::new(),
    };
    format!(
        "seen: {}{of_wanted} rounds in {} on {cores}, {} · the threads overlapped in {} of the rounds{}",
        grouped(seen.rounds),
        duration_text(seen.wall.as_secs_f64()),
        if seen.pinned { "pinned" } else { "not pinned" },
        percent(seen.overlap),
        if seen.stopped { " · stopped" } else { "" }
    )
}

/// What was seen of the threads.
pub const SAYS: &[&str] = &[
    "~seen: {count}[ of {count}] rounds in {time} on <1 core|{count} cores>, [not ]pinned · the threads overlapped \
     in {share} of the rounds[ · stopped]",
    "{count} round[s] ended early, because a thread had done {count} operations",
    "on one core the threads take turns; most races need two cores",
    "there is only one thread, so nothing can overlap",
    "the threads hardly overlapped, so little could go wrong: the machine is busy, or has too few cores",
    "{name} is impossible under SC, but happened on this processor",
    "{name} was seen but is impossible in these models: this processor reorders more than they allow",
];

/// What the table does not say by itself.
fn notes(program: &Program, source: &str, explored: &[Exploration], seen: Option<&Seen>) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(seen) = seen else { return notes };
    if seen.given_up > 0 {
        let rounds = if seen.given_up == 1 { "round" } else { "rounds" };
        let (given_up, most) = (grouped(seen.given_up), grouped(interleave::MOST_STEPS));
        notes.push(format!("{given_up} {rounds} ended early, because a thread had done {most} operations"));
    }
    if seen.cores == 1 {
        notes.push("on one core the threads take turns; most races need two cores".to_string());
    } else if seen.overlap < 0.2 && seen.rounds > 0 {
        let why = match program.threads.len() {
            1 => "there is only one thread, so nothing can overlap",
            _ => "the threads hardly overlapped, so little could go wrong: the machine is busy, or has too few cores",
        };
        notes.push(why.to_string());
    }
    let not_seen = |model: Model| {
        let found = explored.iter().find(|found| found.model == model)?;
        let failing = found.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Passes);
        let missing = failing.filter(|outcome| !seen.endings.contains_key(&outcome.ending));
        Some(missing.map(|outcome| program.ending_text(&outcome.ending, source)).collect::<Vec<String>>())
    };
    // Whatever the processor is, sequentially consistent schedules can happen.
    let missing = not_seen(Model::Sc).unwrap_or_default();
    const MOST: usize = 3;
    if !missing.is_empty() {
        let more = missing.len().saturating_sub(MOST);
        let shown = missing.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join("; ");
        let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
        notes.push(format!("possible, but not seen this time: {shown}{rest}"));
    }
    let sc = explored.iter().find(|found| found.model == Model::Sc && found.limit.is_none());
    for ending in seen.endings.keys() {
        if sc.is_some_and(|sc| find(sc, ending).is_none()) {
            let text = program.ending_text(ending, source);
            notes.push(format!("{text} is impossible under SC, but happened on this processor"));
            break;
        }
    }
    let weaker = explored.iter().rfind(|found| found.model != Model::Sc && found.limit.is_none());
    if let Some(weaker) = weaker
        && let Some(ending) = seen.endings.keys().find(|ending| find(weaker, ending).is_none())
        && explored.iter().all(|found| find(found, ending).is_none())
    {
        let text = program.ending_text(ending, source);
        notes.push(format!(
            "{text} was seen but is impossible in these models: this processor reorders more than they allow"
        ));
    }
    notes
}

/// The smallest failing schedule under the strongest model that has one, and its title.
pub fn failing_schedule(program: &Program, source: &str, explored: &[Exploration]) -> Option<(String, Figures)> {
    let found = explored.iter().find(|found| found.failing.is_some());
    let (found, choices, title) = match found {
        Some(found) => {
            let failing = found.failing.as_ref().expect("it was just found");
            let outcome = &found.outcomes[failing.outcome];
            let steps = if failing.choices.len() == 1 { "step" } else { "steps" };
            let switches = if failing.switches == 1 { "switch" } else { "switches" };
            let kind = if failing.is_smallest { "smallest failing schedule" } else { "a failing schedule" };
            let verdict = match outcome.verdict {
                Verdict::FailsCheck(number) => format!(
                    "{}, so `check {}` fails",
                    program.ending_text(&outcome.ending, source),
                    program.checks[number].text
                ),
                Verdict::FaultyCheck(fault) => program.fault_text(&fault, source),
                Verdict::Passes | Verdict::Broken => program.ending_text(&outcome.ending, source),
            };
            let title = format!(
                "{kind} under {}, {} {steps}, {} {switches}: {verdict}",
                found.model.name().to_uppercase(),
                failing.choices.len(),
                failing.switches
            );
            (found, &failing.choices, title)
        }
        None => {
            let found = explored
                .iter()
                .find(|found| found.livelock.as_ref().is_some_and(|livelock| !livelock.schedule.is_empty()))?;
            let livelock = found.livelock.as_ref().expect("it was just found");
            let title = format!("this schedule under {} leads into the livelock", found.model.name().to_uppercase());
            (found, &livelock.schedule, title)
        }
    };
    Some((title, schedule_table(program, source, found.model, choices)))
}

/// A row for each step: what the thread does, or which store reaches memory.
fn schedule_table(program: &Program, source: &str, model: Model, choices: &[Choice]) -> Figures {
    let machine = Machine::new(program, model);
    let threads = program.threads.len();
    let has_memory = model != Model::Sc;
    let width = 1 + threads + usize::from(has_memory);
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); width];
    let told = replay(&machine, choices);
    for (number, step) in told.iter().enumerate() {
        let mut words = step.words.clone();
        words.extend(step.fault.map(|fault| program.fault_text(&fault, source)));
        let at = step.choice.thread().map_or(1 + threads, |thread| 1 + thread);
        for (column, values) in columns.iter_mut().enumerate() {
            values.push(match column {
                0 => Value::Int(number as i64 + 1),
                column if column == at => Value::text(&words.join(" · ")),
                _ => Value::text(""),
            });
        }
    }
    let names = program.threads.iter().map(|thread| thread.name.as_str());
    let mut heads = vec![("step".to_string(), Type::Int)];
    // A thread may have the name of another column.
    heads.extend(names.map(|name| match name {
        "step" | "memory" => (format!("thread {name}"), Type::Text),
        name => (name.to_string(), Type::Text),
    }));
    if has_memory {
        heads.push(("memory".to_string(), Type::Text));
    }
    let meanings = vec![Unit::Plain.counted(); width];
    let schema = heads.into_iter().map(|(name, ty)| Column { name, ty }).collect();
    let table = Table::from_columns(Schema::new(schema, Order::Kept), told.len(), &columns);
    Figures::new(table, meanings)
}
