//! `--split hot`: the job without and with a first phase for partitions with hot keys, in turns.

use std::time::Instant;

use crate::data::{Sameness, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::plan::Plan;
use crate::report::{Block, Figures, Note, Unit};
use crate::run_context::RunContext;
use crate::schedule::{JobLog, JobOptions, StepKind};
use crate::session::{RunResult, Session};

use super::super::Answer;
use super::{answer, finished};

/// Each way runs so often: without, with, with, without.
const ORDER: [bool; 4] = [false, true, true, false];

/// Runs both ways, and says whether they give the same.
pub fn compared(
    session: &Session,
    plan: Plan,
    options: &JobOptions,
    start: Instant,
    context: &RunContext,
) -> Fallible<Answer> {
    let mut runs: Vec<(bool, RunResult, JobLog)> = Vec::new();
    for split_hot in ORDER {
        let options = JobOptions { split_hot, ..options.clone() };
        let (ran, log) = session.run_job(plan.clone(), &options, None, context)?;
        runs.push((split_hot, ran, log));
    }
    let (_, plain, _) = &runs[0];
    for (_, ran, _) in &runs[1..] {
        if let Sameness::Different(what) = plain.table.same(&ran.table) {
            let message = format!("the split has changed the result: {what}");
            return Err(Diagnostic::new(Kind::System, message).hint("leave out --split hot, and report this"));
        }
    }
    let was_split = runs[1].2.steps.iter().any(|step| step.kind == StepKind::Split);
    let ways = [("without", false), ("with", true)].map(|(name, split)| way(name, split, &runs));
    let figures = Figures::of_rows(
        &[
            ("split", Type::Text, Unit::Plain.counted()),
            ("wall", Type::Float, Unit::Seconds.measured()),
            ("cpu", Type::Float, Unit::Seconds.measured()),
            ("longest_reduce", Type::Float, Unit::Seconds.measured()),
            ("largest_reduce", Type::Int, Unit::Count("").counted()),
        ],
        &ways,
    );
    let said = match was_split {
        true => "✓ same table; each way ran twice, and the shorter time is shown",
        false => "no partition has more than twice its share: nothing was split; ✓ same table",
    };
    let aside = vec![Block::Aside(figures), Block::Notes(vec![Note::from(said)])];
    let (_, ran, log) = &runs[1];
    let options = JobOptions { split_hot: true, ..options.clone() };
    Ok(finished(answer(ran, log, &options, None, aside), ran, start))
}

fn way(name: &str, split: bool, runs: &[(bool, RunResult, JobLog)]) -> Vec<Value> {
    let logs = || runs.iter().filter(|(is_split, ..)| *is_split == split).map(|(.., log)| log);
    let least = |seconds: &dyn Fn(&JobLog) -> f64| Value::Float(logs().map(seconds).fold(f64::INFINITY, f64::min));
    let cpu = |log: &JobLog| log.attempts.iter().map(|attempt| attempt.cpu.as_secs_f64()).sum();
    let longest = |log: &JobLog| {
        let reduces = log.attempts.iter().filter(|attempt| matches!(attempt.kind, StepKind::Reduce | StepKind::Split));
        reduces.map(|attempt| (attempt.end.saturating_sub(attempt.start)).as_secs_f64()).fold(0.0, f64::max)
    };
    let largest = |log: &JobLog| {
        let reduces = log.steps.iter().filter(|step| matches!(step.kind, StepKind::Reduce | StepKind::Split));
        reduces.flat_map(|step| step.loads.iter().copied()).max().unwrap_or(0)
    };
    vec![
        Value::text(name),
        least(&|log| log.wall.as_secs_f64()),
        least(&cpu),
        least(&longest),
        Value::Int(logs().map(largest).max().unwrap_or(0) as i64),
    ]
}
