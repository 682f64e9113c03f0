//! Runs the cells of files where nobody watches, and keeps what each prints: for notebooks that are tested, saved and
//! exported. It prints nothing.

use crate::console::{Console, Reply};
use crate::diagnostic::{Diagnostic, Kind};
use crate::magics::{CellStatus, Evaluation, evaluate};
use crate::notebook::{self, Failure, Look, Notebook, Shown, cell_text, prose};
use crate::report::{Block, Report};
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
    /// As at a terminal, with the look of the fence.
    pub printed: String,
    /// What of it goes to standard output, and what to standard error.
    pub out: String,
    pub err: String,
    /// All of it with marks in the place of what was measured.
    pub masked: String,
    /// What each cell showed, for exports.
    pub shown: Vec<Shown>,
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

    pub fn cell(&mut self, text: &str, look: Look, context: &RunContext) -> CellOutput {
        let mut output = CellOutput::default();
        let leaves = self.visit(text, context, &mut |session, evaluation| {
            output.add(session, evaluation, &look.style());
        });
        CellOutput { leaves, ..output }
    }

    /// Runs a cell and those that it brings along, and shows each; whether the session is to end.
    pub fn visit(&mut self, text: &str, context: &RunContext, show: &mut Show) -> bool {
        self.deep(text, context, show, 0).1
    }

    /// Whether it went well, and whether what runs it is to end.
    fn deep(&mut self, text: &str, context: &RunContext, show: &mut Show, depth: usize) -> (bool, bool) {
        // What nobody trusts is a matter of the cell, not of the one that brought it along.
        let own = RunContext { confined: self.session.confined, ..context.clone() };
        let mut evaluation = evaluate(&mut self.session, text, &own);
        let next = std::mem::take(&mut evaluation.next);
        show(&self.session, &evaluation);
        if depth == DEEPEST_RUN && !next.cells.is_empty() {
            let message = format!("`%run` in `%run`, {DEEPEST_RUN} deep: does a file run itself?");
            let error = Some(Diagnostic::new(Kind::Domain, message));
            show(&self.session, &Evaluation { error, ..Evaluation::default() });
            return (false, next.leaves);
        }
        let mut is_good = evaluation.error.is_none();
        let confined = self.session.confined;
        // What a file that nobody trusts brings along writes nowhere else either.
        self.session.confined = confined || next.confined;
        let played = next.play.iter().flat_map(steps);
        for (text, cell) in next.cells.iter().map(|cell| (String::new(), cell.clone())).chain(played) {
            if !text.is_empty() {
                let report = Report { blocks: vec![Block::Text(text)], ..Report::default() };
                show(&self.session, &Evaluation { report, ..Evaluation::default() });
            }
            if cell.is_empty() {
                continue;
            }
            match if next.play.is_some() { self.wait(context, show, depth) } else { Wish::Run } {
                Wish::Run => {}
                Wish::Skip => continue,
                Wish::End => break,
            }
            let (is_next_good, leaves) = self.deep(&cell, context, show, depth + 1);
            is_good = is_next_good;
            if !is_good || leaves {
                break;
            }
        }
        self.session.confined = confined;
        (is_good, next.leaves)
    }
}

/// What becomes of a cell of a tutorial.
enum Wish {
    Run,
    Skip,
    End,
}

impl Player {
    /// Asks before a cell of a tutorial; where nobody can be asked, it runs. What else is typed runs as a cell.
    fn wait(&mut self, context: &RunContext, show: &mut Show, depth: usize) -> Wish {
        loop {
            let stop = self.session.stop.clone();
            let question = "Enter runs this cell, s skips it, q ends; or type another cell: ";
            match (self.session.console.ask)(question, &|| stop.is_raised()) {
                Reply::CannotAsk => return Wish::Run,
                Reply::End | Reply::Stopped => return Wish::End,
                Reply::Line(line) => match line.trim() {
                    "" => return Wish::Run,
                    "s" => return Wish::Skip,
                    "q" => return Wish::End,
                    cell => {
                        self.deep(cell, context, show, depth + 1);
                    }
                },
            }
        }
    }
}

/// The cells of a notebook that can run here, each with what is to be read before it; the text at the end has none.
fn steps(notebook: &Notebook) -> Vec<(String, String)> {
    let mut steps = Vec::new();
    for (i, fence) in notebook.fences.iter().enumerate() {
        let is_met = fence.directives.unmet().is_none();
        let mut before = prose(notebook, i).trim().to_string();
        if let Some(question) = fence.directives.stop.as_ref().filter(|_| is_met) {
            before.push_str(&format!("\n\n{question}"));
        }
        for cell in fence.cells.iter().filter(|_| is_met) {
            if !fence.directives.hidden {
                before.push_str(&format!("\n\n{}", cell_text(&cell.input).trim_end()));
            }
            steps.push((std::mem::take(&mut before), cell.input.clone()));
        }
        if !before.is_empty() {
            steps.push((before, String::new()));
        }
    }
    steps.push((prose(notebook, notebook.fences.len()).trim().to_string(), String::new()));
    steps
}

/// Takes what each cell showed.
pub type Show<'a> = dyn FnMut(&Session, &Evaluation) + 'a;

impl CellOutput {
    fn add(&mut self, session: &Session, evaluation: &Evaluation, style: &Style) {
        let told = |diagnostic: &Diagnostic| {
            let text = diagnostic.span.and_then(|span| session.text(span.cell));
            show::diagnostic(diagnostic, text, style)
        };
        let warnings: String = evaluation.warnings.iter().map(told).collect();
        let error = evaluation.error.as_deref().map(told).unwrap_or_default();
        let drawn = notebook::drawn(&evaluation.report, style);
        let masked = notebook::masked(&evaluation.report, evaluation.sayings, style);
        self.printed.push_str(&format!("{warnings}{}{}{error}", drawn.out, drawn.err));
        self.out.push_str(&drawn.out);
        self.err.push_str(&format!("{warnings}{}{error}", drawn.err));
        self.masked.push_str(&format!("{warnings}{masked}{error}"));
        let failure = evaluation.error.as_deref().map(|it| Failure {
            name: format!("{:?}", it.kind),
            message: it.message.clone(),
            text: error,
        });
        self.shown.push(Shown { warnings, report: evaluation.report.clone(), failure });
        self.error = evaluation.error.as_ref().map(|error| error.kind);
        self.status = self.status.max(evaluation.status);
    }
}
