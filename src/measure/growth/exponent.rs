//! The exponent of a growth: the slope of the cost on log scales, in the upper half of the sizes.

use super::Point;

/// Where it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponent {
    pub low: f64,
    pub high: f64,
}

impl Exponent {
    pub fn middle(&self) -> f64 {
        (self.low + self.high) / 2.0
    }

    pub fn holds(&self, exponent: f64) -> bool {
        (self.low..=self.high).contains(&exponent)
    }

    /// Half of its width.
    pub fn error(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// A line by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    pub slope: f64,
    /// The standard error of the slope.
    pub error: f64,
    /// The standard deviation of what is left.
    pub spread: f64,
}

/// No interval is narrower: the last digit that is shown.
const LEAST: f64 = 0.005;
/// Standard errors on each side: a two-sided interval of 95 % with few points.
const ERRORS: f64 = 2.5;

/// How an exponent is read off.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// What this kind of measurement may be off by, whatever the scatter.
    pub systematic: f64,
    /// What the cost at one end of the sizes may be off by, as a share of it.
    pub ends: f64,
    /// Whether the cost scatters so little that each half of the points has a slope of its own.
    pub is_exact: bool,
}

/// The interval of the exponent in the upper half of the sizes: of the cost as it is, and without the constant of its
/// curve. Where the cost is exact, also in each half of these sizes: terms of lower order bend the line, and where the
/// last part is steeper than the one before, the interval goes on by the same.
pub fn exponent(points: &[Point], constant: f64, reading: Reading) -> Exponent {
    let mut slopes: Vec<(f64, f64)> = Vec::new();
    let of = |part: &[(f64, f64)]| {
        let Line { slope, error, .. } = line(part);
        (slope, ERRORS * error)
    };
    // With the constant the slope is too low, and without it too high where the constant was fitted too large: the
    // truth lies between both.
    for subtracted in [0.0, constant] {
        let logs = upper(points, subtracted);
        if logs.len() > 2 {
            slopes.push(of(&logs));
        }
        let (before, last) = logs.split_at(logs.len() / 2);
        if reading.is_exact && last.len() > 2 {
            slopes.push(of(last));
            if before.len() > 2 {
                slopes.push((2.0 * line(last).slope - line(before).slope, 0.0));
            }
        }
    }
    // An end that is off tilts the line by less, the wider the sizes are.
    let span = (points[points.len() - 1].n / points[0].n).sqrt().ln();
    let systematic = reading.systematic + reading.ends / span.max(f64::MIN_POSITIVE);
    let interval = Exponent { low: f64::INFINITY, high: f64::NEG_INFINITY };
    slopes.into_iter().fold(interval, |interval, (slope, error)| {
        let error = error.max(LEAST) + systematic;
        Exponent { low: interval.low.min(slope - error), high: interval.high.max(slope + error) }
    })
}

/// The points of the upper half of the sizes, on log scales, at least four; none where little is left of the cost.
pub fn upper(points: &[Point], subtracted: f64) -> Vec<(f64, f64)> {
    const LEFT: f64 = 0.05;
    let middle = (points[0].n * points[points.len() - 1].n).sqrt();
    let start = points.partition_point(|point| point.n < middle).min(points.len().saturating_sub(4));
    let left = points[start..].iter().filter(|point| point.cost - subtracted > LEFT * point.cost);
    left.map(|point| (point.n.ln(), (point.cost - subtracted).ln())).collect()
}

/// The line through points by least squares.
pub fn line(points: &[(f64, f64)]) -> Line {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (both, square) = points.iter().fold((0.0, 0.0), |(both, square), point| {
        (both + (point.0 - x) * (point.1 - y), square + (point.0 - x).powi(2))
    });
    let slope = both / square;
    let squares: f64 = points.iter().map(|point| (point.1 - y - slope * (point.0 - x)).powi(2)).sum();
    let spread = (squares / (count - 2.0).max(1.0)).sqrt();
    Line { slope, error: spread / square.sqrt(), spread }
}
