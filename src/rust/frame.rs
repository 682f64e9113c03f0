//! How the shell and the processes that run Rust speak: frames of a kind, a length and bytes, over sockets.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::measure::Cost;

/// The name of the shell's socket in its folder.
pub const SOCKET: &str = "shell.sock";

/// What a process says first on a new connection.
pub const SUPERVISOR: u8 = b'S';
pub const WORKER: u8 = b'W';
pub const OUTPUT: u8 = b'O';
pub const ERRORS: u8 = b'E';

/// From the supervisor: a library was loaded, may it run? With `LIBRARY NAME`.
pub const LOADED: u8 = b'L';
/// From the supervisor: a run is over. With its number, whether nobody listens to what it printed, and an [`Ending`].
pub const DONE: u8 = b'D';
/// To the supervisor: run it (again), with an [`Order`]; or do not; or end the run of a number.
pub const RUN: u8 = b'R';
pub const REFUSE: u8 = b'N';
pub const KILL: u8 = b'K';

/// To a worker that serves: the shape of a subject, one call, so many calls, what it has cost since its run began or
/// this was last asked, or the end. It answers with one frame.
pub const SHAPE: u8 = b's';
pub const SPENT: u8 = b'p';
pub const CALL: u8 = b'c';
pub const SAMPLE: u8 = b't';
/// So many calls, as [`SAMPLE`] has them; the answer is what all clocks say of them.
pub const READINGS: u8 = b'r';
/// A call of a function for each of so many rows of arguments: its number, four bytes, the rows, eight bytes, the
/// values.
pub const APPLY: u8 = b'a';
/// To load a library that samples the process: the file that this writes, a zero byte, the library.
pub const SAMPLER: u8 = b'm';
pub const END: u8 = b'e';
/// The file of a [`super::shared_channel::SharedChannel`], over which such calls come from now on; and, of either side,
/// that there is something on it.
pub const CHANNEL: u8 = b'l';
pub const WAKE: u8 = b'w';
/// An answer, and an answer that says what is wrong. Before that of a call, with an [`Ending`], what it cost.
pub const COST: u8 = b'$';
pub const GOOD: u8 = b'+';
pub const WRONG: u8 = b'-';

/// What is to be run, and whether what it does to the variables stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// The number of the ticket.
    pub number: u64,
    pub library: String,
    pub function: String,
    pub commits: bool,
    /// Files that hold the inputs; none where only shapes are asked for.
    pub inputs: Vec<String>,
    /// Whether the host's library does not listen to what it prints, so that it goes over a connection of its own.
    pub detached: bool,
    /// Whether nobody listens to what it prints: then the end of it is not marked.
    pub silent: bool,
    /// The most memory that it may have, in bytes.
    pub memory: u64,
}

/// What is to be sampled.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sample {
    pub subject: u32,
    pub calls: u64,
    /// Whether the CPU time of the thread is wanted, not wall time.
    pub cpu: bool,
    /// Whether a call that is not timed comes before.
    pub warm: bool,
}

/// How a run ended and what it cost.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ending {
    /// What went wrong, in words; nothing where it ended well.
    pub failure: Option<Failure>,
    pub cost: Cost,
    /// Variables that were kept, each `NAME TYPE`.
    pub kept: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    pub message: String,
    /// Line and column of the compiled text, from 1, where they are known.
    pub place: Option<(u32, u32)>,
}

pub fn send(to: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let mut frame = Vec::with_capacity(bytes.len() + 9);
    frame.push(kind);
    frame.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    frame.extend_from_slice(bytes);
    to.write_all(&frame)
}

pub fn send_value(to: &mut impl Write, kind: u8, value: &impl Serialize) -> io::Result<()> {
    send(to, kind, &serde_json::to_vec(value)?)
}

pub fn receive(from: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    from.read_exact(&mut head)?;
    let length = u64::from_le_bytes(head[1..].try_into().expect("these are eight"));
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((head[0], bytes))
}
