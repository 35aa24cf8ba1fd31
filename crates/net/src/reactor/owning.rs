//! The calls of those who turn a reactor: its owner, a thread that waits, and the end of the program.

use std::io;
use std::time::Duration;

use super::{DISPATCHING, Reactor, Role, Served, Turner};
use crate::drive::guardian::BusyReport;
use crate::drive::leader::{Pull, Waited};
use crate::fork;
use crate::session::word::{Bits, DUE_VISIT};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Instant, MutexGuard, lock};

/// While this lives, the thread that made it delivers to handlers: what it sends is corked until the end of the batch.
pub struct Dispatch<'a, C: Served> {
    reactor: &'a Reactor<C>,
    outer: u64,
}

impl<C: Served> Drop for Dispatch<'_, C> {
    fn drop(&mut self) {
        DISPATCHING.set(self.outer);
        if self.reactor.is_forked() {
            return;
        }
        self.reactor.write_flushes(false);
        if self.reactor.role == Role::Foreign && self.outer != self.reactor.id {
            self.reactor.return_to_loop();
        }
    }
}

impl<C: Served> Reactor<C> {
    /// The owner's turn: sleeps until a connection is ready, `wake` is called, a signal interrupts, or `until` (`None`: no
    /// end; a time that is past: only looks). Returns with whatever is ready, maybe nothing.
    pub fn turn(&self, until: Option<Instant>) {
        if self.is_forked() {
            return;
        }
        // What handlers answered to the messages before was sent by now.
        self.fail_delivered(true);
        if self.role == Role::Foreign {
            self.turn_for_loop();
            return;
        }
        self.guardian.home();
        let mut has_polled = false;
        loop {
            let woken = self.woken.swap(false, Ordering::SeqCst);
            if woken || !self.ready.is_empty() {
                // What is left from the batch before does not keep other sockets from being looked at. What this very call
                // has brought is delivered first: another poll would only delay it.
                if !has_polled {
                    self.look_at_sockets();
                }
                break;
            }
            let pull = self.leadership.look();
            let turner = if pull == Pull::None { self.owner_turner() } else { None };
            let Some(mut turner) = turner else {
                let has_work = || self.parked_has_work();
                let has_bytes = || !self.flushes.is_empty();
                self.leadership.park(pull, until, &has_work, &has_bytes);
                // Bytes that a pulling thread corked and left behind.
                self.write_flushes(false);
                self.fail_delivered(true);
                if until.is_some_and(|until| Instant::now() >= until) {
                    break;
                }
                continue;
            };
            self.leadership.owner_leads(true);
            let mut has_work = || self.owner_has_work() || self.leadership.is_pulled_now();
            let turned = self.turn_once(&mut turner, until, &mut has_work);
            self.leadership.owner_leads(false);
            drop(turner);
            has_polled = true;
            self.leadership.notify_followers();
            self.fail_delivered(true);
            // An error is a signal that came in: its handling is for the owner.
            if turned.is_err() || until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
        }
        self.guardian.away();
    }

    fn turn_for_loop(&self) {
        self.leave_loop();
        let mut turner = lock(&self.turner);
        let _ = self.turn_once_now(&mut turner);
        if let Some(since) = turner.slept_since.take()
            && turner.events.len() > 0
        {
            turner.spin.slept(since.elapsed());
        }
        drop(turner);
        // What counts for `linger` is what handlers send from here on.
        self.sent.store(false, Ordering::Relaxed);
        self.leadership.notify_followers();
    }

    fn look_at_sockets(&self) {
        if let Some(mut turner) = self.try_turner() {
            // A signal can wait: nobody sleeps here.
            let _ = self.turn_once_now(&mut turner);
            drop(turner);
            self.leave_readable();
            self.leadership.notify_followers();
        }
    }

    /// One look for input without sleeping, after flushing what is corked (cheap; may be called with the GIL held).
    pub fn look(&self) {
        if self.is_forked() {
            return;
        }
        // Whoever looks for more has answered.
        self.fail_delivered(false);
        self.look_at_sockets();
    }

    /// A look that was not the owner's may have taken the event that was to call a foreign loop, which is told once only:
    /// from here on it is asleep again, and called again if there is anything for it. True if there is.
    pub(crate) fn leave_readable(&self) -> bool {
        if self.role != Role::Foreign {
            return false;
        }
        self.asleep.store(true, Ordering::SeqCst);
        let has_work = self.owner_has_work();
        if has_work {
            self.poller.wake();
        }
        has_work
    }

    /// A foreign loop has called.
    pub(crate) fn leave_loop(&self) {
        self.asleep.store(false, Ordering::SeqCst);
        self.woken.store(false, Ordering::SeqCst);
        self.guardian.away();
    }

    /// The call of a foreign loop returns: it sleeps on the poller's descriptor.
    pub(crate) fn return_to_loop(&self) {
        self.guardian.home();
        self.asleep.store(true, Ordering::SeqCst);
        if self.owner_has_work() {
            self.alert();
        }
    }

    /// The next connection with something to report, in order of occurrence.
    pub fn next_ready(&self) -> Option<Arc<C>> {
        let connection = if self.is_forked() { None } else { self.ready.take() }?;
        connection.word().clear(DUE_VISIT);
        Some(connection)
    }

    /// Marks the calling thread as delivering until the guard is dropped. May be nested (a handler that waits).
    pub fn dispatch(&self) -> Dispatch<'_, C> {
        Dispatch { reactor: self, outer: DISPATCHING.replace(self.id) }
    }

    /// Whether the calling thread is inside `dispatch` of this reactor.
    pub fn is_dispatching_here(&self) -> bool {
        DISPATCHING.get() == self.id
    }

    /// To be called after each handler; says how long it was away, if that was so long that the guardian had to stand in.
    #[inline]
    pub fn take_busy_report(&self) -> Option<BusyReport> {
        self.guardian.stride()
    }

    /// Waits until `ready` says true; the calling thread turns the reactor itself when nobody else does. For threads that
    /// are not the owner, and for the owner inside a handler.
    pub fn wait(&self, until: Option<Instant>, ready: &mut dyn FnMut() -> bool) -> Waited {
        if self.is_forked() {
            return if ready() { Waited::Ready } else { Waited::Look };
        }
        self.write_flushes(false);
        if ready() {
            return Waited::Ready;
        }
        let nested = self.is_dispatching_here();
        // Whoever waits has answered.
        self.fail_delivered(nested);
        if nested {
            self.guardian.home();
        }
        let waited = self.leadership.pull(until, ready, |end, ready| self.lead(end, ready));
        if nested {
            self.guardian.away();
        }
        waited
    }

    /// Turns once in the place of the owner, until `end` at the latest. `None`: somebody else turns.
    fn lead(&self, end: Instant, ready: &mut dyn FnMut() -> bool) -> Option<io::Result<()>> {
        let turned = if self.role == Role::Foreign {
            None
        } else {
            self.try_turner().map(|mut turner| {
                // Who led before may have made it so after this thread looked, and nothing more may come.
                let mut has_work = || self.anybody_has_work() || ready();
                self.turn_once(&mut turner, Some(end), &mut has_work)
            })
        };
        if turned.is_some() {
            self.leadership.notify_followers();
        } else if self.leadership.is_owner_leading() {
            // The owner is to give way.
            self.alert();
        }
        turned
    }

    /// The owner's way to the turner: it waits for the guardian, who is quick, but not for a thread that pulls.
    fn owner_turner(&self) -> Option<MutexGuard<'_, Turner>> {
        self.try_turner().or_else(|| (!self.leadership.is_pulled_now()).then(|| lock(&self.turner)))
    }

    /// Fails what has nothing left to deliver. `owner`: the caller delivers. Whoever got the last message may still be
    /// answering it: a handler has when the owner comes back, a thread that pulls when it pulls again.
    pub(super) fn fail_delivered(&self, owner: bool) {
        for connection in self.fails.take_those(|bits| self.fails_by(owner, bits)) {
            connection.on_delivered();
        }
    }

    fn fails_by(&self, owner: bool, bits: Bits) -> bool {
        if owner { self.role == Role::Foreign || bits.reports_messages() } else { !bits.reports_messages() }
    }

    /// Whether the owner is to fail something.
    pub(super) fn owner_has_fails(&self) -> bool {
        self.fails.any(|bits| self.fails_by(true, bits))
    }

    /// Turns until `done` or `until`, whoever the owner is.
    pub(crate) fn turn_until(&self, until: Instant, done: &dyn Fn() -> bool) {
        while !done() && Instant::now() < until && !self.is_forked() {
            match self.try_turner() {
                Some(mut turner) => {
                    let soon = Instant::now() + Duration::from_millis(50);
                    let mut has_work = || self.anybody_has_work();
                    let _ = self.turn_once(&mut turner, Some(until.min(soon)), &mut has_work);
                    drop(turner);
                    self.fail_delivered(true);
                }
                None => crate::sync::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// This process is the child of a fork.
    pub(crate) fn forked() {
        fork::forked();
        DISPATCHING.set(0);
    }
}
