//! Messages of Jupyter's protocol as frames: signed with the key of the connection file, and checked.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use sha2::Sha256;

/// The version of the protocol that is spoken.
pub const PROTOCOL: &str = "5.3";

/// Stands between the addresses of a message and its signature.
const DELIMITER: &[u8] = b"<IDS|MSG>";

/// The name that is signed with nothing.
const USER: &str = "timelab";

pub struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    pub fn new(text: &str) -> Key {
        Key(text.as_bytes().to_vec())
    }

    fn mac<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        parts.into_iter().for_each(|part| mac.update(part));
        mac
    }

    fn sign<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> String {
        self.mac(parts).finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Takes the same time for every wrong signature.
    fn verifies<'a>(&self, signature: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = signature.chunks(2).map(pair).collect();
        bytes.is_some_and(|bytes| self.mac(parts).verify_slice(&bytes).is_ok())
    }
}

/// A message of a front end.
#[derive(Debug, Clone)]
pub struct Request {
    /// The addresses that a reply goes back to.
    pub identities: Vec<Vec<u8>>,
    pub header: Json,
    pub content: Json,
    pub arrived: Instant,
}

impl Request {
    /// The message in these frames; none where it is not one, or not signed with this key.
    pub fn read(key: &Key, frames: &[&[u8]]) -> Option<Request> {
        let at = frames.iter().position(|frame| *frame == DELIMITER)?;
        let [signature, parts @ ..] = &frames[at + 1..] else { return None };
        let parts = parts.get(..4)?;
        if !key.verifies(signature, parts.iter().copied()) {
            return None;
        }
        let json = |part: &[u8]| serde_json::from_slice::<Json>(part).ok().filter(Json::is_object);
        let (header, content) = (json(parts[0])?, json(parts[3])?);
        header["msg_type"].as_str()?;
        let identities = frames[..at].iter().map(|frame| frame.to_vec()).collect();
        Some(Request { identities, header, content, arrived: Instant::now() })
    }

    /// Such as `execute_request`.
    pub fn kind(&self) -> &str {
        self.header["msg_type"].as_str().unwrap_or_default()
    }

    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.content[name].as_bool().unwrap_or(default)
    }

    pub fn text(&self, name: &str) -> &str {
        self.content[name].as_str().unwrap_or_default()
    }
}

/// The frames of a message to these addresses.
pub fn frames(key: &Key, session: &str, to: &[Vec<u8>], kind: &str, parent: &Json, content: &Json) -> Vec<Vec<u8>> {
    let header = json!({
        "msg_id": random_id(),
        "session": session,
        "username": USER,
        "date": now(),
        "msg_type": kind,
        "version": PROTOCOL,
    });
    let parts = [&header, parent, &json!({}), content].map(|part| part.to_string().into_bytes());
    let signature = key.sign(parts.iter().map(Vec::as_slice));
    let mut frames = to.to_vec();
    frames.push(DELIMITER.to_vec());
    frames.push(signature.into_bytes());
    frames.extend(parts);
    frames
}

/// One that no other message, session or display has.
pub fn random_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// The time in the form of RFC 3339.
fn now() -> String {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = passed.as_secs() as libc::time_t;
    // SAFETY: an all-zero structure is a valid one, and the system fills it.
    let parts = unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        libc::gmtime_r(&raw const seconds, &raw mut parts);
        parts
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min,
        parts.tm_sec,
        passed.subsec_micros()
    )
}
