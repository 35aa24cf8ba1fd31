//! What has sockets and a deadline and is no connection yet: attempts to connect.
//!
//! A guest has a key, under which it registers its sockets with the poller and its next deadline with the timers. Whoever
//! turns the reactor calls it when one of them has come, the guardian too. All guests of one turn have a share of its
//! time, behind the connections: the poller reports again whoever does not come in.

use std::time::Duration;

use super::{Reactor, Role, Served, Turner};
use crate::sync::{Arc, Instant, lock};
use crate::sys::poller::Readiness;

/// The upper half of a guest's key: a number that no connection has.
const NUMBER: u64 = 0;
/// How much of a turn its guests may take. (A step of the TLS handshake takes a good part of a millisecond.)
const SHARE: Duration = Duration::from_millis(2);

/// Called by whoever turns the reactor, under none of the reactor's locks but the turner's.
pub(crate) trait Guest: Send + Sync {
    /// One of its sockets is ready.
    fn on_readiness(self: Arc<Self>, now: Instant);
    /// The time has come that it set last; none is set now.
    fn on_deadline(self: Arc<Self>, now: Instant);
    /// The reactor is to come to its end.
    fn abort(self: Arc<Self>);
}

impl<C: Served> Reactor<C> {
    /// Gives a guest its key.
    pub(crate) fn admit(&self, guest: Arc<dyn Guest>) -> u64 {
        NUMBER << 32 | lock(&self.guests).insert(guest) as u64
    }

    /// The guest with that key is gone. It may be called once more, where that is under way.
    pub(crate) fn dismiss(&self, key: u64) {
        self.timers.remove(key);
        let gone = lock(&self.guests).try_remove(key as usize);
        // Dropped outside of the lock.
        drop(gone);
    }

    /// Has the guest called at the time `at`, in place of the time that it set before. From any thread.
    pub(crate) fn call_guest_at(&self, key: u64, at: Instant) {
        if self.timers.set(key, at) {
            self.set_alarm();
            if self.role == Role::Thread {
                // Whoever sleeps does so for the time that it has computed before.
                self.wake_sleeper();
            }
        }
    }

    pub(super) fn guest(&self, key: u64) -> Option<Arc<dyn Guest>> {
        if key >> 32 != NUMBER { None } else { lock(&self.guests).get(key as usize).cloned() }
    }

    pub(crate) fn guests(&self) -> Vec<Arc<dyn Guest>> {
        lock(&self.guests).iter().map(|(_, guest)| Arc::clone(guest)).collect()
    }

    pub(super) fn serve_guests(&self, turner: &Turner, now: Instant) {
        let mut served = false;
        for at in 0..turner.events.len() {
            let Readiness::Socket { key, .. } = turner.events.get(at) else { continue };
            if let Some(guest) = self.guest(key) {
                if served && now.elapsed() > SHARE {
                    return;
                }
                guest.on_readiness(now);
                served = true;
            }
        }
    }
}
