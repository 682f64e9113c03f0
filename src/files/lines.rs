//! Lines of bytes with their places.

use std::io::BufRead;

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::run_context::Stop;

use super::open::Bytes;

pub struct Lines {
    bytes: Bytes,
    shown: String,
    /// The offset of the next line, and the number of the last one, from 1.
    pub offset: u64,
    pub number: u64,
    stop: Stop,
}

impl Lines {
    pub fn new(bytes: Bytes, shown: &str, stop: Stop) -> Lines {
        Lines { bytes, shown: shown.to_string(), offset: 0, number: 0, stop }
    }

    /// The same lines where they do not begin their file.
    pub fn starting_at(self, offset: u64) -> Lines {
        Lines { offset, ..self }
    }

    /// Adds the next line to `line`, with its line break; its offset, or none at the end.
    pub fn next(&mut self, line: &mut Vec<u8>) -> Fallible<Option<u64>> {
        let start = self.offset;
        let length = self.bytes.read_until(b'\n', line).map_err(|error| {
            let message = format!("\"{}\" cannot be read after line {}: {error}", self.shown, self.number);
            Diagnostic::new(Kind::File, message)
        })?;
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
        Diagnostic::new(Kind::File, format!("\"{}\", line {number}: {what}", self.shown))
    }

    /// An error about the whole file.
    pub fn file_error(&self, what: &str) -> Box<Diagnostic> {
        Diagnostic::new(Kind::File, format!("\"{}\": {what}", self.shown))
    }

    /// The bytes at `offset` as text.
    pub fn text<'b>(&self, bytes: &'b [u8], offset: u64) -> Fallible<&'b str> {
        std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            let place = offset + at as u64;
            self.error(self.number, &format!("not UTF-8 text: byte 0x{:02x} at offset {place}", bytes[at]))
                .hint("`lossy true` reads it with replacement characters")
        })
    }
}

/// A line without its line break, `\n` or `\r\n`.
pub fn without_break(line: &[u8]) -> &[u8] {
    match line {
        [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => line,
        [line @ .., b'\r'] => line,
        line => line,
    }
}
