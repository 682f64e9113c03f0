//! The candidates of a growth, each fitted to what was measured: non-negative least squares on relative residuals, and
//! the Bayesian information criterion to weigh them (Schwarz, 1978).

use super::exponent::line;
use super::{Class, Point};

/// What one kind of measurement asks of a fit. These are properties of the measurement, not of anything measured:
/// counts repeat to a percent, heap grows in powers of two, times on a busy machine scatter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// The relative error that no fit is expected to go below.
    pub floor: f64,
    /// The share of the cost that the leading term must carry at the largest size.
    pub lead: f64,
    /// Among candidates within so many units of BIC of the best, the lowest class is the answer.
    pub margin: f64,
    /// How far the slope of the cost may be from that of the class.
    pub slope: f64,
    /// Whether a term between the constant and the leading one may be below zero, as in n (n − 1) / 2: where the cost
    /// is counted exactly.
    pub signed: bool,
    /// Candidates that this kind of measurement cannot tell from their neighbours.
    pub without: &'static [Class],
}

/// One candidate, fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    pub class: Class,
    /// Of the terms, those of lower order first.
    coefficients: Vec<f64>,
    /// The weighted root mean square of the relative residuals.
    pub rms: f64,
    /// What the leading term carries of the fitted cost at the largest size.
    pub share: f64,
    pub bic: f64,
    /// The c of cⁿ.
    pub base: Option<f64>,
    /// How much steeper the cost is than the class, in the upper half of the sizes.
    steeper: f64,
    terms: Vec<Term>,
}

/// The largest sizes at which a power and a factorial are tried: above, anything that can be measured is neither.
const MOST_POWER: f64 = 64.0;
const MOST_FACTORIAL: f64 = 20.0;

/// The range of c in cⁿ, and how many values in it are tried, evenly on a log scale.
const BASES: (f64, f64) = (1.15, 6.0);
const BASE_STEPS: usize = 120;

impl Fit {
    /// The fitted cost at a size.
    pub fn at(&self, n: f64) -> f64 {
        self.terms.iter().zip(&self.coefficients).map(|(term, factor)| term.at(n) * factor).sum()
    }

    /// The part of the fitted cost that does not grow.
    pub fn constant(&self) -> f64 {
        self.coefficients[0]
    }

    /// Whether it may be an answer: its leading term carries enough, and the cost is as steep as the class.
    pub fn is_admissible(&self, rules: &Rules) -> bool {
        self.class == Class::Constant || self.share >= rules.lead && self.steeper.abs() <= rules.slope
    }
}

/// All candidates that can be fitted at these sizes, in the order of their growth.
pub fn fits(points: &[Point], rules: &Rules) -> Vec<Fit> {
    let Some(top) = points.last().map(|point| point.n) else { return Vec::new() };
    let candidates = Class::CANDIDATES.into_iter().filter(|class| !rules.without.contains(class));
    let mut all: Vec<Fit> = candidates.map(|class| fit(points, class, None, rules)).collect();
    if top <= MOST_POWER {
        all.push(exponential(points, rules));
    }
    if top <= MOST_FACTORIAL {
        all.push(factorial(points, top, rules));
    }
    all
}

/// What takes n! steps, or n for each of n! results: whichever fits better.
fn factorial(points: &[Point], top: f64, rules: &Rules) -> Fit {
    let of = |lead: Term| fit_terms(points, Class::Factorial, None, vec![Term::Power(0.0, 0), lead], rules);
    let (bare, long) = (of(Term::Factorial(top)), of(Term::LongFactorial(top)));
    if long.rms < bare.rms { long } else { bare }
}

/// The power of the c that fits best: the best of a grid, then what is better between its neighbours.
fn exponential(points: &[Point], rules: &Rules) -> Fit {
    const HALVINGS: usize = 40;
    let with = |base: f64| fit(points, Class::Exponential, Some(base), rules);
    let step = (BASES.1 / BASES.0).powf(1.0 / (BASE_STEPS - 1) as f64);
    let grid = (0..BASE_STEPS).map(|i| with(BASES.0 * step.powi(i as i32)));
    let mut best = grid.min_by(|a, b| a.rms.total_cmp(&b.rms)).expect("the grid is not empty");
    // The error has one lowest point between two neighbours of the grid; a derivative would need one for each term.
    let mut width = step.sqrt();
    for _ in 0..HALVINGS {
        let base = best.base.unwrap_or(BASES.0);
        for next in [with(base * width), with(base / width)] {
            if next.rms < best.rms {
                best = next;
            }
        }
        // By half, a step to the wrong side could not be made good.
        width = width.powf(0.7);
    }
    best
}

/// A term of a candidate, as a function of the size.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Term {
    /// n^a (log n)^b
    Power(f64, i32),
    /// cⁿ, n! and n · n!, as parts of their values at the largest size, so that none overflows.
    Exponential(f64, f64),
    Factorial(f64),
    LongFactorial(f64),
}

impl Term {
    fn at(self, n: f64) -> f64 {
        match self {
            Term::Power(power, logs) => n.powf(power) * n.log2().powi(logs),
            Term::Exponential(base, top) => base.powf(n - top),
            Term::Factorial(top) => (ln_factorial(n) - ln_factorial(top)).exp(),
            Term::LongFactorial(top) => n / top * Term::Factorial(top).at(n),
        }
    }
}

fn ln_factorial(n: f64) -> f64 {
    (2..=n as u64).map(|i| (i as f64).ln()).sum()
}

/// The terms of a candidate, the leading one last.
fn terms(class: Class, base: Option<f64>, top: f64) -> Vec<Term> {
    const ONE: Term = Term::Power(0.0, 0);
    const N: Term = Term::Power(1.0, 0);
    const SQUARE: Term = Term::Power(2.0, 0);
    match class {
        Class::Constant => vec![ONE],
        Class::Linear => vec![ONE, N],
        Class::Linearithmic => vec![ONE, N, Term::Power(1.0, 1)],
        Class::Quadratic => vec![ONE, N, SQUARE],
        Class::QuadraticLog => vec![ONE, SQUARE, Term::Power(2.0, 1)],
        Class::Cubic => vec![ONE, SQUARE, Term::Power(3.0, 0)],
        Class::Exponential => vec![ONE, Term::Exponential(base.unwrap_or(2.0), top)],
        Class::Factorial => vec![ONE, Term::Factorial(top)],
        Class::Log | Class::Root | Class::LogLog | Class::NearLinear | Class::RootTimesLinear => {
            let (power, logs) = class.order().expect("only powers and factorials have none");
            vec![ONE, Term::Power(power, logs)]
        }
    }
}

/// The BIC of the power of n that fits best, whatever its exponent, with a constant.
pub fn power_bic(points: &[Point], rules: &Rules) -> f64 {
    const STEP: f64 = 0.05;
    const STEPS: i32 = 160;
    let of = |step: i32| {
        let terms = [Term::Power(0.0, 0), Term::Power(STEP * f64::from(step), 0)];
        solved(points, &terms, 0..0).rms
    };
    let rms = (1..=STEPS).map(of).fold(f64::INFINITY, f64::min);
    bic(points, rms, 3, rules)
}

fn bic(points: &[Point], rms: f64, used: usize, rules: &Rules) -> f64 {
    let count = points.len() as f64;
    // Without the floor a curve that goes through all points would win by any number of terms.
    count * (rms * rms + rules.floor * rules.floor).ln() + used as f64 * count.ln()
}

/// Terms with the coefficients that fit best.
struct Solved {
    coefficients: Vec<f64>,
    rms: f64,
    /// What the last term carries at the largest size.
    share: f64,
}

fn solved(points: &[Point], terms: &[Term], signed: std::ops::Range<usize>) -> Solved {
    // Divided by the cost: a millionth of the largest size must not outweigh all of a small one.
    let row = |point: &Point| terms.iter().map(|term| term.at(point.n) / point.cost).collect();
    let rows: Vec<Vec<f64>> = points.iter().map(row).collect();
    let weights = weights(points);
    let coefficients = non_negative(&rows, &weights, signed);
    let fitted: Vec<f64> = rows.iter().map(|row| product(row, &coefficients)).collect();
    let squares: f64 = weights.iter().zip(&fitted).map(|(w, value)| (w * (value - 1.0)).powi(2)).sum();
    let rms = (squares / weights.iter().map(|w| w * w).sum::<f64>()).sqrt();
    let (lead, last) = (terms.len() - 1, points.len() - 1);
    let share = coefficients[lead] * rows[last][lead] / fitted[last].max(f64::MIN_POSITIVE);
    Solved { coefficients, rms, share }
}

fn fit(points: &[Point], class: Class, base: Option<f64>, rules: &Rules) -> Fit {
    let top = points.last().map_or(1.0, |point| point.n);
    fit_terms(points, class, base, terms(class, base, top), rules)
}

fn fit_terms(points: &[Point], class: Class, base: Option<f64>, terms: Vec<Term>, rules: &Rules) -> Fit {
    let Solved { coefficients, rms, share } = solved(points, &terms, signed(class, rules));
    let used = match class {
        // The c that was searched for is a parameter of its own.
        Class::Exponential => 3,
        Class::Factorial => 2,
        // A term at zero explains nothing and costs nothing.
        _ => coefficients.iter().filter(|factor| **factor != 0.0).count().max(1),
    };
    let bic = bic(points, rms, used, rules);
    let steeper = match class.order() {
        Some(_) => steeper(points, coefficients[0], terms[terms.len() - 1]),
        None => 0.0,
    };
    Fit { class, coefficients, rms, share, bic, base, steeper, terms }
}

/// Large sizes count more, from 0.3 to 1 along ln n: terms of lower order show at the small ones. Scaled to a mean
/// square of 1.
fn weights(points: &[Point]) -> Vec<f64> {
    let ln = |at: usize| points[at].n.ln();
    let (first, last) = (ln(0), ln(points.len() - 1));
    let mut weights: Vec<f64> =
        (0..points.len()).map(|i| 0.3 + 0.7 * (ln(i) - first) / (last - first).max(f64::MIN_POSITIVE)).collect();
    let scale = (weights.iter().map(|w| w * w).sum::<f64>() / points.len() as f64).sqrt();
    weights.iter_mut().for_each(|w| *w /= scale);
    weights
}

/// The terms of a candidate that may be below zero, by their places: those between in n (n − 1) / 2, the constant in
/// 5 (n − 1) and in the calls of a recursion, as 2ⁿ − 1.
fn signed(class: Class, rules: &Rules) -> std::ops::Range<usize> {
    match class {
        _ if !rules.signed => 0..0,
        Class::Linear | Class::Exponential => 0..1,
        Class::Quadratic | Class::Cubic => 0..2,
        _ => 0..0,
    }
}

/// The coefficients, none below zero but those at `signed` places, with which the weighted rows come nearest to 1.
/// There are three columns at most, so that every choice of those that are not zero can be tried.
fn non_negative(rows: &[Vec<f64>], weights: &[f64], signed: std::ops::Range<usize>) -> Vec<f64> {
    let columns = rows[0].len();
    let mut best = (f64::INFINITY, vec![0.0; columns]);
    for choice in 1u32..1 << columns {
        let chosen: Vec<usize> = (0..columns).filter(|column| choice >> column & 1 == 1).collect();
        let Some(solution) = least_squares(rows, weights, &chosen) else { continue };
        let may_be = |column: usize, factor: f64| factor >= 0.0 || signed.contains(&column);
        if chosen.iter().zip(&solution).any(|(column, factor)| !may_be(*column, *factor) || !factor.is_finite()) {
            continue;
        }
        let mut coefficients = vec![0.0; columns];
        chosen.iter().zip(solution).for_each(|(column, factor)| coefficients[*column] = factor);
        // No size costs less than nothing.
        if rows.iter().any(|row| product(row, &coefficients) <= 0.0) {
            continue;
        }
        let error = |(row, w): (&Vec<f64>, &f64)| (w * (product(row, &coefficients) - 1.0)).powi(2);
        let squares: f64 = rows.iter().zip(weights).map(error).sum();
        // A term that explains nothing is left at zero.
        if squares < best.0 * (1.0 - 1e-9) {
            best = (squares, coefficients);
        }
    }
    best.1
}

/// Least squares by the normal equations of scaled columns; None where they are as good as parallel.
fn least_squares(rows: &[Vec<f64>], weights: &[f64], chosen: &[usize]) -> Option<Vec<f64>> {
    let count = chosen.len();
    let sum = |of: &dyn Fn(&[f64]) -> f64| -> f64 { rows.iter().zip(weights).map(|(row, w)| w * w * of(row)).sum() };
    // n and n³ at n = 10⁶ differ by 10¹²: unscaled, the pivots would say nothing.
    let scales: Vec<f64> = chosen.iter().map(|c| sum(&|row| row[*c] * row[*c]).sqrt().max(f64::MIN_POSITIVE)).collect();
    let equation = |i: usize| {
        let with = |j: usize| sum(&|row| row[chosen[i]] * row[chosen[j]]) / scales[i] / scales[j];
        let right = sum(&|row| row[chosen[i]]) / scales[i];
        (0..count).map(with).chain([right]).collect()
    };
    // Up to three unknowns: a decomposition that bears worse conditions would need a library for the same digits.
    let mut system: Vec<Vec<f64>> = (0..count).map(equation).collect();
    for pivot in 0..count {
        let largest = (pivot..count).max_by(|a, b| system[*a][pivot].abs().total_cmp(&system[*b][pivot].abs()))?;
        system.swap(pivot, largest);
        if system[pivot][pivot].abs() < 1e-12 {
            return None;
        }
        for row in (0..count).filter(|row| *row != pivot) {
            let factor = system[row][pivot] / system[pivot][pivot];
            let subtracted = system[pivot].clone();
            system[row].iter_mut().zip(subtracted).for_each(|(value, other)| *value -= factor * other);
        }
    }
    Some((0..count).map(|i| system[i][count] / system[i][i] / scales[i]).collect())
}

fn product(row: &[f64], coefficients: &[f64]) -> f64 {
    row.iter().zip(coefficients).map(|(x, factor)| x * factor).sum()
}

/// The slope of the cost without its constant on log scales, in the upper half of the sizes, less that of the leading
/// term there.
fn steeper(points: &[Point], constant: f64, lead: Term) -> f64 {
    let (first, last) = (points[0].n, points[points.len() - 1].n);
    let middle = (first * last).sqrt();
    // What is left of a cost of which the constant is nearly all is noise.
    let upper = points.iter().filter(|point| point.n >= middle && point.cost - constant > 0.05 * point.cost);
    let logs: Vec<(f64, f64)> =
        upper.map(|point| (point.n.ln(), (point.cost - constant).ln() - lead.at(point.n).ln())).collect();
    if logs.len() < 3 { 0.0 } else { line(&logs).slope }
}
