//! Buffers of large messages that were taken, for the next ones.
//!
//! Made anew for each message, some tens of buffers of 64 KiB at a time come from the system and go back to it, and every
//! page of them is zeroed and faulted in again: that was a third of the CPU time of a flood of such messages. A reactor
//! keeps a few, and gives them back when one of its connections has been idle.

use std::mem;

use crate::reactor::lock;
use crate::sync::Mutex;

/// How many are kept.
const MOST: usize = 8;
/// How much each may hold at the most.
const LARGEST: usize = 256 << 10;
/// A smaller one is not worth it.
const SMALLEST: usize = 16 << 10;

/// A leaf among the locks: it is taken below an inbox, and nothing below it.
#[derive(Debug, Default)]
pub(crate) struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    /// An empty buffer, with room where there is a spare one.
    pub(crate) fn take(&self) -> Vec<u8> {
        lock(&self.0).pop().unwrap_or_default()
    }

    /// What is in the buffer is not needed any more.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        if (SMALLEST..=LARGEST).contains(&buffer.capacity()) {
            buffer.clear();
            let mut kept = lock(&self.0);
            if kept.len() < MOST {
                kept.push(buffer);
            }
        }
    }

    /// Gives the memory back.
    pub(crate) fn clear(&self) {
        // Freed outside of the lock.
        let kept = mem::take(&mut *lock(&self.0));
        drop(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_with_its_room() {
        let spares = Spares::default();
        spares.give(vec![1; 20_000]);
        let buffer = spares.take();
        assert!(buffer.is_empty() && buffer.capacity() >= 20_000);
        assert_eq!(spares.take().capacity(), 0);
    }

    #[test]
    fn neither_many_nor_large_nor_small_ones_are_kept() {
        let spares = Spares::default();
        spares.give(Vec::with_capacity(LARGEST + 1));
        spares.give(Vec::with_capacity(SMALLEST - 1));
        assert_eq!(spares.take().capacity(), 0);
        (0..2 * MOST).for_each(|_| spares.give(Vec::with_capacity(SMALLEST)));
        assert_eq!((0..2 * MOST).filter(|_| spares.take().capacity() > 0).count(), MOST);
        spares.give(Vec::with_capacity(SMALLEST));
        spares.clear();
        assert_eq!(spares.take().capacity(), 0);
    }
}
