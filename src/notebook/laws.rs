//! Laws that figures of one output obey. They stand beside the code that computes the figures, among the forms of what
//! a measurement may say; a file whose figures break one was changed.
//!
//! ```text
//! law       = ( "∀" | "∃" ) condition [ " ← " form ]        each row obeys it, or some row does
//! condition = clause { "or" clause }
//! clause    = relation { "and" relation }
//! relation  = sum ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) sum
//! sum       = product { ( "+" | "-" ) product }
//! product   = term { ( "*" | "/" ) term }
//! term      = number | "'" text "'" | "(" sum ")"
//!           | name [ "@" name ]       a place of the form, or a column of the row, or of the row with that first cell,
//!                                     which is 0 where there is no such row
//!           | "#(" condition ")"      the number of rows that obey it
//! ```
//!
//! With a form a law holds for each line of that form. Figures are rounded, so that only what no figure with these
//! digits could obey breaks a law; a row without one of the figures breaks none.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::compare::Grid;
use super::sayings::ARROW;
use super::verdicts::{class_in, interval_of};

/// Parts of laws.
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"'[^']*'|#\(|[a-z_]+|[0-9.]+|<=|>=|!=|[-=<>@+*/()]").expect("it is an expression"));

/// Which rows of an output obey a condition.
#[derive(Debug, Clone)]
pub struct Law {
    is_of_each: bool,
    condition: String,
    line: Option<Regex>,
}

/// A cell or a part of a sentence: what a figure may be, or words.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    /// At least and at most.
    Number(f64, f64),
    Words(String),
}

impl Law {
    /// What [`super::sayings::Says`] has written.
    pub fn read(written: &str) -> Option<Law> {
        let is_of_each = written.starts_with('∀');
        let bare = written.strip_prefix(['∀', '∃'])?;
        let (condition, form) = bare.split_once(ARROW).map_or((bare, None), |(law, form)| (law, Some(form)));
        let line = form.map(|form| Regex::new(form).expect("what is made of forms is an expression"));
        Some(Law { is_of_each, condition: condition.to_string(), line })
    }

    /// What breaks the law, a line or a row, and how the law says it.
    pub fn broken(&self, lines: &[&str], tables: &[&Grid]) -> Option<(String, String)> {
        let said = |found: Option<&Captures>| self.broken_with(found, tables);
        let Some(form) = &self.line else { return said(None) };
        lines.iter().find_map(|line| {
            let (row, law) = said(Some(&form.captures(line)?))?;
            Some((line.to_string(), format!("{law}: {row}")))
        })
    }

    fn broken_with(&self, line: Option<&Captures>, tables: &[&Grid]) -> Option<(String, String)> {
        let mut all = tables.iter().flat_map(|grid| grid.rows.iter().map(move |row| (*grid, &row[..])));
        let obeys = |row: (&Grid, &[String])| Reader::new(&self.condition, row, line, tables).obeyed();
        let law = format!("the file contradicts {}", self.condition);
        match self.is_of_each {
            true => all.find(|row| obeys(*row) == Some(false)).map(|(_, row)| (row.join(" │ "), law)),
            false => all.all(|row| obeys(row) != Some(true)).then_some((String::new(), law)),
        }
    }

    /// Whether it can be judged without some of the rows.
    pub fn needs_all_rows(&self) -> bool {
        !self.is_of_each || self.condition.contains("#(")
    }
}

/// A condition that is read with the figures of a row.
struct Reader<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    row: (&'a Grid, &'a [String]),
    line: Option<&'a Captures<'a>>,
    tables: &'a [&'a Grid],
}

impl<'a> Reader<'a> {
    fn new(
        condition: &'a str,
        row: (&'a Grid, &'a [String]),
        line: Option<&'a Captures<'a>>,
        tables: &'a [&'a Grid],
    ) -> Reader<'a> {
        let tokens = TOKEN.find_iter(condition).map(|token| token.as_str()).collect();
        Reader { tokens, at: 0, row, line, tables }
    }

    /// None where the row lacks what is asked for.
    fn obeyed(mut self) -> Option<bool> {
        let found = self.condition();
        assert_eq!(self.at, self.tokens.len(), "a law goes on: {:?}", self.tokens);
        found
    }

    fn takes(&mut self, token: &str) -> bool {
        let is_next = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(is_next);
        is_next
    }

    fn next(&mut self) -> &'a str {
        self.at += 1;
        self.tokens.get(self.at - 1).unwrap_or_else(|| panic!("a law ends too early: {:?}", self.tokens))
    }

    fn condition(&mut self) -> Option<bool> {
        let mut found = self.clause();
        while self.takes("or") {
            found = match (found, self.clause()) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        found
    }

    fn clause(&mut self) -> Option<bool> {
        let mut found = self.relation();
        while self.takes("and") {
            found = match (found, self.relation()) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        found
    }

    fn relation(&mut self) -> Option<bool> {
        let left = self.sum();
        let sign = self.next();
        let (left, right) = (left, self.sum());
        Some(match (left?, right?) {
            (Said::Number(least, most), Said::Number(from, to)) => match sign {
                "=" => is_same((least, most), (from, to)),
                "!=" => !is_same((least, most), (from, to)),
                "<" => least < to,
                "<=" => least <= to,
                ">" => most > from,
                _ => most >= from,
            },
            (Said::Words(one), Said::Words(other)) => (sign == "=") == is_same_text(&one, &other),
            _ => sign != "=",
        })
    }

    fn sum(&mut self) -> Option<Said> {
        let mut found = self.product();
        while let Some(sign) = ["+", "-"].into_iter().find(|sign| self.takes(sign)) {
            let right = self.product();
            found = computed(found, right, |one, other| match sign {
                "+" => (one.0 + other.0, one.1 + other.1),
                _ => (one.0 - other.1, one.1 - other.0),
            });
        }
        found
    }

    fn product(&mut self) -> Option<Said> {
        let mut found = self.term();
        while let Some(sign) = ["*", "/"].into_iter().find(|sign| self.takes(sign)) {
            let right = self.term();
            found = computed(found, right, |one, other| match sign {
                // By what may be 0 everything comes out.
                "/" if other.0 <= 0.0 && other.1 >= 0.0 => (f64::NEG_INFINITY, f64::INFINITY),
                "/" => ends(one, (1.0 / other.1, 1.0 / other.0)),
                _ => ends(one, other),
            });
        }
        found
    }

    fn term(&mut self) -> Option<Said> {
        match self.next() {
            "(" => {
                let found = self.sum();
                assert!(self.takes(")"), "a law has an open bracket: {:?}", self.tokens);
                found
            }
            "#(" => {
                let (start, row) = (self.at, self.row);
                let mut count = 0.0;
                for other in self.tables.iter().flat_map(|grid| grid.rows.iter().map(move |row| (*grid, &row[..]))) {
                    (self.at, self.row) = (start, other);
                    count += f64::from(u8::from(self.condition() == Some(true)));
                }
                // To its end.
                (self.at, self.row) = (start, row);
                self.condition();
                assert!(self.takes(")"), "a law has an open bracket: {:?}", self.tokens);
                Some(Said::Number(count, count))
            }
            text if text.starts_with('\'') => Some(Said::Words(text.trim_matches('\'').to_string())),
            number if number.starts_with(|c: char| c.is_ascii_digit()) => {
                let number = number.parse().expect("it is a number");
                Some(Said::Number(number, number))
            }
            name if self.takes("@") => {
                let row = self.next().trim_matches('\'');
                let named = |grid: &&&Grid| column(grid, name).is_some();
                let mut rows = self.tables.iter().filter(named).flat_map(|grid| grid.rows.iter().map(|it| (*grid, it)));
                let found = rows.find(|(_, cells)| cells.first().is_some_and(|first| first == row));
                found.map_or(Some(Said::Number(0.0, 0.0)), |(grid, cells)| cell(grid, cells, name))
            }
            name => match self.line.and_then(|line| line.name(name)) {
                Some(part) => read(part.as_str()),
                None => cell(self.row.0, self.row.1, name),
            },
        }
    }
}

/// The same as far as their digits go, and as far as what was computed from them was rounded.
fn is_same(one: (f64, f64), other: (f64, f64)) -> bool {
    const NEARLY: f64 = 0.01;
    let slack = NEARLY * one.0.abs().max(other.0.abs());
    one.0 <= other.1 + slack && other.0 <= one.1 + slack
}

/// Classes are the same where the likeliest is.
fn is_same_text(one: &str, other: &str) -> bool {
    match (class_in(one), class_in(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other || one.starts_with(&format!("{other}, ")) || other.starts_with(&format!("{one}, ")),
    }
}

fn computed(
    one: Option<Said>,
    other: Option<Said>,
    with: impl Fn((f64, f64), (f64, f64)) -> (f64, f64),
) -> Option<Said> {
    let (Said::Number(least, most), Said::Number(from, to)) = (one?, other?) else { return None };
    let (low, high) = with((least, most), (from, to));
    Some(Said::Number(low, high))
}

/// The least and the greatest product.
fn ends(one: (f64, f64), other: (f64, f64)) -> (f64, f64) {
    let all = [one.0 * other.0, one.0 * other.1, one.1 * other.0, one.1 * other.1];
    all.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
}

/// The name of a column without what the bounds of its ratios are.
fn column(grid: &Grid, name: &str) -> Option<usize> {
    grid.heads.iter().position(|head| head.split(" [").next() == Some(name))
}

/// The cell of this column. The bounds of a ratio stand in its cell, unless they have columns.
fn cell(grid: &Grid, row: &[String], name: &str) -> Option<Said> {
    if let Some(at) = column(grid, name) {
        return read(row.get(at)?);
    }
    let bounds = grid.heads.iter().position(|head| head.contains(" ["))?;
    let (low, high) = row.get(bounds)?.split_once('[')?.1.strip_suffix(']')?.split_once(' ')?;
    match name {
        "low" => read(low),
        "high" => read(high),
        _ => None,
    }
}

/// A figure with all that it may be, else words; nothing where nothing was measured.
fn read(text: &str) -> Option<Said> {
    (text != "·").then(|| match interval_of(text) {
        Some((low, high)) => Said::Number(low, high),
        None => Said::Words(text.to_string()),
    })
}
