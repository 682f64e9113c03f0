//! `timelab run FILE --save OUT.md`: runs cells, prints what they print, and writes a notebook with their outputs after
//! each cell.

use std::io::Write as _;
use std::path::Path;

use crate::diagnostic::Kind;
use crate::escape::file_name;
use crate::files::replace;
use crate::magics::{CellStatus, file_cells};
use crate::notebook::{Look, Notebook, WIDTH, fence_of, is_notebook, updated};
use crate::player::Player;
use crate::run_context::Stop;
use crate::show::{self, Style};

use super::progress::Watch;
use super::{Ending, test};

/// Runs the cells of a file; `keep_going` says whether also those behind one that failed.
pub fn run(path: &Path, out: &Path, trusted: bool, keep_going: bool, style: &Style) -> Ending {
    let mut player = Player::fresh();
    let stop = Stop::default();
    player.session.stop = stop.clone();
    super::leave_the_terminal_as_it_was();
    super::stop_on_ctrl_c(stop.clone(), true);
    let context = player.session.context();
    let cells = match file_cells(&mut player.session, path, trusted, "timelab run", &context) {
        Ok((cells, confined)) => {
            player.session.confined = confined;
            cells
        }
        Err(error) => {
            eprint!("{}", show::diagnostic(&error, None, style));
            return Ending::Failed;
        }
    };
    let notebook = if is_notebook(path) { test::read(path).ok() } else { None };
    let mut record = Record { notebook, cells, outputs: Vec::new() };
    let mut ending = Ending::Good;
    let all: Vec<(String, Look)> = record.inputs();
    for (input, look) in all {
        let Some(input) = (!input.is_empty()).then_some(input) else {
            record.outputs.push(None);
            continue;
        };
        let context = player.session.context();
        let watch = if style.color_err { Watch::start(&context.progress) } else { Watch::none() };
        let ran = player.cell(&input, look, &context);
        watch.end();
        // Who does not read it loses nothing of the file.
        let _ = std::io::stderr().write_all(ran.err.as_bytes());
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(ran.out.as_bytes()).and_then(|()| stdout.flush());
        record.outputs.push(Some(ran.printed));
        if let Err(error) = replace(out, record.text().as_bytes()) {
            eprintln!("error: \"{}\" cannot be written: {error}", file_name(out));
            return Ending::Failed;
        }
        if stop.is_raised() || ran.error == Some(Kind::Stopped) {
            return Ending::Stopped;
        }
        if ran.status == CellStatus::Different && ending == Ending::Good {
            ending = Ending::Different;
        }
        if ran.error.is_some() || ran.status == CellStatus::Failed {
            ending = Ending::Failed;
        }
        if ran.error.is_some() && !keep_going || ran.leaves || written.is_err() {
            break;
        }
    }
    ending
}

/// What was run so far.
struct Record {
    notebook: Option<Notebook>,
    /// Those of a script.
    cells: Vec<String>,
    outputs: Vec<Option<String>>,
}

impl Record {
    /// The cells in their order with the looks of their outputs; an empty one is not run here.
    fn inputs(&self) -> Vec<(String, Look)> {
        match &self.notebook {
            None => self.cells.iter().map(|cell| (cell.clone(), Look::default())).collect(),
            Some(notebook) => {
                let input = |is_met: bool, input: &str| if is_met { input.to_string() } else { String::new() };
                let all = notebook.cells();
                all.map(|(fence, cell)| (input(fence.directives.unmet().is_none(), &cell.input), fence.look)).collect()
            }
        }
    }

    fn text(&self) -> String {
        match &self.notebook {
            Some(notebook) => updated(notebook, &self.outputs),
            None => {
                let ran = self.cells.iter().zip(&self.outputs);
                let all: Vec<(String, String)> =
                    ran.map(|(cell, output)| (cell.clone(), output.clone().unwrap_or_default())).collect();
                fence_of(WIDTH, &all)
            }
        }
    }
}
