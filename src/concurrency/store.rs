//! A key-value server on loopback that answers late, in a child process. What it holds follows from its seed.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::data::generate::mix;
use crate::data::store::{ANSWER, GET, GREETING, PAIR, REQUEST, SCAN};
use crate::service::{self, LOOPBACK, Program, Service};

pub static PROGRAM: Program = Program { name: "store", run: serve };

/// What a store is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// How long it lets a request wait at least.
    pub delay: Duration,
    /// It has the keys from 0 to, but without, this one.
    pub keys: u64,
    pub seed: i64,
}

/// A store that runs. Its process ends when this is dropped.
pub struct Store {
    pub address: String,
    service: Service,
}

impl Store {
    /// # Errors
    /// Where the process cannot be started.
    pub fn start(program: &Path, wanted: &Wanted, stopped: &dyn Fn() -> bool) -> io::Result<Option<Store>> {
        let Wanted { delay, keys, seed } = wanted;
        let arguments = [delay.as_nanos().to_string(), keys.to_string(), seed.to_string()];
        let mut service = Service::start(program, PROGRAM.name, &arguments)?;
        Ok(service.line(stopped)?.map(|address| Store { address, service }))
    }

    pub fn is_alive(&mut self) -> bool {
        self.service.is_alive()
    }
}

/// The value of a key: below a million.
fn value(seed: i64, key: u64) -> i64 {
    const VALUES: u64 = 1_000_000;
    (mix(seed, key) % VALUES) as i64
}

fn serve(arguments: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("a store needs a delay, a number of keys and a seed");
    let [delay, keys, seed] = arguments else { return Err(wrong()) };
    let (Ok(delay), Ok(keys), Ok(seed)) = (delay.parse(), keys.parse(), seed.parse()) else { return Err(wrong()) };
    let wanted = Wanted { delay: Duration::from_nanos(delay), keys, seed };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(LOOPBACK).await?;
        service::tell(&listener.local_addr()?.to_string())?;
        loop {
            match listener.accept().await {
                // A connection that breaks is the matter of who opened it.
                Ok((stream, _)) => drop(tokio::spawn(async move { answer(stream, wanted).await })),
                // Too many are open: one of them will end.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
}

/// One request after the other, each after the delay.
async fn answer(mut stream: TcpStream, Wanted { delay, keys, seed }: Wanted) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&GREETING).await?;
    let mut request = [0; REQUEST];
    loop {
        stream.read_exact(&mut request).await?;
        tokio::time::sleep(delay).await;
        let [what, key @ ..] = request;
        match what {
            GET => {
                let key = u64::try_from(i64::from_le_bytes(key)).ok().filter(|key| *key < keys);
                let mut answer = [u8::from(key.is_some()); ANSWER];
                answer[1..].copy_from_slice(&key.map_or(0, |key| value(seed, key)).to_le_bytes());
                stream.write_all(&answer).await?;
            }
            SCAN => {
                let mut pairs = Vec::with_capacity(8 + keys as usize * PAIR);
                pairs.extend(keys.to_le_bytes());
                for key in 0..keys {
                    pairs.extend(key.to_le_bytes());
                    pairs.extend(value(seed, key).to_le_bytes());
                }
                stream.write_all(&pairs).await?;
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}
