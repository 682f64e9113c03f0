use crate::diagnostic::{Diagnostic, Fallible, Kind, listed};
use crate::engines;
use crate::job::Job;
use crate::lang::{self, MagicSyntax, Subject, Takes};
use crate::report::{Block, Report};
use crate::session::Session;

use super::{Answer, Magic};

pub static SET: Magic = Magic {
    syntax: MagicSyntax { name: "set", usage: "%set [engine NAME | seed N]", takes: Takes::Words, options: &[] },
    about: "shows the settings, or changes one for the cells that follow",
    examples: &["%set", "%set engine rows", "%set seed 7"],
    run,
};

const NAMES: [&str; 2] = ["engine", "seed"];

fn run(session: &mut Session, magic: &lang::Magic, _: &Job) -> Fallible<Answer> {
    let words = match &magic.subject {
        Subject::Words(words) => &words[..],
        _ => &[],
    };
    match words {
        [] => {
            let settings = &session.settings;
            let engine = settings.engine.map_or(format!("{} (the default)", engines::default().name()), str::to_string);
            let text = format!("engine  {}\nseed    {}", engine, settings.seed);
            return Ok(Answer { report: Report { blocks: vec![Block::Text(text)], quiet: Vec::new() }, result: None });
        }
        [name, value] if name.text == "engine" => {
            let names: Vec<&str> = engines::ALL.iter().map(|engine| engine.name()).collect();
            let Some(engine) = engines::find(&value.text) else {
                let message = format!("unknown engine `{}`; engines are {}", value.text, listed(&names));
                return Err(Diagnostic::at(Kind::Name, value.span, message).near(&value.text, names.iter().copied()));
            };
            session.settings.engine = Some(engine.name());
        }
        [name, value] if name.text == "seed" => {
            session.settings.seed = value.text.parse().map_err(|_| {
                Diagnostic::at(Kind::Type, value.span, format!("a seed is an int, but this is `{}`", value.text))
            })?;
        }
        [name] if NAMES.contains(&name.text.as_str()) => {
            return Err(Diagnostic::at(Kind::Syntax, name.span, format!("`{}` wants a value", name.text))
                .hint(SET.syntax.usage));
        }
        [name, ..] if NAMES.contains(&name.text.as_str()) => {
            return Err(
                Diagnostic::at(Kind::Syntax, magic.span, "`%set` takes one name and one value").hint(SET.syntax.usage)
            );
        }
        [name, ..] => {
            let message = format!("unknown setting `{}`; there are {}", name.text, listed(&NAMES));
            return Err(Diagnostic::at(Kind::Name, name.span, message).near(&name.text, NAMES));
        }
    }
    Ok(Answer::default())
}
