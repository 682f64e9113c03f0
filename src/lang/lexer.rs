//! Text to tokens. Brackets are matched here, so that the parser may look past one in a single step.

use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::sources;

use super::rust;
use super::split;

/// The deepest nesting of brackets, prefix operators and `if`.
pub const MAX_DEPTH: usize = 500;

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A name, or a word of the language.
    Word(String),
    /// A name in backquotes.
    Quoted(String),
    /// An int literal without sign; up to 2^63, which only a minus before it makes an int.
    Int(u64),
    Float(f64),
    Text(String),
    /// `{ … }` of Rust; the text between the braces.
    Code(String),
    /// `!command`, where one may stand; its text with its line breaks.
    Command(String),
    /// A sign or a bracket.
    Sign(&'static str),
    End,
}

/// Words that are no names, but for columns in backquotes.
pub const RESERVED: [&str; 19] = [
    "by", "on", "as", "and", "or", "not", "if", "then", "else", "in", "asc", "desc", "let", "fn", "true", "false",
    "null", "read", "rust",
];

/// Whether a word is one of these, or begins a source of the table.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&word) || sources::find(word).is_some()
}

/// Longer signs first.
const SIGNS: [&str; 29] = [
    "..=", "..", "==", "!=", "<=", ">=", "//", "->", "|", "(", ")", "[", "]", "{", "}", ",", ";", ":", ".", "+", "-",
    "*", "/", "%", "<", ">", "=", "?", "!",
];

pub struct Tokens {
    pub tokens: Vec<(Token, Span)>,
    /// For each opening bracket the index of its closing one, else 0.
    pub closing: Vec<usize>,
}

/// Whether `text` is a name that needs no backquotes.
pub fn bare_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(starts_name) && chars.all(continues_name) && !is_reserved(text)
}

/// The int that a text says, with or without a unit: `64k`, `2GiB`.
pub fn whole_number(text: &str) -> Option<u64> {
    match &lex(0, text, 0, text.len()).ok()?.tokens[..] {
        [(Token::Int(number), _), (Token::End, _)] => Some(*number),
        _ => None,
    }
}

/// The seconds that a text says, with or without a unit: `2s`, `400ms`, `1.5`.
pub fn seconds(text: &str) -> Option<f64> {
    match &lex(0, text, 0, text.len()).ok()?.tokens[..] {
        [(Token::Int(number), _), (Token::End, _)] => Some(*number as f64),
        [(Token::Float(number), _), (Token::End, _)] => Some(*number),
        _ => None,
    }
}

fn starts_name(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn continues_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The words in the text of a cell that may be names, each once; none where it has no tokens.
pub fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (token, _) in lex(0, text, 0, text.len()).map_or(Vec::new(), |tokens| tokens.tokens) {
        if let Token::Word(name) | Token::Quoted(name) = token
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

/// The tokens of `text` from byte `start` to `end`.
pub fn lex(cell: u32, text: &str, start: usize, end: usize) -> Fallible<Tokens> {
    lex_as(cell, text, start, end, false)
}

/// The same, where commands may stand: at the start and behind a colon.
pub fn lex_as(cell: u32, text: &str, start: usize, end: usize, takes_commands: bool) -> Fallible<Tokens> {
    let mut lexer = Lexer { cell, text: &text[..end], at: start, tokens: Vec::new(), code: None, takes_commands };
    while let Some(c) = lexer.skip_space() {
        lexer.token(c)?;
    }
    // A last token means that the parser may always look at the next one.
    let end = Span::new(cell, end, end);
    lexer.tokens.push((Token::End, end));
    let closing = match_brackets(&lexer.tokens)?;
    Ok(Tokens { tokens: lexer.tokens, closing })
}

struct Lexer<'a> {
    cell: u32,
    text: &'a str,
    at: usize,
    tokens: Vec<(Token, Span)>,
    /// Where the next block of Rust begins.
    code: Option<usize>,
    takes_commands: bool,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn span(&self, start: usize) -> Span {
        Span::new(self.cell, start, self.at)
    }

    fn push(&mut self, token: Token, start: usize) {
        let span = self.span(start);
        self.tokens.push((token, span));
    }

    /// Passes white space and comments; the character that stands there then.
    fn skip_space(&mut self) -> Option<char> {
        loop {
            let c = self.rest().chars().next()?;
            // Editors of Windows begin files with a byte order mark, which is no white space in Unicode.
            if c.is_whitespace() || c == '\u{feff}' {
                self.at += c.len_utf8();
            } else if c == '#' {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else {
                return Some(c);
            }
        }
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> usize {
        let start = self.at;
        self.at += self.rest().find(|c| !wanted(c)).unwrap_or(self.rest().len());
        start
    }

    fn token(&mut self, c: char) -> Fallible<()> {
        let start = self.at;
        if c.is_ascii_digit() {
            return self.number();
        }
        // Before names: `r` would be one.
        if let Some(quote @ ('"' | '\'')) = self.rest().strip_prefix('r').and_then(|rest| rest.chars().next()) {
            return self.raw_text(quote);
        }
        if starts_name(c) {
            self.take_while(continues_name);
            let word = self.text[start..self.at].to_string();
            if word == "rust" {
                self.code = rust::block_start(self.rest()).map(|length| self.at + length);
            }
            self.push(Token::Word(word), start);
            return Ok(());
        }
        if self.code == Some(start) {
            return self.code();
        }
        match c {
            '"' | '\'' => return self.quoted_text(c),
            '`' => return self.quoted_name(),
            _ => {}
        }
        if c == '!' && self.takes_commands && matches!(self.tokens.last(), None | Some((Token::Sign(":"), _))) {
            self.command();
            return Ok(());
        }
        if let Some(sign) = SIGNS.iter().find(|sign| self.rest().starts_with(**sign)) {
            self.at += sign.len();
            self.push(Token::Sign(sign), start);
            return Ok(());
        }
        self.at += c.len_utf8();
        let error = Diagnostic::at(Kind::Syntax, self.span(start), format!("unexpected character `{c}`"));
        Err(match c {
            '“' | '”' | '‘' | '’' => error.hint("use straight quotes for text: \"like this\""),
            '&' => error.hint("write `and`"),
            '$' | '@' => error.hint("write names without a prefix: x"),
            '≤' => error.hint("write `<=`"),
            '≥' => error.hint("write `>=`"),
            '≠' => error.hint("write `!=`"),
            '×' | '·' => error.hint("write `*`"),
            '−' | '–' => error.hint("write `-`"),
            '^' => error.hint("write `pow(x, 2)`"),
            _ => error,
        })
    }

    /// The rest of the line, and the lines below that are indented deeper.
    fn command(&mut self) {
        let start = self.at;
        self.at += 1 + split::command_length(&self.text[..start], &self.text[start + 1..]);
        let lines: Vec<&str> = self.text[start + 1..self.at].lines().map(str::trim).collect();
        self.push(Token::Command(lines.join("\n").trim().to_string()), start);
    }

    fn code(&mut self) -> Fallible<()> {
        let start = self.at;
        self.at += 1;
        let Some(length) = rust::block_end(self.rest()) else {
            return Err(Diagnostic::at(Kind::Syntax, self.span(start), "this `{` is not closed").hint("add `}`"));
        };
        let body = self.rest()[..length].to_string();
        self.at += length + 1;
        self.push(Token::Code(body), start);
        Ok(())
    }

    fn quoted_name(&mut self) -> Fallible<()> {
        let start = self.at;
        let Some(length) = self.rest()[1..].find(['`', '\n']).filter(|i| self.rest()[1 + i..].starts_with('`')) else {
            self.at += 1;
            return Err(Diagnostic::at(Kind::Syntax, self.span(start), "this backquote is not closed")
                .hint("write a column name between two backquotes: `installed kib`"));
        };
        let name = self.rest()[1..1 + length].to_string();
        self.at += length + 2;
        if name.is_empty() {
            return Err(Diagnostic::at(Kind::Syntax, self.span(start), "a name cannot be empty"));
        }
        self.push(Token::Quoted(name), start);
        Ok(())
    }

    fn raw_text(&mut self, quote: char) -> Fallible<()> {
        let start = self.at;
        self.at += 2;
        match self.rest().find([quote, '\n']).filter(|i| self.rest()[*i..].starts_with(quote)) {
            Some(length) => {
                let text = self.rest()[..length].to_string();
                self.at += length + 1;
                self.push(Token::Text(text), start);
                Ok(())
            }
            None => Err(self.unclosed(start, 2, quote)),
        }
    }

    fn unclosed(&mut self, start: usize, length: usize, quote: char) -> Box<Diagnostic> {
        self.at = start + length;
        Diagnostic::at(Kind::Syntax, self.span(start), "this text is not closed")
            .hint(format!("end it with `{quote}`; a quote inside a text is `\\{quote}`"))
    }

    fn quoted_text(&mut self, quote: char) -> Fallible<()> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = self.take_while(|c| c != quote && c != '\\' && c != '\n');
            text.push_str(&self.text[plain..self.at]);
            let escape = self.at;
            let mut rest = self.rest().chars();
            match rest.next() {
                None | Some('\n') => return Err(self.unclosed(start, 1, quote)),
                Some(c) if c == quote => break,
                Some(_) => {}
            }
            let Some(c) = rest.next() else { return Err(self.unclosed(start, 1, quote)) };
            self.at += 1 + c.len_utf8();
            match c {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                '"' | '\'' => text.push(c),
                '\\' => text.push('\\'),
                'u' => {
                    let code = self.rest().strip_prefix('{').and_then(|rest| rest.split_once('}'));
                    let digits = code.map(|(digits, _)| digits.to_string());
                    let c = digits.as_ref().and_then(|digits| u32::from_str_radix(digits, 16).ok());
                    let Some(c) = c.and_then(char::from_u32) else {
                        return Err(Diagnostic::at(
                            Kind::Syntax,
                            self.span(escape),
                            "`\\u` needs the code of a character",
                        )
                        .hint("in hexadecimal, between braces: \\u{e9} is é"));
                    };
                    text.push(c);
                    self.at += digits.map_or(0, |digits| digits.len() + 2);
                }
                _ => {
                    let message = format!("`\\{c}` is not an escape");
                    return Err(Diagnostic::at(Kind::Syntax, self.span(escape), message)
                        .hint("escapes are \\n \\t \\r \\\" \\' \\\\ \\u{…}; in r\"…\" there are no escapes"));
                }
            }
        }
        self.at += 1;
        self.push(Token::Text(text), start);
        Ok(())
    }

    fn number(&mut self) -> Fallible<()> {
        let start = self.at;
        let digit = |c: char| c.is_ascii_digit() || c == '_';
        self.take_while(digit);
        let mut digits: String = self.text[start..self.at].replace('_', "");
        let mut decimals = 0;
        // `1..3` is a range and `1.field` no number: a point counts only before a digit.
        let point = self.rest().strip_prefix('.').and_then(|rest| rest.chars().next());
        if point.is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            let from = self.take_while(digit);
            let fraction = self.text[from..self.at].replace('_', "");
            decimals = fraction.len();
            digits.push_str(&fraction);
        }
        let exponent = self.exponent();
        let unit_start = self.take_while(continues_name);
        let unit = self.text[unit_start..self.at].to_string();
        let span = self.span(start);
        if let Some(exponent) = exponent {
            if !unit.is_empty() {
                return Err(Diagnostic::at(
                    Kind::Syntax,
                    self.span(unit_start),
                    format!("`{unit}` cannot follow an exponent"),
                )
                .hint("write one of them: 1e3 or 1k"));
            }
            // Parsed from its decimal digits: a product with a power of ten would round twice.
            let value: f64 = format!("{digits}e{}", i64::from(exponent) - decimals as i64).parse().unwrap_or(f64::NAN);
            self.tokens.push((finite(value, span)?, span));
            return Ok(());
        }
        let token = match unit.as_str() {
            "ms" | "s" | "min" => {
                let plain: f64 = format!("{digits}e-{decimals}").parse().unwrap_or(f64::NAN);
                let seconds = match unit.as_str() {
                    "ms" => plain / 1e3,
                    "s" => plain,
                    _ => plain * 60.0,
                };
                finite(seconds, span)?
            }
            _ => {
                let times: u128 = match unit.as_str() {
                    "" => 1,
                    "k" | "KB" => 1000,
                    "M" | "MB" => 1_000_000,
                    "G" | "GB" => 1_000_000_000,
                    "KiB" => 1 << 10,
                    "MiB" => 1 << 20,
                    "GiB" => 1 << 30,
                    _ => return Err(unknown_unit(self.span(unit_start), &unit)),
                };
                scaled(&digits, decimals, times, unit.is_empty(), span)?
            }
        };
        self.tokens.push((token, span));
        Ok(())
    }

    /// `e` with digits after it: an exponent, not a unit.
    fn exponent(&mut self) -> Option<i32> {
        let rest = self.rest().strip_prefix(['e', 'E'])?;
        let (sign, rest) = match rest.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, rest.strip_prefix('+').unwrap_or(rest)),
        };
        let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if length == 0 {
            return None;
        }
        // Beyond any float, and small enough to be added to.
        let digits: i32 = rest[..length].parse().unwrap_or(9999);
        self.at = self.text.len() - rest.len() + length;
        Some(sign * digits.min(9999))
    }
}

fn finite(value: f64, span: Span) -> Fallible<Token> {
    if value.is_finite() {
        return Ok(Token::Float(value));
    }
    Err(Diagnostic::at(Kind::Overflow, span, "this number is larger than the largest float")
        .hint("the largest float is about 1.8e308"))
}

fn unknown_unit(span: Span, unit: &str) -> Box<Diagnostic> {
    const UNITS: [&str; 12] = ["k", "M", "G", "KB", "MB", "GB", "KiB", "MiB", "GiB", "ms", "s", "min"];
    let error = Diagnostic::at(Kind::Syntax, span, format!("`{unit}` is not a number unit"));
    match UNITS.iter().find(|known| known.eq_ignore_ascii_case(unit)) {
        Some(known) => error.hint(format!("did you mean `{known}`?")),
        None => error.hint(format!("units are {}; a name starts with a letter", UNITS.join(" "))),
    }
}

/// `digits` with `decimals` of them after the point, times a unit: an int where it comes out whole.
fn scaled(digits: &str, decimals: usize, times: u128, plain: bool, span: Span) -> Fallible<Token> {
    let as_float = || finite(format!("{digits}e-{decimals}").parse::<f64>().unwrap_or(f64::NAN) * times as f64, span);
    if decimals > 0 && plain {
        return as_float();
    }
    let product = digits.parse::<u128>().ok().and_then(|number| number.checked_mul(times));
    let divisor = 10u128.checked_pow(decimals as u32);
    if let (Some(product), Some(divisor)) = (product, divisor) {
        if product % divisor != 0 {
            return as_float();
        }
        let whole = product / divisor;
        // One more than the largest int: the parser may have a minus for it.
        if whole <= 1 << 63 {
            return Ok(Token::Int(whole as u64));
        }
    }
    Err(Diagnostic::at(Kind::Overflow, span, "this int does not fit into 64 bits")
        .hint("the largest int is 9223372036854775807; with a decimal point it is a float"))
}

/// Matches brackets: the index of the closing one for each opening one.
fn match_brackets(tokens: &[(Token, Span)]) -> Fallible<Vec<usize>> {
    let mut closing = vec![0; tokens.len()];
    let mut open: Vec<(usize, &str)> = Vec::new();
    for (i, (token, span)) in tokens.iter().enumerate() {
        let Token::Sign(sign) = token else { continue };
        match *sign {
            "(" | "[" | "{" => {
                open.push((i, sign));
                if open.len() > MAX_DEPTH {
                    let message = format!("brackets are nested more than {MAX_DEPTH} levels deep");
                    return Err(
                        Diagnostic::at(Kind::Syntax, *span, message).hint("name an inner part first: let x = …")
                    );
                }
            }
            ")" | "]" | "}" => match open.pop() {
                Some((start, opened)) if partner(opened) == *sign => closing[start] = i,
                Some((start, opened)) => {
                    let message = format!("mismatched `{sign}`: the open bracket is `{opened}`");
                    let line = tokens[start].1;
                    return Err(Diagnostic::at(Kind::Syntax, *span, message).hint(format!(
                        "`{}` closes the `{opened}` at character {}",
                        partner(opened),
                        line.start + 1
                    )));
                }
                None => {
                    let message = format!("unmatched `{sign}`");
                    return Err(Diagnostic::at(Kind::Syntax, *span, message).hint("no bracket is open here"));
                }
            },
            _ => {}
        }
    }
    match open.pop() {
        None => Ok(closing),
        Some((i, opened)) => Err(Diagnostic::at(Kind::Syntax, tokens[i].1, format!("this `{opened}` is not closed"))
            .hint(format!("add `{}`", partner(opened)))),
    }
}

fn partner(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}
