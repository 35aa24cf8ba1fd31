//! The client's direction of one connection after its opening handshake: messages in, masked frames out.
//!
//! It only frames what it is given: a [`crate::Deflater`] compresses beforehand, so that a lock around the one need not be
//! held while the other works. What the server is owed (a pong, the answer to its Close) is kept here until
//! [`Sender::transmit`], because it shares the order of frames with everything else that leaves.

use crate::close;
use crate::control::ControlPayload;
use crate::error::Violation;
use crate::event::MessageKind;
use crate::frame::{self, Opcode};

/// How far the closing handshake is (RFC 6455 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Neither side has said Close.
    #[default]
    Open,
    /// We have, and wait for the server's.
    CloseSent,
    /// The server has, and `transmit` owes the answer.
    CloseReceived,
    /// Both have, or the connection was failed.
    Closed,
}

/// Writes what a client sends. Every method that writes appends whole frames to the buffer that it is given, which has to
/// leave in that order; it returns false, and has appended nothing, where the frame may not be sent any more.
///
/// The order of calls:
/// - While the connection is open: [`Sender::send`] for a message in one frame; [`Sender::send_piece`] for one in several,
///   which nothing but control frames may interrupt; [`Sender::ping`] at any time.
/// - When a [`crate::Receiver`] reports a ping, [`Sender::owe_pong`]; when it reports the server's Close,
///   [`Sender::owe_close`]. Then, at the latest when the buffer has been written, [`Sender::transmit`].
/// - [`Sender::close`] begins the closing handshake, [`Sender::fail`] ends it after a violation. After either no message and
///   no pong leaves (RFC 6455 5.5.1); the server's Close is still awaited after `close`.
/// - [`Sender::end`] when TCP has ended.
///
/// A message that was compressed and is then refused is dropped ([`crate::Compressed`]). To avoid the work, ask
/// [`Sender::takes_message`] first.
#[derive(Debug, Default)]
pub struct Sender {
    state: State,
    /// A message of ours is being sent in pieces.
    sending_pieces: bool,
    /// The newest ping that was not answered: an older one needs no answer of its own (5.5.3).
    ping: Option<Box<ControlPayload>>,
    /// The code of the server's Close that `transmit` is to echo.
    echo: Option<u16>,
}

impl Sender {
    /// For a connection whose opening handshake is over.
    pub fn new() -> Self {
        Self::default()
    }

    /// How far the closing handshake is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether [`Sender::send`] would append a message now.
    pub fn takes_message(&self) -> bool {
        self.state == State::Open && !self.sending_pieces
    }

    /// Whether a message of ours is being sent in pieces.
    pub fn is_sending_pieces(&self) -> bool {
        self.sending_pieces
    }

    /// Appends one message as one frame. `compressed`: `payload` is what [`crate::Deflater::message`] made of it. False when
    /// the closing handshake has begun or a message is being sent in pieces.
    pub fn send(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        compressed: bool,
        key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> bool {
        let may = self.takes_message();
        if may {
            frame::append(opcode_of(kind), true, compressed, payload, key, out);
        }
        may
    }

    /// Appends the next piece of a message as a frame of its own (5.4); `last` ends the message. `kind` and `compressed` count
    /// for the first piece, and the others are as it was: with [`crate::Deflater::piece`] all of them or none. Text may be
    /// cut anywhere. False when the closing handshake has begun.
    pub fn send_piece(
        &mut self,
        kind: MessageKind,
        piece: &[u8],
        last: bool,
        compressed: bool,
        key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> bool {
        let may = self.state == State::Open;
        if may {
            let first = !self.sending_pieces;
            let opcode = if first { opcode_of(kind) } else { Opcode::Continuation };
            frame::append(opcode, last, first && compressed, piece, key, out);
            self.sending_pieces = !last;
        }
        may
    }

    /// Appends a ping. False when the closing handshake has begun or the payload is longer than 125 bytes.
    pub fn ping(&mut self, payload: &[u8], key: [u8; 4], out: &mut Vec<u8>) -> bool {
        let may = self.state == State::Open && payload.len() <= ControlPayload::MAX;
        if may {
            frame::append(Opcode::Ping, true, false, payload, key, out);
        }
        may
    }

    /// The server sent a ping: [`Sender::transmit`] is to answer it. The newest wins where several wait (5.5.3). After a Close
    /// of either side none is answered.
    pub fn owe_pong(&mut self, ping: Box<ControlPayload>) {
        if self.state == State::Open {
            self.ping = Some(ping);
        }
    }

    /// The server sent its Close, with this code (1005: with none). If we have not sent ours, [`Sender::transmit`] is to answer
    /// with the same code (5.5.1); if we have, the closing handshake is complete. No ping is answered any more.
    pub fn owe_close(&mut self, code: u16) {
        self.ping = None;
        match self.state {
            State::Open => {
                self.state = State::CloseReceived;
                self.echo = Some(code);
            }
            State::CloseSent => self.state = State::Closed,
            State::CloseReceived | State::Closed => {}
        }
    }

    /// Whether [`Sender::transmit`] would append something.
    pub fn owes(&self) -> bool {
        self.ping.is_some() || self.echo.is_some()
    }

    /// Appends what is owed to the server: the answer to its newest ping, the answer to its Close. `key` is asked for a
    /// masking key for each. True when something was appended.
    pub fn transmit(&mut self, key: &mut dyn FnMut() -> [u8; 4], out: &mut Vec<u8>) -> bool {
        let owes = self.owes();
        if let Some(ping) = self.ping.take() {
            frame::append(Opcode::Pong, true, false, (*ping).as_ref(), key(), out);
        }
        if let Some(code) = self.echo {
            self.close(code, "", key(), out);
        }
        owes
    }

    /// Appends our Close; 1005 stands for none of code and reason, and a reason of more than 123 bytes is cut at a character.
    /// Where the server's Close came first, this is the answer to it. False when we have sent one before.
    pub fn close(&mut self, code: u16, reason: &str, key: [u8; 4], out: &mut Vec<u8>) -> bool {
        self.state = match self.state {
            State::Open => State::CloseSent,
            State::CloseReceived => State::Closed,
            State::CloseSent | State::Closed => return false,
        };
        self.echo = None;
        self.ping = None;
        frame::append(Opcode::Close, true, false, &close::payload(code, reason), key, out);
        true
    }

    /// Fails the connection (7.1.7): appends a Close with the violation's code. False when we have sent one before; nothing
    /// is sent after it either way.
    pub fn fail(&mut self, violation: &Violation, key: [u8; 4], out: &mut Vec<u8>) -> bool {
        let sent = self.close(violation.code, "", key, out);
        self.end();
        sent
    }

    /// TCP has ended: nothing is sent or owed any more.
    pub fn end(&mut self) {
        *self = Self { state: State::Closed, ..Self::default() };
    }
}

fn opcode_of(kind: MessageKind) -> Opcode {
    match kind {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
    }
}
