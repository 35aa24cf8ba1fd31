//! `crates/net/src/sync.rs` over shuttle: each lock and each atomic is a point at which another thread may run.

use std::cell::Cell;
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::sync::LockResult;
use std::time::Duration;

use shuttle::rand::Rng;
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
// Neither of these waits for another thread where the engine uses it.
pub(crate) use std::sync::{Arc, OnceLock, PoisonError, TryLockError, Weak};

/// Shuttle's threads, with a sleep that lets others run, as `yield_now` does.
pub(crate) mod thread {
    use std::time::Duration;

    pub(crate) use shuttle::thread::*;

    pub(crate) fn sleep(time: Duration) {
        super::let_pass(time);
    }
}

/// A wait of this length or more is one that somebody else has to end.
const NEVER: Duration = Duration::from_millis(50);

/// Whether a wait with this time-out ends by itself.
pub(crate) fn times_out(timeout: Option<Duration>) -> bool {
    timeout.is_some_and(|timeout| timeout < NEVER)
}

/// Waits that end by themselves in one run. After so many nothing changes any more, and those who still look every now
/// and then (the guardian) only hide that all others wait for each other: from then on theirs do not end either.
const MOST_WAITS: u64 = 3000;

/// A wait that nobody ended: its time passes, and others run.
pub(crate) fn let_pass(time: Duration) {
    Instant::advance(time);
    WAITS.set(WAITS.get() + 1);
    if WAITS.get() > MOST_WAITS {
        thread::park();
    }
    thread::yield_now();
}

/// A condition variable whose long waits do not end by themselves.
#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<MutexGuard<'a, T>> {
        if times_out(Some(timeout)) {
            // Its end is all that the one who waits looks at, so it makes no difference that the lock is held meanwhile.
            let_pass(timeout);
            return Ok(guard);
        }
        self.0.wait(guard)
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

std::thread_local! {
    /// The model's time in nanoseconds. Shuttle runs all threads of a model on one of the system's.
    static NOW: Cell<u64> = const { Cell::new(0) };
    static WAITS: Cell<u64> = const { Cell::new(0) };
}

/// A moment of the model's time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    /// Begins a run of the model.
    pub(crate) fn reset() {
        NOW.set(Duration::from_secs(1000).as_nanos() as u64);
        WAITS.set(0);
    }

    fn advance(time: Duration) {
        NOW.set(NOW.get() + time.as_nanos() as u64);
    }

    /// Looking takes time: a little mostly, sometimes more than the engine's shortest intervals.
    pub(crate) fn now() -> Self {
        let hiccup = shuttle::rand::thread_rng().gen_ratio(1, 8);
        Self::advance(Duration::from_micros(if hiccup { 300 } else { 5 }));
        Self(Duration::from_nanos(NOW.get()))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().duration_since(self)
    }

    pub(crate) fn duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }

    pub(crate) fn checked_add(self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }

    pub(crate) fn checked_sub(self, time: Duration) -> Option<Self> {
        self.0.checked_sub(time).map(Self)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        *self = *self + time;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0 - time)
    }
}

/// As in `crates/net/src/sync.rs`.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A cell of each thread of the model.
pub(crate) struct Local(pub(crate) thread::LocalKey<Cell<u64>>);

impl Local {
    pub(crate) fn get(&'static self) -> u64 {
        self.0.with(Cell::get)
    }

    pub(crate) fn set(&'static self, value: u64) {
        self.0.with(|cell| cell.set(value));
    }

    pub(crate) fn replace(&'static self, value: u64) -> u64 {
        self.0.with(|cell| cell.replace(value))
    }
}

macro_rules! model_thread_local {
    ($(#[$attribute:meta])* static $name:ident: Cell<u64> = const { $init:expr };) => {
        $(#[$attribute])*
        static $name: $crate::sync::Local = {
            // Named, for the file that it stands in to have used what it imports.
            const INIT: fn() -> Cell<u64> = || $init;
            $crate::sync::Local(shuttle::thread::LocalKey { init: INIT, _p: std::marker::PhantomData })
        };
    };
}
pub(crate) use model_thread_local as thread_local;
