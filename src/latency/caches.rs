//! Caches and memory: a chain of pointers through a working set, in random order, so that no access can begin before
//! the one before it has ended and nothing can be fetched ahead.

use std::hint::black_box;
use std::ptr::null_mut;

use super::{Group, Means, Missing, Outcome, Probe, because, dean};

pub static CACHES: Group = Group {
    name: "caches",
    about: "an access in each level of the memory, and its bandwidth",
    probes: &[
        Probe {
            name: "L1",
            about: "an access to the first cache",
            published: dean(0.5e-9),
            in_chart: true,
            run: Some(|means| cache(means, 1)),
        },
        Probe {
            name: "L2",
            about: "an access to the second cache",
            published: dean(7e-9),
            in_chart: true,
            run: Some(|means| cache(means, 2)),
        },
        Probe {
            name: "L3",
            about: "an access to the third cache",
            published: None,
            in_chart: true,
            run: Some(|means| cache(means, 3)),
        },
        Probe {
            name: "memory",
            about: "an access to the memory",
            published: dean(100e-9),
            in_chart: true,
            run: Some(memory),
        },
        Probe {
            name: "read 1 MiB of memory",
            about: "reading it sequentially",
            published: dean(250e-6),
            in_chart: true,
            run: Some(bandwidth),
        },
    ],
};

/// What a processor fetches at once.
const LINE: usize = 64;
/// Looks at the stop flag lie so many steps apart.
const LOOK: usize = 1 << 12;
/// No working set is larger.
pub const LARGEST: usize = 1 << 30;

/// The bytes of a cache, where the system names it. Its files come first: within a virtual machine the C library may
/// count the third cache of the whole host.
pub fn level(level: u32) -> Option<usize> {
    from_files(level).or_else(|| from_library(level))
}

fn from_library(level: u32) -> Option<usize> {
    // Of glibc; the libc crate has no names for them.
    const SIZES: [libc::c_int; 3] = [188, 191, 194];
    // SAFETY: sysconf answers -1 or 0 for a question that it does not know.
    let size = unsafe { libc::sysconf(*SIZES.get(level as usize - 1)?) };
    usize::try_from(size).ok().filter(|size| *size > 0)
}

fn from_files(level: u32) -> Option<usize> {
    (0..8).find_map(|index| {
        let read = |name: &str| {
            let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}");
            std::fs::read_to_string(path).ok().map(|text| text.trim().to_string())
        };
        if read("level")? != level.to_string() || read("type")? == "Instruction" {
            return None;
        }
        let size = read("size")?;
        let kib: usize = size.trim_end_matches('K').parse().ok()?;
        Some(kib << 10)
    })
}

/// The working set that shows a level: it fits into it and not into the one before. None where the system does not name
/// it.
pub fn working_set(of: u32) -> Option<usize> {
    let size = level(of)?;
    let before = if of > 1 { level(of - 1).unwrap_or(0) } else { 0 };
    // Four times the one before keeps little in that. More of a cache that several processors share is seldom ours.
    let (half, most) = (size / 2, size / 4 * 3);
    Some(if before == 0 { half } else { half.min(4 * before).max((2 * before).min(most)) })
}

fn cache(means: &Means, of: u32) -> Outcome {
    match working_set(of) {
        Some(bytes) => access(means, bytes),
        None => because(format!("the system does not name a cache of level {of}")),
    }
}

fn memory(means: &Means) -> Outcome {
    let last = (1..=3).rev().find_map(level).unwrap_or(32 << 20);
    let wanted = (4 * last).max(64 << 20);
    let most = largest(means);
    if most < 2 * last {
        return because("the memory limit is too low for a working set that is larger than the caches");
    }
    access(means, wanted.min(most))
}

/// A quarter of what the run may have.
fn largest(means: &Means) -> usize {
    usize::try_from(means.context.memory / 4).unwrap_or(usize::MAX).min(LARGEST)
}

/// Seconds of one access to a working set of so many bytes.
pub fn access(means: &Means, bytes: usize) -> Outcome {
    let lines = (bytes / LINE).max(2);
    let set = Pages::new(lines * LINE)?;
    let start = linked(means, &set, lines)?;
    // Once through, at least a part of it, so that what fits into a cache is there.
    let mut at = start;
    let warm = lines.min(1 << 20);
    for _ in 0..warm.div_ceil(LOOK) {
        at = followed(at, LOOK.min(warm));
        means.check()?;
    }
    const STEPS: usize = 20_000;
    means.least(|| {
        let (time, end) = means.once(|| followed(black_box(at), STEPS));
        at = black_box(end);
        Ok(time / STEPS as f64)
    })
}

/// Goes on along the chain.
fn followed(start: *const u8, steps: usize) -> *const u8 {
    let mut at = start;
    for _ in 0..steps {
        // SAFETY: each line of a set begins with the address of another line of it.
        at = unsafe { *at.cast::<*const u8>() };
    }
    at
}

/// Writes one circle through all lines, in random order (Sattolo's shuffle).
fn linked(means: &Means, set: &Pages, lines: usize) -> Result<*const u8, Missing> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut next: Vec<u32> = (0..lines as u32).collect();
    for i in (1..lines).rev() {
        if i % LOOK == 0 {
            means.check()?;
        }
        next.swap(i, random.usize(..i));
    }
    for (i, next) in next.iter().enumerate() {
        if i % LOOK == 0 {
            means.check()?;
        }
        // SAFETY: both lines lie in the set, and its start is that of a page.
        unsafe { set.start.add(i * LINE).cast::<*const u8>().write(set.start.add(*next as usize * LINE)) };
    }
    Ok(set.start)
}

fn bandwidth(means: &Means) -> Outcome {
    const MIB: usize = 1 << 20;
    let last = (1..=3).rev().find_map(level).unwrap_or(32 * MIB);
    let wanted = (4 * last).max(64 * MIB);
    let bytes = wanted.min(largest(means)) / MIB * MIB;
    if bytes < 2 * last {
        return because("the memory limit is too low for more than fits into the caches");
    }
    let set = Pages::new(bytes)?;
    // SAFETY: the pages are there, and nobody else has them.
    let words = unsafe { std::slice::from_raw_parts_mut(set.start.cast::<u64>(), bytes / 8) };
    for (i, part) in words.chunks_mut(MIB / 8).enumerate() {
        part.fill(i as u64);
        means.check()?;
    }
    // Each sample goes on where the last one ended, so that nothing of it is in a cache.
    const PARTS: usize = 4;
    let parts: Vec<&[u64]> = words.chunks(PARTS * MIB / 8).collect();
    let mut at = 0;
    means.median(|| {
        let part = parts[at % parts.len()];
        at += 1;
        let (time, _) =
            means.once(|| black_box(black_box(part).iter().fold(0u64, |sum, word| sum.wrapping_add(*word))));
        Ok(time * (MIB as f64 / size_of_val(part) as f64))
    })
}

/// Pages of memory, large ones where the system has them: else each access would also miss in the table of pages.
struct Pages {
    start: *mut u8,
    bytes: usize,
}

impl Pages {
    fn new(bytes: usize) -> Result<Pages, Missing> {
        // SAFETY: it asks for new memory, which is checked below.
        let start = unsafe {
            libc::mmap(
                null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return because("the system cannot allocate memory for the working set");
        }
        // SAFETY: the range is that of the pages above; where there are no large ones, it does nothing.
        unsafe { libc::madvise(start, bytes, libc::MADV_HUGEPAGE) };
        Ok(Pages { start: start.cast(), bytes })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: these pages were given to this value alone.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}
