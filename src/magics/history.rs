use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::history::Entry;
use crate::lang::{self, MagicSyntax, Takes};
use crate::report::{Block, Note, Piece, Report};
use crate::run_context::RunContext;
use crate::session::{Entered, MOST_BYTES, Session};
use crate::show::bytes_text;

use super::{Answer, Magic, Offers, ranges};

pub static HISTORY: Magic = Magic {
    syntax: MagicSyntax {
        name: "history",
        usage: "%history [CELLS] [-o] [--all] [--find TEXT]",
        takes: Takes::Words,
        options: &[("-o", false), ("--all", false), ("--find", true)],
    },
    about: "lists cells of this session; -o: with output, --all: of all sessions, --find: with a text; ✗: failed",
    examples: &["%history", "%history -3 -o", "%history --find sum"],
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
    let row = |number: Option<usize>, cell: &str, failed: bool| {
        let number = number.map_or(Value::Null, |number| Value::Int(number as i64));
        vec![number, Value::text(cell), Value::Bool(failed)]
    };
    let (lines, rows): (Vec<String>, Vec<Vec<Value>>) =
        if magic.option("--all").is_some() || magic.option("--find").is_some() {
            if let Some(word) = ranges.first() {
                let message = "cell numbers belong to this session and cannot be used with `--all` or `--find`";
                return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint("%history --find \"two words\""));
            }
            let entries = if session.attended {
                session.history.entries().map_err(|error| {
                    Diagnostic::at(Kind::File, magic.span, format!("cannot read the history of all sessions: {error}"))
                })?
            } else {
                // A script has no history but its own.
                let own = session.entered().iter();
                own.map(|entered| Entry { cell: entered.text.clone(), failed: entered.failed }).collect()
            };
            // The search itself is there already.
            let found = entries.iter().filter(|entry| found(&entry.cell) && !entry.cell.starts_with("%history"));
            let each = |entry: &Entry| {
                (line(if entry.failed { "✗" } else { "›" }, &entry.cell), row(None, &entry.cell, entry.failed))
            };
            found.map(each).unzip()
        } else {
            let cells: Vec<(usize, &Entered)> = if ranges.is_empty() {
                session.entered().iter().enumerate().map(|(i, entered)| (i + 1, entered)).collect()
            } else {
                ranges::picked(session, ranges)?
            };
            let head = |number: usize, entered: &Entered| {
                let mark = if entered.failed { "✗" } else { "›" };
                line(&format!("[{number}]{mark}"), &entered.text)
            };
            if magic.option("-o").is_some() && !cells.is_empty() {
                let blocks = cells.iter().flat_map(|(number, cell)| with_output(head(*number, cell), cell)).collect();
                return Ok(Answer { report: Report { blocks, ..Report::default() }, ..Answer::default() });
            }
            let each = |(number, entered)| (head(number, entered), row(Some(number), &entered.text, entered.failed));
            cells.into_iter().map(each).unzip()
        };
    let text = if lines.is_empty() { "no matching cells".to_string() } else { lines.join("\n") };
    Ok(Answer::told(text, &[("number", Type::Int), ("cell", Type::Text), ("failed", Type::Bool)], &rows))
}

/// A cell and what it showed.
fn with_output(head: String, cell: &Entered) -> Vec<Block> {
    let mut blocks = vec![Block::Text(head)];
    match &cell.report {
        // It would hold all that stands above once more.
        Some(_) if cell.text.starts_with("%history") => {}
        Some(Report { blocks: shown, status_line }) => {
            blocks.extend(shown.iter().cloned());
            let parts = status_line.iter().map(|note| note.pieces.clone());
            let pieces = parts.collect::<Vec<_>>().join(&Piece::Text(" · ".to_string()));
            if !pieces.is_empty() {
                blocks.push(Block::Notes(vec![Note { pieces, is_optional: false }]));
            }
        }
        None => {
            let (held, most) = (bytes_text(cell.bytes as f64), bytes_text(MOST_BYTES as f64));
            let told = format!("its output was dropped: it takes {held}, and results are kept up to {most} in total");
            blocks.push(Block::Notes(vec![told.into()]));
        }
    }
    blocks
}

/// A cell behind its mark; its further lines stand under the first.
fn line(mark: &str, cell: &str) -> String {
    let indent = format!("\n{}", " ".repeat(mark.chars().count() + 1));
    format!("{mark} {}", cell.replace('\n', &indent))
}
