//! Failures by the step that failed. Each text says what was tried, what happened and, where there is one, what to
//! try next; each language turns the kind into its own class at one border.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::Arc;

use sunsocket_wire::{Headers, InvalidUrl};

/// Which step failed, and thereby which class of error a language raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The address is not a `ws:` or `wss:` URL.
    InvalidUrl,
    /// Another argument cannot be used (a header with a line break, a close code that may not be sent).
    InvalidArgument,
    /// DNS, TCP: nothing answers there.
    Connect,
    /// The opening handshake was answered by something else than a WebSocket server.
    Handshake,
    /// A proxy cannot be reached, or opens no tunnel.
    Proxy,
    /// A certificate or the TLS handshake was refused.
    Tls,
    /// `open_timeout` ran out.
    ConnectTimeout,
    /// The program gave up waiting (a cancelled connect, a Ctrl-C, exit).
    Cancelled,
    /// The connection is closing or closed.
    Closed,
    /// A message was larger than `max_message_size`.
    MessageTooBig,
    /// The server broke RFC 6455.
    Protocol,
    /// The established connection was lost: a reset, an unexpected end, an operating system's error.
    Lost,
    /// No pong came within `ping_timeout`, or no end of the closing handshake within `close_timeout`.
    Timeout,
}

/// One failure: its kind and a complete text for people. Cheap to clone: several waiters may be told of it.
#[derive(Clone, Debug)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    text: String,
    answer: Option<HttpAnswer>,
    cause: Option<Arc<dyn Any + Send + Sync>>,
}

/// What an HTTP server said in place of `101 Switching Protocols`.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The header lines.
    pub headers: Headers,
    /// The start of the body.
    pub body: Vec<u8>,
}

impl Error {
    /// An error of `kind` that reads `text`.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, text: text.into(), answer: None, cause: None }))
    }

    /// The same, with the language's own object for what failed in a function of the program (`resolve`).
    pub fn caused(kind: ErrorKind, text: impl Into<String>, cause: Arc<dyn Any + Send + Sync>) -> Self {
        Self(Arc::new(Inner { kind, text: text.into(), answer: None, cause: Some(cause) }))
    }

    /// The opening handshake failed on what the server answered.
    pub fn handshake(text: impl Into<String>, answer: Option<HttpAnswer>) -> Self {
        Self(Arc::new(Inner { kind: ErrorKind::Handshake, text: text.into(), answer, cause: None }))
    }

    /// A proxy refused; `answer` is what it said, where it speaks HTTP.
    pub(crate) fn proxy(text: impl Into<String>, answer: Option<HttpAnswer>) -> Self {
        Self(Arc::new(Inner { kind: ErrorKind::Proxy, text: text.into(), answer, cause: None }))
    }

    pub(crate) fn invalid_url(error: InvalidUrl) -> Self {
        Self::new(ErrorKind::InvalidUrl, error.to_string())
    }

    /// The same failure in other words.
    pub(crate) fn retold(&self, kind: ErrorKind, text: String) -> Self {
        Self(Arc::new(Inner { kind, text, ..(*self.0).clone() }))
    }

    /// Which step failed.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The language's own object for what failed, where that was a function of the program.
    pub fn cause(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.0.cause.as_ref()
    }

    /// What the server answered to the opening handshake, or the proxy to CONNECT, where that is what failed.
    pub fn answer(&self) -> Option<&HttpAnswer> {
        self.0.answer.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for Error {}

/// What the operating system says, without its number: "connection refused".
pub(crate) fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    let Some(number) = error.raw_os_error() else { return text };
    let words = text.strip_suffix(&format!(" (os error {number})")).unwrap_or(&text);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_numbers_are_left_out() {
        assert_eq!(in_words(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(in_words(&io::ErrorKind::ConnectionRefused.into()), "connection refused");
        assert_eq!(in_words(&io::Error::other("Cut (os error 111)")), "Cut (os error 111)");
    }
}
