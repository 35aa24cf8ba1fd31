//! A queue of messages, as it goes from who reads to who takes.
//!
//! Whoever reads fills a [`Batch`] of its own, under no lock that a taker could wait for, and hands it over whole. Payloads
//! of small messages share one growing buffer, so that a message costs no allocation; a large one is kept in the buffer
//! that it was read into.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use sunsocket_wire::{Message, MessageKind, Piece};

use super::buffer_pool::BufferPool;
use crate::options::HeldLimit;

/// Payloads up to this size are copied into the shared buffer.
const SMALL: usize = 16 << 10;
/// An empty shared buffer above this size is given back at once, a smaller one when the connection idles.
const KEEP: usize = 1 << 20;

/// A queue of messages.
#[derive(Debug)]
pub(crate) struct Batch {
    entries: VecDeque<Entry>,
    shared: Vec<u8>,
    /// Where in the stream of small payloads `shared` begins.
    base: usize,
    /// Bytes of all payloads.
    bytes: usize,
    /// Pieces of messages are among the entries, or were since it was empty.
    has_pieces: bool,
    /// Where the buffers of large messages come from and go to.
    pool: Arc<BufferPool>,
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
pub(super) enum Part {
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

impl Batch {
    pub(crate) fn new(pool: Arc<BufferPool>) -> Self {
        Self { entries: VecDeque::new(), shared: Vec::new(), base: 0, bytes: 0, has_pieces: false, pool }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// An empty one that takes its buffers from where this one does.
    pub(super) fn empty_like(&self) -> Self {
        Self::new(Arc::clone(&self.pool))
    }

    /// Whether pieces of messages may be among what it has.
    pub(super) fn has_pieces(&self) -> bool {
        self.has_pieces
    }

    /// How much of a message the oldest entry is.
    pub(super) fn front(&self) -> Option<Part> {
        self.entries.front().map(|entry| entry.part)
    }

    /// How many messages at the front are whole and within `most`; the one that reaches its bytes is the last.
    pub(super) fn whole_within(&self, most: HeldLimit) -> usize {
        let mut left = most.bytes;
        let within = self.entries.iter().take(most.messages).take_while(|entry| {
            let fits = left > 0;
            left = left.saturating_sub(entry.body.len());
            fits && entry.part == Part::Whole
        });
        within.count()
    }

    /// How many messages, and how many bytes in them.
    pub(crate) fn size(&self) -> HeldLimit {
        HeldLimit { messages: self.entries.len(), bytes: self.bytes }
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
        let part = if last { Part::Last } else { Part::Piece };
        self.push_entry(Message { kind, ascii: false, payload: Cow::Owned(payload) }, part);
    }

    pub(super) fn push_entry(&mut self, message: Message<'_>, part: Part) {
        let Message { kind, ascii, payload } = message;
        self.has_pieces |= part != Part::Whole;
        self.bytes += payload.len();
        let body = match payload {
            Cow::Owned(payload) if payload.len() > SMALL => Body::Own(payload),
            Cow::Borrowed(payload) if payload.len() > SMALL => {
                let mut own = self.pool.take(payload.len());
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

    /// Takes the oldest entry, and whether a message ends with it; `read` copies what it needs.
    pub(crate) fn pop<T>(&mut self, read: impl FnOnce(Message<'_>) -> T) -> Option<(T, bool)> {
        let Entry { kind, ascii, part, body } = self.entries.pop_front()?;
        self.bytes -= body.len();
        let result = match body {
            Body::Own(payload) => {
                let result = read(Message { kind, ascii, payload: Cow::Borrowed(&payload) });
                self.pool.give(payload);
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

    /// The message that stands at the index `at`.
    pub(crate) fn get(&self, at: usize) -> Option<Message<'_>> {
        let Entry { kind, ascii, body, .. } = self.entries.get(at)?;
        let payload = match body {
            Body::Own(payload) => payload,
            Body::Shared { start, len } => &self.shared[start - self.base..][..*len],
        };
        Some(Message { kind: *kind, ascii: *ascii, payload: Cow::Borrowed(payload) })
    }

    /// Moves the first `count` entries to the end of `other`.
    pub(super) fn move_front(&mut self, count: usize, other: &mut Self) {
        let mut end = None;
        for mut entry in self.entries.drain(..count) {
            let len = entry.body.len();
            self.bytes -= len;
            other.bytes += len;
            if let Body::Shared { start, .. } = &mut entry.body {
                let from = *start - self.base;
                *start = other.base + other.shared.len();
                other.shared.extend_from_slice(&self.shared[from..from + len]);
                end = Some(from + len);
            }
            other.entries.push_back(entry);
        }
        if let Some(end) = end {
            self.forget(end);
        }
    }

    /// Moves everything from `other` to the end.
    pub(crate) fn append(&mut self, other: &mut Self) {
        if self.entries.is_empty() {
            mem::swap(self, other);
            return;
        }
        let moved = self.base + self.shared.len();
        for mut entry in other.entries.drain(..) {
            if let Body::Shared { start, .. } = &mut entry.body {
                *start = *start - other.base + moved;
            }
            self.entries.push_back(entry);
        }
        self.shared.extend_from_slice(&other.shared);
        self.bytes += mem::take(&mut other.bytes);
        self.has_pieces |= mem::take(&mut other.has_pieces);
        let taken = other.shared.len();
        other.forget(taken);
    }

    /// Throws everything away, and keeps memory for what comes next.
    pub(super) fn recycle(&mut self) {
        for entry in self.entries.drain(..) {
            if let Body::Own(payload) = entry.body {
                self.pool.give(payload);
            }
        }
        self.bytes = 0;
        self.has_pieces = false;
        let end = self.shared.len();
        self.forget(end);
    }

    /// Throws everything away.
    pub(crate) fn clear(&mut self) {
        *self = self.empty_like();
    }

    /// Bytes in the buffer that small messages share.
    #[cfg(test)]
    pub(super) fn shared_len(&self) -> usize {
        self.shared.len()
    }
}
