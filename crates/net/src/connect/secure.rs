//! The TLS handshake over a transport that leads to the host.

use std::io;
use std::os::fd::BorrowedFd;
use std::task::Poll;

use sunsocket_wire::Url;

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
    pub(super) fn step(&mut self, url: &Url) -> Poll<Result<(), Error>> {
        match self.0.step() {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(explain(url, &error))),
        }
    }

    pub(super) fn socket(&self) -> (BorrowedFd<'_>, Interest) {
        let write = self.0.wants_write();
        (self.0.fd(), Interest { read: !write, write })
    }

    /// # Errors
    /// `Tls`, when the handshake is not over.
    pub(super) fn into_transport(self, url: &Url) -> Result<Transport, Error> {
        self.0.into_transport().map_err(|error| explain(url, &error))
    }
}

fn explain(url: &Url, error: &io::Error) -> Error {
    if let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<tls::Problem>()) {
        return tls::explain(url, problem);
    }
    let what = if error.kind() == io::ErrorKind::UnexpectedEof {
        "the server dropped TCP during the TLS handshake; does it speak TLS on this port? If it is a plain server, use \
         ws:// in place of wss://"
            .to_owned()
    } else {
        format!("the connection was lost during the TLS handshake ({})", in_words(error))
    };
    Error::new(ErrorKind::Tls, format!("cannot connect to {url}: {what}"))
}
