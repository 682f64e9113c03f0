//! The console of this process: its standard streams, and questions at a terminal.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::sync::Arc;

use crate::console::{Ask, Console, Reply, Sink};

use super::stdin_is_terminal;

/// How often the stop flag is looked at while the user thinks, in milliseconds.
const LOOK: i32 = 20;

/// Passes all output on. It asks only where the user sees the question and can answer it.
pub fn own() -> Console {
    let can_ask = stdin_is_terminal() && std::io::stderr().is_terminal();
    let ask: Ask = if can_ask { Arc::new(ask) } else { Console::cannot_ask() };
    // Where a stream is closed, nobody is there to tell.
    let out = Sink::inherited(|bytes| {
        let mut stdout = std::io::stdout().lock();
        drop(stdout.write_all(bytes).and_then(|()| stdout.flush()));
    });
    let err = Sink::inherited(|bytes| drop(std::io::stderr().write_all(bytes)));
    Console::new(out, err, ask)
}

fn ask(question: &str, is_stopped: &dyn Fn() -> bool) -> Reply {
    // What was typed before the question is not an answer to it; what comes from here on may be.
    // SAFETY: a system call on a descriptor.
    unsafe { libc::tcflush(libc::STDIN_FILENO, libc::TCIFLUSH) };
    let _ = std::io::stderr().write_all(question.as_bytes());
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
