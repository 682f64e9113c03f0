//! What magics that time things share: their options, the setup cell, the choice of a clock, the machine's noise.

use std::cell;
use std::time::{Duration, Instant};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::Choice;
use crate::lang::{self, Cell, Pipeline, Statement, Word, parse, seconds, whole_number};
use crate::measure::{Clock, Cost, INTERRUPTED, Overhead, ThreadCpu, Wall, noise};
use crate::run_context::{Progress, RunContext};
use crate::session::{RUST, Session, lone_block};
use crate::show::{duration_text, percent};

use super::Tables;

/// A clock that a person may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    Wall,
    Cpu,
}

impl Time {
    pub fn clock(self) -> &'static dyn Clock {
        match self {
            Time::Wall => &Wall,
            Time::Cpu => &ThreadCpu,
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

    /// The clock that was asked for with `--clock`; else wall for short calls and for several threads, CPU time for
    /// calls on one thread that will be interrupted.
    ///
    /// # Errors
    /// CPU time was asked for where several threads work: that of one tells nothing about the others.
    pub fn chosen(asked: Option<Time>, call: f64, parallel: bool) -> Fallible<Time> {
        match asked {
            Some(Time::Cpu) if parallel => {
                let message = "several threads work here, and CPU time is that of one: it leaves out the others";
                Err(Diagnostic::new(Kind::Type, message).hint("leave `--clock cpu` out: then it is wall time"))
            }
            Some(asked) => Ok(asked),
            None if call > INTERRUPTED && !parallel => Ok(Time::Cpu),
            None => Ok(Time::Wall),
        }
    }
}

/// The value of `--clock`.
pub fn asked_clock(magic: &lang::Magic) -> Fallible<Option<Time>> {
    let Some(word) = magic.option("--clock").flatten() else { return Ok(None) };
    Time::named(&word.text).map(Some).ok_or_else(|| {
        let message = format!("`--clock` is wall or cpu, but this is `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).near(&word.text, ["wall", "cpu"])
    })
}

/// The value of `--for`.
pub fn asked_time(magic: &lang::Magic) -> Fallible<Option<Duration>> {
    let Some(word) = magic.option("--for").flatten() else { return Ok(None) };
    let wrong = || {
        let message = format!("`--for` is a time over 0, but this is `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).hint("--for 2s, --for 400ms, --for 1min")
    };
    let asked = seconds(&word.text).filter(|seconds| *seconds > 0.0).ok_or_else(wrong)?;
    Duration::try_from_secs_f64(asked).map(Some).map_err(|_| wrong())
}

/// The value of an option that is a number of things.
pub fn asked_count(magic: &lang::Magic, option: &str) -> Fallible<Option<u64>> {
    let Some(word) = magic.option(option).flatten() else { return Ok(None) };
    let wrong = || {
        let message = format!("`{option}` is an int over 0, but this is `{}`", word.text);
        Diagnostic::at(Kind::Type, word.span, message).hint(format!("{option} 10"))
    };
    whole_number(&word.text).filter(|count| *count > 0).map(Some).ok_or_else(wrong)
}

/// Why there is nothing to be told of a subject that costs no more than a call does, which takes so many seconds.
pub fn no_work(overhead: f64) -> String {
    format!("time under the overhead of a call ({}), no work is left that could be timed", duration_text(overhead))
}

/// How work that the compiler removed from a block of Rust is kept.
pub const KEPT_WORK: &str = "if the compiler has done the work of the Rust already: std::hint::black_box(1000) hides a \
                             number from it, as does a name of the session: let n = 1000, then \
                             rust with n { (0..n).sum::<i64>() }";

/// What CPU time leaves out of a subject that waits, one run of which costs so much.
pub fn waits(time: Time, cost: &Cost) -> Option<String> {
    // What only waits for its turn on a busy machine has a larger share.
    let waits = cost.wall.as_micros() >= 1000 && cost.busy() < 0.05;
    (time == Time::Cpu && waits).then(|| {
        let share = percent(cost.busy());
        format!("on a processor for {share} of a run; CPU time leaves the waiting out: --clock wall counts it")
    })
}

/// The name of a variant that nobody has named: its engine, or the language that it is written in.
pub fn variant_name(pipeline: &Pipeline, choice: Choice) -> &'static str {
    if lone_block(pipeline).is_some() { RUST } else { choice.engine.name() }
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
            Err(Diagnostic::at(Kind::Syntax, *span, "`--setup` takes statements")
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

    pub fn tell(&self, known: impl FnOnce() -> String) {
        if self.last.get().is_none_or(|last| last.elapsed() >= Telling::OFTEN) {
            self.progress.tell(known());
            self.last.set(Some(Instant::now()));
        }
    }
}

/// The noise of the machine in words, where it was not measured before.
pub fn new_noise(session: &mut Session) -> Option<String> {
    if session.noise.is_some() {
        return None;
    }
    let found = noise(&Wall, &Overhead::measure(&Wall));
    session.noise = Some(found);
    Some(format!(
        "machine noise: a loop that always does the same spreads by {} (IQR), and {} of its samples take half as long again",
        percent(found.spread),
        percent(found.disturbed)
    ))
}
