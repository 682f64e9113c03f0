//! perf_event_open(2): what the kernel is asked to count or to sample of a process.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// perf_event_attr, the fifth version of it.
#[repr(C)]
#[derive(Default)]
pub struct Event {
    pub kind: u32,
    pub size: u32,
    pub config: u64,
    pub period: u64,
    pub samples: u64,
    pub reads: u64,
    pub flags: u64,
    pub wakeup: u32,
    pub breakpoint: u32,
    pub config1: u64,
    pub config2: u64,
    pub branches: u64,
    pub registers: u64,
    pub stack: u32,
    pub clock: i32,
    pub interrupted: u64,
    pub aux: u32,
    pub most_stack: u16,
    pub reserved: u16,
}

/// A program and all that it starts, in user space only, from the moment that the program begins.
pub const OF_PROGRAM: u64 = DISABLED | ENABLE_ON_EXEC | OF_PROCESS;
/// A process that runs, with the threads and processes that it starts from now on, in user space only.
pub const OF_PROCESS: u64 = INHERIT | EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR;
const DISABLED: u64 = 1;
const INHERIT: u64 = 1 << 1;
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
const ENABLE_ON_EXEC: u64 = 1 << 12;
const CLOSE_ON_EXEC: libc::c_ulong = 1 << 3;

impl Event {
    /// Opens it for a process, on one processor or, with -1, on all.
    ///
    /// # Errors
    /// What the system says where it refuses.
    pub fn open(self, process: i32, processor: i32) -> io::Result<OwnedFd> {
        let event = Event { size: size_of::<Event>() as u32, ..self };
        // SAFETY: the structure has the size that it says; what is returned is a descriptor of nobody else.
        unsafe {
            let fd = libc::syscall(libc::SYS_perf_event_open, &raw const event, process, processor, -1, CLOSE_ON_EXEC);
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd as i32)) }
        }
    }
}
