//! Work that needs nothing but a processor.

use std::time::{Duration, Instant};

/// Units between two looks whether the work is stopped: a part of a millisecond.
const PART: u64 = 100_000;

/// So many units of work, a nanosecond or so each. The compiler can neither leave them out nor do several at once.
#[inline(never)]
pub fn spin(units: u64) {
    let mut word = units | 1;
    for _ in 0..units {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
    }
    std::hint::black_box(word);
}

/// The same, unless it is stopped meanwhile.
pub fn spin_until(units: u64, stopped: &(dyn Fn() -> bool + Sync)) {
    let mut left = units;
    while left > 0 && !stopped() {
        let now = left.min(PART);
        spin(now);
        left -= now;
    }
}

/// The units that one thread does in so long where nothing disturbs it: by the shortest of some tries.
pub fn units_in(time: Duration) -> u64 {
    const TRIES: usize = 9;
    const UNITS: u64 = 20_000;
    let once = |_| {
        let start = Instant::now();
        spin(UNITS);
        start.elapsed()
    };
    let least = (0..TRIES).map(once).min().unwrap_or_default().as_secs_f64().max(1e-9);
    (time.as_secs_f64() / least * UNITS as f64).max(1.0) as u64
}
