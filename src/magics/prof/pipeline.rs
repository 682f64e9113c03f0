//! The operators of a pipeline, measured by two readings of the clock for each batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::engines::{self, Choice};
use crate::lang::{self, Pipeline};
use crate::magics::compare::Grid;
use crate::measure::{Cost, Limit, Meter};
use crate::meters::{Meters, OperatorTime, Operators};
use crate::plan::{Binding, Plan};
use crate::profiles::{Function, Stacks, Unit as Weights};
use crate::report::{Block, Field, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::session::{Bound, Session, only_table};
use crate::show::{bytes_text, grouped, percent};

use super::super::{Answer, command_options, figures_plan, passed};
use super::table::{Shape, Sort};
use super::{calls, stages};

pub fn pipeline(
    session: &mut Session,
    magic: &lang::Magic,
    subject: &Pipeline,
    shape: &Shape,
    context: &RunContext,
) -> Fallible<Answer> {
    if let Some(word) = magic.option("--by").flatten() {
        let message = "`--by` adds up functions of programs; a pipeline has operators, each with a name of its own";
        return Err(Diagnostic::at(Kind::Type, word.span, message).hint("leave it out, or sort: --sort own"));
    }
    command_options::only_for_commands(magic)?;
    if let Some((option, _)) = magic.options.iter().find(|(option, _)| option.text == "--sampler") {
        let message = "`--sampler` applies to commands and Rust; operators are measured, not sampled";
        return Err(Diagnostic::at(Kind::Type, option.span, message).hint("leave it out"));
    }
    let asked = session.engine(subject.on.as_ref())?;
    // An engine that was set for all cells is not meant here.
    let chosen = subject.on.as_ref().map_or("batch", |_| asked.engine.name());
    match chosen {
        "batch" => {}
        "rows" => return calls::calls(session, magic, subject, shape, context),
        "threads" | "workers" | "mapreduce" => return stages::stages(session, magic, subject, shape, context),
        name => {
            let message = format!("`{name}` runs the pipeline as a whole, so its operators cannot be told apart");
            return Err(Diagnostic::at(Kind::Objection, subject.span, message).hint(
                "end the pipeline with | on batch for operators, or compare engines: %compare --on rows,batch …",
            ));
        }
    }
    let batch = engines::find("batch").expect("it is in the table");
    let plan = table_plan(session, subject)?;
    session.settle(context)?;
    let start = Instant::now();
    let mut runs = 0;
    // Another program that has the processor meanwhile only adds time: of a few short runs the fastest counts. The
    // first may be slower for reading what the next ones find in memory, so its limit is told.
    let mut fastest: Option<Vec<OperatorTime>> = None;
    let mut first: Option<(Cost, Option<Disk>)> = None;
    while runs == 0 || runs < MOST_RUNS && start.elapsed() < ENOUGH {
        let operators = Arc::new(Operators::default());
        let meters = Meters { operators: Some(operators.clone()), ..Meters::default() };
        let context = &RunContext { meters, ..context.clone() };
        let (before, meter) = (Disk::read(), Meter::start());
        session.run(plan.clone(), Choice::only(batch), context)?;
        let cost = meter.stop();
        let disk = Disk::read().zip(before).map(|(now, before)| now.since(&before));
        first.get_or_insert((cost, disk));
        let each = operators.each();
        if fastest.as_ref().is_none_or(|known| total(&each) < total(known)) {
            fastest = Some(each);
        }
        runs += 1;
    }
    let (cost, disk) = first.expect("there was a run");
    let mut each = fastest.expect("there was a run");
    // What the engine does with the result comes last.
    let result = each.remove(0);
    each.push(result);
    let mut answer = answer(session, magic, &each, &cost, disk, shape)?;
    if let Some(Block::Notes(notes)) = answer.report.blocks.last_mut()
        && runs > 1
    {
        notes.push(
            Note::default().found(format!("the fastest of {runs} runs; the limit is that of the first")).optional(),
        );
    }
    Ok(answer)
}

/// The plan of a pipeline that can be run more than once.
pub fn table_plan(session: &mut Session, subject: &Pipeline) -> Fallible<Plan> {
    let Bound::Table(plan) = session.bind(subject)? else {
        let message = "a value has no operators to measure";
        return Err(Diagnostic::at(Kind::Syntax, subject.span, message).hint("%prof 1..1M | map it * it | sum"));
    };
    only_table(&plan)?;
    Ok(plan)
}

/// So many runs at most, and no more after this time.
const MOST_RUNS: usize = 5;
const ENOUGH: Duration = Duration::from_millis(400);

fn total(each: &[OperatorTime]) -> Duration {
    each.iter().map(|operator| operator.own).sum()
}

fn answer(
    session: &mut Session,
    magic: &lang::Magic,
    each: &[OperatorTime],
    cost: &Cost,
    disk: Option<Disk>,
    shape: &Shape,
) -> Fallible<Answer> {
    let total: f64 = each.iter().map(|operator| operator.own.as_secs_f64()).sum();
    let share = |own: f64| if total > 0.0 { own / total } else { 0.0 };
    let mut grid = Grid::default();
    let mut stacks = Stacks::default();
    let mut passed_by = 0.0;
    let mut rows: Vec<(&OperatorTime, f64)> = Vec::new();
    for operator in each {
        let own = operator.own.as_secs_f64();
        passed_by += own;
        rows.push((operator, passed_by));
        let calls = Some((operator.calls, operator.calls));
        let module = operator.name.clone();
        let function = stacks.function(Function { calls, module, ..Function::named(&operator.name) });
        stacks.add([function], own);
    }
    // In the order of the pipeline, unless another one is asked for.
    if magic.option("--sort").is_some() {
        match shape.sort {
            Sort::Own => rows.sort_by_key(|(operator, _)| std::cmp::Reverse(operator.own)),
            Sort::Cumulative => rows.sort_by(|a, b| b.1.total_cmp(&a.1)),
            Sort::Calls => rows.sort_by_key(|(operator, _)| std::cmp::Reverse(operator.calls)),
            Sort::Name => rows.sort_by_key(|(operator, _)| operator.name.clone()),
        }
    }
    if let Some(text) = &shape.find {
        rows.retain(|(operator, _)| operator.name.to_lowercase().contains(&text.to_lowercase()));
    }
    rows.truncate(shape.top);
    if rows.is_empty() {
        let message = "no operator has this text in its name";
        return Err(Diagnostic::at(Kind::Name, magic.span, message).hint("leave --find out to see all"));
    }
    for (operator, passed_by) in rows {
        let own = operator.own.as_secs_f64();
        let plain = Unit::Plain.counted();
        let int = |number: u64| Value::Int(number as i64);
        grid.put("operator", Type::Text, plain, Value::text(&operator.name));
        grid.put("calls", Type::Int, plain, int(operator.calls));
        grid.put("rows_in", Type::Int, plain, int(operator.rows_in));
        grid.put("rows_out", Type::Int, plain, int(operator.rows_out));
        grid.put("own", Type::Float, Unit::Seconds.measured(), Value::Float(own));
        grid.put("cumulative", Type::Float, Unit::Seconds.measured(), Value::Float(passed_by));
        grid.put("share", Type::Float, Unit::Bar.measured(), Value::Float(share(own)));
    }
    let figures = grid.figures();
    let mut notes = Vec::new();
    if let Some(most) = each.iter().max_by_key(|operator| operator.own) {
        let own = most.own.as_secs_f64();
        let told = format!("`{}` costs most: {} of the time", most.name, percent(share(own)));
        notes.push(Note::default().found(told));
    }
    notes.push(Note::default().found(limit(cost, disk)));
    let note = "cumulative adds up from the source on; times are of the wall, measured around batches";
    notes.push(note.into());
    let profile = stacks.profile("operators of batch", Weights::Seconds);
    let fields = vec![
        Field::measured("total", Value::Float(total), Unit::Seconds),
        Field::measured("wall", Value::Float(cost.wall.as_secs_f64()), Unit::Seconds),
    ];
    let result = Binding::Result { table: Some(figures_plan(&figures, magic.span)), fields, tables: Vec::new() };
    session.hold_profile(Arc::new(profile));
    let report = Report {
        blocks: vec![Block::Figures(figures), Block::Notes(notes)],
        status_line: vec!["batch".into(), passed(cost.wall)],
    };
    Ok(Answer { report, result: Some(result), ..Answer::default() })
}

/// What this process has read from disks, and how often it waited for pages of memory.
#[derive(Clone, Copy)]
pub struct Disk {
    bytes: u64,
    faults: u64,
}

impl Disk {
    pub fn read() -> Option<Disk> {
        let text = std::fs::read_to_string("/proc/self/io").ok()?;
        let bytes = text.lines().find_map(|line| line.strip_prefix("read_bytes:"))?.trim().parse().ok()?;
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // After the name in brackets: state, …, and as the tenth the pages that were waited for.
        let faults = stat.rsplit_once(')')?.1.split_whitespace().nth(9)?.parse().ok()?;
        Some(Disk { bytes, faults })
    }

    pub fn since(&self, before: &Disk) -> Disk {
        Disk { bytes: self.bytes - before.bytes, faults: self.faults.saturating_sub(before.faults) }
    }
}

/// One sentence that says what limits it.
pub fn limit(cost: &Cost, disk: Option<Disk>) -> String {
    let waits = |busy: f64, queued: f64| {
        let rest = percent((1.0 - busy - queued).max(0.0));
        match disk {
            Some(Disk { bytes, .. }) if bytes > 0 => format!(
                "the limit is the disk: {rest} of the time was waiting, and {} came from it",
                bytes_text(bytes as f64)
            ),
            Some(Disk { faults, .. }) if faults > 0 => format!(
                "the limit is memory: {rest} of the time was waiting, and {} pages had to be fetched",
                grouped(faults)
            ),
            _ => format!("the limit is waiting: {rest} of the time, for no disk"),
        }
    };
    match cost.limit() {
        Limit::TooShort => "too short to say what limits it".to_string(),
        Limit::Processor { queued, .. } if queued >= 0.1 => format!(
            "the limit is the CPU, which others used too: {} of the time in which it could run it waited for one",
            percent(queued)
        ),
        Limit::Processor { .. } => format!(
            "the limit is the CPU: on a processor for {} of the time (whether that computes or waits for memory is not \
             seen from here)",
            percent(cost.busy().min(1.0))
        ),
        Limit::Waiting { busy, queued } => waits(busy, queued),
        Limit::Unknown { busy } => waits(busy, 0.0),
    }
}
