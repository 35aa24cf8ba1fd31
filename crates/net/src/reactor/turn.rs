//! One turn: writes what was gathered, waits for the poller, serves what it reports and whose time has come.
//!
//! A turn always polls. Work that is pending only makes the poll not wait: a turn without a poll would starve every other
//! socket, timer and wake-up for as long as one connection always has something pending. And a connection takes no more
//! than its share of a turn.

use std::io;
use std::time::Duration;

use super::{NEVER, Reactor, Ready, Role, Served, Turner};
use crate::drive::leader::PACE;
use crate::drive::spin::LOOK;
use crate::session::chunk::Chunk;
use crate::session::word::PACING;
use crate::sync::atomic::Ordering;
use crate::sync::{Instant, lock, thread};
use crate::sys::clock;
use crate::sys::poller::Readiness;

impl<C: Served> Reactor<C> {
    /// Waits for the poller, then serves everything it reports. Without events before `until` it returns as well, and
    /// when `has_work` says that there is something to do without any.
    pub(super) fn turn_once(
        &self,
        turner: &mut Turner,
        until: Option<Instant>,
        has_work: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        self.write_flushes(true);
        self.serve_reads(turner);
        self.pace(turner);
        self.wait_for_events(turner, until, has_work)?;
        let now = Instant::now();
        self.serve_events(turner, now);
        // After the sockets: what has arrived already is not late.
        self.serve_timers(turner, now);
        Ok(())
    }

    pub(crate) fn turn_once_now(&self, turner: &mut Turner) -> io::Result<()> {
        let past = turner.paced;
        self.turn_once(turner, Some(past), &mut || false)
    }

    /// Writes what was gathered. `paces`: the caller turns, and will come again for those who stream.
    pub(super) fn write_flushes(&self, paces: bool) {
        let paces = paces && self.role == Role::Thread;
        for connection in self.flushes.take_all() {
            connection.write_gathered(paces);
        }
    }

    /// Everything that was gathered, also by those who stream: the owner is away.
    pub(super) fn write_all_gathered(&self) {
        self.write_flushes(false);
        self.write_paced();
    }

    /// Writes for those who stream; one that has paused writes for itself again.
    fn write_paced(&self) {
        for connection in self.paced.members() {
            connection.write_gathered(true);
        }
        for connection in self.paced.take_those(|bits| !bits.has(PACING)) {
            // It may have begun again between the look and the end of its membership.
            self.apply(&connection);
        }
    }

    fn serve_reads(&self, turner: &mut Turner) {
        let ready = Ready { readable: true, writable: false, hangup: false };
        for connection in self.reads.take_all() {
            connection.on_readiness(buffer(turner), ready, Instant::now());
        }
    }

    fn pace(&self, turner: &mut Turner) {
        if self.paced.is_empty() || turner.paced.elapsed() < PACE {
            return;
        }
        turner.paced = Instant::now();
        self.write_paced();
    }

    pub(super) fn wait_for_events(
        &self,
        turner: &mut Turner,
        until: Option<Instant>,
        has_work: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        let start = Instant::now();
        if until.is_some_and(|until| until <= start) {
            return self.poller.wait(&mut turner.events, Some(Duration::ZERO));
        }
        if self.sent.swap(false, Ordering::Relaxed) && turner.spin.should_look() {
            let mut looks = 0u32;
            loop {
                self.poller.wait(&mut turner.events, Some(Duration::ZERO))?;
                if turner.events.len() > 0 {
                    turner.spin.found();
                    return Ok(());
                }
                if has_work() {
                    return Ok(());
                }
                if start.elapsed() >= LOOK {
                    break;
                }
                looks += 1;
                if looks.is_multiple_of(8) {
                    // The peer may need this very core.
                    thread::yield_now();
                }
            }
            turner.spin.missed();
        }
        self.asleep.store(true, Ordering::SeqCst);
        let timeout = if has_work() { Some(Duration::ZERO) } else { self.patience(until, start) };
        let waited = self.poller.wait(&mut turner.events, timeout);
        self.asleep.store(false, Ordering::SeqCst);
        if turner.events.len() > 0 {
            turner.spin.slept(start.elapsed());
        }
        waited
    }

    /// How long the poll may wait: until the caller's time, the first deadline, the next look at those who stream.
    fn patience(&self, until: Option<Instant>, now: Instant) -> Option<Duration> {
        let first = [until, self.timers.first()].into_iter().flatten().min();
        let patience = first.map(|first| first.saturating_duration_since(now));
        if self.paced.is_empty() {
            patience
        } else {
            Some(patience.map_or(PACE, |patience| patience.min(PACE)))
        }
    }

    pub(crate) fn serve_events(&self, turner: &mut Turner, now: Instant) {
        for at in 0..turner.events.len() {
            if let Readiness::Socket { key, readable, writable, hangup } = turner.events.get(at)
                && let Some(connection) = self.find(key)
            {
                connection.on_readiness(buffer(turner), Ready { readable, writable, hangup }, now);
            }
        }
        self.serve_guests(turner, now);
    }

    fn serve_timers(&self, turner: &Turner, now: Instant) {
        let first = self.timers.first();
        if first.is_none_or(|first| now < first) {
            // The alarm may have gone off for a connection that has ended meanwhile: it goes off once, and the others wait.
            let rang =
                || (0..turner.events.len()).any(|at| matches!(turner.events.get(at), Readiness::Alarm));
            if rang() {
                self.set_alarm();
            }
            return;
        }
        if lock(&self.sleep_watch).has_slept(clock::suspended()) {
            for connection in self.open_connections() {
                connection.on_slept(now);
            }
        }
        while let Some(key) = self.timers.next_due(now) {
            if let Some(connection) = self.find(key) {
                // Its slot is free, before it says what it wants next.
                connection.registration().set_deadline(NEVER);
                connection.on_deadline(now);
            } else if let Some(guest) = self.guest(key) {
                guest.on_deadline(now);
            }
        }
        self.set_alarm();
    }
}

fn buffer(turner: &mut Turner) -> &mut [u8] {
    turner.buffer.get_or_insert_with(Chunk::new).bytes_mut()
}
