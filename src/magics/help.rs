use crate::algorithms;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::engines;
use crate::functions;
use crate::lang::{self, Argument, MagicSyntax, Takes, Word};
use crate::plan::Binding;
use crate::races;
use crate::report::Block;
use crate::run_context::RunContext;
use crate::session::{Session, settings};
use crate::stages;

use super::algorithms as families;
use super::races as catalogue;
use super::{Answer, Magic, Offers, glossary, race};

pub static HELP: Magic = Magic {
    syntax: MagicSyntax { name: "help", usage: "%help [TOPIC | NAME]", takes: Takes::Words, options: &[] },
    about: "help by topic, or about one name; `name?` is the same",
    examples: &["%help", "%help stages", "%help glossary", "%help hot key", "%help count", "count?"],
    offers: Offers::Topics,
    privileges: lang::Privileges::none,
    run: |session, magic, _: &RunContext| {
        let words = match &magic.subject {
            Argument::Words(words) => words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "),
            _ => String::new(),
        };
        about(session, &Word { text: words, span: magic.span })
    },
};

const START: &str = r#"A pipeline is a source and stages with bars between:

  read "samples/kjv.txt" | words | count by lower(word) | top 10
  1..1M | map it * it | sum

%time before it tells what it cost, %timeit what one of many runs costs, %explain what becomes of it, %compare which of
several ways is faster. `let name = …` gives a name,
`fn fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)` defines a function.

  %help language     how cells, values and names are written
  %help stages       what can follow a bar          count?   about one of them, with examples
  %help functions    what can stand in an expression
  %help magics       what can be asked about a pipeline
  %help algorithms   families of algorithms        sorting?   its variants, sorting?? their sources
  %help engines      how it can be run              | on rows    at the end of a cell chooses one
  %help settings     what %set changes
  %help shell        keys, results, files of the shell
  %help glossary     the field's words, each with a cell to type"#;

const SHELL: &str = r#"
typing      Tab completes, → takes the grey rest of an earlier cell; what is red is unknown or not closed
            a cell goes on after a trailing |, in an open bracket, after %%; two empty lines run it as it is
            a | at its start goes on from the last result; pasted lines are split into cells as a file is
recall      ↑ ↓ and Ctrl-R find earlier cells of all sessions, %history --find TEXT lists them
            %set keys vi for the keys of vi; %edit opens the last cell in $VISUAL or $EDITOR
stopping    Ctrl-C drops the line, or stops the cell that runs: names and results stay; where an engine needs longer
            than 100 ms to stop, the prompt is back all the same, and the next run waits for it. Ctrl-D on an empty
            line leaves
results     _ is the last one, _3 that of cell 3, _3.wall a figure of it, _.wall that of the latest result that has one,
            | sum goes on from the last; they are kept up to 256 MiB in all, oldest dropped first;
            `let big = … | persist` keeps a table, %whos shows what is there; %baseline save NAME keeps what %compare or
            %timeit measured in a file, for other sessions
cells       %save FILE writes them, %run FILE runs them, `timelab FILE` and `timelab < FILE` too; Rust and commands of a
            FILE are shown before they run, and the answer holds until they change; where nobody can be asked they want
            --trust: %run --trust FILE, timelab --trust FILE
files       timelab config --write makes a file of settings with comments, read when a shell starts; the cells of
            init.txt beside it run then; timelab completions bash completes the command line"#;

const LANGUAGE: &str = r##"
sources     1..10 (without 10), 1..=10, [1, 2], read "path", letters 10 seed 1, random 10, a name, (pipeline)
files       read "x.csv" [as csv|json|parquet|arrow|text] [columns a, b] [types a: int, b: text] [sep ";"]
            [header false] [null "-"] [comment "#"] [ragged true] [lossy true]; the extension says the format; .gz and
            .zst are read through; "logs/*.csv" reads files in order of their paths, with the columns of the first;
            "-" is standard input (with -c)
            … | write "out.parquet" writes a file whole or not at all; | tee a: (sum), b: (top 3) gives several results
values      42, 1_000, 64k 5M 1.5k (powers of 1000), 2KiB (of 1024), 1.5, 2e3, 10ms 2s 3min (floats of seconds),
            "text\n", r"raw", true, false, null, [1, 2, 3]
operators   or, and, not, == != < <= > >= in (not in), + -, * / // %, -x, xs[0], _3.wall
            // rounds down, % has the divisor's sign, / gives a float; + also joins two texts or two lists
rust        rust { (0..10u64).sum::<u64>() } is a source, rust with n, words { … } takes names along; %%rust has a body
            whose functions, types and variables stay; fn f(x: int) -> int = rust { x * x } is a function; `%help rust`
choice      if x > 0 then 1 else if x == 0 then 0 else -1
names       let n = 10k; fn double(x) = x * 2; a column that is not a name stands in backquotes: `installed kib`
            `it` is the only column, `acc` the state of fold, scan and reduce, `_` the last result, `_3` that of cell 3
ints        never wrap: an overflow is an error with its row; sums are exact
null        in arithmetic and comparison gives null; a filter and an `if` take it as false; aggregates skip it
            a null argument makes a function null, but for is_null and coalesce; x in xs looks past nulls in xs
text        is UTF-8; len, slice and reverse count characters
order       files and ranges have one; `by` stages, distinct and join lose it, sort and top make one
cells       statements with `;` between; a line that begins with `|` or white space goes on; # begins a comment
magics      %magic [--option [value]] …: a value with spaces stands in quotes or (brackets), `--` ends the options; what
            each takes, `%help magics` tells; a first line that ends with `:` opens a block, where each line indented
            like the first is a variant `name: pipeline` and deeper ones go on with it; `n in 1k..16k:` before the
            subject sweeps: doubling, or `by 1k`, `times 4`, or n in [1, 5], both ends included; %%magic takes the
            lines below it as its body, up to a line %% or the end; !command runs one of the system, let x = !command
            takes its lines
csv         types come from the first MiB of the first file, and of the next ones as long as a column has no value;
            `types` states them; quotes do not make text: "9" is an int; an empty field is null, "" is empty text in
            a text column
            NA, N/A, n/a, NULL, null and None are null among numbers and bools; null "-", "x" says which texts are null
            a column with nothing but these in the sample is text if no stage takes it for numbers, and a note says so
            0870 and +15550100 stay text; nan and inf are floats; an int beyond 64 bits makes its column text
            without `sep` the first ten records tell the separator (, ; tab |); .tsv and .tab have tabs
            with `header false`, `columns` names all columns; LF, CRLF and CR end records
            an unused column is split and checked for UTF-8, but not converted
            `write` quotes no numbers: a note names text columns that would read back as another type
json        an object a line, or a .json file that is an array of objects, as --format json prints it (with null for NaN
            and infinity); nested objects give columns `a.b`; what is not a text stands in a text column as json
parquet     and arrow: dates become ISO text, structs columns `a.b`, an unsigned int beyond int is an error; only a
            column that is used can be of a kind that is not read"##;

/// Help about a name or a topic.
pub fn about(session: &mut Session, word: &Word) -> Fallible<Answer> {
    let name = word.text.trim_start_matches('%');
    let name = name.strip_prefix("race ").filter(|demo| races::find(demo).is_some()).unwrap_or(name);
    let text = match name {
        "race play" => race::play::HELP.to_string(),
        "" => START.to_string(),
        "language" => LANGUAGE.trim_start().to_string(),
        "stages" => list(stages::ALL.iter().map(|stage| (stage.syntax.usage, stage.about))),
        "functions" => list(functions::ALL.iter().map(|function| (function.usage, function.about))),
        "magics" => list(super::ALL.iter().map(|magic| (magic.syntax.usage, magic.summary()))),
        "shell" => SHELL.trim_start().to_string(),
        "settings" => {
            let usages: Vec<String> =
                settings::ALL.iter().map(|setting| format!("%set {} {}", setting.name, setting.values)).collect();
            list(usages.iter().map(String::as_str).zip(settings::ALL.iter().map(|setting| setting.about)))
        }
        "glossary" => glossary::ALL.iter().map(term).collect::<Vec<_>>().join("\n\n"),
        "algorithms" if !word.text.starts_with('%') => families::list(),
        "engines" => list(engines::ALL.iter().map(|engine| (engine.name(), engine.about()))),
        _ => one(session, name).ok_or_else(|| unknown(session, word, name))?,
    };
    Ok(Answer::text(text))
}

/// Everything that has this name: it may be a stage and a function.
fn one(session: &Session, name: &str) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(stage) = stages::find(name) {
        parts.push(entry("stage", stage.syntax.usage, stage.about, stage.examples));
    }
    if let Some(function) = functions::find(name) {
        parts.push(entry("function", function.usage, function.about, function.examples));
    }
    if let Some(magic) = super::find(name) {
        parts.push(magic_entry(magic));
        parts.extend((name == race::RACE.syntax.name).then(|| race::LANGUAGE.to_string()));
    }
    if let Some(engine) = engines::find(name) {
        parts.push(format!("{name}  (engine)\n  {}\n\n  › 1..10 | sum | on {name}", engine.about()));
    }
    if let Some(family) = algorithms::find(name) {
        parts.push(families::describe(family));
    }
    if let Some(demo) = races::find(name) {
        parts.push(catalogue::describe(demo));
    }
    if let Some(known) = glossary::find(name) {
        parts.push(term(known));
    }
    if let Some(text) = source_word(name) {
        parts.push(text.to_string());
    }
    if let Some(binding) = session.lookup(name) {
        parts.push(match binding {
            Binding::Value(value, ty, _) => format!("{name}: {ty} = {value}"),
            Binding::Table(plan) => format!("{name}  (table, computed when asked for)\n  {}", plan.schema()),
            Binding::Result { table, fields, tables } => {
                let table = table.map_or(String::new(), |plan| format!("\n  {}", plan.schema()));
                let fields = fields.iter().map(|field| format!("  {name}.{} = {}", field.name, field.value));
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

fn term(term: &glossary::Term) -> String {
    format!("{}\n  {}\n  › {}", term.name, term.meaning, term.cell)
}

fn source_word(name: &str) -> Option<&'static str> {
    Some(match name {
        "read" => {
            "read \"path or pattern\" [as csv|json|parquet|arrow|text] [columns a, b] [types a: int, b: text]\n     \
             [sep \";\"] [header false] [null \"NA\", \"-\"] [comment \"#\"] [ragged true] [lossy true]  (source)\n  \
             the lines of text files, or the table of csv, json, parquet and arrow files; without `as` the\n  \
             extension decides; .gz and .zst are read through; `read \"-\"` is standard input where cells do not\n  \
             come from it\n  \
             columns   reads only these columns; with `header false` it names all of them\n  \
             types     sets the types of columns (int, float, bool, text) that are inferred otherwise: csv and json\n  \
             null      texts that are null, instead of NA, N/A, n/a, NULL, null and None in columns of\n            \
             numbers and bools: csv\n  \
             sep       the separator of csv, found by itself among , ; tab and | if it is not given\n  \
             header, comment, ragged, lossy: `header false` has no names in the first record; lines that begin with\n  \
             \"#\" are skipped; missing fields are null and surplus ones left out; bytes that are not UTF-8 are\n  \
             replaced\n\n  \
             › read \"samples/kjv.txt\" | take 2\n  \
             › read \"samples/iso3166.tab\" header false comment \"#\" columns code, country\n  \
             › read \"samples/packages.csv\" types size_bytes: float | mean size_bytes by section"
        }
        "letters" => "letters n [seed s]  (source)\n  n random letters a–z A–Z\n\n  › letters 5 seed 7",
        "random" => "random n [seed s]  (source)\n  n random floats in [0, 1)\n\n  › random 3 seed 7",
        "rust" => {
            "rust [with name, …] { … }  (source)\n  \
             what a block of Rust gives: a value; or rows, from lists, maps, sets, tuples and structs of values. It\n  \
             sees the functions, types and variables of %%rust cells, and the session's names that `with` takes\n  \
             along: values, lists and tables (of one column a slice of values, else of structs). It runs in a\n  \
             process of its own that no crash outlives; what it does to variables does not stay.\n  \
             fn name(x: int, s: text) -> float = rust { … } is a function for any stage; a call goes to that\n  \
             process, row by row on rows (microseconds each), for thousands of rows at a time on batch and polars;\n  \
             on native the function is compiled in. Ints wrap, as in a release build; standard input is empty\n\n  \
             › rust { (0..1000u64).map(|x| x * x).sum::<u64>() }\n  \
             › rust { vec![(1, \"a\"), (2, \"b\")] } | filter a > 1"
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
    let error = Diagnostic::at(Kind::Name, word.span, format!("there is no help about `{name}`")).near(name, known);
    if error.hint.is_some() { error } else { error.hint("%help lists the topics") }
}

/// All that there is help about, but for a session's names.
pub fn topics() -> impl Iterator<Item = &'static str> {
    const TOPICS: [&str; 13] = [
        "language",
        "stages",
        "functions",
        "magics",
        "algorithms",
        "engines",
        "settings",
        "shell",
        "glossary",
        "read",
        "letters",
        "random",
        "rust",
    ];
    TOPICS
        .into_iter()
        .chain(stages::ALL.iter().map(|stage| stage.syntax.name))
        .chain(functions::ALL.iter().map(|function| function.name))
        .chain(super::ALL.iter().map(|magic| magic.syntax.name))
        .chain(engines::ALL.iter().map(|engine| engine.name()))
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
        let mut answer = about(session, word)?;
        let note = "`??` shows the text of your own functions, of algorithm families and of races";
        answer.report.blocks.push(Block::Text(note.to_string()));
        return Ok(answer);
    };
    let lang::Function { name, body, .. } = &definition.function;
    // The body of one in Rust stands between braces.
    let end = body.span.end + u32::from(definition.elsewhere.is_some());
    let written = session.words(Span { end, ..name.span });
    Ok(Answer::text(format!("fn {written}")))
}
