//! What a comparison says: verdicts in a word, notes, and the table as it grows.

use crate::data::Sameness;
use crate::magics::timing::{self, Time};
use crate::measure::{Finding, LEAST_TIME, LOOKS, Turns, Verdict};
use crate::report::Note;
use crate::session::RUST;
use crate::show::{duration_text, grouped, lone_ratio, percent, ratio_within};

use super::rounds::{Entry, Measurement, Outcome, Round, agree};

/// The verdict on a variant whose time lies under the overhead of a call.
const NO_WORK: &str = "no work left";
/// That on a variant whose result is not that of the first.
const DIFFERENT: &str = "different result";
/// That on a variant, or beside a baseline, whose samples the clock cannot tell.
const BELOW: &str = "below the resolution";

/// What hangs on what was measured: a verdict, those of a row, those of a variant in a sentence, and notes.
pub const SAYS: &[&str] = &[
    "~<faster|slower>[ (ranges)]|same|not resolved|below the resolution|no work left|different result|cannot \
     tell|no winner|no baseline|not compared|no verdict|failed|too large|did not end|not run",
    "~<<faster|slower>[ (ranges)]|same|not resolved|below the resolution|no work left|different result|cannot \
     tell|no winner|no baseline|not compared|no verdict|failed|too large|did not end|not run|{ratio} \
     <faster|slower>>: {names}[; <<faster|slower>[ (ranges)]|same|not resolved|below the resolution|no work \
     left|different result|cannot tell|no winner|no baseline|not compared|no verdict|failed|too large|did not \
     end|not run|{ratio} <faster|slower>>: {names}]*",
    "~{time}[ {ratio}]",
    "{name} is faster than {name} (weaker rule): all its times are below all times of the other ({count} pairs: \
     minimum and maximum, which cover <over 99.9 %|{share}>)",
    "{name} is [{ratio} ]slower than {name} (weaker rule): all its times are above all times of the other \
     ({count} pairs: minimum and maximum, which cover <over 99.9 %|{share}>)",
    "✓ {name} is faster than {name}: the interval lies outside ±{number} % ({count} pairs[; processes differ by \
     {share}, which the interval includes])",
    "✓ {name} is [{ratio} ]slower than {name}: the interval lies outside ±{number} % ({count} pairs[; processes \
     differ by {share}, which the interval includes])",
    "✓ {name} and {name} are the same within 1 % ({count} pairs[; processes differ by {share}, which the interval \
     includes])",
    "{name} and {name}: a call takes at most twice the overhead of calling, or a sample less than the resolution \
     of the clock, so there is no ratio",
    "{name} and {name}: one pair has no error bar",
    "{name} and {name} are not resolved<: later samples contradict the verdict of the first ones|: the comparison \
     was stopped|: a verdict needs {time} of samples; allow more time with --for TIME| in this time; allow more \
     time with --for TIME|: the interval is too wide> <({count} pairs: minimum and maximum, which cover <over \
     99.9 %|{share}>)|({count} pairs[; processes differ by {share}, which the interval includes])>",
    "{name}[ at {number}[, {number}]*]: faster than the overhead of a call ({time}), so there is nothing to time",
    "{name} is not resolved: every calibration was interrupted",
    "the baseline {name} has nothing left to time, so no variant is compared with it",
    "below the resolution at {number}[, {number}]*: a call, or a call of the baseline, takes at most twice the \
     overhead of calling, or a sample less than the resolution of the clock",
    "all are timed by wall time: {name} <works on several threads or in several processes|waits for something, or \
     for another process>, which CPU time of the thread does not include",
    "{name} <works on several threads or in several processes|waits for something, or for another process>, which \
     CPU time of the thread does not include: there is no verdict; --clock wall includes it",
    "one run of {name}[ at {number}] takes {time}, longer than all samples should ({time})",
    "✗ {name} did not end[ at {number}]: the call that was stopped had taken {time}",
    "~stopped before samples were taken: a time is that of one run, and there is no speed-up",
    "~{count} sample[s] of each, interleaved, <{count} call[s] per sample|calls per sample: {name} {count}[, \
     {name} {count}]*>; <wall time[, but CPU time of the thread for {names}]|CPU time of the thread>",
    "~{count}[, and one pair has no error bar: take more with --for TIME]",
    "with fewer than 25 samples, minimum and maximum replace the interval",
    "⇔faster (ranges) ← {row} is faster than {name} (weaker rule): {words}",
    "⇔slower (ranges) ← {row} is [{ratio} ]slower than {name} (weaker rule): {words}",
    "⇔faster ← ✓ {row} is faster than {name}: {words}",
    "⇔slower ← ✓ {row} is [{ratio} ]slower than {name}: {words}",
    "⇔same ← ✓ {row} and {name} are the same within 1 % {words}",
    "⇔below the resolution ← {row} and {name}: a call takes at most twice {words}",
    "⇔not resolved ← {row} and {name}: one pair has no error bar",
    "⇔not resolved ← {row} and {name} are not resolved{words}",
];

impl Round<'_> {
    pub fn verdict(&self, entry: &Entry) -> String {
        let ran = match &entry.outcome {
            Outcome::Failed(_) => return "failed".to_string(),
            Outcome::TooLarge(_) => return "too large".to_string(),
            Outcome::Stopped(_) => return "did not end".to_string(),
            Outcome::NotRun => return "not run".to_string(),
            Outcome::Ran(ran) => ran,
        };
        match ran.sameness {
            Sameness::Different(_) => DIFFERENT.to_string(),
            Sameness::CannotTell(_) => "cannot tell".to_string(),
            Sameness::Same if ran.removed.is_some() => NO_WORK.to_string(),
            Sameness::Same => match self.finding(entry) {
                _ if !self.agrees() => "no winner".to_string(),
                _ if ran.interrupted => "not resolved".to_string(),
                _ if self.is_baseline(entry) => "·".to_string(),
                None if self.baseline().is_none() => "no baseline".to_string(),
                None => "not compared".to_string(),
                Some(_) if self.misses(entry).is_some() => "no verdict".to_string(),
                Some(found) => verdict_word(found),
            },
        }
    }

    /// What is to be known about the figures, a line each.
    pub fn notes(&self) -> Vec<Note> {
        let mut notes: Vec<Note> = self.results().into_iter().map(Note::from).collect();
        let instead = |entry: &Entry| entry.instead.as_ref().map(|why| format!("{} {why}", entry.variant.name).into());
        notes.extend(self.entries.iter().filter_map(instead));
        for entry in &self.entries {
            let name = &entry.variant.name;
            let Some(ran) = entry.ran() else { continue };
            let judged = self.finding(entry).filter(|_| self.misses(entry).is_none());
            // Whether there is a finding depends on whether work is left.
            let told = |found| Note::default().found(write_finding(name, &self.base, found, self.stopped)).optional();
            notes.extend(judged.map(told));
            let removed = ran.removed.map(|overhead| timing::no_work(overhead / 1e9));
            notes.extend(removed.map(|why| why.after(&format!("{name}: "))));
            if ran.interrupted {
                let told = format!("{name} is not resolved: every calibration was interrupted");
                notes.push(Note::from(told).optional());
            }
        }
        let others = self.entries.iter().filter(|entry| entry.ran().is_some()).count() > 1;
        if others && self.agrees() && self.baseline().is_some_and(|base| !self.is_held(base)) {
            let base = &self.base;
            let told = format!("the baseline {base} has nothing left to time, so no variant is compared with it");
            notes.push(Note::from(told).optional());
        }
        notes.extend(baseline_notes(std::slice::from_ref(self)).into_iter().map(Note::from));
        let failed = self.entries.first().filter(|first| first.ran().is_none() && first.variant.name != self.base);
        if let (Some(failed), Some(base)) = (failed.filter(|_| !self.named), self.baseline()) {
            let told = format!("{} did not run, so {} is the baseline", failed.variant.name, base.variant.name);
            notes.push(told.into());
        }
        notes.extend(hint([self]));
        notes.extend(clock_notes(std::slice::from_ref(self)));
        notes.extend(long_runs(&None, std::slice::from_ref(self)));
        notes.extend(self.sampling().map(|told| Note::default().found(told)));
        notes
    }

    /// How the samples were taken.
    fn sampling(&self) -> Option<String> {
        let ran: Vec<(&str, &Measurement)> =
            self.entries.iter().filter_map(|entry| Some((entry.variant.name.as_str(), entry.ran()?))).collect();
        let sampled: Vec<(&str, u64, Time)> =
            ran.iter().filter_map(|(name, ran)| Some((*name, ran.samples.as_ref()?.calls, ran.time))).collect();
        let pairs = ran.iter().find_map(|(_, ran)| ran.samples.as_ref()).map(|samples| samples.each().len())?;
        let counted =
            |count: u64, what: &str| format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" });
        if self.is_unsampled {
            let told = "stopped before samples were taken: a time is that of one run, and there is no speed-up";
            return Some(told.to_string());
        }
        let samples = counted(pairs as u64, "sample");
        let (_, calls, time) = sampled[0];
        let clocks = if sampled.iter().all(|(_, _, other)| *other == time) {
            time.said().to_string()
        } else {
            let cpu: Vec<&str> =
                sampled.iter().filter(|(_, _, time)| *time == Time::Cpu).map(|(name, ..)| *name).collect();
            format!("{}, but {} for {}", Time::Wall.said(), Time::Cpu.said(), cpu.join(", "))
        };
        let each = if sampled.iter().all(|(_, other, _)| *other == calls) {
            format!("{} per sample", counted(calls, "call"))
        } else {
            let each: Vec<String> =
                sampled.iter().map(|(name, calls, _)| format!("{name} {}", grouped(*calls))).collect();
            format!("calls per sample: {}", each.join(", "))
        };
        Some(format!("{samples} of each, interleaved, {each}; {clocks}"))
    }

    /// Whether the results are the same, the first difference, and what failed.
    pub fn results(&self) -> Vec<String> {
        let mut ran = 0;
        let mut differences = Vec::new();
        let mut failures = Vec::new();
        let mut first = "";
        for entry in &self.entries {
            let name = &entry.variant.name;
            match &entry.outcome {
                Outcome::Failed(why) => failures.push(format!("✗ {name} failed: {why}")),
                Outcome::TooLarge(most) => failures.push(format!("{name} is run up to {} only", grouped(*most as u64))),
                Outcome::Stopped(passed) => {
                    let passed = duration_text(passed.as_secs_f64());
                    failures.push(format!("✗ {name} did not end: its first run was stopped after {passed}"));
                }
                Outcome::NotRun => failures.push(format!("{name} was not run: the comparison was stopped first")),
                Outcome::Ran(found) => {
                    ran += 1;
                    first = if first.is_empty() { name } else { first };
                    match &found.sameness {
                        Sameness::Same => {}
                        Sameness::Different(how) => differences.push(format!(
                            "✗ {first} and {name} give different results, so there is no winner: {first} here, {name} \
                             there: {how}"
                        )),
                        Sameness::CannotTell(why) if found.command.is_some() && why.starts_with("its output") => {
                            differences.push(format!(
                                "? cannot tell whether {name} gives the same, so there is no winner: {why}"
                            ));
                        }
                        Sameness::CannotTell(why) => differences.push(format!(
                            "? cannot tell whether {first} and {name} are the same, so there is no winner: {why}"
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

/// The table as it is by now, a line for each that is sampled; `places` are theirs among the entries.
pub fn so_far(entries: &[Entry], turns: &Turns, places: &[usize], base: Option<&str>) -> String {
    let missing = base.is_some_and(|base| places.iter().all(|place| entries[*place].variant.name != base));
    let width =
        places.iter().map(|place| entries[*place].variant.name.chars().count()).max().unwrap_or(0).min(WIDEST_NAME);
    let mut lines = vec![format!("{} pairs", turns.pairs())];
    for (subject, place) in places.iter().enumerate() {
        let entry = &entries[*place];
        let Some(ran) = entry.ran() else { continue };
        let seconds = turns.samples(subject).median() / 1e9;
        let median = if ran.removed.is_some() { "·".to_string() } else { duration_text(seconds) };
        let found = turns.finding(subject);
        let speedup = match ran.sameness {
            _ if ran.removed.is_some() => NO_WORK.to_string(),
            Sameness::Different(_) => DIFFERENT.to_string(),
            _ if missing || subject == turns.base() || !agree(entries) => String::new(),
            _ if found.speedup.is_nan() => BELOW.to_string(),
            _ if found.low.is_nan() => format!("{}×", lone_ratio(found.speedup)),
            _ => {
                let [speedup, low, high] = ratio_within(found.speedup, found.low, found.high);
                format!("{speedup}× [{low} {high}]")
            }
        };
        lines.push(format!("  {:width$}  {median:>8}  {speedup}", entry.variant.name));
    }
    lines.join("\n")
}

/// Longer names make the columns after them no wider.
const WIDEST_NAME: usize = 60;

fn verdict_word(found: &Finding) -> String {
    let weak = if found.is_weak() { " (ranges)" } else { "" };
    match found.verdict {
        Verdict::Faster => format!("faster{weak}"),
        Verdict::Slower => format!("slower{weak}"),
        Verdict::Same => "same".to_string(),
        Verdict::NotResolved => "not resolved".to_string(),
        Verdict::BelowResolution => BELOW.to_string(),
    }
}

/// How many times slower one is, where the speed-up is a small fraction that nobody reads well.
fn times_slower(found: &Finding) -> Option<String> {
    let small = found.verdict == Verdict::Slower && found.speedup < 0.5;
    small.then(|| ratio_within(1.0 / found.speedup, 1.0 / found.high, 1.0 / found.low)[0].clone())
}

/// A speed-up with the digits that its interval supports; nothing below the resolution.
pub fn speedup_text(found: &Finding) -> Option<String> {
    match found {
        Finding { speedup, .. } if speedup.is_nan() => None,
        Finding { speedup, low, .. } if low.is_nan() => Some(lone_ratio(*speedup)),
        Finding { speedup, low, high, .. } => Some(ratio_within(*speedup, *low, *high)[0].clone()),
    }
}

/// One finding as a sentence.
fn write_finding(name: &str, base: &str, found: &Finding, stopped: bool) -> String {
    let pairs = found.pairs;
    let weak = found.is_weak();
    let slower = times_slower(found).map_or("slower".to_string(), |times| format!("{times}× slower"));
    let apart = 100.0 * found.apart;
    let sentence = match found.verdict {
        Verdict::Faster if weak => {
            format!("{name} is faster than {base} (weaker rule): all its times are below all times of the other")
        }
        Verdict::Slower if weak => {
            format!("{name} is {slower} than {base} (weaker rule): all its times are above all times of the other")
        }
        Verdict::Faster => format!("✓ {name} is faster than {base}: the interval lies outside ±{apart} %"),
        Verdict::Slower => format!("✓ {name} is {slower} than {base}: the interval lies outside ±{apart} %"),
        Verdict::Same => format!("✓ {name} and {base} are the same within 1 %"),
        Verdict::BelowResolution => {
            return format!(
                "{name} and {base}: a call takes at most twice the overhead of calling, or a sample less than the \
                 resolution of the clock, so there is no ratio"
            );
        }
        Verdict::NotResolved if pairs < 2 => format!("{name} and {base}: one pair has no error bar"),
        Verdict::NotResolved if found.withdrawn => {
            format!("{name} and {base} are not resolved: later samples contradict the verdict of the first ones")
        }
        Verdict::NotResolved if stopped => format!("{name} and {base} are not resolved: the comparison was stopped"),
        Verdict::NotResolved if found.is_brief => {
            let least = duration_text(LEAST_TIME as f64 / 1e9);
            format!(
                "{name} and {base} are not resolved: a verdict needs {least} of samples; allow more time with --for \
                 TIME"
            )
        }
        Verdict::NotResolved if pairs < LOOKS[LOOKS.len() - 1] => {
            format!("{name} and {base} are not resolved in this time; allow more time with --for TIME")
        }
        Verdict::NotResolved => format!("{name} and {base} are not resolved: the interval is too wide"),
    };
    let processes = found.processes.map_or(String::new(), |spread| {
        format!("; processes differ by {}, which the interval includes", percent(spread))
    });
    match weak {
        true if pairs < 2 => sentence,
        true => {
            // No range is sure to cover.
            let covered = if found.coverage > 0.999 { "over 99.9 %".to_string() } else { percent(found.coverage) };
            format!("{sentence} ({pairs} pairs: minimum and maximum, which cover {covered})")
        }
        false => format!("{sentence} ({} pairs{processes})", grouped(pairs as u64)),
    }
}

/// Where there is no ratio because a time is too near to what calling costs.
fn resolution_notes(points: &Option<Vec<i64>>, rounds: &[Round]) -> Option<Note> {
    let below = |entry: &Entry, round: &Round| {
        round.finding(entry).is_some_and(|found| found.verdict == Verdict::BelowResolution)
    };
    let at = rounds.iter().zip(points.iter().flatten());
    let at = at.filter(|(round, _)| round.entries.iter().any(|entry| below(entry, round)));
    let at: Vec<String> = at.map(|(_, point)| point.to_string()).collect();
    (!at.is_empty()).then(|| {
        let note = Note::from(format!("{BELOW} at ")).found(at.join(", ")).optional();
        note.text(
            ": a call, or a call of the baseline, takes at most twice the overhead of calling, or a sample less than \
             the resolution of the clock",
        )
    })
}

/// Where the baseline is missing, so that nothing is compared with it.
fn baseline_notes(rounds: &[Round]) -> Vec<String> {
    let missing: Vec<&Round> =
        rounds.iter().filter(|round| round.base_place.is_none() && round.first().is_some()).collect();
    let Some(round) = missing.first() else { return Vec::new() };
    let points: Vec<String> = missing.iter().filter_map(|round| Some(round.point?.to_string())).collect();
    let at = if points.is_empty() { String::new() } else { format!(" at {}", points.join(", ")) };
    vec![format!(
        "the baseline {} did not run{at}, so there is no speed-up there; choose another with --base NAME",
        round.base
    )]
}

/// Why a clock is not the usual one, or why there is no verdict by it.
fn clock_notes(rounds: &[Round]) -> Vec<Note> {
    let mut notes: Vec<String> = Vec::new();
    for round in rounds {
        let wall = round
            .missed
            .as_ref()
            .map(|(name, missed)| format!("all are timed by wall time: {}", timing::missing(name, *missed)));
        let cpu = round.entries.iter().filter_map(|entry| {
            let why = timing::missing(&entry.variant.name, entry.ran()?.misses?);
            Some(format!("{why}: there is no verdict; --clock wall includes it"))
        });
        for note in wall.into_iter().chain(cpu) {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes.into_iter().map(|note| Note::default().found(note).optional()).collect()
}

/// Where one run took longer than there was time for all samples, or never ended.
fn long_runs(points: &Option<Vec<i64>>, rounds: &[Round]) -> Vec<Note> {
    let mut notes = Vec::new();
    for (place, round) in rounds.iter().enumerate() {
        let point = points.as_ref().and_then(|points| points.get(place));
        let at = point.map_or(String::new(), |point| format!(" at {point}"));
        let long = |ran: &Measurement| ran.cost.wall > round.limit;
        for entry in round.entries.iter().filter(|entry| entry.ran().is_some_and(long)) {
            let Some(ran) = entry.ran() else { continue };
            let (run, limit) = (duration_text(ran.cost.wall.as_secs_f64()), duration_text(round.limit.as_secs_f64()));
            let told =
                format!("one run of {}{at} takes {run}, longer than all samples should ({limit})", entry.variant.name);
            notes.push(Note::default().found(told).optional());
        }
        if let Some((name, passed)) = &round.hung {
            let passed = duration_text(passed.as_secs_f64());
            let told = format!("✗ {name} did not end{at}: the call that was stopped had taken {passed}");
            notes.push(Note::default().found(told).optional());
        }
    }
    notes
}

/// Where no work was left, a line for each variant.
fn removed_notes(points: &Option<Vec<i64>>, rounds: &[Round]) -> Vec<Note> {
    let mut found: Vec<(&str, f64, Vec<String>)> = Vec::new();
    for (round, point) in rounds.iter().zip(points.iter().flatten()) {
        for (entry, overhead) in round.entries.iter().filter_map(|entry| Some((entry, entry.ran()?.removed?))) {
            match found.iter_mut().find(|(name, ..)| *name == entry.variant.name) {
                Some((_, _, points)) => points.push(point.to_string()),
                None => found.push((&entry.variant.name, overhead, vec![point.to_string()])),
            }
        }
    }
    let said = |(name, overhead, points): (&str, f64, Vec<String>)| {
        let at = Note::from(format!("{name} at ")).found(points.join(", ")).text(": ");
        Note { pieces: [at.pieces, timing::no_work(overhead / 1e9).pieces].concat(), is_optional: true }
    };
    found.into_iter().map(said).collect()
}

/// How the work of Rust is kept, where some of it is gone.
fn hint<'a>(rounds: impl IntoIterator<Item = &'a Round<'a>>) -> Option<Note> {
    // So little time beside so much is hardly an algorithm's gain.
    const UNLIKELY: f64 = 1000.0;
    let any = rounds.into_iter().any(|round| {
        let longest = round.entries.iter().filter_map(|entry| entry.ran()?.median()).map(|(median, _)| median);
        let longest = longest.fold(0.0, f64::max);
        let gone = |entry: &Entry| {
            let below = round.finding(entry).is_some_and(|found| found.verdict == Verdict::BelowResolution);
            entry.engine == RUST
                && entry.ran().is_some_and(|ran| {
                    let short = ran.median().is_some_and(|(median, _)| median < timing::SHORT);
                    ran.removed.is_some() || short && (below || longest > UNLIKELY * timing::SHORT)
                })
        };
        round.entries.iter().any(gone)
    });
    any.then(|| Note::from(timing::KEPT_WORK).optional())
}

/// Whether the results are the same at all points, and what happened where they are not.
pub fn sweep_notes(points: &Option<Vec<i64>>, rounds: &[Round]) -> Vec<Note> {
    let mut notes: Vec<Note> = Vec::new();
    let good = |round: &Round| {
        let failed =
            |entry: &Entry| matches!(entry.outcome, Outcome::Failed(_) | Outcome::Stopped(_) | Outcome::NotRun);
        let failed = round.entries.iter().any(failed);
        round.agrees() && !failed && round.first().is_some()
    };
    let equal = rounds.iter().filter(|round| good(round)).count();
    let all = points.as_ref().map_or(1, Vec::len);
    if equal == rounds.len() {
        let told = match equal == all {
            true => format!("✓ same results at {equal} of {all} points"),
            false => format!("✓ same results at all of the {equal} points that ran; {} did not run", all - equal),
        };
        notes.push(told.into());
    }
    for (round, point) in rounds.iter().zip(points.iter().flatten()).filter(|(round, _)| !good(round)) {
        notes.extend(round.results().into_iter().map(|line| Note::from(format!("at {point}: {line}"))));
    }
    notes.extend(baseline_notes(rounds).into_iter().map(Note::from));
    notes.extend(removed_notes(points, rounds));
    notes.extend(resolution_notes(points, rounds));
    notes.extend(hint(rounds));
    notes.extend(clock_notes(rounds));
    notes.extend(long_runs(points, rounds));
    let samples = |round: &Round| {
        round.entries.iter().filter_map(|entry| Some(entry.ran()?.samples.as_ref()?.each().len())).min()
    };
    if let Some(pairs) = rounds.iter().filter_map(samples).min() {
        let bare = if pairs < 2 { ", and one pair has no error bar: take more with --for TIME" } else { "" };
        let note = Note::from("interleaved samples per variant and point: at least ");
        notes.push(note.found(format!("{pairs}{bare}")));
    }
    let mut findings = rounds.iter().flat_map(|round| round.entries.iter().filter_map(|entry| round.finding(entry)));
    if findings.any(|found| found.is_weak() && found.pairs > 1) {
        let told = "with fewer than 25 samples, minimum and maximum replace the interval";
        notes.push(Note::from(told).optional());
    }
    notes
}
