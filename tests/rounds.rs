//! Blocks of stages that are run in rounds.

use crate::lab::{Lab, csv, engine_names, ways};

/// The table that a cell prints and the line of its error or warning.
#[track_caller]
fn fails(cell: &str, message: &str, marked: &str) {
    let printed = Lab::new("rows").cell(cell);
    assert!(printed.err.contains(message), "{cell}: {}", printed.err);
    let mut lines = printed.err.lines().skip_while(|line| !line.contains('^'));
    let line = lines.next().unwrap_or_default();
    let (start, carets) = (line.find('^').unwrap_or(0), line.matches('^').count());
    let text = printed.err.lines().find(|line| line.contains(cell)).unwrap_or_default();
    let place: String = text.chars().skip(line[..start].chars().count()).take(carets).collect();
    assert_eq!(place, marked, "{cell}: {}", printed.err);
}

/// Centres of points by Lloyd's method, until none moves any more.
const MEANS: &[&str] = &[
    "let points = random 120 seed 1 | map x = it | zip (random 120 seed 2 | map y = it) | enumerate | derive one = 1
     | persist",
    "points | take 3 | map c = row, cx = x, cy = y, moved = 1.0
     | iterate until moved < 0.000001 {
         derive one = 1 | join points on one
         | derive far = pow(x - cx, 2) + pow(y - cy, 2)
         | sort by far, c | distinct by row
         | agg ox = min(cx), oy = min(cy), cx = mean(x), cy = mean(y) by c
         | map c, cx, cy, moved = sqrt(pow(cx - ox, 2) + pow(cy - oy, 2))
       } max 50
     | sort by c | map c, x = round(cx, 9), y = round(cy, 9)",
];

/// The rank of pages by the links between them.
const RANKS: &[&str] = &[
    "let links = 0..150 | map page = it % 15, target = (it * 7 + it // 15) % 15 | distinct | persist",
    "let degree = links | agg out = count() by page | persist",
    "0..15 | map page = it, rank = 1.0 / 15
     | iterate 20 {
         join (links | join degree on page) on page
         | agg rank = sum(rank / out) by page = target
         | derive rank = 0.15 / 15 + 0.85 * rank
       }
     | sort by page | map page, rank = round(rank, 9)",
];

#[test]
fn k_means_and_page_rank_are_the_same_on_every_engine() {
    for cells in [MEANS, RANKS] {
        let expected = csv("rows", cells);
        assert!(expected.lines().count() > 3, "{expected}");
        for (engine, chunk_sizes) in ways() {
            let mut lab = Lab::in_chunks(engine, chunk_sizes);
            let mut last = String::new();
            for cell in cells {
                let printed = lab.cell(cell);
                assert_eq!(printed.err, "", "{engine}: {cell}");
                last = printed.out;
            }
            assert_eq!(last, expected, "{engine}");
        }
    }
}

#[test]
fn the_centres_are_the_means_of_their_points() {
    let mut lab = Lab::new("batch");
    lab.cell(MEANS[0]);
    let line = &MEANS[1].split("| sort by c | map").next().unwrap();
    let centres = lab.cell(&format!("let centres = {line} | persist"));
    assert_eq!(centres.err, "");
    // The points that are nearest to a centre have it as their mean.
    let check = "centres | derive one = 1 | join points on one | derive far = pow(x - cx, 2) + pow(y - cy, 2)
        | sort by far, c | distinct by row | agg dx = abs(mean(x - cx)), n = count() by c";
    let check = check.replace("dx = abs(mean(x - cx))", "dx = mean(x - cx)");
    let printed = lab.cell(&format!("{check} | agg most = max(abs(dx)), points = sum(n), centres = count()"));
    let row = printed.out.lines().nth(1).unwrap_or_default().to_string();
    let fields: Vec<f64> = row.split(',').map(|field| field.parse().unwrap()).collect();
    assert!(fields[0] < 1e-6, "{row}");
    assert_eq!(fields[1..], [120.0, 3.0]);
}

#[test]
fn rounds_give_what_they_say() {
    for engine in engine_names() {
        for (cell, expected) in [
            ("1..4 | iterate 0 { map it * 2 }", "it\n1\n2\n3\n"),
            ("1..4 | iterate 1 { map it * 2 } | sum", "sum\n12\n"),
            ("1..4 | iterate 3 { | filter it > 1 | map it + 1 }", "it\n5\n6\n"),
            // The first round gets ints, and all of them floats.
            ("[1] | iterate 2 { map it / 4 }", "it\n0.0625\n"),
            ("[1] | iterate 0 { map it / 4 }", "it\n1.0\n"),
            ("[null] | iterate 2 { map coalesce(it, 0) + 1 }", "it\n2\n"),
            // The order of columns is that of the input.
            ("[1] | map a = it, b = 2 | iterate 1 { map b = a, a = b }", "a,b\n2,1\n"),
            // Nothing is to be done where it is true from the start, also of no rows.
            ("[5] | iterate until it > 3 { map it + 1 }", "it\n5\n"),
            ("[5] | filter it > 9 | iterate until it > 9 { map it + 1 }", "it\n"),
            ("[1, 2] | iterate until it > 3 { map it + 1 }", "it\n4\n5\n"),
            ("[9] | iterate until it < 2 { map it // 2 } max 3", "it\n1\n"),
            // A block that begins with rounds, one in a join, and rounds of rounds.
            ("[1] | iterate 2 { iterate 3 { map it + 1 } }", "it\n7\n"),
            ("[1] | iterate 2 { map it + 1 | iterate until it > 9 { map it * 2 } | map it - 8 }", "it\n10\n"),
            ("[1] | map it | join (1..3 | iterate 2 { map it * it }) on it", "it\n1\n"),
            ("[3] | iterate 2 { concat ([1] | iterate 2 { map it + 1 }) }", "it\n3\n3\n3\n"),
            ("[1, 2] | iterate 2 { map it + 1 } | iterate 2 { map it * 10 } | sum", "sum\n700\n"),
            ("1..5 | map a = it, b = it | iterate 2 { map a = a + 1, b } | map a", "a\n3\n4\n5\n6\n"),
            ("let n = 1 + 1; [1] | iterate n { map it + 1 }", "it\n3\n"),
            ("let until = 3; [1] | iterate until { map it + 1 }", "it\n4\n"),
        ] {
            let printed = Lab::new(engine).cell(cell);
            assert_eq!((printed.out.as_str(), printed.err.as_str()), (expected, ""), "{engine}: {cell}");
        }
    }
}

#[test]
fn words_of_rounds_and_jobs_are_names_too() {
    for (cell, expected) in [
        ("let iterate = 1..4; iterate | sum", "sum\n6\n"),
        ("let max = [5]; max | iterate 1 { map it }", "it\n5\n"),
        ("let spawn = 4; spawn + 1", "5\n"),
        ("let spawn = [4, 5]; let f = spawn[1]; f", "5\n"),
        ("let spawn = [4, 5]; let f = spawn | sum; f", "sum\n9\n"),
        ("fn spawn(x) = x + 1; let f = spawn(2); f", "3\n"),
        ("let wait = [4, 5]; wait | sum", "sum\n9\n"),
        ("let wait = 3; wait * 2", "6\n"),
        ("let spawn = 2; let f = spawn in [1, 2]; f", "true\n"),
    ] {
        let printed = Lab::new("rows").cell(cell);
        assert_eq!((printed.out.as_str(), printed.err.as_str()), (expected, ""), "{cell}");
    }
}

#[test]
fn mistakes_in_rounds_are_told_where_they_stand() {
    fails(
        "[1] | iterate 2 { map x = it }",
        "must give the columns that it gets: it gets it: int, gives x: int",
        "map x = it",
    );
    fails("[1] | iterate 2 { map \"a\" }", "it gets it: int, gives it: text", "map \"a\"");
    fails("[1] | iterate 2 { derive b = 1 }", "gives it: int, b: int", "derive b = 1");
    fails("[1] | iterate 2 { map it | persist }", "the block cannot keep it", "persist");
    fails(
        "[1] | iterate 2 { map it | write \"/tmp/x.csv\" }",
        "cannot contain `write` or `tee`",
        "write \"/tmp/x.csv\"",
    );
    fails("[1] | iterate 2 { tee a: (sum) }", "cannot contain `write` or `tee`", "tee a: (sum)");
    fails("[1] | iterate -1 { map it }", "the number of rounds cannot be negative", "-1");
    fails("[1] | iterate 1.5 { map it }", "the number of rounds must be an int", "1.5");
    fails("[1] | iterate 2 { map it } max 3", "`max` belongs to `iterate until`", "max");
    fails("[1] | iterate until it { map it }", "`until` needs a bool, got int", "it");
    fails("[1] | iterate until x > 1 { map it }", "unknown name `x`", "x");
    fails("[1] | iterate { map it }", "expected a number of rounds", "{");
    fails("[1] | iterate 2 map it", "expected `{`", "map");
    fails("[1] | iterate 2 { }", "expected the name of a stage", "}");
    fails("1.. | iterate 2 { map it }", "the range before it has no end", "iterate 2 { map it }");
    fails("[1] | iterate 2 { map 1 // (it - 1) }", "division by zero", "1 // (it - 1)");
    fails("[2] | iterate 2 { map 1 // (it - 1) } | sum", "division by zero", "1 // (it - 1)");
}

#[test]
fn rounds_that_reach_their_most_are_told() {
    let notes = Lab::new("batch").notes("[1] | iterate until it > 100 { map it } max 7");
    assert!(notes.contains("`iterate` ended after 7 rounds"), "{notes}");
    let notes = Lab::new("batch").notes("[1] | iterate until null { map it } max 2");
    assert!(notes.contains("`iterate` ended after 2 rounds"), "{notes}");
    // What is done when the last round ends needs no note.
    let notes = Lab::new("batch").notes("[1] | iterate until it > 4 { map it * 2 } max 3");
    assert_eq!(notes, "");
}

#[test]
fn rounds_stop_when_they_are_told() {
    let error = Lab::new("batch").stopped("[1] | iterate 100000000 { map it }");
    assert_eq!(error.message, "stopped");
}

/// A block loses the order that its input has, and stages in it that need one say so.
#[test]
fn the_order_of_rounds_is_that_of_the_block() {
    let warnings = |cell: &str| Lab::new("rows").evaluate(cell).warnings.len();
    assert_eq!(warnings("1..9 | iterate 2 { agg n = count() by it | map it } | take 2"), 1);
    assert_eq!(warnings("1..9 | iterate 2 { agg n = count() by it | map it } | sort by it | take 2"), 0);
    assert_eq!(warnings("1..9 | iterate 2 { take 3 | agg n = count() by it | map it } | count"), 1);
    assert_eq!(warnings("1..9 | iterate 2 { take 3 | map it + 1 } | take 2"), 0);
}

/// Each round is part of what is timed.
#[test]
fn rounds_run_again_whenever_the_plan_does() {
    let mut lab = Lab::new("rows");
    let steps = |lab: &mut Lab, n: u64| {
        lab.cell(&format!("%time 1..1000 | iterate {n} {{ map it + 1 }} | sum"));
        let text = lab.cell("_.steps").out;
        text.trim().parse::<f64>().unwrap_or_else(|_| panic!("steps are counted: {text}"))
    };
    let (few, many) = (steps(&mut lab, 2), steps(&mut lab, 20));
    assert!(many > 5.0 * few, "{few} {many}");
}
