//! Numbers as people read them.

use crate::data::scalar;

/// `16.2 ms`, `1.23 s`: three digits. What is measured may lie below zero, where it costs less than the instrument can
/// tell: that is no time.
pub fn duration_text(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 5e-12 => return "0 ns".to_string(),
        s if s >= 120.0 => (s / 60.0, "min"),
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "µs"),
        s => (s * 1e9, "ns"),
    };
    format!("{} {unit}", three_digits(value))
}

/// `4.20 MiB`
pub fn bytes_text(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes:.0} B") } else { format!("{} {}", three_digits(value), UNITS[unit]) }
}

/// `4.33 G`
pub fn metric(number: f64) -> String {
    match number {
        x if x >= 1e9 => format!("{} G", three_digits(x / 1e9)),
        x if x >= 1e6 => format!("{} M", three_digits(x / 1e6)),
        x if x >= 1e3 => format!("{} k", three_digits(x / 1e3)),
        x => three_digits(x),
    }
}

/// `134`, `1.020`, `0.00176`: enough digits for small differences.
pub fn ratio(number: f64) -> String {
    match number {
        x if x > 0.0 && x < 0.1 => {
            let decimals = 2 - x.log10().floor().max(-15.0) as i32;
            format!("{x:.*}", decimals as usize)
        }
        x if x >= 1000.0 => grouped(x.round() as u64),
        x if x >= 100.0 => format!("{x:.0}"),
        x if x >= 10.0 => format!("{x:.1}"),
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

/// A share as a bar of ten characters: `███▌      `
pub fn bar(share: f64) -> String {
    const WIDTH: usize = 10;
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (WIDTH * 8) as f64).round() as usize;
    // What was seen at all is seen here.
    let eighths = if share > 0.0 { eighths.max(1) } else { eighths };
    let bar = format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8]);
    format!("{bar:WIDTH$}")
}

fn three_digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
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
