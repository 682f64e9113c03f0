//! Where cells come from: the line editor, standard input, the command line. Only here is anything printed.

pub mod config;
mod console;
mod editor;
pub mod exported;
mod highlight;
mod kept;
mod map;
mod pager;
mod play;
mod progress;
mod reader;
pub mod saved;
mod signals;
pub mod test;

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, BufRead, BufWriter, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::autosave::Autosave;
use crate::baselines::Baselines;
use crate::diagnostic::{Diagnostic, Kind, listed};
use crate::escape;
use crate::history::History;
use crate::lang::{self, Splitter, split};
use crate::magics::{CellStatus, Evaluation, FileCells, Next, evaluate, file_cells};
use crate::measure;
use crate::notebook::{INFO, Notebook, cell_text, is_notebook};
use crate::report::{Block, Report};
use crate::run_context::{RunContext, Stop};
use crate::session::Session;
use crate::show::{self, Drawn, Printed, Printer, Style, duration_text};
use crate::temporary;

use editor::{Editor, Input, Terminal};
pub use signals::leave_the_terminal_as_it_was;

/// How deep `%run` may stand in files that are run.
const DEEPEST_RUN: usize = 10;

/// How a run of cells ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Good,
    /// Results that were compared differ.
    Different,
    /// A cell or a variant failed.
    Failed,
    /// Ctrl-C.
    Stopped,
    /// Nobody reads the output any more.
    Closed,
    /// The cell `exit`.
    Left,
}

impl Ending {
    /// The exit status of the process.
    pub fn status(self) -> u8 {
        match self {
            Ending::Good | Ending::Closed | Ending::Left => 0,
            Ending::Failed => 1,
            Ending::Different => 3,
            Ending::Stopped => 130,
        }
    }
}

pub struct Shell {
    session: Rc<RefCell<Session>>,
    style: Style,
    keep_going: bool,
    /// Where somebody types: Ctrl-C stops a cell, not the run.
    editor: Option<Box<dyn Editor>>,
    /// Where the cells that were typed are saved, and the text of those so far.
    autosave: Option<(Autosave, String)>,
    /// How deep the cells of a file are that now run.
    depth: usize,
    ending: Ending,
}

impl Shell {
    pub fn new(engine: Option<&'static str>, style: Style, keep_going: bool) -> Shell {
        // A file that would be too large is an error of who writes it.
        // SAFETY: a plain system call.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        let mut session = Session::new(engine, console::own());
        session.baselines = Baselines::own();
        session.survives = true;
        let session = Rc::new(RefCell::new(session));
        Shell { session, style, keep_going, editor: None, autosave: None, depth: 0, ending: Ending::Good }
    }

    /// Runs the cells of each text, one after the other.
    pub fn texts(mut self, texts: &[String]) -> Ending {
        leave_the_terminal_as_it_was();
        self.session.borrow_mut().reads_stdin = true;
        stop_on_ctrl_c(self.session.borrow().stop.clone(), true);
        self.batch(texts.iter().flat_map(|text| split(text)))
    }

    /// Runs the cells of a file, also those that can do anything if it is trusted.
    pub fn file(mut self, path: &Path, trusted: bool) -> Ending {
        leave_the_terminal_as_it_was();
        self.session.borrow_mut().reads_stdin = true;
        stop_on_ctrl_c(self.session.borrow().stop.clone(), true);
        let context = self.session.borrow().context();
        let cells = file_cells(&mut self.session.borrow_mut(), path, trusted, "timelab", &context);
        match cells {
            Ok(FileCells { cells, confined, skipped }) => {
                skipped.iter().for_each(|line| self.complain(&format!("{line}\n")));
                self.session.borrow_mut().confined = confined;
                self.batch(cells)
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Runs the cells of standard input as they come.
    pub fn stdin(mut self) -> Ending {
        leave_the_terminal_as_it_was();
        stop_on_ctrl_c(self.session.borrow().stop.clone(), true);
        let mut splitter = Splitter::default();
        let mut input = std::io::stdin().lock();
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            number += 1;
            line.clear();
            let read = input.read_until(b'\n', &mut line);
            let text = match (read, std::str::from_utf8(&line)) {
                (Ok(0), _) => break,
                (Ok(_), Ok(text)) => text,
                (Ok(_), Err(_)) => {
                    let at = std::str::from_utf8(&line).map_or_else(|error| error.valid_up_to(), str::len);
                    self.complain(&format!(
                        "error: standard input is not UTF-8 text: line {number}, byte {}\n",
                        at + 1
                    ));
                    self.ending = Ending::Failed;
                    return self.ending;
                }
                (Err(error), _) => {
                    self.complain(&format!("error: standard input cannot be read: {error}\n"));
                    self.ending = Ending::Failed;
                    return self.ending;
                }
            };
            if let Some(cell) = splitter.push(text.trim_end_matches(['\n', '\r']))
                && !self.batch_cell(&cell)
            {
                return self.ending;
            }
        }
        if let Some(cell) = splitter.finish() {
            self.batch_cell(&cell);
        }
        self.ending
    }

    /// Runs cells where nobody types.
    fn batch(&mut self, cells: impl IntoIterator<Item = String>) -> Ending {
        for cell in cells {
            if !self.batch_cell(&cell) {
                break;
            }
        }
        self.ending
    }

    /// Runs one cell where nobody types; false where the next one must not run.
    fn batch_cell(&mut self, cell: &str) -> bool {
        let ending = match self.cell(cell) {
            // The cell was done before it looked at the flag; the run stops all the same.
            Ending::Good if self.session.borrow().stop.is_raised() => Ending::Stopped,
            ending => ending,
        };
        match ending {
            Ending::Good | Ending::Different | Ending::Left => {}
            Ending::Failed => self.ending = Ending::Failed,
            Ending::Stopped | Ending::Closed => self.ending = ending,
        }
        match ending {
            Ending::Good | Ending::Different => true,
            Ending::Failed => self.keep_going,
            Ending::Stopped | Ending::Closed | Ending::Left => false,
        }
    }

    /// Reads, runs, prints, until Ctrl-D.
    pub fn interactive(mut self) -> Ending {
        if !self.open() {
            return Ending::Failed;
        }
        self.complain(&banner());
        self.begin();
        self.notice_lost();
        self.prompt()
    }

    /// Tells of a session that died, and how its cells come back.
    fn notice_lost(&mut self) {
        let Some((autosave, _)) = &self.autosave else { return };
        if let Some(path) = autosave.notice() {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let count = Notebook::parse(&text).map_or(0, |notebook| notebook.cells().count());
            let plural = if count == 1 { "cell" } else { "cells" };
            self.complain(&format!("an earlier session ended without leaving: %restore runs its {count} {plural}\n"));
        }
    }

    /// Saves a cell that did not fail, before the next one is read.
    fn save_cell(&mut self, cell: &str) {
        let is_on = self.session.borrow().settings.autosave;
        let is_restoring = cell.trim_start().starts_with("%restore");
        let Some((autosave, text)) = self.autosave.as_mut().filter(|_| is_on && !is_restoring) else { return };
        text.push_str(&cell_text(&escape::hidden_tokens(cell)));
        let written = autosave.write(&format!("```{INFO}\n{text}```\n"));
        if let Err(error) = written {
            self.complain(&format!("warning: the session is saved no longer: {error}\n"));
            self.autosave = None;
        }
    }

    /// Plays a notebook, then goes on as the shell.
    pub fn tutorial(mut self, path: &Path, trusted: bool) -> Ending {
        if !stdin_is_terminal() {
            self.complain("error: `play` needs a terminal; `timelab run FILE` runs the cells without one\n");
            return Ending::Failed;
        }
        if !is_notebook(path) {
            self.complain("error: `play` needs a notebook, a file .md; `timelab run FILE` runs a script\n");
            return Ending::Failed;
        }
        if !self.open() {
            return Ending::Failed;
        }
        let context = self.session.borrow().context();
        let allowed = file_cells(&mut self.session.borrow_mut(), path, trusted, "timelab play", &context);
        match allowed {
            Ok(FileCells { confined, .. }) => self.session.borrow_mut().confined = confined,
            Err(error) => return self.failed(&error),
        }
        match test::read(path) {
            Ok(notebook) => {
                let ending = self.play(&notebook);
                // What is typed from here on is the user's own.
                self.session.borrow_mut().confined = false;
                if matches!(ending, Ending::Closed | Ending::Left) { Ending::Good } else { self.prompt() }
            }
            Err((line, why)) => {
                self.complain(&format!("error: {}: {why}\n", test::place(path, line)));
                Ending::Failed
            }
        }
    }

    /// Opens the terminal for a person; false where that fails.
    fn open(&mut self) -> bool {
        leave_the_terminal_as_it_was();
        stop_on_ctrl_c(self.session.borrow().stop.clone(), false);
        self.session.borrow_mut().interactive = true;
        self.session.borrow_mut().attended = true;
        self.autosave = Autosave::own().map(|autosave| (autosave, String::new()));
        self.configure();
        let history = History::own();
        let (history, earlier) = match history.entries() {
            Ok(earlier) => (history, earlier),
            Err(error) => {
                // Said once: then it is not tried again.
                self.complain(&format!("warning: there is no history: {error}\n"));
                (History::default(), Vec::new())
            }
        };
        self.session.borrow_mut().history = history;
        match Terminal::new(self.session.clone(), self.style.color_out, earlier) {
            Ok(editor) => self.editor = Some(Box::new(editor)),
            Err(error) => {
                self.complain(&format!("error: the line editor does not start: {error}\n"));
                return false;
            }
        }
        true
    }

    fn prompt(&mut self) -> Ending {
        loop {
            let (number, keys) = (self.session.borrow().next_cell(), self.session.borrow().settings.keys);
            let Some(editor) = &mut self.editor else { return Ending::Good };
            match editor.read(&format!("[{number}]› "), keys) {
                Input::Cells(text) => {
                    self.session.borrow().stop.clear();
                    if matches!(self.typed(&split(&text)), Ending::Closed | Ending::Left) {
                        return Ending::Good;
                    }
                }
                Input::Cancelled => {}
                Input::End => return Ending::Good,
                Input::Broken(why) => {
                    self.complain(&format!("error: the line editor failed: {why}\n"));
                    return Ending::Failed;
                }
            }
        }
    }

    /// Takes the settings of the configuration file; what the command line says goes before them.
    fn configure(&mut self) {
        let Some((path, text)) = self.own_file(config::path()) else { return };
        let mut settings = self.session.borrow().settings.clone();
        let engine = settings.engine;
        let read = config::read(&text, &mut settings);
        settings.engine = engine.or(settings.engine);
        self.session.borrow_mut().settings = settings;
        if let Err(error) = read {
            let told = show::diagnostic(&error, Some(&text), &self.style());
            self.complain(&format!("in {}:\n{told}", escape::file_name(&path)));
        }
    }

    /// A file that the person may have, and what stands in it.
    fn own_file(&self, path: Option<PathBuf>) -> Option<(PathBuf, String)> {
        let path = path?;
        match config::text(&path) {
            Ok(text) => Some((path, text)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                self.complain(&format!("warning: \"{}\" cannot be read: {error}\n", escape::file_name(&path)));
                None
            }
        }
    }

    /// Runs the cells that the person wants at every start; they have no numbers.
    fn begin(&mut self) {
        let Some((path, text)) = self.own_file(config::init_path()) else { return };
        for cell in split(&text) {
            if self.cell(&cell) != Ending::Good {
                self.complain(&format!("this error is in {}\n", escape::file_name(&path)));
                break;
            }
        }
        self.session.borrow_mut().forget_cells();
    }

    /// Runs cells that somebody typed, until Ctrl-C.
    fn typed(&mut self, cells: &[String]) -> Ending {
        for cell in cells {
            self.remember(cell);
            if cells.len() > 1 {
                self.echo(cell);
            }
            let ending = self.cell(cell);
            match ending {
                Ending::Good | Ending::Different => self.save_cell(cell),
                Ending::Failed => self.forget_as_hint(cell),
                Ending::Stopped | Ending::Closed | Ending::Left => return ending,
            }
        }
        Ending::Good
    }

    /// Adds a cell to the history, before it runs.
    fn remember(&mut self, cell: &str) {
        if let Some(editor) = &mut self.editor {
            editor.remember(cell);
        }
        let added = self.session.borrow().history.add(cell);
        self.kept(added);
    }

    fn forget_as_hint(&mut self, cell: &str) {
        if let Some(editor) = &mut self.editor {
            editor.failed(cell);
        }
        let told = self.session.borrow().history.failed(cell);
        self.kept(told);
    }

    /// A history that cannot be written is told once; the session goes on without it.
    fn kept(&mut self, written: std::io::Result<()>) {
        if let Err(error) = written {
            self.complain(&format!("warning: new cells are not saved to the history: {error}\n"));
            self.session.borrow_mut().history = History::default();
        }
    }

    /// Shows a cell that was not typed at this prompt.
    fn echo(&self, cell: &str) {
        let number = self.session.borrow().next_cell();
        // It may come from a file: nothing in it moves the cursor.
        self.complain(&format!("[{number}]› {}\n", escape::revealed(cell)));
    }

    /// Runs and prints one cell, then those that it brings along.
    fn cell(&mut self, text: &str) -> Ending {
        let context = self.session.borrow().context();
        let printing = Printing::new(&self.session.borrow(), self.style(), text, &context);
        let progress = progress::Watch::start(&context.progress);
        self.session.borrow_mut().printer = Some(printing.printer.clone());
        let evaluation = evaluate(&mut self.session.borrow_mut(), text, &context);
        self.session.borrow_mut().printer = None;
        progress.end();
        console::reset_colours();
        // Neither stops the cells that follow.
        match evaluation.status {
            CellStatus::Good => {}
            CellStatus::Different if self.ending == Ending::Good => self.ending = Ending::Different,
            CellStatus::Different => {}
            CellStatus::Failed => self.ending = Ending::Failed,
        }
        let printed = printing.printer.borrow().printed();
        let ending = match printing.end() {
            Ok(()) => self.print(text, &evaluation, printed),
            Err(error) => self.unwritten(&error),
        };
        match ending {
            Ending::Good if evaluation.next.leaves => Ending::Left,
            Ending::Good => self.further(&evaluation.next),
            ending => ending,
        }
    }

    /// Runs the cells that a cell brought along; the first that fails ends them.
    fn further(&mut self, next: &Next) -> Ending {
        if let Some(notebook) = &next.play {
            if self.editor.is_some() {
                return self.play(notebook);
            }
            let can_run = notebook.cells().filter(|(fence, _)| fence.directives.unmet().is_none());
            let cells = can_run.map(|(_, cell)| cell.input.clone()).collect();
            return self.further(&Next { cells, ..Next::default() });
        }
        if let Some(map) = &next.map {
            let style = self.style();
            if self.editor.is_none() || map::play(map, &style).is_err() {
                // Somebody reads it, but cannot move in it.
                let report = Report { blocks: vec![Block::Map(map.clone())], ..Report::default() };
                let drawn = show::report(&report, &style);
                print!("{}", drawn.out);
            }
            return Ending::Good;
        }
        if next.cells.is_empty() {
            return Ending::Good;
        }
        if self.depth == DEEPEST_RUN {
            self.complain(&format!(
                "error: `%run` is nested {DEEPEST_RUN} levels deep: check whether a file runs itself\n"
            ));
            return Ending::Failed;
        }
        self.depth += 1;
        let confined = self.session.borrow().confined;
        // What is typed is its author's own.
        self.session.borrow_mut().confined = if next.typed { confined } else { next.confined };
        let mut ending = Ending::Good;
        for (i, cell) in next.cells.iter().enumerate() {
            if self.editor.is_some() {
                self.echo(cell);
            }
            if next.typed {
                self.remember(cell);
            }
            ending = self.cell(cell);
            if next.typed && ending == Ending::Failed {
                self.forget_as_hint(cell);
            }
            if next.typed && ending == Ending::Good {
                self.save_cell(cell);
            }
            if ending == Ending::Left {
                // It ends the file that is run, not who runs it.
                ending = Ending::Good;
                break;
            }
            if ending != Ending::Good {
                let left = next.cells.len() - i - 1;
                if left > 0 && ending != Ending::Closed {
                    self.complain(&format!(
                        "{left} more {} not run\n",
                        if left == 1 { "cell was" } else { "cells were" }
                    ));
                }
                break;
            }
        }
        self.depth -= 1;
        self.session.borrow_mut().confined = confined;
        ending
    }

    /// How things look now: the settings and the window may have changed.
    fn style(&self) -> Style {
        let session = self.session.borrow();
        let window = if session.interactive { show::terminal_width() } else { self.style.width };
        Style { theme: session.settings.theme, width: session.settings.width.unwrap_or(window), ..self.style }
    }

    /// Prints what a cell gave, but for a table that was printed already.
    fn print(&mut self, cell: &str, evaluation: &Evaluation, printed: Option<Printed>) -> Ending {
        let warnings: String = evaluation.warnings.iter().map(|warning| self.told(warning)).collect();
        self.complain(&warnings);
        if let Some(error) = &evaluation.error {
            return self.failed(error);
        }
        let style = self.style();
        let session = self.session.borrow();
        let stopped = || session.stop.is_raised();
        let mut report = Cow::Borrowed(&evaluation.report);
        if let Some(printed) = printed {
            let report = report.to_mut();
            report.blocks.retain(|block| !matches!(block, Block::Table { .. }));
            report.status_line.extend(printed.rounded.then(|| show::ROUNDED.into()));
        }
        let (written, err) = match &report.blocks[..] {
            [Block::Whole { table, .. }] if session.interactive => {
                (pager::page(table, &style, &stopped), String::new())
            }
            [Block::Whole { table, .. }] => {
                let mut out = BufWriter::new(std::io::stdout().lock());
                (show::whole(table, &style, &stopped, &mut out).and_then(|()| out.flush()), String::new())
            }
            _ => {
                let Drawn { out, err } = show::report_of(&report, &lang::names(cell), &style);
                let mut stdout = std::io::stdout().lock();
                (stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()), err)
            }
        };
        match written {
            Ok(()) => {
                self.complain(&err);
                Ending::Good
            }
            Err(error) => self.unwritten(&error),
        }
    }

    /// How a run ends whose output cannot be written.
    fn unwritten(&self, error: &io::Error) -> Ending {
        match error.kind() {
            // A reader that has seen enough, such as `head`, is no mistake.
            ErrorKind::BrokenPipe => Ending::Closed,
            ErrorKind::Interrupted => Ending::Stopped,
            _ => {
                self.complain(&format!("error: standard output cannot be written: {error}\n"));
                Ending::Failed
            }
        }
    }

    /// Tells why a run ends here.
    fn failed(&self, error: &Diagnostic) -> Ending {
        if error.kind == Kind::Stopped {
            self.complain(&format!("{}\n", error.message));
            return Ending::Stopped;
        }
        self.complain(&self.told(error));
        Ending::Failed
    }

    /// A message with the words that it is about.
    fn told(&self, diagnostic: &Diagnostic) -> String {
        let session = self.session.borrow();
        let text = diagnostic.span.and_then(|span| session.text(span.cell));
        show::diagnostic(diagnostic, text, &self.style())
    }

    /// Writes to standard error; where that is closed there is nobody to tell.
    fn complain(&self, text: &str) {
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// The session ended as it should.
impl Drop for Shell {
    fn drop(&mut self) {
        if let Some((autosave, _)) = &self.autosave {
            autosave.end();
        }
        let Ok(mut session) = self.session.try_borrow_mut() else { return };
        let stopped = session.stop_jobs();
        drop(session);
        if !stopped.is_empty() {
            let names: Vec<&str> = stopped.iter().map(String::as_str).collect();
            let jobs = if names.len() == 1 { "the job" } else { "the jobs" };
            self.complain(&format!("stopped {jobs} {}: `wait NAME` waits for the end of one\n", listed(&names)));
        }
    }
}

/// Prints the result of one cell while it comes. Once it has begun, the run ends when nobody reads on.
struct Printing {
    printer: Rc<RefCell<Printer>>,
    reader: Rc<RefCell<Option<reader::Watch>>>,
}

impl Printing {
    fn new(session: &Session, style: Style, cell: &str, context: &RunContext) -> Printing {
        let reader = Rc::new(RefCell::new(None));
        let (watch, stop) = (reader.clone(), session.stop.clone());
        // Without the thread the next thing that is printed tells.
        let types = session.interactive;
        let on_start = move || {
            // A terminal at which somebody types is read.
            if !types {
                *watch.borrow_mut() = reader::Watch::start(stop).ok();
            }
        };
        let progress = io::stdout().is_terminal().then(|| context.progress.clone());
        let printer = Printer::new(style, lang::names(cell), Box::new(io::stdout()), progress, on_start);
        Printing { printer: Rc::new(RefCell::new(printer)), reader }
    }

    /// # Errors
    /// Where it could not be printed.
    fn end(self) -> io::Result<()> {
        if self.reader.take().is_some_and(|watch| watch.is_left()) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        match self.printer.borrow().failure() {
            Some(error) => Err(error.kind().into()),
            None => Ok(()),
        }
    }
}

/// The instrument, and how to get help.
fn banner() -> String {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let plural = if cores == 1 { "core" } else { "cores" };
    let timer = duration_text(measure::timer_precision().as_secs_f64());
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "timelab {version} · {cores} {plural} · timer {timer}\n%help · %help glossary · Tab completes · Ctrl-D quits\n"
    )
}

/// Ctrl-C raises the stop flag. Where nobody types, a second one ends the process.
pub fn stop_on_ctrl_c(stop: Stop, second_ends: bool) {
    let twice = AtomicBool::new(false);
    let handler = move || {
        stop.raise();
        measure::stop_allocations();
        if twice.swap(true, Ordering::SeqCst) && second_ends {
            progress::restore_terminal();
            temporary::remove_all();
            signal_hook::low_level::exit(130);
        }
    };
    // SAFETY: the handler stores to atomics, and may set the terminal and exit, all of which a signal handler may do.
    let registered = unsafe { signal_hook::low_level::register(signal_hook::consts::SIGINT, handler) };
    drop(
        registered.inspect_err(|error| drop(writeln!(std::io::stderr(), "warning: Ctrl-C will end timelab: {error}"))),
    );
}

/// Whether somebody types.
pub fn stdin_is_terminal() -> bool {
    std::io::stdin().is_terminal()
}
