//! Allocations that are refused: a panic that unwinds, where the standard library would end the process.
//!
//! Rust has no stable way to say what happens then. Its library writes "memory allocation of … bytes failed" to
//! standard error and calls `abort`. Both are symbols of the C library that this program defines itself: the message is
//! swallowed, and the call becomes a panic. `handle_alloc_error` may unwind, so all code is compiled for it. What else
//! was tried: to panic in the allocator itself, which must not unwind, ends the process; a child process for each run
//! of polars costs a copy of its tables.

use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::panic::resume_unwind;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// The payload of such a panic.
pub const OUT_OF_MEMORY: &str = "there is no memory left for it";

#[derive(Clone, Copy, PartialEq)]
enum State {
    Good,
    /// The allocator has refused something. Who asked may have a way out.
    Refused,
    /// The standard library has begun to say so: it ends the process next.
    Said,
}

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State::Good) };
    /// So many allocations of this thread are not refused: what a panic needs before it counts as one.
    static GRANTED: Cell<u8> = const { Cell::new(0) };
}

/// Whether the next allocation of this thread is needed for a panic.
pub fn is_granted() -> bool {
    let granted = GRANTED.try_with(|granted| granted.replace(granted.get().saturating_sub(1)));
    granted.is_ok_and(|granted| granted > 0)
}

/// How often it came to a panic.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// What a panic needs where the system has nothing left, not even that. It is used again from its start: what was taken
/// long ago is free by then.
#[repr(align(64))]
struct Emergency(UnsafeCell<[u8; EMERGENCY_BYTES]>);

// SAFETY: each part is handed out to one thread.
unsafe impl Sync for Emergency {}

static EMERGENCY: Emergency = Emergency(UnsafeCell::new([0; EMERGENCY_BYTES]));
const EMERGENCY_BYTES: usize = 64 << 10;
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Memory for a thread that panics, or will in a moment; null for others, and for more than a little.
pub fn emergency(layout: Layout) -> *mut u8 {
    const MOST: usize = 2048;
    let is_granted = GRANTED.try_with(Cell::get).is_ok_and(|granted| granted > 0);
    if layout.size() > MOST || layout.align() > 64 || !(is_granted || std::thread::panicking()) {
        return null_mut();
    }
    let size = layout.size().next_multiple_of(64);
    let at = TAKEN.fetch_add(size, Ordering::Relaxed) % EMERGENCY_BYTES;
    if at + size > EMERGENCY_BYTES {
        return null_mut();
    }
    // SAFETY: it lies within.
    unsafe { EMERGENCY.0.get().cast::<u8>().add(at) }
}

/// Whether memory came from there: the system's allocator does not know it.
#[inline]
pub fn is_emergency(pointer: *mut u8) -> bool {
    let start = EMERGENCY.0.get() as usize;
    (start..start + EMERGENCY_BYTES).contains(&(pointer as usize))
}

/// Memory that is given back at the first refusal by the system, so that a panic has some.
static RESERVE: AtomicPtr<u8> = AtomicPtr::new(null_mut());
const RESERVE_BYTES: usize = 1 << 20;

/// The allocator of this thread refuses something.
pub fn note_refusal() {
    let _ = STATE.try_with(|state| state.set(State::Refused));
    release_reserve();
}

pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Puts memory aside, if there is none. It is not touched, so that it takes no page.
pub fn keep_reserve() {
    if RESERVE.load(Ordering::Relaxed).is_null() {
        // SAFETY: a plain call; what it gives is either null or ours.
        let reserve = unsafe { libc::malloc(RESERVE_BYTES) }.cast();
        let before = RESERVE.swap(reserve, Ordering::AcqRel);
        free(before);
    }
}

/// Prepares for a limit of the memory that this process may map, where there is one.
///
/// The stack of the main thread grows now: when the limit is reached there is nothing left for it, and a stack that
/// cannot grow ends the process. And all threads allocate from one arena: the C library reserves 64 MiB or more for
/// each further one, which count though nobody uses them.
pub fn prepare_for_limit() {
    const PAGES: usize = 512;
    const ENOUGH: u64 = 4 << 20;
    if soft_limit(libc::RLIMIT_AS) == libc::RLIM_INFINITY {
        return;
    }
    #[cfg(target_env = "gnu")]
    // SAFETY: a plain call, before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
    if soft_limit(libc::RLIMIT_STACK) >= ENOUGH {
        touch(PAGES);
    }
}

/// Whether the stack of the main thread may be too small for the program.
pub fn stack_is_small() -> bool {
    soft_limit(libc::RLIMIT_STACK) < 1 << 20
}

fn soft_limit(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the system fills the structure.
    unsafe { libc::getrlimit(resource, &raw mut limit) };
    limit.rlim_cur
}

#[inline(never)]
fn touch(pages: usize) -> u8 {
    let mut page = [0_u8; 4096];
    std::hint::black_box(&mut page);
    let below = if pages > 0 { touch(pages - 1) } else { 0 };
    std::hint::black_box(&page)[0].wrapping_add(below)
}

fn release_reserve() {
    free(RESERVE.swap(null_mut(), Ordering::AcqRel));
}

fn free(reserve: *mut u8) {
    if !reserve.is_null() {
        // SAFETY: it came from `malloc`, and whoever swapped it out is the only one that has it.
        unsafe { libc::free(reserve.cast()) };
    }
}

/// The C library's `abort`, but where an allocation was refused.
///
/// # Panics
/// There.
#[unsafe(no_mangle)]
extern "C-unwind" fn abort() -> ! {
    let said = STATE.try_with(|state| state.replace(State::Good) == State::Said).unwrap_or(false);
    if said && !std::thread::panicking() {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let _ = GRANTED.try_with(|granted| granted.set(4));
        resume_unwind(Box::new(OUT_OF_MEMORY));
    }
    // SAFETY: plain system calls, the last of which ends the process.
    unsafe {
        // Who handles it comes first.
        libc::raise(libc::SIGABRT);
        libc::signal(libc::SIGABRT, libc::SIG_DFL);
        libc::raise(libc::SIGABRT);
        libc::_exit(134)
    }
}

/// The C library's `write`, but for what the standard library says where an allocation was refused.
///
/// # Safety
/// As for the C library: `bytes` has so many.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(descriptor: libc::c_int, bytes: *const libc::c_void, length: usize) -> isize {
    const BEGINS: &[u8] = b"memory allocation of";
    if descriptor == libc::STDERR_FILENO {
        let is_swallowed = STATE.try_with(|state| match state.get() {
            State::Good => false,
            State::Said => true,
            State::Refused => {
                // SAFETY: the caller has so many bytes.
                let begins = length >= BEGINS.len()
                    && unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), BEGINS.len()) } == BEGINS;
                state.set(if begins { State::Said } else { State::Good });
                begins
            }
        });
        if is_swallowed.unwrap_or(false) {
            return length as isize;
        }
    }
    // SAFETY: the arguments of the caller, as they came.
    unsafe { libc::syscall(libc::SYS_write, descriptor, bytes, length) as isize }
}
