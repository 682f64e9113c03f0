//! Whether a cell prints what its file says, but for what was measured.

use std::collections::HashSet;

use regex::Regex;

use super::mask::{DRAWN, LOOSE, MAP, MARKS, MORE, OPTIONAL, STATUS, word};

/// What is compared: borders of tables and runs of spaces are not.
#[derive(Debug, Clone, PartialEq)]
pub enum Element {
    Line(String),
    Table(Grid),
}

/// A table; parts that stand below each other for lack of room are one.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    pub heads: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// How an output differs from what the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Lines of the file that do not fit.
    pub expected: Vec<String>,
    /// What is printed there; measured figures are shown by their kinds.
    pub got: Vec<String>,
}

/// Compares what a file says with what was printed, as it is and with marks.
///
/// # Errors
/// The first place where they differ.
pub fn compare(expected: &str, printed: &str, masked: &str) -> Result<(), Comparison> {
    // A text that holds what we use as marks is compared as it is.
    let masked = if printed.contains(|c| MARKS.contains(&c)) { printed } else { masked };
    let (pattern, expected) = (elements(masked), elements(expected));
    let (mut seen, mut open, mut furthest) = (HashSet::new(), vec![(0, 0)], (0, 0));
    while let Some((i, j)) = open.pop() {
        if !seen.insert((i, j)) {
            continue;
        }
        if i == pattern.len() && j == expected.len() {
            return Ok(());
        }
        furthest = furthest.max((j, i));
        let Some(wanted) = pattern.get(i) else { continue };
        let here = expected.get(j);
        match wanted {
            Element::Table(grid) => {
                if matches!(here, Some(Element::Table(other)) if grid.fits(other).is_none()) {
                    open.push((i + 1, j + 1));
                }
            }
            Element::Line(line) => open.extend(steps(line, &expected[j.min(expected.len())..]).map(|n| (i + 1, j + n))),
        }
        // What another run has said, and this one does not.
        if matches!(wanted, Element::Line(line) if line.starts_with(MORE)) && matches!(here, Some(Element::Line(_))) {
            open.push((i, j + 1));
        }
    }
    let (j, i) = furthest;
    Err(differing(&pattern[i..], &expected[j..]))
}

/// How many of the expected elements a line of the pattern may stand for.
fn steps(line: &str, expected: &[Element]) -> impl Iterator<Item = usize> + use<> {
    let first = match expected.first() {
        Some(Element::Line(first)) => Some(first.as_str()),
        Some(Element::Table(_)) | None => None,
    };
    let rest = line.strip_prefix(|c| [OPTIONAL, LOOSE, DRAWN, MAP, STATUS, MORE].contains(&c)).unwrap_or(line);
    let mut counts: Vec<usize> = Vec::new();
    match line.chars().next() {
        Some(MORE) => counts.push(0),
        Some(OPTIONAL) => {
            counts.push(0);
            counts.extend(first.filter(|first| fits(rest, first)).map(|_| 1));
        }
        Some(STATUS) => {
            // Where the file leaves it out.
            counts.extend(expected.is_empty().then_some(0));
            counts.extend(first.filter(|first| fits_loosely(rest, first)).map(|_| 1));
        }
        Some(LOOSE) => counts.extend(first.filter(|first| fits_loosely(rest, first)).map(|_| 1)),
        Some(DRAWN) if first.is_some_and(|first| first.contains(rest)) => {
            let lines = expected.iter().take_while(|element| matches!(element, Element::Line(_))).count();
            // A title alone is no plot.
            counts.extend(2..=lines);
        }
        Some(DRAWN) => {}
        Some(MAP) => {
            let is_last = |element: &Element| matches!(element, Element::Line(line) if line.starts_with(rest.trim()));
            // The last line alone is no map.
            counts.extend(expected.iter().position(is_last).filter(|last| *last > 0).map(|last| last + 1));
        }
        _ => counts.extend(first.filter(|first| fits(line, first)).map(|_| 1)),
    }
    counts.into_iter()
}

/// Whether a text is one of a pattern.
fn fits(pattern: &str, text: &str) -> bool {
    if !pattern.contains(|c| MARKS.contains(&c)) {
        return pattern == text;
    }
    let mut expression = String::from("^");
    for c in pattern.chars() {
        match kind(c) {
            Some(kind) => expression.push_str(kind),
            None => expression.push_str(&regex::escape(&c.to_string())),
        }
    }
    expression.push('$');
    Regex::new(&expression).is_ok_and(|expression| expression.is_match(text))
}

/// The values of a kind of figure; nothing measured is a dot.
fn kind(mark: char) -> Option<&'static str> {
    Some(match mark {
        '\u{e010}' => r"(?:-?\d[\d .,]* ?(?:ns|µs|ms|s|min|h|days|years)|·)",
        '\u{e011}' => r"(?:\d[\d .,]* ?(?:B|KiB|MiB|GiB|TiB)|·)",
        '\u{e012}' => r"(?:\d[\d .,]*\S?( \S+)*|·)",
        '\u{e013}' => r"(?:\d.*/s|·)",
        '\u{e014}' => r"(?:-?\d[\d .,e-]* ?%[ ▏▎▍▌▋▊▉█]*|·)",
        '\u{e015}' => r"(?:-?\d[\d .,]*×?( ?\[.*\])?|baseline|·)",
        '\u{e016}' => r"(?:.*)",
        '\u{e017}' => r"(?:-?\d[\d .,e-]*|-?inf|NaN|null|·)",
        _ => return None,
    })
}

/// Parts of a line that are there where they take long enough to be named.
const STARTS: [&str; 6] = [
    "compiled in \u{e010}",
    "started in \u{e010}",
    "the compiler started in \u{e010}",
    "CPU-bound\u{e016}",
    "\u{e016}waiting\u{e016}",
    "floats rounded",
];

/// The same for a line whose parts come and go with what was measured: each part with words must be there, and no part
/// may be there that is not known.
fn fits_loosely(pattern: &str, text: &str) -> bool {
    let parts = |line: &str| -> Vec<String> { without_brackets(line).split(" · ").map(str::to_string).collect() };
    let (mut wanted, found) = (parts(pattern), parts(text));
    // A throughput and words about waiting are there where they say something.
    let is_bare = |part: &str| part.chars().all(|c| matches!(c, '\u{e013}' | '\u{e016}' | ' '));
    for part in found {
        match wanted.iter().position(|known| fits(known, &part)) {
            Some(at) => drop(wanted.remove(at)),
            // What took so little time that this run does not name it.
            None if STARTS.iter().any(|known| fits(known, &part)) => {}
            // What it waited for, in words.
            None if !part.contains(|c: char| c.is_ascii_digit()) && wanted.iter().any(|known| is_bare(known)) => {}
            None => return false,
        }
    }
    wanted.iter().all(|part| is_bare(part))
}

/// `(… user, … system)` is there where it is long enough.
fn without_brackets(line: &str) -> String {
    let mut out = line.to_string();
    while let Some(start) = out.find(" (")
        && let Some(length) = out[start..].find(')')
    {
        out.replace_range(start..=start + length, "");
    }
    out
}

impl Grid {
    /// The rows of both that have no partner; none where all have one.
    fn fits(&self, expected: &Grid) -> Option<(Vec<String>, Vec<String>)> {
        let bare = |head: &String| head.split(" [").next().unwrap_or_default().to_string();
        let heads = |grid: &Grid| grid.heads.iter().map(bare).collect::<Vec<_>>();
        let line = |row: &Vec<String>| row.join(" │ ");
        if heads(self) != heads(expected) {
            return Some((vec![line(&expected.heads)], vec![line(&self.heads)]));
        }
        let is_measured = self.rows.iter().flatten().any(|cell| cell.contains(|c| MARKS.contains(&c)));
        let row_fits = |row: &Vec<String>, other: &Vec<String>| {
            row.len() == other.len() && row.iter().zip(other).all(|(cell, other)| fits(cell, other))
        };
        let mut left: Vec<&Vec<String>> = expected.rows.iter().collect();
        let mut missing = Vec::new();
        for row in &self.rows {
            // Rows that are sorted by what was measured are compared as a set.
            let first = |left: &[&Vec<String>]| left.first().is_some_and(|other| row_fits(row, other)).then_some(0);
            let found = if is_measured { left.iter().position(|other| row_fits(row, other)) } else { first(&left) };
            match found {
                Some(at) => drop(left.remove(at)),
                None => missing.push(row),
            }
        }
        // How many sizes there are may be a matter of time.
        const MANY: usize = 5;
        let is_cut = is_measured
            && self.rows.len().min(expected.rows.len()) >= MANY
            && self.rows.len() != expected.rows.len()
            && (left.is_empty() || missing.is_empty());
        if is_cut || left.is_empty() && missing.is_empty() {
            return None;
        }
        Some((left.into_iter().map(line).collect(), missing.into_iter().map(line).collect()))
    }
}

impl Element {
    fn line(&self) -> Option<&str> {
        match self {
            Element::Line(line) => Some(line),
            Element::Table(_) => None,
        }
    }
}

/// What an output is made of, in its order. A table may be drawn with other lines, or with bars between its cells
/// alone.
pub fn elements(text: &str) -> Vec<Element> {
    let mut found: Vec<Element> = Vec::new();
    let mut lines = text.trim_end_matches('\n').lines().peekable();
    while let Some(line) = lines.peek().copied() {
        let starts_table = match Drawn::of(line) {
            Drawn::Border => true,
            Drawn::Row => {
                let mut ahead = lines.clone().skip(1);
                ahead.next().is_some_and(|next| Drawn::of(next) != Drawn::Other)
            }
            Drawn::Other => false,
        };
        if !starts_table {
            found.push(Element::Line(spaced(line)));
            lines.next();
            continue;
        }
        // The border above.
        let is_open = lines.next_if(|line| Drawn::of(line) == Drawn::Border).is_some();
        if is_open && !lines.peek().is_some_and(|line| Drawn::of(line) == Drawn::Row) {
            continue;
        }
        let mut rows: Vec<Vec<String>> = Vec::new();
        while let Some(row) = lines.next_if(|line| Drawn::of(line) != Drawn::Other) {
            if Drawn::of(row) == Drawn::Row {
                let bar = row.chars().next().unwrap_or('│');
                let inside = row.trim_end();
                let inside = inside.strip_prefix(bar).unwrap_or(inside);
                let inside = inside.strip_suffix(bar).unwrap_or(inside);
                let cells: Vec<&str> = inside.split(bar).collect();
                match rows.last_mut().filter(|_| goes_on(&cells)) {
                    Some(before) => before.iter_mut().zip(cells).for_each(|(cell, more)| {
                        *cell = spaced(&format!("{cell} {more}"));
                    }),
                    None => rows.push(cells.into_iter().map(spaced).collect()),
                }
            } else if row.starts_with(['└', '╰', '╚'])
                || row.starts_with('+') && !lines.peek().is_some_and(|line| Drawn::of(line) == Drawn::Row)
            {
                break;
            }
        }
        let heads = if rows.is_empty() { Vec::new() } else { rows.remove(0) };
        let grid = Grid { heads, rows };
        let apart = match found.last_mut() {
            Some(Element::Table(before)) => before.join(grid).err(),
            Some(Element::Line(_)) | None => Some(grid),
        };
        found.extend(apart.map(Element::Table));
    }
    // Nothing is one empty line, which says nothing.
    found.retain(|element| *element != Element::Line(String::new()));
    found
}

/// How a line looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drawn {
    /// Lines and corners alone.
    Border,
    /// It begins and ends with a bar.
    Row,
    Other,
}

impl Drawn {
    fn of(line: &str) -> Drawn {
        const BARS: [char; 4] = ['│', '|', '║', '┃'];
        let line = line.trim_end();
        let is_corner = |c: char| ('─'..='╿').contains(&c) && !BARS.contains(&c) || matches!(c, '+' | '-' | '=' | ':');
        let starts = line.starts_with(|c: char| ('┌'..='╬').contains(&c) || ('╭'..='╰').contains(&c) || c == '+');
        let is_row =
            BARS.iter().any(|bar| line.len() > 2 * bar.len_utf8() && line.starts_with(*bar) && line.ends_with(*bar));
        let is_inner =
            line.starts_with('|') && line.trim_matches('|').chars().all(|c| matches!(c, '-' | '+' | '|' | ':' | ' '));
        match line.chars().count() {
            3.. if starts && !line.starts_with(BARS) && line.chars().all(is_corner) => Drawn::Border,
            3.. if is_inner && line.contains("--") => Drawn::Border,
            3.. if is_row => Drawn::Row,
            _ => Drawn::Other,
        }
    }
}

/// Whether a line of a table is a further one of the row above: a long last cell goes on with an indent.
fn goes_on(cells: &[&str]) -> bool {
    let Some((last, others)) = cells.split_last() else { return false };
    last.starts_with("   ") && !last.trim().is_empty() && others.iter().all(|cell| cell.trim().is_empty())
}

impl Grid {
    /// Joins the other where it is a further part: it begins with the columns that name the rows.
    fn join(&mut self, other: Grid) -> Result<(), Grid> {
        let is_shared = |i: &usize| {
            let cells = |grid: &Grid| grid.rows.iter().map(|row| row.get(*i).cloned()).collect::<Vec<_>>();
            self.heads.get(*i) == other.heads.get(*i) && cells(self) == cells(&other)
        };
        let shared = (0..self.heads.len()).take_while(is_shared).count();
        if shared == 0 || other.heads.len() <= shared {
            return Err(other);
        }
        self.heads.extend(other.heads.into_iter().skip(shared));
        self.rows.iter_mut().zip(other.rows).for_each(|(row, more)| row.extend(more.into_iter().skip(shared)));
        Ok(())
    }
}

/// With single spaces.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The lines from the first difference on, a few of each.
fn differing(pattern: &[Element], expected: &[Element]) -> Comparison {
    const FEW: usize = 8;
    // What another run may say, or this one need not, says nothing of a difference.
    let may_go = |element: &&Element| element.line().is_some_and(|line| line.starts_with([MORE, OPTIONAL]));
    let pattern = &pattern[pattern.iter().take_while(may_go).count()..];
    if let (Some(Element::Table(grid)), Some(Element::Table(other))) = (pattern.first(), expected.first())
        && let Some((expected, got)) = grid.fits(other)
    {
        return Comparison { expected, got: got.iter().map(|line| shown(line)).collect() };
    }
    let lines = |elements: &[Element]| -> Vec<String> {
        let of = |element: &Element| match element {
            Element::Line(line) => vec![shown(line)],
            Element::Table(grid) => {
                std::iter::once(&grid.heads).chain(&grid.rows).map(|row| shown(&row.join(" │ "))).collect()
            }
        };
        let all: Vec<String> = elements.iter().flat_map(of).filter(|line| !line.is_empty()).collect();
        let more = all.len().saturating_sub(FEW);
        let mut few: Vec<String> = all.into_iter().take(FEW).collect();
        few.extend((more > 0).then(|| format!("… {more} more lines")));
        few
    };
    Comparison { expected: lines(expected), got: lines(pattern) }
}

fn shown(line: &str) -> String {
    line.chars().map(|c| if MARKS.contains(&c) { word(c).to_string() } else { c.to_string() }).collect()
}
