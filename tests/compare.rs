//! `%timeit` and `%compare` as cells: what does not depend on how fast the machine is.

use timelab::measure::Noise;
use timelab::show::{duration_text, lone_ratio, ratio, ratio_within};

use crate::lab::Lab;

/// The csv that the last of these cells prints.
#[track_caller]
fn printed(cells: &[&str]) -> String {
    let mut lab = Lab::new("rows");
    let mut last = String::new();
    for cell in cells {
        let printed = lab.cell(cell);
        assert_eq!(printed.err, "", "{cell}");
        last = printed.out;
    }
    last
}

/// The csv columns of the last cell, of these names.
#[track_caller]
fn columns(cells: &[&str], names: &[&str]) -> Vec<String> {
    let text = printed(cells);
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<&str>>());
    let head = lines.next().expect("there is a head");
    let place = |name: &&str| head.iter().position(|column| column == name).unwrap_or_else(|| panic!("{name}: {text}"));
    let places: Vec<usize> = names.iter().map(place).collect();
    lines.map(|line| places.iter().map(|place| line[*place]).collect::<Vec<&str>>().join(" ")).collect()
}

#[test]
fn timeit_gives_every_sample() {
    let samples = columns(&["%timeit -n 7 -r 3 1..10 | sum"], &["sample", "calls"]);
    assert_eq!(samples, ["0 7", "1 7", "2 7"]);
    assert_eq!(printed(&["%timeit -n 7 -r 3 1..10 | sum", "len(_.samples)"]), "3\n");
    let cells = ["%timeit -n 7 -r 5 1..10 | sum", "_1.median == sorted(_1.samples)[2] and _1.best <= _1.median"];
    assert_eq!(printed(&cells), "true\n");
    assert_eq!(printed(&["%timeit -n 7 -r 5 1 + 1", "_.total == _.median * 7"]), "true\n");
}

#[test]
fn setup_runs_once_and_its_names_end_with_the_magic() {
    let mut lab = Lab::new("rows");
    let printed = lab.cell("%timeit -r 2 -n 1 --setup (let hidden = 3; let t = 1..hidden) t | sum");
    assert_eq!(printed.err, "");
    assert!(lab.cell("hidden").err.starts_with("error: unknown name `hidden`"));
}

#[test]
fn a_shared_pipeline_flows_into_the_variants_that_begin_with_a_stage() {
    let block = "%compare --for 50ms letters 20 seed 7:\n  fold: fold \"\" acc + it\n  join:\n    | join \"\"\n  \
                 alone: letters 20 seed 7\n    | join \"\"";
    assert_eq!(columns(&[block], &["variant", "lines"]), ["fold 1", "join 2", "alone 2"]);
    assert_eq!(printed(&[block, "_.agree"]), "true\n");
}

#[test]
fn nobody_wins_where_results_differ() {
    let block = "%compare --for 50ms 1..100:\n  all: sum\n  half: take 50 | sum\n  also: sum";
    let found = columns(&[block], &["variant", "speedup", "verdict"]);
    assert_eq!(found, ["all  no winner", "half  different result", "also  no winner"]);
    assert_eq!(printed(&[block, "_.agree"]), "false\n");
}

#[test]
fn a_variant_that_fails_leaves_the_others() {
    let block = "%compare --for 50ms 1..100:\n  bad: map 1 // (it - 1)\n  good: map it // 1 | sum\n  same: sum";
    let found = columns(&[block], &["variant", "verdict"]);
    assert_eq!(found[0], "bad failed");
    assert_eq!(found[1], "good ·", "the first that runs is the measure");
    assert_eq!(columns(&[block], &["speedup"])[1], "1.0");
    assert_eq!(printed(&[block, "_.agree"]), "true\n");
}

#[test]
fn one_that_fails_everywhere_is_told_too() {
    let block = "%compare --for 50ms 1..10:\n  a: map 1 // (it - 1)\n  b: map 2 // (it - 2)";
    assert_eq!(columns(&[block], &["variant", "verdict"]), ["a failed", "b failed"]);
}

#[test]
fn a_sweep_has_both_its_ends() {
    let points = |sweep: &str| {
        let cell = format!("%compare --for 20ms --on rows,batch {sweep}: 1..n | sum");
        let mut points = columns(&[&cell], &["n"]);
        points.dedup();
        points.join(" ")
    };
    assert_eq!(points("n in 1..9"), "1 2 4 8 9");
    assert_eq!(points("n in 10..30 by 8"), "10 18 26 30");
    assert_eq!(points("n in 1..20 times 4"), "1 4 16 20");
    assert_eq!(points("n in [3, 2 + 3]"), "3 5");
    assert_eq!(points("n in 7..7"), "7");
}

#[test]
fn a_sweeps_name_goes_before_that_of_a_let_and_ends_with_the_magic() {
    let mut lab = Lab::new("rows");
    lab.cell("let n = 5");
    let hidden = lab.cell("%compare --for 20ms --on rows,batch n in 1..2: 1..n | sum");
    assert!(hidden.err.starts_with("warning: the sweep's `n` hides the `n` of the session\n"), "{}", hidden.err);
    assert_eq!(lab.cell("n").out, "5\n");
}

#[test]
fn an_engine_that_objects_is_a_variant_that_fails() {
    let cell = r#"%compare --for 20ms --on rows,polars letters 10 | fold "" acc + it"#;
    let found = columns(&[cell], &["variant", "verdict"]);
    assert_eq!(found, ["rows ·", "polars failed"]);
}

#[test]
fn the_machines_noise_is_measured_once() {
    let mut session = timelab::session::Session::new("rows", timelab::console::Console::default());
    session.noise = Some(Noise { spread: 0.25, disturbed: 0.0 });
    let context = session.context();
    timelab::magics::evaluate(&mut session, "%timeit -r 1 -n 1 1..3", &context);
    assert_eq!(session.noise, Some(Noise { spread: 0.25, disturbed: 0.0 }));
}

/// What a stopped cell has measured stays.
#[test]
fn a_comparison_that_was_stopped_keeps_its_turns() {
    let mut session = timelab::session::Session::new("rows", timelab::console::Console::default());
    let context = session.context();
    // `peek` tells each run; one of them raises the flag.
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (told, stop) = (runs.clone(), context.stop.clone());
    let log = std::sync::Arc::new(move |_: &str| {
        if told.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 200 {
            stop.raise();
        }
    });
    let context = timelab::run_context::RunContext { log, ..context };
    let cell = "%timeit -n 1 -r 100000 1..3 | peek 1 | sum";
    let evaluation = timelab::magics::evaluate(&mut session, cell, &context);
    assert!(evaluation.error.is_none(), "{:?}", evaluation.error);
    session.stop.clear();
    let context = session.context();
    let after = timelab::magics::evaluate(&mut session, "len(_.samples) > 10 and len(_.samples) < 201", &context);
    let timelab::report::Block::Value { value, .. } = &after.report.blocks[0] else { panic!("a value was asked for") };
    assert_eq!(value.to_string(), "true");
}

/// Evaluates a cell that is stopped as soon as `peek` shows a row with this label; then another one. What they show.
fn stopped_at(label: &'static str, cell: &str, then: &str) -> (Result<String, String>, String) {
    let mut session = timelab::session::Session::new("rows", timelab::console::Console::default());
    let context = session.context();
    let stop = context.stop.clone();
    let log = std::sync::Arc::new(move |line: &str| {
        if line.starts_with(label) {
            stop.raise();
        }
    });
    let context = timelab::run_context::RunContext { log, ..context };
    let first = timelab::magics::evaluate(&mut session, cell, &context);
    let style = timelab::show::Style { format: timelab::show::Format::Csv, ..crate::lab::PLAIN };
    let first = match first.error {
        Some(error) => Err(error.message.clone()),
        None => Ok(timelab::show::report(&first.report, &style).err),
    };
    session.stop.clear();
    let context = session.context();
    let after = timelab::magics::evaluate(&mut session, then, &context);
    assert!(after.error.is_none() || first.is_err(), "{:?}", after.error);
    (first, timelab::show::report(&after.report, &style).out)
}

#[test]
fn a_variant_that_does_not_end_is_named_and_the_others_keep_what_was_measured() {
    let endless = "1..1M | peek 1 \"endless\" | filter it < 4 | sum";
    let block = format!("%compare:\n  a: 1..4 | sum\n  b: {endless}\n  c: 1..4 | sum");
    let shown = "_ | map variant, timed = not is_null(median), ratio = not is_null(speedup), verdict";
    let (notes, after) = stopped_at("endless", &block, shown);
    let notes = notes.expect("what is known of the first is kept");
    assert_eq!(after, "variant,timed,ratio,verdict\na,true,true,·\nb,false,false,did not end\nc,false,false,not run\n");
    assert!(notes.contains("✗ b did not end: its first run was stopped after "), "{notes}");
    assert!(notes.contains("c was not run: the comparison was stopped first"), "{notes}");
    assert!(notes.contains("a time is that of one run"), "{notes}");
    // Nothing was measured before: the message names it.
    let block = format!("%compare:\n  b: {endless}\n  c: 1..4 | sum");
    let (message, _) = stopped_at("endless", &block, "1");
    let message = message.expect_err("there is nothing to keep");
    assert!(message.starts_with("stopped: the first run of b had not ended after "), "{message}");
    // In a sweep, sizes before stay as they are.
    let cell = "%compare --for 100ms n in [3, 300k]:\n  a: 1..n | count\n  b: 1..n | filter it == 200k | peek 1 \
                \"endless\" | count";
    let (notes, after) = stopped_at("endless", cell, "_ | filter n > 3 | map variant, verdict");
    assert!(after.starts_with("variant,verdict\na,·\nb,did not end\n"), "{after}{notes:?}");
}

#[test]
fn timeit_keeps_a_run_where_it_is_stopped() {
    let (notes, after) = stopped_at("endless", "%timeit 1..1M | peek 1 \"endless\" | sum", "1");
    assert!(notes.expect_err("not even a run").starts_with("stopped: the first run had not ended after"), "{after}");
}

#[test]
fn a_ratio_has_the_digits_that_its_interval_supports() {
    let plain = |text: String| text.replace('\u{202f}', "'");
    let within = |ratio, low, high| plain(ratio_within(ratio, low, high).join(" "));
    assert_eq!(within(56_724_170.0, 3.1e7, 8.4e7), "57'000'000 31'000'000 84'000'000");
    assert_eq!(within(77.3, 64.2, 85.3), "77 64 85");
    assert_eq!(within(77.32, 77.24, 77.41), "77.3 77.2 77.4");
    assert_eq!(within(1.0012, 0.9983, 1.0041), "1.001 0.998 1.004");
    assert_eq!(within(1.507, 1.1, 1.9), "1.51 1.10 1.90");
    assert_eq!(within(0.0051, 0.003, 0.0074), "0.0051 0.0030 0.0074");
    assert_eq!(within(2.0, 2.0, 2.0), "2.000 2.000 2.000");
    // Ends that are far apart keep their first digit.
    assert_eq!(within(3.0, 0.02, 900.0), "3 0.02 900");
    assert_eq!(
        [1.507, 152.3, 0.00668, 5_672_417.0].map(|x| plain(lone_ratio(x))),
        ["1.5", "150", "0.0067", "5'700'000"]
    );
}

#[test]
fn a_pipeline_joins_a_family() {
    let block = "%compare --for 10ms n in [0, 1, 20]: anagrams:\n  stages: group by key = sorted(word) \
                 | filter len(word) > 1 | map group = word";
    assert_eq!(columns(&[block], &["n", "variant"]).iter().filter(|row| row.ends_with("stages")).count(), 3);
    assert_eq!(printed(&[block, "_.agree"]), "true\n");
    let wrong = "%compare --for 10ms n in [20]: anagrams:\n  none: map group = [word] | filter false";
    assert_eq!(printed(&[wrong, "_.agree"]), "false\n");
}

#[test]
fn a_variant_is_not_run_at_sizes_that_take_it_too_long() {
    let verdicts = columns(&["%compare --for 10ms n in [50]: fibonacci"], &["variant", "verdict"]);
    assert_eq!(verdicts[0], "naive too large");
}

#[test]
fn a_body_is_timed_behind_what_its_first_line_sets_up() {
    let cell = "%%timeit -n 3 -r 4 let n = 5\nlet squares = 1..n | map it * it\nsquares\n| sum\n1..n | count\n%%";
    assert_eq!(columns(&[cell], &["calls"]), ["3", "3", "3", "3"]);
    let mut lab = Lab::new("rows");
    assert_eq!(lab.cell(cell).err, "");
    assert!(lab.cell("n").err.starts_with("error: unknown name `n`"), "names end with the magic");
}

/// `peek` tells each run.
#[test]
fn the_first_line_runs_once_and_every_pipeline_of_the_body_each_time() {
    let mut session = timelab::session::Session::new("rows", timelab::console::Console::default());
    let context = session.context();
    let cell = "%%timeit -n 1 -r 5 [1] | peek 1 \"once\"\n[2] | peek 1 \"a\"\n[3] | peek 1 \"b\"";
    let evaluation = timelab::magics::evaluate(&mut session, cell, &context);
    assert!(evaluation.error.is_none(), "{:?}", evaluation.error);
    let said = timelab::show::report(&evaluation.report, &crate::lab::PLAIN).err;
    let count = |label: &str| said.lines().filter(|line| line.starts_with(label)).count();
    assert_eq!(count("once"), 1, "{said:?}");
    assert!(count("a") >= 5 && count("a") == count("b"), "{said:?}");
}

#[test]
fn a_body_ends_at_its_mark() {
    let lab = |text: &str| {
        let mut lab = Lab::new("rows");
        timelab::lang::split(text).iter().map(|cell| lab.cell(cell)).collect::<Vec<_>>()
    };
    let printed = lab("%%timeit -n 1 -r 1\n1..3 | sum\n%%\n40 + 2");
    assert_eq!((printed.len(), printed[1].out.as_str()), (2, "42\n"));
    assert_eq!(printed[0].err, "");
    // Without the mark all that follows is of the body; asking for help has none.
    assert_eq!(timelab::lang::split("%%timeit\n1..3\n\n2").len(), 1);
    assert_eq!(timelab::lang::split("%%timeit?\n40 + 2").len(), 2);
    // As it is saved it can stand before others.
    assert_eq!(timelab::lang::split("%%timeit\n1..3")[0], "%%timeit\n1..3\n%%");
}

/// A session that keeps baselines in a folder of the test.
fn keeping() -> (Lab, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("the temporary folder can be written");
    (Lab::new("rows").keeping(&folder.path().join("baselines")), folder)
}

#[track_caller]
fn runs(lab: &mut Lab, cell: &str) -> String {
    let printed = lab.cell(cell);
    assert_eq!(printed.err, "", "{cell}");
    printed.out
}

const BLOCK: &str = "%compare --for 20ms letters 20 seed 7:\n  fold: fold \"\" acc + it\n  join: join \"\"";

#[test]
fn what_was_kept_stands_beside_what_is_measured() {
    let (mut lab, folder) = keeping();
    runs(&mut lab, BLOCK);
    assert_eq!(runs(&mut lab, "%baseline save before"), "before keeps cell 1: fold, join\n");
    let kept = std::fs::read_to_string(folder.path().join("baselines/before.json")).expect("it is a file");
    assert!(kept.contains("\"input\": \"letters 20 seed 7\"") && kept.contains("\"seed\": 0"), "{kept}");
    runs(&mut lab, &BLOCK.replace("%compare", "%compare --against before").replace("join:", "glue:"));
    // What `kept` says is what the file says; the ratio is that of the two medians.
    assert_eq!(runs(&mut lab, "_ | filter variant == \"glue\" | map new = is_null(kept)"), "new\ntrue\n");
    assert_eq!(
        runs(&mut lab, "_3 | filter variant == \"fold\" | map near = abs(since * median / kept - 1) < 0.001"),
        "near\ntrue\n"
    );
    let then: f64 = runs(&mut lab, "_3 | filter variant == \"fold\" | map kept")
        .lines()
        .nth(1)
        .expect("a row")
        .parse()
        .expect("a float");
    let median = kept.split("\"median\": ").nth(1).and_then(|rest| rest.split([',', '\n']).next());
    let median: f64 = median.expect("there is one").parse().expect("a float");
    assert!((then * 1e9 / median - 1.0).abs() < 1e-9, "{then} {median}");
    runs(&mut lab, "%timeit -n 1 -r 3 1..10 | sum");
    assert_eq!(runs(&mut lab, "%baseline save timed _"), "timed keeps cell 7: rows\n");
    assert_eq!(runs(&mut lab, "%baseline save again _1"), "again keeps cell 1: fold, join\n");
    runs(&mut lab, "%compare --against timed --for 20ms 1..10 | sum");
    assert_eq!(runs(&mut lab, "%baseline drop timed"), "timed was dropped\n");
    assert_eq!(runs(&mut lab, "%baseline\n"), runs(&mut lab, "%baseline"));
    assert_eq!(
        runs(&mut lab, "_ | map name, variants, sizes"),
        "name,variants,sizes\nagain,\"fold, join\",1\nbefore,\"fold, join\",1\n"
    );
}

#[test]
fn sizes_are_found_again() {
    let (mut lab, _folder) = keeping();
    runs(&mut lab, "%compare --for 20ms n in [10, 20]: anagrams");
    runs(&mut lab, "%baseline save small");
    runs(&mut lab, "%compare --for 20ms --against small n in [20, 40]: anagrams");
    let there = "_ | filter variant == \"pairs\" | map n, there = not is_null(since)";
    assert_eq!(runs(&mut lab, there), "n,there\n20,true\n40,false\n");
    assert_eq!(
        runs(&mut lab, "_3.variants | take 1 | map variant, claimed_time"),
        "variant,claimed_time\npairs,O(n²)\n"
    );
    let other = lab.cell("%compare --for 20ms --against small n in [40]: anagrams").err;
    assert!(
        other.starts_with("error: this sweep has none of the sizes of `small`") && other.contains("n in [10, 20]:"),
        "{other}"
    );
}

/// The warnings of a comparison that is not the one that was kept.
#[test]
fn what_is_not_as_it_was_warns() {
    let (mut lab, folder) = keeping();
    let data = folder.path().join("data.txt");
    std::fs::write(&data, "a\nb\n").expect("it can be written");
    let cell = format!("%compare --for 20ms --on rows,batch read \"{}\" | count", data.display());
    runs(&mut lab, &cell);
    runs(&mut lab, "%baseline save file");
    let against = cell.replace("%compare", "%compare --against file");
    runs(&mut lab, &against);
    std::fs::write(&data, "a\nb\nc\n").expect("it can be written");
    let err = lab.cell(&against).err;
    assert!(err.starts_with("warning: ") && err.contains("data.txt\" has changed since `file` was measured"), "{err}");
    runs(&mut lab, BLOCK);
    runs(&mut lab, "%baseline save letters");
    runs(&mut lab, "%set seed 5");
    let err = lab
        .cell(&BLOCK.replace("%compare", "%compare --against letters --clock cpu").replace("20 seed", "30 seed"))
        .err;
    for what in [
        "input: `letters 20 seed 7` then, `letters 30 seed 7` now",
        "seed: 0 then, 5 now",
        "number of rows: 20 then, 30 now",
        "clock for fold: wall then, cpu now",
    ] {
        assert!(err.contains(&format!("warning: `letters` was measured with a different {what}")), "{what}: {err}");
    }
}

/// What had no work left when it was kept has no ratio.
#[test]
fn what_had_no_work_left_is_not_held_against() {
    let (mut lab, folder) = keeping();
    runs(&mut lab, BLOCK);
    runs(&mut lab, "%baseline save before");
    let path = folder.path().join("baselines/before.json");
    let kept = std::fs::read_to_string(&path).expect("it is a file");
    assert_eq!(kept.matches("\"removed\": false").count(), 2, "{kept}");
    std::fs::write(&path, kept.replacen("\"removed\": false", "\"removed\": true", 1)).expect("it can be written");
    runs(&mut lab, &BLOCK.replace("%compare", "%compare --against before"));
    let held = "_ | map variant, none = is_null(kept) and is_null(since) and is_null(against)";
    assert_eq!(runs(&mut lab, held), "variant,none\nfold,true\njoin,false\n");
    // One of a time before that was told.
    std::fs::write(&path, kept.replace(",\n          \"removed\": false", "")).expect("it can be written");
    runs(&mut lab, &BLOCK.replace("%compare", "%compare --against before"));
    assert_eq!(runs(&mut lab, held), "variant,none\nfold,false\njoin,false\n");
}

#[test]
fn no_time_is_below_zero_and_small_ratios_keep_their_digits() {
    assert_eq!([-3e-9, -1e-13, 0.0, 4e-12].map(duration_text), ["0 ns"; 4]);
    assert_eq!([6e-12, 2.6e-10, 0.016].map(duration_text), ["0.01 ns", "0.26 ns", "16.0 ms"]);
    assert_eq!([0.0, 1.7588e-3, 0.0999, 0.5, 10.04].map(ratio), ["0.000", "0.00176", "0.0999", "0.500", "10.0"]);
}

#[test]
fn a_baseline_that_is_no_json_is_told_and_can_be_dropped() {
    let (mut lab, folder) = keeping();
    std::fs::create_dir_all(folder.path().join("baselines")).expect("it can be made");
    std::fs::write(folder.path().join("baselines/broken.json"), "{").expect("it can be written");
    let err = lab.cell("%compare --against broken 1..3 | sum").err;
    assert!(
        err.starts_with("error: the baseline `broken` cannot be read") && err.contains("%baseline drop broken"),
        "{err}"
    );
    assert!(runs(&mut lab, "%baseline").contains("broken,\"\",cannot be read"));
    runs(&mut lab, "%baseline drop broken");
}

#[test]
fn mistakes_with_baselines() {
    let (mut lab, _folder) = keeping();
    let mut err = |cell: &str| lab.cell(cell).err;
    assert!(err("%baseline save x").starts_with("error: %compare or %timeit has not measured anything yet"));
    err("%timeit -n 1 -r 2 1 + 1");
    assert!(err("%baseline save ../x").starts_with("error: `../x` cannot be used as a file name"));
    assert!(err("%baseline save x _1").contains("there are _2"));
    assert_eq!(err("%baseline save x _2"), "");
    assert!(err("%baseline save x").contains("%baseline save x --force"));
    // What is kept is what the last cell measured, never an older one instead.
    for failed in ["%timeit 1 // 0", "%compare 1..3 | smu, 1..3", "%%timeit"] {
        err(failed);
        let refused = err("%baseline save x --force");
        assert!(refused.contains("has measured nothing: it failed or was stopped"), "{failed}: {refused}");
        assert!(refused.contains("%baseline save x _2 keeps the one before"), "{failed}: {refused}");
    }
    assert_eq!(err("%baseline save x _2 --force"), "");
    err("%compare 1..3:\n  a: map it // 0\n  b: map 1 // (it - it)");
    assert!(err("%baseline save x --force").contains("has measured nothing: no variant ran to its end"));
    err("%timeit -n 1 -r 2 1 + 1");
    assert_eq!(err("%baseline save x --force"), "");
    assert!(err("%baseline svae x").contains("did you mean `save`?"));
    assert!(err("%baseline drop y").contains("did you mean `x`?"));
    assert!(err("%compare --against z 1 + 1").contains("did you mean `x`?"));
    let block = "%compare --against x 1..3:\n  a: sum\n  b: count";
    assert!(err(block).starts_with("error: the baseline `x` has `rows`, but this comparison has `a` and `b`"));
    assert!(err("%compare --against x n in 1..2: n + 1").starts_with("error: `x` was measured without a sweep"));
}

#[test]
fn a_sweep_names_the_variants_of_each_verdict() {
    let cell = "%compare --for 20ms n in [5, 6]:\n  a: 1..n | sum\n  b: 1..n | map 1 // (it - 1) | sum\n  c: \
                1..n | map 1 // (it - 2) | sum";
    let shown = "_ | filter variant != \"a\" | map n, variant, verdict";
    let failed = "n,variant,verdict\n5,b,failed\n5,c,failed\n6,b,failed\n6,c,failed\n";
    assert_eq!(printed(&[cell, shown]), failed);
}

/// What theory claims is for the shape: `sorting` has exceptions for one.
#[test]
fn claims_are_those_of_the_shape() {
    let claimed = |shape: &str| {
        let cell = format!("%compare --for 10ms --shape {shape} n in [20]: sorting");
        printed(&[&cell, "_.variants | filter variant == \"insertion\" | map claimed_time"])
    };
    assert_eq!(
        (claimed("random").as_str(), claimed("sorted").as_str()),
        ("claimed_time\nO(n²)\n", "claimed_time\nO(n)\n")
    );
}

/// The thread that samples would be timed alone, and the others would work for nothing.
#[test]
fn no_verdict_rests_on_cpu_time_where_several_threads_work() {
    let cell = "%compare --for 30ms --clock cpu --on batch,polars 1..10 | sum";
    assert_eq!(columns(&[cell], &["variant", "verdict"]), ["batch ·", "polars no verdict"]);
    assert_eq!(printed(&["%timeit --clock cpu -n 2 -r 1 1..10 | sum | on polars", "_.calls"]), "2\n");
    assert_eq!(printed(&["%timeit --clock cpu -n 2 -r 1 1..10 | sum", "_.calls"]), "2\n");
}

/// The columns of these names of the last cell, by clocks that are set by hand.
#[track_caller]
fn by_hand(cell: &str, then: &str) -> String {
    let mut lab = Lab::by_hand();
    let first = lab.cell(cell);
    assert_eq!(first.err, "", "{cell}");
    lab.cell(then).out
}

#[test]
fn timeit_by_a_clock_set_by_hand_is_exact() {
    let cell = "%timeit -r 5 -n 10 [1] | peek 1 \"700: \"";
    assert_eq!(by_hand(cell, "int(round(_.median * 1e9))"), "700\n");
    assert_eq!(by_hand(cell, "_.iqr < 1e-15 and _.best == _.median and _.calls == 10 and _.outliers == 0"), "true\n");
    // A sample of 50 µs are seven calls.
    let cell = "%timeit --for 10ms [1] | peek 1 \"7000: \"";
    assert_eq!(by_hand(cell, "int(round(_.median * 1e9))"), "7000\n");
    assert_eq!(by_hand(cell, "_.calls"), "7\n");
    // A call that waits is timed by the wall, however long it is.
    let waits = by_hand("%timeit -r 3 [1] | peek 1 \"16000000/1000000: \"", "int(round(_.median * 1e9))");
    assert_eq!(waits, "16000000\n");
    // Many short calls together are interrupted as a long one is.
    let many = by_hand("%timeit -r 3 -n 100 [1] | peek 1 \"72000/70000: \"", "int(round(_.median * 1e9))");
    assert_eq!(many, "70000\n", "it is CPU time");
    let few = by_hand("%timeit -r 3 -n 2 [1] | peek 1 \"72000/70000: \"", "int(round(_.median * 1e9))");
    assert_eq!(few, "72000\n", "it is wall time");
    let works = by_hand("%timeit -r 3 [1] | peek 1 \"1000000/990000: \"", "int(round(_.median * 1e9))");
    assert_eq!(works, "990000\n", "the clocks agree, so it is CPU time");
}

const BY_HAND: &str = "variant, ns = int(round(median * 1e9)), times = int(round(speedup * 1000)), verdict";

#[test]
fn a_comparison_by_clocks_set_by_hand_is_exact() {
    let block = "%compare --for 60ms:\n  a: [1] | peek 1 \"300000: \"\n  b: [1] | peek 1 \"200000: \"";
    let shown = format!("_ | map {BY_HAND}");
    assert_eq!(by_hand(block, &shown), "variant,ns,times,verdict\na,300000,1000,·\nb,200000,1500,faster\n");
    let base = block.replace("%compare", "%compare --base b");
    assert_eq!(by_hand(&base, &shown), "variant,ns,times,verdict\na,300000,667,slower\nb,200000,1000,·\n");
    // Each has calls of its own.
    let block = "%compare --for 30ms:\n  a: [1] | peek 1 \"7000: \"\n  b: [1] | peek 1 \"700: \"";
    assert_eq!(
        by_hand(block, "_ | map variant, ns = int(round(median * 1e9)), verdict"),
        "variant,ns,verdict\na,7000,·\nb,700,faster\n"
    );
}

/// What sleeps 15 ms and works for 1 ms takes longer than what works for 2 ms.
#[test]
fn waiting_counts_where_a_variant_waits() {
    let block =
        "%compare --for 1s:\n  works: [1] | peek 1 \"2000000: \"\n  sleeps: [1] | peek 1 \"16000000/1000000: \"";
    let shown = format!("_ | map {BY_HAND}");
    assert_eq!(by_hand(block, &shown), "variant,ns,times,verdict\nworks,2000000,1000,·\nsleeps,16000000,125,slower\n");
    // By a clock that was asked for there are figures, and no verdict.
    let cpu = block.replace("%compare", "%compare --clock cpu");
    let text = by_hand(&cpu, "_ | map variant, ns = int(round(median * 1e9)), verdict");
    assert_eq!(text, "variant,ns,verdict\nworks,2000000,·\nsleeps,1000000,no verdict\n");
}

#[test]
fn a_clock_for_each_where_all_agree() {
    let block =
        "%compare --for 500ms:\n  long: [1] | peek 1 \"1000000/990000: \"\n  short: [1] | peek 1 \"10000/9900: \"";
    let text = by_hand(block, "_ | map variant, ns = int(round(median * 1e9)), verdict");
    assert_eq!(text, "variant,ns,verdict\nlong,990000,·\nshort,10000,faster\n");
}

#[test]
fn three_variants_by_clocks_set_by_hand() {
    let block = "%compare --for 60ms:\n  a: [1] | peek 1 \"300000: \"\n  b: [1] | peek 1 \"300000: \"\n  \
                 c: [1] | peek 1 \"310000: \"";
    assert_eq!(by_hand(block, "_ | map variant, verdict"), "variant,verdict\na,·\nb,same\nc,slower\n");
}

#[test]
fn pipelines_on_one_line_are_variants() {
    let cell = "%compare --for 60ms [1] | peek 1 \"300000: \", [1] | peek 1 \"200000: \"";
    assert_eq!(by_hand(cell, "_ | map variant, verdict"), "variant,verdict\na,·\nb,faster\n");
    let cell = "%compare --for 20ms n in [3]: 1..n | sum, (1..n | concat (n..n + 1)) | count, 5";
    assert_eq!(columns(&[cell], &["variant"]), ["a", "b", "c"]);
    assert!(Lab::new("rows").cell("%compare 1..3 | sum, 1..3 |").err.contains("a stage is missing"));
    assert!(Lab::new("rows").cell("%compare 1..3 | sum,").err.starts_with("error"));
}

#[test]
fn only_chooses_variants_of_a_family() {
    let names = |cell: &str| columns(&[cell, "_.variants"], &["variant"]).join(" ");
    assert_eq!(names("%compare --for 20ms n in [50]: sorting only quick, merge"), "quick merge");
    assert_eq!(names("%compare --for 20ms n in [50]: sorting only merge:\n  mine: sort by it"), "merge mine");
    let bases = |cell: &str| printed(&[cell, "_ | map variant, base = ratio == 1.0 and is_null(low)"]);
    let bases_of_merge = "variant,base\nquick,false\nmerge,true\n";
    assert_eq!(bases("%compare --for 20ms --base merge n in [50]: sorting only quick, merge"), bases_of_merge);
    assert_eq!(bases("%compare --for 20ms n in [50]: sorting only quick, merge --base merge"), bases_of_merge);
    let err = |cell: &str| Lab::new("rows").cell(cell).err;
    let unknown = err("%compare sorting only quik, merge");
    assert!(unknown.contains("`sorting` has no variant `quik`; variants are `bubble`, `insertion`"), "{unknown}");
    assert!(unknown.contains("did you mean `quick`?"), "{unknown}");
    assert!(err("%compare sorting only quick, quick").contains("the variant `quick` is given twice"));
    assert!(err("%compare sorting only quick").contains("only one variant"));
    assert!(err("%compare sorting only quick merge").contains("separated by commas"));
    assert!(err("%compare things only a:\n  b: count\n  c: count").contains("variants of an algorithm family"));
    assert!(err("%compare --base slow sorting only quick, merge").contains("unknown variant `slow`"));
    assert!(err("%compare --base polar --on rows,polars 1..3 | sum").contains("did you mean `polars`?"));
    // It is a name like any other.
    let cell = "%compare --for 20ms letters only seed 7:\n  a: count\n  b: count";
    assert_eq!(columns(&["let only = 5", cell], &["variant"]), ["a", "b"]);
    let cell = "%compare --for 20ms letters only:\n  a: count\n  b: count";
    assert_eq!(columns(&["let only = 5", cell], &["variant"]), ["a", "b"]);
}

/// A baseline that is left out at one size is not replaced by another there.
#[test]
fn a_sweep_has_one_baseline() {
    let cell = "%compare --for 200ms n in [10, 60]: fibonacci";
    let at_60 = "_ | filter n == 60 | map variant, none = is_null(ratio), verdict";
    let text = printed(&[cell, at_60]);
    let left_out = "naive,true,too large\nmemo,true,no baseline\nsteps,true,no baseline\nmatrix,true,no baseline\n";
    assert_eq!(text, format!("variant,none,verdict\n{left_out}"));
    let base = "%compare --for 200ms --base memo n in [10, 60]: fibonacci";
    let text = printed(&[base, at_60]);
    assert!(text.contains("naive,true,too large\nmemo,false,·\n") && !text.contains("no baseline"), "{text}");
}

/// One that runs at no size, or fails at the first one, stays the baseline.
#[test]
fn a_sweep_keeps_a_baseline_that_does_not_run() {
    let note = |cell: &str| {
        let mut session = timelab::session::Session::new("rows", timelab::console::Console::default());
        let context = session.context();
        let evaluation = timelab::magics::evaluate(&mut session, cell, &context);
        let notes = evaluation.report.blocks.iter().filter_map(|block| match block {
            timelab::report::Block::Notes(notes) => Some(notes.iter().map(timelab::show::note)),
            _ => None,
        });
        notes.flatten().collect::<Vec<_>>().join("\n")
    };
    let cell = "%compare --for 40ms n in [60, 80]: fibonacci only naive, memo, steps";
    let found = printed(&[cell, "_ | map n, variant, none = is_null(ratio), verdict"]);
    let each = |n: u64| format!("{n},naive,true,too large\n{n},memo,true,no baseline\n{n},steps,true,no baseline\n");
    assert_eq!(found, format!("n,variant,none,verdict\n{}{}", each(60), each(80)));
    assert!(note(cell).contains("the baseline naive did not run at 60, 80, so there is no speed-up there"));
    let cell =
        "%compare --for 200ms n in [1, 2]:\n  a: 0..n | map it // (n - 1) | sum\n  b: 0..n | sum\n  c: 0..n | sum";
    let found = printed(&[cell, "_ | map n, variant, none = is_null(ratio) | filter variant != \"a\""]);
    assert_eq!(found, "n,variant,none\n1,b,true\n1,c,true\n2,b,false\n2,c,false\n");
    assert!(note(cell).contains("the baseline a did not run at 1, so"), "{}", note(cell));
    // Without sizes the first that runs is the baseline, and that is told.
    let cell = "%compare --for 40ms 1..100:\n  bad: map 1 // (it - 1)\n  good: sum\n  other: sum";
    assert!(note(cell).contains("bad did not run, so good is the baseline"), "{}", note(cell));
}

#[test]
fn a_sweep_has_a_row_for_each_size_and_variant() {
    let block = "%compare --for 60ms n in [1, 2]:\n  a: [1] | peek 1 \"10000: \"\n  b: [1] | peek 1 \"80000: \"";
    let shown = "_ | map n, variant, times = int(round(ratio * 1000)), verdict";
    let each = |n: u64| format!("{n},a,1000,·\n{n},b,125,slower\n");
    assert_eq!(by_hand(block, shown), format!("n,variant,times,verdict\n{}{}", each(1), each(2)));
}

/// 1 % from process to process is nothing that one process can see.
#[test]
fn less_than_one_percent_is_no_difference() {
    let block = "%compare --for 60ms:\n  a: [1] | peek 1 \"300000: \"\n  b: [1] | peek 1 \"302900: \"\n  \
                 c: [1] | peek 1 \"303100: \"";
    assert_eq!(by_hand(block, "_ | map variant, verdict"), "variant,verdict\na,·\nb,same\nc,slower\n");
}
