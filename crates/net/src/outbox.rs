//! Bytes that the operating system has not taken yet, and the marks that tell senders to wait.

use std::io;

use crate::io::Writer;
use crate::options::WriteLimit;

/// An empty buffer above this size is given back at once, a smaller one when the connection idles.
const KEEP: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Outbox {
    buffer: Vec<u8>,
    /// Where the unsent bytes begin.
    head: usize,
    limit: WriteLimit,
    /// Above the high-water mark, and not yet down to the low one.
    full: bool,
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing is left.
    All,
    /// The socket takes no more now.
    Blocked,
}

impl Outbox {
    pub(crate) fn new(limit: WriteLimit) -> Self {
        Self { buffer: Vec::new(), head: 0, limit, full: false }
    }

    /// Where frames are appended.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(crate) fn unsent(&self) -> usize {
        self.buffer.len() - self.head
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unsent() == 0
    }

    /// Whether senders wait: from above the high-water mark until at the low one.
    /// `elsewhere`: bytes that wait to be put here, or have left here and wait in TLS.
    pub(crate) fn is_full_with(&mut self, elsewhere: usize) -> bool {
        let unsent = self.unsent() + elsewhere;
        self.full = unsent > if self.full { self.limit.low } else { self.limit.high };
        self.full
    }

    /// Writes until nothing is left or the socket blocks.
    ///
    /// # Errors
    /// The socket's.
    pub(crate) fn flush(&mut self, writer: &mut Writer) -> io::Result<Flushed> {
        loop {
            if self.is_empty() {
                self.clear();
                return match writer.wants_write() {
                    true if !writer.flush()? => Ok(Flushed::Blocked),
                    _ => Ok(Flushed::All),
                };
            }
            match writer.write(&self.buffer[self.head..]) {
                Ok(count) => self.head += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.compact();
                    return Ok(Flushed::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Forgets everything: the connection cannot send any more.
    pub(crate) fn clear(&mut self) {
        self.head = 0;
        if self.buffer.capacity() > KEEP {
            self.buffer = Vec::new();
        } else {
            self.buffer.clear();
        }
    }

    /// Each byte is moved at most once for each byte that was sent.
    fn compact(&mut self) {
        if self.head >= KEEP / 4 && self.head >= self.buffer.len() / 2 {
            self.buffer.drain(..self.head);
            self.head = 0;
        }
    }

    /// Gives memory back that an idle connection does not need.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            self.head = 0;
            self.buffer = Vec::new();
        }
    }
}
