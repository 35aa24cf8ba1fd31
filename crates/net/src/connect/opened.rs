//! What connecting ends with: an open transport, or one that was lost on the way.

use std::io;

use sunsocket_wire::Url;

use super::hop::Hop;
use crate::error::{Error, ErrorKind, in_words};
use crate::handshake::Handshake;
use crate::io::Transport;
use crate::tls;

/// What a connection begins with.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) transport: Transport,
    pub(crate) handshake: Handshake,
    /// Bytes that came with the server's answer: the first frames, perhaps.
    pub(crate) leftover: Vec<u8>,
}

/// TCP or TLS failed under us.
pub(super) fn lost(url: &Url, error: &io::Error) -> Error {
    if let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<tls::Problem>()) {
        let hop = Hop::server(url);
        return hop.failed(ErrorKind::Tls, problem.in_handshake(hop.without_tls()));
    }
    Error::new(
        ErrorKind::Connect,
        format!("cannot connect to {url}: the connection was lost ({})", in_words(error)),
    )
}
