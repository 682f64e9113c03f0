//! What a cell can ask: one file per magic. Here is also the way from the text of a cell to what it tells.

mod against;
mod algorithms;
mod amdahl;
mod asynchronous;
mod baseline;
mod bigo;
mod c10k;
mod cd;
mod check;
mod choices;
mod command_options;
mod compare;
mod complete;
mod concurrency;
mod contention;
mod cost;
mod dashboard;
mod edit;
mod engine;
mod engine_list;
mod explain;
pub mod glossary;
mod help;
mod history;
mod jobs;
mod last;
mod latency;
mod magnitudes;
mod mapreduce;
mod need;
mod plan;
mod privileges;
mod prof;
mod race;
mod races;
mod ranges;
mod restore;
mod run;
mod rust;
mod same;
mod save;
mod says;
mod set;
mod signature;
mod speedup;
mod structures;
mod time;
mod timeit;
mod timing;
mod topics;
pub mod tour;
mod who;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::engines;
use crate::escape::hidden_tokens;
use crate::lang::{self, Cell, Expr, MagicSyntax, Privileges, SourceNode, StageSyntax, Statement, Syntax, Word, parse};
use crate::measure;
use crate::notebook::{self, Notebook, Sayings};
use crate::panics;
use crate::plan::{Binding, Plan};
use crate::report::{Block, Field, Figures, Map, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::session::{CellValue, RunPrinted, RunResult, Session, kept_plan, run_command};
use crate::show;
use crate::stages;

pub use complete::{Candidate, complete, said};
pub use privileges::privileges;
pub use run::{FileCells, file_cells};
pub use signature::signature;

pub struct Magic {
    pub syntax: MagicSyntax,
    /// One line for help and completion. After an empty line, what `%help NAME` shows besides: parts with headings.
    pub about: &'static str,
    /// Cells to try.
    pub examples: &'static [&'static str],
    /// What completion offers for its words.
    pub offers: Offers,
    /// What a use of it may do that needs trust, apart from the statements that stand in it.
    pub privileges: fn(&lang::Magic) -> Privileges,
    pub run: fn(&mut Session, &lang::Magic, &RunContext) -> Fallible<Answer>,
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
    /// Races, and `play`.
    Races,
    /// What there is help about.
    Topics,
    /// What structures and operations there are.
    Structures,
    /// `store`, and the stores of the session.
    Stores,
    /// `stop`, and the jobs that run.
    Jobs,
    /// `stop`.
    Dashboard,
    /// `start` and `stop`, and what can be started.
    Engines,
}

/// What a cell tells, and what later cells may use of it.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub report: Report,
    pub result: Option<Binding>,
    /// The bytes of a result that was too large to be kept.
    pub dropped: Option<u64>,
    pub next: Next,
    pub status: CellStatus,
}

/// What a cell that did not fail tells a script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CellStatus {
    #[default]
    Good,
    /// Results that were compared differ.
    Different,
    /// A variant or an engine did.
    Failed,
}

/// Cells that are run after this one, each as a cell of its own.
#[derive(Debug, Clone, Default)]
pub struct Next {
    pub cells: Vec<String>,
    /// The person wrote them just now: they can be recalled.
    pub typed: bool,
    /// Whether they come from a file that nobody trusts.
    pub confined: bool,
    /// A notebook that is played, where a person can be waited for; else its cells are run.
    pub play: Option<Notebook>,
    /// A map of a profile in which a person can move, where there is a terminal.
    pub map: Option<Map>,
    /// Whether the shell, or the script, ends here.
    pub leaves: bool,
}

impl Answer {
    fn text(text: String) -> Answer {
        Answer { report: Report { blocks: vec![Block::Text(text)], ..Report::default() }, ..Answer::default() }
    }

    /// Words for people, with the rows that say the same to programs.
    fn told(text: String, columns: &[(&str, Type)], rows: &[Vec<Value>]) -> Answer {
        let block = told(text, columns, rows);
        Answer { report: Report { blocks: vec![block], ..Report::default() }, ..Answer::default() }
    }
}

impl Magic {
    /// The first line of what is said about it.
    pub fn summary(&self) -> &'static str {
        self.about.split_once("\n\n").map_or(self.about, |(summary, _)| summary)
    }

    /// The parts with headings, where it has some.
    pub fn details(&self) -> Option<&'static str> {
        self.about.split_once("\n\n").map(|(_, details)| details)
    }
}

/// All magics, in the order of the help.
pub static ALL: &[&Magic] = &[
    &time::TIME,
    &timeit::TIMEIT,
    &compare::COMPARE,
    &bigo::BIGO,
    &prof::PROF,
    &structures::STRUCTURES,
    &magnitudes::MAGNITUDES,
    &latency::LATENCY,
    &baseline::BASELINE,
    &explain::EXPLAIN,
    &plan::PLAN,
    &engine_list::ENGINES,
    &same::SAME,
    &check::CHECK,
    &rust::RUST,
    &algorithms::ALGORITHMS,
    &race::RACE,
    &races::RACES,
    &concurrency::CONCURRENCY,
    &asynchronous::ASYNC,
    &c10k::C10K,
    &amdahl::AMDAHL,
    &contention::CONTENTION,
    &mapreduce::MAPREDUCE,
    &speedup::SPEEDUP,
    &cost::COST,
    &need::NEED,
    &jobs::JOBS,
    &dashboard::DASHBOARD,
    &engine::ENGINE,
    &who::WHO,
    &who::WHOS,
    &who::DEL,
    &who::RESET,
    &last::LAST,
    &history::HISTORY,
    &save::SAVE,
    &restore::RESTORE,
    &run::RUN,
    &edit::EDIT,
    &cd::CD,
    &set::SET,
    &tour::TOUR,
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

    fn option_values(&self, magic: &str, option: &str) -> Vec<&'static str> {
        choices::of_option(magic, option).iter().map(|choice| choice.word).collect()
    }

    fn engine_names(&self) -> Vec<&'static str> {
        engines::every().map(|engine| engine.name()).collect()
    }

    fn stage_privileges(&self, stage: &lang::Stage) -> Privileges {
        let known = stages::find(&stage.name.text).expect("the parser knows only stages of the table");
        (known.privileges)(stage)
    }

    fn engine_privileges(&self, name: &str, options: &[(Word, Expr)]) -> Privileges {
        // The name of an engine is looked up when the cell runs, where an unknown one is an error.
        engines::find(name).map_or(Privileges::NONE, |engine| engine.privileges(options))
    }
}

/// One cell's outcome.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// The number of the cell in the session.
    pub number: usize,
    pub report: Report,
    /// What such a report may say in another run.
    pub sayings: Sayings,
    pub warnings: Vec<Diagnostic>,
    pub error: Option<Box<Diagnostic>>,
    pub next: Next,
    pub status: CellStatus,
}

/// Whether a text is a cell of the language.
pub fn parses(text: &str) -> bool {
    parse(0, text, &Tables).is_ok()
}

/// What a cell shows that leaves nothing behind: it has no number, and the session is as it was before.
///
/// # Errors
/// Its own.
pub fn looked_up(session: &mut Session, text: &str, context: &RunContext) -> Fallible<Report> {
    let id = session.remember(text);
    let before = session.snapshot();
    let answer = parse(id, text, &Tables).and_then(|cell| {
        panics::caught(|| answer(session, &cell, context)).unwrap_or_else(|panic| Err(defect(&panic)))
    });
    session.restore(before);
    session.take_warnings();
    answer.map(|answer| answer.report)
}

/// Runs the text of one cell. A failed one leaves the session as it was.
pub fn evaluate(session: &mut Session, text: &str, context: &RunContext) -> Evaluation {
    let number = session.next_cell();
    // What is kept and shown of a cell has no tokens.
    let shown = hidden_tokens(text);
    let id = session.remember(&shown);
    if leaves(session, text) {
        let next = Next { leaves: true, ..Next::default() };
        return Evaluation { number, next, ..Evaluation::default() };
    }
    measure::keep_reserve();
    let before = session.snapshot();
    let context = &session.watched_cell(&shown, context);
    let mut sayings: Sayings = &[];
    let parsed = parse(id, text, &Tables).inspect(|cell| {
        if let Cell::Magic(magic) = cell {
            sayings = says::of(&magic.name.text);
        }
    });
    let answer = parsed.and_then(|cell| match session.survives {
        true => panics::caught(|| answer(session, &cell, context)).unwrap_or_else(|panic| Err(defect(&panic))),
        false => answer(session, &cell, context),
    });
    if let Some(watch) = &context.monitor {
        let failure = answer.as_ref().err();
        failure.iter().for_each(|error| watch.log(&error.message));
        watch.end(match failure {
            None => "done",
            Some(error) if error.kind == Kind::Stopped => "stopped",
            Some(_) => "failed",
        });
    }
    let warnings = session.take_warnings();
    let (mut report, next, status, error) = match answer {
        Ok(Answer { mut report, result, dropped, next, status }) => {
            if !session.settings.timing {
                report.status_line.clear();
            }
            session.end_cell(&shown, false, result, dropped, report.clone());
            (report, next, status, None)
        }
        Err(mut error) => {
            if error.span.is_some_and(|span| span.cell == id)
                && let Some(number) = lang::pasted_number(text, &error)
            {
                error.hint = Some(format!("write the number as {number}"));
            }
            if let Some(magic) = magic_without_sign(id, text, &error) {
                error.hint = Some(format!("a magic begins with `%`: %{magic}"));
            }
            session.restore(before);
            if baseline::measures(text) {
                session.note_unmeasured();
            }
            // For %save and %history; it is shown by who has the error.
            let told = show::diagnostic(&error, Some(&shown), &notebook::style(notebook::WIDTH));
            let kept = Report { blocks: vec![Block::Text(told.trim_end().to_string())], ..Report::default() };
            session.end_cell(&shown, true, None, None, kept);
            (Report::default(), Next::default(), CellStatus::Good, Some(error))
        }
    };
    let printed = session.console.take_printed();
    if !printed.is_empty() {
        // A cell prints before it has its result, also one that fails.
        report.blocks.insert(0, Block::Printed(printed));
    }
    Evaluation { number, report, sayings, warnings, error, next, status }
}

/// The name of a magic where a cell begins with it and nothing else has this name.
fn magic_without_sign<'a>(cell: u32, text: &'a str, error: &Diagnostic) -> Option<&'a str> {
    let span = error.span.filter(|span| error.kind == Kind::Name && span.cell == cell)?;
    let (before, word) = (text.get(..span.start as usize)?, text.get(span.start as usize..span.end as usize)?);
    (before.trim().is_empty() && find(word).is_some()).then_some(word)
}

/// Whether a cell asks to leave: other shells leave at these words too. A name of the session goes before.
fn leaves(session: &Session, text: &str) -> bool {
    let word = text.split('#').next().unwrap_or_default().trim().trim_end_matches(';').trim_end();
    let name = word.strip_suffix("()").unwrap_or(word);
    let is_own = || session.newest_function().is_some_and(|newest| newest.find(name).is_some());
    matches!(name, "exit" | "quit") && session.lookup(name).is_none() && !is_own()
}

fn defect(panic: &str) -> Box<Diagnostic> {
    if panic == measure::OUT_OF_MEMORY {
        return Diagnostic::new(Kind::System, "the cell needs more memory than there is")
            .hint("`ulimit -v` shows what a process may have");
    }
    Diagnostic::new(Kind::System, format!("timelab itself fails at this cell: {panic}"))
        .hint("that is a defect of timelab; the session goes on")
}

fn answer(session: &mut Session, cell: &Cell, context: &RunContext) -> Fallible<Answer> {
    let mut printer = session.printer.take();
    match cell {
        Cell::Empty => Ok(Answer::default()),
        Cell::Statements(statements) => {
            if statements.iter().any(asks_an_engine) {
                session.settle(context)?;
            }
            let start = Instant::now();
            let mut given = CellValue::Nothing;
            let last = statements.len().saturating_sub(1);
            for (i, statement) in statements.iter().enumerate() {
                // Only what the cell shows is printed.
                session.printer = printer.take_if(|_| i == last);
                given = session.statement(statement, context)?;
            }
            let was_printed = matches!(given, CellValue::Printed(_));
            let mut answer = given_answer(given);
            if was_printed || !answer.report.blocks.is_empty() {
                answer.report.status_line.push(passed(start.elapsed()));
            }
            Ok(answer)
        }
        Cell::Magic(magic) => {
            let known = find(&magic.name.text).expect("the parser knows only magics of the table");
            jobs::warn_of_running(session, magic);
            (known.run)(session, magic, context)
        }
        Cell::Command(command) => {
            run_command(command, &session.console, context)?;
            Ok(Answer::default())
        }
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
        Statement::Let(..)
        | Statement::LetCommand(..)
        | Statement::LetStore(..)
        | Statement::Spawn(..)
        | Statement::Function(_)
        | Statement::RustFunction(_) => false,
    }
}

/// A statement's result as what the cell tells.
fn given_answer(given: CellValue) -> Answer {
    match given {
        CellValue::Nothing => Answer::default(),
        CellValue::Value(value, ty, measured) => {
            let blocks = vec![Block::Value { value: value.clone(), ty: ty.clone(), measured }];
            let result = Some(Binding::Value(value, ty.closed(), measured));
            Answer { report: Report { blocks, ..Report::default() }, result, ..Answer::default() }
        }
        CellValue::Tables(results) => {
            let mut answer = Answer::default();
            let mut tables = Vec::new();
            let counters = results.last().and_then(|(_, ran)| counters(ran));
            for (name, ran) in &results {
                answer.report.blocks.push(Block::Text(name.clone()));
                answer.report.blocks.push(table_block(ran));
                answer.report.blocks.extend(run_notes(ran));
                tables.push((name.clone(), result_plan(ran)));
            }
            answer.report.status_line =
                results.last().map(|(_, ran)| status_line(ran, ran.table.height() as u64)).unwrap_or_default();
            if let Some(counters) = counters
                && !tables.iter().any(|(name, _)| name == COUNTERS)
            {
                tables.push((COUNTERS.to_string(), figures_plan(&counters, Span::default())));
                answer.report.blocks.push(Block::Aside(counters));
            }
            answer.result = Some(Binding::Result { table: None, fields: Vec::new(), tables });
            answer
        }
        CellValue::Rust(given, cost, measured) => rust::answer(given, &cost, measured),
        CellValue::Printed(printed) => {
            let RunPrinted { run, rows, dropped } = printed;
            let table = dropped.is_none().then(|| table_block(&run));
            let counters = counters(&run).map(Block::Aside);
            let blocks = table.into_iter().chain(counters).chain(run_notes(&run)).collect();
            let report = Report { blocks, status_line: status_line(&run, rows) };
            Answer { report, result: Some(rows_result(&run, rows, Vec::new())), dropped, ..Answer::default() }
        }
        CellValue::Table(ran) => {
            let counters = counters(&ran).map(Block::Aside);
            let blocks = std::iter::once(table_block(&ran)).chain(counters).chain(run_notes(&ran)).collect();
            let report = Report { blocks, status_line: status_line(&ran, ran.table.height() as u64) };
            Answer { report, result: Some(table_result(&ran, Vec::new())), ..Answer::default() }
        }
    }
}

fn told(text: String, columns: &[(&str, Type)], rows: &[Vec<Value>]) -> Block {
    let named = columns.iter().map(|(name, ty)| Column { name: name.to_string(), ty: ty.clone() });
    let schema = Schema::new(named.collect(), Order::Kept);
    let values: Vec<Vec<Value>> =
        (0..columns.len()).map(|column| rows.iter().map(|row| row[column].clone()).collect()).collect();
    Block::Told { text, table: Table::from_columns(schema, rows.len(), &values) }
}

/// A table and figures about it as a result that later cells can use.
fn table_result(ran: &RunResult, fields: Vec<Field>) -> Binding {
    rows_result(ran, ran.table.height() as u64, fields)
}

/// The same where the table may not have its rows any more.
fn rows_result(ran: &RunResult, rows: u64, mut fields: Vec<Field>) -> Binding {
    let rows = Value::Int(rows as i64);
    fields.push(Field { name: "rows", value: rows, unit: Unit::Count("rows"), measured: ran.measured.rows.count });
    let seconds = [("wall", ran.wall), ("compile", ran.compile.unwrap_or_default()), ("start", ran.start)];
    for (name, time) in seconds {
        if !fields.iter().any(|known| known.name == name) {
            fields.push(Field::measured(name, Value::Float(time.as_secs_f64()), Unit::Seconds));
        }
    }
    let tables = counters(ran).map(|counters| (COUNTERS.to_string(), figures_plan(&counters, Span::default())));
    Binding::Result { table: Some(result_plan(ran)), fields, tables: tables.into_iter().collect() }
}

/// The name of the table of what a run has counted.
const COUNTERS: &str = "counters";

/// What a run has counted, where it has counters.
fn counters(ran: &RunResult) -> Option<Figures> {
    let row = |(label, count): &(String, i64)| vec![Value::text(label), Value::Int(*count)];
    let heads = [("name", Type::Text, Unit::Plain.counted()), ("value", Type::Int, Unit::Count("").counted())];
    let rows: Vec<Vec<Value>> = ran.counters.iter().map(row).collect();
    (!rows.is_empty()).then(|| Figures::of_rows(&heads, &rows))
}

fn table_block(ran: &RunResult) -> Block {
    Block::Table { table: ran.table.clone(), measured: ran.measured.clone() }
}

/// What may surprise about a run.
fn run_notes(ran: &RunResult) -> Option<Block> {
    let notes: Vec<Note> = ran.notes.iter().map(|note| note.as_str().into()).collect();
    (!notes.is_empty()).then_some(Block::Notes(notes))
}

/// The table of a run for later cells.
fn result_plan(ran: &RunResult) -> Arc<Plan> {
    Arc::new(Plan { measured: ran.measured.clone(), ..kept_plan(ran.table.clone(), Default::default()) })
}

/// A table of figures for later cells.
fn figures_plan(figures: &Figures, span: Span) -> Arc<Plan> {
    Arc::new(Plan { measured: figures.measured(), ..kept_plan(Arc::new(figures.table.clone()), span) })
}

/// Rows, what was read, and the engine.
fn status_line(ran: &RunResult, rows: u64) -> Vec<Note> {
    let unit = if rows == 1 { "row" } else { "rows" };
    let count = |count, unit| match ran.measured.rows.count {
        true => Note::default().measured_count(count, unit),
        false => Note::default().count(count, unit),
    };
    let mut parts = vec![count(rows, unit)];
    parts.extend(ran.rows_read.map(|read| count(read, "read")));
    if ran.bytes_read > 0 {
        parts.push(Note::default().bytes(ran.bytes_read).text(" read"));
    }
    parts.extend(ran.reading.iter().map(|words| words.as_str().into()));
    if let Some(compile) = ran.compile.filter(|compile| !compile.is_zero()) {
        // A plan that was compiled before is not compiled again.
        parts.push(Note::from("compiled in ").seconds(compile.as_secs_f64()).optional());
    }
    parts.push(match ran.instead {
        None => ran.engine.into(),
        Some(why) => format!("{} ({why})", ran.engine).into(),
    });
    parts
}

/// How long a cell took, for the status line.
fn passed(time: Duration) -> Note {
    Note::default().seconds(time.as_secs_f64())
}
