//! Messages between the shell and its worker processes, on a pair of connected sockets: a head in JSON, then bytes as
//! they are. Many bytes go as shared memory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// More bytes than this go as shared memory: a socket takes so many at a time that both sides would often have to wait
/// for each other.
const MOST_IN_LINE: usize = 256 << 10;

/// A head is data of ours, such as a plan.
const MOST_HEAD: usize = 1 << 30;

/// The lengths of head and bytes, and whether the bytes come as shared memory.
const PREFIX: usize = 4 + 8 + 1;

/// Bytes in shared memory, which other processes can be sent.
pub struct Shared {
    memory: File,
    length: usize,
}

impl Shared {
    pub fn of(bytes: &[u8]) -> io::Result<Shared> {
        // SAFETY: the name ends with a zero; the system gives a new descriptor or says why not.
        let descriptor = unsafe { libc::memfd_create(c"timelab".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it is new and nobody else's.
        let mut memory = unsafe { File::from_raw_fd(descriptor) };
        memory.write_all(bytes)?;
        Ok(Shared { memory, length: bytes.len() })
    }
}

/// Sends a message.
///
/// # Errors
/// The other side is gone, or the system gives no memory.
pub fn send(socket: &UnixStream, head: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
    if bytes.len() > MOST_IN_LINE {
        return send_shared(socket, head, &Shared::of(bytes)?);
    }
    let head = serde_json::to_vec(head)?;
    let mut message = prefix(head.len(), bytes.len(), false).to_vec();
    message.extend_from_slice(&head);
    message.extend_from_slice(bytes);
    (&*socket).write_all(&message)
}

/// The same with bytes that are shared already.
pub fn send_shared(socket: &UnixStream, head: &impl Serialize, bytes: &Shared) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    let prefix = prefix(head.len(), bytes.length, true);
    let sent = send_descriptor(socket, &prefix, bytes.memory.as_raw_fd())?;
    (&*socket).write_all(&prefix[sent..])?;
    (&*socket).write_all(&head)
}

fn prefix(head: usize, bytes: usize, shared: bool) -> [u8; PREFIX] {
    let mut prefix = [0; PREFIX];
    prefix[..4].copy_from_slice(&(head as u32).to_le_bytes());
    prefix[4..12].copy_from_slice(&(bytes as u64).to_le_bytes());
    prefix[12] = u8::from(shared);
    prefix
}

/// The next message.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] where the other side is gone.
pub fn receive<T: DeserializeOwned>(socket: &UnixStream) -> io::Result<(T, Vec<u8>)> {
    let mut prefix = [0; PREFIX];
    let (received, memory) = receive_descriptor(socket, &mut prefix)?;
    if received == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut from = socket;
    from.read_exact(&mut prefix[received..])?;
    let head = u32::from_le_bytes(prefix[..4].try_into().expect("these are four")) as usize;
    let length = u64::from_le_bytes(prefix[4..12].try_into().expect("these are eight")) as usize;
    if head > MOST_HEAD || (prefix[12] == 0 && length > MOST_IN_LINE) {
        return Err(io::Error::other("this is not a message"));
    }
    let mut text = vec![0; head];
    from.read_exact(&mut text)?;
    let mut bytes = vec![0; length];
    match memory {
        Some(memory) => memory.read_exact_at(&mut bytes, 0)?,
        None => from.read_exact(&mut bytes)?,
    }
    Ok((serde_json::from_slice(&text)?, bytes))
}

/// Room for one descriptor beside bytes.
#[repr(C, align(8))]
struct Beside([u8; 64]);

fn send_descriptor(socket: &UnixStream, bytes: &[u8], descriptor: RawFd) -> io::Result<usize> {
    let mut beside = Beside([0; 64]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all that the message points to outlives the call; there is room for one descriptor.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = beside.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as usize;
        let control = libc::CMSG_FIRSTHDR(&raw const message);
        (*control).cmsg_level = libc::SOL_SOCKET;
        (*control).cmsg_type = libc::SCM_RIGHTS;
        (*control).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as usize;
        libc::CMSG_DATA(control).cast::<RawFd>().write_unaligned(descriptor);
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn receive_descriptor(socket: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Option<File>)> {
    loop {
        let mut beside = Beside([0; 64]);
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: all that the message points to outlives the call; a descriptor that comes is ours alone.
        let (received, memory) = unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = beside.0.as_mut_ptr().cast();
            message.msg_controllen = beside.0.len();
            let received = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC);
            let control = if received > 0 { libc::CMSG_FIRSTHDR(&raw const message) } else { std::ptr::null_mut() };
            let has_one = !control.is_null()
                && (*control).cmsg_level == libc::SOL_SOCKET
                && (*control).cmsg_type == libc::SCM_RIGHTS;
            let memory = has_one.then(|| File::from_raw_fd(libc::CMSG_DATA(control).cast::<RawFd>().read_unaligned()));
            (received, memory)
        };
        match usize::try_from(received) {
            Ok(received) => return Ok((received, memory)),
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
}
