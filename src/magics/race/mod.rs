//! `%%race`: what threads that share variables can do, what they did, and the shortest way to go wrong.

mod demo;
pub mod play;
mod program;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Takes, Word};
use crate::races;
use crate::run_context::RunContext;
use crate::session::Session;

use super::races as catalogue;
use super::{Answer, Magic, Offers};

pub use program::SAYS;

pub static RACE: Magic = Magic {
    syntax: MagicSyntax {
        name: "race",
        usage: "%%race [OPTIONS] x = 0, … and threads below · %race NAME [--each N] [--threads N] [--only \
                VERSIONS] · %race play [NAME]",
        takes: Takes::WordsOrBody,
        options: &[
            ("--model", true),
            ("--rounds", true),
            ("--states", true),
            ("--live", true),
            ("--each", true),
            ("--threads", true),
            ("--only", true),
            ("--checkpoint", true),
            ("--gil", true),
            ("--moves", true),
        ],
    },
    about: "explores every schedule of a small program with shared variables, and runs it on real threads\n\n\
            Uses\n  \
            `%%race` takes a small program. It shows which outcomes are possible under three memory models and which \
            were seen,\n  \
            and the smallest failing schedule. `%help race` shows the language.\n  \
            `%race counter` runs a demo of the catalogue, racy versions beside safe ones; `%races` lists them.\n  \
            `%race play` lets you choose which thread moves next.",
    examples: &[
        "%%race x = 0\n  up:   x = x + 1\n  down: x = x - 1\n  check x == 0",
        "%%race --live off x = 0, y = 0\n  a: x = 1; let r = y\n  b: y = 1; let s = x\n  check a.r == 1 or b.s == 1",
        "%%race left = 1, sold = 0\n  ann: if left > 0 { left -= 1; lock m { sold += 1 } }\n  \
         bob: if left > 0 { left -= 1; lock m { sold += 1 } }\n  check sold == 1",
        "%race counter --each 100k",
        "%race ticket",
        "%race play ticket --moves ann,bob,ann,bob",
        "%%race --live off\n  a: lock m { lock n { } }\n  b: lock n { lock m { } }",
    ],
    offers: Offers::Races,
    privileges: lang::Privileges::none,
    run,
};

/// What `%help race` says below the usage.
pub const LANGUAGE: &str = r#"the first line declares what the threads share: `x = 0` is an int, `a = [0, 0]` an array
each line below is a thread, `NAME: statements`, or `check e`, which must hold when all threads are done
deeper-indented lines continue a thread; `;` or a line break separates statements; `#` begins a comment

  stmt     let r = e · x = e · x += e · x -= e · a[e] = e · if e { … } else { … } · while e { … } · repeat 3 { … }
           atomic { … } · lock m { … } · lock m · unlock m · wait m · notify m · notify_all m
           fence [FENCE] · yield · assert e · a call
  call     load(x[, READ]) · store(x, e[, WRITE]) · swap(x, e) · cas(x, old, new) · fetch_add(x, e)
           fetch_sub(x, e) · try_lock(m)
  READ     relaxed · acquire · seqcst      WRITE  relaxed · release · seqcst
  FENCE    acquire · release · acqrel · seqcst (the default of all three)
  e        ints and bools: or, and, not, == != < <= > >=, + -, * // %, -e, if e then e else e; left to right

steps      each read or write of a shared variable is one, so `x = x + 1` is two; each lock, unlock, wait, notify, fence
           and call is one; a whole `atomic` block is one; work on registers belongs to the previous step
registers  `let r = x` creates a register of the thread, which starts as 0; `check` and outcomes call it `thread.r`
wait m     needs the lock m: it releases it, sleeps until a later `notify m`, and takes it again
models     sc: every write is in memory at once. tso (as on x86): writes wait in a buffer of their thread, in order.
           pso: they wait in a buffer for each variable, so two of them can swap. A seqcst store or fence, `cas`,
           `swap`, `fetch_…`, `atomic` and locks empty the buffer first. Under pso a release store or fence keeps the
           stores before it ahead of those after it; it does not wait for them.
           Reads are never reordered: what ARM and POWER do with them is not explored
data race  two threads can access one variable at the same time, one of them writes, and one access is plain
limits     8 threads, `repeat` up to 1000, 64 KiB of text, 300k states (--states), 32 stores of a thread that have not
           reached memory yet; the output says what was not explored
options    --model sc,tso,pso · --rounds 20k: so many on real threads, 20 s at most · --states 300k · --live off
demos      %race counter and %race lists also take --checkpoint 1M, which plots the counter on its way, and
           --gil bytecode|calls: where threads hand over as CPython does
see also   %help race play · %races"#;

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let words: &[Word] = match &magic.subject {
        Argument::Body(body) => return program::run(session, magic, body, context),
        Argument::Words(words) => words,
        _ => &[],
    };
    match words {
        [play, rest @ ..] if play.text == "play" => play::run(session, magic, rest, context),
        [play] if play.text.trim_end_matches('?') == "play" => Ok(Answer::text(play::HELP.to_string())),
        // `%race counter?` asks as `counter?` does.
        [name] if name.text.ends_with('?') => {
            let text = name.text.trim_end_matches('?').to_string();
            let demo = demo(&Word { text, span: name.span })?;
            let is_source = name.text.ends_with("??");
            Ok(Answer::text(if is_source { demo.source() } else { catalogue::describe(demo) }))
        }
        [name] => demo::run(magic, name, context),
        [] => Err(Diagnostic::at(Kind::Syntax, magic.span, "`%race` needs the name of a race, or `play`")
            .hint("%races lists them; a program begins with %%race")),
        [_, second, ..] => Err(Diagnostic::at(Kind::Syntax, second.span, format!("unexpected `{}`", second.text))
            .hint("%race counter --each 1M")),
    }
}

/// The demo of that name.
pub fn demo(word: &Word) -> Fallible<&'static races::Demo> {
    races::find(&word.text).ok_or_else(|| {
        let error = Diagnostic::at(Kind::Name, word.span, format!("unknown race `{}`", word.text));
        let error = error.near(&word.text, races::ALL.iter().map(|demo| demo.name));
        if error.hint.is_some() { error } else { error.hint("%races lists them") }
    })
}

/// For a magic that takes options only.
pub fn refuse_words(magic: &lang::Magic, hint: &str) -> Fallible<()> {
    match &magic.subject {
        Argument::Words(words) if !words.is_empty() => {
            let message = format!("unexpected `{}`", words[0].text);
            Err(Diagnostic::at(Kind::Syntax, words[0].span, message).hint(hint))
        }
        _ => Ok(()),
    }
}

/// The first of these options that was given is a mistake.
pub fn refuse(magic: &lang::Magic, options: &[&str], belongs: &str) -> Fallible<()> {
    match magic.options.iter().find(|(option, _)| options.contains(&option.text.as_str())) {
        Some((option, _)) => {
            Err(Diagnostic::at(Kind::Syntax, option.span, format!("`{}` only applies to {belongs}", option.text)))
        }
        None => Ok(()),
    }
}
