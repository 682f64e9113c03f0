//! `%race play`: you are the scheduler. The game is a list of states; a move adds one, going back drops one.

use crate::console::Reply;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::escape::escaped;
use crate::interleave::{self, Choice, Ending, Fault, Machine, Model, Program, Story, Verdict, explore};
use crate::lang::{self, Word};
use crate::run_context::RunContext;
use crate::session::Session;

use super::super::Answer;
use super::program::asked_models;
use super::{demo, refuse};

const KEYS: &str = "a number or a name moves · b (back) goes back · ? shows this · q (quit) leaves";

/// What `%help race play` says.
pub const HELP: &str = "%race play [NAME] [--model sc|tso|pso] [--moves up,down,b]
  lets you choose which thread moves next, in a race of the catalogue or, without a name, in the last %%race program.
  It shows all variables, locks, registers and store buffers, and the next step of each thread

moves      the name or the number of a thread: it takes one step. A thread keeps its number
           `a:x`: memory takes the oldest store to x from the buffer of a, under tso and pso
           `b→c` or `b->c`: b notifies and c wakes, if several threads sleep
keys       b (back) goes back, ? shows the keys, q (quit) leaves
model      unless --model chooses one, the first of sc, tso and pso under which something can go wrong
without a terminal, --moves lists the moves, or each line below is a move, up to a line q

  › %race play counter --moves up,down,up,down
  › %race play buffer --moves a,b,a,b";

/// States to look for something that goes wrong before the game begins.
const STATES: usize = 50_000;

pub fn run(session: &mut Session, magic: &lang::Magic, words: &[Word], context: &RunContext) -> Fallible<Answer> {
    refuse(magic, &["--rounds", "--states", "--live"], "`%%race`")?;
    refuse(magic, &["--each", "--threads", "--only", "--checkpoint", "--gil"], "the demos, such as `%race counter`")?;
    // The lines below are moves; they came from a file or a pipe.
    let below = |word: &&Word| session.words(Span { end: word.span.start, ..magic.span }).contains('\n');
    let (moves, names): (Vec<&Word>, Vec<&Word>) = words.iter().partition(below);
    let source = match names[..] {
        [] => session.race.clone().ok_or_else(|| {
            Diagnostic::at(Kind::Name, magic.span, "there is no race program yet").hint("%race play counter")
        })?,
        [name] => demo(name)?.program.to_string(),
        [_, second, ..] => {
            return Err(Diagnostic::at(Kind::Syntax, second.span, format!("unexpected `{}`", second.text)));
        }
    };
    let program = interleave::read(&source).expect("only programs without errors are kept");
    let (model, why) = match magic.option("--model") {
        Some(_) => (asked_models(magic)?[0], None),
        None => first_to_fail(&program, context),
    };
    let mut game = Game::new(&program, &source, model);
    let moves: Vec<(&str, Span)> = match magic.option("--moves").flatten() {
        Some(word) => parts(word),
        None => moves.iter().map(|word| (word.text.as_str(), word.span)).collect(),
    };
    if moves.is_empty() {
        return ask(session, magic, game, why, context);
    }
    let mut told: Vec<String> = why.into_iter().chain([game.view()]).collect();
    for (text, span) in moves {
        match game.answer(text) {
            Effect::Moved(text) => {
                told.push(text);
                told.push(game.view());
            }
            Effect::Told(text) => told.push(text),
            Effect::Unknown(text) => {
                // The moves before it were good: they are shown.
                session.console.out.write_line(&told.join("\n"));
                return Err(Diagnostic::at(Kind::Name, span, text).hint(KEYS));
            }
            Effect::Leaves => break,
        }
    }
    Ok(Answer::text(told.join("\n")))
}

/// The first model under which something can go wrong, and a line about it where that is not SC.
fn first_to_fail(program: &Program, context: &RunContext) -> (Model, Option<String>) {
    let stopped = || context.stop.is_raised();
    let fails = |model: &Model| {
        let found = explore(program, *model, STATES, &stopped);
        found.livelock.is_some() || found.outcomes.iter().any(|outcome| outcome.verdict != Verdict::Passes)
    };
    match Model::ALL.into_iter().find(fails) {
        None | Some(Model::Sc) => (Model::Sc, None),
        Some(model) => {
            let name = model.name().to_uppercase();
            (model, Some(format!("under {name}, the first model where something can go wrong (--model sc changes it)")))
        }
    }
}

/// The parts of an option's value between commas, each with its place.
fn parts(word: &Word) -> Vec<(&str, Span)> {
    let written = (word.span.end - word.span.start) as usize;
    // A text in quotes has one more character at either end; where escapes make it longer still, no part has a place.
    let lead = match written.checked_sub(word.text.len()) {
        Some(0) => Some(0),
        Some(2) => Some(1),
        Some(_) | None => None,
    };
    let (mut at, mut parts) = (0, Vec::new());
    for part in word.text.split(',') {
        let text = part.trim();
        let start = at + part.len() - part.trim_start().len();
        at += part.len() + 1;
        let span = lead.map(|lead| {
            let start = word.span.start as usize + lead + start;
            Span::new(word.span.cell, start, start + text.len().max(1))
        });
        parts.push((text, span.unwrap_or(word.span)));
    }
    parts
}

/// Asks for one move after the other.
fn ask(
    session: &Session,
    magic: &lang::Magic,
    mut game: Game,
    why: Option<String>,
    context: &RunContext,
) -> Fallible<Answer> {
    context.progress.hide();
    let mut told = format!("{KEYS}\n{}", why.map(|why| format!("{why}\n")).unwrap_or_default());
    loop {
        let question = format!("{told}{}\nmove › ", game.view());
        let line = match (session.console.ask)(&question, &|| context.stop.is_raised()) {
            Reply::Line(line) => line,
            Reply::End => break,
            Reply::Stopped => return Err(Diagnostic::new(Kind::Stopped, "stopped")),
            Reply::CannotAsk => {
                return Err(Diagnostic::at(Kind::System, magic.span, "cannot ask for moves: this is not a terminal")
                    .hint("--moves up,down,b, or a move on each line below, up to a line q"));
            }
        };
        told = match game.answer(&line) {
            Effect::Moved(text) | Effect::Told(text) | Effect::Unknown(text) => format!("{text}\n"),
            Effect::Leaves => break,
        };
    }
    Ok(Answer::default())
}

/// What an answer of the user did.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// The game stands elsewhere now: what happened.
    Moved(String),
    /// The game stands where it did.
    Told(String),
    /// It was no move.
    Unknown(String),
    Leaves,
}

pub struct Game<'a> {
    machine: Machine<'a>,
    source: &'a str,
    /// The states since the beginning; the last is now.
    states: Vec<Vec<i64>>,
    /// What went wrong in the last step.
    fault: Option<Fault>,
    /// Everything that can be a move at some time: its place is its number, so a move keeps it.
    moves: Vec<Choice>,
}

impl<'a> Game<'a> {
    pub fn new(program: &'a Program, source: &'a str, model: Model) -> Game<'a> {
        let machine = Machine::new(program, model).keeping_registers();
        let (states, fault) = match machine.start() {
            Ok(start) => (vec![start], None),
            Err(fault) => (Vec::new(), Some(fault)),
        };
        Game { machine, source, states, fault, moves: all_moves(program, model) }
    }

    fn choices(&self) -> Vec<Choice> {
        let mut all = Vec::new();
        if let (Some(state), None) = (self.states.last(), self.fault) {
            self.machine.choices(state, &mut all);
        }
        all
    }

    /// The other moves of a thread that notifies: it wakes one of several.
    fn has_rivals(choice: Choice, all: &[Choice]) -> bool {
        all.iter().any(|other| *other != choice && other.thread().is_some() && other.thread() == choice.thread())
    }

    /// The number of a move, and the text that chooses it. A thread that can wake only one moves as any other.
    fn named(&self, choice: Choice, all: &[Choice]) -> (usize, String) {
        let step = match choice {
            Choice::Wake(thread, _) if !Game::has_rivals(choice, all) => Choice::Step(thread),
            choice => choice,
        };
        let number = self.moves.iter().position(|known| *known == step).map_or(0, |place| place + 1);
        (number, self.name(step))
    }

    fn name(&self, choice: Choice) -> String {
        let program = self.machine.program;
        let name = |thread: u8| program.threads[usize::from(thread)].name.as_str();
        match choice {
            Choice::Step(thread) => name(thread).to_string(),
            Choice::Wake(thread, woken) => format!("{}→{}", name(thread), name(woken)),
            Choice::Drain(thread, location) => {
                format!("{}:{}", name(thread), program.location_name(usize::from(location)))
            }
        }
    }

    /// Does what the user said.
    pub fn answer(&mut self, text: &str) -> Effect {
        let text = text.trim();
        let choices = self.choices();
        // A thread may have the name of a key: then it is the thread, and the long word is the key.
        let key = match text {
            "b" | "q" if self.machine.program.threads.iter().any(|thread| thread.name == text) => "",
            "back" => "b",
            "quit" => "q",
            key => key,
        };
        match key {
            "q" => return Effect::Leaves,
            "?" => return Effect::Told(KEYS.to_string()),
            "b" if self.fault.take().is_some() => return Effect::Moved("back".to_string()),
            "b" if self.states.len() > 1 => {
                self.states.pop();
                return Effect::Moved("back".to_string());
            }
            "b" => return Effect::Told("this is the beginning".to_string()),
            _ => {}
        }
        let typed = text.replace("->", "→");
        let number = text.parse::<usize>().ok();
        let all: Vec<(usize, String)> = choices.iter().map(|choice| self.named(*choice, &choices)).collect();
        let find = |fits: &dyn Fn(&(usize, String)) -> bool| all.iter().position(fits).map(|place| choices[place]);
        let by_name = find(&|(_, name)| *name == typed).or_else(|| {
            // `b→a` in full, where `b` would do.
            choices.iter().copied().find(|choice| self.name(*choice) == typed)
        });
        let Some(choice) = by_name.or_else(|| find(&|(known, _)| Some(*known) == number)) else {
            let names: Vec<String> = all.into_iter().map(|(_, name)| name).collect();
            let of_thread: Vec<&String> = names.iter().filter(|name| name.starts_with(&format!("{text}→"))).collect();
            if !of_thread.is_empty() {
                let which = of_thread.into_iter().map(String::as_str).collect::<Vec<_>>().join(" or ");
                return Effect::Unknown(format!("`{text}` can wake one of several threads: {which}"));
            }
            // A key that the terminal does not edit with arrives as control characters.
            let text = escaped(text);
            let thread = self.machine.program.threads.iter().any(|thread| thread.name == text);
            return Effect::Unknown(match (choices.is_empty(), thread) {
                (true, _) => format!("`{text}`: no thread can move now"),
                (false, true) => format!("`{text}` cannot move now, only {}", names.join(", ")),
                (false, false) => format!("`{text}` is not a move: {}", names.join(", ")),
            });
        };
        let mut story = Story::default();
        let mut next = self.states.last().expect("a state has choices").clone();
        self.fault = self.machine.apply(&mut next, choice, &mut story).err();
        if self.fault.is_none() {
            self.states.push(next);
        }
        let who = choice.thread().map_or("memory", |thread| self.machine.program.threads[thread].name.as_str());
        let fault = self.fault.map(|fault| self.machine.program.fault_text(&fault, self.source));
        Effect::Moved(format!("{who}: {}", story.0.into_iter().chain(fault).collect::<Vec<_>>().join(" · ")))
    }

    /// Everything that can be seen now, and the moves.
    pub fn view(&self) -> String {
        let program = self.machine.program;
        let Some(state) = self.states.last() else {
            return self.fault.map(|fault| program.fault_text(&fault, self.source)).unwrap_or_default();
        };
        let mut lines =
            vec![format!("── step {} · {} ──", self.states.len() - 1, self.machine.model.name().to_uppercase())];
        let memory = self.machine.memory(state).iter().enumerate();
        let mut shown: Vec<String> =
            memory.map(|(location, value)| format!("{} = {value}", program.location_name(location))).collect();
        shown.extend(program.locks.iter().enumerate().map(|(lock, name)| match self.machine.owner(state, lock) {
            Some(owner) => format!("lock {name}: {}", program.threads[owner].name),
            None => format!("lock {name}: free"),
        }));
        lines.push(shown.join("   "));
        let wide = program.threads.iter().map(|thread| thread.name.chars().count()).max().unwrap_or(0);
        for (thread, named) in program.threads.iter().enumerate() {
            let mut parts = vec![self.doing(state, thread)];
            let own = program.named.iter().filter(|register| register.thread == thread);
            parts.extend(own.map(|register| {
                let name = register.name.split('.').next_back().unwrap_or_default();
                format!("{name} = {}", self.machine.register(state, register.register))
            }));
            let stores: Vec<String> = self
                .machine
                .buffer(state, thread)
                .map(|(location, value)| format!("{} ← {value}", program.location_name(location)))
                .collect();
            if !stores.is_empty() {
                parts.push(format!("buffer: {}", stores.join(", ")));
            }
            lines.push(format!("{:wide$}  {}", named.name, parts.join("   ")));
        }
        let choices = self.choices();
        lines.push(match (choices.is_empty(), self.fault) {
            (false, _) => {
                let moves = choices.iter().map(|choice| {
                    let (number, name) = self.named(*choice, &choices);
                    format!("{number} {name}")
                });
                format!("moves: {}", moves.collect::<Vec<_>>().join(" · "))
            }
            (true, Some(fault)) => format!("the end: {}", program.fault_text(&fault, self.source)),
            (true, None) => self.ending(state),
        });
        lines.join("\n")
    }

    /// What a thread does next, in the words of the program.
    fn doing(&self, state: &[i64], thread: usize) -> String {
        if self.machine.is_done(state, thread) {
            return "done".to_string();
        }
        let op = self.machine.counter(state, thread);
        let span = self.machine.program.threads[thread].spans[op];
        let text = self.source[span.start..span.end].split_whitespace().collect::<Vec<_>>().join(" ");
        let verb = self.machine.next_words(state, thread);
        if verb.ends_with(&text) { format!("next: {verb}") } else { format!("next: {verb}  [{text}]") }
    }

    fn ending(&self, state: &[i64]) -> String {
        let program = self.machine.program;
        let ending = self.machine.ending(state);
        let text = program.ending_text(&ending, self.source);
        let verdict = match (&ending, self.machine.failed_check(state)) {
            (Ending::Deadlock(_) | Ending::Fault(_), _) => String::new(),
            (Ending::Values(_), _) if program.checks.is_empty() => String::new(),
            (Ending::Values(_), Ok(None)) => " ✓".to_string(),
            (Ending::Values(_), Ok(Some(check))) => format!(" ✗ check {} fails", program.checks[check].text),
            (Ending::Values(_), Err(fault)) => format!(" ✗ {}", program.fault_text(&fault, self.source)),
        };
        format!("the end: {text}{verdict}")
    }
}

/// All that can be a move at some time: threads, then stores that drain, then threads that others wake.
fn all_moves(program: &Program, model: Model) -> Vec<Choice> {
    let threads = 0..program.threads.len();
    let mut all: Vec<Choice> = threads.clone().map(|thread| Choice::Step(thread as u8)).collect();
    if model != Model::Sc {
        for thread in threads.clone() {
            let stored = program.stored_by(thread).into_iter();
            all.extend(stored.map(|location| Choice::Drain(thread as u8, location as u16)));
        }
    }
    for thread in threads.clone() {
        let notified = program.notified_by(thread);
        let sleeps = |other: &usize| !program.waited_for_by(*other).is_disjoint(&notified);
        all.extend(threads.clone().filter(sleeps).map(|other| Choice::Wake(thread as u8, other as u8)));
    }
    all
}
