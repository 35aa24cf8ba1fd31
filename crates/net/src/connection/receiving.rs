//! The receiving half of a connection: who listens, who pulls, and messages taken whole or in pieces.

use sunsocket_wire::Message;

use super::{Connection, State};
use crate::inbox::Inbox;
use crate::reactor::lock;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, MutexGuard};

impl Connection {
    /// Says whether anybody listens for messages: then new ones, and those that are held, make the connection ready.
    pub fn listen(self: &Arc<Self>, listening: bool) {
        if self.is_forked() || self.listening.swap(listening, Ordering::SeqCst) == listening {
            return;
        }
        let due = if listening {
            self.has_message()
        } else {
            // A close that waited for the listener to get its messages is due now.
            self.state() == State::Closed && !self.close_was_reported()
        };
        if due {
            self.report();
        }
        // Reading that waited for the listener waits for the next one, but not for ever.
        if !listening
            && self.paused.load(Ordering::SeqCst)
            && let Some(mut link) = self.link()
        {
            link.listener_left(self);
        }
    }

    /// Whether somebody does.
    pub fn is_listened_to(&self) -> bool {
        self.listening.load(Ordering::SeqCst)
    }

    /// Says that somebody pulls messages: from now on a full hold pauses reading in place of dropping the oldest.
    pub fn pull(&self) {
        if !self.pulled.load(Ordering::Relaxed) {
            self.pulled.store(true, Ordering::SeqCst);
        }
    }

    /// Whether somebody may be waiting for every message, so that none may be dropped.
    pub(crate) fn is_wanted(&self) -> bool {
        self.listening.load(Ordering::SeqCst) || self.pulled.load(Ordering::SeqCst)
    }

    /// Whether somebody is to hear of each message as it comes.
    pub(crate) fn reports_messages(&self) -> bool {
        self.listening.load(Ordering::SeqCst) || self.streaming.load(Ordering::SeqCst)
    }

    /// Whether messages are held that nobody has taken yet.
    pub(crate) fn holds_messages(&self) -> bool {
        !lock(&self.inbox).is_empty()
    }

    /// Whether a message is held whole, and is the next.
    pub fn has_message(&self) -> bool {
        !self.is_forked() && !self.streaming.load(Ordering::SeqCst) && lock(&self.inbox).has_message()
    }

    /// Takes the oldest message off the hold. `read` runs under a lock: it must only copy.
    pub fn take<T>(self: &Arc<Self>, read: impl FnOnce(Message<'_>) -> T) -> Option<T> {
        if self.is_forked() || self.streaming.load(Ordering::SeqCst) {
            return None;
        }
        let mut inbox = lock(&self.inbox);
        let taken = inbox.pop_message(read)?;
        self.make_room(inbox);
        Some(taken)
    }

    /// Something was taken: reading goes on if that made room, and a violation behind it takes effect.
    #[inline]
    pub(super) fn make_room(self: &Arc<Self>, inbox: MutexGuard<'_, Inbox>) {
        let (has_room, is_empty) = (inbox.has_room(), inbox.is_empty());
        drop(inbox);
        if self.failing.load(Ordering::SeqCst) && is_empty {
            self.reactor.alert();
        }
        if self.paused.load(Ordering::SeqCst)
            && has_room
            && let Some(mut link) = self.link()
        {
            link.resume(self);
        }
    }

    /// Begins to read one message in pieces, as they arrive: the next that is held, or the one that comes. Until
    /// [`Connection::end_stream`] nobody else gets a message. False: somebody does so already.
    pub fn begin_stream(self: &Arc<Self>) -> bool {
        self.pull();
        let Some(mut link) = self.link() else { return true };
        if self.streaming.swap(true, Ordering::SeqCst) {
            return false;
        }
        // Reading needs the link, so nothing comes between the look and the order.
        let mut inbox = lock(&self.inbox);
        if inbox.is_empty() {
            link.report_pieces(&mut inbox);
        }
        true
    }

    /// Whether a piece is held.
    pub fn has_piece(&self) -> bool {
        !self.is_forked() && !lock(&self.inbox).is_empty()
    }

    /// Takes the next piece, and whether it is the last of its message. `read` runs under a lock: it must only copy.
    pub fn take_piece<T>(self: &Arc<Self>, read: impl FnOnce(Message<'_>) -> T) -> Option<(T, bool)> {
        if self.is_forked() {
            return None;
        }
        let mut inbox = lock(&self.inbox);
        let taken = inbox.pop_piece(read)?;
        self.make_room(inbox);
        Some(taken)
    }

    /// Ends what `begin_stream` began. Pieces of the message that were not taken are thrown away, also those still to come.
    pub fn end_stream(self: &Arc<Self>, complete: bool) {
        let Some(mut link) = self.link() else { return };
        link.report_whole();
        let mut inbox = lock(&self.inbox);
        if !complete {
            inbox.skip_message();
        }
        self.streaming.store(false, Ordering::SeqCst);
        drop(link);
        self.make_room(inbox);
        self.request_delivery();
        self.reactor.nudge();
    }

    /// True once, after the first message was dropped because the hold was full and nobody ever listened: warn now.
    pub fn take_dropped(&self) -> bool {
        !self.is_forked() && lock(&self.inbox).take_dropped()
    }
}
