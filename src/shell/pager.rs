//! Long tables through the person's pager.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::process::{Command, Stdio};

use crate::data::Table;
use crate::descendants;
use crate::show::{self, Style};

/// Shows a table whole: in the pager on a terminal, else as it is.
pub fn page(table: &Table, style: &Style, stopped: &dyn Fn() -> bool) -> io::Result<()> {
    for command in usable_pagers() {
        let paged = page_by(command, |out| show::whole(table, style, stopped, out));
        if let Some(paged) = paged {
            return paged;
        }
    }
    let mut out = BufWriter::new(io::stdout().lock());
    show::whole(table, style, stopped, &mut out)?;
    out.flush()
}

/// Shows a text in the pager; false where there is none.
pub fn page_text(text: &str) -> bool {
    usable_pagers().into_iter().any(|command| page_by(command, |out| out.write_all(text.as_bytes())).is_some())
}

/// Those of a terminal that can show one.
fn usable_pagers() -> Vec<Command> {
    let plain = std::env::var_os("TERM").is_none_or(|term| term == "dumb") || !io::stdout().is_terminal();
    if plain { Vec::new() } else { pagers() }
}

/// Shows something in a pager; none where the pager is not there.
fn page_by(mut command: Command, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Option<io::Result<()>> {
    let mut pager = descendants::ends_with_us(command.stdin(Stdio::piped())).spawn().ok()?;
    let written = match pager.stdin.take() {
        Some(input) => {
            let mut out = BufWriter::new(input);
            write(&mut out).and_then(|()| out.flush())
        }
        None => Ok(()),
    };
    match pager.wait() {
        // So the shell says that it does not find the command, or cannot run it.
        Ok(status) if matches!(status.code(), Some(126 | 127)) => return None,
        Ok(_) => {}
        Err(error) => return Some(Err(error)),
    }
    Some(match written {
        // Who leaves the pager has seen enough; Ctrl-C belongs to the pager.
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => Ok(()),
        written => written,
    })
}

/// `$PAGER`, then `less` that leaves a short text on the screen and does not fold long lines.
fn pagers() -> Vec<Command> {
    let own = std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty()).map(|pager| {
        let mut command = Command::new("sh");
        command.arg("-c").arg(pager);
        command
    });
    let mut commands: Vec<Command> = own.into_iter().chain([Command::new("less")]).collect();
    if std::env::var_os("LESS").is_none() {
        commands.iter_mut().for_each(|command| _ = command.env("LESS", "-FRSX"));
    }
    commands
}
