//! Where cells come from: the line editor, standard input, the command line. Only here is anything printed.

mod editor;
mod highlight;
mod progress;

use std::cell::RefCell;
use std::io::{BufRead, IsTerminal, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::diagnostic::Kind;
use crate::job::Stop;
use crate::lang::{Splitter, split};
use crate::magics::{Evaluation, evaluate};
use crate::session::Session;
use crate::show::{self, Drawn, Style};

/// How a run of cells ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Good,
    /// A cell failed.
    Failed,
    /// Ctrl-C.
    Stopped,
    /// Nobody reads the output any more.
    Closed,
}

impl Ending {
    /// The exit status of the process.
    pub fn status(self) -> u8 {
        match self {
            Ending::Good | Ending::Closed => 0,
            Ending::Failed => 1,
            Ending::Stopped => 130,
        }
    }
}

pub struct Shell {
    session: Rc<RefCell<Session>>,
    style: Style,
    keep_going: bool,
    /// Somebody types: Ctrl-C stops a cell, not the run.
    interactive: bool,
    ending: Ending,
}

impl Shell {
    pub fn new(engine: Option<&'static str>, style: Style, keep_going: bool) -> Shell {
        let session = Session::new(engine, Arc::new(|text| drop(writeln!(std::io::stderr(), "{text}"))));
        let session = Rc::new(RefCell::new(session));
        Shell { session, style, keep_going, interactive: false, ending: Ending::Good }
    }

    /// Runs the cells of each text, one after the other.
    pub fn texts(mut self, texts: &[String]) -> Ending {
        self.session.borrow_mut().reads_stdin = true;
        stop_on_ctrl_c(self.session.borrow().stop.clone(), true);
        for cell in texts.iter().flat_map(|text| split(text)) {
            if !self.batch_cell(&cell) {
                break;
            }
        }
        self.ending
    }

    /// Runs the cells of standard input as they come.
    pub fn stdin(mut self) -> Ending {
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

    /// Runs one cell where nobody types; false where the next one must not run.
    fn batch_cell(&mut self, cell: &str) -> bool {
        let ending = match self.cell(cell) {
            // The cell was done before it looked at the flag; the run stops all the same.
            Ending::Good if self.session.borrow().stop.is_raised() => Ending::Stopped,
            ending => ending,
        };
        match ending {
            Ending::Good => {}
            Ending::Failed => self.ending = Ending::Failed,
            Ending::Stopped | Ending::Closed => self.ending = ending,
        }
        match ending {
            Ending::Good => true,
            Ending::Failed => self.keep_going,
            Ending::Stopped | Ending::Closed => false,
        }
    }

    /// Types, runs, prints, until Ctrl-D.
    pub fn interactive(mut self) -> Ending {
        self.interactive = true;
        stop_on_ctrl_c(self.session.borrow().stop.clone(), false);
        let mut editor = match editor::Editor::new(self.session.clone(), self.style.color_out) {
            Ok(editor) => editor,
            Err(error) => {
                self.complain(&format!("error: the line editor does not start: {error}\n"));
                return Ending::Failed;
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let plural = if cores == 1 { "core" } else { "cores" };
        let version = env!("CARGO_PKG_VERSION");
        self.complain(&format!("timelab {version} · {cores} {plural} · %help  Ctrl-D quits\n"));
        loop {
            let prompt = format!("[{}]› ", self.session.borrow().next_cell());
            match editor.read(&prompt) {
                editor::Input::Cell(text) => {
                    for cell in split(&text) {
                        if self.cell(&cell) == Ending::Closed {
                            return Ending::Good;
                        }
                    }
                }
                editor::Input::Cancelled => {}
                editor::Input::End => return Ending::Good,
                editor::Input::Broken(why) => {
                    self.complain(&format!("error: the line editor failed: {why}\n"));
                    return Ending::Failed;
                }
            }
        }
    }

    /// Runs and prints one cell.
    fn cell(&mut self, text: &str) -> Ending {
        if self.interactive {
            self.session.borrow().stop.clear();
        }
        let job = self.session.borrow().job();
        let progress = progress::Watch::start(&job.progress);
        let evaluation = evaluate(&mut self.session.borrow_mut(), text, &job);
        progress.end();
        self.print(&evaluation)
    }

    fn print(&mut self, evaluation: &Evaluation) -> Ending {
        let session = self.session.borrow();
        let diagnostic = |diagnostic| {
            let text = |cell| session.text(cell);
            show::diagnostic(diagnostic, diagnostic.span.and_then(|span| text(span.cell)), &self.style)
        };
        let warnings: String = evaluation.warnings.iter().map(diagnostic).collect();
        self.complain(&warnings);
        if let Some(error) = &evaluation.error {
            if error.kind == Kind::Stopped {
                self.complain("stopped\n");
                return Ending::Stopped;
            }
            self.complain(&diagnostic(error));
            return Ending::Failed;
        }
        let Drawn { out, err } = show::report(&evaluation.report, &self.style);
        let mut stdout = std::io::stdout().lock();
        if let Err(error) = stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()) {
            // A reader that has seen enough, such as `head`, is no mistake.
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                return Ending::Closed;
            }
            self.complain(&format!("error: standard output cannot be written: {error}\n"));
            return Ending::Failed;
        }
        self.complain(&err);
        Ending::Good
    }

    /// Writes to standard error; where that is closed there is nobody to tell.
    fn complain(&self, text: &str) {
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Ctrl-C raises the stop flag. Where nobody types, a second one ends the process.
fn stop_on_ctrl_c(stop: Stop, second_ends: bool) {
    let twice = AtomicBool::new(false);
    let handler = move || {
        stop.raise();
        if twice.swap(true, Ordering::SeqCst) && second_ends {
            signal_hook::low_level::exit(130);
        }
    };
    // SAFETY: the handler stores to atomics and may exit, both of which a signal handler may do.
    let registered = unsafe { signal_hook::low_level::register(signal_hook::consts::SIGINT, handler) };
    drop(
        registered.inspect_err(|error| drop(writeln!(std::io::stderr(), "warning: Ctrl-C will end timelab: {error}"))),
    );
}

/// Whether somebody types.
pub fn somebody_types() -> bool {
    std::io::stdin().is_terminal()
}
