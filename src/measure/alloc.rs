//! A global allocator that counts. Each thread counts for itself and adds to the totals every 64 KiB, so that counting
//! costs no shared write for most allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::refused;

/// The system's allocator with counters.
pub struct Counting;

static COUNT: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

/// What a thread adds up before it tells the totals.
const FLUSH: u64 = 64 << 10;

struct Local {
    count: Cell<u64>,
    bytes: Cell<u64>,
    live: Cell<i64>,
    /// The most that `live` was: the peak of one thread is exact, however little it allocates.
    peak: Cell<i64>,
    /// From this size on an allocation is looked at before it is made.
    large: Cell<usize>,
}

/// Small allocations are looked at only when many of them have led beyond the limit.
const LARGE: usize = 64 << 10;

thread_local! {
    static LOCAL: Local = const {
        Local {
            count: Cell::new(0),
            bytes: Cell::new(0),
            live: Cell::new(0),
            peak: Cell::new(0),
            large: Cell::new(LARGE),
        }
    };
    /// The bytes that this thread has added to the totals.
    static FLUSHED: Cell<u64> = const { Cell::new(0) };
}

// Each allocation comes by here, so that the usual way is a few additions in place of the call. A thread that is going
// away has no counters any more: its last frees are not counted.

/// Counts bytes that were allocated in the place of others.
#[inline(always)]
pub fn note_allocated(bytes: usize, before: usize) {
    let _ = LOCAL.try_with(|local| {
        local.count.set(local.count.get() + 1);
        local.bytes.set(local.bytes.get() + bytes as u64);
        let live = local.live.get() + bytes as i64 - before as i64;
        local.live.set(live);
        if live > local.peak.get() {
            local.peak.set(live);
        }
        if local.bytes.get() >= FLUSH || live.unsigned_abs() >= FLUSH {
            flush(local);
        }
    });
}

/// Counts bytes that were freed.
#[inline(always)]
pub fn note_freed(bytes: usize) {
    let _ = LOCAL.try_with(|local| {
        let live = local.live.get() - bytes as i64;
        local.live.set(live);
        if live.unsigned_abs() >= FLUSH {
            flush(local);
        }
    });
}

#[cold]
#[inline(never)]
fn flush(local: &Local) {
    let (count, bytes, live, peak) =
        (local.count.replace(0), local.bytes.replace(0), local.live.replace(0), local.peak.replace(0));
    let _ = FLUSHED.try_with(|flushed| flushed.set(flushed.get() + bytes));
    COUNT.fetch_add(count, Ordering::Relaxed);
    BYTES.fetch_add(bytes, Ordering::Relaxed);
    let before = LIVE.fetch_add(live, Ordering::Relaxed);
    PEAK.fetch_max(before + peak, Ordering::Relaxed);
    local.large.set(if is_beyond(0) { least_refused() } else { LARGE });
}

/// Adds what this thread has counted to the totals: for a thread that ends.
pub fn flush_thread() {
    LOCAL.with(flush);
}

/// The live heap of the process, in bytes, to 64 KiB a thread.
pub fn live() -> u64 {
    LIVE.load(Ordering::Relaxed).max(0) as u64
}

#[derive(Clone, Copy)]
struct Work {
    /// The most live heap that the process may have.
    limit: u64,
    /// How often the user had stopped what ran when this began.
    stops: u64,
}

thread_local! {
    /// What this thread's work may have.
    static WORK: Cell<Work> = const { Cell::new(Work { limit: u64::MAX, stops: 0 }) };
}

/// Until it is dropped, this thread's work asks for no more than the limit.
pub struct Limited(Work);

/// Sets the limit of this thread's work.
pub fn limited(bytes: u64) -> Limited {
    Limited(WORK.replace(Work { limit: bytes, stops: STOPS.load(Ordering::SeqCst) }))
}

/// The same for work that goes on when the user stops what ran.
pub fn limited_apart(bytes: u64) -> Limited {
    Limited(WORK.replace(Work { limit: bytes, stops: u64::MAX }))
}

impl Drop for Limited {
    fn drop(&mut self) {
        WORK.set(self.0);
    }
}

/// The limit of polars' threads, which work for whoever asks.
static LIMIT_OF_POOL: AtomicU64 = AtomicU64::new(u64::MAX);
static STOPS_OF_POOL: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread is one of polars'; not known before it was asked.
    static OF_POOL: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Until it is dropped, also polars' threads ask for no more than the limit.
pub struct PoolLimited;

/// Sets the limit of polars' threads. Of several runs at once (one may be left behind) the last one's is meant. A run
/// that is `apart` goes on when the user stops what ran.
pub fn pool_limited(bytes: u64, apart: bool) -> PoolLimited {
    let stops = if apart { u64::MAX } else { STOPS.load(Ordering::SeqCst) };
    STOPS_OF_POOL.store(stops, Ordering::Relaxed);
    LIMIT_OF_POOL.store(bytes, Ordering::Relaxed);
    PoolLimited
}

impl Drop for PoolLimited {
    fn drop(&mut self) {
        LIMIT_OF_POOL.store(u64::MAX, Ordering::Relaxed);
    }
}

/// How often the user has stopped what ran.
static STOPS: AtomicU64 = AtomicU64::new(0);

/// Work that has a limit and has begun gets no more memory: so it ends soon, also in a step that looks at no flag. A
/// signal handler may call it.
pub fn stop_allocations() {
    STOPS.fetch_add(1, Ordering::SeqCst);
}

/// Whether this thread's work was stopped since it began.
pub fn allocations_are_stopped() -> bool {
    STOPS.load(Ordering::SeqCst) > work().stops
}

/// Ends this thread's work, as a refused allocation does, if it was stopped since it began: for long steps that
/// allocate nothing.
///
/// # Panics
/// There.
pub fn end_if_stopped() {
    let Work { limit, stops } = work();
    if limit < u64::MAX && STOPS.load(Ordering::Relaxed) > stops {
        resume_unwind(Box::new(refused::OUT_OF_MEMORY));
    }
}

/// Whether this thread's work may have so many bytes more.
pub fn may_allocate(bytes: usize) -> bool {
    live().saturating_add(bytes as u64) <= work().limit
}

fn work() -> Work {
    let of_thread = WORK.try_with(Cell::get).unwrap_or(Work { limit: u64::MAX, stops: 0 });
    let of_pool = LIMIT_OF_POOL.load(Ordering::Relaxed);
    if of_thread.limit == u64::MAX && of_pool < u64::MAX && is_of_pool() {
        return Work { limit: of_pool, stops: STOPS_OF_POOL.load(Ordering::Relaxed) };
    }
    of_thread
}

/// Whether an allocation would lead beyond the limit of this thread's work. What unwinds may have what it needs.
fn is_beyond(bytes: usize) -> bool {
    let Work { limit, stops } = work();
    if limit == u64::MAX {
        return false;
    }
    // Who looks at the limit by itself comes first, with a better message.
    let with_room = limit.saturating_add(limit / 32);
    let is_stopped = STOPS.load(Ordering::Relaxed) > stops;
    let is_beyond = is_stopped || live().saturating_add(bytes as u64) > with_room;
    is_beyond && !std::thread::panicking() && !refused::is_granted()
}

/// What is refused beyond the limit. Polars' threads do not survive that while they look for work, for which they need
/// little.
fn least_refused() -> usize {
    if WORK.try_with(Cell::get).is_ok_and(|work| work.limit < u64::MAX) { 0 } else { 1 << 10 }
}

/// Whether this thread is one of polars', which have no other mark than their names.
fn is_of_pool() -> bool {
    let ask = || {
        let mut name = [0_u8; 16];
        // SAFETY: the system writes at most 16 bytes, with the zero at the end.
        unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
        [&b"polars-"[..], b"async-executor", b"tokio-"].iter().any(|start| name.starts_with(start))
    };
    let known = OF_POOL.try_with(Cell::get).ok().flatten();
    known.unwrap_or_else(|| {
        let is_of_pool = ask();
        let _ = OF_POOL.try_with(|known| known.set(Some(is_of_pool)));
        is_of_pool
    })
}

/// The totals, this thread's counters included.
pub struct Reading {
    pub count: u64,
    pub bytes: u64,
    pub live: i64,
}

/// The bytes that this thread has allocated since it began.
pub fn allocated() -> u64 {
    FLUSHED.get() + LOCAL.with(|local| local.bytes.get())
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

// SAFETY: every call is passed on to the system's allocator as it came, or refused; what came from elsewhere is not
// given to it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        counted(layout, 0, || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let pointer = counted(layout, 0, || unsafe { System.alloc_zeroed(layout) });
        if refused::is_emergency(pointer) {
            unsafe { pointer.write_bytes(0, layout.size()) };
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note_freed(layout.size());
        if !refused::is_emergency(pointer) {
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller asks for a size that fits its alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let moved = counted(new, layout.size(), || match refused::is_emergency(pointer) {
            true => unsafe { System.alloc(new) },
            false => unsafe { System.realloc(pointer, layout, size) },
        });
        let (from, to) = (refused::is_emergency(pointer), refused::is_emergency(moved));
        if !moved.is_null() && (from || to) {
            unsafe { moved.copy_from_nonoverlapping(pointer, size.min(layout.size())) };
            if !from {
                unsafe { System.dealloc(pointer, layout) };
            }
        }
        moved
    }
}

/// Counts an allocation that takes the place of another of so many bytes, unless it is refused.
#[inline]
fn counted(layout: Layout, before: usize, allocate: impl FnOnce() -> *mut u8) -> *mut u8 {
    let size = layout.size();
    let large = LOCAL.try_with(|local| local.large.get()).unwrap_or(usize::MAX);
    if size < large || !is_beyond(size.saturating_sub(before)) {
        let mut pointer = allocate();
        if pointer.is_null() {
            pointer = refused::emergency(layout);
        }
        if !pointer.is_null() {
            note_allocated(size, before);
            return pointer;
        }
    }
    refused::note_refusal();
    std::ptr::null_mut()
}
