//! `%structures`: what the operations on data structures cost, beside what textbooks claim of them.

mod cells;
mod counts;
mod mix;
mod spikes;

use std::time::{Duration, Instant};

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Privileges, Takes, Word};
use crate::plan::Binding;
use crate::report::{Block, Figures, MeasuredRows, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::session::Session;
use crate::show::grouped;
use crate::structures::{self, Cell};

use super::bigo::Agrees;
use super::compare::Grid;
use super::timing::{Telling, asked_count, asked_time};
use super::{Answer, CellStatus, Magic, Offers, figures_plan, passed};

use cells::MeasuredCell;

pub static STRUCTURES: Magic = Magic {
    syntax: MagicSyntax {
        name: "structures",
        usage: "%structures [--n N] [--kinds LIST] [--ops LIST] [--mix OP=SHARE,…] [--for TIME] · \
                %structures growth KIND OP [--n N] [--for TIME]",
        takes: Takes::Words,
        options: &[("--n", true), ("--kinds", true), ("--ops", true), ("--mix", true), ("--for", true)],
    },
    about: "measures the cost of each operation on data structures, beside the class that textbooks claim\n\n\
            Kinds\n  \
            vec, deque, linked, chunked, dict, tree, set, heap and sorted; `deque?` describes one.\n\n\
            Columns\n  \
            ns        the median time of one operation on a structure of --n elements (100k unless specified)\n  \
            measured  the class of one operation: the steps of n operations on n elements, for growing n, divided by \
            n\n  \
            claimed   theory, not measured\n  \
            why       what the operation has to do, and why it differs from the claim\n  \
            A pair that makes no sense is an empty cell of the second table.\n\n\
            Options\n  \
            --kinds and --ops take names, separated by commas: --ops push_back,pop_front\n  \
            --mix push_front=40,push_back=40,get=20 ranks the kinds for such a mix, by time and by bytes. Shares that \
            do not add up to 100 are scaled. Kinds share a rank if the intervals of their medians overlap.\n  \
            --for ends after such a time, which is without compiling. After it, and after Ctrl-C, what is done is \
            kept, and the rest is named.\n\n\
            Growth\n  \
            `%structures growth vec push_back` adds elements one by one to an empty structure and shows the time of \
            each addition: occasionally one moves all elements. `push` is short for the usual addition of the kind.\n\n\
            Values\n  \
            _.picks has the bytes per element and what each kind is good for, _.matrix the times as a matrix.",
    examples: &[
        "%structures --n 2k --kinds vec,deque,linked --ops push_front,get",
        "%structures --n 2k --mix push_front=40,push_back=40,get=20",
        "%structures growth vec push_back --n 2k",
    ],
    offers: Offers::Structures,
    privileges: |_| Privileges::NONE,
    run,
};

/// The elements of a structure unless specified, and the most: a copy takes a part of a second.
const SIZE: usize = 100_000;
const MOST: usize = 1_000_000;

fn run(_: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let words: &[Word] = if let Argument::Words(words) = &magic.subject { words } else { &[] };
    let size = asked_size(magic)?;
    let limit = asked_time(magic)?;
    match words {
        [] if magic.option("--mix").is_some() => {
            refuse(magic, "--ops", "`--mix` names the operations")?;
            mix::run(magic, size, limit, context)
        }
        [] => table(magic, size, limit, context),
        [first, rest @ ..] if first.text == "growth" => {
            for option in ["--mix", "--ops", "--kinds"] {
                refuse(magic, option, "`growth` names the kind and the operation")?;
            }
            let [kind, operation] = rest else {
                let message = "`growth` needs a kind and an operation";
                return Err(Diagnostic::at(Kind::Syntax, first.span, message).hint("%structures growth vec push_back"));
            };
            spikes::run(magic, kind, operation, size, limit, context)
        }
        [first, ..] => {
            let message = format!("`%structures` expects `growth` or options, got `{}`", first.text);
            let known = structures::find(&first.text);
            Err(Diagnostic::at(Kind::Syntax, first.span, message).hint(match known {
                Some(kind) => format!("%structures --kinds {}", kind.name),
                None => "%structures growth vec push_back".to_string(),
            }))
        }
    }
}

fn refuse(magic: &lang::Magic, option: &str, why: &str) -> Fallible<()> {
    match magic.options.iter().find(|(known, _)| known.text == option) {
        Some((word, _)) => {
            Err(Diagnostic::at(Kind::Syntax, word.span, format!("`{option}` cannot be used here: {why}")))
        }
        None => Ok(()),
    }
}

fn asked_size(magic: &lang::Magic) -> Fallible<usize> {
    let size = asked_count(magic, "--n")?.unwrap_or(SIZE as u64);
    if size > MOST as u64 {
        let span = magic.option("--n").flatten().map_or(magic.span, |word| word.span);
        let message = format!("`--n` is at most {}, got {}", grouped(MOST as u64), grouped(size));
        return Err(Diagnostic::at(Kind::Domain, span, message));
    }
    Ok(size as usize)
}

/// The names of an option with commas between, each one of `known`; none where it was not given.
fn asked_names(magic: &lang::Magic, option: &str, known: &[&'static str]) -> Fallible<Option<Vec<&'static str>>> {
    let Some(word) = magic.option(option).flatten() else { return Ok(None) };
    let mut names = Vec::new();
    for name in word.text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        names.push(named(word, name, known)?);
    }
    if names.is_empty() {
        return Err(Diagnostic::at(Kind::Syntax, word.span, format!("`{option}` is empty")));
    }
    Ok(Some(names))
}

fn named(word: &Word, name: &str, known: &[&'static str]) -> Fallible<&'static str> {
    known.iter().copied().find(|one| *one == name).ok_or_else(|| {
        let what = if known.len() == structures::ALL.len() { "kind" } else { "operation" };
        let error = Diagnostic::at(Kind::Name, word.span, format!("unknown {what} `{name}`"));
        let error = error.near(name, known.iter().copied());
        if error.hint.is_some() { error } else { error.hint(known.join(", ")) }
    })
}

fn kind_names() -> Vec<&'static str> {
    structures::ALL.iter().map(|kind| kind.name).collect()
}

fn operation_names() -> Vec<&'static str> {
    structures::OPERATIONS.iter().map(|(name, _)| *name).collect()
}

/// The table of all operations that were asked for.
fn table(magic: &lang::Magic, size: usize, limit: Option<Duration>, context: &RunContext) -> Fallible<Answer> {
    let start = Instant::now();
    let kinds = asked_names(magic, "--kinds", &kind_names())?;
    let operations = asked_names(magic, "--ops", &operation_names())?;
    let kinds = structures::ALL.iter().copied().filter(|kind| kinds.as_ref().is_none_or(|k| k.contains(&kind.name)));
    let kinds: Vec<_> = kinds.collect();
    let is_asked = |cell: &Cell| operations.as_ref().is_none_or(|names| names.contains(&cell.facts.name));
    let cells: Vec<Cell> = kinds.iter().flat_map(|kind| kind.cells()).filter(is_asked).collect();
    if cells.is_empty() {
        let span = magic.option("--ops").flatten().map_or(magic.span, |word| word.span);
        return Err(Diagnostic::at(Kind::Domain, span, "none of these kinds has any of these operations"));
    }
    let telling = Telling::new(&context.progress);
    let live = |told: String| telling.tell_now(told);
    let measured = cells::measure(&cells, size, limit, context, &live)?;
    let found = &measured.cells;
    let some_left_out = !measured.left_out.is_empty();
    let main = main_table(found, some_left_out);
    let mut notes = summary(&measured, size);
    if context.stop.is_raised() {
        notes.push(Note::from("stopped: the measurements so far are kept").optional());
    }
    if let Some(error) = &measured.failed {
        notes.push(error.message.as_str().into());
    }
    let why = (limit.is_some() && !context.stop.is_raised() && measured.failed.is_none()).then_some(LATE);
    notes.extend(left_out(measured.left_out.iter().map(|cell| format!("{} {}", cell.kind.name, cell.name())), why));
    let (picks, matrix) = (picks(&measured), matrix(&kinds, found, some_left_out));
    let mut report = Report { status_line: vec![passed(start.elapsed())], ..Report::default() };
    if let Some(time) = measured.compiled {
        report.status_line.push(Note::from("compiled in ").seconds(time.as_secs_f64()).optional());
    }
    let plan = |figures: &Figures| figures_plan(figures, magic.span);
    let tables = vec![("picks".to_string(), plan(&picks)), ("matrix".to_string(), plan(&matrix))];
    let table = Some(plan(&main));
    report.blocks = vec![Block::Figures(main), Block::Notes(notes)];
    if kinds.len() > 1 {
        report.blocks.push(Block::Aside(matrix));
    }
    report.blocks.push(Block::Aside(picks));
    let result = Some(Binding::Result { table, fields: Vec::new(), tables });
    let status = if measured.failed.is_some() { CellStatus::Failed } else { CellStatus::Good };
    Ok(Answer { report, result, status, ..Answer::default() })
}

/// Why something was left out, where the time was over.
const LATE: &str = "; allow more with --for";

/// What was not measured: nothing is claimed of it.
fn left_out(names: impl Iterator<Item = String>, why: Option<&str>) -> Option<Note> {
    const FEW: usize = 3;
    let names: Vec<String> = names.collect();
    let said = match &names[..] {
        [] => return None,
        [first @ .., last] if names.len() > FEW + 1 => {
            format!("{}, … {last} ({} in all)", first[..FEW].join(", "), names.len())
        }
        names => names.join(", "),
    };
    // How far it came is a matter of time.
    Some(Note::default().found(format!("not measured: {said}{}", why.unwrap_or_default())).optional())
}

fn text(rows: &mut Grid, name: &str, value: Option<&str>) {
    rows.put(name, Type::Text, Unit::Plain.counted(), value.map_or(Value::Null, Value::text));
}

fn main_table(found: &[MeasuredCell], left_out: bool) -> Figures {
    let mut rows = Grid::default();
    for found in found {
        let facts = found.cell.facts;
        text(&mut rows, "kind", Some(found.cell.kind.name));
        text(&mut rows, "operation", Some(&found.cell.name()));
        rows.put("ns", Type::Float, Unit::Plain.measured(), nanoseconds(Some(found.time)));
        let measured = found.measured();
        // The class of counted steps.
        rows.put("measured", Type::Text, Unit::Plain.counted(), measured.map_or(Value::Null, |m| Value::text(&m)));
        let amortised = if facts.is_amortised { " amortised" } else { "" };
        text(&mut rows, "claimed", Some(&format!("{}{amortised}", facts.claimed)));
        let agrees = found.agrees().map_or(Value::Null, |agrees| Value::text(agrees.said()));
        rows.put("agrees", Type::Text, Unit::Plain.counted(), agrees);
        rows.put("why", Type::Text, Unit::Plain.counted(), Value::text(&found.why()));
    }
    figures(rows, left_out).whole()
}

/// What could not be measured in the time has no row.
fn figures(rows: Grid, left_out: bool) -> Figures {
    Figures { rows: MeasuredRows { count: left_out, ..MeasuredRows::default() }, ..rows.figures() }
}

/// To three digits: more were not measured.
fn nanoseconds(time: Option<f64>) -> Value {
    let rounded = |time: f64| {
        let unit = 10f64.powf(time.max(1e-3).log10().floor() - 2.0);
        (time / unit).round() * unit
    };
    // 1.2300000000000002 is 1.23.
    let short = |time: f64| format!("{:.3}", rounded(time)).parse().unwrap_or(time);
    time.filter(|time| time.is_finite()).map_or(Value::Null, |time| Value::Float(short(time)))
}

fn matrix(kinds: &[&'static structures::Kind], found: &[MeasuredCell], left_out: bool) -> Figures {
    let mut rows = Grid::default();
    let mut names: Vec<String> = Vec::new();
    for (operation, _) in structures::OPERATIONS {
        for found in found.iter().filter(|found| found.cell.facts.name == *operation) {
            if !names.contains(&found.cell.name()) {
                names.push(found.cell.name());
            }
        }
    }
    for name in names {
        text(&mut rows, "ns", Some(&name));
        for kind in kinds {
            let of = |found: &&MeasuredCell| found.cell.kind.name == kind.name && found.cell.name() == name;
            let time = found.iter().find(of).map(|found| found.time);
            rows.put(kind.name, Type::Float, Unit::Plain.measured(), nanoseconds(time));
        }
    }
    figures(rows, left_out)
}

/// What hangs on what was measured.
pub const SAYS: &[&str] = &[
    "stopped: the <measurements|kinds measured> so far are kept",
    "not measured: {words}",
    "{words}: {count} of {count} passes are kept",
    "~{count} of {count} agree with what textbooks claim[, and {count} <grows|grow> slower]",
    "{name} {name}: claimed {class}, measured {classes}: {words}",
    "-not measured: {words}",
    "∀#(agrees = 'yes') = figure ← measured: {words}; {figure} of {count} agree with what textbooks claim{words}",
];

fn picks(measured: &cells::Measured) -> Figures {
    let mut rows = Grid::default();
    for (kind, bytes) in &measured.bytes {
        text(&mut rows, "kind", Some(kind.name));
        rows.put("bytes", Type::Float, Unit::Plain.measured(), Value::Float((bytes * 10.0).round() / 10.0));
        text(&mut rows, "pick_it_for", Some(kind.pick));
    }
    rows.figures()
}

fn summary(measured: &cells::Measured, size: usize) -> Vec<Note> {
    let found = &measured.cells;
    let counted: Vec<Agrees> = found.iter().filter_map(MeasuredCell::agrees).collect();
    let mut notes = Vec::new();
    let all = grouped(size as u64);
    notes.push(Note::from(format!("ns: the median of one operation on {all} elements, each an int of 8 bytes")));
    match &measured.uncounted {
        Some(why) => notes.push(format!("not counted: {why}, so no class is measured").into()),
        None => {
            let count = |wanted: Agrees| counted.iter().filter(|agrees| **agrees == wanted).count();
            let line = Note::from("measured: the steps of n operations on n elements, divided by n; ");
            let said = format!("{} of {} agree with what textbooks claim", count(Agrees::Yes), counted.len());
            let slower = match count(Agrees::Below) {
                0 => String::new(),
                below => format!(", and {below} {} slower", if below == 1 { "grows" } else { "grow" }),
            };
            notes.push(line.found(format!("{said}{slower}")).text("; a claim is theory"));
        }
    }
    let others = found.iter().filter(|found| found.agrees().is_some_and(|agrees| agrees != Agrees::Yes));
    notes.extend(others.map(|found| {
        let name =
            format!("{} {}: claimed {}, measured ", found.cell.kind.name, found.cell.name(), found.cell.facts.claimed);
        let measured = found.measured().unwrap_or_default();
        Note::default().found(format!("{name}{measured}: {}", found.why())).optional()
    }));
    notes.push("bytes: heap per element, including spare capacity".into());
    notes
}
