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
        return in_units(seconds / (365.0 * 86400.0), &[("years", f64::INFINITY)]);
    }
    in_units(
        seconds * 1e9,
        &[
            ("ns", 1000.0),
            ("µs", 1000.0),
            ("ms", 1000.0),
            ("s", 120.0),
            ("min", 180.0),
            ("h", 72.0),
            ("days", 730.0),
            ("years", f64::INFINITY),
        ],
    )
}

/// A value in the first of some units, each with the number from which on the next one is used. What would be rounded
/// up to that number is in the next one too.
fn in_units(mut value: f64, units: &[(&str, f64)]) -> String {
    for (unit, end) in units {
        let text = three_digits(value);
        if end.is_infinite() || text.parse::<f64>().is_ok_and(|shown| shown < *end) {
            return if unit.is_empty() { text } else { format!("{text} {unit}") };
        }
        // Minutes are shown from two on, hours and days from three on, years from two on.
        value /= match *unit {
            "s" | "min" => 60.0,
            "h" => 24.0,
            "days" => 365.0,
            _ => *end,
        };
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
    with_decimals(number, ratio_decimals(number))
}

/// A ratio and the ends of its interval, with no more digits than the interval supports: its half width has two.
pub fn ratio_within(ratio: f64, low: f64, high: f64) -> [String; 3] {
    let half = (high - low) / 2.0;
    let supported = if half > 0.0 && half.is_finite() { 1 - half.log10().floor() as i32 } else { i32::MAX };
    [ratio, low, high].map(|x| {
        // The first digit of a number is there in any case, or it would be no number.
        let first = if x > 0.0 && x.is_finite() { -(x.log10().floor() as i32) } else { 0 };
        with_decimals(x, ratio_decimals(x).min(supported.max(first)))
    })
}

/// A ratio that nothing is known about but itself.
pub fn lone_ratio(number: f64) -> String {
    let two = if number > 0.0 && number.is_finite() { 1 - number.log10().floor() as i32 } else { 0 };
    with_decimals(number, ratio_decimals(number).min(two))
}

fn ratio_decimals(number: f64) -> i32 {
    match number {
        x if x > 0.0 && x < 0.09995 => 2 - x.log10().floor().max(-15.0) as i32,
        // What is rounded up to a border is written as what lies beyond it.
        x if x >= 99.95 => 0,
        x if x >= 9.9995 => 1,
        _ => 3,
    }
}

/// A number with so many decimal places; below zero, with so many zeros in place of digits.
fn with_decimals(number: f64, decimals: i32) -> String {
    match decimals {
        0.. if number < 999.5 || !number.is_finite() => format!("{number:.*}", decimals as usize),
        0.. => grouped(number.round() as u64),
        _ => {
            let unit = 10f64.powi(-decimals);
            grouped(((number / unit).round() * unit) as u64)
        }
    }
}

/// `0.8 %`
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The same for shares that may be small, `0.021 %`, or tiny, `5.8e-9 %`
pub fn share(share: f64) -> String {
    let percents = share * 100.0;
    match percents {
        p if p <= 0.0 || p >= 0.05 => percent(share),
        p if p >= 0.00995 => format!("{p:.3} %"),
        p if p >= 0.000_995 => format!("{p:.4} %"),
        p => format!("{p:.1e} %"),
    }
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

/// The most decimal places of a column of floats.
const MOST_DECIMALS: usize = 6;
/// Significant digits that a rounded float keeps.
const DIGITS: i32 = 6;
/// Floats from this magnitude on are written with an exponent.
const LARGE: f64 = 1e15;

/// The floats of a column as they are shown, and whether any is shown rounded. All have the same number of decimal
/// places, the least that shows each exactly; with more than six, each keeps six significant digits.
pub fn floats(column: &[f64]) -> (Vec<String>, bool) {
    let plain = |x: &&f64| x.is_finite() && x.abs() < LARGE;
    let wanted = |x: &f64| exact_decimals(*x).min(needed_decimals(*x));
    let exact = column.iter().filter(plain).map(|x| exact_decimals(*x)).max().unwrap_or(1);
    let decimals = match exact {
        ..=MOST_DECIMALS => exact,
        _ => column.iter().filter(plain).map(wanted).filter(|wanted| *wanted <= MOST_DECIMALS).max().unwrap_or(1),
    };
    let groups = column.iter().filter(plain).any(|x| x.abs() >= 1e4);
    let mut rounded = false;
    let texts = column.iter().map(|x| {
        if !x.is_finite() {
            return scalar::float_text(*x);
        }
        let (text, shown) = match x.abs() < LARGE && wanted(x) <= decimals {
            true => {
                let digits = format!("{x:.decimals$}");
                let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, "0"));
                let whole = if groups { scalar::grouped_from(whole, 3) } else { whole.to_string() };
                (format!("{whole}.{fraction}"), digits)
            }
            false => {
                let short = format!("{x:e}");
                let digits = short.split('e').next().unwrap_or_default().chars().filter(char::is_ascii_digit).count();
                let text = if digits as i32 <= DIGITS { short } else { format!("{x:.*e}", DIGITS as usize - 1) };
                (text.clone(), text)
            }
        };
        rounded |= shown.parse() != Ok(*x);
        text
    });
    (texts.collect(), rounded)
}

/// The decimal places that show a float exactly; at least one.
fn exact_decimals(x: f64) -> usize {
    format!("{x}").split_once('.').map_or(1, |(_, fraction)| fraction.len())
}

/// The decimal places that show six significant digits of a float; at least one.
fn needed_decimals(x: f64) -> usize {
    if x == 0.0 { 1 } else { (DIGITS - 1 - x.abs().log10().floor() as i32).max(1) as usize }
}
