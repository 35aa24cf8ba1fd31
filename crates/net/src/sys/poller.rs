//! Readiness from the operating system, and the descriptor that a foreign loop may watch for it.
//!
//! One epoll instance holds the sockets (level-triggered, so that an owner who stops early or hands over loses
//! nothing) and one eventfd (the waker), which is edge-triggered: it needs no read. Who waits here computes its own
//! time-outs. A foreign loop cannot, because it knows nothing of the reactor's deadlines: for it there is an alarm (a
//! timerfd), so that whoever watches the epoll instance's own descriptor learns of everything the reactor waits for.
//! This is one of the files that another operating system would have to supply.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use crate::sync::Instant;

const WAKER: u64 = u64::MAX;
const ALARM: u64 = u64::MAX - 1;
/// Reported by one wait; what is left over is reported by the next.
const MOST_EVENTS: usize = 256;

/// What a socket is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.read);
        flags.set(EventFlags::OUT, self.write);
        flags
    }
}

/// What the poller saw.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Readiness {
    /// The socket registered under `key`; `hangup` also stands for an error.
    Socket { key: u64, readable: bool, writable: bool, hangup: bool },
    /// The alarm went off.
    Alarm,
    /// Somebody called [`Poller::wake`].
    Wake,
}

/// Registration may come from any thread; waiting is for the one that turns the reactor.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    waker: OwnedFd,
    /// For a foreign loop.
    alarm: Option<OwnedFd>,
}

/// What one wait reports. (The operating system's own records may not change threads, these may.)
#[derive(Debug, Default)]
pub(crate) struct Events(Vec<Readiness>);

impl Events {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, at: usize) -> Readiness {
        self.0[at]
    }

    fn push(&mut self, flags: EventFlags, data: u64) {
        self.0.push(match data {
            WAKER => Readiness::Wake,
            ALARM => Readiness::Alarm,
            key => {
                let hangup = flags.intersects(EventFlags::HUP | EventFlags::ERR);
                Readiness::Socket {
                    key,
                    // A hang-up is read too: the bytes before it still count, and the read says what happened.
                    readable: hangup || flags.contains(EventFlags::IN),
                    writable: flags.contains(EventFlags::OUT),
                    hangup,
                }
            }
        });
    }
}

impl Poller {
    /// `alarm`: a foreign loop watches the descriptor and has to learn of deadlines too.
    pub(crate) fn new(alarm: bool) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let waker = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &waker, EventData::new_u64(WAKER), edge)?;
        let alarm = if alarm {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            let alarm = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            epoll::add(&epoll, &alarm, EventData::new_u64(ALARM), edge)?;
            Some(alarm)
        } else {
            None
        };
        Ok(Self { epoll, waker, alarm })
    }

    pub(crate) fn add(&self, socket: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key), interest.flags())?)
    }

    pub(crate) fn modify(&self, socket: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(key), interest.flags())?)
    }

    pub(crate) fn delete(&self, socket: BorrowedFd<'_>) {
        // It can only fail when the socket is not registered, which is what was asked for.
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Makes the wait of whoever waits return.
    pub(crate) fn wake(&self) {
        // The counter of an eventfd that nobody reads overflows after 2^64 - 2 wake-ups.
        let _ = rustix::io::write(&self.waker, &1u64.to_ne_bytes());
    }

    /// Sets the alarm to go off at `at`, where there is one.
    pub(crate) fn set_alarm(&self, at: Instant) {
        let Some(alarm) = &self.alarm else { return };
        // A zero would switch the timer off.
        let ahead = at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1));
        let spec = Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(ahead) };
        let _ = timerfd_settime(alarm, TimerfdTimerFlags::empty(), &spec);
    }

    /// Waits until something is ready or `timeout` is over (`None`: for ever).
    ///
    /// # Errors
    /// `Interrupted` when a signal came in.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.0.clear();
        let timeout = match timeout {
            None => None,
            Some(Duration::ZERO) => Some(timespec(Duration::ZERO)),
            Some(short) if short < Duration::from_millis(10) => {
                // epoll_wait counts in milliseconds and its finer sister is missing on older kernels; poll is exact.
                if !self.is_readable(short)? {
                    return Ok(());
                }
                Some(timespec(Duration::ZERO))
            }
            // Rounded up to whole milliseconds: waking early would only mean to wait again.
            Some(long) => Some(timespec(Duration::from_millis(
                u64::try_from(long.as_micros().div_ceil(1000)).unwrap_or(u64::MAX),
            ))),
        };
        let mut records = [const { MaybeUninit::<Event>::uninit() }; MOST_EVENTS];
        let (seen, _) = epoll::wait(&self.epoll, &mut records[..], timeout.as_ref())?;
        for event in seen {
            let (flags, data) = (event.flags, event.data);
            events.push(flags, data.u64());
        }
        Ok(())
    }

    /// Whether a wait would return at once, or does so within `patience`.
    pub(crate) fn is_readable(&self, patience: Duration) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.epoll, PollFlags::IN)];
        Ok(poll(&mut fds, Some(&timespec(patience)))? > 0)
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// Ends the sleep of the one thread that waits for it: the guardian.
#[derive(Debug)]
pub(crate) struct Call(OwnedFd);

impl Call {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Has the wait return, the one that goes on or the next.
    pub(crate) fn ring(&self) {
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Sleeps until somebody rings, the poller has something to report, or `patience` is over (`None`: for ever).
    pub(crate) fn wait(&self, poller: Option<&Poller>, patience: Option<Duration>) {
        let patience = patience.map(timespec);
        let call = PollFd::new(&self.0, PollFlags::IN);
        let woken = match poller {
            Some(poller) => poll(&mut [call, PollFd::new(&poller.epoll, PollFlags::IN)], patience.as_ref()),
            None => poll(&mut [call], patience.as_ref()),
        };
        // An error (EINTR) only makes the thread's next look come early.
        if woken.is_ok() {
            let _ = rustix::io::read(&self.0, &mut [0u8; 8][..]);
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
