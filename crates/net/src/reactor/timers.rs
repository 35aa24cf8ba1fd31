//! Deadlines: which connection has to be looked at, and when.
//!
//! One slot for each connection: its next deadline. What is due then, it knows itself. To set a deadline replaces the one
//! before, so that the slots are never more than the connections.

use std::collections::{BTreeSet, HashMap};

use crate::sync::{Instant, Mutex, lock};

/// The next deadline of each of one reactor's connections, by its key.
#[derive(Debug, Default)]
pub(crate) struct Timers(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    by_time: BTreeSet<(Instant, u64)>,
    by_key: HashMap<u64, Instant>,
}

impl Slots {
    fn remove(&mut self, key: u64) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }
}

impl Timers {
    /// Asks for a look at the connection `key` at the time `at`, in place of the one that was asked for before. True when
    /// that is the first of all.
    pub(crate) fn set(&self, key: u64, at: Instant) -> bool {
        let mut slots = lock(&self.0);
        slots.remove(key);
        slots.by_key.insert(key, at);
        slots.by_time.insert((at, key));
        slots.by_time.first() == Some(&(at, key))
    }

    /// Nothing is asked for the connection `key` any more.
    pub(crate) fn remove(&self, key: u64) {
        lock(&self.0).remove(key);
    }

    /// The first deadline of all.
    pub(crate) fn first(&self) -> Option<Instant> {
        lock(&self.0).by_time.first().map(|(at, _)| *at)
    }

    /// Takes the next key whose time has come.
    pub(crate) fn next_due(&self, now: Instant) -> Option<u64> {
        let mut slots = lock(&self.0);
        let (_, key) = slots.by_time.first().copied().filter(|(first, _)| *first <= now)?;
        slots.remove(key);
        Some(key)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let slots = lock(&self.0);
        assert_eq!(slots.by_time.len(), slots.by_key.len());
        slots.by_key.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_come_in_their_order_and_not_before_their_time() {
        let timers = Timers::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(60);
        assert!(timers.set(3, later));
        assert!(timers.set(2, now));
        assert!(timers.set(1, now.checked_sub(Duration::from_millis(1)).expect("the machine runs")));
        assert_eq!(timers.next_due(now), Some(1));
        assert_eq!(timers.next_due(now), Some(2));
        assert_eq!(timers.next_due(now), None);
        assert_eq!(timers.first(), Some(later));
        assert_eq!(timers.next_due(later), Some(3));
    }

    #[test]
    fn a_connection_has_one_slot_however_often_its_deadline_changes() {
        let timers = Timers::default();
        let now = Instant::now();
        for step in 0..1000 {
            timers.set(1, now + Duration::from_millis(step % 7));
            timers.set(2, now);
        }
        assert_eq!(timers.len(), 2);
        timers.remove(2);
        timers.remove(2);
        assert_eq!(timers.len(), 1);
    }
}
