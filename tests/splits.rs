//! Files are read in splits, each for itself, and together they give what the whole gives, wherever they are cut:
//! inside of characters, in line breaks, in quotes, beyond the end.

use std::path::PathBuf;

use timelab::console::Console;
use timelab::data::{Sameness, Table};
use timelab::diagnostic::Fallible;
use timelab::engines::{self, Choice};
use timelab::files::Split;
use timelab::kernel::{self, Aggregates, Compiler, Partial, Reading, Rows, Scope};
use timelab::plan::{Op, Prepared, Read, Source};
use timelab::rowwise::Program;
use timelab::run_context::{ChunkSizes, RunContext};
use timelab::session::Session;

use crate::lab::{self, Lab};
use crate::random::{self, Random};

/// A file and a session that reads it.
struct Lines {
    path: PathBuf,
    session: Session,
}

impl Lines {
    fn new(name: &str) -> Lines {
        let path = std::env::temp_dir().join(format!("timelab-splits-{}-{name}", std::process::id()));
        Lines { path, session: Session::new(None, Console::default()) }
    }

    fn write(&self, bytes: &[u8]) {
        std::fs::write(&self.path, bytes).expect("the temporary folder can be written");
    }

    /// The plan of `read` with these words after it; none where the file is none of that kind.
    fn plan(&mut self, rest: &str, context: &RunContext) -> Option<Prepared> {
        let cell = format!("read {:?} {rest}", self.path);
        let plan = lab::plan(&mut self.session, &cell).ok()?.expect("a file is a table");
        Some(self.session.prepared(plan, reference(), context).expect(&cell))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn reference() -> Choice {
    Choice::only(engines::REFERENCE)
}

fn read(plan: &Prepared) -> &Read {
    match &plan.source.op {
        Source::Read(read) => read,
        other => panic!("{other:?}"),
    }
}

/// The rows of a split, read as if there were no other.
fn rows_of(read: &Read, split: &Split, context: &RunContext, rows: &mut Rows) -> Fallible<()> {
    let mut reading = Reading::new(read, vec![split.clone()], context)?;
    while let Some(batch) = reading.next(context.chunk_sizes.rows)? {
        rows.push(&batch)?;
    }
    Ok(())
}

/// The rows of the splits between these places, one after the other.
fn in_extents(plan: &Prepared, places: &[u64], context: &RunContext) -> Fallible<Table> {
    let read = read(plan);
    let mut rows = Rows::of(plan.schema());
    for split in kernel::cut(read, 0, places, context) {
        rows_of(read, &split, context, &mut rows)?;
    }
    Ok(kernel::table(rows.finish(), plan.schema()).expect("it has the columns of its plan"))
}

fn places(length: usize, chance: &mut Random) -> Vec<u64> {
    match chance.below(4) {
        0 => (0..length as u64 + 3).collect(),
        most => (0..3 * most).map(|_| chance.below(length + 3) as u64).collect(),
    }
}

#[track_caller]
fn check(lines: &mut Lines, rest: &str, bytes: &[u8], chance: &mut Random, context: &RunContext) -> bool {
    lines.write(bytes);
    let Some(plan) = lines.plan(rest, context) else { return false };
    let whole = engines::REFERENCE.run(&plan, context).map(|run| run.table);
    for _ in 0..4 {
        let places = places(bytes.len(), chance);
        let shown = || format!("{rest} {places:?}\n{:?}", String::from_utf8_lossy(bytes));
        match (&whole, in_extents(&plan, &places, context)) {
            (Ok(whole), Ok(found)) => {
                if let Sameness::Different(what) = whole.same(&found) {
                    panic!("{what}: {}", shown());
                }
            }
            (Err(whole), Err(found)) => assert_eq!(whole.kind, found.kind, "{}", shown()),
            (whole, found) => panic!("{:?} whole, {:?} in splits: {}", whole.is_ok(), found.is_ok(), shown()),
        }
    }
    whole.is_ok()
}

const LINES: &[&str] = &["", "a", "é日本", "\u{2003} x", "\r", "\"", "\u{feff}", "a longer line than fits"];
const ENDS: &[&str] = &["\n", "\n", "\r\n", "\n\n"];

#[test]
fn lines_wherever_they_are_cut() {
    let mut lines = Lines::new("lines.txt");
    let context = RunContext {
        chunk_sizes: ChunkSizes { rows: 2, bytes: 7, ..ChunkSizes::default() },
        ..lines.session.context()
    };
    for seed in random::seeds(100) {
        let mut chance = Random::new(seed);
        let mut bytes = Vec::new();
        for _ in 0..chance.below(12) {
            bytes.extend_from_slice(chance.word(LINES).as_bytes());
            bytes.extend_from_slice(chance.word(ENDS).as_bytes());
        }
        bytes.truncate(bytes.len() - chance.below(3).min(bytes.len()));
        check(&mut lines, "", &bytes, &mut chance, &context);
        check(&mut lines, "lossy true", &bytes, &mut chance, &context);
    }
}

const FIELDS: &[&str] = &[
    "",
    "1",
    "x",
    "é",
    "\"\"",
    "\"q\"",
    "\"a\"\"b\"",
    "\"\n\"",
    "\"\r\"",
    "\"x,\r\n\"\"\n\"",
    "\"日\n本 and a longer one\"",
];
/// Of a file whose columns are numbers.
const NUMBERS: &[&str] = &["", "1", "\"2\"", "NA", "\"NULL\"", "\"\"", "-3", "1.5", "nan", "\"-inf\""];
const RECORD_ENDS: &[&str] = &["\n", "\n", "\r\n", "\n\n", "\n", "\r\n", "\r", "\r\r\n"];
/// They do not end where they seem to, or are no field at all.
const ODD: &[&str] = &["x\"y", "\"x\"y", "\"x\" \"", "\"\r", "\"open"];
const OPTIONS: &[&str] = &[
    "",
    "",
    "header false",
    "ragged true",
    "lossy true",
    "comment \"1\"",
    "columns a",
    "null \"x\", \"1\"",
    "types a: text",
];

fn table(chance: &mut Random) -> String {
    let width = 1 + chance.below(3);
    let odd = chance.one_in(5);
    let fields = if chance.one_in(3) { NUMBERS } else { FIELDS };
    let ends = if chance.one_in(3) { RECORD_ENDS } else { ENDS };
    let mut text = chance.word(&["", "", "", "\u{feff}", "\n", "\r\n\n"]).to_string();
    text.push_str(chance.word(&["a", "\"a\"", "\"a\"\"\n\""]));
    text.push_str([",b,c", ",b", ""][3 - width]);
    text.push('\n');
    for _ in 0..chance.below(8) {
        let width = if chance.one_in(30) { 4 } else { width };
        let fields = (0..width).map(|_| if odd && chance.one_in(8) { chance.word(ODD) } else { chance.word(fields) });
        text.push_str(&fields.collect::<Vec<_>>().join(","));
        text.push_str(chance.word(ends));
    }
    text.truncate(text.len() - usize::from(chance.one_in(2)));
    text
}

#[test]
fn csv_wherever_it_is_cut() {
    let mut lines = Lines::new("table.csv");
    let context = RunContext {
        chunk_sizes: ChunkSizes { rows: 2, bytes: 7, ..ChunkSizes::default() },
        ..lines.session.context()
    };
    let seeds = random::seeds(300);
    let all = seeds.end - seeds.start;
    let mut good = 0;
    for seed in seeds {
        let mut chance = Random::new(seed);
        let text = table(&mut chance);
        good += u64::from(check(&mut lines, chance.word(OPTIONS), text.as_bytes(), &mut chance, &context));
    }
    assert!(3 * good >= all, "at least a third has no mistake: {good}");
}

#[test]
fn json_wherever_it_is_cut() {
    let mut lines = Lines::new("lines.jsonl");
    let context = RunContext {
        chunk_sizes: ChunkSizes { rows: 2, bytes: 7, ..ChunkSizes::default() },
        ..lines.session.context()
    };
    let mut good = 0;
    let seeds = random::seeds(300);
    let all = seeds.end - seeds.start;
    for seed in seeds {
        let mut chance = Random::new(seed);
        // All types are told by the first line.
        let mut text = chance.word(&["", "", "\u{feff}"]).to_string();
        text.push_str("{\"i\": 1, \"x\": 0.5, \"b\": true, \"t\": \"é\", \"o\": {\"i\": 2, \"p.t\": \"\"}");
        text.push_str(chance.word(&["", "", ", \"l\": [1]"]));
        text.push('}');
        let odd = chance.one_in(4);
        for _ in 0..chance.below(9) {
            text.push_str(chance.word(ENDS));
            let members = (0..chance.below(5)).map(|_| {
                let from = if odd && chance.one_in(5) { ODD_MEMBERS } else { MEMBERS };
                chance.word(from)
            });
            let object = format!("{{{}}}", members.collect::<Vec<_>>().join(", "));
            text.push_str(if odd && chance.one_in(12) { chance.word(ODD_LINES) } else { &object });
        }
        let rest = chance.word(&["", "", "columns t, i"]);
        good += u64::from(check(&mut lines, rest, text.as_bytes(), &mut chance, &context));
    }
    assert!(3 * good >= all, "at least a third has no mistake: {good}");
}

const MEMBERS: &[&str] = &[
    "\"i\": 1",
    "\"i\": -9223372036854775808",
    "\"i\": null",
    "\"x\": 2",
    "\"x\": -0",
    "\"x\": 1e3",
    "\"x\": 18446744073709551615",
    "\"b\": false",
    "\"t\" : \"日本 \\n\\u00e9\\ud83d\\ude00, longer than twelve bytes\"",
    "\"t\": \"x\"",
    "\"o\": {}",
    "\"o\": {\"i\": 3, \"p\": {\"t\": \"y\"}}",
    "\"o.i\": 4",
];
/// They fit no column, or mean something else than they seem to.
const ODD_MEMBERS: &[&str] = &[
    "\"i\": 1.0",
    "\"i\": 9223372036854775808",
    "\"x\": \"1\"",
    "\"x\": 1e999",
    "\"b\": 0",
    "\"t\": 1",
    "\"t\": {\"i\": 1}",
    "\"t\": \"\\ud800\"",
    "\"o\": 1",
    "\"new\": null",
    "\"t\": [\"x\", {}]",
    "\"\": {\"i\": 5}",
    "\"l\": [2, null]",
];
const ODD_LINES: &[&str] =
    &["[]", "{} {}", "{", "\u{feff}{\"i\": 1}", "\u{c}", "1", "{\"t\": \"\t\"}", " {\"i\":\t6 }\t"];

/// Cuts are moved to the starts of records, no further; the header is the first split's.
#[test]
fn quotes_move_the_cuts() {
    let mut lines = Lines::new("quotes.csv");
    let context = lines.session.context();
    let starts = |lines: &mut Lines, text: &str, rest: &str| -> Vec<u64> {
        lines.write(text.as_bytes());
        let plan = lines.plan(rest, &context).expect("it is a table");
        let every: Vec<u64> = (0..text.len() as u64).collect();
        kernel::cut(read(&plan), 0, &every, &context).iter().map(|split| split.start).collect()
    };
    let text = "a,b\n1,x\n2,\"\n\n\"\n3,y\n";
    assert_eq!(starts(&mut lines, text, ""), [0, 4, 8, 15, 19]);
    assert_eq!(starts(&mut lines, &format!("\n{text}"), ""), [0, 5, 9, 16, 20]);
    assert_eq!(starts(&mut lines, &format!("\u{feff}{text}"), ""), [0, 7, 11, 18, 22]);
    assert_eq!(starts(&mut lines, text, "comment \"#\""), [0]);
    // More than the 64 bytes that are looked at together stand before what is odd.
    let odd = format!("{}4,\"x\"\"\n5,z\n", text.replace('x', &"x".repeat(64)));
    assert_eq!(starts(&mut lines, &odd, ""), [0, 4, 71, 78, 82]);
    assert_eq!(starts(&mut lines, text, "as text").len(), text.len());
}

/// Each split flows through an aggregation of its own; these are merged.
#[test]
fn extents_are_aggregated_apart() {
    let mut lines = Lines::new("apart.csv");
    let context = lines.session.context();
    let rows: String = (0..500).map(|i| format!("{},\"k\n{}\",{}.5\n", i, i % 7, i * i % 11)).collect();
    lines.write(format!("i,k,x\n{rows}").as_bytes());
    let plan =
        lines.plan("| agg n = count(), sum(i), mean(x), max(x), first(i), last(i) by k", &context).expect("it is one");
    let whole = engines::REFERENCE.run(&plan, &context).expect("there are no mistakes").table;
    let [aggregate] = &plan.steps[..] else { panic!("{plan:?}") };
    let Op::Aggregate { keys, aggs } = &aggregate.op else { panic!("{plan:?}") };
    let compiler = Compiler::new(&plan.functions);
    let program = Program::new(&plan.functions);
    for split in [1, 10, 100, 1000, 100_000] {
        let context = RunContext { chunk_sizes: ChunkSizes { split, ..context.chunk_sizes }, ..context.clone() };
        let mut all = Aggregates::new(keys, aggs, &compiler, &program);
        let splits = kernel::splits(read(&plan), &context);
        assert_eq!(splits.len() > 1, split < 100_000, "of {split} bytes");
        for split in splits {
            let mut part = Aggregates::new(keys, aggs, &compiler, &program);
            let mut reading = Reading::new(read(&plan), vec![split], &context).expect("it was written");
            while let Some(batch) = reading.next(10).expect("there are no mistakes") {
                part.take(Scope::new(&batch, &program, &context.stop)).expect("there are no mistakes");
            }
            all.merge(part, &context).expect("there are no mistakes");
        }
        let found = all.finish().expect("every sum is an int");
        let found = kernel::table(found, plan.schema()).expect("it has the columns of its plan");
        assert!(matches!(whole.same(&found), Sameness::Same), "{split} bytes");
    }
}

/// The place of a mistake is its line in the file, not in the split.
#[test]
fn a_mistake_is_told_with_its_line() {
    let lines = Lines::new("mistake.csv");
    lines.write(format!("a,b\n{}7\n", "1,\"\n\"\n".repeat(20)).as_bytes());
    for split in [5, 64, usize::MAX] {
        let chunk_sizes = ChunkSizes { split, ..ChunkSizes::default() };
        let printed = Lab::in_chunks("batch", chunk_sizes).cell(&format!("read {:?}", lines.path));
        assert!(printed.err.contains("line 42: 1 field, but the table has 2 columns"), "{split}: {}", printed.err);
    }
}

/// The rows of the parts of a source, each read as if there were no other.
fn in_parts(plan: &Prepared, most: usize, context: &RunContext) -> Fallible<(Vec<usize>, Table)> {
    let (mut heights, mut rows) = (Vec::new(), Rows::of(plan.schema()));
    for part in kernel::parts(&plan.source.op, most, context) {
        let before = rows.count();
        let mut reader = kernel::source(&plan.source, part, context)?;
        while let Some(batch) = reader.next(context.chunk_sizes.rows)? {
            rows.push(&batch)?;
        }
        heights.push(rows.count() - before);
    }
    Ok((heights, kernel::table(rows.finish(), plan.schema()).expect("it has the columns of its plan")))
}

#[test]
fn the_parts_of_a_source_are_the_source() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let csv = "n,t\n1,\"a\nb\"\n2,\n3,\"x,\"\"y\"\n4,zz\n5,a longer text than the others have\n6,é\n";
    let json: String = (0..9).map(|i| format!("{{\"n\": {i}, \"t\": \"{}\"}}\n", "x".repeat(i * i))).collect();
    let array = format!("[{}]", json.trim_end().replace('\n', ","));
    for (name, text) in [
        ("a.txt", "one\n\nthree, which is much longer than the others\nfour\nfive without an end"),
        ("b.txt", "\n\n\n"),
        ("c.txt", "x"),
        ("a.csv", csv),
        ("b.csv", "n,t\n"),
        ("c.csv", "n,t\r\n1,a\r\n2,b\r\n"),
        ("one.csv", "n\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"),
        ("a.jsonl", &json),
        ("a.json", &array),
    ] {
        std::fs::write(at(name), text).expect("the folder can be written");
    }
    let mut session = Session::new(None, Console::default());
    let context = RunContext { chunk_sizes: ChunkSizes { rows: 3, bytes: 7, split: 5, task: 48 }, ..session.context() };
    let mut sources: Vec<String> = [
        "1..1",
        "5..1",
        "3..4",
        "-7..20",
        "-9000000000000000000..-8999999999999999990",
        "letters 0",
        "letters 20 seed 3",
        "random 7",
        "[1, null, 3]",
        "[] | map it + 0",
        "[\"a\", \"b\", \"c\", \"d\", \"e\"]",
        "1..10 | map n = it, t = text(it * 100000000000) | persist",
        "1..1 | persist",
    ]
    .map(str::to_string)
    .to_vec();
    for name in ["t.csv.gz", "t.parquet", "t.arrow"] {
        let cell = format!("1..20 | map n = it, t = text(it) | write {:?}", at(name));
        lab::run(&mut session, &cell, &context).expect(&cell);
    }
    let files =
        ["a.txt", "b.txt", "c.txt", "?.txt", "a.csv", "b.csv", "c.csv", "?.csv", "one.csv", "a.jsonl", "a.json"];
    let packed = ["t.csv.gz", "t.parquet", "t.arrow"];
    sources.extend(files.iter().chain(&packed).map(|name| format!("read {:?}", at(name))));
    for cell in &sources {
        let plan = lab::plan(&mut session, &format!("{cell} | take 1000")).expect(cell).expect("it is a table");
        let mut plan = session.prepared(plan, reference(), &context).expect(cell);
        plan.steps.clear();
        let whole = engines::REFERENCE.run(&plan, &context).expect(cell).table;
        for most in 1..9 {
            let (heights, found) = in_parts(&plan, most, &context).expect(cell);
            assert!(heights.len() <= most, "{cell} in {most}: {heights:?}");
            // A file that was not read may have no rows.
            assert!(whole.height() == 0 || !heights.contains(&0), "{cell} in {most}: {heights:?}");
            assert_eq!(whole.same(&found), Sameness::Same, "{cell} in {most}");
        }
        let cannot_be_cut = packed.iter().chain(&["a.json\""]).any(|name| cell.contains(name));
        let parts = in_parts(&plan, 3, &context).expect(cell).0.len();
        assert!(cannot_be_cut == (parts == 1) || whole.height() < 3, "{cell}: {parts}");
    }
}
