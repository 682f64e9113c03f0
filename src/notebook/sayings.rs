//! What a kind of measurement may say: sentences that another run prints instead, or not at all. A form is such a
//! sentence with places for what differs.
//!
//! ```text
//! form  = { text | "\" char | place | "[" forms "]" [ "*" ] | "<" forms ">" }
//! forms = form { "|" form }                 one of them; in [ ] also none, with a * any number of them
//! place = "{" kind "}"                      a value of this kind, see `place`
//! ```

use regex::{Regex, RegexSet, RegexSetBuilder};

use super::laws::Law;
use super::mask::{END, SAYS};

/// The forms of a measurement, in groups that measurements share. That of a line stands for one that is not always
/// there. The others have a mark:
///
/// - `~` words in a line or a cell that is always there
/// - `#` the cell of a row that is not always there
/// - `-` a line that says why rows are missing
/// - `•` the label of a series in a plot that is not always there
/// - `=` a line that repeats a row: one row of the tables has the cell `{row}`, a cell that begins with `{cell}`, and
///   the cell that stands before a ` ← `
/// - `⇔` the same, and each row with that cell has such a line
/// - `∀`, `∃` a law that figures obey, see `laws`
pub type Sayings = &'static [&'static [&'static str]];

/// Forms as regular expressions.
#[derive(Debug, Clone, Default)]
pub struct Says {
    lines: Expressions,
    words: Expressions,
    rows: Expressions,
    reasons: Expressions,
    labels: Expressions,
    repeats: Vec<Repeat>,
    /// As they were written.
    laws: Vec<String>,
}

/// A line that repeats what a row says.
#[derive(Debug, Clone)]
pub struct Repeat {
    /// The mark of the form, with the cell and the expression.
    written: String,
}

#[derive(Debug, Clone, Default)]
struct Expressions {
    each: Vec<String>,
    set: RegexSet,
}

impl Says {
    /// The forms of a measurement of something with these names.
    pub fn new(sayings: Sayings, names: &[String]) -> Says {
        let all: Vec<String> = sayings.iter().copied().flatten().map(|form| Says::marked(form, names)).collect();
        Says::of(all.iter().map(String::as_str))
    }

    /// The expression of a form, behind the mark of the form.
    fn marked(form: &str, names: &[String]) -> String {
        let bare = form.strip_prefix(KINDS).unwrap_or(form);
        let mark = &form[..form.len() - bare.len()];
        match bare.split_once(ARROW) {
            Some((cell, form)) => format!("{mark}{cell}{ARROW}{}", expression(form, names)),
            None if mark.starts_with(LAWS) => form.to_string(),
            None => format!("{mark}{}", expression(bare, names)),
        }
    }

    /// Those of marked expressions.
    fn of<'a>(all: impl Iterator<Item = &'a str> + Clone) -> Says {
        let behind = |mark: char| Expressions::new(all.clone().filter_map(move |one| one.strip_prefix(mark)));
        let lines = all.clone().filter(|one| !one.starts_with(KINDS));
        let repeats = all.clone().filter(|one| one.starts_with(REPEATS));
        Says {
            lines: Expressions::new(lines),
            words: behind('~'),
            rows: behind('#'),
            reasons: behind('-'),
            labels: behind('•'),
            laws: all.clone().filter(|one| one.starts_with(LAWS)).map(str::to_string).collect(),
            repeats: repeats.map(|one| Repeat { written: one.to_string() }).collect(),
        }
    }

    /// Whether a line is one that the measurement may print.
    pub fn allows_line(&self, line: &str) -> bool {
        self.lines.set.is_match(line)
    }

    /// What a line says, and of what, without what was measured: once said, it is not said again.
    pub fn said(&self, line: &str) -> Option<(usize, Vec<String>)> {
        let at = self.lines.set.matches(line).iter().next()?;
        let form = Regex::new(&self.lines.each[at]).expect("what is made of forms is an expression");
        let of = form.captures(line)?.iter().skip(1).flatten().map(|name| name.as_str().to_string()).collect();
        Some((at, of))
    }

    /// Whether words are some that the measurement may say; a dot says nothing.
    pub fn allows_words(&self, words: &str) -> bool {
        words == "·" || self.words.set.is_match(words)
    }

    /// Whether a cell is one of a row that is not always there.
    pub fn allows_row(&self, cell: &str) -> bool {
        self.rows.set.is_match(cell)
    }

    /// Whether some rows are not always there; no others may be missing then.
    pub fn has_optional_rows(&self) -> bool {
        !self.rows.each.is_empty()
    }

    /// Whether a line says why rows are missing.
    pub fn explains(&self, line: &str) -> bool {
        self.reasons.set.is_match(line)
    }

    /// Whether a plot may have a series with this label.
    pub fn allows_label(&self, label: &str) -> bool {
        self.labels.set.is_match(label)
    }

    pub fn laws(&self) -> impl Iterator<Item = Law> {
        self.laws.iter().filter_map(|written| Law::read(written))
    }

    pub fn repeats(&self) -> &[Repeat] {
        &self.repeats
    }

    pub fn is_empty(&self) -> bool {
        [&self.lines, &self.words, &self.rows, &self.labels].iter().all(|one| one.each.is_empty())
    }

    /// As a line of a pattern.
    pub fn written(&self) -> String {
        let kinds =
            [("", &self.lines), ("~", &self.words), ("#", &self.rows), ("-", &self.reasons), ("•", &self.labels)];
        let all = kinds.iter().flat_map(|(mark, kind)| kind.each.iter().map(move |one| format!("{mark}{one}")));
        let all = all.chain(self.repeats.iter().map(|repeat| repeat.written.clone())).chain(self.laws.iter().cloned());
        format!("{SAYS}{}", all.collect::<Vec<_>>().join(&END.to_string()))
    }

    /// What [`Says::written`] wrote.
    pub fn read(line: &str) -> Option<Says> {
        Some(Says::of(line.strip_prefix(SAYS)?.split(END)))
    }
}

/// What stands before a form that is not one of a line.
const KINDS: [char; 8] = ['~', '#', '-', '•', '=', '⇔', '∀', '∃'];
const REPEATS: [char; 2] = ['=', '⇔'];
const LAWS: [char; 2] = ['∀', '∃'];
/// Behind what follows from a line.
pub const ARROW: &str = " ← ";

impl Repeat {
    /// Whether each row with the cell has such a line.
    pub fn is_mutual(&self) -> bool {
        self.written.starts_with('⇔')
    }

    /// The cell that the row must have; none where any will do.
    pub fn cell(&self) -> Option<&str> {
        self.written.trim_start_matches(REPEATS).split_once(ARROW).map(|(cell, _)| cell)
    }

    /// The line, with the groups `row` and `cell`.
    pub fn line(&self) -> Regex {
        let bare = self.written.trim_start_matches(REPEATS);
        let expression = bare.split_once(ARROW).map_or(bare, |(_, expression)| expression);
        Regex::new(expression).expect("what is made of forms is an expression")
    }
}

impl Expressions {
    fn new<'a>(each: impl Iterator<Item = &'a str>) -> Expressions {
        // Many names in many forms are a large expression.
        const LARGEST: usize = 256 << 20;
        let each: Vec<String> = each.map(str::to_string).collect();
        let set = RegexSetBuilder::new(&each).size_limit(LARGEST).build();
        Expressions { set: set.expect("what is made of forms and of escaped names is an expression"), each }
    }
}

/// The regular expression of a form about something with these names.
pub fn expression(form: &str, names: &[String]) -> String {
    let mut found = String::from("^(?:");
    let mut rest = form.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '[' | '<' => found.push_str("(?:"),
            ']' => found.push_str(if rest.next_if_eq(&'*').is_some() { ")*" } else { ")?" }),
            '>' => found.push(')'),
            '|' => found.push('|'),
            '\\' => found.push_str(&regex::escape(&rest.next().map(String::from).unwrap_or_default())),
            '{' => found.push_str(&place(&rest.by_ref().take_while(|c| *c != '}').collect::<String>(), names)),
            c => found.push_str(&regex::escape(&c.to_string())),
        }
    }
    found.push_str(")$");
    found
}

/// The values of a kind.
fn place(kind: &str, names: &[String]) -> String {
    const CLASS: &str = "(?:1|constant|log log n|log n|√n|n|n log log n|n log n|n √n|n²|n² log n|n³|cⁿ|n!)";
    const NUMBER: &str = r"-?[0-9][0-9 .,]*(?:e-?[0-9]+)?";
    const TIME: &str = r"-?[0-9][0-9 .,]*(?:e-?[0-9]+)? ?(?:ns|µs|ms|s|min|h|days|years)";
    const BYTES: &str = r"[0-9][0-9 .,]* ?(?:B|[KMGTP]i?B)";
    let count = "[0-9][0-9 ]*";
    // What a sentence is about is a group.
    let name = || {
        let each: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
        format!("({})", each.join("|"))
    };
    match kind {
        "count" => count.to_string(),
        "number" => NUMBER.to_string(),
        "time" => TIME.to_string(),
        "bytes" => BYTES.to_string(),
        "ratio" => format!("{NUMBER}×"),
        "share" => format!("{NUMBER} ?%"),
        "throughput" => format!(r"(?:[0-9][0-9 .,]* ?(?:[kMGT] )?rows|{BYTES})/s"),
        "bars" => "[▁-█]+".to_string(),
        // A job's on a worker, over time.
        "tasks" => "[mrx·]+".to_string(),
        // What a profile counts.
        "weight" => format!(r"(?:{TIME}|{BYTES}|{count} \S+)"),
        // Which one of several, by its number.
        "which" => format!("({count})"),
        // Of a law.
        "figure" => format!("(?P<figure>{NUMBER})"),
        "other" => format!("(?P<other>{NUMBER})"),
        "growth" => format!(r"(?P<growth>O\({CLASS}\)|no class of the list|no claim)"),
        // Of a form that repeats a row.
        "row" => "(?P<row>.+?)".to_string(),
        "cell" => "(?P<cell>.+?)".to_string(),
        // Of a variant, a row, or whatever else is measured.
        "name" => name(),
        "names" => {
            let one = name();
            format!("({one}(?:(?:,|;) {one})*)")
        }
        // Classes of growth, and the sizes that they were seen at.
        "class" => format!(r"O\({CLASS}\)"),
        "classes" => format!(
            r"(?:O\({CLASS}\)|{CLASS}(?: or {CLASS})+|no class of the list(?:, exponent {NUMBER} ±{NUMBER})?|no claim)"
        ),
        "also" => format!("{CLASS}(?:, {CLASS})*"),
        // A narrow interval has two places.
        "exponent" => r"(?:-?[0-9]+\.[0-9]{2} ±0\.(?:0[0-9]|10)|-?[0-9]+\.[0-9] ±[0-9]+\.[0-9])".to_string(),
        "range" => {
            // Where nothing was measured, nothing has a name.
            let swept = if names.is_empty() { r"\S+".to_string() } else { name() };
            format!(r"{swept} = [0-9][0-9 kM]*(?:\.\.[0-9][0-9 kM]*)?")
        }
        "sizes" => "[0-9][0-9 kM,…]*".to_string(),
        "word" => r"(\S+)".to_string(),
        // The words of somebody else, such as an error of the system.
        "words" => "(.+)".to_string(),
        _ => unreachable!("`{kind}` is in a form but is not a kind"),
    }
}
