//! What a comparison says of commands.

use crate::data::{Type, Value};
use crate::lang::Variants;
use crate::magics::command_options::{cut_output, least_memory};
use crate::report::{Figures, Note, Unit};
use crate::session::{Session, lone_command};

use super::figures::Grid;
use super::rounds::{CommandRan, Entry, Round};

/// How commands were run, and what is to be known about their figures.
pub fn notes(session: &Session, asked: &Variants, rounds: &[Round]) -> Vec<Note> {
    let mut notes: Vec<Note> = session.programs.take_complaints().into_iter().map(|told| told.into()).collect();
    notes.extend(unused_sweep(session, asked));
    let all: Vec<(&str, &CommandRan)> = rounds.iter().flat_map(|round| round.entries.iter().filter_map(of)).collect();
    if all.is_empty() {
        return notes;
    }
    let mut shells: Vec<(&str, f64)> = Vec::new();
    let mut direct: Vec<&str> = Vec::new();
    for (name, command) in &all {
        match command.shell {
            Some(start) if shells.iter().all(|(known, _)| known != name) => shells.push((name, start)),
            None if !direct.contains(name) => direct.push(name),
            _ => {}
        }
    }
    let is_mixed = asked.pipelines().filter_map(lone_command).any(|word| !session.needs_shell(word));
    if !direct.is_empty() {
        notes.push(format!("{}: started directly, without a shell", direct.join(", ")).into());
    }
    if !shells.is_empty() {
        let names: Vec<&str> = shells.iter().map(|(name, _)| *name).collect();
        let start = shells.iter().map(|(_, start)| *start).fold(0.0, f64::max);
        let why = if is_mixed { ", as some need a shell: its" } else { ", whose" };
        let note = Note::from(format!("{}: run by `sh -c`{why} own start (", names.join(", "))).seconds(start);
        notes.push(note.text(" of wall time here) is in the times"));
    }
    let others = rounds.iter().flat_map(|round| &round.entries).filter_map(Entry::ran).any(|ran| ran.command.is_none());
    if others {
        let start = all.iter().find_map(|(_, command)| command.nothing);
        let note = Note::from("the times of commands include the start of a process");
        notes.push(match start {
            Some(start) => {
                note.text(", which takes ").seconds(start).text(" of wall time here for one that does nothing")
            }
            None => note,
        });
    }
    let left: u64 = all.iter().flat_map(|(_, command)| &command.runs).map(|ran| ran.left).sum();
    if left > 0 {
        let told = format!("{left} processes that commands left behind were ended");
        notes.push(Note::default().found(told).optional());
    }
    let cut = |(name, command): &(&str, &CommandRan)| cut_output(&command.output, &format!("{name}: "), "_.outputs");
    notes.extend(all.iter().find_map(cut));
    notes.push(least_memory(session.programs.floor()));
    notes
}

/// That no command uses the name of the sweep.
fn unused_sweep(session: &Session, asked: &Variants) -> Option<Note> {
    let sweep = asked.sweep.as_ref()?;
    let commands: Vec<&str> = asked.pipelines().filter_map(lone_command).map(|word| word.text.as_str()).collect();
    let uses = |text: &&str| session.with_values(text).used.contains(&sweep.name.text);
    (!commands.is_empty() && !commands.iter().any(uses)).then(|| {
        let name = &sweep.name.text;
        format!("no command uses `{{{name}}}`, so each is the same at every {name}").into()
    })
}

fn of<'a>(entry: &'a Entry) -> Option<(&'a str, &'a CommandRan)> {
    Some((entry.variant.name.as_str(), entry.ran()?.command.as_ref()?))
}

/// What each command printed the first time.
pub fn outputs(name: &str, points: &Option<Vec<i64>>, rounds: &[Round]) -> Figures {
    let mut rows = Grid::default();
    let text = |bytes: &[u8]| Value::text(&String::from_utf8_lossy(bytes));
    for (place, round) in rounds.iter().enumerate() {
        for (variant, command) in round.entries.iter().filter_map(of) {
            if let Some(points) = points {
                rows.put(name, Type::Int, Unit::Plain.counted(), Value::Int(points[place]));
            }
            rows.put("variant", Type::Text, Unit::Plain.counted(), Value::text(variant));
            rows.put("stdout", Type::Text, Unit::Plain.counted(), text(&command.output.kept));
            rows.put("stderr", Type::Text, Unit::Plain.counted(), text(&command.output.errors));
            rows.put("status", Type::Int, Unit::Plain.counted(), Value::Int(command.status.into()));
        }
    }
    rows.figures()
}
