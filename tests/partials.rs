//! Pipeline breakers give the same however their input is split: each case runs an op of the kernel over parts of its
//! input, merges these in order, and compares with the reference.

use timelab::console::Console;
use timelab::data::{Sameness, Table};
use timelab::diagnostic::Kind;
use timelab::engines::{self, Choice};
use timelab::kernel::{
    self, Aggregates, Batch, Column, Compiled, Compiler, Cut, Distinct, Partial, RightSide, Rows, Scope, Sorted,
};
use timelab::plan::{JoinKind, Op, Prepared};
use timelab::rowwise::Program;
use timelab::run_context::RunContext;
use timelab::session::Session;

use crate::lab;
use crate::random::Random;

const ROWS: &str = "1..60 | map k = it % 7, i = if it % 11 == 0 then null else it * it - 900, \
                    x = if it % 5 == 0 then null else (it * 37 % 60) / 7, \
                    t = if it % 13 == 0 then null else \
                    slice(\"a longer text than fits\", it % 9, it % 23), b = it % 3 == 0";

const CASES: &[&str] = &[
    "count",
    "sum i",
    "agg count(), count(i), sum(i), mean(i), min(i), max(i), median(i), std(i)",
    "agg sum(x), mean(x), min(x), max(x), quantile(x, 0.3), std(x), n_distinct(x)",
    "agg min(t), max(t), first(t), last(t), n_distinct(t), min(b), max(b)",
    "agg count(), sum(i), mean(x), min(x), max(i), median(x), std(i) by k",
    "agg min(t), max(t), first(i), last(x), n_distinct(k) by t, b",
    "agg sum(x), mean(x), min(x), max(x), min(i), max(i) by t, b",
    "map k, x = if k > 3 and b then x else null, i = if k % 2 == 1 and not b then i else null \
     | agg sum(x), mean(x), min(x), max(x), min(i), max(i) by k",
    "filter is_null(x) | agg sum(x), mean(x), min(x), max(x) by k",
    "map k, b, x = (k - 3) / (k % 3) | agg sum(x), mean(x), min(x), max(x) by k",
    "map k, b, x = (k - 3) / (k % 3) | agg sum(x), mean(x), min(x), max(x) by b",
    "filter k == 6 | map x = (k - 3) / (k % 3) | agg sum(x), mean(x), min(x), max(x)",
    "filter false | agg count(), sum(i), mean(x), min(i), max(x), first(t)",
    "filter k > 100 | count by k",
    "map i | filter i > 0 | reduce if acc > it then acc else it",
    "map k, t | agg n_distinct(t) by k",
    "group by k",
    "map t | join \"-\"",
    "sort by x desc, t",
    "sort by t desc",
    "top 7 by i",
    "map b | distinct",
    "map t, b | distinct",
    "distinct by k",
    "distinct by t, b",
    "join (1..9 | map k = it % 4, y = it) on k",
    "join left ([null, \"a longer text\", \"longer text than fits\"] | map t = it, y = 1) on t",
    "join semi ([1, 3] | map k = it) on k",
    "join anti ([1, 3] | map k = it) on k",
];

#[test]
fn however_the_input_is_split() {
    let mut chance = Random::new(7);
    for case in CASES {
        let (plan, context) = plan(case);
        let expected = engines::REFERENCE.run(&plan, &context).expect(case).table;
        for _ in 0..8 {
            let found = in_parts(&plan, &context, &mut chance);
            if let Sameness::Different(what) = expected.same(&found) {
                panic!("{case}: {what}");
            }
        }
    }
}

/// A case as it is run.
fn plan(case: &str) -> (Prepared, RunContext) {
    let cell = format!("{ROWS} | {case}");
    let mut session = Session::new(None, Console::default());
    let plan = lab::plan(&mut session, &cell).expect(&cell).expect("a pipeline has a plan");
    let context = session.context();
    let plan = session.prepared(plan, Choice::only(engines::REFERENCE), &context).expect(&cell);
    (plan, context)
}

/// The table of a plan whose last op has parts.
fn in_parts(plan: &Prepared, context: &RunContext, chance: &mut Random) -> Table {
    let (last, before) = plan.steps.split_last().expect("there are steps");
    let before = Prepared { steps: before.to_vec(), ..plan.clone() };
    let input = batches(&before, context, chance);
    let compiler = Compiler::new(&plan.functions);
    let program = Program::new(&plan.functions);
    let schema = before.schema();
    let types = || schema.columns.iter().map(|column| &column.ty);
    let whole = match &last.op {
        Op::Aggregate { keys, aggs } => {
            merged(&input, || Aggregates::new(keys, aggs, &compiler, &program), &program, context, chance)
        }
        Op::Sort { keys, limit } => merged(
            &input,
            || Sorted::new(keys, *limit, types().cloned(), &compiler, context),
            &program,
            context,
            chance,
        ),
        Op::Distinct(by) => {
            merged(&input, || Distinct::new(by.as_deref(), types(), &compiler), &program, context, chance)
        }
        Op::Join { kind, right, on, right_columns } => {
            let types: Vec<_> = right.schema().columns.iter().map(|column| column.ty.clone()).collect();
            let side = || RightSide::new(on, right_columns, &types, &compiler);
            let matches = merged(&batches(right, context, chance), side, &program, context, chance);
            let keys: Vec<Compiled> = on.iter().map(|(left, _)| compiler.compile(left)).collect();
            let mut rows = Rows::of(plan.schema());
            for batch in &input {
                let scope = Scope::new(batch, &program, &context.stop);
                let keys: Vec<Column> = keys.iter().map(|key| key.value(scope).expect("keys have no faults")).collect();
                let kind: JoinKind = *kind;
                let push = &mut |batch: Batch| {
                    rows.push(&batch)?;
                    Ok(true)
                };
                matches.join(kind, &keys, batch, 2, push).expect("nobody stops it");
            }
            rows.finish()
        }
        other => panic!("{other:?} has no parts"),
    };
    kernel::table(whole, plan.schema()).expect("it has the columns of its plan")
}

/// The rows of a plan in small batches.
fn batches(plan: &Prepared, context: &RunContext, chance: &mut Random) -> Vec<Batch> {
    let table = engines::REFERENCE.run(plan, context).expect("the input has no faults").table;
    let mut cut = Cut::new(table.frame(), table.schema().columns.iter().map(|column| column.ty.clone()));
    std::iter::from_fn(|| cut.next(1 + chance.below(5))).collect()
}

/// What comes of the batches in parts, each from one to the next cut, which are merged in any grouping: as they are, or
/// as flat columns that were bytes, whole or split by their keys.
fn merged<P: Partial>(
    batches: &[Batch],
    make: impl Fn() -> P,
    program: &Program,
    context: &RunContext,
    chance: &mut Random,
) -> P::Whole {
    let mut parts = parts(batches, &make, program, context, chance);
    while parts.len() > 1 {
        let at = chance.below(parts.len() - 1);
        let later = parts.remove(at + 1);
        let all = &mut parts[at];
        match chance.below(3) {
            0 => all.merge(later, context).expect("there is nothing to go wrong"),
            1 => {
                all.take_columns(moved(later.columns().expect("there are columns")), context).expect("they fit");
            }
            _ => {
                for part in later.split(1 + chance.below(4)).expect("there are columns") {
                    all.take_columns(moved(part), context).expect("they fit");
                }
            }
        }
    }
    let whole = parts.pop().expect("there is one part at least");
    assert!(batches.is_empty() || whole.size() > 0);
    whole.finish().expect("every sum is an int")
}

/// The batches in parts, each from one to the next cut. Some have no rows.
fn parts<P: Partial>(
    batches: &[Batch],
    make: impl Fn() -> P,
    program: &Program,
    context: &RunContext,
    chance: &mut Random,
) -> Vec<P> {
    let mut parts = vec![make()];
    for batch in batches {
        while chance.one_in(4) {
            parts.push(make());
        }
        let part = parts.last_mut().expect("there is one");
        part.take(Scope::new(batch, program, &context.stop)).expect("the input has no faults");
    }
    parts
}

/// A batch that was bytes on its way.
fn moved(flat: Batch) -> Batch {
    let bytes = kernel::to_bytes(&flat);
    assert!(kernel::from_bytes(&bytes[..bytes.len() - 1]).is_none(), "some of the bytes are no batch");
    kernel::from_bytes(&bytes).expect("they were just made")
}

/// Each part is split by its keys, and the pieces that belong together are merged by themselves.
#[test]
fn pieces_of_the_same_keys_are_merged_apart() {
    let mut chance = Random::new(11);
    for case in CASES.iter().filter(|case| case.contains(" by k") || case.contains("distinct")) {
        let (plan, context) = plan(case);
        let expected = engines::REFERENCE.run(&plan, &context).expect(case).table;
        for pieces in 1..5 {
            let (last, before) = plan.steps.split_last().expect("there are steps");
            let before = Prepared { steps: before.to_vec(), ..plan.clone() };
            let input = batches(&before, &context, &mut chance);
            let (compiler, program) = (Compiler::new(&plan.functions), Program::new(&plan.functions));
            let types: Vec<_> = before.schema().columns.iter().map(|column| column.ty.clone()).collect();
            let found = match &last.op {
                Op::Aggregate { keys, aggs } if !keys.is_empty() => {
                    let make = || Aggregates::new(keys, aggs, &compiler, &program);
                    apart(parts(&input, make, &program, &context, &mut chance), make, pieces, &context)
                }
                Op::Distinct(by) => {
                    let make = || Distinct::new(by.as_deref(), &types, &compiler);
                    apart(parts(&input, make, &program, &context, &mut chance), make, pieces, &context)
                }
                _ => continue,
            };
            let mut rows = Rows::of(plan.schema());
            found.iter().for_each(|batch| rows.push(batch).expect("they are few"));
            let found = kernel::table(rows.finish(), plan.schema()).expect("it has the columns of its plan");
            assert!(!matches!(expected.same(&found), Sameness::Different(_)), "{case} in {pieces}");
        }
    }
}

fn apart<P: Partial<Whole = Batch>>(
    parts: Vec<P>,
    make: impl Fn() -> P,
    pieces: usize,
    context: &RunContext,
) -> Vec<Batch> {
    let mut all: Vec<P> = (0..pieces).map(|_| make()).collect();
    for part in parts {
        for (piece, flat) in all.iter_mut().zip(part.split(pieces).expect("there are columns")) {
            piece.take_columns(moved(flat), context).expect("they fit");
        }
    }
    all.into_iter().map(|piece| piece.finish().expect("every sum is an int")).collect()
}

/// The flag is looked at while parts are merged.
#[test]
fn a_merge_is_stopped() {
    for case in ["count by i", "agg sum(x) by i", "distinct by i", "map i | distinct"] {
        let (plan, context) = plan(case);
        let (last, before) = plan.steps.split_last().expect("there are steps");
        let before = Prepared { steps: before.to_vec(), ..plan.clone() };
        let input = batches(&before, &context, &mut Random::new(1));
        let (compiler, program) = (Compiler::new(&plan.functions), Program::new(&plan.functions));
        let types: Vec<_> = before.schema().columns.iter().map(|column| column.ty.clone()).collect();
        match &last.op {
            Op::Aggregate { keys, aggs } => {
                stopped(&input, || Aggregates::new(keys, aggs, &compiler, &program), &program, &context);
            }
            Op::Distinct(by) => {
                stopped(&input, || Distinct::new(by.as_deref(), &types, &compiler), &program, &context);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn stopped<P: Partial>(input: &[Batch], make: impl Fn() -> P, program: &Program, context: &RunContext) {
    let filled = || {
        let mut part = make();
        for batch in input {
            part.take(Scope::new(batch, program, &context.stop)).expect("the input has no faults");
        }
        part
    };
    let (mut all, later, flat) = (filled(), filled(), filled().columns().expect("there are columns"));
    context.stop.raise();
    assert_eq!(all.merge(later, context).expect_err("it is stopped").kind, Kind::Stopped);
    assert_eq!(all.take_columns(flat, context).expect_err("it is stopped").kind, Kind::Stopped);
    context.stop.clear();
}

/// How long a large merge goes on after it was stopped.
#[test]
#[ignore = "a measurement: cargo test --release --locked merge_goes_on -- --ignored --nocapture"]
fn a_stopped_merge_goes_on() {
    const GROUPS: i64 = 4_000_000;
    let (plan, context) = plan("agg sum(i), max(i), n_distinct(i) by i");
    let [.., last] = &plan.steps[..] else { panic!("{plan:?}") };
    let Op::Aggregate { keys, aggs } = &last.op else { panic!("{plan:?}") };
    let (compiler, program) = (Compiler::new(&plan.functions), Program::new(&plan.functions));
    let width = plan.input(plan.steps.len() - 1).columns.len();
    for wait in [10, 50, 100, 200, 400, 800] {
        let filled = |first: i64| {
            let mut part = Aggregates::new(keys, aggs, &compiler, &program);
            for start in (first..first + GROUPS).step_by(2048) {
                let column = Column::ints((start..start + 2048).collect(), None);
                let batch = Batch { rows: 2048, columns: vec![column; width] };
                part.take(Scope::new(&batch, &program, &context.stop)).expect("there is nothing to go wrong");
            }
            part
        };
        let (mut all, later) = (filled(0), filled(GROUPS / 2));
        let (stop, raised) = (context.stop.clone(), std::sync::Mutex::new(None));
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                let start = std::time::Instant::now();
                while start.elapsed().as_millis() < wait {
                    std::thread::yield_now();
                }
                *raised.lock().expect("nobody panics") = Some(std::time::Instant::now());
                stop.raise();
            });
            let result = all.merge(later, &context);
            let ended = std::time::Instant::now();
            (result, ended)
        });
        let raised = raised.into_inner().expect("nobody panics").expect("it was raised");
        let late = result.1.saturating_duration_since(raised);
        println!("stopped after {wait} ms: {:?}, {} ms later", result.0.is_err(), late.as_millis());
        context.stop.clear();
    }
}
