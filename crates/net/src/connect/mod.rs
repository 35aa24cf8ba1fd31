//! From options to an open connection, in order: `resolve` the host's addresses, `dial` them, TLS, `upgrade` to
//! WebSocket.
//!
//! Connecting is straight code on a thread that may wait (the caller's own, or a short-lived one), never on the
//! reactor's: it happens once in a connection's life, and its steps depend on one another. Every wait goes through
//! [`Patience`], which knows the one deadline that covers all steps, and who may give up.

mod body;
mod dial;
mod patience;
mod resolve;
#[cfg(test)]
mod tests;
mod upgrade;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use rustix::event::PollFlags;
use sunsocket_wire::{Request, Url};

pub(crate) use self::patience::Cancel;
use self::patience::Patience;
use crate::connection::Handshake;
use crate::entropy;
use crate::error::{Error, ErrorKind};
use crate::options::ConnectOptions;
use crate::stream::{Socket, Stream};
use crate::tls::{self, Tls};

/// What a connection begins with.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) stream: Stream,
    pub(crate) handshake: Handshake,
    /// Bytes that came with the server's answer: the first frames, perhaps.
    pub(crate) leftover: Vec<u8>,
}

/// What could be checked before anything is sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    tls: Option<Tls>,
}

/// Checks headers, names and files.
///
/// # Errors
/// `InvalidArgument`, or `Tls` for a certificate or key that cannot be read.
pub(crate) fn prepare(options: &ConnectOptions) -> Result<Prepared, Error> {
    request(options, [0; 16])?;
    let tls = options.url.is_secure().then(|| Tls::new(&options.tls, options.url.host())).transpose()?;
    Ok(Prepared { tls })
}

fn request(options: &ConnectOptions, nonce: [u8; 16]) -> Result<Request, Error> {
    let build = || {
        let mut request = Request::new(&options.url, nonce)
            .deflate(options.compression)
            .subprotocols(&options.subprotocols)?;
        if let Some(origin) = &options.origin {
            request = request.header("Origin", origin)?;
        }
        let own_agent = options.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("User-Agent"));
        if let Some(agent) = options.user_agent.as_ref().filter(|_| !own_agent) {
            request = request.header("User-Agent", agent)?;
        }
        for (name, value) in &options.headers {
            request = request.header(name, value)?;
        }
        Ok(request)
    };
    build().map_err(|error: sunsocket_wire::InvalidRequest| {
        let text = format!("cannot connect to {}: {error}", options.url);
        Error::new(ErrorKind::InvalidArgument, text)
    })
}

/// Runs `connecting` on a thread of its own.
///
/// # Errors
/// `Connect`, when the operating system has no thread left.
pub(crate) fn spawn(connecting: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let builder = thread::Builder::new().name("sunsocket-connect".to_owned()).stack_size(1 << 20);
    match builder.spawn(connecting) {
        Ok(_detached) => Ok(()),
        Err(error) => {
            Err(Error::new(ErrorKind::Connect, format!("cannot start a thread to connect on: {error}")))
        }
    }
}

/// Connects on the calling thread. `interrupted` is asked at least every 100 ms, and after each signal.
///
/// # Errors
/// What failed, by kind; `ConnectTimeout` after `open_timeout`, `Cancelled` when somebody gave up.
pub(crate) fn connect(
    prepared: &Prepared,
    options: &ConnectOptions,
    cancel: &Cancel,
    interrupted: &mut dyn FnMut() -> bool,
) -> Result<Connected, Error> {
    let url = &options.url;
    let mut patience = Patience::new(url, options.open_timeout, cancel, interrupted);
    patience.step("looking up its address");
    let addresses = resolve::resolve(url, options.resolve.as_ref(), &mut patience)?;
    patience.step("connecting over TCP");
    let (socket, remote) = dial::dial(url, &addresses, &mut patience)?;
    let local = dial::local_address(&socket).map_err(|error| lost(url, &error))?;
    let mut stream = match &prepared.tls {
        None => Stream::Tcp(socket),
        Some(tls) => {
            patience.step("setting up TLS");
            secure(url, socket, tls, &mut patience)?
        }
    };
    patience.step("waiting for the answer to the opening handshake");
    let request = request(options, entropy::nonce())?;
    let (accepted, headers, leftover) = upgrade::upgrade(url, &request, &mut stream, &mut patience)?;
    Ok(Connected { stream, handshake: handshake(accepted, headers, local, remote), leftover })
}

fn handshake(
    accepted: sunsocket_wire::Accepted,
    headers: sunsocket_wire::Headers,
    local_address: SocketAddr,
    remote_address: SocketAddr,
) -> Handshake {
    let sunsocket_wire::Accepted { subprotocol, deflate } = accepted;
    Handshake { subprotocol, compression: deflate, headers, local_address, remote_address }
}

/// TCP or TLS failed under us.
fn lost(url: &Url, error: &io::Error) -> Error {
    if let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::explain(url, problem);
    }
    Error::new(ErrorKind::Connect, format!("cannot connect to {url}: the connection was lost ({error})"))
}

/// The TLS handshake.
fn secure(url: &Url, socket: OwnedFd, tls: &Tls, patience: &mut Patience<'_>) -> Result<Stream, Error> {
    let mut session = tls.session()?;
    while session.is_handshaking() || session.wants_write() {
        let mut face = Socket(socket.as_fd());
        let moved = if session.wants_write() {
            session.write_tls(&mut face).map(|_| ())
        } else {
            match session.read_tls(&mut face) {
                Ok(0) => {
                    let text = format!(
                        "cannot connect to {url}: the server dropped TCP during the TLS handshake; does it speak \
                         TLS on this port? If it is a plain server, use ws:// in place of wss://"
                    );
                    return Err(Error::new(ErrorKind::Tls, text));
                }
                Ok(_) => {
                    if let Err(error) = session.process_new_packets() {
                        // The alert that tells the server why.
                        let _ = session.write_tls(&mut face);
                        return Err(tls::explain(url, &error));
                    }
                    Ok(())
                }
                Err(error) => Err(error),
            }
        };
        match moved {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let flags = if session.wants_write() { PollFlags::OUT } else { PollFlags::IN };
                patience.wait(&[(socket.as_fd(), flags)], None)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let text = format!(
                    "cannot connect to {url}: the connection was lost during the TLS handshake ({error})"
                );
                return Err(Error::new(ErrorKind::Tls, text));
            }
        }
    }
    Ok(Stream::tls(socket, session))
}
