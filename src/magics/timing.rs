//! What magics that time things share: their options, the setup cell, the choice of a clock, the machine's noise.

use std::cell;
use std::time::{Duration, Instant};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::Choice;
use crate::lang::{self, Cell, Pipeline, Statement, Word, parse, seconds, whole_number};
use crate::measure::{Calibration, Clock, Clocks, INTERRUPTED, Missed, Overhead, Workload, calibrate, noise};
use crate::report::{Note, Unit};
use crate::run_context::{Progress, RunContext};
use crate::session::{RUST, Session, lone_block, lone_command};

use super::Tables;

/// A clock that a person may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    Wall,
    Cpu,
}

impl Time {
    pub fn clock(self, clocks: &Clocks) -> &dyn Clock {
        match self {
            Time::Wall => &*clocks.wall,
            Time::Cpu => &*clocks.cpu,
        }
    }

    /// As `--clock` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Time::Wall => "wall",
            Time::Cpu => "cpu",
        }
    }

    pub fn named(name: &str) -> Option<Time> {
        [Time::Wall, Time::Cpu].into_iter().find(|time| time.name() == name)
    }

    /// What it tells, in words.
    pub fn said(self) -> &'static str {
        match self {
            Time::Wall => "wall time",
            Time::Cpu => "CPU time of the thread",
        }
    }

    /// The clock that was asked for with `--clock`; else wall for short samples and where CPU time would miss work, CPU
    /// time for samples on one thread that will be interrupted: those of so many nanoseconds.
    pub fn chosen(asked: Option<Time>, sample: f64, misses: bool) -> Time {
        match asked {
            Some(asked) => asked,
            None if sample > INTERRUPTED && !misses => Time::Cpu,
            None => Time::Wall,
        }
    }
}

/// A first run that takes so long was not slowed down by another process alone: it needs no check.
const CERTAIN: Duration = Duration::from_secs(1);
/// Clocks are compared over work of this many nanoseconds at least, so many times, or where they do not agree more
/// often.
const PROBE: f64 = 1e6;
const PROBES: usize = 3;
const MORE_PROBES: usize = 5;
/// Calls of so many nanoseconds are probed once.
const SLOW_PROBE: f64 = 50e6;

/// How many calls a sample of some work has, where the first run took so long. What takes longer than `patience` has
/// one call, if a second one takes as long: the first may have been interrupted.
///
/// # Errors
/// Those of the work.
pub fn calibrated(
    clocks: &Clocks,
    work: &mut dyn Workload<Box<Diagnostic>>,
    first: Duration,
    patience: Duration,
) -> Fallible<Calibration> {
    let wall = &*clocks.wall;
    if first >= patience {
        let first = first.as_nanos() as f64;
        let second = if first < CERTAIN.as_nanos() as f64 { work.time(wall, 1)? as f64 } else { first };
        if second >= first / 2.0 {
            return Ok(Calibration { calls: 1, call: first.min(second), interrupted: false });
        }
    }
    calibrate(wall, work, patience.as_nanos() as u64)
}

/// What CPU time of one thread would leave out of some work, one call of which takes so many nanoseconds.
///
/// # Errors
/// Those of the work.
pub fn missed(clocks: &Clocks, work: &mut dyn Workload<Box<Diagnostic>>, call: f64) -> Fallible<Option<Missed>> {
    let calls = (PROBE / call.max(1.0)).ceil().max(1.0) as u64;
    let probes = if call >= SLOW_PROBE { 1 } else { PROBES };
    let mut found = Vec::new();
    while found.len() < probes {
        found.push(work.readings(clocks, calls)?.missed());
    }
    let several = |found: &[Option<Missed>]| found.iter().any(|one| *one != found[0]);
    // Something of the shell itself may have worked meanwhile: most of the readings count.
    while several(&found) && found.len() < MORE_PROBES {
        found.push(work.readings(clocks, calls)?.missed());
    }
    let misses = found.iter().flatten();
    Ok(if misses.clone().count() * 2 > found.len() { misses.last().copied() } else { None })
}

/// Why figures have no verdict, where their clock was asked for and misses work.
pub fn missing(name: &str, missed: Missed) -> String {
    format!("{name} {}, which CPU time of the thread does not include", missed.said())
}

/// The value of `--clock`.
pub fn asked_clock(magic: &lang::Magic) -> Fallible<Option<Time>> {
    let Some(word) = magic.option("--clock").flatten() else { return Ok(None) };
    Time::named(&word.text).map(Some).ok_or_else(|| {
        let message = format!("`--clock` must be wall or cpu, got `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).near(&word.text, ["wall", "cpu"])
    })
}

/// The value of `--for`.
pub fn asked_time(magic: &lang::Magic) -> Fallible<Option<Duration>> {
    let Some(word) = magic.option("--for").flatten() else { return Ok(None) };
    let wrong = || {
        let message = format!("`--for` must be a positive time in ms, s or min, got `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).hint("--for 2s, --for 400ms, --for 5min")
    };
    let asked = seconds(&word.text).filter(|seconds| *seconds > 0.0).ok_or_else(wrong)?;
    Duration::try_from_secs_f64(asked).map(Some).map_err(|_| wrong())
}

/// The value of an option that is a number of things.
pub fn asked_count(magic: &lang::Magic, option: &str) -> Fallible<Option<u64>> {
    let Some(word) = magic.option(option).flatten() else { return Ok(None) };
    let wrong = || {
        let message = format!("`{option}` must be a positive int, got `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).hint(format!("{option} 10"))
    };
    whole_number(&word.text).filter(|count| *count > 0).map(Some).ok_or_else(wrong)
}

/// Why there is nothing to be told of a subject that costs no more than a call does, which takes so many seconds.
pub fn no_work(overhead: f64) -> Note {
    let note = Note::from("faster than the overhead of a call (").seconds(overhead);
    note.text("), so there is nothing to time").optional()
}

/// That a magic was stopped, and what is left of it.
pub fn stopped(passed: Duration) -> Note {
    let note = Note::from("stopped after ").seconds(passed.as_secs_f64());
    note.text(": the measurements so far are kept").optional()
}

/// What measurements with a clock may say.
pub const SAYS: &[&str] = &[
    "faster than the overhead of a call ({time}), so there is nothing to time",
    "stopped after {time}: the measurements so far are kept",
    "machine noise: the times of a constant loop spread by {share} (IQR), and {share} of its samples take over 1.5 \
     times the median",
    // KEPT_WORK
    "if the compiler has done the work of the Rust beforehand: std::hint::black_box(1000) hides a number from it, as \
     does a name of the session: let n = 1000, then rust with n \\{ (0..n).sum::\\<i64\\>() }",
];

/// So few seconds are hardly more than a call: there, much work may have been done beforehand.
pub const SHORT: f64 = 10e-9;

/// How work that the compiler removed from a block of Rust is kept.
pub const KEPT_WORK: &str = "if the compiler has done the work of the Rust beforehand: std::hint::black_box(1000) \
                             hides a number from it, as does a name of the session: let n = 1000, then \
                             rust with n { (0..n).sum::<i64>() }";

/// The name of an unnamed variant: its engine, the language that it is written in, or its command.
pub fn variant_name(pipeline: &Pipeline, choice: Choice) -> &str {
    match lone_command(pipeline) {
        Some(command) => &command.text,
        None if lone_block(pipeline).is_some() => RUST,
        None => choice.engine.name(),
    }
}

/// Runs the cell of `--setup` once; its names are there until the magic ends.
pub fn set_up(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<()> {
    let Some(Word { text, span }) = magic.option("--setup").flatten() else { return Ok(()) };
    let id = session.remember(text);
    match parse(id, text, &Tables)? {
        Cell::Empty => Ok(()),
        Cell::Statements(statements) => {
            statements.iter().try_for_each(|statement| session.statement(statement, context).map(drop))
        }
        Cell::Magic(_) | Cell::Command(_) | Cell::Help(_) | Cell::Source(_) => {
            Err(Diagnostic::at(Kind::Syntax, *span, "`--setup` expects statements")
                .hint("--setup (let n = 1k; let m = 2)"))
        }
    }
}

/// The statements of a part of the magic's own cell.
pub fn statements(session: &Session, part: &Word) -> Fallible<Vec<Statement>> {
    let text = session.text(part.span.cell).expect("the cell was remembered before it was parsed");
    lang::statements(text, part.span, &Tables)
}

/// Tells what is known by now, but not so often that telling would take time from measuring.
pub struct Telling<'a> {
    progress: &'a Progress,
    last: cell::Cell<Option<Instant>>,
}

impl Telling<'_> {
    const OFTEN: Duration = Duration::from_millis(100);

    pub fn new(progress: &Progress) -> Telling<'_> {
        Telling { progress, last: cell::Cell::new(None) }
    }

    /// What stays for nobody knows how long is told in any case.
    pub fn tell_now(&self, known: String) {
        self.progress.tell(known);
    }

    pub fn tell(&self, known: impl FnOnce() -> String) {
        if self.last.get().is_none_or(|last| last.elapsed() >= Telling::OFTEN) {
            self.progress.tell(known());
            self.last.set(Some(Instant::now()));
        }
    }
}

/// The noise of the machine in words, where it was not measured before.
pub fn new_noise(session: &mut Session) -> Option<Note> {
    if session.noise.is_some() {
        return None;
    }
    let wall = session.clocks.wall.clone();
    let found = noise(&*wall, &Overhead::measure(&*wall));
    session.noise = Some(found);
    let note = Note::from("machine noise: the times of a constant loop spread by ");
    let note = note.measured(found.spread, Unit::Share).text(" (IQR), and ").measured(found.disturbed, Unit::Share);
    // It depends on whether an earlier cell has said it.
    Some(note.text(" of its samples take over 1.5 times the median").optional())
}
