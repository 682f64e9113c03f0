//! What tries to take the machine, to run unseen, or to leave the terminal broken.

mod attack;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use timelab::console::{Console, Reply};
use timelab::data::{Schema, Table, Type, Value};
use timelab::magics::evaluate;
use timelab::report::{
    Across, Axis, Block, Drawn, Field, Figures, Meaning, Measured, MeasuredRows, Note, Plot, Report, Scale, Series,
    Unit,
};
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

/// What a job writes to the disk is gone with the process, whatever signal ends it.
#[test]
fn a_signal_leaves_no_folder_of_a_job() {
    let files = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("it can be read").flatten();
        entries.filter(|entry| !entry.file_name().as_bytes().starts_with(b".")).map(|entry| entry.path())
    };
    let faults = [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE];
    let sent = [libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGINT, libc::SIGUSR1, libc::SIGRTMAX()];
    for (at, signal) in sent.into_iter().chain(faults).enumerate() {
        let folder = folder();
        let workers = if at % 2 == 0 { "--on workers " } else { "" };
        let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
        let cell = format!("%mapreduce --via disk {workers}1..100M | count by it % 1000003");
        command.args(["-c", &cell]).current_dir(folder.path());
        command.env("HOME", folder.path()).env("TMPDIR", folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: the child makes system calls only.
        unsafe {
            command.pre_exec(|| {
                // Under `nohup` it is ignored, and stays so.
                libc::signal(libc::SIGHUP, libc::SIG_DFL);
                libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
                Ok(())
            });
        }
        let mut child = command.spawn().expect("it starts");
        // Until tasks have written something.
        while !files(folder.path()).any(|path| files(&path).next().is_some()) {
            assert!(child.try_wait().expect("it is our child").is_none(), "signal {signal}: it ended by itself");
            std::thread::yield_now();
        }
        // SAFETY: the child was not collected yet.
        unsafe { libc::kill(child.id() as i32, signal) };
        let status = child.wait().expect("it ends");
        match signal {
            libc::SIGINT => assert_eq!(status.code(), Some(130)),
            _ => assert_eq!(status.signal(), Some(signal)),
        }
        let left: Vec<_> = files(folder.path()).collect();
        assert!(left.is_empty(), "signal {signal}: {left:?}");
    }
}

/// A value that would be too large is an error, and the session goes on.
#[test]
fn a_value_beyond_the_limit_is_an_error() {
    let folder = folder();
    let cells = ["%set memory 200MB", "let a = range(0, 1M)", "let a = a + a", "let a = a + a", "let a = a + a"];
    let arguments: Vec<&str> = cells.iter().flat_map(|cell| ["-c", cell]).collect();
    let more = ["-c", "let a = a + a", "-c", "let a = a + a", "-c", "1 + 1"];
    let output = run(folder.path(), &[&["--keep-going"], &arguments[..], &more].concat());
    assert!(err(&output).contains("needs more memory than this run is allowed"), "{}", err(&output));
    assert_eq!((out(&output).as_str(), output.status.code()), ("2\n", Some(1)));
}

/// Types come from the first records: one that is as long as its file takes no more than the limit, and no time of
/// completion.
#[test]
fn a_long_record_is_looked_at_within_the_limit() {
    const LONG: usize = 300 << 20;
    let folder = folder();
    for (name, before, after) in [
        ("record.csv.zst", "a,b\n1,2\n1,\"", "\"\n"),
        ("header.csv.zst", "a,\"", "\"\n1,2\n"),
        ("a.json.zst", "{\"a\":\"", "\"}\n"),
    ] {
        let file = std::fs::File::create(folder.path().join(name)).expect("it is made");
        let mut file = zstd::Encoder::new(file, 1).expect("it is written");
        file.write_all(before.as_bytes()).expect("it is written");
        std::io::copy(&mut std::io::repeat(b'x').take(LONG as u64), &mut file).expect("it is written");
        file.write_all(after.as_bytes()).expect("it is written");
        file.finish().expect("it is written");
        let read = format!("read \"{name}\" | count");
        let peak = "!grep VmHWM /proc/$PPID/status";
        let output = run(folder.path(), &["--keep-going", "-c", "%set memory 50MB", "-c", &read, "-c", peak]);
        assert!(err(&output).contains("needs more memory than it may have"), "{name}: {}", err(&output));
        let peak = out(&output);
        let kib: usize = peak.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("it is told");
        assert!(kib < 160 << 10, "{name}: {peak}");
        let mut session = Session::new(None, Console::default());
        let cell = format!("read \"{}\" | ", folder.path().join(name).display());
        let before = timelab::measure::allocated();
        timelab::magics::complete(&mut session, &cell, cell.len());
        let allocated = timelab::measure::allocated() - before;
        assert!(allocated < (LONG / 4) as u64, "{name}: completion allocated {allocated} bytes");
    }
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
        ("large", "has 68157440 bytes; the limit for a file of cells is 64 MiB"),
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
        "%prof 1..3 | sum\n%prof export folded link/marker".to_string(),
        "%prof 1..3 | sum\n%prof export svg P.csv".to_string(),
        "%compare --for 10ms --export P.csv 1..3 | sum, 1..3 | max".to_string(),
        format!("%prof !{mark}"),
        format!("%compare !{mark}, !true"),
        "%set scratch link".to_string(),
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

/// Nothing in the name of a file breaks a line, turns the direction of writing or hides, wherever it is printed.
#[test]
fn names_of_files_stand_in_one_line() {
    let folder = folder();
    let name = "a\nrun them? [y\u{202e}\u{200b}\u{61c}\u{2028}\u{7}\" é.txt";
    let shown = "a\\nrun them? [y\\u{202e}\\u{200b}\\u{61c}\\u{2028}\\u{7}\\\" é.txt";
    let make = |extension: &str, text: &str| {
        let name = name.replace("txt", extension);
        std::fs::write(folder.path().join(&name), text).expect("it is written");
        name
    };
    let (script, notebook) = (make("txt", "!echo 1"), make("md", "```console timelab\n!echo 1\n"));
    make("csv", "a\n1\n\"\n");
    std::fs::create_dir(folder.path().join("folder\u{202e}")).expect("it is made");
    let text = |name: &str| format!("{:?}", name).replace("\\u{7}", "\u{7}");
    let run_script = format!("%run {}", text(&script));
    let commands: [&[&str]; 7] = [
        &[&script],
        &["run", &script],
        &["test", &notebook],
        &["export", "--to", "md", &notebook],
        &["import", &script],
        &["-c", &run_script],
        &["-c", "read \"*.csv\" as csv"],
    ];
    for arguments in commands {
        let output = run(folder.path(), arguments);
        let said = format!("{}{}", out(&output), err(&output));
        let shown = shown.trim_end_matches(".txt");
        assert!(!output.status.success() && said.contains(shown), "{arguments:?}: {said}");
        assert!(!said.contains(['\u{202e}', '\u{200b}', '\u{61c}', '\u{2028}', '\u{7}']), "{arguments:?}: {said}");
        assert!(!said.lines().any(|line| line.starts_with("run them")), "{arguments:?}: {said}");
    }
    let moved = run(folder.path(), &["-c", "%cd \"folder\u{202e}\""]);
    assert!(out(&moved).ends_with("/folder\\u{202e}\n"), "{}{}", out(&moved), err(&moved));
}

/// What comes from data is shown with escapes on a terminal, in every kind of block, and goes as it is elsewhere.
#[test]
fn escape_sequences_are_shown() {
    let evil = "a\u{1b}[31mred\u{9b}2J\u{7}";
    let value = Value::text(evil);
    let schema = Schema::one(evil, Type::Text);
    let table = Arc::new(Table::from_columns(schema, 1, &[vec![value.clone()]]));
    let meanings = vec![Meaning { unit: Unit::Plain, measured: false }];
    let figures = Figures { table: (*table).clone(), meanings, rows: MeasuredRows::default(), is_whole: false };
    let axis = || Axis { label: evil.to_string(), unit: Unit::Plain, scale: Scale::Linear, measured: false };
    let points = vec![(0.0, 1.0), (1.0, 2.0)];
    let plot = Plot {
        title: evil.to_string(),
        x: Across::Names { label: evil.to_string(), names: vec![evil.to_string(), "b".to_string()] },
        y: axis(),
        series: vec![Series { label: evil.to_string(), drawn: Drawn::Line, points }],
        in_table: false,
    };
    let blocks = || {
        vec![
            Block::Value { value: value.clone(), ty: Type::Text, measured: false },
            Block::Table { table: table.clone(), measured: Measured::nothing(1) },
            Block::Whole { table: table.clone(), measured: Measured::nothing(1) },
            Block::Text(evil.to_string()),
            Block::Told { text: evil.to_string(), table: (*table).clone() },
            Block::Figures(figures.clone()),
            Block::Data(figures.clone()),
            Block::Aside(figures.clone()),
            Block::Notes(vec![evil.into(), Note::from("").text(evil)]),
            Block::Measured(vec![Field::counted("wall", value.clone(), Unit::Plain)]),
            Block::Plot(plot.clone()),
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
            // Some are for people alone, and some for programs.
            assert!(shown.contains("1b") || shown.is_empty(), "{said}: {shown:?}");
        }
    }
    let report = Report { blocks: blocks().into_iter().take(4).collect(), ..Report::default() };
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
        assert!(err.contains("more memory than this run is allowed"), "{engine}: {err}");
        assert_eq!((String::from_utf8_lossy(&output.stdout).trim(), output.status.code()), ("2", Some(1)), "{engine}");
    }
}

/// Peek shows rows while they are read: the file is changed in that very moment.
#[test]
fn a_file_that_is_changed_while_it_is_read_is_an_error() {
    let folder = folder();
    let path = folder.path().join("t.txt");
    let text = "some words on a line\n".repeat(100_000);
    let length = text.len() as u64;
    let set = |path: &Path, length: u64| {
        std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(length)).expect("it is ours");
    };
    type Change = fn(&Path, &dyn Fn(&Path, u64), u64);
    let cut: Change = |path, set, _| set(path, 900_001);
    let ways = [
        ("became shorter", cut),
        ("was changed", |path, set, length| {
            set(path, 900_001);
            set(path, length);
        }),
        ("was replaced", |path, _, _| {
            let other = path.with_extension("other");
            std::fs::copy(path, &other).and_then(|_| std::fs::rename(&other, path)).expect("it is ours");
        }),
    ];
    for engine in ["rows", "batch"] {
        for (told, change) in ways {
            std::fs::write(&path, &text).expect("it is written");
            let mut session = Session::new(None, Console::default());
            let changed = path.clone();
            let mut context = session.context();
            context.log = Arc::new(move |_| change(&changed, &set, length));
            let evaluation = evaluate(&mut session, &format!("read {path:?} | peek 1 | count | on {engine}"), &context);
            let error = evaluation.error.expect("a part is no result");
            assert!(error.message.contains(&format!("{told} while it was read")), "{engine}: {}", error.message);
        }
    }
}

/// A link to a parent folder would match files endlessly; a name that is not UTF-8 cannot be written in a cell.
#[test]
fn patterns_of_files_follow_no_links_to_folders() {
    let folder = folder();
    std::fs::create_dir_all(folder.path().join("d/e")).expect("the folder can be made");
    for name in ["d/a.csv", "d/e/b.csv"] {
        std::fs::write(folder.path().join(name), "x\n1\n").expect("it is written");
    }
    symlink("..", folder.path().join("d/e/up")).expect("a link can be made");
    symlink("a.csv", folder.path().join("d/same.csv")).expect("a link can be made");
    for (pattern, rows) in [("d/**/*.csv", "3"), ("**/b.csv", "1"), ("d/e/up/*.csv", "2"), ("d/[ab].csv", "1")] {
        let output = run(folder.path(), &["--format", "csv", "-c", &format!("read \"{pattern}\" | count")]);
        assert_eq!(out(&output), format!("count\n{rows}\n"), "{pattern}: {}", err(&output));
    }
    let name = std::ffi::OsStr::from_bytes(b"d/\xff\x1b[2J.csv");
    std::fs::write(folder.path().join(name), "x\n1\n").expect("it is written");
    let output = run(folder.path(), &["-c", "read \"d/*.csv\" | count"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("d/\\xff") && err(&output).contains("is not UTF-8 text"), "{}", err(&output));
}

/// A key that most lines lack costs nothing where it lacks.
#[test]
fn json_lines_may_have_other_keys_each() {
    let folder = folder();
    let lines: String = (0..20_000).map(|i| format!("{{\"k{i}\":{i}}}\n")).collect();
    std::fs::write(folder.path().join("t.jsonl"), lines).expect("it is written");
    for engine in ["rows", "batch", "polars"] {
        let cells = ["read \"t.jsonl\" | count", "read \"t.jsonl\" | agg sum(k7), sum(k19999), count(k3)"];
        let arguments: Vec<&str> = cells.iter().flat_map(|cell| ["-c", cell]).collect();
        let output = run(folder.path(), &[&["--format", "csv", "--engine", engine][..], &arguments].concat());
        let lines = out(&output);
        let figures: Vec<&str> = lines.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
        assert_eq!(figures, ["20000", "7,19999,1"], "{engine}: {}", err(&output));
    }
}

/// Links are resolved again when the file is written.
#[test]
fn who_is_confined_writes_inside() {
    let (folder, outside) = (folder(), folder());
    symlink(outside.path(), folder.path().join("link")).expect("a link can be made");
    let path = folder.path().join("link/t.csv");
    let (parts, dangling) = (folder.path().join("link/t"), folder.path().join("nowhere/"));
    symlink(outside.path().join("t"), folder.path().join("nowhere")).expect("a link can be made");
    for cell in [
        format!("1..3 | write {path:?}"),
        format!("1 + 1\n%save {path:?}"),
        format!("1..3 | write {parts:?} parts 2"),
        format!("1..3 | write {dangling:?} parts 2"),
    ] {
        let mut session = Session::new(None, Console::default());
        session.confined = true;
        let context = session.context();
        let cell = cell.lines().last().expect("there is one");
        let error = evaluate(&mut session, cell, &context).error.expect("it leads outside");
        assert!(error.message.contains("leads out of the current folder"), "{}", error.message);
        assert_eq!(std::fs::read_dir(outside.path()).expect("it is there").count(), 0);
    }
    // A file that one may not write is not replaced by force.
    let kept = folder.path().join("cells.txt");
    std::fs::write(&kept, "kept\n").expect("it is written");
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o444)).expect("it is ours");
    let output = run(folder.path(), &["-c", "1 + 1", "-c", "%save cells.txt --force"]);
    assert!(err(&output).contains("is read-only") && err(&output).contains("chmod u+w"), "{}", err(&output));
}

/// Allocations of every engine, also of polars, stay within the limit; what needs more is an error of the cell.
#[test]
fn runs_stay_within_the_limit() {
    let folder = folder();
    let idle = attack::attack(folder.path(), "batch", "100MB", &["1 + 1".to_string()]).peak;
    for engine in ["batch", "rows", "polars"] {
        for cell in [
            "1..1000 | flat_map range(0, 100k) | count",
            "1..40 | fold \"x\" replace(acc, \"\", acc)",
            "1..20M | map it * 1.5 | median",
            "1..2M | count by text(it) | count",
            "1..3M | distinct | count",
            "1..9M | persist | reverse | count",
            "1..400k | map range(it, it + 20) | sort it | count",
            "1..3M | map it = text(it) | sort it | top 2",
            "1..1M | map it = range(0, 10M) | map len(it) | sum",
            "letters 3M | concat (letters 3M) | distinct | count",
            "1..2M | join (1..2M) on it == it | count",
        ] {
            let ended = attack::attack(folder.path(), engine, "100MB", &[cell.to_string(), "40 + 2".to_string()]);
            assert_eq!(attack::wrong(&ended), None, "{engine}: {cell}");
            assert!(ended.out.ends_with("42\n"), "{engine}: {cell}: {}{}", ended.out, ended.err);
            let most = idle + 125_000_000 + (64 << 20);
            let polars_own = if engine == "polars" { 100_000_000 } else { 0 };
            assert!(ended.peak <= most + polars_own, "{engine}: {cell}: {} MB", ended.peak / 1_000_000);
        }
    }
}

/// What a cell has started ends with the shell, by a signal or by force.
#[test]
fn children_end_with_the_shell() {
    for (signal, cell) in [
        (libc::SIGTERM, "!echo $$; sleep 1000; true"),
        (libc::SIGHUP, "!echo $$; sleep 1000; true"),
        (libc::SIGKILL, "!echo $$; exec sleep 1000"),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_timelab"))
            .args(["-c", cell])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("timelab starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it is text");
        let below: i32 = line.trim().parse().expect("the command says its number");
        // SAFETY: the child was not collected yet.
        unsafe { libc::kill(child.id() as i32, signal) };
        assert_eq!(child.wait().expect("it ends").signal(), Some(signal));
        // Whoever collects it now, it ends: this waits for that.
        while std::fs::read_to_string(format!("/proc/{below}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            std::thread::yield_now();
        }
    }
}

/// What the system refuses is an error of the cell too, whatever limit is set.
#[test]
fn what_the_system_refuses_is_an_error() {
    let folder = folder();
    for engine in ["batch", "rows", "polars"] {
        for cell in [
            "1..1M | map it = range(0, 10M) | map len(it) | sum",
            "1..30M | persist | reverse | count",
            "1..2M | map text(it) | distinct | sort it | count",
            "letters 9M | sort it | persist | count",
        ] {
            for memory in ["auto", "8GB"] {
                let cells = [cell.to_string(), "40 + 2".to_string()];
                let ended =
                    attack::attack_within(300 << 20, attack::NEVER_SO_LONG, folder.path(), engine, memory, &cells);
                assert_eq!(attack::wrong(&ended), None, "{engine}, {memory}: {cell}");
                assert!(ended.out.ends_with("42\n"), "{engine}, {memory}: {cell}: {}{}", ended.out, ended.err);
            }
        }
    }
}

/// Polars has its threads, or says that it cannot have them, whatever the process may map, start or open: it never
/// waits for some that could not start.
#[test]
fn polars_says_what_it_has_no_room_for() {
    let folder = folder();
    let text = "the quick brown fox jumps over the lazy dog\n".repeat(20_000);
    std::fs::write(folder.path().join("a.txt"), text).expect("it is written");
    let cells = [
        "read \"a.txt\" | words | count by lower(word) | top 3",
        "1..1M | map it * 2 | sum",
        "1..1M | sort it desc | take 2",
        "1..9 | write \"a.parquet\"",
    ];
    for mebibytes in [180, 250, 330, 420, 500, 572, 640, 900] {
        let cells = cells.map(str::to_string).into_iter().chain(["40 + 2".to_string()]).collect::<Vec<_>>();
        let space = mebibytes << 20;
        let ended = attack::attack_within(space, attack::NEVER_SO_LONG, folder.path(), "polars", "auto", &cells);
        assert_eq!(attack::wrong(&ended), None, "{mebibytes} MiB");
        assert!(ended.out.ends_with("42\n"), "{mebibytes} MiB: {}{}", ended.out, ended.err);
        assert!(!ended.err.contains("unwrap") && !ended.err.contains("Os {"), "{mebibytes} MiB: {}", ended.err);
    }
    for (limit, wanted) in [("-n 6", "polars opens 8 files of its own"), ("-s 16", "")] {
        let script = format!("ulimit {limit}; exec \"$0\" --keep-going -c '1..3 | sum | on polars' -c '40 + 2'");
        // The environment lies on the stack, too.
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_timelab")])
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .expect("sh runs");
        assert!(out(&output).ends_with("42\n"), "{limit}: {}{}", out(&output), err(&output));
        assert!(err(&output).contains(wanted), "{limit}: {}", err(&output));
    }
}

/// A text that is longer than the pieces in which it is copied is whole, on each engine and without one.
#[test]
fn long_texts_are_glued_whole() {
    let folder = folder();
    for engine in ["rows", "batch"] {
        let cell = format!("1..24 | fold \"aé\" acc + acc | map len(it), part = slice(it, 4194303, 4) | on {engine}");
        let output = run(folder.path(), &["--format", "csv", "-c", &cell]);
        assert_eq!(out(&output).lines().last(), Some("16777216,éaéa"), "{engine}: {}", err(&output));
    }
    let cells = ["let a = range(0, 300k)", "let b = a + a + a", "len(b) + b[899_999]"];
    let arguments: Vec<&str> = cells.iter().flat_map(|cell| ["-c", cell]).collect();
    assert_eq!(out(&run(folder.path(), &arguments)), "1199999\n");
}
