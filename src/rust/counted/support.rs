//! Compiled by itself, without counters of its own, beside a text that is compiled with them: allocations, bytes moved,
//! and the stack. It reads what the program that it is linked into has counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Begins each line that is an answer: the text may print too.
const MARK: &str = "\u{1}timelab ";

/// No recursion that ends needs more; only what is touched is there.
const STACK: usize = 1 << 30;

struct Counting;

#[global_allocator]
static GLOBAL: Counting = Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static MOVED: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

fn note(allocated: usize, freed: usize) {
    ALLOCATIONS.fetch_add(u64::from(allocated > 0), Relaxed);
    ALLOCATED.fetch_add(allocated as u64, Relaxed);
    let change = allocated as i64 - freed as i64;
    PEAK.fetch_max(LIVE.fetch_add(change, Relaxed) + change, Relaxed);
}

// SAFETY: every call is passed on to the system's allocator.
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

    /// Counted as what it may have to do: allocate, copy, free. Whether the system can grow in place is its luck.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, 0);
        note(0, layout.size());
        MOVED.fetch_add(layout.size().min(size) as u64, Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// In the place of the C library's, so that their bytes are counted. The instructions cannot become a call of
/// themselves.
#[cfg(target_arch = "x86_64")]
mod moves {
    use std::arch::asm;
    use std::sync::atomic::Ordering::Relaxed;

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        super::MOVED.fetch_add(count as u64, Relaxed);
        unsafe {
            asm!("rep movsb", inout("rcx") count => _, inout("rdi") to => _, inout("rsi") from => _,
                options(nostack, preserves_flags));
        }
        to
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
        if (to as usize).wrapping_sub(from as usize) >= count {
            return unsafe { memcpy(to, from, count) };
        }
        super::MOVED.fetch_add(count as u64, Relaxed);
        unsafe {
            // From the end, since they overlap.
            asm!("std", "rep movsb", "cld", inout("rcx") count => _,
                inout("rdi") to.wrapping_add(count).wrapping_sub(1) => _,
                inout("rsi") from.wrapping_add(count).wrapping_sub(1) => _, options(nostack));
        }
        to
    }

    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
        super::MOVED.fetch_add(count as u64, Relaxed);
        unsafe {
            asm!("rep stosb", inout("rcx") count => _, inout("rdi") to => _, in("al") value as u8,
                options(nostack, preserves_flags));
        }
        to
    }
}

unsafe extern "C" {
    #[link_name = "__start___llvm_prf_cnts"]
    static FIRST: u64;
    #[link_name = "__stop___llvm_prf_cnts"]
    static END: u64;
    fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    fn mincore(start: *mut u8, length: usize, pages: *mut u8) -> i32;
    fn _exit(status: i32) -> !;
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    fn pipe2(ends: *mut [i32; 2], flags: i32) -> i32;
    fn read(file: i32, to: *mut u8, count: usize) -> isize;
    fn write(file: i32, from: *const u8, count: usize) -> isize;
    fn close(file: i32) -> i32;
    fn prctl(option: i32, a: u64, b: u64, c: u64, d: u64) -> i32;
}

/// The sum of all counters of the program.
fn counters() -> u64 {
    let (mut at, end) = (&raw const FIRST, &raw const END);
    let mut sum = 0u64;
    while at < end {
        // SAFETY: the linker puts the counters between these two, as whole u64s.
        unsafe {
            sum = sum.wrapping_add(at.read_volatile());
            at = at.add(1);
        }
    }
    sum
}

/// Answers each line of standard input. `make` gives the work of a line: what is counted is the call of that alone.
pub fn serve(make: fn(&str) -> Box<dyn FnMut()>) -> ! {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if !answer(line, make) {
            break;
        }
    }
    // SAFETY: it ends the process, and writes no profile.
    unsafe { _exit(0) }
}

/// The same for a text of which nobody knows what it leaves in a `static`: each line in a fork of its own, which finds
/// what the first one found.
pub fn serve_anew(make: fn(&str) -> Box<dyn FnMut()>) -> ! {
    const PARENT_DEATH_SIGNAL: i32 = 1;
    const KILL: u64 = 9;
    const CLOSE_ON_EXEC: i32 = 0o2000000;
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let mut ends = [0i32; 2];
        // SAFETY: this process has one thread, and waits for its child before it goes on. The text may end the child in
        // any way and with any status: that it has answered is told by a byte in a pipe.
        let has_answered = unsafe {
            let child = if pipe2(&mut ends, CLOSE_ON_EXEC) == 0 { fork() } else { -1 };
            if child == 0 {
                prctl(PARENT_DEATH_SIGNAL, KILL, 0, 0, 0);
                if answer(line, make) {
                    write(ends[1], &1, 1);
                }
                _exit(0)
            }
            close(ends[1]);
            let (mut byte, mut status) = (0u8, 0);
            let has_answered = child > 0 && read(ends[0], &mut byte, 1) == 1;
            close(ends[0]);
            if child > 0 {
                waitpid(child, &mut status, 0);
            }
            has_answered
        };
        if !has_answered && !tell(FAILED) {
            break;
        }
    }
    // SAFETY: it ends the process, and writes no profile.
    unsafe { _exit(0) }
}

/// Does the work of a line and tells what was counted; whether somebody is there to take it.
fn answer(line: String, make: fn(&str) -> Box<dyn FnMut()>) -> bool {
    // Each on a stack of its own: the work must not be seen to touch what making it has touched.
    let counts = apart(move || Work(make(&line))).and_then(|work| apart(move || counted(work)));
    tell(&counts.unwrap_or_else(|| FAILED.to_string()))
}

const FAILED: &str = "failed";

fn tell(answer: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{MARK}{answer}").and_then(|()| out.flush()).is_ok()
}

struct Work(Box<dyn FnMut()>);

// SAFETY: one thread after the other has it.
unsafe impl Send for Work {}

/// Runs it on a new thread; None where it panics.
fn apart<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    std::thread::Builder::new().stack_size(STACK).spawn(run).ok()?.join().ok()
}

/// What one call does.
fn counted(work: Work) -> String {
    let Work(mut work) = work;
    let here = 0u64;
    let top = &raw const here as usize;
    PEAK.store(LIVE.load(Relaxed), Relaxed);
    let before = (counters(), MOVED.load(Relaxed), ALLOCATIONS.load(Relaxed), ALLOCATED.load(Relaxed));
    let live = LIVE.load(Relaxed);
    let start = nanoseconds();
    work();
    let spent = nanoseconds() - start;
    let after = (counters(), MOVED.load(Relaxed), ALLOCATIONS.load(Relaxed), ALLOCATED.load(Relaxed));
    let peak = PEAK.load(Relaxed) - live;
    let stack = top.saturating_sub(deepest(top));
    let counts = [after.0 - before.0, after.1 - before.1, after.2 - before.2, after.3 - before.3];
    format!("{} {} {} {} {peak} {stack} {spent}", counts[0], counts[1], counts[2], counts[3])
}

/// CPU time of the process so far.
fn nanoseconds() -> i64 {
    const PROCESS: i32 = 2;
    let mut time = [0i64; 2];
    // SAFETY: it writes seconds and nanoseconds.
    unsafe { clock_gettime(PROCESS, &mut time) };
    time[0] * 1_000_000_000 + time[1]
}

/// The lowest address of this thread's stack that was written. Its pages are new, and the system says which were
/// touched.
fn deepest(top: usize) -> usize {
    const PAGE: usize = 4096;
    const PAGES: usize = 256;
    let mut page = top & !(PAGE - 1);
    let floor = page.saturating_sub(STACK - (1 << 20));
    let mut lowest = page;
    let mut resident = [0u8; PAGES];
    while page > floor {
        let start = page - PAGES * PAGE;
        // SAFETY: it only asks; `resident` has a byte for each page.
        if unsafe { mincore(start as *mut u8, PAGES * PAGE, resident.as_mut_ptr()) } != 0 {
            break;
        }
        let Some(first) = resident.iter().position(|page| page & 1 == 1) else { break };
        lowest = start + first * PAGE;
        if resident.iter().all(|page| page & 1 == 0) {
            break;
        }
        page = start;
    }
    let mut at = lowest;
    // SAFETY: the page belongs to the stack of this thread; what was never written is zero.
    while at < top && unsafe { (at as *const u64).read_volatile() } == 0 {
        at += size_of::<u64>();
    }
    at
}
