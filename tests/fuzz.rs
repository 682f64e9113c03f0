//! Whatever is typed, and whatever stands in a csv file: no panic, no hang, and errors that point into the cell.
//!
//! Texts are random characters, random words of the language, and the examples and kept cells with a few changes. The
//! long run: `TIMELAB_CASES=200000 cargo test --release --locked fuzz`; `TIMELAB_SEED` begins at another case.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use timelab::console::Console;
use timelab::diagnostic::{Diagnostic, Kind, Span};
use timelab::engines;
use timelab::functions;
use timelab::lang;
use timelab::magics::{Tables, evaluate};
use timelab::run_context::Stop;
use timelab::session::Session;
use timelab::stages;

use crate::agreement::{Agreement, compare};
use crate::random::{Random, seeds, shrunk};

#[test]
fn parsing_holds() {
    for seed in seeds(5000) {
        check(seed, &text(&mut Random::new(seed)), parsed);
    }
}

#[test]
fn evaluating_holds() {
    let mut run = 0;
    let seeds = seeds(2000);
    let all = seeds.end - seeds.start;
    for seed in seeds {
        let text = text(&mut Random::new(seed));
        if is_small(&text) {
            run += 1;
            check(seed, &text, evaluated);
        }
    }
    assert!(3 * run >= all, "a third of the texts are run: {run} of {all}");
}

#[test]
fn engines_read_the_same_of_any_csv() {
    let folder = std::env::temp_dir().join(format!("timelab-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let path = folder.join("any.csv");
    for seed in seeds(500) {
        let chance = &mut Random::new(seed);
        let bytes = csv(chance);
        let mut cell = format!("read {path:?}");
        for option in [" header false", " sep \";\"", " comment \"#\"", " ragged true", " lossy true", " as text"] {
            // A text file has none of the other options.
            if chance.one_in(6) && !(option == " as text" && cell.contains("\" ")) {
                cell.push_str(option);
            }
        }
        let compared = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("the temporary folder can be written");
            compare(&cell)
        };
        if let Agreement::Different(what) = compared(&bytes) {
            let least = shrunk(&bytes, |bytes| matches!(compared(bytes), Agreement::Different(_)));
            panic!("seed {seed}: {what}\n› {cell}\n  of {:?}", String::from_utf8_lossy(&least));
        }
    }
    std::fs::remove_dir_all(&folder).expect("it was written");
}

/// Panics with the shortest text that `wrong` says something about.
fn check(seed: u64, text: &str, wrong: fn(&str) -> Option<String>) {
    let wrong =
        |text: &str| catch_unwind(AssertUnwindSafe(|| wrong(text))).unwrap_or_else(|_| Some("it panicked".to_string()));
    if wrong(text).is_none() {
        return;
    }
    let text_of = |chars: &[char]| chars.iter().collect::<String>();
    let chars: Vec<char> = text.chars().collect();
    let least = text_of(&shrunk(&chars, |chars| wrong(&text_of(chars)).is_some()));
    panic!("seed {seed}: {}\n› {least}\n  {least:?}", wrong(&least).unwrap_or_default());
}

fn parsed(text: &str) -> Option<String> {
    let error = lang::parse(0, text, &Tables).err()?;
    outside(&error, |cell| (cell == 0).then_some(text))
}

fn evaluated(text: &str) -> Option<String> {
    // This program runs no Rust and no store.
    if ["rust", "native", "store"].iter().any(|word| text.contains(word)) {
        return None;
    }
    for engine in engines::ALL.iter().filter(|engine| !engine.is_compiled()) {
        let mut session = Session::new(engine.name(), Console::default());
        let context = session.context();
        let evaluation = within(&context.stop.clone(), || evaluate(&mut session, text, &context));
        let diagnostics = evaluation.warnings.iter().chain(evaluation.error.as_deref());
        if let Some(wrong) = diagnostics.filter_map(|said| outside(said, |cell| session.text(cell))).next() {
            return Some(format!("{}: {wrong}", engine.name()));
        }
        match evaluation.error {
            // What is long by right need not be run again.
            Some(error) if error.kind == Kind::Stopped => return None,
            // Of what a machine does not give there is nothing here.
            Some(error) if matches!(error.kind, Kind::System | Kind::Memory) => {
                return Some(format!("{}: {}", engine.name(), error.message));
            }
            _ => {}
        }
    }
    None
}

/// What is wrong with the place of a message.
fn outside<'a>(said: &Diagnostic, text: impl Fn(u32) -> Option<&'a str>) -> Option<String> {
    let Span { cell, start, end } = said.span?;
    let words = text(cell).and_then(|text| text.get(start as usize..end as usize));
    words.is_none().then(|| format!("it points to {start}..{end} of cell {cell}: {}", said.message))
}

/// Stops what takes long.
fn within<T>(stop: &Stop, run: impl FnOnce() -> T) -> T {
    const LONG: Duration = Duration::from_secs(2);
    let (done, watched) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if watched.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout) {
                stop.raise();
            }
        });
        let result = run();
        drop(done);
        result
    })
}

/// Whether a text asks for little: no commands, no large numbers, no range without an end, no large files.
fn is_small(text: &str) -> bool {
    const NOT: [&str; 8] = ["!", "%time", "%compare", "write", "samples/", "fib", "\"-\"", "persist"];
    let endless = text.split("..").skip(1).any(|after| {
        let after = after.trim_start_matches('=').trim_start();
        !after.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '(')
    });
    let mut digits = 0;
    let large = text.chars().any(|c| {
        let unit = digits > 0 && matches!(c, 'k' | 'K' | 'M' | 'G');
        digits = if c.is_ascii_digit() || (digits > 0 && c == '_') { digits + 1 } else { 0 };
        unit || digits > 3
    });
    !(large || endless || NOT.iter().any(|not| text.contains(not)))
}

static CELLS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let examples = stages::ALL.iter().flat_map(|stage| stage.examples);
    let examples = examples.chain(functions::ALL.iter().flat_map(|function| function.examples));
    let mut cells: Vec<String> = examples.map(|(cell, _)| cell.to_string()).collect();
    for path in files("kept").into_iter().filter(|path| path.is_file()) {
        let kept = std::fs::read_to_string(&path).expect("the kept cells can be read");
        cells.extend(kept.lines().filter_map(|line| line.strip_prefix("› ")).map(str::to_string));
    }
    cells
});

/// The words and signs of all cells.
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| CELLS.iter().flat_map(|cell| tokens(cell)).collect());

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = std::fs::read_dir(&folder).expect("it is part of the project");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.sort();
    paths
}

/// Runs of letters and digits, and each other character.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    for c in text.chars() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if word(c) && last.ends_with(word) => last.push(c),
            _ => tokens.push(c.to_string()),
        }
    }
    tokens
}

pub fn text(chance: &mut Random) -> String {
    match chance.below(8) {
        0 => {
            let bytes: Vec<u8> = (0..chance.below(40)).map(|_| chance.below(256) as u8).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        1 => {
            let count = chance.below(25);
            let words = (0..count).map(|_| format!("{}{}", chance.pick(&TOKENS), chance.word(&["", " ", "\n"])));
            words.collect()
        }
        2..=4 => {
            let mut chars: Vec<char> = chance.pick(&CELLS).chars().collect();
            let more: Vec<char> =
                "()[]{}|\"`\\;:,.=<>%?#!-+*/ \n\t_0123456789itabcé日\u{301}🙂\u{0}\u{a0}".chars().collect();
            changed(chance, &mut chars, &more);
            chars.into_iter().collect()
        }
        _ => {
            let mut words = tokens(chance.pick::<String>(&CELLS));
            changed(chance, &mut words, &TOKENS);
            words.concat()
        }
    }
}

/// Deletes, doubles, exchanges and inserts a few.
fn changed<T: Clone>(chance: &mut Random, items: &mut Vec<T>, more: &[T]) {
    for _ in 0..1 + chance.below(4) {
        if items.is_empty() {
            return;
        }
        let at = chance.below(items.len());
        match chance.below(5) {
            0 => drop(items.remove(at)),
            1 => items.insert(at, items[at].clone()),
            2 => {
                let other = chance.below(items.len());
                items.swap(at, other);
            }
            3 => items[at] = chance.pick(more).clone(),
            _ => items.insert(at, chance.pick(more).clone()),
        }
    }
}

/// A csv of the usual kind: fields with and without quotes, in rows of one width, longer than the kernel's masks.
fn tidy(chance: &mut Random) -> Vec<u8> {
    const FIELDS: [&str; 16] = [
        "",
        "",
        "\"\"",
        "1",
        "-20",
        "2.5",
        "true",
        "word",
        "\"a,b\"",
        "\"say \"\"so\"\"\"",
        "\"two\nlines\"",
        "\"\r\n\"",
        "\"\"\"\"",
        "a longer text than a view holds",
        "\"a longer text, with a \"\"quote\"\" in it\"",
        "日本é",
    ];
    let (width, end) = (1 + chance.below(4), chance.word(&["\n", "\r\n"]));
    let mut bytes = Vec::new();
    for row in 0..chance.below(40) {
        for column in 0..width {
            if column > 0 {
                bytes.push(b',');
            }
            let field = if row == 0 { chance.word(&["x", "y", "\"z z\""]) } else { chance.word(&FIELDS) };
            bytes.extend_from_slice(field.as_bytes());
        }
        // Now and then something that breaks the rule.
        let stray = if chance.one_in(300) { chance.word(&["\"", ",", "\r", "x\"y"]) } else { "" };
        bytes.extend_from_slice(stray.as_bytes());
        bytes.extend_from_slice(end.as_bytes());
    }
    bytes
}

/// A csv file as it should not be.
pub fn csv(chance: &mut Random) -> Vec<u8> {
    const PIECES: [&str; 24] = [
        ",",
        ",",
        ",",
        "\n",
        "\n",
        "\r\n",
        "\r",
        "\"",
        "\"\"",
        ";",
        "#",
        " ",
        "a",
        "1",
        "-2",
        "1.5",
        "1e3",
        "true",
        "NaN",
        "é",
        "日",
        "\u{feff}",
        "9223372036854775808",
        "\0",
    ];
    match chance.below(6) {
        4 | 5 => tidy(chance),
        0 => (0..chance.below(60)).map(|_| chance.below(256) as u8).collect(),
        1 => (0..chance.below(40)).flat_map(|_| chance.word(&PIECES).bytes()).collect(),
        2 => {
            let files: Vec<PathBuf> = files("files");
            let mut bytes = std::fs::read(chance.pick(&files)).expect("it is part of the project");
            let more: Vec<u8> = PIECES.concat().into_bytes();
            changed(chance, &mut bytes, &more);
            bytes
        }
        _ => {
            let width = 1 + chance.below(3);
            let mut fields: Vec<&str> = Vec::new();
            for i in 0..width * (1 + chance.below(6)) {
                fields.push(["\n", ","][usize::from(i % width != 0)]);
                fields.push(chance.word(&["1", "2", "-3", "1.5", "x", "", "\"\"", "\"q\"\"r\"", "true", "é", " 7"]));
            }
            let mut bytes = fields.concat().into_bytes();
            changed(chance, &mut bytes, PIECES.concat().as_bytes());
            bytes
        }
    }
}
