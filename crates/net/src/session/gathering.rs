//! When a message is written, and by whom: many small messages are to share a write.
//!
//! A message that is sent long after the last one is written at once by the thread that sends it. One that follows soon is
//! gathered, for somebody else to write: the end of a batch of handlers, or whoever turns the reactor. A thread that
//! sends a stream of messages would wake the reactor again and again, and the reactor would find little each time; so
//! a reactor that finds much looks at intervals, and the sender writes what has become large.

use std::time::Duration;

use crate::sync::Instant;

/// Messages within so long may leave by themselves, `ALLOWANCE` of them: a header and its body are no stream.
const GATHER: Duration = Duration::from_micros(50);
const ALLOWANCE: u8 = 2;
/// A sender that finds this much gathered writes it itself.
const SENDER_WRITES: usize = 64 << 10;
/// A write that finds this much has met a stream of messages: the reactor looks only at intervals from then on.
const STREAMING: usize = 16 << 10;
/// Looks that find nothing after which the stream is over.
const STREAM_MISSES: u8 = 5;

/// Who is to write what was just queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    /// The caller, now.
    Caller,
    /// The end of the batch of handlers that the caller is in, or the reactor, soon.
    Others,
    /// Somebody who was told already.
    Nobody,
}

/// How a message is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The caller delivers messages to handlers, and will write at the end of the batch.
    pub(crate) corked: bool,
    /// Nobody but the caller would write soon.
    pub(crate) owner_is_away: bool,
    /// The reactor has an owner that can look at intervals.
    pub(crate) may_pace: bool,
}

#[derive(Debug)]
pub(crate) struct Gathering {
    last: Instant,
    /// How many more messages that follow soon leave by themselves.
    allowance: u8,
    /// Somebody was told to write.
    told: bool,
    /// While a thread sends a stream: looks in a row that found nothing to write.
    misses: Option<u8>,
}

impl Gathering {
    pub(crate) fn new(now: Instant) -> Self {
        // Long ago: the first message is written at once.
        Self { last: now.checked_sub(GATHER).unwrap_or(now), allowance: ALLOWANCE, told: false, misses: None }
    }

    /// Whether the reactor writes at intervals.
    pub(crate) fn is_paced(&self) -> bool {
        self.misses.is_some()
    }

    /// Who writes now that `unsent` bytes wait. `was_empty`: none waited before. The manner and the time are asked for only
    /// where they matter.
    pub(crate) fn queued(
        &mut self,
        unsent: usize,
        was_empty: bool,
        manner: impl FnOnce() -> Manner,
        now: impl FnOnce() -> Instant,
    ) -> Writes {
        if unsent < SENDER_WRITES && (self.told || self.misses.is_some()) {
            return Writes::Nobody;
        }
        let manner = manner();
        if unsent >= SENDER_WRITES {
            if !manner.corked && manner.may_pace && self.misses.is_none() {
                // Whoever sends this fast needs no reactor to be woken for each write.
                self.misses = Some(0);
            }
            return Writes::Caller;
        }
        if !manner.corked && was_empty {
            let now = now();
            let is_soon = now.saturating_duration_since(self.last) < GATHER;
            self.last = now;
            self.allowance = if is_soon { self.allowance.saturating_sub(1) } else { ALLOWANCE };
            if self.allowance > 0 || manner.owner_is_away {
                return Writes::Caller;
            }
        }
        self.told = true;
        Writes::Others
    }

    /// Somebody writes what was gathered, and has found `found` bytes. `paces`: it comes again at intervals.
    pub(crate) fn looked(&mut self, found: usize, paces: bool) {
        self.told = false;
        self.misses = match self.misses {
            _ if !paces => None,
            Some(misses) if found == 0 => (misses < STREAM_MISSES).then_some(misses + 1),
            Some(_) => Some(0),
            None => (found >= STREAMING).then_some(0),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANNER: Manner = Manner { corked: false, owner_is_away: false, may_pace: true };

    #[test]
    fn a_message_long_after_the_last_and_the_one_behind_it_leave_by_themselves() {
        let start = Instant::now();
        let mut gathering = Gathering::new(start);
        let mut send =
            |micros| gathering.queued(10, true, || MANNER, || start + Duration::from_micros(micros));
        assert_eq!(send(0), Writes::Caller);
        assert_eq!(send(5), Writes::Caller);
        assert_eq!(send(10), Writes::Others);
        assert_eq!(send(12), Writes::Nobody);
    }

    #[test]
    fn a_message_of_a_handler_leaves_at_the_end_of_its_batch() {
        let start = Instant::now();
        let mut gathering = Gathering::new(start);
        let corked = Manner { corked: true, ..MANNER };
        assert_eq!(gathering.queued(10, true, || corked, || start), Writes::Others);
        assert_eq!(gathering.queued(20, false, || corked, || start), Writes::Nobody);
        gathering.looked(20, false);
        assert_eq!(gathering.queued(10, true, || corked, || start), Writes::Others);
    }

    #[test]
    fn a_stream_is_written_at_intervals_until_it_pauses() {
        let start = Instant::now();
        let mut gathering = Gathering::new(start);
        assert_eq!(gathering.queued(SENDER_WRITES, false, || MANNER, || start), Writes::Caller);
        assert!(gathering.is_paced());
        assert_eq!(gathering.queued(10, true, || MANNER, || start), Writes::Nobody);
        gathering.looked(10, true);
        (0..STREAM_MISSES).for_each(|_| gathering.looked(0, true));
        assert!(gathering.is_paced());
        gathering.looked(0, true);
        assert!(!gathering.is_paced());
    }
}
