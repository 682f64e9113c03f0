//! Profiles of programs: Python's own profiler, or samples of any program.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Pipeline, Word};
use crate::magics::command_options;
use crate::profiles;
use crate::report::{Block, Map, Note};
use crate::run_context::RunContext;
use crate::session::programs::{SamplerKind, Told};
use crate::session::{Session, lone_command};

use super::super::{Answer, CellStatus};
use super::table::Shape;

pub fn command(
    session: &mut Session,
    magic: &lang::Magic,
    subject: &Pipeline,
    shape: &Shape,
    context: &RunContext,
) -> Fallible<Answer> {
    let word = lone_command(subject).expect("it was looked at");
    session.programs.told = Told { runs: Some(1), ..command_options::told(session, magic)? };
    session.settle(context)?;
    let (text, _) = session.with_values(&word.text);
    match python(&text) {
        Some(arguments) => python_profile(session, magic, word, &arguments, shape, context),
        None => sampled(session, magic, subject, shape, context),
    }
}

/// Samples of any program.
fn sampled(
    session: &mut Session,
    magic: &lang::Magic,
    subject: &Pipeline,
    shape: &Shape,
    context: &RunContext,
) -> Fallible<Answer> {
    let kind = sampler(magic)?;
    let choice = session.engine(None)?;
    let one = session.subject(subject, choice, context)?;
    let command = one.command().expect("a command was drafted");
    let subject_text = command.text.clone();
    let (ran, is_good, profile) = command.sampled(kind, context).map_err(|error| error.or_at(subject.span))?;
    let errors = command.output().and_then(|output| output.last_errors());
    let values = command_options::values(command);
    drop(one);
    if profile.nodes.len() < 2 {
        let message = "the program took no sample: it used less than a millisecond of CPU time in user space";
        return Err(Diagnostic::at(Kind::Domain, subject.span, message).hint("profile a longer run of it"));
    }
    let mut notes = Vec::new();
    if command_name(&subject_text).starts_with("python") {
        let note = "sampled as a program of C: its own functions are not seen. %prof !python3 FILE, -m MODULE or -c \
                    CODE runs it under cProfile";
        notes.push(note.into());
    }
    if !is_good {
        notes.push(Note::from(format!("✗ the program failed: {}", ran.ending())));
        notes.extend(errors.map(|said| Note::from(format!("its standard error ends: {said}"))));
    }
    let mut answer = super::answer(session, magic, profile, shape, notes, true);
    if let Some(crate::plan::Binding::Result { fields, .. }) = &mut answer.result {
        fields.extend(values);
    }
    if !is_good {
        answer.status = CellStatus::Failed;
    }
    Ok(answer)
}

/// The name of the program with which a command begins.
fn command_name(text: &str) -> &str {
    let first = text.split_whitespace().next().unwrap_or_default();
    first.rsplit('/').next().unwrap_or_default()
}

/// What is to sample the subject, where that was said.
pub fn sampler(magic: &lang::Magic) -> Fallible<Option<SamplerKind>> {
    match magic.option("--sampler").flatten() {
        None => Ok(None),
        Some(word) if word.text == "perf" => Ok(Some(SamplerKind::Perf)),
        Some(word) if word.text == "preload" => Ok(Some(SamplerKind::Preload)),
        Some(word) => {
            let message = format!("`--sampler` must be perf or preload, got `{}`", word.text);
            Err(Diagnostic::at(Kind::Type, word.span, message).near(&word.text, ["perf", "preload"]))
        }
    }
}

/// The interpreter, and what stands behind it where that is a program: `app.py …`, `-m MODULE …`, `-c CODE …`.
fn python(text: &str) -> Option<(String, String)> {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace)?;
    let (interpreter, rest) = (&text[..end], text[end..].trim());
    let name = interpreter.rsplit('/').next()?;
    let version = name.strip_prefix("python")?;
    let is_version = version.chars().all(|c| c.is_ascii_digit() || c == '.');
    // Its other options would be those of the profiler.
    let is_program = !rest.starts_with('-') || rest.starts_with("-m ") || rest.starts_with("-c ");
    (is_version && !rest.is_empty() && is_program).then(|| (interpreter.to_string(), rest.to_string()))
}

fn python_profile(
    session: &mut Session,
    magic: &lang::Magic,
    word: &Word,
    (interpreter, rest): &(String, String),
    shape: &Shape,
    context: &RunContext,
) -> Fallible<Answer> {
    let system =
        |error: std::io::Error| Diagnostic::new(Kind::System, format!("no temporary file can be made: {error}"));
    let folder = tempfile::tempdir().map_err(system)?;
    let dump = folder.path().join("dump.prof");
    let shown = dump.to_string_lossy();
    let profiled = match rest.strip_prefix("-c ") {
        // The profiler takes files and modules.
        Some(code) => {
            let file = folder.path().join("command.py");
            let quoted = code.trim();
            let script = format!(
                "printf '%s\\n' {quoted} > '{}' && exec {interpreter} -m cProfile -o '{shown}' '{}'",
                file.display(),
                file.display()
            );
            script
        }
        None => format!("{interpreter} -m cProfile -o '{shown}' {rest}"),
    };
    let run = Pipeline {
        source: lang::Source {
            node: lang::SourceNode::Command(Word { text: braced(&profiled), span: word.span }),
            span: word.span,
        },
        stages: Vec::new(),
        on: None,
        span: word.span,
    };
    let choice = session.engine(None)?;
    let subject = session.subject(&run, choice, context)?;
    let command = subject.command().expect("a command was drafted");
    let (ran, is_good) = command.once(context)?;
    let errors = command.output().and_then(|output| output.last_errors());
    let values = command_options::values(command);
    drop(subject);
    let bytes = std::fs::read(&dump).map_err(|_| {
        let why = errors.clone().map_or(String::new(), |said| format!("; its standard error ends: {said}"));
        Diagnostic::at(Kind::System, word.span, format!("the program left no profile: {}{why}", ran.ending()))
    })?;
    let mut profile = profiles::read(&bytes, Some(profiles::Format::CProfile)).map_err(|error| {
        Diagnostic::at(Kind::System, word.span, format!("the profile of {interpreter} cannot be read: {}", error.what))
    })?;
    // The code of -c has no file of the person.
    let is_code = |function: &&mut profiles::Function| {
        function.file.as_deref().is_some_and(|file| std::path::Path::new(file).starts_with(folder.path()))
    };
    profile.functions.iter_mut().filter(is_code).for_each(|function| function.file = Some("-c".to_string()));
    let mut notes = vec![
        Note::from(format!("profiled by {interpreter}'s cProfile, which slows calls down; "))
            .seconds(ran.wall.as_secs_f64())
            .text(" of the wall"),
    ];
    if !is_good {
        notes.push(Note::from(format!("✗ the program failed: {}", ran.ending())));
        notes.extend(errors.map(|said| Note::from(format!("its standard error ends: {said}"))));
    }
    notes.extend(session.programs.take_complaints().into_iter().map(Note::from));
    let mut answer = super::answer(session, magic, profile, shape, notes, true);
    if let Some(crate::plan::Binding::Result { fields, .. }) = &mut answer.result {
        fields.extend(values);
    }
    if let Some((_, profile)) = session.profiles().last_key_value() {
        let map = Map { title: format!("%prof !{}", word.text), profile: Arc::clone(profile), root: 0, flame: false };
        answer.report.blocks.push(Block::Map(map));
    }
    if !is_good {
        answer.status = CellStatus::Failed;
    }
    Ok(answer)
}

/// A text in which no brace stands for a name any more: its values were put in.
fn braced(text: &str) -> String {
    text.replace('{', "{{")
}
