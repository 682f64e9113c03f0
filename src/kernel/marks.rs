//! Where separators and line breaks of csv stand: masks of 64 bytes, and the parity of the quotes so far.

use super::simd::simd;
use super::words::mask;

/// What the quotes of a block are like.
pub enum Quotes {
    /// Each has its end.
    Closed,
    /// The last one has none.
    Open,
    /// One stands where the rules for plain cases do not reach: inside a field, or before more of it.
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
        // Whether the last byte so far is inside quotes, may stand before an opening quote, and is a closing one.
        let (mut inside, mut may_open, mut closed) = (false, true, false);
        for at in (start..end).step_by(64) {
            let (chunk, valid) = chunk_at(bytes, at, end);
            let quotes = mask(&chunk, |byte| byte == b'"') & valid;
            let ends = mask(&chunk, |byte| (byte == separator) | (byte == b'\n')) & valid;
            let returns = mask(&chunk, |byte| byte == b'\r') & valid;
            let within = parity(quotes) ^ if inside { u64::MAX } else { 0 };
            let (opening, closing) = (quotes & within, quotes & !within);
            let before = (ends | quotes) << 1 | u64::from(may_open);
            let after = closing << 1 | u64::from(closed);
            let is_odd = opening & !before | after & valid & !(ends | quotes | returns);
            if is_odd != 0 || has_lone_return(bytes, at, after & returns) {
                return Quotes::Odd;
            }
            add_marks(ends & !within, at, marks);
            inside = within >> 63 == 1;
            may_open = (ends | quotes) >> 63 == 1;
            closed = closing >> 63 == 1;
        }
        // Beyond the end the parity stays as it is.
        if inside { Quotes::Open } else { Quotes::Closed }
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
fn has_lone_return(bytes: &[u8], at: usize, mut returns: u64) -> bool {
    while returns != 0 {
        if bytes[at + returns.trailing_zeros() as usize + 1] != b'\n' {
            return true;
        }
        returns &= returns - 1;
    }
    false
}
