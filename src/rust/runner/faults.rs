//! What goes wrong in a worker, and how it is told.

use std::ffi::{c_int, c_void};
use std::io::Write;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};

use crate::rust::frame::Failure;
use crate::rust::heap;

/// Where failures are told, and of which run.
pub static SUPERVISOR: AtomicI32 = AtomicI32::new(-1);
pub static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Tells why this worker fails, and ends it.
pub fn fail(message: &str, place: Option<(u32, u32)>) -> ! {
    note(message, place);
    exit_now(101)
}

fn note(message: &str, place: Option<(u32, u32)>) {
    let failure = Failure { message: message.to_string(), place };
    send(b'N', &serde_json::to_vec(&failure).unwrap_or_default());
}

/// Tells the supervisor something of this run. No memory is asked for, so that a signal handler may do it.
pub fn send(kind: u8, rest: &[u8]) {
    let mut head = [0; 32];
    let mut left = &mut head[..];
    let _ = write!(left, "{}{} ", kind as char, NUMBER.load(Relaxed));
    let length = 32 - left.len();
    let part = |bytes: &[u8]| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let parts = [part(&head[..length]), part(rest)];
    // SAFETY: the parts are whole, and the descriptor is open as long as this process lives.
    unsafe { libc::writev(SUPERVISOR.load(Relaxed), parts.as_ptr(), 2) };
}

/// Has the signals that end a worker tell their reason first.
pub fn catch_signals() {
    static mut STACK: [u8; 64 << 10] = [0; 64 << 10];
    // SAFETY: the stack is used by the handler alone, the structures are whole, and the handler makes system calls
    // only.
    unsafe {
        let stack = libc::stack_t { ss_sp: (&raw mut STACK).cast(), ss_flags: 0, ss_size: 64 << 10 };
        libc::sigaltstack(&raw const stack, std::ptr::null_mut());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_signal as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT] {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let mut buffer = [0; 200];
    let mut rest = &mut buffer[..];
    let refused = heap::refused();
    // SAFETY: the system gives whole structures.
    let at = unsafe { (*info).si_addr() } as usize;
    let _ = match signal {
        libc::SIGSEGV if stack_pointer(context).abs_diff(at) < 1 << 20 => {
            write!(rest, "{{\"message\":\"stack overflow\"}}")
        }
        libc::SIGSEGV => write!(rest, "{{\"message\":\"segmentation fault at address {at:#x}\"}}"),
        libc::SIGBUS => write!(rest, "{{\"message\":\"bus error\"}}"),
        libc::SIGILL => write!(rest, "{{\"message\":\"illegal instruction\"}}"),
        libc::SIGFPE => write!(rest, "{{\"message\":\"arithmetic fault\"}}"),
        _ if refused > 0 => {
            write!(rest, "{{\"message\":\"out of memory: {refused} bytes were refused\"}}")
        }
        _ => write!(rest, "{{\"message\":\"abort\"}}"),
    };
    let left = rest.len();
    send(b'N', &buffer[..200 - left]);
    // SAFETY: the handler was reset, so this signal ends the process.
    unsafe { libc::raise(signal) };
}

#[cfg(target_arch = "x86_64")]
fn stack_pointer(context: *mut c_void) -> usize {
    // SAFETY: the system gives a whole structure.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[libc::REG_RSP as usize] as usize }
}

#[cfg(target_arch = "aarch64")]
fn stack_pointer(context: *mut c_void) -> usize {
    // SAFETY: the system gives a whole structure.
    unsafe { (*context.cast::<libc::ucontext_t>()).uc_mcontext.sp as usize }
}

pub fn exit_now(code: c_int) -> ! {
    // SAFETY: ends this process; nothing of the program's is to be run any more.
    unsafe { libc::_exit(code) }
}
