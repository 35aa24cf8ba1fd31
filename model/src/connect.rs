//! `crates/net/src/connect` for a model in which every connection begins open: see `world`.

use std::io;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::handshake::Handshake;
use crate::io::Transport;
use crate::options::ConnectOptions;
use crate::sync::Instant;
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

/// An attempt that fails at its first step: nobody is dialled in a model.
pub(crate) struct Attempt;

pub(crate) type Waker = Arc<dyn Fn() + Send + Sync>;

impl Attempt {
    pub(crate) fn new(_: Prepared, _: Arc<ConnectOptions>, _: Waker, _: Instant) -> Self {
        Self
    }

    pub(crate) fn step(&mut self, _: Instant) -> Option<Result<Connected, Error>> {
        Some(Err(self.failed("nobody is dialled in a model")))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        None
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
