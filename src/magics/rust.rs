use std::time::Duration;

use crate::data::{Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Privileges, Takes};
use crate::plan::{Binding, Plan};
use crate::report::{Block, Field, Measured, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::rust::{BlockValue, Cost};
use crate::session::{Session, kept_plan};

use super::{Answer, Magic, Offers};

pub static RUST: Magic = Magic {
    syntax: MagicSyntax {
        name: "rust",
        usage: "%%rust and Rust below · %rust · %rust dep NAME [VERSION or { … }] · %rust reset",
        takes: Takes::WordsOrBody,
        options: &[],
    },
    about: "compiles and runs a cell of Rust\n\n\
            Cells\n  \
            `%%rust` keeps its functions, types and variables. Its last expression is the result: lists, maps, tuples \
            and\n  \
            structs of values become tables.\n  \
            `rust { … }` is an expression that sees them; `rust with name { … }` also sees names of the session. It \
            runs in a\n  \
            copy of the process, so its changes to variables are lost.\n  \
            A panic, an endless loop, an exit or a crash loses nothing. Standard input is empty.\n\n\
            Packages\n  \
            `%rust dep NAME VERSION` lets cells use a package, with features as in Cargo.toml:\n  \
            `%rust dep serde { version = \"1\", features = [\"derive\"] }`. `%rust` lists all items, `%rust reset` \
            removes them.\n\n\
            Speed\n  \
            Cells are built as `cargo build --release` does: ints wrap on overflow (`checked_add` does not). What the \
            compiler\n  \
            can compute in advance costs nothing when timed; `std::hint::black_box` hides a value from it.\n\n\
            Limits\n  \
            Threads that a cell leaves running end with it. A variable is kept if the name of its type can be written: \
            closures\n  \
            and values that borrow from other variables are not kept.",
    examples: &[
        "%%rust\nfn squares(n: u64) -> Vec<u64> { (0..n).map(|x| x * x).collect() }\nsquares(5)",
        "rust { (0..1000u64).map(|x| x * x).sum::<u64>() }",
        "let words = read \"samples/words.txt\"\nrust with words { words.iter().map(|w| w.len() as u64).sum::<u64>() }",
    ],
    offers: Offers::Nothing,
    privileges: |magic| match &magic.subject {
        Argument::Body(_) => Privileges::RUNS_CODE,
        // A package brings code that runs while it is built.
        Argument::Words(words) if words.first().is_some_and(|word| word.text == "dep") => {
            Privileges::RUNS_CODE | Privileges::REACHES_NETWORK
        }
        _ => Privileges::NONE,
    },
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let words: Vec<&str> = match &magic.subject {
        Argument::Body(body) => {
            if !body.line.text.trim().is_empty() {
                let message = "unexpected text after `%%rust` on the first line";
                return Err(
                    Diagnostic::at(Kind::Syntax, body.line.span, message).hint("put the Rust code on the lines below")
                );
            }
            let (given, cost) = session.rust.cell(&body.text.text, body.text.span, context)?;
            return Ok(answer(given, &cost, false));
        }
        Argument::Words(words) => words.iter().map(|word| word.text.as_str()).collect(),
        _ => Vec::new(),
    };
    match &words[..] {
        [] => Ok(list_known(session)),
        ["reset"] => {
            session.reset_rust(context)?;
            Ok(Answer::text("all Rust functions, types, variables and packages were removed".to_string()))
        }
        ["dep", name, spec @ ..] => {
            // As in Cargo.toml there may be a sign between them.
            let first = if spec.first() == Some(&"=") { 3 } else { 2 };
            let spec = match &words[first.min(words.len())..] {
                [] => "\"*\"".to_string(),
                [version] if version.starts_with(|c: char| c.is_ascii_digit() || "=^~<>*".contains(c)) => {
                    format!("{version:?}")
                }
                // As it is written: words have lost their quotes.
                _ => written_words(session, magic, first),
            };
            session.rust.depend(name, &spec, context)?;
            Ok(Answer::text(format!("cells can now use {name} = {spec}")))
        }
        ["dep"] => Err(Diagnostic::at(Kind::Syntax, magic.span, "`%rust dep` needs the name of a package")
            .hint("%rust dep NAME [VERSION], or %rust dep NAME { version = \"1\", features = [\"derive\"] }")),
        ["reset", ..] => Err(Diagnostic::at(Kind::Syntax, magic.span, "unexpected text after `%rust reset`")),
        [other, ..] => {
            let error =
                Diagnostic::at(Kind::Syntax, magic.span, format!("`%rust` expects dep or reset, got `{other}`"));
            let error = error.near(other, ["dep", "reset"]);
            Err(if error.hint.is_some() { error } else { error.hint("a cell of Rust begins with `%%rust`") })
        }
    }
}

/// The text of the magic from a word on, in one line.
fn written_words(session: &Session, magic: &lang::Magic, first: usize) -> String {
    let Argument::Words(words) = &magic.subject else { return String::new() };
    let span = words[first..].iter().map(|word| word.span).reduce(|all, word| all.to(word));
    session.words(span.unwrap_or_default()).split('\n').collect::<Vec<_>>().join(" ")
}

/// The variables and items of earlier cells.
fn list_known(session: &Session) -> Answer {
    let (variables, items) = session.rust.known();
    let packages = session.rust.packages();
    if variables.is_empty() && items.is_empty() && packages.is_empty() {
        return Answer::text("there is no Rust yet; a Rust cell begins with %%rust".to_string());
    }
    let mut lines: Vec<String> = variables.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
    lines.extend(items);
    lines.extend(packages.iter().map(|(name, spec)| format!("package {name} = {spec}")));
    Answer::text(lines.join("\n"))
}

/// What a cell of Rust gave, and what it cost.
pub fn answer(given: BlockValue, cost: &Cost, measured: bool) -> Answer {
    let (block, result) = match given {
        BlockValue::Nothing => (None, None),
        BlockValue::Value(value, ty) => {
            let block = Block::Value { value: value.clone(), ty: ty.clone(), measured };
            (Some(block), Some(Binding::Value(value, ty, measured)))
        }
        BlockValue::Text(text) => {
            (Some(Block::Text(text.clone())), Some(Binding::Value(Value::text(&text), Type::Text, measured)))
        }
        BlockValue::Table(table) => {
            let table = std::sync::Arc::new(table);
            let block = Block::Table { table: table.clone(), measured: of_table(&table, measured) };
            (Some(block), Some(result(table, cost, measured)))
        }
    };
    let report = Report { blocks: block.into_iter().collect(), status_line: status_line(cost) };
    Answer { report, result, ..Answer::default() }
}

fn result(table: std::sync::Arc<Table>, cost: &Cost, measured: bool) -> Binding {
    let rows = Value::Int(table.height() as i64);
    let fields = vec![
        Field { name: "rows", value: rows, unit: Unit::Count("rows"), measured },
        Field::measured("wall", Value::Float(cost.run.wall.as_secs_f64()), Unit::Seconds),
        Field::measured("compile", Value::Float(cost.compile.as_secs_f64()), Unit::Seconds),
        Field::measured("start", Value::Float(cost.start.as_secs_f64()), Unit::Seconds),
    ];
    let plan = Plan { measured: of_table(&table, measured), ..kept_plan(table, Default::default()) };
    Binding::Result { table: Some(std::sync::Arc::new(plan)), fields, tables: Vec::new() }
}

fn of_table(table: &Table, measured: bool) -> Measured {
    let width = table.schema().columns.len();
    if measured { Measured::all(width) } else { Measured::nothing(width) }
}

/// A start that is told; less is only a moment's wait for the compiler.
const STARTING: Duration = Duration::from_millis(100);

fn status_line(cost: &Cost) -> Vec<Note> {
    let seconds = |words: &str, seconds: f64| Note::from(words).seconds(seconds);
    // Neither is there where it was compiled or started before.
    let compiled = (!cost.compile.is_zero()).then(|| seconds("compiled in ", cost.compile.as_secs_f64()).optional());
    let started =
        (cost.start >= STARTING).then(|| seconds("the compiler started in ", cost.start.as_secs_f64()).optional());
    let mut parts: Vec<Note> = started.into_iter().chain(compiled).collect();
    parts.extend([seconds("ran ", cost.run.wall.as_secs_f64()), seconds("CPU ", cost.run.cpu.as_secs_f64())]);
    if cost.run.allocations > 0 {
        parts.push(Note::from("peak ").measured(cost.run.peak as f64, Unit::Bytes));
        let unit = if cost.run.allocations == 1 { "allocation" } else { "allocations" };
        parts.push(Note::default().measured_count(cost.run.allocations, unit));
    }
    parts
}
