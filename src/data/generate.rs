//! Data from a seed: each value is a function of the seed and its row number alone, so every engine and every split of
//! the rows makes the same.

/// Mixes a seed and a row number into 64 well-spread bits (the finaliser of SplitMix64; Steele, Lea, Flood 2014).
pub fn mix(seed: i64, row: u64) -> u64 {
    let mut z = (seed as u64).wrapping_mul(0xd1342543de82ef95).wrapping_add((row + 1).wrapping_mul(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
    z ^ (z >> 31)
}

/// Letter `row`: one of a–z and A–Z, uniform.
pub fn letter(seed: i64, row: u64) -> char {
    const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let index = (u128::from(mix(seed, row)) * 52) >> 64;
    LETTERS[index as usize] as char
}

/// Float `row` in [0, 1), uniform over 2^53 steps.
pub fn unit(seed: i64, row: u64) -> f64 {
    (mix(seed, row) >> 11) as f64 / (1u64 << 53) as f64
}
