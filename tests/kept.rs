//! Kept cells with what they print, on every engine: `tests/kept/*.txt`. `TIMELAB_UPDATE=1` writes what is printed now
//! into the files: read the difference before you keep it.
//!
//! A block is one session: lines behind `› ` are its cells, those behind `… ` go on with one, the rest is what they
//! print, csv and diagnostics. A blank line ends it. A line behind `# ` is a comment. Where an engine objects to a
//! cell, the cell is not compared on it, and the objection stands in the file's `.objections.txt`.

use std::path::{Path, PathBuf};

use timelab::run_context::ChunkSizes;

use crate::lab::{Lab, ways};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept")
}

/// The blocks of a file: comment lines, cells, and what they print.
fn blocks(text: &str) -> Vec<(Vec<&str>, Vec<String>, String)> {
    let mut blocks = Vec::new();
    for block in text.split("\n\n") {
        let (mut comments, mut cells, mut printed) = (Vec::new(), Vec::<String>::new(), String::new());
        for line in block.lines() {
            if let Some(cell) = line.strip_prefix("› ") {
                cells.push(cell.to_string());
            } else if let Some(more) = line.strip_prefix("… ")
                && let Some(cell) = cells.last_mut()
            {
                cell.push('\n');
                cell.push_str(more);
            } else if line.starts_with("# ") {
                comments.push(line);
            } else {
                printed.push_str(line);
                printed.push('\n');
            }
        }
        if !(comments.is_empty() && cells.is_empty()) {
            blocks.push((comments, cells, printed));
        }
    }
    blocks
}

/// What each cell prints. Blank lines would end a block: they are shown as `∅`.
fn run(engine: &'static str, chunk_sizes: ChunkSizes, cells: &[String]) -> Vec<String> {
    let mut lab = Lab::in_chunks(engine, chunk_sizes);
    let visible = |line: &str| if line.trim().is_empty() { "∅\n".to_string() } else { format!("{line}\n") };
    let print = |cell: &String| {
        let printed = lab.cell(cell);
        format!("{}{}", printed.err, printed.out).lines().map(visible).collect()
    };
    cells.iter().map(print).collect()
}

#[track_caller]
fn check(name: &str) {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let update = std::env::var_os("TIMELAB_UPDATE").is_some();
    let mut written = String::new();
    let mut wrong = Vec::new();
    let mut objections = String::new();
    let mut cells_run = 0;
    for (comments, cells, expected) in blocks(&text) {
        for line in &comments {
            written.push_str(&format!("{line}\n"));
        }
        for cell in &cells {
            written.push_str(&format!("› {}\n", cell.replace('\n', "\n… ")));
        }
        if !cells.is_empty() {
            let reference = run("rows", ChunkSizes::default(), &cells);
            for (engine, chunk_sizes) in ways() {
                cells_run += 1;
                for ((cell, printed), expected) in cells.iter().zip(run(engine, chunk_sizes, &cells)).zip(&reference) {
                    if printed == *expected {
                        continue;
                    }
                    match printed.split_once("cannot run this: ") {
                        Some((_, why)) => {
                            let reason = why.lines().next().unwrap_or_default();
                            objections.push_str(&format!("{engine}: {reason}\n    {cell}\n"));
                        }
                        None => wrong.push(format!("{engine} and rows differ:\n› {cell}\n{printed}---\n{expected}")),
                    }
                }
            }
            let reference: String = reference.concat();
            if reference != expected && !update {
                wrong.push(format!("› {}\nprints\n{reference}kept was\n{expected}", cells.join("\n› ")));
            }
            written.push_str(&reference);
        }
        written.push('\n');
    }
    if update {
        std::fs::write(&path, written.trim_end().to_string() + "\n").expect("the kept file can be written");
    }
    assert!(cells_run > 20, "{name} was read");
    let accepted = folder().join(name.replace(".txt", ".objections.txt"));
    if update {
        std::fs::write(&accepted, &objections).expect("the table can be written");
    }
    let accepted = std::fs::read_to_string(&accepted).unwrap_or_default();
    assert_eq!(objections, accepted, "objections to the cells of {name} differ from the accepted ones");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn first_steps_of_users_of_other_tools() {
    check("first_use.txt");
}

#[test]
fn mistakes_have_good_messages() {
    check("mistakes.txt");
}

#[test]
fn values_are_as_the_language_says() {
    check("values.txt");
}

#[test]
fn stores_answer_alike_on_every_engine() {
    check("stores.txt");
}

#[test]
fn tables_are_as_the_language_says() {
    check("tables.txt");
}

#[test]
fn files_are_read_as_the_language_says() {
    check("reading.txt");
}
