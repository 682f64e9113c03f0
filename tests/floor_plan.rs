//! The floor plan in `src/lib.rs` holds: a module imports only from paragraphs before its own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The floor of each module, from the paragraphs of `mod` lines.
fn floors(lib: &str) -> HashMap<String, usize> {
    let mut floors = HashMap::new();
    for (floor, paragraph) in lib.split("\n\n").enumerate() {
        for line in paragraph.lines() {
            if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
                floors.insert(name.to_string(), floor);
            }
        }
    }
    floors
}

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("src is readable") {
            files(&entry.expect("src is readable").path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_path_buf());
    }
}

/// The modules that a file's text names after `crate::`.
fn named(text: &str) -> Vec<String> {
    let after = text.split("crate::").skip(1);
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    after.map(word).filter(|word| !word.is_empty()).collect()
}

#[test]
fn modules_import_only_from_lower_floors() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = std::fs::read_to_string(source.join("lib.rs")).expect("lib.rs is readable");
    let floors = floors(&lib);
    assert!(floors.len() > 10, "the floor plan was read: {floors:?}");
    let mut all = Vec::new();
    files(&source, &mut all);
    let mut wrong = Vec::new();
    let mut imports = 0;
    for file in all {
        let inside = file.strip_prefix(&source).expect("it was found there");
        let module = inside.iter().next().and_then(|part| part.to_str()).unwrap_or_default().trim_end_matches(".rs");
        let Some(own) = floors.get(module) else { continue };
        let text = std::fs::read_to_string(&file).expect("src is readable");
        for other in named(&text).into_iter().filter(|other| other != module) {
            imports += 1;
            match floors.get(&other) {
                Some(floor) if floor < own => {}
                Some(_) => wrong.push(format!("{}: crate::{other} is not on a lower floor", inside.display())),
                None => wrong.push(format!("{}: crate::{other} is not in the floor plan", inside.display())),
            }
        }
    }
    assert!(imports > 50, "imports were found: {imports}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The shell's own code prints only in `shell` and `main`; `rust/cell.rs` is linked into the child, whose output is a
/// pipe.
#[test]
fn only_the_shell_prints() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let mut wrong = Vec::new();
    for file in all {
        let inside = file.strip_prefix(&source).expect("it was found there");
        if inside.starts_with("shell") || inside == Path::new("main.rs") || inside == Path::new("rust/cell.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("src is readable");
        for word in ["print!(", "println!(", ".is_terminal()"] {
            if text.contains(word) {
                wrong.push(format!("{}: {word}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Columns are characters: a line of Greek is as wide as one of Latin letters.
#[test]
fn no_line_is_over_120_columns() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    ["src", "tests", "benches"].iter().for_each(|folder| files(&project.join(folder), &mut all));
    let mut wrong = Vec::new();
    for file in all {
        let text = std::fs::read_to_string(&file).expect("the sources are readable");
        let inside = file.strip_prefix(project).expect("it was found there").display().to_string();
        for (i, line) in text.lines().enumerate().filter(|(_, line)| line.chars().count() > 120) {
            wrong.push(format!("{inside}:{}: {} columns", i + 1, line.chars().count()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_floor_plan_reads_paragraphs() {
    let floors = floors("pub mod a;\npub mod b;\n\npub mod c;\n");
    assert_eq!(floors["a"], floors["b"]);
    assert!(floors["a"] < floors["c"]);
    assert_eq!(named("use crate::data::Value; crate::plan::Op"), ["data", "plan"]);
}
