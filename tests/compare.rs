//! `%timeit` and `%compare` as cells: what does not depend on how fast the machine is.

use timelab::measure::Noise;

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
    let block = "%compare --for 50ms letters 20 seed 7:\n  fold: fold \"\" acc + it\n  join:\n    | join \"\"\n  alone: letters 20 seed 7\n    | join \"\"";
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
        columns(&[&cell], &["n"]).join(" ")
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
    assert!(hidden.err.starts_with("warning: the sweep's `n` hides the name of the session\n"), "{}", hidden.err);
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
    let mut session = timelab::session::Session::new("rows", std::sync::Arc::new(|_| {}));
    session.noise = Some(Noise { spread: 0.25, disturbed: 0.0 });
    let job = session.job();
    timelab::magics::evaluate(&mut session, "%timeit -r 1 -n 1 1..3", &job);
    assert_eq!(session.noise, Some(Noise { spread: 0.25, disturbed: 0.0 }));
}

/// What a stopped cell has measured stays.
#[test]
fn a_comparison_that_was_stopped_keeps_its_turns() {
    let mut session = timelab::session::Session::new("rows", std::sync::Arc::new(|_| {}));
    let job = session.job();
    // `peek` tells each run; one of them raises the flag.
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (told, stop) = (runs.clone(), job.stop.clone());
    let say = std::sync::Arc::new(move |_: &str| {
        if told.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 200 {
            stop.raise();
        }
    });
    let job = timelab::job::Job { say, ..job };
    let cell = "%timeit -n 1 -r 100000 1..3 | peek 1 | sum";
    let evaluation = timelab::magics::evaluate(&mut session, cell, &job);
    assert!(evaluation.error.is_none(), "{:?}", evaluation.error);
    session.stop.clear();
    let job = session.job();
    let after = timelab::magics::evaluate(&mut session, "len(_.samples) > 10 and len(_.samples) < 201", &job);
    let timelab::report::Block::Value(value, _) = &after.report.blocks[0] else { panic!("a value was asked for") };
    assert_eq!(value.to_string(), "true");
}

#[test]
fn a_pipeline_joins_a_family() {
    let block = "%compare --for 10ms n in [0, 1, 20]: anagrams:\n  stages: group by key = sorted(word) | filter len(word) > 1 | map group = word";
    assert_eq!(columns(&[block], &["n"]), ["0", "1", "20"]);
    assert_eq!(printed(&[block, "_.agree"]), "true\n");
    let wrong = "%compare --for 10ms n in [20]: anagrams:\n  none: map group = [word] | filter false";
    assert_eq!(printed(&[wrong, "_.agree"]), "false\n");
}

#[test]
fn a_variant_is_not_run_at_sizes_that_take_it_too_long() {
    let verdicts = columns(&["%compare --for 10ms n in [50]: fibonacci"], &["naive"]);
    assert_eq!(verdicts, [""]);
}
