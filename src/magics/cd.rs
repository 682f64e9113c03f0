use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files;
use crate::lang::{self, MagicSyntax, Privileges, Takes};
use crate::run_context::RunContext;
use crate::session::Session;

use super::{Answer, Magic, Offers, ranges};

pub static CD: Magic = Magic {
    syntax: MagicSyntax { name: "cd", usage: "%cd [FOLDER]", takes: Takes::Words, options: &[] },
    about: "shows the folder in which paths begin, or changes it for the cells that follow",
    examples: &["%cd", "%cd ."],
    offers: Offers::Files,
    // What later cells write then goes elsewhere.
    privileges: |magic| Privileges::WRITES_ELSEWHERE.only_if(!ranges::words(magic).is_empty()),
    run,
};

fn run(_: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    match ranges::words(magic) {
        [] => {}
        [word] => {
            let folder = files::expanded(&word.text);
            std::env::set_current_dir(&folder).map_err(|error| {
                let message = format!("\"{}\" cannot be the folder: {error}", folder.display());
                Diagnostic::at(Kind::File, word.span, message)
                    .hint("a name with spaces stands in quotes: %cd \"my data\"")
            })?;
        }
        _ => {
            return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%cd` takes one folder")
                .hint("a name with spaces stands in quotes: %cd \"my data\""));
        }
    }
    let here = std::env::current_dir().map_err(|error| {
        Diagnostic::at(Kind::System, magic.span, format!("this folder is not there any more: {error}"))
    })?;
    Ok(Answer::text(here.display().to_string()))
}
