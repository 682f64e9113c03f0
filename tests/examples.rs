//! The examples of every stage and function, exactly, on every engine; objections are a checked-in table.

use std::path::Path;

use timelab::functions;
use timelab::magics::{self, glossary};
use timelab::notebook::{self, Notebook};
use timelab::sources;
use timelab::stages;

use crate::command::{err, timelab};
use crate::lab::{Lab, csv, engine_names};

fn all() -> Vec<(&'static str, &'static str)> {
    let stages = stages::ALL.iter().flat_map(|stage| stage.examples.iter().copied());
    let functions = functions::ALL.iter().flat_map(|function| function.examples.iter().copied());
    let sources = sources::ALL.iter().flat_map(|source| source.examples.iter().copied());
    stages.chain(functions).chain(sources).collect()
}

#[test]
fn every_stage_function_and_source_has_an_example() {
    for stage in stages::ALL {
        assert!(!stage.examples.is_empty(), "{}", stage.syntax.name);
        assert!(stage.syntax.usage.starts_with(stage.syntax.name), "{}", stage.syntax.name);
    }
    for function in functions::ALL {
        assert!(!function.examples.is_empty(), "{}", function.name);
    }
    for source in sources::ALL {
        assert!(!source.examples.is_empty() && source.usage.starts_with(source.name), "{}", source.name);
    }
}

#[test]
fn examples_print_what_they_say_on_every_engine() {
    let mut wrong = Vec::new();
    let mut objections = String::new();
    for engine in engine_names() {
        for (cell, expected) in all() {
            let printed = Lab::new(engine).cell(cell);
            if let Some((_, why)) = printed.err.split_once("cannot run this: ") {
                let reason = why.lines().next().unwrap_or_default();
                objections.push_str(&format!("{engine}: {reason}\n    {cell}\n"));
            } else if printed.out != expected || !printed.err.is_empty() {
                wrong.push(format!("{engine}: {cell}\n{}{}expected\n{expected}", printed.err, printed.out));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept/objections.txt");
    if std::env::var_os("TIMELAB_UPDATE").is_some() {
        std::fs::write(&path, &objections).expect("the table can be written");
    }
    let accepted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(objections, accepted, "objections differ from the accepted ones in tests/kept/objections.txt");
}

/// Magics whose examples are only run: help is prose that changes with each sentence, how many sizes `%bigo` reaches is
/// a matter of time, `%cd` tells where the project lies, `%explain` what the processor can do, the rows of `%amdahl`
/// depend on its cores, those of `%speedup` also on whether its noise allows a prediction, `%engine` and `%engines` on
/// what is installed; the programs of `%plan` have tests of their own.
const ONLY_RUN: [&str; 9] = ["help", "bigo", "cd", "explain", "plan", "amdahl", "speedup", "engine", "engines"];

/// What each example prints, in a notebook: `tests/kept/magics.md`, renewed by `TIMELAB_UPDATE=1`; what was measured
/// may differ. Each is a session of its own. Rust is only run: its compiler belongs to the program.
#[test]
fn examples_of_magics_print_what_they_printed() {
    const WIDTH: usize = 100;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::set_current_dir(root).expect("the project is there");
    let path = root.join("tests/kept/magics.md");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let notebook = Notebook::parse(&text).unwrap_or_else(|faulty| panic!("{faulty:?}"));
    let kept: Vec<_> = notebook.cells().map(|(_, cell)| cell).collect();
    let (mut now, mut wrong) = (Vec::new(), Vec::new());
    for magic in magics::ALL {
        for cell in magic.examples {
            if cell.contains("rust") {
                let output = timelab(&["-c", cell], "");
                assert!(output.status.success(), "{cell}: {}", err(&output));
                continue;
            }
            let evaluation = Lab::new("rows").evaluate(cell);
            assert!(evaluation.error.is_none() && evaluation.warnings.is_empty(), "{cell}: {evaluation:?}");
            if ONLY_RUN.contains(&magic.syntax.name) || cell.ends_with('?') {
                assert!(!evaluation.report.blocks.is_empty(), "{cell} says nothing");
                continue;
            }
            let style = notebook::style(WIDTH);
            let printed = notebook::printed(&evaluation.report, &style);
            let unknown = notebook::unknown(&evaluation.report, evaluation.sayings);
            assert!(unknown.is_empty(), "{cell} says what no form allows: {unknown:#?}");
            let masked = notebook::masked(&evaluation.report, evaluation.sayings, &style);
            let expected = kept.get(now.len()).filter(|kept| kept.input == *cell).map(|kept| kept.output.as_str());
            match notebook::compare(expected.unwrap_or_default(), &printed, &masked) {
                Ok(()) => now.push((cell.to_string(), expected.unwrap_or_default().to_string())),
                Err(differs) => {
                    wrong.push(format!("{cell}\n{}\nkept:\n{}", differs.got.join("\n"), differs.expected.join("\n")));
                    now.push((cell.to_string(), printed));
                }
            }
        }
    }
    if std::env::var_os("TIMELAB_UPDATE").is_some() {
        let text = format!("# What the examples of magics print\n\n{}", notebook::fence_of(WIDTH, &now));
        std::fs::write(&path, text).expect("the kept file can be written");
        return;
    }
    assert!(wrong.is_empty(), "{}\nthe kept output is in {}", wrong.join("\n"), path.display());
    assert_eq!(now.len(), kept.len(), "there are other examples: TIMELAB_UPDATE=1 keeps what they print");
}

#[test]
fn cells_of_the_glossary_run() {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the project is there");
    for term in glossary::ALL {
        let mut lab = Lab::new("rows");
        assert_eq!(lab.cell(term.cell).err, "", "{}", term.name);
        let help = lab.cell(&format!("%help {}", term.name)).out;
        assert!(help.contains(term.meaning) && help.contains(term.cell), "{help}");
    }
}

#[test]
fn the_glossary_is_sorted() {
    let names: Vec<String> = glossary::ALL.iter().map(|term| term.name.to_lowercase()).collect();
    assert!(names.is_sorted(), "{names:?}");
}

/// The head of the language's description; what belongs to later versions is left out.
#[test]
fn the_first_examples_of_the_language_run() {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the project is there");
    for engine in engine_names() {
        assert_eq!(csv(engine, &["1..1M | map it * it | sum"]), "sum\n333332833333500000\n");
        let top = csv(engine, &[r#"read "samples/kjv.txt" | words | count by lower(word) | top 3"#]);
        assert_eq!(top, "word,count\nthe,63911\nand,51313\nof,34582\n");
        let sections = csv(
            engine,
            &["read \"samples/packages.csv\" | agg n = count(), size = mean(size_bytes) by section \
                 | sort by size desc | take 1"],
        );
        assert_eq!(sections, "section,n,size\ndebug,187,49319406.90909091\n");
        let log = "read \"samples/dpkg.log\" | map package = split(split(line, \" \")[3], \":\")[0] \
                   | join (read \"samples/packages.csv\") on package | count";
        assert_eq!(csv(engine, &[log]), "count\n1157\n");
        assert_eq!(csv(engine, &["let n = 10k ; 1..n | mean"]), "mean\n5000.0\n");
        let big = r#"let big = read "samples/kjv.txt" | words | persist"#;
        assert_eq!(csv(engine, &[big, "big | count"]), "count\n820736\n");
    }
    assert_eq!(csv("rows", &[r#"letters 20k seed 7 | fold "" acc + it | map len(it)"#]), "it\n20000\n");
    let fib = "fn fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)";
    assert_eq!(csv("rows", &[fib, "fib(20)"]), "6765\n");
}
