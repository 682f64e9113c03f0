use std::time::Instant;

use crate::concurrency::generators::{self, Step};
use crate::concurrency::styles::{self, Requests};
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, MagicSyntax, Privileges, Takes};
use crate::plan::Binding;
use crate::report::{Block, Field, Figures, Note, Piece, Report, Unit};
use crate::run_context::RunContext;

use super::race::refuse_words;
use super::timing::asked_count;
use super::{Answer, Magic, Offers, figures_plan, passed};

pub static ASYNC: Magic = Magic {
    syntax: MagicSyntax {
        name: "async",
        usage: "%async [--requests N]",
        takes: Takes::Words,
        options: &[("--requests", true)],
    },
    about: "runs 1,000 waiting requests on one thread in four styles; also generators and an event loop's queue\n\n\
            Styles\n  \
            callbacks    the next step is a function that is passed along\n  \
            futures      values that arrive later, combined with `then`\n  \
            async/await  reads like blocking code; the compiler turns it into a future\n  \
            poll loop    a list of states that is checked again and again, without a runtime\n\n\
            Each request waits for 22 to 70 ms: for the connection, then for the answer. `async??` shows the \
            sources\n\n\
            Columns\n  \
            lines         length of the function that makes the requests, without the event loop and the runtime\n  \
            peak_waiting  the most requests that waited at the same time\n  \
            threads       the threads on which requests began and ended\n\n\
            More tables\n  \
            _.generators  what each step of two generators returns: one yields and returns, one delegates to it\n  \
            _.queue       each call of an event loop, and what waits in its queue at that time",
    examples: &["%async", "%async --requests 100", "async??"],
    offers: Offers::Nothing,
    privileges: Privileges::none,
    run: |_, magic, context| run(magic, context),
};

const REQUESTS: u64 = 1_000;
const MOST_REQUESTS: u64 = 10_000;

/// Each style and the generators, as they are written.
pub fn source() -> String {
    let styles = styles::ALL.iter().map(|style| format!("// {}: {}\n{}", style.name, style.about, style.source()));
    let generators =
        format!("// generators: one that yields and returns, one that delegates\n{}", generators::source());
    styles.chain([generators]).collect::<Vec<_>>().join("\n\n")
}

/// What the notes may say of some runs.
pub const SAYS: &[&str] = &["stopped: {count} of {count} styles"];

fn run(magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    refuse_words(magic, "%async --requests 100")?;
    let start = Instant::now();
    let number = asked_count(magic, "--requests")?.unwrap_or(REQUESTS);
    if number > MOST_REQUESTS {
        let span = magic.option("--requests").flatten().map_or(magic.span, |word| word.span);
        let message = format!("`--requests` is at most {MOST_REQUESTS}, got {number}");
        return Err(Diagnostic::at(Kind::Type, span, message));
    }
    let stopped = || context.stop.is_raised();
    let mut rows = Vec::new();
    for style in &styles::ALL {
        context.progress.tell(format!("{number} requests: {}", style.name));
        let requests = Requests::new(number as usize, &stopped);
        let begin = Instant::now();
        (style.run)(&requests)
            .map_err(|error| Diagnostic::new(Kind::System, format!("cannot run {}: {error}", style.name)))?;
        let time = begin.elapsed();
        if requests.done() < requests.number {
            break;
        }
        rows.push(vec![
            Value::text(style.name),
            Value::Int(style.source().lines().count() as i64),
            Value::Float(time.as_secs_f64()),
            Value::Int(requests.peak() as i64),
            Value::Int(requests.threads() as i64),
        ]);
    }
    if rows.is_empty() {
        context.stop.check()?;
    }
    let plain = Unit::Plain.counted();
    let figures = Figures::of_rows(
        &[
            ("style", Type::Text, plain),
            ("lines", Type::Int, plain),
            ("time", Type::Float, Unit::Seconds.measured()),
            ("peak_waiting", Type::Int, plain),
            ("threads", Type::Int, plain),
        ],
        &rows,
    );
    let (generators, queue) = (generators(), queue());
    let mut notes: Vec<Note> = Vec::new();
    if rows.len() < styles::ALL.len() {
        let told = format!("stopped: {} of {} styles", rows.len(), styles::ALL.len());
        notes.push(Note::default().found(told).optional());
    }
    let total = Requests::new(number as usize, &stopped).total();
    let total = Field::counted("", Value::Float(total.as_secs_f64()), Unit::Seconds);
    let note = Note { pieces: vec![Piece::Figure(total)], is_optional: false };
    let note = note.after("one after the other, the requests would take ");
    notes.push(note.text(": a waiting request needs no thread of its own; async?? shows how each style is written"));
    notes.push("generators: each step continues where the last one stopped".into());
    let table = Some(figures_plan(&figures, Default::default()));
    let tables = vec![
        ("generators".to_string(), figures_plan(&generators, Default::default())),
        ("queue".to_string(), figures_plan(&queue, Default::default())),
    ];
    let blocks = vec![
        Block::Figures(figures),
        Block::Notes(notes),
        Block::Aside(generators),
        Block::Notes(vec!["the queue of an event loop with three requests, by the clock of the loop".into()]),
        Block::Aside(queue),
    ];
    let report = Report { blocks, status_line: vec![passed(start.elapsed())] };
    Ok(Answer { report, result: Some(Binding::Result { table, fields: Vec::new(), tables }), ..Answer::default() })
}

fn generators() -> Figures {
    let mut rows = Vec::new();
    for (name, steps) in generators::all() {
        for (number, step) in steps.iter().enumerate() {
            let (kind, value) = match step {
                Step::Yields(value) => ("yields", value),
                Step::Returns(value) => ("returns", value),
            };
            rows.push(vec![Value::text(name), Value::Int(number as i64 + 1), Value::text(kind), Value::Int(*value)]);
        }
    }
    let plain = Unit::Plain.counted();
    let heads = [
        ("generator", Type::Text, plain),
        ("step", Type::Int, plain),
        ("does", Type::Text, plain),
        ("value", Type::Int, plain),
    ];
    Figures::of_rows(&heads, &rows)
}

fn queue() -> Figures {
    let row = |moment: styles::Moment| {
        vec![Value::Float(moment.time.as_secs_f64()), Value::text(&moment.runs), Value::text(&moment.queue.join(" · "))]
    };
    let heads = [
        ("time", Type::Float, Unit::Seconds.counted()),
        ("runs", Type::Text, Unit::Plain.counted()),
        ("queue", Type::Text, Unit::Plain.counted()),
    ];
    Figures::of_rows(&heads, &styles::trace().into_iter().map(row).collect::<Vec<_>>())
}
