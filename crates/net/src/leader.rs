//! Who turns the reactor now: its owner, or a thread that waits for something.
//!
//! A thread that waits (`recv`, `Wait`, room to write) turns the reactor itself, so that a request-reply loop costs no
//! hand-over between threads. One of the waiting threads leads; the others follow, asleep until the leader has turned
//! or leaves. The owner gives way while anybody pulls and looks every 10 ms whether that is still so (the grace period):
//! between two calls of `recv` nothing is handed back and forth.

use std::io;
use std::time::Duration;

use crate::reactor::lock;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Instant, Mutex, PoisonError};

/// A waiting thread returns this often, for its language to look at signals (SIGINT).
const SLICE: Duration = Duration::from_millis(100);
/// How long the owner gives way before it looks again.
const GRACE: Duration = Duration::from_millis(10);
/// The same, when a thread has been waiting all that time.
const LONG_GRACE: Duration = Duration::from_millis(100);

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// What was waited for is there.
    Ready,
    /// The time is over.
    TimedOut,
    /// Neither: look whether a signal (SIGINT) came in, then wait again. Comes at least every 100 ms and on EINTR.
    Look,
}

const NOT_PARKED: u8 = 0;
const PARKED: u8 = 1;
const PARKED_LONG: u8 = 2;

#[derive(Debug, Default)]
pub(crate) struct Leadership {
    /// Threads inside `pull`.
    pulling: AtomicUsize,
    /// Calls of `pull`, ever; and as the owner saw it last.
    pulls: AtomicU64,
    pulls_seen: AtomicU64,
    /// The owner is inside a turn (not a waiting thread, not the guardian).
    owner_leads: AtomicBool,
    /// Turns that ended and leaders that left, ever.
    changes: AtomicU64,
    /// Waiting threads that do not lead.
    followers: AtomicUsize,
    arrivals: Mutex<()>,
    arrived: Condvar,
    /// The owner gives way.
    parked: AtomicU8,
    park: Mutex<()>,
    unparked: Condvar,
}

impl Leadership {
    pub(crate) fn owner_leads(&self, leads: bool) {
        self.owner_leads.store(leads, Ordering::SeqCst);
    }

    pub(crate) fn is_owner_leading(&self) -> bool {
        self.owner_leads.load(Ordering::SeqCst)
    }

    /// Whether a thread is waiting right now.
    pub(crate) fn is_pulled_now(&self) -> bool {
        self.pulling.load(Ordering::SeqCst) > 0
    }

    /// Whether a thread waits, or did since the owner looked last.
    pub(crate) fn is_pulled(&self) -> bool {
        let pulls = self.pulls.load(Ordering::SeqCst);
        self.pulls_seen.swap(pulls, Ordering::SeqCst) != pulls || self.is_pulled_now()
    }

    /// The owner gives way for a grace period, less if there is work that only the owner does.
    pub(crate) fn park(&self, until: Option<Instant>, has_work: &dyn Fn() -> bool) {
        let (state, mut grace) =
            if self.is_pulled_now() { (PARKED_LONG, LONG_GRACE) } else { (PARKED, GRACE) };
        if let Some(until) = until {
            grace = grace.min(until.saturating_duration_since(Instant::now()));
        }
        let guard = lock(&self.park);
        self.parked.store(state, Ordering::SeqCst);
        // Who brings work stores it before it reads `parked`, and notifies under the lock that is held here.
        if !has_work() && (state == PARKED || self.is_pulled_now()) {
            drop(self.unparked.wait_timeout(guard, grace).unwrap_or_else(PoisonError::into_inner));
        }
        self.parked.store(NOT_PARKED, Ordering::SeqCst);
    }

    /// Ends the owner's grace period.
    pub(crate) fn unpark(&self) {
        if self.parked.load(Ordering::SeqCst) != NOT_PARKED {
            let _guard = lock(&self.park);
            self.unparked.notify_one();
        }
    }

    /// Something happened that a follower may wait for, or the leader's place is free.
    pub(crate) fn notify_followers(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        if self.followers.load(Ordering::SeqCst) > 0 {
            let _guard = lock(&self.arrivals);
            self.arrived.notify_all();
        }
    }

    /// Waits until `ready`, by leading (`lead` turns the reactor until `ready` or the time it is given; `None`: another
    /// thread does) or by following.
    pub(crate) fn pull(
        &self,
        until: Option<Instant>,
        ready: &mut dyn FnMut() -> bool,
        lead: impl Fn(Instant, &mut dyn FnMut() -> bool) -> Option<io::Result<()>>,
    ) -> Waited {
        let _pulling = Pulling::enter(self);
        let slice = Instant::now() + SLICE;
        loop {
            if ready() {
                return Waited::Ready;
            }
            let now = Instant::now();
            if until.is_some_and(|until| now >= until) {
                return Waited::TimedOut;
            }
            if now >= slice {
                return Waited::Look;
            }
            let end = until.map_or(slice, |until| until.min(slice));
            let changes = self.changes.load(Ordering::SeqCst);
            match lead(end, ready) {
                Some(Ok(())) => {}
                Some(Err(_interrupted)) => return if ready() { Waited::Ready } else { Waited::Look },
                None => self.follow(end, changes, ready),
            }
        }
    }

    /// Sleeps until something changes after the `changes` counted before this thread found the leader's place taken.
    fn follow(&self, end: Instant, changes: u64, ready: &mut dyn FnMut() -> bool) {
        self.followers.fetch_add(1, Ordering::SeqCst);
        let guard = lock(&self.arrivals);
        // Asked again under the lock: who makes it true counts and notifies afterwards, under the same lock.
        if !ready() && self.changes.load(Ordering::SeqCst) == changes {
            let patience = end.saturating_duration_since(Instant::now());
            drop(self.arrived.wait_timeout(guard, patience).unwrap_or_else(PoisonError::into_inner));
        }
        self.followers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts a thread in and out of `pull`.
struct Pulling<'a>(&'a Leadership);

impl<'a> Pulling<'a> {
    fn enter(leadership: &'a Leadership) -> Self {
        leadership.pulling.fetch_add(1, Ordering::SeqCst);
        leadership.pulls.fetch_add(1, Ordering::SeqCst);
        Self(leadership)
    }
}

impl Drop for Pulling<'_> {
    fn drop(&mut self) {
        let was_last = self.0.pulling.fetch_sub(1, Ordering::SeqCst) == 1;
        if was_last && self.0.parked.load(Ordering::SeqCst) == PARKED_LONG {
            self.0.unpark();
        }
        // Somebody else may lead now.
        self.0.notify_followers();
    }
}
