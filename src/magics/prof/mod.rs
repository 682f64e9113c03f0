//! `%prof`: where time goes, of pipelines, of programs, and of what other tools have written.

mod block;
mod calls;
mod command;
mod pipeline;
mod stages;
mod table;
mod view;

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files;
use crate::lang::{self, Argument, MagicSyntax, Privileges, Statement, Takes, Word};
use crate::plan::Binding;
use crate::profiles::Profile;
use crate::report::{Block, Field, Map, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::session::{Session, lone_block, lone_command};

use super::{Answer, Magic, Next, Offers, figures_plan};

use table::Shape;

pub static PROF: Magic = Magic {
    syntax: MagicSyntax {
        name: "prof",
        usage: "%prof [--sort KEY] [--top N] [--by KIND] [--find TEXT] PIPELINE or !COMMAND — or: view FILE [as \
                FORMAT] \
                | map [_3] | flame [_3] | diff A B | export FORM FILE [_3]",
        takes: Takes::WordsOrStatement(&["view", "map", "flame", "diff", "export"]),
        options: &[
            ("--sort", true),
            ("--top", true),
            ("--by", true),
            ("--find", true),
            ("--input", true),
            ("--ok", true),
            ("--sampler", true),
        ],
    },
    about: "shows where the time of a pipeline or a program goes, also of profiles that other tools wrote\n\n\
            Subjects\n  \
            PIPELINE           operators of the engine batch: calls, rows, own and cumulative time, share. \
            `| on threads`, `on workers` and `on mapreduce` show stages, `on rows` the calls of each fn\n  \
            !python3 app.py    runs the program unchanged under cProfile; also -m MODULE and -c CODE\n  \
            !COMMAND           samples any program: by the kernel every ms of CPU time (perf_event_open), or where \
            that is refused by a library in the program. --sampler perf|preload chooses; the output says which\n  \
            rust { … }         samples a block of Rust in the same two ways: functions with file and line\n\n\
            Files of other tools\n  \
            view FILE [as FORMAT]  cProfile dumps, folded stacks, speedscope, callgrind, pprof, perf script, Firefox \
            profiler; also gzipped. The content decides on the format. A dump is data and never run.\n\n\
            Tables\n  \
            own         time in the function itself; cumulative: with what it called\n  \
            calls       all calls; 8 361/1 means that 1 of them is not recursive\n  \
            --sort own|cumulative|calls|name, --top N rows (20), --by function|module|file\n  \
            --find TEXT  only rows with this text, and their total\n  \
            %last shows all rows. The profile is the result `_`.\n\n\
            Drawings\n  \
            map [_3]    the square map: area is time, nested by caller, colour by module. On a terminal arrows move, \
            Enter zooms, Backspace leaves, / finds, q quits\n  \
            flame [_3]  the flame graph\n\n\
            Comparing and exporting\n  \
            diff A B    what grew and what shrank; A and B are results (_3) or files\n  \
            export folded|speedscope|pprof|svg FILE [_3]",
    examples: &[
        "%prof read \"samples/kjv.txt\" | words | count by word",
        "%prof --top 3 1..100k | map it * it | filter it % 3 == 1 | sum",
    ],
    offers: Offers::Files,
    privileges: |magic| {
        let Argument::Words(words) = &magic.subject else { return Privileges::NONE };
        let leaves = words.first().is_some_and(|word| word.text == "export")
            && words.get(2).is_some_and(|path| files::leads_outside(&path.text));
        Privileges::WRITES_ELSEWHERE.only_if(leaves)
    },
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let shape = Shape::asked(magic)?;
    match &magic.subject {
        // A file may be large, and its readers ask for memory again and again: so Ctrl-C ends them.
        Argument::Words(words) => context.within_limit(|| match words[0].text.as_str() {
            "view" => view::view(session, magic, &words[1..], &shape, context),
            "map" => drawn(session, magic, &words[1..], false, context),
            "flame" => drawn(session, magic, &words[1..], true, context),
            "diff" => view::diff(session, magic, &words[1..], &shape, context),
            _ => view::export(session, magic, &words[1..], context),
        }),
        Argument::Statement(statement) => match &**statement {
            Statement::Pipeline(subject) if lone_command(subject).is_some() => {
                command::command(session, magic, subject, &shape, context)
            }
            Statement::Pipeline(subject) if lone_block(subject).is_some() => {
                let written = lone_block(subject).expect("it was just seen");
                block::block(session, magic, (subject, written), &shape, context)
            }
            Statement::Pipeline(subject) => pipeline::pipeline(session, magic, subject, &shape, context),
            _ => Err(Diagnostic::at(
                Kind::Syntax,
                magic.span,
                "`%prof` runs a pipeline or a command, and defines no names",
            )
            .hint("%prof 1..1M | map it * it | sum")),
        },
        Argument::Nothing | Argument::Pipelines(_) | Argument::Variants(_) | Argument::Body(_) => {
            Err(Diagnostic::at(Kind::Syntax, magic.span, "`%prof` needs a subject")
                .hint("%prof read \"samples/kjv.txt\" | words | count by word"))
        }
    }
}

/// What hangs on what was measured.
pub const SAYS: &[&str] = &[
    "<1 other thread|{count} other threads> began, which cProfile does not see",
    "the fastest of {count} runs; the limit is that of the first",
    "~`{words}` costs most: {share} of the [CPU ]time",
    "=`{row}` costs most: {cell} of the [CPU ]time",
    "~the limit is the disk: {share} of the time was waiting, and {bytes} came from it",
    "~the limit is memory: {share} of the time was waiting, and {count} pages had to be fetched",
    "~the limit is waiting: {share} of the time, for no disk",
    "~too short to say what limits it",
    "~the limit is the CPU, which others used too: {share} of the time in which it could run it waited for one",
    "~the limit is the CPU: on a processor for {share} of the time (whether that computes or waits for memory is \
     not seen from here)",
    table::ESTIMATED,
    "~{weight} in all, of {words}; {count} of {count} <functions|modules|files>[ that match, of {count}] by \
     {word}[; --top N shows more, %last all]",
    "~`{words}` is in no name and no place",
    "~`{words}`: [{count} calls, ]{weight} of {weight} ({share})",
    "~{weight} before, {weight} after; {count} function[s] grew by {weight} in all, {count} function[s] shrank by \
     {weight}",
    "~<+|−>{weight}",
    "{count} sample[s] by perf_event_open: the software clock, every ms of CPU time, in user space",
    "{count} samples by a library that was loaded into the program (LD_PRELOAD, profiling timer); together they count \
     for its CPU time",
    "the callers of {share} of the samples are not known: their code has neither unwind tables nor frame pointers \
     (compile with -fno-omit-frame-pointer), or their stack is deeper than {count} KiB",
    "the callers of {share} of the samples are not known: this sampler follows frame pointers only (compile with \
     -fno-omit-frame-pointer)",
    "{count} samples were lost: the buffer was full",
    "~{weight} of its {weight} of CPU time are not in this table: the system worked for it for {weight}",
];

/// What is told of a profile: its table, what is to be known about it, and the profile as the result.
fn answer(
    session: &mut Session,
    magic: &lang::Magic,
    profile: Profile,
    shape: &Shape,
    mut notes: Vec<Note>,
    measured: bool,
) -> Answer {
    let table = table::functions(&profile, shape, measured);
    let mut all_notes = table.notes;
    all_notes.append(&mut notes);
    // How many samples there were, and of how many the callers are known, is measured too.
    let note = |note: &String| match measured {
        true => Note::default().found(note.clone()).optional(),
        false => Note::from(note.as_str()),
    };
    all_notes.extend(profile.notes.iter().map(note));
    let fields = vec![
        table::total_field(&profile, measured),
        Field::counted("functions", crate::data::Value::Int(profile.functions.len() as i64), Unit::Count("functions")),
    ];
    let result = Binding::Result { table: Some(figures_plan(&table.all, magic.span)), fields, tables: Vec::new() };
    let blocks = vec![Block::Figures(table.shown), Block::Notes(all_notes)];
    session.hold_profile(Arc::new(profile));
    Answer { report: Report { blocks, ..Report::default() }, result: Some(result), ..Answer::default() }
}

/// A map or a flame graph; played where a person can be asked.
fn drawn(
    session: &mut Session,
    magic: &lang::Magic,
    words: &[Word],
    flame: bool,
    context: &RunContext,
) -> Fallible<Answer> {
    let word = match words {
        [] => None,
        [word] => Some(word),
        _ => {
            let message = "expected a result or nothing";
            return Err(Diagnostic::at(Kind::Syntax, words[1].span, message).hint("%prof map _3"));
        }
    };
    let (title, profile) = view::of(session, magic, word, context)?;
    let estimated = profile.is_tree_smaller();
    let map = Map { title: view::map_title(title, &profile), profile, root: 0, flame };
    if session.interactive {
        let next = Next { map: Some(map), ..Next::default() };
        return Ok(Answer { next, ..Answer::default() });
    }
    let mut blocks = vec![Block::Map(map)];
    if estimated {
        blocks.push(Block::Notes(vec![Note::from(table::ESTIMATED).optional()]));
    }
    Ok(Answer { report: Report { blocks, ..Report::default() }, ..Answer::default() })
}
