//! What a connection does when one of its deadlines has come.

use std::time::Duration;

use super::Connection;
use crate::io::Source;
use crate::reactor::NEVER;
use crate::session::closing;
use crate::session::send::Expired;
use crate::session::word::{HOLD_FULL, HOLD_OVER, MOVED};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Instant, lock};
use crate::sys::send_queue::unsent_in_kernel;

/// How long reading waits for a program that has neither listened nor pulled, before the oldest messages are dropped.
const HOLD_PATIENCE: Duration = Duration::from_secs(10);

impl Connection {
    pub(super) fn look_at_deadlines(self: &Arc<Self>, now: Instant) {
        let nanos = self.reactor.nanos(now);
        if nanos >= self.deadlines.hold.load(Ordering::SeqCst) {
            self.deadlines.hold.store(NEVER, Ordering::SeqCst);
            let bits = self.word.get();
            if bits.has(HOLD_FULL) && !bits.is_wanted() {
                self.word.set(HOLD_OVER);
            }
        }
        let rest = self.deadlines.rest.load(Ordering::SeqCst);
        if nanos >= rest {
            self.look_whether_it_rests(rest, now);
        }
        if nanos >= self.deadlines.session.load(Ordering::SeqCst) {
            self.expire(now);
        }
        self.reactor.apply(self);
    }

    /// Nobody takes what is held: from now on it is kept for so long before the oldest may be dropped.
    pub(super) fn hold_for_a_while(&self, now: Instant) {
        let until = now.checked_add(HOLD_PATIENCE).map_or(NEVER, |until| self.reactor.nanos(until));
        self.deadlines.hold.store(until, Ordering::SeqCst);
    }

    fn expire(self: &Arc<Self>, now: Instant) {
        let Some(mut half) = self.send_half() else { return };
        let heard = self.reactor.moment(self.heard.load(Ordering::SeqCst)).unwrap_or(now);
        let queued = if half.session.asks_what_is_queued(now, heard) {
            half.source.as_ref().and_then(|source: &Source| unsent_in_kernel(source.fd()).ok())
        } else {
            None
        };
        let reading = !self.word.get().is_paused();
        match half.session.expire(now, heard, reading, queued) {
            Expired::Nothing => {}
            Expired::Pinged => half.write_out(),
            Expired::NoPong(timeout) => half.finish(self, closing::no_pong(self.url(), timeout)),
            Expired::NotClosed => {
                if let Some(closed) =
                    half.session.closing.as_ref().map(|closing| closing.timed_out(self.url()))
                {
                    half.finish(self, closed);
                }
            }
            Expired::Fail(violation) => half.fail(self, &violation, now),
        }
    }

    /// Gives back what a connection at rest does not need, if it is at rest.
    fn look_whether_it_rests(self: &Arc<Self>, due: u64, now: Instant) {
        let later = || {
            let at = now.checked_add(self.deadlines.rest_after);
            at.map_or(NEVER, |at| self.reactor.nanos(at))
        };
        if self.word.clear(MOVED).has(MOVED) {
            self.deadlines.rest.store(later(), Ordering::SeqCst);
            return;
        }
        let exchanged =
            self.deadlines.rest.compare_exchange(due, NEVER, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if exchanged && self.word.get().has(MOVED) {
            // A message came in between, and has left the deadline to us.
            self.deadlines.rest.store(later(), Ordering::SeqCst);
            return;
        }
        self.receive_half().session.rest();
        if let Ok(mut deflater) = self.deflater.try_lock()
            && let Some(deflater) = &mut *deflater
        {
            deflater.release();
        }
        if let Some(mut half) = self.send_half() {
            half.session.rest();
        }
        lock(&self.hold).shrink();
        self.reactor.pool.clear();
    }
}
