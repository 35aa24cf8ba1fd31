//! What of the takers is read without the lock that the language keeps around them.
//!
//! One word: flags, and above them a count of the changes among the handlers. A message whose way is straight (one
//! handler or one receiver, and nobody else to think of) is taken off the hold and handed over after a look at this
//! word; threads that wait look at it before they take any lock.

use crate::sync::Arc;
use crate::sync::atomic::{AtomicU32, Ordering};

/// OnMessage has a handler.
const HANDLERS: u32 = 1;
/// Tickets wait, or something was taken off the hold and is still to be delivered.
const OTHERS: u32 = 1 << 1;
/// The driver delivers, or something is kept for handlers.
const OWES: u32 = 1 << 2;
/// The next message is not begun for those in `Wait` until all who share the last one have taken it.
const HELD_UP: u32 = 1 << 3;
/// OnClose fires, or has.
const CLOSE_FIRES: u32 = 1 << 4;
/// The program began the closing handshake.
const ENDED_HERE: u32 = 1 << 5;
/// A message was given back, for anybody.
const RETURNED: u32 = 1 << 6;
const CHANGE: u32 = 1 << 8;

/// The flags, by name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) handlers: bool,
    pub(super) others: bool,
    pub(super) owes: bool,
    pub(super) held_up: bool,
    pub(super) close_fires: bool,
    pub(super) ended_here: bool,
    pub(super) returned: bool,
}

/// The word. Written under the lock around the takers, read by anybody.
#[derive(Debug, Default)]
pub struct Glance(AtomicU32);

impl Glance {
    fn has(&self, flags: u32) -> bool {
        self.0.load(Ordering::Acquire) & flags != 0
    }

    /// Whether OnMessage has a handler.
    pub fn has_handlers(&self) -> bool {
        self.has(HANDLERS)
    }

    /// Whether a message's way is from the hold to whoever asks for it now: no handler, nobody who came before.
    #[inline]
    pub fn is_free(&self) -> bool {
        !self.has(HANDLERS | OTHERS)
    }

    /// Whether a handler may be called without asking: see `Takers::sole_handler`.
    #[inline]
    pub fn may_be_straight(&self) -> bool {
        self.0.load(Ordering::Acquire) & (HANDLERS | OTHERS) == HANDLERS
    }

    /// Whether handlers are being called, or something that was taken off the hold is kept for them.
    pub fn owes(&self) -> bool {
        self.has(OWES)
    }

    /// Whether a message that a cancelled waiter gave back waits for the next taker.
    pub fn has_returned(&self) -> bool {
        self.has(RETURNED)
    }

    /// Whether those in `Wait` are to leave what is held alone, until all who share the last message have taken it.
    pub fn is_held_up(&self) -> bool {
        self.has(HELD_UP)
    }

    /// Whether OnClose fires, or has: every message that was owed to handlers has fired.
    pub fn close_fires(&self) -> bool {
        self.has(CLOSE_FIRES)
    }

    /// Whether the program began the closing handshake, after which no message is owed to anybody.
    pub fn has_ended_here(&self) -> bool {
        self.has(ENDED_HERE)
    }

    pub(super) fn publish(&self, flags: Flags) {
        let named = [
            (flags.handlers, HANDLERS),
            (flags.others, OTHERS),
            (flags.owes, OWES),
            (flags.held_up, HELD_UP),
            (flags.close_fires, CLOSE_FIRES),
            (flags.ended_here, ENDED_HERE),
            (flags.returned, RETURNED),
        ];
        let flags = named.iter().filter(|(set, _)| *set).fold(0, |word, (_, flag)| word | flag);
        // Nobody else writes: a load and a store are enough.
        let word = self.0.load(Ordering::Relaxed);
        let next = (word & !(CHANGE - 1)) | flags;
        if next != word {
            self.0.store(next, Ordering::Release);
        }
    }

    /// A handler came or went.
    pub(super) fn count_change(&self) {
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(word.wrapping_add(CHANGE), Ordering::Release);
    }

    pub(super) fn is_straight(&self) -> bool {
        !self.has(OTHERS)
    }

    pub(super) fn word(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

/// There is one handler and nobody else to think of: see `Takers::sole_handler`.
#[derive(Clone, Debug)]
pub struct Straight {
    pub(super) glance: Arc<Glance>,
    pub(super) word: u32,
}

impl Straight {
    /// Whether that is still so. To be asked before each message: any handler may change it.
    #[inline]
    pub fn holds(&self) -> bool {
        self.glance.word() == self.word
    }
}
