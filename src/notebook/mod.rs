//! Notebooks: Markdown whose fences `console timelab` hold cells and what they printed. Here is the format, what may
//! differ between two runs, and how outputs are written. It knows no terminal and runs no cell.
//!
//! ```text
//! notebook  = { prose | comment | fence }
//! comment   = "<!-- timelab: " directives " -->"                     stands before a fence
//! fence     = "```console timelab" { " width=" number | " format=" format } { cell } "```"
//!             all lines may be indented as the first, as in a list
//! cell      = "› " line { "… " line } { output }
//! output    = a line; one that begins with ›, … or \ has a leading \
//! ```

mod compare;
mod directives;
mod export;
mod laws;
mod mask;
mod mime;
mod sayings;
mod verdicts;
mod write;

use std::ops::Range;
use std::path::Path;

use crate::show::Format;

pub use compare::{Comparison, compare};
pub use directives::{Directives, Needed};
pub use export::{Failure, Form, Output, Shown, export, import, is_former};
pub use mask::{MARKS, masked, unknown};
pub use mime::{Bundle, bundles, data_bundle, language_info, text_bundle};
pub use sayings::Sayings;
pub use write::{
    cell_text, drawn, fence_of, is_same_but_outputs, new_output, output_text, printed, prose, replaced, style, updated,
};

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

/// A text without the byte order mark that some editors of Windows write at its start.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
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
    /// Spaces before its first line; so many are taken away from the others.
    pub indent: usize,
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

impl Look {
    /// The words behind [`INFO`].
    ///
    /// # Errors
    /// In words, where one is unknown.
    fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Look, String> {
        let mut look = Look::default();
        for word in words {
            match word.split_once('=') {
                Some(("format", name)) => look.format = format_named(name)?,
                _ => look.width = width(word)?,
            }
        }
        Ok(look)
    }
}

/// The words that [`Look::parse`] takes; nothing where all is as usual.
impl std::fmt::Display for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let format = Format::ALL.iter().find(|(_, format)| *format == self.format).map(|(name, _)| name);
        let format = format.filter(|_| self.format != Format::Table).map(|name| format!("format={name}"));
        let width = (self.width != WIDTH).then(|| format!("width={}", self.width));
        let words: Vec<String> = width.into_iter().chain(format).collect();
        f.write_str(&words.join(" "))
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
        // Where the text of an item of a list begins: what is indented less than that and three more is no code.
        let mut item = 0;
        while let Some(line) = reader.next() {
            item = item_after(item, line.text);
            if let Some(rest) = line.text.trim_start().strip_prefix("<!--") {
                let start = line.start;
                let comment = reader.comment(&line, rest)?;
                if let Some(words) = comment.trim_start().strip_prefix("timelab:") {
                    let directives = Directives::parse(words).map_err(|message| line.faulty(message))?;
                    pending = Some(match pending.take() {
                        None => (line.number, start, directives),
                        Some((number, start, before)) => (number, start, before.and(directives)),
                    });
                } else if Directives::is_nearly(&comment) {
                    return Err(line.faulty("directives begin with `timelab:`, in small letters"));
                }
            } else if let Some(opening) = Opening::of(line.text, item) {
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
                        fences.push(Fence {
                            line: line.number,
                            range,
                            indent: opening.indent,
                            look,
                            directives,
                            cells,
                        });
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

/// Text of other people as prose: none of it is read as a cell or as a directive, and nothing in it goes on behind it.
fn as_prose(text: &str) -> String {
    let mut out = String::new();
    let mut open: Option<Opening> = None;
    let mut in_comment = false;
    let mut item = 0;
    for line in lines(text) {
        item = item_after(item, line.text);
        let whole = &text[line.start..line.end];
        let begins = !in_comment && open.is_none() && line.text.trim_start().starts_with("<!--");
        if begins || in_comment {
            in_comment = !line.text.contains("-->");
            let inside = line.text.trim_start().strip_prefix("<!--").map(str::trim_start).unwrap_or_default();
            let is_ours = begins && inside.to_lowercase().starts_with(KERNEL);
            out.push_str(&if is_ours { whole.replacen("<!--", "<!-- text:", 1) } else { whole.to_string() });
        } else if let Some(opening) = &open {
            let passed = Opening::of(line.text, item).filter(|_| opening.is_passed_by(line.text));
            out.push_str(&passed.map_or(whole.to_string(), |passed| whole.replacen(passed.info, "text", 1)));
            open = (!opening.is_closed_by(line.text)).then_some(*opening);
        } else {
            open = Opening::of(line.text, item);
            match open.filter(|opening| opening.is_ours()) {
                Some(opening) => out.push_str(&whole.replacen(opening.info, "text", 1)),
                None => out.push_str(whole),
            }
        }
    }
    let end = open.map(|opening| opening.sign.to_string().repeat(opening.count));
    let end = end.or(in_comment.then(|| "-->".to_string()));
    // A comment may begin in the line that is the first of its cell, and directives stand alone.
    end.map_or(out.clone(), |end| format!("{}\n{end}\n", out.trim_end_matches('\n')))
}

/// Where the text of the item begins that a line stands in, after one that stood in such an item.
fn item_after(item: usize, line: &str) -> usize {
    let text = line.trim_start_matches(' ');
    let indent = line.len() - text.len();
    if text.is_empty() {
        return item;
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let marker = match text[digits..].chars().next() {
        Some('-' | '*' | '+') if digits == 0 => 1,
        Some('.' | ')') if digits > 0 => digits + 1,
        _ => 0,
    };
    let behind = &text[marker..];
    if marker > 0 && behind.starts_with(' ') {
        return indent + marker + (behind.len() - behind.trim_start_matches(' ').len()).min(4);
    }
    if indent >= item { item } else { 0 }
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
    // It belongs to no line, and stays where the file is written again.
    let text_of_lines = without_mark(text);
    let mut start = text.len() - text_of_lines.len();
    let line = |(i, whole): (usize, &str)| {
        let bare = whole.strip_suffix('\n').unwrap_or(whole);
        let length = bare.strip_suffix('\r').unwrap_or(bare).len();
        let line = Line { number: i + 1, text: &text[start..start + length], start, end: start + whole.len() };
        start = line.end;
        line
    };
    text_of_lines.split_inclusive('\n').enumerate().map(line).collect()
}

/// The first line of a fence.
#[derive(Debug, Clone, Copy)]
struct Opening<'a> {
    sign: char,
    count: usize,
    indent: usize,
    info: &'a str,
}

impl<'a> Opening<'a> {
    /// In an item of a list, whose text begins at this column.
    fn of(line: &'a str, item: usize) -> Option<Opening<'a>> {
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        // More is a block of code.
        if indent > item + 3 {
            return None;
        }
        let sign = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let count = rest.chars().take_while(|c| *c == sign).count();
        let info = rest[count..].trim();
        // Signs behind it are those of code within a line.
        (count >= 3 && !(sign == '`' && info.contains('`'))).then_some(Opening { sign, count, indent, info })
    }

    /// Whether it is for us, or nearly.
    fn is_ours(&self) -> bool {
        let is_name = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).eq_ignore_ascii_case(KERNEL);
        let letters: String = self.info.chars().filter(|c| c.is_alphanumeric()).collect();
        self.info.split_whitespace().any(is_name) || letters.to_lowercase().starts_with("consoletimelab")
    }

    /// How its outputs look; none where it holds no cells.
    fn look(&self, line: &Line) -> Result<Option<Look>, Faulty> {
        let words: Vec<&str> = self.info.split_whitespace().collect();
        match &words[..] {
            ["console", "timelab", more @ ..] => {
                Look::parse(more.iter().copied()).map(Some).map_err(|why| line.faulty(why))
            }
            _ if self.is_ours() => Err(line.faulty(format!("expected a fence `{INFO}`, got `{}`", self.info))),
            _ => Ok(None),
        }
    }

    /// Whether a line begins another fence of cells, which this one would end with: its own end was forgotten.
    fn is_passed_by(&self, line: &str) -> bool {
        let next = Opening::of(line, self.indent);
        next.is_some_and(|next| next.sign == self.sign && next.count >= self.count && next.is_ours())
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let text = line.trim();
        let indent = line.len() - line.trim_start_matches(' ').len();
        indent <= self.indent + 3 && text.chars().count() >= self.count && text.chars().all(|c| c == self.sign)
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
            if opening.is_passed_by(line.text) {
                break;
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
            if opening.is_passed_by(line.text) {
                break;
            }
            let text = within(line.text, opening.indent);
            let started = text.strip_prefix('›').map(|rest| rest.strip_prefix(' ').unwrap_or(rest));
            let continued = text.strip_prefix('…').map(|rest| rest.strip_prefix(' ').unwrap_or(rest));
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
                    cell.output.push_str(text.strip_prefix('\\').unwrap_or(text));
                    cell.output.push('\n');
                    cell.output_range.end = line.end;
                }
            }
        }
        Err(unclosed(first, opening))
    }
}

/// A line of an indented fence, without the spaces that all of its lines have.
fn within(line: &str, indent: usize) -> &str {
    let spaces = line.bytes().take(indent).take_while(|byte| *byte == b' ').count();
    &line[spaces..]
}

fn unclosed(first: &Line, opening: &Opening) -> Faulty {
    first.faulty(format!("this fence is not closed by `{}`", opening.sign.to_string().repeat(opening.count)))
}
