//! One turn: writes what was corked, waits for the poller, serves what it reports.

use std::io;
use std::time::Duration;

use super::{PACE, PAGE, READ_BUFFER, Reactor, Role, Turner, lock};
use crate::connection::Connection;
use crate::poller::Readiness;
use crate::spin::LOOK;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Instant, thread};

impl Reactor {
    /// Writes what is corked. With `streams`, a connection whose sender streams moves there and stays "listed".
    pub(super) fn flush_listed(&self, mut streams: Option<&mut Vec<Arc<Connection>>>) {
        let listed = {
            let mut flushes = lock(&self.flushes);
            if flushes.is_empty() {
                return;
            }
            std::mem::take(&mut *flushes)
        };
        for connection in listed {
            let paced = streams.is_some() && self.role == Role::Thread;
            if connection.flush_for_reactor(paced)
                && let Some(streams) = streams.as_deref_mut()
            {
                streams.push(connection);
            }
        }
    }

    /// Waits for the poller, then serves everything it reports. Without events before `until` it returns as well, and
    /// when `has_work` says that there is something to do without any.
    pub(super) fn turn_once(
        &self,
        turner: &mut Turner,
        until: Option<Instant>,
        has_work: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        self.flush_listed(Some(&mut turner.streams));
        self.serve_revisits(turner);
        self.pace(turner);
        self.wait_for_events(turner, until, has_work)?;
        if turner.events.len() > 0 {
            self.serve_events(turner);
        }
        Ok(())
    }

    pub(crate) fn turn_once_now(&self, turner: &mut Turner) -> io::Result<()> {
        let past = turner.paced;
        self.turn_once(turner, Some(past), &mut || false)
    }

    pub(super) fn serve_revisits(&self, turner: &mut Turner) {
        let listed = std::mem::take(&mut *lock(&self.revisits));
        for connection in listed {
            connection.on_readiness(self.buffer(turner), true, false, false, Instant::now());
        }
    }

    /// Writes for the senders that stream; one that has paused writes for itself again.
    pub(super) fn pace(&self, turner: &mut Turner) {
        if turner.streams.is_empty() || turner.paced.elapsed() < PACE {
            return;
        }
        turner.paced = Instant::now();
        turner.streams.retain(|connection| connection.flush_for_reactor(true));
    }

    pub(super) fn wait_for_events(
        &self,
        turner: &mut Turner,
        until: Option<Instant>,
        has_work: &mut dyn FnMut() -> bool,
    ) -> io::Result<()> {
        let start = Instant::now();
        let mut timeout = until.map(|until| until.saturating_duration_since(start));
        if timeout == Some(Duration::ZERO) {
            return self.poller.wait(&mut turner.events, timeout);
        }
        if !turner.streams.is_empty() {
            timeout = Some(timeout.map_or(PACE, |timeout| timeout.min(PACE)));
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
        // Work that is pending makes the poll not wait; a turn without a poll would starve every other socket, timer and
        // wake-up for as long as one connection always has something pending (a flood of bytes left inside TLS).
        if has_work() {
            timeout = Some(Duration::ZERO);
        }
        let waited = self.poller.wait(&mut turner.events, timeout);
        self.asleep.store(false, Ordering::SeqCst);
        if turner.events.len() > 0 {
            turner.spin.slept(start.elapsed());
        }
        waited
    }

    pub(crate) fn serve_events(&self, turner: &mut Turner) {
        let now = Instant::now();
        let mut alarm = false;
        for at in 0..turner.events.len() {
            match turner.events.get(at) {
                Readiness::Socket { key, readable, writable, hangup } => {
                    if let Some(connection) = self.find(key) {
                        connection.on_readiness(self.buffer(turner), readable, writable, hangup, now);
                    }
                }
                Readiness::Alarm => alarm = true,
                Readiness::Wake => {}
            }
        }
        if alarm {
            // After the sockets: what has arrived already is not late.
            while let Some(key) = self.timers.next_due(now, &self.poller) {
                if let Some(connection) = self.find(key) {
                    connection.on_timer(now);
                }
            }
        }
    }

    pub(super) fn buffer<'a>(&self, turner: &'a mut Turner) -> &'a mut [u8] {
        if turner.buffer.is_empty() {
            turner.buffer = vec![0; READ_BUFFER + PAGE];
        }
        // 16 bytes into a page, where the allocator begins, some processors copy from the kernel four times slower.
        let start = turner.buffer.as_ptr().align_offset(PAGE);
        &mut turner.buffer[start..start + READ_BUFFER]
    }
}
