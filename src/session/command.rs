//! Commands of the system's shell.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::console::{Console, Stream};
use crate::data::{Schema, Table, Type, Value};
use crate::descendants;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::Word;
use crate::run_context::RunContext;
use crate::rust::without_ours;

/// How often the stop flag is looked at, and how long a command then has to end by itself. Both together are under 100
/// ms.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_millis(50);

/// Runs a command; what it prints goes to the console.
pub fn run_command(command: &Word, console: &Console, context: &RunContext) -> Fallible<()> {
    succeed(command, false, console, context).map(drop)
}

/// What a command prints on standard output, as a table of `line`.
pub fn command_lines(command: &Word, console: &Console, context: &RunContext) -> Fallible<Table> {
    let bytes = succeed(command, true, console, context)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Diagnostic::at(Kind::System, command.span, format!("the command's output is not UTF-8 text: offset {at}"))
    })?;
    let lines: Vec<Value> = text.lines().map(Value::text).collect();
    Ok(Table::from_columns(Schema::one("line", Type::Text), lines.len(), &[lines]))
}

/// `sh -c TEXT`, with the environment that the user gave.
pub fn shell_command(text: &str) -> Command {
    let mut command = Command::new("sh");
    without_ours(&mut command).arg("-c").arg(text);
    command
}

fn succeed(word: &Word, takes_output: bool, console: &Console, context: &RunContext) -> Fallible<Vec<u8>> {
    let at_word = |mut error: Box<Diagnostic>| {
        error.span.get_or_insert(word.span);
        error
    };
    let (status, output) = run(&mut shell_command(&word.text), takes_output, console, context).map_err(at_word)?;
    match status.success() {
        true => Ok(output),
        false => Err(Diagnostic::at(Kind::System, word.span, format!("the command failed: {status}"))),
    }
}

/// Runs a command to its end. Its standard output is returned or goes to the console.
///
/// # Errors
/// It cannot start, it was stopped, or its output has no room in memory.
pub fn run(
    command: &mut Command,
    takes_output: bool,
    console: &Console,
    context: &RunContext,
) -> Fallible<(ExitStatus, Vec<u8>)> {
    context.progress.hide();
    let inherits_out = !takes_output && console.out.is_inherited();
    let inherits_err = console.err.is_inherited();
    let stdio = |inherits: bool| if inherits { Stdio::inherit() } else { Stdio::piped() };
    command.stdout(stdio(inherits_out)).stderr(stdio(inherits_err));
    let has_terminal = console.out.is_inherited() && inherits_err;
    if inherits_out || inherits_err {
        // Nothing, but the console knows that others print.
        console.out.write(&[]);
    }
    if !has_terminal {
        // Nobody types for it, and Ctrl-C reaches only this process: a group is stopped as a whole.
        command.stdin(Stdio::null()).process_group(0);
    }
    // Ctrl-\ ends the command that has the terminal, and not the session.
    let _quit = has_terminal.then(IgnoredQuit::new);
    let mut child = descendants::ends_with_us(command).spawn().map_err(|error| match error.raw_os_error() {
        Some(libc::EAGAIN) => {
            Diagnostic::new(Kind::System, "the command cannot be run: the system lets timelab start no more processes")
                .hint("`ulimit -u` shows how many there may be")
        }
        _ => Diagnostic::new(Kind::System, format!("the command cannot be run: {error}")),
    })?;
    let (sender, printed) = channel();
    let has_ended = Arc::new(AtomicBool::new(false));
    let forwarded = forward(child.stdout.take(), Stream::Out, &sender, &has_ended)
        .and_then(|()| forward(child.stderr.take(), Stream::Err, &sender, &has_ended));
    if let Err(error) = forwarded {
        end(&mut child, !has_terminal);
        return Err(Diagnostic::new(Kind::System, format!("no thread can be started: {error}")).hint("ulimit -u"));
    }
    drop(sender);
    let mut output = Vec::new();
    // Without pipes this ends at once. Where the command has the terminal to itself, Ctrl-C is its own to handle, as in
    // an editor or a pager.
    loop {
        let checked = match printed.recv_timeout(LOOK) {
            Ok((Stream::Out, bytes)) if takes_output => {
                output.extend_from_slice(&bytes);
                context.check()
            }
            Ok((Stream::Out, bytes)) => {
                console.out.write(&bytes);
                Ok(())
            }
            Ok((Stream::Err, bytes)) => {
                console.err.write(&bytes);
                Ok(())
            }
            Err(RecvTimeoutError::Disconnected) => break,
            // What it left running in the background may hold the pipes for as long as it lives.
            Err(RecvTimeoutError::Timeout) => {
                has_ended.store(!takes_output && matches!(child.try_wait(), Ok(Some(_))), Ordering::SeqCst);
                Ok(())
            }
        };
        if let Err(error) = checked.and(context.stop.check()) {
            end(&mut child, !has_terminal);
            return Err(error);
        }
    }
    let status = child
        .wait()
        .map_err(|error| Diagnostic::new(Kind::System, format!("waiting for the command failed: {error}")))?;
    match status.signal() {
        Some(libc::SIGINT) => Err(Diagnostic::new(Kind::Stopped, "stopped")),
        _ => Ok((status, output)),
    }
}

/// Sends what arrives on a pipe, on a thread of its own: a command may fill one pipe while nobody reads the other.
/// Where the command has ended and the pipe is empty, nothing of its own can come any more.
fn forward(
    pipe: Option<impl Read + AsRawFd + Send + 'static>,
    stream: Stream,
    to: &Sender<(Stream, Vec<u8>)>,
    has_ended: &Arc<AtomicBool>,
) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let (to, has_ended) = (to.clone(), has_ended.clone());
    let forward = move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            // Asked first: what was written until then is in the pipe.
            let is_last = has_ended.load(Ordering::SeqCst);
            let mut polled = libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: there is one.
            match unsafe { libc::poll(&raw mut polled, 1, LOOK.as_millis() as libc::c_int) } {
                0 if is_last => return,
                ..=0 => continue,
                1.. => {}
            }
            match pipe.read(&mut buffer) {
                Ok(read @ 1..) if to.send((stream, buffer[..read].to_vec())).is_ok() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    };
    std::thread::Builder::new().spawn(forward).map(drop)
}

/// Ends a command: by the signal of Ctrl-C, and where that is not enough, by force.
fn end(child: &mut Child, is_group: bool) {
    let pid = child.id() as i32;
    let target = if is_group { -pid } else { pid };
    // SAFETY: a system call. The child was not waited for yet, so that its number is still its own.
    unsafe { libc::kill(target, libc::SIGINT) };
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    // SAFETY: as above.
    unsafe { libc::kill(target, libc::SIGKILL) };
    let _ = child.wait();
}

/// While it lives, Ctrl-\ does nothing to this process. Whoever else sends that signal ends it as ever.
struct IgnoredQuit(libc::sigaction);

/// What handled the signal before.
static QUIT_BEFORE: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);

impl IgnoredQuit {
    fn new() -> IgnoredQuit {
        let ours = on_quit as *const () as usize;
        // SAFETY: an all-zero structure is a valid one, and the system fills the other. The handler does only what a
        // signal handler may do.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ours;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
            libc::sigfillset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGQUIT, &raw const action, &raw mut before);
            // Two commands may run at a time.
            if before.sa_sigaction != ours {
                QUIT_BEFORE.store(before.sa_sigaction, Ordering::SeqCst);
            }
            IgnoredQuit(before)
        }
    }
}

extern "C" fn on_quit(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system gives a valid structure; the address is that of a handler.
    unsafe {
        // The terminal sends it to all that it has in the foreground.
        if (*info).si_code > 0 {
            return;
        }
        match QUIT_BEFORE.load(Ordering::SeqCst) {
            libc::SIG_IGN => {}
            libc::SIG_DFL => {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
            handler => {
                let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    std::mem::transmute(handler);
                handler(signal, info, context);
            }
        }
    }
}

impl Drop for IgnoredQuit {
    fn drop(&mut self) {
        // SAFETY: the structure is what the system gave.
        unsafe { libc::sigaction(libc::SIGQUIT, &raw const self.0, std::ptr::null_mut()) };
    }
}
