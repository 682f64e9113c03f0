//! Plans written as Rust give what `rows` gives: many of them are put into one program, which is compiled once. It
//! needs `rustc`, which is part of Rust.
//!
//! The long run: `TIMELAB_CASES=3000 cargo test --release --locked native -- --nocapture`. `TIMELAB_KEEP=1` leaves the
//! program in its folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use timelab::console::Console;
use timelab::data::{Sameness, Table, Value};
use timelab::diagnostic::Diagnostic;
use timelab::engines::{self, Choice};
use timelab::functions;
use timelab::native::{self, GeneratedCode};
use timelab::plan::Prepared;
use timelab::session::Session;
use timelab::stages;

use crate::agreement;
use crate::command::{err, timelab};
use crate::lab;
use crate::random;

/// A cell, its plan in Rust, and what `rows` gives.
struct Case {
    text: String,
    plan: Prepared,
    code: GeneratedCode,
    rows: Result<Table, Box<Diagnostic>>,
}

/// What the last pipeline of a cell is as a plan, ready for an engine.
fn plan(session: &mut Session, text: &str) -> Option<Prepared> {
    let plan = lab::plan(session, text).ok()??;
    session.prepared(plan, Choice::only(engines::REFERENCE), &session.context()).ok()
}

/// What became of the cells.
#[derive(Debug, Default)]
struct Counts {
    same: u32,
    errors: u32,
    may_fail: u32,
    cannot_tell: u32,
    objections: Vec<&'static str>,
    no_plan: u32,
}

#[track_caller]
fn agree(name: &str, cells: impl IntoIterator<Item = String>) -> Counts {
    let mut counts = Counts::default();
    let mut cases = Vec::new();
    for text in cells {
        let mut session = Session::new("rows", Console::default());
        let Some(plan) = plan(&mut session, &text) else {
            println!("no plan: {text}");
            counts.no_plan += 1;
            continue;
        };
        if let Some((reason, _)) = native::objection(&plan) {
            counts.objections.push(reason);
            continue;
        }
        let code = native::code(&plan);
        let rows = engines::REFERENCE.run(&plan, &session.context()).map(|run| run.table);
        cases.push(Case { text, plan, code, rows });
    }
    let outputs = run(name, &cases);
    assert_eq!(outputs.len(), cases.len(), "every case has its output");
    let mut wrong = Vec::new();
    for (case, output) in cases.iter().zip(&outputs) {
        if let Err(what) = judge(case, output, &mut counts) {
            wrong.push(format!("› {}\n{what}\n{}", case.text, case.code.text));
        }
    }
    println!("{name}: {counts:?}");
    let shown = &wrong[..wrong.len().min(8)];
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), shown.join("\n"));
    counts
}

fn judge(case: &Case, output: &str, counts: &mut Counts) -> Result<(), String> {
    let (outcome, rest) = output.split_once(' ').unwrap_or((output, ""));
    match (&case.rows, outcome) {
        (Ok(rows), "ok") => match rows.same(&table(case, rest)) {
            Sameness::Same => counts.same += 1,
            Sameness::CannotTell(_) => counts.cannot_tell += 1,
            Sameness::Different(what) => return Err(what),
        },
        (Err(error), "err") if format!("{:?}", error.kind) == rest => counts.errors += 1,
        (Err(error), "ok") if has_later_take(case, error) => counts.may_fail += 1,
        (Ok(_), "err") if fails_without_take(case, rest) => counts.may_fail += 1,
        (rows, _) => {
            let rows = rows.as_ref().map(Table::height).map_err(|error| (error.kind, error.message.clone()));
            return Err(format!("{rows:?} on rows, {output} here"));
        }
    }
    Ok(())
}

fn has_later_take(case: &Case, error: &Diagnostic) -> bool {
    agreement::taking_all(&case.text, error.span.map_or(0, |span| span.end as usize)).is_some()
}

/// Whether `rows` fails with an error of this kind where each `take` asks for all rows.
fn fails_without_take(case: &Case, kind: &str) -> bool {
    let all = agreement::taking_all(&case.text, 0);
    all.is_some_and(|all| matches!(agreement::on_rows(&all), Err(error) if format!("{:?}", error.kind) == kind))
}

/// The table that a case printed.
fn table(case: &Case, output: &str) -> Table {
    let mut tokens = output.split(' ').filter(|token| !token.is_empty());
    let height: usize = tokens.next().and_then(|rows| rows.parse().ok()).expect("the number of rows");
    let mut columns = vec![Vec::new(); case.code.columns.len()];
    for _ in 0..height {
        columns.iter_mut().for_each(|column: &mut Vec<Value>| column.push(value(&mut tokens)));
    }
    assert_eq!(tokens.next(), None);
    Table::from_columns(case.plan.schema().clone(), height, &columns)
}

fn value<'t>(tokens: &mut impl Iterator<Item = &'t str>) -> Value {
    let token = tokens.next().expect("a value");
    let rest = &token[1..];
    match token.as_bytes()[0] {
        b'n' => Value::Null,
        b'i' => Value::Int(rest.parse().expect("an int")),
        b'f' => Value::Float(f64::from_bits(rest.parse().expect("bits"))),
        b'b' => Value::Bool(rest == "true"),
        b't' => {
            let byte = |i: usize| u8::from_str_radix(&rest[i..i + 2], 16).expect("hex digits");
            let bytes: Vec<u8> = (0..rest.len()).step_by(2).map(byte).collect();
            Value::text(std::str::from_utf8(&bytes).expect("UTF-8"))
        }
        b'l' => Value::List((0..rest.parse::<usize>().expect("a length")).map(|_| value(tokens)).collect()),
        _ => panic!("{token}"),
    }
}

/// A value as [`value`] reads it.
fn put(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push('n'),
        Value::Int(i) => write!(out, "i{i}").expect("a text takes all"),
        Value::Float(x) => write!(out, "f{}", x.to_bits()).expect("a text takes all"),
        Value::Bool(b) => write!(out, "b{b}").expect("a text takes all"),
        Value::Text(text) => {
            out.push('t');
            text.bytes().for_each(|byte| write!(out, "{byte:02x}").expect("a text takes all"));
        }
        Value::List(items) => {
            write!(out, "l{}", items.len()).expect("a text takes all");
            for item in items.iter() {
                out.push(' ');
                put(item, out);
            }
        }
    }
}

/// Reading and writing values, for the program.
const WIRE: &str = r#"
pub mod wire {
    use std::fmt::Write;

    pub type Tokens<'t> = std::str::SplitAsciiWhitespace<'t>;

    pub trait Put {
        fn put(&self, out: &mut String);
    }

    pub trait Wire: Put + Sized {
        fn take(token: &str, rest: &mut Tokens) -> Self;
    }

    impl Put for i64 {
        fn put(&self, out: &mut String) { write!(out, " i{self}").unwrap(); }
    }

    impl Wire for i64 {
        fn take(token: &str, _: &mut Tokens) -> Self { token[1..].parse().unwrap() }
    }

    impl Put for f64 {
        fn put(&self, out: &mut String) { write!(out, " f{}", self.to_bits()).unwrap(); }
    }

    impl Wire for f64 {
        fn take(token: &str, _: &mut Tokens) -> Self { f64::from_bits(token[1..].parse().unwrap()) }
    }

    impl Put for bool {
        fn put(&self, out: &mut String) { write!(out, " b{self}").unwrap(); }
    }

    impl Wire for bool {
        fn take(token: &str, _: &mut Tokens) -> Self { &token[1..] == "true" }
    }

    impl Put for &str {
        fn put(&self, out: &mut String) {
            out.push_str(" t");
            for byte in self.bytes() { write!(out, "{byte:02x}").unwrap(); }
        }
    }

    impl Put for String {
        fn put(&self, out: &mut String) { self.as_str().put(out); }
    }

    impl Wire for String {
        fn take(token: &str, _: &mut Tokens) -> Self {
            let byte = |i: usize| u8::from_str_radix(&token[i..i + 2], 16).unwrap();
            String::from_utf8((1..token.len()).step_by(2).map(byte).collect()).unwrap()
        }
    }

    impl Wire for &'static str {
        fn take(token: &str, rest: &mut Tokens) -> Self { String::leak(String::take(token, rest)) }
    }

    impl<T: Put> Put for Option<T> {
        fn put(&self, out: &mut String) {
            match self {
                Some(value) => value.put(out),
                None => out.push_str(" n"),
            }
        }
    }

    impl<T: Wire> Wire for Option<T> {
        fn take(token: &str, rest: &mut Tokens) -> Self {
            if token == "n" { None } else { Some(T::take(token, rest)) }
        }
    }

    impl<T: Put> Put for &[T] {
        fn put(&self, out: &mut String) {
            write!(out, " l{}", self.len()).unwrap();
            for item in *self { item.put(out); }
        }
    }

    impl<T: Put> Put for Vec<T> {
        fn put(&self, out: &mut String) { self.as_slice().put(out); }
    }

    impl<T: Wire> Wire for Vec<T> {
        fn take(token: &str, rest: &mut Tokens) -> Self {
            (0..token[1..].parse().unwrap()).map(|_| T::take(rest.next().unwrap(), rest)).collect()
        }
    }

    pub fn next<T: Wire>(tokens: &mut Tokens) -> T {
        T::take(tokens.next().unwrap(), tokens)
    }
}
"#;

/// A program that runs all cases and prints a line for each; the tables that go in come from a file.
fn program(cases: &[Case]) -> (String, String) {
    let mut program = format!("#![allow(warnings)]\n{}\n{WIRE}\n", native::prelude());
    let (mut calls, mut data) = (String::new(), String::new());
    for (number, Case { code, .. }) in cases.iter().enumerate() {
        let (mut reads, mut names) = (String::new(), Vec::new());
        for native::Input { name, table, columns } in &code.inputs {
            let height = table.table().height();
            let next = vec!["next(tokens)"; columns.len()].join(", ");
            let ty = native::row_type(columns);
            let read = format!("let {name}: Vec<{ty}> = (0..{height}).map(|_| ({next},)).collect();\n");
            reads.push_str(&read);
            names.push(format!("&{name}"));
            let columns: Vec<Vec<Value>> = (0..columns.len()).map(|i| table.table().values(i, 0, height)).collect();
            for row in 0..height {
                for column in &columns {
                    put(&column[row], &mut data);
                    data.push('\n');
                }
            }
        }
        let puts: String = (0..code.columns.len()).map(|i| format!("row.{i}.put(&mut out); ")).collect();
        let arguments = names.join(", ");
        write!(
            program,
            "mod p{number} {{\nuse super::native::*;\n{}
pub fn run(tokens: &mut super::wire::Tokens) -> String {{
use super::wire::{{Put, next}};
{reads}match native({arguments}) {{
Ok(rows) => {{ let mut out = format!(\"ok {{}}\", rows.len()); for row in &rows {{ {puts} }} out }}
Err(fault) => format!(\"err {{fault:?}}\"),
}}
}}
}}\n",
            code.text
        )
        .expect("a text takes all");
        let run = format!("catch_unwind(AssertUnwindSafe(|| p{number}::run(&mut tokens)))");
        writeln!(calls, "println!(\"{{}}\", {run}.unwrap_or(\"panic\".to_string()));").expect("a text takes all");
    }
    write!(
        program,
        "fn main() {{
use std::panic::{{AssertUnwindSafe, catch_unwind}};
let text = std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap();
let run = move || {{
let mut tokens = text.split_ascii_whitespace();
{calls}}};
std::thread::Builder::new().stack_size({}).spawn(run).unwrap().join().unwrap();
}}\n",
        native::DEEP_STACK
    )
    .expect("a text takes all");
    (program, data)
}

/// The lines that the cases print.
fn run(name: &str, cases: &[Case]) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("timelab-native-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let (program, data) = program(cases);
    std::fs::write(folder.join("main.rs"), program).expect("it can be written");
    std::fs::write(folder.join("data"), data).expect("it can be written");
    let output = Command::new("rustc")
        .args(["--edition", "2024", "-C", "opt-level=0", "-C", "debuginfo=0", "-o", "program", "main.rs"])
        .current_dir(&folder)
        .output()
        .expect("rustc runs: it is part of Rust");
    let errors = String::from_utf8_lossy(&output.stderr);
    let first: Vec<&str> = errors.lines().take(150).collect();
    assert!(output.status.success(), "{}: it does not compile\n{}", folder.display(), first.join("\n"));
    let output = Command::new(folder.join("program")).arg("data").current_dir(&folder).output().expect("it was made");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    if std::env::var_os("TIMELAB_KEEP").is_none() {
        std::fs::remove_dir_all(&folder).expect("it was written");
    }
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_string).collect()
}

#[test]
fn examples_as_rust_agree() {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the project is there");
    let stages = stages::ALL.iter().flat_map(|stage| stage.examples);
    let examples = stages.chain(functions::ALL.iter().flat_map(|function| function.examples));
    let counts = agree("examples", examples.map(|(cell, _)| cell.to_string()));
    assert!(counts.same > 100, "{counts:?}");
}

#[test]
fn edges_as_rust_agree() {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).expect("the project is there");
    let cells = [
        // Files.
        "read \"tests/files/windows.txt\"",
        "read \"tests/files/empty.txt\"",
        "read \"tests/files/bad.txt\"",
        "read \"tests/files/bad.txt\" | words | count",
        "read \"tests/files/*.txt\" | take 3",
        "read \"tests/files/[etw]*.txt\" | map n = len(line), line",
        "read \"tests/files/[etw]*.txt\" | words | count by lower(word)",
        "read \"samples/kjv.txt\" | words | count by lower(word) | top 10",
        "read \"samples/kjv.txt\" | map n = len(words(line)) | agg n = sum(n), most = max(n)",
        "read \"samples/words.txt\" | group by key = sorted(line) | filter len(line) > 4",
        "read \"samples/dpkg.log\" | map package = split(split(line, \" \")[3], \":\")[0] | count by package",
        "let p = read \"samples/packages.csv\" | persist; p | agg n = count(), size = mean(size_bytes) by section \
         | sort by size desc",
        "let p = read \"samples/packages.csv\" | persist; read \"samples/dpkg.log\" \
         | map package = split(split(line, \" \")[3], \":\")[0] | join p on package | count by section",
        // Ends of ranges, and errors.
        "9223372036854775800.. | take 100",
        "9223372036854775800.. | take 5",
        "1.. | filter it % 7 == 0 | take 5 | filter it > 14 | map it * it",
        "1.. | take 0",
        "1..10 | map 10 // (it - 5)",
        "[9223372036854775807, 1] | sum",
        "[9223372036854775807, 1, -5] | sum",
        "[\"1\", \"x\"] | map int(it)",
        "1..4 | zip (1..3)",
        "fn down(n) = if n < 1 then 0 else 1 + down(n - 1); [9998, 9999] | map down(it)",
        "fn down(n) = if n < 1 then 0 else 1 + down(n - 1); [10000] | map down(it)",
        "fn same(x) = x; fn down(n) = if n < 1 then same(0) else 1 + down(n - 1); [9998] | map down(it)",
        "fn same(x) = x; fn down(n) = if n < 1 then same(0) else 1 + down(n - 1); [9999] | map down(it)",
        "fn nulls(n) = if n > 3 then null else if n == 0 then 1 else nulls(n - 1); 0..6 | map nulls(it)",
        "fn deep(n) = if n < 1 then \"x\" else deep(n - 1); let t = [\"a\", null, \"b\"] | map s = it, n = 2 \
         | persist; t | map s, d = deep(n)",
        "let t = [\"a\", null, \"b\"] | map s = it, xs = [it, \"c\"] | persist; t | sort by s desc \
         | map s, xs, y = trim(coalesce(s, \" z\")), z = xs[1]",
        "let t = [\"a b\", \"c\"] | map s = it, n = 1 | persist; t | join left (t | map s, m = upper(s), k = 5) on s \
         | concat (t | map s, n, m = \"q\", k = n)",
        "let t = [\"a\", \"b\", \"a\"] | map s = it, n = len(it) | persist; t | join (t | map s, m = s, n2 = n) on s \
         | map s = m | pairs",
        // Floats: quotients, rounding, sums, places of texts.
        "[1.0, 0.3, -1.0, 6.0] | map q = it // 0.1, r = it % 0.1, w = 1.0 // it",
        "[2.675, 0.125, null, 1e300] | map a = round(it, 2), b = round(it, -300), c = format(\"{:.3} {}\", it, it)",
        "[1250, null] | map a = round(it, -2), b = format(\"{{}}\\u{1b} {:.1}\", it, it)",
        "[9223372036854775807] | map round(it, -1)",
        "[1.7e308, -1.7e308] | agg m = median(it), q = quantile(it, 0.25)",
        "[[0.1, 0.2, -0.3], []] | map sum(it)",
        // Names that are words of Rust, of the prelude or of the code.
        "fn fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2); 1..9 | map fib = fib(it) | map x = fib(fib), fib \
         | sum x",
        "fn add(add) = add + 1; 1..9 | map lower = add(it) | filter lower > 3",
        "letters 50 seed 3 | agg number = count(), bytes = max(it)",
        "letters 50 | map number = it | agg number = count() by key = number",
        "random 50 | map number = it | agg path = min(number)",
        "1..5 | map type = it, match = it * 2, `x y` = 3, `x-y` = 4, `2` = 5, Some = 6, `é` = 7, self = 8 \
         | sort by type desc",
        "1..9 | map left = it, right = it % 3, value = null | map first = left + coalesce(value, right), acc = left",
        "1..9 | map a = it, b = it + 1 | map a = b, b = a | map a = b, b = a, c = a | take 3",
        "1..9 | map passed = it | skip 2 | take 3 | map rows = passed | reverse | sum rows",
        "1..9 | enumerate | map next_row = row, it | enumerate | skip 1",
        // Order and nulls.
        "[0.0 / 0.0, 1.5, null, -0.0, 0.0, -1.0 / 0.0] | sort by it desc",
        "[0.0 / 0.0, 1.5, null, -0.0, 0.0, -1.0 / 0.0] | sort by it",
        "[0.0 / 0.0, 1.5, null, -0.0, 0.0, 0.0 / 0.0] | count by it",
        "[0.0 / 0.0, 1.5, -0.0, 0.0, 0.0 / 0.0] | distinct",
        "[\"b\", null, \"a\", \"aaaaaaaab\", \"aaaaaaaaa\", \"aaaaaaaa\"] | sort by it desc",
        "[\"b\", \"a\", \"aaaaaaaab\", \"aaaaaaaaa\", \"aaaaaaaa\", \"\", \"é\"] | sort by it",
        "[3, 1, 2, 9223372036854775807, -9223372036854775808] | sort by it desc | top 4",
        "1..200 | map a = it % 7, b = it | top 70 by a",
        "[[1, null], [1], [2.5], null] | sort by it | map xs = it, y = it[1]",
        "[[1, null], [1], []] | flat_map it",
        "[1, null, 2] | join left ([2, null, 3] | map it, x = text(it)) on it",
        "[1, null, 2] | join anti ([2, null, 3]) on it",
        "[1, null, 2] | join semi ([2, null, 3, 2]) on it",
        "[\"a\", \"b\", \"a\"] | join (letters 20 | map it = lower(it), n = 1) on it",
        "[\"a\", \"b\", \"a\"] | map a = it, b = it + \"x\" | \
         join left ([\"a\", \"a\"] | map a = it, b = it + \"x\", c = [it]) on a, b",
        "[1, 2] | concat ([null]), ([3.5])",
        "1..5 | map xs = range(0, it) | pairs | map n = len(a) + len(b)",
        "1..6 | map t = text(it), xs = [it] | reverse | scan \"\" acc + t",
        "[1, null, 3] | map it > 1 and it < 3 or it == null",
        "[true, null, false] | map a = it and null, b = it or null, c = not it, d = null and it",
        "1..30 | agg a = std(it), b = median(it), c = quantile(it, 0.3), d = n_distinct(it % 4), e = first(text(it)), \
         f = last([it]) by k = it % 3",
        "1..30 | filter it > 100 | agg a = std(it), b = median(it), c = sum(it), d = mean(it), e = first(it), \
         f = min(text(it))",
        "1..10 | reduce acc + it",
        "[1, null, 3] | reduce if acc > it then acc else it",
    ];
    let counts = agree("edges", cells.map(str::to_string));
    assert!(counts.objections.is_empty() && counts.no_plan == 0, "{counts:?}");
}

#[test]
fn random_pipelines_as_rust_agree() {
    let folder: PathBuf = std::env::temp_dir().join(format!("timelab-native-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let cells = random::seeds(300).map(|seed| agreement::random_cell(seed, Path::new(&folder)));
    let counts = agree("random", cells);
    std::fs::remove_dir_all(&folder).expect("it was written");
    assert!(counts.same + counts.errors > 100, "{counts:?}");
}

/// Compiled code tells only the kind of its error; the rest is what `rows` says.
#[test]
fn errors_of_compiled_plans_are_those_of_rows() {
    let cells = [
        "1..10 | map 10 // (it - 5)",
        "1..10 | map x = it + 9223372036854775800 | filter x > 3 | sum x",
        "[9223372036854775807, 1] | sum",
        "[\"1\", \"x\"] | map int(it)",
        "[5, 10001] | map down(it)",
        "1..4 | zip (1..3)",
        "read \"tests/files/bad.txt\" | words | count",
        "[1, 2] | join (0..3 | map it = 4 // it) on it",
        "[3, 0, 2] | agg s = sum(6 // it) by k = it",
        "[3, 0] | map 6 // twice(it)",
    ];
    let errors = |engine: &str| {
        let mut arguments = vec!["--keep-going".to_string()];
        let functions =
            ["fn down(n) = if n < 1 then 0 else 1 + down(n - 1)", "fn twice(x: int) -> int = rust { x * 2 }"];
        let on = cells.iter().map(|cell| format!("{cell} | on {engine}"));
        for cell in functions.iter().map(|function| function.to_string()).chain(on) {
            arguments.extend(["-c".to_string(), cell]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        err(&timelab(&arguments, "")).replace(&format!("on {engine}"), "on it")
    };
    let rows = errors("rows");
    assert_eq!(rows.matches("error: ").count(), cells.len(), "{rows}");
    assert_eq!(errors("native"), rows);
}
