//! Notebooks: Markdown whose fences `console timelab` hold cells and what they printed. Here is the format, what may
//! differ between two runs, and how outputs are written. It knows no terminal and runs no cell.
//!
//! ```text
//! notebook  = { prose | comment | fence }
//! comment   = "<!-- timelab: " directives " -->"                     stands before a fence
//! fence     = "```console timelab" { " width=" number | " format=" format } { cell } "```"
//! cell      = "› " line { "… " line } { output }
//! output    = a line; one that begins with ›, … or \ has a leading \
//! ```

mod compare;
mod directives;
mod export;
mod mask;
mod mime;
mod write;

use std::ops::Range;
use std::path::Path;

use crate::show::Format;

pub use compare::{Comparison, compare};
pub use directives::{Directives, Needed};
pub use export::{Form, Output, export, import};
pub use mask::{MARKS, masked};
pub use mime::{Bundle, bundles, data_bundle, language_info, text_bundle};
pub use write::{cell_text, drawn, fence_of, output_text, printed, prose, replaced, style, updated};

/// Characters in a line of output where the fence does not say.
pub const WIDTH: usize = 80;
/// The name of the kernel of Jupyter and of its language.
pub const KERNEL: &str = "timelab";
/// What a fence says to hold cells.
pub const INFO: &str = "console timelab";

/// Whether a file of this name is a notebook; others hold cells alone.
pub fn is_notebook(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
}

/// A parsed notebook. All places are bytes of its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Notebook {
    pub text: String,
    pub fences: Vec<Fence>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Fence {
    /// Of its first line, from 1.
    pub line: usize,
    /// The whole fence with its directives.
    pub range: Range<usize>,
    /// How its outputs look.
    pub look: Look,
    pub directives: Directives,
    pub cells: Vec<NotebookCell>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Characters in a line.
    pub width: usize,
    /// Of tables.
    pub format: Format,
}

impl Default for Look {
    fn default() -> Look {
        Look { width: WIDTH, format: Format::Table }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct NotebookCell {
    /// Of its first line, from 1.
    pub line: usize,
    pub input: String,
    /// What the file says that it prints, without escapes, each line with its end.
    pub output: String,
    /// Where the cell stands, and where its output does.
    pub range: Range<usize>,
    pub output_range: Range<usize>,
}

/// What is wrong with a file, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faulty {
    pub line: usize,
    pub message: String,
}

impl Notebook {
    /// Whether lines end as on Windows.
    pub fn has_crlf(&self) -> bool {
        self.text.contains("\r\n")
    }

    pub fn cells(&self) -> impl Iterator<Item = (&Fence, &NotebookCell)> {
        self.fences.iter().flat_map(|fence| fence.cells.iter().map(move |cell| (fence, cell)))
    }

    /// # Errors
    /// Where a fence or a comment is not closed, and where a word is unknown.
    pub fn parse(text: &str) -> Result<Notebook, Faulty> {
        let mut reader = Reader { lines: lines(text), at: 0 };
        let mut fences = Vec::new();
        let mut pending: Option<(usize, usize, Directives)> = None;
        while let Some(line) = reader.next() {
            if let Some(rest) = line.text.trim_start().strip_prefix("<!--") {
                let start = line.start;
                let comment = reader.comment(&line, rest)?;
                if let Some(words) = comment.trim_start().strip_prefix("timelab:") {
                    forgotten(&pending)?;
                    let directives = Directives::parse(words).map_err(|message| line.faulty(message))?;
                    pending = Some((line.number, start, directives));
                }
            } else if let Some(opening) = Opening::of(line.text) {
                match opening.look(&line)? {
                    None => {
                        forgotten(&pending)?;
                        reader.skip(&line, &opening)?;
                    }
                    Some(look) => {
                        let (_, start, directives) =
                            pending.take().unwrap_or((line.number, line.start, Directives::default()));
                        let cells = reader.cells(&line, &opening)?;
                        let range = start..reader.lines[reader.at - 1].end;
                        fences.push(Fence { line: line.number, range, look, directives, cells });
                    }
                }
            } else if !line.text.trim().is_empty() {
                forgotten(&pending)?;
            }
        }
        forgotten(&pending)?;
        Ok(Notebook { text: text.to_string(), fences })
    }
}

/// Directives are for the next fence of cells, and stand right before it.
fn forgotten(pending: &Option<(usize, usize, Directives)>) -> Result<(), Faulty> {
    match pending {
        None => Ok(()),
        Some((line, ..)) => Err(Faulty { line: *line, message: format!("no fence `{INFO}` follows these directives") }),
    }
}

#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    /// From 1.
    number: usize,
    /// Without its end.
    text: &'a str,
    start: usize,
    /// Behind its end.
    end: usize,
}

impl Line<'_> {
    fn faulty(&self, message: impl Into<String>) -> Faulty {
        Faulty { line: self.number, message: message.into() }
    }
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut start = 0;
    let line = |(i, whole): (usize, &str)| {
        let bare = whole.strip_suffix('\n').unwrap_or(whole);
        let length = bare.strip_suffix('\r').unwrap_or(bare).len();
        let line = Line { number: i + 1, text: &text[start..start + length], start, end: start + whole.len() };
        start = line.end;
        line
    };
    text.split_inclusive('\n').enumerate().map(line).collect()
}

/// The first line of a fence.
struct Opening<'a> {
    sign: char,
    count: usize,
    info: &'a str,
}

impl<'a> Opening<'a> {
    fn of(line: &'a str) -> Option<Opening<'a>> {
        let rest = line.trim_start_matches(' ');
        // More is a block of code.
        if line.len() - rest.len() > 3 {
            return None;
        }
        let sign = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let count = rest.chars().take_while(|c| *c == sign).count();
        let info = rest[count..].trim();
        // Signs behind it are those of code within a line.
        (count >= 3 && !(sign == '`' && info.contains('`'))).then_some(Opening { sign, count, info })
    }

    /// How its outputs look; none where it holds no cells.
    fn look(&self, line: &Line) -> Result<Option<Look>, Faulty> {
        let words: Vec<&str> = self.info.split_whitespace().collect();
        match &words[..] {
            ["console", "timelab", more @ ..] => {
                let mut look = Look::default();
                for word in more {
                    match word.split_once('=') {
                        Some(("format", name)) => look.format = format_named(name).map_err(|why| line.faulty(why))?,
                        _ => look.width = width(word).map_err(|why| line.faulty(why))?,
                    }
                }
                Ok(Some(look))
            }
            words if words.contains(&"timelab") => {
                Err(line.faulty(format!("expected a fence `{INFO}`, got `{}`", self.info)))
            }
            _ => Ok(None),
        }
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let text = line.trim();
        let indent = line.len() - line.trim_start_matches(' ').len();
        indent <= 3 && text.chars().count() >= self.count && text.chars().all(|c| c == self.sign)
    }
}

fn width(word: &str) -> Result<usize, String> {
    const NARROWEST: usize = 20;
    const WIDEST: usize = 400;
    let number = word.strip_prefix("width=").and_then(|number| number.parse().ok());
    let fits = |width: &usize| (NARROWEST..=WIDEST).contains(width);
    let expected = || format!("expected `width={NARROWEST}` to `width={WIDEST}` or `format=csv`, got `{word}`");
    number.filter(fits).ok_or_else(expected)
}

fn format_named(name: &str) -> Result<Format, String> {
    let found = Format::ALL.iter().find(|(known, _)| *known == name);
    let known = || Format::ALL.map(|(known, _)| known).join("`, `");
    found.map(|(_, format)| *format).ok_or_else(|| format!("unknown format `{name}`: expected `{}`", known()))
}

struct Reader<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Line<'a>> {
        let line = self.lines.get(self.at).copied();
        self.at += usize::from(line.is_some());
        line
    }

    /// The text of a comment whose first line ends with `rest`.
    fn comment(&mut self, first: &Line, rest: &str) -> Result<String, Faulty> {
        let mut text = String::new();
        let mut rest = rest.to_string();
        loop {
            if let Some((inside, _)) = rest.split_once("-->") {
                text.push_str(inside);
                return Ok(text);
            }
            text.push_str(&rest);
            text.push('\n');
            let next = self.next().ok_or_else(|| first.faulty("this comment is not closed by `-->`"))?;
            rest = next.text.to_string();
        }
    }

    /// Goes behind a fence that is prose.
    fn skip(&mut self, first: &Line, opening: &Opening) -> Result<(), Faulty> {
        while let Some(line) = self.next() {
            if opening.is_closed_by(line.text) {
                return Ok(());
            }
        }
        Err(unclosed(first, opening))
    }

    fn cells(&mut self, first: &Line, opening: &Opening) -> Result<Vec<NotebookCell>, Faulty> {
        let mut cells: Vec<NotebookCell> = Vec::new();
        while let Some(line) = self.next() {
            if opening.is_closed_by(line.text) {
                return Ok(cells);
            }
            let started = line.text.strip_prefix('›').map(|rest| rest.strip_prefix(' ').unwrap_or(rest));
            let continued = line.text.strip_prefix('…').map(|rest| rest.strip_prefix(' ').unwrap_or(rest));
            if let Some(input) = started {
                cells.push(NotebookCell {
                    line: line.number,
                    input: input.to_string(),
                    output: String::new(),
                    range: line.start..line.end,
                    output_range: line.end..line.end,
                });
                continue;
            }
            let Some(cell) = cells.last_mut() else {
                if line.text.trim().is_empty() {
                    continue;
                }
                return Err(line.faulty("expected a cell, which begins with `› `"));
            };
            cell.range.end = line.end;
            match continued {
                Some(_) if !cell.output.is_empty() => {
                    return Err(line.faulty("a line of output that begins with `…` is written with a `\\` before it"));
                }
                Some(more) => {
                    cell.input.push('\n');
                    cell.input.push_str(more);
                    cell.output_range = line.end..line.end;
                }
                None => {
                    cell.output.push_str(line.text.strip_prefix('\\').unwrap_or(line.text));
                    cell.output.push('\n');
                    cell.output_range.end = line.end;
                }
            }
        }
        Err(unclosed(first, opening))
    }
}

fn unclosed(first: &Line, opening: &Opening) -> Faulty {
    first.faulty(format!("this fence is not closed by `{}`", opening.sign.to_string().repeat(opening.count)))
}
