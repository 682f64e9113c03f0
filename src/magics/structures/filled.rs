//! Structures that are filled to be used.

use crate::diagnostic::Fallible;
use crate::measure;
use crate::run_context::RunContext;
use crate::structures::{Held, Kind, elements};

/// The seed of all elements; that of keys is the next one.
pub const SEED: i64 = 0;

/// A structure with its elements, and what they take.
pub struct Filled {
    pub held: Box<dyn Held>,
    pub bytes: u64,
}

/// A structure of this size; none where it was stopped.
pub fn filled(kind: &'static Kind, part: usize, size: usize, context: &RunContext) -> Fallible<Filled> {
    // So many are added in a few milliseconds.
    const AT_ONCE: usize = 10_000;
    let keys = elements(size, SEED);
    measure::flush();
    let before = measure::live();
    let mut held = kind.parts[part].empty();
    for keys in keys.chunks(AT_ONCE) {
        held.fill(keys);
        context.check()?;
    }
    measure::flush();
    Ok(Filled { held, bytes: measure::live().saturating_sub(before) })
}
