//! A session for tests: cells in, text out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use timelab::baselines::Baselines;
use timelab::console::{Console, Sink};
use timelab::diagnostic::{Diagnostic, Fallible};
use timelab::engines;
use timelab::lang::{Cell, Statement, parse};
use timelab::magics::{Evaluation, Tables, evaluate};
use timelab::measure::{Clock, Clocks, Noise, System};
use timelab::plan::Plan;
use timelab::run_context::{ChunkSizes, RunContext};
use timelab::rust::Rust;
use timelab::session::programs::Programs;
use timelab::session::{Bound, CellValue, Session};
use timelab::show::{self, Format, Style, Theme};

pub const PLAIN: Style = Style {
    format: Format::Csv,
    color_out: false,
    color_err: false,
    theme: Theme::Dark,
    width: 100,
    wrap: false,
    ascii: false,
};

/// The names of all engines here but those whose plans must be compiled, which takes a part of a second each.
pub fn engine_names() -> Vec<&'static str> {
    engines::here().filter(|engine| !engine.is_compiled()).map(|engine| engine.name()).collect()
}

/// All engines, and those that work in portions once more with tiny ones.
pub fn ways() -> impl Iterator<Item = (&'static str, ChunkSizes)> {
    let tiny = ChunkSizes { rows: 2, bytes: 7, split: 5, task: 48 };
    engine_names().into_iter().map(|engine| (engine, ChunkSizes::default())).chain([
        ("batch", tiny),
        // As many tasks as take a moment: one of a large table costs a merge.
        ("threads", ChunkSizes { task: 4 << 10, ..tiny }),
        // Each round has a shuffle there.
        ("mapreduce", ChunkSizes { task: 4 << 10, ..tiny }),
        // A task costs a message there.
        ("workers", ChunkSizes { task: 16 << 10, ..tiny }),
    ])
}

/// The statements of a cell; none of one that is something else.
fn statements(session: &mut Session, cell: &str) -> Fallible<Vec<Statement>> {
    let id = session.remember(cell);
    match parse(id, cell, &Tables)? {
        Cell::Statements(statements) => Ok(statements),
        Cell::Empty | Cell::Magic(_) | Cell::Command(_) | Cell::Help(_) | Cell::Source(_) => Ok(Vec::new()),
    }
}

/// Runs the statements of a cell; what the last one gives.
pub fn run(session: &mut Session, cell: &str, context: &RunContext) -> Fallible<CellValue> {
    let mut last = CellValue::Nothing;
    for statement in statements(session, cell)? {
        last = session.statement(&statement, context)?;
    }
    Ok(last)
}

/// What the last statement of a cell means, where it is a pipeline; those before it are run.
pub fn bound(session: &mut Session, cell: &str) -> Fallible<Option<Bound>> {
    let statements = statements(session, cell)?;
    let Some((Statement::Pipeline(pipeline), before)) = statements.split_last() else { return Ok(None) };
    let context = session.context();
    for statement in before {
        session.statement(statement, &context)?;
    }
    session.bind(pipeline).map(Some)
}

/// The plan of the last statement of a cell, where it has one.
pub fn plan(session: &mut Session, cell: &str) -> Fallible<Option<Plan>> {
    Ok(bound(session, cell)?.and_then(|bound| match bound {
        Bound::Table(plan) => Some(plan),
        Bound::Value(..) => None,
    }))
}

/// A clock that moves when it is told, and by a nanosecond each time it is asked.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn pass(&self, nanoseconds: u64) {
        self.0.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A system on which a thread waits again and again, and nothing works beside it.
fn waiting() -> System {
    static WAITS: AtomicU64 = AtomicU64::new(0);
    System { waits: WAITS.fetch_add(1, Ordering::Relaxed), queued: Some(0), ..System::default() }
}

pub struct Lab {
    session: Session,
    chunk_sizes: ChunkSizes,
}

/// What one cell printed, apart from its status line.
#[derive(Debug, PartialEq)]
pub struct Printed {
    pub out: String,
    /// Warnings and the error.
    pub err: String,
}

impl Lab {
    pub fn new(engine: &'static str) -> Lab {
        Lab::in_chunks(engine, ChunkSizes::default())
    }

    pub fn in_chunks(engine: &'static str, chunk_sizes: ChunkSizes) -> Lab {
        let mut session = Session::new(engine, Console::default());
        // This program is no runner.
        session.rust = Rust::new(Path::new(env!("CARGO_BIN_EXE_timelab")), session.console.clone());
        session.programs = Programs::new(Path::new(env!("CARGO_BIN_EXE_timelab")));
        Lab { session, chunk_sizes }
    }

    /// A session whose clocks are set by hand: `peek 1 "700: "` lets 700 ns pass, and `peek 1 "700/300: "` 300 ns of
    /// them on a processor, while the thread waits for the rest.
    pub fn by_hand() -> Lab {
        let (wall, cpu) = (Hand::default(), Hand::default());
        let clocks = Clocks { wall: Arc::new(wall.clone()), cpu: Arc::new(cpu.clone()), system: waiting };
        let told = Sink::new(move |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let label = text.split(|c: char| !(c == '/' || c.is_ascii_digit())).next().unwrap_or_default();
            let (all, busy) = label.split_once('/').unwrap_or((label, label));
            wall.pass(all.parse().unwrap_or(0));
            cpu.pass(busy.parse().unwrap_or(0));
        });
        let console = Console::new(Sink::new(|_| {}), told, Console::cannot_ask());
        let mut session = Session::new("rows", console);
        session.clocks = clocks;
        session.noise = Some(Noise { spread: 0.0, disturbed: 0.0 });
        Lab { session, chunk_sizes: ChunkSizes::default() }
    }

    /// The same with a folder for baselines.
    pub fn keeping(mut self, folder: &Path) -> Lab {
        self.session.baselines = Baselines::at(folder);
        self
    }

    /// What a cell says under its table; it must not fail.
    pub fn notes(&mut self, text: &str) -> String {
        let mut evaluation = self.evaluate(text);
        assert!(evaluation.error.is_none(), "{text}: {:?}", evaluation.error);
        evaluation.report.status_line.clear();
        show::report(&evaluation.report, &PLAIN).err
    }

    /// The notes of a cell that is stopped as soon as its progress says so.
    pub fn notes_stopped_at(&mut self, text: &str, told: &str) -> String {
        let context = RunContext { chunk_sizes: self.chunk_sizes, ..self.session.context() };
        let (progress, stop) = (context.progress.clone(), context.stop.clone());
        let is_over = AtomicBool::new(false);
        let evaluation = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) && !progress.told().contains(told) {
                    std::thread::yield_now();
                }
                stop.raise();
            });
            let evaluation = evaluate(&mut self.session, text, &context);
            is_over.store(true, Ordering::Relaxed);
            evaluation
        });
        self.session.stop.clear();
        assert!(evaluation.error.is_none(), "{text}: {:?}", evaluation.error);
        show::report(&evaluation.report, &PLAIN).err
    }

    /// The error of a cell that is stopped while it runs.
    pub fn stopped(&mut self, text: &str) -> Diagnostic {
        let context = RunContext { chunk_sizes: self.chunk_sizes, ..self.session.context() };
        let stop = context.stop.clone();
        let evaluation = std::thread::scope(|scope| {
            scope.spawn(|| stop.raise());
            evaluate(&mut self.session, text, &context)
        });
        self.session.stop.clear();
        *evaluation.error.unwrap_or_else(|| panic!("{text} was not stopped"))
    }

    pub fn evaluate(&mut self, text: &str) -> Evaluation {
        let context = RunContext { chunk_sizes: self.chunk_sizes, ..self.session.context() };
        evaluate(&mut self.session, text, &context)
    }

    pub fn cell(&mut self, text: &str) -> Printed {
        let mut evaluation = self.evaluate(text);
        evaluation.report.status_line.clear();
        let drawn = show::report(&evaluation.report, &PLAIN);
        let diagnostics = evaluation.warnings.iter().chain(evaluation.error.as_deref());
        let err = diagnostics.map(|diagnostic| {
            let text = diagnostic.span.and_then(|span| self.session.text(span.cell));
            show::diagnostic(diagnostic, text, &PLAIN)
        });
        Printed { out: drawn.out, err: err.collect() }
    }
}

/// The csv that the last of these cells prints; the others must print no error.
#[track_caller]
pub fn csv(engine: &'static str, cells: &[&str]) -> String {
    let mut lab = Lab::new(engine);
    let mut last = String::new();
    for cell in cells {
        let printed = lab.cell(cell);
        assert_eq!(printed.err, "", "{engine}: {cell}");
        last = printed.out;
    }
    last
}
