use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::history::Entry;
use crate::lang::{self, MagicSyntax, Takes};
use crate::run_context::RunContext;
use crate::session::Session;

use super::{Answer, Magic, Offers, ranges};

pub static HISTORY: Magic = Magic {
    syntax: MagicSyntax {
        name: "history",
        usage: "%history [CELLS] [--all] [--find TEXT]",
        takes: Takes::Words,
        options: &[("--all", false), ("--find", true)],
    },
    about: "the cells of this session; --all: of all sessions, --find: those that hold a text; ✗ marks what failed",
    examples: &["%history", "%history -3", "%history --find sum"],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    let found = |cell: &str| match magic.option("--find") {
        Some(Some(part)) => cell.to_lowercase().contains(&part.text.to_lowercase()),
        _ => true,
    };
    let ranges = ranges::words(magic);
    let lines: Vec<String> = if magic.option("--all").is_some() || magic.option("--find").is_some() {
        if let Some(word) = ranges.first() {
            let message = "numbers belong to this session: with `--all` and `--find` there are none";
            return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint("%history --find \"two words\""));
        }
        let entries = if session.interactive {
            session.history.entries().map_err(|error| {
                Diagnostic::at(Kind::File, magic.span, format!("the history of all sessions cannot be read: {error}"))
            })?
        } else {
            // A script has no history but its own.
            let own = session.entered().iter();
            own.map(|entered| Entry { cell: entered.text.clone(), failed: entered.failed }).collect()
        };
        // The search itself is there already.
        let found = entries.iter().filter(|entry| found(&entry.cell) && !entry.cell.starts_with("%history"));
        found.map(|entry| line(if entry.failed { "✗" } else { "›" }, &entry.cell)).collect()
    } else {
        let cells = if ranges.is_empty() {
            session.entered().iter().enumerate().map(|(i, entered)| (i + 1, entered)).collect()
        } else {
            ranges::picked(session, ranges)?
        };
        let each = cells.into_iter().map(|(number, entered)| {
            let mark = if entered.failed { "✗" } else { "›" };
            line(&format!("[{number}]{mark}"), &entered.text)
        });
        each.collect()
    };
    let nothing = || "no such cells".to_string();
    Ok(Answer::text(if lines.is_empty() { nothing() } else { lines.join("\n") }))
}

/// A cell behind its mark; its further lines stand under the first.
fn line(mark: &str, cell: &str) -> String {
    let indent = format!("\n{}", " ".repeat(mark.chars().count() + 1));
    format!("{mark} {}", cell.replace('\n', &indent))
}
