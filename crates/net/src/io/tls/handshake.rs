//! The handshake: the library's state machine over a transport, then the keys of both directions.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};

use super::incoming::Reader;
use super::outgoing::Writer;
use super::records::{Opener, Sealer};
use super::shared::{Secrets, Shared, invalid, is_blocked};
use super::{buffers, records};
use crate::io::half::{ReadHalf, WriteHalf};
use crate::sync::atomic::AtomicBool;
use crate::sync::{Arc, Mutex};

/// Reads in search of the reason for which the server takes no more.
const REFUSAL_READS: usize = 8;

/// A TLS handshake under way over a transport.
pub(crate) struct Handshake {
    reader: Box<dyn ReadHalf>,
    writer: Box<dyn WriteHalf>,
    session: UnbufferedClientConnection,
    /// What has come and is not done with.
    incoming: Vec<u8>,
    /// The session sees whole records one by one, up to here: what stands behind its last one is not for it any more.
    offered: usize,
    outgoing: Vec<u8>,
    sent: usize,
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("reader", &self.reader).finish_non_exhaustive()
    }
}

/// What the session wants next.
enum Next {
    /// To be asked again.
    Again,
    /// The bytes that it has given are to leave first.
    Send,
    /// More of the server's bytes.
    Receive,
    Done,
}

impl Handshake {
    /// Nothing is sent yet.
    pub(in crate::io) fn new(
        reader: Box<dyn ReadHalf>,
        writer: Box<dyn WriteHalf>,
        session: UnbufferedClientConnection,
    ) -> Self {
        Self { reader, writer, session, incoming: Vec::new(), offered: 0, outgoing: Vec::new(), sent: 0 }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.reader.fd()
    }

    /// Whether it waits for the descriptor to become writable; otherwise, for it to become readable.
    pub(crate) fn wants_write(&self) -> bool {
        !self.outgoing.is_empty() || self.writer.wants_write()
    }

    /// Goes on as far as it gets; true when it is over.
    ///
    /// # Errors
    /// `UnexpectedEof` when the server ends the connection instead; `InvalidData` with the [`Problem`](crate::tls::Problem) inside; the
    /// socket's.
    pub(crate) fn step(&mut self) -> io::Result<bool> {
        if self.wants_write() && !self.push()? {
            return Ok(false);
        }
        loop {
            match self.ask() {
                Ok(Next::Again) => {}
                Ok(Next::Send) => {
                    // All of a flight together: a server that refuses its first record drops the connection, and what it
                    // says of that is lost when it finds more.
                    if !self.push()? {
                        return Ok(false);
                    }
                }
                Ok(Next::Receive) => match self.receive() {
                    Ok(()) => {}
                    Err(error) if is_blocked(&error) => return Ok(false),
                    Err(error) => return Err(error),
                },
                Ok(Next::Done) => return Ok(true),
                Err(error) => {
                    self.take_alert();
                    // The alert that tells the server why. If the socket takes no more, the end of TCP has to do.
                    let _ = self.push();
                    return Err(invalid(error));
                }
            }
        }
    }

    /// Both halves, after the handshake.
    ///
    /// # Errors
    /// `InvalidData`, when the handshake is not over.
    pub(in crate::io) fn into_halves(self) -> io::Result<(Reader, Writer)> {
        let (keys, kernel) = self.session.dangerous_into_kernel_connection().map_err(invalid)?;
        let suite = kernel.negotiated_cipher_suite();
        let opener = Opener::new(suite, keys.rx).map_err(invalid)?;
        let sealer = Sealer::new(suite, keys.tx).map_err(invalid)?;
        let secrets = Mutex::new(Secrets { kernel, key_update: false, alert: None });
        let shared = Arc::new(Shared { secrets, owed: AtomicBool::new(false) });
        let reader = Reader::new(self.reader, Arc::clone(&shared), opener, self.incoming);
        Ok((reader, Writer::new(self.writer, shared, sealer)))
    }

    /// One step of the session.
    fn ask(&mut self) -> Result<Next, rustls::Error> {
        let end = self.offered.min(self.incoming.len());
        let UnbufferedStatus { discard, state } = self.session.process_tls_records(&mut self.incoming[..end]);
        let next = match state? {
            ConnectionState::EncodeTlsData(mut data) => {
                let start = self.outgoing.len();
                let mut written = data.encode(&mut []);
                if let Err(EncodeError::InsufficientSize(size)) = &written {
                    self.outgoing.resize(start + size.required_size, 0);
                    written = data.encode(&mut self.outgoing[start..]);
                }
                let written = written
                    .map_err(|_| rustls::Error::General("a record could not be written".to_owned()))?;
                self.outgoing.truncate(start + written);
                Next::Again
            }
            ConnectionState::TransmitTlsData(data) => {
                // It is on its way: everything that follows is written behind it.
                data.done();
                Next::Send
            }
            ConnectionState::BlockedHandshake => Next::Receive,
            ConnectionState::WriteTraffic(_) => Next::Done,
            // The session has seen no record behind the last one of the handshake.
            _ => return Err(records::unexpected(rustls::ContentType::Alert)),
        };
        self.incoming.drain(..discard);
        self.offered -= discard;
        if matches!(next, Next::Receive) && self.incoming.len() >= self.offered {
            // All that it was offered is used or kept: the next record, if it has begun.
            if let Some(length) = records::length(&self.incoming[self.offered..])? {
                self.offered += length;
                return Ok(Next::Again);
            }
        }
        Ok(next)
    }

    /// Takes the session's last words. It is asked only while it has some: then it looks at nothing that has come.
    fn take_alert(&mut self) {
        while self.session.wants_write() {
            let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(mut data)), .. } =
                self.session.process_tls_records(&mut [])
            else {
                return;
            };
            let mut alert = [0; 256];
            let Ok(written) = data.encode(&mut alert) else { return };
            self.outgoing.extend_from_slice(&alert[..written]);
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = buffers::take();
        let received = self.reader.read(&mut buffer);
        self.incoming.extend_from_slice(&buffer[..*received.as_ref().unwrap_or(&0)]);
        buffers::give_back(&mut buffer);
        match received {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            received => received.map(|_| ()),
        }
    }

    /// Sends what waits; true when nothing is left.
    fn push(&mut self) -> io::Result<bool> {
        while self.sent < self.outgoing.len() {
            match self.writer.write(&self.outgoing[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if is_blocked(&error) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.refusal().unwrap_or(error)),
            }
        }
        self.sent = 0;
        self.outgoing = Vec::new();
        self.writer.flush()
    }

    /// What the server said before it would take no more: an alert, most likely.
    fn refusal(&mut self) -> Option<io::Error> {
        for _ in 0..REFUSAL_READS {
            self.receive().ok()?;
            match self.ask() {
                Ok(_) => {}
                Err(error) => return Some(invalid(error)),
            }
        }
        None
    }
}
