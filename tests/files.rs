//! Files in and out: every format, packed ones, patterns, and what can go wrong.

use std::path::{Path, PathBuf};

use timelab::console::Console;
use timelab::magics::evaluate;
use timelab::session::Session;

use crate::lab::{Lab, csv, engine_names};

/// A folder of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("timelab-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary folder can be written");
        Folder(path)
    }

    /// The path of a file in it, as it stands in a cell.
    fn at(&self, name: &str) -> String {
        format!("{:?}", self.0.join(name))
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("it is there");
        let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const TABLE: &str = "[1, 2, null, -9223372036854775808] | map i = it, x = if it == 2 then null else it / 3, \
                     t = if it == 1 then \"a,\\\"é\\\"\" else if it == 2 then \"\" else null, b = it == 1";

#[test]
fn what_was_written_is_read_back_on_every_engine() {
    let folder = Folder::new("round-trip");
    for name in ["t.csv", "t.json", "t.parquet", "t.arrow", "t.csv.gz", "t.csv.zst", "t.jsonl.gz", "t.jsonl.zst"] {
        for engine in engine_names() {
            let path = folder.at(name);
            let mut lab = Lab::new(engine);
            let written = lab.cell(&format!("{TABLE} | write {path}"));
            assert_eq!(written.err, "", "{engine} {name}");
            assert!(written.out.starts_with("path,rows,bytes\n"), "{}", written.out);
            let same = lab.cell(&format!("%same ({TABLE}), (read {path})"));
            assert_eq!(same.out, "✓ the same table\n", "{engine} {name}: {}", same.err);
        }
    }
}

#[test]
fn lists_and_special_floats_are_kept_by_columnar_files() {
    let folder = Folder::new("lists");
    let table = "[[1, null], [], null] | map xs = it, f = 0 / 0, g = [\"a\"]";
    for name in ["l.parquet", "l.arrow"] {
        let path = folder.at(name);
        for engine in engine_names() {
            let mut lab = Lab::new(engine);
            assert_eq!(lab.cell(&format!("{table} | write {path}")).err, "", "{engine} {name}");
            assert_eq!(
                lab.cell(&format!("%same ({table}), (read {path})")).out,
                "✓ the same table\n",
                "{engine} {name}"
            );
        }
    }
    let refused = |cell: &str| Lab::new("rows").cell(cell).err;
    assert!(refused(&format!("{table} | write {}", folder.at("l.csv"))).contains("cannot hold lists"));
    assert!(
        refused(&format!("[0 / 0] | write {}", folder.at("n.json")))
            .contains("a float that is NaN or infinite (row 0)")
    );
    assert!(refused(&format!("1..3 | write {}", folder.at("n.txt"))).contains("holds one text column"));
    assert_eq!(folder.names(), ["l.arrow", "l.parquet"]);
}

#[test]
fn text_lines_are_written_and_read_back() {
    let folder = Folder::new("lines");
    let path = folder.at("a.txt.gz");
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        assert_eq!(lab.cell(&format!("[\"a b\", \"\", \"é\"] | write {path}")).err, "");
        assert_eq!(lab.cell(&format!("read {path}")).out, "line\na b\n\"\"\né\n", "{engine}");
        assert!(lab.cell(&format!("[\"a\\nb\"] | write {path}")).err.contains("a text with a line break (row 0)"));
        assert_eq!(lab.cell(&format!("read {path} | count")).out, "count\n3\n", "the old file stayed");
    }
}

#[test]
fn a_pattern_reads_files_in_order_packed_or_not() {
    let folder = Folder::new("pattern");
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        for (i, name) in ["a.csv", "b.csv.gz", "c.csv.zst"].iter().enumerate() {
            lab.cell(&format!("[{i}] | map n = it | write {}", folder.at(name)));
        }
        assert_eq!(lab.cell(&format!("read {}", folder.at("*.csv*"))).out, "n\n0\n1\n2\n", "{engine}");
        lab.cell(&format!("[9] | map m = it | write {}", folder.at("d.csv")));
        let different = lab.cell(&format!("read {}", folder.at("*.csv*"))).err;
        assert!(different.contains("d.csv\", line 1: column 1 is `m`, but in the first file it is `n`"), "{different}");
        std::fs::remove_file(folder.0.join("d.csv")).expect("it was written");
        let nothing = lab.cell(&format!("read {}", folder.at("*.nope"))).err;
        assert!(nothing.contains("no file matches"), "{nothing}");
    }
}

#[test]
fn paths_may_hold_anything() {
    let folder = Folder::new("paths");
    let path = folder.at("it's a “näme” with spaces.csv");
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        lab.cell(&format!("1..3 | write {path}"));
        assert_eq!(lab.cell(&format!("read {path}")).out, "it\n1\n2\n", "{engine}");
    }
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = Folder::new("failed");
    let path = folder.at("t.csv");
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        lab.cell(&format!("1..3 | write {path}"));
        assert!(lab.cell(&format!("[1, 0] | map 1 // it | write {path}")).err.contains("division by zero"));
        assert!(
            lab.cell(&format!("read {path} | map it + 1 | write {path}")).err.contains("is read by the same pipeline")
        );
        assert_eq!(lab.cell(&format!("read {path}")).out, "it\n1\n2\n", "{engine}");
        assert_eq!(folder.names(), ["t.csv"], "{engine}");
    }
    let inside = folder.at("nope/t.csv");
    assert!(Lab::new("rows").cell(&format!("1..3 | write {inside}")).err.contains("its folder does not exist"));
}

#[test]
fn write_and_tee_stand_at_the_end() {
    let folder = Folder::new("end");
    let path = folder.at("t.csv");
    let error = |cell: &str| Lab::new("rows").cell(&cell.replace("PATH", &path)).err;
    assert!(error("1..3 | write PATH | count").contains("nothing but `on ENGINE` may follow"));
    assert!(error("let t = 1..3 | write PATH").contains("`let` names a table"));
    assert!(error("1..3 | concat (1..3 | write PATH)").contains("are only allowed at the end"));
    assert!(error("%same (1..3 | write PATH), (1..3)").contains("are only allowed at the end"));
    assert!(error("1..3 | tee a: (sum), a: (count)").contains("two branches are called `a`"));
    assert!(error("1..3 | tee a: (sum | tee b: (count))").contains("holds no other `tee`"));
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn tee_gives_named_results_of_one_pass() {
    let folder = Folder::new("tee");
    let path = folder.at("big.csv");
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        let printed = lab.cell(&format!("1..6 | tee total: (sum), big: (filter it > 3 | write {path}), n: (| count)"));
        assert_eq!(printed.err, "");
        assert!(printed.out.starts_with("total\nsum\n15\nbig\npath,rows,bytes\n"), "{}", printed.out);
        assert_eq!(lab.cell("_1.total").out, "sum\n15\n");
        assert_eq!(lab.cell("_1.total + _1.n").out, "20\n", "{engine}");
        assert_eq!(lab.cell(&format!("read {path}")).out, "it\n4\n5\n");
    }
}

/// What a pipeline reads anywhere in it is not written by it.
#[test]
fn a_branch_does_not_write_what_the_pipeline_reads() {
    let folder = Folder::new("branches");
    let [input, right] = ["in.csv", "b.csv"].map(|name| folder.at(name));
    for engine in engine_names() {
        for (name, text) in [("in.csv", "x\n1\n2\n"), ("b.csv", "x\n2\n3\n")] {
            std::fs::write(folder.0.join(name), text).expect("the folder can be written");
        }
        for cell in [
            format!("read {input} | tee a: (join (read {right}) on x | write {right}), n: (count)"),
            format!("read {input} | tee a: (count), n: (write {input})"),
            format!("read {input} | tee a: (write {right}), n: (join (read {right}) on x | count)"),
            format!(
                "let only = read {right} | sum; read {input} | tee a: (filter x < only | write {right}), n: (count)"
            ),
        ] {
            let mut lab = Lab::new(engine);
            let printed = lab.cell(&cell);
            assert!(printed.err.contains("is read by the same pipeline"), "{engine}: {cell}: {printed:?}");
            assert_eq!(lab.cell(&format!("read {right}")).out, "x\n2\n3\n", "{engine}: {cell}");
        }
    }
}

/// Each kind of file cut, empty, or not what its name says: an error of the file, never a crash.
#[test]
fn broken_files_are_errors() {
    let folder = Folder::new("broken");
    let mut lab = Lab::new("rows");
    let names = ["t.csv.gz", "t.csv.zst", "t.jsonl", "t.parquet", "t.arrow"];
    for name in names {
        lab.cell(&format!("1..2000 | map a = it, b = text(it) | write {}", folder.at(name)));
        let whole = std::fs::read(folder.0.join(name)).expect("it was written");
        for (what, bytes) in [("cut", &whole[..whole.len() / 2]), ("empty", &[]), ("false", b"a,b\n1,2\n".as_slice())] {
            let broken = format!("{what}-{name}");
            std::fs::write(folder.0.join(&broken), bytes).expect("the folder can be written");
            for engine in engine_names() {
                let printed = Lab::new(engine).cell(&format!("read {} | sum a", folder.at(&broken)));
                assert!(printed.err.starts_with("error: \""), "{engine} {broken}: {printed:?}");
            }
        }
    }
    let mut garbage = std::fs::read(folder.0.join("t.csv.gz")).expect("it was written");
    garbage.extend_from_slice(b"garbage");
    std::fs::write(folder.0.join("end.csv.gz"), garbage).expect("the folder can be written");
    for engine in engine_names() {
        let printed = Lab::new(engine).cell(&format!("read {} | sum a", folder.at("end.csv.gz")));
        assert!(printed.err.contains("cannot be read after line"), "{engine}: {printed:?}");
    }
}

#[test]
fn json_types_and_nesting() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/nested.jsonl");
    let cell = format!("read {file:?}");
    for engine in engine_names() {
        let expected = "id,user.name,user.age,tags,x,mixed\n1,ann,30,\"[\"\"a\"\", \"\"b\"\"]\",1.0,1\n\
                        2,bob,,[],2.5,two\n3,,,,,true\n";
        assert_eq!(csv(engine, &[&cell]), expected, "{engine}");
    }
}

#[test]
fn csv_is_written_so_that_null_and_empty_text_differ() {
    let folder = Folder::new("null");
    let path = folder.at("t.csv");
    Lab::new("rows").cell(&format!("[\"a\", \"\", null] | write {path}"));
    let bytes = std::fs::read_to_string(folder.0.join("t.csv")).expect("it was written");
    assert_eq!(bytes, "it\na\n\"\"\n\n");
    for engine in engine_names() {
        assert_eq!(csv(engine, &[&format!("read {path} | map is_null(it)")]), "it\nfalse\nfalse\ntrue\n");
    }
}

/// Quotes do not make text: what reads back as another type is said, and `types` keeps it.
#[test]
fn texts_that_look_like_numbers_are_named_when_they_are_written() {
    let folder = Folder::new("digits");
    let path = folder.at("t.csv");
    let table = r#"[1, 2] | map n = it, t = "7", u = if it == 1 then "true" else "x", v = "1e5", w = "007""#;
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        let written = lab.notes(&format!("{table} | write {path}"));
        assert_eq!(written.lines().count(), 2, "{engine}: {written}");
        assert!(written.contains("t will read back as int: read it with `types t: text`"), "{engine}: {written}");
        assert!(written.contains("v will read back as float"), "{engine}: {written}");
        let back = lab.cell(&format!("%same ({table}), (read {path} types t: text, v: text)"));
        assert_eq!(back.out, "✓ the same table\n", "{engine}: {}", back.err);
        let quoted = std::fs::read_to_string(folder.0.join("t.csv")).expect("it was written");
        assert_eq!(quoted, "n,t,u,v,w\n1,7,true,1e5,007\n2,7,x,1e5,007\n");
        let tabs = folder.at("t.tsv");
        lab.cell(&format!("[\"a,b\", \"a\\tb\"] | map x = it, y = 1 | write {tabs}"));
        let written = std::fs::read_to_string(folder.0.join("t.tsv")).expect("it was written");
        assert_eq!(written, "x\ty\na,b\t1\n\"a\tb\"\t1\n");
        // Only its separator would be found anew.
        let note = lab.notes(&format!("[\"a;b\", \"c;d\"] | map `x;y` = it | write {path}"));
        assert!(note.contains("`x;y` will read back as several columns"), "{engine}: {note}");
    }
}

#[test]
fn quoted_fields_may_go_over_many_lines() {
    let folder = Folder::new("quoted");
    let path = folder.at("t.csv");
    let field = "x,\"\"\r\n".repeat(100_000);
    std::fs::write(folder.0.join("t.csv"), format!("a,b\r\n1,\"{field}\"\r\n2,y\r\n"))
        .expect("the folder can be written");
    for engine in engine_names() {
        assert_eq!(csv(engine, &[&format!("read {path} | map a, n = len(b)")]), "a,n\n1,500000\n2,1\n", "{engine}");
    }
}

#[test]
fn types_do_not_depend_on_where_the_sample_ends() {
    let folder = Folder::new("sample");
    let path = folder.at("t.csv");
    let text = format!("aa,bb,cc\n{}", "1,true,-1.5\n".repeat(100_000));
    std::fs::write(folder.0.join("t.csv"), text).expect("the folder can be written");
    for engine in engine_names() {
        let cell = format!("read {path} | filter bb | agg sum(aa), sum(cc)");
        assert_eq!(csv(engine, &[&cell]), "sum_aa,sum_cc\n100000,-150000.0\n", "{engine}");
    }
}

#[test]
fn a_folder_of_parts_is_read_back_in_order() {
    let folder = Folder::new("parts");
    let rows = "1..12 | map i = it, x = if it == 2 then null else it / 4, t = \"a,\\\"\" + text(it)";
    for format in ["csv", "json", "jsonl", "parquet", "arrow"] {
        for engine in engine_names() {
            for parts in [1, 2, 3, 11, 12] {
                let mut lab = Lab::new(engine);
                let path = folder.at("out");
                let written = lab.cell(&format!("{rows} | write {path} parts {parts} as {format}"));
                assert_eq!(written.err, "", "{engine} {format}");
                let counts: Vec<usize> =
                    written.out.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
                assert_eq!((counts.len(), counts.iter().sum()), (parts, 11), "{engine} {format}");
                assert!(counts.iter().all(|count| (11 / parts..=11_usize.div_ceil(parts)).contains(count)));
                let same = lab.cell(&format!("%same ({rows}), (read {})", folder.at("out/part-*")));
                assert_eq!(same.out, "✓ the same table\n", "{engine} {format} {parts}: {}", same.err);
                assert_eq!(folder.names(), ["out"]);
                std::fs::remove_dir_all(folder.0.join("out")).expect("it is ours");
            }
        }
    }
    let mut lab = Lab::new("batch");
    assert_eq!(lab.cell(&format!("let n = 2; [\"a\", \"b\"] | write {} as text parts n", folder.at("t/"))).err, "");
    assert_eq!(csv("batch", &[&format!("read {} as text", folder.at("t/part-*"))]), "line\na\nb\n");
}

#[test]
fn the_list_of_a_folder_has_its_parts_and_columns() {
    let folder = Folder::new("manifest");
    let path = folder.at("out");
    let written = Lab::new("batch").cell(&format!("1..4 | map a = it, b = [it] | write {path} parts 2 as parquet")).out;
    let list = std::fs::read_to_string(folder.0.join("out/manifest.json")).expect("it is there");
    let list: serde_json::Value = serde_json::from_str(&list).expect("it is json");
    assert_eq!(list["schema"], serde_json::json!([{"name": "a", "type": "int"}, {"name": "b", "type": "list<int>"}]));
    for (part, line) in list["parts"].as_array().expect("there are some").iter().zip(written.lines().skip(1)) {
        let shown = folder.0.join("out").join(part["path"].as_str().expect("it is a text"));
        assert_eq!(format!("{},{},{}", shown.display(), part["rows"], part["bytes"]), line);
        assert_eq!(std::fs::metadata(shown).expect("it is there").len(), part["bytes"].as_u64().expect("a number"));
    }
}

#[test]
fn a_folder_of_parts_is_there_whole_or_not_at_all() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = Folder::new("whole-parts");
    let mut lab = Lab::new("batch");
    let mut cell = |cell: &str| lab.cell(cell);
    let out = folder.at("out");
    for failing in [
        format!("[1, 0] | map 1 // it | write {out} parts 2"),
        format!("[\"a\", \"b\", null] | write {out} parts 300 as text"),
        format!("1..3 | write {} parts 2", folder.at("no/out")),
    ] {
        assert!(cell(&failing).err.contains("error"), "{failing}");
        assert_eq!(folder.names(), [""; 0], "{failing}");
    }
    // The row is that of the table, not that of its part.
    assert!(cell(&format!("[\"a\", \"b\", null] | write {out} parts 2 as text")).err.contains("null (row 2)"));
    // An empty folder is replaced and keeps its permissions, also behind a link.
    std::fs::create_dir(folder.0.join("real")).expect("it is ours");
    std::fs::set_permissions(folder.0.join("real"), std::fs::Permissions::from_mode(0o750)).expect("it is ours");
    symlink("real", folder.0.join("link")).expect("it is ours");
    assert_eq!(cell(&format!("1..3 | write {} parts 2", folder.at("link/"))).err, "");
    let names = |name: &str| std::fs::read_dir(folder.0.join(name)).expect("it is there").count();
    assert_eq!((names("real"), folder.names()), (3, vec!["link".to_string(), "real".to_string()]));
    let mode = std::fs::metadata(folder.0.join("real")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    // One that is not empty is left as it is.
    for name in ["real", "link"] {
        assert!(cell(&format!("1..3 | write {} parts 2", folder.at(name))).err.contains("the folder is not empty"));
    }
    assert!(cell(&format!("1..3 | write {}", folder.at("new/"))).err.contains("parts 8"));
    assert!(cell("1..3 | write \".\" parts 2").err.contains("the current folder"));
    for (parts, error) in [("0", "1 to 10000"), ("10001", "1 to 10000"), ("-1", "negative"), ("\"a\"", "an int")] {
        assert!(cell(&format!("1..3 | write {out} parts {parts}")).err.contains(error), "{parts}");
    }
    let tee = |a: &str, b: &str| format!("1..3 | tee a: (write {a} parts 2), b: (write {b})");
    assert!(cell(&tee(&out, &folder.at("out/x.csv"))).err.contains("the folder of another"));
    assert_eq!(cell(&tee(&out, &folder.at("x.csv"))).err, "");
    assert_eq!(names("out"), 3);
}

/// Statistics of row groups say which of them are not read. What is left is what a filter leaves.
#[test]
fn row_groups_that_no_row_is_wanted_of_are_skipped() {
    // Ten groups of 100 rows, whose columns ascend.
    let read = "read \"tests/files/groups.parquet\"";
    let wanted = [
        "i >= 940",
        "i < 60 and t != \"x\"",
        "i == 333",
        "500 <= i and 510 > i",
        "i > 5000",
        "f > 90",
        "f < 1",
        "f >= 0 and i > 900",
        "m < 0.1",
        "m == 4.21",
        "m >= 9.99",
        "d >= \"2024-09-20\"",
        "d < \"2024-01-03\"",
        "d == \"2024-02-29\"",
        "d < \"2\"",
        "t < \"b\"",
        "t == \"zz\"",
        "u > 18 and i > 700",
        "n > 40",
        "n == 7",
        "1000 // i > 2 and i > 900",
        "i > 300.5",
        "i != 7",
        "b and i > 990",
    ];
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        for wanted in wanted {
            let same = lab.cell(&format!("%same ({read} | filter {wanted}), ({read} | filter not not ({wanted}))"));
            assert_eq!(same.out, "✓ the same table\n", "{engine} {wanted}: {}", same.err);
        }
    }
    // A float that is no number is over all others, whatever the statistics say.
    assert_eq!(csv("batch", &[&format!("{read} | filter f > 1e300 | count")]), "count\n2\n");
    // A condition that fails is not skipped.
    assert!(Lab::new("batch").cell(&format!("{read} | filter 1 // (i - 5) > 2 and i > 900")).err.contains("zero"));
    let rows_read = |wanted: &str| {
        let mut session = Session::new(None, Console::default());
        let context = session.context();
        let cell = format!("{read} | filter {wanted} | count | on batch");
        assert!(evaluate(&mut session, &cell, &context).error.is_none(), "{wanted}");
        context.progress.rows()
    };
    for (wanted, rows) in [("i >= 940", 100), ("i > 5000", 0), ("d < \"2024-01-03\"", 100), ("m == 4.21", 100)] {
        assert_eq!(rows_read(wanted), rows, "{wanted}");
    }
    for wanted in ["f > 1e300", "f > 50 or i > 5", "1 // (i + 5000) == 0 and i > 5000"] {
        assert_eq!(rows_read(wanted), 1000, "{wanted}");
    }
}
