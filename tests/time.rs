//! `%time`: whose time and memory it shows, by counts; what it says of waiting, from given times.

use std::time::Duration;

use timelab::data::{Column, Order, Schema, Table, Type, Value};
use timelab::measure::{Cost, Limit};
use timelab::report::{Block, Bounds, Figures, MeasuredRows, Report, Unit};
use timelab::show::{self, Format, Style};

use crate::command::{err, out, timelab};
use crate::lab::{Lab, PLAIN};

/// The last of these cells gives true.
#[track_caller]
fn check(lab: &mut Lab, cells: &[&str]) {
    let (last, before) = cells.split_last().expect("there are cells");
    for cell in before {
        assert_eq!(lab.cell(cell).err, "", "{cell}");
    }
    let printed = lab.cell(last);
    assert_eq!((printed.out.as_str(), printed.err.as_str()), ("true\n", ""), "{last}");
}

/// Runs cells in the program itself. Those that give a bool all give true, and there are so many of them.
#[track_caller]
fn all_true(count: usize, cells: &[&str]) -> String {
    let mut arguments = vec!["--format", "csv"];
    cells.iter().for_each(|cell| arguments.extend(["-c", cell]));
    let output = timelab(&arguments, "");
    let (out, err) = (out(&output), err(&output));
    assert_eq!(out.lines().filter(|line| *line == "true").count(), count, "{out}{err}");
    err
}

#[test]
fn the_memory_of_other_processes_counts() {
    let native = "%time letters 300k seed 7 | join \"\" | map len(it) | on native";
    let filled = "fn filled(x: int) -> int = rust { std::hint::black_box(vec![x; 100_000])[7] }";
    all_true(
        5,
        &[
            native,
            "_.allocations > 0 and _.peak >= 300k and _.peak < 30M",
            "%time rust { std::hint::black_box(vec![1u8; 5_000_000]).len() }",
            "_.allocations > 0 and _.peak >= 5M and _.peak < 10M",
            filled,
            "%time 1..10 | map filled(it) | sum",
            "_.allocations >= 9 and _.peak >= 800k",
            "%time filled(3)",
            "_.allocations >= 1 and _.peak >= 800k",
            // The process of the function is still there, but has no part in this.
            "%time 1..10 | sum",
            "_.peak < 800k",
        ],
    );
}

#[test]
fn a_run_says_what_other_processes_cost_it() {
    let err = all_true(0, &["%time 1..10k | map it * it | sum | on native", "%time 1..10k | map it * it | sum"]);
    let notes: Vec<&str> = err.lines().filter(|line| line.starts_with("sums of processes: CPU shell ")).collect();
    assert_eq!(notes.len(), 1, "{err}");
    assert!(notes[0].contains(", Rust "), "{err}");
}

#[test]
fn programs_that_rust_starts_count() {
    // What they cost is known to be some time; how much, no test says.
    let run =
        "std::process::Command::new(\"sh\").args([\"-c\", \"i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done\"])";
    let block = format!("rust {{ {run}.status().unwrap().success() }}");
    let function = format!("fn started(x: int) -> bool = rust {{ x > 0 && {run}.status().unwrap().success() }}");
    let (time, call) = (format!("%time {block}"), "%time [3] | map started(it)");
    // The calls give true as well.
    let err = all_true(
        6,
        &[&time, "_.cpu > 0.01 and is_null(_.queued)", &function, call, "_.cpu > 0.01", call, "_.cpu > 0.01"],
    );
    let told = err.matches("programs that were started took ").count();
    assert_eq!(told, 3, "{err}");
    let without = all_true(0, &["%time rust { 1 + 1 }"]);
    assert!(!without.contains("programs that were started"), "{without}");
}

#[test]
fn nothing_is_claimed_of_what_a_command_waits_for() {
    let mut lab = Lab::new("batch");
    check(&mut lab, &["%time let x = !echo 1", "is_null(_.queued)"]);
}

#[test]
fn compiling_is_told_apart_and_only_once() {
    let timed = "%time 1..30k | map x = it * 2 | sum | on native";
    let plain = "1..40k | map x = it * 2 | sum | on native";
    let cells = [timed, "_.compile > 0.0 and _.start > 0.0", timed, "_.compile == 0.0"];
    let more = ["%time 1..30k | sum", "_.compile == 0.0 and _.start == 0.0"];
    all_true(5, &[&cells[..], &more, &[plain, "_.compile > 0.0", plain, "_.compile == 0.0"]].concat());
}

#[test]
fn a_field_is_of_the_latest_result_that_has_it() {
    let mut lab = Lab::new("batch");
    check(&mut lab, &["%timeit -n 1 -r 5 1..10 | sum", "_.median", "_.iqr == _1.iqr"]);
    check(&mut lab, &["_.median * 2", "_ == _1.median * 2"]);
    let tee = "1..10 | tee small: (filter it < 4), n: (count)";
    check(&mut lab, &[tee, "5", "_.n == 9 and _.iqr == _1.iqr"]);
    assert_eq!(lab.cell("_.small | sum | map sum").out, "sum\n6\n");
    let printed = lab.cell("7");
    assert_eq!(printed.out, "7\n");
    assert!(lab.cell("_.nothing").err.starts_with("error: `_` is a value and has no fields"));
}

#[test]
fn short_runs_cannot_tell_the_program_from_the_system() {
    let mut lab = Lab::new("batch");
    check(&mut lab, &["%time 1 + 1", "is_null(_.user) and is_null(_.system) and _.cpu >= 0.0"]);
}

/// Seconds.
fn cost(wall: u64, cpu: u64, queued: Option<u64>) -> Cost {
    let seconds = Duration::from_secs;
    Cost { wall: seconds(wall), cpu: seconds(cpu), queued: queued.map(seconds), ..Cost::default() }
}

#[test]
fn what_limits_a_run() {
    assert_eq!(cost(0, 0, Some(0)).limit(), Limit::TooShort);
    assert_eq!(cost(8, 6, Some(0)).limit(), Limit::Processor { cores: 0.75, queued: 0.0 });
    // A busy machine: it could always run.
    assert_eq!(cost(8, 2, Some(6)).limit(), Limit::Processor { cores: 0.25, queued: 0.75 });
    assert_eq!(cost(8, 6, Some(8)).limit(), Limit::Processor { cores: 0.75, queued: 0.25 });
    assert_eq!(cost(8, 12, Some(4)).limit(), Limit::Processor { cores: 1.5, queued: 0.25 });
    assert_eq!(cost(8, 1, Some(0)).limit(), Limit::Waiting { busy: 0.125, queued: 0.0 });
    assert_eq!(cost(8, 1, Some(2)).limit(), Limit::Waiting { busy: 0.125, queued: 0.25 });
    // Without the times of threads no kind of waiting is claimed.
    assert_eq!(cost(8, 2, None).limit(), Limit::Unknown { busy: 0.25 });
    assert_eq!(cost(8, 7, None).limit(), Limit::Processor { cores: 0.875, queued: 0.0 });
}

#[test]
fn costs_of_two_processes() {
    let s = Duration::from_secs;
    let shell = Cost { peak: 5, allocations: 1, allocated: 7, preempted: 2, ..cost(100, 2, Some(1)) };
    let parts = Some((s(60), s(30)));
    let other = Cost { peak: 50, allocations: 10, allocated: 70, parts, ..cost(90, 90, Some(3)) };
    let both = shell.beside(&other);
    assert_eq!((both.wall, both.cpu, both.queued), (s(100), s(92), Some(s(4))));
    assert_eq!((both.peak, both.allocations, both.allocated, both.preempted), (55, 11, 77, 2));
    // The shell's 2 s are too few to change a share.
    let (user, system) = both.parts.expect("they can be told apart");
    assert_eq!(user + system, s(92));
    assert!(user > system.mul_f64(1.99) && user < system.mul_f64(2.01));
    let much = Cost { cpu: s(50), ..shell.clone() };
    assert_eq!(much.beside(&other).parts, None);
    assert_eq!(Cost { queued: None, ..shell }.beside(&other).queued, None);
}

#[test]
fn a_range_is_not_called_an_interval() {
    let named = |name: &str, ty| Column { name: name.to_string(), ty };
    let columns = vec![named("speedup", Type::Float), named("low", Type::Float), named("high", Type::Float)];
    let values = [2.0, 1.5, 2.5].map(|x| vec![Value::Float(x)]);
    let table = Table::from_columns(Schema::new(columns, Order::Kept), 1, &values);
    let head = |bounds| {
        let meanings = [Unit::Ratio(bounds), Unit::Low, Unit::High].map(Unit::measured).to_vec();
        let (table, rows) = (table.clone(), MeasuredRows::default());
        let blocks = vec![Block::Figures(Figures { table, meanings, rows, is_whole: false })];
        let style = Style { format: Format::Table, ..PLAIN };
        show::report(&Report { blocks, status_line: Vec::new() }, &style).out
    };
    assert!(head(Bounds::of([false, false])).contains("speedup [95% CI]"));
    assert!(head(Bounds::of([true])).contains("speedup [least greatest]"));
    assert!(head(Bounds::of([true, false])).contains("speedup [CI or range]"));
}
