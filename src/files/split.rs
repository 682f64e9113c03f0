//! Parts of files by their bytes, which tasks read apart. A record belongs to the split in which it starts: who reads
//! one looks at the byte before it and reads past its end. A line number is not known in the middle of a file: an error
//! is told by a run of the whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};

use super::waiting::Waiting;

/// The records of a file that start from `start` up to `end`. Where records are more than lines (csv with line breaks
/// in quotes), one starts at each of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The place of the file in its source.
    pub file: usize,
    pub start: u64,
    pub end: u64,
}

impl Split {
    /// All of a file, and what it has grown by.
    pub fn whole(file: usize) -> Split {
        Split { file, start: 0, end: u64::MAX }
    }

    /// A whole file, cut at these places.
    pub fn cut(file: usize, places: &[u64]) -> Vec<Split> {
        let mut places: Vec<u64> = [&[0], places, &[u64::MAX]].concat();
        places.sort_unstable();
        places.dedup();
        places.array_windows().map(|[start, end]| Split { file, start: *start, end: *end }).collect()
    }

    /// How many bytes of a file of `length` bytes.
    pub fn bytes(&self, length: u64) -> u64 {
        self.end.min(length).saturating_sub(self.start)
    }
}

/// For each place the start of the line there or after it.
pub fn line_starts(file: &File, places: &[u64]) -> io::Result<Vec<u64>> {
    let start = |place: &u64| {
        let mut file = file;
        file.seek(SeekFrom::Start(place - 1))?;
        Ok(place - 1 + BufReader::new(file).skip_until(b'\n')? as u64)
    };
    places.iter().map(start).collect()
}

/// The bytes of the lines that start in a split.
pub struct Lines {
    file: Waiting,
    /// The offset of what is read next.
    at: u64,
    /// A line that starts here is another's.
    end: u64,
    ended: bool,
}

impl Lines {
    pub fn new(mut file: File, split: &Split) -> io::Result<Lines> {
        let mut at = split.start;
        if at > 0 {
            at -= 1;
            file.seek(SeekFrom::Start(at))?;
            // The line that the split begins in, no further than to its end.
            at += BufReader::new((&file).take(split.end - at)).skip_until(b'\n')? as u64;
            file.seek(SeekFrom::Start(at))?;
        }
        Ok(Lines { file: Waiting::new(file), at, end: split.end, ended: at >= split.end })
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let length = self.file.read(buffer)?;
        // The last line ends where the next one's start is no longer in the split.
        let inside = (self.end - 1).saturating_sub(self.at).min(length as u64) as usize;
        self.at += length as u64;
        Ok(match memchr::memchr(b'\n', &buffer[inside..length]) {
            Some(place) => {
                self.ended = true;
                inside + place + 1
            }
            None => length,
        })
    }
}
