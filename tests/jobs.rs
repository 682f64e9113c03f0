//! Jobs that run beside other cells.

use crate::command::{err, out, timelab};
use crate::lab::{Lab, engine_names};

/// So many rows that no machine goes through them in a test.
const LONG: &str = "1..9000000000000 | filter it < 0 | count";

#[track_caller]
fn says(lab: &mut Lab, cell: &str, expected: &str) {
    let printed = lab.cell(cell);
    assert_eq!((printed.out.as_str(), printed.err.as_str()), (expected, ""), "{cell}");
}

#[test]
fn any_use_of_a_job_waits_for_its_table() {
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        says(&mut lab, "let f = spawn 1..1000 | map it * 2", "");
        says(&mut lab, "wait f | sum", "sum\n999000\n");
        says(&mut lab, "f | count", "count\n999\n");
        says(&mut lab, "let g = wait f; g | take 1", "it\n2\n");
        says(&mut lab, "[4] | join f on it", "it\n4\n");
        says(&mut lab, "let total = spawn f | sum; [1] | map it + total", "it\n999001\n");
        says(&mut lab, "let h = f | max; let f = 3; h", "max\n1998\n");
        says(&mut lab, "let a = spawn 3; wait a", "it\n3\n");
    }
}

#[test]
fn the_error_of_a_job_comes_with_its_use() {
    let mut lab = Lab::new("batch");
    says(&mut lab, "let f = spawn [1, 0] | map 7 // it", "");
    for cell in ["wait f", "f | count", "[1] | map it + f", "let g = wait f"] {
        let printed = lab.cell(cell);
        assert!(printed.err.contains("division by zero"), "{cell}: {}", printed.err);
        assert!(printed.err.contains("spawn [1, 0] | map 7 // it"), "{cell}: {}", printed.err);
    }
    assert!(lab.cell("%jobs").out.contains("f,failed,"));
}

#[test]
fn jobs_are_listed_and_stopped() {
    let mut lab = Lab::new("batch");
    assert!(lab.cell("%jobs").out.contains("no jobs"));
    says(&mut lab, &format!("let f = spawn {LONG}"), "");
    says(&mut lab, "let g = spawn 1..11 | map it | on rows", "");
    says(&mut lab, "wait g | count", "count\n10\n");
    let listed = lab.cell("%jobs").out;
    assert!(listed.starts_with("name,state,progress,elapsed,rows,engine\n"), "{listed}");
    assert!(listed.contains("\nf,running,"), "{listed}");
    assert!(listed.contains("\ng,done,100 %,"), "{listed}");
    assert!(listed.contains(",10,rows\n"), "{listed}");
    for (cell, warned) in [("%timeit 1 + 1", true), ("%time 1..3 | sum", true), ("%whos", false)] {
        let printed = lab.cell(cell);
        assert_eq!(printed.err.contains("the job `f` runs beside this"), warned, "{cell}: {}", printed.err);
    }
    assert!(lab.cell("%jobs stop f").out.contains("is being stopped"));
    let printed = lab.cell("wait f");
    assert!(printed.err.contains("the job `f` was stopped"), "{}", printed.err);
    assert!(lab.cell("%jobs").out.contains("\nf,stopped,"));
    assert!(lab.cell("%jobs stop f").out.contains("has ended already: stopped"));
    for (cell, message) in [
        ("%jobs stop nobody", "there is no job `nobody`"),
        ("%jobs stop", "needs the name of a job"),
        ("%jobs start f", "unexpected `start`"),
        ("wait nobody", "`nobody` is not a job"),
        ("let n = 3; wait n", "`n` is not a job"),
        ("spawn 1..10 | sum", "a job needs a name"),
        ("let f = spawn 1..10 | tee a: (sum)", "cannot contain `tee`"),
        ("let f = spawn 1.. | sum", "the range before it has no end"),
        ("let f = spawn 1..10 | sum | on native", "a job cannot run on `native`"),
    ] {
        let printed = lab.cell(cell);
        assert!(printed.err.contains(message) && printed.err.contains('^'), "{cell}: {}", printed.err);
    }
}

#[test]
fn who_waits_may_stop_waiting() {
    let mut lab = Lab::new("batch");
    says(&mut lab, &format!("let f = spawn {LONG}"), "");
    let error = lab.stopped("wait f");
    assert!(error.message.contains("the job `f` goes on"), "{error:?}");
    assert!(lab.cell("%jobs").out.contains("\nf,running,"));
    // Nothing can use it any more.
    says(&mut lab, "let f = 1", "");
    assert!(lab.cell("%jobs").out.contains("no jobs"));
}

#[test]
fn a_cell_that_fails_has_started_no_job() {
    let mut lab = Lab::new("batch");
    assert!(!lab.cell(&format!("let f = spawn {LONG}; nothing")).err.is_empty());
    assert!(lab.cell("%jobs").out.contains("no jobs"));
}

#[test]
fn a_script_that_ends_names_the_jobs_that_it_stops() {
    let cell = format!("let f = spawn {LONG}; let g = spawn {LONG} | on threads; let h = spawn 1..3; wait h");
    let output = timelab(&["--format", "csv", "-c", &cell], "");
    assert_eq!(out(&output), "it\n1\n2\n");
    assert!(output.status.success());
    assert!(err(&output).contains("stopped the jobs `f` and `g`"), "{}", err(&output));
    let output = timelab(&["-c", "let f = spawn 1..3; wait f"], "");
    assert!(!err(&output).contains("stopped"), "{}", err(&output));
}

#[test]
fn a_job_writes_its_file_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.csv");
    let mut lab = Lab::new("batch");
    says(&mut lab, &format!("let f = spawn 1..4 | write \"{}\"", path.display()), "");
    let printed = lab.cell("wait f | map rows, bytes");
    assert_eq!((printed.out.as_str(), printed.err.as_str()), ("rows,bytes\n3,9\n", ""));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "it\n1\n2\n3\n");
    // What a script ends is not left half written.
    let other = folder.path().join("other.csv");
    let cell = format!("let f = spawn 1..9000000000000 | write \"{}\"", other.display());
    let output = timelab(&["-c", &cell], "");
    assert!(err(&output).contains("stopped the job `f`"), "{}", err(&output));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["rows.csv"]);
}

#[test]
fn jobs_on_one_file_and_what_was_kept() {
    let mut lab = Lab::new("batch");
    says(&mut lab, "let lines = read \"tests/files/tiny.txt\" | persist", "");
    says(
        &mut lab,
        "let a = spawn lines | count; let b = spawn lines | count; a | zip (b | map other = count)
        | map count == other",
        "it\ntrue\n",
    );
    says(&mut lab, "let k = lines | count; let c = spawn lines | count; c | map count == k", "count\ntrue\n");
}
