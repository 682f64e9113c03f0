//! Counts what cells allocate with the C allocator. A cell is loaded into this program's process as a shared library;
//! its calls of `malloc` and the like, those of the standard library and of all other libraries go through slots that
//! the loader has filled. To count, the slots are pointed to functions here; while samples are taken, they point to the
//! allocator itself, so that timed code allocates as fast as in a program of its own. (To define `malloc` in this
//! program and to ask there whether to count made boxes and short strings 3 to 13 % slower also where nothing was
//! counted.)

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::measure;

static COUNTING: AtomicBool = AtomicBool::new(false);
/// The size of the last allocation that was refused.
static REFUSED: AtomicUsize = AtomicUsize::new(0);
/// Slots of the libraries that are loaded so far, each with what the loader put there and what counts.
static SLOTS: Mutex<Vec<Slot>> = Mutex::new(Vec::new());

/// From now on this process counts what the libraries allocate that are loaded by now.
pub fn count() {
    let mut slots = SLOTS.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the callback gets this list, and while it runs no library is unloaded.
    unsafe { libc::dl_iterate_phdr(Some(find_slots), (&raw mut *slots).cast()) };
    COUNTING.store(true, Relaxed);
    slots.iter().for_each(|slot| slot.set(true));
}

/// Stops counting for a while, or goes on.
pub fn pause(pause: bool) {
    COUNTING.store(!pause, Relaxed);
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|slot| slot.set(!pause));
}

/// The size of the last allocation that the system refused; 0 where none was.
pub fn refused() -> usize {
    REFUSED.load(Relaxed)
}

/// Where a library finds a function of the allocator. The memory can be written, and stays as long as the process.
#[derive(Clone, Copy)]
struct Slot {
    place: usize,
    /// The allocator's function, or what finds it at the first call.
    own: usize,
    counting: usize,
}

impl Slot {
    fn set(&self, counts: bool) {
        // SAFETY: the place is that of a function's address, which other threads read as a whole.
        let place = unsafe { &*(self.place as *const AtomicUsize) };
        place.store(if counts { self.counting } else { self.own }, Relaxed);
    }
}

/// The functions that count, by the names of those that they stand for.
fn counting(name: &CStr) -> Option<usize> {
    Some(match name.to_bytes() {
        b"malloc" => malloc as *const () as usize,
        b"calloc" => calloc as *const () as usize,
        b"realloc" => realloc as *const () as usize,
        b"free" => free as *const () as usize,
        b"memalign" => memalign as *const () as usize,
        b"aligned_alloc" => aligned_alloc as *const () as usize,
        b"posix_memalign" => posix_memalign as *const () as usize,
        _ => return None,
    })
}

/// Adds the slots of one library. This program comes first and is left out: its own allocator counts.
unsafe extern "C" fn find_slots(info: *mut libc::dl_phdr_info, _: usize, slots: *mut c_void) -> c_int {
    // SAFETY: the system passes a whole structure, and `count` its list.
    let (info, slots) = unsafe { (&*info, &mut *slots.cast::<Vec<Slot>>()) };
    // SAFETY: the name is a text, and the loader has as many headers as it says.
    let (name, headers) = unsafe {
        let headers = std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into());
        (CStr::from_ptr(info.dlpi_name), headers)
    };
    // The kernel's own library has no file; nothing in it allocates.
    if name.is_empty() || name.to_bytes().starts_with(b"linux-vdso") {
        return 0;
    }
    let base = info.dlpi_addr as usize;
    if let Some(dynamic) = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC) {
        // SAFETY: the section is loaded there.
        unsafe { add_slots(base, (base + dynamic.p_vaddr as usize) as *const Dynamic, slots) };
    }
    0
}

/// An entry of a dynamic section: `Elf64_Dyn`.
#[repr(C)]
struct Dynamic {
    tag: i64,
    value: usize,
}

const STRINGS: i64 = 5;
const SYMBOLS: i64 = 6;
const RELOCATIONS: i64 = 7;
const RELOCATIONS_SIZE: i64 = 8;
const CALLS: i64 = 23;
const CALLS_SIZE: i64 = 2;

/// The kinds of a relocation that is a slot for an address.
#[cfg(target_arch = "x86_64")]
const SLOT_KINDS: [u64; 2] = [6, 7];
#[cfg(not(target_arch = "x86_64"))]
const SLOT_KINDS: [u64; 2] = [1025, 1026];

/// # Safety
/// `dynamic` is the dynamic section of a library that is loaded at `base`.
unsafe fn add_slots(base: usize, mut dynamic: *const Dynamic, slots: &mut Vec<Slot>) {
    let mut found = [0; 24];
    // SAFETY: the section ends with an entry of tag 0.
    unsafe {
        while (*dynamic).tag != 0 {
            if let Some(place) = usize::try_from((*dynamic).tag).ok().and_then(|tag| found.get_mut(tag)) {
                *place = (*dynamic).value;
            }
            dynamic = dynamic.add(1);
        }
    }
    let value = |tag: i64| found[tag as usize];
    // The loader writes addresses in place of distances; where it does not, they are below the base.
    let address = |tag: i64| if value(tag) < base { base + value(tag) } else { value(tag) };
    if value(STRINGS) == 0 || value(SYMBOLS) == 0 {
        return;
    }
    for (start, size) in [(RELOCATIONS, RELOCATIONS_SIZE), (CALLS, CALLS_SIZE)] {
        if value(start) == 0 {
            continue;
        }
        let count = value(size) / size_of::<Relocation>();
        // SAFETY: the section names a table of so many bytes, of symbols of this library, whose names are in its
        // strings.
        unsafe {
            let relocations = std::slice::from_raw_parts(address(start) as *const Relocation, count);
            for relocation in relocations.iter().filter(|one| SLOT_KINDS.contains(&(one.info & 0xffff_ffff))) {
                let symbol = (address(SYMBOLS) as *const libc::Elf64_Sym).add((relocation.info >> 32) as usize);
                let name = CStr::from_ptr((address(STRINGS) + (*symbol).st_name as usize) as *const c_char);
                if let Some(counting) = counting(name) {
                    add_slot(base + relocation.offset as usize, counting, slots);
                }
            }
        }
    }
}

/// `Elf64_Rela`.
#[repr(C)]
struct Relocation {
    offset: u64,
    info: u64,
    addend: i64,
}

/// # Safety
/// The loader keeps the address of a function at `place`.
unsafe fn add_slot(place: usize, counting: usize, slots: &mut Vec<Slot>) {
    // A library that was loaded before is found again.
    if slots.iter().any(|slot| slot.place == place) {
        return;
    }
    // SAFETY: the page is mapped; it may be read-only since the loader is through with it.
    unsafe {
        let page = libc::sysconf(libc::_SC_PAGESIZE).max(1) as usize;
        let first = place / page * page;
        if libc::mprotect(first as *mut c_void, page, libc::PROT_READ | libc::PROT_WRITE) == 0 {
            slots.push(Slot { place, own: *(place as *const usize), counting });
        }
    }
}

unsafe extern "C" {
    fn malloc_usable_size(pointer: *mut c_void) -> usize;
}

/// Counts what was just allocated.
fn counted(pointer: *mut c_void, size: usize) -> *mut c_void {
    if COUNTING.load(Relaxed) {
        if pointer.is_null() {
            REFUSED.store(size, Relaxed);
        } else {
            // SAFETY: the allocator just gave it.
            measure::note_allocated(unsafe { malloc_usable_size(pointer) }, 0);
        }
    }
    pointer
}

// SAFETY: each of these has the meaning of its namesake in C, which does the work.

extern "C" fn malloc(size: usize) -> *mut c_void {
    counted(unsafe { libc::malloc(size) }, size)
}

extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    counted(unsafe { libc::calloc(count, size) }, count.saturating_mul(size))
}

unsafe extern "C" fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void {
    if !COUNTING.load(Relaxed) || pointer.is_null() {
        return counted(unsafe { libc::realloc(pointer, size) }, size);
    }
    let before = unsafe { malloc_usable_size(pointer) };
    let moved = counted(unsafe { libc::realloc(pointer, size) }, size);
    if !moved.is_null() || size == 0 {
        measure::note_freed(before);
    }
    moved
}

unsafe extern "C" fn free(pointer: *mut c_void) {
    if COUNTING.load(Relaxed) && !pointer.is_null() {
        measure::note_freed(unsafe { malloc_usable_size(pointer) });
    }
    unsafe { libc::free(pointer) }
}

extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
    counted(unsafe { libc::memalign(alignment, size) }, size)
}

extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    counted(unsafe { libc::aligned_alloc(alignment, size) }, size)
}

unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
    let result = unsafe { libc::posix_memalign(place, alignment, size) };
    counted(if result == 0 { unsafe { *place } } else { std::ptr::null_mut() }, size);
    result
}
