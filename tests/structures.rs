//! `%structures`: that all structures do the same, what is counted of them, and what is said of mistakes. Never by
//! times.

use timelab::console::Console;
use timelab::magics::complete;
use timelab::session::Session;
use timelab::structures::{self, Cell, Keys, elements};

use crate::command::{err, out, timelab};
use crate::lab::{Lab, Printed};

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

/// What an operation finds on a structure of this size; then again on what it has become.
fn found(cell: &Cell, size: usize) -> (i64, i64) {
    let part = cell.kind.parts[cell.part];
    let mut held = part.empty();
    held.fill(&elements(size, 3));
    held.reset();
    let keys = cell.facts.keys.drawn(size, 4);
    let first = held.run(cell.operation, &keys);
    // What all its elements add up to, where it can be gone through.
    let iterate = part.operations().iter().position(|facts| facts.name == "iterate");
    (first, iterate.map_or(0, |iterate| held.run_changed(iterate, &keys[..1])))
}

/// Lists with the same elements in the same order find the same, and so do those that find by key.
#[test]
fn structures_of_one_sort_do_the_same() {
    for kinds in
        [["vec", "deque", "linked", "chunked"].as_slice(), &["dict", "tree"], &["set", "dict"], &["tree", "sorted"]]
    {
        let kinds: Vec<_> = kinds.iter().map(|name| structures::find(name).expect("it is there")).collect();
        for size in [1, 2, 63, 64, 65, 200] {
            for cell in kinds[0].cells() {
                let same = |other: &Cell| other.name() == cell.name() && other.facts.keys == cell.facts.keys;
                for other in kinds[1..].iter().filter_map(|kind| kind.cells().into_iter().find(same)) {
                    // A set tells only whether a key is there.
                    if ["set", "sorted"].contains(&cell.kind.name) && ["insert", "remove"].contains(&cell.facts.name) {
                        assert_eq!(found(&cell, size).1, found(&other, size).1, "{} {}", cell.name(), other.kind.name);
                    } else if !(cell.facts.name == "range" && cell.kind.name == "dict" || cell.facts.name == "insert") {
                        let (one, two) = (found(&cell, size), found(&other, size));
                        assert_eq!(one, two, "{} of {} and {} at {size}", cell.name(), cell.kind.name, other.kind.name);
                    }
                }
            }
        }
    }
}

#[test]
fn keys_are_what_they_are_called() {
    let size = 100;
    let inside = |keys: Vec<i64>| keys.iter().filter(|key| *key % 2 == 0 && (0..200).contains(*key)).count();
    let distinct = |mut keys: Vec<i64>| {
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    };
    assert_eq!((inside(Keys::Present.drawn(size, 1)), inside(Keys::Absent.drawn(size, 1))), (100, 0));
    assert_eq!((inside(Keys::Once.drawn(size, 1)), distinct(Keys::Once.drawn(size, 1))), (100, 100));
    assert_eq!((inside(Keys::New.drawn(size, 1)), distinct(Keys::New.drawn(size, 1))), (0, 100));
    assert_eq!((inside(Keys::Mixed.drawn(size, 1)), Keys::Mixed.drawn(size, 1).len()), (100, 200));
    assert!(Keys::Places.drawn(size, 1).iter().all(|place| (0..100).contains(place)));
}

/// By counts: every claim is confirmed, or it is said why not.
#[test]
fn every_cell_agrees_or_says_why_not() {
    let others =
        printed(&["%structures --n 64", "_1 | filter agrees != \"yes\" | map kind, operation, measured, agrees"]);
    assert_eq!(others, "kind,operation,measured,agrees\nheap,insert,O(1),\"yes, it grows slower\"");
    assert_eq!(
        printed(&["%structures --n 64 --kinds vec,deque,linked,chunked --ops get", "_1 | map kind, claimed"]),
        "kind,claimed\nvec,O(1)\ndeque,O(1)\nlinked,O(n)\nchunked,O(n)"
    );
}

#[test]
fn a_pair_that_makes_no_sense_is_an_empty_cell() {
    let matrix = printed(&[
        "%structures --n 64 --kinds vec,dict --ops push_back,insert",
        "_1.matrix | map ns, v = is_null(vec), d = is_null(dict)",
    ]);
    assert_eq!(matrix, "ns,v,d\npush_back,false,true\ninsert,true,false");
    let picks =
        printed(&["%structures --n 64 --kinds vec,linked --ops get", "_1.picks | map kind, pick_it_for | count"]);
    assert_eq!(picks, "count\n2");
}

/// Through the program, whose allocator counts.
#[test]
fn spikes_are_where_a_list_doubles() {
    let spikes = |cell: &str| {
        let output = timelab(&["--format", "csv", "-c", cell, "-c", "_1 | map n"], "");
        assert!(output.status.success(), "{}", err(&output));
        out(&output).rsplit("n\n").next().expect("there is a last table").lines().collect::<Vec<&str>>().join(" ")
    };
    assert_eq!(spikes("%structures growth vec push_back --n 2k"), "1 5 9 17 33 65 129 257 513 1025");
    assert_eq!(spikes("%structures growth vec push --n 200"), "1 5 9 17 33 65 129");
    // A chunk for every 64.
    assert_eq!(spikes("%structures growth chunked push --n 200"), "1 65 129 193");
    let cells = ["%structures --n 10k --kinds linked --ops get", "_1.picks | map bytes"];
    let output = timelab(&["--format", "csv", "-c", cells[0], "-c", cells[1]], "");
    assert!(
        out(&output).ends_with(
            "bytes
24.0
"
        ),
        "{}",
        out(&output)
    );
}

#[test]
fn a_mix_ranks_the_kinds_that_can_do_all_of_it() {
    let kinds = printed(&["%structures --n 500 --mix push_front=2,push_back=2,get=1", "_1 | sort by kind | map kind"]);
    assert_eq!(kinds, "kind\nchunked\ndeque\nlinked\nvec");
    let ranks =
        printed(&["%structures --n 500 --mix insert=40,contains_key=60%", "_1 | filter rank < 1 or ns <= 0.0 | count"]);
    assert_eq!(ranks, "count\n0");
}

#[test]
fn mistakes_say_what_would_be_right() {
    for (cell, said) in [
        ("%structures --kinds vac", "unknown kind `vac`"),
        ("%structures --kinds vac", "did you mean `vec`?"),
        ("%structures --ops push_bak", "did you mean `push_back`?"),
        ("%structures --kinds set --ops push_back", "none of these kinds has any of these operations"),
        ("%structures --n 10M", "`--n` is at most"),
        ("%structures --n 0", "`--n` must be a positive int"),
        ("%structures vec", "%structures --kinds vec"),
        ("%structures growth vec", "`growth` needs a kind and an operation"),
        ("%structures growth vec get", "adds an element, got `get`"),
        ("%structures growth set push_back", "`set` has no `push_back`"),
        ("%structures growth vec push --ops get", "`--ops` cannot be used here"),
        ("%structures --mix push_back", "expected OPERATION=SHARE"),
        ("%structures --mix push_back=x", "a share of `--mix` must be a positive number"),
        ("%structures --mix push_back=-1", "a share of `--mix` must be a positive number"),
        ("%structures --mix get=1,get=2", "`get` is given twice"),
        ("%structures --mix push_front=1,contains_key=1", "no kind has all these operations"),
        ("%structures --mix get=1 --ops get", "`--ops` cannot be used here"),
        ("%magnitudes n", "takes no arguments"),
    ] {
        assert!(failed(cell).contains(said), "{cell}: {}", failed(cell));
    }
}

#[test]
fn help_and_completion_know_structures() {
    let help = printed(&["deque?"]);
    assert!(help.contains("data structure") && help.contains("insert_middle") && help.contains("ring"), "{help}");
    assert!(printed(&["chunked??"]).contains("struct Chunk"));
    let mut session = Session::new("batch", Console::default());
    let mut offered = |text: &str| -> Vec<String> {
        complete(&mut session, text, text.len()).1.into_iter().map(|candidate| candidate.text).collect()
    };
    assert_eq!(offered("%structures --kinds vec,de"), ["deque"]);
    assert_eq!(offered("%structures --ops push_"), ["push_back", "push_front"]);
    assert_eq!(offered("%structures gro"), ["growth"]);
    assert_eq!(offered("%structures growth so"), ["sorted"]);
    assert_eq!(offered("%structures growth vec inser"), ["insert_middle", "insert", "insert_or_append"]);
    assert_eq!(offered("%latency --only cach"), ["caches", "cached_read"]);
}

/// The largest n of each class grows with the time, and none grows faster than one of a lower class.
#[test]
fn magnitudes_are_in_order() {
    let rows = printed(&["%magnitudes", "_1 | map class, word, a = second < minute, b = minute < day"]);
    let words: Vec<&str> = rows.lines().skip(1).map(|row| row.rsplitn(3, ',').last().expect("a row")).collect();
    assert_eq!(
        words,
        [
            "O(1),best",
            "O(log n),good",
            "O(n),still good",
            "O(n log n),fair",
            "O(n²),bad",
            "O(n³),bad",
            "O(2ⁿ),horrible",
            "O(n!),horrible"
        ]
    );
    assert_eq!(rows.matches("true,true").count(), 6, "{rows}");
    let falling = printed(&[
        "%magnitudes",
        "_1 | filter not is_null(second) | map second | enumerate | sort by second desc | map row",
    ]);
    assert_eq!(falling, "row\n0\n1\n2\n3\n4\n5");
}

/// When the time is over, what is done is kept, and the rest is named.
#[test]
fn the_time_may_end_each_of_them() {
    let mut lab = Lab::new("batch");
    let said = lab.notes("%structures --n 500 --kinds vec,linked --ops get,iterate --for 0.001ms");
    assert!(said.contains("not measured: vec iterate, linked get, linked iterate; allow more with --for"), "{said}");
    assert_eq!(lab.cell("_1 | map kind, operation").out, "kind,operation\nvec,get\n");
    let said = lab.notes("%structures --n 500 --kinds vec,deque,linked --mix get=1 --for 0.001ms");
    assert!(said.contains("not measured: deque, linked; allow more with --for"), "{said}");
    assert_eq!(lab.cell("_ | map kind").out, "kind\nvec\n");
    let said = lab.notes("%structures growth vec push_back --n 200 --for 0.001ms");
    assert!(said.contains("the time of --for is over: 1 of 7 passes are kept"), "{said}");
    assert_eq!(lab.cell("_ | map n").out, "n\n1\n5\n9\n17\n33\n65\n129\n");
}

/// Whatever an operation is in the middle of, its process is ended.
#[test]
fn a_stop_keeps_kinds_and_passes() {
    let mut lab = Lab::new("batch");
    let said = lab.notes_stopped_at("%structures --n 400k --mix get=1", "linked");
    assert!(said.contains("stopped: the kinds measured so far are kept"), "{said}");
    assert!(said.contains("not measured: linked, chunked"), "{said}");
    let said = lab.notes_stopped_at("%structures growth vec push_front --n 40k", "pass 2");
    assert!(said.contains("stopped: 1 of 7 passes are kept"), "{said}");
}

/// What was measured before a stop is kept, and no class is claimed of what was not.
#[test]
fn a_stop_keeps_what_is_there() {
    let mut lab = Lab::new("batch");
    let said = lab.notes_stopped_at("%structures --n 20k", "chunked");
    assert!(said.contains("stopped: the measurements so far are kept"), "{said}");
    assert_eq!(lab.cell("_1 | filter kind == \"vec\" | count").out, "count\n11\n");
    assert_eq!(lab.cell("_1 | filter kind == \"sorted\" | count").out, "count\n0\n");
}
