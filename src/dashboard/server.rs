//! One page over http, on the loopback address alone, for who knows the token.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::monitor::Monitor;

use super::{page, state};

/// A server that ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    token: String,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A request is no longer than this, and no slower.
const MOST_BYTES: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(2);
/// So many browsers are answered at a time.
const MOST_CONNECTIONS: usize = 16;

/// What all connections share.
struct Shared {
    monitor: Arc<Monitor>,
    token: String,
    hosts: [String; 2],
    open: AtomicUsize,
}

impl Server {
    /// Serves the page of a monitor on a free port.
    ///
    /// # Errors
    /// Where the system gives no port, no thread or no random bytes.
    pub fn start(monitor: Arc<Monitor>) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (token, ends) = (token()?, Arc::new(AtomicBool::new(false)));
        let hosts = [format!("127.0.0.1:{}", address.port()), format!("localhost:{}", address.port())];
        let shared = Arc::new(Shared { monitor, token: token.clone(), hosts, open: AtomicUsize::new(0) });
        let told = ends.clone();
        let thread = Builder::new().name("dashboard".to_string()).spawn(move || listen(&listener, &shared, &told))?;
        Ok(Server { address, token, ends, thread: Some(thread) })
    }

    /// What a browser is given to open.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", self.address, self.token)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Who waits for a connection gets one.
        let woken = TcpStream::connect_timeout(&self.address, PATIENCE).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            // A thread that failed has ended too.
            let _ = thread.join();
        }
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>, ends: &AtomicBool) {
    for stream in listener.incoming() {
        if ends.load(Ordering::SeqCst) {
            return;
        }
        // Without descriptors there is nothing to answer on; the next one may come.
        let Ok(stream) = stream else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        if shared.open.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
            shared.open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let mine = shared.clone();
        let answer = move || {
            // A browser that is gone needs no answer.
            let _ = serve(stream, &mine);
            mine.open.fetch_sub(1, Ordering::SeqCst);
        };
        if Builder::new().name("dashboard".to_string()).spawn(answer).is_err() {
            shared.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Answers one request, and closes.
fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Some(request) = read_head(&mut stream)? else {
        return respond(&mut stream, "431 Request Header Fields Too Large", "text/plain", "", "too long\n");
    };
    let answer = answer(&request, shared);
    respond(&mut stream, answer.status, answer.kind, &answer.policy, &answer.body)
}

/// The head of a request; none of one that is too long.
fn read_head(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    let begun = std::time::Instant::now();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut piece)?;
        if read == 0 || begun.elapsed() > PATIENCE {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&piece[..read]);
        if head.len() > MOST_BYTES {
            return Ok(None);
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

struct Response {
    status: &'static str,
    kind: &'static str,
    policy: String,
    body: String,
}

impl Response {
    fn refused(status: &'static str, why: &str) -> Response {
        Response { status, kind: "text/plain; charset=utf-8", policy: String::new(), body: format!("{why}\n") }
    }
}

fn answer(request: &str, shared: &Shared) -> Response {
    let mut lines = request.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != "GET" {
        return Response::refused("405 Method Not Allowed", "only GET");
    }
    // A page of another site may find out the port, but its requests name that site.
    let host = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("host"));
    if !host.is_some_and(|(_, host)| shared.hosts.iter().any(|known| known == host.trim())) {
        return Response::refused("403 Forbidden", "this page is for the machine that it is on");
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let token = query.split('&').find_map(|pair| pair.strip_prefix("token="));
    if !token.is_some_and(|token| is_same(token, &shared.token)) {
        return Response::refused("403 Forbidden", "the address needs the token that %dashboard shows");
    }
    match path {
        "/" => {
            let (body, policy) = page::page();
            Response { status: "200 OK", kind: "text/html; charset=utf-8", policy, body }
        }
        "/state" => {
            let body = serde_json::to_string(&state(&shared.monitor)).unwrap_or_else(|_| "{}".to_string());
            Response { status: "200 OK", kind: "application/json", policy: String::new(), body }
        }
        _ => Response::refused("404 Not Found", "there is one page here: /"),
    }
}

fn respond(stream: &mut TcpStream, status: &str, kind: &str, policy: &str, body: &str) -> io::Result<()> {
    let policy = if policy.is_empty() { "default-src 'none'" } else { policy };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: \
         no-store\r\nContent-Security-Policy: {policy}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: \
         no-referrer\r\nX-Frame-Options: DENY\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.flush()
}

/// Compares in a time that does not tell how much is right.
fn is_same(a: &str, b: &str) -> bool {
    let differs = a.bytes().zip(b.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    a.len() == b.len() && differs == 0
}

/// 128 random bits.
fn token() -> io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
