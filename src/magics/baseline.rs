use std::io;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::baselines::{self, Baseline, Machine, Point, Seen, is_name};
use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::files;
use crate::lang::{self, MagicSyntax, Takes, Word};
use crate::plan::{Binding, File};
use crate::report::{Block, Report};
use crate::run_context::RunContext;
use crate::session::{Session, kept_plan};
use crate::show::grouped;

use super::{Answer, Magic, Offers, ranges};

pub static BASELINE: Magic = Magic {
    syntax: MagicSyntax {
        name: "baseline",
        usage: "%baseline [save NAME [_3] [--force] | import FILE [NAME] [--force] | drop NAME]",
        takes: Takes::Words,
        options: &[("--force", false)],
    },
    about: "keeps what the last %compare or %timeit measured, for %compare --against\n\n\
            Use\n  \
            `%baseline` alone lists the baselines. `save NAME` keeps the last measurement, `save NAME _3` the one \
            of\n  \
            cell 3; `drop NAME` deletes one. Each is stored in a file beside the history.\n\n\
            Importing\n  \
            `import FILE` keeps what hyperfine wrote with --export-json, under the name of the file unless \
            specified.\n  \
            A variant is called as its command, or as hyperfine's --command-name says.\n\n\
            Saving again\n  \
            --force replaces a baseline. It keeps its last 20 medians if machine, version and texts are the same:\n  \
            they show how much such a measurement differs from day to day.\n\n\
            What is kept\n  \
            The distribution of the times, the clock, the texts, the seed, the processor, and size and date of the \
            files\n  \
            that were read.",
    examples: &["%baseline"],
    offers: Offers::Baselines,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    let words = ranges::words(magic);
    match words.first().map(|word| word.text.as_str()) {
        None => list(session),
        Some("save") => save(session, magic, &words[1..]),
        Some("import") => import(session, magic, &words[1..]),
        Some("drop") => drop(session, magic, &words[1..]),
        Some(other) => {
            let message = format!("`%baseline` expects save, import or drop, got `{other}`");
            let error = Diagnostic::at(Kind::Syntax, words[0].span, message).near(other, ["save", "import", "drop"]);
            Err(if error.hint.is_some() { error } else { error.hint(BASELINE.syntax.usage) })
        }
    }
}

fn save(session: &Session, magic: &lang::Magic, words: &[Word]) -> Fallible<Answer> {
    let (name, cell) = match words {
        [name] => (name, None),
        [name, cell] => (name, Some(cell)),
        _ => {
            let message = "`%baseline save` expects a name, and a cell unless it is the last one";
            return Err(Diagnostic::at(Kind::Syntax, magic.span, message).hint("%baseline save before _3"));
        }
    };
    if !is_name(&name.text) {
        let message = format!("`{}` cannot be used as a file name", name.text);
        return Err(Diagnostic::at(Kind::Name, name.span, message).hint("use letters, digits, `_`, `-` and `.`"));
    }
    let (number, measured) = find_measured(session, magic, &name.text, cell)?;
    if measured.variants().is_empty() {
        let message = format!("cell {number} has measured nothing: no variant ran to its end");
        return Err(Diagnostic::at(Kind::Name, magic.span, message));
    }
    let mut measured = measured.clone();
    // One that cannot be read has nothing that could be taken over.
    let before = session.baselines.read(&name.text).ok().flatten();
    measured.go_on_from(before.as_ref().unwrap_or(&measured.clone()));
    let written = session.baselines.write(&name.text, &measured, magic.option("--force").is_some());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Diagnostic::at(Kind::File, name.span, format!("the baseline `{}` already exists", name.text))
                .hint(format!("to save it again and keep its last medians: %baseline save {} --force", name.text))
        }
        _ => Diagnostic::at(Kind::File, name.span, format!("cannot save `{}`: {error}", name.text)),
    })?;
    let variants = measured.variants().join(", ");
    Ok(Answer::text(format!("{} keeps cell {number}: {variants}", name.text)))
}

/// Keeps what hyperfine has measured.
fn import(session: &Session, magic: &lang::Magic, words: &[Word]) -> Fallible<Answer> {
    const LARGEST: u64 = 64 << 20;
    let (file, name) = match words {
        [file] => (file, None),
        [file, name] => (file, Some(name)),
        _ => {
            let message = "`%baseline import` expects a file, and a name unless it is that of the file";
            return Err(Diagnostic::at(Kind::Syntax, magic.span, message).hint("%baseline import results.json before"));
        }
    };
    let at = |why: String| Diagnostic::at(Kind::File, file.span, format!("cannot import \"{}\": {why}", file.text));
    let path = files::expanded(&file.text);
    let found = std::fs::metadata(&path).map_err(|error| at(error.to_string()))?;
    if !found.is_file() || found.len() > LARGEST {
        return Err(at(format!("it is not a file of at most {} MiB", LARGEST >> 20)));
    }
    let text = std::fs::read(&path).map_err(|error| at(error.to_string()))?;
    let stem = path.file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned());
    let name = name.map_or(stem, |name| name.text.clone());
    if !is_name(&name) {
        let message = format!("`{name}` cannot be used as the name of a baseline");
        return Err(Diagnostic::at(Kind::Name, magic.span, message).hint("%baseline import FILE NAME"));
    }
    let taken = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let taken = taken.map_or_else(baselines::now, |since| since.as_secs());
    let baseline = Baseline::of_hyperfine(&text, &file.text, taken).map_err(at)?;
    let written = session.baselines.write(&name, &baseline, magic.option("--force").is_some());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Diagnostic::at(Kind::File, magic.span, format!("the baseline `{name}` already exists"))
                .hint("--force replaces it")
        }
        _ => at(error.to_string()),
    })?;
    Ok(Answer::text(format!("{name} keeps what hyperfine measured: {}", baseline.variants().join(", "))))
}

/// Whether the text of a cell asks for a measurement that can be kept, also one that has mistakes in it.
pub fn measures(cell: &str) -> bool {
    let name = cell.trim_start().trim_start_matches('%');
    let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
    cell.trim_start().starts_with('%') && matches!(&name[..end], "compare" | "timeit")
}

/// What the cell measured, or the last that did.
fn find_measured<'s>(
    session: &'s Session,
    magic: &lang::Magic,
    name: &str,
    cell: Option<&Word>,
) -> Fallible<(usize, &'s Baseline)> {
    let all = session.measured();
    let Some(word) = cell.filter(|word| word.text != "_") else {
        if let Some(failed) = session.unmeasured() {
            let message = format!("cell {failed} has measured nothing: it failed or was stopped");
            let error = Diagnostic::at(Kind::Name, magic.span, message);
            return Err(match all.last_key_value() {
                Some((last, _)) => error.hint(format!("%baseline save {name} _{last} keeps the one before")),
                None => error,
            });
        }
        return all.last_key_value().map(|(number, measured)| (*number, measured)).ok_or_else(|| {
            Diagnostic::at(Kind::Name, magic.span, "%compare or %timeit has not measured anything yet")
                .hint("%compare --on rows,batch 1..1M | sum")
        });
    };
    let number = word.text.trim_start_matches('_').parse::<usize>().ok();
    number.and_then(|number| Some((number, all.get(&number)?))).ok_or_else(|| {
        let cells: Vec<String> = all.keys().map(|number| format!("_{number}")).collect();
        let message = format!("`{}` is not a result of %compare or %timeit", word.text);
        let error = Diagnostic::at(Kind::Name, word.span, message);
        if cells.is_empty() { error } else { error.hint(format!("there are {}", cells.join(", "))) }
    })
}

fn drop(session: &Session, magic: &lang::Magic, words: &[Word]) -> Fallible<Answer> {
    let [name] = words else {
        return Err(
            Diagnostic::at(Kind::Syntax, magic.span, "`%baseline drop` expects a name").hint(BASELINE.syntax.usage)
        );
    };
    let failed =
        |error: io::Error| Diagnostic::at(Kind::File, name.span, format!("cannot drop `{}`: {error}", name.text));
    if session.baselines.remove(&name.text).map_err(failed)? {
        Ok(Answer::text(format!("{} was dropped", name.text)))
    } else {
        Err(unknown(session, name))
    }
}

/// What is kept under a name.
pub fn find(session: &Session, name: &Word) -> Fallible<Baseline> {
    let read = session.baselines.read(&name.text).map_err(|error| {
        let message = format!("the baseline `{}` cannot be read: {error}", name.text);
        Diagnostic::at(Kind::File, name.span, message).hint(format!("%baseline drop {} forgets it", name.text))
    })?;
    read.ok_or_else(|| unknown(session, name))
}

fn unknown(session: &Session, name: &Word) -> Box<Diagnostic> {
    let names = session.baselines.names().unwrap_or_default();
    let error = Diagnostic::at(Kind::Name, name.span, format!("unknown baseline `{}`", name.text))
        .near(&name.text, names.iter().map(String::as_str));
    match (&error.hint, names.is_empty()) {
        (Some(_), _) => error,
        (None, true) => error.hint("%baseline save NAME saves what was measured"),
        (None, false) => error.hint("%baseline lists them"),
    }
}

fn list(session: &Session) -> Fallible<Answer> {
    let failed = |error: io::Error| Diagnostic::new(Kind::File, format!("the baselines cannot be read: {error}"));
    let names = session.baselines.names().map_err(failed)?;
    if names.is_empty() {
        return Ok(Answer::text("no baselines: %baseline save NAME saves what was measured".to_string()));
    }
    let heads = ["name", "measured", "variants", "sizes", "cell"];
    let types = [Type::Text, Type::Text, Type::Text, Type::Int, Type::Text];
    let mut columns: [Vec<Value>; 5] = Default::default();
    for name in &names {
        let (taken, variants, sizes, cell) = match session.baselines.read(name) {
            Ok(Some(kept)) => {
                let cell = kept.cell.split_whitespace().collect::<Vec<_>>().join(" ");
                (ago(kept.taken), kept.variants().join(", "), Value::Int(kept.points.len() as i64), cell)
            }
            Ok(None) => continue,
            Err(error) => (String::new(), format!("cannot be read: {error}"), Value::Null, String::new()),
        };
        let row = [Value::text(name), Value::text(&taken), Value::text(&variants), sizes, Value::text(&cell)];
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
    let schema = heads.iter().zip(types).map(|(name, ty)| Column { name: name.to_string(), ty }).collect();
    let table = Table::from_columns(Schema::new(schema, Order::Kept), columns[0].len(), &columns);
    let table = Arc::new(table);
    let plan = Some(Arc::new(kept_plan(table.clone(), Default::default())));
    let report = Report { blocks: vec![Block::counted(table)], ..Report::default() };
    let result = Some(Binding::Result { table: plan, fields: Vec::new(), tables: Vec::new() });
    Ok(Answer { report, result, ..Answer::default() })
}

/// How long ago, roughly.
pub fn ago(taken: u64) -> String {
    let seconds = baselines::now().saturating_sub(taken);
    let said = |count: u64, what: &str| {
        format!("{} {what}{} ago", grouped(count), if count == 1 || what == "min" { "" } else { "s" })
    };
    match seconds {
        0..60 => "just now".to_string(),
        60..3600 => said(seconds / 60, "min"),
        3600..86_400 => said(seconds / 3600, "hour"),
        _ => said(seconds / 86_400, "day"),
    }
}

/// What the cell of `magic` has measured, with all that one must know to measure it again.
pub fn taken(session: &Session, magic: &lang::Magic, input: String, files: Vec<File>, points: Vec<Point>) -> Baseline {
    let mut seen: Vec<Seen> = files.iter().map(as_seen).collect();
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    seen.dedup();
    Baseline {
        taken: baselines::now(),
        timelab: env!("CARGO_PKG_VERSION").to_string(),
        machine: Machine::here(),
        cell: session.text(magic.span.cell).unwrap_or_default().trim().to_string(),
        setup: magic.option("--setup").flatten().map_or(String::new(), |word| word.text.clone()),
        input,
        seed: session.settings.seed,
        files: seen,
        points,
    }
}

fn as_seen(file: &File) -> Seen {
    let (bytes, changed) = file.seen;
    let since = changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
    Seen {
        path: std::fs::canonicalize(&file.path).unwrap_or_else(|_| file.path.clone()),
        bytes,
        changed: since.map(|since| since.as_nanos() as u64),
    }
}
