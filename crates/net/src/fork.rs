//! What a fork changes: threads and locks of the parent do not exist in the child.
//!
//! Everything that may not cross remembers the generation in which it was made; in the child, calls on it do nothing.

use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between the program's start and this process.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// This process is the child of a fork.
pub(crate) fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
