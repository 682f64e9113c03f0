//! The same for a terminal, in a few lines.

use std::sync::Arc;

use crate::measure;
use crate::monitor::{Monitor, RunSeen, StageSeen};

/// So many runs and stages are shown at most.
const MOST_RUNS: usize = 4;
const MOST_STAGES: usize = 6;
const MOST_WORKERS: usize = 8;

/// What runs now.
pub fn board(monitor: &Arc<Monitor>) -> String {
    let running: Vec<RunSeen> = monitor.runs().into_iter().filter(|run| run.state == "running").collect();
    let more = running.len().saturating_sub(MOST_RUNS);
    let mut lines: Vec<String> = running.iter().take(MOST_RUNS).flat_map(of_run).collect();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn of_run(run: &RunSeen) -> Vec<String> {
    let rate = run.gauges.rows as f64 / run.elapsed.max(1e-9);
    let mut head =
        format!("{} · {} · {:.1} s · {} rows", run.name, run.engine, run.elapsed, short(run.gauges.rows as f64));
    head += &format!(" · {} rows/s", short(rate));
    if run.gauges.all_bytes > 0 {
        head += &format!(" · {:.0} % read", 100.0 * run.gauges.bytes as f64 / run.gauges.all_bytes as f64);
    }
    let live = measure::live();
    let of = run.budget.map_or(String::new(), |budget| format!(" of {}", mib(budget)));
    let spilled = if run.spilled > 0 {
        format!(" · {} spilled in {} passes", mib(run.spilled), run.passes)
    } else {
        String::new()
    };
    let mut lines = vec![head, format!("  memory {}{of}{spilled}", mib(live))];
    let first = run.stages.len().saturating_sub(MOST_STAGES);
    lines.extend(run.stages[first..].iter().map(of_stage));
    let mut busy: Vec<(usize, usize)> =
        run.tasks.iter().filter(|task| task.end.is_none()).map(|task| (task.worker, task.task)).collect();
    busy.sort_unstable();
    if !busy.is_empty() {
        let shown: Vec<String> =
            busy.iter().take(MOST_WORKERS).map(|(worker, task)| format!("worker {worker}: task {task}")).collect();
        lines.push(format!("  {}", shown.join(" · ")));
    }
    let keys = run.keys.iter().filter(|key| key.hot);
    lines.extend(keys.map(|key| format!("  hot key {}: {:.1} % of the records", key.key, 100.0 * key.share)));
    lines.extend(run.log.last().map(|line| format!("  {line}")));
    lines
}

fn of_stage(stage: &StageSeen) -> String {
    const WIDTH: usize = 20;
    let failed = if stage.failed > 0 { format!(", {} failed", stage.failed) } else { String::new() };
    match stage.tasks.filter(|tasks| *tasks > 0) {
        Some(tasks) => {
            let full = (WIDTH * stage.done / tasks).min(WIDTH);
            let bar = "█".repeat(full) + &"·".repeat(WIDTH - full);
            format!("  {:12} {bar} {} of {tasks}{failed}", stage.name, stage.done)
        }
        None => format!("  {:12} {} tasks done{failed}", stage.name, stage.done),
    }
}

fn short(number: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.into_iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) => format!("{:.1}{unit}", number / size),
        None => format!("{number:.0}"),
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
