//! The pattern of `format`: a text with a place for each value.

/// How a place shows its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// `{}`: as `text(x)` does.
    Plain,
    /// `{:.2}`: a number with so many decimal places.
    Places(usize),
}

/// More decimal places are not shown.
pub const MOST_PLACES: usize = 100;

/// The text before the next place, how that shows its value, and what follows it.
pub fn next_place(pattern: &str) -> Option<(&str, Shown, &str)> {
    places(pattern).find_map(|(before, inside, after)| Some((before, shown(inside)?, after)))
}

/// What is written like a place, but is none: `{:5}`.
pub fn unknown_place(pattern: &str) -> Option<&str> {
    let whole = |before: &str, inside: &str| &pattern[before.len()..before.len() + inside.len() + 2];
    let mut wrong = places(pattern).filter(|(_, inside, _)| inside.starts_with(':') && shown(inside).is_none());
    wrong.next().map(|(before, inside, _)| whole(before, inside))
}

/// Braces without others between them: what stands before, inside and after.
fn places(pattern: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    pattern.match_indices('{').filter_map(|(start, _)| {
        let length = pattern[start + 1..].find(['{', '}'])?;
        let end = start + 1 + length;
        pattern[end..].starts_with('}').then(|| (&pattern[..start], &pattern[start + 1..end], &pattern[end + 1..]))
    })
}

fn shown(inside: &str) -> Option<Shown> {
    if inside.is_empty() {
        return Some(Shown::Plain);
    }
    let digits = inside.strip_prefix(":.").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|places| *places <= MOST_PLACES).map(Shown::Places)
}
