//! The sending half of a link: when messages are written, by whom, and what waits behind a message in pieces.

use std::time::Duration;

use sunsocket_wire::MessageKind;

use super::Link;
use crate::connection::{Connection, Room};
use crate::entropy;
use crate::outbox::Flushed;
use crate::reactor::Role;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Instant};

/// A `send` this soon after the last one is gathered with it in place of being written by itself.
pub(super) const GATHER: Duration = Duration::from_micros(50);
/// A sender that finds this much gathered writes it itself.
const SENDER_WRITES: usize = 64 << 10;
/// A flush that finds this much has met a stream of sends: the reactor looks only at intervals from then on.
const STREAMING: usize = 16 << 10;
/// Looks that find nothing after which the stream of sends is over.
const STREAM_MISSES: u8 = 5;

/// A message that is being sent in pieces, and what waits for its end.
pub(super) struct Pieces {
    kind: MessageKind,
    compress: Option<bool>,
    behind: Vec<(MessageKind, Option<bool>, Vec<u8>)>,
    behind_bytes: usize,
}

impl Link {
    fn behind_bytes(&self) -> usize {
        self.pieces.as_ref().map_or(0, |pieces| pieces.behind_bytes)
    }

    /// Bytes outside the outbox that the operating system has not got either: those behind a message in pieces, and
    /// those that TLS has encrypted and holds.
    fn unsent_elsewhere(&self) -> usize {
        self.behind_bytes() + self.transport.as_ref().map_or(0, |transport| transport.writer.held())
    }

    pub(crate) fn unsent(&self) -> usize {
        self.outbox.unsent() + self.unsent_elsewhere()
    }

    /// Whether senders wait.
    pub(super) fn is_full(&mut self) -> bool {
        let elsewhere = self.unsent_elsewhere();
        self.outbox.is_full_with(elsewhere)
    }

    pub(crate) fn send(
        &mut self,
        connection: &Arc<Connection>,
        kind: MessageKind,
        payload: &[u8],
        compress: Option<bool>,
    ) -> Room {
        if let Some(pieces) = &mut self.pieces {
            pieces.behind.push((kind, compress, payload.to_vec()));
            pieces.behind_bytes += payload.len();
            return self.room(connection);
        }
        let was_empty = self.outbox.is_empty();
        if !self.broken {
            self.client.send(kind, payload, compress, entropy::mask(), self.outbox.buffer());
        }
        self.note_message(connection);
        self.schedule(connection, was_empty);
        self.room(connection)
    }

    fn room(&mut self, connection: &Arc<Connection>) -> Room {
        if self.is_full() {
            connection.full.store(true, Ordering::SeqCst);
            self.overdrafts += 1;
            // The server may wait for us to read before it does: a full hold drops from here on, if nobody wants it.
            self.resume(connection);
            Room::Full
        } else {
            Room::Plenty
        }
    }

    /// One of those that got `Room::Full` waits.
    pub(crate) fn sender_waits(&mut self, connection: &Arc<Connection>) {
        self.overdrafts = self.overdrafts.saturating_sub(1);
        self.resume(connection);
    }

    /// False: another message is being sent in pieces.
    pub(crate) fn begin_pieces(
        &mut self,
        connection: &Connection,
        kind: MessageKind,
        compress: Option<bool>,
    ) -> bool {
        if self.pieces.is_some() {
            return false;
        }
        self.pieces = Some(Pieces { kind, compress, behind: Vec::new(), behind_bytes: 0 });
        connection.sending_pieces.store(true, Ordering::SeqCst);
        true
    }

    pub(crate) fn send_piece(&mut self, connection: &Arc<Connection>, piece: &[u8], last: bool) -> Room {
        let Some(Pieces { kind, compress, .. }) = self.pieces else { return self.room(connection) };
        let was_empty = self.outbox.is_empty();
        if !self.broken {
            self.client.send_piece(kind, piece, last, compress, entropy::mask(), self.outbox.buffer());
        }
        if last {
            self.end_pieces(connection);
        }
        self.note_message(connection);
        self.schedule(connection, was_empty);
        self.room(connection)
    }

    /// The message is complete, or never will be: what waited behind it follows.
    pub(super) fn end_pieces(&mut self, connection: &Arc<Connection>) {
        let Some(Pieces { behind, .. }) = self.pieces.take() else { return };
        for (kind, compress, payload) in behind {
            if !self.broken {
                self.client.send(kind, &payload, compress, entropy::mask(), self.outbox.buffer());
            }
        }
        connection.sending_pieces.store(false, Ordering::SeqCst);
        // Whoever waits to send the next one in pieces.
        connection.writable_due.store(true, Ordering::SeqCst);
        connection.report();
        connection.reactor().leadership.notify_followers();
    }

    pub(crate) fn ping(&mut self, connection: &Arc<Connection>, payload: &[u8]) -> u64 {
        let (number, payload) = self.keep_alive.ping(payload, Instant::now());
        self.client.ping(&payload, entropy::mask(), self.outbox.buffer());
        self.write_out(connection);
        number
    }

    /// Writes now, or sees to it that somebody does soon: many small messages are to share a write.
    pub(super) fn schedule(&mut self, connection: &Arc<Connection>, was_empty: bool) {
        let reactor = connection.reactor();
        reactor.note_sent();
        if self.blocked {
            return;
        }
        let corked = reactor.is_dispatching_here();
        if self.outbox.unsent() >= SENDER_WRITES {
            if !corked && reactor.role() == Role::Thread && self.stream_misses.is_none() {
                // Whoever sends this fast needs no reactor to be woken for each write.
                self.stream_misses = Some(0);
                self.list(connection, false);
            }
            return self.write_out(connection);
        }
        if self.listed {
            return;
        }
        if corked {
            return self.list(connection, true);
        }
        if was_empty {
            let now = Instant::now();
            let gather = now.duration_since(self.last_send) < GATHER;
            self.last_send = now;
            if !gather || reactor.is_owner_away() {
                return self.write_out(connection);
            }
        }
        self.list(connection, false);
    }

    fn list(&mut self, connection: &Arc<Connection>, corked: bool) {
        if !self.listed {
            self.listed = true;
            connection.reactor().request_flush(Arc::clone(connection), corked);
        }
    }

    /// The reactor's turn to write what was gathered; true when it is to look again at an interval.
    pub(crate) fn flush_listed(&mut self, connection: &Arc<Connection>, paced: bool) -> bool {
        let found = self.outbox.unsent();
        self.write_out(connection);
        let misses = self.stream_misses.take();
        let goes_on = paced
            && match misses {
                Some(misses) if found == 0 => {
                    self.stream_misses = Some(misses + 1);
                    misses < STREAM_MISSES
                }
                Some(_) => {
                    self.stream_misses = Some(0);
                    true
                }
                None => {
                    self.stream_misses = (found >= STREAMING).then_some(0);
                    found >= STREAMING
                }
            };
        let goes_on = goes_on && self.transport.is_some();
        if !goes_on {
            self.stream_misses = None;
        }
        self.listed = goes_on;
        goes_on
    }

    /// Writes until nothing is left or the socket blocks.
    pub(crate) fn write_out(&mut self, connection: &Arc<Connection>) {
        let Some(transport) = self.transport.as_mut() else { return };
        loop {
            match self.outbox.flush(&mut transport.writer) {
                Ok(Flushed::All) => {
                    self.blocked = false;
                    if self.client.transmit(&mut entropy::mask, self.outbox.buffer()) {
                        continue;
                    }
                    if let Some(closing) = &mut self.closing
                        && closing.may_shut_down()
                    {
                        transport.writer.shutdown_write();
                    }
                }
                Ok(Flushed::Blocked) => self.blocked = true,
                Err(_) => {
                    // The read that follows tells why, after what the server may have said before.
                    self.outbox.clear();
                    self.blocked = false;
                    self.broken = true;
                }
            }
            break;
        }
        self.watch(connection);
        if connection.full.load(Ordering::SeqCst) && !self.is_full() {
            self.has_room_again(connection);
        }
    }

    pub(super) fn has_room_again(&mut self, connection: &Arc<Connection>) {
        self.overdrafts = 0;
        connection.full.store(false, Ordering::SeqCst);
        connection.writable_due.store(true, Ordering::SeqCst);
        self.resume(connection);
        connection.report();
        connection.reactor().leadership.notify_followers();
    }
}
