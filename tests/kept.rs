//! Kept cells with what they print, on every engine, in notebooks: `tests/kept/*.md`. Each fence is a session of its
//! own.
//! An output has the warnings and the error first, then the result, without notes and the status line. Where an engine
//! objects to a cell, the cell is not compared on it, and the objection stands in the file's `.objections.txt`.
//! `TIMELAB_UPDATE=1` writes what is printed now into the files: read the difference before you keep it.

use std::path::{Path, PathBuf};

use timelab::notebook::{Fence, Notebook, output_text, updated};
use timelab::run_context::ChunkSizes;

use crate::lab::{Lab, ways};

fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept").join(name)
}

/// What each cell of a fence prints in a session that begins with it.
fn run(engine: &'static str, chunk_sizes: ChunkSizes, fence: &Fence) -> Vec<String> {
    let mut lab = Lab::in_chunks(engine, chunk_sizes);
    let mut print = |input: &str| {
        let printed = lab.cell(input);
        printed.err + &printed.out
    };
    fence.cells.iter().map(|cell| print(&cell.input)).collect()
}

#[track_caller]
fn check(name: &str) {
    let update = std::env::var_os("TIMELAB_UPDATE").is_some();
    let path = path_of(&format!("{name}.md"));
    let text = std::fs::read_to_string(&path).expect("the kept file can be read");
    let notebook = Notebook::parse(&text).unwrap_or_else(|faulty| panic!("{name}: {faulty:?}"));
    assert!(notebook.cells().count() > 20, "{name} holds cells");
    let (mut outputs, mut wrong, mut objections) = (Vec::new(), Vec::new(), String::new());
    for fence in &notebook.fences {
        let reference = run("rows", ChunkSizes::default(), fence);
        for (engine, chunk_sizes) in ways() {
            let all = fence.cells.iter().zip(run(engine, chunk_sizes, fence)).zip(&reference);
            for ((cell, printed), expected) in all.filter(|((_, printed), expected)| printed != *expected) {
                match printed.split_once("cannot run this: ") {
                    Some((_, why)) => {
                        let reason = why.lines().next().unwrap_or_default();
                        objections.push_str(&format!("{engine}: {reason}\n    {}\n", cell.input));
                    }
                    None => wrong.push(format!(
                        "line {}: {engine} and rows differ:\n› {}\n{printed}---\n{expected}",
                        cell.line, cell.input
                    )),
                }
            }
        }
        for (cell, printed) in fence.cells.iter().zip(reference) {
            let is_kept = output_text(&printed) == output_text(&cell.output);
            if !is_kept && !update {
                let kept = &cell.output;
                wrong.push(format!("line {}: › {}\nprints\n{printed}kept was\n{kept}", cell.line, cell.input));
            }
            outputs.push((!is_kept).then_some(printed));
        }
    }
    let accepted = path_of(&format!("{name}.objections.txt"));
    if update {
        std::fs::write(&path, updated(&notebook, &outputs)).expect("the kept file can be written");
        std::fs::write(&accepted, &objections).expect("the table can be written");
    }
    let accepted = std::fs::read_to_string(&accepted).unwrap_or_default();
    assert_eq!(objections, accepted, "objections to the cells of {name} differ from the accepted ones");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn first_steps_of_users_of_other_tools() {
    check("first_use");
}

#[test]
fn mistakes_have_good_messages() {
    check("mistakes");
}

#[test]
fn values_are_as_the_language_says() {
    check("values");
}

#[test]
fn stores_answer_alike_on_every_engine() {
    check("stores");
}

#[test]
fn tables_are_as_the_language_says() {
    check("tables");
}

#[test]
fn files_are_read_as_the_language_says() {
    check("reading");
}
