//! `crates/net/src/sys/poller.rs` without an operating system: level-triggered sockets, an edge-triggered waker and alarm.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::pipe::Pipe;
use crate::sync::{Arc, Condvar, Instant, Mutex, let_pass, lock, times_out};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Readiness {
    Socket { key: u64, readable: bool, writable: bool, hangup: bool },
    Alarm,
    Wake,
}

#[derive(Debug, Default)]
pub(crate) struct Events(Vec<Readiness>);

impl Events {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, at: usize) -> Readiness {
        self.0[at]
    }
}

std::thread_local! {
    /// Whether every wake-up gets lost: for the test that shows that this is found.
    pub(crate) static LOSES_WAKE_UPS: Cell<bool> = const { Cell::new(false) };
}

/// What ends the sleep of whoever waits for the poller.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *lock(&self.rings) += 1;
        self.rung.notify_all();
    }
}

#[derive(Debug)]
pub(crate) struct Poller {
    bell: Arc<Bell>,
    state: Mutex<State>,
    descriptor: io::Stdin,
}

#[derive(Debug, Default)]
struct State {
    sockets: BTreeMap<u64, (Arc<Pipe>, Interest)>,
    woken: bool,
    alarm: Option<Instant>,
}

impl Poller {
    pub(crate) fn new(_alarm: bool) -> io::Result<Self> {
        Ok(Self { bell: Arc::default(), state: Mutex::default(), descriptor: io::stdin() })
    }

    pub(crate) fn add(&self, socket: &Arc<Pipe>, key: u64, interest: Interest) -> io::Result<()> {
        socket.watch(Some(Arc::clone(&self.bell)));
        lock(&self.state).sockets.insert(key, (Arc::clone(socket), interest));
        self.bell.ring();
        Ok(())
    }

    pub(crate) fn modify(&self, socket: &Arc<Pipe>, key: u64, interest: Interest) -> io::Result<()> {
        self.add(socket, key, interest)
    }

    pub(crate) fn delete(&self, socket: &Arc<Pipe>) {
        socket.watch(None);
        lock(&self.state).sockets.retain(|_, (pipe, _)| !Arc::ptr_eq(pipe, socket));
    }

    pub(crate) fn wake(&self) {
        if LOSES_WAKE_UPS.get() {
            return;
        }
        lock(&self.state).woken = true;
        self.bell.ring();
    }

    pub(crate) fn set_alarm(&self, at: Instant) {
        lock(&self.state).alarm = Some(at);
        if at <= Instant::now() {
            self.bell.ring();
        }
    }

    fn look(&self, take: bool) -> Vec<Readiness> {
        let mut seen = Vec::new();
        let mut state = lock(&self.state);
        for (&key, (pipe, interest)) in &state.sockets {
            let (readable, writable, hangup) = pipe.readiness();
            let readable = hangup || readable && interest.read;
            let writable = writable && interest.write;
            if readable || writable {
                seen.push(Readiness::Socket { key, readable, writable, hangup });
            }
        }
        if state.woken {
            seen.push(Readiness::Wake);
        }
        let now = Instant::now();
        let due = state.alarm.is_some_and(|at| at <= now);
        if due {
            seen.push(Readiness::Alarm);
        }
        if take {
            state.woken = false;
            if due {
                state.alarm = None;
            }
        }
        seen
    }

    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.0 = self.sleep(timeout, true);
        Ok(())
    }

    fn sleep(&self, timeout: Option<Duration>, take: bool) -> Vec<Readiness> {
        loop {
            let rings = *lock(&self.bell.rings);
            let seen = self.look(take);
            if !seen.is_empty() || timeout == Some(Duration::ZERO) {
                return seen;
            }
            if times_out(timeout) {
                let_pass(timeout.unwrap_or_default());
                return self.look(take);
            }
            let mut guard = lock(&self.bell.rings);
            while *guard == rings {
                guard = self.bell.rung.wait(guard);
            }
        }
    }

    pub(crate) fn is_readable(&self, patience: Duration) -> io::Result<bool> {
        Ok(!self.sleep(Some(patience), false).is_empty())
    }

    /// What a foreign loop does: sleeps until the descriptor is readable.
    pub(crate) fn watch(&self) {
        self.sleep(None, false);
    }

    /// The engine only hands it on.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The guardian's bell.
#[derive(Debug)]
pub(crate) struct Call {
    rung: Mutex<bool>,
    ringing: Condvar,
    /// That of the poller which the guardian sleeps on.
    beside: Mutex<Option<Arc<Bell>>>,
}

impl Call {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { rung: Mutex::new(false), ringing: Condvar::default(), beside: Mutex::default() })
    }

    pub(crate) fn ring(&self) {
        *lock(&self.rung) = true;
        self.ringing.notify_all();
        let beside = lock(&self.beside).clone();
        if let Some(bell) = beside {
            bell.ring();
        }
    }

    /// The guardian's ticks are time-outs that it is made for: all of them end.
    pub(crate) fn wait(&self, poller: Option<&Poller>, patience: Option<Duration>) {
        if let Some(patience) = patience {
            let_pass(patience);
            *lock(&self.rung) = false;
            return;
        }
        if let Some(poller) = poller {
            *lock(&self.beside) = Some(Arc::clone(&poller.bell));
            loop {
                let rings = *lock(&poller.bell.rings);
                if std::mem::take(&mut *lock(&self.rung)) || !poller.look(false).is_empty() {
                    break;
                }
                let mut guard = lock(&poller.bell.rings);
                while *guard == rings {
                    guard = poller.bell.rung.wait(guard);
                }
            }
            *lock(&self.beside) = None;
            return;
        }
        let mut rung = lock(&self.rung);
        while !*rung {
            rung = self.ringing.wait(rung);
        }
        *rung = false;
    }
}
