//! Messages between the wire and whoever listens or pulls: in order, bounded, nothing lost without a word.
//!
//! Payloads of small messages share one growing buffer, so that a message costs no allocation; a large one is kept in
//! the buffer that it was read into. Whether a full inbox pauses reading or drops its oldest message is the
//! connection's decision (semantic 1); this file only counts.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use sunsocket_wire::{Message, MessageKind, Piece};

use crate::options::HeldLimit;
use crate::spares::Spares;

/// Payloads up to this size are copied into the shared buffer.
const SMALL: usize = 16 << 10;
/// An empty shared buffer above this size is given back at once, a smaller one when the connection idles.
const KEEP: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Inbox {
    entries: VecDeque<Entry>,
    shared: Vec<u8>,
    /// Where in the stream of small payloads `shared` begins.
    base: usize,
    /// Bytes of all payloads held.
    bytes: usize,
    limit: HeldLimit,
    /// Where the buffers of large messages come from and go to.
    spares: Arc<Spares>,
    /// Whether a message was ever dropped, and whether that was told.
    dropped: bool,
    told: bool,
    /// The last piece that came in does not end its message.
    part_open: bool,
    /// What comes of the message that is under way is not wanted any more.
    skipping: bool,
}

#[derive(Debug)]
struct Entry {
    kind: MessageKind,
    ascii: bool,
    part: Part,
    body: Body,
}

/// How much of a message an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Piece,
    Last,
}

#[derive(Debug)]
enum Body {
    Shared { start: usize, len: usize },
    Own(Vec<u8>),
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::Shared { len, .. } => *len,
            Self::Own(payload) => payload.len(),
        }
    }
}

impl Inbox {
    pub(crate) fn new(limit: HeldLimit, spares: Arc<Spares>) -> Self {
        Self {
            entries: VecDeque::new(),
            shared: Vec::new(),
            base: 0,
            bytes: 0,
            limit,
            spares,
            dropped: false,
            told: false,
            part_open: false,
            skipping: false,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether one of the bounds is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.limit.messages || self.is_heavy()
    }

    /// Whether the bytes held are as many as may be.
    pub(crate) fn is_heavy(&self) -> bool {
        self.bytes >= self.limit.bytes
    }

    /// Whether enough was taken to read on: half of either bound, so that pausing does not flutter.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() <= self.limit.messages / 2 && self.bytes <= self.limit.bytes / 2
    }

    /// Whether the oldest entry is a whole message.
    pub(crate) fn has_message(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.part == Part::Whole)
    }

    pub(crate) fn push(&mut self, message: Message<'_>) {
        self.push_entry(message, Part::Whole);
    }

    /// The same for a message that is certainly small.
    #[inline]
    pub(crate) fn push_small(&mut self, kind: MessageKind, ascii: bool, payload: &[u8]) {
        self.bytes += payload.len();
        let body = Body::Shared { start: self.base + self.shared.len(), len: payload.len() };
        self.shared.extend_from_slice(payload);
        self.entries.push_back(Entry { kind, ascii, part: Part::Whole, body });
    }

    pub(crate) fn push_piece(&mut self, piece: Piece) {
        let Piece { kind, last, payload } = piece;
        self.part_open = !last;
        if self.skipping {
            self.skipping = !last;
            return;
        }
        let part = if last { Part::Last } else { Part::Piece };
        self.push_entry(Message { kind, ascii: false, payload: Cow::Owned(payload) }, part);
    }

    /// Throws away the pieces at the front, and those of the same message that are still to come.
    pub(crate) fn skip_message(&mut self) {
        while let Some(Part::Piece | Part::Last) = self.entries.front().map(|entry| entry.part) {
            if let Some(((), true)) = self.pop_piece(|_unwanted| ()) {
                return;
            }
        }
        self.skipping = self.part_open;
    }

    fn push_entry(&mut self, message: Message<'_>, part: Part) {
        let Message { kind, ascii, payload } = message;
        self.bytes += payload.len();
        let body = match payload {
            Cow::Owned(payload) if payload.len() > SMALL => Body::Own(payload),
            Cow::Borrowed(payload) if payload.len() > SMALL => {
                let mut own = self.spares.take();
                own.extend_from_slice(payload);
                Body::Own(own)
            }
            payload => {
                let start = self.base + self.shared.len();
                self.shared.extend_from_slice(&payload);
                Body::Shared { start, len: payload.len() }
            }
        };
        self.entries.push_back(Entry { kind, ascii, part, body });
    }

    /// Takes the oldest entry if it is a whole message; `read` copies what it needs.
    pub(crate) fn pop_message<T>(&mut self, read: impl FnOnce(Message<'_>) -> T) -> Option<T> {
        if self.has_message() { self.pop_piece(read).map(|(taken, _)| taken) } else { None }
    }

    /// Takes the oldest entry, and whether a message ends with it; `read` copies what it needs.
    pub(crate) fn pop_piece<T>(&mut self, read: impl FnOnce(Message<'_>) -> T) -> Option<(T, bool)> {
        let Entry { kind, ascii, part, body } = self.entries.pop_front()?;
        self.bytes -= body.len();
        let result = match body {
            Body::Own(payload) => {
                let result = read(Message { kind, ascii, payload: Cow::Borrowed(&payload) });
                self.spares.give(payload);
                result
            }
            Body::Shared { start, len } => {
                let start = start - self.base;
                let payload = Cow::Borrowed(&self.shared[start..start + len]);
                let result = read(Message { kind, ascii, payload });
                self.forget(start + len);
                result
            }
        };
        Some((result, part != Part::Piece))
    }

    /// The first `end` bytes of the shared buffer are not needed any more.
    #[inline]
    fn forget(&mut self, end: usize) {
        if end == self.shared.len() {
            // Counted on, not from 0 again: empty messages behind this one still say where they begin.
            self.base += end;
            if self.shared.capacity() > KEEP {
                self.shared = Vec::new();
            } else {
                self.shared.clear();
            }
        } else if end >= SMALL && end >= self.shared.len() / 2 {
            // Each byte is moved at most once for each byte that was taken.
            self.shared.drain(..end);
            self.base += end;
        }
    }

    /// Drops the oldest message.
    pub(crate) fn drop_oldest(&mut self) {
        self.dropped |= self.pop_piece(|_dropped| ()).is_some();
    }

    /// Whether the first message was dropped, and nobody was told yet.
    pub(crate) fn is_drop_untold(&self) -> bool {
        self.dropped && !self.told
    }

    /// The same, true once: it is told now.
    pub(crate) fn take_dropped(&mut self) -> bool {
        let untold = self.is_drop_untold();
        self.told |= untold;
        untold
    }

    /// Throws everything away (a local Close).
    pub(crate) fn clear(&mut self) {
        let Self { limit, dropped, told, .. } = *self;
        *self = Self { dropped, told, ..Self::new(limit, Arc::clone(&self.spares)) };
    }

    /// Gives memory back that an idle connection does not need.
    pub(crate) fn shrink(&mut self) {
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
            self.shared = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inbox(limit: HeldLimit) -> Inbox {
        Inbox::new(limit, Arc::default())
    }

    fn binary(payload: &[u8]) -> Message<'_> {
        Message { kind: MessageKind::Binary, ascii: false, payload: Cow::Borrowed(payload) }
    }

    fn pop(inbox: &mut Inbox) -> Option<Vec<u8>> {
        inbox.pop_message(|message| message.payload.into_owned())
    }

    #[test]
    fn both_bounds_count_and_room_comes_back_at_half() {
        let mut inbox = inbox(HeldLimit { messages: 4, bytes: 100 });
        (0..3).for_each(|_| inbox.push(binary(b"x")));
        assert!(!inbox.is_full());
        inbox.push(binary(b"x"));
        assert!(inbox.is_full());
        pop(&mut inbox);
        assert!(!inbox.has_room());
        pop(&mut inbox);
        assert!(inbox.has_room());
        inbox.push(binary(&[0; 98]));
        assert!(inbox.is_full());
    }

    #[test]
    fn dropping_the_oldest_is_told_once() {
        let mut inbox = inbox(HeldLimit::default());
        inbox.push(binary(b"old"));
        inbox.push(binary(b"new"));
        inbox.drop_oldest();
        assert_eq!(pop(&mut inbox), Some(b"new".to_vec()));
        assert_eq!((inbox.take_dropped(), inbox.take_dropped()), (true, false));
        inbox.push(binary(b"newer"));
        inbox.drop_oldest();
        assert!(!inbox.take_dropped());
    }

    fn piece(payload: &[u8], last: bool) -> Piece {
        Piece { kind: MessageKind::Binary, last, payload: payload.to_vec() }
    }

    fn pop_piece(inbox: &mut Inbox) -> Option<(Vec<u8>, bool)> {
        inbox.pop_piece(|message| message.payload.into_owned())
    }

    #[test]
    fn pieces_are_no_messages() {
        let mut inbox = inbox(HeldLimit::default());
        inbox.push_piece(piece(b"a", false));
        inbox.push_piece(piece(b"b", true));
        inbox.push(binary(b"whole"));
        assert!(!inbox.has_message());
        assert_eq!(pop(&mut inbox), None);
        assert_eq!(pop_piece(&mut inbox), Some((b"a".to_vec(), false)));
        assert_eq!(pop_piece(&mut inbox), Some((b"b".to_vec(), true)));
        assert_eq!(pop_piece(&mut inbox), Some((b"whole".to_vec(), true)));
    }

    #[test]
    fn a_message_that_is_skipped_leaves_the_next_alone() {
        for held in 0..4 {
            let mut inbox = inbox(HeldLimit::default());
            let pieces = [piece(b"a", false), piece(b"b", false), piece(b"c", true)];
            inbox.push_piece(pieces[0].clone());
            pop_piece(&mut inbox);
            pieces[1..].iter().take(held).for_each(|piece| inbox.push_piece(piece.clone()));
            if held == 3 {
                inbox.push(binary(b"next"));
            }
            inbox.skip_message();
            pieces[1..].iter().skip(held).for_each(|piece| inbox.push_piece(piece.clone()));
            if held < 3 {
                inbox.push(binary(b"next"));
            }
            assert_eq!(pop(&mut inbox), Some(b"next".to_vec()), "{held}");
            assert!(inbox.is_empty());
        }
        let mut untouched = inbox(HeldLimit::default());
        untouched.skip_message();
        untouched.push(binary(b"whole"));
        assert_eq!(pop(&mut untouched), Some(b"whole".to_vec()));
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(
            steps in prop::collection::vec((any::<bool>(), prop_oneof![0usize..3, 0usize..40_000]), 1..200),
        ) {
            let mut inbox = inbox(HeldLimit::default());
            let mut model = VecDeque::new();
            for (index, (push, size)) in steps.into_iter().enumerate() {
                if push {
                    let payload = vec![index as u8; size];
                    inbox.push(binary(&payload));
                    model.push_back(payload);
                } else {
                    prop_assert_eq!(pop(&mut inbox), model.pop_front());
                }
                prop_assert_eq!(inbox.bytes, model.iter().map(Vec::len).sum::<usize>());
                prop_assert_eq!(inbox.is_empty(), model.is_empty());
            }
            while let Some(payload) = model.pop_front() {
                prop_assert_eq!(pop(&mut inbox), Some(payload));
            }
            prop_assert!(inbox.is_empty());
            prop_assert_eq!(inbox.shared.len(), 0);
        }
    }
}
