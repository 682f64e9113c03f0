//! `%bigo` and steps as cells: by what is counted, never by times.

use timelab::algorithms;
use timelab::console::Console;
use timelab::magics::CellStatus;
use timelab::measure::growth::{Class, Point, Question, Verdict, answer, usual};
use timelab::rust::{Counted, Uncounted, block_program};
use timelab::session::Session;

use crate::command::{err, out, timelab};
use crate::lab::{Lab, Printed};

/// What the last of these cells prints.
#[track_caller]
fn printed(cells: &[&str]) -> String {
    let mut lab = Lab::new("batch");
    let mut last = String::new();
    for cell in cells {
        let printed = lab.cell(cell);
        assert_eq!(printed.err, "", "{cell}");
        last = printed.out;
    }
    last.trim_end().to_string()
}

#[track_caller]
fn failed(cell: &str) -> String {
    let Printed { out, err } = Lab::new("batch").cell(cell);
    assert_eq!(out, "", "{cell}");
    err
}

/// The steps of a pipeline at one size, as `%time` tells them.
#[track_caller]
fn steps(pipeline: &str) -> i64 {
    let mut lab = Lab::new("rows");
    let timed = lab.cell(&format!("%time {pipeline}"));
    assert_eq!(timed.err, "");
    lab.cell("_.steps").out.trim().parse().expect("steps are a number")
}

#[test]
fn each_unit_of_work_has_its_cost() {
    // Three rows go into the result.
    assert_eq!(steps("1..4"), 3);
    // They pass a stage, which has an operator.
    assert_eq!(steps("1..4 | map it + 1"), 3 + 3 + 3);
    // They pass a sort, are compared twice, and are moved.
    assert_eq!(steps("1..4 | sort by it"), 3 + 3 + 2 + 3);
    assert_eq!(steps("1..4 | reverse"), 3 + 3 + 3);
    // Each is taken in and probes a hash table.
    assert_eq!(steps("1..4 | distinct"), 3 + 3 + 3);
    // Three pairs are made, and go into the result.
    assert_eq!(steps("1..4 | pairs"), 3 + 3 + 3);
    // Both sides pass and probe; three rows are joined.
    assert_eq!(steps("1..4 | join (1..4) on it"), 3 + 2 * 3 + 2 * 3 + 3);
    // An aggregate of each row, and one row of result.
    assert_eq!(steps("1..4 | sum"), 3 + 3 + 1);
    // Bytes that are copied: 16 letters are 2 steps where they are made, and 2 where they are joined.
    assert_eq!(steps("letters 16 | join \"\""), 16 + 16 + 2 + 2 + 1);
    // An element that is looked at.
    assert_eq!(steps("[1] | map it in [7, 8, 9]"), 1 + 1 + 1 + 3);
}

/// `%bigo --steps` of a pipeline, and the class that it claims.
#[track_caller]
fn claims(subject: &str, class: &str) {
    let class = if class.is_empty() { "null".to_string() } else { class.to_string() };
    assert_eq!(printed(&[&format!("%bigo --steps {subject}"), "_.class"]), class, "{subject}");
}

#[test]
fn the_class_of_steps_is_named() {
    claims("n in 16..512: 1..n | pairs | filter a + b == 10 | count", "O(n²)");
    claims("n in 64..4k: letters n | fold \"\" acc + it", "O(n²)");
    claims("n in 64..4k: letters n | join \"\"", "O(n)");
    claims("n in 64..8k: random n | sort by it", "O(n log n)");
    claims("n in 64..8k: 1..n | map it * it | filter it % 3 == 1 | sum", "O(n)");
    claims("n in 64..8k: 1..100 | map it * n | sum", "O(1)");
    claims("n in 8..64: 1..n | pairs | join (1..n | map a = it) on a | count", "O(n²)");
    claims("n in 2..32: 1..n | flat_map range(0, n) | flat_map range(0, n) | count", "O(n³)");
}

#[test]
fn a_recursive_function_is_exponential() {
    let fib = "fn fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)";
    let bigo = "%bigo --steps n in 2..24: fib(n)";
    assert_eq!(printed(&[fib, bigo, "_.class"]), "O(cⁿ)");
    assert_eq!(printed(&[fib, bigo, "_.c > 1.6 and _.c < 1.64"]), "true");
}

#[test]
fn a_row_for_each_variant_and_size() {
    let block = "%bigo --steps n in [10, 20, 40]:\n  one: 1..n | sum\n  two: 1..n | reverse";
    let rows = "variant,n,steps\none,10,19\none,20,39\none,40,79\ntwo,10,27\ntwo,20,57\ntwo,40,117";
    assert_eq!(printed(&[block]), rows);
    assert_eq!(printed(&[block, "_ | count"]), "count\n6");
    assert_eq!(printed(&[block, "_.growth | map variant, class"]), "variant,class\none,\ntwo,");
}

#[test]
fn sizes_are_those_that_were_asked_for() {
    let sizes =
        |sweep: &str| printed(&[&format!("%bigo --steps {sweep} 1..n | count"), "_ | map text(n) | join \" \""]);
    assert_eq!(sizes("n in 10..80:"), "n\n10 14 20 28 40 57 80");
    assert_eq!(sizes("n in 10..50 by 20:"), "n\n10 30 50");
    assert_eq!(sizes("n in 1..64 times 8:"), "n\n1 8 64");
    assert_eq!(sizes("n in [40, 10, 20, 10]:"), "n\n10 20 40");
}

#[test]
fn what_is_no_subject_says_so() {
    assert!(failed("%bigo 1..1000 | sum").contains("the subject does not use `n`"));
    assert!(failed("%bigo 1..1000 | sum").contains("%bigo 1..n | sum"));
    assert!(failed("%bigo k in 1..8: 1..n | sum").contains("does not use `k`"));
    assert!(failed("%bigo").contains("needs a subject"));
    assert!(failed("%bigo n").contains("`n` is the size, and here is nothing that depends on it"));
    assert!(failed("%bigo n").contains("%bigo 1..n | sort by it"));
    assert!(failed("%bigo n in 8..1: 1..n | sum").contains("the sweep ends at 1"));
    assert!(failed("%bigo n in []: 1..n | sum").contains("no points"));
    assert!(failed("%bigo --case worst 1..n | sum").contains("algorithm family"));
    assert!(failed("%bigo --shape sorted 1..n | sum").contains("algorithm family"));
    assert!(failed("%bigo --case bad sorting").contains("expected `--case` best, average or worst, got `bad`"));
    assert!(failed("%bigo --case worst --shape sorted sorting").contains("both choose the input"));
    assert!(failed("%bigo n in 1..8: 1..n | map it + \"a\"").contains("error"));
}

#[test]
fn a_failure_on_the_way_claims_nothing() {
    let mut lab = Lab::new("batch");
    let found = lab.cell("%bigo --steps n in 1..4k: 1..n | map 1 // (100 - it) | sum");
    assert!(found.err.is_empty(), "{}", found.err);
    assert_eq!(lab.cell("_1.class").out.trim(), "null");
    assert!(lab.cell("_1.sizes > 5 and _1.sizes < 16").out.contains("true"));
}

#[test]
fn few_sizes_claim_nothing() {
    claims("n in [1, 2, 4]: 1..n | sum", "");
    claims("n in [100, 101, 102, 103, 104, 105]: 1..n | sum", "");
}

/// A program that counts, of this text.
#[track_caller]
fn counting(text: &str) -> Counted {
    let context = context();
    Counted::start(text, &context).unwrap_or_else(|why| match why {
        Uncounted::Because(why) => panic!("{why}"),
        Uncounted::Stopped(_) => panic!("nobody stopped it"),
    })
}

fn context() -> timelab::run_context::RunContext {
    Session::new("batch", Console::default()).context()
}

/// The class of the steps of a block of Rust, at the usual sizes up to `most`.
#[track_caller]
fn rust_claims(most: i64, body: &str, class: Class) {
    let mut program = counting(&block_program("n", body));
    let context = context();
    let point = |n: i64| {
        let counts = program.count(&n.to_string(), &context).unwrap_or_else(|error| panic!("{error:?}"));
        Point { n: n as f64, cost: counts.steps().max(1.0) }
    };
    let points: Vec<Point> = usual(most).into_iter().map(point).collect();
    assert_eq!(answer(Question::Steps, &points).verdict, Verdict::Class(class), "{body}");
}

#[test]
fn the_steps_of_rust_are_counted() {
    rust_claims(4_000, "let mut v = Vec::new(); for i in 0..n { v.insert(0, i) } v.len()", Class::Quadratic);
    rust_claims(100_000, "std::hint::black_box(n) + 1", Class::Constant);
    rust_claims(
        1_000_000,
        "let mut left = n; let mut count = 0; while left > 0 { left /= 2; count += 1 } count",
        Class::Log,
    );
    let loops = "let mut sum = 0; for i in 0..n { for j in 0..n \
                 { for k in 0..n { sum = std::hint::black_box(sum ^ i ^ j ^ k) } } } sum";
    rust_claims(128, loops, Class::Cubic);
    rust_claims(
        24,
        "fn fib(n: i64) -> i64 { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } } fib(n)",
        Class::Exponential,
    );
    rust_claims(
        50_000,
        "let mut v: Vec<i64> = (0..n).map(|i| i * 7919 % 10007).collect(); v.sort(); v",
        Class::Linearithmic,
    );
}

#[test]
fn the_space_of_rust_is_heap_and_stack() {
    let deep = "fn down(n: i64) -> i64 { if n == 0 { 0 } else { std::hint::black_box(down(n - 1)) + 1 } } down(n)";
    let mut program = counting(&block_program("n", deep));
    let mut at = |n: i64| program.count(&n.to_string(), &context()).unwrap_or_else(|error| panic!("{error:?}"));
    let (few, many) = (at(1_000), at(101_000));
    assert_eq!((few.peak, many.peak, many.allocations), (0.0, 0.0, 0.0));
    assert!((1.6e6..2e7).contains(&(many.stack - few.stack)), "{} {}", few.stack, many.stack);
    let mut program = counting(&block_program("n", "std::hint::black_box(Vec::<u8>::with_capacity(n as usize)).len()"));
    let counts = program.count("5000", &context()).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!((counts.peak, counts.allocations, counts.allocated), (5000.0, 1.0, 5000.0));
}

/// What a block keeps for its next call is not there for the next size.
#[test]
fn each_size_of_a_block_starts_anew() {
    let keeps = "static KEPT: std::sync::Mutex<Vec<i64>> = std::sync::Mutex::new(Vec::new());
        let mut kept = KEPT.lock().unwrap();
        kept.extend(0..n);
        kept.iter().map(|i| std::hint::black_box(*i)).sum::<i64>()";
    let mut program = counting(&block_program("n", keeps));
    let mut at = |n: i64| program.count(&n.to_string(), &context()).unwrap_or_else(|error| panic!("{error:?}")).steps();
    let (first, large, again) = (at(100), at(10_000), at(100));
    assert_eq!(first, again);
    assert!(large > 50.0 * first, "{first} {large}");
}

/// Programs that were not used for long go, once all together have too many bytes; those used last stay.
#[test]
fn programs_that_count_do_not_pile_up() {
    let cache = tempfile::tempdir().expect("there is room for a folder");
    let counted = cache.path().join("timelab").join("counted");
    let hour = std::time::Duration::from_secs(3600);
    let folder = |name: &str, megabytes: u64, hours: u32| {
        let folder = counted.join(name);
        std::fs::create_dir_all(&folder).expect("it is new");
        std::fs::File::create(folder.join("main")).and_then(|file| file.set_len(megabytes << 20)).expect("it is new");
        let then = std::time::SystemTime::now() - hour * hours;
        std::fs::File::open(&folder).and_then(|folder| folder.set_modified(then)).expect("it is ours");
        folder
    };
    let (old, older, oldest) = (folder("a", 30, 2), folder("b", 30, 3), folder("c", 1, 4));
    let context = format!("{}", cache.path().display());
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args([
            "--format",
            "csv",
            "-c",
            "%bigo --steps n in 8..64: rust with n { (0..n).map(std::hint::black_box).sum::<i64>() }",
        ])
        .args(["-c", "_.class"])
        .env("XDG_CACHE_HOME", &context)
        .output()
        .expect("it starts");
    assert!(out(&output).ends_with("O(n)\n"), "{}", err(&output));
    // 64 MiB hold 30 + 30 and a new one; nothing behind the first that has no room stays.
    assert_eq!((old.is_dir(), older.is_dir(), oldest.is_dir()), (true, true, true));
    let large = folder("d", 40, 1);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["-c", "%bigo --steps n in 8..64: rust with n { (0..n + 1).map(std::hint::black_box).sum::<i64>() }"])
        .env("XDG_CACHE_HOME", &context)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!((large.is_dir(), old.is_dir(), older.is_dir(), oldest.is_dir()), (true, false, false, false));
}

/// What nothing uses is not computed, and it is said.
#[test]
fn what_is_not_computed_is_named() {
    let said = notes("%bigo --steps n in 16..512: 1..n | map it * it | count");
    assert!(said.contains("the result does not use `it * it`: it is not computed"), "{said}");
    let said = notes("%bigo --steps n in 16..512: 1..n | derive a = it * it, b = it + 1 | derive c = a * 2 | sum b");
    assert!(said.contains("does not use `it * it`, `a * 2`: they are not computed"), "{said}");
    for used in ["map it * it | sum", "map it * it | filter it > 3 | count", "map it | count", "sort by it % 3 | count"]
    {
        let said = notes(&format!("%bigo --steps n in 16..512: 1..n | {used}"));
        assert!(!said.contains("does not use"), "{used}: {said}");
    }
}

/// Nobody asked for steps, but they grow: the time is constant only as far as it was seen.
#[test]
fn a_time_that_only_seems_constant_is_no_claim() {
    let cell = "%bigo --time --for 1s n in 16..1k: 1..200000 + n | map it * it | filter it % 3 == 1 | sum";
    assert_eq!(printed(&[cell, "_.class"]), "null");
}

#[test]
fn what_cannot_be_counted_says_why() {
    let Err(Uncounted::Because(why)) = Counted::start(&block_program("n", "unknown(n)"), &context()) else {
        panic!("it does not compile")
    };
    assert!(why.contains("does not compile separately"), "{why}");
    let mut program = counting(&block_program("n", "if n > 2 { panic!() } n"));
    assert!(program.count("1", &context()).is_ok());
    assert!(program.count("3", &context()).is_err());
    // One that ends the process.
    let mut program = counting(&block_program("n", "std::process::exit(0)"));
    assert!(program.count("1", &context()).is_err());
}

/// Each family is a program of its own, free of the shell.
#[test]
fn all_families_compile_as_programs_that_count() {
    for family in algorithms::ALL {
        let facts = family.facts();
        let text = family.counted().unwrap_or_else(|| panic!("{} is written in another way", facts.name));
        let mut program = counting(&text);
        let shapes = family.shapes();
        for claims in family.variants().iter().filter(|claims| !claims.threaded) {
            for (shape, _) in &shapes {
                let line = format!("{} {shape} 4 7", claims.name);
                let counts = program.count(&line, &context()).unwrap_or_else(|error| panic!("{line}: {error:?}"));
                assert!(counts.counters > 0.0, "{} {line}", facts.name);
            }
        }
    }
}

/// Whether the steps of these variants are of these classes, at the usual sizes up to `most`.
#[track_caller]
fn family_claims(name: &str, shape: &str, most: i64, classes: &[(&str, Class)]) {
    let family = algorithms::find(name).expect("the family is there");
    let mut program = counting(&family.counted().expect("it can be counted"));
    let context = context();
    for (variant, class) in classes {
        let point = |n: i64| {
            let counts = program.count(&format!("{variant} {shape} {n} 0"), &context);
            Point { n: n as f64, cost: counts.unwrap_or_else(|error| panic!("{error:?}")).steps().max(1.0) }
        };
        let points: Vec<Point> = usual(most).into_iter().map(point).collect();
        assert_eq!(answer(Question::Steps, &points).verdict, Verdict::Class(*class), "{name} {variant}");
    }
}

#[test]
fn families_are_counted() {
    use Class::{Linear, Linearithmic, Quadratic};
    let strings = [("fold", Quadratic), ("format", Quadratic), ("push", Linear), ("join", Linear)];
    family_claims("strings", "letters", 16_384, &strings);
    let anagrams = [("pairs", Quadratic), ("pairs_counted", Quadratic), ("sorted_key", Linear), ("count_key", Linear)];
    family_claims("anagrams", "mixed", 2_048, &anagrams);
    let sorting = [("bubble", Quadratic), ("insertion", Quadratic), ("merge", Linearithmic), ("stable", Linearithmic)];
    family_claims("sorting", "random", 4_096, &sorting);
    family_claims("sorting", "sorted", 4_096, &[("insertion", Linear)]);
}

#[test]
fn threads_do_not_lose_each_others_counts() {
    family_claims("prefix_sums", "random", 1 << 14, &[("threads", Class::Linear)]);
    family_claims("matrices", "random", 128, &[("threads", Class::Cubic)]);
}

#[test]
fn n_results_for_each_of_n_factorial_are_factorial() {
    let all = ["inserted", "picked", "swapped", "heap", "next"].map(|name| (name, Class::Factorial));
    family_claims("permutations", "shuffled", 9, &all);
}

#[test]
fn no_class_means_no_exponent() {
    // From 100 on it does the same.
    let cell = "%bigo --steps --for 500ms n in 2..64k: 1..(if n < 100 then n else 100) | sum";
    for field in ["class", "exponent", "low", "high", "c"] {
        assert_eq!(printed(&[cell, &format!("_.{field}")]), "null", "{field}");
    }
    let exponents = printed(&[cell, "_.growth | filter is_null(exponent) | count"]);
    assert!(exponents.contains('1'), "{exponents}");
}

#[test]
fn an_unknown_shape_is_a_mistake_of_the_line() {
    let error = failed("%bigo --shape foo sorting");
    assert!(error.starts_with("error: `sorting` has no shape `foo`"), "{error}");
}

#[test]
fn a_family_has_its_claims_beside_it() {
    let found = printed(&[
        "%bigo --steps --for 300ms --case best sorting only insertion",
        "_.claims | map variant, shape, claimed",
    ]);
    assert_eq!(found, "variant,shape,claimed\ninsertion,sorted,O(n)");
}

/// What a cell of `%bigo` says below its table.
fn notes(cell: &str) -> String {
    Lab::new("batch").notes(cell)
}

/// Lines may begin below zero, and what is allocated grows in steps.
#[test]
fn short_sweeps_are_called_by_their_class() {
    claims("n in 2..64: 1..n | sort by it | count", "O(n)");
    claims("n in [0, 1, 2, 4, 8, 16, 32]: 1..n | sum", "O(n)");
    claims("n in 2..64: 1..n | reverse | count", "O(n)");
    // Through the program, whose allocator counts.
    let allocs = |subject: &str| {
        let output = timelab(&["--format", "csv", "-c", &format!("%bigo --allocs {subject}"), "-c", "_.class"], "");
        out(&output).lines().last().expect("it prints the class").to_string()
    };
    assert_eq!(allocs("n in 4..64: 1..n | sum"), "null");
    assert_eq!(allocs("n in 64..8k: letters n | join \"\""), "O(n)");
    // Its rows come in portions, each of which is a step: whatever is said is not another class.
    assert!(["O(n)", "null"].contains(&allocs("n in 64..8k: 1..n | map it * it").as_str()));
}

#[test]
fn few_sizes_are_told_in_words() {
    let said = notes("%bigo --steps n in [8]: 1..n | sum");
    assert!(said.contains("1 size was measured, but at least 5 are needed"), "{said}");
    assert!(said.contains("only, at 1 size"), "{said}");
}

/// Where a size fails, every question that was asked has its line.
#[test]
fn a_failure_leaves_no_question_without_a_line() {
    let said = notes("%bigo --for 200ms n in 1..4k: 1..n | map 1 // (100 - it) | sum");
    for question in ["time", "steps", "space", "allocs"] {
        let line = said.lines().find(|line| line.starts_with(question)).unwrap_or_else(|| panic!("{question}: {said}"));
        assert!(line.contains("no claim · n = 128 failed"), "{line}");
    }
}

/// One size of Rust never returns: nothing is claimed, and the others are kept.
#[test]
fn what_does_not_end_claims_nothing() {
    let subject = "rust with n { let mut n = std::hint::black_box(n); while n > 20 { n = std::hint::black_box(n) } n }";
    let bigo = format!("%bigo --time --for 1s n in 1..64: {subject}");
    let output = timelab(&["--format", "csv", "-c", &bigo, "-c", "_1 | count", "-c", "_1.class"], "");
    let said = err(&output);
    assert!(said.contains("time    no claim · n = 23 did not end within 2.00 s"), "{said}");
    // 1, 2, 3, 4, 6, 8, 11, 16.
    assert!(out(&output).ends_with("count\n8\nnull\n"), "{}", out(&output));
}

/// One variant that fails at once takes nothing from the others.
#[test]
fn a_variant_that_fails_leaves_the_others() {
    let mut lab = Lab::new("batch");
    let evaluation = lab.evaluate("%bigo --steps n in 1..64:\n  bad: 0..n | map 1 // it | sum\n  good: 1..n | sum");
    assert!(evaluation.error.is_none(), "{evaluation:?}");
    assert_eq!(evaluation.status, CellStatus::Failed);
    assert_eq!(lab.cell("_1.growth | filter variant == \"good\" | map class").out, "class\nO(n)\n");
}

/// An algorithm knows no stop flag: its process is ended, and the sizes that are done are kept.
#[test]
fn a_stop_ends_an_algorithm() {
    let mut lab = Lab::new("batch");
    let said = lab.notes_stopped_at("%bigo --time --for 60s n in [64, 128, 30000]: sorting only bubble", "samples");
    assert!(said.contains("time    no claim · stopped"), "{said}");
    assert_eq!(lab.cell("_1.sizes").out, "3\n");
    // The next one has a process again.
    assert_eq!(lab.cell("%bigo --allocs --for 1s n in [64, 128]: sorting only bubble").err, "");
    assert_eq!(lab.cell("_ | map n").out, "n\n64\n128\n");
}

#[test]
fn a_stop_is_no_lack_of_time() {
    let mut lab = Lab::new("batch");
    let said = lab.notes_stopped_at("%bigo --time --for 20s n in 1..1M: 1..n | map it * it | sum", "samples");
    assert!(said.contains("time    no claim · stopped"), "{said}");
    assert!(!said.contains("lack of time"), "{said}");
    assert!(said.contains("stopped: the sizes measured so far are kept"), "{said}");
}
