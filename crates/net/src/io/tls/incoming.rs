//! The reading half: encrypted bytes in, what they say out.

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use rustls::{ContentType, Error};

use super::buffers;
use super::messages::{Messages, alert_for};
use super::records::{self, Opener};
use super::shared::{Alert, Shared, invalid, is_blocked};
use crate::io::half::{ReadHalf, Source};
use crate::sync::Arc;

/// From the transport's bytes to the program's.
pub(crate) struct Reader {
    inner: Box<dyn ReadHalf>,
    shared: Arc<Shared>,
    opener: Opener,
    messages: Messages,
    /// Bytes of the inner transport, up to `filled`: decrypted ones, then records that have not been looked at.
    buffer: Vec<u8>,
    filled: usize,
    /// The decrypted bytes that nobody has taken.
    plain: Range<usize>,
    /// Where the next record begins.
    next: usize,
    /// The last read of the inner transport got less than it had room for, and the poller shows when there is more.
    drained: bool,
    /// There may be something to tell that readiness does not show.
    left: bool,
    /// How it ended, behind the decrypted bytes.
    end: Option<End>,
}

enum End {
    /// The server said goodbye (close_notify).
    Orderly,
    /// The inner transport ended without that.
    Cut,
    /// What went wrong. It is told once; after that it counts as a cut.
    Failed(io::Error),
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Reader {
    /// `buffer`: encrypted bytes that have come already.
    pub(super) fn new(
        inner: Box<dyn ReadHalf>,
        shared: Arc<Shared>,
        opener: Opener,
        buffer: Vec<u8>,
    ) -> Self {
        Self {
            inner,
            shared,
            opener,
            messages: Messages::new(),
            filled: buffer.len(),
            buffer,
            plain: 0..0,
            next: 0,
            drained: false,
            left: true,
            end: None,
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.inner.fd()
    }

    pub(crate) fn source(&self) -> Source {
        self.inner.source()
    }

    pub(crate) fn has_buffered(&self) -> bool {
        self.left || self.inner.has_buffered()
    }

    pub(crate) fn owes_write(&self) -> bool {
        self.shared.owes()
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut at = 0;
        self.read_with(buffer.len(), |piece| {
            buffer[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        })
    }

    pub(crate) fn read_append(&mut self, buffer: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        self.read_with(max, |piece| buffer.extend_from_slice(piece))
    }

    /// Gives at the most `max` decrypted bytes to `sink`.
    fn read_with(&mut self, max: usize, mut sink: impl FnMut(&[u8])) -> io::Result<usize> {
        let mut total = 0;
        loop {
            let count = self.plain.len().min(max - total);
            if count > 0 {
                sink(&self.buffer[self.plain.start..self.plain.start + count]);
                self.plain.start += count;
                total += count;
            }
            if total == max {
                self.left = !self.plain.is_empty() || self.has_whole_record() || self.end.is_some();
                self.tidy();
                return Ok(total);
            }
            if self.end.is_some() {
                // What was decrypted before it comes first.
                self.left = total > 0;
                return if total > 0 { Ok(total) } else { self.tell_end() };
            }
            match self.open_next() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    self.fail(error);
                    continue;
                }
            }
            // What is read and does not fit where the caller wants it would lie here, where no poller sees it.
            let room = (max - total).saturating_sub(self.filled - self.next);
            if total > 0 && (self.drained || room < records::MAX_PLAIN) {
                // The socket has no more, or will say that it has: asking it would cost a system call.
                self.left = false;
                self.tidy();
                return Ok(total);
            }
            match self.receive(room) {
                Ok(0) => self.end = Some(End::Cut),
                Ok(_) => {}
                Err(error) if total > 0 && (is_blocked(&error) || is_interrupted(&error)) => {
                    self.left = is_interrupted(&error);
                    return Ok(total);
                }
                Err(error) if is_blocked(&error) || is_interrupted(&error) => {
                    self.left = false;
                    return Err(error);
                }
                Err(error) => self.end = Some(End::Failed(error)),
            }
        }
    }

    fn tell_end(&mut self) -> io::Result<usize> {
        match self.end.take() {
            Some(End::Orderly) => {
                self.end = Some(End::Orderly);
                Ok(0)
            }
            Some(End::Failed(error)) => {
                self.end = Some(End::Cut);
                Err(error)
            }
            Some(End::Cut) | None => {
                self.end = Some(End::Cut);
                let text = "TCP ended without the end of TLS (close_notify): the data may be cut off";
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, text))
            }
        }
    }

    /// The server broke TLS: it is told so, if it can be.
    fn fail(&mut self, error: Error) {
        if let Some(description) = alert_for(&error) {
            self.shared.owe(|secrets| secrets.alert = Some(Alert { is_fatal: true, description }));
        }
        self.end = Some(End::Failed(invalid(error)));
        self.next = self.filled;
    }

    fn has_whole_record(&self) -> bool {
        let rest = &self.buffer[self.next..self.filled];
        // One that is too long is for the next read to tell.
        records::length(rest).map_or(true, |length| length.is_some_and(|length| length <= rest.len()))
    }

    /// Decrypts the next record and does what it says; false when it has not come whole.
    fn open_next(&mut self) -> Result<bool, Error> {
        let rest = &mut self.buffer[self.next..self.filled];
        let start = rest.as_ptr().addr();
        let Some(length) = records::length(rest)? else { return Ok(false) };
        let Some(record) = rest.get_mut(..length) else { return Ok(false) };
        let message = self.opener.open(record)?;
        match message.typ {
            ContentType::ApplicationData => {
                let count = message.payload.len();
                let offset = self.next + (message.payload.as_ptr().addr() - start);
                self.messages.data(count)?;
                self.plain = offset..offset + count;
            }
            ContentType::Alert => {
                if self.messages.alert(message.payload, self.opener.is_tls13())? {
                    self.end = Some(End::Orderly);
                }
            }
            ContentType::Handshake => {
                self.messages.handshake(message.payload, &mut self.opener, &self.shared)?;
            }
            other => return Err(records::unexpected(other)),
        }
        self.next += length;
        Ok(true)
    }

    /// One read of the inner transport, behind the record that has begun: of about `wanted` bytes, and of a record.
    fn receive(&mut self, wanted: usize) -> io::Result<usize> {
        if self.buffer.len() == buffers::SIZE {
            self.buffer.copy_within(self.next..self.filled, 0);
        } else {
            let begun = std::mem::replace(&mut self.buffer, buffers::take());
            self.buffer[..self.filled - self.next].copy_from_slice(&begun[self.next..self.filled]);
        }
        self.filled -= self.next;
        (self.plain, self.next) = (0..0, 0);
        let end = self.filled.saturating_add(wanted.max(records::LONGEST)).min(buffers::SIZE);
        let received = self.inner.read(&mut self.buffer[self.filled..end]);
        match received {
            Ok(count) => {
                self.drained = count < end - self.filled && !self.inner.has_buffered();
                self.filled += count;
            }
            Err(_) => self.tidy(),
        }
        received
    }

    /// Holds no more than the record that has begun.
    fn tidy(&mut self) {
        if !self.plain.is_empty() || self.has_whole_record() {
            return;
        }
        let begun = self.buffer[self.next..self.filled].to_vec();
        buffers::give_back(&mut self.buffer);
        self.filled = begun.len();
        self.buffer = begun;
        (self.plain, self.next) = (0..0, 0);
    }
}

fn is_interrupted(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}
