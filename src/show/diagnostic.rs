//! A diagnostic with the line that it is about, a caret, and the hint.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::diagnostic::{Diagnostic, Kind, Span};
use crate::escape::revealed;

use super::wrap::wrapped;
use super::{Role, Style};

/// `text` is the cell that the span points into.
pub fn diagnostic(diagnostic: &Diagnostic, text: Option<&str>, style: &Style) -> String {
    let (word, role) = match diagnostic.kind {
        Kind::Warning => ("warning", Role::Warning),
        _ => ("error", Role::Error),
    };
    let row = diagnostic.row.map_or(String::new(), |row| format!(" (row {row})"));
    let head = style.paint_err(&format!("{word}:"), role);
    let message = format!("{word}: {}{row}", in_one_line(&diagnostic.message));
    let message = if style.wrap { wrapped(&message, style.width) } else { format!("{message}\n") };
    let mut out = message.replacen(&format!("{word}:"), &head, 1);
    let hint = &in_one_line(diagnostic.hint.as_deref().unwrap_or_default());
    let place = diagnostic.span.and_then(|span| Some((span, line_of(text?, span)?)));
    let bar = style.paint_err("│", Role::Quiet);
    match place {
        Some((span, (line, from))) => {
            let (line, before, carets) =
                window(line, span.start as usize - from, (span.end - span.start) as usize, style.width);
            out.push_str(&format!("{bar} {line}\n"));
            let fits = before + carets + hint.width() + 3 <= style.width;
            let carets = style.paint_err(&"^".repeat(carets), role);
            let gap = " ".repeat(before);
            if fits {
                out.push_str(format!("{bar} {gap}{carets} {hint}").trim_end());
                out.push('\n');
            } else {
                out.push_str(&format!("{bar} {gap}{carets}\n"));
                out.push_str(&hint_lines(hint, &bar, style));
            }
        }
        None if !hint.is_empty() => out.push_str(&hint_lines(hint, &bar, style)),
        None => {}
    }
    out
}

/// Text that breaks no line and moves no cursor.
fn in_one_line(text: &str) -> String {
    revealed(&text.replace('\t', " ")).replace('\n', "\\n")
}

/// A hint on lines of its own.
fn hint_lines(hint: &str, bar: &str, style: &Style) -> String {
    if !style.wrap {
        return format!("{bar} {hint}\n");
    }
    wrapped(hint, style.width.saturating_sub(2)).lines().map(|line| format!("{bar} {line}\n")).collect()
}

/// The line in which the span starts, and where that line starts.
fn line_of(text: &str, span: Span) -> Option<(&str, usize)> {
    let start = span.start as usize;
    let before = text.get(..start)?;
    let from = before.rfind('\n').map_or(0, |at| at + 1);
    let to = text[start..].find('\n').map_or(text.len(), |at| start + at);
    Some((&text[from..to], from))
}

/// The part of a line around `length` bytes at `start` that fits into `width`; how far the carets stand in, and how
/// many.
fn window(line: &str, start: usize, length: usize, width: usize) -> (String, usize, usize) {
    let width = width.max(40) - 4;
    let start = start.min(line.len());
    let mut end = (start + length).min(line.len());
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    // The place is found again in the line as it is shown.
    let (start, end) = (in_one_line(&line[..start]).len(), in_one_line(&line[..end]).len());
    let line = in_one_line(line);
    let shown = |c: char| c.width().unwrap_or(0);
    let caret_width = |from: usize, to: usize| line[from..to].chars().map(shown).sum::<usize>();
    if line.len() <= width || line.width() <= width {
        return (line.clone(), caret_width(0, start), caret_width(start, end).max(1));
    }
    // A long line: a few characters before the place and what fits after it.
    let mut from = start.saturating_sub(width / 3);
    while !line.is_char_boundary(from) {
        from -= 1;
    }
    let mut to = (from + width).min(line.len());
    while !line.is_char_boundary(to) {
        to -= 1;
    }
    let head = if from > 0 { "…" } else { "" };
    let tail = if to < line.len() { "…" } else { "" };
    let shown = format!("{head}{}{tail}", &line[from..to]);
    (shown, head.width() + caret_width(from, start), caret_width(start, end.clamp(start, to)).max(1))
}
