//! Profiles in files: reading them, comparing them, writing them.

use std::path::Path;
use std::sync::Arc;

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, listed};
use crate::files;
use crate::lang::{self, Word};
use crate::magics::compare::Grid;
use crate::plan::Binding;
use crate::profiles::{self, FORMATS, Format, LARGEST, Profile, differences};
use crate::report::{Block, Figures, Map, MeasuredRows, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::session::Session;
use crate::show::{self, weight_text};

use super::super::{Answer, figures_plan};
use super::table::{self, Shape};

/// `view FILE [as FORMAT]`
pub fn view(
    session: &mut Session,
    magic: &lang::Magic,
    words: &[Word],
    shape: &Shape,
    context: &RunContext,
) -> Fallible<Answer> {
    let usage = || {
        Diagnostic::at(
            Kind::Syntax,
            magic.span,
            "`%prof view` expects a file, and `as FORMAT` unless its content tells",
        )
        .hint("%prof view \"app.prof\"")
    };
    let (file, format) = match words {
        [file] => (file, None),
        [file, word, format] if word.text == "as" => (file, Some(named(format)?)),
        _ => return Err(usage()),
    };
    let profile = read(session, file, format, context)?;
    Ok(super::answer(session, magic, profile, shape, Vec::new(), false))
}

fn named(word: &Word) -> Fallible<Format> {
    FORMATS.iter().find(|(name, ..)| *name == word.text).map(|(_, format, _)| *format).ok_or_else(|| {
        let names: Vec<&str> = FORMATS.iter().map(|(name, ..)| *name).collect();
        let message = format!("unknown format `{}`; formats are {}", word.text, listed(&names));
        Diagnostic::at(Kind::Name, word.span, message).near(&word.text, names)
    })
}

/// The profile in a file.
fn read(session: &Session, file: &Word, format: Option<Format>, context: &RunContext) -> Fallible<Profile> {
    let at = |why: String| Diagnostic::at(Kind::File, file.span, format!("cannot read \"{}\": {why}", file.text));
    let path = files::expanded(&file.text);
    let found = std::fs::metadata(&path).map_err(|error| at(error.to_string()))?;
    if !found.is_file() {
        return Err(at("it is not a file".to_string()));
    }
    if found.len() > LARGEST as u64 {
        return Err(at(format!("it has over {} MiB", LARGEST >> 20)));
    }
    let bytes = std::fs::read(&path).map_err(|error| at(error.to_string()))?;
    let work = move |context: &RunContext| context.within_limit(|| Ok(profiles::read(&bytes, format)));
    // What is left of a large one when it is stopped takes long to be freed.
    let found = match session.detached() {
        Some(detached) => detached.run("the profile", context, work)?,
        None => work(context)?,
    };
    found.map_err(|error| match error.offset {
        Some(offset) => at(format!("{} (at byte {offset})", error.what)),
        None => at(error.what),
    })
}

/// The profile of a result, or the last one.
pub fn of(
    session: &Session,
    magic: &lang::Magic,
    word: Option<&Word>,
    context: &RunContext,
) -> Fallible<(String, Arc<Profile>)> {
    let Some(word) = word.filter(|word| word.text != "_") else {
        let last = session.profiles().last_key_value();
        return last.map(|(cell, profile)| (format!("profile of cell {cell}"), profile.clone())).ok_or_else(|| {
            Diagnostic::at(Kind::Name, magic.span, "there is no profile yet")
                .hint("%prof read \"samples/kjv.txt\" | words | count by word")
        });
    };
    if let Some(number) = numbered(word) {
        let profile = session.profiles().get(&number).cloned();
        return profile.map(|profile| (format!("profile of cell {number}"), profile)).ok_or_else(|| {
            let known: Vec<String> = session.profiles().keys().map(|number| format!("_{number}")).collect();
            let error = Diagnostic::at(Kind::Name, word.span, format!("`{}` is not a profile", word.text));
            if known.is_empty() { error } else { error.hint(format!("there are {}", known.join(", "))) }
        });
    }
    Ok((word.text.clone(), Arc::new(read(session, word, None, context)?)))
}

/// The title of a drawing of callers, which may be wrong where they were counted only.
pub fn map_title(title: String, profile: &Profile) -> String {
    match profile.is_tree_smaller() {
        true => format!("{title} (callers were counted, not stacks: in circles of calls they may be wrong)"),
        false => title,
    }
}

/// The cell of a result that a word names.
fn numbered(word: &Word) -> Option<usize> {
    word.text.strip_prefix('_').and_then(|digits| digits.parse().ok())
}

fn is_result(word: &Word) -> bool {
    word.text == "_" || numbered(word).is_some()
}

/// `diff A B`
pub fn diff(
    session: &mut Session,
    magic: &lang::Magic,
    words: &[Word],
    shape: &Shape,
    context: &RunContext,
) -> Fallible<Answer> {
    let [before, after] = words else {
        let message = "`%prof diff` expects two results or files";
        return Err(Diagnostic::at(Kind::Syntax, magic.span, message).hint("%prof diff _3 \"new.prof\""));
    };
    let (_, one) = of(session, magic, Some(before), context)?;
    let (_, other) = of(session, magic, Some(after), context)?;
    let measured = [before, after].iter().any(|word| is_result(word));
    if one.unit != other.unit {
        let message = "the two profiles have different units, so they cannot be compared";
        return Err(Diagnostic::at(Kind::Type, after.span, message));
    }
    let changes = differences(&one, &other);
    let wanted = shape.find.as_ref().map(|text| text.to_lowercase());
    let fits = |change: &&profiles::Change| {
        wanted.as_ref().is_none_or(|wanted| {
            [&change.name, &change.module, &change.place].iter().any(|part| part.to_lowercase().contains(wanted))
        })
    };
    let rows = |most: usize| {
        let mut grid = Grid::default();
        for change in changes.iter().filter(fits).take(most) {
            let plain = Unit::Plain.counted();
            let figure = table::meaning(&one, measured);
            let grown_by = if measured { Unit::Plain.measured() } else { plain };
            let (ty, then) = table::weight(&one, change.own.0);
            let calls = |calls: Option<u64>| calls.map_or(Value::Null, |calls| Value::Int(calls as i64));
            grid.put("calls_before", Type::Int, plain, calls(change.calls.0));
            grid.put("calls_after", Type::Int, plain, calls(change.calls.1));
            grid.put("own_before", ty.clone(), figure, then);
            grid.put("own_after", ty.clone(), figure, table::weight(&one, change.own.1).1);
            let sign = if change.grown() < 0.0 { "−" } else { "+" };
            let grown = format!("{sign}{}", weight_text(&one, change.grown().abs()));
            grid.put("change", Type::Text, grown_by, Value::text(&grown));
            grid.put("function", Type::Text, plain, Value::text(&change.name));
            grid.put("place", Type::Text, plain, Value::text(&change.place));
        }
        Figures { rows: MeasuredRows { order: measured, ..MeasuredRows::default() }, ..grid.figures() }
    };
    let (grown, shrunk): (Vec<_>, Vec<_>) =
        changes.iter().filter(fits).filter(|change| change.grown() != 0.0).partition(|change| change.grown() > 0.0);
    let sum = |changes: &[&profiles::Change]| changes.iter().map(|change| change.grown().abs()).sum::<f64>();
    let functions = |count: usize| if count == 1 { "1 function".to_string() } else { format!("{count} functions") };
    let told = format!(
        "{} before, {} after; {} grew by {} in all, {} shrank by {}",
        weight_text(&one, one.total),
        weight_text(&one, other.total),
        functions(grown.len()),
        weight_text(&one, sum(&grown)),
        functions(shrunk.len()),
        weight_text(&one, sum(&shrunk)),
    );
    if changes.iter().filter(fits).count() == 0 {
        return Ok(Answer::text("no function has this text".to_string()));
    }
    let note = Note::from("each was profiled once, so a small change may be noise");
    let told = if measured { Note::default().found(told) } else { told.into() };
    let blocks = vec![Block::Figures(rows(shape.top)), Block::Notes(vec![told, note])];
    let all = figures_plan(&rows(usize::MAX), magic.span);
    let result = Binding::Result { table: Some(all), fields: Vec::new(), tables: Vec::new() };
    Ok(Answer { report: Report { blocks, ..Report::default() }, result: Some(result), ..Answer::default() })
}

/// `export FORM FILE [_3]`
pub fn export(session: &mut Session, magic: &lang::Magic, words: &[Word], context: &RunContext) -> Fallible<Answer> {
    const FORMS: [&str; 4] = ["folded", "speedscope", "pprof", "svg"];
    let (form, file, word) = match words {
        [form, file] => (form, file, None),
        [form, file, word] => (form, file, Some(word)),
        _ => {
            let message = "`%prof export` expects a form and a file";
            return Err(Diagnostic::at(Kind::Syntax, magic.span, message).hint("%prof export svg \"map.svg\""));
        }
    };
    let (title, profile) = of(session, magic, word, context)?;
    let name = Path::new(&file.text).file_stem().map_or(title.clone(), |stem| stem.to_string_lossy().into_owned());
    let note = profile.is_tree_smaller().then_some(table::ESTIMATED);
    let written: fn(&str, &str, &Arc<Profile>) -> Vec<u8> = match form.text.as_str() {
        "folded" => |_, _, profile| profiles::folded(profile).into_bytes(),
        "speedscope" => |_, name, profile| profiles::speedscope(profile, name).into_bytes(),
        "pprof" => |_, _, profile| profiles::pprof(profile),
        "svg" => |title, _, profile| {
            let title = map_title(title.to_string(), profile);
            show::map_svg(&Map { title, profile: profile.clone(), root: 0, flame: false }).into_bytes()
        },
        other => {
            let message = format!("unknown form `{other}`; forms are {}", listed(&FORMS));
            return Err(Diagnostic::at(Kind::Name, form.span, message).near(other, FORMS));
        }
    };
    let work = move |context: &RunContext| context.within_limit(|| Ok(written(&title, &name, &profile)));
    let bytes = match session.detached() {
        Some(detached) => detached.run("the export", context, work)?,
        None => work(context)?,
    };
    files::write_bytes(&file.text, &bytes, session.confined).map_err(|error| error.or_at(file.span))?;
    let mut answer = Answer::text(format!("{} written to \"{}\"", show::bytes_text(bytes.len() as f64), file.text));
    answer.report.blocks.extend(note.map(|note| Block::Notes(vec![note.into()])));
    Ok(answer)
}
