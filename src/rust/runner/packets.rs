//! Packets between the processes of the runner: a descriptor at either end, read and written whole.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Two ends over which whole packets go.
pub fn pair() -> Option<(OwnedFd, OwnedFd)> {
    let mut ends: [RawFd; 2] = [0; 2];
    // SAFETY: the system fills two descriptors, which nobody else owns.
    unsafe {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        (libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) == 0)
            .then(|| (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Waits until something can be read.
pub fn ready<const N: usize>(descriptors: [RawFd; N]) -> [bool; N] {
    ready_of(&descriptors).try_into().unwrap_or([false; N])
}

pub fn ready_of(descriptors: &[RawFd]) -> Vec<bool> {
    let polled = |fd: &RawFd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<libc::pollfd> = descriptors.iter().map(polled).collect();
    // SAFETY: the list is whole.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
    polled.iter().map(|polled| polled.revents != 0).collect()
}

/// The next packet; none where the other end is gone.
pub fn read_packet(from: &OwnedFd) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        // SAFETY: the buffer is as long as is said.
        let read = unsafe { libc::read(from.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        if read > 0 {
            buffer.truncate(read as usize);
            return Some(buffer);
        }
        if read == 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return None;
        }
    }
}

pub fn write_all(to: &OwnedFd, packet: &[u8]) -> Option<()> {
    // SAFETY: the packet is as long as is said.
    let sent = unsafe { libc::send(to.as_raw_fd(), packet.as_ptr().cast(), packet.len(), libc::MSG_NOSIGNAL) };
    (sent == packet.len() as isize).then_some(())
}
