//! The sending half of a connection: messages, whole or in pieces, room for them, and pings.

use std::time::Duration;

use sunsocket_wire::MessageKind;

use super::{Connection, Room, State};
use crate::error::{Error, ErrorKind};
use crate::reactor::Waited;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Instant};

impl Connection {
    /// Queues one message and writes it when that is due. Never waits. `compress`: whether to, where permessage-deflate was
    /// agreed; `None` leaves that to the message's size.
    ///
    /// # Errors
    /// `Closed` when the connection is not open.
    pub fn send(
        self: &Arc<Self>,
        kind: MessageKind,
        payload: &[u8],
        compress: Option<bool>,
    ) -> Result<Room, Error> {
        let Some(mut link) = self.link() else { return Err(self.not_open()) };
        if self.state() != State::Open {
            drop(link);
            return Err(self.not_open());
        }
        Ok(link.send(self, kind, payload, compress))
    }

    /// Begins a message that is sent in pieces (RFC 6455 5.4). What others send meanwhile leaves behind it. False: another
    /// one is under way; ask again when [`Connection::is_sending_pieces`] says no more.
    ///
    /// # Errors
    /// `Closed` when the connection is not open.
    pub fn begin_pieces(self: &Arc<Self>, kind: MessageKind, compress: Option<bool>) -> Result<bool, Error> {
        let Some(mut link) = self.link() else { return Err(self.not_open()) };
        if self.state() != State::Open {
            drop(link);
            return Err(self.not_open());
        }
        Ok(link.begin_pieces(self, kind, compress))
    }

    /// Sends the next piece of the message that was begun; `last` ends it.
    ///
    /// # Errors
    /// `Closed` when the connection is not open any more.
    pub fn send_piece(self: &Arc<Self>, piece: &[u8], last: bool) -> Result<Room, Error> {
        let Some(mut link) = self.link() else { return Err(self.not_open()) };
        if self.state() != State::Open {
            drop(link);
            return Err(self.not_open());
        }
        Ok(link.send_piece(self, piece, last))
    }

    /// Whether a message is being sent in pieces.
    pub fn is_sending_pieces(&self) -> bool {
        self.sending_pieces.load(Ordering::SeqCst)
    }

    /// Bytes that the operating system has not taken yet.
    pub fn unsent(&self) -> usize {
        self.link().map_or(0, |link| link.unsent())
    }

    /// Whether a sender should wait: true from above the high-water mark until at or below the low-water mark.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// To be called by a sender that got [`Room::Full`] and now waits until there is room. As long as one does not,
    /// nothing more is read: its answers would pile up.
    pub fn sender_waits(self: &Arc<Self>) {
        if let Some(mut link) = self.link() {
            link.sender_waits(self);
        }
    }

    /// Writes out what is corked or queued as far as the operating system takes it now; true when nothing is left.
    pub fn flush(self: &Arc<Self>) -> bool {
        let Some(mut link) = self.link() else { return true };
        link.write_out(self);
        link.unsent() == 0
    }

    /// Waits (the calling thread may turn the reactor) until there is room; see [`Reactor::wait`].
    pub fn wait_for_room(self: &Arc<Self>, until: Option<Instant>) -> Waited {
        self.reactor.wait(until, &mut || !self.is_full())
    }

    /// Sends a ping. The number it returns is what `pong_arrived` waits for. An empty payload is replaced by a unique one.
    ///
    /// # Errors
    /// `Closed`, or `InvalidArgument` for a payload of more than 125 bytes (RFC 6455 5.5).
    pub fn ping(self: &Arc<Self>, payload: &[u8]) -> Result<u64, Error> {
        if payload.len() > 125 {
            let text = format!("cannot ping with {} bytes: a ping carries 125 at the most", payload.len());
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        let Some(mut link) = self.link() else { return Err(self.not_open()) };
        if self.state() != State::Open {
            drop(link);
            return Err(self.not_open());
        }
        Ok(link.ping(self, payload))
    }

    /// The round trip of ping `number` (or of a later one, which answers for it), once its pong came.
    pub fn pong_arrived(&self, number: u64) -> Option<Duration> {
        self.link()?.keep_alive.round_trip(number)
    }
}
