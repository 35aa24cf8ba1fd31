//! Pings, round trips and the peer that is not there any more.
//!
//! The connection says what moved and when; this file says when the next ping is due and when the peer counts as lost.
//! Whatever moves in either direction is life: bytes that come, bytes that the operating system takes from us, and bytes
//! that leave its own buffer, in which megabytes can lie in front of a ping. So the clock of a pong starts when the ping
//! has left. A pong answers its own ping and every older one (RFC 6455 5.5.3).

use std::collections::VecDeque;
use std::time::Duration;

use crate::sync::Instant;

/// Pings that may be unanswered at once; of more, the oldest are forgotten (a later pong answers for them).
const MOST_UNANSWERED: usize = 64;
/// A timer that went off this late says that the whole program slept, not that the peer did.
const LATE: Duration = Duration::from_secs(1);
/// How long the first pong may take after the machine has slept: the network may be another one by now.
const AFTER_SLEEP: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct KeepAlive {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    /// When the last byte came.
    heard: Instant,
    /// When the last byte came or left.
    moved: Instant,
    /// What the operating system held of ours when it was asked last.
    queued: usize,
    unanswered: VecDeque<Sent>,
    sent: u64,
    /// The newest ping that was answered, and how long that took.
    answered: Option<(u64, Duration)>,
    /// When the last ping of the keep-alive was sent.
    pinged: Option<Instant>,
    /// The ping of the keep-alive that is unanswered: since when, and how long it may be. `None` also where no timeout is set.
    waiting: Option<(Instant, Duration)>,
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
    /// The peer did not answer, and nothing moved, for so long.
    Lost(Duration),
}

impl KeepAlive {
    pub(crate) fn new(interval: Option<Duration>, timeout: Option<Duration>, now: Instant) -> Self {
        Self {
            interval,
            timeout,
            heard: now,
            moved: now,
            queued: 0,
            unanswered: VecDeque::new(),
            sent: 0,
            answered: None,
            pinged: None,
            waiting: None,
        }
    }

    /// Bytes came in, at the latest at `now`.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
        self.moved(now);
    }

    /// The operating system took bytes of ours.
    pub(crate) fn moved(&mut self, now: Instant) {
        self.moved = self.moved.max(now);
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

    /// A pong came: the newest ping that it answers, and the round trip. One that answers no ping of ours is none of our
    /// business.
    pub(crate) fn pong(&mut self, payload: &[u8], now: Instant) -> Option<(u64, Duration)> {
        let at = self.unanswered.iter().rposition(|sent| sent.payload == payload)?;
        let ping = self.unanswered.drain(..=at).next_back()?;
        self.answered = Some((ping.number, now.saturating_duration_since(ping.at)));
        self.waiting = None;
        self.answered
    }

    /// When to look again. What moves meanwhile makes it later, never earlier.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.waiting {
            Some((since, timeout)) => since.max(self.moved).checked_add(timeout),
            None => {
                self.pinged.map_or(self.heard, |pinged| self.heard.max(pinged)).checked_add(self.interval?)
            }
        }
    }

    /// What is due at `now`. `reading`: false while it is we who do not read, so that no pong can be seen. `queued`: the bytes
    /// of ours that the operating system holds, where it tells.
    pub(crate) fn due(&mut self, now: Instant, reading: bool, queued: Option<usize>) -> Due {
        let Some(deadline) = self.deadline().filter(|deadline| *deadline <= now) else { return Due::Nothing };
        let Some((since, timeout)) = self.waiting else {
            self.queued = queued.unwrap_or(0);
            self.pinged = Some(now);
            self.waiting = self.timeout.map(|timeout| (now, timeout));
            return Due::Ping;
        };
        let leaves = queued.is_some_and(|queued| queued < self.queued);
        self.queued = queued.unwrap_or(0);
        let late = now.saturating_duration_since(deadline) >= LATE;
        if !reading || leaves {
            self.moved(now);
            return Due::Nothing;
        }
        if late {
            // For a moment more, after a long sleep of the whole program.
            let rest = LATE.min(timeout);
            self.waiting = Some(((now + rest).checked_sub(timeout).unwrap_or(since), timeout));
            self.moved = since;
            return Due::Nothing;
        }
        Due::Lost(timeout)
    }

    /// The machine has slept, and the clock that all of this runs by has stood still meanwhile.
    pub(crate) fn slept(&mut self, now: Instant) -> Due {
        if self.interval.is_none() {
            return Due::Nothing;
        }
        self.moved = now;
        self.pinged = Some(now);
        self.waiting = self.timeout.map(|timeout| (now, timeout.min(AFTER_SLEEP)));
        Due::Ping
    }

    /// Whether a pong is waited for, so that it matters what the operating system holds.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TENTH: Duration = Duration::from_millis(100);

    fn keep_alive(now: Instant) -> KeepAlive {
        KeepAlive::new(Some(20 * SECOND), Some(20 * SECOND), now)
    }

    /// Goes through `time` in steps and counts the pings; each is answered `answers` later, where it is.
    fn pings(mut keep: KeepAlive, start: Instant, time: Duration, answers: Option<Duration>) -> usize {
        let mut pings = 0;
        let mut pong: Option<(Instant, Vec<u8>)> = None;
        for step in 0.. {
            let now = start + step * (TENTH / 2);
            if now >= start + time {
                break;
            }
            if pong.as_ref().is_some_and(|(at, _)| *at <= now)
                && let Some((_, payload)) = pong.take()
            {
                keep.heard(now);
                assert!(keep.pong(&payload, now).is_some());
            }
            match keep.due(now, true, Some(0)) {
                Due::Nothing => {}
                Due::Ping => {
                    pings += 1;
                    let (_, payload) = keep.ping(b"", now);
                    pong = answers.map(|answers| (now + answers, payload));
                }
                Due::Lost(_) => return pings,
            }
        }
        pings
    }

    #[test]
    fn a_ping_is_due_after_the_interval_without_a_byte() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        assert_eq!(keep.due(start + 19 * SECOND, true, None), Due::Nothing);
        keep.heard(start + 19 * SECOND);
        assert_eq!(keep.due(start + 20 * SECOND, true, None), Due::Nothing);
        assert_eq!(keep.due(start + 39 * SECOND, true, None), Due::Ping);
        assert_eq!(keep.due(start + 39 * SECOND, true, None), Due::Nothing);
    }

    #[test]
    fn the_interval_is_kept_whatever_the_timeout_is() {
        for timeout in [Some(2 * TENTH), Some(5 * SECOND), None] {
            let start = Instant::now();
            let keep = KeepAlive::new(Some(2 * TENTH), timeout, start);
            let count = pings(keep, start, 6 * SECOND, Some(TENTH / 2));
            assert!((20..=30).contains(&count), "{count} with {timeout:?}");
        }
    }

    #[test]
    fn without_a_timeout_a_silent_peer_is_pinged_on_and_on() {
        let start = Instant::now();
        let keep = KeepAlive::new(Some(2 * TENTH), None, start);
        assert!(pings(keep, start, 6 * SECOND, None) >= 28);
    }

    #[test]
    fn no_pong_in_time_is_a_lost_peer_but_not_while_we_do_not_read() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        let sent = start + 20 * SECOND;
        assert_eq!(keep.due(sent, true, None), Due::Ping);
        keep.ping(b"", sent);
        assert_eq!(keep.due(sent + 20 * SECOND, false, None), Due::Nothing);
        assert_eq!(keep.due(sent + 39 * SECOND, true, None), Due::Nothing);
        assert_eq!(keep.due(sent + 40 * SECOND, true, None), Due::Lost(20 * SECOND));
    }

    #[test]
    fn bytes_that_move_in_either_direction_are_life() {
        let start = Instant::now();
        let sent = start + 20 * SECOND;
        let signs: [fn(&mut KeepAlive, Instant); 2] = [KeepAlive::heard, KeepAlive::moved];
        for sign in signs {
            let mut keep = keep_alive(start);
            assert_eq!(keep.due(sent, true, None), Due::Ping);
            for second in (1..120).step_by(15) {
                assert_eq!(keep.due(sent + second * SECOND, true, None), Due::Nothing);
                sign(&mut keep, sent + second * SECOND);
            }
            assert_eq!(keep.due(sent + 125 * SECOND, true, None), Due::Nothing);
            assert_eq!(keep.due(sent + 126 * SECOND, true, None), Due::Lost(20 * SECOND));
        }
    }

    #[test]
    fn bytes_that_leave_the_kernel_are_life_too() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        let sent = start + 20 * SECOND;
        assert_eq!(keep.due(sent, true, Some(4_000_000)), Due::Ping);
        assert_eq!(keep.due(sent + 20 * SECOND, true, Some(3_000_000)), Due::Nothing);
        assert_eq!(keep.due(sent + 40 * SECOND, true, Some(1_000_000)), Due::Nothing);
        assert_eq!(keep.due(sent + 60 * SECOND, true, Some(1_000_000)), Due::Lost(20 * SECOND));
    }

    #[test]
    fn after_a_long_sleep_of_the_program_the_peer_gets_another_moment() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        let sent = start + 20 * SECOND;
        assert_eq!(keep.due(sent, true, None), Due::Ping);
        let woken = sent + 3600 * SECOND;
        assert_eq!(keep.due(woken, true, None), Due::Nothing);
        assert_eq!(keep.due(woken + SECOND, true, None), Due::Lost(20 * SECOND));
    }

    #[test]
    fn after_a_sleep_of_the_machine_a_ping_goes_at_once_and_has_five_seconds() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        let woken = start + 2 * SECOND;
        assert_eq!(keep.slept(woken), Due::Ping);
        assert_eq!(keep.due(woken + 4 * SECOND, true, None), Due::Nothing);
        assert_eq!(keep.due(woken + 5 * SECOND, true, None), Due::Lost(5 * SECOND));
        assert_eq!(KeepAlive::new(None, None, start).slept(woken), Due::Nothing);
    }

    #[test]
    fn a_pong_answers_its_ping_and_the_older_ones() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        let (first, _) = keep.ping(b"one", start);
        let (second, payload) = keep.ping(b"", start + SECOND);
        assert_eq!(keep.pong(b"other", start + SECOND), None);
        assert_eq!(keep.pong(&payload, start + 3 * SECOND), Some((second, 2 * SECOND)));
        assert!(first < second);
        assert_eq!(keep.pong(b"one", start + 4 * SECOND), None);
    }

    #[test]
    fn a_deadline_only_moves_on() {
        let start = Instant::now();
        let mut keep = keep_alive(start);
        let before = keep.deadline();
        keep.heard(start + SECOND);
        keep.heard(start);
        assert!(keep.deadline() > before);
    }
}
