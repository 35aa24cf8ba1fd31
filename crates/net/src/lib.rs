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
//! **The one principle.** What the outside has to do for a connection is derived from its state after every call, and never
//! asked for from inside. A call takes the lock of one half of the connection, runs the session, states what the session
//! wants in the connection's word and deadlines, lets the lock go, and has the reactor apply the difference:
//!
//! ```text
//! lock -> session -> word, deadlines -> unlock -> Reactor::apply: poller, timers, queues
//! ```
//!
//! **Who wakes whom.** An arrow means "ends the sleep of":
//!
//! ```text
//!   a sender, a taker,        +--- apply: a queue has a new member ---+
//!   whoever closes  ----------+                                        v
//!                             |    parked owner <-- unpark --      whoever sleeps in the poller
//!                             |                                    (owner, leader; a loop's own poll)
//!   the turner (after a turn) +--> followers: look again               ^
//!   a gathered message while the owner is busy --> guardian -----------+ (turns, or writes, in its place)
//! ```
//!
//! **Eight words.**
//! - *owner*: the thread or loop that a reactor belongs to for life, and whose handlers run: dispatcher, script, event loop.
//! - *turner*: whoever turns the reactor right now; there is one lock for that.
//! - *leader*: a waiting thread that turns in the owner's place; the other waiting threads are *followers*.
//! - *guardian*: the thread that turns when the owner is away for long.
//! - *hold*: messages that were read and that nobody has taken yet.
//! - *corked*: sent inside a handler, to be written at the end of the batch of handlers.
//! - *paced*: part of a stream of sends, to be written at intervals.
//! - *rest*: a connection without messages for a while, which gives back what it does not need.
//!
//! Read in this order: `options`, `session` (the state machine; begin with `session::word`), `connection` (its locks and its
//! handle), `reactor` (apply, then one turn), `drive` (who turns), `takers` (who gets a message), then `connect`, `io`, `sys`.
#![forbid(unsafe_code)]

mod connect;
mod connection;
mod drive;
mod entropy;
mod error;
mod fork;
mod handshake;
mod io;
mod options;
mod proxies;
mod reactor;
mod session;
mod sync;
mod sys;
mod takers;
mod tls;

pub use connection::receiving::Taken;
pub use connection::{Connection, Dispatch, Reactor};
pub use drive::guardian::BusyReport;
pub use drive::leader::Waited;
pub use error::{Error, ErrorKind, HttpAnswer};
pub use handshake::Handshake;
pub use options::{
    ConnectOptions, HeldLimit, Resolve, ResolveFunction, ResolveTable, TlsOptions, WriteLimit,
};
pub use proxies::{Proxies, ProxyEnvironment};
pub use reactor::Role;
pub use session::closing::Closed;
pub use session::send::Room;
pub use session::word::State;
pub use sunsocket_wire::{
    Credentials, DeflateAgreed, DeflateOffer, Headers, Message, MessageKind, ProxyUrl, Url, is_cookie,
};
pub use takers::{
    Asker, Firing, Glance, ListenerId, Listeners, Next, Outcome, Source, Straight, Takers, Ticket, Waiter,
    Which,
};
