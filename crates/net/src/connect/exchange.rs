//! Bytes out and bytes in over a transport that never waits, for the steps that ask and are answered.

use std::io;
use std::task::Poll;

use crate::io::Transport;

/// Ready when the transport has taken everything, or when it failed: then what it has to read says why.
pub(super) fn send(transport: &mut Transport, bytes: &[u8], sent: &mut usize) -> Poll<()> {
    while *sent < bytes.len() || transport.writer.wants_write() {
        let written = if *sent == bytes.len() {
            transport.writer.flush().map(|_| 0)
        } else {
            transport.writer.write(&bytes[*sent..])
        };
        match written {
            Ok(count) => *sent += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(_) => return Poll::Ready(()),
        }
        if *sent == bytes.len() && transport.writer.wants_write() {
            return Poll::Pending;
        }
    }
    Poll::Ready(())
}

/// Reads what there is to the end of `input`; false at the end of the transport.
pub(super) fn receive(transport: &mut Transport, input: &mut Vec<u8>) -> Poll<io::Result<bool>> {
    let mut piece = [0; 4096];
    loop {
        match transport.reader.read(&mut piece) {
            Ok(count) => {
                input.extend_from_slice(&piece[..count]);
                return Poll::Ready(Ok(count > 0));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(false)),
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
}
