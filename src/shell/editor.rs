//! The line editor.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor as Rustyline, Helper};
use unicode_width::UnicodeWidthStr;

use crate::lang::Splitter;
use crate::magics::{Candidate, complete};
use crate::session::Session;
use crate::show;

use super::highlight::highlight;

/// What a person entered.
pub enum Input {
    Cell(String),
    /// Ctrl-C on the line.
    Cancelled,
    /// Ctrl-D on an empty line.
    End,
    Broken(String),
}

pub struct Editor {
    line: Rustyline<Cells, FileHistory>,
    history: Option<PathBuf>,
}

/// Completes, colours, hints, and keeps reading lines while the cell asks for more.
#[derive(Helper)]
struct Cells {
    session: Rc<RefCell<Session>>,
    color: bool,
    hinter: HistoryHinter,
}

impl Completer for Cells {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = complete(&mut self.session.borrow_mut(), line, at);
        let width = found.iter().map(|candidate| candidate.text.width()).max().unwrap_or(0);
        // Cut to the width, so that each stands on a line of its own.
        let room = show::terminal_width().saturating_sub(2);
        let pair = |Candidate { text, about }: Candidate| {
            let display = show::cut(&format!("{text}{:pad$}  {about}", "", pad = width - text.width()), room);
            Pair { display, replacement: text }
        };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Hinter for Cells {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, context: &Context<'_>) -> Option<String> {
        if line.trim().is_empty() { None } else { self.hinter.hint(line, at, context) }
    }
}

impl Highlighter for Cells {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.color { Cow::Owned(highlight(line)) } else { Cow::Borrowed(line) }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.color {
            Cow::Owned(nu_ansi_term::Style::new().dimmed().paint(hint).to_string())
        } else {
            Cow::Borrowed(hint)
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.color && kind != CmdKind::MoveCursor
    }
}

impl Validator for Cells {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        // Two empty lines run it as it is: the error tells what is missing.
        if text.ends_with("\n\n") {
            return Ok(ValidationResult::Valid(None));
        }
        let mut splitter = Splitter::default();
        text.lines().for_each(|line| drop(splitter.push(line)));
        Ok(if splitter.wants_more() { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Editor {
    pub fn new(session: Rc<RefCell<Session>>, color: bool) -> rustyline::Result<Editor> {
        let config = Config::builder()
            .max_history_size(10_000)?
            .history_ignore_dups(true)?
            .auto_add_history(false)
            .completion_type(CompletionType::List)
            .completion_show_all_if_ambiguous(true)
            .build();
        let mut line = Rustyline::with_config(config)?;
        line.set_helper(Some(Cells { session, color, hinter: HistoryHinter::new() }));
        let history = history_path();
        if let Some(path) = &history {
            // A first start has no history.
            let _ = line.load_history(path);
        }
        Ok(Editor { line, history })
    }

    pub fn read(&mut self, prompt: &str) -> Input {
        match self.line.readline(prompt) {
            Ok(text) => {
                self.remember(&text);
                Input::Cell(text)
            }
            Err(ReadlineError::Interrupted) => Input::Cancelled,
            Err(ReadlineError::Eof) => Input::End,
            Err(error) => Input::Broken(error.to_string()),
        }
    }

    /// Adds a cell to the history, and to its file at once.
    fn remember(&mut self, text: &str) {
        if text.trim().is_empty() || !self.line.add_history_entry(text).unwrap_or(false) {
            return;
        }
        if let Some(path) = &self.history {
            let folder = path.parent().map(std::fs::create_dir_all);
            if folder.is_none_or(|made| made.is_err()) || self.line.append_history(path).is_err() {
                // The session goes on without a file; saying so at every cell would help nobody.
                self.history = None;
            }
        }
    }
}

/// `$XDG_STATE_HOME/timelab/history`, or under `~/.local/state`.
fn history_path() -> Option<PathBuf> {
    let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = home("XDG_STATE_HOME").or_else(|| Some(home("HOME")?.join(".local/state")))?;
    Some(state.join("timelab/history"))
}
