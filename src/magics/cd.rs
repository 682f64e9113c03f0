use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::file_name;
use crate::files;
use crate::lang::{self, MagicSyntax, Privileges, Takes};
use crate::run_context::RunContext;
use crate::session::Session;

use super::{Answer, Magic, Offers, ranges};

pub static CD: Magic = Magic {
    syntax: MagicSyntax { name: "cd", usage: "%cd [FOLDER]", takes: Takes::Words, options: &[] },
    about: "shows the folder where paths begin, or changes it for later cells",
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
                let message = format!("cannot change to \"{}\": {error}", file_name(&folder));
                Diagnostic::at(Kind::File, word.span, message).hint("put a name with spaces in quotes: %cd \"my data\"")
            })?;
        }
        _ => {
            return Err(Diagnostic::at(Kind::Syntax, magic.span, "`%cd` takes only one folder")
                .hint("put a name with spaces in quotes: %cd \"my data\""));
        }
    }
    let here = std::env::current_dir()
        .map_err(|error| Diagnostic::at(Kind::System, magic.span, format!("this folder no longer exists: {error}")))?;
    Ok(Answer::text(file_name(&here)))
}
