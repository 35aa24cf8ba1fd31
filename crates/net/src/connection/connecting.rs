//! Drives an attempt to connect on the connection's reactor: no thread, and whoever turns the reactor takes the steps.

use std::panic::{self, AssertUnwindSafe};

use super::{Connection, GivesUp};
use crate::connect::{Attempt, Connected, Prepared, Watched};
use crate::error::{Error, ErrorKind};
use crate::options::ConnectOptions;
use crate::reactor::guests::Guest;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Instant, Mutex, OnceLock, Weak, lock};

/// An attempt under way. The reactor's list of guests keeps it.
pub(crate) struct Connecting {
    connection: Arc<Connection>,
    /// Its key at the reactor.
    key: OnceLock<u64>,
    /// An answer has come that the attempt waits for, and no step was taken since.
    answered: AtomicBool,
    /// Under this lock nothing of the connection's is called.
    state: Mutex<State>,
}

struct State {
    /// `None` when it has ended or was given up.
    attempt: Option<Attempt>,
    watched: Watched,
    /// When the reactor calls.
    called_at: Option<Instant>,
}

impl GivesUp for Connecting {
    fn give_up(&self) {
        let attempt = lock(&self.state).attempt.take();
        if attempt.is_some() {
            self.leave();
        }
    }
}

impl Connecting {
    /// Takes the first step. The connection hears of the end.
    pub(super) fn begin(connection: &Arc<Connection>, prepared: Prepared, options: &Arc<ConnectOptions>) {
        let now = Instant::now();
        let connecting = Arc::new_cyclic(|this: &Weak<Self>| {
            let this = Weak::clone(this);
            let waker = Arc::new(move || {
                if let Some(connecting) = this.upgrade() {
                    connecting.wake();
                }
            });
            let attempt = Attempt::new(prepared, Arc::clone(options), waker, now);
            Self {
                connection: Arc::clone(connection),
                key: OnceLock::new(),
                answered: AtomicBool::new(false),
                state: Mutex::new(State {
                    attempt: Some(attempt),
                    watched: Watched::default(),
                    called_at: None,
                }),
            }
        });
        *lock(&connection.connecting) = Some(Arc::clone(&connecting) as Arc<dyn GivesUp>);
        let guest: Arc<dyn Guest> = Arc::clone(&connecting) as _;
        let _ = connecting.key.set(connection.reactor().admit(guest));
        connecting.step(now);
    }

    /// An answer has come: a step is due, and soon. From any thread.
    fn wake(&self) {
        self.answered.store(true, Ordering::SeqCst);
        if let Some(key) = self.key.get() {
            self.connection.reactor().call_guest_at(*key, Instant::now());
        }
    }

    fn step(&self, now: Instant) {
        if let Some(ended) = self.take_steps(now) {
            self.leave();
            match ended {
                Ok(connected) => self.connection.opened(connected, true),
                Err(error) => self.connection.failed_to_open(error),
            }
        }
    }

    /// Steps, and has the reactor call when the next step is due. `Some`: it has ended.
    fn take_steps(&self, now: Instant) -> Option<Result<Connected, Error>> {
        let mut state = lock(&self.state);
        loop {
            self.answered.store(false, Ordering::SeqCst);
            let attempt = state.attempt.as_mut()?;
            // A panic would take all connections of the reactor with it.
            let stepped = panic::catch_unwind(AssertUnwindSafe(|| attempt.step(now)));
            let ended = match stepped {
                Ok(None) => match state.watch(self) {
                    // An answer that came meanwhile has asked for a call that the deadline may have replaced.
                    Ok(()) if self.answered.load(Ordering::SeqCst) => continue,
                    Ok(()) => return None,
                    Err(error) => Err(error),
                },
                Ok(Some(ended)) => ended,
                Err(_panic) => {
                    let text = format!(
                        "cannot connect to {}: connecting panicked, which is a defect of sunsocket: please report it",
                        self.connection.url()
                    );
                    Err(Error::new(ErrorKind::Connect, text))
                }
            };
            if let Ok(connected) = &ended {
                state.watched.let_go(&connected.transport, &self.connection.reactor().poller);
            }
            state.attempt = None;
            return Some(ended);
        }
    }

    fn leave(&self) {
        let connecting = lock(&self.connection.connecting).take();
        if let Some(key) = self.key.get() {
            self.connection.reactor().dismiss(*key);
        }
        drop(connecting);
    }
}

impl State {
    /// Has the reactor call when one of the attempt's sockets is ready, or its time has come.
    fn watch(&mut self, connecting: &Connecting) -> Result<(), Error> {
        let (Some(attempt), Some(key)) = (&self.attempt, connecting.key.get()) else { return Ok(()) };
        let reactor = connecting.connection.reactor();
        self.watched
            .update(attempt, &reactor.poller, *key)
            .map_err(|error| attempt.failed(&format!("its socket cannot be watched: {error}")))?;
        let deadline = attempt.deadline();
        if deadline != self.called_at
            && let Some(at) = deadline
        {
            reactor.call_guest_at(*key, at);
        }
        self.called_at = deadline;
        Ok(())
    }
}

impl Guest for Connecting {
    fn on_readiness(self: Arc<Self>, now: Instant) {
        self.step(now);
    }

    fn on_deadline(self: Arc<Self>, now: Instant) {
        lock(&self.state).called_at = None;
        self.step(now);
    }

    fn abort(self: Arc<Self>) {
        self.connection.abort();
    }
}
