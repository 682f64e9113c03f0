//! Runs the cells of files where nobody watches, and keeps what each prints: for notebooks that are tested, saved and
//! exported. It prints nothing.

use crate::console::Console;
use crate::diagnostic::{Diagnostic, Kind};
use crate::magics::{CellStatus, Evaluation, evaluate};
use crate::notebook::{self, style};
use crate::report::Report;
use crate::run_context::RunContext;
use crate::session::Session;
use crate::show::{self, Style};

/// How deep `%run` may stand in files that are run.
const DEEPEST_RUN: usize = 10;

pub struct Player {
    pub session: Session,
}

/// What a cell and those that it brought along printed.
#[derive(Default)]
pub struct CellOutput {
    /// As at a terminal of the fence's width.
    pub printed: String,
    /// The same with marks in the place of what was measured.
    pub masked: String,
    /// The reports, for exports.
    pub reports: Vec<Report>,
    /// The kind of the error that ended it.
    pub error: Option<Kind>,
    /// Whether a comparison found different results, or a variant failed.
    pub status: CellStatus,
    pub leaves: bool,
}

impl Player {
    /// A fresh session: no settings of a person, seed 0.
    pub fn fresh() -> Player {
        let mut session = Session::new(None, Console::default());
        session.survives = true;
        Player { session }
    }

    pub fn cell(&mut self, text: &str, width: usize, context: &RunContext) -> CellOutput {
        self.deep(text, width, context, 0)
    }

    fn deep(&mut self, text: &str, width: usize, context: &RunContext, depth: usize) -> CellOutput {
        let evaluation = evaluate(&mut self.session, text, context);
        let mut ran = self.drawn(&evaluation, &style(width));
        if depth == DEEPEST_RUN && !evaluation.next.cells.is_empty() {
            let message = format!("error: `%run` in `%run`, {DEEPEST_RUN} deep: does a file run itself?\n");
            ran.printed.push_str(&message);
            ran.masked.push_str(&message);
            ran.error = Some(Kind::Domain);
            return ran;
        }
        let confined = self.session.confined;
        // What a file that nobody trusts brings along writes nowhere else either.
        self.session.confined = confined || evaluation.next.confined;
        let played = evaluation.next.play.iter().flat_map(|notebook| notebook.cells());
        let played = played.filter(|(fence, _)| fence.directives.unmet().is_none()).map(|(_, cell)| &cell.input);
        for cell in evaluation.next.cells.iter().chain(played) {
            let next = self.deep(cell, width, context, depth + 1);
            ran.printed.push_str(&next.printed);
            ran.masked.push_str(&next.masked);
            ran.reports.extend(next.reports);
            ran.error = next.error;
            if ran.error.is_some() || next.leaves {
                break;
            }
        }
        self.session.confined = confined;
        ran
    }

    fn drawn(&self, evaluation: &Evaluation, style: &Style) -> CellOutput {
        let told = |diagnostic: &Diagnostic| {
            let text = diagnostic.span.and_then(|span| self.session.text(span.cell));
            show::diagnostic(diagnostic, text, style)
        };
        let warnings: String = evaluation.warnings.iter().map(told).collect();
        let error = evaluation.error.as_deref().map(told).unwrap_or_default();
        let (printed, masked) =
            (notebook::printed(&evaluation.report, style), notebook::masked(&evaluation.report, style));
        CellOutput {
            printed: format!("{warnings}{printed}{error}"),
            masked: format!("{warnings}{masked}{error}"),
            reports: vec![evaluation.report.clone()],
            error: evaluation.error.as_ref().map(|error| error.kind),
            status: evaluation.status,
            leaves: evaluation.next.leaves,
        }
    }
}
