//! How long connecting may wait, and who may end it: the deadline, another thread, a signal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use sunsocket_wire::Url;

use crate::error::{Error, ErrorKind};

/// How often the language is asked whether a signal came in: not every signal interrupts this thread.
const SLICE: Duration = Duration::from_millis(100);

/// Gives a connect up from another thread.
#[derive(Debug)]
pub(crate) struct Cancel {
    event: OwnedFd,
    cancelled: AtomicBool,
}

impl Cancel {
    pub(crate) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event, cancelled: AtomicBool::new(false) })
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }
}

/// The waiting of one connect.
pub(crate) struct Patience<'a> {
    url: String,
    limit: Option<Duration>,
    deadline: Option<Instant>,
    cancel: &'a Cancel,
    interrupted: &'a mut dyn FnMut() -> bool,
    step: &'static str,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(
        url: &Url,
        limit: Option<Duration>,
        cancel: &'a Cancel,
        interrupted: &'a mut dyn FnMut() -> bool,
    ) -> Self {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        Self { url: url.to_string(), limit, deadline, cancel, interrupted, step: "starting" }
    }

    /// Another address, and still the same time for all.
    pub(crate) fn goes_on_to(&mut self, url: &Url) {
        self.url = url.to_string();
    }

    /// Names the step that a timeout would interrupt.
    pub(crate) fn step(&mut self, step: &'static str) {
        self.step = step;
    }

    /// Waits until one of the descriptors is ready; false when `until` came first.
    ///
    /// # Errors
    /// `ConnectTimeout` at the deadline, `Cancelled` when somebody gave up.
    pub(crate) fn wait(
        &mut self,
        descriptors: &[(BorrowedFd<'_>, PollFlags)],
        until: Option<Instant>,
    ) -> Result<bool, Error> {
        loop {
            self.check()?;
            let now = Instant::now();
            if until.is_some_and(|until| now >= until) {
                return Ok(false);
            }
            let end = [self.deadline, until].into_iter().flatten().min();
            let slice = end.map_or(SLICE, |end| end.saturating_duration_since(now).min(SLICE));
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(slice.subsec_nanos()) };
            let cancel = self.cancel.event.as_fd();
            let mut fds: Vec<PollFd<'_>> =
                descriptors.iter().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
            fds.push(PollFd::from_borrowed_fd(cancel, PollFlags::IN));
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) => {
                    fds.pop();
                    if fds.iter().any(|fd| !fd.revents().is_empty()) {
                        return Ok(true);
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    let text = format!("cannot connect to {}: waiting failed ({error})", self.url);
                    return Err(Error::new(ErrorKind::Connect, text));
                }
            }
        }
    }

    /// Whether it is time to give up.
    fn check(&mut self) -> Result<(), Error> {
        if self.cancel.is_cancelled() || (self.interrupted)() {
            let text = format!("connecting to {} was given up by the program", self.url);
            return Err(Error::new(ErrorKind::Cancelled, text));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let seconds = self.limit.unwrap_or_default().as_secs_f64();
            let text = format!(
                "cannot connect to {}: still {} when open_timeout ({seconds} s) was over",
                self.url, self.step
            );
            return Err(Error::new(ErrorKind::ConnectTimeout, text));
        }
        Ok(())
    }
}
