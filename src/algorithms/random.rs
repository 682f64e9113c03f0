//! Random from a seed: the same seed draws the same.

use crate::data::generate;

pub struct Random {
    seed: i64,
    drawn: u64,
}

impl Random {
    pub fn new(seed: i64) -> Random {
        Random { seed, drawn: 0 }
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        let bits = generate::mix(self.seed, self.drawn);
        self.drawn += 1;
        ((u128::from(bits) * n as u128) >> 64) as usize
    }

    /// An int from `low` to below `high`.
    pub fn int(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low) as usize) as i64
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.drawn += 1;
        generate::unit(self.seed, self.drawn - 1)
    }

    pub fn letter(&mut self) -> char {
        char::from(b'a' + self.below(26) as u8)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Every order is equally likely (Fisher and Yates; Durstenfeld 1964).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
