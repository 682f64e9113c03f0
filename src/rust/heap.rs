//! The C allocator with counters: a Rust cell is loaded into this program's process as a shared library, and what it
//! allocates comes here. In all other processes of the program it passes every call on.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use crate::measure;

static COUNTING: AtomicBool = AtomicBool::new(false);
/// The size of the last allocation that was refused.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// From now on this process counts.
pub fn count() {
    COUNTING.store(true, Relaxed);
}

/// Stops counting for a while, or goes on.
pub fn pause(pause: bool) {
    COUNTING.store(!pause, Relaxed);
}

/// The size of the last allocation that the system refused; 0 where none was.
pub fn refused() -> usize {
    REFUSED.load(Relaxed)
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(pointer: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
    fn __libc_free(pointer: *mut c_void);
    fn malloc_usable_size(pointer: *mut c_void) -> usize;
}

/// Counts what was just allocated.
fn counted(pointer: *mut c_void, size: usize) -> *mut c_void {
    if COUNTING.load(Relaxed) {
        if pointer.is_null() {
            REFUSED.store(size, Relaxed);
        } else {
            // SAFETY: the allocator just gave it.
            measure::note_heap(unsafe { malloc_usable_size(pointer) }, 0);
        }
    }
    pointer
}

// SAFETY: each of these has the meaning of its namesake in C, which does the work.

#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    counted(unsafe { __libc_malloc(size) }, size)
}

#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    counted(unsafe { __libc_calloc(count, size) }, count.saturating_mul(size))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void {
    if !COUNTING.load(Relaxed) || pointer.is_null() {
        return counted(unsafe { __libc_realloc(pointer, size) }, size);
    }
    let before = unsafe { malloc_usable_size(pointer) };
    let moved = counted(unsafe { __libc_realloc(pointer, size) }, size);
    if !moved.is_null() || size == 0 {
        measure::note_heap(0, before);
    }
    moved
}

#[unsafe(no_mangle)]
unsafe extern "C" fn free(pointer: *mut c_void) {
    if COUNTING.load(Relaxed) && !pointer.is_null() {
        measure::note_heap(0, unsafe { malloc_usable_size(pointer) });
    }
    unsafe { __libc_free(pointer) }
}

#[unsafe(no_mangle)]
extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
    counted(unsafe { __libc_memalign(alignment, size) }, size)
}

#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    memalign(alignment, size)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    if !alignment.is_power_of_two() || !alignment.is_multiple_of(size_of::<*mut c_void>()) {
        return libc::EINVAL;
    }
    let pointer = memalign(alignment, size);
    if pointer.is_null() && size > 0 {
        return libc::ENOMEM;
    }
    unsafe { *place = pointer };
    0
}
