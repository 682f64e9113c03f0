//! Engines that run elsewhere, by drivers that are made up: what each of their events, statuses and results becomes.
//! Real ones run in `benches/remote-engines.sh`.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use timelab::escape::{hidden_tokens, without_token};
use timelab::remote::{Dialect, host_port, in_common, is_loopback};

use crate::command::{err, out, timelab};

/// What the shell prints and says of a pipeline whose driver does this, and its status.
fn said(pipeline: &str, does: &str) -> (String, String, Option<i32>) {
    let root = env!("CARGO_MANIFEST_DIR");
    let python = format!("%set python {root}/tests/remote/driver.sh");
    let output = Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["--format", "csv", "-c", &python, "-c", pipeline])
        .current_dir(root)
        .env("TIMELAB_FAKE_DRIVER", does)
        .stdin(Stdio::null())
        .output()
        .expect("timelab starts");
    (out(&output), err(&output), output.status.code())
}

#[track_caller]
fn fails(does: &str, words: &[&str]) {
    let (out, err, status) = said("1..10 | sum | on dask", does);
    assert_eq!((out.as_str(), status), ("", Some(1)), "{does}: {err}");
    for word in words.iter().chain(&["dask"]) {
        assert!(err.contains(word), "{does}: no `{word}` in: {err}");
    }
}

const EVENT: &str = "echo '{\"event\": \"error\", \"run\": 1, ";

#[test]
fn each_status_of_a_driver_is_an_error_that_names_the_engine() {
    fails("exit 4", &["cannot run this"]);
    fails("exit 10", &["needs the Python module", "pip install"]);
    fails("exit 11", &["cannot be reached"]);
    fails("exit 20", &["failed"]);
    fails("exit 3", &["ended unexpectedly", "exit status: 3"]);
    fails("echo 'the last words' >&2; kill -9 $$", &["ended unexpectedly", "signal: 9", "the last words"]);
}

#[test]
fn each_event_of_a_failure_has_its_own_words() {
    fails(&format!("{EVENT}\"status\": 4, \"message\": \"no sort\"}}' >&2; exit 4"), &["cannot run this: no sort"]);
    fails(&format!("{EVENT}\"status\": 10, \"module\": \"pyarrow\"}}' >&2; exit 10"), &["`pyarrow`", "pip install"]);
    fails(&format!("{EVENT}\"status\": 11, \"message\": \"refused\"}}' >&2; exit 11"), &["reached: refused"]);
    fails(&format!("{EVENT}\"status\": 20, \"message\": \"KeyError: x\"}}' >&2; cat"), &["failed: KeyError: x"]);
}

/// An error of the data that this machine does not find again is still one.
#[test]
fn an_error_of_the_data_keeps_its_kind() {
    let does =
        format!("{EVENT}\"status\": 20, \"kind\": \"overflow\", \"message\": \"int overflow: 2 + 3\"}}' >&2; cat");
    let (_, err, status) = said("1..10 | sum | on dask", &does);
    assert!(err.contains("int overflow: 2 + 3") && status == Some(1), "{err}");
}

#[test]
fn a_result_that_is_damaged_or_ends_early_is_an_error() {
    let result = "echo '{\"event\": \"result\", \"run\": 1, \"bytes\": 40}' >&2; ";
    fails(&format!("{result} printf '0123456789012345678901234567890123456789'; cat"), &["cannot be read"]);
    fails(&format!("{result} printf '0123'; exit 0"), &["ends in the middle"]);
    // Nothing at all is not an empty table.
    let nothing = "echo '{\"event\": \"result\", \"run\": 1, \"bytes\": 0}' >&2; cat";
    fails(nothing, &["cannot be read"]);
}

#[test]
fn a_driver_that_is_not_there_is_named() {
    let output = timelab(&["-c", "%set python /nowhere/python", "-c", "1..10 | sum | on dask"], "");
    let err = err(&output);
    assert!(err.contains("dask") && err.contains("/nowhere/python") && err.contains("%set python"), "{err}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn nobody_listens_at_an_address() {
    // A port that was just free.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("there is a port").port();
    let output = timelab(&["-c", &format!("1..10 | sum | on dask \"tcp://127.0.0.1:{port}\"")], "");
    let err = err(&output);
    assert!(err.contains("dask cannot be reached at tcp://127.0.0.1"), "{err}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_address_is_checked_where_it_is_written() {
    let cell = |cell: &str| err(&timelab(&["-c", cell], ""));
    assert!(cell("1..3 | on rows \"tcp://x:1\"").contains("takes no address"));
    assert!(cell("1..3 | on dask \"http://x:1\"").contains("begins with tcp:// or tls://"));
    assert!(cell("%set dask nowhere").contains("begins with tcp://"));
    assert!(cell("1..3 | on dask \"tcp://\"").contains("has no host"));
}

/// What a plan holds that the engine cannot keep is told before anything starts.
#[test]
fn objections_are_told_in_words() {
    let cell = |cell: &str| {
        let output = timelab(&["-c", "%set python /nowhere/python", "-c", cell], "");
        assert_eq!(output.status.code(), Some(1), "{cell}");
        err(&output)
    };
    assert!(cell("1..9 | fold 0 acc + it | on dask").contains("sequential"));
    assert!(cell("1..9 | sample 3 | on dask").contains("`sample`"));
    assert!(cell("1..9 | peek 2 | on dask").contains("`peek`"));
    assert!(cell("fn f(n) = if n < 1 then 0 else f(n - 1); 1..9 | map f(it) | on dask").contains("calls itself"));
    assert!(cell("[\"a\"] | filter matches(it, \"\\\\w+\") | on dask").contains("`matches`"));
}

#[test]
fn tokens_are_not_shown() {
    assert_eq!(without_token("sc://h:1/;token=abc;use_ssl=true"), "sc://h:1/;token=…;use_ssl=true");
    let cell = "1..3 | on spark \"sc://h:1/;token=sesame\"";
    let hidden = hidden_tokens(cell);
    assert!(!hidden.contains("sesame") && hidden.len() == cell.len(), "{hidden}");
    assert_eq!(hidden_tokens("nothing here"), "nothing here");
}

#[test]
fn engines_are_listed_and_explained() {
    let output = timelab(&["--format", "csv", "-c", "%engines"], "");
    assert!(out(&output).contains("\nrows,in this process,yes,yes,timelab "), "{}", out(&output));
    assert!(out(&output).contains("\nspark,elsewhere,the client"), "{}", out(&output));
    assert!(out(&output).contains("\nSQL,claim only,claim only,claim only,claim only,no,"), "{}", out(&output));
    for name in ["spark", "sail", "dask", "beam", "ray", "hadoop", "disco", "flink"] {
        let text = out(&timelab(&["-c", &format!("%engines {name}")], ""));
        assert!(text.starts_with(name) && text.contains("origin"), "{text}");
    }
    assert!(out(&timelab(&["-c", "%engines rows"], "")).contains("one row at a time"));
    let unknown = err(&timelab(&["-c", "%engines spork"], ""));
    assert!(unknown.contains("did you mean `spark`?"), "{unknown}");
}

#[test]
fn addresses_have_a_host_and_a_port() {
    let parts = |address| host_port(address, 9).map(|at| (at.host, at.port));
    assert_eq!(parts("tcp://h:8786"), Some(("h".to_string(), 8786)));
    assert_eq!(parts("sc://h/;token=x"), Some(("h".to_string(), 9)));
    assert_eq!(parts("tcp://[::1]:4"), Some(("::1".to_string(), 4)));
    assert_eq!((parts("tcp://"), parts("tcp://h:x")), (None, None));
    assert!(is_loopback("127.0.0.1") && is_loopback("::1") && !is_loopback("10.0.0.1"));
}

#[test]
fn patterns_are_taken_where_all_dialects_agree() {
    let python = |pattern| in_common(pattern, Dialect::Python);
    assert_eq!(python("^ab+c$").as_deref(), Some(r"^ab+c\Z"));
    assert_eq!(python(r"[a-z]*\.txt").as_deref(), Some(r"[a-z]*\.txt"));
    assert_eq!(in_common("a.b$", Dialect::Java).as_deref(), Some(r"a[^\n]b\z"));
    for uncommon in [r"\d", r"\w+", "(?i)a", "a**", "a++", "a{2}", "[[:alpha:]]", "[a&&b]", r"a\b", "*a"] {
        assert_eq!(python(uncommon), None, "{uncommon}");
    }
}

/// A token that is typed is in nothing that is shown or kept.
#[test]
fn a_token_is_in_no_output() {
    let cell = "1..10 | sum | on spark \"sc://127.0.0.1:1/;token=sesame\"";
    let set = "%set spark sc://127.0.0.1:1/;token=sesame";
    let cells = ["-c", set, "-c", "%set", "-c", "%set spark", "-c", "%explain 1..3 | sum | on spark", "-c", cell];
    let more = ["-c", "%history", "-c", "1..3 | frob | on spark \"sc://h/;token=sesame\""];
    let output = timelab(&[&["--keep-going"], &cells[..], &more[..]].concat(), "");
    let (out, err) = (out(&output), err(&output));
    assert!(out.contains("sc://127.0.0.1:1/;token=…"), "{out}");
    assert!(err.contains("spark cannot be reached at sc://127.0.0.1:1/;token=…"), "{err}");
    assert!(!out.contains("sesame") && !err.contains("sesame"), "{out}\n{err}");
}

#[test]
fn spark_without_a_server_says_what_it_needs() {
    let output = timelab(&["-c", "1..10 | sum | on spark \"sc://127.0.0.1:1\""], "");
    assert!(err(&output).contains("spark cannot be reached at sc://127.0.0.1:1"), "{}", err(&output));
    assert_eq!(output.status.code(), Some(1));
    let output = timelab(&["-c", "%set spark auto", "-c", "1..10 | sum | on spark"], "");
    assert!(err(&output).contains("spark needs the address of a server"), "{}", err(&output));
    assert_eq!(output.status.code(), Some(1));
}

/// The plan of another engine as SQL, and as a program that holds it.
#[test]
fn plans_are_printed() {
    let said = |cell: &str| {
        let output = timelab(&["-c", cell], "");
        (out(&output), err(&output), output.status.code())
    };
    let (sql, _, status) = said("%plan 1..10 | map it * it | sum");
    assert_eq!(status, Some(0));
    assert!(sql.starts_with("WITH s0 AS (") && sql.contains("range(1, 10)") && sql.contains("AS `sum`"), "{sql}");
    let (program, _, _) = said("%plan --as spark [3, 1] | sort by it");
    assert!(
        program.contains("SparkSession") && program.contains("ORDER BY") && program.contains("(3L, 0L)"),
        "{program}"
    );
    let (_, error, status) = said("%plan --as dask 1..10 | sum");
    assert!(error.contains("no program is printed for dask") && error.contains("| on dask"), "{error}");
    assert_eq!(status, Some(1));
    assert!(said("%plan --as sqll 1..3").1.contains("did you mean `sql`?"));
    assert!(said("%plan 1..9 | fold 0 acc + it").1.contains("sequential"));
    assert!(said("%plan 1..5000 | persist | sum").1.contains("1,000 rows"));
}

/// The printed programs say what the pipelines mean: they are run where `TIMELAB_PYSPARK` names a Python with PySpark
/// and `SPARK_REMOTE` a server, as `benches/remote-engines.sh` does.
#[test]
fn printed_programs_agree() {
    let (Ok(python), Ok(_)) = (std::env::var("TIMELAB_PYSPARK"), std::env::var("SPARK_REMOTE")) else {
        println!("printed programs: skipped, TIMELAB_PYSPARK and SPARK_REMOTE do not name a Python and a server");
        return;
    };
    const SHOWN: &str = "table.show(100, truncate=False)";
    let as_csv = [
        "import csv, sys",
        "out = csv.writer(sys.stdout, lineterminator=\"\\n\")",
        "out.writerow(table.columns)",
        "for row in table.collect():",
        "    out.writerow([\"\" if value is None else value for value in row])",
    ];
    let cells = [
        "1..1000 | filter it % 7 == 0 | map x = it * it | agg n = count(), s = sum(x)",
        "read \"samples/kjv.txt\" | words | count by word | top 5",
        "read \"samples/depends.csv\" | join (read \"samples/packages.csv\") on package | agg n = count() by section | \
         sort by n desc | take 4",
        "[\"it's\", \"a\\\\b\", \"say \\\"x\\\"\", null] | derive n = len(it) | enumerate | reverse",
        "[3, 1, 2] | concat ([9]) | zip (5..9) | sort by it desc",
        "[[1, null, 3], []] | map s = sum(it), n = len(it)",
    ];
    for cell in cells {
        let program = out(&timelab(&["-c", &format!("%plan --as sail {cell}")], ""));
        assert!(program.contains(SHOWN), "{cell}: {program}");
        let program = program.replace(SHOWN, &as_csv.join("\n"));
        let ran = Command::new(&python).args(["-W", "ignore", "-c", &program]).output().expect("Python starts");
        let wanted = out(&timelab(&["--format", "csv", "-c", cell], ""));
        assert_eq!(out(&ran), wanted, "{cell}\n{program}\n{}", err(&ran));
    }
}
