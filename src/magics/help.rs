use crate::algorithms;
use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::engines;
use crate::functions;
use crate::lang::{self, Argument, MagicSyntax, StageSyntax, Takes, Word, foreign};
use crate::plan::{Binding, aggregates};
use crate::races;
use crate::report::Block;
use crate::run_context::RunContext;
use crate::session::{Session, settings};
use crate::sources;
use crate::stages;
use crate::structures;

use super::algorithms as families;
use super::races as catalogue;
use super::{Answer, Magic, Offers, asynchronous, glossary, race, topics};

pub static HELP: Magic = Magic {
    syntax: MagicSyntax {
        name: "help",
        usage: "%help [TOPIC | NAME | --find TEXT]",
        takes: Takes::Words,
        options: &[("--find", true)],
    },
    about: "shows a help topic, or the help of one name, as does `name?`\n\n\
            Options\n  \
            --find TEXT   lists the lines of all help texts that contain TEXT\n\n\
            Words of other tools\n  \
            `groupby?`, `%help dict` and others lead to the equivalent here.",
    examples: &["%help", "%help stages", "%help hot key", "%help --find null", "count?", "groupby?"],
    offers: Offers::Topics,
    privileges: lang::Privileges::none,
    run: |session, magic, _: &RunContext| {
        if let Some(Some(text)) = magic.option("--find") {
            return lines_with(session, text);
        }
        let words = match &magic.subject {
            Argument::Words(words) => words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "),
            _ => String::new(),
        };
        about(session, &Word { text: words, span: magic.span })
    },
};

/// Help about a name or a topic.
pub fn about(session: &mut Session, word: &Word) -> Fallible<Answer> {
    text_about(session, word).map(Answer::text)
}

fn text_about(session: &Session, word: &Word) -> Fallible<String> {
    let name = word.text.trim_start_matches('%').trim_end_matches('?').trim_end();
    let name = name.strip_prefix("race ").filter(|demo| races::find(demo).is_some()).unwrap_or(name);
    let text = match name {
        "race play" => race::play::HELP.to_string(),
        "" => topics::START.to_string(),
        "stages" => list(stages::ALL.iter().map(|stage| (stage.syntax.usage, stage.about))),
        "functions" => list(functions::ALL.iter().map(|function| (function.usage, function.about))),
        "magics" => list(super::ALL.iter().map(|magic| (magic.syntax.usage, magic.summary()))),
        "settings" => {
            let usages: Vec<String> =
                settings::ALL.iter().map(|setting| format!("%set {} {}", setting.name, setting.values)).collect();
            list(usages.iter().map(String::as_str).zip(settings::ALL.iter().map(|setting| setting.about)))
        }
        "glossary" => glossary::ALL.iter().map(term).collect::<Vec<_>>().join("\n\n"),
        "algorithms" if !word.text.starts_with('%') => families::list(),
        "engines" => list(engines::every().map(|engine| (engine.name(), engine.about()))),
        _ => match topics::find(name) {
            Some(topic) => topic.to_string(),
            None => {
                let parts = one(session, name).into_iter().chain(topics::part(name).map(str::to_string));
                let parts: Vec<String> = parts.collect();
                if parts.is_empty() { Err(unknown(session, word, name))? } else { parts.join("\n\n") }
            }
        },
    };
    Ok(text)
}

/// Everything that has this name: it may be a stage and a function.
fn one(session: &Session, name: &str) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(stage) = stages::find(name) {
        let StageSyntax { name: own, usage, .. } = stage.syntax;
        let kind =
            if own == name { "stage".to_string() } else { format!("stage; `{name}` is another name of `{own}`") };
        parts.push(entry(&kind, usage, stage.about, stage.examples));
    }
    if let Some(function) = functions::find(name) {
        parts.push(entry("function", function.usage, function.about, function.examples));
    }
    if let Some(magic) = super::find(name) {
        parts.push(magic_entry(magic));
        parts.extend((name == race::RACE.syntax.name).then(|| race::LANGUAGE.to_string()));
    }
    if let Some(engine) = engines::find(name) {
        let about = engine.about();
        let limits = engine.limits().iter().map(|limit| format!("\n  on {name} {}: {}", limit.name, limit.values));
        let limits: String = limits.collect();
        parts.push(format!("{name}  (engine)\n  {about}{limits}\n\n  › 1..10 | sum | on {name}"));
    }
    if let Some(family) = algorithms::find(name) {
        parts.push(families::describe(family));
    }
    if let Some(demo) = races::find(name) {
        parts.push(catalogue::describe(demo));
    }
    if let Some(kind) = structures::find(name) {
        parts.push(described(kind));
    }
    if let Some(known) = glossary::find(name) {
        parts.push(term(known));
    }
    if let Some(known) = foreign::of_language(name) {
        parts.push(format!("{name}  (keyword)\n  {}\n\n  › {}", known.leads, known.cell));
    } else if let Some(foreign) = foreign::find(name) {
        parts.push(format!("{name}  (in other tools)\n  {}\n\n  › {}", foreign.leads, foreign.cell));
    }
    if let Some(aggregate) = aggregates::find(name) {
        parts.push(format!("{name}(x)  (aggregate)\n  {}\n\n  › 1..10 | agg {name}(it)", aggregate.about));
    }
    if let Some(source) = sources::find(name) {
        let examples: Vec<String> = source.examples.iter().map(|(cell, _)| format!("  › {cell}")).collect();
        parts.push(format!("{}  (source)\n  {}\n\n{}", source.usage, source.about, examples.join("\n")));
    }
    if let Some(text) = source_word(name) {
        parts.push(text.to_string());
    }
    if let Some(binding) = session.lookup(name) {
        parts.push(match binding {
            Binding::Value(value, ty, _) => format!("{name}: {ty} = {value}"),
            Binding::Table(plan) => {
                let kind = match plan.store() {
                    Some(store) => format!("store of {} keys at {}; `store?` tells more", store.keys, store.address),
                    None => "table, computed when asked for".to_string(),
                };
                format!("{name}  ({kind})\n  {}", plan.schema())
            }
            Binding::Result { table, fields, tables } => {
                let table = table.map_or(String::new(), |plan| format!("\n  {}", plan.schema()));
                let fields = fields.iter().map(|field| format!("  {name}.{} = {}", field.name, in_short(&field.value)));
                let tables = tables.iter().map(|(table, plan)| format!("  {name}.{table}: {}", plan.schema()));
                let fields: Vec<String> = fields.chain(tables).collect();
                format!("{name}  (result){table}\n{}", fields.join("\n"))
            }
        });
    }
    if let Some(definition) = session.newest_function().and_then(|newest| newest.find(name)) {
        parts.push(format!("{}  (your function; `{name}??` shows it)", definition.signature()));
    }
    if parts.is_empty() { None } else { Some(parts.join("\n\n")) }
}

/// A value in one line; of a long list its length and range.
pub fn in_short(value: &Value) -> String {
    const SHORT: usize = 8;
    let Value::List(items) = value else { return value.to_string() };
    let numbers: Option<Vec<f64>> = items
        .iter()
        .map(|item| match item {
            Value::Int(i) => Some(*i as f64),
            Value::Float(x) => Some(*x),
            _ => None,
        })
        .collect();
    match numbers {
        Some(numbers) if numbers.len() > SHORT => {
            let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            format!("{} numbers from {} to {}", numbers.len(), Value::Float(least), Value::Float(greatest))
        }
        None if items.len() > SHORT => format!("{} values", items.len()),
        _ => value.to_string(),
    }
}

/// A data structure with what its operations claim.
fn described(kind: &structures::Kind) -> String {
    let mut lines = vec![format!("{}  (data structure)", kind.name), format!("  {}", kind.about)];
    lines.push(format!("  pick it for: {}", kind.pick));
    lines.push(String::new());
    for part in kind.parts {
        let facts = part.operations().into_iter().filter(|facts| !facts.is_absent);
        lines.extend(facts.map(|facts| {
            format!("  {:17} {:10} {}", facts.name, facts.claimed.to_string(), facts.why).trim_end().to_string()
        }));
    }
    lines.push(String::new());
    lines.push(format!("  › %structures --kinds {}", kind.name));
    lines.join("\n")
}

fn term(term: &glossary::Term) -> String {
    format!("{}\n  {}\n  › {}", term.name, term.meaning, term.cell)
}

fn source_word(name: &str) -> Option<&'static str> {
    Some(match name {
        "read" => {
            "read \"path or pattern\" [as csv|json|parquet|arrow|text] [columns a, b] [types a: int, b: text]\n     \
             [sep \";\"] [header false] [null \"NA\", \"-\"] [comment \"#\"] [ragged true] [lossy true]  (source)\n  \
             the lines of text files, or the table of csv, json, parquet and arrow files; without `as` the\n  \
             extension determines the format; .gz and .zst files are decompressed; `read \"-\"` is standard input,\n  \
             unless the cells come from it\n  \
             columns   reads only these columns; with `header false` it must name all columns\n  \
             types     sets types (int, float, bool, text) that would otherwise be inferred: csv and json\n  \
             null      texts that are null, instead of NA, N/A, n/a, NULL, null and None in columns of\n            \
             numbers and bools: csv\n  \
             sep       the separator of csv, detected among , ; tab and | unless specified\n  \
             header, comment, ragged, lossy: without names in the first record; skips lines that begin with \"#\"; \
             reads\n  \
             missing fields as null and ignores extra ones; replaces bytes that are not UTF-8\n\n  \
             › read \"samples/kjv.txt\" | take 2\n  \
             › read \"samples/iso3166.tab\" header false comment \"#\" columns code, country\n  \
             › read \"samples/packages.csv\" types size_bytes: float | mean size_bytes by section"
        }
        "rust" => {
            "rust [with name, …] { … }  (source)\n  \
             the result of a block of Rust: a value; or rows, from lists, maps, sets, tuples and structs of values.\n  \
             It sees the functions, types and variables of %%rust cells, and the session names after `with`:\n  \
             values, lists and tables (a slice of values for one column, otherwise of structs). It runs in a\n  \
             separate process, so a crash does not end the session; its changes to variables are lost.\n  \
             fn name(x: int, s: text) -> float = rust { … } is a function for any stage; calls go to that process,\n  \
             one row at a time on rows (microseconds each), thousands of rows at a time on batch and polars;\n  \
             on native the function is compiled in. Ints wrap, as in a release build; standard input is empty.\n  \
             From the first Rust cell on timelab itself needs about 0.4 GiB more: `%help memory`\n\n  \
             › rust { (0..1000u64).map(|x| x * x).sum::<u64>() }\n  \
             › rust { vec![(1, \"a\"), (2, \"b\")] } | filter a > 1"
        }
        "store" => {
            "let NAME = store delay TIME [keys n] [seed s]  (source)\n  \
             a key-value server on loopback, in a process of its own, which lets each request wait as a database\n  \
             does. It has the keys 0 to n - 1 (10k unless specified) with random values; the delay is rounded up to\n  \
             milliseconds. It ends with its name: when you delete the name or give it to something else, and no\n  \
             other name needs the store; and with the shell\n  \
             get(NAME, key)  asks for one key: its value, or null where there is no such key\n  \
             NAME | …        all pairs as a table, with one request: key, value\n  \
             %concurrency store NAME reads its keys one by one, on threads and on an event loop\n\n  \
             › let kv = store delay 2ms keys 100; 0..10 | map get(kv, it)\n  \
             › let kv = store delay 2ms keys 100; kv | top 3\n  \
             › let kv = store delay 2ms keys 100\n  \
             › %time 0..50 | map get(kv, it) | sum"
        }
        _ => return None,
    })
}

fn entry(kind: &str, usage: &str, about: &str, examples: &[(&str, &str)]) -> String {
    let mut lines = vec![format!("{usage}  ({kind})"), format!("  {about}")];
    for (cell, prints) in examples {
        lines.push(String::new());
        lines.push(format!("  › {cell}"));
        lines.extend(prints.lines().map(|line| format!("    {line}")));
    }
    lines.join("\n")
}

/// What there is to say about a magic: one line, then parts with headings where it has some.
fn magic_entry(magic: &Magic) -> String {
    let MagicSyntax { name, usage, .. } = magic.syntax;
    match magic.details() {
        None => {
            let examples: Vec<(&str, &str)> = magic.examples.iter().map(|cell| (*cell, "")).collect();
            entry("magic", usage, magic.about, &examples)
        }
        Some(details) => {
            let examples: Vec<String> = magic.examples.iter().map(|cell| format!("  › {cell}")).collect();
            let (summary, examples) = (magic.summary(), examples.join("\n\n"));
            format!("%{name}: {summary}\n\nUsage\n  {usage}\n\n{details}\n\nExamples\n{examples}")
        }
    }
}

fn list<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let entries: Vec<(&str, &str)> = entries.collect();
    let width = entries.iter().map(|(usage, _)| usage.chars().count()).filter(|width| *width <= 44).max().unwrap_or(0);
    let each = entries.iter().map(|(usage, about)| {
        if usage.chars().count() > width {
            format!("{usage}\n{:width$}  {about}", "")
        } else {
            format!("{usage:width$}  {about}")
        }
    });
    each.collect::<Vec<_>>().join("\n")
}

fn unknown(session: &Session, word: &Word, name: &str) -> Box<Diagnostic> {
    let names: Vec<String> = session.names().map(|(name, _)| name.clone()).collect();
    let mut known: Vec<&str> = topics().collect();
    known.extend(names.iter().map(String::as_str));
    known.extend(foreign::ALL.iter().flat_map(|foreign| foreign.words));
    let error = Diagnostic::at(Kind::Name, word.span, format!("no help for `{name}`")).near(name, known);
    if error.hint.is_some() { error } else { error.hint("%help lists the topics, %help --find TEXT searches them") }
}

/// The lines of all help texts that hold a text, in any case, each with the name that shows it.
fn lines_with(session: &mut Session, text: &Word) -> Fallible<Answer> {
    let wanted = text.text.to_lowercase();
    let lists = topics::ALL.iter().map(|(name, _)| *name);
    let mut names: Vec<&str> = std::iter::once("").chain(lists).collect();
    names.extend(topics().filter(|name| !names.contains(name) && !IN_PARTS.contains(name)).collect::<Vec<_>>());
    let mut found = Vec::new();
    for name in names {
        let word = Word { text: name.to_string(), span: text.span };
        let Ok(shown) = text_about(session, &word) else { continue };
        let lines = shown.lines().filter(|line| line.to_lowercase().contains(&wanted));
        let command = format!("%help {name}").trim_end().to_string();
        found.extend(lines.map(|line| (command.clone(), line.trim().to_string())));
    }
    let mut seen = Vec::new();
    found.retain(|entry| {
        let is_new = !seen.contains(entry);
        seen.push(entry.clone());
        is_new
    });
    if found.is_empty() {
        let message = format!("no help text contains `{}`", text.text);
        return Err(Diagnostic::at(Kind::Name, text.span, message).hint("%help lists the topics"));
    }
    Ok(Answer::text(list(found.iter().map(|(command, line)| (command.as_str(), line.as_str())))))
}

/// Topics that show entries which have names of their own.
const IN_PARTS: [&str; 7] = ["stages", "functions", "magics", "algorithms", "engines", "settings", "glossary"];

/// All that there is help about, but for a session's names.
pub fn topics() -> impl Iterator<Item = &'static str> {
    const LISTS: [&str; 10] =
        ["stages", "functions", "magics", "algorithms", "engines", "settings", "glossary", "read", "rust", "store"];
    LISTS
        .into_iter()
        .chain(sources::ALL.iter().map(|source| source.name))
        .chain(aggregates::ALL.iter().map(|aggregate| aggregate.name))
        .chain(topics::ALL.iter().map(|(name, _)| *name))
        .chain(stages::ALL.iter().map(|stage| stage.syntax.name))
        .chain(functions::ALL.iter().map(|function| function.name))
        .chain(super::ALL.iter().map(|magic| magic.syntax.name))
        .chain(structures::ALL.iter().map(|kind| kind.name))
        .chain(engines::every().map(|engine| engine.name()))
        .chain(algorithms::ALL.iter().map(|family| family.facts().name))
        .chain(races::ALL.iter().map(|demo| demo.name))
        .chain(glossary::ALL.iter().map(|term| term.name))
}

/// `name??`: how a person's function was written, or the variants of an algorithm family.
pub fn source(session: &mut Session, word: &Word) -> Fallible<Answer> {
    let Some(definition) = session.newest_function().and_then(|newest| newest.find(&word.text)) else {
        if let Some(family) = algorithms::find(&word.text) {
            return Ok(Answer::text(families::sources(family)));
        }
        if let Some(demo) = races::find(&word.text) {
            return Ok(Answer::text(demo.source()));
        }
        if let Some(kind) = structures::find(&word.text) {
            return Ok(Answer::text(kind.text.trim_end().to_string()));
        }
        if word.text.trim_start_matches('%') == asynchronous::ASYNC.syntax.name {
            return Ok(Answer::text(asynchronous::source()));
        }
        let mut answer = about(session, word)?;
        let note = "`??` shows the source of your own functions, algorithm families, races, data structures and %async";
        answer.report.blocks.push(Block::Text(note.to_string()));
        return Ok(answer);
    };
    let lang::Function { name, body, .. } = &definition.function;
    // The body of one in Rust stands between braces.
    let end = body.span.end + u32::from(definition.elsewhere.is_some());
    let written = session.words(Span { end, ..name.span });
    Ok(Answer::text(format!("fn {written}")))
}
