//! The one time limit of an attempt, `open_timeout`, which covers all steps and all redirects together.
//!
//! Time comes in as an argument, so that tests can move it.

use std::time::{Duration, Instant};

use sunsocket_wire::Url;

use crate::error::{Error, ErrorKind};

/// What an attempt is doing, as a time-out names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The program's function `resolve` has been asked for the host's addresses.
    AskProgram,
    /// DNS has been asked for them.
    Resolve,
    /// TCP connections to one or more addresses have been started.
    Dial,
    /// A proxy has been asked for a tunnel.
    Tunnel,
    /// The TLS handshake is under way.
    Secure,
    /// The request of the opening handshake is being sent, or its answer is awaited.
    Upgrade,
}

impl Step {
    /// The step as a part of the sentence "... still SOMETHING when the time was over".
    fn text(self) -> &'static str {
        match self {
            Self::AskProgram => "waiting for the program's function resolve",
            Self::Resolve => "looking up its address",
            Self::Dial => "connecting over TCP",
            Self::Tunnel => "waiting for a tunnel",
            Self::Secure => "setting up TLS",
            Self::Upgrade => "waiting for the answer to the opening handshake",
        }
    }
}

/// When an attempt is over at the latest.
#[derive(Debug)]
pub(super) struct Deadline {
    /// The option `open_timeout`; `None` has no end.
    limit: Option<Duration>,
    /// When that time is over; `None` also where it is too far ahead to be represented.
    at: Option<Instant>,
}

impl Deadline {
    pub(super) fn new(limit: Option<Duration>, now: Instant) -> Self {
        Self { limit, at: limit.and_then(|limit| now.checked_add(limit)) }
    }

    pub(super) fn at(&self) -> Option<Instant> {
        self.at
    }

    /// Asked when an attempt cannot go on without waiting, and not before: what has arrived in time is not late because
    /// this process was slow to look at it.
    ///
    /// # Errors
    /// `ConnectTimeout`, naming `step`, when the time is over. `proxy`: whom that step is about, where
    /// it is not the server.
    pub(super) fn check(
        &self,
        now: Instant,
        url: &Url,
        step: Step,
        proxy: Option<&str>,
    ) -> Result<(), Error> {
        if self.at.is_none_or(|at| now < at) {
            return Ok(());
        }
        let to = proxy.map_or_else(String::new, |proxy| format!(" to the proxy {proxy}"));
        let seconds = self.limit.unwrap_or_default().as_secs_f64();
        let text = format!(
            "cannot connect to {url}: still {}{to} when open_timeout ({seconds} s) was over",
            step.text()
        );
        Err(Error::new(ErrorKind::ConnectTimeout, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_over_at_its_very_end_and_the_text_names_the_step() {
        let now = Instant::now();
        let url = Url::parse("ws://example.test/").expect("valid");
        let deadline = Deadline::new(Some(Duration::from_millis(1500)), now);
        let just_before = now + Duration::from_millis(1500) - Duration::from_nanos(1);
        assert!(deadline.check(just_before, &url, Step::Dial, None).is_ok());
        for (step, words) in [
            (Step::AskProgram, "function resolve"),
            (Step::Resolve, "looking up its address"),
            (Step::Dial, "over TCP"),
            (Step::Secure, "setting up TLS"),
            (Step::Upgrade, "answer to the opening handshake"),
        ] {
            let error =
                deadline.check(now + Duration::from_millis(1500), &url, step, None).expect_err("over");
            assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
            let text = error.to_string();
            assert!(text.contains(words) && text.contains("open_timeout (1.5 s)"), "{text}");
        }
    }

    #[test]
    fn a_limit_beyond_the_clock_has_no_end() {
        let now = Instant::now();
        let url = Url::parse("ws://example.test/").expect("valid");
        for limit in [None, Some(Duration::MAX)] {
            let deadline = Deadline::new(limit, now);
            assert_eq!(deadline.at(), None);
            assert!(deadline.check(now + Duration::from_secs(1 << 30), &url, Step::Dial, None).is_ok());
        }
    }
}
