//! Bytes over TCP, and the same over TLS: one non-blocking face for both.
//!
//! Over TCP a read or a write is one system call and nothing else. Over TLS the socket is read in large pieces, because
//! the library's own reads are of four kilobytes; what it has not decrypted yet waits in `pending`.
//!
//! Nothing that the socket or TLS said is told twice by them, so nothing may be dropped here: what comes behind bytes (an
//! error, the end) is kept for the next read, and [`Stream::has_buffered`] asks for that read.

use std::cell::Cell;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown};
use rustls::ClientConnection;

/// Encrypted bytes taken by one read.
const CIPHERTEXT: usize = 64 << 10;

/// The most that [`Stream::read_append`] zeroes for one read, where it cannot read into the spare capacity as it is.
const ZEROED: usize = 256 << 10;

thread_local! {
    /// One buffer for encrypted bytes, between the reads of all connections: an idle connection holds none, and the
    /// allocator is not asked on every message (a piece of this size makes it tidy up, each time it is freed).
    static CIPHERTEXTS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

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
    /// The last read of the socket got less than it had room for.
    drained: bool,
    /// There is something to tell that the socket's readiness does not show: decrypted bytes, the end, `failure`.
    left: bool,
    /// What went wrong behind the bytes that were decrypted.
    failure: Option<io::Error>,
}

impl Stream {
    pub(crate) fn tls(socket: OwnedFd, session: ClientConnection) -> Self {
        Self::Tls(Box::new(Tls {
            socket,
            session,
            pending: Vec::new(),
            taken: 0,
            drained: false,
            left: true,
            failure: None,
        }))
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
            Self::Tls(tls) => {
                let mut at = 0;
                tls.read(buffer.len(), |piece| {
                    buffer[at..at + piece.len()].copy_from_slice(piece);
                    at += piece.len();
                })
            }
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
                    buffer.resize(before + max.min(ZEROED), 0);
                    let count =
                        recv(socket, &mut buffer[before..], RecvFlags::DONTWAIT).map(|(count, _)| count);
                    buffer.truncate(before + *count.as_ref().unwrap_or(&0));
                    count?;
                }
                Ok(buffer.len() - before)
            }
            Self::Tls(tls) => tls.read(max, |piece| buffer.extend_from_slice(piece)),
        }
    }

    /// Whether bytes are left inside that the socket's readiness does not show.
    pub(crate) fn has_buffered(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Tls(tls) => tls.left || !tls.pending.is_empty(),
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
    /// Gives at the most `max` decrypted bytes to `sink`.
    fn read(&mut self, max: usize, mut sink: impl FnMut(&[u8])) -> io::Result<usize> {
        self.left = false;
        let mut total = 0;
        loop {
            let mut reader = self.session.reader();
            match reader.fill_buf() {
                Ok([]) => {
                    // close_notify. Behind bytes it is told by the next read.
                    self.left = total > 0;
                    return Ok(total);
                }
                Ok(piece) => {
                    let count = piece.len().min(max - total);
                    sink(&piece[..count]);
                    reader.consume(count);
                    total += count;
                    if total == max {
                        self.left = true;
                        return Ok(total);
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) if total > 0 => {
                    self.left = true;
                    return Ok(total);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let text = "TCP ended without the end of TLS (close_notify): the data may be cut off";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
                Err(error) => return Err(error),
            }
            if self.failure.is_some() {
                // What was decrypted before it comes first.
                self.left = total > 0;
                match self.failure.take_if(|_| total == 0) {
                    Some(failure) => return Err(failure),
                    None => return Ok(total),
                }
            }
            if total > 0 && self.drained && self.pending.is_empty() {
                // The socket has no more, and will say when it does: asking it would cost a system call.
                return Ok(total);
            }
            match self.decrypt() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return if total > 0 { Ok(total) } else { Err(error) };
                }
                Err(error) => self.failure = Some(error),
            }
        }
    }

    /// Gives the session its next encrypted bytes.
    fn decrypt(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            self.receive()?;
        }
        let mut rest = &self.pending[self.taken..];
        let taken = self.session.read_tls(&mut rest);
        self.taken += *taken.as_ref().unwrap_or(&0);
        if self.taken == self.pending.len() {
            self.give_back();
        }
        taken?;
        let blocked = self.session.wants_write();
        let processed = self.session.process_new_packets();
        if self.session.wants_write() && !blocked {
            // An alert that says why, or the answer to a change of keys. What the socket does not take leaves with the
            // next write; when it fails, the next read tells.
            let _ = self.flush();
        }
        match processed {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }

    /// One read of the socket. At its end `pending` stays empty, and the session is told of that by nothing to read.
    fn receive(&mut self) -> io::Result<()> {
        self.pending = CIPHERTEXTS.take();
        self.pending.clear();
        self.pending.reserve_exact(CIPHERTEXT);
        let received = recv(&self.socket, spare_capacity(&mut self.pending), RecvFlags::DONTWAIT);
        self.drained = self.pending.len() < self.pending.capacity();
        if received.is_err() {
            self.give_back();
        }
        received?;
        Ok(())
    }

    fn give_back(&mut self) {
        self.taken = 0;
        CIPHERTEXTS.set(mem::take(&mut self.pending));
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

    /// Several records of a large message in one system call.
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match pieces {
            [piece] => self.write(piece),
            _ => {
                let mut nothing_else = SendAncillaryBuffer::default();
                let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                Ok(sendmsg(self.0, pieces, &mut nothing_else, flags)?)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
