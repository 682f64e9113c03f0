//! Handing bytes over to another thread, in several ways: half of the time until they are back.

use std::cell::UnsafeCell;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{FEWEST, Group, Means, Outcome, Probe, because, failed};

pub static HAND_OVER: Group = Group {
    name: "hand_over",
    about: "8 bytes and 1 MiB to another thread by pipe, Unix socket, shared memory and TCP",
    probes: &[
        Probe {
            name: "shared memory, 8 B",
            about: "both threads watch one word",
            published: None,
            in_chart: true,
            run: Some(|means| shared(means, WORD)),
        },
        Probe {
            name: "shared memory, 1 MiB",
            about: "copied in and out",
            published: None,
            in_chart: true,
            run: Some(|means| shared(means, MIB)),
        },
        Probe {
            name: "pipe, 8 B",
            about: "through the kernel",
            published: None,
            in_chart: true,
            run: Some(|means| pipe(means, WORD)),
        },
        Probe {
            name: "pipe, 1 MiB",
            about: "through the kernel",
            published: None,
            in_chart: true,
            run: Some(|means| pipe(means, MIB)),
        },
        Probe {
            name: "Unix socket, 8 B",
            about: "through the kernel",
            published: None,
            in_chart: true,
            run: Some(|means| socket(means, WORD)),
        },
        Probe {
            name: "Unix socket, 1 MiB",
            about: "through the kernel",
            published: None,
            in_chart: true,
            run: Some(|means| socket(means, MIB)),
        },
        Probe {
            name: "TCP, 8 B",
            about: "over the loopback device",
            published: None,
            in_chart: true,
            run: Some(|means| tcp(means, WORD)),
        },
        Probe {
            name: "TCP, 1 MiB",
            about: "over the loopback device",
            published: None,
            in_chart: true,
            run: Some(|means| tcp(means, MIB)),
        },
        Probe {
            name: "loopback round trip",
            about: "8 bytes there and back by UDP, within this machine",
            published: None,
            in_chart: true,
            run: Some(udp),
        },
    ],
};

const WORD: usize = 8;
const MIB: usize = 1 << 20;

fn pipe(means: &Means, bytes: usize) -> Outcome {
    let (their, out) = io::pipe().map_err(failed)?;
    let (back, theirs) = io::pipe().map_err(failed)?;
    trips(means, bytes, (back, out), (their, theirs))
}

fn socket(means: &Means, bytes: usize) -> Outcome {
    let (here, there) = UnixStream::pair().map_err(failed)?;
    let (back, theirs) = (here.try_clone().map_err(failed)?, there.try_clone().map_err(failed)?);
    trips(means, bytes, (back, here), (there, theirs))
}

fn tcp(means: &Means, bytes: usize) -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let here = TcpStream::connect(listener.local_addr().map_err(failed)?).map_err(failed)?;
    let (there, _) = listener.accept().map_err(failed)?;
    for end in [&here, &there] {
        end.set_nodelay(true).map_err(failed)?;
    }
    let (back, theirs) = (here.try_clone().map_err(failed)?, there.try_clone().map_err(failed)?);
    trips(means, bytes, (back, here), (there, theirs))
}

fn udp(means: &Means) -> Outcome {
    // A packet may be lost, even here.
    const PATIENCE: Duration = Duration::from_millis(50);
    const TRIPS: usize = 50;
    let end = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed);
    let (here, there) = (end()?, end()?);
    here.connect(there.local_addr().map_err(failed)?).map_err(failed)?;
    there.connect(here.local_addr().map_err(failed)?).map_err(failed)?;
    for end in [&here, &there] {
        end.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let echo = {
        let is_over = is_over.clone();
        move || {
            let mut block = [0u8; WORD];
            while !is_over.load(Ordering::Relaxed) {
                // Without an answer the other side stops waiting.
                let _ = there.recv(&mut block).and_then(|count| there.send(&block[..count]));
            }
        }
    };
    let partner = std::thread::Builder::new().name("echo".to_string()).spawn(echo).map_err(failed)?;
    let mut block = [1u8; WORD];
    let found = means.median(|| {
        let (time, done) =
            means.once(|| (0..TRIPS).try_for_each(|_| here.send(&block).and_then(|_| here.recv(&mut block)).map(drop)));
        done.map_err(failed).map(|()| time / TRIPS as f64)
    });
    is_over.store(true, Ordering::Relaxed);
    let _ = here.send(&block);
    let _ = partner.join();
    found
}

/// Sends bytes to a thread that sends them back.
fn trips<R: Read, W: Write, R2: Read + Send + 'static, W2: Write + Send + 'static>(
    means: &Means,
    bytes: usize,
    (mut back, mut out): (R, W),
    (mut their, mut theirs): (R2, W2),
) -> Outcome {
    let echo = move || {
        let mut block = vec![0u8; bytes];
        while their.read_exact(&mut block).and_then(|()| theirs.write_all(&block)).is_ok() {}
    };
    let partner = std::thread::Builder::new().name("echo".to_string()).spawn(echo).map_err(failed)?;
    let mut block = vec![1u8; bytes];
    let times = repeats(bytes);
    let found = means.median(|| {
        let (time, done) = means
            .once(|| (0..times).try_for_each(|_| out.write_all(&block).and_then(|()| back.read_exact(&mut block))));
        done.map_err(failed).map(|()| time / 2.0 / times as f64)
    });
    // Both ends are closed, and the other thread sees it.
    drop((back, out));
    let _ = partner.join();
    found
}

/// The trips of a sample: a short one is repeated.
fn repeats(bytes: usize) -> usize {
    if bytes == WORD { 50 } else { 1 }
}

/// Bytes that two threads have in turn.
struct Shared {
    /// Odd where the other thread has them.
    turn: AtomicU64,
    bytes: UnsafeCell<Vec<u8>>,
    /// How often a look is taken before the processor is given up.
    spins: u32,
    /// How often one of the two gave it up, so that the other one could run.
    given_up: AtomicU64,
}

// SAFETY: only the thread whose turn it is touches the bytes.
unsafe impl Sync for Shared {}

const END: u64 = u64::MAX;

impl Shared {
    fn new(bytes: usize) -> Shared {
        // Many times as long as the other thread needs where it runs: a microsecond, or the copies of a block.
        let spins = if bytes == WORD { 2_000 } else { 100_000 };
        let bytes = UnsafeCell::new(vec![0u8; bytes]);
        Shared { turn: AtomicU64::new(0), bytes, spins, given_up: AtomicU64::new(0) }
    }

    /// Copies bytes in, hands them over, waits until they are back, and copies them out.
    fn trip(&self, block: &mut [u8], turn: u64) {
        // SAFETY: it is this thread's turn.
        unsafe { (&mut *self.bytes.get()).copy_from_slice(block) };
        self.turn.store(turn + 1, Ordering::Release);
        self.wait(|now| now == turn + 2);
        // SAFETY: it is this thread's turn again.
        unsafe { block.copy_from_slice(&*self.bytes.get()) };
    }

    /// The other side.
    fn serve(&self, bytes: usize) {
        let mut block = vec![0u8; bytes];
        loop {
            let turn = self.wait(|now| now % 2 == 1);
            if turn == END {
                return;
            }
            // SAFETY: an odd turn is this thread's.
            unsafe {
                block.copy_from_slice(&*self.bytes.get());
                (&mut *self.bytes.get()).copy_from_slice(&block);
            }
            self.turn.store(turn + 1, Ordering::Release);
        }
    }

    fn wait(&self, is_there: impl Fn(u64) -> bool) -> u64 {
        let mut spins = 0;
        loop {
            let now = self.turn.load(Ordering::Acquire);
            if is_there(now) {
                return now;
            }
            spins += 1;
            if spins % self.spins == 0 {
                // With one processor, or on a busy machine, the other thread needs this one's.
                self.given_up.fetch_add(1, Ordering::Relaxed);
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }
}

/// The median over the samples in which both threads ran: all others hold the time until the system let the other one
/// run, which is no property of memory.
fn shared(means: &Means, bytes: usize) -> Outcome {
    // A sample is short, so that many of them are over before a thread loses its processor.
    let (together, most) = if bytes == WORD { (4, 20_000) } else { (1, 25) };
    let both = Arc::new(Shared::new(bytes));
    let serve = {
        let both = both.clone();
        move || both.serve(bytes)
    };
    let partner: JoinHandle<()> = std::thread::Builder::new().name("echo".to_string()).spawn(serve).map_err(failed)?;
    let mut block = vec![1u8; bytes];
    let mut turn = 0;
    let mut times: Vec<f64> = Vec::new();
    let start = Instant::now();
    let (mut taken, mut stopped) = (0, Ok(()));
    while stopped.is_ok() && times.len() < most && (taken <= FEWEST || start.elapsed() < means.limit) {
        taken += 1;
        let before = both.given_up.load(Ordering::Relaxed);
        let (time, ()) = means.once(|| {
            for _ in 0..together {
                both.trip(&mut block, turn);
                turn += 2;
            }
        });
        if both.given_up.load(Ordering::Relaxed) == before {
            times.push(time / 2.0 / together as f64);
        }
        stopped = means.check();
    }
    both.turn.store(END, Ordering::Release);
    let _ = partner.join();
    stopped?;
    median_together(times)
}

/// The median of the samples in which both threads ran.
fn median_together(mut times: Vec<f64>) -> Outcome {
    if times.len() < FEWEST {
        return because("the two threads hardly ran at the same time: another processor has to be free");
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
