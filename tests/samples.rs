//! Facts about the sample data, found with pipelines on every engine.

use crate::lab::{csv, engine_names};

#[track_caller]
fn check(cell: &str, expected: &str) {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the project is there");
    for engine in engine_names() {
        assert_eq!(csv(engine, &[cell]), expected, "{engine}: {cell}");
    }
}

#[test]
fn verses() {
    check(r#"read "samples/kjv.txt" | count"#, "count\n31102\n");
}

#[test]
fn anagrams() {
    let classes = "read \"samples/words.txt\" | filter matches(line, \"^[a-z]+$\") | group by key = sorted(line) \
                   | filter len(line) > 1";
    check(&format!("{classes} | count"), "count\n3627\n");
    check(&format!("{classes} | map n = len(line) | max"), "max\n7\n");
}

#[test]
fn hot_key() {
    check(r#"read "samples/depends.csv" | count by depends | top 1"#, "depends,count\nlibc6,3668\n");
}

#[test]
fn packages() {
    check(r#"read "samples/packages.csv" | count"#, "count\n32325\n");
}

#[test]
fn zones_and_countries() {
    let zones = "read \"samples/zone1970.tab\" as csv sep \"\\t\" header false comment \"#\" ragged true \
                 | flat_map code = split(column_1, \",\")";
    let countries = "read \"samples/iso3166.tab\" as csv sep \"\\t\" header false comment \"#\" \
                     | map code = column_1, country = column_2";
    let joined = format!("{zones} | join ({countries}) on code | count by country | top 1");
    check(&joined, "country,count\nUnited States,29\n");
}
