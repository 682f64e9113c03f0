//! Folded stacks: `outer;inner 42` on each line.

use std::collections::HashMap;

use super::{Function, Profile, ReadError, Stacks, Unit};

/// Whether the first line that is no comment looks like a stack, however deep it is.
pub fn begins(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let is_empty = |line: &[u8]| line.trim_ascii().is_empty() || line.starts_with(b"#");
    let Some(line) = lines.find(|line| !is_empty(line)).and_then(|line| std::str::from_utf8(line).ok()) else {
        return false;
    };
    parts(line).is_some_and(|(stack, _)| !stack.is_empty())
}

fn parts(line: &str) -> Option<(&str, f64)> {
    let (stack, weight) = line.trim_end().rsplit_once(char::is_whitespace)?;
    Some((stack.trim(), weight.parse().ok()?))
}

pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    // Beyond this, numbers of samples have no place for each of them.
    const MOST: f64 = (1_u64 << 53) as f64;
    let mut stacks = Stacks::default();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut offset = 0;
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let start = offset;
        offset += line.len() + 1;
        let line = String::from_utf8_lossy(line);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (stack, weight) = parts(&line).filter(|(_, weight)| (0.0..=MOST).contains(weight)).ok_or_else(|| {
            ReadError::at(format!("line {} is not a stack and a number of samples", number + 1), start)
        })?;
        let mut frames = Vec::new();
        // py-spy writes samples without a stack so.
        for frame in stack.split(';').filter(|_| !stack.is_empty()) {
            let known = numbers.get(frame).copied();
            frames.push(known.unwrap_or_else(|| {
                let made = stacks.function(function(frame));
                numbers.insert(frame.to_string(), made);
                made
            }));
        }
        stacks.add(frames, weight);
    }
    Ok(stacks.profile("folded stacks", Unit::Samples))
}

/// `name (file:line)`, `library`name`, or a name alone.
fn function(frame: &str) -> Function {
    if let Some((name, place)) = frame.strip_suffix(')').and_then(|frame| frame.rsplit_once(" ("))
        && let Some((file, line)) = place.rsplit_once(':')
        && let Ok(line) = line.parse::<u32>()
    {
        let module =
            std::path::Path::new(file).file_stem().map_or(file.to_string(), |stem| stem.to_string_lossy().into());
        return Function { module, file: Some(file.to_string()), line: Some(line), ..Function::named(name) };
    }
    if let Some((library, name)) = frame.split_once('`') {
        return Function { module: library.to_string(), ..Function::named(name) };
    }
    // `module::function` and `module.function`; one that has generics or spaces stays as it is.
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c == '_' || c.is_alphanumeric());
    let module = frame.split("::").next().filter(|first| plain(first) && frame.contains("::"));
    Function { module: module.unwrap_or_default().to_string(), ..Function::named(frame) }
}
