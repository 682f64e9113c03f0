//! Profiles of programs: Python's own profiler, or samples of any program.

use std::sync::Arc;

use crate::commands::ProcessRun;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Pipeline, Word};
use crate::magics::command_options;
use crate::profiles;
use crate::report::{Block, Map, Note};
use crate::run_context::RunContext;
use crate::session::programs::{SamplerKind, Told};
use crate::session::{Session, lone_command};
use crate::show::duration_text;
use crate::temporary::Folder;

use super::super::{Answer, CellStatus};
use super::table::Shape;
use super::view;

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
    let text = session.with_values(&word.text).text;
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
    let cut = command_options::cut_stdout(command);
    drop(one);
    if profile.nodes.len() < 2 {
        let ended = if is_good { String::new() } else { format!("the program failed: {}; ", ran.ending()) };
        let message =
            format!("{ended}no sample was taken, because it used under a millisecond of CPU time in user space");
        return Err(Diagnostic::at(Kind::Domain, subject.span, message).hint("profile a longer run of it"));
    }
    let mut notes = Vec::new();
    if command_name(&subject_text).starts_with("python") {
        let note = "sampled as a program of C: its own functions are not seen. %prof !python3 FILE, -m MODULE or -c \
                    CODE runs it under cProfile";
        notes.push(note.into());
    }
    notes.extend(cut);
    notes.extend(not_sampled(&ran, profile.total));
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

/// What of the CPU time of a program is in no sample, where it is much: the system's work for it, where the sampler
/// sees user space only.
fn not_sampled(ran: &ProcessRun, seconds: f64) -> Option<Note> {
    const MUCH: f64 = 0.1;
    // Less is a few samples.
    const LEAST: f64 = 0.01;
    let cpu = ran.cpu().as_secs_f64();
    let missing = cpu - seconds;
    (missing > LEAST.max(MUCH * cpu)).then(|| {
        Note::default().found(format!(
            "{} of its {} of CPU time are not in this table: the system worked for it for {}",
            duration_text(missing),
            duration_text(cpu),
            duration_text(ran.system.as_secs_f64())
        ))
    })
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

/// How a program in Python is run.
struct Python<'a> {
    interpreter: &'a str,
    /// Options of the interpreter.
    options: &'a str,
    /// `app.py …`, `-m MODULE …` or `-c CODE …`
    program: &'a str,
}

/// How a command runs a program in Python, where it does.
fn python(text: &str) -> Option<Python<'_>> {
    /// Options with a word behind them.
    const WITH_WORD: [&str; 2] = ["-X", "-W"];
    /// Those of one letter that do not matter to the profiler.
    const LETTERS: &str = "bBdEIOPqsSuvx";
    let text = text.trim();
    let (interpreter, rest) = text.split_once(char::is_whitespace)?;
    let version = interpreter.rsplit('/').next()?.strip_prefix("python")?;
    if !version.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let options = rest.trim_start();
    let mut program = options;
    loop {
        let (word, behind) = program.split_once(char::is_whitespace).unwrap_or((program, ""));
        let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty());
        program = match letters {
            None | Some("m" | "c") => break,
            _ if WITH_WORD.contains(&word) => behind.trim_start().split_once(char::is_whitespace)?.1,
            Some(letters) if letters.starts_with(['X', 'W']) => behind,
            Some(letters) if letters.chars().all(|c| LETTERS.contains(c)) => behind,
            Some(_) => return None,
        }
        .trim_start();
    }
    let options = options[..options.len() - program.len()].trim();
    (!program.is_empty()).then_some(Python { interpreter, options, program })
}

/// What turns a profiler of Python on.
const ITS_OWN_PROFILER: &str = "'enable' of '_lsprof.Profiler'";

/// Runs a program under cProfile.
const PROFILED: &str = include_str!("profiled.py");

fn python_profile(
    session: &mut Session,
    magic: &lang::Magic,
    word: &Word,
    Python { interpreter, options, program }: &Python,
    shape: &Shape,
    context: &RunContext,
) -> Fallible<Answer> {
    let system =
        |error: std::io::Error| Diagnostic::new(Kind::System, format!("no temporary file can be made: {error}"));
    let folder = Folder::new_in(&tempfile::Builder::new(), &tempfile::env::temp_dir()).map_err(system)?;
    let (dump, driver) = (folder.path().join("dump.prof"), folder.path().join("profiled.py"));
    std::fs::write(&driver, PROFILED).map_err(system)?;
    let quoted = |path: &std::path::Path| crate::commands::quoted(&path.to_string_lossy());
    let profiled = format!("{interpreter} {options} {} {} {program}", quoted(&driver), quoted(&dump));
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
    let cut = command_options::cut_stdout(command);
    drop(subject);
    let bytes = std::fs::read(&dump).map_err(|_| {
        let why = errors.clone().map_or(String::new(), |said| format!("; its standard error ends: {said}"));
        Diagnostic::at(Kind::System, word.span, format!("the program left no profile: {}{why}", ran.ending()))
    })?;
    let profile = profiles::read(&bytes, Some(profiles::Format::CProfile)).map_err(|error| {
        Diagnostic::at(Kind::System, word.span, format!("the profile of {interpreter} cannot be read: {}", error.what))
    })?;
    let threads = std::fs::read_to_string(folder.path().join("dump.prof.threads")).unwrap_or_default();
    let mut notes = vec![
        Note::from(format!("profiled by {interpreter}'s cProfile, which slows calls down; "))
            .seconds(ran.wall.as_secs_f64())
            .text(" of the wall"),
    ];
    if let Ok(threads @ 1..) = threads.parse::<u64>() {
        let others = if threads == 1 { "1 other thread".to_string() } else { format!("{threads} other threads") };
        notes.push(Note::default().found(format!("{others} began, which cProfile does not see")).optional());
    }
    if profile.functions.iter().any(|function| function.name.contains(ITS_OWN_PROFILER)) {
        notes.push("the program profiles itself: while its own profiler is on, this one sees nothing".into());
    }
    notes.extend(cut);
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
        let title = view::map_title(format!("%prof !{}", word.text), profile);
        let map = Map { title, profile: Arc::clone(profile), root: 0, flame: false };
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
