//! What `%prof` of a pipeline costs: CPU time of runs whose operators are measured and of plain runs, in turns within
//! one process, so that both have the same code at the same addresses, and a busy machine harms both alike.
//!
//! `cargo bench --locked --bench prof_cost -- TURNS`. For each pipeline: the median of the ratios of both, and its
//! confidence interval of 95 % (order statistics: Conover, Practical Nonparametric Statistics, 3.2).

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;

use timelab::console::{Console, Sink};
use timelab::diagnostic::{Diagnostic, Fallible};
use timelab::engines::{self, Choice};
use timelab::lang::{self, Cell, Statement};
use timelab::magics::Tables;
use timelab::measure::{Counting, Meter, median_rank};
use timelab::meters::{Meters, Operators};
use timelab::plan::Plan;
use timelab::session::{Bound, Session};

// As the program has it.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PIPELINES: &[&str] = &[
    "1..20M | map it % 4096 * 3 | filter it % 3 == 1 or it > 9 | sum",
    "1..20M | map it % 1000 | filter it > 10 | map it + 1 | derive y = it * 2 | agg a = sum(it), b = max(y)",
    "1..10M | map it % 100k | count by it | agg n = count()",
    "1..4k | pairs | map it = a * b % 77 | distinct | count",
];
const TURNS: usize = 200;
const MISS: f64 = 0.05;

fn main() {
    let turns = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(TURNS);
    let err = Sink::new(|bytes| drop(std::io::stderr().write_all(bytes)));
    let mut session = Session::new(None, Console::new(err.clone(), err, Console::cannot_ask()));
    for pipeline in PIPELINES {
        match cost(&mut session, pipeline, turns) {
            Ok(line) => println!("{line} · {pipeline}"),
            Err(error) => panic!("{pipeline}: {}", error.message),
        }
    }
}

fn cost(session: &mut Session, pipeline: &str, turns: usize) -> Fallible<String> {
    let plan = bound(session, pipeline)?;
    let mut ratios = Vec::new();
    let mut least = f64::INFINITY;
    for turn in 0..turns {
        let first = turn % 2 == 0;
        let once = seconds(session, &plan, first)?;
        let again = seconds(session, &plan, !first)?;
        let (measured, plain) = if first { (once, again) } else { (again, once) };
        ratios.push(measured / plain);
        least = least.min(plain);
    }
    ratios.sort_by(f64::total_cmp);
    let percent = |ratio: f64| 100.0 * (ratio - 1.0);
    let range = match median_rank(turns, MISS) {
        Some(rank) => {
            format!("[{:+.2} {:+.2}]", percent(ratios[rank - 1]), percent(ratios[turns - rank]))
        }
        None => "[too few turns]".to_string(),
    };
    Ok(format!("{:+.2} % {range} of {least:.3} s", percent(ratios[turns / 2])))
}

/// The CPU time of one run.
fn seconds(session: &Session, plan: &Plan, is_measured: bool) -> Fallible<f64> {
    let batch = engines::find("batch").expect("it is in the table");
    let mut context = session.context();
    if is_measured {
        context.meters = Meters { operators: Some(Arc::new(Operators::default())), ..Meters::default() };
    }
    let meter = Meter::start();
    black_box(session.run(plan.clone(), Choice::only(batch), &context)?);
    Ok(meter.stop().cpu().as_secs_f64())
}

fn bound(session: &mut Session, cell: &str) -> Fallible<Plan> {
    let id = session.remember(cell);
    if let Cell::Statements(statements) = lang::parse(id, cell, &Tables)?
        && let [Statement::Pipeline(pipeline)] = &statements[..]
        && let Bound::Table(plan) = session.bind(pipeline)?
    {
        return Ok(plan);
    }
    panic!("{cell} is no pipeline")
}
