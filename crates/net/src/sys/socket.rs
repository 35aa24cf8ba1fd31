//! The system calls of a stream socket, TCP or Unix. None of them ever blocks, whatever mode the descriptor is in.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use rustix::buffer::spare_capacity;
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send as send_to_socket, sendmsg,
};

/// A peer that is gone is told of by an error, not by the signal SIGPIPE.
const SEND: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

/// The most that [`receive_append`] zeroes for one read, where it cannot read into the spare capacity as it is.
const ZEROED: usize = 256 << 10;

/// Reads into `buffer`; 0 is the end of the stream.
///
/// # Errors
/// `WouldBlock`, `Interrupted`, and what ended the connection.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(recv(socket, buffer, RecvFlags::DONTWAIT)?.0)
}

/// Reads at the most `max` bytes to the end of `buffer`, which has room for them; 0 is the end of the stream.
///
/// # Errors
/// As [`receive`].
pub(crate) fn receive_append(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    let before = buffer.len();
    if buffer.capacity() - before == max {
        recv(socket, spare_capacity(buffer), RecvFlags::DONTWAIT)?;
    } else {
        // There is more room than was asked for, and nothing behind `max` bytes may be read into it.
        buffer.resize(before + max.min(ZEROED), 0);
        let count = receive(socket, &mut buffer[before..]);
        buffer.truncate(before + *count.as_ref().unwrap_or(&0));
        count?;
    }
    Ok(buffer.len() - before)
}

/// Hands some of `bytes` to the operating system.
///
/// # Errors
/// As [`receive`].
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(send_to_socket(socket, bytes, SEND)?)
}

/// The same for several pieces, in one system call.
///
/// # Errors
/// As [`receive`].
pub(crate) fn send_vectored(socket: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    match pieces {
        [piece] => send(socket, piece),
        _ => Ok(sendmsg(socket, pieces, &mut SendAncillaryBuffer::default(), SEND)?),
    }
}

/// Ends our direction: the peer reads the end of the stream after what was sent. A socket that is gone needs no end.
pub(crate) fn shutdown_write(socket: BorrowedFd<'_>) {
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

/// Ends both directions, for every descriptor of this socket.
pub(crate) fn shutdown(socket: BorrowedFd<'_>) {
    let _ = rustix::net::shutdown(socket, Shutdown::Both);
}
