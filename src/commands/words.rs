//! The text of a command: names in braces, and the words of a program that needs no shell.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Program;

/// Words that a shell knows by itself, so that there may be no program of that name.
const OF_THE_SHELL: [&str; 33] = [
    ".", ":", "alias", "bg", "break", "case", "cd", "command", "continue", "eval", "exec", "exit", "export", "fg",
    "for", "getopts", "hash", "if", "jobs", "read", "readonly", "return", "set", "shift", "source", "time", "times",
    "trap", "type", "ulimit", "umask", "until", "while",
];

/// A command with values in its braces.
#[derive(Debug, Clone, Default)]
pub struct Filled {
    pub text: String,
    /// The names whose values were put in.
    pub used: Vec<String>,
    /// Names in braces that have no value, so that they stayed.
    pub left: Vec<String>,
    /// Names whose value is quoted already, and stands in quotes of the command.
    pub twice: Vec<String>,
}

/// Puts values into the braces that hold exactly a name: `{n}`. `{{` is a brace. All else stays as it is.
pub fn braces(text: &str, value: impl Fn(&str) -> Option<String>) -> Filled {
    let mut filled = Filled { text: String::with_capacity(text.len()), ..Filled::default() };
    let (mut rest, mut quote) = (text, None);
    while let Some(at) = rest.find('{') {
        quote = quote_after(quote, &rest[..at]);
        filled.text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('{') {
            filled.text.push('{');
            rest = after;
            continue;
        }
        let named = rest.find('}').map(|end| &rest[..end]).filter(|name| is_name(name));
        match named.map(|name| (name, value(name))) {
            Some((name, Some(value))) => {
                filled.text.push_str(&value);
                filled.used.push(name.to_string());
                if quote.is_some() && value.starts_with('\'') {
                    filled.twice.push(name.to_string());
                }
                rest = &rest[name.len() + 1..];
            }
            Some((name, None)) => {
                filled.text.push('{');
                filled.left.push(name.to_string());
            }
            None => filled.text.push('{'),
        }
    }
    filled.text.push_str(rest);
    filled
}

/// The quote that is open behind a text, for a shell, where this one was open before it.
fn quote_after(mut quote: Option<char>, text: &str) -> Option<char> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => drop(chars.next()),
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
    }
    quote
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_alphabetic()) && chars.all(|c| c == '_' || c.is_alphanumeric())
}

/// A text as one word of a shell.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ',' | ':' | '+' | '@');
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_string(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// What is started for a text: a program with its words, or the system's shell where the text is more than that.
///
/// # Errors
/// The name of a program that is not there.
pub fn resolve(text: &str, path: Option<&std::ffi::OsStr>) -> Result<Program, String> {
    let Some(words) = plain_words(text) else { return Ok(through_shell(text)) };
    let Some(name) = words.first().filter(|name| !OF_THE_SHELL.contains(&name.as_str())) else {
        return Ok(through_shell(text));
    };
    let found = find(name, path).ok_or_else(|| name.clone())?;
    let words = words.iter().map(|word| OsString::from_vec(word.clone().into_bytes())).collect();
    Ok(Program { path: found, words, is_shell: false })
}

/// The system's shell with a text.
pub fn through_shell(text: &str) -> Program {
    let words = ["sh", "-c", text].map(OsString::from).to_vec();
    Program { path: PathBuf::from("/bin/sh"), words, is_shell: true }
}

/// The words of a text; none where a shell would do more with it than to part them.
fn plain_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    // None between words.
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '$' | '`' => return None,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            '\n' => {}
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next().filter(|c| *c != '\n')?),
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '*' | '?' | '[' | '\n' | '!' => return None,
            '{' | '}' | '#' | '~' if word.is_none() => return None,
            // `{a,b}` and `a=b` are more than words, the second before the program alone.
            '{' => return None,
            '=' if words.is_empty() => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// Where a program lies.
fn find(name: &str, path: Option<&std::ffi::OsStr>) -> Option<PathBuf> {
    let is_program = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_program(path));
    }
    let usual = OsString::from("/usr/local/bin:/usr/bin:/bin");
    let folders = path.map_or(usual, |path| path.to_os_string());
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| is_program(path))
}
