//! TLS over another transport, as two halves that share one session.
//!
//! The session's lock is held for cryptography alone, never while bytes come or go: the reader fetches encrypted bytes
//! without it, the writer sends them without it. Only the writer takes encrypted bytes out of the session, so they leave
//! in the order in which they were encrypted; what reading brought up for the server (an alert, the answer to a change
//! of keys) waits in the session, and `owed` says so.
//!
//! An idle connection holds no buffers: they come from a small store of each thread and go back as soon as they are
//! empty.

use std::cell::RefCell;
use std::io::{self, BufRead, IoSlice, Write};
use std::mem;
use std::os::fd::BorrowedFd;

use rustls::ClientConnection;

use super::Transport;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::tls::Problem;

/// Encrypted bytes that one read takes, and about as many as one write makes.
const CIPHERTEXT: usize = 64 << 10;

/// Buffers that a thread keeps: TLS inside TLS uses two in each direction.
const KEPT: usize = 4;

thread_local! {
    /// Buffers for encrypted bytes. The allocator is not asked on every message: a piece of this size makes it tidy up,
    /// each time it is freed.
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn take_buffer() -> Vec<u8> {
    BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

fn give_back(buffer: &mut Vec<u8>) {
    let mut buffer = mem::take(buffer);
    buffer.clear();
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.len() < KEPT && buffer.capacity() > 0 {
            buffers.push(buffer);
        }
    });
}

/// What both halves share.
#[derive(Debug)]
struct Shared {
    session: Mutex<ClientConnection>,
    /// The session holds encrypted bytes that the writer has not taken out.
    owed: AtomicBool,
}

impl Shared {
    fn session(&self) -> MutexGuard<'_, ClientConnection> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn halves(inner: Transport, session: ClientConnection) -> (Reader, Writer) {
    let owed = AtomicBool::new(session.wants_write());
    let shared = Arc::new(Shared { session: Mutex::new(session), owed });
    let (reader, writer) = inner.into_halves();
    let reader = Reader {
        inner: reader,
        shared: Arc::clone(&shared),
        pending: Vec::new(),
        taken: 0,
        drained: false,
        ended: false,
        // What came behind the end of the handshake may be there already.
        left: true,
        failure: None,
    };
    (reader, Writer { inner: writer, shared, outgoing: Vec::new(), sent: 0 })
}

/// See [`Transport::handshake`].
pub(super) fn handshake(reader: &mut Reader, writer: &mut Writer) -> io::Result<bool> {
    loop {
        if !writer.flush()? {
            return Ok(false);
        }
        if !reader.shared.session().is_handshaking() {
            return Ok(true);
        }
        match reader.decrypt() {
            Ok(()) if reader.ended => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                // The alert that tells the server why. If the socket takes no more, the end of TCP alone has to do.
                let _ = writer.flush();
                return Err(error);
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reader {
    inner: super::Reader,
    shared: Arc<Shared>,
    /// Encrypted bytes that the session has not taken, from `taken` on.
    pending: Vec<u8>,
    taken: usize,
    /// The last read of the inner transport got less than it had room for, and the poller shows when there is more.
    drained: bool,
    /// The inner transport has ended.
    ended: bool,
    /// There is something to tell that readiness does not show: decrypted bytes, the end, `failure`.
    left: bool,
    /// What went wrong behind the bytes that were decrypted.
    failure: Option<io::Error>,
}

impl Reader {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.inner.fd()
    }

    pub(super) fn has_buffered(&self) -> bool {
        self.left || !self.pending.is_empty() || self.inner.has_buffered()
    }

    pub(super) fn owes_write(&self) -> bool {
        self.shared.owed.load(Ordering::SeqCst)
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut at = 0;
        self.read_with(buffer.len(), |piece| {
            buffer[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        })
    }

    pub(super) fn read_append(&mut self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        self.read_with(max, |piece| buffer.extend_from_slice(piece))
    }

    /// Gives at the most `max` decrypted bytes to `sink`.
    fn read_with(&mut self, max: usize, mut sink: impl FnMut(&[u8])) -> io::Result<usize> {
        self.left = false;
        let mut total = 0;
        loop {
            match take_decrypted(&mut self.shared.session(), max - total, &mut sink) {
                Ok(0) => {
                    // close_notify. Behind bytes it is told by the next read.
                    self.left = total > 0;
                    return Ok(total);
                }
                Ok(count) => {
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
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) =>
                {
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
        let shared = Arc::clone(&self.shared);
        let mut session = shared.session();
        let mut rest = &self.pending[self.taken..];
        let taken = session.read_tls(&mut rest);
        self.taken += *taken.as_ref().unwrap_or(&0);
        if self.taken == self.pending.len() {
            self.taken = 0;
            give_back(&mut self.pending);
        }
        taken?;
        let processed = session.process_new_packets();
        if session.wants_write() {
            shared.owed.store(true, Ordering::SeqCst);
        }
        match processed {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, Problem(error))),
        }
    }

    /// One read of the inner transport. At its end `pending` stays empty, and the session is told of that by nothing to
    /// read.
    fn receive(&mut self) -> io::Result<()> {
        self.pending = take_buffer();
        self.pending.reserve_exact(CIPHERTEXT);
        let received = self.inner.read_append(&mut self.pending, CIPHERTEXT);
        match received {
            Ok(count) => {
                self.drained = count < CIPHERTEXT && !self.inner.has_buffered();
                self.ended = count == 0;
                Ok(())
            }
            Err(error) => {
                give_back(&mut self.pending);
                Err(error)
            }
        }
    }
}

/// One piece of what the session has decrypted; 0 is the end.
fn take_decrypted(
    session: &mut ClientConnection,
    max: usize,
    sink: &mut impl FnMut(&[u8]),
) -> io::Result<usize> {
    let mut reader = session.reader();
    let piece = reader.fill_buf()?;
    let count = piece.len().min(max);
    sink(&piece[..count]);
    reader.consume(count);
    Ok(count)
}

#[derive(Debug)]
pub(crate) struct Writer {
    inner: super::Writer,
    shared: Arc<Shared>,
    /// Encrypted bytes that the inner transport has not taken, from `sent` on.
    outgoing: Vec<u8>,
    sent: usize,
}

impl Writer {
    pub(super) fn wants_write(&self) -> bool {
        !self.outgoing.is_empty() || self.shared.owed.load(Ordering::SeqCst) || self.inner.wants_write()
    }

    pub(super) fn held(&self) -> usize {
        self.outgoing.len() - self.sent + self.inner.held()
    }

    /// Nothing is taken while encrypted bytes wait: what is held here stays small.
    pub(super) fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.flush()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.encrypt(|session| session.writer().write_vectored(pieces))?;
        self.push()?;
        Ok(count)
    }

    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if self.shared.owed.load(Ordering::SeqCst) {
            self.encrypt(|_| Ok(()))?;
        }
        self.push()
    }

    pub(super) fn shutdown_write(&mut self) {
        let encrypted = self.encrypt(|session| {
            session.send_close_notify();
            Ok(())
        });
        // If the socket takes no more, FIN alone has to do.
        let _ = encrypted.and_then(|()| self.push());
        self.inner.shutdown_write();
    }

    pub(super) fn shutdown(&mut self) {
        self.inner.shutdown();
    }

    /// Moves what the session has for the server to `outgoing`, behind what `step` adds to it.
    fn encrypt<T>(&mut self, step: impl FnOnce(&mut ClientConnection) -> io::Result<T>) -> io::Result<T> {
        if self.outgoing.is_empty() {
            self.outgoing = take_buffer();
        }
        let mut session = self.shared.session();
        let value = step(&mut session);
        while session.wants_write() {
            session.write_tls(&mut self.outgoing)?;
        }
        self.shared.owed.store(false, Ordering::SeqCst);
        value
    }

    /// Sends what waits; true when nothing is left.
    fn push(&mut self) -> io::Result<bool> {
        while self.sent < self.outgoing.len() {
            match self.inner.write(&self.outgoing[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sent = 0;
        give_back(&mut self.outgoing);
        self.inner.flush()
    }
}
