//! Lines of bytes with their places, and the text format.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use crate::data::Value;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::job::{Job, Progress};

use super::Records;

pub struct Lines<R> {
    reader: BufReader<R>,
    shown: String,
    progress: Option<Progress>,
    /// The offset of the next line, and the number of the last one, from 1.
    offset: u64,
    pub number: u64,
}

impl Lines<File> {
    pub fn new(reader: BufReader<File>, shown: &str, job: &Job) -> Lines<File> {
        Lines { progress: Some(job.progress.clone()), ..Lines::quiet(reader, shown) }
    }
}

impl<R: Read> Lines<R> {
    /// Lines that tell nobody how far they are.
    pub fn quiet(reader: BufReader<R>, shown: &str) -> Lines<R> {
        Lines { reader, shown: shown.to_string(), progress: None, offset: 0, number: 0 }
    }

    /// Adds the next line to `line`, with its line break; its offset, or none at the end.
    pub fn next(&mut self, line: &mut Vec<u8>) -> Fallible<Option<u64>> {
        let start = self.offset;
        let length = self
            .reader
            .read_until(b'\n', line)
            .map_err(|error| Diagnostic::new(Kind::File, format!("\"{}\" cannot be read: {error}", self.shown)))?;
        if length == 0 {
            return Ok(None);
        }
        self.offset += length as u64;
        self.number += 1;
        if let Some(progress) = &self.progress {
            progress.add_bytes(length as u64);
        }
        Ok(Some(start))
    }

    /// An error about line `number`.
    pub fn error(&self, number: u64, what: &str) -> Box<Diagnostic> {
        Diagnostic::new(Kind::File, format!("\"{}\", line {number}: {what}", self.shown))
    }

    /// The bytes at `offset` as text.
    pub fn text<'b>(&self, bytes: &'b [u8], offset: u64) -> Fallible<&'b str> {
        std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            let message = format!(
                "\"{}\", line {}: not UTF-8 text: byte 0x{:02x} at offset {}",
                self.shown,
                self.number,
                bytes[at],
                offset + at as u64
            );
            Diagnostic::new(Kind::File, message).hint("`lossy true` reads it with replacement characters")
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

/// Text lines: the column `line`.
pub struct Text {
    lines: Lines<File>,
    lossy: bool,
    buffer: Vec<u8>,
}

impl Text {
    pub fn new(lines: Lines<File>, lossy: bool) -> Text {
        Text { lines, lossy, buffer: Vec::new() }
    }
}

impl Records for Text {
    fn next(&mut self, row: &mut Vec<Value>) -> Fallible<bool> {
        self.buffer.clear();
        let Some(offset) = self.lines.next(&mut self.buffer)? else { return Ok(false) };
        let line = without_break(&self.buffer);
        let value = if self.lossy {
            Value::text(&String::from_utf8_lossy(line))
        } else {
            Value::text(self.lines.text(line, offset)?)
        };
        row.clear();
        row.push(value);
        Ok(true)
    }
}
