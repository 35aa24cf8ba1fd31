//! Drives an attempt on a thread that may wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::attempt::Attempt;
use super::opened::Connected;
use super::prepared::Prepared;
use crate::error::{Error, in_words};
use crate::options::ConnectOptions;

/// How often it is asked whether somebody gave up: not every signal interrupts this thread.
const SLICE: Duration = Duration::from_millis(100);

/// Connects on the calling thread. `interrupted` is asked at least every 100 ms, and after each signal.
///
/// # Errors
/// What failed, by kind; `ConnectTimeout` after `open_timeout`, `Cancelled` when `interrupted` says true.
pub(crate) fn connect(
    prepared: Prepared,
    options: &Arc<ConnectOptions>,
    interrupted: &mut dyn FnMut() -> bool,
) -> Result<Connected, Error> {
    let answered = Arc::new(AtomicBool::new(false));
    let (this, answered_there) = (thread::current(), Arc::clone(&answered));
    let waker = Arc::new(move || {
        answered_there.store(true, Ordering::SeqCst);
        this.unpark();
    });
    let mut now = Instant::now();
    let mut attempt = Attempt::new(prepared, Arc::clone(options), waker, now);
    let mut asked = now;
    loop {
        if let Some(ended) = attempt.step(now) {
            return ended;
        }
        loop {
            let slice_end = asked + SLICE;
            let end = attempt.deadline().map_or(slice_end, |deadline| deadline.min(slice_end));
            let woken = wait(&attempt, &answered, end.saturating_duration_since(now)).map_err(|error| {
                attempt.failed(&format!("waiting for it failed: {}", in_words(&error.into())))
            })?;
            now = Instant::now();
            if now >= slice_end || woken == Woken::BySignal {
                asked = now;
                if interrupted() {
                    return Err(attempt.given_up());
                }
            }
            if woken == Woken::ToGoOn || attempt.deadline().is_some_and(|deadline| now >= deadline) {
                break;
            }
        }
    }
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    /// One of the attempt's sockets is ready, or what it asked for was answered.
    ToGoOn,
    BySignal,
    ByTime,
}

/// Sleeps until the attempt can go on, `patience` is over or a signal comes in.
fn wait(attempt: &Attempt, answered: &AtomicBool, patience: Duration) -> Result<Woken, Errno> {
    let mut sockets: Vec<PollFd<'_>> = Vec::new();
    attempt.each_socket(&mut |socket, interest| {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, interest.read);
        flags.set(PollFlags::OUT, interest.write);
        sockets.push(PollFd::from_borrowed_fd(socket, flags));
    });
    if sockets.is_empty() {
        // It waits for an answer. A signal that comes in is seen when the slice is over.
        if !answered.load(Ordering::SeqCst) {
            thread::park_timeout(patience);
        }
        return Ok(if answered.swap(false, Ordering::SeqCst) { Woken::ToGoOn } else { Woken::ByTime });
    }
    // A slice is less than a second.
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(patience.subsec_nanos()) };
    match poll(&mut sockets, Some(&timeout)) {
        Ok(0) => Ok(Woken::ByTime),
        Ok(_) => Ok(Woken::ToGoOn),
        Err(Errno::INTR) => Ok(Woken::BySignal),
        Err(error) => Err(error),
    }
}
