//! Tables as they are drawn for people.

use std::io::Write;
use std::process::{Command, Stdio};

use timelab::report::{Block, Report};
use timelab::show::{self, Format, Style};

use crate::command::{fed, timelab};
use crate::lab::{Lab, PLAIN};

/// The cells of the only column of what a cell draws, and its status line.
fn column(cell: &str) -> (Vec<String>, String) {
    let evaluation = Lab::new("rows").evaluate(cell);
    assert!(evaluation.error.is_none(), "{cell}: {:?}", evaluation.error);
    let report = Report { status_line: Vec::new(), ..evaluation.report };
    assert!(matches!(report.blocks[0], Block::Table { .. }), "{cell}");
    let drawn = show::report(&report, &Style { format: Format::Table, ..PLAIN });
    let cells = drawn.out.lines().filter(|line| line.starts_with('│')).skip(1);
    let cells = cells.map(|line| line.trim_matches(['│', ' ']).replace('\u{202f}', "'"));
    (cells.collect(), drawn.err.trim().to_string())
}

fn exactly(cell: &str, shown: &[&str]) {
    assert_eq!(column(cell), (shown.iter().map(ToString::to_string).collect(), String::new()), "{cell}");
}

fn rounded(cell: &str, shown: &[&str]) {
    let shown = shown.iter().map(ToString::to_string).collect();
    assert_eq!(column(cell), (shown, "floats rounded".to_string()), "{cell}");
}

#[test]
fn floats_of_a_column_share_the_decimals_that_show_each_exactly() {
    exactly("[468792.02] | mean", &["468'792.02"]);
    exactly("[1.0, 2.5, 0.125] | map it", &["1.000", "2.500", "0.125"]);
    exactly("[1234.5, 12345.0] | map it", &["1'234.5", "12'345.0"]);
    exactly("[1234.5] | map it", &["1234.5"]);
    exactly("[0.0, -0.0, -1.5] | map it", &["0.0", "-0.0", "-1.5"]);
    exactly("[1.5, null] | map it", &["1.5", "·"]);
    exactly("[\"NaN\", \"inf\", \"2\"] | map float(it)", &["NaN", "inf", "2.0"]);
}

#[test]
fn floats_that_need_more_than_six_decimals_are_said_to_be_rounded() {
    rounded("[0.1, 0.2] | map it + 0.1", &["0.200000", "0.300000"]);
    rounded("[1.0, 3.0] | map 1 / it", &["1.000000", "0.333333"]);
    rounded("[468792.02, 3.0] | map 1 / 3 + it", &["468'792.35333", "3.33333"]);
    rounded("[3.0] | map 1e-7 / it", &["3.33333e-8"]);
}

#[test]
fn an_exponent_shows_what_decimals_cannot() {
    exactly("[1e-9, 1e9] | map it", &["1e-9", "1'000'000'000.0"]);
    exactly("[1e300, 1.5] | map it", &["1e300", "1.5"]);
}

#[test]
fn a_prefix_of_standard_input_needs_no_end_of_it() {
    for engine in ["rows", "batch"] {
        let mut endless = Command::new("yes").stdout(Stdio::piped()).spawn().expect("yes runs");
        let cell = format!("read \"-\" | map upper(line) | take 2 | on {engine}");
        let run = Command::new(env!("CARGO_BIN_EXE_timelab"))
            .args(["--format", "csv", "-c", &cell])
            .stdin(endless.stdout.take().expect("it is piped"))
            .output()
            .expect("timelab runs");
        assert_eq!(String::from_utf8_lossy(&run.stdout), "line\nY\nY\n", "{engine}");
        endless.wait().expect("it ends with its reader");
    }
}

#[test]
fn standard_input_is_read_again_by_later_cells() {
    let cells = ["read \"-\" | take 1", "read \"-\" | count", "read \"-\" header false as csv | sum"];
    let arguments: Vec<&str> = cells.iter().flat_map(|cell| ["-c", cell]).collect();
    let run = timelab(&[&["--format", "csv"], &arguments[..]].concat(), "1\n2\n3\n");
    assert_eq!(String::from_utf8_lossy(&run.stdout), "line\n1\ncount\n3\nsum\n6\n");
}

#[test]
fn compressed_standard_input_is_unpacked() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(b"a,b\n1,2\n3,4\n").expect("memory can be written");
    let gzip = packed.finish().expect("it is complete");
    let zstd = zstd::encode_all(&b"a,b\n1,2\n3,4\n"[..], 3).expect("memory can be written");
    for bytes in [gzip, zstd] {
        for cell in ["read \"-\" as csv | sum b", "read \"-\" as csv | sum b | on rows"] {
            let run = fed(&["--format", "csv", "-c", cell], &bytes);
            assert_eq!(String::from_utf8_lossy(&run.stdout), "sum\n6\n", "{cell}");
        }
    }
}

#[test]
fn named_columns_come_first_where_there_is_no_room_for_all() {
    let cell = "1..3 | map first_column = it, second_column = it, third_column = it, fourth = 1 | filter fourth > 0";
    let head = |cells: &[&str]| {
        let arguments: Vec<&str> = cells.iter().flat_map(|cell| ["-c", cell]).collect();
        let run = timelab(&arguments, "");
        let out = String::from_utf8_lossy(&run.stdout).into_owned();
        out.lines().nth(1).expect("a table").replace(['│', ' '], "\t").split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(head(&[cell]), "first_column second_column third_column fourth");
    // All are named where they are made; the last result is a table of which one is.
    assert_eq!(
        head(&["%set width 36", "let t = 1..3 | map first_column = it, second_column = it, third = 1", "t"]),
        "first_column second_column"
    );
    assert_eq!(
        head(&[
            "%set width 36",
            "let t = 1..3 | map first_column = it, second_column = it, third = 1",
            "t | filter third > 0"
        ]),
        "third first_column"
    );
}

#[test]
fn words_are_tables_in_json() {
    let json = |cells: &[&str]| -> serde_json::Value {
        let arguments: Vec<&str> = cells.iter().flat_map(|cell| ["-c", cell]).collect();
        let run = timelab(&[&["--format", "json"], &arguments[..]].concat(), "");
        serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{cells:?}: {error}"))
    };
    let same = json(&["%same 1..4 | sum, [6] | sum"]);
    assert_eq!((&same[0]["same"], &same[0]["engine"]), (&serde_json::Value::Bool(true), &serde_json::Value::Null));
    let set = json(&["%set seed 9", "%set"]);
    let seed = set.as_array().expect("rows").iter().find(|row| row["name"] == "seed").expect("a setting");
    assert_eq!(seed["value"], "9");
    let history = json(&["let n = 3", "%history"]);
    assert_eq!((&history[0]["cell"], &history[0]["number"]), (&"let n = 3".into(), &1.into()));
}
