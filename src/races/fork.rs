//! Processes in the place of threads: forks that play the same rounds. A child only touches memory that is there: it
//! allocates nothing, takes no lock, and leaves by `_exit`, as a fork of a process with threads must.

use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use super::rounds::{Played, Rounds, Track};

impl Rounds<'_> {
    /// `play` with a process for each thread; `leave` is the last thing that each does.
    pub fn play_forked(
        &self,
        work: &(dyn Fn(usize, u64) + Sync),
        leave: &(dyn Fn(usize) + Sync),
    ) -> io::Result<Played> {
        // Who watches allocates.
        let unwatched = self.unwatched();
        let track = Shared::new(Track::new(self.threads, self.cores.len()))?;
        let mut children: Vec<libc::pid_t> = Vec::new();
        let mut failed = None;
        for thread in 0..self.threads {
            // SAFETY: the child keeps to what a fork of a process with threads may do, see above.
            match unsafe { libc::fork() } {
                0 => {
                    // SAFETY: a system call; the child must not outlive this process.
                    #[cfg(target_os = "linux")]
                    unsafe {
                        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    }
                    unwatched.run(track.get(), thread, work, &Vec::new);
                    leave(thread);
                    // SAFETY: it ends this process at once, without what else would be done at an exit.
                    unsafe { libc::_exit(0) }
                }
                -1 => {
                    failed = Some(io::Error::last_os_error());
                    break;
                }
                child => children.push(child),
            }
        }
        let mut kill = failed.is_some();
        while !children.is_empty() {
            if kill || self.is_stopped() {
                kill = true;
                for child in &children {
                    // SAFETY: it is our own child and has not been waited for.
                    unsafe { libc::kill(*child, libc::SIGKILL) };
                }
            }
            children.retain(|child| {
                let mut status = 0;
                // SAFETY: the status is ours.
                unsafe { libc::waitpid(*child, &mut status, libc::WNOHANG) == 0 }
            });
            std::thread::sleep(Duration::from_millis(1));
        }
        match failed {
            Some(error) => Err(error),
            // One that was killed says nothing of it.
            None => Ok(Played { is_cut: kill, ..track.get().played() }),
        }
    }
}

/// A value in memory that this process shares with its forks.
pub struct Shared<T> {
    value: *mut T,
}

// SAFETY: it is a value at a place of its own, as in a `Box`.
unsafe impl<T: Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub fn new(value: T) -> io::Result<Shared<T>> {
        let value_at = map(size_of::<T>(), libc::MAP_SHARED)?.cast::<T>();
        // SAFETY: the memory is new and large enough.
        unsafe { value_at.write(value) };
        Ok(Shared { value: value_at })
    }

    pub fn get(&self) -> &T {
        // SAFETY: it was written, and lives as long as this.
        unsafe { &*self.value }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: nothing refers to it any more; the map is ours.
        unsafe {
            self.value.drop_in_place();
            libc::munmap(self.value.cast(), size_of::<T>().max(1));
        }
    }
}

/// Words in memory of their own, all 0 at first, which this process may share with its forks.
pub struct Words {
    place: *mut AtomicU32,
    len: usize,
}

// SAFETY: they are atomic words at places of their own, as in a `Vec`.
unsafe impl Sync for Words {}

impl Words {
    pub fn new(len: usize, is_shared: bool) -> io::Result<Words> {
        let kind = if is_shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
        Ok(Words { place: map(len * size_of::<AtomicU32>(), kind)?.cast(), len })
    }
}

impl Deref for Words {
    type Target = [AtomicU32];

    fn deref(&self) -> &[AtomicU32] {
        // SAFETY: so many words are there, and all bits 0 are one.
        unsafe { std::slice::from_raw_parts(self.place, self.len) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: nothing refers to them any more; the map is ours.
        unsafe { libc::munmap(self.place.cast(), (self.len * size_of::<AtomicU32>()).max(1)) };
    }
}

/// New memory, page-aligned and full of zeros.
fn map(bytes: usize, kind: libc::c_int) -> io::Result<*mut libc::c_void> {
    // SAFETY: new anonymous memory, at no given place.
    let place = unsafe {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), bytes.max(1), rights, kind | libc::MAP_ANONYMOUS, -1, 0)
    };
    if place == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(place) }
}

/// What processes send to their parent.
pub struct Pipe {
    read: libc::c_int,
    write: libc::c_int,
    is_closed: AtomicBool,
}

impl Pipe {
    pub fn new() -> io::Result<Pipe> {
        let mut ends = [0; 2];
        // SAFETY: there is room for two numbers. No program that is started meanwhile gets the ends.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Pipe { read: ends[0], write: ends[1], is_closed: AtomicBool::new(false) })
    }

    /// Sends a few bytes, which go through a pipe as a whole.
    pub fn send(&self, bytes: &[u8]) {
        // SAFETY: the bytes are ours.
        unsafe { libc::write(self.write, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// Waits for bytes; none once all ends for sending are closed.
    pub fn receive<'b>(&self, bytes: &'b mut [u8]) -> Option<&'b [u8]> {
        loop {
            // SAFETY: the bytes are ours, and as many are there.
            let read = unsafe { libc::read(self.read, bytes.as_mut_ptr().cast(), bytes.len()) };
            match usize::try_from(read) {
                Ok(0) => return None,
                Ok(read) => return Some(&bytes[..read]),
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// The parent itself sends nothing more.
    pub fn close(&self) {
        if !self.is_closed.swap(true, Ordering::SeqCst) {
            // SAFETY: it is ours and open.
            unsafe { libc::close(self.write) };
        }
    }

    pub fn send_number(&self, number: &AtomicI64) {
        self.send(&number.load(Ordering::Relaxed).to_ne_bytes());
    }

    /// The sum of the numbers that were sent.
    pub fn sum(&self) -> i64 {
        self.close();
        let (mut sum, mut bytes) = (0, [0; 8]);
        while let Some(&[a, b, c, d, e, f, g, h]) = self.receive(&mut bytes) {
            sum += i64::from_ne_bytes([a, b, c, d, e, f, g, h]);
        }
        sum
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.close();
        // SAFETY: it is ours and open.
        unsafe { libc::close(self.read) };
    }
}
