//! From names and sockets to messages: everything between `sunsocket-wire`, which never does I/O, and the
//! languages, of which this crate knows nothing.
#![forbid(unsafe_code)]

mod connection;
mod error;
mod listeners;
mod options;
mod reactor;

pub use connection::{Closed, Connection, Handshake, Room, State};
pub use error::{Error, ErrorKind, HttpAnswer};
pub use listeners::{Firing, ListenerId, Listeners};
pub use options::{ConnectOptions, HeldLimit, Resolve, TlsOptions, WriteLimit};
pub use reactor::{BusyReport, Dispatch, Reactor, Role, Waited};
pub use sunsocket_wire::{Message, MessageKind};
