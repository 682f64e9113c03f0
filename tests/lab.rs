//! A session for tests: cells in, text out.

use std::sync::Arc;

use timelab::engines;
use timelab::job::{Job, Portion};
use timelab::magics::evaluate;
use timelab::session::Session;
use timelab::show::{self, Format, Style, Theme};

pub const PLAIN: Style =
    Style { format: Format::Csv, color_out: false, color_err: false, theme: Theme::Dark, width: 100, wrap: false };

/// The names of all engines.
pub fn engine_names() -> Vec<&'static str> {
    engines::ALL.iter().map(|engine| engine.name()).collect()
}

/// All engines, and that which works in portions once more with tiny ones.
pub fn ways() -> impl Iterator<Item = (&'static str, Portion)> {
    let tiny = Portion { rows: 2, bytes: 7, extent: 5 };
    engines::ALL.iter().map(|engine| (engine.name(), Portion::default())).chain([("batch", tiny)])
}

pub struct Lab {
    session: Session,
    portion: Portion,
}

/// What one cell printed, apart from its quiet last line.
#[derive(Debug, PartialEq)]
pub struct Printed {
    pub out: String,
    /// Warnings and the error.
    pub err: String,
}

impl Lab {
    pub fn new(engine: &'static str) -> Lab {
        Lab::in_portions(engine, Portion::default())
    }

    pub fn in_portions(engine: &'static str, portion: Portion) -> Lab {
        Lab { session: Session::new(engine, Arc::new(|_| {})), portion }
    }

    pub fn cell(&mut self, text: &str) -> Printed {
        let job = Job { portion: self.portion, ..self.session.job() };
        let mut evaluation = evaluate(&mut self.session, text, &job);
        evaluation.report.quiet.clear();
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
