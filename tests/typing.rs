//! What is offered at the cursor.

use std::path::Path;

use timelab::console::Console;
use timelab::magics::{complete, evaluate};
use timelab::rust::Rust;
use timelab::session::Session;

/// The candidates at the end of `text`, after the cells before it.
fn offered(cells: &[&str], text: &str) -> Vec<String> {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the project is there");
    let mut session = Session::new("rows", Console::default());
    session.rust = Rust::new(Path::new(env!("CARGO_BIN_EXE_timelab")), session.console.clone());
    for cell in cells {
        let context = session.context();
        assert!(evaluate(&mut session, cell, &context).error.is_none(), "{cell}");
    }
    let (start, found) = complete(&mut session, text, text.len());
    assert!(text.is_char_boundary(start));
    found.into_iter().map(|candidate| candidate.text).collect()
}

#[test]
fn sources_and_functions_at_the_start() {
    assert_eq!(offered(&[], "re"), ["read", "replace", "reverse"]);
    assert_eq!(offered(&["let rest = 1"], "res"), ["rest"]);
}

#[test]
fn stages_after_a_bar_and_engines_after_on() {
    assert_eq!(offered(&[], "1..10 | re"), ["rename", "reverse", "reduce"]);
    assert_eq!(offered(&[], "1..10 | sum | on po"), ["polars"]);
    assert_eq!(offered(&[], "%ti"), ["time", "timeit"]);
}

#[test]
fn files_in_a_path() {
    assert_eq!(offered(&[], "read \"samples/de"), ["samples/depends.csv\""]);
    assert_eq!(offered(&[], "read \"sampl"), ["samples/"]);
}

#[test]
fn the_columns_that_flow_here() {
    assert_eq!(offered(&[], "read \"samples/depends.csv\" | count by "), ["package", "depends"]);
    assert_eq!(offered(&[], "%time read \"samples/depends.csv\" | count by depends | top 3 by cou"), ["count"]);
    assert_eq!(offered(&[], "1..3 | derive `a b` = it | map a"), ["`a b`", "abs"]);
    assert_eq!(offered(&["1..3 | derive n = it"], "| map "), ["it", "n"]);
    assert_eq!(offered(&[], "1..3 | join (1..3 | derive yy = it | map y"), ["yy"]);
}

#[test]
fn fields_of_a_result_stand_behind_its_point() {
    let cells = ["%timeit -n 1 -r 3 1..10 | sum", "5"];
    let fields = offered(&cells, "_.");
    assert!(["median", "iqr", "samples"].iter().all(|name| fields.contains(&name.to_string())), "{fields:?}");
    assert_eq!(offered(&cells, "1 + _1.med"), ["median"]);
    assert_eq!(offered(&["1..6 | tee low: (take 2), n: (count)"], "_.lo"), ["low"]);
}

#[test]
fn values_of_options_are_those_of_their_magic() {
    assert_eq!(offered(&[], "%race counter --gil "), ["bytecode", "calls"]);
    assert_eq!(offered(&[], "%race counter --gil c"), ["calls"]);
    assert_eq!(offered(&[], "%%race --live o"), ["on", "off"]);
    assert_eq!(offered(&[], "%%race --model t"), ["tso"]);
    assert!(offered(&[], "%race counter --each 1").contains(&"1M".to_string()));
    assert!(offered(&[], "%concurrency --each 1").contains(&"100ms".to_string()));
}

#[test]
fn what_describes_a_store() {
    assert_eq!(offered(&[], "let kv = sto"), ["store"]);
    assert_eq!(offered(&[], "sto"), [""; 0]);
    assert_eq!(offered(&[], "let kv = store "), ["delay", "keys", "seed"]);
    assert_eq!(offered(&[], "let kv = store delay 5ms k"), ["keys"]);
    assert_eq!(offered(&[], "let n = 1; let kv = store delay 5"), ["5ms", "50ms"]);
    let kv = ["let kv = store delay 0ms keys 3"];
    assert_eq!(offered(&kv, "kv | map "), ["key", "value", "kv"]);
    assert_eq!(offered(&kv, "0..3 | map get(k"), ["kv"]);
    assert_eq!(offered(&kv, "%concurrency s"), ["store"]);
    assert_eq!(offered(&kv, "%concurrency store "), ["kv"]);
}

#[test]
fn words_of_other_tools_are_completed_to_stages() {
    assert!(offered(&[], "1..3 | order").contains(&"sort".to_string()));
    assert!(offered(&[], "1..3 | whe").contains(&"where".to_string()));
}
