//! The edges of the program: what scripts can tell, paths, units, and where a cell ends.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use timelab::lang::split;
use timelab::show::{bytes_text, duration_text, ratio};

use crate::command::{err, out, timelab};

#[track_caller]
fn status(cells: &[&str], expected: i32, printed: &str) {
    let mut arguments = vec!["--format", "csv"];
    cells.iter().for_each(|cell| arguments.extend(["-c", cell]));
    let output = timelab(&arguments, "");
    assert_eq!(output.status.code(), Some(expected), "{cells:?}: {}{}", out(&output), err(&output));
    assert!(out(&output).ends_with(printed), "{cells:?}: {}", out(&output));
}

#[test]
fn scripts_can_tell_what_was_found() {
    status(&["%same 1..3, 1..3", "7"], 0, "7\n");
    // Nothing failed, and the cells that follow run.
    status(&["%same 1..3, 1..4", "7"], 3, "7\n");
    status(&["%same [1.0], [1.0 + 1e-6]", "%same 1..3, 1..3"], 3, "the same table\n");
    // What cannot be told is no difference.
    status(&["%same (1..4 | distinct | take 1), 1..3", "7"], 0, "7\n");
    // A failure counts more.
    status(&["%same 1..3, 1..4", "nothing", "7"], 1, "");
}

#[test]
fn scripts_can_tell_what_variants_did() {
    let differ = "%compare --for 100ms:\n  a: 1..3 | sum\n  b: 1..4 | sum";
    let fails = "%compare --for 100ms:\n  a: 1..3 | sum\n  b: [1] | map it // 0";
    status(&[differ, "7"], 3, "7\n");
    status(&[fails, "7"], 1, "7\n");
    status(&[fails, differ, "7"], 1, "7\n");
    status(&[differ, fails, "7"], 1, "7\n");
    status(&["%compare --for 100ms:\n  a: 1..3 | sum\n  b: 1..3 | agg sum = sum(it)", "7"], 0, "7\n");
}

#[test]
fn sums_agree_within_a_share_of_what_was_summed() {
    status(&["%same [0.1, 0.2, -0.3] | sum"], 0, "the same table\n");
    status(
        &["%same (1..5 | map k = it % 2, x = if it < 3 then 0.1 * it else -0.1 * (it - 2) \
             | agg s = sum(x), m = mean(x) by k | map k, m, t = s | sort by k) | on polars"],
        0,
        "",
    );
    let cells = [
        "%same ([0.1, 0.2, -0.3] | sum), ([0.3, 0.0, -0.3] | sum)",
        "%same ([0.1, 0.2, -0.3, 0.0] | mean | map m = mean), ([0.1, 0.2, -0.3, 0.0] | agg m = mean(it))",
        "%same ([0.1, 0.2, -0.3] | agg s = sum(it), n = count() | filter n > 1 | take 5), \
         ([0.3, 0.0, -0.3] | agg s = sum(it), n = count())",
    ];
    cells.iter().for_each(|cell| status(&[cell], 0, "the same table\n"));
    // Also after stages that bring other tables in.
    let (here, there) = ("[0.1, 0.2, -0.3]", "[0.3, 0.0, -0.3]");
    let summed = |list: &str| format!("{list} | enumerate | agg s = sum(it) by k = row // 9");
    for stages in [
        "sort by k | enumerate | map s, row",
        "join (1..3 | map k = it - 1, t = it) on k | map t, k, s",
        "join left ([[0, 7]] | map k = it[0], v = it[1]) on k",
        "join semi (0..3 | map k = it) on k",
        "concat ([5.0] | map k = 1, s = it) | sort by k",
        "sort by k | zip ([1] | map z = it) | map z, s",
        "distinct",
        "map s, k | distinct | sort by k | enumerate | join (0..1 | map k = it) on k | sort by k | zip ([2])",
    ] {
        let cell = format!("%same ({} | {stages}), ({} | {stages})", summed(here), summed(there));
        status(&[&cell], 0, "the same table\n");
    }
    // The sum stands on the other side.
    for stage in [
        "join (SUM) on k",
        "concat (SUM | map k, s)",
        "zip (SUM | sort by k | map z = s)",
        "join left (SUM) on k | sort by k | enumerate",
    ] {
        let of = |list: &str| format!("[[0, 1]] | map k = it[0], s = 0.5 | {}", stage.replace("SUM", &summed(list)));
        status(&[&format!("%same ({}), ({})", of(here), of(there))], 0, "the same table\n");
        let off = of("[0.1, 0.2, -0.2999]");
        status(&[&format!("%same ({}), ({off})", of(here))], 3, "");
    }
    // A difference beyond that share, what is not a sum, and what a sum has become.
    let cells = [
        "%same ([0.1, 0.2, -0.3] | sum), ([0.1, 0.2, -0.2999] | sum)",
        "%same [1e-17], [2e-17]",
        "%same [1.0, 1e-17], [1.0, 2e-17]",
        "%same ([0.1, 0.2, -0.3] | agg s = sum(it) | map s = s * 1e18), \
         ([0.3, 0.0, -0.3] | agg s = sum(it) | map s = s * 1e18)",
    ];
    cells.iter().for_each(|cell| status(&[cell], 3, ""));
}

/// An engine that ends with an error where the reference has a table is a failure, not a difference.
#[test]
fn an_engine_that_fails_fails_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let linker = folder.path().join("cc");
    std::fs::write(&linker, "#!/bin/sh\ntest \"$1\" = --version\n").expect("it is written");
    std::fs::set_permissions(&linker, std::fs::Permissions::from_mode(0o755)).expect("it may be run");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["-c", "%same 1..3 | map it * 2", "-c", "7"])
        .env("PATH", path)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{}{}", out(&output), err(&output));
    assert!(out(&output).contains("✗ native failed: "), "{}", out(&output));
    assert!(out(&output).contains("rows and batch: ✓ the same table"), "{}", out(&output));
}

#[test]
fn sums_keep_what_rounding_loses() {
    for engine in ["rows", "batch", "native"] {
        let cell = "1..11 | map x = 0.1 | agg s = sum(x), m = mean(x) | filter s == 1.0 and m == 0.1 | count";
        let output = timelab(&["--format", "csv", "--engine", engine, "-c", cell], "");
        assert_eq!(out(&output), "count\n1\n", "{engine}: {}", err(&output));
    }
    // Where they are rounded, it says so.
    let output = timelab(&["-c", "%explain 1..3 | map x = 0.1 | agg s = sum(x)"], "");
    assert!(out(&output).contains("sums and means of floats have the rounding errors of polars"), "{}", out(&output));
}

#[test]
fn a_tilde_is_the_home_folder_wherever_a_path_is_typed() {
    let home = tempfile::tempdir().expect("the temporary folder can be written");
    let here = tempfile::tempdir().expect("the temporary folder can be written");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
        command.args(arguments).current_dir(&here).env("HOME", home.path()).stdin(Stdio::null());
        command.output().expect("timelab runs")
    };
    let cells = [
        "1..3 | write \"~/t.csv\"",
        "%save ~/cells.txt",
        "read \"~/t*.csv\" | sum",
        "%cd ~/",
        "read \"t.csv\" | count",
    ];
    let mut arguments = vec!["--format", "csv"];
    cells.iter().for_each(|cell| arguments.extend(["-c", cell]));
    let output = run(&arguments);
    let printed = out(&output);
    assert!(printed.contains("sum\n3\n") && printed.ends_with("count\n2\n"), "{printed}{}", err(&output));
    assert!(home.path().join("t.csv").exists() && home.path().join("cells.txt").exists());
    assert!(std::fs::read_dir(&here).is_ok_and(|mut entries| entries.next().is_none()), "nothing is called `~`");
    // It lies outside of the current folder: what writes there is asked about.
    let script = |cell: &str| {
        let path = home.path().join("script.txt");
        std::fs::write(&path, cell).expect("it can be written");
        run(&[Path::new(&path).to_str().expect("UTF-8")])
    };
    let output = script("1..3 | write \"~/u.csv\"\n");
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("--trust"), "{}", err(&output));
    let output = script("read \"~/t.csv\" | sum\n");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn units_change_before_their_numbers_are_too_long() {
    let times = [
        (999.4e-9, "999 ns"),
        (999.6e-9, "1.00 µs"),
        (9.994e-6, "9.99 µs"),
        (9.996e-6, "10.0 µs"),
        (99.96e-6, "100 µs"),
        (999.6e-6, "1.00 ms"),
        (0.9996, "1.00 s"),
        (1.0, "1.00 s"),
        (119.4, "119 s"),
        (119.6, "1.99 min"),
        (1e6, "11.6 days"),
        (0.0, "0 ns"),
    ];
    times.iter().for_each(|(seconds, text)| assert_eq!(duration_text(*seconds), *text, "{seconds}"));
    let sizes = [
        (1023.4, "1023 B"),
        (1023.6, "1.00 KiB"),
        (1024.0, "1.00 KiB"),
        (10.0 * 1024.0 - 1.0, "10.0 KiB"),
        (1024.0 * 1024.0 - 1.0, "1.00 MiB"),
        (99.99 * 1024.0, "100 KiB"),
        (1023.7 * 1024.0 * 1024.0, "1.00 GiB"),
        (5000.0 * 1024f64.powi(4), "5000 TiB"),
    ];
    sizes.iter().for_each(|(bytes, text)| assert_eq!(bytes_text(*bytes), *text, "{bytes}"));
    let ratios = [
        (9.9996, "10.0"),
        (99.96, "100"),
        (0.9999, "1.000"),
        (999.9, "1000"),
        (0.0996, "0.0996"),
        (0.09996, "0.100"),
        (0.0994, "0.0994"),
    ];
    ratios.iter().for_each(|(number, text)| assert_eq!(ratio(*number), *text, "{number}"));
    // Near every border, from both sides.
    for exponent in -9..6 {
        for step in 0..2000 {
            let seconds = 10f64.powi(exponent) * (0.9 + f64::from(step) / 10_000.0);
            let text = duration_text(seconds);
            let number = text.split(' ').next().expect("it has a number");
            assert!(!(text.starts_with("1000 ") || number.len() > 4 && seconds < 7000.0), "{seconds}: {text}");
        }
    }
}

#[test]
fn quotes_and_brackets_in_texts_end_no_cell() {
    #[track_caller]
    fn check(text: &str, cells: &[&str]) {
        assert_eq!(split(text), cells, "{text}");
    }
    let first = "[\"x\"] | filter it == \"b\" or \"\\\"(\" == it";
    check(&format!("{first}\n1..3 | sum"), &[first, "1..3 | sum"]);
    let raw = "[r\"\\\", \"(\", xr, \"(\"]";
    check(&format!("{raw}\n2"), &[raw, "2"]);
    check("for\"(\\\"\"\n1", &["for\"(\\\"\"", "1"]);
    // The colon that opens a block stands before a comment.
    let block = "%compare [\"a\\\"#\"]: # comment\n  a: count";
    check(block, &[block]);
    let output = timelab(&["--format", "csv", "-c", &format!("{first}\n1..3 | sum")], "");
    assert_eq!(out(&output), "it\nsum\n3\n", "{}", err(&output));
    let output = timelab(&["-c", "%timeit --for 10ms --setup (let s = \")(\") s"], "");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let output = timelab(&["--format", "csv", "-c", "let x = \"\\\"!\"; let y = !echo a; y"], "");
    assert_ne!(output.status.code(), None, "{}", err(&output));
}
