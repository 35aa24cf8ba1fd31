//! A queue of messages, as it goes from who reads to who takes.
//!
//! Whoever reads fills a [`Batch`] of its own, under no lock that a taker could wait for, and hands it over whole. Payloads
//! of small messages share one growing buffer, so that a message costs no allocation; a large one is kept in the buffer
//! that it was read into, which may be a [`Chunk`] with others of its kind in it.
//!
//! Where a chunk is kept, the messages of it that come into a batch together have [`Chunk::WORTH`] bytes at least. They are
//! taken in their order, so that of all chunks that a hold refers to only the first can be left with less: it is given back
//! at rest, or with its last message.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use sunsocket_wire::{Message, MessageKind, Piece};

use super::buffer_pool::BufferPool;
use super::chunk::Chunk;
use crate::options::HeldLimit;

/// Payloads up to this size are copied into the shared buffer.
pub(super) const SMALL: usize = 16 << 10;
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
    Shared {
        start: usize,
        len: usize,
    },
    Own(Vec<u8>),
    /// Counted in 32 bits, so that entries are no larger for it: those of a flood of small messages are written and read
    /// for each.
    Chunk {
        chunk: Arc<Chunk>,
        start: u32,
        len: u32,
    },
}

/// What a portion of bytes was read into, if messages may stay there, and where in it the message ends.
pub(super) type InChunk<'a> = (&'a Arc<Chunk>, usize);

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::Shared { len, .. } => *len,
            Self::Own(payload) => payload.len(),
            Self::Chunk { len, .. } => *len as usize,
        }
    }

    /// The chunk that it stands in.
    fn chunk(&self) -> Option<&Arc<Chunk>> {
        match self {
            Self::Chunk { chunk, .. } => Some(chunk),
            Self::Own(_) | Self::Shared { .. } => None,
        }
    }

    fn in_chunk(chunk: &Arc<Chunk>, range: Range<usize>) -> Option<Self> {
        let (start, len) = (u32::try_from(range.start).ok()?, u32::try_from(range.len()).ok()?);
        Some(Self::Chunk { chunk: Arc::clone(chunk), start, len })
    }
}

/// The payload that stands there in a chunk.
fn in_chunk(chunk: &Chunk, start: u32, len: u32) -> &[u8] {
    &chunk.bytes()[start as usize..][..len as usize]
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

    /// The same for a message out of bytes that were just read; says how many bytes of these a large one had of its own.
    /// `place`: it stays there, until [`Batch::unpin`] says whether that is worth it.
    pub(super) fn push_read(&mut self, message: Message<'_>, place: Option<InChunk<'_>>) -> usize {
        let Message { kind, ascii, payload: Cow::Borrowed(payload) } = message else {
            self.push(message);
            return 0;
        };
        let len = payload.len();
        if len <= SMALL {
            self.push(message);
            return 0;
        }
        let stays = place.and_then(|(chunk, end)| {
            debug_assert!(std::ptr::eq(payload, &raw const chunk.bytes()[end - len..end]));
            Body::in_chunk(chunk, end - len..end)
        });
        if let Some(body) = stays {
            self.bytes += len;
            self.entries.push_back(Entry { kind, ascii, part: Part::Whole, body });
        } else {
            self.push(message);
        }
        len
    }

    /// Messages from the index `from` on that have too little of a chunk to keep it get buffers of their own.
    pub(super) fn unpin(&mut self, from: usize) {
        let mut at = from;
        while at < self.entries.len() {
            let Some(chunk) = self.entries[at].body.chunk().map(Arc::clone) else {
                at += 1;
                continue;
            };
            // Messages of one chunk stand together, with others among them that are in no chunk.
            let is_of_it = |entry: &&Entry| entry.body.chunk().is_none_or(|other| Arc::ptr_eq(other, &chunk));
            let (mut count, mut bytes) = (0, 0);
            for entry in self.entries.range(at..).take_while(is_of_it) {
                count += 1;
                bytes += entry.body.chunk().map_or(0, |_| entry.body.len());
            }
            if bytes < Chunk::WORTH {
                for entry in self.entries.range_mut(at..at + count) {
                    if let Body::Chunk { chunk, start, len } = &entry.body {
                        entry.body = Body::Own(self.pool.copy(in_chunk(chunk, *start, *len)));
                    }
                }
                self.pool.give_chunk(chunk);
            }
            at += count;
        }
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
            Cow::Borrowed(payload) if payload.len() > SMALL => Body::Own(self.pool.copy(payload)),
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
            Body::Chunk { chunk, start, len } => {
                let payload = Cow::Borrowed(in_chunk(&chunk, start, len));
                let result = read(Message { kind, ascii, payload });
                self.pool.give_chunk(chunk);
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
            Body::Chunk { chunk, start, len } => in_chunk(chunk, *start, *len),
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
            match entry.body {
                Body::Own(payload) => self.pool.give(payload),
                Body::Chunk { chunk, .. } => self.pool.give_chunk(chunk),
                Body::Shared { .. } => {}
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

    /// How many chunks it refers to, and how many bytes in them.
    #[cfg(test)]
    pub(super) fn in_chunks(&self) -> (usize, usize) {
        let mut chunks: Vec<_> = self.entries.iter().filter_map(|entry| entry.body.chunk()).collect();
        let bytes = self.entries.iter().filter(|entry| entry.body.chunk().is_some());
        let bytes = bytes.map(|entry| entry.body.len()).sum();
        chunks.dedup_by(|one, other| Arc::ptr_eq(one, other));
        (chunks.len(), bytes)
    }

    /// Bytes in the buffer that small messages share.
    #[cfg(test)]
    pub(super) fn shared_len(&self) -> usize {
        self.shared.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_makes_no_entry_larger() {
        assert_eq!(size_of::<Body>(), size_of::<Vec<u8>>().max(size_of::<(Arc<Chunk>, u32, u32, u32)>()));
    }
}
