//! Rust identifiers for whatever a person calls a column.

use std::collections::HashSet;

/// Words that a variable may not be: Rust's, and the functions and variables that the code itself uses.
const TAKEN: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "raw", "ref", "return", "self", "static", "struct", "super", "trait",
    "true", "try", "type", "typeof", "union", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
    "native", "left", "right", "first", "second", "third", "fourth", "item", "acc", "value", "depth", "found", "group",
    "_",
];

/// The prelude's functions: a variable of such a name would hide them.
fn prelude_functions() -> &'static HashSet<&'static str> {
    static NAMES: std::sync::OnceLock<HashSet<&'static str>> = std::sync::OnceLock::new();
    NAMES.get_or_init(|| {
        let after = |text: &'static str| text.split("\npub fn ").skip(1);
        let name = |rest: &'static str| rest.split(['(', '<']).next().unwrap_or_default();
        super::PARTS.iter().flat_map(|text| after(text)).map(name).collect()
    })
}

/// The name as a Rust identifier: small ASCII letters, digits and `_`.
pub fn identifier(name: &str) -> String {
    let mut safe: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if safe.chars().all(|c| c == '_') {
        safe = "column".to_string();
    }
    if safe.starts_with(|c: char| c.is_ascii_digit()) {
        safe.insert(0, '_');
    }
    if TAKEN.contains(&safe.as_str()) || prelude_functions().contains(safe.as_str()) {
        safe.push('_');
    }
    safe
}

/// The name, or the name with the least number behind it, that `is_free`.
pub fn unique(name: &str, is_free: impl Fn(&str) -> bool) -> String {
    if is_free(name) {
        return name.to_string();
    }
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    numbered.into_iter().find(|name| is_free(name)).expect("numbers never end")
}

/// Whether an identifier stands somewhere in a text of Rust.
pub fn mentions(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| !text[..at].ends_with(part) && !text[at + name.len()..].starts_with(part))
}
