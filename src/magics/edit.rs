use std::io::Write;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, MagicSyntax, Takes, split};
use crate::run_context::RunContext;
use crate::session::{Session, run_process, shell_command};

use super::{Answer, Magic, Next, Offers, ranges};

pub static EDIT: Magic = Magic {
    syntax: MagicSyntax { name: "edit", usage: "%edit [CELLS]", takes: Takes::Words, options: &[] },
    about: "opens cells (the last one unless specified) in $VISUAL or $EDITOR, then runs the text if it changed",
    examples: &[],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let failed = |message: String| Diagnostic::at(Kind::System, magic.span, message);
    if !session.interactive {
        return Err(failed("an editor needs a terminal, and this session has none".to_string()));
    }
    let ranges = ranges::words(magic);
    let cells: Vec<&str> = if ranges.is_empty() {
        session.entered().last().map(|entered| entered.text.as_str()).into_iter().collect()
    } else {
        ranges::picked(session, ranges)?.into_iter().map(|(_, entered)| entered.text.as_str()).collect()
    };
    let before = cells.join("\n");
    let after = edit(&before, session, context).map_err(failed)?;
    if after.trim() == before.trim() {
        return Ok(Answer::text("nothing was changed, so nothing is run".to_string()));
    }
    let next = Next { cells: split(&after), typed: true, ..Next::default() };
    Ok(Answer { next, ..Answer::default() })
}

/// The text as the person's editor leaves it.
fn edit(text: &str, session: &Session, context: &RunContext) -> Result<String, String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_string());
    let failed = |error: std::io::Error| format!("cannot edit the cell: {error}");
    let mut file = tempfile::Builder::new().prefix("cell-").suffix(".timelab").tempfile().map_err(failed)?;
    writeln!(file, "{text}").map_err(failed)?;
    // The variable may hold arguments: the system's shell splits it, and takes the path as it is.
    let mut command = shell_command(&format!("{editor} \"$1\""));
    let (status, _) = run_process(command.arg("sh").arg(file.path()), false, &session.console, context)
        .map_err(|error| format!("`{editor}`: {}", error.message))?;
    if !status.success() {
        return Err(format!("`{editor}` failed ({status}), so nothing is run"));
    }
    std::fs::read_to_string(file.path()).map_err(failed)
}
