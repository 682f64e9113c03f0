//! The options of magics that measure commands.

use std::path::PathBuf;

use crate::commands::Output;
use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files;
use crate::lang::{self, Cell, Word, parse};
use crate::report::{Field, Note, Unit};
use crate::session::Session;
use crate::session::programs::{Command, Form, Step, Told};
use crate::show::bytes_text;

use super::{Tables, timing};

/// What the help of each of them says, behind its other parts.
macro_rules! command_help {
    ($($rest:literal)?) => {
        concat!(
            "\n\nCommands\n  \
             `!cmd` to the end of the line is a command. Deeper-indented lines below continue it.\n  \
             `{n}` inserts a name of the sweep or the session, a text as one quoted word (without \
             quotes of yours around it); `{{` is a brace.\n  \
             Without shell syntax the program is started directly. Otherwise `sh -c` runs it, and the start of the \
             shell is in the times.\n  If one command of a comparison needs a shell, `sh -c` runs all of them.\n  \
             Its output is not shown; _.stdout, _.stderr and _.status are values.\n  \
             --prepare (CELL), --prepare \"CMD\"  runs before each sample, not counted\n  \
             --cleanup (CELL), --cleanup \"CMD\"  runs once at the end, also after a failure and Ctrl-C\n  \
             --input FILE  standard input; otherwise it is empty\n  \
             --ok 0,1      accepted exit statuses; 0 unless specified",
            $($rest)?
        )
    };
}
pub(super) use command_help;

/// What the magic says about its commands.
pub fn told(session: &mut Session, magic: &lang::Magic) -> Fallible<Told> {
    let usual = Told::default();
    let input = magic.option("--input").flatten().map(input).transpose()?;
    let ok = magic.option("--ok").flatten().map(statuses).transpose()?;
    let form = magic.option("--as").flatten().map(form).transpose()?;
    let warmup = magic.option("--warmup").flatten().map(count).transpose()?;
    Ok(Told {
        input,
        ok: ok.unwrap_or(usual.ok),
        prepare: step(session, magic, "--prepare")?,
        cleanup: step(session, magic, "--cleanup")?,
        warmup: warmup.unwrap_or(usual.warmup),
        runs: timing::asked_count(magic, "--runs")?,
        form: form.unwrap_or(usual.form),
        ..usual
    })
}

/// Refuses options that only commands have, where there is none.
pub fn only_for_commands(magic: &lang::Magic) -> Fallible<()> {
    const OPTIONS: [&str; 7] = ["--prepare", "--cleanup", "--warmup", "--runs", "--input", "--ok", "--as"];
    match magic.options.iter().find(|(option, _)| OPTIONS.contains(&option.text.as_str())) {
        None => Ok(()),
        Some((option, _)) => {
            let message = format!("`{}` only applies to commands, and there is none", option.text);
            Err(Diagnostic::at(Kind::Syntax, option.span, message).hint("a command begins with `!`: !ls samples"))
        }
    }
}

/// What later cells may read of a command.
pub fn values(command: &Command) -> Vec<Field> {
    let text = |bytes: &[u8]| Value::text(&String::from_utf8_lossy(bytes));
    let output = command.output().unwrap_or_default();
    let status = command.status().map_or(Value::Null, |status| Value::Int(status.into()));
    vec![
        Field::counted("stdout", text(&output.kept), Unit::Plain),
        Field::counted("stderr", text(&output.errors), Unit::Plain),
        Field::counted("status", status, Unit::Plain),
    ]
}

/// That `_.stdout` has the beginning only.
pub fn cut_stdout(command: &Command) -> Option<Note> {
    cut_output(&*command.output()?, "", "_.stdout")
}

/// That what is kept of an output is its beginning only.
pub fn cut_output(output: &Output, whose: &str, place: &str) -> Option<Note> {
    let [all, kept] = [output.length, output.kept.len() as u64].map(|bytes| bytes_text(bytes as f64));
    (!output.is_whole()).then(|| format!("{whose}{place} has the first {kept} of an output of {all}").into())
}

/// What the notes about commands may say.
pub const SAYS: &[&str] =
    &["its output changes from run to run", "{count} processes that <it|commands> left behind were ended", "~{bytes}"];

/// How a command was run, and what is to be known about its figures, which are at least `floor` bytes.
pub fn notes(command: &Command, floor: u64) -> Vec<Note> {
    let mut notes = Vec::new();
    notes.push(match command.shell_start() {
        _ if !command.is_shell() => Note::from("started directly, without a shell"),
        Some(start) => {
            Note::from("run by `sh -c`, whose own start (").seconds(start).text(" of wall time here) is in the times")
        }
        None => Note::from("run by `sh -c`, whose own start is in the times"),
    });
    if command.changes() {
        notes.push(Note::from("its output changes from run to run").optional());
    }
    notes.extend(cut_stdout(command));
    let left: u64 = command.samples().iter().map(|ran| ran.left).sum();
    if left > 0 {
        notes.push(Note::default().found(format!("{left} processes that it left behind were ended")).optional());
    }
    notes.push(least_memory(floor));
    notes
}

/// From where on the memory of a command can be seen.
pub fn least_memory(floor: u64) -> Note {
    let note =
        Note::from("peak is the resident memory of its largest process; less than ").found(bytes_text(floor as f64));
    note.text(" cannot be seen, which is what the process has that starts commands")
}

fn input(word: &Word) -> Fallible<PathBuf> {
    let path = files::expanded(&word.text);
    match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(path),
        Ok(_) => Err(Diagnostic::at(Kind::File, word.span, format!("\"{}\" is not a file", word.text))),
        Err(error) => Err(Diagnostic::at(Kind::File, word.span, format!("\"{}\" cannot be read: {error}", word.text))),
    }
}

fn statuses(word: &Word) -> Fallible<Vec<i32>> {
    let status = |text: &str| text.trim().parse::<u8>().ok().map(i32::from);
    word.text.split(',').map(status).collect::<Option<Vec<i32>>>().ok_or_else(|| {
        let message = format!("`--ok` must be exit statuses from 0 to 255, got `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).hint("--ok 0,1, without spaces")
    })
}

fn form(word: &Word) -> Fallible<Form> {
    Form::ALL.iter().find(|(name, _)| *name == word.text).map(|(_, form)| *form).ok_or_else(|| {
        let message = format!("`--as` must be text, csv, json or lines, got `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).near(&word.text, Form::ALL.map(|(name, _)| name))
    })
}

fn count(word: &Word) -> Fallible<u64> {
    lang::whole_number(&word.text).filter(|count| *count <= 1_000_000).ok_or_else(|| {
        let message = format!("`--warmup` must be an int from 0 to 1M, got `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).hint("--warmup 3")
    })
}

/// What is done beside the command: statements in brackets, else a command.
fn step(session: &mut Session, magic: &lang::Magic, option: &str) -> Fallible<Option<Step>> {
    let Some(word) = magic.option(option).flatten() else { return Ok(None) };
    let in_brackets = session.words(word.span).starts_with('(');
    if !in_brackets {
        return Ok(Some(Step::Command(word.clone())));
    }
    let id = session.remember(&word.text);
    match parse(id, &word.text, &Tables)? {
        Cell::Statements(statements) => Ok(Some(Step::Cell(statements))),
        Cell::Command(command) => Ok(Some(Step::Command(command))),
        Cell::Empty => Ok(None),
        Cell::Magic(_) | Cell::Help(_) | Cell::Source(_) => {
            let message = format!("`{option}` expects statements or a command");
            Err(Diagnostic::at(Kind::Syntax, word.span, message).hint(format!("{option} \"sync\"")))
        }
    }
}
