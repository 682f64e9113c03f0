//! Tasks: a plan gives the same whoever runs its tasks, and in however many parts.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use timelab::console::Console;
use timelab::data::{Sameness, Table};
use timelab::diagnostic::{Diagnostic, Fallible, Kind};
use timelab::engines::{self, Choice};
use timelab::kernel::{self, Part, Rows};
use timelab::magics::complete;
use timelab::plan::Prepared;
use timelab::run_context::{ChunkSizes, RunContext};
use timelab::schedule::{self, ATTEMPTS, Board, JobLog, JobOptions, OpenStage, Runner, Stage, StepKind, Take, Threads};
use timelab::session::Session;

use crate::lab::{self, Lab};

/// Cells of all kinds of ops. Floats are sums of values that rounding changes.
const CELLS: &[&str] = &[
    "1..500 | map it * it",
    "1..500 | filter it % 7 == 3 | take 5",
    "1..500 | filter it % 7 == 3 | skip 60 | take 20",
    "1..500 | enumerate | filter it % 5 == 0 | rename row as first | enumerate",
    "1..500 | reverse | take 3",
    "1..500 | map 1 / it | sum",
    "1..500 | map k = it % 9, x = 1 / it | agg sum(x), mean(x), std(x), median(x), count() by k",
    "1..500 | map k = it * 7 % 301, x = 1 / it | agg s = sum(x), first(x), last(x) by k",
    "1..500 | map k = it * 7 % 301, x = it | sort by k, x",
    "1..500 | map k = it * 7 % 301, x = it | top 9 by k",
    "1..500 | map k = it * 7 % 301 | distinct",
    "1..500 | map k = it * 7 % 301, x = it | distinct by k | filter x % 2 == 0 | count",
    "1..500 | map k = it % 9, x = it | group by k",
    "1..500 | map k = it % 50, x = it | join (10..40 | map k = it, y = it * it) on k | agg sum(y) by x = x % 3",
    "1..500 | map k = it % 50, x = it | join left (10..40 | map k = it, y = it * it) on k | sort by y | take 9",
    "1..500 | map k = it % 50 | join anti (10..40 | map k = it) on k | count by k",
    "1..60 | pairs | filter a * b % 17 == 4 | count by a",
    "1..60 | pairs | map it = a + b | distinct | pairs | count",
    "1..500 | sample 20",
    "1..500 | concat (1..30 | map it * 2) | count by it = it % 11",
    "1..500 | map a = it | zip (1..500 | map b = it * it) | filter b % 4 == 0 | sum a",
    "[\"a b c\", \"b c\", null, \"c\"] | words | count by it",
    "1..1 | map k = it % 3, x = it | count by k",
    "1..1 | count",
    "1..500 | filter it > 1000 | agg sum(it), count(), min(it)",
    "1.. | filter it % 10 == 0 | take 4",
    "letters 3000 | count by it | sort by it",
    "random 3000 | map k = int(it * 10), x = it | agg sum(x) by k | sort by k",
    "fn double(x) = x + x; 1..500 | map double(it) | sum",
];

fn prepared(cell: &str) -> (Prepared, RunContext) {
    let mut session = Session::new("rows", Console::default());
    let plan = lab::plan(&mut session, cell).expect(cell).expect("a pipeline has a plan");
    let context = session.context();
    let plan = session.prepared(plan, Choice::only(engines::REFERENCE), &context).expect(cell);
    (plan, context)
}

fn run(plan: &Prepared, runner: &dyn Runner, context: &RunContext) -> Fallible<Table> {
    let mut rows = Rows::of(plan.schema());
    schedule::run(plan, runner, context, &mut |batch| rows.push(&batch).map(|()| true))?;
    Ok(kernel::table(rows.finish(), plan.schema()).expect("it has the columns of its plan"))
}

fn in_tasks(task: usize, context: &RunContext) -> RunContext {
    RunContext { chunk_sizes: ChunkSizes { rows: 7, task, ..context.chunk_sizes }, ..context.clone() }
}

#[test]
fn every_number_of_workers_gives_the_same_bits() {
    for cell in CELLS {
        let (plan, context) = prepared(cell);
        let expected = engines::REFERENCE.run(&plan, &context).expect(cell).table;
        for task in [16, 16 * 13, 16 * 200] {
            let context = in_tasks(task, &context);
            let one = run(&plan, &Threads(1), &context).expect(cell);
            if let Sameness::Different(what) = expected.same(&one) {
                panic!("{cell}, tasks of {task}: {what}");
            }
            for workers in [2, 3, 7] {
                let more = run(&plan, &Threads(workers), &context).expect(cell);
                assert!(one.frame().equals_missing(more.frame()), "{cell}, tasks of {task}, {workers} workers");
            }
        }
    }
}

/// Runs each task from what another process could be sent, and hands its output on as bytes. Every third task is lost
/// at first.
struct Elsewhere;

impl Runner for Elsewhere {
    fn run<'s>(
        &self,
        stage: &'s OpenStage,
        parts: Box<dyn Iterator<Item = Part> + Send>,
        take: &mut Take<'_, 's>,
    ) -> Fallible<()> {
        let tasks = &stage.stage().tasks;
        let text = tasks.to_json()?;
        let sent = Prepared::from_json(&text, &tasks.beside())?;
        let theirs = OpenStage::new(Stage::of_tasks(sent, stage.stage().pairs), stage.context())?;
        let board: Board<Part, Vec<u8>> = Board::new(parts, 3, stage.context().stop.clone());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(claim) = board.claim() {
                        if claim.number % 3 == 2 && claim.attempt < ATTEMPTS {
                            board.lose(claim, Diagnostic::new(Kind::System, "it was lost too often"));
                            continue;
                        }
                        let part = serde_json::to_string(&claim.part).expect("a part is plain data");
                        let part: Part = serde_json::from_str(&part).expect("it is the text of one");
                        let output = theirs.run(0, &part).and_then(|output| output.to_bytes(theirs.stage()));
                        board.commit(&claim, output);
                    }
                });
            }
            board.collect(&mut |bytes| take(stage.output(&bytes)?))
        })
    }

    fn workers(&self) -> usize {
        2
    }
}

#[test]
fn tasks_are_data() {
    for cell in CELLS {
        let (plan, context) = prepared(cell);
        let context = in_tasks(16 * 13, &context);
        let here = run(&plan, &Threads(1), &context).expect(cell);
        let there = run(&plan, &Elsewhere, &context).expect(cell);
        assert!(here.frame().equals_missing(there.frame()), "{cell}: {:?}", here.same(&there));
    }
}

#[test]
fn a_task_that_is_lost_too_often_ends_the_run() {
    let (tried, parts) = (AtomicUsize::new(0), (0..5).map(|i| Part::Rows { start: i, end: i + 1 }));
    let (_, context) = prepared("1..2");
    let board: Board<Part, usize> = Board::new(Box::new(parts), 2, context.stop.part());
    let mut taken = Vec::new();
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            while let Some(claim) = board.claim() {
                match claim.number {
                    3 => {
                        tried.fetch_add(1, Ordering::Relaxed);
                        board.lose(claim, Diagnostic::new(Kind::System, "it was lost too often"));
                    }
                    number => board.commit(&claim, Ok(number)),
                }
            }
        });
        board.collect(&mut |number| {
            taken.push(number);
            Ok(true)
        })
    });
    assert_eq!(error.expect_err("it was lost").message, "it was lost too often");
    assert_eq!((taken, tried.into_inner()), (vec![0, 1, 2], ATTEMPTS));
}

/// The last task is done first, and each waits for the next one.
#[test]
fn the_first_error_in_the_order_of_tasks_is_told() {
    let (_, context) = prepared("1..2");
    let parts = (0..3).map(|i| Part::Rows { start: i, end: i + 1 });
    let board: Board<Part, usize> = Board::new(Box::new(parts), 3, context.stop.part());
    let claims: Vec<_> = (0..3).map(|_| board.claim().expect("there are three")).collect();
    for claim in claims.iter().rev() {
        board.commit(claim, Err(Diagnostic::new(Kind::System, format!("error of {}", claim.number))));
    }
    let error = board.collect(&mut |_| Ok(true)).expect_err("all fail");
    assert_eq!(error.message, "error of 0");
    assert!(board.claim().is_none());
}

#[test]
fn errors_have_their_rows_and_later_ones_are_not_told() {
    let mut lab = Lab::in_chunks("threads", ChunkSizes { rows: 4, task: 16 * 10, ..ChunkSizes::default() });
    let printed = lab.cell("1..1000 | map 1000 // (it - 321) + 1 // (it - 700) | sum");
    assert!(printed.err.contains("row 320"), "{}", printed.err);
}

#[test]
fn a_plan_that_needs_one_row_after_the_other_is_refused() {
    let mut lab = Lab::new("threads");
    for (cell, what) in [("1..9 | scan 0 acc + it", "scan"), ("1..9 | fold 0 acc + it", "fold")] {
        let printed = lab.cell(&format!("{cell} | on threads"));
        let reason = format!("the engine `threads` cannot run this: `{what}` needs the result of the row before");
        assert!(printed.err.contains(&reason), "{}", printed.err);
    }
}

#[test]
fn options_of_on() {
    let mut lab = Lab::new("batch");
    let err = |lab: &mut Lab, end: &str| lab.cell(&format!("1..9 | sum | on {end}")).err;
    assert_eq!(err(&mut lab, "threads workers 3"), "");
    assert!(err(&mut lab, "threads workers 0").contains("`workers` must be 1 to 1024"));
    assert!(err(&mut lab, "threads workers 1025").contains("`workers` must be 1 to 1024"));
    assert!(err(&mut lab, "threads wrkers 2").contains("did you mean `workers`?"));
    assert!(err(&mut lab, "rows workers 2").contains("the engine `rows` has no option `workers`"));
    let mut session = Session::new("batch", Console::default());
    let mut offered = |text: &str| -> Vec<String> {
        complete(&mut session, text, text.len()).1.into_iter().map(|candidate| candidate.text).collect()
    };
    assert_eq!(offered("1..9 | sum | on threads "), ["workers", "memory"]);
    assert_eq!(offered("1..9 | sum | on threads workers 2 me"), ["memory"]);
    assert_eq!(offered("1..9 | sum | on batch w"), Vec::<String>::new());
}

#[test]
fn a_stopped_run_ends_in_all_its_tasks() {
    let (plan, context) = prepared("1..100G | map k = it % 10 | count by k");
    thread::scope(|scope| {
        let run = scope.spawn(|| run(&plan, &Threads(3), &context));
        while context.progress.rows() < 100_000 {
            thread::yield_now();
        }
        context.stop.raise();
        let error = run.join().expect("no panic").expect_err("it was stopped");
        assert_eq!(error.kind, Kind::Stopped);
    });
}

/// Partials of many groups are merged in parts. Neither that nor the number of threads changes a bit, and groups stay
/// in the order of their first rows.
#[test]
fn many_groups_are_merged_in_parts() {
    for cell in [
        "1..400000 | map k = it * 7919 % 90001, x = 1 / it | agg sum(x), first(x), count() by k",
        "1..400000 | map k = it * 7919 % 90001, x = it | agg s = sum(x) by k | sort by s desc | take 100",
        "1..400000 | map t = \"the number \" + text(it * 7919 % 90001) | count by t | filter count > 1 | count",
    ] {
        let (plan, context) = prepared(cell);
        let context = |task| RunContext { chunk_sizes: ChunkSizes { task, ..context.chunk_sizes }, ..context.clone() };
        let batch = engines::find("batch").expect("it is one").run(&plan, &context(1)).expect(cell).table;
        let whole = run(&plan, &Threads(2), &context(16 * 1000)).expect(cell);
        // The first partial is small, the others are not.
        for (task, workers) in [(16 * 50_000, 1), (16 * 50_000, 3), (16 * 40_000, 2), (16 * 110_000, 2)] {
            let parts = run(&plan, &Threads(workers), &context(task)).expect(cell);
            assert_eq!(parts.frame().column("k").ok(), batch.frame().column("k").ok(), "{cell}");
            assert!(!matches!(whole.same(&parts), Sameness::Different(_)), "{cell}: {:?}", whole.same(&parts));
        }
        let [one, more] = [1, 3].map(|workers| run(&plan, &Threads(workers), &context(16 * 50_000)).expect(cell));
        assert!(one.frame().equals_missing(more.frame()), "{cell}");
    }
}

fn job(plan: &Prepared, options: &JobOptions, context: &RunContext) -> Fallible<(Table, JobLog)> {
    let mut log = JobLog::default();
    let rows = schedule::run_job(plan, options, None, context, &mut log)?;
    Ok((kernel::table(rows, plan.schema()).expect("it has the columns of its plan"), log))
}

#[test]
fn a_job_gives_the_same_however_it_is_done() {
    for cell in CELLS.iter().filter(|cell| !cell.starts_with("1.. ")) {
        let (plan, context) = prepared(cell);
        let expected = engines::REFERENCE.run(&plan, &context).expect(cell).table;
        for workers in [1, 3] {
            let context = RunContext { workers, ..in_tasks(16 * 90, &context) };
            let plain = JobOptions { counts_keys: true, ..JobOptions::default() };
            let ways = [
                plain.clone(),
                JobOptions { combine: false, partitions: Some(3), ..plain.clone() },
                JobOptions { on_disk: true, tasks: Some(5), ..plain.clone() },
                JobOptions { on_disk: true, combine: false, chaos: 0.4, ..plain.clone() },
                JobOptions { memory: Some(1), ..plain.clone() },
                JobOptions { memory: Some(1), combine: false, partitions: Some(2), ..plain.clone() },
                JobOptions { chaos: 0.7, seed: 3, partitions: Some(1), counts_keys: false, ..plain },
            ];
            for options in ways {
                let (table, _) = job(&plan, &options, &context).expect(cell);
                if let Sameness::Different(what) = expected.same(&table) {
                    panic!("{cell}, {workers} workers, {options:?}: {what}");
                }
            }
        }
    }
}

#[test]
fn a_job_counts_each_record_once_whatever_is_lost() {
    let (plan, context) = prepared("1..1000 | map k = if it % 2 == 0 then 0 else it, x = it | agg sum(x) by k");
    let calm = JobOptions { tasks: Some(8), partitions: Some(4), counts_keys: true, ..JobOptions::default() };
    let wild = JobOptions { chaos: 0.6, seed: 5, ..calm.clone() };
    let (_, calm) = job(&plan, &calm, &context).expect("it runs");
    let (_, wild) = job(&plan, &wild, &context).expect("it runs");
    assert!(calm.attempts.iter().all(|attempt| !attempt.lost));
    let lost = wild.attempts.iter().filter(|attempt| attempt.lost).count();
    assert!(lost > 0, "a chance of 0.6 loses some of 12 tasks");
    assert_eq!(wild.attempts.len() - lost, 12);
    for (calm, wild) in calm.steps.iter().zip(&wild.steps) {
        assert_eq!((calm.kind, calm.records_in, calm.records_out), (wild.kind, wild.records_in, wild.records_out));
        assert_eq!(calm.loads, wild.loads);
    }
    let step = |kind: StepKind| calm.steps.iter().find(|step| step.kind == kind).expect("the round has it");
    assert_eq!(step(StepKind::Map).records_out, Some(999));
    // Each task has key 0 and the odd numbers among its rows.
    assert_eq!(step(StepKind::Combine).records_out, Some(500 + 8));
    assert_eq!(step(StepKind::Reduce).records_out, Some(501));
    let hottest = &calm.keys[0];
    assert_eq!((hottest.key.to_string(), hottest.records, hottest.is_hot), ("0".to_string(), 499, false));
    assert!(calm.keys[1..].iter().all(|key| key.records == 1));
}

#[test]
fn the_first_task_that_fails_says_why() {
    let (plan, context) = prepared("1..1000 | map 1 // (it % 100 - 99) | sum");
    let options = JobOptions { tasks: Some(10), ..JobOptions::default() };
    for workers in [1, 4] {
        let context = RunContext { workers, ..context.clone() };
        let error = job(&plan, &options, &context).expect_err("a division by zero");
        assert_eq!(error.kind, Kind::ZeroDivision);
    }
}

#[test]
fn a_stopped_job_ends() {
    let (plan, context) = prepared("1..100000000 | map it % 7 | sum");
    context.stop.raise();
    let error = job(&plan, &JobOptions::default(), &context).expect_err("it was stopped");
    assert_eq!(error.kind, Kind::Stopped);
}
