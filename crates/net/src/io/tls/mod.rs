//! TLS over another transport: [`Handshake`], then two halves that hardly know each other.
//!
//! Each half has its own key and its own count of records (`records`), so that neither waits while the other encrypts
//! or decrypts. What they share is behind a lock that is held for a moment: the secrets from which the next keys come, and
//! what the reader owes to the server, which only the writer sends (an alert, the answer to a change of keys).
//!
//! - A record is decrypted where it was read, and copied once, to where the caller wants it.
//! - A connection at rest holds no buffer (`buffers`); one that waits for the rest of a record holds that record's bytes.
//! - A peer can make us work only as far as `messages::Patience` goes: empty records, requests for new keys, warnings.

mod buffers;
mod handshake;
mod incoming;
mod messages;
mod outgoing;
pub(in crate::io) mod records;

use std::io;

use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::{AlertDescription, ExtractedSecrets};

pub(crate) use self::handshake::Handshake;
pub(super) use self::incoming::Reader;
pub(super) use self::outgoing::Writer;
use self::records::{Opener, Sealer};
use super::Transport;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::tls::Problem;

/// What both halves share.
struct Shared {
    secrets: Mutex<Secrets>,
    /// `secrets` has something for the server that the writer has not taken.
    owed: AtomicBool,
}

struct Secrets {
    kernel: KernelConnection<ClientConnectionData>,
    /// The server wants us to change our key.
    key_update: bool,
    alert: Option<Alert>,
}

#[derive(Clone, Copy, Debug)]
struct Alert {
    is_fatal: bool,
    description: AlertDescription,
}

impl Shared {
    fn secrets(&self) -> MutexGuard<'_, Secrets> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owes(&self) -> bool {
        self.owed.load(Ordering::SeqCst)
    }

    /// Has the writer send something; `change` says what.
    fn owe(&self, change: impl FnOnce(&mut Secrets)) {
        let mut secrets = self.secrets();
        change(&mut secrets);
        self.owed.store(true, Ordering::SeqCst);
    }
}

/// Both halves, after a handshake. `incoming`: encrypted bytes that came behind it.
fn halves(
    inner: Transport,
    ExtractedSecrets { tx, rx }: ExtractedSecrets,
    kernel: KernelConnection<ClientConnectionData>,
    incoming: Vec<u8>,
) -> Result<Transport, rustls::Error> {
    let suite = kernel.negotiated_cipher_suite();
    let (opener, sealer) = (Opener::new(suite, rx)?, Sealer::new(suite, tx)?);
    let secrets = Mutex::new(Secrets { kernel, key_update: false, alert: None });
    let shared = Arc::new(Shared { secrets, owed: AtomicBool::new(false) });
    let (reader, writer) = inner.into_halves();
    Ok(Transport {
        reader: super::Reader::Tls(Box::new(Reader::new(reader, Arc::clone(&shared), opener, incoming))),
        writer: super::Writer::Tls(Box::new(Writer::new(writer, shared, sealer))),
    })
}

fn is_blocked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Problem(error))
}
