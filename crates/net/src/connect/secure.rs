//! The TLS handshake over a transport that leads to the server, or to a proxy that wants TLS.

use std::io;
use std::os::fd::BorrowedFd;
use std::task::Poll;

use super::hop::Hop;
use crate::error::{Error, ErrorKind, in_words};
use crate::io::{Handshake, Transport};
use crate::sys::poller::Interest;
use crate::tls::{self, Tls};

/// A TLS handshake under way.
#[derive(Debug)]
pub(super) struct Secure(Handshake);

impl Secure {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// `Tls`, when the library does not take the configuration.
    pub(super) fn new(inner: Transport, tls: &Tls) -> Result<Self, Error> {
        Ok(Self(Handshake::new(inner, tls.session()?)))
    }

    /// Goes on as far as the transport below lets it. Ready: the handshake is over, see [`Secure::into_transport`].
    ///
    /// # Errors
    /// `Tls`, when the server is not to be trusted, does not speak TLS or is lost.
    pub(super) fn step(&mut self, hop: &Hop) -> Poll<Result<(), Error>> {
        match self.0.step() {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(explain(hop, &error))),
        }
    }

    pub(super) fn socket(&self) -> (BorrowedFd<'_>, Interest) {
        let write = self.0.wants_write();
        (self.0.fd(), Interest { read: !write, write })
    }

    /// # Errors
    /// `Tls`, when the handshake is not over.
    pub(super) fn into_transport(self, hop: &Hop) -> Result<Transport, Error> {
        self.0.into_transport().map_err(|error| explain(hop, &error))
    }
}

fn explain(hop: &Hop, error: &io::Error) -> Error {
    if let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<tls::Problem>()) {
        return hop.failed(ErrorKind::Tls, problem.in_handshake(hop.without_tls()));
    }
    let what = if error.kind() == io::ErrorKind::UnexpectedEof {
        format!(
            "it dropped TCP during the TLS handshake; perhaps it does not speak TLS on this port: {}",
            hop.without_tls()
        )
    } else {
        format!("the connection was lost during the TLS handshake ({})", in_words(error))
    };
    hop.failed(ErrorKind::Tls, what)
}
