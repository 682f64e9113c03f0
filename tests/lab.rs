//! A session for tests: cells in, text out.

use std::path::Path;
use std::sync::Arc;

use timelab::baselines::Baselines;
use timelab::engines;
use timelab::magics::evaluate;
use timelab::run_context::{ChunkSizes, LogSink, RunContext};
use timelab::rust::Rust;
use timelab::session::Session;
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

/// The names of all engines but those whose plans must be compiled, which takes a part of a second each.
pub fn engine_names() -> Vec<&'static str> {
    engines::ALL.iter().filter(|engine| engine.code().is_none()).map(|engine| engine.name()).collect()
}

/// All engines, and that which works in portions once more with tiny ones.
pub fn ways() -> impl Iterator<Item = (&'static str, ChunkSizes)> {
    let tiny = ChunkSizes { rows: 2, bytes: 7, split: 5 };
    engine_names().into_iter().map(|engine| (engine, ChunkSizes::default())).chain([("batch", tiny)])
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
        let log: LogSink = Arc::new(|_| {});
        let mut session = Session::new(engine, log.clone());
        // This program is no runner.
        session.rust = Rust::new(Path::new(env!("CARGO_BIN_EXE_timelab")), log);
        Lab { session, chunk_sizes }
    }

    /// The same with a folder for baselines.
    pub fn keeping(mut self, folder: &Path) -> Lab {
        self.session.baselines = Baselines::at(folder);
        self
    }

    /// What a cell says under its table; it must not fail.
    pub fn notes(&mut self, text: &str) -> String {
        let context = RunContext { chunk_sizes: self.chunk_sizes, ..self.session.context() };
        let mut evaluation = evaluate(&mut self.session, text, &context);
        assert!(evaluation.error.is_none(), "{text}: {:?}", evaluation.error);
        evaluation.report.status_line.clear();
        show::report(&evaluation.report, &PLAIN).err
    }

    pub fn cell(&mut self, text: &str) -> Printed {
        let context = RunContext { chunk_sizes: self.chunk_sizes, ..self.session.context() };
        let mut evaluation = evaluate(&mut self.session, text, &context);
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
