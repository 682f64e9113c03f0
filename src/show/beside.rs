//! Two drawings side by side.

use unicode_width::UnicodeWidthStr;

/// Columns between them.
pub const GAP: usize = 2;

/// The lines of one drawing, each with the line of the other behind it.
pub fn beside(left: &str, right: &str) -> String {
    let column = widest(left) + GAP;
    let (mut left, mut right) = (left.lines(), right.lines());
    let mut out = String::new();
    loop {
        let line = match (left.next(), right.next()) {
            (None, None) => return out,
            (Some(left), None) => left.to_string(),
            (left, Some(right)) => {
                let left = left.unwrap_or_default();
                format!("{left}{}{right}", " ".repeat(column - width(left)))
            }
        };
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

pub fn widest(text: &str) -> usize {
    text.lines().map(width).max().unwrap_or(0)
}

/// The columns of a line, in which colours take none.
fn width(line: &str) -> usize {
    let mut pieces = line.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().width();
    first + pieces.map(|piece| piece.split_once('m').map_or(piece, |(_, text)| text).width()).sum::<usize>()
}
