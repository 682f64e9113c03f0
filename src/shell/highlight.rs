//! Colours for a cell while it is typed. Works on anything, also on what is not (yet) in the language.

use crate::engines;
use crate::functions;
use crate::interleave;
use crate::lang::{RESERVED, is_reserved, rust_block};
use crate::magics;
use crate::session::Session;
use crate::show::Role;
use crate::sources;
use crate::stages::{self, agg};

/// The text with colours; unknown stages, magics, functions and names that a pipeline starts with, and brackets that
/// close nothing or are not closed, stand out.
pub fn highlight(text: &str, session: &Session) -> String {
    let mut out = String::new();
    let unmatched = unmatched_brackets(text);
    let is_race = text.trim_start().starts_with("%%race");
    // The last thing before a word that is no white space: a bar makes it a stage.
    let mut last = String::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if let Some(length) = rust_length(text, at) {
            out.push_str(&rest[..length]);
            at += length;
            last = "}".to_string();
            continue;
        }
        let length = match c {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => text_length(rest),
            '%' if text[..at].trim().is_empty() => {
                let percents = rest.len() - rest.trim_start_matches('%').len();
                percents + word_length(&rest[percents..])
            }
            c if c.is_ascii_digit() => rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len()),
            c if c == '_' || c.is_alphabetic() => word_length(rest),
            c => c.len_utf8(),
        };
        let piece = &rest[..length];
        let role = match c {
            '#' => Role::Quiet,
            '"' | '\'' if piece.len() < 2 || !piece.ends_with(c) => Role::Invalid,
            '"' | '\'' => Role::Text,
            '%' if length > 1 => magic_role(piece),
            c if c.is_ascii_digit() => Role::Number,
            c if is_race && (c == '_' || c.is_alphabetic()) => {
                if interleave::WORDS.contains(&piece) {
                    Role::Word
                } else {
                    Role::Plain
                }
            }
            c if c == '_' || c.is_alphabetic() => word_role(piece, &last, &rest[length..], session),
            '(' | '[' | '{' | ')' | ']' | '}' if unmatched.contains(&at) => Role::UnmatchedBracket,
            '|' => Role::Bar,
            _ => Role::Plain,
        };
        if role == Role::Plain {
            out.push_str(piece);
        } else {
            out.push_str(&session.settings.theme.style(role).paint(piece).to_string());
        }
        if !c.is_whitespace() {
            last = piece.to_string();
        }
        at += length;
    }
    out
}

/// The length of the Rust that begins at a byte: a block, or the body of a cell.
fn rust_length(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    if rest.starts_with('\n') && text.starts_with("%%rust") {
        return Some(rest.len());
    }
    if !rest.starts_with('{') {
        return None;
    }
    let line = text[..at].rfind("rust")?;
    let (start, end) = rust_block(&text[line + 4..])?;
    (line + 4 + start == at).then_some(end - start)
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(text.len())
}

/// The length of a text literal from its first quote; to the end of the line where it is not closed.
fn text_length(text: &str) -> usize {
    let mut chars = text.char_indices();
    let quote = chars.next().map_or('"', |(_, quote)| quote);
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => return i + 1,
            '\\' => drop(chars.next()),
            '\n' => return i,
            _ => {}
        }
    }
    text.len()
}

fn magic_role(piece: &str) -> Role {
    let known = magics::find(piece.trim_start_matches('%')).is_some();
    if known { Role::Magic } else { Role::Invalid }
}

/// What a word is, between the last piece before it and the text after it.
fn word_role(word: &str, last: &str, after: &str, session: &Session) -> Role {
    if last == "|" {
        // While it is typed at the end it may become one.
        let begun = after.is_empty() && stages::ALL.iter().any(|stage| stage.syntax.name.starts_with(word));
        let known = stages::find(word).is_some() || word == "on" || begun;
        return if known { Role::Stage } else { Role::Invalid };
    }
    if last == "on" && engines::find(word).is_some() {
        return Role::Engine;
    }
    if is_reserved(word) {
        return Role::Word;
    }
    let own = || session.newest_function().is_some_and(|newest| newest.find(word).is_some());
    if after.starts_with('(') && last != "fn" {
        let known = functions::find(word).is_some() || agg::is_aggregate(word) || own();
        return if known { Role::Function } else { Role::Invalid };
    }
    if matches!(last, "" | ";") && !after.trim_start().starts_with('?') {
        // While it is typed at the end it may become one.
        let begun = || {
            let known = session.names().map(|(name, _)| name.as_str()).chain(RESERVED);
            let known = known.chain(sources::ALL.iter().map(|source| source.name));
            after.is_empty()
                && known.chain(functions::ALL.iter().map(|known| known.name)).any(|name| name.starts_with(word))
        };
        return if session.lookup(word).is_some() || own() || begun() { Role::Plain } else { Role::Invalid };
    }
    Role::Plain
}

/// The places of brackets without a partner, outside texts and comments.
fn unmatched_brackets(text: &str) -> Vec<usize> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut unmatched = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if let Some(length) = rust_length(text, at) {
            at += length;
            continue;
        }
        let mut length = c.len_utf8();
        match c {
            '"' | '\'' => length = text_length(&text[at..]),
            '#' => length = text[at..].find('\n').unwrap_or(text.len() - at),
            '(' | '[' | '{' => open.push((at, c)),
            ')' | ']' | '}' => match open.pop() {
                Some((_, opened)) if matches!((opened, c), ('(', ')') | ('[', ']') | ('{', '}')) => {}
                Some((place, _)) => unmatched.extend([place, at]),
                None => unmatched.push(at),
            },
            _ => {}
        }
        at += length;
    }
    unmatched.extend(open.into_iter().map(|(place, _)| place));
    unmatched
}
