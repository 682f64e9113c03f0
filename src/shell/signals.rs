//! Signals: what ends the shell leaves the terminal as it was, and Ctrl-Z suspends it.

use std::ffi::c_int;
use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{c_void, sigaction, siginfo_t};

use crate::descendants;
use crate::temporary;

use super::progress;

/// Signals that end a process and that somebody sends; those of real time come after them.
const SENT: [c_int; 14] = [
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGXCPU,
    libc::SIGPOLL,
    libc::SIGPWR,
    libc::SIGSTKFLT,
    libc::SIGSYS,
    libc::SIGABRT,
];

/// Signals of faults of the program itself, which something may handle already.
const FAULTS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP];

/// A signal that ends the shell leaves the terminal as it was before it, at the prompt and in a run; then the shell
/// ends by that signal.
pub fn leave_the_terminal_as_it_was() {
    progress::remember_terminal();
    for signal in SENT.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
        // `nohup` means that the run goes on after the end of the terminal.
        if signal != libc::SIGHUP || !is_ignored(signal) {
            handle(signal, on_end, 0);
        }
    }
    for (signal, before) in FAULTS.into_iter().zip(&BEFORE) {
        // A stack that is full has no room for a handler.
        before.store(Box::into_raw(Box::new(handle(signal, on_fault, libc::SA_ONSTACK))), Ordering::SeqCst);
    }
    if !is_ignored(libc::SIGTSTP) {
        handle(libc::SIGTSTP, on_suspend, libc::SA_RESTART);
    }
}

/// What handled faults before.
static BEFORE: [AtomicPtr<sigaction>; FAULTS.len()] = [const { AtomicPtr::new(null_mut()) }; FAULTS.len()];

type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// Sets a handler, and gives the one before it.
fn handle(signal: c_int, handler: Handler, flags: c_int) -> sigaction {
    // SAFETY: all-zero structures are valid ones; the handlers do only what a signal handler may do.
    unsafe {
        let mut action: sigaction = zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | flags;
        libc::sigfillset(&raw mut action.sa_mask);
        let mut before: sigaction = zeroed();
        libc::sigaction(signal, &raw const action, &raw mut before);
        before
    }
}

fn is_ignored(signal: c_int) -> bool {
    // SAFETY: an all-zero structure is a valid one, and the system fills it.
    unsafe {
        let mut now: sigaction = zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now);
        now.sa_sigaction == libc::SIG_IGN
    }
}

extern "C" fn on_end(signal: c_int, _: *mut siginfo_t, _: *mut c_void) {
    progress::restore_first_terminal();
    let passed_on = matches!(signal, libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT);
    descendants::end(if passed_on { signal } else { libc::SIGTERM });
    temporary::remove_all();
    raise_default(signal);
    // SAFETY: it ends this process.
    unsafe { libc::_exit(128 + signal) };
}

extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    progress::restore_first_terminal();
    let at = FAULTS.iter().position(|fault| *fault == signal).unwrap_or_default();
    let before = BEFORE[at].load(Ordering::SeqCst);
    // SAFETY: the system gives a valid structure; the other one is ours, and lives as long as the process.
    unsafe {
        // One that was sent does not come again by itself.
        let was_sent = (*info).si_code <= 0;
        if was_sent || before.is_null() {
            temporary::remove_all();
            raise_default(signal);
        } else {
            // The step that failed is made again, for who handled its failure before.
            libc::sigaction(signal, before, null_mut());
        }
    }
}

extern "C" fn on_suspend(signal: c_int, _: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: plain system calls.
    unsafe {
        let errno = *libc::__errno_location();
        let silence = progress::lift_silence();
        raise_default(signal);
        // From here on it continues.
        handle(signal, on_suspend, libc::SA_RESTART);
        if silence {
            progress::silence_again();
        }
        *libc::__errno_location() = errno;
    }
}

/// Does what the system does by itself where a signal has no handler.
fn raise_default(signal: c_int) {
    // SAFETY: plain system calls on a whole structure.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut only: libc::sigset_t = zeroed();
        libc::sigemptyset(&raw mut only);
        libc::sigaddset(&raw mut only, signal);
        libc::raise(signal);
        // Now it is delivered.
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, null_mut());
    }
}
