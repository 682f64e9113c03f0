//! How far a piece of Rust goes: its braces, past texts, characters, lifetimes and comments.

/// The byte of the `}` that ends a block whose `{` stands just before `code`.
pub fn block_end(code: &str) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    while let Some(c) = code[at..].chars().next() {
        let rest = &code[at..];
        let length = match c {
            '{' => {
                depth += 1;
                1
            }
            '}' if depth == 0 => return Some(at),
            '}' => {
                depth -= 1;
                1
            }
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest)?,
            '"' => text(rest)?,
            '\'' => character(rest),
            _ if c == '_' || c.is_alphanumeric() => word(rest)?,
            _ => c.len_utf8(),
        };
        at += length;
    }
    None
}

/// Where the `{` of a block stands, counted from the end of the word `rust` before it: `rust with a, b { … }`.
pub fn block_start(rest: &str) -> Option<usize> {
    let brace = rest.find('{')?;
    let head = rest[..brace].trim();
    let names = match head.strip_prefix("with") {
        None if head.is_empty() => return Some(brace),
        Some(names) if names.starts_with(char::is_whitespace) => names,
        _ => return None,
    };
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c == '_' || c.is_alphanumeric());
    names.split(',').all(|name| is_name(name.trim())).then_some(brace)
}

/// The block of Rust after a word `rust`: where it begins and where it ends, from the end of the word; the end of the
/// text where it is open.
pub fn rust_block(rest: &str) -> Option<(usize, usize)> {
    let start = block_start(rest)?;
    let end = block_end(&rest[start + 1..]).map_or(rest.len(), |length| start + 1 + length + 1);
    Some((start, end))
}

/// Whether a text has a block of Rust somewhere, as far as its words tell.
pub fn holds_rust(text: &str) -> bool {
    text.match_indices("rust").any(|(at, word)| block_start(&text[at + word.len()..]).is_some())
}

/// The bytes of a comment, which may hold others.
fn comment(rest: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    loop {
        let step = rest[at..].find(['/', '*'])?;
        at += step;
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The bytes of a text in quotes.
fn text(rest: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The bytes of a character, or of the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            rest.char_indices().skip(3).find(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

/// The bytes of a word; one that is the beginning of a raw text takes the text along.
fn word(rest: &str) -> Option<usize> {
    let end = rest.find(|c: char| !(c == '_' || c.is_alphanumeric())).unwrap_or(rest.len());
    let raw = matches!(&rest[..end], "r" | "br" | "cr");
    let hashes = rest[end..].len() - rest[end..].trim_start_matches('#').len();
    if raw && rest[end + hashes..].starts_with('"') {
        let closing = format!("\"{}", "#".repeat(hashes));
        let inside = end + hashes + 1;
        return rest[inside..].find(&closing).map(|length| inside + length + closing.len());
    }
    Some(end)
}
