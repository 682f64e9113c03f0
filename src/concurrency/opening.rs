//! Connections that are opened so many at a time: what a system lets wait for a server is limited, and who finds no
//! place waits a second before it tries again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

/// Connections that are being opened at the same time.
pub const OUTSTANDING: usize = 100;

/// Opens so many, each by its number, and gives what was opened.
///
/// # Errors
/// Where a task broke down.
pub async fn open_all<T, F>(number: usize, open: impl Fn(usize) -> F + Send + Sync + 'static) -> io::Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send,
{
    let (open, next) = (Arc::new(open), Arc::new(AtomicUsize::new(0)));
    let mut opening = JoinSet::new();
    for _ in 0..OUTSTANDING.min(number) {
        let (open, next) = (open.clone(), next.clone());
        opening.spawn(async move {
            let mut all = Vec::new();
            loop {
                let connection = next.fetch_add(1, Ordering::Relaxed);
                if connection >= number {
                    return all;
                }
                all.push(open(connection).await);
            }
        });
    }
    let mut all = Vec::new();
    while let Some(part) = opening.join_next().await {
        all.extend(part.map_err(io::Error::other)?);
    }
    Ok(all)
}
