use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::job::Job;
use crate::lang::{self, MAX_BYTES, MagicSyntax, Takes, holds_rust, split};
use crate::session::Session;

use super::{Answer, Magic, Next, Offers, ranges};

pub static RUN: Magic = Magic {
    syntax: MagicSyntax {
        name: "run",
        usage: "%run [--trust] FILE",
        takes: Takes::Words,
        options: &[("--trust", false)],
    },
    about: "runs the cells of a file as if they were typed; the first that fails ends it. A file whose cells hold Rust or commands \
            of the system's shell can do anything: on a terminal they are shown first, elsewhere --trust must be said",
    examples: &["%run scripts/first-steps.txt"],
    offers: Offers::Files,
    run,
};

/// The most that is read of a file of cells.
const MOST: u64 = 64 * MAX_BYTES as u64;

fn run(session: &mut Session, magic: &lang::Magic, job: &Job) -> Fallible<Answer> {
    let [path] = ranges::words(magic) else {
        return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%run` takes one file").hint(RUN.syntax.usage));
    };
    let failed = |message: String| Diagnostic::at(Kind::File, path.span, message);
    let size = std::fs::metadata(&path.text).map_or(0, |metadata| metadata.len());
    if size > MOST {
        return Err(failed(format!("\"{}\" is no file of cells: it has {size} bytes", path.text)));
    }
    let text = std::fs::read_to_string(&path.text).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed(format!("there is no file \"{}\"", path.text)),
        _ => failed(format!("\"{}\" cannot be read: {error}", path.text)),
    })?;
    let cells = split(&text);
    let powerful: Vec<&String> = cells.iter().filter(|cell| reaches_out(cell)).collect();
    if !powerful.is_empty() && magic.option("--trust").is_none() && !session.trusts.contains(&path.text) {
        trusted(session, path, &powerful, job)?;
        session.trusts.push(path.text.clone());
    }
    Ok(Answer { next: Next { cells, typed: false }, ..Answer::default() })
}

/// Whether a cell may hold Rust, or a command of the system's shell.
fn reaches_out(cell: &str) -> bool {
    cell.starts_with("%%rust")
        || holds_rust(cell)
        || cell.lines().any(|line| line.trim_start().starts_with('!') || line.contains("= !"))
}

/// Lets the person decide about cells that can do anything.
fn trusted(session: &Session, path: &lang::Word, cells: &[&String], job: &Job) -> Fallible<()> {
    let refused = |message: String| Err(Diagnostic::at(Kind::System, path.span, message));
    if !session.interactive {
        let first = cells[0].lines().next().unwrap_or_default();
        let message = format!("\"{}\" holds Rust or commands, such as: {first}", path.text);
        return refused(message).map_err(|error| error.hint("%run --trust FILE runs them; look at them before"));
    }
    job.progress.hide();
    let shown: String =
        cells.iter().map(|cell| cell.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}") + "\n").collect();
    eprint!("\"{}\" holds Rust or commands, which can do anything that you can:\n{shown}run them? [y/N] ", path.text);
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    match answer.trim() {
        "y" | "yes" if read.is_ok() => Ok(()),
        _ => refused(format!("\"{}\" was not run", path.text)),
    }
}
