//! Random bytes from the operating system: masking keys (RFC 6455 5.3 and 10.3 want them unpredictable) and nonces.
//!
//! Keys come out of a pool of this thread, so that a message costs no system call. A pool does not survive a fork: parent
//! and child would mask with the same keys.

use std::cell::RefCell;

use crate::fork;

/// 1,024 keys for one system call.
const POOL: usize = 4096;

struct Pool {
    bytes: Box<[u8; POOL]>,
    used: usize,
    generation: u32,
}

thread_local! {
    static KEYS: RefCell<Pool> = RefCell::new(Pool { bytes: Box::new([0; POOL]), used: POOL, generation: 0 });
}

/// A masking key that was never used before.
pub(crate) fn mask() -> [u8; 4] {
    KEYS.with_borrow_mut(|pool| {
        if pool.used == POOL || pool.generation != fork::generation() {
            fill(&mut pool.bytes[..]);
            pool.used = 0;
            pool.generation = fork::generation();
        }
        let key = [0, 1, 2, 3].map(|at| pool.bytes[pool.used + at]);
        pool.used += 4;
        key
    })
}

/// The 16 random bytes of an opening handshake (RFC 6455 4.1).
pub(crate) fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    fill(&mut nonce);
    nonce
}

fn fill(bytes: &mut [u8]) {
    // Without random bytes no client may speak WebSocket, and an operating system that has none is broken.
    getrandom::fill(bytes).expect("the operating system has random bytes");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_differ_over_more_than_one_pool() {
        let keys: HashSet<[u8; 4]> = (0..3 * POOL / 4).map(|_| mask()).collect();
        // 3,072 keys out of 2^32 meet by chance once in a thousand runs; five meetings never.
        assert!(keys.len() > 3 * POOL / 4 - 5);
    }
}
