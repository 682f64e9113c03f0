use crate::autosave::Autosave;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::file_name;
use crate::lang::{self, MagicSyntax, Privileges, Takes};
use crate::notebook::Notebook;
use crate::run_context::RunContext;
use crate::session::Session;

use super::{Answer, Magic, Next, Offers, ranges};

pub static RESTORE: Magic = Magic {
    syntax: MagicSyntax { name: "restore", usage: "%restore", takes: Takes::Words, options: &[] },
    about: "runs the cells of the last session again that ended without leaving, as after a crash\n\n\
            Saving\n  \
            The shell saves its cells after each one, in the folder sessions beside its history, for you alone. The \
            last ten sessions are kept. %set autosave off stops it.\n  \
            Cells that failed are left out. The first that fails now ends it.",
    examples: &[],
    offers: Offers::Nothing,
    // The cells were typed by the same person.
    privileges: |_| Privileges::RUNS_CODE,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    if let Some(word) = ranges::words(magic).first() {
        return Err(Diagnostic::at(Kind::Syntax, word.span, "`%restore` takes no arguments").hint("%restore"));
    }
    let none = || {
        Diagnostic::at(Kind::File, magic.span, "no session was lost: all ended as they should")
            .hint("%history --all lists the cells of all sessions")
    };
    if !session.interactive {
        return Err(Diagnostic::at(Kind::System, magic.span, "`%restore` is for a shell at a terminal"));
    }
    let path = Autosave::own().and_then(|own| own.lost()).ok_or_else(none)?;
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Diagnostic::at(Kind::File, magic.span, format!("\"{}\" cannot be read: {error}", file_name(&path)))
    })?;
    let notebook = Notebook::parse(&text).map_err(|faulty| {
        let message = format!("\"{}\", line {}: {}", file_name(&path), faulty.line, faulty.message);
        Diagnostic::at(Kind::File, magic.span, message)
    })?;
    let cells = notebook.cells().map(|(_, cell)| cell.input.clone()).collect();
    Ok(Answer { next: Next { cells, typed: true, ..Next::default() }, ..Answer::default() })
}
