//! Notebooks: the format, what may differ, and the commands.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::{Captures, Regex};
use timelab::notebook::{Look, Notebook, compare, is_same_but_outputs, masked, printed};
use timelab::player::Player;
use timelab::report::{Across, Axis, Block, Drawn, Plot, Report, Scale, Series, Unit};
use timelab::show::Format;

use crate::command::{err, out, timelab};

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the file can be written");
    path
}

fn fence(body: &str) -> String {
    format!("# A notebook\n\n```console timelab\n{body}```\n")
}

/// The exit status of `timelab test`, and what it prints.
fn tested(text: &str, more: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.md", text);
    let path = path.to_string_lossy();
    let mut arguments = vec!["test"];
    arguments.extend(more);
    arguments.push(&path);
    let output = timelab(&arguments, "");
    (output.status.code().unwrap_or(-1), out(&output) + &err(&output))
}

#[track_caller]
fn faulty(text: &str, line: usize, why: &str) {
    let error = Notebook::parse(text).expect_err(text);
    assert_eq!(error.line, line, "{error:?}");
    assert!(error.message.contains(why), "{error:?}");
}

#[test]
fn a_file_is_read_as_it_is_written() {
    let text = "prose\n\n<!-- timelab: slow needs=\"cores>=1, rust\" stop ask=\"10×? 100×?\" -->\n\n\
                ```console timelab width=100 format=csv\n› 1..4 | sum\n… | map it\n…\n6\n\\› no cell\n› 1\n```\n\n\
                ```rust\n› 2\n```\n";
    let notebook = Notebook::parse(text).expect("it is good");
    let [fence] = &notebook.fences[..] else { panic!("one fence: {notebook:?}") };
    assert_eq!((fence.line, fence.look), (5, Look { width: 100, format: Format::Csv }));
    assert!(fence.directives.slow && fence.directives.stop.as_deref() == Some("10×? 100×?"));
    assert_eq!(fence.directives.needs.len(), 2);
    let cells: Vec<_> = fence.cells.iter().map(|cell| (cell.input.as_str(), cell.output.as_str())).collect();
    assert_eq!(cells, [("1..4 | sum\n| map it\n", "6\n› no cell\n"), ("1", "")]);
}

#[test]
fn faults_have_a_line() {
    faulty("a\n```console timelab\n› 1\n", 2, "not closed");
    faulty("```\n› 1\n", 1, "not closed");
    faulty("a\n```console timelab\n› 1\n1\n\ntext\n\n```console timelab\n› 2\n2\n```\n", 2, "not closed");
    faulty("a\n\n```rust\n1\n\n```console timelab\n› 2\n2\n```\n", 3, "not closed");
    faulty("a\n\n<!-- timelab: slow\n", 3, "comment is not closed");
    faulty("<!-- timelab: fast -->\n```console timelab\n```\n", 1, "unknown directive `fast`");
    faulty("<!-- timelab: needs=\"gpu\" -->\n```console timelab\n```\n", 1, "unknown need `gpu`");
    faulty("<!-- timelab: stop -->\n```console timelab\n```\n", 1, "question");
    faulty("```timelab\n```\n", 1, "expected a fence `console timelab`");
    faulty("```console timelab width=7\n```\n", 1, "width=20");
    faulty("```console timelab\nhello\n› 1\n```\n", 2, "expected a cell");
    faulty("```console timelab\n› 1\n1\n… | sum\n```\n", 4, "is written with a `\\`");
    faulty("<!-- timelab: slow -->\nprose\n", 1, "follows these directives");
    // What is nearly one of ours.
    for info in ["Console Timelab", "console  TimeLab width=90", "{.console .timelab}", "console-timelab"] {
        faulty(&format!("a\n\n```{info}\n› 1\n```\n"), 3, "expected a fence `console timelab`");
    }
    for comment in ["Timelab: skip", "timelab : skip", "timelab skip", "TIMELAB: needs=\"rust\""] {
        faulty(&format!("a\n<!-- {comment} -->\n```console timelab\n```\n"), 2, "directives begin with");
    }
    assert!(Notebook::parse("<!-- timelab is a shell -->\n\n```toml\ntimelab = 1\n```\n").is_ok());
}

#[test]
fn a_wrong_value_is_shown_with_its_place() {
    let (status, told) = tested(&fence("› 1..=4 | sum\n11\n"), &[]);
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("a.md:4: cell 1 differs"), "{told}");
    assert!(told.contains("- 11") && told.contains("+ 10"), "{told}");
    let (status, told) = tested(&fence("› 4 + 6\n10\n"), &[]);
    assert_eq!((status, told.contains("1 as the file says")), (0, true), "{told}");
}

#[test]
fn crlf_and_cells_that_fail_on_purpose_are_good() {
    let text = fence("› 1 + \"a\"\nerror: some error\n› 2\n2\n");
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.md", &text);
    let path = path.to_string_lossy();
    // Whatever the words are today, they are written, and then they are the same.
    assert_eq!(timelab(&["test", "--update", &path], "").status.code(), Some(0));
    let written = std::fs::read_to_string(&*path).expect("it is there");
    assert!(written.contains("error: "), "{written}");
    assert_eq!(tested(&written, &[]).0, 0);
    assert_eq!(tested(&written.replace('\n', "\r\n"), &[]).0, 0);
    assert_eq!(tested(&written.replace("error: ", "error: no "), &[]).0, 1);
}

#[test]
fn an_update_changes_what_differs_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = fence("› 4 + 6\n11\n\n› 1\n1\n").replace("# A", "#   A") + "\n  the  end\t\n";
    let path = file(folder.path(), "a.md", &text.replace('\n', "\r\n"));
    let path = path.to_string_lossy();
    let output = timelab(&["test", "--update", &path], "");
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    let written = std::fs::read_to_string(&*path).expect("it is there").replace("\r\n", "\n");
    let (before, after) = written.split_once("10\n").expect("the sum is there");
    assert_eq!(before, text.split_once("11\n").expect("it was there").0);
    assert!(after.ends_with("› 1\n1\n```\n\n  the  end\t\n"), "{after}");
}

#[test]
fn skipped_cells_are_named_with_their_reason() {
    let directives = "<!-- timelab: slow -->\n```console timelab\n› 1\n2\n```\n\n<!-- timelab: skip -->\n\
                      ```console timelab\n› 1\n2\n```\n\n<!-- timelab: needs=\"cores>=4096\" -->\n\
                      ```console timelab\n› 1\n2\n› 3\n```\n";
    let (status, told) = tested(directives, &[]);
    assert_eq!(status, 0, "{told}");
    assert!(told.contains("1 skipped (slow) · 1 skipped (skip) · 2 skipped (needs 4096 cores"), "{told}");
    assert_eq!(tested(directives, &["--slow"]).0, 1);
}

#[test]
fn a_claim_that_does_not_hold_fails_with_what_it_read() {
    let (status, told) = tested(&fence("› let n = 3\n› %check n > 2\n"), &[]);
    assert_eq!(status, 0, "{told}");
    let (status, told) = tested(&fence("› let n = 3\n› %check n > 5\n"), &[]);
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("the claim does not hold: n = 3"), "{told}");
    let (_, told) = tested(&fence("› %check 5\n"), &[]);
    assert!(told.contains("`%check` needs true or false, got int"), "{told}");
    assert!(tested(&fence("› %check null == 1\n"), &[]).1.contains("null"));
}

/// What the last of these cells prints with what was measured in it, in two runs.
#[track_caller]
fn twice(cell: &str) -> (String, String) {
    let last = || {
        let mut player = Player::fresh();
        let context = player.session.context();
        let ran = cell.split("\n› ").map(|cell| player.cell(cell, Look::default(), &context));
        ran.last().expect("there is a cell")
    };
    let (before, now) = (last().printed, last());
    let found = compare(&before, &now.printed, &now.masked);
    assert!(found.is_ok(), "{cell}\n{before}\n{}\n{found:?}", now.masked);
    (before, now.masked)
}

/// A file in which something was changed is found out.
#[track_caller]
fn caught(cell: &str, from: &str, to: &str) {
    let (before, masked) = twice(cell);
    let changed = before.replacen(from, to, 1);
    assert_ne!(before, changed, "{from} is in it:\n{before}");
    assert!(compare(&changed, &before, &masked).is_err(), "{from} → {to}\n{changed}");
}

#[test]
fn what_was_measured_may_differ_and_nothing_else() {
    let join = "%compare --for 300ms letters 2k seed 7:\n  fold: fold \"\" acc + it\n  join: join \"\"";
    caught(join, "2/2 equal", "1/2 equal");
    caught(join, "fold", "folt");
    caught("%time 1..10k | sum", " wall", " CPU");
    caught("%time 1..10k | sum", "peak heap", "peak stack");
    caught("%time 1..10k | map it * 2 | top 2", "998", "997");
    caught("%bigo --steps --for 500ms n in 64..4k: letters n | join \"\"", "O(n)", "O(n²)");
    caught("%timeit -r 20 1..1k | sum", "sample", "simple");
    caught("1..5 | map it, square = it * it", "16", "17");
    caught("1..5 | map it, square = it * it", "square", "squere");
    caught("read \"samples/words.txt\" | count", "1 row", "2 rows");
}

/// In each place of what a cell prints, a line that it never says is found, and so are words behind a line.
#[track_caller]
fn nothing_is_invented(cell: &str) {
    let (before, masked) = twice(cell);
    let lines: Vec<&str> = before.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines.insert(at, line);
        lines.join("\n") + "\n"
    };
    for at in 0..=lines.len() {
        for line in ["and it is never slower", "✓ b is 3 times faster", "baseline: 12 ms", "9 ms"] {
            let changed = with(at, line);
            assert!(compare(&changed, &before, &masked).is_err(), "{cell}\n{line}\n{changed}\n{masked}");
        }
    }
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(char::is_alphabetic)) {
        let mut lines = lines.clone();
        let longer = format!("{line} and it is never slower");
        lines[at] = &longer;
        let changed = lines.join("\n") + "\n";
        assert!(compare(&changed, &before, &masked).is_err(), "{cell}\n{changed}\n{masked}");
    }
}

/// How many rows a table has, what they are called and their order is counted: each row that is removed, doubled or
/// exchanged with the next is found.
#[track_caller]
fn rows_are_counted(cell: &str) {
    let (before, masked) = twice(cell);
    let lines: Vec<&str> = before.lines().collect();
    let is_row = |at: usize| {
        let border = lines[..at].iter().rev().find(|line| !line.starts_with('│'));
        lines[at].starts_with('│') && border.is_some_and(|border| border.starts_with('├'))
    };
    let rows: Vec<usize> = (0..lines.len()).filter(|at| is_row(*at)).collect();
    assert!(!rows.is_empty(), "{before}");
    let check = |what: &str, changed: Vec<&str>| {
        let changed = changed.join("\n") + "\n";
        if changed != before {
            assert!(compare(&changed, &before, &masked).is_err(), "{cell}: a row {what}\n{changed}\n{masked}");
        }
    };
    for at in rows {
        let mut removed = lines.clone();
        removed.remove(at);
        check("removed", removed);
        let mut doubled = lines.clone();
        doubled.insert(at, lines[at]);
        check("doubled", doubled);
        if lines.get(at + 1).is_some_and(|next| next.starts_with('│')) {
            let mut exchanged = lines.clone();
            exchanged.swap(at, at + 1);
            check("exchanged", exchanged);
        }
    }
}

#[test]
fn rows_of_measured_tables_are_counted() {
    rows_are_counted("%magnitudes");
    rows_are_counted("%mapreduce --tasks 3 --partitions 2 1..2k | count by key = it % 7");
    rows_are_counted(
        "%mapreduce --tasks 3 --partitions 2 1..2k | count by key = it % 7\n› _.tasks | map stage, task, start, lost",
    );
    rows_are_counted("%latency --only l1,int_add --for 100ms");
    rows_are_counted("%race counter --each 10k");
    rows_are_counted("%concurrency --tasks 2 --each 2ms");
    rows_are_counted("%amdahl --threads 2");
    rows_are_counted("%compare --for 200ms letters 2k seed 7:\n  fold: fold \"\" acc + it\n  join: join \"\"");
    rows_are_counted("%compare --for 200ms n in 100..400: strings only push, join");
    rows_are_counted("%async --requests 10");
}

#[test]
fn rows_of_structures_are_counted() {
    rows_are_counted("%structures growth vec push_back --n 1k");
    rows_are_counted("%structures --n 100 --kinds vec,deque --ops push_back,get");
}

#[test]
fn counts_within_measurements_are_compared() {
    let (before, masked) = twice("%bigo --steps n in 64..1k: sorting only merge, quick\n› _");
    let row = before.lines().find(|line| line.starts_with("│ merge")).expect("it has rows");
    let digit = row.rfind(|c: char| c.is_ascii_digit()).expect("it has counts");
    let other = if row[digit..].starts_with('7') { "3" } else { "7" };
    let changed = before.replacen(row, &format!("{}{other}{}", &row[..digit], &row[digit + 1..]), 1);
    assert!(compare(&changed, &before, &masked).is_err(), "{changed}\n{masked}");
    let job = "%mapreduce --tasks 3 --partitions 2 1..2k | count by key = it % 7\n› _.tasks | count by stage";
    caught(job, "│ map", "│ mop");
    caught(job, "     3 │", "     4 │");
    caught("1..5 | map it, w = counter(\"all\", it > 2)\n› _.counters", "    2 │", "    3 │");
}

#[test]
fn a_file_may_not_contradict_itself() {
    let cell = "%compare --for 500ms letters 2k seed 7:\n  fold: fold \"\" acc + it\n  join: join \"\"";
    let (before, masked) = twice(cell);
    let same = |changed: &str| compare(changed, &before, &masked).is_ok();
    let found = |what: &str, changed: String| {
        assert_ne!(changed, before, "{what}\n{before}");
        assert!(!same(&changed), "{what}\n{changed}\n{masked}");
    };
    found("the other one is faster", before.replace("join is faster than fold", "fold is faster than join"));
    found("the sentence says slower", before.replace("join is faster than fold", "join is slower than fold"));
    found("the verdict says slower", before.replace(" faster ", " slower "));
    let without = before.lines().filter(|line| !line.contains("is faster than")).collect::<Vec<_>>().join("\n");
    found("the sentence is missing", without);
    let row = |name: &str| before.lines().find(|line| line.starts_with(&format!("│ {name} "))).expect("it has a row");
    let median = |name: &str| row(name).split('│').nth(2).expect("it has a median").trim().to_string();
    let (fold, join) = (median("fold"), median("join"));
    let other = before.replacen(&fold, "\u{1}", 1).replacen(&join, &fold, 1).replacen('\u{1}', &join, 1);
    found("the medians are exchanged", other);
    let sweep = "%compare --for 300ms n in 500..2k: strings only join, format";
    let (before, masked) = twice(sweep);
    let row = before.lines().find(|line| line.starts_with("│  500 │")).expect("there is a point");
    let cells: Vec<&str> = row.split('│').collect();
    let verdict = format!("faster: format{}", " ".repeat(8));
    let changed = before.replacen(row, &format!("│{}│{}│{}│ {verdict} │", cells[1], cells[2], cells[3]), 1);
    assert!(compare(&changed, &before, &masked).is_err(), "{changed}");
}

/// The printed text with one change; a file that says so contradicts itself, whatever was measured.
#[track_caller]
fn contradicts(cell: &str, change: impl Fn(&str) -> String) {
    let (before, masked) = twice(cell);
    let changed = change(&before);
    assert_ne!(before, changed, "{before}");
    let found = compare(&changed, &before, &masked);
    assert!(found.as_ref().is_err_and(|found| found.got.concat().contains("contradict")), "{changed}\n{found:?}");
}

/// A text in which the first figure with this unit in this row has another first digit.
fn with_other_digit(text: &str, row: &str, unit: &str) -> String {
    let form = Regex::new(&format!("(?m)^({row} [^{unit}]*│ +)([0-9])([0-9.]+ ?{unit})")).expect("it is an expression");
    let other = |found: &Captures| {
        let digit = if &found[2] == "4" { "8" } else { "4" };
        format!("{}{digit}{}", &found[1], &found[3])
    };
    form.replace(text, other).into_owned()
}

#[test]
fn the_figures_of_a_file_may_not_contradict_each_other() {
    contradicts("%amdahl --threads 2", |text| with_other_digit(text, "│ +2", "%"));
    contradicts("%speedup --for 300ms --workers 1,2 1..200k | map it * it | sum", |text| {
        with_other_digit(text, "│ +2", "×")
    });
    contradicts("%contention", |text| {
        let row = text.lines().find(|line| line.contains("0.000× │")).expect("it has a row without work outside");
        let cells: Vec<&str> = row.split('│').collect();
        let start = text.find("break-even: ").expect("it says so");
        let end = start + text[start..].find('\n').expect("the line ends");
        let said = "break-even: 2 threads are faster than one even without work outside the lock";
        text.replace(&text[start..end], said)
            .replace(&[cells[1], cells[2]].join("│"), &format!("{}│ 0.500× ", cells[1]))
    });
    contradicts("%need --volume 1GB", |text| text.replacen("true", "false", 1));
    contradicts("%need --volume 1GB", |text| text.replace("one process is enough", "out of core is enough"));
    let cost =
        "%cost --dev 1h --against 5h --data 1TB --cluster \"6x4x2 1Gb\" read \"samples/kjv.txt\" | words | count";
    let engineer = Regex::new("(│ engineer .*│ +)50 │").expect("it is an expression");
    contradicts(cost, |text| engineer.replace(text, "${1}40 │").into_owned());
    contradicts(cost, |text| text.replace("this program costs ", "this program costs 1"));
    let time = "%bigo --time --for 300ms n in 64..4k: strings only push, fold";
    contradicts(time, |text| {
        let row = text.lines().find(|line| line.starts_with("│ push") && line.contains("letters")).expect("it claims");
        let cells: Vec<&str> = row.split('│').collect();
        let other = if cells[4].contains("no claim") { " O(n) │ yes " } else { " no claim │ no claim " };
        text.replacen(row, &format!("│{}│{}│{}│{other}│", cells[1], cells[2], cells[3]), 1)
    });
    contradicts("%bigo --steps n in 64..1k: sorting only merge, quick", |text| {
        text.replacen(" exponent 1.", " exponent 3.", 1)
    });
}

#[test]
fn a_sentence_is_said_once() {
    let (before, masked) = twice("%bigo --steps n in 64..1k: letters n | join \"\"");
    let line = before.lines().find(|line| line.starts_with("measured for")).expect("it says where");
    let twice_said = before.replace(line, &format!("{line}\n{line}"));
    assert!(compare(&twice_said, &before, &masked).is_err(), "{twice_said}");
    let noise = "machine noise: the times of a constant loop spread by 1.5 % (IQR), and 2.2 % of its samples take over \
                 1.5 times the median\n";
    let (before, masked) = twice("%timeit -r 10 1..1k | sum");
    let quiet: String =
        before.lines().filter(|line| !line.starts_with("machine noise")).map(|it| format!("{it}\n")).collect();
    let (start, status) = quiet.rsplit_once("\nbatch").expect("it has a status line");
    let with = |notes: &str| format!("{start}\n{notes}batch{status}");
    assert!(compare(&with(noise), &before, &masked).is_ok(), "{}\n{masked}", with(noise));
    let again = noise.replace("1.5 %", "1.7 %");
    assert!(compare(&with(&format!("{noise}{again}")), &before, &masked).is_err(), "{}", with(noise));
}

#[test]
fn columns_have_room_or_not_as_wide_as_what_was_measured() {
    let job = "%mapreduce --tasks 3 --partitions 2 1..2k | count by key = it % 7\n› _.tasks";
    for _ in 0..5 {
        twice(job);
    }
    let (before, masked) = twice(job);
    let below = before.lines().find(|line| line.starts_with("… ")).expect("some columns have no room");
    for (from, to) in [("column", "rows"), ("… ", "… 1"), (": ", ": a"), (below, "")] {
        let changed = before.replacen(below, &below.replacen(from, to, 1), 1);
        assert!(compare(&changed, &before, &masked).is_err(), "{from} → {to}\n{changed}");
    }
}

#[test]
fn a_plot_has_the_series_of_another_run() {
    let axis = |label: &str| Axis { label: label.to_string(), unit: Unit::Times, scale: Scale::Log, measured: true };
    let with = |labels: &[&str]| {
        let series = labels.iter().map(|label| {
            let points = vec![(1.0, 1.0), (2.0, 1.5), (4.0, 2.5)];
            Series { label: label.to_string(), drawn: Drawn::Line, points }
        });
        let x = Across::Numbers(axis("threads"));
        let plot =
            Plot { title: "speed-up".to_string(), x, y: axis("times"), series: series.collect(), in_table: false };
        Report { blocks: vec![Block::Plot(plot)], ..Report::default() }
    };
    let style = Look::default().style();
    let compared = |file: &[&str], run: &[&str]| {
        compare(
            &printed(&with(file), &style),
            &printed(&with(run), &style),
            &masked(&with(run), &[&["•law (model)"]], &style),
        )
    };
    assert_eq!(compared(&["measured", "law (model)"], &["measured"]), Ok(()));
    assert_eq!(compared(&["measured"], &["measured", "law (model)"]), Ok(()));
    assert!(compared(&["measured", "another law"], &["measured"]).is_err());
}

#[test]
fn a_difference_is_shown_as_it_was_printed() {
    let (status, told) = tested(&fence("› %time 1..10k | map it * 2 | top 2\n│ it │\n"), &[]);
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("998") && told.contains(" wall") && !told.contains('‹'), "{told}");
    let (before, masked) = twice("%magnitudes");
    let changed = before.replacen("│ still good", "│ still gaad", 1);
    let found = compare(&changed, &before, &masked).expect_err("it differs");
    let row = before.lines().find(|line| line.contains("│ still good")).expect("it has a row");
    let cells = |line: &str| -> Vec<String> {
        let words = |cell: &str| cell.split_whitespace().collect::<Vec<_>>().join(" ");
        line.split('│').map(words).filter(|cell| !cell.is_empty()).collect()
    };
    assert_eq!(cells(&found.got[0]), cells(row), "{found:?}");
    assert!(found.expected[0].contains("still gaad"), "{found:?}");
}

#[test]
fn behind_no_measurement_a_line_can_be_invented() {
    nothing_is_invented("%time 1..100k | sum");
    nothing_is_invented("%timeit -r 20 1..1k | sum");
    nothing_is_invented("%compare --for 200ms letters 2k seed 7:\n  fold: fold \"\" acc + it\n  join: join \"\"");
    nothing_is_invented("%compare --for 200ms n in 100..400: strings only push, join");
    nothing_is_invented("%bigo --for 300ms n in 64..4k: letters n | join \"\"");
    nothing_is_invented("%bigo --steps --for 300ms n in 64..1k: sorting only merge, quick");
    nothing_is_invented("%latency --only l1,int_add --for 100ms");
    nothing_is_invented("%race counter --each 10k");
    nothing_is_invented("%%race x = 0\na: x = x + 1\nb: x = x + 1\ncheck x == 2");
    nothing_is_invented("%prof 1..10k | map it * it | sum");
    nothing_is_invented("%prof 1..20 | map fib(it) | on rows");
    nothing_is_invented("%mapreduce --tasks 2 --partitions 2 1..2k | count by key = it % 7");
    nothing_is_invented("%concurrency --tasks 2 --each 2ms");
    nothing_is_invented("%amdahl --threads 2");
}

#[test]
fn behind_no_measurement_of_structures_a_line_can_be_invented() {
    nothing_is_invented("%structures --n 100 --kinds vec,deque --ops push_back,get");
    nothing_is_invented("%structures --n 1k --kinds vec,deque --mix push_back=50,pop_front=50");
    nothing_is_invented("%structures growth vec push_back --n 1k");
}

/// Each change of one place in a notebook is found by `timelab test`, in the cell where it stands, and nothing else is.
#[test]
fn a_mutation_of_each_kind_is_caught_in_a_file() {
    let cells = "› 1..5 | map it, square = it * it\n\
                 › %compare --for 200ms letters 2k seed 7:\n…   fold: fold \"\" acc + it\n…   join: join \"\"\n\
                 › _.agree\n\
                 › %time 1..10k | map it * 2 | top 2\n\
                 › %bigo --steps --for 300ms n in 64..4k: letters n | join \"\"\n\
                 › 1 // 0\n";
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.md", &fence(cells));
    let path = path.to_string_lossy();
    let output = timelab(&["test", "--update", &path], "");
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    let good = std::fs::read_to_string(&*path).expect("it was written");
    assert_eq!(tested(&good, &[]).0, 0, "{good}");
    let table = good.split("› %compare").next().expect("there is one").split("square = it * it\n").nth(1);
    let mutations = [
        ("a wrong value", 1, "16", "17"),
        ("a renamed column", 1, "│ square", "│ squere"),
        ("a renamed row", 2, "│ fold", "│ folt"),
        ("agreement", 2, "2/2 equal", "1/2 equal"),
        ("agree: no", 3, "\ntrue\n", "\nfalse\n"),
        ("wall for CPU", 4, " wall · ", " CPU · "),
        ("another class", 5, "O(n)", "O(n²)"),
        ("another error", 6, "division by zero", "division by one"),
        ("a removed output", 1, table.expect("it has an output"), ""),
    ];
    for (what, cell, from, to) in mutations {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good, "{what}: {from} is in it\n{good}");
        let (status, told) = tested(&changed, &[]);
        assert_eq!(status, 1, "{what}\n{changed}\n{told}");
        assert!(
            told.contains(&format!(": cell {cell} differs")) && told.contains("5 as the file says"),
            "{what}: {told}"
        );
    }
}

#[test]
fn a_removed_output_is_found() {
    let (_, masked) = twice("%time 1..10k | sum");
    assert!(compare("", "49995000\n", &masked).is_err());
    // A status line alone may be left out.
    let mut player = Player::fresh();
    let context = player.session.context();
    let ran = player.cell("1..4 | sum", Look::default(), &context);
    let value = ran.printed.lines().take(5).map(|line| format!("{line}\n")).collect::<String>();
    assert!(compare(&value, &ran.printed, &ran.masked).is_ok(), "{}", ran.masked);
}

#[test]
fn a_session_is_saved_as_a_notebook_and_runs_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.md");
    let save = format!("%save {}", path.display());
    let cells = ["let n = 4", "1..n | map it, twice = 2 * it", "1 // 0", &save];
    let arguments: Vec<&str> = ["--keep-going"].into_iter().chain(cells.iter().flat_map(|cell| ["-c", cell])).collect();
    timelab(&arguments, "");
    let text = std::fs::read_to_string(&path).expect("it was written");
    assert!(text.starts_with("```console timelab\n› let n = 4\n› 1..n | map it, twice = 2 * it\n┌"), "{text}");
    assert!(!text.contains("1 // 0"), "{text}");
    assert_eq!(tested(&text, &[]).0, 0);
    let again = format!("{save} --failed --force");
    let arguments: Vec<&str> =
        ["--keep-going"].into_iter().chain(["1 // 0", &again].iter().flat_map(|cell| ["-c", *cell])).collect();
    timelab(&arguments, "");
    let text = std::fs::read_to_string(&path).expect("it was written");
    assert!(text.contains("› 1 // 0\nerror: "), "{text}");
    assert_eq!(tested(&text, &[]).0, 0, "{text}");
}

#[test]
fn outputs_are_written_while_a_file_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = file(folder.path(), "s.txt", "1..4 | sum\n2 + 2\n");
    let saved = folder.path().join("out.md");
    let (script, saved) = (script.to_string_lossy(), saved.to_string_lossy());
    let output = timelab(&["run", &script, "--save", &saved], "");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = std::fs::read_to_string(&*saved).expect("it was written");
    assert_eq!(text.matches('›').count(), 2, "{text}");
    assert!(!out(&output).contains("1 row · ") && err(&output).contains("1 row · "), "{output:?}");
    assert_eq!(tested(&text, &[]).0, 0, "{text}");
    // A notebook keeps its prose.
    let notebook = file(folder.path(), "n.md", &fence("› 2 + 3\n"));
    std::fs::remove_file(&*saved).expect("it is there");
    assert!(timelab(&["run", &notebook.to_string_lossy(), "--save", &saved], "").status.success());
    let text = std::fs::read_to_string(&*saved).expect("it was written");
    assert!(text.starts_with("# A notebook\n\n```console timelab\n› 2 + 3\n5\n"), "{text}");
    assert_eq!(out(&timelab(&["run", &notebook.to_string_lossy()], "")), "5\n");
}

/// How often something is killed: `TIMELAB_CASES`, else a few times.
pub fn kills() -> usize {
    std::env::var("TIMELAB_CASES").ok().and_then(|times| times.parse().ok()).unwrap_or(5)
}

#[test]
fn a_kill_leaves_a_whole_notebook_with_all_cells_that_were_run() {
    const CELLS: usize = 60;
    let folder = tempfile::tempdir().expect("a folder");
    let cell = |i: usize| format!("{i} + 1000");
    let script: String = (0..CELLS).map(|i| cell(i) + "\n").collect();
    let script = file(folder.path(), "s.txt", &script);
    let out = folder.path().join("out.md");
    for round in 0..kills() {
        let mut child = Command::new(env!("CARGO_BIN_EXE_timelab"))
            .arg("run")
            .arg(&script)
            .arg("--save")
            .arg(&out)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("timelab starts");
        // At another moment each time.
        let seen = 1 + fastrand::usize(..CELLS - 2);
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        assert_eq!(lines.by_ref().take(seen).filter_map(Result::ok).count(), seen);
        (0..fastrand::usize(..2000)).for_each(|_| std::hint::spin_loop());
        child.kill().expect("it is our child");
        child.wait().expect("it was killed");
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        let notebook = Notebook::parse(&text).unwrap_or_else(|faulty| panic!("{round}: {faulty:?}\n{text}"));
        let whole = notebook.cells().filter(|(_, cell)| !cell.output.is_empty()).count();
        // Its output, of a line, is printed first.
        assert!(whole + 1 >= seen, "{round}: {whole} cells of {seen} lines\n{text}");
        for (i, (_, found)) in notebook.cells().take(whole).enumerate() {
            let value = found.output.lines().next().unwrap_or_default();
            assert_eq!((&found.input, value), (&cell(i), (i + 1000).to_string().as_str()));
        }
        let mut left: Vec<String> = std::fs::read_dir(folder.path())
            .expect("it is there")
            .map(|entry| entry.expect("it is there").file_name().to_string_lossy().into_owned())
            .filter(|name| name != "s.txt" && name != "out.md")
            .collect();
        // A kill between two calls of the system may leave one, whole; the next run is not disturbed by it.
        left.retain(|name| !name.starts_with(".timelab-"));
        assert!(left.is_empty(), "{left:?}");
        let _ = std::fs::remove_file(&out);
    }
}

#[test]
fn code_of_a_notebook_needs_trust() {
    let (status, told) = tested(&fence("› !echo hi\nhi\n"), &[]);
    assert_eq!(status, 1, "{told}");
    assert!(told.contains("--trust"), "{told}");
    assert_eq!(tested(&fence("› !echo hi\nhi\n"), &["--trust"]).0, 0);
}

#[test]
fn marks_are_not_taken_from_the_text() {
    // What looks like a mark in a result is compared as it is.
    let cell = "\"a\u{e010}b\"";
    let mut player = Player::fresh();
    let context = player.session.context();
    let ran = player.cell(cell, Look::default(), &context);
    assert!(compare("a1 msb\n", &ran.printed, &ran.masked).is_err());
}

#[test]
fn all_tutorials_are_good_notebooks() {
    for tour in timelab::magics::tour::ALL {
        let notebook = Notebook::parse(tour.text).unwrap_or_else(|faulty| panic!("{}: {faulty:?}", tour.number));
        assert!(notebook.cells().count() > 4, "{}", tour.number);
        let asks = notebook.fences.iter().filter(|fence| fence.directives.stop.is_some());
        assert!(asks.count() > 0, "{} asks nothing", tour.number);
    }
}

/// What the files say is what is printed now, on a machine that is busy with the other tests.
#[test]
fn all_tutorials_print_what_they_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::set_current_dir(root).expect("the project is there");
    let mut files: Vec<String> = std::fs::read_dir("scripts")
        .expect("it is there")
        .flatten()
        .map(|entry| entry.path().to_string_lossy().into_owned())
        .filter(|path| path.ends_with(".md"))
        .collect();
    files.sort();
    assert_eq!(files.len(), timelab::magics::tour::ALL.len());
    let mut arguments = vec!["test", "--trust"];
    arguments.extend(files.iter().map(String::as_str));
    let output = timelab(&arguments, "");
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
}

/// Text of others may hold anything.
#[test]
fn a_page_runs_and_loads_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.md");
    let text = "# T\n\n<script>alert(1)</script>\n\n![i](http://e.example/x.png) \
                [j](java\nscript:alert(1)) [k](https://k.example)\n\n\
                <!-- a\ncomment -->\n\n![near](near.svg) [l](JavaScript:alert(2)) [m](data:text/html,x)\n";
    std::fs::write(&path, text).expect("it can be written");
    let page = out(&timelab(&["export", &path.to_string_lossy(), "--to", "html", "--no-run"], ""));
    let body = page.split_once("<main>").expect("there is a body").1.to_lowercase();
    for word in ["<script", "e.example", "href=\"java", "href=\"data", "comment"] {
        assert!(!body.contains(word), "{word}: {body}");
    }
    for word in ["&lt;script&gt;", "https://k.example", "near.svg"] {
        assert!(body.contains(word), "{word}: {body}");
    }
}

#[test]
fn exports_hold_the_same_cells() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "# A & B\n\nText with `code`.\n\n```console timelab\n› 1..4 | map it, twice = 2 * it\n› 1 // 0\n```\n\n\
                <!-- timelab: hidden -->\n```console timelab\n› let secret = 7\n```\n\n```python\n1 < 2\n```\n";
    let path = file(folder.path(), "a.md", text);
    let path = path.to_string_lossy();
    let export = |to: &str| out(&timelab(&["export", &path, "--to", to], ""));
    let page = export("html");
    assert!(page.contains("<title>A &amp; B</title>") && page.contains("<td class=\"number\">3</td>"), "{page}");
    assert!(
        page.contains("<th scope=\"col\" class=\"number\">twice</th>") && page.contains("error: division by zero"),
        "{page}"
    );
    assert!(!page.contains("secret") && !page.contains("http"), "{page}");
    let jupyter = export("ipynb");
    let parsed: serde_json::Value = serde_json::from_str(&jupyter).expect("it is json");
    assert_eq!((parsed["nbformat"].as_i64(), parsed["cells"].as_array().map(Vec::len)), (Some(4), Some(5)));
    // A hidden cell is there, so that the others run, and says what it is.
    assert_eq!(parsed["cells"][3]["metadata"]["tags"], serde_json::json!(["hide-cell"]), "{jupyter}");
    assert_eq!(parsed["cells"][2]["outputs"][0]["output_type"], "error", "{jupyter}");
    let back = file(folder.path(), "a.ipynb", &jupyter);
    let back = out(&timelab(&["import", &back.to_string_lossy()], ""));
    let cells = |text: &str| -> Vec<String> {
        let notebook = Notebook::parse(text).expect("it is good");
        notebook.cells().map(|(_, cell)| cell.input.clone()).collect()
    };
    assert_eq!(cells(&back), ["1..4 | map it, twice = 2 * it", "1 // 0", "let secret = 7"]);
    assert!(back.contains("<!-- timelab: hidden -->\n```console timelab\n› let secret"), "{back}");
    assert!(back.contains("```python\n1 < 2\n```"), "{back}");
    let data: serde_json::Value = serde_json::from_str(&export("json")).expect("it is json");
    assert_eq!(data["parts"][1]["tables"][0][2]["twice"], 6);
    // The same notebook, with its directives and what is hidden.
    assert!(export("md").contains("│  3 │     6 │") && is_same_but_outputs(&export("md"), text), "{}", export("md"));
    let text = "\u{feff}# A\r\n\r\n<!-- note -->\r\n\r\n<!-- timelab: slow stop ask=\"how?\" -->\r\n\
                ```console timelab width=60\r\n› 1\r\n1\r\n```\r\n";
    let other = file(folder.path(), "b.md", text);
    assert_eq!(out(&timelab(&["export", &other.to_string_lossy(), "--to", "md", "--no-run"], "")), text);
    // Without a run, what the file says is taken.
    let kept = out(&timelab(&["export", &path, "--to", "html", "--no-run"], ""));
    assert!(!kept.contains("<td"), "{kept}");
}

#[test]
fn devices_and_links_are_not_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.md", &fence("› 1 + 1\n2\n"));
    let path = path.to_string_lossy();
    // One that this test may lose.
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.is_ok_and(|status| status.success()));
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).expect("it can be read")
    });
    let export = |to: &Path| timelab(&["export", &path, "--to", "md", "-o", &to.to_string_lossy()], "");
    assert_eq!(export(&pipe).status.code(), Some(0));
    assert!(reader.join().expect("it ends").contains("› 1 + 1"));
    assert!(std::fs::symlink_metadata(&pipe).expect("it is there").file_type().is_fifo());
    let real = file(folder.path(), "real.md", "");
    let link = folder.path().join("link.md");
    std::os::unix::fs::symlink(&real, &link).expect("a link can be made");
    assert_eq!(export(&link).status.code(), Some(0));
    assert!(std::fs::read_to_string(&real).expect("it is there").contains("› 1 + 1"));
    assert!(std::fs::symlink_metadata(&link).expect("it is there").is_symlink());
}

#[test]
fn other_code_of_jupyter_stays_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = r##"{"cells": [{"cell_type": "markdown", "source": ["# Hi\n", "there"]},
        {"cell_type": "code", "source": "print(1)", "outputs": []}],
        "metadata": {"kernelspec": {"name": "python3", "language": "python"}}, "nbformat": 4, "nbformat_minor": 4}"##;
    let path = file(folder.path(), "p.ipynb", text);
    let made = out(&timelab(&["import", &path.to_string_lossy()], ""));
    assert_eq!(made, "# Hi\nthere\n\n```python\nprint(1)\n```\n");
    let bad = timelab(&["import", &file(folder.path(), "b.ipynb", "{}").to_string_lossy()], "");
    assert_eq!(bad.status.code(), Some(1));
    assert!(err(&bad).contains("not a notebook of Jupyter"), "{}", err(&bad));
}

#[test]
fn results_of_tests_are_written_for_servers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.md", &fence("› 1 + 1\n2\n› 1 + 1\n3\n"));
    let report = folder.path().join("junit.xml");
    let arguments = ["test", "--junit", &report.to_string_lossy(), &path.to_string_lossy()];
    assert_eq!(timelab(&arguments, "").status.code(), Some(1));
    let text = std::fs::read_to_string(&report).expect("it was written");
    assert!(text.contains("tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\""), "{text}");
    for line in ["name=\"line 4: 1 + 1\"></testcase>", "name=\"line 6: 1 + 1\"><failure"] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // Several files at once, each in a process.
    let other = file(folder.path(), "b.md", &fence("› 1 + 1\n2\n"));
    let arguments = ["test", "--jobs", "2", &path.to_string_lossy(), &other.to_string_lossy()];
    let output = timelab(&arguments, "");
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("b.md: 1 cell, 1 as the file says"), "{}", out(&output));
    // One report of all, with what is wrong with a file; another file is not taken for a report.
    let broken = file(folder.path(), "c.md", "```console timelab\n› 1\n");
    let all = [&path, &other, &broken].map(|path| path.to_string_lossy().into_owned());
    let arguments = |report: &Path| -> Vec<String> {
        let flags = ["test", "--jobs", "2", "--junit"].map(str::to_string).into_iter();
        flags.chain([report.to_string_lossy().into_owned()]).chain(all.iter().cloned()).collect()
    };
    let run = |report: &Path| timelab(&arguments(report).iter().map(String::as_str).collect::<Vec<_>>(), "");
    assert_eq!(run(&report).status.code(), Some(1));
    let text = std::fs::read_to_string(&report).expect("it was written");
    let suites: Vec<&str> = text.matches("<testsuite ").collect();
    assert_eq!((suites.len(), text.matches("<testsuites>").count()), (3, 1), "{text}");
    assert!(text.contains("<testcase") && text.contains("<error message=\"line 1: this fence is not closed"), "{text}");
    assert_eq!(run(&other).status.code(), Some(2));
}

#[test]
fn a_session_that_died_is_noticed_once() {
    use timelab::autosave::Autosave;
    let folder = tempfile::tempdir().expect("a folder");
    let autosave = Autosave::at(folder.path());
    autosave.write("```console timelab\n› 1\n```\n").expect("it can be written");
    // This process lives.
    assert_eq!(autosave.notice(), None);
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(folder.path()).expect("it is there").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    // No process has such a number.
    let open = folder.path().join("session-000000000001-999999999.open.md");
    std::fs::rename(folder.path().join(&names()[0]), &open).expect("it is there");
    let lost = autosave.notice().expect("it died");
    assert_eq!((autosave.notice(), autosave.lost()), (None, Some(lost)));
    for i in 0..20 {
        file(folder.path(), &format!("session-{i:012}-1.md"), "");
    }
    autosave.end();
    assert_eq!(names().len(), 10);
}

#[test]
fn parts_that_come_and_go_do_not_differ() {
    let masked = "\u{e004}3 rows · batch · \u{e010}\n";
    let same = |file: &str| compare(file, "", masked).is_ok();
    assert!(same("3 rows · batch · 5.1 ms\n") && same(""));
    assert!(same("3 rows · compiled in 30.1 ms · batch · 5.1 ms · floats rounded\n"));
    assert!(!same("4 rows · batch · 5.1 ms\n") && !same("3 rows · batch · soon\n"));
    assert!(!same("3 rows · rows · 5.1 ms\n") && !same("3 rows · 7 lines · batch · 5.1 ms\n"));
    let masked = "\u{e002}\u{e010} wall · \u{e010} CPU · \u{e018}\n\u{e002}\u{e011} peak heap · 12 steps\n";
    let same = |file: &str| compare(file, "", masked).is_ok();
    assert!(same("1.2 ms wall · 1.1 ms CPU (0.1 ms user, 1.0 ms system)\n4.00 KiB peak heap · 12 steps\n"));
    assert!(!same("1.2 ms CPU · 1.1 ms wall · CPU-bound\n4.00 KiB peak heap · 13 steps\n"));
    assert!(!same("1.2 ms wall · CPU-bound\n4.00 KiB peak heap · 12 steps\n"));
}

#[test]
fn what_is_no_notebook_is_a_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = file(folder.path(), "s.txt", "1 + 1\n");
    let folder_md = folder.path().join("d.md");
    std::fs::create_dir(&folder_md).expect("it can be made");
    for (path, why) in [
        (script, "it is not a notebook"),
        (folder_md, "it is not a regular file"),
        (folder.path().join("none.md"), "there is no such file"),
    ] {
        let output = timelab(&["test", &path.to_string_lossy()], "");
        assert_eq!(output.status.code(), Some(1));
        assert!(out(&output).contains(why), "{}", out(&output));
    }
}

/// A wide table stands in parts, each behind the columns that name a row, and a long cell goes on in further lines: the
/// same table at another width, or with measured cells of other lengths, is the same.
#[test]
fn parts_of_a_wide_table_are_one_table() {
    let narrow = "┌──────┬──────┬────┐\n│ kind │ op   │ ns │\n├──────┼──────┼────┤\n│ vec  │ push │ 12 │\n\
                  │ vec  │ get  │  1 │\n\
                  └──────┴──────┴────┘\n┌──────┬──────┬───────────┐\n│ kind │ op   │ why       │\n\
                  ├──────┼──────┼───────────┤\n│ vec  │ push │ all move  │\n│      │      │   by one  │\n\
                  │ vec  │ get  │           │\n└──────┴──────┴───────────┘\n";
    let wide = "┌──────┬──────┬────┬─────────────────┐\n│ kind │ op   │ ns │ why             │\n\
                ├──────┼──────┼────┼─────────────────┤\n│ vec  │ push │ 12 │ all move by one │\n\
                │ vec  │ get  │  1 │                 │\n└──────┴──────┴────┴─────────────────┘\n";
    assert_eq!(compare(narrow, wide, wide), Ok(()));
    assert_eq!(compare(wide, narrow, narrow), Ok(()));
    for wrong in [narrow.replace("by one", "by two"), narrow.replace("get ", "pop ")] {
        assert!(compare(&wrong, wide, wide).is_err(), "{wrong}");
    }
}

/// Notes that only a measurement brings along may stand between others; all that is counted must be there.
#[test]
fn a_note_of_another_run_may_stand_between_others() {
    let cell = "%compare letters 200 seed 7:\n  fold: fold \"\" acc + it\n  join: join \"\"";
    let mut player = Player::fresh();
    let context = player.session.context();
    let ran = player.cell(cell, Look::default(), &context);
    let note = "letters 200 seed 7 was computed once and not timed\n";
    assert!(ran.printed.contains(note), "{}", ran.printed);
    let said = "all are timed by wall time: fold works on several threads or in several processes, which CPU time of \
                the thread does not include";
    let more = ran.printed.replace(note, &format!("{said}\n{note}"));
    assert_eq!(compare(&more, &ran.printed, &ran.masked), Ok(()));
    for wrong in
        [ran.printed.replace(note, ""), ran.printed.replace("letters 200 seed 7 was", "letters 300 seed 7 was")]
    {
        assert!(compare(&wrong, &ran.printed, &ran.masked).is_err(), "{wrong}");
    }
}

#[test]
fn long_times_are_times() {
    let cell = "%need --volume 150TB --within 24h";
    let mut player = Player::fresh();
    let context = player.session.context();
    let ran = player.cell(cell, Look::default(), &context);
    assert_eq!(compare(&ran.printed, &ran.printed, &ran.masked), Ok(()));
}

#[test]
fn tables_may_be_drawn_in_other_ways() {
    let drawn = "┌────┬────┐\n│ it │ ab │\n├────┼────┤\n│  1 │  2 │\n│  3 │  4 │\n└────┴────┘\n2 rows · batch\n";
    let others = [
        "+----+----+\n| it | ab |\n+----+----+\n| 1 | 2 |\n| 3 | 4 |\n+----+----+\n2 rows · batch\n",
        "│ it │ ab │\n│ 1 │ 2 │\n│ 3 │ 4 │\n2 rows · batch\n",
        "| it | ab |\n|----|----|\n| 1 | 2 |\n| 3 | 4 |\n2 rows · batch\n",
        "╭────┬────╮\n│ it │ ab │\n├────┼────┤\n│ 1 │ 2 │\n├────┼────┤\n│ 3 │ 4 │\n╰────┴────╯\n2 rows · batch\n",
    ];
    for other in others {
        assert_eq!(compare(other, drawn, drawn), Ok(()), "{other}");
        assert!(compare(&other.replace("4", "5"), drawn, drawn).is_err(), "{other}");
    }
    // The row that is not there is named.
    let missing = compare(&drawn.replace("│  3 │  4 │\n", ""), drawn, drawn).expect_err("a row is missing");
    assert_eq!((missing.expected, missing.got), (Vec::new(), vec!["3 │ 4".to_string()]));
}

#[test]
fn skipped_fences_are_no_output_of_a_cell() {
    let text = fence("› 1 + 1\n2\n");
    let text = format!("<!-- timelab: skip -->\n```console timelab\n› 5 // 0\n```\n\n{text}");
    let (status, told) = tested(&text, &[]);
    assert_eq!((status, told.contains("1 skipped (skip)")), (0, true), "{told}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.md", &text);
    let (path, saved) = (path.to_string_lossy(), folder.path().join("o.md"));
    let ran = timelab(&["run", &path, "--save", &saved.to_string_lossy()], "");
    assert!(err(&ran).contains("line 2: 1 cell skipped: skip"), "{}", err(&ran));
    for made in
        [std::fs::read_to_string(&saved).expect("it is there"), out(&timelab(&["export", &path, "--to", "md"], ""))]
    {
        assert!(!made.contains("skipped"), "{made}");
    }
}

#[test]
fn a_mark_of_the_byte_order_disables_nothing() {
    let text =
        "\u{feff}<!-- timelab: skip -->\n```console timelab\n› 1 // 0\n```\n\n```console timelab\n› 1 + 1\n3\n```\n";
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.md", text);
    let output = timelab(&["test", "--update", &path.to_string_lossy()], "");
    assert!(out(&output).contains("1 skipped (skip)"), "{}", out(&output));
    let written = std::fs::read_to_string(&path).expect("it is there");
    let (before, _) = text.split_once("3\n").expect("it is there");
    // Only the value, and how long it took.
    assert!(written.starts_with(&format!("{before}2\n")) && written.ends_with("```\n"), "{written}");
    let script = file(folder.path(), "s.txt", "\u{feff}2 + 3\n");
    assert_eq!(out(&timelab(&[&script.to_string_lossy()], "")), "5\n");
}

#[test]
fn fences_in_lists_and_several_directives_are_read() {
    let text = "1. first\n\n   <!-- timelab: slow -->\n   <!-- timelab: needs=\"cores>=1\" -->\n   \
                ```console timelab\n   › 1..2 | map it,\n   …   b = 2\n   wrong\n   ```\n   - deeper\n\n     \
                ```console timelab\n     › 2\n     2\n     ```\n";
    let notebook = Notebook::parse(text).expect("it is good");
    let [first, second] = &notebook.fences[..] else { panic!("{notebook:?}") };
    assert!(first.directives.slow && first.directives.needs.len() == 1);
    assert_eq!((first.cells[0].input.as_str(), second.cells[0].output.as_str()), ("1..2 | map it,\n  b = 2", "2\n"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.md", text);
    let path = path.to_string_lossy();
    assert_eq!(timelab(&["test", "--update", "--slow", &path], "").status.code(), Some(0));
    let written = std::fs::read_to_string(&*path).expect("it is there");
    assert!(written.contains("\n   …   b = 2\n   ┌") && written.contains("\n   ```\n   - deeper"), "{written}");
    assert_eq!(timelab(&["test", "--slow", &path], "").status.code(), Some(0), "{written}");
}

#[test]
fn a_file_without_cells_says_so() {
    let (status, told) = tested("# Nothing\n\n```rust\n› 1\n```\n", &[]);
    assert!(status == 1 && told.contains("there is nothing to test") && !told.contains('✓'), "{told}");
}

#[test]
fn a_claim_fails_whatever_the_file_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.md");
    let save = format!("%save {} --failed", path.display());
    timelab(&["--keep-going", "-c", "let n = 3", "-c", "%check n > 5", "-c", &save], "");
    let text = std::fs::read_to_string(&path).expect("it was written");
    assert!(text.contains("the claim does not hold"), "{text}");
    let (status, told) = tested(&text, &[]);
    assert!(status == 1 && told.contains("1 as the file says"), "{told}");
}

#[test]
fn files_of_others_and_read_only_files_are_not_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let notebook = file(folder.path(), "a.md", &fence("› 1 + 1\n"));
    let jupyter = folder.path().join("a.ipynb");
    let at = |path: &Path| path.to_string_lossy().into_owned();
    let exported = |to: &str, out: &Path, more: &[&str]| {
        timelab(&[&["export", &at(&notebook), "--to", to, "-o", &at(out)], more].concat(), "").status.code()
    };
    assert_eq!(exported("ipynb", &jupyter, &[]), Some(0));
    let commands: [(&str, Vec<String>); 6] = [
        ("run.md", vec!["run".into(), at(&notebook), "--save".into()]),
        ("o.html", ["export".into(), at(&notebook), "--to".into(), "html".into(), "-o".into()].to_vec()),
        ("o.ipynb", ["export".into(), at(&notebook), "--to".into(), "ipynb".into(), "-o".into()].to_vec()),
        ("o.json", ["export".into(), at(&notebook), "--to".into(), "json".into(), "-o".into()].to_vec()),
        ("o.md", ["export".into(), at(&notebook), "--to".into(), "md".into(), "-o".into()].to_vec()),
        ("i.md", ["import".into(), at(&jupyter), "-o".into()].to_vec()),
    ];
    for (name, command) in commands {
        let target = folder.path().join(name);
        let run = |more: &[&str]| {
            let all: Vec<&str> = command.iter().map(String::as_str).collect();
            timelab(&[&all[..], &[&at(&target)], more].concat(), "")
        };
        let read = || std::fs::read_to_string(&target).expect("it is there");
        // Its own former output is replaced, a file of somebody else is not.
        assert_eq!((run(&[]).status.code(), run(&[]).status.code()), (Some(0), Some(0)), "{name}");
        std::fs::write(&target, "mine\n").expect("it can be written");
        let refused = run(&[]);
        assert_eq!((refused.status.code(), read().as_str()), (Some(1), "mine\n"), "{name}");
        assert!(err(&refused).contains("--force"), "{}", err(&refused));
        assert_eq!(run(&["--force"]).status.code(), Some(0), "{name}");
        assert_ne!(read(), "mine\n");
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o444)).expect("it is ours");
        let refused = run(&["--force"]);
        assert_eq!(refused.status.code(), Some(1), "{name}");
        assert!(err(&refused).contains("read-only"), "{}", err(&refused));
    }
    // A link stays one, also where it points to nothing yet.
    let link = folder.path().join("link.html");
    std::os::unix::fs::symlink("later.html", &link).expect("a link can be made");
    assert_eq!(exported("html", &link, &[]), Some(0));
    assert!(link.is_symlink() && folder.path().join("later.html").is_file());
    // Nor is the file that is tested.
    let wrong = file(folder.path(), "w.md", &fence("› 1 + 1\n3\n"));
    std::fs::set_permissions(&wrong, std::fs::Permissions::from_mode(0o444)).expect("it is ours");
    assert_eq!(timelab(&["test", "--update", &at(&wrong)], "").status.code(), Some(1));
    assert!(std::fs::read_to_string(&wrong).expect("it is there").contains("\n3\n"));
}

#[test]
fn cells_of_one_cell_of_jupyter_are_split_and_text_stays_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = r##"{"cells": [
        {"cell_type": "code", "source": "1..3 | sum\n2+2", "outputs": [], "metadata": {}},
        {"cell_type": "markdown", "source": "text\n\n<!-- timelab: skip -->"},
        {"cell_type": "code", "source": "5", "outputs": [{"output_type": "error", "traceback": ["error: no"]}]},
        {"cell_type": "markdown", "source": "```console timelab\n› 666\n```\n<!-- open"},
        {"cell_type": "code", "source": "6", "outputs": []},
        {"cell_type": "markdown", "source": "~~~~ Console Timelab\n› 667"},
        {"cell_type": "code", "source": "7", "metadata": {"timelab": {"directives": "skip nonsense -->"}}}],
        "metadata": {"kernelspec": {"name": "timelab"}}, "nbformat": 4, "nbformat_minor": 5}"##;
    let path = file(folder.path(), "p.ipynb", text);
    let made = out(&timelab(&["import", &path.to_string_lossy()], ""));
    let notebook = Notebook::parse(&made).unwrap_or_else(|faulty| panic!("{faulty:?}\n{made}"));
    let cells: Vec<&str> = notebook.cells().map(|(_, cell)| cell.input.as_str()).collect();
    assert_eq!(cells, ["1..3 | sum", "2+2", "5", "6", "7"], "{made}");
    assert!(notebook.fences.iter().all(|fence| !fence.directives.skip), "{made}");
    assert!(made.contains("error: no\n"), "{made}");
}

#[test]
fn directives_looks_and_warnings_come_back_from_jupyter() {
    let text = "<!-- timelab: slow stop ask=\"how?\" needs=\"cores>=1, memory>=1MB\" -->\n\
                ```console timelab width=60 format=csv\n› 1..3 | map it\n```\n\n<!-- timelab: skip -->\n\
                ```console timelab\n› 1 + 1\n```\n";
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.md", text);
    let jupyter = out(&timelab(&["export", &path.to_string_lossy(), "--to", "ipynb"], ""));
    let back = file(folder.path(), "a.ipynb", &jupyter);
    let back = out(&timelab(&["import", &back.to_string_lossy()], ""));
    let fences = |text: &str| -> Vec<_> {
        let notebook = Notebook::parse(text).unwrap_or_else(|faulty| panic!("{faulty:?}\n{text}"));
        notebook.fences.into_iter().map(|fence| (fence.directives, fence.look)).collect()
    };
    assert_eq!(fences(&back), fences(text), "{back}");
    // A body ends with its cell, whether it says so or not.
    for end in ["", "… %%\n"] {
        let text = format!("```console timelab\n› %%race x = 0\n… a: x = x + 1\n… b: x = x + 1\n{end}› 1 + 1\n```\n");
        let race = file(folder.path(), "race.md", &text);
        let jupyter = out(&timelab(&["export", &race.to_string_lossy(), "--to", "ipynb", "--no-run"], ""));
        let back = file(folder.path(), "race.ipynb", &jupyter);
        let back = out(&timelab(&["import", &back.to_string_lossy()], ""));
        assert!(is_same_but_outputs(&back, &text), "{back}");
    }
    // A warning stands before the result.
    let shown = timelab::notebook::Shown { warnings: "warning: of it\n".to_string(), ..Default::default() };
    let output = timelab::notebook::Output { text: String::new(), shown: vec![shown] };
    let notebook = Notebook::parse("```console timelab\n› 1\n```\n").expect("it is good");
    let made = timelab::notebook::export(&notebook, &[Some(output)], timelab::notebook::Form::Ipynb);
    let made: serde_json::Value = serde_json::from_str(&made).expect("json");
    assert_eq!(made["cells"][0]["outputs"][0]["name"], "stderr");
}

#[test]
fn a_session_is_saved_for_jupyter_and_a_missing_folder_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.ipynb");
    let save = format!("%save {}", path.display());
    timelab(&["-c", "1..3 | map it, twice = 2 * it", "-c", &save], "");
    let text = std::fs::read_to_string(&path).expect("it was written");
    let made: serde_json::Value = serde_json::from_str(&text).expect("json");
    assert_eq!((made["nbformat"].as_i64(), made["cells"].as_array().map(Vec::len)), (Some(4), Some(1)), "{text}");
    assert!(made["cells"][0]["outputs"][0]["data"]["text/html"].is_array(), "{text}");
    for ending in ["md", "txt", "ipynb"] {
        let save = format!("%save {}/nodir/x.{ending}", folder.path().display());
        let told = err(&timelab(&["-c", "1", "-c", &save], ""));
        assert!(told.contains("there is no folder") && told.contains("nodir") && !told.contains(".tmp/."), "{told}");
    }
}

#[test]
fn a_file_that_grows_is_whole_after_each_step() {
    use timelab::files::{Growing, replace};
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("o.md");
    let mut text = "start, end".to_string();
    replace(&path, text.as_bytes()).expect("it can be written");
    // A file system that cannot exchange names writes the whole file each time.
    let Ok(mut growing) = Growing::new(&path, text.as_bytes()) else { return };
    let read = || std::fs::read_to_string(&path).expect("it is there");
    for step in 0..20 {
        let same = text.len() - "end".len();
        text.truncate(same);
        text.push_str(&format!("{}, end", "x".repeat(step)));
        growing.write(text.as_bytes(), same).expect("it can be written");
        assert_eq!(read(), text);
    }
    // What somebody else has put there meanwhile is not mixed with ours.
    replace(&path, b"other").expect("it can be written");
    assert!(growing.write(b"start, end", 0).is_err());
    drop(growing);
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 1);
}

#[test]
fn a_long_script_is_saved_in_linear_time() {
    // 4 000 cells would be written 4 000 times, 8 000 lines on average; what counts is that all are there at the end.
    const CELLS: usize = 4000;
    let folder = tempfile::tempdir().expect("a folder");
    let script: String = (0..CELLS).map(|i| format!("{i} + 1\n")).collect();
    let script = file(folder.path(), "s.txt", &script);
    let saved = folder.path().join("o.md");
    let ran = timelab(&["run", &script.to_string_lossy(), "--save", &saved.to_string_lossy()], "");
    assert_eq!(ran.status.code(), Some(0), "{}", err(&ran));
    let notebook = Notebook::parse(&std::fs::read_to_string(&saved).expect("it is there")).expect("it is good");
    assert_eq!(notebook.cells().filter(|(_, cell)| !cell.output.is_empty()).count(), CELLS);
}

#[test]
fn help_leads_to_the_parts_of_notebooks() {
    let parts = [
        ("jupyter", "timelab kernel install"),
        ("kernel", "timelab kernel install"),
        ("test", "timelab test FILE.md"),
        ("autosave", "%set autosave off"),
        ("import", "timelab import FILE.ipynb"),
        ("export", "timelab export FILE.md"),
        ("play", "timelab play FILE.md"),
    ];
    for (name, text) in parts {
        let told = out(&timelab(&["-c", &format!("%help {name}")], ""));
        assert!(told.contains(text), "{name}: {told}");
    }
}

#[test]
fn the_hint_of_an_export_can_be_typed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), "a.md", &fence("› !echo hi\n"));
    let told = err(&timelab(&["export", &path.to_string_lossy(), "--to", "json"], ""));
    assert!(told.contains("timelab export --to json --trust"), "{told}");
}
