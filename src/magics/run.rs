use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::job::Job;
use crate::lang::{self, MAX_BYTES, MagicSyntax, Takes, split};
use crate::session::Session;

use super::{Answer, Magic, Next, Offers, ranges};

pub static RUN: Magic = Magic {
    syntax: MagicSyntax { name: "run", usage: "%run FILE", takes: Takes::Words, options: &[] },
    about: "runs the cells of a file as if they were typed; the first that fails ends it",
    examples: &["%run scripts/first-steps.txt"],
    offers: Offers::Files,
    run,
};

/// The most that is read of a file of cells.
const MOST: u64 = 64 * MAX_BYTES as u64;

fn run(_: &mut Session, magic: &lang::Magic, _: &Job) -> Fallible<Answer> {
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
    let next = Next { cells: split(&text), typed: false };
    Ok(Answer { next, ..Answer::default() })
}
