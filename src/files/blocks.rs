//! Bytes of a file in blocks of whole lines, in buffers that are used again.

use std::io::{Cursor, Read as _};

use either::Either;
use polars_buffer::Buffer;

use crate::diagnostic::Fallible;

use super::open::{Bytes, unreadable_at};

/// Whole lines: `bytes[start..end]` ends with a line feed, unless it was asked for less. After the end stand at least
/// [`Blocks::PADDING`] bytes.
pub struct Block {
    pub bytes: Buffer<u8>,
    pub start: usize,
    pub end: usize,
}

impl Block {
    pub fn lines(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
}

pub struct Blocks {
    bytes: Bytes,
    shown: String,
    /// Holds what was read; nobody else may hold it while it is filled.
    buffer: Buffer<u8>,
    /// What was read but not given out yet.
    rest: std::ops::Range<usize>,
    at_end: bool,
    /// The least that is read at a time.
    chunk_sizes: usize,
    /// Whether the lines that are there are given out before more are waited for.
    as_they_come: bool,
    /// Whether a carriage return ends a line where no line feed does.
    ends_at_returns: bool,
}

impl Blocks {
    pub const PADDING: usize = 16;

    pub fn new(bytes: Bytes, shown: &str, chunk_sizes: usize) -> Blocks {
        Blocks {
            bytes,
            shown: shown.to_string(),
            buffer: Buffer::default(),
            rest: 0..0,
            at_end: false,
            chunk_sizes,
            as_they_come: false,
            ends_at_returns: false,
        }
    }

    /// The same, but a block may end with a carriage return if it has no line feed: it does not grow for the whole
    /// file.
    pub fn ending_at_returns(self) -> Blocks {
        Blocks { ends_at_returns: true, ..self }
    }

    /// The same for bytes that somebody may still be making.
    pub fn as_they_come(self) -> Blocks {
        Blocks { as_they_come: true, ..self }
    }

    /// The next lines; none at the end. A line of any length is whole: the buffer grows for it.
    pub fn read(&mut self) -> Fallible<Option<Block>> {
        let mut buffer = self.emptied();
        let mut filled = self.rest.len();
        loop {
            if buffer.len() < filled + self.chunk_sizes + Self::PADDING {
                buffer.resize(2 * filled + self.chunk_sizes + Self::PADDING, 0);
            }
            let room = buffer.len() - Self::PADDING;
            let before = filled;
            while filled < room && !self.at_end {
                match self.bytes.read(&mut buffer[filled..room]) {
                    Ok(0) => self.at_end = true,
                    Ok(length) => {
                        filled += length;
                        if self.as_they_come {
                            break;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(unreadable_at(&self.shown, "", &error)),
                }
            }
            if self.at_end && filled > 0 && buffer[filled - 1] != b'\n' {
                buffer[filled] = b'\n';
                buffer.push(0);
                filled += 1;
            }
            let mut found = memchr::memrchr(b'\n', &buffer[before..filled]).map(|at| before + at + 1);
            if found.is_none() && self.ends_at_returns && !buffer[..before].contains(&b'\n') {
                // The last byte may be the first half of a line break.
                found = memchr::memrchr(b'\r', &buffer[..filled.saturating_sub(1)]).map(|at| at + 1);
            }
            if found.is_some() || self.at_end {
                let end = found.unwrap_or(filled);
                self.buffer = Buffer::from_vec(buffer);
                self.rest = end..filled;
                return Ok((end > 0).then(|| Block { bytes: self.buffer.clone(), start: 0, end }));
            }
        }
    }

    /// The buffer with what was not given out yet at its start; a new one where somebody still holds the last.
    fn emptied(&mut self) -> Vec<u8> {
        let rest = self.rest.clone();
        match std::mem::take(&mut self.buffer).into_mut() {
            Either::Right(mut buffer) => {
                buffer.copy_within(rest, 0);
                buffer
            }
            Either::Left(held) => {
                let mut buffer = vec![0; rest.len() + self.chunk_sizes + Self::PADDING];
                buffer[..rest.len()].copy_from_slice(&held[rest]);
                buffer
            }
        }
    }

    /// Whether the last block was given out.
    pub fn is_at_end(&self) -> bool {
        self.at_end && self.rest.is_empty()
    }

    /// Takes back what stands from `start` on in the block that was given out last: it comes again with what follows
    /// it.
    pub fn give_back(&mut self, start: usize) {
        self.rest.start = start;
    }

    /// All bytes from the start of `block`, the last one given out.
    pub fn unread(self, block: &Block) -> Bytes {
        let start = self.buffer[block.start..self.rest.end].to_vec();
        super::open::buffered(Box::new(Cursor::new(start).chain(self.bytes)))
    }
}
