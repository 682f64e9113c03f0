//! A global allocator that counts. Each thread counts for itself and adds to the totals every 64 KiB, so that counting
//! costs no shared write for most allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The system's allocator with counters.
pub struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

/// What a thread adds up before it tells the totals.
const FLUSH: u64 = 64 << 10;

#[derive(Clone, Copy)]
struct Local {
    count: u64,
    bytes: u64,
    live: i64,
    /// The most that `live` was: the peak of one thread is exact, however little it allocates.
    peak: i64,
}

const NOTHING: Local = Local { count: 0, bytes: 0, live: 0, peak: 0 };

thread_local! {
    static LOCAL: Cell<Local> = const { Cell::new(NOTHING) };
    /// The bytes that this thread has added to the totals.
    static FLUSHED: Cell<u64> = const { Cell::new(0) };
}

/// Counts bytes that were allocated, and bytes that were freed.
pub fn note(allocated: usize, freed: usize) {
    // A thread that is going away has no counters any more: its last frees are not counted.
    let _ = LOCAL.try_with(|cell| {
        let mut local = cell.get();
        local.count += u64::from(allocated > 0);
        local.bytes += allocated as u64;
        local.live += allocated as i64 - freed as i64;
        local.peak = local.peak.max(local.live);
        if local.bytes >= FLUSH || local.live.unsigned_abs() >= FLUSH {
            flush(local);
            local = NOTHING;
        }
        cell.set(local);
    });
}

fn flush(local: Local) {
    let _ = FLUSHED.try_with(|flushed| flushed.set(flushed.get() + local.bytes));
    COUNT.fetch_add(local.count, Ordering::Relaxed);
    BYTES.fetch_add(local.bytes, Ordering::Relaxed);
    let before = LIVE.fetch_add(local.live, Ordering::Relaxed);
    PEAK.fetch_max(before + local.peak, Ordering::Relaxed);
}

/// Adds what this thread has counted to the totals: for a thread that ends.
pub fn flush_thread() {
    flush(LOCAL.replace(NOTHING));
}

/// The live heap of the process, in bytes, to 64 KiB a thread.
pub fn live() -> u64 {
    LIVE.load(Ordering::Relaxed).max(0) as u64
}

thread_local! {
    /// The most live heap that the process may have, as far as this thread's work is concerned.
    static LIMIT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Until it is dropped, this thread's work asks for no more than the limit.
pub struct Limited(u64);

/// Sets the limit of this thread's work.
pub fn limited(bytes: u64) -> Limited {
    Limited(LIMIT.replace(bytes))
}

impl Drop for Limited {
    fn drop(&mut self) {
        LIMIT.set(self.0);
    }
}

/// Whether this thread's work may have so many bytes more.
pub fn may_allocate(bytes: usize) -> bool {
    live().saturating_add(bytes as u64) <= LIMIT.get()
}

/// The totals, this thread's counters included.
pub struct Reading {
    pub count: u64,
    pub bytes: u64,
    pub live: i64,
}

/// The bytes that this thread has allocated since it began.
pub fn allocated() -> u64 {
    FLUSHED.get() + LOCAL.get().bytes
}

/// Reads the totals.
pub fn read() -> Reading {
    flush_thread();
    Reading {
        count: COUNT.load(Ordering::Relaxed),
        bytes: BYTES.load(Ordering::Relaxed),
        live: LIVE.load(Ordering::Relaxed),
    }
}

/// Lets the peak begin anew at what is live now; what it was until then.
pub fn restart_peak() -> i64 {
    flush_thread();
    PEAK.swap(LIVE.load(Ordering::Relaxed), Ordering::Relaxed)
}

/// The peak since it began anew; from here on it is at least `earlier`.
pub fn raise_peak(earlier: i64) -> i64 {
    PEAK.fetch_max(earlier, Ordering::Relaxed)
}

pub fn peak() -> i64 {
    flush_thread();
    PEAK.load(Ordering::Relaxed)
}

/// Sets the peak, but not below what is live.
pub fn set_peak(peak: i64) {
    PEAK.store(peak.max(LIVE.load(Ordering::Relaxed)), Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}
