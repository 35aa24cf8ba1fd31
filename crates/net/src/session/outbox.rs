//! Bytes that the operating system has not taken yet, and the marks that tell senders to wait.

use crate::options::WriteLimit;

/// An empty buffer above this size is given back at once, a smaller one when the connection idles.
const KEEP: usize = 4 << 20;
/// Less than this in front of what is unsent is not worth moving it.
const COMPACT_FROM: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Outbox {
    buffer: Vec<u8>,
    /// Where the unsent bytes begin.
    head: usize,
    limit: WriteLimit,
    /// Above the high-water mark, and not yet down to the low one.
    full: bool,
}

impl Outbox {
    pub(crate) fn new(limit: WriteLimit) -> Self {
        Self { buffer: Vec::new(), head: 0, limit, full: false }
    }

    /// Where frames are appended.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// What is to be written next.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.buffer[self.head..]
    }

    pub(crate) fn unsent(&self) -> usize {
        self.buffer.len() - self.head
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unsent() == 0
    }

    /// Whether senders wait: from above the high-water mark until at the low one. `elsewhere`: bytes that wait to be put here,
    /// or were taken from here and have not left.
    pub(crate) fn is_full_with(&mut self, elsewhere: usize) -> bool {
        let unsent = self.unsent() + elsewhere;
        self.full = unsent > if self.full { self.limit.low } else { self.limit.high };
        self.full
    }

    /// The first `count` bytes of what is pending were written.
    pub(crate) fn written(&mut self, count: usize) {
        self.head += count;
        if self.is_empty() {
            self.clear();
        } else if self.head >= COMPACT_FROM && self.head >= self.buffer.len() / 2 {
            // Each byte is moved at most once for each byte that was sent.
            self.buffer.drain(..self.head);
            self.head = 0;
        }
    }

    /// Forgets everything: the connection cannot send any more.
    pub(crate) fn clear(&mut self) {
        self.head = 0;
        if self.buffer.capacity() > KEEP {
            self.buffer = Vec::new();
        } else {
            self.buffer.clear();
        }
    }

    /// Gives memory back that an idle connection does not need.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            self.head = 0;
            self.buffer = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_wait_from_above_the_high_mark_to_the_low_one() {
        let mut outbox = Outbox::new(WriteLimit { high: 100, low: 50 });
        outbox.buffer().extend([0; 100]);
        assert!(!outbox.is_full_with(0));
        assert!(outbox.is_full_with(1));
        outbox.written(49);
        assert!(outbox.is_full_with(0));
        outbox.written(1);
        assert!(!outbox.is_full_with(0));
    }

    #[test]
    fn what_is_pending_stays_in_order_however_it_leaves() {
        let mut outbox = Outbox::new(WriteLimit::default());
        let bytes: Vec<u8> = (0..1_000_000u32).map(|number| number as u8).collect();
        outbox.buffer().extend(&bytes);
        let mut left = Vec::new();
        while !outbox.is_empty() {
            let count = outbox.pending().len().min(77_777);
            left.extend_from_slice(&outbox.pending()[..count]);
            outbox.written(count);
        }
        assert_eq!(left, bytes);
    }
}
