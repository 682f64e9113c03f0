//! Long lines broken at their blocks, as a person would.

/// Longer lines are broken.
const WIDTH: usize = 100;

/// A line at a depth as lines, broken where it is too long and has blocks.
pub fn lines(depth: usize, text: &str) -> Vec<String> {
    break_line(depth, text, false)
}

/// A line at a depth.
pub fn indented(depth: usize, text: &str) -> String {
    format!("{:1$}{text}", "", 4 * depth)
}

fn break_line(depth: usize, text: &str, always: bool) -> Vec<String> {
    let whole = indented(depth, text);
    if whole.chars().count() <= WIDTH && !always {
        return vec![whole];
    }
    if let Some((head, inner, rest)) = block(text) {
        let mut lines = vec![indented(depth, &format!("{head}{{"))];
        for part in parts(inner) {
            lines.extend(break_line(depth + 1, part.trim(), false));
        }
        lines.extend(break_line(depth, &format!("}}{rest}"), rest.starts_with(" else")));
        return lines;
    }
    let chain: Vec<&str> = text.split(".then_with(").collect();
    if chain.len() < 2 {
        return vec![whole];
    }
    let mut lines = vec![indented(depth, chain[0])];
    lines.extend(chain[1..].iter().map(|part| indented(depth + 1, &format!(".then_with({part}"))));
    lines
}

/// What stands before the first block, in it, and after it.
fn block(text: &str) -> Option<(&str, &str, &str)> {
    let mut start = None;
    let mut depth = 0;
    for (at, c) in code(text) {
        match c {
            '{' => {
                depth += 1;
                start.get_or_insert(at);
            }
            // A line may begin with the end of the block before it.
            '}' if start.is_none() => {}
            '}' => depth -= 1,
            _ => {}
        }
        if let (Some(start), '}', 0) = (start, c, depth)
            && at > start + 1
        {
            return Some((&text[..start], &text[start + 1..at], &text[at + 1..]));
        }
    }
    None
}

/// The statements of a block, or the arms of a match.
fn parts(inner: &str) -> Vec<&str> {
    let mut depth = 0;
    let (mut ends, mut commas, mut is_match) = (Vec::new(), Vec::new(), false);
    for (at, c) in code(inner) {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ';' if depth == 0 => ends.push(at + 1),
            ',' if depth == 0 => commas.push(at + 1),
            '=' if depth == 0 => is_match |= inner[at..].starts_with("=> "),
            _ => {}
        }
    }
    let mut parts = Vec::new();
    let mut rest = 0;
    for end in if is_match && ends.is_empty() { commas } else { ends } {
        parts.push(&inner[rest..end]);
        rest = end;
    }
    parts.push(&inner[rest..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// The characters that are not in a text.
fn code(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().filter(move |(_, c)| {
        let inside = quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        !inside && *c != '"'
    })
}
