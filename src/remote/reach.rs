//! Whether somebody listens at an address: known before anything else is tried.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::run_context::Stop;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

/// The host and the port of `scheme://host:port/…`.
pub fn host_port(address: &str, default_port: u16) -> Option<HostPort> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.split(['/', ';', '?']).next()?;
    let (host, port) = match rest.rsplit_once(':') {
        // An address of IPv6 stands in brackets.
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (rest, default_port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty() && port != 0).then(|| HostPort { host: host.to_string(), port })
}

pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// How long a connection may take.
pub fn patience(host: &str) -> Duration {
    Duration::from_secs(if is_loopback(host) { 2 } else { 10 })
}

/// Connects and closes again.
///
/// # Errors
/// Nobody listens there, or does not answer in time; also [`Kind::Stopped`].
pub fn reach(engine: &str, shown: &str, at: &HostPort, stop: &Stop) -> Fallible<()> {
    let until = Instant::now() + patience(&at.host);
    let failed = |why: String| {
        Diagnostic::new(Kind::System, format!("{engine} cannot be reached at {shown}: {why}"))
            .hint("check the address, and that a server runs there: %engines")
    };
    // The names of hosts are looked up on a thread of its own: nothing stops that.
    let (done, addresses) = std::sync::mpsc::channel();
    let asked = (at.host.clone(), at.port);
    let look_up = move || {
        let found = asked.to_socket_addrs().map(|found| found.collect::<Vec<_>>());
        // Nobody may wait any more.
        let _ = done.send(found);
    };
    let thread = std::thread::Builder::new().name("look-up".to_string()).spawn(look_up);
    thread.map_err(|error| Diagnostic::new(Kind::System, format!("no thread can be started: {error}")))?;
    let addresses = loop {
        stop.check()?;
        match addresses.recv_timeout(Duration::from_millis(20)) {
            Ok(Ok(addresses)) => break addresses,
            Ok(Err(error)) => return Err(failed(format!("the host `{}` is not known ({error})", at.host))),
            Err(_) if Instant::now() >= until => {
                return Err(failed("the name of the host is not found in time".into()));
            }
            Err(_) => {}
        }
    };
    let mut why = "the host has no address".to_string();
    for address in addresses {
        stop.check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failed("no answer in time".to_string()));
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => why = "no answer in time".to_string(),
            Err(error) => why = error.to_string(),
        }
    }
    Err(failed(why))
}
