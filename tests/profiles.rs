//! Profiles: dumps of real tools, damaged ones, square maps, exports, and what `%prof` says of all that.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use timelab::magics::CellStatus;
use timelab::profiles::{
    self, Format, Function, Profile, Rect, Stacks, Unit, differences, flames, folded, layout, read, speedscope,
};
use timelab::report::Map;
use timelab::show::{self, Style};

use crate::command::{err, out, timelab};
use crate::lab::{Lab, PLAIN};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("the dump is there")
}

#[track_caller]
fn dump(name: &str) -> Profile {
    read(&bytes(name), None).unwrap_or_else(|error| panic!("{name}: {error:?}"))
}

fn named<'p>(profile: &'p Profile, name: &str) -> &'p Function {
    let found = profile.functions.iter().find(|function| function.name == name);
    found.unwrap_or_else(|| panic!("there is no {name}"))
}

const DUMPS: [&str; 11] = [
    "marshal0.prof",
    "marshal1.prof",
    "marshal2.prof",
    "marshal3.prof",
    "marshal4.prof",
    "py-spy.speedscope.json",
    "py-spy.folded",
    "callgrind.out.gz",
    "perf-script.txt",
    "node.pprof.gz",
    "firefox.json",
];

#[test]
fn figures_of_python_are_those_of_pstats() {
    let expected = std::fs::read_to_string(path("pstats.tsv")).expect("it is there");
    for version in 0..5 {
        let profile = dump(&format!("marshal{version}.prof"));
        assert_eq!(profile.functions.len(), expected.lines().count(), "version {version}");
        for line in expected.lines() {
            let parts: Vec<&str> = line.split('\t').collect();
            let [file, number, name, primitive, calls, own, cumulative] = parts[..] else { panic!("{line}") };
            let is_it = |function: &&Function| {
                let own_file = function.file.as_deref().unwrap_or("~");
                own_file == file && function.name == name && function.line.unwrap_or(0).to_string() == number
            };
            let found = profile.functions.iter().find(is_it).unwrap_or_else(|| panic!("{line}"));
            let counts = (calls.parse().expect("a count"), primitive.parse().expect("a count"));
            assert_eq!(found.calls, Some(counts), "{line}");
            // Version 0 and 1 write 17 digits, which are as exact.
            assert_eq!(found.own, own.parse::<f64>().expect("a time"), "{line}");
            assert_eq!(found.cumulative, cumulative.parse::<f64>().expect("a time"), "{line}");
        }
    }
}

#[test]
fn dumps_of_other_tools_say_what_these_say() {
    let scope = dump("py-spy.speedscope.json");
    assert_eq!((scope.unit.clone(), (scope.total - 0.45).abs() < 1e-9), (Unit::Seconds, true), "{}", scope.total);
    assert!(named(&scope, "findall").file.as_deref().is_some_and(|file| file.ends_with("re/__init__.py")));
    let stacks = dump("py-spy.folded");
    assert_eq!(stacks.unit, Unit::Samples);
    let lines = String::from_utf8(bytes("py-spy.folded")).expect("text");
    let sum: f64 =
        lines.lines().map(|line| line.rsplit_once(' ').expect("a weight").1.parse::<f64>().expect("it")).sum();
    assert_eq!(stacks.total, sum);
    assert_eq!(named(&stacks, "findall").place(), "re/__init__.py:216");
    // callgrind_annotate says so of the same file.
    let grind = dump("callgrind.out.gz");
    assert_eq!((grind.total, grind.unit.clone()), (1_034_643.0, Unit::Events("Ir".to_string())));
    assert_eq!(named(&grind, "leaf").own, 900_014.0);
    assert_eq!(named(&grind, "leaf").calls, Some((2, 2)));
    let perf = dump("perf-script.txt");
    assert_eq!(perf.unit, Unit::Seconds);
    // Eleven samples of half a millisecond.
    assert!((perf.total - 0.0055).abs() < 1e-12, "{}", perf.total);
    assert!(named(&perf, "fib").own > 0.0 && named(&perf, "fib").module == "w");
    let node = dump("node.pprof.gz");
    assert_eq!(node.unit, Unit::Seconds);
    assert!(named(&node, "leaf").cumulative > 0.0, "{:?}", node.functions);
    let firefox = dump("firefox.json");
    assert!((firefox.total - 0.004).abs() < 1e-12, "{}", firefox.total);
    // Without a symbol it is an offset in its library.
    assert!((named(&firefox, "libc.so.6+0x2000").own - 0.003).abs() < 1e-12);
    assert_eq!(named(&firefox, "middle").place(), "src/work.c:10");
}

#[test]
fn trees_add_up() {
    for name in DUMPS {
        let profile = dump(name);
        let own: f64 = profile.nodes.iter().map(|node| node.own).sum();
        assert!((own - profile.total).abs() <= 1e-6 * profile.total, "{name}: {own} of {}", profile.total);
        for (at, node) in profile.nodes.iter().enumerate().skip(1) {
            assert!(node.parent < at, "{name}");
            assert!(node.total <= profile.nodes[node.parent].total * (1.0 + 1e-9), "{name}");
        }
        for function in &profile.functions {
            assert!(function.own <= function.cumulative * (1.0 + 1e-9) + 1e-9, "{name}: {function:?}");
        }
    }
}

/// The areas of the tiles are the times, and no two of them overlap.
#[track_caller]
fn check_map(profile: &Profile, what: &str) {
    let space = Rect { x: 0.0, y: 0.0, width: 97.0, height: 61.0 };
    let tiles = layout(profile, &profile.children(), 0, space, 0.0);
    let own: Vec<_> = tiles.iter().filter(|tile| tile.is_own).collect();
    let sum: f64 = own.iter().map(|tile| tile.rect.area()).sum();
    assert!((sum - space.area()).abs() < 1e-6 * space.area(), "{what}: {sum} of {}", space.area());
    let scale = space.area() / profile.nodes[0].total;
    for tile in &tiles {
        let Rect { x, y, width, height } = tile.rect;
        assert!(width >= -1e-9 && height >= -1e-9, "{what}: {tile:?}");
        assert!(x >= -1e-6 && y >= -1e-6 && x + width <= 97.0 + 1e-6 && y + height <= 61.0 + 1e-6, "{what}: {tile:?}");
        let node = &profile.nodes[tile.node];
        if !tile.is_own {
            assert!((tile.rect.area() - node.total * scale).abs() < 1e-6 * space.area(), "{what}: {tile:?}");
        }
    }
    for (at, one) in own.iter().enumerate() {
        for other in &own[..at] {
            let across =
                (one.rect.x + one.rect.width).min(other.rect.x + other.rect.width) - one.rect.x.max(other.rect.x);
            let down =
                (one.rect.y + one.rect.height).min(other.rect.y + other.rect.height) - one.rect.y.max(other.rect.y);
            assert!(across <= 1e-7 || down <= 1e-7, "{what}: {one:?} and {other:?}");
        }
    }
}

/// Random trees.
fn random(seed: u64) -> Profile {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut stacks = Stacks::default();
    let functions: Vec<usize> = (0..20).map(|i| stacks.function(Function::named(&format!("f{i}")))).collect();
    for _ in 0..chance.usize(1..60) {
        let depth = chance.usize(1..8);
        let stack: Vec<usize> = (0..depth).map(|_| functions[chance.usize(..functions.len())]).collect();
        stacks.add(stack, if chance.u8(..4) == 0 { 0.0 } else { chance.f64() * 10f64.powi(chance.i32(-6..6)) });
    }
    stacks.add([functions[0]], 1.0);
    stacks.profile("chance", Unit::Seconds)
}

#[test]
fn areas_add_up_and_never_overlap() {
    for name in DUMPS {
        check_map(&dump(name), name);
    }
    for seed in 0..60 {
        check_map(&random(seed), &format!("seed {seed}"));
    }
}

/// Also where functions call each other in a circle: the nodes of a function have its own time together.
#[test]
fn each_function_has_its_own_time_in_its_nodes() {
    for name in DUMPS {
        check_own_times(&dump(name), name);
    }
    if std::process::Command::new("python3").arg("-V").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    // All calls of it stand in circles.
    const CODE: &str = "import cProfile, runpy, sys; \
                        sys.argv = ['x', '-n', '3', '-r', '1', '[i*i for i in range(9999)]']; \
                        cProfile.run('runpy.run_module(\"timeit\", run_name=\"__main__\")', sys.argv.pop(0) + '.prof')";
    let folder = tempfile::tempdir().expect("a folder");
    let mut python = std::process::Command::new("python3");
    let ran = python.args(["-c", CODE]).current_dir(folder.path()).output().expect("it starts");
    let bytes = std::fs::read(folder.path().join("x.prof")).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let profile = read(&bytes, None).unwrap_or_else(|error| panic!("{error:?}"));
    check_own_times(&profile, "timeit");
    let folded: f64 = folded(&profile).lines().filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert!(folded > 0.0);
}

#[track_caller]
fn check_own_times(profile: &Profile, what: &str) {
    let mut own = vec![0.0; profile.functions.len()];
    profile.nodes.iter().skip(1).for_each(|node| own[node.function] += node.own);
    let large = |(function, _): &(&Function, f64)| function.own > 1e-4 * profile.total;
    for (function, own) in profile.functions.iter().zip(own).filter(large) {
        let near = (own - function.own).abs() <= 1e-6 * profile.total;
        assert!(near, "{what}: {} has {} and {own} in the tree", function.name, function.own);
    }
}

#[test]
fn recursion_counts_once() {
    let mut stacks = Stacks::default();
    let [f, g] = ["f", "g"].map(|name| stacks.function(Function::named(name)));
    stacks.add([f, g, f], 2.0);
    stacks.add([f], 1.0);
    let profile = stacks.profile("test", Unit::Seconds);
    assert_eq!((profile.functions[f].own, profile.functions[f].cumulative), (3.0, 3.0));
    assert_eq!((profile.functions[g].own, profile.functions[g].cumulative), (0.0, 2.0));
}

#[test]
fn damaged_dumps_are_errors_with_an_offset() {
    for (text, message, offset) in [
        (&b"{(\x03\x00\x00\x00"[..], "3 things are said to follow, but 0 bytes are left", Some(2)),
        (b"{)\x03z\x01a", "the dump ends too early", Some(6)),
        (b"{r\x05\x00\x00\x00", "", None),
        (b"a;b 1\nnothing here\n", "line 2 is not a stack and a number", Some(6)),
        (b"events: Ir\nfn=(1) f\n1 x\n", "line 3: `x` is not a cost", Some(20)),
        (b"\x1f\x8b\x08\x00 not gzip", "the gzip data is damaged", Some(2)),
        (b"{\"profiles\": [", "it is damaged", Some(13)),
        (b"", "it is empty", None),
        (b"\x00\x01\x02", "its content is none of cprofile, folded", None),
    ] {
        let error = read(text, None).expect_err("it is damaged");
        assert!(error.what.contains(message), "{error:?}");
        if message.is_empty() {
            continue;
        }
        assert_eq!(error.offset, offset, "{error:?}");
    }
    // Deep nesting ends.
    let deep: Vec<u8> = [b"{".as_slice(), &b")\x01".repeat(100_000)].concat();
    assert!(read(&deep, None).expect_err("it is deep").what.contains("nested"));
    let deep = format!("{{\"profiles\": {}", "[".repeat(100_000));
    assert!(read(deep.as_bytes(), None).is_err());
    // A gigabyte in a megabyte is not unpacked as a whole.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..300 {
        std::io::Write::write_all(&mut bomb, &vec![b' '; 1 << 20]).expect("memory");
    }
    let bomb = bomb.finish().expect("memory");
    assert!(read(&bomb, None).expect_err("it is a bomb").what.contains("MiB after decompression"));
}

#[test]
fn random_bytes_and_cut_dumps_never_crash_a_reader() {
    let cases: u64 = std::env::var("TIMELAB_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300);
    let all: Vec<Vec<u8>> = DUMPS.iter().map(|name| plain(&bytes(name))).collect();
    let formats: Vec<Option<Format>> =
        profiles::FORMATS.iter().map(|(_, format, _)| Some(*format)).chain([None]).collect();
    for case in 0..cases {
        let mut chance = fastrand::Rng::with_seed(case);
        let mut bytes = match chance.u8(..8) {
            0 => (0..chance.usize(..2000)).map(|_| chance.u8(..)).collect(),
            _ => all[chance.usize(..all.len())].clone(),
        };
        for _ in 0..chance.usize(..8) {
            if bytes.is_empty() {
                break;
            }
            let at = chance.usize(..bytes.len());
            match chance.u8(..4) {
                0 => bytes.truncate(at),
                1 => bytes[at] = chance.u8(..),
                2 => drop(bytes.drain(at..(at + chance.usize(..50)).min(bytes.len()))),
                _ => {
                    let part = bytes[at..(at + chance.usize(..50)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
        let format = formats[chance.usize(..formats.len())];
        if let Ok(profile) = read(&bytes, format) {
            // What was read can be drawn and written.
            let map = Map { title: String::new(), profile: Arc::new(profile), root: 0, flame: false };
            show::map_text(&map, &PLAIN);
            show::map_svg(&map);
            folded(&map.profile);
            speedscope(&map.profile, "x");
            profiles::pprof(&map.profile);
        }
    }
}

fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes), &mut plain) {
        Ok(_) => plain,
        Err(_) => bytes.to_vec(),
    }
}

#[test]
fn exports_are_read_as_what_they_were() {
    for name in DUMPS {
        let profile = dump(name);
        let sums = |profile: &Profile| {
            let mut sums: HashMap<String, f64> = HashMap::new();
            for node in profile.nodes.iter().skip(1) {
                *sums.entry(profile.functions[node.function].name.clone()).or_default() += node.own;
            }
            sums
        };
        let expected = sums(&profile);
        let check = |other: Profile, how: &str, near: f64| {
            let found = sums(&other);
            for (function, own) in &expected {
                let there = found.get(function).copied().unwrap_or(0.0);
                assert!(
                    (there - own).abs() <= near * profile.total + 1e-12,
                    "{name} as {how}: {function} {own} {there}"
                );
            }
        };
        let scope = read(speedscope(&profile, "x").as_bytes(), Some(Format::Speedscope));
        check(scope.expect("we wrote it"), "speedscope", 1e-9);
        let proto = read(&profiles::pprof(&profile), None).expect("we wrote it");
        check(proto, "pprof", 1e-5);
        let text = folded(&profile);
        if !text.is_empty() {
            read(text.as_bytes(), Some(Format::Folded)).expect("we wrote it");
        }
    }
}

#[test]
fn two_profiles_are_held_against_each_other() {
    let one = read(b"main;a 10\nmain;b 5\n", None).expect("stacks");
    let other = read(b"main;a 2\nmain;c 7\n", None).expect("stacks");
    let changes = differences(&one, &other);
    let said: Vec<(&str, f64)> = changes.iter().map(|change| (change.name.as_str(), change.grown())).collect();
    assert_eq!(said, [("a", -8.0), ("c", 7.0), ("b", -5.0), ("main", 0.0)]);
}

#[test]
fn flames_are_as_wide_as_times() {
    let profile = dump("py-spy.folded");
    let space = Rect { x: 0.0, y: 0.0, width: 100.0, height: 50.0 };
    for tile in flames(&profile, &profile.children(), 0, space, 20) {
        let expected = 100.0 * profile.nodes[tile.node].total / profile.total;
        assert!((tile.rect.width - expected).abs() < 1e-9, "{tile:?}");
    }
}

#[test]
fn a_large_dump_is_read_and_drawn() {
    let mut text = String::new();
    for i in 0..100_000 {
        text.push_str(&format!("main;part{};function{i} {}\n", i % 100, i % 7 + 1));
    }
    let profile = read(text.as_bytes(), None).expect("stacks");
    assert_eq!(profile.functions.len(), 100_101);
    let space = Rect { x: 0.0, y: 0.0, width: 1000.0, height: 1000.0 };
    assert!(!layout(&profile, &profile.children(), 0, space, 1.0).is_empty());
}

#[test]
fn nothing_of_a_file_is_lost_unsaid() {
    let own = |profile: &Profile, name: &str| profile.functions.iter().find(|f| f.name == name).map(|f| f.own);
    let evented = |events: &str| {
        let text = format!(
            r#"{{"shared": {{"frames": [{{"name": "a"}}, {{"name": "b"}}]}}, "$schema": "speedscope", "profiles": [
            {{"type": "evented", "unit": "seconds", "startValue": 0, "endValue": 10, "events": [{events}]}}]}}"#
        );
        read(text.as_bytes(), None).expect("a profile")
    };
    // What is open at the end goes on until then.
    let open = evented(r#"{"type": "O", "frame": 0, "at": 0}, {"type": "O", "frame": 1, "at": 2}"#);
    assert_eq!((own(&open, "a"), own(&open, "b"), open.total), (Some(2.0), Some(8.0), 10.0));
    let sampled = r#"{"shared": {"frames": [{"name": "a"}]}, "profiles": [
        {"type": "sampled", "unit": "none", "samples": [[0]], "weights": [-1]}]}"#;
    let error = read(sampled.as_bytes(), None).expect_err("a negative weight");
    assert!(error.what.contains("below zero"), "{}", error.what);
    // The mark of the byte order is no part of a name.
    let marked = read("\u{feff}a 1\na;b 2\n".as_bytes(), None).expect("stacks");
    assert_eq!((own(&marked, "a"), marked.functions.len()), (Some(1.0), 2));
    let error = read(b"a 99999999999999999999\n", None).expect_err("too many samples");
    assert!(error.what.contains("line 1"), "{}", error.what);
}

#[test]
fn files_are_shown_as_a_table() {
    let mut lab = Lab::new("batch");
    let file = |name: &str| path(name).display().to_string();
    let printed = lab.cell(&format!("%prof --top 3 view \"{}\"", file("marshal4.prof")));
    assert_eq!(printed.out.lines().count(), 4, "{}", printed.out);
    assert!(printed.out.starts_with("calls,primitive,own,cumulative,share,function,place"), "{}", printed.out);
    assert!(printed.out.contains("leaf") && printed.out.contains("work.py:3"), "{}", printed.out);
    let rows = lab.cell("_ | count").out;
    assert!(rows.ends_with("\n73\n") || rows.lines().count() == 2, "{rows}");
    let printed = lab.cell(&format!("%prof --sort calls --find fib view {}", file("marshal4.prof")));
    assert!(printed.out.contains("fib"), "{}", printed.out);
    assert!(printed.out.contains("\n1973,1,"), "total and primitive calls: {}", printed.out);
    let said = lab.notes(&format!("%prof --find fib view {}", file("marshal4.prof")));
    assert!(said.contains("`fib`: ") && said.contains("calls"), "{said}");
    let printed = lab.cell(&format!("%prof --by module view {}", file("callgrind.out.gz")));
    assert!(printed.out.contains("libc.so.6"), "{}", printed.out);
    let error = lab.evaluate(&format!("%prof view {} as perf", file("marshal4.prof"))).error.expect("it is not");
    assert!(error.message.contains("(at byte 0)"), "{}", error.message);
    let error = lab.evaluate("%prof view /no/such/file").error.expect("there is none");
    assert!(error.message.contains("cannot read"), "{}", error.message);
    let error = lab.evaluate("%prof view x as xml").error.expect("unknown");
    assert!(error.message.contains("unknown format `xml`"), "{}", error.message);
}

#[test]
fn maps_are_printed_where_nobody_can_move_in_them() {
    let file = path("py-spy.folded").display().to_string();
    let cells = ["-c".to_string(), format!("%prof view \"{file}\""), "-c".to_string(), "%prof map".to_string()];
    let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
    let output = timelab(&cells, "");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("findall") && out(&output).contains("area = "), "{}", out(&output));
    let map = Map { title: "a <b>".to_string(), profile: Arc::new(dump("py-spy.folded")), root: 0, flame: false };
    let colour = show::map_text(&map, &Style { color_out: true, width: 80, ..PLAIN });
    assert!(colour.contains('▀') && colour.contains("findall"), "{colour}");
    let svg = show::map_svg(&map);
    assert!(svg.starts_with("<svg") && svg.contains("a &lt;b&gt;") && svg.contains("findall"), "{svg}");
    let page = show::map_html(&map, "map-1");
    assert!(page.contains("<script>") && page.contains("type=\"search\""), "{page}");
}

#[test]
fn operators_of_a_pipeline_are_measured() {
    let mut lab = Lab::new("batch");
    let printed = lab.cell("%prof read \"samples/kjv.txt\" | words | count by word");
    let rows: Vec<&str> = printed.out.lines().collect();
    assert!(rows[0].starts_with("operator,calls,rows_in,rows_out,own,cumulative,share"), "{}", printed.out);
    assert!(printed.out.contains(",820736,"), "{}", printed.out);
    assert_eq!(rows.len(), 5, "{}", printed.out);
    let shares = lab.cell("_ | sum share").out;
    let sum: f64 = shares.lines().last().expect("a row").parse().expect("a number");
    assert!((sum - 1.0).abs() < 1e-6, "{shares}");
    let said = lab.notes("%prof 1..300k | map it * it | filter it % 3 == 1 | sum");
    assert!(said.contains("costs most") && said.contains("limit"), "{said}");
    let said = lab.cell("%prof map");
    assert!(said.err.is_empty(), "{}", said.err);
    for (cell, message) in [
        ("%prof 1..3 | on rows", "this pipeline calls none"),
        ("%prof 1..3 | on polars", "its operators cannot be told apart"),
        ("%prof --by module 1..3", "`--by` adds up functions of programs"),
        ("%prof --sampler perf 1..3", "`--sampler` applies to commands and Rust"),
        ("%prof --input README.md 1..3", "`--input` only applies to commands"),
        ("%prof 1 + 1", "a value has no operators"),
        ("%prof let x = 1..3", "defines no names"),
        ("%prof", "needs a subject"),
        ("%prof diff _1", "expects two results or files"),
        ("%prof map _99", "`_99` is not a profile"),
        ("%prof export xml x.xml", "unknown form `xml`"),
    ] {
        let error = lab.evaluate(cell).error.unwrap_or_else(|| panic!("{cell}"));
        assert!(error.message.contains(message), "{cell}: {}", error.message);
    }
    // The result is the same with and without the clock.
    let pipeline = "1..300k | map it * it | filter it % 3 == 1 | sum";
    let plain = lab.cell(&format!("{pipeline} | on rows")).out;
    lab.cell(&format!("%prof {pipeline}"));
    assert_eq!(lab.cell(pipeline).out, plain);
}

/// Rows of a table that was printed as csv, without its head.
fn rows(printed: &str) -> Vec<Vec<String>> {
    printed.lines().skip(1).map(|line| line.split(',').map(str::to_string).collect()).collect()
}

#[test]
fn stages_of_engines_with_tasks_are_measured() {
    let mut lab = Lab::new("batch");
    for (engine, least) in [("threads", 2), ("mapreduce", 7)] {
        let printed = lab.cell(&format!("%prof 1..300k | map it % 1000 | count by it | top 3 | on {engine}"));
        assert!(printed.err.is_empty(), "{engine}: {}", printed.err);
        let all = rows(&printed.out);
        assert!(all.len() >= least, "{engine}: {}", printed.out);
        assert!(printed.out.starts_with("stage,tasks,rows_in,rows_out,wall,cpu,processors,share"), "{}", printed.out);
        let shares = lab.cell("_ | sum share").out;
        let sum: f64 = shares.lines().last().expect("a row").parse().expect("a number");
        assert!((sum - 1.0).abs() < 1e-6, "{engine}: {shares}");
    }
    let printed = lab.cell("%prof 1..300k | map it % 1000 | count by it | sort by it | on threads");
    let all = rows(&printed.out);
    // The first stage takes all numbers and gives a row for each key, which the second one sorts.
    let counts = |row: &[String]| (row[row.len() - 6].clone(), row[row.len() - 5].clone());
    let text = |a: &str, b: &str| (a.to_string(), b.to_string());
    assert_eq!(counts(&all[0]), text("299999", "1000"), "{}", printed.out);
    assert_eq!(counts(&all[1]), text("1000", "1000"), "{}", printed.out);
    let said = lab.notes("%prof 1..300k | count by it % 7 | on threads");
    assert!(said.contains("costs most") && said.contains("limit"), "{said}");
    assert!(lab.cell("%prof map").err.is_empty());
}

#[test]
fn functions_are_counted_on_rows() {
    let mut lab = Lab::new("batch");
    lab.cell("fn double(x) = x + x ; fn fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)");
    let printed = lab.cell("%prof 1..6 | map double(fib(it)) | on rows");
    assert!(printed.err.is_empty(), "{}", printed.err);
    // fib(n) takes 2 fib(n + 1) - 1 calls: 1 + 3 + 5 + 9 + 15, five of which are no recursion.
    let calls = |name: &str| {
        let row = rows(&printed.out).into_iter().find(|row| row[5] == name).expect("it is there");
        (row[0].clone(), row[1].clone())
    };
    let counted = |all: &str, primitive: &str| (all.to_string(), primitive.to_string());
    assert_eq!((calls("fib"), calls("double")), (counted("33", "5"), counted("5", "5")), "{}", printed.out);
    // A function that fails in the middle is left all the same.
    lab.cell("fn half(x) = if x > 3 then x // 0 else fib(x)");
    assert!(lab.evaluate("%prof 1..6 | map half(it) | on rows").error.is_some());
    let printed = lab.cell("%prof 1..4 | map half(it) | on rows");
    assert!(printed.out.contains("fib") && printed.out.contains("half"), "{}{}", printed.out, printed.err);
}

#[test]
fn programs_are_sampled_with_their_callers_and_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, program) = (folder.path().join("work.rs"), folder.path().join("work"));
    let text = "#[inline(never)]\nfn inner(mut x: u64) -> u64 {\n    for i in 0..3000_u64 {\n        \
                x = x.wrapping_mul(6364136223846793005).wrapping_add(i ^ x >> 7);\n    }\n    x\n}\n\
                #[inline(never)]\nfn outer(n: u64) -> u64 {\n    (0..n).map(inner).fold(0, |a, b| a ^ b)\n}\n\
                fn main() {\n    println!(\"{}\", outer(40_000));\n}\n";
    std::fs::write(&source, text).expect("it can be written");
    let mut rustc = std::process::Command::new("rustc");
    let built = rustc.args(["-O", "-g", "-o"]).arg(&program).arg(&source).output();
    if !built.is_ok_and(|built| built.status.success()) {
        eprintln!("skipped: there is no rustc");
        return;
    }
    let mut lab = Lab::new("batch");
    let evaluation = lab.evaluate(&format!("%prof --top 1000 --sampler perf !{}", program.display()));
    if let Some(error) = evaluation.error {
        assert!(error.message.contains("perf_event_open"), "{}", error.message);
        eprintln!("skipped: {}", error.message);
        return;
    }
    let printed = show::report(&evaluation.report, &PLAIN).out;
    let total: f64 = lab.cell("_.total").out.trim().parse().expect("a time");
    // Compiled without frame pointers: the callers are known all the same.
    for (name, line) in [("work::inner", 2), ("work::outer", 9), ("work::main", 12)] {
        let all = rows(&printed);
        let row = all.iter().find(|row| row[3] == name).unwrap_or_else(|| panic!("{name}: {printed}"));
        let cumulative: f64 = row[1].parse().expect("a time");
        assert!(cumulative > 0.8 * total, "{name}: {printed}");
        let (file, at) = row[4].rsplit_once(':').expect("a file and a line");
        let at: i64 = at.parse().expect("a line");
        assert!(file.ends_with("work.rs") && (at - line).abs() <= 1, "{name}: {printed}");
    }
}

#[test]
fn profiles_are_exported_and_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lab = Lab::new("batch");
    lab.cell(&format!("%prof view {}", path("py-spy.folded").display()));
    for (form, name) in [("folded", "x.folded"), ("speedscope", "x.json"), ("pprof", "x.pb.gz"), ("svg", "x.svg")] {
        let file = folder.path().join(name).display().to_string();
        let printed = lab.cell(&format!("%prof export {form} {file} _1"));
        assert!(printed.out.contains("written to"), "{}{}", printed.out, printed.err);
        if form != "svg" {
            let printed = lab.cell(&format!("%prof diff _1 {file}"));
            assert!(printed.err.is_empty() || printed.err.contains("different units"), "{form}: {}", printed.err);
        }
    }
}

#[test]
fn python_programs_are_profiled_unchanged() {
    if std::process::Command::new("python3").arg("-V").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let mut lab = Lab::new("batch");
    let printed = lab.cell("%prof --top 5 !python3 samples/APP.py");
    assert!(printed.out.contains("factorise"), "{}{}", printed.out, printed.err);
    assert!(lab.cell("_.stdout").out.contains("(200, "));
    let printed = lab.cell("%prof !python3 -c 'f = lambda: sum(range(10000)); f()'");
    assert!(printed.err.is_empty(), "{}", printed.err);
    let printed = lab.cell("%prof !python3 -c 'x = {\"a\": 1}; print(x)'");
    assert!(printed.err.is_empty(), "{}", printed.err);
    // What pickles a class of its own file finds it again, options of the interpreter stay, and threads are named.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.py");
    let text = "import pickle, threading\nclass A: pass\nthread = threading.Thread(target=sum, args=([1],))\n\
                thread.start()\nthread.join()\npickle.loads(pickle.dumps(A()))\nassert __name__ == '__main__'\n";
    std::fs::write(&file, text).expect("it can be written");
    let cell = format!("%prof !python3 -u -X dev {}", file.display());
    let evaluation = lab.evaluate(&cell);
    assert!(evaluation.error.is_none() && evaluation.status == CellStatus::Good, "{evaluation:?}");
    assert!(lab.notes(&cell).contains("1 other thread began"));
    let error = lab.evaluate("%prof !python3 /no/such/file.py").error.expect("there is none");
    assert!(error.message.contains("left no profile"), "{}", error.message);
}

#[test]
fn any_program_is_sampled() {
    let work = "!awk 'BEGIN { for (i = 0; i < 3000000; i++) x += i; print x }'";
    let mut lab = Lab::new("batch");
    for sampler in ["perf", "preload"] {
        let evaluation = lab.evaluate(&format!("%prof --sampler {sampler} {work}"));
        match evaluation.error {
            // Nobody may sample here: the refusal says what was tried, and what allows it.
            Some(error) => {
                assert!(error.message.contains("perf_event_open") || sampler == "preload", "{}", error.message);
                eprintln!("skipped {sampler}: {}", error.message);
            }
            None => {
                let drawn = show::report(&evaluation.report, &PLAIN);
                assert!(drawn.err.contains("samples by"), "{}", drawn.err);
                let total: f64 = lab.cell("_.total").out.trim().parse().expect("a time");
                assert!(total > 0.01, "{total} s");
                assert!(lab.cell("len(_.stdout) > 0").out.contains("true"));
            }
        }
    }
    let error = lab.evaluate("%prof --sampler gprof !true").error.expect("there is none");
    assert!(error.message.contains("must be perf or preload"), "{}", error.message);
    let error = lab.evaluate("%prof !no-such-program").error.expect("there is none");
    assert!(error.message.contains("there is no program"), "{}", error.message);
}
