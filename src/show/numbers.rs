//! Numbers as people read them.

use crate::data::scalar;

/// `16.2 ms`, `1.23 s`: three digits. What is measured may lie below zero, where it costs less than the instrument can
/// tell: that is no time.
pub fn duration_text(seconds: f64) -> String {
    if seconds < 5e-12 {
        return "0 ns".to_string();
    }
    if !seconds.is_finite() {
        return format!("{seconds} s");
    }
    // So many seconds are more nanoseconds than a float can hold.
    if (seconds * 1e9).is_infinite() {
        return in_units(seconds / 60.0, &[("min", f64::INFINITY)]);
    }
    in_units(seconds * 1e9, &[("ns", 1000.0), ("µs", 1000.0), ("ms", 1000.0), ("s", 120.0), ("min", f64::INFINITY)])
}

/// A value in the first of some units, each with the number from which on the next one is used. What would be rounded
/// up to that number is in the next one too.
fn in_units(mut value: f64, units: &[(&str, f64)]) -> String {
    for (unit, end) in units {
        let text = three_digits(value);
        if end.is_infinite() || text.parse::<f64>().is_ok_and(|shown| shown < *end) {
            return if unit.is_empty() { text } else { format!("{text} {unit}") };
        }
        // Minutes are shown from two on.
        value /= if *end == 120.0 { 60.0 } else { *end };
    }
    three_digits(value)
}

/// `4.20 MiB`
pub fn bytes_text(bytes: f64) -> String {
    if bytes.round() < 1024.0 {
        return format!("{bytes:.0} B");
    }
    in_units(bytes / 1024.0, &[("KiB", 1024.0), ("MiB", 1024.0), ("GiB", 1024.0), ("TiB", f64::INFINITY)])
}

/// `4.33 G`
pub fn metric(number: f64) -> String {
    in_units(number, &[("", 1000.0), ("k", 1000.0), ("M", 1000.0), ("G", f64::INFINITY)])
}

/// `134`, `1.020`, `0.00176`: enough digits for small differences.
pub fn ratio(number: f64) -> String {
    match number {
        x if x > 0.0 && x < 0.09995 => {
            let decimals = 2 - x.log10().floor().max(-15.0) as i32;
            format!("{x:.*}", decimals as usize)
        }
        // What is rounded up to a border is written as what lies beyond it.
        x if x >= 999.5 => grouped(x.round() as u64),
        x if x >= 99.95 => format!("{x:.0}"),
        x if x >= 9.9995 => format!("{x:.1}"),
        x => format!("{x:.3}"),
    }
}

/// `0.8 %`
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The same for shares that may be tiny: `5.8e-9 %`
pub fn share(share: f64) -> String {
    if share > 0.0 && share < 0.0005 { format!("{:.1e} %", share * 100.0) } else { percent(share) }
}

/// A share as a bar of five characters: `███▌ `
pub fn bar(share: f64) -> String {
    const WIDTH: usize = 5;
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (WIDTH * 8) as f64).round() as usize;
    // What was seen at all is seen here.
    let eighths = if share > 0.0 { eighths.max(1) } else { eighths };
    let bar = format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8]);
    format!("{bar:WIDTH$}")
}

fn three_digits(value: f64) -> String {
    match value {
        // 99.96 would be 100.0, and 9.996 would be 10.00.
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// `820 736`
pub fn grouped(number: u64) -> String {
    scalar::grouped(&number.to_string())
}

/// A float in a drawn table: at most six significant digits, so that columns can be read.
pub fn float(x: f64) -> String {
    let exact = scalar::float_text(x);
    if !x.is_finite() || exact.len() <= 8 {
        return exact;
    }
    let magnitude = x.abs().log10().floor();
    if !(-5.0..15.0).contains(&magnitude) {
        return format!("{x:.5e}");
    }
    let decimals = (5.0 - magnitude).max(1.0) as usize;
    let rounded = format!("{x:.decimals$}");
    let (whole, fraction) = rounded.split_once('.').unwrap_or((&rounded, "0"));
    let fraction = fraction.trim_end_matches('0');
    format!("{}.{}", scalar::grouped(whole), if fraction.is_empty() { "0" } else { fraction })
}
