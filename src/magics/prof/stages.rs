//! The stages of a pipeline on engines that run it in tasks.

use std::sync::Arc;
use std::time::Duration;

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Pipeline};
use crate::magics::compare::Grid;
use crate::measure::Meter;
use crate::meters::{Meters, StageTime, Stages};
use crate::plan::Binding;
use crate::profiles::{Function, Stacks, Unit as Weights};
use crate::report::{Block, Field, Note, Report, Unit};
use crate::run_context::RunContext;
use crate::session::Session;
use crate::show::percent;

use super::super::{Answer, figures_plan, passed};
use super::pipeline::{Disk, limit, table_plan};
use super::table::{Shape, Sort};

pub fn stages(
    session: &mut Session,
    magic: &lang::Magic,
    subject: &Pipeline,
    shape: &Shape,
    context: &RunContext,
) -> Fallible<Answer> {
    let choice = session.engine(subject.on.as_ref())?;
    let plan = table_plan(session, subject)?;
    session.settle(context)?;
    let noted = Arc::new(Stages::default());
    let meters = Meters { stages: Some(noted.clone()), ..Meters::default() };
    let (before, meter) = (Disk::read(), Meter::start());
    let run = session.run(plan, choice, &RunContext { meters, ..context.clone() })?;
    let cost = meter.stop();
    let disk = Disk::read().zip(before).map(|(now, before)| now.since(&before));
    let mut each = noted.each();
    for (number, stage) in each.iter_mut().enumerate().skip(1) {
        // What the stage before gave.
        if let Some((_, rest)) = stage.name.strip_prefix("a kept table").and_then(|name| name.split_once(" → ")) {
            stage.name = format!("stage {number} → {rest}");
        }
    }
    let name = choice.engine.name();
    if each.is_empty() {
        let message = format!("`{name}` did not run this pipeline in stages: another engine took its place");
        return Err(Diagnostic::at(Kind::Objection, subject.span, message).hint("%explain says what runs it"));
    }
    let elsewhere: Duration = run.cost.iter().map(|(_, cost)| cost.cpu()).sum();
    each.push(outside(&each, cost.wall, cost.cpu() + elsewhere));
    let cpu: f64 = each.iter().map(|stage| stage.cpu.as_secs_f64()).sum();
    let share = |stage: &StageTime| if cpu > 0.0 { stage.cpu.as_secs_f64() / cpu } else { 0.0 };
    let mut rows: Vec<&StageTime> = each.iter().collect();
    // In their order, unless another one is asked for.
    if magic.option("--sort").is_some() {
        match shape.sort {
            Sort::Own | Sort::Cumulative => rows.sort_by_key(|stage| std::cmp::Reverse(stage.cpu)),
            Sort::Calls => rows.sort_by_key(|stage| std::cmp::Reverse(stage.tasks)),
            Sort::Name => rows.sort_by(|a, b| a.name.cmp(&b.name)),
        }
    }
    if let Some(text) = &shape.find {
        rows.retain(|stage| stage.name.to_lowercase().contains(&text.to_lowercase()));
    }
    rows.truncate(shape.top);
    if rows.is_empty() {
        let message = "no stage has this text in its name";
        return Err(Diagnostic::at(Kind::Name, magic.span, message).hint("leave --find out to see all"));
    }
    let mut grid = Grid::default();
    for stage in &rows {
        let plain = Unit::Plain.counted();
        let count = |count: Option<u64>| count.map_or(Value::Null, |count| Value::Int(count as i64));
        let (wall, cpu) = (stage.wall.as_secs_f64(), stage.cpu.as_secs_f64());
        // What lies outside of the stages lies beside them too.
        let at_a_time = if wall > 0.0 && stage.name != OUTSIDE { Value::Float(cpu / wall) } else { Value::Null };
        grid.put("stage", Type::Text, plain, Value::text(&stage.name));
        grid.put("tasks", Type::Int, plain, count(Some(stage.tasks)));
        grid.put("rows_in", Type::Int, plain, count(stage.rows_in));
        grid.put("rows_out", Type::Int, plain, count(stage.rows_out));
        grid.put("wall", Type::Float, Unit::Seconds.measured(), Value::Float(wall));
        grid.put("cpu", Type::Float, Unit::Seconds.measured(), Value::Float(cpu));
        grid.put("processors", Type::Float, Unit::Times.measured(), at_a_time);
        grid.put("share", Type::Float, Unit::Bar.measured(), Value::Float(share(stage)));
    }
    let figures = grid.figures();
    let mut notes = Vec::new();
    if let Some(most) = each.iter().max_by_key(|stage| stage.cpu) {
        notes.push(Note::default().found(format!(
            "`{}` costs most: {} of the CPU time",
            most.name,
            percent(share(most))
        )));
    }
    notes.push(Note::default().found(limit(&cost, disk)));
    notes.push("share is that of the CPU time; processors: how many worked at a time. One run".into());
    let mut stacks = Stacks::default();
    for stage in &each {
        let (calls, module) = (Some((stage.tasks, stage.tasks)), name.to_string());
        let function = stacks.function(Function { calls, module, ..Function::named(&stage.name) });
        stacks.add([function], stage.cpu.as_secs_f64());
    }
    session.hold_profile(Arc::new(stacks.profile(&format!("stages of {name}"), Weights::Seconds)));
    let fields = vec![
        Field::measured("total", Value::Float(cpu), Unit::Seconds),
        Field::measured("wall", Value::Float(cost.wall.as_secs_f64()), Unit::Seconds),
    ];
    let result = Binding::Result { table: Some(figures_plan(&figures, magic.span)), fields, tables: Vec::new() };
    let blocks = vec![Block::Figures(figures), Block::Notes(notes)];
    let report = Report { blocks, status_line: vec![name.into(), passed(cost.wall)] };
    Ok(Answer { report, result: Some(result), ..Answer::default() })
}

const OUTSIDE: &str = "outside the stages";

/// What the run took besides its stages, of all that it took here and in worker processes: right sides of joins, what
/// is handed on.
fn outside(each: &[StageTime], wall: Duration, cpu: Duration) -> StageTime {
    let cpu = cpu.saturating_sub(each.iter().map(|stage| stage.cpu).sum());
    let wall = wall.saturating_sub(each.iter().map(|stage| stage.wall).sum());
    StageTime { name: OUTSIDE.to_string(), tasks: 1, rows_in: None, rows_out: None, wall, cpu }
}
