//! The connection file: where a front end waits for its kernel, and the key that both sign with.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::wire::Key;

/// What stands in the file, checked.
#[derive(Debug)]
pub struct Connection {
    pub key: Key,
    place: Place,
    ports: Ports,
}

#[derive(Debug)]
enum Place {
    Tcp(IpAddr),
    /// The beginning of the paths of all sockets.
    Ipc(String),
}

#[derive(Debug, Deserialize)]
struct Written {
    transport: String,
    ip: String,
    #[serde(flatten)]
    ports: Ports,
    key: String,
    signature_scheme: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Ports {
    #[serde(rename = "shell_port")]
    shell: u16,
    #[serde(rename = "control_port")]
    control: u16,
    #[serde(rename = "iopub_port")]
    iopub: u16,
    #[serde(rename = "stdin_port")]
    stdin: u16,
    #[serde(rename = "hb_port")]
    heartbeat: u16,
}

/// The sockets of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    Shell,
    Control,
    Iopub,
    Stdin,
    Heartbeat,
}

impl Channel {
    pub const ALL: [Channel; 5] =
        [Channel::Shell, Channel::Control, Channel::Iopub, Channel::Stdin, Channel::Heartbeat];
}

impl Connection {
    /// # Errors
    /// In words, where the file cannot be read, or asks for what is not safe: other machines, no signatures.
    pub fn read(path: &Path) -> Result<Connection, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("it cannot be read: {error}"))?;
        Connection::parse(&text)
    }

    /// # Errors
    /// As those of [`Connection::read`].
    pub fn parse(text: &str) -> Result<Connection, String> {
        let written: Written =
            serde_json::from_str(text).map_err(|error| format!("it is not a connection file: {error}"))?;
        let Written { transport, ip, ports, key, signature_scheme } = written;
        if signature_scheme != "hmac-sha256" {
            return Err(format!("unknown signature scheme `{signature_scheme}`; expected `hmac-sha256`"));
        }
        // Without a key everybody on this machine could run cells.
        if key.is_empty() {
            return Err("it has no key, so messages could not be signed".to_string());
        }
        let place = match transport.as_str() {
            "tcp" => {
                let address = if ip == "localhost" { "127.0.0.1" } else { &ip };
                let address: IpAddr = address.parse().map_err(|_| format!("`{ip}` is not an address"))?;
                if !address.is_loopback() {
                    return Err(format!(
                        "`{ip}` can be reached from other machines; a kernel listens on loopback only"
                    ));
                }
                Place::Tcp(address)
            }
            "ipc" => Place::Ipc(ip),
            other => return Err(format!("unknown transport `{other}`; expected `tcp` or `ipc`")),
        };
        Ok(Connection { key: Key::new(&key), place, ports })
    }

    fn port(&self, channel: Channel) -> u16 {
        match channel {
            Channel::Shell => self.ports.shell,
            Channel::Control => self.ports.control,
            Channel::Iopub => self.ports.iopub,
            Channel::Stdin => self.ports.stdin,
            Channel::Heartbeat => self.ports.heartbeat,
        }
    }

    /// Where a socket is bound, as ZeroMQ writes it.
    pub fn endpoint(&self, channel: Channel) -> String {
        let port = self.port(channel);
        match &self.place {
            Place::Tcp(IpAddr::V4(ip)) => format!("tcp://{ip}:{port}"),
            Place::Tcp(IpAddr::V6(ip)) => format!("tcp://[{ip}]:{port}"),
            Place::Ipc(path) => format!("ipc://{path}-{port}"),
        }
    }

    /// The files of the sockets, where they have some.
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.place {
            Place::Tcp(_) => Vec::new(),
            Place::Ipc(path) => {
                Channel::ALL.map(|channel| PathBuf::from(format!("{path}-{}", self.port(channel)))).to_vec()
            }
        }
    }
}
