//! What the growth of subjects is called, in lines.

use crate::lang::RustBlock;
use crate::magics::timing::Time;
use crate::measure::growth::{Answer, Class, Doubt, Exponent, FEWEST, Fit, NARROWEST, Question, Verdict};
use crate::report::Note;
use crate::show::{duration_text, grouped, percent};

use super::Answers;
use super::subjects::{Cut, Measured};

/// Counts and times whose exponents differ by more are told apart.
pub(super) const APART: f64 = 0.4;

/// What hangs on what was measured.
pub const SAYS: &[&str] = &[
    "~<{class}>[ · c ≈ {number}][ · exponent {exponent}][ · no steps were counted, so a growth that a constant \
     hides would not be seen][ · also: {also}][ · <CPU|wall> time][ · peak of the <resident memory|live heap>]",
    "~[ · c ≈ {number}][ · exponent {exponent}][ · no steps were counted, so a growth that a constant hides would \
     not be seen][ · also: {also}][ · <CPU|wall> time][ · peak of the <resident memory|live heap>]",
    "~no class of the list[ · polynomial, exponent {exponent}][ · <CPU|wall> time]",
    "~no claim · <{count} <size was|sizes were> measured, but at least {count} are needed|the largest size is less \
     than {number} times the smallest|a constant hides the growth: from the smallest size to the largest, the \
     cost rises by only {share}; try larger sizes|the time grows faster: compiled code of the standard library \
     does not count its steps|a constant hides the growth at all but {count} sizes, and at least {count} are \
     needed; try larger sizes|the nearest class, {also}, is off by {share} on average|several classes fit, and \
     these sizes cannot tell them apart|the largest sizes depart from the nearest class, {also}; the class may \
     change with the size>[ · memory grows by batches of rows: try larger sizes][ · <CPU|wall> time]",
    "~no claim · <stopped|nothing was measured|{range} failed: {words}|{range} did not end within {time}>",
    "[{name} ]time and steps differ (exponents {number} and {number}): <the time goes into work that is not \
     counted as steps, or into slower levels of memory|the most frequent steps take the least time, such as \
     moving adjacent bytes|the timed engine works differently from `rows`, where the steps were counted>",
    "compiled code of the standard library counts no steps: --time --steps shows whether it matters",
    "`{name}` is faster than `{name}` below {word} ≈ {count}, slower above",
    "~[{name}: ]measured for {range} only, at {count} size[s][; timed for {range}, at {count} size[s]][; not \
     measured: {sizes}|; skipped for lack of time: {sizes}; allow more with --for]",
    "stopped: the sizes measured so far are kept",
    "{name}: claimed {class}, measured {classes}: cannot be told apart at these sizes",
    "{name}: theory bounds the worst puzzle only; with one solution, the digits that are left decide",
    "~{class}",
    "~{classes}",
    "~yes",
    "~no",
    "~yes, it grows slower",
    "~cannot be told apart",
    "~only a bound is claimed",
    "~no claim",
    "-[{words}: ]measured for {range} only, at {words}; <not measured|skipped for lack of time>: {words}",
    "•{also}",
    "⇔cannot be told apart ← {row}: claimed {class}, measured {cell}: cannot be told apart at these sizes",
    "⇔only a bound is claimed ← {row}: theory bounds the worst puzzle only; {words}",
    "∀figure > other ← [{name} ]time and steps differ (exponents {figure} and {other}): the time goes {words}",
    "∀figure < other ← [{name} ]time and steps differ (exponents {figure} and {other}): the <most|timed> {words}",
    // A claim is judged by the steps, where they were counted.
    "∀#(steps >= 0) > 0 or claimed = 'O(n √n)' or measured = growth ← time {growth}[ · {words}]",
    "∀#(steps >= 0) > 0 or claimed = 'O(n √n)' or variant != row or measured = growth ← {row} time {growth}[ · \
     {words}]",
    "∀#(steps >= 0 or median >= 0 or space >= 0 or allocs >= 0) = figure ← measured for {word} = {word} only, at \
     {figure} size[s]",
];

/// A line for each question and subject.
pub fn answers(all: &[Measured], found: &[Answers], questions: &[Question]) -> Vec<Note> {
    let names = all.iter().map(|measured| measured.name.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (measured, found) in all.iter().zip(found) {
        let name = if all.len() > 1 { format!("{:names$}  ", measured.name) } else { String::new() };
        for question in questions {
            let line = Note::from(format!("{name}{:6}  ", question.name()));
            if let Some(answer) = found.answer(*question) {
                let told = write_answer(*question, answer, measured);
                // Steps repeat exactly, so that their class is no measurement; its interval is one of the sizes.
                let class = told.split(" · ").next().unwrap_or_default();
                let is_class = class.starts_with("O(");
                lines.push(match *question {
                    Question::Steps if is_class => line.text(class).found(&told[class.len()..]),
                    _ => line.found(told),
                });
            } else if let Some(why) = measured.uncounted.as_ref().filter(|_| *question == Question::Steps) {
                lines.push(line.text(format!("not counted · {why}")));
            } else if measured.is_command && *question == Question::Allocs {
                lines.push(line.text("not known · what a process allocates is not seen from outside"));
            } else {
                let why = measured.cut.as_ref().map_or("no claim · nothing was measured".to_string(), ended);
                lines.push(line.found(why));
            }
        }
        lines.extend(
            explain_difference(found, measured.is_rust).map(|line| Note::from(name.as_str()).found(line).optional()),
        );
    }
    lines
}

fn write_answer(question: Question, answer: &Answer, measured: &Measured) -> String {
    if let Some(cut) = &measured.cut {
        return ended(cut);
    }
    let mut parts = vec![match answer.verdict {
        Verdict::Class(class) => class.to_string(),
        Verdict::Power => "no class of the list".to_string(),
        Verdict::NoClaim(_) => "no claim".to_string(),
    }];
    match answer.verdict {
        Verdict::Class(class) => {
            parts.extend(answer.curve.as_ref().and_then(|curve| curve.base).map(|base| format!("c ≈ {base:.3}")));
            parts.extend(answer.exponent.map(|exponent| format!("exponent {}", interval(&exponent))));
            if question == Question::Time && class == Class::Constant && !measured.has_steps() {
                parts.push("no steps were counted, so a growth that a constant hides would not be seen".to_string());
            }
            if !answer.also.is_empty() {
                let also: Vec<&str> = answer.also.iter().map(|class| inner(*class)).collect();
                parts.push(format!("also: {}", also.join(", ")));
            }
        }
        Verdict::Power => {
            parts.extend(answer.exponent.map(|exponent| format!("polynomial, exponent {}", interval(&exponent))));
        }
        Verdict::NoClaim(doubt) => {
            parts.push(why(doubt, answer.curve.as_ref()));
            // Where there are only a few batches, each is a step.
            let in_batches = !measured.is_rust && !measured.is_command && doubt == Doubt::Departs;
            if in_batches && matches!(question, Question::Space | Question::Allocs) {
                parts.push("memory grows by batches of rows: try larger sizes".to_string());
            }
        }
    }
    if question == Question::Time && measured.is_command {
        parts.push(format!("{} time", if measured.time == Time::Cpu { "CPU" } else { "wall" }));
    }
    if question == Question::Space && matches!(answer.verdict, Verdict::Class(_)) {
        let what = if measured.is_command { "peak of the resident memory" } else { "peak of the live heap" };
        parts.push(what.to_string());
    }
    parts.join(" · ")
}

/// Why nothing is claimed of sizes that did not all end well.
fn ended(cut: &Cut) -> String {
    match cut {
        Cut::Stopped => "no claim · stopped".to_string(),
        Cut::Failed(n, error) => format!("no claim · n = {} failed: {}", grouped(*n as u64), error.message),
        Cut::Endless(n, after) => {
            let after = duration_text(after.as_secs_f64());
            format!("no claim · n = {} did not end within {after}", grouped(*n as u64))
        }
    }
}

/// A class among words: a bare 1 would be taken for a number.
fn inner(class: Class) -> &'static str {
    if class == Class::Constant { "constant" } else { class.inner() }
}

/// `2.00 ±0.01`, with as many places as the interval has.
pub fn interval(exponent: &Exponent) -> String {
    let error = exponent.error();
    let places = if error < 0.1 { 2 } else { 1 };
    // Not below what it is.
    let error = (error * 10f64.powi(places)).ceil() / 10f64.powi(places);
    let places = places as usize;
    // -0.00 is 0.00.
    let middle = exponent.middle() + 0.0;
    let middle = if middle.abs() < 0.5 * 10f64.powi(-(places as i32)) { 0.0 } else { middle };
    format!("{middle:.places$} ±{error:.places$}")
}

fn why(doubt: Doubt, curve: Option<&Fit>) -> String {
    let nearest = curve.map_or("none", |curve| inner(curve.class));
    match doubt {
        Doubt::FewSizes(count) => {
            let sizes = if count == 1 { "size was" } else { "sizes were" };
            format!("{count} {sizes} measured, but at least {FEWEST} are needed")
        }
        Doubt::NarrowSizes => format!("the largest size is less than {NARROWEST} times the smallest"),
        Doubt::HiddenGrowth(share) => format!(
            "a constant hides the growth: from the smallest size to the largest, the cost rises by only {}; try larger \
             sizes",
            percent(share / (1.0 - share))
        ),
        Doubt::Uncounted => {
            "the time grows faster: compiled code of the standard library does not count its steps".to_string()
        }
        Doubt::LateGrowth(sizes) => format!(
            "a constant hides the growth at all but {sizes} sizes, and at least {FEWEST} are needed; try larger sizes"
        ),
        Doubt::NoCurve(off) => format!("the nearest class, {nearest}, is off by {} on average", percent(off)),
        Doubt::Ambiguous => "several classes fit, and these sizes cannot tell them apart".to_string(),
        Doubt::Departs => {
            format!("the largest sizes depart from the nearest class, {nearest}; the class may change with the size")
        }
    }
}

/// What steps of a person's own Rust cannot show.
pub fn uncounted(questions: &[Question]) -> Option<Note> {
    let is_unchecked = questions.contains(&Question::Steps) && !questions.contains(&Question::Time);
    let said = "compiled code of the standard library counts no steps: --time --steps shows whether it matters";
    is_unchecked.then(|| Note::from(said).optional())
}

/// What no engine computes, because nothing uses it.
pub fn unused(expressions: &[String]) -> Option<Note> {
    let named: Vec<String> = expressions.iter().map(|expression| format!("`{expression}`")).collect();
    let (first, them) = match &named[..] {
        [] => return None,
        [one] => (one.clone(), "it is not computed, and no figure includes it"),
        all => (all.join(", "), "they are not computed, and no figure includes them"),
    };
    Some(Note::from(format!("the result does not use {first}: {them}")))
}

/// Whether a block of Rust can keep something from one call for the next.
pub fn keeps_state(block: &RustBlock) -> bool {
    ["static", "thread_local"].into_iter().any(|word| names(&block.body.text, word))
}

/// What is measured of a block that keeps something.
pub fn state(name: &str) -> Note {
    Note::from(format!(
        "the block has a `static`: it starts anew for each {name}, steps are those of a first call, and the calls of a \
         time sample share it"
    ))
}

/// Where time grows in another way than the steps.
fn explain_difference(found: &Answers, is_rust: bool) -> Option<String> {
    let of = |question| found.answer(question).filter(|answer| matches!(answer.verdict, Verdict::Class(_)));
    let (time, steps) = (of(Question::Time)?.exponent?.middle(), of(Question::Steps)?.exponent?.middle());
    if (time - steps).abs() <= APART {
        return None;
    }
    let reason = if time > steps {
        "the time goes into work that is not counted as steps, or into slower levels of memory"
    } else if is_rust {
        "the most frequent steps take the least time, such as moving adjacent bytes"
    } else {
        "the timed engine works differently from `rows`, where the steps were counted"
    };
    Some(format!("time and steps differ (exponents {time:.2} and {steps:.2}): {reason}"))
}

/// Where the faster of two subjects changes.
pub fn crossings(name: &str, all: &[Measured]) -> Vec<Note> {
    let mut lines = Vec::new();
    for (at, first) in all.iter().enumerate() {
        for second in &all[at + 1..] {
            let told = |(faster, n): (&str, String)| {
                let other = if faster == first.name { &second.name } else { &first.name };
                Note::default().found(format!("`{faster}` is faster than `{other}` below {name} ≈ {n}, slower above"))
            };
            lines.extend(crossing(first, second).map(|found| told(found).optional()));
        }
    }
    lines
}

/// The name of the subject that is faster at small sizes, and where the other becomes faster: between two sizes at
/// which both were measured, if each is faster at three sizes at least, on its side.
fn crossing<'a>(first: &'a Measured, second: &'a Measured) -> Option<(&'a str, String)> {
    const EACH: usize = 3;
    let time = |measured: &Measured, n: i64| measured.rows.iter().find(|row| row.n == n)?.times.least();
    let common = first.rows.iter().filter_map(|row| {
        let n = row.n;
        Some((n as f64, (time(first, n)? / time(second, n)?).ln()))
    });
    let ratios: Vec<(f64, f64)> = common.filter(|(n, ratio)| *n > 0.0 && ratio.is_finite()).collect();
    let is_first = ratios.first()?.1 < 0.0;
    let sign = |ratio: f64| (ratio < 0.0) == is_first;
    let turn = ratios.iter().position(|(_, ratio)| !sign(*ratio))?;
    let stays = ratios[turn..].iter().all(|(_, ratio)| !sign(*ratio));
    if turn < EACH || ratios.len() - turn < EACH || !stays {
        return None;
    }
    let ((n, before), (next, after)) = (ratios[turn - 1], ratios[turn]);
    let share = before / (before - after);
    let at = (n.ln() + (next.ln() - n.ln()) * share).exp();
    Some((if is_first { &first.name } else { &second.name }, grouped(at.round() as u64)))
}

/// For which sizes all this holds, and which were left out.
pub fn shown(name: &str, all: &[Measured], stopped: bool) -> Vec<Note> {
    let mut lines = Vec::new();
    for measured in all {
        let of = if all.len() > 1 { format!("{}: ", measured.name) } else { String::new() };
        let Some(mut line) = sizes(name, measured).map(|sizes| format!("{of}measured for {sizes}")) else { continue };
        let left_out = list_sizes(&measured.left_out);
        match &measured.cut {
            _ if measured.left_out.is_empty() => {}
            Some(Cut::Stopped) => line.push_str(&format!("; not measured: {left_out}")),
            Some(Cut::Failed(..) | Cut::Endless(..)) | None => {
                line.push_str(&format!("; skipped for lack of time: {left_out}; allow more with --for"));
            }
        }
        // How many sizes there are is a matter of time.
        lines.push(Note::default().found(line));
    }
    if stopped {
        lines.push(Note::from("stopped: the sizes measured so far are kept").optional());
    }
    lines
}

/// `n = 2..64k only, at 31 sizes`, and how far the time goes where it ends earlier.
fn sizes(name: &str, measured: &Measured) -> Option<String> {
    let (first, last) = (measured.rows.first()?, measured.rows.last()?);
    let range = |last: i64| match first.n == last {
        true => format!("{name} = {}", short(last)),
        false => format!("{name} = {}..{}", short(first.n), short(last)),
    };
    let count = |count: usize| format!("{count} {}", if count == 1 { "size" } else { "sizes" });
    let timed: Vec<i64> = measured.rows.iter().filter(|row| row.times.least().is_some()).map(|row| row.n).collect();
    let all = format!("{} only, at {}", range(last.n), count(measured.rows.len()));
    Some(match timed.last() {
        Some(end) if *end < last.n => format!("{all}; timed for {}, at {}", range(*end), count(timed.len())),
        _ => all,
    })
}

/// The first few and the last.
fn list_sizes(sizes: &[i64]) -> String {
    const FEW: usize = 3;
    let all: Vec<String> = sizes.iter().map(|size| short(*size)).collect();
    match &all[..] {
        [first @ .., last] if all.len() > FEW + 1 => format!("{}, … {last}", first[..FEW].join(", ")),
        all => all.join(", "),
    }
}

/// A size as one would write it: 64k.
fn short(size: i64) -> String {
    match size {
        size if size >= 1_000_000 && size % 1_000_000 == 0 => format!("{}M", size / 1_000_000),
        size if size >= 1_000 && size % 1_000 == 0 => format!("{}k", size / 1_000),
        size => grouped(size.max(0) as u64),
    }
}

/// Whether a text uses a name.
pub fn names(text: &str, name: &str) -> bool {
    words(text).any(|(_, word)| word == name)
}

/// The line to type where a subject does not use the name: its last large number replaced by it.
pub fn with_name(text: &str, name: &str) -> String {
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let value =
        |word: &str| word.chars().filter(char::is_ascii_digit).collect::<String>().parse::<f64>().unwrap_or(0.0);
    let scaled = |word: &str| value(word) * if word.ends_with(['k', 'M', 'G']) { 1000.0 } else { 1.0 };
    let largest = words(text).filter(|(_, word)| is_number(word)).max_by(|a, b| scaled(a.1).total_cmp(&scaled(b.1)));
    match largest {
        Some((at, word)) => format!("%bigo {}{name}{}", &text[..at], &text[at + word.len()..]),
        None => format!("%bigo {name} in 1k..64k: letters {name} | join \"\""),
    }
}

/// The names and numbers of a text, with their places.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(is_part)?;
        let word = &rest[start..];
        let end = word.find(|c: char| !is_part(c)).unwrap_or(word.len());
        let at = text.len() - rest.len() + start;
        rest = &word[end..];
        Some((at, &word[..end]))
    })
}
