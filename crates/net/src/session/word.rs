//! The one atomic word of a connection: where it stands, what is due, and on which of the reactor's queues it is.
//!
//! Everything that is asked on every message is a bit here, so that no lock is taken for it, and what the outside has to
//! do follows from the bits by the pure functions below. Nobody has to remember to pause or to resume reading: whoever
//! changes a bit has the reactor compare what the bits want with what is registered (`Reactor::apply`).

use crate::sync::atomic::{AtomicU32, Ordering};
use crate::sys::poller::Interest;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// DNS, TCP, TLS or the opening handshake are under way.
    Connecting,
    /// Messages may be sent and received.
    Open,
    /// The closing handshake is under way.
    Closing,
    /// Nothing more will happen.
    Closed,
}

/// A value of the word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits(pub(crate) u32);

const STATE: u32 = 0b11;

/// Somebody listens for messages, so that new ones are to be reported.
pub(crate) const LISTENING: u32 = 1 << 2;
/// Somebody has pulled messages.
pub(crate) const PULLED: u32 = 1 << 3;
/// Somebody reads one message in pieces.
pub(crate) const STREAMING: u32 = 1 << 4;
/// A message is being sent in pieces.
pub(crate) const SENDING_PIECES: u32 = 1 << 5;
/// More than the high-water mark was unsent, and not yet so little as the low one.
pub(crate) const FULL: u32 = 1 << 6;
/// Somebody sent beyond the high-water mark and does not wait for room.
pub(crate) const OVERDRAWN: u32 = 1 << 7;
/// The hold reached one of its bounds, and is not yet down to half of it.
pub(crate) const HOLD_FULL: u32 = 1 << 8;
/// Nobody has come for what is held for so long that the oldest messages may be dropped.
pub(crate) const HOLD_OVER: u32 = 1 << 9;
/// The server broke the protocol behind messages that are still to be delivered.
pub(crate) const FAILING: u32 = 1 << 10;
/// The socket takes no more bytes now.
pub(crate) const BLOCKED: u32 = 1 << 11;
/// There are bytes to read that the socket's readiness does not show.
pub(crate) const UNREAD: u32 = 1 << 12;
/// The poller reported a hang-up, which it would report again and again.
pub(crate) const HUNG_UP: u32 = 1 << 13;
/// There is a socket.
pub(crate) const ATTACHED: u32 = 1 << 14;
/// Bytes were gathered that somebody else than the sender is to write.
pub(crate) const GATHERED: u32 = 1 << 15;
/// What is gathered is to be written at intervals, because a thread sends a stream of messages.
pub(crate) const PACING: u32 = 1 << 16;

/// Connecting has ended, one way or the other, and nobody was told.
pub(crate) const OPENED_UNTOLD: u32 = 1 << 17;
/// Senders that wait are to look again, and nobody was told.
pub(crate) const ROOM_UNTOLD: u32 = 1 << 18;
/// The language is to look at the connection: messages came, a pong, room, the end.
pub(crate) const DUE_VISIT: u32 = 1 << 19;
/// OnClose was reported.
pub(crate) const CLOSE_TOLD: u32 = 1 << 20;
/// Something changed that a waiting thread may be waiting for.
pub(crate) const NEWS: u32 = 1 << 21;

/// Messages, or pieces of one, are held.
pub(crate) const HOLDS: u32 = 1 << 22;
/// A message was sent or received since the connection was looked at last.
pub(crate) const MOVED: u32 = 1 << 23;

/// On the list of connections that the language is to visit.
pub(crate) const QUEUED_READY: u32 = 1 << 24;
/// On the list of connections with bytes to write.
pub(crate) const QUEUED_FLUSH: u32 = 1 << 25;
/// On the list of connections to read from.
pub(crate) const QUEUED_READ: u32 = 1 << 26;
/// On the list of connections that are to be failed.
pub(crate) const QUEUED_FAIL: u32 = 1 << 27;
/// On the list of connections that are written for at intervals.
pub(crate) const QUEUED_PACED: u32 = 1 << 28;

impl Bits {
    #[inline]
    pub(crate) fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    #[inline]
    pub(crate) fn state(self) -> State {
        match self.0 & STATE {
            0 => State::Connecting,
            1 => State::Open,
            2 => State::Closing,
            _ => State::Closed,
        }
    }

    /// Whether somebody may be waiting for every message, so that none may be dropped.
    pub(crate) fn is_wanted(self) -> bool {
        self.has(LISTENING | PULLED)
    }

    /// Whether somebody is to hear of each message as it comes.
    pub(crate) fn reports_messages(self) -> bool {
        self.has(LISTENING | STREAMING)
    }

    /// Whether the oldest message may be dropped: nobody wants it, and to hold it begins to hurt. Either our own bytes do not
    /// leave (the server may wait for us to read), or nobody has come for long.
    pub(crate) fn may_drop(self) -> bool {
        !self.is_wanted() && self.has(HOLD_OVER | FULL)
    }

    /// Whether reading waits: while the hold is full and its oldest message may not be dropped, or while our own bytes do not
    /// leave and those who send do not wait for that, because each message could bring another answer. Where they do wait,
    /// reading goes on: a server that echoes may wait for just that.
    pub(crate) fn is_paused(self) -> bool {
        let answers_pile_up = self.has(FULL) && self.has(OVERDRAWN);
        self.state() == State::Open && (answers_pile_up || self.has(HOLD_FULL) && !self.may_drop())
    }

    /// What the poller is to watch for; `None`: not at all.
    pub(crate) fn interest(self) -> Option<Interest> {
        let reads = !self.is_paused();
        // A hang-up is reported for as long as the socket is watched at all, also while nothing is read.
        let watched = self.has(ATTACHED) && (reads || !self.has(HUNG_UP));
        watched.then(|| Interest { read: reads, write: self.has(BLOCKED) })
    }

    /// Whether the reactor is to read although the poller will not say so.
    pub(crate) fn has_pending_read(self) -> bool {
        self.has(UNREAD) && self.has(ATTACHED) && !self.is_paused()
    }
}

/// The word itself.
#[derive(Debug)]
pub(crate) struct Word(AtomicU32);

impl Word {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline]
    pub(crate) fn get(&self) -> Bits {
        Bits(self.0.load(Ordering::SeqCst))
    }

    /// Sets bits and returns what was there before. Costs no write where all of them are set already.
    #[inline]
    pub(crate) fn set(&self, bits: u32) -> Bits {
        let before = self.get();
        if before.0 & bits == bits { before } else { Bits(self.0.fetch_or(bits, Ordering::SeqCst)) }
    }

    /// Clears bits and returns what was there before. Costs no write where none of them is set.
    #[inline]
    pub(crate) fn clear(&self, bits: u32) -> Bits {
        let before = self.get();
        if before.0 & bits == 0 { before } else { Bits(self.0.fetch_and(!bits, Ordering::SeqCst)) }
    }

    /// Has each of the bits in `mask` be as it is in `bits`.
    #[inline]
    pub(crate) fn put(&self, mask: u32, bits: u32) {
        self.set(bits & mask);
        self.clear(mask & !bits);
    }

    pub(crate) fn set_state(&self, state: State) {
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| Some(word & !STATE | state as u32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: u32 = State::Open as u32 | ATTACHED;

    #[test]
    fn a_full_hold_pauses_reading_and_drops_only_when_that_hurts_and_nobody_wants_it() {
        for (bits, paused, drops) in [
            (0, false, false),
            (HOLD_FULL, true, false),
            (HOLD_FULL | HOLD_OVER, false, true),
            (HOLD_FULL | FULL, false, true),
            (HOLD_FULL | FULL | OVERDRAWN, true, true),
            (HOLD_FULL | HOLD_OVER | LISTENING, true, false),
            (HOLD_FULL | FULL | PULLED, true, false),
        ] {
            let bits = Bits(OPEN | bits);
            assert_eq!((bits.is_paused(), bits.may_drop()), (paused, drops), "{bits:?}");
            assert_eq!(bits.interest(), Some(Interest { read: !paused, write: false }));
        }
    }

    #[test]
    fn answers_that_pile_up_pause_reading_until_their_senders_wait() {
        assert!(Bits(OPEN | FULL | OVERDRAWN).is_paused());
        assert!(!Bits(OPEN | FULL).is_paused());
    }

    #[test]
    fn what_comes_after_our_close_is_read_however_full_the_hold_is() {
        let closing = Bits(State::Closing as u32 | ATTACHED | HOLD_FULL | FULL | OVERDRAWN | UNREAD);
        assert_eq!(closing.interest(), Some(Interest { read: true, write: false }));
        assert!(closing.has_pending_read());
    }

    #[test]
    fn a_socket_that_hung_up_is_not_watched_while_reading_waits() {
        assert_eq!(Bits(OPEN | HUNG_UP | HOLD_FULL).interest(), None);
        assert_eq!(Bits(OPEN | HUNG_UP).interest(), Some(Interest { read: true, write: false }));
        assert_eq!(Bits(State::Closed as u32 | HUNG_UP).interest(), None);
    }

    #[test]
    fn a_state_leaves_the_other_bits_alone() {
        let word = Word::new();
        word.set(LISTENING | QUEUED_READY);
        for state in [State::Connecting, State::Open, State::Closing, State::Closed] {
            word.set_state(state);
            assert_eq!(word.get().state(), state);
            assert!(word.get().has(LISTENING) && word.get().has(QUEUED_READY));
        }
        word.put(LISTENING | FULL, FULL);
        assert!(word.get().has(FULL) && !word.get().has(LISTENING));
    }
}
