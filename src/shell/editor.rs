//! The line editor: what the shell asks of one, and the one that it has.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use rustyline::completion::{Completer, Pair};
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter};
use rustyline::history::{History, MemHistory};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{
    Cmd, ColorMode, CompletionType, Config, Context, EditMode, Editor as Line, Helper, KeyCode, KeyEvent, Modifiers,
};
use unicode_width::UnicodeWidthStr;

use crate::escape;
use crate::history::{Entry, MOST};
use crate::lang::Splitter;
use crate::magics::{Candidate, complete, signature};
use crate::session::Session;
use crate::session::settings::Keys;
use crate::show::{self, Role};

use super::highlight::highlight;

/// What a person entered.
pub enum Input {
    /// One cell, or several that were pasted.
    Cells(String),
    /// Ctrl-C on the line.
    Cancelled,
    /// Ctrl-D on an empty line.
    End,
    Broken(String),
}

/// Reads lines until they are whole cells.
pub trait Editor {
    fn read(&mut self, prompt: &str, keys: Keys) -> Input;

    /// Adds a cell to those that can be recalled.
    fn remember(&mut self, cell: &str);

    /// The last cell of this text failed: it is recalled, but not offered.
    fn failed(&mut self, cell: &str);
}

/// The editor of a terminal.
pub struct Terminal {
    line: Line<Cells, MemHistory>,
}

/// Completes, colours, hints, and keeps reading lines while the cell asks for more.
#[derive(Helper)]
struct Cells {
    session: Rc<RefCell<Session>>,
    color: bool,
    /// Earlier cells, oldest first.
    earlier: VecDeque<Entry>,
}

impl Terminal {
    pub fn new(session: Rc<RefCell<Session>>, color: bool, earlier: Vec<Entry>) -> Result<Terminal, String> {
        let config = || -> rustyline::Result<Config> {
            Ok(Config::builder()
                .max_history_size(MOST)?
                .history_ignore_dups(true)?
                .auto_add_history(false)
                .completion_type(CompletionType::List)
                .completion_show_all_if_ambiguous(true)
                // Without colours too, control characters are shown as marks.
                .color_mode(ColorMode::Forced)
                .build())
        };
        let failed = |error: ReadlineError| error.to_string();
        let config = config().map_err(failed)?;
        let mut history = MemHistory::with_config(&config);
        // What would move the cursor is not recalled.
        let earlier: Vec<Entry> = earlier.into_iter().filter(|entry| is_plain(&entry.cell)).collect();
        for entry in &earlier {
            history.add(&entry.cell).map_err(failed)?;
        }
        let mut line = Line::with_history(config, history).map_err(failed)?;
        line.set_helper(Some(Cells { session, color, earlier: earlier.into() }));
        // Terminals send Alt-Enter as escape and a carriage return.
        for key in [KeyEvent::alt('\r'), KeyEvent(KeyCode::Enter, Modifiers::ALT)] {
            line.bind_sequence(key, Cmd::Newline);
        }
        // The next key would become part of the cell as it is: a control character.
        for key in ['V', 'Q'] {
            line.bind_sequence(KeyEvent::ctrl(key), Cmd::Noop);
        }
        Ok(Terminal { line })
    }
}

impl Editor for Terminal {
    fn read(&mut self, prompt: &str, keys: Keys) -> Input {
        self.line.set_edit_mode(match keys {
            Keys::Emacs => EditMode::Emacs,
            Keys::Vi => EditMode::Vi,
        });
        match self.line.readline(prompt) {
            Ok(text) => Input::Cells(text),
            Err(ReadlineError::Interrupted) => Input::Cancelled,
            Err(ReadlineError::Eof) => Input::End,
            Err(error) => Input::Broken(error.to_string()),
        }
    }

    fn remember(&mut self, cell: &str) {
        // In memory nothing can fail.
        let _ = self.line.add_history_entry(cell);
        if let Some(cells) = self.line.helper_mut() {
            cells.earlier.push_back(Entry { cell: cell.to_string(), failed: false });
            if cells.earlier.len() > MOST {
                cells.earlier.pop_front();
            }
        }
    }

    fn failed(&mut self, cell: &str) {
        let cells = self.line.helper_mut();
        let last = cells.and_then(|cells| cells.earlier.iter_mut().rev().find(|entry| entry.cell == cell));
        if let Some(entry) = last {
            entry.failed = true;
        }
    }
}

impl Completer for Cells {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, mut found) = complete(&mut self.session.borrow_mut(), line, at);
        found.retain(|candidate| is_plain(&candidate.text));
        // Cut to the width, so that each stands on a line of its own.
        let room = show::terminal_width().saturating_sub(2);
        let width = found.iter().map(|candidate| candidate.text.width()).max().unwrap_or(0).min(room);
        let pair = |Candidate { text, about, .. }: Candidate| {
            let about = escape::escaped(&about).replace('\n', " ");
            let display =
                show::cut(&format!("{text}{:pad$}  {about}", "", pad = width.saturating_sub(text.width())), room);
            Pair { display, replacement: text }
        };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

/// A text with a mark in place of each character that would move the cursor or colour the terminal: a paste may have
/// some. The cell keeps them, and its error names them.
fn pictured(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let picture = |c: char| match c {
        '\n' | '\t' => c,
        // The block of pictures of control characters.
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        c if escape::is_unsafe(c) => '\u{fffd}',
        c => c,
    };
    Cow::Owned(text.chars().map(picture).collect())
}

/// Whether a text has no control characters but line breaks and tabs: names of files and earlier cells may have some.
fn is_plain(text: &str) -> bool {
    !text.contains(|c| escape::is_unsafe(c) && !matches!(c, '\n' | '\t'))
}

/// What stands in grey behind the cursor.
struct Grey {
    text: String,
    /// It is the rest of an earlier cell, and can be taken over.
    earlier: bool,
}

impl Hint for Grey {
    fn display(&self) -> &str {
        &self.text
    }

    fn completion(&self) -> Option<&str> {
        self.earlier.then_some(&self.text)
    }
}

impl Hinter for Cells {
    type Hint = Grey;

    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<Grey> {
        if line.trim().is_empty() || at < line.len() {
            return None;
        }
        // It takes seconds to start: from here on it can be of use.
        if line.contains("rust") {
            self.session.borrow().rust.warm();
        }
        let begins = |entry: &&Entry| !entry.failed && entry.cell.len() > line.len() && entry.cell.starts_with(line);
        if let Some(entry) = self.earlier.iter().rev().find(begins) {
            return Some(Grey { text: entry.cell[line.len()..].to_string(), earlier: true });
        }
        let text = signature(line).or_else(|| what_ends(line).map(|end| format!("   {end}")))?;
        Some(Grey { text: escape::escaped(&text), earlier: false })
    }
}

/// What there is to do at the end of a cell that goes on over empty or indented lines.
fn what_ends(text: &str) -> Option<&'static str> {
    match text.rsplit_once('\n') {
        // The empty line stands there already, as after a paste.
        Some((above, "")) if !splitter(text).wants_more() => {
            let end = splitter(above).end()?;
            Some(if above.contains('\n') { "Enter runs it" } else { end })
        }
        _ => splitter(text).end(),
    }
}

/// What is known of a cell so far.
fn splitter(text: &str) -> Splitter {
    let mut splitter = Splitter::default();
    text.split('\n').for_each(|line| drop(splitter.push(line)));
    splitter
}

impl Highlighter for Cells {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        let line = pictured(line);
        if self.color { Cow::Owned(highlight(&line, &self.session.borrow())) } else { line }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        let hint = pictured(hint);
        if !self.color {
            return hint;
        }
        let theme = self.session.borrow().settings.theme;
        Cow::Owned(theme.style(Role::Quiet).paint(hint).to_string())
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
        Ok(if splitter(text).wants_more() { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}
