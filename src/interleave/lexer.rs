//! The text of a race program as tokens. Comments are gone; line breaks stay as a mark on the token behind them.

use super::syntax::{Problem, ProblemKind, Span};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token<'a> {
    pub kind: Lexeme,
    pub text: &'a str,
    pub span: Span,
    /// White space before the first token of a line; nothing for the others.
    pub indent: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lexeme {
    Name,
    /// Up to 2^63, so that a minus can make it the least int.
    Int(u64),
    Symbol,
    End,
}

const SYMBOLS: [&str; 26] = [
    "==", "!=", "<=", ">=", "+=", "-=", "//", "<", ">", "=", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}",
    ",", ";", ":", ".", "!",
];

pub fn tokens(text: &str) -> Result<Vec<Token<'_>>, Problem> {
    let mut all = Vec::new();
    let mut start = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let body = line.split('#').next().unwrap_or_default();
        let mut at = body.len() - body.trim_start().len();
        // The declarations are the rest of a line, which has no indentation of its own.
        let mut indent = (number > 0).then_some(at);
        while at < body.trim_end().len() {
            let rest = &body[at..];
            let (kind, len) = lexeme(rest).map_err(|(message, len)| {
                let span = Span { start: start + at, end: start + at + len };
                Problem::new(ProblemKind::Syntax, span, message)
            })?;
            let span = Span { start: start + at, end: start + at + len };
            all.push(Token { kind, text: &rest[..len], span, indent: indent.take() });
            at += len;
            at += body[at..].len() - body[at..].trim_start().len();
        }
        start += line.len();
    }
    let end = text.trim_end().len();
    all.push(Token { kind: Lexeme::End, text: "", span: Span { start: end, end }, indent: Some(0) });
    Ok(all)
}

/// The first token of a text and its length; or what is wrong with so many bytes of it.
fn lexeme(rest: &str) -> Result<(Lexeme, usize), (String, usize)> {
    let first = rest.chars().next().expect("white space was skipped, so a character is there");
    let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    if first.is_alphabetic() || first == '_' {
        return Ok((Lexeme::Name, len));
    }
    if first.is_ascii_digit() {
        return int(&rest[..len]).map(|value| (Lexeme::Int(value), len)).map_err(|message| (message, len));
    }
    match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(symbol) => Ok((Lexeme::Symbol, symbol.len())),
        None => Err((format!("unexpected character `{first}`"), first.len_utf8())),
    }
}

fn int(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.as_bytes()[text.len() - 1] {
        b'k' => (&text[..text.len() - 1], 1_000),
        b'M' => (&text[..text.len() - 1], 1_000_000),
        b'G' => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') {
        return Err(format!("`{text}` is not an int"));
    }
    let value = digits.replace('_', "").parse::<u64>().ok().and_then(|value| value.checked_mul(factor));
    value.filter(|value| *value <= 1 << 63).ok_or_else(|| format!("`{text}` does not fit into a 64-bit int"))
}
