//! The line editor.

use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Completer, Config, Editor as Rustyline, Helper, Highlighter, Hinter};

use crate::lang::Splitter;

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

/// Keeps reading lines while the cell asks for more.
#[derive(Completer, Helper, Highlighter, Hinter)]
struct Cells;

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
    pub fn new() -> rustyline::Result<Editor> {
        let config =
            Config::builder().max_history_size(10_000)?.history_ignore_dups(true)?.auto_add_history(false).build();
        let mut line = Rustyline::with_config(config)?;
        line.set_helper(Some(Cells));
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
