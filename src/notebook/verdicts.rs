//! Whether the verdicts of a table are those of its figures: a person may have changed one of them in a file.

use regex::Regex;

use super::compare::Grid;

/// The first row whose verdict, ratio and times cannot be those of one measurement.
pub fn contradicted(grid: &Grid) -> Option<usize> {
    let column = |name: &str| grid.heads.iter().position(|head| head.split(" [").next() == Some(name));
    let verdict = column("verdict")?;
    if let (Some(ratio), Some(median)) = (column("speedup"), column("median")) {
        return lone(grid, verdict, ratio, median);
    }
    sweep(grid, verdict)
}

/// A table with a row for each variant. That of the baseline has the ratio 1 and no verdict.
fn lone(grid: &Grid, verdict: usize, ratio: usize, median: usize) -> Option<usize> {
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    let is_base = |row: &&Vec<String>| cell(row, verdict) == "·" && cell(row, ratio) == "1.000×";
    let base = grid.rows.iter().find(is_base).and_then(|row| seconds(&cell(row, median)));
    grid.rows.iter().position(|row| {
        let Some(speedup) = Speedup::of(&cell(row, ratio)) else { return false };
        let times = base.zip(seconds(&cell(row, median)));
        !speedup.allows(&cell(row, verdict)) || times.is_some_and(|(base, time)| !speedup.may_be_of(base / time))
    })
}

/// A table with a row for each point and a column for each variant, whose verdicts name the variants. The baseline has
/// times alone.
fn sweep(grid: &Grid, verdict: usize) -> Option<usize> {
    grid.rows.iter().position(|row| {
        let Some(said) = row.get(verdict) else { return false };
        let base = row.iter().zip(&grid.heads).skip(1).find_map(|(cell, _)| seconds(cell));
        row.iter().zip(&grid.heads).take(verdict).skip(1).any(|(cell, name)| {
            let Some((time, ratio)) = cell.rsplit_once(' ') else { return false };
            let Some(speedup) = Speedup::of(ratio) else { return false };
            let groups = said.split("; ").filter_map(|group| group.split_once(": "));
            let own = groups.filter(|(_, names)| names.split(", ").any(|one| one == name));
            let times = base.zip(seconds(time));
            own.clone().any(|(word, _)| !speedup.allows(word))
                || times.is_some_and(|(base, time)| !speedup.may_be_of(base / time))
        })
    })
}

/// How many times as fast, and the bounds, where there are any.
struct Speedup {
    ratio: f64,
    bounds: Option<(f64, f64)>,
}

impl Speedup {
    fn of(cell: &str) -> Option<Speedup> {
        let form = Regex::new(r"^(\d+(?:\.\d+)?)×(?: \[(\d+(?:\.\d+)?) (\d+(?:\.\d+)?)\])?$").expect("it is correct");
        let found = form.captures(cell)?;
        let number = |at: usize| found.get(at)?.as_str().parse::<f64>().ok();
        Some(Speedup { ratio: number(1)?, bounds: number(2).zip(number(3)) })
    }

    /// Whether this may be the verdict. All numbers are rounded.
    fn allows(&self, verdict: &str) -> bool {
        const ROUNDED: f64 = 0.02;
        let Speedup { ratio, bounds } = *self;
        let (low, high) = bounds.unwrap_or((ratio, ratio));
        let is_within = low <= ratio * (1.0 + ROUNDED) && ratio <= high * (1.0 + ROUNDED);
        is_within
            && match verdict.split(' ').next() {
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
        let (low, high) = self.bounds.unwrap_or((self.ratio, self.ratio));
        let is_near = times >= low / BUSY && times <= high * BUSY;
        is_near && !(low > 1.0 && times < 1.0 / NEARLY) && !(high < 1.0 && times > NEARLY)
    }
}

/// A time as tables show it.
fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = text.rsplit_once(' ')?;
    let unit = match unit {
        "ns" => 1e-9,
        "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    number.replace(' ', "").parse::<f64>().ok().map(|number| number * unit)
}
