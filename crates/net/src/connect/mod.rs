//! From options to an open connection, in order: `resolve` the host's addresses, `dial` them, TLS, `upgrade` to
//! WebSocket; and once more, on a new socket, where the server sends us elsewhere (`redirect`).
//!
//! Connecting is straight code on a thread that may wait (the caller's own, or a short-lived one), never on the
//! reactor's: it happens once in a connection's life, and its steps depend on one another. Every wait goes through
//! [`Patience`], which knows the one deadline that covers all steps, and who may give up.

mod body;
mod dial;
mod hint;
mod patience;
mod redirect;
mod resolve;
#[cfg(test)]
mod tests;
mod upgrade;

use std::io;
use std::thread;

use rustix::event::PollFlags;
use sunsocket_wire::Url;

pub(crate) use self::patience::Cancel;
use self::patience::Patience;
use self::redirect::Route;
use self::upgrade::Answer;
use crate::connection::Handshake;
use crate::entropy;
use crate::error::{Error, ErrorKind};
use crate::io::Transport;
use crate::options::ConnectOptions;
use crate::tls::{self, Tls};

/// What a connection begins with.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) transport: Transport,
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
    for (name, option, is_given) in [
        ("Authorization", "auth", options.auth.is_some()),
        ("Cookie", "cookies", !options.cookies.is_empty()),
    ] {
        if is_given && options.has_header(name) {
            let text = format!("the option {option} and a header {name} say the same: give one of them");
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
    }
    Route::new(options).request([0; 16])?;
    let tls = options.url.is_secure().then(|| Tls::new(&options.tls, options.url.host())).transpose()?;
    Ok(Prepared { tls })
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
    let mut patience = Patience::new(&options.url, options.open_timeout, cancel, interrupted);
    let mut route = Route::new(options);
    loop {
        match open(prepared, options, &route, &mut patience) {
            Ok(Step::Open(mut connected)) => {
                route.store_cookies(&connected.handshake.headers);
                let (redirects, cookies) = route.end();
                connected.handshake.redirects = redirects;
                connected.handshake.cookies = cookies;
                return Ok(*connected);
            }
            Ok(Step::Elsewhere(response)) => {
                route.follow(response).map_err(|error| route.explain(&error))?;
                patience.goes_on_to(route.url());
            }
            Err(error) => return Err(route.explain(&error)),
        }
    }
}

/// What came of one address.
enum Step {
    Open(Box<Connected>),
    /// The socket is dropped, with whatever the server still had to say.
    Elsewhere(sunsocket_wire::Response),
}

/// Asks at the address where `route` stands.
fn open(
    prepared: &Prepared,
    options: &ConnectOptions,
    route: &Route<'_>,
    patience: &mut Patience<'_>,
) -> Result<Step, Error> {
    let url = route.url();
    patience.step("looking up its address");
    let addresses = resolve::resolve(url, options.resolve.as_ref(), patience)?;
    patience.step("connecting over TCP");
    let (socket, remote_address) = dial::dial(url, &addresses, patience)?;
    let local_address = dial::local_address(&socket).map_err(|error| lost(url, &error))?;
    let mut transport = if url.is_secure() {
        patience.step("setting up TLS");
        match &prepared.tls {
            Some(tls) if route.is_first() => secure(url, Transport::tcp(socket), tls, patience)?,
            _ => secure(url, Transport::tcp(socket), &Tls::new(&route.tls(), url.host())?, patience)?,
        }
    } else {
        Transport::tcp(socket)
    };
    patience.step("waiting for the answer to the opening handshake");
    let request = route.request(entropy::nonce())?;
    match upgrade::upgrade(route, &request, &mut transport, patience)? {
        Answer::Elsewhere(response) => Ok(Step::Elsewhere(response)),
        Answer::Accepted(sunsocket_wire::Accepted { subprotocol, deflate }, headers, leftover) => {
            let handshake = Handshake {
                url: url.clone(),
                redirects: Vec::new(),
                cookies: Vec::new(),
                subprotocol,
                compression: deflate,
                headers,
                local_address,
                remote_address,
            };
            Ok(Step::Open(Box::new(Connected { transport, handshake, leftover })))
        }
    }
}

/// TCP or TLS failed under us.
fn lost(url: &Url, error: &io::Error) -> Error {
    if let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::explain(url, problem);
    }
    Error::new(ErrorKind::Connect, format!("cannot connect to {url}: the connection was lost ({error})"))
}

/// The TLS handshake over `inner`.
fn secure(url: &Url, inner: Transport, tls: &Tls, patience: &mut Patience<'_>) -> Result<Transport, Error> {
    let mut transport = Transport::tls(inner, tls.session()?);
    loop {
        match transport.handshake() {
            Ok(true) => return Ok(transport),
            Ok(false) => {
                let flags = if transport.writer.wants_write() { PollFlags::OUT } else { PollFlags::IN };
                patience.wait(&[(transport.fd(), flags)], None)?;
            }
            Err(error) => return Err(handshake_failed(url, &error)),
        }
    }
}

fn handshake_failed(url: &Url, error: &io::Error) -> Error {
    if let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::explain(url, problem);
    }
    let what = if error.kind() == io::ErrorKind::UnexpectedEof {
        "the server dropped TCP during the TLS handshake; does it speak TLS on this port? If it is a plain server, use \
         ws:// in place of wss://"
            .to_owned()
    } else {
        format!("the connection was lost during the TLS handshake ({error})")
    };
    Error::new(ErrorKind::Tls, format!("cannot connect to {url}: {what}"))
}
