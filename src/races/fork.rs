//! Processes in the place of threads: forks that play the same rounds. A child only touches memory that is there: it
//! allocates nothing, takes no lock, and leaves by `_exit`, as a fork of a process with threads must.

use std::io;
use std::sync::atomic::AtomicI64;
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
            None => Ok(track.get().played()),
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
        // SAFETY: new anonymous memory, page-aligned and as large as the value.
        let place = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<T>().max(1),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let value_at = place.cast::<T>();
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

/// Numbers that processes send to their parent.
pub struct Pipe {
    read: libc::c_int,
    write: libc::c_int,
}

impl Pipe {
    pub fn new() -> io::Result<Pipe> {
        let mut ends = [0; 2];
        // SAFETY: there is room for two numbers.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Pipe { read: ends[0], write: ends[1] })
    }

    /// Sends a number; 8 bytes go through a pipe as a whole.
    pub fn send(&self, number: &AtomicI64) {
        let bytes = number.load(std::sync::atomic::Ordering::Relaxed).to_ne_bytes();
        // SAFETY: the bytes are ours.
        unsafe { libc::write(self.write, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// The sum of what all sent, once they are gone.
    pub fn sum(&self, senders: usize) -> i64 {
        let mut sum = 0;
        for _ in 0..senders {
            let mut bytes = [0u8; 8];
            // SAFETY: the bytes are ours, and as many are there.
            let read = unsafe { libc::read(self.read, bytes.as_mut_ptr().cast(), bytes.len()) };
            if read == 8 {
                sum += i64::from_ne_bytes(bytes);
            }
        }
        sum
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // SAFETY: both ends are ours and open.
        unsafe {
            libc::close(self.read);
            libc::close(self.write);
        }
    }
}
