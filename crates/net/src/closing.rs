//! The closing handshake (RFC 6455 7): how far it is, how long it may take, and what the end of TCP means at each stage.

use std::io;
use std::time::Duration;

use sunsocket_wire::{CloseFrame, Url};

use crate::connection::Closed;
use crate::error::{Error, ErrorKind, in_words};
use crate::sync::Instant;

/// The longest that a failed connection's socket is kept for the server to read why.
const LINGER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Closing {
    /// When TCP is cut.
    pub(crate) deadline: Instant,
    by_peer: bool,
    /// The server's Close.
    frame: Option<CloseFrame>,
    /// We failed the connection: nothing that the server says counts any more.
    failed: bool,
    shut_down: bool,
}

impl Closing {
    /// We sent the first Close.
    pub(crate) fn ours(now: Instant, timeout: Duration) -> Self {
        Self { deadline: later(now, timeout), by_peer: false, frame: None, failed: false, shut_down: false }
    }

    /// The server sent the first Close.
    pub(crate) fn theirs(now: Instant, timeout: Duration) -> Self {
        Self { by_peer: true, ..Self::ours(now, timeout) }
    }

    /// We fail the connection.
    pub(crate) fn failed(now: Instant, timeout: Duration) -> Self {
        Self { failed: true, ..Self::ours(now, timeout.min(LINGER)) }
    }

    pub(crate) fn received(&mut self, frame: CloseFrame) {
        self.frame = Some(frame);
    }

    pub(crate) fn still_reads(&self) -> bool {
        !self.failed
    }

    /// True once, when both have said Close (or we have failed the connection) and all of ours is written: then we have
    /// nothing more to say.
    pub(crate) fn may_shut_down(&mut self) -> bool {
        let may = (self.frame.is_some() || self.failed) && !self.shut_down;
        self.shut_down |= may;
        may
    }

    fn complete(&self) -> Option<Closed> {
        let frame = self.frame.as_ref()?;
        Some(Closed { code: frame.code, reason: frame.reason.clone(), by_peer: self.by_peer, error: None })
    }

    /// The deadline has come. A server that has said Close and keeps TCP is only cut off; one that has not is to blame.
    pub(crate) fn timed_out(&self, url: &Url, timeout: Duration) -> Closed {
        self.complete().unwrap_or_else(|| {
            let text = format!(
                "{url} did not answer our Close within close_timeout ({} s): TCP was cut",
                timeout.as_secs_f64()
            );
            abnormal(Error::new(ErrorKind::Timeout, text))
        })
    }
}

/// A time so far away that it cannot be told is a day away.
fn later(now: Instant, timeout: Duration) -> Instant {
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(86_400))
}

fn abnormal(error: Error) -> Closed {
    Closed { code: 1006, reason: String::new(), by_peer: false, error: Some(error) }
}

/// TCP ended (`None`) or failed.
pub(crate) fn after_tcp(url: &Url, closing: Option<&Closing>, error: Option<io::Error>) -> Closed {
    if let Some(closed) = closing.and_then(Closing::complete) {
        return closed;
    }
    let what = match (&error, closing) {
        (Some(error), _) => format!("the connection to {url} was lost: {}", in_words(error)),
        (None, Some(_)) => format!("{url} dropped TCP without answering our Close"),
        (None, None) => format!("{url} dropped TCP without a closing handshake"),
    };
    abnormal(Error::new(ErrorKind::Lost, what))
}

/// The peer does not answer any more.
pub(crate) fn no_pong(url: &Url, timeout: Duration) -> Closed {
    let text = format!(
        "{url} did not answer a ping within ping_timeout ({} s): the connection counts as lost",
        timeout.as_secs_f64()
    );
    abnormal(Error::new(ErrorKind::Timeout, text))
}
