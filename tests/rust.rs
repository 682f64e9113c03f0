//! Cells of Rust: what they give, what they survive, and what is left of them.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::command::{err, out, timelab};

/// Runs cells one after the other, also after one that failed; csv on standard output, errors on standard error.
fn run(cells: &[&str]) -> (String, String) {
    let mut arguments = vec!["--keep-going", "--format", "csv"];
    cells.iter().for_each(|cell| arguments.extend(["-c", cell]));
    let output = timelab(&arguments, "");
    (out(&output), err(&output))
}

/// The lines that are errors, with their carets.
fn errors(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("error:") || line.starts_with('│')).collect()
}

#[test]
fn results_are_values_and_tables() {
    let (out, err) = run(&[
        "rust { (0..1000u64).map(|x| x * x).sum::<u64>() }",
        "rust { vec![(1, \"a\", 2.5), (2, \"b\", -0.5)] }",
        "%%rust\nstruct Point { x: i64, y: f64, name: String }\nvec![Point { x: 1, y: 0.5, name: \"é\".into() }]",
        "rust { std::collections::BTreeMap::from([(\"k\", true)]) }",
        "rust { struct P { x: i64 } (0..2).map(|x| P { x }).collect::<Vec<_>>() }",
        "rust { std::io::stdin().lines().count() }",
        "rust { [Some(1), None] } | filter not is_null(it) | map it + 1",
        "let n = 3 ; let words = [\"a\", \"bb\"] ; let t = [1, 2] | map x = it, y = text(it)",
        "rust with n, words, t { t[1].x * n + words[1].len() as i64 + t[0].y.len() as i64 }",
        "rust with t { t }",
        "%%rust\n#[derive(Debug)] enum Kind { A(u8) }\nKind::A(7)",
        "rust { u64::MAX }",
        "rust { \"x\".parse::<i64>() }",
    ]);
    let expected = "332833500\na,b,c\n1,a,2.5\n2,b,-0.5\nx,y,name\n1,0.5,é\nkey,value\nk,true\nx\n0\n1\n0\nit\n2\n9\n\
                    x,y\n1,1\n2,2\nA(\n    7,\n)\n";
    assert_eq!(out, expected, "{err}");
    assert_eq!(
        errors(&err),
        [
            "error: 18446744073709551615 is beyond int",
            "│ rust { u64::MAX }",
            "│       ^^^^^^^^^^",
            "error: Err(ParseIntError { kind: InvalidDigit })",
            "│ rust { \"x\".parse::<i64>() }",
            "│       ^^^^^^^^^^^^^^^^^^^^",
        ]
    );
}

#[test]
fn blocks_are_sampled_with_the_lines_of_their_cells() {
    let items = "%%rust\n#[inline(never)]\nfn inner(mut x: u64) -> u64 {\n    for i in 0..1000 { x = \
                 x.wrapping_mul(31) ^ (i + (x >> 3)); }\n    x\n}\n\
                 struct Inputs(Vec<u64>);\nimpl Inputs {\n    #[inline(never)]\n    \
                 fn sum(&self) -> u64 { self.0.iter().fold(0, |all, x| all ^ inner(*x)) }\n}";
    let sampled = |sampler: &str| {
        let block = "rust {\n    let all = Inputs((0..200_000).collect());\n    all.sum()\n}";
        run(&[items, &format!("%prof --sampler {sampler} --top 1000 {block}"), "rust { inner(0) } | count"])
    };
    for sampler in ["perf", "preload"] {
        let (out, err) = sampled(sampler);
        if err.contains("perf_event_open:") {
            eprintln!("skipped {sampler}: {err}");
            continue;
        }
        let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split(',').collect()).collect();
        let row = |name: &str| {
            let found = rows.iter().find(|row| row.len() == 5 && row[3] == name);
            found.unwrap_or_else(|| panic!("{sampler}: there is no {name}: {out}{err}"))
        };
        let cumulative = |name: &str| row(name)[1].parse::<f64>().expect("a time");
        assert!(cumulative("inner") > 0.0 && cumulative("the block") >= cumulative("inner"), "{sampler}: {out}");
        assert_eq!(
            [row("inner")[4], row("Inputs::sum")[4], row("the block")[4]],
            ["cell 1:3", "cell 1:10", "cell 2:1"]
        );
        assert!(!out.contains("timelab_cell"), "what is ours is left out: {out}");
        // Other cells are compiled as ever, and find what was there.
        assert!(out.ends_with("count\n1\n"), "{out}{err}");
    }
}

#[test]
fn items_and_variables_stay_and_a_failed_cell_leaves_them_as_they_were() {
    let (out, err) = run(&[
        "%%rust\nfn double(x: i64) -> i64 { x * 2 }\nlet mut all = vec![1i64, 2];",
        "%%rust\nall.push(double(20));\nall.len()",
        "rust { all.push(0); all.len() }",
        "rust { all.len() }",
        "%%rust\nall.push(9);\n\"x\".parse::<i64>()",
        "rust { all.len() }",
        "%%rust\nall.clear();\npanic!(\"no\")",
        "%%rust\nlet gone = all;\nlet first = &gone[0];\n*first",
        "%rust",
        "%%rust\nlet f = |x: i64| x + 1;\nf(1)",
        "%who",
    ]);
    let names = "name,kind,rows,bytes\ngone,rust variable,,\ndouble,rust item,,\n";
    assert_eq!(out, format!("3\n4\n3\n3\n1\ngone: Vec<i64>\ndouble\n2\n{names}"), "{err}");
    assert_eq!(errors(&err)[0], "error: Err(ParseIntError { kind: InvalidDigit })");
    assert_eq!(errors(&err)[1..], ["error: panic: no", "│ panic!(\"no\")", "│ ^^^^^"]);
}

/// Each of these takes its process with it; the variable of the first cell is there after each.
#[test]
fn a_cell_can_lose_nothing_but_itself() {
    let crashes = [
        ("rust { panic!(\"in {}\", kept.len()) }", "error: panic: in 2"),
        ("rust { std::process::exit(3) }", "error: the cell ended its process with exit code 3"),
        ("rust { std::process::abort() }", "error: abort"),
        (
            "rust { fn deep(x: u64) -> u64 { if x == 0 { 0 } else { std::hint::black_box(deep(x - 1)) + x } } \
             deep(1 << 40) }",
            "error: stack overflow",
        ),
        ("rust { unsafe { *std::hint::black_box(8 as *mut u8) = 1 } }", "error: segmentation fault at address 0x8"),
        (
            "rust { std::hint::black_box(&vec![1u8; 1 << 50]).len() }",
            "error: out of memory: 1125899906842624 bytes were refused",
        ),
        ("%%rust\nstd::process::abort();", "error: abort"),
        ("%%rust\nunsafe { std::arch::asm!(\"ud2\") }", "error: illegal instruction"),
    ];
    let mut cells = vec!["%%rust\nlet kept = vec![4, 5];"];
    for (cell, _) in &crashes {
        cells.extend([*cell, "rust { kept.iter().sum::<i32>() }"]);
    }
    let (out, err) = run(&cells);
    let said: Vec<&str> = errors(&err).into_iter().filter(|line| line.starts_with("error")).collect();
    assert_eq!(said, crashes.map(|(_, error)| error), "{err}");
    assert_eq!(out, "9\n".repeat(crashes.len()), "{err}");
}

#[test]
fn what_cells_print_comes_whole_and_before_the_result() {
    let (out, err) = run(&[
        "%%rust\nprint!(\"no newline\"); 1",
        "%%rust\nprintln!(\"a\\n\\nb\\n\"); 2",
        "rust { print!(\"c\"); eprintln!(\"to the other\"); 3 }",
        "rust { println!(\"d\"); panic!(\"later\") }",
    ]);
    assert_eq!(out, "no newline\n1\na\n\nb\n\n2\nc\n3\nd\n", "{err}");
    assert!(err.contains("to the other\n"), "{err}");
}

#[test]
fn errors_of_the_compiler_stand_at_their_place() {
    let (_, err) = run(&[
        "%%rust\nlet é = \"ü\";\nlet s: String = 5; let t = é;",
        "1..3 | map it\n| concat (rust { let ö = 1; ö + undefined })",
        "rust { let v = vec![1]; drop(v); v.len() }",
        "%%rust\nlet text = String::new();",
        "rust { drop(text) }",
        "%%rust\nlet b = 1;\nextern crate nope;",
        "%%rust\nlet open = vec![1",
    ]);
    assert_eq!(
        errors(&err)[..6],
        [
            "error: mismatched types: expected `String`, found integer [E0308]",
            "│ let s: String = 5; let t = é;",
            "│                 ^ try using a conversion method .to_string()",
            "error: cannot find value `undefined` in this scope [E0425]",
            "│ | concat (rust { let ö = 1; ö + undefined })",
            "│                                 ^^^^^^^^^",
        ],
        "{err}"
    );
    assert!(err.contains("borrow of moved value: `v`"), "{err}");
    assert!(err.contains("│ rust { drop(text) }\n│             ^^^^\n"), "{err}");
    // Nothing is fetched that nobody asked for.
    assert!(err.contains("│ extern crate nope;\n│ ^^^^^^^^^^^^^^^^^^ %rust dep nope"), "{err}");
    assert_eq!(err.matches("error:").count(), 6, "{err}");
}

/// A block that gives a value is a value, and one that gives rows is a table, also behind `let`.
#[test]
fn a_block_has_a_name() {
    let cells = [
        "let x = rust { 1 }",
        "x + 1",
        "[1, 2] | map it * x | sum",
        "let t = rust { vec![(1, \"a\"), (2, \"b\")] }",
        "t | map a * x | sum",
        "let s = rust { format!(\"{}!\", \"hi\") }",
        "len(s)",
        "let f = rust { 0.5 }",
        "f * 2",
    ];
    for engine in ["rows", "batch", "polars", "native"] {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| if cell.contains("| sum") { format!("{cell} | on {engine}") } else { cell.to_string() })
            .collect();
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        let (out, err) = run(&cells);
        assert_eq!(out, "2\nsum\n3\nsum\n3\n3\n1.0\n", "{engine}: {err}");
    }
}

#[test]
fn functions_in_rust_run_on_every_engine() {
    let function = "fn slow(x: int, s: text) -> text = rust { format!(\"{s}{}\", x * 2) }";
    for engine in ["rows", "polars", "batch", "native"] {
        let cell = format!("[1, null, 3] | map a = slow(it, \"n\") | filter a != \"n6\" or true | on {engine}");
        let (out, err) = run(&[function, &cell]);
        assert_eq!(out, "a\nn2\n\nn6\n", "{engine}: {err}");
    }
    // Over the memory that is shared, and where a call or its answer has no room there.
    let (out, err) = run(&[
        "fn twice(s: text) -> text = rust { s.repeat(2) }",
        "fn fib(n: int) -> int = rust { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } }",
        "let limit = 3 ; fn max(x: int) -> int = rust with limit { /* max( */ x.max(limit) }",
        "[1, 5] | map max(it) | sum",
        "1..20k | map text(it) | join \"\" | map len(twice(it)) | on rows",
        "1..20 | map fib(it) | sum | on rows",
        "1..20 | map fib(it) | sum | on polars",
        "1..20 | map fib(it) | sum | on native",
    ]);
    assert_eq!(out, "sum\n8\nit\n177778\nsum\n10945\nsum\n10945\nsum\n10945\n", "{err}");
    let (out, err) = run(&[
        "fn bad(x: int) -> int = rust { if x == 3 { panic!(\"three\") } else { x } }",
        "1..5 | map bad(it)",
        "1..5 | map bad(it) | on polars",
        "1..5 | map bad(it) | on rows",
        "1..3 | map bad(it) | sum",
        "bad(\"a\")",
        "fn untyped(x) = rust { x }",
    ]);
    // `rows` hands on each row as it comes.
    assert_eq!(out, "it\n1\n2\nsum\n3\n", "{err}");
    let said: Vec<&str> = errors(&err).into_iter().filter(|line| line.starts_with("error")).collect();
    assert_eq!(
        said,
        [
            "error: panic: three",
            "error: panic: three",
            "error: panic: three (row 2)",
            "error: `bad` expects int as `x`, got text",
            "error: a function in Rust needs the types of its parameters and its result",
        ]
    );
}

#[test]
fn compiled_pipelines_agree() {
    let cells = [
        "1..1M | map it * it | sum",
        "read \"samples/kjv.txt\" | words | count by lower(word) | top 3",
        "fn fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)\n[20, 5] | map fib(it)",
        "let t = read \"samples/packages.csv\" | persist\nt | agg n = count(), m = max(size_bytes) by section \
         | sort by n desc | take 3",
        "[3, 1, null, 2] | sort by it desc | enumerate",
        "letters 100 seed 3 | fold \"\" acc + it",
        "[\"b a\", \"c\"] | words | group by n = len(word)",
    ];
    for cell in cells {
        let on = |engine: &str| run(&[&format!("{cell} | on {engine}")]);
        let ((native, err), (rows, _)) = (on("native"), on("rows"));
        assert!(!rows.is_empty(), "{cell}");
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&native), sorted(&rows), "{cell}: {err}");
    }
    let (_, err) =
        run(&["1..10 | map 10 // (it - 5) | on native", "read \"samples/packages.csv\" | count | on native"]);
    assert_eq!(
        errors(&err)[..4],
        [
            "error: division by zero: 10 // 0 (row 4)",
            "│ 1..10 | map 10 // (it - 5) | on native",
            "│             ^^^^^^^^^^^^^^ guard it: if b != 0 then … else null",
            "error: the engine `native` cannot run this: compiled code reads only lines of text: `persist` the table \
             first",
        ]
    );
}

#[test]
fn rust_is_compared_with_pipelines() {
    let (out, err) = run(&[
        "%%rust\nfn squares(n: i64) -> i64 { (1..n).map(|x| x * x).sum() }",
        "%compare --for 200ms n in [10k, 20k]:\n  rust: rust with n { squares(n) }\n  batch: 1..n | map it * it | sum \
         | map it = sum\n  wrong: rust with n { n }",
        "%compare --for 100ms:\n  a: rust { squares(1000) }\n  b: [0] | map it + 332833500\n",
        "_.agree",
        "%timeit -n 10 -r 5 rust { squares(100_000) }",
        "_.calls * 0",
    ]);
    assert!(out.contains("10000,wrong,,,,,different result\n"), "{out}{err}");
    assert!(out.contains("\ntrue\n") && out.ends_with("\n0\n"), "{out}{err}");
}

/// They are taken in turns in the same process, which the number of the process shows.
#[test]
fn all_rust_of_a_comparison_runs_in_one_process() {
    let process = "rust { std::process::id() as i64 }";
    let (out, err) = run(&[
        &format!("%compare --for 50ms:\n  a: {process}\n  b: {process}\n  c: {process}"),
        "_.agree",
        // Inputs that are the same go in once.
        "let t = 1..10 | map a = it, b = \"x\"",
        "%compare --for 50ms:\n  a: rust with t { t.len() }\n  b: rust with t { t.iter().count() }",
        "_ | map lines",
        // A variable that is changed cannot be there in copies.
        "%%rust\nlet mut seen = vec![1];",
        "%compare --for 50ms:\n  a: rust { seen.push(1); 1 }\n  b: rust { std::hint::black_box(1) }",
        "_ | map same = lines",
    ]);
    assert!(
        out.contains("\ntrue\n") && out.contains("\nlines\n1\n1\n") && out.contains("\nsame\n1\n1\n"),
        "{out}{err}"
    );
    assert!(!err.contains("error"), "{err}");
}

/// One that aborts is reported; the others are compared, also where it only does so after a while.
#[test]
fn a_variant_that_crashes_leaves_the_others() {
    let good = "rust { (0..1000u64).map(std::hint::black_box).sum::<u64>() }";
    let bad = "rust { std::process::abort(); }";
    let late = "rust { static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0); \
                if CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 2_000 \
                { std::process::abort() } 499500u64 }";
    for crashes in [bad, late] {
        let (out, err) = run(&[
            &format!("%compare --for 300ms:\n  one: {good}\n  bad: {crashes}\n  two: {good}"),
            "_ | map variant, verdict = if verdict == \"failed\" or verdict == \"·\" then verdict else \"compared\"",
            "_1 | filter variant == \"two\" | map found = not is_null(speedup)",
        ]);
        assert!(out.contains("variant,verdict\none,·\nbad,failed\ntwo,compared\n"), "{out}{err}");
        assert!(out.contains("found\ntrue\n") && err.contains("✗ bad failed: abort"), "{out}{err}");
    }
}

/// Sums that the compiler works out while it compiles.
const SUM: &str = "rust { (0..1000u64).sum::<u64>() }";
const PRODUCT: &str = "rust { (0..1000u64).map(|x| x).sum::<u64>() }";

#[test]
fn work_that_the_compiler_removed_gets_no_verdict() {
    let real = "rust { (0..1000u64).map(std::hint::black_box).sum::<u64>() }";
    let (out, err) = run(&[
        &format!("%compare --for 100ms:\n  sum: {SUM}\n  product: {PRODUCT}"),
        "_ | map variant, none = is_null(median) and is_null(speedup) and is_null(low), verdict",
        "_1.speedup",
        &format!("%compare --for 100ms:\n  sum: {SUM}\n  real: {real}"),
        "_ | map variant, verdict",
        &format!("%compare --for 100ms:\n  real: {real}\n  sum: {SUM}\n  pipe: 0..1000 | sum | map it = sum"),
        "_ | filter variant != \"pipe\" | map variant, verdict",
        &format!("%compare --for 100ms n in [1, 2]:\n  real: {real}\n  sum: {SUM}"),
        "_ | filter variant == \"sum\" | map n, verdict",
    ]);
    for expected in [
        "variant,none,verdict\nsum,true,no work left\nproduct,true,no work left\n",
        "variant,verdict\nsum,no work left\nreal,not compared\n",
        "variant,verdict\nreal,·\nsum,no work left\n",
        "n,verdict\n1,no work left\n2,no work left\n",
    ] {
        assert!(out.contains(expected), "{expected}{out}{err}");
    }
    assert!(err.contains("error: `_1` has no field `speedup`"), "{err}");
    for note in [
        "product: faster than the overhead of a call (",
        "the baseline sum has nothing left to time",
        "std::hint::black_box(1000) hides a number from it",
        "sum at 1, 2: faster than the overhead of a call (",
    ] {
        assert!(err.contains(note), "{note}: {err}");
    }
}

#[test]
fn a_baseline_calls_rust_by_its_name() {
    let state = tempfile::tempdir().expect("the temporary folder can be written");
    let real = "rust { (0..1000u64).map(std::hint::black_box).sum::<u64>() }";
    let cells = [
        &format!("%timeit -r 30 {real}"),
        "%baseline save real",
        &format!("%compare --for 50ms --against real {real}"),
        "_ | map variant, found = not is_null(kept)",
        &format!("%timeit -r 30 {SUM}"),
        "%baseline save none",
        &format!("%compare --for 50ms --against none {SUM}"),
        "_ | map verdict, none = is_null(kept) and is_null(since)",
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["--format", "csv"])
        .args(cells.iter().flat_map(|cell| ["-c", *cell]))
        .env("XDG_STATE_HOME", state.path())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("timelab starts");
    let (out, err) = (out(&output), err(&output));
    for expected in [
        "real keeps cell 1: rust\n",
        "variant,found\nrust,true\n",
        "none keeps cell 5: rust\n",
        "verdict,none\nno work left,true\n",
    ] {
        assert!(out.contains(expected), "{expected}{out}{err}");
    }
}

/// Each block is timed where it runs: no sample holds the way there and back.
#[test]
fn several_blocks_are_timed_in_their_processes() {
    let (out, err) = run(&["%%timeit -r 5\nrust { 1 }\nrust { 2 }\n%%", "_.calls > 1000"]);
    assert!(out.ends_with("true\n"), "{out}{err}");
}

#[test]
fn without_a_toolchain_all_the_rest_works() {
    let output = Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args([
            "--keep-going",
            "--format",
            "csv",
            "-c",
            "rust { 1 }",
            "-c",
            "1..4 | sum",
            "-c",
            "%%rust\n1",
            "-c",
            "1..4 | sum | on native",
        ])
        .env("PATH", "")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("timelab starts");
    assert_eq!(out(&output), "sum\n6\n");
    assert_eq!(
        err(&output).matches("error: Rust cells need `rustc`, which is not on the PATH").count(),
        3,
        "{}",
        err(&output)
    );
}

/// A shell that is fed cell by cell through a pipe.
struct Fed {
    child: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Fed {
    fn new() -> Fed {
        Fed::with(&std::env::temp_dir(), Stdio::null())
    }

    /// With temporary files in a folder.
    fn with(temporary: &Path, errors: Stdio) -> Fed {
        let mut child = Command::new(env!("CARGO_BIN_EXE_timelab"))
            .args(["--keep-going", "--format", "csv"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("TMPDIR", temporary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("timelab starts");
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Fed { child, input: input.expect("it is piped"), output: BufReader::new(output.expect("it is piped")) }
    }

    /// Enters a cell; it runs when the next one begins.
    fn enters(&mut self, cell: &str) {
        writeln!(self.input, "{cell}").expect("the shell reads");
    }

    fn sees(&mut self, line: &str) {
        let mut read = String::new();
        self.output.read_line(&mut read).expect("the shell writes");
        assert_eq!(read.trim_end(), line);
    }

    /// The processes that run Rust for it.
    fn runners(&self) -> Vec<u32> {
        let mut found = vec![self.child.id()];
        loop {
            let known = found.len();
            for entry in std::fs::read_dir("/proc").expect("there is /proc").filter_map(Result::ok) {
                let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
                let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
                let rest = stat.rsplit(')').next().unwrap_or_default();
                let mut fields = rest.split_whitespace();
                let (state, parent) = (fields.next(), fields.next().and_then(|pid| pid.parse().ok()));
                if state != Some("Z") && parent.is_some_and(|parent| found.contains(&parent)) && !found.contains(&pid) {
                    found.push(pid);
                }
            }
            if found.len() == known {
                return found.split_off(1);
            }
        }
    }
}

impl Fed {
    /// The one above and the one that holds the variables, once the one that held them before is gone.
    #[track_caller]
    fn idle_runners(&self) -> Vec<u32> {
        loop {
            let runners = self.runners();
            match runners.len() {
                2 => return runners,
                // One that has just been handed over may be missed by a look at all processes.
                0 | 1 => std::thread::yield_now(),
                _ => wait_for_end_of_one(&runners),
            }
        }
    }
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("kill runs").success());
}

/// Waits until none of these processes is there.
#[track_caller]
fn gone(pids: &[u32]) {
    pids.iter().for_each(|pid| wait_for_end_of_one(&[*pid]));
}

/// Waits until one of these processes has ended. The system tells when; the deadline is for a test that hangs.
#[track_caller]
fn wait_for_end_of_one(pids: &[u32]) {
    const DEADLINE: libc::c_int = 60_000;
    let open = |pid: &u32| {
        // SAFETY: a system call, whose result is a new descriptor or an error.
        let number = unsafe { libc::syscall(libc::SYS_pidfd_open, *pid as libc::pid_t, 0) };
        // SAFETY: nobody else has the descriptor.
        (number >= 0).then(|| unsafe { OwnedFd::from_raw_fd(number as RawFd) })
    };
    // What cannot be opened has ended.
    let Some(opened) = pids.iter().map(open).collect::<Option<Vec<OwnedFd>>>() else { return };
    let poll = |fd: &OwnedFd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<libc::pollfd> = opened.iter().map(poll).collect();
    // SAFETY: the structures are whole, and the descriptors are open until the function ends.
    let ended = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, DEADLINE) };
    assert!(ended > 0, "{pids:?} are still there");
}

#[test]
fn a_killed_child_is_started_anew_and_nothing_is_left_behind() {
    let mut shell = Fed::new();
    shell.enters("%%rust\nfn seven() -> i64 { 7 }\nlet v = 1;\nv\n%%");
    shell.sees("1");
    let runners = shell.runners();
    assert!(!runners.is_empty());
    // While it is idle.
    runners.iter().for_each(|pid| kill(*pid));
    gone(&runners);
    shell.enters("rust { seven() }\n1");
    shell.sees("7");
    // While a cell runs.
    shell.enters("1\nrust { println!(\"runs\"); loop { std::thread::park() } }\n2");
    shell.sees("1");
    shell.sees("1");
    shell.sees("runs");
    let runners = shell.runners();
    kill(runners[0]);
    gone(&runners);
    shell.enters("rust { seven() + 1 }\n3");
    shell.sees("2");
    shell.sees("8");
    // However the shell ends, nothing of it goes on.
    let runners = shell.runners();
    assert!(!runners.is_empty());
    kill(shell.child.id());
    shell.child.wait().expect("it was killed");
    gone(&runners);
}

#[test]
fn after_any_kill_all_works_again_and_no_file_stays() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).expect("it can be written");
    let told = folder.path().join("errors.txt");
    let errors = std::fs::File::create(&told).expect("it can be written");
    let mut shell = Fed::with(&temporary, errors.into());
    let define = "%%rust\nlet v = vec![1, 2];\nv.len()\n%%";
    shell.enters("rust { 6 * 7 }");
    shell.enters(define);
    shell.sees("42");
    shell.sees("2");
    // First both that are idle, then the one that holds the variables, then the one above it.
    for who in [&[0, 1][..], &[1], &[0]] {
        let runners = shell.idle_runners();
        who.iter().for_each(|at| kill(runners[*at]));
        gone(&runners);
        // What was compiled before is compiled again.
        shell.enters("rust { 6 * 7 }");
        shell.enters("rust { v.len() }");
        shell.enters(define);
        shell.sees("42");
        shell.sees("2");
    }
    let said = std::fs::read_to_string(&told).expect("errors were written there");
    assert_eq!(said.matches("`v` was lost, because the process that held it was killed").count(), 3, "{said}");
    // Where even the files are gone, a reset begins anew.
    for entry in std::fs::read_dir(&temporary).expect("it is there").filter_map(Result::ok) {
        std::fs::remove_dir_all(entry.path()).expect("it can be removed");
    }
    shell.enters("%rust reset\nrust { 40 + 2 }\n0");
    shell.sees("all Rust functions, types, variables and packages were removed");
    shell.sees("42");
    let runners = shell.runners();
    drop(shell.input);
    shell.child.wait().expect("it ends");
    gone(&runners);
    let left: Vec<_> = std::fs::read_dir(&temporary).expect("it is there").filter_map(Result::ok).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn two_shells_do_not_meet() {
    let (mut a, mut b) = (Fed::new(), Fed::new());
    a.enters("%%rust\nlet x = 1;\nx\n%%");
    b.enters("%%rust\nlet x = 2;\nx\n%%");
    a.sees("1");
    b.sees("2");
    a.enters("rust { x }\n0");
    b.enters("rust { x }\n0");
    a.sees("1");
    b.sees("2");
    let runners = [a.runners(), b.runners()].concat();
    drop((a.input, b.input));
    a.child.wait().expect("it ends");
    b.child.wait().expect("it ends");
    gone(&runners);
}

#[test]
fn a_trusted_file_runs_its_rust() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let path = folder.path().join("cells.txt");
    std::fs::write(&path, "1 + 1\nrust { 3 }\n").expect("it can be written");
    let (out, err) = run(&[&format!("%run --trust {path:?}")]);
    assert_eq!(out, "2\n3\n", "{err}");
}

/// Whoever types the name of a variable wants to see it, and has it afterwards.
#[test]
fn a_variable_is_lent_not_moved() {
    let (out, err) = run(&[
        "%%rust\nlet v = vec![1, 2]; let s = \"abc\".to_string(); let t = (\"x\".to_string(), 5);",
        "rust { v }",
        "rust { s }",
        "rust { t.0 }",
        "rust { v[1] }",
        "rust { let s = 7; s }",
        "rust { v } | sum",
        "%%rust\ns",
        "let n = 3; rust with n { n }",
        "rust { v.len() + s.len() }",
    ]);
    assert_eq!(out, "it\n1\n2\nabc\nx\n2\n7\nsum\n3\nabc\n3\n5\n", "{err}");
    assert_eq!(errors(&err), [""; 0]);
}

#[test]
fn nothing_is_built_to_wait_for_a_future() {
    let (out, err) = run(&[
        "rust { async { 1 }.await }",
        "%%rust\nlet x = std::future::ready(1).await;",
        "rust { println!(\"{}\", std::future::ready(1).await) }",
        "rust { let f = async { std::future::ready(1).await }; std::mem::drop(f); 4 }",
        "%%rust\nasync fn two() -> i32 { std::future::ready(2).await }\nstruct Await { await_: i32 }\n\
         Await { await_: 3 }.await_",
    ]);
    assert_eq!(out, "4\n3\n", "{err}");
    let message = "error: `.await` is only allowed in `async` blocks and functions";
    assert_eq!(errors(&err).iter().filter(|line| **line == message).count(), 3, "{err}");
    assert!(err.contains("futures::executor::block_on") && !err.contains("tokio"), "{err}");
}

#[test]
fn what_is_not_rust_is_told_at_its_place() {
    let (_, err) = run(&[
        "%%rust\n#[derive(Debug)]",
        "%%rust\nlet a = std::",
        "rust { std:: }",
        "%%rust\nlet a = 1;\nlet b = std::;\n",
    ]);
    let expected = [
        "error: an attribute must be followed by an item",
        "│ #[derive(Debug)]",
        "│ ^^^^^^^^^^^^^^^^ put the struct, enum or function into the same cell",
        "error: expected identifier, found `::`",
        "│ let a = std::",
        "│              ^",
        "error: expected identifier, found `}`",
        "│ rust { std:: }",
        "│             ^",
    ];
    assert_eq!(errors(&err)[..9], expected, "{err}");
    let last = &errors(&err)[9..];
    assert!(last.len() == 3 && last[1] == "│ let b = std::;" && last[2].contains('^'), "{err}");
}

#[test]
fn a_type_is_written_by_a_name_that_is_public() {
    let (out, err) = run(&[
        "%%rust\nmod outer { mod inner { #[derive(Debug)] pub struct Shown(pub i32); #[derive(Debug)] \
         pub struct Hidden; } pub use inner::Shown; pub fn hidden() -> impl std::fmt::Debug { inner::Hidden } }\n\
         let shown = vec![outer::Shown(4)]; let hidden = outer::hidden();",
        "rust { shown[0].0 }",
        "%%rust\nshown.len()",
        "rust { shown[0].0 + 1 }",
        "rust { hidden }",
        "rust { 1 + 1 }",
    ]);
    assert_eq!(out, "4\n1\n5\n2\n", "{err}");
    let expected = [
        "error: `hidden` cannot be used in another cell: its type Hidden is private",
        "│ rust { hidden }",
        "│        ^^^^^^ create and use it in one cell, or in a function",
    ];
    assert_eq!(errors(&err), expected);
}

#[test]
fn packages_are_asked_for_as_in_a_manifest() {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    let manifest = "[package]\nname = \"tiny-words\"\nversion = \"1.2.0\"\nedition = \"2024\"\n[features]\nloud = []\n";
    std::fs::create_dir(folder.path().join("src")).expect("it can be written");
    std::fs::write(folder.path().join("Cargo.toml"), manifest).expect("it can be written");
    let code = "pub fn word() -> &'static str { if cfg!(feature = \"loud\") { \"HELLO\" } else { \"hello\" } }\n";
    std::fs::write(folder.path().join("src/lib.rs"), code).expect("it can be written");
    for sign in ["", "= "] {
        let path = folder.path().display();
        let dep = format!("%rust dep tiny-words {sign}{{ path = \"{path}\", features = [\"loud\"] }}");
        let (out, err) = run(&[&dep, "rust { tiny_words::word() }"]);
        let told = format!("cells can now use tiny-words = {{ path = \"{path}\", features = [\"loud\"] }}\nHELLO\n");
        assert_eq!(out, told, "{err}");
    }
}

/// CPU time of the shell's thread does not hold what the process of Rust does for it.
#[test]
fn what_calls_rust_is_timed_by_the_wall() {
    let function = "fn f(x: int) -> int = rust { (0..20_000i64).fold(x, |s, i| std::hint::black_box(s ^ i)) }";
    for timed in ["1..200 | map f(it) | sum | on rows", "1..200 | map f(it) | sum | on batch", "f(3) + f(4)"] {
        let timeit = format!("%timeit -n 20 -r 3 {timed}");
        let output = timelab(&["-c", function, "-c", &timeit], "");
        assert!(out(&output).contains("wall time"), "{timed}: {}{}", out(&output), err(&output));
    }
}
