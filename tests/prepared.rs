//! What engines receive is plain data: it goes through JSON and back, and gives the same result, also in another
//! process that works in another folder.

use std::process::Command;
use std::sync::Arc;

use timelab::console::Console;
use timelab::data::{Sameness, Value};
use timelab::diagnostic::{Fallible, Kind};
use timelab::engines::{self, Choice};
use timelab::plan::{Beside, ExternalFunction, ExternalPlace, Node, Op, Prepared, Shared};
use timelab::session::Session;

use crate::agreement;
use crate::lab;
use crate::random;

/// What the engines get of the last pipeline of a cell; none where it is none or cannot be run.
fn prepared(session: &mut Session, text: &str) -> Option<Prepared> {
    let plan = lab::plan(session, text).ok()??;
    let (plan, _) = plan.split_end();
    session.prepared(plan, Choice::only(engines::REFERENCE), &session.context()).ok()
}

/// The plan goes through JSON, and each engine gives the same for both.
#[track_caller]
fn check(text: &str) -> bool {
    let mut session = Session::new("rows", Console::default());
    let Some(plan) = prepared(&mut session, text) else { return false };
    let json = plan.to_json().expect(text);
    let back = Prepared::from_json(&json, &plan.beside()).expect(text);
    assert!(plan == back, "{text}\n{json}");
    // Values that are equal may have other bits: the text has them.
    assert_eq!(json, back.to_json().expect(text), "{text}");
    let context = session.context();
    for engine in [engines::REFERENCE, engines::DEFAULT] {
        match (engine.run(&plan, &context), engine.run(&back, &context)) {
            (Ok(here), Ok(there)) => {
                let found = here.table.same(&there.table);
                assert!(!matches!(found, Sameness::Different(_)), "{text}: {found:?}");
            }
            (Err(here), Err(there)) => assert_eq!((here.kind, here.span), (there.kind, there.span), "{text}"),
            (here, there) => panic!("{text}: {} here, {} there", here.is_ok(), there.is_ok()),
        }
    }
    true
}

#[test]
fn plans_of_random_cells_go_through_json() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let seeds = random::seeds(150);
    let all = seeds.end - seeds.start;
    let checked = seeds.filter(|seed| check(&agreement::random_cell(*seed, folder.path()))).count() as u64;
    assert!(2 * checked >= all, "at least half of the cells have a plan: {checked} of {all}");
}

#[test]
fn plans_of_all_kinds_go_through_json() {
    let deep = format!("1..3 | map {}it{}", "-(".repeat(200), ")".repeat(200));
    let joined = (0..40).fold("1..3".to_string(), |inner, _| format!("1..3 | join ({inner}) on it == it"));
    let cells = [
        "let a = 0.0 / 0.0; let b = 1 / 0; let c = -1 / 0; let d = -0.0; 1..3 | map x = it * a, y = b, z = c, w = d",
        "[0.0 / 0.0, -0.0, 1 / 0, null, 1e-320] | map x = it",
        "1..9 | agg q = quantile(it, 0.3), iqr(it), n = count()",
        "1..9 | filter it % 2 == 0 | reduce acc + it",
        "1..9 | fold 0.5 acc + it",
        "fn f(n) = if n < 2 then n else f(n - 1) + f(n - 2); 1..9 | map a = f(it), b = tan(it), c = sqrt(it)",
        "let t = 1..9 | map n = it, t = text(it) | persist; t | zip (t | map m = n) | concat (t | map n, t, m = n)",
        "let s = 1..5 | sum; 1..3 | map it + s",
        "letters 20 seed 3 | flat_map [it, it] | distinct | sort by it desc | take 3 | enumerate",
        "random 20 | sample 3 | reverse | peek 1 \"x\" | map a = it, b = is_null(it)",
        "[[1, 2], [], null] | map x = it, n = len(it), first = it[0]",
        "1..4 | pairs | filter a in [1, 2] and not (b == 3 or a > b) | map if a > 1 then \"é\" else \"\\u{1}\"",
        "1..3 | map a = matches(text(it), \"[0-9]+\"), b = format(\"<{}>\", it)",
        &deep,
        &joined,
    ];
    for cell in cells {
        assert!(check(cell), "{cell} has no plan");
    }
}

/// A function that stands for one in Rust.
#[derive(Debug)]
struct Twice;

impl ExternalFunction for Twice {
    fn call(&self, arguments: &[Vec<Value>], _: usize) -> Fallible<Vec<Value>> {
        let twice = |value: &Value| if let Value::Int(i) = value { Value::Int(2 * i) } else { Value::Null };
        Ok(arguments[0].iter().map(twice).collect())
    }

    fn source(&self) -> Option<&str> {
        None
    }

    fn place(&self) -> ExternalPlace {
        ExternalPlace { name: "twice".to_string(), library: "/tmp/lib.so".into(), symbol: "run".to_string() }
    }
}

/// A plan that calls it.
fn calling(session: &mut Session) -> Prepared {
    let mut plan = prepared(session, "1..4 | map abs(it)").expect("it is a pipeline");
    for expr in plan.steps.iter_mut().flat_map(|step| step.op.exprs_mut()) {
        let Node::Call(_, arguments) = &expr.node else { panic!("{expr:?}") };
        let code: Arc<dyn ExternalFunction> = Arc::new(Twice);
        expr.node = Node::ExternalFunction(Shared(code), arguments.clone());
    }
    plan
}

#[test]
fn what_is_not_beside_a_plan_is_objected_to() {
    let mut session = Session::new("rows", Console::default());
    let kept = prepared(&mut session, "let t = 1..9 | map it * 2 | persist; t | filter it > 5").expect("a pipeline");
    for (plan, named) in [(kept, "the table"), (calling(&mut session), "`twice`")] {
        let json = plan.to_json().expect("it is plain");
        let error = Prepared::from_json(&json, &Beside::default()).expect_err("something is missing");
        assert!(error.kind == Kind::Objection && error.message.contains(named), "{error:?}");
        let back = Prepared::from_json(&json, &plan.beside()).expect("all is there");
        assert!(plan == back, "{json}");
        let run = |plan: &Prepared| engines::DEFAULT.run(plan, &session.context()).expect("there is no fault").table;
        assert_eq!(run(&plan).same(&run(&back)), Sameness::Same, "{json}");
        assert_eq!(run(&plan).height(), if named == "the table" { 6 } else { 3 }, "{json}");
    }
    assert!(Prepared::from_json("{\"source\": 1}", &Beside::default()).is_err());
}

/// A function of a float is named in the text, and found by its name.
#[test]
fn a_function_is_a_name() {
    let mut session = Session::new("rows", Console::default());
    let plan = prepared(&mut session, "1..3 | map tan(it)").expect("it is a pipeline");
    let json = plan.to_json().expect("it is plain");
    assert!(json.contains("\"tan\""), "{json}");
    let error = Prepared::from_json(&json.replace("\"tan\"", "\"tangent\""), &Beside::default());
    assert!(error.expect_err("there is none").message.contains("unknown function `tangent`"));
    let [step] = &plan.steps[..] else { panic!("{plan:?}") };
    let Op::Project(named) = &step.op else { panic!("{plan:?}") };
    assert!(matches!(named[0].expr.node, Node::Call(..)));
}

const PLAN: &str = "TIMELAB_TEST_PLAN";

/// Reads a plan from a file and writes its table as text: [`files_are_read_from_another_folder`] starts it.
#[test]
#[ignore = "a part of another test"]
fn reads_a_plan() {
    let Some(path) = std::env::var_os(PLAN) else { return };
    let json = std::fs::read_to_string(&path).expect("it was written");
    let plan = Prepared::from_json(&json, &Beside::default()).expect("it is a plan");
    let session = Session::new("rows", Console::default());
    let table = engines::DEFAULT.run(&plan, &session.context()).expect("the file is there").table;
    let values: Vec<Value> = table.values(0, 0, table.height());
    std::fs::write(path, format!("{values:?}")).expect("it can be written");
}

#[test]
fn files_are_read_from_another_folder() {
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let path = folder.path().join("plan.json");
    let mut session = Session::new("rows", Console::default());
    let plan = prepared(&mut session, "read \"Cargo.toml\" | filter starts_with(line, \"name\") | map line")
        .expect("this test runs in the folder of the package");
    std::fs::write(&path, plan.to_json().expect("it is plain")).expect("it can be written");
    let own = std::env::current_exe().expect("this program is a file");
    let there = Command::new(own)
        .args(["--exact", "prepared::reads_a_plan", "--ignored"])
        .current_dir(folder.path())
        .env(PLAN, &path)
        .output()
        .expect("it can be started");
    assert!(there.status.success(), "{there:?}");
    let table = engines::DEFAULT.run(&plan, &session.context()).expect("the file is there").table;
    let here: Vec<Value> = table.values(0, 0, table.height());
    assert!(!here.is_empty());
    assert_eq!(std::fs::read_to_string(&path).expect("it was written"), format!("{here:?}"));
}
