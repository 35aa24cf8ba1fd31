//! From options to an open connection, in order: `resolve` the host's addresses, `dial` them, `secure` them with TLS,
//! `upgrade` it to a WebSocket; and once more, on a new socket, where the server sends us elsewhere (`redirect`).
//!
//! [`Attempt`] joins these steps into one state machine that never waits. It knows neither clock nor thread: who drives
//! it tells it the time and waits in its place. [`connect`] does so on the calling thread (`blocking`). One deadline
//! covers all steps (`deadline`); what only another thread can say is asked for (`asking`, `names`), on a `pool` of threads.

mod asking;
mod attempt;
mod blocking;
mod body;
mod deadline;
mod dial;
mod hint;
mod names;
mod pool;
mod redirect;
mod resolve;
mod secure;
#[cfg(test)]
mod tests;
mod upgrade;
mod watched;

use std::io;
use std::sync::Arc;

use sunsocket_wire::Url;

pub(crate) use self::attempt::Attempt;
pub(crate) use self::blocking::connect;
pub(crate) use self::names::after_fork_in_child;
use self::redirect::Route;
pub(crate) use self::watched::Watched;
use crate::error::{Error, ErrorKind, in_words};
use crate::handshake::Handshake;
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

impl ConnectOptions {
    /// Whether everything can be used that can be checked before anything is sent; connecting asks this too.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Tls` for a certificate or key that cannot be used.
    pub fn check(&self) -> Result<(), Error> {
        prepare(&Arc::new(self.clone())).map(drop)
    }
}

/// Checks headers, names and files.
///
/// # Errors
/// `InvalidArgument`, or `Tls` for a certificate or key that cannot be read.
pub(crate) fn prepare(options: &Arc<ConnectOptions>) -> Result<Prepared, Error> {
    for (name, option, is_given) in [
        ("Authorization", "auth", options.auth.is_some()),
        ("Cookie", "cookies", !options.cookies.is_empty()),
        ("Origin", "origin", options.origin.is_some()),
    ] {
        if is_given && options.has_header(name) {
            let text = format!("the option {option} and a header {name} say the same: give one of them");
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
    }
    Route::new(Arc::clone(options)).request([0; 16])?;
    let tls = options.url.is_secure().then(|| Tls::new(&options.tls, options.url.host())).transpose()?;
    Ok(Prepared { tls })
}

/// TCP or TLS failed under us.
fn lost(url: &Url, error: &io::Error) -> Error {
    if let Some(problem) = error.get_ref().and_then(|inner| inner.downcast_ref::<tls::Problem>()) {
        return tls::explain(url, problem);
    }
    Error::new(
        ErrorKind::Connect,
        format!("cannot connect to {url}: the connection was lost ({})", in_words(error)),
    )
}
