//! The loops over slots that the compiler vectorises, each compiled for every level of [`super::simd`].

use super::simd::simd;
use super::slots::Slots;

#[inline(always)]
fn zip<A: Copy, B: Copy, R: Copy + Default>(a: &Slots<A>, b: &Slots<B>, f: impl Fn(A, B) -> R) -> Slots<R> {
    match (a, b) {
        (Slots::One(a), Slots::One(b)) => Slots::One(f(*a, *b)),
        (Slots::Each(a), Slots::One(b)) => {
            let b = *b;
            let mut out = vec![R::default(); a.len()];
            for (out, a) in out.iter_mut().zip(a.iter()) {
                *out = f(*a, b);
            }
            Slots::each(out)
        }
        (Slots::One(a), Slots::Each(b)) => {
            let a = *a;
            let mut out = vec![R::default(); b.len()];
            for (out, b) in out.iter_mut().zip(b.iter()) {
                *out = f(a, *b);
            }
            Slots::each(out)
        }
        (Slots::Each(a), Slots::Each(b)) => {
            let mut out = vec![R::default(); a.len()];
            for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b.iter())) {
                *out = f(*a, *b);
            }
            Slots::each(out)
        }
    }
}

#[inline(always)]
fn each<A: Copy, R: Copy + Default>(a: &Slots<A>, f: impl Fn(A) -> R) -> Slots<R> {
    match a {
        Slots::One(a) => Slots::One(f(*a)),
        Slots::Each(a) => {
            let mut out = vec![R::default(); a.len()];
            for (out, a) in out.iter_mut().zip(a.iter()) {
                *out = f(*a);
            }
            Slots::each(out)
        }
    }
}

/// Added to an int below 2^51 it gives the bits of a float that is the int plus [`MAGIC`]: without an instruction of
/// its own before AVX-512, this is how ints become floats in vectors.
const MAGIC_BITS: i64 = 0x4338_0000_0000_0000;
const MAGIC: f64 = 6755399441055744.0;

/// The least remainder that is not negative, and its quotient, for |a| below 2^50 and d above 0: the quotient is
/// guessed with the inverse as a float, which is at most one too large.
#[inline(always)]
fn divide(a: i64, d: i64, inverse: f64, multiply: impl Fn(i64, i64) -> i64) -> (i64, i64) {
    let float = f64::from_bits(a.wrapping_add(MAGIC_BITS) as u64) - MAGIC;
    let guess = ((float * inverse + MAGIC).to_bits() as i64).wrapping_sub(MAGIC_BITS);
    let rest = a.wrapping_sub(multiply(guess, d));
    // All ones where the guess was one too large: a branch would keep the loop out of the vector units.
    let low = rest >> 63;
    (guess.wrapping_add(low), rest.wrapping_add(low & d))
}

/// The product of two ints of at most 32 bits each: one instruction of all vector units.
#[inline(always)]
fn narrow(a: i64, b: i64) -> i64 {
    i64::from(a as i32).wrapping_mul(i64::from(b as i32))
}

/// A sum and what rounding lost of it, which is no number where the sum is infinite (Knuth's TwoSum, The Art of
/// Computer Programming 2, 4.2.2).
#[inline(always)]
pub fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// NaN equals NaN and is above all.
#[inline(always)]
fn equal(a: f64, b: f64) -> bool {
    (a == b) | (a.is_nan() & b.is_nan())
}

#[inline(always)]
fn less(a: f64, b: f64) -> bool {
    (a < b) | (!a.is_nan() & b.is_nan())
}

/// A number in the order of the int.
#[inline(always)]
pub fn int_rank(value: i64) -> u64 {
    value as u64 ^ 1 << 63
}

/// A number in the order of the float: NaN above all.
#[inline(always)]
pub fn float_rank(x: f64) -> u64 {
    // −0.0 + 0.0 is 0.0: the two zeros are one value. Negative floats have their bits in the opposite order.
    let bits = (x + 0.0).to_bits() as i64;
    let rank = bits as u64 ^ ((bits >> 63) as u64 | 1 << 63);
    if x.is_nan() { u64::MAX } else { rank }
}

#[inline(always)]
fn compare_ranks<T: Copy>(values: &[T], worst: u64, descending: bool, rank: impl Fn(T) -> u64) -> Vec<bool> {
    // One comparison serves both directions: all bits turned over reverse the order.
    let turn = if descending { u64::MAX } else { 0 };
    let mut out = vec![false; values.len()];
    for (out, value) in out.iter_mut().zip(values) {
        *out = rank(*value) ^ turn <= worst;
    }
    out
}

simd! {
    /// Whether the rank is at most `worst`.
    pub fn ints_ranked(values: &[i64], worst: u64, descending: bool) -> Vec<bool> {
        compare_ranks(values, worst, descending, int_rank)
    }
    pub fn floats_ranked(values: &[f64], worst: u64, descending: bool) -> Vec<bool> {
        compare_ranks(values, worst, descending, float_rank)
    }

    pub fn add(a: &Slots<i64>, b: &Slots<i64>) -> Slots<i64> { zip(a, b, i64::wrapping_add) }
    pub fn subtract(a: &Slots<i64>, b: &Slots<i64>) -> Slots<i64> { zip(a, b, i64::wrapping_sub) }
    pub fn multiply(a: &Slots<i64>, b: &Slots<i64>) -> Slots<i64> { zip(a, b, i64::wrapping_mul) }
    /// For operands of at most 32 bits.
    pub fn multiply_narrow(a: &Slots<i64>, b: &Slots<i64>) -> Slots<i64> { zip(a, b, narrow) }
    pub fn negate(a: &Slots<i64>) -> Slots<i64> { each(a, i64::wrapping_neg) }
    pub fn absolute(a: &Slots<i64>) -> Slots<i64> { each(a, i64::wrapping_abs) }

    /// For |a| below 2^50, d above 0.
    pub fn remainder(a: &Slots<i64>, d: i64) -> Slots<i64> {
        let inverse = 1.0 / d as f64;
        each(a, |a| divide(a, d, inverse, i64::wrapping_mul).1)
    }
    /// The same where quotient and d have at most 32 bits.
    pub fn remainder_narrow(a: &Slots<i64>, d: i64) -> Slots<i64> {
        let inverse = 1.0 / d as f64;
        each(a, |a| divide(a, d, inverse, narrow).1)
    }
    /// For |a| below 2^50, d above 0.
    pub fn floor_divide(a: &Slots<i64>, d: i64) -> Slots<i64> {
        let inverse = 1.0 / d as f64;
        each(a, |a| divide(a, d, inverse, i64::wrapping_mul).0)
    }

    pub fn add_floats(a: &Slots<f64>, b: &Slots<f64>) -> Slots<f64> { zip(a, b, |a, b| a + b) }
    pub fn subtract_floats(a: &Slots<f64>, b: &Slots<f64>) -> Slots<f64> { zip(a, b, |a, b| a - b) }
    pub fn multiply_floats(a: &Slots<f64>, b: &Slots<f64>) -> Slots<f64> { zip(a, b, |a, b| a * b) }
    pub fn divide_floats(a: &Slots<f64>, b: &Slots<f64>) -> Slots<f64> { zip(a, b, |a, b| a / b) }
    pub fn negate_floats(a: &Slots<f64>) -> Slots<f64> { each(a, |a| -a) }
    pub fn absolute_floats(a: &Slots<f64>) -> Slots<f64> { each(a, f64::abs) }
    pub fn sqrt(a: &Slots<f64>) -> Slots<f64> { each(a, f64::sqrt) }
    pub fn floats(a: &Slots<i64>) -> Slots<f64> { each(a, |a| a as f64) }

    pub fn ints_equal(a: &Slots<i64>, b: &Slots<i64>) -> Slots<bool> { zip(a, b, |a, b| a == b) }
    pub fn ints_less(a: &Slots<i64>, b: &Slots<i64>) -> Slots<bool> { zip(a, b, |a, b| a < b) }
    pub fn ints_at_most(a: &Slots<i64>, b: &Slots<i64>) -> Slots<bool> { zip(a, b, |a, b| a <= b) }
    pub fn floats_equal(a: &Slots<f64>, b: &Slots<f64>) -> Slots<bool> { zip(a, b, equal) }
    pub fn floats_less(a: &Slots<f64>, b: &Slots<f64>) -> Slots<bool> { zip(a, b, less) }
    pub fn floats_at_most(a: &Slots<f64>, b: &Slots<f64>) -> Slots<bool> { zip(a, b, |a, b| !less(b, a)) }
    pub fn bools_equal(a: &Slots<bool>, b: &Slots<bool>) -> Slots<bool> { zip(a, b, |a, b| a == b) }
    pub fn bools_less(a: &Slots<bool>, b: &Slots<bool>) -> Slots<bool> { zip(a, b, |a, b| !a & b) }
    pub fn bools_at_most(a: &Slots<bool>, b: &Slots<bool>) -> Slots<bool> { zip(a, b, |a, b| !a | b) }
    pub fn not(a: &Slots<bool>) -> Slots<bool> { each(a, |a| !a) }

    /// Where the mask holds, the one, else the other.
    pub fn choose_ints(mask: &[bool], a: &Slots<i64>, b: &Slots<i64>) -> Vec<i64> { choose(mask, a, b) }
    pub fn choose_floats(mask: &[bool], a: &Slots<f64>, b: &Slots<f64>) -> Vec<f64> { choose(mask, a, b) }
    pub fn choose_bools(mask: &[bool], a: &Slots<bool>, b: &Slots<bool>) -> Vec<bool> { choose(mask, a, b) }

    /// The least and the largest.
    pub fn bounds(values: &[i64]) -> (i64, i64) {
        let (mut least, mut largest) = (i64::MAX, i64::MIN);
        for value in values {
            least = least.min(*value);
            largest = largest.max(*value);
        }
        (least, largest)
    }

    /// A sum that fits: the caller knows the bounds.
    pub fn sum(values: &[i64]) -> i64 {
        let mut sum = 0i64;
        for value in values {
            sum = sum.wrapping_add(*value);
        }
        sum
    }

    /// The sum of up to 2^31 ints of any size.
    pub fn wide_sum(values: &[i64]) -> i128 {
        // Vector units add 64 bits, not 128: the halves are added apart, and neither overflows before 2^31 of them.
        let (mut low, mut high) = (0u64, 0i64);
        for value in values {
            low = low.wrapping_add(*value as u64 & 0xffff_ffff);
            high = high.wrapping_add(*value >> 32);
        }
        i128::from(low) + (i128::from(high) << 32)
    }

    /// Adds to eight sums, and what rounding loses to eight others.
    pub fn compensated(values: &[f64], sums: &mut [f64; 8], lost: &mut [f64; 8]) {
        // Eight sums do not wait for each other, and lie in registers only as locals.
        let (mut s, mut l) = (*sums, *lost);
        let (chunks, rest) = values.as_chunks::<8>();
        for chunk in chunks {
            for lane in 0..8 {
                let (sum, rest) = two_sum(s[lane], chunk[lane]);
                s[lane] = sum;
                l[lane] += rest;
            }
        }
        for (lane, x) in rest.iter().enumerate() {
            let (sum, rest) = two_sum(s[lane], *x);
            s[lane] = sum;
            l[lane] += rest;
        }
        (*sums, *lost) = (s, l);
    }

    pub fn count(mask: &[bool]) -> usize {
        let mut count = 0;
        // A byte counts 255 flags, and a vector has eight times as many bytes as 64-bit counters.
        for chunk in mask.chunks(255) {
            let mut part = 0u8;
            for flag in chunk {
                part += *flag as u8;
            }
            count += part as usize;
        }
        count
    }

    pub fn both(a: &[bool], b: &[bool]) -> Vec<bool> {
        let mut out = vec![false; a.len()];
        for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
            *out = *a & *b;
        }
        out
    }

    pub fn either(a: &[bool], b: &[bool]) -> Vec<bool> {
        let mut out = vec![false; a.len()];
        for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
            *out = *a | *b;
        }
        out
    }

    pub fn opposite(a: &[bool]) -> Vec<bool> {
        let mut out = vec![false; a.len()];
        for (out, a) in out.iter_mut().zip(a) {
            *out = !*a;
        }
        out
    }

    pub fn first_only(a: &[bool], b: &[bool]) -> Vec<bool> {
        let mut out = vec![false; a.len()];
        for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
            *out = *a & !*b;
        }
        out
    }
}

#[inline(always)]
fn choose<T: Copy + Default>(mask: &[bool], a: &Slots<T>, b: &Slots<T>) -> Vec<T> {
    let mut out = vec![T::default(); mask.len()];
    match (a, b) {
        (Slots::One(a), Slots::One(b)) => {
            for (out, mask) in out.iter_mut().zip(mask) {
                *out = if *mask { *a } else { *b };
            }
        }
        (Slots::Each(a), Slots::One(b)) => {
            for (out, (mask, a)) in out.iter_mut().zip(mask.iter().zip(a.iter())) {
                *out = if *mask { *a } else { *b };
            }
        }
        (Slots::One(a), Slots::Each(b)) => {
            for (out, (mask, b)) in out.iter_mut().zip(mask.iter().zip(b.iter())) {
                *out = if *mask { *a } else { *b };
            }
        }
        (Slots::Each(a), Slots::Each(b)) => {
            for (out, (mask, (a, b))) in out.iter_mut().zip(mask.iter().zip(a.iter().zip(b.iter()))) {
                *out = if *mask { *a } else { *b };
            }
        }
    }
    out
}

/// The rows where the mask holds. Eight flags at a time become a byte of bits; runs of nothing cost nothing.
pub fn selected(mask: &[bool]) -> Vec<u32> {
    let mut rows = Vec::with_capacity(count(mask));
    let mut row = 0u32;
    let mut chunks = mask.chunks_exact(64);
    for chunk in &mut chunks {
        let mut bits = 0u64;
        for (i, eight) in chunk.as_chunks::<8>().0.iter().enumerate() {
            let flags = u64::from_le_bytes(eight.map(u8::from));
            // The factor moves bit 0 of each byte to its own place in the highest byte.
            bits |= (flags.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
        }
        while bits != 0 {
            rows.push(row + bits.trailing_zeros());
            bits &= bits - 1;
        }
        row += 64;
    }
    rows.extend(chunks.remainder().iter().enumerate().filter(|(_, flag)| **flag).map(|(i, _)| row + i as u32));
    rows
}
