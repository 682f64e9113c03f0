//! All engines agree on random pipelines. Each case is a cell made of a seed: lets, functions, and a pipeline over
//! tables that are written as lists or put into files. It runs on `rows` and on every other engine; `Table::same`
//! compares what comes out, and errors must be of one kind. A case that differs is made smaller and printed as a cell
//! to paste.
//!
//! The long run: `TIMELAB_CASES=20000 cargo test --release --locked agreement -- --nocapture`. Case n of a run is found
//! again with `TIMELAB_CASES=1 TIMELAB_SEED=n`.

mod maker;
mod part;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use timelab::console::Console;
use timelab::data::{Sameness, Table};
use timelab::diagnostic::{Diagnostic, Kind};
use timelab::run_context::{ChunkSizes, RunContext};
use timelab::session::{CellValue, Session};

use crate::lab::{self, ways};
use crate::random;
use part::{Part, Rendered};

/// So many differences are made smaller and shown.
const SHOWN: usize = 8;

#[test]
fn random_pipelines_agree() {
    let folder = std::env::temp_dir().join(format!("timelab-agreement-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let seeds = random::seeds(300);
    let mut counts = Counts::default();
    let mut differences = Vec::new();
    for seed in seeds.clone() {
        let cell = maker::cell(seed, &folder);
        let found = run(&cell, &folder);
        counts.add(&found);
        if let Agreement::Different(_) = found {
            differences.push(shown(seed, &cell, &folder));
            if differences.len() == SHOWN {
                break;
            }
        }
    }
    println!("seeds {seeds:?}: {counts:?}");
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
    std::fs::remove_dir_all(&folder).expect("it was written");
    let all = seeds.end - seeds.start;
    assert!(2 * counts.ran >= all, "at least half of the cells run: {counts:?}");
}

/// The engines that run elsewhere, where `TIMELAB_REMOTE` names some that are there: `benches/remote-engines.sh` does.
#[test]
fn random_pipelines_agree_elsewhere() {
    let named = std::env::var("TIMELAB_REMOTE").unwrap_or_default();
    for engine in timelab::engines::REMOTE.iter().map(|engine| engine.name()) {
        if !named.split(',').any(|name| name == engine) {
            println!("{engine}: skipped, TIMELAB_REMOTE does not name it");
            continue;
        }
        let folder = std::env::temp_dir().join(format!("timelab-elsewhere-{}-{engine}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let seeds = random::seeds(200);
        let mut counts = Counts::default();
        let (mut differences, mut reasons) = (Vec::new(), std::collections::BTreeMap::<String, u64>::new());
        for seed in seeds.clone() {
            let cell = maker::cell(seed, &folder).render(&folder);
            write_files(&cell);
            let rows = on_rows(&cell.text);
            if !matches!(&rows, Ok(Some(_)) | Err(_)) {
                counts.misses += 1;
                continue;
            }
            let on = |text: &str| outcome(engine, ChunkSizes::default(), text);
            let other = on(&cell.text);
            if let Err(error) = &other
                && error.kind == Kind::Objection
                && rows.is_ok()
            {
                *reasons.entry(error.message.clone()).or_default() += 1;
            }
            let found = match (&rows, &other) {
                (_, Err(error)) if error.kind == Kind::Objection => Agreement::Objection,
                (Err(error), Ok(_)) if is_optional(&cell.text, error, on) => Agreement::MayFail,
                (Err(error), Ok(_)) if is_met_where_needed(&cell.text, error, on) => Agreement::MayFail,
                // Nothing in a table without rows needs a value.
                (Err(error), Ok(Some(table))) if is_of_data(error) && table.height() == 0 => Agreement::MayFail,
                (Ok(_), Err(error)) if is_optional(&cell.text, error, on_rows) => Agreement::MayFail,
                _ => agree(&rows, &other),
            };
            counts.add(&found);
            if let Agreement::Different(what) = found {
                let Rendered { text, files } = &cell;
                let files: Vec<String> = files.iter().map(|(path, has)| format!("\n  in {path:?}: {has:?}")).collect();
                differences.push(format!("seed {seed}: {engine}: {what}\n› {text}{}", files.concat()));
            }
        }
        let all = seeds.end - seeds.start;
        println!("{engine}: seeds {seeds:?}: {counts:?}: {} % are objections", 100 * counts.objections / all.max(1));
        reasons.iter().for_each(|(reason, count)| println!("  {count}: {reason}"));
        std::fs::remove_dir_all(&folder).expect("it was written");
        assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n\n"));
        assert!(counts.ran > 0, "some run: {counts:?}");
    }
}

/// The text of a random cell, whose files are there.
pub fn random_cell(seed: u64, folder: &Path) -> String {
    let cell = maker::cell(seed, folder).render(folder);
    write_files(&cell);
    cell.text
}

fn run(cell: &Part, folder: &Path) -> Agreement {
    let cell = cell.render(folder);
    write_files(&cell);
    compare(&cell.text)
}

/// What became of a case.
#[derive(Debug)]
pub enum Agreement {
    Same,
    /// A result depends on an order that the table did not have.
    CannotTell,
    /// All engines fail with one kind.
    SameError,
    /// One fails in rows that a `take` does not need.
    MayFail,
    Objection,
    /// It does not type-check, or gives no table.
    Miss,
    Different(String),
}

#[derive(Debug, Default)]
struct Counts {
    /// On all engines, with a table or an error.
    ran: u64,
    errors: u64,
    may_fail: u64,
    cannot_tell: u64,
    objections: u64,
    misses: u64,
    different: u64,
}

impl Counts {
    fn add(&mut self, found: &Agreement) {
        let count = match found {
            Agreement::Same => &mut self.ran,
            Agreement::SameError => &mut self.errors,
            Agreement::MayFail => &mut self.may_fail,
            Agreement::CannotTell => &mut self.cannot_tell,
            Agreement::Objection => &mut self.objections,
            Agreement::Miss => &mut self.misses,
            Agreement::Different(_) => &mut self.different,
        };
        *count += 1;
        if matches!(found, Agreement::SameError | Agreement::MayFail | Agreement::CannotTell | Agreement::Different(_))
        {
            self.ran += 1;
        }
    }
}

/// Runs a cell, whose files are there, on all engines.
pub fn compare(text: &str) -> Agreement {
    let rows = on_rows(text);
    if !matches!(&rows, Ok(Some(_)) | Err(_)) {
        return Agreement::Miss;
    }
    let mut found = Agreement::Same;
    for (engine, chunk_sizes) in ways().filter(|(engine, _)| *engine != "rows") {
        let on = |text: &str| outcome(engine, chunk_sizes, text);
        let other = on(text);
        let here = match (&rows, &other) {
            (Err(error), Ok(_)) if is_optional(text, error, on) => Agreement::MayFail,
            (Ok(_), Err(error)) if is_optional(text, error, on_rows) => Agreement::MayFail,
            _ => agree(&rows, &other),
        };
        if let Agreement::Different(what) = here {
            return Agreement::Different(format!("{engine}: {what}"));
        }
        if !matches!(here, Agreement::Same) {
            found = here;
        }
    }
    found
}

pub type Outcome = Result<Option<Arc<Table>>, Box<Diagnostic>>;

fn agree(rows: &Outcome, other: &Outcome) -> Agreement {
    let told = |outcome: &Outcome| match outcome {
        Ok(Some(table)) => format!("{} rows", table.height()),
        Ok(None) => "no table".to_string(),
        Err(error) => format!("{:?}: {}", error.kind, error.message.lines().next().unwrap_or_default()),
    };
    match (rows, other) {
        (Ok(Some(rows)), Ok(Some(other))) => match rows.same(other) {
            Sameness::Same => Agreement::Same,
            Sameness::CannotTell(_) => Agreement::CannotTell,
            Sameness::Different(what) => Agreement::Different(what),
        },
        (_, Err(error)) if error.kind == Kind::Objection => Agreement::Objection,
        (Err(rows), Err(other)) if rows.kind == other.kind && !matches!(rows.kind, Kind::System | Kind::Memory) => {
            match is_of_data(rows) {
                true => Agreement::SameError,
                false => Agreement::Miss,
            }
        }
        _ => Agreement::Different(format!("{} on rows, {} here", told(rows), told(other))),
    }
}

/// Whether values of the input caused an error.
fn is_of_data(error: &Diagnostic) -> bool {
    matches!(error.kind, Kind::Overflow | Kind::ZeroDivision | Kind::Domain | Kind::Depth | Kind::Shape | Kind::File)
}

/// Whether a later `take` makes an error optional: where that asks for all rows, the engine that did not meet the error
/// meets it.
fn is_optional(text: &str, error: &Diagnostic, on_the_other: impl Fn(&str) -> Outcome) -> bool {
    let behind = error.span.map_or(0, |span| span.end as usize);
    let all = taking_all(text, behind).filter(|_| is_of_data(error));
    all.is_some_and(|all| matches!(on_the_other(&all), Err(found) if found.kind == error.kind))
}

/// Whether an engine that computes only what the result needs meets an error where it does need it: in the pipeline
/// around it, cut behind the stage that fails.
fn is_met_where_needed(text: &str, error: &Diagnostic, on: impl Fn(&str) -> Outcome) -> bool {
    let Some(behind) = error.span.map(|span| span.end as usize).filter(|_| is_of_data(error)) else { return false };
    let meets = |cell: &String| matches!(on(cell), Err(found) if found.kind == error.kind);
    cut_behind(text, behind).iter().any(meets)
}

/// The pipelines around a byte, from the innermost on, each cut behind a stage or its end; the statements before them
/// stay.
fn cut_behind(text: &str, behind: usize) -> Vec<String> {
    let bytes = text.as_bytes();
    let (mut quote, mut is_escaped) = (None, false);
    // Whether a byte is code, and not inside of quotes.
    let is_code: Vec<bool> = bytes
        .iter()
        .map(|byte| {
            let inside = quote.is_some();
            match quote {
                Some(_) if is_escaped => is_escaped = false,
                Some(_) if *byte == b'\\' => is_escaped = true,
                Some(open) if *byte == open => quote = None,
                None if matches!(byte, b'"' | b'\'' | b'`') => quote = Some(*byte),
                _ => {}
            }
            !inside
        })
        .collect();
    let opens = |at: usize| is_code[at] && matches!(bytes[at], b'(' | b'[');
    let closes = |at: usize| is_code[at] && matches!(bytes[at], b')' | b']');
    let body = |text: &str| match text.trim_start().strip_prefix("let ").and_then(|_| text.find(" = ")) {
        Some(equals) => equals + 3,
        None => 0,
    };
    let (mut statement, mut starts) = (0, vec![body(text)]);
    for at in 0..behind.min(bytes.len()) {
        if opens(at) {
            starts.push(at + 1);
        } else if closes(at) {
            starts.pop();
        } else if is_code[at] && bytes[at] == b';' && starts.len() == 1 {
            (statement, starts) = (at + 1, vec![at + 1 + body(&text[at + 1..])]);
        }
    }
    let mut cells = Vec::new();
    for start in starts.into_iter().rev() {
        let mut depth = 0;
        for at in start..=bytes.len() {
            let ends =
                at == bytes.len() || (depth == 0 && is_code[at] && matches!(bytes[at], b'|' | b';' | b',' | b')'));
            if ends && at >= behind && start <= at {
                cells.push(format!("{} {}", &text[..statement], text[start..at].trim()));
            }
            if at < bytes.len() {
                depth += usize::from(opens(at));
                if closes(at) {
                    let Some(less) = depth.checked_sub(1) else { break };
                    depth = less;
                }
            }
        }
    }
    cells
}

/// A cell whose `take`s behind a byte ask for all rows; nothing where there is none.
pub fn taking_all(text: &str, behind: usize) -> Option<String> {
    const TAKE: &str = "| take ";
    let (before, rest) = text.split_at_checked(behind)?;
    let mut pieces = rest.split(TAKE);
    let first = pieces.next()?;
    let number = |c: char| c.is_ascii_digit();
    let asking: String = pieces.map(|piece| format!("{TAKE}1000000{}", piece.trim_start_matches(number))).collect();
    (!asking.is_empty()).then(|| format!("{before}{first}{asking}"))
}

pub fn on_rows(text: &str) -> Outcome {
    outcome("rows", ChunkSizes::default(), text)
}

/// The table that a cell gives on an engine; a panic is an error of the system.
fn outcome(engine: &'static str, chunk_sizes: ChunkSizes, text: &str) -> Outcome {
    let run = || {
        let mut session = Session::new(engine, Console::default());
        let context = RunContext { chunk_sizes, ..session.context() };
        Ok(match lab::run(&mut session, text, &context)? {
            CellValue::Table(ran) => Some(ran.table),
            CellValue::Printed(printed) => Some(printed.run.table),
            CellValue::Nothing | CellValue::Value(..) | CellValue::Tables(_) | CellValue::Rust(..) => None,
        })
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err(Diagnostic::new(Kind::System, "it panicked")))
}

fn write_files(cell: &Rendered) {
    for (path, content) in &cell.files {
        if !path.exists() {
            std::fs::write(path, content).expect("the temporary folder can be written");
        }
    }
}

/// A difference as it is told: the smallest cell that shows one.
fn shown(seed: u64, cell: &Part, folder: &Path) -> String {
    let mut cell = cell.clone();
    let mut tries = 4000;
    let what = 'smaller: loop {
        for smaller in cell.smaller() {
            tries -= 1;
            if tries > 0 && matches!(run(&smaller, folder), Agreement::Different(_)) {
                cell = smaller;
                continue 'smaller;
            }
        }
        match run(&cell, folder) {
            Agreement::Different(what) => break what,
            found => break format!("not every time: {found:?}"),
        }
    };
    let Rendered { text, files } = cell.render(folder);
    let files: Vec<String> = files.iter().map(|(path, content)| format!("\n  in {path:?}: {content:?}")).collect();
    format!("seed {seed}: {what}\n› {text}{}", files.concat())
}
