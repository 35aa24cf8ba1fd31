//! `crates/net/src/connect` for a model in which every connection begins open: see `world`.

use std::io;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::handshake::Handshake;
use crate::io::Transport;
use crate::options::ConnectOptions;

#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) transport: Transport,
    pub(crate) handshake: Handshake,
    pub(crate) leftover: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Prepared;

#[derive(Debug)]
pub(crate) struct Cancel;

impl Cancel {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn cancel(&self) {}
}

pub(crate) fn prepare(_: &Arc<ConnectOptions>) -> Result<Prepared, Error> {
    Ok(Prepared)
}

pub(crate) fn spawn(_: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    Err(Error::new(ErrorKind::Connect, "nobody is dialled in a model"))
}

pub(crate) fn connect(
    _: Prepared,
    _: &Arc<ConnectOptions>,
    _: &Cancel,
    _: &mut dyn FnMut() -> bool,
) -> Result<Connected, Error> {
    Err(Error::new(ErrorKind::Connect, "nobody is dialled in a model"))
}

pub(crate) fn after_fork_in_child() {}
