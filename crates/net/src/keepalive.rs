//! Pings, round trips and the peer that is not there any more.
//!
//! The connection says what it received and when; this file says when the next ping is due and when the peer counts as
//! lost. A pong answers its own ping and every older one (RFC 6455 5.5.3).

use std::collections::VecDeque;
use std::time::Duration;

use crate::sync::Instant;

/// Pings that may be unanswered at once; of more, the oldest are forgotten (a later pong answers for them).
const MOST_UNANSWERED: usize = 64;
/// A timer that went off this late says that the whole program slept, not that the peer did.
const LATE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct KeepAlive {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    last_received: Instant,
    unanswered: VecDeque<Sent>,
    sent: u64,
    /// The newest ping that was answered, and how long that took.
    answered: Option<(u64, Duration)>,
    /// When the ping of the keep-alive that is unanswered was sent.
    waiting_since: Option<Instant>,
}

#[derive(Debug)]
struct Sent {
    number: u64,
    payload: Vec<u8>,
    at: Instant,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// Send a ping.
    Ping,
    /// The peer did not answer in time.
    Lost,
}

impl KeepAlive {
    pub(crate) fn new(interval: Option<Duration>, timeout: Option<Duration>, now: Instant) -> Self {
        Self {
            interval,
            timeout,
            last_received: now,
            unanswered: VecDeque::new(),
            sent: 0,
            answered: None,
            waiting_since: None,
        }
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Bytes came in.
    pub(crate) fn received(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// Registers a ping; an empty payload becomes one that no other ping of this connection has.
    pub(crate) fn ping(&mut self, payload: &[u8], now: Instant) -> (u64, Vec<u8>) {
        self.sent += 1;
        let payload = match payload {
            [] => self.sent.to_be_bytes().to_vec(),
            payload => payload.to_vec(),
        };
        if self.unanswered.len() == MOST_UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(Sent { number: self.sent, payload: payload.clone(), at: now });
        (self.sent, payload)
    }

    /// A pong came; one that answers no ping of ours is none of our business.
    pub(crate) fn pong(&mut self, payload: &[u8], now: Instant) -> bool {
        let Some(at) = self.unanswered.iter().rposition(|sent| sent.payload == payload) else { return false };
        let ping = self.unanswered.drain(..=at).next_back();
        if let Some(ping) = ping {
            self.answered = Some((ping.number, now.duration_since(ping.at)));
            self.waiting_since = None;
        }
        true
    }

    /// The round trip of the ping `number`, or of a later one.
    pub(crate) fn round_trip(&self, number: u64) -> Option<Duration> {
        self.answered.filter(|(answered, _)| *answered >= number).map(|(_, round_trip)| round_trip)
    }

    pub(crate) fn latency(&self) -> Option<Duration> {
        self.answered.map(|(_, round_trip)| round_trip)
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match (self.waiting_since, self.timeout) {
            (Some(since), Some(timeout)) => since.checked_add(timeout),
            (Some(_), None) => None,
            (None, _) => self.last_received.checked_add(self.interval?),
        }
    }

    /// What is due at `now`. `reading`: false while it is we who do not read, so that no pong can be seen.
    pub(crate) fn due(&mut self, now: Instant, reading: bool) -> Due {
        let Some(deadline) = self.deadline().filter(|deadline| *deadline <= now) else { return Due::Nothing };
        match (self.waiting_since, self.timeout) {
            (Some(since), Some(timeout)) => {
                let late = now.duration_since(deadline);
                if reading && late < LATE {
                    return Due::Lost;
                }
                // Wait once more from here: as long as it takes while we do not read, for a moment after a long sleep.
                let wait = if reading { LATE.min(timeout) } else { timeout };
                self.waiting_since = Some((now + wait).checked_sub(timeout).unwrap_or(since));
                Due::Nothing
            }
            (Some(_), None) => Due::Nothing,
            (None, _) => {
                self.waiting_since = Some(now);
                Due::Ping
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn keep_alive(now: Instant) -> KeepAlive {
        KeepAlive::new(Some(20 * SECOND), Some(20 * SECOND), now)
    }

    #[test]
    fn a_ping_is_due_after_the_interval_without_a_byte() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        assert_eq!(keep.due(start + 19 * SECOND, true), Due::Nothing);
        keep.received(start + 19 * SECOND);
        assert_eq!(keep.due(start + 20 * SECOND, true), Due::Nothing);
        assert_eq!(keep.due(start + 39 * SECOND, true), Due::Ping);
        assert_eq!(keep.due(start + 39 * SECOND, true), Due::Nothing);
    }

    #[test]
    fn no_pong_in_time_is_a_lost_peer_but_not_while_we_do_not_read() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        let sent = start + 20 * SECOND;
        assert_eq!(keep.due(sent, true), Due::Ping);
        keep.ping(b"", sent);
        assert_eq!(keep.due(sent + 20 * SECOND, false), Due::Nothing);
        assert_eq!(keep.due(sent + 39 * SECOND, true), Due::Nothing);
        assert_eq!(keep.due(sent + 40 * SECOND, true), Due::Lost);
    }

    #[test]
    fn after_a_long_sleep_the_peer_gets_another_moment() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        let sent = start + 20 * SECOND;
        assert_eq!(keep.due(sent, true), Due::Ping);
        let woken = sent + 3600 * SECOND;
        assert_eq!(keep.due(woken, true), Due::Nothing);
        assert_eq!(keep.due(woken + SECOND, true), Due::Lost);
    }

    #[test]
    fn a_pong_answers_its_ping_and_the_older_ones() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        let (first, _) = keep.ping(b"one", start);
        let (second, payload) = keep.ping(b"", start + SECOND);
        assert!(!keep.pong(b"other", start + SECOND));
        assert!(keep.pong(&payload, start + 3 * SECOND));
        assert_eq!(keep.round_trip(first), Some(2 * SECOND));
        assert_eq!(keep.round_trip(second), Some(2 * SECOND));
        assert_eq!(keep.round_trip(second + 1), None);
        assert!(!keep.pong(b"one", start + 4 * SECOND));
    }
}
