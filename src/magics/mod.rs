//! What a cell can ask: one file per magic. Here is also the way from the text of a cell to what it tells.

mod against;
mod algorithms;
mod baseline;
mod cd;
mod compare;
mod complete;
mod edit;
mod explain;
pub mod glossary;
mod help;
mod history;
mod last;
mod ranges;
mod run;
mod rust;
mod same;
mod save;
mod set;
mod signature;
mod time;
mod timeit;
mod timing;
mod who;

use std::sync::Arc;
use std::time::Instant;

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines;
use crate::job::Job;
use crate::lang::{self, Cell, MagicSyntax, SourceNode, StageSyntax, Statement, Syntax, parse};
use crate::plan::Binding;
use crate::quiet;
use crate::report::{Block, Report};
use crate::rust::without_ours;
use crate::session::{Given, Ran, Session, kept_plan};
use crate::show::{bytes_text, duration_text, grouped};
use crate::stages;

pub use complete::{Candidate, complete, said};
pub use run::file_cells;
pub use signature::signature;

pub struct Magic {
    pub syntax: MagicSyntax,
    /// One line for help and completion.
    pub about: &'static str,
    /// Cells to try.
    pub examples: &'static [&'static str],
    /// What completion offers for its words.
    pub offers: Offers,
    pub run: fn(&mut Session, &lang::Magic, &Job) -> Fallible<Answer>,
}

/// What the words of a magic may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offers {
    Nothing,
    /// Those of the session.
    Names,
    Files,
    Settings,
    /// Algorithm families.
    Families,
    /// What to do with baselines, and their names.
    Baselines,
    /// What there is help about.
    Topics,
}

/// What a cell tells, and what later cells may use of it.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub report: Report,
    pub result: Option<Binding>,
    pub next: Next,
}

/// Cells that are run after this one, each as a cell of its own.
#[derive(Debug, Clone, Default)]
pub struct Next {
    pub cells: Vec<String>,
    /// The person wrote them just now: they can be recalled.
    pub typed: bool,
}

impl Answer {
    fn text(text: String) -> Answer {
        Answer { report: Report { blocks: vec![Block::Text(text)], quiet: Vec::new() }, ..Answer::default() }
    }
}

/// All magics, in the order of the help.
pub static ALL: &[&Magic] = &[
    &time::TIME,
    &timeit::TIMEIT,
    &compare::COMPARE,
    &baseline::BASELINE,
    &explain::EXPLAIN,
    &same::SAME,
    &rust::RUST,
    &algorithms::ALGORITHMS,
    &who::WHO,
    &who::WHOS,
    &who::DEL,
    &who::RESET,
    &last::LAST,
    &history::HISTORY,
    &save::SAVE,
    &run::RUN,
    &edit::EDIT,
    &cd::CD,
    &set::SET,
    &help::HELP,
];

pub fn find(name: &str) -> Option<&'static Magic> {
    ALL.iter().copied().find(|magic| magic.syntax.name == name)
}

/// The tables as the parser sees them.
pub struct Tables;

impl Syntax for Tables {
    fn stage(&self, name: &str) -> Option<StageSyntax> {
        stages::find(name).map(|stage| stage.syntax)
    }

    fn stage_names(&self) -> Vec<&'static str> {
        stages::ALL.iter().map(|stage| stage.syntax.name).collect()
    }

    fn magic(&self, name: &str) -> Option<MagicSyntax> {
        find(name).map(|magic| magic.syntax)
    }

    fn magic_names(&self) -> Vec<&'static str> {
        ALL.iter().map(|magic| magic.syntax.name).collect()
    }

    fn engine_names(&self) -> Vec<&'static str> {
        engines::ALL.iter().map(|engine| engine.name()).collect()
    }
}

/// One cell's outcome.
#[derive(Debug)]
pub struct Evaluation {
    /// The number of the cell in the session.
    pub number: usize,
    pub report: Report,
    pub warnings: Vec<Diagnostic>,
    pub error: Option<Box<Diagnostic>>,
    pub next: Next,
}

/// Runs the text of one cell. A failed one leaves the session as it was.
pub fn evaluate(session: &mut Session, text: &str, job: &Job) -> Evaluation {
    let number = session.next_cell();
    let id = session.remember(text);
    let before = session.snapshot();
    let answer = parse(id, text, &Tables).and_then(|cell| match session.survives {
        true => quiet::caught(|| answer(session, &cell, job)).unwrap_or_else(|panic| Err(defect(&panic))),
        false => answer(session, &cell, job),
    });
    let warnings = session.take_warnings();
    let (report, next, error) = match answer {
        Ok(Answer { mut report, result, next }) => {
            session.end_cell(text, false, result);
            if !session.settings.timing {
                report.quiet.clear();
            }
            (report, next, None)
        }
        Err(error) => {
            session.restore(before);
            session.end_cell(text, true, None);
            (Report::default(), Next::default(), Some(error))
        }
    };
    Evaluation { number, report, warnings, error, next }
}

fn defect(panic: &str) -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, format!("timelab itself fails at this cell: {panic}"))
        .hint("that is a defect of timelab; the session goes on")
}

fn answer(session: &mut Session, cell: &Cell, job: &Job) -> Fallible<Answer> {
    match cell {
        Cell::Empty => Ok(Answer::default()),
        Cell::Statements(statements) => {
            if statements.iter().any(asks_an_engine) {
                session.settle(job)?;
            }
            let start = Instant::now();
            let mut given = Given::Nothing;
            for statement in statements {
                given = session.statement(statement, job)?;
            }
            let mut answer = given_answer(given);
            if !answer.report.blocks.is_empty() {
                answer.report.quiet.push(duration_text(start.elapsed().as_secs_f64()));
            }
            Ok(answer)
        }
        Cell::Magic(magic) => {
            let known = find(&magic.name.text).expect("the parser knows only magics of the table");
            (known.run)(session, magic, job)
        }
        Cell::Command(command) => run_command(command, job),
        Cell::Help(word) => help::about(session, word),
        Cell::Source(word) => help::source(session, word),
    }
}

/// Whether a statement runs something, as far as its text tells.
fn asks_an_engine(statement: &Statement) -> bool {
    match statement {
        Statement::Pipeline(pipeline) => {
            !pipeline.stages.is_empty() || !matches!(pipeline.source.node, SourceNode::Expr(_))
        }
        Statement::Let(..) | Statement::LetCommand(..) | Statement::Function(_) | Statement::RustFunction(_) => false,
    }
}

/// A statement's result as what the cell tells.
fn given_answer(given: Given) -> Answer {
    match given {
        Given::Nothing => Answer::default(),
        Given::Value(value, ty) => {
            let report = Report { blocks: vec![Block::Value(value.clone(), ty.clone())], quiet: Vec::new() };
            Answer { report, result: Some(Binding::Value(value, ty.closed())), ..Answer::default() }
        }
        Given::Tables(results) => {
            let mut answer = Answer::default();
            let mut tables = Vec::new();
            for (name, ran) in &results {
                answer.report.blocks.push(Block::Text(name.clone()));
                answer.report.blocks.push(Block::Table((*ran.table).clone()));
                tables.push((name.clone(), Arc::new(kept_plan(ran.table.clone(), Default::default()))));
            }
            answer.report.quiet = results.last().map(|(_, ran)| quiet(ran)).unwrap_or_default();
            answer.result = Some(Binding::Result { table: None, fields: Vec::new(), tables });
            answer
        }
        Given::Rust(given, cost) => rust::answer(given, &cost),
        Given::Table(ran) => {
            let report = Report { blocks: vec![Block::Table((*ran.table).clone())], quiet: quiet(&ran) };
            Answer { report, result: Some(table_result(&ran, Vec::new())), ..Answer::default() }
        }
    }
}

/// A table and figures about it as a result that later cells can use.
fn table_result(ran: &Ran, mut fields: Vec<(String, Value)>) -> Binding {
    fields.push(("rows".to_string(), Value::Int(ran.table.height() as i64)));
    if !fields.iter().any(|(name, _)| name == "wall") {
        fields.push(("wall".to_string(), Value::Float(ran.wall.as_secs_f64())));
    }
    let table = kept_plan(ran.table.clone(), Default::default());
    Binding::Result { table: Some(Arc::new(table)), fields, tables: Vec::new() }
}

/// Rows, what was read, and the engine.
fn quiet(ran: &Ran) -> Vec<String> {
    let rows = ran.table.height();
    let mut parts = vec![format!("{} {}", grouped(rows as u64), if rows == 1 { "row" } else { "rows" })];
    if let Some(read) = ran.rows_read {
        parts.push(format!("{} read", grouped(read)));
    }
    if ran.bytes_read > 0 {
        parts.push(format!("{} read", bytes_text(ran.bytes_read as f64)));
    }
    if let Some(compile) = ran.compile.filter(|compile| !compile.is_zero()) {
        parts.push(format!("compiled in {}", duration_text(compile.as_secs_f64())));
    }
    parts.push(match ran.instead {
        None => ran.engine.to_string(),
        Some(why) => format!("{} ({why})", ran.engine),
    });
    parts
}

fn run_command(command: &lang::Word, job: &Job) -> Fallible<Answer> {
    job.progress.hide();
    let failed = |message: String| Diagnostic::at(Kind::System, command.span, message);
    let status = without_ours(&mut std::process::Command::new("sh"))
        .arg("-c")
        .arg(&command.text)
        .status()
        .map_err(|error| failed(format!("the command cannot be run: {error}")))?;
    if std::os::unix::process::ExitStatusExt::signal(&status) == Some(libc::SIGINT) {
        return Err(Diagnostic::new(Kind::Stopped, "stopped"));
    }
    if status.success() { Ok(Answer::default()) } else { Err(failed(format!("the command failed: {status}"))) }
}
