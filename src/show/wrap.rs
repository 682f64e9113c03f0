//! Long lines of prose, broken between words.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text in lines of at most `width` columns, where words let it be. What goes on stands under the column where the
/// line's text begins: after its first gap of two spaces or more, if that is not too far to the right.
pub fn wrapped(text: &str, width: usize) -> String {
    lines(text, width, |line| {
        // What stands under a column that is too far to the right stands at the left.
        let text = line.trim_start_matches(' ');
        let moved = format!("  {text}");
        let line = if line.len() - text.len() > width / 2 { moved } else { line.to_string() };
        let indent = indent(&line, width / 2);
        (line, indent)
    })
}

/// The same for prose: paragraphs stand at the left, and items of lists hang.
pub fn filled(text: &str, width: usize) -> String {
    lines(text, width, |line| {
        let lead = line.len() - line.trim_start_matches(' ').len();
        let is_item = line[lead..].starts_with(['-', '*', '>']) && line[lead + 1..].starts_with(' ');
        (line.to_string(), (lead + 2 * usize::from(is_item)).min(width / 2))
    })
}

/// The lines of a text, those that are too long broken: `start` gives such a line, and how far its rest stands in.
fn lines(text: &str, width: usize, start: impl Fn(&str) -> (String, usize)) -> String {
    let mut out = String::new();
    for line in text.lines() {
        if line.width() <= width {
            out.push_str(line);
        } else {
            let (line, indent) = start(line);
            wrap(&line, width, indent, &mut out);
        }
        out.push('\n');
    }
    out
}

fn wrap(line: &str, width: usize, indent: usize, out: &mut String) {
    let mut used = 0;
    let mut rest = line;
    while !rest.is_empty() {
        let gap = rest.len() - rest.trim_start_matches(' ').len();
        let word = &rest[gap..];
        let word = &word[..word_end(word)];
        rest = &rest[gap + word.len()..];
        let too_far = gap >= 2 && used + gap > width / 2;
        if used > indent && (too_far || used + gap + word.width() > width) {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            used = indent;
        } else {
            out.push_str(&" ".repeat(gap));
            used += gap;
        }
        out.push_str(word);
        used += word.width();
    }
}

/// The units of figures, as `figure` writes them.
const UNITS: [&str; 10] = ["%", "ns", "µs", "ms", "s", "B", "KiB", "MiB", "GiB", "TiB"];

/// Where the first word of a text ends. A number keeps its unit: "2.0" alone at the end of a line is read as a count.
fn word_end(text: &str) -> usize {
    let end = |text: &str| text.find(' ').unwrap_or(text.len());
    let number = end(text);
    if !text[..number].ends_with(|c: char| c.is_ascii_digit()) {
        return number;
    }
    let Some(next) = text[number..].strip_prefix(' ') else { return number };
    let unit = &next[..end(next)];
    let bare = unit.trim_end_matches([',', ';', '.', ':', ')']);
    if UNITS.contains(&bare) { number + 1 + unit.len() } else { number }
}

/// How far further lines stand in; at most `most`.
fn indent(line: &str, most: usize) -> usize {
    let lead = line.len() - line.trim_start_matches(' ').len();
    let mut column = lead;
    let mut spaces = 0;
    for c in line[lead..].chars() {
        if spaces >= 2 && c != ' ' {
            return if column <= most { column } else { lead.max(2).min(most) };
        }
        spaces = if c == ' ' { spaces + 1 } else { 0 };
        column += c.width().unwrap_or(0);
    }
    lead.max(2).min(most)
}
