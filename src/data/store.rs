//! The client of a key-value server, as plain Rust without any crate. Every engine of ours calls it, and compiled plans
//! do too. Each thread has a connection of its own, and asks for one key at a time.

use std::cell::RefCell;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::scalar::ScalarError;

/// What a store says first on each connection that it has accepted.
pub const GREETING: [u8; 1] = *b"!";
/// The first byte of a request, before the eight bytes of a key: asks for the value of the key.
pub const GET: u8 = b'g';
/// Asks for all pairs; the key says nothing.
pub const SCAN: u8 = b's';
/// The length of a request.
pub const REQUEST: usize = 9;
/// The length of an answer to [`GET`]: a byte that is 1 where the key is known, and the value. All numbers are
/// little-endian.
pub const ANSWER: usize = 9;
/// The length of an answer to [`SCAN`] is eight bytes, the number of pairs, and so much for each: key and value.
pub const PAIR: usize = 16;
/// Of a store.
pub const MOST_KEYS: usize = 1_000_000;

/// The value of a key; none where the store has no such key.
pub fn get_value(address: &str, key: i64) -> Result<Option<i64>, ScalarError> {
    CONNECTION.with_borrow_mut(|slot| {
        let mut answer = [0; ANSWER];
        Connection::ask(slot, address, GET, key, &mut answer).map_err(|error| gone(address, &error))?;
        let [known, value @ ..] = answer;
        Ok((known == 1).then(|| i64::from_le_bytes(value)))
    })
}

/// All keys with their values.
pub fn all_pairs(address: &str) -> Result<Vec<(i64, i64)>, ScalarError> {
    CONNECTION.with_borrow_mut(|slot| {
        let mut count = [0; 8];
        let mut read = || {
            Connection::ask(slot, address, SCAN, 0, &mut count)?;
            let count = usize::try_from(u64::from_le_bytes(count)).ok().filter(|count| *count <= MOST_KEYS);
            let mut bytes = vec![0; count.ok_or(ErrorKind::InvalidData)? * PAIR];
            slot.as_mut().ok_or(ErrorKind::NotConnected)?.read(&mut bytes)?;
            let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap_or_default());
            let pairs = bytes.chunks_exact(PAIR).map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect();
            Ok(pairs)
        };
        let pairs = read();
        if pairs.is_err() {
            *slot = None;
        }
        pairs.map_err(|error| gone(address, &error))
    })
}

fn gone(address: &str, error: &Error) -> ScalarError {
    ScalarError::Domain(match error.kind() {
        ErrorKind::Interrupted => "stopped".to_string(),
        _ if has_ended(error) => format!("the store at {address} has ended"),
        _ => format!("the store at {address} does not answer: {error}"),
    })
}

/// Whether nobody is at the other end any more.
fn has_ended(error: &Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionRefused | UnexpectedEof | ConnectionReset | BrokenPipe)
}

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// The stores of this process, each with the flag that stops who waits for its answer.
static WATCHED: Mutex<Vec<(String, Arc<AtomicBool>)>> = Mutex::new(Vec::new());

/// From here on who waits for this store looks at the flag. A store that had the address before has ended.
pub fn watch(address: &str, stop: Arc<AtomicBool>) {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    watched.retain(|(other, _)| other != address);
    watched.push((address.to_string(), stop));
}

/// The store has ended. Where another one has its address by now, that one is still watched.
pub fn unwatch(address: &str, stop: &Arc<AtomicBool>) {
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    watched.retain(|(other, flag)| other != address || !Arc::ptr_eq(flag, stop));
}

/// How long an answer is waited for before the flag is looked at again.
const LOOK: Duration = Duration::from_millis(20);

struct Connection {
    address: String,
    /// A fork must not take the answers of the process that it comes from.
    process: u32,
    stream: TcpStream,
    stop: Option<Arc<AtomicBool>>,
}

impl Connection {
    fn open(address: &str) -> Result<Connection, Error> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
        let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        let stop = watched.iter().find(|(other, _)| other == address).map(|(_, stop)| stop.clone());
        drop(watched);
        let mut opened = Connection { address: address.to_string(), process: std::process::id(), stream, stop };
        opened.read(&mut [0; GREETING.len()])?;
        Ok(opened)
    }

    /// Sends a request and fills `answer`. A connection that failed is not used again.
    fn ask(slot: &mut Option<Connection>, address: &str, what: u8, key: i64, answer: &mut [u8]) -> Result<(), Error> {
        let mut request = [what; REQUEST];
        request[1..].copy_from_slice(&key.to_le_bytes());
        let is_ours = |open: &Connection| open.address == address && open.process == std::process::id();
        if let Some(mut open) = slot.take().filter(is_ours) {
            match open.exchange(&request, answer) {
                // Of a store that has ended: another one may have its address by now.
                Err(error) if has_ended(&error) => {}
                done => {
                    *slot = done.is_ok().then_some(open);
                    return done;
                }
            }
        }
        let mut open = Connection::open(address)?;
        open.exchange(&request, answer)?;
        *slot = Some(open);
        Ok(())
    }

    fn exchange(&mut self, request: &[u8], answer: &mut [u8]) -> Result<(), Error> {
        self.check()?;
        self.stream.write_all(request)?;
        self.read(answer)
    }

    fn check(&self) -> Result<(), Error> {
        match &self.stop {
            // Not a kind that std tries again.
            Some(stop) if stop.load(Ordering::Relaxed) => Err(ErrorKind::Interrupted.into()),
            _ => Ok(()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < buffer.len() {
            match self.stream.read(&mut buffer[done..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => done += read,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => self.check()?,
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }
}
