//! Random for tests that go on as long as they are told: the same seed gives the same choices.
//!
//! `TIMELAB_CASES` is the number of cases, `TIMELAB_SEED` the seed of the first; the next cases have the next seeds.

use timelab::data::generate;

pub struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    pub fn new(seed: u64) -> Random {
        Random { seed, drawn: 0 }
    }

    fn next(&mut self) -> u64 {
        self.drawn += 1;
        generate::mix(self.seed as i64, self.drawn)
    }

    /// An index below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn word(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len())]
    }
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// The seeds of as many cases as are asked for, or of `usual`.
pub fn seeds(usual: u64) -> std::ops::Range<u64> {
    let first = setting("TIMELAB_SEED").unwrap_or(1);
    first..first + setting("TIMELAB_CASES").unwrap_or(usual)
}

/// The fewest items, in their order, that still fail: halves, quarters, … are left out as long as it fails without
/// them.
pub fn shrunk<T: Clone>(items: &[T], fails: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut items = items.to_vec();
    let mut length = items.len();
    while length > 0 {
        let mut start = 0;
        while start < items.len() {
            let end = (start + length).min(items.len());
            let fewer = [&items[..start], &items[end..]].concat();
            if fails(&fewer) {
                items = fewer;
            } else {
                start = end;
            }
        }
        length /= 2;
    }
    items
}
