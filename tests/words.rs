//! What users bring from other tools leads somewhere, and what they read is said in plain words.

use std::fs;
use std::path::PathBuf;

use regex::Regex;
use timelab::lang::foreign;
use timelab::magics::glossary;
use timelab::stages;

use crate::command::{err, timelab};
use crate::lab::Lab;

fn help(word: &str) -> String {
    let printed = Lab::new("rows").cell(word);
    assert_eq!(printed.err, "", "{word}");
    printed.out
}

#[test]
fn words_of_other_tools_lead_to_what_stands_in_their_place() {
    let words: Vec<&str> = foreign::ALL.iter().flat_map(|foreign| foreign.words.iter().copied()).collect();
    assert!(words.len() >= 60, "{}", words.len());
    for foreign in foreign::ALL {
        for word in foreign.words {
            for asked in [format!("{word}?"), format!("%help {word}"), format!("%help {}", word.to_uppercase())] {
                assert!(help(&asked).contains(foreign.leads), "{asked}");
            }
            if stages::find(word).is_none() {
                let mistyped = Lab::new("rows").cell(&format!("1..3 | {word} it")).err;
                assert!(mistyped.contains(foreign.leads), "{word}: {mistyped}");
            }
        }
    }
}

#[test]
fn no_word_leads_to_two_things() {
    let mut words: Vec<&str> = foreign::ALL.iter().flat_map(|foreign| foreign.words.iter().copied()).collect();
    let all = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), all);
}

#[test]
fn the_cells_of_words_run() {
    for foreign in foreign::ALL.iter().filter(|foreign| !foreign.cell.contains("rust ")) {
        let run = timelab(&["-c", foreign.cell], "");
        assert!(run.status.success(), "{}: {}", foreign.cell, err(&run));
    }
}

#[test]
fn terms_are_found_by_their_other_words() {
    for (also, term) in glossary::ALSO {
        let found = glossary::find(also).unwrap_or_else(|| panic!("{also}"));
        assert_eq!(found.name, *term);
    }
    assert!(help("big O?").starts_with("big O\n"));
    assert!(help("I/O-bound?").starts_with("I/O-bound\n"));
    assert!(help("outliers?").starts_with("outlier\n"));
    assert!(help("tso?").starts_with("memory model\n"));
}

#[test]
fn aliases_mean_their_stages() {
    for (alias, stage) in stages::ALIASES {
        assert!(help(&format!("{alias}?")).contains(&format!("`{alias}` is another name of `{stage}`")));
        assert_eq!(stages::find(alias).map(|found| found.syntax.name), Some(stage));
    }
}

#[test]
fn help_is_searched() {
    let found = help("%help --find interquartile");
    assert!(found.contains("%help timing"), "{found}");
    assert!(found.lines().all(|line| line.to_lowercase().contains("interquartile")), "{found}");
    let none = Lab::new("rows").cell("%help --find xyzzyx").err;
    assert!(none.starts_with("error: no help text contains `xyzzyx`"), "{none}");
}

#[test]
fn a_mistake_of_spelling_is_near_and_nothing_else_is() {
    let hint = |cell: &str| Lab::new("rows").cell(cell).err;
    assert!(hint("1..3 | fitler it > 1").contains("did you mean `filter`?"));
    assert!(!hint("1..3 | hash it").contains("did you mean"));
    assert!(!hint("quit? x").contains("did you mean `rust`"));
}

#[test]
fn exit_leaves_unless_it_is_a_name() {
    let left = timelab(&["-c", "1", "-c", "exit", "-c", "2"], "");
    assert_eq!((left.status.code(), String::from_utf8_lossy(&left.stdout).into_owned()), (Some(0), "1\n".to_string()));
    let named = timelab(&["-c", "let exit = 7; exit", "-c", "exit"], "");
    assert_eq!(String::from_utf8_lossy(&named.stdout), "7\n7\n");
}

/// Phrases of the word list that have no good use in what users read.
const AVOIDED: [&str; 24] = [
    " is no ",
    "by chance",
    "here flows",
    "but here is",
    "but here are",
    "said twice",
    "unless told",
    "where nothing is said",
    "could end before",
    "what came of",
    "the measure of",
    "somebody",
    "is heeded",
    "are heeded",
    "a person",
    "takes two arguments",
    "cannot be told",
    "go on from",
    "what came of it",
    "the house",
    "wants `",
    "a name cannot be given",
    "nobody wins",
    "does not go with",
];

/// All texts of four words and more in the source: what users read is among them.
fn texts() -> Vec<(String, String)> {
    let text = Regex::new(r#"(?s)"((?:[^"\\]|\\.)*)""#).unwrap();
    let joined = Regex::new(r"\\\n\s*").unwrap();
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let source = fs::read_to_string(&entry).unwrap();
            let code: Vec<&str> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            for said in text.captures_iter(&code.join("\n")) {
                let said = joined.replace_all(&said[1], "").into_owned();
                if said.split_whitespace().count() >= 4 {
                    found.push((entry.display().to_string(), said));
                }
            }
        }
    }
    found
}

#[test]
fn texts_are_in_plain_words() {
    let texts = texts();
    assert!(texts.len() > 1000, "{}", texts.len());
    let hits: Vec<String> = texts
        .iter()
        .flat_map(|(file, text)| {
            // These are good English.
            let plain = text.replace("here is no ", "").replace("cannot be told apart", "");
            let found = AVOIDED.iter().filter(|phrase| plain.contains(**phrase));
            found.map(|phrase| format!("{file}: {phrase:?} in {text}")).collect::<Vec<_>>()
        })
        .collect();
    assert!(hits.is_empty(), "{}", hits.join("\n"));
}
