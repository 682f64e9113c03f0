//! Plays a notebook at a terminal: prose, then a cell, which waits for Enter. At its end, or at `q`, the session stays.

use crate::escape;
use crate::magics::evaluate;
use crate::notebook::{Notebook, prose};
use crate::session::{Session, Snapshot};
use crate::show;

use super::editor::Input;
use super::{Ending, Shell};

/// What a person wants at a stop.
enum Wish {
    Next,
    Skip,
    Back,
    Leave,
    /// The terminal is gone.
    End,
}

/// What may be typed at a stop.
const KEYS: &str = "Enter runs the cell · s skips it · b goes back · q leaves; other cells may be typed here";

/// A cell to play.
struct Step<'a> {
    fence: &'a crate::notebook::Fence,
    input: &'a str,
    /// Whether it is the first of its fence: the question of a fence is asked once.
    is_first: bool,
    /// What stands before it.
    prose: String,
}

impl Shell {
    /// Plays a notebook; how the last of it ended.
    pub(super) fn play(&mut self, notebook: &Notebook) -> Ending {
        let steps = steps(notebook);
        self.say(KEYS);
        // A tutorial that is played in a shell goes back to what the shell had before; a shell that began with it
        // begins again, so that its cells have the same numbers.
        let before = {
            let session = self.session.borrow();
            (session.next_cell() > 1).then(|| session.snapshot())
        };
        let mut at = 0;
        let mut shown = None;
        while let Some(step) = steps.get(at) {
            if shown.replace(at) != Some(at) {
                self.show_prose(&step.prose);
            }
            let directives = &step.fence.directives;
            if directives.hidden && directives.unmet().is_none() {
                self.run_unseen(step.input);
                at += 1;
                continue;
            }
            self.show_cell(step.input);
            if let Some(why) = directives.unmet() {
                self.complain(&format!("skipped: {why}\n"));
                at += 1;
                continue;
            }
            match self.wish(directives.auto) {
                Wish::Next => {
                    if let Some(question) = directives.stop.as_ref().filter(|_| step.is_first)
                        && matches!(self.answer(question), Wish::End)
                    {
                        return Ending::Left;
                    }
                    self.session.borrow().stop.clear();
                    self.remember(step.input);
                    let ending = self.cell(step.input);
                    match ending {
                        Ending::Closed => return ending,
                        Ending::Good | Ending::Different => self.save_cell(step.input),
                        // It may be tried again.
                        Ending::Stopped => continue,
                        Ending::Failed | Ending::Left => {}
                    }
                    at += 1;
                }
                Wish::Skip => at += 1,
                Wish::Back => {
                    // Cells that do not wait would lead here again.
                    let waits = |step: &Step| !step.fence.directives.auto && !step.fence.directives.hidden;
                    at = steps[..at].iter().rposition(waits).unwrap_or(0);
                    self.begin_again(before.as_ref(), &steps[..at]);
                    shown = None;
                }
                Wish::Leave => {
                    self.complain("the tutorial ends here; the session stays\n");
                    return Ending::Good;
                }
                Wish::End => return Ending::Left,
            }
        }
        self.show_prose(&prose(notebook, notebook.fences.len()));
        self.complain("this was the last cell; the session stays: type on, Ctrl-D leaves\n");
        Ending::Good
    }

    /// A line that fits.
    fn say(&self, text: &str) {
        self.complain(&show::filled(&escape::escaped(text), self.style().width));
    }

    fn show_prose(&self, text: &str) {
        let text = reflowed(&escape::escaped(text.trim_matches('\n')));
        if text.trim().is_empty() {
            return;
        }
        let style = self.style();
        let mut out = String::from("\n");
        for line in show::filled(&text, style.width).lines() {
            let is_head = line.starts_with('#');
            out.push_str(&if is_head { show::heading(line, &style) } else { line.to_string() });
            out.push('\n');
        }
        self.complain(&format!("{out}\n"));
    }

    fn show_cell(&self, input: &str) {
        let number = self.session.borrow().next_cell();
        let shown = escape::revealed(input).replace('\n', "\n… ");
        self.complain(&format!("[{number}]› {shown}\n"));
    }

    /// Waits for Enter or a word; what else is typed runs as a cell.
    fn wish(&mut self, auto: bool) -> Wish {
        if auto {
            return Wish::Next;
        }
        loop {
            let keys = self.session.borrow().settings.keys;
            let Some(editor) = &mut self.editor else { return Wish::Next };
            match editor.read("▸ ", keys) {
                Input::Cells(text) => match text.trim() {
                    "" => return Wish::Next,
                    "s" => return Wish::Skip,
                    "b" => return Wish::Back,
                    "q" => return Wish::Leave,
                    _ => {
                        self.session.borrow().stop.clear();
                        if matches!(self.typed(&crate::lang::split(&text)), Ending::Closed | Ending::Left) {
                            return Wish::End;
                        }
                    }
                },
                Input::Cancelled => {}
                Input::End | Input::Broken(_) => return Wish::End,
            }
        }
    }

    /// Asks what the person expects; any line is an answer.
    fn answer(&mut self, question: &str) -> Wish {
        self.say(question);
        let keys = self.session.borrow().settings.keys;
        let Some(editor) = &mut self.editor else { return Wish::Next };
        match editor.read("your guess: ", keys) {
            Input::Cells(_) | Input::Cancelled => Wish::Next,
            Input::End | Input::Broken(_) => Wish::End,
        }
    }

    /// Runs a cell and shows nothing but an error.
    fn run_unseen(&mut self, input: &str) {
        let context = self.session.borrow().context();
        let evaluation = evaluate(&mut self.session.borrow_mut(), input, &context);
        if let Some(error) = &evaluation.error {
            let told = self.told(error);
            self.complain(&told);
        }
    }

    /// The session as it was before the first step, or a fresh one, in which these cells have run.
    fn begin_again(&mut self, before: Option<&Snapshot>, steps: &[Step]) {
        if let Some(before) = before {
            self.session.borrow_mut().restore(before.clone());
        } else {
            let mut session = self.session.borrow_mut();
            let mut fresh = Session::new(session.settings.engine, session.console.clone());
            fresh.settings = session.settings.clone();
            fresh.stop = session.stop.clone();
            fresh.baselines = std::mem::take(&mut session.baselines);
            fresh.history = std::mem::take(&mut session.history);
            fresh.trusts = std::mem::take(&mut session.trusts);
            fresh.interactive = session.interactive;
            fresh.attended = session.attended;
            fresh.survives = session.survives;
            fresh.confined = session.confined;
            *session = fresh;
        }
        let runs = |step: &&Step| step.fence.directives.unmet().is_none();
        for step in steps.iter().filter(runs) {
            self.run_unseen(step.input);
        }
        self.complain("back: the cells before this one ran again\n");
    }
}

fn steps(notebook: &Notebook) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for (i, fence) in notebook.fences.iter().enumerate() {
        let mut before = prose(notebook, i);
        for (place, cell) in fence.cells.iter().enumerate() {
            steps.push(Step { fence, input: &cell.input, is_first: place == 0, prose: std::mem::take(&mut before) });
        }
    }
    steps
}

/// A text whose paragraphs are one line each, so that they fill the window; lists, headings and code stay as they are.
fn reflowed(text: &str) -> String {
    let is_own = |line: &str| {
        let is_numbered = line.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(". ");
        line.trim().is_empty() || line.starts_with(['#', '|', '>', ' ', '\t', '`', '~']) || is_numbered
    };
    let is_item = |line: &str| line.starts_with("- ") || line.starts_with("* ");
    let mut out = String::new();
    let mut is_open = false;
    for line in text.lines() {
        let starts = is_own(line) || is_item(line);
        if is_open && !starts {
            out.push(' ');
        } else if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
        is_open = !is_own(line);
    }
    out
}
