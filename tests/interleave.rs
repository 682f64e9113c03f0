//! The explorer of race programs: counts against combinatorics, litmus tests against their published verdicts, random
//! programs against an enumeration written apart, and real threads against what is possible.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use timelab::interleave::{self, Count, Exploration, Limit, Model, Program, Rounds, Verdict, explore, replay};

const MOST_STATES: usize = 300_000;

#[track_caller]
fn program(text: &str) -> Program {
    interleave::read(text).unwrap_or_else(|problem| panic!("{text}\n{problem:?}"))
}

fn explored(program: &Program, model: Model) -> Exploration {
    explore(program, model, MOST_STATES, &|| false)
}

/// Outcomes with their numbers of schedules.
#[track_caller]
fn outcomes(text: &str, model: Model) -> BTreeMap<String, u128> {
    let program = program(text);
    let found = explored(&program, model);
    let counted = found.outcomes.iter().map(|outcome| match outcome.schedules {
        Some(Count::Exact(ways)) => (program.ending_text(&outcome.ending, text), ways),
        other => panic!("{other:?}"),
    });
    counted.collect()
}

fn schedules(text: &str) -> Count {
    explored(&program(text), Model::Sc).schedules.expect("all of it was explored")
}

/// Whether some schedule fails, under each model.
fn fails(text: &str) -> [bool; 3] {
    let program = program(text);
    Model::ALL.map(|model| {
        let found = explored(&program, model);
        assert_eq!(found.limit, None, "{text}");
        found.outcomes.iter().any(|outcome| outcome.verdict != Verdict::Passes)
    })
}

#[test]
fn schedules_of_atomic_steps_are_binomial_coefficients() {
    let mut expected = 1u128;
    for k in 1..=20u128 {
        // C(2k, k) from C(2k - 2, k - 1).
        expected = expected * (2 * k) * (2 * k - 1) / (k * k);
        let text = format!("x = 0\n a: repeat {k} {{ fetch_add(x, 1) }}\n b: repeat {k} {{ atomic {{ x += 1 }} }}");
        assert_eq!(schedules(&text), Count::Exact(expected), "{text}");
    }
    // Three threads: 9! / (2! 3! 4!)
    let text = "x = 0\n a: repeat 2 { fetch_add(x, 1) }\n b: repeat 3 { swap(x, 1) }\n c: repeat 4 { let r = x }";
    assert_eq!(schedules(text), Count::Exact(1260));
    // An increment is a read and a write.
    assert_eq!(schedules("x = 0\n a: repeat 3 { x = x + 1 }\n b: repeat 3 { x += 1 }"), Count::Exact(924));
    assert_eq!(schedules("x = 0\n a: x = x + 1\n b: x = 2 * x + x"), Count::Exact(10));
    // A number that 64 bits do not hold: C(80, 40).
    let text = "x = 0\n a: repeat 40 { fetch_add(x, 1) }\n b: repeat 40 { fetch_add(x, 1) }";
    assert_eq!(schedules(text), Count::Exact(107_507_208_733_336_176_461_620));
}

#[test]
fn the_lost_update_has_six_schedules_two_of_each_outcome() {
    let text = "x = 0\n  up: x = x + 1\n  down: x = x - 1\n  check x == 0";
    let expected = [("x=-1", 2), ("x=0", 2), ("x=1", 2)].map(|(name, ways)| (name.to_string(), ways));
    assert_eq!(outcomes(text, Model::Sc), BTreeMap::from(expected));
    let program = program(text);
    let failing = explored(&program, Model::Sc).failing.expect("it can fail");
    assert_eq!((failing.choices.len(), failing.switches, failing.is_smallest), (4, 2, true));
}

/// The least that two threads of ten increments can leave is 2, and only an exhaustive search finds it: 8 schedules of
/// 137,846,528,820.
#[test]
fn the_rarest_outcome_is_found() {
    let text = "x = 0\n a: repeat 10 { x += 1 }\n b: repeat 10 { x += 1 }\n check x > 2";
    let ways = outcomes(text, Model::Sc);
    assert_eq!((ways["x=2"], ways["x=20"]), (8, 184_756));
    assert_eq!(ways.values().sum::<u128>(), 137_846_528_820);
    let failing = explored(&program(text), Model::Sc).failing.expect("it can fail");
    assert_eq!((failing.choices.len(), failing.switches), (40, 5));
}

/// Names and shapes: Alglave, Maranget, Tautschnig, "Herding cats", 2014; verdicts: Sewell and others, "x86-TSO", 2010,
/// and the SPARC manual for PSO.
#[test]
fn litmus_tests_have_their_published_verdicts() {
    let all = [
        ("SB", "a: x = 1; let r = y", "b: y = 1; let s = x", "", "a.r == 0 and b.s == 0", [false, true, true]),
        ("MP", "a: x = 1; y = 1", "b: let r = y; let s = x", "", "b.r == 1 and b.s == 0", [false, false, true]),
        ("LB", "a: let r = x; y = 1", "b: let s = y; x = 1", "", "a.r == 1 and b.s == 1", [false; 3]),
        ("S", "a: x = 2; y = 1", "b: let r = y; x = 1", "", "b.r == 1 and x == 2", [false, false, true]),
        ("R", "a: x = 1; y = 1", "b: y = 2; let r = x", "", "y == 2 and b.r == 0", [false, true, true]),
        ("2+2W", "a: x = 1; y = 2", "b: y = 1; x = 2", "", "x == 1 and y == 1", [false, false, true]),
        (
            "IRIW",
            "a: x = 1\n b: y = 1",
            "c: let r = x; let s = y",
            "d: let t = y; let u = x",
            "c.r == 1 and c.s == 0 and d.t == 1 and d.u == 0",
            [false; 3],
        ),
        ("CoRR", "a: x = 1", "b: let r = x; let s = x", "", "b.r == 1 and b.s == 0", [false; 3]),
        (
            "WRC",
            "a: x = 1",
            "b: let r = x; y = 1",
            "c: let s = y; let t = x",
            "b.r == 1 and c.s == 1 and c.t == 0",
            [false; 3],
        ),
        // What makes them safe again.
        (
            "SB+fence",
            "a: x = 1; fence; let r = y",
            "b: y = 1; fence; let s = x",
            "",
            "a.r == 0 and b.s == 0",
            [false; 3],
        ),
        (
            "SB+seqcst",
            "a: store(x, 1); let r = y",
            "b: store(y, 1); let s = x",
            "",
            "a.r == 0 and b.s == 0",
            [false; 3],
        ),
        ("SB+swap", "a: swap(x, 1); let r = y", "b: swap(y, 1); let s = x", "", "a.r == 0 and b.s == 0", [false; 3]),
        (
            "SB+release",
            "a: store(x, 1, release); let r = load(y, acquire)",
            "b: store(y, 1, release); let s = load(x, acquire)",
            "",
            "a.r == 0 and b.s == 0",
            [false, true, true],
        ),
        (
            "MP+release",
            "a: x = 1; store(y, 1, release)",
            "b: let r = load(y, acquire); let s = x",
            "",
            "b.r == 1 and b.s == 0",
            [false; 3],
        ),
        (
            "MP+fence",
            "a: x = 1; fence release; y = 1",
            "b: let r = y; let s = x",
            "",
            "b.r == 1 and b.s == 0",
            [false; 3],
        ),
        // Stores are kept in order, but nobody waits for them.
        (
            "SB+fence release",
            "a: x = 1; fence release; let r = y",
            "b: y = 1; fence release; let s = x",
            "",
            "a.r == 0 and b.s == 0",
            [false, true, true],
        ),
        (
            "SB+release behind",
            "a: store(x, 1, relaxed); store(z, 1, release); let r = load(y, acquire)",
            "b: store(y, 1, relaxed); store(w, 1, release); let s = load(x, acquire)",
            "",
            "a.r == 0 and b.s == 0",
            [false, true, true],
        ),
        (
            "2+2W+release",
            "a: x = 1; store(y, 2, release)",
            "b: y = 1; store(x, 2, release)",
            "",
            "x == 1 and y == 1",
            [false; 3],
        ),
        (
            "MP+relaxed",
            "a: store(x, 1, relaxed); store(y, 1, relaxed)",
            "b: let r = y; let s = x",
            "",
            "b.r == 1 and b.s == 0",
            [false, false, true],
        ),
    ];
    for (name, one, two, three, forbidden, expected) in all {
        let text = format!("x = 0, y = 0, z = 0, w = 0\n {one}\n {two}\n {three}\n check not ({forbidden})");
        assert_eq!(fails(&text), expected, "{name}: sc, tso, pso");
    }
}

#[test]
fn locks_waits_and_atomics_work_under_every_model() {
    let safe = [
        "x = 0\n a: lock m { x = x + 1 }\n b: lock m { x = x - 1 }\n check x == 0",
        "x = 0\n a: atomic { x = x + 1 }\n b: atomic { x = x - 1 }\n check x == 0",
        "x = 0\n a: fetch_add(x, 3)\n b: fetch_sub(x, 3)\n check x == 0",
        "x = 0\n a: let done = false; while not done { let r = x; done = cas(x, r, r + 1) }\n \
         b: let done = false; while not done { let r = x; done = cas(x, r, r + 1) }\n check x == 2",
        "x = 0, got = 0\n a: lock m { x = 1; notify m }\n b: lock m { while x == 0 { wait m }; got = x }\n \
         check got == 1",
        "n = 0, x = 0\n a: lock m { x = 1; notify_all m }\n b: lock m { while x == 0 { wait m }; n += 1 }\n \
         c: lock m { while x == 0 { wait m }; n += 1 }\n check n == 2",
        "x = 0\n a: if try_lock(m) { x += 1; unlock m }\n b: if try_lock(m) { x += 1; unlock m }\n check x >= 1",
        "x = [0, 0]\n a: x[0] += 1\n b: x[1] += 1\n check x[0] == 1 and x[1] == 1",
    ];
    for text in safe {
        assert_eq!(fails(text), [false; 3], "{text}");
        let found = explored(&program(text), Model::Sc);
        let uses_plain = text.contains("let r = x");
        assert_eq!(found.data_races.is_empty(), !uses_plain, "{text}");
        assert_eq!(found.livelock, None, "{text}");
    }
    // The same without what makes them safe.
    for text in [
        "x = 0\n a: lock m { x = x + 1 }\n b: lock n { x = x - 1 }\n check x == 0",
        "x = 0, got = 0\n a: x = 1; lock m { notify m }\n b: if x == 0 { lock m { wait m } }\n got = 1",
        "n = 0, x = 0\n a: lock m { x = 1; notify m }\n b: lock m { while x == 0 { wait m }; n += 1 }\n \
         c: lock m { while x == 0 { wait m }; n += 1 }\n check n == 2",
    ] {
        let text = text.replace("\n got = 1", "");
        assert!(fails(&text)[0], "{text}");
    }
}

#[test]
fn a_data_race_is_told_apart_from_a_race_condition() {
    // A race condition without a data race: every access is atomic, and the update is lost all the same.
    let text = "x = 0\n a: let r = load(x); store(x, r + 1)\n b: let r = load(x); store(x, r + 1)\n check x == 2";
    let found = explored(&program(text), Model::Sc);
    assert!(found.data_races.is_empty() && found.failing.is_some());
    // A data race without a race condition: both write the same.
    let text = "x = 0\n a: x = 1\n b: x = 1\n check x == 1";
    let found = explored(&program(text), Model::Sc);
    assert!(found.data_races.len() == 1 && found.failing.is_none());
    // Two reads do not race, and neither do two elements.
    let found = explored(&program("x = [0, 0], y = 0\n a: x[0] = y\n b: x[1] = y"), Model::Sc);
    assert!(found.data_races.is_empty());
    // A plain access races with an atomic one.
    let found = explored(&program("x = 0\n a: x = 1\n b: atomic { x = 2 }"), Model::Sc);
    assert_eq!(found.data_races.len(), 1);
}

#[test]
fn deadlocks_and_livelocks_are_found_and_told_apart() {
    let text = "\n a: lock m { lock n { } }\n b: lock n { lock m { } }";
    let ways = outcomes(text, Model::Sc);
    assert_eq!(ways["deadlock: a waits for n (held by b), b waits for m (held by a)"], 2);
    assert_eq!(ways.values().sum::<u128>(), 6);
    // A thread that takes its own lock again.
    assert!(outcomes("\n a: lock m; lock m", Model::Sc).contains_key("deadlock: a waits for m, which it holds itself"));
    // Three philosophers: 6 of 312 schedules.
    let text =
        "e = 0\n p: lock a { lock b { e += 1 } }\n q: lock b { lock c { e += 1 } }\n r: lock c { lock a { e += 1 } }";
    let ways = outcomes(text, Model::Sc);
    let stuck = ways.iter().find(|(name, _)| name.starts_with("deadlock")).expect("they can block each other");
    assert_eq!((*stuck.1, ways.values().sum::<u128>()), (6, 312));

    let polite =
        "a = 1, b = 1\n p: while b == 1 { a = 0; a = 1 }\n   a = 0\n q: while a == 1 { b = 0; b = 1 }\n   b = 0";
    let found = explored(&program(polite), Model::Sc);
    let livelock = found.livelock.expect("both can be polite for ever");
    assert_eq!((livelock.inescapable, livelock.threads), (false, vec![0, 1]));
    assert_eq!(found.schedules, Some(Count::Infinite));
    // Neither can ever go on.
    let found = explored(
        &program("go = 0, x = 0\n a: while go == 0 { }\n    x = 1\n b: while x == 0 { }\n    go = 1"),
        Model::Sc,
    );
    assert!(found.livelock.expect("they wait for each other").inescapable && found.outcomes.is_empty());
    // Waiting for a thread that goes on is no livelock: a fair schedule ends it. Nor is a store that is on its way.
    for model in Model::ALL {
        let found = explored(&program("go = 0, x = 0\n a: while go == 0 { yield }\n    x = 1\n b: go = 1"), model);
        assert_eq!((found.livelock, found.schedules), (None, Some(Count::Infinite)), "{model:?}");
    }
    // Peterson's lock holds under SC; store buffers break it.
    let peterson = "f = [0, 0], turn = 0, n = 0\n a: f[0] = 1; turn = 1\n    while f[1] == 1 and turn == 1 { }\n    \
                    n += 1; assert n == 1; n -= 1; f[0] = 0\n b: f[1] = 1; turn = 0\n    \
                    while f[0] == 1 and turn == 0 { }\n    n += 1; assert n == 1; n -= 1; f[1] = 0";
    assert_eq!(fails(peterson), [false, true, true]);
    let fenced = peterson
        .replace("turn = 1\n", "turn = 1; fence\n")
        .replace("turn = 0\n    while", "turn = 0; fence\n    while");
    assert_eq!(fails(&fenced)[..2], [false, false]);
}

#[test]
fn limits_are_admitted() {
    let text = "x = 0\n a: repeat 20 { x += 1 }\n b: repeat 20 { x += 1 }\n check x >= 2";
    let found = explore(&program(text), Model::Sc, 1_000, &|| false);
    assert_eq!((found.limit, found.states, found.schedules), (Some(Limit::States(1_000)), 1_000, None));
    assert!(found.outcomes.iter().all(|outcome| outcome.schedules.is_none() && outcome.share.is_none()));
    // Random schedules reach an end even there.
    assert!(!found.outcomes.is_empty());
    let failing = explore(&program(&text.replace(">= 2", "== 40")), Model::Sc, 1_000, &|| false).failing;
    assert!(!failing.expect("most schedules lose something").is_smallest);
    // Stores without end fill any buffer.
    let found = explored(&program("x = 0\n a: while true { x = 1 }"), Model::Tso);
    assert_eq!(found.limit, Some(Limit::Buffer));
    let found = explore(&program(text), Model::Sc, MOST_STATES, &|| true);
    assert_eq!(found.limit, Some(Limit::Stopped));
}

#[test]
fn what_goes_wrong_inside_a_thread_is_an_outcome() {
    for (text, expected) in [
        ("x = 1, y = 0\n a: y = 10 // x\n b: x = 0", "division by zero in a"),
        ("x = [1, 2], i = 0\n a: x[i] = 5\n b: i = 2", "index 2 is out of range (2 values) in a"),
        ("x = [1, 2], i = 0\n a: x[i] = 5\n b: i = -1", "index -1 is out of range (2 values) in a"),
        ("x = 9223372036854775807\n a: x += 1\n b: x = 0", "overflow of a 64-bit int in a"),
        ("x = 9223372036854775807\n a: fetch_add(x, 1)\n b: x = 0", "overflow of a 64-bit int in a"),
        ("x = 0\n a: lock m\n b: unlock m", "unlock of m, which a holds, in b"),
        ("x = 0\n a: lock m { }\n b: unlock m", "unlock of m, which no thread holds, in b"),
        ("x = 0\n a: lock m { }\n b: wait m", "`wait m` without holding m in b"),
        ("x = 0\n a: x = 1\n b: assert x  ==  1", "`assert x == 1` failed in b"),
        ("x = 0\n a: x = 1; while true { yield }", "no step in 100000 operations, as in an endless loop, in a"),
        (
            "x = 0\n a: atomic { while x == 0 { } }\n b: x = 1",
            "no step in 100000 operations, as in an endless loop, in a",
        ),
    ] {
        let all = outcomes(text, Model::Sc);
        assert!(all.contains_key(expected), "{text}\n{all:?}");
    }
    // A branch that is never taken may divide by zero.
    assert_eq!(outcomes("x = 0\n a: if x != 0 { x = 1 // 0 }", Model::Sc), BTreeMap::from([("x=0".to_string(), 1)]));
}

#[test]
fn expressions_mean_what_they_do_elsewhere() {
    for (e, value) in [
        ("7 // 2", "3"),
        ("-7 // 2", "-4"),
        ("7 // -2", "-4"),
        ("-7 % 2", "1"),
        ("7 % -2", "-1"),
        ("2 + 3 * 4", "14"),
        ("2 - 3 - 4", "-5"),
        ("-(2 + 3)", "-5"),
        ("1_000 + 2k", "3000"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("if 1 < 2 then 5 else 6", "5"),
        ("1 < 2 and not 2 < 1 or false", "true"),
        ("true == (1 != 2)", "true"),
        // Only what is needed is evaluated.
        ("1 == 2 and 1 // 0 == 1", "false"),
        ("1 == 1 or 1 // 0 == 1", "true"),
    ] {
        let text = format!("\n a: let r = {e}");
        assert_eq!(outcomes(&text, Model::Sc), BTreeMap::from([(format!("a.r={value}"), 1)]), "{e}");
    }
}

#[test]
fn mistakes_say_what_is_wrong_and_where() {
    for (text, wrong, message) in [
        ("x = 0\n a: y = 1", "y", "`y` is not declared"),
        ("x = 0\n a: x = y + 1", "y", "`y` is not declared"),
        ("x = 0\n a: x = 1\n check a.r == 1", "a.r", "there is no register `a.r`"),
        ("x = 0\n a: let r = 1\n b: x = a.r", "a.r", "`a.r` can only be read by `check`"),
        ("x = 0\n a: let x = 1", "x", "`x` is a shared variable, not a register"),
        ("x = 0\n a: lock x { }", "x", "`x` is a shared variable, not a lock"),
        ("x = 0\n a: unlock m", "m", "no thread ever takes the lock `m`"),
        ("x = 0\n a: x = true", "true", "`x` expects an int, got a bool"),
        ("x = 0\n a: if x { }", "x", "`if` expects a bool, got an int"),
        ("x = 0\n a: x = 1 + true", "1 + true", "`+` cannot combine an int and a bool"),
        ("x = 0\n a: let r = 1; r = true", "r", "`r` holds an int, got a bool"),
        ("x = 0\n a: x = 1 / 2", "/", "race programs have no `/`, because their numbers are ints"),
        ("x = 0\n a: x = 1 < 2 < 3", "<", "comparisons cannot be chained"),
        ("x = [1, 2]\n a: x = 1", "x", "`x` is an array of 2 values, not an int"),
        ("x = 1\n a: x[0] = 1", "x[0]", "`x` is an int, not an array"),
        ("x = [1, 2]\n a: x[2] = 1", "2", "index 2 is out of range: `x` has 2 values"),
        ("x = 0, x = 1\n a: x = 1", "x", "`x` is declared twice"),
        ("x = 0\n a: x = 1\n a: x = 2", "a", "two threads are called `a`"),
        ("x = 0\n", "", "expected a thread: `NAME: statements`"),
        ("x = \n a: x = 1", "a", "expected an int, got `a`"),
        ("x = 0\n a: repeat 3 { x = 1", "{", "this `{` is not closed"),
        ("x = 0\n a: repeat 3 { x = 1\n b: x = 2", "{", "this `{` is not closed"),
        ("x = 0\n a: repeat 1001 { }", "1001", "`repeat` runs at most 1000 times, got 1001"),
        ("x = 0\n a: repeat x { }", "x", "expected the number of repetitions, an int, got `x`"),
        ("x = 0\n a: lokc m { }", "lokc", "unknown statement `lokc`"),
        ("x = 0\n a: x = laod(x)", "laod", "unknown function `laod`"),
        ("x = 0\n a: store(x, 1, relese)", "relese", "unknown memory order `relese`"),
        ("x = 0\n a: let r = load(x, release)", "release", "`load` cannot be `release`"),
        ("x = 0\n a: store(x, 1, acquire)", "acquire", "`store` cannot be `acquire`"),
        ("x = 0\n a: let r = store(x, 1)", "store", "`store` is a statement and has no value"),
        ("x = 0\n a: atomic { lock m { } }", "m", "`lock` cannot be used inside `atomic`: the whole block is one step"),
        (
            "x = 0\n a: x = 1\n check swap(x, 1) == 0",
            "swap(x, 1)",
            "`check` can only read: it runs when all threads are done",
        ),
        ("x = 0\n a: let lock = 1", "lock", "`lock` is a keyword and cannot be the name of a register"),
        ("x = 0\n a: x = 1 x = 2", "x", "expected `;` or a new line after a statement, got `x`"),
        (
            "x = 0\n a: x = 99999999999999999999",
            "99999999999999999999",
            "`99999999999999999999` does not fit into a 64-bit int",
        ),
        (
            "x = 0\n a: x = 9223372036854775808",
            "9223372036854775808",
            "9223372036854775808 does not fit into a 64-bit int",
        ),
        ("x = 0\n a: x = ä$", "$", "unexpected character `$`"),
        ("x = 0\n  a: x = 1\n b: x = 2", "b", "this line is indented less than the first"),
        ("x = 0\n a: b: x = 2", ":", "expected `=`, `+=` or `-=` after `b`, got `:`"),
        ("x = 0 a: x = 1", "a", "expected `,` or the end of the line, got `a`"),
    ] {
        let problem = interleave::read(text).expect_err(text);
        assert_eq!((problem.message.as_str(), &text[problem.span.start..problem.span.end]), (message, wrong), "{text}");
    }
    let nine: String = (0..9).map(|thread| format!(" t{thread}: x = 1\n")).collect();
    assert_eq!(interleave::read(&format!("x = 0\n{nine}")).expect_err("nine threads").message, "more than 8 threads");
    let deep = format!("x = 0\n a: x = {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(interleave::read(&deep).expect_err("deep").message, "nested more than 100 levels deep");
    let longest = format!("x = 0\n a: x = 1{}", " + 1".repeat(1_000));
    assert!(interleave::read(&longest).is_ok());
    let long = format!("x = 0\n a: x = 1{}", " + 1".repeat(5_000));
    assert_eq!(interleave::read(&long).expect_err("long").message, "more than 1000 operators in one expression");
    let large = format!("x = 0\n a: x = 1{}", "; x = 1".repeat(20_000));
    assert!(interleave::read(&large).expect_err("large").message.starts_with("the program is too large"));
}

/// Cutting a program anywhere gives another one or a mistake, never a panic.
#[test]
fn no_text_panics() {
    let text = "x = 0, a = [1, -2]\n up: let r = x  # why\n   if r == 0 and not (a[r] < 1) { x += 1 } \
                else if r > 2 { wait m }\n   lock m { cas(x, r, r + 1); notify_all m }; store(x, 1, release)\n \
                down: fence acquire; while x != 0 { yield }\n check x == 0 or up.r == 1";
    for (at, _) in text.char_indices() {
        let _ = interleave::read(&text[..at]);
        let _ = interleave::read(&text[at..]);
        for other in ["}", "{", "(", ")", ";", "\n", " :", "=", "ß", "9", "check ", "[", "."] {
            if let Ok(program) = interleave::read(&format!("{}{other}{}", &text[..at], &text[at..])) {
                explore(&program, Model::Pso, 200, &|| false);
            }
        }
    }
}

/// A statement of a random program, in the test's own words.
#[derive(Debug, Clone)]
enum Small {
    Write(usize, i64),
    Release(usize, i64),
    SeqCst(usize, i64),
    Copy(usize, usize),
    Increment(usize),
    FetchAdd(usize, i64),
    Fence,
    FenceRelease,
    IfZero(usize, usize, i64),
    Locked(usize),
    Read(usize, usize),
}

const VARIABLES: [&str; 3] = ["x", "y", "z"];

impl Small {
    fn text(&self) -> String {
        let v = |at: &usize| VARIABLES[*at];
        match self {
            Small::Write(to, value) => format!("{} = {value}", v(to)),
            Small::Release(to, value) => format!("store({}, {value}, release)", v(to)),
            Small::SeqCst(to, value) => format!("store({}, {value})", v(to)),
            Small::Copy(to, from) => format!("{} = {}", v(to), v(from)),
            Small::Increment(to) => format!("{} += 1", v(to)),
            Small::FetchAdd(to, value) => format!("fetch_add({}, {value})", v(to)),
            Small::Fence => "fence".to_string(),
            Small::FenceRelease => "fence release".to_string(),
            Small::IfZero(on, to, value) => format!("if {} == 0 {{ {} = {value} }}", v(on), v(to)),
            Small::Locked(to) => format!("lock m {{ {} += 1 }}", v(to)),
            Small::Read(register, from) => format!("let r{register} = {}", v(from)),
        }
    }
}

/// What one thread does next, as single steps of the enumeration.
#[derive(Debug, Clone)]
enum Bit {
    Store(usize, Value, Strength),
    /// Into the thread's scratch register.
    Load(usize),
    LoadInto(usize, usize),
    Add(usize, i64),
    Fence,
    FenceRelease,
    Lock,
    Unlock,
    /// Skips the next bit unless the scratch register is 0. It takes no step.
    UnlessZeroSkip,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Const(i64),
    Scratch(i64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Strength {
    Plain,
    Release,
    SeqCst,
}

fn bits(thread: &[Small]) -> Vec<Bit> {
    let plain = Strength::Plain;
    thread
        .iter()
        .flat_map(|small| match *small {
            Small::Write(to, value) => vec![Bit::Store(to, Value::Const(value), plain)],
            Small::Release(to, value) => vec![Bit::Store(to, Value::Const(value), Strength::Release)],
            Small::SeqCst(to, value) => vec![Bit::Store(to, Value::Const(value), Strength::SeqCst)],
            Small::Copy(to, from) => vec![Bit::Load(from), Bit::Store(to, Value::Scratch(0), plain)],
            Small::Increment(to) => vec![Bit::Load(to), Bit::Store(to, Value::Scratch(1), plain)],
            Small::FetchAdd(to, value) => vec![Bit::Add(to, value)],
            Small::Fence => vec![Bit::Fence],
            Small::FenceRelease => vec![Bit::FenceRelease],
            Small::IfZero(on, to, value) => {
                vec![Bit::Load(on), Bit::UnlessZeroSkip, Bit::Store(to, Value::Const(value), plain)]
            }
            Small::Locked(to) => {
                vec![Bit::Lock, Bit::Load(to), Bit::Store(to, Value::Scratch(1), plain), Bit::Unlock]
            }
            Small::Read(register, from) => vec![Bit::LoadInto(register, from)],
        })
        .collect()
}

/// The state of the enumeration: nothing is shared with the explorer, and no state is ever recognised.
#[derive(Clone)]
struct Naive {
    memory: [i64; 3],
    at: Vec<usize>,
    scratch: Vec<i64>,
    registers: Vec<[i64; 2]>,
    holder: Option<usize>,
    /// Place, value and the time after how many releases of its thread each was made.
    buffers: Vec<VecDeque<(usize, i64, usize)>>,
    releases: Vec<usize>,
}

fn enumerate(threads: &[Vec<Bit>], model: Model, state: Naive, found: &mut BTreeMap<(Vec<i64>, bool), u128>) {
    let mut moved = false;
    for thread in 0..threads.len() {
        let mut next = state.clone();
        while let Some(Bit::UnlessZeroSkip) = threads[thread].get(next.at[thread]) {
            next.at[thread] += if next.scratch[thread] == 0 { 1 } else { 2 };
        }
        let Some(bit) = threads[thread].get(next.at[thread]) else { continue };
        let empty = next.buffers[thread].is_empty();
        let waits = match bit {
            Bit::Store(_, _, Strength::SeqCst) | Bit::Add(..) | Bit::Fence | Bit::Unlock => !empty,
            Bit::Lock => !empty || next.holder.is_some(),
            Bit::Store(..) | Bit::Load(_) | Bit::LoadInto(..) | Bit::FenceRelease | Bit::UnlessZeroSkip => false,
        };
        if waits {
            continue;
        }
        moved = true;
        next.at[thread] += 1;
        let read = |state: &Naive, from: usize| {
            let own = state.buffers[thread].iter().rev().find(|(to, ..)| *to == from);
            own.map_or(state.memory[from], |(_, value, _)| *value)
        };
        match *bit {
            Bit::Store(to, value, strength) => {
                let value = match value {
                    Value::Const(value) => value,
                    Value::Scratch(more) => next.scratch[thread] + more,
                };
                if model == Model::Sc || strength == Strength::SeqCst {
                    next.memory[to] = value;
                } else {
                    next.releases[thread] += usize::from(strength == Strength::Release);
                    next.buffers[thread].push_back((to, value, next.releases[thread]));
                }
            }
            Bit::Load(from) => next.scratch[thread] = read(&next, from),
            Bit::LoadInto(register, from) => next.registers[thread][register] = read(&next, from),
            Bit::Add(to, value) => next.memory[to] += value,
            Bit::Fence => {}
            Bit::FenceRelease => next.releases[thread] += 1,
            Bit::Lock => next.holder = Some(thread),
            Bit::Unlock => next.holder = None,
            Bit::UnlessZeroSkip => unreachable!("it was skipped"),
        }
        enumerate(threads, model, next, found);
    }
    for thread in 0..threads.len() {
        let mut seen = HashSet::new();
        for at in 0..state.buffers[thread].len() {
            let (to, value, releases) = state.buffers[thread][at];
            let may_drain = match model {
                Model::Sc | Model::Tso => at == 0,
                Model::Pso => seen.insert(to) && releases == state.buffers[thread][0].2,
            };
            if may_drain {
                moved = true;
                let mut next = state.clone();
                next.buffers[thread].remove(at);
                next.memory[to] = value;
                enumerate(threads, model, next, found);
            }
        }
    }
    if !moved {
        let values = state.memory.iter().copied().chain(state.registers.iter().flatten().copied()).collect();
        // What is left may be a branch that is not taken.
        let left = |bits: &[Bit], at: usize| bits.len().saturating_sub(at);
        let is_done = threads.iter().zip(&state.at).all(|(bits, at)| match bits.get(*at) {
            Some(Bit::UnlessZeroSkip) => left(bits, *at) == 2,
            bit => bit.is_none(),
        });
        *found.entry((values, is_done)).or_default() += 1;
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

/// Two or three threads of a few statements.
fn random_threads(dice: &mut Dice, steps: usize) -> Vec<Vec<Small>> {
    let threads = 2 + dice.below(2);
    let mut left = steps;
    let mut all: Vec<Vec<Small>> = vec![Vec::new(); threads];
    let mut registers = vec![0; threads];
    for turn in 0..threads * 3 {
        let thread = turn % threads;
        let (to, from, value) = (dice.below(3), dice.below(3), 1 + dice.below(3) as i64);
        let (small, cost) = match dice.below(13) {
            0 | 1 => (Small::Write(to, value), 2),
            2 => (Small::Release(to, value), 2),
            3 => (Small::SeqCst(to, value), 1),
            4 => (Small::Copy(to, from), 3),
            5 => (Small::Increment(to), 3),
            6 => (Small::FetchAdd(to, value), 1),
            7 => (Small::Fence, 1),
            8 => (Small::IfZero(from, to, value), 3),
            9 => (Small::Locked(to), 5),
            10 => (Small::FenceRelease, 1),
            _ if registers[thread] < 2 => {
                registers[thread] += 1;
                (Small::Read(registers[thread] - 1, from), 1)
            }
            _ => (Small::Fence, 1),
        };
        if cost > left {
            break;
        }
        left -= cost;
        all[thread].push(small);
    }
    // Every thread has both registers, so that all outcomes are alike.
    for (thread, used) in registers.into_iter().enumerate() {
        for register in used..2 {
            all[thread].insert(0, Small::Read(register, 0));
        }
    }
    all
}

fn random_text(threads: &[Vec<Small>]) -> String {
    let mut text = "x = 0, y = 0, z = 0\n".to_string();
    for (number, thread) in threads.iter().enumerate() {
        let statements: Vec<String> = thread.iter().map(Small::text).collect();
        text.push_str(&format!(" t{number}: {}\n", statements.join("; ")));
    }
    text
}

#[test]
fn random_programs_have_the_outcomes_and_counts_of_an_enumeration() {
    let mut dice = Dice(7);
    let mut schedules = 0;
    for round in 0..200 {
        let threads = random_threads(&mut dice, if round % 20 == 0 { 7 } else { 5 });
        let text = random_text(&threads);
        let program = program(&text);
        // Registers are in the order in which they were made.
        let order: Vec<usize> = program
            .named
            .iter()
            .map(|named| {
                let (thread, register) = named.name.split_once(".r").expect("registers are called r0 and r1");
                3 + 2 * thread[1..].parse::<usize>().expect("a number") + register.parse::<usize>().expect("a number")
            })
            .collect();
        let bits: Vec<Vec<Bit>> = threads.iter().map(|thread| bits(thread)).collect();
        // Each model allows what the one before allows.
        let mut narrower: Vec<Vec<i64>> = Vec::new();
        for model in Model::ALL {
            let start = Naive {
                memory: [0; 3],
                at: vec![0; threads.len()],
                scratch: vec![0; threads.len()],
                registers: vec![[0; 2]; threads.len()],
                holder: None,
                buffers: vec![VecDeque::new(); threads.len()],
                releases: vec![0; threads.len()],
            };
            let mut expected = BTreeMap::new();
            enumerate(&bits, model, start, &mut expected);
            let expected: BTreeMap<Vec<i64>, u128> = expected
                .into_iter()
                .map(|((values, is_done), ways)| {
                    assert!(is_done, "one lock cannot block for ever: {text}");
                    (values, ways)
                })
                .collect();
            let found = explored(&program, model);
            let got: BTreeMap<Vec<i64>, u128> = found
                .outcomes
                .iter()
                .map(|outcome| {
                    let interleave::Ending::Values(values) = &outcome.ending else { panic!("{outcome:?} in {text}") };
                    let mut sorted = vec![0; 3 + 2 * threads.len()];
                    sorted[..3].copy_from_slice(&values[..3]);
                    order.iter().zip(&values[3..]).for_each(|(place, value)| sorted[*place] = *value);
                    let Some(Count::Exact(ways)) = outcome.schedules else { panic!("{outcome:?} in {text}") };
                    (sorted, ways)
                })
                .collect();
            assert_eq!(got, expected, "{model:?}\n{text}");
            assert!(narrower.iter().all(|outcome| got.contains_key(outcome)), "{model:?}\n{text}");
            narrower = got.into_keys().collect();
            schedules += expected.values().sum::<u128>();
        }
    }
    assert!(schedules > 100_000, "the programs were not all trivial: {schedules}");
}

/// A failing schedule, gone through again, fails.
#[test]
fn failing_schedules_can_be_replayed() {
    let text = "x = 0, y = 0\n a: x = 1; let r = y\n b: y = 1; let s = x\n check a.r == 1 or b.s == 1";
    let program = program(text);
    let machine = interleave::Machine::new(&program, Model::Tso);
    let failing = explored(&program, Model::Tso).failing.expect("store buffers break it");
    let told = replay(&machine, &failing.choices);
    let words: Vec<String> = told.iter().map(|told| told.words.join(" · ")).collect();
    assert_eq!(
        words,
        [
            "write y ← 1 (buffer)",
            "read x → 0 · done",
            "write x ← 1 (buffer)",
            "read y → 0 · done",
            "a: x ← 1",
            "b: y ← 1"
        ]
    );
    let mut state = machine.start().expect("nothing goes wrong before the first step");
    for told in &told {
        machine.apply(&mut state, told.choice, &mut interleave::Silent).expect("it did not before");
    }
    assert_eq!(machine.failed_check(&state), Ok(Some(0)));
}

/// Every ending that real threads came to is one that some schedule has. Store buffers of x86 are those of TSO; other
/// processors are only held to PSO.
#[test]
fn what_real_threads_do_is_possible() {
    let model = if cfg!(target_arch = "x86_64") { Model::Tso } else { Model::Pso };
    let mut texts: Vec<String> = [
        "x = 0\n up: x = x + 1\n down: x = x - 1",
        "x = 0, y = 0\n a: x = 1; let r = y\n b: y = 1; let s = x",
        "x = 0\n a: repeat 5 { x += 1 }\n b: repeat 5 { x += 1 }",
        "x = 0\n a: lock m { lock n { x += 1 } }\n b: lock n { lock m { x += 1 } }",
        "x = 0\n a: x = 1; lock m { notify m }\n b: if x == 0 { lock m { wait m } }",
        "x = 1, y = 0\n a: y = 10 // x\n b: x = 0",
        "x = 0\n a: lock m\n b: unlock m",
        "x = 0\n a: atomic { x = x + 1; x = x + 1 }\n b: x = 5\n c: atomic { x = 2 * x }",
        "x = 0\n a: if try_lock(m) { x += 1; unlock m }\n b: if try_lock(m) { x += 1; unlock m }",
        "n = 0, x = 0\n a: lock m { x = 1; notify m }\n b: lock m { while x == 0 { wait m }; n += 1 }\n \
         c: lock m { while x == 0 { wait m }; n += 1 }",
        "go = 0, x = 0\n a: while go == 0 { yield }\n    x = 1\n b: go = 1",
    ]
    .map(str::to_string)
    .to_vec();
    let mut dice = Dice(11);
    texts.extend((0..30).map(|_| random_text(&random_threads(&mut dice, 9))));
    for text in texts {
        let program = program(&text);
        let found = explored(&program, model);
        assert_eq!(found.limit, None, "{text}");
        let seen = interleave::run(&program, Rounds::AtLeast(2_000), Duration::from_millis(200), &|| false)
            .expect("threads start");
        assert!(seen.rounds > 0);
        for ending in seen.endings.keys() {
            let possible = found.outcomes.iter().any(|outcome| outcome.ending == *ending);
            assert!(possible, "{} was seen\n{text}", program.ending_text(ending, &text));
        }
    }
}

/// Safe programs never fail, however busy the machine is.
#[test]
fn safe_programs_are_exact_on_real_threads() {
    for text in [
        "x = 0\n a: repeat 50 { lock m { x += 1 } }\n b: repeat 50 { lock m { x -= 1 } }\n check x == 0",
        "x = 0\n a: repeat 50 { fetch_add(x, 1) }\n b: repeat 50 { fetch_sub(x, 1) }\n check x == 0",
        "x = 0\n a: repeat 20 { atomic { x += 1 } }\n b: repeat 20 { atomic { x -= 1 } }\n check x == 0",
        "x = 0\n a: repeat 20 { let ok = false; while not ok { let r = load(x); ok = cas(x, r, r + 1) } }\n \
         b: repeat 20 { fetch_sub(x, 1) }\n check x == 0",
    ] {
        let program = program(text);
        let seen = interleave::run(&program, Rounds::AtLeast(2_000), Duration::from_millis(300), &|| false)
            .expect("threads start");
        assert_eq!(seen.endings.len() + usize::from(seen.given_up > 0), 1, "{seen:?}");
        let (ending, _) = seen.endings.first_key_value().expect("rounds were played");
        assert_eq!(program.ending_text(ending, text), "x=0");
    }
}

#[test]
fn real_threads_can_be_stopped() {
    let program = program("x = 0\n a: while x == 0 { }\n b: while x == 0 { }");
    let seen = interleave::run(&program, Rounds::AtLeast(u64::MAX), Duration::from_secs(3600), &|| true)
        .expect("threads start");
    assert!(seen.stopped);
    let seen = interleave::run(&program, Rounds::AtLeast(u64::MAX), Duration::from_millis(50), &|| false)
        .expect("threads start");
    assert!(!seen.stopped && seen.given_up == seen.rounds, "{seen:?}");
}

/// A number of rounds that was asked for is that number, whether the threads meet or not.
#[test]
fn rounds_that_were_asked_for_are_exact() {
    for text in ["x = 0\n a: x = 1", "x = 0\n a: x = 1\n b: x = 2\n c: x = 3"] {
        let program = program(text);
        for rounds in [1, 63, 64, 65, 200] {
            let asked = Rounds::Exactly(rounds);
            let seen = interleave::run(&program, asked, Duration::from_secs(3600), &|| false).expect("threads start");
            assert_eq!((seen.rounds, seen.wanted), (rounds, Some(rounds)), "{text}");
            assert_eq!(seen.endings.values().sum::<u64>(), rounds, "{text}");
        }
    }
}

/// One thread meets nobody, so nothing is gained by more rounds.
#[test]
fn one_thread_plays_no_more_rounds_than_it_must() {
    let program = program("x = 0\n a: x = 1");
    let asked = Rounds::AtLeast(100);
    let seen = interleave::run(&program, asked, Duration::from_secs(3600), &|| false).expect("threads start");
    assert!(seen.rounds >= 100, "{seen:?}");
}
