//! Buffers of large messages that were taken, for the next ones.
//!
//! Made anew for each message, buffers of 64 KiB and more come from the system and go back to it, and every page of them is
//! zeroed and faulted in again: that was a third of the CPU time of a flood of messages of 64 KiB, and half of that of an
//! echo of 2 MB. A reactor keeps a few, and gives them back when one of its connections has been idle.
//!
//! The [`Chunk`]s that large messages are read into and stay in are kept beside them, as they are: what is in them need
//! not be zeroed for the next read.

use std::mem;

use super::chunk::Chunk;
use crate::sync::{Arc, Mutex, lock};

/// How many are kept, and how much all of them may hold together. As many chunks hold 2 MiB.
const MOST: usize = 8;
const MOST_BYTES: usize = 16 << 20;
/// How much each may hold at the most.
const LARGEST: usize = 8 << 20;
/// A smaller one is not worth it.
const SMALLEST: usize = 16 << 10;

/// A leaf among the locks: it is taken below a hold, and nothing below it.
#[derive(Debug, Default)]
pub(crate) struct BufferPool(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    /// Nobody else refers to them.
    chunks: Vec<Arc<Chunk>>,
}

impl BufferPool {
    /// An empty buffer: one that has room for `size` bytes, if such a one is kept, or else the largest that is.
    pub(crate) fn take(&self, size: usize) -> Vec<u8> {
        let mut kept = lock(&self.0);
        let by_fit = |(_, buffer): &(usize, &Vec<u8>)| {
            let room = buffer.capacity();
            if room >= size { (0, room) } else { (1, usize::MAX - room) }
        };
        let Some((at, _)) = kept.buffers.iter().enumerate().min_by_key(by_fit) else { return Vec::new() };
        let buffer = kept.buffers.swap_remove(at);
        kept.bytes -= buffer.capacity();
        buffer
    }

    /// The same with these bytes in it.
    pub(crate) fn copy(&self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.take(bytes.len());
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// What is in the buffer is not needed any more.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        let room = buffer.capacity();
        if (SMALLEST..=LARGEST).contains(&room) {
            buffer.clear();
            let mut kept = lock(&self.0);
            if kept.buffers.len() < MOST && kept.bytes + room <= MOST_BYTES {
                kept.bytes += room;
                kept.buffers.push(buffer);
            }
        }
    }

    /// A chunk that nobody else refers to.
    pub(crate) fn take_chunk(&self) -> Arc<Chunk> {
        let kept = lock(&self.0).chunks.pop();
        kept.unwrap_or_else(|| Arc::new(Chunk::new()))
    }

    /// What was referred to in this chunk is not needed any more. It is kept if that was the last of it.
    pub(crate) fn give_chunk(&self, mut chunk: Arc<Chunk>) {
        if Arc::get_mut(&mut chunk).is_some() {
            let mut kept = lock(&self.0);
            if kept.chunks.len() < MOST {
                kept.chunks.push(chunk);
            }
        }
    }

    /// Gives the memory back.
    pub(crate) fn clear(&self) {
        // Freed outside of the lock.
        let kept = mem::take(&mut *lock(&self.0));
        drop(kept);
    }

    /// How many chunks are kept.
    #[cfg(test)]
    pub(crate) fn chunks(&self) -> usize {
        lock(&self.0).chunks.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_with_its_room() {
        let pool = BufferPool::default();
        pool.give(vec![1; 20_000]);
        let buffer = pool.take(1);
        assert!(buffer.is_empty() && buffer.capacity() >= 20_000);
        assert_eq!(pool.take(1).capacity(), 0);
    }

    #[test]
    fn the_buffer_that_fits_best_is_taken() {
        let pool = BufferPool::default();
        for room in [40_000, 20_000, 300_000] {
            pool.give(Vec::with_capacity(room));
        }
        assert_eq!(pool.take(30_000).capacity(), 40_000);
        assert_eq!(pool.take(1 << 20).capacity(), 300_000);
        assert_eq!(pool.take(30_000).capacity(), 20_000);
    }

    #[test]
    fn all_of_them_together_are_bounded() {
        let pool = BufferPool::default();
        (0..MOST).for_each(|_| pool.give(Vec::with_capacity(LARGEST)));
        assert_eq!((0..MOST).filter(|_| pool.take(1).capacity() > 0).count(), MOST_BYTES / LARGEST);
    }

    #[test]
    fn neither_many_nor_large_nor_small_ones_are_kept() {
        let pool = BufferPool::default();
        pool.give(Vec::with_capacity(LARGEST + 1));
        pool.give(Vec::with_capacity(SMALLEST - 1));
        assert_eq!(pool.take(1).capacity(), 0);
        (0..2 * MOST).for_each(|_| pool.give(Vec::with_capacity(SMALLEST)));
        assert_eq!((0..2 * MOST).filter(|_| pool.take(1).capacity() > 0).count(), MOST);
        pool.give(Vec::with_capacity(SMALLEST));
        pool.clear();
        assert_eq!(pool.take(1).capacity(), 0);
    }

    #[test]
    fn a_chunk_is_kept_as_it_is_when_nobody_refers_to_it_any_more() {
        let pool = BufferPool::default();
        let mut chunk = pool.take_chunk();
        Arc::get_mut(&mut chunk).expect("nobody else has it").bytes_mut()[0] = 7;
        let other = Arc::clone(&chunk);
        pool.give_chunk(chunk);
        assert_eq!(pool.chunks(), 0);
        pool.give_chunk(other);
        assert_eq!((pool.chunks(), pool.take_chunk().bytes()[0], pool.chunks()), (1, 7, 0));
    }

    #[test]
    fn few_chunks_are_kept_and_none_at_rest() {
        let pool = BufferPool::default();
        let chunks: Vec<_> = (0..2 * MOST).map(|_| pool.take_chunk()).collect();
        chunks.into_iter().for_each(|chunk| pool.give_chunk(chunk));
        assert_eq!(pool.chunks(), MOST);
        pool.clear();
        assert_eq!(pool.chunks(), 0);
    }
}
