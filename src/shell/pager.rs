//! Long tables through the person's pager.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::process::{Child, Command, Stdio};

use crate::data::Table;
use crate::show::{self, Style};

/// Shows a table whole: in the pager on a terminal, else as it is.
pub fn page(table: &Table, style: &Style, stopped: &dyn Fn() -> bool) -> io::Result<()> {
    let plain = std::env::var_os("TERM").is_none_or(|term| term == "dumb") || !io::stdout().is_terminal();
    let Some(mut pager) = (if plain { None } else { start() }) else {
        let mut out = BufWriter::new(io::stdout().lock());
        show::whole(table, style, stopped, &mut out)?;
        return out.flush();
    };
    let written = match pager.stdin.take() {
        Some(input) => {
            let mut out = BufWriter::new(input);
            show::whole(table, style, stopped, &mut out).and_then(|()| out.flush())
        }
        None => Ok(()),
    };
    pager.wait()?;
    match written {
        // Who leaves the pager has seen enough; Ctrl-C belongs to the pager.
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => Ok(()),
        written => written,
    }
}

/// `$PAGER`, or `less` that leaves a short text on the screen and does not fold long lines.
fn start() -> Option<Child> {
    let mut command = match std::env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty()) {
        Some(pager) => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(pager);
            command
        }
        None => Command::new("less"),
    };
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", "-FRSX");
    }
    // A pager that is not there leaves the table to the screen.
    command.stdin(Stdio::piped()).spawn().ok()
}
