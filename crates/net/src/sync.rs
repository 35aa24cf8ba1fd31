//! Locks, threads and the clock, named in one place for everything that passes a reactor from thread to thread.
//!
//! The model check (`model/` beside the crates) compiles these same sources against a `sync` of its own, in which a
//! scheduler decides who runs next at each lock and each atomic, and in which time passes only when the model says so.

pub(crate) use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak, atomic,
};
pub(crate) use std::thread;
pub(crate) use std::thread_local;
pub(crate) use std::time::Instant;

/// A lock whose holder panicked is taken all the same: every holder leaves its state whole before it calls out.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
