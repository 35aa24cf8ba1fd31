//! The opening handshake over an open stream (RFC 6455 4.1): send the request, read the answer.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use sunsocket_wire::{Accepted, HandshakeError, Headers, Limits, Request, Response, Url};

use super::patience::Patience;
use crate::error::{Error, ErrorKind, HttpAnswer};
use crate::stream::Stream;

/// How much of a refusal's body is kept, and how long it is waited for.
const BODY: usize = 4096;
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// Sends the request and checks the answer; the bytes after the answer's head come back with it.
///
/// # Errors
/// `Handshake`; `Connect` when the connection is lost; what [`Patience`] ends with.
pub(super) fn upgrade(
    url: &Url,
    request: &Request,
    stream: &mut Stream,
    patience: &mut Patience<'_>,
) -> Result<(Accepted, Headers, Vec<u8>), Error> {
    send(url, &request.encode(), stream, patience)?;
    let limits = Limits::default();
    let mut input = Vec::new();
    let (response, size) = loop {
        match Response::parse(&input, &limits) {
            Ok(Some(parsed)) => break parsed,
            Ok(None) => {}
            Err(error) => return Err(Error::handshake(format!("cannot connect to {url}: {error}"), None)),
        }
        if !receive(url, stream, &mut input, None, patience)? {
            let text = if input.is_empty() {
                "the server dropped the connection without an answer to the opening handshake; does it speak \
                 WebSocket on this port?"
            } else {
                "the server dropped the connection inside its answer to the opening handshake"
            };
            return Err(Error::handshake(format!("cannot connect to {url}: {text}"), None));
        }
    };
    match request.verify(&response) {
        Ok(accepted) => {
            let leftover = input.split_off(size);
            Ok((accepted, response.headers, leftover))
        }
        Err(error) => {
            let body = input.split_off(size);
            let body = if matches!(error, HandshakeError::Status(..)) {
                rest_of_body(url, stream, &response, body, patience)
            } else {
                body
            };
            let text = format!("cannot connect to {url}: {error}{}", hint(&response));
            let Response { status, headers, .. } = response;
            Err(Error::handshake(text, Some(HttpAnswer { status, headers, body })))
        }
    }
}

fn hint(response: &Response) -> String {
    match response.status {
        301 | 302 | 303 | 307 | 308 => match response.headers.get("Location") {
            Some(location) => format!("; it redirects to {location:?}: connect there"),
            None => String::new(),
        },
        401 | 403 => "; does it want credentials, an Origin or a cookie?".to_owned(),
        404 => "; check the path of the URL".to_owned(),
        200 | 426 => "; is there a WebSocket at this path?".to_owned(),
        _ => String::new(),
    }
}

fn send(url: &Url, mut bytes: &[u8], stream: &mut Stream, patience: &mut Patience<'_>) -> Result<(), Error> {
    while !bytes.is_empty() || stream.wants_write() {
        let written = if bytes.is_empty() { stream.flush().map(|_| 0) } else { stream.write(bytes) };
        match written {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(super::lost(url, &error)),
        }
        if !bytes.is_empty() || stream.wants_write() {
            patience.wait(&[(stream.fd(), PollFlags::OUT)], None)?;
        }
    }
    Ok(())
}

/// Reads what there is to the end of `input`; false at the end of the stream, and when `until` has come.
fn receive(
    url: &Url,
    stream: &mut Stream,
    input: &mut Vec<u8>,
    until: Option<Instant>,
    patience: &mut Patience<'_>,
) -> Result<bool, Error> {
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece) {
            Ok(count) => {
                input.extend_from_slice(&piece[..count]);
                return Ok(count > 0);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !patience.wait(&[(stream.fd(), PollFlags::IN)], until)? {
                    return Ok(false);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => {
                let text = format!(
                    "cannot connect to {url}: the connection was lost before an answer came ({error})"
                );
                return Err(Error::new(ErrorKind::Connect, text));
            }
        }
    }
}

/// The start of a refusal's body, for the error to show. Whatever ends it early, what came is kept.
fn rest_of_body(
    url: &Url,
    stream: &mut Stream,
    response: &Response,
    mut body: Vec<u8>,
    patience: &mut Patience<'_>,
) -> Vec<u8> {
    let announced = response.headers.get("Content-Length").and_then(|text| text.trim().parse::<usize>().ok());
    let wanted = announced.map_or(BODY, |announced| announced.min(BODY));
    let until = Instant::now() + BODY_PATIENCE;
    while body.len() < wanted && receive(url, stream, &mut body, Some(until), patience).unwrap_or(false) {}
    body.truncate(wanted);
    body
}
