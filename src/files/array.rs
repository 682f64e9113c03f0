//! A json array of objects as json lines: each element becomes a line, so that one reader serves both. What is wrong in
//! the array becomes a line that is not json.

use std::io::{self, BufRead, Read};

use super::open::{Bytes, buffered};

/// The bytes of a json file; lines, also where they are an array of objects, and whether they are one.
pub fn as_lines(mut bytes: Bytes) -> io::Result<(Bytes, bool)> {
    let start = loop {
        match bytes.fill_buf() {
            Ok(start) => break start,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    if start.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        return Ok((bytes, false));
    }
    let elements =
        Elements { bytes, state: State::Before, depth: 0, is_empty: true, in_text: false, is_escaped: false };
    Ok((buffered(Box::new(elements)), true))
}

struct Elements {
    bytes: Bytes,
    state: State,
    /// How many brackets are open in the element.
    depth: usize,
    /// Nothing of the element was met yet.
    is_empty: bool,
    in_text: bool,
    is_escaped: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// The opening bracket of the array comes.
    Before,
    /// The first element comes, or the end.
    First,
    /// After a comma.
    Next,
    After,
}

impl Elements {
    /// What stands in the lines for a byte of the array.
    fn show_byte(&mut self, byte: u8) -> Option<u8> {
        if self.in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return Some(byte);
        }
        match (self.state, byte) {
            (State::Before, b'[') => {
                self.state = State::First;
                return None;
            }
            (State::Before, _) => return None,
            (State::After, byte) => return (!byte.is_ascii_whitespace()).then_some(byte),
            (State::First | State::Next, _) => {}
        }
        match byte {
            b'\n' | b'\r' => return Some(b' '),
            b' ' | b'\t' => return Some(byte),
            // Without an element before it, it stays and is told as a mistake.
            b',' if self.depth == 0 && !self.is_empty => {
                self.state = State::Next;
                self.is_empty = true;
                return Some(b'\n');
            }
            b']' if self.depth == 0 && (self.state == State::First || !self.is_empty) => {
                self.state = State::After;
                return Some(b'\n');
            }
            // After a comma: a mistake too.
            b']' if self.depth == 0 => self.state = State::After,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b'"' => self.in_text = true,
            _ => {}
        }
        self.is_empty = false;
        Some(byte)
    }
}

impl Read for Elements {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let available = self.bytes.fill_buf()?;
            if available.is_empty() {
                if self.state != State::After {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the array is never closed"));
                }
                return Ok(0);
            }
            let mut taken = [0; 4096];
            let length = available.len().min(buffer.len()).min(taken.len());
            taken[..length].copy_from_slice(&available[..length]);
            self.bytes.consume(length);
            let mut written = 0;
            for byte in &taken[..length] {
                if let Some(byte) = self.show_byte(*byte) {
                    buffer[written] = byte;
                    written += 1;
                }
            }
            if written > 0 || buffer.is_empty() {
                return Ok(written);
            }
        }
    }
}
