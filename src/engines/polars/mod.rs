//! The engine `polars`: the plan as a lazy query of the library that a user would pick.

mod aggregate;
mod bounds;
mod exprs;
mod flow;
mod kernels;
mod ops;
mod source;

use std::panic::AssertUnwindSafe;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use polars::prelude::{DataFrame, Engine as PolarsEngine, LazyFrame, OptFlags, PlSmallStr, PolarsError, PolarsResult};
use polars_error::abort::{QueryAborted, catch_polars_abort, register_polars_abort_mechanism};

use crate::data::{Table, Type};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{Expr, Privileges, Word};
use crate::measure::{self, Clock, PoolLimited};
use crate::panics;
use crate::plan::{Agg, AggFunc, Op, Prepared, Source, Step};
use crate::run_context::RunContext;
use crate::threads;

use super::{Engine, EngineOutput, Objection};

pub struct Polars;

impl Engine for Polars {
    fn name(&self) -> &'static str {
        "polars"
    }

    fn about(&self) -> &'static str {
        "runs the plan as a lazy query of the polars library; it rounds sums of floats"
    }

    fn privileges(&self, _: &[(Word, Expr)]) -> Privileges {
        Privileges::NONE
    }

    fn is_parallel(&self) -> bool {
        true
    }

    fn objection(&self, plan: &Prepared) -> Option<Objection> {
        let of_source = of_source(&plan.source.op, &plan.steps);
        of_source.map(|reason| Objection { reason, span: plan.source.span }).or_else(|| {
            plan.steps.iter().find_map(|step| {
                let here = of_op(&step.op).map(|reason| Objection { reason, span: step.span });
                here.or_else(|| step.op.plans().into_iter().find_map(|plan| self.objection(plan)))
            })
        })
    }

    fn run(&self, plan: &Prepared, context: &RunContext) -> Fallible<EngineOutput> {
        if let Some(Objection { reason, span }) = self.objection(plan) {
            return Err(Diagnostic::at(Kind::Objection, span, reason));
        }
        context.stop.check()?;
        let limited = measure::pool_limited(context.memory, context.is_job);
        let lowered = ops::lower(plan, Some(context))?;
        let streamed = lowered.flow.large && !lowered.notes.ordered;
        let query = choose_optimisations(lowered.flow.frame, &lowered.notes);
        let result = match streamed && !STREAMS_ARE_LOST.load(Ordering::Relaxed) {
            true => stream(query, limited, context),
            false => collect(query, PolarsEngine::InMemory),
        };
        context.stop.check()?;
        let mut frame = result.map_err(|error| match (error.kind, lowered.notes.zipped) {
            (Kind::Shape, Some(span)) => Diagnostic::at(Kind::Shape, span, "`zip` needs tables of the same length")
                .hint("shorten the longer one with `take`"),
            _ => error,
        })?;
        let schema = plan.schema().clone();
        let names: Vec<PlSmallStr> = schema.names().map(PlSmallStr::from_str).collect();
        let bug = |what: String| {
            Diagnostic::new(Kind::System, format!("internal error: polars returned an unexpected table: {what}"))
        };
        frame.set_column_names(&names).map_err(|error| bug(error.to_string()))?;
        for peeked in lowered.notes.peeked {
            let peeked = peeked.lock().expect("nothing panics while it holds this").take();
            for (peeked, row) in peeked.iter().flat_map(|peeked| peeked.rows.iter().map(move |row| (peeked, row))) {
                let values: Vec<String> = row.iter().map(|value| value.to_string()).collect();
                (context.log)(&format!("{}{}", peeked.label, values.join("  ")));
            }
        }
        for (labels, sums) in lowered.notes.tallied {
            let sums = sums.lock().expect("nothing panics while it holds this").take().unwrap_or_default();
            labels.iter().zip(sums).for_each(|(label, sum)| context.counters.add(label, sum));
        }
        let table = Table::new(frame, schema).map_err(bug)?;
        Ok(EngineOutput { table, steps: None, compile: None, cost: Vec::new() })
    }

    fn explain(&self, plan: &Prepared) -> Vec<String> {
        if let Some(Objection { reason, .. }) = self.objection(plan) {
            return vec![reason.to_string()];
        }
        let described = ops::lower(plan, None).and_then(|lowered| {
            let query = choose_optimisations(lowered.flow.frame, &lowered.notes);
            let text = guarded(|| query.describe_optimized_plan())?;
            let slow = lowered.notes.slow.into_iter().map(|expr| format!("row by row: {expr}"));
            let rounds = sums_floats(plan).then(|| ROUNDS.to_string());
            let sources = plan.with_inner().into_iter().filter_map(|plan| source::described(&plan.source.op));
            Ok(text.lines().map(str::to_string).chain(slow).chain(rounds).chain(sources).collect())
        });
        described.unwrap_or_else(|error| vec![error.message])
    }
}

fn collect(query: LazyFrame, way: PolarsEngine) -> Fallible<DataFrame> {
    guarded(|| query.collect_with_engine(way).map(|result| result.unwrap_single()))
}

/// Whether the threads that stream are no longer all there.
static STREAMS_ARE_LOST: AtomicBool = AtomicBool::new(false);

/// Streams a query on a thread of its own. Where an allocation was refused to a thread of polars that was between two
/// tasks, that thread is gone, and who waits for it would wait without end: such a run is left behind.
fn stream(query: LazyFrame, limited: PoolLimited, context: &RunContext) -> Fallible<DataFrame> {
    const LOOK: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(1);
    threads::room_for_pools()?;
    let before = measure::refusals();
    let (done, result) = channel();
    let work = move || {
        let result = collect(query, PolarsEngine::Streaming);
        drop(limited);
        measure::flush();
        // Nobody may be there any more to take it.
        let _ = done.send((result, measure::ThreadCpu.now(), measure::thread_queued()));
    };
    let thread = std::thread::Builder::new().name("polars-stream".to_string()).spawn(work);
    thread.map_err(|error| Diagnostic::new(Kind::System, format!("no thread can be started: {error}")))?;
    // When the process last did something, and how much CPU time it had then.
    let mut busy = (Instant::now(), measure::process_cpu());
    loop {
        match result.recv_timeout(LOOK) {
            Ok((result, cpu, queued)) => {
                measure::add_thread_cpu(cpu);
                measure::add_thread_queued(queued.unwrap_or_default());
                return result;
            }
            Err(RecvTimeoutError::Disconnected) => return Err(Diagnostic::new(Kind::System, "polars broke down")),
            Err(RecvTimeoutError::Timeout) if measure::refusals() == before => {}
            Err(RecvTimeoutError::Timeout) => {
                let cpu = measure::process_cpu();
                if cpu.saturating_sub(busy.1) > LOOK {
                    busy = (Instant::now(), cpu);
                } else if busy.0.elapsed() > PATIENCE {
                    STREAMS_ARE_LOST.store(true, Ordering::Relaxed);
                    return Err(context.out_of_memory());
                }
            }
        }
    }
}

/// What is told of sums of floats. With our accumulator, over the values of each group as a list, they took 1.1 to 2.9
/// times as long.
const ROUNDS: &str =
    "sums and means of floats have the rounding errors of polars; the other engines use compensated summation";

/// Whether floats are summed somewhere in a plan.
fn sums_floats(plan: &Prepared) -> bool {
    let sums = |agg: &Agg| {
        let is_float = agg.arg.as_ref().is_some_and(|arg| arg.ty == Type::Float);
        is_float && matches!(agg.func, AggFunc::Sum | AggFunc::Mean)
    };
    let mut steps = plan.with_inner().into_iter().flat_map(|plan| &plan.steps);
    steps.any(|step| if let Op::Aggregate { aggs, .. } = &step.op { aggs.iter().any(sums) } else { false })
}

/// Why polars cannot read a source, of which steps follow.
fn of_source(source: &Source, after: &[Step]) -> Option<&'static str> {
    match source {
        Source::Range { end: None, .. } if ops::taken(after).is_none() => {
            Some("polars reads a range without an end only up to a `take` that follows it")
        }
        Source::Range { start, end: Some(end) } if too_many(end.abs_diff(*start)) && end > start => {
            Some("polars counts rows in 32 bits: this range is too long")
        }
        Source::Range { .. } if ops::taken(after).is_some_and(too_many) => {
            Some("polars counts rows in 32 bits: this `take` is too long")
        }
        Source::Generated { count, .. } if too_many(*count) => {
            Some("polars counts rows in 32 bits: these are too many")
        }
        Source::Range { .. }
        | Source::Values(_)
        | Source::Read(_)
        | Source::Generated { .. }
        | Source::Kept(_)
        | Source::Iterated(_) => None,
    }
}

/// Why polars cannot keep the meaning of an op.
fn of_op(op: &Op) -> Option<&'static str> {
    match op {
        Op::Fold { .. } => Some("polars has no fold: its expressions do not see the result of the row before"),
        Op::Aggregate { aggs, .. } if aggs.iter().any(|agg| matches!(agg.func, AggFunc::Reduce(_))) => {
            Some("polars has no reduce: it aggregates with its own functions only")
        }
        Op::Project(_)
        | Op::Filter(_)
        | Op::Explode(_)
        | Op::Slice { .. }
        | Op::Sort { .. }
        | Op::Reverse
        | Op::Number
        | Op::Distinct(_)
        | Op::Aggregate { .. }
        | Op::Join { .. }
        | Op::Concat(_)
        | Op::Zip(_)
        | Op::Pairs
        | Op::Sample { .. }
        | Op::Peek { .. }
        | Op::Tally(_) => None,
    }
}

fn too_many(rows: u64) -> bool {
    rows >= u64::from(u32::MAX)
}

/// The query with those optimisations that keep its errors: polars does not know that our functions may fail, and so
/// it would evaluate them for rows that a filter takes out, or not at all.
fn choose_optimisations(query: LazyFrame, notes: &flow::Notes) -> LazyFrame {
    let query = if notes.concatenates { query.with_projection_pushdown(false) } else { query };
    if !notes.fallible {
        return query;
    }
    // What polars computes once for two uses it optimises by itself, and there moves filters all the same.
    let optimizations = query.get_current_optimizations() - OptFlags::COMM_SUBPLAN_ELIM;
    query
        .with_optimizations(optimizations)
        .with_predicate_pushdown(false)
        .with_projection_pushdown(false)
        .with_simplify_expr(false)
        .with_check_order(false)
        .with_cluster_with_columns(false)
        .with_slice_pushdown(!notes.skips)
}

/// Runs polars so that Ctrl-C stops it and its panics are errors.
fn guarded<T>(run: impl FnOnce() -> PolarsResult<T>) -> Fallible<T> {
    threads::room_for_pools()?;
    static PREPARED: Once = Once::new();
    PREPARED.call_once(register_polars_abort_mechanism);
    match panics::caught(|| catch_polars_abort(AssertUnwindSafe(run))) {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => Err(diagnostic(&error)),
        Ok(Err(QueryAborted::KeyboardInterrupt)) => Err(Diagnostic::new(Kind::Stopped, "stopped")),
        Ok(Err(QueryAborted::OocOutOfDisk)) => Err(Diagnostic::new(Kind::System, "polars ran out of disk space")),
        Err(said) if said == measure::OUT_OF_MEMORY => Err(Diagnostic::new(Kind::System, said)),
        Err(said) => Err(kernels::recognised(&said).unwrap_or_else(|| {
            Diagnostic::new(Kind::System, format!("polars failed: {said}")).hint("try another engine: | on rows")
        })),
    }
}

fn diagnostic(error: &PolarsError) -> Box<Diagnostic> {
    let text = error.to_string();
    if let Some(ours) = kernels::recognised(&text) {
        return ours;
    }
    match error {
        PolarsError::ShapeMismatch(_) => Diagnostic::new(Kind::Shape, text),
        PolarsError::IO { .. } => Diagnostic::new(Kind::File, text),
        _ if text.contains("utf8") || text.contains("utf-8") => Diagnostic::new(Kind::File, "a file is not UTF-8 text")
            .hint("`lossy true` reads it with replacement characters"),
        _ => Diagnostic::new(Kind::System, format!("polars: {text}")).hint("try another engine: | on rows"),
    }
}
