//! The keys of a store, asked for by several threads, or by many tasks of one thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::data::scalar::ScalarError;
use crate::data::store::{ANSWER, GET, GREETING, REQUEST, get_value};
use crate::measure::{Cost, Meter};

use super::opening::open_all;
use super::team::team;

/// What reading all keys gave and cost.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Of all values, to see that every way reads the same.
    pub sum: i64,
    pub cost: Cost,
}

/// Reads the keys from 0 on, each thread its share of them, one key after the other.
///
/// # Errors
/// Where a thread cannot be started, or the store does not answer.
pub fn on_threads(address: &str, keys: u64, threads: usize) -> io::Result<Reading> {
    let meter = Meter::start();
    let share = |thread: usize| {
        let mut sum = 0;
        for key in (thread as u64..keys).step_by(threads.max(1)) {
            sum += get_value(address, key as i64)?.unwrap_or(0);
        }
        Ok(sum)
    };
    let sums = team(threads, share)?;
    let cost = meter.stop();
    let sum = sums.into_iter().sum::<Result<i64, ScalarError>>();
    Ok(Reading { sum: sum.map_err(|why| io::Error::other(said(why)))?, cost })
}

fn said(why: ScalarError) -> String {
    match why {
        ScalarError::Domain(words) => words,
        ScalarError::Overflow | ScalarError::ZeroDivision => "the store gave no number".to_string(),
    }
}

/// The same by tasks of one thread: while one waits for its answer, the event loop goes on with another.
///
/// # Errors
/// Where the store does not answer.
pub fn on_event_loop(
    address: &str,
    keys: u64,
    tasks: usize,
    stopped: &(dyn Fn() -> bool + Sync),
) -> io::Result<Reading> {
    const LOOK: Duration = Duration::from_millis(10);
    let meter = Meter::start();
    let next = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let to = address.to_string();
    let mut work = Box::pin(async move {
        let streams = open_all(tasks, move |_| {
            let address = to.clone();
            async move { open(&address).await }
        });
        let mut reading = JoinSet::new();
        for stream in streams.await? {
            reading.spawn(share(stream?, keys, next.clone()));
        }
        let mut sum = 0;
        while let Some(share) = reading.join_next().await {
            sum += share.map_err(io::Error::other)??;
        }
        Ok(sum)
    });
    let sum: io::Result<i64> = runtime.block_on(async {
        loop {
            match tokio::time::timeout(LOOK, &mut work).await {
                Ok(sum) => return sum,
                Err(_) if stopped() => return Err(io::ErrorKind::Interrupted.into()),
                Err(_) => {}
            }
        }
    });
    Ok(Reading { sum: sum?, cost: meter.stop() })
}

/// A connection that the store has accepted.
async fn open(address: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.read_exact(&mut [0; GREETING.len()]).await?;
    Ok(stream)
}

/// One task: a connection of its own, and the next key as long as there is one.
async fn share(mut stream: TcpStream, keys: u64, next: Arc<AtomicU64>) -> io::Result<i64> {
    let mut sum = 0;
    loop {
        let key = next.fetch_add(1, Ordering::Relaxed);
        if key >= keys {
            return Ok(sum);
        }
        let mut request = [GET; REQUEST];
        request[1..].copy_from_slice(&key.to_le_bytes());
        stream.write_all(&request).await?;
        let mut answer = [0; ANSWER];
        stream.read_exact(&mut answer).await?;
        let [known, value @ ..] = answer;
        sum += if known == 1 { i64::from_le_bytes(value) } else { 0 };
    }
}
