use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;

use crate::console::Reply;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::{file_name, revealed};
use crate::files;
use crate::lang::{self, MAX_BYTES, MagicSyntax, Privileges, Takes, split};
use crate::notebook::{Notebook, is_notebook, without_mark};
use crate::run_context::RunContext;
use crate::session::Session;
use crate::show;

use super::{Answer, Magic, Next, Offers, privileges, ranges};

pub static RUN: Magic = Magic {
    syntax: MagicSyntax {
        name: "run",
        usage: "%run [--trust] FILE",
        takes: Takes::Words,
        options: &[("--trust", false)],
    },
    about: "runs the cells of a script or a notebook (.md) as if they were typed\n\
            \n\
            Errors\n  \
            The first error ends it. Cells of a notebook that need what is not here are skipped.\n\
            \n\
            Trust\n  \
            A file with cells that contain Rust or system commands, or write outside the current folder, can do \
            anything.\n  \
            On a terminal these cells are shown first, with the cells that they depend on, and again when anything in \
            the\n  \
            file has changed. Without a terminal, it requires --trust.\n  \
            Trust applies to this file alone: a file that its cells run is checked separately.",
    examples: &["%run scripts/first-steps.txt"],
    offers: Offers::Files,
    // Without the option it asks by itself, when it knows what stands in the file.
    privileges: |magic| Privileges::RUNS_CODE.only_if(magic.option("--trust").is_some()),
    run,
};

/// The most that is read of a file of cells.
const MOST: u64 = 64 * MAX_BYTES as u64;

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let [path] = ranges::words(magic) else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%run` takes only one file").hint(RUN.syntax.usage));
    };
    let trusted = magic.option("--trust").is_some();
    let found = file_cells(session, &files::expanded(&path.text), trusted, "%run", context);
    let FileCells { cells, confined, skipped } = found.map_err(|error| error.or_at(path.span))?;
    skipped.iter().for_each(|line| session.console.err.write_line(line));
    Ok(Answer { next: Next { cells, confined, ..Next::default() }, ..Answer::default() })
}

/// The cells of a file that may run.
pub struct FileCells {
    pub cells: Vec<String>,
    /// Whether nobody was asked: then they keep to the current folder.
    pub confined: bool,
    /// Which cells of a notebook are left out, and why: a line for each fence. Who runs the file says so, because these
    /// lines belong to no cell.
    pub skipped: Vec<String>,
}

/// The cells of a file, if they may run. `said` is what runs it, for the hint.
pub fn file_cells(
    session: &mut Session,
    path: &Path,
    trusted: bool,
    said: &str,
    context: &RunContext,
) -> Fallible<FileCells> {
    let failed = |message: String| Diagnostic::new(Kind::File, message);
    let shown = file_name(path);
    let unread = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => failed(format!("there is no file \"{shown}\"")),
        _ => failed(format!("\"{shown}\" cannot be read: {error}")),
    };
    let metadata = std::fs::metadata(path).map_err(unread)?;
    if metadata.is_dir() {
        return Err(failed(format!("\"{shown}\" is a directory, not a file of cells")));
    }
    if !metadata.is_file() {
        // A device never ends, and a pipe waits for a writer.
        return Err(failed(format!("\"{shown}\" is not a regular file")).hint(format!("timelab < \"{shown}\"")));
    }
    if metadata.len() > MOST {
        let (most, size) = (MOST >> 20, metadata.len());
        return Err(failed(format!("\"{shown}\" has {size} bytes; the limit for a file of cells is {most} MiB"))
            .hint(format!("timelab < \"{shown}\"")));
    }
    let mut text = String::new();
    std::fs::File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text)).map_err(unread)?;
    let (cells, skipped) =
        if is_notebook(path) { notebook_cells(&text, &shown)? } else { (split(without_mark(&text)), Vec::new()) };
    let privileged: Vec<bool> = cells.iter().map(|cell| privileges(cell).any()).collect();
    if trusted || !privileged.contains(&true) {
        return Ok(FileCells { cells, confined: !trusted, skipped });
    }
    // The same name may be another file in another folder, and any change of the file may be one of what it does.
    let seen = (std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()), cells.clone());
    if !session.trusts.contains(&seen) {
        ask(session, path, &cells, &privileged, said, context)?;
        session.trusts.push(seen);
    }
    Ok(FileCells { cells, confined: false, skipped })
}

/// The cells of a notebook that can run here, and what is said of the others.
fn notebook_cells(text: &str, path: &str) -> Fallible<(Vec<String>, Vec<String>)> {
    let notebook = Notebook::parse(text).map_err(|faulty| {
        Diagnostic::new(Kind::File, format!("\"{path}\", line {}: {}", faulty.line, faulty.message))
    })?;
    let (mut cells, mut skipped) = (Vec::new(), Vec::new());
    for fence in &notebook.fences {
        match fence.directives.unmet() {
            None => cells.extend(fence.cells.iter().map(|cell| cell.input.clone())),
            Some(why) => {
                let count = fence.cells.len();
                let plural = if count == 1 { "cell" } else { "cells" };
                skipped.push(format!("line {}: {count} {plural} skipped: {why}", fence.line));
            }
        }
    }
    Ok((cells, skipped))
}

/// The places of the privileged cells, and of those before them that they depend on: what defines a name that they use,
/// and what changes the folder or a setting.
fn that_flow(cells: &[String], privileged: &[bool]) -> Vec<usize> {
    let words = |cell: &str| -> Vec<String> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        cell.split(|c| !is_part(c)).filter(|word| !word.is_empty()).map(str::to_string).collect()
    };
    let mut used: HashSet<String> = HashSet::new();
    let mut found = Vec::new();
    for (i, cell) in cells.iter().enumerate().rev() {
        let words = words(cell);
        let defines = |pair: &[String]| matches!(pair[0].as_str(), "let" | "fn") && used.contains(&pair[1]);
        // `_` is the result of any cell before it.
        let is_result = used.iter().any(|word| word.starts_with('_'));
        let changes =
            !found.is_empty() && ["%cd", "%set", "%run"].iter().any(|magic| cell.trim_start().starts_with(magic));
        if privileged[i] || changes || is_result || words.windows(2).any(defines) {
            found.push(i);
            used.extend(words);
        }
    }
    found.reverse();
    found
}

/// Lets the user decide about cells that can do anything.
fn ask(
    session: &Session,
    path: &Path,
    cells: &[String],
    privileged: &[bool],
    said: &str,
    context: &RunContext,
) -> Fallible<()> {
    let refused = |message: String| Diagnostic::new(Kind::System, message);
    let path = file_name(path);
    context.progress.hide();
    let shown = that_flow(cells, privileged);
    let count = privileged.iter().filter(|is| **is).count();
    let all: String = shown.iter().map(|i| revealed(&cells[*i]) + "\n").collect();
    let these = format!(
        "{count} of {} {} in \"{path}\" {}",
        cells.len(),
        if cells.len() == 1 { "cell" } else { "cells" },
        if count == 1 {
            "contains Rust, commands or writing elsewhere"
        } else {
            "contain Rust, commands or writing elsewhere"
        },
    );
    let more = match shown.len() - count {
        0 => String::new(),
        1 => ", and depend on 1 more".to_string(),
        more => format!(", and depend on {more} more"),
    };
    let width = session.settings.width.unwrap_or_else(show::terminal_width);
    let head = show::wrapped(&format!("{these}{more}. They can do anything that you can:"), width);
    let question = format!("{head}{all}run them? [y/N] ");
    match (session.console.ask)(&question, &|| context.stop.is_raised()) {
        Reply::Line(answer) if matches!(answer.as_str(), "y" | "yes") => Ok(()),
        Reply::Line(_) | Reply::End => Err(refused(format!("\"{path}\" was not run"))),
        Reply::Stopped => Err(Diagnostic::new(Kind::Stopped, format!("stopped: \"{path}\" was not run"))),
        Reply::CannotAsk => {
            let first = cells.iter().zip(privileged).find(|(_, is)| **is).map_or("", |(cell, _)| cell);
            let first = revealed(first.lines().next().unwrap_or_default());
            let error = refused(format!("\"{path}\" contains Rust, commands or writing elsewhere, such as: {first}"));
            Err(error.hint(format!("check these cells, then run them with: {said} --trust \"{path}\"")))
        }
    }
}
