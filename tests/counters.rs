//! Counters of rows, and tables that are kept in several ways.

use timelab::run_context::{ChunkSizes, Counters};

use crate::lab::{Lab, ways};

/// What `_.counters` has after a cell that fails on nothing.
#[track_caller]
fn counted(engine: &'static str, chunk_sizes: ChunkSizes, cell: &str) -> String {
    let mut lab = Lab::in_chunks(engine, chunk_sizes);
    let printed = lab.cell(cell);
    assert_eq!(printed.err, "", "{engine}: {cell}");
    let counters = lab.cell("_.counters | sort by name");
    assert_eq!(counters.err, "", "{engine}: {cell}");
    counters.out
}

#[test]
fn every_row_counts_once_on_every_engine() {
    for (engine, chunk_sizes) in ways() {
        for (cell, expected) in [
            ("1..1001 | filter counter(\"even\", it % 2 == 0) | sum", "even,500\n"),
            ("1..1001 | map x = counter(\"all\", it) | count", "all,500500\n"),
            // What nothing needs is counted all the same.
            ("1..1001 | derive x = counter(\"all\", it) | count", "all,500500\n"),
            ("1..1001 | derive it = counter(\"twice\", it * 2) | max", "twice,1001000\n"),
            ("1..11 | map counter(\"a\", it) + counter(\"b\", it * 10) | count", "a,55\nb,550\n"),
            ("1..11 | map counter(\"a\", it), y = counter(\"a\", 1) | count", "a,65\n"),
            ("1..11 | filter counter(\"a\", it > 3) and it < 6 | count", "a,7\n"),
            ("1..11 | filter not counter(\"a\", counter(\"b\", it > 3)) | count", "a,7\nb,7\n"),
            ("1..11 | map if counter(\"a\", it > 3) then 1 else 2 | sum", "a,7\n"),
            ("[1, null, 3] | map counter(\"a\", it) | count", "a,4\n"),
            ("[true, null, false] | filter counter(\"a\", it) | count", "a,1\n"),
            ("[null] | map counter(\"a\", it) | count", "a,0\n"),
            ("1..1 | filter counter(\"none\", it > 0) | count", "none,0\n"),
            ("1..1001 | filter it > 900 | filter counter(\"a\", it > 950) | sort by it desc | take 2", "a,50\n"),
            (
                "1..1001 | map k = it % 3, x = counter(\"x\", 1) | count by k | filter counter(\"keys\", true)",
                "keys,3\nx,1000\n",
            ),
            ("1..11 | join (1..6 | filter counter(\"right\", it > 2)) on it | count", "right,3\n"),
            ("1..11 | map row = it | distinct by row % 3 | filter counter(\"d\", true) | count", "d,3\n"),
            ("[1, 1] | iterate 3 { map counter(\"rounds\", it) }", "rounds,6\n"),
            (
                "1..11 | tee a: (filter counter(\"t\", it > 5) | count), b: (filter counter(\"t\", it > 8) | sum)",
                "t,7\n",
            ),
            ("9223372036854775807..9223372036854775807 | map counter(\"a\", it) | count", "a,0\n"),
            ("let x = 1..11 | filter counter(\"sub\", it > 1) | count; [1] | map it + x", "sub,9\n"),
            ("let x = 1..11 | filter counter(\"p\", it > 1) | persist; x | count", "p,9\n"),
        ] {
            let expected = format!("name,value\n{expected}");
            assert_eq!(counted(engine, chunk_sizes, cell), expected, "{engine}: {cell}");
        }
    }
}

#[test]
fn lost_attempts_count_nothing() {
    let mut lab = Lab::new("batch");
    for chaos in ["0", "0.3", "0.8"] {
        let cell = format!(
            "%mapreduce --chaos {chaos} --tasks 30 1..100k | filter counter(\"low\", it % 10 < 3)
            | map k = counter(\"sum\", it) % 7 | count by k | sort by k"
        );
        let printed = lab.cell(&cell);
        assert_eq!(printed.err, "", "{cell}");
        let counters = lab.cell("_.counters | sort by name").out;
        assert_eq!(counters, "name,value\nlow,29999\nsum,1499880000\n", "{chaos}");
    }
}

#[test]
fn attempts_are_apart_and_committed_once() {
    let counters = Counters::default();
    let (given, counted) = Counters::attempt(|| {
        counters.add("a", 2);
        let ((), inner) = Counters::attempt(|| counters.add("a", 5));
        counters.commit(&inner);
        7
    });
    assert_eq!((given, counters.each().len()), (7, 0));
    counters.commit(&counted);
    assert_eq!(counters.each().into_iter().collect::<Vec<_>>(), [("a".to_string(), 7)]);
    // A panic takes what its attempt has counted with it, and no other.
    let panicked = std::panic::catch_unwind(|| Counters::attempt(|| counters.add("b", 1)));
    assert!(panicked.is_ok());
    counters.add("a", 1);
    assert_eq!(counters.each().into_iter().collect::<Vec<_>>(), [("a".to_string(), 8)]);
}

#[test]
fn what_may_be_skipped_is_no_place_for_a_counter() {
    for (cell, message, place) in [
        ("1..3 | map if it > 1 then counter(\"a\", it) else 0", "`if` may skip it", "counter(\"a\", it)"),
        ("1..3 | filter it > 1 and counter(\"a\", it > 0)", "`and` may skip it", "counter(\"a\", it > 0)"),
        ("1..3 | filter it > 1 or not counter(\"a\", it > 0)", "`or` may skip it", "counter(\"a\", it > 0)"),
        ("1..3 | map coalesce(it, counter(\"a\", it))", "`coalesce` may skip it", "counter(\"a\", it)"),
        ("1..3 | map counter(\"a\", \"x\")", "needs a bool or an int, got text", "\"x\""),
        ("1..3 | map counter(\"a\", it / 2)", "needs a bool or an int, got float", "it / 2"),
        ("1..3 | map counter(\"a\")", "expected 2 arguments, got 1", "counter"),
        ("1..3 | map counter(it, it)", "the label of `counter` is a text", "it"),
        ("1..3 | sort by counter(\"a\", it)", "unknown function `counter`", "counter"),
        ("1..3 | agg sum(counter(\"a\", it))", "unknown function `counter`", "counter"),
        ("counter(\"a\", 1)", "unknown function `counter`", "counter"),
    ] {
        let printed = Lab::new("rows").cell(cell);
        assert!(printed.err.contains(message), "{cell}: {}", printed.err);
        assert!(printed.err.contains(&"^".repeat(place.len())), "{cell}: {}", printed.err);
    }
    // The user's own function goes before.
    let printed = Lab::new("rows").cell("fn counter(a, b) = b + 1; 1..3 | map counter(\"a\", it)");
    assert_eq!((printed.out.as_str(), printed.err.as_str()), ("it\n2\n3\n", ""));
    let notes = Lab::new("rows").notes("1..100 | filter counter(\"a\", true) | take 2");
    assert!(notes.contains("counted up to where `take` ended the run"), "{notes}");
    let printed = Lab::new("rows").cell(
        "9223372036854775806..9223372036854775807 | concat ([9223372036854775807])
        | map counter(\"a\", it) | count",
    );
    assert!(printed.err.contains("int overflow: the counter \"a\""), "{}", printed.err);
}

#[test]
fn tables_are_kept_in_each_way() {
    for (words, kind) in [
        ("", "kept table"),
        ("compressed", "compressed table"),
        ("disk", "table on disk"),
        ("disk compressed", "compressed table on disk"),
    ] {
        for source in [
            "1..200k | map n = it, t = \"word \" + text(it % 10), x = it / 3, b = it % 2 == 0",
            "[null, 1] | map a = it, l = [it, 2], t = [\"é\"]",
            "1..1 | map a = it, l = [it]",
        ] {
            let mut lab = Lab::new("batch");
            let kept = lab.cell(&format!("let a = {source}; let b = a | persist {words}; b | count"));
            assert_eq!(kept.err, "", "{words}: {source}");
            let same = lab.cell("%same a, b");
            assert!(same.out.contains("same") && same.err.is_empty(), "{words}: {source}: {same:?}");
            let who = lab.cell("%who").out;
            assert!(who.starts_with("name,kind,rows,bytes\n"), "{who}");
            assert!(who.contains(&format!("\nb,{kind},")), "{words}: {who}");
        }
    }
    let mut lab = Lab::new("batch");
    let bytes = |lab: &mut Lab, words: &str| {
        lab.cell(&format!("let k = 1..100k | map t = \"the same words again\" | persist {words}; k | count"));
        let who = lab.cell("%who").out;
        let line = who.lines().find(|line| line.starts_with("k,")).unwrap_or_default().to_string();
        line.rsplit(',').next().and_then(|bytes| bytes.parse::<u64>().ok()).unwrap_or_else(|| panic!("{line}"))
    };
    let (plain, compressed) = (bytes(&mut lab, "disk"), bytes(&mut lab, "disk compressed"));
    assert!(plain > 10 * compressed, "{plain} {compressed}");
    for (cell, message) in [
        ("1..3 | persist disk disk", "option `disk` is given twice"),
        ("1..3 | persist on", "`persist` has no option `on`"),
        ("1..3 | persist dsik", "`persist` has no option `dsik`"),
        ("1..3 | persist 3", "`persist`: unexpected `3`"),
    ] {
        let printed = Lab::new("rows").cell(cell);
        assert!(printed.err.contains(message) && printed.err.contains('^'), "{cell}: {}", printed.err);
    }
}

#[test]
fn a_persisted_table_is_computed_once() {
    let mut lab = Lab::new("batch");
    lab.cell("let a = 1..4 | filter counter(\"seen\", true) | persist compressed");
    assert_eq!(lab.cell("a | count").out, "count\n3\n");
    assert_eq!(lab.cell("_.counters").out, "name,value\nseen,3\n");
    // The second use reads what was kept: nothing is counted any more.
    assert_eq!(lab.cell("a | sum").out, "sum\n6\n");
    let again = lab.cell("_4.counters");
    assert!(again.err.contains("counters"), "{again:?}");
}
