//! The closing handshake (RFC 6455 7): how far it is, how long it may take, and what the end of TCP means at each stage.

use std::io;
use std::time::Duration;

use sunsocket_wire::{CloseFrame, Url};

use crate::error::{Error, ErrorKind, in_words};
use crate::sync::Instant;

/// The longest that a failed connection's socket is kept for the server to read why.
const READS_WHY: Duration = Duration::from_secs(2);

/// How a connection ended.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The close code: the peer's, ours where we failed the connection, 1005 for a Close without code, 1006 for a lost
    /// connection (RFC 6455 7.1.5).
    pub code: u16,
    /// The close reason.
    pub reason: String,
    /// Whether the peer began the closing handshake.
    pub by_peer: bool,
    /// What ended the connection; `None` after a clean closing handshake.
    pub error: Option<Error>,
}

impl Closed {
    /// Who closed with which code and reason, to follow "was closed": after a closing handshake both are the peer's,
    /// also when this side began it.
    #[must_use]
    pub fn by_whom(&self) -> String {
        let reason =
            if self.reason.is_empty() { String::new() } else { format!(" ({})", printable(&self.reason)) };
        let with = match self.code {
            1005 => "without a code (1005)".to_owned(),
            code => format!("with code {code}{reason}"),
        };
        if self.by_peer {
            format!("by the server {with}")
        } else {
            format!("by this side; the server answered {with}")
        }
    }

    /// An end without a Close of the server's (7.1.5).
    pub(crate) fn abnormally(error: Error) -> Self {
        Self { code: 1006, reason: String::new(), by_peer: false, error: Some(error) }
    }
}

/// A text of the server's as it may stand in an error, which perhaps is shown on a terminal: what would control that, or
/// change the order of what is read, is escaped.
fn printable(text: &str) -> String {
    let show = |letter: char| match letter {
        '"' | '\'' | '\\' => letter.to_string(),
        other => other.escape_debug().to_string(),
    };
    text.chars().map(show).collect()
}

#[derive(Debug)]
pub(crate) struct Closing {
    /// Since when nothing has moved.
    since: Instant,
    timeout: Duration,
    /// What the operating system held of our bytes when it was asked last.
    queued: Option<usize>,
    /// How many more bytes that come count as life: as many as a server can have had on their way when it was told. One
    /// that goes on sending in place of answering is cut all the same.
    patience: usize,
    by_peer: bool,
    /// The server's Close.
    frame: Option<CloseFrame>,
    /// We failed the connection: nothing that the server says counts any more.
    failed: bool,
    shut_down: bool,
}

impl Closing {
    /// We sent the first Close. `patience`: how many bytes that still come count as life.
    pub(crate) fn ours(now: Instant, timeout: Duration, patience: usize) -> Self {
        Self {
            since: now,
            timeout,
            queued: None,
            patience,
            by_peer: false,
            frame: None,
            failed: false,
            shut_down: false,
        }
    }

    /// The server sent the first Close.
    pub(crate) fn theirs(now: Instant, timeout: Duration) -> Self {
        Self { by_peer: true, ..Self::ours(now, timeout, 0) }
    }

    /// We fail the connection.
    pub(crate) fn failed(now: Instant, timeout: Duration) -> Self {
        Self { failed: true, ..Self::ours(now, timeout.min(READS_WHY), 0) }
    }

    pub(crate) fn received(&mut self, frame: CloseFrame) {
        self.frame = Some(frame);
    }

    /// When TCP is cut: nothing has moved for so long. A failed connection is cut in any case.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since.checked_add(self.timeout)
    }

    /// The operating system took bytes of ours.
    pub(crate) fn moved(&mut self, now: Instant) {
        if !self.failed {
            self.since = self.since.max(now);
        }
    }

    /// So many bytes came.
    pub(crate) fn heard(&mut self, count: usize, now: Instant) {
        if self.patience > 0 {
            self.patience = self.patience.saturating_sub(count);
            self.moved(now);
        }
    }

    /// Whether the time is over at `now`. `queued`: the bytes of ours that the operating system holds, where it tells; that
    /// they become fewer is life.
    pub(crate) fn is_over(&mut self, now: Instant, queued: Option<usize>) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        let leaves = match (self.queued, queued) {
            (Some(before), Some(queued)) => queued < before,
            // Asked for the first time: whether it becomes fewer will be seen.
            (None, Some(queued)) => queued > 0,
            _ => false,
        };
        self.queued = queued;
        if leaves {
            self.moved(now);
        }
        self.failed || !leaves
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
    pub(crate) fn timed_out(&self, url: &Url) -> Closed {
        self.complete().unwrap_or_else(|| {
            let text = format!(
                "{url} did not answer our Close within close_timeout ({} s): TCP was cut",
                self.timeout.as_secs_f64()
            );
            Closed::abnormally(Error::new(ErrorKind::Timeout, text))
        })
    }
}

/// TCP has ended (`None`) or failed.
pub(crate) fn after_tcp(url: &Url, closing: Option<&Closing>, error: Option<io::Error>) -> Closed {
    if let Some(closed) = closing.and_then(Closing::complete) {
        return closed;
    }
    let what = match (&error, closing) {
        (Some(error), _) => format!("the connection to {url} was lost: {}", in_words(error)),
        (None, Some(_)) => format!("{url} dropped TCP without answering our Close"),
        (None, None) => format!("{url} dropped TCP without a closing handshake"),
    };
    Closed::abnormally(Error::new(ErrorKind::Lost, what))
}

/// The peer does not answer any more.
pub(crate) fn no_pong(url: &Url, timeout: Duration) -> Closed {
    let text = format!(
        "{url} did not answer a ping within ping_timeout ({} s): the connection counts as lost",
        timeout.as_secs_f64()
    );
    Closed::abnormally(Error::new(ErrorKind::Timeout, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_reason_cannot_control_a_terminal() {
        let reason = "it's \"fine\" \\ \u{1b}[2Jünïcode\r\n\u{202e}😀\u{9b}1m".to_owned();
        let closed = Closed { code: 4001, reason, by_peer: true, error: None };
        assert_eq!(
            closed.by_whom(),
            "by the server with code 4001 (it's \"fine\" \\ \\u{1b}[2Jünïcode\\r\\n\\u{202e}😀\\u{9b}1m)"
        );
    }

    #[test]
    fn the_time_counts_from_the_last_byte_that_moved() {
        let start = Instant::now();
        let mut closing = Closing::ours(start, 10 * SECOND, 1000);
        closing.moved(start + 9 * SECOND);
        assert!(!closing.is_over(start + 10 * SECOND, Some(0)));
        closing.heard(500, start + 18 * SECOND);
        assert!(!closing.is_over(start + 27 * SECOND, Some(0)));
        assert!(closing.is_over(start + 28 * SECOND, Some(0)));
    }

    #[test]
    fn bytes_that_leave_the_kernel_count() {
        let start = Instant::now();
        let mut closing = Closing::ours(start, SECOND, 0);
        assert!(!closing.is_over(start + SECOND, Some(5000)));
        assert!(!closing.is_over(start + 2 * SECOND, Some(4000)));
        assert!(closing.is_over(start + 3 * SECOND, Some(4000)));
    }

    #[test]
    fn a_server_that_goes_on_sending_is_cut_all_the_same() {
        let start = Instant::now();
        let mut closing = Closing::ours(start, SECOND, 1000);
        for half in 1..10 {
            closing.heard(400, start + half * SECOND / 2);
        }
        assert!(closing.is_over(start + 5 * SECOND / 2, None));
    }

    #[test]
    fn a_failed_connection_waits_for_nothing() {
        let start = Instant::now();
        let mut closing = Closing::failed(start, 10 * SECOND);
        closing.moved(start + SECOND);
        assert!(closing.is_over(start + 2 * SECOND, Some(100)));
        assert!(closing.is_over(start + 3 * SECOND, Some(50)));
    }
}
