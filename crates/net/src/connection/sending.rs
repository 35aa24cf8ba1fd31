//! The sending side as the language sees it: messages, whole or in pieces, room for them, and pings.

use std::io;
use std::time::Duration;

use sunsocket_wire::{Compressed, Deflater, MessageKind};

use super::{Connection, Scope, SendHalf};
use crate::error::{Error, ErrorKind};
use crate::reactor::Role;
use crate::session::gathering::{Manner, Writes};
use crate::session::send::Room;
use crate::session::word::{DUE_VISIT, FULL, GATHERED, ROOM_UNTOLD, SENDING_PIECES, State};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Instant, lock};

impl Connection {
    /// Queues one message and writes it when that is due. Waits for nothing but another thread that sends, and for that as
    /// long as it compresses. `compress`: whether to, where permessage-deflate was agreed; `None` leaves that to the message's
    /// size.
    ///
    /// # Errors
    /// `Closed` when the connection is not open.
    pub fn send(
        self: &Arc<Self>,
        kind: MessageKind,
        payload: &[u8],
        compress: Option<bool>,
    ) -> Result<Room, Error> {
        if self.state() != State::Open || self.is_forked() {
            return Err(self.not_open());
        }
        if !self.compresses(payload.len(), compress) {
            return self.send_in(self.send_half(), kind, payload, None, compress);
        }
        // Held until the frame is in the outbox: frames leave in the order in which they were compressed.
        let mut deflater = lock(&self.deflater);
        let compressed = deflater.as_mut().map(|deflater| deflater.message(payload));
        self.send_in(self.send_half(), kind, payload, compressed, compress)
    }

    /// The same for a caller that may not wait, because it holds a lock of its language's. `None`: another thread sends right
    /// now, and nothing was done; call [`Connection::send`] where waiting is allowed.
    pub fn try_send(
        self: &Arc<Self>,
        kind: MessageKind,
        payload: &[u8],
        compress: Option<bool>,
    ) -> Option<Result<Room, Error>> {
        if self.state() != State::Open || self.is_forked() {
            return Some(Err(self.not_open()));
        }
        if !self.compresses(payload.len(), compress) {
            let half = self.try_send_half()?;
            return Some(self.send_in(Some(half), kind, payload, None, compress));
        }
        let mut deflater = self.deflater.try_lock().ok()?;
        let half = self.try_send_half()?;
        let compressed = deflater.as_mut().map(|deflater| deflater.message(payload));
        Some(self.send_in(Some(half), kind, payload, compressed, compress))
    }

    /// Whether a message of this size is compressed. One that has to wait behind another in pieces is when it leaves.
    fn compresses(&self, size: usize, compress: Option<bool>) -> bool {
        Deflater::takes(size, compress)
            && !self.word.get().has(SENDING_PIECES)
            && self.handshake_ref().is_some_and(|handshake| handshake.compression.is_some())
    }

    fn send_in(
        self: &Arc<Self>,
        half: Option<Scope<'_, SendHalf>>,
        kind: MessageKind,
        payload: &[u8],
        compressed: Option<Compressed<'_>>,
        compress: Option<bool>,
    ) -> Result<Room, Error> {
        let Some(mut half) = half.filter(|_| self.state() == State::Open) else {
            return Err(self.not_open());
        };
        if half.session.wait_behind(kind, compress, payload) {
            return Ok(half.session.room());
        }
        let was_empty = half.session.pending().is_empty();
        match compressed {
            Some(compressed) => {
                half.session.message(kind, &compressed, true);
                compressed.sent();
            }
            None => half.session.message(kind, payload, false),
        }
        self.deadlines.note_message(self);
        let writes = half.write_soon(self, was_empty);
        let room = half.session.room();
        drop(half);
        if writes == Writes::Nobody {
            self.reactor.note_gathered_again();
        }
        Ok(room)
    }

    /// Begins a message that is sent in pieces (RFC 6455 5.4). What others send meanwhile leaves behind it. False: another
    /// one is under way; ask again when [`Connection::is_sending_pieces`] says no more.
    ///
    /// # Errors
    /// `Closed` when the connection is not open.
    pub fn begin_pieces(self: &Arc<Self>, kind: MessageKind, compress: Option<bool>) -> Result<bool, Error> {
        let half = self.send_half().filter(|_| self.state() == State::Open);
        half.map(|mut half| half.session.begin_pieces(kind, compress)).ok_or_else(|| self.not_open())
    }

    /// Sends the next piece of the message that was begun; `last` ends it.
    ///
    /// # Errors
    /// `Closed` when the connection is not open any more.
    pub fn send_piece(self: &Arc<Self>, piece: &[u8], last: bool) -> Result<Room, Error> {
        // Held until the frame is in the outbox: frames leave in the order in which they were compressed.
        let mut deflater = lock(&self.deflater);
        let under_way = self.send_half().and_then(|half| half.session.pieces_of());
        // Without one under way the connection has ended meanwhile.
        let Some((kind, compress)) = under_way else { return Err(self.not_open()) };
        let compresses = Deflater::takes(piece.len(), compress);
        let (mut half, was_empty) = {
            let compressor = deflater.as_mut().filter(|_| compresses);
            let compressed = compressor.map(|compressor| compressor.piece(piece, last));
            let Some(mut half) = self.send_half().filter(|_| self.state() == State::Open) else {
                return Err(self.not_open());
            };
            let was_empty = half.session.pending().is_empty();
            // The first piece decides for all of them.
            half.session.compresses_pieces(compressed.is_some());
            match compressed {
                Some(compressed) => {
                    half.session.piece(kind, &compressed, last, true);
                    compressed.sent();
                }
                None => half.session.piece(kind, piece, last, false),
            }
            (half, was_empty)
        };
        if last {
            half.queue_those_behind(deflater.as_mut());
        }
        self.deadlines.note_message(self);
        half.write_soon(self, was_empty);
        let room = half.session.room();
        drop(half);
        drop(deflater);
        Ok(room)
    }

    /// Whether a message is being sent in pieces.
    pub fn is_sending_pieces(&self) -> bool {
        self.word.get().has(SENDING_PIECES)
    }

    /// Bytes that the operating system has not taken yet.
    pub fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Acquire)
    }

    /// Whether a sender should wait: true from above the high-water mark until at or below the low-water mark.
    pub fn is_full(&self) -> bool {
        self.word.get().has(FULL)
    }

    /// True once after each `Room::Full`, when the unsent bytes fell to the low-water mark (or the connection closed).
    pub fn take_writable(&self) -> bool {
        self.word.clear(ROOM_UNTOLD).has(ROOM_UNTOLD)
    }

    /// Has [`Connection::take_writable`] say true once more: somebody came to wait for room that is there already.
    pub fn request_room_report(self: &Arc<Self>) {
        self.word.set(ROOM_UNTOLD | DUE_VISIT);
        self.request_delivery();
    }

    /// To be called by a sender that got [`Room::Full`] and now waits until there is room. As long as one does not,
    /// nothing more is read: its answers would pile up.
    pub fn sender_waits(self: &Arc<Self>) {
        if let Some(mut half) = self.send_half() {
            half.session.sender_waits();
        }
    }

    /// Writes out what is corked or queued as far as the operating system takes it now; true when nothing is left.
    pub fn flush(self: &Arc<Self>) -> bool {
        let Some(mut half) = self.send_half() else { return true };
        half.write_out();
        half.session.unsent() == 0
    }

    /// Sends a ping. The number it returns is what `pong_arrived` waits for. An empty payload is replaced by a unique one.
    ///
    /// # Errors
    /// `Closed`, or `InvalidArgument` for a payload of more than 125 bytes (RFC 6455 5.5).
    pub fn ping(self: &Arc<Self>, payload: &[u8]) -> Result<u64, Error> {
        if payload.len() > 125 {
            let text = format!("cannot ping with {} bytes: a ping carries 125 at the most", payload.len());
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        let Some(mut half) = self.send_half().filter(|_| self.state() == State::Open) else {
            return Err(self.not_open());
        };
        let number = half.session.ping(payload, Instant::now());
        half.write_out();
        Ok(number)
    }

    /// The round trip of ping `number` (or of a later one, which answers for it), once its pong came.
    pub fn pong_arrived(&self, number: u64) -> Option<Duration> {
        (self.answered.load(Ordering::SeqCst) >= number).then(|| self.latency()).flatten()
    }

    /// The last measured round trip of a ping.
    pub fn latency(&self) -> Option<Duration> {
        self.latency.load(Ordering::SeqCst).checked_sub(1).map(Duration::from_nanos)
    }

    /// Writes what senders gathered. `paces`: the caller comes again at intervals, while that is wanted.
    pub(super) fn write_what_was_gathered(self: &Arc<Self>, paces: bool) {
        self.word.clear(GATHERED);
        let Some(mut half) = self.send_half() else { return };
        let found = half.session.pending().len();
        half.write_out();
        half.session.gathering.looked(found, paces);
    }
}

impl SendHalf {
    /// The message in pieces is complete: what others sent meanwhile follows, as it is but where the program wants it
    /// compressed.
    fn queue_those_behind(&mut self, mut deflater: Option<&mut Deflater>) {
        for behind in self.session.end_pieces() {
            match deflater.as_mut().filter(|_| behind.compress == Some(true)) {
                Some(deflater) => {
                    let compressed = deflater.message(&behind.payload);
                    self.session.message(behind.kind, &compressed, true);
                    compressed.sent();
                }
                None => self.session.message(behind.kind, &behind.payload, false),
            }
        }
    }

    /// Writes what was just queued, or sees to it that somebody does soon: many small messages are to share a write.
    fn write_soon(&mut self, connection: &Connection, was_empty: bool) -> Writes {
        connection.reactor.note_sent();
        if self.session.is_blocked() {
            // The poller says when there is room for more.
            return Writes::Others;
        }
        let writes = self.gather(connection, was_empty);
        if writes == Writes::Caller {
            self.write_out();
        }
        writes
    }

    /// Who writes what was just queued; others are told.
    pub(super) fn gather(&mut self, connection: &Connection, was_empty: bool) -> Writes {
        let reactor = &connection.reactor;
        let manner = || Manner {
            corked: reactor.is_dispatching_here(),
            owner_is_away: reactor.is_owner_away(),
            may_pace: reactor.role() == Role::Thread,
        };
        let unsent = self.session.pending().len();
        let writes = self.session.gathering.queued(unsent, was_empty, manner, Instant::now);
        if writes == Writes::Others {
            connection.word.set(GATHERED);
        }
        writes
    }

    /// Writes until nothing is left or the socket blocks.
    pub(super) fn write_out(&mut self) {
        let Self { session, writer: Some(writer), .. } = self else { return };
        loop {
            let wrote = if session.pending().is_empty() {
                if !writer.wants_write() {
                    session.wrote(false);
                    // What the server is owed had to wait for room.
                    if session.answer() {
                        continue;
                    }
                    if session.may_shut_down() {
                        writer.shutdown_write();
                    }
                    return;
                }
                writer.flush().map(|done| if done { Some(0) } else { None })
            } else {
                writer.write(session.pending()).map(Some)
            };
            match wrote {
                Ok(Some(count)) => session.written(count, writer.held(), Instant::now),
                Ok(None) => {
                    session.written(0, writer.held(), Instant::now);
                    session.wrote(true);
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    session.written(0, writer.held(), Instant::now);
                    session.wrote(true);
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    session.broke();
                    return;
                }
            }
        }
    }
}
