//! The sending half of a session: messages in, frames in the outbox; and how the connection lives and ends, because all of
//! that decides what leaves.
//!
//! It never writes: [`Sending::pending`] is what is to leave next, and [`Sending::written`] tells what has. When a message
//! is written, and by whom, is in `gathering.rs`, what waits behind a message in pieces in `pieces.rs`.

use std::time::Duration;

use sunsocket_wire::{CloseFrame, ControlPayload, MessageKind, Sender, Violation};

use super::closing::Closing;
use super::gathering::Gathering;
use super::keep_alive::{Due, KeepAlive};
use super::outbox::Outbox;
use super::pieces::Pieces;
use super::word::{BLOCKED, FAILING, FULL, OVERDRAWN, SENDING_PIECES};
use crate::entropy;
use crate::options::ConnectOptions;
use crate::sync::Instant;

/// Answers to the server wait while this much is unsent: the newest ping wins (RFC 6455 5.5.3).
const ANSWERS_WAIT: usize = 64 << 10;
/// How long the messages that came before a violation may keep the connection from being failed.
const FAILING_PATIENCE: Duration = Duration::from_secs(1);
/// The bits of the connection's word that follow from this half.
pub(crate) const OWN_BITS: u32 = SENDING_PIECES | FULL | OVERDRAWN | BLOCKED | FAILING;

/// How full the write buffer is after a `send`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// At or below the high-water mark: go on.
    Plenty,
    /// Above it: wait for room before the next message (never inside a handler).
    Full,
}

/// What a deadline that has come asks for.
#[derive(Debug)]
pub(crate) enum Expired {
    Nothing,
    /// A ping was put into the outbox.
    Pinged,
    /// No pong came within that time.
    NoPong(Duration),
    /// Nothing has moved for `close_timeout`.
    NotClosed,
    /// The messages in front of the violation have had their time.
    Fail(Violation),
}

#[derive(Debug)]
pub(crate) struct Sending {
    pub(super) wire: Sender,
    pub(super) outbox: Outbox,
    pub(super) pieces: Option<Pieces>,
    pub(crate) gathering: Gathering,
    keep_alive: KeepAlive,
    pub(crate) closing: Option<Closing>,
    close_timeout: Duration,
    max_message_size: usize,
    /// The server broke the protocol behind messages that are still to be delivered: what it did, and when the connection is
    /// failed at the latest.
    failing: Option<(Violation, Instant)>,
    /// The socket takes no more now: the poller will say when.
    blocked: bool,
    /// Taken from the outbox and still inside the transport (encrypted).
    held: usize,
    /// Sends that left more than the high-water mark unsent, and of which nobody has said that its sender waits.
    overdrafts: usize,
    full: bool,
    /// Writing failed; reading goes on, for what the server said before.
    broken: bool,
}

impl Sending {
    pub(crate) fn new(options: &ConnectOptions, now: Instant) -> Self {
        Self {
            wire: Sender::new(),
            outbox: Outbox::new(options.write_limit),
            pieces: None,
            gathering: Gathering::new(now),
            keep_alive: KeepAlive::new(options.ping_interval, options.ping_timeout, now),
            closing: None,
            close_timeout: options.close_timeout,
            max_message_size: options.max_message_size,
            failing: None,
            blocked: false,
            held: 0,
            overdrafts: 0,
            full: false,
            broken: false,
        }
    }

    // ---- what the outside is to know

    /// The bits of the connection's word that follow from this half; the others are none of its business.
    pub(crate) fn bits(&self) -> u32 {
        let bit = |is: bool, bit: u32| if is { bit } else { 0 };
        bit(self.pieces.is_some(), SENDING_PIECES)
            | bit(self.full, FULL)
            | bit(self.overdrafts > 0 && !self.broken, OVERDRAWN)
            | bit(self.blocked, BLOCKED)
            | bit(self.failing.is_some(), FAILING)
    }

    /// When to look again. What moves meanwhile makes it later, never earlier.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match (&self.closing, &self.failing) {
            (Some(closing), _) => closing.deadline(),
            (None, Some((_, deadline))) => Some(*deadline),
            (None, None) => self.keep_alive.deadline(),
        }
    }

    /// Bytes that the operating system has not taken.
    pub(crate) fn unsent(&self) -> usize {
        self.outbox.unsent() + self.elsewhere()
    }

    /// Of these, those that are not in the outbox.
    fn elsewhere(&self) -> usize {
        self.held + self.pieces.as_ref().map_or(0, Pieces::behind_bytes)
    }

    /// Whether the socket takes no more now.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The opening handshake is over.
    pub(crate) fn opened(&mut self, now: Instant) {
        self.keep_alive.heard(now);
    }

    // ---- messages

    /// Whether writing has failed.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Queues one message. `compressed`: the payload is what the deflater made of it.
    pub(crate) fn message(&mut self, kind: MessageKind, payload: &[u8], compressed: bool) {
        if !self.broken {
            self.wire.send(kind, payload, compressed, entropy::mask(), self.outbox.buffer());
        }
        self.look_at_marks();
    }

    /// Whether there is room behind what was just queued. A sender that is told `Full` waits, or answers pile up.
    pub(crate) fn room(&mut self) -> Room {
        if self.full {
            self.overdrafts += 1;
            Room::Full
        } else {
            Room::Plenty
        }
    }

    /// One of those that got `Room::Full` waits.
    pub(crate) fn sender_waits(&mut self) {
        self.overdrafts = self.overdrafts.saturating_sub(1);
    }

    /// True when senders may go on that were told to wait.
    pub(super) fn look_at_marks(&mut self) -> bool {
        let was_full = self.full;
        let elsewhere = self.elsewhere();
        // Once the closing handshake has begun, nobody waits for room: what is queued leaves, or the deadline cuts it off.
        self.full = self.closing.is_none() && self.outbox.is_full_with(elsewhere);
        if !self.full {
            self.overdrafts = 0;
        }
        was_full && !self.full
    }

    // ---- control frames

    /// Puts a ping into the outbox; its number is what a pong is asked for by.
    pub(crate) fn ping(&mut self, payload: &[u8], now: Instant) -> u64 {
        let (number, payload) = self.keep_alive.ping(payload, now);
        self.wire.ping(&payload, entropy::mask(), self.outbox.buffer());
        number
    }

    /// The server sent a ping. Each has its answer while there is room for it; after that the newest has. True when the
    /// answer is in the outbox.
    pub(crate) fn ping_came(&mut self, payload: Box<ControlPayload>) -> bool {
        self.wire.owe_pong(payload);
        self.answer()
    }

    /// The server sent a pong: the number of the newest ping that it answers, and the round trip.
    pub(crate) fn pong_came(&mut self, payload: &[u8], now: Instant) -> Option<(u64, Duration)> {
        self.keep_alive.pong(payload, now)
    }

    /// Puts what the server is owed into the outbox, unless so much is unsent that it has to wait.
    pub(crate) fn answer(&mut self) -> bool {
        self.outbox.unsent() < ANSWERS_WAIT && self.wire.transmit(&mut entropy::mask, self.outbox.buffer())
    }

    // ---- writing

    /// What is to be written next.
    pub(crate) fn pending(&self) -> &[u8] {
        self.outbox.pending()
    }

    /// The transport took the first `count` bytes of it, and holds `held` bytes that the operating system has not taken.
    pub(crate) fn written(&mut self, count: usize, held: usize, now: impl FnOnce() -> Instant) {
        if count > 0 || held < self.held {
            // The clock is read only where somebody asks how long nothing has moved.
            if let Some(closing) = &mut self.closing {
                closing.moved(now());
            } else if self.keep_alive.is_waiting() {
                self.keep_alive.moved(now());
            }
        }
        self.held = held;
        self.outbox.written(count);
    }

    /// Nothing is left to write, for now (or `blocked`: the socket takes no more). True when senders may go on.
    pub(crate) fn wrote(&mut self, blocked: bool) -> bool {
        self.blocked = blocked;
        self.look_at_marks()
    }

    /// Whether the time has come to say that we have nothing more to say. True once.
    pub(crate) fn may_shut_down(&mut self) -> bool {
        self.outbox.is_empty() && self.held == 0 && self.closing.as_mut().is_some_and(Closing::may_shut_down)
    }

    /// Writing failed. The read that follows tells why, after what the server may have said before.
    pub(crate) fn broke(&mut self) -> bool {
        self.outbox.clear();
        self.held = 0;
        self.broken = true;
        self.wrote(false)
    }

    // ---- ending

    /// Our Close. What is queued leaves before it; a message in pieces stays as it is.
    pub(crate) fn close(&mut self, code: u16, reason: &str, now: Instant) {
        self.wire.close(code, reason, entropy::mask(), self.outbox.buffer());
        self.closing = Some(Closing::ours(now, self.close_timeout, self.max_message_size));
        self.pieces = None;
        self.nobody_waits();
    }

    /// The server's Close, as the first or as the answer to ours. TCP is the server's to drop (RFC 6455 7.1.1).
    pub(crate) fn close_came(&mut self, frame: CloseFrame, now: Instant) {
        let timeout = self.close_timeout;
        self.wire.owe_close(frame.code);
        self.closing.get_or_insert_with(|| Closing::theirs(now, timeout)).received(frame);
        self.pieces = None;
        self.nobody_waits();
        self.wire.transmit(&mut entropy::mask, self.outbox.buffer());
    }

    /// The server broke the protocol, behind messages that are still to be delivered.
    pub(crate) fn fails_later(&mut self, violation: Violation, now: Instant) {
        self.failing = Some((violation, now + FAILING_PATIENCE));
    }

    /// What is to be failed for, if anything is.
    pub(crate) fn take_failing(&mut self) -> Option<Violation> {
        self.failing.take().map(|(violation, _)| violation)
    }

    /// Tells the server what it did wrong (RFC 6455 7.1.7). The socket is kept until the server has had its chance to read
    /// that: dropped with unread bytes, TCP would reset it away.
    pub(crate) fn fail(&mut self, violation: &Violation, now: Instant) {
        self.wire.fail(violation, entropy::mask(), self.outbox.buffer());
        self.closing = Some(Closing::failed(now, self.close_timeout));
        self.pieces = None;
        self.nobody_waits();
    }

    /// What is queued leaves, or the deadline cuts it off: nobody waits for room any more.
    fn nobody_waits(&mut self) {
        self.full = false;
        self.overdrafts = 0;
    }

    /// Bytes came in.
    pub(crate) fn heard(&mut self, count: usize, now: Instant) {
        if let Some(closing) = &mut self.closing {
            closing.heard(count, now);
        }
    }

    /// TCP is gone.
    pub(crate) fn end(&mut self) {
        self.failing = None;
        self.pieces = None;
        self.wire.end();
        self.outbox.clear();
        self.outbox.shrink();
        self.held = 0;
        self.blocked = false;
        self.nobody_waits();
    }

    // ---- time

    /// Whether it matters now what the operating system holds of our bytes: while the connection closes, when a pong is
    /// due, and when a ping is, for what lies in front of the ping is what the first look at its pong is compared with.
    /// `heard`: when the last byte came.
    pub(crate) fn asks_what_is_queued(&mut self, now: Instant, heard: Instant) -> bool {
        self.keep_alive.heard(heard);
        self.closing.is_some() || self.keep_alive.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// A deadline has come, perhaps. `heard`: when the last byte came. `reading`: false while it is we who do not read.
    /// `queued`: the bytes of ours that the operating system holds, where it tells.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        heard: Instant,
        reading: bool,
        queued: Option<usize>,
    ) -> Expired {
        if self.failing.as_ref().is_some_and(|(_, deadline)| now >= *deadline)
            && let Some((violation, _)) = self.failing.take()
        {
            return Expired::Fail(violation);
        }
        if let Some(closing) = &mut self.closing {
            return if closing.is_over(now, queued) { Expired::NotClosed } else { Expired::Nothing };
        }
        if self.failing.is_some() {
            return Expired::Nothing;
        }
        self.keep_alive.heard(heard);
        match self.keep_alive.due(now, reading, queued) {
            Due::Nothing => Expired::Nothing,
            Due::Ping => {
                self.ping(b"", now);
                Expired::Pinged
            }
            Due::Lost(timeout) => Expired::NoPong(timeout),
        }
    }

    /// The machine has slept. True when a ping is in the outbox.
    pub(crate) fn slept(&mut self, now: Instant) -> bool {
        let pings = self.closing.is_none() && self.keep_alive.slept(now) == Due::Ping;
        if pings {
            self.ping(b"", now);
        }
        pings
    }

    /// Gives back what a connection at rest does not need.
    pub(crate) fn rest(&mut self) {
        self.outbox.shrink();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Lets the deadline at `now` pass; the operating system holds `queued` bytes, where it is asked for them.
    fn expire(session: &mut Sending, now: Instant, heard: Instant, queued: usize) -> Expired {
        let queued = session.asks_what_is_queued(now, heard).then_some(queued);
        session.expire(now, heard, true, queued)
    }

    #[test]
    fn a_ping_behind_bytes_that_still_leave_the_kernel_is_not_lost() {
        let start = Instant::now();
        let mut options = ConnectOptions::new("ws://localhost/").expect("an address");
        options.ping_interval = Some(SECOND);
        options.ping_timeout = Some(2 * SECOND);
        let mut session = Sending::new(&options, start);

        assert!(matches!(expire(&mut session, start + SECOND, start, 1000), Expired::Pinged));
        assert!(matches!(expire(&mut session, start + 3 * SECOND, start, 900), Expired::Nothing));
        assert!(matches!(expire(&mut session, start + 5 * SECOND, start, 800), Expired::Nothing));
        assert!(matches!(expire(&mut session, start + 7 * SECOND, start, 800), Expired::NoPong(_)));
    }
}
