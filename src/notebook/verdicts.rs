//! Whether the verdicts of a table are those of its figures: a person may have changed one of them in a file.

use std::sync::LazyLock;

use regex::Regex;

use crate::measure::growth::Class;

use super::compare::Grid;

/// A ratio with its bounds, where there are any.
static RATIO: LazyLock<Regex> = LazyLock::new(|| form(r"^(\d+(?:\.\d+)?)×(?: \[(\d+(?:\.\d+)?) (\d+(?:\.\d+)?)\])?$"));
/// A number and its unit.
static FIGURE: LazyLock<Regex> =
    LazyLock::new(|| form(r"^([-−]?[0-9][0-9 ]*)(?:\.([0-9]+))?(?:e(-?[0-9]+))? ?([^ \[]*)"));
/// A class and the exponent that was measured.
static EXPONENT: LazyLock<Regex> = LazyLock::new(|| form(r"O\([^)]*\).* exponent (-?[0-9.]+) ±([0-9.]+)"));

fn form(expression: &str) -> Regex {
    Regex::new(expression).expect("it is an expression")
}

/// The first row whose cells cannot be those of one measurement.
pub fn contradicted(grid: &Grid) -> Option<usize> {
    let column = |name: &str| grid.heads.iter().position(|head| head.split(" [").next() == Some(name));
    let verdict = column("verdict");
    let by_row = |is_wrong: &dyn Fn(&[String]) -> bool| grid.rows.iter().position(|row| is_wrong(row));
    let bounds = by_row(&|row| row.iter().filter_map(|cell| Speedup::of(cell)).any(|ratio| !ratio.is_within()));
    let figures = column("low").zip(column("high")).filter(|(low, high)| *low > 0 && *high == low + 1);
    let ends = figures.and_then(|(low, high)| by_row(&|row| !lies_between(row.get(low - 1..=high))));
    let said = column("claimed").zip(column("measured")).zip(column("agrees"));
    let said = said.and_then(|((claimed, measured), said)| {
        by_row(&|row| match (row.get(claimed), row.get(measured), row.get(said)) {
            (Some(claimed), Some(measured), Some(said)) => !may_be_said(claimed, measured, said),
            _ => false,
        })
    });
    let times = match (column("speedup").or(column("speed_up")), column("median"), verdict) {
        (Some(ratio), Some(median), verdict) => lone(grid, verdict, ratio, median),
        (_, _, Some(verdict)) => sweep(grid, verdict),
        _ => None,
    };
    [bounds, ends, said, times].into_iter().flatten().next()
}

/// Whether a sentence names a class and an exponent that is not one of it.
pub fn contradicts_itself(line: &str) -> bool {
    // What the sizes and a constant may add, and the most that a logarithm may.
    const NEAR: f64 = 0.15;
    const LOGARITHM: f64 = 0.8;
    let Some(found) = EXPONENT.captures(line) else { return false };
    let number = |at: usize| found[at].parse::<f64>().unwrap_or(f64::NAN);
    let (middle, error) = (number(1), number(2) + NEAR);
    class_in(line)
        .and_then(Class::order)
        .is_some_and(|(power, logs)| middle + error < power || middle - error > power + LOGARITHM * f64::from(logs))
}

/// The class that a text names, the likeliest where it names several: `O(n)`, `n log n or n`.
pub fn class_in(text: &str) -> Option<Class> {
    let inner = text.split_once("O(").and_then(|(_, rest)| rest.split_once(')')).map(|(inner, _)| inner);
    inner.or_else(|| text.split_once(" or ").map(|(first, _)| first)).and_then(Class::named)
}

/// Whether `agrees` may say this of a claim and of what was measured.
fn may_be_said(claimed: &str, measured: &str, said: &str) -> bool {
    let Some(class) = class_in(claimed).filter(|class| *class != Class::RootTimesLinear) else { return true };
    let (found, is_none) = (class_in(measured), measured == "no claim");
    match said {
        "yes" => found == Some(class),
        "no" => found.map_or(!is_none, |found| found != class),
        "yes, it grows slower" => found.map_or(!is_none, |found| found < class),
        "cannot be told apart" => found.is_some_and(|found| found != class),
        "only a bound is claimed" => is_none && claimed.starts_with("at most "),
        "no claim" => is_none,
        _ => true,
    }
}

/// Whether the first of three figures lies between the others, as far as they are there.
fn lies_between(cells: Option<&[String]>) -> bool {
    let figures: Option<Vec<(f64, f64)>> = cells.and_then(|cells| cells.iter().map(|it| interval_of(it)).collect());
    figures.is_none_or(|all| all[1].0 <= all[0].1 && all[0].0 <= all[2].1)
}

/// A table with a row for each variant. That of the baseline has the ratio 1 and no verdict.
fn lone(grid: &Grid, verdict: Option<usize>, ratio: usize, median: usize) -> Option<usize> {
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    let said = |row: &[String]| verdict.map_or("·".to_string(), |verdict| cell(row, verdict));
    let is_base = |row: &&Vec<String>| said(row) == "·" && cell(row, ratio) == "1.000×";
    let base = grid.rows.iter().find(is_base).and_then(|row| middle(&cell(row, median)));
    grid.rows.iter().position(|row| {
        let Some(speedup) = Speedup::of(&cell(row, ratio)) else { return false };
        let times = base.zip(middle(&cell(row, median)));
        !speedup.allows(&said(row)) || times.is_some_and(|(base, time)| !speedup.may_be_of(base / time))
    })
}

/// A table with a row for each point and a column for each variant, whose verdicts name the variants. The baseline has
/// times alone.
fn sweep(grid: &Grid, verdict: usize) -> Option<usize> {
    grid.rows.iter().position(|row| {
        let Some(said) = row.get(verdict) else { return false };
        let base = row[..verdict].iter().skip(1).filter(|cell| !cell.contains('×')).find_map(|cell| middle(cell));
        row.iter().zip(&grid.heads).take(verdict).skip(1).any(|(cell, name)| {
            let Some((time, ratio)) = cell.rsplit_once(' ') else { return false };
            let Some(speedup) = Speedup::of(ratio) else { return false };
            let groups = said.split("; ").filter_map(|group| group.split_once(": "));
            let own = groups.filter(|(_, names)| names.split(", ").any(|one| one == name));
            let times = base.zip(middle(time));
            own.clone().any(|(word, _)| !speedup.allows(word))
                || times.is_some_and(|(base, time)| !speedup.may_be_of(base / time))
        })
    })
}

/// How far ratios may be off because they are written with a few digits.
const ROUNDED: f64 = 0.02;

/// How many times as fast, and the bounds, where there are any.
struct Speedup {
    ratio: f64,
    bounds: Option<(f64, f64)>,
}

impl Speedup {
    fn of(cell: &str) -> Option<Speedup> {
        let found = RATIO.captures(cell)?;
        let number = |at: usize| found.get(at)?.as_str().parse::<f64>().ok();
        Some(Speedup { ratio: number(1)?, bounds: number(2).zip(number(3)) })
    }

    fn ends(&self) -> (f64, f64) {
        self.bounds.unwrap_or((self.ratio, self.ratio))
    }

    fn is_within(&self) -> bool {
        let (low, high) = self.ends();
        low <= high && low <= self.ratio * (1.0 + ROUNDED) && self.ratio <= high * (1.0 + ROUNDED)
    }

    /// Whether this may be the verdict.
    fn allows(&self, verdict: &str) -> bool {
        let (low, high) = self.ends();
        match verdict.split(' ').next() {
            Some("faster") => low >= 1.0,
            Some("slower") => high <= 1.0,
            Some("same") => low >= 1.0 - ROUNDED && high <= 1.0 + ROUNDED,
            _ => true,
        }
    }

    /// Whether the times of a baseline and of the variant may have this ratio. The ratio is that of pairs, so that its
    /// middle is not the ratio of the middles: where others use the processor, some runs take twice as long.
    fn may_be_of(&self, times: f64) -> bool {
        const BUSY: f64 = 2.0;
        const NEARLY: f64 = 1.25;
        let (low, high) = self.ends();
        let is_near = times >= low / BUSY && times <= high * BUSY;
        is_near && !(low > 1.0 && times < 1.0 / NEARLY) && !(high < 1.0 && times > NEARLY)
    }
}

/// A figure as tables show it, in its base unit.
fn middle(text: &str) -> Option<f64> {
    interval_of(text).map(|(low, high)| (low + high) / 2.0)
}

/// What a figure may have been before it was written: whole numbers without a unit are not rounded.
pub fn interval_of(text: &str) -> Option<(f64, f64)> {
    const KIBI: f64 = 1024.0;
    let found = FIGURE.captures(text)?;
    let part = |at: usize| found.get(at).map_or("", |part| part.as_str());
    let unit = match part(4) {
        "" | "×" => 1.0,
        "%" => 0.01,
        "ns" => 1e-9,
        "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "B" => 1.0,
        "KiB" => KIBI,
        "MiB" => KIBI.powi(2),
        "GiB" => KIBI.powi(3),
        "TiB" => KIBI.powi(4),
        _ => return None,
    };
    let whole = part(1).replace(' ', "").replace('−', "-");
    let number =
        format!("{whole}.{}e{}", part(2), if part(3).is_empty() { "0" } else { part(3) }).parse::<f64>().ok()?;
    let places = part(2).len() as i32 - part(3).parse::<i32>().unwrap_or(0);
    let is_exact = part(2).is_empty() && part(3).is_empty() && part(4).is_empty();
    // It may have been rounded twice.
    let off = if is_exact { 0.0 } else { 10f64.powi(-places) };
    Some(((number - off) * unit, (number + off) * unit))
}
