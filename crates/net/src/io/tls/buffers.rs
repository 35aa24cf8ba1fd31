//! Buffers for encrypted bytes, kept by each thread between the reads and writes of all its connections: an idle
//! connection holds none, and the allocator is not asked on every message (a piece of this size makes it tidy up, each
//! time it is freed).

use std::cell::RefCell;
use std::mem;

/// What one read takes: several records of the largest size, and still in the processor's nearer caches.
pub(super) const SIZE: usize = 128 << 10;

/// Buffers that a thread keeps: TLS inside TLS uses two at a time in each direction.
const KEPT: usize = 4;

thread_local! {
    static KEPT_HERE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`SIZE`] bytes, with anything in them.
pub(super) fn take() -> Vec<u8> {
    KEPT_HERE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; SIZE])
}

/// Takes the buffer out of `place`. One of another size is dropped.
pub(super) fn give_back(place: &mut Vec<u8>) {
    let buffer = mem::take(place);
    KEPT_HERE.with_borrow_mut(|kept| {
        if kept.len() < KEPT && buffer.len() == SIZE {
            kept.push(buffer);
        }
    });
}
