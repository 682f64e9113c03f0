//! What tutorials print, changed in one place at a time: each change that the measurement could not have printed is
//! found. `TIMELAB_CASES` is how many changes of a kind are tried in each cell, `TIMELAB_TUTORIALS` which tutorials.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use timelab::notebook::{Notebook, compare};
use timelab::player::Player;

/// A changed output, and what was changed.
struct Mutation {
    kind: &'static str,
    what: String,
    text: String,
}

/// Names of columns whose figures are counted, whatever the table.
const COUNTED: [&str; 22] = [
    "n",
    "lines",
    "steps",
    "tasks",
    "in",
    "out",
    "bytes",
    "records",
    "partition",
    "task",
    "attempt",
    "round",
    "calls",
    "rows_in",
    "rows_out",
    "threads",
    "processes",
    "schedules",
    "year",
    "published",
    "peak_waiting",
    "step",
];

/// What stands behind a number, or in the place of one.
const UNITS: [&str; 18] =
    ["ns", "µs", "ms", "s", "min", "h", "B", "KiB", "MiB", "GiB", "k", "M", "G", "T", "baseline", "NaN", "inf", "null"];

#[test]
fn changes_of_what_tutorials_say_are_found() {
    let cases = std::env::var("TIMELAB_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(12);
    let wanted = std::env::var("TIMELAB_TUTORIALS").unwrap_or("2 9".to_string());
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::set_current_dir(root).expect("the project is there");
    let mut random = fastrand::Rng::with_seed(7);
    let mut tried: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut uncaught = String::new();
    for tour in timelab::magics::tour::ALL {
        if !wanted.split(' ').any(|wanted| wanted == tour.number.to_string()) {
            continue;
        }
        let notebook = Notebook::parse(tour.text).unwrap_or_else(|faulty| panic!("{}: {faulty:?}", tour.number));
        let mut player = Player::fresh();
        for (fence, cell) in notebook.cells() {
            if fence.directives.unmet().is_some() || fence.directives.slow {
                continue;
            }
            let context = player.session.context();
            let ran = player.cell(&cell.input, fence.look, &context);
            let found = compare(&cell.output, &ran.printed, &ran.masked);
            assert!(found.is_ok(), "{}: {}\n{}\n{found:?}", tour.number, cell.input, ran.printed);
            if ran.printed.contains("skipped for lack of time") {
                // On a busy machine: what this run lacks cannot be compared.
                continue;
            }
            for mut some in by_kind(&cell.output) {
                random.shuffle(&mut some);
                for Mutation { kind, what, text } in some.into_iter().take(cases) {
                    let (all, missed) = tried.entry(kind).or_default();
                    *all += 1;
                    if text != cell.output && compare(&text, &ran.printed, &ran.masked).is_ok() {
                        *missed += 1;
                        let first = cell.input.lines().next().unwrap_or_default();
                        let _ = writeln!(uncaught, "{} {first:.40}: {kind}: {what}", tour.number);
                    }
                }
            }
        }
    }
    println!("{tried:?}\n{uncaught}");
    assert!(uncaught.is_empty(), "{tried:?}\n{uncaught}");
}

/// All mutations of an output, a list for each kind.
fn by_kind(output: &str) -> Vec<Vec<Mutation>> {
    let lines: Vec<&str> = output.lines().collect();
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    let of = |kind, what: &str, text: String| Mutation { kind, what: what.trim().to_string(), text };
    let (mut removed, mut doubled, mut exchanged) = (Vec::new(), Vec::new(), Vec::new());
    let (mut words, mut figures) = (Vec::new(), Vec::new());
    let (mut said, mut intervals) = (Vec::new(), Vec::new());
    for (at, line) in lines.iter().enumerate() {
        let mut without = lines.clone();
        without.remove(at);
        let mut twice = lines.clone();
        twice.insert(at, line);
        if is_sentence(line) {
            said.push(of("a sentence doubled", line, joined(&twice)));
            let mut apart = lines.clone();
            apart.push(line);
            said.push(of("a sentence said again at the end", line, joined(&apart)));
        }
        intervals.extend(intervals_of(line).into_iter().map(|changed| {
            let mut other = lines.clone();
            other[at] = &changed;
            of("an interval", &changed, joined(&other))
        }));
        if let Some(heads) = heads_of(&lines, at) {
            removed.push(of("a row removed", line, joined(&without)));
            doubled.push(of("a row doubled", line, joined(&twice)));
            if heads_of(&lines, at + 1).is_some() {
                let mut swapped = lines.clone();
                swapped.swap(at, at + 1);
                exchanged.push(of("two rows exchanged", line, joined(&swapped)));
            }
            figures.extend(counted(&lines, at, &heads).into_iter().map(|(what, changed)| {
                let mut other = lines.clone();
                other[at] = &changed;
                of("a counted figure", &what, joined(&other))
            }));
        }
        for (start, word) in words_of(line) {
            let changed = format!("{}{}{}", &line[..start], other_word(word), &line[start + word.len()..]);
            let mut other = lines.clone();
            other[at] = &changed;
            words.push(of("a word", &format!("{word} in {line}"), joined(&other)));
        }
    }
    vec![removed, doubled, exchanged, words, figures, said, intervals]
}

/// Whether a line says something: it is no part of a table, a plot or a map.
fn is_sentence(line: &str) -> bool {
    let is_drawn = |c: char| ('─'..='╿').contains(&c) || ('⠀'..='⣿').contains(&c) || "●▲█▒".contains(c);
    !line.contains(is_drawn) && line.split_whitespace().filter(|word| word.contains(char::is_alphabetic)).count() > 2
}

/// The line with each of its intervals changed so that no measurement has it.
fn intervals_of(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some((start, rest)) = line.split_once("exponent ")
        && let Some((middle, error)) = rest.split_once(" ±")
        && start.contains("O(")
    {
        found.push(format!("{start}exponent 9{middle} ±{error}"));
        found.push(format!("{start}exponent {middle} ±-{error}"));
        found.push(format!("{start}exponent {middle} ±1 ms{}", &error[error.find(' ').unwrap_or(error.len())..]));
    }
    for (at, _) in line.match_indices("× [") {
        let bounds = &line[at + "× [".len()..];
        if let Some((low, high)) = bounds.split_once(']').and_then(|(bounds, _)| bounds.split_once(' '))
            && low != high
        {
            let rest = &bounds[low.len() + high.len() + 2..];
            found.push(format!("{}× [{high} {low}]{rest}", &line[..at]));
        }
    }
    found
}

/// The heads above a row of a table; none where the line is no row.
fn heads_of(lines: &[&str], at: usize) -> Option<Vec<String>> {
    let row = lines.get(at).filter(|line| line.starts_with('│') && line.ends_with('│'))?;
    // A further line of the row above has no first cell.
    let has_start = row.split('│').nth(1).is_some_and(|cell| !cell.trim().is_empty());
    let border = lines[..at].iter().rposition(|line| !line.starts_with('│'))?;
    let is_body = has_start && border > 0 && lines[border].starts_with('├');
    is_body.then(|| lines[border - 1].split('│').map(|head| head.trim().to_string()).collect())
}

/// Each figure of the row that is in a counted column, changed: what it is, and the row.
fn counted(lines: &[&str], at: usize, heads: &[String]) -> Vec<(String, String)> {
    let cells: Vec<&str> = lines[at].split('│').collect();
    let mut changed = Vec::new();
    for (i, (cell, head)) in cells.iter().zip(heads).enumerate() {
        let digit = cell.char_indices().rev().find(|(_, c)| c.is_ascii_digit());
        if let (Some((place, digit)), true) = (digit, COUNTED.contains(&head.as_str())) {
            let other = if digit == '7' { '3' } else { '7' };
            let mut row: Vec<String> = cells.iter().map(|cell| cell.to_string()).collect();
            row[i] = format!("{}{other}{}", &cell[..place], &cell[place + 1..]);
            changed.push((format!("{head} {} in {}", cell.trim(), lines[at]), row.join("│")));
        }
    }
    changed
}

/// The words of a line and their places.
fn words_of(line: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut rest = 0;
    while let Some(start) = line[rest..].find(char::is_alphabetic).map(|at| rest + at) {
        let end = line[start..].find(|c: char| !c.is_alphabetic()).map_or(line.len(), |at| start + at);
        let word = &line[start..end];
        // The tasks of a worker over time, and what the bounds of a ratio are.
        let is_drawn = line.starts_with("worker ") && start > "worker ".len();
        let is_bound = line[..start].ends_with("[95% ");
        found.extend((!UNITS.contains(&word) && !is_drawn && !is_bound).then_some((start, word)));
        rest = end;
    }
    found
}

/// Another word, as long as the first so that nothing moves.
fn other_word(word: &str) -> String {
    let other: String = word.chars().rev().collect();
    if other == word || word.chars().count() < 2 { "q".repeat(word.chars().count()) } else { other }
}
