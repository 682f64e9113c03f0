//! The console of this process: its standard streams, and questions at a terminal.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::console::{Ask, Console, Reply, Sink};

use super::{pager, stdin_is_terminal};

/// How often the stop flag is looked at while the user thinks, in milliseconds.
const LOOK: i32 = 20;

/// Passes all output on. It asks only where the user sees the question and can answer it.
pub fn own() -> Console {
    let err_is_terminal = std::io::stderr().is_terminal();
    let can_ask = stdin_is_terminal() && err_is_terminal;
    let ask: Ask = if can_ask { Arc::new(ask) } else { Console::cannot_ask() };
    // Where a stream is closed, nobody is there to tell.
    let out = Sink::inherited(|bytes| {
        PASSED_ON.store(true, Ordering::Relaxed);
        let mut stdout = std::io::stdout().lock();
        drop(stdout.write_all(bytes).and_then(|()| stdout.flush()));
    });
    let err = Sink::inherited(|bytes| {
        PASSED_ON.store(true, Ordering::Relaxed);
        drop(std::io::stderr().write_all(bytes));
    });
    Console::new(out, err, ask).with_terminal(err_is_terminal)
}

/// Whether anything was printed that the shell did not write itself.
static PASSED_ON: AtomicBool = AtomicBool::new(false);

/// Takes back the colours that a cell or a command has left on the terminal.
pub fn reset_colours() {
    if PASSED_ON.swap(false, Ordering::Relaxed) && std::io::stdout().is_terminal() && !is_dumb() {
        let mut stdout = std::io::stdout().lock();
        drop(stdout.write_all(b"\x1b[0m").and_then(|()| stdout.flush()));
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}

/// Shows a question; where it is longer than the screen, all but its last line through the pager.
fn show(question: &str) {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the system fills the structure.
    unsafe { libc::ioctl(libc::STDERR_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    let fits = size.ws_row == 0 || question.lines().count() < usize::from(size.ws_row);
    let asked = match question.rsplit_once('\n') {
        Some((cells, asked)) if !fits && pager::page_text(&format!("{cells}\n")) => asked,
        _ => question,
    };
    let _ = std::io::stderr().write_all(asked.as_bytes());
}

fn ask(question: &str, is_stopped: &dyn Fn() -> bool) -> Reply {
    // What was typed before the question is not an answer to it; what comes from here on may be.
    // SAFETY: a system call on a descriptor.
    unsafe { libc::tcflush(libc::STDIN_FILENO, libc::TCIFLUSH) };
    show(question);
    let reply = read_line(is_stopped);
    if !matches!(reply, Reply::Line(_)) {
        // The user's key ended no line.
        let _ = std::io::stderr().write_all(b"\n");
    }
    reply
}

fn read_line(is_stopped: &dyn Fn() -> bool) -> Reply {
    let mut stdin = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // Ctrl-C does not end a read, so that none may begin before there is a line.
    loop {
        if is_stopped() {
            return Reply::Stopped;
        }
        // SAFETY: it is one descriptor, which lives as long as the call.
        let ready = unsafe { libc::poll(&mut stdin, 1, LOOK) };
        let interrupted = ready < 0 && std::io::Error::last_os_error().kind() == ErrorKind::Interrupted;
        if ready != 0 && !interrupted {
            break;
        }
    }
    // A terminal gives one line at a time; what Ctrl-D ends is not a line.
    let mut line = [0; 1024];
    let length = std::io::stdin().read(&mut line).unwrap_or(0);
    match String::from_utf8_lossy(&line[..length]).strip_suffix('\n') {
        Some(line) => Reply::Line(line.to_string()),
        None => Reply::End,
    }
}
