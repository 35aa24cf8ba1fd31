//! From options to an open connection, in order: `resolve` the host's addresses, `dial` them, ask a proxy for a `tunnel`
//! if there is one, `secure` it with TLS, `upgrade` it to a WebSocket; and once more, on a new socket, where the server sends us elsewhere (`redirect`).
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
mod exchange;
mod hint;
mod hop;
mod names;
mod opened;
mod pool;
mod prepared;
mod redirect;
mod resolve;
mod secure;
#[cfg(test)]
mod tests;
mod tunnel;
mod upgrade;
mod watched;

pub(crate) use self::attempt::Attempt;
pub(crate) use self::blocking::connect;
pub(crate) use self::names::after_fork_in_child;
pub(crate) use self::opened::Connected;
pub(crate) use self::prepared::{Prepared, prepare};
pub(crate) use self::watched::Watched;
