//! From names and sockets to messages: everything between `sunsocket-wire`, which never does I/O, and the
//! languages, of which this crate knows nothing.
//!
//! A [`Reactor`] turns; a [`Connection`] goes from connecting to closed:
//!
//! ```text
//!            connect/*: DNS, TCP, TLS, upgrade          closing handshake           TCP gone
//! Connecting ---------------------------------> Open -----------------> Closing ---------> Closed
//!      \________________________________________________________________________________/
//!                     failed, aborted, lost, the server broke the protocol
//! ```
//!
//! Read in this order: `options`, `connection` (the handle), `link` (what moves behind it), `reactor` (one turn),
//! `leader` (whose turn), `guardian` (who turns while the owner is away), then the small parts.
#![forbid(unsafe_code)]

mod closing;
mod connect;
mod connection;
mod entropy;
mod error;
mod fork;
mod guardian;
mod inbox;
mod io;
mod keepalive;
mod leader;
mod link;
mod looking;
mod options;
mod outbox;
mod poller;
mod reactor;
mod spares;
mod spin;
mod sync;
mod sys;
mod takers;
mod timers;
mod tls;

pub use connection::{Closed, Connection, Handshake, Room, State};
pub use error::{Error, ErrorKind, HttpAnswer};
pub use options::{
    ConnectOptions, HeldLimit, Resolve, ResolveFunction, ResolveTable, TlsOptions, WriteLimit,
};
pub use reactor::{BusyReport, Dispatch, Reactor, Role, Waited};
pub use sunsocket_wire::{Credentials, DeflateAgreed, DeflateOffer, Headers, Message, MessageKind, Url};
pub use takers::{
    Asker, Firing, Glance, ListenerId, Listeners, Next, Outcome, Source, Straight, Takers, Ticket, Waiter,
    Which,
};
