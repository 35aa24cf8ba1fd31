//! What a receiver reports.

use std::borrow::Cow;

use crate::control::ControlPayload;

/// What a message is on the wire (RFC 6455 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8, validated.
    Text,
    /// Any bytes.
    Binary,
}

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Text or binary.
    pub kind: MessageKind,
    /// A text known to be pure ASCII: a language may then build its string faster. False says nothing.
    pub ascii: bool,
    /// The bytes: borrowed from the input where the message came whole and in one frame.
    pub payload: Cow<'a, [u8]>,
}

/// A part of a message, where the driver asked for parts ([`crate::Receiver::report_pieces`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Text or binary.
    pub kind: MessageKind,
    /// Whether the message ends with it.
    pub last: bool,
    /// The bytes; those of a text end with a whole character.
    pub payload: Vec<u8>,
}

/// The server's Close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// The close code; 1005 when the frame had none (RFC 6455 7.1.5).
    pub code: u16,
    /// The close reason.
    pub reason: String,
}

/// Something that the server did. The payloads of pings and pongs are boxed so that it stays small: it is moved with every
/// message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message is complete.
    Message(Message<'a>),
    /// The next part of a message that is not complete yet, or the last.
    Piece(Piece),
    /// A ping, which the server is owed an answer to ([`crate::Sender::owe_pong`]).
    Ping(Box<ControlPayload>),
    /// A pong, asked for or not.
    Pong(Box<ControlPayload>),
    /// The server's Close, which it is owed an answer to ([`crate::Sender::owe_close`]). The last event.
    Close(CloseFrame),
}
