use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines;
use crate::files;
use crate::lang::{self, MagicSyntax, Privileges, Takes};
use crate::run_context::RunContext;
use crate::session::{Session, settings};

use super::privileges::of_engines;
use super::{Answer, Magic, Offers, ranges};

pub static SET: Magic = Magic {
    syntax: MagicSyntax { name: "set", usage: "%set [NAME [VALUE]]", takes: Takes::Words, options: &[] },
    about: "shows the settings or one of them, or changes one for later cells",
    examples: &[
        "%set",
        "%set memory",
        "%set engine rows",
        "%set seed 7",
        "%set memory 2GiB",
        "%set theme light",
        "%set timing off",
    ],
    offers: Offers::Settings,
    privileges: |magic| match ranges::words(magic) {
        [name, value] if name.text == "engine" => of_engines(&value.text),
        [name, value] if name.text == "scratch" && value.text != "auto" => {
            Privileges::WRITES_ELSEWHERE.only_if(files::leads_outside(&value.text))
        }
        [name, _] if name.text == "python" => Privileges::RUNS_CODE,
        [name, _] if engines::REMOTE.iter().any(|engine| engine.name() == name.text) => Privileges::REACHES_NETWORK,
        _ => Privileges::NONE,
    },
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    match ranges::words(magic) {
        [] => Ok(shown(session, settings::ALL)),
        [name] => {
            let setting = settings::find(name)?;
            Ok(shown(session, std::slice::from_ref(setting)))
        }
        [name, value] => {
            let setting = settings::find(name)?;
            // A link may have changed since the file of cells was judged.
            if setting.name == "scratch"
                && session.confined
                && value.text != "auto"
                && files::leads_outside(&value.text)
            {
                let message = "a file of cells that is not trusted can use only scratch folders in the current folder";
                return Err(Diagnostic::at(Kind::File, value.span, message).hint("--trust"));
            }
            (setting.set)(&mut session.settings, value)?;
            Ok(Answer::default())
        }
        [name, value, surplus, ..] => {
            settings::find(name)?;
            let error = Diagnostic::at(Kind::Syntax, surplus.span, "`%set` takes only one name and one value");
            let ended = value.text.ends_with(';') || surplus.text.starts_with(';');
            Err(error.hint(if ended { "put what follows a magic into a separate cell" } else { SET.syntax.usage }))
        }
    }
}

/// These settings, for people and for programs.
fn shown(session: &Session, which: &[settings::Setting]) -> Answer {
    let row = |setting: &settings::Setting| {
        let value = (setting.value)(&session.settings);
        vec![Value::text(setting.name), Value::text(&value), Value::text(setting.values)]
    };
    let rows: Vec<Vec<Value>> = which.iter().map(row).collect();
    let columns = [("name", Type::Text), ("value", Type::Text), ("values", Type::Text)];
    Answer::told(table(session, which), &columns, &rows)
}

/// Each setting with its value and what it means.
fn table(session: &Session, which: &[settings::Setting]) -> String {
    let shown: Vec<(&settings::Setting, String)> =
        which.iter().map(|setting| (setting, (setting.value)(&session.settings))).collect();
    let width = shown.iter().map(|(_, value)| value.chars().count()).max().unwrap_or(0);
    let names = shown.iter().map(|(setting, _)| setting.name.len()).max().unwrap_or(0);
    let line = |(setting, value): &(&settings::Setting, String)| {
        format!("{:names$}  {value:width$}  {}  ({})", setting.name, setting.about, setting.values)
    };
    shown.iter().map(line).collect::<Vec<_>>().join("\n")
}
