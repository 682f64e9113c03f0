//! Samples: their statistics and a histogram in two lines, or every sample for programs.

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::measure::Samples;
use crate::report::Timing;

use super::{Format, Role, Style, dotted, duration_text, figure, grouped, note_lines, written};

/// Parts of a histogram.
const PARTS: usize = 12;

/// What goes to standard output and to standard error.
pub fn timing(found: &Timing, style: &Style) -> (String, String) {
    let text = summary(found, style);
    match style.format {
        Format::Table | Format::Markdown => (text, String::new()),
        Format::Csv | Format::Json => (written(&each(&found.samples), style), text),
    }
}

fn summary(found: &Timing, style: &Style) -> String {
    let samples = &found.samples;
    let find = |name: &str| found.fields.iter().find(|field| field.name == name).map(figure);
    let named = |name: &str, said: &str| find(name).map(|figure| format!("{figure} {said}"));
    let plural = |count: u64, one: &'static str, more: &'static str| if count == 1 { one } else { more };
    let taken = samples.each().len() as u64;
    let counts = format!(
        "{} {} × {} {}",
        grouped(taken),
        plural(taken, "sample", "samples"),
        grouped(samples.calls),
        plural(samples.calls, "call", "calls")
    );
    let spread = |name: &str, said: &str| find(name).filter(|_| taken > 1).map(|figure| format!("{said} {figure}"));
    let total = find("total")
        .map(|total| format!("{total} for {} {}", grouped(samples.calls), plural(samples.calls, "call", "calls")));
    let centre = if taken > 1 { named("median", "median") } else { find("median") };
    let times = [centre, spread("iqr", "IQR"), spread("best", "best"), Some(counts), total];
    let outliers = samples.outliers() as u64;
    let kept =
        (outliers > 0).then(|| format!("{} {} kept", grouped(outliers), plural(outliers, "outlier", "outliers")));
    let shape = (taken > 1).then(|| histogram(samples));
    let speed = [shape, kept, find("rows_per_second"), find("bytes_per_second")];
    let allocated = find("allocations").zip(find("allocated"));
    let allocated = allocated.map(|(count, bytes)| format!("{count}, {bytes} per call"));
    let clock = Some(found.clock.to_string());
    // The allocator counts the live heap only to 64 KiB.
    let has_peak = found.fields.iter().any(|field| field.name == "peak" && field.value != Value::Int(0));
    let peak = if allocated.is_some() { "peak heap" } else { "peak memory" };
    let memory = [clock, named("cpu", "CPU of all threads"), allocated, named("peak", peak).filter(|_| has_peak)];
    let mut text = String::new();
    for parts in [&times[..], &speed, &memory] {
        let parts: Vec<&str> = parts.iter().flatten().map(String::as_str).collect();
        if !parts.is_empty() {
            text.push_str(&dotted(parts, style));
            text.push('\n');
        }
    }
    for note in &found.notes {
        for line in note_lines(note, style).lines() {
            text.push_str(&style.paint_out(line, Role::Quiet));
            text.push('\n');
        }
    }
    text
}

/// `228 µs ▃▇█▆▃▂▁▁▁▁▁▁ 249 µs`
fn histogram(samples: &Samples) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let found = samples.histogram(PARTS);
    let most = found.counts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: &usize| BARS[(count * (BARS.len() - 1)).div_ceil(most)];
    let bars: String = found.counts.iter().map(bar).collect();
    format!("{} {bars} {}", duration_text(found.low / 1e9), duration_text(found.high / 1e9))
}

/// Every sample in the order in which it was taken, with the seconds of one call.
fn each(samples: &Samples) -> Table {
    let columns = [("sample", Type::Int), ("calls", Type::Int), ("seconds", Type::Float)];
    let columns = columns.map(|(name, ty)| Column { name: name.to_string(), ty });
    let times = samples.each();
    let values = [
        (0..times.len()).map(|sample| Value::Int(sample as i64)).collect(),
        vec![Value::Int(samples.calls as i64); times.len()],
        times.iter().map(|time| Value::Float(time / 1e9)).collect(),
    ];
    Table::from_columns(Schema::new(columns.to_vec(), Order::Kept), times.len(), &values)
}
