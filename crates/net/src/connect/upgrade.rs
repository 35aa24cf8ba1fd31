//! The opening handshake over an open transport (RFC 6455 4.1): send the request, read the answer, and where it is a
//! refusal, the start of its body for the error to show.

use std::os::fd::BorrowedFd;
use std::task::Poll;
use std::time::{Duration, Instant};

use sunsocket_wire::{Accepted, HandshakeError, Headers, Request, Response, ResponseReader, Url};

use super::body::Body;
use super::exchange::{receive, send};
use super::hint::hint;
use super::opened::lost;
use super::redirect::Route;
use crate::error::{Error, HttpAnswer};
use crate::io::Transport;
use crate::sys::poller::Interest;

/// How long a refusal's body is waited for.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// How the server answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is a WebSocket: what was agreed, the response's header lines, and the bytes that came behind them.
    Accepted(Accepted, Headers, Vec<u8>),
    /// It sends us on. The response's body is not waited for.
    Elsewhere(Response),
    /// It wants the credentials proved by a digest. The same.
    Challenge(Response),
}

/// An opening handshake under way.
#[derive(Debug)]
pub(super) struct Upgrade {
    transport: Transport,
    request: Request,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The request's bytes, and how many of them the transport has taken.
    Sending(Vec<u8>, usize),
    Reading(Head),
    Refused(Refusal),
}

/// The server has refused, and its answer's body may still come.
#[derive(Debug)]
struct Refusal {
    response: Response,
    why: HandshakeError,
    body: Body,
    /// The body is waited for until then.
    until: Instant,
}

impl Upgrade {
    /// Nothing is sent yet.
    pub(super) fn new(transport: Transport, request: Request) -> Self {
        let phase = Phase::Sending(request.encode(), 0);
        Self { transport, request, phase }
    }

    /// Goes on as far as the transport lets it. A refusal's body is not waited for beyond `deadline`.
    ///
    /// # Errors
    /// `Handshake`; `Connect` when the connection is lost; `Tls` when that is how the server refused us.
    pub(super) fn step(
        &mut self,
        route: &Route,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Poll<Result<Answer, Error>> {
        let url = route.url();
        if let Phase::Sending(bytes, sent) = &mut self.phase {
            // Where sending fails, the server refused before it had read everything: its answer says more than that.
            if matches!(send(&mut self.transport, bytes, sent), Poll::Pending) {
                return Poll::Pending;
            }
            self.phase = Phase::Reading(Head::default());
            if !self.transport.reader.has_buffered() {
                // It cannot have answered yet: asking would cost a system call.
                return Poll::Pending;
            }
        }
        if let Phase::Reading(head) = &mut self.phase {
            let (response, behind) = match head.step(url, &mut self.transport) {
                Poll::Ready(Ok(complete)) => complete,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            };
            if route.leads_on(&response) {
                return Poll::Ready(Ok(Answer::Elsewhere(response)));
            }
            if route.is_challenged(&response) {
                return Poll::Ready(Ok(Answer::Challenge(response)));
            }
            let why = match self.request.verify(&response) {
                Ok(accepted) => return Poll::Ready(Ok(Answer::Accepted(accepted, response.headers, behind))),
                Err(why) => why,
            };
            let body = Body::new(&response, behind);
            // Where the status alone is no refusal, the body says nothing.
            let patience =
                if matches!(why, HandshakeError::Status(..)) { BODY_PATIENCE } else { Duration::ZERO };
            let until = deadline.map_or(now + patience, |deadline| deadline.min(now + patience));
            self.phase = Phase::Refused(Refusal { response, why, body, until });
        }
        if let Phase::Refused(refusal) = &mut self.phase
            && !refusal.waits(&mut self.transport, now)
        {
            return Poll::Ready(Err(refusal.error(url, &self.request)));
        }
        Poll::Pending
    }

    pub(super) fn socket(&self) -> (BorrowedFd<'_>, Interest) {
        let write = matches!(self.phase, Phase::Sending(..));
        (self.transport.fd(), Interest { read: !write, write })
    }

    /// When [`Upgrade::step`] has something to do although the socket is silent.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Refused(refusal) => Some(refusal.until),
            Phase::Sending(..) | Phase::Reading(_) => None,
        }
    }

    pub(super) fn into_transport(self) -> Transport {
        self.transport
    }
}

/// The head of the server's answer, growing as it is read.
#[derive(Debug, Default)]
struct Head {
    input: Vec<u8>,
    reader: ResponseReader,
}

impl Head {
    /// The head, and the bytes that came behind it.
    fn step(&mut self, url: &Url, transport: &mut Transport) -> Poll<Result<(Response, Vec<u8>), Error>> {
        let failed = |why: &dyn std::fmt::Display| {
            Poll::Ready(Err(Error::handshake(format!("cannot connect to {url}: {why}"), None)))
        };
        loop {
            match receive(transport, &mut self.input) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return failed(&self.cut_short(url)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(lost(url, &error))),
                Poll::Pending => return Poll::Pending,
            }
            match self.reader.read(&mut self.input) {
                Ok(Some(response)) => return Poll::Ready(Ok((response, std::mem::take(&mut self.input)))),
                Ok(None) => {}
                Err(error) => return failed(&error),
            }
        }
    }

    /// What is said when the transport has ended here.
    fn cut_short(&self, url: &Url) -> &'static str {
        if !self.input.is_empty() {
            "the server dropped the connection inside its answer to the opening handshake"
        } else if url.is_secure() {
            "the server dropped the connection without an answer to the opening handshake; does it speak WebSocket on \
             this port?"
        } else {
            "the server dropped the connection without an answer to the opening handshake; does it speak WebSocket on \
             this port, or is it a TLS server that wants wss://?"
        }
    }
}

impl Refusal {
    /// Reads the start of the body; true while more of it is waited for. Whatever ends it early, what came is kept.
    fn waits(&mut self, transport: &mut Transport, now: Instant) -> bool {
        while !self.body.is_enough() && now < self.until {
            match receive(transport, self.body.input()) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false) | Err(_)) => return false,
                Poll::Pending => return true,
            }
        }
        false
    }

    fn error(&self, url: &Url, request: &Request) -> Error {
        let Self { response, why, body, .. } = self;
        let text = format!("cannot connect to {url}: {why}{}", hint(url, request, response));
        let answer = HttpAnswer {
            status: response.status,
            headers: response.headers.clone(),
            body: body.clone().into_bytes(),
        };
        Error::handshake(text, Some(answer))
    }
}
