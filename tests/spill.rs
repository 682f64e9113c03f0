//! More data than memory: what does not fit goes to a scratch file, and the table is the same.

use std::path::Path;

use timelab::console::Console;
use timelab::data::{Sameness, Table};
use timelab::diagnostic::Fallible;
use timelab::engines::{self, Choice};
use timelab::plan::Prepared;
use timelab::run_context::{ChunkSizes, RunContext, Spill};
use timelab::session::Session;

use crate::command::{err, timelab};
use crate::lab::{self, Lab};

/// Cells whose ops hold several times the budget, and whose results depend on the order of rows.
const CELLS: &[&str] = &[
    "1..60000 | map k = it * 7919 % 40009, x = 1 / it | agg s = sum(x), first(x), last(x), count() by k",
    "1..60000 | map k = it * 7919 % 40009 | count by k | skip 100 | enumerate | agg sum(k * row % 1009)",
    "1..60000 | map k = it * 7919 % 3001, x = it * 31 % 77 | agg median(x), quantile(x, 0.3), n_distinct(x) by k",
    "1..60000 | map k = it * 7919 % 30011, x = it | group by k | agg sum(len(x)), count()",
    "1..60000 | map t = \"a longer text than fits \" + text(it * 7919 % 40009), x = it | agg sum(x), min(x) by t",
    "1..60000 | map t = \"a longer text than fits \" + text(it * 7919 % 40009), x = it | sort by t, x",
    "1..60000 | map k = if it % 7 == 0 then null else it * 7919 % 911, x = 1 / it | sort by k desc, x",
    "1..60000 | map k = it * 7919 % 40009, x = it | sort by k | map k + x | agg sum(it), first(it), last(it)",
    "1..60000 | map it * 7919 % 40009 | distinct",
    "1..60000 | map k = it * 7919 % 40009, x = it | distinct by k | enumerate | agg sum(x * row % 1009)",
    "1..60000 | map k = it * 7919 % 40009, x = it | distinct by k | take 39000 | agg last(x)",
    "1..60000 | map k = it * 7919 % 40009, x = it | reverse | enumerate | agg sum(x * row % 1009)",
    "1..60000 | map k = it % 50021, x = it | join (1..60000 | map k = it * 7919 % 40009, y = it) on k",
    "1..60000 | map k = it, x = it | join left (1..60000 | map k = it * 7919 % 40009, y = it) on k \
     | agg count(), count(y), sum(x * y % 1009)",
    "1..60000 | map k = it, x = it | join semi (1..60000 | map k = it * 7919 % 40009) on k | agg sum(x), last(x)",
    "1..60000 | map k = it, x = it | join anti (1..60000 | map k = it * 7919 % 40009) on k | agg sum(x), last(x)",
];

const BUDGET: u64 = 1 << 20;

fn prepared(cell: &str) -> (Prepared, RunContext) {
    let mut session = Session::new("rows", Console::default());
    let plan = lab::plan(&mut session, cell).expect(cell).expect("a pipeline has a plan");
    let context = session.context();
    let plan = session.prepared(plan, Choice::only(engines::REFERENCE), &context).expect(cell);
    (plan, context)
}

fn within(budget: u64, folder: &Path, context: &RunContext) -> RunContext {
    RunContext { spill: Some(Spill::new(budget, folder.to_path_buf())), ..context.clone() }
}

fn written(context: &RunContext) -> (u64, u64, u64) {
    context.spill.as_ref().expect("there is a budget").written()
}

fn run(engine: &str, plan: &Prepared, context: &RunContext) -> Fallible<Table> {
    let engine = engines::find(engine).expect("there is such an engine");
    engine.run(plan, context).map(|run| run.table)
}

/// Groups have no order in the language, but here they have: that of their first rows.
#[track_caller]
fn same(what: &str, expected: &Table, found: &Table) {
    if expected.frame().equals_missing(found.frame()) {
        return;
    }
    let sameness = expected.same(found);
    assert_eq!(sameness, Sameness::Same, "{what}: {} and {}", expected.frame().height(), found.frame().height());
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("it is there").next().is_none()
}

#[test]
fn what_does_not_fit_gives_the_same_table() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for cell in CELLS {
        let (plan, context) = prepared(cell);
        let expected = run("batch", &plan, &context).expect(cell);
        for engine in ["batch", "threads"] {
            let context = within(BUDGET, folder.path(), &context);
            let found = run(engine, &plan, &context).expect(cell);
            same(&format!("{engine}: {cell}"), &expected, &found);
            let (bytes, writes, passes) = written(&context);
            assert!(bytes > BUDGET / 16 && writes > 8 && passes > 0, "{engine}: {cell}: {bytes} {writes} {passes}");
            assert!(is_empty(folder.path()), "{cell}");
        }
    }
}

/// Parts that are still too large are split by other bits.
#[test]
fn parts_are_split_again() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for cell in [
        "1..300000 | map k = it * 7919 % 200003 | count by k | enumerate | agg sum(k * row % 1009), count()",
        "1..3000 | map k = it | join (1..300000 | map k = it * 7919 % 200003, y = it) on k | agg sum(y), last(y)",
    ] {
        let (plan, context) = prepared(cell);
        let expected = run("batch", &plan, &context).expect(cell);
        let context = within(100_000, folder.path(), &context);
        let found = run("batch", &plan, &context).expect(cell);
        same(cell, &expected, &found);
        assert!(written(&context).2 > 5, "{cell}: {:?}", written(&context));
    }
}

#[test]
fn the_number_of_workers_changes_no_bit() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for cell in &CELLS[..4] {
        let (plan, context) = prepared(cell);
        let chunk_sizes = ChunkSizes { task: 16 * 1000, ..context.chunk_sizes };
        let on = |workers| {
            let context = RunContext { workers, chunk_sizes, ..within(BUDGET, folder.path(), &context) };
            run("threads", &plan, &context).expect(cell)
        };
        let one = on(1);
        [2, 3].into_iter().for_each(|workers| assert!(one.frame().equals_missing(on(workers).frame()), "{cell}"));
    }
}

/// Whichever write finds the disk full: a clear error, and nothing is left.
#[test]
fn a_full_disk_is_an_error_that_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for cell in [CELLS[0], CELLS[5], CELLS[8], CELLS[11], CELLS[12]] {
        let (plan, context) = prepared(cell);
        let all = {
            let context = within(BUDGET, folder.path(), &context);
            run("batch", &plan, &context).expect(cell);
            written(&context).1
        };
        // The first ones, the last ones, and some between.
        let some = (0..all).filter(|write| *write < 3 || write + 3 >= all || write % (all / 5).max(1) == 0);
        for write in some {
            let mut context = within(BUDGET, folder.path(), &context);
            context.spill.as_mut().expect("there is a budget").full_at = Some(write);
            let error = run("batch", &plan, &context).expect_err("a write has failed");
            assert!(error.message.contains("is full; nothing is left in it"), "{cell}: {}", error.message);
            assert!(is_empty(folder.path()), "{cell}");
        }
    }
}

#[test]
fn a_group_that_does_not_fit_says_where() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (cell, what) in [
        ("1..200000 | map k = it % 2, x = it | group by k | agg sum(len(x))", "the group of the key "),
        ("1..200000 | agg median(it)", "one group of this stage takes"),
        ("1..200000 | map k = 1, x = it | agg median(x) by k", "the group of the key 1 takes"),
        (
            "1..9 | map k = 1 | join (1..200000 | map k = 1, y = it) on k | count",
            "one key on the right side of this join",
        ),
        ("1..200000 | map it * 7 % 200001 | top 150000", "the first rows in this order take"),
        ("1..200000 | sample 100000", "the input of `sample` takes"),
    ] {
        let (plan, context) = prepared(cell);
        let context = within(BUDGET, folder.path(), &context);
        let error = run("batch", &plan, &context).expect_err(cell);
        assert!(error.message.contains(what), "{cell}: {}", error.message);
        assert!(error.span.is_some_and(|span| span.start > 10), "{cell}: {:?}", error.span);
    }
}

#[test]
fn memory_and_scratch_are_settings() {
    let mut lab = Lab::new("batch");
    assert!(lab.cell("%set memory 7MB").err.contains("memory must be at least 8MB"));
    assert!(lab.cell("1..9 | sum | on batch memory 7MB").err.contains("`memory` must be at least 8MB"));
    assert!(lab.cell("1..9 | sum | on rows memory 8MB").err.contains("the engine `rows` has no option `memory`"));
    assert!(lab.cell("%set scratch /nowhere/at/all").err.contains("scratch must be a folder"));
    let folder = tempfile::tempdir().expect("a folder can be made");
    assert_eq!(lab.cell(&format!("%set scratch {}", folder.path().display())).err, "");
}

/// The message is the same where an allocation is refused, or a task is the first to need more than there is.
#[test]
fn memory_that_runs_out_names_the_stage() {
    for engine in ["batch", "threads workers 2"] {
        for (cell, what) in [
            ("1..3M | agg median(it)", "one group of this stage takes"),
            ("1..3M | map k = it % 2, x = it | agg median(x) by k", "a few large groups of this stage take"),
            ("1..3M | map \"text number \" + text(it) | top 2M", "the first rows in this order take"),
        ] {
            let said = crate::command::timelab(&["-c", &format!("{cell} | on {engine} memory 8MB")], "");
            let said = crate::command::err(&said);
            assert!(said.contains(what) && said.contains("7.6 MiB of memory"), "{engine}: {cell}: {said}");
        }
    }
}

/// A text that grows with every row stays within the same budget.
#[test]
fn a_text_that_grows_without_end_is_stopped() {
    for stage in ["scan \"ab\" replace(acc, \"b\", \"bab\")", "fold \"ab\" replace(acc, \"b\", \"bb\")"] {
        let said = crate::command::timelab(&["-c", &format!("1..100M | {stage} | on batch memory 16MB")], "");
        assert_eq!(said.status.code(), Some(1), "{stage}");
        let said = crate::command::err(&said);
        assert!(said.contains("the state has grown to") || said.contains("15 MiB"), "{stage}: {said}");
    }
}

/// Rows of one number are smaller than what sorting them takes beside.
#[test]
fn a_sort_of_one_column_fits_into_its_budget() {
    for engine in ["batch", "threads"] {
        for cell in ["1..2M | sort it desc | count", "random 1M seed 3 | sort it | map it >= 0 | count by it"] {
            let output = timelab(&["-c", "%set memory 32MB", "-c", &format!("{cell} | on {engine}")], "");
            assert_eq!(output.status.code(), Some(0), "{cell} on {engine}: {}", err(&output));
        }
    }
}
