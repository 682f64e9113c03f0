//! What a comparison says: verdicts in a word, notes, and the table as it grows.

use crate::data::Sameness;
use crate::magics::timing;
use crate::measure::{Finding, LOOKS, Turns, Verdict};
use crate::session::RUST;
use crate::show::{duration_text, grouped, percent, ratio};

use super::rounds::{Entry, Outcome, Round, is_held};

/// The verdict on a variant whose time lies under the overhead of a call.
const NO_WORK: &str = "no work left";
/// That on a variant whose result is not that of the first.
const DIFFERENT: &str = "different result";

impl Round {
    pub fn verdict(&self, entry: &Entry, place: Option<usize>) -> String {
        match &entry.outcome {
            Outcome::Failed(_) => "failed".to_string(),
            Outcome::TooLarge(_) => "too large".to_string(),
            Outcome::RunResult(Sameness::Different(_), _) => DIFFERENT.to_string(),
            Outcome::RunResult(Sameness::CannotTell(_), _) => "cannot tell".to_string(),
            Outcome::RunResult(Sameness::Same, _) if entry.removed.is_some() => NO_WORK.to_string(),
            Outcome::RunResult(Sameness::Same, _) => match self.finding(entry, place) {
                Some(found) => said(&found),
                None if !self.agrees() => "no winner".to_string(),
                None if place == Some(0) => "·".to_string(),
                None => "not compared".to_string(),
            },
        }
    }

    /// What is to be known about the figures, a line each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.results();
        let instead = |entry: &Entry| entry.instead.as_ref().map(|why| format!("{} {why}", entry.name));
        notes.extend(self.entries.iter().filter_map(instead));
        notes.extend(self.entries.iter().filter_map(|entry| {
            let Outcome::RunResult(_, cost) = &entry.outcome else { return None };
            timing::waits(self.time, cost).map(|why| format!("{}: {why}", entry.name))
        }));
        let first = self.first().map_or("", |first| first.name.as_str());
        for (entry, place) in self.placed() {
            let found = self.finding(entry, place);
            notes.extend(found.map(|found| told(&entry.name, first, &found)));
            let removed = entry.removed.map(|overhead| timing::no_work(overhead / 1e9));
            notes.extend(removed.map(|why| format!("{}: {why}", entry.name)));
        }
        let others = self.turns.as_ref().is_some_and(|turns| turns.times.len() > 1);
        if others && self.agrees() && self.first().is_some_and(|first| first.removed.is_some()) {
            notes.push(format!("{first} is the measure of the others, so that none of them is compared"));
        }
        notes.extend(hint([self]));
        if let Some(turns) = &self.turns {
            let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            let (samples, calls) = (counted(turns.pairs() as u64, "sample"), counted(turns.calls, "call"));
            notes.push(format!("{samples} of each, interleaved, {calls} a sample, {}", self.time.said()));
        }
        notes
    }

    /// Whether the results are the same, the first difference, and what failed.
    pub fn results(&self) -> Vec<String> {
        let mut ran = 0;
        let mut differences = Vec::new();
        let mut failures = Vec::new();
        let mut first = "";
        for entry in &self.entries {
            let name = &entry.name;
            match &entry.outcome {
                Outcome::Failed(why) => failures.push(format!("✗ {name} failed: {why}")),
                Outcome::TooLarge(most) => failures.push(format!("{name} is run up to {} only", grouped(*most as u64))),
                Outcome::RunResult(same, _) => {
                    ran += 1;
                    first = if first.is_empty() { name } else { first };
                    match same {
                        Sameness::Same => {}
                        Sameness::Different(how) => differences.push(format!(
                            "✗ {first} and {name} differ, so nobody wins: {first} here, {name} there: {how}"
                        )),
                        Sameness::CannotTell(why) => differences.push(format!(
                            "? cannot tell whether {first} and {name} are the same, so nobody wins: {why}"
                        )),
                    }
                }
            }
        }
        if differences.is_empty() && ran > 1 {
            differences.push(format!("✓ same result: {ran}/{} equal", self.entries.len()));
        }
        [differences, failures].concat()
    }
}

/// The table as it is by now, a line for each that did not fail.
pub fn so_far(entries: &[Entry], turns: &Turns) -> String {
    let ran: Vec<&Entry> = entries.iter().filter(|entry| matches!(entry.outcome, Outcome::RunResult(..))).collect();
    let width = ran.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0);
    let mut lines = vec![format!("{} pairs", turns.pairs())];
    for (place, entry) in ran.iter().enumerate() {
        let seconds = turns.samples(place).median() / 1e9;
        let median = if entry.removed.is_some() { "·".to_string() } else { duration_text(seconds) };
        let found = turns.finding(place);
        let speedup = match place {
            _ if entry.removed.is_some() => NO_WORK.to_string(),
            _ if matches!(entry.outcome, Outcome::RunResult(Sameness::Different(_), _)) => DIFFERENT.to_string(),
            _ if place == 0 || !is_held(entry, entries) => String::new(),
            _ if found.low.is_nan() => format!("{}×", ratio(found.speedup)),
            _ => format!("{}× [{} {}]", ratio(found.speedup), ratio(found.low), ratio(found.high)),
        };
        lines.push(format!("  {:width$}  {median:>8}  {speedup}", entry.name));
    }
    lines.join("\n")
}

fn said(found: &Finding) -> String {
    let weak = if found.is_weak() { " (ranges)" } else { "" };
    match found.verdict {
        Verdict::Faster => format!("faster{weak}"),
        Verdict::Slower => format!("slower{weak}"),
        Verdict::Same => "same".to_string(),
        Verdict::NotResolved => "not resolved".to_string(),
    }
}

/// One finding as a sentence.
fn told(name: &str, first: &str, found: &Finding) -> String {
    let pairs = found.pairs;
    let weak = found.is_weak();
    let sentence = match found.verdict {
        Verdict::Faster if weak => {
            format!("{name} is faster than {first}, weakly: all times of one are below all of the other")
        }
        Verdict::Slower if weak => {
            format!("{name} is slower than {first}, weakly: all times of one are above all of the other")
        }
        Verdict::Faster => format!("✓ {name} is faster than {first}: the interval lies outside ±0.5 %"),
        Verdict::Slower => format!("✓ {name} is slower than {first}: the interval lies outside ±0.5 %"),
        Verdict::Same => format!("✓ {name} and {first} are the same within 1 %"),
        Verdict::NotResolved if pairs < 2 => format!("{name} and {first}: one pair has no error bar"),
        Verdict::NotResolved if pairs < LOOKS[LOOKS.len() - 1] => {
            format!("{name} and {first} are not resolved in this time: --for TIME takes longer")
        }
        Verdict::NotResolved => format!("{name} and {first} are not resolved: the interval holds too much"),
    };
    match weak {
        true if pairs < 2 => sentence,
        true => {
            // No range is sure to cover.
            let covered = if found.coverage > 0.999 { "over 99.9 %".to_string() } else { percent(found.coverage) };
            format!("{sentence} ({pairs} pairs: least and greatest, which cover {covered})")
        }
        false => format!("{sentence} ({pairs} pairs)"),
    }
}

/// Where no work was left, a line for each variant.
fn removed_notes(points: &Option<Vec<i64>>, rounds: &[Round]) -> Vec<String> {
    let mut found: Vec<(&str, f64, Vec<String>)> = Vec::new();
    for (round, point) in rounds.iter().zip(points.iter().flatten()) {
        for (entry, overhead) in round.entries.iter().filter_map(|entry| Some((entry, entry.removed?))) {
            match found.iter_mut().find(|(name, ..)| *name == entry.name) {
                Some((_, _, points)) => points.push(point.to_string()),
                None => found.push((&entry.name, overhead, vec![point.to_string()])),
            }
        }
    }
    let said = |(name, overhead, points): (&str, f64, Vec<String>)| {
        format!("{name} at {}: {}", points.join(", "), timing::no_work(overhead / 1e9))
    };
    found.into_iter().map(said).collect()
}

/// How the work of Rust is kept, where some of it is gone.
fn hint<'a>(rounds: impl IntoIterator<Item = &'a Round>) -> Option<String> {
    let gone = |entry: &Entry| entry.removed.is_some() && entry.engine == RUST;
    let any = rounds.into_iter().flat_map(|round| &round.entries).any(gone);
    any.then(|| timing::KEPT_WORK.to_string())
}

/// Whether the results are the same at all points, and what happened where they are not.
pub fn sweep_notes(points: &Option<Vec<i64>>, rounds: &[Round]) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let good = |round: &Round| {
        let failed = round.entries.iter().any(|entry| matches!(entry.outcome, Outcome::Failed(_)));
        round.agrees() && !failed && round.turns.is_some()
    };
    let equal = rounds.iter().filter(|round| good(round)).count();
    let all = points.as_ref().map_or(1, Vec::len);
    if equal == rounds.len() {
        notes.push(format!("✓ same results at {equal} of {all} points"));
    }
    for (round, point) in rounds.iter().zip(points.iter().flatten()).filter(|(round, _)| !good(round)) {
        notes.extend(round.results().into_iter().map(|line| format!("at {point}: {line}")));
    }
    notes.extend(removed_notes(points, rounds));
    notes.extend(hint(rounds));
    if let Some(pairs) = rounds.iter().filter_map(|round| round.turns.as_ref()).map(Turns::pairs).min() {
        let bare = if pairs < 2 { ", and one pair has no error bar: --for TIME takes more" } else { "" };
        notes.push(format!("interleaved samples of each at each point: at least {pairs}{bare}"));
    }
    let findings = rounds.iter().flat_map(|round| {
        round.placed().filter_map(|(entry, place)| round.finding(entry, place)).collect::<Vec<Finding>>()
    });
    if findings.into_iter().any(|found| found.is_weak() && found.pairs > 1) {
        notes.push("where there are fewer than 25, least and greatest stand in place of the interval".to_string());
    }
    notes
}
