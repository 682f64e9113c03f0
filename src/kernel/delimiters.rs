//! Where separators and line breaks of csv stand: masks of 64 bytes, and the parity of the quotes so far.

use super::simd::simd;
use super::words::mask;

/// What the quotes of a block are like.
pub enum Quotes {
    /// Each has its end.
    Closed,
    /// The last one has none.
    Open,
    /// One stands where the rules for plain cases do not reach: inside a field, or before more of it. Or a carriage
    /// return ends a record by itself.
    Odd,
}

simd! {
    /// Where separators and line breaks stand.
    pub fn plain_marks(bytes: &[u8], start: usize, end: usize, separator: u8, marks: &mut Vec<u32>) {
        for at in (start..end).step_by(64) {
            let (chunk, valid) = chunk_at(bytes, at, end);
            add_marks(mask(&chunk, |byte| (byte == separator) | (byte == b'\n')) & valid, at, marks);
        }
    }

    /// Where separators and line breaks stand outside quotes.
    pub fn quoted_marks(bytes: &[u8], start: usize, end: usize, separator: u8, marks: &mut Vec<u32>) -> Quotes {
        let mut quoting = Quoting::default();
        for at in (start..end).step_by(64) {
            let (chunk, valid) = chunk_at(bytes, at, end);
            match quoting.ends(bytes, at, &chunk, valid, separator) {
                Ok(ends) => add_marks(ends, at, marks),
                Err(Odd) => return Quotes::Odd,
            }
        }
        if quoting.inside { Quotes::Open } else { Quotes::Closed }
    }

    /// The first place at `from` or after, and after `start`, where a record begins; none where that is not in these
    /// lines.
    pub fn next_record(
        lines: &[u8],
        start: usize,
        from: usize,
        separator: u8,
        quoting: &mut Quoting,
    ) -> Result<Option<usize>, Odd> {
        for at in (start..lines.len()).step_by(64) {
            let (chunk, valid) = chunk_at(lines, at, lines.len());
            let ends = quoting.ends(lines, at, &chunk, valid, separator)?;
            // A record begins after each of these.
            let mut breaks = if at + 64 < from { 0 } else { ends & mask(&chunk, |byte| byte == b'\n') };
            while breaks != 0 {
                let next = at + breaks.trailing_zeros() as usize + 1;
                if next >= from {
                    *quoting = Quoting::default();
                    return Ok(Some(next));
                }
                breaks &= breaks - 1;
            }
        }
        *quoting = Quoting { inside: quoting.inside, ..Quoting::default() };
        Ok(None)
    }
}

/// A quote or a carriage return stands where the rules for plain cases do not reach.
pub struct Odd;

/// What the last byte so far says of quotes that follow.
#[derive(Clone, Copy)]
pub struct Quoting {
    inside: bool,
    /// A quote after it may be an opening one.
    may_open: bool,
    /// It is a closing quote.
    closed: bool,
}

impl Default for Quoting {
    /// At the start of a record.
    fn default() -> Quoting {
        Quoting { inside: false, may_open: true, closed: false }
    }
}

impl Quoting {
    /// Which separators and line breaks among the 64 bytes at `at` stand outside quotes.
    #[inline(always)]
    fn ends(&mut self, bytes: &[u8], at: usize, chunk: &[u8; 64], valid: u64, separator: u8) -> Result<u64, Odd> {
        let quotes = mask(chunk, |byte| byte == b'"') & valid;
        let ends = mask(chunk, |byte| (byte == separator) | (byte == b'\n')) & valid;
        let returns = mask(chunk, |byte| byte == b'\r') & valid;
        let within = parity(quotes) ^ if self.inside { u64::MAX } else { 0 };
        let (opening, closing) = (quotes & within, quotes & !within);
        let before = (ends | quotes) << 1 | u64::from(self.may_open);
        let after = closing << 1 | u64::from(self.closed);
        let is_odd = opening & !before | after & valid & !(ends | quotes | returns);
        if is_odd != 0 || is_lone(bytes, at, returns & !within) {
            return Err(Odd);
        }
        // Beyond the end the parity stays as it is.
        self.inside = within >> 63 == 1;
        self.may_open = (ends | quotes) >> 63 == 1;
        self.closed = closing >> 63 == 1;
        Ok(ends & !within)
    }
}

/// The next 64 bytes, zeros beyond the end; and a mask of those that there are.
#[inline(always)]
fn chunk_at(bytes: &[u8], at: usize, end: usize) -> ([u8; 64], u64) {
    let rest = &bytes[at..end];
    match rest.first_chunk::<64>() {
        Some(chunk) => (*chunk, u64::MAX),
        None => {
            let mut chunk = [0; 64];
            chunk[..rest.len()].copy_from_slice(rest);
            (chunk, (1 << rest.len()) - 1)
        }
    }
}

#[inline(always)]
fn add_marks(mut found: u64, at: usize, marks: &mut Vec<u32>) {
    while found != 0 {
        marks.push((at + found.trailing_zeros() as usize) as u32);
        found &= found - 1;
    }
}

/// For each bit whether the bits up to it are odd in number.
#[inline(always)]
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// Whether one of these carriage returns is not part of a line break.
#[inline(always)]
fn is_lone(bytes: &[u8], at: usize, mut returns: u64) -> bool {
    while returns != 0 {
        if bytes.get(at + returns.trailing_zeros() as usize + 1) != Some(&b'\n') {
            return true;
        }
        returns &= returns - 1;
    }
    false
}
