//! Words of a text: 64 bytes become a mask of white space, and its edges are the words' ends.

use super::simd::simd;

/// A text's place in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub start: usize,
    pub len: usize,
}

/// The words of one stretch of UTF-8, which are given out a batch at a time.
pub struct Words<'a> {
    bytes: &'a [u8],
    /// Where the next 64 bytes begin.
    at: usize,
    end: usize,
    /// No byte is over 127.
    ascii: bool,
    /// Where the word began that is not at its end yet.
    open: Option<usize>,
    /// Bytes of the next 64 that belong to a white-space character of the last.
    carry: u64,
}

impl<'a> Words<'a> {
    /// The words of `bytes[start..end]`, which is UTF-8.
    pub fn new(bytes: &'a [u8], start: usize, end: usize, ascii: bool) -> Words<'a> {
        Words { bytes, at: start, end, ascii, open: None, carry: 0 }
    }

    /// Adds words to `places` until these are at least `most`; false once there are no more.
    pub fn next(&mut self, most: usize, places: &mut Vec<Place>) -> bool {
        fill(self, most, places);
        if self.at < self.end {
            return true;
        }
        if let Some(start) = self.open.take() {
            places.push(place(start, self.end));
        }
        false
    }

    /// A mask of the white space among the 64 bytes at `at`; what lies beyond the end counts as such.
    #[inline(always)]
    fn blanks(&mut self) -> u64 {
        let rest = &self.bytes[self.at..self.end];
        let chunk = rest.first_chunk::<64>().copied().unwrap_or_else(|| {
            let mut chunk = [b' '; 64];
            chunk[..rest.len()].copy_from_slice(rest);
            chunk
        });
        let blanks = mask(&chunk, |byte| (byte == b' ') | (byte.wrapping_sub(9) < 5));
        if self.ascii { blanks } else { blanks | self.wide_blanks(&chunk) }
    }

    /// The white space of two and three bytes.
    #[inline(always)]
    fn wide_blanks(&mut self, chunk: &[u8; 64]) -> u64 {
        let mut blanks = std::mem::take(&mut self.carry);
        let mut candidates = mask(chunk, |byte| (byte == 0xc2) | (byte.wrapping_sub(0xe1) < 3));
        while candidates != 0 {
            let bit = candidates.trailing_zeros();
            candidates &= candidates - 1;
            let width = wide_blank(&self.bytes[self.at + bit as usize..self.end]);
            let all = ((1u128 << width) - 1) << bit;
            blanks |= all as u64;
            self.carry |= (all >> 64) as u64;
        }
        blanks
    }
}

/// How many bytes the white space of several bytes has that `bytes` begin with; 0 where they do not.
fn wide_blank(bytes: &[u8]) -> u32 {
    match bytes {
        [0xc2, 0x85 | 0xa0, ..] => 2,
        [0xe1, 0x9a, 0x80, ..]
        | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
        | [0xe2, 0x81, 0x9f, ..]
        | [0xe3, 0x80, 0x80, ..] => 3,
        _ => 0,
    }
}

/// The bytes for which a test holds, as bits. Eight flags at a time become a byte of bits with one product.
#[inline(always)]
pub(super) fn mask(chunk: &[u8; 64], holds: impl Fn(u8) -> bool) -> u64 {
    let mut flags = [0u8; 64];
    for (flag, byte) in flags.iter_mut().zip(chunk) {
        *flag = u8::from(holds(*byte));
    }
    let mut bits = 0;
    for (i, eight) in flags.as_chunks::<8>().0.iter().enumerate() {
        bits |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    bits
}

#[inline(always)]
fn place(start: usize, end: usize) -> Place {
    Place { start, len: end - start }
}

simd! {
    fn fill(words: &mut Words, most: usize, places: &mut Vec<Place>) {
        while words.at < words.end && places.len() < most {
            let inside = !words.blanks();
            let mut edges = inside ^ (inside << 1 | u64::from(words.open.is_some()));
            if let Some(start) = words.open && edges != 0 {
                places.push(place(start, words.at + edges.trailing_zeros() as usize));
                edges &= edges - 1;
                words.open = None;
            }
            while edges != 0 {
                let start = words.at + edges.trailing_zeros() as usize;
                edges &= edges - 1;
                if edges == 0 {
                    words.open = Some(start);
                    break;
                }
                places.push(place(start, words.at + edges.trailing_zeros() as usize));
                edges &= edges - 1;
            }
            words.at += 64;
        }
    }
}
