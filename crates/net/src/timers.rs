//! Deadlines: which connection has to be looked at, and when.
//!
//! A connection asks for its next deadline only; what is due then, it knows itself. Entries are never searched for and
//! taken out: one that has become too early finds nothing due and costs a look. Setting one from any thread moves the
//! poller's alarm when it is the new first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::poller::Poller;
use crate::sync::{Instant, Mutex, PoisonError};

/// The deadlines of one reactor's connections, by their keys.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: Mutex<BinaryHeap<Reverse<(Instant, u64)>>>,
}

impl Timers {
    /// Asks for a look at the connection `key` at the time `at`.
    pub(crate) fn set(&self, at: Instant, key: u64, poller: &Poller) {
        let mut heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = heap.peek().is_none_or(|Reverse((first, _))| at < *first);
        heap.push(Reverse((at, key)));
        if is_first {
            poller.set_alarm(at);
        }
    }

    /// Takes the next key whose time has come; sets the alarm for the one after it when there is none.
    pub(crate) fn next_due(&self, now: Instant, poller: &Poller) -> Option<u64> {
        let mut heap = self.heap.lock().unwrap_or_else(PoisonError::into_inner);
        let Reverse((first, _)) = heap.peek()?;
        if *first > now {
            poller.set_alarm(*first);
            return None;
        }
        heap.pop().map(|Reverse((_, key))| key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_come_in_their_order_and_not_before_their_time() {
        let poller = Poller::new().expect("descriptors");
        let timers = Timers::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        timers.set(later, 3, &poller);
        timers.set(now, 2, &poller);
        timers.set(now - Duration::from_millis(1), 1, &poller);
        assert_eq!(timers.next_due(now, &poller), Some(1));
        assert_eq!(timers.next_due(now, &poller), Some(2));
        assert_eq!(timers.next_due(now, &poller), None);
        assert_eq!(timers.next_due(later, &poller), Some(3));
    }
}
