use std::path::Path;

use crate::console::Reply;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files;
use crate::lang::{self, MAX_BYTES, MagicSyntax, Privileges, Takes, split};
use crate::run_context::RunContext;
use crate::session::Session;
use crate::show::is_unsafe;

use super::{Answer, Magic, Next, Offers, privileges, ranges};

pub static RUN: Magic = Magic {
    syntax: MagicSyntax {
        name: "run",
        usage: "%run [--trust] FILE",
        takes: Takes::Words,
        options: &[("--trust", false)],
    },
    about: "runs the cells of a file as if they were typed; the first error ends it. A file whose cells hold Rust \
            or commands of the system's shell, or write outside of the current folder, can do anything: on a terminal \
            they are shown first, and again where they have changed; elsewhere --trust must be said. That counts for \
            this file: one that its cells run is looked at by itself",
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
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%run` takes one file").hint(RUN.syntax.usage));
    };
    let trusted = magic.option("--trust").is_some();
    let cells = file_cells(session, &files::expanded(&path.text), trusted, "%run", context).map_err(|mut error| {
        error.span.get_or_insert(path.span);
        error
    })?;
    Ok(Answer { next: Next { cells, ..Next::default() }, ..Answer::default() })
}

/// The cells of a file, if they may run. `said` is what runs it, for the hint.
pub fn file_cells(
    session: &mut Session,
    path: &Path,
    trusted: bool,
    said: &str,
    context: &RunContext,
) -> Fallible<Vec<String>> {
    let failed = |message: String| Diagnostic::new(Kind::File, message);
    let shown = path.display();
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if size > MOST {
        return Err(failed(format!("\"{shown}\" is not a file of cells: it has {size} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed(format!("there is no file \"{shown}\"")),
        _ => failed(format!("\"{shown}\" cannot be read: {error}")),
    })?;
    let cells = split(&text);
    let privileged: Vec<String> = cells.iter().filter(|cell| privileges(cell).any()).cloned().collect();
    if privileged.is_empty() || trusted {
        return Ok(cells);
    }
    // The same name may be another file in another folder.
    let seen = (std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()), privileged);
    if !session.trusts.contains(&seen) {
        ask(session, path, &seen.1, said, context)?;
        session.trusts.push(seen);
    }
    Ok(cells)
}

/// Lets the user decide about cells that can do anything.
fn ask(session: &Session, path: &Path, cells: &[String], said: &str, context: &RunContext) -> Fallible<()> {
    let refused = |message: String| Diagnostic::new(Kind::System, message);
    let path = path.display();
    context.progress.hide();
    let all: String = cells.iter().map(|cell| escape(cell) + "\n").collect();
    let question = format!(
        "\"{path}\" holds Rust, commands or writing elsewhere, which can do anything that you can:\n{all}run them? \
         [y/N] "
    );
    match (session.console.ask)(&question, &|| context.stop.is_raised()) {
        Reply::Line(answer) if matches!(answer.as_str(), "y" | "yes") => Ok(()),
        Reply::Line(_) | Reply::End => Err(refused(format!("\"{path}\" was not run"))),
        Reply::Stopped => Err(Diagnostic::new(Kind::Stopped, format!("stopped: \"{path}\" was not run"))),
        Reply::CannotAsk => {
            let first = escape(cells[0].lines().next().unwrap_or_default());
            let error = refused(format!("\"{path}\" holds Rust, commands or writing elsewhere, such as: {first}"));
            Err(error.hint(format!("{said} --trust \"{path}\" runs them; look at them before")))
        }
    }
}

/// A text that looks like what it is.
fn escape(text: &str) -> String {
    text.replace(|c| is_unsafe(c) && !matches!(c, '\n' | '\t'), "\u{fffd}")
}
