//! What a program printed, as far as it is kept, and how two of these differ.

use std::hash::{DefaultHasher, Hasher};

use super::Listener;

/// So much of standard output is kept; beyond that length and hash are compared.
pub const KEPT: usize = 64 << 20;
/// So much of the end of standard error is kept.
pub const KEPT_ERRORS: usize = 64 << 10;

/// What a program printed.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// The beginning of its standard output.
    pub kept: Vec<u8>,
    pub length: u64,
    /// Of what came after that.
    rest: DefaultHasher,
    /// The end of its standard error.
    pub errors: Vec<u8>,
}

impl Output {
    /// Of a program of which only the errors are known.
    pub fn of_errors(errors: Vec<u8>) -> Output {
        Output { errors, ..Output::default() }
    }

    /// What two programs printed differently first, in words; nothing where it is the same.
    pub fn difference(&self, other: &Output) -> Option<String> {
        let shorter = self.kept.len().min(other.kept.len());
        match first_difference(&self.kept, &other.kept) {
            Some(at) if at < shorter || self.length.min(other.length) <= KEPT as u64 => {
                let number = self.kept[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
                let line = |output: &Output| quote(line_at(&output.kept, at));
                let (here, there) = (line(self), line(other));
                Some(match here == there {
                    // One of them ends there, or it is in what is cut away.
                    true => format!("byte {}: {} bytes here, {} there", at + 1, self.length, other.length),
                    false => format!("line {number}: {here} here, {there} there"),
                })
            }
            _ if self.length != other.length => Some(format!("{} bytes here, {} there", self.length, other.length)),
            _ if self.rest.finish() != other.rest.finish() => {
                Some(format!("the first {} MiB are equal, but not what follows", KEPT >> 20))
            }
            _ => None,
        }
    }

    /// Whether all that was printed is kept.
    pub fn is_whole(&self) -> bool {
        self.length as usize == self.kept.len()
    }

    /// The end of standard error, for a line about a failure.
    pub fn last_errors(&self) -> Option<String> {
        const LINES: usize = 3;
        const LONGEST: usize = 300;
        let text = String::from_utf8_lossy(&self.errors);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let said = lines[lines.len().saturating_sub(LINES)..].join(" ⏎ ");
        let start = said.char_indices().rev().nth(LONGEST).map(|(at, _)| at);
        let said = start.map_or(said.clone(), |at| format!("…{}", &said[at..]));
        (!said.is_empty()).then_some(said)
    }
}

fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    // Long parts are compared at once.
    const PART: usize = 4096;
    let shorter = one.len().min(other.len());
    let parts = one[..shorter].chunks(PART).zip(other[..shorter].chunks(PART));
    let same = parts.take_while(|(one, other)| one == other).count() * PART;
    let start = same.min(shorter);
    let at = one[start..shorter].iter().zip(&other[start..shorter]).position(|(one, other)| one != other);
    match at {
        Some(at) => Some(start + at),
        None if one.len() != other.len() => Some(shorter),
        None => None,
    }
}

fn line_at(bytes: &[u8], at: usize) -> &[u8] {
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |newline| at + newline);
    &bytes[start..end]
}

/// A line for a message; control characters and what is not UTF-8 are escaped.
fn quote(line: &[u8]) -> String {
    const LONGEST: usize = 60;
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * LONGEST)]);
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().count() > LONGEST {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Keeps what a program prints.
#[derive(Default)]
pub struct Gathered(pub Output);

impl Listener for Gathered {
    fn out(&mut self, bytes: &[u8]) {
        let output = &mut self.0;
        let room = bytes.len().min(KEPT - output.kept.len());
        output.kept.extend_from_slice(&bytes[..room]);
        output.rest.write(&bytes[room..]);
        output.length += bytes.len() as u64;
    }

    fn err(&mut self, bytes: &[u8]) {
        keep_end(&mut self.0.errors, bytes);
    }
}

/// Adds bytes, of which only the last are kept.
fn keep_end(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(bytes);
    if kept.len() > 2 * KEPT_ERRORS {
        kept.drain(..kept.len() - KEPT_ERRORS);
    }
}

/// Compares what a program prints with what it printed the first time, without keeping it.
pub struct Compared<'a> {
    first: &'a Output,
    length: u64,
    rest: DefaultHasher,
    differs: bool,
    pub errors: Vec<u8>,
}

impl Compared<'_> {
    pub fn with(first: &Output) -> Compared<'_> {
        Compared { first, length: 0, rest: DefaultHasher::default(), differs: false, errors: Vec::new() }
    }

    /// Whether it was something else this time. Asked when the program has ended.
    pub fn differs(&self) -> bool {
        self.differs || self.length != self.first.length || self.rest.finish() != self.first.rest.finish()
    }
}

impl Listener for Compared<'_> {
    fn out(&mut self, bytes: &[u8]) {
        let at = (self.length as usize).min(self.first.kept.len());
        let known = &self.first.kept[at..];
        let room = bytes.len().min(KEPT - at.min(KEPT));
        let (kept, rest) = bytes.split_at(room);
        self.differs |= !known.starts_with(kept);
        self.rest.write(rest);
        self.length += bytes.len() as u64;
    }

    fn err(&mut self, bytes: &[u8]) {
        keep_end(&mut self.errors, bytes);
    }
}
