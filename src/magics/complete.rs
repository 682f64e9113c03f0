//! What may stand at the cursor: stages after a bar, magics after a percent sign, files in a path, else columns,
//! functions and names. It knows nothing of editors: text and a place go in, candidates come out.

use std::path::PathBuf;

use std::time::Duration;

use crate::algorithms;
use crate::data::Schema;
use crate::engines::{self, Limit};
use crate::files;
use crate::functions;
use crate::interleave::{Order, WORDS};
use crate::lang::foreign::{self, ForeignWord};
use crate::lang::{self, Argument, Cell, Statement, Takes, bare_name, parse, rust_block};
use crate::latency;
use crate::plan::Binding;
use crate::races;
use crate::remote::servers;
use crate::session::{Bound, Session, settings};
use crate::show::{cut, duration_text, grouped};
use crate::sources;
use crate::stages;
use crate::structures;

use super::{ALL, Magic, Offers, Tables, choices, help, timing};

/// A word that may be put in.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub text: String,
    /// One line about it.
    pub about: String,
    /// What it is, in a word.
    pub kind: &'static str,
}

impl Candidate {
    fn of(self, kind: &'static str) -> Candidate {
        Candidate { kind, ..self }
    }
}

/// The candidates for the word that ends at byte `at` of `text`, and where that word starts.
pub fn complete(session: &mut Session, text: &str, at: usize) -> (usize, Vec<Candidate>) {
    let before = &text[..at];
    if let Some(start) = open_rust(before) {
        return rust(session, before, start);
    }
    if before.starts_with("%%race") && before.contains('\n') {
        return race(before);
    }
    if let Some((start, quote)) = open_text(before) {
        return files(before, start, &quote.to_string());
    }
    let start = before
        .rfind(|c: char| !(c == '_' || c.is_alphanumeric()))
        .map_or(0, |i| i + before[i..].chars().next().map_or(1, char::len_utf8));
    let word = &before[start..];
    let lead = before[..start].trim_end();
    if let Some(fields) = before[..start].strip_suffix('.').and_then(|base| fields(session, last_word(base))) {
        return (start, fields.into_iter().filter(|field| field.text.starts_with(word)).collect());
    }
    let mut found = Vec::new();
    if matches!(lead.trim_start(), "%" | "%%") {
        let with_body = lead.ends_with("%%");
        let fits = |magic: &&&Magic| !with_body || magic.syntax.takes.has_body();
        found.extend(ALL.iter().filter(fits).map(|magic| candidate(magic.syntax.name, magic.summary()).of("magic")));
    } else if lead.ends_with('|') || opens_block(lead) {
        found.extend(stages::ALL.iter().map(|stage| candidate(stage.syntax.name, stage.about).of("stage")));
        let alias = |(alias, stage): &(&str, &str)| candidate(alias, &format!("another name of {stage}")).of("stage");
        found.extend(stages::ALIASES.iter().map(alias));
        if !opens_block(lead) {
            found.push(candidate("on", "the engine that runs the cell").of("keyword"));
        }
    } else if lead.rsplit('|').next().map(str::trim) == Some("on") && after_bar(lead) {
        found.extend(engines::every().map(|engine| candidate(engine.name(), engine.about()).of("engine")));
    } else if let Some(limits) = limits_of(lead) {
        found.extend(limits.iter().map(|limit| candidate(limit.name, limit.values).of("option")));
    } else if let Some(options) = of_store(&before[..start]) {
        found.extend(options.iter().map(|(option, about)| candidate(option, about).of("option")));
    } else if let Some(option) = open_option(before) {
        return values(session, before, option);
    } else if lead.starts_with('%') && option_word(text, start) {
        return options(before);
    } else if let Some(offers) = words_of(before) {
        return words(session, before, offers);
    } else if let Some(family) = choosing(&before[..start]) {
        found.extend(family.variants().iter().map(|claims| candidate(claims.name, claims.about).of("variant")));
    } else {
        match flowing(session, before) {
            Some(schema) => {
                let columns = schema.columns.iter().map(|column| {
                    let quoted =
                        if bare_name(&column.name) { column.name.clone() } else { format!("`{}`", column.name) };
                    candidate(&quoted, &format!("column: {}", column.ty)).of("column")
                });
                found.extend(columns);
                found.extend(
                    functions::ALL.iter().map(|function| candidate(function.name, function.about).of("function")),
                );
            }
            None => {
                found.push(candidate("read", "the lines of a text file, or the table of another").of("source"));
                found.extend(sources::ALL.iter().map(|source| candidate(source.name, source.about).of("source")));
                if lead.ends_with('=') && lead.trim_start().starts_with("let ") {
                    found.push(candidate("store", "a key-value server that answers late").of("source"));
                    found.push(candidate("spawn", "runs the pipeline as a job, while you go on").of("keyword"));
                }
                if session.names().any(|(_, binding)| is_job(binding)) {
                    found.push(candidate("wait", "waits for the end of a job and gives its table").of("keyword"));
                }
                found.extend(
                    functions::ALL.iter().map(|function| candidate(function.name, function.about).of("function")),
                );
                if takes_family(before) {
                    found.extend(families());
                }
            }
        }
        found.extend(session.names().map(|(name, binding)| bound(name, binding)));
    }
    if word.is_empty() {
        // Functions may stand anywhere: they are offered once a letter narrows them down.
        found.retain(|candidate| !functions::ALL.iter().any(|function| function.about == candidate.about));
    }
    found.retain(|candidate| candidate.text.trim_start_matches('`').starts_with(word));
    if lead.ends_with('|') {
        found.extend(stages_for(word));
    }
    (start, found)
}

/// The figures and tables of a result, with their values; `_` is the latest result that has some.
fn fields(session: &Session, name: &str) -> Option<Vec<Candidate>> {
    let has_none = |binding: &Binding| !matches!(binding, Binding::Result { .. });
    let result = match session.lookup(name) {
        binding if name == "_" && binding.as_ref().is_none_or(has_none) => session.latest_result(),
        binding => binding,
    };
    let Some(Binding::Result { fields, tables, .. }) = result else { return None };
    let fields = fields.iter().map(|field| candidate(field.name, &help::in_short(&field.value)).of("field"));
    let tables = tables.iter().map(|(name, plan)| candidate(name, &plan.schema().to_string()).of("table"));
    Some(fields.chain(tables).collect())
}

/// The stages to which the words of other tools lead that begin like this.
fn stages_for(word: &str) -> impl Iterator<Item = Candidate> {
    const LEAST: usize = 3;
    let begins = move |foreign: &&ForeignWord| {
        word.len() >= LEAST && foreign.words.iter().any(|other| other.starts_with(&word.to_lowercase()))
    };
    foreign::ALL.iter().filter(begins).filter_map(|foreign| {
        let quoted = foreign.leads.split('`').nth(1)?;
        let stage = stages::find(quoted.split(' ').next()?)?;
        Some(candidate(stage.syntax.name, foreign.leads).of("stage"))
    })
}

/// Where the Rust begins that is open at the end of a text.
fn open_rust(before: &str) -> Option<usize> {
    if before.starts_with("%%rust") {
        return before.find('\n').map(|end| end + 1);
    }
    let word = before.rfind("rust")? + "rust".len();
    let (start, end) = rust_block(&before[word..])?;
    let open = word + end == before.len() && !before.ends_with('}');
    open.then_some(word + start + 1)
}

/// What may stand at the end of a piece of Rust: the names of earlier cells, and what the compiler's library knows.
fn rust(session: &Session, before: &str, from: usize) -> (usize, Vec<Candidate>) {
    const PATIENCE: Duration = Duration::from_millis(300);
    let code = &before[from..];
    let start = code
        .rfind(|c: char| !(c == '_' || c.is_alphanumeric()))
        .map_or(0, |i| i + code[i..].chars().next().map_or(1, char::len_utf8));
    let word = &code[start..];
    let mut found = Vec::new();
    if !code[..start].ends_with(['.', ':']) {
        let (variables, items) = session.rust.known();
        found.extend(variables.iter().map(|(name, ty)| candidate(name, ty).of("variable")));
        found.extend(items.iter().map(|name| candidate(name, "of a Rust cell").of("item")));
    }
    let known = session.rust.complete(code, code.len(), PATIENCE);
    found.extend(known.iter().map(|(name, kind)| candidate(name, kind).of("item")));
    found.retain(|candidate| candidate.text.starts_with(word));
    found.sort_by(|a, b| a.text.cmp(&b.text));
    found.dedup_by(|a, b| a.text == b.text);
    (from + start, found)
}

/// What may stand in a race program: the words of its language, and the names that are there.
fn race(before: &str) -> (usize, Vec<Candidate>) {
    let is_inside = |c: char| c == '_' || c.is_alphanumeric();
    let word = before.rsplit(|c| !is_inside(c)).next().unwrap_or_default();
    let start = before.len() - word.len();
    let orders = Order::WORDS.map(|(order, _)| candidate(order, "memory order"));
    let mut found: Vec<Candidate> =
        WORDS.iter().map(|word| candidate(word, "race language").of("keyword")).chain(orders).collect();
    let mut names: Vec<&str> = before[..start].split(|c| !is_inside(c)).skip(1).collect();
    names.retain(|name| name.starts_with(|c: char| c == '_' || c.is_alphabetic()) && !WORDS.contains(name));
    names.sort_unstable();
    names.dedup();
    found.extend(names.iter().filter(|name| **name != "race").map(|name| candidate(name, "name").of("variable")));
    found.retain(|candidate| candidate.text.starts_with(word));
    (start, found)
}

fn candidate(text: &str, about: &str) -> Candidate {
    Candidate { text: text.to_string(), about: about.to_string(), kind: "word" }
}

/// A name of the session.
fn bound(name: &str, binding: &Binding) -> Candidate {
    let kind = match binding {
        Binding::Value(..) => "value",
        Binding::Table(_) => "table",
        Binding::Result { .. } => "result",
    };
    candidate(name, &said(binding)).of(kind)
}

/// What a name is, in a few words.
pub fn said(binding: &Binding) -> String {
    match binding {
        Binding::Value(value, ty, _) => format!("{ty}: {}", cut(&value.to_string(), 40)),
        Binding::Table(plan) => match plan.store() {
            Some(store) => {
                let delay = if store.delay > 0.0 { duration_text(store.delay) } else { "no delay".to_string() };
                format!("store: {} keys, {delay} a request, at {}", grouped(store.keys), store.address)
            }
            None if plan.job().is_some() => format!("job: {}", plan.schema()),
            None => format!("table: {}", plan.schema()),
        },
        Binding::Result { .. } => "result".to_string(),
    }
}

fn is_job(binding: &Binding) -> bool {
    matches!(binding, Binding::Table(plan) if plan.job().is_some())
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c: char| !(c == '_' || c.is_alphanumeric())).next().unwrap_or_default()
}

/// Whether the last word of `text` follows a bar.
fn after_bar(text: &str) -> bool {
    text[..text.len() - last_word(text).len()].trim_end().ends_with('|')
}

/// Where the text in quotes starts that is open at the end, and its quote.
fn open_text(before: &str) -> Option<(usize, char)> {
    let mut open: Option<(usize, char)> = None;
    let mut chars = before.char_indices();
    while let Some((i, c)) = chars.next() {
        match (c, open) {
            ('"' | '\'', None) => open = Some((i + 1, c)),
            (c, Some((_, quote))) if c == quote => open = None,
            ('\\', Some(_)) => drop(chars.next()),
            ('#', None) => return None,
            _ => {}
        }
    }
    open
}

/// What the magic offers for its words, if `before` begins with one that takes words.
fn words_of(before: &str) -> Option<Offers> {
    let (name, _) = before.trim_start().strip_prefix('%')?.split_once(char::is_whitespace)?;
    let takes_words = |magic: &&Magic| match magic.syntax.takes {
        Takes::Words | Takes::WordsOrBody => true,
        Takes::WordsOrStatement(words) => before.split_whitespace().any(|word| words.contains(&word)),
        Takes::Statement | Takes::StatementOrBody | Takes::Body | Takes::Pipelines | Takes::Variants => false,
    };
    super::find(name).filter(takes_words).map(|magic| magic.offers)
}

fn words(session: &Session, before: &str, offers: Offers) -> (usize, Vec<Candidate>) {
    let start = before.rfind(char::is_whitespace).map_or(0, |i| i + 1);
    let earlier: Vec<&str> = before[..start].split_whitespace().skip(1).collect();
    let mut found: Vec<Candidate> = match offers {
        Offers::Nothing => Vec::new(),
        Offers::Files => return files(before, start, ""),
        Offers::Names => session.names().map(|(name, binding)| bound(name, binding)).collect(),
        Offers::Families => families().collect(),
        Offers::Races => match earlier[..] {
            [] => demos().chain([candidate("play", "lets you choose which thread moves next")]).collect(),
            ["play"] => demos().collect(),
            _ => Vec::new(),
        },
        Offers::Baselines => match earlier[..] {
            [] => vec![candidate("save", "saves what was measured"), candidate("drop", "deletes a saved measurement")],
            ["save" | "drop"] => baselines(session),
            _ => Vec::new(),
        },
        Offers::Structures => match earlier[..] {
            [] => vec![candidate("growth", "shows the cost of each single operation while a structure grows")],
            ["growth"] => structures::ALL.iter().map(|kind| candidate(kind.name, kind.about)).collect(),
            ["growth", _] => structures::OPERATIONS.iter().map(|(name, about)| candidate(name, about)).collect(),
            _ => Vec::new(),
        },
        Offers::Dashboard => match earlier[..] {
            [] => vec![candidate("stop", "ends the page")],
            _ => Vec::new(),
        },
        Offers::Engines => match earlier[..] {
            [] => vec![candidate("start", "installs and starts a server"), candidate("stop", "ends one, or all")],
            ["start" | "stop"] => servers::ALL
                .iter()
                .map(|service| candidate(service.name, &format!("for `on {}`", service.engine)))
                .collect(),
            _ => Vec::new(),
        },
        Offers::Jobs => match earlier[..] {
            [] => vec![candidate("stop", "ends a job")],
            ["stop"] => session.running_jobs().iter().map(|name| candidate(name, "running")).collect(),
            _ => Vec::new(),
        },
        Offers::Stores => match earlier[..] {
            [] => vec![candidate("store", "reads the keys of a store in each way")],
            ["store"] => stores(session),
            _ => Vec::new(),
        },
        Offers::Topics => help::topics().map(|topic| candidate(topic, "").of("topic")).collect(),
        Offers::Settings => match earlier[..] {
            [] => settings::ALL.iter().map(|setting| candidate(setting.name, setting.about).of("setting")).collect(),
            ["engine"] => engines::here().map(|engine| candidate(engine.name(), engine.about()).of("engine")).collect(),
            [name] => {
                let values = settings::ALL.iter().find(|setting| setting.name == name).map(|setting| setting.values);
                // What stands in capitals is no value itself.
                let values = values.unwrap_or_default().split('|').filter(|value| *value == value.to_lowercase());
                values.filter(|value| !value.is_empty()).map(|value| candidate(value, "")).collect()
            }
            _ => Vec::new(),
        },
    };
    found.retain(|candidate| candidate.text.starts_with(&before[start..]));
    (start, found)
}

fn demos() -> impl Iterator<Item = Candidate> {
    races::ALL.iter().map(|demo| candidate(demo.name, demo.wrong).of("race"))
}

fn families() -> impl Iterator<Item = Candidate> {
    let facts = algorithms::ALL.iter().map(|family| family.facts());
    facts.map(|facts| candidate(facts.name, facts.about).of("family"))
}

fn stores(session: &Session) -> Vec<Candidate> {
    let all = session.names().map(|(name, binding)| bound(name, binding));
    all.filter(|candidate| candidate.about.starts_with("store:")).collect()
}

fn baselines(session: &Session) -> Vec<Candidate> {
    let names = session.baselines.names().unwrap_or_default();
    names.iter().map(|name| candidate(name, "baseline").of("baseline")).collect()
}

/// Whether a family may stand where `before` ends: on the first line of a magic that compares some.
fn takes_family(before: &str) -> bool {
    let magic = before.strip_prefix('%').and_then(|rest| super::find(rest.split(char::is_whitespace).next()?));
    magic.is_some_and(|magic| magic.offers == Offers::Families) && !before.contains('\n')
}

/// The family whose variants are chosen where `before` ends: behind `NAME only`, and between the names that follow.
fn choosing(before: &str) -> Option<&'static dyn algorithms::Family> {
    let (first, chosen) = before.rsplit_once(" only ").filter(|_| takes_family(before))?;
    let mut names = chosen.split(',');
    let is_open = names.next_back()?.trim().is_empty();
    let whole = |name: &str| !name.trim().is_empty() && bare_name(name.trim());
    algorithms::find(last_word(first.trim_end())).filter(|_| is_open && names.all(whole))
}

/// The option whose value stands at the end.
fn open_option(before: &str) -> Option<&str> {
    let mut words = before.strip_prefix('%')?.trim_start_matches('%').split(char::is_whitespace);
    let known = super::find(words.next()?)?.syntax.options;
    let last = words.filter(|word| !word.is_empty() || before.ends_with(char::is_whitespace)).rev().nth(1)?;
    known.iter().any(|(option, takes_value)| *option == last && *takes_value).then_some(last)
}

/// The limits that may follow where a cell ends with `on ENGINE`, and pairs of a limit and its value.
fn limits_of(lead: &str) -> Option<&'static [Limit]> {
    let mut words = lead.rsplit_once('|')?.1.split_whitespace();
    let engine = words.next().filter(|word| *word == "on").and_then(|_| words.next())?;
    let limits = engines::find(engine)?.limits();
    words.count().is_multiple_of(2).then_some(limits)
}

/// What may follow where a store is described: its options, or what the last of them may be given.
fn of_store(before: &str) -> Option<&'static [(&'static str, &'static str)]> {
    const OPTIONS: &[(&str, &str)] = &[
        ("delay", "how long each request waits"),
        ("keys", "how many keys it has; 10k unless specified"),
        ("seed", "its values follow from it"),
    ];
    let statement = before.rsplit(';').next()?.trim_start();
    let (_, described) = statement.strip_prefix("let ")?.split_once("= store ")?;
    if described.contains('|') || !before.ends_with(char::is_whitespace) {
        return None;
    }
    Some(match described.split_whitespace().last() {
        Some("delay") => {
            &[("1ms", "a database in the same building"), ("5ms", "a disk"), ("50ms", "another continent")]
        }
        Some("keys") => &[("10k", "unless specified")],
        Some("seed") => &[],
        _ => OPTIONS,
    })
}

/// What an option may be given.
fn values(session: &Session, before: &str, option: &str) -> (usize, Vec<Candidate>) {
    let start = before.rfind([' ', '\t', '\n', ',']).map_or(0, |i| i + 1);
    let mut found: Vec<Candidate> = match option {
        "--against" => baselines(session),
        "--only" if before.starts_with("%latency") => latency_rows(),
        "--only" => {
            let demo = before.split_whitespace().find_map(races::find);
            let described = demo.map(|demo| demo.described()).unwrap_or_default();
            described.iter().map(|(name, about, _)| candidate(&name.replace(' ', ""), about)).collect()
        }
        "--kinds" => structures::ALL.iter().map(|kind| candidate(kind.name, kind.about)).collect(),
        "--ops" | "--mix" => structures::OPERATIONS.iter().map(|(name, about)| candidate(name, about)).collect(),
        "--base" | "--on" => {
            engines::here().map(|engine| candidate(engine.name(), engine.about()).of("engine")).collect()
        }
        "--shape" => {
            let shapes = algorithms::ALL.iter().flat_map(|family| {
                family
                    .shapes()
                    .into_iter()
                    .map(|(shape, about)| candidate(shape, &format!("{}: {about}", family.facts().name)))
            });
            shapes.collect()
        }
        _ => {
            let magic = before.trim_start_matches('%').split(char::is_whitespace).next().unwrap_or_default();
            let choices = choices::of_option(magic, option).iter();
            choices.map(|choice| candidate(choice.word, choice.about)).collect()
        }
    };
    found.retain(|candidate| candidate.text.starts_with(&before[start..]));
    (start, found)
}

/// The groups of `%latency` and their rows.
fn latency_rows() -> Vec<Candidate> {
    let groups = latency::ALL.iter().map(|group| candidate(group.name, group.about));
    let rows = latency::ALL.iter().flat_map(|group| group.probes);
    groups.chain(rows.map(|probe| candidate(&probe.key(), probe.about))).collect()
}

/// The files and folders whose paths begin with what was typed from `start` on; `end` follows a file.
fn files(before: &str, start: usize, end: &str) -> (usize, Vec<Candidate>) {
    let typed = &before[start..];
    let (folder, name) =
        typed.rsplit_once('/').map_or(("", typed), |(folder, name)| (&typed[..folder.len() + 1], name));
    let path = if folder.is_empty() { PathBuf::from(".") } else { files::expanded(folder) };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten().take(1000) {
        let Ok(file) = entry.file_name().into_string() else { continue };
        // Outside quotes a name ends at its first space.
        let whole = !(end.is_empty() && file.contains(char::is_whitespace));
        if !whole || !file.starts_with(name) || (file.starts_with('.') && name.is_empty()) {
            continue;
        }
        let metadata = entry.metadata().ok();
        let is_folder = metadata.as_ref().is_some_and(std::fs::Metadata::is_dir);
        let about = match metadata {
            _ if is_folder => "folder".to_string(),
            Some(metadata) => crate::show::bytes_text(metadata.len() as f64),
            None => String::new(),
        };
        let path = format!("{folder}{file}{}", if is_folder { "/" } else { end });
        found.push(candidate(&path, &about).of("path"));
    }
    found.sort_by(|a, b| a.text.cmp(&b.text));
    (start, found)
}

/// Whether the word at `start` is an option of a magic.
fn option_word(text: &str, start: usize) -> bool {
    text[..start].ends_with('-')
}

/// The options of the magic that the line begins with.
fn options(before: &str) -> (usize, Vec<Candidate>) {
    let start = before.rfind(char::is_whitespace).map_or(0, |i| i + 1);
    let name = before.trim_start_matches('%').split(char::is_whitespace).next().unwrap_or_default();
    let known = super::find(name).map(|magic| magic.syntax.options).unwrap_or_default();
    let found =
        known.iter().map(|(option, takes)| candidate(option, if *takes { "takes a value" } else { "" }).of("option"));
    (start, found.filter(|candidate| candidate.text.starts_with(&before[start..])).collect())
}

/// The columns that flow into the stage in which the text ends; none before the first bar.
fn flowing(session: &mut Session, before: &str) -> Option<Schema> {
    let text = before_last_bar(before)?;
    let text = if text.trim().is_empty() { "_" } else { text.trim() };
    let id = session.remember(text);
    let cell = parse(id, text, &Tables).ok()?;
    let names = session.snapshot();
    let bound = session.looking(|session| match cell {
        Cell::Statements(statements) => last_bound(session, &statements),
        Cell::Magic(magic) => of_magic(session, &magic),
        Cell::Empty | Cell::Command(_) | Cell::Help(_) | Cell::Source(_) => None,
    });
    session.restore(names);
    // What it warns of is told when the cell is entered.
    session.take_warnings();
    match bound? {
        Bound::Table(plan) => Some(plan.schema().clone()),
        Bound::Value(_, ty) => Some(Schema::one("it", ty)),
    }
}

/// What the last statement is, with the names that those before it give.
fn last_bound(session: &mut Session, statements: &[Statement]) -> Option<Bound> {
    let (last, before) = statements.split_last()?;
    give_names(session, before);
    match last {
        Statement::Pipeline(pipeline) | Statement::Let(_, pipeline) | Statement::Spawn(_, pipeline) => {
            session.bind(pipeline).ok()
        }
        Statement::LetCommand(..) | Statement::LetStore(..) | Statement::Function(_) | Statement::RustFunction(_) => {
            None
        }
    }
}

/// Nothing is run for them.
fn give_names(session: &mut Session, statements: &[Statement]) {
    let context = session.context();
    for statement in statements {
        if matches!(statement, Statement::Let(..) | Statement::Function(_) | Statement::RustFunction(_)) {
            // A mistake is told when the cell is entered.
            let _ = session.statement(statement, &context);
        }
    }
}

/// What flows behind the subject of a magic, or behind its last variant.
fn of_magic(session: &mut Session, magic: &lang::Magic) -> Option<Bound> {
    if let Some(setup) = magic.option("--setup").flatten() {
        let id = session.remember(&setup.text);
        if let Ok(Cell::Statements(statements)) = parse(id, &setup.text, &Tables) {
            give_names(session, &statements);
        }
    }
    match &magic.subject {
        Argument::Statement(statement) => last_bound(session, std::slice::from_ref(&**statement)),
        Argument::Pipelines(pipelines) => session.bind(pipelines.last()?).ok(),
        Argument::Body(body) => {
            let (line, text) = (timing::statements(session, &body.line), timing::statements(session, &body.text));
            last_bound(session, &[line.ok()?, text.ok()?].concat())
        }
        Argument::Variants(variants) => {
            if let Some(sweep) = &variants.sweep {
                let point = *session.points(sweep).ok()?.first()?;
                session.give_point(&sweep.name, point);
            }
            match (variants.block.last(), &variants.shared) {
                (Some(last), Some(shared)) if last.continues => {
                    let Bound::Table(plan) = session.bind(shared).ok()? else { return None };
                    session.bind_on(plan, &last.pipeline.stages).ok().map(Bound::Table)
                }
                (Some(last), _) => session.bind(&last.pipeline).ok(),
                (None, shared) => session.bind(shared.as_ref()?).ok(),
            }
        }
        Argument::Nothing | Argument::Words(_) => None,
    }
}

/// The innermost open pipeline that has a bar, up to its last one. In a block of stages it is the pipeline that flows
/// into the block, and then the stages of that.
fn before_last_bar(before: &str) -> Option<String> {
    /// What stands before the start, the start, and the last bar.
    type Open = (String, usize, Option<usize>);
    let mut opened: Vec<Open> = vec![(String::new(), 0, None)];
    let text = |(lead, start, bar): &Open| bar.map(|bar| format!("{lead}{}", &before[*start..bar]));
    let mut quote = None;
    let mut chars = before.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' | '\'' if quote.is_none() => quote = Some(c),
            c if quote == Some(c) => quote = None,
            '\\' if quote.is_some() => drop(chars.next()),
            _ if quote.is_some() => {}
            '(' => opened.push((String::new(), i + 1, None)),
            '{' => match opened.last().and_then(text) {
                // Nothing stands between the bar before the block and its first stage.
                Some(input) => opened.push((format!("{input} | "), i + 1, None)),
                None => opened.push((String::new(), i + 1, None)),
            },
            ')' | '}' => drop(opened.pop()),
            '|' => {
                if let Some(last) = opened.last_mut() {
                    last.2 = Some(i);
                }
            }
            _ => {}
        }
    }
    opened.iter().rev().find_map(text)
}

/// Whether a text ends where a block of stages begins.
fn opens_block(lead: &str) -> bool {
    let head = lead.strip_suffix('{').and_then(|head| head.rsplit_once('|'));
    head.is_some_and(|(_, stage)| stage.trim_start().starts_with("iterate "))
}
