//! Bytes over TCP, and the same over TLS: one non-blocking face for both.
//!
//! Over TCP a read or a write is one system call and nothing else. Over TLS the socket is read in large pieces, because
//! the library's own reads are of four kilobytes; what it has not decrypted yet waits in `pending`.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use rustls::ClientConnection;

/// Encrypted bytes taken by one read.
const CIPHERTEXT: usize = 64 << 10;

#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(OwnedFd),
    Tls(Box<Tls>),
}

#[derive(Debug)]
pub(crate) struct Tls {
    socket: OwnedFd,
    session: ClientConnection,
    /// Encrypted bytes that the session has not taken, from `taken` on.
    pending: Vec<u8>,
    taken: usize,
    /// The last read filled its buffer: decrypted bytes may be left.
    left: bool,
}

impl Stream {
    pub(crate) fn tls(socket: OwnedFd, session: ClientConnection) -> Self {
        Self::Tls(Box::new(Tls { socket, session, pending: Vec::new(), taken: 0, left: true }))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Tls(tls) => tls.socket.as_fd(),
        }
    }

    /// Reads into `buffer`; 0 is the orderly end.
    ///
    /// # Errors
    /// `WouldBlock`; `UnexpectedEof` when TCP ended and TLS did not; the socket's.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => Ok(recv(socket, buffer, RecvFlags::DONTWAIT)?.0),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Reads at the most `max` bytes to the end of `buffer`, which has room for them; 0 is the orderly end.
    ///
    /// # Errors
    /// As [`Stream::read`].
    pub(crate) fn read_append(&mut self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => {
                let before = buffer.len();
                if buffer.capacity() - before == max {
                    recv(socket, spare_capacity(buffer), RecvFlags::DONTWAIT)?;
                } else {
                    // There is more room than was asked for, and a later frame's bytes must not get into it.
                    buffer.resize(before + max, 0);
                    let count =
                        recv(socket, &mut buffer[before..], RecvFlags::DONTWAIT).map(|(count, _)| count);
                    buffer.truncate(before + *count.as_ref().unwrap_or(&0));
                    count?;
                }
                Ok(buffer.len() - before)
            }
            Self::Tls(tls) => {
                let before = buffer.len();
                buffer.resize(before + max, 0);
                let count = tls.read(&mut buffer[before..]);
                buffer.truncate(before + *count.as_ref().unwrap_or(&0));
                count
            }
        }
    }

    /// Whether bytes are left inside that the socket's readiness does not show.
    pub(crate) fn has_buffered(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Tls(tls) => tls.left || tls.taken < tls.pending.len(),
        }
    }

    /// Takes some of `bytes`; over TLS they may stay encrypted inside, see [`Stream::wants_write`].
    ///
    /// # Errors
    /// `WouldBlock`; the socket's.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => Ok(send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?),
            Self::Tls(tls) => {
                if !tls.flush()? {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let count = tls.session.writer().write(bytes)?;
                tls.flush()?;
                Ok(count)
            }
        }
    }

    /// Whether encrypted bytes wait for the socket.
    pub(crate) fn wants_write(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Tls(tls) => tls.session.wants_write(),
        }
    }

    /// Pushes encrypted bytes out; true when none is left.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Tcp(_) => Ok(true),
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// Says that we have nothing more to say: close_notify over TLS, FIN over TCP.
    pub(crate) fn shutdown_write(&mut self) {
        if let Self::Tls(tls) = self {
            tls.session.send_close_notify();
            // If the socket takes no more, FIN alone has to do.
            let _ = tls.flush();
        }
        let _ = shutdown(self.fd(), Shutdown::Write);
    }

    /// Ends both directions, for every descriptor of this socket.
    pub(crate) fn shutdown(&mut self) {
        let _ = shutdown(self.fd(), Shutdown::Both);
    }
}

impl Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut total = 0;
        self.left = false;
        loop {
            match self.session.reader().read(&mut buffer[total..]) {
                Ok(0) => return Ok(total),
                Ok(count) => {
                    total += count;
                    if total == buffer.len() {
                        self.left = true;
                        return Ok(total);
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) if total > 0 => return Ok(total),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let text = "TCP ended without the end of TLS (close_notify): the data may be cut off";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
                Err(error) => return Err(error),
            }
            match self.decrypt() {
                Ok(()) => {}
                Err(_) if total > 0 => return Ok(total),
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives the session its next encrypted bytes.
    fn decrypt(&mut self) -> io::Result<()> {
        if self.taken == self.pending.len() {
            self.taken = 0;
            self.pending = Vec::with_capacity(CIPHERTEXT);
            let received = recv(&self.socket, spare_capacity(&mut self.pending), RecvFlags::DONTWAIT);
            if received.is_err() {
                self.pending = Vec::new();
            }
            received?;
        }
        let mut rest = &self.pending[self.taken..];
        let taken = self.session.read_tls(&mut rest)?;
        self.taken += taken;
        if self.taken == self.pending.len() {
            self.taken = 0;
            self.pending = Vec::new();
        }
        self.session.process_new_packets().map_err(|error| {
            // The alert that says why.
            let _ = self.session.write_tls(&mut Socket(self.socket.as_fd()));
            io::Error::new(io::ErrorKind::InvalidData, error)
        })?;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Socket(self.socket.as_fd())) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// A socket as the TLS library wants to see it.
pub(crate) struct Socket<'a>(pub(crate) BorrowedFd<'a>);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0, buffer, RecvFlags::DONTWAIT)?.0)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(self.0, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
