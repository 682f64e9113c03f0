//! All engines agree on random pipelines. Each case is a cell made of a seed: lets, functions, and a pipeline over tables
//! that are written as lists or put into files. It runs on `rows` and on every other engine; `Table::same` compares what
//! comes out, and errors must be of one kind. A case that differs is made smaller and printed as a cell to paste.
//!
//! The long run: `TIMELAB_CASES=20000 cargo test --release --locked agreement -- --nocapture`. Case n of a run is found
//! again with `TIMELAB_CASES=1 TIMELAB_SEED=n`.

mod maker;
mod part;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use timelab::data::{Sameness, Table};
use timelab::diagnostic::{Diagnostic, Kind};
use timelab::job::{Job, Portion};
use timelab::lang::{self, Cell};
use timelab::magics::Tables;
use timelab::session::{Given, Session};

use crate::chance;
use crate::lab::ways;
use part::{Part, Rendered};

/// So many differences are made smaller and shown.
const SHOWN: usize = 8;

#[test]
fn random_pipelines_agree() {
    let folder = std::env::temp_dir().join(format!("timelab-agreement-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let seeds = chance::seeds(300);
    let mut counts = Counts::default();
    let mut differences = Vec::new();
    for seed in seeds.clone() {
        let cell = maker::cell(seed, &folder);
        let found = run(&cell, &folder);
        counts.add(&found);
        if let Found::Different(_) = found {
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

/// The text of a random cell, whose files are there.
pub fn random_cell(seed: u64, folder: &Path) -> String {
    let cell = maker::cell(seed, folder).render(folder);
    write_files(&cell);
    cell.text
}

fn run(cell: &Part, folder: &Path) -> Found {
    let cell = cell.render(folder);
    write_files(&cell);
    compare(&cell.text)
}

/// What became of a case.
#[derive(Debug)]
pub enum Found {
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
    fn add(&mut self, found: &Found) {
        let count = match found {
            Found::Same => &mut self.ran,
            Found::SameError => &mut self.errors,
            Found::MayFail => &mut self.may_fail,
            Found::CannotTell => &mut self.cannot_tell,
            Found::Objection => &mut self.objections,
            Found::Miss => &mut self.misses,
            Found::Different(_) => &mut self.different,
        };
        *count += 1;
        if matches!(found, Found::SameError | Found::MayFail | Found::CannotTell | Found::Different(_)) {
            self.ran += 1;
        }
    }
}

/// Runs a cell, whose files are there, on all engines.
pub fn compare(text: &str) -> Found {
    let rows = outcome("rows", Portion::default(), text);
    if !matches!(&rows, Ok(Some(_)) | Err(_)) {
        return Found::Miss;
    }
    let mut found = Found::Same;
    for (engine, portion) in ways().filter(|(engine, _)| *engine != "rows") {
        let here = match agree(&rows, &outcome(engine, portion, text), text.contains("| take ")) {
            Found::Different(what) => return Found::Different(format!("{engine}: {what}")),
            here => here,
        };
        if !matches!(here, Found::Same) {
            found = here;
        }
    }
    found
}

type Outcome = Result<Option<Arc<Table>>, Box<Diagnostic>>;

fn agree(rows: &Outcome, other: &Outcome, takes: bool) -> Found {
    let data = |error: &Diagnostic| {
        matches!(
            error.kind,
            Kind::Overflow | Kind::ZeroDivision | Kind::Domain | Kind::Depth | Kind::Shape | Kind::File
        )
    };
    let told = |outcome: &Outcome| match outcome {
        Ok(Some(table)) => format!("{} rows", table.height()),
        Ok(None) => "no table".to_string(),
        Err(error) => format!("{:?}: {}", error.kind, error.message.lines().next().unwrap_or_default()),
    };
    match (rows, other) {
        (Ok(Some(rows)), Ok(Some(other))) => match rows.same(other) {
            Sameness::Same => Found::Same,
            Sameness::CannotTell(_) => Found::CannotTell,
            Sameness::Different(what) => Found::Different(what),
        },
        (_, Err(error)) if error.kind == Kind::Objection => Found::Objection,
        (Err(rows), Err(other)) if rows.kind == other.kind && rows.kind != Kind::System => match data(rows) {
            true => Found::SameError,
            false => Found::Miss,
        },
        (Err(error), Ok(_)) | (Ok(_), Err(error)) if takes && data(error) => Found::MayFail,
        _ => Found::Different(format!("{} on rows, {} here", told(rows), told(other))),
    }
}

/// The table that a cell gives on an engine; a panic is an error of the system.
fn outcome(engine: &'static str, portion: Portion, text: &str) -> Outcome {
    let run = || {
        let mut session = Session::new(engine, Arc::new(|_| {}));
        let cell = session.remember(text);
        let Cell::Statements(statements) = lang::parse(cell, text, &Tables)? else { return Ok(None) };
        let job = Job { portion, ..session.job() };
        let mut last = None;
        for statement in &statements {
            last = match session.statement(statement, &job)? {
                Given::Table(ran) => Some(ran.table),
                Given::Nothing | Given::Value(..) | Given::Tables(_) | Given::Rust(..) => None,
            };
        }
        Ok(last)
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
            if tries > 0 && matches!(run(&smaller, folder), Found::Different(_)) {
                cell = smaller;
                continue 'smaller;
            }
        }
        match run(&cell, folder) {
            Found::Different(what) => break what,
            found => break format!("not every time: {found:?}"),
        }
    };
    let Rendered { text, files } = cell.render(folder);
    let files: Vec<String> = files.iter().map(|(path, content)| format!("\n  in {path:?}: {content:?}")).collect();
    format!("seed {seed}: {what}\n› {text}{}", files.concat())
}
