//! What tries to take the machine, to run unseen, or to leave the terminal broken.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use timelab::console::{Console, Reply};
use timelab::data::{Schema, Table, Type, Value};
use timelab::magics::evaluate;
use timelab::report::{Block, Report};
use timelab::session::Session;
use timelab::show::{self, Style};

use crate::command::{err, out};

fn folder() -> TempDir {
    tempfile::tempdir().expect("the temporary folder can be written")
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("it runs")
}

/// A value that would be too large is an error, and the session goes on.
#[test]
fn a_value_beyond_the_limit_is_an_error() {
    let folder = folder();
    let cells = ["%set memory 200MB", "let a = range(0, 1M)", "let a = a + a", "let a = a + a", "let a = a + a"];
    let arguments: Vec<&str> = cells.iter().flat_map(|cell| ["-c", cell]).collect();
    let more = ["-c", "let a = a + a", "-c", "let a = a + a", "-c", "1 + 1"];
    let output = run(folder.path(), &[&["--keep-going"], &arguments[..], &more].concat());
    assert!(err(&output).contains("needs more memory than the run may have"), "{}", err(&output));
    assert_eq!((out(&output).as_str(), output.status.code()), ("2\n", Some(1)));
}

/// A script is a regular file of a size that one can read.
#[test]
fn a_script_is_a_regular_file() {
    let folder = folder();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    std::fs::File::create(folder.path().join("large")).and_then(|file| file.set_len(65 << 20)).expect("it is made");
    for (path, what) in [
        ("/dev/zero", "is not a regular file"),
        ("/dev/urandom", "is not a regular file"),
        ("fifo", "is not a regular file"),
        (".", "is a directory, not a file of cells"),
        ("large", "has 68157440 bytes, and a file of cells at most 64 MiB"),
        ("missing", "there is no file"),
    ] {
        let output = run(folder.path(), &["-c", &format!("%run \"{path}\"")]);
        assert_eq!(output.status.code(), Some(1), "{path}");
        assert!(err(&output).contains(what), "{path}: {}", err(&output));
        if what.contains("regular") || path == "large" {
            assert!(err(&output).contains(&format!("timelab < \"{path}\"")), "{path}: {}", err(&output));
            assert_ne!(run(folder.path(), &[path]).status.code(), Some(0));
        }
    }
}

/// No script that nobody trusts leaves its folder or runs anything.
#[test]
fn an_evil_script_does_nothing() {
    let (folder, outside) = (folder(), folder());
    let marker = outside.path().join("marker");
    symlink(outside.path(), folder.path().join("link")).expect("a link can be made");
    symlink(&marker, folder.path().join("P.csv")).expect("a link can be made");
    symlink("link", folder.path().join("again")).expect("a link can be made");
    let mark = format!("touch {}", marker.display());
    // A toolchain of the folder's own.
    let bin = folder.path().join("tools/bin");
    std::fs::create_dir_all(&bin).expect("the folder can be made");
    for tool in ["rustc", "cargo"] {
        let path = bin.join(tool);
        std::fs::write(&path, format!("#!/bin/sh\n{mark}\nexit 1\n")).expect("it is written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it may be run");
    }
    std::fs::write(folder.path().join("rust-toolchain.toml"), "[toolchain]\npath = \"tools\"\n")
        .expect("it is written");
    for cells in [
        "1..3 | write \"link/marker\"".to_string(),
        "1..3 | write \"link/new/marker\"".to_string(),
        "1..3 | write \"again/marker\"".to_string(),
        "1..3 | write \"P.csv\"".to_string(),
        "1..3 | tee a: (write \"link/marker\"), b: (sum)".to_string(),
        "1\n%save link/marker".to_string(),
        "1\n%save P.csv --force".to_string(),
        "1..3 | sum | on native".to_string(),
        "%set engine native\n1..3 | sum".to_string(),
        "%same --on rows,native 1..3 | sum".to_string(),
        "%compare --on rows,native 1..3 | sum".to_string(),
        format!("!{mark}"),
        format!("let x = !{mark}"),
        format!("rust {{ std::process::Command::new(\"touch\").arg({marker:?}).status() }}"),
        "%cd link\n1..3 | write \"marker\"".to_string(),
    ] {
        std::fs::write(folder.path().join("evil.txt"), &cells).expect("it is written");
        let output = run(folder.path(), &["evil.txt"]);
        assert_eq!(output.status.code(), Some(1), "{cells}: {}", out(&output));
        assert!(!marker.exists(), "{cells}");
    }
    // Also a command line that asks for the engine itself runs the user's tools, not those of the folder.
    let output = run(folder.path(), &["--engine", "native", "-c", "1..4 | sum"]);
    assert!(!marker.exists(), "{}{}", out(&output), err(&output));
    // What stays in the folder needs no trust.
    std::fs::create_dir(folder.path().join("inside")).expect("the folder can be made");
    symlink("inside", folder.path().join("near")).expect("a link can be made");
    std::fs::write(folder.path().join("good.txt"), "1..3 | write \"near/a.csv\"\n1..3 | write \"b.csv\"").expect("it");
    let output = run(folder.path(), &["good.txt"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(folder.path().join("inside/a.csv").exists());
}

#[test]
fn a_read_only_file_is_not_replaced() {
    let folder = folder();
    let path = folder.path().join("t.csv");
    std::fs::write(&path, "kept\n").expect("it is written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).expect("it is ours");
    let output = run(folder.path(), &["-c", "1..3 | write \"t.csv\""]);
    assert!(err(&output).contains("is read-only") && err(&output).contains("chmod u+w"), "{}", err(&output));
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), "kept\n");
}

/// The question shows the count first, then every cell that flows into one that can do anything; nothing in it hides.
#[test]
fn the_question_shows_what_flows_into_it() {
    let folder = folder();
    let path = folder.path().join("ce\u{1b}[8mlls.txt");
    let cells = "let unused = 1\nlet cmd = \"a\u{1b}[8m\"\nfn twice(x) = x + cmd\n1..3 | sum\n%set seed 3\n\
                 rust with twice { 1 }\n2 + 2\n";
    std::fs::write(&path, cells).expect("it is written");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut session = {
        let asked = asked.clone();
        Session::new(
            None,
            Console::capturing(Arc::new(move |question: &str, _: &dyn Fn() -> bool| {
                asked.lock().expect("nobody panics").push(question.to_string());
                Reply::Line("n".to_string())
            })),
        )
    };
    let context = session.context();
    evaluate(&mut session, &format!("%run \"{}\"", path.display()), &context);
    let asked = asked.lock().expect("nobody panics");
    let [question] = &asked[..] else { panic!("{asked:?}") };
    assert!(question.starts_with("1 of 7 cells in \""), "{question}");
    assert!(!question.contains('\u{1b}') && question.contains("\\u{1b}[8m"), "{question}");
    for shown in ["let cmd = \"a\\u{1b}[8m\"", "fn twice(x) = x + cmd", "%set seed 3", "rust with twice { 1 }"] {
        assert!(question.contains(shown), "{shown}: {question}");
    }
    assert!(!question.contains("unused") && !question.contains("2 + 2"), "{question}");
}

/// What comes from data is shown with escapes on a terminal, in every kind of block, and goes as it is elsewhere.
#[test]
fn escape_sequences_are_shown() {
    let evil = "a\u{1b}[31mred\u{9b}2J\u{7}";
    let value = Value::text(evil);
    let schema = Schema::one(evil, Type::Text);
    let table = Arc::new(Table::from_columns(schema, 1, &[vec![value.clone()]]));
    let blocks = || {
        vec![
            Block::Value { value: value.clone(), ty: Type::Text, measured: false },
            Block::Table { table: table.clone(), measured: false },
            Block::Whole { table: table.clone(), measured: false },
            Block::Text(evil.to_string()),
        ]
    };
    for format in [show::Format::Table, show::Format::Csv, show::Format::Json, show::Format::Markdown] {
        for block in blocks() {
            let style = |wrap| Style { format, wrap, ..PLAIN };
            let said = format!("{format:?} {block:?}");
            let report = Report { blocks: vec![block], ..Report::default() };
            let drawn = show::report(&report, &style(true));
            let shown = format!("{}{}", drawn.out, drawn.err);
            assert!(!shown.contains(['\u{1b}', '\u{9b}', '\u{7}']), "{said}: {shown:?}");
            assert!(shown.contains("1b"), "{said}: {shown:?}");
        }
    }
    let report = Report { blocks: blocks(), ..Report::default() };
    let passed = show::report(&report, &Style { format: show::Format::Csv, ..PLAIN }).out;
    assert_eq!(passed.matches(evil).count(), 6, "{passed:?}");
}

const PLAIN: Style = Style {
    format: show::Format::Table,
    color_out: false,
    color_err: false,
    theme: show::Theme::Dark,
    width: 100,
    wrap: false,
    ascii: false,
};

/// A result that is printed while it comes has the same limit.
#[test]
fn lists_beyond_the_limit_are_refused_where_results_stream() {
    for engine in ["rows", "batch"] {
        let cell = format!("1..4 | map it = range(0, 10M) | map len(it) | sum | on {engine}");
        let output =
            crate::command::timelab(&["--keep-going", "-c", "%set memory 200MB", "-c", &cell, "-c", "1 + 1"], "");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("more memory than the run may have"), "{engine}: {err}");
        assert_eq!((String::from_utf8_lossy(&output.stdout).trim(), output.status.code()), ("2", Some(1)), "{engine}");
    }
}
