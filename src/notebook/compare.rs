//! Whether a cell prints what its file says, but for what was measured.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::LazyLock;

use regex::Regex;

use super::mask::{
    CUT, DRAWN, END, FEWER, LIKE, LIKE_OR_NONE, LOOSE, MAP, MARKS, MORE, PLURAL, SAID, SORTED, STATUS, VARIES,
};
use super::sayings::{Repeat, Says};
use super::verdicts;

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

/// The line below a table that says what has no room.
static BELOW: LazyLock<Regex> = LazyLock::new(|| {
    let (rows, columns) = ("(?P<rows>[0-9 ]+) more rows?", "(?P<columns>[0-9]+) more columns?: (?P<names>.*)");
    Regex::new(&format!("^… (?:{rows})?(?:, )?(?:{columns})?$")).expect("it is an expression")
});

/// How an output differs from what the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Lines of the file that do not fit.
    pub expected: Vec<String>,
    /// What is printed there, or what in the file contradicts them.
    pub got: Vec<String>,
}

/// Compares what a file says with what was printed, as it is and with marks.
///
/// # Errors
/// The first place where they differ, or where the file contradicts itself.
pub fn compare(expected: &str, printed: &str, masked: &str) -> Result<(), Comparison> {
    // A text that holds what we use as marks is compared as it is.
    let masked = if printed.contains(|c| MARKS.contains(&c)) { printed } else { masked };
    let (pattern, expected) = (pattern(masked), elements(expected));
    match places(&pattern, &expected) {
        Ok(places) => {
            let wrong = said_again(&pattern, &places, &expected, &elements(printed));
            wrong.or_else(|| contradiction(&pattern, &expected)).map_or(Ok(()), Err)
        }
        Err((at, furthest)) => {
            let printed = elements(printed);
            let all = places(&pattern, &printed).ok();
            let start = all.and_then(|places| places.get(at).copied()).unwrap_or(0);
            Err(differing(pattern.get(at), &expected, furthest, &printed[start.min(printed.len())..]))
        }
    }
}

/// For each element of a pattern, which of these elements it stands for; the first of several.
///
/// # Errors
/// How far they fit: an element of the pattern, and one of the others.
fn places(pattern: &[Wanted], expected: &[Element]) -> Result<Vec<usize>, (usize, usize)> {
    let explained = |says: &Says| expected.iter().filter_map(Element::line).any(|line| says.explains(line));
    let mut before: HashMap<(usize, usize), (usize, usize)> = HashMap::new();
    let (mut seen, mut open, mut furthest) = (HashSet::new(), vec![(0, 0)], (0, 0));
    while let Some((i, j)) = open.pop() {
        if !seen.insert((i, j)) {
            continue;
        }
        if i == pattern.len() && j == expected.len() {
            let mut places = vec![j; pattern.len()];
            let mut step = (i, j);
            while let Some(from) = before.get(&step) {
                if let Some(place) = places.get_mut(from.0) {
                    *place = from.1;
                }
                step = *from;
            }
            return Ok(places);
        }
        furthest = furthest.max((j, i));
        let Some(Wanted { element, says }) = pattern.get(i) else { continue };
        let here = expected.get(j);
        let mut next: Vec<(usize, usize)> = Vec::new();
        match element {
            Element::Table(grid) => {
                let other = here.and_then(Element::table);
                let other = other.filter(|other| grid.fits(other, says, explained(says)).is_none());
                let rows = pattern.get(i + 1).and_then(|next| next.element.line()).and_then(|it| it.strip_prefix(CUT));
                let below = expected.get(j + 1).and_then(Element::line);
                next.extend(other.and_then(|other| match rows {
                    Some(rows) => Some((i + 2, j + 1 + grid.left_out(other, rows, below)?)),
                    None => Some((i + 1, j + 1)),
                }));
            }
            // What another run has said, and this one does not.
            Element::Line(line) if line.starts_with(MORE) => {
                next.push((i + 1, j));
                let is_said = matches!(here, Some(Element::Line(line)) if says.allows_line(line));
                next.extend(is_said.then_some((i, j + 1)));
            }
            Element::Line(line) => {
                let rest = &expected[j.min(expected.len())..];
                next.extend(steps(line, rest, says).map(|n| (i + 1, j + n)));
            }
        }
        for to in next.into_iter().filter(|to| !seen.contains(to)) {
            before.insert(to, (i, j));
            open.push(to);
        }
    }
    let (j, i) = furthest;
    Err((i, j))
}

/// A line of a file that says again what it has said of the same, and this run does not.
fn said_again(pattern: &[Wanted], places: &[usize], expected: &[Element], printed: &[Element]) -> Option<Comparison> {
    let mut known: HashMap<(usize, (usize, Vec<String>)), usize> = HashMap::new();
    let is_more = |wanted: &Wanted| wanted.element.line().is_some_and(|line| line.starts_with(MORE));
    // Each stands for what is before the next.
    let ends = places.iter().skip(1).copied().chain([expected.len()]);
    for ((wanted, start), end) in pattern.iter().zip(places).zip(ends).filter(|((wanted, _), _)| is_more(wanted)) {
        for line in expected[(*start).min(end)..end].iter().filter_map(Element::line) {
            let Some(said) = wanted.says.said(line) else { continue };
            let own = printed.iter().filter_map(Element::line).filter_map(|line| wanted.says.said(line));
            let most = own.filter(|own| *own == said).count().max(1);
            let count = known.entry((Rc::as_ptr(&wanted.says).addr(), said)).or_default();
            *count += 1;
            if *count > most {
                return Some(Comparison { expected: vec![line.to_string()], got: Vec::new() });
            }
        }
    }
    None
}

/// An element of a pattern, and what may be said there.
struct Wanted {
    element: Element,
    says: Rc<Says>,
}

fn pattern(masked: &str) -> Vec<Wanted> {
    let mut says = Rc::new(Says::default());
    let mut wanted = Vec::new();
    for element in elements(masked) {
        match element.line().and_then(Says::read) {
            Some(read) => says = Rc::new(read),
            None => wanted.push(Wanted { element, says: says.clone() }),
        }
    }
    wanted
}

/// How many of the expected elements a line of the pattern may stand for.
fn steps(line: &str, expected: &[Element], says: &Says) -> impl Iterator<Item = usize> + use<> {
    let first = expected.first().and_then(Element::line);
    let rest = line.strip_prefix(|c| MARKS.contains(&c)).unwrap_or(line);
    let one = |fits: &dyn Fn(&str) -> bool| first.filter(|first| fits(first)).map(|_| 1);
    let mut counts: Vec<usize> = Vec::new();
    match line.chars().next() {
        Some(STATUS) => {
            // Where the file leaves it out.
            counts.extend(expected.is_empty().then_some(0));
            counts.extend(one(&|first| fits_loosely(rest, first, says)));
        }
        Some(LOOSE) => counts.extend(one(&|first| fits_loosely(rest, first, says))),
        Some(LIKE) => counts.extend(one(&|first| is_like(rest.split(END).next().unwrap_or(rest), first))),
        Some(LIKE_OR_NONE) => {
            counts.push(0);
            counts.extend(one(&|first| is_like(rest, first)));
        }
        Some(DRAWN) => {
            let mut parts = rest.split(END);
            let title = parts.next().unwrap_or_default();
            let words: HashSet<&str> = letters(parts.next().unwrap_or_default()).collect();
            let labels: Vec<&str> = parts.collect();
            let lines = expected.iter().map_while(Element::line).enumerate();
            let mut before = "";
            let drawn = lines.take_while(|(at, line)| {
                // Two rows of dots may be alike.
                let is_again = *line == before && line.contains(char::is_alphabetic) && !line.contains(is_frame);
                before = line;
                match at {
                    0 if !title.is_empty() => *line == title || is_cut(line, title),
                    _ => !is_again && (is_drawn(line, &words) || is_legend(line, &labels, says)),
                }
            });
            // The values below the x axis are one line.
            let mut axes = 0;
            let drawn = drawn.take_while(|(_, line)| {
                axes += usize::from(!title.is_empty() && is_of_values(line));
                axes < 2
            });
            // A title alone is no plot.
            counts.extend(2..=drawn.count());
        }
        Some(MAP) => {
            // What looks like a row of a table may be two lines of boxes.
            let is_box = |element: &Element| element.line().is_none_or(|line| line.starts_with(['┌', '│', '+', '|']));
            let is_last = |element: &Element| element.line().is_some_and(|line| is_like(rest, line));
            // The last line alone is no map.
            let boxes = expected.iter().take_while(|element| is_box(element)).count();
            counts.extend((boxes > 0 && expected.get(boxes).is_some_and(is_last)).then_some(boxes + 1));
        }
        _ => counts.extend(one(&|first| fits(line, first, says))),
    }
    counts.into_iter()
}

fn is_like(expression: &str, text: &str) -> bool {
    Regex::new(expression).is_ok_and(|expression| expression.is_match(text))
}

/// Whether a line is the beginning of a longer one.
fn is_cut(line: &str, whole: &str) -> bool {
    line.strip_suffix('…').is_some_and(|start| whole.starts_with(start.trim_end()))
}

/// What stands behind a number.
const UNITS: [&str; 18] =
    ["ns", "µs", "ms", "s", "min", "h", "B", "KiB", "MiB", "GiB", "TiB", "k", "M", "G", "T", "e", "days", "years"];

/// Whether a line of a plot has nothing but values, what is drawn, and these words, which may be cut.
fn is_drawn(line: &str, words: &HashSet<&str>) -> bool {
    let is_known = |word: &str| UNITS.contains(&word) || words.contains(word);
    let is_start = |word: &str| line.contains(&format!("{word}…")) && words.iter().any(|known| known.starts_with(word));
    letters(line).all(|word| is_known(word) || is_start(word))
}

/// Whether a character is one of the frame around a plot.
fn is_frame(c: char) -> bool {
    ('─'..='╿').contains(&c)
}

/// Whether a line of a plot has nothing but series that may be in it, each behind its sign.
fn is_legend(line: &str, labels: &[&str], says: &Says) -> bool {
    const SIGNS: &str = "●▲■◆○△□◇█▒░▓✱";
    let is_sign = |word: &str| word.chars().all(|c| SIGNS.contains(c) || ('⠀'..='⣿').contains(&c));
    let words: Vec<&str> = line.split(' ').collect();
    let entries = words.split(|word| is_sign(word)).map(|words| words.join(" "));
    let is_known =
        |label: &str| labels.iter().any(|known| *known == label || is_cut(label, known)) || says.allows_label(label);
    is_sign(words[0]) && entries.skip(1).all(|label| is_known(&label))
}

/// Whether a line of a plot has nothing but values.
fn is_of_values(line: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || " .,-+×%/".contains(c);
    line.chars().all(is_part)
        && line.contains(|c: char| c.is_ascii_digit())
        && letters(line).all(|w| UNITS.contains(&w))
}

/// The words of a text, without what stands between them.
fn letters(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty())
}

/// Whether a text is one of a pattern.
fn fits(pattern: &str, text: &str, says: &Says) -> bool {
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
    let found = Regex::new(&expression).ok().and_then(|expression| expression.captures(text));
    // Of a sentence a part may be missing, of a cell not all.
    let is_said = |said: &str| says.allows_words(said) || said.is_empty() && pattern.chars().count() > 1;
    found.is_some_and(|found| found.iter().skip(1).flatten().all(|said| is_said(said.as_str())))
}

/// The values of a kind of figure; nothing measured is a dot. What is said is captured.
fn kind(mark: char) -> Option<&'static str> {
    Some(match mark {
        '\u{e010}' => r"(?:-?\d[\d .,]* ?(?:ns|µs|ms|s|min|h|days|years)|·)",
        '\u{e011}' => r"(?:\d[\d .,]* ?(?:B|KiB|MiB|GiB|TiB)|·)",
        '\u{e012}' => r"(?:\d[\d ]*|·)",
        '\u{e013}' => r"(?:\d[\d .,]* ?(?:(?:[kMGT] )?rows|B|KiB|MiB|GiB|TiB)/s|·)",
        '\u{e014}' => r"(?:-?\d[\d .,e-]* ?%[ ▏▎▍▌▋▊▉█]*|·)",
        '\u{e015}' => r"(?:-?\d[\d .,]*×?(?: ?\[[\d ,.]*\])?|baseline|·)",
        '\u{e016}' => r"(?:.*)",
        '\u{e017}' => r"(?:-?\d[\d .,e-]*|-?inf|NaN|null|·)",
        '\u{e019}' => r"(?:true|false|·)",
        // As little as fits: what follows may be a figure.
        SAID => r"(?:·|(.*?))",
        PLURAL => "s?",
        _ => return None,
    })
}

/// Parts of a line that are there where they take long enough to be named.
const STARTS: [&str; 4] =
    ["compiled in \u{e010}", "started in \u{e010}", "the compiler started in \u{e010}", "floats rounded"];

/// The same for a line whose parts come and go with what was measured: each part with words must be there, and no part
/// may be there that is not known.
fn fits_loosely(pattern: &str, text: &str, says: &Says) -> bool {
    let parts = |line: &str| -> Vec<String> { without_brackets(line).split(" · ").map(str::to_string).collect() };
    let (mut wanted, found) = (parts(pattern), parts(text));
    for part in found {
        match wanted.iter().position(|known| fits(known, &part, says)) {
            Some(at) => drop(wanted.remove(at)),
            // What took so little time that this run does not name it.
            None if STARTS.iter().any(|known| fits(known, &part, says)) => {}
            None => return false,
        }
    }
    // A throughput and words about waiting are there where they say something.
    wanted.iter().all(|part| part.chars().all(|c| matches!(c, '\u{e013}' | SAID | ' ')))
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
    /// The rows of the file and of this run that have no partner; none where both say the same. `is_explained` says
    /// whether the file says why it has fewer rows.
    fn fits(&self, expected: &Grid, says: &Says, is_explained: bool) -> Option<Unpaired> {
        let heads = |grid: &Grid| grid.heads.iter().map(|head| bare(head)).collect::<Vec<_>>();
        let has = |mark: char| self.heads.first().is_some_and(|head| head.contains(mark));
        let width = expected.heads.len();
        if has(CUT) && (1..self.heads.len()).contains(&width) {
            let first = |cells: &[String]| cells[..width.min(cells.len())].to_vec();
            let rows = self.rows.iter().map(|row| first(row)).collect();
            return Grid { heads: first(&self.heads), rows }.fits(expected, says, is_explained);
        }
        // The last column has the room that is left.
        let is_last_cut = |at: usize, cell: &str, own: &str| has(CUT) && at + 1 == width && is_cut(cell, own);
        let mut both = heads(self).into_iter().zip(heads(expected)).enumerate();
        let is_head = |(at, (own, other)): (usize, (String, String))| own == other || is_last_cut(at, &other, &own);
        if self.heads.len() != width || !both.all(is_head) {
            return Some(Unpaired::Heads);
        }
        let may_be_more = has(VARIES) || has(FEWER);
        let has_optional = self.rows.iter().any(|row| is_optional(row, says));
        let may_be_fewer = has(VARIES) || is_explained && !says.has_optional_rows();
        let row_fits = |row: &[String], other: &[String]| {
            let mut cells = row.iter().zip(other).enumerate();
            row.len() == other.len()
                && cells.all(|(at, (cell, other))| fits(cell, other, says) || is_last_cut(at, other, cell))
        };
        let mut left: Vec<usize> = (0..expected.rows.len()).collect();
        let mut missing = Vec::new();
        // Where the rows that are not yet paired begin.
        let mut from = 0;
        for (at, row) in self.rows.iter().enumerate() {
            // Rows that are sorted by what was measured are compared as a set.
            let mut places = if has(SORTED) { 0 } else { from }..left.len();
            match places.find(|place| row_fits(row, &expected.rows[left[*place]])) {
                Some(place) => {
                    left.remove(place);
                    from = place;
                }
                None => missing.push(at),
            }
        }
        // Some rows are there where the machine allows them; where it does not, that is said.
        let is_value = |cell: &String| says.allows_row(cell) || cell == "·" || is_of_values(cell);
        let is_distinct = |at: usize| expected.rows[..at].iter().all(|row| row.first() != expected.rows[at].first());
        left.retain(|at| {
            let row = &expected.rows[*at];
            let is_other_run = !has_optional && is_optional(row, says) && row.iter().all(is_value) && is_distinct(*at);
            !(is_other_run || may_be_more && self.has_shape_of(row, says) && !expected.rows[..*at].contains(row))
        });
        missing.retain(|at| !(may_be_fewer || is_explained && is_optional(&self.rows[*at], says)));
        (!left.is_empty() || !missing.is_empty()).then_some(Unpaired::Rows { left, missing })
    }

    /// How many lines below a table of the file say which of these columns and how many rows have no room; none where
    /// they do not say so. A number of rows that is measured is empty.
    fn left_out(&self, expected: &Grid, rows: &str, below: Option<&str>) -> Option<usize> {
        let found = below.and_then(|line| BELOW.captures(line)).filter(|found| !found[0].is_empty());
        let part = |name: &str| found.as_ref().and_then(|found| found.name(name)).map_or("", |part| part.as_str());
        let hidden: Vec<String> = self.heads[expected.heads.len()..].iter().map(|head| bare(head)).collect();
        let hidden_rows = part("rows").replace(' ', "").parse().unwrap_or(0);
        let is_rows = rows.is_empty() || rows == (expected.rows.len() + hidden_rows).to_string();
        let names = hidden.join(", ");
        let is_columns = part("columns").parse().unwrap_or(0) == hidden.len()
            && (part("names") == names || is_cut(part("names"), &names));
        (is_rows && is_columns).then_some(usize::from(found.is_some()))
    }

    /// Whether what is measured in a row is of the kinds of this table.
    fn has_shape_of(&self, row: &[String], says: &Says) -> bool {
        let is_like = |(cell, other): (&String, &String)| !has_marks(cell) || fits(cell, other, says);
        self.rows.first().is_none_or(|first| first.len() == row.len() && first.iter().zip(row).all(is_like))
    }
}

/// What has no partner in two tables.
enum Unpaired {
    Heads,
    /// The rows of the file, and those of this run.
    Rows {
        left: Vec<usize>,
        missing: Vec<usize>,
    },
}

/// Whether a row is there where the machine allows it.
fn is_optional(row: &[String], says: &Says) -> bool {
    row.iter().any(|cell| says.allows_row(cell))
}

fn has_marks(text: &str) -> bool {
    text.contains(|c| MARKS.contains(&c))
}

/// A head without marks, and without what the bounds of a ratio are.
fn bare(head: &str) -> String {
    let name = head.split(" [").next().unwrap_or_default();
    name.chars().filter(|c| !MARKS.contains(c)).collect()
}

impl Element {
    fn line(&self) -> Option<&str> {
        match self {
            Element::Line(line) => Some(line),
            Element::Table(_) => None,
        }
    }

    fn table(&self) -> Option<&Grid> {
        match self {
            Element::Table(grid) => Some(grid),
            Element::Line(_) => None,
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

/// The lines from the first difference on, a few of each: those of the file, and those that were printed there.
fn differing(wanted: Option<&Wanted>, expected: &[Element], furthest: usize, printed: &[Element]) -> Comparison {
    const FEW: usize = 8;
    let rest = &expected[furthest.min(expected.len())..];
    if let (
        Some(Wanted { element: Element::Table(grid), says }),
        Some(Element::Table(other)),
        Some(Element::Table(own)),
    ) = (wanted, rest.first(), printed.first())
    {
        let explained = expected.iter().filter_map(Element::line).any(|line| says.explains(line));
        let row = |grid: &Grid, at: usize| grid.rows.get(at).map(|row| row.join(" │ "));
        match grid.fits(other, says, explained) {
            Some(Unpaired::Heads) => {
                return Comparison { expected: vec![other.heads.join(" │ ")], got: vec![own.heads.join(" │ ")] };
            }
            Some(Unpaired::Rows { left, missing }) => {
                return Comparison {
                    expected: left.into_iter().filter_map(|at| row(other, at)).collect(),
                    got: missing.into_iter().filter_map(|at| row(own, at)).collect(),
                };
            }
            None => {}
        }
    }
    let lines = |elements: &[Element]| -> Vec<String> {
        let of = |element: &Element| match element {
            Element::Line(line) => vec![line.clone()],
            Element::Table(grid) => std::iter::once(&grid.heads).chain(&grid.rows).map(|row| row.join(" │ ")).collect(),
        };
        let all: Vec<String> = elements.iter().flat_map(of).collect();
        let more = all.len().saturating_sub(FEW);
        let mut few: Vec<String> = all.into_iter().take(FEW).collect();
        few.extend((more > 0).then(|| format!("… {more} more lines")));
        few
    };
    Comparison { expected: lines(rest), got: lines(printed) }
}

/// What a file says of its own tables and they do not: a line that repeats a row, and a verdict beside its figures.
fn contradiction(pattern: &[Wanted], expected: &[Element]) -> Option<Comparison> {
    let tables: Vec<&Grid> = expected.iter().filter_map(Element::table).collect();
    let rows = || tables.iter().flat_map(|grid| grid.rows.iter());
    let lines: Vec<&str> = expected.iter().filter_map(Element::line).collect();
    let against = |line: &str, why: String| Some(Comparison { expected: vec![line.to_string()], got: vec![why] });
    let mut known: Option<&Rc<Says>> = None;
    for Wanted { says, .. } in pattern {
        if known.is_some_and(|known| Rc::ptr_eq(known, says)) {
            continue;
        }
        known = Some(says);
        // Of many rows only the first are shown.
        let is_whole = !lines.iter().any(|line| BELOW.is_match(line));
        for law in says.laws().filter(|law| is_whole || !law.needs_all_rows()) {
            if let Some((said, why)) = law.broken(&lines, &tables) {
                return against(&said, why);
            }
        }
        let repeats: Vec<(&Repeat, Regex)> = says.repeats().iter().map(|repeat| (repeat, repeat.line())).collect();
        for (repeat, form) in &repeats {
            for (line, found) in lines.iter().filter_map(|line| Some((line, form.captures(line)?))) {
                let name = found.name("row").map_or("", |name| name.as_str());
                let cell = found.name("cell").map(|cell| cell.as_str());
                let is_named = |row: &&Vec<String>| row.iter().any(|own| own == name || is_cut(own, name));
                let says_so = |row: &&Vec<String>| {
                    is_named(row)
                        && repeat.cell().is_none_or(|wanted| row.iter().any(|own| own == wanted))
                        && cell.is_none_or(|cell| row.iter().any(|own| begins_with(own, cell)))
                };
                // Of many rows only the first are shown.
                let named = rows().find(is_named);
                if rows().any(|row| says_so(&row)) || named.is_none() && !repeat.is_mutual() {
                    continue;
                }
                let why = named.map_or(format!("no row {name} in the file"), |row| row.join(" │ "));
                return against(line, why);
            }
        }
        for (repeat, _) in repeats.iter().filter(|(repeat, _)| repeat.is_mutual()) {
            let wanted = repeat.cell().unwrap_or_default();
            for row in rows().filter(|row| row.iter().any(|own| own == wanted)) {
                let is_said = |(other, form): &(&Repeat, Regex)| {
                    let names = lines.iter().filter_map(|line| Some(form.captures(line)?.name("row")?.as_str()));
                    other.cell() == Some(wanted) && names.clone().any(|name| row.iter().any(|own| own == name))
                };
                if !repeats.iter().any(is_said) {
                    return against(&row.join(" │ "), "no line in the file says so".to_string());
                }
            }
        }
    }
    if let Some(line) = lines.iter().find(|line| verdicts::contradicts_itself(line)) {
        return against(line, "its class and its exponent contradict each other".to_string());
    }
    tables.iter().find_map(|grid| {
        let row = verdicts::contradicted(grid)?;
        against(&grid.rows[row].join(" │ "), "its cells contradict each other".to_string())
    })
}

/// Whether a cell has this text, and behind it nothing but what is drawn.
fn begins_with(cell: &str, text: &str) -> bool {
    cell.strip_prefix(text).is_some_and(|rest| rest.chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '.'))
}
