//! Memory that the shell and a worker share. A function in Rust is called over it once for each row, which a message
//! over a socket would make slow: the one who waits looks at the memory for a moment, and sleeps at the socket only
//! then.

use std::cell::UnsafeCell;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// The most bytes of a call, and of its answer.
pub const ROOM: usize = 64 << 10;
/// How long one looks before one sleeps: longer than it takes to wake the other, or each would find the other asleep
/// for ever.
const LOOKING: Duration = Duration::from_micros(100);

pub struct SharedChannel {
    shared: *mut Shared,
}

/// All zero at first.
#[repr(C)]
struct Shared {
    /// Calls so far, and answers.
    asked: AtomicU64,
    answered: AtomicU64,
    /// Whether the worker sleeps and wants a message when there is a call; the shell, when there is an answer.
    worker_sleeps: AtomicBool,
    shell_sleeps: AtomicBool,
    length: AtomicUsize,
    bytes: UnsafeCell<[u8; ROOM]>,
}

// SAFETY: the shell and the worker take turns with the bytes, which the counters order.
unsafe impl Send for SharedChannel {}

impl SharedChannel {
    /// Makes the file and maps it.
    pub fn make(path: &Path) -> io::Result<SharedChannel> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        // A file with holes would end the process where the disk is full.
        // SAFETY: a system call on an open descriptor.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size_of::<Shared>() as libc::off_t) } {
            0 => SharedChannel::map(&file),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// Maps the file that the shell made.
    pub fn open(path: &Path) -> io::Result<SharedChannel> {
        SharedChannel::map(&File::options().read(true).write(true).open(path)?)
    }

    fn map(file: &File) -> io::Result<SharedChannel> {
        // SAFETY: a new mapping of the whole file, which was made as long as it must be.
        let start = unsafe {
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), size_of::<Shared>(), rights, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(SharedChannel { shared: start.cast() })
    }

    fn shared(&self) -> &Shared {
        // SAFETY: mapped as long as this lives; zeroed memory is a valid value of it.
        unsafe { &*self.shared }
    }

    fn write(&mut self, bytes: &[u8]) {
        // SAFETY: it is this side's ticket, and the bytes fit.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.shared().bytes.get().cast(), bytes.len()) };
        self.shared().length.store(bytes.len(), SeqCst);
    }

    /// The bytes of the call, or of the answer, for the side whose ticket it is.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: as in `write`.
        unsafe {
            std::slice::from_raw_parts(self.shared().bytes.get().cast(), self.shared().length.load(SeqCst).min(ROOM))
        }
    }

    /// Calls with these bytes, at most [`ROOM`]; whether the worker must be woken.
    pub fn ask(&mut self, bytes: &[u8]) -> bool {
        self.write(bytes);
        self.shared().asked.fetch_add(1, SeqCst);
        self.shared().worker_sleeps.swap(false, SeqCst)
    }

    /// Whether the answer is there; if not, a message will tell, and must be received.
    pub fn is_answered(&self) -> bool {
        there_or_sleeping(|| !self.has_call(), &self.shared().shell_sleeps)
    }

    /// Whether a call is there; if not, a message will tell, and must be received.
    pub fn is_asked(&self) -> bool {
        there_or_sleeping(|| self.has_call(), &self.shared().worker_sleeps)
    }

    /// Whether there is a call without an answer.
    pub fn has_call(&self) -> bool {
        self.shared().answered.load(SeqCst) != self.shared().asked.load(SeqCst)
    }

    /// Answers with these bytes, at most [`ROOM`]; whether the shell must be woken.
    pub fn answer(&mut self, bytes: &[u8]) -> bool {
        self.write(bytes);
        self.shared().answered.fetch_add(1, SeqCst);
        self.shared().shell_sleeps.swap(false, SeqCst)
    }
}

/// Looks for a moment. Who then says that it sleeps, and finds in that moment what it waits for, sleeps only where the
/// other has seen it and sends the message.
fn there_or_sleeping(is_there: impl Fn() -> bool, sleeps: &AtomicBool) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..64 {
            if is_there() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > LOOKING {
            sleeps.store(true, SeqCst);
            return is_there() && sleeps.swap(false, SeqCst);
        }
        // The other may want this very core.
        std::thread::yield_now();
    }
}

impl Drop for SharedChannel {
    fn drop(&mut self) {
        // SAFETY: nobody has the mapping any more.
        unsafe { libc::munmap(self.shared.cast(), size_of::<Shared>()) };
    }
}
