//! The receiving side as the language sees it: who listens, who pulls, and messages taken whole or in pieces.

use sunsocket_wire::Message;

use super::Connection;
use crate::options::HeldLimit;
use crate::session::batch::Batch;
use crate::session::hold::Hold;
use crate::session::word::{
    CLOSE_TOLD, DUE_VISIT, FAILING, HOLD_FULL, HOLD_OVER, HOLDS, LISTENING, NEWS, PULLED, STREAMING, State,
};
use crate::sync::{Arc, Instant, MutexGuard, lock};
use crate::takers::Glance;

impl Connection {
    /// Says whether anybody listens for messages: then new ones, and those that are held, make the connection ready.
    pub fn listen(self: &Arc<Self>, listening: bool) {
        let bits = self.word.get();
        if self.is_forked() || bits.has(LISTENING) == listening {
            return;
        }
        if listening {
            self.word.set(LISTENING);
            self.word.clear(HOLD_OVER);
            if self.has_message() {
                self.word.set(DUE_VISIT);
            }
        } else {
            self.word.clear(LISTENING);
            // Reading that waited for the listener waits for the next one, but not for ever.
            self.hold_for_a_while(Instant::now());
            // A close that waited for the listener to get its messages is due now.
            if bits.state() == State::Closed && !bits.has(CLOSE_TOLD) {
                self.word.set(DUE_VISIT);
            }
        }
        self.reactor.apply(self);
    }

    /// The same for a language's takers: what was given back to them is to be delivered as well, and the hold knows nothing of
    /// it.
    pub fn listen_for(self: &Arc<Self>, needs_reports: bool, glance: &Glance) {
        self.listen(needs_reports);
        if needs_reports && glance.has_returned() {
            self.request_delivery();
        }
    }

    /// Whether a message is held whole and is the next, or was given back to the takers.
    pub fn has_message_for(&self, glance: &Glance) -> bool {
        glance.has_returned() || self.has_message()
    }

    /// Whether a message listener is attached.
    pub fn is_listened_to(&self) -> bool {
        self.word.get().has(LISTENING)
    }

    /// Says that somebody pulls messages: from now on none is dropped.
    pub fn pull(self: &Arc<Self>) {
        if !self.word.get().has(PULLED) && !self.is_forked() {
            self.word.set(PULLED);
            self.word.clear(HOLD_OVER);
            self.reactor.apply(self);
        }
    }

    /// Whether a message is held whole, and is the next.
    pub fn has_message(&self) -> bool {
        let bits = self.word.get();
        bits.has(HOLDS) && !bits.has(STREAMING) && !self.is_forked() && lock(&self.hold).has_message()
    }

    /// Takes the oldest message off the hold. `read` runs under a lock: it must only copy.
    pub fn take<T>(self: &Arc<Self>, read: impl FnOnce(Message<'_>) -> T) -> Option<T> {
        let bits = self.word.get();
        if !bits.has(HOLDS) || bits.has(STREAMING) || self.is_forked() {
            return None;
        }
        let mut hold = lock(&self.hold);
        let taken = hold.pop_message(read)?;
        self.took(hold);
        Some(taken)
    }

    /// Takes the oldest messages off the hold together, up to `most`: they are read under no lock. `None`: there is none.
    pub fn take_many(self: &Arc<Self>, most: HeldLimit) -> Option<Taken<'_>> {
        let bits = self.word.get();
        if !bits.has(HOLDS) || bits.has(STREAMING) || self.is_forked() {
            return None;
        }
        let mut hold = lock(&self.hold);
        let batch = hold.take_front(most);
        if batch.is_empty() {
            hold.give_back(batch, 0);
            return None;
        }
        self.took(hold);
        Some(Taken { connection: self, batch, read: 0 })
    }

    /// Something was taken: reading goes on if that made room, and a violation behind it takes effect.
    #[inline]
    fn took(self: &Arc<Self>, hold: MutexGuard<'_, Hold>) {
        let is_empty = hold.is_empty();
        if is_empty {
            self.word.clear(HOLDS);
        }
        let bits = self.word.get();
        let has_room = bits.has(HOLD_FULL) && hold.has_room();
        if has_room {
            self.word.clear(HOLD_FULL);
        }
        drop(hold);
        if has_room || is_empty && bits.has(FAILING) {
            self.reactor.apply(self);
        }
    }

    /// Begins to read one message in pieces, as they arrive: the next that is held, or the one that comes. Until
    /// [`Connection::end_stream`] nobody else gets a message. False: somebody does so already. May wait for a thread that
    /// inflates.
    pub fn begin_stream(self: &Arc<Self>) -> bool {
        if self.is_forked() {
            return true;
        }
        self.pull();
        let mut half = self.receive_half();
        if self.word.set(STREAMING).has(STREAMING) {
            return false;
        }
        // Reading needs the half that is locked here, so nothing comes between the look and the order.
        let mut hold = lock(&self.hold);
        if hold.is_empty() {
            half.session.report_pieces();
            hold.append(&mut half.session.batch, false);
            if !hold.is_empty() {
                self.word.set(HOLDS);
            }
        }
        true
    }

    /// Whether a piece is held.
    pub fn has_piece(&self) -> bool {
        self.word.get().has(HOLDS) && !self.is_forked()
    }

    /// Takes the next piece, and whether it is the last of its message. `read` runs under a lock: it must only copy.
    pub fn take_piece<T>(self: &Arc<Self>, read: impl FnOnce(Message<'_>) -> T) -> Option<(T, bool)> {
        if self.is_forked() {
            return None;
        }
        let mut hold = lock(&self.hold);
        let taken = hold.pop_piece(read)?;
        self.took(hold);
        Some(taken)
    }

    /// Ends what `begin_stream` began. Pieces of the message that were not taken are thrown away, also those still to come.
    /// May wait for a thread that inflates.
    pub fn end_stream(self: &Arc<Self>, complete: bool) {
        if self.is_forked() {
            return;
        }
        let mut half = self.receive_half();
        half.session.report_whole();
        let mut hold = lock(&self.hold);
        if !complete {
            hold.skip_message();
        }
        self.word.clear(STREAMING);
        self.word.set(DUE_VISIT);
        if hold.is_empty() {
            self.word.clear(HOLDS);
        }
        if hold.has_room() {
            self.word.clear(HOLD_FULL);
        }
        drop(hold);
        drop(half);
        self.reactor.nudge();
    }

    /// True once, after the first message was dropped because the hold was full and nobody had come for it: warn now.
    pub fn take_dropped(&self) -> bool {
        !self.is_forked() && lock(&self.hold).take_dropped()
    }
}

/// Messages that were taken off the hold together. Those that were not read are the oldest again when this is dropped.
pub struct Taken<'a> {
    connection: &'a Arc<Connection>,
    batch: Batch,
    read: usize,
}

impl Taken<'_> {
    /// How many they are.
    pub fn len(&self) -> usize {
        self.batch.size().messages
    }

    /// Whether it is none; it never is.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Each of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        (0..self.len()).filter_map(|at| self.batch.get(at))
    }

    /// The first `count` are done with.
    pub fn read(&mut self, count: usize) {
        self.read = count.min(self.len());
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let connection = self.connection;
        let batch = std::mem::replace(&mut self.batch, Batch::new(Arc::default()));
        let returned = lock(&connection.hold).give_back(batch, self.read);
        if returned {
            connection.word.set(HOLDS);
            connection.word.set(DUE_VISIT | NEWS);
            connection.reactor.apply(connection);
        }
    }
}
