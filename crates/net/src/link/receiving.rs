//! The receiving half of a link: what is read when, and what becomes of it.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use sunsocket_wire::{CloseFrame, Event, Violation};

use super::{HOLD_PATIENCE, Link};
use crate::closing::Closing;
use crate::connection::{Connection, State};
use crate::entropy;
use crate::inbox::Inbox;
use crate::reactor::lock;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Instant};

/// Reads of one connection in one turn, so that a flood does not starve the others.
const READS_A_TURN: usize = 8;
/// A read of so much may have the beginning of a large message in it: a spare buffer is lent for that.
const LENDS_FROM: usize = 1 << 10;
/// The most that one read of a large message takes.
const LARGE_READ: usize = 1 << 20;
/// Answers to the server wait while this much is unsent: the newest ping wins (RFC 6455 5.5.3).
const ANSWERS_WAIT: usize = 64 << 10;
/// How long the messages that came before a violation may keep the connection from being failed.
const FAILING_PATIENCE: Duration = Duration::from_secs(1);

impl Link {
    /// Reads what the socket has, a few buffers at the most.
    pub(crate) fn read_in(
        &mut self,
        connection: &Arc<Connection>,
        buffer: &mut [u8],
        hangup: bool,
        now: Instant,
    ) {
        let mut taken = 0;
        for _ in 0..READS_A_TURN {
            if self.must_pause(connection) {
                return self.pause(connection, hangup, now);
            }
            let read = self.read_once(connection, buffer, now);
            if self.transport.as_ref().is_some_and(|transport| transport.reader.owes_write()) {
                // Also where reading failed: an alert tells the server why.
                self.write_out(connection);
            }
            match read {
                Ok(ControlFlow::Continue(count)) => {
                    taken += count;
                    if taken >= buffer.len() {
                        // Large messages: what is read now is in the caches now, so deliver it first.
                        break;
                    }
                }
                Ok(ControlFlow::Break(())) => return self.answer(connection),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.answer(connection),
                Err(error) => return self.lost(connection, Some(error)),
            }
        }
        self.answer(connection);
        self.revisit_unread(connection);
    }

    /// Whether there are bytes that the socket's readiness does not show.
    pub(super) fn has_unread(&self) -> bool {
        !self.unread.0.is_empty()
            || self.transport.as_ref().is_some_and(|transport| transport.reader.has_buffered())
    }

    /// Has them read soon.
    pub(super) fn revisit_unread(&self, connection: &Arc<Connection>) {
        if self.has_unread() {
            connection.reactor().revisit(Arc::clone(connection));
        }
    }

    /// The last `left` of the bytes were not looked at: they are the first of the next read.
    pub(super) fn put_back(&mut self, bytes: Vec<u8>, left: usize) {
        let start = bytes.len() - left;
        self.unread = if left == 0 { (Vec::new(), 0) } else { (bytes, start) };
    }

    /// One read of so many bytes. `Continue`: there may be more.
    fn read_once(
        &mut self,
        connection: &Arc<Connection>,
        buffer: &mut [u8],
        now: Instant,
    ) -> io::Result<ControlFlow<(), usize>> {
        let Some(transport) = self.transport.as_mut() else { return Ok(ControlFlow::Break(())) };
        if !self.unread.0.is_empty() {
            let (bytes, start) = std::mem::take(&mut self.unread);
            let left = self.take_in(connection, &bytes[start..], now);
            let count = bytes.len() - start - left;
            self.put_back(bytes, left);
            return Ok(ControlFlow::Continue(count));
        }
        let (count, room) = match self.client.read_target() {
            Some(target) if self.closing.as_ref().is_none_or(Closing::still_reads) => {
                let room = target.max.min(LARGE_READ);
                let count = transport.reader.read_append(target.buffer, room)?;
                if count > 0 {
                    self.keep_alive.received(now);
                    let filled = self.client.filled(count);
                    self.handle_one(connection, filled, now);
                }
                (count, room)
            }
            _ => {
                let count = transport.reader.read(buffer)?;
                if count > 0 {
                    self.keep_alive.received(now);
                    let left = self.take_in(connection, &buffer[..count], now);
                    if left > 0 {
                        self.put_back(buffer[count - left..count].to_vec(), left);
                    }
                }
                (count, buffer.len())
            }
        };
        if count == 0 {
            self.lost(connection, None);
            return Ok(ControlFlow::Break(()));
        }
        // A read that did not fill its room has emptied the socket: it will say so when there is more.
        let more = count == room || self.has_unread();
        Ok(if more { ControlFlow::Continue(count) } else { ControlFlow::Break(()) })
    }

    /// Everything that `bytes` brings: messages into the inbox, the rest at once. Returns how many of the bytes were not
    /// looked at, because what came before them inflates to more than the hold takes and nothing may be dropped.
    pub(super) fn take_in(&mut self, connection: &Arc<Connection>, bytes: &[u8], now: Instant) -> usize {
        if self.closing.as_ref().is_some_and(|closing| !closing.still_reads()) {
            return 0;
        }
        let mut input = bytes;
        let mut arrived = false;
        let mut piece_arrived = false;
        let mut close = None;
        let mut violation = None;
        let mut answered = false;
        let mut left = 0;
        let discards = connection.state() != State::Open;
        let spares = &connection.reactor().spares;
        let may_begin_large = bytes.len() >= LENDS_FROM;
        if may_begin_large {
            self.client.lend(spares.take());
        }
        let mut inbox = lock(&connection.inbox);
        let wanted = connection.is_wanted();
        let drops = !wanted && self.may_drop();
        // Where nobody has come yet, not one message more than the hold takes is looked at: it may be long until somebody
        // does. Who takes messages gets along with a full read of small ones.
        let rest = |inbox: &Inbox, input: &[u8]| {
            let full = inbox.is_heavy() || !wanted && inbox.is_full();
            if full && !drops && !discards { input.len() } else { 0 }
        };
        while left == 0 {
            if let Some((kind, ascii, payload)) = self.client.receive_small(&mut input) {
                if !discards {
                    while drops && inbox.is_full() {
                        inbox.drop_oldest();
                    }
                    inbox.push_small(kind, ascii, payload);
                    arrived = true;
                    if !wanted {
                        left = rest(&inbox, input);
                    }
                }
                continue;
            }
            match self.client.receive(&mut input) {
                Ok(None) => break,
                Ok(Some(Event::Message(message))) => {
                    if !discards {
                        while drops && inbox.is_full() {
                            inbox.drop_oldest();
                        }
                        inbox.push(message);
                        arrived = true;
                    }
                    left = rest(&inbox, input);
                }
                Ok(Some(Event::Piece(piece))) => {
                    if !discards {
                        inbox.push_piece(piece);
                        piece_arrived = true;
                    }
                    left = rest(&inbox, input);
                }
                Ok(Some(Event::Pong(payload))) => {
                    if self.keep_alive.pong((*payload).as_ref(), now) {
                        connection.report();
                    }
                }
                // Each has its answer while there is room for it; after that the newest has.
                Ok(Some(Event::Ping(_))) if self.outbox.unsent() < ANSWERS_WAIT => {
                    answered |= self.client.transmit(&mut entropy::mask, self.outbox.buffer());
                }
                Ok(Some(Event::Ping(_))) => {}
                Ok(Some(Event::Close(frame))) => close = Some(frame),
                Err(error) => {
                    violation = Some(error);
                    break;
                }
            }
        }
        let untold = inbox.is_drop_untold();
        drop(inbox);
        if may_begin_large {
            spares.give(self.client.take_back());
        }
        if arrived || piece_arrived {
            self.note_message(connection);
        }
        if untold || piece_arrived || arrived && connection.reports_messages() {
            connection.report();
        }
        if answered {
            self.write_out(connection);
        }
        self.after(connection, close, violation, now);
        left
    }

    /// The same for the one event that completes a large message.
    fn handle_one(
        &mut self,
        connection: &Arc<Connection>,
        filled: Result<Option<Event<'static>>, Violation>,
        now: Instant,
    ) {
        self.note_message(connection);
        match filled {
            Ok(Some(Event::Message(message))) if connection.state() == State::Open => {
                let drops = !connection.is_wanted() && self.may_drop();
                let mut inbox = lock(&connection.inbox);
                while drops && inbox.is_full() && !inbox.is_empty() {
                    inbox.drop_oldest();
                }
                inbox.push(message);
                let untold = inbox.is_drop_untold();
                drop(inbox);
                if untold || connection.reports_messages() {
                    connection.report();
                }
            }
            Ok(Some(Event::Piece(piece))) if connection.state() == State::Open => {
                lock(&connection.inbox).push_piece(piece);
                connection.report();
            }
            Ok(_) => {}
            Err(violation) => self.after(connection, None, Some(violation), now),
        }
    }

    fn after(
        &mut self,
        connection: &Arc<Connection>,
        close: Option<CloseFrame>,
        violation: Option<Violation>,
        now: Instant,
    ) {
        if let Some(frame) = close {
            self.peer_closed(connection, frame, now);
        }
        if let Some(violation) = violation {
            if connection.state() == State::Open && connection.holds_messages() {
                self.failing = Some((violation, now + FAILING_PATIENCE));
                // Marked before it is listed: the list lets go of what is not marked any more.
                connection.failing.store(true, Ordering::SeqCst);
                connection.reactor().fail_after_delivery(Arc::clone(connection));
                self.arm(connection);
                // Whoever took the last message before the mark was there saw none, and may be waiting already.
                if !connection.holds_messages() {
                    self.fail_now(connection, now);
                }
            } else {
                self.fail(connection, &violation, now);
            }
        }
    }

    /// What came before the violation was delivered, or has had its time.
    pub(crate) fn fail_now(&mut self, connection: &Arc<Connection>, now: Instant) {
        if let Some((violation, _)) = self.failing.take() {
            connection.failing.store(false, Ordering::SeqCst);
            self.fail(connection, &violation, now);
        }
    }

    /// Has one message reported in pieces; what has come of it already is the first.
    pub(crate) fn report_pieces(&mut self, inbox: &mut Inbox) {
        self.client.report_pieces(true);
        if let Some(piece) = self.client.take_piece() {
            inbox.push_piece(piece);
        }
    }

    /// The rest of it is not wanted in pieces.
    pub(crate) fn report_whole(&mut self) {
        self.client.report_pieces(false);
    }

    /// Sends what is owed to the server, unless so much is unsent that it has to wait.
    pub(super) fn answer(&mut self, connection: &Arc<Connection>) {
        if self.transport.is_some()
            && self.outbox.unsent() < ANSWERS_WAIT
            && self.client.transmit(&mut entropy::mask, self.outbox.buffer())
        {
            self.write_out(connection);
        }
    }

    /// Reading waits while the hold is full and its oldest message may not be dropped, or while our own bytes do not leave
    /// and those who send do not wait for that: each message could bring another answer. Where they do wait, reading goes
    /// on: a server that echoes may wait for just that.
    fn must_pause(&mut self, connection: &Arc<Connection>) -> bool {
        connection.state() == State::Open
            && (self.is_full() && self.overdrafts > 0 && !self.broken
                || lock(&connection.inbox).is_full() && (connection.is_wanted() || !self.may_drop()))
    }

    /// Whether the oldest message may be dropped where nobody wants it: only when to hold it begins to hurt, because the
    /// program sends and its bytes do not leave (the server may wait for us to read), or because nobody has come for long.
    fn may_drop(&mut self) -> bool {
        self.hold_over || self.is_full()
    }

    fn pause(&mut self, connection: &Arc<Connection>, hangup: bool, now: Instant) {
        connection.paused.store(true, Ordering::SeqCst);
        if !connection.is_wanted() && self.hold_until.is_none() {
            self.hold_until = now.checked_add(HOLD_PATIENCE);
            self.arm(connection);
        }
        // Room may have come between the look and the mark, and nobody would tell us any more.
        if !self.must_pause(connection) {
            return self.resume(connection);
        }
        if hangup && let Some(transport) = &self.transport {
            // A hang-up is reported for as long as the socket is watched at all.
            connection.reactor().poller.delete(transport.fd());
            self.watched = None;
        } else {
            self.watch(connection);
        }
    }

    /// Nobody listens any more, and reading is paused.
    pub(crate) fn listener_left(&mut self, connection: &Arc<Connection>) {
        if self.hold_until.is_none() && !connection.is_wanted() {
            self.hold_over = false;
            self.hold_until = Instant::now().checked_add(HOLD_PATIENCE);
            self.arm(connection);
        }
        self.resume(connection);
    }

    /// There is room again.
    pub(crate) fn resume(&mut self, connection: &Arc<Connection>) {
        if connection.paused.load(Ordering::SeqCst) && !self.must_pause(connection) {
            connection.paused.store(false, Ordering::SeqCst);
            self.hold_until = None;
            self.watch(connection);
            self.revisit_unread(connection);
        }
    }
}
