//! `timelab run FILE --save OUT.md`: runs cells, prints what they print, and writes a notebook with their outputs after
//! each cell.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::diagnostic::Kind;
use crate::escape::file_name;
use crate::files::{Growing, replace};
use crate::magics::{CellStatus, FileCells, file_cells};
use crate::notebook::{
    Fence, Look, Notebook, NotebookCell, WIDTH, cell_text, fence_of, is_notebook, is_same_but_outputs, new_output,
    output_text,
};
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
    let all = inputs(notebook.as_ref(), &cells);
    let mut record = Record::new(notebook.as_ref());
    let mut saver = Saver { out, spent: Duration::ZERO, growing: None, can_grow: true };
    let mut ending = Ending::Good;
    for (place, (input, look)) in all.into_iter().enumerate() {
        if input.is_empty() {
            continue;
        }
        let context = player.session.context();
        let watch = if style.color_err { Watch::start(&context.progress) } else { Watch::none() };
        let ran = player.cell(&input, look, &context);
        watch.end();
        // Who does not read it loses nothing of the file.
        let _ = std::io::stderr().write_all(ran.err.as_bytes());
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(ran.out.as_bytes()).and_then(|()| stdout.flush());
        record.add(place, &input, &ran.printed);
        if let Err(error) = saver.write(&record) {
            return cannot_write(out, &error);
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
    if saver.spent.is_zero()
        && let Err(error) = saver.write(&record)
    {
        return cannot_write(out, &error);
    }
    ending
}

fn cannot_write(out: &Path, error: &std::io::Error) -> Ending {
    eprintln!("error: \"{}\" cannot be written: {error}", file_name(out));
    Ending::Failed
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

/// The cells in their order with the looks of their outputs; an empty one is not run here.
fn inputs(notebook: Option<&Notebook>, cells: &[String]) -> Vec<(String, Look)> {
    match notebook {
        None => cells.iter().map(|cell| (cell.clone(), Look::default())).collect(),
        Some(notebook) => {
            let input = |is_met: bool, input: &str| if is_met { input.to_string() } else { String::new() };
            let all = notebook.cells();
            all.map(|(fence, cell)| (input(fence.directives.unmet().is_none(), &cell.input), fence.look)).collect()
        }
    }
}

/// Writes a notebook after each cell: the whole of it while it is small. Later only what is new, as a notebook of many
/// short cells would take hours else.
struct Saver<'a> {
    out: &'a Path,
    /// How long all writing took.
    spent: Duration,
    growing: Option<Growing>,
    /// Whether the file system allows it.
    can_grow: bool,
}

impl Saver<'_> {
    fn write(&mut self, record: &Record) -> std::io::Result<()> {
        const CHEAP: Duration = Duration::from_secs(1);
        let start = Instant::now();
        let bytes = record.text.as_bytes();
        let has_grown = self.growing.as_mut().is_some_and(|growing| growing.write(bytes, record.same).is_ok());
        let written = if has_grown {
            Ok(())
        } else {
            self.can_grow &= self.growing.take().is_none();
            replace(self.out, bytes)
        };
        self.spent += start.elapsed();
        if self.spent > CHEAP && self.growing.is_none() && self.can_grow {
            self.growing = Growing::new(self.out, bytes).ok();
            self.can_grow = self.growing.is_some();
        }
        written
    }
}

/// The notebook so far.
struct Record<'a> {
    /// Of a script there is none.
    notebook: Option<&'a Notebook>,
    cells: Vec<(&'a Fence, &'a NotebookCell)>,
    is_crlf: bool,
    text: String,
    /// So many bytes of it are as they were before the last cell.
    same: usize,
    /// Behind the last output of the notebook that is in the text: the place there, and in the notebook.
    done: (usize, usize),
}

/// The end of the fence of a script.
const END: &str = "```\n";

impl<'a> Record<'a> {
    fn new(notebook: Option<&'a Notebook>) -> Record<'a> {
        let text = notebook.map_or(fence_of(WIDTH, &[]), |notebook| notebook.text.clone());
        let cells = notebook.into_iter().flat_map(Notebook::cells).collect();
        let is_crlf = notebook.is_some_and(Notebook::has_crlf);
        Record { notebook, cells, is_crlf, text, same: 0, done: (0, 0) }
    }

    /// Adds what a cell has printed.
    fn add(&mut self, place: usize, input: &str, output: &str) {
        let Some(notebook) = self.notebook else {
            self.same = self.text.len() - END.len();
            self.text.truncate(self.same);
            self.text.push_str(&(cell_text(input) + &output_text(output) + END));
            return;
        };
        let (fence, cell) = self.cells[place];
        let (range, new) = new_output(notebook, fence, cell, output, self.is_crlf);
        let (done, from) = self.done;
        self.same = done + (range.start - from);
        self.text.truncate(self.same);
        self.text.push_str(&new);
        self.done = (self.text.len(), range.end);
        self.text.push_str(&notebook.text[range.end..]);
    }
}
