//! Patterns that mean the same to the regular expressions of Rust, Python and Java.

/// Whose regular expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Python,
    Java,
}

/// Why other patterns are an objection.
pub const UNCOMMON: &str = "`matches` takes only patterns there that all regular expressions share: characters, `.`, \
                            `[a-z]`, `(…|…)`, `*`, `+`, `?`, `^` and `$`";

/// The pattern in a dialect, where it means the same there; none where that is not certain.
pub fn in_common(pattern: &str, dialect: Dialect) -> Option<String> {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let mut can_repeat = false;
    while let Some(c) = chars.next() {
        let repeats = std::mem::take(&mut can_repeat);
        match c {
            // `a**` and `a+?` mean different things to them.
            '*' | '+' | '?' if repeats && !matches!(chars.peek(), Some('*' | '+' | '?' | '{')) => out.push(c),
            '(' if !matches!(chars.peek(), Some('?' | '*' | '+')) => out.push(c),
            ')' => {
                out.push(c);
                can_repeat = true;
            }
            '|' | '^' => out.push(c),
            // Before the last line break is not the end.
            '$' => out.push_str(if dialect == Dialect::Python { r"\Z" } else { r"\z" }),
            '.' => {
                out.push_str(r"[^\n]");
                can_repeat = true;
            }
            '[' => {
                out.push_str(&class(&mut chars)?);
                can_repeat = true;
            }
            '\\' => {
                let escaped = chars.next().filter(char::is_ascii_punctuation)?;
                out.push('\\');
                out.push(escaped);
                can_repeat = true;
            }
            c if c.is_ascii_alphanumeric()
                || matches!(c, ' ' | '_' | '-' | ',' | ':' | ';' | '/' | '=' | '@' | '"') =>
            {
                out.push(c);
                can_repeat = true;
            }
            c if !c.is_ascii() && !c.is_whitespace() => {
                out.push(c);
                can_repeat = true;
            }
            _ => return None,
        }
    }
    Some(out)
}

/// What stands in square brackets: letters, digits and ranges of them.
fn class(chars: &mut std::iter::Peekable<std::str::Chars>) -> Option<String> {
    let mut out = "[".to_string();
    if chars.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut any = false;
    loop {
        let c = chars.next()?;
        match c {
            ']' if any => {
                out.push(c);
                return Some(out);
            }
            c if c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | ',') => {
                any = true;
                out.push(c);
                if chars.next_if_eq(&'-').is_some() {
                    let end = chars.next().filter(char::is_ascii_alphanumeric)?;
                    out.push('-');
                    out.push(end);
                }
            }
            _ => return None,
        }
    }
}
