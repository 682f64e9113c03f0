//! What may come next where something was begun: the rest of a stage's, a magic's or a function's usage.

use crate::functions;
use crate::stages;

/// The rest of the usage of what `text` ends in: a stage or magic whose name was typed, or an open call.
pub fn signature(text: &str) -> Option<String> {
    let magic = text.strip_prefix("%%").or(text.strip_prefix('%'));
    let name = magic.and_then(|rest| rest.strip_suffix(' '));
    if let Some((name, magic)) = name.and_then(|name| Some((name, super::find(name)?))) {
        return after_name(magic.syntax.usage.strip_prefix('%')?, name);
    }
    if let Some(before) = text.strip_suffix(' ') {
        let name = last_word(before);
        if before[..before.len() - name.len()].trim_end().ends_with('|') {
            return after_name(stages::find(name)?.syntax.usage, name);
        }
    }
    let (name, arguments) = open_call(text)?;
    let usage = functions::find(name)?.usage;
    let parameters = usage.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')?;
    if parameters.contains(['(', '[', '…']) {
        // Not a plain list.
        return arguments.is_empty().then(|| format!("{parameters})"));
    }
    let parameters: Vec<&str> = parameters.split(", ").collect();
    let typed = arguments.matches(',').count();
    let begun = !arguments.rsplit(',').next().unwrap_or_default().trim().is_empty();
    let rest = parameters.get(typed + usize::from(begun)..)?;
    let between = match (begun, rest.is_empty()) {
        (true, false) => ", ",
        (false, false) if text.ends_with(',') => " ",
        _ => "",
    };
    Some(format!("{between}{})", rest.join(", ")))
}

fn after_name(usage: &str, name: &str) -> Option<String> {
    let rest = usage.strip_prefix(name)?.trim_start();
    (!rest.is_empty()).then(|| rest.to_string())
}

fn last_word(text: &str) -> &str {
    text.rsplit(|c: char| !(c == '_' || c.is_alphanumeric())).next().unwrap_or_default()
}

/// The innermost call that is open at the end: its name, and its arguments without brackets and texts.
fn open_call(text: &str) -> Option<(&str, String)> {
    let mut open: Vec<(&str, String)> = Vec::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let argument = open.last_mut().map(|(_, arguments)| arguments);
        match c {
            '\\' if quote.is_some() => drop(chars.next()),
            '"' | '\'' if quote.is_none_or(|open| open == c) => {
                quote = if quote.is_some() { None } else { Some(c) };
                argument.into_iter().for_each(|argument| argument.push('"'));
            }
            _ if quote.is_some() => {}
            '(' | '[' | '{' => {
                argument.into_iter().for_each(|argument| argument.push(c));
                let name = if c == '(' { last_word(&text[..at]) } else { "" };
                open.push((name, String::new()));
            }
            ')' | ']' | '}' => drop(open.pop()),
            c => argument.into_iter().for_each(|argument| argument.push(c)),
        }
    }
    if quote.is_some() { None } else { open.pop().filter(|(name, _)| !name.is_empty()) }
}
