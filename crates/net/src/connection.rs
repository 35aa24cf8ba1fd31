//! One connection, from connecting to closed: joins stream, wire client, inbox and outbox.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sunsocket_wire::{Headers, Message, MessageKind};

use crate::error::Error;
use crate::reactor::{Reactor, Waited};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// DNS, TCP, TLS or the opening handshake are under way.
    Connecting,
    /// Messages may be sent and received.
    Open,
    /// The closing handshake is under way.
    Closing,
    /// Nothing more will happen.
    Closed,
}

/// How a connection ended.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The close code: the peer's, ours where the peer sent none after a failure of its own, 1005 for a Close without
    /// code, 1006 for a lost connection (RFC 6455 7.1.5).
    pub code: u16,
    /// The close reason.
    pub reason: String,
    /// Whether the peer began the closing handshake.
    pub by_peer: bool,
    /// What ended the connection; `None` after a clean closing handshake.
    pub error: Option<Error>,
}

/// What the opening handshake settled.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The response's header lines.
    pub headers: Headers,
    /// Our end of the TCP connection.
    pub local_address: SocketAddr,
    /// The server's end of the TCP connection.
    pub remote_address: SocketAddr,
}

/// How full the write buffer is after a `send`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// At or below the high-water mark: go on.
    Plenty,
    /// Above it: wait for room before the next message (never inside a handler).
    Full,
}

/// One WebSocket connection. Every method may be called from any thread; none of them runs foreign code.
pub struct Connection {}

#[allow(unused_variables, clippy::todo)]
impl Connection {
    /// A number that no other connection of this process has.
    pub fn id(&self) -> u64 {
        todo!()
    }
    /// The reactor that this connection belongs to.
    pub fn reactor(&self) -> &Arc<Reactor> {
        todo!()
    }
    /// Keeps what the language knows about this connection, once. It is dropped by [`Connection::detach`].
    pub fn attach(&self, user: Arc<dyn Any + Send + Sync>) {
        todo!()
    }
    /// What [`Connection::attach`] keeps.
    pub fn user(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        todo!()
    }
    /// Lets go of what [`Connection::attach`] keeps.
    pub fn detach(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        todo!()
    }
    /// Where it stands.
    pub fn state(&self) -> State {
        todo!()
    }
    /// How it ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        todo!()
    }
    /// What the opening handshake settled, once it is over.
    pub fn handshake(&self) -> Option<Handshake> {
        todo!()
    }
    /// The last measured round trip of a ping.
    pub fn latency(&self) -> Option<Duration> {
        todo!()
    }

    // ---- receiving

    /// Says whether anybody listens for messages: then new ones make the connection ready.
    pub fn listen(&self, listening: bool) {
        todo!()
    }
    /// Says that somebody pulls messages: from now on a full hold pauses reading in place of dropping the oldest.
    pub fn pull(&self) {
        todo!()
    }
    /// Whether a message is held.
    pub fn has_message(&self) -> bool {
        todo!()
    }
    /// Takes the oldest message off the hold. `read` runs under the connection's lock: it must only copy.
    pub fn take<T>(&self, read: impl FnOnce(Message<'_>) -> T) -> Option<T> {
        todo!()
    }
    /// How many messages were dropped because nobody ever listened, since the last call (for one warning).
    pub fn take_dropped(&self) -> u64 {
        todo!()
    }

    // ---- what happened, each reported once; asked after the connection came out of Reactor::next_ready

    /// True once, when a `Reactor::connect` ended: either `state()` is Open, or `closed()` tells the failure.
    pub fn take_opened(&self) -> bool {
        todo!()
    }
    /// True once, when the connection has closed and no listener is owed a message any more: fire OnClose now.
    pub fn take_closed(&self) -> bool {
        todo!()
    }
    /// Whether [`Connection::take_closed`] has said so.
    pub fn close_was_reported(&self) -> bool {
        todo!()
    }
    /// True once after each `Room::Full`, when the unsent bytes fell to the low-water mark (or the connection closed).
    pub fn take_writable(&self) -> bool {
        todo!()
    }
    /// Makes the connection come out of `Reactor::next_ready` again and wakes the reactor's owner.
    pub fn request_delivery(self: &Arc<Self>) {
        todo!()
    }

    // ---- sending

    /// Queues one message and writes it when that is due. Never waits.
    ///
    /// # Errors
    /// `Closed` when the connection is not open.
    pub fn send(self: &Arc<Self>, kind: MessageKind, payload: &[u8]) -> Result<Room, Error> {
        todo!()
    }
    /// Bytes that the operating system has not taken yet.
    pub fn unsent(&self) -> usize {
        todo!()
    }
    /// Whether a sender should wait: true from above the high-water mark until at or below the low-water mark.
    pub fn is_full(&self) -> bool {
        todo!()
    }
    /// Writes out what is corked or queued as far as the operating system takes it now; true when nothing is left.
    pub fn flush(self: &Arc<Self>) -> bool {
        todo!()
    }
    /// Waits (the calling thread may turn the reactor) until there is room; see [`Reactor::wait`].
    pub fn wait_for_room(self: &Arc<Self>, until: Option<Instant>) -> Waited {
        todo!()
    }
    /// Sends a ping. The number it returns is what `pong_arrived` waits for. An empty payload is replaced by a unique one.
    ///
    /// # Errors
    /// `Closed`, or `InvalidArgument` for a payload of more than 125 bytes.
    pub fn ping(self: &Arc<Self>, payload: &[u8]) -> Result<u64, Error> {
        todo!()
    }
    /// The round trip of ping `number` (or of a later one, which answers for it), once its pong came. A connection with
    /// unanswered pings of the program becomes ready when a pong comes.
    pub fn pong_arrived(&self, number: u64) -> Option<Duration> {
        todo!()
    }
    /// Starts the closing handshake and returns; does nothing when it was started before. Discards messages that were not
    /// delivered yet.
    ///
    /// # Errors
    /// `InvalidArgument` for a code that may not be sent (RFC 6455 7.4) or a reason of more than 123 bytes.
    pub fn close(self: &Arc<Self>, code: u16, reason: &str) -> Result<(), Error> {
        todo!()
    }
    /// Drops TCP at once (close code 1006), or gives up connecting.
    pub fn abort(self: &Arc<Self>) {
        todo!()
    }
}
