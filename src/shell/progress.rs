//! A progress bar for work over half a second: on standard error, on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::run_context::Progress;

/// A thread that draws until the work ends.
pub struct Watch(Option<(Sender<()>, JoinHandle<()>)>);

const PATIENCE: Duration = Duration::from_millis(500);
const REDRAW: Duration = Duration::from_millis(100);

impl Watch {
    /// One that draws nothing.
    pub fn none() -> Watch {
        Watch(None)
    }

    pub fn start(progress: &Progress) -> Watch {
        if !std::io::stderr().is_terminal() {
            return Watch(None);
        }
        let progress = progress.clone();
        let (end, ended) = channel();
        // Where no thread can be started, nothing is drawn.
        let thread = std::thread::Builder::new().spawn(move || draw(&progress, &ended));
        Watch(thread.ok().map(|thread| (end, thread)))
    }

    /// Takes the bar away.
    pub fn end(self) {
        if let Some((end, thread)) = self.0 {
            drop(end);
            // A drawing that failed must not fail the work.
            let _ = thread.join();
        }
    }
}

fn draw(progress: &Progress, ended: &Receiver<()>) {
    if ended.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let bytes = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} · {elapsed} · {eta} left");
    let rows = ProgressStyle::with_template("{spinner} {msg} · {elapsed}");
    let (Ok(bytes), Ok(rows)) = (bytes, rows) else { return };
    let bar = ProgressBar::new_spinner();
    let mut silence = None;
    loop {
        if progress.is_hidden() {
            bar.finish_and_clear();
            drop(silence.take());
            progress.set_drawn(false);
            while progress.is_hidden() {
                if ended.recv_timeout(REDRAW) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
            bar.reset();
        }
        if silence.is_none() {
            silence = Some(Silence::new());
            progress.set_drawn(true);
        }
        let (done, all) = progress.bytes();
        let (told, board) = (progress.told(), progress.board());
        let told = if board.is_empty() { told } else { format!("{told}\n{board}").trim_start().to_string() };
        if !told.is_empty() {
            bar.set_style(rows.clone());
            bar.set_message(told);
            bar.tick();
        } else if all > 0 && done > 0 {
            bar.set_style(bytes.clone());
            bar.set_length(all);
            bar.set_position(done.min(all));
        } else {
            bar.set_style(rows.clone());
            let rows = progress.rows();
            bar.set_message(if rows > 0 {
                format!("{} rows", crate::show::grouped(rows))
            } else {
                "working".to_string()
            });
            bar.tick();
        }
        if ended.recv_timeout(REDRAW) != Err(RecvTimeoutError::Timeout) {
            bar.finish_and_clear();
            break;
        }
    }
    drop(silence);
    progress.set_drawn(false);
}

/// While there is a bar the terminal does not show the keys that are pressed: they would go on where the bar ends, and
/// it could not be cleared. They are not lost.
struct Silence;

/// The terminal as it was before, while it is silent.
static BEFORE: AtomicPtr<libc::termios> = AtomicPtr::new(std::ptr::null_mut());

impl Silence {
    fn new() -> Option<Silence> {
        // SAFETY: an all-zero structure is a valid one, and the system fills it.
        unsafe {
            let mut before: Box<libc::termios> = Box::new(std::mem::zeroed());
            if !is_ours() || libc::tcgetattr(libc::STDIN_FILENO, &raw mut *before) != 0 {
                return None;
            }
            BEFORE.store(Box::into_raw(before), Ordering::SeqCst);
            silence_again();
            Some(Silence)
        }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        restore_terminal();
    }
}

/// Lets the terminal show keys again, where it does not. A signal handler may call it.
pub fn restore_terminal() {
    let before = BEFORE.swap(std::ptr::null_mut(), Ordering::SeqCst);
    if !before.is_null() && is_ours() {
        // SAFETY: nobody else has the structure. It is not freed: a signal handler must not do that.
        unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before) };
    }
}

/// Lets the terminal show keys until [`silence_again`], if it does not; whether that is so. A signal handler may call
/// both.
pub fn lift_silence() -> bool {
    let before = BEFORE.load(Ordering::SeqCst);
    // SAFETY: the structure is not freed.
    !before.is_null() && is_ours() && unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before) == 0 }
}

pub fn silence_again() {
    let before = BEFORE.load(Ordering::SeqCst);
    if !before.is_null() && is_ours() {
        // SAFETY: the structure is not freed.
        unsafe {
            let silent = libc::termios { c_lflag: (*before).c_lflag & !libc::ECHO, ..*before };
            libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const silent);
        }
    }
}

/// The terminal as it was when the shell began.
static FIRST: AtomicPtr<libc::termios> = AtomicPtr::new(std::ptr::null_mut());

/// Remembers how the terminal is before anything of the shell changes it.
pub fn remember_terminal() {
    // SAFETY: an all-zero structure is a valid one, and the system fills it.
    unsafe {
        let mut first: Box<libc::termios> = Box::new(std::mem::zeroed());
        if libc::tcgetattr(libc::STDIN_FILENO, &raw mut *first) == 0 {
            FIRST.store(Box::into_raw(first), Ordering::SeqCst);
        }
    }
}

/// The line editor has the terminal mark what is pasted: no more.
const PASTES_AS_KEYS: &[u8] = b"\x1b[?2004l";

/// The terminal's other screen, without a cursor, as long as this lives.
pub struct OtherScreen;

/// Whether it is shown.
static OTHER_SCREEN: AtomicBool = AtomicBool::new(false);
const LEAVE_OTHER_SCREEN: &[u8] = b"\x1b[?25h\x1b[?1049l";

impl OtherScreen {
    pub fn enter() -> io::Result<OtherScreen> {
        OTHER_SCREEN.store(true, Ordering::SeqCst);
        let screen = OtherScreen;
        io::stdout().write_all(b"\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }
}

impl Drop for OtherScreen {
    fn drop(&mut self) {
        let _ = io::stdout().write_all(LEAVE_OTHER_SCREEN).and_then(|()| io::stdout().flush());
        OTHER_SCREEN.store(false, Ordering::SeqCst);
    }
}

/// Leaves the terminal as it was when the shell began. A signal handler may call it.
pub fn restore_first_terminal() {
    let first = FIRST.load(Ordering::SeqCst);
    if !first.is_null() && is_ours() {
        // SAFETY: nobody changes or frees the structures, and the system fills the one that is all zero.
        unsafe {
            let mut now: libc::termios = std::mem::zeroed();
            let reads_keys = libc::tcgetattr(libc::STDIN_FILENO, &raw mut now) == 0 && now.c_lflag & libc::ICANON == 0;
            libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, first);
            if reads_keys && libc::isatty(libc::STDOUT_FILENO) == 1 {
                libc::write(libc::STDOUT_FILENO, PASTES_AS_KEYS.as_ptr().cast(), PASTES_AS_KEYS.len());
            }
            if OTHER_SCREEN.load(Ordering::SeqCst) {
                libc::write(libc::STDOUT_FILENO, LEAVE_OTHER_SCREEN.as_ptr().cast(), LEAVE_OTHER_SCREEN.len());
            }
        }
    }
}

/// Whether the terminal is ours; in the background it is another program's.
fn is_ours() -> bool {
    // SAFETY: plain system calls.
    unsafe { libc::tcgetpgrp(libc::STDIN_FILENO) == libc::getpgrp() }
}
