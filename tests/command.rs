//! The program as a whole: arguments, standard input, exit statuses, formats.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use timelab::engines;

pub fn timelab(arguments: &[&str], input: &str) -> Output {
    fed(arguments, input.as_bytes())
}

/// The same with bytes on standard input.
pub fn fed(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("timelab starts");
    // A program that ends without reading its input closes it.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    child.wait_with_output().expect("timelab ends")
}

pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_cell_prints_its_table_and_its_cost_apart() {
    let output = timelab(&["--format", "csv", "-c", "1..4 | map it * it"], "");
    assert_eq!(out(&output), "it\n1\n4\n9\n");
    assert!(err(&output).starts_with("3 rows · "), "{}", err(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn cells_share_a_session_and_stop_at_the_first_that_fails() {
    let cells = ["-c", "let n = 3", "-c", "n + x", "-c", "n"];
    let output = timelab(&cells, "");
    assert_eq!((out(&output).as_str(), output.status.code()), ("", Some(1)));
    let going = [&["--keep-going"], &cells[..]].concat();
    let output = timelab(&going, "");
    assert_eq!((out(&output).as_str(), output.status.code()), ("3\n", Some(1)));
}

/// Rows without an end: a drawn table shows the first ones, other formats go on as long as somebody reads.
#[test]
fn rows_without_an_end_are_shown_up_to_a_point() {
    let output = timelab(&["-c", "1.. | filter it % 2 == 0", "-c", "_ | sum"], "");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let shown = out(&output);
    assert!(shown.contains("│ 80 │") && !shown.contains("│ 82 │"), "{shown}");
    assert!(shown.contains("the rows have no end; these are the first 40") && shown.contains("1640"), "{shown}");
    let script = "\"$0\" --format csv -c '1..' | head -5000 | tail -1";
    let output = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_timelab")]).output().expect("sh runs");
    assert_eq!(out(&output), "4999\n");
}

#[test]
fn standard_input_is_split_into_cells() {
    let input = "# three cells\nlet t = 1..4\n  | map it * 2\n\nt\n| sum\n(1 +\n2)\n";
    let output = timelab(&["--format", "csv"], input);
    assert_eq!((out(&output).as_str(), output.status.code()), ("sum\n12\n3\n", Some(0)));
}

#[test]
fn one_argument_may_hold_several_cells() {
    let output = timelab(&["-c", "let a = 2\na * 3\n\n# done\n"], "");
    assert_eq!(out(&output), "6\n");
}

#[test]
fn formats() {
    let cell = r#"[1, 2] | derive t = "a|b", x = if it == 1 then 0.5 else null"#;
    let written = |format| out(&timelab(&["--format", format, "-c", cell], ""));
    assert_eq!(written("csv"), "it,t,x\n1,a|b,0.5\n2,a|b,\n");
    assert_eq!(written("md"), "| it | t | x |\n|---:|---|---:|\n| 1 | a\\|b | 0.5 |\n| 2 | a\\|b |  |\n");
    let json: serde_json::Value = serde_json::from_str(&written("json")).expect("it is json");
    assert_eq!(json, serde_json::json!([{"it": 1, "t": "a|b", "x": 0.5}, {"it": 2, "t": "a|b", "x": null}]));
    let table = "┌────┬─────┬─────┐\n│ it │ t   │   x │\n├────┼─────┼─────┤\n│  1 │ a|b │ 0.5 │\n│  2 │ a|b │   · │\n\
                 └────┴─────┴─────┘\n";
    assert_eq!(written("table"), table);
}

#[test]
fn hidden_rows_and_columns_are_counted() {
    let output = timelab(&["-c", "1..1001"], "");
    assert!(out(&output).ends_with("… 980 more rows\n"), "{}", out(&output));
    let wide = "1..3 | map a = \"0123456789012345678901234567890123456789\", b = a0, c = 1".replace("b = a0, ", "");
    let output = Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["-c", &wide.replace("c = 1", "b = \"xxxxxxxxxxxxxxxxxxxxxxxxxx\", c = 1")])
        .env("COLUMNS", "50")
        .output()
        .expect("timelab starts");
    assert!(out(&output).ends_with("… 2 more columns: b, c\n"), "{}", out(&output));
    assert!(out(&output).lines().all(|line| line.chars().count() <= 50), "{}", out(&output));
}

#[test]
fn a_bad_command_line_is_status_2() {
    for arguments in [&["--fromat", "csv"][..], &["--engine", "nope"], &["--format", "xml"], &["extra"]] {
        assert_eq!(timelab(arguments, "").status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(timelab(&["--version"], "").status.code(), Some(0));
    assert!(out(&timelab(&["--help"], "")).contains("--keep-going"));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let error = |arguments: &[&str]| err(&timelab(&[arguments, &["-c", "x"]].concat(), ""));
    assert!(!error(&[]).contains('\x1b'));
    assert!(error(&["--color", "always"]).contains('\x1b'));
}

#[test]
fn an_output_that_nobody_reads_ends_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["--format", "csv", "-c", "1..300000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("timelab starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("timelab ends");
    assert_eq!((err(&output).as_str(), output.status.code()), ("", Some(0)));
}

/// Long work is stopped by the signal that Ctrl-C sends, on every engine, with status 130.
#[test]
fn ctrl_c_stops_a_cell_with_status_130() {
    for engine in engines::ALL.iter().map(|engine| engine.name()) {
        let child = Command::new(env!("CARGO_BIN_EXE_timelab"))
            .args(["--engine", engine, "-c", "!echo ready", "-c", "1..4G | map it % 7 + it // 3 | sum"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("timelab starts");
        let mut child = child;
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().expect("it is piped"), &mut ready)
            .expect("the first cell runs");
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
        assert!(kill.success());
        let status = child.wait().expect("timelab ends");
        assert_eq!(status.code(), Some(130), "{engine}");
    }
}

#[test]
fn deep_and_long_cells_are_errors_not_crashes() {
    let deep = "(".repeat(100_000) + "1" + &")".repeat(100_000);
    let output = timelab(&[], &deep);
    assert!(err(&output).contains("nested more than 500 levels deep"), "{}", err(&output));
    let minus = "- ".repeat(100_000) + "1";
    assert!(err(&timelab(&[], &minus)).contains("nested more than 500 levels deep"));
    let long = "1".to_string() + &" + 1".repeat(200_000);
    assert_eq!(out(&timelab(&[], &long)), "200001\n");
    let column = "[1] | map it".to_string() + &" + 1".repeat(100_000) + " | on rows";
    assert_eq!(out(&timelab(&["--format", "csv"], &column)), "it\n100001\n");
    let huge = "1".to_string() + &" + 1".repeat(400_000);
    assert!(err(&timelab(&[], &huge)).contains("the limit is 1048576"));
    let choice = "if it == 1 then 1 else ".repeat(20_000);
    assert_eq!(out(&timelab(&["--format", "csv"], &format!("[1] | map {choice} 2 | on rows"))), "it\n1\n");
}

#[test]
fn a_line_may_be_long() {
    let path = std::env::temp_dir().join(format!("timelab-long-{}.txt", std::process::id()));
    std::fs::write(&path, "x".repeat(10 << 20) + "\ny\n").expect("the temporary folder can be written");
    let cell = format!("read {path:?} | map len(line)");
    for engine in crate::lab::engine_names() {
        assert_eq!(out(&timelab(&["--format", "csv", "--engine", engine, "-c", &cell], "")), "line\n10485760\n1\n");
    }
    std::fs::remove_file(&path).expect("it was written");
}

#[test]
fn cells_are_saved_and_run_again() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let path = folder.path().join("my cells.txt");
    let save = format!("%save {path:?}");
    let cells = ["-c", "1..4 | map it * it", "-c", "nothing", "-c", "| sum", "-c", "%who", "-c", &save];
    let output = timelab(&[&["--keep-going", "--format", "csv"], &cells[..]].concat(), "");
    assert!(out(&output).ends_with(&format!("3 cells in {path:?}\n")), "{}", out(&output));
    let saved = std::fs::read_to_string(&path).expect("it was written");
    assert_eq!(saved, "1..4 | map it * it\n_ | sum\n%who\n");
    let again = timelab(&["-c", "1", "-c", &save], "");
    assert!(err(&again).contains("already exists"), "{}", err(&again));
    let third = timelab(&["-c", "let x = 2", "-c", "x + 3", "-c", "0", "-c", &format!("{save} --force 2-3")], "");
    assert_eq!(third.status.code(), Some(0), "{}", err(&third));
    assert_eq!(std::fs::read_to_string(&path).expect("it was written"), "x + 3\n0\n");
    let run = timelab(&["-c", "let x = 40", "-c", &format!("%run {path:?}"), "-c", "_3"], "");
    assert_eq!(out(&run), "43\n0\n43\n", "{}", err(&run));
}

#[test]
fn names_are_listed_as_they_are_typed() {
    let long = format!("let long = \"{}\"", "x".repeat(50));
    let output = timelab(&["--format", "csv", "-c", &long, "-c", "let n = 1", "-c", "%who", "-c", "%whos"], "");
    assert!(out(&output).starts_with("name,kind,rows,bytes\nlong,value,,\nn,value,,\nname,"), "{}", out(&output));
    assert!(out(&output).contains(&format!("text: \"\"{}…", "x".repeat(38))), "{}", out(&output));
}

#[test]
fn magics_of_rust_say_what_they_need() {
    for (cell, told) in
        [("%rust dep", "%rust dep NAME [VERSION]"), ("%rust reset now", "unexpected text after `%rust reset`")]
    {
        let output = timelab(&["-c", cell], "");
        assert!(err(&output).contains(told), "{}", err(&output));
    }
}

#[test]
fn cells_can_be_searched() {
    let cells = ["-c", "1 + 1", "-c", "[1,\n2] | sum", "-c", "nothing", "-c", "%history", "-c", "%history --find SUM"];
    let output = timelab(&[&["--keep-going", "--format", "csv"], &cells[..]].concat(), "");
    let all = "[1]› 1 + 1\n[2]› [1,\n     2] | sum\n[3]✗ nothing\n";
    assert_eq!(out(&output), format!("2\nsum\n3\n{all}› [1,\n  2] | sum\n"));
}

#[test]
fn a_file_of_cells_ends_at_the_first_that_fails() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let path = folder.path().join("cells.txt");
    std::fs::write(&path, "1 + 1\nnothing\n3\n4\n").expect("it can be written");
    let run = format!("%run {path:?}");
    let output = timelab(&["-c", &run, "-c", "5"], "");
    assert_eq!((out(&output).as_str(), output.status.code()), ("2\n", Some(1)));
    assert!(err(&output).ends_with("2 more cells were not run\n"), "{}", err(&output));
    std::fs::write(&path, format!("1\n{run}\n")).expect("it can be written");
    let output = timelab(&["-c", &run], "");
    assert!(err(&output).contains("check whether a file runs itself"), "{}", err(&output));
    assert_eq!(output.status.code(), Some(1));
}

/// Cells that can do anything, however they are written. None of them needs a compiler: a file with one does not run.
const POWERFUL: &[&str] = &[
    "!touch ran",
    "# first\n!touch ran",
    "let x = !touch ran",
    "let a = 1; let x =   !touch ran",
    "%time let x = !touch ran",
    "rust { 1 }",
    "rust\n  { 1 }",
    "1..3 | concat (rust { vec![1] })",
    "1..3 | tee a: (count), b: (join (rust { vec![1] }) on it)",
    "(rust { 1 }) | count",
    "let n = 1 ; let y = rust with n { n }",
    "fn f(x: int) -> int = rust { x }",
    "%%rust\n1\n%%",
    "%rust dep something 1",
    "%time rust { 1 }",
    "%timeit -n 1 -r 2 rust { 1 }",
    "%timeit -n 1 -r 2 --setup (let n = rust { 1 }) 1..3 | count",
    "%timeit -n 1 -r 2 --setup \"let n = !touch ran\" 1..3 | count",
    "%%timeit -n 1 -r 2 let x = !touch ran\n1..3 | count\n%%",
    "%%timeit -n 1 -r 2\nlet x = rust { 1 }\nx\n%%",
    "%compare:\n  a: 1..3 | count\n  b: rust { 3 }",
    "%compare n in 1..4: rust with n { n }",
    "%same rust { 3 }, 1..3 | count",
    "%explain 1..3 | zip (rust { vec![1] })",
    "%run --trust other.txt",
    "1..3 | write \"/tmp/ran.csv\"",
    "1..3 | write \"a/../../ran.csv\"",
    "1..3 | tee a: (count), b: (write \".hidden\" as text)",
    "%cd ..",
    "%save ../ran.txt",
    // It cannot be read, but holds the words.
    "rust { 1 } rust",
];

const HARMLESS: &[&str] = &[
    "1..3 | write \"./out.csv\"",
    "1..3 | filter it != 2 | count",
    "# rust { 1 } and !touch ran",
    "\"rust { 1 } = !touch\"",
    "let rusty = 1",
    "%rust",
    "rust?",
    "%run other.txt",
];

#[test]
fn a_file_with_rust_or_commands_wants_trust() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
        command.args(arguments).current_dir(folder.path()).stdin(Stdio::null());
        command.output().expect("timelab runs")
    };
    std::fs::write(folder.path().join("other.txt"), "!touch ran\n").expect("it can be written");
    for cell in POWERFUL {
        std::fs::write(folder.path().join("cells.txt"), format!("6 * 7\n{cell}\n")).expect("it can be written");
        for arguments in [&["cells.txt"][..], &["-c", "%run cells.txt"], &["-c", "%run ./cells.txt"]] {
            let output = run(arguments);
            assert_eq!((out(&output).as_str(), output.status.code()), ("", Some(1)), "{cell}");
            assert!(
                err(&output).contains("contains Rust, commands or writing elsewhere, such as: "),
                "{cell}: {}",
                err(&output)
            );
        }
    }
    for cell in HARMLESS {
        std::fs::write(folder.path().join("cells.txt"), format!("6 * 7\n{cell}\n")).expect("it can be written");
        let output = run(&["cells.txt"]);
        assert!(out(&output).starts_with("42\n"), "{cell}: {}", err(&output));
        assert!(!err(&output).contains("\"cells.txt\" holds"), "{cell}: {}", err(&output));
    }
    assert!(!folder.path().join("ran").exists());
    std::fs::write(folder.path().join("cells.txt"), "6 * 7\n!touch ran\n").expect("it can be written");
    let refused = run(&["cells.txt"]);
    assert!(err(&refused).contains("timelab --trust \"cells.txt\""), "{}", err(&refused));
    let trusted = run(&["--trust", "cells.txt"]);
    assert_eq!((out(&trusted).as_str(), trusted.status.code()), ("42\n", Some(0)), "{}", err(&trusted));
    assert!(folder.path().join("ran").exists());
    // What a trusted file runs is a file of its own.
    std::fs::write(folder.path().join("cells.txt"), "!echo one\n%run other.txt\n").expect("it can be written");
    let nested = run(&["--trust", "cells.txt"]);
    assert_eq!((out(&nested).as_str(), nested.status.code()), ("one\n", Some(1)), "{}", err(&nested));
    assert!(err(&nested).contains("%run --trust \"other.txt\""), "{}", err(&nested));
}

#[test]
fn a_file_of_cells_is_an_argument() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let path = folder.path().join("cells.txt");
    std::fs::write(&path, "#!/usr/bin/env timelab\nlet n = 2\nread \"-\" | count\nnothing\nn + 1\n")
        .expect("it can be written");
    let path = path.to_str().expect("it is text");
    let output = timelab(&["--format", "csv", path], "a\nb\n");
    assert_eq!((out(&output).as_str(), output.status.code()), ("count\n2\n", Some(1)), "{}", err(&output));
    let output = timelab(&["--keep-going", "--format", "csv", path], "a\nb\n");
    assert_eq!((out(&output).as_str(), output.status.code()), ("count\n2\n3\n", Some(1)), "{}", err(&output));
    for wrong in [&["--trust"][..], &["--trust", "-c", "1"], &["-c", "1", path], &[path, path]] {
        assert_eq!(timelab(wrong, "").status.code(), Some(2), "{wrong:?}");
    }
    assert!(out(&timelab(&["--help"], "")).contains("--trust"));
}

#[test]
fn a_plan_keeps_its_files_when_the_folder_changes() {
    let cells = ["-c", "let lines = read \"samples/iso3166.tab\" as text | count", "-c", "%cd samples", "-c", "lines"];
    let output =
        timelab(&[&["--format", "csv"], &cells[..], &["-c", "read \"iso3166.tab\" as text | count"]].concat(), "");
    assert!(out(&output).ends_with("/samples\ncount\n279\ncount\n279\n"), "{}{}", out(&output), err(&output));
    assert!(err(&timelab(&["-c", "%cd no-such-folder"], "")).contains("cannot change to"));
}

#[test]
fn an_editor_needs_somebody_who_types() {
    assert!(err(&timelab(&["-c", "%edit"], "")).contains("this session has none"));
}

#[test]
fn large_results_are_dropped_and_say_so() {
    let cells = ["-c", "1..20M", "-c", "1..21M", "-c", "_1.rows", "-c", "_2 | count", "-c", "_1 | count"];
    let output = timelab(&[&["--format", "md", "--engine", "polars"], &cells[..]].concat(), "");
    assert!(err(&output).contains("the result `_1` was dropped: it takes 153 MiB"), "{}", err(&output));
    assert!(out(&output).contains("\n19999999\n"), "figures stay");
    assert!(out(&output).ends_with("| 20999999 |\n"), "a newer one is there");
    let output = timelab(&["--format", "md", "-c", "1..40M", "-c", "| count"], "");
    assert!(err(&output).contains("the result `_` was dropped"), "{}", err(&output));
}

#[test]
fn the_whole_last_table_is_written() {
    let cell = "1..101 | map n = it, text = \"0123456789012345678901234567890123456789012345678901234567890123456789\"";
    let output = timelab(&["-c", cell, "-c", "%last"], "");
    let whole = out(&output).split_once("more rows\n").map(|(_, whole)| whole.to_string()).unwrap_or_default();
    assert_eq!(whole.lines().count(), 104, "{whole}");
    assert!(
        whole.lines().nth(103 - 1).is_some_and(|line| line.contains("100 │ 0123456789") && line.contains("6789 │"))
    );
}

#[test]
fn memory_can_be_limited() {
    let cells = ["-c", "%set memory 100MB", "-c", "1..50M | sort by it desc | on rows"];
    assert!(err(&timelab(&cells, "")).contains("needs more memory than it may have"));
}

#[test]
fn timing_can_be_left_out() {
    let output = timelab(&["-c", "%set timing off", "-c", "1..4 | sum"], "");
    assert_eq!(err(&output), "");
}

/// The program with a person's folder of its own.
fn with_home(home: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(arguments)
        .env("HOME", home)
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .expect("timelab runs")
}

#[test]
fn a_configuration_is_written_once_and_looked_at() {
    let home = tempfile::tempdir().expect("the temporary folder can be written");
    let missing = with_home(home.path(), &["config"]);
    assert!(out(&missing).contains("config --write"), "{}", out(&missing));
    let output = with_home(home.path(), &["config", "--write"]);
    let path = home.path().join(".config/timelab/config.toml");
    assert_eq!(out(&output), format!("{}\n", path.display()));
    let text = std::fs::read_to_string(&path).expect("it was written");
    assert!(text.contains("# engine = \"rows\"\n") && text.contains("# keys = \"vi\"\n"), "{text}");
    assert_eq!(with_home(home.path(), &["config"]).status.code(), Some(0));
    assert_eq!(with_home(home.path(), &["config", "--write"]).status.code(), Some(1));
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), text);
    // Every setting of it is good.
    let set = text.lines().map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line));
    std::fs::write(&path, set.collect::<Vec<_>>().join("\n")).expect("it can be written");
    let good = with_home(home.path(), &["config"]);
    assert!(out(&good).ends_with(": no errors\n"), "{}", err(&good));
    for (line, told) in [
        ("sede = 7", "did you mean `seed`?"),
        ("seed = \"x\"", "a seed must be an int"),
        ("seed = 1.5", "a text or an int"),
        ("seed 7", "a line is: name"),
    ] {
        std::fs::write(&path, format!("theme = \"light\"\n{line}\n")).expect("it can be written");
        let output = with_home(home.path(), &["config"]);
        assert!(err(&output).contains(told) && err(&output).contains(&format!("│ {line}")), "{}", err(&output));
        assert_eq!(output.status.code(), Some(1));
    }
    // Scripts do not depend on it.
    assert_eq!(with_home(home.path(), &["-c", "1 + 1"]).status.code(), Some(0));
}

#[test]
fn shells_get_completions_of_the_command_line() {
    for shell in ["bash", "zsh", "fish"] {
        let script = out(&timelab(&["completions", shell], ""));
        assert!(script.contains("timelab") && script.contains("keep-going"), "{shell}");
    }
    assert_eq!(timelab(&["completions", "cmd"], "").status.code(), Some(2));
}

/// Loops of every kind: each is compiled once for each level.
const LOOPS: &str = r#"
1..5000 | map it * 3 + 1 | filter it % 7 == 1 or it // 9 > 400 | agg sum(it), min(it), max(it), count()
random 3000 | map x = it * 2 - 1, y = -it | filter x < y and not x == 0.5 | agg sum(x), std(x), max(y), median(x)
random 3000 | map x = it * 2 - 1, y = -it | filter x < y and not x == 0.5 | agg mean(y), min(x)
1..3000 | map a = 3000000000 * it, b = it - 1500 | map q = a * b, r = a % 1000003 | agg sum(q), sum(r)
1..3000 | map a = 3000000000 * it, b = it - 1500 | map d = a // 77, n = abs(-b) | agg sum(d), sum(n)
1..3000 | map if it % 3 == 0 then it else if it % 5 == 0 then null else -it | agg sum(it), count(it)
read "samples/kjv.txt" | words | count by lower(word) | top 20
read "samples/words.txt" | map n = len(upper(line)), line | sort by n desc, line | take 20
read "samples/zone1970.tab" as csv sep "	" header false ragged true | count
random 4000 seed 3 | map k = int(it * 50), x = sqrt(it) | agg sum(x), n_distinct(k) by k | sort by k | top 9 by sum
"#;

#[test]
fn every_level_of_the_loops_gives_the_same() {
    let run = |engine: &str, level: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
        command.args(["--format", "csv", "--engine", engine]).current_dir(env!("CARGO_MANIFEST_DIR"));
        for cell in LOOPS.lines().filter(|cell| !cell.is_empty()) {
            command.args(["-c", cell]);
        }
        let output = command.env("TIMELAB_SIMD", level).output().expect("timelab runs");
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    };
    let numbers = |text: &str| -> Vec<String> {
        // Sums of floats differ in their last digits.
        let rounded = |field: &str| field.parse::<f64>().map_or(field.to_string(), |x| format!("{x:.9e}"));
        text.split([',', '\n']).map(rounded).collect()
    };
    let expected = numbers(&run("rows", ""));
    for level in ["portable", "avx2", ""] {
        assert_eq!(numbers(&run("batch", level)), expected, "{level}");
    }
}

#[test]
fn a_plan_that_writes_is_explained_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let path = folder.path().join("x.csv");
    for last in [format!("write {path:?}"), format!("tee a: (sum), b: (filter it > 1 | write {path:?})")] {
        let output = timelab(&["-c", &format!("%explain 1..3 | {last}")], "");
        assert!(output.status.success() && out(&output).contains("a loop over range 1..3"), "{}", err(&output));
    }
    assert!(!path.exists());
}

#[test]
fn help_about_compare_begins_with_one_line_and_has_headings() {
    let output = out(&timelab(&["-c", "%help compare"], ""));
    let lines: Vec<&str> = output.lines().collect();
    assert!(
        lines[0].starts_with("%compare: shows which of several variants is faster") && lines[1].is_empty(),
        "{output}"
    );
    for heading in ["Usage", "Variants", "Verdicts", "Baselines", "Examples"] {
        assert!(lines.contains(&heading), "{heading}: {output}");
    }
    let magics = out(&timelab(&["-c", "%help magics"], ""));
    assert!(magics.contains("shows which of several variants is faster") && !magics.contains("Verdicts"), "{magics}");
}

/// Programs get one array, or one table, of a cell; what is said about it goes to standard error.
#[test]
fn programs_get_one_table_of_a_cell() {
    let race = "%%race --live off x = 0\nup: x = x + 1\ndown: x = x - 1\ncheck x == 0\n%%";
    for cell in [race, "%magnitudes", "%structures growth vec push_back --n 2k"] {
        let json = out(&timelab(&["--format", "json", "-c", cell], ""));
        let rows: serde_json::Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        assert!(rows.as_array().is_some_and(|rows| !rows.is_empty()), "{cell}: {json}");
        let csv = out(&timelab(&["--format", "csv", "-c", cell], ""));
        assert_eq!(csv.lines().count(), rows.as_array().map_or(0, Vec::len) + 1, "{cell}: {csv}");
    }
}

/// Two cells with bodies in one file need a line between them, and the error says which.
#[test]
fn a_body_that_runs_into_the_next_cell_says_what_ends_it() {
    let two = "%%race --live off x = 0\nup: x = x + 1\n\n\n%%race y = 0\nup: y = 1\n";
    let output = timelab(&[], two);
    assert!(err(&output).contains("a line `%%` ends the body"), "{}", err(&output));
}
