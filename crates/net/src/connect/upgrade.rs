//! The opening handshake over an open stream (RFC 6455 4.1): send the request, read the answer.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use sunsocket_wire::{Accepted, HandshakeError, Headers, Limits, Request, Response, Url};

use super::body::Body;
use super::hint::hint;
use super::patience::Patience;
use super::redirect::Route;
use crate::error::{Error, ErrorKind, HttpAnswer};
use crate::io::Transport;

/// How long a refusal's body is waited for.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// How the server answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is a WebSocket: what was agreed, the response's header lines, and the bytes that came behind them.
    Accepted(Accepted, Headers, Vec<u8>),
    /// It sends us on. The response's body is not waited for.
    Elsewhere(Response),
}

/// Sends the request and checks the answer.
///
/// # Errors
/// `Handshake`; `Connect` when the connection is lost; `Tls` when that is how the server refused us; what [`Patience`]
/// ends with.
pub(super) fn upgrade(
    route: &Route<'_>,
    request: &Request,
    transport: &mut Transport,
    patience: &mut Patience<'_>,
) -> Result<Answer, Error> {
    let url = route.url();
    let sent = send(url, &request.encode(), transport, patience);
    if let Err(error) = &sent
        && matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::ConnectTimeout)
    {
        return Err(error.clone());
    }
    // Where sending failed otherwise, the server refused before it had read everything: its answer says more than that.
    let (response, input) = answer(url, transport, patience)?;
    if route.leads_on(&response) {
        return Ok(Answer::Elsewhere(response));
    }
    match request.verify(&response) {
        Ok(accepted) => Ok(Answer::Accepted(accepted, response.headers, input)),
        Err(error) => {
            let mut body = Body::new(&response, input);
            if matches!(error, HandshakeError::Status(..)) {
                let until = Instant::now() + BODY_PATIENCE;
                wait_for_body(url, transport, &mut body, until, patience)?;
            }
            let text = format!("cannot connect to {url}: {error}{}", hint(url, request, &response));
            let Response { status, headers, .. } = response;
            Err(Error::handshake(text, Some(HttpAnswer { status, headers, body: body.into_bytes() })))
        }
    }
}

/// The server's answer, and the bytes that came behind its head.
fn answer(
    url: &Url,
    transport: &mut Transport,
    patience: &mut Patience<'_>,
) -> Result<(Response, Vec<u8>), Error> {
    let mut limits = Limits::default();
    let mut input = Vec::new();
    // A head is parsed when it may be complete, or else when twice as much is there as the last time: a server that
    // sends it byte by byte does not make us read it as often.
    let mut next_look = 0;
    loop {
        let before = input.len();
        if !receive(url, transport, &mut input, None, patience)? {
            let text = if input.is_empty() {
                if url.is_secure() {
                    "the server dropped the connection without an answer to the opening handshake; does it speak \
                     WebSocket on this port?"
                } else {
                    "the server dropped the connection without an answer to the opening handshake; does it speak \
                     WebSocket on this port, or is it a TLS server that wants wss://?"
                }
            } else {
                "the server dropped the connection inside its answer to the opening handshake"
            };
            return Err(Error::handshake(format!("cannot connect to {url}: {text}"), None));
        }
        while has_empty_line(&input, before) || input.len() >= next_look {
            next_look = input.len().saturating_mul(2).min(limits.max_head_size + 1).max(input.len() + 1);
            match Response::parse(&input, &limits) {
                Ok(None) => break,
                // Not the final answer (RFC 9110 15.2). All heads together have to keep to the limit.
                Ok(Some((Response { status: 100 | 102..200, .. }, size))) => {
                    limits.max_head_size = limits.max_head_size.saturating_sub(size);
                    input.drain(..size);
                    next_look = 0;
                    if input.is_empty() {
                        break;
                    }
                }
                Ok(Some((response, size))) => {
                    let behind = input.split_off(size);
                    return Ok((response, behind));
                }
                Err(error) => {
                    return Err(Error::handshake(format!("cannot connect to {url}: {error}"), None));
                }
            }
        }
    }
}

/// Whether the bytes from `before` on may bring the end of a head.
fn has_empty_line(input: &[u8], before: usize) -> bool {
    let new = &input[before.saturating_sub(3).min(input.len())..];
    new.windows(2).any(|pair| pair == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
}

fn send(
    url: &Url,
    mut bytes: &[u8],
    transport: &mut Transport,
    patience: &mut Patience<'_>,
) -> Result<(), Error> {
    while !bytes.is_empty() || transport.writer.wants_write() {
        let written = if bytes.is_empty() {
            transport.writer.flush().map(|_| 0)
        } else {
            transport.writer.write(bytes)
        };
        match written {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(super::lost(url, &error)),
        }
        if !bytes.is_empty() || transport.writer.wants_write() {
            patience.wait(&[(transport.fd(), PollFlags::OUT)], None)?;
        }
    }
    Ok(())
}

/// Reads what there is to the end of `input`; false at the end of the transport, and when `until` has come.
fn receive(
    url: &Url,
    transport: &mut Transport,
    input: &mut Vec<u8>,
    until: Option<Instant>,
    patience: &mut Patience<'_>,
) -> Result<bool, Error> {
    let mut piece = [0; 4096];
    loop {
        match transport.reader.read(&mut piece) {
            Ok(count) => {
                input.extend_from_slice(&piece[..count]);
                return Ok(count > 0);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !patience.wait(&[(transport.fd(), PollFlags::IN)], until)? {
                    return Ok(false);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(super::lost(url, &error)),
        }
    }
}

/// Reads the start of a refusal's body. Whatever ends it early, what came is kept; only the program's own wish to stop
/// comes before the refusal.
fn wait_for_body(
    url: &Url,
    transport: &mut Transport,
    body: &mut Body,
    until: Instant,
    patience: &mut Patience<'_>,
) -> Result<(), Error> {
    while !body.is_enough() && Instant::now() < until {
        match receive(url, transport, body.input(), Some(until), patience) {
            Ok(true) => {}
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Ok(false) | Err(_) => break,
        }
    }
    Ok(())
}
