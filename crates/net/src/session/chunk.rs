//! What is read into: a buffer that large messages may stay in, and the bytes of it that were not looked at yet.
//!
//! A large message that comes whole would be copied out of the buffer that all connections share, and copied again by the
//! language: the first copy was a tenth of the client's CPU time in a flood of messages of 64 KiB. So while large messages
//! come, a connection reads into a chunk of its own, and the messages refer to where they stand in it. The chunk goes back to
//! the pool with the last of them.

use std::fmt;
use std::ops::Range;

use crate::sync::Arc;

/// Where a chunk's bytes begin is a multiple of this.
const PAGE: usize = 4 << 10;

/// A buffer of [`Chunk::SIZE`] bytes, with anything in them: it is zeroed once, when it is made.
pub(crate) struct Chunk {
    memory: Vec<u8>,
    start: usize,
}

impl Chunk {
    /// One read takes at most this much; it holds thousands of small messages.
    pub(crate) const SIZE: usize = 256 << 10;
    /// A chunk is kept for the sake of so many bytes in it: what is held takes no more than twice its own memory.
    pub(crate) const WORTH: usize = Self::SIZE / 2;

    pub(crate) fn new() -> Self {
        let memory = vec![0; Self::SIZE + PAGE];
        // 16 bytes into a page, where the allocator begins, some processors copy from the kernel four times slower.
        let start = memory.as_ptr().align_offset(PAGE);
        Self { memory, start }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + Self::SIZE]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + Self::SIZE]
    }
}

/// Without the bytes: a debug form may end in a log.
impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").finish_non_exhaustive()
    }
}

/// Bytes that were read and not looked at.
#[derive(Debug)]
pub(crate) struct Unread {
    place: Place,
    range: Range<usize>,
}

#[derive(Debug)]
enum Place {
    Own(Vec<u8>),
    Chunk(Arc<Chunk>),
}

impl Default for Unread {
    fn default() -> Self {
        Self::own(Vec::new())
    }
}

impl Unread {
    pub(super) fn own(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len(), place: Place::Own(bytes) }
    }

    /// Those that stand in this range of a chunk.
    pub(super) fn in_chunk(chunk: Arc<Chunk>, range: Range<usize>) -> Self {
        Self { range, place: Place::Chunk(chunk) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.range.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.place {
            Place::Own(bytes) => &bytes[self.range.clone()],
            Place::Chunk(chunk) => &chunk.bytes()[self.range.clone()],
        }
    }

    /// The chunk that they stand in, and where in it they end.
    pub(super) fn chunk(&self) -> Option<(&Arc<Chunk>, usize)> {
        match &self.place {
            Place::Own(_) => None,
            Place::Chunk(chunk) => Some((chunk, self.range.end)),
        }
    }

    /// All but the last `left` of them were looked at.
    pub(super) fn keep_last(&mut self, left: usize) {
        self.range.start = self.range.end - left;
    }

    /// The chunk that they stood in.
    pub(super) fn into_chunk(self) -> Option<Arc<Chunk>> {
        match self.place {
            Place::Own(_) => None,
            Place::Chunk(chunk) => Some(chunk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_begins_at_a_page_wherever_it_is_moved_to() {
        let chunks: Vec<Chunk> = (0..3).map(|_| Chunk::new()).collect();
        for mut chunk in chunks {
            assert!((chunk.bytes().as_ptr() as usize).is_multiple_of(PAGE));
            assert_eq!((chunk.bytes().len(), chunk.bytes_mut().len()), (Chunk::SIZE, Chunk::SIZE));
        }
    }

    #[test]
    fn what_was_not_looked_at_is_the_end_of_what_was_read() {
        let mut unread = Unread::own(b"abcd".to_vec());
        unread.keep_last(1);
        assert_eq!((unread.bytes(), unread.len(), unread.is_empty()), (&b"d"[..], 1, false));
        let mut chunk = Chunk::new();
        chunk.bytes_mut()[10..14].copy_from_slice(b"efgh");
        let mut unread = Unread::in_chunk(Arc::new(chunk), 10..14);
        unread.keep_last(2);
        assert_eq!((unread.bytes(), unread.chunk().map(|(_, end)| end)), (&b"gh"[..], Some(14)));
        assert!(Unread::default().is_empty());
    }
}
