//! `crates/net/src/connect` for a model in which nobody is dialled: a connection begins open (see `world`), or its attempt
//! fails, at once or after an answer that another thread has.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::handshake::Handshake;
use crate::io::Transport;
use crate::options::ConnectOptions;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Instant, thread};
use crate::sys::poller::Poller;

#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) transport: Transport,
    pub(crate) handshake: Handshake,
    pub(crate) leftover: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Prepared;

pub(crate) fn prepare(_: &Arc<ConnectOptions>) -> Result<Prepared, Error> {
    Ok(Prepared)
}

/// The host whose attempt waits for an answer.
pub(crate) const ASKS: &str = "asks.example";

/// An attempt that fails: nobody is dialled in a model.
pub(crate) struct Attempt {
    /// The answer has come that it waits for; `None` where it waits for none.
    answered: Option<Arc<AtomicBool>>,
    waker: Waker,
    has_asked: bool,
    deadline: Instant,
}

pub(crate) type Waker = Arc<dyn Fn() + Send + Sync>;

impl Attempt {
    pub(crate) fn new(_: Prepared, options: Arc<ConnectOptions>, waker: Waker, now: Instant) -> Self {
        let answered = (options.url.host() == ASKS).then(|| Arc::new(AtomicBool::new(false)));
        Self { answered, waker, has_asked: false, deadline: now + Duration::from_secs(10) }
    }

    pub(crate) fn step(&mut self, _: Instant) -> Option<Result<Connected, Error>> {
        if let Some(answered) = &self.answered {
            if !std::mem::replace(&mut self.has_asked, true) {
                let (answered, waker) = (Arc::clone(answered), Arc::clone(&self.waker));
                thread::spawn(move || {
                    answered.store(true, Ordering::SeqCst);
                    waker();
                });
            }
            if !answered.load(Ordering::SeqCst) {
                return None;
            }
        }
        Some(Err(self.failed("nobody is dialled in a model")))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.answered.is_some().then_some(self.deadline)
    }

    pub(crate) fn failed(&self, why: &str) -> Error {
        Error::new(ErrorKind::Connect, why)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Watched(());

impl Watched {
    pub(crate) fn update(&mut self, _: &Attempt, _: &Poller, _: u64) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn let_go(&mut self, _: &Transport, _: &Poller) {}
}

pub(crate) fn connect(
    _: Prepared,
    _: &Arc<ConnectOptions>,
    _: &mut dyn FnMut() -> bool,
) -> Result<Connected, Error> {
    Err(Error::new(ErrorKind::Connect, "nobody is dialled in a model"))
}

pub(crate) fn after_fork_in_child() {}
