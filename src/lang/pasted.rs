//! Numbers as displays show them, which are not numbers of the language: `63 911`, `1,000`, `16.2 ms`.

use crate::diagnostic::{Diagnostic, Kind, Span};

/// What stands between groups of three digits: a comma, or a space at which no line breaks.
const BETWEEN: [char; 5] = [',', '\u{202f}', '\u{a0}', '\u{2009}', '\u{2007}'];

/// Units that follow a number after a space, and how they are typed.
const UNITS: [(&str, &str); 16] = [
    ("k", "k"),
    ("M", "M"),
    ("G", "G"),
    ("KB", "KB"),
    ("MB", "MB"),
    ("GB", "GB"),
    ("KiB", "KiB"),
    ("MiB", "MiB"),
    ("GiB", "GiB"),
    ("min", "min"),
    ("s", "s"),
    ("ms", "ms"),
    ("µs", "e-6"),
    ("us", "e-6"),
    ("ns", "e-9"),
    ("B", ""),
];

/// Where an error of a cell stands at a number as displays show it, how it is typed.
pub fn pasted_number(text: &str, error: &Diagnostic) -> Option<String> {
    let Span { start, end, .. } = error.span?;
    let (start, end) = (start as usize, end as usize);
    let (mut before, mut earlier) = (' ', ' ');
    let starts = text.char_indices().filter(|(_, c)| {
        // The end of a range begins after two points.
        let inside = before == '_' || before.is_alphanumeric() || before == ',' || (before == '.' && earlier != '.');
        (earlier, before) = (before, *c);
        c.is_ascii_digit() && !inside
    });
    starts.map(|(at, _)| (at, shown(&text[at..]))).find_map(|(at, found)| {
        let (typed, length) = found?;
        let inside = at <= start && end <= at + length;
        let touches = error.kind == Kind::Syntax && at <= end && start <= at + length;
        (inside || touches).then_some(typed)
    })
}

/// The number that a text begins with, as it is typed, and its length; none where it is typed like that already.
fn shown(text: &str) -> Option<(String, usize)> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let first = digits(text);
    let (mut typed, mut at, mut grouped) = (text[..first].to_string(), first, false);
    while let Some(c) = text[at..].chars().next().filter(|c| BETWEEN.contains(c)) {
        let group = &text[at + c.len_utf8()..];
        if first > 3 || digits(group) != 3 {
            break;
        }
        typed.push_str(&group[..3]);
        at += c.len_utf8() + 3;
        grouped = true;
    }
    if let Some(fraction) = text[at..].strip_prefix('.').filter(|fraction| digits(fraction) > 0) {
        let length = 1 + digits(fraction);
        typed.push_str(&text[at..at + length]);
        at += length;
    }
    let unit = text[at..].strip_prefix([' ', '\u{202f}', '\u{a0}']).map(|rest| (text.len() - rest.len(), rest));
    let unit = unit.and_then(|(start, rest)| {
        let name = &rest[..rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len())];
        UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, unit)| (*unit, start + name.len()))
    });
    match unit {
        Some((unit, end)) => Some((typed + unit, end)),
        None if grouped => Some((typed, at)),
        None => None,
    }
}
