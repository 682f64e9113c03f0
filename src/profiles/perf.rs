//! The text of `perf script`: a line for each sample, and its stack below it, the innermost function first.

use std::collections::HashMap;

use super::{Function, Profile, ReadError, Stacks, Unit};

/// Whether a text begins like one: a sample and a frame below it.
pub fn begins(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    match (lines.next(), lines.next()) {
        (Some(head), Some(frame)) => event(head).is_some() && frame_parts(frame).is_some(),
        (Some(head), None) => event(head).is_some(),
        _ => false,
    }
}

/// The weight and the event of `name 123 [001] 4.567: 250000 cpu-clock:u:`.
fn event(line: &str) -> Option<(Option<u64>, &str)> {
    if line.starts_with([' ', '\t']) && frame_parts(line).is_some() {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_time =
        |word: &str| word.strip_suffix(':').is_some_and(|time| time.parse::<f64>().is_ok() && time.contains('.'));
    let time = words.iter().position(|word| is_time(word))?;
    let rest = &words[time + 1..];
    let period = rest.first().and_then(|word| word.parse().ok());
    let event = rest.get(usize::from(period.is_some()))?;
    Some((period, event.trim_end_matches(':')))
}

/// Address, name and library of `  7f12 name+0x12 (/usr/lib/libc.so.6)`.
fn frame_parts(line: &str) -> Option<(&str, &str, &str)> {
    let (address, rest) = line.trim_start().split_once(' ')?;
    u64::from_str_radix(address.trim_start_matches("0x"), 16).ok()?;
    let rest = rest.trim();
    let (name, library) = rest.strip_suffix(')')?.rsplit_once('(')?;
    Some((address, name.trim(), library))
}

pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let mut stacks = Stacks::default();
    let mut numbers: HashMap<(String, String), usize> = HashMap::new();
    let mut stack: Vec<usize> = Vec::new();
    let mut open: Option<f64> = None;
    let (mut samples, mut offset, mut in_nanoseconds) = (0_u64, 0, None);
    let mut events: Vec<String> = Vec::new();
    let add = |stacks: &mut Stacks, stack: &mut Vec<usize>, open: &mut Option<f64>| {
        if let Some(weight) = open.take() {
            stacks.add(stack.drain(..).rev(), weight);
        }
        stack.clear();
    };
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let start = offset;
        offset += line.len() + 1;
        let line = String::from_utf8_lossy(line);
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            add(&mut stacks, &mut stack, &mut open);
        } else if let Some((_, name, library)) = frame_parts(&line).filter(|_| open.is_some()) {
            let key = (symbol(name, &line, library), library.to_string());
            let known = numbers.get(&key).copied();
            stack.push(known.unwrap_or_else(|| {
                let made = stacks.function(function(&key.0, library));
                numbers.insert(key, made);
                made
            }));
        } else if let Some((period, event)) = event(&line) {
            add(&mut stacks, &mut stack, &mut open);
            let is_clock = event.starts_with("cpu-clock") || event.starts_with("task-clock");
            let clocked = is_clock && period.is_some();
            in_nanoseconds = Some(in_nanoseconds.unwrap_or(true) && clocked);
            open = Some(if clocked { period.unwrap_or(1) as f64 / 1e9 } else { 1.0 });
            samples += 1;
            if !events.iter().any(|known| known == event) {
                events.push(event.to_string());
            }
        } else {
            return Err(ReadError::at(
                format!("line {} is neither a sample nor a frame of perf script", number + 1),
                start,
            ));
        }
    }
    add(&mut stacks, &mut stack, &mut open);
    if events.len() > 1 {
        return Err(ReadError::new(format!(
            "it has samples of several events ({}): write one of them with perf script -e EVENT",
            events.join(", ")
        )));
    }
    let unit = if in_nanoseconds == Some(true) { Unit::Seconds } else { Unit::Samples };
    let mut profile = stacks.profile("perf script", unit);
    profile.notes.push(format!("{samples} samples of {}", events.first().map_or("no event", String::as_str)));
    Ok(profile)
}

/// A name without its offset; where there is none, the library and the address in it.
fn symbol(name: &str, line: &str, library: &str) -> String {
    if name == "[unknown]" || name.is_empty() {
        let address = line.trim_start().split(' ').next().unwrap_or_default();
        return format!("{}+0x{}", short(library), address.trim_start_matches("0x"));
    }
    match name.rsplit_once("+0x") {
        Some((plain, offset)) if offset.chars().all(|c| c.is_ascii_hexdigit()) => plain.to_string(),
        _ => name.to_string(),
    }
}

fn short(library: &str) -> &str {
    library.rsplit('/').next().unwrap_or(library)
}

fn function(name: &str, library: &str) -> Function {
    Function { module: short(library).to_string(), ..Function::named(name) }
}
