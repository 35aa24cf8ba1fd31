//! Bytes to the server and from it: TCP, or TLS over any other transport.
//!
//! A [`Transport`] is two halves, a [`Reader`] and a [`Writer`], that two threads may use at the same time: one reads
//! while the other writes. Nothing here ever waits; `WouldBlock` says that the poller knows when to go on.
//!
//! - Over a socket a read or a write is one system call and nothing else.
//! - Over TLS a read can decrypt more than was asked for, and a write can be encrypted without having left. So readiness
//!   of the descriptor is not all that there is to know: [`Reader::has_buffered`] asks for another read,
//!   [`Reader::owes_write`] and [`Writer::wants_write`] for a flush, and [`Writer::held`] counts what has not left.
//! - What a transport has to tell, it tells once. What comes behind bytes (an error, the end) is kept for the next read.

mod half;
#[cfg(test)]
mod tests;
mod tls;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustls::client::UnbufferedClientConnection;

pub(crate) use self::half::Source;
use self::half::{ReadHalf, WriteHalf};
use crate::sync::Arc;
use crate::sys::socket;

/// Both directions of a connection, while one thread has them.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

/// What comes from the server.
#[derive(Debug)]
pub(crate) enum Reader {
    Socket(Arc<OwnedFd>),
    Tls(Box<tls::Reader>),
}

/// What goes to the server.
#[derive(Debug)]
pub(crate) enum Writer {
    Socket(Arc<OwnedFd>),
    Tls(Box<tls::Writer>),
}

impl Transport {
    /// A connected socket, whatever its family. TLS begins over it, or over any transport, with a [`Handshake`].
    pub(crate) fn tcp(socket: OwnedFd) -> Self {
        let socket = Arc::new(socket);
        Self { reader: Reader::Socket(Arc::clone(&socket)), writer: Writer::Socket(socket) }
    }

    pub(crate) fn into_halves(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.reader.fd()
    }
}

impl Reader {
    /// What a poller watches. It has to be told no more when either half is dropped.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(socket) => socket.as_fd(),
            Self::Tls(tls) => tls.fd(),
        }
    }

    /// The same, to be watched for longer than this half lives.
    pub(crate) fn source(&self) -> Source {
        match self {
            Self::Socket(socket) => Source::new(socket),
            Self::Tls(tls) => tls.source(),
        }
    }

    /// Reads into `buffer`; 0 is the orderly end.
    ///
    /// # Errors
    /// `WouldBlock`; `UnexpectedEof` when TCP ended and TLS did not; the socket's.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => socket::receive(socket.as_fd(), buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Reads at the most `max` bytes to the end of `buffer`, which has room for them; 0 is the orderly end.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub(crate) fn read_append(&mut self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => socket::receive_append(socket.as_fd(), buffer, max),
            Self::Tls(tls) => tls.read_append(buffer, max),
        }
    }

    /// Whether there is something to read that the descriptor's readiness does not show.
    pub(crate) fn has_buffered(&self) -> bool {
        match self {
            Self::Socket(_) => false,
            Self::Tls(tls) => tls.has_buffered(),
        }
    }

    /// Whether a read has left something for the server (an alert that says why, the answer to a change of keys): the
    /// writer has to be flushed.
    pub(crate) fn owes_write(&self) -> bool {
        match self {
            Self::Socket(_) => false,
            Self::Tls(tls) => tls.owes_write(),
        }
    }
}

impl Writer {
    /// Takes some of `bytes`; over TLS they may stay encrypted inside, see [`Writer::held`].
    ///
    /// # Errors
    /// `WouldBlock`; the socket's.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => socket::send(socket.as_fd(), bytes),
            Self::Tls(tls) => tls.write(&[IoSlice::new(bytes)]),
        }
    }

    /// Takes some of the bytes in `pieces`, in their order.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub(crate) fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => socket::send_vectored(socket.as_fd(), pieces),
            Self::Tls(tls) => tls.write(pieces),
        }
    }

    /// Whether something waits inside for the socket to take it.
    pub(crate) fn wants_write(&self) -> bool {
        match self {
            Self::Socket(_) => false,
            Self::Tls(tls) => tls.wants_write(),
        }
    }

    /// How many bytes wait inside for the operating system. They were taken from the caller, and encrypted: these are a
    /// few more than those.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Socket(_) => 0,
            Self::Tls(tls) => tls.held(),
        }
    }

    /// Pushes out what waits inside; true when nothing is left.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Socket(_) => Ok(true),
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// Says that we have nothing more to say: close_notify over TLS, FIN over TCP.
    pub(crate) fn shutdown_write(&mut self) {
        match self {
            Self::Socket(socket) => socket::shutdown_write(socket.as_fd()),
            Self::Tls(tls) => tls.shutdown_write(),
        }
    }

    /// Ends both directions, for every descriptor of this socket.
    pub(crate) fn shutdown(&mut self) {
        match self {
            Self::Socket(socket) => socket::shutdown(socket.as_fd()),
            Self::Tls(tls) => tls.shutdown(),
        }
    }
}

impl ReadHalf for Reader {
    fn fd(&self) -> BorrowedFd<'_> {
        Self::fd(self)
    }

    fn source(&self) -> Source {
        Self::source(self)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::read(self, buffer)
    }

    fn has_buffered(&self) -> bool {
        Self::has_buffered(self)
    }
}

impl WriteHalf for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::write_vectored(self, pieces)
    }

    fn wants_write(&self) -> bool {
        Self::wants_write(self)
    }

    fn held(&self) -> usize {
        Self::held(self)
    }

    fn flush(&mut self) -> io::Result<bool> {
        Self::flush(self)
    }

    fn shutdown_write(&mut self) {
        Self::shutdown_write(self);
    }

    fn shutdown(&mut self) {
        Self::shutdown(self);
    }
}

/// A TLS handshake under way over a transport.
#[derive(Debug)]
pub(crate) struct Handshake(tls::Handshake);

impl Handshake {
    /// Nothing is sent yet.
    pub(crate) fn new(inner: Transport, session: UnbufferedClientConnection) -> Self {
        let (reader, writer) = inner.into_halves();
        Self(tls::Handshake::new(Box::new(reader), Box::new(writer), session))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Whether it waits for the descriptor to become writable; otherwise, for it to become readable.
    pub(crate) fn wants_write(&self) -> bool {
        self.0.wants_write()
    }

    /// Goes on as far as it gets; true when it is over.
    ///
    /// # Errors
    /// As [`tls::Handshake::step`].
    pub(crate) fn step(&mut self) -> io::Result<bool> {
        self.0.step()
    }

    /// The transport through TLS, after the handshake.
    ///
    /// # Errors
    /// `InvalidData`, when the handshake is not over.
    pub(crate) fn into_transport(self) -> io::Result<Transport> {
        let (reader, writer) = self.0.into_halves()?;
        Ok(Transport { reader: Reader::Tls(Box::new(reader)), writer: Writer::Tls(Box::new(writer)) })
    }
}
