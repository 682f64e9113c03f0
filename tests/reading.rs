//! The rules of reading, on random files and by every reader: what a file means is worked out here once more, value by
//! value, from the cells that it was made of.

use std::path::PathBuf;

use timelab::console::Console;
use timelab::data::{Column, Order, Sameness, Schema, Table, Type, Value};
use timelab::diagnostic::{Diagnostic, Kind};
use timelab::lang::{self, Cell};
use timelab::magics::Tables;
use timelab::run_context::{ChunkSizes, RunContext};
use timelab::session::{Bound, CellValue, RunResult, Session};

use crate::lab::{Lab, csv, engine_names, ways};
use crate::random::{self, Random};

/// A folder of a test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("timelab-reading-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary folder can be written");
        Folder(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("the temporary folder can be written");
        format!("{path:?}")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The result of a cell of one statement.
fn run(engine: &'static str, chunk_sizes: ChunkSizes, text: &str) -> Result<RunResult, Box<Diagnostic>> {
    let mut session = Session::new(engine, Console::default());
    let id = session.remember(text);
    let Cell::Statements(statements) = lang::parse(id, text, &Tables)? else { panic!("{text}") };
    let context = RunContext { chunk_sizes, ..session.context() };
    match session.statement(&statements[0], &context)? {
        CellValue::Table(ran) => Ok(ran),
        _ => panic!("{text}: no table"),
    }
}

/// Every reader gives the table, whatever it works on at a time.
#[track_caller]
fn check(cell: &str, expected: &Table, file: &str) {
    for (engine, chunk_sizes) in ways() {
        let found = run(engine, chunk_sizes, cell);
        let what = match &found {
            Ok(ran) => match expected.same(&ran.table) {
                Sameness::Same => continue,
                Sameness::Different(what) | Sameness::CannotTell(what) => what.to_string(),
            },
            Err(error) => error.message.clone(),
        };
        panic!("{engine}: {what}\n{cell}\n{file:?}\n{file}");
    }
}

const INTS: &[&str] = &["0", "-5", "12", "9223372036854775807", "-9223372036854775808"];
const FLOATS: &[&str] = &["1.5", "-0.25", "2e3", "nan", "NaN", "-INF", "Infinity", "0.5", "123456789.123456789"];
const BOOLS: &[&str] = &["true", "false"];
const LARGE: &[&str] = &["9223372036854775808", "-9223372036854775809", "123456789012345678901234567890"];
const CODES: &[&str] = &["0870", "-007", "+15550100", "00", "+1.5", "00.5"];
const TEXTS: &[&str] = &["x", "é日本", "True", "nil", " 1", "1 ", "1_000", "0x1f", "a longer one than fits", "."];
const NULLS: &[&str] = &["NA", "N/A", "n/a", "NULL", "null", "None"];
/// They stand in quotes.
const QUOTED: &[&str] = &["a, b", "say \"x\"", "line\nbreak", "\r", "\r\n", ","];

/// A field: its text, and whether it stands in quotes. Nothing is null.
#[derive(Clone)]
struct Field {
    text: &'static str,
    is_quoted: bool,
}

fn field(pools: &[&[&'static str]], random: &mut Random) -> Field {
    let pool = pools[random.below(pools.len())];
    let text = random.word(pool);
    Field { text, is_quoted: pool == QUOTED || random.one_in(4) }
}

/// The values of a column by the rules, and its type.
fn meaning(fields: &[Field], nulls: Option<&[&str]>) -> (Type, Vec<Value>) {
    let is_null = |field: &&Field| nulls.unwrap_or(NULLS).contains(&field.text);
    let values: Vec<&Field> = fields.iter().filter(|field| !field.text.is_empty() && !is_null(field)).collect();
    let all = |pools: &[&[&str]]| values.iter().all(|field| pools.iter().any(|pool| pool.contains(&field.text)));
    let ty = match () {
        () if values.is_empty() => Type::Text,
        () if all(&[INTS]) => Type::Int,
        () if all(&[INTS, FLOATS]) => Type::Float,
        () if all(&[BOOLS]) => Type::Bool,
        () => Type::Text,
    };
    let value = |field: &Field| match &ty {
        _ if field.text.is_empty() && !field.is_quoted => Value::Null,
        _ if nulls.is_some() && is_null(&field) => Value::Null,
        Type::Text => Value::text(field.text),
        _ if field.text.is_empty() || is_null(&field) => Value::Null,
        Type::Int => Value::Int(field.text.parse().expect("it is an int")),
        Type::Float => Value::Float(field.text.to_lowercase().parse().expect("it is a float")),
        _ => Value::Bool(field.text == "true"),
    };
    (ty.clone(), fields.iter().map(value).collect())
}

fn csv_field(field: &Field) -> String {
    if field.is_quoted { format!("\"{}\"", field.text.replace('"', "\"\"")) } else { field.text.to_string() }
}

fn table(names: &[String], columns: Vec<(Type, Vec<Value>)>) -> Table {
    let height = columns[0].1.len();
    let (types, values): (Vec<Type>, Vec<Vec<Value>>) = columns.into_iter().unzip();
    let columns = names.iter().cloned().zip(types).map(|(name, ty)| Column { name, ty }).collect();
    Table::from_columns(Schema::new(columns, Order::Kept), height, &values)
}

/// A csv file, the words that read it, and what it means.
fn random_csv(random: &mut Random) -> (String, String, Table) {
    let width = 1 + random.below(4);
    let height = random.below(9);
    let separator = if width == 1 { "," } else { random.word(&[",", ",", ";", "\t", "|"]) };
    let columns: Vec<Vec<Field>> = (0..width)
        .map(|_| {
            let mut pools: Vec<&[&'static str]> = vec![*random.pick(&[INTS, FLOATS, BOOLS, CODES, TEXTS, QUOTED])];
            for more in [INTS, FLOATS, BOOLS, LARGE, CODES, TEXTS] {
                if random.one_in(9) {
                    pools.push(more);
                }
            }
            if random.one_in(2) {
                pools.push(NULLS);
            }
            if random.one_in(2) {
                pools.push(&["", ""]);
            }
            if random.one_in(9) {
                pools = vec![NULLS, &[""]];
            }
            (0..height).map(|_| field(&pools, random)).collect()
        })
        .collect();
    // A file of blank lines alone has no column.
    let is_blank = width == 1 && columns[0].iter().all(|field| field.text.is_empty() && !field.is_quoted);
    let has_header = is_blank || !random.one_in(4);
    let names: Vec<String> = (0..width).map(|i| format!("column_{}", i + 1)).collect();
    // A record of one column may be nothing: there, line breaks of several kinds would run together.
    let breaks: &[&str] = match width {
        1 => &[random.word(&["\n", "\r\n", "\r"])],
        _ => random.pick::<&[&str]>(&[&["\n"], &["\r\n"], &["\r"], &["\n", "\r\n", "\r", "\n\n", "\r\r\n"]]),
    };
    let mut text = random.word(&["", "", "\u{feff}"]).to_string();
    let mut record = |fields: Vec<String>, random: &mut Random| {
        text.push_str(&fields.join(separator));
        text.push_str(random.word(breaks));
    };
    if has_header {
        record(names.clone(), random);
    }
    for row in 0..height {
        record(columns.iter().map(|column| csv_field(&column[row])).collect(), random);
    }
    let mut options = String::new();
    if separator != "," {
        options.push_str(&format!(" sep {separator:?}"));
    }
    if !has_header {
        options.push_str(" header false");
    }
    let nulls: Option<&[&str]> = if random.one_in(5) { Some(&["x", "12", "NA", ","]) } else { None };
    if nulls.is_some() {
        options.push_str(" null \"x\", \"12\", \"NA\", \",\"");
    }
    let means = columns.iter().map(|fields| meaning(fields, nulls)).collect();
    (text, options, table(&names, means))
}

#[test]
fn random_csv_is_read_by_the_rules() {
    let folder = Folder::new("csv");
    let mut with_rows = 0;
    let seeds = random::seeds(400);
    let all = seeds.end - seeds.start;
    for seed in seeds {
        let mut random = Random::new(seed);
        let (text, options, expected) = random_csv(&mut random);
        if text.trim_start_matches('\u{feff}').is_empty() {
            continue;
        }
        with_rows += u64::from(expected.height() > 0);
        let path = folder.write("t.csv", &text);
        check(&format!("read {path}{options}"), &expected, &text);
        // All the same behind a file that says nothing.
        if !options.contains("header") {
            let first = if random.one_in(2) { text.split(['\r', '\n']).next().unwrap_or_default() } else { "" };
            folder.write("glob-1.csv", first);
            folder.write("glob-2.csv", &text);
            check(&format!("read {:?}{options}", folder.0.join("glob-*.csv")), &expected, &text);
        }
    }
    assert!(2 * with_rows > all, "half of them have rows: {with_rows}");
}

#[derive(Clone, Copy)]
enum Json {
    Missing,
    Null,
    Number(&'static str),
    Bool(bool),
    Text(&'static str),
}

/// The values of a json column by the rules.
fn json_meaning(values: &[Json]) -> (Type, Vec<Value>) {
    let given: Vec<Json> =
        values.iter().copied().filter(|value| !matches!(value, Json::Missing | Json::Null)).collect();
    let all = |fits: fn(&Json) -> bool| given.iter().all(fits);
    let ty = match () {
        () if given.is_empty() => Type::Text,
        () if all(|value| matches!(value, Json::Number(text) if INTS.contains(text))) => Type::Int,
        () if all(|value| matches!(value, Json::Number(text) if !LARGE.contains(text))) => Type::Float,
        () if all(|value| matches!(value, Json::Bool(_))) => Type::Bool,
        () => Type::Text,
    };
    let value = |value: &Json| match (value, &ty) {
        (Json::Missing | Json::Null, _) => Value::Null,
        (Json::Number(text), Type::Int) => Value::Int(text.parse().expect("it is an int")),
        (Json::Number(text), Type::Float) => Value::Float(text.parse().expect("it is a float")),
        (Json::Bool(b), Type::Bool) => Value::Bool(*b),
        (Json::Number(text) | Json::Text(text), _) => Value::text(text),
        (Json::Bool(b), _) => Value::text(&b.to_string()),
    };
    (ty.clone(), values.iter().map(value).collect())
}

const JSON_FLOATS: &[&str] = &["0.5", "-2.25", "1.0"];
const JSON_TEXTS: &[&str] = &["x", "9", "NA", "", "é\" , ] }", "\\", "9223372036854775808"];

fn random_json(random: &mut Random) -> (Vec<String>, Table) {
    let width = 1 + random.below(3);
    let height = 1 + random.below(6);
    let mut columns: Vec<Vec<Json>> = Vec::new();
    for _ in 0..width {
        let kinds: Vec<usize> = (0..1 + random.below(3)).map(|_| random.below(6)).collect();
        let column = (0..height).map(|_| match *random.pick(&kinds) {
            0 => Json::Number(random.word(INTS)),
            1 => Json::Number(random.word(JSON_FLOATS)),
            2 if random.one_in(2) => Json::Number(random.word(LARGE)),
            2 => Json::Null,
            3 => Json::Bool(random.one_in(2)),
            4 => Json::Text(random.word(JSON_TEXTS)),
            _ => Json::Missing,
        });
        columns.push(column.collect());
    }
    // The first object has all keys, so that their order is known.
    for column in &mut columns {
        if matches!(column[0], Json::Missing) {
            column[0] = Json::Null;
        }
    }
    let names: Vec<String> = (0..width).map(|i| if i == 1 { "o.b".to_string() } else { format!("k{i}") }).collect();
    let objects = (0..height).map(|row| {
        let members = names.iter().zip(&columns).filter_map(|(name, column)| {
            let value = match column[row] {
                Json::Missing => return None,
                Json::Null => "null".to_string(),
                Json::Number(text) => text.to_string(),
                Json::Bool(b) => b.to_string(),
                Json::Text(text) => format!("{text:?}"),
            };
            let nested = name.strip_prefix("o.").map(|name| format!("\"o\": {{\"{name}\":{value}}}"));
            Some(nested.unwrap_or_else(|| format!("\"{name}\":{value}")))
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(random.word(&[",", ", ", " ,\t"])))
    });
    let objects = objects.collect();
    (objects, table(&names, columns.iter().map(|column| json_meaning(column)).collect()))
}

#[test]
fn random_json_is_read_by_the_rules() {
    let folder = Folder::new("json");
    for seed in random::seeds(300) {
        let mut random = Random::new(seed);
        let (objects, expected) = random_json(&mut random);
        let lines = objects.join(random.word(&["\n", "\r\n", "\n\n"]));
        let path = folder.write(random.word(&["t.json", "t.jsonl"]), &lines);
        check(&format!("read {path}"), &expected, &lines);
        let between = random.word(&[",", ",\n", " , ", "\r\n,\n"]);
        let [before, after] = [(); 2].map(|()| random.word(&["", " ", "\n", "\u{20}\r\n\t"]));
        let array = format!("{before}[{after}{}{before}]{after}", objects.join(between)).replace("\":", "\": \n");
        let path = folder.write("a.json", &array);
        check(&format!("read {path}"), &expected, &array);
    }
}

/// What `write` says of a table holds: it reads back as it was, or a note names the column.
#[test]
fn what_is_written_reads_back_or_a_note_says_so() {
    let folder = Folder::new("written");
    let mut noted = 0;
    for seed in random::seeds(200) {
        let mut random = Random::new(seed);
        let (text, options, table) = random_csv(&mut random);
        if table.height() == 0 {
            continue;
        }
        let path = folder.write("t.csv", &text);
        for name in ["w.csv", "w.tsv", "w.csv.gz", "w.json", "w.jsonl", "w.parquet", "w.arrow"] {
            let written = folder.0.join(name);
            let engine = random.word(&engine_names());
            let ran = run(engine, ChunkSizes::default(), &format!("read {path}{options} | write {written:?}"));
            let ran = match ran {
                Ok(ran) => ran,
                Err(error) => {
                    assert!(error.message.contains("a float that is NaN or infinite"), "{name}: {}", error.message);
                    continue;
                }
            };
            noted += ran.notes.len();
            for (engine, chunk_sizes) in ways() {
                let back = run(engine, chunk_sizes, &format!("read {written:?}"));
                let back = match back {
                    Ok(back) => back.table,
                    Err(error) => panic!("{engine} {name}: {}\n{text:?}", error.message),
                };
                let is_named = |column: &str| ran.notes.iter().any(|note| note.starts_with(&format!("{column} ")));
                for (i, column) in table.schema().columns.iter().enumerate() {
                    if is_named(&column.name) {
                        continue;
                    }
                    let only = |table: &Table| {
                        let wanted: Vec<bool> = (0..table.schema().columns.len()).map(|other| other == i).collect();
                        table.only(&wanted)
                    };
                    let same = only(&table).same(&only(&back));
                    assert!(matches!(same, Sameness::Same), "{engine} {name}: {same:?}\n{text:?}");
                }
            }
        }
    }
    assert!(noted > 10, "texts that look like numbers were among them: {noted}");
}

/// A file whose type changes after the sample: an error with a hint that works, never another value.
#[test]
fn types_that_change_after_the_sample_are_errors_with_a_hint() {
    let folder = Folder::new("late");
    let ints = "12345,x\n".repeat(140_000);
    for (late, hint) in [
        ("1.5", Some("types a: float")),
        ("0870", Some("types a: text")),
        ("+1", Some("types a: text")),
        ("9223372036854775808", Some("types a: text")),
        ("true", Some("types a: text")),
        ("\"12\"", None),
        ("NA", None),
        ("\"NULL\"", None),
        ("\"\"", None),
    ] {
        let path = folder.write("t.csv", format!("a,b\n{ints}{late},y\n"));
        for (engine, chunk_sizes) in ways() {
            let chunk_sizes =
                ChunkSizes { bytes: chunk_sizes.bytes.max(4096), rows: 512, split: 1 << 18, task: 1 << 18 };
            let cell = format!("read {path} | agg n = count(), last(a)");
            let found = run(engine, chunk_sizes, &cell);
            match (found, hint) {
                (Ok(_), None) => {}
                (Err(error), Some(hint)) => {
                    assert_eq!(error.kind, Kind::File, "{engine} {late}");
                    assert!(error.message.contains("line 140002"), "{engine} {late}: {}", error.message);
                    assert_eq!(error.hint.as_deref(), Some(hint), "{engine} {late}");
                    let again = run(engine, chunk_sizes, &format!("read {path} {hint} | agg n = count()"));
                    assert!(again.is_ok(), "{engine} {late}: {:?}", again.err());
                }
                (found, _) => panic!("{engine} {late}: {:?}", found.map(|ran| ran.table.height())),
            }
        }
    }
}

/// A line break of two bytes may lie over the edge of what is read at a time.
#[test]
fn line_breaks_lie_over_the_edges_of_buffers() {
    let folder = Folder::new("edges");
    for end in ["\r\n", "\r", "\n"] {
        for shift in 0..6 {
            let long = "x".repeat((128 << 10) - 12 + shift);
            let path = folder.write("t.csv", format!("a,b{end}{long},1{end}y,2{end}"));
            for engine in engine_names() {
                let cell = format!("read {path} | agg count(), sum(b), last(a)");
                assert_eq!(csv(engine, &[&cell]), "count,sum,last\n2,3,y\n", "{engine} {end:?} {shift}");
            }
        }
    }
}

/// A field that does not fit its column is no mistake where nothing needs the column.
#[test]
fn what_is_only_counted_is_not_converted() {
    let folder = Folder::new("unused");
    let path = folder.write("t.csv", format!("a,b\n{}x,2\n", "1,2\n".repeat(300_000)));
    for engine in engine_names() {
        for (rest, printed) in [
            ("count", "count\n300001\n"),
            ("agg n = count()", "n\n300001\n"),
            ("map one = 1 | sum one", "sum\n300001\n"),
            ("skip 1 | reverse | count", "count\n300000\n"),
            ("enumerate | count", "count\n300001\n"),
            ("sum b", "sum\n600002\n"),
        ] {
            assert_eq!(csv(engine, &[&format!("read {path} | {rest}")]), printed, "{engine} {rest}");
        }
        let error = run(engine, ChunkSizes::default(), &format!("read {path} | max a")).expect_err(engine);
        assert!(error.message.contains("column `a` is int"), "{engine}: {}", error.message);
    }
    // The last one stands behind the sample.
    let object = |a: &str, c: &str| format!("{{\"a\":{a},\"b\":2,\"c\":[\"{c}\"]}}\n");
    let objects = |last: &str| format!("{}{}", object("1", &"x".repeat(40_000)).repeat(30), object(last, ""));
    for last in ["\"x\"", "[1, {\"k\": null}]", "1.5", "true", "null", "99999999999999999999"] {
        let path = folder.write("t.jsonl", objects(last));
        for engine in engine_names() {
            for rest in ["count", "skip 1 | count", "sum b", "agg n = sum(b)"] {
                let table = run(engine, ChunkSizes::default(), &format!("read {path} | {rest}")).expect(last).table;
                let expected = if rest.contains("sum") { 62 } else { 31 - i64::from(rest.contains("skip")) };
                assert_eq!(table.values(0, 0, 1), [Value::Int(expected)], "{engine} {rest} {last}");
            }
        }
    }
    // What is no json, a key twice and a key without a column are mistakes also where nothing needs the value.
    for last in ["1e999", "[1e999]", "[1,]", "1,\"a\":2", "1,\"d\":2", "{\"k\":1}"] {
        let path = folder.write("t.jsonl", objects(last));
        let expected =
            run("rows", ChunkSizes::default(), &format!("read {path} | sum b")).map_err(|error| error.message);
        for engine in engine_names() {
            let found =
                run(engine, ChunkSizes::default(), &format!("read {path} | sum b")).map_err(|error| error.message);
            assert_eq!(found.is_err(), expected.is_err(), "{engine} {last}: {found:?} {expected:?}");
            if let (Err(found), Err(expected)) = (found, &expected) {
                assert_eq!(found, *expected, "{engine} {last}");
            }
        }
    }
    let path = folder.write("bad.csv", b"a,b\n1,2\n\xff,2\n");
    for (engine, chunk_sizes) in ways() {
        let error = run(engine, chunk_sizes, &format!("read {path} | count")).expect_err(engine);
        assert_eq!(error.kind, Kind::File, "{engine}");
    }
}

/// A column whose sample has only texts that may stand for null.
#[test]
fn a_column_of_null_texts_is_told() {
    let folder = Folder::new("only-nulls");
    let path = folder.write("t.csv", format!("a,b\n{}1,7\n1,NULL\n", "1,NA\n".repeat(400_000)));
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        let note = "b is text and NA is not read as null";
        assert!(lab.notes(&format!("read {path} | count b")).contains(note), "{engine}");
        assert!(lab.notes(&format!("read {path} | max b")).contains(note), "{engine}");
        assert_eq!(lab.notes(&format!("read {path} | count a")), "", "{engine}");
        assert_eq!(lab.notes(&format!("read {path} types b: int | count b")), "", "{engine}");
        assert_eq!(lab.notes(&format!("read {path} null \"NA\", \"NULL\" | count b")), "", "{engine}");
        assert_eq!(lab.cell(&format!("read {path} types b: int | agg n = count(b), max(b)")).out, "n,max\n1,7\n");
    }
}

/// A column without a value is what its context says, else text.
#[test]
fn a_column_without_a_value_is_open() {
    let folder = Folder::new("open");
    let path = folder.write("t.csv", "a,b,c\n1,,NA\n2,\"\",\n");
    for engine in engine_names() {
        let cell = |rest: &str| csv(engine, &[&format!("read {path}{rest}")]);
        assert_eq!(cell(" | agg sum(b), mean(b), sum(c)"), "sum_b,mean,sum_c\n0,,0\n", "{engine}");
        assert_eq!(cell(" | map b + 1"), "b\n\n\n", "{engine}");
        assert_eq!(cell(" | filter b > 1 or c"), "a,b,c\n", "{engine}");
        // Nothing asks for numbers: these are texts.
        assert_eq!(cell(""), "a,b,c\n1,,NA\n2,\"\",\n", "{engine}");
        assert_eq!(cell(" | map n = len(c)"), "n\n2\n\n", "{engine}");
        assert_eq!(cell(" types c: float, b: bool | map b, c"), "b,c\n,\n,\n", "{engine}");
    }
    let path = folder.write("t.csv", "a,b,c\n1,,NA\n2,\"\",\n");
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        let tee = lab.cell(&format!("read {path} | tee s: (sum c), all: (map a, c)")).out;
        assert_eq!(tee, "s\nsum\n0\nall\na,c\n1,\n2,\n", "{engine}");
        // What is kept is text, as every plan that uses it finds.
        lab.cell(&format!("let kept = read {path} | persist"));
        assert!(lab.cell("kept | sum c").err.contains("needs numbers, got text"), "{engine}");
        assert_eq!(lab.cell("kept | map c").out, "c\nNA\n\n", "{engine}");
    }
    let late = format!("a,b\n{}9,5\n", "1,\n".repeat(400_000));
    let path = folder.write("late.csv", late);
    for engine in engine_names() {
        let failed = Lab::new(engine).cell(&format!("read {path} | sum b")).err;
        assert!(
            failed.contains("column `b` has no known type (no value in the sample), got \"5\""),
            "{engine}: {failed}"
        );
        assert!(failed.contains("types b: int"), "{engine}: {failed}");
        assert_eq!(csv(engine, &[&format!("read {path} types b: int | sum b")]), "sum\n5\n");
        assert_eq!(csv(engine, &[&format!("read {path} | filter a == 9 | map b")]), "b\n5\n", "{engine}: a text");
    }
}

#[test]
fn separators_are_detected() {
    let folder = Folder::new("separators");
    let found = |text: &str, options: &str| {
        let path = folder.write("t.csv", text);
        let ran = run("rows", ChunkSizes::default(), &format!("read {path} {options}")).expect(text);
        let names: Vec<String> = ran.table.schema().names().map(str::to_string).collect();
        (names.join(" "), ran.reading.join(" "))
    };
    let check = |text: &str, options: &str, names: &str, said: &str| {
        assert_eq!(found(text, options), (names.to_string(), said.to_string()), "{text:?} {options}");
    };
    check("a;b\n1;2\n", "", "a b", "separator `;`");
    check("a\tb\n1\t2\n", "", "a b", "separator tab");
    check("a|b|c\r1|2|3\r", "", "a b c", "separator `|`");
    check("a,b;c\n1,2;3\n", "", "a b;c", "");
    check("a b\n1 2\n", "", "a b", "");
    // `,` stands in quotes, or not everywhere as often.
    check("a;b\n\"1,2\";3\n", "", "a b", "separator `;`");
    check("a;b\n1,5;2,5\n1,5;3\n", "", "a b", "separator `;`");
    check("note\nyes; no\n", "", "note", "");
    check("a;b\n1\n", "ragged true", "a b", "separator `;`");
    check("#x,y\na;b\n1;2\n", "comment \"#\"", "a b", "separator `;`");
    check("a;b\n1;2\n", "sep \",\"", "a;b", "");
    // More than ten records do not tell.
    check(&format!("a;b\n{}1\n", "1;2\n".repeat(9)), "ragged true", "a b", "separator `;`");
    // The first file with a record tells.
    folder.write("g-1.csv", "");
    folder.write("g-2.csv", "\n\n");
    folder.write("g-3.csv", "a;b\n1;2\n");
    for engine in engine_names() {
        let cell = format!("read {:?}", folder.0.join("g-*.csv"));
        assert_eq!(csv(engine, &[&cell]), "a,b\n1,2\n", "{engine}");
    }
    let path = folder.write("t.tsv", "a,b\tc\n1\t2\n");
    for engine in engine_names() {
        let mut lab = Lab::new(engine);
        assert_eq!(lab.cell(&format!("read {path} | rename `a,b` as x")).out, "x,c\n1,2\n", "{engine}");
        // A separator may be a name of the session.
        let path = folder.write("n.csv", "a;b\n1;2\n");
        lab.cell("let mark = \";\"");
        assert_eq!(lab.cell(&format!("read {path} sep mark")).out, "a,b\n1,2\n", "{engine}");
        assert_eq!(lab.cell("[\"x\", \"y\"] | join mark").out, "it\nx;y\n", "{engine}");
        lab.cell("let none = \"1\"");
        assert_eq!(lab.cell(&format!("read {path} null none")).out, "a,b\n,2\n", "{engine}");
    }
}

/// What was taken for null is in the status line, whoever read it and wherever it stood.
#[test]
fn the_status_line_names_null_texts() {
    let folder = Folder::new("nulls");
    let path = folder.write("t.csv", "a,b,c,d\n1,true,x,NA\n\"NA\",null,NA,n/a\n2,NA,NULL,\n");
    for (engine, chunk_sizes) in ways() {
        let said =
            |rest: &str| run(engine, chunk_sizes, &format!("read {path} {rest}")).expect(rest).reading.join("; ");
        assert_eq!(said("| map a, b, c"), "NA is null in a, b; null is null in b", "{engine}");
        assert_eq!(said("| count"), "", "{engine}");
        assert_eq!(said("| map c"), "", "{engine}");
        assert_eq!(said("| sum d"), "NA is null in d; n/a is null in d", "{engine}");
        assert_eq!(said("null \"NA\", \"null\" | map a, b"), "", "{engine}");
    }
}

/// A column that is text because of ints beyond 64 bits is named, but only where it is used.
#[test]
fn notes_name_columns_with_large_ints() {
    let folder = Folder::new("large");
    let large = "123456789012345678901234567890";
    let csv = folder.write("t.csv", format!("n,an id\n1,1\n2,{large}\n"));
    let json = folder.write("t.json", format!("[{{\"n\": 1, \"an id\": 0.5}}, {{\"n\": 2, \"an id\": {large}}}]"));
    for path in [csv, json] {
        for engine in engine_names() {
            let mut lab = Lab::new(engine);
            let note = format!("`an id` is text: {large} does not fit into 64 bits (`types `an id`: float`");
            assert!(lab.notes(&format!("read {path}")).contains(&note), "{engine} {path}");
            assert_eq!(lab.notes(&format!("read {path} | sum n")), "", "{engine}");
            assert_eq!(lab.notes(&format!("read {path} types `an id`: text")), "", "{engine}");
            assert_eq!(lab.notes(&format!("let kept = read {path} | persist")), "", "{engine}");
            assert!(lab.notes("kept | count").contains(&note), "{engine}");
            let tee = lab.notes(&format!("read {path} | tee a: (count), b: (map `an id`)"));
            assert_eq!(tee.matches(&note).count(), 1, "{engine}: {tee}");
        }
    }
}

/// Looking at types stops when the user says so, and looks no further than it must.
#[test]
fn the_sample_goes_on_through_the_files_until_each_column_has_a_value() {
    let folder = Folder::new("sample");
    folder.write("g-1.csv", "a,b,c\n");
    folder.write("g-2.csv", "a,b,c\n1,,\n");
    folder.write("g-3.csv", "a,b,c\n2,x,\n1.5,,\n");
    folder.write("g-4.csv", "a,b,c\n2,y,true\n");
    // It is not looked at any more: each column has its type.
    folder.write("g-5.csv", "a,b,c\nz,y,true\n");
    let pattern = format!("{:?}", folder.0.join("g-[1-4].csv"));
    for engine in engine_names() {
        let cell = format!("read {pattern} | agg sum(a), last(b), last(c)");
        assert_eq!(csv(engine, &[&cell]), "sum,last_b,last_c\n6.5,y,true\n", "{engine}");
        let all = format!("read {:?} | sum a", folder.0.join("g-*.csv"));
        let failed = Lab::new(engine).cell(&all).err;
        assert!(failed.contains("g-5.csv\", line 2: column `a` is float, got \"z\""), "{engine}: {failed}");
    }
    let mut session = Session::new("rows", Console::default());
    let text = format!("read {pattern}");
    let id = session.remember(&text);
    let Cell::Statements(statements) = lang::parse(id, &text, &Tables).expect("it is right") else { panic!() };
    let lang::Statement::Pipeline(pipeline) = &statements[0] else { panic!() };
    session.stop.raise();
    assert_eq!(session.bind(pipeline).expect_err("it was stopped").kind, Kind::Stopped);
    session.stop.clear();
    let mut types = |only_looks: bool| -> Vec<Type> {
        let bound = if only_looks { session.looking(|session| session.bind(pipeline)) } else { session.bind(pipeline) };
        let Bound::Table(plan) = bound.expect("it can be read") else { panic!("{text}: no table") };
        plan.schema().columns.iter().map(|column| column.ty.clone()).collect()
    };
    assert_eq!(types(false), [Type::Float, Type::Text, Type::Bool]);
    // Completion must not wait: it looks at the first file.
    assert_eq!(types(true), [Type::Open, Type::Open, Type::Open]);
}

/// What is wrong with an array of objects is told with the number of the object.
#[test]
fn arrays_of_objects_have_clear_mistakes() {
    let folder = Folder::new("arrays");
    for (text, what) in [
        ("[{\"a\": 1}, 2]", "object 2: expected an object, got a number"),
        ("[1, 2]", "object 1: expected an object, got a number"),
        ("[{\"a\": 1} {\"a\": 2}]", "object 1: invalid json"),
        ("[{\"a\": 1},\n]", "object 2: invalid json"),
        ("[{\"a\": 1},, {\"a\": 2}]", "object 2: invalid json"),
        ("[{\"a\": 1}", "the array is never closed"),
        ("[{\"a\": 1}] x", "object 2: invalid json"),
        ("[]", "the array is empty"),
    ] {
        let path = folder.write("t.json", text);
        for (engine, chunk_sizes) in ways() {
            let error = run(engine, chunk_sizes, &format!("read {path}")).expect_err(text);
            assert!(error.message.contains(what), "{engine} {text}: {}", error.message);
            let hint = error.hint.unwrap_or_default();
            assert!(!hint.contains("json lines"), "{engine} {text}");
            if what.contains("expected an object") {
                assert!(hint.contains("[{\"a\": 1}, {\"a\": 2}]"), "{engine} {text}: {hint}");
            }
        }
    }
    let path = folder.write("t.jsonl", "[{\"a\": 1}]");
    let failed = Lab::new("rows").cell(&format!("read {path}")).err;
    assert!(failed.contains("`as json` reads an array of objects"), "{failed}");
    for engine in engine_names() {
        assert_eq!(csv(engine, &[&format!("read {path} as json")]), "a\n1\n", "{engine}");
    }
}

/// A file that is UTF-16 says so, whatever its format.
#[test]
fn utf16_is_named() {
    let folder = Folder::new("utf16");
    for name in ["t.txt", "t.csv", "t.jsonl", "t.json"] {
        for big in [false, true] {
            let units = "\u{feff}a,b\n1,2\n".encode_utf16();
            let bytes: Vec<u8> =
                units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect();
            let path = folder.write(name, bytes);
            for (engine, chunk_sizes) in ways() {
                let error = run(engine, chunk_sizes, &format!("read {path}")).expect_err(name);
                assert!(
                    error.message.ends_with("is UTF-16 text; only UTF-8 is supported"),
                    "{engine} {}",
                    error.message
                );
                assert!(error.hint.is_some_and(|hint| hint.starts_with("!iconv -f UTF-16 -t UTF-8")), "{engine}");
            }
        }
    }
}

#[test]
fn arrow_streams_are_named() {
    let folder = Folder::new("stream");
    let path = folder.write("s.arrow", [&[0xff; 4][..], &[16, 0, 0, 0], &[0; 64]].concat());
    let error = run("rows", ChunkSizes::default(), &format!("read {path}")).expect_err("it is a stream");
    assert!(error.message.ends_with("is an arrow stream; only arrow files are supported"), "{}", error.message);
}

#[test]
fn the_status_line_is_on_standard_error() {
    let folder = Folder::new("status");
    let path = folder.write("w.csv", "temp;x\n39.02;1\nNA;2\n");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["--format", "csv", "-c", &format!("read {path} | mean temp")])
        .output()
        .expect("it runs");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("it is text"));
    assert_eq!(out, "mean\n39.02\n");
    assert!(err.contains("separator `;`") && err.contains("NA is null in temp"), "{err}");
}

/// A file that was printed as json is read again.
#[test]
fn what_format_json_prints_is_read() {
    let folder = Folder::new("printed");
    let table = "[1, 2] | map i = it, t = \"a [b\", x = null, n = 0.5 * it";
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_timelab"))
        .args(["--format", "json", "-c", table])
        .output()
        .expect("it runs");
    let path = folder.write("p.json", printed.stdout);
    for engine in engine_names() {
        assert_eq!(csv(engine, &[&format!("read {path}")]), "i,t,x,n\n1,a [b,,0.5\n2,a [b,,1.0\n", "{engine}");
    }
}
