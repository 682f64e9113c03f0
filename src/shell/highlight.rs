//! Colours for a cell while it is typed. Works on anything, also on what is not (yet) in the language.

use nu_ansi_term::{Color, Style};

use crate::engines;
use crate::functions;
use crate::lang::RESERVED;
use crate::magics;
use crate::stages;

/// The text with colours; unknown stages and magics, and brackets that close nothing or are not closed, stand out.
pub fn highlight(text: &str) -> String {
    let mut out = String::new();
    let unmatched = unmatched_brackets(text);
    // The last thing before a word that is no white space: a bar makes it a stage.
    let mut last = String::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match c {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => text_length(rest),
            '%' if text[..at].trim().is_empty() => {
                let percents = rest.len() - rest.trim_start_matches('%').len();
                percents + word_length(&rest[percents..])
            }
            c if c.is_ascii_digit() => rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len()),
            c if c == '_' || c.is_alphabetic() => word_length(rest),
            c => c.len_utf8(),
        };
        let piece = &rest[..length];
        let style = match c {
            '#' => Style::new().dimmed(),
            '"' if piece.len() < 2 || !piece.ends_with('"') => Color::Red.normal(),
            '"' => Color::Green.normal(),
            '%' if length > 1 => magic_style(piece),
            c if c.is_ascii_digit() => Color::Cyan.normal(),
            c if c == '_' || c.is_alphabetic() => word_style(piece, &last, &rest[length..]),
            '(' | '[' | '{' | ')' | ']' | '}' if unmatched.contains(&at) => Color::Red.bold(),
            '|' => Style::new().bold(),
            _ => Style::new(),
        };
        if style == Style::new() {
            out.push_str(piece)
        } else {
            out.push_str(&style.paint(piece).to_string())
        }
        if !c.is_whitespace() {
            last = piece.to_string();
        }
        at += length;
    }
    out
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(text.len())
}

/// The length of a text literal from its first quote; to the end of the line where it is not closed.
fn text_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return i + 1,
            '\\' => drop(chars.next()),
            '\n' => return i,
            _ => {}
        }
    }
    text.len()
}

fn magic_style(piece: &str) -> Style {
    let known = magics::find(piece.trim_start_matches('%')).is_some();
    if known { Color::Purple.bold() } else { Color::Red.normal() }
}

fn word_style(word: &str, last: &str, after: &str) -> Style {
    if last == "|" {
        // While it is typed at the end it may become one.
        let begun = after.is_empty() && stages::ALL.iter().any(|stage| stage.syntax.name.starts_with(word));
        let known = stages::find(word).is_some() || word == "on" || begun;
        return if known { Color::Blue.bold() } else { Color::Red.normal() };
    }
    if last == "on" && engines::find(word).is_some() {
        return Color::Purple.normal();
    }
    if RESERVED.contains(&word) {
        return Color::Blue.normal();
    }
    if after.starts_with('(') && functions::find(word).is_some() {
        return Color::Yellow.normal();
    }
    Style::new()
}

/// The places of brackets without a partner, outside texts and comments.
fn unmatched_brackets(text: &str) -> Vec<usize> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut unmatched = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let mut length = c.len_utf8();
        match c {
            '"' => length = text_length(&text[at..]),
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
