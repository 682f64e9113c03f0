//! What the shell and the starter tell each other: a length and bytes, with descriptors beside the first of them.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// The longest packet: a command may have a megabyte, and its words are not much more.
const MOST: usize = 8 << 20;
/// The most descriptors beside one.
const MOST_FILES: usize = 3;

/// Sends a packet, with descriptors beside it.
pub fn send(socket: &UnixStream, bytes: &[u8], files: &[RawFd]) -> io::Result<()> {
    let length = (bytes.len() as u32).to_le_bytes();
    send_with_files(socket, &length, files)?;
    let mut socket = socket;
    socket.write_all(bytes)
}

/// Takes the next packet with its descriptors; none where the other end is gone.
pub fn receive(socket: &UnixStream) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut length = [0; 4];
    let (read, files) = receive_with_files(socket, &mut length)?;
    if read == 0 {
        return Ok(None);
    }
    let mut socket = socket;
    socket.read_exact(&mut length[read..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MOST {
        return Err(io::Error::other("the packet is too long"));
    }
    let mut bytes = vec![0; length];
    socket.read_exact(&mut bytes)?;
    Ok(Some((bytes, files)))
}

/// Room for the descriptors, aligned as the system wants it.
#[repr(align(8))]
struct Room([u8; 64]);

fn send_with_files(socket: &UnixStream, bytes: &[u8; 4], files: &[RawFd]) -> io::Result<()> {
    assert!(files.len() <= MOST_FILES, "there is room for three");
    let mut room = Room([0; 64]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr() as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: an all-zero msghdr is a valid one. Its parts are set to memory that lives until the call is over; the
    // room holds the header and three descriptors, and CMSG_FIRSTHDR is not null where it has room for a header.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        if !files.is_empty() {
            let size = std::mem::size_of_val(files);
            message.msg_control = room.0.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(size as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size as u32) as _;
            std::ptr::copy_nonoverlapping(files.as_ptr().cast::<u8>(), libc::CMSG_DATA(header), size);
        }
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    match sent {
        4 => Ok(()),
        -1 => Err(io::Error::last_os_error()),
        _ => Err(io::Error::other("a packet was cut")),
    }
}

fn receive_with_files(socket: &UnixStream, bytes: &mut [u8; 4]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut room = Room([0; 64]);
    let mut files = Vec::new();
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    loop {
        // SAFETY: as above. Each descriptor that the system hands over belongs to nobody else.
        let read = unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = room.0.as_mut_ptr().cast();
            message.msg_controllen = room.0.len() as _;
            let read = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC);
            let header = if read > 0 { libc::CMSG_FIRSTHDR(&raw const message) } else { std::ptr::null_mut() };
            if !header.is_null() && (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS
            {
                let size = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                for place in 0..size / std::mem::size_of::<RawFd>() {
                    let file = libc::CMSG_DATA(header).cast::<RawFd>().add(place).read_unaligned();
                    files.push(OwnedFd::from_raw_fd(file));
                }
            }
            read
        };
        match usize::try_from(read) {
            Ok(read) => return Ok((read, files)),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}
