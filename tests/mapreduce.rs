//! Jobs: whoever does the tasks, whatever is lost, split or left out, the result is that of other engines.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use timelab::console::Console;
use timelab::data::{Sameness, Table};
use timelab::engines::{self, Choice};
use timelab::kernel;
use timelab::plan::Prepared;
use timelab::run_context::{ChunkSizes, RunContext};
use timelab::schedule::{self, Bad, JobLog, JobOptions, StepKind};
use timelab::session::Session;
use timelab::stages;

use crate::command::{err, out, timelab};
use crate::lab::{self, Lab};

fn prepared(cell: &str) -> (Prepared, RunContext) {
    let mut session = Session::new("rows", Console::default());
    let plan = lab::plan(&mut session, cell).expect(cell).expect("a pipeline has a plan");
    let context = session.context();
    let plan = session.prepared(plan, Choice::only(engines::REFERENCE), &context).expect(cell);
    let chunk_sizes = ChunkSizes { rows: 7, task: 16 * 90, ..context.chunk_sizes };
    (plan, RunContext { workers: 2, chunk_sizes, ..context })
}

fn job(plan: &Prepared, options: &JobOptions, context: &RunContext) -> (Table, JobLog) {
    let mut log = JobLog::default();
    let rows = schedule::run_job(plan, options, None, context, &mut log).expect("the job runs");
    (kernel::table(rows, plan.schema()).expect("it has the columns of its plan"), log)
}

#[test]
fn groups_come_in_the_order_of_other_engines() {
    for cell in [
        "1..500 | map k = it * 7 % 301, x = it | agg sum(x), first(x) by k",
        "[\"a b c\", \"b c\", null, \"c\"] | words | count by it",
        "1..500 | map k = text(it * 11 % 97), j = it % 3 | count by k, j",
        "1..500 | map k = it * 7 % 301, x = it | distinct by k | count by it = x % 10",
    ] {
        let (plan, context) = prepared(cell);
        let expected = engines::REFERENCE.run(&plan, &context).expect(cell).table;
        let plain = JobOptions { counts_keys: true, ..JobOptions::default() };
        for options in [
            plain.clone(),
            JobOptions { combine: false, partitions: Some(3), ..plain.clone() },
            JobOptions { memory: Some(1), ..plain.clone() },
            JobOptions { tasks: Some(40), ..plain.clone() },
            JobOptions { tasks: Some(40), tree: false, ..plain.clone() },
            JobOptions { combine: false, split_hot: true, tasks: Some(9), partitions: Some(5), ..plain },
        ] {
            let (table, _) = job(&plan, &options, &context);
            assert!(expected.frame().equals_missing(table.frame()), "{cell} {options:?}");
        }
    }
}

#[test]
fn workers_do_the_tasks_of_a_job() {
    for cell in [
        "1..500 | map it * it",
        "1..500 | filter it % 7 == 3 | skip 60 | take 20",
        "1..500 | map k = it % 9, x = 1 / it | agg sum(x), mean(x), std(x), median(x), count() by k",
        "1..500 | map k = it * 7 % 301, x = it | top 9 by k",
        "1..500 | map k = it % 50, x = it | join (10..40 | map k = it, y = it * it) on k | agg sum(y) by x = x % 3",
        "1..60 | pairs | filter a * b % 17 == 4 | count by a",
        "[\"a b c\", \"b c\", null, \"c\"] | words | count by it",
        "1..500 | filter it > 1000 | agg sum(it), count(), min(it)",
    ] {
        let (plan, context) = prepared(cell);
        let expected = engines::REFERENCE.run(&plan, &context).expect(cell).table;
        let plain = JobOptions { on_workers: true, counts_keys: true, ..JobOptions::default() };
        for options in [
            plain.clone(),
            JobOptions { combine: false, on_disk: true, ..plain.clone() },
            JobOptions { tasks: Some(20), grows: true, ..plain.clone() },
            JobOptions { memory: Some(1 << 20), split_hot: true, ..plain },
        ] {
            let (table, _) = job(&plan, &options, &context);
            if let Sameness::Different(what) = expected.same(&table) {
                panic!("{cell} {options:?}: {what}");
            }
        }
    }
}

#[test]
fn examples_of_stages_give_the_same_with_any_options_of_a_job() {
    let mut ran = 0;
    for (cell, _) in stages::ALL.iter().flat_map(|stage| stage.examples) {
        let mut session = Session::new("rows", Console::default());
        let Ok(Some(plan)) = lab::plan(&mut session, cell) else { continue };
        let context = session.context();
        let Ok(plan) = session.prepared(plan, Choice::only(engines::REFERENCE), &context) else { continue };
        if plan.iterates() || plan.calls_external() || engines::objection(engines::MAPREDUCE, &plan).is_some() {
            continue;
        }
        let chunk_sizes = ChunkSizes { rows: 2, bytes: 7, split: 5, task: 48 };
        let context = RunContext { workers: 2, chunk_sizes, ..context };
        let expected = engines::REFERENCE.run(&plan, &context).expect(cell).table;
        let plain = JobOptions::default();
        for options in [
            JobOptions { combine: false, tasks: Some(40), ..plain.clone() },
            JobOptions { on_disk: true, tree: false, tasks: Some(40), ..plain.clone() },
            JobOptions { memory: Some(1), partitions: Some(3), bad: Bad::Skip, ..plain.clone() },
            JobOptions { memory: Some(1), combine: false, chaos: 0.4, seed: 5, ..plain },
        ] {
            let (table, _) = job(&plan, &options, &context);
            if let Sameness::Different(what) = expected.same(&table) {
                panic!("{cell} {options:?}: {what}");
            }
        }
        ran += 1;
    }
    assert!(ran > 60, "{ran} ran");
}

#[test]
fn values_are_combined_over_the_two_names() {
    let expected = "k,v\n0,166833\n1,166167\n2,166500\n";
    for combine in ["acc + it", "sum(v)", "if k < 0 then 0 else sum(v)", "sum(v) + 0"] {
        let stage = format!("mapreduce map = (it % 3, it) into k, v reduce = sum(v) combine = {combine}");
        for (engine, chunk_sizes) in lab::ways() {
            let printed = Lab::in_chunks(engine, chunk_sizes).cell(&format!("1..1000 | {stage} | sort by k"));
            let is_refused = engine == "polars" && printed.err.contains("cannot run this: ");
            if !is_refused || combine == "sum(v)" {
                assert_eq!((printed.out.as_str(), printed.err.as_str()), (expected, ""), "{engine}: {combine}");
            }
        }
    }
    let mut lab = Lab::new("batch");
    // What is combined, and by what, is seen by the reduce.
    let printed = lab
        .cell("[\"a\", \"b\"] | mapreduce map = ([it, it], it) into k, v reduce = len(v) combine = v[0] | sort by k");
    assert_eq!(printed.out, "k,v\na,1\nb,1\n");
    for (combine, said) in [
        ("sum(v) / len(v)", "must combine two int into one, got float"),
        ("v", "must combine two int into one"),
        ("if k > 0 then v else v", "must make one int of several"),
        ("1", "must make one value of several"),
        ("acc + sum(v)", "but not both"),
        ("v[0] - v[1]", "`combine` needs an associative expression"),
    ] {
        let cell = format!("1..9 | mapreduce map = (it % 3, it) into k, v reduce = sum(v) combine = {combine}");
        let error = lab.cell(&cell).err;
        assert!(error.contains(said), "{combine}: {error}");
    }
}

#[test]
fn rows_with_an_error_are_left_out_and_counted_in_every_round() {
    let mut lab = Lab::new("batch");
    // In each round one row divides by zero: that which was 3, 2, 1.
    let cell = "[1, 2, 3, 9] | iterate 3 { filter 10 // (it - 3) < 100 | map it + 1 }";
    let skipped = format!("{cell} | on mapreduce bad skip");
    assert_eq!(lab.cell(&skipped).out, "it\n12\n");
    let notes = lab.notes(&skipped);
    assert!(notes.contains("3 rows were left out"), "{notes}");
    for bad in ["skip", "keep"] {
        let magic = format!("%mapreduce --bad {bad} {cell}");
        let notes = lab.notes(&magic);
        assert!(notes.contains("3 rows were left out"), "{bad}: {notes}");
        assert_eq!(lab.cell("_ + 0").out, "12\n", "{bad}");
    }
    let failed = lab.cell(&format!("%mapreduce {cell}"));
    assert!(failed.err.contains("zero"), "{}", failed.err);
    // A row for which `until` is an error is none in which it is true.
    let failed = lab.cell("[0] | iterate until 1 // it > 0 { map it + 1 } max 3 | on mapreduce bad skip");
    assert!(failed.err.contains("zero"), "{}", failed.err);
}

#[test]
fn fifty_workers_are_killed_and_nothing_is_lost_or_counted_twice() {
    let (plan, context) = prepared("1..2000 | map k = it % 13, x = it | agg sum(x), count() by k");
    let calm = JobOptions { tasks: Some(60), counts_keys: true, ..JobOptions::default() };
    let wild = JobOptions { on_workers: true, chaos: 0.5, seed: 11, ..calm.clone() };
    let (expected, calm) = job(&plan, &calm, &context);
    let (table, wild) = job(&plan, &wild, &context);
    assert!(expected.frame().equals_missing(table.frame()));
    let killed = wild.attempts.iter().filter(|attempt| attempt.lost).count();
    assert!(killed >= 50, "{killed} were killed");
    for (calm, wild) in calm.steps.iter().zip(&wild.steps) {
        assert_eq!((calm.kind, calm.records_in, calm.records_out), (wild.kind, wild.records_in, wild.records_out));
        assert_eq!(calm.loads, wild.loads);
    }
}

#[test]
fn options_of_a_job_stand_behind_on() {
    let mut lab = Lab::new("batch");
    let cell = "1..500 | map k = it * 7 % 301, x = it | agg sum(x), count() by k";
    let expected = lab.cell(&format!("{cell} | on rows")).out;
    for options in [
        "combine off",
        "combine on merge flat tasks 40",
        "via disk partitions 3",
        "on workers workers auto",
        "on threads chaos 0.5 retries 1",
        "memory 16MB bad skip via memory",
    ] {
        assert_eq!(lab.cell(&format!("{cell} | on mapreduce {options}")).out, expected, "{options}");
    }
    let skipped = "[\"1\", \"x\", \"3\"] | map int(it) | sum | on mapreduce bad skip";
    assert_eq!(lab.cell(skipped).out, "sum\n4\n");
    let notes = lab.notes(skipped);
    assert!(notes.contains("1 row was left out"), "{notes}");
    for (options, said) in [
        ("combine maybe", "`combine` must be on or off"),
        ("on batch", "`on` must be threads or workers"),
        ("chaos 0.95", "`chaos` must be a chance from 0 to 0.9"),
        ("bad keep", "`bad` must be fail or skip"),
        ("split hot", "has no option `split`"),
        ("workers none", "`workers` must be 1 to 1024, or auto"),
    ] {
        let error = lab.cell(&format!("{cell} | on mapreduce {options}")).err;
        assert!(error.contains(said), "{options}: {error}");
    }
}

/// Also where the list is the same for all rows.
#[test]
fn a_list_of_values_has_one_for_each_key() {
    for engine in ["rows", "batch", "threads", "workers", "mapreduce"] {
        let mut lab = Lab::new(engine);
        for values in ["[5, 6]", "[it[0] - it[0] + 5, 6]"] {
            let stage = format!("mapreduce map = (it, {values}) into k, n reduce = acc + it");
            assert_eq!(lab.cell(&format!("[[1, 2], [2, 3]] | {stage}")).out, "k,n\n1,5\n2,11\n3,6\n", "{engine}");
            let error = lab.cell(&format!("[[1, 2], [3]] | {stage}")).err;
            assert!(error.contains("must have the same length, got 1 and 2"), "{engine}: {error}");
        }
    }
}

#[test]
fn a_hot_partition_is_reduced_by_several_tasks() {
    let (plan, context) = prepared("1..4000 | map k = if it % 4 == 0 then it else 0, x = it | agg sum(x) by k");
    let plain = JobOptions { combine: false, tasks: Some(16), ..JobOptions::default() };
    let (expected, before) = job(&plan, &plain, &context);
    let (table, after) = job(&plan, &JobOptions { split_hot: true, ..plain }, &context);
    assert!(expected.frame().equals_missing(table.frame()));
    let largest = |log: &JobLog| {
        let steps = log.steps.iter().filter(|step| matches!(step.kind, StepKind::Reduce | StepKind::Split));
        steps.flat_map(|step| step.loads.clone()).max().expect("some task reduces")
    };
    assert!(2 * largest(&after) < largest(&before), "{} and {}", largest(&before), largest(&after));
}

#[test]
fn rows_with_an_error_are_left_out_and_listed() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("n.txt");
    let lines: Vec<String> = (1..=300).map(|n| if n % 100 == 7 { format!("bad {n}") } else { n.to_string() }).collect();
    fs::write(&path, lines.join("\n")).expect("it is written");
    let sum: i64 = (1..=300).filter(|n| n % 100 != 7).sum();
    for combine in [true, false] {
        for on_workers in [true, false] {
            let cell = format!("read \"{}\" | map n = int(line) | agg sum(n), count() by k = n % 2", path.display());
            let (plan, context) = prepared(&cell);
            let options = JobOptions { bad: Bad::Keep, combine, on_workers, tasks: Some(7), ..JobOptions::default() };
            let (table, log) = job(&plan, &options, &context);
            let total: i64 = table.frame().column("n_sum").or(table.frame().column("sum")).map_or_else(
                |_| panic!("{:?}", table.frame()),
                |column| column.i64().expect("ints").iter().flatten().sum(),
            );
            assert_eq!(total, sum);
            let found: Vec<_> = log.bad.iter().map(|(_, line, row)| (line.unwrap_or(0), row.text.as_str())).collect();
            assert_eq!(found, [(7, "bad 7"), (107, "bad 107"), (207, "bad 207")]);
            let reason = &log.bad[0].2.reason;
            assert!(reason.contains("bad 7") && !reason.contains("line "), "{reason}");
        }
    }
}

#[test]
fn bad_rows_of_csv_have_their_lines() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t.csv");
    let rows: String = (1..=200).map(|n| format!("\"a\nb{n}\",{}\n", if n == 150 { 0 } else { n })).collect();
    fs::write(&path, format!("name,n\n{rows}")).expect("it is written");
    let mut lab = Lab::new("batch");
    let path = path.display();
    let printed = lab.cell(&format!("%mapreduce --bad keep --tasks 5 read \"{path}\" | map k = 1000 // n | sum k"));
    assert_eq!(printed.err, "", "{}", printed.err);
    let expected: i64 = (1..=200).filter(|n| *n != 150).map(|n| 1000 / n).sum();
    assert!(printed.out.contains(&expected.to_string()), "{}", printed.out);
    let listed = lab.cell("_.bad | map line, text");
    assert!(listed.out.contains("300"), "two lines a record, after the header: {}", listed.out);
    lab.cell("%mapreduce --bad skip 1..10 | map 10 // (it - 4) | sum");
    assert_eq!(lab.cell("_ + 0").out, "3\n");
    let failed = lab.cell("%mapreduce --bad fail 1..10 | map 10 // (it - 4) | sum");
    assert!(failed.err.contains("zero"), "{}", failed.err);
}

const PLAIN_STAGE: &str = "map = (words(lower(it)), 1) into word, n reduce = acc + it";
const TEXTS: &str = r#"["To be or", "not to be", "tab	and\\slash", ""]"#;

#[test]
fn commands_map_combine_and_reduce_on_every_engine() {
    let words = r#"command "tr A-Z a-z | awk '{ for (i = 1; i <= NF; i++) print $i \"\\t1\" }'""#;
    let sums = r#"command "awk -F'\\t' '{ n[$1] += $2 } END { for (k in n) print k \"\\t\" n[k] }'""#;
    let cell = |stage: &str| format!(r#"["To be or", "not to be", ""] | mapreduce {stage} | sort by word"#);
    let expected = Lab::new("rows").cell(&cell(PLAIN_STAGE)).out;
    assert!(expected.contains("be,2"), "{expected}");
    for engine in lab::engine_names() {
        for stage in [
            format!("map = {words} into word, n: int reduce = acc + it"),
            format!("map = {words} into word, n: int reduce = {sums}"),
            format!("map = {words} into word, n: int reduce = {sums} combine = {sums}"),
            format!("map = {words} into word, n: int reduce = {sums} combine = acc + it"),
            format!("map = (words(lower(it)), 1) into word, n reduce = {sums}"),
        ] {
            let printed = Lab::new(engine).cell(&cell(&stage));
            assert_eq!((printed.out.as_str(), printed.err.as_str()), (expected.as_str(), ""), "{engine}: {stage}");
        }
    }
}

#[test]
fn what_commands_get_and_give_is_escaped() {
    let mut lab = Lab::new("batch");
    let cell = format!("{TEXTS} | mapreduce map = command \"cat -A | sed 's/$/\\tx/'\" into k, v reduce = len(v)");
    let printed = lab.cell(&cell);
    assert!(printed.out.contains("tab\tand\\slash$"), "{}", printed.out);
    let same = lab.cell(&format!("{TEXTS} | mapreduce map = command \"cat\" into k, v reduce = len(v) | map k"));
    assert!(same.out.contains("tab\tand\\slash"), "{}", same.out);
    let failed = lab.cell("[1, 2] | mapreduce map = command \"echo no >&2; exit 3\" into k, v reduce = len(v)");
    assert!(failed.err.contains("status 3") && failed.err.contains("no"), "{}", failed.err);
    let bad = lab.cell("[1, 2] | mapreduce map = command \"echo a\" into k, v: int reduce = acc + it");
    assert!(bad.err.contains("int"), "{}", bad.err);
}

#[test]
fn closures_map_and_reduce_on_every_engine() {
    let words =
        "rust { |line| line.to_lowercase().split_whitespace().map(|w| (w.to_string(), 1)).collect::<Vec<_>>() }";
    let cell = |stage: &str| format!(r#"["To be or", "not to be", ""] | mapreduce {stage} | sort by word"#);
    let expected = Lab::new("rows").cell(&cell(PLAIN_STAGE)).out;
    let engines = || lab::engine_names().into_iter().chain(["mapreduce on workers"]);
    let mut arguments = vec!["--format".to_string(), "csv".to_string(), "--keep-going".to_string()];
    for reduce in ["acc + it", "rust { |a, b| a + b }"] {
        let stage = format!("map = {words} into word, n: int reduce = {reduce}");
        for engine in engines() {
            arguments.extend(["-c".to_string(), format!("{} | on {engine}", cell(&stage))]);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let printed = timelab(&arguments, "");
    assert_eq!(out(&printed), expected.repeat(2 * engines().count()), "{}", err(&printed));
}

/// Closures of two are tried on the values that they get: what is refused depends on how the values are combined, and
/// neither rounding nor a panic that only the trial meets is an error.
#[test]
fn closures_that_are_not_associative_are_found_out() {
    let refused = [
        ("1..10", "(it % 3, it)", "int", "a - b", "with 1, 4, 7 the order of the steps matters: -10 or 4"),
        ("1..10", "(it % 3, it)", "int", "(a + b) / 2", "the order of the steps matters"),
        ("[0.5, 1, 4]", "(1, it)", "float", "(a + b) / 2.0", "with 0.5, 1.0, 4.0 the order of the steps matters"),
        ("[\"a\", \"b\", \"c\"]", "(1, it)", "text", "format!(\"({a}{b})\")", "\"((ab)c)\" or \"(a(bc))\""),
        // The first three do not tell.
        ("0..20", "(1, if it > 5 then it else 0)", "int", "a - b", "with 0, 10, 19"),
    ];
    let taken = [
        ("1..10", "(it % 3, it)", "int", "a.max(b)", "7\n8\n9"),
        ("[1e20, -1e20, 1.0]", "(1, it)", "float", "a + b", "1.0"),
        ("[\"a\", \"b\", \"c\"]", "(1, it)", "text", "a + &b", "abc"),
        // `b + c` alone is too large.
        ("[-9, 9223372036854775807, 5]", "(1, it)", "int", "a.checked_add(b).unwrap()", "9223372036854775803"),
        ("[7, 2]", "(1, it)", "int", "a - b", "5"),
    ];
    let cell = |(input, map, ty, closure, _): &(&str, &str, &str, &str, &str)| {
        format!(
            "{input} | mapreduce map = {map} into k, v: {ty} reduce = rust {{ |a, b| {closure} }} | map v | sort by v"
        )
    };
    let mut arguments = vec!["--format".to_string(), "csv".to_string(), "--keep-going".to_string()];
    for case in refused.iter().chain(&taken) {
        for engine in ["batch", "native", "mapreduce on workers"] {
            arguments.extend(["-c".to_string(), format!("{} | on {engine}", cell(case))]);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let printed = timelab(&arguments, "");
    let words = "`reduce` needs an associative expression, but with ";
    assert_eq!(err(&printed).matches(words).count(), 3 * refused.len(), "{}", err(&printed));
    for (.., expected) in refused {
        assert!(err(&printed).contains(expected), "{expected}: {}", err(&printed));
    }
    let expected: String = taken.iter().map(|(.., values)| format!("v\n{values}\n").repeat(3)).collect();
    assert_eq!(out(&printed), expected);
}

#[test]
fn records_that_are_shown_become_an_svg_with_whole_steps() {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, page) = (dir.path().join("show.md"), dir.path().join("show.html"));
    let text = "```console timelab\n› %mapreduce show [\"to be <or>\", \"not & be\"] | words | count by it\n```\n";
    fs::write(&file, text).expect("it is written");
    let [file, page] = [&file, &page].map(|path| path.to_str().expect("a text"));
    let printed = timelab(&["export", file, "--to", "html", "-o", page], "");
    let html = fs::read_to_string(page).unwrap_or_else(|_| panic!("{}", err(&printed)));
    for expected in [">combine and shuffle (word, count)<", ">(&lt;or&gt;, 1)<", ">(&amp;, 1)<", ">(be, 2)<"] {
        assert!(html.contains(expected), "{expected}: {html}");
    }
}

#[test]
fn a_job_goes_on_after_its_shell_was_killed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (state, input) = (dir.path().join("state"), dir.path().join("in.txt"));
    let lines: String = (0..4000).map(|n| format!("{} {}\n", n % 7, n)).collect();
    fs::write(&input, lines).expect("it is written");
    let pipeline = format!(
        "read \"{}\" | map k = split(line, \" \")[0], s = \"x\" | mapreduce map = (k, 1) into k, n reduce = acc + it \
         | sort by k",
        input.display()
    );
    let shell = |cell: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
        command.env("XDG_STATE_HOME", &state).args(["--format", "csv", "-c", cell]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let expected = out(&timelab(&["--format", "csv", "-c", &pipeline], ""));
    let mut first =
        shell(&format!("%mapreduce --job t --tasks 400 --workers 1 {pipeline}")).spawn().expect("it starts");
    let folder = state.join("timelab/jobs/t");
    let done = || count(&folder, "done-1-map-");
    while done() < 20 && first.try_wait().expect("it is ours").is_none() {
        thread::yield_now();
    }
    first.kill().expect("it is ours");
    first.wait().expect("it is ours");
    let before = done();
    assert!(before >= 20 && folder.join("job.json").exists(), "{before} tasks are kept");
    let mode = fs::metadata(&folder).map(|found| std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777);
    assert_eq!(mode.ok(), Some(0o700));
    // One file for what the only thread hands over, not one for each task and partition.
    assert_eq!(count(&folder, "pairs-"), 1);

    let other = shell("%mapreduce --job t 1..9 | count").output().expect("it runs");
    assert!(err(&other).contains("has another plan"), "{}", err(&other));
    let resumed = shell("%mapreduce resume t").output().expect("it runs");
    assert_eq!(out(&resumed), expected, "{}", err(&resumed));
    let said = format!("{before} tasks were done by an earlier run");
    let said_more = err(&resumed).lines().any(|line| {
        line.split_once(" tasks were done by an earlier run")
            .and_then(|(number, _)| number.trim().parse::<usize>().ok())
            .is_some_and(|number| number >= before)
    });
    assert!(said_more, "{said}: {}", err(&resumed));
    assert!(!folder.exists());
    let gone = shell("%mapreduce resume t").output().expect("it runs");
    assert!(err(&gone).contains("no unfinished job"), "{}", err(&gone));
}

/// What was only half written when the shell was killed does not count.
fn count(folder: &Path, start: &str) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(start) && !name.ends_with(".new")).count()
}

#[test]
fn a_job_whose_input_has_changed_does_not_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let (state, input) = (dir.path().join("state"), dir.path().join("in.txt"));
    fs::write(&input, "1\n2\nx\n").expect("it is written");
    let cell = format!("%mapreduce --job u read \"{}\" | map int(line) | sum", input.display());
    let shell = |cell: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_timelab"));
        command.env("XDG_STATE_HOME", &state).args(["--format", "csv", "-c", cell]).output().expect("it runs")
    };
    assert!(err(&shell(&cell)).contains("what was done is kept") || err(&shell(&cell)).contains("int"));
    fs::write(&input, "1\n2\n3\n4\n").expect("it is written");
    let resumed = shell("%mapreduce resume u");
    assert!(err(&resumed).contains("has changed since it began"), "{}", err(&resumed));
}

#[test]
fn records_are_shown_as_they_move() {
    let mut lab = Lab::new("batch");
    let shown = lab.cell(r#"%mapreduce show ["a b", "b"] | words | count by it"#).out;
    for part in ["slice", "map", "combine and shuffle", "task 1 → partition", "reduce", "(b, 2)", "output"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let sample = lab.notes("%mapreduce show 1..1000 | filter it % 2 == 0 | sum");
    assert!(sample.contains("the first 20 rows"), "{sample}");
}

/// Lists of all values of a key: what a reduce task makes of them is done while it has them, a part of them at a time.
#[test]
fn lists_of_values_are_reduced_in_less_memory_than_they_take() {
    let cell = "1..1.2M | mapreduce map = (it * 7919 % 6007, it % 1009) into k, n reduce = max(n) - min(n) + len(n)";
    let expected = out(&timelab(&["--format", "csv", "-c", &format!("{cell} | on batch")], ""));
    assert_eq!(expected.lines().count(), 6008);
    for options in ["", "--combine off", "--on workers --workers 2", "--partitions 2", "--partitions 1 --workers 1"] {
        let printed = timelab(&["--format", "csv", "-c", &format!("%mapreduce --memory 16MB {options} {cell}")], "");
        assert!(out(&printed) == expected, "{options}: {}", err(&printed));
    }
}

#[test]
fn groups_that_were_written_come_as_if_they_were_not() {
    for cell in [
        "1..60000 | map k = it * 7 % 5003, x = it | mapreduce map = (k, x) into k, n reduce = max(n) - min(n) + len(n)",
        "1..60000 | map k = text(it * 7 % 5003), x = it | agg x = last(x), m = median(x), n = count() by k \
         | filter x % 3 > 0 | map k, y = x + n, m",
        "1..60000 | map k = it * 7 % 5003, x = it | group by k | filter x[0] % 3 > 0 | flat_map x",
        "1..60000 | map k = it * 7 % 5003, x = it | group by k | mapreduce map = (x, k) into x, k reduce = acc + it",
        "1..60000 | map k = it * 7 % 5003, x = it | group by k | map k, x = counter(\"odd\", len(x) % 2 == 1)",
        "1..60000 | map k = it * 7 % 5003, x = it | group by k | map k, n = len(x) | top 9 by n, k",
    ] {
        let (plan, context) = prepared(cell);
        let expected = engines::REFERENCE.run(&plan, &context).expect(cell).table;
        context.counters.clear();
        let plain = JobOptions { memory: Some(1), counts_keys: true, partitions: Some(2), ..JobOptions::default() };
        let (_, in_memory) = job(&plan, &JobOptions { memory: None, ..plain.clone() }, &context);
        let counted = context.counters.each();
        let chunk_sizes = ChunkSizes { task: 16 * 9000, rows: 500, ..context.chunk_sizes };
        let context = RunContext { chunk_sizes, ..context };
        for options in [
            plain.clone(),
            JobOptions { combine: false, ..plain.clone() },
            JobOptions { chaos: 0.3, partitions: Some(1), ..plain },
        ] {
            context.counters.clear();
            let (table, log) = job(&plan, &options, &context);
            if let Sameness::Different(what) = expected.same(&table) {
                panic!("{cell} {options:?}: {what}");
            }
            assert_eq!(context.counters.each(), counted, "{cell} {options:?}");
            let reduce = log.steps.iter().find(|step| step.kind == StepKind::Reduce).expect("the round has it");
            assert!(reduce.spill > 0, "{cell} {options:?}: it fits");
            let records = |log: &JobLog| log.keys.iter().map(|key| key.records).collect::<Vec<_>>();
            assert_eq!(records(&log), records(&in_memory), "{cell} {options:?}");
        }
    }
}

#[test]
fn a_key_whose_values_do_not_fit_is_named() {
    for on in ["threads", "workers"] {
        let cell = format!(
            "%mapreduce --memory 32MB --workers 2 --on {on} 1..3M | mapreduce \
             map = (if it % 3 == 0 then it % 1000 else -7, it) into k, n reduce = max(n) - min(n)"
        );
        let said = err(&timelab(&["-c", &cell], ""));
        assert!(said.contains("the group of the key -7 takes"), "{on}: {said}");
        assert!(said.contains("that a task may hold") && said.contains("hold one value of each key"), "{on}: {said}");
        assert!(!said.contains("tried"), "{on}: {said}");
    }
}

/// A run that needs too much memory needs as much the next time.
#[test]
fn a_step_without_memory_is_named_and_not_tried_again() {
    let sort = "1..2M | map text(it) | sort by it desc";
    let groups = "1..1M | mapreduce map = (it % 1000, text(it)) into k, n reduce = n";
    let hot = "1..1M | mapreduce map = (if it % 5 == 0 then it else -7, 1) into k, n reduce = command \"cat\"";
    for (options, cell, said) in [
        ("--memory 16MB --workers 2", sort, "in the reduce step of round 1 (partition 0, which gets 100 % of"),
        ("--memory 16MB --on workers --workers 2", sort, " step of round 1 (partition 0, "),
        ("--memory 16MB --workers 2", groups, " step of round 1"),
        ("--memory 24MB --workers 1", hot, "-7"),
        ("--workers 2", "1..20M | map text(it) | sort by it desc", "in the map step of round 1 (rows "),
    ] {
        let cells = ["%set memory 64MB", &format!("%mapreduce {options} {cell}")].map(str::to_string);
        let printed = timelab(&["-c", &cells[0], "-c", &cells[1]], "");
        let error = err(&printed);
        assert!(error.contains(said) && !error.contains("tried"), "{options} {cell}: {error}");
        assert!(error.contains("--memory") && !error.contains("%set memory"), "{options} {cell}: {error}");
    }
}

/// Where reduce tasks have steps behind their groups, a group is a row of these.
#[test]
fn groups_with_an_error_are_left_out() {
    let made = "1..60000 | map k = it * 7 % 5003, x = it";
    let step = "group by k | map k, n = counter(\"n\", len(x) // (k % 1000 - 7))";
    let (plan, context) = prepared(&format!("{made} | {step}"));
    let (good, of_good) = prepared(&format!("{made} | filter k % 1000 != 7 | {step}"));
    let expected = engines::REFERENCE.run(&good, &of_good).expect("it runs").table;
    let counted = of_good.counters.each();
    let plain = JobOptions { bad: Bad::Keep, tasks: Some(5), ..JobOptions::default() };
    let chunk_sizes = ChunkSizes { rows: 500, ..context.chunk_sizes };
    let context = RunContext { chunk_sizes, ..context };
    for (options, spills) in [
        (plain.clone(), false),
        (JobOptions { on_workers: true, chaos: 0.2, ..plain.clone() }, false),
        (JobOptions { memory: Some(1), partitions: Some(2), ..plain }, true),
    ] {
        context.counters.clear();
        let (table, log) = job(&plan, &options, &context);
        if let Sameness::Different(what) = expected.same(&table) {
            panic!("{options:?}: {what}");
        }
        assert_eq!(context.counters.each(), counted, "{options:?}");
        let mut bad: Vec<&str> = log.bad.iter().filter_map(|(_, _, row)| row.text.split(", ").next()).collect();
        bad.sort_unstable();
        assert_eq!(bad, ["1007", "2007", "3007", "4007", "7"], "{options:?}");
        assert!(log.bad.iter().all(|(file, line, row)| (file, line) == (&None, &None) && row.reason.contains("zero")));
        let reduce = log.steps.iter().find(|step| step.kind == StepKind::Reduce).expect("the round has it");
        assert_eq!((reduce.bad, reduce.spill > 0), (5, spills), "{options:?}");
    }
    let failed = schedule::run_job(&plan, &JobOptions::default(), None, &context, &mut JobLog::default());
    assert!(failed.is_err_and(|error| error.message.contains("zero")));
}

#[test]
fn few_records_make_no_key_hot() {
    for (count, is_hot) in [(3, false), (1500, true)] {
        let (plan, context) = prepared(&format!("0..{count} | count by it % 1"));
        let options = JobOptions { combine: false, counts_keys: true, ..JobOptions::default() };
        let (_, log) = job(&plan, &options, &context);
        assert_eq!((log.keys[0].records, log.keys[0].is_hot), (count, is_hot));
    }
}

/// From a worker to the process of the shell, which has the closure, and back.
#[test]
fn floats_that_are_no_numbers_reach_closures_as_they_are() {
    let values = "[0.0, 1.0, -1.0, 2.5]";
    let made = "map x = if it == 2.5 then -0.0 else if it == 0.0 then it / it else it * 1e308 * 10.0";
    let closure = "rust { |x| vec![(format!(\"{} {} {}\", x.is_nan(), x > 1e300, x.is_sign_negative()), x * 2.0)] }";
    let stage = format!("mapreduce map = {closure} into k, v: float reduce = acc + it");
    let cell = format!("{values} | {made} | {stage} | map k, v = text(v), large = v > 1e300, small = v < -1e300");
    let mut arguments = vec!["--format".to_string(), "csv".to_string()];
    let engines = ["rows", "batch", "workers", "mapreduce on workers"];
    for engine in engines {
        arguments.extend(["-c".to_string(), format!("{cell} | sort by k | on {engine}")]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let printed = timelab(&arguments, "");
    let all = out(&printed);
    let expected = &all[..all.len() / engines.len()];
    assert_eq!(all, expected.repeat(engines.len()), "{}", err(&printed));
    for part in ["true false", "false true false,", "false false true,"] {
        assert!(expected.contains(part), "{part}: {expected}");
    }
}

/// Also where a worker is in the middle of a command, and where nobody types.
#[test]
fn ctrl_c_ends_a_job_with_its_commands_and_files() {
    for options in ["--via disk", "--via disk --on workers", "--memory 64MB"] {
        let dir = tempfile::tempdir().expect("a folder");
        let (began, scratch) = (dir.path().join("began"), dir.path().join("scratch"));
        fs::create_dir(&scratch).expect("it is made");
        let command = format!("echo $$ > {}; exec sleep 1000", began.display());
        let cell =
            format!("%mapreduce {options} 1..9 | mapreduce map = command \"{command}\" into k, v reduce = len(v)");
        let mut shell = Command::new(env!("CARGO_BIN_EXE_timelab"));
        shell.env("TMPDIR", &scratch).args(["-c", &cell]).stdin(Stdio::null());
        let mut shell = shell.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let number = || fs::read_to_string(&began).ok().and_then(|text| text.trim().parse::<u32>().ok());
        while number().is_none() && shell.try_wait().expect("it is ours").is_none() {
            thread::yield_now();
        }
        let number = number().expect("the command runs");
        let kill = Command::new("kill").args(["-INT", &shell.id().to_string()]).status().expect("kill runs");
        assert!(kill.success());
        let output = shell.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{options}");
        assert!(err(&output).ends_with("\nstopped\n"), "{options}: {}", err(&output));
        // A zombie has ended too: only its parent has not asked for its status yet.
        let state = || fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        let is_there =
            || state().rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z') && !rest.is_empty());
        let begun = std::time::Instant::now();
        while is_there() && begun.elapsed().as_secs() < 20 {
            thread::yield_now();
        }
        assert!(!is_there(), "{options}: {}", state());
        let left: Vec<_> = fs::read_dir(&scratch).expect("it is there").flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{options}: {left:?}");
    }
}

#[test]
fn too_little_memory_for_the_workers_is_said_at_once() {
    let cell = "1..100k | map k = it % 5003, x = it | agg sum(x) by k | count";
    let run =
        |options: &str| timelab(&["--format", "csv", "-c", &format!("%mapreduce --on workers {options} {cell}")], "");
    let few = run("--memory 8MB --workers 3");
    assert!(
        err(&few).contains("8 MB of memory is too little for 3 worker processes, which need 12 MB"),
        "{}",
        err(&few)
    );
    assert!(err(&few).contains("--memory 12MB, or --workers 2"), "{}", err(&few));
    for options in ["--memory 8MB --workers 2", "--memory 12MB --workers 3", "--memory 8MB --workers 1 --combine off"] {
        let enough = run(options);
        assert_eq!(out(&enough), "count\n5003\n", "{options}: {}", err(&enough));
    }
}
