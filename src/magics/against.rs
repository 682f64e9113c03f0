//! `--against NAME`: what is measured now beside what was kept.

use crate::baselines::{Baseline, Point};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, listed};
use crate::escape::file_name;
use crate::lang;
use crate::measure::{Beside, ENOUGH_SAVES, Spread, Verdict};
use crate::report::Note;
use crate::session::Session;
use crate::show::{duration_text, lone_ratio, ratio_within};

use super::baseline;
use super::timing::Time;

/// What was kept under a name.
pub struct Against {
    name: String,
    pub span: Span,
    kept: Baseline,
}

/// What the option asks for.
pub fn asked(session: &Session, magic: &lang::Magic) -> Fallible<Option<Against>> {
    let Some(word) = magic.option("--against").flatten() else { return Ok(None) };
    Ok(Some(Against { name: word.text.clone(), span: word.span, kept: baseline::find(session, word)? }))
}

impl Against {
    /// Refuses where no variant and no size is there on both sides.
    pub fn check(&self, names: &[&str], points: &[Option<i64>]) -> Fallible<()> {
        let Against { name, span, kept } = self;
        let known = kept.variants();
        if !names.iter().any(|name| known.contains(name)) {
            let (known, here) = (listed(&known), listed(names));
            let message =
                format!("the baseline `{name}` has {known}, but this comparison has {here}: no variant is in both");
            return Err(Diagnostic::at(Kind::Name, *span, message).hint("variants are matched by their names"));
        }
        if !points.iter().any(|n| kept.point(*n).is_some()) {
            let sizes: Vec<String> = kept.points.iter().filter_map(|point| point.n).map(|n| n.to_string()).collect();
            let (message, hint) = if sizes.is_empty() {
                (format!("`{name}` was measured without a sweep"), "remove the sweep".to_string())
            } else {
                (format!("this sweep has none of the sizes of `{name}`"), format!("n in [{}]:", sizes.join(", ")))
            };
            return Err(Diagnostic::at(Kind::Name, *span, message).hint(hint));
        }
        Ok(())
    }

    /// The clock that a variant had then.
    pub fn clock(&self, n: Option<i64>, name: &str) -> Option<Time> {
        Time::named(&self.kept.point(n)?.variant(name)?.clock)
    }

    /// None where it was not measured then, or no work was left then.
    pub fn beside(&self, n: Option<i64>, name: &str, now: &Spread) -> Option<Beside> {
        let then = self.kept.point(n)?.variant(name).filter(|variant| !variant.removed)?;
        Some(now.beside(&then.times, &then.medians))
    }

    /// What is to be known before the ratios are believed: what was not then as it is now.
    pub fn differences(&self, now: &Baseline) -> Vec<String> {
        let (then, name) = (&self.kept, &self.name);
        let mut found = Vec::new();
        // Other tools do not say all that we would like to know.
        let is_ours = !then.is_of_hyperfine();
        if !is_ours {
            found.push(format!("`{name}` was measured by hyperfine, on a machine that it does not name"));
        }
        let mut differs = |what: &str, then: String, now: String| {
            if then != now && is_ours {
                found.push(format!("`{name}` was measured with a different {what}: {then} then, {now} now"));
            }
        };
        differs("processor", then.machine.cpu.clone(), now.machine.cpu.clone());
        differs("number of cores", then.machine.cores.to_string(), now.machine.cores.to_string());
        differs("timelab", then.timelab.clone(), now.timelab.clone());
        differs("input", quote(&then.input), quote(&now.input));
        differs("setup", quote(&then.setup), quote(&now.setup));
        differs("seed", then.seed.to_string(), now.seed.to_string());
        for point in &now.points {
            let Some(then) = then.point(point.n) else { continue };
            let at = point.n.map_or(String::new(), |n| format!(" at {n}"));
            if let (Some(then), Some(now)) = (then.rows, point.rows) {
                differs(&format!("number of rows{at}"), then.to_string(), now.to_string());
            }
            for (variant, then) in both(then, point) {
                differs(&format!("engine for {}", variant.name), quote(&then.engine), quote(&variant.engine));
                if !then.clock.is_empty() {
                    differs(&format!("clock{at} for {}", variant.name), then.clock.clone(), variant.clock.clone());
                }
            }
        }
        found.extend(self.files(now));
        found
    }

    /// Files that have changed, or that are not the same ones.
    fn files(&self, now: &Baseline) -> Vec<String> {
        let (then, name) = (&self.kept, &self.name);
        let mut found = Vec::new();
        for file in &now.files {
            let shown = file_name(&file.path);
            match then.files.iter().find(|then| then.path == file.path) {
                None => found.push(format!("\"{shown}\" was not read for `{name}`")),
                Some(then) if then == file => {}
                Some(_) => found.push(format!("\"{shown}\" has changed since `{name}` was measured")),
            }
        }
        let gone = then.files.iter().filter(|then| now.files.iter().all(|file| file.path != then.path));
        found.extend(
            gone.map(|file| format!("\"{}\" was read for `{name}`, but is not read now", file_name(&file.path))),
        );
        found
    }

    /// What the ratios say, a line each, and how little that is.
    pub fn notes(&self, now: &Baseline) -> Vec<Note> {
        let name = &self.name;
        let told = |variant| Note::default().found(self.note(variant, now));
        let mut notes: Vec<Note> = now.variants().into_iter().map(told).collect();
        let rewritten: Vec<&str> = now
            .points
            .first()
            .and_then(|point| Some((point, self.kept.point(point.n)?)))
            .into_iter()
            .flat_map(|(now, then)| both(then, now))
            // A variant without a name is called as its command, so that its text says no more.
            .filter(|(now, then)| now.text != then.text && !now.text.is_empty())
            .map(|(now, _)| now.name.as_str())
            .collect();
        if !rewritten.is_empty() {
            notes.push(format!("the source differs from `{name}`: {}", rewritten.join(", ")).into());
        }
        let note = Note::from(format!("`{name}` was saved ")).found(baseline::ago(self.kept.taken));
        notes.push(note.text(
            ": its samples were not interleaved with these, so a change of the machine looks like a change of the code",
        ));
        notes
    }

    fn note(&self, variant: &str, now: &Baseline) -> String {
        let name = &self.name;
        let points = now.points.iter().filter_map(|point| {
            let times = &point.variant(variant).filter(|variant| !variant.removed)?.times;
            Some((times, self.beside(point.n, variant, times)?))
        });
        match &points.collect::<Vec<_>>()[..] {
            [] if now.points.iter().filter_map(|point| point.variant(variant)).all(|variant| variant.removed) => {
                format!("{variant} against `{name}`: there is nothing left to time now, so there is no ratio")
            }
            [] if self.kept.variants().contains(&variant) => {
                format!("{variant} against `{name}`: there was nothing left to time then, so there is no ratio")
            }
            [] => format!("{variant} is not in `{name}`"),
            [(now, beside)] => {
                let (then, now) = (duration_text(beside.then / 1e9), duration_text(now.median / 1e9));
                let times = match beside.interval {
                    Some((low, high)) => {
                        let [times, low, high] = ratio_within(beside.speedup, low, high);
                        format!("{times}× [{low} {high}] ({then} then, {now} now)")
                    }
                    None => format!("{}× ({then} then, {now} now)", lone_ratio(beside.speedup)),
                };
                match (beside.verdict, beside.interval) {
                    (Verdict::Faster | Verdict::Slower, Some(_)) => {
                        format!("{variant} is {} than in `{name}`: {times}", said(beside))
                    }
                    (Verdict::Faster | Verdict::Slower, None) => {
                        format!(
                            "{variant} is {} than in `{name}`: {times}; weaker rule: the times do not overlap",
                            said(beside)
                        )
                    }
                    (_, Some(_)) => {
                        format!("{variant} against `{name}`: {times}, no verdict: earlier saves differ by as much")
                    }
                    (_, None) => format!(
                        "{variant} against `{name}`: {times}, no verdict: the times overlap, or the medians are \
                         within 10 %; {ENOUGH_SAVES} saves of the same code (%baseline save {name} --force) allow a \
                         closer verdict"
                    ),
                }
            }
            all => {
                let count = |verdict| all.iter().filter(|(_, beside)| beside.verdict == verdict).count();
                let (faster, slower) = (count(Verdict::Faster), count(Verdict::Slower));
                format!("{variant} against `{name}`: faster at {faster} of {} points, slower at {slower}", all.len())
            }
        }
    }
}

/// What a baseline may say of a later measurement.
pub const SAYS: &[&str] = &[
    "~{ratio} <faster|slower>",
    "~[{name}|this] against `{word}`: there <is nothing left to time now|was nothing left to time then>, so there \
     is no ratio",
    "~[{name}|this] is not in `{word}`",
    "~[{name}|this] is {ratio} <faster|slower> than in `{word}`: {ratio}[ \\[{number} {number}\\]] ({time} then, \
     {time} now)[; weaker rule: the times do not overlap]",
    "~[{name}|this] against `{word}`: {ratio} \\[{number} {number}\\] ({time} then, {time} now), no verdict: \
     earlier saves differ by as much",
    "~[{name}|this] against `{word}`: {ratio} ({time} then, {time} now), no verdict: the times overlap, or the \
     medians are within 10 %; {count} saves of the same code (%baseline save {word} --force) allow a closer \
     verdict",
    "~[{name}|this] against `{word}`: faster at {count} of {count} points, slower at {count}",
    "~just now",
    "~{count} min ago",
    "{count} <hour|day>[s] ago",
];

/// Whether there is a verdict.
pub fn is_apart(beside: &Beside) -> bool {
    matches!(beside.verdict, Verdict::Faster | Verdict::Slower)
}

/// The verdict in words, with its direction; none is a dot.
pub fn said(beside: &Beside) -> String {
    let times = |ratio: f64, ends: Option<(f64, f64)>| match ends {
        Some((low, high)) => ratio_within(ratio, low, high)[0].clone(),
        None => lone_ratio(ratio),
    };
    match beside.verdict {
        Verdict::Faster => format!("{}× faster", times(beside.speedup, beside.interval)),
        Verdict::Slower => {
            let ends = beside.interval.map(|(low, high)| (1.0 / high, 1.0 / low));
            format!("{}× slower", times(1.0 / beside.speedup, ends))
        }
        Verdict::Same | Verdict::NotResolved | Verdict::BelowResolution => "·".to_string(),
    }
}

/// The variants that both points have.
fn both<'a>(
    then: &'a Point,
    now: &'a Point,
) -> impl Iterator<Item = (&'a crate::baselines::Variant, &'a crate::baselines::Variant)> {
    now.variants.iter().filter_map(|variant| Some((variant, then.variant(&variant.name)?)))
}

fn quote(text: &str) -> String {
    if text.is_empty() { "none".to_string() } else { format!("`{text}`") }
}
