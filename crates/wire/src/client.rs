//! Both directions of one connection together, for whoever drives it from one thread: tests, fuzzers, small programs.
//!
//! It joins a [`Receiver`], a [`Sender`] and a [`Deflater`] and passes on what the first owes to the second. A driver that
//! reads in one thread and sends in another holds the three apart, each behind a lock of its own.

use std::fmt;

use crate::deflate::{DeflateAgreed, Deflater};
use crate::error::Violation;
use crate::event::{Event, MessageKind, Piece};
use crate::limits::Limits;
use crate::receiver::{ReadTarget, Receiver};
use crate::sender::{Sender, State};

/// The framing of one connection, after its opening handshake.
///
/// The order of calls: every byte that arrives goes to [`Client::receive`] or to the place that [`Client::read_target`]
/// names, as the type [`Receiver`] has it; then [`Client::transmit`] appends the answers that are owed to the server.
/// [`Client::send`], [`Client::send_piece`], [`Client::ping`], [`Client::close`] and [`Client::fail`] append one frame each,
/// at any time.
pub struct Client {
    receiver: Receiver,
    sender: Sender,
    /// Where permessage-deflate was agreed.
    deflater: Option<Box<Deflater>>,
    /// Whether the message that is being sent in pieces is compressed.
    compresses_pieces: bool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("receiver", &self.receiver)
            .field("sender", &self.sender)
            .field("deflater", &self.deflater)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A connection whose opening handshake is over, with what it agreed about compression.
    pub fn new(limits: Limits, deflate: Option<DeflateAgreed>) -> Self {
        Self {
            receiver: Receiver::new(limits, deflate),
            sender: Sender::new(),
            deflater: deflate.map(|agreed| Box::new(Deflater::new(agreed))),
            compresses_pieces: false,
        }
    }

    /// How far the closing handshake is.
    pub fn state(&self) -> State {
        self.sender.state()
    }

    // ---- receiving

    /// As [`Receiver::receive`].
    ///
    /// # Errors
    /// What the server did wrong: give it to [`Client::fail`].
    pub fn receive<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        let event = self.receiver.receive(input)?;
        match &event {
            Some(Event::Ping(payload)) => self.sender.owe_pong(payload.clone()),
            Some(Event::Close(frame)) => self.sender.owe_close(frame.code),
            _ => {}
        }
        Ok(event)
    }

    /// As [`Receiver::receive_small`].
    #[inline]
    pub fn receive_small<'a>(&mut self, input: &mut &'a [u8]) -> Option<(MessageKind, bool, &'a [u8])> {
        self.receiver.receive_small(input)
    }

    /// As [`Receiver::read_target`].
    pub fn read_target(&mut self) -> Option<ReadTarget<'_>> {
        self.receiver.read_target()
    }

    /// As [`Receiver::filled`].
    ///
    /// # Errors
    /// As [`Client::receive`].
    pub fn filled(&mut self, count: usize) -> Result<Option<Event<'static>>, Violation> {
        self.receiver.filled(count)
    }

    /// As [`Receiver::lend`].
    pub fn lend(&mut self, buffer: Vec<u8>) {
        self.receiver.lend(buffer);
    }

    /// As [`Receiver::take_back`].
    pub fn take_back(&mut self) -> Vec<u8> {
        self.receiver.take_back()
    }

    /// As [`Receiver::partial_len`].
    pub fn partial_len(&self) -> usize {
        self.receiver.partial_len()
    }

    /// As [`Receiver::report_pieces`].
    pub fn report_pieces(&mut self, pieces: bool) {
        self.receiver.report_pieces(pieces);
    }

    /// As [`Receiver::take_piece`].
    pub fn take_piece(&mut self) -> Option<Piece> {
        self.receiver.take_piece()
    }

    // ---- sending

    /// Appends one message as one frame. False, and nothing appended, when the closing handshake has begun or a message is
    /// being sent in pieces. `compress`: whether to; `None` leaves that to its size. Without an agreement it goes as it is.
    pub fn send(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        compress: Option<bool>,
        key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> bool {
        match &mut self.deflater {
            Some(deflater) if self.sender.takes_message() && Deflater::takes(payload.len(), compress) => {
                let compressed = deflater.message(payload);
                let sent = self.sender.send(kind, &compressed, true, key, out);
                compressed.sent();
                sent
            }
            _ => self.sender.send(kind, payload, false, key, out),
        }
    }

    /// Appends the next piece of a message as a frame of its own (5.4); `last` ends the message. `kind` and `compress` are
    /// those of the first. Text may be cut anywhere. False, and nothing appended, when the closing handshake has begun.
    pub fn send_piece(
        &mut self,
        kind: MessageKind,
        piece: &[u8],
        last: bool,
        compress: Option<bool>,
        key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> bool {
        if !self.sender.is_sending_pieces() {
            self.compresses_pieces = Deflater::takes(piece.len(), compress);
        }
        match &mut self.deflater {
            Some(deflater) if self.compresses_pieces && self.sender.state() == State::Open => {
                let compressed = deflater.piece(piece, last);
                let sent = self.sender.send_piece(kind, &compressed, last, true, key, out);
                compressed.sent();
                sent
            }
            _ => self.sender.send_piece(kind, piece, last, false, key, out),
        }
    }

    /// As [`Sender::is_sending_pieces`].
    pub fn is_sending_pieces(&self) -> bool {
        self.sender.is_sending_pieces()
    }

    /// As [`Sender::ping`].
    pub fn ping(&mut self, payload: &[u8], key: [u8; 4], out: &mut Vec<u8>) -> bool {
        self.sender.ping(payload, key, out)
    }

    /// As [`Sender::close`].
    pub fn close(&mut self, code: u16, reason: &str, key: [u8; 4], out: &mut Vec<u8>) -> bool {
        self.sender.close(code, reason, key, out)
    }

    /// As [`Sender::fail`]; nothing of the server's counts any more.
    pub fn fail(&mut self, violation: &Violation, key: [u8; 4], out: &mut Vec<u8>) -> bool {
        self.receiver.end();
        self.sender.fail(violation, key, out)
    }

    /// As [`Sender::transmit`].
    pub fn transmit(&mut self, key: &mut dyn FnMut() -> [u8; 4], out: &mut Vec<u8>) -> bool {
        self.sender.transmit(key, out)
    }

    // ---- both

    /// Gives back what a connection at rest does not need.
    pub fn idle(&mut self) {
        self.receiver.idle();
        if let Some(deflater) = &mut self.deflater {
            deflater.release();
        }
    }

    /// TCP has ended: gives back the message under way and all else that only a connection needs.
    pub fn end(&mut self) {
        self.receiver.end();
        self.sender.end();
        self.deflater = None;
    }
}
