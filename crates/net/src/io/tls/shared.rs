//! What both halves share, and how errors are told apart.

use std::io;

use rustls::AlertDescription;
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;

use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::tls::Problem;

/// What both halves share.
pub(super) struct Shared {
    pub(super) secrets: Mutex<Secrets>,
    /// `secrets` has something for the server that the writer has not taken.
    pub(super) owed: AtomicBool,
}

pub(super) struct Secrets {
    pub(super) kernel: KernelConnection<ClientConnectionData>,
    /// The server wants us to change our key.
    pub(super) key_update: bool,
    pub(super) alert: Option<Alert>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Alert {
    pub(super) is_fatal: bool,
    pub(super) description: AlertDescription,
}

impl Shared {
    pub(super) fn secrets(&self) -> MutexGuard<'_, Secrets> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn owes(&self) -> bool {
        self.owed.load(Ordering::SeqCst)
    }

    /// Has the writer send something; `change` says what.
    pub(super) fn owe(&self, change: impl FnOnce(&mut Secrets)) {
        let mut secrets = self.secrets();
        change(&mut secrets);
        self.owed.store(true, Ordering::SeqCst);
    }
}

pub(super) fn is_blocked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

pub(super) fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Problem(error))
}
