//! Lines of bytes with their places.

use std::io::{self, BufRead};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::run_context::Stop;

use super::open::{Bytes, unreadable_at};
use super::waiting;

pub struct Lines {
    bytes: Bytes,
    shown: String,
    /// The offset of the next line, and the number of the last one, from 1.
    pub offset: u64,
    pub number: u64,
    /// Whether a carriage return alone ends a line too.
    ends_at_returns: bool,
    /// What a line is in messages.
    unit: &'static str,
    stop: Stop,
}

impl Lines {
    pub fn new(bytes: Bytes, shown: &str, stop: Stop) -> Lines {
        Lines { bytes, shown: shown.to_string(), offset: 0, number: 0, ends_at_returns: false, unit: "line", stop }
    }

    /// The same lines, each of which a carriage return ends too.
    pub fn ending_at_returns(self) -> Lines {
        Lines { ends_at_returns: true, ..self }
    }

    /// The same lines where each is such a thing in the file.
    pub fn called(self, unit: &'static str) -> Lines {
        Lines { unit, ..self }
    }

    /// Whether they are the lines of the file itself.
    pub fn is_of_lines(&self) -> bool {
        self.unit == "line"
    }

    /// The same lines where they do not begin their file.
    pub fn starting_at(self, offset: u64) -> Lines {
        Lines { offset, ..self }
    }

    /// Adds the next line to `line`, with its line break; its offset, or none at the end.
    pub fn next(&mut self, line: &mut Vec<u8>) -> Fallible<Option<u64>> {
        let start = self.offset;
        let length = read_line(&mut self.bytes, line, self.ends_at_returns, &self.stop)
            .map_err(|error| unreadable_at(&self.shown, &format!(" after {} {}", self.unit, self.number), &error))?;
        if length == 0 {
            return Ok(None);
        }
        self.offset += length as u64;
        self.number += 1;
        if self.number.is_multiple_of(1024) {
            self.stop.check()?;
        }
        Ok(Some(start))
    }

    /// An error about line `number`.
    pub fn error(&self, number: u64, what: &str) -> Box<Diagnostic> {
        Diagnostic::new(Kind::File, format!("\"{}\", {} {number}: {what}", self.shown, self.unit))
    }

    /// The error of a file whose first bytes say that it is UTF-16.
    pub fn utf16(&self, bytes: &[u8], offset: u64) -> Option<Box<Diagnostic>> {
        let is_marked = offset == 0 && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff"));
        is_marked.then(|| {
            let message = format!("\"{}\" is UTF-16 text; only UTF-8 is supported", self.shown);
            let hint = format!("!iconv -f UTF-16 -t UTF-8 \"{0}\" > \"{0}.utf8\"", self.shown);
            Diagnostic::new(Kind::File, message).hint(hint)
        })
    }

    /// The bytes at `offset` as text.
    pub fn text<'b>(&self, bytes: &'b [u8], offset: u64) -> Fallible<&'b str> {
        std::str::from_utf8(bytes).map_err(|error| {
            if let Some(error) = self.utf16(bytes, offset) {
                return error;
            }
            let at = error.valid_up_to();
            let place = offset + at as u64;
            self.error(self.number, &format!("not UTF-8 text: byte 0x{:02x} at offset {place}", bytes[at]))
                .hint("`lossy true` reads it with replacement characters")
        })
    }
}

/// Adds a line that ends with `\n`, `\r\n` or, where it may, `\r`; its length.
fn read_line(bytes: &mut Bytes, line: &mut Vec<u8>, ends_at_returns: bool, stop: &Stop) -> io::Result<usize> {
    let before = line.len();
    loop {
        let available = filled(bytes)?;
        let end = match ends_at_returns {
            true => memchr::memchr2(b'\n', b'\r', available),
            false => memchr::memchr(b'\n', available),
        };
        let Some(at) = end else {
            if available.is_empty() {
                break;
            }
            // A line may be as long as the file.
            if stop.is_raised() {
                return Err(waiting::stopped());
            }
            line.extend_from_slice(available);
            let length = available.len();
            bytes.consume(length);
            continue;
        };
        let end = match (available[at], available.get(at + 1)) {
            (b'\r', Some(b'\n')) => at + 2,
            _ => at + 1,
        };
        let is_cut = available[at] == b'\r' && at + 1 == available.len();
        line.extend_from_slice(&available[..end]);
        bytes.consume(end);
        // The other half of the line break may come with the next bytes.
        if is_cut && filled(bytes)?.first() == Some(&b'\n') {
            line.push(b'\n');
            bytes.consume(1);
        }
        break;
    }
    Ok(line.len() - before)
}

/// The bytes that are read but not taken, some unless the end was reached.
fn filled(bytes: &mut Bytes) -> io::Result<&[u8]> {
    loop {
        match bytes.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes.buffer())
}

/// A line without its line break, `\n` or `\r\n`.
pub fn without_break(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => line,
        [line @ .., b'\r'] => line,
        line => line,
    }
}
