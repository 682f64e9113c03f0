//! Many connections at once: an echo server in one of several ways, and who connects to it, each in a process of its
//! own, with its own limit of open files.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::interleave::barrier::cores;
use crate::service::{self, LOOPBACK, OWN_THREADS, Program, Service};

use super::opening::open_all;

pub static SERVER: Program = Program { name: "echo", run: serve };
pub static CLIENT: Program = Program { name: "connect", run: connect };

/// How a server serves its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    EventLoop,
    EventLoops,
    Threads,
    Serial,
}

impl Server {
    pub const ALL: [Server; 4] = [Server::EventLoop, Server::EventLoops, Server::Threads, Server::Serial];

    pub fn name(self) -> &'static str {
        match self {
            Server::EventLoop => "event loop",
            Server::EventLoops => "event loop per core",
            Server::Threads => "thread per connection",
            Server::Serial => "serial",
        }
    }
}

/// At most so many files are open in a server besides its connections: each event loop has some of its own.
pub fn own_files() -> u64 {
    const FILES: usize = 5;
    const OF_EACH_LOOP: usize = 6;
    (FILES + OF_EACH_LOOP * cores().len()) as u64
}

/// How many messages each connection sends, and their length.
pub const MESSAGES: usize = 3;
const MESSAGE: usize = 32;
/// What a server says to each connection first, so that the client knows that it was accepted.
const GREETING: [u8; 1] = *b"!";
/// A thread that only echoes needs no more.
const STACK: usize = 64 << 10;

/// Before each message a connection thinks.
fn thinking(connection: usize, message: usize) -> Duration {
    Duration::from_millis(20 + (connection * 7 + message * 3) as u64 % 10)
}

/// What a run of one server has shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub server: Server,
    /// Those that were greeted and got all their answers.
    pub connections: u64,
    pub errors: u64,
    /// The most common of them, in words.
    pub error: Option<String>,
    /// Seconds until the last connection was greeted.
    pub connect: f64,
    /// Seconds for a message and its answer: the median of all.
    pub round_trip: Option<f64>,
    /// Resident bytes of the server while all are connected.
    pub memory: Option<u64>,
    /// Those which it did not have yet after it had served a first connection, without the pages of its program.
    pub memory_of_connections: Option<u64>,
    pub threads: Option<u64>,
    /// Seconds of CPU time of the server.
    pub cpu: Option<f64>,
}

/// Starts a server and connects to it so many times; none where it was stopped.
///
/// # Errors
/// Where a process cannot be started.
pub fn run(
    program: &Path,
    server: Server,
    connections: u64,
    within: Duration,
    stopped: &dyn Fn() -> bool,
    told: &dyn Fn(&str),
) -> io::Result<Option<Run>> {
    let mut serving = Service::start(program, SERVER.name, &[server.name().to_string()])?;
    let Some(address) = serving.line(stopped)? else { return Ok(None) };
    let served = first_connection(&address);
    let (own_before, cpu_before) = (status(serving.id(), "RssAnon:"), cpu(serving.id()));
    let one_by_one = server == Server::Serial;
    let arguments =
        [address, connections.to_string(), within.as_millis().to_string(), u64::from(one_by_one).to_string()];
    let mut connecting = Service::start(program, CLIENT.name, &arguments)?;
    told("connecting");
    let Some(greeted) = connecting.line(stopped)? else { return Ok(None) };
    told("connected, sending messages");
    let threads = status(serving.id(), "Threads:");
    let Some(ended) = connecting.line(stopped)? else { return Ok(None) };
    let numbers: Vec<&str> = ended.splitn(4, ' ').collect();
    let [complete, errors, round_trip, ref error @ ..] = numbers[..] else {
        return Err(io::Error::other(format!("the client said `{ended}`")));
    };
    let number = |text: &str| text.parse::<f64>().map_err(io::Error::other);
    Ok(Some(Run {
        server,
        connections: number(complete)? as u64,
        errors: number(errors)? as u64,
        error: error.first().map(|error| error.to_string()),
        connect: number(&greeted)?,
        round_trip: Some(number(round_trip)?).filter(|seconds| *seconds > 0.0),
        memory: status(serving.id(), "VmRSS:").map(|kib| kib * 1024),
        memory_of_connections: own_before
            .filter(|_| served.is_ok())
            .zip(status(serving.id(), "RssAnon:"))
            .map(|(before, now)| now.saturating_sub(before) * 1024),
        threads: threads.map(|threads| threads.saturating_sub(OWN_THREADS as u64)),
        cpu: cpu(serving.id()).zip(cpu_before).map(|(after, before)| after - before),
    }))
}

/// Makes one connection, sends a message and closes: what a server needs only once, it has afterwards.
fn first_connection(address: &str) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(1);
    let address = address.parse().map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.read_exact(&mut [0; GREETING.len()])?;
    stream.write_all(&[0; MESSAGE])?;
    stream.read_exact(&mut [0; MESSAGE])
}

/// A number that the system tells of a process.
fn status(process: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The CPU time of a process so far, in seconds.
fn cpu(process: u32) -> Option<f64> {
    let mut clock: libc::clockid_t = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the system fills both.
    let known = unsafe {
        libc::clock_getcpuclockid(process as libc::pid_t, &raw mut clock) == 0
            && libc::clock_gettime(clock, &raw mut time) == 0
    };
    known.then_some(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

fn serve(arguments: &[String]) -> io::Result<()> {
    let named = |server: &Server| arguments.first().is_some_and(|name| name == server.name());
    let server = Server::ALL.into_iter().find(named).ok_or_else(|| io::Error::other("there is no such server"))?;
    let listener = TcpListener::bind(LOOPBACK)?;
    service::tell(&listener.local_addr()?.to_string())?;
    match server {
        Server::EventLoop => event_loop(listener),
        Server::EventLoops => event_loops(&listener),
        Server::Threads => thread_per_connection(&listener),
        Server::Serial => serial(&listener),
    }
}

/// After an error of `accept`: too many files are open, and some will be closed.
const PAUSE: Duration = Duration::from_millis(10);

fn event_loop(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    one_thread()?.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(echo_async(stream))),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    })
}

fn event_loops(listener: &TcpListener) -> io::Result<()> {
    std::thread::scope(|scope| {
        // This thread is one of them.
        for _ in 1..cores().len() {
            let listener = listener.try_clone()?;
            std::thread::Builder::new().spawn_scoped(scope, || event_loop(listener))?;
        }
        event_loop(listener.try_clone()?)
    })
}

async fn echo_async(mut stream: tokio::net::TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&GREETING).await?;
    let mut message = [0; MESSAGE];
    loop {
        stream.read_exact(&mut message).await?;
        stream.write_all(&message).await?;
    }
}

fn thread_per_connection(listener: &TcpListener) -> io::Result<()> {
    loop {
        match listener.accept() {
            // Where no thread can be started, the connection is closed, and the client counts an error.
            Ok((stream, _)) => drop(std::thread::Builder::new().stack_size(STACK).spawn(|| echo(stream))),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn serial(listener: &TcpListener) -> io::Result<()> {
    loop {
        match listener.accept() {
            // One that breaks is the client's matter.
            Ok((stream, _)) => drop(echo(stream)),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&GREETING)?;
    let mut message = [0; MESSAGE];
    loop {
        stream.read_exact(&mut message)?;
        stream.write_all(&message)?;
    }
}

fn one_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// What all connections of the client share.
struct Connections {
    address: String,
    number: usize,
    deadline: Instant,
    errors: Mutex<HashMap<String, u64>>,
}

impl Connections {
    /// Makes one, and waits until it is greeted.
    async fn open(&self) -> Option<tokio::net::TcpStream> {
        let greeted = async {
            let mut stream = tokio::net::TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            stream.read_exact(&mut [0; GREETING.len()]).await?;
            Ok(stream)
        };
        self.before_deadline(greeted).await
    }

    /// Thinks and sends, message after message; how long each answer took, in seconds.
    async fn send(&self, connection: usize, stream: &mut tokio::net::TcpStream) -> Option<[f64; MESSAGES]> {
        let mut times = [0.0; MESSAGES];
        for (message, time) in times.iter_mut().enumerate() {
            tokio::time::sleep(thinking(connection, message)).await;
            let sent = Instant::now();
            let answered = async {
                stream.write_all(&[message as u8; MESSAGE]).await?;
                let mut answer = [0; MESSAGE];
                stream.read_exact(&mut answer).await?;
                if answer == [message as u8; MESSAGE] { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
            };
            self.before_deadline(answered).await?;
            *time = sent.elapsed().as_secs_f64();
        }
        Some(times)
    }

    async fn before_deadline<T>(&self, work: impl Future<Output = io::Result<T>>) -> Option<T> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let why = match tokio::time::timeout(left, work).await {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => "closed by the server".to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_string(),
        };
        *self.errors.lock().unwrap_or_else(PoisonError::into_inner).entry(why).or_default() += 1;
        None
    }
}

/// Tells when all are connected, then what became of them, and keeps them open until it is ended.
fn connect(arguments: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("an address, a number of connections, a time and a flag are needed");
    let [address, number, within, one_by_one] = arguments else { return Err(wrong()) };
    let (Ok(number), Ok(within)) = (number.parse(), within.parse()) else { return Err(wrong()) };
    let all = Arc::new(Connections {
        address: address.clone(),
        number,
        deadline: Instant::now() + Duration::from_millis(within),
        errors: Mutex::default(),
    });
    one_thread()?.block_on(async {
        let start = Instant::now();
        let mut kept = Vec::new();
        let (greeted, mut times) = match one_by_one == "1" {
            true => one_by_one_all(&all, start).await?,
            false => {
                let opening = all.clone();
                let open = open_all(number, move |connection| {
                    let all = opening.clone();
                    async move { all.open().await.map(|stream| (connection, stream)) }
                });
                let open: Vec<_> = open.await?.into_iter().flatten().collect();
                let greeted = start.elapsed().as_secs_f64();
                service::tell(&greeted.to_string())?;
                let mut sending = JoinSet::new();
                for (connection, mut stream) in open {
                    let all = all.clone();
                    sending.spawn(async move { (all.send(connection, &mut stream).await, stream) });
                }
                let mut times = Vec::new();
                while let Some(sent) = sending.join_next().await {
                    let (sent, stream) = sent.map_err(io::Error::other)?;
                    times.extend(sent);
                    kept.push(stream);
                }
                (greeted, times)
            }
        };
        if one_by_one == "1" {
            service::tell(&greeted.to_string())?;
        }
        let complete = times.len();
        let mut messages: Vec<f64> = times.drain(..).flatten().collect();
        messages.sort_by(f64::total_cmp);
        let median = messages.get(messages.len() / 2).copied().unwrap_or(0.0);
        let errors = all.errors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let most = errors.iter().max_by_key(|(_, times)| **times).map_or("", |(why, _)| why);
        service::tell(&format!("{complete} {} {median} {most}", errors.values().sum::<u64>()))?;
        // The server is looked at while they are open.
        std::future::pending::<()>().await;
        drop(kept);
        Ok(())
    })
}

/// Opens, sends and closes; all wait at the same time for a server that serves one after the other. When the last was
/// greeted, and the times of the messages.
async fn one_by_one_all(all: &Arc<Connections>, start: Instant) -> io::Result<(f64, Vec<[f64; MESSAGES]>)> {
    let (number, all) = (all.number, all.clone());
    let done = open_all(number, move |connection| {
        let all = all.clone();
        async move {
            let mut stream = all.open().await?;
            let greeted = start.elapsed().as_secs_f64();
            all.send(connection, &mut stream).await.map(|times| (greeted, times))
        }
    });
    let done: Vec<(f64, [f64; MESSAGES])> = done.await?.into_iter().flatten().collect();
    let last = done.iter().map(|(greeted, _)| *greeted).fold(0.0, f64::max);
    Ok((last, done.into_iter().map(|(_, times)| times).collect()))
}
