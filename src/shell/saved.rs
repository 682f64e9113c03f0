//! `timelab run FILE --save OUT.md`: runs cells, prints what they print, and writes a notebook with their outputs after
//! each cell while that is cheap.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::diagnostic::Kind;
use crate::escape::file_name;
use crate::files::replace;
use crate::magics::{CellStatus, FileCells, file_cells};
use crate::notebook::{Look, Notebook, WIDTH, fence_of, is_notebook, is_same_but_outputs, updated};
use crate::player::Player;
use crate::run_context::Stop;
use crate::show::{self, Style};

use super::progress::Watch;
use super::{Ending, kept, test};

/// What the command line asks for.
pub struct Options<'a> {
    pub out: &'a Path,
    pub trust: bool,
    /// Whether cells run also behind one that failed.
    pub keep_going: bool,
    /// Whether any file is replaced.
    pub force: bool,
}

/// Runs the cells of a file.
pub fn run(path: &Path, options: &Options, style: &Style) -> Ending {
    let Options { out, trust: trusted, keep_going, force } = *options;
    let mut player = Player::fresh();
    let stop = Stop::default();
    player.session.stop = stop.clone();
    super::leave_the_terminal_as_it_was();
    super::stop_on_ctrl_c(stop.clone(), true);
    let context = player.session.context();
    let cells = match file_cells(&mut player.session, path, trusted, "timelab run", &context) {
        Ok(FileCells { cells, confined, skipped }) => {
            player.session.confined = confined;
            skipped.iter().for_each(|line| eprintln!("{line}"));
            cells
        }
        Err(error) => {
            eprint!("{}", show::diagnostic(&error, None, style));
            return Ending::Failed;
        }
    };
    let notebook = if is_notebook(path) { test::read(path).ok() } else { None };
    if let Err(why) = kept::may_replace(out, notebook.is_some().then_some(path), force, |found| match &notebook {
        Some(notebook) => is_same_but_outputs(found, &notebook.text),
        // It may have ended earlier.
        None => is_start_of(found, &cells),
    }) {
        eprintln!("error: {why}");
        return Ending::Failed;
    }
    let mut record = Record { notebook, cells, outputs: Vec::new() };
    let mut saver = Saver::new(out);
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
        let is_end = stop.is_raised() || ran.error.is_some() || ran.leaves || written.is_err();
        if (is_end || saver.is_time())
            && let Err(error) = saver.write(&record)
        {
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
    if let Err(error) = saver.write(&record) {
        eprintln!("error: \"{}\" cannot be written: {error}", file_name(out));
        return Ending::Failed;
    }
    ending
}

/// Whether a text is a notebook of the first of these cells and nothing else.
fn is_start_of(found: &str, cells: &[String]) -> bool {
    let Ok(notebook) = Notebook::parse(found) else { return false };
    let all: Vec<(String, String)> =
        notebook.cells().map(|(_, cell)| (cell.input.clone(), cell.output.clone())).collect();
    let is_start = all.len() <= cells.len() && all.iter().zip(cells).all(|((one, _), other)| *one == bare(other));
    is_start && fence_of(WIDTH, &all) == found
}

/// A cell as a notebook has it.
fn bare(cell: &str) -> String {
    cell.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Writes the whole notebook again and again: after each cell, as long as that takes less than a second in all, then
/// so often that it takes a small part of the time. A notebook of many short cells would take hours else.
struct Saver<'a> {
    out: &'a Path,
    start: Instant,
    /// How long all writing took.
    spent: Duration,
    is_pending: bool,
}

impl<'a> Saver<'a> {
    fn new(out: &'a Path) -> Saver<'a> {
        Saver { out, start: Instant::now(), spent: Duration::ZERO, is_pending: true }
    }

    /// Whether what is new is written now.
    fn is_time(&mut self) -> bool {
        const CHEAP: Duration = Duration::from_secs(1);
        /// Of the time that has passed.
        const SHARE: u32 = 50;
        self.is_pending = true;
        self.spent < CHEAP || (self.spent - CHEAP) * SHARE < self.start.elapsed()
    }

    fn write(&mut self, record: &Record) -> std::io::Result<()> {
        if !std::mem::take(&mut self.is_pending) {
            return Ok(());
        }
        let start = Instant::now();
        let written = replace(self.out, record.text().as_bytes());
        self.spent += start.elapsed();
        written
    }
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
