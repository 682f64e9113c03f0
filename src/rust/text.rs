//! A text for the compiler, made of pieces of ours and pieces of cells, that knows where each piece came from.

use crate::diagnostic::Span;

#[derive(Debug, Clone, Default)]
pub struct Text {
    text: String,
    /// Where in `text` a piece of a cell begins, and the piece's place in its cell.
    pieces: Vec<(usize, Span)>,
}

impl Text {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Adds a piece of ours.
    pub fn ours(mut self, piece: &str) -> Text {
        self.text.push_str(piece);
        self
    }

    /// Adds a piece of a cell.
    pub fn theirs(mut self, piece: &str, span: Span) -> Text {
        self.pieces.push((self.text.len(), span));
        self.text.push_str(piece);
        self
    }

    /// All of another text.
    pub fn all(mut self, other: &Text) -> Text {
        let moved = self.text.len();
        self.pieces.extend(other.pieces.iter().map(|(at, span)| (at + moved, *span)));
        self.text.push_str(&other.text);
        self
    }

    /// The same with a piece of ours at a byte.
    pub fn inserted(mut self, at: usize, piece: &str) -> Text {
        self.text.insert_str(at, piece);
        let split = |(start, span): (usize, Span)| {
            let length = (span.end - span.start) as usize;
            let first = at.clamp(start, start + length) - start;
            let moved = |start: usize| if start >= at { start + piece.len() } else { start };
            let middle = span.start as usize + first;
            let before = Span::new(span.cell, span.start as usize, middle);
            let after = Span::new(span.cell, middle, span.end as usize);
            let parts = [(start, before), (moved(start + first), after)];
            parts.into_iter().filter(|(_, span)| span.start < span.end)
        };
        self.pieces = self.pieces.into_iter().flat_map(split).collect();
        self
    }

    /// The place in a cell of the bytes from `start` to `end`, where they begin in a piece of a cell.
    pub fn span(&self, start: usize, end: usize) -> Option<Span> {
        self.pieces.iter().find_map(|(at, span)| {
            let length = (span.end - span.start) as usize;
            let inside = (*at..=at + length).contains(&start);
            let from = span.start as usize;
            inside.then(|| Span::new(span.cell, from + start - at, from + (end.max(start) - at).min(length)))
        })
    }

    /// Where a piece of a cell has this word.
    pub fn mention(&self, word: &str) -> Option<Span> {
        let in_name = |c: char| c == '_' || c.is_alphanumeric();
        let found = self.text.match_indices(word).filter(|(at, _)| {
            let (before, after) = (&self.text[..*at], &self.text[at + word.len()..]);
            !before.ends_with(in_name) && !after.starts_with(in_name)
        });
        found.map(|(at, _)| self.span(at, at + word.len())).find_map(|span| span)
    }

    /// The byte of a line and a column, both from 1; columns count characters.
    pub fn byte(&self, line: usize, column: usize) -> usize {
        let mut at = 0;
        for _ in 1..line {
            at += self.text[at..].find('\n').map_or(self.text.len() - at, |end| end + 1);
        }
        let rest = self.text[at..].split('\n').next().unwrap_or_default();
        at + rest.char_indices().nth(column - 1).map_or(rest.len(), |(byte, _)| byte)
    }

    /// The place of the word at a column, from 0, of a line of a cell that reads like `line`, where only one does.
    pub fn word_like(&self, line: &str, column: usize) -> Option<Span> {
        let in_name = |c: char| c == '_' || c.is_alphanumeric();
        let indented = line.chars().take_while(|c| c.is_whitespace()).count();
        let mut found = None;
        for (at, span) in &self.pieces {
            let piece = &self.text[*at..at + (span.end - span.start) as usize];
            let mut start = *at;
            for own in piece.split_inclusive('\n') {
                let trimmed = own.trim();
                if !trimmed.is_empty() && trimmed == line.trim() {
                    let word = trimmed.char_indices().nth(column.saturating_sub(indented)).map_or(0, |(byte, _)| byte);
                    let rest = &trimmed[word..];
                    let length = rest.find(|c| !in_name(c)).unwrap_or(rest.len()).max(1);
                    let begin = start + own.len() - own.trim_start().len() + word;
                    if found.replace(self.span(begin, begin + length)).is_some() {
                        return None;
                    }
                }
                start += own.len();
            }
        }
        found.flatten()
    }
}
