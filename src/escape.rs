//! Texts from data, files and names on their way to a person. It knows no terminal.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Characters that would move the cursor, colour the terminal or turn the direction of writing.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || c == '\u{feff}'
}

/// A text whose control characters are shown with escapes, `\u{1b}`, but for line breaks and tabs.
pub fn escaped(text: &str) -> String {
    escape_where(text, is_unsafe)
}

/// The same for a text that somebody decides about: also what nobody would see is shown with escapes, such as spaces
/// without width.
pub fn revealed(text: &str) -> String {
    escape_where(text, |c| is_unsafe(c) || is_invisible(c))
}

/// The name of a file or folder in a message: in one line, with escapes as in a text of the language, and `\xff` for a
/// byte that is not text.
pub fn file_name(path: impl AsRef<Path>) -> String {
    let mut out = String::new();
    for chunk in path.as_ref().as_os_str().as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '"' | '\\' => out.extend(['\\', c]),
                c if is_unsafe(c) || is_invisible(c) => out.extend(c.escape_unicode()),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out
}

fn escape_where(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let is_escaped = |c: char| is_escaped(c) && !matches!(c, '\n' | '\t');
    if !text.contains(is_escaped) {
        return text.to_string();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// Whether a character leaves no mark, or one that is not its own: the standard library does not print it in `{:?}`.
/// Spaces have a width, and marks stand on the letter before them.
fn is_invisible(c: char) -> bool {
    // In first place every mark would be escaped.
    !c.is_ascii() && !c.is_whitespace() && format!("a{c}").escape_debug().nth(1) == Some('\\')
}

/// An address without the value of its token.
pub fn without_token(address: &str) -> String {
    let parts = address.split(';').map(|part| match part.split_once('=') {
        Some((name, _)) if name.trim().eq_ignore_ascii_case("token") => format!("{name}=…"),
        _ => part.to_string(),
    });
    parts.collect::<Vec<_>>().join(";")
}

/// A text in which the tokens of addresses are as many asterisks, so that places in it are the same.
pub fn hidden_tokens(text: &str) -> String {
    const SIGN: &str = "token=";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.to_ascii_lowercase().find(SIGN) {
        let start = found + SIGN.len();
        let end = rest[start..].find([';', '"', '\'', ' ', '\t', '\n', ')']).map_or(rest.len(), |at| start + at);
        out.push_str(&rest[..start]);
        out.extend(std::iter::repeat_n('*', end - start));
        rest = &rest[end..];
    }
    out + rest
}
