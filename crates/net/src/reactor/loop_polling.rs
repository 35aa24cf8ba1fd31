//! A foreign loop's looks for an answer, before it sleeps: what `Reactor::turn` does for a thread of its own.
//!
//! A loop sleeps in its own poll, which we cannot make look first. So the look is taken where an answer to what was just
//! sent is likely: at the end of a batch in which a handler sent, and in a `recv` that finds nothing. Both are short,
//! both are bounded, for other callbacks of the loop wait meanwhile; and `spin` allows them only while answers do come
//! that fast.

use std::time::Duration;

use super::{Reactor, Role, Served, Turner};
use crate::drive::spin::LOOK;
use crate::sync::atomic::Ordering;
use crate::sync::{Instant, thread};

/// All looks of one call of the loop together.
const LONGEST_STAY: Duration = Duration::from_micros(500);

impl<C: Served> Reactor<C> {
    /// For a receiver that has found nothing and would wait: flushes what is corked, looks for input once, and goes on
    /// for at the most `patience` where an answer is likely. It ends early with anything that others are to hear of.
    pub fn look_for(&self, patience: Duration, ready: &dyn Fn() -> bool) {
        if self.is_forked() {
            return;
        }
        // Whoever looks for more has answered.
        self.fail_delivered(false);
        if self.role() == Role::Foreign && !self.ready.is_empty() {
            // Others have something to be given, for which the loop was called already. A look by each of a thousand tasks
            // would only keep it from them; what is corked here is written when the loop comes.
            return;
        }
        let Some(mut turner) = self.try_turner() else { return };
        // A signal can wait: nobody sleeps here.
        let sent = self.takes_sent();
        let _ = self.turn_once_now(&mut turner);
        if self.role() == Role::Foreign && sent && !ready() {
            let patience = patience.min(LOOK);
            if patience.is_zero() || !turner.spin.should_look() {
                turner.slept_since = Some(Instant::now());
            } else if self.look_again(&mut turner, patience) && ready() {
                turner.spin.found();
            }
        }
        drop(turner);
        self.leave_readable();
        self.leadership.notify_followers();
    }

    /// For a foreign loop's call, after each batch: where a handler has just sent, looks for the answer for a moment.
    /// True: something came, `dispatch` again. `since` is when the call began.
    pub fn linger(&self, since: Instant) -> bool {
        if self.is_forked() || !self.takes_sent() {
            return false;
        }
        let Some(mut turner) = self.try_turner() else { return false };
        if !turner.spin.should_look() || since.elapsed() >= LONGEST_STAY {
            turner.slept_since = Some(Instant::now());
            return false;
        }
        self.leave_loop();
        let came = self.look_again(&mut turner, LOOK);
        if came {
            turner.spin.found();
        } else {
            self.return_to_loop();
        }
        drop(turner);
        if came {
            self.leadership.notify_followers();
        }
        came
    }

    /// Something was sent since this was asked last.
    fn takes_sent(&self) -> bool {
        self.sent.swap(false, Ordering::Relaxed)
    }

    /// Looks until something comes, which is served, or `patience` is over.
    fn look_again(&self, turner: &mut Turner, patience: Duration) -> bool {
        let start = Instant::now();
        let mut looks = 0u32;
        while start.elapsed() < patience {
            if self.poller.wait(&mut turner.events, Some(Duration::ZERO)).is_err() {
                return false;
            }
            if turner.events.len() > 0 {
                self.serve_events(turner, Instant::now());
                return true;
            }
            looks += 1;
            if looks.is_multiple_of(8) {
                // The peer may need this very core.
                thread::yield_now();
            }
        }
        turner.spin.missed();
        turner.slept_since = Some(start);
        false
    }
}
