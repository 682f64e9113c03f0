//! Commands as subjects: how they are written, what is said of them, and that nothing of them stays.

use std::time::{Duration, Instant};

use timelab::commands::{braces, quoted, resolve};
use timelab::diagnostic::Kind;
use timelab::lang::split;

use crate::command::{err, out, timelab};
use crate::lab::Lab;

#[track_caller]
fn check_braces(text: &str, expected: &str) {
    let value = |name: &str| match name {
        "n" => Some("64".to_string()),
        "word" => Some(quoted("it's me")),
        _ => None,
    };
    assert_eq!(braces(text, value).text, expected, "{text}");
}

#[test]
fn only_braces_with_a_known_name_are_replaced() {
    check_braces("sort {n}", "sort 64");
    check_braces("{n}{n}", "6464");
    check_braces("awk '{n++} END{print n}'", "awk '{n++} END{print n}'");
    check_braces("echo {m} { n } {", "echo {m} { n } {");
    check_braces("echo {{n}", "echo {n}");
    check_braces("grep {word} f", "grep 'it'\\''s me' f");
    check_braces("{ä} {n", "{ä} {n");
}

#[track_caller]
fn check_start(text: &str, expected: Option<&[&str]>) {
    let program = resolve(text, Some("/bin:/usr/bin".as_ref())).unwrap_or_else(|name| panic!("{text}: no `{name}`"));
    let words: Vec<_> = program.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match expected {
        Some(expected) => assert_eq!((program.is_shell, &words[..]), (false, &expected.map_to_owned()[..]), "{text}"),
        None => assert_eq!(words, ["sh", "-c", text], "{text}"),
    }
}

trait Owned {
    fn map_to_owned(&self) -> Vec<String>;
}

impl Owned for &[&str] {
    fn map_to_owned(&self) -> Vec<String> {
        self.iter().map(|word| word.to_string()).collect()
    }
}

#[test]
fn a_shell_runs_only_what_needs_one() {
    check_start("seq 1  3", Some(&["seq", "1", "3"]));
    check_start("awk '/the/{n++} END{print n}' f", Some(&["awk", "/the/{n++} END{print n}", "f"]));
    check_start(r#"printf "a b" 'c'"d" e\ f"#, Some(&["printf", "a b", "cd", "e f"]));
    check_start("dd if=/dev/zero", Some(&["dd", "if=/dev/zero"]));
    check_start("printf ''", Some(&["printf", ""]));
    for text in [
        "seq 3 | tail -1",
        "ls *",
        "X=1 env",
        "ls > f",
        "echo $HOME",
        "echo \"$HOME\"",
        "sleep 1 &",
        "cd /",
        "exit 3",
        "echo {a,b}",
        "echo 'open",
        "ls # not more",
        "echo a\necho b",
        "~/x",
        "echo ~",
    ] {
        check_start(text, None);
    }
    assert_eq!(resolve("no-such-program x", Some("/bin".as_ref())), Err("no-such-program".to_string()));
}

#[test]
fn a_command_ends_with_its_lines() {
    let text = "%compare --for 4s:\n  a: !awk '{ print \"(\" }'  # of awk\n    | tail -1\n  b: !echo ')'\n1..3 | sum\n";
    let cells = split(text);
    assert_eq!(cells.len(), 2, "{cells:?}");
    assert_eq!(cells[1], "1..3 | sum");
    let cells = split("%time !echo \"it's (\"\n%timeit !echo '['\n1 + 1");
    assert_eq!(cells.len(), 3, "{cells:?}");
    // A negation of Rust is no command.
    let cells = split("%timeit rust { let x = [true];\n !x[0] }\n1 + 1");
    assert_eq!(cells.len(), 2, "{cells:?}");
}

/// Notes of a comparison.
#[track_caller]
fn notes(cell: &str) -> String {
    Lab::new("batch").notes(cell)
}

#[test]
fn different_outputs_have_no_winner() {
    let cell = "%compare --runs 3:\n  a: !seq 1000 | tail -1\n  b: !seq 2000 | tail -1";
    let output = timelab(&["-c", cell], "");
    assert_eq!(output.status.code(), Some(3), "{}", err(&output));
    let said = out(&output) + &err(&output);
    assert!(said.contains("so there is no winner"), "{said}");
    assert!(said.contains("line 1: `1000` here, `2000` there"), "{said}");
    assert!(said.contains("run by `sh -c`, whose own start"), "{said}");
    assert!(!said.contains("faster") && !said.contains("slower"), "{said}");
}

/// What a shell runs is held against what a shell runs, and nothing is subtracted.
#[test]
fn one_that_needs_a_shell_brings_all_into_one() {
    let said = notes("%compare --runs 3:\n  a: !seq 3\n  b: !seq 3 | cat");
    assert!(said.contains("a, b: run by `sh -c`, as some need a shell: its own start ("), "{said}");
    assert!(!said.contains("started directly"), "{said}");
    let said = notes("%compare --runs 3:\n  a: !seq 3\n  b: !seq 1 3");
    assert!(said.contains("a, b: started directly, without a shell"), "{said}");
}

/// The first runs choose the clock, and later ones may not be like them.
#[test]
fn what_waits_only_in_later_runs_is_timed_by_the_wall() {
    // Itself, and no script in its place that starts others.
    let itself = ["-c", "import sys; print(sys.executable)"];
    let Ok(python) = std::process::Command::new("python3").args(itself).output() else {
        eprintln!("skipped: there is no python3");
        return;
    };
    let python = String::from_utf8_lossy(&python.stdout).trim().to_string();
    const WAIT: f64 = 0.05;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, runs) = (folder.path().join("late.py"), folder.path().join("runs"));
    let text = format!(
        "import os, time\nwith open({runs:?}, 'a') as f: f.write('x')\n\
         if os.path.getsize({runs:?}) > 6: time.sleep({WAIT})\nsum(range(200000))\n"
    );
    std::fs::write(&file, text).expect("it can be written");
    let cells = [format!("%timeit --runs 20 !{python} {}", file.display()), "_.median".to_string()];
    let mut lab = Lab::new("batch");
    let told: Vec<_> = cells.iter().map(|cell| lab.cell(cell)).collect();
    let median: f64 = told[1].out.trim().parse().unwrap_or_else(|_| panic!("{told:?}"));
    assert!(median >= WAIT, "{told:?}");
    // A comparison is sampled anew.
    std::fs::remove_file(&runs).expect("it was written");
    let file = file.display();
    let said = lab.notes(&format!("%compare --runs 20:\n  a: !{python} {file}\n  b: !{python} {file}"));
    assert!(said.contains("all are timed by wall time: "), "{said}");
    assert!(!said.contains("no verdict"), "{said}");
    let told = lab.cell("_ | map median | min");
    let least = told.out.lines().last().and_then(|least| least.parse::<f64>().ok());
    assert!(least.is_some_and(|least| least >= WAIT), "{told:?}");
}

#[test]
fn a_name_in_braces_that_is_nearly_known_is_warned_of() {
    let mut lab = Lab::new("batch");
    lab.cell("let count = 3");
    lab.cell("let many = 1..3");
    let said = lab.cell("%time !echo {conut}").err;
    assert!(said.contains("`{conut}` stays as it is: did you mean `{count}`?"), "{said}");
    let said = lab.cell("%time !echo {many}").err;
    assert!(said.contains("`{many}` stays as it is, because `many` is not a number, a text or a bool"), "{said}");
    let said = lab.cell("%time !awk 'BEGIN{print}{exit}{i}' {count}").err;
    assert!(!said.contains("stays as it is"), "{said}");
}

/// In quotes of the command it would end them.
#[test]
fn a_text_is_not_quoted_twice() {
    let mut lab = Lab::new("batch");
    lab.cell("let x = \"a; echo more\"");
    for command in ["echo \"{x}\"", "echo '{x}'", "echo it\\'s \"at {x}\""] {
        let error = lab.evaluate(&format!("%time !{command}")).error.unwrap_or_else(|| panic!("{command} ran"));
        assert!(error.message.contains("`{x}` stands in quotes"), "{}", error.message);
    }
    lab.cell("%time !echo \"one\" it\\'s {x}");
    assert_eq!(lab.cell("_.stdout").out, "one it's a; echo more\n\n");
    lab.cell("let x = \"plain\"");
    lab.cell("%time !echo \"{x}\"");
    assert_eq!(lab.cell("_.stdout").out, "plain\n\n");
}

#[test]
fn an_output_that_is_cut_says_so() {
    let mut lab = Lab::new("batch");
    let said = lab.notes("%time !head -c 70000000 /dev/zero");
    assert!(said.contains("_.stdout has the first 64.0 MiB of an output of 66.8 MiB"), "{said}");
    let said = lab.notes("%compare --runs 2:\n  a: !head -c 70000000 /dev/zero\n  b: !head -c 3 /dev/zero");
    assert!(said.contains("a: _.outputs has the first 64.0 MiB of an output of 66.8 MiB"), "{said}");
}

#[test]
fn commands_pipelines_and_rust_are_held_against_each_other() {
    let cell = "%compare --runs 3:\n  a: 1..4 | map it * 2\n  b: !seq 2 2 6\n  c: !printf '2\\n4\\n6\\n'";
    let said = notes(cell);
    assert!(said.contains("✓ same result: 3/3 equal"), "{said}");
    assert!(said.contains("the times of commands include the start of a process"), "{said}");
    let cell = "%compare --runs 2 --as csv:\n  a: !printf 'x,y\\n1,2.0\\n'\n  b: !printf '\"x\",y\\n1,2.00\\n'";
    assert!(notes(cell).contains("✓ same result: 2/2 equal"));
    let cell = "%compare --runs 2 --as json:\n  a: !printf '{\"x\": 1}\\n'\n  b: !printf '{\"x\":1}\\n'";
    assert!(notes(cell).contains("✓ same result: 2/2 equal"));
    let cell = "%compare --runs 2 --as lines:\n  a: !printf 'x\\r\\ny'\n  b: !printf 'x\\ny\\n'";
    assert!(notes(cell).contains("✓ same result: 2/2 equal"));
    let cell = "%compare --runs 2:\n  a: !printf 'x\\ny'\n  b: !printf 'x\\ny\\n'";
    assert!(notes(cell).contains("no winner"));
}

#[test]
fn an_output_that_changes_cannot_be_told() {
    let cell = "%compare --runs 3:\n  a: !date +%N\n  b: !date +%N";
    let said = notes(cell);
    assert!(said.contains("its output changes from run to run"), "{said}");
    assert!(!said.contains("✓"), "{said}");
}

#[test]
fn three_times_the_work_is_slower_and_sleeping_is_timed_by_the_wall() {
    let work = |n: u32| format!("!awk 'BEGIN {{ for (i = 0; i < {n}; i++) x += i; print 1 }}'");
    let cell = format!("%compare --for 5s:\n  a: {}\n  b: {}", work(100_000), work(300_000));
    let printed = Lab::new("batch").cell(&cell);
    assert!(printed.out.contains(",slower,"), "{}{}", printed.out, printed.err);
    let said = notes("%compare --runs 5:\n  a: !sleep 0.02\n  b: !sleep 0.02");
    assert!(!said.contains("faster") && !said.contains("slower"), "{said}");
    assert!(said.contains("; wall time"), "{said}");
}

#[test]
fn a_command_that_fails_is_reported_and_the_others_go_on() {
    let cell = "%compare --runs 2:\n  a: !sh -c 'echo some trouble >&2; exit 3'\n  b: !true\n  c: !true";
    let output = timelab(&["-c", cell], "");
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let said = out(&output) + &err(&output);
    assert!(said.contains("✗ a failed: exit status 3; its standard error ends: some trouble"), "{said}");
    assert!(said.contains("same result"), "{said}");
    let output = timelab(&["-c", "%compare --runs 2 --ok 0,3:\n  a: !sh -c 'exit 3'\n  b: !true"], "");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let error = Lab::new("batch").evaluate("%time !no-such-program x").error.expect("there is none");
    assert!(error.message.contains("there is no program `no-such-program`"), "{}", error.message);
}

#[test]
fn outputs_are_values_and_never_printed() {
    let mut lab = Lab::new("batch");
    let printed = lab.cell("%time !printf 'one\\ntwo\\n'");
    assert!(!printed.out.contains("two") && !printed.err.contains("two"), "{}{}", printed.out, printed.err);
    assert_eq!(lab.cell("_.stdout").out, "one\ntwo\n\n");
    lab.cell("%time !sh -c 'echo bad >&2; exit 4'");
    assert_eq!(lab.cell("_.status").out, "4\n");
    lab.cell("%timeit --runs 3 !echo x");
    assert_eq!(lab.cell("len(_.samples)").out, "3\n");
    lab.cell("%compare --runs 2 n in [1, 2]:\n  a: !echo {n}\n  b: !echo {n}");
    assert_eq!(lab.cell("_.outputs | filter variant == \"a\" | map trim(stdout)").out, "stdout\n1\n2\n");
}

#[test]
fn steps_are_run_before_each_sample_and_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (log, end) = (path("log"), path("end"));
    let count = |path: &str| std::fs::read_to_string(path).map_or(0, |text| text.lines().count());
    let mut lab = Lab::new("batch");
    let steps = format!("--prepare \"echo x >> {log}\" --cleanup \"echo x >> {end}\"");
    lab.cell(&format!("%timeit --runs 3 --warmup 2 {steps} !true"));
    assert_eq!((count(&log), count(&end)), (5, 1));
    // Also after a failure.
    lab.cell(&format!("%timeit --runs 3 {steps} !false"));
    assert_eq!((count(&log), count(&end)), (6, 2));
    lab.cell(&format!("%timeit --runs 3 --warmup 0 {steps} !true"));
    assert_eq!((count(&log), count(&end)), (9, 3));
    let table = path("t.csv");
    lab.cell(&format!("%timeit --runs 2 --prepare (1..3 | write \"{table}\") !cat {table}"));
    assert_eq!(lab.cell("_.stdout").out, "it\n1\n2\n\n");
    // Input, and none.
    lab.cell(&format!("%time --input {table} !cat"));
    assert_eq!(lab.cell("_.stdout").out, "it\n1\n2\n\n");
    lab.cell("%time !cat");
    assert_eq!(lab.cell("len(_.stdout)").out, "0\n");
}

#[test]
fn samples_are_exported() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lab = Lab::new("batch");
    for (name, least) in [("s.csv", "variant,sample,seconds,wall"), ("s.json", "\"times\""), ("s.md", "| variant |")] {
        let path = folder.path().join(name);
        lab.notes(&format!("%compare --runs 3 --export {}:\n  a: !true\n  b: !true", path.display()));
        let text = std::fs::read_to_string(&path).expect("it was written");
        assert!(text.contains(least), "{text}");
        if name == "s.csv" {
            assert_eq!(text.lines().count(), 7, "{text}");
        }
    }
}

#[test]
fn options_of_commands_need_a_command() {
    for cell in ["%time --ok 1 1..3", "%timeit --warmup 2 1..3 | sum", "%compare --as csv --on rows,batch 1..3 | sum"] {
        let error = Lab::new("batch").evaluate(cell).error.expect("it has none");
        assert!(error.message.contains("only applies to commands"), "{}", error.message);
    }
    for (cell, message) in [
        ("%time --ok x !true", "`--ok` must be exit statuses from 0 to 255, got `x`"),
        ("%time --input /no/such/file !cat", "\"/no/such/file\" cannot be read"),
        ("%compare --as xml:\n  a: !true\n  b: !true", "`--as` must be text, csv, json or lines"),
        ("%explain !ls", "expects a statement, got a command"),
        ("%time !", "a command is missing after `!`"),
        ("%compare:\n  a: !\n  b: !true", "a command is missing after `!`"),
        ("%bigo !seq 3", "the subject does not use `n`"),
    ] {
        let error = Lab::new("batch").evaluate(cell).error.unwrap_or_else(|| panic!("{cell}"));
        assert!(error.message.contains(message), "{cell}: {}", error.message);
    }
}

#[test]
fn a_sweep_that_no_command_uses_is_noted() {
    let said = notes("%compare --runs 2 n in [1, 2]:\n  a: !true\n  b: !true");
    assert!(said.contains("no command uses `{n}`"), "{said}");
}

#[test]
fn the_growth_of_a_program_has_a_class() {
    let cell =
        "%bigo --for 4s n in 200..3200: !awk 'BEGIN { for (i = 0; i < {n}; i++) for (j = 0; j < {n}; j++) x++ }'";
    let said = notes(cell);
    let time = said.lines().find(|line| line.starts_with("time")).unwrap_or_default();
    assert!(time.contains("O(n²)") || time.contains("no claim"), "{said}");
    assert!(said.contains("peak of the resident memory") || said.contains("space   no claim"), "{said}");
}

/// Whether a process has this word among its words.
fn runs(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|entry| {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|other| other == word.as_bytes())
    })
}

#[test]
fn hostile_commands_leave_the_session_and_nothing_else() {
    let mut lab = Lab::new("batch");
    // It closes its output, and goes on.
    lab.cell("%time !sh -c 'exec >&- 2>&-; sleep 0.01'");
    assert_eq!(lab.cell("_.status").out, "0\n");
    let said = lab.notes("%time !sh -c 'kill -9 $$'");
    assert!(said.contains("killed by signal 9 (SIGKILL)"), "{said}");
    // It forks and leaves, with its output still open.
    lab.cell("%time !setsid sh -c 'sleep 87654.1 & setsid sleep 87654.2 & sleep 0.02' &");
    lab.cell("%time !sh -c 'setsid sleep 87654.3 & setsid setsid sleep 87654.4 & exit 0'");
    for word in ["87654.1", "87654.2", "87654.3", "87654.4"] {
        assert!(!runs(word), "{word} runs on");
    }
    // It changes the terminal, where there is none.
    lab.cell("%time !sh -c 'stty raw < /dev/tty'");
    assert_eq!(lab.cell("_.status == 0").out, "false\n");
    // It waits for input, which is empty, or for a person, who is not there.
    lab.cell("%time !cat");
    assert_eq!(lab.cell("_.stdout").out, "\n");
    lab.cell("%time !sh -c 'read x; echo \"got:$x\"; read y < /dev/tty; echo \"and:$y\"'");
    assert!(lab.cell("_.stdout").out.contains("got:"));
    // It cannot be started.
    let no_program = tempfile::NamedTempFile::new().expect("a file can be made");
    let path = no_program.path().display().to_string();
    for (command, message) in [("no-such-program-here", "there is no program"), (&path, "is not executable")] {
        let error = lab.evaluate(&format!("%time !{command}")).error.expect("it cannot start");
        assert!(error.message.contains(message), "{command}: {}", error.message);
    }
    lab.cell("%time !sh -c no-such-program-here");
    assert_eq!(lab.cell("_.status").out, "127\n");
    // What it prints is no text.
    lab.cell("%time !printf '\\000\\377\\033[31m'");
    assert_eq!(lab.cell("_.status").out, "0\n");
    assert_eq!(lab.cell("1 + 1").out, "2\n");
}

#[test]
fn no_winner_is_looked_for_where_outputs_differ() {
    let start = Instant::now();
    let mut lab = Lab::new("batch");
    let said = lab.notes("%compare --for 600s:\n  a: !echo 1\n  b: !echo 2");
    assert!(said.contains("no winner"), "{said}");
    let said = lab.notes("%compare --for 600s:\n  a: !date +%N\n  b: !date +%N");
    assert!(said.contains("changes from run to run"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(300), "it went on until its time was over");
}

#[test]
fn a_gigabyte_of_output_is_counted_and_not_kept() {
    let mut lab = Lab::new("batch");
    lab.cell("%time !head -c 1000000000 /dev/zero");
    assert_eq!(lab.cell("_.status").out, "0\n");
    assert_eq!(lab.cell("len(_.stdout)").out, format!("{}\n", 64 << 20));
}

#[test]
fn a_command_is_stopped_with_all_that_it_started() {
    let mut lab = Lab::new("batch");
    let start = Instant::now();
    let error = lab.stopped("%time !sh -c 'sleep 87655.1 & sleep 87655.2'");
    assert_eq!(error.kind, Kind::Stopped);
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(!runs("87655.1") && !runs("87655.2"));
    assert_eq!(lab.cell("1 + 1").out, "2\n");
}

#[test]
fn peak_memory_is_that_of_the_command() {
    // The shell itself holds far more.
    let held = vec![1_u8; 1 << 30];
    let mut lab = Lab::new("batch");
    lab.cell("%time !dd if=/dev/zero of=/dev/null bs=200M count=1");
    let peak: f64 = lab.cell("_.peak").out.trim().parse().expect("bytes");
    drop(held);
    let expected = f64::from(200 << 20);
    assert!((peak / expected - 1.0).abs() < 0.05, "{peak} bytes");
}

#[test]
fn what_hyperfine_has_measured_is_a_baseline() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bench.json");
    // As hyperfine 1.18 writes it, shortened.
    let text = r#"{"results": [
        {"command": "a", "mean": 0.5, "stddev": null, "median": 0.5, "user": 0.1, "system": 0.1, "min": 0.4, "max": 0.6,
         "times": [0.4, 0.5, 0.6], "exit_codes": [0, 0, 0]},
        {"command": "b", "times": [1.0, 1.1, 1.2]}]}"#;
    std::fs::write(&file, text).expect("it can be written");
    let mut lab = Lab::new("batch").keeping(&folder.path().join("kept"));
    let said = lab.cell(&format!("%baseline import {} old", file.display()));
    assert_eq!(said.out, "old keeps what hyperfine measured: a, b\n");
    let said = lab.notes("%compare --runs 5 --against old:\n  a: !true\n  b: !true");
    assert!(said.contains("`old` was saved"), "{said}");
    // Our own export is read too.
    let own = folder.path().join("own.json");
    lab.notes(&format!(
        "%compare --runs 3 --export {} n in [1, 2]:\n  a: !echo {{n}}\n  b: !echo {{n}}",
        own.display()
    ));
    let said = lab.cell(&format!("%baseline import {}", own.display()));
    assert_eq!(said.out, "own keeps what hyperfine measured: a, b\n");
    for (text, message) in [
        ("{}", "it is not hyperfine's JSON"),
        (r#"{"results": []}"#, "it has no results"),
        (r#"{"results": [{"command": "a"}]}"#, "it has no times of `a`"),
        (r#"{"results": [{"command": "a", "times": [-1]}]}"#, "is not a positive number"),
    ] {
        std::fs::write(&file, text).expect("it can be written");
        let error = lab.evaluate(&format!("%baseline import {} bad", file.display())).error.expect("it is damaged");
        assert!(error.message.contains(message), "{}", error.message);
    }
}
