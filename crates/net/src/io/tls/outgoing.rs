//! The writing half: the program's bytes in, records out, and between them what the reader owes.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSlice};

use rustls::crypto::cipher::OutboundChunks;
use rustls::{AlertDescription, ContentType};

use super::records::{MAX_PLAIN, Sealer};
use super::shared::{Alert, Shared, invalid, is_blocked};
use crate::io::half::WriteHalf;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;

/// What one write takes: no more than this is held.
const PIECE: usize = 4 * MAX_PLAIN;

/// Records in one system call.
const TOGETHER: usize = 8;

/// A key_update message that asks for nothing in return (RFC 8446 4.6.3).
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];

/// From the program's bytes to the transport's.
pub(crate) struct Writer {
    inner: Box<dyn WriteHalf>,
    shared: Arc<Shared>,
    sealer: Sealer,
    /// Records that the inner transport has not taken, the first one from `sent` on.
    outgoing: VecDeque<Vec<u8>>,
    sent: usize,
    /// The bytes of all of them that it has not taken.
    held: usize,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) fn new(inner: Box<dyn WriteHalf>, shared: Arc<Shared>, sealer: Sealer) -> Self {
        Self { inner, shared, sealer, outgoing: VecDeque::new(), sent: 0, held: 0 }
    }

    pub(crate) fn wants_write(&self) -> bool {
        !self.outgoing.is_empty() || self.shared.owes() || self.inner.wants_write()
    }

    pub(crate) fn held(&self) -> usize {
        self.held + self.inner.held()
    }

    /// Nothing is taken while records wait: what is held here stays small.
    pub(crate) fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.flush()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut taken = 0;
        match pieces {
            [piece] => {
                for record in piece[..piece.len().min(PIECE)].chunks(MAX_PLAIN) {
                    self.seal(ContentType::ApplicationData, OutboundChunks::from(record))?;
                    taken += record.len();
                }
            }
            pieces => {
                let mut record = Vec::with_capacity(pieces.len());
                let mut length = 0;
                for piece in pieces {
                    let part = &piece[..piece.len().min(MAX_PLAIN - length)];
                    record.push(part);
                    length += part.len();
                    if part.len() < piece.len() {
                        break;
                    }
                }
                if length > 0 {
                    self.seal(ContentType::ApplicationData, OutboundChunks::new(&record))?;
                    taken = length;
                }
            }
        }
        self.push()?;
        Ok(taken)
    }

    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        // Only when nothing waits: a server that asks again and again and does not read makes nothing pile up.
        if self.push()? && self.shared.owes() {
            self.pay()?;
            return self.push();
        }
        Ok(self.outgoing.is_empty() && !self.inner.wants_write())
    }

    pub(crate) fn shutdown_write(&mut self) {
        // What is owed leaves before it. If the socket takes no more, FIN alone has to do.
        let goodbye = Alert { is_fatal: false, description: AlertDescription::CloseNotify };
        let _ = self.flush().and_then(|_| self.alert(goodbye)).and_then(|()| self.push());
        self.inner.shutdown_write();
    }

    pub(crate) fn shutdown(&mut self) {
        self.inner.shutdown();
    }

    /// What the reader owes. Our key changes at once: the server would take our records under the old one, too, but not
    /// for ever.
    fn pay(&mut self) -> io::Result<()> {
        let mut secrets = self.shared.secrets();
        let (key_update, alert) = (std::mem::take(&mut secrets.key_update), secrets.alert.take());
        self.shared.owed.store(false, Ordering::SeqCst);
        drop(secrets);
        if key_update {
            self.change_key()?;
        }
        alert.map_or(Ok(()), |alert| self.alert(alert))
    }

    fn alert(&mut self, alert: Alert) -> io::Result<()> {
        let alert = [if alert.is_fatal { 2 } else { 1 }, u8::from(alert.description)];
        self.seal(ContentType::Alert, OutboundChunks::from(&alert[..]))
    }

    fn change_key(&mut self) -> io::Result<()> {
        self.append(ContentType::Handshake, OutboundChunks::from(&KEY_UPDATE[..]))?;
        let secrets = self.shared.secrets().kernel.update_tx_secret().map_err(invalid)?;
        self.sealer.change_key(secrets).map_err(invalid)
    }

    fn seal(&mut self, kind: ContentType, payload: OutboundChunks<'_>) -> io::Result<()> {
        if self.sealer.wants_new_key() {
            self.change_key()?;
        }
        self.append(kind, payload)
    }

    fn append(&mut self, kind: ContentType, payload: OutboundChunks<'_>) -> io::Result<()> {
        let record = self.sealer.seal(kind, payload).map_err(invalid)?;
        self.held += record.len();
        self.outgoing.push_back(record);
        Ok(())
    }

    /// Sends what waits; true when nothing is left.
    fn push(&mut self) -> io::Result<bool> {
        while let Some(first) = self.outgoing.front() {
            let mut pieces = [IoSlice::new(&[]); TOGETHER];
            pieces[0] = IoSlice::new(&first[self.sent..]);
            for (piece, record) in pieces.iter_mut().zip(&self.outgoing).skip(1) {
                *piece = IoSlice::new(record);
            }
            match self.inner.write_vectored(&pieces[..self.outgoing.len().min(TOGETHER)]) {
                Ok(count) => self.leave(count),
                Err(error) if is_blocked(&error) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.inner.flush()
    }

    /// The inner transport took so many bytes.
    fn leave(&mut self, count: usize) {
        self.held -= count;
        self.sent += count;
        while let Some(first) = self.outgoing.front()
            && self.sent >= first.len()
        {
            self.sent -= first.len();
            self.outgoing.pop_front();
        }
    }

    #[cfg(test)]
    pub(crate) fn limit_key_to(&mut self, more: u64) {
        self.sealer.limit_to(more);
    }
}
