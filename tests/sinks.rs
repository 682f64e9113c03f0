//! Where rows go while they come: files that are written, and standard output.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use timelab::engines;

use crate::command::{err, out, timelab};

/// The formats that `--format` takes.
const FORMATS: [&str; 4] = ["table", "csv", "json", "md"];

/// The most resident memory, in KiB, that the process had by the time it ran the last cell.
fn peak(cells: &[String]) -> u64 {
    let cells: Vec<&str> = cells.iter().flat_map(|cell| ["-c", cell]).collect();
    let output = timelab(&[&cells[..], &["-c", "! grep VmHWM /proc/$PPID/status"]].concat(), "");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let out = out(&output);
    let line = out.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_else(|| panic!("{out}"));
    line.trim().trim_end_matches(" kB").parse().expect("the system tells a number")
}

#[test]
fn a_file_is_written_and_read_without_a_whole_table() {
    // As a table this is over 400 MiB.
    const MOST: u64 = 150 << 10;
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    for engine in ["batch", "rows"] {
        for name in ["t.csv", "t.jsonl", "t.parquet", "t.arrow", "t.csv.gz"] {
            let path = folder.path().join(name);
            let write = format!(
                "1..1500k | derive a = \"a\" + text(it), b = \"b\" + text(it * 7) | write {path:?} | on {engine}"
            );
            let kib = peak(&[write]);
            assert!(kib < MOST, "{engine} {name}: {kib} KiB");
            if engine == "batch" {
                let kib = peak(&[format!("read {path:?} | filter len(a) > 0 | sum it")]);
                assert!(kib < MOST, "reading {name}: {kib} KiB");
            }
        }
    }
}

#[test]
fn parts_are_written_without_a_whole_table() {
    const MOST: u64 = 150 << 10;
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    for (name, format) in [("c", "csv"), ("p", "parquet")] {
        let path = folder.path().join(name);
        let rows = "1..1500k | derive a = \"a\" + text(it), b = \"b\" + text(it * 7)";
        let kib = peak(&[format!("{rows} | write {path:?} parts 3 as {format}")]);
        assert!(kib < MOST, "{format}: {kib} KiB");
        let output = timelab(&["-c", &format!("%same ({rows}), (read \"{}/part-*\")", path.display())], "");
        assert_eq!(output.status.code(), Some(0), "{format}: {}", err(&output));
    }
}

#[test]
fn many_row_groups_are_read_back_as_they_were() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    for name in ["t.parquet", "t.arrow"] {
        let path = folder.path().join(name);
        // Texts of 100 bytes fill a group of 32 MiB a few times.
        let rows = "1..1000k | derive t = \"0123456789012345678901234567890123456789012345678901234567890123456789\" + \
                    text(it), f = if it % 3 == 0 then null else it / 7";
        let same = format!("{rows} | write {path:?}; %same ({rows}), (read {path:?})");
        let (write, same) = same.split_once("; ").expect("there are two cells");
        let output = timelab(
            &["--format", "csv", "-c", write, "-c", same, "-c", &format!("read {path:?} | skip 999990 | map it")],
            "",
        );
        assert_eq!(output.status.code(), Some(0), "{name}: {}", err(&output));
        assert!(out(&output).ends_with("\n999998\n999999\n"), "{name}: {}", out(&output));
    }
}

#[test]
fn rows_are_printed_while_they_come_and_a_closed_output_ends_the_run() {
    for engine in ["batch", "rows"] {
        for format in FORMATS {
            let mut child = Command::new(env!("CARGO_BIN_EXE_timelab"))
                .args(["--engine", engine, "--format", format, "-c", "1..1000000G"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("timelab starts");
            let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
            for _ in 0..10 {
                let mut line = String::new();
                lines.read_line(&mut line).expect("it prints text");
                assert!(line.ends_with('\n'), "{engine} {format}: {line:?}");
            }
            drop(lines);
            // It never ends by itself.
            let status = child.wait().expect("it ends");
            let mut err = String::new();
            child.stderr.take().expect("it is piped").read_to_string(&mut err).expect("it is text");
            assert_eq!((err.as_str(), status.code()), ("", Some(0)), "{engine} {format}");
        }
    }
}

#[test]
fn rows_before_an_error_stay() {
    for engine in ["batch", "rows"] {
        let cell = "1..100k | map 1000 // (it - 50k)";
        let output = timelab(&["--engine", engine, "--format", "csv", "-c", cell], "");
        assert_eq!(output.status.code(), Some(1), "{engine}");
        assert!(err(&output).contains("division by zero"), "{engine}: {}", err(&output));
        assert!(err(&output).contains("row 49999") || err(&output).contains("row 49 999"), "{}", err(&output));
        let out = out(&output);
        let rows: Vec<&str> = out.lines().skip(1).collect();
        assert!(rows.len() > 40_000 && rows.len() < 50_000, "{engine}: {}", rows.len());
        let expected = |i: usize| (1000_i64.div_euclid(i as i64 + 1 - 50_000)).to_string();
        let floor = |i: usize| ((1000.0 / (i as f64 + 1.0 - 50_000.0)).floor() as i64).to_string();
        assert!(rows[0] == expected(0) || rows[0] == floor(0), "{}", rows[0]);
        assert!(out.ends_with('\n'));
    }
}

#[test]
fn what_comes_in_parts_looks_like_what_comes_at_once() {
    for rows in [0, 1, 39, 40, 41, 42, 5000] {
        for format in FORMATS {
            let cell = format!("1..{} | derive t = \"a|\" + text(it), x = it / 3, u = null", rows + 1);
            let printed = |engine| {
                let output = timelab(&["--engine", engine, "--format", format, "-c", &cell], "");
                assert_eq!(output.status.code(), Some(0), "{engine} {format}: {}", err(&output));
                out(&output)
            };
            // `polars` gives its whole table.
            let whole = printed("polars");
            assert!(!whole.is_empty());
            for engine in ["batch", "rows"] {
                assert_eq!(printed(engine), whole, "{engine} {format} {rows}");
            }
        }
    }
}

#[test]
fn a_printed_result_is_kept_as_far_as_there_is_room() {
    for engine in engines::ALL.iter().map(|engine| engine.name()).filter(|name| *name != "native") {
        let output = timelab(
            &["--engine", engine, "--format", "csv", "-c", "1..6000 | derive a = text(it)", "-c", "| sum it"],
            "",
        );
        assert!(out(&output).ends_with("\n17997000\n"), "{engine}: {}", err(&output));
    }
    let output = timelab(&["-c", "1..36M", "-c", "_1.rows", "-c", "_1 | count"], "");
    let shown = out(&output).replace(|c: char| c != '\n' && c.is_whitespace(), " ");
    assert!(shown.contains("… 35 999 979 more rows\n35999999\n"), "figures stay: {shown}");
    assert!(err(&output).contains("the result `_1` was dropped: it takes 275 MiB"), "{}", err(&output));
    assert_eq!(output.status.code(), Some(1));
}

/// What spills, and what gives many rows for each: a file is written within the limit of the run, whatever it holds.
#[test]
fn what_does_not_fit_is_written_within_the_limit() {
    const MOST: u64 = 100 << 10;
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let texts =
        "1..400k | map k = it * 7919 % 1000003, a = format(\"text number {} of the table\", it), c = text(it * 3)";
    let right = "1..300k | map k = it * 11, z = format(\"the other {}\", it)";
    let wide = "1..6k | derive t = replace(\"0123456789012345678901234567890123456789\", \"0\", \
                \"the quick brown fox jumps over the lazy dog, and again and again and again and again\") + text(it) \
                | map k = it, t, u = replace(t, \" \", \" and more words between them, \") + text(it)";
    let columns: Vec<String> = (0..40).map(|i| format!("c{i} = it * {i}")).collect();
    let columns = format!("1..60k | map k = it, {}", columns.join(", "));
    let cases = [
        ("distinct", format!("{texts} | distinct")),
        ("by", format!("{texts} | distinct by k % 350k")),
        ("join", format!("{texts} | join ({right}) on k")),
        ("left", format!("{texts} | join left ({right}) on k")),
        ("lists", "1..150k | map k = it, l = range(0, it % 30) | distinct".to_string()),
        ("wide", format!("{wide} | distinct")),
        ("wide join", format!("{wide} | join (1..60k | map k = it * 2, z = text(it) + \" and others\") on k")),
        ("columns", format!("{columns} | distinct")),
        ("many", "1..1k | map l = range(0, 4k) | flat_map x = l".to_string()),
        ("each", "1..2k | map it % 2 | join (1..2k | map it % 2) on it".to_string()),
    ];
    for (what, rows) in cases {
        let names = match what {
            "lists" => &["t.parquet", "t.arrow", "t.jsonl"][..],
            _ => &["t.parquet", "t.arrow", "t.jsonl", "t.csv"],
        };
        for name in names {
            let path = folder.path().join(name);
            let scratch = format!("%set scratch {:?}", folder.path());
            let kib = peak(&["%set memory 60MB".to_string(), scratch, format!("{rows} | write {path:?}")]);
            assert!(kib < MOST, "{what} as {name}: {kib} KiB");
        }
        for name in ["t.parquet", "t.arrow"] {
            let path = folder.path().join(name);
            let output = timelab(&["-c", &format!("%same ({rows}), (read {path:?})")], "");
            let said = out(&output);
            assert_eq!(output.status.code(), Some(0), "{what} from {name}: {said} {}", err(&output));
        }
    }
}
