//! Operations on structures, timed.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::data::generate::unit;
use crate::measure::{self, Clock, Clocks, INTERRUPTED, Overhead};
use crate::structures::{Cell, Held, Keys, Kind, SEED, elements};

use super::order::{Mixed, Timed};

/// Those of one kind and size, filled to be used, by their parts.
#[derive(Default)]
pub struct Structures {
    of: Option<(&'static str, usize)>,
    parts: HashMap<usize, Filled>,
}

/// A structure with its elements, and what they take.
struct Filled {
    held: Box<dyn Held>,
    bytes: u64,
}

/// A sample lasts so many nanoseconds, if there are enough keys.
const SAMPLE: f64 = 200_000.0;
const SAMPLES: usize = 15;
const FEWEST: usize = 3;
/// Copies and samples of one operation take no longer.
const PATIENCE: Duration = Duration::from_millis(150);

/// How often a mix is done.
pub const ROUNDS: usize = 9;
/// The operations of a round, and how long it lasts at most.
const OPERATIONS: usize = 20_000;
const ROUND: Duration = Duration::from_millis(40);

/// So many additions are timed together: the clock cannot tell most of the single ones.
pub const MANY: usize = 64;

impl Structures {
    /// The median of samples with many keys each. What changes the structure gets a new copy for each sample, outside
    /// the time.
    pub fn time(&mut self, clocks: &Clocks, cell: &Cell, size: usize) -> Timed {
        let filled = self.filled(cell.kind, cell.part, size);
        let keys = cell.facts.keys.drawn(size, SEED + 1);
        let start = Instant::now();
        let mut sample = |keys: &[i64], clock: &dyn Clock| {
            if cell.facts.changes {
                filled.held.reset();
            }
            let before = clock.now();
            black_box(filled.held.run(cell.operation, black_box(keys)));
            (clock.now() - before) as f64
        };
        // Nobody knows beforehand whether an operation takes a nanosecond or a millisecond.
        let mut count = 1;
        let mut last = sample(&keys[..1], &*clocks.wall);
        while last < SAMPLE / 2.0 && count < keys.len() && start.elapsed() < PATIENCE {
            let wanted = (SAMPLE * count as f64 / last.max(10.0)) as usize;
            count = wanted.clamp(2 * count, 50 * count).min(keys.len());
            last = sample(&keys[..count], &*clocks.wall);
        }
        // A long sample is interrupted by what else runs.
        let clock: &dyn Clock = if last > INTERRUPTED { &*clocks.cpu } else { &*clocks.wall };
        let overhead = Overhead::measure(clock);
        let mut times = Vec::new();
        // Other keys in each sample, where there are more.
        let mut at = 0;
        while times.len() < SAMPLES && (times.len() < FEWEST || start.elapsed() < PATIENCE) {
            if at + count > keys.len() {
                at = 0;
            }
            times.push((sample(&keys[at..at + count], clock) - overhead.read).max(0.0) / count as f64);
            at += count;
        }
        times.sort_by(f64::total_cmp);
        Timed { time: times[times.len() / 2], bytes: self.bytes(cell.kind, size) }
    }

    /// Rounds of the same operations in the same random order.
    pub fn mix(&mut self, clocks: &Clocks, cells: &[(Cell, f64)], size: usize) -> Mixed {
        // So many operations pass between two looks at the clock.
        const LOOK: usize = 16;
        let kind = cells[0].0.kind;
        let mut parts: Vec<usize> = cells.iter().map(|(cell, _)| cell.part).collect();
        parts.sort_unstable();
        parts.dedup();
        let bytes = parts.iter().map(|part| self.filled(kind, *part, size).bytes as f64).sum::<f64>() / size as f64;
        let keys: Vec<Vec<i64>> = cells.iter().map(|(cell, _)| cell.facts.keys.drawn(size, SEED + 1)).collect();
        let order: Vec<usize> = (0..OPERATIONS as u64).map(|i| chosen(cells, unit(SEED + 2, i))).collect();
        let clock = &*clocks.cpu;
        let overhead = Overhead::measure(clock);
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            parts.iter().for_each(|part| self.filled(kind, *part, size).held.reset());
            let mut next = vec![0usize; cells.len()];
            let (mut spent, mut done) = (0.0, 0usize);
            let started = Instant::now();
            for steps in order.chunks(LOOK) {
                let before = clock.now();
                for step in steps {
                    let (cell, keys) = (&cells[*step].0, &keys[*step]);
                    let key = next[*step] % keys.len();
                    next[*step] += 1;
                    let filled = self.parts.get_mut(&cell.part).expect("it was filled");
                    black_box(filled.held.run_changed(cell.operation, black_box(&keys[key..key + 1])));
                }
                spent += (clock.now() - before) as f64 - overhead.read;
                done += steps.len();
                if started.elapsed() > ROUND {
                    break;
                }
            }
            times.push(f64::max(spent, 0.0) / done as f64);
        }
        times.sort_by(f64::total_cmp);
        Mixed { times, bytes }
    }

    /// The nanoseconds of each addition to an empty structure, or of [`MANY`] together.
    pub fn additions(&mut self, clocks: &Clocks, cell: &Cell, size: usize, together: bool) -> Vec<u64> {
        let keys = added(cell, size);
        let mut held = cell.kind.parts[cell.part].empty();
        let clock = &*clocks.wall;
        let at_once = if together { MANY } else { 1 };
        let mut add = |keys: &[i64]| {
            let before = clock.now();
            black_box(held.run(cell.operation, black_box(keys)));
            clock.now() - before
        };
        keys.chunks(at_once).map(&mut add).collect()
    }

    /// The bytes that each addition to an empty structure allocates.
    pub fn allocations(&mut self, cell: &Cell, size: usize) -> Vec<u64> {
        let mut held = cell.kind.parts[cell.part].empty();
        let keys = added(cell, size);
        let mut add = |key: &i64| {
            let before = measure::allocated();
            black_box(held.run(cell.operation, black_box(std::slice::from_ref(key))));
            measure::allocated() - before
        };
        keys.iter().map(&mut add).collect()
    }

    /// The heap of an element of a kind.
    fn bytes(&mut self, kind: &'static Kind, size: usize) -> f64 {
        self.filled(kind, 0, size).bytes as f64 / size as f64
    }

    fn filled(&mut self, kind: &'static Kind, part: usize, size: usize) -> &mut Filled {
        if self.of != Some((kind.name, size)) {
            self.parts.clear();
            self.of = Some((kind.name, size));
        }
        self.parts.entry(part).or_insert_with(|| {
            let keys = elements(size, SEED);
            measure::flush();
            let before = measure::live();
            let mut held = kind.parts[part].empty();
            held.fill(&keys);
            measure::flush();
            Filled { held, bytes: measure::live().saturating_sub(before) }
        })
    }
}

/// The keys of additions: what is not there, each once.
fn added(cell: &Cell, size: usize) -> Vec<i64> {
    let keys = if cell.facts.keys == Keys::New { cell.facts.keys } else { Keys::Mixed };
    let mut keys = keys.drawn(size, SEED + 1);
    keys.truncate(size);
    keys
}

fn chosen(cells: &[(Cell, f64)], at: f64) -> usize {
    let mut left = at;
    for (place, (_, share)) in cells.iter().enumerate() {
        if left < *share {
            return place;
        }
        left -= share;
    }
    cells.len() - 1
}
