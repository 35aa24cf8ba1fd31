//! Who turns the reactor now: its owner, or a thread that waits for something.
//!
//! A thread that waits (`recv`, `Wait`, room to write) turns the reactor itself, so that a request-reply loop costs no
//! hand-over between threads. One of the waiting threads leads; the others follow, asleep until the leader has turned
//! or leaves. The owner gives way while anybody pulls and looks now and then whether that is still so (every grace period,
//! see `park`): between two calls of `recv` nothing is handed back and forth.
//!
//! What such a thread sends is gathered, and the next `recv` writes it. It may never come, so the owner writes too. To be
//! woken for every message would cost more than all the rest of it: once woken, the owner looks by itself at intervals
//! (it paces), for as long as anything is gathered.

use std::io;
use std::time::Duration;

use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Condvar, Instant, Mutex, PoisonError, lock};

/// A waiting thread returns this often, for its language to look at signals (SIGINT).
const SLICE: Duration = Duration::from_millis(100);
/// While a thread sends a stream of messages, what gathered is written this often.
pub(crate) const PACE: Duration = Duration::from_micros(200);
/// How long the owner gives way before it looks again.
const GRACE: Duration = Duration::from_millis(10);
/// The same, when a thread has been waiting all that time.
const LONG_GRACE: Duration = Duration::from_millis(100);
/// Looks of an owner that paces and finds that nothing was gathered, after which it wants to be woken again.
const IDLE_LOOKS: u8 = 5;

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
const PARKED_PACING: u8 = 3;

/// Whether threads pull, as the owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pull {
    /// No thread has waited during the grace period.
    None,
    /// A thread has waited within the grace period.
    Lively,
    /// A thread has been waiting for longer than the grace period.
    Patient,
}

/// What the owner saw when it looked last. It alone takes the lock.
#[derive(Debug, Default)]
struct Seen {
    pulls: u64,
    /// When that number grew.
    pulled_at: Option<Instant>,
    gathered: u64,
    /// Looks since that number grew.
    idle_looks: u8,
}

#[derive(Debug, Default)]
pub(crate) struct Leadership {
    /// Threads inside `pull`.
    pulling: AtomicUsize,
    /// Calls of `pull` that came to an end, ever.
    pulls: AtomicU64,
    /// What threads left to be written, ever.
    gathered: AtomicU64,
    seen: Mutex<Seen>,
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

    /// To be asked by the owner before it turns the reactor itself.
    pub(crate) fn look(&self) -> Pull {
        let pulls = self.pulls.load(Ordering::SeqCst);
        let mut seen = lock(&self.seen);
        if seen.pulls != pulls {
            (seen.pulls, seen.pulled_at) = (pulls, Some(Instant::now()));
        }
        if seen.pulled_at.is_some_and(|at| at.elapsed() < GRACE) {
            Pull::Lively
        } else if self.is_pulled_now() {
            Pull::Patient
        } else {
            Pull::None
        }
    }

    /// Something was gathered, to be written soon. Returns true if the owner looks at the flush queue by itself, so that no
    /// wake-up is needed.
    pub(crate) fn note_gathered(&self) -> bool {
        self.gathered.fetch_add(1, Ordering::SeqCst);
        self.parked.load(Ordering::SeqCst) == PARKED_PACING
    }

    /// The owner gives way for a grace period, less if there is work that only the owner does (`has_work`) or something to
    /// write (`has_bytes`), or if it paces.
    pub(crate) fn park(
        &self,
        pull: Pull,
        until: Option<Instant>,
        has_work: &dyn Fn() -> bool,
        has_bytes: &dyn Fn() -> bool,
    ) {
        let gathered = self.gathered.load(Ordering::SeqCst);
        let idle_looks = {
            let mut seen = lock(&self.seen);
            seen.idle_looks = if seen.gathered == gathered { seen.idle_looks.saturating_add(1) } else { 0 };
            seen.gathered = gathered;
            seen.idle_looks
        };
        let (state, mut grace) = match pull {
            Pull::Lively if idle_looks <= IDLE_LOOKS => (PARKED_PACING, PACE),
            Pull::Patient => (PARKED_LONG, LONG_GRACE),
            _ => (PARKED, GRACE),
        };
        if let Some(until) = until {
            grace = grace.min(until.saturating_duration_since(Instant::now()));
        }
        let guard = lock(&self.park);
        self.parked.store(state, Ordering::SeqCst);
        // Who brings work stores it before it reads `parked`, and notifies under the lock that is held here.
        let stays = match state {
            PARKED_PACING => true,
            PARKED_LONG => !has_bytes() && self.is_pulled_now(),
            _ => !has_bytes(),
        };
        if stays && !has_work() {
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
        let mut pulling = Pulling::enter(self);
        let waited = self.wait(until, ready, lead);
        if waited == Waited::Look {
            pulling.comes_back = true;
        } else {
            self.pulls.fetch_add(1, Ordering::SeqCst);
        }
        waited
    }

    fn wait(
        &self,
        until: Option<Instant>,
        ready: &mut dyn FnMut() -> bool,
        lead: impl Fn(Instant, &mut dyn FnMut() -> bool) -> Option<io::Result<()>>,
    ) -> Waited {
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
        // Asked before the lock, never under it: `ready` may take a connection's lock, and who holds that may notify. Who
        // makes it true from here on counts, and notifies under the lock when it sees a follower.
        if !ready() {
            let guard = lock(&self.arrivals);
            if self.changes.load(Ordering::SeqCst) == changes {
                let patience = end.saturating_duration_since(Instant::now());
                drop(self.arrived.wait_timeout(guard, patience).unwrap_or_else(PoisonError::into_inner));
            }
        }
        self.followers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Counts a thread in and out of `pull`.
struct Pulling<'a> {
    leadership: &'a Leadership,
    /// It looks for a signal and goes on waiting.
    comes_back: bool,
}

impl<'a> Pulling<'a> {
    fn enter(leadership: &'a Leadership) -> Self {
        leadership.pulling.fetch_add(1, Ordering::SeqCst);
        Self { leadership, comes_back: false }
    }
}

impl Drop for Pulling<'_> {
    fn drop(&mut self) {
        let leadership = self.leadership;
        let was_last = leadership.pulling.fetch_sub(1, Ordering::SeqCst) == 1;
        if was_last && !self.comes_back && leadership.parked.load(Ordering::SeqCst) == PARKED_LONG {
            leadership.unpark();
        }
        // Somebody else may lead now.
        leadership.notify_followers();
    }
}
