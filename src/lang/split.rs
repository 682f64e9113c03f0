//! Where one cell ends and the next begins, in a file, a pipe, a paste and the text of one `-c`.

use super::rust;

/// Takes lines and gives cells. A cell starts at an unindented line that does not begin with `|`; lines that begin with
/// `|` or white space, follow a trailing `|` or stand in brackets belong to it; blank lines and comment lines start no
/// cell and end none; a `%%` body ends at a line `%%` or at the end, and that line is then part of the cell: so it can
/// stand before others. The lines behind `%race play` are its moves, up to a line `q`, unless it has
/// `--moves`.
#[derive(Default)]
pub struct Splitter {
    cell: String,
    /// Brackets that are open at the end of `cell`.
    open: usize,
    trailing_bar: bool,
    /// Where in `cell` the text of a block of Rust begins that is still open.
    rust: Option<usize>,
    /// In the body of a `%%` magic.
    body: bool,
    /// Behind a magic that takes the next lines as answers.
    answers: bool,
    /// In a block of variants that no empty line has ended yet.
    block: bool,
    /// The white space before the line of a command that a magic measures: deeper lines belong to the command.
    command: Option<String>,
}

impl Splitter {
    /// Adds a line, without its line break; a cell that ended before this line or with it.
    pub fn push(&mut self, line: &str) -> Option<String> {
        if self.body {
            if line.trim_end() == "%%" {
                return self.finish();
            }
            self.add(line);
            return None;
        }
        if self.answers {
            self.add(line);
            return if line.trim() == "q" { self.finish() } else { None };
        }
        if let Some(start) = self.rust {
            self.add(line);
            if let Some(length) = rust::block_end(&self.cell[start..]) {
                self.rust = None;
                self.look(start + length + 1);
            }
            return None;
        }
        let trimmed = line.trim();
        let silent = trimmed.is_empty() || trimmed.starts_with('#');
        let continues = line.starts_with(|c: char| c.is_whitespace() || c == '|');
        let belongs = silent || continues || self.trailing_bar || self.open > 0;
        let ended = if belongs { None } else { self.finish() };
        if !(silent && self.cell.is_empty()) {
            self.add(line);
        }
        if trimmed.is_empty() {
            self.block = false;
        } else if self.cell.starts_with('%') && !self.cell.contains('\n') {
            self.block = without_comment(trimmed).ends_with(':');
        }
        if !silent {
            let is_in_command = self.command.as_ref().is_some_and(|indent| is_deeper(line, indent));
            if !is_in_command {
                self.command = None;
            }
            // What a command says is the language of another shell.
            if !(is_in_command || trimmed.starts_with('!') || trimmed.starts_with("let ") && trimmed.contains("= !")) {
                self.look(self.cell.len() - line.len());
            }
            // `%%name?` asks for help.
            let name = |c: char| c == '_' || c.is_alphanumeric();
            let rest = self.cell.strip_prefix("%%").map(|rest| rest.trim_start_matches(name));
            self.body = rest.is_some_and(|rest| !rest.starts_with('?'));
            self.answers = asks(&self.cell);
        }
        ended
    }

    /// The cell that is still open, at the end of the text.
    pub fn finish(&mut self) -> Option<String> {
        let Splitter { mut cell, body, .. } = std::mem::take(self);
        cell.truncate(cell.trim_end().len());
        if body {
            cell.push_str("\n%%");
        }
        (!cell.is_empty()).then_some(cell)
    }

    /// Whether the cell so far asks for another line: an open bracket, a trailing `|`, a `%%` body, a block of variants
    /// that no empty line has ended.
    pub fn wants_more(&self) -> bool {
        self.open > 0 || self.trailing_bar || self.rust.is_some() || self.body || self.block
    }

    /// What ends a cell that asks for more, where nothing that is open in it says so.
    pub fn end(&self) -> Option<&'static str> {
        let begun = self.cell.contains('\n');
        match (self.body, self.block) {
            (true, _) if begun => Some("a line %% ends the body"),
            (false, true) if self.open > 0 || self.trailing_bar || self.rust.is_some() => None,
            (false, true) if begun => Some("an empty line ends the block"),
            (false, true) => Some("indented lines `name: pipeline`, up to an empty line"),
            _ => None,
        }
    }

    fn add(&mut self, line: &str) {
        if !self.cell.is_empty() {
            self.cell.push('\n');
        }
        self.cell.push_str(line);
    }

    /// Counts the brackets of the rest of a line, past texts and Rust and up to a comment, and sees whether it ends
    /// with `|`.
    fn look(&mut self, from: usize) {
        let line = &self.cell[from..];
        let is_magic = self.cell.starts_with('%') && self.open == 0;
        let mut chars = line.chars();
        // The last character that is no white space, the one just before, and whether a name goes on up to it.
        let (mut last, mut before, mut in_name) = (' ', ' ', false);
        while let Some(c) = chars.next() {
            match c {
                'r' if !continues_name(before) && chars.as_str().starts_with("ust") => {
                    let rest = &chars.as_str()[3..];
                    if let Some(brace) = rust::block_start(rest) {
                        let inside = &rest[brace + 1..];
                        let Some(length) = rust::block_end(inside) else {
                            self.rust = Some(self.cell.len() - inside.len());
                            return;
                        };
                        chars = inside[length + 1..].chars();
                    }
                }
                '#' => break,
                // A magic's subject, or a variant: the rest of the line is the language of another shell.
                '!' if is_magic && self.open == 0 && begins_command(last, before, chars.as_str()) => {
                    self.command = Some(indent_of(line).to_string());
                    break;
                }
                '"' | '\'' if opens(c, before, in_name) => {
                    chars = after_text(chars.as_str(), c, before == 'r' && !in_name).chars();
                }
                '`' => drop(chars.by_ref().find(|c| *c == '`')),
                '(' | '[' | '{' => self.open += 1,
                ')' | ']' | '}' => self.open = self.open.saturating_sub(1),
                _ => {}
            }
            in_name = continues_name(before);
            before = c;
            if !c.is_whitespace() {
                last = c;
            }
        }
        self.trailing_bar = last == '|';
    }
}

/// Whether a command begins at a `!` with this before and behind it: the last character that is no white space, and the
/// one just before.
fn begins_command(last: char, before: char, behind: &str) -> bool {
    (last == ':' || before.is_whitespace()) && !behind.starts_with('=')
}

/// The white space at the start of a line.
fn indent_of(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn is_deeper(line: &str, than: &str) -> bool {
    let own = indent_of(line);
    own.len() > than.len() && own.starts_with(than)
}

/// How many bytes of `text`, which follows the `!`, are a command: the rest of the line, and the lines below that are
/// indented deeper than its line. `before` is the text up to the `!`.
pub(super) fn command_length(before: &str, text: &str) -> usize {
    let line = before.rfind('\n').map_or(before, |newline| &before[newline + 1..]);
    let indent = indent_of(line);
    let mut lines = text.split_inclusive('\n');
    let mut end = lines.next().map_or(0, str::len);
    let mut at = end;
    for line in lines {
        at += line.len();
        if is_deeper(line, indent) && !line.trim().is_empty() {
            end = at;
        } else if !line.trim().is_empty() {
            break;
        }
    }
    text[..end].trim_end().len()
}

/// Whether a cell is a game whose moves are not on its line.
fn asks(cell: &str) -> bool {
    let mut words = cell.split_whitespace();
    (words.next(), words.next()) == (Some("%race"), Some("play")) && words.all(|word| word != "--moves")
}

/// What follows a text whose opening quote stands just before `rest`; nothing where it is open. In a raw one, every
/// character stands for itself.
fn after_text(rest: &str, quote: char, raw: bool) -> &str {
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => break,
            '\\' if !raw => drop(chars.next()),
            _ => {}
        }
    }
    chars.as_str()
}

/// Whether a quote begins a text after this character, which may be the last of a name: an apostrophe in a word does
/// not.
fn opens(quote: char, before: char, in_name: bool) -> bool {
    quote == '"' || !continues_name(before) || before == 'r' && !in_name
}

fn continues_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The characters of a text outside of its texts in quotes, with their places.
pub(super) fn outside_texts(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut rest = text;
    let (mut before, mut in_name) = (' ', false);
    std::iter::from_fn(move || {
        let at = text.len() - rest.len();
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        if matches!(c, '"' | '\'') && opens(c, before, in_name) {
            rest = after_text(rest, c, before == 'r' && !in_name);
        }
        in_name = continues_name(before);
        before = c;
        Some((at, c))
    })
}

/// A line up to its comment.
fn without_comment(line: &str) -> &str {
    let comment = outside_texts(line).find(|(_, c)| *c == '#');
    comment.map_or(line, |(at, _)| line[..at].trim_end())
}

/// Where the bracket closes that a text begins with; brackets in texts are none.
pub(super) fn closing_bracket(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut closes = outside_texts(text).filter(|(_, c)| {
        depth += i32::from(*c == '(') - i32::from(*c == ')');
        *c == ')' && depth == 0
    });
    closes.next().map(|(at, _)| at)
}

/// Where the cells of a text start. What stands before the first is part of it.
pub(super) fn starts(text: &str) -> Vec<usize> {
    let mut splitter = Splitter::default();
    let (mut starts, mut at) = (vec![0], 0);
    for line in text.split_inclusive('\n') {
        if splitter.push(line.trim_end_matches('\n')).is_some() {
            starts.push(at);
        }
        at += line.len();
    }
    starts
}

/// The cells of a whole text.
pub fn split(text: &str) -> Vec<String> {
    let mut splitter = Splitter::default();
    let mut cells: Vec<String> = text.lines().filter_map(|line| splitter.push(line)).collect();
    cells.extend(splitter.finish());
    cells
}
